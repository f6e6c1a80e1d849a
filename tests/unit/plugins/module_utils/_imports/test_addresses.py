# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses an import gets, and why: tables of cases, and properties of the normal form."""

from __future__ import annotations

import ipaddress
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import (
    STRATEGIES,
    Decision,
    Facts,
    Import,
    Service,
    decide,
    import_of,
    max_ips_of,
    normal,
    parse_key,
    refusal,
    service_of,
    settle,
    slice_of,
)
from hypothesis import given
from hypothesis import strategies as st

KEY = ("default", "serve")
DERIVED = ("default", "derived-serve")
IMPORT = Import(KEY, "ClusterSetIP", (), True, (), (), "1", "karmada-es-member1")
FOREIGN = IMPORT._replace(space="")


def service(*ips: str, type: str = "ClusterIP", ingress: tuple[tuple[str, str], ...] = ()) -> Service:
    return Service(type, ips, ingress, "karmada-es-member1")


@pytest.mark.parametrize(
    ("strategy", "facts", "ips", "reason"),
    [
        ("derived", Facts({DERIVED: service("10.2.0.1")}), ("10.2.0.1",), "derived Service derived-serve"),
        ("derived", Facts({KEY: service("10.2.0.1")}), None, "there is no derived Service derived-serve"),
        ("derived", Facts({DERIVED: service()}), None, "derived Service derived-serve has no ClusterIP yet"),
        ("derived", Facts({DERIVED: service("None")}), None, "derived Service derived-serve is headless: it has no ClusterIP"),
        (
            "derived",
            Facts({DERIVED: service(type="ExternalName")}),
            None,
            "derived Service derived-serve is an ExternalName: it has no address",
        ),
        ("derived", Facts({DERIVED: service("fd00::1", "10.2.0.1")}, max_ips=2), ("fd00::1", "10.2.0.1"), "derived Service derived-serve"),
        (
            "derived",
            Facts({DERIVED: service("fd00::1", "10.2.0.1")}, max_ips=1),
            ("fd00::1",),
            "derived Service derived-serve; 1 of 2 addresses, as many as the ServiceImport CRD takes",
        ),
        ("derived", Facts({DERIVED: service("FD00:0::1")}), ("fd00::1",), "derived Service derived-serve"),
        ("native", Facts({KEY: service("10.2.0.9"), DERIVED: service("10.2.0.1")}), ("10.2.0.9",), "Service serve"),
        ("native", Facts({DERIVED: service("10.2.0.1")}), None, "there is no Service serve"),
        (
            "local_first",
            Facts({KEY: service("10.2.0.9"), DERIVED: service("10.2.0.1")}, {KEY: ("10.9.0.1", "10.9.0.2")}),
            ("10.2.0.9",),
            "local Service serve, 2 ready",
        ),
        (
            "local_first",
            Facts({KEY: service("10.2.0.9"), DERIVED: service("10.2.0.1")}, {KEY: ()}),
            ("10.2.0.1",),
            "derived Service derived-serve; local Service serve has no ready endpoint",
        ),
        (
            "local_first",
            Facts({DERIVED: service("10.2.0.1")}, {DERIVED: ("10.9.0.1",)}),
            ("10.2.0.1",),
            "derived Service derived-serve; there is no local Service serve",
        ),
        (
            "endpoints",
            Facts(ready={DERIVED: ("10.9.0.11", "10.9.0.2", "10.9.0.2", "127.0.0.1")}, max_ips=2),
            ("10.9.0.2", "10.9.0.11"),
            "2 ready endpoints",
        ),
        ("endpoints", Facts(), None, "there is no ready endpoint of derived-serve or serve"),
        (
            "load_balancer",
            Facts({KEY: service("10.2.0.9", type="LoadBalancer", ingress=(("192.0.2.7", ""),))}),
            ("192.0.2.7",),
            "load balancer of Service serve",
        ),
        (
            "load_balancer",
            Facts({KEY: service("10.2.0.9")}, balancers={KEY: [("member1", ("192.0.2.8",))]}),
            ("192.0.2.8",),
            "load balancer of Service serve on member1",
        ),
        (
            "load_balancer",
            Facts({KEY: service("10.2.0.9", type="LoadBalancer", ingress=(("", "lb.example.com"),))}),
            None,
            "the load balancer of Service serve has only a host name, lb.example.com",
        ),
        (
            "load_balancer",
            Facts(unread=["member1", "member2", "member3", "member4"]),
            None,
            "the load balancer of Service serve may be on member1, member2, member3 and 1 more, which could not be read",
        ),
        (
            "load_balancer",
            Facts(balancers={KEY: [("member1", ("192.0.2.8",))]}, unread=["member2"]),
            ("192.0.2.8",),
            "load balancer of Service serve on member1",
        ),
        ("static", Facts(static={KEY: ("192.0.2.1",)}), ("192.0.2.1",), "given by hand"),
        ("static", Facts(), None, "strategy static, but no ips are given for it here"),
    ],
)
def test_strategies(strategy: str, facts: Facts, ips: tuple[str, ...] | None, reason: str) -> None:
    decision = decide(IMPORT, strategy, facts)
    assert (decision.ips, decision.reason) == (ips, reason)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_headless_import_is_left_alone_whatever_it_has(strategy: str) -> None:
    headless = IMPORT._replace(type="Headless", ips=("10.0.0.1",))
    decision = decide(headless, strategy, Facts({DERIVED: service("10.2.0.1"), KEY: service("10.2.0.1")}))
    assert settle(headless, decision, source_gone="clear", manager="us", force=True)[0] is headless.ips


