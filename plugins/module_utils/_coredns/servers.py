# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Which pods the pods of a cluster ask for names: CoreDNS behind the Service that they use, and each NodeLocal DNSCache.

Pure but for :func:`servers`.
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, dns_workloads, is_nodelocal, listening_port
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import Block, CorefileError, covers, normal, parse
from ansible_collections.clusterset.dns.plugins.module_utils._dns.verification import Group, Unasked
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster

__all__ = ["cache_server", "caches", "dns_services", "servers"]

Object = t.Mapping[str, t.Any]

# A port-forward ends at the loopback address.
_LOOPBACK = {"127.0.0.1", "::1", "0.0.0.0", "::", "lo"}
_KNOWN = {("kube-system", "kube-dns"), ("openshift-dns", "dns-default")}


def servers(cluster: Cluster, options: Object, services: list[dict[str, t.Any]]) -> tuple[list[Group], list[Unasked]]:
    """The pods to ask: those that the options name, else those that the member's pods ask."""
    if options["label_selector"] or options["pods"]:
        names = tuple(options["pods"])
        return [Group(options["namespace"] or "kube-system", options["label_selector"], options["port"] or 53, names)], []
    found: list[Group | Unasked | None] = [*dns_services(services, options["namespace"])]
    found = found or [Group(options["namespace"] or "kube-system", "k8s-app=kube-dns")]
    for one in caches(cluster.list("/apis/apps/v1/daemonsets")) if not options["namespace"] else []:
        # caches gives those that have one
        source = t.cast("t.Any", one.source)
        path = f"/api/v1/namespaces/{one.namespace}/configmaps/{source.configmap}"
        try:
            data = (cluster.get(path) or {}).get("data") or {}
        except ApiError as error:
            found.append(Unasked(one.label, f"{one.label} may be a NodeLocal DNSCache, and its Corefile cannot be read: {error}", wrong=True))
            continue
        found.append(cache_server(one, data.get(source.key) or "", options["zone"], options["cluster_domain"]))
    groups = [one._replace(port=options["port"] or one.port) for one in found if isinstance(one, Group)]
    return groups, [one for one in found if isinstance(one, Unasked)]


def dns_services(services: t.Iterable[Object], namespace: str = "") -> list[Group]:
    """The pods behind the Services on port 53 that a cluster's pods ask, each selector once.

    Such a Service says so by the label ``kubernetes.io/cluster-service``, which kubeadm, the Helm chart, k3s, RKE2 and Kubespray give it, by
    the name that every platform uses, or by the label of CoreDNS. Where there is none, any Service on port 53 in kube-system is taken.

    :arg namespace: look there only; anywhere unless set.
    """
    on_port = [one for one in services if namespace in ("", one["metadata"]["namespace"]) and _port_of(one) and one["spec"].get("selector")]
    chosen = [one for one in on_port if _says_so(one)] or [one for one in on_port if namespace or one["metadata"]["namespace"] == "kube-system"]
    groups = {}
    for one in chosen:
        selector = ",".join(f"{key}={value}" for key, value in sorted(one["spec"]["selector"].items()))
        groups.setdefault((one["metadata"]["namespace"], selector), Group(one["metadata"]["namespace"], selector, _port_of(one)))
    return list(groups.values())


def _says_so(service: Object) -> bool:
    metadata = service["metadata"]
    labels, key = metadata.get("labels") or {}, (metadata["namespace"], metadata["name"])
    named = key[0] == "kube-system" and labels.get("k8s-app") in ("kube-dns", "coredns")
    return labels.get("kubernetes.io/cluster-service") == "true" or key in _KNOWN or named


def _port_of(service: Object) -> int | str:
    """The port inside the pods, a number or a name; 0 where the Service has no port 53."""
    ports = [one for one in service["spec"].get("ports") or [] if one.get("port") == 53]
    ports.sort(key=lambda one: one.get("protocol", "TCP") != "TCP")
    return (ports[0].get("targetPort") or 53) if ports else 0


def caches(daemon_sets: t.Iterable[Object]) -> list[Workload]:
    """The DaemonSets that run CoreDNS on the nodes' network, which a NodeLocal DNSCache does."""
    return [one for one in dns_workloads([], daemon_sets) if one.host_network]


def cache_server(one: Workload, corefile: str, zone: str, cluster_domain: str) -> Group | Unasked | None:
    """A NodeLocal DNSCache as pods to ask, or why they cannot be; None where it is none.

    It answers on an address of its own on each node. A port-forward ends at the loopback address, where somebody else may answer.
    """
    try:
        blocks = parse(corefile).blocks
    except CorefileError as error:
        return Unasked(one.label, f"{one.label} may be a NodeLocal DNSCache, and its Corefile cannot be read: {error}", wrong=True)
    if not is_nodelocal(one, corefile, cluster_domain):
        return None
    block = _block_of(blocks, zone)
    bound = [token.text for stanza in (block.named("bind") if block else []) for token in stanza.args]
    if block and (not bound or _LOOPBACK & set(bound)):
        return Group(one.namespace, one.selector, listening_port(corefile, cluster_domain, one.dns_port), owner=one.uid)
    where = one.source.configmap if one.source else one.name
    number = (one.item.get("status") or {}).get("desiredNumberScheduled") or 0
    what = f"{one.label} is a NodeLocal DNSCache"
    if bound:
        what += f" that answers on {', '.join(bound)} of each node only, which no port-forward reaches: its {number} pods were not asked"
    gap = _gap(blocks, block, zone, cluster_domain)
    if gap:
        advice = f"Give ConfigMap {one.namespace}/{where} a server block {zone} that forwards to the cluster's DNS (module coredns_multicluster)."
        return Unasked(one.label, f"{what}. {gap}, so that the pods of its nodes do not get these names. {advice}", wrong=True)
    return Unasked(one.label, f"{what}. By its Corefile it passes {zone} on. Set http_image to try the names from inside.", wrong=False)


def _block_of(blocks: t.Iterable[Block], zone: str) -> Block | None:
    """The server block that questions for a zone come to: the one of the longest zone above it."""
    fitting = [
        (0 if above == "." else len(above), position, block)
        for position, block in enumerate(blocks)
        for key in block.keys
        for above in key.zones
        if covers(above, normal(zone))
    ]
    return max(fitting, key=lambda one: one[:2])[2] if fitting else None


def _gap(blocks: t.Sequence[Block], block: Block | None, zone: str, cluster_domain: str) -> str:
    """Why questions for the zone do not come to the cluster's DNS; '' where they do, or somebody has given the zone a block of its own."""
    if block is None:
        return f"Its Corefile has no server block for {zone}"
    if any(above != "." for key in block.keys for above in key.zones if covers(above, normal(zone))):
        return ""
    own = _block_of(blocks, cluster_domain)
    if own and _targets(own) == _targets(block):
        return ""
    return f"Its Corefile sends {zone} to {', '.join(_targets(block)) or 'nobody'}, as all names that are not the cluster's own"


def _targets(block: Block) -> list[str]:
    return [token.text for stanza in block.named("forward") for token in stanza.args[1:]]
