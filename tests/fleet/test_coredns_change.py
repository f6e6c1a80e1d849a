# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""CoreDNS of a real member is changed and changed back while a client asks it 50 times a second."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import signal
import subprocess
import time
import typing as t

import pytest
from kubernetes import client
from lab_fleet import CHECKOUT, ENVIRONMENT, Fleet, Member, kill_all, reloading_often, wait_for

TAGS = ("--tags", "coredns_multicluster")
ZONE = "clusterset.local"


def stages(member: Member) -> dict[str, t.Callable[[], t.Any]]:
    """What is seen in the cluster when a run is at each stage of the change."""

    def annotation(key: str) -> bool:
        return key in (member.deployment()["metadata"].get("annotations") or {})

    return {
        "proof": lambda: member.pods("clusterset.dns/proof=coredns"),
        "new pods beside the old ones": lambda: annotation("clusterset.dns/rollout"),
        "old pods out of service": lambda: member.pods("clusterset.dns/drained=coredns"),
        "Corefile written": lambda: ZONE in member.config_map()["data"]["Corefile"],
    }


def kill_at(fleet: Fleet, limit: str, stage: str, reached: t.Callable[[], t.Any]) -> None:
    """Start site.yml and kill it, and all that it started, with -9 once it has come to a stage. The Lease is left, as nobody can give it up."""
    command = fleet.command("playbooks/site.yml", "--limit", limit, *TAGS)
    running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(f"stage {stage!r}", lambda: reached() or running.poll() is not None, 180, pause=0.05)
        assert running.poll() is None, f"site.yml ended before the stage {stage!r}"
    finally:
        kill_all(running.pid, signal.SIGKILL)
        running.wait()


def leases(member: Member) -> list[str]:
    """Those by which runs keep each other out."""
    api = client.CoordinationV1Api(member.core.api_client)
    found = api.list_namespaced_lease("kube-system", label_selector="app.kubernetes.io/managed-by=clusterset.dns").items
    return [one.metadata.name for one in found]


def write_corefile(member: Member, corefile: str) -> None:
    """As someone would with ``kubectl edit``: nothing else of the ConfigMap changes."""
    member.core.patch_namespaced_config_map("coredns", "kube-system", {"data": {"Corefile": corefile}})


@pytest.fixture(scope="module")
def quick(fleet: Fleet, member2: Member, site: None) -> t.Iterator[None]:
    """The member's CoreDNS as its platform made it, but that it looks for another Corefile each 2 seconds, so that the tests wait less."""
    fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    original = member2.config_map()["data"]["Corefile"]
    write_corefile(member2, reloading_often(original))
    yield
    fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    write_corefile(member2, original)


@pytest.fixture
def stock(fleet: Fleet, member2: Member, quick: None) -> dict[str, t.Any]:
    """The member's CoreDNS without the zone."""
    if ZONE in member2.config_map()["data"]["Corefile"] or any(key.startswith("clusterset.dns/") for key in member2.deployment()["metadata"]["annotations"]):
        fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    return member2.state()


