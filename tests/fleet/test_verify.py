# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What verify.yml says of answers that are wrong: each cause is brought about in a real member, on a CoreDNS of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from lab_fleet import ENVIRONMENT, LAB, Fleet, Member, wait_for

pytestmark = pytest.mark.long

LABEL = "clusterset-verify"
NAMESPACE = "clusterset-verify"
OWN = "cluster.local:53 {\n    errors\n    ready\n    kubernetes cluster.local\n    reload\n}\n"
ZONE = "clusterset.local:53 {{\n    errors\n    {}\n    kubernetes clusterset.local {{\n        multicluster clusterset.local\n        {}\n    }}\n}}\n"
# A server that does not know the zone, as a resolver of the Internet does not.
UPSTREAM = (
    ".:53 {\n    template ANY ANY . {\n        rcode NXDOMAIN\n"
    '        authority ". 60 IN SOA a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400"\n    }\n}\n'
)
SERVERS = {
    "right": OWN + ZONE.format("", ""),
    "no-rights": OWN + ZONE.format("", ""),
    "not-served": OWN,
    "upstream": OWN + UPSTREAM,
    "cached": OWN + ZONE.format("cache 3600", "ttl 3600"),
}
IMPORTS: dict[str, dict[str, t.Any]] = {
    "good": {"ports": [{"name": "http", "port": 80}], "ips": ["10.96.77.1"]},
    "without-ports": {"ports": [], "ips": ["10.96.77.2"]},
    "without-ips": {"ports": [{"name": "http", "port": 80}]},
}
# What serviceimport_ips wrote, before the source of the address became another, or somebody wrote a load balancer's host name.
WRITTEN: dict[str, dict[str, t.Any]] = {
    "moved": {"ports": [{"name": "http", "port": 80}], "ips": ["10.96.77.3"]},
    "strange": {"ports": [{"name": "http", "port": 80}], "ips": ["lb-1.eu.elb.example.com"]},
    "headless": {"type": "Headless", "ports": [{"name": "http", "port": 80}]},
}
ENDPOINTS = {"metadata": {"name": "headless-x"}, "addressType": "IPv6", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}
HOSTS = [{"addresses": ["fd00::77:1"], "hostname": "web-0"}, {"addresses": ["fd00::77:2"]}]
SERVICES = [{"namespace": NAMESPACE, "name": name} for name in (*IMPORTS, *WRITTEN, "never-exported")]
SUFFIX = f".{NAMESPACE}.svc.clusterset.local"
GROUP = ("multicluster.x-k8s.io", "v1alpha1", NAMESPACE, "serviceimports")


@pytest.fixture(scope="module")
def causes(fleet: Fleet, member2: Member, site: None) -> t.Iterator[client.CustomObjectsApi]:
    """The servers and the imports; the client that may change the latter."""
    imports = client.CustomObjectsApi(member2.core.api_client)
    rights = client.RbacAuthorizationV1Api(member2.core.api_client)
    remove(member2, rights)
    image = member2.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]
    member2.core.create_namespace({"metadata": {"name": NAMESPACE}})
    for name, spec in (IMPORTS | WRITTEN).items():
        body = {"apiVersion": "/".join(GROUP[:2]), "kind": "ServiceImport", "metadata": {"name": name}, "spec": {"type": "ClusterSetIP", **spec}}
        imports.create_namespaced_custom_object(*GROUP, body, field_manager="clusterset.dns" if name in WRITTEN else "kubectl")
    for name in ("moved", "strange"):
        ports = {"ports": [{"name": "http", "port": 80}]}
        member2.core.create_namespaced_service(NAMESPACE, {"metadata": {"name": f"derived-{name}"}, "spec": ports})
    labels = {"multicluster.kubernetes.io/service-name": "headless", "multicluster.kubernetes.io/source-cluster": "member1"}
    endpoints = {**ENDPOINTS, "metadata": {**ENDPOINTS["metadata"], "labels": labels}, "endpoints": HOSTS}
    client.DiscoveryV1Api(member2.core.api_client).create_namespaced_endpoint_slice(NAMESPACE, endpoints)
    # What kubeadm gives to CoreDNS, and no more.
    member2.core.create_namespaced_service_account("kube-system", {"metadata": {"name": LABEL}})
    binding = {
        "metadata": {"name": LABEL},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": LABEL, "namespace": "kube-system"}],
    }
    rights.create_cluster_role_binding(binding)
    for name, corefile in SERVERS.items():
        member2.add_coredns(f"verify-{name}", LABEL, image, corefile)
    account = {"spec": {"template": {"spec": {"serviceAccountName": LABEL}}}}
    member2.apps.patch_namespaced_deployment("verify-no-rights", "kube-system", account)
    member2.coredns_ready(LABEL)
    # It never gets ready, and opens its port late.
    wait_for("CoreDNS without rights has started", lambda: all(started(member2, pod) for pod in member2.pods("app=verify-no-rights")), 60)
    yield imports
    remove(member2, rights)


