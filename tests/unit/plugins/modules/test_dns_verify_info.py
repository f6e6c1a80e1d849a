# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import pytest

pytest.importorskip("dns")
pytest.importorskip("kubernetes")

from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.modules import dns_verify_info

from ..module_utils._dns.dns_server import LoopbackDns, Reply

ZONE = "clusterset.local"
SERVE = f"serve.default.svc.{ZONE}"
RIGHT = {
    ("kubernetes.default.svc.cluster.local", "A"): Reply(("10.96.0.1",)),
    (f"dns-version.{ZONE}", "TXT"): Reply(('"1.1.0"',)),
    (SERVE, "A"): Reply(("10.22.4.17",)),
    (f"_http._tcp.{SERVE}", "SRV"): Reply((f"0 100 80 {SERVE}.",)),
}
UNSERVED = {
    ("kubernetes.default.svc.cluster.local", "A"): Reply(("10.96.0.1",)),
    (f"dns-version.{ZONE}", "TXT"): Reply(rcode="SERVFAIL", aa=False),
}
PARAMS = {
    "services": [],
    "zone": ZONE,
    "cluster_domain": "cluster.local",
    "namespace": "kube-system",
    "label_selector": "k8s-app=kube-dns",
    "pods": [],
    "port": 53,
    "timeout": 1,
    "http_path": "/", "only_health": False,
}
IMPORT = {
    "metadata": {"namespace": "default", "name": "serve"},
    "spec": {"type": "ClusterSetIP", "ips": ["10.22.4.17"], "ports": [{"name": "http", "port": 80}]},
}


class FakeCluster:
    """An API server with ServiceImports (None: no CRD) in front of DNS servers, one per pod."""

    name = "member2"

    def __init__(self, imports, *servers, allowed=True):
        self.imports, self.servers, self.allowed = imports, servers, allowed
        self.reviews = []

    def list(self, path, label_selector=""):
        if path == dns_verify_info.SERVICE_IMPORTS:
            if self.imports is None:
                raise ApiError("member2", "not found", status=404)
            return self.imports
        return [
            {
                "metadata": {"name": str(number)},
                "spec": {"serviceAccountName": "coredns"},
                "status": {"phase": "Running"},
            }
            for number in range(len(self.servers))
        ]

    def get(self, path):
        assert path == "/api/v1/namespaces/default/services/kubernetes"
        return {"spec": {"clusterIPs": ["10.96.0.1"]}}

    def denied(self, namespace, service_account, rights):
        self.reviews += [{"user": f"system:serviceaccount:{namespace}:{service_account}", "resourceAttributes": one} for one in rights]
        return [] if self.allowed else rights

    def port_forward(self, namespace, pod, port):
        return self.servers[int(pod)].connect()


@pytest.fixture
def serve():
    running = []

    def start(replies):
        running.append(LoopbackDns(replies))
        return running[-1]

    yield start
    for server in running:
        server.close()


def verify(cluster, wait=0, **params):
    verification = dns_verify_info.Verification(cluster, {**PARAMS, **params})
    rows, _seconds = _dns_query.wait(verification.round, lambda row: row["ok"], wait, 0.02)
    return verification, rows


def test_right_answers(serve):
    verification, rows = verify(FakeCluster([IMPORT], serve(RIGHT), serve(RIGHT)))
    assert [(row["pod"], row["type"], row["verdict"]) for row in rows] == [
        (pod, kind, "ok") for pod in "01" for kind in ("A", "TXT", "A", "SRV")
    ]
    assert {row["cluster"] for row in rows} == {"member2"}
    assert verification.served
    assert verification.urls == [{"service": "default/serve", "url": f"http://{SERVE}/"}]


def test_a_zone_that_is_not_served_is_not_asked_name_by_name(serve):
    server = serve(UNSERVED)
    verification, rows = verify(FakeCluster([IMPORT], server))
    assert not verification.served
    assert [row["verdict"] for row in rows] == ["ok", "upstream", "upstream", "upstream"]
    assert len(server.asked) == 2


def test_one_pod_that_has_not_reloaded(serve):
    verification, rows = verify(FakeCluster([IMPORT], serve(RIGHT), serve(UNSERVED)))
    assert verification.served
    assert {row["pod"] for row in rows if not row["ok"]} == {"1"}


