# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Reads a member once, with as few requests as tell everything that a change of its CoreDNS depends on. Nothing is decided here."""

from __future__ import annotations

import http.client
import posixpath
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods, proof, rights, rollout, sharing
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, NodeLocal, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import crd_state
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import OBJECTS, PLATFORMS, detect, nodelocal_upstream
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import (
    Workload,
    dns_workloads,
    is_nodelocal,
    may_land,
    runs_coredns,
    workload,
)
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zone_server import KINDS, addresses
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import metrics_port
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, parse
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster

__all__ = ["kubernetes_ips", "look"]

Object = dict[str, t.Any]

_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceimports.multicluster.x-k8s.io"
_RBAC = "/apis/rbac.authorization.k8s.io/v1"
# RKE2's own ConfigMap of CoreDNS, which its chart makes.
_RKE2 = "/api/v1/namespaces/kube-system/configmaps/rke2-coredns-rke2-coredns"
_UPSTREAMS = ("kube-dns-upstream", "kube-dns")


def look(cluster: Cluster, want: Want) -> Facts:
    """What a member is. :raises ApiError: it does not answer, or may not be read."""
    kubernetes = cluster.get("/version") or {}
    nodes = _readable(cluster, lambda: cluster.list("/api/v1/nodes", keep=_node)) or []
    name, reason = _platform(cluster, want.platform, kubernetes.get("gitVersion", ""), nodes)
    platform = PLATFORMS[name]
    facts = Facts(
        name=cluster.name,
        kubernetes=(int(kubernetes["major"]), int("".join(filter(str.isdigit, str(kubernetes["minor"]))))),
        platform_name=name,
        platform_reason=reason,
        platform=platform,
        crd=crd_state(cluster.get(_CRD, missing_ok=True)),
        nodes_down=frozenset(one["metadata"]["name"] for one in nodes if not one["ready"]),
        rights=(
            cluster.get(f"{_RBAC}/clusterroles/{rights.ROLE}", missing_ok=True),
            tuple(cluster.list(f"{_RBAC}/clusterrolebindings", label_selector=ownership.selector())),
        ),
    )
    # NodeLocal DNSCache may be in any namespace
    daemon_sets = cluster.list("/apis/apps/v1/daemonsets" if want.nodelocal else f"/apis/apps/v1/namespaces/{want.namespace}/daemonsets")
    deployments = cluster.list(f"/apis/apps/v1/namespaces/{want.namespace}/deployments")
    facts = _with_coredns(cluster, want, facts, deployments, daemon_sets)
    facts = facts._replace(
        nodes={
            one["metadata"]["name"]: one["status"]["nodeInfo"].get("architecture", "")
            for one in nodes
            if one["ready"] and (facts.coredns is None or may_land(facts.coredns, one))
        }
    )
    facts = facts._replace(zone_server=_zone_server(cluster, want, deployments))
    if platform.place in OBJECTS:
        collection, object_name, _label = OBJECTS[platform.place]
        facts = facts._replace(delegated=cluster.get(f"{collection}/{object_name}", missing_ok=True))
    if platform.place == "helm":
        made = cluster.get(_RKE2, missing_ok=True) or {}
        facts = facts._replace(served=(made.get("data") or {}).get("Corefile"))
    return _with_nodelocal(cluster, want, facts, daemon_sets)


def _node(item: Object) -> Object:
    """What matters of a Node; its status is long."""
    status, metadata = item.get("status") or {}, item["metadata"]
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or [])
    named = {"name": metadata["name"], "labels": metadata.get("labels") or {}}
    taints = {"taints": (item.get("spec") or {}).get("taints") or []}
    return {"metadata": named, "spec": taints, "status": {"nodeInfo": status.get("nodeInfo") or {}}, "ready": ready}


def _platform(cluster: Cluster, asked: str, version: str, nodes: list[Object]) -> tuple[str, str]:
    if asked != "auto":
        return asked, "it was given"
    kubeadm = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
    return detect(
        version=version,
        groups=[group["name"] for group in (cluster.get("/apis") or {}).get("groups", [])],
        nodes=nodes[:1],
        kubeadm=_readable(cluster, lambda: cluster.get(kubeadm)) is not None,
    )


