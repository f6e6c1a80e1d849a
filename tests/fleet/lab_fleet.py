# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The lab's fleet (`make lab`), for tests that change it as a user would and ask it by other means than the collection's own."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import threading
import time
import typing as t
from pathlib import Path

import yaml
from kubernetes import client, config
from kubernetes.stream import stream

CHECKOUT = Path(__file__).resolve().parents[2]
LAB = CHECKOUT / ".lab"
ENVIRONMENT = {
    **os.environ,
    "PATH": f"{CHECKOUT / '.venv' / 'bin'}:{os.environ['PATH']}",
    "ANSIBLE_CONFIG": str(CHECKOUT / "ansible.cfg"),
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_PIPELINING": "1",
}
# Where the prober's binary lies in the node: kind nodes are containers, and copying a file into one needs no image.
NODE_FOLDER = "/opt/clusterset-tests"
KUBEADM_COREFILE = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    reload
    loadbalance
}
"""


def reloading_often(corefile: str) -> str:
    """A Corefile like kubeadm's, with which CoreDNS looks for another one each 2 seconds and not each 30, so that tests wait less."""
    return corefile.replace("    reload\n", "    reload 2s 1s\n")


def wait_for(what: str, check: t.Callable[[], t.Any], seconds: float = 120, pause: float = 0.2) -> t.Any:
    """What ``check`` returns as soon as it is true; fails the test with ``what`` otherwise."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(pause)
    raise AssertionError(f"{what}: not within {seconds:g} s")


def kill_all(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that the test has started and to all that it started: Ansible's workers are in sessions of their own."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    for one in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


@contextlib.contextmanager
def repeated(call: t.Callable[[], t.Any], every: float = 0.1) -> t.Iterator[None]:
    """With ``call`` made over and over beside the block, as by an operator; what comes in its way is left to the next time."""
    over = threading.Event()
    failed: list[BaseException] = []

    def work() -> None:
        while not over.wait(every):
            try:
                call()
            except client.ApiException as error:
                if error.status not in (404, 409):
                    failed.append(error)
                    return

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not failed, str(failed[0])


@dataclasses.dataclass
class Probing:
    """A prober under way; once it has been stopped ``results`` has for each server ``{asked, lost, seconds, losses}``."""

    pod: str
    results: dict[str, dict[str, t.Any]] = dataclasses.field(default_factory=dict)


class Member:
    """One member cluster, reached by the Kubernetes project's own client."""

    def __init__(self, name: str, toolbox: str) -> None:
        self.name = name
        self.toolbox = toolbox
        api = config.new_client_from_config(str(LAB / "kubeconfig" / f"{name}.yaml"))
        self.core, self.apps, self.policy = client.CoreV1Api(api), client.AppsV1Api(api), client.PolicyV1Api(api)
        self._api = api

    def raw(self, item: t.Any) -> t.Any:
        """What the client read, as the plain data that the API server sent."""
        return self._api.sanitize_for_serialization(item)

    def deployment(self, name: str = "coredns") -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.raw(self.apps.read_namespaced_deployment(name, "kube-system")))

    def config_map(self, name: str = "coredns") -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", self.raw(self.core.read_namespaced_config_map(name, "kube-system")))

    def state(self, name: str = "coredns") -> dict[str, t.Any]:
        """What a way back has to give back: the ConfigMap's data, the Deployment's spec, and the annotations of both."""
        deployment, config_map = self.deployment(name), self.config_map(name)
        annotations = [one["metadata"].get("annotations") or {} for one in (deployment, config_map)]
        return {
            "data": config_map.get("data"),
            "spec": deployment["spec"],
            "annotations": [{key: value for key, value in one.items() if "/revision" not in key} for one in annotations],
        }

    def pods(self, selector: str, namespace: str = "kube-system") -> list[dict[str, t.Any]]:
        found = self.core.list_namespaced_pod(namespace, label_selector=selector)
        return [pod for pod in self.raw(found)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def rolled_out(self) -> bool:
        """Whether CoreDNS's Deployment has nothing but pods of its present template, all available."""
        deployment = self.deployment()
        status = deployment["status"]
        counts = {status.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")}
        return status["observedGeneration"] == deployment["metadata"]["generation"] and counts == {deployment["spec"]["replicas"]}

    def service_ip(self, name: str = "kube-dns", namespace: str = "kube-system") -> str:
        return str(self.core.read_namespaced_service(name, namespace).spec.cluster_ip)

    def add_coredns(self, name: str, label: str, image: str, corefile: str, *, replicas: int = 1) -> None:
        """A CoreDNS beside the cluster's own and like it: ConfigMap, Deployment and Service of one name."""
        labels = {"app": name, label: "true"}
        spec = self.deployment()["spec"]
        template = spec["template"]
        spec["replicas"] = replicas
        spec["selector"] = {"matchLabels": {"app": name}}
        template["metadata"] = {"labels": labels}
        template["spec"].pop("affinity", None)
        template["spec"]["volumes"][0]["configMap"] = {"name": name, "items": [{"key": "Corefile", "path": "Corefile"}]}
        runs = template["spec"]["containers"][0]
        runs.pop("resources", None)
        runs["image"] = image
        metadata = {"name": name, "namespace": "kube-system", "labels": labels}
        ports = [{"name": protocol.lower(), "port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
        self.core.create_namespaced_config_map("kube-system", {"metadata": metadata, "data": {"Corefile": corefile}})
        self.apps.create_namespaced_deployment("kube-system", {"metadata": metadata, "spec": spec})
        self.core.create_namespaced_service("kube-system", {"metadata": metadata, "spec": {"selector": {"app": name}, "ports": ports}})

    def coredns_ready(self, label: str) -> None:
        """Wait until every CoreDNS with the label is ready."""

        def ready() -> bool:
            found = self.raw(self.apps.list_namespaced_deployment("kube-system", label_selector=label))["items"]
            return all(one["status"].get("readyReplicas", 0) == one["spec"]["replicas"] for one in found)

        wait_for(f"every CoreDNS labelled {label} is ready", ready, 300, pause=1)

    def remove_coredns(self, label: str) -> None:
        """Remove every CoreDNS with the label, those that an earlier run left as well."""
        options = {"label_selector": label}
        self.apps.delete_collection_namespaced_deployment("kube-system", **options)
        self.core.delete_collection_namespaced_config_map("kube-system", **options)
        self.policy.delete_collection_namespaced_pod_disruption_budget("kube-system", **options)
        for service in self.core.list_namespaced_service("kube-system", **options).items:
            self.core.delete_namespaced_service(service.metadata.name, "kube-system")
        wait_for("pods of an earlier run are gone", lambda: not self.pods(label), 120)

    def wait_gone(self, namespace: str) -> None:
        """Wait until a namespace that is being deleted is no more."""
        wait_for(f"namespace {namespace} is gone", lambda: namespace not in {one.metadata.name for one in self.core.list_namespace().items})

    @contextlib.contextmanager
    def probing(self, rates: dict[str, int], name: str = "kubernetes.default.svc.cluster.local.") -> t.Iterator[Probing]:
        """Have a pod ask DNS servers (by address) so many times a second, with a fresh socket each time, for as long as the block lasts."""
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"generateName": "prober-", "labels": {"app": "clusterset-prober"}},
            "spec": {
                "restartPolicy": "Never",
                "terminationGracePeriodSeconds": 0,
                "tolerations": [{"operator": "Exists"}],
                "containers": [
                    {
                        "name": "prober",
                        "image": self.toolbox,
                        "command": ["/probe/prober", "-name", name, *(f"{server}:53={rate}" for server, rate in rates.items())],
                        "volumeMounts": [{"name": "probe", "mountPath": "/probe"}],
                    }
                ],
                "volumes": [{"name": "probe", "hostPath": {"path": NODE_FOLDER}}],
            },
        }
        pod = self.core.create_namespaced_pod("default", body).metadata.name
        probing = Probing(pod)
        try:
            wait_for(f"prober {pod} runs", lambda: "asking" in self._log(pod), 60)
            yield probing
            self._exec(pod, "kill -TERM 1")
            wait_for(f"prober {pod} has ended", lambda: self._log(pod).rstrip().endswith("}"), 60)
            found = json.loads(self._log(pod).strip().splitlines()[-1])
            probing.results.update({server.removesuffix(":53"): report for server, report in found.items()})
        finally:
            self.core.delete_namespaced_pod(pod, "default")

    def dig(self, probing: Probing, server: str, name: str) -> str:
        """What dig says in the prober's pod."""
        return self._exec(probing.pod, f"dig @{server} {name} A")

    def _log(self, pod: str) -> str:
        with contextlib.suppress(client.ApiException):
            return str(self.core.read_namespaced_pod_log(pod, "default", _preload_content=False).data.decode())
        return ""

    def _exec(self, pod: str, command: str) -> str:
        return stream(self.core.connect_get_namespaced_pod_exec, pod, "default", command=["bash", "-c", command], stderr=True, stdout=True)


class Fleet:
    """The lab's inventory and its clusters."""

    def __init__(self) -> None:
        self.inventory = yaml.safe_load((LAB / "inventory.yml").read_text())
        self.toolbox = self.inventory["all"]["vars"]["dns_verify_http_image"]
        self.names = sorted(self.inventory["all"]["children"]["karmada_members"]["hosts"])

    def member(self, name: str) -> Member:
        return Member(name, self.toolbox)

    @staticmethod
    def command(playbook: str | Path, *arguments: str, inventory: str | Path = LAB / "inventory.yml") -> list[str]:
        return ["ansible-playbook", "-i", str(inventory), str(CHECKOUT / playbook), *arguments]

    def play(self, playbook: str | Path, *arguments: str, inventory: str | Path = LAB / "inventory.yml") -> str:
        """Run a playbook as a user would. :returns: what it prints. Fails the test if it fails."""
        command = self.command(playbook, *arguments, inventory=inventory)
        ran = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
        return ran.stdout
