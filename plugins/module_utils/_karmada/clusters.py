# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What Karmada says of its member clusters. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.rights import describe_right

Object = t.Mapping[str, t.Any]

# The label of each Work that holds an EndpointSlice collected from a member, and the prefix of the namespaces that Works are in.
COLLECTED = "endpointslice.karmada.io/managed-by"
_SPACE = "karmada-es-"


def cluster(item: Object, group_version: str, kinds: t.Collection[str]) -> dict[str, t.Any]:
    """One of Karmada's Clusters: ``{name, ready, why, kubernetes, sync_mode, serves}``.

    ``serves`` tells whether the Cluster's ``status.apiEnablements`` lists all ``kinds`` of ``group_version``: Karmada's
    scheduler refuses to place an object on a cluster where its kind is not listed, and does not try again by itself.
    """
    status = item.get("status", {})
    ready = next((one for one in status.get("conditions") or [] if one["type"] == "Ready"), {})
    listed = {
        resource["kind"]
        for enablement in status.get("apiEnablements") or []
        if enablement["groupVersion"] == group_version
        for resource in enablement.get("resources") or []
    }
    return {
        "name": item["metadata"]["name"],
        "ready": ready.get("status") == "True",
        "why": ready.get("message", "Karmada has not looked at it yet"),
        "kubernetes": status.get("kubernetesVersion", ""),
        "sync_mode": item["spec"].get("syncMode", ""),
        "serves": set(kinds) <= listed,
    }


def problems(
    name: str, missing_rights: t.Iterable[Object], wanted: t.Iterable[str], found: t.Collection[str]
) -> list[str]:
    """The sentences that say why the run cannot begin: rights that are missing, members that Karmada does not know."""
    sentences = []
    rights = [describe_right(right) for right in missing_rights]
    if rights:
        sentences.append(
            f"{name}: the credentials in use may not {'; nor '.join(rights)}. Grant that or set another kubeconfig."
        )
    unknown = [one for one in wanted if one not in found]
    if unknown:
        sentences.append(
            f"{', '.join(unknown)} is not a member of this Karmada, which has {', '.join(sorted(found)) or 'no member'}."
            " Join it, or set clusterset_member of the host to the name that Karmada uses."
        )
    return sentences


def waiting_for(clusters: t.Iterable[Object], wanted: t.Collection[str]) -> dict[str, str]:
    """Which of the ``wanted`` clusters do not serve the kinds yet, with the reason: those that are not Ready never will."""
    return {
        one["name"]: f"it is not Ready: {one['why']}"
        if not one["ready"]
        else "its API enablements do not list them yet"
        for one in clusters
        if one["name"] in wanted and not one["serves"]
    }


def crd_age(labels: t.Mapping[str, str] | None) -> tuple[int, ...]:
    """How new an MCS-API CustomResourceDefinition is, by the labels that mcs-api puts on it since 0.5 so that nobody downgrades it.

    One without them, as Karmada's own is, comes from mcs-api 0.1.
    """
    labels = labels or {}
    release = labels.get("multicluster.x-k8s.io/release-version", "v0.1.0").removeprefix("v").partition("-")[0]
    return (*map(int, release.split(".")), int(labels.get("multicluster.x-k8s.io/crd-schema-revision", "0")))


def not_older(wanted: t.Iterable[Object], found: t.Mapping[str, t.Mapping[str, str]]) -> list[Object]:
    """Those of the ``wanted`` CustomResourceDefinitions that would not replace a newer one.

    :arg found: the labels of those that are there, by name.
    """
    return [
        crd
        for crd in wanted
        if crd["metadata"]["name"] not in found
        or crd_age(crd["metadata"].get("labels")) >= crd_age(found[crd["metadata"]["name"]])
    ]


def unplaced(bindings: t.Iterable[Object], services: t.Iterable[Object]) -> list[str]:
    """The exports and imports of ``services`` that Karmada's scheduler has not placed, with its word for why.

    :arg bindings: Karmada's ResourceBindings: one for each object that a policy selects, with a condition ``Scheduled``.
    """
    scheduled = {}
    for binding in bindings:
        resource = binding["spec"]["resource"]
        conditions = binding.get("status", {}).get("conditions") or []
        condition = next((one for one in conditions if one["type"] == "Scheduled"), {})
        key = (resource["kind"], resource.get("namespace"), resource["name"])
        scheduled[key] = "" if condition.get("status") == "True" else condition.get("message") or "not looked at yet"
    wanted = [
        (kind, service["namespace"], service["name"])
        for service in services
        for kind in ("ServiceExport", "ServiceImport")
    ]
    return [
        f"{kind} {namespace}/{name}: {scheduled.get((kind, namespace, name), 'no policy has selected it yet')}"
        for kind, namespace, name in wanted
        if scheduled.get((kind, namespace, name), "missing")
    ]


def collected(works: t.Iterable[Object], exports: t.Iterable[Object]) -> list[dict[str, str]]:
    """The EndpointSlices that Karmada collected from members for ``exports``: ``{work, cluster, namespace, name}``, the last two the Service's.

    :arg works: those with the label :data:`COLLECTED`.
    """
    exported = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in exports}
    found = []
    for work in works:
        metadata = work["metadata"]
        namespace, name = (metadata["labels"].get(f"endpointslice.karmada.io/{key}", "") for key in ("namespace", "name"))
        if (namespace, name) in exported:
            cluster = metadata["namespace"].removeprefix(_SPACE)
            found.append({"work": metadata["name"], "cluster": cluster, "namespace": namespace, "name": name})
    return found


def left_slices(found: t.Iterable[Object], services: t.Iterable[Object], prune: bool) -> list[dict[str, t.Any]]:
    """What makes Karmada leave EndpointSlices of members where they are when it forgets what it collected, as an export is withdrawn.

    A Service that Karmada delivered hands its label ``karmada.io/managed`` on to its EndpointSlices, so that Karmada takes them for its own
    and deletes them in the member with the Work (``ObjectWatcher.Delete``, 1.16). Kubernetes makes them anew, but not where its controller has
    been started since it last wrote them (``onEndpointSliceDelete``, 1.34): the Service then has no endpoints until a pod of it changes.

    :arg found: what :func:`collected` gives.
    :arg services: those that are exported from now on, each from its ``from_clusters``.
    :arg prune: whether exports of other services go.
    """
    exporters = {(service["namespace"], service["name"]): service["from_clusters"] for service in services}
    return [
        {
            "apiVersion": "work.karmada.io/v1alpha1",
            "kind": "Work",
            "metadata": {"namespace": _SPACE + one["cluster"], "name": one["work"]},
            "spec": {"preserveResourcesOnDeletion": True},
        }
        for one in found
        if one["cluster"] not in exporters.get((one["namespace"], one["name"]), () if prune else (one["cluster"],))
    ]
