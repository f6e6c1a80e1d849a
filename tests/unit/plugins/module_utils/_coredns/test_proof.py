# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import proof as _proof
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import model as _corefile

DEPLOYMENT = {
    "spec": {
        "template": {
            "metadata": {"labels": {"k8s-app": "kube-dns"}},
            "spec": {
                "serviceAccountName": "coredns",
                "affinity": {"podAntiAffinity": {}},
                "hostNetwork": True,
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "containers": [
                    {
                        "name": "coredns",
                        "image": "old",
                        "args": ["-conf", "/etc/coredns/Corefile"],
                        "ports": [{"containerPort": 53, "hostPort": 53}],
                        "livenessProbe": {},
                        "readinessProbe": {},
                        "securityContext": {"readOnlyRootFilesystem": True},
                        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns"}],
                    },
                    {"name": "sidecar", "image": "other"},
                ],
                "volumes": [
                    {"name": "config-volume", "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}},
                    {"name": "custom", "configMap": {"name": "coredns-custom", "optional": True}},
                ],
            },
        }
    }
}
CANDIDATE = {"metadata": {"name": "clusterset-dns-proof-x", "uid": "u", "labels": {_proof.LABEL: "coredns"}}}


def test_the_pod_is_coredns_own_but_for_what_would_bind_or_select_it():
    pod = _proof.pod(DEPLOYMENT, _member.container(DEPLOYMENT), "new", "coredns", CANDIDATE, 99)
    spec = pod["spec"]
    assert pod["metadata"]["labels"] == {_proof.LABEL: "coredns"}
    assert not {"affinity", "hostNetwork"} & set(spec)
    assert spec["serviceAccountName"] == "coredns"
    assert spec["activeDeadlineSeconds"] == 99
    (runs,), (lists,) = spec["containers"], spec["initContainers"]
    assert runs["image"] == lists["image"] == "new"
    assert not {"ports", "livenessProbe", "readinessProbe"} & set(runs)
    assert lists["args"] == ["-plugins"]
    assert lists["securityContext"] == runs["securityContext"] == {"readOnlyRootFilesystem": True}
    assert [volume["configMap"]["name"] for volume in spec["volumes"]] == ["clusterset-dns-proof-x", "coredns-custom"]
    original = DEPLOYMENT["spec"]["template"]["spec"]
    assert original["volumes"][0]["configMap"]["name"] == "coredns"


def test_the_pod_is_sent_to_a_node_of_an_architecture():
    pod = _proof.pod(DEPLOYMENT, _member.container(DEPLOYMENT), "new", "coredns", CANDIDATE, 99, "arm64")
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}
    without = _proof.pod(DEPLOYMENT, _member.container(DEPLOYMENT), "new", "coredns", CANDIDATE, 99)
    assert without["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_a_projected_volume_gets_the_candidate_too():
    deployment = copy.deepcopy(DEPLOYMENT)
    sources = [{"secret": {"name": "tls"}}, {"configMap": {"name": "coredns"}}, {"configMap": {"name": "other"}}]
    deployment["spec"]["template"]["spec"]["volumes"] = [{"name": "config-volume", "projected": {"sources": sources}}]
    spec = _proof.pod(deployment, _member.container(deployment), "new", "coredns", CANDIDATE, 99)["spec"]
    names = [one["configMap"]["name"] for one in spec["volumes"][0]["projected"]["sources"] if "configMap" in one]
    assert names == ["clusterset-dns-proof-x", "other"]


def test_other_keys_of_the_config_map_are_kept():
    made = _proof.config_map({"data": {"Corefile": "old", "NodeHosts": "h"}}, "Corefile", "new", "coredns")
    assert made["data"] == {"Corefile": "new", "NodeHosts": "h"}


@pytest.mark.parametrize(
    "listing",
    ["cache\nerrors\non\n", "Server types:\n  dns\n\nOther plugins:\n  dns.cache\n  dns.errors\n  on\n"],
)
def test_plugins_listed(listing):
    assert {"cache", "errors", "on"} <= _proof.plugins_in(listing)
    assert "multicluster" not in _proof.plugins_in(listing)


@pytest.mark.parametrize(
    ("name", "port"),
    [("a.example.org", 5454), ("kubernetes.default.svc.cluster.local", 53), ("x.clusterset.local.", 5353)],
)
def test_the_port_of_a_name_is_that_of_the_closest_block(name, port):
    text = ".:53 {\n errors\n}\nexample.org:5454 {\n errors\n}\nclusterset.local:5353 {\n errors\n}\ntls://org {\n errors\n}\n"
    assert _corefile.port_of(_corefile.parse(text), name) == port


def test_a_name_that_no_block_serves_is_asked_at_the_usual_port():
    assert _corefile.port_of(_corefile.parse("example.org:5454 {\n errors\n}\n"), "a.test") == 53
