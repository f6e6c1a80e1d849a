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
        " Join it, or give it the name that Karmada uses."
    ]


def test_which_definition_is_newer():
    def age(release, revision="0"):
        return _karmada.crd_age({"multicluster.x-k8s.io/release-version": release, "multicluster.x-k8s.io/crd-schema-revision": revision})

    assert _karmada.crd_age(None) < age("v0.5.2") < age("v0.5.2", "1") < age("v0.6.0") < age("v0.10.0")


def work(cluster, service, **spec):
    labels = {"endpointslice.karmada.io/namespace": "default", "endpointslice.karmada.io/name": service}
    return {"metadata": {"namespace": f"karmada-es-{cluster}", "name": f"{service}-{cluster}", "labels": labels}, "spec": spec}


def test_slices_are_left_where_an_export_goes_and_nowhere_else():
    # of MultiClusterServices the Works have no service
    unlabelled = {"metadata": {"namespace": "karmada-es-a", "name": "other"}}
    works = [*(work(cluster, name) for name in ("x", "y") for cluster in ("a", "b")), unlabelled]

    def left(after):
        return [one["metadata"]["name"] for one in _karmada.left_works(works, after)]

    assert left({("default", "x"): ["a"]}) == ["x-b"]
    assert left({("default", "x"): ["a"], ("default", "y"): []}) == ["x-b", "y-a", "y-b"]
    assert left({("other", "x"): []}) == []
    assert _karmada.left_works([work("a", "x", preserveResourcesOnDeletion=True)], {("default", "x"): []}) == []
