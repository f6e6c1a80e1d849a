# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect as _dns
from ansible_collections.clusterset.dns.plugins.module_utils._dns.endpoints import Endpoint
from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Expectation, Facts, Question

ZONE = "clusterset.local"
SERVE = f"serve.default.svc.{ZONE}"
OWN = "kubernetes.default.svc.cluster.local"
VERSION = f"dns-version.{ZONE}"


def service_import(name="serve", namespace="default", ips=("10.22.4.17",), **spec):
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"type": "ClusterSetIP", "ports": ports, "ips": list(ips), **spec},
    }


def answer(name=SERVE, kind="A", rcode="NOERROR", answers=(), **more):
    row = {"pod": "coredns-a", "node": "node", "name": name, "type": kind, "rcode": rcode, "answers": list(answers)}
    return {**row, "flags": ["qr", "aa", "rd"], "ttl": 5, "authority": "", "time_ms": 1.0, "error": "", **more}


SERVED = answer(VERSION, "TXT", answers=['"1.1.0"'])
UNSERVED = answer(VERSION, "TXT", "NXDOMAIN", flags=["qr", "rd"], authority=".")


def of_services(*arguments, **more):
    return [one for one in _dns.expectations(*arguments, ZONE, "cluster.local", **more)[0] if one.service]


@pytest.mark.parametrize(
    "name",
    ["a", "kubernetes.default.svc.cluster.local.", "_http._tcp.serve.default.svc.clusterset.local", "A-1.b", "x" * 63],
)
def test_valid_names(name):
    assert _dns.invalid_name(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "empty"),
        (".", "empty"),
        ("a..b", "its part ''"),
        ("-a.b", "its part '-a'"),
        ("a-.b", "its part 'a-'"),
        ("a b", "its part 'a b'"),
        ("a\n.b", "no DNS name"),
        ("ü.example", "its part 'ü'"),
        ("*.example", "its part '*'"),
        ("x" * 64, "1 to 63"),
        (".".join(["x" * 60] * 5), "304 characters"),
    ],
)
def test_invalid_names(name, says):
    assert says in (_dns.invalid_name(name) or "")


def test_health_asks_for_own_names_and_the_zone():
    assert _dns.health(ZONE, "cluster.local", ["10.96.0.1", "fd00::1"]) == [
        Expectation("", Question(OWN, "A"), ("10.96.0.1",)),
        Expectation("", Question(OWN, "AAAA"), ("fd00::1",)),
        Expectation("", Question(VERSION, "TXT"), None),
    ]
    assert _dns.health(ZONE, "cluster.local")[0] == Expectation("", Question(OWN, "A"), None)


def test_expected_of_an_import():
    assert of_services([service_import()], []) == [
        Expectation("default/serve", Question(SERVE, "A"), ("10.22.4.17",)),
        Expectation("default/serve", Question(f"_http._tcp.{SERVE}", "SRV"), (f"80 {SERVE}.",)),
    ]


def test_expected_of_two_families_and_ports():
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"port": 8080}, {"name": "web", "port": 8443}]
    wanted = of_services([service_import(ips=["10.22.4.17", "FD00:0::1"], ports=ports)], [])
    assert [(one.question.type, one.answers) for one in wanted] == [
        ("A", ("10.22.4.17",)),
        ("AAAA", ("fd00::1",)),
        ("SRV", (f"53 {SERVE}.",)),
        ("SRV", (f"8443 {SERVE}.",)),
    ]
    assert [one.question.name for one in wanted[2:]] == [f"_dns._udp.{SERVE}", f"_web._tcp.{SERVE}"]


def test_without_services_every_import_with_ips_is_chosen():
    imports = [service_import("b"), service_import("a"), service_import("without", ips=[])]
    assert list(dict.fromkeys(one.service for one in of_services(imports, []))) == ["default/a", "default/b"]


