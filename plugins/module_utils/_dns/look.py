# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a member's API server says of its names. What this package may not know of CoreDNS and of addresses is handed in."""

from __future__ import annotations

import http.client
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns.endpoints import SERVICE, endpoints_of
from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Desired, Key
from ansible_collections.clusterset.dns.plugins.module_utils._dns.verification import Group, Look, Unasked
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster

__all__ = ["Imports", "look"]

Objects = list[dict[str, t.Any]]
Options = t.Mapping[str, t.Any]

_IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceimports.multicluster.x-k8s.io"
_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"


class Imports(t.Protocol):
    """What is known of ServiceImports: ``selector`` finds the EndpointSlices that others delivered."""

    selector: t.ClassVar[str]

    def needs_endpoints(self) -> bool:
        """Whether the addresses depend on all EndpointSlices of the member."""

    def desired(self, imports: Objects, services: Objects, slices: Objects, crd: t.Mapping[str, t.Any] | None) -> dict[Key, Desired]:
        """The addresses that each import is to have, and where they come from."""

    def delivered(self, slices: Objects) -> set[Key]:
        """The imports of which there are EndpointSlices of other clusters."""


def look(
    cluster: Cluster,
    options: Options,
    *,
    servers: t.Callable[[Cluster, Options, Objects], tuple[list[Group], list[Unasked]]],
    known: t.Callable[[Options], Imports],
) -> Look:
    """Look at one member.

    :arg servers: which pods there are to ask, by the options and the member's Services.
    :arg known: what is known of ServiceImports, by the options.
    """
    imports = _allowed(lambda: cluster.list(_IMPORTS), http.client.NOT_FOUND)
    services: Objects = cluster.list("/api/v1/services")
    groups, unasked = servers(cluster, options, services)
    rules = known(options)
    slices: Objects = []
    if imports and rules.needs_endpoints():
        slices = cluster.list(_SLICES)
    elif imports and any(not (one.get("spec") or {}).get("ips") for one in imports):
        # headless, or without the addresses that it may have to have
        slices = cluster.list(_SLICES, label_selector=rules.selector) + cluster.list(_SLICES, label_selector=SERVICE)
    crd = _allowed(lambda: cluster.get(_CRD), http.client.NOT_FOUND, http.client.FORBIDDEN) if imports else None
    return Look(
        imports=imports,
        groups=groups,
        unasked=unasked,
        kubernetes_ips=_kubernetes_ips(services),
        desired=rules.desired(imports or [], services, slices, crd),
        endpoints=endpoints_of({(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in slices}.values()),
        delivered=rules.delivered(slices),
    )


def _kubernetes_ips(services: Objects) -> list[str]:
    """The ClusterIPs of Service default/kubernetes."""
    for one in services:
        if (one["metadata"]["namespace"], one["metadata"]["name"]) == ("default", "kubernetes"):
            return one["spec"].get("clusterIPs") or [one["spec"]["clusterIP"]]
    return []


def _allowed(ask: t.Callable[[], t.Any], *statuses: int) -> t.Any:
    """What was asked for, or None where one of the HTTP statuses came."""
    try:
        return ask()
    except ApiError as error:
        if error.status in statuses:
            return None
        raise
