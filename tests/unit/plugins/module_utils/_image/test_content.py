# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""When two images are the same, and for which nodes one is."""

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image.content import choose, content, platforms, uncovered

from .docker_standin import image, oci

OURS = image("a", Labels={"clusterset.dns.recipe": "0b5f6f1c2d3e"})


def test_docker_and_a_registry_describe_the_same_image() -> None:
    assert content(OURS) == content(oci(OURS))
    assert content(OURS).platform == "linux/amd64"


def test_when_it_was_built_does_not_matter() -> None:
    assert content(OURS) == content({**OURS, "Created": "2020-01-01", "Id": "sha256:0"})


@pytest.mark.parametrize(
    "other",
    [
        image("b", Labels={"clusterset.dns.recipe": "0b5f6f1c2d3e"}),
        image("a", "arm64", Labels={"clusterset.dns.recipe": "0b5f6f1c2d3e"}),
        image("a", Labels={"clusterset.dns.recipe": "000000000000"}),
        image("a"),
        image("a", User="0", Labels={"clusterset.dns.recipe": "0b5f6f1c2d3e"}),
        image("a", Entrypoint=["/bin/sh"], Labels={"clusterset.dns.recipe": "0b5f6f1c2d3e"}),
        image("a", Env=["LD_PRELOAD=/x"], Labels={"clusterset.dns.recipe": "0b5f6f1c2d3e"}),
    ],
)
def test_what_is_in_it_does(other: dict[str, object]) -> None:
    assert content(other) != content(OURS)


def test_platforms_as_a_registry_tells_them() -> None:
    said = [
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "amd64"},
        {"os": "unknown", "architecture": "unknown"},
        {"os": "linux", "architecture": "amd64"},
    ]
    assert platforms(said) == ["linux/amd64", "linux/arm64/v8"]
    assert platforms(None) == platforms([{"architecture": "", "os": ""}]) == []


@pytest.mark.parametrize(
    ("image_platforms", "nodes", "lacking"),
    [
        (["linux/amd64"], ["amd64", "amd64"], []),
        (["linux/amd64"], ["arm64", "amd64", "arm64"], ["arm64"]),
        (["linux/amd64", "linux/arm64/v8"], ["arm64", "amd64"], []),
        (["linux/arm/v7"], ["arm64"], ["arm64"]),
        (["windows/amd64", "linux/arm64"], ["s390x", "amd64"], ["amd64", "s390x"]),
        ([], ["arm64"], []),
        (["linux/amd64"], [], []),
    ],
)
def test_nodes_that_an_image_is_not_for(image_platforms: list[str], nodes: list[str], lacking: list[str]) -> None:
    assert uncovered(image_platforms, nodes) == lacking


def test_the_manifest_of_a_platform() -> None:
    index = {"manifests": [{"digest": "a", "platform": {"os": "linux", "architecture": "arm64"}}, {"digest": "b"}]}
    assert choose(index, "linux/arm64/v8") == "a"
    assert choose(index, "linux/amd64") == ""