@pytest.mark.parametrize(
    ("space", "exported", "ips"),
    [
        ("karmada-es-member1", frozenset(), None),
        ("karmada-es-member1", frozenset({KEY}), ("10.2.0.1",)),
        ("karmada-es-member1", None, ("10.2.0.1",)),
        ("", frozenset(), ("10.2.0.1",)),
    ],
)
def test_what_no_cluster_exports_has_no_source(space: str, exported: frozenset[t.Any] | None, ips: tuple[str, ...] | None) -> None:
    decision = decide(IMPORT._replace(space=space), "derived", Facts({DERIVED: service("10.2.0.1")}, exported=exported))
    assert (decision.ips, decision.pending, decision.held) == (ips, False, ips is None)


NO_EXPORT = "the control plane has no ServiceExport default/serve: no cluster exports it"


@pytest.mark.parametrize(
    ("policy", "ips", "reason", "held"),
    [("clear", (), f"{NO_EXPORT}; cleared", False), ("keep", ("10.2.0.1",), f"{NO_EXPORT}; kept", True)],
)
@pytest.mark.parametrize("strategy", ["derived", "local_first"])
def test_source_gone_holds_for_a_withdrawn_export(strategy: str, policy: str, ips: tuple[str, ...], reason: str, held: bool) -> None:
    there = IMPORT._replace(ips=("10.2.0.1",), owners=("us",))
    decision = decide(there, strategy, Facts({DERIVED: service("10.2.0.1")}, exported=frozenset()))
    settled = settle(there, decision, source_gone=policy, manager="us", force=False)
    assert (settled.ips, settled.reason.replace("; there is no local Service serve", ""), settled.held) == (ips, reason, held)


def test_waiting_helps_only_where_the_source_may_still_come() -> None:
    assert decide(IMPORT, "derived", Facts()).pending
    assert not decide(IMPORT, "derived", Facts({DERIVED: service("None")})).pending
    assert not decide(IMPORT, "static", Facts()).pending


@pytest.mark.parametrize("strategy", ["derived", "native", "local_first", "endpoints", "load_balancer"])
def test_nothing_comes_for_an_import_that_karmada_did_not_deliver(strategy: str) -> None:
    decision = decide(FOREIGN, strategy, Facts())
    assert (decision.ips, decision.pending, decision.held) == (None, False, True)
    assert decision.reason.endswith("and Karmada makes none for a ServiceImport that it did not deliver")


@pytest.mark.parametrize("owner", ["lighthouse-agent", "cilium-operator", "kubectl-create"])
def test_addresses_that_others_gave_their_own_import_are_left(owner: str) -> None:
    there = FOREIGN._replace(ips=("10.9.0.1",), owners=(owner,))
    settled = settle(there, decide(there, "derived", Facts()), source_gone="clear", manager="us", force=False)
    assert (settled.ips, settled.held) == (("10.9.0.1",), True)
    assert f"left as field manager {owner} set it" in settled.reason


STRANGER = "Karmada did not deliver Service derived-serve, so that it is not trusted: delete or rename it, and Karmada makes its own"


@pytest.mark.parametrize("space", ["", "karmada-es-member2"])
@pytest.mark.parametrize("strategy", ["derived", "local_first", "endpoints"])
def test_a_service_of_the_derived_service_s_name_is_not_trusted(strategy: str, space: str) -> None:
    theirs = Facts({DERIVED: service("10.6.6.6")._replace(space=space)}, {DERIVED: ("10.66.6.6",)})
    decision = decide(IMPORT, strategy, theirs)
    assert (decision.ips, decision.pending, decision.held) == (None, False, True)
    assert decision.reason.startswith(STRANGER)
    assert decide(FOREIGN, strategy, theirs).ips == (("10.66.6.6",) if strategy == "endpoints" else ("10.6.6.6",))


def test_the_member_s_own_endpoints_count_beside_such_a_service() -> None:
    theirs = Facts({DERIVED: service("10.6.6.6")._replace(space="")}, {DERIVED: ("10.66.6.6",), KEY: ("10.7.0.1",)})
    assert decide(IMPORT, "endpoints", theirs).ips == ("10.7.0.1",)


