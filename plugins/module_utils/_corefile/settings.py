# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a Corefile shall be like, and which settings make no sense."""

from __future__ import annotations

import dataclasses
import ipaddress

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.zone import Zone

__all__ = ["Edit", "address", "checked"]

# forward refuses more (plugin/forward/setup.go)
_MOST_UPSTREAMS = 15


@dataclasses.dataclass(frozen=True)
class Edit:
    """What a Corefile shall be like.

    ``header`` None means the default: on in a server block of ours that answers itself, off elsewhere. ``prometheus`` is
    ``auto`` (as in the block that serves the cluster domain), ``off`` or an address. ``cache`` and ``ttl`` are seconds; ``cache`` 0 is no
    cache. ``port`` None means the port of the block that serves the cluster domain. ``over_cluster_domain`` lets the zone be that domain.
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
    over_cluster_domain: bool = False


def checked(want: Edit) -> Edit:
    zone, cluster_domain = Zone.parse(want.zone), Zone.parse(want.cluster_domain, "cluster_domain")
    want = dataclasses.replace(want, zone=zone.name, cluster_domain=cluster_domain.name)
    clash = zone.clashes(cluster_domain)
    if clash and not (want.over_cluster_domain and zone == cluster_domain):
        raise CorefileError(clash)
    if clash and want.state == "present" and not (want.mode == "plugin" and want.placement == "inline" and want.fallthrough):
        raise CorefileError(
            f"over_cluster_domain needs mode plugin, placement inline and fallthrough, or {zone} would have no other names any more."
        )
    if want.state == "absent":
        return want
    if zone.reverse:
        raise CorefileError(f"{zone} is a reverse zone; ServiceImports have no names there.")
    if want.mode == "forward" and not want.forward_to:
        raise CorefileError("mode forward needs forward_to, the addresses of the DNS servers that answer for the zone.")
    if want.mode != "forward" and want.forward_to:
        raise CorefileError(f"forward_to belongs to mode forward, the mode is {want.mode}.")
    if len(want.forward_to) > _MOST_UPSTREAMS:
        raise CorefileError(f"forward_to has {len(want.forward_to)} addresses, CoreDNS takes {_MOST_UPSTREAMS} at the most.")
    for upstream in want.forward_to:
        address(upstream)
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
            raise CorefileError(f"prometheus is {want.prometheus!r}; it must be auto, off, or an address with a port such as :9153.")
    return want


def address(upstream: str) -> str:
    """An address to forward to, with ``:PORT`` or without, as it was given. :raises CorefileError: it is none."""
    host = upstream
    if _port(upstream) is not None and (upstream.count(":") == 1 or upstream.startswith("[")):
        host = upstream.rpartition(":")[0]
    try:
        ip = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        raise CorefileError(f"forward_to has {upstream!r}; it must be an IP address, with :PORT if that is not 53.") from None
    if ip.is_unspecified or ip.is_multicast or (ip.is_loopback and (_port(upstream) if host != upstream else 53) == 53):
        raise CorefileError(f"forward_to has {upstream}; CoreDNS would ask itself or nobody.")
    return upstream


def _port(address: str) -> int | None:
    digits = address.rpartition(":")[2] if ":" in address else ""
    return int(digits) if digits.isascii() and digits.isdigit() and int(digits) < 65536 else None


def _check_word(word: str, what: str) -> None:
    if not word.isascii() or not word.isprintable() or any(sign in word for sign in ' {}"#'):
        raise CorefileError(f"{what} is {word!r}, which is not one plain word.")
