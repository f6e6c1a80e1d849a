# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role, run by ansible-playbook as a user would, against API stand-ins: whom it reads and whom it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_collections.clusterset.dns
import pytest
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn

COLLECTIONS = Path(next(iter(ansible_collections.clusterset.dns.__path__))).parents[2]
IMPORT = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/default/serviceimports/serve"
SERVICE = "/api/v1/namespaces/default/services/serve"
BALANCER = {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}


@pytest.fixture
def fleet(tmp_path: Path) -> t.Iterator[dict[str, ApiStandIn]]:
    """Three members in the group ``europe``, with an import each. The first has a load balancer."""
    apis = {name: ApiStandIn().__enter__() for name in ("one", "two", "three")}
    for api in apis.values():
        api.put(IMPORT, {"spec": {"type": "ClusterSetIP", "ports": [{"port": 80}]}})
        api.put(SERVICE, {"spec": {"type": "ClusterIP"}})
    apis["one"].put(SERVICE, BALANCER)
    hosts = {name: {"clusterset_kubeconfig": str(kubeconfig(tmp_path, name, api.url))} for name, api in apis.items()}
    hosts["one"]["clusterset_member"] = "first"
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "clusterset_members": "europe",
        "serviceimport_ips_strategy": "load_balancer",
        "serviceimport_ips_wait": False,
    }
    inventory = {"all": {"vars": variables, "children": {"europe": {"hosts": hosts}}}}
    (tmp_path / "inventory.json").write_text(json.dumps(inventory))
    play = {"name": "Sync", "hosts": "europe", "gather_facts": False, "roles": ["clusterset.dns.serviceimport_ips"]}
    (tmp_path / "play.yml").write_text(json.dumps([play]))
    (tmp_path / "serial.yml").write_text(json.dumps([{**play, "serial": 1}]))
    yield apis
    for api in apis.values():
        api.__exit__()


def kubeconfig(folder: Path, name: str, server: str) -> Path:
    file = folder / f"{name}.kubeconfig.json"
    contexts = [{"name": "x", "context": {"cluster": "x", "user": "x"}}]
    users = [{"name": "x", "user": {"token": "none"}}]
    clusters = [{"name": "x", "cluster": {"server": server}}]
    file.write_text(json.dumps({"current-context": "x", "contexts": contexts, "clusters": clusters, "users": users}))
    return file


def play(folder: Path, *arguments: str, playbook: str = "play.yml") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.json", playbook, *arguments]
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_LOCALHOST_WARNING": "false"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def ips(fleet: dict[str, ApiStandIn]) -> dict[str, list[str]]:
    return {name: api.objects[IMPORT]["spec"].get("ips", []) for name, api in fleet.items()}


def test_a_limited_run_reads_the_fleet_and_writes_its_hosts(fleet: dict[str, ApiStandIn], tmp_path: Path) -> None:
    ran = play(tmp_path, "--limit", "two")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ips(fleet) == {"one": [], "two": ["192.0.2.9"], "three": []}
    assert fleet["one"].writes == fleet["three"].writes == []
    # the member with the load balancer down: what it gave stays, and that is said
    fleet["one"].faults.append(lambda *unused: (401, {}, {}))
    ran = play(tmp_path, "--limit", "two")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ips(fleet)["two"] == ["192.0.2.9"]
    assert "may be on first, which could not be read" in " ".join((ran.stdout + ran.stderr).split())


def test_a_batch_reads_the_fleet_and_writes_its_hosts(fleet: dict[str, ApiStandIn], tmp_path: Path) -> None:
    written: list[list[str]] = []
    for name, api in fleet.items():
        api.controller = lambda _path, name=name: written.append([name, *(one for one in fleet if fleet[one].writes)])
    ran = play(tmp_path, "-e", json.dumps({"serviceimport_ips_services": ["default/serve"]}), playbook="serial.yml")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ips(fleet) == {"one": ["192.0.2.9"], "two": ["192.0.2.9"], "three": ["192.0.2.9"]}
    assert written == [["one", "one"], ["two", "one", "two"], ["three", "one", "two", "three"]]
    assert ran.stdout.count("changed=1") == 3
