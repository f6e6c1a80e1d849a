# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""From what a member is and what is asked for to the steps of the change. Pure: no client, no clock, no file.

The order keeps cluster DNS alive: rights before the Corefile that needs them, the proof before all that clients see, the image before the Corefile
that it understands, who serves the zone before who forwards it. Taking the zone out is the same in reverse.
"""

from __future__ import annotations

import hashlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rights, rollout, zone_server
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, NodeLocal, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.image import Choice, choose, published_problem
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import (
    BUILTIN_COREDNS,
    OLDEST_COREDNS,
    OLDEST_KUBERNETES,
    coredns,
    image_version,
    text,
)
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import OBJECTS, Serving, serving
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_corefile import EditCorefile, Edited, edited
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_objects import Grant, Remove, ServeZone
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_platform import AskPlatform, Delegate
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_pods import Ask, Prove, RunImage
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import PLACEHOLDER, Step, StepError, World
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import how_served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import recorded
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import Edit
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.zone import Zone
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import satisfied

__all__ = ["Plan", "image_to_ask_for", "plan"]

Object = t.Mapping[str, t.Any]

# The key of ConfigMap coredns-custom that holds our server block, on k3s and AKS.
_CUSTOM = ("kube-system", "coredns-custom", "clusterset.server")
# What k8s.io/dns puts into NodeLocal DNSCache's Corefile when it starts.
_PILLARS = ("__PILLAR__CLUSTER__DNS__", "__PILLAR__UPSTREAM__SERVERS__")


class Plan(t.NamedTuple):
    """What is to be done. No steps, no problems, and nothing to be given to an add-on: the member is *settled*.

    ``mode`` and ``reason`` say how the zone is, or will be, served; ``image`` is what serves it, ``source`` whence that comes and ``image_reason`` why.
    ``problems`` say why nothing can be done, a sentence
    each; ``needs`` is the option that would help, '' for none. ``notes`` are sentences for the user. ``corefile`` is the Corefile that comes out,
    None where the platform makes its own; ``addon`` is what is to be given to the EKS add-on, None for nothing.
    """

    steps: tuple[Step, ...] = ()
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    mode: str = ""
    image: str = ""
    reason: str = ""
    corefile: str | None = None
    addon: str | None = None
    needs: str = ""
    source: str = ""
    image_reason: str = ""

    @property
    def settled(self) -> bool:
        return not self.steps and not self.problems and self.addon is None

    @property
    def rights(self) -> list[dict[str, str]]:
        """The rights that the steps need, each once; and what keeps two runs apart."""
        found = [right for step in self.steps for right in step.rights]
        return [dict(pairs) for pairs in dict.fromkeys(tuple(sorted(right.items())) for right in found)]


def plan(facts: Facts, want: Want, *, check_mode: bool = False) -> Plan:
    """The steps that make a member what is wanted.

    :arg check_mode: what an earlier play would have made (the CustomResourceDefinitions) may be missing.
    """
    problems = _problems(facts, want)
    if problems:
        return Plan(problems=tuple(problems))
    try:
        found = _present(facts, want, check_mode) if want.present else _absent(facts, want)
    except StepError as error:
        return Plan(problems=(f"{facts.name}: {error}",))
    except CorefileError as error:
        where = f"{facts.name}: {_corefile_label(facts)}" if facts.coredns and facts.coredns.source else facts.name
        return Plan(problems=(f"{where}: {error}",), needs=getattr(error, "needs", "") or "")
    if found.steps and facts.nodes_down:
        # "every pod" is all but these
        gap = f"{facts.name}: {', '.join(sorted(facts.nodes_down))} is not Ready, so that pods there are neither waited for nor asked."
        found = found._replace(notes=(*found.notes, gap))
    return found


# --- what stands in the way -------------------------------------------------------------------------------------------------------------


def _problems(facts: Facts, want: Want) -> list[str]:
    """Why this member cannot take part, a sentence each."""
    sentences = []
    clash = Zone.parse(want.zone).clashes(Zone.parse(want.cluster_domain, "cluster_domain"))
    if clash:
        sentences.append(f"{facts.name}: {clash}")
    # what is too old to begin with still has a way back
    if want.present and facts.kubernetes < OLDEST_KUBERNETES:
        sentences.append(f"{facts.name} runs Kubernetes {text(facts.kubernetes)}; {text(OLDEST_KUBERNETES)} or newer is needed. Upgrade it, or leave it out.")
    if facts.nodelocal_missing:
        sentences.append(
            f"{facts.name}: no NodeLocal DNSCache has its Corefile in ConfigMap {facts.nodelocal_missing}. Set nodelocal to its ConfigMap, or to auto."
        )
    for one in facts.nodelocal:
        if not one.upstream and want.present:
            sentences.append(
                f"{facts.name}: ConfigMap {one.label} does not tell where NodeLocal DNSCache sends {want.cluster_domain}, and there is no Service"
                " kube-dns-upstream beside it. Set nodelocal to another ConfigMap, or to '' for none."
            )
    if facts.platform.place != "corefile":
        return sentences
    label = f"{want.namespace}/{want.deployment}"
    if facts.coredns is None:
        hint = f" Found instead: {', '.join(facts.elsewhere)}." if facts.elsewhere else " Nothing there looks like CoreDNS either."
        return [*sentences, f"{facts.name} has no CoreDNS Deployment {label}.{hint} Set namespace and deployment."]
    version = image_version(facts.coredns.image)
    if want.present and version and version < OLDEST_COREDNS:
        sentences.append(f"{facts.name} runs CoreDNS {text(version)}; {text(OLDEST_COREDNS)} or newer is needed. Upgrade it.")
    if facts.coredns.source is None:
        sentences.append(f"{facts.name}: CoreDNS in Deployment {label} reads its Corefile from no ConfigMap. Mount one where -conf points.")
    elif facts.text is None:
        sentences.append(f"{facts.name}: {_corefile_label(facts)} does not exist. Say where the Corefile is by namespace and deployment, or make it.")
    if facts.coredns.item["spec"].get("paused"):
        sentences.append(f"{facts.name}: Deployment {label} is paused, so no change would reach its pods. Resume it.")
    if (facts.config_map or {}).get("immutable"):
        sentences.append(
            f"{facts.name}: {_corefile_label(facts)}: the ConfigMap is immutable. Delete it and create it again without `immutable: true`, or have"
            " CoreDNS use another one."
        )
    return sentences


def _corefile_label(facts: Facts) -> str:
    own = t.cast("Workload", facts.coredns)
    source = t.cast("t.Any", own.source)
    return f"ConfigMap {own.namespace}/{source.configmap}, key {source.key}"


def _crd_problems(facts: Facts, check_mode: bool) -> list[str]:
    if not check_mode and not facts.crd["established"]:
        return [
            f"{facts.name} has no ServiceImport CustomResourceDefinition that is Established, without which CoreDNS does not get ready. Place it"
            " there first (module mcs_crds), and see that Karmada shows the cluster as Ready."
        ]
    if facts.crd["established"] and "v1alpha1" not in facts.crd["served"]:
        return [f"{facts.name}: the ServiceImport CustomResourceDefinition does not serve v1alpha1, which CoreDNS reads."]
    return []


def _architecture_problems(facts: Facts, want: Want, how: Serving) -> list[str]:
    """Why an image cannot run on every node where the pods may land, by what is known of its platforms."""
    known = want.image_platforms or (facts.published.platforms if facts.published else ())
    covered = {one.split("/")[1] if "/" in one else one for one in known}
    missing = sorted(_architectures(facts, None if how.mode == "forward" else facts.coredns) - covered) if covered else []
    if not missing:
        return []
    return [f"{facts.name}: the image {how.image} is not there for {', '.join(missing)}, which some of its nodes are. Set image to one that covers them."]


def _architectures(facts: Facts, workload: Workload | None) -> set[str]:
    """Those of the nodes on which pods of a workload may land, by its nodeSelector."""
    wanted = (workload.template.get("nodeSelector") or {}).get("kubernetes.io/arch") if workload else ""
    found = {one for one in facts.nodes.values() if one}
    return {wanted} if wanted else found


# --- serving the zone -------------------------------------------------------------------------------------------------------------------


def _present(facts: Facts, want: Want, check_mode: bool) -> Plan:
    choice, how = _chosen(facts, want)
    base = Plan(mode=how.mode, reason=how.reason, source=choice.source, image_reason=choice.reason)
    crd = _crd_problems(facts, check_mode)
    not_there, unknown = published_problem(facts, want, choice)
    if wrong := [choice.problem or not_there] if choice.problem or not_there else list(how.problems):
        return base._replace(problems=(*crd, *wrong), needs=choice.needs if choice.problem else "image_source" if not_there else "image")
    if crd:
        return base._replace(problems=tuple(crd))
    if wrong := _architecture_problems(facts, want, how) if how.image else []:
        return base._replace(problems=tuple(wrong), needs="image")
    here = _Here(facts, want, how)
    here.notes += filter(None, (choice.note, unknown))
    steps: list[Step] = []
    if how.mode != "forward":
        steps += here.grant()
    else:
        steps += here.serve()
    if facts.platform.place == "corefile":
        problems = here.twin_problems()
        if problems:
            return base._replace(problems=tuple(problems))
        steps += here.change()
    else:
        steps += here.delegate()
    steps += here.nodelocal()
    corefile = here.candidate.text if here.candidate else None
    addon = corefile if want.eks_addon and here.candidate and corefile != facts.text else None
    # until the add-on is given its Corefile, CoreDNS forwards the zone as before
    if how.mode != "forward" and _has_server(facts, want) and addon is None:
        steps.append(here.stop_serving())
    return base._replace(steps=tuple(steps), notes=tuple(here.notes), image=how.image, corefile=corefile, addon=addon)


def _chosen(facts: Facts, want: Want) -> tuple[Choice, Serving]:
    """Which image serves the zone, and how."""
    choice = choose(facts, want)
    how = serving(facts.name, facts.platform_name, facts.coredns.image if facts.coredns else "", mode=want.mode, image=choice.image)
    if choice.image and not how.image:
        choice = Choice("keep", "", f"{facts.platform.title} puts its own image back")
    return choice, how


def image_to_ask_for(facts: Facts, want: Want) -> str:
    """The image whose registry can say whether it is there, and for which architectures; '' where none is to be fetched."""
    return _chosen(facts, want)[0].fetched if want.present and not _problems(facts, want) else ""


class _Here:
    """One member and one way to serve the zone there."""

    def __init__(self, facts: Facts, want: Want, how: Serving) -> None:
        self.facts = facts
        self.want = want
        self.how = how
        self.notes: list[str] = []
        service = facts.zone_server.get("Service")
        forward_to = (tuple(zone_server.addresses(service)) or (PLACEHOLDER,)) if how.mode == "forward" else ()
        self.edit = Edit(
            zone=want.zone,
            cluster_domain=want.cluster_domain,
            mode=how.mode,
            placement=want.placement,
            header=None if how.mode == "forward" else want.header,
            forward_to=forward_to,
            adopt=want.adopt,
        )
        self.candidate: Edited | None = None
        if facts.platform.place == "corefile":
            self.candidate = edited(facts.config_map, _key(self.coredns), self.edit, imports=facts.imports, env=facts.env)
            self.notes += self.candidate.change.notes

    @property
    def coredns(self) -> Workload:
        return t.cast("Workload", self.facts.coredns)

    def account(self) -> tuple[str, str]:
        if self.facts.coredns is None:
            return self.want.namespace, "coredns"
        return self.coredns.namespace, self.coredns.service_account

    def grant(self) -> list[Step]:
        """The rights, and the binding of the version before after the one that takes its place."""
        accounts = sorted({(one.namespace, one.service_account) for one in self.facts.workloads})
        wanted = [rights.role(), *(rights.binding(*account) for account in accounts)]
        role, bindings = self.facts.rights
        found = [role, *(next((one for one in bindings if one["metadata"]["name"] == each["metadata"]["name"]), None) for each in wanted[1:])]
        marks = {"metadata": {"labels": ownership.labels(self.want.fleet)}}
        there = all(one is not None and satisfied({**_without_names(each), **marks}, one) for each, one in zip(wanted, found, strict=True))
        steps: list[Step] = [] if there else [Grant(wanted, account=accounts[0])]
        old = rights.outlived(bindings, accounts)
        if old:
            steps.append(Remove([old], title="Take a former binding away"))
        return steps

    def serve(self) -> list[Step]:
        """Our own CoreDNS."""
        want = self.want
        if other := _other_zone(self.facts, want):
            raise StepError(
                f"Deployment {want.forward_namespace}/{want.forward_name} serves {other} already. Take that out first, or set forward_name to another name."
            )
        objects = zone_server.objects(
            self.how.image, zone=want.zone, namespace=want.forward_namespace, name=want.forward_name, replicas=want.forward_replicas
        )
        marks = {"metadata": {"labels": ownership.labels(want.fleet)}}
        found = self.facts.zone_server
        same = bool(found) and all(
            one["kind"] not in ("ConfigMap", "Service", "Deployment") or satisfied({**_without_names(one), **marks}, found.get(one["kind"], {}))
            for one in objects
        )
        ready = same and _is_rolled_out(found["Deployment"])
        return [] if ready else [ServeZone(objects)]

    def stop_serving(self) -> Remove:
        want = self.want
        objects = zone_server.objects("none", zone=want.zone, namespace=want.forward_namespace, name=want.forward_name)
        named = [{key: one[key] for key in ("apiVersion", "kind", "metadata")} for one in objects]
        return Remove(named, title="Take our own CoreDNS away")

    # the platform's own CoreDNS

    def images(self) -> list[tuple[Workload, rollout.Target]]:
        """What each Deployment that reads the Corefile shall run, where that is another image than now or a change was left half done."""
        image = "" if self.how.mode == "forward" or self.want.eks_addon else self.how.image
        todo = []
        for one in self.facts.workloads:
            if one.kind != "Deployment":
                continue
            wanted = image if one.uid == self.coredns.uid or not _knows(one.image, self.how.mode) else ""
            target = rollout.target(one.item, one.runs, "present", wanted, "" if self.reloads else None)
            if rollout.begin(one.item, one.runs, target) or _is_half_done(self.facts, one):
                todo.append((one, target))
        return todo

    @property
    def reloads(self) -> bool:
        """Whether pods take a Corefile while they run."""
        candidate = t.cast("Edited", self.candidate)
        return candidate.reloads and not any(one.source and one.source.sub_path for one in self.facts.workloads)

    def twin_problems(self) -> list[str]:
        """What else reads the Corefile but would not understand it."""
        mode, sentences = self.how.mode, []
        if mode == "forward":
            return sentences
        for one in self.facts.twins:
            version = image_version(one.image)
            gets_image = one.kind == "Deployment" and self.how.image
            if not gets_image and mode == "builtin" and version and version < BUILTIN_COREDNS:
                advice = "Set image, give" if one.kind == "Deployment" else "Give"
                sentences.append(
                    f"{self.facts.name}: {one.label} reads the same Corefile and runs CoreDNS {text(version)}, which does not know the option"
                    f" multicluster. {advice} it CoreDNS {text(BUILTIN_COREDNS)} or newer, or a ConfigMap of its own."
                )
        return sentences

    def change(self) -> list[Step]:
        candidate = t.cast("Edited", self.candidate)
        images = self.images()
        edits = candidate.change.changed
        if self.want.eks_addon:
            return [] if not images else [RunImage(one, target, "End what a run that was killed has begun") for one, target in images]
        source = t.cast("t.Any", self.coredns.source)
        place = (self.coredns.namespace, source.configmap, source.key)
        common = {"readers": self.facts.workloads, "config_map": place, "imports": self.facts.imports, "env": self.facts.env, "restart": not self.reloads}
        write = EditCorefile("Serve the zone", before=self.facts.text, want=self.edit, proves=True, **common)
        new_images = [(one, target.image) for one, target in images if target.image != one.image]
        steps: list[Step] = []
        if edits or new_images:
            proven = {one.uid: (one, image) for one, image in [(self.coredns, self.coredns.image), *new_images]}
            architectures = tuple(sorted(_architectures(self.facts, self.coredns))) or ("",)
            steps.append(Prove(write, tuple(proven.values()), architectures if len(architectures) > 1 else ("",)))
        parsed = parse(self.facts.text or "", imports=self.facts.imports, env=self.facts.env)
        before = how_served(parsed, self.want.zone, cluster_domain=self.want.cluster_domain)
        if new_images and before and sorted([before["mode"], self.how.mode]) == ["builtin", "plugin"]:
            # the image to come may not know the lines that serve the zone now, and the one that runs not those to come
            withdraw = Edit(zone=self.want.zone, cluster_domain=self.want.cluster_domain, state="absent", adopt=self.want.adopt)
            out = edited(self.facts.config_map, _key(self.coredns), withdraw, imports=self.facts.imports, env=self.facts.env)
            steps.append(EditCorefile("Take the zone out until the image is there that serves it", before=self.facts.text, want=withdraw, **common))
            write.before = out.text
        for one, target in images:
            title = "Run the image that serves the zone" if target.image != one.image else "End what a run that was killed has begun"
            steps.append(RunImage(one, target, title))
        if edits or write.before != self.facts.text or self._behind():
            steps.append(write)
        if steps:
            steps.append(Ask(zone=True))
        return steps

    def _behind(self) -> bool:
        """Whether a pod runs another Corefile than the one that is there."""
        candidate = t.cast("Edited", self.candidate)
        if not self.reloads:
            # which one they started with is told by the mark that has them start anew
            mark = hashlib.sha256(candidate.text.encode()).hexdigest()
            return any(rollout.mark_of(one.item) != mark for one in self.facts.workloads if one.kind == "Deployment")
        if candidate.hash is None:
            return False
        return any(not pod["gone"] and pod["hash"] != candidate.hash for pod in self.facts.running or ())

    # a platform's operator

    def delegate(self) -> list[Step]:
        place, ask = self.facts.platform.place, AskPlatform(zone=True, namespace=self.facts.platform.namespace)
        if place == "custom":
            namespace, name, key = _CUSTOM
            now = ((self.facts.delegated or {}).get("data") or {}).get(key)
            want = Edit(zone=self.want.zone, cluster_domain=self.want.cluster_domain, mode="forward", forward_to=self.edit.forward_to, adopt=self.want.adopt)
            made = edited(self.facts.delegated, key, want)
            if made.text == (now or ""):
                return []
            return [EditCorefile("Give the platform's CoreDNS a server block more", (), (namespace, name, key), now, want), ask]
        step = _delegate(self.facts, self.want)
        return [step, ask] if step else []

    # NodeLocal DNSCache

    def nodelocal(self) -> list[Step]:
        # GKE's reads the same stubDomains
        if self.facts.platform.place == "stub_domains":
            return []
        steps: list[Step] = []
        for one in self.facts.nodelocal:
            want = Edit(zone=self.want.zone, cluster_domain=self.want.cluster_domain, mode="forward", forward_to=(one.upstream,), adopt=self.want.adopt)
            step = _nodelocal_step(one, want, "Have NodeLocal DNSCache send the zone to the cluster's DNS")
            made = edited(one.config_map, _key(one.workload), want)
            if made.change.changed or _nodelocal_behind(one, made):
                steps.append(step)
            self.notes += made.change.notes
        return steps


def _nodelocal_step(one: NodeLocal, want: Edit, title: str) -> EditCorefile:
    source = t.cast("t.Any", one.workload.source)
    place = (one.workload.namespace, source.configmap, source.key)
    return EditCorefile(title, (one.workload,), place, one.text, want, substitutes=((_PILLARS[0], one.upstream), (_PILLARS[1], "/etc/resolv.conf")))


def _nodelocal_behind(one: NodeLocal, made: Edited) -> bool:
    if not made.reloads:
        return False
    text_run = made.text.replace(_PILLARS[0], one.upstream).replace(_PILLARS[1], "/etc/resolv.conf")
    wanted = reload_hash(parse(text_run))
    return wanted is not None and any(not pod["gone"] and pod["hash"] != wanted for pod in one.running)


def _delegate(facts: Facts, want: Want) -> Delegate | None:
    """What tells the platform's operator of the zone; None where its object is what it is to be."""
    step = Delegate(facts.platform.place, OBJECTS[facts.platform.place], present=want.present)
    step.verb = step.outcome(World(t.cast("t.Any", None), want, facts), t.cast("t.Any", facts.delegated)).verb
    return step if step.verb else None


