# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Whether an object is placed as its policy says, and which policy Karmada takes."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.placement import holder, selects, unplaced
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import Key, policy

POLICY = policy(Key("ServiceImport", "default", "serve"), ["a", "b"])
CRD = {
    "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "serviceimports.multicluster.x-k8s.io", "labels": {"team": "net"}},
}  # fmt: skip


def binding(**changes: t.Any) -> dict[str, t.Any]:
    """One that is placed. ``changes`` are of its spec, its status and its annotations."""
    marks = {"propagationpolicy.karmada.io/namespace": "default", "propagationpolicy.karmada.io/name": "serve-serviceimport"}
    spec = {
        "resource": {"kind": "ServiceImport", "namespace": "default", "name": "serve", "uid": "1"},
        "placement": POLICY["spec"]["placement"],
        "clusters": [{"name": "a"}, {"name": "b"}],
    }
    status = {"conditions": [{"type": "Scheduled", "status": "True"}], "schedulerObservedGeneration": 3}
    found = {"metadata": {"generation": 3, "annotations": marks}, "spec": spec, "status": status}
    for part, values in changes.items():
        where = found["metadata"] if part == "annotations" else found
        where[part] = {**where[part], **values} if part != "annotations" else values
    return found


def test_what_is_placed_as_its_policy_says() -> None:
    assert unplaced(binding(), POLICY, "1", ["a", "b"]) == ""


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "no policy has selected it yet"),
        (binding(annotations={}), "no policy has selected it yet"),
        (
            binding(annotations={"clusterpropagationpolicy.karmada.io/name": "all"}),
            "it is bound to ClusterPropagationPolicy all, which is not ours",
        ),
        (binding(status={"schedulerObservedGeneration": 2}), "Karmada's scheduler has not looked at it since it changed"),
        (binding(status={"conditions": []}), "not looked at yet"),
        (binding(status={"conditions": [{"type": "Scheduled", "status": "False", "message": "0/2 clusters"}]}), "0/2 clusters"),
        (binding(spec={"clusters": [{"name": "a"}]}), "it is not placed in b"),
        (binding(spec={"placement": {"clusterAffinity": {"clusterNames": ["a"]}}}), "Karmada has not taken over what its policy says yet"),
        (binding(spec={"resource": {"uid": "0"}}), "Karmada still has the binding of an earlier object of that name"),
    ],
)
def test_a_binding_is_not_believed_blindly(found: dict[str, t.Any] | None, words: str) -> None:
    assert unplaced(found, POLICY, "1", ["a", "b"]) == words


def test_a_cluster_that_cannot_take_it_is_not_asked_for() -> None:
    assert unplaced(binding(spec={"clusters": [{"name": "a"}]}), POLICY, "1", ["a"]) == ""
    assert unplaced(binding(status={"conditions": []}), POLICY, "1", []) == ""


def cluster_policy(name: str, *selectors: dict[str, t.Any], **spec: t.Any) -> dict[str, t.Any]:
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    return {"metadata": {"name": name}, "spec": {"resourceSelectors": [{**kind, **one} for one in selectors], **spec}}


NAMED = {"name": "serviceimports.multicluster.x-k8s.io"}


@pytest.mark.parametrize(
    ("selector", "answer"),
    [
        (NAMED, True),
        ({"name": "serviceexports.multicluster.x-k8s.io"}, False),
        ({}, True),
        ({"labelSelector": {"matchLabels": {"team": "net"}}}, True),
        ({"labelSelector": {"matchLabels": {"team": "web"}}}, False),
        ({"labelSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["net"]}]}}, True),
        ({"labelSelector": {"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}}, False),
        ({"kind": "ClusterRole"}, False),
    ],
)
def test_which_policy_selects_a_definition(selector: dict[str, t.Any], answer: bool) -> None:
    assert selects(cluster_policy("p", selector), CRD) is answer


def bound(name: str) -> dict[str, t.Any]:
    return {**CRD, "metadata": {**CRD["metadata"], "annotations": {"clusterpropagationpolicy.karmada.io/name": name}}}


def test_a_definition_stays_with_the_policy_that_has_it() -> None:
    ours, theirs = cluster_policy("ours", NAMED), cluster_policy("serviceimport-policy", NAMED)
    assert holder(bound("ours"), [ours, theirs], "ours") == ""
    assert holder(bound("serviceimport-policy"), [ours, theirs], "ours") == "serviceimport-policy"
    # a mark of a policy that has gone says nothing
    assert holder(bound("gone"), [ours], "ours") == ""


def test_ours_does_not_compete_for_a_definition() -> None:
    assert holder(CRD, [cluster_policy("ours", NAMED)], "ours") == ""
    assert holder(CRD, [cluster_policy("z", {}), cluster_policy("ours", NAMED)], "ours") == "z"
    assert holder(CRD, [cluster_policy("a", {}), cluster_policy("z", NAMED, priority=3)], "ours") == "z"
    going = cluster_policy("z", NAMED)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert holder(CRD, [going], "ours") == ""
