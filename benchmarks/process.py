# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""A command as it is seen from outside: how long it takes and how much memory all of its processes hold."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
import tempfile
import threading
import time
import typing as t
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Run(t.NamedTuple):
    """``cpu_seconds``: of all its processes, which says more than ``seconds`` on a machine that does other things as well. ``rss_mb``: the
    highest sum over the command's processes, pages that they share counted for each. ``largest_mb`` and ``descriptors``: the most that one
    of its processes held.
    """

    seconds: float
    cpu_seconds: float
    rss_mb: int
    output: str
    largest_mb: int = 0
    descriptors: int = 0


def run(*command: str | Path, cwd: Path, env: t.Mapping[str, str] | None = None) -> Run:
    """Run a command that has to succeed."""
    with tempfile.TemporaryFile("w+") as file:
        before = _cpu()
        started = time.monotonic()
        process = subprocess.Popen(
            [str(word) for word in command], cwd=cwd, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL, stdout=file, stderr=file
        )
        peak = Peak()
        sampler = threading.Thread(target=_sample, args=(process, peak), daemon=True)
        sampler.start()
        code = process.wait()
        seconds = time.monotonic() - started
        sampler.join()
        file.seek(0)
        output = file.read()
    if code:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with exit code {code}:\n{output[-3000:]}")
    return Run(
        round(seconds, 2), round(_cpu() - before, 2), round(peak.together / 2**20), output, round(peak.largest / 2**20), peak.descriptors
    )


def _cpu() -> float:
    """CPU seconds of all processes that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclasses.dataclass
class Peak:
    """The most that was seen: bytes of all processes together and of the largest, descriptors of the one with most."""

    together: int = 0
    largest: int = 0
    descriptors: int = 0


def _sample(process: subprocess.Popen[bytes], peak: Peak) -> None:
    while process.poll() is None:
        tree = _tree(process.pid)
        sizes = [*map(_rss, tree)]
        peak.together, peak.largest = max(peak.together, sum(sizes)), max(peak.largest, *sizes)
        peak.descriptors = max(peak.descriptors, *map(_descriptors, tree))
        time.sleep(0.05)


def _descriptors(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0  # it has ended


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue  # it has ended
        for child in children:
            found += _tree(int(child))
    return found


def _rss(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
