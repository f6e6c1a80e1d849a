# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""kind_image and registry_image: what is loaded or pushed, and what check mode says."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image import engine as _docker
from ansible_collections.clusterset.dns.plugins.modules import kind_image, registry_image

from ..module_utils._image.docker_standin import Docker, Node, digest, image

IMAGE = "localhost/coredns/abc:v1.15.0"
TARGET = "r/coredns:v1"
OURS, OTHER = image("a"), image("b")
AGAIN = image("a", created="2026-02-02")
PLUGINS = Path(__file__).resolve().parents[4] / "plugins"


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Docker:
    """An engine that has the image, with a cluster of which one node has it as well."""
    nodes = Node("m-control-plane", role="control-plane"), Node("m-worker")
    nodes[0].load(IMAGE, OURS)
    engine = Docker(*nodes)
    engine.local[IMAGE] = OURS
    monkeypatch.setattr(_docker, "connect", lambda _module: engine)
    return engine


def load(docker: Docker, **more: t.Any) -> dict[str, t.Any]:
    return kind_image.ensure(docker.module(**({"name": IMAGE, "cluster": "m", "kind": "/bin/true"} | more)))


def push(docker: Docker, **more: t.Any) -> dict[str, t.Any]:
    return registry_image.ensure(docker.module(**({"name": TARGET, "source": IMAGE, "force": False} | more)))


def test_only_nodes_that_lack_the_image_get_it(docker: Docker) -> None:
    result = load(docker)
    assert (result["changed"], result["loaded"], result["platforms"]) == (True, ["m-worker"], ["linux/amd64"])
    assert docker.ran == [["/bin/true", "load", "docker-image", IMAGE, "--name", "m", "--nodes", "m-worker"]]
    assert load(docker, kind="/no/kind")["changed"] is False
    assert len(docker.ran) == 1


def test_another_image_under_the_name_is_replaced_on_the_node(docker: Docker) -> None:
    docker.nodes[0].load(IMAGE, OTHER)
    docker.nodes[1].load(IMAGE, AGAIN)
    result = load(docker)
    assert (result["changed"], result["loaded"]) == (True, ["m-control-plane"])
    assert result["diff"]["before"] == {"m-control-plane": "other content", "m-worker": "present"}
    assert load(docker)["changed"] is False


def test_check_mode_loads_nothing_even_where_nothing_is_built(docker: Docker) -> None:
    docker.local.clear()
    result = load(docker, check_mode=True)
    assert (result["changed"], result["loaded"], result["platforms"], docker.ran) == (True, ["m-worker"], [], [])
    assert result["diff"]["before"] == {"m-control-plane": "present", "m-worker": "absent"}


def test_check_mode_tells_of_other_content(docker: Docker) -> None:
    for node in docker.nodes:
        node.load(IMAGE, OTHER)
    result = load(docker, check_mode=True)
    assert (result["changed"], result["loaded"], docker.ran) == (True, ["m-control-plane", "m-worker"], [])


@pytest.mark.parametrize("bring", [load, push])
def test_an_image_that_is_not_built_is_a_sentence(docker: Docker, bring: t.Callable[[Docker], object]) -> None:
    docker.local.clear()
    docker.registry[TARGET] = [OURS]
    with pytest.raises(_docker.ImageError, match=f"Docker has no image {IMAGE}: build or pull it first"):
        bring(docker)


def test_a_kind_that_is_not_there_is_a_sentence(docker: Docker) -> None:
    with pytest.raises(_docker.ImageError, match="install kind, or set kind to its path"):
        load(docker, kind="/no/kind")


# kubernetes-sigs/kind, issue 3795
PARTIAL = (
    'ERROR: failed to load image: command "docker exec --privileged -i m-worker ctr --namespace=k8s.io images import --all-platforms --digests'
    ' --snapshotter=overlayfs -" failed with error: exit status 1\nCommand Output: ctr: content digest sha256:0b5f6f1c: not found\n'
)


def test_what_an_engine_has_for_its_own_platform_alone_is_brought_for_that(docker: Docker) -> None:
    docker.kind_says = PARTIAL
    result = load(docker)
    assert (result["changed"], result["loaded"]) == (True, ["m-worker"])
    assert [node.files for node in docker.nodes] == [{}, {}], "nothing is left on the nodes"
    assert load(docker)["changed"] is False


