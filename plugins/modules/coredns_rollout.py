#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns_rollout
short_description: Give CoreDNS another image without losing queries
version_added: 0.1.0
description:
  - Starts all new pods beside the old ones, waits until each is ready, and asks each for the cluster's own name, before any old pod goes.
  - The old pods are then taken out of the Service while they still answer, and deleted after O(drain_seconds). A Deployment's own
    rolling update stops them first, and proxies go on sending them queries for some seconds after nobody answers there.
  - The Deployment's C(minReadySeconds) and C(strategy) are other ones while that goes on, and what they were before when it is done; an
    annotation keeps them, so that a run after one that was killed brings them back. C(replicas) is never written.
  - The image that was there first is remembered in an annotation of the Deployment, and comes back with O(state=absent).
  - Where a new pod does not get ready or does not answer, the module fails with the reason, all old pods being in service still. Call
    it again with the former image to take the new pods away.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - dnspython
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - The patch is sent as a server-side dry run.
  diff_mode:
    support: full
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  namespace:
    description: The namespace of CoreDNS.
    type: str
    default: kube-system
  deployment:
    description: The Deployment that runs CoreDNS.
    type: str
    default: coredns
  state:
    description:
      - V(present) runs O(image).
      - V(absent) runs the image that was there before the first call, unless someone else has changed it since, and forgets it.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: The image to run. Empty keeps the one that is there.
    type: str
    default: ""
  corefile_hash:
    description:
      - Written to the pod template, so that a change of it makes new pods. For a CoreDNS whose Corefile does not use the plugin C(reload).
      - Empty removes it, and so does O(state=absent). Without this option it stays what it is.
    type: str
  replace:
    description:
      - Names of pods to exchange for new ones though their template is the right one, as those that M(clusterset.dns.coredns_reload)
        returned in RV(clusterset.dns.coredns_reload#module:late).
      - A pod that is there no more, or goes anyway, is passed over. Where no new pod gets ready in its place it is kept.
    type: list
    elements: str
    default: []
  cluster_domain:
    description: The DNS domain of the cluster itself, in which new pods have to answer C(kubernetes.default).
    type: str
    default: cluster.local
  port:
    description: The port on which CoreDNS listens inside its pods.
    type: int
    default: 53
  settle_seconds:
    description: How long new pods are in service before the first old one goes, for all proxies to know them.
    type: int
    default: 3
  drain_seconds:
    description: How long an old pod that is out of service goes on answering at least, for all proxies to let go of it.
    type: int
    default: 10
  drain_timeout:
    description:
      - How long an old pod that is out of service goes on answering at most, while it is still asked over UDP. Clients that keep their
        sockets go on asking it until the proxy of their node has cleared their flows, which takes kube-proxy a minute where there are many.
      - Whether it is asked is seen by its metrics, where its Corefile uses the plugin C(prometheus); else O(drain_seconds) is all that it gets.
    type: int
    default: 120
  timeout:
    description: How long new pods may take to be ready, in seconds.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: Run an image that knows ServiceImports
  clusterset.dns.coredns_rollout:
    kubeconfig: ~/.kube/member1.yaml
    image: registry.example.com/coredns:1.15.0

- name: Exchange pods that do not take the new Corefile
  clusterset.dns.coredns_rollout:
    kubeconfig: ~/.kube/member1.yaml
    replace: "{{ reload.late }}"

- name: Put back the image that was there
  clusterset.dns.coredns_rollout:
    kubeconfig: ~/.kube/member1.yaml
    state: absent
"""

RETURN = r"""
image:
  description: The image that runs now, or would in check mode.
  returned: success
  type: str
pods:
  description: The new pods.
  returned: success, outside check mode
  type: list
  elements: str
notes:
  description: What was kept, and why, in sentences.
  returned: success
  type: list
  elements: str
duration:
  description: How long it took, in seconds.
  returned: success
  type: float
"""

import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics as _metrics
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rollout as _rollout
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import model as _corefile
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect as _dns
from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    "namespace": {"default": "kube-system"},
    "deployment": {"default": "coredns"},
    "state": {"choices": ["present", "absent"], "default": "present"},
    "image": {"default": ""},
    "corefile_hash": {},
    "replace": {"type": "list", "elements": "str", "default": []},
    "cluster_domain": {"default": "cluster.local"},
    "port": {"type": "int", "default": 53},
    "settle_seconds": {"type": "int", "default": 3},
    "drain_seconds": {"type": "int", "default": 10},
    "drain_timeout": {"type": "int", "default": 120},
    "timeout": {"type": "int", "default": 180},
}
_PAUSE = 0.5
# For how long an old pod has not been asked when it may go.
_QUIET = 3
# What the kubelet gives in place of the log of a container that is gone.
_NO_LOG = "unable to retrieve container logs"


class RolloutError(Exception):
    """New pods are of no use, as a sentence."""


class Rollout:
    """The pods of one Deployment."""

    def __init__(self, cluster: Cluster, params: dict[str, t.Any]) -> None:
        self.cluster = cluster
        self.params = params
        self.namespace = params["namespace"]
        self.label = f"{self.namespace}/{params['deployment']}"
        self.path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{params['deployment']}"
        self.until = time.monotonic() + params["timeout"]
        self._pods = f"/api/v1/namespaces/{self.namespace}/pods"

    def read(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.cluster.get(self.path))

    def orphans(self) -> list[dict[str, t.Any]]:
        """Pods that this or an earlier run took out of service, and that still run."""
        found = self.cluster.list(self._pods, label_selector=f"{_rollout.DRAINED}={self.params['deployment']}")
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def new_and_old(self) -> tuple[dict[str, t.Any], list[dict[str, t.Any]], list[dict[str, t.Any]]]:
        """The Deployment, the pods of its present template, and its other ones; waits for its controller to have seen it."""
        while True:
            deployment = self.read()
            selector = _member.coredns(deployment)["selector"]
            sets = self.cluster.list(f"/apis/apps/v1/namespaces/{self.namespace}/replicasets", label_selector=selector)
            mark = _rollout.newest(deployment, sets)
            if mark:
                break
            self._in_time("its controller did not take note of the change")
        pods = self.cluster.list(self._pods, label_selector=selector)
        new = [pod for pod in pods if pod["metadata"]["labels"].get(_rollout.HASH) == mark]
        old = [pod for pod in pods if pod["metadata"]["labels"].get(_rollout.HASH) != mark]
        return deployment, new, old

    def stuck(self) -> list[dict[str, t.Any]]:
        """Those of the pods to replace that are there and of the Deployment's present template."""
        if not self.params["replace"]:
            return []
        _deployment, new, _old = self.new_and_old()
        return [pod for pod in new if pod["metadata"]["name"] in self.params["replace"] and not pod["metadata"].get("deletionTimestamp")]

    def release(self, pods: list[dict[str, t.Any]]) -> None:
        """Make old pods of them, which still serve."""
        for pod in pods:
            self._patch(pod["metadata"]["name"], _rollout.release(self.params["deployment"]))

    def take_back(self, pods: list[dict[str, t.Any]]) -> None:
        """Undo :meth:`release`."""
        for pod in pods:
            self._patch(pod["metadata"]["name"], _rollout.take_back(pod["metadata"]["labels"][_rollout.HASH]))

    def ready(self) -> tuple[dict[str, t.Any], list[dict[str, t.Any]]]:
        """Wait until as many new pods serve as there shall be replicas. :returns: the Deployment and the old pods."""
        while True:
            deployment, new, old = self.new_and_old()
            if len(_rollout.serving(new)) >= deployment["spec"].get("replicas", 1):
                return deployment, old
            for pod in new:
                if words := _rollout.trouble(pod):
                    raise RolloutError(f"{words}. {self._log(pod['metadata']['name'])}".rstrip())
            waiting = next(filter(None, map(_rollout.unscheduled, new)), "")
            self._in_time(waiting or "its new pods did not get ready")

    def asked(self) -> list[str]:
        """Ask each new pod until all answer. :returns: their names."""
        service = self.cluster.get("/api/v1/namespaces/default/services/kubernetes") or {"spec": {}}
        # the zone's own questions are not asked here: an image may come before the Corefile that serves it
        wanted = [
            one
            for one in _dns.health("zone", self.params["cluster_domain"], service["spec"].get("clusterIPs") or [])
            if one.question.name.startswith("kubernetes.")
        ]
        while True:
            _deployment, new, _old = self.new_and_old()
            pods = [{"pod": pod["metadata"]["name"], "node": "", "error": ""} for pod in _rollout.serving(new)]
            questions = [one.question for one in wanted]
            answers = _dns_query.ask_pods(
                self.cluster, self.namespace, pods, questions, port=self.params["port"], timeout=3
            )
            expected = {one.question: one for one in wanted}
            wrong = [one for one in answers if not _dns.agrees(expected[_dns.Question(one["name"], one["type"])], one)]
            if not wrong:
                return [pod["pod"] for pod in pods]
            one = wrong[0]
            said = one["error"] or f"{one['rcode']} {', '.join(one['answers'])}".rstrip()
            self._in_time(f"new pod {one['pod']} does not answer {one['name']} {one['type']} as it should: {said.rstrip('.')}")

    def swap(self, old: list[dict[str, t.Any]]) -> None:
        """Take the old pods out of service and let the Deployment have its own settings again, in this order at once.

        The ReplicaSet of the old pods replaces each; its replacements are not ready yet when the Deployment, which has enough new
        pods by its own settings, scales it down, and go first. Hence nothing slow may stand between the two.
        """
        leaving = _rollout.serving(old)
        if leaving:
            time.sleep(max(self.params["settle_seconds"], _rollout.ready_seconds(self.read())))
            deployment, _new, old = self.new_and_old()
            leaving = _rollout.serving(old)
            selector, name = deployment["spec"]["selector"], self.params["deployment"]
            patch = _rollout.finish(deployment)
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(lambda pod: self._patch(pod["metadata"]["name"], _rollout.detach(pod, selector, name)), leaving))
        else:
            patch = _rollout.finish(self.read())
        if patch:
            self.cluster.patch(self.path, patch)

    def drain(self) -> None:
        """Delete what was taken out of service, once no proxy leads a query to it any more."""
        leaving = [pod["metadata"]["name"] for pod in self.orphans()]
        if not leaving:
            return
        started, port = time.monotonic(), self._metrics_port()
        time.sleep(max(0, self.params["drain_seconds"] - _QUIET))
        asked = self._asked(leaving, port)
        while True:
            time.sleep(_QUIET)
            before, asked = asked, self._asked(leaving, port)
            if before == asked or time.monotonic() - started > self.params["drain_timeout"]:
                break
        for name in leaving:
            self.cluster.delete(f"{self._pods}/{name}")
        # it has a limit of its own
        self.until += time.monotonic() - started

    def _asked(self, pods: list[str], port: int | None) -> dict[str, int | None]:
        """How many questions each pod has had; None where it does not say."""
        if not port:
            return dict.fromkeys(pods)

        def one(pod: str) -> int | None:
            try:
                return _metrics.asked(self.cluster.metrics(self.namespace, pod, port))
            except ApiError:
                # it has gone, or does not answer: no reason to keep it
                return None

        with ThreadPoolExecutor(max_workers=8) as pool:
            return dict(zip(pods, pool.map(one, pods), strict=True))

    def _metrics_port(self) -> int | None:
        """Where pods tell how often they are asked, by their Corefile."""
        source = _member.coredns(self.read())
        path = f"/api/v1/namespaces/{self.namespace}/configmaps/{source['configmap']}"
        found = self.cluster.get(path, missing_ok=True) if source["configmap"] else None
        try:
            return _corefile.metrics_port(_corefile.parse(((found or {}).get("data") or {}).get(source["key"], "")))
        except _corefile.CorefileError:
            return None

    def settled(self) -> None:
        """Wait until the Deployment has nothing but new pods."""
        while not _member.coredns(self.read())["rolled_out"]:
            self._in_time("it did not get rid of its old pods")

    def _patch(self, pod: str, patch: dict[str, t.Any]) -> None:
        """Patch a pod, unless it has gone."""
        try:
            self.cluster.patch(f"{self._pods}/{pod}", patch)
        except ApiError as error:
            if error.status == 404:
                return
            if error.status != 409:
                raise
            # its status changed meanwhile, which is no reason to leave it
            patch["metadata"].pop("resourceVersion", None)
            self.cluster.patch(f"{self._pods}/{pod}", patch)

    def _in_time(self, words: str) -> None:
        if time.monotonic() > self.until:
            raise RolloutError(f"{words} within {self.params['timeout']} s.")
        time.sleep(_PAUSE)

    def _log(self, pod: str) -> str:
        for previous in ("true", "false"):
            try:
                lines = self.cluster.text(f"{self._pods}/{pod}/log?tailLines=5&previous={previous}").strip().splitlines()
            except ApiError:
                continue
            if lines and not lines[-1].startswith(_NO_LOG):
                return f"It says: {lines[-1].strip()}"
        return ""


