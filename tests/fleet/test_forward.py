# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Mode forward and NodeLocal DNSCache in a real member, there and back, while a client asks its DNS 50 times a second."""

from __future__ import annotations

import contextlib
import subprocess
import typing as t

import pytest
from kubernetes import client
from kubernetes.stream import stream
from lab_fleet import ENVIRONMENT, Fleet, Member, wait_for

pytestmark = pytest.mark.long

TAGS = ("--tags", "coredns_multicluster")
FORWARD = ("-e", "coredns_multicluster_mode=forward")
ZONE, NAME = "clusterset.local", "serve.default.svc.clusterset.local"
OURS = "clusterset-dns"
# As k8s.io/dns is deployed, with the address that it is known by. Two Services, as the address of kube-dns may be its own elsewhere.
LOCAL, NODELOCAL = "169.254.20.10", "node-local-dns"
# The Corefile of k8s.io/dns's manifest with its placeholders replaced, as it does when it starts.
NODELOCAL_COREFILE = """\
cluster.local:53 {{
    errors
    cache {{
            success 9984 30
            denial 9984 5
    }}
    reload
    loop
    bind {local}
    forward . {kube_dns} {{
            force_tcp
    }}
    prometheus :9253
    health {local}:8080
    }}
in-addr.arpa:53 {{
    errors
    cache 30
    reload
    loop
    bind {local}
    forward . {kube_dns} {{
            force_tcp
    }}
    prometheus :9253
    }}
.:53 {{
    errors
    cache 30
    reload
    loop
    bind {local}
    forward . /etc/resolv.conf
    prometheus :9253
    }}
"""


TOOLBOX = "forward-toolbox"


def dig(member: Member, server: str, name: str) -> list[str]:
    """What a server answers from inside the member's node: the status, then the addresses."""
    command = ["dig", "+time=2", "+tries=1", f"@{server}", name, "A"]
    execute = member.core.connect_get_namespaced_pod_exec
    said = stream(execute, TOOLBOX, "default", command=command, stderr=True, stdin=False, stdout=True, tty=False)
    status = next((line.split("status: ")[1].split(",")[0] for line in said.splitlines() if "status: " in line), "none")
    records = [line.split() for line in said.splitlines() if line and not line.startswith(";")]
    return [status, *(words[4] for words in records if words[2:4] == ["IN", "A"])]


@pytest.fixture(scope="module", autouse=True)
def toolbox(member2: Member) -> t.Iterator[None]:
    """A pod with dig in the node's own network."""

    def gone() -> bool:
        return not member2.core.list_namespaced_pod("default", field_selector=f"metadata.name={TOOLBOX}").items

    def clear() -> None:
        with contextlib.suppress(client.ApiException):
            member2.core.delete_namespaced_pod(TOOLBOX, "default")
        wait_for("the toolbox is gone", gone, 60)

    clear()
    container = {"name": "toolbox", "image": member2.toolbox, "command": ["sleep", "3600"]}
    spec = {"hostNetwork": True, "terminationGracePeriodSeconds": 0, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    member2.core.create_namespaced_pod("default", {"metadata": {"name": TOOLBOX}, "spec": spec})
    wait_for("the toolbox runs", lambda: member2.core.read_namespaced_pod(TOOLBOX, "default").status.phase == "Running", 120)
    yield
    clear()


def derived(member: Member) -> str:
    return str(member.core.read_namespaced_service("derived-serve", "default").spec.cluster_ip)


@pytest.fixture(scope="module")
def converged_afterwards(fleet: Fleet, member2: Member, site: None) -> t.Iterator[None]:
    """The member is left as site.yml makes it."""
    yield
    fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)


@pytest.fixture
def stock(fleet: Fleet, member2: Member, converged_afterwards: None) -> dict[str, t.Any]:
    """The member's CoreDNS as its platform made it."""
    fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    return member2.state()


def ours(member: Member) -> dict[str, t.Any]:
    """Our own CoreDNS's objects, those that there are."""
    found = {}
    for kind, read in {
        "Deployment": member.apps.read_namespaced_deployment,
        "Service": member.core.read_namespaced_service,
        "ConfigMap": member.core.read_namespaced_config_map,
        "ServiceAccount": member.core.read_namespaced_service_account,
    }.items():
        with contextlib.suppress(client.ApiException):
            found[kind] = member.raw(read(OURS, "kube-system"))
    return found


def test_a_zone_forwarded_to_a_coredns_of_our_own(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """Install, again, its Service's address kept, another image that is none, and the way back byte for byte."""
    dns = member2.service_ip()
    with member2.probing({dns: 50}) as probing:
        predicted = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS, *FORWARD, "--check", "--diff")
        assert "192.0.2.53 stands for the address" in predicted
        assert "forward . 192.0.2.53" in predicted
        assert (member2.state(), ours(member2)) == (stock, {})

        said = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS, *FORWARD)
        assert "mode forward, because it was asked for" in said
        assert "Platform kubeadm, because there is a ConfigMap kube-system/kubeadm-config" in said
        assert member2.state()["spec"] == stock["spec"], "the platform's Deployment was changed"
        there = ours(member2)
        address = there["Service"]["spec"]["clusterIP"]
        assert f"forward . {address}" in member2.config_map()["data"]["Corefile"]
        assert there["Deployment"]["status"]["readyReplicas"] == 2
        assert dig(member2, dns, NAME) == ["NOERROR", derived(member2)]
        assert dig(member2, dns, f"no-such.default.svc.{ZONE}") == ["NXDOMAIN"]
        assert dig(member2, dns, "kubernetes.default.svc.cluster.local")[0] == "NOERROR"

        again = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS, *FORWARD)
        assert "changed=0 " in again, again[-2000:]
        assert ours(member2)["Service"]["spec"]["clusterIP"] == address

        kept = member2.state()
        broken = ("-e", "clusterset_image=localhost/none/coredns:v1.15.0", "-e", "clusterset_image_source=auto")
        command = fleet.command("playbooks/site.yml", "--limit", member2.name, *TAGS, *FORWARD, *broken)
        failed = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert failed.returncode, failed.stdout[-3000:]
        assert "localhost/none/coredns:v1.15.0" in failed.stdout
        assert member2.state() == kept
        assert ours(member2)["Deployment"]["spec"] == there["Deployment"]["spec"]
        assert dig(member2, dns, NAME) == ["NOERROR", derived(member2)]

        fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
        assert member2.state() == stock
        wait_for("our own CoreDNS is gone", lambda: not ours(member2), 60)
    result = probing.results[dns]
    print(result)
    assert result["asked"] > 1000
    assert result["lost"] == 0, result["losses"]


