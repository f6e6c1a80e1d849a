# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Two CoreDNS of one member that run as the same service account: neither takes the other's rights away, whatever comes of it."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import change, exchange, rights
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_objects import Grant, Remove
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import World
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.transaction import assess
from ansible_collections.clusterset.dns.plugins.module_utils._kube import apply, client, waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import Lease
from ansible_collections.clusterset.dns.tests.unit.member_standin import CORE, KUBEADM_COREFILE, RBAC, MemberStandIn

ROLE, BINDING = f"{RBAC}/clusterroles/{rights.ROLE}", f"{RBAC}/clusterrolebindings/{rights.binding_name('kube-system', 'coredns')}"
FIRST = Want(settle_seconds=0, drain_seconds=0, drain_timeout=6, wait_timeout=30)
SECOND = FIRST._replace(deployment="second")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[MemberStandIn]:
    with MemberStandIn() as api:
        api.put(f"{CORE}/configmaps/second", {"data": {"Corefile": KUBEADM_COREFILE}})
        api.add_deployment("second", configmap="second", labels={"app": "second"})
        for module in (waiting, exchange):
            monkeypatch.setattr(module, "time", api.clock)
        monkeypatch.setattr(client, "time", types.SimpleNamespace(monotonic=client.time.monotonic, sleep=api.clock.sleep))
        yield api


@pytest.fixture
def cluster(api: MemberStandIn) -> Cluster:
    return Cluster("member", api.auth)


def run(cluster: Cluster, want: Want) -> list[str]:
    """The whole change. :returns: its notes."""
    facts, plan = assess(cluster, want)
    assert not plan.problems
    world = World(cluster, want, facts)
    with change.lease_of(world) as lease:
        change.run(plan.steps, world, lease)
    assert assess(cluster, want)[1].settled
    return [*plan.notes, *world.notes]


def there(cluster: Cluster) -> list[bool]:
    """Whether there are the role and the binding."""
    return [cluster.get(path, missing_ok=True) is not None for path in (ROLE, BINDING)]


def begun(cluster: Cluster, want: Want) -> tuple[World, Grant]:
    """A run that has done its first step."""
    facts, plan = assess(cluster, want)
    grant = plan.steps[0]
    assert isinstance(grant, Grant)
    world = World(cluster, want, facts)
    grant.do(world)
    return world, grant


def lease_of(cluster: Cluster, want: Want) -> Lease:
    return change.lease_of(World(cluster, want, assess(cluster, want)[0]))


def test_the_last_one_takes_the_rights_with_it(cluster: Cluster) -> None:
    run(cluster, FIRST)
    run(cluster, SECOND)
    notes = run(cluster, FIRST._replace(state="absent"))
    assert "member: Deployment kube-system/second reads ServiceImports as the same service account, so the rights stay." in notes
    assert there(cluster) == [True, True]
    run(cluster, SECOND._replace(state="absent"))
    assert there(cluster) == [False, False]


def test_a_refused_run_takes_back_what_it_made(cluster: Cluster) -> None:
    world, grant = begun(cluster, FIRST)
    assert there(cluster) == [True, True]
    assert grant.undo(world) == []
    assert there(cluster) == [False, False]


def test_a_refused_run_leaves_what_another_has_begun_to_rely_on(cluster: Cluster) -> None:
    world, grant = begun(cluster, FIRST)
    with lease_of(cluster, SECOND):
        said = grant.undo(world)
    assert f"ClusterRole {rights.ROLE} stays, because Deployment kube-system/second needs it by now." in said
    assert len(said) == 2
    assert there(cluster) == [True, True]


def test_a_refused_run_leaves_the_role_to_another_service_account(cluster: Cluster) -> None:
    world, grant = begun(cluster, FIRST)
    apply.Applier(cluster).present(rights.binding("kube-system", "other"))
    assert grant.undo(world) == [
        f"ClusterRole {rights.ROLE} stays, because ClusterRoleBinding {rights.ROLE}:kube-system:other needs it by now."
    ]
    assert there(cluster) == [True, False]


def test_a_way_back_leaves_what_another_has_begun_to_rely_on(cluster: Cluster) -> None:
    run(cluster, FIRST)
    want = FIRST._replace(state="absent")
    facts, plan = assess(cluster, want)
    remove, world = plan.steps[-1], World(cluster, want, facts)
    assert isinstance(remove, Remove)
    with lease_of(cluster, SECOND):
        remove.do(world)
    assert f"member: ClusterRole {rights.ROLE} stays, because Deployment kube-system/second needs it." in world.notes
    assert there(cluster) == [True, True]


def test_of_two_that_make_an_object_at_once_neither_fails(api: MemberStandIn, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    other, create = Cluster("member", api.auth), cluster.create

    def late(collection: str, item: dict[str, t.Any], **options: t.Any) -> t.Any:
        apply.Applier(other).present(rights.role())
        return create(collection, item, **options)

    monkeypatch.setattr(cluster, "create", late)
    applier = apply.Applier(cluster)
    assert applier.present(rights.role()).action == "unchanged"
    applier.put_back(applier.rows[0])
    assert cluster.get(ROLE)


def test_an_object_that_cannot_be_made_is_no_race(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*unused: t.Any, **options: t.Any) -> t.Any:
        raise ApiError("member", "member: no", status=409, reason="Conflict")

    monkeypatch.setattr(cluster, "create", refused)
    with pytest.raises(ApiError, match="member: no"):
        apply.Applier(cluster).present(rights.role())
