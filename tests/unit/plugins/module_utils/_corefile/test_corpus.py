# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Every Corefile of the corpus, in every placement and mode, with every kind of line end."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import edit, how_served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.tests.unit.plugins.module_utils._corefile.corefile_corpus import (
    CASES,
    FOLDER,
    VARIANTS,
    ZONE,
    Case,
    variant,
)

pytestmark = pytest.mark.once

FORWARD = {"mode": "forward", "forward_to": ["192.0.2.153", "[2001:db8::53]:5353"], "header": True}
MODES = {"as the index says": {}, "plugin": {"mode": "plugin", "forward_to": []}, "forward": FORWARD}
EDITED = [
    pytest.param(case, placement, id=f"{case.name}-{placement}")
    for case in CASES
    for placement in ("separate", "inline")
    if getattr(case, placement) == "edited"
]


def test_the_corpus_is_whole() -> None:
    """Each file is in the index, and there are enough of them in each of the ways that an edit can end."""
    named = {case.name for case in CASES} | {f"{case.name}.base" for case in CASES if case.base != case.text}
    assert {path.name.removesuffix(".Corefile") for path in FOLDER.glob("*.Corefile")} == named
    assert len(CASES) >= 160
    ends = [getattr(case, placement) for case in CASES for placement in ("separate", "inline")]
    assert ends.count("edited") >= 180
    assert ends.count("adopted") >= 14
    assert len({end for end in ends if end not in ("edited", "adopted")}) >= 50


@pytest.mark.parametrize("placement", ["separate", "inline"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_ends_as_the_index_says(case: Case, placement: str) -> None:
    expected = getattr(case, placement)
    try:
        result = edit(case.text, case.edit(placement=placement), **case.seen)
    except CorefileError as error:
        assert str(error) == expected  # noqa: PT017
        return
    assert expected == ("adopted" if result.adopted else "edited")
    assert result.changed is not result.adopted
    assert result.changed is (result.text != case.text)


@pytest.mark.parametrize(("case", "placement"), EDITED)
def test_present_twice_and_absent(case: Case, placement: str) -> None:
    for how, mode in itertools.product(VARIANTS, MODES):
        said = f"{how}, mode {mode}"
        text, base = variant(case.text, how), variant(case.base, how)
        if how == "no final newline" and base != text and case.text.startswith(case.base):
            base = case.base  # what is taken away was the end of the file
        want = case.edit(placement=placement, **({} if case.options.get("adopt") else MODES[mode]))
        if case.plugin and want.mode == "plugin":
            with pytest.raises(CorefileError) as refused:
                edit(text, want, **case.seen)
            assert str(refused.value) == case.plugin, said
            continue
        present = edit(text, want, **case.seen)
        assert present.changed, said

        served = how_served(parse(present.text, **case.seen), ZONE, cluster_domain=want.cluster_domain)
        assert served is not None, said
        assert (served["mode"], served["placement"], served["ours"]) == (want.mode, placement, True), said

        again = edit(present.text, want, **case.seen)
        assert (again.changed, again.text) == (False, present.text), said

        absent = edit(present.text, case.edit(state="absent", adopt=False), **case.seen)
        assert absent.changed, said
        assert absent.text == base, said
        assert edit(absent.text, case.edit(state="absent", adopt=False), **case.seen).changed is False, said


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.separate == case.inline == "edited" and not case.options and not case.plugin], ids=lambda case: case.name
)
def test_changing_the_settings_forgets_the_old_ones(case: Case) -> None:
    """Whatever was there before us, the text depends on the last settings alone."""
    text = case.text
    for options in (
        {"placement": "inline"},
        {"placement": "separate", "ttl": 1, "cache": 5},
        {"placement": "inline", "mode": "plugin", "header": True},
        {"placement": "separate", **FORWARD},
        {"placement": "inline", "mode": "forward", "forward_to": ["192.0.2.153"]},
    ):
        if "header" in options and any(
            directive.name == "header" for block in parse(case.base, **case.seen).blocks for directive in block.directives
        ):
            continue
        text = edit(text, case.edit(**options), **case.seen).text
        assert text == edit(case.base, case.edit(**options), **case.seen).text
    assert edit(text, case.edit(state="absent"), **case.seen).text == case.base


@pytest.mark.parametrize("case", [case for case in CASES if "adopted" in (case.separate, case.inline)], ids=lambda case: case.name)
def test_what_was_made_by_hand_survives_absent(case: Case) -> None:
    result = edit(case.text, case.edit(state="absent"), **case.seen)
    assert (result.text, result.changed, result.adopted) == (case.text, False, True)
    assert "still served" in result.notes[0]
