# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client against a stand-in: what is sent again, what may have been applied, and what it keeps open."""

from __future__ import annotations

import socket
import threading
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

MAPS = "/api/v1/namespaces/default/configmaps"
ONE = f"{MAPS}/one"
RIGHT = {"verb": "get", "resource": "pods"}
WRITES: dict[str, t.Callable[[Cluster], t.Any]] = {
    "create": lambda cluster: cluster.create(MAPS, {"metadata": {"name": "two"}}),
    "replace": lambda cluster: cluster.replace(ONE, {"metadata": {"name": "one"}, "data": {"a": "b"}}),
    "patch": lambda cluster: cluster.patch(ONE, {"data": {"a": "b"}}),
    "delete": lambda cluster: cluster.delete(ONE),
}
HARMLESS: dict[str, t.Callable[[Cluster], t.Any]] = {
    "get": lambda cluster: cluster.get(ONE),
    "list": lambda cluster: cluster.list(MAPS),
    "dry run": lambda cluster: cluster.patch(ONE, {"data": {"a": "b"}}, dry_run=True),
    "dry delete": lambda cluster: cluster.delete(ONE, dry_run=True),
    "review": lambda cluster: cluster.can_i([RIGHT]),
}


@pytest.fixture
def api() -> t.Iterator[ApiStandIn]:
    with ApiStandIn() as api:
        api.put(ONE, {"metadata": {"name": "one"}, "data": {}})
        api.faults.append(lambda _method, path, _query: (201, {"status": {"allowed": True}}, {}) if path.endswith("accessreviews") else None)
        yield api


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that the client makes between tries (and not those of its throttle), which take no time then."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", lambda seconds: made.append(seconds) if seconds >= 0.5 else None)
    return made


def hang_up(api: ApiStandIn, times: int) -> None:
    """Have the next requests be answered by nothing but the end of the connection."""
    left = iter(range(times))
    api.faults.insert(0, lambda *unused: (0, None, {}) if next(left, None) is not None else None)


def come_back(api: ApiStandIn, after: float) -> None:
    """Refuse connections from now on, and for ``after`` seconds."""
    address = api._server.server_address
    api.__exit__()
    api._server = ThreadingHTTPServer.__new__(ThreadingHTTPServer)

    def start() -> None:
        time.sleep(after)
        api._server = ThreadingHTTPServer(address, api._handler())  # type: ignore[arg-type]
        api.__enter__()

    threading.Thread(target=start, daemon=True).start()


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_a_write_that_times_out_may_have_been_applied_and_is_not_sent_again(api: ApiStandIn, call: t.Callable[[Cluster], t.Any]) -> None:
    api.faults.append(lambda *unused: time.sleep(0.6))
    with pytest.raises(ApiError, match="does not answer") as raised:
        call(Cluster("a", api.auth, timeout=0.3))
    assert (raised.value.maybe_applied, raised.value.status, len(api.log)) == (True, None, 1)


def test_it_was_applied_indeed(api: ApiStandIn) -> None:
    api.controller = lambda _path: time.sleep(0.6)
    with pytest.raises(ApiError) as raised:
        WRITES["patch"](Cluster("a", api.auth, timeout=0.3))
    assert (raised.value.maybe_applied, api.objects[ONE]["data"]) == (True, {"a": "b"})


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_a_write_whose_connection_breaks_may_have_been_applied(api: ApiStandIn, call: t.Callable[[Cluster], t.Any]) -> None:
    hang_up(api, 1)
    with pytest.raises(ApiError, match=r"does not answer \(Remote end closed connection") as raised:
        call(Cluster("a", api.auth))
    assert (raised.value.maybe_applied, len(api.log)) == (True, 1)


@pytest.mark.parametrize("call", [*WRITES.values(), *HARMLESS.values()], ids=[*WRITES, *HARMLESS])
def test_a_refused_connection_has_applied_nothing_and_is_tried_again(call: t.Callable[[Cluster], t.Any], pauses: list[float]) -> None:
    cluster = Cluster("a", {"host": "http://127.0.0.1:9", "api_key": "none"})
    with pytest.raises(ApiError, match="Connection refused") as raised:
        call(cluster)
    assert (raised.value.maybe_applied, cluster.requests, pauses) == (False, 4, [0.5, 1, 2])


@pytest.mark.parametrize(
    "answer", [status(409, "Conflict", "x"), status(500, "InternalError", "x"), status(504, "Timeout", "x"), (503, b"no backend", {})]
)
def test_an_answer_of_any_kind_says_that_it_was_not_applied(api: ApiStandIn, answer: t.Any) -> None:
    api.faults.append(lambda *unused: answer)
    with pytest.raises(ApiError) as raised:
        WRITES["patch"](Cluster("a", api.auth))
    assert (raised.value.maybe_applied, raised.value.status) == (False, answer[0])


@pytest.mark.parametrize("call", [HARMLESS["get"], WRITES["create"]], ids=["get", "create"])
def test_an_api_server_that_fails_over_is_waited_for(api: ApiStandIn, call: t.Callable[[Cluster], t.Any]) -> None:
    cluster = Cluster("a", api.auth)
    come_back(api, 0.7)
    assert call(cluster)["metadata"]["name"] in ("one", "two")
    assert len(api.log) == 1


def test_a_look_that_times_out_is_made_again(api: ApiStandIn) -> None:
    slow = iter([True])
    api.faults.append(lambda *unused: time.sleep(1.5) if next(slow, False) else None)
    assert Cluster("a", api.auth, timeout=1).get(ONE)
    assert len(api.log) == 2


