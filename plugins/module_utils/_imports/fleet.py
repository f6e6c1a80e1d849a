# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Reads the ServiceImports of many members at once, writes those whose addresses differ, and carries on where a
member fails.

What the addresses are is decided in ``addresses``; here is only in which order the API servers are asked and told.
"""

from __future__ import annotations

import http.client
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import (
    DERIVED_PREFIX,
    Facts,
    Import,
    Key,
    balancer_ips,
    decide,
    import_of,
    max_ips_of,
    service_of,
    settle,
    slice_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._imports.headless import (
    SELECTOR as IMPORTED_SLICES,
)
from ansible_collections.clusterset.dns.plugins.module_utils._imports.headless import (
    Slice,
    SliceRow,
    cluster_of_space,
    collected_from,
    imported_slice,
    patch_of,
    slice_row,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import FIELD_MANAGER, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each

_API = "/apis/multicluster.x-k8s.io/v1alpha1"
_SLICES = "/apis/discovery.k8s.io/v1"
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceimports.multicluster.x-k8s.io"
# Large pages: an import or a derived Service is about a kilobyte, and every page costs a round trip.
_PAGE = 2500
# How often an import that changed between reading and writing (409) is read and decided again.
_CONFLICTS = 5
# How often a member's first write is tried, which Karmada may undo as long as it has not heard of the retain rule.
_TRIES = 3
# Up to this many objects are read again one by one, more by one list.
_FEW = 10
# The part of verify_after after which a first write, made alone, is looked at.
_PROBE = 0.5

T = t.TypeVar("T")


class Member(t.NamedTuple):
    """A member cluster: its name in Karmada, how it is reached, and what it wants otherwise than the fleet."""

    name: str
    auth: t.Mapping[str, t.Any]
    strategy: str | None = None
    strategies: t.Mapping[Key, str] = {}
    ips: t.Mapping[Key, tuple[str, ...]] = {}


class Settings(t.NamedTuple):
    """What holds for the whole run. ``services`` None means all; times in seconds, ``deadline`` as
    ``time.monotonic()`` counts.
    """

    services: frozenset[Key] | None = None
    label_selector: str = ""
    strategy: str = "derived"
    strategies: t.Mapping[Key, str] = {}
    source_gone: str = "clear"
    force: bool = False
    headless: bool = True
    dry_run: bool = False
    wait_timeout: float = 0
    verify_after: float = 0.5
    deadline: float = float("inf")
    parallel: int = 16
    qps: float = 1000
    in_flight: int = 8
    timeout: float = 10


class Row(t.NamedTuple):
    """What became of one import on one member, whose addresses were ``actual`` when it was read. ``pending``: their source is not there
    (yet); ``held``: they are not what the strategy would give, and are left; ``error`` '' unless it failed.
    """

    cluster: str
    key: Key
    desired: tuple[str, ...]
    actual: tuple[str, ...]
    reason: str
    changed: bool = False
    pending: bool = False
    error: str = ""
    held: bool = False


class NoImports(ApiError):
    """The member has no ServiceImport API that this collection can use."""


class State(t.NamedTuple):
    """What was read of one member."""

    imports: dict[Key, Import]
    facts: Facts
    slices: tuple[Slice, ...] = ()  # of the headless ones among the imports


class Outcome(t.NamedTuple):
    """What became of one member; ``error`` None where all went well, ``rows`` what was got to nevertheless."""

    rows: list[Row]
    error: ApiError | None = None
    slices: tuple[SliceRow, ...] = ()


def connect(member: Member, settings: Settings) -> Cluster:
    """The member's API server, within the limits of the run."""
    return Cluster(
        member.name,
        member.auth,
        qps=settings.qps,
        in_flight=settings.in_flight,
        timeout=settings.timeout,
        deadline=settings.deadline,
    )


def strategy_of(key: Key, member: Member, settings: Settings) -> str:
    """The strategy for one import on one member: what says most precisely whom it means wins."""
    if key in member.ips:
        return "static"
    return member.strategies.get(key) or settings.strategies.get(key) or member.strategy or settings.strategy


