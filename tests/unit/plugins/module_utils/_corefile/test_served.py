# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Which zones a Corefile serves for multicluster, and what happens where the comments around our lines are lost."""

from __future__ import annotations

import itertools
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit, edit, how_served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import describe, parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import Served, multicluster_zones
from ansible_collections.clusterset.dns.tests.unit.plugins.module_utils._corefile.corefile_corpus import CASES, ZONE

MAIN = """\
.:53 {
    log
    kubernetes cluster.local in-addr.arpa {
        pods insecure
    }
    prometheus :9153
    forward . /etc/resolv.conf
}
"""
FORWARD: dict[str, t.Any] = {"mode": "forward", "forward_to": ("10.96.9.9",)}
SEPARATE = [
    {"mode": mode, "header": header, "cache": cache, "errors": errors, "prometheus": prometheus}
    for mode, header, cache, errors, prometheus in itertools.product(
        ["builtin", "plugin"], [None, False], [0, 5], [True, False], ["auto", "off", ":9253"]
    )
] + [{"ttl": 0}, {"port": 53}]
TELLING_NOTHING: list[dict[str, t.Any]] = [
    FORWARD,
    {**FORWARD, "cache": 5, "header": True},
    {"placement": "inline"},
    {"placement": "inline", "mode": "plugin", "fallthrough": True},
    {"placement": "inline", **FORWARD},
]


def rendered(text: str) -> str:
    """A Corefile parsed and written anew, as tools do that keep no comments."""
    lines = []
    for block in describe(parse(text)):
        lines.append(f"{' '.join(block['zones'])} {{")
        for plugin in block["plugins"]:
            opening = " {" if plugin["options"] else ""
            lines.append("  " + " ".join([plugin["name"], *plugin["args"]]) + opening)
            lines += ["      " + " ".join(option) for option in plugin["options"]] + (["  }"] if opening else [])
        lines.append("}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("options", SEPARATE, ids=str)
def test_lines_without_their_marks_are_known(options: dict[str, t.Any]) -> None:
    text = rendered(edit(MAIN, Edit(zone=ZONE, **options)).text)
    assert "#" not in text
    assert [one.ours for one in multicluster_zones(parse(text))] == [True]
    absent = edit(text, Edit(zone=ZONE, state="absent"))
    assert (absent.text, absent.served_after, absent.adopted, absent.notes) == (rendered(MAIN), None, False, ())


@pytest.mark.parametrize("options", SEPARATE, ids=str)
def test_lines_that_are_right_stay_without_their_marks(options: dict[str, t.Any]) -> None:
    text = rendered(edit(MAIN, Edit(zone=ZONE, **options)).text)
    present = edit(text, Edit(zone=ZONE, **options))
    assert (present.text, present.changed, present.adopted) == (text, False, False)
    (served,) = multicluster_zones(parse(text))
    assert f"The comments around the lines for {ZONE} (line {served.line}) are lost" in present.notes[-1]
    other = edit(text, Edit(zone=ZONE, **{**options, "port": 1053}))
    assert other.text == edit(rendered(MAIN), Edit(zone=ZONE, **{**options, "port": 1053})).text
    assert edit(other.text, Edit(zone=ZONE, state="absent")).text == rendered(MAIN)


@pytest.mark.parametrize("options", TELLING_NOTHING, ids=str)
def test_what_anyone_would_write_is_ours_where_the_original_shows_it(options: dict[str, t.Any]) -> None:
    """These lines are what CoreDNS's manual shows for a zone, or what another product's operator writes."""
    text = rendered(edit(MAIN, Edit(zone=ZONE, **options)).text)
    left = edit(text, Edit(zone=ZONE, state="absent"))
    mode = options.get("mode", "builtin")
    assert (left.text, left.adopted) == (text, True)
    assert left.served_after is not None
    assert left.served_after[:3] == (ZONE, mode, options.get("placement", "separate"))
    assert left.served_after.ours is False
    assert "is still served by the plugin" in left.notes[0]
    assert f"(line {left.served_after.line})" in left.notes[0]
    assert edit(text, Edit(zone=ZONE, state="absent"), original=rendered(left.text)) == left, "the zone was served before us"

    gone = edit(text, Edit(zone=ZONE, state="absent"), original=MAIN)
    assert (gone.text, gone.served_after) == (rendered(MAIN), None)
    stays = edit(text, Edit(zone=ZONE, **options), original=MAIN)
    assert (stays.changed, stays.adopted) == (False, False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("loadbalance", "loadbalance round_robin"),
        ("    loadbalance\n", ""),
        ("response set ra", "response set aa"),
        (f"multicluster {ZONE}\n", f"multicluster {ZONE}\n        pods insecure\n"),
        (f"multicluster {ZONE}\n", f"ttl 5\n        multicluster {ZONE}\n"),
        (f"{ZONE}:53 {{", f"{ZONE}:53 other.example {{"),
        ("    header", "    hosts\n    header"),
        (f"    kubernetes {ZONE} {{", f"    kubernetes {ZONE} cluster.test {{"),
    ],
)
def test_lines_that_differ_are_not_ours(old: str, new: str) -> None:
    block = edit(MAIN, Edit(zone=ZONE)).text.removesuffix(MAIN)
    assert old in block
    text = "".join(line for line in block.replace(old, new).splitlines(keepends=True) if "#" not in line) + MAIN
    result = edit(text, Edit(zone=ZONE, state="absent"))
    assert result.text == text
    assert result.served_after is not None
    assert (result.served_after.mode, result.served_after.ours) == ("builtin", False)


