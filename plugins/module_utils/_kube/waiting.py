# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Looks until something is so, or the time is up. The only clock and the only sleep of what waits."""

from __future__ import annotations

import time
import typing as t

T = t.TypeVar("T")


class Waiter:
    """A wait of at most ``seconds``, with ``sleep`` seconds between two looks. It begins when it is made."""

    def __init__(self, seconds: float, sleep: float = 0.5) -> None:
        self.seconds = seconds
        self._sleep = sleep
        self._start = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._start

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.elapsed >= self.seconds

    def extend(self, seconds: float) -> None:
        """Do not count some seconds, as those of a step that has a limit of its own."""
        self.seconds += seconds

    def pause(self) -> bool:
        """Sleep until the next look. :returns: whether there is time for one."""
        left = self.seconds - self.elapsed
        if left <= 0:
            return False
        time.sleep(min(self._sleep, left))
        return True

    def until(self, look: t.Callable[[], T], good: t.Callable[[T], bool] = bool) -> tuple[T, bool]:
        """Look until what is seen is ``good``. :returns: what was seen last, and whether it is. It looks at least once."""
        while True:
            seen = look()
            if good(seen):
                return seen, True
            if not self.pause():
                return seen, False
