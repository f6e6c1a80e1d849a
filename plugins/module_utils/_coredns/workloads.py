# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Deployments and DaemonSets that run CoreDNS or NodeLocal DNSCache: which they are, where their Corefile is, which pods are theirs.

Pure: no client, no clock, no file.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, covers, normal, parse

__all__ = [
    "Source",
    "Workload",
    "container_of",
    "dns_workloads",
    "is_nodelocal",
    "listening_port",
    "may_land",
    "owned_by",
    "runs_coredns",
    "selector_of",
    "source_of",
    "workload",
]

Object = t.Mapping[str, t.Any]

# What the images of CoreDNS and of NodeLocal DNSCache (k8s.io/dns) are called, whoever has built them.
_IMAGES = ("coredns", "node-cache", "nodelocaldns", "k8s-dns-node")
# Where NodeLocal DNSCache has the Corefile that it makes its own from (k8s.io/dns, cmd/node-cache).
_BASE = "/etc/coredns/Corefile.base"


class Source(t.NamedTuple):
    """Where a container has its Corefile from: a key of a ConfigMap. With ``sub_path`` a pod never sees that it has changed."""

    configmap: str
    key: str
    sub_path: bool = False


class Workload(t.NamedTuple):
    """A Deployment or a DaemonSet that runs CoreDNS.

    ``selector`` is its pod selector as an API server takes it in a query. ``source`` is None where no ConfigMap is mounted where ``-conf``
    points. ``dns_port`` is what ``-dns.port`` says, the port of server blocks that name none. ``item`` is the object itself.
    """

    kind: str
    namespace: str
    name: str
    uid: str
    selector: str
    container: str
    image: str
    service_account: str
    source: Source | None
    dns_port: int
    host_network: bool
    item: Object

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def template(self) -> Object:
        """The spec of its pods."""
        return t.cast("Object", self.item["spec"]["template"]["spec"])

    @property
    def runs(self) -> dict[str, t.Any]:
        """The container that runs CoreDNS."""
        return next(one for one in self.template["containers"] if one["name"] == self.container)


def workload(item: Object, kind: str) -> Workload:
    """What matters of a Deployment or DaemonSet."""
    metadata, template = item["metadata"], item["spec"]["template"]["spec"]
    runs = container_of(template["containers"])
    port = _argument(_arguments(runs), "dns.port")
    return Workload(
        kind=kind,
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        selector=selector_of(item["spec"]["selector"]),
        container=runs["name"],
        image=runs.get("image", ""),
        service_account=template.get("serviceAccountName") or "default",
        source=source_of(template),
        dns_port=int(port) if port and port.isdigit() else 53,
        host_network=bool(template.get("hostNetwork")),
        item=item,
    )


def runs_coredns(item: Object) -> bool:
    """Whether a Deployment or DaemonSet runs CoreDNS, by the name of an image or of a container, or by an argument ``-conf``."""
    return any(one["name"] == "coredns" or _has_image(one) or _is_configured(one) for one in item["spec"]["template"]["spec"]["containers"])


def _has_image(runs: Object) -> bool:
    """Whether a container's image is called as one of CoreDNS is; a registry or a tag of that name says nothing."""
    name = posixpath.basename(runs.get("image", "").partition("@")[0]).partition(":")[0]
    return any(part in name for part in _IMAGES)


def _is_configured(runs: Object) -> bool:
    return bool(_argument(_arguments(runs), "conf"))


def dns_workloads(deployments: t.Iterable[Object], daemon_sets: t.Iterable[Object]) -> list[Workload]:
    """Those that run CoreDNS and have a Corefile from a ConfigMap, by namespace and name."""
    pairs = [*((item, "Deployment") for item in deployments), *((item, "DaemonSet") for item in daemon_sets)]
    found = [workload(item, kind) for item, kind in pairs if runs_coredns(item)]
    return sorted((one for one in found if one.source), key=lambda one: (one.namespace, one.kind, one.name))


def is_nodelocal(one: Workload, corefile: str, cluster_domain: str) -> bool:
    """Whether a workload is a NodeLocal DNSCache, by whatever name: it runs on each node, on the node's network, and forwards the cluster domain."""
    if one.kind != "DaemonSet" or not one.host_network:
        return False
    try:
        blocks = parse(corefile).blocks
    except CorefileError:
        return False
    domain = normal(cluster_domain)
    for block in blocks:
        if any(zone != "." and covers(zone, domain) for key in block.keys for zone in key.zones):
            return bool(list(block.named("forward")))
    return False


