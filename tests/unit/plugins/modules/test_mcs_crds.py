# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Module mcs_crds on a stand-in for Karmada's control plane: who propagates the definitions, and who may lose them."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.modules import mcs_crds
from ansible_collections.clusterset.dns.tests.unit.karmada_standin import CLUSTERS, CRDS, KINDS, MCS, POLICIES, WORK, Karmada, Run, runner

MEMBERS = ["member1", "member2"]
POLICY = f"{POLICIES}/clusterpropagationpolicies/clusterset-dns-crds"
NAMES = {kind: f"{kind.lower()}s.multicluster.x-k8s.io" for kind in KINDS}
DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
PLAIN = ".:53 {\n    kubernetes cluster.local\n}\n"
ZONE = "clusterset.local {\n    kubernetes clusterset.local {\n        multicluster clusterset.local\n    }\n}\n"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


def binding(kind: str) -> str:
    return f"{WORK}/clusterresourcebindings/{NAMES[kind]}-customresourcedefinition"


def bind(karmada: Karmada, kind: str, policy: str, clusters: t.Sequence[str]) -> None:
    """What Karmada does with a definition that a policy selects: the mark on it, and a binding."""
    marks = {"clusterpropagationpolicy.karmada.io/name": policy}
    crd = karmada.objects[f"{CRDS}/{NAMES[kind]}"]
    karmada.put(f"{CRDS}/{NAMES[kind]}", {**crd, "metadata": {**crd["metadata"], "annotations": marks}})
    spec = {"resource": {"kind": "CustomResourceDefinition", "name": NAMES[kind]}, "clusters": [{"name": name} for name in clusters]}
    karmada.put(binding(kind), {"metadata": {"annotations": marks}, "spec": spec})


def propagate(karmada: Karmada, path: str) -> None:
    if not path.startswith(f"{POLICIES}/clusterpropagationpolicies/") or path not in karmada.objects:
        return
    policy = karmada.objects[path]
    for selector in policy["spec"]["resourceSelectors"]:
        kind = next(kind for kind, name in NAMES.items() if name == selector["name"])
        marks = karmada.objects[f"{CRDS}/{NAMES[kind]}"]["metadata"].get("annotations") or {}
        if marks.get("clusterpropagationpolicy.karmada.io/name") in (None, policy["metadata"]["name"]):
            bind(karmada, kind, policy["metadata"]["name"], policy["spec"]["placement"]["clusterAffinity"]["clusterNames"])


@pytest.fixture
def karmada() -> t.Iterator[Karmada]:
    with Karmada() as karmada:
        karmada.controller = lambda path: propagate(karmada, path)
        for kind in KINDS:
            karmada.put(f"{CRDS}/{NAMES[kind]}", {"spec": {"names": {"kind": kind}}})
        karmada.collections |= {f"{POLICIES}/clusterpropagationpolicies"}
        for name in MEMBERS:
            coredns(karmada, name, PLAIN)
            karmada.collections |= {f"{CLUSTERS}/{name}/proxy{MCS}/{kind.lower()}s" for kind in KINDS}
        yield karmada


def running(volume: dict[str, t.Any], *others: dict[str, t.Any]) -> dict[str, t.Any]:
    """A workload that runs CoreDNS with a Corefile from a volume."""
    mounts = [{"name": "config", "mountPath": "/etc/coredns"}]
    container = {"name": "coredns", "image": "coredns:1", "args": ["-conf", "/etc/coredns/Corefile"], "volumeMounts": mounts}
    return {"spec": {"template": {"spec": {"containers": [container], "volumes": [{"name": "config", **volume}, *others]}}}}


def coredns(karmada: Karmada, member: str, corefile: str) -> None:
    karmada.member(member, DNS, running({"configMap": {"name": "coredns"}}))
    karmada.member(member, "/api/v1/namespaces/kube-system/configmaps/coredns", {"data": {"Corefile": corefile}})


def theirs(karmada: Karmada, clusters: t.Sequence[str] = ("member1",)) -> None:
    """Karmada's documented policies."""
    for kind in KINDS:
        selector = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "name": NAMES[kind]}
        placement = {"clusterAffinity": {"clusterNames": list(clusters)}}
        policy = f"{kind.lower()}-policy"
        karmada.put(f"{POLICIES}/clusterpropagationpolicies/{policy}", {"spec": {"resourceSelectors": [selector], "placement": placement}})
        bind(karmada, kind, policy, clusters)


def call(run: Run, karmada: Karmada, **options: t.Any) -> dict[str, t.Any]:
    options = {"clusters": MEMBERS, "wait_timeout": 5, "wait": False, **options}
    return run(mcs_crds.main, **karmada.auth, **options)


