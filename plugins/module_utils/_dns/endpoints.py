# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What DNS has to answer for a headless ServiceImport: its endpoints, from EndpointSlices. Pure: no client, no clock, no file."""

from __future__ import annotations

import ipaddress
import typing as t

__all__ = ["CLUSTER", "LARGEST", "SERVICE", "Endpoint", "endpoints_of", "headless_records"]

# The labels by which CoreDNS finds the slices of an import (KEP-1645).
SERVICE = "multicluster.kubernetes.io/service-name"
CLUSTER = "multicluster.kubernetes.io/source-cluster"
# Of so many endpoints the own names are asked; a service may have thousands.
LARGEST = 10

# A name, its record type, the right answer, and others that are as right.
Record = tuple[str, str, tuple[str, ...], tuple[tuple[str, ...], ...]]


class Endpoint(t.NamedTuple):
    """A ready address. ``ports`` are ``(name, protocol, number)``."""

    address: str
    cluster: str
    hostname: str
    pod: str
    ports: tuple[tuple[str, str, int], ...]

    @property
    def label(self) -> str:
        """What CoreDNS calls it in the target of an SRV record."""
        return self.hostname or self.address.replace(".", "-").replace(":", "-")


def endpoints_of(slices: t.Iterable[t.Mapping[str, t.Any]]) -> dict[tuple[str, str], list[Endpoint]]:
    """The ready endpoints of each import that has slices, as CoreDNS reads them."""
    found: dict[tuple[str, str], list[Endpoint]] = {}
    for one in slices:
        metadata = one["metadata"]
        labels = metadata.get("labels") or {}
        if not labels.get(SERVICE) or one.get("addressType") == "FQDN":
            continue
        ports = tuple((port.get("name") or "", port.get("protocol") or "TCP", port.get("port") or 0) for port in one.get("ports") or [])
        ready = found.setdefault((metadata["namespace"], labels[SERVICE]), [])
        for endpoint in one.get("endpoints") or []:
            # an absent condition means ready (EndpointConditions in k8s.io/api/discovery/v1)
            if (endpoint.get("conditions") or {}).get("ready") is False:
                continue
            pod = (endpoint.get("targetRef") or {}).get("name") or ""
            for address in endpoint.get("addresses") or []:
                normal = str(ipaddress.ip_address(address))
                ready.append(Endpoint(normal, labels.get(CLUSTER) or "", endpoint.get("hostname") or "", pod, ports))
    return found


def headless_records(name: str, endpoints: t.Sequence[Endpoint], kinds: t.Sequence[str]) -> tuple[list[Record], str]:
    """What has to be answered for ``name`` and below it, and a sentence where not everything is asked.

    :arg kinds: the record types to ask where there is no endpoint at all; no address is the right answer then.
    """
    records = [(name, kind, addresses, ()) for kind, addresses in _by_type(endpoints).items()] or [(name, kind, (), ()) for kind in kinds]
    # HOST.CLUSTER needs the cluster, so without that label there are no targets to compare.
    if all(one.cluster for one in endpoints):
        for port, protocol in sorted({(port, protocol) for one in endpoints for port, protocol, _number in one.ports if port}):
            records.append(_service_record(name, port, protocol, endpoints))
    hosts = sorted({(one.cluster, one.hostname) for one in endpoints if one.hostname and one.cluster})
    for cluster, host in hosts[:LARGEST]:
        of_host = [one for one in endpoints if (one.cluster, one.hostname) == (cluster, host)]
        records += [(f"{host}.{cluster}.{name}", kind, addresses, ()) for kind, addresses in _by_type(of_host).items()]
    left = len(hosts) - LARGEST
    return records, f"the own names of {LARGEST} of its {len(hosts)} endpoints are asked, the first by cluster and name." if left > 0 else ""


def _service_record(name: str, port: str, protocol: str, endpoints: t.Sequence[Endpoint]) -> Record:
    targets: list[str] = []
    by_pod: list[str] = []
    for one in endpoints:
        for its_name, its_protocol, number in one.ports:
            if (its_name, its_protocol) == (port, protocol):
                targets.append(f"{number} {one.label}.{one.cluster}.{name}.")
                # option endpoint_pod_names of CoreDNS's kubernetes plugin
                by_pod.append(f"{number} {one.hostname or one.pod or one.label}.{one.cluster}.{name}.")
    right, other = tuple(sorted(set(targets))), tuple(sorted(set(by_pod)))
    return f"_{port}._{protocol.lower()}.{name}", "SRV", right, () if other == right else (other,)


def _by_type(endpoints: t.Iterable[Endpoint]) -> dict[str, tuple[str, ...]]:
    """Addresses by the record type that holds them, each type only if it has any."""
    addresses = sorted({one.address for one in endpoints})
    by_type = {"A": tuple(one for one in addresses if ":" not in one), "AAAA": tuple(one for one in addresses if ":" in one)}
    return {kind: found for kind, found in by_type.items() if found}
