# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Whose an object is: the labels of what this collection makes, and what is known of other people's. Pure: no client, no clock, no file.

What we make carries ``managed-by: clusterset.dns`` and the name of the fleet, as several fleets may meet in one cluster. An object of another's
is refused, or adopted: then an annotation keeps what it was, and it is given back instead of deleted.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import satisfied

Object = t.Mapping[str, t.Any]

MANAGED_BY = "app.kubernetes.io/managed-by"
PART_OF = "app.kubernetes.io/part-of"
FLEET = "clusterset.dns/fleet"
OURS = "clusterset.dns"
# JSON of what an object of somebody else's was before it was adopted: all of it but status and what only the API server writes.
ADOPTED = "clusterset.dns/adopted"
DEFAULT_FLEET = "default"
# How tools mark what they have made: a label or an annotation, and what its owner is called.
_SIGNS = {
    "meta.helm.sh/release-name": "Helm release {}",
    "argocd.argoproj.io/instance": "Argo CD application {}",
    "argocd.argoproj.io/tracking-id": "Argo CD ({})",
    "kustomize.toolkit.fluxcd.io/name": "Flux Kustomization {}",
    "helm.toolkit.fluxcd.io/name": "Flux HelmRelease {}",
    MANAGED_BY: "{}",
}
# Karmada marks what a policy selects, whoever made it: said where nothing better is known.
_SELECTED = {
    "propagationpolicy.karmada.io/name": "Karmada's PropagationPolicy {}",
    "clusterpropagationpolicy.karmada.io/name": "Karmada's ClusterPropagationPolicy {}",
}


def labels(fleet: str = DEFAULT_FLEET) -> dict[str, str]:
    """The labels of what is made for a fleet."""
    return {MANAGED_BY: OURS, PART_OF: OURS, FLEET: fleet}


def selector() -> str:
    """The label selector of everything that this collection made, for whichever fleet; :func:`owner` tells them apart."""
    return f"{MANAGED_BY}={OURS}"


def fleet_of(found: Object) -> str | None:
    """The fleet that an object was made for; None where it is not this collection's, '' where it is of the version before fleets."""
    marks = found["metadata"].get("labels") or {}
    return marks.get(FLEET, "") if marks.get(MANAGED_BY) == OURS else None


def made_for(fleet: str, found: Object) -> bool:
    """Whether an object was made for a fleet, or by the version before fleets."""
    return fleet_of(found) in (fleet, "")


def owner(found: Object, fleet: str, wanted: Object | None = None) -> str:
    """Whose an object is, in words; '' where it is ours.

    :arg wanted: what we would make of that name. An object of the version before fleets is ours where it says the same; without ``wanted``
        that cannot be told, and it is not.
    """
    theirs = fleet_of(found)
    if theirs == fleet:
        return ""
    if theirs == "":
        if wanted is not None and satisfied({key: value for key, value in wanted.items() if key not in ("metadata", "kind", "apiVersion")}, found):
            return ""
        return "an earlier version of clusterset.dns, but differs from what it would be now"
    if theirs is not None:
        return f"fleet {theirs} of clusterset.dns"
    metadata = found["metadata"]
    marks = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}
    for sign, words in {**_SIGNS, **_SELECTED}.items():
        if marks.get(sign):
            return words.format(marks[sign])
    if references := metadata.get("ownerReferences"):
        return f"{references[0]['kind']} {references[0]['name']}"
    return "somebody else"


def adopted(found: Object) -> dict[str, t.Any] | None:
    """What an object was before it was adopted; None where it was not."""
    text = (found["metadata"].get("annotations") or {}).get(ADOPTED)
    try:
        return t.cast("dict[str, t.Any]", json.loads(text)) if text else None
    except ValueError:
        return None


def adoption(found: Object) -> dict[str, str]:
    """The annotation that keeps what an object of somebody else's is."""
    metadata = found["metadata"]
    kept = {key: value for key, value in found.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    kept["metadata"] = {key: metadata.get(key) or {} for key in ("labels", "annotations")}
    return {ADOPTED: json.dumps(kept, sort_keys=True, separators=(",", ":"))}


def giving_back(found: Object) -> dict[str, t.Any] | None:
    """The merge patch that makes an adopted object what it was; None where it was not adopted."""
    was = adopted(found)
    if was is None:
        return None
    now = {key: value for key, value in found.items() if key not in ("apiVersion", "kind", "metadata", "status")}
    now["metadata"] = {key: found["metadata"].get(key) or {} for key in ("labels", "annotations")}
    return merge_patch(now, was)


def merge_patch(now: t.Any, then: t.Any) -> t.Any:
    """The merge patch (RFC 7396) that makes ``now`` into ``then``; an empty one where they are the same."""
    if not isinstance(now, dict) or not isinstance(then, dict):
        return then
    patch: dict[str, t.Any] = {key: None for key in now if key not in then}
    for key, value in then.items():
        if key not in now or not isinstance(value, dict) or not isinstance(now[key], dict):
            if key not in now or now[key] != value:
                patch[key] = value
        elif inner := merge_patch(now[key], value):
            patch[key] = inner
    return patch