def absent(run: Run, karmada: Karmada, *leaving: str, **options: t.Any) -> dict[str, t.Any]:
    return call(run, karmada, state="absent", clusters=list(leaving), **options)


def placed(karmada: Karmada) -> list[str]:
    return karmada.objects[POLICY]["spec"]["placement"]["clusterAffinity"]["clusterNames"]


def test_there_twice_and_away(run: Run, karmada: Karmada) -> None:
    first = call(run, karmada)
    assert (first["changed"], first["pending"], placed(karmada)) == (True, {}, MEMBERS)
    assert ownership.fleet_of(karmada.objects[POLICY]) == "default"
    assert not call(run, karmada)["changed"]
    gone = absent(run, karmada)
    assert [(row["cluster"], row["action"]) for row in gone["clusters"]] == [("member1", "left"), ("member2", "left")]
    assert not {POLICY, *map(binding, KINDS)} & set(karmada.objects)
    assert not absent(run, karmada)["changed"]
    # the definitions are Karmada's own
    assert f"{CRDS}/{NAMES['ServiceImport']}" in karmada.objects


def test_check_mode_tells_and_writes_nothing(run: Run, karmada: Karmada) -> None:
    before = copy.deepcopy(karmada.objects)
    assert call(run, karmada, check=True)["changed"]
    assert karmada.objects == before
    call(run, karmada)
    before = copy.deepcopy(karmada.objects)
    assert absent(run, karmada, check=True)["changed"]
    assert karmada.objects == before


