# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Images in kind's nodes and in registries, by way of a Docker engine and its Python library."""

from __future__ import annotations

import json
import re
import tarfile
import tempfile
import traceback
import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.clusterset.dns.plugins.module_utils._image.content import (
    Content,
    choose,
    content,
    normalized,
    platforms,
    split,
    uncovered,
)

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

try:
    import docker
    from docker.errors import APIError, DockerException, NotFound

    DOCKER_IMPORT_ERROR: str | None = None
except ImportError:
    DOCKER_IMPORT_ERROR = traceback.format_exc()

    class DockerException(Exception):  # type: ignore[no-redef]
        """So that `except` has something to name."""

    class APIError(DockerException):  # type: ignore[no-redef]
        """So that `except` has something to name."""

    class NotFound(APIError):  # type: ignore[no-redef]
        """So that `except` has something to name."""


# What kind marks its containers with (its source: pkg/cluster/internal/providers/docker/constants.go).
_CLUSTER_LABEL = "io.x-k8s.kind.cluster"
_ROLE_LABEL = "io.x-k8s.kind.role"
_NODE_ROLES = ("control-plane", "worker")

# The file by which an image comes to a node, in a folder that is neither a volume nor in memory there.
_ARCHIVE = "clusterset-dns-image.tar"
_DIGEST = re.compile(r"\bsha256:[0-9a-f]{64}\b")


class ImageError(Exception):
    """Why an image cannot be brought where it should be, as a sentence."""


class KindError(ImageError):
    """What ``kind`` says when it does not load an image."""


class Published(t.NamedTuple):
    """What a registry has under a tag."""

    digest: str
    platforms: list[str]


def connect(module: AnsibleModule) -> docker.DockerClient:
    """The engine that `DOCKER_HOST` names, or the local one."""
    if DOCKER_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("docker"), exception=DOCKER_IMPORT_ERROR)
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        module.fail_json(msg=f"Docker does not answer ({error}): start it, or set DOCKER_HOST to where it listens.")
    return client


def kind_nodes(client: docker.DockerClient, cluster: str) -> list[t.Any]:
    """The containers that are nodes of a kind cluster, by name.

    :raises ImageError: there are none, or one does not run.
    """
    found = client.containers.list(all=True, filters={"label": f"{_CLUSTER_LABEL}={cluster}"})
    nodes = sorted((node for node in found if node.labels.get(_ROLE_LABEL) in _NODE_ROLES), key=lambda node: node.name)
    if not nodes:
        raise ImageError(f"Docker has no node of a kind cluster {cluster!r}: set cluster to its name as 'kind get clusters' lists it.")
    for node in nodes:
        if node.status != "running":
            raise ImageError(
                f"The node {node.name} of the kind cluster {cluster!r} is {node.status}: start it with 'docker start {node.name}'."
            )
    return nodes


def local(client: docker.DockerClient, reference: str) -> Content | None:
    """What is in the engine's own image; None where it has none of that name."""
    try:
        return content(client.images.get(reference).attrs)
    except NotFound:
        return None


def required(client: docker.DockerClient, reference: str) -> Content:
    """What is in the engine's own image.

    :raises ImageError: it has none of that name.
    """
    found = local(client, reference)
    if found is None:
        raise ImageError(f"Docker has no image {reference}: build or pull it first.")
    return found


def on_node(node: t.Any, reference: str, wanted: Content | None) -> str:
    """What a node's containerd has under a name: `absent`, `other content`, or `present`, complete and unpacked.

    :arg wanted: what is to be there; with None its name is all that is looked at.
    :raises ImageError: the containerd does not answer.
    """
    name = normalized(reference)
    if name not in _ctr(node, "images", "check", "--quiet", f"name=={name}").split():
        return "absent"
    if wanted is None:
        return "present"
    listed = _DIGEST.search(_ctr(node, "images", "list", f"name=={name}"))
    manifest = _blob(node, listed[0]) if listed else {}
    if "manifests" in manifest:
        chosen = choose(manifest, wanted.platform)
        manifest = _blob(node, chosen) if chosen else {}
    there = content(_blob(node, manifest["config"]["digest"])) if "config" in manifest else None
    return "present" if there == wanted else "other content"


