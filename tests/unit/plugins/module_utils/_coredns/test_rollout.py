# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import json

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rollout as _rollout

STOCK, OURS, THEIRS = "registry.k8s.io/coredns/coredns:v1.12.1", "registry.example.com/coredns:v1.15.0", "registry.example.com/theirs:v1.13.0"


def deployment(image=STOCK, annotations=None, template_annotations=None, **spec):
    return {
        "metadata": {
            "name": "coredns",
            "namespace": "kube-system",
            "uid": "u1",
            "generation": 3,
            "annotations": {_rollout.REVISION: "2", **(annotations or {})},
        },
        "spec": {
            "replicas": 2,
            "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}},
            "template": {
                "metadata": {"labels": {"k8s-app": "kube-dns"}, "annotations": template_annotations or {}},
                "spec": {"containers": [{"name": "coredns", "image": image}]},
            },
            **spec,
        },
        "status": {"observedGeneration": 3},
    }


def merged(target, patch):
    """What a merge patch makes of an object (RFC 7396)."""
    result = copy.deepcopy(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = merged(result.get(key), value)
        else:
            result[key] = value
    return result


def begun(found, want):
    """The Deployment after the first patch; its containers are merged by name, as a strategic merge patch does."""
    patch = copy.deepcopy(_rollout.begin(found, _member.container(found), want))
    template = patch["spec"]["template"]
    containers = template.pop("spec", {}).get("containers", [])
    result = merged(found, patch)
    for one in containers:
        result["spec"]["template"]["spec"]["containers"][0].update(one)
    return result


def aim(found, state="present", image=OURS, corefile=None):
    return _rollout.target(found, _member.container(found), state, image, corefile)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"minReadySeconds": 7},
        {"strategy": {"type": "Recreate"}},
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
    ],
)
def test_there_and_back_leaves_the_spec_as_it_was(spec):
    found = deployment(**spec)
    there = begun(found, aim(found))
    assert there["spec"]["minReadySeconds"] == 599
    assert there["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": "100%", "maxUnavailable": 0}
    assert there["spec"]["replicas"] == 2
    settled = merged(there, _rollout.finish(there))
    assert settled["spec"]["strategy"] == found["spec"]["strategy"]
    assert _rollout.begin(settled, _member.container(settled), aim(settled)) is None
    back = begun(settled, aim(settled, "absent", ""))
    back = merged(back, _rollout.finish(back))
    assert back["spec"] == found["spec"]
    assert back["metadata"]["annotations"] == found["metadata"]["annotations"]


def test_settings_of_a_run_that_was_killed_are_not_taken_for_the_originals():
    found = deployment(minReadySeconds=7)
    killed = begun(found, aim(found))
    again = begun(killed, aim(killed, image=THEIRS))
    assert json.loads(again["metadata"]["annotations"][_rollout.HELD])["minReadySeconds"] == 7
    assert _rollout.ready_seconds(again) == 7
    assert merged(again, _rollout.finish(again))["spec"]["strategy"] == found["spec"]["strategy"]


