# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Asks the DNS servers of many members at once and compares. A member that cannot be looked at is a failed row, whatever the reason."""

from __future__ import annotations

import functools
import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect, http_query, query, report
from ansible_collections.clusterset.dns.plugins.module_utils._dns.endpoints import Endpoint
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Fleet", "Group", "Look", "Settings", "Unasked", "Want"]

Rows = list[dict[str, t.Any]]

# Of the deadline, the seconds that are kept for the last look and the report.
_RESERVE = 5.0


class Want(t.NamedTuple):
    """A member: its name, how it is reached, and its options by their names."""

    name: str
    auth: t.Mapping[str, t.Any]
    options: t.Mapping[str, t.Any]


class Settings(t.NamedTuple):
    """What holds for the whole run. ``deadline`` as ``time.monotonic()`` counts; the other times in seconds."""

    deadline: float
    parallel: int = 16
    timeout: float = 5
    wait_timeout: float = 0
    wait_sleep: float = 1
    http_timeout: float = 5
    http_wait_timeout: float = 0
    check: bool = False


class Group(t.NamedTuple):
    """DNS server pods that are found and asked alike. ``port`` is a number or the name of a container's port; ``owner`` a uid, '' for any."""

    namespace: str
    label_selector: str
    port: int | str = 53
    pods: tuple[str, ...] = ()
    owner: str = ""


class Unasked(t.NamedTuple):
    """A DNS server that cannot be asked, and why; ``wrong`` where it is known not to answer."""

    name: str
    cause: str
    wrong: bool


class Look(t.NamedTuple):
    """What a member's API server says. ``imports`` is None where it has no ServiceImports; the rest as ``expect`` takes it."""

    imports: Rows | None
    groups: list[Group]
    unasked: list[Unasked]
    kubernetes_ips: list[str]
    desired: t.Mapping[expect.Key, expect.Desired]
    endpoints: t.Mapping[expect.Key, t.Sequence[Endpoint]]
    delivered: t.Collection[expect.Key]


Looks = t.Callable[[Cluster, t.Mapping[str, t.Any]], Look]


class _Member:
    """One member's answers beside what they should be, looked at once per :meth:`round`."""

    def __init__(self, cluster: Cluster, want: Want, settings: Settings, look: Looks) -> None:
        self._cluster = cluster
        self._options = want.options
        self._settings = settings
        self._look = look
        self._ttl = 0
        self.served = False
        self.urls: list[dict[str, str]] = []
        self.notes: list[str] = []

    def round(self, waited: float) -> Rows:
        """Read, ask and compare. ``waited`` is for how many seconds that has been going on. Raises ApiError."""
        seen, zone = self._look(self._cluster, self._options), self._options["zone"]
        wanted, self.notes = self._wanted(seen)
        health = [one.question for one in wanted if not one.service]
        services = [one.question for one in wanted if one.service and not expect.invalid_name(one.question.name)]
        answers: Rows = []
        failing = ""
        denied: tuple[str, ...] | None = None
        self.served = False
        groups, empty = self._pods(seen.groups)

        # An upstream server that does not know the zone may take a second for each name, so pods that do not serve it
        # are not asked about services.
        def more(given: t.Sequence[dict[str, t.Any]]) -> list[expect.Question]:
            return services if expect.serves(zone, given) else []

        for group, pods in groups:
            given = self._ask(group, pods, health, more)
            serving = [pod for pod in pods if expect.serves(zone, [one for one in given if one["pod"] == pod["pod"]])]
            self.served = self.served or bool(serving)
            asked = [one for one in given if expect.Question(one["name"], one["type"]) in services]
            if not failing and any(one["rcode"] == "SERVFAIL" for one in asked):
                failing = serving[0]["service_account"]
                denied = self._denied(group.namespace, failing)
            answers += given
        facts = expect.Facts(zone=zone, crd=seen.imports is not None, denied=denied, waited=waited, ttl=self._ttl)
        rows = expect.verify(wanted, answers, facts)
        self._ttl = max([self._ttl, *(row["ttl"] or 0 for row in rows if not row["ok"])])
        name = self._cluster.name
        unasked = [report.single(name, "unasked", one.cause, pod=one.name, ok=False if one.wrong else None) for one in seen.unasked]
        return [{"cluster": name, **row} for row in rows] + [report.single(name, "error", cause) for cause in empty] + unasked

    def _wanted(self, seen: Look) -> tuple[list[expect.Expectation], list[str]]:
        options, zone = self._options, self._options["zone"]
        services = expect.services_of(self._cluster.name, options["services"])
        # With services given of which none is for this cluster, none is verified; without any, all are.
        if options["services"] and not services:
            return expect.health(zone, options["cluster_domain"], seen.kubernetes_ips), []
        self.urls = expect.http_urls(seen.imports or [], services, zone, options["http_path"])
        return expect.expectations(
            seen.imports or [],
            services,
            zone,
            options["cluster_domain"],
            seen.kubernetes_ips,
            desired=seen.desired,
            endpoints=seen.endpoints,
            delivered=seen.delivered,
        )

    def _pods(self, groups: t.Iterable[Group]) -> tuple[list[tuple[Group, Rows]], list[str]]:
        """The pods to ask by the port that they are asked on, each once; and the sentences about groups that have none."""
        found: list[tuple[Group, Rows]] = []
        empty: list[str] = []
        known: set[tuple[str, str]] = set()
        for group in groups:
            try:
                pods = query.find_pods(self._cluster, group.namespace, group.label_selector, group.pods)
            except ApiError as error:
                if error.status is not None or error.reason != "NotFound":
                    raise
                empty.append(str(error))
                continue
            by_port: dict[int, Rows] = {}
            for pod in pods:
                if (group.namespace, pod["pod"]) in known or (group.owner and pod["owner"] != group.owner):
                    continue
                known.add((group.namespace, pod["pod"]))
                port = group.port if isinstance(group.port, int) else pod["ports"].get(group.port, 53)
                by_port.setdefault(port, []).append(pod)
            found += [(group._replace(port=port), of_port) for port, of_port in by_port.items()]
        return found, empty

    def _ask(self, group: Group, pods: Rows, questions: list[expect.Question], then: query.Then) -> Rows:
        if not questions or not pods:
            return []
        port, timeout = int(group.port), self._settings.timeout
        return query.ask_pods(self._cluster, group.namespace, pods, questions, port=port, timeout=timeout, then=then)

    def _denied(self, namespace: str, service_account: str) -> tuple[str, ...] | None:
        """The verbs that a service account may not use on ServiceImports; None where that cannot be asked."""
        rights = [{"verb": verb, "group": "multicluster.x-k8s.io", "resource": "serviceimports"} for verb in ("list", "watch")]
        denied = self._cluster.denied(namespace, service_account, rights)
        return None if denied is None else tuple(right["verb"] for right in denied)

    def with_http(self, rows: Rows) -> Rows:
        """The rows with what curl says from inside the member, which never raises."""
        if not self.urls:
            return rows
        options, settings = self._options, self._settings
        try:
            tried = http_query.query(
                self._cluster,
                [one["url"] for one in self.urls],
                options["http_image"],
                namespace=options["http_namespace"],
                timeout=settings.http_timeout,
                wait_timeout=settings.http_wait_timeout,
                deadline=settings.deadline - _RESERVE,
            )
        except ApiError as error:
            tried = [{"url": one["url"], "status": None, "body": "", "time_ms": None, "error": str(error)} for one in self.urls]
        return report.with_http(rows, self.urls, tried)


