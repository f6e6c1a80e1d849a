# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Modules coredns_multicluster and coredns_multicluster_info on members whose CoreDNS lives (``member_standin.py``)."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing as t

import dns.message
import dns.rcode
import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import exchange
from ansible_collections.clusterset.dns.plugins.module_utils._kube import client, lease, waiting
from ansible_collections.clusterset.dns.plugins.modules import coredns_multicluster, coredns_multicluster_info
from ansible_collections.clusterset.dns.tests.unit.member_standin import (
    APPS,
    CORE,
    KUBEADM_COREFILE,
    RBAC,
    WAYS,
    Killed,
    MemberStandIn,
)

Result = dict[str, t.Any]
Run = t.Callable[..., Result]

OLD = "registry.k8s.io/coredns/coredns:v1.12.1"
STOCK = "registry.k8s.io/coredns/coredns:v1.14.6"
NEW = "registry.example.com/dns/coredns:v1.14.7"
PLUGIN = "registry.example.com/dns/coredns:1.12.1-plugin"
DEPLOYMENT = f"{APPS}/deployments/coredns"
CONFIG_MAP = f"{CORE}/configmaps/coredns"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/clusterset-dns-coredns"
NODELOCAL = f"{CORE}/configmaps/nodelocaldns"
ZONE = "clusterset.local"
# Nothing is waited for that has its reason outside of the stand-in.
QUICK = {"settle_seconds": 0, "drain_seconds": 0, "drain_timeout": 6, "wait_timeout": 30}
RECORD = "dns-version.clusterset.local."


class Exit(Exception):
    pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the module on a stand-in, by its clock, and gives what it returns, ``failed`` included."""

    def end(module: basic.AnsibleModule, failed: bool, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": failed, **result})

    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda module, **result: end(module, False, **result))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda module, **result: end(module, True, **result))
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    def call(api: MemberStandIn, *, check: bool = False, diff: bool = False, main: t.Callable[[], None] = coredns_multicluster.main, **params: t.Any) -> Result:
        for module in (waiting, exchange):
            monkeypatch.setattr(module, "time", api.clock)
        # its deadlines are those of this machine
        monkeypatch.setattr(client, "time", types.SimpleNamespace(monotonic=client.time.monotonic, sleep=api.clock.sleep))
        if main is coredns_multicluster.main:
            params = {"name": "member", **api.auth, **QUICK, **params}
        params |= {"_ansible_check_mode": check, "_ansible_diff": diff}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": params})))
        with pytest.raises(Exit) as exit:
            main()
        return exit.value.args[0]

    return call


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of member, and what is asked for there. ``steps`` are those of present, ``shown`` what its diff speaks of."""

    member: t.Callable[[], MemberStandIn]
    steps: tuple[str, ...]
    shown: tuple[str, ...]
    params: dict[str, t.Any] = dataclasses.field(default_factory=dict)


def kubeadm(image: str = STOCK, **options: t.Any) -> t.Callable[[], MemberStandIn]:
    return lambda: MemberStandIn(image, **options)


def with_(change: t.Callable[[MemberStandIn], t.Any], image: str = STOCK) -> t.Callable[[], MemberStandIn]:
    def make() -> MemberStandIn:
        api = MemberStandIn(image)
        change(api)
        return api

    return make


def subpath(api: MemberStandIn) -> None:
    del api.objects[DEPLOYMENT]
    api.add_deployment("coredns", sub_path="Corefile")