def started(member: Member, pod: dict[str, t.Any]) -> bool:
    """Whether the CoreDNS in a pod has opened its ports, after which it logs its name and version."""
    with contextlib.suppress(client.ApiException):
        return "CoreDNS-" in member.core.read_namespaced_pod_log(pod["metadata"]["name"], "kube-system")
    return False


def remove(member: Member, rights: client.RbacAuthorizationV1Api) -> None:
    member.remove_coredns(LABEL)
    for delete in (
        lambda: member.core.delete_namespace(NAMESPACE),
        lambda: member.core.delete_namespaced_service_account(LABEL, "kube-system"),
        lambda: rights.delete_cluster_role_binding(LABEL),
    ):
        try:
            delete()
        except client.ApiException as error:
            if error.status != 404:
                raise
    member.wait_gone(NAMESPACE)


def verified(member: Member, folder: Path) -> tuple[dict[tuple[str, str], dict[str, t.Any]], str, ET.Element]:
    """Run verify.yml on all servers. :returns: its rows by server and service, what it prints, and the JUnit file."""
    inventory, report, junit = folder / "inventory.yml", folder / "report.json", folder / "report.xml"
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "clusterset_kubeconfig": str(LAB / "kubeconfig" / f"{member.name}.yaml"),
        "clusterset_services": SERVICES,
        "dns_verify_label_selector": "app=verify-{{ inventory_hostname }}",
        "dns_verify_wait_timeout": 0,
        "dns_verify_json": str(report),
        "dns_verify_junit": str(junit),
    }
    inventory.write_text(yaml.safe_dump({"karmada_members": {"vars": shared, "hosts": dict.fromkeys(SERVERS)}}))
    command = Fleet.command("playbooks/verify.yml", inventory=inventory)
    ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert ran.returncode != 0
    found = json.loads(report.read_text())
    assert found["ok"] is False
    rows = {(row["cluster"], row["name"].removesuffix(SUFFIX)): row for row in found["rows"] if row["type"] != "SRV"}
    return rows, ran.stdout, ET.parse(junit).getroot()


def test_every_cause_is_said_in_words(member2: Member, causes: client.CustomObjectsApi, tmp_path: Path) -> None:
    rows, said, junit = verified(member2, tmp_path)
    expected = {
        ("right", "good"): ("ok", ""),
        ("right", "never-exported"): ("nxdomain", "there is no ServiceImport"),
        ("right", "without-ports"): ("nxdomain", "has no ports"),
        ("right", "without-ips"): ("nodata", "has no ips"),
        ("right", "kubernetes.default.svc.cluster.local"): ("ok", ""),
        ("no-rights", "good"): ("servfail", "RBAC does not let"),
        ("not-served", "dns-version.clusterset.local"): ("refused", ""),
        ("upstream", "dns-version.clusterset.local"): ("upstream", ""),
        ("cached", "good"): ("ok", ""),
        ("right", "moved"): ("stale", f"says 10.96.77.3, but it should say {member2.service_ip('derived-moved', NAMESPACE)}"),
        ("right", "strange"): ("stale", "says lb-1.eu.elb.example.com, but it should say"),
        ("right", "headless"): ("ok", ""),
        ("right", "web-0.member1.headless"): ("ok", ""),
    }
    for key, (verdict, words) in expected.items():
        assert rows[key]["verdict"] == verdict, rows[key]
        assert words in rows[key]["cause"], rows[key]
        assert " ".join(rows[key]["cause"].split()) in " ".join(said.split()) or verdict == "ok", rows[key]
    wrong = [row for row in rows.values() if not row["ok"]]
    assert len(junit.findall(".//failure")) == int(junit.get("failures", "0")) >= len(wrong)
    assert {suite.get("name") for suite in junit} == set(SERVERS)

    new = {"spec": {"ips": ["10.96.77.9"]}}
    causes.patch_namespaced_custom_object(*GROUP, "good", new)
    rows, said, _junit = verified(member2, tmp_path)
    assert rows["right", "good"]["verdict"] == "ok"
    assert rows["cached", "good"]["verdict"] == "stale"
    assert "cached" in rows["cached", "good"]["cause"]