class Fleet:
    """The members of one run, each verified on its own within one deadline.

    :arg look: reads one member.
    :arg given_up: names of members that are not looked at any more.
    """

    def __init__(self, wants: t.Iterable[Want], settings: Settings, look: Looks, given_up: t.Iterable[str] = ()) -> None:
        self.wants = {want.name: want for want in wants}
        self._settings = settings
        self._look = look
        self._given_up = list(given_up)
        self._waiter = Waiter(min(settings.wait_timeout, settings.deadline - time.monotonic() - _RESERVE), settings.wait_sleep)
        # What was found so far, kept for a member that does not get done.
        self._rows: dict[str, Rows] = {}
        self._notes: dict[str, list[str]] = {}
        self.unread: dict[str, str] = {}

    @property
    def notes(self) -> list[str]:
        """What was left out, in sentences."""
        return [f"{name}: {note}" for name in self.wants for note in self._notes.get(name, [])]

    def verify(self) -> Rows:
        """One row per member, pod and question, and one for each member about which nothing, or not everything, is known."""
        jobs = {name: functools.partial(self._verify, want) for name, want in self.wants.items()}
        outcome = each(jobs, parallel=self._settings.parallel, deadline=self._settings.deadline)
        rows: Rows = []
        for name, result in outcome.items():
            if isinstance(result, ApiError):
                self.unread[name] = str(result)
                rows += [*self._rows.get(name, []), report.single(name, "error", str(result))]
            else:
                rows += result
        for name in self._given_up:
            self.unread[name] = f"{name}: not verified, because an earlier step failed there."
            rows.append(report.single(name, "error", self.unread[name]))
        return rows

    def failures(self, rows: Rows) -> list[dict[str, str]]:
        """The members that could not be looked at, or whose answers are not right: ``{name, error}``, sorted.

        In check mode what is wrong may be what the run would put right, so that only the former are named.
        """
        causes = {name: [cause] for name, cause in self.unread.items()}
        for row in [] if self._settings.check else rows:
            if row["ok"] is False and row["cause"] not in causes.setdefault(row["cluster"], []):
                causes[row["cluster"]].append(row["cause"])
        return [{"name": name, "error": " ".join(causes[name])} for name in sorted(causes)]

    def _verify(self, want: Want) -> Rows:
        settings = self._settings
        cluster = Cluster(want.name, want.auth, deadline=settings.deadline)
        member = _Member(cluster, want, settings, self._look)
        start = time.monotonic()
        while True:
            rows = self._rows[want.name] = member.round(time.monotonic() - start)
            self._notes[want.name] = member.notes
            right = all(row["ok"] is not False for row in rows)
            if right or settings.check or not self._waiter.pause():
                break
        if settings.check and not member.served:
            why = "No pod serves the zone yet, so there is nothing to verify."
            rows = [report.single(want.name, "skipped", why, ok=None)]
        elif want.options["http_image"] and not settings.check:
            rows = member.with_http(rows)
        return [report.complete(row) for row in rows]
