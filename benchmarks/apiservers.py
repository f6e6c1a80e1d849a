# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Real API servers without a cluster behind them: pairs of kube-apiserver and etcd, as processes of this machine, from the lab's cache."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

CACHE = Path(os.environ.get("CLUSTERSET_LAB_CACHE") or Path.home() / ".cache" / "clusterset-lab")
# Every request for ServiceImports that was answered, with verb and path.
AUDIT = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "resources": [{"group": "multicluster.x-k8s.io"}]}, {"level": "None"}],
}


def _program(pattern: str) -> Path:
    found = sorted(CACHE.glob(pattern))
    if not found:
        raise RuntimeError(f"{CACHE} has no {pattern}: only a lab whose images were compiled (lab_images=modules) leaves it there.")
    return found[-1]


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a killed bench leaves nothing that runs


# Below those that Linux gives to outgoing connections, and none twice: an API server whose etcd found its port taken talks to another's.
_PORTS = iter(range(20000, 32000))


def _free_port() -> int:
    for port in _PORTS:
        with socket.socket() as one, contextlib.suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("no port from 20000 to 31999 is free")


class ApiServer:
    """``start()``, ``stop()`` and ``start()`` again keep what is stored; ``kubeconfig`` reaches it with all rights, ``etcd`` is etcd's URL.

    :arg flags: more of kube-apiserver's; the last of the same name counts.
    """

    def __init__(self, folder: Path, *flags: str) -> None:
        self.folder = folder
        self.etcd = ""
        self._flags = flags
        self.kubeconfig = folder / "kubeconfig.yaml"
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = _free_port()
        self._certificate = folder / "certificates" / "apiserver.crt"
        folder.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        """Returns at once; ``wait`` until it answers."""
        folder, client, peer = self.folder, _free_port(), _free_port()
        self.etcd = f"http://127.0.0.1:{client}"
        if not (folder / "sa.key").exists():
            command = ["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"]
            subprocess.run(command, check=True, capture_output=True)
        (folder / "tokens.csv").write_text("bench,bench,bench,system:masters\n")
        (folder / "audit.json").write_text(json.dumps(AUDIT))
        self._spawn(
            _program("etcd-*/server"),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={self.etcd}",
            f"--advertise-client-urls={self.etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
        )
        self._spawn(
            _program("kubernetes-*/kube-apiserver"),
            f"--etcd-servers={self.etcd}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._port}",
            f"--cert-dir={folder / 'certificates'}",
            "--service-cluster-ip-range=10.96.0.0/14",
            "--service-account-issuer=https://bench.invalid",
            f"--service-account-key-file={folder / 'sa.key'}",
            f"--service-account-signing-key-file={folder / 'sa.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-policy-file={folder / 'audit.json'}",
            f"--audit-log-path={folder / 'audit.log'}",
            *self._flags,
        )
        cluster = {"server": f"https://127.0.0.1:{self._port}", "certificate-authority": str(self._certificate)}
        access = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bench",
            "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
            "clusters": [{"name": "bench", "cluster": cluster}],
            "users": [{"name": "bench", "user": {"token": "bench"}}],
        }
        self.kubeconfig.write_text(json.dumps(access))

    def wait(self) -> None:
        request = urllib.request.Request(f"https://127.0.0.1:{self._port}/readyz", headers={"Authorization": "Bearer bench"})
        for _attempt in range(240):
            with contextlib.suppress(OSError):  # not there yet, nor its certificate, or not ready
                context = ssl.create_default_context(cafile=self._certificate)
                with urllib.request.urlopen(request, context=context, timeout=5):
                    return
            if any(process.poll() is not None for process in self._processes):
                break
            time.sleep(0.5)
        raise RuntimeError(f"kube-apiserver does not get ready, see {self.folder}:\n{(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        # kube-apiserver keeps nothing itself, and would wait for requests that its etcd does not answer any more.
        for apiserver in self._processes[1:]:
            apiserver.kill()
        for process in self._processes:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        self._processes = []

    def copy(self, folder: Path) -> ApiServer:
        """Another one with the same objects. To be called while this one is stopped."""
        shutil.copytree(self.folder / "etcd", folder / "etcd")
        return ApiServer(folder)

    def audited(self) -> dict[str, int]:
        """How many requests for ServiceImports the audit log holds, by verb."""
        counts: dict[str, int] = {}
        log = self.folder / "audit.log"
        for line in log.read_text().splitlines() if log.exists() else ():
            verb = json.loads(line)["verb"]
            counts[verb] = counts.get(verb, 0) + 1
        return counts

    def _spawn(self, *command: str | Path) -> None:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=_end_with_parent
            )
        self._processes.append(process)
