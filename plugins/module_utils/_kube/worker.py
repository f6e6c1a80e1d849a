# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a thread of ``parallel.each`` holds while it works: a slot, and the connections that it opened."""

from __future__ import annotations

import contextlib
import threading
import typing as t


class Closeable(t.Protocol):
    """What keeps connections open, and can let go of them."""

    def close(self) -> None: ...


class Worker(threading.local):
    """The thread at hand. A thread that is nobody's worker has no slot, and nobody closes its connections for it."""

    slots: threading.Semaphore | None = None
    opened: set[Closeable] | None = None

    def uses(self, one: Closeable) -> None:
        """Have the connections of ``one`` closed when this worker's job is done."""
        if self.opened is not None:
            self.opened.add(one)

    @contextlib.contextmanager
    def away(self) -> t.Iterator[None]:
        """Leave this worker's slot to others, while it waits for what may never come and is no API server."""
        if self.slots is None:
            yield
            return
        self.slots.release()
        try:
            yield
        finally:
            self.slots.acquire()


worker = Worker()
