# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""CoreDNS of a real member is changed and changed back while a client asks it 50 times a second."""

from __future__ import annotations

import os
import signal
import subprocess
import typing as t

import pytest
from lab_fleet import ENVIRONMENT, Fleet, Member, wait_for

TAGS = ("--tags", "coredns_multicluster")
ZONE = "clusterset.local"


def stages(member: Member) -> dict[str, t.Callable[[], t.Any]]:
    """What is seen in the cluster when a run is at each stage of the change."""

    def annotation(key: str) -> bool:
        return key in (member.deployment()["metadata"].get("annotations") or {})

    return {
        "proof": lambda: member.pods("clusterset.dns/proof=coredns"),
        "new pods beside the old ones": lambda: annotation("clusterset.dns/rollout"),
        "old pods out of service": lambda: member.pods("clusterset.dns/drained=coredns"),
        "Corefile written": lambda: ZONE in member.config_map()["data"]["Corefile"],
    }


def kill_at(fleet: Fleet, limit: str, stage: str, reached: t.Callable[[], t.Any]) -> None:
    """Start site.yml and kill it, and all that it started, with -9 once it has come to a stage."""
    command = fleet.command("playbooks/site.yml", "--limit", limit, *TAGS)
    running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(f"stage {stage!r}", lambda: reached() or running.poll() is not None, 180, pause=0.05)
        assert running.poll() is None, f"site.yml ended before the stage {stage!r}"
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.fixture
def stock(fleet: Fleet, member2: Member, site: None) -> dict[str, t.Any]:
    """The member's CoreDNS as its platform made it."""
    fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    return member2.state()


def test_killed_at_each_stage_then_torn_down(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """Install, killed at every stage, each time by a run that goes on from there; then the way back, byte for byte."""
    dns = member2.service_ip()
    with member2.probing({dns: 50}) as probing:
        for stage, reached in stages(member2).items():
            kill_at(fleet, member2.name, stage, reached)
        fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
        converged = member2.deployment()
        assert "clusterset.dns/rollout" not in converged["metadata"]["annotations"]
        assert converged["spec"]["strategy"] == stock["spec"]["strategy"]
        assert "minReadySeconds" not in converged["spec"]
        assert converged["status"]["updatedReplicas"] == converged["status"]["replicas"] == converged["spec"]["replicas"]
        assert ZONE in member2.config_map()["data"]["Corefile"]
        assert not member2.pods("clusterset.dns/drained")
        assert not member2.pods("clusterset.dns/proof")

        again = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
        assert "changed=0 " in again, again[-2000:]

        fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
        assert member2.state() == stock
    result = probing.results[dns]
    print(result)
    assert result["asked"] > 1000
    assert result["lost"] == 0, result["losses"]


def test_a_foreign_change_is_kept_by_the_way_back(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """A Corefile that someone else edited since keeps that edit, and the play says so."""
    fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
    corefile = member2.config_map()["data"]["Corefile"]
    member2.core.patch_namespaced_config_map("coredns", "kube-system", {"data": {"Corefile": corefile + "# theirs\n"}})
    said = fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    kept = member2.config_map()["data"]["Corefile"]
    member2.core.patch_namespaced_config_map("coredns", "kube-system", {"data": {"Corefile": stock["data"]["Corefile"]}})
    assert kept == stock["data"]["Corefile"] + "# theirs\n"
    assert "was changed by others" in said
    assert member2.deployment()["spec"] == stock["spec"]
