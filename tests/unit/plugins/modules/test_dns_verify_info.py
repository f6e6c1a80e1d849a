# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The module's way from API servers (stand-ins) and DNS servers (on loopback) to its rows."""

from __future__ import annotations

import copy
import threading
import time
import typing as t

import pytest

pytest.importorskip("dns")
pytest.importorskip("kubernetes")

from ansible_collections.clusterset.dns.plugins.module_utils._dns import report
from ansible_collections.clusterset.dns.plugins.module_utils._dns.arguments import STRATEGIES, VERIFY_ARG_SPEC, settings_from, wants_from
from ansible_collections.clusterset.dns.plugins.module_utils._dns.verification import Fleet
from ansible_collections.clusterset.dns.plugins.module_utils._imports import addresses
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster, Forward
from ansible_collections.clusterset.dns.plugins.modules.dns_verify_info import LOOK
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

from ..module_utils._dns.dns_server import LoopbackDns, Reply

ZONE = "clusterset.local"
SERVE = f"serve.default.svc.{ZONE}"
SRV = f"_http._tcp.{SERVE}"
OWN = "kubernetes.default.svc.cluster.local"
VERSION = f"dns-version.{ZONE}"
DENIED = Reply(rcode="NXDOMAIN", soa=f"{ZONE}.")
NODATA = Reply(soa=f"{ZONE}.")
REFUSED = Reply(rcode="REFUSED", aa=False)
FORWARDED = Reply(rcode="NXDOMAIN", soa=".", aa=False)
HEALTHY = {(OWN, "A"): Reply(("10.96.0.1",)), (VERSION, "TXT"): Reply(('"1.1.0"',))}
RIGHT = {**HEALTHY, (SERVE, "A"): Reply(("10.22.4.17",)), (SRV, "SRV"): Reply((f"0 100 80 {SERVE}.",))}
UNSERVED = {(OWN, "A"): Reply(("10.96.0.1",)), (VERSION, "TXT"): Reply(rcode="SERVFAIL", aa=False)}
SERVICES = [{"namespace": "default", "name": "serve"}]
DNS_LABELS = {"k8s-app": "kube-dns"}
NODELOCAL = """\
cluster.local:53 {
    bind 169.254.25.10
    forward . 10.96.0.10 {
        force_tcp
    }
}
.:53 {
    bind 169.254.25.10
    forward . /etc/resolv.conf
}
"""


def imported(*ips: str, **spec: t.Any) -> dict[str, t.Any]:
    ports = [{"name": "http", "port": 80}]
    return {"spec": {"type": "ClusterSetIP", "ports": ports, **({"ips": list(ips)} if ips else {}), **spec}}


def slice_of(*endpoints: dict[str, t.Any], kind: str = "IPv4", **labels: str) -> dict[str, t.Any]:
    known = {"multicluster.kubernetes.io/service-name": "serve", "multicluster.kubernetes.io/source-cluster": "member1", **labels}
    return {"metadata": {"labels": known}, "addressType": kind, "ports": [{"name": "http", "port": 8080}], "endpoints": list(endpoints)}


