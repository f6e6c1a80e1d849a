# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a whole fleet answers: its rows, as a table, in one line, as JUnit. Pure: no client, no clock, no file."""

from __future__ import annotations

import itertools
import re
import textwrap
import typing as t
import xml.etree.ElementTree as ET

Row = dict[str, t.Any]

# From here on the server itself says that it failed; below, the service was reached whatever it thinks of the URL.
_SERVER_ERROR = 500
# A table of more rows than these shows those that are not right; nobody reads the others.
_LONGEST = 500
# What XML 1.0 does not allow, such as the colours of a log.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# No column of it gets narrower.
_NARROWEST = 12


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


def table(found: t.Sequence[Row], width: int = 100) -> list[str]:
    """The rows as lines of text in columns, the causes of what is wrong below them, and a last line that sums up.

    Pods of a cluster that answer alike are one block. What does not fit into ``width`` characters goes on in the next line,
    but for the last one.
    """
    tried = any(row["http"] for row in found)
    header = ("NAME", "TYPE", "ANSWER", "EXPECTED", *(["HTTP"] if tried else []), "VERDICT")
    shown = found if len(found) <= _LONGEST else [row for row in found if not row["ok"]]
    of_pod: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for row in shown:
        of_pod.setdefault((row["cluster"], row["pod"]), []).append(_cells(row, tried))
    alike: dict[tuple[str, tuple[tuple[str, ...], ...]], list[str]] = {}
    for (cluster, pod), cells in of_pod.items():
        alike.setdefault((cluster, tuple(cells)), []).append(pod)
    widths = _fitting([header, *(line for _cluster, cells in alike for line in cells)], width - 2)
    lines = _columns(header, widths) if shown else []
    for (cluster, cells), pods in alike.items():
        lines += _filled(_where(cluster, pods), width, "", "    ")
        lines += [line for one in cells for line in _columns(one, widths)]
    if len(shown) < len(found):
        lines.append(f"{count(len(found) - len(shown), 'right answer')} left out here.")
    causes = _causes(found, width)
    return [*lines, *(["", *causes] if causes else []), "", summary(found)]


def _cells(row: Row, tried: bool) -> tuple[str, ...]:
    status = [", ".join(str(one["status"] or "none") for one in row["http"])] if tried else []
    wanted = expected(row, brief=True) if row["name"] else ""
    return tuple(cell or "-" for cell in (row["name"], row["type"], answer(row, brief=True), wanted, *status, row["verdict"]))


def _fitting(cells: t.Sequence[tuple[str, ...]], width: int) -> list[int]:
    """How wide each column is: as its longest cell, or where that is too much the widest ones less."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _columns(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    wrapped = [_wrapped(cell, width) for cell, width in zip(cells, widths, strict=True)]
    lines = itertools.zip_longest(*wrapped, fillvalue="")
    return ["  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _wrapped(text: str, width: int) -> list[str]:
    """A cell in lines, cut after a dot or the like where there is one."""
    lines = []
    while len(text) > width:
        cut = max(text.rfind(mark, 0, width) for mark in ".,-/ ") + 1 or width
        lines.append(text[:cut].rstrip())
        text = text[cut:]
    return [*lines, text]


def _filled(text: str, width: int, indent: str = "", later: str = "") -> list[str]:
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=later or indent, break_long_words=False, break_on_hyphens=False)


def _where(cluster: str, pods: t.Iterable[str]) -> str:
    return ": ".join(filter(None, (cluster, ", ".join(filter(None, dict.fromkeys(pods))))))


def answer(row: Row, *, brief: bool = False) -> str:
    """What came back. Brief, an SRV record leaves out of its target what is the service's own name."""
    answers = row["answers"]
    if row["type"] == "SRV":
        answers = sorted(_srv(row, " ".join(one.split()[2:]), brief) for one in answers)
    return ", ".join(answers) or ("NODATA" if row["rcode"] == "NOERROR" else row["rcode"])


def expected(row: Row, *, brief: bool = False) -> str:
    """What should have come back, in the form of :func:`answer`."""
    if row["expected"] is None:
        return "any"
    wanted = [_srv(row, one, brief) for one in row["expected"]] if row["type"] == "SRV" else row["expected"]
    return ", ".join(wanted) or "none"


def _srv(row: Row, text: str, brief: bool) -> str:
    if not brief:
        return text
    port, _space, target = text.partition(" ")
    service = row["name"].rstrip(".").split(".", 2)[-1]
    return f"{port} {target.rstrip('.').removesuffix(service).rstrip('.')}".rstrip()


def _causes(found: t.Iterable[Row], width: int) -> list[str]:
    """Each cause once per cluster, below the pods that it is about."""
    pods: dict[tuple[str, str], list[str]] = {}
    for row in found:
        if row["cause"]:
            pods.setdefault((row["cluster"], row["cause"]), []).append(row["pod"])
    return [
        line
        for (cluster, cause), names in pods.items()
        for line in (*_filled(_where(cluster, names), width, "", "    "), *_filled(cause.removeprefix(f"{cluster}: "), width, "    "))
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
    return count(asked, noun) if asked == expected else f"{asked} of {count(expected, noun)}"


def count(number: int, noun: str) -> str:
    """A number with its noun."""
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
                failure.text = f"answer: {answer(row)}\nexpected: {', '.join(row['expected'] or ['any'])}"
    ET.indent(root)
    for element in root.iter():
        element.attrib.update({key: _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value) for key, value in element.attrib.items()})
        element.text = element.text and _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", element.text)
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
