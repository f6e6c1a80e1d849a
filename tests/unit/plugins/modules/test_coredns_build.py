# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a build leaves behind, also when it is killed or not alone. A script stands in for `go`; the real one: tests/integration."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.modules import coredns_build

# As `go`: notes what it was called with, hands out a source tree, and "compiles" by copying plugin.cfg.
GO = """\
#!/bin/sh
echo "$*" >> {log}
case "$1 $2" in
  "mod download") echo '{{"Dir": "{tree}"}}' ;;
  "build "*) sleep {seconds}; while [ "$1" != -o ]; do shift; done; cat plugin.cfg go.mod > "$2" ;;
  "mod edit") shift 2; echo "$*" >> go.mod ;;
esac
"""


@pytest.fixture
def go(tmp_path: Path) -> t.Callable[..., Path]:
    """Makes a `go` that takes so many seconds to build."""
    tree = tmp_path / "tree"
    (tree / "coremain").mkdir(parents=True)
    (tree / "coremain" / "version.go").write_text('const (\n\tCoreVersion = "1.15.0"\n)\n')
    (tree / "plugin.cfg").write_text("cache:cache\nkubernetes:kubernetes\n")
    (tree / "go.mod").write_text("module github.com/coredns/coredns\n")
    for file in (*tree.rglob("*.*"),):
        file.chmod(0o444)

    def make(seconds: float = 0) -> Path:
        script = tmp_path / "go"
        script.write_text(GO.format(log=tmp_path / "log", tree=tree, seconds=seconds))
        script.chmod(0o755)
        return script

    return make


def start(go: Path, cache: Path, **options: t.Any) -> subprocess.Popen[str]:
    """The module in a process group of its own, with its arguments read."""
    arguments = {"version": "1.15.0", "go": str(go), "cache": str(cache), **options}
    file = cache.parent / f"arguments-{time.monotonic_ns()}.json"
    file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
    root = Path(coredns_build.__file__).parents[5]
    return subprocess.Popen(
        [sys.executable, "-m", coredns_build.__name__, str(file)],
        env=os.environ | {"PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> dict[str, t.Any]:
    out, err = process.communicate(timeout=60)
    assert out, err
    return json.loads(out)


def build(go: Path, cache: Path, **options: t.Any) -> dict[str, t.Any]:
    return finish(start(go, cache, **options))


def builds(tmp_path: Path) -> int:
    return sum(line.startswith("build ") for line in (tmp_path / "log").read_text().splitlines())


def test_a_result_is_found_again_without_go(go: t.Callable[..., Path], tmp_path: Path) -> None:
    first = build(go(), tmp_path / "cache")
    assert (first["changed"], len(first["sha256"])) == (True, 64)
    second = build(tmp_path / "no-such-go", tmp_path / "cache")
    assert (second["changed"], second["sha256"]) == (False, first["sha256"])
    assert sorted(entry.name for entry in Path(first["context"]).iterdir()) == ["Dockerfile", "root.tar", "sha256"]


def test_the_image_is_labelled_whichever_dockerfile_it_is_built_by(go: t.Callable[..., Path], tmp_path: Path) -> None:
    own = tmp_path / "Dockerfile"
    own.write_text("FROM scratch\nADD root.tar /")
    for options in ({}, {"dockerfile": str(own)}, {"arch": "s390x"}):
        result = build(go(), tmp_path / "cache", **options)
        written = Path(result["context"], "Dockerfile").read_text()
        assert written.startswith("FROM scratch\nADD root.tar /\n")
        assert written.endswith(f"\nLABEL clusterset.dns.recipe={result['recipe']}\n")
    assert result["platform"] == "linux/s390x"


def test_check_mode_says_so_and_writes_nothing(go: t.Callable[..., Path], tmp_path: Path) -> None:
    result = build(go(), tmp_path / "cache", _ansible_check_mode=True)
    assert result["changed"] is True
    assert not (tmp_path / "cache").exists()
    assert not (tmp_path / "log").exists()


def test_a_killed_build_leaves_no_result_and_is_cleared_away(go: t.Callable[..., Path], tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    process = start(go(seconds=30), cache)
    deadline = time.monotonic() + 30
    while not (tmp_path / "log").exists() or not builds(tmp_path):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    left = [entry.name for entry in cache.iterdir() if entry.name != "lock"]
    assert len(left) == 1
    assert left[0].startswith("build-")
    result = build(go(), cache)
    assert result["changed"] is True
    assert sorted(entry.name for entry in cache.iterdir()) == sorted(["lock", result["recipe"]])


def test_two_at_once_build_once(go: t.Callable[..., Path], tmp_path: Path) -> None:
    script = go(seconds=1)
    with contextlib.ExitStack() as stack:
        both = [stack.enter_context(start(script, tmp_path / "cache")) for _process in range(2)]
        results = [finish(process) for process in both]
    assert sorted(result["changed"] for result in results) == [False, True]
    assert builds(tmp_path) == 1


def test_a_plugin_from_a_folder_is_replaced_by_a_path_inside_the_tree(go: t.Callable[..., Path], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "go.mod").write_text("module example.org/a\n")
    plugin = {"name": "a", "module": "example.org/a", "path": str(source)}
    result = build(go(), tmp_path / "cache", plugins=[plugin])
    assert result["changed"] is True, result
    content = (Path(result["context"]) / "root.tar").read_bytes()
    assert b"kubernetes:kubernetes\na:example.org/a\n" in content
    assert b"-replace=example.org/a=./_external/a" in content
    assert str(tmp_path).encode() not in content


@pytest.mark.parametrize(
    ("declares", "says"),
    [("module example.org/b\n", "declares the Go module example.org/b"), (None, "it has no go.mod")],
)
def test_a_folder_that_is_another_module_is_refused(go: t.Callable[..., Path], tmp_path: Path, declares: str | None, says: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    if declares:
        (source / "go.mod").write_text(declares)
    plugin = {"name": "a", "module": "example.org/a", "path": str(source)}
    result = build(go(), tmp_path / "cache", plugins=[plugin])
    assert says in result["msg"]
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["lock"]


def test_a_tree_of_another_version_is_refused(go: t.Callable[..., Path], tmp_path: Path) -> None:
    result = build(go(), tmp_path / "cache", version="1.14.3", path=str(tmp_path / "tree"))
    assert "is CoreDNS 1.15.0, not 1.14.3: set version to 1.15.0" in result["msg"]


def test_without_go_there_is_a_sentence(tmp_path: Path) -> None:
    result = build(tmp_path / "no-such-go", tmp_path / "cache")
    assert result["msg"].startswith("Go is not here")
    assert not (tmp_path / "cache").exists()


def test_the_users_source_tree_is_left_alone(go: t.Callable[..., Path], tmp_path: Path) -> None:
    script = go()
    before = (tmp_path / "tree" / "plugin.cfg").read_text()
    plugin = {"name": "a", "module": "example.org/a", "version": "v1.0.0"}
    assert build(script, tmp_path / "cache", path=str(tmp_path / "tree"), plugins=[plugin])["changed"] is True
    assert (tmp_path / "tree" / "plugin.cfg").read_text() == before
    assert "get example.org/a@v1.0.0" in (tmp_path / "log").read_text()
