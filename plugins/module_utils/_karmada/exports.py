# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Exports services from clusters and imports them in others, or withdraws them: the ``service_exports`` module."""

from __future__ import annotations

import http.client
import time
import typing as t
from functools import partial

from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _clusters
from ansible_collections.clusterset.dns.plugins.module_utils._karmada import control_plane, namespaces
from ansible_collections.clusterset.dns.plugins.module_utils._karmada import services as _services
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.placement import binding_key, unplaced
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import (
    KINDS,
    MCS,
    POLICY,
    Key,
    cluster_names,
    selected,
    would_make,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Applier
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Row as Written
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

Object = dict[str, t.Any]
Service = tuple[str, str]

_BINDINGS = ("work.karmada.io/v1alpha2", "ResourceBinding", "resourcebindings")
_WORKS = ("work.karmada.io/v1alpha1", "Work", "works")
# Withdrawn first is what members ask for; a policy goes last, as what it placed stays where it is without one.
_WITHDRAWN = (
    (MCS, "ServiceImport", "serviceimports"),
    (MCS, "ServiceExport", "serviceexports"),
    (POLICY, "PropagationPolicy", "propagationpolicies"),
)
# The action of a service's row is the first of these that became of one of its objects.
_ACTIONS = ("adopted", "created", "patched", "given back", "deleted", "kept", "unchanged")


def rights(*, present: bool, prune: bool, wait: bool, create_namespace: bool) -> list[dict[str, str]]:
    """What a run may do, each as a SelfSubjectAccessReview has it, and no more."""
    ours = [
        ("multicluster.x-k8s.io", "serviceexports"),
        ("multicluster.x-k8s.io", "serviceimports"),
        ("policy.karmada.io", "propagationpolicies"),
    ]
    verbs = ["list", "patch", *(["create"] if present else []), *(["delete"] if prune or not present else [])]
    wanted = [("cluster.karmada.io", "clusters", ["list"]), *((group, resource, verbs) for group, resource in ours)]
    wanted.append(("work.karmada.io", "works", ["list", "patch"]))
    if present:
        wanted.append(("", "services", ["get"]))
    if present and wait:
        wanted.append(("work.karmada.io", "resourcebindings", ["list"]))
    space = [*(["get", "create"] if present and create_namespace else []), *(["list"] if prune or not present else [])]
    wanted.append(("", "namespaces", space))
    return [{"verb": verb, "group": group, "resource": resource} for group, resource, verbs in wanted for verb in verbs]


class Exports:
    """The exports and imports of one fleet, as they are when this is made.

    :raises ApiError: Karmada does not answer, or is none.
    """

    def __init__(self, karmada: Cluster, applier: Applier) -> None:
        self.karmada = karmada
        self.warnings: list[str] = []
        # What is to be said of a service, beside what became of its objects.
        self.reasons: dict[Service, str] = {}
        self._applier = applier
        self._found = {
            describe(item): item
            for api_version, kind, plural in _WITHDRAWN
            for item in control_plane.listed(karmada, api_version, kind, plural)
        }
        self._policies = {
            key: item
            for item in self._found.values()
            if item["kind"] == "PropagationPolicy" and self._is_ours(item) and (key := selected(item))
        }
        self._written: dict[Service, list[Written]] = {}
        # The namespaces of the services that a run wants.
        self._spaces: set[str] = set()
        # The services of which nothing can be placed now.
        self._nowhere: set[Service] = set()

    def present(self, services: t.Sequence[Object], members: t.Sequence[str], *, prune: bool) -> None:
        """Export and import the services; with ``prune`` withdraw all others of this fleet.

        :raises ApiError: one of the objects is somebody else's (reason ``NotOurs``), and nothing is written; or Karmada refuses.
        """
        placed = {key: cluster_names(item) for key, item in self._policies.items()}
        wanted = _services.objects(services, members, placed)
        refusals = [self._applier.refusal(item, found) for item in wanted if (found := self._found.get(describe(item)))]
        refusals += [
            self._derived_refusal(item) for item in wanted if item["kind"] == "ServiceImport" and describe(item) not in self._found
        ]
        if any(refusals):
            raise ApiError(self.karmada.name, " ".join(filter(None, refusals)), reason="NotOurs")
        names = {(service["namespace"], service["name"]) for service in services}
        self._spaces = {namespace for namespace, _name in names}
        gone = {key[1:] for key in self._ours()} - names if prune else set()
        self._preserve({**{key: [] for key in gone}, **{(one["namespace"], one["name"]): one["from_clusters"] for one in services}})
        for item in wanted:
            self._write(item)
        for one in services:
            service = (one["namespace"], one["name"])
            kept = [name for name in placed.get(Key("ServiceImport", *service), ()) if name not in members]
            if kept and not one.get("to_clusters"):
                self.reasons[service] = (
                    f"kept in {', '.join(kept)}, as a run takes no cluster away: a cluster leaves by state absent (teardown)"
                )
        for service in sorted(gone):
            self._withdraw(service)
        self._say_left({key[1:] for key in self._ours()} - names - gone)

    def absent(self, leaving: t.Collection[str]) -> None:
        """Withdraw everything of this fleet, or with ``leaving`` only from those clusters."""
        after: dict[Service, list[str]] = {}
        for key, item in self._policies.items():
            if key.kind == "ServiceExport":
                after[key[1:]] = [name for name in cluster_names(item) if leaving and name not in leaving]
        self._preserve(after)
        if not leaving:
            for service in sorted({key[1:] for key in self._ours()}):
                self._withdraw(service)
            for item in self._found.values():
                if ownership.fleet_of(item) is not None and not self._is_ours(item):
                    whose = ownership.owner(item, self._applier.fleet, would_make(item))
                    self.warnings.append(f"{describe(item)} belongs to {whose}, so it stays.")
            return
        nowhere = sorted(set(leaving) - {name for item in self._policies.values() for name in cluster_names(item)})
        if nowhere:
            self.warnings.append(f"{self.karmada.name}: nothing of fleet {self._applier.fleet} is placed in {', '.join(nowhere)}.")
        for key, item in sorted(self._policies.items()):
            stay = [name for name in cluster_names(item) if name not in leaving]
            if not stay:
                self._withdraw(key[1:], kinds=(key.kind,))
            elif stay != cluster_names(item):
                self._write(_services.policy(key, stay), ours=True)
                self.reasons.setdefault(key[1:], f"it stays in {', '.join(stay)}")

    def drop_namespaces(self, places: t.Mapping[str, t.Callable[[], Cluster]], deadline: float) -> None:
        """Delete the namespaces that were made for services of this fleet, where nothing else is in them anywhere.

        :arg places: how Karmada and each of its clusters is reached: Karmada deletes a namespace in all of them.
        """
        used = {key.namespace for key in self._ours() if not self._is_withdrawn(key)} | self._spaces
        for item in control_plane.listed(self.karmada, "v1", "Namespace", "namespaces", label_selector=ownership.selector()):
            name = item["metadata"]["name"]
            if name in used or ownership.owner(item, self._applier.fleet):
                continue
            jobs = {place: partial(_contents, reach, name, self._applier.fleet) for place, reach in places.items()}
            seen = each(jobs, parallel=16, deadline=deadline)
            keeps = [
                str(found) if isinstance(found, ApiError) else f"{place} has {', '.join(found)} in it"
                for place, found in seen.items()
                if found
            ]
            if keeps:
                self.warnings.append(f"Namespace {name}, which was made for a service, stays: {'; '.join(keeps)}.")
            else:
                self._applier.absent({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, found=item, ours=True)

    def wait(self, services: t.Sequence[Object], clusters: t.Sequence[Object], seconds: float) -> dict[Service, str]:
        """Wait until Karmada has placed them. :returns: for each that it has not placed why, in its scheduler's words."""
        usable = [one["name"] for one in clusters if one["ready"] and one["serves"]]
        named = {name for rows in self._written.values() for row in rows for name in _named(row)}
        for name, why in _clusters.unusable(clusters, named).items():
            self.warnings.append(f"{self.karmada.name}: Karmada places nothing new in {name}: {why}.")
        open_ = {(one["namespace"], one["name"]) for one in services}
        spaces = {namespace for namespace, _name in open_}

        def look() -> dict[Service, str]:
            bindings = {
                binding_key(item): item
                for space in sorted(spaces)
                for item in control_plane.listed(self.karmada, *_BINDINGS, namespace=space)
            }
            late = {service: said for service in sorted(open_) if (said := self._late(service, bindings, usable))}
            open_.intersection_update(late)
            spaces.intersection_update({namespace for namespace, _name in late})
            return late

        late, _done = Waiter(seconds, sleep=1.0).until(look, lambda seen: not seen)
        self._nowhere = {
            service for service, rows in self._written.items() if any(named and not set(named) & set(usable) for named in map(_named, rows))
        }
        for service in self._nowhere:
            self.reasons[service] = "none of its clusters is Ready and lists the kinds"
        return late

    def rows(self, late: t.Mapping[Service, str] | None) -> list[dict[str, t.Any]]:
        """One row for each service that was written, withdrawn or spoken of. :arg late: what :meth:`wait` gave, None where nobody looked."""
        rows = []
        for service in sorted({*self._written, *self.reasons}):
            actions = {row.action for row in self._written.get(service, [])}
            action = next((one for one in _ACTIONS if one in actions), "unchanged")
            reason = (late or {}).get(service) or self.reasons.get(service, "")
            there = any(
                row.wanted["kind"] in KINDS and row.action not in ("deleted", "given back", "kept")
                for row in self._written.get(service, [])
            )
            placed = service not in {*late, *self._nowhere} if late is not None and there else None
            rows.append({"namespace": service[0], "name": service[1], "action": action, "placed": placed, "reason": reason})
        return rows

    def _late(self, service: Service, bindings: t.Mapping[Key, Object], usable: t.Collection[str]) -> str:
        written = {(row.wanted["kind"], row.wanted["metadata"]["name"]): row for row in self._written[service]}
        reasons = []
        for kind in KINDS:
            key = Key(kind, *service)
            policy = _services.policy(key, ())
            there = written["PropagationPolicy", policy["metadata"]["name"]].wanted
            live = written[kind, service[1]].now
            if why := unplaced(bindings.get(key), there, live and live["metadata"].get("uid"), usable):
                reasons.append(f"{kind} {service[0]}/{service[1]}: {why}")
        return "; ".join(reasons)

    def _is_ours(self, item: Object) -> bool:
        return not ownership.owner(item, self._applier.fleet, would_make(item))

    def _ours(self) -> list[Key]:
        """The exports and imports that are this fleet's, whether by the object or by the policy."""
        objects = [
            Key(one["kind"], one["metadata"]["namespace"], one["metadata"]["name"]) for one in self._found.values() if one["kind"] in KINDS
        ]
        return [*(key for key in objects if self._is_ours(self._found[_described(key)])), *self._policies]

    def _derived_refusal(self, wanted: Object) -> str:
        """Why an import that is not there yet cannot be made beside a Service of the name that Karmada gives to the one that it derives; '' if it can.

        Karmada overwrites that Service, whoever made it, and deletes it with the import (``service_import_controller``, 1.16). What it makes
        itself has no selector.
        """
        space, name = wanted["metadata"]["namespace"], f"derived-{wanted['metadata']['name']}"
        found = self.karmada.get(f"/api/v1/namespaces/{space}/services/{name}", missing_ok=True)
        spec = (found or {}).get("spec") or {}
        if not spec.get("selector") and spec.get("type", "ClusterIP") == "ClusterIP":
            return ""
        whose = ownership.owner(found or {}, self._applier.fleet)
        return (
            f"{self.karmada.name}: Service {space}/{name} belongs to {whose}, and Karmada would overwrite it for {describe(wanted)}, and delete it"
            " with the import. Rename one of the two."
        )

    def _is_withdrawn(self, key: Key) -> bool:
        return any(row.action in ("deleted", "given back") for row in self._written.get((key.namespace, key.name), []))

    def _write(self, item: Object, *, ours: bool = False) -> None:
        if item["kind"] == "Namespace":
            self._create_namespace(item)
            return
        row = self._applier.present(item, found=self._found.get(describe(item)), ours=ours)
        key = selected(item) if item["kind"] == "PropagationPolicy" else None
        self._written.setdefault((item["metadata"]["namespace"], key.name if key else item["metadata"]["name"]), []).append(row)

    def _create_namespace(self, item: Object) -> None:
        """A namespace that is there stays as it is, whoever made it."""
        if self._applier.find(item) is None:
            self._applier.present(item, found=None)

    def _withdraw(self, service: Service, kinds: t.Collection[str] = KINDS) -> None:
        keys = [Key(kind, *service) for kind in reversed(KINDS) if kind in kinds]
        items = [self._found.get(_described(key)) for key in keys] + [self._policies.get(key) for key in keys]
        for item in filter(None, items):
            bare = {part: item[part] for part in ("apiVersion", "kind")}
            bare["metadata"] = {part: item["metadata"][part] for part in ("namespace", "name")}
            row = self._applier.absent(bare, found=item, ours=self._is_ours(item))
            self._written.setdefault(service, []).append(row)
            if row.note:
                self.reasons[service] = row.note

    def _say_left(self, left: t.Collection[Service]) -> None:
        """A service that was renamed or taken out of the list is exported as before, which nobody would notice."""
        for service in sorted(left):
            self.reasons[service] = "it is not in services, and stays as it is"
        if left:
            names = ", ".join(f"{namespace}/{name}" for namespace, name in sorted(left))
            self.warnings.append(
                f"{self.karmada.name}: {names} {'are' if len(left) > 1 else 'is'} exported by an earlier run, not in services, and still answered in"
                " every cluster. Set prune to withdraw what is not in services."
            )

    def _preserve(self, after: t.Mapping[Service, t.Collection[str]]) -> None:
        """Have Karmada leave EndpointSlices of members where they are when it forgets what it collected, as an export is withdrawn.

        :arg after: the clusters that export each service from now on. Services that are not in it stay as they are.
        """
        if not after or not any(item["kind"] == "ServiceExport" for item in self._found.values()):
            return
        for work in _clusters.left_works(control_plane.listed(self.karmada, *_WORKS, label_selector=_clusters.COLLECTED), after):
            path = f"/apis/{_WORKS[0]}/namespaces/{work['metadata']['namespace']}/works/{work['metadata']['name']}"
            try:
                self.karmada.patch(path, {"spec": {"preserveResourcesOnDeletion": True}}, dry_run=self._applier.dry_run)
            except ApiError as error:
                # Karmada forgot it meanwhile: there is nothing left that could take the slice along.
                if error.status != http.client.NOT_FOUND:
                    raise


def _contents(reach: t.Callable[[], Cluster], namespace: str, fleet: str) -> list[str]:
    return namespaces.contents(reach(), namespace, fleet)


def _named(row: Written) -> list[str]:
    return cluster_names(row.wanted) if row.wanted["kind"] == "PropagationPolicy" and "spec" in row.wanted else []


def _described(key: Key) -> str:
    return f"{key.kind} {key.namespace}/{key.name}"


class Outcome(t.NamedTuple):
    """What came of a run. ``error`` is a sentence, '' where it did what was asked for."""

    rows: list[dict[str, t.Any]]
    changed: bool
    diff: list[dict[str, str]]
    warnings: list[str]
    error: str


def run(karmada: Cluster, params: t.Mapping[str, t.Any], *, dry_run: bool) -> Outcome:
    """Do what the options of the module ``service_exports`` say.

    :raises ApiError: the input is bad, a right is missing, an object is somebody else's (nothing is written then), or Karmada refuses.
    """
    present, services = params["state"] == "present", params["services"]
    everything = not present and not params["clusters"]
    clusters = control_plane.clusters(karmada)
    missing = karmada.can_i(
        rights(
            present=present,
            prune=params["prune"],
            wait=params["wait"] and not dry_run,
            create_namespace=any(service["create_namespace"] for service in services),
        )
    )
    names = [one["name"] for one in clusters]
    sentences = _clusters.problems(karmada.name, missing, params["members"] if present else [], names)
    if present:
        sentences += _services.problems(services, names)
        if params["prune"] and not services:
            sentences.append(_services.nothing_to_keep("services"))
        if not params["members"] and not all(service["to_clusters"] for service in services):
            sentences.append(
                "members is empty and a service has no to_clusters, and Karmada takes a placement without clusters for all of them."
                " Name the clusters that import."
            )
    if sentences:
        raise ApiError(karmada.name, " ".join(sentences), reason="Input")
    applier = Applier(karmada, fleet=params["fleet"], adopt=params["adopt"], dry_run=dry_run)
    exports = Exports(karmada, applier)
    late: dict[Service, str] | None = None
    if present:
        exports.present(services, params["members"], prune=params["prune"])
        if params["wait"] and not dry_run:
            late = exports.wait(services, clusters, params["wait_timeout"])
    else:
        exports.absent(params["clusters"])
    if everything or params["prune"]:
        places = {"Karmada": lambda: karmada, **{name: partial(control_plane.proxied, karmada, params, name) for name in names}}
        exports.drop_namespaces(places, time.monotonic() + params["wait_timeout"])
    said = "; ".join((late or {}).values())
    error = (
        f"Karmada has not placed {said}. The words are its scheduler's; see that the clusters are Ready and list the kinds." if said else ""
    )
    return Outcome(exports.rows(late), applier.changed, applier.diff, exports.warnings, error)
