# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What DNS in another member answers, asked with dig: a headless service's pods, and a derived Service that has another address."""

from __future__ import annotations

import contextlib
import datetime
import json
import time
import typing as t

import pytest
from kubernetes import client, config, dynamic
from kubernetes.stream import stream
from lab_fleet import LAB, Fleet, Member, wait_for
from lab_imports import RULE, sync

pytestmark = pytest.mark.long

ZONE = "svc.clusterset.local"
LABELS = "multicluster.kubernetes.io/service-name", "multicluster.kubernetes.io/source-cluster"
MCS = "multicluster.x-k8s.io/v1alpha1"
Object = dict[str, t.Any]


class Asker:
    """A pod of a member with dig in it."""

    def __init__(self, member: Member, pod: str) -> None:
        self.member, self.pod = member, pod

    def servers(self) -> list[str]:
        return [pod["status"]["podIP"] for pod in self.member.pods("k8s-app=kube-dns")]

    def run(self, command: str) -> str:
        words = ["bash", "-c", command]
        return str(stream(self.member.core.connect_get_namespaced_pod_exec, self.pod, "default", command=words, stderr=True, stdout=True))

    def dig(self, name: str, kind: str = "A") -> list[set[str]]:
        """What each CoreDNS pod answers."""
        command = f"for s in {' '.join(self.servers())}; do dig +short +time=2 @$s {name} {kind}; echo --; done"
        return [set(answer.split("\n")) - {""} for answer in self.run(command).split("--\n")[:-1]]


@contextlib.contextmanager
def asking(member: Member) -> t.Iterator[Asker]:
    container = {"name": "dig", "image": member.toolbox, "command": ["sleep", "900"]}
    body = {
        "metadata": {"generateName": "asker-"},
        "spec": {"terminationGracePeriodSeconds": 0, "restartPolicy": "Never", "tolerations": [{"operator": "Exists"}], "containers": [container]},
    }
    pod = member.core.create_namespaced_pod("default", body).metadata.name
    try:
        wait_for(f"pod {pod} runs", lambda: member.core.read_namespaced_pod(pod, "default").status.phase == "Running", 60)
        yield Asker(member, pod)
    finally:
        member.core.delete_namespaced_pod(pod, "default")


@pytest.fixture(scope="module")
def karmada(fleet: Fleet) -> dynamic.DynamicClient:
    return dynamic.DynamicClient(config.new_client_from_config(str(LAB / "kubeconfig" / "karmada.yaml")))


def at(karmada: dynamic.DynamicClient, item: Object) -> t.Any:
    return karmada.resources.get(api_version=item["apiVersion"], kind=item["kind"])


@pytest.fixture
def web(fleet: Fleet, karmada: dynamic.DynamicClient, site: None) -> t.Iterator[str]:
    """The headless service default/web, a StatefulSet on the first member, exported from there."""
    first = fleet.names[0]
    metadata = {"name": "web", "namespace": "default"}
    labels = {"app": "web"}
    image = fleet.inventory["all"]["vars"]["lab_serve_image"]
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "serve", "image": image}]},
    }
    spec = {"replicas": 2, "serviceName": "web", "podManagementPolicy": "Parallel", "selector": {"matchLabels": labels}, "template": template}
    selectors = [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web"}, {"apiVersion": "v1", "kind": "Service", "name": "web"}]
    objects: list[Object] = [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1", "kind": "Service", "metadata": metadata,
            "spec": {"clusterIP": "None", "selector": labels, "ports": [{"name": "http", "port": 8080}]},
        },
        {
            "apiVersion": "policy.karmada.io/v1alpha1", "kind": "PropagationPolicy", "metadata": metadata,
            "spec": {"resourceSelectors": selectors, "placement": {"clusterAffinity": {"clusterNames": [first]}}},
        },
    ]  # fmt: skip
    for item in objects:
        at(karmada, item).server_side_apply(body=item, namespace="default", field_manager="clusterset-test", force_conflicts=True)
    services = [{**metadata, "type": "Headless", "ports": [{"name": "http", "port": 8080}], "from_clusters": [first]}]
    fleet.play("playbooks/site.yml", "--tags", "service_exports", "-e", json.dumps({"clusterset_services": services}))
    yield first
    exported = [{"apiVersion": MCS, "kind": kind, "metadata": metadata} for kind in ("ServiceImport", "ServiceExport")]
    policies = [{**objects[2], "metadata": {**metadata, "name": f"web-service{kind}"}} for kind in ("import", "export")]
    for item in (*exported, *policies, *reversed(objects)):
        with contextlib.suppress(client.ApiException, dynamic.exceptions.NotFoundError):
            at(karmada, item).delete(name=item["metadata"]["name"], namespace="default")


