# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node of the lab: one kind container, which is a whole cluster."""

from __future__ import annotations

import json
import subprocess
import time

# Where the lab notes in a node what it is; gone when the node is made anew.
NOTES = "/etc/clusterset-lab"
ADMIN = "/etc/kubernetes/admin.conf"
KARMADA = f"{NOTES}/karmada.yaml"


class NodeError(Exception):
    """A sentence that says what did not work on which node."""


def run(*argv: str, stdin: bytes | None = None, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess:
    """Run a command that cannot outlive this process."""
    try:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *argv],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        if not check:
            return subprocess.CompletedProcess(argv, 124, b"", b"timed out")
        raise NodeError(f"'{' '.join(argv)}' took longer than {timeout:.0f} s.") from exc
    if check and done.returncode:
        raise NodeError(f"'{' '.join(argv)}' ended with code {done.returncode}: {done.stderr.decode(errors='replace').strip()[-1500:]}")
    return done


class Node:
    """The container NAME-control-plane."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.container = f"{name}-control-plane"

    def inspect(self) -> dict | None:
        """What Docker says about the container; None if there is none."""
        done = run("docker", "container", "inspect", self.container, check=False)
        return json.loads(done.stdout)[0] if done.returncode == 0 else None

    def address(self, network: str, inspected: dict | None = None) -> str:
        """The node's IPv4 address in the lab's network, empty if it has none."""
        inspected = inspected or self.inspect() or {}
        return inspected.get("NetworkSettings", {}).get("Networks", {}).get(network, {}).get("IPAddress", "")

    def execute(self, *argv: str, **more) -> subprocess.CompletedProcess:
        """Run a command in the node."""
        flags = ["-i"] if more.get("stdin") is not None else []
        return run("docker", "exec", *flags, self.container, *argv, **more)

    def kubectl(self, *argv: str, kubeconfig: str = ADMIN, **more) -> subprocess.CompletedProcess:
        """Run the node's own kubectl, on its own cluster unless told otherwise."""
        return self.execute("kubectl", "--kubeconfig", kubeconfig, "--request-timeout=10s", *argv, **more)

    def note(self, key: str) -> str:
        """A note that the lab left in the running node, empty if there is none."""
        done = self.execute("cat", f"{NOTES}/{key}", check=False, timeout=20)
        return done.stdout.decode().strip() if done.returncode == 0 else ""

    def write_note(self, key: str, text: str) -> None:
        """Leave a note in the running node; whole or not at all."""
        self.execute("mkdir", "-p", NOTES)
        self.execute("tee", f"{NOTES}/{key}.new", stdin=text.encode())
        self.execute("mv", f"{NOTES}/{key}.new", f"{NOTES}/{key}")

    def stopped_note(self, key: str) -> str:
        """A note in a node that may be stopped."""
        done = run("docker", "cp", f"{self.container}:{NOTES}/{key}", "-", check=False)
        if done.returncode:
            return ""
        # A tar archive of one short file: its text follows the header of 512 bytes.
        return done.stdout[512:].split(b"\0", 1)[0].decode().strip()

    def trouble(self) -> str:
        """Why the cluster is not usable, in a few words; empty if it is."""
        if self.kubectl("get", "--raw", "/readyz", check=False, timeout=15).returncode:
            return "its API server does not answer"
        found = self.kubectl("get", "nodes,deployments", "-n", "kube-system", "-o", "json", check=False, timeout=20)
        if found.returncode:
            return "its API server does not list nodes"
        for item in json.loads(found.stdout)["items"]:
            if item["kind"] == "Node":
                ready = {condition["type"]: condition["status"] for condition in item["status"].get("conditions", [])}.get("Ready")
                # A kubelet that is gone is noticed by its lease only after 40 s: its own port tells at once.
                if ready != "True":
                    return "its node is not Ready"
            elif item["metadata"]["name"] == "coredns" and not item["status"].get("availableReplicas"):
                return "its CoreDNS is not available"
        if self.execute("systemctl", "is-active", "--quiet", "kubelet", "containerd", check=False, timeout=15).returncode:
            return "its kubelet does not run"
        return ""

    def wait(self, seconds: float) -> str:
        """Wait until the cluster is usable; what is still wrong after that, else empty."""
        end = time.monotonic() + seconds
        while True:
            trouble = self.trouble()
            if not trouble or time.monotonic() > end:
                return trouble
            time.sleep(2)

    def remove(self) -> bool:
        """Remove the container and its volumes."""
        if self.inspect() is None:
            return False
        run("docker", "rm", "--force", "--volumes", self.container, timeout=120)
        return True
