# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a whole fleet answers: one list of rows, as a table, as JUnit. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

Result = t.Mapping[str, t.Any]
Row = dict[str, t.Any]

# From here on the server itself says that it failed; below, the service was reached whatever it thinks of the URL.
_SERVER_ERROR = 500


def rows(
    dns: t.Mapping[str, Result],
    http: t.Mapping[str, Result] | None = None,
    failed: t.Collection[str] = (),
    skip_unserved: bool = False,
) -> list[Row]:
    """One row per cluster, pod and question, and one for each cluster about which nothing is known.

    :arg dns: per host what ``dns_verify_info`` returned; one that failed has ``msg`` instead of ``results``, and an
        empty one says that it did not run.
    :arg http: per host what ``http_query_info`` returned, in the same way.
    :arg failed: hosts that are out of the play. One of them without a result makes a row; others without are left out.
    :arg skip_unserved: leave it at one row, verdict ``skipped``, for a cluster of which no pod serves the zone.
    :returns: the rows of ``dns_verify_info`` plus ``http_status`` (of the service's URLs the first that is not right,
        else the first; None where none was tried) and ``http``, a list of what ``http_query_info`` returned for them.
        A row whose URL is not reached is not ``ok``; its verdict is ``http`` unless DNS is to blame.
    """
    found: list[Row] = []
    for host, result in dns.items():
        if "results" not in result:
            if result.get("msg") or host in failed:
                cause = result.get("msg") or "Not verified: an earlier task of the play failed on this host."
                found.append(_single(host, "error", str(cause)))
        elif skip_unserved and not result["served"]:
            why = "No pod serves the zone yet, so there is nothing to verify."
            found.append({**_single(result["results"][0]["cluster"], "skipped", why), "ok": None})
        else:
            tried = _http_by_service(result["urls"], (http or {}).get(host, {}))
            found += [_with_http(row, tried.get(row["service"], [])) for row in result["results"]]
    return found


def _single(cluster: str, verdict: str, cause: str) -> Row:
    nothing: Row = {"pod": "", "node": "", "name": "", "type": "", "rcode": "", "flags": [], "answers": [], "ttl": None}
    nothing |= {"authority": "", "time_ms": None, "error": "", "service": "", "expected": None}
    return {
        "cluster": cluster,
        **nothing,
        "ok": False,
        "verdict": verdict,
        "cause": cause,
        "http_status": None,
        "http": [],
    }


def _http_by_service(urls: t.Iterable[t.Mapping[str, str]], result: Result) -> dict[str, list[Row]]:
    """What was tried of each service. Where the try itself failed, each URL gets its message."""
    given = {one["url"]: one for one in result.get("results", [])}
    if result.get("msg") and not given and "results" not in result:
        given = {one["url"]: {"url": one["url"], "status": None, "body": "", "error": result["msg"]} for one in urls}
    by_service: dict[str, list[Row]] = {}
    for one in urls:
        if one["url"] in given:
            by_service.setdefault(one["service"], []).append(given[one["url"]])
    return by_service


def _with_http(row: Row, tried: list[Row]) -> Row:
    if row["type"] not in ("A", "AAAA") or not tried:
        return {**row, "http_status": None, "http": []}
    wrong = [one for one in tried if one["error"] or one["status"] >= _SERVER_ERROR]
    joined = {**row, "http_status": (wrong or tried)[0]["status"], "http": tried}
    if wrong and row["ok"]:
        cause = " ".join(f"{one['url']}: {one['error'] or 'HTTP ' + str(one['status'])}" for one in wrong)
        joined |= {
            "ok": False,
            "verdict": "http",
            "cause": f"The name is right, but HTTP does not get through: {cause}",
        }
    return joined


def table(found: t.Sequence[Row]) -> list[str]:
    """The rows as lines of text in columns, the causes of what is wrong below them, and a last line that sums up."""
    header = ("CLUSTER", "POD", "NAME", "TYPE", "ANSWER", "EXPECTED", "HTTP", "VERDICT")
    cells = [header, *(_cells(row) for row in found)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    return [*lines, *_causes(found), summary(found)]


def _cells(row: Row) -> tuple[str, ...]:
    expected = "any" if row["expected"] is None else ", ".join(row["expected"])
    tried = [str(one["status"] or "none") for one in row["http"]]
    return (
        row["cluster"],
        row["pod"] or "-",
        row["name"] or "-",
        row["type"] or "-",
        _answer(row) or "-",
        (expected if row["name"] else "") or "-",
        ", ".join(tried) or "-",
        row["verdict"],
    )


def _answer(row: Row) -> str:
    answers = row["answers"]
    if row["type"] == "SRV":
        answers = [" ".join(one.split()[2:]) for one in answers]
    return ", ".join(answers) or ("NODATA" if row["rcode"] == "NOERROR" else row["rcode"])


def _causes(found: t.Iterable[Row]) -> list[str]:
    """Each cause once per cluster, with the pods that it is about."""
    pods: dict[tuple[str, str], list[str]] = {}
    for row in found:
        if row["cause"]:
            pods.setdefault((row["cluster"], row["cause"]), []).append(row["pod"])
    return [
        ": ".join(filter(None, (cluster, ", ".join(dict.fromkeys(names)), cause.removeprefix(f"{cluster}: "))))
        for (cluster, cause), names in pods.items()
    ]


def summary(found: t.Sequence[Row]) -> str:
    """One line: how many answers of how many pods and clusters, and where they are wrong."""
    asked = [row for row in found if row["name"]]
    pods = len({(row["cluster"], row["pod"]) for row in asked})
    clusters = len({row["cluster"] for row in found})
    total = f"{_count(len(asked), 'answer')} of {_count(pods, 'CoreDNS pod')} in {_count(clusters, 'cluster')}"
    wrong = [row for row in found if row["ok"] is False]
    if not wrong:
        skipped = [row["cluster"] for row in found if row["ok"] is None]
        return f"{total}: all right" + (f"; not verified: {', '.join(skipped)}." if skipped else ".")
    return f"{total}: {len(wrong)} not right, in {', '.join(dict.fromkeys(row['cluster'] for row in wrong))}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def junit(found: t.Sequence[Row]) -> str:
    """The rows as a JUnit file: a suite per cluster, a case per row."""
    suites: dict[str, list[Row]] = {}
    for row in found:
        suites.setdefault(row["cluster"], []).append(row)
    root = ET.Element("testsuites", name="clusterset.dns", **_counts(found))
    for cluster, cases in suites.items():
        suite = ET.SubElement(root, "testsuite", name=cluster, **_counts(cases))
        for row in cases:
            name = f"{row['type']} {row['name']}" if row["name"] else "verification"
            case = ET.SubElement(
                suite, "testcase", classname=f"{cluster}.{row['pod'] or 'cluster'}", name=name, time=_seconds(row)
            )
            if row["ok"] is None:
                ET.SubElement(case, "skipped", message=row["cause"])
            elif not row["ok"]:
                failure = ET.SubElement(case, "failure", type=row["verdict"], message=row["cause"])
                failure.text = f"answer: {_answer(row)}\nexpected: {', '.join(row['expected'] or ['any'])}"
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _counts(found: t.Sequence[Row]) -> dict[str, str]:
    return {
        "tests": str(len(found)),
        "failures": str(sum(row["ok"] is False for row in found)),
        "skipped": str(sum(row["ok"] is None for row in found)),
        "time": f"{sum(row['time_ms'] or 0 for row in found) / 1000:.3f}",
    }


def _seconds(row: Row) -> str:
    return f"{(row['time_ms'] or 0) / 1000:.4f}"
