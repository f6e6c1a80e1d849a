# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The whole role on platforms that write their DNS's Corefile themselves, while a client asks that DNS 50 times a second.

The DNS is the real member's (for OpenShift one more of its CoreDNS, as a DaemonSet). As on k3s and AKS it imports ConfigMap coredns-custom; for
the others a thread stands in for the platform's operator and makes the Corefile of the platform's object.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import typing as t

import pytest
import yaml
from kubernetes import client
from lab_fleet import ENVIRONMENT, Fleet, Member, repeated, wait_for
from managed import CHART, DEFINITIONS, HELM, NAMESPACE, OPERATOR, chart, forwarding

pytestmark = pytest.mark.long

TAGS = ("--tags", "coredns_multicluster")
ZONE, NAME, OURS = "clusterset.local", "serve.default.svc.clusterset.local", "clusterset-dns"
STOCK = chart(CHART)


class Platform:
    """A member's DNS in the hands of a platform: what it makes its Corefile of, and the Corefile that it makes."""

    namespace, dns, service, selector = NAMESPACE, "coredns", "kube-dns", "k8s-app=kube-dns"

    def __init__(self, name: str, member: Member) -> None:
        self.name = name
        # a client of its own: `exec` has all others of the same client wait for WebSockets
        self.member = Member(member.name, member.toolbox)
        self.custom = client.CustomObjectsApi(self.member.core.api_client)
        self.seen = ""

    def there(self) -> None:
        """Bring the platform's own objects."""

    def object(self) -> t.Any:
        """What of the platform's is ours to change."""
        raise NotImplementedError

    def corefile(self) -> str:
        """What the operator makes of it."""
        raise NotImplementedError

    def gone(self) -> None:
        """Take the platform's own objects away."""

    def reconcile(self) -> None:
        """Give CoreDNS the Corefile that the object makes, and the kubelet a reason to bring it to its pods now."""
        seen = json.dumps([self.corefile(), self.object()], sort_keys=True)
        if seen == self.seen:
            return
        self.member.core.patch_namespaced_config_map(self.dns, self.namespace, {"data": {"Corefile": self.corefile()}})
        for pod in self.member.pods(self.selector, self.namespace):
            note = {"metadata": {"annotations": {"platform.test/seen": hashlib.sha256(seen.encode()).hexdigest()}}}
            self.member.core.patch_namespaced_pod(pod["metadata"]["name"], self.namespace, note)
        self.seen = seen


class Custom(Platform):
    """k3s and AKS."""

    imports = False

    def object(self) -> t.Any:
        found = self.member.core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=coredns-custom").items
        return found[0].data if found else None

    def corefile(self) -> str:
        return STOCK + ("import /etc/coredns/custom/*.server\n" if self.imports else "")

    def reconcile(self) -> None:
        self.imports = True
        super().reconcile()


class Rke2(Platform):
    definition = DEFINITIONS["rke2"]

    def there(self) -> None:
        define(self.member, self.definition)
        body = {"metadata": {"name": "rke2-coredns-rke2-coredns"}, "data": {"Corefile": STOCK}}
        self.member.core.create_namespaced_config_map(NAMESPACE, body)

    def object(self) -> t.Any:
        try:
            return self.custom.get_namespaced_custom_object(*HELM, "rke2-coredns")["spec"]
        except client.ApiException as error:
            if error.status != 404:
                raise
            return None

    def corefile(self) -> str:
        values = yaml.safe_load((self.object() or {}).get("valuesContent") or "") or {}
        return chart(values.get("servers") or CHART)

    def gone(self) -> None:
        with contextlib.suppress(client.ApiException):
            self.member.core.delete_namespaced_config_map("rke2-coredns-rke2-coredns", NAMESPACE)
        undefine(self.member, self.definition)


class Gke(Platform):
    def there(self) -> None:
        self.member.core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "kube-dns"}})

    def object(self) -> t.Any:
        return self.member.core.read_namespaced_config_map("kube-dns", NAMESPACE).data

    def corefile(self) -> str:
        stubs = json.loads((self.object() or {}).get("stubDomains") or "{}")
        return STOCK + "".join(f"{zone}:53 {{\n    errors\n    forward . {' '.join(to)}\n}}\n" for zone, to in stubs.items())

    def gone(self) -> None:
        with contextlib.suppress(client.ApiException):
            self.member.core.delete_namespaced_config_map("kube-dns", NAMESPACE)


