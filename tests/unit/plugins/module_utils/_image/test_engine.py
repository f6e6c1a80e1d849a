# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Where images are looked for, and by which name."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image import engine as _docker


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


class Node:
    """A container that answers `ctr images check --quiet`."""

    def __init__(self, name: str, images: str = "", *, role: str = "worker", status: str = "running", code: int = 0):
        self.name, self.status, self.labels = name, status, {"io.x-k8s.kind.role": role}
        self.images, self.code, self.asked = images, code, []

    def exec_run(self, command: list[str]) -> tuple[int, bytes]:
        self.asked.append(command)
        return self.code, self.images.encode()


def engine(*nodes: Node) -> t.Any:
    return types.SimpleNamespace(containers=types.SimpleNamespace(list=lambda **_options: list(nodes)))


def test_nodes_are_those_that_run_pods() -> None:
    nodes = [Node("m-worker"), Node("m-control-plane", role="control-plane"), Node("m-lb", role="external-load-balancer")]
    assert [node.name for node in _docker.kind_nodes(engine(*nodes), "m")] == ["m-control-plane", "m-worker"]


def test_a_cluster_without_nodes_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match="no node of a kind cluster 'm': set coredns_publish_kind_cluster"):
        _docker.kind_nodes(engine(), "m")


def test_a_stopped_node_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match=r"m-worker .* is exited: start it"):
        _docker.kind_nodes(engine(Node("m-worker", status="exited")), "m")


def test_each_node_is_asked_for_the_whole_name() -> None:
    has = Node("a", "localhost/c:v1\n")
    other = Node("b", "localhost/c:v10\n")
    none = Node("c")
    assert _docker.nodes_without([has, other, none], "localhost/c:v1") == ["b", "c"]
    assert has.asked == [["ctr", "--namespace=k8s.io", "images", "check", "--quiet", "name==localhost/c:v1"]]


def test_a_containerd_that_does_not_answer_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match="on the node a does not answer: dial unix"):
        _docker.nodes_without([Node("a", "dial unix", code=1)], "localhost/c:v1")


class Registry:
    """An engine's images, with what their registry says."""

    def __init__(self, answer: str | Exception, lines: t.Sequence[dict[str, t.Any]] = ()) -> None:
        self.answer, self.lines, self.tagged = answer, lines, []
        self.images, self.api = self, types.SimpleNamespace(push=lambda *_args, **_options: iter(self.lines))

    def get_registry_data(self, _reference: str) -> t.Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return types.SimpleNamespace(id=self.answer)

    def get(self, reference: str) -> t.Any:
        if isinstance(self.answer, Exception) and reference == "absent":
            raise self.answer
        return types.SimpleNamespace(tag=lambda repository, tag: self.tagged.append((repository, tag)))


def refusal(explanation: str) -> Exception:
    error = _docker.APIError("500")
    error.explanation = explanation
    return error


def test_the_digest_that_a_registry_has() -> None:
    assert _docker.registry_digest(Registry("sha256:1"), "r/c:v1") == "sha256:1"


@pytest.mark.parametrize("answer", [_docker.NotFound("404"), refusal("errors:\nname unknown: repository"), refusal("manifest unknown")])
def test_what_a_registry_does_not_have(answer: Exception) -> None:
    assert _docker.registry_digest(Registry(answer), "r/c:v1") == ""


def test_a_registry_that_does_not_let_us_in_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match=r"cannot be asked \(denied\): log in"):
        _docker.registry_digest(Registry(refusal("denied")), "r/c:v1")


def test_a_push_that_is_refused_in_the_stream_is_a_sentence() -> None:
    registry = Registry("", [{"status": "Preparing"}, {"error": "unauthorized"}])
    with pytest.raises(_docker.ImageError, match=r"did not take r:5000/c:v1 \(unauthorized\)"):
        _docker.push(registry, "localhost/c:v1", "r:5000/c:v1")
    assert registry.tagged == [("r:5000/c", "v1")]


def test_a_push_of_what_is_not_there_is_a_sentence() -> None:
    with pytest.raises(_docker.ImageError, match="no image absent: build it first"):
        _docker.push(Registry(_docker.NotFound("404")), "absent", "r:5000/c:v1")