@pytest.mark.parametrize("call", HARMLESS.values(), ids=HARMLESS)
def test_what_stores_nothing_is_sent_again_on_a_new_connection(
    api: ApiStandIn, call: t.Callable[[Cluster], t.Any], pauses: list[float]
) -> None:
    hang_up(api, 3)
    call(Cluster("a", api.auth))
    assert (len(api.log), pauses) == (4, [1, 2])


def test_a_server_that_is_down_gets_no_more_than_twice_the_time_of_an_answer(api: ApiStandIn) -> None:
    api.faults.append(lambda *unused: time.sleep(2))
    began = time.monotonic()
    with pytest.raises(ApiError, match="timed out"):
        Cluster("a", api.auth, timeout=0.7).get(ONE)
    assert time.monotonic() - began < 3 * 0.7
    assert len(api.log) == 2


def test_the_deadline_ends_the_tries(pauses: list[float]) -> None:
    cluster = Cluster("a", {"host": "http://127.0.0.1:9", "api_key": "none"}, deadline=time.monotonic() + 0.9)
    with pytest.raises(ApiError, match="Connection refused"):
        cluster.get(ONE)
    assert pauses == [0.5]


@pytest.mark.parametrize("host", ["http://no-such-host.invalid:80", "https://"])
def test_what_asking_again_does_not_change_is_said_at_once(host: str, pauses: list[float]) -> None:
    cluster = Cluster("a", {"host": host, "api_key": "none"})
    with pytest.raises(ApiError, match="does not answer"):
        cluster.get(ONE)
    assert (cluster.requests, pauses) == (1, [])


def test_a_write_does_not_trust_a_connection_that_was_idle(api: ApiStandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("a", api.auth)
    cluster.get(ONE)
    closed: list[bool] = []
    monkeypatch.setattr(cluster, "close", lambda: closed.append(True))
    WRITES["patch"](cluster)
    assert closed == []
    cluster._used -= 30
    cluster.get(ONE)
    cluster._used -= 30
    WRITES["patch"](cluster)
    assert closed == [True]


def connections(api: ApiStandIn) -> int:
    """How many are open to the server."""
    port = f":{api._server.server_address[1]:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


def test_a_closed_cluster_keeps_no_connection_and_can_be_used_again(api: ApiStandIn) -> None:
    with Cluster("a", api.auth) as cluster:
        cluster.get(ONE)
        assert connections(api) == 1
    wait_for(lambda: connections(api) == 0)
    assert cluster.get(ONE)


def wait_for(condition: t.Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_fleet_keeps_the_connections_of_those_at_work_alone(api: ApiStandIn) -> None:
    """Each of 100 members has eight requests under way at once, and four members are at work."""
    api.delay = 0.02
    clusters = {f"member{number}": Cluster(f"member{number}", api.auth, qps=1000) for number in range(100)}
    seen: list[int] = []

    def look(cluster: Cluster) -> None:
        cluster.get(ONE)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _number: cluster.get(ONE), range(8)))
        seen.append(connections(api))

    results = each({name: lambda one=one: look(one) for name, one in clusters.items()}, parallel=4, deadline=time.monotonic() + 60)  # type: ignore[misc]
    assert set(results.values()) == {None}
    # the kernel's table is not read at one moment: connections that close meanwhile are counted beside those that open
    assert 8 <= max(seen) <= 2 * 4 * 8
    wait_for(lambda: connections(api) == 0)


def test_a_member_behind_a_socket_that_never_answers_is_bounded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = Cluster("a", {"host": f"http://127.0.0.1:{silent.getsockname()[1]}", "api_key": "none"}, deadline=time.monotonic() + 0.5)
        began = time.monotonic()
        with pytest.raises(ApiError, match="timed out"):
            cluster.get(ONE)
        assert time.monotonic() - began < 0.9


@pytest.mark.parametrize(("again", "unchanged", "left"), [(True, False, True), (True, True, True), (False, False, False), (False, True, True)])
def test_what_is_deleted_is_the_object_that_was_seen(api: ApiStandIn, again: bool, unchanged: bool, left: bool) -> None:
    """One that somebody made anew under that name stays, and where that is asked for one that somebody wrote."""
    cluster = Cluster("one", api.auth)
    seen = cluster.get(ONE)
    if again:
        api.remove(ONE)
    api.put(ONE, {"metadata": {"name": "one"}, "data": {"theirs": "yes"}})
    if left:
        with pytest.raises(ApiError, match="Precondition failed") as caught:
            cluster.delete(ONE, found=seen, unchanged=unchanged)
        assert caught.value.status == 409
    else:
        cluster.delete(ONE, found=seen, unchanged=unchanged)
    assert (ONE in api.objects) is left


def test_a_port_forward_is_asked_for_by_who_is_impersonated() -> None:
    seen: list[tuple[str, list[tuple[str, str]]]] = []

    class Refuses(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers.items()))
            self.send_error(403)

        def log_message(self, *unused: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        auth = {"host": f"http://127.0.0.1:{server.server_address[1]}", "api_key": "t", "impersonate_user": "jane", "impersonate_groups": ["dev", "ops"]}
        with pytest.raises(ApiError, match=r"no port-forward to port 53 of pod kube-system/dns .* 403"):
            Cluster("a", auth).port_forward("kube-system", "dns", 53)
        server.shutdown()
    ((path, headers),) = seen
    assert path == "/api/v1/namespaces/kube-system/pods/dns/portforward?ports=53"
    assert {name.lower(): value for name, value in headers}["authorization"] == "Bearer t"
    assert [pair for pair in headers if pair[0].startswith("Impersonate")] == [
        ("Impersonate-User", "jane"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
    ]
