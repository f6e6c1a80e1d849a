# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""From a list of services to the objects on Karmada's control plane, and what is wrong with the list. Pure: no client, no clock, no file."""

from __future__ import annotations

import hashlib
import re
import typing as t

Object = t.Mapping[str, t.Any]
Service = t.Mapping[str, t.Any]

MCS = "multicluster.x-k8s.io/v1alpha1"
POLICY = "policy.karmada.io/v1alpha1"
KINDS = ("ServiceExport", "ServiceImport")
# Service names are RFC 1035 labels, namespaces RFC 1123 labels; a ServiceExport's name becomes a label of a DNS name.
_SERVICE_NAME = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Karmada makes a Service derived-NAME in each cluster that imports.
_LONGEST_NAME = 63 - len("derived-")
# Karmada propagates nothing of its own namespaces (names.IsReservedNamespace) and of kube-* (--skipped-propagating-namespaces).
_NOT_PROPAGATED = ("karmada-", "kube-")
_PROTOCOLS = ("TCP", "UDP", "SCTP")
_TYPES = ("ClusterSetIP", "Headless")
_KEYS = {"namespace", "name", "ports", "from_clusters", "to_clusters", "type", "create_namespace"}
_PORT_KEYS = {"name", "port", "protocol", "appProtocol"}


class Key(t.NamedTuple):
    """An export or an import of a service: what a policy of ours selects."""

    kind: str
    namespace: str
    name: str


def problems(services: t.Sequence[t.Any], members: t.Collection[str], option: str = "services") -> list[str]:
    """The sentences that say what is wrong with a list of services; empty where nothing is.

    :arg members: the names of the clusters that Karmada has.
    :arg option: what messages call the list.
    """
    sentences: list[str] = []
    seen: set[tuple[str, str]] = set()
    for position, service in enumerate(services):
        if not isinstance(service, dict):
            sentences.append(f"{option}[{position}] has to be a dictionary, not {type(service).__name__}.")
            continue
        where = f"{option}[{position}] ({service.get('namespace')}/{service.get('name')})"
        sentences += [f"{where}: {sentence}" for sentence in _service_problems(service, members)]
        key = (str(service.get("namespace")), str(service.get("name")))
        if key in seen:
            sentences.append(f"{where}: the service is there twice. Keep one.")
        seen.add(key)
    return sentences


def input_problems(services: t.Any, *, members: t.Collection[str], prune: bool = False, prefix: str = "") -> list[str]:
    """What is wrong with the input of a whole run, seen before anything is written: the names of the members, and :func:`problems`.

    :arg members: the names that the inventory gives to the member clusters.
    :arg prune: whether services that are not in the list are withdrawn.
    :arg prefix: what stands before ``services`` in the name of the variable that holds them.
    """
    sentences = []
    twice = sorted({name for name in members if list(members).count(name) > 1})
    if twice:
        sentences.append(f"Two members are called {', '.join(twice)}. Give each cluster a name of its own, the one that Karmada uses.")
    if not isinstance(services, list):
        return [*sentences, f"{prefix}services has to be a list, not {type(services).__name__}."]
    if prune and not services:
        sentences.append(nothing_to_keep(f"{prefix}services"))
    return sentences + problems(services, members, f"{prefix}services")


def nothing_to_keep(option: str) -> str:
    """Why an empty list is not pruned to: it is more often a variable that was not loaded than a wish."""
    return (
        f"{option} is empty, so that pruning would withdraw every service of the fleet. Name the services to keep, or withdraw all by state"
        " absent (teardown)."
    )


def _service_problems(service: Service, members: t.Collection[str]) -> t.Iterator[str]:
    unknown = sorted(set(service) - _KEYS)
    if unknown:
        yield f"{', '.join(unknown)} is not known here; the keys are {', '.join(sorted(_KEYS))}."
    name, namespace = str(service.get("name")), str(service.get("namespace"))
    if not _SERVICE_NAME.fullmatch(name):
        yield f"the name is not a DNS label: lower case letters, digits and dashes, a letter first, {_LONGEST_NAME} characters at most."
    elif len(name) > _LONGEST_NAME:
        yield (
            f"the name has {len(name)} characters; {_LONGEST_NAME} is the most, as Karmada makes a Service derived-NAME of it"
            " and names of Services end at 63."
        )
    if not _LABEL.fullmatch(namespace):
        yield "the namespace is not a DNS label: lower case letters, digits and dashes, 63 characters at most."
    elif namespace.startswith(_NOT_PROPAGATED):
        yield f"the namespace is {namespace}, and Karmada propagates nothing in namespaces karmada-* and kube-*. Export a service of another one."
    if (service.get("type") or "ClusterSetIP") not in _TYPES:
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
    names: list[t.Any] = []
    numbers: list[tuple[int, str]] = []
    for port in ports:
        if not isinstance(port, dict) or isinstance(port.get("port"), bool) or not isinstance(port.get("port"), int):
            yield f"the port {port!r} is not a dictionary with a number as port."
            continue
        if set(port) - _PORT_KEYS:
            yield f"port {port['port']}: {', '.join(sorted(set(port) - _PORT_KEYS))} is not known here."
        if not 1 <= port["port"] <= 65535:
            yield f"port {port['port']} is not between 1 and 65535."
        protocol = port.get("protocol") or "TCP"
        if protocol not in _PROTOCOLS:
            yield f"port {port['port']}: protocol is {protocol!r}; set one of {', '.join(_PROTOCOLS)}."
        if port.get("name") is not None and not _LABEL.fullmatch(str(port["name"])):
            yield f"port {port['port']}: the name {port['name']!r} is not a DNS label."
        if (port["port"], protocol) in numbers:
            yield f"port {port['port']}/{protocol} is there twice, which no Service takes. Keep one."
        numbers.append((port["port"], protocol))
        names.append(port.get("name"))
    if len(ports) > 1 and (None in names or len(set(names)) < len(names)):
        yield "with more than one port each needs a name of its own."


