# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Whose an object is, and how one that was adopted is given back."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

SPEC = {"spec": {"type": "ClusterSetIP", "ports": [{"port": 80}]}}
LEGACY = {ownership.MANAGED_BY: ownership.OURS}


def item(labels: dict[str, str] | None = None, annotations: dict[str, str] | None = None, **more: t.Any) -> dict[str, t.Any]:
    return {"kind": "ServiceImport", "metadata": {"name": "serve", "labels": labels, "annotations": annotations}, **SPEC, **more}


def test_what_carries_the_fleet_is_ours() -> None:
    assert ownership.owner(item(ownership.labels("blue")), "blue") == ""
    assert ownership.owner(item(ownership.labels("blue")), "default") == "fleet blue of clusterset.dns"


def test_what_the_version_before_made_is_ours_where_it_says_the_same() -> None:
    assert ownership.owner(item(LEGACY), "default", SPEC) == ""
    other = {"spec": {"type": "Headless"}}
    assert ownership.owner(item(LEGACY), "default", other) == "an earlier version of clusterset.dns, but differs from what it would be now"
    assert ownership.owner(item(LEGACY), "default").startswith("an earlier version")


@pytest.mark.parametrize(
    ("labels", "annotations", "whose"),
    [
        ({"app.kubernetes.io/managed-by": "Helm"}, {"meta.helm.sh/release-name": "shop"}, "Helm release shop"),
        ({"app.kubernetes.io/managed-by": "Helm"}, {"propagationpolicy.karmada.io/name": "p"}, "Helm"),
        ({"argocd.argoproj.io/instance": "apps"}, None, "Argo CD application apps"),
        ({"kustomize.toolkit.fluxcd.io/name": "infra"}, None, "Flux Kustomization infra"),
        (None, {"clusterpropagationpolicy.karmada.io/name": "all"}, "Karmada's ClusterPropagationPolicy all"),
        (None, None, "somebody else"),
    ],
)
def test_an_owner_is_named(labels: dict[str, str] | None, annotations: dict[str, str] | None, whose: str) -> None:
    assert ownership.owner(item(labels, annotations), "default", SPEC) == whose


def test_a_controller_is_an_owner() -> None:
    found = {"metadata": {"name": "x", "ownerReferences": [{"kind": "Gateway", "name": "g"}]}}
    assert ownership.owner(found, "default") == "Gateway g"


def test_what_was_adopted_is_given_back_as_it_was() -> None:
    before = item({"team": "shop"}, {"note": "mine"})
    kept = ownership.adoption(before)
    now = item({"team": "shop", **ownership.labels()}, {"note": "mine", **kept}, spec={"type": "Headless", "ports": [{"port": 1}], "ttl": 3})
    patch = ownership.giving_back(now)
    assert patch == {
        "spec": {"type": "ClusterSetIP", "ports": [{"port": 80}], "ttl": None},
        "metadata": {"labels": dict.fromkeys(ownership.labels()), "annotations": {ownership.ADOPTED: None}},
    }
    assert ownership.giving_back(before) is None


def test_a_mark_that_cannot_be_read_gives_nothing_back() -> None:
    assert ownership.giving_back(item(ownership.labels(), {ownership.ADOPTED: "{"})) is None


def test_a_merge_patch_says_what_differs_and_no_more() -> None:
    assert ownership.merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 1, "d": 3}, "e": []}) == {"a": None, "b": {"d": 3}, "e": []}
    assert ownership.merge_patch({"a": {"b": 1}}, {"a": {"b": 1}}) == {}
