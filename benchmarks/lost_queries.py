# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Queries that clients lose while CoreDNS of a real member is changed, beside those that a plain ``kubectl rollout restart`` costs.

Two clients ask the cluster's DNS address for ``kubernetes.default`` from the member's node, in its network namespace, so that they go the way
of every pod, through kube-proxy's rules: the prober (``tests/prober``), which opens a fresh socket for each question and asks once, from a
thousand addresses in turn, as from one its ports would be used again before conntrack has forgotten them; and Debian's dnsperf, which keeps a
hundred sockets open. Each phase is asked for some seconds more after it has ended, for late losses to be seen.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
LAB = CHECKOUT / ".lab"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "1"))
# Questions a second.
RATES = {"fresh": 1500, "dnsperf": 1000}
# A network for benchmarks (RFC 2544), local to the node's network namespace for as long as clients ask.
SOURCES = "198.18.0.0/22"
SOCKETS = 100
# The old pods' lameduck and some seconds more.
AFTER = 12
NAME = "kubernetes.default.svc.cluster.local."
CGROUPS = Path("/sys/fs/cgroup")
Line = dict[str, t.Any]
Counts = dict[str, int]


class Clients:
    """The clients, for as long as the block lasts; then it has ``{asked, lost}`` of each."""

    def __init__(self, node: str, server: str, folder: Path) -> None:
        template = ["docker", "inspect", "--format", "{{.State.Pid}}", node]
        process = subprocess.run(template, capture_output=True, text=True, check=True).stdout.strip()
        self._inside = ["nsenter", "--target", process, "--net"]
        prober, questions = folder / "prober", folder / "questions"
        questions.write_text(f"{NAME} A\n")
        build = ["go", "build", "-trimpath", "-o", str(prober), "."]
        subprocess.run(build, cwd=CHECKOUT / "tests" / "prober", env={**os.environ, "CGO_ENABLED": "0"}, check=True)
        probe = [str(prober), "-name", NAME]
        dnsperf = ["dnsperf", "-s", server, "-d", str(questions), "-l", "600", "-t", "2", "-T", "1", "-c", str(SOCKETS)]
        self._commands = {
            "fresh": [*probe, "-sources", SOURCES, f"{server}:53={RATES['fresh']}"],
            "dnsperf": [*dnsperf, "-Q", str(RATES["dnsperf"]), "-q", str(4 * RATES["dnsperf"])],
        }

    @contextlib.contextmanager
    def asking(self) -> t.Iterator[dict[str, Counts]]:
        pipes: t.Any = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        counts: dict[str, Counts] = {}
        with self._addresses():
            running = {client: subprocess.Popen([*self._inside, *command], **pipes) for client, command in self._commands.items()}
            try:
                time.sleep(2)
                yield counts
                time.sleep(AFTER)
            finally:
                said = {}
                for client, process in running.items():
                    process.send_signal(signal.SIGINT)
                    said[client] = process.communicate(timeout=30)[0]
        found = next(iter(json.loads(said["fresh"].strip().splitlines()[-1]).values()))
        counts["fresh"] = {"asked": found["asked"], "lost": found["lost"]}
        # Those that were in flight when it was stopped are neither completed nor lost.
        sent, lost = (int(re.search(rf"Queries {word}: +(\d+)", said["dnsperf"])[1]) for word in ("sent", "lost"))
        counts["dnsperf"] = {"asked": sent, "lost": lost}

    @contextlib.contextmanager
    def _addresses(self) -> t.Iterator[None]:
        route = [*self._inside, "ip", "route"]
        subprocess.run([*route, "replace", "local", SOURCES, "dev", "lo"], check=True)
        try:
            yield
        finally:
            subprocess.run([*route, "delete", "local", SOURCES, "dev", "lo"], check=True)