@pytest.mark.parametrize(
    ("imports", "fault"),
    [
        ([], "there is no ServiceImport default/serve in this cluster"),
        ([service_import(namespace="other")], "there is no ServiceImport default/serve in this cluster"),
        ([service_import(ports=[])], "ServiceImport default/serve has no ports"),
        ([service_import(ips=[])], "ServiceImport default/serve has no ips"),
    ],
)
def test_an_import_that_cannot_be_answered(imports, fault):
    chosen = [{"namespace": "default", "name": "serve"}]
    assert of_services(imports, chosen) == [Expectation("default/serve", Question(SERVE, "A"), (), fault)]


KEY = ("default", "serve")
SOURCE = "EndpointSlices of default/serve say"


def test_headless_is_its_endpoints():
    headless = service_import(ips=[], type="Headless")
    found = Endpoint("10.1.0.1", "member1", "", "web-x", (("http", "TCP", 8080), ("", "TCP", 9090)))
    assert of_services([headless], [], endpoints={KEY: [found]}) == [
        Expectation("default/serve", Question(SERVE, "A"), ("10.1.0.1",), source=SOURCE),
        Expectation(
            "default/serve",
            Question(f"_http._tcp.{SERVE}", "SRV"),
            (f"8080 10-1-0-1.member1.{SERVE}.",),
            source=SOURCE,
            others=((f"8080 web-x.member1.{SERVE}.",),),
        ),
    ]


def test_headless_without_a_ready_endpoint_has_no_address():
    (wanted,) = of_services([service_import(ips=[], type="Headless")], [], endpoints={KEY: []})
    assert wanted == Expectation("default/serve", Question(SERVE, "A"), (), source=SOURCE)
    assert _dns.agrees(wanted, answer(rcode="NXDOMAIN"))
    assert _dns.agrees(wanted, answer())
    assert not _dns.agrees(wanted, answer(answers=["10.1.0.1"]))


def test_two_families_drift_apart():
    """The import has the one that it should not, and lacks the other."""
    wanted = of_services([service_import()], [], desired={KEY: (("fd00::1",), "derived Service derived-serve")})
    assert [(one.question.type, one.answers, bool(one.drift)) for one in wanted] == [
        ("AAAA", ("fd00::1",), True),
        ("A", (), True),
        ("SRV", (f"80 {SERVE}.",), False),
    ]


def test_another_spelling_is_no_drift():
    wanted = of_services([service_import(ips=["FD00:0::1"])], [], desired={KEY: (("fd00::1",), "")})
    assert not any(one.drift for one in wanted)


def test_in_an_ipv6_cluster_what_is_missing_is_asked_for_by_aaaa():
    chosen = [{"namespace": "default", "name": "serve"}]
    wanted, _notes = _dns.expectations([], chosen, ZONE, "cluster.local", ["fd00::1"])
    assert [one.question.type for one in wanted if one.service] == ["AAAA"]


def test_services_of_a_cluster():
    services = [{"name": "a"}, {"name": "b", "to_clusters": ["member2"]}, {"name": "c", "to_clusters": []}]
    assert [one["name"] for one in _dns.services_of("member1", services)] == ["a", "c"]
    assert [one["name"] for one in _dns.services_of("member2", services)] == ["a", "b", "c"]


def test_urls():
    ports = [
        {"name": "http", "port": 80},
        {"name": "web", "appProtocol": "http", "port": 8080, "protocol": "TCP"},
        {"name": "http", "appProtocol": "https", "port": 8443},
        {"name": "quic", "appProtocol": "http", "protocol": "UDP", "port": 443},
        {"name": "grpc", "port": 9000},
    ]
    imports = [service_import(ports=ports), service_import("without", ips=[]), service_import("other")]
    assert _dns.http_urls(imports, [{"namespace": "default", "name": "serve"}], ZONE, "healthz") == [
        {"service": "default/serve", "url": f"http://{SERVE}/healthz"},
        {"service": "default/serve", "url": f"http://{SERVE}:8080/healthz"},
    ]
    assert len(_dns.http_urls(imports, [], ZONE)) == 3


A = Expectation("default/serve", Question(SERVE, "A"), ("10.22.4.17", "10.22.4.16"))


