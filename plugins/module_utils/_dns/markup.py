# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""HTML and SVG from Python. What is not made here is escaped, so that no name or message of a cluster can become markup. Pure."""

from __future__ import annotations

import html
import re
import typing as t

__all__ = ["Markup", "element", "joined"]

_VOID = ("input", "meta")
# What no document may hold, and what turns the direction of the text around it. Tab and line feed are left.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def element(tag: str, *content: t.Any, **attributes: t.Any) -> Markup:
    """An element with its content, each of which is escaped unless it is markup.

    :arg attributes: ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``. None and False leave one out, True gives it no value.
    """
    given = ((name.rstrip("_").replace("_", "-"), value) for name, value in attributes.items() if value is not None and value is not False)
    opened = "".join(f" {name}" if value is True else f' {name}="{_escaped(value)}"' for name, value in given)
    return Markup(f"<{tag}{opened}>" if tag in _VOID else f"<{tag}{opened}>{joined(*content)}</{tag}>")


def joined(*content: t.Any) -> Markup:
    """The pieces one after another; lists of pieces are taken apart."""
    pieces = (joined(*one) if isinstance(one, (list, tuple)) else one if isinstance(one, Markup) else _escaped(one) for one in content)
    return Markup("".join(pieces))


def _escaped(value: t.Any) -> str:
    return html.escape(_UNPRINTABLE.sub("\ufffd", str(value)))
