# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""From ``clusterset_services`` to the objects on Karmada's control plane. Pure: no client, no clock, no file."""

from __future__ import annotations

import hashlib
import re
import typing as t

Service = t.Mapping[str, t.Any]

MCS = "multicluster.x-k8s.io/v1alpha1"
POLICY = "policy.karmada.io/v1alpha1"
LABELS = {"app.kubernetes.io/managed-by": "clusterset.dns", "app.kubernetes.io/part-of": "clusterset.dns"}
# Service names are RFC 1035 labels, namespaces RFC 1123 labels; a ServiceExport's name becomes a label of a DNS name.
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ZONE = re.compile(rf"{_LABEL.pattern}(\.{_LABEL.pattern})*")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("ClusterSetIP", "Headless")
_KEYS = {"namespace", "name", "ports", "from_clusters", "to_clusters", "type", "create_namespace"}
_PORT_KEYS = {"name", "port", "protocol", "appProtocol"}


def problems(services: t.Sequence[t.Any], members: t.Collection[str]) -> list[str]:
    """The sentences that say what is wrong with ``clusterset_services``; empty where nothing is.

    :arg members: the names of the clusters that Karmada has.
    """
    sentences: list[str] = []
    seen: set[tuple[str, str]] = set()
    for position, service in enumerate(services):
        if not isinstance(service, dict):
            sentences.append(f"clusterset_services[{position}] has to be a dictionary, not {type(service).__name__}.")
            continue
        where = f"clusterset_services[{position}] ({service.get('namespace')}/{service.get('name')})"
        sentences += [f"{where}: {sentence}" for sentence in _service_problems(service, members)]
        key = (str(service.get("namespace")), str(service.get("name")))
        if key in seen:
            sentences.append(f"{where}: the service is there twice. Keep one.")
        seen.add(key)
    return sentences


def input_problems(
    services: t.Any, *, members: t.Collection[str], zone: str, cluster_domain: str
) -> list[str]:
    """What is wrong with the input of a whole run, seen before anything is written: the zone, and :func:`problems`.

    :arg members: the names that the inventory gives to the member clusters.
    """
    sentences = []
    if zone.rstrip(".").lower() == cluster_domain.rstrip(".").lower():
        sentences.append(
            f"clusterset_zone is {zone}, the cluster domain, which every Service of every cluster has its name in."
            " Set another one, such as clusterset.local."
        )
    if not _ZONE.fullmatch(zone.rstrip(".").lower()):
        sentences.append(f"clusterset_zone is {zone!r}, which is no DNS name. Set one, such as clusterset.local.")
    if not isinstance(services, list):
        return [*sentences, f"clusterset_services has to be a list, not {type(services).__name__}."]
    return sentences + problems(services, members)


def _service_problems(service: Service, members: t.Collection[str]) -> t.Iterator[str]:
    unknown = sorted(set(service) - _KEYS)
    if unknown:
        yield f"{', '.join(unknown)} is not known here; the keys are {', '.join(sorted(_KEYS))}."
    if not _SERVICE_NAME.fullmatch(str(service.get("name"))):
        yield "the name is not a DNS label: lower case letters, digits and dashes, a letter first, 63 characters at most."
    if not _LABEL.fullmatch(str(service.get("namespace"))):
        yield "the namespace is not a DNS label: lower case letters, digits and dashes, 63 characters at most."
    if service.get("type", "ClusterSetIP") not in _TYPES:
        yield f"type is {service['type']!r}; set one of {', '.join(_TYPES)}."
    yield from _port_problems(service.get("ports"))
    if not service.get("from_clusters"):
        yield "from_clusters is empty, so no cluster would export it. Name at least one member."
    for key in ("from_clusters", "to_clusters"):
        clusters = service.get(key) or []
        if isinstance(clusters, str) or not isinstance(clusters, (list, tuple)):
            yield f"{key} has to be a list of cluster names."
            continue
        missing = [str(cluster) for cluster in clusters if cluster not in members]
        if missing:
            yield f"{key} names {', '.join(missing)}, which Karmada does not have. It has {', '.join(sorted(members)) or 'none'}."


def _port_problems(ports: t.Any) -> t.Iterator[str]:
    if not ports or not isinstance(ports, list):
        yield "there are no ports, and CoreDNS answers NXDOMAIN for an import without ports. Set ports: [{port: 80}]."
        return
    names = []
    for port in ports:
        if not isinstance(port, dict) or isinstance(port.get("port"), bool) or not isinstance(port.get("port"), int):
            yield f"the port {port!r} is not a dictionary with a number as port."
            continue
        if set(port) - _PORT_KEYS:
            yield f"port {port['port']}: {', '.join(sorted(set(port) - _PORT_KEYS))} is not known here."
        if not 1 <= port["port"] <= 65535:
            yield f"port {port['port']} is not between 1 and 65535."
        if port.get("protocol", "TCP") not in _PROTOCOLS:
            yield f"port {port['port']}: protocol is {port['protocol']!r}; set one of {', '.join(_PROTOCOLS)}."
        if "name" in port and not _LABEL.fullmatch(str(port["name"])):
            yield f"port {port['port']}: the name {port['name']!r} is not a DNS label."
        names.append(port.get("name"))
    if len(ports) > 1 and (None in names or len(set(names)) < len(names)):
        yield "with more than one port each needs a name of its own."


def objects(services: t.Sequence[Service], members: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """What Karmada's control plane needs to give each service one name in its clusters.

    For each service a ServiceExport, a ServiceImport, and a PropagationPolicy for each of the two; before them a Namespace
    where ``create_namespace`` asks for it (Karmada delivers namespaces to every member by itself). ``spec.ips`` of the import
    is never spoken of: it differs from member to member.

    :arg members: the clusters that import where a service has no ``to_clusters``.
    """
    made: list[dict[str, t.Any]] = []
    for service in services:
        namespace, name = service["namespace"], service["name"]
        if service.get("create_namespace"):
            made.append({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        made.append(_policy(service, "ServiceExport", service["from_clusters"]))
        made.append(_policy(service, "ServiceImport", service.get("to_clusters") or members))
        metadata = {"namespace": namespace, "name": name, "labels": LABELS}
        made.append({"apiVersion": MCS, "kind": "ServiceExport", "metadata": metadata})
        spec = {"type": service.get("type", "ClusterSetIP"), "ports": [_port(port) for port in service["ports"]]}
        made.append({"apiVersion": MCS, "kind": "ServiceImport", "metadata": metadata, "spec": spec})
    return made


def _port(port: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"port": port["port"], "protocol": port.get("protocol", "TCP")} | {
        key: port[key] for key in ("name", "appProtocol") if key in port
    }


def _policy(service: Service, kind: str, clusters: t.Sequence[str]) -> dict[str, t.Any]:
    return {
        "apiVersion": POLICY,
        "kind": "PropagationPolicy",
        "metadata": {
            "namespace": service["namespace"],
            "name": _policy_name(service["name"], kind.lower()),
            "labels": LABELS,
        },
        "spec": {
            "resourceSelectors": [{"apiVersion": MCS, "kind": kind, "name": service["name"]}],
            "placement": {"clusterAffinity": {"clusterNames": list(clusters)}},
        },
    }


def _policy_name(service: str, suffix: str) -> str:
    """``serve-serviceexport``; a name that would be too long for a label is cut and told apart by a hash."""
    name = f"{service}-{suffix}"
    if len(name) <= 63:
        return name
    digest = hashlib.sha256(service.encode()).hexdigest()[:8]
    return f"{service[: 63 - len(suffix) - 10]}-{digest}-{suffix}"
