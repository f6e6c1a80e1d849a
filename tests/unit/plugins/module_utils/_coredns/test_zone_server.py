# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a CoreDNS of our own."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zone_server import PORT, addresses, corefile, objects
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import model as _corefile
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import invalid, satisfied

NAMES: dict[str, t.Any] = {"zone": "clusterset.local", "namespace": "kube-system", "name": "clusterset-dns"}


def of_kind(kind: str, **options: t.Any) -> dict[str, t.Any]:
    return next(one for one in objects("coredns:v1.15.0", **{**NAMES, **options}) if one["kind"] == kind)


def test_the_corefile_serves_the_zone_and_says_so_when_it_can() -> None:
    parsed = _corefile.parse(corefile("clusterset.local"))
    (block,) = _corefile.describe(parsed)
    plugins = {plugin["name"]: plugin for plugin in block["plugins"]}
    assert {"errors", "header", "health", "prometheus", "ready", "reload"} <= set(plugins)
    assert plugins["header"]["options"] == [["response", "set", "ra"]]
    assert plugins["kubernetes"]["args"] == ["clusterset.local"]
    assert plugins["kubernetes"]["options"] == [["multicluster", "clusterset.local"]]
    assert _corefile.port_of(parsed, "a.b.svc.clusterset.local") == PORT > 1023


def test_objects_can_be_written() -> None:
    assert [invalid(one) for one in objects("coredns:v1.15.0", **NAMES)] == [None] * 7


def test_the_services_address_is_the_clusters_to_give() -> None:
    service = of_kind("Service")
    assert "clusterIP" not in service["spec"]
    found = {**service, "spec": {**service["spec"], "clusterIP": "10.96.1.2", "clusterIPs": ["10.96.1.2"], "type": "ClusterIP"}}
    assert satisfied(service, found)
    assert addresses(found) == ["10.96.1.2"]
    assert addresses(None) == []


def test_pods_have_no_more_rights_than_they_use() -> None:
    deployment = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert {verb for rule in of_kind("ClusterRole")["rules"] for verb in rule["verbs"]} == {"list", "watch"}
    assert pod["serviceAccountName"] == of_kind("ClusterRoleBinding")["subjects"][0]["name"]


def test_the_clusters_own_dns_service_does_not_select_the_pods() -> None:
    deployment = of_kind("Deployment")
    assert "k8s-app" not in deployment["spec"]["template"]["metadata"]["labels"]
    assert of_kind("Service")["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
    assert of_kind("PodDisruptionBudget")["spec"]["selector"] == deployment["spec"]["selector"]


def test_another_corefile_makes_other_pods() -> None:
    template = of_kind("Deployment")["spec"]["template"]
    assert of_kind("Deployment", zone="example.org")["spec"]["template"] != template
    assert of_kind("Deployment", replicas=5)["spec"]["template"] == template
