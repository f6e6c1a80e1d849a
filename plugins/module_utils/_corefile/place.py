# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Where a Corefile is kept: a key of a ConfigMap, or a file. Both are read and written the same way.

What is to be written to a ConfigMap is computed (:func:`write_of`) apart from being sent, and so is what its record says.

The ConfigMap carries an annotation with each key's text as it was before the first change, so that any machine can give it back when
the last zone is taken out again, or say that it did not come back byte for byte because someone else changed it since.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Object = t.Mapping[str, t.Any]

__all__ = [
    "ANNOTATION",
    "PLACE_ARG_SPEC",
    "ConfigMap",
    "File",
    "PlaceError",
    "Write",
    "came_back",
    "original_of",
    "place_of",
    "recorded",
    "seen_of",
    "text_of",
    "write_of",
]

PLACE_ARG_SPEC = {
    "path": {"type": "path"},
    "namespace": {"default": "kube-system"},
    "name": {"default": "coredns"},
    "key": {"default": "Corefile", "no_log": False},
    "cluster_domain": {"default": "cluster.local"},
    "imports": {"type": "dict"},
    "env": {"type": "dict"},
}
# JSON, key of the ConfigMap to {sha512, text, ours}: hash of the original ('' for a key that was not there), the original, and the hash
# of what this collection wrote last, unless someone else wrote in between.
ANNOTATION = "clusterset.dns/original"
# What the API server allows for all annotations of an object: apimachinery, TotalAnnotationSizeLimitB.
_ANNOTATIONS_LIMIT = 256 * 1024


class PlaceError(Exception):
    """Why a Corefile cannot be read from or written to its place, as a sentence."""


class File:
    """A Corefile on disk, in UTF-8."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.label = path

    def read(self) -> str | None:
        """The text, byte for byte; None where there is no file."""
        try:
            with open(self.path, "rb") as file:
                return file.read().decode()
        except FileNotFoundError:
            return None
        except UnicodeDecodeError as error:
            raise PlaceError(f"{self.path} is not UTF-8 (byte {error.start}).") from None
        except OSError as error:
            raise PlaceError(f"{self.path} cannot be read: {error.strerror}.") from None

    def write(self, text: str, *, first: bool, last: bool, dry_run: bool) -> None:
        """Put a text in the file's place at once, with its mode and owner kept."""
        target = os.path.realpath(self.path)
        directory = os.path.dirname(target)
        if not os.access(directory, os.W_OK):
            raise PlaceError(f"{self.path} cannot be written: its directory is not writable or does not exist.")
        if dry_run:
            return
        try:
            handle, temporary = tempfile.mkstemp(prefix=".corefile-", dir=directory)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(text.encode())
                    file.flush()
                    os.fsync(handle)
                mode = 0o644
                if os.path.exists(target):
                    was = os.stat(target)
                    mode = was.st_mode & 0o7777
                    os.chown(temporary, was.st_uid, was.st_gid)
                os.chmod(temporary, mode)
                os.replace(temporary, target)
            except BaseException:
                os.unlink(temporary)
                raise
        except OSError as error:
            raise PlaceError(f"{self.path} cannot be written: {error.strerror}.") from None

    def record(self) -> dict[str, str]:
        """A file keeps no record of what it was."""
        return {}


class Write(t.NamedTuple):
    """A request that changes a ConfigMap: ``verb`` is ``create``, ``patch`` or ``delete``; a delete has no body."""

    verb: str
    body: dict[str, t.Any] | None = None


def text_of(config_map: Object | None, key: str) -> str | None:
    """The text of a key; None where there is no such ConfigMap or key."""
    return ((config_map or {}).get("data") or {}).get(key)


def recorded(annotations: t.Mapping[str, str] | None, key: str) -> dict[str, str]:
    """What a ConfigMap's annotations keep of a key's text before the first change, see :data:`ANNOTATION`; empty where they do not."""
    return _originals(annotations).get(key, {})


def came_back(record: t.Mapping[str, str], text: str) -> bool | None:
    """Whether ``text`` is what was there before the first change; None where that was not recorded."""
    return record["sha512"] in ((_sha512(text), "") if text == "" else (_sha512(text),)) if record else None


def original_of(record: t.Mapping[str, str], text: str | None) -> str | None:
    """What was there before the first change, if nobody else changed ``text`` since; None otherwise, or where that was not recorded."""
    original = record.get("text")
    unchanged = text is not None and record.get("ours") == _sha512(text)
    return original if unchanged and original is not None and record["sha512"] in (_sha512(original), "") else None


