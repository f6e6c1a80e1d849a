# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""When a pod counts as one that has taken the new Corefile."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.modules.coredns_reload import _judged

BEFORE = {"p": {"pod": "p", "hash": "old", "failed": 1}}


def pod(**fields: t.Any) -> dict[str, t.Any]:
    return {"pod": "p", "hash": "old", "failed": 1, **fields}


@pytest.mark.parametrize(("found", "current"), [("new", True), ("old", False), ("", False)])
def test_by_the_hash_that_is_known(found: str, current: bool) -> None:
    assert _judged(pod(hash=found), "new", {}, 0.0)["current"] is current


@pytest.mark.parametrize(
    ("seen", "elapsed", "current"),
    [
        (pod(), 10.0, False),
        (pod(hash="new"), 10.0, True),
        (pod(), 100.0, True),
        (pod(hash="new", failed=2), 10.0, False),
        (pod(failed=2), 100.0, False),
        (pod(pod="another"), 100.0, False),
    ],
)
def test_without_one_by_what_it_said_at_first(seen: dict[str, t.Any], elapsed: float, current: bool) -> None:
    assert _judged(seen, None, BEFORE, elapsed)["current"] is current
