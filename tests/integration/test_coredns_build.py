# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Compiles CoreDNS with a plugin from a local source tree and asks the binary.

Needs Go and its module proxy: minutes with an empty build cache, under a minute with a warm one. Not among the unit tests, so
named to be run: `pytest tests/integration/test_coredns_build.py`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tarfile
import time
import typing as t
import zipfile
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
PLUGIN = {"name": "answer", "module": "dns.clusterset.test/answer", "path": str(CHECKOUT / "tests/plugins/answer")}
VERSION = os.environ.get("COREDNS_VERSION", "1.15.0")
# The kubernetes plugin is in the same block and cannot reach its API server: it answers SERVFAIL for the zone, if it is asked.
COREFILE = """\
answer.test:{port} {{
    bind 127.0.0.1
    answer 192.0.2.53
    kubernetes answer.test {{
        endpoint http://127.0.0.1:1
        startup_timeout 1s
    }}
}}
"""


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds this checkout as `ansible_collections/clusterset/dns`."""
    root = tmp_path_factory.mktemp("collections")
    namespace = root / "ansible_collections" / "clusterset"
    namespace.mkdir(parents=True)
    (namespace / "dns").symlink_to(CHECKOUT, target_is_directory=True)
    return root


def build(collections: Path, cache: Path, *, environment: t.Mapping[str, str] | None = None, **options: t.Any) -> dict[str, t.Any]:
    """Run the module as `ansible` does, and return what it says."""
    arguments = {"version": VERSION, "cache": str(cache), **options}
    ran = subprocess.run(
        [sys.executable, "-m", "ansible_collections.clusterset.dns.plugins.modules.coredns_build"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env=os.environ | {"PYTHONPATH": str(collections)} | (environment or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    return json.loads(ran.stdout)


def unpacked(result: dict[str, t.Any], target: Path) -> Path:
    with tarfile.open(Path(result["context"]) / "root.tar") as archive:
        archive.extract("coredns", target, filter="data")
    return target / "coredns"


def ask(binary: Path, folder: Path) -> dns.message.Message:
    """The answer of a CoreDNS started for this one question."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    corefile = folder / "Corefile"
    corefile.write_text(COREFILE.format(port=port))
    with subprocess.Popen([binary, "-conf", corefile], stdout=subprocess.DEVNULL) as server:
        try:
            deadline = time.monotonic() + 30
            while True:
                try:
                    return dns.query.tcp(dns.message.make_query("a.ns.svc.answer.test", "A"), "127.0.0.1", 2, port)
                except (OSError, dns.exception.Timeout):
                    assert server.poll() is None, "CoreDNS ended"
                    assert time.monotonic() < deadline, "CoreDNS did not answer"
                    time.sleep(0.2)
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def before(collections: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, t.Any]:
    cache = tmp_path_factory.mktemp("cache")
    return build(collections, cache, plugins=[PLUGIN | {"position": "before"}]) | {"cache": cache}


def test_a_plugin_before_kubernetes_answers_first(before: dict[str, t.Any], tmp_path: Path) -> None:
    assert before.get("changed") is True, before
    answer = ask(unpacked(before, tmp_path), tmp_path)
    assert answer.rcode() == dns.rcode.NOERROR
    assert [record.to_text() for record in answer.answer[0]] == ["192.0.2.53"]


def test_a_plugin_after_kubernetes_is_asked_after_it(collections: Path, tmp_path: Path) -> None:
    result = build(collections, tmp_path / "cache", plugins=[PLUGIN])
    binary = unpacked(result, tmp_path)
    listed = subprocess.run([binary, "-plugins"], capture_output=True, text=True, check=True, timeout=30).stdout
    assert "answer" in [line.removeprefix("dns.") for line in listed.split()]
    assert ask(binary, tmp_path).rcode() == dns.rcode.SERVFAIL


def test_the_same_inputs_give_the_same_bytes_in_another_folder(collections: Path, before: dict[str, t.Any], tmp_path: Path) -> None:
    again = build(collections, tmp_path / "elsewhere", plugins=[PLUGIN | {"position": "before"}])
    assert again["changed"] is True
    assert again["sha256"] == before["sha256"]
    assert (Path(again["context"]) / "root.tar").read_bytes() == (Path(before["context"]) / "root.tar").read_bytes()


def test_what_was_built_is_found_again(collections: Path, before: dict[str, t.Any]) -> None:
    again = build(collections, before["cache"], plugins=[PLUGIN | {"position": "before"}], go="no-such-go")
    assert (again["changed"], again["sha256"]) == (False, before["sha256"])
    assert sorted(entry.name for entry in before["cache"].iterdir()) == sorted(["lock", before["recipe"]])


def test_a_plugin_that_does_not_compile_leaves_no_result(collections: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "go.mod").write_text("module dns.clusterset.test/broken\n\ngo 1.24\n")
    (broken / "broken.go").write_text("package broken\n\nfunc init() { nowhere() }\n")
    plugin = {"name": "broken", "module": "dns.clusterset.test/broken", "path": str(broken)}
    result = build(collections, tmp_path / "cache", plugins=[plugin])
    assert result["failed"] is True
    assert "undefined: nowhere" in result["msg"]
    assert [entry.name for entry in (tmp_path / "cache").iterdir()] == ["lock"]


def test_a_plugin_from_a_go_module_is_built_in(collections: Path, tmp_path: Path) -> None:
    """As from any module proxy, here a folder laid out as one (go.dev/ref/mod, "Communicating with proxies")."""
    module, version = PLUGIN["module"], "v0.1.0"
    shelf = tmp_path / "proxy" / module / "@v"
    shelf.mkdir(parents=True)
    (shelf / f"{version}.info").write_text(json.dumps({"Version": version}))
    source = Path(PLUGIN["path"])
    (shelf / f"{version}.mod").write_bytes((source / "go.mod").read_bytes())
    with zipfile.ZipFile(shelf / f"{version}.zip", "w") as archive:
        for name in ("go.mod", "answer.go"):
            archive.write(source / name, f"{module}@{version}/{name}")
    others = subprocess.run(["go", "env", "GOPROXY"], capture_output=True, text=True, check=True).stdout.strip()
    environment = {"GOPROXY": f"file://{tmp_path}/proxy,{others}", "GONOSUMDB": "dns.clusterset.test"}
    plugin = {"name": "answer", "module": module, "version": version, "position": "before"}
    result = build(collections, tmp_path / "cache", environment=environment, plugins=[plugin])
    assert result.get("changed") is True, result
    assert ask(unpacked(result, tmp_path), tmp_path).rcode() == dns.rcode.NOERROR