def write_of(
    config_map: Object | None, name: str, key: str, text: str, *, first: bool, last: bool, fleet: str = ownership.DEFAULT_FLEET
) -> Write:
    """What has to be sent so that a ConfigMap's key has a text.

    :arg config_map: the object as it was read, None where there is none. A patch is refused (409) if it changed since.
    :arg first: nothing of ours was there before, so what was is recorded.
    :arg last: nothing of ours is left, so the record goes, and with it a key, or a ConfigMap of our fleet's, that was made for us.
    :raises PlaceError: the ConfigMap cannot be changed.
    """
    if config_map is None:
        annotations = {ANNOTATION: json.dumps({key: _record(None, text)})}
        metadata = {"name": name, "labels": ownership.labels(fleet), "annotations": annotations}
        return Write("create", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {key: text}})
    if config_map.get("immutable"):
        raise PlaceError(
            "the ConfigMap is immutable. Delete it and create it again without `immutable: true`, or have CoreDNS use another one."
        )
    metadata = config_map["metadata"]
    annotations = metadata.get("annotations") or {}
    originals = _originals(annotations)
    before = text_of(config_map, key)
    value: str | None = text
    if first:
        originals[key] = _record(before, text)
    elif key in originals:
        known = originals[key].pop("ours", None)
        if before is not None and known == _sha512(before):
            originals[key]["ours"] = _sha512(text)
    if last and originals.pop(key, {}).get("sha512") == "" and not text:
        value = None
    alone = set(config_map.get("data") or {}) == {key} and not config_map.get("binaryData")
    if value is None and alone and ownership.made_for(fleet, config_map):
        return Write("delete")
    record = _fitting(originals, annotations) if originals else None
    return Write(
        "patch",
        {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "annotations": {ANNOTATION: record}},
            "data": {key: value},
        },
    )


class ConfigMap:
    """A Corefile in a ConfigMap. What is written is refused by the API server (409) if the object changed since it was read."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, key: str, fleet: str = ownership.DEFAULT_FLEET) -> None:
        self.cluster = cluster
        self.name = name
        self.key = key
        self.fleet = fleet
        self.label = f"ConfigMap {namespace}/{name}, key {key}, of {cluster.name}"
        self._collection = f"/api/v1/namespaces/{namespace}/configmaps"
        self._path = f"{self._collection}/{name}"
        self._found: dict[str, t.Any] | None = None

    def read(self) -> str | None:
        """The text; None where there is no such ConfigMap or key."""
        self._found = self.cluster.get(self._path, missing_ok=True)
        return text_of(self._found, self.key)

    def record(self) -> dict[str, str]:
        """What is kept of the text before the first change."""
        return recorded((self._found or {}).get("metadata", {}).get("annotations"), self.key)

    def write(self, text: str, *, first: bool, last: bool, dry_run: bool) -> None:
        """Write the key; ``first`` and ``last`` as for :func:`write_of`."""
        try:
            write = write_of(self._found, self.name, self.key, text, first=first, last=last, fleet=self.fleet)
        except PlaceError as error:
            raise PlaceError(f"{self.label}: {error}") from None
        if write.verb == "create":
            self.cluster.create(self._collection, write.body or {}, dry_run=dry_run)
        elif write.verb == "patch":
            self.cluster.patch(self._path, write.body, dry_run=dry_run)
        else:
            self.cluster.delete(self._path, found=self._found, unchanged=True, dry_run=dry_run)


def place_of(module: AnsibleModule) -> File | ConfigMap:
    """The place that a module's options name. Fails the module where the cluster's access options are not usable."""
    params = module.params
    if params["path"]:
        return File(params["path"])
    return ConfigMap(Cluster.from_module(module), params["namespace"], params["name"], params["key"], params.get("fleet", ownership.DEFAULT_FLEET))


def seen_of(params: t.Mapping[str, t.Any]) -> dict[str, dict[str, str] | None]:
    """The options ``imports`` and ``env`` as :func:`parse` takes them. In YAML, values may be numbers, or nothing."""
    return {
        name: None if params[name] is None else {key: "" if value is None else str(value) for key, value in params[name].items()}
        for name in ("imports", "env")
    }


def _originals(annotations: t.Mapping[str, str] | None) -> dict[str, dict[str, str]]:
    try:
        found = json.loads((annotations or {}).get(ANNOTATION, "{}"))
    except ValueError:
        return {}
    records = found.items() if isinstance(found, dict) else ()
    return {key: one for key, one in records if isinstance(one, dict) and isinstance(one.get("sha512"), str)}


def _record(original: str | None, ours: str) -> dict[str, str]:
    return {"sha512": "" if original is None else _sha512(original), "text": original or "", "ours": _sha512(ours)}


def _fitting(originals: dict[str, dict[str, str]], annotations: t.Mapping[str, str]) -> str:
    """The record as JSON; without the texts where an object's annotations have no room for them."""
    record = json.dumps(originals, sort_keys=True)
    others = sum(len(f"{key}{value}".encode()) for key, value in annotations.items() if key != ANNOTATION)
    if len(ANNOTATION) + len(record) + others <= _ANNOTATIONS_LIMIT:
        return record
    short = {key: {part: value for part, value in one.items() if part != "text"} for key, one in originals.items()}
    return json.dumps(short, sort_keys=True)


def _sha512(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()