def test_another_failure_of_kinds_is_told(docker: Docker) -> None:
    docker.kind_says = "ERROR: no nodes found for cluster"
    with pytest.raises(_docker.ImageError, match=f"kind did not load {IMAGE} into the cluster 'm': ERROR: no nodes found for cluster"):
        load(docker)
    assert docker.nodes[1].names == {}


def test_a_node_that_does_not_take_the_image_is_named(docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    docker.kind_says = PARTIAL
    answers = docker.nodes[1].exec_run
    monkeypatch.setattr(
        docker.nodes[1], "exec_run", lambda command, demux: (1, (None, b"no space left")) if "import" in command else answers(command, demux)
    )
    with pytest.raises(_docker.ImageError, match="containerd on the node m-worker did not import the image: no space left"):
        load(docker)
    assert docker.nodes[1].files == {}


def test_a_load_without_effect_is_not_believed(docker: Docker) -> None:
    docker.works = False
    with pytest.raises(_docker.ImageError, match="does not have it on m-worker"):
        load(docker)


def test_a_push_happens_once(docker: Docker) -> None:
    first, second = push(docker), push(docker)
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["digest"] == second["digest"] == digest([OURS])
    assert first["platforms"] == second["platforms"] == ["linux/amd64"]
    assert docker.ran == [("push", TARGET)]


def test_what_another_controller_built_the_same_is_left_alone(docker: Docker) -> None:
    docker.registry[TARGET] = [AGAIN, image("a", "arm64")]
    result = push(docker)
    assert (result["changed"], result["digest"]) == (False, digest(docker.registry[TARGET]))
    assert result["platforms"] == ["linux/amd64", "linux/arm64"]
    assert push(docker)["changed"] is False
    assert docker.ran == [("pull", f"r/coredns@{result['digest']}")]


def test_another_image_under_the_tag_is_refused(docker: Docker) -> None:
    docker.registry[TARGET] = [OTHER]
    for check_mode in (False, True):
        with pytest.raises(_docker.ImageError, match=rf"another image under {TARGET} \(sha256:.*set force to push over it"):
            push(docker, check_mode=check_mode)
    assert docker.registry[TARGET] == [OTHER]
    assert not any("@" in name for name in docker.local), "what was pulled to be compared is gone again"


def test_another_image_under_the_tag_is_pushed_over_by_force(docker: Docker) -> None:
    docker.registry[TARGET] = [OTHER]
    told = push(docker, force=True, check_mode=True)
    assert (told["changed"], told["digest"], docker.registry[TARGET]) == (True, "", [OTHER])
    result = push(docker, force=True)
    assert (result["changed"], result["digest"], docker.registry[TARGET]) == (True, digest([OURS]), [OURS])
    assert push(docker, force=True)["changed"] is False


def test_one_for_other_nodes_is_refused_without_a_pull(docker: Docker) -> None:
    docker.registry[TARGET] = [image("a", "arm64")]
    with pytest.raises(_docker.ImageError, match="another image under"):
        push(docker)
    assert docker.ran == []


def test_check_mode_pushes_nothing(docker: Docker) -> None:
    docker.local.clear()
    result = push(docker, check_mode=True)
    assert (result["changed"], result["digest"], docker.ran) == (True, "", [])


def test_a_push_without_effect_is_not_believed(docker: Docker) -> None:
    docker.works = False
    with pytest.raises(_docker.ImageError, match="its registry does not have it"):
        push(docker)


@pytest.mark.parametrize(
    "path",
    [
        *sorted((PLUGINS / "module_utils" / "_image").glob("*.py")),
        *(PLUGINS / "modules" / f"{name}.py" for name in ("coredns_build", "kind_image", "registry_image")),
        PLUGINS / "filter" / "coredns_recipe.py",
    ],
    ids=lambda path: path.stem,
)
def test_users_of_a_bare_module_are_told_of_its_own_options(path: Path) -> None:
    assert re.findall(r"\b(?:coredns_image|coredns_publish)_[a-z]+", path.read_text().replace("_coredns_image", "")) == []
