# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""When a pod counts as one that has taken the new Corefile."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import taking
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.taking import RefusedError, judged, take
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, workload
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._kube import waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from ansible_collections.clusterset.dns.tests.unit.member_standin import APPS, CORE, KUBEADM_COREFILE, MemberStandIn

BEFORE = {"p": {"pod": "p", "hash": "old", "failed": 1}}
OTHER = KUBEADM_COREFILE.replace("ttl 30", "ttl 31")


def pod(**fields: t.Any) -> dict[str, t.Any]:
    return {"pod": "p", "hash": "old", "failed": 1, "gone": False, **fields}


@pytest.mark.parametrize(("found", "current"), [("new", True), ("old", False), ("", False)])
def test_by_the_hash_that_is_known(found: str, current: bool) -> None:
    assert judged(pod(hash=found), "new", {}, 0.0) is current


@pytest.mark.parametrize(
    ("seen", "elapsed", "current"),
    [
        (pod(), 10.0, False),
        (pod(hash="new"), 10.0, True),
        (pod(), 100.0, True),
        (pod(hash="new", failed=2), 10.0, False),
        (pod(failed=2), 100.0, False),
        (pod(pod="another"), 100.0, False),
        (pod(gone=True, failed=2), 1.0, True),
    ],
)
def test_without_one_by_what_it_said_at_first(seen: dict[str, t.Any], elapsed: float, current: bool) -> None:
    assert judged(seen, None, BEFORE, elapsed) is current


def written(api: MemberStandIn, text: str = OTHER) -> tuple[Cluster, Workload, str | None]:
    """CoreDNS whose ConfigMap has a new text, and the hash of that."""
    cluster = Cluster("member2", api.auth)
    cluster.patch(f"{CORE}/configmaps/coredns", {"data": {"Corefile": text}})
    return cluster, workload(cluster.get(f"{APPS}/deployments/coredns") or {}, "Deployment"), reload_hash(parse(text))


def test_pods_take_it_while_they_run(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemberStandIn() as api:
        monkeypatch.setattr(waiting, "time", api.clock)
        api.reload_seconds = 6
        cluster, one, wanted = written(api)
        assert take(cluster, one, OTHER, wanted, 9153, 60) == []
        assert {run.sha512 for run in api.running()} == {wanted}


def test_a_pod_whose_reload_hangs_is_named_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemberStandIn() as api:
        monkeypatch.setattr(waiting, "time", api.clock)
        api.hang()
        cluster, one, wanted = written(api)
        names = [pod["metadata"]["name"] for _path, pod in api.pods_of(f"{APPS}/deployments/coredns")]
        assert sorted(take(cluster, one, OTHER, wanted, 9153, 8)) == sorted(names)


def test_a_pod_that_refuses_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemberStandIn() as api:
        monkeypatch.setattr(waiting, "time", api.clock)
        api.refused_at_reload = "ttl 31"
        api.reload_seconds = 5
        cluster, one, wanted = written(api)
        with pytest.raises(RefusedError, match=r"pod coredns-\S+ refused the Corefile\. It says: \[ERROR\]"):
            take(cluster, one, OTHER, wanted, 9153, 60)


def test_pods_on_a_node_that_is_down_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with MemberStandIn() as api:
        monkeypatch.setattr(waiting, "time", api.clock)
        nodes = {pod["spec"]["nodeName"] for _path, pod in api.pods_of(f"{APPS}/deployments/coredns")}
        assert len(nodes) == 2
        api.node_down("node2")
        cluster, one, wanted = written(api)
        assert take(cluster, one, OTHER, wanted, 9153, 30, {"node2"}) == []


def test_a_pod_that_vanishes_meanwhile_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [[pod(failed=0)], [pod(gone=True)]]
    monkeypatch.setattr(taking.pods, "of", lambda cluster, one: [])
    monkeypatch.setattr(taking.pods, "running", lambda *unused: states.pop(0))
    with MemberStandIn() as api:
        monkeypatch.setattr(waiting, "time", api.clock)
        cluster, one, wanted = written(api)
        assert take(cluster, one, OTHER, wanted, 9153, 30) == []
    assert states == []
