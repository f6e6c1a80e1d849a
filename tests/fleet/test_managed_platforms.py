# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Managed platforms: their objects in a real API server, with what reconciles them imitated.

The API server and etcd are those that the lab compiled; there is no cluster behind them. The CustomResourceDefinitions are minimal ones of our own,
with the fields that matter here. A thread stands in for the platform's operator: it makes the Corefile of the platform's
objects, as that would, and puts back whatever else is done to it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config
from lab_fleet import CHECKOUT, KUBEADM_COREFILE, repeated, wait_for
from managed import CHART, DEFINITIONS, HELM, NAMESPACE, OPERATOR, chart, forwarding

sys.path[:0] = [str(CHECKOUT / "benchmarks"), str(CHECKOUT / "tests" / "unit")]
# The collection is found as the unit tests find it.
importlib.import_module("conftest")
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.delegation import Outcome
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.look import look
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import OBJECTS, PLATFORMS
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_platform import Delegate
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import StepError, World
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from apiservers import ApiServer

pytestmark = pytest.mark.long

ZONE = "clusterset.local"
ADDRESS, OTHER = "10.96.77.3", "10.96.77.4"


class Platform:
    """An API server, with the Kubernetes project's own client for it."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.api = config.new_client_from_config(str(kubeconfig))
        self.core, self.custom = client.CoreV1Api(self.api), client.CustomObjectsApi(self.api)

    def run(self, collections: Path, module: str, **options: t.Any) -> dict[str, t.Any]:
        """Run a module as `ansible` does, and return what it says."""
        arguments = {"kubeconfig": str(self.kubeconfig), **options}
        ran = subprocess.run(
            [sys.executable, "-m", f"ansible_collections.clusterset.dns.plugins.modules.{module}"],
            input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
            env=os.environ | {"PYTHONPATH": str(collections)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.stdout, ran.stderr
        return t.cast("dict[str, t.Any]", json.loads(ran.stdout))

    def put(self, name: str, data: dict[str, str], namespace: str = NAMESPACE) -> None:
        """Make a ConfigMap what its operator makes it, with no write where nothing differs."""
        body = {"metadata": {"name": name}, "data": data}
        try:
            if self.data(name, namespace) != data:
                self.core.replace_namespaced_config_map(name, namespace, body)
        except client.ApiException as error:
            if error.status != 404:
                raise
            self.core.create_namespaced_config_map(namespace, body)

    def data(self, name: str, namespace: str = NAMESPACE) -> dict[str, str]:
        return dict(self.core.read_namespaced_config_map(name, namespace).data or {})

    def whole(self, read: t.Callable[[], t.Any]) -> t.Any:
        """An object without what the API server counts; None where there is none."""
        try:
            found = self.api.sanitize_for_serialization(read())
        except client.ApiException as error:
            if error.status == 404:
                return None
            raise
        metadata = {key: value for key, value in found["metadata"].items() if key in ("name", "namespace", "labels", "annotations")}
        if not metadata.get("annotations"):
            metadata.pop("annotations", None)
        return {**{key: value for key, value in found.items() if key not in ("metadata", "status")}, "metadata": metadata}

    def version(self, read: t.Callable[[], t.Any]) -> str:
        return str(self.api.sanitize_for_serialization(read())["metadata"]["resourceVersion"])


@pytest.fixture(scope="module")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory that holds this checkout as `ansible_collections/clusterset/dns`."""
    root = tmp_path_factory.mktemp("collections")
    namespace = root / "ansible_collections" / "clusterset"
    namespace.mkdir(parents=True)
    (namespace / "dns").symlink_to(CHECKOUT, target_is_directory=True)
    return root


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Platform]:
    server = ApiServer(tmp_path_factory.mktemp("apiserver"))
    server.start()
    try:
        server.wait()
        platform = Platform(server.kubeconfig)
        wait_for(f"namespace {NAMESPACE}", lambda: platform.core.list_namespace(field_selector=f"metadata.name={NAMESPACE}").items)
        yield platform
    finally:
        server.stop()


def found_out(platform: Platform, collections: Path) -> str:
    said = platform.run(collections, "coredns_multicluster_info", members=[{"name": "m", "kubeconfig": str(platform.kubeconfig)}])
    return str(said["members"][0]["platform"]["name"])


def test_the_platform_is_found_out(platform: Platform, collections: Path) -> None:
    """One sign after the other: the last is the strongest."""
    assert found_out(platform, collections) == "any"
    platform.put("kubeadm-config", {"ClusterConfiguration": "{}"})
    assert found_out(platform, collections) == "kubeadm"
    platform.core.create_node({"metadata": {"name": "aks-1", "labels": {"kubernetes.azure.com/cluster": "MC_x"}}})
    assert found_out(platform, collections) == "aks"
    for one in DEFINITIONS.values():
        client.ApiextensionsV1Api(platform.api).create_custom_resource_definition(one)
    wait_for("OpenShift is found", lambda: found_out(platform, collections) == "openshift", 30)


