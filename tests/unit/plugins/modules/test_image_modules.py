# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""kind_image and registry_image: what is loaded or pushed, and what check mode says."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image import engine as _docker
from ansible_collections.clusterset.dns.plugins.modules import kind_image, registry_image

IMAGE = "localhost/coredns/abc:v1.15.0"


class Fleet:
    """Nodes with their images, and a registry; stands in for Docker and `kind`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, nodes: dict[str, set[str]], registry: dict[str, str]) -> None:
        self.nodes, self.registry, self.ran = nodes, registry, []
        self.works, self.built = True, True
        monkeypatch.setattr(_docker, "connect", lambda _module: self)
        monkeypatch.setattr(_docker, "kind_nodes", lambda *_: [types.SimpleNamespace(name=name) for name in nodes])
        monkeypatch.setattr(_docker, "nodes_without", lambda found, image: [node.name for node in found if image not in nodes[node.name]])
        monkeypatch.setattr(_docker, "has_image", lambda *_: self.built)
        monkeypatch.setattr(_docker, "registry_digest", lambda _client, name: registry.get(name, ""))
        monkeypatch.setattr(_docker, "push", self.push)

    def push(self, _client: object, source: str, target: str) -> None:
        self.ran.append((source, target))
        if self.works:
            self.registry[target] = "sha256:new"

    def kind(self, command: list[str]) -> tuple[int, str, str]:
        self.ran.append(command)
        if self.works:
            for name in command[-1].split(","):
                self.nodes[name].add(IMAGE)
        return 0, "", ""

    def module(self, *, check_mode: bool = False, **params: t.Any) -> t.Any:
        return types.SimpleNamespace(params=params, check_mode=check_mode, run_command=self.kind)


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    return Fleet(monkeypatch, {"m-control-plane": {IMAGE}, "m-worker": set()}, {})


def kind_module(fleet: Fleet, **more: t.Any) -> t.Any:
    return fleet.module(name=IMAGE, cluster="m", **({"kind": "/bin/true"} | more))


def test_only_nodes_that_lack_the_image_get_it(fleet: Fleet) -> None:
    result = kind_image.ensure(kind_module(fleet))
    assert (result["changed"], result["loaded"]) == (True, ["m-worker"])
    assert fleet.ran == [["/bin/true", "load", "docker-image", IMAGE, "--name", "m", "--nodes", "m-worker"]]
    assert kind_image.ensure(kind_module(fleet, kind="/no/kind"))["changed"] is False
    assert len(fleet.ran) == 1


def test_check_mode_loads_nothing_even_where_nothing_is_built(fleet: Fleet) -> None:
    fleet.built = False
    result = kind_image.ensure(kind_module(fleet, check_mode=True))
    assert (result["changed"], result["loaded"], fleet.ran) == (True, ["m-worker"], [])
    assert result["diff"]["before"] == {"m-control-plane": IMAGE}


def test_an_image_that_is_not_built_is_a_sentence(fleet: Fleet) -> None:
    fleet.built = False
    with pytest.raises(_docker.ImageError, match="build it first"):
        kind_image.ensure(kind_module(fleet))


def test_a_kind_that_is_not_there_is_a_sentence(fleet: Fleet) -> None:
    with pytest.raises(_docker.ImageError, match="set coredns_publish_kind_binary"):
        kind_image.ensure(kind_module(fleet, kind="/no/kind"))


def test_a_load_without_effect_is_not_believed(fleet: Fleet) -> None:
    fleet.works = False
    with pytest.raises(_docker.ImageError, match="does not have it on m-worker"):
        kind_image.ensure(kind_module(fleet))


def test_a_push_happens_once(fleet: Fleet) -> None:
    module = fleet.module(name="r/coredns:v1", source=IMAGE)
    first = registry_image.ensure(module)
    assert (first["changed"], first["digest"]) == (True, "sha256:new")
    second = registry_image.ensure(module)
    assert (second["changed"], second["digest"]) == (False, "sha256:new")
    assert fleet.ran == [(IMAGE, "r/coredns:v1")]


def test_check_mode_pushes_nothing(fleet: Fleet) -> None:
    result = registry_image.ensure(fleet.module(check_mode=True, name="r/coredns:v1", source=None))
    assert (result["changed"], result["digest"], fleet.ran) == (True, "", [])


def test_a_push_without_effect_is_not_believed(fleet: Fleet) -> None:
    fleet.works = False
    with pytest.raises(_docker.ImageError, match="its registry does not have it"):
        registry_image.ensure(fleet.module(name="r/coredns:v1", source=IMAGE))