def uses(strategy: str, members: t.Iterable[Member], settings: Settings) -> bool:
    """Whether any import of the fleet may be decided by ``strategy``."""
    named = {settings.strategy, *settings.strategies.values()}
    for member in members:
        named |= {member.strategy, *member.strategies.values()}
    return strategy in named


Exports = t.Callable[[], "t.Collection[Key] | None"]


def read(cluster: Cluster, member: Member, settings: Settings, *, balancers: bool = False, exports: Exports = lambda: None) -> State:
    """What one member has: one paginated list per kind.

    :arg balancers: its load balancers are wanted by others too.
    :arg exports: gives the services that are exported, see :class:`Facts`; asked only where an import came from Karmada.
    """
    imports = {one.key: one for one in _list_imports(cluster, settings)}
    if settings.services is not None:
        imports = {key: one for key, one in imports.items() if key in settings.services}
    _require_that_it_is(member.name, imports.values())
    if not imports and not balancers:
        return State({}, Facts())
    named = {strategy_of(key, member, settings) for key in imports}
    facts = Facts(static=member.ips, max_ips=max_ips_of(_crd(cluster)))
    if named & {"derived", "local_first"} and any(one.space for one in imports.values()):
        facts = facts._replace(exported=exports())
    if named - {"static"} or balancers:
        facts = facts._replace(services=_services(cluster, imports, balancers))
    if named & {"local_first", "endpoints"}:
        facts = facts._replace(ready=_ready(cluster, imports))
    return State(imports, facts, _slices(cluster, imports) if settings.headless else ())


def _require_that_it_is(name: str, imports: t.Iterable[Import]) -> None:
    """ApiError where what Karmada delivered says that this is another member: its addresses would be right, its name is not."""
    others = {cluster_of_space(one.space) for one in imports} - {"", name}
    if others:
        raise ApiError(
            name,
            f"{name}: the credentials reach the member that Karmada calls {' and '.join(sorted(others))}. Set kubeconfig and context to those"
            f" of {name}, or its name (in members, or cluster) to the one that Karmada uses.",
            reason="OtherMember",
        )


def with_balancers(states: t.Mapping[str, State], *, unread: t.Sequence[str]) -> dict[str, State]:
    """The same states, each knowing the load balancers of all of them, and whose could not be read."""
    known: dict[Key, list[tuple[str, tuple[str, ...]]]] = {}
    for name in sorted(states):
        for key, service in states[name].facts.services.items():
            if balancer_ips(service):
                known.setdefault(key, []).append((name, balancer_ips(service)))
    return {name: state._replace(facts=state.facts._replace(balancers=known, unread=unread)) for name, state in states.items()}


def judge(member: Member, state: State, settings: Settings, keys: t.Iterable[Key] | None = None) -> list[Row]:
    """What each import of a member (or of ``keys``) is to have; ``changed`` where that differs from what it has."""
    rows = []
    delivered = {(one.key[0], one.service) for one in state.slices}
    for key in sorted(state.imports if keys is None else keys):
        one = state.imports[key]
        decision = decide(one, strategy_of(key, member, settings), state.facts)
        if one.type == "Headless" and one.space and settings.headless and key not in delivered:
            exported = state.facts.exported is None or key in state.facts.exported
            decision = decision._replace(reason=f"{decision.reason}, none of which has been delivered", pending=exported)
        ips, reason, held = settle(one, decision, source_gone=settings.source_gone, manager=FIELD_MANAGER, force=settings.force)
        rows.append(Row(member.name, key, ips, one.ips, reason, ips is not one.ips, decision.pending, held=held))
    return rows


Labels = t.Callable[[str, State], list[SliceRow]]


def sync(cluster: Cluster, member: Member, state: State, settings: Settings, labels: Labels) -> Outcome:
    """Write what differs to one member, wait for sources that are not there yet, and see that what was written stays.

    :arg labels: what the EndpointSlices of a member are to have, see :meth:`Fleet.slices`.
    """
    return _Sync(cluster, member, settings, labels).run(state)


