# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Reads what Karmada's control plane has, and reaches its members through it."""

from __future__ import annotations

import http.client
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _clusters
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import KINDS, MCS
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster

CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"


def clusters(karmada: Cluster, group_version: str = MCS, kinds: t.Collection[str] = KINDS) -> list[dict[str, t.Any]]:
    """Karmada's clusters, by name. :raises ApiError: it does not answer, or is no Karmada."""
    try:
        items = karmada.list(CLUSTERS)
    except ApiError as error:
        if error.status != http.client.NOT_FOUND:
            raise
        message = (
            f"{karmada.name}: the API server at {karmada.server} is not Karmada's: it has no cluster.karmada.io."
            " Set kubeconfig (and context) to those of Karmada's control plane."
        )
        raise ApiError(karmada.name, message, status=error.status, reason="NotKarmada") from error
    found = [_clusters.cluster(item, group_version, kinds) for item in items]
    return sorted(found, key=lambda one: one["name"])


def listed(cluster: Cluster, api_version: str, kind: str, plural: str, *, namespace: str = "", **options: t.Any) -> list[dict[str, t.Any]]:
    """All objects of a kind, each with its apiVersion and kind, which lists leave out; none where the kind is not served."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    try:
        items = cluster.list(f"/{'apis' if '/' in api_version else 'api'}/{api_version}{scope}/{plural}", **options)
    except ApiError as error:
        if error.status != http.client.NOT_FOUND:
            raise
        return []
    return [{"apiVersion": api_version, "kind": kind, **item} for item in items]


def proxied(karmada: Cluster, auth: t.Mapping[str, t.Any], name: str, **limits: t.Any) -> Cluster:
    """A member behind Karmada's aggregated API server, with the credentials for Karmada."""
    return Cluster(name, {**auth, "host": f"{karmada.server}{CLUSTERS}/{name}/proxy"}, **limits)
