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


def problems(name: str, missing_rights: t.Iterable[Object], wanted: t.Iterable[str], found: t.Collection[str]) -> list[str]:
    """The sentences that say why the run cannot begin: rights that are missing, members that Karmada does not know."""
    sentences = []
    rights = [describe_right(right) for right in missing_rights]
    if rights:
        sentences.append(f"{name}: the credentials in use may not {'; nor '.join(rights)}. Grant that or set another kubeconfig.")
    unknown = [one for one in wanted if one not in found]
    if unknown:
        sentences.append(
            f"{', '.join(unknown)} is not a member of this Karmada, which has {', '.join(sorted(found)) or 'no member'}."
            " Join it, or give it the name that Karmada uses."
        )
    return sentences


def waiting_for(clusters: t.Iterable[Object], wanted: t.Collection[str]) -> dict[str, str]:
    """Which of the ``wanted`` clusters do not serve the kinds yet, with the reason: those that are not Ready never will."""
    return {one["name"]: _why(one) for one in clusters if one["name"] in wanted and not one["serves"]}


def unusable(clusters: t.Iterable[Object], wanted: t.Collection[str]) -> dict[str, str]:
    """Those of the ``wanted`` clusters in which Karmada's scheduler places nothing new, with the reason."""
    return {one["name"]: _why(one) for one in clusters if one["name"] in wanted and not (one["ready"] and one["serves"])}


def _why(one: Object) -> str:
    return "its API enablements do not list them yet" if one["ready"] else f"it is not Ready: {one['why']}"


def crd_age(labels: t.Mapping[str, str] | None) -> tuple[int, ...]:
    """How new an MCS-API CustomResourceDefinition is, by the labels that mcs-api puts on it since 0.5 so that nobody downgrades it.

    One without them, as Karmada's own is, comes from mcs-api 0.1.
    """
    labels = labels or {}
    release = labels.get("multicluster.x-k8s.io/release-version", "v0.1.0").removeprefix("v").partition("-")[0]
    return (*map(int, release.split(".")), int(labels.get("multicluster.x-k8s.io/crd-schema-revision", "0")))


def left_works(works: t.Iterable[Object], after: t.Mapping[tuple[str, str], t.Collection[str]]) -> list[Object]:
    """Of the Works that hold EndpointSlices collected from members, those that Karmada is about to delete as a cluster exports no longer.

    A Service that Karmada delivered hands its label ``karmada.io/managed`` on to its EndpointSlices, so that Karmada takes them for its own
    and deletes them in the member with the Work (``ObjectWatcher.Delete``, 1.16). Kubernetes makes them anew, but not where its controller has
    been started since it last wrote them (``onEndpointSliceDelete``, 1.34): the Service then has no endpoints until a pod of it changes.

    :arg works: those with the label :data:`COLLECTED`.
    :arg after: the clusters that export each service (namespace and name) from now on; others stay as they are.
    """
    left = []
    for work in works:
        marks = work["metadata"].get("labels") or {}
        service = (marks.get("endpointslice.karmada.io/namespace", ""), marks.get("endpointslice.karmada.io/name", ""))
        cluster = work["metadata"]["namespace"].removeprefix(_SPACE)
        preserved = (work.get("spec") or {}).get("preserveResourcesOnDeletion")
        if service in after and cluster not in after[service] and not preserved:
            left.append(work)
    return left
