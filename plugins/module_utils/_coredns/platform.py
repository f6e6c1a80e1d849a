# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a platform lets others change of its DNS, and what follows from that. Pure: no client, no clock, no file.

Where a platform keeps its DNS, and who takes changes back, is in docs/platforms.md.
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import BUILTIN_COREDNS, image_version, text
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, covers, normal, parse

__all__ = ["OBJECTS", "PLATFORMS", "Platform", "Serving", "detect", "nodelocal_upstream", "serving"]

Object = t.Mapping[str, t.Any]


class Platform(t.NamedTuple):
    """``place`` is where the zone goes: ``corefile`` (the ConfigMap of CoreDNS's Deployment), ``custom`` (a key of ConfigMap
    ``coredns-custom``), or an object that an operator makes a Corefile of: ``helm``, ``stub_domains``, ``operator``.

    ``image``: whether the Deployment's image stays what it is set to. ``namespace``, ``selector`` and ``port`` are those of the pods that
    clients ask.
    """

    title: str
    place: str
    image: bool = False
    namespace: str = "kube-system"
    selector: str = "k8s-app=kube-dns"
    port: int = 53


PLATFORMS = {
    "kubeadm": Platform("kubeadm", "corefile", image=True),
    "any": Platform("This cluster", "corefile", image=True),
    "eks": Platform("EKS", "corefile"),
    "k3s": Platform("k3s", "custom"),
    "aks": Platform("AKS", "custom"),
    "rke2": Platform("RKE2", "helm"),
    "gke": Platform("GKE", "stub_domains"),
    "openshift": Platform(
        "OpenShift", "operator", namespace="openshift-dns", selector="dns.operator.openshift.io/daemonset-dns=default", port=5353
    ),
}
# The object by which a platform is told of a zone, by place: its collection and name, and what people call it.
OBJECTS = {
    "custom": ("/api/v1/namespaces/kube-system/configmaps", "coredns-custom", "ConfigMap kube-system/coredns-custom"),
    "stub_domains": ("/api/v1/namespaces/kube-system/configmaps", "kube-dns", "ConfigMap kube-system/kube-dns"),
    "operator": ("/apis/operator.openshift.io/v1/dnses", "default", "DNS.operator.openshift.io default"),
    "helm": (
        "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs",
        "rke2-coredns",
        "HelmChartConfig kube-system/rke2-coredns",
    ),
}
# In the API server's version, such as v1.34.1+k3s1: what a distribution adds to Kubernetes' own.
_VERSION_SIGNS = {"+k3s": "k3s", "+rke2": "rke2", "-eks-": "eks", "-gke.": "gke"}
_NODE_LABELS = {
    "kubernetes.azure.com/cluster": "aks",
    "eks.amazonaws.com/nodegroup": "eks",
    "cloud.google.com/gke-nodepool": "gke",
    "node.openshift.io/os_id": "openshift",
}
# What k8s.io/dns puts in by itself when it starts (node-cache).
_PILLAR = "__PILLAR__"


def detect(*, version: str, groups: t.Collection[str], nodes: t.Iterable[Object], kubeadm: bool) -> tuple[str, str]:
    """The platform, a key of :data:`PLATFORMS`, and by what it was told.

    :arg version: the API server's ``gitVersion``.
    :arg groups: the API groups that it serves.
    :arg nodes: some Nodes; none where they may not be read.
    :arg kubeadm: whether there is a ConfigMap ``kube-system/kubeadm-config``.
    """
    for sign, name in _VERSION_SIGNS.items():
        if sign in version:
            return name, f"the API server's version is {version}"
    if "operator.openshift.io" in groups:
        return "openshift", "the API server has the group operator.openshift.io"
    for node in nodes:
        metadata = node["metadata"]
        for label, name in _NODE_LABELS.items():
            if label in (metadata.get("labels") or {}):
                return name, f"node {metadata['name']} has the label {label}"
        kubelet = node.get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "")
        for sign, name in _VERSION_SIGNS.items():
            if sign in kubelet:
                return name, f"node {metadata['name']} has the kubelet {kubelet}"
    if kubeadm:
        return "kubeadm", "there is a ConfigMap kube-system/kubeadm-config"
    return "any", "nothing tells of a platform that is known"


