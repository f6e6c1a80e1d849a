#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns_reload
short_description: See that every CoreDNS pod has taken a Corefile
version_added: 0.1.0
description:
  - CoreDNS's C(reload) plugin takes a changed Corefile without a restart, and keeps the old one, saying so only in its log and
    metrics, where the new one is no good. Such a pod works until it is started again.
  - This module asks every pod which Corefile it runs, waits until all run the one that is wanted, and fails with the pod's own
    words where one refused it. It reads C(coredns_reload_version_info) and C(coredns_reload_failed_total) through the API server's
    port-forward, and the pod's log where they do not tell, that is for a pod that has not reloaded since it was started, or
    has refused a Corefile, or has no C(prometheus) plugin.
  - A pod whose ConfigMap volume is old gets an annotation, which makes the kubelet refresh the volume at once instead of within
    a minute or two.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
  diff_mode:
    support: none
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    details:
      - The Corefile's own diff is shown by M(clusterset.dns.corefile).
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  namespace:
    description: The namespace of CoreDNS.
    type: str
    default: kube-system
  label_selector:
    description: Which pods run CoreDNS.
    type: str
    default: k8s-app=kube-dns
  corefile:
    description: The Corefile that each of them should run.
    type: str
    required: true
  sha512:
    description:
      - The hash of the Corefile, as M(clusterset.dns.coredns_proof) returned it, for a Corefile that imports files or reads environment
        variables, whose hash its text does not tell.
      - Where it is not known either, a pod that reports another hash than at first has taken the Corefile, and one that has refused
        none for 90 seconds, which is longer than C(reload) takes.
    type: str
  metrics_port:
    description: The port of the C(prometheus) plugin. By default the one in the Corefile.
    type: int
  timeout:
    description: How long to wait, in seconds.
    type: int
    default: 180
  fail_late:
    description:
      - Whether to fail where a pod has not taken the Corefile after O(timeout) without having refused it. Otherwise such pods are in RV(late),
        to be exchanged by M(clusterset.dns.coredns_rollout).
      - A reload can hang for good, see U(https://github.com/coredns/coredns/pull/8504).
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Wait until every pod has taken the Corefile
  clusterset.dns.coredns_reload:
    kubeconfig: ~/.kube/member1.yaml
    corefile: "{{ edited.corefile }}"
"""

RETURN = r"""
pods:
  description: One entry for each pod.
  returned: always
  type: list
  elements: dict
  contains:
    pod:
      description: Name of the pod.
      type: str
    hash:
      description: The hash of the Corefile that it runs; empty where it does not say.
      type: str
    current:
      description: Whether it runs the Corefile that is wanted.
      type: bool
    failed:
      description: How many reloads failed since the pod was started.
      type: int
late:
  description: Names of the pods that had not taken it in time, or in check mode have yet to.
  returned: success
  type: list
  elements: str
duration:
  description: How long was waited, in seconds.
  returned: success
  type: float
"""

import hashlib
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics as _metrics
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import model as _corefile
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    "namespace": {"default": "kube-system"},
    "label_selector": {"default": "k8s-app=kube-dns"},
    "corefile": {"required": True},
    "sha512": {},
    "metrics_port": {"type": "int"},
    "timeout": {"type": "int", "default": 180},
    "fail_late": {"type": "bool", "default": True},
}
ANNOTATION = "clusterset.dns/corefile"


# reload looks each 30 seconds, give or take 15, and the kubelet brings a new ConfigMap within some.
_RELOADED = 90.0


def state_of(cluster: Cluster, namespace: str, pod: str, port: int | None) -> dict[str, t.Any]:
    """Which Corefile a pod runs: ``{hash, failed}``, see :func:`_metrics.reload_state`."""
    state = _metrics.reload_state(cluster.metrics(namespace, pod, port) if port else "")
    if state["hash"] and not state["failed"]:
        return state
    # The metric names the Corefile that was tried last, good or bad, and nothing before the first reload. The log names what
    # runs, at the start and at each reload; with the plugin `log` in use the line may be far from both ends of it.
    log = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
    ends = (cluster.text(f"{log}?tailLines=2000"), cluster.text(f"{log}?limitBytes=262144"))
    return {
        "hash": next(filter(None, map(_metrics.running_hash, ends)), ""),
        "failed": state["failed"] or _metrics.refused_in(ends[0]),
    }


def look(cluster: Cluster, params: dict[str, t.Any], port: int | None) -> list[dict[str, t.Any]]:
    """The pods that are there to answer: ``{pod, hash, failed}``."""
    items = cluster.list(f"/api/v1/namespaces/{params['namespace']}/pods", label_selector=params["label_selector"])
    names = [
        item["metadata"]["name"]
        for item in items
        if not item["metadata"].get("deletionTimestamp") and item.get("status", {}).get("phase") == "Running"
    ]
    if not names:
        message = (
            f"{cluster.name}: no running pod in {params['namespace']} has the labels {params['label_selector']}."
            " Set label_selector to those of CoreDNS."
        )
        raise ApiError(cluster.name, message, reason="NoPods")

    def one(name: str) -> dict[str, t.Any]:
        return {"pod": name, **state_of(cluster, params["namespace"], name, port)}

    with ThreadPoolExecutor(max_workers=8) as pool:
        return list(pool.map(one, names))


def _judged(pod: dict[str, t.Any], wanted: str | None, first: dict[str, dict[str, t.Any]], elapsed: float) -> dict[str, t.Any]:
    """A pod of :func:`look` with whether it is ``current``; ``first`` has what was seen of each pod that was not."""
    if wanted:
        return {**pod, "current": pod["hash"] == wanted}
    before = first.get(pod["pod"])
    reloaded = before is not None and (pod["hash"] != before["hash"] or elapsed > _RELOADED)
    return {**pod, "current": reloaded and pod["failed"] <= before["failed"]}


def refusal(cluster: Cluster, namespace: str, pod: str) -> str:
    """What a pod said about the Corefile that it did not take."""
    log = cluster.text(f"/api/v1/namespaces/{namespace}/pods/{pod}/log?tailLines=50")
    lines = [line for line in log.splitlines() if "[ERROR]" in line]
    return lines[-1] if lines else "its log does not say why"


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    params = module.params
    try:
        corefile = _corefile.parse(params["corefile"])
    except _corefile.CorefileError as error:
        module.fail_json(msg=str(error))
    wanted = params["sha512"] or _corefile.reload_hash(corefile)
    port = params["metrics_port"] or _corefile.metrics_port(corefile)
    cluster = Cluster.from_module(module)
    started = time.monotonic()
    changed = False
    first: dict[str, dict[str, t.Any]] = {}
    try:
        while True:
            found = look(cluster, params, port)
            elapsed = time.monotonic() - started
            pods = [_judged(one, wanted, first, elapsed) for one in found]
            behind = [pod for pod in pods if not pod["current"]]
            if not behind or module.check_mode:
                changed = changed or bool(behind)
                break
            for pod in behind:
                name = pod["pod"]
                if name not in first:
                    first[name] = pod
                    path = f"/api/v1/namespaces/{params['namespace']}/pods/{name}"
                    cluster.patch(path, {"metadata": {"annotations": {ANNOTATION: hashlib.sha256(params["corefile"].encode()).hexdigest()[:16]}}})
                    changed = True
                elif pod["failed"] > first[name]["failed"]:
                    words = refusal(cluster, params["namespace"], name)
                    module.fail_json(msg=f"{cluster.name}: pod {name} refused the Corefile: {words}", pods=pods)
            if elapsed > params["timeout"]:
                if not params["fail_late"]:
                    break
                names = ", ".join(pod["pod"] for pod in behind)
                module.fail_json(
                    msg=f"{cluster.name}: {names} still ran an older Corefile after {params['timeout']} s. See that the"
                    " Corefile has the plugin reload and that no subPath mounts it, or restart the Deployment.",
                    pods=pods,
                )
            time.sleep(1)
    except (ApiError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed, pods=pods, late=[pod["pod"] for pod in behind], duration=round(elapsed, 1))


if __name__ == "__main__":
    main()
