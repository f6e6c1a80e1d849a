# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The one wait."""

from __future__ import annotations

import types

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept; the clock goes by nothing else."""
    made: list[float] = []
    monkeypatch.setattr(waiting, "time", types.SimpleNamespace(monotonic=lambda: 100.0 + sum(made), sleep=made.append))
    return made


def test_it_looks_until_it_is_good(slept: list[float]) -> None:
    seen = iter(["", "", "there"])
    assert Waiter(10, 2).until(lambda: next(seen)) == ("there", True)
    assert slept == [2, 2]


def test_it_gives_what_it_saw_last_when_the_time_is_up(slept: list[float]) -> None:
    seen = iter(range(100))
    assert Waiter(5, 2).until(lambda: next(seen), lambda found: found > 50) == (3, False)
    # the last look is at the very end
    assert slept == [2, 2, 1]


def test_without_time_it_looks_once(slept: list[float]) -> None:
    assert Waiter(0).until(lambda: 0) == (0, False)
    assert Waiter(-1).until(lambda: 1) == (1, True)
    assert slept == []


def test_seconds_that_are_not_to_count_do_not(slept: list[float]) -> None:
    waiter = Waiter(3, 2)
    assert waiter.pause()
    assert waiter.pause()
    assert (waiter.over, waiter.elapsed) == (True, 3)
    assert not waiter.pause()
    waiter.extend(1.5)
    assert not waiter.over
    assert waiter.pause()
    assert not waiter.pause()
    assert slept == [2, 1, 1.5]
