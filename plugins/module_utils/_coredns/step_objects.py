# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Steps on objects that are ours alone: CoreDNS's rights, and a CoreDNS of our own."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods, rollout, sharing, trial
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
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zone_server import PORT, addresses
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Applier
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe
from ansible_collections.clusterset.dns.plugins.module_utils._kube.ownership import fleet_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Grant", "Remove", "ServeZone"]


@dataclasses.dataclass
class _Objects(Step):
    """Objects that are ours alone."""

    objects: list[Object]
    _applier: Applier | None = None

    @property
    def what(self) -> str:
        return ", ".join(map(describe, self.objects))

    def _new(self, world: World, *, dry_run: bool = False) -> Applier:
        self._applier = Applier(world.cluster, fleet=world.want.fleet, adopt=world.want.adopt, dry_run=dry_run)
        return self._applier

    def undo(self, world: World) -> list[str]:
        rows = [row for row in (self._applier.rows if self._applier else []) if row.changed]
        try:
            kept = sharing.needed(world.cluster, [row.wanted for row in rows if row.found is None], world.facts.sharing)
        except ApiError as error:
            # whether another needs them could not be seen, so they stay
            raise StepError(f"{', '.join(describe(row.wanted) for row in rows)}: {str(error).removeprefix(f'{world.cluster.name}: ')}") from error
        not_back = [f"{what} stays, because {who} needs it by now." for what, who in kept.items()]
        for row in reversed(rows):
            if describe(row.wanted) in kept:
                continue
            try:
                t.cast("Applier", self._applier).put_back(row)
            except ApiError as error:
                # the others are put back all the same
                gone = "is still there" if row.found is None else "is not what it was"
                not_back.append(f"{describe(row.wanted)} {gone}: {str(error).removeprefix(f'{world.cluster.name}: ')}")
        return not_back

    @property
    def rights(self) -> list[Right]:
        places = {(one["kind"], one["metadata"].get("namespace", "")) for one in self.objects}
        known = {
            "ClusterRole": ("clusterroles", "rbac.authorization.k8s.io"),
            "ClusterRoleBinding": ("clusterrolebindings", "rbac.authorization.k8s.io"),
            "ConfigMap": ("configmaps", ""),
            "Deployment": ("deployments", "apps"),
            "PodDisruptionBudget": ("poddisruptionbudgets", "policy"),
            "Service": ("services", ""),
            "ServiceAccount": ("serviceaccounts", ""),
        }
        verbs = ("create", "patch", "delete")
        return [right(verb, known[kind][0], namespace, known[kind][1]) for kind, namespace in sorted(places) for verb in verbs]


@dataclasses.dataclass
class Grant(_Objects):
    """Let CoreDNS's service account read ServiceImports."""

    account: tuple[str, str] = ("", "")
    name: t.ClassVar[str] = "Let CoreDNS read ServiceImports"
    touches_dns: t.ClassVar[bool] = False

    def do(self, world: World) -> None:
        applier = self._new(world)
        for item in self.objects:
            applier.present(item)
        try:
            world.notes += trial.require_rights(world.cluster, *self.account)
        except trial.RefutedError as error:
            raise StepError(str(error)) from error

    def preview(self, world: World) -> None:
        applier = self._new(world, dry_run=True)
        for item in self.objects:
            applier.present(item)
        world.diff += applier.diff


@dataclasses.dataclass
class Remove(_Objects):
    """Take objects of ours away."""

    title: str = "Take the rights back"
    touches_dns: t.ClassVar[bool] = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.title

    def do(self, world: World) -> None:
        applier = self._new(world)
        # another run may have begun since the plan was made
        kept = sharing.needed(world.cluster, self.objects, world.facts.sharing)
        self._remove(applier, kept)
        world.notes += [f"{world.cluster.name}: {what} stays, because {who} needs it." for what, who in kept.items()]
        world.notes += [row.note for row in applier.rows if row.note]

    def preview(self, world: World) -> None:
        applier = self._new(world, dry_run=True)
        self._remove(applier)
        world.diff += applier.diff

    def _remove(self, applier: Applier, kept: t.Container[str] = ()) -> None:
        for item in reversed(self.objects):
            if describe(item) in kept:
                continue
            found = applier.find(item)
            # the version before fleets had these names to itself
            applier.absent(item, found=found, ours=found is not None and fleet_of(found) == "")


@dataclasses.dataclass
class ServeZone(_Objects):
    """Run a CoreDNS of our own that serves the zone, and wait until each of its pods answers."""

    name: t.ClassVar[str] = "Run a CoreDNS of our own for the zone"
    touches_dns: t.ClassVar[bool] = False

    def do(self, world: World) -> None:
        applier = self._new(world)
        for item in self.objects:
            applier.present(item)
        self._answering(world)
        want = world.want
        service = world.cluster.get(f"/api/v1/namespaces/{want.forward_namespace}/services/{want.forward_name}")
        world.addresses = tuple(addresses(service))

    def undo(self, world: World) -> list[str]:
        not_back = super().undo(world)
        had = bool(world.facts.zone_server) and any(row.changed for row in (self._applier.rows if self._applier else []))
        if had:
            try:
                self._answering(world)
            except StepError as error:
                not_back.append(f"Our own CoreDNS was put back, but {error}")
        return not_back

    def preview(self, world: World) -> None:
        applier = self._new(world, dry_run=True)
        for item in self.objects:
            applier.present(item)
        world.diff += applier.diff
        if not world.addresses:
            world.notes.append(f"{PLACEHOLDER} stands for the address that the Service {world.want.forward_name} will get.")

    @property
    def rights(self) -> list[Right]:
        return super().rights + asking(self.objects[0]["metadata"]["namespace"])

    def _answering(self, world: World) -> None:
        want, cluster = world.want, world.cluster
        path = f"/apis/apps/v1/namespaces/{want.forward_namespace}/deployments/{want.forward_name}"
        label = f"Deployment {want.forward_namespace}/{want.forward_name}"
        version = [one for one in world.health if one.question.type == "TXT"]
        waiter = Waiter(want.wait_timeout)
        while True:
            found = pods.generations(cluster, cluster.get(path) or {})
            missing = "its controller did not take note of the change"
            if found:
                for pod in found.new:
                    if words := rollout.trouble(pod):
                        said = pods.last_words(cluster, want.forward_namespace, pod["metadata"]["name"], "coredns")
                        raise StepError(f"{label}: {words}. {said}".rstrip())
                ready = rollout.serving(found.new)
                missing = next(filter(None, map(rollout.unscheduled, found.new)), "its pods did not get ready")
                if len(ready) >= found.deployment["spec"].get("replicas", 1):
                    wrong = pods.answers(cluster, ready, version, PORT)
                    if not wrong:
                        return
                    missing = wrong[0]
            if not waiter.pause():
                raise StepError(f"{label}: {missing} within {want.wait_timeout:g} s.")
