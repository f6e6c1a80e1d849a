# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Exchanges the pods of a CoreDNS Deployment without a query lost; how is decided in ``rollout.py``, which says why, too."""

from __future__ import annotations

import contextlib
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics, pods, rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import container, coredns
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect
from ansible_collections.clusterset.dns.plugins.module_utils._kube.change import certain
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import satisfied
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Exchange", "ExchangeError", "Pace"]

Object = dict[str, t.Any]

_PARALLEL = 8
# For how long an old pod has not been asked when it may go.
_QUIET = 3


class ExchangeError(Exception):
    """New pods are of no use, as a sentence. The old ones still serve."""


class Pace(t.NamedTuple):
    """Seconds: ``timeout`` for new pods to be ready, ``settle`` for new pods to be in service before old ones go, ``drain`` for old ones to go on
    answering once they are out of service at least, and ``drain_timeout`` at most while they are still asked.
    """

    timeout: float = 180
    settle: float = 3
    drain: float = 10
    drain_timeout: float = 120


class Exchange:
    """The pods of one Deployment.

    :arg wanted: what a new pod has to answer before an old one goes; :arg port: where it listens; :arg metrics_port: where it tells how
        often it is asked, None where it does not.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        pace: Pace,
        wanted: t.Sequence[expect.Expectation],
        port: int,
        metrics_port: int | None,
    ) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.name = name
        self.label = f"Deployment {namespace}/{name}"
        self.path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
        self._pace = pace
        self._wanted = wanted
        self._port = port
        self._metrics_port = metrics_port
        self._waiter = Waiter(pace.timeout)
        self._back = False

    def read(self) -> Object:
        return t.cast("Object", self.cluster.get(self.path))

    def run(self, want: rollout.Target, stuck: t.Collection[str] = (), *, back: bool = False) -> None:
        """Have nothing but pods of the wanted template, and of those none of the ``stuck`` ones (names).

        :arg back: the template is the one that was there before: its pods need not answer better than those that are to go.
        :raises ExchangeError: new pods are of no use.
        """
        self._back = back
        self._waiter = Waiter(self._pace.timeout)
        deployment = self.read()
        patch = rollout.begin(deployment, container(deployment), want)
        if patch:
            certain(
                lambda: self.cluster.patch(self.path, patch, kind="strategic"),
                lambda: rollout.begin(now := self.read(), container(now), want) is None,
            )
        # a new template exchanges them all
        released = [] if patch else self._release(stuck)
        try:
            self._ready()
            self._answering()
            self._swap()
        except (ApiError, ExchangeError, KeyboardInterrupt):
            self._take_back(released)
            raise
        self._drain()
        while not coredns(self.read())["rolled_out"]:
            self._in_time("it did not get rid of its old pods")

    def orphans(self) -> list[Object]:
        """Pods that this or an earlier run took out of service, and that still run."""
        found = self.cluster.list(pods.path_of(self.namespace), label_selector=f"{rollout.DRAINED}={self.name}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def _generations(self) -> pods.Generations:
        while True:
            found = pods.generations(self.cluster, self.read())
            if found:
                return found
            self._in_time("its controller did not take note of the change")

    def _release(self, stuck: t.Collection[str]) -> list[Object]:
        """Make old pods of the stuck ones, which still serve."""
        if not stuck:
            return []
        found = [pod for pod in self._generations().new if pod["metadata"]["name"] in stuck and not pod["metadata"].get("deletionTimestamp")]
        for pod in found:
            self._patch(pod["metadata"]["name"], rollout.release(self.name))
        return found

    def _take_back(self, released: list[Object]) -> None:
        """Undo :meth:`_release`, also of pods that were taken out of service since."""
        for pod in released:
            # the first cause is what counts; a pod that is left has a label by which the next run finds it
            with contextlib.suppress(ApiError):
                self._patch(pod["metadata"]["name"], rollout.take_back(pod["metadata"]["labels"]))

    def _ready(self) -> pods.Generations:
        """Wait until as many new pods serve as there shall be replicas."""
        while True:
            found = self._generations()
            if len(rollout.serving(found.new)) >= found.deployment["spec"].get("replicas", 1):
                return found
            for pod in found.new:
                if words := rollout.trouble(pod):
                    raise ExchangeError(f"{words}. {self._last_words(pod)}".rstrip())
            self._in_time(next(filter(None, map(rollout.unscheduled, found.new)), "its new pods did not get ready"))

    def _answering(self) -> None:
        """Ask each new pod until all answer, and there are as many as there shall be."""
        while True:
            found = self._ready()
            wrong = pods.answers(self.cluster, rollout.serving(found.new), self._wanted, self._port)
            if not wrong:
                return
            leaving = rollout.serving(found.old)
            if self._back and all(pods.answers(self.cluster, [one], self._wanted, self._port) for one in leaving):
                return
            self._in_time(f"new {wrong[0]}")

    def _swap(self) -> None:
        """Take the old pods out of service and let the Deployment have its own settings again, in this order at once.

        The ReplicaSet of the old pods replaces each; its replacements are not ready yet when the Deployment, which has enough new
        pods by its own settings, scales it down, and go first. Hence nothing slow may stand between the two.
        """
        if rollout.serving(self._generations().old):
            time.sleep(max(self._pace.settle, rollout.ready_seconds(self.read())))
            # what was ready and answered before the pause need not be now
            self._answering()
            services = self.cluster.list(f"/api/v1/namespaces/{self.namespace}/services")
            found = self._ready()
            leaving, selector = rollout.serving(found.old), found.deployment["spec"]["selector"]
            patch = rollout.finish(found.deployment)
            with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
                list(pool.map(lambda pod: self._patch(pod["metadata"]["name"], rollout.detach(pod, selector, services, self.name)), leaving))
        else:
            patch = rollout.finish(self.read())
        if patch:
            certain(lambda: self.cluster.patch(self.path, patch), lambda: satisfied(patch, self.read()))

    def _drain(self) -> None:
        """Delete what was taken out of service, once no proxy leads a query to it any more."""
        orphans = self.orphans()
        if not orphans:
            return
        leaving = [pod["metadata"]["name"] for pod in orphans]
        waiter = Waiter(self._pace.drain_timeout, _QUIET)
        time.sleep(max(0.0, self._pace.drain - _QUIET))
        asked = self._asked(leaving)
        while waiter.pause():
            before, asked = asked, self._asked(leaving)
            if before == asked:
                break
        for pod in orphans:
            self.cluster.delete(pods.path_of(self.namespace, pod["metadata"]["name"]), found=pod)
        # it has a limit of its own
        self._waiter.extend(waiter.elapsed)

    def _asked(self, names: list[str]) -> dict[str, int | None]:
        """How many questions each pod has had; None where it does not say."""
        if not self._metrics_port:
            return dict.fromkeys(names)
        port = self._metrics_port

        def one(pod: str) -> int | None:
            try:
                return metrics.asked(self.cluster.metrics(self.namespace, pod, port))
            except ApiError:
                # it has gone, or does not answer: no reason to keep it
                return None

        with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
            return dict(zip(names, pool.map(one, names), strict=True))

    def _patch(self, pod: str, patch: dict[str, t.Any]) -> None:
        """Patch a pod, unless it has gone."""
        path = pods.path_of(self.namespace, pod)
        for last in (False, True):
            try:
                certain(lambda: self.cluster.patch(path, patch), lambda: self._has(path, patch))
                return
            except ApiError as error:
                if error.status == 404:
                    return
                if error.status != 409 or last:
                    raise
                # its status changed meanwhile, which is no reason to leave it
                patch["metadata"].pop("resourceVersion", None)

    def _has(self, path: str, patch: dict[str, t.Any]) -> bool:
        now = self.cluster.get(path, missing_ok=True)
        return now is None or satisfied(patch["metadata"]["labels"], now["metadata"].get("labels") or {})

    def _in_time(self, words: str) -> None:
        if not self._waiter.pause():
            raise ExchangeError(f"{self.label}: {words} within {self._pace.timeout:g} s.")

    def _last_words(self, pod: Object) -> str:
        return pods.last_words(self.cluster, self.namespace, pod["metadata"]["name"], container(self.read())["name"])
