# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""``spec.ips`` of many ServiceImports: ``playbooks/sync.yml`` beside what kubernetes.core offers, as whole processes.

On a member of the lab, imports and derived Services are made straight in a namespace of its own, which is removed at the end; what a killed
run left is removed by the next. Writes are counted by the API server (its metric apiserver_request_total for ServiceImports, without dry
runs), not by who made them. The peers are handed the right addresses, which the subject has to find out.

Fifty clusters are API stand-ins that answer after 50 ms (``standin.py``). Eight are real API servers (``apiservers.py``), whose audit logs
count.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from apiservers import ApiServer
from process import Run, run

CHECKOUT = Path(__file__).resolve().parents[1]
LAB = CHECKOUT / ".lab"
INVENTORY = LAB / "inventory.yml"
MCS = "/apis/multicluster.x-k8s.io/v1alpha1"
LABEL = "clusterset.dns/bench"
NAMESPACE = "bench-serviceimports"
ROUNDS = 3
LOOP_PART = 20
# What ansible-playbook works on at once unless it is told otherwise.
FORKS = 5
# Annotations as long as those that Karmada puts on what it delivers: what is read has its true size.
FILLER = {"clusterset.dns/bench-filler": "x" * 1200}
Line = dict[str, t.Any]


class Objects:
    """Imports and derived Services in the namespace of the bench, through one API server."""

    def __init__(self, api: Cluster, services: dict[str, str] | None = None) -> None:
        self.api = api
        self.services = services or {}

    def add(self, count: int) -> None:
        """So many imports without addresses, with a derived Service each."""
        names = [f"s{number:05}" for number in range(len(self.services), count)]
        for name, answer in zip(names, self._each(self._create_service, names), strict=True):
            self.services[name] = answer["spec"]["clusterIP"]
        self._each(self._create_import, names)

    def clear(self) -> None:
        """The same imports, made anew."""
        self.api.delete(f"{MCS}/namespaces/{NAMESPACE}/serviceimports")
        while self._imports():
            time.sleep(0.5)
        self._each(self._create_import, self.services)

    def empty(self, names: t.Iterable[str]) -> None:
        """Take the addresses of these imports away."""
        for name in names:
            self.api.patch(f"{MCS}/namespaces/{NAMESPACE}/serviceimports/{name}", {"spec": {"ips": None}})

    def move(self, name: str) -> None:
        """Another ClusterIP for one derived Service."""
        self.api.delete(f"/api/v1/namespaces/{NAMESPACE}/services/derived-{name}")
        self.services[name] = self._create_service(name)["spec"]["clusterIP"]

    def check(self) -> None:
        """RuntimeError unless every import has the address of its derived Service."""
        wrong = [name for name, ips in self._imports().items() if ips != [self.services[name]]]
        if wrong or not self.services:
            raise RuntimeError(f"{len(wrong)} imports do not have the right address, {wrong[:3]} among them")

    def manifests(self, names: t.Iterable[str]) -> list[Line]:
        """What the peers are to apply."""
        return [manifest(NAMESPACE, name, self.services[name]) for name in names]

    def _create_service(self, name: str) -> Line:
        body = {
            # kube-proxy leaves it alone: the member's network is not what is measured
            "metadata": {"name": f"derived-{name}", "labels": {"service.kubernetes.io/service-proxy-name": "none"}, "annotations": FILLER},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        }
        return self.api.create(f"/api/v1/namespaces/{NAMESPACE}/services", body)

    def _create_import(self, name: str) -> Line:
        body = {
            "apiVersion": "multicluster.x-k8s.io/v1alpha1",
            "kind": "ServiceImport",
            "metadata": {"name": name, "annotations": FILLER},
            "spec": {"type": "ClusterSetIP", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        }
        return self.api.create(f"{MCS}/namespaces/{NAMESPACE}/serviceimports", body)

    def _imports(self) -> dict[str, list[str]]:
        found = self.api.list(f"{MCS}/namespaces/{NAMESPACE}/serviceimports", limit=2500)
        return {one["metadata"]["name"]: one["spec"].get("ips") for one in found}

    @staticmethod
    def _each(function: t.Callable[[str], Line], names: t.Iterable[str]) -> list[Line]:
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(function, names))


