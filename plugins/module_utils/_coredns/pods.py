# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The pods of a workload, told apart by their controllers: what they run, what they say, and whether they answer."""

from __future__ import annotations

import contextlib
import re
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics, rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, owned_by, selector_of
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect, query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Generations", "answers", "ask_until_right", "generations", "last_words", "of", "path_of", "reachable", "running", "state_of"]

Object = dict[str, t.Any]

_PARALLEL = 8
# What the kubelet gives in place of the log of a container that is gone.
_NO_LOG = "unable to retrieve container logs"
# What CoreDNS says at every start: which processors it uses, its zones, its version.
_GREETING = re.compile(r"maxprocs: |\S+:\d+$|CoreDNS-|\w+/\w+, go|\[INFO\]")
# What the API server says of a log where the pod's node, or its kubelet, is not there.
_UNREACHABLE_LOG = (502, 503, 504)


class Generations(t.NamedTuple):
    """The pods of a Deployment: those of its present template, whose ReplicaSet is ``newest``, and its other ones."""

    deployment: Object
    newest: Object
    new: list[Object]
    old: list[Object]


def path_of(namespace: str, pod: str = "") -> str:
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{pod}" if pod else "")


def generations(cluster: Cluster, deployment: Object) -> Generations | None:
    """The pods of a Deployment; None while its controller has not taken note of its present template.

    A pod is the Deployment's by its ReplicaSet, and not by its labels: another Deployment, or a DaemonSet, may use the same. One that this
    collection has made its ReplicaSet let go of while it serves (:data:`rollout.DRAINED`) is an old one.
    """
    metadata = deployment["metadata"]
    sets = _replica_sets(cluster, deployment)
    newest = rollout.newest(deployment, sets)
    if newest is None:
        return None
    pods = cluster.list(path_of(metadata["namespace"]), label_selector=selector_of(deployment["spec"]["selector"]))
    new = owned_by(pods, {newest["metadata"]["uid"]})
    others = {one["metadata"]["uid"] for one in sets} - {newest["metadata"]["uid"]}
    released = [pod for pod in pods if (pod["metadata"].get("labels") or {}).get(rollout.DRAINED) == metadata["name"]]
    names = {pod["metadata"]["name"] for pod in released}
    old = [pod for pod in owned_by(pods, others) if pod["metadata"]["name"] not in names] + released
    return Generations(deployment, newest, [pod for pod in new if pod["metadata"]["name"] not in names], old)


def of(cluster: Cluster, one: Workload) -> list[Object]:
    """The pods of a workload that are there to answer: its own, not being deleted, not ended."""
    uids = {one.uid}
    if one.kind == "Deployment":
        uids = {each["metadata"]["uid"] for each in _replica_sets(cluster, one.item)}
    pods = owned_by(cluster.list(path_of(one.namespace), label_selector=one.selector), uids)
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and pod.get("status", {}).get("phase") == "Running"]


def _replica_sets(cluster: Cluster, deployment: t.Mapping[str, t.Any]) -> list[Object]:
    """A Deployment's own ReplicaSets."""
    metadata = deployment["metadata"]
    path = f"/apis/apps/v1/namespaces/{metadata['namespace']}/replicasets"
    found = cluster.list(path, label_selector=selector_of(deployment["spec"]["selector"]))
    return [one for one in found if any(owner["uid"] == metadata["uid"] for owner in one["metadata"].get("ownerReferences") or [])]


def reachable(pods: t.Iterable[Object], nodes_down: t.Collection[str]) -> list[Object]:
    """Those that do not run on a node that is not Ready: what runs there cannot be asked, and takes a Corefile when the node is back."""
    return [pod for pod in pods if pod["spec"].get("nodeName") not in nodes_down]


def running(cluster: Cluster, pods: t.Iterable[Object], container: str, port: int | None) -> list[dict[str, t.Any]]:
    """Which Corefile each pod runs: ``{pod, hash, failed, gone}``. A pod that vanishes meanwhile is ``gone``."""
    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        return list(pool.map(lambda pod: state_of(cluster, pod, container, port), pods))


