# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A CoreDNS of our own that serves the zone, for a platform's DNS to forward it to (mode forward). Pure: no client, no clock, no file."""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import Kind

__all__ = ["KINDS", "PORT", "addresses", "corefile", "objects"]

Object = t.Mapping[str, t.Any]

# Above 1023, for a user other than root. Clients ask the Service's port 53.
PORT = 1053
# Those of its objects, beside its Deployment, that tell what it is.
KINDS = {"ConfigMap": Kind("/api/v1", "configmaps", True), "Service": Kind("/api/v1", "services", True)}
_HEALTH, _READY, _METRICS = 8080, 8181, 9153
# In the pod template: a new Corefile makes new pods, and no old one goes before a new one has started with it and is ready.
_HASH = "clusterset.dns/corefile"


def corefile(zone: str) -> str:
    """The Corefile. ``ready`` is about this zone alone, so that a pod gets no questions before it has read the ServiceImports."""
    return f"""\
{zone}:{PORT} {{
    errors
    health :{_HEALTH} {{
        lameduck 10s
    }}
    ready :{_READY}
    prometheus :{_METRICS}
    reload
    header {{
        response set ra
    }}
    loadbalance
    kubernetes {zone} {{
        multicluster {zone}
    }}
}}
"""


def objects(image: str, *, zone: str, namespace: str, name: str, replicas: int = 2) -> list[dict[str, t.Any]]:
    """All objects, in the order in which they are to be written.

    The Service says nothing of its address, which the cluster gave it when it was made: it stays what it is.
    """
    text = corefile(zone)
    labels = {"app.kubernetes.io/name": name}
    metadata = {"name": name, "labels": labels}
    placed = {**metadata, "namespace": namespace}
    rights = {
        "": ["namespaces", "services"],
        "discovery.k8s.io": ["endpointslices"],
        "multicluster.x-k8s.io": ["serviceimports"],
    }
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": placed},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": metadata,
            "rules": [
                {"apiGroups": [group], "resources": resources, "verbs": ["list", "watch"]} for group, resources in rights.items()
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": placed, "data": {"Corefile": text}},
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": placed,
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": placed,
            "spec": {
                "selector": labels,
                "ports": [
                    {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": "dns"},
                    {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": "dns-tcp"},
                ],
            },
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": placed,
            "spec": {
                "replicas": replicas,
                "selector": {"matchLabels": labels},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": labels, "annotations": {_HASH: hashlib.sha256(text.encode()).hexdigest()[:16]}},
                    "spec": _pod(image, name, labels),
                },
            },
        },
    ]


def _pod(image: str, name: str, labels: dict[str, str]) -> dict[str, t.Any]:
    return {
        "serviceAccountName": name,
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [
            {"key": "CriticalAddonsOnly", "operator": "Exists"},
            {"key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule"},
        ],
        # preferred, for a cluster of one node
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [
                    {
                        "weight": 100,
                        "podAffinityTerm": {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}},
                    }
                ]
            }
        },
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # longer than lameduck, in which a pod goes on answering while proxies let go of it
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": "coredns",
                "image": image,
                "args": ["-conf", "/etc/coredns/Corefile"],
                "ports": [
                    {"name": "dns", "containerPort": PORT, "protocol": "UDP"},
                    {"name": "dns-tcp", "containerPort": PORT, "protocol": "TCP"},
                    {"name": "metrics", "containerPort": _METRICS, "protocol": "TCP"},
                ],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": _READY}, "periodSeconds": 3, "failureThreshold": 2},
                "livenessProbe": {
                    "httpGet": {"path": "/health", "port": _HEALTH},
                    "initialDelaySeconds": 30,
                    "periodSeconds": 10,
                    "timeoutSeconds": 5,
                    "failureThreshold": 5,
                },
                "resources": {"requests": {"cpu": "100m", "memory": "70Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    # Not for the port: images of CoreDNS, upstream's too, have it as a file capability of their binary, and Linux
                    # does not start such a one where it may not be had.
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
                "volumeMounts": [{"name": "corefile", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "corefile", "configMap": {"name": name}}],
    }


def addresses(service: Object | None) -> list[str]:
    """The ClusterIPs of the Service; none where there is no Service."""
    spec = service["spec"] if service else {}
    return [ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"]
