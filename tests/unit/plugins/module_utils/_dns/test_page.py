# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import base64
import hashlib
import re
import typing as t
from html.parser import HTMLParser

from ansible_collections.clusterset.dns.plugins.module_utils._dns import page as _dns_page
from ansible_collections.clusterset.dns.plugins.module_utils._dns import report as _dns_report

from .test_report import SERVE, row

EVIL = "\"><script>alert('x')</script><img src=x onerror=alert(1)>&\x1b[31m\u202e"
VOID = {"input", "meta", "wbr"}
SERVICES = [{"namespace": "default", "name": "serve", "from_clusters": ["member1"]}, {"namespace": "a", "name": "unseen", "from_clusters": ["member9"]}]


class Page(HTMLParser):
    """What a browser finds: each element with its attributes, and the text of each kind of element. Elements have to be closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))

    @property
    def text(self) -> str:
        return " ".join(" ".join(text for tag, text in self.texts if tag not in ("style", "script")).split())

    def of(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= {k: v or "" for k, v in found.items()}.items()]

    def boxes(self, kind: str) -> list[dict[str, str | None]]:
        """Boxes of the picture of that state, of one of its two shapes."""
        return self.of("g", **{"class": f"box {kind}"})[::2]


def health(cluster: str = "member1", **more: t.Any) -> dict[str, t.Any]:
    return row(cluster, service="", name="dns-version.clusterset.local", type="TXT", expected=None, answers=['"1.1.0"'], **more)


def made(*found: dict[str, t.Any], **more: t.Any) -> Page:
    return Page(_dns_page.page([_dns_report.complete(one) for one in found], **more))


def wrong(cluster: str = "member2", cause: str = "NXDOMAIN: there is no ServiceImport.", **more: t.Any) -> dict[str, t.Any]:
    return row(cluster, ok=False, rcode="NXDOMAIN", answers=[], cause=cause, **more)


def test_it_says_when_for_which_zone_and_how_it_went() -> None:
    page = made(health(), row(), made="2026-02-03 10:15 UTC", notes=["member1: something was left out."], zone="not.asked")
    summary = "2 answers of 1 CoreDNS pod in 1 cluster: all right."
    for said in ("All right", summary, "Zone clusterset.local", "Made 2026-02-03 10:15 UTC", "something was left out"):
        assert said in page.text
    assert ("title", "✓ clusterset.local: All right") in page.texts
    assert "could not be looked at" not in page.text


def test_the_zone_is_the_one_that_was_given_where_no_row_tells() -> None:
    gone = _dns_report.single("member1", "error", "member1: is down.")
    assert "Zone clusters.example" in made(gone, zone="clusters.example").text


def test_members_that_could_not_be_looked_at_come_first() -> None:
    gone = _dns_report.single("member3", "error", "member3: not verified, because an earlier step failed there.")
    page = made(health(), row(), health("member2"), wrong(), gone)
    assert "Not right in member2 and member3" in page.text
    assert "1 cluster could not be looked at What is right or wrong there is not known. member3 : Not verified, because an earlier step" in page.text
    assert page.text.index("could not be looked at") < page.text.index("NXDOMAIN: there is no ServiceImport.") < page.text.index("Who answers what")
    assert page.text.count("an earlier step failed there") == 1


def test_a_cause_is_told_once_with_all_its_places() -> None:
    cause = "Stale: answered 10.22.4.9."
    page = made(row(), *(wrong(cluster, cause, pod=pod) for cluster in ("member2", "member3") for pod in ("a", "b")))
    assert page.text.count(cause) == 1
    assert f"In member2 (a, b); member3 (a, b) Asked for A {SERVE}" in page.text


def test_the_picture_has_clusters_services_and_lines_between_them() -> None:
    page = made(row(), wrong(), _dns_report.single("member3", "error", "member3: is down."), services=SERVICES)
    titles = [text for tag, text in page.texts if tag == "title"][1:]
    assert titles[: len(titles) // 2] == titles[len(titles) // 2 :], "the two shapes differ"
    assert set(titles) == {
        "member1 → serve: 1",
        "serve → member1: 1 right",
        "serve → member2: 1 not right",
        "member1: exports",
        "serve: nxdomain · default",
        "member1: right",
        "member2: nxdomain",
        "member3: not looked at",
    }
    assert [one["class"] for one in page.of("path") if "line" in (one["class"] or "")][:3] == ["line plain", "line ok", "line bad"]
    assert len(page.boxes("bad")) == 3
    assert [one["class"] for one in page.of("svg")] == ["wide", "narrow"]


def test_the_hosts_of_a_headless_service_tell_who_exports_it() -> None:
    page = made(row("member2", name=f"web-0.member1.{SERVE}"), row("member2", name=f"_http._tcp.{SERVE}", type="SRV"))
    assert "member1 → serve: 1" in [text for _tag, text in page.texts]


def test_each_pod_has_what_it_answers_and_what_it_should() -> None:
    srv = row(name=f"_http._tcp.{SERVE}", type="SRV", answers=[f"0 100 80 {SERVE}."], expected=[f"80 {SERVE}."])
    page = made(row(), srv, row("member2", ok=False, verdict="stale", answers=["10.22.4.9"], cause="Stale."), health())
    assert "coredns-a A 10.22.4.17 SRV _http._tcp 80" in page.text
    assert "member2 coredns-a A 10.22.4.9 instead of 10.22.4.17 ✕ stale" in page.text
    assert "The DNS servers themselves in 1 cluster" in page.text


def test_all_rows_are_in_the_table_the_wrong_ones_first() -> None:
    page = made(row(), _dns_report.single("member1", "unasked", "It is a cache.", pod="DaemonSet a/b", ok=None), wrong())
    assert [one["class"] for one in page.of("tr") if one.get("class")] == ["bad", "unknown", "ok"]
    assert "HTTP" not in [text for tag, text in page.texts if tag == "th"]
    (controls,) = page.of("p", id="filter")
    assert "hidden" in controls, "controls that need the script are there without it"


def test_nothing_that_a_cluster_says_becomes_markup() -> None:
    names = ("cluster", "pod", "node", "service", "name", "type", "rcode", "authority", "error", "verdict", "cause")
    evil = {**wrong(), **dict.fromkeys(names, EVIL), "answers": [EVIL], "expected": [EVIL], "http": [{"url": EVIL, "status": EVIL, "error": EVIL}]}
    services = [{"namespace": EVIL, "name": EVIL, "from_clusters": [EVIL]}, {"namespace": "a", "name": EVIL, "from_clusters": [EVIL]}]
    for found in ([evil], [{**evil, "service": f"a/{EVIL}"}, {**evil, "name": ""}], [{**evil, "type": "SRV"}], [{**evil, "ok": None}]):
        page = made(*found, zone=EVIL, made=EVIL, notes=[EVIL], services=services)
        assert len(page.of("script")) == 1
        assert page.of("img") == []
        assert [name for _tag, attributes in page.elements for name in attributes if name.startswith("on")] == []
        assert "<script>alert('x')</script>" in page.text.replace("<wbr>", "")
        assert not re.search("[\x00-\x08\x0b-\x1f\u202e]", page.text)


def test_it_loads_nothing_and_runs_nothing_but_its_own() -> None:
    text = _dns_page.page([_dns_report.complete(one) for one in (row(), wrong())], services=SERVICES)
    page = Page(text)
    assert not re.search(r"https?:|url\(|@import|<link|<iframe| src=| href=| style=", text)
    (policy,) = [one["content"] or "" for one in page.of("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (content,) = [words for kind, words in page.texts if kind == tag]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy, "the browser would refuse it"


def test_nothing_was_verified() -> None:
    page = made()
    assert "? Nothing was verified" in page.text
    assert page.of("svg") == []


def fleet(clusters: int, services: int, *, broken: t.Container[int] = ()) -> list[dict[str, t.Any]]:
    return [
        row(f"member{number:03}", pod, name=f"s{place}.default.svc.clusterset.local", service=f"default/s{place}", **state)
        for number in range(clusters)
        for place in range(services)
        for pod in ("coredns-7db6d8ff4d-abcde", "coredns-7db6d8ff4d-fghij")
        for state in [{"ok": False, "verdict": "stale", "cause": f"Stale: member{number} is not right."} if number in broken and not place else {}]
    ]


def test_a_large_fleet_stays_readable() -> None:
    text = _dns_page.page([_dns_report.complete(one) for one in fleet(500, 20, broken={7, 300})])
    page = Page(text)
    assert len(text) < 500_000
    assert len(page.boxes("bad")) == 3, "a service and two clusters"
    titles = [words for _tag, words in page.texts]
    assert {"19 services: right", "498 clusters: right", "member007: stale"} <= set(titles)
    assert len(page.of("rect")) == 2 * (5 + 500)
    assert "498 clusters more, where all is right, left out here." in page.text
    assert "Rows that are not right 19996 rows left out here" in page.text
    assert len([one for one in page.of("details") if "open" in one]) == 1


def test_a_large_fleet_in_which_all_is_wrong_is_still_a_page() -> None:
    found = [_dns_report.complete({**one, "ok": False, "verdict": "stale", "cause": f"Stale: {one['cluster']} {one['name']}."}) for one in fleet(500, 20)]
    text = _dns_page.page(found)
    assert len(text) < 3_000_000
    assert "9800 more causes are left out here." in text
    assert "460 clusters more, of which some are not right, left out here." in text
    assert "17000 rows left out here" in text
    assert "488 more clusters: not right" in text
