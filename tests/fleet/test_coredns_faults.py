# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Broken and hostile Corefiles, settings and images, each on a CoreDNS of its own in a real member, all asked the whole time.

Each fault gets a Deployment, ConfigMap and Service like CoreDNS's, with kubeadm's Corefile; then the fault is put in, and the role is run on
all of them. A fault is *refused* (nothing was written), *restored* (what was there is back) or *done* (it is none). Where something is to be
changed there are pods, which are asked the whole time; where nothing is there are none, as the machine has no room for so many, and what
counts is that the objects are the same to the last byte.

Only those that are chosen run (``-k``): with ``-m ci`` the most telling one of each kind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import platform
import struct
import subprocess
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from kubernetes import client
from lab_fleet import ENVIRONMENT, KUBEADM_COREFILE, LAB, Fleet, Member, reloading_often, repeated

pytestmark = pytest.mark.long

STOCK = reloading_often(KUBEADM_COREFILE)
RELOADS_LATE = STOCK.replace("reload 2s 1s", "reload 1h 1m")
LABEL = "clusterset-fault"


def also(text: str) -> str:
    """The stock Corefile with more directives in its block."""
    return STOCK.replace("    loadbalance\n", f"    loadbalance\n{text}\n")


@dataclasses.dataclass(frozen=True)
class Fault:
    """``corefile`` is put into the running CoreDNS's ConfigMap, ``settings`` are the role's, ``config_map`` and ``deployment`` are merged into
    those objects, ``late_deployment`` when it runs; ``starts`` is the image that it starts with, with ``replicas``, and ``early`` whether with
    ``corefile`` as well; ``says`` are words of the message; ``numbers`` are those of the faults in docs/reliability.md; ``ci`` is whether each
    change has to pass it.
    """

    outcome: str
    says: str = ""
    corefile: str = STOCK
    settings: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    config_map: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    deployment: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    late_deployment: dict[str, t.Any] = dataclasses.field(default_factory=dict)
    starts: str = "OURS"
    replicas: int = 1
    early: bool = False
    numbers: str = ""
    ci: bool = False

    @property
    def asked(self) -> bool:
        """Whether it has pods."""
        return self.outcome != "refused"


def container(**fields: t.Any) -> dict[str, t.Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "coredns", **fields}]}}}}


def zone(value: str) -> dict[str, str]:
    return {"coredns_multicluster_zone": value}


def image(value: str) -> dict[str, str]:
    return {"coredns_multicluster_image": value}