@pytest.mark.parametrize(
    ("have", "known", "ips"),
    [
        # what may be the load balancer of the member that could not be read stays
        (("192.0.2.1",), [], None),
        (("192.0.2.1",), [("member2", ("192.0.2.2",))], None),
        # what is another's for sure follows the rule
        (("192.0.2.2",), [("member2", ("192.0.2.2",))], ("192.0.2.2",)),
        (("192.0.2.3",), [("member2", ("192.0.2.2",)), ("member3", ("192.0.2.3",))], ("192.0.2.2",)),
        ((), [("member2", ("192.0.2.2",))], ("192.0.2.2",)),
        (("lb.example.com",), [("member2", ("192.0.2.2",))], ("192.0.2.2",)),
    ],
)
def test_a_member_that_could_not_be_read_clears_no_address(
    have: tuple[str, ...], known: list[tuple[str, tuple[str, ...]]], ips: tuple[str, ...] | None
) -> None:
    there = IMPORT._replace(ips=have, owners=("us",))
    decision = decide(there, "load_balancer", Facts(balancers={KEY: known}, unread=["member1"]))
    assert (decision.ips, decision.leave, decision.held) == (ips, ips is None, ips is None)
    if ips is None:
        assert "may be on member1, which could not be read" in decision.reason
        assert settle(there, decision, source_gone="clear", manager="us", force=False).ips is have
    without = decide(there, "load_balancer", Facts(balancers={KEY: known}))
    assert without.ips == (known[0][1] if known else None)


def test_an_endpoint_that_stands_there_and_is_ready_stays() -> None:
    facts = Facts(ready={DERIVED: ("10.9.0.1", "10.9.0.2")})
    assert decide(IMPORT._replace(ips=("10.9.0.2",)), "endpoints", facts).ips == ("10.9.0.2",)
    assert decide(IMPORT._replace(ips=("10.9.0.3",)), "endpoints", facts).ips == ("10.9.0.1",)


def test_the_import_s_families_decide_the_order() -> None:
    facts = Facts({DERIVED: service("10.2.0.1", "fd00::1")}, max_ips=2)
    assert decide(IMPORT._replace(families=("IPv6", "IPv4")), "derived", facts).ips == ("fd00::1", "10.2.0.1")


def test_an_import_without_ports_is_remarked_on() -> None:
    decision = decide(IMPORT._replace(has_ports=False), "derived", Facts({DERIVED: service("10.2.0.1")}))
    assert decision.reason.endswith("it has no ports, so that DNS gives NXDOMAIN")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "0.1.2.3", "::", "169.254.1.1", "169.254.169.254", "fe80::1",
        "fe80::1%eth0", "224.0.0.1", "ff02::1", "255.255.255.255", "100.100.100.200", "fd00:ec2::254", "::ffff:169.254.169.254",
        "168.63.129.16", "192.0.0.192", "010.0.0.1", "10.0.0.256", "10.1", "serve.default.svc.clusterset.local", "", "None", "10.0.0.1 ",
    ],
)  # fmt: skip
def test_refused_addresses(address: str) -> None:
    assert refusal(address)
    decision = decide(IMPORT, "derived", Facts({DERIVED: service(address, "10.2.0.1")}, max_ips=2))
    assert decision.ips == ("10.2.0.1",)
    assert "refused: " in decision.reason


