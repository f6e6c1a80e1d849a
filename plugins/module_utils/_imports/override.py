# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The OverridePolicies that give each member's ServiceImports their addresses. Pure: no client, no clock, no file.

One policy per service, one rule per distinct set of addresses. Only policies that carry our label are looked at.
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import Key
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

LABELS = {ownership.MANAGED_BY: ownership.OURS, ownership.PART_OF: ownership.OURS}
SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())
ROOT = "/apis/policy.karmada.io/v1alpha1"

Addresses = tuple[str, ...]
# cluster → the addresses of one ServiceImport there
Entries = dict[str, Addresses]


class Change(t.NamedTuple):
    """What is to become of one policy: ``found`` is what it is, None for a new one; ``body`` None deletes it. ``members``: whose entry differs."""

    key: Key
    found: t.Mapping[str, t.Any] | None
    body: dict[str, t.Any] | None
    members: frozenset[str]


def policy_name(name: str) -> str:
    """The policy's name, from the ServiceImport's."""
    return f"clusterset-ips-{name}"


def policy_path(key: Key, *, named: bool = True) -> str:
    """The policy's path, or its collection's."""
    return f"{ROOT}/namespaces/{key[0]}/overridepolicies" + (f"/{policy_name(key[1])}" if named else "")


def entries_of(policy: t.Mapping[str, t.Any]) -> Entries:
    """Which addresses a policy of ours gives to which cluster."""
    return {
        cluster: tuple(overrider.get("value") or ())
        for rule in policy["spec"].get("overrideRules") or ()
        for overrider in rule.get("overriders", {}).get("plaintext") or ()
        for cluster in (rule.get("targetCluster") or {}).get("clusterNames") or ()
    }


def policy_of(key: Key, entries: t.Mapping[str, Addresses]) -> dict[str, t.Any]:
    """The policy that gives each cluster its addresses, always spelled the same."""
    clusters: dict[Addresses, list[str]] = {}
    for cluster in sorted(entries):
        clusters.setdefault(entries[cluster], []).append(cluster)
    return {
        "apiVersion": "policy.karmada.io/v1alpha1",
        "kind": "OverridePolicy",
        "metadata": {"namespace": key[0], "name": policy_name(key[1]), "labels": dict(LABELS)},
        "spec": {
            "resourceSelectors": [
                {
                    "apiVersion": "multicluster.x-k8s.io/v1alpha1",
                    "kind": "ServiceImport",
                    "namespace": key[0],
                    "name": key[1],
                }
            ],
            "overrideRules": [
                {
                    "targetCluster": {"clusterNames": names},
                    "overriders": {"plaintext": [{"path": "/spec/ips", "operator": "add", "value": list(ips)}]},
                }
                for ips, names in sorted(clusters.items())
            ],
        },
    }


def changes(
    policies: t.Iterable[t.Mapping[str, t.Any]],
    wanted: t.Mapping[Key, t.Mapping[str, Addresses]],
    *,
    gone: t.Mapping[str, t.Callable[[Key], bool]],
    clusters: t.Collection[str],
) -> list[Change]:
    """What has to change so that every member gets what is ``wanted`` for it.

    :arg policies: those of ours that are there.
    :arg wanted: for each import the addresses on each member that was read; no addresses means no entry.
    :arg gone: for each member that was read, whether an import that is not in ``wanted`` is no more there. Entries of members
        that were not read stay as they are.
    :arg clusters: the members that Karmada knows; entries of others are removed.
    """
    present = {(one["metadata"]["namespace"], one["spec"]["resourceSelectors"][0]["name"]): one for one in policies}
    result = []
    for key in sorted({*present, *wanted}):
        old = entries_of(present[key]) if key in present else {}
        new = dict(old)
        for member, ips in wanted.get(key, {}).items():
            new[member] = ips
        for member in old:
            absent = member in gone and member not in wanted.get(key, {}) and gone[member](key)
            if absent or member not in clusters:
                new.pop(member)
        new = {member: ips for member, ips in new.items() if ips}
        if new == old:
            continue
        body = policy_of(key, new) if new else None
        if body and key in present:
            body["metadata"]["resourceVersion"] = present[key]["metadata"]["resourceVersion"]
        differing = frozenset(member for member in {*old, *new} if old.get(member) != new.get(member))
        result.append(Change(key, present.get(key), body, differing))
    return result


def retains(customizations: t.Iterable[t.Mapping[str, t.Any]]) -> bool:
    """Whether one of the ResourceInterpreterCustomizations has a retention rule for the ServiceImports that are used here."""
    return any(
        one["spec"]["target"] == {"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceImport"}
        and (one["spec"].get("customizations") or {}).get("retention")
        for one in customizations
    )