class _Sync:
    """One member's writes. An error of the member as a whole ends them; one of a single import is noted in its row."""

    def __init__(self, cluster: Cluster, member: Member, settings: Settings, labels: Labels) -> None:
        self._cluster = cluster
        self._member = member
        self._settings = settings
        self._labels = labels
        self._labelled: dict[Key, SliceRow] = {}
        self._error: ApiError | None = None

    def run(self, state: State) -> Outcome:
        until = time.monotonic() + self._settings.wait_timeout
        done: list[Row] = []
        rows = judge(self._member, state, self._settings)
        while True:
            waiting = [row for row in rows if row.pending] if time.monotonic() < until else []
            done += self._write([row for row in rows if row not in waiting], state)
            self._label(state)
            if self._error or not waiting:
                break
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
            try:
                state = _again(self._cluster, self._member, state, self._settings)
            except ApiError as error:
                self._error = error
                break
            rows = judge(self._member, state, self._settings, [row.key for row in waiting if row.key in state.imports])
        done += [row._replace(changed=False) for row in waiting]
        return Outcome(sorted(done), self._error, tuple(sorted(self._labelled.values())))

    def _label(self, state: State) -> None:
        """Give the EndpointSlices their labels that have not been seen to before."""
        if self._error:
            return
        try:
            rows = [row for row in self._labels(self._member.name, state) if row.key not in self._labelled]
            self._labelled |= {row.key: row for row in label(self._cluster, rows, self._settings)}
        except ApiError as error:
            self._error = error

    def _write(self, rows: list[Row], state: State) -> list[Row]:
        """The rows as they became. The first write goes alone: if Karmada undoes it, none of the others is made."""
        todo = [row for row in rows if row.changed]
        result = {row.key: row for row in rows}
        proving = self._settings.verify_after > 0 and not self._settings.dry_run
        for batch in (todo[:1], todo[1:]) if proving else (todo,):
            if self._error or not batch:
                result |= {row.key: row._replace(changed=False) for row in batch}
                continue
            # where nothing comes after the first write, it is looked at once, and late
            after = self._settings.verify_after * (_PROBE if batch == todo[:1] and len(todo) > 1 else 1)
            for attempt in range(_TRIES if batch == todo[:1] else 1):
                with ThreadPoolExecutor(self._settings.in_flight) as pool:
                    written = list(pool.map(lambda row: self._write_one(row, state), batch))
                undone = self._undone(written, after * 2**attempt) if proving else []
                if not undone or self._error:
                    break
            result |= {row.key: row for row in (self._note_undone(written, undone) if undone else written)}
        return list(result.values())

    def _write_one(self, row: Row, state: State) -> Row:
        one = state.imports[row.key]
        path = _path(row.key)
        try:
            for _attempt in range(_CONFLICTS):
                if self._error:
                    return row._replace(changed=False)
                try:
                    # null takes the field away: an empty list comes back from Karmada's Lua as an object
                    body = {
                        "metadata": {"resourceVersion": one.resource_version},
                        "spec": {"ips": list(row.desired) or None},
                    }
                    self._cluster.patch(path, body, dry_run=self._settings.dry_run)
                    return row
                except ApiError as error:
                    if error.status == http.client.NOT_FOUND:
                        return row._replace(changed=False, reason="the ServiceImport was deleted meanwhile")
                    if error.status != http.client.CONFLICT:
                        raise
                document = self._cluster.get(path, missing_ok=True)
                if document is None:
                    return row._replace(changed=False, reason="the ServiceImport was deleted meanwhile")
                one = import_of(document)
                fresh = judge(self._member, state._replace(imports={one.key: one}), self._settings)[0]
                if not fresh.changed:
                    return fresh._replace(actual=row.actual)
                row = fresh
            return row._replace(changed=False, error=f"changed by others {_CONFLICTS} times while it was being written")
        except ApiError as error:
            if error.status in (http.client.BAD_REQUEST, http.client.UNPROCESSABLE_ENTITY):
                return row._replace(changed=False, error=str(error))
            self._error = error
            return row._replace(changed=False)

    def _undone(self, rows: list[Row], after: float) -> list[Key]:
        """Read again what was written: Karmada undoes within a fraction of a second what it is not told to retain."""
        written = {row.key: row for row in rows if row.changed}
        if not written:
            return []
        time.sleep(after)
        try:
            now = current(self._cluster, written, self._settings)
        except ApiError as error:
            self._error = self._error or error
            return []
        return [key for key, row in written.items() if key in now and set(now[key].ips) != set(row.desired)]

    def _note_undone(self, rows: list[Row], undone: list[Key]) -> list[Row]:
        self._error = ApiError(
            self._member.name,
            f"{self._member.name}: spec.ips of {_names(undone)} did not stay: Karmada wrote it back. Either no"
            " ResourceInterpreterCustomization on the control plane retains it (place one), or the ServiceImport there or an OverridePolicy"
            " sets spec.ips itself (take it away, or set write_via to override).",
            reason="Undone",
        )
        return [row._replace(error="Karmada wrote the old value back") if row.key in undone else row for row in rows]


