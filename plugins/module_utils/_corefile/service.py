# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Where a Corefile serves a zone already, and where it would have to."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import (
    DEFAULT_PORT,
    Block,
    Corefile,
    CorefileError,
    Directive,
    covers,
    normal,
    zones_of,
)

__all__ = ["Listener", "Service", "listeners", "multicluster_option", "services", "services_of", "zones_in"]

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


class Service(t.NamedTuple):
    """Text that makes CoreDNS answer for the zone. ``mode`` is '' for what is not a multicluster service."""

    mode: str
    placement: str
    block: Block
    directive: Directive | None
    upstreams: tuple[str, ...] = ()

    @property
    def line(self) -> int:
        return self.directive.line if self.directive else self.block.line


class Listener(t.NamedTuple):
    """A port on which the cluster domain is answered, by which block (None: nobody), with which kubernetes stanza."""

    port: str
    written_port: str
    block: Block | None
    kubernetes: Directive | None


def listeners(corefile: Corefile, cluster_domain: str, only: int | None = None) -> list[Listener]:
    """Where a zone has to be served: on the ports on which the cluster domain is, or on ``only`` that one."""
    domain = normal(cluster_domain)
    found = []
    for port in corefile.by_port:
        for block in corefile.route(domain, port):
            key = max(
                (key for key in block.keys if key.scheme == "dns" and key.port == port),
                key=lambda key: max((len(zone) for zone in key.zones if covers(zone, domain)), default=0),
            )
            stanza = next((d for d in block.named("kubernetes") if any(covers(z, domain) for z in zones_in(d, block))), None)
            found.append(Listener(port, key.written_port, block, stanza))
    found = [listener for listener in found if listener.kubernetes] or found
    if only is not None:
        port = str(only)
        found = [listener for listener in found if listener.port == port] or [Listener(port, port, None, None)]
    return found or [Listener(DEFAULT_PORT, DEFAULT_PORT, None, None)]


def zones_in(directive: Directive, block: Block) -> list[str]:
    """The zones of a stanza: its arguments, or those of the server block (OriginsFromArgsOrServerBlock)."""
    if directive.args:
        return [zone for token in directive.args for zone in zones_of(token.text)]
    return [zone for key in block.keys for zone in key.zones]


def multicluster_option(kubernetes: Directive) -> list[str]:
    """The zones of the option multicluster; the last such line counts, as in plugin/kubernetes/setup.go."""
    served = [[z for token in option[1:] for z in zones_of(token.text)] for option in kubernetes.options if option[0].text == "multicluster"]
    return served[-1] if served else []


def services_of(directive: Directive, block: Block, zone: str) -> list[Service]:
    """What a stanza does for a zone (normal), on whatever port; empty where it is nothing."""
    own = any(zone in key.zones for key in block.keys)
    service = _service(directive, block, zone, own)
    return [service] if service else []


def services(corefile: Corefile, name: str, where: list[Listener], *, strict: bool = True) -> list[Service]:
    """What answers for the zone already. ``strict`` refuses what would answer for a part of it or could not be judged."""
    zone = normal(name)
    found: list[Service] = []
    for block in corefile.blocks if strict else []:
        if len(kubernetes := block.named("kubernetes")) > 1:
            raise CorefileError("a server block has the kubernetes plugin twice, which CoreDNS refuses.", kubernetes[1].line)
    for port in dict.fromkeys(listener.port for listener in where):
        for block, zones in corefile.by_port.get(port, []) if strict else []:
            for below in zones:
                if below != zone and covers(zone, below):
                    raise CorefileError(f"a server block of {below.removesuffix('.')} takes a part of {name} away.", block.line)
        for block in corefile.route(zone, port):
            own = zone in block.zones_on(port)
            answering = [service for directive in block.directives if (service := _service(directive, block, zone, own))]
            if own and not answering:
                answering = [Service("", "separate", block, None)]
            found += answering
    distinct = {(id(service.block), id(service.directive)): service for service in found}
    # In the order in which CoreDNS asks them (forward comes last). Where the zone has a multicluster plugin, what else stands in
    # its block is its own business.
    return sorted(distinct.values(), key=lambda service: (not service.mode, service.mode == "forward"))


def _service(directive: Directive, block: Block, zone: str, own: bool) -> Service | None:
    placement = "separate" if own else "inline"
    if directive.name == "kubernetes":
        if zone not in zones_in(directive, block):
            return None
        return Service("builtin" if zone in multicluster_option(directive) else "", placement, block, directive)
    if directive.name == "multicluster":
        return Service("plugin", placement, block, directive) if zone in zones_in(directive, block) else None
    if directive.name == "forward":
        origin = zones_of(directive.args[0].text) if directive.args else []
        if origin == [zone] or (own and any(covers(z, zone) for z in origin)):
            return Service("forward", placement, block, directive, tuple(token.text for token in directive.args[1:]))
        return None
    if not own and directive.name not in _HARMLESS and any(_mentions(token.text, zone) for token in directive.tokens[1:]):
        return Service("", placement, block, directive)
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
