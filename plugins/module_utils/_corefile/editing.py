# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Makes a Corefile serve a multicluster zone, or no longer.

How it stays lossless: what is added stands on lines of its own between two comments (the marks), at most with the zone as one
more word, or a pair of braces, on the line of the ``kubernetes`` plugin. An edit first takes all of that away, which gives back the text as
it was before us; ``present`` then adds what is wanted now. So absent undoes present, a second present finds what it would
write, and a change of settings touches our lines alone. Before a text is handed out, it is parsed again, and everything in
it that is not ours must read as before.

Lines of ours whose marks were lost are known by what they say (:mod:`_corefile.served`), and are treated as if they were still marked.
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.carry import carried, kubernetes_notes, reach
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import BOM, Token, lex
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.marks import (
    Region,
    cut,
    line_end,
    line_start,
    marked_lines,
    regions,
    same,
    without,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import (
    DEFAULT_PORT,
    Block,
    Corefile,
    CorefileError,
    Directive,
    Import,
    breaks,
    normal,
    parse,
    zones_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import Served, multicluster_zones, ours, unmarked_services
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.service import Listener, Service, listeners, services
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import Edit, checked

__all__ = ["Edit", "Result", "edit", "how_served", "served"]

_INDENT = "    "


class Result(t.NamedTuple):
    """``adopted``: the zone is served by text that was made by hand and left as it is. ``notes`` are sentences for the user.
    ``served_after``: how the zone is served now, by which line; None where it is not.
    """

    text: str
    changed: bool
    adopted: bool
    notes: tuple[str, ...]
    served_after: Served | None = None


def edit(
    text: str,
    want: Edit,
    *,
    imports: t.Mapping[str, str] | None = None,
    env: t.Mapping[str, str] | None = None,
    original: str | None = None,
) -> Result:
    """Bring a Corefile to what is wanted; ``imports`` and ``env`` as for :func:`_corefile.parse`, ``original`` as for :func:`_corefile.served.ours`.

    :raises CorefileError: the settings or the Corefile do not allow it. Nothing is returned half done.
    """
    want = checked(want)
    before = parse(text, imports=imports, env=env)
    marked = regions(before, want.zone)
    base, place = without(before, marked)
    plain = before
    unmarked = [] if marked else unmarked_services(before, want.zone, original)
    if marked:
        plain = parse(base, imports=imports, env=env)
        same(before, marked, plain)
    elif unmarked:
        plain = _take_away(before, unmarked, want, imports, env)
        place = line_start(text, unmarked[0].block.keys[0].token.start) if unmarked[0].placement == "separate" else None

    notes: list[str] = []
    adopted = False
    if want.state == "absent":
        left = _services(plain, want, strict=False)
        if left and want.adopt:
            plain = _take_away(plain, left, want, imports, env)
        elif left:
            adopted = bool(left[0].mode)
            notes.append(
                f"{want.zone} is still served by {_by(left[0])} (line {left[0].line}), which this module did not put there, or cannot tell any"
                " more that it did. Set adopt to remove it."
            )
        result = plain.text
    else:
        _check_readable(plain, want)
        found = _services(plain, want)
        if found and plain is not before:
            line = marked[0].line if marked else unmarked[0].line
            raise CorefileError(
                f"{want.zone} is served twice, by lines of this module (line {line}) and by others here. Remove one of them.",
                found[0].line,
            )
        if found and not want.adopt:
            _check_adoptable(found[0], want)
            adopted = True
            notes.append(_adoption_note(found[0], want))
            result = plain.text
        else:
            if found:
                plain = _take_away(plain, found, want, imports, env)
            result = _with(plain, want, place, notes)
        if unmarked and _words(result) == _words(text):
            result, plain = text, before
            line = unmarked[0].line
            notes.append(f"The comments around the lines for {want.zone} (line {line}) are lost. The lines are right, and stay as they are.")
    after = parse(result, imports=imports, env=env)
    same(after, regions(after, want.zone), plain)
    return Result(result, result != text, adopted, tuple(notes), served(after, want, original))


def _services(corefile: Corefile, want: Edit, *, strict: bool = True) -> list[Service]:
    """What answers for the zone already; where it is the cluster domain, that the cluster's own plugins do is no obstacle."""
    found = services(corefile, want.zone, _where(corefile, want), strict=strict)
    return [service for service in found if service.mode == "plugin"] if want.zone == want.cluster_domain else found


def how_served(
    corefile: Corefile, zone: str, *, cluster_domain: str = "cluster.local", original: str | None = None
) -> dict[str, t.Any] | None:
    """How a zone is served: ``mode`` ('' for what is not a multicluster service), ``placement``, ``line``, ``ours``, and the block's
    ``plugins``; None if it is not. ``original`` as for :func:`_corefile.served.ours`.
    """
    want = checked(Edit(zone=zone, state="absent", cluster_domain=cluster_domain))
    found = services(corefile, want.zone, _where(corefile, want), strict=False)
    if not found:
        return None
    service = found[0]
    return {
        "mode": service.mode,
        "placement": service.placement,
        "line": service.line,
        "ours": ours(corefile, service, want.zone, original),
        "plugins": sorted({directive.name for directive in service.block.directives}),
    }


def served(corefile: Corefile, want: Edit, original: str | None = None) -> Served | None:
    """How the zone is served where the cluster domain is, or else on any other port; None where it is not."""
    want = checked(want)
    for service in _services(corefile, want, strict=False):
        mine = ours(corefile, service, want.zone, original)
        return Served(want.zone, service.mode, service.placement, service.line, mine)
    return next((one for one in multicluster_zones(corefile, original) if one.zone == want.zone), None)


def _where(corefile: Corefile, want: Edit) -> list[Listener]:
    return listeners(corefile, want.cluster_domain, want.port)


def _check_readable(corefile: Corefile, want: Edit) -> None:
    """Refuse what CoreDNS would refuse or read otherwise than it is meant, and where the zone may be served out of sight."""
    for block in corefile.blocks:
        if block.closing and block.directives and block.closing is block.directives[-1].tokens[-1]:
            # CoreDNS's parser lets the last brace of the file close both
            raise CorefileError("the server block that begins here is never closed.", block.line)
        for key in block.keys:
            if key.unknown:
                raise CorefileError(
                    f"the zone {key.token.text} of this server block comes from CoreDNS's environment; say in env what it is.",
                    block.line,
                    "env",
                )
            if not key.zones or any(sign in key.token.text for sign in "{}"):
                raise CorefileError(f"{key.token.text} stands where the zone of a server block should, and is none.", block.line)
    for unseen in corefile.unseen:
        if unseen.level == "server":
            raise CorefileError(
                f"import {unseen.pattern} may bring a server block for {want.zone} that cannot be seen from here."
                " Give the imported files in imports ({} if there are none), or write the zone into one of those files instead.",
                unseen.line,
                "imports",
            )


def _unseen(corefile: Corefile, blocks: list[Block]) -> list[Import]:
    """The imports inside some blocks that could not be followed."""
    inside = [unseen for unseen in corefile.unseen if unseen.level == "block" and unseen.block < len(corefile.blocks)]
    return [unseen for unseen in inside if corefile.blocks[unseen.block] in blocks]


def _check_adoptable(service: Service, want: Edit) -> None:
    if not service.mode:
        raise CorefileError(
            f"{want.zone} is already served by {_by(service)}, which is not for multicluster Services. Remove it.", service.line
        )
    if service.mode != want.mode:
        raise CorefileError(
            f"{want.zone} is already served in mode {service.mode} by lines that were made by hand. Set mode to {service.mode} to keep"
            " them, or adopt to replace them.",
            service.line,
        )
    if service.mode == "forward" and {_upstream(a) for a in service.upstreams} != {_upstream(a) for a in want.forward_to}:
        raise CorefileError(
            f"{want.zone} is already forwarded to {' '.join(service.upstreams)} by lines that were made by hand. Set adopt to replace"
            " them.",
            service.line,
        )


def _by(service: Service) -> str:
    if service.directive is None:
        names = ", ".join(sorted({directive.name for directive in service.block.directives})) or "no plugin"
        return f"a server block of its own with {names}"
    return f"the plugin {service.directive.name}" + (" as a plain zone" if service.directive.name == "kubernetes" and not service.mode else "")


def _words(text: str) -> list[tuple[str, bool]]:
    """What CoreDNS reads, without comments and white space: each word with whether it begins a line."""
    tokens = lex(text).tokens
    return [(token.text, before is None or breaks(before, token)) for before, token in zip([None, *tokens], tokens, strict=False)]


def _upstream(address: str) -> str:
    return address.removeprefix("dns://").removesuffix(f":{DEFAULT_PORT}").lower()


def _adoption_note(service: Service, want: Edit) -> str:
    note = f"{want.zone} is served by lines that were made by hand (line {service.line}, {service.placement}), which are left as they are"
    differs = []
    if service.placement != want.placement:
        differs.append(f"placement {want.placement}")
    if _wants_header(want) and not any(_sets_ra(directive) for directive in service.block.named("header")):
        differs.append("header")
    return note + (f"; asked for, but not there: {', '.join(differs)}." if differs else ".")


def _sets_ra(header: Directive) -> bool:
    return any(
        [token.text.lower() for token in option[:2]] == ["response", "set"] and "ra" in [token.text.lower() for token in option[2:]]
        for option in header.options
    )


def _wants_header(want: Edit) -> bool:
    return want.placement == "separate" and want.mode != "forward" if want.header is None else want.header


# --- taking over what was made by hand ----------------------------------------------------------------------------------------------


def _take_away(
    corefile: Corefile, found: list[Service], want: Edit, imports: t.Mapping[str, str] | None, env: t.Mapping[str, str] | None
) -> Corefile:
    """The Corefile without the services that were made by hand."""
    zone = normal(want.zone)
    text = corefile.text
    cuts: list[tuple[int, int, int]] = []
    for service in found:
        if not service.mode:
            _check_adoptable(service, want)
        block, directive = service.block, service.directive
        if directive is None:
            raise AssertionError(f"a service of zone {want.zone} that no directive gives")
        if service.placement == "separate":
            if any(key.zones != [zone] for key in block.keys):
                raise CorefileError(
                    f"the server block that serves {want.zone} serves other zones as well; take {want.zone} out of it by hand.", block.line
                )
            if block.opening is None or block.closing is None:
                raise CorefileError(f"the server block that serves {want.zone} has no braces; remove it by hand.", block.line)
            cuts.append(_whole_lines(text, block.keys[0].token, block.closing, want))
        elif service.mode == "builtin":
            if all(zones_of(token.text) == [zone] for token in directive.args):
                raise CorefileError(
                    f"the kubernetes plugin here serves {want.zone} alone, in a server block of other zones; remove it by hand.",
                    directive.line,
                )
            cuts += [_word(text, token) for token in directive.args if zones_of(token.text) == [zone]]
            for option in directive.options:
                if option[0].text == "multicluster":
                    cuts += _zone_out(text, option[0], option[1:], option[-1], zone, want)
        elif service.mode == "plugin":
            cuts += _zone_out(text, directive.tokens[0], directive.args, directive.tokens[-1], zone, want)
        else:
            cuts.append(_whole_lines(text, directive.tokens[0], directive.tokens[-1], want))
    taken = [Region(want.zone, start, end, line, False) for start, end, line in dict.fromkeys(cuts)]
    plain = parse(cut(text, [(region.start, region.end) for region in taken]), imports=imports, env=env)
    same(corefile, taken, plain)
    return plain


def _zone_out(text: str, first: Token, args: list[Token], last: Token, zone: str, want: Edit) -> list[tuple[int, int, int]]:
    named = [token for token in args if zones_of(token.text) == [zone]]
    if len(named) == len(args):
        return [_whole_lines(text, first, last, want)]
    return [_word(text, token) for token in named]


def _word(text: str, token: Token) -> tuple[int, int, int]:
    _check_own(token)
    return token.start - 1 if text[token.start - 1] in " \t" else token.start, token.end, token.line


def _check_own(token: Token) -> None:
    if token.imported or token.file:
        raise CorefileError("what serves the zone comes from an import; remove it there by hand.", token.imported or token.line)


def _whole_lines(text: str, first: Token, last: Token, want: Edit) -> tuple[int, int, int]:
    _check_own(first)
    _check_own(last)
    start, end = line_start(text, first.start), line_end(text, last.end)
    rest = text[last.end : end].strip()
    if text[start : first.start].strip() or (rest and not rest.startswith("#")):
        raise CorefileError(f"what serves {want.zone} shares a line with something else; remove it by hand.", first.line)
    return start, end, first.line


# --- adding ---------------------------------------------------------------------------------------------------------------------------


def _with(corefile: Corefile, want: Edit, place: int | None, notes: list[str]) -> str:
    where = _where(corefile, want)
    if want.placement == "inline":
        return _inline(corefile, want, where, notes)
    text = corefile.text
    asked = [block for listener in where for block in corefile.route(normal(want.zone), listener.port)]
    for unseen in _unseen(corefile, asked):
        notes.append(f"Line {unseen.line} imports {unseen.pattern}, which was not seen; what it says of {want.zone} no longer counts.")
    if place is None:
        # The top of the file: in front of everything else a block can be put without touching a byte of it, whether the file
        # ends without a line break, or in the one form of a server block that has no braces and goes on to its end.
        place = 1 if text.startswith(BOM) else 0
    block = marked_lines(want.zone, _separate(corefile, want, where, notes), indent="", eol=_eol(text))
    return text[:place] + block + text[place:]


def _eol(text: str) -> str:
    return "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"


def _separate(corefile: Corefile, want: Edit, where: list[Listener], notes: list[str]) -> list[str]:
    """The lines of the zone's own server block."""
    blocks = list({id(listener.block): listener.block for listener in where if listener.block}.values())
    inside = _binds(corefile, want, where)
    taken = carried(corefile, want, where)
    notes += taken.notes
    if want.errors:
        inside += taken.errors
    inside += taken.plugins
    inside += _metrics(corefile, want, blocks, notes)
    if want.cache:
        inside.append(f"cache {want.cache}")
    if _wants_header(want):
        inside += _header()
    if want.mode == "forward":
        inside += _with_options(f"forward . {' '.join(want.forward_to)}", taken.options)
    else:
        inside.append("loadbalance")
        if want.mode == "plugin":
            inside += _with_options(f"multicluster {want.zone}", taken.options)
        else:
            ttl = [] if want.ttl is None else [f"ttl {want.ttl}"]
            inside += _with_options(f"kubernetes {want.zone}", [f"multicluster {want.zone}", *taken.options, *ttl])
    keys = dict.fromkeys(want.zone + (f":{listener.written_port}" if listener.written_port else "") for listener in where)
    return [f"{' '.join(keys)} {{", *(_INDENT + line for line in inside), "}"]


def _with_options(line: str, options: list[str]) -> list[str]:
    return [f"{line} {{", *(_INDENT + option for option in options), "}"] if options else [line]


def _binds(corefile: Corefile, want: Edit, where: list[Listener]) -> list[str]:
    """The bind lines: a block listens on the addresses of all of them, and on each of its ports."""
    by_port: dict[str, dict[str, Directive]] = {}
    for listener in where:
        stanzas = listener.block.named("bind") if listener.block else []
        by_port.setdefault(listener.port, {}).update({_source(corefile, stanza): stanza for stanza in stanzas})
    first, *others = by_port.values()
    if any(list(other) != list(first) for other in others):
        raise CorefileError(
            f"{want.cluster_domain} is served on several ports with different bind lines; say with port which one {want.zone} belongs to.",
            next(stanza.line for stanzas in by_port.values() for stanza in stanzas.values()),
        )
    for stanza in first.values():
        for token in stanza.args:
            if token.text in want.forward_to or f"{token.text}:{DEFAULT_PORT}" in want.forward_to:
                raise CorefileError(f"forward_to has {token.text}, where this DNS server listens itself.", stanza.line)
    return list(first)


def _header() -> list[str]:
    return ["header {", f"{_INDENT}response set ra", "}"]


def _source(corefile: Corefile, directive: Directive) -> str:
    """A stanza's only line, as it is written."""
    if directive.brace or len(directive.tokens) != 1 + len(directive.args):
        raise CorefileError(
            f"the {directive.name} plugin here has options, which cannot be copied to a block for the zone.", directive.line
        )
    if any(token.file for token in directive.tokens):
        raise CorefileError(f"the {directive.name} plugin here comes from a file, from which it cannot be copied.", directive.line)
    return " ".join(corefile.text[token.start : token.end] for token in directive.tokens)


def _metrics(corefile: Corefile, want: Edit, blocks: list[Block], notes: list[str]) -> list[str]:
    """The prometheus line. Each block needs one to be counted; blocks with the same address share one listener."""
    if want.prometheus == "off":
        return []
    if want.prometheus != "auto":
        return [f"prometheus {want.prometheus}"]
    stanza = next((directive for block in blocks for directive in block.named("prometheus")), None)
    if stanza is None:
        return []
    if stanza.brace:
        notes.append(
            f"The prometheus plugin of line {stanza.line} has options, so {want.zone} gets no metrics of its own; say its address in"
            " prometheus."
        )
        return []
    return [_source(corefile, stanza)]


def _inline(corefile: Corefile, want: Edit, where: list[Listener], notes: list[str]) -> str:
    """The text with the zone in the server block of the cluster domain."""
    block, kubernetes = where[0].block, where[0].kubernetes
    if block is None or kubernetes is None or any(listener.block is not block for listener in where):
        raise CorefileError(
            f"no single server block serves {want.cluster_domain} with the kubernetes plugin, so there is none to put {want.zone} in; use"
            " placement separate."
        )
    if any(corefile.route(normal(want.zone), listener.port) != [block] for listener in where):
        raise CorefileError(f"CoreDNS does not ask this server block for {want.zone}; use placement separate.", block.line)
    hidden = _unseen(corefile, [block])
    if hidden or kubernetes.imported:
        raise CorefileError(
            "a part of this server block is imported; use placement separate.", hidden[0].line if hidden else kubernetes.line
        )
    text, first = corefile.text, kubernetes.tokens[0]
    start = line_start(text, first.start)
    indent = text[start : first.start]
    if indent.strip():
        raise CorefileError("the kubernetes plugin does not stand at the beginning of a line; use placement separate.", first.line)
    notes += kubernetes_notes(kubernetes, want) if want.mode != "forward" else []
    stanza = _inline_stanza(corefile, want, block, kubernetes)
    inserts = [(start, marked_lines(want.zone, stanza, indent=indent, eol=_eol(text)))] if stanza else []
    if want.mode == "builtin":
        inserts += _inline_option(corefile, want, kubernetes, indent)
    for at, insert in reversed(inserts):
        text = text[:at] + insert + text[at:]
    return text


def _inline_stanza(corefile: Corefile, want: Edit, block: Block, kubernetes: Directive) -> list[str]:
    """The lines to put before the kubernetes plugin. (Where they stand is for people: CoreDNS has an order of its own.)"""
    lines = []
    if want.header:
        headers = block.named("header")
        if headers and not _sets_ra(headers[0]):
            # CoreDNS takes the first header stanza of a block and ignores the others
            raise CorefileError(
                "this server block has a header plugin that does not set ra; add `response set ra` to it, or set header to false.",
                headers[0].line,
            )
        if not headers:
            lines += _header()
    if want.mode == "plugin":
        for stanza in block.named("multicluster"):
            # the plugin reads the first stanza of a block and ignores the others
            raise CorefileError("this server block has the plugin multicluster already; use placement separate.", stanza.line)
        options = reach(corefile, kubernetes, want)
        lines += _with_options(f"multicluster {want.zone}", [*options, *(["fallthrough"] if want.fallthrough else [])])
    elif want.mode == "forward":
        lines.append(f"forward {want.zone} {' '.join(want.forward_to)}")
    return lines


def _inline_option(corefile: Corefile, want: Edit, kubernetes: Directive, indent: str) -> list[tuple[int, str]]:
    """The zone among the kubernetes plugin's zones, and the option in its block: ``(offset, text)`` each."""
    text, args, brace = corefile.text, kubernetes.args, kubernetes.brace
    after = next((token for token in args if zones_of(token.text) == [normal(want.cluster_domain)]), None)
    if after is None:
        raise CorefileError(
            f"the kubernetes plugin does not name {want.cluster_domain} among its zones; use placement separate.", kubernetes.line
        )
    for option in kubernetes.options:
        if option[0].text == "multicluster":
            raise CorefileError(
                "the kubernetes plugin has a multicluster zone already, and CoreDNS takes one such line; use placement separate.",
                option[0].line,
            )
    zone = (after.end, f" {want.zone}")
    option_line = [f"multicluster {want.zone}"]
    if brace is None:
        if len(kubernetes.tokens) != 1 + len(args):
            raise CorefileError("the kubernetes plugin's brace is not on its line, which CoreDNS refuses.", kubernetes.line)
        body = marked_lines(want.zone, option_line, indent=indent + _INDENT, eol=_eol(text), braces=True)
        return [zone, (args[-1].end, f" {{{_eol(text)}{body}{indent}}}")]
    following = kubernetes.tokens[kubernetes.tokens.index(brace) + 1]
    if following.line == brace.line:
        raise CorefileError(
            "the kubernetes plugin's options begin on the line of its brace; put a line break after it, or use placement separate.",
            brace.line,
        )
    at = line_end(text, brace.end)
    inner = indent + _INDENT if following.text == "}" else text[line_start(text, following.start) : following.start]
    return [zone, (at, marked_lines(want.zone, option_line, indent=inner, eol=_eol(text)))]
