# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Brings the definitions of ServiceExport and ServiceImport to clusters, and takes them away where nobody needs them: the ``mcs_crds`` module.

Karmada deletes a CustomResourceDefinition in a cluster that its placement leaves, with all objects of it, whoever made them.
"""

from __future__ import annotations

import time
import typing as t
from functools import partial

from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _clusters
from ansible_collections.clusterset.dns.plugins.module_utils._karmada import control_plane
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.placement import bound_to, holder, placed_in, selects
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import cluster_names, clusters_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Applier
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe, satisfied
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

Object = dict[str, t.Any]
# Says of a cluster what in it needs the definitions, a sentence each.
Look = t.Callable[[Cluster], list[str]]

GROUP = "multicluster.x-k8s.io"
DEFINITIONS = {"ServiceExport": f"serviceexports.{GROUP}", "ServiceImport": f"serviceimports.{GROUP}"}
# On our policy: the clusters that had a definition before it was overwritten. Karmada would delete it as if it had made it.
HAD = "clusterset.dns/had-definitions"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_POLICIES = ("policy.karmada.io/v1alpha1", "ClusterPropagationPolicy", "clusterpropagationpolicies")
_BINDINGS = "/apis/work.karmada.io/v1alpha2/clusterresourcebindings"
_MANAGED = "karmada.io/managed"


class Outcome(t.NamedTuple):
    """What came of a run: what the module returns of it."""

    changed: bool
    diff: list[dict[str, str]]
    clusters: list[dict[str, t.Any]]
    pending: dict[str, str]
    warnings: list[str]


def rights(*, present: bool, definitions: bool, overwrite: bool) -> list[dict[str, str]]:
    """What a run may do, each as a SelfSubjectAccessReview has it, and no more."""
    wanted = [
        ("cluster.karmada.io", "clusters", ["list"]),
        ("apiextensions.k8s.io", "customresourcedefinitions", ["get", *(["create", "patch"] if present and definitions else [])]),
        ("policy.karmada.io", "clusterpropagationpolicies", ["list", "patch", "create" if present else "delete"]),
        ("work.karmada.io", "clusterresourcebindings", ["get", *([] if present else ["delete"])]),
    ]
    found = [{"verb": verb, "group": group, "resource": resource} for group, resource, verbs in wanted for verb in verbs]
    proxy = {"verb": "get", "group": "cluster.karmada.io", "resource": "clusters", "subresource": "proxy"}
    return [*found, *([proxy] if present and overwrite else [])]


def policy_of(name: str, kinds: t.Iterable[str], clusters: t.Sequence[str], conflict_resolution: str) -> Object:
    """The ClusterPropagationPolicy that brings definitions to clusters, of which there has to be one: Karmada takes none for all."""
    crds = [{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "name": DEFINITIONS[kind]} for kind in kinds]
    placement = {"clusterAffinity": {"clusterNames": list(clusters)}}
    return {
        "apiVersion": _POLICIES[0],
        "kind": _POLICIES[1],
        "metadata": {"name": name},
        "spec": {"conflictResolution": conflict_resolution, "resourceSelectors": crds, "placement": placement},
    }


def left_out(kinds: t.Mapping[str, str], placed: t.Mapping[str, t.Collection[str]], cluster: str) -> str:
    """Why a cluster gets no definition by the policies of others, as a sentence; '' where they place it there.

    :arg kinds: the policy of others that each kind is bound to; :arg placed: where each kind is placed.
    """
    missing = [kind for kind in kinds if cluster not in placed.get(kind, ())]
    names = ", ".join(dict.fromkeys(kinds[kind] for kind in missing))
    if not missing:
        return ""
    return (
        f"ClusterPropagationPolicy {names}, which is not ours, propagates the definition of {' and '.join(missing)} and leaves {cluster} out."
        f" Add {cluster} to its placement, or delete that policy"
    )


def foreign(cluster: Cluster, fleet: str) -> list[str]:
    """The exports and imports in a cluster that are not this fleet's, and would go with their definition."""
    group = cluster.get(f"/apis/{GROUP}", missing_ok=True)
    if group is None:
        return []
    found = [
        item
        for kind, name in DEFINITIONS.items()
        for item in control_plane.listed(cluster, group["preferredVersion"]["groupVersion"], kind, name.partition(".")[0])
        if not ownership.made_for(fleet, item)
    ]
    names = sorted(map(describe, found))
    some = f"{', '.join(names[:5])}{' and others' if len(names) > 5 else ''}, which {'are' if len(names) > 1 else 'is'} not of this fleet"
    return [f"{some}, would be deleted"] if names else []


