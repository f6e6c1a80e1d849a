# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What Karmada says of its member clusters. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._member import describe_right

Object = t.Mapping[str, t.Any]


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