def is_partial(error: KindError) -> bool:
    """Whether kind failed because the engine has the content of one platform alone: it imports all that the image's index names."""
    return re.search(r"content digest sha256:[0-9a-f]+: not found", str(error)) is not None


def load_platform(client: docker.DockerClient, reference: str, platform: str, nodes: t.Iterable[t.Any], folder: str) -> None:
    """Bring the engine's image to nodes as kind does, for one platform.

    :arg folder: where there is room for the image as a file.
    :raises ImageError: a node's containerd does not take it.
    """
    with tempfile.TemporaryFile(dir=folder) as archive:
        # in an archive of its own, as files are put into containers
        with tempfile.NamedTemporaryFile(dir=folder) as saved:
            for chunk in client.images.get(reference).save(named=True):
                saved.write(chunk)
            saved.flush()
            with tarfile.open(fileobj=archive, mode="w") as packed:
                packed.add(saved.name, arcname=_ARCHIVE)
        for node in nodes:
            archive.seek(0)
            if not node.put_archive("/", archive):
                raise ImageError(f"{reference} could not be copied to the node {node.name}.")
            try:
                _ctr(node, "images", "import", "--platform", platform, "--digests", "--snapshotter=overlayfs", f"/{_ARCHIVE}")
            finally:
                node.exec_run(["rm", "--force", f"/{_ARCHIVE}"], demux=True)


def _blob(node: t.Any, digest: str) -> dict[str, t.Any]:
    return json.loads(_ctr(node, "content", "get", digest))


def _ctr(node: t.Any, *command: str) -> str:
    code, (out, err) = node.exec_run(["ctr", "--namespace=k8s.io", *command], demux=True)
    if code:
        said = (err or out or b"").decode(errors="replace").strip()
        failed = "did not import the image" if "import" in command else "does not answer"
        raise ImageError(f"containerd on the node {node.name} {failed}: {said}")
    return (out or b"").decode(errors="replace")


def published(client: docker.DockerClient, reference: str) -> Published | None:
    """What the image's registry has for its tag; None where it has nothing.

    :raises ImageError: the registry does not answer, or does not let us in.
    """
    try:
        found = client.images.get_registry_data(reference)
    except NotFound:
        return None
    except APIError as error:
        # Some registries' answers to a name that was never pushed come through the engine as another error than 404.
        said = str(error.explanation or error)
        if "manifest unknown" in said or "name unknown" in said or "no such manifest" in said:
            return None
        raise ImageError(
            f"The registry of {reference} cannot be asked ({said}): log in with 'docker login', or set name to where you may push."
        ) from error
    return Published(found.id, platforms(found.attrs.get("Platforms")))


def is_published(client: docker.DockerClient, reference: str, there: Published, wanted: Content) -> bool:
    """Whether what a registry has is the same as an image of the engine's.

    Where the engine has neither pushed nor pulled it, it is pulled by its digest, of which only what differs is loaded, and stays
    only if it is the same.
    :raises ImageError: it cannot be pulled.
    """
    if uncovered(there.platforms, [wanted.platform.split("/")[1]]):
        return False
    pinned = f"{split(reference)[0]}@{there.digest}"
    try:
        return content(client.images.get(pinned).attrs) == wanted
    except NotFound:
        pass
    try:
        same = content(client.images.pull(pinned, platform=wanted.platform).attrs) == wanted
    except DockerException as error:
        raise ImageError(
            f"{pinned} cannot be pulled to be compared with the image in Docker ({error}): log in with 'docker login', or give it another name."
        ) from error
    if not same:
        client.images.remove(pinned)
    return same


def push(client: docker.DockerClient, source: str, target: str) -> None:
    """Push the engine's image `source` as `target`.

    :raises ImageError: the registry does not take it.
    """
    repository, tag = split(target)
    client.images.get(source).tag(repository, tag)
    for line in client.api.push(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise ImageError(
                f"The registry did not take {target} ({line['error']}): log in with 'docker login', or set name to where you may push."
            )