def _readable(cluster: Cluster, read: t.Callable[[], t.Any]) -> t.Any:
    """What helps to tell more, or None where there is none or it may not be read."""
    try:
        return read()
    except ApiError as error:
        if error.status in (http.client.FORBIDDEN, http.client.NOT_FOUND):
            return None
        raise


def kubernetes_ips(cluster: Cluster) -> tuple[str, ...]:
    """What the cluster's own name is answered with, which nobody needs to know of a member in which nothing is to be changed."""
    service = _readable(cluster, lambda: cluster.get("/api/v1/namespaces/default/services/kubernetes"))
    return tuple(addresses(service))


def _with_coredns(cluster: Cluster, want: Want, facts: Facts, deployments: list[Object], daemon_sets: list[Object]) -> Facts:
    """The Deployment of CoreDNS, what else reads its Corefile, that Corefile, and what its pods run."""
    found = next((one for one in deployments if one["metadata"]["name"] == want.deployment), None)
    if found is None:
        candidates = cluster.list("/apis/apps/v1/deployments", label_selector="k8s-app in (kube-dns,coredns)")
        candidates += [one for one in deployments if runs_coredns(one)]
        names = {f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in candidates}
        return facts._replace(elsewhere=tuple(sorted(names)))
    coredns = workload(found, "Deployment")
    facts = facts._replace(coredns=coredns)
    labelled = cluster.list(pods.path_of(want.namespace), label_selector=rollout.DRAINED)
    proofs = cluster.list(pods.path_of(want.namespace), label_selector=f"{proof.LABEL}={want.deployment}")
    facts = facts._replace(unfinished=_unfinished([coredns], labelled), proofs_left=bool(proofs))
    if coredns.source is None:
        return facts
    others = dns_workloads(deployments, [one for one in daemon_sets if one["metadata"]["namespace"] == want.namespace])
    twins = [one for one in others if one.source and one.uid != coredns.uid and one.source[:2] == coredns.source[:2]]
    accounts = {one.service_account for one in (coredns, *twins)}
    same = tuple(one for one in others if one.service_account in accounts and one.uid not in {each.uid for each in (coredns, *twins)})
    facts = facts._replace(sharing=same, relying="" if want.present else sharing.relying(cluster, same))
    config_maps = f"/api/v1/namespaces/{want.namespace}/configmaps"
    config_map = cluster.get(f"{config_maps}/{coredns.source.configmap}", missing_ok=True)
    text = ((config_map or {}).get("data") or {}).get(coredns.source.key)
    imports, env = (want.imports, want.env) if want.imports is not None or want.env is not None else _surroundings(cluster, coredns, text or "")
    facts = facts._replace(unfinished=_unfinished([coredns, *twins], labelled))
    facts = facts._replace(twins=tuple(twins), config_map=config_map, text=text, imports=imports, env=env)
    if want.zone not in (text or "").lower():
        return facts
    port = _metrics_port(text or "", imports, env)
    running = [
        state
        for one in facts.workloads
        for state in pods.running(cluster, pods.reachable(pods.of(cluster, one), facts.nodes_down), one.container, port)
    ]
    return facts._replace(running=tuple(running))


def _unfinished(workloads: t.Iterable[Workload], labelled: list[Object]) -> frozenset[str]:
    """The uids of Deployments of which an exchange was not ended. :arg labelled: the pods that exchanges took out of service, whosever they were."""
    found = set()
    for one in workloads:
        own = [pod for pod in labelled if pod["metadata"]["labels"][rollout.DRAINED] == one.name]
        if one.kind == "Deployment" and rollout.unfinished(one.item, own):
            found.add(one.uid)
    return frozenset(found)


def _metrics_port(text: str, imports: t.Mapping[str, str] | None, env: t.Mapping[str, str] | None) -> int | None:
    try:
        return metrics_port(parse(text, imports=imports, env=env))
    except CorefileError:
        return None