def test_killed_at_each_stage_then_torn_down(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """Install, killed at every stage, each time by a run that goes on from there; then the way back, byte for byte."""
    dns = member2.service_ip()
    with member2.probing({dns: 50}) as probing:
        for stage, reached in stages(member2).items():
            kill_at(fleet, member2.name, stage, reached)
        fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
        converged = member2.deployment()
        assert "clusterset.dns/rollout" not in converged["metadata"]["annotations"]
        assert converged["spec"]["strategy"] == stock["spec"]["strategy"]
        assert "minReadySeconds" not in converged["spec"]
        assert converged["status"]["updatedReplicas"] == converged["status"]["replicas"] == converged["spec"]["replicas"]
        assert ZONE in member2.config_map()["data"]["Corefile"]
        assert not member2.pods("clusterset.dns/drained")
        assert not member2.pods("clusterset.dns/proof")
        assert not leases(member2)

        again = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
        assert "changed=0 " in again, again[-2000:]

        fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
        assert member2.state() == stock
    result = probing.results[dns]
    print(result)
    assert result["asked"] > 1000
    assert result["lost"] == 0, result["losses"]


@pytest.mark.long
def test_what_others_write_meanwhile_is_kept(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """Between proof and change, by an upgrade of the cluster (drift), and before the way back."""
    original = stock["data"]["Corefile"]
    write = functools.partial(write_corefile, member2)
    command = fleet.command("playbooks/site.yml", "--limit", member2.name, *TAGS)
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        wait_for("the proof", lambda: member2.pods("clusterset.dns/proof=coredns"), 180, pause=0.05)
        write(original + "# early\n")
        said = running.communicate()[0]
    assert running.returncode != 0
    assert "was changed by someone else meanwhile" in said
    assert member2.config_map()["data"]["Corefile"] == original + "# early\n"

    fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
    image = member2.deployment()["spec"]["template"]["spec"]["containers"][0]["image"]
    upgrade(member2, original, stock["spec"]["template"]["spec"]["containers"][0]["image"])
    seen = fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS, "--check", "--diff")
    assert f"+image: {image}" in seen
    assert "+clusterset.local:53 {" in seen
    fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
    assert member2.deployment()["spec"]["template"]["spec"]["containers"][0]["image"] == image

    write(member2.config_map()["data"]["Corefile"] + "# theirs\n")
    said = fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    kept = member2.config_map()["data"]["Corefile"]
    write(original)
    assert kept == original + "# theirs\n"
    assert "was changed by others" in said
    assert member2.deployment()["spec"] == stock["spec"]


def upgrade(member: Member, corefile: str, image: str) -> None:
    """Write CoreDNS's objects as kubeadm does: what is ours goes, annotations as well."""
    config_map = member.core.read_namespaced_config_map("coredns", "kube-system")
    config_map.data, config_map.metadata.annotations = {"Corefile": corefile}, None
    member.core.replace_namespaced_config_map("coredns", "kube-system", config_map)
    deployment = member.apps.read_namespaced_deployment("coredns", "kube-system")
    deployment.spec.template.spec.containers[0].image = image
    ours = [key for key in deployment.metadata.annotations if key.startswith("clusterset.dns/")]
    for key in ours:
        del deployment.metadata.annotations[key]
    member.apps.replace_namespaced_deployment("coredns", "kube-system", deployment)
    wait_for("the upgrade has rolled out", member.rolled_out, 180)


@pytest.mark.ci
@pytest.mark.long
def test_an_old_pod_goes_when_nobody_asks_it_any_more(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """A client that goes on asking pods that are out of service, as one does whose flow its node's proxy has not cleared yet."""
    command = fleet.command("playbooks/site.yml", "--limit", member2.name, *TAGS)
    with member2.probing({pod["status"]["podIP"]: 20 for pod in member2.pods("k8s-app=kube-dns")}) as probing:
        running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        out = wait_for("old pods are out of service", lambda: member2.pods("clusterset.dns/drained=coredns"), 180)
        # twice the time for which they answer at least
        time.sleep(20)
        kept = member2.pods("clusterset.dns/drained=coredns")
    said = running.communicate()[0]
    assert {pod["metadata"]["name"] for pod in kept} == {pod["metadata"]["name"] for pod in out}
    assert all(result["lost"] == 0 for result in probing.results.values()), probing.results
    assert running.returncode == 0, said[-3000:]
    assert not member2.pods("clusterset.dns/drained")


@pytest.mark.long
def test_definitions_and_rights_that_someone_took_away_come_back(fleet: Fleet, member2: Member, quick: None) -> None:
    fleet.play("playbooks/site.yml")
    dns, rights = member2.service_ip(), client.RbacAuthorizationV1Api(member2.core.api_client)
    with member2.probing({dns: 50}) as probing:
        rights.delete_cluster_role_binding("clusterset-dns-coredns:kube-system:coredns")
        rights.delete_cluster_role("clusterset-dns-coredns")
        definitions = client.ApiextensionsV1Api(member2.core.api_client)
        definitions.delete_custom_resource_definition("serviceimports.multicluster.x-k8s.io")
        said = fleet.play("playbooks/site.yml")
    assert "all right" in said
    assert probing.results[dns]["lost"] == 0, probing.results[dns]["losses"]


@pytest.mark.long
def test_a_teardown_after_which_pods_do_not_answer_is_undone_and_names_one(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    fleet.play("playbooks/site.yml", "--limit", member2.name, *TAGS)
    served = member2.config_map()["data"]["Corefile"]
    broken = "    template ANY ANY cluster.local {\n        rcode SERVFAIL\n    }\n"
    write_corefile(member2, served.replace("    ready\n", f"    ready\n{broken}", 1))
    before = member2.state()
    try:
        command = fleet.command("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
        ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        after = member2.state()
    finally:
        write_corefile(member2, served)
    pods = [pod["metadata"]["name"] for pod in member2.pods("k8s-app=kube-dns")]
    fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    says = "does not answer kubernetes.default.svc.cluster.local A as it should: SERVFAIL"
    cause = rf"{member2.name}: CoreDNS was not changed for good. Put back the image that was there: Deployment kube-system/coredns: new pod \S+ {says}"
    assert ran.returncode
    assert re.search(cause, ran.stdout), ran.stdout[-3000:]
    names = "|".join(map(re.escape, pods))
    back = rf"Everything is as it was before. Not every pod answers kubernetes.default.svc.cluster.local: pod ({names}) {says}"
    assert re.search(back, ran.stdout), ran.stdout[-3000:]
    assert after == before
    assert member2.state() == stock


PLUGIN = {
    "coredns_image_plugins": [
        {"name": "multicluster", "module": "dns.clusterset.test/multicluster", "path": str(CHECKOUT / "tests" / "plugins" / "multicluster")}
    ],
    "coredns_multicluster_mode": "plugin",
}


@contextlib.contextmanager
def cordoned(member: Member) -> t.Iterator[None]:
    """Without room for a new pod."""
    node = f"{member.name}-control-plane"
    member.core.patch_node(node, {"spec": {"unschedulable": True}})
    try:
        yield
    finally:
        member.core.patch_node(node, {"spec": {"unschedulable": False}})


BUILTIN = ("--tags", "coredns_image,coredns_publish,coredns_multicluster")


@pytest.mark.long
def test_an_external_plugin_serves_the_zone(fleet: Fleet, member2: Member, stock: dict[str, t.Any]) -> None:
    """Mode `plugin` with an image that the role builds from a source tree of a plugin: there, to mode `builtin` with an image that does not
    have it, which fails at first, and back, with a client that asks.
    """
    tags = (*BUILTIN, "-e", json.dumps(PLUGIN))
    dns = member2.service_ip()
    with member2.probing({dns: 50}) as probing:
        fleet.play("playbooks/site.yml", "--limit", member2.name, *tags)
        corefile = member2.config_map()["data"]["Corefile"]
        pods = member2.pods("k8s-app=kube-dns")
        answers = [member2.dig(probing, pod["status"]["podIP"], f"serve.default.svc.{ZONE}") for pod in pods]
        missing = member2.dig(probing, dns, f"nowhere.default.svc.{ZONE}")

        served = member2.state()
        command = fleet.command("playbooks/site.yml", "--limit", member2.name, *BUILTIN, "-e", "coredns_multicluster_wait_timeout=60")
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
            wait_for("the zone is out", lambda: ZONE not in member2.config_map()["data"]["Corefile"], 240)
            with cordoned(member2):
                said = running.communicate()[0]
        assert running.returncode
        assert "Everything is as it was before. Every pod answers" in said, said[-3000:]
        assert member2.state() == served
        fleet.play("playbooks/site.yml", "--limit", member2.name, *BUILTIN)
        builtin = member2.config_map()["data"]["Corefile"]
        answered = member2.dig(probing, dns, f"serve.default.svc.{ZONE}")
        fleet.play("playbooks/teardown.yml", "--limit", member2.name, *TAGS)
    assert f"    multicluster {ZONE}\n" in corefile
    assert f"        multicluster {ZONE}\n" in builtin
    assert str(member2.core.read_namespaced_service("derived-serve", "default").spec.cluster_ip) in answered
    assert len(pods) == stock["spec"]["replicas"]
    for answer in answers:
        assert "192.0.2.53" in answer
        assert " ra" in answer.partition("flags:")[2].partition(";")[0]
    assert "NXDOMAIN" in missing
    assert member2.state() == stock
    assert probing.results[dns]["lost"] == 0, probing.results[dns]["losses"]
