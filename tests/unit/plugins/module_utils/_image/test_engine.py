# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Where images are looked for, and by which name."""

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image import engine as _docker
from ansible_collections.clusterset.dns.plugins.module_utils._image.content import content

from .docker_standin import Docker, Node, digest, image


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("host:5000/a/b:v1", ("host:5000/a/b", "v1")),
        ("host:5000/a/b", ("host:5000/a/b", "latest")),
        ("busybox", ("busybox", "latest")),
        ("busybox:1", ("busybox", "1")),
    ],
)
def test_repository_and_tag(reference: str, parts: tuple[str, str]) -> None:
    assert _docker.split(reference) == parts


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("localhost/coredns/abc:v1.15.0", "localhost/coredns/abc:v1.15.0"),
        ("127.0.0.1:5000/coredns:v1", "127.0.0.1:5000/coredns:v1"),
        ("registry:5000/coredns:v1", "registry:5000/coredns:v1"),
        ("registry.k8s.io/coredns/coredns:v1.12.1", "registry.k8s.io/coredns/coredns:v1.12.1"),
        ("coredns/coredns:1.12.1", "docker.io/coredns/coredns:1.12.1"),
        ("busybox", "docker.io/library/busybox:latest"),
    ],
)
def test_names_as_containerd_keeps_them(reference: str, name: str) -> None:
    assert _docker.normalized(reference) == name


NAME = "localhost/c:v1"
OURS, OTHER = image("a"), image("b")


def test_nodes_are_those_that_run_pods() -> None:
    nodes = [Node("m-worker"), Node("m-control-plane", role="control-plane"), Node("m-lb", role="external-load-balancer")]
    assert [node.name for node in _docker.kind_nodes(Docker(*nodes), "m")] == ["m-control-plane", "m-worker"]


def test_a_cluster_without_nodes_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match="no node of a kind cluster 'm': set cluster to its name"):
        _docker.kind_nodes(Docker(), "m")


def test_a_stopped_node_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match=r"m-worker .* is exited: start it"):
        _docker.kind_nodes(Docker(Node("m-worker", status="exited")), "m")


def node_with(name: str, described: dict[str, object]) -> Node:
    node = Node("a")
    node.load(name, described)
    return node


def test_a_node_is_known_by_what_it_has_under_the_whole_name() -> None:
    wanted = content(OURS)
    assert _docker.on_node(node_with(NAME, image("a", created="2026-02-02")), NAME, wanted) == "present"
    assert _docker.on_node(node_with(NAME, OTHER), NAME, wanted) == "other content"
    assert _docker.on_node(node_with(f"{NAME}0", OURS), NAME, wanted) == "absent"
    assert _docker.on_node(node_with(NAME, OTHER), NAME, None) == "present"


def test_an_image_that_is_not_whole_is_absent() -> None:
    node = node_with(NAME, OURS)
    node.incomplete.add(NAME)
    assert _docker.on_node(node, NAME, content(OURS)) == "absent"


def test_of_several_platforms_that_of_the_image_counts() -> None:
    node = Node("a")
    node.load_index(NAME, image("other", "arm64"), OURS)
    assert _docker.on_node(node, NAME, content(OURS)) == "present"
    assert _docker.on_node(node, NAME, content(image("a", "arm64"))) == "other content"
    assert _docker.on_node(node, NAME, content(image("a", "s390x"))) == "other content"


def test_a_containerd_that_does_not_answer_is_a_sentence() -> None:
    node = Node("a")
    node.broken = "dial unix"
    with pytest.raises(_docker.ImageError, match="on the node a does not answer: dial unix"):
        _docker.on_node(node, NAME, content(OURS))


def refusal(explanation: str) -> Exception:
    error = _docker.APIError("500")
    error.explanation = explanation
    return error


def test_what_a_registry_has() -> None:
    docker = Docker()
    docker.registry["r/c:v1"] = [OURS, image("a", "arm64")]
    assert _docker.published(docker, "r/c:v1") == (digest(docker.registry["r/c:v1"]), ["linux/amd64", "linux/arm64"])


@pytest.mark.parametrize("answer", [_docker.NotFound("404"), refusal("errors:\nname unknown: repository"), refusal("manifest unknown")])
def test_what_a_registry_does_not_have(answer: Exception) -> None:
    docker = Docker()
    docker.refusals = [answer]
    assert _docker.published(docker, "r/c:v1") is None


def test_a_registry_that_does_not_let_us_in_is_a_sentence() -> None:
    docker = Docker()
    docker.refusals = [refusal("denied")]
    with pytest.raises(_docker.ImageError, match=r"cannot be asked \(denied\): log in"):
        _docker.published(docker, "r/c:v1")


def test_a_push_that_is_refused_in_the_stream_is_a_sentence() -> None:
    docker = Docker()
    docker.local[NAME] = OURS
    docker.push_says = [{"status": "Preparing"}, {"error": "unauthorized"}]
    with pytest.raises(_docker.ImageError, match=r"did not take r:5000/c:v1 \(unauthorized\)"):
        _docker.push(docker, NAME, "r:5000/c:v1")
    assert docker.ran == [("push", "r:5000/c:v1")]


def test_what_cannot_be_pulled_to_be_compared_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    docker = Docker()
    docker.registry["r/c:v1"] = [OTHER]

    def pull(*_arguments: object, **_options: object) -> None:
        raise _docker.APIError("denied")

    monkeypatch.setattr(docker, "pull", pull)
    with pytest.raises(_docker.ImageError, match=r"r/c@sha256:.* cannot be pulled .*\(denied\): log in"):
        _docker.is_published(docker, "r/c:v1", _docker.published(docker, "r/c:v1"), content(OURS))