class Definitions:
    """The definitions on Karmada's control plane, and the policies that propagate them, as they are when this is made.

    :arg policy: the name of our ClusterPropagationPolicy.
    :raises ApiError: Karmada does not answer.
    """

    def __init__(self, karmada: Cluster, applier: Applier, policy: str) -> None:
        self.karmada = karmada
        self._applier = applier
        self._name = policy
        self._policies = control_plane.listed(karmada, *_POLICIES)
        self._ours = next((one for one in self._policies if one["metadata"]["name"] == policy), None)
        found = {kind: karmada.get(f"{_CRDS}/{name}", missing_ok=True) for kind, name in DEFINITIONS.items()}
        self._crds = {
            kind: {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **item}
            for kind, item in found.items()
            if item
        }
        self.changed = False

    def install(self, definitions: t.Sequence[Object]) -> list[str]:
        """Put definitions on the control plane, unless newer ones are there. They are nobody's: they stay whatever is torn down. :returns: warnings."""
        warnings = []
        for wanted in definitions:
            name, kind = wanted["metadata"]["name"], wanted["spec"]["names"]["kind"]
            found = self._crds.get(kind)
            if found and _clusters.crd_age(wanted["metadata"].get("labels")) < _clusters.crd_age(found["metadata"].get("labels")):
                warnings.append(
                    f"{self.karmada.name}: CustomResourceDefinition {name} is newer there than what was to be installed, and stays."
                )
            elif found is None:
                self._crds[kind] = self.karmada.create(_CRDS, wanted, dry_run=self._applier.dry_run)
                self.changed = True
            elif not satisfied(wanted, found):
                self.karmada.patch(f"{_CRDS}/{name}", wanted, dry_run=self._applier.dry_run)
                self.changed = True
        return warnings

    def lacking(self) -> list[str]:
        """The definitions that the control plane does not have."""
        return [name for kind, name in DEFINITIONS.items() if kind not in self._crds]

    def others(self) -> dict[str, str]:
        """The kinds whose definition somebody else's policy propagates, each with the policy's name."""
        found = {kind: holder(crd, self._policies, self._name) for kind, crd in self._crds.items()}
        return {kind: name for kind, name in found.items() if name}

    def binding(self, kind: str) -> Object | None:
        """Karmada's binding of a definition."""
        return self.karmada.get(f"{_BINDINGS}/{DEFINITIONS[kind]}-customresourcedefinition", missing_ok=True)

    @property
    def placed(self) -> list[str]:
        """Where our policy places definitions."""
        return cluster_names(self._ours) if self._ours else []

    def place(self, clusters: t.Sequence[str], conflict_resolution: str, had: t.Sequence[str]) -> list[str]:
        """Place in clusters what no policy of others propagates. :returns: the clusters that an earlier run has placed in, and that stay.

        :arg had: those of ``clusters`` that have a definition that is not Karmada's, and is about to be overwritten.
        :raises ApiError: the policy is somebody else's.
        """
        others = self.others()
        kinds = [kind for kind in DEFINITIONS if kind not in others]
        kept = [name for name in self.placed if name not in clusters]
        if not kinds or not {*clusters, *self.placed}:
            return kept
        wanted = policy_of(self._name, kinds, sorted(clusters_of(clusters, self.placed, grows=True)), conflict_resolution)
        if self._ours and (refusal := self._applier.refusal(wanted, self._ours)):
            raise ApiError(self.karmada.name, refusal, reason="NotOurs")
        marks = ((self._ours or {}).get("metadata") or {}).get("annotations") or {}
        before = [name for name in marks.get(HAD, "").split(",") if name]
        if before or had:
            wanted["metadata"]["annotations"] = {HAD: ",".join(sorted({*before, *had}))}
        self._applier.present(wanted, found=self._ours)
        return kept

    def leave(self, leaving: t.Collection[str], look: t.Callable[[list[str]], dict[str, list[str] | ApiError]]) -> list[dict[str, t.Any]]:
        """Take the definitions away from clusters where nothing needs them. :returns: a row for each cluster that was to lose one.

        :arg look: says of clusters what in them needs a definition, a sentence each; it is asked about each one that would lose it.
        """
        if self._ours is None:
            return []
        whose = ownership.owner(self._ours, self._applier.fleet, self._as_ours())
        if whose:
            why = f"{describe(self._ours)} belongs to {whose}, so it stays"
            return [{"cluster": name, "action": "kept", "reasons": [why], "looked": True} for name in self.placed]
        out = [name for name in self.placed if name in leaving]
        # Where Karmada propagates nothing by it, nobody loses anything with it.
        seen = look(out) if self._bound() else {}
        unseen = [name for name, answer in seen.items() if isinstance(answer, ApiError)]
        reasons = {
            name: [f"it could not be looked at: {answer}"] if isinstance(answer, ApiError) else answer for name, answer in seen.items()
        }
        for name in ((self._ours["metadata"].get("annotations") or {}).get(HAD) or "").split(","):
            if name in out and self._bound():
                reasons[name] = [*reasons.get(name, []), "it had a definition before, which Karmada has taken over and would delete"]
        stay = [name for name in self.placed if name not in out or reasons.get(name)]
        if not stay:
            self._withdraw()
        elif stay != self.placed:
            wanted = {**self._as_ours(), "spec": {**self._ours["spec"], "placement": {"clusterAffinity": {"clusterNames": stay}}}}
            self._applier.present(wanted, found=self._ours, ours=True)
        return [
            {
                "cluster": name,
                "action": "kept" if reasons.get(name) else "left",
                "reasons": reasons.get(name, []),
                "looked": name not in unseen,
            }
            for name in out
        ]

    def _bound(self) -> dict[str, Object]:
        """The bindings that are bound to our policy, by the kind that they bring."""
        found = {kind: self.binding(kind) for kind in self._crds}
        return {kind: item for kind, item in found.items() if item and bound_to(item) == f"ClusterPropagationPolicy {self._name}"}

    def _as_ours(self) -> Object:
        """Our policy as it would be made of what it says: what one of the version before fleets is compared with."""
        ours = t.cast("Object", self._ours)
        kinds = [
            kind for kind, crd in DEFINITIONS.items() if any(one.get("name") == crd for one in ours["spec"].get("resourceSelectors") or [])
        ]
        return policy_of(self._name, kinds, self.placed, ours["spec"].get("conflictResolution", "Abort"))

    def _withdraw(self) -> None:
        """Delete our policy, and first the bindings that it leaves behind, which would keep everything where it is.

        A definition that another policy selects as well keeps its binding: Karmada hands it to that one.
        """
        ours = t.cast("Object", self._ours)
        for kind, binding in self._bound().items():
            if not any(selects(one, self._crds[kind]) for one in self._policies if one is not ours):
                self.karmada.delete(f"{_BINDINGS}/{binding['metadata']['name']}", found=binding, dry_run=self._applier.dry_run)
                self.changed = True
        self._applier.absent(
            {part: ours[part] for part in ("apiVersion", "kind")} | {"metadata": {"name": self._name}}, found=ours, ours=True
        )


