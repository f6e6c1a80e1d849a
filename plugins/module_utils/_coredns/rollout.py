# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""How the pods of CoreDNS's Deployment are exchanged without a query lost. Pure: no client, no clock, no file.

A Deployment's own rolling update loses queries: kube-proxy forgets where a flow goes when the endpoint stops serving, and
the kubelet notices that a pod in lameduck is no longer ready after 30 seconds (kubeadm's probe), when nobody answers there any
more. So the old pods are not shut down by the rollout. All new pods are started beside the old ones, which the
Deployment keeps because ``minReadySeconds`` is held high meanwhile; then the old pods lose the labels by which the Service
selects them: every proxy lets go of them while they still answer. They are deleted once that has gone round.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import ORIGINAL_IMAGE

Object = t.Mapping[str, t.Any]

# On the Deployment: the image that this collection set, by which a change that someone else made since is told.
OUR_IMAGE = "clusterset.dns/image"
# On the Deployment while pods are exchanged: the settings that come back at the end, as JSON.
HELD = "clusterset.dns/rollout"
# On a pod that is taken out of service, or shall be once there is another in its place, and then deleted: the Deployment that it belonged to.
DRAINED = "clusterset.dns/drained"
# On the pod template where CoreDNS does not reload by itself: the Corefile's hash, which makes new pods of a new Corefile.
COREFILE = "clusterset.dns/corefile"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"

_DEADLINE = 600
# The kubelet tries ErrImagePull again by itself; what follows it is a back-off, and with that the verdict.
_HOPELESS = {
    "CrashLoopBackOff",
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
}


class Target(t.NamedTuple):
    """What a Deployment shall run.

    ``annotations`` are those of the Deployment, None to remove one; ``corefile`` is the template's annotation
    :data:`COREFILE`, None for none. ``note`` says in a sentence what was kept, and why.
    """

    image: str
    annotations: dict[str, str | None]
    corefile: str | None = None
    note: str = ""


def target(deployment: Object, container: Object, state: str, image: str, corefile: str | None = None) -> Target:
    """What a Deployment shall run.

    :arg state: ``present`` for ``image`` ('' for the one that runs), ``absent`` for the image that was there before this
        collection came.
    :arg corefile: for the template's annotation :data:`COREFILE`; None leaves that as it is, '' and ``absent`` remove it.
    """
    annotations = deployment["metadata"].get("annotations") or {}
    if corefile is None:
        corefile = mark_of(deployment)
    corefile = corefile or None
    original, ours, now = annotations.get(ORIGINAL_IMAGE), annotations.get(OUR_IMAGE), container["image"]
    foreign = bool(ours) and now not in (ours, original)
    if state == "absent":
        note = ""
        if foreign:
            note = (
                f"Deployment {deployment['metadata']['namespace']}/{deployment['metadata']['name']} runs {now}, which is not"
                f" what was set here ({ours}): someone else changed it since, so it is kept, and {original} not put back."
            )
        return Target(now if foreign or not original else original, {ORIGINAL_IMAGE: None, OUR_IMAGE: None}, note=note)
    image = image or now
    if original is None and image == now:
        return Target(image, {}, corefile)
    # An upgrade of the cluster brought another image since: that is what a teardown has to give back now.
    before = now if original is None or foreign else original
    return Target(image, {ORIGINAL_IMAGE: before, OUR_IMAGE: image}, corefile)


def mark_of(deployment: Object) -> str | None:
    """The annotation :data:`COREFILE` of a Deployment's template, None for none."""
    return ((deployment["spec"]["template"].get("metadata") or {}).get("annotations") or {}).get(COREFILE)


def unfinished(deployment: Object, drained: t.Iterable[Object]) -> bool:
    """Whether an exchange of pods was not ended: by its mark, or by one of the pods that it took out of service (:data:`DRAINED`)."""
    return HELD in (deployment["metadata"].get("annotations") or {}) or any(not pod["metadata"].get("deletionTimestamp") for pod in drained)


def begin(deployment: Object, container: Object, want: Target) -> dict[str, t.Any] | None:
    """The strategic merge patch that starts the new pods beside the old ones; None where nothing differs.

    A patch of annotations alone starts no pod and holds nothing.
    """
    metadata, spec = deployment["metadata"], deployment["spec"]
    present = metadata.get("annotations") or {}
    annotations = {key: value for key, value in want.annotations.items() if present.get(key) != value}
    template: dict[str, t.Any] = {}
    if container["image"] != want.image:
        template["spec"] = {"containers": [{"name": container["name"], "image": want.image}]}
    if mark_of(deployment) != want.corefile:
        template["metadata"] = {"annotations": {COREFILE: want.corefile}}
    patch: dict[str, t.Any] = {}
    if template:
        strategy = spec.get("strategy") or {}
        if HELD not in present:
            kept = {"minReadySeconds": spec.get("minReadySeconds"), "strategy": strategy}
            annotations[HELD] = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        patch["spec"] = {
            # Has to be less than the deadline, or the API server refuses it. Pods that are ready serve all the same.
            "minReadySeconds": (spec.get("progressDeadlineSeconds") or _DEADLINE) - 1,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}},
            "template": template,
        }
    if annotations:
        patch["metadata"] = {"annotations": annotations}
    return patch or None


