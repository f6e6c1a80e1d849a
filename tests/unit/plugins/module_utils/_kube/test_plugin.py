# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Credential plugins that work, fail and hang, alone and in a fleet."""

from __future__ import annotations

import json
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import plugin as _plugin
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn

NODES = "/api/v1/nodes"
VERSION = "client.authentication.k8s.io/v1"


class Access:
    """Makes kubeconfigs whose user has a credential plugin: a shell script."""

    def __init__(self, folder: Path, server: str) -> None:
        self.folder = folder
        self.server = server

    def __call__(self, script: str, name: str = "plugin", **spec: t.Any) -> dict[str, t.Any]:
        file = self.folder / name
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        user = {"exec": {"apiVersion": VERSION, "command": str(file), **spec}}
        return {
            "kubeconfig": {
                "current-context": "a",
                "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                "clusters": [{"name": "a", "cluster": {"server": self.server}}],
                "users": [{"name": "a", "user": user}],
            }
        }


@pytest.fixture
def access(tmp_path: Path) -> t.Iterator[Access]:
    with ApiStandIn() as api:
        api.put(f"{NODES}/one", {})
        yield Access(tmp_path, api.url)


def credential(**status: str) -> str:
    return "echo '" + json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status}) + "'"


def hanging(folder: Path, name: str) -> str:
    """A plugin that never ends, and that has started another process, whose number is in a file."""
    return f"sleep 600 & echo $! > {folder}/{name}.pid; wait"


def is_gone(file: Path) -> bool:
    """Whether the process whose number is in the file ends, now or in a moment."""
    stat, until = Path(f"/proc/{file.read_text().strip()}/stat"), time.monotonic() + 2
    while stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def seconds_of(call: t.Callable[[], t.Any], says: str) -> float:
    """How long it takes until the call fails with these words."""
    began = time.monotonic()
    with pytest.raises(ApiError, match=says):
        call()
    return time.monotonic() - began


def test_a_token_is_used(access: Access) -> None:
    cluster = Cluster("a", access(credential(token="t")))
    assert cluster._headers() == {"authorization": "Bearer t"}
    assert len(cluster.list(NODES)) == 1


def test_arguments_environment_and_cluster_are_handed_on(access: Access) -> None:
    script = f'echo "$1 $WHO $KUBERNETES_EXEC_INFO" > {access.folder}/seen; {credential(token="t")}'
    Cluster("a", access(script, args=["one"], env=[{"name": "WHO", "value": "me"}], provideClusterInfo=True))
    first, who, info = (access.folder / "seen").read_text().split(maxsplit=2)
    assert (first, who, json.loads(info)["spec"]["cluster"]["server"]) == ("one", "me", access.server)


def test_certificates_are_used(access: Access) -> None:
    access.server = "https://127.0.0.1:9"
    with pytest.raises(ApiError, match="its certificates cannot be used"):
        Cluster("a", access(credential(clientCertificateData="no certificate", clientKeyData="no key")))


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo not logged in >&2; exit 3", "ended with 3: not logged in"),
        ("echo hello", "did not print an ExecCredential"),
        (credential(expirationTimestamp="soon", token="t"), "did not print an ExecCredential"),
        (credential(), "gave neither a token nor a certificate"),
        (credential(token="t").replace("k8s.io/v1", "k8s.io/v1beta1"), "speaks client.authentication.k8s.io/v1beta1"),
    ],
)
def test_a_plugin_that_fails_is_told_with_its_own_words(access: Access, script: str, says: str) -> None:
    with pytest.raises(ApiError, match=f"a: the kubeconfig's credential plugin {access.folder}/plugin {says}") as raised:
        Cluster("a", access(script))
    assert raised.value.reason == "Config"


def test_a_plugin_that_is_not_there_is_told(access: Access) -> None:
    with pytest.raises(ApiError, match="credential plugin /no/such cannot be run: No such file or directory"):
        Cluster("a", access("", command="/no/such"))


def test_a_plugin_that_hangs_is_stopped_with_all_that_it_started(access: Access) -> None:
    way = access(hanging(access.folder, "one"))
    assert 1.2 <= seconds_of(lambda: Cluster("a", way, timeout=0.4), r"was not done within 1\.2 seconds") < 2
    assert is_gone(access.folder / "one.pid")


def test_the_deadline_stops_a_plugin(access: Access) -> None:
    way = access(hanging(access.folder, "one"))
    assert seconds_of(lambda: Cluster("a", way, deadline=time.monotonic() + 0.5), "was not done within the deadline") < 1
    assert is_gone(access.folder / "one.pid")


def test_clusters_with_the_same_plugin_run_it_once(access: Access) -> None:
    way = access(f"echo run >> {access.folder}/runs; sleep 0.2; {credential(token='t')}")
    jobs = {str(number): lambda: Cluster("a", way).list(NODES) for number in range(20)}
    found = each(jobs, parallel=4, deadline=time.monotonic() + 20)
    assert [len(one) for one in found.values()] == [1] * 20  # type: ignore[arg-type]
    assert (access.folder / "runs").read_text() == "run\n"


def test_a_plugin_that_failed_is_run_again(access: Access) -> None:
    way = access(f"test -e {access.folder}/logged-in || exit 1; {credential(token='t')}")
    with pytest.raises(ApiError, match="ended with 1"):
        Cluster("a", way)
    (access.folder / "logged-in").touch()
    assert Cluster("a", way).list(NODES)


def test_a_credential_is_renewed_when_it_ends(access: Access) -> None:
    """And nothing else of the connection changes with it."""
    count = f"echo run >> {access.folder}/runs; n=$(wc -l < {access.folder}/runs)"
    template = credential(token="t#", expirationTimestamp="2020-01-01T00:00:00Z").replace("#", "'$n'")
    cluster = Cluster("a", {**access(f"{count}; {template}"), "host": access.server + "/"})
    assert [cluster._headers()["authorization"] for _time in range(2)] == ["Bearer t2", "Bearer t3"]
    assert cluster.server == access.server


def test_a_fleet_is_done_behind_plugins_that_hang(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    """16 of them come first, as many as there are places, and members with plugins that work as well as members without any come after."""
    monkeypatch.setattr(_plugin, "_PATIENCE", 0.2)
    ways: dict[str, dict[str, t.Any]] = {}
    for number in range(16):
        ways[f"hangs{number}"] = access(hanging(access.folder, f"hangs{number}"), f"hangs{number}")
    for number in range(16):
        ways[f"works{number}"] = access(credential(token="t"), f"works{number}")
        ways[f"plain{number}"] = {"host": access.server, "api_key": "t"}
    ended: dict[str, float] = {}

    def look(name: str) -> int:
        found = len(Cluster(name, ways[name], deadline=deadline).list(NODES))
        ended[name] = time.monotonic() - began
        return found

    began = time.monotonic()
    deadline = began + 6
    found = each({name: lambda name=name: look(name) for name in ways}, parallel=16, deadline=deadline)  # type: ignore[misc]
    assert time.monotonic() - began < 8
    late = {name for name, result in found.items() if result != 1}
    assert late == {name for name in ways if name.startswith("hangs")}
    assert all("was not done within the deadline" in str(found[name]) for name in late)
    assert max(ended.values()) < 5
    assert all(is_gone(access.folder / f"{name}.pid") for name in late)
