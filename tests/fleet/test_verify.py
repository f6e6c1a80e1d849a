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
SERVICES = [{"namespace": NAMESPACE, "name": name} for name in (*IMPORTS, "never-exported")]
GROUP = ("multicluster.x-k8s.io", "v1alpha1", NAMESPACE, "serviceimports")


@pytest.fixture(scope="module")
def causes(fleet: Fleet, member2: Member, site: None) -> t.Iterator[client.CustomObjectsApi]:
    """The servers and the imports; the client that may change the latter."""
    imports = client.CustomObjectsApi(member2.core.api_client)
    rights = client.RbacAuthorizationV1Api(member2.core.api_client)
    remove(member2, rights)
    image = member2.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]
    member2.core.create_namespace({"metadata": {"name": NAMESPACE}})
    for name, spec in IMPORTS.items():
        body = {"apiVersion": "/".join(GROUP[:2]), "kind": "ServiceImport", "metadata": {"name": name}, "spec": {"type": "ClusterSetIP", **spec}}
        imports.create_namespaced_custom_object(*GROUP, body)
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
    rows = {(row["cluster"], row["service"].rpartition("/")[2] or row["name"]): row for row in found["rows"] if row["type"] != "SRV"}
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
    }
    for key, (verdict, words) in expected.items():
        assert rows[key]["verdict"] == verdict, rows[key]
        assert words in rows[key]["cause"], rows[key]
        assert rows[key]["cause"].rstrip() in said.replace('\\"', '"') or verdict == "ok", rows[key]
    wrong = [row for row in rows.values() if not row["ok"]]
    assert len(junit.findall(".//failure")) == int(junit.get("failures", "0")) >= len(wrong)
    assert {suite.get("name") for suite in junit} == set(SERVERS)

    new = {"spec": {"ips": ["10.96.77.9"]}}
    causes.patch_namespaced_custom_object(*GROUP, "good", new)
    rows, said, _junit = verified(member2, tmp_path)
    assert rows["right", "good"]["verdict"] == "ok"
    assert rows["cached", "good"]["verdict"] == "stale"
    assert "cached" in rows["cached", "good"]["cause"]
