# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Waits until every pod of a workload runs the Corefile that was written: the plugin ``reload`` keeps the old one silently where it cannot load it."""

from __future__ import annotations

import contextlib
import hashlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["RefusedError", "judged", "take"]

# On a pod: a change of it makes the kubelet look at the pod, and bring it its ConfigMap, at once.
_ANNOTATION = "clusterset.dns/corefile"
# reload looks each 30 seconds, give or take 15, and the kubelet brings a new ConfigMap within some.
_RELOADED = 90.0


class RefusedError(Exception):
    """A pod refused the Corefile, as a sentence."""


def judged(pod: dict[str, t.Any], wanted: str | None, first: t.Mapping[str, dict[str, t.Any]], elapsed: float) -> bool:
    """Whether a pod (as :func:`pods.running` gives it) runs the Corefile with the hash ``wanted``.

    :arg wanted: None where the hash is not known: then a pod runs it once its own hash has changed, or after the time that a reload takes.
    :arg first: what was first seen of each pod that did not run it.
    """
    if pod["gone"]:
        return True
    if wanted:
        return bool(pod["hash"] == wanted)
    before = first.get(pod["pod"])
    return before is not None and (pod["hash"] != before["hash"] or elapsed > _RELOADED) and pod["failed"] <= before["failed"]


def take(
    cluster: Cluster, one: Workload, text: str, wanted: str | None, port: int | None, seconds: float, nodes_down: t.Collection[str] = ()
) -> list[str]:
    """Wait until every pod of a workload runs the Corefile ``text``. :returns: the names of those that did not within ``seconds``.

    :arg wanted: its hash, None where that is not known; ``port`` is that of the pods' metrics. Pods on nodes that are down are not waited for.
    :raises RefusedError: a pod said no.
    """
    waiter = Waiter(seconds, 1.0)
    first: dict[str, dict[str, t.Any]] = {}
    mark = {"metadata": {"annotations": {_ANNOTATION: hashlib.sha256(text.encode()).hexdigest()[:16]}}}
    while True:
        found = pods.running(cluster, pods.reachable(pods.of(cluster, one), nodes_down), one.container, port)
        behind = [pod for pod in found if not judged(pod, wanted, first, waiter.elapsed)]
        for pod in behind:
            name = pod["pod"]
            if name not in first:
                first[name] = pod
                with contextlib.suppress(ApiError):
                    # it only makes it quicker
                    cluster.patch(pods.path_of(one.namespace, name), mark)
            elif pod["failed"] > first[name]["failed"]:
                raise RefusedError(f"pod {name} refused the Corefile. {_refusal(cluster, one, name)}".rstrip())
        if not behind:
            return []
        if not waiter.pause():
            return [pod["pod"] for pod in behind]


def _refusal(cluster: Cluster, one: Workload, pod: str) -> str:
    """What a pod said about the Corefile that it did not take."""
    try:
        log = cluster.text(f"{pods.path_of(one.namespace, pod)}/log?container={one.container}&tailLines=50")
    except ApiError:
        return ""
    lines = [line for line in log.splitlines() if "[ERROR]" in line]
    return f"It says: {lines[-1].strip()}" if lines else "Its log does not say why."
