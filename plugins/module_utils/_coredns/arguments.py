# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The options of ``coredns_multicluster`` and its ``_info`` twin, which doc fragment ``coredns_multicluster`` describes, and what both return."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.plan import Plan
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import seen_of

__all__ = ["CHANGE_ARG_SPEC", "result_of", "want_of"]

CHANGE_ARG_SPEC: dict[str, t.Any] = {
    "state": {"choices": ["present", "absent"], "default": "present"},
    "zone": {"default": "clusterset.local"},
    "cluster_domain": {"default": "cluster.local"},
    "mode": {"choices": ["auto", "builtin", "plugin", "forward"], "default": "auto"},
    "platform": {"choices": ["auto", "kubeadm", "k3s", "rke2", "eks", "aks", "gke", "openshift", "any"], "default": "auto"},
    "placement": {"choices": ["separate", "inline"], "default": "separate"},
    "header": {"type": "bool", "default": True},
    "image": {"default": ""},
    "image_platforms": {"type": "list", "elements": "str", "default": []},
    "image_source": {"choices": ["auto", "keep", "upstream", "build"], "default": "auto"},
    "image_prefix": {"default": ""},
    "image_version": {"default": ""},
    "image_built": {"default": ""},
    "adopt": {"type": "bool", "default": False},
    "namespace": {"default": "kube-system"},
    "deployment": {"default": "coredns"},
    "forward_namespace": {"default": "kube-system"},
    "forward_name": {"default": "clusterset-dns"},
    "forward_replicas": {"type": "int", "default": 2},
    "nodelocal": {"default": "auto"},
    "eks_addon": {"type": "bool", "default": False},
    "imports": {"type": "dict"},
    "env": {"type": "dict"},
    "fleet": {"default": "default"},
    "wait_timeout": {"type": "int", "default": 180},
    "settle_seconds": {"type": "int", "default": 3},
    "drain_seconds": {"type": "int", "default": 10},
    "drain_timeout": {"type": "int", "default": 120},
}


def want_of(params: t.Mapping[str, t.Any]) -> Want:
    """What a module's options ask for."""
    given = {name: params[name] for name in CHANGE_ARG_SPEC}
    names = {name: given[name].strip(". ").lower() for name in ("zone", "cluster_domain")}
    return Want(**{**given, **names, **seen_of(given), "image_platforms": tuple(given["image_platforms"] or ())})


def result_of(facts: Facts, plan: Plan) -> dict[str, t.Any]:
    """What both modules return of a member."""
    coredns = facts.coredns
    return {
        "name": facts.name,
        "settled": plan.settled,
        "mode": plan.mode,
        "reason": plan.reason,
        "platform": {"name": facts.platform_name, "reason": facts.platform_reason},
        "steps": [step.name for step in plan.steps],
        "problems": list(plan.problems),
        "needs": plan.needs,
        "notes": list(plan.notes),
        "image": {
            "actual": coredns.image if coredns else "",
            "desired": plan.image or (coredns.image if coredns else ""),
            "source": plan.source,
            "reason": plan.image_reason,
        },
        "nodelocal": [one.label for one in facts.nodelocal],
        "addon": plan.addon,
    }
