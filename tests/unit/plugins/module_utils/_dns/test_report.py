# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import itertools
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
    assert lines[0].split() == ["NAME", "TYPE", "ANSWER", "EXPECTED", "HTTP", "VERDICT"]
    assert [line.split() for line in lines[1:9]] == [
        ["member1:", "coredns-a"],
        [SERVE, "A", "10.22.4.17", "10.22.4.17", "200", "ok"],
        ["member1:", "coredns-b"],
        [f"_http._tcp.{SERVE}", "SRV", "80", "any", "-", "ok"],
        ["member2:", "coredns-a,", "coredns-b"],
        [SERVE, "A", "NXDOMAIN", "10.22.4.17", "-", "nxdomain"],
        ["c"],
        ["-", "-", "-", "-", "-", "error"],
    ]
    assert lines[9:] == [
        "",
        "member2: coredns-a, coredns-b",
        "    NXDOMAIN: there is no ServiceImport.",
        "c",
        "    is down.",
        "",
        "4 answers of 4 CoreDNS pods in 2 of 3 clusters: 3 not right, in member2, c.",
    ]
    verdicts = {line.rindex("  ") for line in (lines[0], lines[2], lines[4], lines[6], lines[8])}
    assert len(verdicts) == 1, "columns are not aligned"


def test_a_table_without_http_has_no_column_for_it():
    assert _dns_report.table([_dns_report.complete(row())])[0].split() == ["NAME", "TYPE", "ANSWER", "EXPECTED", "VERDICT"]


def test_no_line_of_a_table_is_longer_than_asked_and_nothing_is_lost():
    name = f"a-service-with-a-long-name.a-namespace-with-a-long-name-as-well.svc.{'zone-' * 8}.example"
    answers = [f"2001:db8:{number}::{number}" for number in range(1, 9)]
    cause = "The cause is told in a sentence that is longer than a line, so that it goes on in the next one, and even in a third one."
    wrong = row(name=name, answers=answers, expected=answers[1:], ok=False, cause=cause)
    lines = _dns_report.table([_dns_report.complete(wrong)])
    assert max(map(len, lines)) <= 100
    packed = "".join("".join(lines).split())
    assert cause.replace(" ", "") in packed
    starts = [lines[0].index(word) for word in ("NAME", "TYPE", "ANSWER", "EXPECTED", "VERDICT")]
    columns = ["".join(line[start:end].strip() for line in lines[2:10]) for start, end in itertools.pairwise([*starts, 100])]
    assert columns[0].startswith(name)
    assert columns[2].startswith(",".join(answers))
    assert columns[3].startswith(",".join(answers[1:]))


def test_a_record_of_a_service_is_told_by_port_and_host():
    srv = row(type="SRV", name=f"_http._tcp.{SERVE}", answers=[f"0 50 8080 web-0.member1.{SERVE}.", f"0 50 80 {SERVE}."], expected=["80 other.example."])
    assert _dns_report.answer(srv) == f"80 {SERVE}., 8080 web-0.member1.{SERVE}."
    assert (_dns_report.answer(srv, brief=True), _dns_report.expected(srv, brief=True)) == ("80, 8080 web-0.member1", "80 other.example")


def test_a_long_table_shows_what_is_not_right():
    found = [_dns_report.complete(row(pod=str(number))) for number in range(500)] + fleet()[-1:]
    lines = _dns_report.table(found)
    assert [line.split()[0] for line in lines if line] == ["NAME", "c", "-", "500", "c", "is", "500"]
    assert lines[3] == "500 right answers left out here."


def test_summary_is_all_right_only_where_all_was_asked():
    assert _dns_report.summary([row()]) == "1 answer of 1 CoreDNS pod in 1 cluster: all right."
    skipped = _dns_report.single("member2", "skipped", "not served yet", ok=None)
    assert _dns_report.summary([row(), skipped]) == "1 answer of 1 CoreDNS pod in 1 of 2 clusters: what was asked is right; not asked: member2."
    silent = row(pod="coredns-b", ok=False, rcode="", answers=[])
    assert _dns_report.summary([row(), silent]) == "1 of 2 answers of 1 of 2 CoreDNS pods in 1 cluster: 1 not right, in member1."
    assert _dns_report.summary([]) == "Nothing was verified."


def test_junit_is_xml_whatever_a_log_says():
    found = [_dns_report.complete(row(ok=False, verdict="error", cause="boom \x1b[31m \x00 end"))]
    case = ET.fromstring(_dns_report.junit(found)).find(".//failure")
    assert case is not None
    assert case.get("message") == "boom \ufffd[31m \ufffd end"


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
