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


def result(*rows, served=True):
    return {"results": list(rows), "served": served, "urls": [{"service": "default/serve", "url": URL}]}


def tried(status=200, error=""):
    return {"results": [{"url": URL, "status": status, "body": "x", "time_ms": 2.0, "error": error}]}


def test_rows_of_all_hosts_with_http():
    found = _dns_report.rows({"a": result(row()), "b": result(row("member2"))}, {"a": tried(), "b": tried(404)})
    assert [(one["cluster"], one["http_status"], one["verdict"]) for one in found] == [
        ("member1", 200, "ok"),
        ("member2", 404, "ok"),
    ]


def test_http_belongs_to_addresses_of_its_service():
    rows = [row(), row(type="SRV"), row(service="default/other"), row(service="")]
    found = _dns_report.rows({"a": result(*rows)}, {"a": tried()})
    assert [one["http_status"] for one in found] == [200, None, None, None]


def test_http_that_does_not_get_through():
    (found,) = _dns_report.rows({"a": result(row())}, {"a": tried(None, "Connection refused (curl exit code 7).")})
    assert (found["ok"], found["verdict"], found["http_status"]) == (False, "http", None)
    assert f"{URL}: Connection refused" in found["cause"]
    (found,) = _dns_report.rows({"a": result(row())}, {"a": tried(503)})
    assert (found["verdict"], found["http_status"]) == ("http", 503)


def test_dns_is_to_blame_before_http():
    (found,) = _dns_report.rows({"a": result(row(ok=False))}, {"a": tried(None, "Could not resolve host")})
    assert found["verdict"] == "nxdomain"


def test_http_that_could_not_be_tried():
    (found,) = _dns_report.rows({"a": result(row())}, {"a": {"msg": "member1: HTTP could not be tried: no image."}})
    assert (found["ok"], found["verdict"]) == (False, "http")
    assert "no image" in found["cause"]


def test_http_that_was_not_tried():
    for http in ({}, {"skipped": True}, {"results": [], "msg": "Check mode: no pod was started."}):
        (found,) = _dns_report.rows({"a": result(row())}, {"a": http})
        assert (found["ok"], found["http_status"], found["http"]) == (True, None, [])


def test_hosts_that_failed_have_a_row_with_the_reason():
    dns = {"a": result(row()), "down": {"msg": "down: the API server does not answer."}, "out": {}, "later": {}}
    found = _dns_report.rows(dns, {}, ["out"])
    assert [(one["cluster"], one["ok"], one["verdict"]) for one in found] == [
        ("member1", True, "ok"),
        ("down", False, "error"),
        ("out", False, "error"),
    ]
    assert found[1]["cause"] == "down: the API server does not answer."
    assert "an earlier task" in found[2]["cause"]


def test_unserved_is_skipped_only_if_asked():
    unserved = {"a": result(row(ok=False), served=False)}
    assert _dns_report.rows(unserved)[0]["ok"] is False
    (found,) = _dns_report.rows(unserved, skip_unserved=True)
    assert (found["cluster"], found["ok"], found["verdict"]) == ("member1", None, "skipped")


def fleet():
    srv = row(pod="coredns-b", type="SRV", name=f"_http._tcp.{SERVE}", answers=[f"0 100 80 {SERVE}."], expected=None)
    wrong = row("member2", ok=False, rcode="NXDOMAIN", answers=[])
    dns = {"a": result(row(), srv), "b": result(wrong, {**wrong, "pod": "coredns-b"}), "c": {"msg": "c: is down."}}
    return _dns_report.rows(dns, {"a": tried()})


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
        "4 answers of 4 CoreDNS pods in 3 clusters: 3 not right, in member2, c.",
    ]
    verdicts = {line.rindex("  ") for line in lines[1:6]}
    assert len(verdicts) == 1, "columns are not aligned"


def test_summary_when_all_is_right():
    assert _dns_report.summary([row()]) == "1 answer of 1 CoreDNS pod in 1 cluster: all right."
    skipped = _dns_report.rows({"a": result(row(), served=False)}, skip_unserved=True)
    assert _dns_report.summary(skipped).endswith("all right; not verified: member1.")


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
    skipped = _dns_report.rows({"a": result(row(), served=False)}, skip_unserved=True)
    root = ET.fromstring(_dns_report.junit([*skipped, row("<b>&", ok=False, cause='"quoted" <&>')]))
    assert root[0].get("skipped") == "1"
    assert root[0][0][0].tag == "skipped"
    assert root[1][0][0].get("message") == '"quoted" <&>'