class OpenShift(Platform):
    """Its DNS is a DaemonSet in a namespace of its own, on a port of its own; here it runs the member's CoreDNS."""

    namespace, dns, service = "openshift-dns", "dns-default", "dns-default"
    selector = "dns.operator.openshift.io/daemonset-dns=default"
    definition = DEFINITIONS["openshift"]
    stock = chart([{**CHART[0], "port": 5353}])

    def there(self) -> None:
        define(self.member, self.definition)
        body = {"apiVersion": "/".join(OPERATOR[:2]), "kind": "DNS", "metadata": {"name": "default"}, "spec": {}}
        self.custom.create_cluster_custom_object(*OPERATOR, body)
        self.member.core.create_namespace({"metadata": {"name": self.namespace}})
        self.member.core.create_namespaced_service_account(self.namespace, {"metadata": {"name": "dns"}})
        subject = {"kind": "ServiceAccount", "name": "dns", "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
        self.rights.create_cluster_role_binding({"metadata": {"name": self.namespace}, "subjects": [subject], "roleRef": role})
        self.member.core.create_namespaced_config_map(self.namespace, {"metadata": {"name": self.dns}, "data": {"Corefile": self.stock}})
        labels = dict([self.selector.split("=")])
        template = self.member.deployment()["spec"]["template"]
        template["metadata"] = {"labels": labels}
        template["spec"].pop("affinity", None)
        template["spec"]["serviceAccount"] = template["spec"]["serviceAccountName"] = "dns"
        template["spec"]["volumes"] = [{"name": "config-volume", "configMap": {"name": self.dns}}]
        runs = template["spec"]["containers"][0]
        runs["volumeMounts"] = [one for one in runs["volumeMounts"] if one["name"] == "config-volume"]
        metadata = {"metadata": {"name": self.dns}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        self.member.apps.create_namespaced_daemon_set(self.namespace, {**metadata, "spec": spec})
        ports = [{"name": protocol.lower(), "port": 53, "targetPort": 5353, "protocol": protocol} for protocol in ("UDP", "TCP")]
        self.member.core.create_namespaced_service(self.namespace, {**metadata, "spec": {"selector": labels, "ports": ports}})
        wait_for("OpenShift's DNS is ready", self.ready, 120)
        address = self.member.service_ip(self.service, self.namespace)
        # a Service that was made this moment is not known to kube-proxy yet
        with self.member.probing({address: 1}) as asking:
            wait_for("its Service leads to it", lambda: "NOERROR" in self.member.dig(asking, address, "kubernetes.default.svc.cluster.local"), 60)

    def ready(self) -> bool:
        status = self.member.apps.read_namespaced_daemon_set(self.dns, self.namespace).status
        return bool(status.number_ready) and status.number_ready == status.desired_number_scheduled

    def object(self) -> t.Any:
        return self.custom.get_cluster_custom_object(*OPERATOR, "default")["spec"]

    def corefile(self) -> str:
        return forwarding(self.object().get("servers") or []) + self.stock

    def gone(self) -> None:
        for delete in (self.rights.delete_cluster_role_binding, self.member.core.delete_namespace):
            with contextlib.suppress(client.ApiException):
                delete(self.namespace)
        self.member.wait_gone(self.namespace)
        undefine(self.member, self.definition)

    @property
    def rights(self) -> client.RbacAuthorizationV1Api:
        return client.RbacAuthorizationV1Api(self.member.core.api_client)


PLATFORMS = {"k3s": Custom, "aks": Custom, "rke2": Rke2, "gke": Gke, "openshift": OpenShift}


def define(member: Member, definition: dict[str, t.Any]) -> None:
    definitions = client.ApiextensionsV1Api(member.core.api_client)
    name = definition["metadata"]["name"]
    definitions.create_custom_resource_definition(definition)

    def established() -> bool:
        conditions = definitions.read_custom_resource_definition(name).status.conditions or []
        return any(one.type == "Established" and one.status == "True" for one in conditions)

    wait_for(f"{name} is established", established, 30)


def undefine(member: Member, definition: dict[str, t.Any]) -> None:
    definitions = client.ApiextensionsV1Api(member.core.api_client)
    name = definition["metadata"]["name"]
    with contextlib.suppress(client.ApiException):
        definitions.delete_custom_resource_definition(name)
    wait_for(f"{name} is gone", lambda: name not in {one.metadata.name for one in definitions.list_custom_resource_definition().items}, 60)


@pytest.fixture(scope="module")
def stock(fleet: Fleet, member2: Member, site: None) -> t.Iterator[dict[str, t.Any]]:
    """The member's CoreDNS as kind made it, which is what is there at the end again."""
    fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    stock = member2.state()
    volume = {"name": "custom", "configMap": {"name": "coredns-custom", "optional": True}}
    mount = {"name": "custom", "mountPath": "/etc/coredns/custom", "readOnly": True}
    container = {"name": "coredns", "volumeMounts": [mount]}
    template = {"spec": {"volumes": [volume], "containers": [container]}}
    member2.apps.patch_namespaced_deployment("coredns", NAMESPACE, {"spec": {"template": template}})
    wait_for("CoreDNS has the volume", member2.rolled_out, 120)
    yield stock
    member2.core.patch_namespaced_config_map("coredns", NAMESPACE, {"data": stock["data"]})
    deployment = member2.apps.read_namespaced_deployment("coredns", NAMESPACE)
    deployment.spec = stock["spec"]
    member2.apps.replace_namespaced_deployment("coredns", NAMESPACE, deployment)
    wait_for("CoreDNS is as it was", member2.rolled_out, 120)
    fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)


@pytest.fixture(params=PLATFORMS)
def platform(request: pytest.FixtureRequest, member2: Member, stock: dict[str, t.Any]) -> t.Iterator[Platform]:
    platform = PLATFORMS[request.param](request.param, member2)
    platform.gone()
    try:
        platform.there()
        member2.core.patch_namespaced_config_map("coredns", NAMESPACE, {"data": {"Corefile": STOCK}})
        yield platform
    finally:
        platform.gone()


def ours(member: Member) -> list[str]:
    found = member.apps.list_namespaced_deployment(NAMESPACE, field_selector=f"metadata.name={OURS}").items
    return [one.metadata.name for one in found]


def test_there_and_back(fleet: Fleet, member2: Member, platform: Platform) -> None:
    """Undone where the platform does not take it; there where it does; and back."""
    before = platform.object()
    where = ("--limit", member2.name, *TAGS, "-e", f"coredns_multicluster_platform={platform.name}")
    dns = member2.service_ip(platform.service, platform.namespace)
    with member2.probing({dns: 50}) as probing:
        command = fleet.command("playbooks/site.yml", *where, "-e", "coredns_multicluster_wait_timeout=30")
        failed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert failed.returncode, failed.stdout[-3000:]
        said = next((line for line in failed.stdout.splitlines() if "CoreDNS was not changed for good" in line), failed.stdout[-3000:])
        assert "Ask every pod: " in said, said
        assert "Everything is as it was before. Every pod answers" in said, said
        assert platform.object() == before
        assert not ours(member2)

        with repeated(platform.reconcile):
            said = fleet.play("playbooks/site.yml", *where)
            assert "mode forward, because" in said
            wanted = str(member2.core.read_namespaced_service("derived-serve", "default").spec.cluster_ip)
            assert wanted in member2.dig(probing, dns, NAME)
            assert "NXDOMAIN" in member2.dig(probing, dns, f"no-such.default.svc.{ZONE}")
            again = fleet.play("playbooks/site.yml", *where)
            assert "changed=0 " in again, again[-2000:]

            fleet.play("playbooks/teardown.yml", *where)
            assert platform.object() == before
            assert not ours(member2)
            wait_for("the platform's DNS does not know the zone", lambda: "NOERROR" not in member2.dig(probing, dns, NAME), 120, 1)
    result = probing.results[dns]
    print(platform.name, result)
    assert result["asked"] > 1000
    assert result["lost"] == 0, result["losses"]


def for_the_add_on(said: str) -> str:
    """The Corefile that a playbook says to give to the EKS add-on; '' where it says nothing of it."""
    line = next((line for line in said.splitlines() if "give this to the add-on" in line), "")
    if not line:
        return ""
    message = json.loads(line.strip().rstrip(","))
    return str(json.loads(message[message.index("{") :])["corefile"])


def test_the_eks_add_on_is_told_what_to_write(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """The role prints the Corefile, and what serves the zone stays until the add-on has let go of it."""
    where = ("--limit", member2.name, *TAGS, "-e", "coredns_multicluster_platform=eks", "-e", "coredns_multicluster_eks_addon=true")
    dns = member2.service_ip()

    def configure(corefile: str) -> None:
        member2.core.patch_namespaced_config_map("coredns", NAMESPACE, {"data": {"Corefile": corefile}})

    configure(STOCK)
    with member2.probing({dns: 50}) as probing:
        wanted = for_the_add_on(fleet.play("playbooks/site.yml", *where))
        assert f"{ZONE}:53 {{" in wanted
        assert member2.config_map()["data"] == {"Corefile": STOCK}
        configure(wanted)
        again = fleet.play("playbooks/site.yml", *where)
        assert "changed=0 " in again, again[-2000:]
        assert not for_the_add_on(again)
        derived = str(member2.core.read_namespaced_service("derived-serve", "default").spec.cluster_ip)
        wait_for("the zone is served", lambda: derived in member2.dig(probing, dns, NAME), 120, 1)

        assert for_the_add_on(fleet.play("playbooks/teardown.yml", *where)) == STOCK
        assert ours(member2)
        assert derived in member2.dig(probing, dns, NAME)
        configure(STOCK)
        assert not for_the_add_on(fleet.play("playbooks/teardown.yml", *where))
        wait_for("our own CoreDNS is gone", lambda: not ours(member2), 60)
    result = probing.results[dns]
    assert result["asked"] > 1000
    assert result["lost"] == 0, result["losses"]
