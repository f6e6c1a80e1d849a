# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What is asked of a member's CoreDNS, and what was found of it: plain data, from which ``plan.py`` decides. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import Platform
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload
from ansible_collections.clusterset.dns.plugins.module_utils._image.registry import Answer
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

__all__ = ["Facts", "NodeLocal", "Want"]

Object = t.Mapping[str, t.Any]


class Want(t.NamedTuple):
    """What is asked for: the options of module ``coredns_multicluster``, where each is described. Times in seconds."""

    state: str = "present"
    zone: str = "clusterset.local"
    cluster_domain: str = "cluster.local"
    mode: str = "auto"
    platform: str = "auto"
    placement: str = "separate"
    header: bool = True
    image: str = ""
    image_platforms: tuple[str, ...] = ()
    image_source: str = "auto"
    image_prefix: str = ""
    image_version: str = ""
    image_built: str = ""
    adopt: bool = False
    namespace: str = "kube-system"
    deployment: str = "coredns"
    forward_namespace: str = "kube-system"
    forward_name: str = "clusterset-dns"
    forward_replicas: int = 2
    nodelocal: str = "auto"
    eks_addon: bool = False
    imports: t.Mapping[str, str] | None = None
    env: t.Mapping[str, str] | None = None
    fleet: str = ownership.DEFAULT_FLEET
    wait_timeout: float = 180
    settle_seconds: float = 3
    drain_seconds: float = 10
    drain_timeout: float = 120

    @property
    def present(self) -> bool:
        return self.state == "present"


class NodeLocal(t.NamedTuple):
    """A NodeLocal DNSCache: its ConfigMap, which of its keys is the Corefile, and the DNS server that it asks for the cluster's own names ('': unknown)."""

    workload: Workload
    config_map: Object
    text: str
    upstream: str
    running: tuple[dict[str, t.Any], ...] = ()

    @property
    def label(self) -> str:
        metadata = self.config_map["metadata"]
        return f"{metadata['namespace']}/{metadata['name']}"


class Facts(t.NamedTuple):
    """What a member is.

    ``coredns`` is the Deployment that was asked for, None where there is none, with ``elsewhere`` what looks like it instead; ``twins`` are other
    workloads with the same Corefile, ``sharing`` those with another one that run as the same service account, of which ``relying`` needs its rights
    as well ('' for none; looked for on the way back alone). ``config_map`` holds that Corefile, ``text`` is None where the key is missing.
    ``imports`` and ``env`` are what is known of its surroundings, None where nothing is. ``running`` is which Corefile each pod runs (see
    :func:`pods.running`), None where that was not asked. ``delegated`` is the object by which a platform's operator is told of zones, or ConfigMap
    ``coredns-custom``; ``served`` is the Corefile that the platform made (RKE2). ``zone_server`` has our own CoreDNS's objects by kind. ``rights``
    are our ClusterRole (None where it is not there) and all our ClusterRoleBindings. ``nodes`` are architectures by name of those that are Ready
    and take CoreDNS's pods, ``nodes_down`` the names of those that are not Ready. ``published`` is what its registry says of upstream's image, None where
    that was not asked. ``unfinished`` are the uids of Deployments of which a run that was killed
    left the exchange of pods half done.
    """

    name: str
    kubernetes: tuple[int, int]
    platform_name: str
    platform_reason: str
    platform: Platform
    coredns: Workload | None = None
    twins: tuple[Workload, ...] = ()
    sharing: tuple[Workload, ...] = ()
    relying: str = ""
    elsewhere: tuple[str, ...] = ()
    config_map: Object | None = None
    text: str | None = None
    imports: t.Mapping[str, str] | None = None
    env: t.Mapping[str, str] | None = None
    running: tuple[dict[str, t.Any], ...] | None = None
    unfinished: frozenset[str] = frozenset()
    nodelocal: tuple[NodeLocal, ...] = ()
    nodelocal_missing: str = ""
    delegated: Object | None = None
    served: str | None = None
    zone_server: t.Mapping[str, Object] = {}
    crd: t.Mapping[str, t.Any] = {"present": False, "established": False, "served": []}
    rights: tuple[Object | None, tuple[Object, ...]] = (None, ())
    nodes: t.Mapping[str, str] = {}
    nodes_down: frozenset[str] = frozenset()
    kubernetes_ips: tuple[str, ...] = ()
    proofs_left: bool = False
    published: Answer | None = None

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """The workloads that read the Corefile."""
        return ((self.coredns,) if self.coredns else ()) + self.twins
