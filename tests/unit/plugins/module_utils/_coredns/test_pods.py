# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Whose a pod is, what it runs, and whom to wait for."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods, rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, workload
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter
from ansible_collections.clusterset.dns.tests.unit.api_standin import status
from ansible_collections.clusterset.dns.tests.unit.member_standin import APPS, MemberStandIn

COREDNS = f"{APPS}/deployments/coredns"
NAME = expect.health("clusterset.local", "cluster.local", ["10.96.0.1"])[:1]


@pytest.fixture
def api() -> t.Iterator[MemberStandIn]:
    with MemberStandIn() as standin:
        yield standin


@pytest.fixture
def cluster(api: MemberStandIn) -> Cluster:
    return Cluster("member2", api.auth, timeout=2)


def named(found: t.Iterable[dict[str, t.Any]]) -> set[str]:
    return {pod["metadata"]["name"] for pod in found}


def coredns(cluster: Cluster, kind: str = "Deployment", name: str = "coredns") -> Workload:
    return workload(cluster.get(f"{APPS}/{kind.lower()}s/{name}") or {}, kind)


def own(api: MemberStandIn, path: str = COREDNS) -> set[str]:
    return named(pod for _path, pod in api.pods_of(path))


def test_pods_of_others_with_the_same_labels_are_not_its_own(api: MemberStandIn, cluster: Cluster) -> None:
    """A second Deployment and a DaemonSet with the selector of the first, as Kubernetes allows them."""
    api.add_deployment("coredns-b", configmap="coredns")
    api.add_daemonset("coredns-c")
    assert len(cluster.list(pods.path_of("kube-system"), label_selector="k8s-app=kube-dns")) == 6
    assert named(pods.of(cluster, coredns(cluster))) == own(api)
    assert named(pods.of(cluster, coredns(cluster, name="coredns-b"))) == own(api, f"{APPS}/deployments/coredns-b")
    assert named(pods.of(cluster, coredns(cluster, "DaemonSet", "coredns-c"))) == own(api, f"{APPS}/daemonsets/coredns-c")
    found = pods.generations(cluster, cluster.get(COREDNS) or {})
    assert found
    assert (named(found.new), found.old) == (own(api), [])


def test_a_new_template_makes_old_pods_of_the_deployments_own_alone(api: MemberStandIn, cluster: Cluster) -> None:
    api.add_deployment("coredns-b")
    before = own(api)
    held = {"minReadySeconds": 599, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}
    cluster.patch(COREDNS, {"spec": {**held, "template": {"metadata": {"annotations": {"x": "y"}}}}})
    found = pods.generations(cluster, cluster.get(COREDNS) or {})
    assert found
    assert named(found.old) == before
    assert named(found.new) == own(api) - before
    assert found.newest["metadata"]["ownerReferences"][0]["uid"] == found.deployment["metadata"]["uid"]


def test_a_pod_that_was_taken_out_of_service_is_an_old_one(api: MemberStandIn, cluster: Cluster) -> None:
    one = sorted(own(api))[0]
    cluster.patch(pods.path_of("kube-system", one), rollout.release("coredns"))
    found = pods.generations(cluster, cluster.get(COREDNS) or {})
    assert found
    assert named(found.old) == {one}
    assert one not in named(found.new)
    assert len(found.new) == 2


def test_a_template_that_the_controller_has_not_seen_has_no_pods_yet(cluster: Cluster) -> None:
    deployment = cluster.get(COREDNS) or {}
    deployment["metadata"]["generation"] += 1
    assert pods.generations(cluster, deployment) is None


