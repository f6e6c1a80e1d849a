# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Cuts a Corefile into tokens exactly as CoreDNS does, remembering where each one stands in the text.

The rules are those of ``caddyfile/lexer.go`` in github.com/coredns/caddy (1.1.1 to 1.1.4 agree), its oddities included; the
tests compare the two on every Corefile of the corpus.
"""

from __future__ import annotations

import dataclasses
import typing as t

__all__ = ["BOM", "SPACE", "Comment", "Lexed", "Token", "lex"]

BOM = "\ufeff"
# Go's unicode.IsSpace, which is not Python's str.isspace (that one counts U+001C to U+001F as well).
SPACE = frozenset("\t\n\v\f\r \u0085\u00a0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))))
_WORD_END = SPACE - {"\r"} | {"#"}


@dataclasses.dataclass(slots=True)
class Token:
    """A word of a Corefile.

    ``text`` is what CoreDNS reads (unquoted), ``source[start:end]`` what stands in the file named ``file`` ('' for the
    Corefile itself). ``line`` counts from 1. ``imported`` is the line of the ``import`` that brought it to where it is used,
    or 0.
    """

    text: str
    line: int
    start: int
    end: int
    file: str = ""
    imported: int = 0


class Comment(t.NamedTuple):
    """A comment, from its ``#`` to before the line's end."""

    line: int
    start: int
    end: int


class Lexed(t.NamedTuple):
    """``unterminated`` is the line of a quote that is never closed (CoreDNS takes the rest of the file as one word), else 0."""

    tokens: list[Token]
    comments: list[Comment]
    unterminated: int


def lex(text: str, file: str = "") -> Lexed:
    """All tokens and comments of a Corefile. Never fails."""
    tokens: list[Token] = []
    comments: list[Comment] = []
    unterminated = 0
    line = 1
    size = len(text)
    at = 1 if text.startswith(BOM) else 0
    while at < size:
        char = text[at]
        if char in SPACE:
            line += char == "\n"
            at += 1
        elif char == "#":
            end = text.find("\n", at)
            end = size if end < 0 else end
            comments.append(Comment(line, at, end))
            at = end
        elif char == '"':
            word, end, closed = _quoted(text, at + 1)
            if word or closed:
                tokens.append(Token(word, line, at, end, file))
            if not closed:
                unterminated = line
            line += text.count("\n", at, end)
            at = end
        else:
            start = at
            while at < size and text[at] not in _WORD_END:
                at += 1
            word = text[start:at]
            if "\r" in word:
                # a carriage return is dropped wherever it stands outside quotes, so it does not even end a word
                end = start + len(word.rstrip("\r"))
                word = word.replace("\r", "")
            else:
                end = at
            tokens.append(Token(word, line, start, end, file))
            if at < size and text[at] == "#":
                # A comment glued to a word ends with the next white space, not with the line: what follows is read as words.
                while at < size and (text[at] not in SPACE or text[at] == "\r"):
                    at += 1
    return Lexed(tokens, comments, unterminated)


def _quoted(text: str, at: int) -> tuple[str, int, bool]:
    """The word that begins after an opening quote, where the text goes on, and whether the quote was closed.

    Only ``\\"`` is an escape; any other backslash stays, together with the character after it.
    """
    parts = []
    while True:
        quote = text.find('"', at)
        escape = text.find("\\", at, None if quote < 0 else quote)
        if escape >= 0:
            parts.append(text[at:escape])
            following = text[escape + 1 : escape + 2]
            if following:
                parts.append(following if following == '"' else "\\" + following)
            at = escape + 2
        elif quote >= 0:
            parts.append(text[at:quote])
            return "".join(parts), quote + 1, True
        else:
            parts.append(text[at:])
            return "".join(parts), len(text), False
