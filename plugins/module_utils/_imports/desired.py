# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What each ServiceImport of a member is to have in ``spec.ips``, for those that only compare. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import (
    Facts,
    Key,
    balancer_ips,
    decide,
    import_of,
    max_ips_of,
    service_of,
    settle,
    slice_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._imports.headless import SELECTOR, imported_slice
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import FIELD_MANAGER

__all__ = ["Comparison", "Rules", "desired_ips", "needs_endpoints"]

Object = t.Mapping[str, t.Any]


class Rules(t.NamedTuple):
    """How a member's addresses are chosen: the options of ``serviceimport_ips`` that bear on it."""

    strategy: str = "derived"
    strategies: t.Mapping[Key, str] = {}
    ips: t.Mapping[Key, tuple[str, ...]] = {}
    source_gone: str = "clear"
    force: bool = False

    def strategy_of(self, key: Key) -> str:
        """The strategy for one import."""
        return "static" if key in self.ips else self.strategies.get(key) or self.strategy


def needs_endpoints(rules: Rules) -> bool:
    """Whether the addresses depend on EndpointSlices."""
    return bool({rules.strategy, *rules.strategies.values()} & {"local_first", "endpoints"})


def desired_ips(
    imports: t.Iterable[Object], services: t.Iterable[Object], slices: t.Iterable[Object], crd: Object | None, rules: Rules
) -> dict[Key, tuple[tuple[str, ...], str]]:
    """The addresses that each import is to have, and where they come from. Left out is what cannot be told from this member alone.

    :arg slices: all EndpointSlices of the member, where :func:`needs_endpoints`.
    :arg crd: the ServiceImport CRD; None where it may not be read.
    """
    ready: dict[Key, tuple[str, ...]] = {}
    for key, addresses in map(slice_of, slices):
        ready[key] = ready.get(key, ()) + addresses
    facts = Facts(services=dict(map(service_of, services)), ready=ready, static=rules.ips, max_ips=max_ips_of(crd))
    found = {}
    for document in imports:
        try:
            one = import_of(document)
        except (AttributeError, KeyError, TypeError, ValueError):
            continue  # one that makes no sense must not hide the others
        strategy = rules.strategy_of(one.key)
        own = facts.services.get(one.key)
        # It may be another member's load balancer.
        if one.type == "Headless" or (strategy == "load_balancer" and not (own and balancer_ips(own))):
            continue
        settled = settle(one, decide(one, strategy, facts), source_gone=rules.source_gone, manager=FIELD_MANAGER, force=rules.force)
        found[one.key] = (settled.ips, settled.reason)
    return found


class Comparison:
    """What verification asks of a member's ServiceImports (``_dns.look.Imports``), by the options that ``dns_verify_info`` has for the member."""

    selector: t.ClassVar[str] = SELECTOR

    def __init__(self, options: t.Mapping[str, t.Any]) -> None:
        self._rules = Rules(options["strategy"], options["strategies"], options["ips"], options["source_gone"], options["force"])

    def needs_endpoints(self) -> bool:
        return needs_endpoints(self._rules)

    def desired(
        self, imports: t.Iterable[Object], services: t.Iterable[Object], slices: t.Iterable[Object], crd: Object | None
    ) -> dict[Key, tuple[tuple[str, ...], str]]:
        return desired_ips(imports, services, slices, crd, self._rules)

    def delivered(self, slices: t.Iterable[Object]) -> set[Key]:
        """The services of which there are EndpointSlices that Karmada has brought from other clusters."""
        return {(one.key[0], one.service) for one in map(imported_slice, slices) if one.service}