def _without_names(item: Object) -> dict[str, t.Any]:
    return {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata")}


def _knows(image: str, mode: str) -> bool:
    """Whether an image is known to understand what serves the zone in a mode."""
    version = image_version(image)
    return mode == "forward" or (mode == "builtin" and version is not None and version >= BUILTIN_COREDNS)


def _is_half_done(facts: Facts, one: Workload) -> bool:
    """Whether an exchange of a Deployment's pods was not ended; of one that others have begun that matters for CoreDNS itself alone."""
    own = facts.coredns is not None and one.uid == facts.coredns.uid
    return one.uid in facts.unfinished or (own and _has_old_pods(one.item))


def _has_old_pods(deployment: Object) -> bool:
    """Whether pods of an older template are there. More or fewer of the newest are an autoscaler's business, not a change under way."""
    status = deployment.get("status") or {}
    return status.get("replicas", 0) > status.get("updatedReplicas", 0)


def _is_rolled_out(deployment: Object) -> bool:
    return bool(coredns(deployment)["rolled_out"])


# --- taking it out ----------------------------------------------------------------------------------------------------------------------


def _absent(facts: Facts, want: Want) -> Plan:
    """The way back: who forwards the zone before who serves it, the Corefile before the image that understands it, the rights last."""
    out = Edit(zone=want.zone, cluster_domain=want.cluster_domain, state="absent", adopt=want.adopt)
    mode = _way_out_of(facts, want, out)
    if problem := _fleet_problem(facts, want, mode):
        return Plan(problems=(problem,))
    served_still = [] if facts.platform.place == "corefile" else _served_beside(facts, want)
    steps: list[Step] = []
    notes: list[str] = []
    if served_still:
        notes.append(f"{facts.name}: {_corefile_label(facts)} still serves {', '.join(served_still)} from ServiceImports, so CoreDNS's rights stay.")
    addon = None
    ask = AskPlatform(zone=False, namespace=facts.platform.namespace)
    if facts.platform.place != "stub_domains":
        for one in facts.nodelocal:
            made = edited(one.config_map, _key(one.workload), out)
            notes += made.change.notes
            if made.change.changed or made.outlived(one.config_map, _key(one.workload)):
                steps.append(_nodelocal_step(one, out, "Take the zone out of NodeLocal DNSCache"))
    if facts.platform.place == "corefile":
        more, notes_here, served_still, addon = _absent_from_coredns(facts, want, out)
        steps += more
        notes += notes_here
    elif facts.platform.place == "custom":
        namespace, name, key = _CUSTOM
        now = ((facts.delegated or {}).get("data") or {}).get(key)
        if now is not None and edited(facts.delegated, key, out).change.changed:
            steps += [EditCorefile("Take the additional server block away", (), (namespace, name, key), now, out), ask]
    else:
        step = _delegate(facts, want)
        steps += [step, ask] if step else []
    if mode == "forward" and (not facts.zone_server or _other_zone(facts, want)):
        notes.append(
            f"{facts.name}: what {want.zone} was forwarded to was not found as Deployment {want.forward_namespace}/{want.forward_name}. Where it is left"
            " over, set forward_namespace and forward_name to what they were."
        )
    # until the add-on is given its Corefile, CoreDNS serves or forwards the zone as before
    if _has_server(facts, want) and addon is None:
        objects = zone_server.objects("none", zone=want.zone, namespace=want.forward_namespace, name=want.forward_name)
        named = [{key: one[key] for key in ("apiVersion", "kind", "metadata")} for one in objects]
        steps.append(Remove(named, title="Take our own CoreDNS away"))
    if not served_still and addon is None and facts.relying:
        notes.append(f"{facts.name}: {facts.relying} reads ServiceImports as the same service account, so the rights stay.")
    elif not served_still and addon is None:
        steps += _absent_rights(facts, want)
    return Plan(tuple(steps), notes=tuple(notes), corefile=None, addon=addon, reason="; ".join(served_still))


def _way_out_of(facts: Facts, want: Want, out: Edit) -> str:
    """The mode in which the zone is served by lines that are to go; '' where there are none."""
    place = facts.platform.place
    if place == "corefile":
        change = edited(facts.config_map, _key(t.cast("Workload", facts.coredns)), out, imports=facts.imports, env=facts.env).change
    elif place == "custom":
        change = edited(facts.delegated, _CUSTOM[2], out).change
    else:
        return "forward" if _delegate(facts, want) else ""
    return change.served_before.mode if change.changed and change.served_before else ""


def _fleet_problem(facts: Facts, want: Want, mode: str) -> str:
    """Why the zone is not this fleet's to take out; lines have no fleet, so that of what they rest on counts. '' where it is."""
    label = f"Deployment {want.forward_namespace}/{want.forward_name}" if mode == "forward" else f"ClusterRole {rights.ROLE}"
    server = None if _other_zone(facts, want) else facts.zone_server.get("Deployment")
    found = server if mode == "forward" else facts.rights[0]
    fleets = []
    # a fleet that adopted it serves another zone beside that of the first
    while mode and found is not None:
        fleets.append(ownership.fleet_of(found))
        found = ownership.adopted(found)
    if not fleets or {want.fleet, "", None} & {*fleets}:
        return ""
    return f"{facts.name}: {want.zone} rests on {label}, which belongs to fleet {fleets[0]}. Set fleet to {fleets[0]} to take it out."


def _has_server(facts: Facts, want: Want) -> bool:
    """Whether the CoreDNS of our own that is there is for this zone and this fleet."""
    found = facts.zone_server.get("Deployment")
    return found is not None and not _other_zone(facts, want) and ownership.fleet_of(found) in (want.fleet, "", None)


def _other_zone(facts: Facts, want: Want) -> str:
    """The zone that our own CoreDNS serves, where that is another one."""
    text = ((facts.zone_server.get("ConfigMap") or {}).get("data") or {}).get("Corefile") or ""
    try:
        zones = [one.zone for one in multicluster_zones(parse(text))]
    except CorefileError:
        return ""
    return zones[0] if zones and want.zone not in zones else ""


def _served_beside(facts: Facts, want: Want) -> list[str]:
    """Which zones CoreDNS serves from ServiceImports by the Corefile that its platform is said to write.

    :raises StepError: the zone is one of them, by lines of ours: the platform was taken for another when it came.
    """
    if facts.text is None:
        return []
    record = recorded((facts.config_map or {"metadata": {}})["metadata"].get("annotations"), _key(t.cast("Workload", facts.coredns)))
    found = multicluster_zones(parse(facts.text, imports=facts.imports, env=facts.env), record.get("text"))
    if any(one.zone == want.zone and one.ours for one in found):
        raise StepError(
            f"{_corefile_label(facts)} has lines of ours for {want.zone}, which came there with another platform than"
            f" {facts.platform.title} ({facts.platform_reason}). Set platform to any to take them out."
        )
    return sorted({one.zone for one in found if one.mode in ("builtin", "plugin")})


def _absent_from_coredns(facts: Facts, want: Want, out: Edit) -> tuple[list[Step], list[str], list[str], str | None]:
    """Steps, notes, which zones CoreDNS still serves from ServiceImports afterwards, and what is to be given to the EKS add-on."""
    own = t.cast("Workload", facts.coredns)
    source = t.cast("t.Any", own.source)
    made = edited(facts.config_map, source.key, out, imports=facts.imports, env=facts.env)
    notes = list(made.change.notes)
    left = sorted({one.zone for one in multicluster_zones(made.parsed) if one.mode in ("builtin", "plugin")})
    if want.eks_addon:
        return [], notes, left, made.text if made.text != facts.text else None
    reloads = made.reloads and not any(one.source and one.source.sub_path for one in facts.workloads)
    place = (own.namespace, source.configmap, source.key)
    steps: list[Step] = []
    if made.change.changed or made.outlived(facts.config_map, source.key):
        steps.append(
            EditCorefile(
                "Take the zone out of the Corefile",
                facts.workloads,
                place,
                facts.text,
                out,
                imports=facts.imports,
                env=facts.env,
                restart=not reloads,
            )
        )
    for one in facts.workloads:
        if one.kind != "Deployment":
            continue
        if left:
            if _is_half_done(facts, one):
                steps.append(RunImage(one, rollout.target(one.item, one.runs, "present", ""), "End what a run that was killed has begun"))
            continue
        target = rollout.target(one.item, one.runs, "absent", "")
        if rollout.begin(one.item, one.runs, target) or _is_half_done(facts, one):
            steps.append(RunImage(one, target, "Put back the image that was there"))
    if left:
        notes.append(
            f"{facts.name}: CoreDNS still serves {', '.join(left)} from ServiceImports, so its image and its rights stay. Take that out first: with zone set"
            " to it, or by hand where it was not put there by this collection."
        )
    if steps:
        steps.append(Ask(zone=False))
    return steps, notes, left, None


def _key(one: Workload) -> str:
    """The key of the ConfigMap that holds a workload's Corefile."""
    return t.cast("t.Any", one.source).key  # type: ignore[no-any-return]


def _absent_rights(facts: Facts, want: Want) -> list[Step]:
    role, bindings = facts.rights
    accounts = {(one.namespace, one.service_account) for one in facts.workloads} or {(want.namespace, "coredns")}
    gone: list[dict[str, t.Any]] = []
    names = {one["metadata"]["name"] for one in bindings if ownership.made_for(want.fleet, one)}
    gone += [rights.binding(*account) for account in sorted(accounts) if rights.binding_name(*account) in names]
    rest = [one for one in bindings if one["metadata"]["name"] not in {each["metadata"]["name"] for each in gone}]
    old = rights.outlived(rest, accounts)
    if old:
        gone.append(old)
        rest = [one for one in rest if one["metadata"]["name"] != rights.ROLE]
    if role is not None and ownership.made_for(want.fleet, role) and not any(one["roleRef"]["name"] == rights.ROLE for one in rest):
        gone.insert(0, rights.role())
    named = [{key: one[key] for key in ("apiVersion", "kind", "metadata")} for one in gone]
    return [Remove(named)] if named else []
