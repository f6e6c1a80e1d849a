# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A one-off pod that runs a Corefile that is not live yet, as CoreDNS's own pods would. Pure: no client, no clock, no file."""

from __future__ import annotations

import copy
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Expectation, Question, health
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

Object = t.Mapping[str, t.Any]

# What proof pods and their ConfigMaps are labelled with; not with anything that a Service of CoreDNS selects.
LABEL = "clusterset.dns/proof"
LISTER = "plugins"
MISSING = "no-such-service.no-such-namespace"

# What belongs to the Deployment's pods but would keep one more pod from being placed or bind what they have bound.
_LEFT_OUT = ("affinity", "hostNetwork", "initContainers", "nodeName", "topologySpreadConstraints")
_CONTAINER_LEFT_OUT = ("lifecycle", "livenessProbe", "ports", "readinessProbe", "startupProbe")


def config_map(found: Object, key: str, corefile: str, deployment: str) -> dict[str, t.Any]:
    """A copy of CoreDNS's ConfigMap (other keys may be imported) with another Corefile."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "generateName": "clusterset-dns-proof-",
            "labels": {LABEL: deployment, ownership.MANAGED_BY: ownership.OURS},
        },
        "data": {**(found.get("data") or {}), key: corefile},
        "binaryData": found.get("binaryData") or {},
    }


def pod(
    deployment: Object, container: Object, image: str, live: str, candidate: Object, seconds: int, architecture: str = ""
) -> dict[str, t.Any]:
    """The pod: CoreDNS's own template with ``image``, and ``candidate`` where the ConfigMap ``live`` is mounted.

    Before CoreDNS starts, a container lists the image's plugins, which proves that the image can be had and runs on
    that node.

    :arg architecture: of the node that it shall run on (``amd64``, ``arm64`` …), '' for any.
    :arg seconds: after which the cluster ends the pod by itself, should nobody be left to delete it.
    """
    spec = {key: copy.deepcopy(value) for key, value in deployment["spec"]["template"]["spec"].items() if key not in _LEFT_OUT}
    runs = {key: copy.deepcopy(value) for key, value in container.items() if key not in _CONTAINER_LEFT_OUT}
    runs["image"] = image
    lists = {key: value for key, value in runs.items() if key not in ("args", "volumeMounts")}
    for volume in spec.get("volumes") or []:
        sources = [volume.get("configMap"), *(one.get("configMap") for one in (volume.get("projected") or {}).get("sources") or [])]
        for source in filter(None, sources):
            if source.get("name") == live:
                source["name"] = candidate["metadata"]["name"]
    if architecture:
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), "kubernetes.io/arch": architecture}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": candidate["metadata"]["name"],
            "labels": candidate["metadata"]["labels"],
            # deleted with it, should the deletion of the pod itself be missed
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "name": candidate["metadata"]["name"],
                    "uid": candidate["metadata"]["uid"],
                }
            ],
        },
        "spec": {
            **spec,
            "initContainers": [{**lists, "name": LISTER, "args": ["-plugins"]}],
            "containers": [runs],
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "activeDeadlineSeconds": seconds,
        },
    }


def plugins_in(listing: str) -> set[str]:
    """The plugins that ``coredns -plugins`` lists: bare names, ``dns.errors`` under a headline before CoreDNS 1.12."""
    return {line.strip().removeprefix("dns.") for line in listing.splitlines() if not line.rstrip().endswith(":")}


def expectations(zone: str, cluster_domain: str, kubernetes_ips: t.Sequence[str]) -> list[Expectation]:
    """What the candidate has to answer: the cluster's own name, and the zone's version record."""
    return health(zone, cluster_domain, kubernetes_ips)


def missing_names(zone: str, cluster_domain: str) -> tuple[Question, Question]:
    """Names that do not exist, in the cluster domain and in the zone."""
    return Question(f"{MISSING}.svc.{cluster_domain}", "A"), Question(f"{MISSING}.svc.{zone}", "A")
