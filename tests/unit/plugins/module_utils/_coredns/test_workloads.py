# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import (
    Source,
    dns_workloads,
    is_nodelocal,
    listening_port,
    may_land,
    owned_by,
    selector_of,
    workload,
)

NODELOCAL = "cluster.local:53 {\n    bind 169.254.20.10\n    forward . 10.96.0.10 {\n        force_tcp\n    }\n}\n.:53 {\n    forward . /etc/resolv.conf\n}\n"


def item(*, container: dict[str, t.Any] | None = None, volumes: list[t.Any] | None = None, name: str = "coredns", **spec: t.Any) -> dict[str, t.Any]:
    runs = {
        "name": "coredns",
        "image": "registry.k8s.io/coredns/coredns:v1.14.6",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns"}],
        **(container or {}),
    }
    config = {"name": "config-volume", "configMap": {"name": "coredns", "items": [{"key": "Corefile", "path": "Corefile"}]}}
    return {
        "metadata": {"namespace": "kube-system", "name": name, "uid": f"uid-{name}"},
        "spec": {
            "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {"spec": {"containers": [runs], "volumes": [config] if volumes is None else volumes, **spec}},
        },
    }


@pytest.mark.parametrize(
    ("container", "volumes", "source"),
    [
        ({}, None, Source("coredns", "Corefile")),
        ({"args": ["-conf=/etc/coredns/Corefile"]}, None, Source("coredns", "Corefile")),
        ({"args": ["--conf=/etc/coredns/Corefile", "-dns.port=53"]}, None, Source("coredns", "Corefile")),
        ({"command": ["/coredns"], "args": ["-conf", "/etc/coredns/other"]}, [{"name": "config-volume", "configMap": {"name": "cm"}}], Source("cm", "other")),
        (
            {"volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns/Corefile", "subPath": "Corefile"}]},
            None,
            Source("coredns", "Corefile", sub_path=True),
        ),
        (
            {},
            [
                {
                    "name": "config-volume",
                    "projected": {
                        "sources": [
                            {"secret": {"name": "tls"}},
                            {"configMap": {"name": "other", "items": [{"key": "a", "path": "a"}]}},
                            {"configMap": {"name": "dns", "items": [{"key": "main", "path": "Corefile"}]}},
                        ]
                    },
                }
            ],
            Source("dns", "main"),
        ),
        ({}, [{"name": "config-volume", "hostPath": {"path": "/etc/coredns"}}], None),
        ({"args": ["-conf", "/elsewhere/Corefile"]}, None, None),
    ],
    ids=["kubeadm", "one word", "two dashes", "no items", "subPath", "projected", "hostPath", "not mounted"],
)
def test_where_the_corefile_is(container: dict[str, t.Any], volumes: list[t.Any] | None, source: Source | None) -> None:
    assert workload(item(container=container, volumes=volumes), "Deployment").source == source


def test_a_selector_of_expressions_is_a_query() -> None:
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["dns", "cache"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "new", "operator": "Exists"},
            {"key": "zone", "operator": "NotIn", "values": ["x"]},
        ],
    }
    assert selector_of(selector) == "a=1,b=2,tier in (dns,cache),!old,new,zone notin (x)"
    assert selector_of({"matchExpressions": [{"key": "new", "operator": "Exists"}]}) == "new"


def test_pods_are_told_apart_by_their_controller_and_not_by_their_labels() -> None:
    pods = [
        {"metadata": {"name": "mine", "ownerReferences": [{"kind": "ReplicaSet", "uid": "1", "controller": True}]}},
        {"metadata": {"name": "other", "ownerReferences": [{"kind": "ReplicaSet", "uid": "2", "controller": True}]}},
        {"metadata": {"name": "bare"}},
        {"metadata": {"name": "held", "ownerReferences": [{"kind": "ConfigMap", "uid": "1"}]}},
    ]
    assert [pod["metadata"]["name"] for pod in owned_by(pods, {"1"})] == ["mine"]


