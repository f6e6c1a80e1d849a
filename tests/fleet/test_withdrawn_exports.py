# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What withdrawing an export leaves in the cluster that exported."""

from __future__ import annotations

import typing as t

from kubernetes import client, config
from lab_fleet import LAB, Fleet, Member, wait_for

EXPORTED = ("--tags", "mcs_crds,service_exports,serviceimport_ips")


def slices(member: Member) -> dict[str, tuple[str, list[str]]]:
    """The EndpointSlices of the demo's Service in a member: UID and addresses of each."""
    found = client.DiscoveryV1Api(member.core.api_client).list_namespaced_endpoint_slice(
        "default", label_selector="kubernetes.io/service-name=serve"
    )
    return {one.metadata.name: (one.metadata.uid, sorted(address for end in one.endpoints or [] for address in end.addresses)) for one in found.items}


def collected() -> list[dict[str, t.Any]]:
    """The Works in which Karmada keeps EndpointSlices of members."""
    works = client.CustomObjectsApi(config.new_client_from_config(str(LAB / "kubeconfig" / "karmada.yaml")))
    found = works.list_cluster_custom_object("work.karmada.io", "v1alpha1", "works", label_selector="endpointslice.karmada.io/managed-by")
    return t.cast("list[dict[str, t.Any]]", found["items"])


def test_an_exporter_keeps_its_own_endpoints(fleet: Fleet, site: None) -> None:
    fleet.play("playbooks/site.yml", *EXPORTED)
    exporter = fleet.member(fleet.names[0])
    wait_for("Karmada collects the exporter's EndpointSlices", collected)
    before = slices(exporter)
    try:
        fleet.play("playbooks/teardown.yml", "--tags", "service_exports")
        wait_for("Karmada forgets the exporter's EndpointSlices", lambda: not collected())
        assert [addresses for _uid, addresses in before.values() if addresses]
        assert slices(exporter) == before
    finally:
        fleet.play("playbooks/site.yml", *EXPORTED)
