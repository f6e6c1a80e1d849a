# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Brings one cluster's objects to what is wanted: creates, patches and deletes what is ours, refuses or adopts what is not, and says what it did."""

from __future__ import annotations

import functools
import http.client
import typing as t

from ansible.module_utils.common.yaml import yaml_dump
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.change import certain, recreated
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import Kind, describe, find_kind, root_of, satisfied, shown

Object = t.Mapping[str, t.Any]

# Kinds of Kubernetes itself that are written often: the API server need not be asked how they are addressed.
_KNOWN = {
    ("v1", "ConfigMap"): Kind("/api/v1", "configmaps", True),
    ("v1", "Namespace"): Kind("/api/v1", "namespaces", False),
    ("v1", "Service"): Kind("/api/v1", "services", True),
    ("v1", "ServiceAccount"): Kind("/api/v1", "serviceaccounts", True),
    ("apps/v1", "Deployment"): Kind("/apis/apps/v1", "deployments", True),
    ("policy/v1", "PodDisruptionBudget"): Kind("/apis/policy/v1", "poddisruptionbudgets", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): Kind("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): Kind("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
}


# How often a write is decided anew where others write the object at the same time (409).
_ATTEMPTS = 5
# What stands for "nobody has looked yet", as None means that there is no such object.
_LOOK: t.Any = object()


class Row(t.NamedTuple):
    """What became of one object.

    ``action`` is ``unchanged``, ``created``, ``patched``, ``adopted``, ``deleted``, ``given back`` or ``kept`` (it is not ours). ``note`` is a
    sentence, '' for none. ``found`` is the object as it was, None where there was none; ``wanted`` is what was asked for; ``now`` is the object
    as it is, None where there is none (any more).
    """

    wanted: Object
    action: str
    found: dict[str, t.Any] | None
    note: str = ""
    now: dict[str, t.Any] | None = None

    @property
    def changed(self) -> bool:
        return self.action not in ("unchanged", "kept")

    @property
    def result(self) -> dict[str, str]:
        """For a module's return value."""
        return {"object": describe(self.wanted), "action": self.action, "note": self.note}


class Applier:
    """Writes the objects of one fleet to one cluster.

    :arg adopt: take over objects of others, which is refused otherwise.
    """

    def __init__(self, cluster: Cluster, *, fleet: str = ownership.DEFAULT_FLEET, adopt: bool = False, dry_run: bool = False) -> None:
        self.cluster = cluster
        self.fleet = fleet
        self.adopt = adopt
        self.dry_run = dry_run
        self.rows: list[Row] = []
        self._resources: dict[str, list[dict[str, t.Any]]] = {}

    @property
    def changed(self) -> bool:
        return any(row.changed for row in self.rows)

    @property
    def diff(self) -> list[dict[str, str]]:
        """Ansible's diff of what was changed, an entry each."""
        return [_difference(self.cluster.name, row) for row in self.rows if row.changed]

    def kind(self, api_version: str, kind: str) -> Kind | None:
        """How to address a kind, or None where this API server does not serve it."""
        if known := _KNOWN.get((api_version, kind)):
            return known
        if api_version not in self._resources:
            answer = self.cluster.get(root_of(api_version), missing_ok=True)
            self._resources[api_version] = answer["resources"] if answer else []
        return find_kind(api_version, kind, self._resources[api_version])

    def find(self, item: Object) -> dict[str, t.Any] | None:
        """The object of that kind and name, or None."""
        kind = self.kind(item["apiVersion"], item["kind"])
        return self.cluster.get(_path(kind, item), missing_ok=True) if kind else None

    def present(self, wanted: dict[str, t.Any], *, found: dict[str, t.Any] | None = _LOOK, ours: bool = False) -> Row:
        """Create it, or patch what differs. Our labels are put on it.

        :arg found: the object that is there, None for none, where the caller has just looked.
        :arg ours: the caller knows that what is there is ours.
        :raises ApiError: the kind is not served here; the object is somebody else's (reason ``NotOurs``); the API server refuses.
        """
        kind = self.kind(wanted["apiVersion"], wanted["kind"])
        metadata = wanted["metadata"]
        wanted = {**wanted, "metadata": {**metadata, "labels": {**(metadata.get("labels") or {}), **ownership.labels(self.fleet)}}}
        if kind is None:
            if self.dry_run:
                return self._note(Row(wanted, "created", None, f"{wanted['apiVersion']} has no kind {wanted['kind']} here yet"))
            message = (
                f"{self.cluster.name}: the API server does not serve {wanted['kind']} in {wanted['apiVersion']}, so {describe(wanted)} cannot be"
                " created. Install its CustomResourceDefinition first."
            )
            raise ApiError(self.cluster.name, message, reason="NoKind")

        def write(found: dict[str, t.Any] | None, ours: bool) -> Row:
            return self._create(kind, wanted) if found is None else self._update(kind, wanted, found, ours)

        return self._decided(write, wanted, found, ours)

    def _decided(
        self, write: t.Callable[[dict[str, t.Any] | None, bool], Row], item: dict[str, t.Any], found: dict[str, t.Any] | None, ours: bool
    ) -> Row:
        """What a write comes to that is decided by what is there, anew where somebody writes the object at the same time."""
        if found is _LOOK:
            found = self.find(item)
        for _attempt in range(1, _ATTEMPTS):
            try:
                return write(found, ours)
            except ApiError as error:
                if error.status != http.client.CONFLICT:
                    raise
            # somebody has written it since it was seen, so that it may be theirs now
            found, ours = self.find(item), False
        return write(found, ours)

    def _update(self, kind: Kind, wanted: dict[str, t.Any], found: dict[str, t.Any], ours: bool) -> Row:
        action = "patched"
        if not ours and (refusal := self.refusal(wanted, found)):
            raise ApiError(self.cluster.name, refusal, reason="NotOurs")
        if not ours and ownership.owner(found, self.fleet, wanted):
            action = "adopted"
            # What an earlier version made is ours to delete in the end, so nothing of it is kept.
            if ownership.fleet_of(found) != "":
                annotations = {**(wanted["metadata"].get("annotations") or {}), **ownership.adoption(found)}
                wanted = {**wanted, "metadata": {**wanted["metadata"], "annotations": annotations}}
        if satisfied(wanted, found):
            return self._note(Row(wanted, "unchanged", found, now=found))
        path, patch = _path(kind, wanted), _guarded(wanted, found)
        return self._send(Row(wanted, action, found), lambda: self.cluster.patch(path, patch, dry_run=self.dry_run))

    def refusal(self, wanted: Object, found: Object) -> str:
        """The sentence that says why :meth:`present` would not write; '' where it would."""
        whose = "" if self.adopt else ownership.owner(found, self.fleet, wanted)
        return whose and (
            f"{self.cluster.name}: {describe(wanted)} exists and is not ours: it belongs to {whose}. Set adopt to take it over (it is"
            " given back at the end), or rename or delete it."
        )

    def _create(self, kind: Kind, wanted: dict[str, t.Any]) -> Row:
        namespace = wanted["metadata"].get("namespace")
        row = Row(wanted, "created", None)
        try:
            return self._send(row, lambda: self.cluster.create(kind.path(namespace), wanted, dry_run=self.dry_run))
        except ApiError as error:
            # A dry run cannot create the namespace that an earlier object, or an earlier play, would have made.
            if not (self.dry_run and error.status == http.client.NOT_FOUND):
                raise
            return self._note(row._replace(note=f"namespace {namespace} does not exist yet"))

    def _send(self, row: Row, send: t.Callable[[], dict[str, t.Any] | None]) -> Row:
        """Send a write, and note it unless it is certain that it was not made: what may have been made is put back, too."""
        answers: list[dict[str, t.Any] | None] = []

        def arrived() -> bool:
            now = self.find(row.wanted)
            answers.append(now)
            gone = now is None or bool(now["metadata"].get("deletionTimestamp"))
            return gone if row.action == "deleted" else not gone and (row.action == "given back" or satisfied(row.wanted, now))

        self._note(row)
        try:
            certain(lambda: answers.append(send()), arrived)
        except ApiError as error:
            if not error.maybe_applied:
                self.rows.pop()
            raise
        self.rows[-1] = row._replace(now=None if row.action == "deleted" else answers[-1])
        return self.rows[-1]

    def absent(self, item: dict[str, t.Any], *, found: dict[str, t.Any] | None = _LOOK, ours: bool = False) -> Row:
        """Delete it where it is ours, give it back where it was adopted, keep it where it is somebody else's.

        :arg item: apiVersion, kind and metadata are enough; with a spec, an object of the version before fleets is ours where it says the same.
        :arg found, ours: as in :meth:`present`.
        """
        return self._decided(functools.partial(self._take_away, item), item, found, ours)

    def _take_away(self, item: dict[str, t.Any], found: dict[str, t.Any] | None, ours: bool) -> Row:
        if found is None:
            return self._note(Row(item, "unchanged", None))
        if not ours and (whose := ownership.owner(found, self.fleet, item if set(item) - {"apiVersion", "kind", "metadata"} else None)):
            return self._note(Row(item, "kept", found, f"{describe(item)} belongs to {whose}, so it stays.", found))
        path = _path(t.cast("Kind", self.kind(item["apiVersion"], item["kind"])), item)
        if patch := ownership.giving_back(found):
            guarded = _guarded(patch, found)
            return self._send(Row(item, "given back", found), lambda: self.cluster.patch(path, guarded, dry_run=self.dry_run))
        return self._send(Row(item, "deleted", found), lambda: self.cluster.delete(path, found=found, unchanged=True, dry_run=self.dry_run))

    def put_back(self, row: Row) -> None:
        """Undo what :meth:`present` or :meth:`absent` did, where what is there is still what they left."""
        if not row.changed or self.dry_run:
            return
        kind = t.cast("Kind", self.kind(row.wanted["apiVersion"], row.wanted["kind"]))
        path = _path(kind, row.wanted)
        now, found = self.cluster.get(path, missing_ok=True), row.found
        gone = row.action == "deleted"
        if now is not None and (gone or (row.action != "given back" and not satisfied(row.wanted, now))):
            return
        if found is None:
            certain(lambda: self.cluster.delete(path, found=now), lambda: self.find(row.wanted) is None)
        elif now is None:
            body = {"apiVersion": row.wanted["apiVersion"], "kind": row.wanted["kind"], **recreated(found)}
            certain(lambda: self.cluster.create(kind.path(found["metadata"].get("namespace")), body), lambda: self.find(row.wanted) is not None)
        elif patch := ownership.merge_patch(_kept(now), _kept(found)):
            certain(lambda: self.cluster.patch(path, patch), lambda: _kept(self.find(row.wanted) or {"metadata": {}}) == _kept(found))

    def _note(self, row: Row) -> Row:
        self.rows.append(row)
        return row


def _path(kind: Kind, item: Object) -> str:
    return kind.path(item["metadata"].get("namespace"), item["metadata"]["name"])


def _guarded(patch: Object, found: Object) -> dict[str, t.Any]:
    """A patch that is refused (409) where somebody has written the object since it was ``found``."""
    version = {key: value for key, value in found["metadata"].items() if key == "resourceVersion"}
    return {**patch, "metadata": {**(patch.get("metadata") or {}), **version}}


def _kept(item: Object) -> dict[str, t.Any]:
    """What of an object people write."""
    kept = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    return {**kept, "metadata": {key: item["metadata"].get(key) or {} for key in ("labels", "annotations")}}


def _difference(cluster: str, row: Row) -> dict[str, str]:
    name = describe(row.wanted)
    gone = row.action in ("deleted", "given back")
    before = "" if row.found is None else f"{name}\n" if gone else yaml_dump(shown(row.wanted, row.found))
    return {
        "before_header": f"{cluster} {name}",
        "after_header": f"{cluster} {name} ({row.action})",
        "before": before,
        "after": "" if gone else yaml_dump(row.wanted),
    }