def objects(
    services: t.Sequence[Service], members: t.Sequence[str], placed: t.Mapping[Key, t.Sequence[str]] | None = None
) -> list[dict[str, t.Any]]:
    """What Karmada's control plane needs to give each service one name in its clusters.

    For each service a ServiceExport, a ServiceImport, and a PropagationPolicy for each of the two; before them a Namespace
    where ``create_namespace`` asks for it (Karmada delivers namespaces to every member by itself). ``spec.ips`` of the import
    is never spoken of: it differs from member to member.

    :arg members: the clusters that import where a service has no ``to_clusters``.
    :arg placed: the clusters that our policies name now. Where the user names none, an import never leaves one of them.
    """
    placed = placed or {}
    made: list[dict[str, t.Any]] = []
    for service in services:
        namespace, name = service["namespace"], service["name"]
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        if service.get("create_namespace") and space not in made:
            made.append(space)
        wanted = {"ServiceExport": service["from_clusters"], "ServiceImport": service.get("to_clusters") or members}
        for kind in KINDS:
            key = Key(kind, namespace, name)
            grows = kind == "ServiceImport" and not service.get("to_clusters")
            made.append(policy(key, clusters_of(wanted[kind], placed.get(key, ()), grows=grows)))
        metadata = {"namespace": namespace, "name": name}
        made.append({"apiVersion": MCS, "kind": "ServiceExport", "metadata": metadata})
        spec = {"type": service.get("type") or "ClusterSetIP", "ports": [_port(port) for port in service["ports"]]}
        made.append({"apiVersion": MCS, "kind": "ServiceImport", "metadata": metadata, "spec": spec})
    return made


def clusters_of(wanted: t.Sequence[str], now: t.Sequence[str], *, grows: bool) -> list[str]:
    """The clusters that a policy is to name: those ``wanted``, and with ``grows`` those that it names now as well.

    What is named already stays in its order, so that nothing is written where nothing changes.
    """
    kept = [name for name in now if grows or name in wanted]
    return [*kept, *dict.fromkeys(name for name in wanted if name not in kept)]


def _port(port: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return {"port": port["port"], "protocol": port.get("protocol") or "TCP"} | {
        key: port[key] for key in ("name", "appProtocol") if port.get(key) is not None
    }


def policy(key: Key, clusters: t.Sequence[str]) -> dict[str, t.Any]:
    """The PropagationPolicy that brings an export or an import to clusters, of which there has to be one: Karmada takes none for all."""
    return {
        "apiVersion": POLICY,
        "kind": "PropagationPolicy",
        "metadata": {"namespace": key.namespace, "name": _policy_name(key.name, key.kind.lower())},
        "spec": {
            "resourceSelectors": [{"apiVersion": MCS, "kind": key.kind, "name": key.name}],
            "placement": {"clusterAffinity": {"clusterNames": list(clusters)}},
        },
    }


def selected(found: Object) -> Key | None:
    """What a PropagationPolicy selects, where it is made as :func:`policy` makes them."""
    selectors = found["spec"].get("resourceSelectors") or []
    if len(selectors) != 1 or selectors[0].get("apiVersion") != MCS or not selectors[0].get("name"):
        return None
    key = Key(selectors[0]["kind"], found["metadata"]["namespace"], selectors[0]["name"])
    return key if key.kind in KINDS and found["metadata"]["name"] == _policy_name(key.name, key.kind.lower()) else None


def cluster_names(found: Object) -> list[str]:
    """The clusters that a policy names one by one."""
    return list(((found["spec"].get("placement") or {}).get("clusterAffinity") or {}).get("clusterNames") or [])


def would_make(found: Object) -> dict[str, t.Any] | None:
    """What we would make in the place of an object of the version before fleets, where that is what it is; None where it is of another shape."""
    if found["kind"] == "PropagationPolicy":
        key = selected(found)
        return policy(key, cluster_names(found)) if key and cluster_names(found) else None
    spec = found.get("spec") or {}
    named = {"namespace": found["metadata"]["namespace"], "name": found["metadata"]["name"]}
    bare = {"apiVersion": found["apiVersion"], "kind": found["kind"], "metadata": named}
    if found["kind"] == "ServiceExport":
        return bare if not spec else None
    return {**bare, "spec": spec} if set(spec) <= {"type", "ports"} else None


def _policy_name(service: str, suffix: str) -> str:
    """``serve-serviceexport``; a name that would be too long for a label is cut and told apart by a hash."""
    name = f"{service}-{suffix}"
    if len(name) <= 63:
        return name
    digest = hashlib.sha256(service.encode()).hexdigest()[:8]
    return f"{service[: 63 - len(suffix) - 10]}-{digest}-{suffix}"