def run(module: Module, cluster: Cluster) -> dict[str, t.Any]:
    """Exchange the pods if there is a reason. :raises RolloutError: new pods are of no use; the old ones still serve."""
    started = time.monotonic()
    params = module.params
    rollout = Rollout(cluster, params)
    deployment = rollout.read()
    container = _member.container(deployment)
    want = _rollout.target(deployment, container, params["state"], params["image"], params["corefile_hash"])
    patch = _rollout.begin(deployment, container, want)
    # a new template exchanges them all
    stuck = [] if patch else rollout.stuck()
    idle = not patch and not stuck and _member.coredns(deployment)["rolled_out"] and not _rollout.unfinished(deployment, rollout.orphans())
    result: dict[str, t.Any] = {"changed": not idle, "image": want.image, "notes": [want.note] if want.note else []}
    if module._diff and not idle:
        label = f"{cluster.name} Deployment {rollout.label}"
        result["diff"] = {
            "before_header": label,
            "after_header": label,
            "before": f"image: {container['image']}\n" + "".join(f"pod to replace: {pod['metadata']['name']}\n" for pod in stuck),
            "after": f"image: {want.image}\n",
        }
    if patch:
        cluster.patch(rollout.path, patch, kind="strategic", dry_run=module.check_mode)
    if not module.check_mode:
        rollout.release(stuck)
        try:
            _deployment, old = rollout.ready()
            result["pods"] = [] if idle else rollout.asked()
        except RolloutError:
            rollout.take_back(stuck)
            raise
        if not idle:
            rollout.swap(old)
            rollout.drain()
            rollout.settled()
        else:
            _deployment, new, _old = rollout.new_and_old()
            result["pods"] = [pod["metadata"]["name"] for pod in new]
    return {**result, "duration": round(time.monotonic() - started, 1)}


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    _dns_query.require_library(module)
    cluster = Cluster.from_module(module)
    try:
        result = run(module, cluster)
    except RolloutError as error:
        module.fail_json(msg=f"{cluster.name}: Deployment {module.params['namespace']}/{module.params['deployment']}: {error}")
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
