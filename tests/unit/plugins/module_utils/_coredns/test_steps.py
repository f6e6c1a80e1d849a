# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Steps on a member that lives: dry runs, ways back, and pods that have to start anew. What each write's failure does is tested with the module."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import change, exchange, rights, rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.change import ChangeError
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.plan import Plan
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_corefile import EditCorefile
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_objects import Grant
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import StepError, World
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.transaction import assess
from ansible_collections.clusterset.dns.plugins.module_utils._kube import waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from ansible_collections.clusterset.dns.tests.unit.api_standin import status
from ansible_collections.clusterset.dns.tests.unit.member_standin import APPS, CORE, KUBEADM_COREFILE, RBAC, MemberStandIn

STOCK = "registry.k8s.io/coredns/coredns:v1.12.1"
PLUGIN = Want(mode="plugin", image="registry.example.com/coredns-plugin:v1.12.1")
BUILTIN = Want(mode="builtin", image="registry.example.com/coredns:v1.15.0")
COREDNS = f"{APPS}/deployments/coredns"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> t.Callable[[MemberStandIn], MemberStandIn]:
    """Have who waits wait by the stand-in's clock."""

    def by(api: MemberStandIn) -> MemberStandIn:
        monkeypatch.setattr(waiting, "time", api.clock)
        monkeypatch.setattr(exchange, "time", api.clock)
        return api

    return by


def looked(api: MemberStandIn, want: Want, *, check_mode: bool = False) -> tuple[Cluster, Facts, Plan]:
    cluster = Cluster("member2", api.auth)
    return cluster, *assess(cluster, want, check_mode=check_mode)


def changed(api: MemberStandIn, want: Want) -> World:
    cluster, facts, todo = looked(api, want)
    assert todo.problems == ()
    world = World(cluster, want, facts)
    with change.lease_of(world) as lease:
        change.run(todo.steps, world, lease)
    return world


def text(api: MemberStandIn) -> str:
    return str(api.objects[f"{CORE}/configmaps/coredns"]["data"]["Corefile"])


def test_check_mode_follows_a_corefile_through_two_edits(clock: t.Any) -> None:
    """Another way with another image takes the zone out first, which a dry run does not."""
    with MemberStandIn(STOCK) as api:
        clock(api)
        changed(api, PLUGIN)
        assert looked(api, PLUGIN)[2].settled
        cluster, facts, todo = looked(api, BUILTIN)
        assert len([step for step in todo.steps if isinstance(step, EditCorefile)]) == 2
        world = World(cluster, BUILTIN, facts)
        api.arm()
        for step in todo.steps:
            step.preview(world)
        assert api.difference() == ""
        corefiles = [one for one in world.diff if "key Corefile" in one["before_header"]]
        assert [one["before"] for one in corefiles] == [text(api), KUBEADM_COREFILE]
        assert corefiles[0]["after"] == KUBEADM_COREFILE
        assert "multicluster clusterset.local" in corefiles[1]["after"]
        changed(api, BUILTIN)
        assert text(api) == corefiles[1]["after"]


def test_a_dry_run_before_it_leaves_nothing_to_be_undone(clock: t.Any) -> None:
    """With --diff each step's dry run comes first; what then finds another's Corefile has written nothing."""
    with MemberStandIn() as api:
        clock(api)
        cluster, facts, todo = looked(api, Want())
        (edit,) = [step for step in todo.steps if isinstance(step, EditCorefile)]
        world = World(cluster, Want(), facts)
        edit.preview(world)
        cluster.patch(f"{CORE}/configmaps/coredns", {"data": {"Corefile": KUBEADM_COREFILE + "# theirs\n"}})
        with pytest.raises(StepError, match="key Corefile was changed by someone else meanwhile; nothing was written"):
            edit.do(world)
        assert edit.undo(world) == []


def test_an_object_that_cannot_be_put_back_keeps_no_other_from_it(clock: t.Any) -> None:
    with MemberStandIn() as api:
        clock(api)
        cluster, facts, todo = looked(api, Want())
        (grant,) = [step for step in todo.steps if isinstance(step, Grant)]
        world = World(cluster, Want(), facts)
        grant.do(world)
        binding = f"{RBAC}/clusterrolebindings/{rights.binding_name('kube-system', 'coredns')}"
        assert binding in api.objects
        api.faults.append(lambda method, path, query: status(403, "Forbidden", "no") if (method, path) == ("DELETE", binding) else None)
        (sentence,) = grant.undo(world)
        assert sentence.startswith("ClusterRoleBinding clusterset-dns-coredns:kube-system:coredns is still there: DELETE ")
        assert binding in api.objects
        assert f"{RBAC}/clusterroles/{rights.ROLE}" not in api.objects


def test_without_reload_each_change_of_the_corefile_has_pods_start_anew(clock: t.Any) -> None:
    without = KUBEADM_COREFILE.replace("    reload\n", "")
    with MemberStandIn(corefile=without) as api:
        clock(api)
        other = Want(zone="other.example")
        api.arm()
        for want in (Want(), other):
            changed(api, want)
            assert {run.text for run in api.running()} == {text(api)}
            assert looked(api, want)[2].settled
        for want in (Want(state="absent"), other._replace(state="absent")):
            changed(api, want)
            assert {run.text for run in api.running()} == {text(api)}
            assert looked(api, want)[2].settled
        assert text(api) == without
        assert rollout.mark_of(api.objects[COREDNS]) is None
        assert api.difference() == ""