@pytest.mark.parametrize(
    ("imports", "allowed", "says", "reviewed"),
    [
        (None, True, "Run the role mcs_crds", ["list", "watch"]),
        ([IMPORT], False, "RBAC does not let its service account list and watch them", ["list", "watch"]),
        ([IMPORT], True, "may still be starting", ["list", "watch"]),
    ],
)
def test_the_cause_of_servfail_is_looked_up(serve, imports, allowed, says, reviewed):
    failing = Reply(rcode="SERVFAIL", soa=f"{ZONE}.")
    replies = {**RIGHT, (SERVE, "A"): failing, (f"_http._tcp.{SERVE}", "SRV"): failing}
    cluster = FakeCluster(imports, serve(replies), allowed=allowed)
    _verification, rows = verify(cluster, services=[{"namespace": "default", "name": "serve"}])
    wrong = [row for row in rows if not row["ok"]]
    assert {row["verdict"] for row in wrong} == {"servfail"}
    assert all(says in row["cause"] for row in wrong)
    assert [one["resourceAttributes"]["verb"] for one in cluster.reviews] == reviewed
    assert cluster.reviews[0]["user"] == "system:serviceaccount:kube-system:coredns"


DENIED = Reply(rcode="NXDOMAIN", soa=f"{ZONE}.")
NODATA = Reply(soa=f"{ZONE}.")
NO_PORTS = {**IMPORT, "spec": {**IMPORT["spec"], "ports": []}}
NO_IPS = {**IMPORT, "spec": {**IMPORT["spec"], "ips": []}}
REFUSED = Reply(rcode="REFUSED", aa=False)
FORWARDED = Reply(rcode="NXDOMAIN", soa=".", aa=False)


@pytest.mark.parametrize(
    ("imports", "replies", "verdict", "says"),
    [
        ([], {(SERVE, "A"): DENIED}, "nxdomain", "there is no ServiceImport default/serve"),
        ([NO_PORTS], {(SERVE, "A"): DENIED}, "nxdomain", "ServiceImport default/serve has no ports"),
        ([NO_IPS], {(SERVE, "A"): NODATA}, "nodata", "ServiceImport default/serve has no ips"),
        ([IMPORT], {(f"dns-version.{ZONE}", "TXT"): REFUSED}, "refused", "this pod does not serve clusterset.local"),
        ([IMPORT], {(f"dns-version.{ZONE}", "TXT"): FORWARDED}, "upstream", "from an upstream server (its authority: .)"),
        ([IMPORT], {(SERVE, "A"): Reply(("192.0.2.1",), aa=False)}, "upstream", "a forward goes around it"),
        ([IMPORT], {(SERVE, "A"): Reply(("10.22.4.9",), ttl=30)}, "stale", "It may be cached for 30 s"),
        ([IMPORT], {(SERVE, "A"): Reply(silent=True)}, "error", "No answer within 0.1 s."),
    ],
)
def test_each_cause_as_a_server_shows_it(serve, imports, replies, verdict, says):
    _verification, rows = verify(
        FakeCluster(imports, serve({**RIGHT, **replies})),
        services=[{"namespace": "default", "name": "serve"}],
        timeout=0.1,
    )
    row = next(one for one in rows if one["name"] == SERVE and one["type"] == "A")
    assert (row["verdict"], says in row["cause"]) == (verdict, True), row["cause"]


def test_services_are_those_of_the_cluster(serve):
    services = [
        {"namespace": "default", "name": "serve", "to_clusters": ["member2"]},
        {"namespace": "default", "name": "elsewhere", "to_clusters": ["member1"]},
    ]
    _verification, rows = verify(FakeCluster([IMPORT], serve(RIGHT)), services=services)
    assert [row["service"] for row in rows] == ["", "", "default/serve", "default/serve"]
    _verification, rows = verify(FakeCluster([IMPORT], serve(RIGHT)), services=services[1:])
    assert [row["service"] for row in rows] == ["", ""]


def test_waits_until_the_answer_is_right(serve):
    server = serve({**RIGHT, (SERVE, "A"): Reply(("10.22.4.9",))})
    cluster = FakeCluster([IMPORT], server)
    asked = server.serve_one

    def serve_one(connection):
        if server.asked.count((SERVE, "A")) == 3:
            server.replies[(SERVE, "A")] = RIGHT[(SERVE, "A")]
        return asked(connection)

    server.serve_one = serve_one
    _verification, rows = verify(cluster, wait=10)
    assert all(row["ok"] for row in rows)
    assert server.asked.count((SERVE, "A")) == 4


def test_gives_up_after_the_time_and_says_that_no_cache_explains_it(serve):
    cluster = FakeCluster([IMPORT], serve({**RIGHT, (SERVE, "A"): Reply(("10.22.4.9",), ttl=0)}))
    _verification, rows = verify(cluster, wait=0.2)
    (wrong,) = [row for row in rows if not row["ok"]]
    assert wrong["verdict"] == "stale"
    assert "longer than it may be cached" in wrong["cause"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({}, None),
        ({"services": [{"name": "serve"}]}, "needs a namespace and a name"),
        ({"zone": "cluster.local"}, "both cluster.local"),
        ({"zone": "no such.zone"}, "no DNS name"),
        ({"services": [{"namespace": "default", "name": "x" * 64}]}, "1 to 63"),
    ],
)
def test_problem(params, says):
    found = dns_verify_info.problem({**PARAMS, **params})
    assert found is None if says is None else says in found
