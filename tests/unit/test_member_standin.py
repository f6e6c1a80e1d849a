# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The stand-in for a member cluster does as a cluster does, as far as tests of what changes CoreDNS rely on it."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Question
from ansible_collections.clusterset.dns.plugins.module_utils._dns.query import ask_pods
from ansible_collections.clusterset.dns.plugins.module_utils._kube import waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.tests.unit.api_standin import selected
from ansible_collections.clusterset.dns.tests.unit.member_standin import (
    APPS,
    CORE,
    CRDS,
    IMAGE,
    KUBEADM_COREFILE,
    MCS,
    RBAC,
    WAYS,
    Killed,
    MemberStandIn,
)

DEPLOYMENT = f"{APPS}/deployments/coredns"
CONFIG_MAP = f"{CORE}/configmaps/coredns"
NEW = "registry.k8s.io/coredns/coredns:v1.14.7"
ZONE = "clusterset.local:53 {\n    errors\n    kubernetes clusterset.local {\n        multicluster clusterset.local\n    }\n}\n"
# What holds old pods beside new ones.
HELD = {"minReadySeconds": 599, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}
OWN = "kubernetes.default.svc.cluster.local"


@pytest.fixture
def api() -> t.Iterator[MemberStandIn]:
    with MemberStandIn() as api:
        yield api


@pytest.fixture
def cluster(api: MemberStandIn) -> Cluster:
    return Cluster("member", api.auth)


def images(api: MemberStandIn, path: str = DEPLOYMENT) -> list[str]:
    """The images of a workload's pods."""
    api.settle()
    return sorted(pod["spec"]["containers"][0]["image"] for _path, pod in api.pods_of(path))


def names(api: MemberStandIn, path: str = DEPLOYMENT) -> list[str]:
    return [pod["metadata"]["name"] for _path, pod in api.pods_of(path)]


def roll(cluster: Cluster, image: str, **spec: t.Any) -> None:
    template = {"spec": {"containers": [{"name": "coredns", "image": image}]}}
    cluster.patch(DEPLOYMENT, {"spec": {"template": template, **spec}}, kind="strategic")


def write(cluster: Cluster, corefile: str) -> None:
    cluster.patch(CONFIG_MAP, {"data": {"Corefile": corefile}})


def let_read_imports(cluster: Cluster, *accounts: str) -> None:
    rules = [{"apiGroups": ["multicluster.x-k8s.io"], "resources": ["serviceimports"], "verbs": ["list", "watch"]}]
    cluster.create(f"{RBAC}/clusterroles", {"metadata": {"name": "ours"}, "rules": rules})
    subjects = [{"kind": "ServiceAccount", "namespace": "kube-system", "name": name} for name in accounts or ("coredns",)]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "ours"}
    cluster.create(f"{RBAC}/clusterrolebindings", {"metadata": {"name": "ours"}, "roleRef": role, "subjects": subjects})


def ask(
    cluster: Cluster, pod: str, name: str, kind: str = "A", *, port: int = 53, namespace: str = "kube-system"
) -> tuple[str, list[str], str]:
    """Response code, answers and error."""
    rows = ask_pods(cluster, namespace, [{"pod": pod, "node": "", "error": ""}], [Question(name, kind)], port=port, timeout=0.5)
    return rows[0]["rcode"], rows[0]["answers"], rows[0]["error"]


def reasons(api: MemberStandIn, image: str) -> set[str]:
    """Why pods with an image wait."""
    statuses = [pod["status"] for _path, pod in api.pods_of(DEPLOYMENT) if pod["spec"]["containers"][0]["image"] == image]
    return {one["containerStatuses"][0]["state"].get("waiting", {}).get("reason", "") for one in statuses}


# --- what is there --------------------------------------------------------------------------------------------------------------------


