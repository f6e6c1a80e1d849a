# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What becomes of a Corefile with all that hangs on it: the text, what is recorded of it, and how its zone is served before and after.

Pure, as the edit itself: what comes out is written by whoever asked (:mod:`_corefile.place`).
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit, Result, edit, served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.marks import marked_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import Corefile, parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import PlaceError, came_back, original_of
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import Served, multicluster_zones

__all__ = ["Change", "change"]


class Change(t.NamedTuple):
    """``first``: nothing of ours was there before; ``last``: nothing of ours is left (both for :func:`_corefile.place.write_of`). ``restored``:
    when the last zone went, whether the text is what it was before the first change; None where that was not recorded, or in other cases.
    ``adopted``, ``notes`` and ``served_after`` as in :class:`_corefile.editing.Result`.
    """

    text: str
    changed: bool
    first: bool
    last: bool
    restored: bool | None
    adopted: bool
    notes: tuple[str, ...]
    served_before: Served | None
    served_after: Served | None


def change(
    found: str | None,
    record: t.Mapping[str, str],
    want: Edit,
    *,
    label: str,
    imports: t.Mapping[str, str] | None = None,
    env: t.Mapping[str, str] | None = None,
    proven: str | None = None,
    restore: str | None = None,
) -> Change:
    """What a Corefile has to become.

    :arg found: the Corefile, None where there is none.
    :arg record: what :func:`_corefile.place.recorded` knows of it.
    :arg label: where it is, for sentences.
    :arg imports, env: as for :func:`_corefile.parse`.
    :arg proven: the only text that may come out. With ``restore``, the only one that may be there.
    :arg restore: the text to put there in place of an edit.
    :raises CorefileError: the settings or the Corefile do not allow it.
    :raises PlaceError: someone else changed the Corefile meanwhile.
    """
    seen: dict[str, t.Any] = {"imports": imports, "env": env}
    before = parse(found or "", **seen)
    original = record.get("text")
    if restore is None:
        result = edit(before.text, want, original=original, **seen)
        unexpected = proven is not None and result.text != proven
    else:
        result = Result(restore, changed=restore != before.text, adopted=False, notes=())
        unexpected = result.changed and before.text != proven
    if unexpected:
        raise PlaceError(f"{label} was changed by someone else meanwhile; nothing was written. Run this again.")
    after = parse(result.text, **seen)
    had, has = _ours(before, original), _ours(after, original)
    last = had and not has
    if last and restore is None and (back := original_of(record, found)) is not None:
        result = result._replace(text=back)
        after = parse(back, **seen)
    restored = came_back(record, result.text) if last else None
    notes = result.notes
    if restored is False:
        notes += (f"{label} was changed by others since the first zone was added; their changes are kept.",)
    return Change(
        result.text,
        result.changed,
        has and not had,
        last,
        restored,
        result.adopted,
        notes,
        served(before, want, original),
        served(after, want, original),
    )


def _ours(corefile: Corefile, original: str | None) -> bool:
    """Whether a Corefile has lines of ours for any zone."""
    return bool(marked_zones(corefile)) or any(one.ours for one in multicluster_zones(corefile, original))
