# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The lines of a Corefile that are ours: they stand between two comments, the marks."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import BOM, Token
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import (
    Corefile,
    CorefileError,
    Directive,
    breaks,
    normal,
    zones_of,
)

__all__ = ["Region", "cut", "line_end", "line_start", "marked_lines", "marked_zones", "regions", "same", "without"]

_MARK = "# clusterset.dns:"
_BRACES = "with braces"


class Region(t.NamedTuple):
    """The lines from one mark to the other, both included. ``braces``: the braces around it are ours as well."""

    zone: str
    start: int
    end: int
    line: int
    braces: bool

    def holds(self, token: Token) -> bool:
        return not token.imported and not token.file and self.start <= token.start < self.end


def marked_zones(corefile: Corefile) -> list[str]:
    """The zones that have lines of ours in a Corefile."""
    return sorted({region.zone for region in regions(corefile)})


def marked_lines(zone: str, lines: list[str], *, indent: str, eol: str, braces: bool = False) -> str:
    """Lines of ours with the marks around them. ``braces`` says that the stanza's braces are ours as well."""
    begin = f"{_MARK} begin {zone}" + (f" {_BRACES}" if braces else "")
    return "".join(indent + line + eol for line in [begin, *lines, f"{_MARK} end {zone}"])


def regions(corefile: Corefile, zone: str | None = None) -> list[Region]:
    """The stretches between our marks, for one zone or for any.

    :raises CorefileError: marks without their other half, within one another, or not on a line of their own.
    """
    text = corefile.text
    found: list[Region] = []
    opened: tuple[str, int, int, bool] | None = None
    for comment in corefile.comments:
        words = text[comment.start : comment.end].split()
        if " ".join(words[:2]) != _MARK or words[2:3] not in (["begin"], ["end"]):
            continue
        start = line_start(text, comment.start)
        named = words[3] if len(words) > 3 else ""
        if text[start : comment.start].strip() or not named or (opened is None) == (words[2] == "end") or (opened and opened[0] != named):
            raise CorefileError(
                f"the marks of {named or 'a zone'} ({_MARK} begin …, {_MARK} end …) are broken. Repair or remove them and what is between.",
                comment.line,
            )
        if opened is None:
            opened = (named, start, comment.line, " ".join(words[4:]) == _BRACES)
        else:
            found.append(Region(named, opened[1], min(comment.end + 1, len(text)), opened[2], opened[3]))
            opened = None
    if opened:
        raise CorefileError(f"the mark that begins {opened[0]} has no end. Repair it, or remove it and what follows of it.", opened[2])
    return [region for region in found if zone in (None, region.zone)]


def line_start(text: str, offset: int) -> int:
    start = text.rfind("\n", 0, offset) + 1
    return start + 1 if text.startswith(BOM, start) and start == 0 else start


def line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def _enclosing(corefile: Corefile, region: Region) -> Directive | None:
    """The stanza that a region is a part of, None if it stands between stanzas or between server blocks."""
    for block in corefile.blocks:
        for directive in block.directives:
            first, last = directive.tokens[0], directive.tokens[-1]
            if not directive.imported and first.start < region.start and region.end <= last.end:
                return directive
    return None


def _own_braces(text: str, directive: Directive, region: Region) -> tuple[int, int] | None:
    """From the end of the stanza's first line to after its closing brace, if a region's braces hold nothing but the region."""
    brace, last = directive.brace, directive.tokens[-1]
    if not region.braces or brace is None or last.text != "}":
        return None
    before = directive.tokens[len(directive.args)].end
    if text[before : region.start].split() != ["{"] or text[region.end : last.start].strip():
        return None
    return before, last.end


def _added_zones(directive: Directive, region: Region) -> list[Token]:
    """The zone as a word on the line of the stanza that a region is a part of."""
    return [token for token in directive.args if zones_of(token.text) == [normal(region.zone)]]


def without(corefile: Corefile, ours: list[Region]) -> tuple[str, int | None]:
    """The text as it was before us, and where in it our server block stood."""
    text = corefile.text
    cuts: list[tuple[int, int]] = []
    block_at: int | None = None
    for region in ours:
        directive = _enclosing(corefile, region)
        if directive:
            _check_contents(region, [option[0] for option in directive.options if region.holds(option[0])])
            cuts += [(token.start - 1, token.end) for token in _added_zones(directive, region)]
            cuts.append(_own_braces(text, directive, region) or (region.start, region.end))
            continue
        blocks = [block for block in corefile.blocks if region.holds(block.keys[0].token)]
        if any(zone != normal(region.zone) for block in blocks for key in block.keys for zone in key.zones):
            raise CorefileError(f"between the marks of {region.zone} stands a server block of another zone. Move it out.", region.line)
        if blocks:
            block_at = region.start
        else:
            _check_contents(region, [d.tokens[0] for block in corefile.blocks for d in block.directives if region.holds(d.tokens[0])])
        cuts.append((region.start, region.end))
    cuts.sort()
    if block_at is not None:
        block_at -= sum(end - start for start, end in cuts if end <= block_at)
    return cut(text, cuts), block_at


def _check_contents(region: Region, words: list[Token]) -> None:
    for token in words:
        if token.text not in ("forward", "header", "multicluster"):
            raise CorefileError(
                f"{token.text} stands between the marks of {region.zone} (line {region.line}), where only lines of this module belong."
                " Move it out.",
                token.line,
            )


def cut(text: str, cuts: list[tuple[int, int]]) -> str:
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text


def _foreign(corefile: Corefile, ours: list[Region]) -> list[tuple[list[str], list[list[tuple[str, bool]]]]]:
    """What the file says apart from our regions: keys and stanzas, each word with whether it begins a line."""

    def is_ours(token: Token) -> bool:
        return any(region.holds(token) for region in ours)

    inner: dict[int, list[Region]] = {}
    for region in ours:
        directive = _enclosing(corefile, region)
        if directive:
            inner.setdefault(id(directive), []).append(region)
    said = []
    for block in corefile.blocks:
        if is_ours(block.keys[0].token):
            continue
        stanzas = []
        for directive in block.directives:
            if is_ours(directive.tokens[0]):
                continue
            dropped: set[int] = set()
            for region in inner.get(id(directive), []):
                dropped.update(id(token) for token in _added_zones(directive, region))
                if _own_braces(corefile.text, directive, region):
                    dropped.update((id(directive.brace), id(directive.tokens[-1])))
            words = []
            previous = directive.tokens[0]
            for token in directive.tokens:
                if id(token) not in dropped and not is_ours(token):
                    words.append((token.text, breaks(previous, token)))
                    previous = token
            stanzas.append(words)
        said.append(([key.token.text for key in block.keys], stanzas))
    return said


def same(corefile: Corefile, ours: list[Region], plain: Corefile) -> None:
    """The proof that nothing of others was touched."""
    if _foreign(corefile, ours) != _foreign(plain, []):
        line = ours[0].line if ours else None
        raise CorefileError(
            "the lines of this module cannot be told from the rest: the marks do not enclose whole stanzas. Nothing is written.", line
        )
