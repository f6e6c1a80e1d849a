# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The steps of a change of a member's CoreDNS. Each can be done, undone whether it was done, half done or not at all, and tried as a dry run.

They are in ``step_objects.py``, ``step_corefile.py``, ``step_pods.py`` and ``step_platform.py``; here is what they share. Which of them a member
needs is decided in ``plan.py``; that they are done in order, or undone in reverse, is ``change.py``'s.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods, rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.exchange import Exchange, ExchangeError, Pace
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, listening_port
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zone_server import addresses
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import metrics_port, parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster

__all__ = ["PLACEHOLDER", "Object", "Right", "Step", "StepError", "World", "asking", "exchanged", "exchanging", "right"]

Object = dict[str, t.Any]
Right = dict[str, str]

# Stands for the address of a Service that is yet to be made; for documentation (RFC 5737).
PLACEHOLDER = "192.0.2.53"


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


def exchanged(world: World, one: Workload, target: rollout.Target, stuck: t.Collection[str] = (), *, back: bool = False) -> None:
    try:
        world.exchange(one).run(target, stuck, back=back)
    except ExchangeError as error:
        raise StepError(str(error)) from error