CACHE = {"k8s-app": "nodelocaldns"}
FORWARDS = "{zone}:5354 {{\n    bind eth0\n    forward . {dns}\n    reload 2s 1s\n}}\n"


@pytest.fixture
def cache(member2: Member, site: None) -> t.Iterator[client.V1ConfigMap]:
    """A DNS server on each node's own address as NodeLocal DNSCache is one, under Kubespray's name; its ConfigMap."""

    def remove() -> None:
        for delete in (member2.apps.delete_namespaced_daemon_set, member2.core.delete_namespaced_config_map):
            with contextlib.suppress(client.ApiException):
                delete("nodelocaldns", "kube-system")
        wait_for("pods of the cache are gone", lambda: not member2.pods("k8s-app=nodelocaldns"), 60)

    remove()
    template = member2.deployment()["spec"]["template"]
    spec = {**template["spec"], "hostNetwork": True, "dnsPolicy": "Default"}
    spec["volumes"] = [{"name": "config-volume", "configMap": {"name": "nodelocaldns", "items": [{"key": "Corefile", "path": "Corefile"}]}}]
    spec["containers"] = [{**spec["containers"][0], "livenessProbe": None, "readinessProbe": None, "ports": [], "resources": {}}]
    body = {"metadata": {"name": "nodelocaldns"}, "data": {"Corefile": FORWARDS.format(zone="cluster.local", dns=member2.service_ip())}}
    config_map = member2.core.create_namespaced_config_map("kube-system", body)
    item = {"metadata": {"name": "nodelocaldns"}, "spec": {"selector": {"matchLabels": CACHE}, "template": {"metadata": {"labels": CACHE}, "spec": spec}}}
    member2.apps.create_namespaced_daemon_set("kube-system", item)

    def running() -> bool:
        pods = member2.pods("k8s-app=nodelocaldns")
        return bool(pods) and all(started(member2, pod) for pod in pods)

    wait_for("the cache runs", running, 60)
    yield config_map
    remove()


def test_a_nodelocal_dnscache_by_another_name_is_seen(member2: Member, cache: client.V1ConfigMap, tmp_path: Path) -> None:
    def verify() -> tuple[int, dict[str, t.Any], dict[str, t.Any]]:
        report = tmp_path / "report.json"
        command = Fleet.command("playbooks/verify.yml", "--limit", member2.name, "-e", f"dns_verify_json={report}", "-e", "dns_verify_wait_timeout=0")
        ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        found = json.loads(report.read_text())
        (row,) = [row for row in found["rows"] if row["pod"] == "DaemonSet kube-system/nodelocaldns"]
        return ran.returncode, found, row

    code, found, row = verify()
    assert (code != 0, found["ok"], row["ok"], row["verdict"]) == (True, False, False, "unasked"), row
    assert "has no server block for clusterset.local" in row["cause"]
    cache.data["Corefile"] += FORWARDS.format(zone="clusterset.local", dns=member2.service_ip())
    member2.core.patch_namespaced_config_map("nodelocaldns", "kube-system", {"data": cache.data})
    code, found, row = verify()
    assert (code, found["ok"], row["ok"], row["verdict"]) == (0, False, None, "unasked"), row
    assert found["summary"].endswith(f"what was asked is right; not asked: {member2.name} DaemonSet kube-system/nodelocaldns.")
