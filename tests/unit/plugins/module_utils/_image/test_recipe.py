# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What is decided before CoreDNS is compiled."""

from __future__ import annotations

import io
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image import recipe as image
from hypothesis import given
from hypothesis import strategies as st

PLUGIN_CFG = """\
# The parser takes the input format of:
#
# kubernetes:kubernetes
# answer:answer
cache:cache
k8s_external:k8s_external
kubernetes:kubernetes
file:file
on:github.com/coredns/caddy/onevent
"""
MULTICLUSTER = {"name": "multicluster", "module": "github.com/coredns/multicluster", "version": "edbcb64f00e2"}


def plugin(name: str, position: str = "after") -> image.Plugin:
    return image.Plugin(name, f"example.org/{name}", "v1.0.0", "", position)


def test_plugins_stand_beside_kubernetes_in_the_order_given() -> None:
    plugins = [plugin("a"), plugin("b", "before"), plugin("c"), plugin("d", "before")]
    expected = PLUGIN_CFG.replace(
        "\nkubernetes:kubernetes\n",
        "\nb:example.org/b\nd:example.org/d\nkubernetes:kubernetes\na:example.org/a\nc:example.org/c\n",
    )
    assert image.insert_plugins(PLUGIN_CFG, plugins) == expected


def test_a_comment_is_neither_kubernetes_nor_a_plugin() -> None:
    lines = image.insert_plugins(PLUGIN_CFG, [plugin("answer")]).splitlines()
    assert lines.index("answer:example.org/answer") == lines.index("kubernetes:kubernetes") + 1


def test_a_last_line_without_its_end_gets_one() -> None:
    assert image.insert_plugins("kubernetes:kubernetes", [plugin("a")]) == "kubernetes:kubernetes\na:example.org/a\n"


@given(st.lists(st.sampled_from(["x:x", "y:y", "# z:z", "", "w:example.org/w"]), unique=True), st.integers(0, 5))
def test_what_was_there_stays(lines: list[str], where: int) -> None:
    text = "\n".join([*lines[:where], "kubernetes:kubernetes", *lines[where:]]) + "\n"
    added = [plugin("new"), plugin("first", "before")]
    inserted = image.insert_plugins(text, added).splitlines(keepends=True)
    ours = {f"{one.name}:{one.module}\n" for one in added}
    assert "".join(line for line in inserted if line not in ours) == text
    assert len(inserted) == len(text.splitlines()) + 2


def test_no_plugins_leave_the_file_alone() -> None:
    assert image.insert_plugins("anything\r\nat all", []) == "anything\r\nat all"


def test_a_plugin_that_is_there_is_refused_with_its_line() -> None:
    with pytest.raises(image.RecipeError, match=r"plugin\.cfg, line 5: .*'cache'"):
        image.insert_plugins(PLUGIN_CFG, [plugin("cache")])


def test_a_file_without_kubernetes_is_refused() -> None:
    with pytest.raises(image.RecipeError, match="no line for kubernetes"):
        image.insert_plugins("cache:cache\n", [plugin("a")])


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ({"version": "v1.15.0"}, "set version to such as 1.15.0"),
        ({"version": "latest"}, "set version to such as 1.15.0"),
        ({}, "set version to such as 1.15.0"),
        ({"version": "1.12.1"}, "set version to 1.12.2 or newer, or name the plugin"),
        ({"version": "1.9.3", "plugins": [MULTICLUSTER | {"name": "other"}]}, "1.12.2 or newer"),
        ({"version": "1.15.0", "toolchain": "1.26"}, "set toolchain to auto, local or such as go1.26.8"),
        ({"version": "1.15.0", "path": "src/coredns"}, "not absolute"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER, MULTICLUSTER]}, "plugins names 'multicluster' twice"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"name": "a:b"}]}, "no name for a plugin"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"name": "a\nb"}]}, "no name for a plugin"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"module": "a b"}]}, "no Go module"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"module": "x.org/a:b"}]}, "no Go module"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"module": "-flag"}]}, "no Go module"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"version": "main"}]}, "not pinned"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"version": "latest"}]}, "not pinned"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"version": "edbcb64"}]}, "not pinned"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"path": "/src"}]}, "either 'version'"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"version": None}]}, "either 'version'"),
        ({"version": "1.15.0", "plugins": [MULTICLUSTER | {"position": "first"}]}, "after or before"),
    ],
)
def test_what_cannot_be_built_is_refused(inputs: dict[str, t.Any], says: str) -> None:
    with pytest.raises(image.RecipeError, match=says):
        image.recipe(inputs)


@pytest.mark.parametrize("version", ["v0.1.0", "v0.0.0-20250326101112-edbcb64f00e2", "edbcb64f00e2", "v2.0.0+incompatible"])
def test_pinned_versions_are_taken(version: str) -> None:
    wanted = image.recipe({"version": "1.11.4", "plugins": [MULTICLUSTER | {"version": version}]})
    assert wanted.plugins[0].version == version


def test_the_oldest_with_the_option_needs_no_plugin() -> None:
    assert image.recipe({"version": "1.12.2"}).plugins == ()