def test_it_starts_as_a_cluster_of_kubeadm(api: MemberStandIn, cluster: Cluster) -> None:
    deployment = cluster.get(DEPLOYMENT) or {}
    status = deployment["status"]
    assert {status[key] for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")} == {2}
    assert (status["observedGeneration"], deployment["metadata"]["generation"]) == (1, 1)
    assert deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    pods = cluster.list(f"{CORE}/pods", label_selector="k8s-app in (kube-dns),pod-template-hash,!clusterset.dns/drained")
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * 2
    assert {pod["spec"]["nodeName"] for pod in pods} == {"node1", "node2"}
    assert all(pod["metadata"]["ownerReferences"][0]["controller"] for pod in pods)
    assert "kind" not in pods[0]
    assert cluster.list(f"{CORE}/pods", field_selector=f"metadata.name={pods[0]['metadata']['name']}") == pods[:1]
    assert cluster.list(f"{CORE}/pods", field_selector="spec.nodeName=node3") == []
    assert cluster.version() == (1, 34)
    assert "multicluster.x-k8s.io" in [one["name"] for one in (cluster.get("/apis") or {})["groups"]]
    assert cluster.get("/apis/multicluster.x-k8s.io/v1alpha1")["resources"][0]["kind"] in ("ServiceImport", "ServiceExport")
    assert cluster.list("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases") == []
    for pod in pods:
        assert ask(cluster, pod["metadata"]["name"], OWN) == ("NOERROR", ["10.96.0.1"], "")


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ("a=b", True),
        ("a==b,c=d", True),
        ("a!=b", False),
        ("x!=b", True),
        ("a in (x, b),c", True),
        ("a notin (x,b)", False),
        ("x notin (b)", True),
        ("a,!x", True),
        ("!a", False),
        ("x", False),
        ("a=", False),
        ("", True),
    ],
)
def test_label_selectors(selector: str, fits: bool) -> None:
    assert selected({"a": "b", "c": "d"}, selector) is fits


# --- Deployments ----------------------------------------------------------------------------------------------------------------------


def test_a_new_template_replaces_the_pods_and_the_old_one_brings_the_old_set_back(api: MemberStandIn, cluster: Cluster) -> None:
    roll(cluster, NEW)
    assert images(api) == [NEW, NEW]
    roll(cluster, IMAGE)
    sets = {one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]: one for one in cluster.list(f"{APPS}/replicasets")}
    assert {revision: one["spec"]["replicas"] for revision, one in sets.items()} == {"2": 0, "3": 2}
    assert (cluster.get(DEPLOYMENT) or {})["metadata"]["generation"] == 3


def test_old_pods_stay_while_new_ones_are_not_available(api: MemberStandIn, cluster: Cluster) -> None:
    roll(cluster, NEW, **HELD)
    assert images(api) == [IMAGE, IMAGE, NEW, NEW]
    status = (cluster.get(DEPLOYMENT) or {})["status"]
    assert (status["replicas"], status["updatedReplicas"], status["readyReplicas"], status["availableReplicas"]) == (4, 2, 4, 2)
    api.pass_time(500)
    assert images(api) == [IMAGE, IMAGE, NEW, NEW]
    cluster.patch(DEPLOYMENT, {"spec": {"minReadySeconds": None}})
    assert images(api) == [NEW, NEW]


def test_time_makes_new_pods_available(api: MemberStandIn, cluster: Cluster) -> None:
    roll(cluster, NEW, **HELD)
    api.pass_time(600)
    assert images(api) == [NEW, NEW]


def test_who_sleeps_by_its_clock_loses_no_time(api: MemberStandIn, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "time", api.clock)
    roll(cluster, NEW, **HELD)
    began = time.monotonic()
    _seen, good = waiting.Waiter(700, 10).until(lambda: images(api), lambda found: found == [NEW, NEW])
    assert good
    assert time.monotonic() - began < 30
    _seen, good = waiting.Waiter(60, 1).until(lambda: False)
    assert not good


def test_a_pod_that_lost_its_labels_is_replaced_and_one_that_has_them_again_is_taken_back(api: MemberStandIn, cluster: Cluster) -> None:
    before = names(api)
    path = f"{CORE}/pods/{before[0]}"
    mark = (cluster.get(path) or {})["metadata"]["labels"]["pod-template-hash"]
    cluster.patch(path, {"metadata": {"labels": {"pod-template-hash": None}}})
    assert "ownerReferences" not in (cluster.get(path) or {})["metadata"]
    assert len(set(names(api)) - set(before)) == 1
    cluster.patch(path, {"metadata": {"labels": {"pod-template-hash": mark}}})
    assert set(names(api)) == set(before)


def test_what_a_set_that_is_scaled_down_has_in_place_of_detached_pods_goes_too(api: MemberStandIn, cluster: Cluster) -> None:
    roll(cluster, NEW, **HELD)
    old = [pod["metadata"]["name"] for _path, pod in api.pods_of(DEPLOYMENT) if pod["spec"]["containers"][0]["image"] == IMAGE]
    for name in old:
        cluster.patch(f"{CORE}/pods/{name}", {"metadata": {"labels": {"k8s-app": None, "pod-template-hash": None, "drained": "yes"}}})
    assert images(api) == [IMAGE, IMAGE, NEW, NEW]
    cluster.patch(DEPLOYMENT, {"spec": {"minReadySeconds": None, "strategy": None}})
    assert images(api) == [NEW, NEW]
    # those that were let go of run until somebody deletes them
    assert [ask(cluster, name, OWN)[0] for name in old] == ["NOERROR"] * 2
    for name in old:
        cluster.delete(f"{CORE}/pods/{name}")
    assert len(cluster.list(f"{CORE}/pods")) == 2