def test_pods_that_were_taken_out_of_service_are_taken_back(clock: t.Any) -> None:
    """Pods whose reload hangs are exchanged; where that is refused half way, those that went before are the ReplicaSet's again."""
    with MemberStandIn() as api:
        clock(api)
        before = {pod["metadata"]["name"] for _path, pod in api.pods_of(COREDNS)}
        api.hang()
        taken: list[str] = []

        def fault(method: str, path: str, query: dict[str, str]) -> t.Any:
            if method != "PATCH" or "/pods/" not in path:
                return None
            pod = api.objects[path]["metadata"]["labels"]
            if rollout.DRAINED in pod and rollout.HASH not in pod and "k8s-app" in pod and len(api.pods_of(COREDNS)) >= 2:
                taken.append(path)
                if len(taken) == 2:
                    return status(403, "Forbidden", "no more")
            return None

        api.faults.append(fault)
        want = Want(wait_timeout=8)
        with pytest.raises(ChangeError) as caught:
            changed(api, want)
        assert "no more" in str(caught.value)
        assert taken[0] != taken[1]
        stray = [
            pod["metadata"]["name"]
            for path, pod in api.objects.items()
            if "/pods/" in path and pod["metadata"]["name"] in before and not pod["metadata"].get("ownerReferences")
        ]
        assert stray == []
        assert text(api) == KUBEADM_COREFILE


def test_a_second_deployment_whose_exchange_was_killed_is_ended(clock: t.Any) -> None:
    with MemberStandIn(STOCK) as api:
        clock(api)
        api.add_deployment("coredns-b", STOCK)
        changed(api, BUILTIN)
        cluster = Cluster("member2", api.auth)
        path = f"{APPS}/deployments/coredns-b"
        settings = {key: api.objects[path]["spec"][key] for key in ("strategy", "replicas")}
        held = {"metadata": {"annotations": {rollout.HELD: '{"minReadySeconds":null,"strategy":' + json.dumps(settings["strategy"]) + "}"}}}
        begun = {"spec": {"minReadySeconds": 599, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}}
        cluster.patch(path, {**held, **begun})
        assert [step.name for step in looked(api, BUILTIN)[2].steps] == ["End what a run that was killed has begun", "Ask every pod"]
        changed(api, BUILTIN)
        assert looked(api, BUILTIN)[2].settled
        assert api.objects[path]["spec"]["strategy"] == settings["strategy"]
        assert "minReadySeconds" not in api.objects[path]["spec"]


def test_a_node_that_takes_no_pod_of_coredns_needs_no_proof(clock: t.Any) -> None:
    with MemberStandIn(architectures=("amd64", "arm64")) as api:
        clock(api)
        assert sorted(looked(api, Want())[1].nodes.values()) == ["amd64", "arm64"]
        path = "/api/v1/nodes/node2"
        api.put(path, {**api.objects[path], "spec": {"taints": [{"key": "arch", "value": "arm64", "effect": "NoSchedule"}]}})
        assert looked(api, Want())[1].nodes == {"node1": "amd64"}
        api.node_down("node1")
        found = looked(api, Want())[1]
        assert (found.nodes, found.nodes_down) == ({}, {"node1"})


def test_a_second_coredns_with_the_same_service_account_keeps_its_rights(clock: t.Any) -> None:
    with MemberStandIn() as api:
        clock(api)
        api.put(f"{CORE}/configmaps/coredns-b", {"data": {"Corefile": KUBEADM_COREFILE}})
        api.add_deployment("coredns-b", configmap="coredns-b", labels={"k8s-app": "second"})
        second = Want(deployment="coredns-b")
        for want in (Want(), second):
            changed(api, want)
        binding = f"{RBAC}/clusterrolebindings/{rights.binding_name('kube-system', 'coredns')}"
        changed(api, second._replace(state="absent"))
        assert binding in api.objects
        assert looked(api, Want())[2].settled
        changed(api, Want(state="absent"))
        assert binding not in api.objects


@pytest.mark.parametrize(("version", "create"), [("v1.34.4", False), ("v1.35.0", True)])
def test_rights_that_are_missing_are_a_problem(clock: t.Any, version: str, create: bool) -> None:
    with MemberStandIn(version=version) as api:
        clock(api)
        api.forbidden = [
            {"verb": "patch", "resource": "pods"},
            {"verb": "create", "resource": "pods", "subresource": "portforward"},
            {"verb": "delete", "resource": "leases"},
            # of which nothing here makes use
            {"verb": "update", "resource": "configmaps"},
        ]
        (problem,) = looked(api, Want())[2].problems
        assert problem.startswith("member2: the credentials in use may not patch pods in kube-system")
        assert ("create pods/portforward" in problem) is create
        assert "delete leases.coordination.k8s.io in kube-system" in problem
        assert problem.endswith("Grant that or set another kubeconfig or context.")
        assert "configmaps" not in problem