def finish(deployment: Object) -> dict[str, t.Any] | None:
    """The merge patch that gives back the settings that :func:`begin` held; None where none are held."""
    held = (deployment["metadata"].get("annotations") or {}).get(HELD)
    if held is None:
        return None
    kept = json.loads(held)
    strategy = dict(kept["strategy"])
    if strategy.get("type") == "Recreate":
        strategy["rollingUpdate"] = None
    return {
        "metadata": {"annotations": {HELD: None}},
        "spec": {"minReadySeconds": kept["minReadySeconds"], "strategy": strategy or None},
    }


def ready_seconds(deployment: Object) -> int:
    """For how long a new pod has to have been ready before an old one may go, by the Deployment's own setting."""
    held = (deployment["metadata"].get("annotations") or {}).get(HELD)
    seconds = json.loads(held)["minReadySeconds"] if held else deployment["spec"].get("minReadySeconds")
    return int(seconds or 0)


def newest(deployment: Object, replica_sets: t.Iterable[dict[str, t.Any]]) -> dict[str, t.Any] | None:
    """The ReplicaSet of the Deployment's present template, of those that are its own; None while its controller has not made it."""
    metadata = deployment["metadata"]
    if deployment.get("status", {}).get("observedGeneration", 0) < metadata["generation"]:
        return None
    revision = (metadata.get("annotations") or {}).get(REVISION)
    return next((one for one in replica_sets if (one["metadata"].get("annotations") or {}).get(REVISION) == revision), None)


def serving(pods: t.Iterable[Object]) -> list[Object]:
    """Those of ``pods`` that are ready and not being deleted."""
    return [
        pod
        for pod in pods
        if not pod["metadata"].get("deletionTimestamp")
        and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or [])
    ]


def detach(pod: Object, selector: Object, services: t.Iterable[Object], deployment: str) -> dict[str, t.Any]:
    """The merge patch that takes a pod out of its Services and away from its Deployment; it keeps running.

    :arg services: those of its namespace. What each of them that selects the pod selects it by goes, with all that the Deployment does.
    """
    labels = pod["metadata"].get("labels") or {}
    keys = {HASH, *(selector.get("matchLabels") or {})}
    keys |= {one["key"] for one in selector.get("matchExpressions") or [] if one["operator"] in ("In", "Exists")}
    for service in services:
        wanted = service["spec"].get("selector") or {}
        if wanted and all(labels.get(key) == value for key, value in wanted.items()):
            keys |= set(wanted)
    version = pod["metadata"]["resourceVersion"]
    return {"metadata": {"resourceVersion": version, "labels": {**dict.fromkeys(sorted(keys)), DRAINED: deployment}}}


def release(deployment: str) -> dict[str, t.Any]:
    """The merge patch that makes a pod of the present template an old one: its ReplicaSet lets go of it and starts another in its place,
    while it goes on serving, as Services do not select by :data:`HASH`.
    """
    return {"metadata": {"labels": {HASH: None, DRAINED: deployment}}}


def take_back(labels: t.Mapping[str, str]) -> dict[str, t.Any]:
    """The merge patch that undoes :func:`release`, and :func:`detach` after it: with the ``labels`` that the pod had its ReplicaSet takes it
    back, and ends the one that it started in its place.
    """
    return {"metadata": {"labels": {**labels, DRAINED: None}}}


def unscheduled(pod: Object) -> str:
    """Why a pod has no node yet, as a sentence without its end; empty where it has one. A node may still come."""
    for one in pod["status"].get("conditions") or []:
        if one["type"] == "PodScheduled" and one["status"] == "False" and one.get("reason") == "Unschedulable":
            return f"pod {pod['metadata']['name']} cannot be scheduled: {one.get('message', '')}".rstrip(". ")
    return ""


def trouble(pod: Object) -> str:
    """Why a pod will not get ready, as a sentence without its end; empty where it still may."""
    status, name = pod["status"], pod["metadata"]["name"]
    for one in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = one.get("state", {}).get("waiting") or {}
        if waiting.get("reason") in _HOPELESS:
            ended = one.get("lastState", {}).get("terminated") or {}
            code = f", exit code {ended['exitCode']}" if "exitCode" in ended else ""
            return f"pod {name}: {waiting['reason']}{code}: {waiting.get('message', '')}".rstrip(". :")
        ended = one.get("state", {}).get("terminated") or {}
        if ended and ended.get("exitCode"):
            return f"pod {name}: {ended.get('reason', 'Error')}, exit code {ended['exitCode']}: {ended.get('message', '')}".rstrip(". :")
    return ""
