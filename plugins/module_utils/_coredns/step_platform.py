# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Steps on what a platform's operator makes CoreDNS of."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import delegation, delegation_helm, pods
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import (
    PLACEHOLDER,
    Object,
    Right,
    Step,
    StepError,
    World,
    asking,
    right,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube.change import Change
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["AskPlatform", "Delegate"]


@dataclasses.dataclass
class Delegate(Step):
    """Have a platform's operator forward the zone, or no longer. ``verb`` is what becomes of its object: ``create``, ``patch`` or ``delete``."""

    place: str
    object: tuple[str, str, str]  # collection, name, label
    present: bool
    verb: str = ""
    _change: Change | None = None

    @property
    def name(self) -> str:  # type: ignore[override]
        return "Have the platform forward the zone" if self.present else "Have the platform forward the zone no longer"

    @property
    def what(self) -> str:
        return self.object[2]

    @property
    def rights(self) -> list[Right]:
        collection = self.object[0].split("/")
        group = collection[2] if collection[1] == "apis" else ""
        namespace = collection[collection.index("namespaces") + 1] if "namespaces" in collection else ""
        # and the way back
        undone = {"create": "delete", "patch": "patch", "delete": "create"}[self.verb]
        return [right(verb, collection[-1], namespace, group) for verb in dict.fromkeys(("get", self.verb, undone))]

    def outcome(self, world: World, found: Object | None) -> delegation.Outcome:
        want = delegation.Want(world.want.zone, (world.addresses or (PLACEHOLDER,)) if self.present else (), world.want.fleet)
        try:
            if self.place == "stub_domains":
                return delegation.stub_domains(found, want)
            if self.place == "operator":
                return delegation.servers(found, want)
            return delegation_helm.helm_values(found, want, world.facts.served)
        except delegation.DelegationError as error:
            raise StepError(f"{self.object[2]}: {error}") from error

    def do(self, world: World) -> None:
        self._send(world, dry_run=False)

    def preview(self, world: World) -> None:
        self._send(world, dry_run=True)

    def undo(self, world: World) -> list[str]:
        if self._change is None:
            return []
        try:
            why = self._change.undo(world.cluster)
        except ApiError as error:
            why = f"{self._change.label} is not what it was: {str(error).removeprefix(f'{world.cluster.name}: ')}"
        if why:
            raise StepError(why)
        return []

    def _send(self, world: World, *, dry_run: bool) -> None:
        collection, name, label = self.object
        found = world.cluster.get(f"{collection}/{name}", missing_ok=True)
        outcome = self.outcome(world, found)
        world.notes += outcome.notes
        self._change = Change(label, collection, name, outcome.verb, outcome.body, found)
        self._change.apply(world.cluster, dry_run=dry_run)
        if dry_run and outcome.verb:
            header = f"{label} of {world.cluster.name}"
            world.diff.append({"before_header": header, "after_header": header, "before": outcome.before, "after": outcome.after})


@dataclasses.dataclass
class AskPlatform(Step):
    """Ask every pod of the platform, until all serve the zone, or the platform has not made it of what it was told."""

    zone: bool
    namespace: str
    name: t.ClassVar[str] = "Ask every pod"

    @property
    def rights(self) -> list[Right]:
        return asking(self.namespace)

    def do(self, world: World) -> None:
        wanted = world.health if self.zone else world.own_names
        waiter = Waiter(world.want.wait_timeout, 2.0)
        _asked, wrong = pods.ask_until_right(world.cluster, world.asked_pods, wanted, world.port, waiter)
        if wrong:
            raise StepError(f"{wrong.rstrip('.')}.")
