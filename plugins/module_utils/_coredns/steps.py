# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The steps of a change of a member's CoreDNS. Each can be done, undone whether it was done, half done or not at all, and tried as a dry run.

Which steps a member needs is decided in ``plan.py``; that they are done in order, or undone in reverse, is ``change.py``'s.
"""

from __future__ import annotations

import dataclasses
import hashlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import (
    delegation,
    delegation_helm,
    pods,
    proof,
    rollout,
    sharing,
    trial,
)
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.exchange import Exchange, ExchangeError, Pace
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import ORIGINAL_IMAGE, container
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.taking import RefusedError, take
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, listening_port
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zone_server import PORT, addresses
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import change as corefile_change
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import place
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.marks import marked_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import metrics_port, parse, plugins_used, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import Corefile, CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import Edit
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Applier
from ansible_collections.clusterset.dns.plugins.module_utils._kube.change import Change
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe
from ansible_collections.clusterset.dns.plugins.module_utils._kube.ownership import fleet_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = [
    "Ask",
    "AskPlatform",
    "Delegate",
    "EditCorefile",
    "Grant",
    "Prove",
    "Remove",
    "RunImage",
    "ServeZone",
    "Step",
    "StepError",
    "World",
    "edited",
]

Object = dict[str, t.Any]
Right = dict[str, str]

# Stands for the address of a Service that is yet to be made; for documentation (RFC 5737).
PLACEHOLDER = "192.0.2.53"
# For a pod that an autoscaler has just added.
_NEW_POD = 30.0


class StepError(Exception):
    """Why a step failed, as a sentence."""


class World:
    """What steps work on, and what they tell one another.

    ``addresses`` are those of our own CoreDNS, known once it runs; ``proven`` is the Corefile that a proof pod has run, ``proven_hash`` what that pod
    called it. ``notes`` are sentences for the user, ``diff`` is Ansible's.
    """

    def __init__(self, cluster: Cluster, want: Want, facts: Facts) -> None:
        self.cluster = cluster
        self.want = want
        self.facts = facts
        self.notes: list[str] = []
        self.diff: list[dict[str, str]] = []
        service = facts.zone_server.get("Service")
        self.addresses: tuple[str, ...] = tuple(addresses(service))
        # ConfigMap (namespace, name, key) to the Corefile that it would have by now
        self.previewed: dict[tuple[str, str, str], str] = {}
        self.proven: str | None = None
        self.proven_hash = ""
        self.port = listening_port(facts.text, want.cluster_domain, facts.coredns.dns_port) if facts.text and facts.coredns else facts.platform.port
        health = expect.health(want.zone, want.cluster_domain, facts.kubernetes_ips)
        self.own_names = [one for one in health if one.question.name.startswith("kubernetes.")]
        self.health = health

    @property
    def pace(self) -> Pace:
        want = self.want
        return Pace(want.wait_timeout, want.settle_seconds, want.drain_seconds, want.drain_timeout)

    def asked_pods(self) -> list[Object]:
        """The pods that clients of this member ask: CoreDNS's own by their controllers, a platform's by its labels."""
        if self.facts.platform.place == "corefile" and self.facts.coredns:
            found = [pod for one in self.facts.workloads for pod in pods.of(self.cluster, one)]
        else:
            platform = self.facts.platform
            listed = self.cluster.list(pods.path_of(platform.namespace), label_selector=platform.selector)
            found = [pod for pod in listed if not pod["metadata"].get("deletionTimestamp") and pod.get("status", {}).get("phase") == "Running"]
        return pods.reachable(found, self.facts.nodes_down)

    def exchange(self, one: Workload) -> Exchange:
        """What exchanges the pods of a Deployment."""
        try:
            port = metrics_port(parse(self.facts.text or "", imports=self.facts.imports, env=self.facts.env))
        except CorefileError:
            port = None
        return Exchange(self.cluster, one.namespace, one.name, self.pace, self.own_names, self.port, port)


@dataclasses.dataclass
class Step:
    """One step. ``touches_dns``: what clients ask changes by it. ``rights`` are those that its caller needs, beside reading.

    ``bears``: later steps rest on what it did, so that it is not undone where one of those that ``rests`` could not be.
    """

    name: t.ClassVar[str] = ""
    touches_dns: t.ClassVar[bool] = True
    bears: t.ClassVar[bool] = True
    rests: t.ClassVar[bool] = True

    @property
    def what(self) -> str:
        """What it changes, as messages call it."""
        return ""

    @property
    def rights(self) -> list[Right]:
        return []

    def do(self, world: World) -> None:
        """Do it. :raises StepError, ApiError: it failed; half of it may be done."""

    def undo(self, world: World) -> list[str]:
        """Undo what of it was done. :returns: what else is not as it was, a sentence each. :raises StepError, ApiError: it is not undone."""
        return []

    def preview(self, world: World) -> None:
        """Send its writes as dry runs, and add to the world's diff."""


def right(verb: str, resource: str, namespace: str = "", group: str = "", subresource: str = "") -> Right:
    found = {"verb": verb, "resource": resource, "group": group, "namespace": namespace, "subresource": subresource}
    return {key: value for key, value in found.items() if value}


def asking(namespace: str) -> list[Right]:
    """What it takes to ask pods and to read what they say. A port-forward by WebSocket is a ``get``; see :func:`transaction.assess` for more."""
    return [right("list", "pods", namespace), *(right("get", "pods", namespace, subresource=one) for one in ("log", "portforward"))]


# --- objects of our own -----------------------------------------------------------------------------------------------------------------


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


# --- the Corefile ---------------------------------------------------------------------------------------------------------------------


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
                _exchanged(world, one, target)
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
            _exchanged(world, one, rollout.Target(container(deployment)["image"], {}, rollout.mark_of(deployment)), late)
            late = take(world.cluster, one, text, wanted, port, seconds, down)
        if late:
            raise StepError(f"{', '.join(late)} of {one.label} still ran an older Corefile after {seconds:g} s.")

    @property
    def exchanges_late(self) -> bool:
        """Whether pods that do not take it are exchanged: NodeLocal DNSCache's are not."""
        return not self.substitutes


def exchanging(namespace: str) -> list[Right]:
    """What it takes to exchange the pods of a Deployment."""
    return [
        right("patch", "deployments", namespace, "apps"),
        right("list", "replicasets", namespace, "apps"),
        right("list", "services", namespace),
        right("patch", "pods", namespace),
        right("delete", "pods", namespace),
        *asking(namespace),
    ]


def _exchanged(world: World, one: Workload, target: rollout.Target, stuck: t.Collection[str] = ()) -> None:
    try:
        world.exchange(one).run(target, stuck)
    except ExchangeError as error:
        raise StepError(str(error)) from error


# --- CoreDNS itself -------------------------------------------------------------------------------------------------------------------


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
        _exchanged(world, self.workload, self.target)

    def undo(self, world: World) -> list[str]:
        try:
            _exchanged(world, self.workload, self._former())
        except (ApiError, StepError) as error:
            words = str(error).removeprefix(f"{world.cluster.name}: ")
            left = f"its own pods with {self.workload.image} may not be all that there is, and others may be left with the label {rollout.DRAINED}"
            raise StepError(f"{self.workload.label}: {left}: {words}") from error
        return []

    def preview(self, world: World) -> None:
        if self.target.note:
            world.notes.append(self.target.note)
        item = t.cast("Object", dict(self.workload.item))
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


# --- what a platform's operator is told -------------------------------------------------------------------------------------------------


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
