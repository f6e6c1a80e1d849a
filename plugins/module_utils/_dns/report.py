# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a whole fleet answers: its rows, as a table, in one line, as JUnit. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t
import xml.etree.ElementTree as ET

Row = dict[str, t.Any]

# From here on the server itself says that it failed; below, the service was reached whatever it thinks of the URL.
_SERVER_ERROR = 500
# A table of more rows than these shows those that are not right; nobody reads the others.
_LONGEST = 500


def single(cluster: str, verdict: str, cause: str, *, pod: str = "", ok: bool | None = False) -> Row:
    """A row about a cluster or one of its servers that answers nothing. ``ok`` is None where that is neither right nor wrong."""
    nothing: Row = {"pod": pod, "node": "", "name": "", "type": "", "rcode": "", "flags": [], "answers": [], "ttl": None}
    nothing |= {"authority": "", "time_ms": None, "error": "", "service": "", "expected": None}
    return complete({"cluster": cluster, **nothing, "ok": ok, "verdict": verdict, "cause": cause})


def complete(row: Row) -> Row:
    """The row with what HTTP gave, which is nothing unless it was tried."""
    return {"http_status": None, "http": [], **row}


def with_http(rows: t.Iterable[Row], urls: t.Iterable[t.Mapping[str, str]], tried: t.Iterable[Row]) -> list[Row]:
    """The rows, those of addresses with what was tried of their service.

    :arg urls: ``{service, url}``; :arg tried: what ``http_query`` found of them.
    :returns: the rows plus ``http_status`` (of the service's URLs the first that is not right, else the first) and ``http``, a list of what
        was found. A row whose URL is not reached is not ``ok``; its verdict is ``http`` unless DNS is to blame.
    """
    given = {one["url"]: one for one in tried}
    by_service: dict[str, list[Row]] = {}
    for one in urls:
        if one["url"] in given:
            by_service.setdefault(one["service"], []).append(given[one["url"]])
    return [_with_http(row, by_service.get(row["service"], [])) for row in rows]


def _with_http(row: Row, tried: list[Row]) -> Row:
    if row["type"] not in ("A", "AAAA") or not tried:
        return row
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


def counts(found: t.Sequence[Row]) -> dict[str, dict[str, int]]:
    """Of members, servers (pods) and questions: how many should have been asked, and how many were and answered."""
    named, answered = [row for row in found if row["name"]], [row for row in found if row["rcode"]]
    return {
        "members": {"expected": len({row["cluster"] for row in found}), "asked": len({row["cluster"] for row in answered})},
        "pods": {
            "expected": len({(row["cluster"], row["pod"]) for row in found if row["pod"]}),
            "asked": len({(row["cluster"], row["pod"]) for row in answered}),
        },
        "questions": {"expected": len(named), "asked": len(answered)},
    }


def table(found: t.Sequence[Row]) -> list[str]:
    """The rows as lines of text in columns, the causes of what is wrong below them, and a last line that sums up."""
    header = ("CLUSTER", "POD", "NAME", "TYPE", "ANSWER", "EXPECTED", "HTTP", "VERDICT")
    shown = found if len(found) <= _LONGEST else [row for row in found if not row["ok"]]
    cells = [header, *(_cells(row) for row in shown)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
    if len(shown) < len(found):
        lines.append(f"{_count(len(found) - len(shown), 'right answer')} left out here.")
    return [*lines, *_causes(found), summary(found)]


def _cells(row: Row) -> tuple[str, ...]:
    expected = "any" if row["expected"] is None else ", ".join(row["expected"]) or "none"
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
    """One line: how many answers of how many pods and clusters, and where they are wrong.

    It says "all right" only where everything that should have been asked was asked, and is right.
    """
    if not found:
        return "Nothing was verified."
    number = counts(found)
    words = (("questions", "answer"), ("pods", "CoreDNS pod"), ("members", "cluster"))
    answers, pods, clusters = (_of(number[key]["asked"], number[key]["expected"], noun) for key, noun in words)
    total = f"{answers} of {pods} in {clusters}"
    wrong = [row for row in found if row["ok"] is False]
    if wrong:
        return f"{total}: {len(wrong)} not right, in {', '.join(dict.fromkeys(row['cluster'] for row in wrong))}."
    left = dict.fromkeys(f"{row['cluster']} {row['pod']}".strip() for row in found if row["ok"] is None)
    return f"{total}: what was asked is right; not asked: {', '.join(left)}." if left else f"{total}: all right."


def _of(asked: int, expected: int, noun: str) -> str:
    return _count(asked, noun) if asked == expected else f"{asked} of {_count(expected, noun)}"


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
