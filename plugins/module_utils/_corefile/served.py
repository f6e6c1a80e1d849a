# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Which zones a Corefile serves for multicluster, and whether the lines that do so are ours, marked or not.

The marks are comments, and whatever parses a Corefile and writes it anew drops them. So lines that are word for word what this collection writes
are taken for ours, where that is telling: a server block of the zone's own is, with ``loadbalance`` in front of the plugin that answers. What stands
in the block of another zone is what CoreDNS's manual shows too, and a block that forwards is what anyone would write; those are ours only where
the Corefile is known as it was before the first change, and did not serve the zone.
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.carry import OPTIONS, PLUGINS
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.marks import marked_zones, regions
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import (
    Block,
    Corefile,
    CorefileError,
    Directive,
    normal,
    parse,
    zones_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.service import Service, multicluster_option, services_of, zones_in

__all__ = ["Served", "multicluster_zones", "ours", "unmarked_services"]


class Served(t.NamedTuple):
    """A zone, how it is served (``mode`` is '' for what is not a multicluster service), on which line, and whether the lines are ours."""

    zone: str
    mode: str
    placement: str
    line: int
    ours: bool


def multicluster_zones(corefile: Corefile, original: str | None = None) -> list[Served]:
    """Every zone that a Corefile serves for multicluster, on whatever port, in the order of the file.

    That is by the option of the plugin kubernetes, by the plugin multicluster, or forwarded by lines of ours. What imports bring that could not be
    followed is not in it: see ``corefile.unseen``.

    :arg original: the Corefile before the first change, where that is known.
    """
    found: dict[tuple[str, int, int], Served] = {}
    marked = regions(corefile)
    for block in corefile.blocks:
        for directive in block.directives:
            if directive.name == "kubernetes":
                zones = multicluster_option(directive)
            elif directive.name == "multicluster":
                zones = zones_in(directive, block)
            elif directive.name == "forward":
                zones = [normal(region.zone) for region in marked if region.holds(directive.tokens[0])]
            else:
                continue
            for zone in zones:
                for service in services_of(directive, block, zone):
                    name = zone.removesuffix(".")
                    mine = ours(corefile, service, name, original)
                    found[name, id(block), id(directive)] = Served(name, service.mode, service.placement, service.line, mine)
    return [served for served in found.values() if served.mode]


def ours(corefile: Corefile, service: Service, zone: str, original: str | None = None) -> bool:
    """Whether a service of a zone is ours: marked, or, where no mark is left in the Corefile, as we would have written it."""
    if service.directive is None:
        heads = [service.block.keys[0].token]
    else:
        heads = [service.directive.tokens[0], *(line[0] for line in service.directive.options if line[0].text == "multicluster")]
    if any(region.holds(head) for region in regions(corefile, zone) for head in heads):
        return True
    directive = service.directive
    if directive is None or not service.mode or directive.imported or marked_zones(corefile):
        return False
    known = original is not None and not _serves(original, zone)
    if service.placement == "inline":
        return known and _inline(directive, service.mode, zone)
    return _separate(service.block, zone, known)


def unmarked_services(corefile: Corefile, zone: str, original: str | None = None) -> list[Service]:
    """The services of a zone that are ours, on whatever port, in a Corefile where it has no marks."""
    services = (one for block in corefile.blocks for directive in block.directives for one in services_of(directive, block, normal(zone)))
    return [service for service in services if ours(corefile, service, zone, original)]


def _serves(text: str, zone: str) -> bool:
    """Whether a Corefile has a word that is the zone; so does one that cannot be read."""
    try:
        corefile = parse(text)
    except CorefileError:
        return True
    keys = [key.token for block in corefile.blocks for key in block.keys]
    words = [token for block in corefile.blocks for directive in block.directives for token in directive.tokens]
    return any(normal(zone) in zones_of(token.text.rpartition("://")[2].partition(":")[0]) for token in [*keys, *words])


def _separate(block: Block, zone: str, known: bool) -> bool:
    """Whether a server block is one that ``_separate`` of ``_corefile.editing`` makes, apart from what was taken over of another block."""
    if any(key.zones != [normal(zone)] or key.scheme != "dns" for key in block.keys):
        return False
    kept = [one for one in block.directives if one.name not in PLUGINS and one.name not in ("bind", "errors", "prometheus")]
    stanzas = [[token.text for token in one.tokens] for one in kept]
    if stanzas and stanzas[0][0] == "cache" and len(stanzas[0]) == 2 and stanzas[0][1].isdigit():
        stanzas.pop(0)
    if stanzas and stanzas[0] == ["header", "{", "response", "set", "ra", "}"]:
        stanzas.pop(0)
    last = kept[-1]
    if len(stanzas) == 1:
        return known and last.name == "forward" and last.args[0].text == "." and _only(last, OPTIONS["forward"])
    if len(stanzas) != 2 or stanzas[0] != ["loadbalance"] or [token.text for token in last.args] != [zone]:
        return False
    if last.name == "multicluster":
        return _only(last, OPTIONS["plugin"])
    options = [[token.text for token in option] for option in last.options]
    return options[:1] == [["multicluster", zone]] and _only(last, OPTIONS["builtin"] | {"multicluster", "ttl"})


def _inline(directive: Directive, mode: str, zone: str) -> bool:
    """Whether a stanza in the block of another zone is one that ``_inline`` of ``_corefile.editing`` makes or adds to."""
    args = [token.text for token in directive.args]
    if mode == "builtin":
        options = [[token.text for token in option] for option in directive.options if option[0].text == "multicluster"]
        return zone in args and options == [["multicluster", zone]]
    if mode == "plugin":
        return args == [zone] and _only(directive, OPTIONS["plugin"] | {"fallthrough"})
    return args[:1] == [zone] and _only(directive, frozenset())


def _only(directive: Directive, names: t.Collection[str]) -> bool:
    return all(option[0].text in names for option in directive.options)