def test_nothing_shrinks(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    said = call(run, karmada, clusters=["member1"])
    assert (said["changed"], placed(karmada)) == (False, MEMBERS)
    assert said["said"] == [
        "karmada: member2 keeps the definitions, as a run takes no cluster away. A cluster leaves by state absent (teardown)."
    ]


def test_a_cluster_leaves_alone(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    coredns(karmada, "member1", ZONE)
    said = absent(run, karmada, "member2")
    assert ([row["cluster"] for row in said["clusters"]], placed(karmada)) == (["member2"], ["member1"])


def test_a_definition_stays_while_a_coredns_serves_a_zone(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    coredns(karmada, "member1", ZONE)
    said = absent(run, karmada)
    why = "Deployment kube-system/coredns serves clusterset.local (ConfigMap kube-system/coredns, key Corefile)"
    assert said["clusters"][0] == {"cluster": "member1", "action": "kept", "reasons": [why], "looked": True}
    assert said["said"] == [f"member1 keeps the definitions of ServiceExport and ServiceImport: {why}."]
    assert placed(karmada) == ["member1"]
    assert binding("ServiceImport") in karmada.objects
    # whoever asks for whichever cluster
    assert not absent(run, karmada, "member1")["changed"]


def test_a_definition_stays_while_a_coredns_of_a_statefulset_serves_a_zone(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    karmada.member("member1", "/apis/apps/v1/namespaces/dns/statefulsets/second", running({"configMap": {"name": "second"}}))
    karmada.member("member1", "/api/v1/namespaces/dns/configmaps/second", {"data": {"Corefile": ZONE}})
    why = "StatefulSet dns/second serves clusterset.local (ConfigMap dns/second, key Corefile)"
    assert absent(run, karmada)["clusters"][0] == {"cluster": "member1", "action": "kept", "reasons": [why], "looked": True}


@pytest.mark.parametrize("volume", [{"secret": {"secretName": "c"}}, {"projected": {"sources": [{"secret": {"name": "c"}}]}}, {"emptyDir": {}}])
def test_a_definition_stays_while_a_corefile_is_in_no_configmap(run: Run, karmada: Karmada, volume: dict[str, t.Any]) -> None:
    call(run, karmada)
    karmada.member("member1", DNS, running(volume, {"name": "ca", "configMap": {"name": "ca"}}))
    karmada.member("member1", "/api/v1/namespaces/kube-system/configmaps/ca", {"data": {"ca.crt": "x"}})
    why = "Deployment kube-system/coredns has its Corefile from no ConfigMap, so that what its CoreDNS serves cannot be seen"
    assert absent(run, karmada)["clusters"][0] == {"cluster": "member1", "action": "kept", "reasons": [why], "looked": True}


@pytest.mark.parametrize("kind", KINDS)
def test_a_definition_stays_while_somebody_else_uses_it(run: Run, karmada: Karmada, kind: str) -> None:
    call(run, karmada)
    karmada.member("member1", f"{MCS}/namespaces/default/{kind.lower()}s/mine", {})
    karmada.member("member2", f"{MCS}/namespaces/default/{kind.lower()}s/ours", {"metadata": {"labels": ownership.labels()}})
    said = absent(run, karmada)
    assert said["pending"] == {"member1": f"{kind} default/mine, which is not of this fleet, would be deleted"}
    assert placed(karmada) == ["member1"]


def test_a_definition_stays_where_nobody_could_look(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    karmada.down = {"member2"}
    said = absent(run, karmada)
    assert [(row["cluster"], row["action"], row["looked"]) for row in said["clusters"]] == [
        ("member1", "left", True),
        ("member2", "kept", False),
    ]
    assert said["pending"]["member2"].startswith(
        "it could not be looked at: member2: GET /apis/apps/v1/deployments: cluster member2 is not reachable"
    )
    assert placed(karmada) == ["member2"]


def test_a_member_is_looked_at_by_the_access_that_is_given(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    karmada.down = {"member2"}
    with Karmada([]) as member:
        member.collections |= {f"/apis/apps/v1/{plural}" for plural in ("deployments", "daemonsets", "statefulsets")}
        assert absent(run, karmada, members=[{"name": "member2", **member.auth}])["pending"] == {}
    assert POLICY not in karmada.objects


def test_a_cluster_that_karmada_no_longer_has_is_not_asked(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    karmada.down = {"member2"}
    karmada.remove(f"{CLUSTERS}/member2")
    assert absent(run, karmada, "member2")["clusters"] == [{"cluster": "member2", "action": "left", "reasons": [], "looked": True}]
    assert placed(karmada) == ["member1"]


def test_policies_of_others_keep_the_definitions(run: Run, karmada: Karmada) -> None:
    """Karmada's documented policies were there before us, and leave a member out."""
    theirs(karmada)
    karmada.join("member2", serves=False)
    karmada.member("member1", f"{MCS}/namespaces/default/serviceimports/mine", {})
    before = copy.deepcopy(karmada.objects)
    said = call(run, karmada)
    assert said["pending"] == {
        "member2": "ClusterPropagationPolicy serviceexport-policy, serviceimport-policy, which is not ours, propagates the definition of ServiceExport"
        " and ServiceImport and leaves member2 out. Add member2 to its placement, or delete that policy"
    }
    assert not said["changed"]
    assert not absent(run, karmada)["changed"]
    assert karmada.objects == before


def test_ours_takes_only_what_nobody_propagates(run: Run, karmada: Karmada) -> None:
    theirs(karmada)
    karmada.remove(f"{POLICIES}/clusterpropagationpolicies/serviceexport-policy")
    call(run, karmada)
    assert [one["name"] for one in karmada.objects[POLICY]["spec"]["resourceSelectors"]] == [NAMES["ServiceExport"]]


def test_a_policy_that_came_later_gets_the_binding(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    theirs(karmada)
    for kind in KINDS:
        bind(karmada, kind, "clusterset-dns-crds", MEMBERS)
    assert not call(run, karmada)["changed"]
    absent(run, karmada)
    assert POLICY not in karmada.objects
    assert set(map(binding, KINDS)) <= set(karmada.objects)


def test_a_binding_that_is_not_ours_is_not_deleted(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    for kind in KINDS:
        bind(karmada, kind, "other", MEMBERS)
    coredns(karmada, "member1", ZONE)
    absent(run, karmada)
    assert POLICY not in karmada.objects
    assert set(map(binding, KINDS)) <= set(karmada.objects)


def test_a_policy_of_another_fleet_is_refused_and_kept(run: Run, karmada: Karmada) -> None:
    call(run, karmada, fleet="red")
    said = call(run, karmada)
    assert "ClusterPropagationPolicy clusterset-dns-crds exists and is not ours: it belongs to fleet red of clusterset.dns" in said["msg"]
    gone = absent(run, karmada)
    assert (gone["changed"], gone["pending"]["member1"]) == (
        False, "ClusterPropagationPolicy clusterset-dns-crds belongs to fleet red of clusterset.dns, so it stays"
    )  # fmt: skip


def test_a_policy_of_the_version_before_becomes_ours(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    old = karmada.objects[POLICY]
    karmada.put(POLICY, {**old, "metadata": {"labels": {ownership.MANAGED_BY: ownership.OURS}}})
    assert call(run, karmada, clusters=["member1"])["changed"]
    assert (ownership.fleet_of(karmada.objects[POLICY]), placed(karmada)) == ("default", MEMBERS)
    karmada.put(POLICY, {**old, "metadata": {"labels": {ownership.MANAGED_BY: ownership.OURS}}})
    absent(run, karmada)
    assert POLICY not in karmada.objects


def test_a_definition_that_was_there_before_stays(run: Run, karmada: Karmada) -> None:
    karmada.member("member1", f"{CRDS}/{NAMES['ServiceImport']}", {})
    karmada.member("member2", f"{CRDS}/{NAMES['ServiceImport']}", {"metadata": {"labels": {"karmada.io/managed": "true"}}})
    call(run, karmada, conflict_resolution="Overwrite")
    # it is Karmada's from now on, and that of a run later cannot be told from it
    karmada.member("member1", f"{CRDS}/{NAMES['ServiceImport']}", {"metadata": {"labels": {"karmada.io/managed": "true"}}})
    assert not call(run, karmada, conflict_resolution="Overwrite")["changed"]
    assert absent(run, karmada)["pending"] == {"member1": "it had a definition before, which Karmada has taken over and would delete"}
    assert placed(karmada) == ["member1"]


def test_nothing_is_overwritten_where_nobody_could_look(run: Run, karmada: Karmada) -> None:
    karmada.down = {"member2"}
    said = call(run, karmada, conflict_resolution="Overwrite")
    assert (placed(karmada), said["clusters"][1]["action"]) == (["member1"], "unplaced")
    assert "cluster member2 is not reachable" in said["pending"]["member2"]


def definition(kind: str, release: str) -> dict[str, t.Any]:
    labels = {"multicluster.x-k8s.io/release-version": release}
    named = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": NAMES[kind], "labels": labels},
    }
    return {**named, "spec": {"names": {"kind": kind}, "release": release}}


def test_a_newer_definition_is_never_replaced(run: Run, karmada: Karmada) -> None:
    there = karmada.objects
    assert call(run, karmada, definitions=[definition("ServiceImport", "v0.5.2")])["changed"]
    assert there[f"{CRDS}/{NAMES['ServiceImport']}"]["spec"]["release"] == "v0.5.2"
    assert not call(run, karmada, definitions=[definition("ServiceImport", "v0.5.2")])["changed"]
    said = call(run, karmada, definitions=[definition("ServiceImport", "v0.4.0")])
    assert said["said"] == [
        f"karmada: CustomResourceDefinition {NAMES['ServiceImport']} is newer there than what was to be installed, and stays."
    ]
    assert there[f"{CRDS}/{NAMES['ServiceImport']}"]["spec"]["release"] == "v0.5.2"


def test_a_control_plane_without_definitions_is_said(run: Run, karmada: Karmada) -> None:
    karmada.remove(f"{CRDS}/{NAMES['ServiceExport']}")
    assert f"there is no CustomResourceDefinition {NAMES['ServiceExport']}. Set definitions." in call(run, karmada)["msg"]
    assert call(run, karmada, definitions=[definition("ServiceExport", "v0.5.2")])["changed"]
    assert POLICY in karmada.objects


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clusters": []}, "clusters is empty, and Karmada takes a placement without clusters for all of them."),
        ({"clusters": ["member9"]}, "member9 is not a member of this Karmada, which has member1, member2."),
        (
            {"definitions": [{"metadata": {"name": "x"}}]},
            "definitions takes the CustomResourceDefinitions serviceexports.multicluster.x-k8s.io and",
        ),
        ({"members": [{"kubeconfig": "/x"}]}, "Each of members needs a name"),
    ],
)
def test_bad_input_writes_nothing(run: Run, karmada: Karmada, options: dict[str, t.Any], words: str) -> None:
    before = copy.deepcopy(karmada.objects)
    said = call(run, karmada, **options)
    assert said["failed"]
    assert words in said["msg"]
    assert karmada.objects == before


def test_rights_are_asked_for_as_they_are_used(run: Run, karmada: Karmada) -> None:
    call(run, karmada)
    assert "create clusterpropagationpolicies" in karmada.asked
    assert not {right for right in karmada.asked if right.split()[0] in ("update", "delete") or right.endswith("/proxy")}
    karmada.asked.clear()
    absent(run, karmada)
    assert {"delete clusterpropagationpolicies", "delete clusterresourcebindings", "get customresourcedefinitions"} <= set(karmada.asked)
    assert "create clusterpropagationpolicies" not in karmada.asked
    karmada.denied = {"patch clusterpropagationpolicies"}
    assert "may not patch clusterpropagationpolicies.policy.karmada.io" in call(run, karmada)["msg"]


def test_a_member_is_waited_for_until_it_lists_the_kinds(run: Run, karmada: Karmada) -> None:
    karmada.join("member2", serves=False)
    looks: list[str] = []

    def enable(method: str, path: str, query: dict[str, str]) -> None:
        if path == CLUSTERS:
            looks.append(path)
            if len(looks) == 2:
                karmada.join("member2")

    karmada.faults.append(enable)
    assert call(run, karmada, wait=True)["pending"] == {}
    karmada.join("member2", ready=False, serves=False)
    assert call(run, karmada, wait=True)["pending"] == {"member2": "it is not Ready: cluster is not reachable"}