FAULTS: dict[str, Fault] = {
    # F35, F36: odd but right; the edit is done and taken back byte for byte
    "plain": Fault("done", starts="STOCK", replicas=2, ci=True),
    "byte-order-mark": Fault("done", corefile="\ufeff" + STOCK, numbers="F35", ci=True),
    "crlf": Fault("done", corefile=STOCK.replace("\n", "\r\n"), numbers="F35"),
    "import-of-nothing": Fault("done", corefile=also("    import /etc/coredns/custom/*.override"), numbers="F36"),
    "variable": Fault(
        "done",
        corefile=STOCK.replace("cache 30", "cache {$SECONDS_KEPT}"),
        deployment=container(env=[{"name": "SECONDS_KEPT", "value": "30"}]),
        numbers="F36",
    ),
    "no-metrics": Fault("done", corefile=STOCK.replace("    prometheus :9153\n", ""), numbers="F38"),
    "long": Fault("done", corefile=STOCK + "# comment\n" * 30_000, numbers="F38"),
    "two-blocks": Fault("done", corefile=STOCK + "example.org:53 {\n    errors\n    erratic\n}\n", numbers="F38"),
    "one-line-kubernetes": Fault(
        "done",
        corefile=STOCK[: STOCK.index("    kubernetes")] + "    kubernetes cluster.local\n" + STOCK[STOCK.index("    prometheus") :],
        numbers="F38",
    ),
    "no-reload": Fault("done", corefile=STOCK.replace("    reload 2s 1s\n", ""), numbers="F41", ci=True),
    "sub-path": Fault(
        "done",
        deployment=container(
            volumeMounts=[{"$patch": "replace"}, {"name": "config-volume", "mountPath": "/etc/coredns/Corefile", "subPath": "Corefile"}]
        ),
        numbers="F41",
    ),
    "one-replica": Fault("done", starts="STOCK", numbers="F42"),
    "disruption-budget": Fault("done", starts="STOCK", replicas=2, numbers="F42", ci=True),
    # An autoscaler loses queries by itself where pods go as kubeadm has them go (docs/reliability.md). These are let go of while they answer,
    # so that what is lost is lost by the role.
    "autoscaler": Fault(
        "done",
        starts="STOCK",
        replicas=2,
        early=True,
        corefile=STOCK.replace("lameduck 5s", "lameduck 20s"),
        deployment=container(readinessProbe={"periodSeconds": 2, "failureThreshold": 1}),
        numbers="F45",
        ci=True,
    ),
    "adopted": Fault(
        "done",
        corefile="clusterset.local:53 {\n    errors\n    kubernetes clusterset.local {\n        multicluster clusterset.local\n    }\n}\n"
        + STOCK,
        settings={"coredns_multicluster_header": False},
        numbers="F47",
        ci=True,
    ),
    # F37: text that no CoreDNS takes
    "open-brace": Fault(
        "refused", "line 1: the server block that is opened here is never closed", corefile=STOCK[: STOCK.rindex("}")], numbers="F37"
    ),
    "extra-brace": Fault("refused", "line 23: } stands where the zone of a server block should", corefile=STOCK + "}\n", numbers="F37"),
    "open-quote": Fault("refused", "line 22: a quote is opened and never closed", corefile=also('    log "open'), numbers="F37", ci=True),
    "brace-in-word": Fault(
        "refused", "line 1: .:53{ stands where the zone of a server block should", corefile=".:53{\n    errors\n}\n", numbers="F37"
    ),
    "empty": Fault(
        "refused", "does not answer kubernetes.default.svc.cluster.local A as it should: it says REFUSED", corefile="", numbers="F37"
    ),
    "only-comments": Fault(
        "refused",
        "does not answer kubernetes.default.svc.cluster.local A as it should: it says REFUSED",
        corefile="# nothing\n",
        numbers="F37",
    ),
    "no-kubernetes": Fault(
        "refused",
        "does not answer kubernetes.default.svc.cluster.local A as it should: it says SERVFAIL",
        corefile=".:53 {\n    errors\n    forward . 192.0.2.1\n}\n",
        numbers="F38",
    ),
    "zone-twice": Fault("refused", "cannot serve dns://.:53 - it is already defined", corefile=STOCK + STOCK, numbers="F38"),
    "snippet-missing": Fault(
        "refused", "line 22: the file to import does not exist: nowhere", corefile=also("    import nowhere"), numbers="F36"
    ),
    "import-missing": Fault(
        "refused",
        "File to import not found: /etc/coredns/nowhere/file",
        corefile=also("    import /etc/coredns/nowhere/file"),
        numbers="F36",
        ci=True,
    ),
    "snippet-of-itself": Fault(
        "refused", "line 2: snippet (a) imports itself", corefile="(a) {\n    import a\n}\n" + also("    import a"), numbers="F36"
    ),
    "zone-partly-elsewhere": Fault(
        "refused",
        "line 23: a server block of a.clusterset.local takes a part of clusterset.local away",
        corefile=STOCK + "a.clusterset.local:53 {\n    erratic\n}\n",
        numbers="F46",
        ci=True,
    ),
    "kubernetes-twice": Fault(
        "refused",
        "line 22: a server block has the kubernetes plugin twice",
        corefile=also("    kubernetes other.local"),
        numbers="F38",
        ci=True,
    ),
    "unknown-plugin": Fault("refused", "frobnicate", corefile=also("    frobnicate"), numbers="F37", ci=True),
    "bad-forward": Fault(
        "refused",
        'plugin/forward: failed to resolve "nonsense"',
        corefile=STOCK.replace("forward . /etc/resolv.conf", "forward . nonsense"),
        numbers="F37",
    ),
    "bad-cache": Fault(
        "refused",
        'plugin/cache: strconv.Atoi: parsing "many": invalid syntax',
        corefile=STOCK.replace("disable success cluster.local", "success many"),
        numbers="F37",
    ),
    "bad-ttl": Fault("refused", "ttl must be in range [0, 3600]: 99999", corefile=STOCK.replace("ttl 30", "ttl 99999"), numbers="F37"),
    "bad-option": Fault(
        "refused", "plugin/kubernetes: wrong value for pods: secure", corefile=STOCK.replace("pods insecure", "pods secure"), numbers="F37"
    ),
    "foreign-address": Fault(
        "refused", "listen tcp 192.0.2.1:53: bind: cannot assign requested address", corefile=also("    bind 192.0.2.1"), numbers="F37"
    ),
    "loop": Fault(
        "refused",
        "plugin/loop: Loop (127.0.0.1:",
        corefile=also("    loop").replace("/etc/resolv.conf", "127.0.0.1:53"),
        numbers="F37",
        ci=True,
    ),
    "bad-certificate": Fault(
        "refused",
        "plugin/tls: could not load TLS cert: open /none.pem: no such file or directory",
        corefile=STOCK + "tls://example.org {\n    tls /none.pem /none.key\n    erratic\n}\n",
        numbers="F37",
    ),
    "stub-zone": Fault(
        "refused",
        "line 24: clusterset.local is already served in mode forward by lines that were made by hand",
        corefile=STOCK + "clusterset.local:53 {\n    forward . 192.0.2.1\n}\n",
        numbers="F46",
    ),
    # settings
    "zone-is-cluster-domain": Fault(
        "refused", "the zone cluster.local is the cluster domain itself", settings=zone("cluster.local"), numbers="F46"
    ),
    "zone-in-cluster-domain": Fault(
        "refused",
        "the zone svc.cluster.local and the cluster domain cluster.local lie within one another",
        settings=zone("svc.cluster.local"),
        numbers="F46",
    ),
    "zone-with-newline": Fault(
        "refused", "evil.local', which is not a domain name", settings=zone("a.local {\n}\nevil.local"), numbers="F37", ci=True
    ),
    "zone-with-quote": Fault("refused", "zone is 'a.local\"', which is not a domain name", settings=zone('a.local"'), numbers="F37"),
    "zone-label-too-long": Fault(
        "refused",
        "aaa.local', which is not a domain name (letters, digits and hyphens, 63 a label)",
        settings=zone("a" * 64 + ".local"),
        numbers="F37",
    ),
    "zone-is-address": Fault(
        "refused", "zone is '10.0.0.1', which is an address and not a domain name", settings=zone("10.0.0.1"), numbers="F37"
    ),
    "wrong-cluster-domain": Fault(
        "refused",
        "does not answer kubernetes.default.svc.other.example A as it should",
        settings={"coredns_multicluster_cluster_domain": "other.example"},
        numbers="F38",
    ),
    # images
    "image-missing": Fault(
        "refused",
        'ImagePullBackOff: Back-off pulling image "localhost/none/coredns:v1.15.0"',
        settings=image("localhost/none/coredns:v1.15.0"),
        numbers="F43",
        ci=True,
    ),
    "image-name-bad": Fault(
        "refused",
        'InvalidImageName: Failed to apply default image tag "localhost/Not An Image:v1.15.0"',
        settings=image("localhost/Not An Image:v1.15.0"),
        numbers="F43",
    ),
    "image-foreign-architecture": Fault(
        "refused", "exec format error", settings=image("localhost/clusterset-tests/foreign:v1.15.0"), numbers="F43", ci=True
    ),
    "image-of-something-else": Fault(
        "refused", 'exec: "-plugins": executable file not found in $PATH', settings=image("TOOLBOX"), numbers="F43"
    ),
    "image-too-old": Fault(
        "refused",
        "would run CoreDNS 1.12.1, which cannot serve ServiceImports; 1.12.2 or newer can. Set image to one that is.",
        settings=image("STOCK"),
        numbers="F43",
        ci=True,
    ),
    "image-without-plugin": Fault(
        "refused", "Unknown directive 'multicluster'", settings={"coredns_multicluster_mode": "plugin"}, numbers="F43"
    ),
    # where CoreDNS is
    "deployment-elsewhere": Fault(
        "refused",
        "has no CoreDNS Deployment kube-system/nowhere. Found instead: kube-system/coredns, ",
        settings={"coredns_multicluster_deployment": "nowhere"},
        numbers="F40",
        ci=True,
    ),
    "key-missing": Fault(
        "refused",
        "ConfigMap kube-system/fault-key-missing, key Corefile does not exist",
        config_map={"data": {"Corefile": None, "other": STOCK}},
        numbers="F40",
    ),
    "immutable": Fault(
        "refused",
        "ConfigMap kube-system/fault-immutable, key Corefile: the ConfigMap is immutable",
        config_map={"immutable": True},
        numbers="F39",
        ci=True,
    ),
    "paused": Fault(
        "refused",
        "Deployment kube-system/fault-paused is paused, so no change would reach its pods",
        late_deployment={"spec": {"paused": True}},
        numbers="F42",
        ci=True,
    ),
    # as a reload that hangs: the pod is exchanged, where there is room for another
    "reload-too-late": Fault(
        "done", corefile=RELOADS_LATE, early=True, settings={"coredns_multicluster_wait_timeout": 40}, numbers="F41", ci=True
    ),
    "reload-too-late-without-room": Fault(
        "restored",
        "free ports",
        corefile=RELOADS_LATE,
        early=True,
        deployment=container(ports=[{"name": "only-one", "containerPort": 5399, "hostPort": 5399, "protocol": "UDP"}]),
        settings={"coredns_multicluster_wait_timeout": 25},
        numbers="F41",
        ci=True,
    ),
}