def test_workloads_that_run_coredns_are_found_by_any_of_its_signs() -> None:
    renamed = item(name="dns", container={"name": "server", "image": "mirror.example.com/dns/coredns@sha256:00"})
    by_argument = item(name="odd", container={"name": "x", "image": "example.com/own:1"})
    other = item(name="web", container={"name": "x", "image": "example.com/own:1", "args": []})
    without = item(name="bare", volumes=[])
    found = dns_workloads([renamed, by_argument, other, without], [item(name="daemon")])
    assert [one.label for one in found] == ["DaemonSet kube-system/daemon", "Deployment kube-system/dns", "Deployment kube-system/odd"]


def test_nodelocal_is_known_by_what_it_does() -> None:
    cache = workload(item(name="nodelocaldns", hostNetwork=True), "DaemonSet")
    assert is_nodelocal(cache, NODELOCAL, "cluster.local")
    assert not is_nodelocal(cache, ".:53 {\n    kubernetes cluster.local\n}\n", "cluster.local")
    assert not is_nodelocal(cache, "{", "cluster.local")
    assert not is_nodelocal(workload(item(hostNetwork=True), "Deployment"), NODELOCAL, "cluster.local")
    assert not is_nodelocal(workload(item(), "DaemonSet"), NODELOCAL, "cluster.local")


@pytest.mark.parametrize(
    ("corefile", "dns_port", "port"),
    [
        (".:53 {\n    kubernetes cluster.local\n}\n", 53, 53),
        (".:8053 {\n    kubernetes cluster.local\n}\n", 53, 8053),
        (". {\n    kubernetes cluster.local\n}\n", 1053, 1053),
        (".:53 {\n}\ncluster.local:9053 {\n}\n", 53, 9053),
        ("example.org:99 {\n}\n", 53, 53),
        ("tls://.:853 {\n}\n.:5353 {\n}\n", 53, 5353),
        ("{", 53, 53),
    ],
)
def test_the_port_that_is_listened_on(corefile: str, dns_port: int, port: int) -> None:
    assert listening_port(corefile, "cluster.local", dns_port) == port


@pytest.mark.parametrize(
    ("spec", "taints", "labels", "lands"),
    [
        ({}, [], {}, True),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, [], {"kubernetes.io/os": "windows"}, False),
        ({"nodeSelector": {"kubernetes.io/os": "linux"}}, [], {"kubernetes.io/os": "linux", "x": "y"}, True),
        ({}, [{"key": "arch", "value": "arm64", "effect": "NoSchedule"}], {}, False),
        ({}, [{"key": "arch", "value": "arm64", "effect": "PreferNoSchedule"}], {}, True),
        ({"tolerations": [{"key": "arch", "operator": "Equal", "value": "arm64"}]}, [{"key": "arch", "value": "arm64", "effect": "NoSchedule"}], {}, True),
        ({"tolerations": [{"key": "arch", "value": "amd64"}]}, [{"key": "arch", "value": "arm64", "effect": "NoSchedule"}], {}, False),
        ({"tolerations": [{"key": "cp", "effect": "NoSchedule", "operator": "Exists"}]}, [{"key": "cp", "effect": "NoSchedule"}], {}, True),
        ({"tolerations": [{"key": "cp", "effect": "NoSchedule", "operator": "Exists"}]}, [{"key": "cp", "effect": "NoExecute"}], {}, False),
        ({"tolerations": [{"operator": "Exists"}]}, [{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoSchedule"}], {}, True),
        ({"tolerations": [{"key": "a", "operator": "Exists"}]}, [{"key": "a", "effect": "NoExecute"}, {"key": "b", "effect": "NoSchedule"}], {}, False),
    ],
)
def test_where_pods_may_land(spec: dict[str, t.Any], taints: list[dict[str, str]], labels: dict[str, str], lands: bool) -> None:
    node = {"metadata": {"name": "n", "labels": labels}, "spec": {"taints": taints}}
    assert may_land(workload(item(**spec), "Deployment"), node) is lands
