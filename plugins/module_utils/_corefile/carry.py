# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What the zone takes over from the server block that serves the cluster domain, and what it means where it does not.

What is said of a plugin or an option here was read in CoreDNS's source (plugin.cfg, plugin/*/setup.go, core/dnsserver, 1.12.2 and 1.14.5).
"""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import SPACE, Token, lex
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import (
    Corefile,
    CorefileError,
    Directive,
    breaks,
    covers,
    normal,
    zones_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.service import Listener
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import Edit

__all__ = ["OPTIONS", "PLUGINS", "Carried", "carried", "kubernetes_notes", "reach", "stanza"]

_INDENT = "    "
# Who may ask, what is logged, and how questions are taken and answers sent: in a block of its own the zone would go without. multisocket is
# among them because CoreDNS takes it from the first block of a listener (makeServersForGroup), which ours is.
PLUGINS = frozenset(["acl", "any", "bufsize", "cancel", "log", "metadata", "minimal", "multisocket", "nsid", "tsig"])
# Those whose arguments are zones for which alone they count; the others' are not.
_OF_ZONES = frozenset(["acl", "any", "log", "metadata", "tsig"])
# Those that an option of the edit speaks of, that answer other names than the zone's, or that count for the process or the listener
# whichever block they stand in.
_NO_MATTER = frozenset(
    [
        *("bind", "cache", "errors", "forward", "header", "kubernetes", "loadbalance", "multicluster", "prometheus"),
        *(
            "auto",
            "autopath",
            "azure",
            "chaos",
            "clouddns",
            "erratic",
            "etcd",
            "federation",
            "file",
            "grpc",
            "hosts",
            "k8s_external",
            "local",
            "nomad",
        ),
        *("proxy", "route53", "secondary", "sign", "transfer", "whoami"),
        *("debug", "grpc_server", "health", "https", "https3", "loop", "on", "pprof", "proxyproto", "quic", "ready", "reload", "root"),
        *("timeouts", "tls"),
    ]
)
_REACH = frozenset(["endpoint", "tls", "kubeconfig", "startup_timeout", "apiserver_qps", "apiserver_burst", "apiserver_max_inflight"])
# By mode, the options that our stanza takes over from the kubernetes or the forward plugin of the cluster domain.
OPTIONS = {
    "builtin": _REACH | {"namespaces", "noendpoints", "endpoint_pod_names"},
    "plugin": frozenset(["kubeconfig", "noendpoints"]),
    "forward": frozenset(
        [
            *("expire", "failfast_all_unhealthy_upstreams", "failover", "force_tcp", "health_check", "max_age", "max_concurrent"),
            *("max_connect_attempts", "max_fails", "max_idle_conns", "policy", "prefer_udp", "read_timeout"),
        ]
    ),
}
# Options that say nothing of ServiceImports, that the edit has itself, or that CoreDNS ignores; in a block of the zone's own there is
# nothing to fall through to, and no other forward plugin.
_MEANINGLESS = frozenset(["pods", "ttl", "fallthrough", "multicluster", "resyncperiod", "transfer", "upstream", "except", "next"])
# What these options of the kubernetes plugin do to ServiceImports where they stand in its stanza.
_LIMITS = {
    "namespaces": "ServiceImports of other namespaces than {args} have no names",
    "labels": "a headless ServiceImport has no addresses unless its EndpointSlices have these labels",
    "namespace_labels": "a ServiceImport has no name unless it has these labels itself",
    "ignore": "a ServiceImport with IP addresses has no name unless it has EndpointSlices of its own",
}


class Carried(t.NamedTuple):
    """``plugins`` are lines of the zone's server block, ``errors`` those of its plugin errors, ``options`` lines of the stanza that serves
    the zone. ``notes`` are sentences on what was left out.
    """

    plugins: list[str]
    errors: list[str]
    options: list[str]
    notes: list[str]


def carried(corefile: Corefile, want: Edit, where: list[Listener]) -> Carried:
    """What is taken over from the block that serves the cluster domain; from the first, where several do.

    :raises CorefileError: without it CoreDNS could not start, or it cannot be copied.
    """
    of_each = [_of_one(corefile, want, listener) for listener in where]
    first = of_each[0]
    if any(other[:3] != first[:3] for other in of_each[1:]):
        first.notes.append(
            f"{want.cluster_domain} is served by several server blocks, and they differ; {want.zone} takes acl, log and the like from the first"
            f" (line {where[0].block.line if where[0].block else 0})."
        )
    return first


def _of_one(corefile: Corefile, want: Edit, listener: Listener) -> Carried:
    found = Carried([], ["errors"], [], [])
    block = listener.block
    if block is None:
        return found
    left_out = []
    for directive in block.directives:
        if directive.name == "errors":
            found.errors[:] = stanza(corefile, directive)
        elif directive.name in PLUGINS and _counts_for(directive, want.zone):
            found.plugins.extend(stanza(corefile, directive))
        elif directive.name not in _NO_MATTER:
            left_out.append(f"{directive.name} (line {directive.line})")
    if left_out:
        found.notes.append(
            f"These plugins of the server block of {want.cluster_domain} do not count for {want.zone}: {', '.join(dict.fromkeys(left_out))}."
        )
    source = listener.kubernetes
    if want.mode == "forward":
        source = None if source else _forward_of(block.named("forward"), want.cluster_domain)
    if source is None:
        return found
    if want.mode != "forward":
        found.notes.extend(kubernetes_notes(source, want))
    found.options.extend(reach(corefile, source, want))
    unknown = [
        f"{option[0].text} (line {option[0].imported or option[0].line})"
        for option in source.options
        if option[0].text not in OPTIONS[want.mode] | _MEANINGLESS | _LIMITS.keys()
    ]
    if unknown:
        found.notes.append(f"These options of the {source.name} plugin are not carried over to {want.zone}: {', '.join(unknown)}.")
    return found


def kubernetes_notes(kubernetes: Directive, want: Edit) -> list[str]:
    """What the options that limit the cluster domain's names do to the zone's, or would do."""
    notes = []
    for option in kubernetes.options:
        name = option[0].text
        if name in _LIMITS:
            if want.placement == "inline":
                fate = "counts for" if want.mode == "builtin" else "does not count for"
                fate += f" {want.zone}" + (" as well" if want.mode == "builtin" else "")
            else:
                fate = ("is" if name in OPTIONS[want.mode] else "is not") + f" carried over to {want.zone}"
            means = _LIMITS[name].format(args=", ".join(token.text for token in option[1:]))
            notes.append(f"The option {name} of line {option[0].imported or option[0].line} {fate}: with it, {means}.")
    return notes


def reach(corefile: Corefile, source: Directive, want: Edit) -> list[str]:
    """The options that the stanza for the zone takes over from that of the cluster domain.

    :raises CorefileError: the plugin that is wanted cannot reach the API server as the other does.
    """
    names = {option[0].text: option[0] for option in source.options}
    if want.mode == "plugin" and "endpoint" in names and "kubeconfig" not in names:
        raise CorefileError(
            "the kubernetes plugin here reaches the API server by its option endpoint, which the plugin multicluster does not have. Use its"
            " option kubeconfig instead, or mode builtin.",
            names["endpoint"].imported or names["endpoint"].line,
        )
    wanted = [option for option in source.options if option[0].text in OPTIONS[want.mode]]
    return [" ".join(_written(corefile, token) for token in option) for option in wanted]


def _forward_of(stanzas: list[Directive], cluster_domain: str) -> Directive | None:
    """The stanza that answers for the cluster domain: the first that covers it, as CoreDNS asks them in turn."""
    domain = normal(cluster_domain)
    return next((one for one in stanzas if one.args and any(covers(zone, domain) for zone in zones_of(one.args[0].text))), None)


def _counts_for(directive: Directive, zone: str) -> bool:
    """Whether a stanza counts for the zone: it names none, or one that the zone is in. (A format of log is none.)"""
    args = [token.text for token in directive.args]
    if directive.name == "log" and len(args) > 1 and "{" in args[-1]:
        args.pop()
    return directive.name not in _OF_ZONES or not args or any(covers(one, normal(zone)) for arg in args for one in zones_of(arg))


def stanza(corefile: Corefile, directive: Directive) -> list[str]:
    """The lines of a stanza, to stand in another block; their words as they are written, their indentation ours."""
    lines: list[list[Token]] = []
    for previous, token in zip([None, *directive.tokens], directive.tokens, strict=False):
        if previous is None or breaks(previous, token, exact=True):
            lines.append([])
        lines[-1].append(token)
    written, depth = [], 0
    for line in lines:
        words = [token.text for token in line]
        written.append(_INDENT * max(depth - (words[0] == "}"), 0) + " ".join(_written(corefile, token) for token in line))
        depth += words.count("{") - words.count("}")
    return written


def _written(corefile: Corefile, token: Token) -> str:
    """A word as it stands in the Corefile; one from an imported file as the lexer would read it again."""
    if not token.file:
        return corefile.text[token.start : token.end]
    plain = token.text and not any(sign in SPACE or sign in '#"' for sign in token.text)
    written = token.text if plain else '"' + token.text.replace('"', '\\"') + '"'
    if [one.text for one in lex(written).tokens] != [token.text]:
        raise CorefileError(f"the word {token.text!r} comes from {token.file}, from which it cannot be copied.", token.imported)
    return written
