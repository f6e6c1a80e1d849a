# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Modules member_info, zone_server_info and dns_delegation on an API stand-in."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zone_server import objects
from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.modules import dns_delegation, member_info, zone_server_info
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

ZONE = "clusterset.local"
CORE = "/api/v1/namespaces/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"
KUBE_DNS = f"{CORE}/configmaps/kube-dns"
Run = t.Callable[..., dict[str, t.Any]]


class Exit(Exception):
    pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a module's main(), and gives what it returns, ``failed`` included."""

    def end(module: basic.AnsibleModule, failed: bool, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": failed, **result})

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda module, **result: end(module, False, **result))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda module, **result: end(module, True, **result))
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    def call(main: t.Callable[[], None], *, check: bool = False, diff: bool = False, **params: t.Any) -> dict[str, t.Any]:
        params |= {"_ansible_check_mode": check, "_ansible_diff": diff}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": params})))
        with pytest.raises(Exit) as exit:
            main()
        return exit.value.args[0]

    return call


@pytest.fixture
def api() -> t.Iterator[ApiStandIn]:
    with ApiStandIn() as api:
        yield api


# --- dns_delegation -------------------------------------------------------------------------------------------------------------------

STUBS = {"place": "stub_domains", "zone": ZONE}
THERE = {**STUBS, "addresses": ["10.96.1.2"]}


def test_a_delegation_there_and_back(run: Run, api: ApiStandIn) -> None:
    api.put(KUBE_DNS, {"data": {"stubDomains": '{"acme.test": ["1.2.3.4"]}'}})
    before = api.objects[KUBE_DNS]["data"]
    predicted = run(dns_delegation.main, **api.auth, **THERE, check=True, diff=True)
    assert (predicted["changed"], api.writes, api.objects[KUBE_DNS]["data"]) == (True, [], before)
    assert predicted["diff"]["before"] == before["stubDomains"]
    assert "10.96.1.2" in predicted["diff"]["after"]
    assert run(dns_delegation.main, **api.auth, **THERE)["changed"]
    writes = len(api.writes)
    assert not run(dns_delegation.main, **api.auth, **THERE)["changed"]
    assert len(api.writes) == writes
    gone = run(dns_delegation.main, **api.auth, **STUBS, state="absent")
    assert (gone["changed"], gone["was"], api.objects[KUBE_DNS]["data"]) == (True, ["10.96.1.2"], before)


def test_a_change_by_someone_else_meanwhile_is_read_again(run: Run, api: ApiStandIn) -> None:
    api.put(KUBE_DNS, {"data": {}})
    raced: list[str] = []

    def race(method: str, path: str, query: dict[str, str]) -> None:
        if method == "PATCH" and not raced:
            raced.append(path)
            api.put(KUBE_DNS, {"data": {"stubDomains": '{"new.test": ["9.9.9.9"]}'}})

    api.faults.append(race)
    assert run(dns_delegation.main, **api.auth, **THERE)["changed"]
    assert json.loads(api.objects[KUBE_DNS]["data"]["stubDomains"]) == {ZONE: ["10.96.1.2"], "new.test": ["9.9.9.9"]}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"addresses": ["nonsense"]}, "addresses has 'nonsense'; it must be an IP address"),
        ({"addresses": []}, "addresses"),
        ({"addresses": ["10.96.1.2"], "zone": "a b"}, "is not a domain name"),
    ],
)
def test_bad_input_asks_nobody(run: Run, api: ApiStandIn, options: dict[str, t.Any], words: str) -> None:
    said = run(dns_delegation.main, **api.auth, **{**STUBS, **options})
    assert said["failed"]
    assert words in said["msg"]
    assert api.log == []


# --- zone_server_info -----------------------------------------------------------------------------------------------------------------

NAMES = {"namespace": "kube-system", "name": "clusterset-dns"}


def serve(api: ApiStandIn, **pod: t.Any) -> None:
    """A zone server that has rolled out, with one pod."""
    deployment = next(one for one in objects("coredns:v1.15.0", zone=ZONE, **NAMES, replicas=1) if one["kind"] == "Deployment")
    metadata = {**deployment["metadata"], "uid": "d", "generation": 1, "annotations": {"deployment.kubernetes.io/revision": "1"}}
    counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": 0 if pod else 1}
    labels = {**deployment["spec"]["selector"]["matchLabels"], "pod-template-hash": "h"}
    revision = {"deployment.kubernetes.io/revision": "1"}
    owned = {"labels": labels, "annotations": revision, "ownerReferences": [{"uid": "d"}]}
    api.put(f"{APPS}/deployments/clusterset-dns", {**deployment, "metadata": metadata, "status": {"observedGeneration": 1, **counts}})
    api.put(f"{APPS}/replicasets/rs", {"metadata": owned})
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.put(f"{CORE}/pods/p1", {"metadata": {"labels": labels}, "spec": {"nodeName": "n1"}, "status": pod or ready})
    api.put(f"{CORE}/services/clusterset-dns", {"spec": {"clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2"]}})


