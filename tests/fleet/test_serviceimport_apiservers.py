# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What the lab's clusters do not have, on real pairs of kube-apiserver and etcd: dual-stack, other CRDs, an etcd that forgets."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import typing as t
import urllib.request
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config
from lab_fleet import CHECKOUT, wait_for

sys.path[:0] = [str(CHECKOUT / "benchmarks"), str(CHECKOUT / "tests" / "unit")]
# The collection is found as the unit tests find it.
importlib.import_module("conftest")
from ansible_collections.clusterset.dns.plugins.module_utils._imports.fleet import Fleet, Member, Row, Settings
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from apiservers import ApiServer

pytestmark = pytest.mark.long

MCS = ("multicluster.x-k8s.io", "v1alpha1")
NAME = "serviceimports.multicluster.x-k8s.io"
# ListFromCacheSnapshot would answer from memory what etcd has forgotten.
FLAGS = ("--service-cluster-ip-range=10.96.0.0/14,fd00:10:96::/112", "--feature-gates=ListFromCacheSnapshot=false")


class Bed:
    """One API server, asked by the Kubernetes project's own client."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.server = ApiServer(folder / name, *FLAGS)

    def start(self) -> None:
        self.server.wait()
        api = config.new_client_from_config(str(self.server.kubeconfig))
        self.core, self.custom, self.crds = client.CoreV1Api(api), client.CustomObjectsApi(api), client.ApiextensionsV1Api(api)
        wait_for("the namespace default", lambda: [one for one in self.core.list_namespace().items if one.metadata.name == "default"])

    @property
    def member(self) -> Member:
        return Member(self.name, {"kubeconfig": str(self.server.kubeconfig)})

    def use(self, crd: dict[str, t.Any]) -> None:
        """Install this ServiceImport CRD, over another one if need be."""
        body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": NAME}, "spec": crd["spec"]}
        if metadata := {key: crd["metadata"][key] for key in ("labels", "annotations") if key in crd["metadata"]}:
            body["metadata"] |= metadata
        there = [one.metadata for one in self.crds.list_custom_resource_definition().items if one.metadata.name == NAME]
        if there:
            body["metadata"]["resourceVersion"] = there[0].resource_version
            self.crds.replace_custom_resource_definition(NAME, body)
        else:
            self.crds.create_custom_resource_definition(body)
        wait_for("the CRD is served", lambda: self.served(crd))

    def served(self, crd: dict[str, t.Any]) -> bool:
        status = self.crds.read_custom_resource_definition(NAME).status
        wanted = {one["name"] for one in crd["spec"]["versions"] if one["served"]}
        established = any(one.type == "Established" and one.status == "True" for one in status.conditions or ())
        group = client.CustomObjectsApi(self.core.api_client)
        return established and all(
            any(one.kind == "ServiceImport" for one in group.get_api_resources(MCS[0], version).resources) for version in wanted
        )

    def service(self, name: str, *families: str) -> list[str]:
        """A derived Service. :returns: its ClusterIPs in the order of its families."""
        policy = "RequireDualStack" if len(families) > 1 else "SingleStack"
        spec = {"ports": [{"port": 80}], "ipFamilies": list(families), "ipFamilyPolicy": policy}
        body = {"metadata": {"name": f"derived-{name}"}, "spec": spec}
        answer = self.core.create_namespaced_service("default", body, _preload_content=False)
        return t.cast("list[str]", json.loads(answer.data)["spec"]["clusterIPs"])

    def add(self, name: str, **metadata: t.Any) -> None:
        body = {"apiVersion": "/".join(MCS), "kind": "ServiceImport", "metadata": {"name": name, **metadata}}
        body["spec"] = {"type": "ClusterSetIP", "ports": [{"port": 80, "protocol": "TCP"}]}
        self.custom.create_namespaced_custom_object(*MCS, "default", "serviceimports", body)

    def ips(self, name: str) -> list[str]:
        return self.custom.get_namespaced_custom_object(*MCS, "default", "serviceimports", name)["spec"].get("ips", [])

    def patch(self, name: str, body: dict[str, t.Any]) -> None:
        self.custom.patch_namespaced_custom_object(*MCS, "default", "serviceimports", name, body, field_manager="clusterset.dns")

    def forget(self) -> None:
        """Have etcd drop all of its history."""
        revision = self._etcd("range", {"key": "AA=="})["header"]["revision"]
        self._etcd("compaction", {"revision": revision, "physical": True})

    def _etcd(self, what: str, body: dict[str, t.Any]) -> t.Any:
        request = urllib.request.Request(f"{self.server.etcd}/v3/kv/{what}", data=json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def beds(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[tuple[Bed, Bed]]:
    folder = tmp_path_factory.mktemp("apiservers")
    pair = Bed("one", folder), Bed("two", folder)
    try:
        for bed in pair:
            bed.server.start()
        for bed in pair:
            bed.start()
        yield pair
    finally:
        for bed in pair:
            bed.server.stop()


@pytest.fixture(scope="module")
def old_crd() -> dict[str, t.Any]:
    """Karmada's own, from mcs-api 0.1."""
    return t.cast("dict[str, t.Any]", json.loads((CHECKOUT / "benchmarks" / "recorded.json").read_text())["crd"])