def _surroundings(cluster: Cluster, coredns: Workload, text: str) -> tuple[dict[str, str] | None, dict[str, str] | None]:
    """The files that a Corefile imports, where all of them are in mounted ConfigMaps, and the variables that it uses, where the pod's spec has all."""
    try:
        parsed = parse(text)
    except CorefileError:
        return None, None
    env = None
    values = {one["name"]: one["value"] for one in coredns.runs.get("env") or [] if "value" in one}
    if parsed.env and parsed.env <= set(values):
        env = values
    if not parsed.unseen:
        return None, env
    folder = "/etc/coredns"
    mounted = {mount["mountPath"].rstrip("/"): mount for mount in coredns.runs.get("volumeMounts") or []}
    volumes = {one["name"]: one for one in coredns.template.get("volumes") or []}
    files: dict[str, str] = {}
    for unseen in parsed.unseen:
        path = posixpath.normpath(posixpath.join(folder, unseen.pattern))
        point = posixpath.dirname(path)
        source = volumes.get(mounted.get(point, {}).get("name", ""), {}).get("configMap")
        if source is None or mounted[point].get("subPath"):
            return None, env
        found = cluster.get(f"/api/v1/namespaces/{coredns.namespace}/configmaps/{source['name']}", missing_ok=True) or {}
        items = {item["key"]: item["path"] for item in source.get("items") or []}
        for key, content in (found.get("data") or {}).items():
            if not items or key in items:
                files[posixpath.join(point, items.get(key, key))] = content
    return files, env


def _zone_server(cluster: Cluster, want: Want, deployments: list[Object]) -> dict[str, Object]:
    """The objects of our own CoreDNS, by kind; none where its Deployment is not there. :arg deployments: those of CoreDNS's namespace."""
    if want.forward_namespace == want.namespace and want.forward_name not in (one["metadata"]["name"] for one in deployments):
        return {}
    apps = f"/apis/apps/v1/namespaces/{want.forward_namespace}/deployments/{want.forward_name}"
    deployment = cluster.get(apps, missing_ok=True)
    if deployment is None or ownership.fleet_of(deployment) is None:
        return {}
    found = {"Deployment": deployment}
    for kind, collection in KINDS.items():
        one = cluster.get(collection.path(want.forward_namespace, want.forward_name), missing_ok=True)
        if one is not None:
            found[kind] = one
    return found


def _with_nodelocal(cluster: Cluster, want: Want, facts: Facts, daemon_sets: list[Object]) -> Facts:
    """NodeLocal DNSCache, by what it does (``auto``), or by the ConfigMap that was given as ``NAMESPACE/NAME``."""
    if not want.nodelocal:
        return facts
    found = []
    for one in dns_workloads([], daemon_sets):
        named = f"{one.namespace}/{one.source.configmap}" if one.source else ""
        if not one.host_network or (want.nodelocal != "auto" and named != want.nodelocal) or one in facts.workloads:
            continue
        source = t.cast("t.Any", one.source)
        config_map = cluster.get(f"/api/v1/namespaces/{one.namespace}/configmaps/{source.configmap}", missing_ok=True) or {}
        text = (config_map.get("data") or {}).get(source.key, "")
        if not config_map or (want.nodelocal == "auto" and not is_nodelocal(one, text, want.cluster_domain)):
            continue
        services = {
            name: (addresses(cluster.get(f"/api/v1/namespaces/{one.namespace}/services/{name}", missing_ok=True)) or [""])[0] for name in _UPSTREAMS
        }
        running: tuple[dict[str, t.Any], ...] = ()
        if want.zone in text.lower():
            running = tuple(pods.running(cluster, pods.reachable(pods.of(cluster, one), facts.nodes_down), one.container, _metrics_port(text, None, None)))
        found.append(NodeLocal(one, config_map, text, nodelocal_upstream(text, want.cluster_domain, services), running))
    missing = want.nodelocal if want.nodelocal != "auto" and not found else ""
    return facts._replace(nodelocal=tuple(found), nodelocal_missing=missing)