def test_an_exchange_is_unfinished_while_its_mark_or_a_pod_that_it_took_out_is_there():
    found = deployment()
    gone, left = {"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}, {"metadata": {"name": "b"}}
    assert not _rollout.unfinished(found, [gone])
    assert _rollout.unfinished(found, [gone, left])
    assert _rollout.unfinished(begun(found, aim(found)), [])


def test_an_upgrade_by_others_is_what_comes_back():
    found = deployment(THEIRS, {_member.ORIGINAL_IMAGE: STOCK, _rollout.OUR_IMAGE: OURS})
    assert aim(found).annotations == {_member.ORIGINAL_IMAGE: THEIRS, _rollout.OUR_IMAGE: OURS}
    back = aim(found, "absent", "")
    assert back.image == THEIRS
    assert "someone else changed it" in back.note


def test_nothing_given_and_nothing_set_before_is_nothing_to_do():
    found = deployment()
    assert _rollout.begin(found, _member.container(found), aim(found, image="")) is None
    assert _rollout.begin(found, _member.container(found), aim(found, "absent", "")) is None
    assert _rollout.finish(found) is None


def test_the_corefiles_hash_makes_new_pods_and_stays_unless_said():
    found = deployment()
    there = begun(found, aim(found, image="", corefile="abc"))
    assert there["spec"]["template"]["metadata"]["annotations"] == {_rollout.COREFILE: "abc"}
    assert aim(there, image="").corefile == "abc"
    assert aim(there, "absent", "").corefile is None
    assert aim(there, image="", corefile="").corefile is None


def replica_set(name, revision):
    return {
        "metadata": {
            "labels": {_rollout.HASH: name},
            "annotations": {_rollout.REVISION: revision},
        }
    }


def test_the_newest_replica_set_is_that_of_the_deployments_revision():
    sets = [replica_set("old", "1"), replica_set("new", "2")]
    newest = _rollout.newest(deployment(), sets)
    assert newest is sets[1]
    stale = deployment()
    stale["status"]["observedGeneration"] = 2
    assert _rollout.newest(stale, sets) is None
    assert _rollout.newest(deployment(), sets[:1]) is None


def pod(**status):
    return {"metadata": {"name": "p", "resourceVersion": "5"}, "status": status}


DNS_SERVICE = {"spec": {"selector": {"k8s-app": "kube-dns"}}}


def test_a_pod_is_detached_by_every_label_that_selects_it():
    labels = {"k8s-app": "kube-dns", "role": "dns", "tier": "cache", _rollout.HASH: "abc"}
    services = [
        DNS_SERVICE,
        {"spec": {"selector": {"role": "dns", "tier": "cache"}}},
        {"spec": {"selector": {"role": "web"}}},
        {"spec": {}},
    ]
    selector = {
        "matchLabels": {"k8s-app": "kube-dns"},
        "matchExpressions": [{"key": "kind", "operator": "In", "values": ["a"]}, {"key": "old", "operator": "DoesNotExist"}],
    }
    found = {"metadata": {"name": "p", "labels": labels, "resourceVersion": "5"}}
    patch = _rollout.detach(found, selector, services, "coredns")["metadata"]
    assert patch["labels"] == {"k8s-app": None, "kind": None, "role": None, "tier": None, _rollout.HASH: None, _rollout.DRAINED: "coredns"}
    assert patch["resourceVersion"] == "5"


def test_a_selector_of_expressions_alone_detaches_too():
    selector = {"matchExpressions": [{"key": "k8s-app", "operator": "Exists"}]}
    labels = _rollout.detach(pod(), selector, [], "coredns")["metadata"]["labels"]
    assert labels == {"k8s-app": None, _rollout.HASH: None, _rollout.DRAINED: "coredns"}


def test_serving_pods_are_ready_and_stay():
    ready = pod(conditions=[{"type": "Ready", "status": "True"}])
    leaving = copy.deepcopy(ready)
    leaving["metadata"]["deletionTimestamp"] = "now"
    assert _rollout.serving([ready, leaving, pod(conditions=[{"type": "Ready", "status": "False"}]), pod()]) == [ready]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such host"}}}]}, "no such host"),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull"}}}]}, ""),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
        (
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1}}}
                ]
            },
            "CrashLoopBackOff, exit code 1",
        ),
        ({"initContainerStatuses": [{"state": {"terminated": {"exitCode": 255, "reason": "Error"}}}]}, "exit code 255"),
        ({"initContainerStatuses": [{"state": {"terminated": {"exitCode": 0}}}]}, ""),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}, ""),
    ],
)
def test_trouble(status, words):
    said = _rollout.trouble(pod(**status))
    assert words in said
    assert bool(said) == bool(words)


def test_a_pod_without_a_node_says_why():
    status = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes."}]}
    assert _rollout.unscheduled(pod(**status)) == "pod p cannot be scheduled: 0/1 nodes"
    assert _rollout.unscheduled(pod()) == ""


def test_a_pod_of_the_right_template_is_let_go_and_taken_back():
    labels = {"k8s-app": "kube-dns", _rollout.HASH: "abc"}
    pod = {"metadata": {"name": "p", "labels": labels, "resourceVersion": "7"}}
    released = merged(pod, _rollout.release("coredns"))
    # the Service's label stays, the ReplicaSet's goes, and a run after one that was killed here finds it
    assert released["metadata"]["labels"] == {"k8s-app": "kube-dns", _rollout.DRAINED: "coredns"}
    assert _rollout.unfinished(deployment(), [released])
    assert merged(released, _rollout.take_back(labels)) == pod
    out = merged(released, _rollout.detach(released, deployment()["spec"]["selector"], [DNS_SERVICE], "coredns"))
    assert out["metadata"]["labels"] == {_rollout.DRAINED: "coredns"}
    # what was detached already is the ReplicaSet's and the Service's again
    assert merged(out, _rollout.take_back(labels))["metadata"]["labels"] == labels
