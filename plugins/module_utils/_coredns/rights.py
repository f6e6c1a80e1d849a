# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What lets CoreDNS read ServiceImports: a ClusterRole of ours, as kubeadm rewrites ``system:coredns``, and a binding for each service account.

Pure: no client, no clock, no file.
"""

from __future__ import annotations

import typing as t

__all__ = ["ROLE", "binding", "binding_name", "outlived", "role"]

Object = t.Mapping[str, t.Any]

ROLE = "clusterset-dns-coredns"
_API = "rbac.authorization.k8s.io/v1"


def role() -> dict[str, t.Any]:
    """The ClusterRole. EndpointSlices are for headless services."""
    rules = [("multicluster.x-k8s.io", "serviceimports"), ("discovery.k8s.io", "endpointslices")]
    return {
        "apiVersion": _API,
        "kind": "ClusterRole",
        "metadata": {"name": ROLE},
        "rules": [{"apiGroups": [group], "resources": [plural], "verbs": ["list", "watch"]} for group, plural in rules],
    }


def binding_name(namespace: str, account: str) -> str:
    return f"{ROLE}:{namespace}:{account}"


def binding(namespace: str, account: str) -> dict[str, t.Any]:
    """The ClusterRoleBinding of one service account: a second CoreDNS gets one of its own, and takes nothing from the first."""
    return {
        "apiVersion": _API,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": binding_name(namespace, account)},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": namespace}],
    }


def outlived(bindings: t.Iterable[Object], accounts: t.Collection[tuple[str, str]]) -> dict[str, t.Any] | None:
    """The binding that the version before made for all service accounts, where none but these have it; None otherwise."""
    for one in bindings:
        subjects = {(subject.get("namespace"), subject["name"]) for subject in one.get("subjects") or []}
        if one["metadata"]["name"] == ROLE and subjects <= set(accounts):
            return {"apiVersion": _API, "kind": "ClusterRoleBinding", "metadata": {"name": ROLE}}
    return None
