# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Images in kind's nodes and in registries, by way of a Docker engine and its Python library."""

from __future__ import annotations

import traceback
import typing as t

from ansible.module_utils.basic import missing_required_lib

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


class ImageError(Exception):
    """Why an image cannot be brought where it should be, as a sentence."""


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


def split(reference: str) -> tuple[str, str]:
    """An image's repository and tag: `host:5000/a/b:v1` → `("host:5000/a/b", "v1")`; without a tag it is `latest`."""
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def normalized(reference: str) -> str:
    """The reference as containerd keeps it: with a registry's host, `library/` for Docker Hub's own, and a tag."""
    repository, tag = split(reference)
    host, slash, _rest = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif host != "localhost" and "." not in host and ":" not in host:
        repository = f"docker.io/{repository}"
    return f"{repository}:{tag}"


def kind_nodes(client: docker.DockerClient, cluster: str) -> list[t.Any]:
    """The containers that are nodes of a kind cluster, by name.

    :raises ImageError: there are none, or one does not run.
    """
    found = client.containers.list(all=True, filters={"label": f"{_CLUSTER_LABEL}={cluster}"})
    nodes = sorted((node for node in found if node.labels.get(_ROLE_LABEL) in _NODE_ROLES), key=lambda node: node.name)
    if not nodes:
        raise ImageError(
            f"Docker has no node of a kind cluster {cluster!r}: "
            "set coredns_publish_kind_cluster to its name as 'kind get clusters' lists it."
        )
    for node in nodes:
        if node.status != "running":
            raise ImageError(
                f"The node {node.name} of the kind cluster {cluster!r} is {node.status}: start it with 'docker start {node.name}'."
            )
    return nodes


def nodes_without(nodes: t.Iterable[t.Any], reference: str) -> list[str]:
    """The names of those nodes whose containerd does not have the image, complete and unpacked.

    :raises ImageError: a node's containerd does not answer.
    """
    name = normalized(reference)
    lacking = []
    for node in nodes:
        code, output = node.exec_run(["ctr", "--namespace=k8s.io", "images", "check", "--quiet", f"name=={name}"])
        text = output.decode(errors="replace")
        if code:
            raise ImageError(f"containerd on the node {node.name} does not answer: {text.strip()}")
        if name not in text.split():
            lacking.append(node.name)
    return lacking


def has_image(client: docker.DockerClient, reference: str) -> bool:
    """Whether the engine itself has the image."""
    try:
        client.images.get(reference)
    except NotFound:
        return False
    return True


def registry_digest(client: docker.DockerClient, reference: str) -> str:
    """The digest that the image's registry has for its tag; empty where it has none.

    :raises ImageError: the registry does not answer, or does not let us in.
    """
    try:
        return client.images.get_registry_data(reference).id
    except NotFound:
        return ""
    except APIError as error:
        # Some registries' answers to a name that was never pushed come through the engine as another error than 404.
        said = str(error.explanation or error)
        if "manifest unknown" in said or "name unknown" in said or "no such manifest" in said:
            return ""
        raise ImageError(
            f"The registry of {reference} cannot be asked ({said}): log in with 'docker login', or set coredns_publish_registry."
        ) from error


def push(client: docker.DockerClient, source: str, target: str) -> None:
    """Push the engine's image `source` as `target`.

    :raises ImageError: the engine does not have it, or the registry does not take it.
    """
    repository, tag = split(target)
    try:
        client.images.get(source).tag(repository, tag)
    except NotFound as error:
        raise ImageError(f"Docker has no image {source}: build it first, with the role coredns_image.") from error
    for line in client.api.push(repository, tag=tag, stream=True, decode=True):
        if "error" in line:
            raise ImageError(
                f"The registry did not take {target} ({line['error']}): log in with 'docker login', or set coredns_publish_registry."
            )