def test_an_edit_of_corefile_is_undone_and_one_of_coredns_custom_is_not(platform: Platform, collections: Path) -> None:
    """k3s and AKS: ConfigMap coredns is rewritten, and imports the keys of coredns-custom."""
    options = {"zone": ZONE, "mode": "forward", "forward_to": [ADDRESS]}
    own = {"name": "coredns-custom", "key": "clusterset.server", "create": True}
    stock = {"Corefile": KUBEADM_COREFILE + "import /etc/coredns/custom/*.server\n"}
    platform.put("coredns", stock)
    platform.put("coredns-custom", {"acme.server": "acme.test:53 {\n    forward . 1.2.3.4\n}\n"})

    def read() -> t.Any:
        return platform.core.read_namespaced_config_map("coredns-custom", NAMESPACE)

    before = platform.whole(read)
    with repeated(lambda: platform.put("coredns", stock)):
        edited = platform.run(collections, "corefile", **options, imports={})
        assert edited["changed"]
        wait_for("the platform has put its own Corefile back", lambda: platform.data("coredns") == stock, 30)

        assert platform.run(collections, "corefile", **options, **own)["changed"]
        seen = platform.data("coredns")["Corefile"]
        assert seen == stock["Corefile"]
        assert f"{ZONE}:53 {{" in platform.data("coredns-custom")["clusterset.server"]
        version = platform.version(read)
        assert not platform.run(collections, "corefile", **options, **own)["changed"]
        assert platform.version(read) == version
        assert platform.run(collections, "corefile", **{**options, "forward_to": [OTHER]}, **own)["changed"]
        assert platform.run(collections, "corefile", zone=ZONE, state="absent", **own)["restored"]
        assert platform.whole(read) == before
    platform.core.delete_namespaced_config_map("coredns-custom", NAMESPACE)
    assert platform.run(collections, "corefile", **options, **own)["changed"]
    assert platform.run(collections, "corefile", zone=ZONE, state="absent", **own)["changed"]
    assert platform.whole(read) is None


def test_the_eks_add_on_gets_a_text(platform: Platform, collections: Path) -> None:
    """EKS: the add-on overwrites ConfigMap coredns with the ``corefile`` of its configurationValues, or its own where there is none."""
    values: dict[str, str] = {}

    def add_on() -> None:
        platform.put("coredns", {"Corefile": values.get("corefile", KUBEADM_COREFILE)})

    options = {"zone": ZONE, "mode": "forward", "forward_to": [ADDRESS]}
    add_on()
    with repeated(add_on):
        text = platform.run(collections, "corefile", **options, _ansible_check_mode=True)
        assert text["changed"]
        assert platform.data("coredns")["Corefile"] == KUBEADM_COREFILE
        values["corefile"] = text["corefile"]
        wait_for("the add-on has taken it", lambda: ZONE in platform.data("coredns")["Corefile"], 30)
        assert not platform.run(collections, "corefile", **options)["changed"]
        back = platform.run(collections, "corefile", zone=ZONE, state="absent", _ansible_check_mode=True)
        assert back["corefile"] == KUBEADM_COREFILE


def step_of(platform: Platform, name: str, *addresses: str) -> tuple[Delegate, World, Outcome]:
    """The step of the role's change that has a platform forward the zone to some addresses, or no longer, and what comes of it."""
    cluster, want = Cluster("m", {"kubeconfig": str(platform.kubeconfig)}), Want(platform=name)
    world = World(cluster, want, look(cluster, want))
    world.addresses = addresses
    place = PLATFORMS[name].place
    step = Delegate(place, OBJECTS[place], present=bool(addresses))
    return step, world, step.outcome(world, t.cast("t.Any", world.facts.delegated))


def delegate(platform: Platform, name: str, read: t.Callable[[], t.Any], rendered: t.Callable[[], str]) -> None:
    """There, undone, once more, elsewhere, and back; ``rendered`` is the Corefile that the platform makes of it."""
    before, stock = platform.whole(read), rendered()

    def run(*addresses: str) -> Outcome:
        step, world, outcome = step_of(platform, name, *addresses)
        step.do(world)
        return outcome

    step, world, _outcome = step_of(platform, name, ADDRESS)
    step.preview(world)
    assert ADDRESS in world.diff[0]["after"]
    assert platform.whole(read) == before
    step.do(world)
    wait_for("the platform forwards the zone", lambda: ADDRESS in rendered(), 30)
    assert step.undo(world) == []
    assert platform.whole(read) == before
    assert run(ADDRESS).verb
    wait_for("the platform forwards the zone", lambda: ZONE in rendered() and ADDRESS in rendered(), 30)
    assert "cluster.local" in rendered()
    version = platform.version(read)
    assert not run(ADDRESS).verb
    assert platform.version(read) == version
    assert run(OTHER).was == (ADDRESS,)
    wait_for("the platform forwards it elsewhere", lambda: OTHER in rendered() and ADDRESS not in rendered(), 30)
    assert run().was == (OTHER,)
    assert platform.whole(read) == before
    wait_for("the platform is as it was", lambda: rendered() == stock, 30)
    assert not run().verb


