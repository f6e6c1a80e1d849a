# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Steps on CoreDNS's pods: the proof beside them, another image, and the questions that they have to answer."""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods, proof, rollout, trial
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import ORIGINAL_IMAGE, container
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_corefile import EditCorefile
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import (
    Object,
    Right,
    Step,
    StepError,
    World,
    asking,
    exchanged,
    exchanging,
    right,
)
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Ask", "Prove", "RunImage"]


# For a pod that an autoscaler has just added.
_NEW_POD = 30.0


@dataclasses.dataclass
class Prove(Step):
    """Start the Corefile that is to be written with the image that is to run, in a pod beside CoreDNS's own, on a node of each architecture."""

    edit: EditCorefile
    images: tuple[tuple[Workload, str], ...]
    architectures: tuple[str, ...]
    name: t.ClassVar[str] = "Prove the change beside CoreDNS"
    touches_dns: t.ClassVar[bool] = False
    bears: t.ClassVar[bool] = False
    rests: t.ClassVar[bool] = False

    @property
    def rights(self) -> list[Right]:
        namespace = self.edit.config_map[0]
        verbs = [right(verb, plural, namespace) for plural in ("configmaps", "pods") for verb in ("create", "delete", "get", "list")]
        return verbs + asking(namespace)

    def do(self, world: World) -> None:
        text = self.edit.candidate(world).text
        for workload, image in self.images:
            trial.clean(world.cluster, workload)
            for architecture in self.architectures:
                candidate = trial.Candidate(workload, text, image, architecture, self.edit.imports, self.edit.env)
                want = world.want
                try:
                    found = trial.prove(world.cluster, candidate, want.zone, want.cluster_domain, world.facts.kubernetes_ips, want.wait_timeout)
                except trial.RefutedError as error:
                    raise StepError(str(error)) from error
                world.proven_hash = found or world.proven_hash
            trial.clean(world.cluster, workload)
        world.proven = text

    def undo(self, world: World) -> list[str]:
        try:
            for workload, _image in self.images:
                trial.clean(world.cluster, workload)
        except ApiError as error:
            words = str(error).removeprefix(f"{world.cluster.name}: ")
            raise StepError(f"pods and ConfigMaps with the label {proof.LABEL} may be left: {words}") from error
        return []

    def preview(self, world: World) -> None:
        if "Nothing is proven in check mode." not in world.notes:
            world.notes.append("Nothing is proven in check mode.")


@dataclasses.dataclass
class RunImage(Step):
    """Exchange the pods of a Deployment for ones with an image; or end what a run that was killed has begun."""

    workload: Workload
    target: rollout.Target
    title: str = "Run the image that serves the zone"

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.title

    @property
    def what(self) -> str:
        return self.workload.label

    @property
    def rights(self) -> list[Right]:
        return exchanging(self.workload.namespace)

    def do(self, world: World) -> None:
        if self.target.note:
            world.notes.append(self.target.note)
        exchanged(world, self.workload, self.target)

    def undo(self, world: World) -> list[str]:
        try:
            exchanged(world, self.workload, self._former(), back=True)
        except (ApiError, StepError) as error:
            words = str(error).removeprefix(f"{world.cluster.name}: ")
            left = f"its own pods with {self.workload.image} may not be all that there is, and others may be left with the label {rollout.DRAINED}"
            raise StepError(f"{self.workload.label}: {left}: {words}") from error
        return []

    def preview(self, world: World) -> None:
        if self.target.note:
            world.notes.append(self.target.note)
        item = t.cast(Object, dict(self.workload.item))
        patch = rollout.begin(item, container(item), self.target)
        path = f"/apis/apps/v1/namespaces/{self.workload.namespace}/deployments/{self.workload.name}"
        if patch:
            world.cluster.patch(path, patch, kind="strategic", dry_run=True)
        if self.target.image != self.workload.image:
            header = f"{world.cluster.name} {self.workload.label}"
            lines = (f"image: {self.workload.image}\n", f"image: {self.target.image}\n")
            world.diff.append({"before_header": header, "after_header": header, "before": lines[0], "after": lines[1]})

    def _former(self) -> rollout.Target:
        """What the Deployment ran when it was looked at."""
        item = self.workload.item
        annotations = item["metadata"].get("annotations") or {}
        kept = {key: annotations.get(key) for key in (ORIGINAL_IMAGE, rollout.OUR_IMAGE)}
        return rollout.Target(self.workload.image, kept, rollout.mark_of(item))


@dataclasses.dataclass
class Ask(Step):
    """Ask every pod, until all are right."""

    zone: bool
    name: t.ClassVar[str] = "Ask every pod"

    def do(self, world: World) -> None:
        wanted = world.health if self.zone else world.own_names
        asked, wrong = pods.ask_until_right(world.cluster, world.asked_pods, wanted, world.port, Waiter(_NEW_POD, 1.0))
        if wrong and (asked or self._expects_pods(world)):
            raise StepError(f"{wrong.rstrip('.')}.")

    @staticmethod
    def _expects_pods(world: World) -> bool:
        return any(one.kind != "Deployment" or one.item["spec"].get("replicas", 1) > 0 for one in world.facts.workloads)