def test_where_marks_are_left_what_has_none_is_not_ours() -> None:
    """Whatever drops comments drops them all."""
    one = rendered(edit(MAIN, Edit(zone="one.example")).text)
    both = edit(one, Edit(zone=ZONE)).text
    assert {served.zone: served.ours for served in multicluster_zones(parse(both))} == {ZONE: True, "one.example": False}
    assert edit(both, Edit(zone="one.example", state="absent")).text == both
    marked = edit(MAIN, Edit(zone=ZONE)).text
    twice = rendered(marked.removesuffix(MAIN)).replace(":53", ":54") + marked
    assert edit(twice, Edit(zone=ZONE, state="absent", port=54)).text.startswith(f"{ZONE}:54 {{")


def test_a_block_that_was_moved_stays_where_it_is() -> None:
    block = rendered(edit(MAIN, Edit(zone=ZONE)).text.removesuffix(MAIN))
    moved = MAIN + block + "other.example {\n    whoami\n}\n"
    assert edit(moved, Edit(zone=ZONE, prometheus=":9153")).changed is False
    assert edit(moved, Edit(zone=ZONE, ttl=1)).text.startswith(MAIN + "# clusterset.dns: begin")


def test_what_is_served_after() -> None:
    want = Edit(zone=ZONE)
    present = edit(MAIN, want)
    assert present.served_after == Served(ZONE, "builtin", "separate", 10, True)
    assert edit(present.text, Edit(zone=ZONE, state="absent")).served_after is None
    elsewhere = MAIN + f"{ZONE}:5353 {{\n    multicluster\n}}\n"
    assert edit(elsewhere, Edit(zone=ZONE, state="absent")).served_after == Served(ZONE, "plugin", "separate", 10, False)
    stub = edit(MAIN + f"{ZONE} {{\n    file /zone\n}}\n", Edit(zone=ZONE, state="absent"))
    assert stub.served_after == Served(ZONE, "", "separate", 9, False)
    assert "a server block of its own with file (line 9)" in stub.notes[0]


def test_all_zones_for_multicluster() -> None:
    text = edit(MAIN, Edit(zone="one.example")).text
    text = edit(text, Edit(zone="two.example", **FORWARD)).text
    text = edit(text, Edit(zone="three.example", mode="plugin", placement="inline")).text
    text += "ClusterSet.Local:5353 supercluster.local {\n    multicluster\n}\nstub.example {\n    forward . 192.0.2.1\n}\n"
    text += "x.example {\n    kubernetes x.example y.example {\n        multicluster y.example\n    }\n}\n"
    assert [(one.zone, one.mode, one.placement, one.ours) for one in multicluster_zones(parse(text))] == [
        ("two.example", "forward", "separate", True),
        ("one.example", "builtin", "separate", True),
        ("three.example", "plugin", "inline", True),
        ("clusterset.local", "plugin", "separate", False),
        ("supercluster.local", "plugin", "separate", False),
        ("y.example", "builtin", "inline", False),
    ]
    assert [one.line for one in multicluster_zones(parse(MAIN + f"{ZONE} {{\n    multicluster\n}}\n"))] == [10]
    assert multicluster_zones(parse(MAIN)) == []


@pytest.mark.parametrize("case", [case for case in CASES if "adopted" in (case.separate, case.inline)], ids=lambda case: case.name)
def test_nothing_that_was_made_by_hand_is_taken_for_ours(case: t.Any) -> None:
    corefile = parse(case.text, **case.seen)
    served = how_served(corefile, ZONE)
    assert served is not None
    assert served["ours"] is False
    assert not any(one.ours for one in multicluster_zones(corefile))


@pytest.mark.parametrize(
    ("text", "needs"),
    [("import custom/*.server\n", "imports"), ("{$STUB} {\n    whoami\n}\n", "env"), ("}\n", None), (f"{ZONE} {{\n}}\n", None)],
)
def test_an_error_says_what_it_needs(text: str, needs: str | None) -> None:
    with pytest.raises(CorefileError) as refused:
        edit(MAIN + text, Edit(zone=ZONE))
    assert refused.value.needs == needs