def test_two_workloads_of_the_same_labels_have_their_own_pods(api: MemberStandIn, cluster: Cluster) -> None:
    api.add_deployment("second", NEW)
    api.add_daemonset("third")
    assert images(api) == [IMAGE, IMAGE]
    assert images(api, f"{APPS}/deployments/second") == [NEW, NEW]
    assert images(api, f"{APPS}/daemonsets/third") == [IMAGE, IMAGE]
    assert len(cluster.list(f"{CORE}/pods", label_selector="k8s-app=kube-dns")) == 6
    cluster.delete(f"{APPS}/deployments/second")
    assert len(cluster.list(f"{CORE}/pods", label_selector="k8s-app=kube-dns")) == 4


def test_pods_that_do_not_get_ready(api: MemberStandIn, cluster: Cluster) -> None:
    api.bad_images[NEW] = "ImagePullBackOff"
    roll(cluster, NEW, **HELD)
    assert reasons(api, NEW) == {"ImagePullBackOff"}
    assert (cluster.get(DEPLOYMENT) or {})["status"]["readyReplicas"] == 2
    api.bad_images.clear()
    assert images(api) == [IMAGE, IMAGE, NEW, NEW]
    assert reasons(api, NEW) == {""}
    roll(cluster, "old:v1.11.3", **HELD)
    write(cluster, ZONE + KUBEADM_COREFILE)
    for _path, pod in api.pods_of(DEPLOYMENT):
        api.restart(pod["metadata"]["name"])
    assert reasons(api, "old:v1.11.3") == {"CrashLoopBackOff"}
    name = next(pod["metadata"]["name"] for _path, pod in api.pods_of(DEPLOYMENT) if "old" in pod["spec"]["containers"][0]["image"])
    assert "unknown property 'multicluster'" in cluster.text(f"{CORE}/pods/{name}/log?previous=true&tailLines=5")


def test_pods_that_no_node_can_have(api: MemberStandIn, cluster: Cluster) -> None:
    api.unschedulable = "0/2 nodes are available: 2 Insufficient memory."
    roll(cluster, NEW, **HELD)
    conditions = [pod["status"]["conditions"][0] for _path, pod in api.pods_of(DEPLOYMENT) if pod["status"]["phase"] == "Pending"]
    assert [(one["reason"], one["message"]) for one in conditions] == [("Unschedulable", api.unschedulable)] * 2
    api.unschedulable = ""
    assert (cluster.get(DEPLOYMENT) or {})["status"]["readyReplicas"] == 4


def test_pods_that_take_their_time(api: MemberStandIn, cluster: Cluster) -> None:
    api.start_seconds = 30
    api.never_ready.add("slow:v1.14.6")
    roll(cluster, NEW, **HELD)
    assert (cluster.get(DEPLOYMENT) or {})["status"]["readyReplicas"] == 2
    api.pass_time(31)
    assert (cluster.get(DEPLOYMENT) or {})["status"]["readyReplicas"] == 4
    roll(cluster, "slow:v1.14.6")
    api.pass_time(1000)
    assert (cluster.get(DEPLOYMENT) or {})["status"]["readyReplicas"] == 2


def test_an_image_for_another_architecture_does_not_start() -> None:
    with MemberStandIn(architectures=("amd64", "arm64")) as api:
        cluster = Cluster("member", api.auth)
        api.image_architectures[NEW] = {"amd64"}
        roll(cluster, NEW, **HELD)
        assert reasons(api, NEW) == {"", "CrashLoopBackOff"}


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"minReadySeconds": 600}, "must be greater than minReadySeconds"),
        ({"selector": {"matchLabels": {"a": "b"}}}, "field is immutable"),
        ({"template": {"metadata": {"labels": {"k8s-app": None}}}}, "does not match template"),
        ({"strategy": {"type": "Recreate"}}, "may not be specified when strategy `type` is 'Recreate'"),
    ],
)
def test_what_an_api_server_would_not_store_is_refused(api: MemberStandIn, cluster: Cluster, patch: dict[str, t.Any], words: str) -> None:
    for dry_run in (True, False):
        with pytest.raises(ApiError, match="HTTP 422") as refused:
            cluster.patch(DEPLOYMENT, {"spec": patch}, dry_run=dry_run)
        assert words in str(refused.value)


