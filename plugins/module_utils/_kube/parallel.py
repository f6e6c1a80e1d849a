# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The same job for many member clusters at once, within one deadline."""

from __future__ import annotations

import threading
import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.worker import worker

T = t.TypeVar("T")

# How long after the deadline the results of jobs that keep it are waited for, in seconds: it is when their last request ends.
_GRACE = 1.0


def each(jobs: t.Mapping[str, t.Callable[[], T]], *, parallel: int, deadline: float) -> dict[str, T | ApiError]:
    """Run one job per member, at most ``parallel`` at once, and give each member's result or error.

    A job that waits for a credential plugin leaves its place to another (:meth:`Worker.away`). The connections that a job
    used are closed when it is done. The threads are daemons: what cannot be stopped must neither hold up the others nor the exit.
    """
    slots = threading.Semaphore(parallel)
    ended = threading.Condition()
    done: dict[str, T | ApiError] = {}

    def work(name: str, job: t.Callable[[], T]) -> None:
        worker.slots, worker.opened = slots, set()
        try:
            result: T | ApiError = job()
        except ApiError as error:
            result = error
        except Exception as error:
            # something odd in one member is not the end of the others
            words = f"{name}: could not be looked at: {type(error).__name__}: {str(error).strip() or 'no message'}."
            result = ApiError(name, words, reason="Unexpected")
        for one in worker.opened:
            one.close()
        slots.release()
        with ended:
            done[name] = result
            ended.notify()

    def left(more: float = 0.0) -> float:
        return min(max(0.0, deadline - time.monotonic()) + more, threading.TIMEOUT_MAX)

    started = 0
    for name, job in jobs.items():
        if not slots.acquire(timeout=left()):
            break
        threading.Thread(target=work, args=(name, job), daemon=True).start()
        started += 1
    with ended:
        ended.wait_for(lambda: len(done) == started, left(_GRACE))
        results = dict(done)
    late = "{0}: not done within the deadline. Set a longer one, or see why the member is slow."
    answers: dict[str, T | ApiError] = {}
    for name in jobs:
        answers[name] = results[name] if name in results else ApiError(name, late.format(name), reason="Deadline")
    return answers
