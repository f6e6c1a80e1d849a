# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Who else needs the rights of a CoreDNS: another one may run as the same service account, and all share the ClusterRole."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rights
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import is_held
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe

__all__ = ["lease_name", "needed", "relying"]

_BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"


def lease_name(deployment: str) -> str:
    """The Lease that a run holds while it changes a Deployment."""
    return f"clusterset-dns-{deployment}"


def relying(cluster: Cluster, sharing: t.Iterable[Workload]) -> str:
    """The first of some workloads that reads ServiceImports, or that another run is changing at this moment: its label, '' for none."""
    for one in sharing:
        source = t.cast("t.Any", one.source)
        config_map = cluster.get(f"/api/v1/namespaces/{one.namespace}/configmaps/{source.configmap}", missing_ok=True) or {}
        text = (config_map.get("data") or {}).get(source.key, "")
        if _reads_imports(text) or is_held(cluster, one.namespace, lease_name(one.name)):
            return one.label
    return ""


def _reads_imports(text: str) -> bool:
    try:
        return any(one.mode in ("builtin", "plugin") for one in multicluster_zones(parse(text)))
    except CorefileError:
        return "multicluster" in text


def needed(cluster: Cluster, objects: t.Sequence[t.Mapping[str, t.Any]], sharing: t.Iterable[Workload]) -> dict[str, str]:
    """Of rights that are to go those that others need at this moment, as messages call them, and who that is.

    :arg sharing: the workloads that run as the same service account.
    """
    bindings = {one["metadata"]["name"] for one in objects if one["kind"] == "ClusterRoleBinding"}
    if any(name.startswith(f"{rights.ROLE}:") for name in bindings) and (who := relying(cluster, sharing)):
        return {describe(one): who for one in objects}
    role = next((one for one in objects if one["kind"] == "ClusterRole" and one["metadata"]["name"] == rights.ROLE), None)
    if role:
        for one in cluster.list(_BINDINGS, label_selector=ownership.selector()):
            if one["roleRef"]["name"] == rights.ROLE and one["metadata"]["name"] not in bindings:
                return {describe(role): f"ClusterRoleBinding {one['metadata']['name']}"}
    return {}
