# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which platform it is, and how the zone is served there."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import (
    PLATFORMS,
    Serving,
    detect,
    nodelocal_upstream,
    serving,
)

STOCK = "registry.k8s.io/coredns/coredns:v1.12.1"
NEW = "registry.example.com/coredns:1.15.0"
DIGEST = "registry.example.com/coredns@sha256:" + "0" * 64


def node(*, kubelet: str = "v1.34.4", **labels: str) -> dict[str, t.Any]:
    return {"metadata": {"name": "n1", "labels": labels}, "status": {"nodeInfo": {"kubeletVersion": kubelet}}}


FACTS: dict[str, t.Any] = {"version": "v1.34.4", "groups": ["apps"], "nodes": [], "kubeadm": False}


@pytest.mark.parametrize(
    ("facts", "name", "words"),
    [
        ({"version": "v1.34.1+k3s1"}, "k3s", "v1.34.1+k3s1"),
        ({"version": "v1.34.1+rke2r1"}, "rke2", "v1.34.1+rke2r1"),
        ({"version": "v1.33.4-eks-99d6cc0"}, "eks", "-eks-"),
        ({"version": "v1.33.4-gke.1134000"}, "gke", "-gke."),
        ({"groups": ["apps", "operator.openshift.io"]}, "openshift", "operator.openshift.io"),
        ({"nodes": [node(**{"kubernetes.azure.com/cluster": "MC_a_b"})]}, "aks", "kubernetes.azure.com/cluster"),
        ({"nodes": [node(kubelet="v1.33.4-eks-99d6cc0")]}, "eks", "kubelet v1.33.4-eks-99d6cc0"),
        ({"kubeadm": True}, "kubeadm", "kubeadm-config"),
        ({"kubeadm": True, "nodes": [node(**{"kubernetes.azure.com/cluster": "x"})]}, "aks", "n1"),
        ({}, "any", "nothing tells"),
    ],
)
def test_the_platform_is_told_by_what_it_leaves_behind(facts: dict[str, t.Any], name: str, words: str) -> None:
    found, reason = detect(**{**FACTS, **facts})
    assert found == name
    assert words in reason


@pytest.mark.parametrize(
    ("platform", "running", "given", "mode", "image", "words"),
    [
        ("kubeadm", STOCK, NEW, "builtin", NEW, "the image to run is CoreDNS 1.15.0"),
        ("kubeadm", NEW, "", "builtin", "", "runs CoreDNS 1.15.0"),
        ("kubeadm", STOCK, DIGEST, "builtin", DIGEST, "to be proven in a pod"),
        ("any", DIGEST, "", "builtin", "", "to be proven in a pod"),
        ("eks", STOCK, NEW, "forward", NEW, "EKS puts its own image back"),
        ("eks", STOCK, DIGEST, "forward", DIGEST, "EKS puts its own image back"),
        ("eks", "eks/coredns:v1.12.2-eksbuild.1", NEW, "builtin", "", "runs CoreDNS 1.12.2"),
        ("k3s", NEW, "", "forward", NEW, "k3s writes CoreDNS's Corefile"),
        ("gke", "", NEW, "forward", NEW, "GKE writes"),
        ("openshift", "", DIGEST, "forward", DIGEST, "OpenShift writes"),
    ],
)
def test_auto_is_the_first_that_fits(platform: str, running: str, given: str, mode: str, image: str, words: str) -> None:
    chosen = serving("member2", platform, running, image=given)
    assert (chosen.mode, chosen.image, chosen.problems) == (mode, image, ())
    assert words in chosen.reason


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_platform_can_be_served_with_an_image_given(platform: str) -> None:
    assert serving("member2", platform, STOCK, image=NEW).problems == ()


@pytest.mark.parametrize(
    ("platform", "running", "options", "words"),
    [
        ("kubeadm", STOCK, {}, "not known to be 1.12.2 or newer. Set image to one that is."),
        ("kubeadm", STOCK, {"mode": "builtin"}, "would run CoreDNS 1.12.1, which cannot serve ServiceImports; 1.12.2 or newer can"),
        ("kubeadm", NEW, {"image": STOCK}, "would run CoreDNS 1.12.1"),
        ("gke", "", {}, "the member runs no CoreDNS, which is not known"),
        ("gke", "", {"image": STOCK}, "would run CoreDNS 1.12.1"),
        (
            "aks",
            NEW,
            {"mode": "builtin"},
            "AKS writes CoreDNS's Corefile and image itself, so mode builtin cannot be. Set mode to forward or auto, or platform where that is not what",
        ),
        ("rke2", NEW, {"mode": "plugin", "image": NEW}, "so mode plugin cannot be"),
        ("kubeadm", DIGEST, {"mode": "forward"}, "not known to be 1.12.2 or newer"),
    ],
)
def test_what_cannot_be_is_said_once(platform: str, running: str, options: dict[str, str], words: str) -> None:
    (problem,) = serving("member2", platform, running, **options).problems
    assert words in problem
    assert "member2" in problem


def test_the_external_plugin_needs_no_built_in_option() -> None:
    assert serving("member2", "kubeadm", STOCK, mode="plugin") == Serving("plugin", "", "it was asked for")


NODELOCAL = """\
cluster.local:53 {{
    errors
    cache 30
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . {upstream} {{
        force_tcp
    }}
    prometheus :9253
}}
.:53 {{
    bind 169.254.20.10 10.96.0.10
    forward . /etc/resolv.conf
}}
"""


@pytest.mark.parametrize(
    ("corefile", "services", "address"),
    [
        (NODELOCAL.format(upstream="10.96.7.7"), {}, "10.96.7.7"),
        (NODELOCAL.format(upstream="__PILLAR__CLUSTER__DNS__"), {"kube-dns": "10.96.0.10", "kube-dns-upstream": "10.96.9.9"}, "10.96.9.9"),
        (NODELOCAL.format(upstream="__PILLAR__CLUSTER__DNS__"), {"kube-dns": "10.96.0.10"}, ""),
        (NODELOCAL.format(upstream="__PILLAR__CLUSTER__DNS__").replace(" 10.96.0.10", ""), {"kube-dns": "10.96.0.10"}, "10.96.0.10"),
        ("{", {"kube-dns": "10.96.0.10"}, ""),
    ],
)
def test_nodelocal_is_sent_where_the_clusters_own_names_go(corefile: str, services: dict[str, str], address: str) -> None:
    assert nodelocal_upstream(corefile, "cluster.local", services) == address