def test_strategic_merge_patches(api: MemberStandIn, cluster: Cluster) -> None:
    api.add_deployment("second")
    path = f"{APPS}/deployments/second"
    container = {
        "name": "coredns",
        "image": NEW,
        "volumeMounts": [{"mountPath": "/more", "name": "more"}],
        "args": ["-conf", "/etc/coredns/Corefile"],
    }
    spec = {"containers": [container, {"name": "side", "image": "side"}], "volumes": [{"name": "more", "emptyDir": {}}]}
    cluster.patch(path, {"spec": {"template": {"spec": spec}}}, kind="strategic")
    template = (cluster.get(path) or {})["spec"]["template"]["spec"]
    assert [(one["name"], one["image"]) for one in template["containers"]] == [("coredns", NEW), ("side", "side")]
    assert [one["mountPath"] for one in template["containers"][0]["volumeMounts"]] == ["/etc/coredns", "/more"]
    assert template["containers"][0]["args"] == container["args"]
    back = {"containers": [{"$patch": "delete", "name": "side"}, {"name": "coredns", "image": IMAGE}], "volumes": [{"$patch": "replace"}]}
    cluster.patch(path, {"spec": {"template": {"spec": back}, "strategy": {"$patch": "replace", "type": "Recreate"}}}, kind="strategic")
    spec = (cluster.get(path) or {})["spec"]
    assert [one["name"] for one in spec["template"]["spec"]["containers"]] == ["coredns"]
    assert spec["template"]["spec"]["volumes"] == []
    assert spec["strategy"] == {"type": "Recreate"}
    with pytest.raises(ApiError, match="HTTP 415"):
        cluster.patch(path, {}, kind="apply")


# --- DaemonSets and nodes -------------------------------------------------------------------------------------------------------------


