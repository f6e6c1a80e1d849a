# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import pytest

pytest.importorskip("dns")
pytest.importorskip("kubernetes")

from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Question
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError

from .dns_server import LoopbackDns, Reply

SERVE = "serve.default.svc.clusterset.local"
SRV = f"_http._tcp.{SERVE}"


@pytest.fixture
def server():
    running = LoopbackDns(
        {
            (SERVE, "A"): Reply(("10.22.4.17",)),
            (SRV, "SRV"): Reply((f"0 100 80 {SERVE}.",)),
            (SERVE, "AAAA"): Reply(soa="clusterset.local."),
            ("forwarded.example", "A"): Reply(("192.0.2.1",), aa=False, ttl=300),
            ("refused.example", "A"): Reply(rcode="REFUSED", aa=False),
            ("silent.example", "A"): Reply(silent=True),
            ("garbled.example", "A"): Reply(garbage=True),
        }
    )
    yield running
    running.close()


def test_all_questions_over_one_connection(server):
    asked = [Question(SERVE, "A"), Question(SRV, "SRV"), Question(SERVE, "AAAA"), Question("no." + SERVE, "A")]
    first, second, third, fourth = _dns_query.ask(server.connect, asked)
    assert server.connections == 1
    assert (first["rcode"], first["answers"], first["ttl"]) == ("NOERROR", ["10.22.4.17"], 5)
    assert first["flags"] == ["qr", "aa", "rd"]
    assert 0 <= first["time_ms"] < 1000
    assert second["answers"] == [f"0 100 80 {SERVE}."]
    assert (third["rcode"], third["answers"], third["ttl"]) == ("NOERROR", [], 5)
    assert third["authority"] == "clusterset.local."
    assert (fourth["rcode"], fourth["authority"]) == ("NXDOMAIN", "clusterset.local.")


def test_names_are_taken_as_absolute_with_and_without_final_dot(server):
    rows = _dns_query.ask(server.connect, [Question(SERVE, "A"), Question(SERVE + ".", "A")])
    assert [row["answers"] for row in rows] == [["10.22.4.17"], ["10.22.4.17"]]
    assert server.asked == [(SERVE, "A"), (SERVE, "A")]


def test_flags_and_codes_of_others(server):
    asked = [Question("forwarded.example", "A"), Question("refused.example", "A")]
    forwarded, refused = _dns_query.ask(server.connect, asked)
    assert (forwarded["flags"], forwarded["ttl"]) == (["qr", "rd"], 300)
    assert (refused["rcode"], refused["ttl"], refused["error"]) == ("REFUSED", None, "")


def test_a_server_that_closes_after_each_answer_is_asked_again(server):
    server.per_connection = 2
    rows = _dns_query.ask(server.connect, [Question(SERVE, "A")] * 5)
    assert [row["answers"] for row in rows] == [["10.22.4.17"]] * 5
    assert server.connections == 3


def test_one_silence_does_not_spoil_the_next_question(server):
    silent, after = _dns_query.ask(server.connect, [Question("silent.example", "A"), Question(SERVE, "A")], timeout=0.1)
    assert (silent["rcode"], silent["error"]) == ("", "No answer within 0.1 s.")
    assert after["answers"] == ["10.22.4.17"]
    assert server.connections == 2


def test_a_silent_server_is_given_up(server):
    rows = _dns_query.ask(server.connect, [Question("silent.example", "A")] * 20, timeout=0.1)
    assert len(rows) == 20
    assert {row["error"] for row in rows} == {"No answer within 0.1 s."}
    assert len(server.asked) == 2


def test_garbage_is_an_error_in_words(server):
    garbled, after = _dns_query.ask(server.connect, [Question("garbled.example", "A"), Question(SERVE, "A")])
    assert garbled["error"].startswith("What came back is not a DNS answer")
    assert after["answers"] == ["10.22.4.17"]


def test_refused_connection():
    closed = LoopbackDns({})
    closed.close()
    (row,) = _dns_query.ask(closed.connect, [Question(SERVE, "A")])
    assert "refused" in row["error"]


def test_the_api_server_refuses():
    def connect():
        raise ApiError("member1", "member1: no port-forward to port 53 of pod kube-system/coredns-a.")

    (row,) = _dns_query.ask(connect, [Question(SERVE, "A")])
    assert row["error"] == "member1: no port-forward to port 53 of pod kube-system/coredns-a."