def label(cluster: Cluster, rows: t.Sequence[SliceRow], settings: Settings) -> list[SliceRow]:
    """Write the labels that differ, and give the rows as they became."""

    def write(row: SliceRow) -> SliceRow:
        if not row.changed:
            return row
        path = f"{_SLICES}/namespaces/{row.key[0]}/endpointslices/{row.key[1]}"
        try:
            cluster.patch(path, patch_of(row), dry_run=settings.dry_run)
        except ApiError as error:
            if error.status != http.client.NOT_FOUND:
                raise
            return row._replace(changed=False, reason="the EndpointSlice was deleted meanwhile")
        return row

    with ThreadPoolExecutor(settings.in_flight) as pool:
        return list(pool.map(write, rows))


def current(cluster: Cluster, keys: t.Collection[Key], settings: Settings) -> dict[Key, Import]:
    """Those of ``keys`` that the member has now."""
    if len(keys) > _FEW:
        return {one.key: one for one in _list_imports(cluster, settings) if one.key in keys}
    found = (cluster.get(_path(key), missing_ok=True) for key in keys)
    return {one.key: one for one in map(import_of, filter(None, found))}


def exported(karmada: Cluster) -> frozenset[Key] | None:
    """The services that the control plane has a ServiceExport of; None where they may not be read."""
    try:
        found = karmada.list(f"{_API}/serviceexports", limit=_PAGE, keep=lambda one: (one["metadata"]["namespace"], one["metadata"]["name"]))
    except ApiError as error:
        if error.status not in (http.client.NOT_FOUND, http.client.FORBIDDEN):
            raise
        return None
    return frozenset(found)


def _again(cluster: Cluster, member: Member, before: State, settings: Settings) -> State:
    state = read(cluster, member, settings)
    known = before.facts
    return state._replace(facts=state.facts._replace(balancers=known.balancers, unread=known.unread, exported=known.exported))


def _path(key: Key) -> str:
    return f"{_API}/namespaces/{key[0]}/serviceimports/{key[1]}"


def _names(keys: t.Sequence[Key]) -> str:
    first = "/".join(keys[0])
    return first if len(keys) == 1 else f"{first} and {len(keys) - 1} more"


def _list_imports(cluster: Cluster, settings: Settings) -> list[Import]:
    path = f"{_API}/serviceimports"
    try:
        return cluster.list(path, label_selector=settings.label_selector, limit=_PAGE, keep=import_of)
    except ApiError as error:
        if error.status != http.client.NOT_FOUND:
            raise
        if "clusters.cluster.karmada.io" in str(error):
            why = "Karmada's proxy knows no such cluster. Join it, or take it out of the run"
            raise ApiError(cluster.name, f"{cluster.name}: {why}.", status=error.status, reason="Unregistered") from error
        raise NoImports(cluster.name, _why_no_imports(cluster), status=error.status, reason="NoImports", path=path) from error