@pytest.mark.parametrize("stubs", [None, '{"acme.test" : ["1.2.3.4"]}', '{\n  "acme.test": [\n    "1.2.3.4"\n  ]\n}\n'])
def test_gke(platform: Platform, stubs: str | None) -> None:
    """GKE: the addon manager makes ConfigMap kube-dns where it is missing and leaves it as it is otherwise; kube-dns reads it."""
    platform.put("kube-dns", {"upstreamNameservers": '["8.8.8.8"]', **({} if stubs is None else {"stubDomains": stubs})})

    def rendered() -> str:
        stubs = json.loads(platform.data("kube-dns").get("stubDomains") or "{}")
        return "cluster.local\n" + "".join(f"--server=/{zone}/{' '.join(to)}\n" for zone, to in sorted(stubs.items()))

    def addon_manager() -> None:
        if not platform.core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=kube-dns").items:
            platform.put("kube-dns", {})

    with repeated(addon_manager):
        delegate(platform, "gke", lambda: platform.core.read_namespaced_config_map("kube-dns", NAMESPACE), rendered)


OWN = "# ours\nservers:\n  - zones: [{zone: .}]\n    port: 53\n    plugins:\n      - name: kubernetes\n        parameters: cluster.local\n"


@pytest.mark.parametrize("values", [None, "absent", "resources: {limits: {cpu: 200m}}  # measured", OWN])
def test_rke2(platform: Platform, values: str | None) -> None:
    """RKE2: helm-controller renders the chart with the values of HelmChartConfig, whose ``servers`` take the place of the chart's."""
    with contextlib.suppress(client.ApiException):
        platform.custom.delete_namespaced_custom_object(*HELM, "rke2-coredns")
    if values != "absent":
        spec = {"failurePolicy": "reinstall", **({} if values is None else {"valuesContent": values})}
        body = {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChartConfig", "metadata": {"name": "rke2-coredns"}, "spec": spec}
        platform.custom.create_namespaced_custom_object(*HELM, body)

    def read() -> t.Any:
        return platform.custom.get_namespaced_custom_object(*HELM, "rke2-coredns")

    def helm_controller() -> None:
        found = platform.whole(read)
        given = yaml.safe_load((found or {"spec": {}})["spec"].get("valuesContent") or "") or {}
        platform.put("rke2-coredns-rke2-coredns", {"Corefile": chart(given.get("servers") or CHART)})

    helm_controller()
    with repeated(helm_controller):
        delegate(platform, "rke2", read, lambda: platform.data("rke2-coredns-rke2-coredns")["Corefile"])


@pytest.mark.parametrize(
    "servers", [None, [], [{"name": "acme", "zones": ["acme.test"], "forwardPlugin": {"upstreams": ["1.2.3.4"], "policy": "Sequential"}}]]
)
def test_openshift(platform: Platform, servers: list[dict[str, t.Any]] | None) -> None:
    """OpenShift: the DNS operator makes ConfigMap dns-default of DNS default."""
    with contextlib.suppress(client.ApiException):
        platform.core.create_namespace({"metadata": {"name": "openshift-dns"}})
    with contextlib.suppress(client.ApiException):
        platform.custom.delete_cluster_custom_object(*OPERATOR, "default")
    spec = {"logLevel": "Normal", **({} if servers is None else {"servers": servers})}
    body = {"apiVersion": "operator.openshift.io/v1", "kind": "DNS", "metadata": {"name": "default"}, "spec": spec}
    platform.custom.create_cluster_custom_object(*OPERATOR, body)

    def read() -> t.Any:
        return platform.custom.get_cluster_custom_object(*OPERATOR, "default")

    def operator() -> None:
        text = forwarding(read()["spec"].get("servers") or [])
        platform.put("dns-default", {"Corefile": text + ".:5353 {\n    kubernetes cluster.local\n}\n"}, "openshift-dns")

    operator()
    with repeated(operator):
        delegate(platform, "openshift", read, lambda: platform.data("dns-default", "openshift-dns")["Corefile"])


def test_an_entry_by_hand_is_refused_in_words(platform: Platform) -> None:
    platform.put("kube-dns", {"stubDomains": json.dumps({ZONE: ["9.9.9.9"]})})
    with pytest.raises(StepError, match=r"ConfigMap kube-system/kube-dns: stubDomains sends clusterset\.local to 9\.9\.9\.9 already"):
        step_of(platform, "gke", ADDRESS)
    assert platform.data("kube-dns") == {"stubDomains": json.dumps({ZONE: ["9.9.9.9"]})}
