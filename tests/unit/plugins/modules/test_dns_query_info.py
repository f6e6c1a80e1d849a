# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import typing as t

import pytest

pytest.importorskip("dns")
pytest.importorskip("kubernetes")

from ansible_collections.clusterset.dns.plugins.modules import dns_query_info

from ..module_utils._dns.dns_server import LoopbackDns, Reply

NAME = "kubernetes.default.svc.cluster.local"
RIGHT = {(NAME, "A"): Reply(("10.96.0.1",))}
FAILING = {(NAME, "A"): Reply(rcode="SERVFAIL")}
PARAMS = {
    "questions": [{"name": NAME, "type": "A"}],
    "namespace": "kube-system",
    "label_selector": "k8s-app=kube-dns",
    "pods": [],
    "port": 53,
    "timeout": 1,
    "wait_sleep": 0.01,
}


class ChangingCluster:
    """An API server whose pods change from one look to the next: ``looks`` has each time ``{pod: (phase, server)}``, the last one stays."""

    name = "member2"

    def __init__(self, *looks: dict[str, tuple[str, LoopbackDns]]) -> None:
        self.looks, self.seen = looks, 0

    def list(self, path: str, label_selector: str = "") -> list[dict[str, t.Any]]:
        self.now = self.looks[min(self.seen, len(self.looks) - 1)]
        self.seen += 1
        return [{"metadata": {"name": name}, "spec": {}, "status": {"phase": phase}} for name, (phase, _server) in self.now.items()]

    def port_forward(self, namespace: str, pod: str, port: int) -> t.Any:
        return self.now[pod][1].connect()


@pytest.fixture
def right() -> t.Iterator[LoopbackDns]:
    server = LoopbackDns(RIGHT)
    yield server
    server.close()


@pytest.fixture
def failing() -> t.Iterator[LoopbackDns]:
    server = LoopbackDns(FAILING)
    yield server
    server.close()


def rcodes(cluster: ChangingCluster, wait_timeout: int) -> dict[str, str]:
    return {one["pod"]: one["rcode"] for one in dns_query_info.query(cluster, {**PARAMS, "wait_timeout": wait_timeout})}


def test_a_pod_that_is_being_started_is_waited_for(right: LoopbackDns, failing: LoopbackDns) -> None:
    pending = {"old": ("Running", right), "new": ("Pending", right)}
    starting = {"old": ("Running", right), "new": ("Running", failing)}
    started = {"old": ("Running", right), "new": ("Running", right)}
    cluster = ChangingCluster(pending, starting, started)
    assert rcodes(cluster, 60) == {"old": "NOERROR", "new": "NOERROR"}
    assert cluster.seen == 3


def test_a_pod_that_is_gone_by_then_is_not_asked(right: LoopbackDns) -> None:
    cluster = ChangingCluster({"old": ("Running", right), "new": ("Pending", right)}, {"old": ("Running", right)})
    assert rcodes(cluster, 60) == {"old": "NOERROR"}


def test_without_wait_timeout_all_are_asked_once(right: LoopbackDns, failing: LoopbackDns) -> None:
    cluster = ChangingCluster({"pending": ("Pending", right), "failing": ("Running", failing)})
    assert rcodes(cluster, 0) == {"pending": "", "failing": "SERVFAIL"}
    assert cluster.seen == 1


def test_what_never_answers_is_told_when_the_time_is_over(right: LoopbackDns) -> None:
    cluster = ChangingCluster({"old": ("Running", right), "new": ("Pending", right)})
    (late,) = [one for one in dns_query_info.query(cluster, {**PARAMS, "wait_timeout": 1}) if one["error"]]
    assert "it is Pending, not Running" in late["error"]
    assert cluster.seen > 1
