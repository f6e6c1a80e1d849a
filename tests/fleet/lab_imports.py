# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""ServiceImports made straight on a member, in a namespace that Karmada does not know, and sync.yml run on them as a user would."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import socket
import subprocess
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import yaml
from kubernetes import client
from lab_fleet import ENVIRONMENT, LAB, Fleet, Member, wait_for

MCS = ("multicluster.x-k8s.io", "v1alpha1")
LABEL = "clusterset-imports-test"
# The ResourceInterpreterCustomization that the role places.
RULE = "clusterset-dns-serviceimport-ips"
Object = dict[str, t.Any]


class Imports:
    """``with Imports(member) as imports``: a namespace with ServiceImports and Services of ours, removed at the end."""

    def __init__(self, member: Member) -> None:
        self.member = member
        self.core = member.core
        self.custom = client.CustomObjectsApi(member.core.api_client)
        self.namespace = ""

    def __enter__(self) -> Imports:
        self._remove()
        body = {"metadata": {"generateName": "imports-", "labels": {LABEL: "true"}}}
        self.namespace = self.core.create_namespace(body).metadata.name
        return self

    def __exit__(self, *unused: object) -> None:
        self._remove()

    def _remove(self) -> None:
        for namespace in self.core.list_namespace(label_selector=LABEL).items:
            if not namespace.metadata.deletion_timestamp:
                self.core.delete_namespace(namespace.metadata.name)

    def service(self, name: str, **spec: t.Any) -> str:
        """A Service without a selector, as Karmada derives them. :returns: its ClusterIP."""
        # kube-proxy leaves it alone
        metadata = {"name": name, "labels": {"service.kubernetes.io/service-proxy-name": "none"}}
        body = {"metadata": metadata, "spec": {"ports": [{"name": "http", "port": 80}], **spec}}
        return str(self.core.create_namespaced_service(self.namespace, body).spec.cluster_ip)

    def add(self, name: str, *ips: str, manager: str = "karmada-test", **spec: t.Any) -> str:
        """An import that has these addresses. :returns: ``NAMESPACE/NAME``."""
        body = {
            "apiVersion": "/".join(MCS),
            "kind": "ServiceImport",
            "metadata": {"name": name},
            "spec": {"type": "ClusterSetIP", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}], **({"ips": list(ips)} if ips else {}), **spec},
        }
        self.custom.create_namespaced_custom_object(*MCS, self.namespace, "serviceimports", body, field_manager=manager)
        return f"{self.namespace}/{name}"

    def add_many(self, count: int) -> dict[str, list[str]]:
        """Imports with a derived Service each. :returns: the addresses that they should get."""
        names = [f"many-{number:03}" for number in range(count)]
        with ThreadPoolExecutor(8) as pool:
            addresses = list(pool.map(lambda name: self.service(f"derived-{name}"), names))
            list(pool.map(self.add, names))
        return {name: [address] for name, address in zip(names, addresses, strict=True)}

    def found(self) -> dict[str, Object]:
        items = self.custom.list_namespaced_custom_object(*MCS, self.namespace, "serviceimports")["items"]
        return {one["metadata"]["name"]: one for one in items}

    def ips(self) -> dict[str, list[str]]:
        return {name: one["spec"].get("ips", []) for name, one in self.found().items()}

    def versions(self) -> dict[str, str]:
        return {name: one["metadata"]["resourceVersion"] for name, one in self.found().items()}


@dataclasses.dataclass
class Report:
    """What a run of sync.yml said: per host what it failed with, and what the module returned."""

    returncode: int
    failed: dict[str, str]
    result: Object
    changed: int
    text: str

    def rows(self, member: str) -> dict[str, Object]:
        """The module's rows of one member, by the import's name."""
        return {row["name"]: row for row in self.result.get("imports", []) if row["cluster"] == member}


def sync(*arguments: str, inventory: Path | str = LAB / "inventory.yml", settings: Object | None = None) -> Report:
    """Run playbooks/sync.yml to its end."""
    command = Fleet.command("playbooks/sync.yml", *arguments, "-e", json.dumps(settings or {}), inventory=inventory)
    environment = {**ENVIRONMENT, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in ran.stdout + ran.stderr, ran.stdout[-4000:] + ran.stderr[-4000:]
    report = json.loads(ran.stdout[ran.stdout.index("{") :])
    failed: dict[str, str] = {}
    result: Object = {}
    for play in report["plays"]:
        for task in play["tasks"]:
            for host, answer in task["hosts"].items():
                if answer.get("failed"):
                    failed[host] = str(answer.get("msg", answer))
                if "failed_members" in answer:
                    result = answer
    changed = sum(stats["changed"] for stats in report["stats"].values())
    return Report(ran.returncode, failed, result, changed, ran.stdout + ran.stderr)


def inventory_of(folder: Path, hosts: dict[str, Object]) -> Path:
    """An inventory with the lab's control plane and these members, each a kubeconfig or variables."""
    members = {name: {"clusterset_kubeconfig": kubeconfig(folder, name, one)} if "clusters" in one else one for name, one in hosts.items()}
    shared = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    karmada = {"clusterset_kubeconfig": str(LAB / "kubeconfig" / "karmada.yaml")}
    content = {"all": {"vars": shared, "hosts": {"karmada": karmada}, "children": {"karmada_members": {"hosts": members}}}}
    file = folder / "inventory.yml"
    file.write_text(yaml.safe_dump(content))
    return file


def kubeconfig(folder: Path, name: str, content: Object) -> str:
    file = folder / f"{name}.kubeconfig.yaml"
    file.write_text(yaml.safe_dump(content))
    return str(file)


def lab_kubeconfig(name: str, *, server: str = "", user: Object | None = None, **cluster: t.Any) -> Object:
    """A cluster's kubeconfig, with something else in it."""
    content = yaml.safe_load((LAB / "kubeconfig" / f"{name}.yaml").read_text())
    content["clusters"][0]["cluster"].update({**({"server": server} if server else {}), **cluster})
    if user is not None:
        content["users"][0]["user"] = user
    return t.cast("Object", content)


def kill_when(what: str, reached: t.Callable[[], t.Any], *arguments: str, settings: Object) -> None:
    """Start sync.yml and kill it, and all that it started, with -9 once something has been reached."""
    command = Fleet.command("playbooks/sync.yml", *arguments, "-e", json.dumps(settings))
    running = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait_for(what, lambda: reached() or running.poll() is not None, 120, pause=0.01)
        assert running.poll() is None, f"sync.yml ended before {what}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


class Wire:
    """``with Wire(URL) as wire``: a way to an API server on loopback, ``wire.url``, that can be slow or be cut. TLS passes through it.

    :arg delay: seconds that each request is held back. The TLS handshake is not.
    """

    def __init__(self, url: str, delay: float = 0) -> None:
        parts = urlsplit(url)
        self._target = (str(parts.hostname), int(parts.port or 443))
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Wire:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self.cut()

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _address = self._listener.accept()
                far = socket.create_connection(self._target)
                self._ends += [near, far]
                threading.Thread(target=self._pump, args=(near, far, self._delay), daemon=True).start()
                threading.Thread(target=self._pump, args=(far, near, 0), daemon=True).start()

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket, delay: float) -> None:
        handshake = 2  # of what a client sends: its hello, and that it is done
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                handshake -= 1
                time.sleep(delay if handshake < 0 else 0)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_RDWR)