class FakeCluster:
    """Lists given pods and forwards each to a server of its own."""

    name = "member1"

    def __init__(self, pods, servers):
        self.pods, self.servers = pods, servers

    def list(self, path, label_selector=""):
        assert path == "/api/v1/namespaces/kube-system/pods"
        wanted = dict([label_selector.split("=")]) if label_selector else {}
        return [pod for pod in self.pods if wanted.items() <= pod["metadata"]["labels"].items()]

    def port_forward(self, namespace, pod, port):
        assert (namespace, port) == ("kube-system", 53)
        return self.servers[pod].connect()


def pod(name, phase="Running", labels=(("k8s-app", "kube-dns"),), **metadata):
    return {
        "metadata": {"name": name, "labels": dict(labels), **metadata},
        "spec": {"nodeName": "node-" + name, "serviceAccountName": "coredns"},
        "status": {"phase": phase},
    }


def test_pods_by_label_without_finished_and_deleted_ones():
    cluster = FakeCluster(
        [
            pod("b"),
            pod("a"),
            pod("evicted", "Failed"),
            pod("leaving", deletionTimestamp="2026-11-23T10:00:00Z"),
            pod("starting", "Pending"),
            pod("other", labels=[("app", "x")]),
        ],
        {},
    )
    found = _dns_query.find_pods(cluster, "kube-system", "k8s-app=kube-dns")
    assert [(one["pod"], bool(one["error"])) for one in found] == [("a", False), ("b", False), ("starting", True)]
    assert found[2]["error"] == "Pod kube-system/starting cannot be asked: it is Pending, not Running."


def test_pods_by_name():
    cluster = FakeCluster([pod("a"), pod("b")], {})
    found = _dns_query.find_pods(cluster, "kube-system", "k8s-app=kube-dns", ["b", "gone", "b"])
    assert [(one["pod"], one["error"]) for one in found] == [("b", ""), ("gone", "There is no pod kube-system/gone.")]


def test_no_pods_is_a_sentence():
    with pytest.raises(ApiError, match=r"no running pod in namespace kube-system has the labels app=dns\. Set"):
        _dns_query.find_pods(FakeCluster([pod("a")], {}), "kube-system", "app=dns")


def test_every_pod_is_asked_and_one_that_is_down_is_a_row(server):
    dead = LoopbackDns({})
    dead.close()
    cluster = FakeCluster([pod("a"), pod("b"), pod("c", "Pending")], {"a": server, "b": dead})
    pods = _dns_query.find_pods(cluster, "kube-system", "k8s-app=kube-dns")
    rows = _dns_query.ask_pods(cluster, "kube-system", pods, [Question(SERVE, "A"), Question(SRV, "SRV")])
    assert [(row["pod"], row["type"], row["rcode"]) for row in rows] == [
        ("a", "A", "NOERROR"),
        ("a", "SRV", "NOERROR"),
        ("b", "A", ""),
        ("b", "SRV", ""),
        ("c", "A", ""),
        ("c", "SRV", ""),
    ]
    assert rows[0]["node"] == "node-a"
    assert "refused" in rows[2]["error"]
    assert "Pending" in rows[5]["error"]


def test_what_a_pod_is_asked_next_depends_on_its_answers_and_takes_the_same_connection(server):
    dead = LoopbackDns({})
    dead.close()
    cluster = FakeCluster([pod("a"), pod("b")], {"a": server, "b": dead})
    pods = _dns_query.find_pods(cluster, "kube-system", "k8s-app=kube-dns")
    opened = []
    forward = cluster.port_forward
    cluster.port_forward = lambda namespace, name, port: opened.append(name) or forward(namespace, name, port)

    def then(answers):
        return [Question(SRV, "SRV")] if any(one["answers"] for one in answers) else []

    rows = _dns_query.ask_pods(cluster, "kube-system", pods, [Question(SERVE, "A")], then=then)
    assert [(row["pod"], row["type"], row["rcode"]) for row in rows] == [("a", "A", "NOERROR"), ("a", "SRV", "NOERROR"), ("b", "A", "")]
    assert opened.count("a") == 1
