# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member


def deployment(**container):
    return {
        "metadata": {"namespace": "kube-system", "name": "coredns", "generation": 2, "annotations": {}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {
                "spec": {
                    "serviceAccountName": "coredns",
                    "containers": [
                        {
                            "name": "coredns",
                            "image": "registry.k8s.io/coredns/coredns:v1.12.1",
                            "args": ["-conf", "/etc/coredns/Corefile"],
                            "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns"}],
                            **container,
                        }
                    ],
                    "volumes": [
                        {
                            "name": "config-volume",
                            "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]},
                        }
                    ],
                }
            },
        },
        "status": {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    }


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/coredns/coredns:v1.12.1", (1, 12, 1)),
        ("coredns/coredns:1.9.3", (1, 9, 3)),
        ("602401143452.dkr.example.com/eks/coredns:v1.11.4-eksbuild.2", (1, 11, 4)),
        ("localhost:5000/coredns", None),
        ("localhost:5000/coredns:v1.15.0@sha256:abc", (1, 15, 0)),
        ("coredns:latest", None),
    ],
)
def test_the_version_is_read_off_the_tag(image, version):
    assert _member.image_version(image) == version


def test_kubeadms_deployment_is_understood():
    assert _member.coredns(deployment()) == {
        "image": "registry.k8s.io/coredns/coredns:v1.12.1",
        "version": "1.12.1",
        "replicas": 2,
        "paused": False,
        "rolled_out": True,
    }


@pytest.mark.parametrize("field", ["observedGeneration", "updatedReplicas", "availableReplicas"])
def test_a_rollout_under_way_is_not_over(field):
    item = deployment()
    item["status"][field] -= 1
    assert not _member.coredns(item)["rolled_out"]


def test_what_api_servers_leave_out_is_their_default():
    item = deployment()
    del item["spec"]["replicas"]
    del item["status"]
    found = _member.coredns(item)
    assert (found["replicas"], found["rolled_out"]) == (1, False)
    item["spec"]["paused"] = True
    assert _member.coredns(item)["paused"]


def definition(condition="True", **served):
    return {
        "spec": {"versions": [{"name": name, "served": value} for name, value in served.items()]},
        "status": {"conditions": [{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": condition}]},
    }


@pytest.mark.parametrize(
    ("crd", "state"),
    [
        (None, {"present": False, "established": False, "served": []}),
        (definition(v1alpha1=True, v1beta1=False), {"present": True, "established": True, "served": ["v1alpha1"]}),
        (definition("False", v1alpha1=True), {"present": True, "established": False, "served": ["v1alpha1"]}),
        ({"spec": {"versions": []}}, {"present": True, "established": False, "served": []}),
    ],
)
def test_a_definition_is_usable_once_it_is_established(crd, state):
    assert _member.crd_state(crd) == state
