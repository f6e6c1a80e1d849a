# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The Corefiles of tests/corpus/corefiles and what is expected of them."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import yaml
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import Edit

FOLDER = Path(__file__).resolve().parents[4] / "corpus" / "corefiles"
ZONE = "clusterset.local"


@dataclasses.dataclass(frozen=True)
class Case:
    """``base`` is what removing the zone has to give; ``separate`` and ``inline`` are ``edited``, ``adopted`` or why it is refused, ``plugin``
    is why it is refused in mode plugin alone.
    """

    name: str
    about: str
    text: str
    base: str
    separate: str
    inline: str
    options: dict[str, t.Any]
    seen: dict[str, t.Any]
    plugin: str

    def edit(self, **options: t.Any) -> Edit:
        merged = {"zone": ZONE, **self.options, **options}
        return Edit(**{**merged, "forward_to": tuple(merged.get("forward_to", ()))})


def _read(name: str) -> str:
    return (FOLDER / f"{name}.Corefile").read_bytes().decode()


def _case(entry: dict[str, t.Any]) -> Case:
    return Case(
        entry["name"],
        entry["about"],
        _read(entry["name"]),
        _read(entry.get("base", entry["name"])),
        entry["separate"],
        entry["inline"],
        entry.get("options", {}),
        {key: entry[key] for key in ("imports", "env") if key in entry},
        entry.get("plugin", ""),
    )


CASES = [_case(entry) for entry in yaml.safe_load((FOLDER / "index.yml").read_text())]


def variant(text: str, how: str) -> str:
    """The same file with other line ends, with a byte order mark, or without its last line break."""
    if how == "crlf":
        return text.replace("\r\n", "\n").replace("\n", "\r\n")
    if how == "bom":
        return "\ufeff" + text
    if how == "no final newline":
        return text.rstrip("\n")
    return text


VARIANTS = ["as it is", "crlf", "bom", "no final newline"]

# What CoreDNS's lexer makes of a text: lines and words.
ODD_TEXTS: dict[str, list[tuple[int, str]]] = {
    "": [],
    "a b\nc": [(1, "a"), (1, "b"), (2, "c")],
    # Go's white space is not Python's
    "\x1ca \x1d\x1e \x1fb": [(1, "\x1ca"), (1, "\x1d\x1e"), (1, "\x1fb")],
    "a\x0bb\x0cc\u0085d\u00a0e\u1680f\u2000g\u200ah\u2028i\u2029j\u202fk\u205fl\u3000m": [(1, word) for word in "abcdefghijklm"],
    "a\u200bb\u2060c\ufeffd": [(1, "a\u200bb\u2060c\ufeffd")],
    "\ufeffa": [(1, "a")],
    "\ufeff\ufeffa": [(1, "\ufeffa")],
    # a carriage return ends no word
    "a\rb\r\nc\r": [(1, "ab"), (2, "c")],
    "a\r#b c": [(1, "a"), (1, "c")],
    # a comment glued to a word ends with the next white space
    "a#b c\nd": [(1, "a"), (1, "c"), (2, "d")],
    "a #b c\nd": [(1, "a"), (2, "d")],
    "a#b\u00a0c": [(1, "a"), (1, "c")],
    "#a\r\nb": [(2, "b")],
    # quotes
    '"a b" c': [(1, "a b"), (1, "c")],
    '"a\nb" c': [(1, "a\nb"), (2, "c")],
    '"a"b': [(1, "a"), (1, "b")],
    'a"b c"': [(1, 'a"b'), (1, 'c"')],
    '"" a': [(1, ""), (1, "a")],
    '"a \\"b\\" \\n \\\\" c': [(1, 'a "b" \\n \\\\'), (1, "c")],
    '"a#b" #c': [(1, "a#b")],
    '"a\rb"': [(1, "a\rb")],
    '"a\\\nb" c': [(1, "a\\\nb"), (2, "c")],
    '"{" }': [(1, "{"), (1, "}")],
    '"a': [(1, "a")],
    '"': [],
    '"a\\': [(1, "a")],
    # a backslash outside quotes is a character like others: lines are not continued
    "a \\\nb": [(1, "a"), (1, "\\"), (2, "b")],
    "{$A} {%B%} c{": [(1, "{$A}"), (1, "{%B%}"), (1, "c{")],
}
