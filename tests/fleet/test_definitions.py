# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a run may take away from a fleet that works: nothing, and nothing of others."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from kubernetes import client, config
from lab_fleet import LAB, Fleet, Member, wait_for

pytestmark = [pytest.mark.long, pytest.mark.ci]

KINDS = ("serviceexports", "serviceimports")
MINE = {
    "apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceImport", "metadata": {"name": "mine"},
    "spec": {"type": "ClusterSetIP", "ports": [{"port": 1, "protocol": "TCP"}]},
}  # fmt: skip
IMPORTS = ("multicluster.x-k8s.io", "v1alpha1", "default", "serviceimports")
POLICIES = ("policy.karmada.io", "v1alpha1", "clusterpropagationpolicies")
BINDINGS = ("work.karmada.io", "v1alpha2", "clusterresourcebindings")


@pytest.fixture(scope="module")
def served(fleet: Fleet) -> None:
    """The fleet as site.yml leaves it, whatever tests before have made of it: these are about a zone that is served."""
    fleet.play("lab/demo.yml")
    fleet.play("playbooks/site.yml")


def karmada() -> client.CustomObjectsApi:
    return client.CustomObjectsApi(config.new_client_from_config(str(LAB / "kubeconfig" / "karmada.yaml")))


def seen(member: Member) -> dict[str, str]:
    """The definitions and the imports of a member, with their UIDs: what is deleted and made anew is not what it was."""
    api = member.core.api_client
    crds = client.ApiextensionsV1Api(api).list_custom_resource_definition().items
    imports = client.CustomObjectsApi(api).list_namespaced_custom_object(*IMPORTS)["items"]
    return {
        **{one.metadata.name: one.metadata.uid for one in crds if one.spec.group == IMPORTS[0]},
        **{one["metadata"]["name"]: one["metadata"]["uid"] for one in imports},
    }


def everywhere(fleet: Fleet) -> dict[str, dict[str, str]]:
    return {name: seen(fleet.member(name)) for name in fleet.names}


def bound() -> dict[str, str]:
    """The policy that each definition is bound to."""
    items = karmada().list_cluster_custom_object(*BINDINGS)["items"]
    mark = "clusterpropagationpolicy.karmada.io/name"
    return {one["spec"]["resource"]["name"].partition(".")[0]: one["metadata"].get("annotations", {}).get(mark, "") for one in items}


def test_a_smaller_group_takes_nothing_away(fleet: Fleet, served: None, tmp_path: Path) -> None:
    canary = tmp_path / "canary.yml"
    canary.write_text(f"canary: {{hosts: {{{fleet.names[0]}: }}}}\n")
    before = everywhere(fleet)
    said = fleet.play("playbooks/site.yml", "-i", str(canary), "-e", "clusterset_members=canary", "--tags", "mcs_crds,service_exports")
    assert f"kept in {fleet.names[1]}, as a run takes no cluster away" in said
    assert everywhere(fleet) == before


def test_a_definition_stays_while_coredns_serves_the_zone(fleet: Fleet, served: None) -> None:
    before = everywhere(fleet)
    fleet.play("playbooks/teardown.yml", "--tags", "mcs_crds")
    assert everywhere(fleet) == before
    assert bound() == dict.fromkeys(KINDS, "clusterset-dns-crds")


@pytest.fixture
def documented(fleet: Fleet, served: None) -> t.Iterator[Member]:
    """Karmada's documented policies instead of ours, and an import that was made by hand. Nothing that is placed moves meanwhile."""
    custom, member = karmada(), fleet.member(fleet.names[0])
    local = client.CustomObjectsApi(member.core.api_client)
    custom.delete_cluster_custom_object(*POLICIES, "clusterset-dns-crds")
    for kind in KINDS:
        selector = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "name": f"{kind}.{IMPORTS[0]}"}
        spec = {"resourceSelectors": [selector], "placement": {"clusterAffinity": {"clusterNames": fleet.names}}}
        name = {"name": f"{kind.removesuffix('s')}-policy"}
        body = {"apiVersion": "/".join(POLICIES[:2]), "kind": "ClusterPropagationPolicy", "metadata": name, "spec": spec}
        custom.create_cluster_custom_object(*POLICIES, body)
    local.create_namespaced_custom_object(*IMPORTS, MINE)
    wait_for("Karmada binds the documented policies", lambda: set(bound().values()) == {"serviceexport-policy", "serviceimport-policy"})
    yield member
    local.delete_namespaced_custom_object(*IMPORTS, "mine")
    for kind in KINDS:
        custom.delete_cluster_custom_object(*POLICIES, f"{kind.removesuffix('s')}-policy")
    fleet.play("playbooks/site.yml", "--tags", "mcs_crds")
    wait_for("Karmada binds ours again", lambda: set(bound().values()) == {"clusterset-dns-crds"})


def test_policies_of_others_are_as_before(fleet: Fleet, documented: Member) -> None:
    before, policies = everywhere(fleet), bound()
    assert "mine" in before[documented.name]
    fleet.play("playbooks/site.yml", "--tags", "mcs_crds")
    assert (everywhere(fleet), bound()) == (before, policies)
    fleet.play("playbooks/teardown.yml", "--tags", "mcs_crds")
    assert (everywhere(fleet), bound()) == (before, policies)
