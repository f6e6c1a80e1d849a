# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a team relies on, as JMESPath expressions on a report that must be true. Pure: no client, no clock, no file."""

from __future__ import annotations

import json
import typing as t

__all__ = ["refuted"]

_LONGEST = 300


def refuted(report: t.Mapping[str, t.Any], expressions: t.Sequence[str]) -> list[str]:
    """A sentence for each expression that is not true of the report, or is no JMESPath.

    :arg report: with ``rows``, which expressions may call ``answers`` as well.
    """
    if not expressions:
        return []
    try:
        import jmespath
    except ImportError:
        return [f"The Python library jmespath is not there, so that {_all(expressions)} not tried. Install it where ansible-playbook runs."]
    # As JSON has it, whatever text and lists are to Ansible: jmespath compares types.
    data = json.loads(json.dumps({"answers": report.get("rows"), **report}))
    return [sentence for one in expressions for sentence in _refuted(jmespath, data, one)]


def _all(expressions: t.Sequence[str]) -> str:
    return "1 expression was" if len(expressions) == 1 else f"{len(expressions)} expressions were"


def _refuted(jmespath: t.Any, data: t.Any, expression: str) -> list[str]:
    try:
        compiled = jmespath.compile(expression)
    except jmespath.exceptions.JMESPathError as error:
        return [f"{expression!r} is no JMESPath: {_first(error)}."]
    try:
        given = compiled.search(data)
    except jmespath.exceptions.JMESPathError as error:
        return [f"{expression} cannot be worked out: {_first(error)}."]
    if given is True:
        return []
    text = json.dumps(given, ensure_ascii=False)
    return [f"{expression} gave {text if len(text) <= _LONGEST else text[:_LONGEST] + '…'}, not true."]


def _first(error: Exception) -> str:
    """Its first line; the next ones draw where in the expression."""
    return str(error).partition("\n")[0].rstrip(".:")