def kubectl(node: str, *words: str) -> str:
    command = ["docker", "exec", node, "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "--namespace", "kube-system", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@contextlib.contextmanager
def giving_way() -> t.Iterator[Path]:
    """A control group whose processes get what the others leave of the cores. :returns: the file that takes in processes by their numbers.

    A low priority is not enough: Ansible's workers are sessions of their own, and the kernel (``sched_autogroup``) lets each session have as
    much as all of Docker's containers together, whatever its processes' priority.
    """
    v1 = (CGROUPS / "cpu").is_dir()
    folder = (CGROUPS / "cpu" if v1 else CGROUPS) / "clusterset-bench"
    if not v1:
        (CGROUPS / "cgroup.subtree_control").write_text("+cpu")
    folder.mkdir(exist_ok=True)
    try:
        (folder / ("cpu.shares" if v1 else "cpu.weight")).write_text("2" if v1 else "1")
        yield folder / "cgroup.procs"
    finally:
        folder.rmdir()


def play(playbook: str, member: str = "", image: str = "") -> None:
    """Run a playbook, for a member on its CoreDNS alone."""
    command = ["ansible-playbook", "-i", str(LAB / "inventory.yml"), str(CHECKOUT / "playbooks" / playbook)]
    command += ["--limit", member, "--tags", "coredns_multicluster"] if member else []
    command += ["-e", json.dumps({"clusterset_image_source": "auto", "clusterset_image": image})] if image else []
    # Elsewhere a playbook does not run on the node whose CoreDNS it changes, which here is not to wait for a core because of it.
    with giving_way() as members:
        ran = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lambda: members.write_text(str(os.getpid())))
    if ran.returncode:
        raise RuntimeError(ran.stdout[-3000:])


def measure() -> t.Iterator[Line]:
    if not shutil.which("dnsperf"):
        raise RuntimeError("dnsperf is not installed: install it (Debian and Ubuntu: apt-get install dnsperf)")
    member = max(yaml.safe_load((LAB / "inventory.yml").read_text())["all"]["children"]["karmada_members"]["hosts"])
    node = f"{member}-control-plane"
    play("site.yml")
    image = kubectl(node, "get", "deployment", "coredns", "--output", "jsonpath={.spec.template.spec.containers[0].image}")
    other = f"localhost/clusterset-bench/{image.rpartition('/')[2]}"
    subprocess.run(["docker", "exec", node, "ctr", "--namespace", "k8s.io", "images", "tag", "--force", image, other], check=True, capture_output=True)
    server = kubectl(node, "get", "service", "kube-dns", "--output", "jsonpath={.spec.clusterIP}")

    def restart() -> None:
        kubectl(node, "rollout", "restart", "deployment", "coredns")
        kubectl(node, "rollout", "status", "deployment", "coredns", "--timeout", "180s")

    phases: dict[str, t.Callable[[], None]] = {
        "teardown": lambda: play("teardown.yml", member),
        "kubectl rollout restart": restart,
        "install": lambda: play("site.yml", member, image),
        "image upgrade": lambda: play("site.yml", member, other),
        "rollback": lambda: play("site.yml", member, image),
    }
    totals = {phase: {client: {"asked": 0, "lost": 0} for client in RATES} for phase in phases}
    with tempfile.TemporaryDirectory() as folder:
        clients = Clients(node, server, Path(folder))
        for _round in range(ROUNDS):
            for phase, change in phases.items():
                with clients.asking() as counts:
                    change()
                for client, one in counts.items():
                    for key, value in one.items():
                        totals[phase][client][key] += value
    peer = totals.pop("kubectl rollout restart")
    ours = {client: {key: sum(one[client][key] for one in totals.values()) for key in ("asked", "lost")} for client in RATES}
    for subject, found in {**totals, "all four": ours}.items():
        yield {
            "subject": subject,
            "peer": "kubectl rollout restart",
            "rounds": ROUNDS,
            **found,
            **{f"peer_{client}": counts for client, counts in peer.items()},
            # queries lost by one change of pods: a phase is one, the four of a round are four
            "ratio": _ratio(found["dnsperf"]["lost"] / (len(totals) if subject == "all four" else 1), peer["dnsperf"]["lost"]),
        }


def _ratio(lost: float, peer: int) -> float | None:
    return round(lost / peer, 3) if peer else None


BENCHES: dict[str, t.Callable[[], t.Iterable[Line]]] = {"lost-queries": measure}
