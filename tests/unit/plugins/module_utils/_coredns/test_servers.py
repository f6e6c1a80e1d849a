# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.servers import cache_server, dns_services
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import workload
from ansible_collections.clusterset.dns.plugins.module_utils._dns.verification import Group, Unasked

OURS = {"kubernetes.io/cluster-service": "true"}


def service(namespace: str, name: str, selector: dict[str, str] | None, target: int | str | None = None, port: int = 53, **labels: str) -> dict[str, t.Any]:
    ports = [{"port": port, "protocol": protocol, **({"targetPort": target} if target else {})} for protocol in ("UDP", "TCP")]
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}, "spec": {"selector": selector, "ports": ports}}


KUBE_DNS = service("kube-system", "kube-dns", {"k8s-app": "kube-dns"}, 53, **OURS)
KUBEADM = Group("kube-system", "k8s-app=kube-dns", 53)
# A CoreDNS for names of a company's own, which no pod asks unless told to.
COMPANY = service("dns", "company", {"app": "company"}, 53)


@pytest.mark.parametrize(
    ("services", "groups"),
    [
        ([KUBE_DNS, COMPANY, service("kube-system", "extra", {"app": "extra"}, 53)], [KUBEADM]),
        ([KUBE_DNS, service("kube-system", "kube-dns-upstream", {"k8s-app": "kube-dns"}, 53, **OURS)], [KUBEADM]),
        (
            [KUBE_DNS, service("kube-system", "coredns-secondary", {"k8s-app": "kube-dns-secondary"}, 53, **OURS)],
            [KUBEADM, Group("kube-system", "k8s-app=kube-dns-secondary", 53)],
        ),
        (
            [service("kube-system", "rke2-coredns-rke2-coredns", {"k8s-app": "kube-dns", "app.kubernetes.io/name": "rke2-coredns"}, **OURS)],
            [Group("kube-system", "app.kubernetes.io/name=rke2-coredns,k8s-app=kube-dns", 53)],
        ),
        ([service("dns", "coredns", {"k8s-app": "coredns"}, "tcp-53", **OURS)], [Group("dns", "k8s-app=coredns", "tcp-53")]),
        ([service("openshift-dns", "dns-default", {"owning": "default"}, "dns-tcp")], [Group("openshift-dns", "owning=default", "dns-tcp")]),
        ([COMPANY, service("kube-system", "my-dns", {"app": "my"}, 8053)], [Group("kube-system", "app=my", 8053)]),
        ([COMPANY, service("kube-system", "external", None, **OURS), service("kube-system", "metrics", {"a": "b"}, port=9153, **OURS)], []),
    ],
    ids=["kubeadm", "an upstream Service", "Kubespray's second", "RKE2", "Helm chart", "OpenShift", "by the namespace", "none"],
)
def test_the_services_that_pods_ask(services: list[t.Any], groups: list[Group]) -> None:
    assert dns_services(services) == groups


def test_only_in_the_namespace_that_is_given() -> None:
    assert dns_services([KUBE_DNS, COMPANY], "dns") == [Group("dns", "app=company", 53)]


def cache(corefile: str) -> Group | Unasked | None:
    runs = {"name": "cache", "args": ["-conf", "/c/Corefile"], "volumeMounts": [{"name": "v", "mountPath": "/c"}]}
    template = {"hostNetwork": True, "containers": [runs], "volumes": [{"name": "v", "configMap": {"name": "cm"}}]}
    item = {
        "metadata": {"namespace": "kube-system", "name": "cache", "uid": "u"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"spec": template}},
    }
    return cache_server(workload(item, "DaemonSet"), corefile, "clusterset.local", "cluster.local")


@pytest.mark.parametrize(
    ("corefile", "wrong", "says"),
    [
        ("cluster.local {\n bind 1.2.3.4\n forward . 10.0.0.1\n}\n. {\n bind 1.2.3.4\n forward . 10.0.0.1\n}\n", False, "it passes clusterset.local on"),
        ("cluster.local {\n forward . 10.0.0.1\n}\n", True, "Its Corefile has no server block for clusterset.local"),
        ("cluster.local {\n forward . 10.0.0.1\n", True, "may be a NodeLocal DNSCache, and its Corefile cannot be read"),
    ],
    ids=["all names go to the cluster's DNS", "no block", "no Corefile"],
)
def test_what_a_corefile_says_of_a_cache(corefile: str, wrong: bool, says: str) -> None:
    found = cache(corefile)
    assert isinstance(found, Unasked)
    assert (found.name, found.wrong, says in found.cause) == ("DaemonSet kube-system/cache", wrong, True), found.cause


def test_a_cache_on_all_addresses_can_be_asked() -> None:
    assert cache("cluster.local:5300 {\n forward . 10.0.0.1\n}\n.:5300 {\n forward . 1.1.1.1\n}\n") == Group("kube-system", "a=b", 5300, owner="u")


def test_coredns_on_the_nodes_network_is_no_cache() -> None:
    assert cache("cluster.local {\n kubernetes cluster.local\n}\n") is None