class Bed(Objects):
    """``with Bed() as bed``: the lab's last member, with a namespace for this bench alone."""

    def __init__(self) -> None:
        kubeconfigs = sorted((LAB / "kubeconfig").glob("member*.yaml"))
        if not kubeconfigs:
            raise RuntimeError(f"There is no lab: no {LAB / 'kubeconfig'}/member*.yaml. Run make lab.")
        self.member = kubeconfigs[-1].stem
        super().__init__(api_of(kubeconfigs[-1]))

    def __enter__(self) -> Bed:
        self._remove()
        if self.api.get(MCS, missing_ok=True) is None:
            site = CHECKOUT / "playbooks" / "site.yml"
            run("ansible-playbook", "-i", INVENTORY, site, "--tags", "mcs_crds", cwd=CHECKOUT)
        self.api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": {LABEL: "true"}}})
        return self

    def __exit__(self, *unused: object) -> None:
        self._remove()

    def _remove(self) -> None:
        while namespaces := self.api.list("/api/v1/namespaces", label_selector=LABEL):
            for namespace in namespaces:
                if not namespace["metadata"].get("deletionTimestamp"):
                    self.api.delete(f"/api/v1/namespaces/{namespace['metadata']['name']}")
            time.sleep(1)

    def sync(self) -> Run:
        """The subject on this member alone; the control plane has the retain rule."""
        return subject(INVENTORY, "--limit", f"karmada,{self.member}")

    def writes(self) -> dict[str, int]:
        """How many writing requests for ServiceImports the API server has answered with success, by verb."""
        counted: dict[str, int] = {}
        for line in self.api.text("/metrics").splitlines():
            if line.startswith('apiserver_request_total{code="2') and 'resource="serviceimports"' in line and 'dry_run=""' in line:
                verb = re.search(r'verb="(\w+)"', line)
                if verb and verb[1] in ("POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"):
                    counted[verb[1]] = counted.get(verb[1], 0) + int(float(line.rpartition(" ")[2]))
        return counted

    def measured(self, call: t.Callable[[], Run]) -> Measured:
        """A run with the writes that the API server counted meanwhile; RuntimeError unless all addresses are right after it."""
        before = self.writes()
        result = call()
        writes = difference(self.writes(), before)
        self.check()
        return Measured(result, writes)


def api_of(kubeconfig: Path) -> Cluster:
    """A client without limits."""
    return Cluster(kubeconfig.stem, {"kubeconfig": str(kubeconfig)}, qps=0, in_flight=16, timeout=60)


class Measured(t.NamedTuple):
    run: Run
    writes: dict[str, int]


def difference(after: dict[str, int], before: dict[str, int]) -> dict[str, int]:
    return {key: number - before.get(key, 0) for key, number in after.items() if number != before.get(key, 0)}


def manifest(namespace: str, name: str, ip: str) -> Line:
    """What kubernetes.core is given for one import."""
    return {
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ServiceImport",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ips": [ip]},
    }


def subject(inventory: Path, *options: str) -> Run:
    return run("ansible-playbook", "-i", inventory, CHECKOUT / "playbooks" / "sync.yml", *options, cwd=CHECKOUT)


def peer(inventory: Path, hosts: str, manifests: list[Line], *, loop: bool) -> Run:
    """kubernetes.core.k8s in a loop, or one task with all documents, on each of ``hosts``."""
    task: Line = {
        "name": "Apply",
        "kubernetes.core.k8s": {"kubeconfig": "{{ clusterset_kubeconfig }}", "definition": "{{ item if loop else manifests }}"},
    }
    if loop:
        task |= {"loop": "{{ manifests }}", "loop_control": {"label": "{{ item.metadata.name }}"}}
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "vars.json").write_text(json.dumps({"manifests": manifests, "loop": loop}))
        play = {"name": "Peer", "hosts": hosts, "gather_facts": False, "vars_files": ["vars.json"], "tasks": [task]}
        (Path(name) / "peer.yml").write_text(json.dumps([play]))
        return run("ansible-playbook", "-i", inventory, Path(name) / "peer.yml", cwd=CHECKOUT)


def scaled(one: Run, part: Run, objects: int, part_objects: int) -> float:
    """Seconds for so many objects, from those for one and for a part."""
    return round(one.seconds + (objects - 1) * (part.seconds - one.seconds) / (part_objects - 1), 1)


def of(what: str, results: list[Measured]) -> Line:
    """A side of a line: the median of its runs."""
    seconds = [one.run.seconds for one in results]
    return {
        "what": what,
        "seconds": round(statistics.median(seconds), 2),
        **({"runs": seconds} if len(seconds) > 1 else {}),
        "cpu_seconds": round(statistics.median(one.run.cpu_seconds for one in results), 2),
        "rss_mb": max(one.run.rss_mb for one in results),
        "writes": results[0].writes,
    }


def line(case: str, subject: Line, peer: Line, **rest: t.Any) -> Line:
    return {
        "case": case,
        "subject": subject,
        "peer": peer,
        "ratio": round(subject["seconds"] / peer["seconds"], 4),
        "load": os.getloadavg()[0],
        "unit": "seconds of the whole ansible-playbook process, cpu_seconds and rss_mb (peak) with all its children; load of the machine at the end",
        **rest,
    }