def daemon_set(image: str) -> dict[str, t.Any]:
    """CoreDNS in the node's network, in place of k8s.io/dns, which is CoreDNS with a start of its own."""
    labels = {"k8s-app": NODELOCAL}
    return {
        "metadata": {"name": NODELOCAL, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "hostNetwork": True,
                    "dnsPolicy": "Default",
                    "terminationGracePeriodSeconds": 0,
                    "tolerations": [{"operator": "Exists"}],
                    "containers": [
                        {
                            "name": "node-cache",
                            "image": image,
                            "args": ["-conf", "/etc/coredns/Corefile"],
                            "securityContext": {"runAsUser": 0},
                            "volumeMounts": [{"name": "config-volume", "mountPath": "/etc/coredns"}],
                        }
                    ],
                    "volumes": [{"name": "config-volume", "configMap": {"name": NODELOCAL}}],
                },
            },
        },
    }


@pytest.fixture
def nodelocal(member2: Member, stock: dict[str, t.Any]) -> t.Iterator[str]:
    """A NodeLocal DNSCache in the member. Gives its Corefile."""
    node = f"{member2.name}-control-plane"
    corefile = NODELOCAL_COREFILE.format(local=LOCAL, kube_dns=member2.service_ip())

    def clear() -> None:
        for delete in (member2.apps.delete_namespaced_daemon_set, member2.core.delete_namespaced_config_map):
            with contextlib.suppress(client.ApiException):
                delete(NODELOCAL, "kube-system")
        subprocess.run(["docker", "exec", node, "ip", "address", "delete", f"{LOCAL}/32", "dev", "lo"], capture_output=True, check=False)
        wait_for("NodeLocal DNSCache is gone", lambda: not member2.pods(f"k8s-app={NODELOCAL}"), 60)

    clear()
    subprocess.run(["docker", "exec", node, "ip", "address", "add", f"{LOCAL}/32", "dev", "lo"], check=True)
    member2.core.create_namespaced_config_map("kube-system", {"metadata": {"name": NODELOCAL}, "data": {"Corefile": corefile}})
    image = stock["spec"]["template"]["spec"]["containers"][0]["image"]
    member2.apps.create_namespaced_daemon_set("kube-system", daemon_set(image))
    wait_for("NodeLocal DNSCache answers", lambda: dig(member2, LOCAL, "kubernetes.default.svc.cluster.local")[0] == "NOERROR", 120, 1)
    yield corefile
    clear()


def test_nodelocal_dnscache_and_from_one_mode_to_the_other(
    fleet: Fleet, member2: Member, stock: dict[str, t.Any], nodelocal: str
) -> None:
    """NodeLocal DNSCache sends names of the zone past the node's resolv.conf to the cluster's DNS, in each mode, and no longer when it is
    taken away. What only the former mode needed goes.
    """
    dns = member2.service_ip()
    assert dig(member2, LOCAL, NAME)[0] != "NOERROR"
    with member2.probing({dns: 50}) as probing:
        fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS, *FORWARD)
        edited = member2.config_map(NODELOCAL)["data"]["Corefile"]
        assert f"bind {LOCAL}" in edited.split("# clusterset.dns: end")[0]
        assert dig(member2, LOCAL, NAME) == ["NOERROR", derived(member2)]
        assert dig(member2, LOCAL, "kubernetes.default.svc.cluster.local")[0] == "NOERROR"

        with member2.probing({dns: 20}, f"{NAME}.") as zone_probing:
            said = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
            assert "mode builtin, because the image to run is CoreDNS" in said
            wait_for("our own CoreDNS is gone", lambda: not ours(member2), 60)
        assert "forward . 10." not in member2.config_map()["data"]["Corefile"]
        assert member2.config_map(NODELOCAL)["data"]["Corefile"] == edited
        assert dig(member2, LOCAL, NAME) == ["NOERROR", derived(member2)]
        again = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
        assert "changed=0 " in again, again[-2000:]

        fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
        assert member2.config_map(NODELOCAL)["data"] == {"Corefile": nodelocal}
        assert not member2.config_map(NODELOCAL)["metadata"].get("annotations")
        assert member2.state() == stock
        wait_for("NodeLocal DNSCache has let go of the zone", lambda: dig(member2, LOCAL, NAME)[0] != "NOERROR", 150, 1)
    for result in (probing.results[dns], zone_probing.results[dns]):
        print(result)
        assert result["asked"] > 100
        assert result["lost"] == 0, result["losses"]