@given(st.ip_addresses())
def test_every_spelling_of_an_address_is_the_same(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    spellings = [str(address), address.exploded, address.exploded.upper()]
    assert len({normal(one) for one in spellings}) == 1
    assert normal(normal(str(address))) == normal(str(address))


def test_an_ipv4_address_in_ipv6_form_is_ipv4() -> None:
    assert normal("::FFFF:10.0.0.1") == "10.0.0.1"


@pytest.mark.parametrize(
    "have", [("10.0.0.1", "fd00::1"), ("FD00::1", "10.0.0.1"), ("fd00:0:0::1", "::ffff:10.0.0.1"), ("10.0.0.1", "fd00::1", "10.0.0.1")]
)
def test_order_spelling_and_repetition_are_no_difference(have: tuple[str, ...]) -> None:
    there = IMPORT._replace(ips=have)
    assert settle(there, Decision(("10.0.0.1", "fd00::1"), ""), source_gone="clear", manager="us", force=False)[0] is have


@pytest.mark.parametrize("have", [(), ("10.0.0.2",), ("010.0.0.1",), ("serve.example.com",), ("10.0.0.1", "10.0.0.2")])
def test_anything_else_is(have: tuple[str, ...]) -> None:
    there = IMPORT._replace(ips=have)
    assert settle(there, Decision(("10.0.0.1",), ""), source_gone="clear", manager="us", force=False)[0] == ("10.0.0.1",)


@pytest.mark.parametrize(
    ("policy", "ips", "reason"), [("clear", (), "there is no x; cleared"), ("keep", ("10.0.0.1",), "there is no x; kept")]
)
def test_source_gone(policy: str, ips: tuple[str, ...], reason: str) -> None:
    there = IMPORT._replace(ips=("10.0.0.1",), owners=("us",))
    decision = Decision(None, "there is no x", pending=True)
    assert settle(there, decision, source_gone=policy, manager="us", force=False) == (ips, reason, False)


@pytest.mark.parametrize(
    ("owners", "force", "taken"),
    [
        (("us",), False, True),
        (("karmada-controller-manager",), False, True),
        ((), False, True),
        (("kubectl-patch",), False, False),
        (("kubectl-patch",), True, True),
        (("kubectl-patch", "us"), False, True),
    ],
)
def test_what_others_set_is_taken_with_force_only(owners: tuple[str, ...], force: bool, taken: bool) -> None:
    there = IMPORT._replace(ips=("10.0.0.2",), owners=owners)
    ips, reason, held = settle(there, Decision(("10.0.0.1",), "x"), source_gone="clear", manager="us", force=force)
    assert ips == (("10.0.0.1",) if taken else ("10.0.0.2",))
    assert held is not taken
    assert ("kubectl-patch" in reason) is not taken


def crd(**ips: t.Any) -> dict[str, t.Any]:
    schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": {"ips": ips}}}}}
    return {"spec": {"versions": [{"name": "v1beta1"}, {"name": "v1alpha1", "schema": schema}]}}


@pytest.mark.parametrize(("document", "ips"), [(crd(maxItems=1), 1), (crd(maxItems=2), 2), (crd(), 1), (None, 1), ({}, 1)])
def test_max_ips(document: dict[str, t.Any] | None, ips: int) -> None:
    assert max_ips_of(document) == ips


def test_what_is_kept_of_the_documents() -> None:
    metadata = {
        "namespace": "default",
        "name": "serve",
        "resourceVersion": "7",
        "labels": {"karmada.io/managed": "true"},
        "annotations": {"work.karmada.io/namespace": "karmada-es-member1"},
        "managedFields": [
            {"manager": "karmada", "fieldsV1": {"f:spec": {"f:type": {}}}},
            {"manager": "us", "fieldsV1": {"f:spec": {"f:ips": {}}}},
            {"manager": "status", "fieldsV1": None},
        ],
    }
    one = import_of({"metadata": metadata, "spec": {"type": "ClusterSetIP", "ports": [{"port": 80}], "ips": ["10.0.0.1"]}})
    assert one == Import(KEY, "ClusterSetIP", ("10.0.0.1",), True, (), ("us",), "7", "karmada-es-member1")
    assert import_of({"metadata": metadata}).ips == ()
    spec = {"clusterIP": "10.0.0.1", "type": "LoadBalancer"}
    document = {"metadata": metadata, "spec": spec, "status": {"loadBalancer": {"ingress": [{"hostname": "x"}]}}}
    assert service_of(document) == (KEY, Service("LoadBalancer", ("10.0.0.1",), (("", "x"),), "karmada-es-member1"))


def test_karmada_delivered_what_bears_its_label_and_says_whence() -> None:
    annotations = {"work.karmada.io/namespace": "karmada-es-member1"}
    for metadata in ({"labels": {"karmada.io/managed": "true"}}, {"annotations": annotations}, {"labels": {"karmada.io/managed": ""}}):
        document = {"metadata": {"namespace": "default", "name": "serve", **metadata}}
        assert (import_of(document).space, service_of(document)[1].space) == ("", "")


def test_only_ready_endpoints_count_and_an_absent_condition_means_ready() -> None:
    endpoints = [
        {"addresses": ["10.9.0.1"], "conditions": {"ready": True}},
        {"addresses": ["10.9.0.2"], "conditions": {"ready": False}},
        {"addresses": ["10.9.0.3"], "conditions": {}},
        {"addresses": ["10.9.0.4"]},
    ]
    metadata = {"namespace": "default", "name": "x", "labels": {"kubernetes.io/service-name": "serve"}}
    slice = {"metadata": metadata, "addressType": "IPv4", "endpoints": endpoints}
    assert slice_of(slice) == (KEY, ("10.9.0.1", "10.9.0.3", "10.9.0.4"))
    assert slice_of({**slice, "addressType": "FQDN"}) == (KEY, ())
    assert slice_of({**slice, "endpoints": None}) == (KEY, ())


@pytest.mark.parametrize("text", ["serve", "/serve", "default/", "a/b/c", ""])
def test_a_key_needs_both_names(text: str) -> None:
    with pytest.raises(ValueError, match="write NAMESPACE/NAME"):
        parse_key(text)
