# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Modules coredns_multicluster and coredns_multicluster_info on members whose CoreDNS lives (``member_standin.py``)."""

from __future__ import annotations

import dataclasses
import json
import os
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
from ansible_collections.clusterset.dns.tests.unit.api_standin import status
from ansible_collections.clusterset.dns.tests.unit.member_standin import (
    APPS,
    CORE,
    KUBEADM_COREFILE,
    RBAC,
    WAYS,
    Killed,
    MemberStandIn,
    deployment,
    service,
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

    def call(
        api: MemberStandIn,
        *,
        check: bool = False,
        diff: bool = False,
        main: t.Callable[[], None] = coredns_multicluster.main,
        **params: t.Any,
    ) -> Result:
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


def variable(api: MemberStandIn) -> None:
    """The Corefile uses a variable that the container has."""
    del api.objects[DEPLOYMENT]
    api.objects[CONFIG_MAP]["data"]["Corefile"] = KUBEADM_COREFILE.replace("cache 30", "cache {$SECONDS_KEPT}")
    api.add_deployment("coredns", env=[{"name": "SECONDS_KEPT", "value": "30"}])


GRANT, PROVE, WRITE, ASK = "Let CoreDNS read ServiceImports", "Prove the change beside CoreDNS", "Serve the zone", "Ask every pod"
IMAGE, OWN, DELEGATE = "Run the image that serves the zone", "Run a CoreDNS of our own for the zone", "Have the platform forward the zone"
SEND = "Have NodeLocal DNSCache send the zone to the cluster's DNS"
COREFILE = "ConfigMap kube-system/coredns, key Corefile"
FORWARD = {"image": NEW, "mode": "forward"}
RIGHTS = "ClusterRole clusterset-dns-coredns"
CASES = {
    "stock": Case(kubeadm(), (GRANT, PROVE, WRITE, ASK), (RIGHTS, COREFILE)),
    "image": Case(kubeadm(OLD), (GRANT, PROVE, IMAGE, WRITE, ASK), (RIGHTS, COREFILE, f"image: {NEW}"), {"image": NEW}),
    "plugin": Case(
        kubeadm(OLD), (GRANT, PROVE, IMAGE, WRITE, ASK), (RIGHTS, COREFILE, f"image: {PLUGIN}"), {"image": PLUGIN, "mode": "plugin"}
    ),
    "forward": Case(kubeadm(OLD), (OWN, PROVE, WRITE, ASK), (COREFILE, "Deployment kube-system/clusterset-dns"), FORWARD),
    "k3s": Case(
        with_(MemberStandIn.k3s), (OWN, "Give the platform's CoreDNS a server block more", ASK), ("coredns-custom, key clusterset.server",)
    ),
    "aks": Case(
        with_(MemberStandIn.aks), (OWN, "Give the platform's CoreDNS a server block more", ASK), ("coredns-custom, key clusterset.server",)
    ),
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
    "variable": Case(with_(variable), (GRANT, PROVE, WRITE, ASK), (COREFILE,)),
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
        assert "was not found" not in " ".join(back["notes"])
        assert api.difference() == ""

        written = list(api.written)
        again = run(api, state="absent", **case.params)
        assert not again["failed"], again["msg"]
        assert (again["changed"], again["steps"]) == (False, [])
        assert api.written == written


def left_behind(api: MemberStandIn) -> list[str]:
    """What no run may leave, whatever came of it: the Lease, proofs, and pods that were taken out of service."""
    return [
        path
        for path, item in api.objects.items()
        if "/leases/" in path or "clusterset-dns-proof" in path or set(item["metadata"].get("labels") or {}) & MARKS
    ]


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
            self.api.timeout_seconds = 0.3
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
        good(self.go(self.state))
        writes = len(api.written)
        self.wanted = api.state()
        good(self.go(self.other))
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
            if [re.split("[ /]", one)[-1] for one in heads(different) if not (down and one.startswith("Lease "))] != lied[
                : bool(different)
            ]:
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
        if missing := [one for one in different if called(one) not in named]:
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


EVERY = bool(os.environ.get("CLUSTERSET_EVERY_FAULT"))
TRIED = {"stock": ("0", "2", "5", "7"), "image": ("1",), "forward": ("3",), "nodelocal": ("6",)}
CAUSES = ("HTTP 403", "HTTP 404", "HTTP 409", "HTTP 500", "does not answer", "another run is changing CoreDNS")


def called(head: str) -> str:
    """How a message speaks of an object: of those whose names nobody knows before by their label."""
    if "/clusterset-dns-proof-" in head:
        return "clusterset.dns/proof"
    return "clusterset.dns/drained" if head.startswith("Pod ") else head


def heads(difference: str) -> list[str]:
    """The objects that a difference speaks of."""
    lines = [line for line in difference.splitlines() if not line.startswith(("+", "-", "@", " "))]
    return [re.sub(": (new|gone)$", "", line.removeprefix("pods of ")) for line in lines]


@pytest.mark.once
@pytest.mark.parametrize(("name", "how"), [(name, how) for name, hows in TRIED.items() for how in (WAYS if EVERY else hows)])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_whatever_write_fails_all_is_as_asked_or_as_it_was(
    run: Run, monkeypatch: pytest.MonkeyPatch, name: str, state: str, how: str
) -> None:
    """Each write of a run, in each way to fail. Of members with more steps each write fails in some of the ways, in turn from the one that
    ``how`` says; in all with CLUSTERSET_EVERY_FAULT set.
    """
    trial = Trial(run, name, state, monkeypatch)
    wrong = {}
    try:
        writes = trial.learn()
        for k in range(1, writes + 1):
            way = how if how in WAYS else WAYS[(int(how) + k) % len(WAYS)]
            if found := trial.fail(k, way):
                wrong[k] = f"write {k}, {way}, {trial.api.written[k - 1 : k] if trial.api else ''}: " + "\n".join(found)
                trial.end()
    finally:
        trial.end()
    assert not wrong, "\n\n".join([f"{len(wrong)} of {writes}", *wrong.values()])


@pytest.mark.once
@pytest.mark.parametrize("how", WAYS[3:6] if EVERY else WAYS[3:4])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_an_api_server_that_stays_down_leaves_what_is_said(run: Run, monkeypatch: pytest.MonkeyPatch, state: str, how: str) -> None:
    """Nothing after the k-th write is answered: the first cause comes first, each thing that is not back is named, and the next runs mend it."""
    trial = Trial(run, "image", state, monkeypatch)
    wrong = {}
    try:
        writes = trial.learn()
        for k in range(1, writes + 1):
            if found := trial.fail(k, how, stays_down=True):
                wrong[k] = f"write {k}: " + "\n".join(found)
            trial.end()
    finally:
        trial.end()
    assert not wrong, "\n\n".join([f"{len(wrong)} of {writes}", *wrong.values()])


# --- CoreDNS as other people have it ----------------------------------------------------------------------------------------------------


@pytest.fixture
def old() -> t.Iterator[MemberStandIn]:
    """A member with CoreDNS 1.12.1."""
    with MemberStandIn(OLD) as api:
        api.arm()
        yield api


@pytest.fixture
def stock() -> t.Iterator[MemberStandIn]:
    with MemberStandIn(STOCK) as api:
        api.arm()
        yield api


def good(result: Result) -> Result:
    assert not result["failed"], result["msg"]
    return result


def there_and_back(run: Run, api: MemberStandIn, **params: t.Any) -> None:
    """Present serves the zone, and settles; absent gives back what was there."""
    api.arm()
    assert good(run(api, **params))["changed"]
    served(api)
    assert not good(run(api, **params))["changed"]
    assert good(run(api, state="absent", **params))["changed"]
    assert api.difference() == ""


def pods_with_labels(api: MemberStandIn, path: str) -> dict[str, dict[str, str]]:
    return {where: pod["metadata"]["labels"] for where, pod in api.pods_of(path)}


def image_of(api: MemberStandIn, path: str = DEPLOYMENT) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for _path, pod in api.pods_of(path)}


def test_pods_of_other_workloads_with_the_same_labels_live_and_keep_them(run: Run, old: MemberStandIn) -> None:
    old.put(f"{CORE}/configmaps/other", {"data": {"Corefile": KUBEADM_COREFILE}})
    old.add_deployment("second", OLD, configmap="other")
    old.add_daemonset("third", OLD, configmap="other")
    others = [f"{APPS}/deployments/second", f"{APPS}/daemonsets/third"]
    before = [pods_with_labels(old, path) for path in others]
    assert all(before)
    good(run(old, image=NEW))
    assert image_of(old) == {NEW}
    assert [pods_with_labels(old, path) for path in others] == before
    good(run(old, image=NEW, state="absent"))
    assert image_of(old) == {OLD}
    assert [pods_with_labels(old, path) for path in others] == before


def test_a_deployment_that_selects_by_expressions_alone(run: Run, old: MemberStandIn) -> None:
    item = deployment("coredns", OLD)
    item["spec"]["selector"] = {"matchExpressions": [{"key": "k8s-app", "operator": "In", "values": ["kube-dns"]}]}
    del old.objects[DEPLOYMENT]
    old._add(DEPLOYMENT, item)
    there_and_back(run, old, image=NEW)


def test_a_second_deployment_with_the_same_corefile_gets_the_image_as_well(run: Run, old: MemberStandIn) -> None:
    old.add_deployment("second", OLD, labels={"k8s-app": "second"})
    old.arm()
    good(run(old, image=NEW))
    assert (image_of(old), image_of(old, f"{APPS}/deployments/second")) == ({NEW}, {NEW})
    served(old)
    good(run(old, image=NEW, state="absent"))
    assert old.difference() == ""


def test_no_old_pod_goes_where_no_new_one_gets_ready(run: Run, old: MemberStandIn) -> None:
    before = pods_with_labels(old, DEPLOYMENT)
    old.never_ready.add(NEW)
    result = run(old, image=NEW)
    assert (result["failed"], result["step"], result["not_back"]) == (True, IMAGE, [])
    assert "its new pods did not get ready within 30 s" in result["msg"]
    assert pods_with_labels(old, DEPLOYMENT) == before
    assert old.difference() == ""


def test_no_old_pod_goes_where_new_ones_cease_to_be_ready_meanwhile(run: Run, old: MemberStandIn) -> None:
    before = pods_with_labels(old, DEPLOYMENT)

    def cease() -> None:
        if any(
            NEW in str(pod["spec"]) and (since := old._ready_since(path)) and old.now - since >= 3 for path, pod in old.pods_of(DEPLOYMENT)
        ):
            old.never_ready.add(NEW)

    old.operators.append(cease)
    result = run(old, image=NEW, settle_seconds=5)
    assert (result["failed"], result["step"], result["not_back"]) == (True, IMAGE, [])
    assert NEW in old.never_ready
    assert "its new pods did not get ready within 30 s" in result["msg"]
    assert pods_with_labels(old, DEPLOYMENT) == before
    assert old.difference() == ""


def test_a_corefile_whose_answer_is_lost_is_read_again_and_the_change_goes_on(run: Run, old: MemberStandIn) -> None:
    good(run(old, image=NEW))
    k = old.written.index(("PATCH", CONFIG_MAP)) + 1
    good(run(old, image=NEW, state="absent"))
    old.fail_at(k, "lost-after")
    blind = iter([status(503, "ServiceUnavailable", "try again later")])
    # the first look after it is in vain as well
    old.faults.append(
        lambda method, path, _query: next(blind, None) if (method, path) == ("GET", CONFIG_MAP) and len(old.written) == k else None
    )
    result = good(run(old, image=NEW))
    assert (result["changed"], image_of(old)) == (True, {NEW})
    assert next(blind, None) is None
    served(old)


def test_the_first_cause_comes_first_and_what_rests_on_what_is_not_back_stays(run: Run, old: MemberStandIn) -> None:
    """The Corefile cannot be put back, so neither the image that understands it nor the rights that it needs are taken from under it."""
    good(run(old, image=NEW))
    wanted = old.state()
    good(run(old, image=NEW, state="absent"))
    old.arm()
    old.dns_fault = lambda pod, name: "SERVFAIL" if name.startswith("dns-version") and pod["metadata"]["labels"].get("k8s-app") else None
    sent: list[str] = []

    def refuse(method: str, path: str, query: dict[str, str]) -> t.Any:
        if (method, path) != ("PATCH", CONFIG_MAP) or "dryRun" in query:
            return None
        sent.append(path)
        return status(403, "Forbidden", "no patch for you") if len(sent) > 1 else None

    old.faults.append(refuse)
    result = run(old, image=NEW)
    assert result["failed"]
    assert result["step"] == ASK
    assert result["msg"].startswith("member: CoreDNS was not changed for good. Ask every pod: pod coredns-")
    assert (
        f"does not answer {RECORD.rstrip('.')} TXT as it should: SERVFAIL. Not everything is as it was before: Serve the zone could not be undone"
        in result["msg"]
    )
    assert "no patch for you" in result["not_back"][0]
    assert result["not_back"][0].startswith(f"Serve the zone could not be undone: {COREFILE} of member is not what it was: ")
    assert result["not_back"][1:] == [
        f"{IMAGE} (Deployment kube-system/coredns) was not undone, because {WRITE} could not be.",
        f"{GRANT} ({RIGHTS}, ClusterRoleBinding clusterset-dns-coredns:kube-system:coredns) was not undone, because {WRITE} could not be.",
    ]
    assert old.difference(wanted) == ""
    old.faults.clear()
    old.dns_fault = lambda pod, name: None
    good(run(old, image=NEW, state="absent"))
    assert old.difference() == ""


def test_lines_that_were_adopted_come_back_with_adopt_as_well(run: Run) -> None:
    """A role's variables are the same on the way there and on the way back."""
    hand = "clusterset.local:53 {\n    errors\n    # by hand\n    kubernetes clusterset.local {\n        multicluster clusterset.local\n    }\n}\n"
    with MemberStandIn(STOCK, corefile=hand + KUBEADM_COREFILE) as api:
        api.arm()
        good(run(api, adopt=True))
        assert good(run(api, state="absent", adopt=True))["changed"]
        # the zone is served as before, so that rights stay
        assert api.objects[CONFIG_MAP]["data"]["Corefile"] == hand + KUBEADM_COREFILE


def test_the_eks_addon_is_told_the_address_of_the_service_that_was_made(run: Run) -> None:
    wanted = {"platform": "eks", "eks_addon": True, **FORWARD}
    with MemberStandIn(OLD) as api:
        first = good(run(api, **wanted))
        (address,) = [one["spec"]["clusterIP"] for path, one in api.objects.items() if path.endswith("/services/clusterset-dns")]
        assert f"forward . {address}\n" in first["addon"]
        api.objects[CONFIG_MAP]["data"]["Corefile"] = first["addon"]
        again = good(run(api, **wanted))
        assert (again["changed"], again["addon"]) == (False, None)


def test_what_others_keep_beside_ours_stays_with_its_config_map(run: Run) -> None:
    with MemberStandIn(STOCK) as api:
        api.k3s()
        good(run(api))
        path = f"{CORE}/configmaps/coredns-custom"
        api.objects[path]["binaryData"] = {"theirs": "AAAA"}
        good(run(api, state="absent"))
        assert api.objects[path]["binaryData"] == {"theirs": "AAAA"}
        assert not api.objects[path].get("data")


def test_one_odd_member_is_a_row_with_its_cause(run: Run, stock: MemberStandIn) -> None:
    """Its version has no number, which no API server is known to say."""
    with MemberStandIn(STOCK) as odd:
        real = odd._answered

        def answered(method: str, path: str, query: t.Any, body: t.Any) -> t.Any:
            code, said = real(method, path, query, body)
            return code, {**said, "minor": ""} if path == "/version" else said

        odd._answered = answered  # type: ignore[method-assign]
        members = [{"name": "odd", **odd.auth}, {"name": "good", **stock.auth}]
        result = good(run(stock, main=coredns_multicluster_info.main, members=members))
    assert [one["error"] for one in result["members"]] == [
        "odd: could not be looked at: ValueError: invalid literal for int() with base 10: ''.",
        "",
    ]


def test_the_way_back_does_not_wait_for_answers_that_no_pod_gives(run: Run, old: MemberStandIn) -> None:
    """Someone's line of the Corefile spoils the cluster's own names. The image does not change, and the one that was there comes back all the same."""
    good(run(old, image=NEW))
    old.arm()
    served = old.state()
    old.dns_fault = lambda pod, name: "SERVFAIL" if name.startswith("kubernetes.default") else None
    result = run(old, state="absent")
    assert (result["failed"], result["step"], result["not_back"]) == (True, "Put back the image that was there", [])
    assert re.search(r"new pod coredns-\S+ does not answer kubernetes.default.svc.cluster.local A as it should: SERVFAIL within 30 s", result["msg"])
    assert "Everything is as it was before. Not every pod answers kubernetes.default.svc.cluster.local: pod coredns-" in result["msg"]
    assert old.difference(served) == ""


def test_a_pod_that_vanishes_is_no_reason_to_undo(run: Run, stock: MemberStandIn) -> None:
    """Its log and its port are asked for after it was listed, and are not there."""
    pod = next(iter(pods_with_labels(stock, DEPLOYMENT)))

    def vanish(method: str, path: str, _query: dict[str, str]) -> None:
        if path.startswith(pod) and path != pod and ("PATCH", CONFIG_MAP) in stock.written and pod in stock.objects:
            stock.remove(pod)

    stock.faults.append(vanish)
    good(run(stock))
    assert pod not in stock.objects
    served(stock)


def test_a_sidecar_beside_coredns(run: Run, old: MemberStandIn) -> None:
    item = deployment("coredns", OLD)
    item["spec"]["template"]["spec"]["containers"].insert(0, {"name": "side", "image": "registry.example.com/side:v1"})
    del old.objects[DEPLOYMENT]
    old._add(DEPLOYMENT, item)
    there_and_back(run, old, image=NEW)


def test_a_node_that_is_down_does_not_undo_what_nodelocal_dnscache_took(run: Run, stock: MemberStandIn) -> None:
    stock.add_node("node3")
    stock.add_nodelocal()
    stock.node_down("node3")
    good(run(stock))
    assert not good(run(stock))["changed"]
    assert RECORD.rstrip(".") not in stock.objects[f"{CORE}/configmaps/node-local-dns"]["data"]["Corefile"]
    assert ZONE in stock.objects[f"{CORE}/configmaps/node-local-dns"]["data"]["Corefile"]
    stock.node_down("node3", down=False)
    served(stock)
    assert not good(run(stock))["changed"]


def test_two_zones_come_and_go_one_after_the_other(run: Run, old: MemberStandIn) -> None:
    """What serves the one stays while it does: rights, image, and its own lines."""
    other = f"dns-version.{(second := 'other.test')}."
    good(run(old, image=NEW))
    good(run(old, image=NEW, zone=second))
    served(old)
    served(old, other)
    first = good(run(old, image=NEW, state="absent"))
    assert any(f"CoreDNS still serves {second} from ServiceImports, so its image and its rights stay" in note for note in first["notes"])
    served(old, other)
    assert set(said(old).values()) == {"NXDOMAIN"}
    assert image_of(old) == {NEW}
    assert f"{RBAC}/clusterroles/clusterset-dns-coredns" in old.objects
    assert not good(run(old, image=NEW, zone=second))["changed"]
    good(run(old, image=NEW, zone=second, state="absent"))
    assert old.difference() == ""


@pytest.mark.parametrize("first", [ZONE, "other.test"])
def test_absent_of_either_zone_does_not_touch_the_other(run: Run, old: MemberStandIn, first: str) -> None:
    for zone in (ZONE, "other.test"):
        good(run(old, image=NEW, zone=zone))
    kept = next(zone for zone in (ZONE, "other.test") if zone != first)
    good(run(old, image=NEW, zone=first, state="absent"))
    served(old, f"dns-version.{kept}.")
    assert image_of(old) == {NEW}
    assert not good(run(old, image=NEW, zone=first, state="absent"))["changed"]


@pytest.mark.parametrize(
    ("name", "rests_on"),
    {
        "stock": RIGHTS,
        **dict.fromkeys(["forward", "k3s", "openshift", "rke2", "gke"], "Deployment kube-system/clusterset-dns"),
    }.items(),
)
def test_absent_of_one_fleet_does_not_take_the_zone_of_another(run: Run, name: str, rests_on: str) -> None:
    case = CASES[name]
    with case.member() as api:
        good(run(api, fleet="one", **case.params))
        api.arm()
        result = run(api, fleet="two", state="absent", **case.params)
        assert result["failed"]
        assert f"member: {ZONE} rests on {rests_on}, which belongs to fleet one. Set fleet to one to take it out." in result["msg"]
        assert api.written == []
        served(api)
        # what is of neither is nobody's concern
        assert not good(run(api, fleet="two", state="absent", zone="other.test", **case.params))["changed"]
        good(run(api, fleet="one", state="absent", **case.params))
        assert not good(run(api, fleet="two", state="absent", **case.params))["changed"]


def at_clients(api: MemberStandIn, name: str) -> set[str]:
    """What the pods that clients ask answer, those of our own CoreDNS left out."""
    return {answer for pod, answer in said(api, name).items() if not pod.startswith(("clusterset-dns-", "second-"))}


@pytest.mark.parametrize("name", ["forward", "k3s", "aks", "openshift", "rke2", "gke"])
def test_our_own_coredns_is_not_taken_from_the_zone_that_it_serves(run: Run, name: str) -> None:
    case = CASES[name]
    with case.member() as api:
        api.arm()
        good(run(api, **case.params))
        written = list(api.written)
        refused = run(api, zone="other.test", **case.params)
        assert refused["failed"]
        assert f"Deployment kube-system/clusterset-dns serves {ZONE} already. Take that out first, or set forward_name" in refused["msg"]
        assert not good(run(api, zone="other.test", state="absent", **case.params))["changed"]
        assert api.written == written
        served(api)
        second = run(api, zone="other.test", **case.params, forward_name="second")
        if name == "openshift":
            assert f"server clusterset-dns sends {ZONE} already. Take that out first." in second["msg"]
            assert api.written == written
        else:
            good(second)
            assert at_clients(api, RECORD) == at_clients(api, "dns-version.other.test.") == {'"1.1.0"'}
            good(run(api, zone="other.test", state="absent", **case.params, forward_name="second"))
        served(api)
        good(run(api, state="absent", **case.params))
        assert api.difference() == ""


def test_a_zone_that_is_forwarded_stays_beside_one_that_is_served(run: Run, old: MemberStandIn) -> None:
    good(run(old, **FORWARD))
    old.arm()
    good(run(old, zone="other.test", image=NEW, mode="builtin"))
    assert at_clients(old, RECORD) == at_clients(old, "dns-version.other.test.") == {'"1.1.0"'}
    good(run(old, zone="other.test", state="absent"))
    served(old)
    assert old.difference() == ""


@pytest.mark.parametrize("name", ["k3s", "aks"])
@pytest.mark.parametrize("params", [{}, FORWARD], ids=["builtin", "forward"])
def test_lines_of_a_platform_that_was_taken_for_another_are_not_left_without_rights(run: Run, name: str, params: dict[str, t.Any]) -> None:
    with CASES[name].member() as api:
        api.arm()
        good(run(api, platform="any", imports={}, **params))
        written = list(api.written)
        refused = run(api, state="absent", **params)
        assert refused["failed"]
        assert f"member: {COREFILE} has lines of ours for {ZONE}, which came there with another platform than {name}" in refused["msg"].replace("AKS", "aks")
        assert "Set platform to any to take them out." in refused["msg"]
        other = good(run(api, zone="other.test", state="absent", **params))
        assert not other["changed"]
        kept = f"member: {COREFILE} still serves {ZONE} from ServiceImports, so CoreDNS's rights stay."
        assert (kept in other["notes"]) == (not params)
        assert api.written == written
        served(api)
        good(run(api, platform="any", imports={}, state="absent", **params))
        assert api.difference() == ""


@pytest.mark.parametrize("name", ["forward", "k3s", "gke"])
def test_a_coredns_of_our_own_under_another_name_is_not_left_without_a_word(run: Run, name: str) -> None:
    case = CASES[name]
    with case.member() as api:
        api.arm()
        good(run(api, **case.params, forward_name="second"))
        said_so = f"member: what {ZONE} was forwarded to was not found as Deployment kube-system/clusterset-dns."
        assert [note for note in good(run(api, state="absent", **case.params))["notes"] if note.startswith(said_so) and "forward_name" in note]
        good(run(api, state="absent", **case.params, forward_name="second"))
        assert api.difference() == ""


@pytest.mark.parametrize("first", ["one", "two"])
def test_two_fleets_with_a_zone_each_share_the_rights(run: Run, stock: MemberStandIn, first: str) -> None:
    zones = {"one": ZONE, "two": "other.test"}
    good(run(stock, fleet="one"))
    good(run(stock, fleet="two", zone="other.test", adopt=True))
    good(run(stock, fleet=first, zone=zones[first], state="absent"))
    second = next(fleet for fleet in zones if fleet != first)
    served(stock, f"dns-version.{zones[second]}.")
    good(run(stock, fleet=second, zone=zones[second], state="absent"))
    assert ZONE not in stock.objects[CONFIG_MAP]["data"]["Corefile"]


def test_a_right_is_asked_for_once(run: Run, old: MemberStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the Lease is held; under it what the plan needs beyond that."""
    asked: list[str] = []
    reviewed = old._reviewed

    def review(body: t.Any) -> bool:
        if body["kind"] == "SelfSubjectAccessReview":
            asked.append(json.dumps(body["spec"], sort_keys=True))
        return reviewed(body)

    monkeypatch.setattr(old, "_reviewed", review)
    good(run(old, image=NEW))
    assert asked
    assert sorted(set(asked)) == sorted(asked)


def test_a_teardown_that_fails_goes_back(run: Run, old: MemberStandIn) -> None:
    good(run(old, image=NEW))
    old.arm()
    old.never_ready.add(OLD)
    result = run(old, image=NEW, state="absent")
    assert (result["failed"], result["step"], result["not_back"]) == (True, "Put back the image that was there", [])
    assert "Everything is as it was before" in result["msg"]
    assert old.difference() == ""
    served(old)


@pytest.mark.parametrize("lost", ["comments", "annotation", "both"])
def test_absent_takes_out_what_lost_its_marks(run: Run, old: MemberStandIn, lost: str) -> None:
    """Whoever renders a Corefile anew drops comments and annotations; what serves the zone from ServiceImports goes all the same, or is said."""
    good(run(old, image=NEW))
    item = old.objects[CONFIG_MAP]
    text, metadata = item["data"]["Corefile"], item["metadata"]
    if lost != "annotation":
        text = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    if lost != "comments":
        metadata = {key: value for key, value in metadata.items() if key != "annotations"}
    old.put(CONFIG_MAP, {**item, "data": {"Corefile": text}, "metadata": metadata})
    result = run(old, image=NEW, state="absent")
    if not result["failed"] and ZONE not in old.objects[CONFIG_MAP]["data"]["Corefile"]:
        assert old.difference() == ""
        return
    # nobody takes image and rights from under a zone that is served
    served(old)
    assert image_of(old) == {NEW}
    assert f"{RBAC}/clusterroles/clusterset-dns-coredns" in old.objects
    assert any("CoreDNS still serves clusterset.local" in note for note in result["notes"])
    adopted = good(run(old, image=NEW, state="absent", adopt=True))
    assert adopted["changed"]
    assert old.difference() == ""


def test_a_run_beside_another_is_refused_and_leaves_what_is_the_others(run: Run, stock: MemberStandIn) -> None:
    """The other's Lease is renewed while it is looked at; its proof pod stays, with state absent as well."""
    renewed = iter(range(1000))
    held = {
        "holderIdentity": "ada@tower, process 7",
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "0",
        "leaseDurationSeconds": 15,
    }
    stock.put(LEASE, {"spec": held})
    proof = {"metadata": {"labels": {"clusterset.dns/proof": "coredns"}}, "data": {"Corefile": "."}}
    stock.put(f"{CORE}/configmaps/clusterset-dns-proof-1", proof)
    stock.arm()

    def renew(method: str, path: str, _query: dict[str, str]) -> None:
        if path == LEASE:
            stock.put(LEASE, {"spec": {**held, "renewTime": str(next(renewed))}})

    stock.faults.append(renew)
    result = run(stock)
    assert result["failed"]
    assert result["msg"] == (
        "member: another run is changing CoreDNS (ada@tower, process 7, since 2026-01-01T00:00:00.000000Z; Lease"
        " kube-system/clusterset-dns-coredns). Nothing was changed by this one. Run it again when that one is done."
    )
    assert not good(run(stock, state="absent"))["changed"]
    assert stock.written == []
    assert f"{CORE}/configmaps/clusterset-dns-proof-1" in stock.objects


def test_what_a_run_that_was_killed_has_left_goes_with_absent(run: Run, stock: MemberStandIn) -> None:
    """Its Lease is not renewed; its proof pod and that one's ConfigMap outlive it."""
    stock.fail_at(5, "killed-after")
    with pytest.raises(Killed):
        run(stock)
    assert [path for path in left_behind(stock) if "/pods/" in path]
    stock.calm()
    good(run(stock, state="absent"))
    assert left_behind(stock) == []
    assert stock.difference() == ""


def test_what_a_run_that_was_killed_has_begun_ends_with_absent_of_its_zone(
    run: Run, stock: MemberStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where another zone is served, so that the image stays."""
    monkeypatch.setattr(client.Cluster, "can_i", lambda cluster, rights: [])
    before = stock.state()
    good(run(stock))
    for k in range(1, 30):
        stock.fail_at(k, "killed-after")
        with pytest.raises(Killed):
            run(stock, zone="other.test", image=NEW)
        hit = t.cast("t.Any", stock._fault).hit
        stock.calm()
        if hit == ("PATCH", DEPLOYMENT):
            break
    assert "clusterset.dns/rollout" in stock.objects[DEPLOYMENT]["metadata"]["annotations"]
    ended = good(run(stock, zone="other.test", state="absent"))
    assert "End what a run that was killed has begun" in ended["steps"]
    assert "clusterset.dns/rollout" not in stock.objects[DEPLOYMENT]["metadata"]["annotations"]
    assert left_behind(stock) == []
    served(stock)
    assert image_of(stock) == {NEW}
    assert not good(run(stock, zone="other.test", state="absent"))["changed"]
    good(run(stock, state="absent"))
    assert stock.difference(before) == ""


def test_coredns_on_another_port(run: Run) -> None:
    with MemberStandIn(OLD, corefile=KUBEADM_COREFILE.replace(".:53", ".:8053")) as api:
        api.put(f"{CORE}/services/kube-dns", service("10.96.0.10", {"dns": 53, "dns-tcp": 53}, {"k8s-app": "kube-dns"}, target=8053))
        there_and_back(run, api, image=NEW)


def test_coredns_with_a_port_as_an_argument(run: Run) -> None:
    with MemberStandIn(OLD, corefile=KUBEADM_COREFILE.replace(".:53 {", ". {")) as api:
        del api.objects[DEPLOYMENT]
        api.add_deployment("coredns", OLD, arguments=("-conf", "/etc/coredns/Corefile", "-dns.port=1053"))
        api.put(f"{CORE}/services/kube-dns", service("10.96.0.10", {"dns": 53, "dns-tcp": 53}, {"k8s-app": "kube-dns"}, target=1053))
        there_and_back(run, api, image=NEW)


def test_conf_in_one_word(run: Run, old: MemberStandIn) -> None:
    del old.objects[DEPLOYMENT]
    old.add_deployment("coredns", OLD, arguments=("-conf=/etc/coredns/Corefile",))
    there_and_back(run, old, image=NEW)


def test_a_projected_volume(run: Run, old: MemberStandIn) -> None:
    item = deployment("coredns", OLD)
    volume = item["spec"]["template"]["spec"]["volumes"][0]
    volume["projected"] = {"sources": [{"configMap": volume.pop("configMap")}]}
    del old.objects[DEPLOYMENT]
    old._add(DEPLOYMENT, item)
    there_and_back(run, old, image=NEW)


# --- the whole fleet --------------------------------------------------------------------------------------------------------------------


def test_a_fleet_is_looked_at_and_one_that_cannot_be_is_a_row_with_its_cause(run: Run, stock: MemberStandIn, old: MemberStandIn) -> None:
    good(run(stock))
    with MemberStandIn() as bad:
        del bad.objects[DEPLOYMENT]
        bad.settle()
        bad.arm()
        members = [
            {"name": "down", "host": "http://127.0.0.1:9", "api_key": "none"},
            {"name": "settled", **stock.auth},
            {"name": "bad", **bad.auth},
            {"name": "open", **old.auth, "image": NEW},
            {"name": "wrong", **stock.auth, "zone": "-.test"},
        ]
        before = len(stock.log)
        result = good(run(stock, main=coredns_multicluster_info.main, members=members, timeout=2))
        assert bad.written == []
    rows = {row["name"]: row for row in result["members"]}
    assert list(rows) == [one["name"] for one in members]
    assert result["settled"] == ["settled"]
    assert "does not answer" in rows["down"]["error"]
    assert "bad has no CoreDNS Deployment kube-system/coredns" in rows["bad"]["error"]
    assert "zone" in rows["wrong"]["error"]
    assert (rows["open"]["error"], rows["open"]["steps"]) == ("", [GRANT, PROVE, IMAGE, WRITE, ASK])
    assert (rows["settled"]["error"], rows["settled"]["steps"]) == ("", [])
    assert all(row["error"] == "" or not row["settled"] for row in rows.values())
    assert len(stock.log) > before


def test_a_settled_member_costs_few_requests(run: Run, stock: MemberStandIn) -> None:
    good(run(stock))
    before = len(stock.log)
    result = good(run(stock, main=coredns_multicluster_info.main, members=[{"name": "settled", **stock.auth}]))
    sent = len(stock.log) - before
    print(f"{sent} requests for a settled member of two pods, of which {result['requests']} count as such")
    assert result["settled"] == ["settled"]
    assert sent <= 16


def test_an_image_that_nodes_do_not_get_is_told_of_and_changes_nothing(run: Run) -> None:
    """Where the registry cannot be asked, a pod shows it."""
    image = "127.0.0.1:9/k8s/coredns:v1.14.6"
    with MemberStandIn(OLD) as api:
        api.bad_images[image] = "ImagePullBackOff"
        result = run(api, image_source="upstream", image_prefix="127.0.0.1:9/k8s")
        assert api.difference() == ""
    assert result["failed"]
    assert result["msg"].startswith("member: nothing was changed, because pod clusterset-dns-")
    assert f'ImagePullBackOff: Back-off pulling image "{image}". A node does not get the image {image}. Set image, or' in result["msg"]
    assert result["not_back"] == []
