# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Module service_exports on a stand-in for Karmada's control plane."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.modules import service_exports
from ansible_collections.clusterset.dns.tests.unit.api_standin import status
from ansible_collections.clusterset.dns.tests.unit.karmada_standin import CLUSTERS, MCS, POLICIES, WORK, Karmada, Run, runner

SPACE = "namespaces/default"
POLICY = f"{POLICIES}/{SPACE}/propagationpolicies/"
IMPORT = f"{MCS}/{SPACE}/serviceimports/serve"
EXPORT = f"{MCS}/{SPACE}/serviceexports/serve"
WORKS = "/apis/work.karmada.io/v1alpha1/namespaces/karmada-es-{0}/works/slice"
SERVE = {"namespace": "default", "name": "serve", "ports": [{"port": 80, "name": "http"}], "from_clusters": ["member1"]}
MEMBERS = ["member1", "member2"]
LEGACY = {ownership.MANAGED_BY: ownership.OURS, ownership.PART_OF: ownership.OURS}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


@pytest.fixture
def karmada() -> t.Iterator[Karmada]:
    with Karmada() as karmada:
        karmada.controller = lambda path: place(karmada, path)
        yield karmada


def place(karmada: Karmada, path: str) -> None:
    """What Karmada does with a policy that is written: a binding that is scheduled."""
    if "/propagationpolicies/" not in path or path not in karmada.objects:
        return
    policy = karmada.objects[path]
    selector, placement = policy["spec"]["resourceSelectors"][0], policy["spec"]["placement"]
    namespace, name = policy["metadata"]["namespace"], policy["metadata"]["name"]
    marks = {"propagationpolicy.karmada.io/namespace": namespace, "propagationpolicy.karmada.io/name": name}
    spec = {
        "resource": {"kind": selector["kind"], "namespace": namespace, "name": selector["name"]},
        "placement": placement,
        "clusters": [{"name": one} for one in placement["clusterAffinity"]["clusterNames"]],
    }
    placed = {"conditions": [{"type": "Scheduled", "status": "True"}], "schedulerObservedGeneration": 1}
    binding = f"{WORK}/namespaces/{namespace}/resourcebindings/{selector['name']}-{selector['kind'].lower()}"
    karmada.put(binding, {"metadata": {"generation": 1, "annotations": marks}, "spec": spec, "status": placed})


def call(run: Run, karmada: Karmada, *services: dict[str, t.Any], **options: t.Any) -> dict[str, t.Any]:
    options = {"members": MEMBERS, "wait_timeout": 0, **options}
    return run(service_exports.main, **karmada.auth, **options, services=[copy.deepcopy(one) for one in services])


def clusters(karmada: Karmada, kind: str, name: str = "serve") -> list[str]:
    return karmada.objects[f"{POLICY}{name}-service{kind}"]["spec"]["placement"]["clusterAffinity"]["clusterNames"]


def test_there_twice_and_away(run: Run, karmada: Karmada) -> None:
    first = call(run, karmada, SERVE)
    assert first["exports"] == [{"namespace": "default", "name": "serve", "action": "created", "placed": True, "reason": ""}]
    assert (clusters(karmada, "export"), clusters(karmada, "import")) == (["member1"], MEMBERS)
    assert ownership.fleet_of(karmada.objects[IMPORT]) == "default"
    writes = len(karmada.writes)
    second = call(run, karmada, SERVE)
    assert (second["changed"], second["exports"][0]["action"], second["exports"][0]["placed"]) == (False, "unchanged", True)
    assert [path for method, path in karmada.writes[writes:] if "selfsubject" not in path] == []
    gone = call(run, karmada, state="absent")
    assert (gone["changed"], gone["exports"][0]["action"]) == (True, "deleted")
    assert not {IMPORT, EXPORT, f"{POLICY}serve-serviceexport", f"{POLICY}serve-serviceimport"} & set(karmada.objects)
    assert not call(run, karmada, state="absent")["changed"]