@pytest.fixture(scope="module")
def new_crd() -> dict[str, t.Any]:
    """mcs-api 0.5's, which stores v1beta1."""
    command = ["go", "mod", "download", "-json", "sigs.k8s.io/mcs-api@v0.5.2"]
    folder = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["Dir"]
    return t.cast("dict[str, t.Any]", yaml.safe_load((Path(folder) / "config" / "crd" / "multicluster.x-k8s.io_serviceimports.yaml").read_text()))


def sync(*beds: Bed, **settings: t.Any) -> tuple[dict[str, Row], dict[str, str]]:
    """A run of the module's on these. :returns: rows of the first by name, and what was said of members that failed."""
    fleet = Fleet([bed.member for bed in beds], Settings(verify_after=0, **settings))
    rows = fleet.sync()
    return {row.key[1]: row for row in rows if row.member == beds[0].name}, {name: str(error) for name, error in fleet.failed.items()}


def test_a_member_without_the_crd_does_not_stop_the_other(beds: tuple[Bed, Bed], old_crd: dict[str, t.Any]) -> None:
    """F24"""
    one, two = beds
    two.use(old_crd)
    wanted = two.service("serve", "IPv4")
    two.add("serve")
    _rows, failed = sync(one, two)
    assert failed == {"one": "one has no ServiceImport API: the CRDs of the MCS API are not there. Install them, or leave the member out."}
    assert two.ips("serve") == wanted


def test_two_clusters_with_the_same_service_addresses(beds: tuple[Bed, Bed], old_crd: dict[str, t.Any]) -> None:
    """F28: each member's imports get what that member's own Services have, whatever the address means elsewhere."""
    one, two = beds
    one.use(old_crd)
    addresses = {}
    for bed, name in ((one, "a"), (two, "b")):
        spec = {"ports": [{"port": 80}], "clusterIP": "10.96.77.7"}
        bed.core.create_namespaced_service("default", {"metadata": {"name": f"derived-{name}"}, "spec": spec})
    addresses["one"], addresses["two"] = one.service("b", "IPv4"), two.service("a", "IPv4")
    for bed in beds:
        for name in ("a", "b"):
            bed.add(name)
    assert sync(*beds)[1] == {}
    assert (one.ips("a"), two.ips("b")) == (["10.96.77.7"], ["10.96.77.7"])
    assert (one.ips("b"), two.ips("a")) == (addresses["one"], addresses["two"])