def many(objects: int) -> t.Iterator[Line]:
    """First sync and nothing-to-do of so many imports on one real member."""
    with Bed() as bed:
        bed.add(objects)
        first, again = [], []
        for number in range(ROUNDS):
            if number:
                bed.clear()
            first.append(bed.measured(bed.sync))
            again.append(bed.measured(bed.sync))
        manifests = bed.manifests(bed.services)
        part = manifests[: LOOP_PART + 1]
        bed.clear()
        tasks = [bed.measured(lambda: peer(INVENTORY, bed.member, manifests, loop=False)) for _time in range(2)]
        # The loop finds its objects without addresses in the first turn, and as they should be in the second.
        bed.empty(one["metadata"]["name"] for one in part)
        loops = [
            (peer(INVENTORY, bed.member, part[-1:], loop=True), peer(INVENTORY, bed.member, part[:-1], loop=True)) for _time in range(2)
        ]
    for case, ours, task, (single, looped) in (
        (f"first sync of {objects}", first, tasks[0], loops[0]),
        (f"{objects}, nothing to do", again, tasks[1], loops[1]),
    ):
        mine = of("playbooks/sync.yml", ours)
        yield line(case, mine, of("kubernetes.core.k8s, one task with all documents", [task]))
        loop = {
            "what": "kubernetes.core.k8s in a loop",
            "seconds": scaled(single, looped, objects, LOOP_PART),
            "rss_mb": looped.rss_mb,
            "scaled": f"from {single.seconds} s for 1 and {looped.seconds} s for {LOOP_PART} objects",
        }
        yield line(case, mine, loop)


def one_of_many(objects: int = 5000, part: int = 1000) -> t.Iterator[Line]:
    """One derived Service has another ClusterIP."""
    with Bed() as bed:
        bed.add(objects)
        first = bed.measured(bed.sync)
        results = []
        for number in range(ROUNDS):
            bed.move(f"s{number * 1000 + 7:05}")
            results.append(bed.measured(bed.sync))
        # The peer is given all of its part, one of which differs.
        bed.move("s00000")
        manifests = bed.manifests(list(bed.services)[:part])
        single = peer(INVENTORY, bed.member, manifests[-1:], loop=False)
        theirs = bed.measured(lambda: peer(INVENTORY, bed.member, manifests, loop=False))
    yield line(
        f"1 changed of {objects}",
        of("playbooks/sync.yml", results),
        {
            "what": "kubernetes.core.k8s, one task with all documents",
            "seconds": scaled(single, theirs.run, objects, part),
            "rss_mb": theirs.run.rss_mb,
            "writes": theirs.writes,
            "scaled": f"from {single.seconds} s for 1 and {theirs.run.seconds} s for {part} documents; writes are those of the part",
        },
        first_sync_seconds=first.run.seconds,
    )


