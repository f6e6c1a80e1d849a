# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Which zones a cluster's CoreDNS serves for multicluster, in whatever Deployment, DaemonSet or StatefulSet it runs: as long as there is
one, the cluster needs the definitions of ServiceImports.

Pure but for :func:`serving`.
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import runs_coredns, source_of
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster

Object = t.Mapping[str, t.Any]
# namespace and name of a ConfigMap
Key = tuple[str, str]

_KINDS = {"Deployment": "deployments", "DaemonSet": "daemonsets", "StatefulSet": "statefulsets"}


def configmaps(item: Object) -> list[Key]:
    """The ConfigMaps that the pods of a workload mount, alone or in a projected volume."""
    namespace, names = item["metadata"]["namespace"], []
    for volume in item["spec"]["template"]["spec"].get("volumes") or []:
        for source in [volume, *((volume.get("projected") or {}).get("sources") or [])]:
            if name := (source.get("configMap") or {}).get("name"):
                names.append(name)
    return [(namespace, name) for name in dict.fromkeys(names)]


def zones(text: str) -> list[str]:
    """The zones that a Corefile, or a file that one imports, serves for multicluster.

    What can be read neither way and speaks of multicluster is taken for serving: nobody can tell that it does not.
    """
    found: list[str] = []
    readable = True
    # An imported file may stand between server blocks or inside one.
    for body in (text, f". {{\n{text}\n}}\n"):
        try:
            corefile = parse(body)
        except CorefileError:
            readable = readable and body != text
            continue
        found += [one.zone for one in multicluster_zones(corefile) if one.mode != "forward"]
    if not readable and not found and "multicluster" in text:
        return ["a zone that cannot be read"]
    return list(dict.fromkeys(found))


def served(workloads: t.Iterable[tuple[str, Object]], found: t.Mapping[Key, Object]) -> list[str]:
    """A sentence for each zone that is served for multicluster, and for each CoreDNS whose Corefile cannot be seen.

    :arg workloads: the kind and the object of each that :func:`runs_coredns`.
    :arg found: the ConfigMaps that they mount. One that is missing is not there.
    """
    sentences = []
    for kind, item in workloads:
        who = f"{kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
        mounted = configmaps(item)
        if not mounted:
            sentences.append(f"{who} mounts no ConfigMap, so that what its CoreDNS serves cannot be seen")
        elif not source_of(item["spec"]["template"]["spec"]):
            sentences.append(f"{who} has its Corefile from no ConfigMap, so that what its CoreDNS serves cannot be seen")
        for namespace, name in mounted:
            for key, text in sorted(((found.get((namespace, name)) or {}).get("data") or {}).items()):
                sentences += [f"{who} serves {zone} (ConfigMap {namespace}/{name}, key {key})" for zone in zones(text)]
    return sentences


def serving(cluster: Cluster) -> list[str]:
    """What :func:`served` says of a cluster. :raises ApiError: it cannot be looked at."""
    workloads = [(kind, item) for kind, plural in _KINDS.items() for item in cluster.list(f"/apis/apps/v1/{plural}") if runs_coredns(item)]
    wanted = dict.fromkeys(key for _kind, item in workloads for key in configmaps(item))
    found = {key: cluster.get(f"/api/v1/namespaces/{key[0]}/configmaps/{key[1]}", missing_ok=True) for key in wanted}
    return served(workloads, {key: item for key, item in found.items() if item})
