# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What check mode writes on a stock fleet, and what bad input writes: nothing, by the versions of all objects."""

from __future__ import annotations

import json
import subprocess
import typing as t

import pytest
from kubernetes import config, dynamic
from lab_fleet import ENVIRONMENT, LAB, Fleet, wait_for

# What controllers write by themselves all the time, and what is a view of something else.
BUSY = {"Binding", "ComponentStatus", "CSINode", "Cluster", "Event", "Lease", "Node", "APIService", "Work"}


# By cluster and object, see `versions`.
Versions = dict[str, dict[str, str]]


def versions(name: str) -> dict[str, str]:
    """The version of every object of a cluster: its generation where it has one (a status is no change), else its resourceVersion."""
    api = dynamic.DynamicClient(config.new_client_from_config(str(LAB / "kubeconfig" / f"{name}.yaml")))
    found = {}
    for resources in api.resources.search(preferred=True):
        if resources.kind.endswith("List") or resources.kind in BUSY or "list" not in resources.verbs:
            continue
        for item in resources.get().to_dict()["items"]:
            metadata = item["metadata"]
            key = f"{resources.group_version} {resources.kind} {metadata.get('namespace', '')}/{metadata['name']}"
            found[key] = str(metadata.get("generation") or metadata["resourceVersion"])
    return found


def all_versions(fleet: Fleet) -> Versions:
    return {name: versions(name) for name in ("karmada", *fleet.names)}


def settled(fleet: Fleet) -> Versions:
    """The versions once controllers have done what an earlier change gave them to do."""
    readings: list[Versions] = []

    def same_twice() -> bool:
        readings.append(all_versions(fleet))
        return readings[-2:-1] == readings[-1:]

    wait_for("two readings of the fleet are the same", same_twice, 120, pause=3)
    return readings[-1]


@pytest.fixture(scope="module")
def stock_fleet(fleet: Fleet) -> Versions:
    """The versions of the fleet as it is before site.yml."""
    fleet.play("playbooks/teardown.yml")
    fleet.play("lab/demo.yml")
    return settled(fleet)


def test_check_mode_on_a_stock_fleet(fleet: Fleet, stock_fleet: Versions) -> None:
    said = fleet.play("playbooks/site.yml", "--check", "--diff")
    assert all_versions(fleet) == stock_fleet
    assert said.count("failed=0") == 1 + len(fleet.names)
    assert "clusterset.local:53 {" in said


SERVE = {"namespace": "default", "name": "serve", "ports": [{"name": "http", "port": 80}], "from_clusters": ["member1"]}
WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "zone is the cluster domain": ({"clusterset_zone": "cluster.local"}, "is the cluster domain itself"),
    "service without ports": ({"clusterset_services": [{**SERVE, "ports": []}]}, "port"),
    "unknown cluster exports": ({"clusterset_services": [{**SERVE, "from_clusters": ["nowhere"]}]}, "nowhere"),
    "unknown cluster imports": ({"clusterset_services": [{**SERVE, "to_clusters": ["nowhere"]}]}, "nowhere"),
    "name too long": ({"clusterset_services": [{**SERVE, "name": "a" * 64}]}, "55 characters at most"),
    "name not DNS-1123": ({"clusterset_services": [{**SERVE, "name": "Serve_1"}]}, "Serve_1"),
    "kubeconfig that does not exist": ({"clusterset_kubeconfig": "/nowhere.yaml"}, "/nowhere.yaml"),
    "context that does not exist": ({"clusterset_context": "nowhere"}, "context nowhere"),
    "CoreDNS elsewhere": ({"coredns_multicluster_deployment": "nowhere"}, "has no CoreDNS Deployment kube-system/nowhere"),
    "CoreDNS too old and no image": ({"clusterset_image_source": "keep"}, "image_source is keep, so it gets no other image"),
}
# The fleet's own objects are made before members are looked at; what must not change then is the members' CoreDNS. These come last.
LATE = {"CoreDNS elsewhere", "CoreDNS too old and no image"}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_input_is_refused_in_words_and_writes_nothing(fleet: Fleet, stock_fleet: Versions, what: str) -> None:
    settings, words = WRONG[what]
    command = fleet.command("playbooks/site.yml", "-e", json.dumps(settings))
    ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    assert words in ran.stdout.replace("\\n", " "), ran.stdout[-3000:]
    assert "Traceback" not in ran.stdout + ran.stderr
    before, after = stock_fleet, all_versions(fleet)
    if what in LATE:
        before, after = ({name: coredns(found[name]) for name in fleet.names} for found in (before, after))
    assert after == before


def coredns(found: dict[str, str]) -> dict[str, str]:
    return {key: version for key, version in found.items() if " kube-system/coredns" in key}


def test_a_member_that_is_down_is_named_and_the_others_go_on(fleet: Fleet) -> None:
    """A paused node is what a machine that hangs looks like: connections are accepted, and nothing is answered."""
    down, *others = reversed(fleet.names)
    fleet.play("playbooks/site.yml")
    subprocess.run(["docker", "pause", f"{down}-control-plane"], check=True, capture_output=True)
    try:
        command = fleet.command("playbooks/site.yml")
        ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        command = fleet.command("playbooks/teardown.yml", "--check")
        back = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["docker", "unpause", f"{down}-control-plane"], check=True, capture_output=True)

    def recap_of(said: str) -> dict[str, str]:
        return {line.split()[0]: line for line in said[said.rindex("PLAY RECAP") :].splitlines() if " : " in line}

    recap = recap_of(ran.stdout)
    assert ran.returncode != 0
    assert "failed=1" in recap[down]
    assert f"{down}: the API server" in ran.stdout
    for name in others:
        assert "failed=0" in recap[name], ran.stdout[-4000:]
    # The table of the whole fleet has the member that is down as what is not right in it, and nothing else.
    assert f"1 not right, in {down}." in ran.stdout

    recap = recap_of(back.stdout)
    assert back.returncode != 0
    for name in others:
        assert "failed=0" in recap[name], back.stdout[-4000:]
    assert f"The control plane is left as it is, because CoreDNS was not given back in {down}." in back.stdout


def test_check_mode_of_the_way_back(fleet: Fleet) -> None:
    """What would be taken away is told, and stays."""
    fleet.play("playbooks/site.yml")
    before = settled(fleet)
    said = fleet.play("playbooks/teardown.yml", "--check", "--diff")
    assert all_versions(fleet) == before
    assert said.count("failed=0") == 1 + len(fleet.names)
    assert "changed=0 " not in said[said.rindex("PLAY RECAP") :]
    assert "-clusterset.local:53 {" in said