def test_dual_stack_with_karmada_s_crd_and_with_a_newer_one(
    beds: tuple[Bed, Bed], old_crd: dict[str, t.Any], new_crd: dict[str, t.Any]
) -> None:
    """F15, F19, F24: one address where the CRD takes one, two in the order of the Service's families where it takes two."""
    bed = beds[0]
    bed.use(old_crd)
    both, six = bed.service("both", "IPv6", "IPv4"), bed.service("six", "IPv6")
    assert (":" in both[0], ":" in both[1], ":" in six[0]) == (True, False, True)
    for name in ("both", "six"):
        bed.add(name)
    rows, failed = sync(bed)
    assert failed == {}
    assert (bed.ips("both"), bed.ips("six")) == (both[:1], six)
    assert "1 of 2 addresses, as many as the ServiceImport CRD takes" in rows["both"].reason
    bed.use(new_crd)
    rows, failed = sync(bed)
    assert failed == {}
    assert (bed.ips("both"), bed.ips("six")) == (both, six)
    bed.patch("both", {"spec": {"ips": [both[1], both[0].upper()]}})
    rows, failed = sync(bed)
    assert not any(row.changed for row in rows.values())
    stored = bed.custom.get_namespaced_custom_object(MCS[0], "v1beta1", "default", "serviceimports", "six")
    assert (stored["apiVersion"], stored["spec"]["ips"]) == ("multicluster.x-k8s.io/v1beta1", six)


def test_a_continue_token_that_etcd_has_forgotten(beds: tuple[Bed, Bed], old_crd: dict[str, t.Any]) -> None:
    """F25: 410 in the middle of a list. What comes back is whole, and nothing is there twice."""
    bed = beds[1]
    bed.use(old_crd)
    for number in range(25):
        bed.add(f"page-{number:02}")
    seen: list[str] = []

    def keep(item: dict[str, t.Any]) -> str:
        seen.append(item["metadata"]["name"])
        if len(seen) == 1:
            bed.patch("page-00", {"metadata": {"annotations": {"x": "y"}}})
            bed.forget()
        return seen[-1]

    found = Cluster("two", bed.member.auth).list(f"/apis/{MCS[0]}/{MCS[1]}/serviceimports", limit=10, keep=keep)
    assert len(seen) == len(found) + 10, "the list was not cut off"
    assert len(found) == len(set(found)) >= 25


def test_an_import_that_changes_between_reading_and_writing(beds: tuple[Bed, Bed], monkeypatch: pytest.MonkeyPatch) -> None:
    """F26: 409 by the API server itself, once and for ever."""
    bed = beds[1]
    real, times = Cluster.patch, iter(range(1))

    def meddled(cluster: Cluster, path: str, *arguments: t.Any, **options: t.Any) -> t.Any:
        if next(times, None) is not None:
            bed.patch(path.rpartition("/")[2], {"spec": {"ports": [{"port": 81, "protocol": "TCP"}]}})
        return real(cluster, path, *arguments, **options)

    monkeypatch.setattr(Cluster, "patch", meddled)
    for name in ("once", "always"):
        bed.service(name, "IPv4")
        bed.add(name)
    rows, failed = sync(bed, services=frozenset({("default", "once")}))
    assert (failed, rows["once"].error, len(bed.ips("once"))) == ({}, "", 1)
    assert bed.custom.get_namespaced_custom_object(*MCS, "default", "serviceimports", "once")["spec"]["ports"][0]["port"] == 81
    times = iter(range(10_000))
    ports = iter(range(1000, 2000))
    monkeypatch.setattr(bed, "patch", lambda name, body: Bed.patch(bed, name, {"spec": {"ports": [{"port": next(ports), "protocol": "TCP"}]}}))
    rows, failed = sync(bed, services=frozenset({("default", "always")}))
    assert "changed by others 5 times" in rows["always"].error
    assert bed.ips("always") == []


def test_a_crd_that_serves_v1beta1_only(beds: tuple[Bed, Bed], new_crd: dict[str, t.Any]) -> None:
    """F24"""
    bed = beds[0]
    versions = [{**one, "served": one["name"] != "v1alpha1"} for one in new_crd["spec"]["versions"]]
    bed.use({**new_crd, "spec": {**new_crd["spec"], "versions": versions}})
    wait_for("v1alpha1 is not served any more", lambda: "serves v1beta1 only" in sync(bed)[1].get("one", ""), 30, pause=1)
