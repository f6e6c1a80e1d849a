# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What keeps a namespace."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.namespaces import contents, matters
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn


@pytest.mark.parametrize(
    ("spec", "kept"),
    [({}, False), ({"type": "ClusterIP", "clusterIP": "10.1.2.3"}, False), ({"selector": {"app": "x"}}, True), ({"type": "LoadBalancer"}, True)],
)
def test_a_service_called_derived_that_somebody_made_keeps_it(spec: dict[str, t.Any], kept: bool) -> None:
    item = {"kind": "Service", "metadata": {"name": "derived-metrics", "namespace": "shop"}, "spec": spec}
    assert matters(item, "default") is kept


def test_kinds_are_seen_in_whatever_version_they_are_served() -> None:
    """One in the version that its group prefers, one in another, each once."""

    class Grouped(ApiStandIn):
        def answer(self, method: str, path: str, query: t.Any, body: t.Any) -> t.Any:
            versions = [{"groupVersion": "x.io/v1"}, {"groupVersion": "x.io/v1alpha1"}]
            both = {"name": "gadgets", "kind": "Gadget", "namespaced": True, "verbs": ["list"]}
            one = {"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ["list"]}
            known: dict[str, t.Any] = {
                "/apis": {"groups": [{"name": "x.io", "preferredVersion": versions[0], "versions": versions}]},
                "/api/v1": {"resources": []},
                "/apis/x.io/v1": {"resources": [both]},
                "/apis/x.io/v1alpha1": {"resources": [both, one]},
            }
            return (200, known[path]) if path in known else super().answer(method, path, query, body)

    with Grouped() as api:
        api.put("/apis/x.io/v1alpha1/namespaces/shop/widgets/precious", {})
        api.put("/apis/x.io/v1/namespaces/shop/gadgets/dear", {})
        assert contents(Cluster("m", api.auth), "shop", "default") == ["Gadget shop/dear", "Widget shop/precious"]
        assert [path for _method, path, _query in api.log].count("/apis/x.io/v1alpha1/namespaces/shop/gadgets") == 0