def has_its_own(cluster: Cluster) -> bool:
    """Whether a cluster has a definition that Karmada did not bring."""
    found = [cluster.get(f"{_CRDS}/{name}", missing_ok=True) for name in DEFINITIONS.values()]
    return any((item["metadata"].get("labels") or {}).get(_MANAGED) != "true" for item in found if item)


def run(karmada: Cluster, params: t.Mapping[str, t.Any], look: Look, *, dry_run: bool) -> Outcome:
    """Do what the options of the module ``mcs_crds`` say.

    :arg look: says what else of a cluster needs the definitions: its CoreDNS.
    :raises ApiError: the input is bad, a right is missing, the policy is somebody else's, or Karmada refuses.
    """
    present = params["state"] == "present"
    overwrite = params["conflict_resolution"] == "Overwrite"
    found = control_plane.clusters(karmada)
    names = [one["name"] for one in found]
    missing = karmada.can_i(rights(present=present, definitions=bool(params["definitions"]), overwrite=overwrite))
    sentences = _clusters.problems(karmada.name, missing, params["clusters"] if present else [], names)
    if present and not params["clusters"]:
        sentences.append(
            "clusters is empty, and Karmada takes a placement without clusters for all of them. Name those that get the definitions."
        )
    wrong = [item for item in params["definitions"] if item.get("metadata", {}).get("name") not in DEFINITIONS.values()]
    if wrong:
        sentences.append(f"definitions takes the CustomResourceDefinitions {' and '.join(DEFINITIONS.values())} alone.")
    if sentences:
        raise ApiError(karmada.name, " ".join(sentences), reason="Input")
    applier = Applier(karmada, fleet=params["fleet"], adopt=False, dry_run=dry_run)
    state = Definitions(karmada, applier, params["policy"])
    access = {one["name"]: one for one in params["members"]}

    def ask(job: t.Callable[[Cluster], t.Any], wanted: t.Collection[str]) -> dict[str, t.Any]:
        deadline = time.monotonic() + params["wait_timeout"]
        return each(
            {name: partial(_ask, karmada, params, access.get(name), name, job, deadline) for name in wanted}, parallel=16, deadline=deadline
        )

    if not present:
        return _absent(state, applier, params, found, look, ask)

    warnings = state.install(params["definitions"])
    if lacking := state.lacking():
        raise ApiError(
            karmada.name, f"{karmada.name}: there is no CustomResourceDefinition {' and '.join(lacking)}. Set definitions.", reason="Input"
        )
    # What is overwritten is another's, and nobody could say so later.
    own = ask(has_its_own, [name for name in params["clusters"] if name not in state.placed] if overwrite else [])
    unseen = {name: str(answer) for name, answer in own.items() if isinstance(answer, ApiError)}
    clusters = [name for name in params["clusters"] if name not in unseen]
    kept = state.place(clusters, params["conflict_resolution"], [name for name, answer in own.items() if answer is True])
    if kept:
        warnings.append(
            f"{karmada.name}: {', '.join(kept)} {'keep' if len(kept) > 1 else 'keeps'} the definitions, as a run takes no cluster away."
            " A cluster leaves by state absent (teardown)."
        )
    pending = {**_pending(state, params, found, clusters, wait=params["wait"] and not dry_run), **unseen}
    rows = [
        {
            "cluster": name,
            "action": "kept" if name in kept else "unplaced" if name in unseen else "placed",
            "reasons": [pending[name]] if name in pending else [],
        }
        for name in sorted({*kept, *params["clusters"]})
    ]
    return Outcome(state.changed or applier.changed, applier.diff, rows, pending, warnings)


