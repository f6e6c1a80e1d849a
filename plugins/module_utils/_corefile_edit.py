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
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile import (
    DEFAULT_PORT,
    Block,
    Corefile,
    CorefileError,
    Directive,
    covers,
    normal,
    parse,
    zones_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile_lexer import BOM, Token

__all__ = ["Edit", "Result", "edit", "how_served", "marked_zones"]

MARK = "# clusterset.dns:"
_BRACES = "with braces"
_INDENT = "    "
# forward refuses more (plugin/forward/setup.go)
_MOST_UPSTREAMS = 15
# Plugins whose arguments may name the zone without answering for it.
_HARMLESS = frozenset(
    [
        "acl",
        "bufsize",
        "cache",
        "debug",
        "dns64",
        "dnstap",
        "errors",
        "header",
        "health",
        "local",
        "log",
        "loadbalance",
        "loop",
        "metadata",
        "minimal",
        "prometheus",
        "ready",
        "reload",
        "trace",
    ]
)


@dataclasses.dataclass(frozen=True)
class Edit:
    """What a Corefile shall be like.

    ``header`` None means the default: on in a server block of ours that answers itself, off elsewhere. ``prometheus`` is
    ``auto`` (as in the block that serves the cluster domain), ``off`` or an address. ``cache`` and ``ttl`` are seconds; ``cache`` 0 is no
    cache. ``port`` None means the port of the block that serves the cluster domain.
    """

    zone: str
    state: str = "present"
    mode: str = "builtin"
    placement: str = "separate"
    header: bool | None = None
    forward_to: tuple[str, ...] = ()
    cluster_domain: str = "cluster.local"
    port: int | None = None
    ttl: int | None = None
    cache: int = 0
    errors: bool = True
    prometheus: str = "auto"
    fallthrough: bool = False
    adopt: bool = False


class Result(t.NamedTuple):
    """``adopted``: the zone is served by text that was made by hand and left as it is. ``notes`` are sentences for the user."""

    text: str
    changed: bool
    adopted: bool
    notes: tuple[str, ...]


class _Region(t.NamedTuple):
    """The lines from one mark to the other, both included. ``braces``: the braces around it are ours as well."""

    zone: str
    start: int
    end: int
    line: int
    braces: bool

    def holds(self, token: Token) -> bool:
        return not token.imported and not token.file and self.start <= token.start < self.end


class _Service(t.NamedTuple):
    """Text that makes CoreDNS answer for the zone. ``mode`` is '' for what is not a multicluster service."""

    mode: str
    placement: str
    block: Block
    directive: Directive | None
    upstreams: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        return self.directive.line if self.directive else self.block.line


def edit(
    text: str,
    want: Edit,
    *,
    imports: t.Mapping[str, str] | None = None,
    env: t.Mapping[str, str] | None = None,
) -> Result:
    """Bring a Corefile to what is wanted; ``imports`` and ``env`` as for :func:`_corefile.parse`.

    :raises CorefileError: the settings or the Corefile do not allow it. Nothing is returned half done.
    """
    want = _checked(want)
    before = parse(text, imports=imports, env=env)
    regions = _regions(before)
    ours = [region for region in regions if region.zone == want.zone]
    base, place = _without(before, ours)
    plain = parse(base, imports=imports, env=env) if ours else before
    _same(before, ours, plain)

    notes: list[str] = []
    adopted = False
    if want.state == "absent":
        left = _services(plain, want, _listeners(plain, want), strict=False)
        if left and want.adopt:
            plain = _take_away(plain, left, want, imports, env)
        elif left:
            adopted = bool(left[0].mode)
            notes.append(
                f"{want.zone} is still served by lines that were not put there by this module (line {left[0].line})."
            )
        result = plain.text
    else:
        _check_readable(plain, want)
        found = _services(plain, want, _listeners(plain, want))
        if found and ours:
            raise CorefileError(
                f"{want.zone} is served twice, by lines of this module (line {ours[0].line}) and by others here. Remove one of them.",
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
    after = parse(result, imports=imports, env=env)
    _same(after, [region for region in _regions(after) if region.zone == want.zone], plain)
    return Result(result, result != text, adopted, tuple(notes))


def how_served(corefile: Corefile, zone: str, *, cluster_domain: str = "cluster.local") -> dict[str, t.Any] | None:
    """How a zone is served: ``mode`` ('' for what is not a multicluster service), ``placement``, ``line``, ``ours``, and the block's ``plugins``; None if it is not."""
    want = _checked(Edit(zone=zone, state="absent", cluster_domain=cluster_domain))
    found = _services(corefile, want, _listeners(corefile, want), strict=False)
    if not found:
        return None
    service = found[0]
    if service.directive:
        heads = [
            service.directive.tokens[0],
            *(line[0] for line in service.directive.options if line[0].text == "multicluster"),
        ]
    else:
        heads = [service.block.keys[0].token]
    return {
        "mode": service.mode,
        "placement": service.placement,
        "line": service.line,
        "ours": any(region.holds(head) for region in _regions(corefile) if region.zone == want.zone for head in heads),
        "plugins": sorted({directive.name for directive in service.block.directives}),
    }


def marked_zones(corefile: Corefile) -> list[str]:
    """The zones that have lines of ours in a Corefile."""
    return sorted({region.zone for region in _regions(corefile)})


# --- settings -----------------------------------------------------------------------------------------------------------------


def _checked(want: Edit) -> Edit:
    zone = _domain(want.zone, "zone")
    cluster_domain = _domain(want.cluster_domain, "cluster domain")
    want = dataclasses.replace(want, zone=zone, cluster_domain=cluster_domain)
    if want.state == "absent":
        return want
    if zone == cluster_domain:
        raise CorefileError(
            f"the zone {zone} is the cluster domain itself; a multicluster zone needs a name of its own, such as clusterset.local."
        )
    if covers(zone, cluster_domain) or covers(cluster_domain, zone):
        raise CorefileError(
            f"the zone {zone} and the cluster domain {cluster_domain} lie within one another; take a zone beside it, such as clusterset.local."
        )
    if zone.endswith(("in-addr.arpa", "ip6.arpa")):
        raise CorefileError(f"{zone} is a reverse zone; ServiceImports have no names there.")
    if want.mode == "forward" and not want.forward_to:
        raise CorefileError("mode forward needs forward_to, the addresses of the DNS servers that answer for the zone.")
    if want.mode != "forward" and want.forward_to:
        raise CorefileError(f"forward_to belongs to mode forward, the mode is {want.mode}.")
    if len(want.forward_to) > _MOST_UPSTREAMS:
        raise CorefileError(
            f"forward_to has {len(want.forward_to)} addresses, CoreDNS takes {_MOST_UPSTREAMS} at the most."
        )
    for address in want.forward_to:
        _check_upstream(address)
    if want.ttl is not None and (want.mode != "builtin" or want.placement != "separate"):
        raise CorefileError(
            "ttl is an option of mode builtin with placement separate; the plugin's TTL is 5 s, and a shared block has one of its own."
        )
    if want.ttl is not None and not 0 <= want.ttl <= 3600:
        raise CorefileError(f"ttl is {want.ttl}, CoreDNS takes 0 to 3600 seconds.")
    if want.cache and want.placement != "separate":
        raise CorefileError("cache belongs to placement separate; a shared server block has a cache of its own.")
    if want.cache < 0:
        raise CorefileError(f"cache is {want.cache}; it is a number of seconds, or 0 for no cache.")
    if want.fallthrough and (want.mode != "plugin" or want.placement != "inline"):
        raise CorefileError(
            "fallthrough is for mode plugin with placement inline: in a block of the zone's own there is nothing to fall through to."
        )
    if want.port is not None and not 1 <= want.port <= 65535:
        raise CorefileError(f"port is {want.port}; it must be 1 to 65535.")
    if want.prometheus not in ("auto", "off"):
        _check_word(want.prometheus, "prometheus")
        if _port(want.prometheus) is None:
            raise CorefileError(
                f"prometheus is {want.prometheus!r}; it must be auto, off, or an address with a port such as :9153."
            )
    return want


def _domain(name: str, what: str) -> str:
    """A domain name in lower case without its final dot; whatever could end a word, a line or a block is refused with the rest."""
    domain = name.strip(" ").removesuffix(".").lower()
    labels = domain.split(".")
    for label in labels:
        fine = (
            label.isascii()
            and label.replace("-", "").isalnum()
            and not label.startswith("-")
            and not label.endswith("-")
        )
        if not fine or len(label) > 63:
            raise CorefileError(f"the {what} {name!r} is not a domain name (letters, digits and hyphens, 63 a label).")
    if len(domain) > 253:
        raise CorefileError(f"the {what} {name!r} is longer than 253 characters.")
    if all(label.isdigit() for label in labels):
        raise CorefileError(f"the {what} {name!r} is an address, not a domain name.")
    return domain


def _check_upstream(address: str) -> None:
    host = address
    if _port(address) is not None and (address.count(":") == 1 or address.startswith("[")):
        host = address.rpartition(":")[0]
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise CorefileError(
            f"forward_to has {address!r}; it must be an IP address, with :PORT if that is not 53."
        ) from None
    if ip.is_unspecified or ip.is_multicast or (ip.is_loopback and (_port(address) if host != address else 53) == 53):
        raise CorefileError(f"forward_to has {address}; CoreDNS would ask itself or nobody.")


def _port(address: str) -> int | None:
    digits = address.rpartition(":")[2] if ":" in address else ""
    return int(digits) if digits.isascii() and digits.isdigit() and int(digits) < 65536 else None


def _check_word(word: str, what: str) -> None:
    if not word.isascii() or not word.isprintable() or any(sign in word for sign in ' {}"#'):
        raise CorefileError(f"{what} is {word!r}, which is not one plain word.")


# --- what is ours -----------------------------------------------------------------------------------------------------------------


def _regions(corefile: Corefile) -> list[_Region]:
    """The stretches between our marks, for any zone."""
    text = corefile.text
    regions: list[_Region] = []
    opened: tuple[str, int, int, bool] | None = None
    for comment in corefile.comments:
        words = text[comment.start : comment.end].split()
        if " ".join(words[:2]) != MARK or words[2:3] not in (["begin"], ["end"]):
            continue
        start = _line_start(text, comment.start)
        zone = words[3] if len(words) > 3 else ""
        if (
            text[start : comment.start].strip()
            or not zone
            or (opened is None) == (words[2] == "end")
            or (opened and opened[0] != zone)
        ):
            raise CorefileError(
                f"the marks of {zone or 'a zone'} ({MARK} begin …, {MARK} end …) are broken. Repair or remove them and what is between.",
                comment.line,
            )
        if opened is None:
            opened = (zone, start, comment.line, " ".join(words[4:]) == _BRACES)
        else:
            regions.append(_Region(zone, opened[1], min(comment.end + 1, len(text)), opened[2], opened[3]))
            opened = None
    if opened:
        raise CorefileError(
            f"the mark that begins {opened[0]} has no end. Repair it, or remove it and what follows of it.", opened[2]
        )
    return regions


def _line_start(text: str, offset: int) -> int:
    start = text.rfind("\n", 0, offset) + 1
    return start + 1 if text.startswith(BOM, start) and start == 0 else start


def _line_end(text: str, offset: int) -> int:
    end = text.find("\n", offset)
    return len(text) if end < 0 else end + 1


def _enclosing(corefile: Corefile, region: _Region) -> Directive | None:
    """The stanza that a region is a part of, None if it stands between stanzas or between server blocks."""
    for block in corefile.blocks:
        for directive in block.directives:
            first, last = directive.tokens[0], directive.tokens[-1]
            if not directive.imported and first.start < region.start and region.end <= last.end:
                return directive
    return None


def _own_braces(text: str, directive: Directive, region: _Region) -> tuple[int, int] | None:
    """From the end of the stanza's first line to after its closing brace, if a region's braces hold nothing but the region."""
    brace, last = directive.brace, directive.tokens[-1]
    if not region.braces or brace is None or last.text != "}":
        return None
    before = directive.tokens[len(directive.args)].end
    if text[before : region.start].split() != ["{"] or text[region.end : last.start].strip():
        return None
    return before, last.end


def _added_zones(directive: Directive, region: _Region) -> list[Token]:
    """The zone as a word on the line of the stanza that a region is a part of."""
    return [token for token in directive.args if zones_of(token.text) == [normal(region.zone)]]


def _without(corefile: Corefile, ours: list[_Region]) -> tuple[str, int | None]:
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
        if len(blocks) > 1 or any(
            zone != normal(region.zone) for block in blocks for key in block.keys for zone in key.zones
        ):
            raise CorefileError(
                f"between the marks of {region.zone} stands a server block of another zone. Move it out.", region.line
            )
        if blocks:
            block_at = region.start
        else:
            _check_contents(
                region,
                [d.tokens[0] for block in corefile.blocks for d in block.directives if region.holds(d.tokens[0])],
            )
        cuts.append((region.start, region.end))
    cuts.sort()
    if block_at is not None:
        block_at -= sum(end - start for start, end in cuts if end <= block_at)
    return _cut(text, cuts), block_at


def _check_contents(region: _Region, words: list[Token]) -> None:
    for token in words:
        if token.text not in ("forward", "header", "multicluster"):
            raise CorefileError(
                f"{token.text} stands between the marks of {region.zone} (line {region.line}), where only lines of this module belong. Move it out.",
                token.line,
            )


def _cut(text: str, cuts: list[tuple[int, int]]) -> str:
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + text[end:]
    return text


def _foreign(corefile: Corefile, ours: list[_Region]) -> list[tuple[list[str], list[list[tuple[str, bool]]]]]:
    """What the file says apart from our regions: keys and stanzas, each word with whether it begins a line."""

    def is_ours(token: Token) -> bool:
        return any(region.holds(token) for region in ours)

    inner: dict[int, list[_Region]] = {}
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
                    words.append(
                        (
                            token.text,
                            token.file != previous.file or token.line > previous.line + previous.text.count("\n"),
                        )
                    )
                    previous = token
            stanzas.append(words)
        said.append(([key.token.text for key in block.keys], stanzas))
    return said


def _same(corefile: Corefile, ours: list[_Region], plain: Corefile) -> None:
    """The proof that nothing of others was touched."""
    if _foreign(corefile, ours) != _foreign(plain, []):
        line = ours[0].line if ours else None
        raise CorefileError(
            "the lines of this module cannot be told from the rest: the marks do not enclose whole stanzas. Nothing is written.",
            line,
        )


# --- what is there ----------------------------------------------------------------------------------------------------------------


class _Listener(t.NamedTuple):
    """A port on which the cluster domain is answered, by which block (None: nobody), with which kubernetes stanza."""

    port: str
    written_port: str
    block: Block | None
    kubernetes: Directive | None


def _listeners(corefile: Corefile, want: Edit) -> list[_Listener]:
    """Where the zone has to be served: on the ports on which the cluster domain is."""
    domain = normal(want.cluster_domain)
    found = []
    for port in dict.fromkeys(key.port for block in corefile.blocks for key in block.keys if key.scheme == "dns"):
        for block in corefile.route(domain, port):
            key = max(
                (key for key in block.keys if key.scheme == "dns" and key.port == port),
                key=lambda key: max((len(zone) for zone in key.zones if covers(zone, domain)), default=0),
            )
            stanza = next(
                (d for d in block.named("kubernetes") if any(covers(z, domain) for z in _zones(d, block))), None
            )
            found.append(_Listener(port, key.written_port, block, stanza))
    found = [listener for listener in found if listener.kubernetes] or found
    if want.port is not None:
        port = str(want.port)
        found = [listener for listener in found if listener.port == port] or [_Listener(port, port, None, None)]
    return found or [_Listener(DEFAULT_PORT, DEFAULT_PORT, None, None)]


def _zones(directive: Directive, block: Block) -> list[str]:
    """The zones of a stanza: its arguments, or those of the server block (OriginsFromArgsOrServerBlock)."""
    if directive.args:
        return [zone for token in directive.args for zone in zones_of(token.text)]
    return [zone for key in block.keys for zone in key.zones]


def _services(corefile: Corefile, want: Edit, listeners: list[_Listener], *, strict: bool = True) -> list[_Service]:
    """What answers for the zone already. ``strict`` refuses what would answer for a part of it or could not be judged."""
    zone = normal(want.zone)
    found: list[_Service] = []
    for port in dict.fromkeys(listener.port for listener in listeners):
        for block in corefile.blocks if strict else []:
            for below in block.zones_on(port):
                if below != zone and covers(zone, below):
                    raise CorefileError(
                        f"a server block of {below.removesuffix('.')} takes a part of {want.zone} away.", block.line
                    )
        for block in corefile.route(zone, port):
            own = zone in block.zones_on(port)
            answering = [
                service for directive in block.directives if (service := _service(directive, block, zone, own))
            ]
            if own and not answering:
                answering = [_Service("", "separate", block, None)]
            found += answering
            kubernetes = block.named("kubernetes")
            if strict and len(kubernetes) > 1:
                raise CorefileError(
                    "a server block has the kubernetes plugin twice, which CoreDNS refuses.", kubernetes[1].line
                )
    distinct = {(id(service.block), id(service.directive)): service for service in found}
    # a multicluster service first: with one of those in the zone's own block, what else stands there is its business
    return sorted(distinct.values(), key=lambda service: not service.mode)


def _service(directive: Directive, block: Block, zone: str, own: bool) -> _Service | None:
    placement = "separate" if own else "inline"
    if directive.name == "kubernetes":
        if zone not in _zones(directive, block):
            return None
        # the last such line counts, as in plugin/kubernetes/setup.go
        served = [
            [z for token in option[1:] for z in zones_of(token.text)]
            for option in directive.options
            if option[0].text == "multicluster"
        ]
        return _Service("builtin" if served and zone in served[-1] else "", placement, block, directive)
    if directive.name == "multicluster":
        return _Service("plugin", placement, block, directive) if zone in _zones(directive, block) else None
    if directive.name == "forward":
        origin = zones_of(directive.args[0].text) if directive.args else []
        if origin == [zone] or (own and any(covers(z, zone) for z in origin)):
            return _Service("forward", placement, block, directive, tuple(token.text for token in directive.args[1:]))
        return None
    if (
        not own
        and directive.name not in _HARMLESS
        and any(_mentions(token.text, zone) for token in directive.tokens[1:])
    ):
        return _Service("", placement, block, directive)
    return None


def _mentions(word: str, zone: str) -> bool:
    """Whether a name in or below the zone occurs in a word, as itself or as a pattern with escaped dots."""
    word, name = word.replace("\\.", ".").lower(), zone.removesuffix(".")
    at = word.find(name)
    while at != -1:
        before, after = word[at - 1 : at] if at else "", word[at + len(name) :]
        inside = before.isalnum() or before in ("-", "_") if before else False
        goes_on = after[:1].isalnum() or after[:1] in ("-", "_") or (after[:1] == "." and after[1:2].isalnum())
        if not inside and not (after and goes_on):
            return True
        at = word.find(name, at + 1)
    return False


def _check_readable(corefile: Corefile, want: Edit) -> None:
    """Refuse where the zone may be served by something that cannot be seen."""
    for block in corefile.blocks:
        for key in block.keys:
            if key.unknown:
                raise CorefileError(
                    f"the zone {key.token.text} of this server block comes from CoreDNS's environment; say in env what it is.",
                    block.line,
                )
    for unseen in corefile.unseen:
        if unseen.level == "server":
            raise CorefileError(
                f"import {unseen.pattern} may bring a server block for {want.zone} that cannot be seen from here."
                " Give the imported files in imports ({} if there are none), or write the zone into one of those files instead.",
                unseen.line,
            )


def _check_adoptable(service: _Service, want: Edit) -> None:
    if not service.mode:
        by = f"by {service.directive.name}" if service.directive else "by a server block without a multicluster plugin"
        raise CorefileError(f"{want.zone} is already served {by}.", service.line)
    if service.mode != want.mode:
        raise CorefileError(
            f"{want.zone} is already served in mode {service.mode} by lines that were made by hand. Set mode to {service.mode} to keep them, or adopt to replace them.",
            service.line,
        )
    if service.mode == "forward" and {_upstream(a) for a in service.upstreams} != {
        _upstream(a) for a in want.forward_to
    }:
        raise CorefileError(
            f"{want.zone} is already forwarded to {' '.join(service.upstreams)} by lines that were made by hand. Set adopt to replace them.",
            service.line,
        )


def _upstream(address: str) -> str:
    return address.removeprefix("dns://").removesuffix(f":{DEFAULT_PORT}").lower()


def _adoption_note(service: _Service, want: Edit) -> str:
    note = f"{want.zone} is served by lines that were made by hand (line {service.line}, {service.placement}), which are left as they are"
    differs = []
    if service.placement != want.placement:
        differs.append(f"placement {want.placement}")
    if _wants_header(want) and not any(_sets_ra(directive) for directive in service.block.named("header")):
        differs.append("header")
    return note + (f"; asked for, but not there: {', '.join(differs)}." if differs else ".")


def _sets_ra(header: Directive) -> bool:
    return any(
        [token.text.lower() for token in option[:2]] == ["response", "set"]
        and "ra" in [token.text.lower() for token in option[2:]]
        for option in header.options
    )


def _wants_header(want: Edit) -> bool:
    return want.placement == "separate" and want.mode != "forward" if want.header is None else want.header


# --- taking over what was made by hand ----------------------------------------------------------------------------------------------


def _take_away(
    corefile: Corefile,
    found: list[_Service],
    want: Edit,
    imports: t.Mapping[str, str] | None,
    env: t.Mapping[str, str] | None,
) -> Corefile:
    """The Corefile without the services that were made by hand."""
    zone = normal(want.zone)
    text = corefile.text
    cuts: list[tuple[int, int, int]] = []
    for service in found:
        if not service.mode:
            _check_adoptable(service, want)
        block, directive = service.block, service.directive
        assert directive is not None
        if service.placement == "separate":
            if any(key.zones != [zone] for key in block.keys):
                raise CorefileError(
                    f"the server block that serves {want.zone} serves other zones as well; take {want.zone} out of it by hand.",
                    block.line,
                )
            if block.opening is None or block.closing is None:
                raise CorefileError(
                    f"the server block that serves {want.zone} has no braces; remove it by hand.", block.line
                )
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
    taken = [_Region(want.zone, start, end, line, False) for start, end, line in dict.fromkeys(cuts)]
    plain = parse(_cut(text, [(region.start, region.end) for region in taken]), imports=imports, env=env)
    _same(corefile, taken, plain)
    return plain


def _zone_out(
    text: str, first: Token, args: list[Token], last: Token, zone: str, want: Edit
) -> list[tuple[int, int, int]]:
    named = [token for token in args if zones_of(token.text) == [zone]]
    if len(named) == len(args):
        return [_whole_lines(text, first, last, want)]
    return [_word(text, token) for token in named]


def _word(text: str, token: Token) -> tuple[int, int, int]:
    _check_own(token)
    return token.start - 1 if text[token.start - 1] in " \t" else token.start, token.end, token.line


def _check_own(token: Token) -> None:
    if token.imported or token.file:
        raise CorefileError(
            "what serves the zone comes from an import; remove it there by hand.", token.imported or token.line
        )


def _whole_lines(text: str, first: Token, last: Token, want: Edit) -> tuple[int, int, int]:
    _check_own(first)
    _check_own(last)
    start, end = _line_start(text, first.start), _line_end(text, last.end)
    rest = text[last.end : end].strip()
    if text[start : first.start].strip() or (rest and not rest.startswith("#")):
        raise CorefileError(
            f"what serves {want.zone} shares a line with something else; remove it by hand.", first.line
        )
    return start, end, first.line


# --- adding ---------------------------------------------------------------------------------------------------------------------------


def _with(corefile: Corefile, want: Edit, place: int | None, notes: list[str]) -> str:
    listeners = _listeners(corefile, want)
    if want.placement == "inline":
        return _inline(corefile, want, listeners)
    text = corefile.text
    if place is None:
        # The top of the file: in front of everything else a block can be put without touching a byte of it, whether the file
        # ends without a line break, or in the one form of a server block that has no braces and goes on to its end.
        place = 1 if text.startswith(BOM) else 0
    return text[:place] + _lines(_separate(corefile, want, listeners, notes), want, text, "") + text[place:]


def _lines(lines: list[str], want: Edit, text: str, indent: str, braces: bool = False) -> str:
    eol = "\r\n" if text[: text.find("\n") + 1].endswith("\r\n") else "\n"
    begin = f"{MARK} begin {want.zone}" + (f" {_BRACES}" if braces else "")
    return "".join(indent + line + eol for line in [begin, *lines, f"{MARK} end {want.zone}"])


def _separate(corefile: Corefile, want: Edit, listeners: list[_Listener], notes: list[str]) -> list[str]:
    """The lines of the zone's own server block."""
    blocks = list({id(listener.block): listener.block for listener in listeners if listener.block}.values())
    binds = {tuple(_source(corefile, directive) for directive in block.named("bind")) for block in blocks}
    if len(binds) > 1:
        raise CorefileError(
            f"{want.cluster_domain} is served on several addresses and ports by different blocks; say with port which one {want.zone} belongs to.",
            blocks[1].line,
        )
    inside = [*(binds.pop() if binds else ())]
    if want.errors:
        inside.append("errors")
    inside += _metrics(corefile, want, blocks, notes)
    if want.cache:
        inside.append(f"cache {want.cache}")
    if _wants_header(want):
        inside += _header()
    if want.mode == "forward":
        inside.append(f"forward . {' '.join(want.forward_to)}")
    else:
        inside.append("loadbalance")
        if want.mode == "plugin":
            inside.append(f"multicluster {want.zone}")
        else:
            options = [f"multicluster {want.zone}", *([] if want.ttl is None else [f"ttl {want.ttl}"])]
            inside += [f"kubernetes {want.zone} {{", *(_INDENT + option for option in options), "}"]
    keys = dict.fromkeys(
        want.zone + (f":{listener.written_port}" if listener.written_port else "") for listener in listeners
    )
    return [f"{' '.join(keys)} {{", *(_INDENT + line for line in inside), "}"]


def _header() -> list[str]:
    return ["header {", f"{_INDENT}response set ra", "}"]


def _source(corefile: Corefile, directive: Directive) -> str:
    """A stanza's only line, as it is written."""
    if directive.brace or len(directive.tokens) != 1 + len(directive.args):
        raise CorefileError(
            f"the {directive.name} plugin here has options, which cannot be copied to a block for the zone.",
            directive.line,
        )
    return " ".join(token.text if token.file else corefile.text[token.start : token.end] for token in directive.tokens)


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
            f"The prometheus plugin of line {stanza.line} has options, so {want.zone} gets no metrics of its own; say its address in prometheus."
        )
        return []
    return [_source(corefile, stanza)]


def _inline(corefile: Corefile, want: Edit, listeners: list[_Listener]) -> str:
    """The text with the zone in the server block of the cluster domain."""
    block, kubernetes = listeners[0].block, listeners[0].kubernetes
    if block is None or kubernetes is None or any(listener.block is not block for listener in listeners):
        raise CorefileError(
            f"no single server block serves {want.cluster_domain} with the kubernetes plugin, so there is none to put {want.zone} in; use placement separate."
        )
    if any(corefile.route(normal(want.zone), listener.port) != [block] for listener in listeners):
        raise CorefileError(
            f"CoreDNS does not ask this server block for {want.zone}; use placement separate.", block.line
        )
    hidden = [unseen.line for unseen in corefile.unseen if corefile.blocks[unseen.block] is block]
    if hidden or kubernetes.imported:
        raise CorefileError(
            "a part of this server block is imported; use placement separate.", hidden[0] if hidden else kubernetes.line
        )
    text, first = corefile.text, kubernetes.tokens[0]
    start = _line_start(text, first.start)
    indent = text[start : first.start]
    if indent.strip():
        raise CorefileError(
            "the kubernetes plugin does not stand at the beginning of a line; use placement separate.", first.line
        )
    stanza = _inline_stanza(want, block)
    inserts = [(start, _lines(stanza, want, text, indent))] if stanza else []
    if want.mode == "builtin":
        inserts += _inline_option(corefile, want, kubernetes, indent)
    for at, insert in reversed(inserts):
        text = text[:at] + insert + text[at:]
    return text


def _inline_stanza(want: Edit, block: Block) -> list[str]:
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
        lines += (
            [f"multicluster {want.zone} {{", f"{_INDENT}fallthrough", "}"]
            if want.fallthrough
            else [f"multicluster {want.zone}"]
        )
    elif want.mode == "forward":
        lines.append(f"forward {want.zone} {' '.join(want.forward_to)}")
    return lines


def _inline_option(corefile: Corefile, want: Edit, kubernetes: Directive, indent: str) -> list[tuple[int, str]]:
    """The zone among the kubernetes plugin's zones, and the option in its block: ``(offset, text)`` each."""
    text, args, brace = corefile.text, kubernetes.args, kubernetes.brace
    after = next((token for token in args if zones_of(token.text) == [normal(want.cluster_domain)]), None)
    if after is None:
        raise CorefileError(
            f"the kubernetes plugin does not name {want.cluster_domain} among its zones; use placement separate.",
            kubernetes.line,
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
            raise CorefileError(
                "the kubernetes plugin's brace is not on its line, which CoreDNS refuses.", kubernetes.line
            )
        body = _lines(option_line, want, text, indent + _INDENT, braces=True)
        eol = body[body.index("\n") - 1 :][:2] if "\r\n" in body else "\n"
        return [zone, (args[-1].end, f" {{{eol}{body}{indent}}}")]
    following = kubernetes.tokens[kubernetes.tokens.index(brace) + 1]
    if following.line == brace.line:
        raise CorefileError(
            "the kubernetes plugin's options begin on the line of its brace; put a line break after it, or use placement separate.",
            brace.line,
        )
    at = _line_end(text, brace.end)
    inner = indent + _INDENT if following.text == "}" else text[_line_start(text, following.start) : following.start]
    return [zone, (at, _lines(option_line, want, text, inner))]