GRANT, PROVE, WRITE, ASK = "Let CoreDNS read ServiceImports", "Prove the change beside CoreDNS", "Serve the zone", "Ask every pod"
IMAGE, OWN, DELEGATE = "Run the image that serves the zone", "Run a CoreDNS of our own for the zone", "Have the platform forward the zone"
SEND = "Have NodeLocal DNSCache send the zone to the cluster's DNS"
COREFILE = "ConfigMap kube-system/coredns, key Corefile"
FORWARD = {"image": NEW, "mode": "forward"}
RIGHTS = "ClusterRole clusterset-dns-coredns"
CASES = {
    "stock": Case(kubeadm(), (GRANT, PROVE, WRITE, ASK), (RIGHTS, COREFILE)),
    "image": Case(kubeadm(OLD), (GRANT, PROVE, IMAGE, WRITE, ASK), (RIGHTS, COREFILE, f"image: {NEW}"), {"image": NEW}),
    "plugin": Case(kubeadm(OLD), (GRANT, PROVE, IMAGE, WRITE, ASK), (RIGHTS, COREFILE, f"image: {PLUGIN}"), {"image": PLUGIN, "mode": "plugin"}),
    "forward": Case(kubeadm(OLD), (OWN, PROVE, WRITE, ASK), (COREFILE, "Deployment kube-system/clusterset-dns"), FORWARD),
    "k3s": Case(with_(MemberStandIn.k3s), (OWN, "Give the platform's CoreDNS a server block more", ASK), ("coredns-custom, key clusterset.server",)),
    "aks": Case(with_(MemberStandIn.aks), (OWN, "Give the platform's CoreDNS a server block more", ASK), ("coredns-custom, key clusterset.server",)),
    "openshift": Case(with_(MemberStandIn.openshift), (OWN, DELEGATE, ASK), ("DNS.operator.openshift.io default",), {"image": NEW}),
    "rke2": Case(with_(MemberStandIn.rke2), (OWN, DELEGATE, ASK), ("HelmChartConfig kube-system/rke2-coredns",), {"image": NEW}),
    "gke": Case(with_(MemberStandIn.gke), (OWN, DELEGATE, ASK), ("ConfigMap kube-system/kube-dns",), {"image": NEW}),
    "nodelocal": Case(
        with_(lambda api: api.add_nodelocal("nodelocaldns", kubespray=True)),
        (GRANT, PROVE, WRITE, ASK, SEND),
        (COREFILE, "ConfigMap kube-system/nodelocaldns, key Corefile"),
    ),
    "without reload": Case(kubeadm(corefile=KUBEADM_COREFILE.replace("    reload\n", "")), (GRANT, PROVE, WRITE, ASK), (COREFILE,)),
    "subpath": Case(with_(subpath), (GRANT, PROVE, WRITE, ASK), (COREFILE,)),
}


# --- there and back -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(run: Run, name: str) -> None:
    case = CASES[name]
    with case.member() as api:
        api.arm()
        tried = run(api, check=True, diff=True, **case.params)
        assert not tried["failed"], tried["msg"]
        assert (tried["changed"], tuple(tried["steps"])) == (True, case.steps)
        diff = json.dumps(tried["diff"])
        assert all(words in diff for words in case.shown), diff
        assert api.written == []
        assert api.difference() == ""

        done = run(api, **case.params)
        assert not done["failed"], done["msg"]
        assert (done["changed"], tuple(done["steps"])) == (True, case.steps)
        served(api)
        assert left_behind(api) == []

        written = list(api.written)
        again = run(api, diff=True, **case.params)
        assert not again["failed"], again["msg"]
        assert (again["changed"], again["steps"], again["diff"]) == (False, [], [])
        assert api.written == written

        back = run(api, state="absent", **case.params)
        assert not back["failed"], back["msg"]
        assert back["changed"]
        assert api.difference() == ""

        written = list(api.written)
        again = run(api, state="absent", **case.params)
        assert not again["failed"], again["msg"]
        assert (again["changed"], again["steps"]) == (False, [])
        assert api.written == written


def left_behind(api: MemberStandIn) -> list[str]:
    """What no run may leave, whatever came of it: the Lease, proofs, and pods that were taken out of service."""
    return [path for path, item in api.objects.items() if "/leases/" in path or "clusterset-dns-proof" in path or set(item["metadata"].get("labels") or {}) & MARKS]


MARKS = {"clusterset.dns/proof", "clusterset.dns/drained"}


def served(api: MemberStandIn, name: str = RECORD, kind: str = "TXT", right: str = '"1.1.0"') -> None:
    """Every DNS server of the cluster that has a controller answers a name."""
    assert set(said(api, name, kind).values()) == {right}


def said(api: MemberStandIn, name: str = RECORD, kind: str = "TXT") -> dict[str, str]:
    """What each pod of a workload answers: data, or else the response code."""
    api.settle()
    answers = {}
    for path, pod in api._all("pods"):
        server = api._runs[pod["metadata"]["uid"]].dns
        if server is None or not pod["metadata"].get("ownerReferences"):
            continue
        port = next(port for port in (53, 1053, 5353, 8053) if server.listens(port))
        reply = server.respond(dns.message.make_query(name, kind), port)
        data = [record.to_text() for records in reply.answer for record in records]
        answers[path.rpartition("/")[2]] = " ".join(data) or dns.rcode.to_text(reply.rcode())
    return answers


# --- fail at step k -------------------------------------------------------------------------------------------------------------------