VARIATIONS: list[dict[str, t.Any]] = [
    {},
    {"version": "1.14.3"},
    {"arch": "s390x"},
    {"toolchain": "go1.26.8"},
    {"plugins": [MULTICLUSTER]},
    {"plugins": [MULTICLUSTER | {"version": "v0.1.0"}]},
    {"plugins": [MULTICLUSTER | {"position": "before"}]},
    {"plugins": [MULTICLUSTER, MULTICLUSTER | {"name": "other"}]},
    {"plugins": [MULTICLUSTER | {"name": "other"}, MULTICLUSTER]},
]


def test_whatever_goes_in_changes_the_name() -> None:
    names = [image.recipe_identifier({"version": "1.15.0", "arch": "amd64"} | one) for one in VARIATIONS]
    assert len(set(names)) == len(names)
    assert all(len(name) == 12 and int(name, 16) >= 0 for name in names)


def test_a_newer_version_of_this_collection_builds_no_other_image() -> None:
    """Another name brings another image to everyone who builds one: a change of how it is built is a breaking change, to be told of."""
    assert image.recipe_identifier({"version": "1.15.0", "arch": "amd64"}) == "145abe3b97e5"


def test_absent_and_empty_are_the_same() -> None:
    empty = {"version": "1.15.0", "path": "", "plugins": [], "toolchain": "auto", "dockerfile": ""}
    assert image.recipe_identifier(empty) == image.recipe_identifier({"version": "1.15.0"})


def tree(root: Path) -> dict[str, t.Any]:
    root.mkdir()
    (root / "go.mod").write_text("module example.org/a\n")
    (root / "a.go").write_text("package a\n")
    return {"version": "1.15.0", "plugins": [{"name": "a", "module": "example.org/a", "path": str(root)}]}


def test_where_a_source_tree_lies_does_not_matter_but_what_is_in_it_does(tmp_path: Path) -> None:
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert image.recipe_identifier(one) == image.recipe_identifier(two)
    for change in (
        lambda root: (root / "a.go").write_text("package b\n"),
        lambda root: (root / "empty.go").touch(),
        lambda root: (root / "a.go").rename(root / "b.go"),
        lambda root: (root / "go.mod").chmod(0o755),
    ):
        before = image.recipe_identifier(two)
        change(tmp_path / "two")
        assert image.recipe_identifier(two) != before


def test_git_and_times_do_not_matter(tmp_path: Path) -> None:
    inputs = tree(tmp_path / "one")
    before = image.recipe_identifier(inputs)
    (tmp_path / "one" / ".git").mkdir()
    (tmp_path / "one" / ".git" / "HEAD").write_text("x")
    (tmp_path / "one" / "a.go").touch()
    assert image.recipe_identifier(inputs) == before


def test_a_dockerfile_of_ones_own_counts_by_its_contents(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text("FROM scratch\n")
    inputs = {"version": "1.15.0", "dockerfile": str(file)}
    before = image.recipe_identifier(inputs)
    assert before != image.recipe_identifier({"version": "1.15.0"})
    file.write_text("FROM debian\n")
    assert image.recipe_identifier(inputs) != before


@pytest.mark.parametrize("dockerfile", [image.DOCKERFILE, 'FROM a AS b\nRUN x\n\nFROM scratch\nENTRYPOINT ["/coredns"]'])
def test_the_image_says_its_recipe(dockerfile: str) -> None:
    assert image.labelled(dockerfile, "0b5f6f1c2d3e") == f"{dockerfile.rstrip()}\nLABEL clusterset.dns.recipe=0b5f6f1c2d3e\n"


def test_an_image_without_the_label_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.recipe_identifier({"version": "1.15.0"})
    monkeypatch.setattr(image, "LABEL", "")
    assert image.recipe_identifier({"version": "1.15.0"}) != before


def test_a_path_that_is_not_there_is_named() -> None:
    with pytest.raises(image.RecipeError, match="/no/such/tree cannot be read"):
        image.recipe_identifier({"version": "1.15.0", "path": "/no/such/tree"})


def test_the_version_of_a_source_tree() -> None:
    text = 'package coremain\n\nconst (\n\tCoreVersion = "1.14.3"\n\tCoreName    = "CoreDNS"\n)\n'
    assert image.core_version(text) == "1.14.3"
    assert image.core_version("package coremain\n") == ""


def test_the_module_of_a_source_tree() -> None:
    assert image.module_of("// a comment\n\nmodule example.org/a // more\n\ngo 1.24\n") == "example.org/a"
    assert image.module_of('module "example.org/a"\n') == "example.org/a"
    assert image.module_of("go 1.24\n") == ""


def test_the_layer_has_the_capability_and_is_the_same_each_time() -> None:
    one, two = io.BytesIO(), io.BytesIO()
    image.write_layer(b"binary", one)
    image.write_layer(b"binary", two)
    assert one.getvalue() == two.getvalue()
    one.seek(0)
    with tarfile.open(fileobj=one) as archive:
        (entry,) = archive.getmembers()
        assert archive.extractfile(entry).read() == b"binary"
    assert (entry.name, entry.mode, entry.uid, entry.gid, entry.mtime) == ("coredns", 0o755, 0, 0, 0)
    # What `getfattr -n security.capability -e hex` shows after `setcap cap_net_bind_service=+ep`.
    expected = bytes.fromhex("0100000200040000000000000000000000000000")
    assert entry.pax_headers["SCHILY.xattr.security.capability"].encode("latin-1") == expected
