# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a user may write for a zone, and which zones cannot stand beside a cluster domain."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.zone import Zone


@pytest.mark.parametrize("text", ["clusterset.local", "ClusterSet.LOCAL.", " clusterset.local "])
def test_one_zone_has_one_form(text: str) -> None:
    zone = Zone.parse(text)
    assert (zone.name, str(zone)) == ("clusterset.local", "clusterset.local")
    assert zone == Zone.parse("clusterset.local")
    with pytest.raises(dataclasses.FrozenInstanceError):
        zone.name = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        *[
            (text, "is not a domain name")
            for text in ["", ".", "*.example", "a..b", "-a.example", "a-.example", "a_b.example", "a b", "a" * 64]
        ],
        (".".join(["x" * 60] * 5), "is longer than 253 characters"),
        ("10.0.0.1", "is an address and not a domain name"),
    ],
)
def test_what_is_no_zone_is_refused_with_the_options_name(text: str, reason: str) -> None:
    with pytest.raises(CorefileError, match=reason) as refused:
        Zone.parse(text, option="clusterset")
    assert str(refused.value).startswith(f"clusterset is {text!r}, which ")


@pytest.mark.parametrize(
    ("zone", "cluster_domain", "said"),
    [
        ("clusterset.local", "cluster.local", None),
        ("acluster.local", "cluster.local", None),
        ("Cluster.Local.", "cluster.local", "is the cluster domain itself"),
        ("local", "cluster.local", "lie within one another"),
        ("set.cluster.local", "Cluster.Local.", "lie within one another"),
    ],
)
def test_a_zone_stands_beside_the_cluster_domain(zone: str, cluster_domain: str, said: str | None) -> None:
    clash = Zone.parse(zone).clashes(cluster_domain)
    assert (clash is None) if said is None else (said in (clash or ""))
    assert clash == Zone.parse(zone).clashes(Zone.parse(cluster_domain))


@pytest.mark.parametrize(
    ("zone", "reverse"), [("10.in-addr.arpa", True), ("ip6.arpa", True), ("xin-addr.arpa", False), ("clusterset.local", False)]
)
def test_reverse_zones(zone: str, reverse: bool) -> None:
    assert Zone.parse(zone).reverse is reverse
