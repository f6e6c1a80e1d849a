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


def member(**changes):
    return {
        "name": "member2",
        "problems": [],
        "coredns": _member.coredns(deployment()),
        "crds": {"serviceimports": {"present": True, "established": True, "served": ["v1alpha1"]}},
        **changes,
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
    found = _member.coredns(deployment())
    assert (found["configmap"], found["key"], found["version"]) == ("coredns", "Corefile", "1.12.1")
    assert (found["service_account"], found["selector"]) == ("coredns", "k8s-app=kube-dns")
    assert (found["original_image"], found["annotated"], found["rolled_out"]) == (found["image"], False, True)


def test_a_sub_path_names_the_key():
    found = _member.coredns(
        deployment(
            volumeMounts=[{"name": "config-volume", "mountPath": "/etc/coredns/Corefile", "subPath": "Corefile"}]
        )
    )
    assert (found["configmap"], found["key"], found["sub_path"]) == ("coredns", "Corefile", True)


def test_a_corefile_from_elsewhere_is_a_problem():
    found = _member.coredns(deployment(volumeMounts=[]))
    assert found["configmap"] is None
    assert any(
        "reads its Corefile from no ConfigMap" in one for one in _member.problems("m", (1, 34), [], found, [], "a/b")
    )


@pytest.mark.parametrize("field", ["observedGeneration", "updatedReplicas", "availableReplicas"])
def test_a_rollout_under_way_is_not_over(field):
    item = deployment()
    item["status"][field] -= 1
    assert not _member.coredns(item)["rolled_out"]


def test_the_image_before_us_is_remembered():
    item = deployment()
    item["metadata"]["annotations"] = {_member.ORIGINAL_IMAGE: "old:v1.12.1"}
    assert _member.coredns(item)["original_image"] == "old:v1.12.1"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((1, 20), [], "found", []), "runs Kubernetes 1.20; 1.21 or newer is needed"),
        (
            (
                (1, 34),
                [{"verb": "patch", "group": "apps", "resource": "deployments", "namespace": "kube-system"}],
                "found",
                [],
            ),
            "may not patch deployments.apps in kube-system",
        ),
        (
            ((1, 34), [], None, ["kube-system/rke2-coredns"]),
            "has no CoreDNS Deployment kube-system/coredns. Found instead: kube-system/rke2-coredns.",
        ),
        (((1, 34), [], None, []), "Nothing there is labelled k8s-app=kube-dns"),
    ],
)
def test_what_does_not_fit_is_said(arguments, words):
    kubernetes, rights, found, elsewhere = arguments
    found = _member.coredns(deployment()) if found else None
    sentences = _member.problems("member2", kubernetes, rights, found, elsewhere, "kube-system/coredns")
    assert len(sentences) == 1
    assert words in sentences[0]


def test_an_old_coredns_is_said():
    found = _member.coredns(deployment(image="coredns:v1.8.0"))
    assert "runs CoreDNS 1.8.0; 1.9.3 or newer" in _member.problems("m", (1, 34), [], found, [], "a/b")[0]


ZONE = {"zone": "clusterset.local", "cluster_domain": "cluster.local"}


def test_a_member_that_fits_has_no_problems():
    assert _member.zone_problems(member(), **ZONE) == []


@pytest.mark.parametrize(
    ("changes", "options", "words"),
    [
        ({}, {"zone": "Cluster.Local."}, "is the cluster domain"),
        ({"crds": {"serviceimports": {"established": False, "served": []}}}, {}, "Run the role mcs_crds first"),
        ({"crds": {"serviceimports": {"established": True, "served": ["v1beta1"]}}}, {}, "does not serve v1alpha1"),
    ],
)
def test_what_keeps_the_zone_from_being_served_is_said(changes, options, words):
    sentences = _member.zone_problems(member(**changes), **{**ZONE, **options})
    assert len(sentences) == 1
    assert words in sentences[0]


def test_check_mode_accepts_that_the_definitions_are_not_there_yet():
    stock = member(crds={"serviceimports": {"established": False, "served": []}})
    assert _member.zone_problems(stock, **ZONE, check_mode=True) == []


def test_a_deployment_that_is_not_to_be_changed_need_not_be_there():
    assert _member.problems("m", (1, 34), [], None, [], "kube-system/coredns", changed=False) == []