def test_pods_that_leave_or_have_ended_are_not_there_to_answer(api: MemberStandIn, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pods.of(cluster, coredns(cluster))
    assert len(found) == 2
    states: list[dict[str, t.Any]] = [
        {**found[0], "metadata": {**found[0]["metadata"], "deletionTimestamp": "now"}},
        {**found[1], "status": {**found[1]["status"], "phase": "Failed"}},
    ]
    listed = cluster.list
    monkeypatch.setattr(cluster, "list", lambda path, **options: states if path.endswith("/pods") else listed(path, **options))
    assert pods.of(cluster, coredns(cluster)) == []


def test_nodes_that_are_down_are_not_waited_for() -> None:
    found = [{"spec": {"nodeName": name}} for name in ("a", "b")] + [{"spec": {}}]
    assert pods.reachable(found, {"b"}) == [found[0], found[2]]
    assert pods.reachable(found, ()) == found


def test_what_a_pod_runs_is_read_from_its_log_before_the_first_reload(api: MemberStandIn, cluster: Cluster) -> None:
    found = pods.running(cluster, pods.of(cluster, coredns(cluster)), "coredns", 9153)
    assert {pod["hash"] for pod in found} == {run.sha512 for run in api.running()}
    assert all(pod["failed"] == 0 and not pod["gone"] for pod in found)


@pytest.mark.parametrize("port", [9153, None], ids=["metrics", "no metrics"])
def test_a_pod_that_vanishes_is_gone(api: MemberStandIn, cluster: Cluster, port: int | None) -> None:
    one = pods.of(cluster, coredns(cluster))[0]
    cluster.delete(pods.path_of("kube-system", one["metadata"]["name"]))
    assert pods.state_of(cluster, one, "coredns", port) == {"pod": one["metadata"]["name"], "hash": "", "failed": 0, "gone": True}


@pytest.mark.parametrize(
    ("answer", "raises"),
    [((502, "BadGateway"), False), ((503, "ServiceUnavailable"), False), ((504, "Timeout"), False), ((400, "BadRequest"), False), ((403, "Forbidden"), True)],
)
def test_a_log_that_cannot_be_had_is_no_answer_unless_it_is_refused(
    api: MemberStandIn, cluster: Cluster, answer: tuple[int, str], raises: bool
) -> None:
    one = pods.of(cluster, coredns(cluster))[0]
    api.faults.append(lambda method, path, query: status(*answer, "no log") if path.endswith("/log") else None)
    if raises:
        with pytest.raises(ApiError, match="no log"):
            pods.state_of(cluster, one, "coredns", None)
    else:
        assert pods.state_of(cluster, one, "coredns", None) == {"pod": one["metadata"]["name"], "hash": "", "failed": 0, "gone": False}


def test_a_log_is_asked_for_by_its_container(api: MemberStandIn, cluster: Cluster) -> None:
    """Of a pod with a sidecar an API server gives no log without."""
    one = pods.of(cluster, coredns(cluster))[0]
    pods.state_of(cluster, one, "coredns", None)
    pods.last_words(cluster, "kube-system", one["metadata"]["name"], "coredns", "sidecar")
    asked = [query.get("container") for _method, path, query in api.log if path.endswith("/log")]
    assert asked
    assert set(asked) <= {"coredns", "sidecar"}


def test_last_words_are_the_most_telling_line(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = {
        ("plugins", "true"): "unable to retrieve container logs for containerd://0",
        ("plugins", "false"): "",
        ("coredns", "true"): "CoreDNS-1.14\n/etc/coredns/Corefile:3 - Error during parsing: Unknown directive 'x'\nbye\n",
        ("coredns", "false"): "hello",
    }

    def text(path: str) -> str:
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&"))
        found = logs.get((query["container"], query["previous"]))
        if found is None:
            raise ApiError("member2", "no such container", status=400)
        return found

    monkeypatch.setattr(cluster, "text", text)
    words = pods.last_words(cluster, "kube-system", "p", "absent", "plugins", "coredns")
    assert words == "It says: /etc/coredns/Corefile:3 - Error during parsing: Unknown directive 'x'"
    assert pods.last_words(cluster, "kube-system", "p", "plugins") == ""


def test_answers_say_what_is_wrong_of_which_pod(api: MemberStandIn, cluster: Cluster) -> None:
    found = pods.of(cluster, coredns(cluster))
    assert pods.answers(cluster, found, NAME, 53) == []
    bad = found[0]["metadata"]["name"]
    api.dns_fault = lambda pod, name: "SERVFAIL" if pod["metadata"]["name"] == bad else None
    assert pods.answers(cluster, found, NAME, 53) == [
        f"pod {bad} does not answer kubernetes.default.svc.cluster.local A as it should: SERVFAIL"
    ]


def test_a_pod_that_has_gone_meanwhile_is_not_wrong(api: MemberStandIn, cluster: Cluster) -> None:
    found = pods.of(cluster, coredns(cluster))
    gone = found[0]["metadata"]["name"]
    api.dns_fault = lambda pod, name: "SERVFAIL" if pod["metadata"]["name"] == gone else None
    rounds = iter([found, found[1:]])
    assert pods.ask_until_right(cluster, lambda: next(rounds), NAME, 53, Waiter(0)) == (2, "")


def test_nobody_to_ask_is_wrong(cluster: Cluster) -> None:
    assert pods.ask_until_right(cluster, list, NAME, 53, Waiter(0)) == (0, "there is no pod to ask")
