# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Managed platforms' objects, and their operators imitated: no such platform runs here.

The CustomResourceDefinitions are minimal ones of our own, with the fields that matter here.
"""

from __future__ import annotations

import typing as t

NAMESPACE = "kube-system"


def definition(group: str, version: str, kind: str, plural: str, scope: str, spec: dict[str, t.Any]) -> dict[str, t.Any]:
    """A minimal CustomResourceDefinition: not the platform's own one."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": spec}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


STRING = {"type": "string"}
STRINGS = {"type": "array", "items": STRING}
HELM = ("helm.cattle.io", "v1", NAMESPACE, "helmchartconfigs")
OPERATOR = ("operator.openshift.io", "v1", "dnses")
DEFINITIONS = {
    "rke2": definition("helm.cattle.io", "v1", "HelmChartConfig", "helmchartconfigs", "Namespaced", {"valuesContent": STRING, "failurePolicy": STRING}),
    "openshift": definition(
        "operator.openshift.io",
        "v1",
        "DNS",
        "dnses",
        "Cluster",
        {
            "logLevel": STRING,
            "servers": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["name"],
                    "properties": {
                        "name": STRING,
                        "zones": STRINGS,
                        "forwardPlugin": {
                            "type": "object",
                            "properties": {"upstreams": STRINGS, "policy": {"type": "string", "default": "Random"}},
                        },
                    },
                },
            },
        },
    ),
}


# What stands for RKE2's own `servers`. It looks for a changed Corefile more often, so that the tests wait less.
CHART = [
    {
        "zones": [{"zone": "."}],
        "port": 53,
        "plugins": [
            {"name": "errors"},
            {"name": "health", "configBlock": "lameduck 5s"},
            {"name": "ready"},
            {
                "name": "kubernetes",
                "parameters": "cluster.local in-addr.arpa ip6.arpa",
                "configBlock": "pods insecure\nfallthrough in-addr.arpa ip6.arpa\nttl 30",
            },
            {"name": "prometheus", "parameters": "0.0.0.0:9153"},
            {"name": "forward", "parameters": ". /etc/resolv.conf"},
            {"name": "reload", "parameters": "2s 1s"},
        ],
    }
]


def chart(servers: list[dict[str, t.Any]]) -> str:
    """The Corefile that CoreDNS's chart makes of its ``servers``."""
    text = ""
    for server in servers:
        text += " ".join(f"{one['zone']}:{server['port']}" for one in server["zones"]) + " {\n"
        for plugin in server["plugins"]:
            text += f"    {plugin['name']} {plugin.get('parameters', '')}".rstrip()
            inside = "".join(f"        {line}\n" for line in plugin.get("configBlock", "").splitlines())
            text += f" {{\n{inside}    }}\n" if inside else "\n"
        text += "}\n"
    return text


def forwarding(servers: list[dict[str, t.Any]]) -> str:
    """The server blocks that OpenShift's DNS operator makes of ``spec.servers``."""
    text = ""
    for server in servers:
        zones = " ".join(f"{zone}:5353" for zone in server["zones"])
        text += f"{zones} {{\n    forward . {' '.join(server['forwardPlugin']['upstreams'])}\n    errors\n}}\n"
    return text
