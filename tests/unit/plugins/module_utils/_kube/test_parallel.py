# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.plugins.module_utils._kube.worker import worker


def soon(seconds: float = 10) -> float:
    return time.monotonic() + seconds


def test_results_and_errors_come_in_the_order_of_the_jobs() -> None:
    def fails() -> str:
        raise ApiError("b", "b: down")

    found = each({"a": lambda: "A", "b": fails, "c": lambda: "C"}, parallel=2, deadline=soon())
    assert [str(one) for one in found.values()] == ["A", "b: down", "C"]


def test_no_more_run_at_once_than_may() -> None:
    running, most = threading.Semaphore(3), []

    def job() -> None:
        most.append(running.acquire(blocking=False))
        time.sleep(0.01)
        running.release()

    each({str(number): job for number in range(30)}, parallel=3, deadline=soon())
    assert most == [True] * 30


def test_the_deadline_is_kept_whatever_hangs() -> None:
    """Once for all of them, and not a second later for each."""
    began = time.monotonic()
    found = each({str(number): lambda: time.sleep(60) for number in range(16)}, parallel=8, deadline=soon(0.2))
    assert time.monotonic() - began < 1.7
    assert [str(one) for one in found.values()] == [
        f"{number}: not done within the deadline. Set a longer one, or see why the member is slow." for number in range(16)
    ]


def test_a_job_that_ends_with_the_deadline_is_heard() -> None:
    def job() -> str:
        time.sleep(0.4)
        return "what was got to"

    assert each({"a": job}, parallel=1, deadline=soon(0.2)) == {"a": "what was got to"}


def test_something_odd_in_one_member_is_its_own_failure() -> None:
    def odd() -> t.NoReturn:
        raise ZeroDivisionError("division by zero")

    found = each({"a": lambda: 1, "b": odd}, parallel=2, deadline=soon())
    assert found["a"] == 1
    assert str(found["b"]) == "b: could not be looked at: ZeroDivisionError: division by zero."


def test_who_is_away_leaves_the_place_to_another() -> None:
    other = threading.Event()

    def waits() -> bool:
        with worker.away():
            return other.wait(5)

    assert each({"a": waits, "b": other.set}, parallel=1, deadline=soon()) == {"a": True, "b": None}


def test_what_a_job_used_is_closed_when_it_is_done() -> None:
    closed: list[str] = []

    class One:
        def close(self) -> None:
            closed.append(threading.current_thread().name)

    def job() -> str:
        worker.uses(one)
        worker.uses(one)
        return threading.current_thread().name

    one = One()
    name = each({"a": job}, parallel=1, deadline=soon())["a"]
    assert closed == [name]
    worker.uses(one)
    assert closed == [name]