def _why_no_imports(cluster: Cluster) -> str:
    versions = [one["name"] for one in ((_crd(cluster) or {}).get("spec") or {}).get("versions") or () if one.get("served")]
    if versions and "v1alpha1" not in versions:
        return (
            f"{cluster.name}: its ServiceImport CRD serves {' and '.join(versions)} only. CoreDNS and Karmada read v1alpha1: install"
            " a CRD that serves it."
        )
    return f"{cluster.name} has no ServiceImport API: the CRDs of the MCS API are not there. Install them, or leave the member out."


def _crd(cluster: Cluster) -> dict[str, t.Any] | None:
    try:
        return cluster.get(_CRD, missing_ok=True)
    except ApiError as error:
        if error.status != http.client.FORBIDDEN:
            raise
        return None  # who may not read CRDs gets one address per import, which every revision takes


def _services(cluster: Cluster, imports: t.Collection[Key], balancers: bool) -> dict[Key, t.Any]:
    wanted = {*imports, *((namespace, DERIVED_PREFIX + name) for namespace, name in imports)}
    found = cluster.list("/api/v1/services", limit=_PAGE, keep=service_of)
    return {key: service for key, service in found if key in wanted or (balancers and service.type == "LoadBalancer")}


def _slices(cluster: Cluster, imports: t.Mapping[Key, Import]) -> tuple[Slice, ...]:
    headless = {key for key, one in imports.items() if one.type == "Headless"}
    if not headless:
        return ()
    found = cluster.list(f"{_SLICES}/endpointslices", label_selector=IMPORTED_SLICES, limit=_PAGE, keep=imported_slice)
    return tuple(one for one in found if (one.key[0], one.service) in headless)


def _ready(cluster: Cluster, imports: t.Collection[Key]) -> dict[Key, tuple[str, ...]]:
    ready: dict[Key, tuple[str, ...]] = {}
    for key, addresses in cluster.list(f"{_SLICES}/endpointslices", limit=_PAGE, keep=slice_of):
        if (key[0], key[1].removeprefix(DERIVED_PREFIX)) in imports or key in imports:
            ready[key] = ready.get(key, ()) + addresses
    return ready