@pytest.fixture(scope="module")
def faults(request: pytest.FixtureRequest) -> dict[str, Fault]:
    """Those that were chosen."""
    chosen = {item.callspec.params["name"] for item in request.session.items if getattr(item, "originalname", "") == "test_fault"}
    return {name: fault for name, fault in FAULTS.items() if name in chosen}


@pytest.fixture(scope="module")
def images(fleet: Fleet, member2: Member, site: None, faults: dict[str, Fault], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names of images: ours, the platform's, and one of another architecture, which is put on the node."""
    if "image-foreign-architecture" in faults:
        load_foreign_image(fleet, member2, tmp_path_factory.mktemp("foreign"))
    # other tests may have torn it down since `site`
    fleet.play("playbooks/site.yml")
    annotations = member2.deployment()["metadata"]["annotations"]
    return {
        "OURS": annotations["clusterset.dns/image"],
        "STOCK": annotations["clusterset.dns/original-image"],
        "TOOLBOX": fleet.toolbox,
    }


def load_foreign_image(fleet: Fleet, member: Member, folder: Path) -> None:
    """Put an image on a member's node whose CoreDNS is a program of another architecture: of that no more than its ELF header is ever read."""
    machine = 183 if platform.machine() != "aarch64" else 62
    (folder / "coredns").write_bytes(b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack("<HHI", 2, machine, 1).ljust(48, b"\0"))
    (folder / "coredns").chmod(0o755)
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY coredns /coredns\nENTRYPOINT ["/coredns"]\n')
    name = FAULTS["image-foreign-architecture"].settings["coredns_multicluster_image"]
    subprocess.run(
        ["docker", "build", "-q", "-t", name, str(folder)], env={**ENVIRONMENT, "DOCKER_BUILDKIT": "0"}, check=True, capture_output=True
    )
    kind = fleet.inventory["all"]["vars"]["coredns_publish_kind_binary"]
    subprocess.run([kind, "load", "docker-image", name, "--name", member.name], check=True, capture_output=True)


def put_in(member: Member, name: str, fault: Fault) -> None:
    """Have the running CoreDNS find its fault."""
    patch = {"data": {"Corefile": fault.corefile}, **fault.config_map}
    if patch:
        member.core.patch_namespaced_config_map(f"fault-{name}", "kube-system", patch)
    if fault.late_deployment:
        member.apps.patch_namespaced_deployment(f"fault-{name}", "kube-system", fault.late_deployment)


def run(inventory: Path, stage: str) -> dict[str, str]:
    """The role's stage on all faults. :returns: by host what it failed with."""
    command = Fleet.command("tests/fleet/faults.yml", "--forks", "4", "-e", f"stage={stage}", inventory=inventory)
    environment = {**ENVIRONMENT, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "{" in ran.stdout, f"exit code {ran.returncode}: {ran.stdout[-3000:]}{ran.stderr[-3000:]}"
    report = json.loads(ran.stdout[ran.stdout.index("{") :])
    failed: dict[str, str] = {}
    for play in report["plays"]:
        for task in play["tasks"]:
            for host, result in task["hosts"].items():
                if result.get("failed"):
                    failed[host] = str(result.get("msg", result))
    # what was rescued has failed before: the last words count, and of the hosts those that the recap counts
    return {host: words for host, words in failed.items() if report["stats"][host]["failures"] or report["stats"][host]["unreachable"]}


@contextlib.contextmanager
def scaling(member: Member, faults: dict[str, Fault]) -> t.Iterator[None]:
    """An autoscaler that cannot make up its mind."""
    if "autoscaler" not in faults:
        yield
        return

    def scale(replicas: int) -> None:
        member.apps.patch_namespaced_deployment_scale("fault-autoscaler", "kube-system", {"spec": {"replicas": replicas}})

    wanted = itertools.cycle((3, 2))
    try:
        with repeated(lambda: scale(next(wanted)), every=4):
            yield
    finally:
        scale(2)


def of_ours(member: Member) -> list[str]:
    """What a run may leave in the member beside CoreDNS's own objects: Leases, proofs, and the rights."""
    rights, leases = client.RbacAuthorizationV1Api(member.core.api_client), client.CoordinationV1Api(member.core.api_client)
    found = [
        *leases.list_namespaced_lease("kube-system", label_selector="app.kubernetes.io/managed-by=clusterset.dns").items,
        *member.core.list_namespaced_pod("kube-system", label_selector="clusterset.dns/proof").items,
        *member.core.list_namespaced_config_map("kube-system", label_selector="clusterset.dns/proof").items,
        *rights.list_cluster_role(label_selector="app.kubernetes.io/managed-by=clusterset.dns").items,
        *rights.list_cluster_role_binding(label_selector="app.kubernetes.io/managed-by=clusterset.dns").items,
    ]
    return [one.metadata.name for one in found]


@pytest.fixture(scope="module")
def outcome(
    fleet: Fleet, member2: Member, images: dict[str, str], faults: dict[str, Fault], tmp_path_factory: pytest.TempPathFactory
) -> t.Iterator[dict[str, t.Any]]:
    """What became of each fault: messages, states before and after, states after the way back, and what the probers lost."""
    member2.remove_coredns(LABEL)
    hosts = {}
    for name, fault in faults.items():
        corefile = fault.corefile if fault.early else STOCK
        member2.add_coredns(f"fault-{name}", LABEL, images[fault.starts], corefile, replicas=fault.replicas if fault.asked else 0)
        if fault.deployment:
            member2.apps.patch_namespaced_deployment(f"fault-{name}", "kube-system", fault.deployment)
        settings = {
            "coredns_multicluster_deployment": f"fault-{name}",
            "coredns_multicluster_image": images["OURS"],
            # one that never answers as it should is waited for as long
            "coredns_multicluster_wait_timeout": 120 if fault.asked else 60,
            **fault.settings,
        }
        settings["coredns_multicluster_image"] = images.get(settings["coredns_multicluster_image"], settings["coredns_multicluster_image"])
        hosts[name] = settings
    budget = {"metadata": {"name": "fault-budget", "labels": {LABEL: "true"}}, "spec": {"minAvailable": 2}}
    budget["spec"]["selector"] = {"matchLabels": {"app": "fault-disruption-budget"}}
    member2.policy.create_namespaced_pod_disruption_budget("kube-system", budget)
    inventory = tmp_path_factory.mktemp("faults") / "inventory.yml"
    shared = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "clusterset_kubeconfig": str(LAB / "kubeconfig" / f"{member2.name}.yaml"),
    }
    inventory.write_text(yaml.safe_dump({"all": {"vars": shared, "hosts": hosts}}))

    member2.coredns_ready(LABEL)
    report: dict[str, t.Any] = {"ours_before": of_ours(member2)}
    servers = {
        "kube-dns": member2.service_ip(),
        **{name: member2.service_ip(f"fault-{name}") for name, fault in faults.items() if fault.asked},
    }
    with member2.probing({server: 50 if name == "kube-dns" else 5 for name, server in servers.items()}) as probing:
        for name, fault in faults.items():
            put_in(member2, name, fault)
        report["before"] = {name: member2.state(f"fault-{name}") for name in faults}
        started = time.monotonic()
        with scaling(member2, faults):
            report["said"] = run(inventory, "main")
        report["seconds"] = time.monotonic() - started
        report["after"] = {name: member2.state(f"fault-{name}") for name in faults}
        done = [name for name, fault in faults.items() if fault.outcome == "done"]
        inventory.write_text(yaml.safe_dump({"all": {"vars": shared, "hosts": {name: hosts[name] for name in done}}}))
        if done:
            with scaling(member2, faults):
                report["said_back"] = run(inventory, "teardown")
        report["back"] = {name: member2.state(f"fault-{name}") for name in done}
    report["lost"] = {name: probing.results[server] for name, server in servers.items()}
    report["ours_after"] = of_ours(member2)
    print(json.dumps(report["said"], indent=1), f"in {report['seconds']:.0f} s")
    yield report
    member2.remove_coredns(LABEL)


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.ci] * fault.ci) for name, fault in FAULTS.items()])
def test_fault(name: str, outcome: dict[str, t.Any]) -> None:
    fault = FAULTS[name]
    said, before, after = outcome["said"].get(name, ""), outcome["before"][name], outcome["after"][name]
    if fault.outcome == "done":
        assert not said
        assert "clusterset.local" in after["data"]["Corefile"]
        assert name not in outcome["said_back"], outcome["said_back"][name]
        assert outcome["back"][name] == before
    else:
        assert said, "it was not refused"
        assert fault.says in said
        assert after == before
        assert ("Everything is as it was before. Every pod answers" in said) == (fault.outcome == "restored"), said
        assert ("CoreDNS was not changed for good" in said) == (fault.outcome == "restored"), said
    if fault.asked:
        result = outcome["lost"][name]
        assert result["asked"] > 100
        assert result["lost"] == 0, result["losses"]


@pytest.mark.ci
def test_the_clusters_own_dns_answered_all_the_while(outcome: dict[str, t.Any]) -> None:
    result = outcome["lost"]["kube-dns"]
    assert result["asked"] > 300
    assert result["lost"] == 0, result["losses"]


@pytest.mark.ci
def test_the_rights_that_the_clusters_own_coredns_relies_on_are_there_and_nothing_else(outcome: dict[str, t.Any]) -> None:
    """All of them run as the same service account: neither a refusal nor a way back takes the others' rights away."""
    assert outcome["ours_after"] == outcome["ours_before"] == ["clusterset-dns-coredns", "clusterset-dns-coredns:kube-system:coredns"]


@pytest.mark.ci
def test_a_refusal_is_told_from_all_others() -> None:
    assert all(fault.says for fault in FAULTS.values() if fault.outcome != "done")
