# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The step that writes a Corefile."""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.exchange import ExchangeError
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import container
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import (
    PLACEHOLDER,
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
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.taking import RefusedError, take
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import change as corefile_change
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import place
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.marks import marked_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import metrics_port, parse, plugins_used, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import Corefile
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import Edit
from ansible_collections.clusterset.dns.plugins.module_utils._kube.change import Change
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError

__all__ = ["EditCorefile", "Edited", "edited"]


class Edited(t.NamedTuple):
    """What an edit makes of a Corefile, and that Corefile as it is read."""

    change: corefile_change.Change
    parsed: Corefile

    @property
    def text(self) -> str:
        return self.change.text

    @property
    def reloads(self) -> bool:
        return any("reload" in block["plugins"] for block in plugins_used(self.parsed))

    @property
    def hash(self) -> str | None:
        return reload_hash(self.parsed)

    def outlived(self, config_map: t.Mapping[str, t.Any] | None, key: str) -> bool:
        """Whether the record of what was there first is left over: nothing of ours is in the Corefile, whoever took it out."""
        record = place.recorded(((config_map or {}).get("metadata") or {}).get("annotations"), key)
        return bool(record) and not marked_zones(self.parsed) and not any(one.ours for one in multicluster_zones(self.parsed, record.get("text")))


def edited(
    config_map: t.Mapping[str, t.Any] | None,
    key: str,
    want: Edit,
    *,
    text: str | None = None,
    imports: t.Mapping[str, str] | None = None,
    env: t.Mapping[str, str] | None = None,
) -> Edited:
    """What an edit makes of the Corefile in a key of a ConfigMap, or of ``text`` as if it were there.

    :raises CorefileError: it cannot be made.
    """
    found = place.text_of(config_map, key) if text is None else text
    record = place.recorded(((config_map or {}).get("metadata") or {}).get("annotations"), key)
    label = f"ConfigMap {(config_map or {'metadata': {}})['metadata'].get('name', '')}, key {key},"
    change = corefile_change.change(found, record, want, label=label, imports=imports, env=env)
    return Edited(change, parse(change.text, imports=imports, env=env))


@dataclasses.dataclass
class EditCorefile(Step):
    """Write a Corefile, and have every pod run it.

    ``readers`` are the workloads that read it; none where that is the platform's own. ``restart``: they read it at their start alone. ``before`` is
    the text that the plan was made from. Where ``want`` is of mode forward, the addresses are those that our own CoreDNS has by then.
    ``proves``: a proof pod has run it, and no other may be written.
    """

    title: str
    readers: tuple[Workload, ...]
    config_map: tuple[str, str, str]  # namespace, name, key
    before: str | None
    want: Edit
    imports: t.Mapping[str, str] | None = None
    env: t.Mapping[str, str] | None = None
    restart: bool = False
    proves: bool = False
    substitutes: tuple[tuple[str, str], ...] = ()
    _change: Change | None = None
    _done: Edited | None = None
    _last: bool = False

    @property
    def name(self) -> str:  # type: ignore[override]
        return self.title

    @property
    def rests(self) -> bool:  # type: ignore[override]
        # NodeLocal DNSCache's asks CoreDNS, which needs nothing of it
        return not self.substitutes

    @property
    def label(self) -> str:
        namespace, name, key = self.config_map
        return f"ConfigMap {namespace}/{name}, key {key}"

    what = label

    @property
    def rights(self) -> list[Right]:
        namespace = self.config_map[0]
        verbs = ("get", "patch", "create", "delete") if self.before is None or not self.readers else ("get", "patch")
        rights = [right(verb, "configmaps", namespace) for verb in verbs]
        if self.readers:
            rights += [*asking(namespace), right("patch", "pods", namespace)]
        # a pod that does not take it is exchanged for one that reads it at its start
        if self.exchanges_late and any(one.kind == "Deployment" for one in self.readers):
            rights += exchanging(namespace)
        return rights

    def candidate(self, world: World, found: Object | None = None) -> Edited:
        """What will be written. :arg found: the ConfigMap; what the plan was made from without it."""
        want = self.want
        if want.mode == "forward" and want.state == "present" and want.forward_to == (PLACEHOLDER,):
            want = dataclasses.replace(want, forward_to=world.addresses or (PLACEHOLDER,))
        found = found if found is not None else t.cast("Object | None", world.facts.config_map)
        return edited(found, self.config_map[2], want, text=self.before or "", imports=self.imports, env=self.env)

    def do(self, world: World) -> None:
        self._write(world, dry_run=False)
        done = t.cast("Edited", self._done)
        world.notes += [note for note in done.change.notes if note not in world.notes]
        # also where it is written already: a pod may not have taken it
        self._taken(world, done.text, done.hash or (world.proven_hash if self.proves else "") or None, done.reloads)

    def undo(self, world: World) -> list[str]:
        if self._change is None:
            return []
        label = f"{self._change.label} of {world.cluster.name}"
        try:
            why = self._change.undo(world.cluster)
        except ApiError as error:
            why = f"{label} is not what it was: {str(error).removeprefix(f'{world.cluster.name}: ')}"
        if why:
            raise StepError(why)
        if self.before is not None and self._change.verb:
            parsed = parse(self.before, imports=self.imports, env=self.env)
            reloads = any("reload" in block["plugins"] for block in plugins_used(parsed))
            try:
                self._taken(world, self.before, reload_hash(parsed), reloads, back=True)
            except (StepError, ExchangeError, RefusedError) as error:
                return [f"{label} is as it was, but {error}"]
        return []

    def preview(self, world: World) -> None:
        self._write(world, dry_run=True)
        done = t.cast("Edited", self._done)
        world.previewed[self.config_map] = done.text
        world.notes += [note for note in done.change.notes if note not in world.notes]
        if done.text != (self.before or ""):
            header = f"{world.cluster.name} {self.label}"
            world.diff.append({"before_header": header, "after_header": header, "before": self.before or "", "after": done.text})

    def _write(self, world: World, *, dry_run: bool) -> None:
        self._change = None
        namespace, name, key = self.config_map
        collection = f"/api/v1/namespaces/{namespace}/configmaps"
        found = world.cluster.get(f"{collection}/{name}", missing_ok=True)
        text = ((found or {}).get("data") or {}).get(key)
        if dry_run:
            # what an earlier step would have written
            text = world.previewed.get(self.config_map, text)
        meanwhile = StepError(f"{self.label} was changed by someone else meanwhile; nothing was written. Run this again.")
        if text != self.before:
            raise meanwhile
        self._done = done = self.candidate(world, found or {})
        if self.proves and world.proven is not None and done.text != world.proven:
            raise meanwhile
        self._last = last = done.change.last or (self.want.state == "absent" and done.outlived(found, key))
        if not done.change.changed and not (last and not done.change.last):
            self._change = Change(self.label, collection, name, "", None, found)
            return
        try:
            write = place.write_of(found, name, key, done.text, first=done.change.first, last=last, fleet=world.want.fleet)
        except place.PlaceError as error:
            raise StepError(f"{self.label}: {error}") from error
        self._change = Change(self.label, collection, name, write.verb, write.body, found)
        self._change.apply(world.cluster, dry_run=dry_run)

    def _taken(self, world: World, text: str, wanted: str | None, reloads: bool, *, back: bool = False) -> None:
        """Have every pod of every reader run it. :raises StepError: a pod does not."""
        for one in self.readers:
            if one.kind == "Deployment" and (self.restart or not reloads):
                deployment = t.cast("Object", world.cluster.get(f"/apis/apps/v1/namespaces/{one.namespace}/deployments/{one.name}"))
                mark = rollout.mark_of(one.item) if back else hashlib.sha256(text.encode()).hexdigest()
                if not back and self._last:
                    mark = None
                target = rollout.Target(container(deployment)["image"], {}, mark)
                exchanged(world, one, target, back=back)
                continue
            try:
                self._take(world, one, text, wanted)
            except RefusedError as error:
                raise StepError(str(error)) from error

    def _take(self, world: World, one: Workload, text: str, wanted: str | None) -> None:
        for old, new in self.substitutes:
            text = text.replace(old, new)
        parsed = parse(text, imports=self.imports, env=self.env)
        if self.substitutes:
            wanted = reload_hash(parsed)
        port, seconds, down = metrics_port(parsed), world.want.wait_timeout, world.facts.nodes_down
        late = take(world.cluster, one, text, wanted, port, seconds, down)
        if late and one.kind == "Deployment" and self.exchanges_late:
            # a pod whose reload hangs never takes another Corefile; a new one reads it at its start
            deployment = t.cast("Object", world.cluster.get(f"/apis/apps/v1/namespaces/{one.namespace}/deployments/{one.name}"))
            exchanged(world, one, rollout.Target(container(deployment)["image"], {}, rollout.mark_of(deployment)), late)
            late = take(world.cluster, one, text, wanted, port, seconds, down)
        if late:
            raise StepError(f"{', '.join(late)} of {one.label} still ran an older Corefile after {seconds:g} s.")

    @property
    def exchanges_late(self) -> bool:
        """Whether pods that do not take it are exchanged: NodeLocal DNSCache's are not."""
        return not self.substitutes
