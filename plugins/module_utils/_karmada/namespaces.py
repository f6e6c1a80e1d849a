# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Whether a namespace that was made for a service may go: Karmada deletes it in every member, with all that is in it."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe, root_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.ownership import made_for

Object = t.Mapping[str, t.Any]

# Kubernetes puts these in every namespace.
_ALWAYS = ("ConfigMap kube-root-ca.crt", "ServiceAccount default")
# What others make of objects that count themselves, or of none.
_DERIVED = ("Endpoints", "EndpointSlice", "Event", "ResourceBinding", "Work", "PodMetrics")


def matters(item: Object, fleet: str) -> bool:
    """Whether an object in a namespace keeps it: not what every namespace has, nor what is ours, nor what Karmada derives of it."""
    name = item["metadata"]["name"]
    if item["kind"] in _DERIVED or f"{item['kind']} {name}" in _ALWAYS or made_for(fleet, item):
        return False
    # Karmada's Service for an import. It goes with the import. One that selects pods, or that outsiders reach, is somebody's own.
    spec = item.get("spec") or {}
    karmadas = not spec.get("selector") and spec.get("type", "ClusterIP") == "ClusterIP"
    return not (item["kind"] == "Service" and name.startswith("derived-") and karmadas)


def contents(cluster: Cluster, namespace: str, fleet: str) -> list[str]:
    """What keeps a namespace in a cluster, each in words."""
    groups = (cluster.get("/apis") or {}).get("groups") or []
    found, seen = [], set()
    # not every kind is served in the version that its group prefers
    for api_version in ["v1", *(version["groupVersion"] for group in groups for version in group["versions"])]:
        root, group = root_of(api_version), api_version.rpartition("/")[0]
        for resource in (cluster.get(root) or {}).get("resources") or []:
            if resource["namespaced"] and "list" in resource["verbs"] and "/" not in resource["name"] and (group, resource["name"]) not in seen:
                seen.add((group, resource["name"]))
                items = cluster.list(f"{root}/namespaces/{namespace}/{resource['name']}")
                found += [item for one in items if matters(item := {"kind": resource["kind"], **one}, fleet)]
    return sorted({describe(item) for item in found})
