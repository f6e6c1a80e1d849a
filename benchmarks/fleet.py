# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a settled fleet costs, by its size: site.yml, verify.yml and a first look, beside a look that is a process for each member.

The members are stand-ins that answer after 50 ms (``fleet_standin.py``), as no machine holds hundreds of clusters; everything that is asked
of them, DNS by port-forward included, is asked as of real ones. They need no lab. ``python benchmarks/fleet.py SIZE …`` measures some sizes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import typing as t
import urllib.request
from pathlib import Path

from process import Run, run

CHECKOUT = Path(__file__).resolve().parents[1]
SIZES = (2, 20, 100, 500)
DELAY = 0.05
# Seconds: a machine that does other things as well is late, and that is not what is measured.
DEADLINE = 900
# Up to how many members the peer is measured; beyond, it is computed from these.
PEER_SIZES = (2, 20)
SERVICE = {"namespace": "default", "name": "serve", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}], "from_clusters": ["m000"]}
Line = dict[str, t.Any]


class Fleet:
    """``with Fleet(100) as fleet``: stand-ins, an inventory of them, and all settled by site.yml itself."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Fleet:
        with contextlib.ExitStack() as stack:
            self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            command = [sys.executable, CHECKOUT / "benchmarks" / "fleet_standin.py", str(self.size), str(DELAY)]
            process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            assert process.stdin
            assert process.stdout
            stack.callback(process.stdin.close)
            self.url = process.stdout.readline().strip()
            self.names = [f"m{number:03}" for number in range(self.size)]
            hosts = {name: {"clusterset_host": f"{self.url}/{name}"} for name in ("karmada", *self.names)}
            everywhere = {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "clusterset_image_source": "keep",
                "clusterset_services": [SERVICE],
                **{f"{role}_deadline": DEADLINE for role in ("coredns_multicluster", "dns_verify", "serviceimport_ips")},
            }
            members = {"hosts": {name: hosts[name] for name in self.names}}
            inventory = {"all": {"vars": everywhere, "hosts": {"karmada": hosts["karmada"]}, "children": {"karmada_members": members}}}
            (self.folder / "fleet.json").write_text(json.dumps(inventory))
            # behind all members is the same stand-in, so that one is enough, and nobody asks it meanwhile
            waits = {f"coredns_multicluster_{wait}_seconds": 0 for wait in ("settle", "drain")}
            limits = ("--limit", f"karmada,{self.names[0]}", "--skip-tags", "dns_verify", "--extra-vars", json.dumps(waits))
            self.play(CHECKOUT / "playbooks" / "site.yml", *limits)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *unused: object) -> None:
        self._stack.close()

    def play(self, *options: str | Path) -> tuple[Run, float]:
        """A playbook that has to change nothing more in the end, and how many requests it sent to each member."""
        self._counted()
        done = run("ansible-playbook", "-i", self.folder / "fleet.json", *options, cwd=CHECKOUT, env={"K8S_AUTH_API_KEY": "none"})
        counts = self._counted()
        return done, sum(counts.get(name, 0) for name in self.names) / self.size

    def settled(self, *options: str | Path) -> Line:
        """What a playbook costs that has nothing to do; RuntimeError where it had."""
        done, requests = self.play(*options)
        recap = done.output.rpartition("PLAY RECAP")[2]
        if "changed=0" not in recap or any(word in recap.replace("changed=0", "") for word in ("changed=", "failed=1", "unreachable=1")):
            raise RuntimeError(f"the fleet was not settled:\n{done.output[-3000:]}")
        return cost(done, requests)

    def task(self, name: str, hosts: str, **task: t.Any) -> Line:
        """What one task costs."""
        play = {"name": name, "hosts": hosts, "gather_facts": False, "tasks": [{"name": name, **task}]}
        file = self.folder / "play.yml"
        file.write_text(json.dumps([play]))
        return self.settled(file)

    def _counted(self) -> dict[str, int]:
        with urllib.request.urlopen(f"{self.url}/-/counted") as answer:
            return t.cast("dict[str, int]", json.load(answer))


def cost(done: Run, requests: float) -> Line:
    return {
        "seconds": done.seconds,
        "cpu_seconds": done.cpu_seconds,
        "rss_mb": done.rss_mb,
        "largest_process_mb": done.largest_mb,
        "descriptors": done.descriptors,
        "requests_a_member": round(requests, 1),
    }


def first_look(fleet: Fleet) -> Line:
    """The look at all members alone, in one process."""
    members = [{"name": name, "host": f"{fleet.url}/{name}"} for name in fleet.names]
    return fleet.task("Look", "karmada", **{"clusterset.dns.coredns_multicluster_info": {"members": members, "deadline": DEADLINE}})


def look_each(fleet: Fleet) -> Line:
    """The same look as a task for each host, which is a process for each member: what Ansible does with a module of one cluster."""
    module = {"name": "{{ inventory_hostname }}", "host": "{{ clusterset_host }}"}
    return fleet.task("Look", "karmada_members", check_mode=True, **{"clusterset.dns.coredns_multicluster": module})


def extrapolated(costs: dict[int, Line], size: int) -> Line:
    """The peer's seconds for more members than it was measured with."""
    small, large = PEER_SIZES

    def at(key: str) -> float:
        a_member = (costs[large][key] - costs[small][key]) / (large - small)
        return round(costs[small][key] + (size - small) * a_member, 1)

    return {key: at(key) for key in ("seconds", "cpu_seconds")} | {"scaled": f"from {small} and {large} members"}


WORKS: dict[str, t.Callable[[Fleet], Line]] = {
    "site.yml, converged": lambda fleet: fleet.settled(CHECKOUT / "playbooks" / "site.yml"),
    "verify.yml": lambda fleet: fleet.settled(CHECKOUT / "playbooks" / "verify.yml"),
    "first look": first_look,
}


def measure(sizes: t.Sequence[int] = SIZES) -> t.Iterator[Line]:
    peers: dict[int, Line] = {}
    earlier: dict[str, Line] = {}
    for size in sorted({*sizes, *PEER_SIZES}):
        with Fleet(size) as fleet:
            if size in PEER_SIZES:
                peers[size] = look_each(fleet)
            for what, work in WORKS.items() if size in sizes else ():
                subject = {"what": what, **work(fleet)}
                # beside the peer of the same size; the smallest fleet comes before the peer's larger one was measured
                peer = peers[size] if size in peers else extrapolated(peers, size)
                before = earlier.get(what)
                yield {
                    "members": size,
                    "subject": subject,
                    "peer": {"what": "the look alone, as a task of module coredns_multicluster for each host", **peer},
                    "ratio": round(subject["cpu_seconds"] / peer["cpu_seconds"], 3),
                    **({"cpu_seconds_each_member_more": each_more(before, size, subject)} if before else {}),
                    "load": os.getloadavg()[0],
                    "unit": "of the whole ansible-playbook process with its children; ratio of CPU seconds; members are stand-ins that answer after 50 ms",
                }
                earlier[what] = {"size": size, **subject}


def each_more(before: Line, size: int, subject: Line) -> float:
    """CPU seconds that each member more costs, from the next smaller fleet to this one."""
    return round((subject["cpu_seconds"] - before["cpu_seconds"]) / (size - before["size"]), 3)


BENCHES: dict[str, t.Callable[[], t.Iterable[Line]]] = {"fleet": measure}


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["ANSIBLE_CONFIG"] = str(CHECKOUT / "ansible.cfg")
    for line in measure([int(size) for size in sys.argv[1:]] or SIZES):
        print(json.dumps({"bench": "fleet", **line}), flush=True)