@pytest.mark.parametrize(
    ("expected", "given", "right"),
    [
        (A, answer(answers=["10.22.4.16", "10.22.4.17"]), True),
        (A, answer(answers=["10.22.4.16"]), False),
        (A, answer(answers=["10.22.4.16", "10.22.4.17", "10.22.4.18"]), False),
        (A, answer(), False),
        (A, answer(rcode="SERVFAIL", answers=["10.22.4.16", "10.22.4.17"]), False),
        (A._replace(answers=None), answer(answers=["192.0.2.1"]), True),
        (A._replace(answers=None), answer(), False),
        (A._replace(answers=(), fault="no ips"), answer(), False),
        (
            Expectation("s", Question(f"_http._tcp.{SERVE}", "SRV"), (f"80 {SERVE}.",)),
            answer(kind="SRV", answers=[f"0 50 80 {SERVE}.", f"0 50 80 {SERVE}."]),
            True,
        ),
        (
            Expectation("s", Question(f"_http._tcp.{SERVE}", "SRV"), (f"80 {SERVE}.",)),
            answer(kind="SRV", answers=[f"0 100 8080 {SERVE}."]),
            False,
        ),
    ],
)
def test_agrees(expected, given, right):
    assert _dns.agrees(expected, given) is right


@pytest.mark.parametrize(
    ("answers", "served"),
    [
        ([SERVED], True),
        ([UNSERVED], False),
        ([answer(rcode="NXDOMAIN", authority="Clusterset.Local.")], True),
        # CoreDNS's cache up to 1.12.1 sets aa on what was forwarded.
        ([answer(rcode="NXDOMAIN", authority=".", flags=["qr", "aa", "rd"])], False),
        ([answer(VERSION, "TXT", "", error="No answer within 5 s.")], None),
        ([answer(OWN, answers=["10.96.0.1"])], None),
        ([], None),
    ],
)
def test_serves(answers, served):
    assert _dns.serves(ZONE, answers) is served


WANTED = Expectation("default/serve", Question(SERVE, "A"), ("10.22.4.17",))
NO_IMPORT = WANTED._replace(answers=(), fault="there is no ServiceImport default/serve in this cluster")
DENIAL = {"authority": "clusterset.local."}


@pytest.mark.parametrize(
    ("expected", "given", "facts", "verdict", "says"),
    [
        (WANTED, answer(rcode="", error="No answer within 5 s."), {}, "error", "No answer within 5 s."),
        (
            NO_IMPORT,
            answer(rcode="NXDOMAIN", **DENIAL),
            {},
            "nxdomain",
            "NXDOMAIN: there is no ServiceImport default/serve",
        ),
        (
            WANTED._replace(answers=(), fault="ServiceImport default/serve has no ports"),
            answer(rcode="NXDOMAIN", **DENIAL),
            {},
            "nxdomain",
            "NXDOMAIN: ServiceImport default/serve has no ports. Give the ServiceImport its ports",
        ),
        (
            WANTED._replace(answers=(), fault="ServiceImport default/serve has no ips"),
            answer(**DENIAL),
            {},
            "nodata",
            "NODATA: ServiceImport default/serve has no ips. Run module serviceimport_ips",
        ),
        (WANTED, answer(rcode="SERVFAIL", **DENIAL), {"crd": False}, "servfail", "no CRD serviceimports"),
        (WANTED, answer(rcode="SERVFAIL", **DENIAL), {"denied": ("list", "watch")}, "servfail", "list and watch them"),
        (WANTED, answer(rcode="SERVFAIL", **DENIAL), {"denied": None}, "servfail", "RBAC has to let"),
        (WANTED, answer(rcode="SERVFAIL", **DENIAL), {"denied": ()}, "servfail", "may still be starting"),
        (WANTED, answer(rcode="REFUSED"), {}, "refused", "acl or view"),
        (WANTED, answer(answers=["192.0.2.1"], flags=["qr", "rd", "ra"]), {}, "upstream", "NodeLocal DNSCache"),
        (
            WANTED,
            answer(answers=["10.22.4.9"]),
            {},
            "stale",
            "answered 10.22.4.9, but ServiceImport default/serve says 10.22.4.17",
        ),
        (WANTED, answer(answers=["10.22.4.9"]), {"waited": 4}, "stale", "may be cached for 5 s"),
        (WANTED, answer(answers=["10.22.4.9"]), {"waited": 29, "ttl": 30}, "stale", "may be cached for 30 s"),
        (
            WANTED,
            answer(answers=["10.22.4.9"]),
            {"waited": 60},
            "stale",
            "was so for 60 s, longer than it may be cached",
        ),
        (WANTED, answer(rcode="NXDOMAIN", **DENIAL), {"waited": 60}, "stale", "ignore empty_service"),
        (WANTED, answer(**DENIAL), {}, "stale", "NODATA, but ServiceImport default/serve says 10.22.4.17"),
        (NO_IMPORT, answer(answers=["10.22.4.9"]), {}, "stale", "answered 10.22.4.9, but there is no ServiceImport"),
        (
            Expectation("", Question(VERSION, "TXT"), None),
            answer(VERSION, "TXT", "NXDOMAIN", **DENIAL),
            {},
            "nxdomain",
            "no multicluster in its block",
        ),
        (
            Expectation("", Question(OWN, "A"), ("10.96.0.1",)),
            answer(OWN, rcode="SERVFAIL"),
            {},
            "servfail",
            "own names",
        ),
        (
            Expectation("", Question(OWN, "A"), ("10.96.0.1",)),
            answer(OWN, answers=["10.0.0.1"]),
            {},
            "stale",
            "but the Service has 10.96.0.1",
        ),
    ],
)
def test_causes_of_a_pod_that_serves_the_zone(expected, given, facts, verdict, says):
    word, sentence = _dns.diagnose(expected, given, True, Facts(ZONE, **facts))
    assert (word, says in sentence) == (verdict, True), sentence