def test_a_daemonset_has_a_pod_on_each_node_and_rolls(api: MemberStandIn, cluster: Cluster) -> None:
    api.add_daemonset("daemon", labels={"k8s-app": "daemon"})
    path = f"{APPS}/daemonsets/daemon"
    api.add_node("node3", "arm64")
    assert {pod["spec"]["nodeName"] for _path, pod in api.pods_of(path)} <= {"node1", "node2", "node3"}
    status = (cluster.get(path) or {})["status"]
    assert {status[key] for key in ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable")} == {3}
    cluster.patch(path, {"spec": {"template": {"spec": {"containers": [{"name": "coredns", "image": NEW}]}}}}, kind="strategic")
    assert images(api, path) == [NEW] * 3
    assert (cluster.get(path) or {})["status"]["updatedNumberScheduled"] == 3
    api.node_down("node3")
    assert (cluster.get(path) or {})["status"]["numberReady"] == 2
    lost = next(pod["metadata"]["name"] for _path, pod in api.pods_of(path) if pod["spec"]["nodeName"] == "node3")
    with pytest.raises(ApiError, match="no route to host"):
        cluster.text(f"{CORE}/pods/{lost}/log")
    assert "Handshake status 500" in ask(cluster, lost, OWN)[2]
    api.node_down("node3", down=False)
    assert (cluster.get(path) or {})["status"]["numberReady"] == 3


@pytest.mark.parametrize("kubespray", [False, True])
def test_nodelocal_dnscache_asks_the_clusters_dns(api: MemberStandIn, cluster: Cluster, kubespray: bool) -> None:
    api.add_nodelocal("nodelocaldns", kubespray=kubespray)
    name = names(api, f"{APPS}/daemonsets/nodelocaldns")[0]
    assert ask(cluster, name, OWN) == ("NOERROR", ["10.96.0.1"], "")
    assert "coredns_reload_failed_total 0" in cluster.metrics("kube-system", name, 9253)
    text = (cluster.get(f"{CORE}/configmaps/nodelocaldns") or {})["data"]["Corefile"]
    cluster.patch(
        f"{CORE}/configmaps/nodelocaldns", {"data": {"Corefile": text + "clusterset.local:53 {\n    forward . 10.96.0.11\n    reload\n}\n"}}
    )
    let_read_imports(cluster)
    write(cluster, ZONE + KUBEADM_COREFILE)
    assert ask(cluster, name, "dns-version.clusterset.local", "TXT")[:2] == ("NOERROR", ['"1.1.0"'])


# --- Corefiles ------------------------------------------------------------------------------------------------------------------------


def test_pods_reload_the_corefile_and_say_so(api: MemberStandIn, cluster: Cluster) -> None:
    let_read_imports(cluster)
    name = names(api)[0]
    log = f"{CORE}/pods/{name}/log?tailLines=1000"
    assert f"SHA512 = {reload_hash(parse(KUBEADM_COREFILE))}" in cluster.text(log)
    assert "coredns_reload_version_info" not in cluster.metrics("kube-system", name, 9153)
    new = ZONE + KUBEADM_COREFILE
    api.reload_seconds = 20
    write(cluster, new)
    api.pass_time(10)
    assert {one.text for one in api.running()} == {KUBEADM_COREFILE}
    api.pass_time(11)
    assert {one.text for one in api.running()} == {new}
    assert f'value="{reload_hash(parse(new))}"}} 1' in cluster.metrics("kube-system", name, 9153)
    assert f"SHA512 = {reload_hash(parse(new))}" in cluster.text(log)


def test_a_reload_that_hangs_and_a_new_pod_that_reads_it_at_its_start(api: MemberStandIn, cluster: Cluster) -> None:
    api.hang()
    new = KUBEADM_COREFILE.replace("ttl 30", "ttl 20")
    write(cluster, new)
    api.pass_time(1000)
    assert {one.text for one in api.running()} == {KUBEADM_COREFILE}
    cluster.delete(f"{CORE}/pods/{names(api)[0]}")
    assert {one.text for one in api.running()} == {KUBEADM_COREFILE, new}


@pytest.mark.parametrize("why", ["marker", "plugin", "option"])
def test_a_corefile_that_is_refused(why: str) -> None:
    with MemberStandIn("registry.k8s.io/coredns/coredns:v1.11.3" if why == "option" else IMAGE) as api:
        cluster = Cluster("member", api.auth)
        api.refused_at_reload = "ttl 29" if why == "marker" else ""
        bad = {"marker": KUBEADM_COREFILE.replace("ttl 30", "ttl 29"), "plugin": "x.org {\n    multicluster\n}\n", "option": ZONE}[why]
        write(cluster, bad + KUBEADM_COREFILE if why != "marker" else bad)
        name = names(api)[0]
        assert {one.text for one in api.running()} == {KUBEADM_COREFILE}
        assert "coredns_reload_failed_total 1" in cluster.metrics("kube-system", name, 9153)
        assert "[ERROR] plugin/reload: Corefile changed but reload failed" in cluster.text(f"{CORE}/pods/{name}/log?tailLines=50")
        write(cluster, KUBEADM_COREFILE.replace("ttl 30", "ttl 20"))
        assert [one.failed for one in api.running()] == [1, 1]
        assert "ttl 20" in api.running()[0].text


def test_images_know_what_their_names_say_or_what_is_set(api: MemberStandIn) -> None:
    known = api.abilities
    assert [known.knows_option(f"x/coredns:{tag}") for tag in ("v1.12.1", "v1.12.2", "1.14.6-plugin")] == [False, True, True]
    assert [("multicluster" in known.plugins_of(f"x/coredns:{tag}")) for tag in ("1.12.2", "1.11.3-plugin")] == [False, True]
    known.option["x/coredns:v1.12.1"] = True
    known.plugins["x/coredns:v1.12.1"] = {"errors"}
    assert known.knows_option("x/coredns:v1.12.1")
    assert known.plugins_of("x/coredns:v1.12.1") == {"errors"}


def test_without_the_plugin_reload_and_with_a_subpath_it_is_read_at_the_start_only() -> None:
    still = KUBEADM_COREFILE.replace("    reload\n", "")
    with MemberStandIn(corefile=still) as api:
        write(Cluster("member", api.auth), KUBEADM_COREFILE)
        assert {one.text for one in api.running()} == {still}
    with MemberStandIn() as api:
        api.add_deployment("second", sub_path="Corefile")
        write(Cluster("member", api.auth), still)
        assert {one.text for one in api.running()} == {still}
        assert {one.text for one in api.running("second")} == {KUBEADM_COREFILE}
        api.restart(names(api, f"{APPS}/deployments/second")[0])
        assert {one.text for one in api.running("second")} == {KUBEADM_COREFILE, still}


def test_a_pod_of_its_own_lists_plugins_and_goes_with_its_configmap(api: MemberStandIn, cluster: Cluster) -> None:
    made = cluster.create(f"{CORE}/configmaps", {"metadata": {"generateName": "proof-"}, "data": {"Corefile": KUBEADM_COREFILE}})
    name, uid = made["metadata"]["name"], made["metadata"]["uid"]
    template = (cluster.get(DEPLOYMENT) or {})["spec"]["template"]["spec"]
    runs = template["containers"][0]
    template["volumes"][0]["configMap"]["name"] = name
    lists = {"name": "plugins", "image": runs["image"], "args": ["-plugins"]}
    metadata = {"name": name, "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid}]}
    spec = {**template, "restartPolicy": "Never", "activeDeadlineSeconds": 60, "initContainers": [lists]}
    cluster.create(f"{CORE}/pods", {"metadata": metadata, "spec": spec})
    assert "kubernetes" in cluster.text(f"{CORE}/pods/{name}/log?container=plugins").splitlines()
    assert ask(cluster, name, OWN)[0] == "NOERROR"
    api.pass_time(61)
    assert (cluster.get(f"{CORE}/pods/{name}") or {})["status"]["phase"] == "Failed"
    cluster.delete(f"{CORE}/configmaps/{name}")
    assert cluster.get(f"{CORE}/pods/{name}", missing_ok=True) is None


def test_logs_are_refused_as_an_api_server_refuses_them(api: MemberStandIn, cluster: Cluster) -> None:
    api.add_deployment("second")
    sidecar = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side"}]}}}}
    cluster.patch(f"{APPS}/deployments/second", sidecar, kind="strategic")
    for pod, words in (
        (names(api, f"{APPS}/deployments/second")[0], "a container name must be specified"),
        ("nobody", 'pods "nobody" not found'),
        (f"{names(api)[0]}/log?previous=true", "previous terminated container"),
    ):
        with pytest.raises(ApiError, match=words):
            cluster.text(f"{CORE}/pods/{pod}" if "?" in pod else f"{CORE}/pods/{pod}/log")


# --- DNS ------------------------------------------------------------------------------------------------------------------------------


def test_the_zone_is_served_from_the_imports(api: MemberStandIn, cluster: Cluster) -> None:
    let_read_imports(cluster)
    api.add_import("serve", ["10.96.7.7", "fd00::7"])
    name = names(api)[0]
    assert ask(cluster, name, "serve.default.svc.clusterset.local")[0] == "NXDOMAIN"
    write(cluster, ZONE + KUBEADM_COREFILE)
    assert ask(cluster, name, "serve.default.svc.clusterset.local") == ("NOERROR", ["10.96.7.7"], "")
    assert ask(cluster, name, "serve.default.svc.clusterset.local", "AAAA")[1] == ["fd00::7"]
    assert ask(cluster, name, "_http._tcp.serve.default.svc.clusterset.local", "SRV")[1] == ["0 100 80 serve.default.svc.clusterset.local."]
    assert ask(cluster, name, "dns-version.clusterset.local", "TXT")[:2] == ("NOERROR", ['"1.1.0"'])
    rows = ask_pods(cluster, "kube-system", [{"pod": name, "node": "", "error": ""}], [Question("no.default.svc.clusterset.local", "A")])
    assert (rows[0]["rcode"], rows[0]["authority"]) == ("NXDOMAIN", "clusterset.local.")


@pytest.mark.parametrize("without", ["rights", "definition"])
def test_without_rights_or_definition_the_zone_says_servfail(api: MemberStandIn, cluster: Cluster, without: str) -> None:
    let_read_imports(cluster, "coredns" if without == "definition" else "another")
    write(cluster, ZONE + KUBEADM_COREFILE)
    if without == "definition":
        cluster.delete(f"{CRDS}/serviceimports.multicluster.x-k8s.io")
        with pytest.raises(ApiError, match="HTTP 404"):
            cluster.list(f"{MCS}/serviceimports")
    name = names(api)[0]
    assert ask(cluster, name, "a.default.svc.clusterset.local")[0] == "SERVFAIL"
    assert ask(cluster, name, OWN)[0] == "NOERROR"
    # in the block that the plugin ready watches, it is the pod that does not get ready
    inline = KUBEADM_COREFILE.replace("cluster.local in-addr", "cluster.local clusterset.local in-addr").replace(
        "ttl 30", "ttl 30\n       multicluster clusterset.local"
    )
    write(cluster, inline)
    assert "readyReplicas" not in (cluster.get(DEPLOYMENT) or {})["status"]


def test_who_cannot_be_asked(api: MemberStandIn, cluster: Cluster) -> None:
    name = names(api)[0]
    assert "connection refused" in ask(cluster, name, OWN, port=54)[2]
    assert "Handshake status 404" in ask(cluster, "nobody", OWN)[2]
    assert cluster.metrics("kube-system", name, 9999) == ""
    api.dns_fault = lambda pod, asked: "" if asked == OWN else "SERVFAIL"
    assert ask(cluster, name, OWN)[2] == "No answer within 0.5 s."
    assert ask(cluster, name, "a.b")[0] == "SERVFAIL"


def test_port_of_the_container_and_of_the_service(api: MemberStandIn, cluster: Cluster) -> None:
    write(cluster, KUBEADM_COREFILE.replace(".:53", ".:8053"))
    name = names(api)[0]
    assert ask(cluster, name, OWN, port=8053)[0] == "NOERROR"
    assert "connection refused" in ask(cluster, name, OWN)[2]


# --- rights ---------------------------------------------------------------------------------------------------------------------------


def test_what_is_forbidden_is_refused_and_reviews_say_so(api: MemberStandIn, cluster: Cluster) -> None:
    api.forbidden.append({"verb": "patch", "group": "apps", "resource": "deployments"})
    rights = [{"verb": verb, "group": "apps", "resource": "deployments", "namespace": "kube-system"} for verb in ("get", "patch")]
    assert [right["verb"] for right in cluster.can_i(rights)] == ["patch"]
    with pytest.raises(ApiError, match="HTTP 403 Forbidden"):
        cluster.patch(DEPLOYMENT, {})
    imports = [{"verb": "list", "group": "multicluster.x-k8s.io", "resource": "serviceimports"}]
    assert cluster.denied("kube-system", "coredns", imports) == imports
    let_read_imports(cluster)
    assert cluster.denied("kube-system", "coredns", imports) == []


# --- platforms ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("platform", ["k3s", "aks"])
def test_platforms_with_a_configmap_of_their_own(api: MemberStandIn, cluster: Cluster, platform: str) -> None:
    getattr(api, platform)()
    body = {"metadata": {"name": "coredns-custom"}, "data": {"x.server": "x.test:53 {\n    forward . 10.96.0.10\n}\n"}}
    cluster.create(f"{CORE}/configmaps", body)
    # it asks itself
    assert ask(cluster, names(api)[0], "y.x.test")[0] == "SERVFAIL"
    assert {one.files["/etc/coredns/custom/x.server"] for one in api.running()} == {body["data"]["x.server"]}


@pytest.mark.parametrize(
    ("platform", "workload", "path", "patch"),
    [
        (
            "openshift",
            "/apis/apps/v1/namespaces/openshift-dns/daemonsets/dns-default",
            "/apis/operator.openshift.io/v1/dnses/default",
            {"spec": {"servers": [{"name": "x", "zones": ["x.test"], "forwardPlugin": {"upstreams": ["192.0.2.1"]}}]}},
        ),
        (
            "rke2",
            f"{APPS}/deployments/rke2-coredns-rke2-coredns",
            "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs/rke2-coredns",
            {
                "spec": {
                    "valuesContent": "servers:\n- zones: [{zone: x.test}]\n  port: 53\n  plugins: [{name: forward, parameters: . 192.0.2.1}, {name: reload}]\n"
                }
            },
        ),
        ("gke", f"{APPS}/deployments/kube-dns", f"{CORE}/configmaps/kube-dns", {"data": {"stubDomains": '{"x.test": ["192.0.2.1"]}'}}),
    ],
)
def test_platforms_whose_operator_makes_the_corefile(
    api: MemberStandIn, cluster: Cluster, platform: str, workload: str, path: str, patch: dict[str, t.Any]
) -> None:
    getattr(api, platform)()
    namespace, name = workload.split("/")[5], names(api, workload)[0]
    port = 5353 if platform == "openshift" else 53
    assert ask(cluster, name, "y.x.test", port=port, namespace=namespace)[0] == "NXDOMAIN"
    if cluster.get(path, missing_ok=True):
        cluster.patch(path, patch)
    else:
        collection, _slash, own = path.rpartition("/")
        cluster.create(collection, {"metadata": {"name": own}, **patch})
    # nobody answers at that address
    assert ask(cluster, name, "y.x.test", port=port, namespace=namespace)[0] == "SERVFAIL"


# --- faults ---------------------------------------------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[str, bool]] = {
    "refused": ("HTTP 403 Forbidden", False),
    "missing": ("HTTP 404 NotFound", False),
    "conflict": ("HTTP 409 Conflict", False),
    "server-error": ("HTTP 500 InternalError", False),
    "timeout-before": ("does not answer", False),
    "timeout-after": ("does not answer", True),
    "lost-before": ("does not answer", False),
    "lost-after": ("does not answer", True),
}


@pytest.mark.parametrize("how", WAYS)
def test_the_write_that_is_to_fail_fails_and_no_other(api: MemberStandIn, cluster: Cluster, how: str) -> None:
    changed = {"data": {"x": "1"}}
    api.fail_at(2, how, times=4)
    cluster.patch(DEPLOYMENT, {"metadata": {"annotations": {"a": "b"}}})
    if how.startswith("killed"):
        with pytest.raises(Killed):
            cluster.patch(CONFIG_MAP, changed)
        for again in (
            lambda: cluster.get(CONFIG_MAP),
            lambda: cluster.delete(CONFIG_MAP),
            lambda: cluster.port_forward("kube-system", "x", 53),
        ):
            with pytest.raises(Killed):
                again()
        stored = how == "killed-after"
        assert api.written == [("PATCH", DEPLOYMENT)] + [("PATCH", CONFIG_MAP)] * stored
    else:
        words, stored = ERRORS[how]
        with pytest.raises(ApiError, match=words):
            cluster.patch(CONFIG_MAP, changed)
        assert cluster.get(CONFIG_MAP)
    assert ("x" in api.objects[CONFIG_MAP]["data"]) is stored
    api.calm()
    cluster.patch(CONFIG_MAP, {"data": {"y": "1"}})
    assert "y" in api.objects[CONFIG_MAP]["data"]
    assert cluster.timeout == 10


def test_a_fault_follows_the_write_that_it_hit(api: MemberStandIn, cluster: Cluster) -> None:
    api.fail_at(2, "refused", times=2)
    cluster.patch(CONFIG_MAP, {})
    for _time in range(2):
        with pytest.raises(ApiError, match="HTTP 403"):
            cluster.patch(CONFIG_MAP, {})
        cluster.patch(DEPLOYMENT, {})
    cluster.patch(CONFIG_MAP, {})
    assert api.written == [("PATCH", CONFIG_MAP), *[("PATCH", CONFIG_MAP), ("PATCH", DEPLOYMENT)] * 2, ("PATCH", CONFIG_MAP)]


def test_a_post_that_conflicts_says_that_the_object_exists(api: MemberStandIn, cluster: Cluster) -> None:
    api.fail_at(1, "conflict")
    with pytest.raises(ApiError, match="HTTP 409 AlreadyExists"):
        cluster.create(f"{CORE}/configmaps", {"metadata": {"name": "a"}})
    assert f"{CORE}/configmaps/a" not in api.objects


def test_an_api_server_that_stays_down_answers_nothing_more(api: MemberStandIn, cluster: Cluster) -> None:
    api.fail_at(1, "server-error", stays_down=True)
    with pytest.raises(ApiError, match="HTTP 500"):
        cluster.patch(CONFIG_MAP, {"data": {"x": "1"}})
    for again in (lambda: cluster.get(CONFIG_MAP), lambda: cluster.create(f"{CORE}/configmaps", {"metadata": {"name": "a"}})):
        with pytest.raises(ApiError, match="does not answer"):
            again()
    assert "Connection to remote host was lost" in ask(cluster, names(api)[0], OWN)[2]
    api.calm()
    assert cluster.get(CONFIG_MAP)


def test_dry_runs_and_reviews_are_no_writes(api: MemberStandIn, cluster: Cluster) -> None:
    api.fail_at(1, "refused")
    cluster.patch(CONFIG_MAP, {"data": {"x": "1"}}, dry_run=True)
    cluster.delete(CONFIG_MAP, dry_run=True)
    cluster.can_i([{"verb": "get", "resource": "pods"}])
    assert api.written == []
    assert api.difference() == ""


def test_two_clusters_fail_apart() -> None:
    with MemberStandIn() as one, MemberStandIn() as other:
        one.fail_at(1, "killed-before")
        with pytest.raises(Killed):
            Cluster("one", one.auth).delete(CONFIG_MAP)
        Cluster("other", other.auth).delete(CONFIG_MAP)
        assert CONFIG_MAP in one.objects
        assert CONFIG_MAP not in other.objects


# --- what came of it ------------------------------------------------------------------------------------------------------------------


def test_the_difference_is_what_has_to_come_back(api: MemberStandIn, cluster: Cluster) -> None:
    assert api.difference() == ""
    cluster.create("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {"metadata": {"name": "change"}, "spec": {}})
    roll(cluster, NEW)
    write(cluster, KUBEADM_COREFILE.replace("ttl 30", "ttl 29"))
    path = f"{CORE}/pods/{names(api)[0]}"
    cluster.patch(path, {"metadata": {"labels": {"k8s-app": None, "clusterset.dns/drained": "coredns"}}})
    lines = api.difference().splitlines()
    for line in (
        "Lease kube-system/change: new",
        "ConfigMap kube-system/coredns",
        "-  - '       ttl 30'",
        "+  - '       ttl 29'",
        f"+        image: {NEW}",
        "pods of Deployment kube-system/coredns",
        f"Pod kube-system/{path.rpartition('/')[2]}: new",
    ):
        assert line in lines
    cluster.delete("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/change")
    cluster.delete(path)
    write(cluster, KUBEADM_COREFILE)
    roll(cluster, IMAGE)
    assert api.difference() == ""
    cluster.delete(f"{RBAC}/clusterroles/system:coredns")
    assert api.difference().splitlines()[0] == "ClusterRole system:coredns: gone"
    api.arm()
    assert api.difference() == ""