class Member:
    """An API server with DNS servers behind it, one per pod."""

    def __init__(self, name: str, *servers: LoopbackDns) -> None:
        self.name = name
        self.servers = {f"coredns-{number}": server for number, server in enumerate(servers)}
        self.forwards: list[tuple[str, str, int]] = []
        self.api = ApiStandIn()
        self.api.__enter__()
        for collection in ("/apis/discovery.k8s.io/v1/endpointslices", "/apis/apps/v1/daemonsets"):
            self.api.collections.add(collection)
        self.service("default", "kubernetes", "10.96.0.1")
        ports = [{"port": 53, "targetPort": 53, "protocol": "TCP"}]
        labels = {"kubernetes.io/cluster-service": "true"}
        self.service("kube-system", "kube-dns", "10.96.0.10", labels=labels, selector=DNS_LABELS, ports=ports)
        for name_ in self.servers:
            self.pod(name_)
        self.import_("serve", imported("10.22.4.17"))
        self.service("default", "derived-serve", "10.22.4.17")

    def put(self, path: str, item: dict[str, t.Any]) -> None:
        self.api.put(path, item)

    def import_(self, name: str, item: dict[str, t.Any], namespace: str = "default") -> None:
        self.put(f"/apis/multicluster.x-k8s.io/v1alpha1/namespaces/{namespace}/serviceimports/{name}", item)

    def service(self, namespace: str, name: str, ip: str, labels: dict[str, str] | None = None, **spec: t.Any) -> None:
        item = {"metadata": {"labels": labels or {}}, "spec": {"clusterIP": ip, "clusterIPs": [ip], **spec}}
        self.put(f"/api/v1/namespaces/{namespace}/services/{name}", item)

    def slice(self, name: str, item: dict[str, t.Any]) -> None:
        self.put(f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/{name}", item)

    def pod(self, name: str, labels: dict[str, str] | None = None, owner: str = "rs", **container: t.Any) -> None:
        metadata = {"labels": labels or DNS_LABELS, "ownerReferences": [{"controller": True, "uid": owner}]}
        spec = {"nodeName": "node", "serviceAccountName": "coredns", "containers": [{"name": "coredns", **container}]}
        self.put(f"/api/v1/namespaces/kube-system/pods/{name}", {"metadata": metadata, "spec": spec, "status": {"phase": "Running"}})

    def nodelocal(self, name: str, corefile: str, file: str = "Corefile", **container: t.Any) -> None:
        """A NodeLocal DNSCache by any name, with two pods."""
        runs = {
            "name": "node-cache",
            "image": "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4",
            "args": ["-localip", "169.254.25.10", "-conf", "/etc/coredns/Corefile"],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            **container,
        }
        volumes = [{"name": "config", "configMap": {"name": name, "items": [{"key": "Corefile", "path": file}]}}]
        item = {
            "metadata": {"uid": f"uid-{name}"},
            "spec": {
                "selector": {"matchLabels": {"k8s-app": name}},
                "template": {"spec": {"hostNetwork": True, "containers": [runs], "volumes": volumes}},
            },
            "status": {"desiredNumberScheduled": 2},
        }
        self.put(f"/apis/apps/v1/namespaces/kube-system/daemonsets/{name}", item)
        self.put(f"/api/v1/namespaces/kube-system/configmaps/{name}", {"data": {"Corefile": corefile}})


class Lab:
    """Members by name, and how the module sees them."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self.servers: list[LoopbackDns] = []

    def dns(self, replies: dict[tuple[str, str], Reply]) -> LoopbackDns:
        self.servers.append(LoopbackDns(replies))
        return self.servers[-1]

    def member(self, name: str, *replies: dict[tuple[str, str], Reply]) -> Member:
        self.members[name] = Member(name, *(self.dns(one) for one in replies))
        return self.members[name]

    def fleet(self, *, check: bool = False, of_member: dict[str, dict[str, t.Any]] | None = None, **params: t.Any) -> Fleet:
        defaults = {key: option.get("default") for key, option in {**AUTH_ARG_SPEC, **VERIFY_ARG_SPEC}.items()}
        entries = [{"name": name, **one.api.auth, **(of_member or {}).get(name, {})} for name, one in self.members.items()]
        given = {**defaults, "timeout": 1, "wait_sleep": 0.02, "members": entries, **params}
        return Fleet(wants_from(given, ""), settings_from(given, check=check), LOOK, given["given_up"])

    def rows(self, **params: t.Any) -> list[dict[str, t.Any]]:
        return self.fleet(**params).verify()


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Lab]:
    made = Lab()

    def port_forward(cluster: Cluster, namespace: str, pod: str, port: int) -> Forward:
        made.members[cluster.name].forwards.append((namespace, pod, port))
        return made.members[cluster.name].servers[pod].connect()

    monkeypatch.setattr(Cluster, "port_forward", port_forward)
    yield made
    for server in made.servers:
        server.close()
    for member in made.members.values():
        member.api.__exit__()


def one(rows: list[dict[str, t.Any]], name: str, kind: str = "A") -> dict[str, t.Any]:
    (found,) = [row for row in rows if (row["name"], row["type"]) == (name, kind)]
    return found


def test_right_answers_of_a_fleet(lab: Lab) -> None:
    for name in ("member1", "member2"):
        lab.member(name, RIGHT, RIGHT)
    fleet = lab.fleet()
    rows = fleet.verify()
    assert [(row["cluster"], row["pod"], row["type"], row["verdict"]) for row in rows] == [
        (name, pod, kind, "ok") for name in ("member1", "member2") for pod in ("coredns-0", "coredns-1") for kind in ("A", "TXT", "A", "SRV")
    ]
    assert report.summary(rows) == "16 answers of 4 CoreDNS pods in 2 clusters: all right."
    assert (fleet.failures(rows), fleet.notes) == ([], [])


@pytest.mark.parametrize("wrong", ["a bug", "a refusal", "no such server"])
def test_a_member_that_cannot_be_looked_at_is_a_failed_row_and_a_failed_member(lab: Lab, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    lab.member("member1", RIGHT)
    bad = lab.member("member2", RIGHT)
    says = {"a bug": "could not be looked at: TypeError", "a refusal": "may not list", "no such server": "does not answer"}[wrong]
    if wrong == "a bug":
        bad.put("/api/v1/namespaces/default/services/strange", {"spec": {"ports": 7}})
    elif wrong == "a refusal":
        bad.api.faults.append(lambda _method, path, _query: status(403, "Forbidden", "may not list") if path.endswith("/services") else None)
    else:
        monkeypatch.setattr(ApiStandIn, "auth", property(lambda self: {"host": self.url if self is not bad.api else "http://127.0.0.1:1", "api_key": "x"}))
    fleet = lab.fleet()
    rows = fleet.verify()
    (failed,) = [row for row in rows if row["ok"] is not True]
    assert (failed["cluster"], failed["verdict"], failed["name"]) == ("member2", "error", "")
    assert says in failed["cause"]
    assert fleet.failures(rows) == [{"name": "member2", "error": failed["cause"]}]
    assert report.summary(rows) == "4 answers of 1 CoreDNS pod in 1 of 2 clusters: 1 not right, in member2."


def test_a_host_name_in_one_import_is_a_row_and_hides_no_other(lab: Lab) -> None:
    member = lab.member("member1", {**RIGHT, (f"db.default.svc.{ZONE}", "A"): Reply(("10.9.9.9",))})
    member.import_("db", imported("lb-1.eu.elb.example.com"))
    member.service("default", "derived-db", "10.22.4.18")
    rows = lab.rows()
    bad = one(rows, f"db.default.svc.{ZONE}")
    assert (bad["ok"], bad["verdict"], bad["expected"]) == (False, "stale", ["10.22.4.18"])
    assert "ServiceImport default/db says lb-1.eu.elb.example.com, but it should say 10.22.4.18 (derived Service derived-db)" in bad["cause"]
    assert one(rows, SERVE)["ok"]


def test_a_host_name_that_somebody_else_set_is_a_fault(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    owner = {"manager": "kubectl-patch", "fieldsV1": {"f:spec": {"f:ips": {}}}}
    member.import_("serve", {"metadata": {"managedFields": [owner]}, **imported("lb-1.eu.elb.example.com")})
    rows = lab.rows()
    assert one(rows, SERVE)["ok"] is False
    assert "has 'lb-1.eu.elb.example.com' in its ips, which is no IP address" in one(rows, SERVE)["cause"]


def test_an_import_that_makes_no_sense_is_a_row(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    member.import_("odd", {"spec": {"type": "ClusterSetIP", "ips": ["10.1.1.1"], "ports": ["http"]}})
    member.service("default", "derived-odd", "10.1.1.1")
    member.import_("x" * 64, imported("10.1.1.2"))
    rows = lab.rows()
    assert "cannot be understood (AttributeError" in one(rows, f"odd.default.svc.{ZONE}")["cause"]
    too_long = one(rows, f"{'x' * 64}.default.svc.{ZONE}")
    assert (too_long["ok"], too_long["verdict"], "1 to 63" in too_long["cause"]) == (False, "error", True)
    assert one(rows, SERVE)["ok"]


def test_a_derived_service_with_another_address_is_stale(lab: Lab) -> None:
    """DNS says what the import says, and both are wrong."""
    lab.member("member1", RIGHT).service("default", "derived-serve", "10.22.9.99")
    rows = lab.rows()
    row = one(rows, SERVE)
    assert (row["ok"], row["verdict"], row["expected"], row["answers"]) == (False, "stale", ["10.22.9.99"], ["10.22.4.17"])
    assert row["cause"] == (
        "Stale: answered 10.22.4.17; ServiceImport default/serve says 10.22.4.17, but it should say 10.22.9.99"
        " (derived Service derived-serve). Run module serviceimport_ips."
    )
    assert "all right" not in report.summary(rows)


def test_addresses_whose_source_is_gone_are_stale_unless_kept(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    member.api.remove("/api/v1/namespaces/default/services/derived-serve")
    assert "should say nothing (there is no derived Service derived-serve" in one(lab.rows(), SERVE)["cause"]
    assert one(lab.rows(source_gone="keep"), SERVE)["ok"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"strategy": "native"}, ["10.22.4.50"]),
        ({"strategies": {"default/serve": "native"}}, ["10.22.4.50"]),
        ({"strategy": "local_first"}, ["10.22.4.50"]),
        ({"strategy": "endpoints"}, ["10.244.0.9"]),
        ({"ips": {"default/serve": ["192.0.2.7"]}}, ["192.0.2.7"]),
        ({"strategy": "load_balancer"}, ["10.22.4.17"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_the_right_addresses_are_those_of_the_members_strategy(lab: Lab, options: dict[str, t.Any], expected: list[str]) -> None:
    member = lab.member("member1", RIGHT)
    member.service("default", "serve", "10.22.4.50")
    slice_ = {"metadata": {"labels": {"kubernetes.io/service-name": "serve"}}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.244.0.9"]}]}
    member.slice("serve-x", slice_)
    assert one(lab.rows(of_member={"member1": options}), SERVE)["expected"] == expected


def test_the_strategies_are_those_of_serviceimport_ips() -> None:
    assert STRATEGIES == addresses.STRATEGIES


def test_an_import_without_addresses_that_should_have_some_is_verified_once_endpoints_came(lab: Lab) -> None:
    member = lab.member("member1", {**HEALTHY, (SERVE, "A"): NODATA})
    member.import_("serve", imported())
    assert {row["service"] for row in lab.rows()} == {""}
    labels = {"kubernetes.io/service-name": "derived-serve", "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.karmada.io"}
    member.slice("imported-member2-serve-abcde", {"metadata": {"labels": labels}, "addressType": "IPv4", "endpoints": []})
    row = one(lab.rows(), SERVE)
    assert (row["verdict"], "has no ips, and should have 10.22.4.17 (derived Service derived-serve)" in row["cause"]) == ("nodata", True)


HOST = f"web-0.member1.{SERVE}"
HEADLESS = {
    **HEALTHY,
    (SERVE, "AAAA"): Reply(("fd00::1", "fd00::2")),
    (SRV, "SRV"): Reply((f"0 50 8080 web-0.member1.{SERVE}.", f"0 50 8080 fd00--2.member1.{SERVE}.")),
    (HOST, "AAAA"): Reply(("fd00::1",)),
}


def headless(lab: Lab, replies: dict[tuple[str, str], Reply]) -> Member:
    member = lab.member("member1", replies)
    member.import_("serve", imported(type="Headless"))
    ready = [{"addresses": ["FD00:0::1"], "hostname": "web-0"}, {"addresses": ["fd00::2"], "conditions": {"ready": True}}]
    member.slice("web-1", slice_of(*ready, {"addresses": ["fd00::3"], "conditions": {"ready": False}}, kind="IPv6"))
    return member


def test_a_headless_service_of_ipv6_addresses_is_asked_for_them(lab: Lab) -> None:
    headless(lab, HEADLESS)
    rows = [row for row in lab.rows() if row["service"]]
    assert [(row["name"], row["type"], row["ok"]) for row in rows] == [(SERVE, "AAAA", True), (SRV, "SRV", True), (HOST, "AAAA", True)]
    assert rows[0]["expected"] == ["fd00::1", "fd00::2"]


@pytest.mark.parametrize(
    ("name", "kind", "reply"),
    [
        (SERVE, "AAAA", Reply(("fd00::1",))),
        (SRV, "SRV", Reply((f"0 50 8081 web-0.member1.{SERVE}.", f"0 50 8080 fd00--2.member1.{SERVE}."))),
        (HOST, "AAAA", Reply(("fd00::2",))),
        (HOST, "AAAA", DENIED),
    ],
)
def test_a_headless_answer_that_is_not_the_endpoints_is_stale(lab: Lab, name: str, kind: str, reply: Reply) -> None:
    headless(lab, {**HEADLESS, (name, kind): reply})
    (wrong,) = [row for row in lab.rows() if not row["ok"]]
    assert (wrong["name"], wrong["type"], wrong["verdict"]) == (name, kind, "stale")
    assert f"but EndpointSlices of default/serve say {', '.join(wrong['expected'])}" in wrong["cause"]


def test_a_headless_service_without_slices_of_its_own_says_so(lab: Lab) -> None:
    member = lab.member("member1", {**HEALTHY, (SERVE, "A"): DENIED})
    member.import_("serve", imported(type="Headless"))
    row = one(lab.rows(services=SERVICES), SERVE)
    assert (row["ok"], "no EndpointSlice is labelled as its own. Run module serviceimport_ips" in row["cause"]) == (False, True)


def test_of_many_endpoints_some_hosts_are_asked_and_a_note_says_so(lab: Lab) -> None:
    member = lab.member("member1", HEALTHY)
    member.import_("serve", imported(type="Headless"))
    member.slice("web", slice_of(*({"addresses": [f"10.1.0.{number}"], "hostname": f"web-{number:02}"} for number in range(30))))
    fleet = lab.fleet()
    hosts = [row["name"] for row in fleet.verify() if ".member1." in row["name"]]
    assert hosts == [f"web-{number:02}.member1.{SERVE}" for number in range(10)]
    assert fleet.notes == ["member1: default/serve: the own names of 10 of its 30 endpoints are asked, the first by cluster and name."]


def test_pods_are_those_behind_the_service_whatever_their_labels(lab: Lab) -> None:
    """As the Helm chart labels them, on a port of their own."""
    member = lab.member("member1", RIGHT)
    labels = {"k8s-app": "coredns", "app.kubernetes.io/name": "coredns"}
    ports = [{"port": 53, "targetPort": "udp", "protocol": "UDP"}, {"port": 53, "targetPort": "tcp", "protocol": "TCP"}]
    member.api.remove("/api/v1/namespaces/kube-system/services/kube-dns")
    member.service("kube-system", "coredns", "10.96.0.10", labels={"k8s-app": "coredns"}, selector=labels, ports=ports)
    member.pod("coredns-0", labels=labels, ports=[{"name": "udp", "containerPort": 8054}, {"name": "tcp", "containerPort": 8053}])
    assert all(row["ok"] for row in lab.rows())
    assert set(member.forwards) == {("kube-system", "coredns-0", 8053)}


def test_options_outrank_what_is_found_out(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    member.nodelocal("nodelocaldns", NODELOCAL)
    member.pod("coredns-0", labels={"app": "mine"})
    rows = lab.rows(label_selector="app=mine", port=5353)
    assert {row["verdict"] for row in rows} == {"ok"}
    assert set(member.forwards) == {("kube-system", "coredns-0", 5353)}


def test_a_dns_service_without_pods_hides_no_other(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    labels = {"kubernetes.io/cluster-service": "true"}
    member.service("kube-system", "coredns-secondary", "10.96.0.11", labels=labels, selector={"k8s-app": "second"}, ports=[{"port": 53}])
    rows = lab.rows()
    assert one(rows, SERVE)["ok"]
    (wrong,) = [row for row in rows if not row["ok"]]
    assert "no running pod in namespace kube-system has the labels k8s-app=second" in wrong["cause"]


@pytest.mark.parametrize(
    ("container", "file"),
    [({}, "Corefile"), ({"args": ["-localip", "169.254.20.10", "-conf", "/etc/Corefile"]}, "Corefile.base")],
    ids=["Kubespray", "upstream"],
)
def test_a_nodelocal_dnscache_that_does_not_know_the_zone_is_wrong(lab: Lab, container: dict[str, t.Any], file: str) -> None:
    lab.member("member1", RIGHT).nodelocal("nodelocaldns", NODELOCAL, file, **container)
    fleet = lab.fleet()
    rows = fleet.verify()
    (wrong,) = [row for row in rows if not row["ok"]]
    assert (wrong["pod"], wrong["ok"], wrong["verdict"]) == ("DaemonSet kube-system/nodelocaldns", False, "unasked")
    assert wrong["cause"] == (
        "DaemonSet kube-system/nodelocaldns is a NodeLocal DNSCache that answers on 169.254.25.10 of each node only, which no port-forward"
        " reaches: its 2 pods were not asked. Its Corefile sends clusterset.local to /etc/resolv.conf, as all names that are not the cluster's"
        " own, so that the pods of its nodes do not get these names. Give ConfigMap kube-system/nodelocaldns a server block clusterset.local"
        " that forwards to the cluster's DNS (module coredns_multicluster)."
    )
    assert [failed["name"] for failed in fleet.failures(rows)] == ["member1"]


def test_a_nodelocal_dnscache_that_knows_the_zone_is_not_all_right_either(lab: Lab) -> None:
    knows = NODELOCAL + "clusterset.local:53 {\n    bind 169.254.25.10\n    forward . 10.96.0.10\n}\n"
    lab.member("member1", RIGHT).nodelocal("nodelocaldns", knows)
    fleet = lab.fleet()
    rows = fleet.verify()
    (unasked,) = [row for row in rows if not row["ok"]]
    assert (unasked["ok"], unasked["verdict"]) == (None, "unasked")
    assert "By its Corefile it passes clusterset.local on" in unasked["cause"]
    assert fleet.failures(rows) == []
    assert report.summary(rows) == (
        "4 answers of 1 of 2 CoreDNS pods in 1 cluster: what was asked is right; not asked: member1 DaemonSet kube-system/nodelocaldns."
    )


def test_a_nodelocal_dnscache_on_all_addresses_is_asked(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    member.nodelocal("nodelocaldns", NODELOCAL.replace("    bind 169.254.25.10\n", ""))
    member.servers |= {"cache-a": lab.dns({**RIGHT, (VERSION, "TXT"): FORWARDED}), "other": lab.dns({})}
    member.pod("cache-a", labels={"k8s-app": "nodelocaldns"}, owner="uid-nodelocaldns")
    member.pod("other", labels={"k8s-app": "nodelocaldns"}, owner="somebody else")
    rows = lab.rows()
    assert {(row["pod"], row["verdict"]) for row in rows} == {("coredns-0", "ok"), ("cache-a", "ok"), ("cache-a", "upstream")}


def test_a_nodelocal_dnscache_whose_corefile_may_not_be_read_is_wrong(lab: Lab) -> None:
    member = lab.member("member1", RIGHT)
    member.nodelocal("nodelocaldns", NODELOCAL)
    member.api.faults.append(lambda _method, path, _query: status(403, "Forbidden", "no") if "configmaps" in path else None)
    (wrong,) = [row for row in lab.rows() if not row["ok"]]
    assert (wrong["ok"], "may be a NodeLocal DNSCache, and its Corefile cannot be read" in wrong["cause"]) == (False, True)


def test_members_differ_in_what_they_want(lab: Lab) -> None:
    other = {(name.replace("cluster.local", "two.example"), kind): reply for (name, kind), reply in RIGHT.items()}
    lab.member("member1", RIGHT)
    lab.member("member2", other)
    services = [{**SERVICES[0], "to_clusters": ["member2"]}]
    rows = lab.rows(services=services, of_member={"member2": {"cluster_domain": "two.example."}})
    assert {row["verdict"] for row in rows} == {"ok"}
    assert {(row["cluster"], row["service"]) for row in rows} == {("member1", ""), ("member2", ""), ("member2", "default/serve")}


def test_a_zone_that_is_not_served_is_not_asked_name_by_name(lab: Lab) -> None:
    member = lab.member("member1", UNSERVED)
    assert [row["verdict"] for row in lab.rows()] == ["ok", "upstream", "upstream", "upstream"]
    assert len(member.servers["coredns-0"].asked) == 2


def test_one_pod_that_has_not_reloaded(lab: Lab) -> None:
    lab.member("member1", RIGHT, UNSERVED)
    assert {row["pod"] for row in lab.rows() if not row["ok"]} == {"coredns-1"}


@pytest.mark.parametrize(
    ("crd", "allowed", "says"),
    [
        (False, True, "Run module mcs_crds"),
        (True, False, "RBAC does not let its service account list and watch them"),
        (True, True, "may still be starting"),
    ],
)
def test_the_cause_of_servfail_is_looked_up(lab: Lab, crd: bool, allowed: bool, says: str) -> None:
    failing = Reply(rcode="SERVFAIL", soa=f"{ZONE}.")
    member = lab.member("member1", {**RIGHT, (SERVE, "A"): failing, (SRV, "SRV"): failing})
    if not crd:
        member.api.faults.append(lambda _method, path, _query: status(404, "NotFound", "") if path.endswith("/serviceimports") else None)
    reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    member.api.faults.append(lambda _method, path, _query: (201, {"status": {"allowed": allowed}}, {}) if path == reviews else None)
    wrong = [row for row in lab.rows(services=SERVICES) if not row["ok"]]
    assert {row["verdict"] for row in wrong} == {"servfail"}
    assert all(says in row["cause"] for row in wrong), wrong
    assert sum(path == reviews for _method, path, _query in member.api.log) == 2


@pytest.mark.parametrize(
    ("item", "replies", "verdict", "says"),
    [
        (None, {(SERVE, "A"): DENIED}, "nxdomain", "there is no ServiceImport default/serve"),
        (imported("10.22.4.17", ports=[]), {(SERVE, "A"): DENIED}, "nxdomain", "ServiceImport default/serve has no ports"),
        (imported(), {(SERVE, "A"): NODATA}, "nodata", "ServiceImport default/serve has no ips"),
        (imported("10.22.4.17"), {(VERSION, "TXT"): REFUSED}, "refused", "this pod does not serve clusterset.local"),
        (imported("10.22.4.17"), {(VERSION, "TXT"): FORWARDED}, "upstream", "from an upstream server (its authority: .)"),
        (imported("10.22.4.17"), {(SERVE, "A"): Reply(("192.0.2.1",), aa=False)}, "upstream", "a forward goes around it"),
        (imported("10.22.4.17"), {(SERVE, "A"): Reply(("10.22.4.9",), ttl=30)}, "stale", "It may be cached for 30 s"),
        (imported("10.22.4.17"), {(SERVE, "A"): Reply(silent=True)}, "error", "No answer within 0.1 s."),
    ],
)
def test_each_cause_as_a_server_shows_it(lab: Lab, item: t.Any, replies: dict[tuple[str, str], Reply], verdict: str, says: str) -> None:
    member = lab.member("member1", {**RIGHT, **replies})
    member.api.remove("/apis/multicluster.x-k8s.io/v1alpha1/namespaces/default/serviceimports/serve")
    if item:
        member.import_("serve", copy.deepcopy(item))
    row = one(lab.rows(services=SERVICES, timeout=0.1), SERVE)
    assert (row["verdict"], says in row["cause"]) == (verdict, True), row["cause"]


def test_waits_until_the_answer_is_right(lab: Lab) -> None:
    member = lab.member("member1", {**RIGHT, (SERVE, "A"): Reply(("10.22.4.9",))})
    server = member.servers["coredns-0"]
    asked = server.serve_one

    def serve_one(connection: t.Any) -> bool:
        if server.asked.count((SERVE, "A")) == 3:
            server.replies[(SERVE, "A")] = RIGHT[(SERVE, "A")]
        return asked(connection)

    server.serve_one = serve_one
    assert all(row["ok"] for row in lab.rows(wait_timeout=10))
    assert server.asked.count((SERVE, "A")) == 4


def test_gives_up_after_the_time_and_says_that_no_cache_explains_it(lab: Lab) -> None:
    lab.member("member1", {**RIGHT, (SERVE, "A"): Reply(("10.22.4.9",), ttl=0)})
    (wrong,) = [row for row in lab.rows(wait_timeout=0.2) if not row["ok"]]
    assert (wrong["verdict"], "longer than it may be cached" in wrong["cause"]) == ("stale", True)


def test_a_member_that_is_stuck_is_a_failed_row_by_the_deadline_and_keeps_no_other(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.member("stuck", RIGHT)
    lab.member("member2", RIGHT)
    over = threading.Event()
    listed = Cluster.list
    monkeypatch.setattr(Cluster, "list", lambda self, *args, **more: over.wait(30) if self.name == "stuck" else listed(self, *args, **more))
    start = time.monotonic()
    rows = lab.rows(deadline=1)
    over.set()
    assert time.monotonic() - start < 5
    assert {row["cluster"] for row in rows if row["ok"]} == {"member2"}
    (wrong,) = [row for row in rows if not row["ok"]]
    assert (wrong["cluster"], wrong["cause"].startswith("stuck: not done within the deadline")) == ("stuck", True)


def test_what_was_found_before_the_api_server_went_away_is_kept(lab: Lab) -> None:
    member = lab.member("member1", {**RIGHT, (SERVE, "A"): Reply(("10.22.4.9",))})
    lists = iter(range(100))
    gone = status(401, "Unauthorized", "expired")
    member.api.faults.append(lambda _method, path, _query: gone if path.endswith("/serviceimports") and next(lists) else None)
    verdicts = [row["verdict"] for row in lab.rows(wait_timeout=5)]
    assert verdicts == ["ok", "ok", "stale", "ok", "error"]


def test_members_that_were_given_up_are_failed_rows(lab: Lab) -> None:
    lab.member("member1", RIGHT)
    fleet = lab.fleet(given_up=["member2"])
    rows = fleet.verify()
    assert (rows[-1]["cluster"], rows[-1]["ok"], rows[-1]["cause"]) == (
        "member2",
        False,
        "member2: not verified, because an earlier step failed there.",
    )
    assert [failed["name"] for failed in fleet.failures(rows)] == ["member2"]


def test_check_mode_waits_for_nothing_and_skips_a_member_that_is_not_served_yet(lab: Lab) -> None:
    lab.member("new", UNSERVED)
    lab.member("wrong", {**RIGHT, (SERVE, "A"): DENIED})
    fleet = lab.fleet(check=True, wait_timeout=60, given_up=["down"])
    start = time.monotonic()
    rows = fleet.verify()
    assert time.monotonic() - start < 5
    assert [(row["cluster"], row["verdict"], row["ok"]) for row in rows if not row["ok"]] == [
        ("new", "skipped", None),
        ("wrong", "stale", False),
        ("down", "error", False),
    ]
    assert [failed["name"] for failed in fleet.failures(rows)] == ["down"]


def test_http_is_tried_in_each_member_that_gives_an_image(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.clusterset.dns.plugins.module_utils._dns import http_query

    def query(cluster: Cluster, urls: list[str], image: str, **_options: t.Any) -> list[dict[str, t.Any]]:
        if cluster.name == "member2":
            raise ApiError("member2", "member2: HTTP could not be tried: no image.")
        return [{"url": url, "status": 200, "body": image, "time_ms": 1.0, "error": ""} for url in urls]

    monkeypatch.setattr(http_query, "query", query)
    for name in ("member1", "member2", "member3"):
        lab.member(name, RIGHT)
    rows = [row for row in lab.rows(http_image="curl", of_member={"member3": {"http_image": ""}}) if row["name"] == SERVE]
    assert [(row["cluster"], row["http_status"], row["verdict"]) for row in rows] == [
        ("member1", 200, "ok"),
        ("member2", None, "http"),
        ("member3", None, "ok"),
    ]
    assert rows[0]["http"][0]["url"] == f"http://{SERVE}/"
    assert "no image" in rows[1]["cause"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"services": [{"name": "serve"}]}, "needs a namespace and a name"),
        ({"zone": "cluster.local."}, "both cluster.local"),
        ({"zone": "no such.zone"}, "no DNS name"),
        ({"services": [{"namespace": "default", "name": "x" * 64}]}, "1 to 63"),
        ({"deadline": 0}, "deadline is 0. Set it to a number above 0."),
        ({"members": []}, "members is empty"),
        ({"members": [{"kubeconfig": "x"}]}, "An entry of members has no name"),
        ({"members": [{"name": "a"}, {"name": "a"}]}, "members has a twice"),
        ({"members": [{"name": "a", "zones": "x"}]}, "members: a has the key zones"),
        ({"members": [{"name": "a", "port": "dns"}]}, "members: a: port is 'dns'"),
        ({"members": [{"name": "a", "strategy": "best"}]}, "members: a: strategy 'best' is none of derived"),
        ({"members": [{"name": "a", "strategies": {"serve": "native"}}]}, "'serve' does not name a service"),
        ({"members": [{"name": "a", "zone": "cluster.local"}]}, "members: a: zone and cluster_domain are both cluster.local"),
    ],
)
def test_input_that_cannot_be_meant_so(lab: Lab, params: dict[str, t.Any], says: str) -> None:
    with pytest.raises(ValueError, match=says.replace(".", r"\.")):
        lab.fleet(**{"members": [{"name": "a"}], **params})


def test_without_members_the_modules_own_credentials_reach_one() -> None:
    defaults = {key: option.get("default") for key, option in {**AUTH_ARG_SPEC, **VERIFY_ARG_SPEC}.items()}
    (want,) = wants_from({**defaults, "kubeconfig": "/k"}, "member2")
    assert (want.name, want.auth, want.options["zone"]) == ("member2", {"kubeconfig": "/k"}, "clusterset.local")