@contextlib.contextmanager
def standin(*arguments: str) -> t.Iterator[tuple[str, subprocess.Popen[str]]]:
    """The URL of API stand-ins in a process of their own."""
    command = [sys.executable, str(CHECKOUT / "benchmarks" / "standin.py"), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.terminate()


def fleet(clusters: int = 50, objects: int = 1000, delay: float = 0.05) -> t.Iterator[Line]:
    """Nothing to do on many clusters."""
    part = 50
    with tempfile.TemporaryDirectory() as name, standin(str(objects), str(delay)) as (url, process):
        folder = Path(name)
        hosts = [f"c{number:03}" for number in range(clusters)]
        for host in ("karmada", *hosts):
            (folder / f"{host}.yaml").write_text(json.dumps(kubeconfig(f"{url}/{host}")))
        inventory = inventory_of(folder, hosts)
        runs, counts = [], []
        for _time in range(ROUNDS):
            runs.append(Measured(subject(inventory), {}))
            counts.append(_counted(process))
        manifests = [manifest("default", f"s{number:05}", f"10.96.{number // 250}.{number % 250 + 1}") for number in range(part)]
        some = ",".join(hosts[:FORKS])
        single = peer(inventory, some, manifests[:1], loop=False)
        theirs = peer(inventory, some, manifests, loop=False)
        asked = _counted(process)["c000"]
    writes = sum(number for count in counts for verbs in count.values() for verb, number in verbs.items() if verb != "GET")
    mine = of("playbooks/sync.yml", runs) | {
        "writes": writes,
        "requests_per_cluster": max(sum(count[host].values()) for count in counts for host in hosts),
    }
    yield line(
        f"{clusters} clusters with {objects} each, nothing to do",
        mine,
        {
            "what": f"kubernetes.core.k8s, one task with all documents for each cluster, {FORKS} clusters at once",
            "seconds": round(scaled(single, theirs, objects, part) * clusters / FORKS, 1),
            "rss_mb": theirs.rss_mb,
            "scaled": f"from {single.seconds} s for 1 and {theirs.seconds} s for {part} documents on {FORKS} clusters (of one: {asked})",
        },
        api=f"API stand-ins in one process, each answer after {delay * 1000:g} ms",
    )


def apiservers(clusters: int = 8, objects: int = 1000) -> t.Iterator[Line]:
    """First sync and nothing-to-do on real pairs of kube-apiserver and etcd, which keep an audit log."""
    part = 100
    with tempfile.TemporaryDirectory() as name, standin("0", "0") as (url, _process), contextlib.ExitStack() as stack:
        folder = Path(name)
        servers = [ApiServer(folder / "c000")]
        stack.callback(lambda: [server.stop() for server in servers])
        servers[0].start()
        servers[0].wait()
        made = Objects(api_of(servers[0].kubeconfig))
        crd = json.loads((CHECKOUT / "benchmarks" / "recorded.json").read_text())["crd"]
        made.api.create("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {**crd, "metadata": {"name": crd["metadata"]["name"]}})
        made.api.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        while made.api.get(f"{MCS}/serviceimports", missing_ok=True) is None:
            time.sleep(0.5)
        made.add(objects)
        servers[0].stop()
        servers += [servers[0].copy(folder / f"c{number:03}") for number in range(1, clusters)]
        for server in servers:
            server.start()
        for server in servers:
            server.wait()
        (folder / "karmada.yaml").write_text(json.dumps(kubeconfig(f"{url}/karmada")))
        for server in servers:
            (folder / f"{server.folder.name}.yaml").symlink_to(server.kubeconfig)
        hosts = [server.folder.name for server in servers]
        inventory = inventory_of(folder, hosts)

        def audited() -> Measured:
            before = [server.audited() for server in servers]
            result = subject(inventory)
            counts = [difference(server.audited(), old) for server, old in zip(servers, before, strict=True)]
            for server in servers:
                Objects(api_of(server.kubeconfig), made.services).check()
            if any(count != counts[0] for count in counts):
                raise RuntimeError(f"the API servers were not asked alike: {counts}")
            return Measured(result, counts[0])

        first, again = audited(), [audited() for _time in range(ROUNDS)]
        manifests = made.manifests(list(made.services)[: part + 1])
        for server in servers:
            Objects(api_of(server.kubeconfig), made.services).empty(one["metadata"]["name"] for one in manifests)
        # The peer finds its objects without addresses in the first turn, and as they should be in the second.
        peers = [
            (peer(inventory, "karmada_members", manifests[-1:], loop=False), peer(inventory, "karmada_members", manifests[:-1], loop=False))
            for _time in range(2)
        ]
    for case, ours, (single, theirs) in (("first sync", [first], peers[0]), ("nothing to do", again, peers[1])):
        mine = of("playbooks/sync.yml", ours)
        mine["audit_log_of_each"] = mine.pop("writes")
        other = {
            "what": f"kubernetes.core.k8s, one task with all documents for each cluster, {FORKS} clusters at once",
            "seconds": scaled(single, theirs, objects, part),
            "rss_mb": theirs.rss_mb,
            "scaled": f"from {single.seconds} s for 1 and {theirs.seconds} s for {part} documents on {clusters} clusters",
        }
        api = "real pairs of kube-apiserver and etcd on this machine; the control plane is an API stand-in"
        yield line(f"{clusters} clusters with {objects} each, {case}", mine, other, api=api)


def inventory_of(folder: Path, hosts: list[str]) -> Path:
    """An inventory whose hosts have their kubeconfigs in ``folder``."""
    inventory = {
        "all": {
            "vars": {
                "ansible_connection": "local",
                "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                "clusterset_kubeconfig": f"{folder}/{{{{ inventory_hostname }}}}.yaml",
            },
            "hosts": {"karmada": {}},
            "children": {"karmada_members": {"hosts": {host: {} for host in hosts}}},
        }
    }
    (folder / "inventory.yml").write_text(json.dumps(inventory))
    return folder / "inventory.yml"


def kubeconfig(server: str) -> Line:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": server}}],
        "users": [{"name": "bench", "user": {"token": "none"}}],
    }


def _counted(process: subprocess.Popen[str]) -> dict[str, dict[str, int]]:
    """Requests since the last question, by cluster and verb."""
    process.stdin.write("count\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


BENCHES: dict[str, t.Callable[[], t.Iterable[Line]]] = {
    "sync-200": lambda: many(200),
    "sync-1000": lambda: many(1000),
    "sync-1-of-5000": one_of_many,
    "sync-50-clusters": fleet,
    "sync-apiservers": apiservers,
}
