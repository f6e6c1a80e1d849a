# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The same job for many member clusters at once, within one deadline."""

from __future__ import annotations

import queue
import threading
import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError

T = t.TypeVar("T")


def each(jobs: t.Mapping[str, t.Callable[[], T]], *, parallel: int, deadline: float) -> dict[str, T | ApiError]:
    """Run one job per member, at most ``parallel`` at once, and give each member's result or error.

    The threads are daemons: a credential plugin that hangs cannot be stopped, and must neither hold up the others nor
    the exit.
    """
    todo: queue.SimpleQueue[tuple[str, t.Callable[[], T]]] = queue.SimpleQueue()
    for item in jobs.items():
        todo.put(item)
    done: dict[str, T | ApiError] = {}
    bugs: list[Exception] = []

    def work() -> None:
        while True:
            try:
                name, job = todo.get_nowait()
            except queue.Empty:
                return
            try:
                done[name] = job()
            except ApiError as error:
                done[name] = error
            except Exception as error:
                bugs.append(error)
                return

    threads = [threading.Thread(target=work, daemon=True) for _number in range(min(parallel, len(jobs)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(min(max(0.0, deadline - time.monotonic()) + 1.0, threading.TIMEOUT_MAX))
    if bugs:
        raise bugs[0]
    late = "{0}: not done within the deadline. Set a longer one, or see why the member is slow."
    return {name: done[name] if name in done else ApiError(name, late.format(name), reason="Deadline") for name in jobs}
