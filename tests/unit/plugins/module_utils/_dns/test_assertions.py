# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import sys
import typing as t

import pytest

pytest.importorskip("jmespath")

from ansible_collections.clusterset.dns.plugins.module_utils._dns.assertions import refuted

REPORT: dict[str, t.Any] = {
    "ok": False,
    "counts": {"members": {"expected": 2, "asked": 2}},
    "rows": [{"cluster": "member1", "verdict": "ok"}, {"cluster": "member2", "verdict": "stale"}],
}


def test_what_is_true_is_not_refuted() -> None:
    of_one = "length(answers[?cluster=='member1' && verdict!='ok']) == `0`"
    holds = ["length(answers[?verdict!='ok']) == `1`", "counts.members.asked >= `2`", "rows == answers", of_one]
    assert refuted(REPORT, holds) == []


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("length(answers[?verdict!='ok']) == `0`", "length(answers[?verdict!='ok']) == `0` gave false, not true."),
        ("answers[?verdict!='ok'].cluster", 'answers[?verdict!=\'ok\'].cluster gave ["member2"], not true.'),
        ("counts.members.asked", "counts.members.asked gave 2, not true."),
        ("nothing.of.the.kind", "nothing.of.the.kind gave null, not true."),
        ("length(", "'length(' is no JMESPath: Invalid jmespath expression: Incomplete expression."),
        ("", "'' is no JMESPath: Invalid JMESPath expression: cannot be empty."),
        ("none(rows) == `1`", "none(rows) == `1` cannot be worked out: Unknown function: none()."),
        ("length(nothing) == `0`", "length(nothing) == `0` cannot be worked out: In function length(), invalid type for value: None"),
    ],
)
def test_what_is_not_true_is_named_with_what_it_gave(expression: str, says: str) -> None:
    (sentence,) = refuted(REPORT, ["ok == `false`", expression])
    assert sentence.startswith(says)


def test_what_an_expression_gave_is_cut_where_it_is_long() -> None:
    (sentence,) = refuted({"rows": ["x" * 1000]}, ["rows[0]"])
    assert (len(sentence) < 400, sentence.endswith("…, not true.")) == (True, True)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jmespath", None)
    assert refuted(REPORT, ["ok"]) == [
        "The Python library jmespath is not there, so that 1 expression was not tried. Install it where ansible-playbook runs."
    ]
    assert refuted(REPORT, []) == []
