# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import xml.etree.ElementTree as ET

from ansible_collections.clusterset.dns.plugins.module_utils._dns import report as _dns_report

SERVE = "serve.default.svc.clusterset.local"
URL = f"http://{SERVE}/"


def row(cluster="member1", pod="coredns-a", ok=True, **more):
    return {
        "cluster": cluster,
        "pod": pod,
        "node": "node",
        "service": "default/serve",
        "name": SERVE,
        "type": "A",
        "rcode": "NOERROR",
        "flags": ["qr", "aa", "rd", "ra"],
        "answers": ["10.22.4.17"],
        "ttl": 5,
        "authority": "",
        "time_ms": 1.5,
        "error": "",
        "expected": ["10.22.4.17"],
        "ok": ok,
        "verdict": "ok" if ok else "nxdomain",
        "cause": "" if ok else "NXDOMAIN: there is no ServiceImport.",
        **more,
    }


URLS = [{"service": "default/serve", "url": URL}]


def tried(status=200, error=""):
    return [{"url": URL, "status": status, "body": "x", "time_ms": 2.0, "error": error}]


def with_http(found, *given):
    return _dns_report.with_http([_dns_report.complete(found)], URLS, *given)[0]


def test_http_belongs_to_addresses_of_its_service():
    rows = map(_dns_report.complete, [row(), row(type="SRV"), row(service="default/other"), row(service="")])
    assert [one["http_status"] for one in _dns_report.with_http(rows, URLS, tried())] == [200, None, None, None]


def test_http_that_does_not_get_through():
    found = with_http(row(), tried(None, "Connection refused (curl exit code 7)."))
    assert (found["ok"], found["verdict"], found["http_status"]) == (False, "http", None)
    assert f"{URL}: Connection refused" in found["cause"]
    assert (with_http(row(), tried(503))["verdict"], with_http(row(), tried(503))["http_status"]) == ("http", 503)
    assert with_http(row(), tried(404))["verdict"] == "ok"


def test_dns_is_to_blame_before_http():
    assert with_http(row(ok=False), tried(None, "Could not resolve host"))["verdict"] == "nxdomain"


def fleet():
    srv = row(pod="coredns-b", type="SRV", name=f"_http._tcp.{SERVE}", answers=[f"0 100 80 {SERVE}."], expected=None)
    wrong = row("member2", ok=False, rcode="NXDOMAIN", answers=[])
    found = [_dns_report.complete(one) for one in (srv, wrong, {**wrong, "pod": "coredns-b"})]
    return [with_http(row(), tried()), *found, _dns_report.single("c", "error", "c: is down.")]


def test_table():
    lines = _dns_report.table(fleet())
    assert lines[0].split() == ["CLUSTER", "POD", "NAME", "TYPE", "ANSWER", "EXPECTED", "HTTP", "VERDICT"]
    assert lines[1].split() == ["member1", "coredns-a", SERVE, "A", "10.22.4.17", "10.22.4.17", "200", "ok"]
    assert lines[2].split() == [
        "member1",
        "coredns-b",
        f"_http._tcp.{SERVE}",
        "SRV",
        "80",
        f"{SERVE}.",
        "any",
        "-",
        "ok",
    ]
    assert lines[3].split() == ["member2", "coredns-a", SERVE, "A", "NXDOMAIN", "10.22.4.17", "-", "nxdomain"]
    assert lines[5].split() == ["c", "-", "-", "-", "-", "-", "-", "error"]
    assert lines[6:] == [
        "member2: coredns-a, coredns-b: NXDOMAIN: there is no ServiceImport.",
        "c: is down.",
        "4 answers of 4 CoreDNS pods in 2 of 3 clusters: 3 not right, in member2, c.",
    ]
    verdicts = {line.rindex("  ") for line in lines[1:6]}
    assert len(verdicts) == 1, "columns are not aligned"


def test_a_long_table_shows_what_is_not_right():
    found = [_dns_report.complete(row(pod=str(number))) for number in range(500)] + fleet()[-1:]
    lines = _dns_report.table(found)
    assert [line.split()[0] for line in lines[1:]] == ["c", "500", "c:", "500"]
    assert lines[2] == "500 right answers left out here."


def test_summary_is_all_right_only_where_all_was_asked():
    assert _dns_report.summary([row()]) == "1 answer of 1 CoreDNS pod in 1 cluster: all right."
    skipped = _dns_report.single("member2", "skipped", "not served yet", ok=None)
    assert _dns_report.summary([row(), skipped]) == "1 answer of 1 CoreDNS pod in 1 of 2 clusters: what was asked is right; not asked: member2."
    silent = row(pod="coredns-b", ok=False, rcode="", answers=[])
    assert _dns_report.summary([row(), silent]) == "1 of 2 answers of 1 of 2 CoreDNS pods in 1 cluster: 1 not right, in member1."
    assert _dns_report.summary([]) == "Nothing was verified."


def test_counts():
    assert _dns_report.counts(fleet()) == {
        "members": {"expected": 3, "asked": 2},
        "pods": {"expected": 4, "asked": 4},
        "questions": {"expected": 4, "asked": 4},
    }


def test_junit():
    root = ET.fromstring(_dns_report.junit(fleet()))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "5", "3")
    assert [(one.get("name"), one.get("tests"), one.get("failures")) for one in root] == [
        ("member1", "2", "0"),
        ("member2", "2", "2"),
        ("c", "1", "1"),
    ]
    case = root[1][0]
    assert (case.get("classname"), case.get("name")) == ("member2.coredns-a", f"A {SERVE}")
    assert case[0].get("type") == "nxdomain"
    assert case[0].text == "answer: NXDOMAIN\nexpected: 10.22.4.17"
    assert root[2][0].get("name") == "verification"


def test_junit_of_skipped_clusters_and_special_characters():
    skipped = _dns_report.single("member1", "skipped", "not served yet", ok=None)
    root = ET.fromstring(_dns_report.junit([skipped, row("<b>&", ok=False, cause='"quoted" <&>')]))
    assert root[0].get("skipped") == "1"
    assert root[0][0][0].tag == "skipped"
    assert root[1][0][0].get("message") == '"quoted" <&>'
