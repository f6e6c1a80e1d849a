# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The labels by which CoreDNS finds the endpoints of a headless ServiceImport. Pure: no client, no clock, no file.

Karmada delivers the EndpointSlices of the exporting clusters under the name of a derived Service and leaves these labels out.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import DERIVED_PREFIX, Key

SERVICE = "multicluster.kubernetes.io/service-name"
CLUSTER = "multicluster.kubernetes.io/source-cluster"
# Karmada's own slices, on the control plane as on the members.
SELECTOR = "endpointslice.kubernetes.io/managed-by=endpointslice-controller.karmada.io"
_IMPORTED = "imported-"
# On the control plane a slice's annotation names the execution space of the cluster that it was collected from.
_SPACE = "work.karmada.io/namespace"
_SPACE_PREFIX = "karmada-es-"
# The API server cuts a generateName so that five random characters fit into 63.
_GENERATED = 58


class Slice(t.NamedTuple):
    """What matters of an imported EndpointSlice. ``service`` is the import's name, '' where it belongs to none."""

    key: Key
    service: str
    labels: tuple[str, str]  # those of SERVICE and CLUSTER, '' where there is none


class SliceRow(t.NamedTuple):
    """What became of one slice on one member, whose labels were ``actual`` when it was read. ``source_cluster`` '' where it is not known;
    ``error`` '' unless it failed.
    """

    cluster: str
    key: Key
    service: str
    source_cluster: str
    actual: tuple[str, str]
    reason: str
    changed: bool = False
    error: str = ""


def imported_slice(document: t.Mapping[str, t.Any]) -> Slice:
    """An EndpointSlice of a member as the API gives it."""
    metadata = document["metadata"]
    labels = metadata.get("labels") or {}
    service = labels.get("kubernetes.io/service-name") or ""
    belongs = service.startswith(DERIVED_PREFIX) and metadata["name"].startswith(_IMPORTED)
    return Slice(
        (metadata["namespace"], metadata["name"]),
        service.removeprefix(DERIVED_PREFIX) if belongs else "",
        (labels.get(SERVICE) or "", labels.get(CLUSTER) or ""),
    )


def collected_from(document: t.Mapping[str, t.Any]) -> tuple[Key, str]:
    """A slice of the control plane: its key, and the cluster that it was collected from ('' where it does not say)."""
    metadata = document["metadata"]
    return (metadata["namespace"], metadata["name"]), cluster_of_space((metadata.get("annotations") or {}).get(_SPACE) or "")


def cluster_of_space(space: str) -> str:
    """The cluster whose execution space on the control plane has this name, '' where it is no execution space."""
    return space.removeprefix(_SPACE_PREFIX) if space.startswith(_SPACE_PREFIX) else ""


def source_cluster(one: Slice, clusters: t.Collection[str]) -> tuple[str, bool]:
    """The cluster that a slice comes from, by its name (``imported-CLUSTER-SLICE``), and whether that is beyond doubt.

    It is not where the names of several of the known ``clusters`` fit, as with ``a`` and ``a-b``. What then speaks for one is that
    Kubernetes generates a slice's name from the Service's. '' where nothing does.
    """
    rest = one.key[1].removeprefix(_IMPORTED)
    fitting = [cluster for cluster in clusters if rest.startswith(f"{cluster}-")]
    generated = re.fullmatch(rf"(.+)-{re.escape(f'{one.service}-'[:_GENERATED])}[a-z0-9]{{5}}", rest)
    if generated and (generated[1] in fitting or not fitting):
        return generated[1], len(fitting) < 2
    if len(fitting) == 1 and not generated:
        return fitting[0], True
    return "", False


def slice_row(member: str, one: Slice, clusters: t.Collection[str], sources: t.Callable[[], t.Mapping[Key, str]] | None) -> SliceRow:
    """What a slice is to have; ``changed`` where that differs from what it has.

    :arg sources: gives the slices of the control plane with the clusters that they were collected from; asked only where the name
        leaves a doubt, None where the control plane cannot be.
    """
    cluster, sure = source_cluster(one, clusters)
    reason = "by its name"
    if not sure and sources:
        cluster, reason = sources().get(one.key, ""), "by the annotation on the control plane"
        if not cluster:
            return SliceRow(member, one.key, one.service, "", one.labels, "the control plane has no such EndpointSlice any more")
    if not cluster:
        error = (
            f"EndpointSlice {one.key[0]}/{one.key[1]} does not say by its name which cluster it comes from. Set karmada to how the"
            " control plane is reached, which knows."
        )
        return SliceRow(member, one.key, one.service, "", one.labels, "the name fits several clusters or none", error=error)
    return SliceRow(member, one.key, one.service, cluster, one.labels, reason, one.labels != (one.service, cluster))


def patch_of(row: SliceRow) -> dict[str, t.Any]:
    """The merge patch that gives a slice its labels."""
    return {"metadata": {"labels": labels_of(row.service, row.source_cluster)}}


def labels_of(service: str, cluster: str) -> dict[str, str]:
    """The two labels, without those that have no value."""
    return {label: value for label, value in ((SERVICE, service), (CLUSTER, cluster)) if value}