@pytest.mark.parametrize(
    ("given", "verdict", "says"),
    [
        (
            answer(rcode="REFUSED", flags=["qr", "rd"]),
            "refused",
            "REFUSED: this pod does not serve clusterset.local",
        ),
        (
            answer(rcode="NXDOMAIN", authority=".", flags=["qr", "rd", "ra"]),
            "upstream",
            "from an upstream server (its authority: .)",
        ),
        (
            answer(rcode="SERVFAIL", flags=["qr", "rd"]),
            "upstream",
            "SERVFAIL from an upstream server (its authority: none)",
        ),
        (
            answer(answers=["192.0.2.1"], flags=["qr", "rd"]),
            "upstream",
            "NOERROR from an upstream server",
        ),
    ],
)
def test_causes_of_a_pod_that_does_not_serve_the_zone(given, verdict, says):
    word, sentence = _dns.diagnose(WANTED, given, False, Facts(ZONE))
    assert (word, says in sentence) == (verdict, True), sentence


def test_verify_judges_each_pod_by_its_own_answers():
    wanted = [Expectation("", Question(VERSION, "TXT"), None), WANTED]
    other = {"pod": "coredns-b", "node": "node-b"}
    rows = _dns.verify(wanted, [SERVED, {**UNSERVED, **other}, answer(answers=["10.22.4.17"])], Facts(ZONE))
    assert [(row["pod"], row["type"], row["ok"], row["verdict"]) for row in rows] == [
        ("coredns-a", "TXT", True, "ok"),
        ("coredns-a", "A", True, "ok"),
        ("coredns-b", "TXT", False, "upstream"),
        ("coredns-b", "A", False, "upstream"),
    ]
    assert rows[1]["expected"] == ["10.22.4.17"]
    assert rows[0]["expected"] is None
    assert rows[1]["cause"] == ""
    assert (rows[3]["node"], rows[3]["rcode"], rows[3]["service"]) == ("node-b", "", "default/serve")


def test_a_question_that_was_not_asked_has_the_cause_of_the_one_that_kept_it():
    wanted = [*_dns.health(ZONE, "cluster.local"), WANTED]
    silent = answer(VERSION, "TXT", "", error="No answer within 5 s.")
    rows = _dns.verify(wanted, [answer(OWN, answers=["10.96.0.1"]), silent], Facts(ZONE))
    assert [row["verdict"] for row in rows] == ["ok", "error", "error"]
    assert rows[1]["cause"] == rows[2]["cause"]
    assert rows[1]["cause"].startswith("No answer within 5 s. If it answers other names, it forwards clusterset.local")