def _absent(
    state: Definitions,
    applier: Applier,
    params: t.Mapping[str, t.Any],
    found: list[Object],
    look: Look,
    ask: t.Callable[..., dict[str, t.Any]],
) -> Outcome:
    known = {one["name"]: one for one in found}

    def needs(wanted: list[str]) -> dict[str, list[str] | ApiError]:
        # A cluster that has left Karmada cannot lose anything by it.
        return ask(lambda cluster: [*look(cluster), *foreign(cluster, params["fleet"])], [name for name in wanted if name in known])

    rows = state.leave(params["clusters"] or state.placed, needs)
    pending = {row["cluster"]: "; ".join(row["reasons"]) for row in rows if row["reasons"]}
    warnings = [f"{name} keeps the definitions of ServiceExport and ServiceImport: {why.rstrip('.')}." for name, why in pending.items()]
    return Outcome(state.changed or applier.changed, applier.diff, rows, pending, warnings)


def _pending(
    state: Definitions, params: t.Mapping[str, t.Any], found: list[Object], clusters: t.Collection[str], *, wait: bool
) -> dict[str, str]:
    """The clusters that cannot hold exports and imports yet, each with the reason; those that are about to are waited for."""
    others = state.others()

    def look() -> tuple[dict[str, str], bool]:
        nonlocal found
        pending = _clusters.waiting_for(found, clusters)
        bindings = {kind: state.binding(kind) for kind in others} if pending else {}
        placed = {kind: placed_in(binding) for kind, binding in bindings.items() if binding}
        said = {name: left_out(others, placed, name) for name in pending}
        hopeful = any(one["ready"] and one["name"] in pending and not said[one["name"]] for one in found)
        if hopeful:
            found = control_plane.clusters(state.karmada)
        return {name: said[name] or why for name, why in pending.items()}, hopeful

    (pending, _hopeful), _done = Waiter(params["wait_timeout"] if wait else 0, sleep=2.0).until(look, lambda seen: not seen[1])
    return pending


def _ask(
    karmada: Cluster, params: t.Mapping[str, t.Any], access: Object | None, name: str, job: t.Callable[[Cluster], t.Any], deadline: float
) -> t.Any:
    """What a job says of a member, reached by the access that is given for it, else behind Karmada."""
    if access:
        return job(Cluster(name, {key: value for key, value in access.items() if key != "name"}, deadline=deadline))
    return job(control_plane.proxied(karmada, params, name, deadline=deadline))
