# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What the ``serviceimport_ips`` module asks and tells Karmada's control plane: the retain rule, and OverridePolicies."""

from __future__ import annotations

import http.client
import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import Key
from ansible_collections.clusterset.dns.plugins.module_utils._imports.fleet import Fleet, Row
from ansible_collections.clusterset.dns.plugins.module_utils._imports.override import (
    SELECTOR,
    Change,
    changes,
    policy_path,
    retains,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster

_CUSTOMIZATIONS = "/apis/config.karmada.io/v1alpha1/resourceinterpretercustomizations"
_CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
_POLICIES = "/apis/policy.karmada.io/v1alpha1/overridepolicies"


def require_retain_rule(karmada: Cluster) -> None:
    """ApiError unless Karmada is told to leave ``spec.ips`` on the members alone: without it, each write would be undone."""
    if not retains(karmada.list(_CUSTOMIZATIONS)):
        raise ApiError(
            karmada.name,
            f"{karmada.name}: no ResourceInterpreterCustomization retains spec.ips of ServiceImports, so that Karmada would undo"
            " what is written. Place one there first, as the examples of this module do, or set write_via to override.",
            reason="NoRetainRule",
        )


def override(karmada: Cluster, fleet: Fleet, *, wait_timeout: float) -> list[Row]:
    """Write the OverridePolicies that give each member its addresses, and wait until they have arrived there."""
    settings = fleet.settings
    states = fleet.read()
    rows = fleet.judge(states)
    until = time.monotonic() + settings.wait_timeout
    while any(row.pending for row in rows) and time.monotonic() < until:
        time.sleep(1.0)
        states = fleet.read()
        rows = fleet.judge(states)
    wanted: dict[Key, dict[str, tuple[str, ...]]] = {}
    for row in rows:
        wanted.setdefault(row.key, {})[row.cluster] = row.desired
    # Only a run over everything can tell that an import is gone: one that was not asked for may well be there.
    everything = settings.services is None and not settings.label_selector
    gone = {name: _is_gone(state.imports, everything, settings.services) for name, state in states.items()}
    known = [one["metadata"]["name"] for one in karmada.list(_CLUSTERS)]
    todo = changes(karmada.list(_POLICIES, label_selector=SELECTOR), wanted, gone=gone, clusters=known)
    for change in todo:
        _write(karmada, change, dry_run=settings.dry_run)
    touched = {(change.key, member) for change in todo for member in change.members}
    rows = [row._replace(changed=(row.key, row.cluster) in touched) for row in rows]
    fleet.judge_slices(states)
    fleet.label()
    return rows if settings.dry_run else _arrived(fleet, rows, wait_timeout)


def _is_gone(imports: t.Collection[Key], everything: bool, services: frozenset[Key] | None) -> t.Callable[[Key], bool]:
    return lambda key: key not in imports and (everything or key in (services or ()))


def _write(karmada: Cluster, change: Change, *, dry_run: bool) -> None:
    path = policy_path(change.key)
    if change.body is None:
        karmada.delete(path, found=change.found, unchanged=True, dry_run=dry_run)
    elif change.found is not None:
        karmada.replace(path, change.body, dry_run=dry_run)
    else:
        try:
            karmada.create(policy_path(change.key, named=False), change.body, dry_run=dry_run)
        except ApiError as error:
            if error.status != http.client.CONFLICT:
                raise
            raise ApiError(
                karmada.name,
                f"{karmada.name}: OverridePolicy {change.key[0]}/{change.body['metadata']['name']} exists and is not ours (it lacks"
                f" the labels {SELECTOR}). Rename or delete it.",
                status=error.status,
                reason="NotOurs",
            ) from error


def _arrived(fleet: Fleet, rows: list[Row], wait_timeout: float) -> list[Row]:
    """The rows, those noted whose addresses have not come to the member in time."""
    open_rows = {(row.cluster, row.key): row for row in rows if row.changed}
    until = time.monotonic() + wait_timeout
    while open_rows:
        keys: dict[str, set[Key]] = {}
        for member, key in open_rows:
            if member not in fleet.failed:
                keys.setdefault(member, set()).add(key)
        for member, now in fleet.current(keys).items():
            for key, one in now.items():
                if set(one.ips) == set(open_rows[member, key].desired):
                    del open_rows[member, key]
        if time.monotonic() >= until or not keys:
            break
        if open_rows:
            time.sleep(0.5)
    late = f"the OverridePolicy is written, but Karmada has not brought it to the member within {wait_timeout:g} s"
    return [row._replace(error=late) if (row.cluster, row.key) in open_rows else row for row in rows]