def listening_port(corefile: str, cluster_domain: str, dns_port: int = 53) -> int:
    """The port of the container on which the cluster domain is answered; ``dns_port`` where the Corefile does not say."""
    try:
        blocks = parse(corefile).blocks
    except CorefileError:
        return dns_port
    domain = normal(cluster_domain)
    fitting = [
        (len(zone) if zone != "." else 0, key)
        for block in blocks
        for key in block.keys
        for zone in key.zones
        if key.scheme == "dns" and covers(zone, domain)
    ]
    if not fitting:
        return dns_port
    key = max(fitting, key=lambda pair: pair[0])[1]
    return int(key.written_port) if key.written_port else dns_port


def selector_of(selector: Object) -> str:
    """A label selector (``matchLabels`` and ``matchExpressions``) as an API server takes it in a query."""
    terms = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for one in selector.get("matchExpressions") or []:
        key, values = one["key"], ",".join(one.get("values") or [])
        terms.append({"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}[one["operator"]])
    return ",".join(terms)


def owned_by(pods: t.Iterable[Object], uids: t.Collection[str]) -> list[Object]:
    """Those of ``pods`` whose controller is one of ``uids``: of two workloads with the same labels each has its own."""
    return [
        pod
        for pod in pods
        if any(owner.get("controller") and owner["uid"] in uids for owner in pod["metadata"].get("ownerReferences") or [])
    ]


def may_land(one: Workload, node: Object) -> bool:
    """Whether a workload's pods may be scheduled to a node, by its labels and taints."""
    labels = node["metadata"].get("labels") or {}
    if not (one.template.get("nodeSelector") or {}).items() <= labels.items():
        return False
    tolerations = one.template.get("tolerations") or []
    taints = [taint for taint in (node.get("spec") or {}).get("taints") or [] if taint["effect"] != "PreferNoSchedule"]
    return all(any(_tolerates(toleration, taint) for toleration in tolerations) for taint in taints)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]) or toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("key") == taint["key"] and toleration.get("value", "") == taint.get("value", ""))


def container_of(containers: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    """The container that runs CoreDNS: the one of that name, else the first with such an image or with ``-conf``, else the first."""
    named = [one for one in containers if one["name"] == "coredns"]
    known = [one for one in containers if _has_image(one)]
    configured = [one for one in containers if _is_configured(one)]
    return [*named, *known, *configured, containers[0]][0]


def source_of(template: Object) -> Source | None:
    """The ConfigMap that the pods of a spec have their Corefile from; None where it is from elsewhere, such as a Secret or the image."""
    runs = container_of(template["containers"])
    arguments = _arguments(runs)
    found = _source(template, runs, _argument(arguments, "conf") or "Corefile")
    # k8s.io/dns makes its Corefile when it starts, from this one
    return found or (_source(template, runs, _argument(arguments, "basecorefile") or _BASE) if _argument(arguments, "localip") else None)


def _arguments(runs: Object) -> list[str]:
    return [*(runs.get("command") or []), *(runs.get("args") or [])]


def _argument(words: t.Sequence[str], name: str) -> str | None:
    """The value of a flag, in each form that Go's package flag takes: ``-conf FILE``, ``--conf FILE``, ``-conf=FILE``."""
    for position, word in enumerate(words):
        flag, equals, value = word.partition("=")
        if flag not in (f"-{name}", f"--{name}"):
            continue
        if equals:
            return value
        if position + 1 < len(words):
            return words[position + 1]
    return None


def _source(template: Object, runs: Object, file: str) -> Source | None:
    """The ConfigMap that is mounted where a file lies: a volume of its own, or one of the sources of a projected volume."""
    path = posixpath.join(runs.get("workingDir") or "/", file)
    volumes = {one["name"]: one for one in template.get("volumes") or []}
    # the mount that lies deepest is the one that a path is seen through
    for mount in sorted(runs.get("volumeMounts") or [], key=lambda one: -len(one["mountPath"])):
        point, volume = mount["mountPath"].rstrip("/"), volumes.get(mount["name"], {})
        if path == point:
            file = mount.get("subPath") or posixpath.basename(path)
        elif path.startswith(f"{point}/"):
            file = posixpath.join(mount.get("subPath") or "", path[len(point) + 1 :])
        else:
            continue
        sources = [volume["configMap"]] if volume.get("configMap") else []
        sources += [one["configMap"] for one in (volume.get("projected") or {}).get("sources") or [] if one.get("configMap")]
        for source in sources:
            items = {item["path"]: item["key"] for item in source.get("items") or []}
            if not items and "/" not in file:
                return Source(source["name"], file, bool(mount.get("subPath")))
            if file in items:
                return Source(source["name"], items[file], bool(mount.get("subPath")))
        return None
    return None
