# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _karmada


def cluster(name="member1", ready="True", kinds=("ServiceExport", "ServiceImport")):
    return {
        "metadata": {"name": name},
        "spec": {"syncMode": "Push"},
        "status": {
            "kubernetesVersion": "v1.34.4",
            "conditions": [{"type": "Ready", "status": ready, "message": "cluster is healthy"}],
            "apiEnablements": [
                {"groupVersion": "multicluster.x-k8s.io/v1alpha1", "resources": [{"kind": kind} for kind in kinds]},
                {"groupVersion": "v1", "resources": [{"kind": "Pod"}]},
            ],
        },
    }


MCS = ("multicluster.x-k8s.io/v1alpha1", ["ServiceExport", "ServiceImport"])


def test_a_cluster_serves_what_it_lists():
    assert _karmada.cluster(cluster(), *MCS)["serves"]
    assert not _karmada.cluster(cluster(kinds=["ServiceExport"]), *MCS)["serves"]
    assert not _karmada.cluster({"metadata": {"name": "new"}, "spec": {}}, *MCS)["ready"]


def test_who_is_waited_for_and_why():
    clusters = [
        _karmada.cluster(cluster("a"), *MCS),
        _karmada.cluster(cluster("b", kinds=[]), *MCS),
        _karmada.cluster(cluster("c", ready="False", kinds=[]), *MCS),
        _karmada.cluster(cluster("other", kinds=[]), *MCS),
    ]
    pending = _karmada.waiting_for(clusters, ["a", "b", "c"])
    assert sorted(pending) == ["b", "c"]
    assert "API enablements" in pending["b"]
    assert "not Ready: cluster is healthy" in pending["c"]


def test_a_member_that_karmada_does_not_have_is_said():
    sentences = _karmada.problems("karmada", [], ["member1", "member9"], {"member1", "member2"})
    assert sentences == [
        "member9 is not a member of this Karmada, which has member1, member2."
        " Join it, or set clusterset_member of the host to the name that Karmada uses."
    ]


def crd(release, revision="0"):
    labels = {"multicluster.x-k8s.io/release-version": release, "multicluster.x-k8s.io/crd-schema-revision": revision}
    return {"metadata": {"name": "serviceimports.multicluster.x-k8s.io", "labels": labels}}


def test_a_newer_definition_is_never_replaced():
    name = "serviceimports.multicluster.x-k8s.io"
    assert _karmada.not_older([crd("v0.5.2")], {}) == [crd("v0.5.2")]
    assert _karmada.not_older([crd("v0.5.2")], {name: {}}) == [crd("v0.5.2")]
    assert _karmada.not_older([crd("v0.5.2")], {name: crd("v0.6.0")["metadata"]["labels"]}) == []
    assert _karmada.not_older([crd("v0.5.2")], {name: crd("v0.5.2", "1")["metadata"]["labels"]}) == []
    assert _karmada.not_older([crd("v0.10.0")], {name: crd("v0.9.0")["metadata"]["labels"]})


def binding(kind, status="True", message=""):
    return {
        "spec": {"resource": {"kind": kind, "namespace": "default", "name": "serve"}},
        "status": {"conditions": [{"type": "Scheduled", "status": status, "message": message}]},
    }


def test_what_karmada_has_not_placed_is_said_in_its_words():
    services = [{"namespace": "default", "name": "serve"}]
    placed = [binding("ServiceExport"), binding("ServiceImport")]
    assert _karmada.unplaced(placed, services) == []
    assert _karmada.unplaced(placed[:1], services) == ["ServiceImport default/serve: no policy has selected it yet"]
    refused = [binding("ServiceExport", "False", "0/2 clusters are available"), placed[1]]
    assert _karmada.unplaced(refused, services) == ["ServiceExport default/serve: 0/2 clusters are available"]


def work(cluster, service, name="serve-abc"):
    labels = {"endpointslice.karmada.io/namespace": "default", "endpointslice.karmada.io/name": service}
    return {"metadata": {"namespace": f"karmada-es-{cluster}", "name": name, "labels": labels}}


def test_what_karmada_collected_for_exports():
    exports = [{"metadata": {"namespace": "default", "name": "serve"}}]
    # of MultiClusterServices the Works have no service
    unlabelled = {"metadata": {"namespace": "karmada-es-a", "name": "other", "labels": {}}}
    assert _karmada.collected([work("a", "serve"), work("a", "foreign"), unlabelled], exports) == [
        {"work": "serve-abc", "cluster": "a", "namespace": "default", "name": "serve"}
    ]


def test_slices_are_left_where_an_export_goes_and_nowhere_else():
    found = [{"work": f"{name}-{cluster}", "cluster": cluster, "namespace": "default", "name": name} for name in ("x", "y") for cluster in ("a", "b")]
    services = [{"namespace": "default", "name": "x", "from_clusters": ["a"]}]

    def left(prune, services):
        return [(one["metadata"]["namespace"], one["metadata"]["name"]) for one in _karmada.left_slices(found, services, prune)]

    # x is no longer exported from b; y stays as it is unless pruned
    assert left(False, services) == [("karmada-es-b", "x-b")]
    assert left(True, services) == [("karmada-es-b", "x-b"), ("karmada-es-a", "y-a"), ("karmada-es-b", "y-b")]
    assert len(left(True, [])) == 4
    assert all(one["spec"] == {"preserveResourcesOnDeletion": True} for one in _karmada.left_slices(found, [], True))
