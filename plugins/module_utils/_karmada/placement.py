# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Which policy Karmada binds an object to, and where its scheduler placed it. Pure: no client, no clock, no file.

Karmada binds one policy to one object and marks both the object and its binding with it. A policy that comes later does not take an object
that is bound, unless it preempts with a higher priority. When a policy goes, the binding stays, and the object is matched anew (``pkg/detector``,
1.16).
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import Key, cluster_names

Object = t.Mapping[str, t.Any]

_POLICY = ("propagationpolicy.karmada.io/namespace", "propagationpolicy.karmada.io/name")
_CLUSTER_POLICY = "clusterpropagationpolicy.karmada.io/name"


def bound_to(found: Object) -> str:
    """The policy that an object or a binding is bound to: ``PropagationPolicy default/serve-serviceexport``; '' for none."""
    marks = found["metadata"].get("annotations") or {}
    if name := marks.get(_POLICY[1]):
        return f"PropagationPolicy {marks.get(_POLICY[0])}/{name}"
    name = marks.get(_CLUSTER_POLICY)
    return f"ClusterPropagationPolicy {name}" if name else ""


def placed_in(binding: Object) -> list[str]:
    """The clusters that the scheduler chose."""
    return [one["name"] for one in binding["spec"].get("clusters") or []]


def binding_key(binding: Object) -> Key:
    """What a binding is about."""
    resource = binding["spec"]["resource"]
    return Key(resource["kind"], resource.get("namespace", ""), resource["name"])


def unplaced(binding: Object | None, policy: Object, uid: str | None, usable: t.Collection[str]) -> str:
    """Why an object is not placed as its policy says, in words; '' where it is.

    :arg uid: the object's own, None where it is not known.
    :arg usable: the clusters that are Ready and list the kind. Nothing can be placed in others, so they are not asked for.
    """
    if binding is None:
        return "no policy has selected it yet"
    spec, status = binding["spec"], binding.get("status") or {}
    if uid and spec["resource"].get("uid") not in (None, uid):
        return "Karmada still has the binding of an earlier object of that name"
    ours = f"PropagationPolicy {policy['metadata']['namespace']}/{policy['metadata']['name']}"
    holder = bound_to(binding)
    if holder != ours:
        return f"it is bound to {holder}, which is not ours" if holder else "no policy has selected it yet"
    if set(cluster_names(binding)) != set(cluster_names(policy)):
        return "Karmada has not taken over what its policy says yet"
    asked = [name for name in cluster_names(policy) if name in usable]
    if not asked:
        return ""
    condition = next((one for one in status.get("conditions") or [] if one["type"] == "Scheduled"), {})
    if condition.get("status") != "True":
        return condition.get("message") or "not looked at yet"
    # The scheduler writes which generation it has seen when it succeeds: the condition may be that of an earlier one.
    if status.get("schedulerObservedGeneration") != binding["metadata"].get("generation"):
        return "Karmada's scheduler has not looked at it since it changed"
    missing = [name for name in asked if name not in placed_in(binding)]
    return f"it is not placed in {', '.join(missing)}" if missing else ""


def selects(policy: Object, found: Object) -> bool:
    """Whether a policy selects a cluster-scoped object (``util.ResourceSelectorPriority``)."""
    if policy["metadata"].get("deletionTimestamp"):
        return False
    return any(_matches(selector, found) for selector in policy["spec"].get("resourceSelectors") or [])


def _matches(selector: Object, found: Object) -> bool:
    if (selector["apiVersion"], selector["kind"]) != (found["apiVersion"], found["kind"]) or selector.get("namespace"):
        return False
    if selector.get("name"):
        return bool(selector["name"] == found["metadata"]["name"])
    wanted, marks = selector.get("labelSelector") or {}, found["metadata"].get("labels") or {}
    if any(marks.get(key) != value for key, value in (wanted.get("matchLabels") or {}).items()):
        return False
    return all(_expression(one, marks) for one in wanted.get("matchExpressions") or [])


def _expression(one: Object, marks: t.Mapping[str, str]) -> bool:
    key, values = one["key"], one.get("values") or []
    return {
        "In": marks.get(key) in values,
        "NotIn": marks.get(key) not in values,
        "Exists": key in marks,
        "DoesNotExist": key not in marks,
    }[one["operator"]]


def holder(found: Object, policies: t.Iterable[Object], ours: str) -> str:
    """The ClusterPropagationPolicy of others that Karmada propagates a cluster-scoped object by, or would; '' where ours has it or may have it.

    :arg policies: those that are there; :arg ours: the name of ours.
    """
    others = [policy for policy in policies if policy["metadata"]["name"] != ours]
    bound = (found["metadata"].get("annotations") or {}).get(_CLUSTER_POLICY)
    if bound == ours:
        return ""
    names = [policy["metadata"]["name"] for policy in others]
    if bound in names:
        return str(bound)
    # Without a mark the highest explicit priority wins, then the more precise selector, then the name: ours does not compete at all.
    fitting = sorted((-int(policy["spec"].get("priority") or 0), policy["metadata"]["name"]) for policy in others if selects(policy, found))
    return fitting[0][1] if fitting else ""