def test_check_mode_tells_and_writes_nothing(run: Run, karmada: Karmada) -> None:
    said = call(run, karmada, SERVE, check=True, diff=True)
    assert (said["changed"], said["exports"][0]["action"], len(said["diff"])) == (True, "created", 4)
    assert IMPORT not in karmada.objects


def test_nothing_shrinks(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    said = call(run, karmada, SERVE, members=["member1"])
    assert not said["changed"]
    assert clusters(karmada, "import") == MEMBERS
    assert said["exports"][0]["reason"] == "kept in member2, as a run takes no cluster away: a cluster leaves by state absent (teardown)"
    assert call(run, karmada, {**SERVE, "to_clusters": ["member1"]})["changed"]
    assert clusters(karmada, "import") == ["member1"]


def test_a_cluster_leaves(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE, {**SERVE, "name": "far", "from_clusters": ["member2"]})
    said = call(run, karmada, state="absent", clusters=["member2"])
    assert clusters(karmada, "import") == ["member1"]
    assert clusters(karmada, "import", "far") == ["member1"]
    # what is placed nowhere any more is withdrawn, as no placement means all clusters to Karmada
    assert f"{POLICY}far-serviceexport" not in karmada.objects
    assert f"{MCS}/{SPACE}/serviceexports/far" not in karmada.objects
    assert {(row["name"], row["action"]) for row in said["exports"]} == {("far", "patched"), ("serve", "patched")}
    again = call(run, karmada, state="absent", clusters=["member2"])
    assert (again["changed"], again["said"]) == (False, ["karmada: nothing of fleet default is placed in member2."])


def test_no_list_is_pruned_to_nothing(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    writes = len(karmada.writes)
    said = call(run, karmada, prune=True)
    assert said["msg"].startswith("services is empty, so that pruning would withdraw every service of the fleet.")
    assert IMPORT in karmada.objects
    assert [path for _method, path in karmada.writes[writes:] if "selfsubject" not in path] == []


def test_a_service_that_was_renamed_is_not_left_without_a_word(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    said = call(run, karmada, {**SERVE, "name": "web"})
    assert said["said"] == [
        "karmada: default/serve is exported by an earlier run, not in services, and still answered in every cluster."
        " Set prune to withdraw what is not in services."
    ]
    assert [row["reason"] for row in said["exports"]] == ["it is not in services, and stays as it is", ""]
    pruned = call(run, karmada, {**SERVE, "name": "web"}, prune=True)
    assert (pruned["said"], [row["action"] for row in pruned["exports"]]) == ([], ["deleted", "unchanged"])
    assert IMPORT not in karmada.objects


@pytest.mark.parametrize(
    ("labels", "whose"),
    [
        ({"app.kubernetes.io/managed-by": "Helm"}, "it belongs to Helm"),
        (ownership.labels("red"), "it belongs to fleet red of clusterset.dns"),
    ],
)
@pytest.mark.parametrize("path", [IMPORT, EXPORT, f"{POLICY}serve-serviceimport"])
def test_somebody_elses_is_neither_written_nor_withdrawn(run: Run, karmada: Karmada, path: str, labels: dict[str, str], whose: str) -> None:
    spec = {"resourceSelectors": [], "placement": {}} if path.startswith(POLICY) else {"type": "Headless"}
    karmada.put(path, {"metadata": {"labels": labels}, "spec": spec})
    before = copy.deepcopy(karmada.objects)
    said = call(run, karmada, SERVE)
    assert said["failed"]
    assert f"default/{path.rpartition('/')[2]} exists and is not ours: {whose}" in said["msg"]
    assert karmada.objects == before
    call(run, karmada, state="absent")
    assert karmada.objects == before


DERIVED = f"/api/v1/{SPACE}/services/derived-serve"


@pytest.mark.parametrize("spec", [{"selector": {"app": "x"}}, {"type": "ExternalName", "externalName": "x.test"}])
def test_a_service_that_karmada_would_overwrite_is_refused(run: Run, karmada: Karmada, spec: dict[str, t.Any]) -> None:
    karmada.put(DERIVED, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "spec": spec})
    before = copy.deepcopy(karmada.objects)
    assert (
        "Service default/derived-serve belongs to Helm, and Karmada would overwrite it for ServiceImport default/serve, and delete it with the import."
        in call(run, karmada, SERVE, adopt=True)["msg"]
    )
    assert karmada.objects == before


def test_karmadas_own_derived_service_is_no_obstacle(run: Run, karmada: Karmada) -> None:
    karmada.put(DERIVED, {"spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1"}})
    assert not call(run, karmada, SERVE)["failed"]


def test_what_is_adopted_is_given_back(run: Run, karmada: Karmada) -> None:
    theirs = {"type": "Headless", "ports": [{"port": 9}]}
    karmada.put(IMPORT, {"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}, "spec": theirs})
    assert call(run, karmada, SERVE, adopt=True)["exports"][0]["action"] == "adopted"
    assert karmada.objects[IMPORT]["spec"]["type"] == "ClusterSetIP"
    assert call(run, karmada, state="absent")["exports"][0]["action"] == "given back"
    assert karmada.objects[IMPORT]["spec"] == theirs
    assert karmada.objects[IMPORT]["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "Helm"}
    assert EXPORT not in karmada.objects


def test_another_fleet_is_not_pruned(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE, fleet="red")
    call(run, karmada, {**SERVE, "name": "web"}, prune=True)
    said = call(run, karmada, state="absent")
    assert IMPORT in karmada.objects
    assert "ServiceImport default/serve belongs to fleet red of clusterset.dns, so it stays." in said["said"]


def legacy(karmada: Karmada) -> None:
    for path in (IMPORT, EXPORT, f"{POLICY}serve-serviceimport", f"{POLICY}serve-serviceexport"):
        item = karmada.objects[path]
        karmada.put(path, {**item, "metadata": {"namespace": "default", "labels": LEGACY}})


def test_objects_of_the_version_before_become_ours(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    legacy(karmada)
    said = call(run, karmada, SERVE, members=["member1"])
    assert said["exports"][0]["action"] == "patched"
    assert {ownership.fleet_of(karmada.objects[path]) for path in (IMPORT, EXPORT, f"{POLICY}serve-serviceimport")} == {"default"}
    assert clusters(karmada, "import") == MEMBERS


@pytest.mark.parametrize("leaving", [[], ["member2"]])
def test_objects_of_the_version_before_are_withdrawn(run: Run, karmada: Karmada, leaving: list[str]) -> None:
    call(run, karmada, SERVE)
    legacy(karmada)
    assert call(run, karmada, state="absent", clusters=leaving)["changed"]
    assert (IMPORT in karmada.objects) is bool(leaving)


def test_an_import_that_carries_the_old_label_and_was_changed_is_not_ours(run: Run, karmada: Karmada) -> None:
    karmada.put(
        IMPORT, {"metadata": {"labels": LEGACY}, "spec": {"type": "ClusterSetIP", "ports": [{"port": 1}], "sessionAffinity": "ClientIP"}}
    )
    said = call(run, karmada, SERVE)
    assert "belongs to an earlier version of clusterset.dns, but differs from what it would be now" in said["msg"]
    call(run, karmada, state="absent")
    assert IMPORT in karmada.objects


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"name": "s" * 56}, "the name has 56 characters"),
        ({"namespace": "karmada-es-member1"}, "Karmada propagates nothing in namespaces karmada-* and kube-*"),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}, "port 80/TCP is there twice"),
        ({"from_clusters": ["member9"]}, "from_clusters names member9, which Karmada does not have. It has member1, member2."),
    ],
)
def test_bad_input_writes_nothing(run: Run, karmada: Karmada, service: dict[str, t.Any], words: str) -> None:
    before = copy.deepcopy(karmada.objects)
    said = call(run, karmada, {**SERVE, **service})
    assert said["failed"]
    assert words in said["msg"]
    assert karmada.objects == before


