# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Which CoreDNS of a cluster serves a zone for multicluster."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import runs_coredns
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zones import configmaps, served, zones

BUILTIN = ".:53 {\n    kubernetes cluster.local clusterset.local {\n        multicluster clusterset.local\n    }\n}\n"
PLAIN = ".:53 {\n    kubernetes cluster.local\n    forward . /etc/resolv.conf\n}\n"


def workload(image: str = "registry.k8s.io/coredns/coredns:v1.12.1", args: t.Sequence[str] = (), volumes: t.Any = None) -> dict[str, t.Any]:
    volumes = [{"name": "config", "configMap": {"name": "coredns"}}] if volumes is None else volumes
    container = {"name": "x", "image": image, "args": list(args), "volumeMounts": [{"name": "config", "mountPath": "/Corefile", "subPath": "Corefile"}]}
    pod = {"containers": [container], "volumes": volumes}
    return {"metadata": {"namespace": "kube-system", "name": "dns"}, "spec": {"template": {"spec": pod}}}


@pytest.mark.parametrize(
    ("image", "args", "answer"),
    [
        ("registry.k8s.io/coredns/coredns:v1.12.1", (), True),
        ("localhost:5000/clusterset-coredns@sha256:00", (), True),
        ("registry.k8s.io/dns/k8s-dns-node-cache:1.26", (), True),
        ("example.test/nodelocaldns:1", (), True),
        ("example.test/dns:1", ("-conf", "/etc/coredns/Corefile"), True),
        ("example.test/dns:1", ("-conf=/etc/coredns/Corefile",), True),
        ("coredns.test/web:1", (), False),
        ("example.test/web:coredns", ("conf",), False),
    ],
)
def test_what_looks_like_coredns(image: str, args: tuple[str, ...], answer: bool) -> None:
    assert runs_coredns(workload(image, args)) is answer


def test_configmaps_are_seen_in_projected_volumes() -> None:
    volumes = [
        {"configMap": {"name": "a"}}, {"projected": {"sources": [{"configMap": {"name": "b"}}, {"secret": {"name": "s"}}]}}, {"emptyDir": {}}
    ]  # fmt: skip
    assert configmaps(workload(volumes=volumes)) == [("kube-system", "a"), ("kube-system", "b")]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (BUILTIN, ["clusterset.local"]),
        (PLAIN, []),
        ("Other.Test. {\n    multicluster\n}\n", ["other.test"]),
        (". {\n    multicluster a.test b.test {\n        fallthrough\n    }\n}\n", ["a.test", "b.test"]),
        # a file that is imported inside a server block
        ("multicluster clusterset.local\n", ["clusterset.local"]),
        ("kubernetes clusterset.local {\n    multicluster clusterset.local\n}\n", ["clusterset.local"]),
        # a zone of ours that another CoreDNS serves needs no definition here
        ("# clusterset.dns: begin a.test\na.test {\n    forward . 10.1.1.1\n}\n# clusterset.dns: end a.test\n", []),
        # nobody can tell
        ("a {\n    multicluster x\n", ["a zone that cannot be read"]),
        ("a {\n    forward . 1.1.1.1\n", []),
        ("# multicluster\n" + PLAIN, []),
    ],
)
def test_zones_of_a_corefile(text: str, answer: list[str]) -> None:
    assert zones(text) == answer


def test_every_key_of_what_is_mounted_is_read() -> None:
    maps = {("kube-system", "coredns"): {"data": {"Corefile": PLAIN, "custom.server": BUILTIN}}}
    assert served([("DaemonSet", workload())], maps) == [
        "DaemonSet kube-system/dns serves clusterset.local (ConfigMap kube-system/coredns, key custom.server)"
    ]
    assert served([("Deployment", workload())], {}) == []


def test_a_corefile_that_cannot_be_seen_is_said() -> None:
    assert served([("Deployment", workload(volumes=[]))], {}) == [
        "Deployment kube-system/dns mounts no ConfigMap, so that what its CoreDNS serves cannot be seen"
    ]