class Serving(t.NamedTuple):
    """How a zone will be served. ``image`` is what CoreDNS of the platform (``builtin``, ``plugin``) or of our own (``forward``) shall run, '' for
    what the former runs now. ``problems`` say why it cannot be, a sentence each.
    """

    mode: str
    image: str
    reason: str
    problems: tuple[str, ...] = ()


def serving(name: str, platform_name: str, running: str, *, mode: str = "auto", image: str = "") -> Serving:
    """How a zone will be served in a member.

    :arg name: what messages call the member; ``platform_name`` a key of :data:`PLATFORMS`; ``running`` the image that its CoreDNS runs.
    :arg mode: what was asked for; ``auto`` takes the first that fits.
    :arg image: the image that was given, '' for none.

    A version is read off a tag. An image without one, such as one by its digest alone, is taken for new enough: it is the proof pod (or, with
    ``forward``, our own pods) that has to show it before anything is changed.
    """
    platform = PLATFORMS[platform_name]
    chosen, reason = (mode, "it was asked for") if mode != "auto" else _first_that_fits(platform, running, image)
    problems = []
    if chosen != "forward" and platform.place != "corefile":
        problems.append(f"{name}: {_keeps(platform)}, so mode {chosen} cannot be. Set mode to forward or auto, or platform where that is not what it is.")
    if chosen == "forward":
        image = image or (running if _serves(running) else "")
        if not image:
            running = running or "no CoreDNS"
            problems.append(
                f"{name}: in mode forward a CoreDNS of its own serves the zone, and the member runs {running}, which is not known to be"
                f" {text(BUILTIN_COREDNS)} or newer. Set image to one that is."
            )
    elif mode == "auto" and not platform.image:
        image = ""
    version = image_version(image or ("" if chosen == "forward" else running))
    if chosen != "plugin" and version and version < BUILTIN_COREDNS:
        problems.append(
            f"{name} would run CoreDNS {text(version)}, which cannot serve ServiceImports; {text(BUILTIN_COREDNS)} or newer can. Set image to one that is."
        )
    return Serving(chosen, image, reason, tuple(problems))


def _first_that_fits(platform: Platform, running: str, image: str) -> tuple[str, str]:
    if platform.place != "corefile":
        return "forward", _keeps(platform)
    if image and platform.image:
        known = image_version(image)
        return "builtin", f"the image to run is CoreDNS {text(known)}" if known else f"the image {image} is to run, to be proven in a pod"
    if not image_version(running):
        return "builtin", f"CoreDNS runs {running or 'no image'}, whose version its name does not say, to be proven in a pod"
    if _serves(running):
        return "builtin", f"it runs CoreDNS {text(image_version(running))}, which serves ServiceImports by itself"
    reason = f"it runs CoreDNS {text(image_version(running))}, which cannot serve ServiceImports"
    return "forward", f"{reason}, and {_keeps(platform)}" if image else f"{reason}, and no newer image is given"


def _keeps(platform: Platform) -> str:
    if platform.place == "corefile":
        return f"{platform.title} puts its own image back"
    return f"{platform.title} writes CoreDNS's Corefile and image itself"


def _serves(image: str) -> bool:
    version = image_version(image)
    return version is not None and version >= BUILTIN_COREDNS


def nodelocal_upstream(corefile: str, cluster_domain: str, services: t.Mapping[str, str]) -> str:
    """The DNS server that a NodeLocal DNSCache asks for the cluster's own names: an address; '' where none is found.

    It is the one in its Corefile, or where that has a placeholder (``__PILLAR__CLUSTER__DNS__``) what k8s.io/dns puts there: the ClusterIP
    of Service ``kube-dns-upstream``, which exists because the address of ``kube-dns`` may be NodeLocal DNSCache's own.

    :arg services: ClusterIPs of Services of that namespace by name.
    """
    try:
        parsed = parse(corefile)
    except CorefileError:
        return ""
    domain = normal(cluster_domain)
    bound = {token.text for block in parsed.blocks for stanza in block.named("bind") for token in stanza.args}
    for block in parsed.blocks:
        if any(zone != "." and covers(zone, domain) for key in block.keys for zone in key.zones):
            for stanza in block.named("forward"):
                for token in stanza.args[1:]:
                    if _PILLAR not in token.text:
                        return token.text
    candidates = [services.get("kube-dns-upstream", ""), services.get("kube-dns", "")]
    return next((address for address in candidates if address and address not in bound), "")