def pods_of(fleet: Fleet, name: str) -> dict[str, str]:
    """The addresses of the StatefulSet's pods, by their names, once they all have one."""
    found = fleet.member(name).core.list_namespaced_pod("default", label_selector="app=web").items
    return {pod.metadata.name: pod.status.pod_ip for pod in found if pod.status.pod_ip and not pod.metadata.deletion_timestamp}


def test_a_headless_service_answers_with_every_pod_and_each_by_its_name(
    fleet: Fleet, member2: Member, karmada: dynamic.DynamicClient, web: str
) -> None:
    """F11, and that the labels survive what Karmada does next: a pod more, and an import that is delivered anew."""
    slices = client.DiscoveryV1Api(member2.core.api_client)

    def found() -> list[Object]:
        selector = "kubernetes.io/service-name=derived-web"
        return t.cast("list[Object]", member2.raw(slices.list_namespaced_endpoint_slice("default", label_selector=selector))["items"])

    def delivered(count: int) -> bool:
        return count == sum(len(endpoint["addresses"]) for one in found() for endpoint in one.get("endpoints") or ())

    wait_for("two pods", lambda: len(pods_of(fleet, web)) == 2)
    wait_for("Karmada has delivered them", lambda: delivered(2))
    ran = sync()
    assert ran.returncode == 0, ran.text[-3000:]
    assert [tuple(one["metadata"]["labels"][label] for label in LABELS) for one in found()] == [("web", web)]
    with asking(member2) as asker:

        def answers() -> bool:
            pods = pods_of(fleet, web)
            whole = all(answer == set(pods.values()) for answer in asker.dig(f"web.default.{ZONE}"))
            return whole and all(
                answer == {address} for pod, address in pods.items() for answer in asker.dig(f"{pod}.{web}.web.default.{ZONE}")
            )

        wait_for("every CoreDNS pod answers", answers, 30)
        targets = {f"8080 {pod}.{web}.web.default.{ZONE}." for pod in pods_of(fleet, web)}
        for answer in asker.dig(f"_http._tcp.web.default.{ZONE}", "SRV"):
            assert {one.split(" ", 2)[2] for one in answer} == targets
        versions = {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in found()}
        sets = karmada.resources.get(api_version="apps/v1", kind="StatefulSet")
        sets.patch(name="web", namespace="default", body={"spec": {"replicas": 3}}, content_type="application/merge-patch+json")
        services = karmada.resources.get(api_version=MCS, kind="ServiceImport")
        touch = {"metadata": {"annotations": {"clusterset.dns/test": str(time.time())}}}
        services.patch(name="web", namespace="default", body=touch, content_type="application/merge-patch+json")
        wait_for("three pods", lambda: len(pods_of(fleet, web)) == 3)
        wait_for("Karmada has delivered the third", lambda: delivered(3))
        assert any(versions.get(one["metadata"]["name"]) != one["metadata"]["resourceVersion"] for one in found())
        # nothing has run since: what Karmada wrote has left the labels
        assert [tuple(one["metadata"]["labels"][label] for label in LABELS) for one in found()] == [("web", web)]
        wait_for("every CoreDNS pod answers with the third", answers, 30)
    again = sync()
    assert (again.changed, again.result["summary"]["writes"]) == (0, 0)