def state_of(cluster: Cluster, pod: Object, container: str, port: int | None) -> dict[str, t.Any]:
    """Which Corefile a pod runs: the hash that it names, '' where it does not say, and how many reloads failed."""
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    said = {"pod": name, "hash": "", "failed": 0, "gone": False}
    try:
        state = metrics.reload_state(cluster.metrics(namespace, name, port) if port else "")
    except ApiError:
        state = metrics.reload_state("")
    if state["hash"] and not state["failed"]:
        return {**said, **state}
    # The metric names the Corefile that was tried last, good or bad, and nothing before the first reload. The log names what runs, at the
    # start and at each reload; with the plugin `log` in use the line may be far from both ends of it.
    log = f"{path_of(namespace, name)}/log?container={container}"
    try:
        ends = (cluster.text(f"{log}&tailLines=2000"), cluster.text(f"{log}&limitBytes=262144"))
    except ApiError as error:
        if error.status == 404:
            return {**said, "gone": True}
        if error.status in _UNREACHABLE_LOG or error.status == 400:
            return said
        raise
    return {
        **said,
        "hash": next(filter(None, map(metrics.running_hash, ends)), ""),
        "failed": state["failed"] or metrics.refused_in(ends[0]),
    }


def last_words(cluster: Cluster, namespace: str, pod: str, *containers: str) -> str:
    """The most telling line at the end of what a pod's containers said, as a sentence; '' where they said nothing."""
    for container in containers:
        for previous in ("true", "false"):
            with contextlib.suppress(ApiError):
                path = f"{path_of(namespace, pod)}/log?container={container}&tailLines=20&previous={previous}"
                lines = [line for line in cluster.text(path).splitlines() if line.strip() and not line.startswith(_NO_LOG)]
                lines = [line for line in lines if not _GREETING.match(line)]
                lines = [line for line in lines if "rror" in line or "ERROR" in line or "WARN" in line] or lines
                if lines:
                    return f"It says: {lines[-1].strip()}"
    return ""


def answers(cluster: Cluster, pods: t.Iterable[Object], wanted: t.Sequence[expect.Expectation], port: int) -> list[str]:
    """Ask pods. :returns: what is wrong, a sentence without its end each; empty where every answer is right."""
    wrong = []
    expected = {one.question: one for one in wanted}
    by_namespace: dict[str, list[dict[str, t.Any]]] = {}
    for pod in pods:
        asked = {"pod": pod["metadata"]["name"], "node": pod["spec"].get("nodeName", ""), "error": ""}
        by_namespace.setdefault(pod["metadata"]["namespace"], []).append(asked)
    for namespace, some in by_namespace.items():
        for answer in query.ask_pods(cluster, namespace, some, list(expected), port=port, timeout=3):
            if not expect.agrees(expected[expect.Question(answer["name"], answer["type"])], answer):
                said = answer["error"] or f"{answer['rcode']} {', '.join(answer['answers'])}".rstrip()
                wrong.append(f"pod {answer['pod']} does not answer {answer['name']} {answer['type']} as it should: {said.rstrip('.')}")
    return wrong


def ask_until_right(
    cluster: Cluster, find: t.Callable[[], list[Object]], wanted: t.Sequence[expect.Expectation], port: int, waiter: Waiter
) -> tuple[int, str]:
    """Ask all pods until all are right. :returns: how many were asked last, and what was wrong then ('' for nothing).

    Who is asked is found anew each time, as pods come and go. Where there is nobody to ask, that is wrong.
    """

    def look() -> tuple[int, str]:
        pods = find()
        if not pods:
            return 0, "there is no pod to ask"
        wrong = answers(cluster, pods, wanted, port)
        gone = {pod["metadata"]["name"] for pod in pods} - {pod["metadata"]["name"] for pod in find()} if wrong else set()
        wrong = [one for one in wrong if one.split()[1] not in gone]
        return len(pods), wrong[0] if wrong else ""

    found, _right = waiter.until(look, lambda seen: not seen[1])
    return found