def test_no_clusters_are_not_all_clusters(run: Run, karmada: Karmada) -> None:
    assert "Karmada takes a placement without clusters for all of them" in call(run, karmada, SERVE, members=[])["msg"]
    assert "member9 is not a member of this Karmada" in call(run, karmada, SERVE, members=["member9"])["msg"]


def test_rights_are_asked_for_as_they_are_used(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    asked = set(karmada.asked)
    assert not {right for right in asked if right.split()[0] in ("update", "delete")}
    assert {"create serviceexports", "patch serviceimports", "patch works", "list resourcebindings"} <= asked
    karmada.asked.clear()
    call(run, karmada, SERVE, prune=True)
    assert "delete serviceimports" in karmada.asked
    karmada.asked.clear()
    call(run, karmada, state="absent")
    assert {"delete serviceexports", "patch propagationpolicies"} <= set(karmada.asked)
    assert not {right for right in karmada.asked if right.startswith("create")}


def test_a_missing_right_is_said_before_anything_is_written(run: Run, karmada: Karmada) -> None:
    karmada.denied = {"create serviceimports", "delete serviceexports"}
    before = copy.deepcopy(karmada.objects)
    assert "the credentials in use may not create serviceimports.multicluster.x-k8s.io. Grant that" in call(run, karmada, SERVE)["msg"]
    assert "may not delete serviceexports" in call(run, karmada, state="absent")["msg"]
    assert karmada.objects == before


def slice_of(karmada: Karmada, cluster: str) -> str:
    path = WORKS.format(cluster)
    labels = {
        "endpointslice.karmada.io/managed-by": "ServiceExport",
        "endpointslice.karmada.io/namespace": "default",
        "endpointslice.karmada.io/name": "serve",
    }
    karmada.put(path, {"metadata": {"labels": labels}, "spec": {}})
    return path


def test_exporters_keep_their_slices(run: Run, karmada: Karmada) -> None:
    both = {**SERVE, "from_clusters": MEMBERS}
    call(run, karmada, both)
    one, two = slice_of(karmada, "member1"), slice_of(karmada, "member2")
    call(run, karmada, both)
    assert [karmada.objects[path]["spec"] for path in (one, two)] == [{}, {}]
    call(run, karmada, SERVE)
    assert [karmada.objects[path]["spec"] for path in (one, two)] == [{}, {"preserveResourcesOnDeletion": True}]
    call(run, karmada, state="absent")
    assert karmada.objects[one]["spec"] == {"preserveResourcesOnDeletion": True}


def test_a_work_that_vanished_is_not_made_anew(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    path = slice_of(karmada, "member1")
    karmada.faults.append(lambda method, where, query: status(404, "NotFound", "gone") if (method, where) == ("PATCH", path) else None)
    assert call(run, karmada, state="absent")["exports"][0]["action"] == "deleted"
    assert [method for method, where in karmada.writes if where.startswith(path)] == ["PATCH"]


def test_what_karmada_has_not_placed_is_an_error_in_its_words(run: Run, karmada: Karmada) -> None:
    karmada.controller = None
    said = call(run, karmada, SERVE)
    assert said["failed"]
    assert (
        "ServiceExport default/serve: no policy has selected it yet; ServiceImport default/serve: no policy has selected it yet"
        in said["msg"]
    )
    assert said["exports"][0]["placed"] is False


def test_a_cluster_that_is_down_is_not_waited_for(run: Run, karmada: Karmada) -> None:
    karmada.join("member2", ready=False)
    karmada.controller = None
    call(run, karmada, SERVE)
    for name in ("export", "import"):
        place(karmada, f"{POLICY}serve-service{name}")
    binding = karmada.objects[f"{WORK}/{SPACE}/resourcebindings/serve-serviceimport"]
    binding["spec"]["clusters"] = [{"name": "member1"}]
    said = call(run, karmada, SERVE)
    assert not said["failed"]
    assert said["said"] == ["karmada: Karmada places nothing new in member2: it is not Ready: cluster is not reachable."]


def test_what_can_be_placed_nowhere_is_not_called_placed(run: Run, karmada: Karmada) -> None:
    karmada.join("member1", ready=False)
    said = call(run, karmada, {**SERVE, "to_clusters": ["member2"]})
    assert (said["failed"], said["exports"][0]["placed"]) == (False, False)
    assert said["exports"][0]["reason"] == "none of its clusters is Ready and lists the kinds"


SHOP = {**SERVE, "namespace": "shop", "create_namespace": True}


def discovery(karmada: Karmada) -> None:
    """An API server that has Pods, ConfigMaps and Services, here and in each member."""
    pods = [
        {"name": name, "kind": kind, "namespaced": True, "verbs": ["list"]} for name, kind in (("pods", "Pod"), ("services", "Service"))
    ]
    for prefix in ("", *(f"{CLUSTERS}/{name}/proxy" for name in MEMBERS)):
        karmada.objects[f"{prefix}/apis"] = {"groups": []}
        karmada.objects[f"{prefix}/api/v1"] = {"resources": pods}
        karmada.collections |= {f"{prefix}/api/v1/namespaces/shop/{one['name']}" for one in pods}


def test_a_namespace_that_was_made_goes_with_its_last_service(run: Run, karmada: Karmada) -> None:
    discovery(karmada)
    call(run, karmada, SHOP)
    assert ownership.fleet_of(karmada.objects["/api/v1/namespaces/shop"]) == "default"
    # Karmada's own Service for the import goes with the import
    karmada.member("member2", "/api/v1/namespaces/shop/services/derived-serve", {})
    call(run, karmada, state="absent")
    assert "/api/v1/namespaces/shop" not in karmada.objects


def test_a_namespace_in_which_something_lives_stays(run: Run, karmada: Karmada) -> None:
    discovery(karmada)
    call(run, karmada, SHOP)
    karmada.member("member2", "/api/v1/namespaces/shop/pods/web", {})
    karmada.down = {"member1"}
    said = call(run, karmada, state="absent")
    assert "/api/v1/namespaces/shop" in karmada.objects
    assert said["said"][0].startswith("Namespace shop, which was made for a service, stays: ")
    assert "member2 has Pod shop/web in it" in said["said"][0]
    assert "cluster member1 is not reachable" in said["said"][0]


def test_a_namespace_of_others_is_never_touched(run: Run, karmada: Karmada) -> None:
    discovery(karmada)
    karmada.put("/api/v1/namespaces/shop", {"metadata": {"labels": {"team": "shop"}}})
    before = copy.deepcopy(karmada.objects["/api/v1/namespaces/shop"])
    call(run, karmada, SHOP)
    call(run, karmada, state="absent")
    assert karmada.objects["/api/v1/namespaces/shop"] == before


def test_what_is_no_karmada_is_said(run: Run, karmada: Karmada) -> None:
    for name in MEMBERS:
        karmada.remove(f"{CLUSTERS}/{name}")
    karmada.collections.clear()
    said = call(run, karmada, SERVE)
    assert (
        "is not Karmada's: it has no cluster.karmada.io. Set kubeconfig (and context) to those of Karmada's control plane." in said["msg"]
    )


def test_an_import_that_somebody_takes_over_meanwhile_is_refused_and_kept(run: Run, karmada: Karmada) -> None:
    call(run, karmada, SERVE)
    theirs = {**karmada.objects[IMPORT], "spec": {"type": "Headless", "ports": [{"port": 99, "protocol": "TCP"}]}}
    theirs["metadata"] = {**theirs["metadata"], "uid": "theirs", "labels": {"app.kubernetes.io/managed-by": "Helm"}}
    real = karmada.answer

    def answer(method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if method == "PATCH" and path == IMPORT and karmada.objects[IMPORT]["metadata"]["uid"] != "theirs":
            karmada.put(IMPORT, theirs)
        return real(method, path, query, body)

    karmada.answer = answer  # type: ignore[method-assign]
    said = call(run, karmada, {**SERVE, "ports": [{"port": 81, "name": "http"}]})
    assert "ServiceImport default/serve exists and is not ours: it belongs to Helm" in said["msg"]
    assert karmada.objects[IMPORT]["spec"] == theirs["spec"]
    assert karmada.objects[IMPORT]["metadata"]["labels"] == theirs["metadata"]["labels"]