SCRIPT = """
while :; do
  for s in {servers}; do
    a=$(dig +noall +answer +time=1 +tries=1 @$s {name} A)
    echo "$(date +%s.%N) $s $a"
  done
  sleep 0.1
done
"""


def test_a_derived_service_with_another_address(fleet: Fleet, member2: Member, site: None, capsys: pytest.CaptureFixture[str]) -> None:
    """After one sync.yml every CoreDNS pod gives the new address. How old what a client holds can get is bounded by the TTL that it was given."""
    name = f"serve.default.{ZONE}"
    core = member2.core
    old = core.read_namespaced_service("derived-serve", "default").spec.cluster_ip

    def new() -> str:
        with contextlib.suppress(client.ApiException):
            address = str(core.read_namespaced_service("derived-serve", "default").spec.cluster_ip)
            return "" if address == old else address
        return ""

    with asking(member2) as asker:
        servers = asker.servers()
        log = "/tmp/asked"
        asker.run(f"nohup bash -c '{SCRIPT.format(servers=' '.join(servers), name=name)}' > {log} 2>&1 & sleep 1")
        core.delete_namespaced_service("derived-serve", "default")
        address = wait_for("Karmada has made the Service again", new)
        ran = sync()
        assert ran.returncode == 0, ran.text[-3000:]
        assert ran.rows(member2.name)["serve"]["desired"] == [address]
        wait_for("every CoreDNS pod gives the new address", lambda: asker.dig(name) == [{address}] * len(servers), 60)
        written = written_at(member2)
        asked = [line.split() for line in asker.run(f"cat {log}").splitlines()]
    rows = [(float(row[0]), row[1], int(row[3]), row[6]) for row in asked if len(row) == 7]
    last_old = {server: max(moment for moment, one, _ttl, ip in rows if one == server and ip == old) for server in servers}
    last_held = max(moment + ttl for moment, _server, ttl, ip in rows if ip == old)
    ttl = max(row[2] for row in rows)
    figures = {
        "what": "derived Service with another address: seconds after spec.ips was written",
        "last old answer of a CoreDNS pod": round(max(last_old.values()) - written, 2),
        "last moment that a client could hold it": round(last_held - written, 2),
        "highest TTL": ttl,
        "asked": len(rows),
    }
    with capsys.disabled():
        print("\n" + json.dumps(figures))
    assert {row[3] for row in rows} == {old, address}
    assert ttl <= 5, "the zone's default"
    # no pod goes back to the old address
    for server in servers:
        first_new = min(moment for moment, one, _ttl, ip in rows if one == server and ip == address)
        assert first_new > last_old[server]
    assert sync().changed == 0


def written_at(member: Member) -> float:
    """When spec.ips of default/serve was written last, by its field manager's entry (whole seconds)."""
    custom = client.CustomObjectsApi(member.core.api_client)
    entries = custom.get_namespaced_custom_object(*MCS.split("/"), "default", "serviceimports", "serve")["metadata"]["managedFields"]
    times = [one["time"] for one in entries if one["manager"] == "clusterset.dns"]
    return datetime.datetime.fromisoformat(max(times)).timestamp()


def test_without_the_rule_nothing_is_written(fleet: Fleet, member2: Member, karmada: dynamic.DynamicClient, site: None) -> None:
    """Karmada would undo it: where the rule is not there and may not be placed (--limit leaves its play out), the run says so and writes nothing."""
    customizations = karmada.resources.get(api_version="config.karmada.io/v1alpha1", kind="ResourceInterpreterCustomization")
    customizations.delete(name=RULE)
    try:
        ran = sync("--limit", member2.name)
        assert "no ResourceInterpreterCustomization retains spec.ips" in ran.failed[member2.name]
    finally:
        assert sync().returncode == 0