class Trial:
    """One kind of member and one state that is asked for, tried again and again with a fault at one of its writes.

    A member that came back to what it was serves for the next try, so that it also shows that it did.
    """

    def __init__(self, run: Run, name: str, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
        # what the caller may do is asked elsewhere, and a renewal in between would be one write more
        monkeypatch.setattr(client.Cluster, "can_i", lambda cluster, rights: [])
        monkeypatch.setattr(lease, "_RENEW", 3600.0)
        self.run, self.case, self.state = run, CASES[name], state
        self.other = "absent" if state == "present" else "present"
        self.api: MemberStandIn | None = None
        self.stock: dict[str, t.Any] = {}
        self.wanted: dict[str, t.Any] = {}

    def go(self, state: str) -> Result:
        return self.run(t.cast("MemberStandIn", self.api), state=state, **self.case.params)

    def member(self) -> MemberStandIn:
        """A member that is as it was before the run that is to fail."""
        if self.api is None:
            self.api = self.case.member()
            self.api.__enter__()
            self.api.timeout_seconds = 0.05
            self.stock = self.api.state()
            if self.state == "absent":
                assert self.go("present")["changed"]
        return self.api

    def end(self) -> None:
        if self.api:
            self.api.__exit__()
            self.api = None

    def learn(self) -> int:
        """Let a run do all that it does. :returns: how many writes that are."""
        api = self.member()
        api.arm()
        assert not self.go(self.state)["failed"]
        writes = len(api.written)
        self.wanted = api.state()
        assert not self.go(self.other)["failed"]
        assert api.difference() == ""
        return writes

    def fail(self, k: int, how: str, **options: t.Any) -> list[str]:
        """What is wrong with a run whose k-th write fails."""
        api = self.member()
        api.fail_at(k, how, **options)
        try:
            result = self.go(self.state)
        except Killed:
            api.calm()
            return self.recovered(api)
        assert api._sent >= k, f"there is no such write: {result}, {api.written}"
        down = bool(options.get("stays_down"))
        api.calm()
        wrong = self.judged(api, result, k, how, down=down)
        if down and not wrong:
            wrong = self.recovered(api)
        return wrong

    def judged(self, api: MemberStandIn, result: Result, k: int, how: str, *, down: bool) -> list[str]:
        wrong = []
        if not result["failed"]:
            different = api.difference(self.wanted)
            # who says of what he was to delete that it is not there is believed
            lied = [path.rpartition("/")[2] for method, path in api.written[k - 1 : k] if (how, method) == ("missing", "DELETE")]
            if different and [re.split("[ /]", one)[-1] for one in heads(different)] != lied:
                wrong.append(f"it did not fail, and this is not as it was to be:\n{different}")
            if not down and self.go(self.other)["failed"]:
                wrong.append("the way to the other state fails")
            return wrong
        different = heads(api.difference())
        named = " ".join(result.get("not_back", []))
        if down:
            different = [one for one in different if not one.startswith("Lease ")]
        elif different or named:
            wrong.append(f"not back: {api.difference()}")
        if missing := [one for one in different if one not in named]:
            wrong.append(f"not said of {', '.join(missing)}")
        if named and "Not everything is as it was before" not in result["msg"]:
            wrong.append("the message does not say it")
        if not any(words in result["msg"] for words in CAUSES):
            wrong.append("no cause")
        return [f"{one}\n  {result['msg']}\n  not_back {result.get('not_back')}" for one in wrong]

    def recovered(self, api: MemberStandIn) -> list[str]:
        """What is wrong with the runs after one that was killed."""
        wrong = []
        for state in ("present", "absent"):
            again = self.go(state)
            if again["failed"]:
                return [*wrong, f"the {state} after it fails: {again['msg']}"]
            if state == "present":
                served(api)
                if left := left_behind(api):
                    wrong.append(f"present leaves {left}")
        if different := api.difference(self.stock):
            wrong.append(f"not back after the absent that follows:\n{different}")
        self.end()
        return wrong


CAUSES = ("HTTP 403", "HTTP 404", "HTTP 409", "HTTP 500", "does not answer", "another run is changing CoreDNS")


def heads(difference: str) -> list[str]:
    """The objects that a difference speaks of."""
    lines = [line for line in difference.splitlines() if not line.startswith(("+", "-", "@", " "))]
    return [re.sub(": (new|gone)$", "", line.removeprefix("pods of ")) for line in lines]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("name", ["stock", "image", "forward", "nodelocal"])
def test_whatever_write_fails_all_is_as_asked_or_as_it_was(run: Run, monkeypatch: pytest.MonkeyPatch, name: str, state: str, how: str) -> None:
    trial = Trial(run, name, state, monkeypatch)
    wrong = {}
    try:
        writes = trial.learn()
        for k in range(1, writes + 1):
            if found := trial.fail(k, how):
                wrong[k] = f"write {k}, {trial.api.written[k - 1 : k] if trial.api else ''}: " + "\n".join(found)
                trial.end()
    finally:
        trial.end()
    assert not wrong, "\n\n".join([f"{len(wrong)} of {writes}", *wrong.values()])