def answering(monkeypatch: pytest.MonkeyPatch, answers: list[str]) -> list[tuple[t.Any, ...]]:
    """Has pods answer ``dns-version`` with these; gives what they were asked."""
    asked: list[tuple[t.Any, ...]] = []

    def ask(_cluster: t.Any, _namespace: str, pods: t.Any, questions: t.Any, *, port: int, timeout: float) -> list[dict[str, t.Any]]:
        asked.append((port, questions))
        rcode = "NOERROR" if answers else "SERVFAIL"
        return [{"pod": pod["pod"], "rcode": rcode, "answers": answers, "error": ""} for pod in pods]

    monkeypatch.setattr(_dns_query, "ask_pods", ask)
    return asked


def test_a_zone_server_is_asked_pod_by_pod(run: Run, api: ApiStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(api)
    asked = answering(monkeypatch, ['"1.1.0"'])
    said = run(zone_server_info.main, **api.auth, **NAMES, zone=ZONE)
    assert (said["failed"], said["addresses"], len(said["answers"])) == (False, ["10.96.1.2"], 1)
    ((port, (question,)),) = asked
    assert (port, question.name, question.type) == (1053, f"dns-version.{ZONE}", "TXT")


def test_a_zone_server_that_does_not_answer_is_said(run: Run, api: ApiStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(api)
    answering(monkeypatch, [])
    said = run(zone_server_info.main, **api.auth, **NAMES, zone=ZONE, timeout=0)
    assert said["failed"]
    assert "pod p1 does not answer dns-version.clusterset.local TXT: SERVFAIL within 0 s." in said["msg"]


def test_a_pod_that_will_not_start_is_said_at_once(run: Run, api: ApiStandIn) -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    serve(api, phase="Pending", containerStatuses=[{"state": {"waiting": waiting}}])
    said = run(zone_server_info.main, **api.auth, **NAMES, zone=ZONE)
    assert said["failed"]
    assert "Deployment kube-system/clusterset-dns: pod p1: ImagePullBackOff: no such image." in said["msg"]


def test_in_check_mode_nothing_is_waited_for(run: Run, api: ApiStandIn) -> None:
    said = run(zone_server_info.main, **api.auth, **NAMES, zone=ZONE, check=True)
    assert (said["failed"], said["addresses"]) == (False, [])


# --- member_info ----------------------------------------------------------------------------------------------------------------------


def member(run: Run, api: ApiStandIn, **options: t.Any) -> dict[str, t.Any]:
    """What is found on a cluster of which only those objects are there that were put."""
    api.put("/apis/apps/v1/namespaces/elsewhere/deployments/other", {"metadata": {"labels": {}}})

    def answers(method: str, path: str, _query: dict[str, str]) -> tuple[int, t.Any, dict[str, str]] | None:
        if path == "/version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.4+k3s1"}, {}
        return (200, {"groups": []}, {}) if path == "/apis" else None

    api.faults.append(answers)
    said = run(member_info.main, **api.auth, name="m1", **options)
    assert not said["failed"], said
    return t.cast("dict[str, t.Any]", said["member"])


def test_where_the_platform_has_a_place_of_its_own_no_deployment_is_needed(run: Run, api: ApiStandIn) -> None:
    found = member(run, api)
    assert (found["platform"]["name"], found["platform"]["place"], found["problems"]) == ("k3s", "custom", [])
    assert (found["nodelocal"], found["zone_server"]) == (None, None)


def test_where_it_has_none_the_deployment_is_missed(run: Run, api: ApiStandIn) -> None:
    found = member(run, api, platform="any")
    assert found["platform"]["reason"] == "coredns_multicluster_platform says so"
    assert "has no CoreDNS Deployment kube-system/coredns" in found["problems"][0]


def test_nodes_that_may_not_be_read_tell_nothing(run: Run, api: ApiStandIn) -> None:
    api.faults.append(lambda _method, path, _query: status(403, "Forbidden", "no") if path == "/api/v1/nodes" else None)
    assert member(run, api)["platform"]["name"] == "k3s"


def test_nodelocal_and_a_zone_server_are_found(run: Run, api: ApiStandIn) -> None:
    serve(api)
    api.put(f"{CORE}/configmaps/clusterset-dns", {"data": {"Corefile": "x"}})
    api.put(f"{CORE}/configmaps/node-local-dns", {"data": {"Corefile": "cluster.local:53 {\n    forward . 10.96.7.7\n}\n"}})
    found = member(run, api, nodelocal="kube-system/node-local-dns", zone_server="kube-system/clusterset-dns")
    assert found["nodelocal"] == {"namespace": "kube-system", "name": "node-local-dns", "upstream": "10.96.7.7"}
    assert found["zone_server"] == {"image": "coredns:v1.15.0", "corefile": "x"}
    assert found["problems"] == []


def test_a_nodelocal_that_sends_names_nowhere_is_a_problem(run: Run, api: ApiStandIn) -> None:
    api.put(f"{CORE}/configmaps/node-local-dns", {"data": {"Corefile": ".:53 {\n    erratic\n}\n"}})
    assert "Set coredns_multicluster_nodelocal" in member(run, api, nodelocal="kube-system/node-local-dns")["problems"][0]