class Fleet:
    """The members of one run: read, judged and written together, each failing on its own.

    :arg only: the names of those whose imports are looked at. The others are read no more than these need, and never written.
    """

    def __init__(self, members: t.Iterable[Member], settings: Settings, only: t.Collection[str] | None = None) -> None:
        # The control plane, where it can be asked: it alone knows what is exported, and whence a slice comes whose name leaves a doubt.
        self.karmada: Cluster | None = None
        self.slice_rows: list[SliceRow] = []
        self._collected: dict[Key, str] | None = None
        self._exported: list[t.Collection[Key] | None] = []
        self._lock = threading.Lock()
        self.members = {member.name: member for member in members}
        self.targets = [name for name in self.members if only is None or name in only]
        self.settings = settings
        self.failed: dict[str, ApiError] = {}
        self.clusters: dict[str, Cluster] = {}

    def sync(self) -> list[Row]:
        """Write on every member what differs there."""
        if self._shares_balancers:
            states = self.read()
            jobs = {name: self._job(self._sync_one, name, state) for name, state in states.items()}
        else:
            jobs = {name: self._job(self._sync_one, name, None) for name in self.targets}
        rows: list[Row] = []
        for name, outcome in self._each(jobs).items():
            rows += outcome.rows
            self.slice_rows += outcome.slices
            if outcome.error:
                self.failed[name] = outcome.error
        return rows

    def read(self) -> dict[str, State]:
        """What every member has whose imports are looked at, by its name; those that cannot be read are in ``failed``."""
        if not self._shares_balancers:
            return self._each({name: self._job(self._read_one, name) for name in self.targets})
        jobs = {name: self._job(self._read_one if name in self.targets else self._read_balancers, name) for name in self.members}
        states = self._each(jobs)
        states = with_balancers(states, unread=[name for name in sorted(self.members) if name not in states])
        return {name: state for name, state in states.items() if name in self.targets}

    def slices(self, name: str, state: State) -> list[SliceRow]:
        """What the EndpointSlices of a member's headless imports are to have."""
        sources = self._sources if self.karmada else None
        return [slice_row(name, one, self.members, sources) for one in sorted(state.slices)]

    def judge_slices(self, states: t.Mapping[str, State]) -> None:
        """The same for all members, into ``slice_rows``."""
        jobs = {name: self._job(self.slices, name, state) for name, state in states.items()}
        self.slice_rows = [row for rows in self._each(jobs).values() for row in rows]

    def label(self) -> None:
        """Write the labels of ``slice_rows`` that differ."""
        by_member: dict[str, list[SliceRow]] = {}
        for row in self.slice_rows:
            by_member.setdefault(row.cluster, []).append(row)
        jobs = {name: self._job(self._label_one, name, rows) for name, rows in by_member.items()}
        self.slice_rows = [row for rows in self._each(jobs).values() for row in rows]

    def judge(self, states: t.Mapping[str, State]) -> list[Row]:
        """What every import of every member is to have. Asks nobody."""
        return [row for name, state in states.items() for row in judge(self.members[name], state, self.settings)]

    def current(self, keys: t.Mapping[str, t.Collection[Key]]) -> dict[str, dict[Key, Import]]:
        """Those imports, by member, as they are now."""
        jobs = {name: self._job(self._current_one, name, wanted) for name, wanted in keys.items()}
        return self._each(jobs)

    @property
    def _shares_balancers(self) -> bool:
        return uses("load_balancer", (self.members[name] for name in self.targets), self.settings)

    def _cluster(self, name: str) -> Cluster:
        if name not in self.clusters:
            self.clusters[name] = connect(self.members[name], self.settings)
        return self.clusters[name]

    def _read_one(self, name: str) -> State:
        return read(self._cluster(name), self.members[name], self.settings, balancers=self._shares_balancers, exports=self._exports)

    def _read_balancers(self, name: str) -> State:
        return State({}, Facts(services=_services(self._cluster(name), (), balancers=True)))

    def _current_one(self, name: str, keys: t.Collection[Key]) -> dict[Key, Import]:
        return current(self._cluster(name), keys, self.settings)

    def _label_one(self, name: str, rows: list[SliceRow]) -> list[SliceRow]:
        return label(self._cluster(name), rows, self.settings)

    def _exports(self) -> t.Collection[Key] | None:
        """The services with a ServiceExport on the control plane; None where that cannot be told."""
        with self._lock:
            if not self._exported:
                self._exported = [exported(self.karmada) if self.karmada else None]
        return self._exported[0]

    def _sources(self) -> dict[Key, str]:
        with self._lock:
            if self._collected is None and self.karmada:
                path = f"{_SLICES}/endpointslices"
                self._collected = dict(self.karmada.list(path, label_selector=IMPORTED_SLICES, limit=_PAGE, keep=collected_from))
        return self._collected or {}

    def _sync_one(self, name: str, state: State | None) -> Outcome:
        return sync(self._cluster(name), self.members[name], state or self._read_one(name), self.settings, self.slices)

    @staticmethod
    def _job(function: t.Callable[..., T], *arguments: t.Any) -> t.Callable[[], T]:
        return lambda: function(*arguments)

    def _each(self, jobs: t.Mapping[str, t.Callable[[], T]]) -> dict[str, T]:
        results = each(jobs, parallel=self.settings.parallel, deadline=self.settings.deadline)
        good: dict[str, T] = {}
        for name, result in results.items():
            if isinstance(result, ApiError):
                self.failed[name] = result
            else:
                good[name] = result
        return good
