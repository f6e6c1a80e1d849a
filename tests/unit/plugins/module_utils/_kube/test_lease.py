# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Two runs at once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import lease as lease_module
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership, waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import HeldError, Lease, LostError, is_dead, process_mark
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
PATH = f"{COLLECTION}/clusterset-dns-coredns"
MARK = "clusterset.dns/process"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[ApiStandIn]:
    monkeypatch.setattr(lease_module, "_DURATION", 0.4)
    monkeypatch.setattr(lease_module, "_RENEW", 0.05)
    monkeypatch.setattr(waiting.Waiter, "pause", _quick(waiting.Waiter.pause))
    with ApiStandIn() as standin:
        standin.collections.add(COLLECTION)
        yield standin


def _quick(pause: t.Callable[[waiting.Waiter], bool]) -> t.Callable[[waiting.Waiter], bool]:
    def quick(self: waiting.Waiter) -> bool:
        self._sleep = 0.03
        return pause(self)

    return quick


def lease(api: ApiStandIn, *, timeout: float = 2) -> Lease:
    return Lease(Cluster("member2", api.auth, timeout=timeout), "kube-system", "clusterset-dns-coredns", "blue")


def held(api: ApiStandIn, *, mark: str = "", holder: str = "ann@elsewhere, process 7", renewed: str = "2026-01-01T00:00:00.000000Z") -> None:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": renewed}
    api.put(PATH, {"metadata": {"annotations": {MARK: mark}}, "spec": spec})


def until(good: t.Callable[[], t.Any]) -> None:
    end = time.monotonic() + 3
    while not good():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def dead_mark() -> str:
    """The mark of a process of this machine that is no more."""
    root = os.path.dirname(os.path.abspath(lease_module.__file__))
    for _up in range(6):
        root = os.path.dirname(root)
    code = "from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import process_mark; print(process_mark())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [root, *sys.path]))}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment).stdout.strip()


def test_a_free_one_is_held_renewed_and_gone_at_the_end(api: ApiStandIn) -> None:
    with lease(api) as mine:
        found = api.objects[PATH]
        assert found["metadata"]["labels"] == ownership.labels("blue")
        assert found["metadata"]["annotations"] == {MARK: process_mark()}
        assert f"process {os.getpid()}" in found["spec"]["holderIdentity"]
        first = found["spec"]["renewTime"]
        until(lambda: api.objects[PATH]["spec"]["renewTime"] > first)
        assert api.objects[PATH]["spec"]["acquireTime"] == first
        mine.require()
    assert PATH not in api.objects


def test_one_whose_holder_renews_is_refused_with_his_name(api: ApiStandIn) -> None:
    with lease(api), pytest.raises(HeldError) as caught, lease(api):
        pass
    assert str(caught.value).startswith("member2: another run is changing CoreDNS (")
    assert f"process {os.getpid()}, since 20" in str(caught.value)
    assert str(caught.value).endswith(
        "; Lease kube-system/clusterset-dns-coredns). Nothing was changed by this one. Run it again when that one is done."
    )
    # who was refused has taken nothing from who holds it
    assert PATH not in api.objects


def test_one_whose_holder_is_done_meanwhile_is_taken(api: ApiStandIn) -> None:
    first = lease(api)
    first.__enter__()
    reads = []

    def done(method: str, path: str, query: dict[str, str]) -> None:
        reads.append(method)
        if len(reads) == 3:
            first.__exit__(None, None, None)

    first._over.set()
    first._thread.join()
    api.faults.append(lambda method, path, query: done(method, path, query) if method == "GET" else None)
    with lease(api) as mine:
        mine.require()
        assert PATH in api.objects


def test_a_process_of_this_machine_that_is_no_more_is_known_at_once(api: ApiStandIn) -> None:
    held(api, mark=dead_mark())
    began = time.monotonic()
    with lease(api):
        assert "ann@elsewhere" not in api.objects[PATH]["spec"]["holderIdentity"]
        assert [method for method, _path, _query in api.log] == ["GET", "GET", "PATCH"]
    assert time.monotonic() - began < 0.4


@pytest.mark.parametrize("mark", ["", "other-boot/pid:[1]/1/1"], ids=["unknown", "another machine"])
def test_elsewhere_he_is_dead_once_he_was_seen_not_to_renew(api: ApiStandIn, mark: str) -> None:
    # his clock is years ahead, which says nothing
    held(api, mark=mark, renewed="2999-01-01T00:00:00.000000Z")
    began = time.monotonic()
    with lease(api) as mine:
        assert time.monotonic() - began >= 0.4
        mine.require()


def test_one_that_was_given_up_is_free(api: ApiStandIn) -> None:
    held(api, holder="")
    began = time.monotonic()
    with lease(api) as mine:
        mine.require()
    assert time.monotonic() - began < 0.4


def test_of_two_that_see_it_free_one_is_refused(api: ApiStandIn) -> None:
    def faster(method: str, path: str, query: dict[str, str]) -> None:
        if method == "POST":
            held(api)

    api.faults.append(faster)
    with pytest.raises(HeldError, match="ann@elsewhere, process 7, since 2026-01-01"), lease(api):
        pass
    assert PATH in api.objects


def test_of_two_that_see_it_expired_one_is_refused(api: ApiStandIn) -> None:
    held(api)

    def faster(method: str, path: str, query: dict[str, str]) -> None:
        if method == "PATCH":
            held(api, holder="bob@third, process 9")

    api.faults.append(faster)
    with pytest.raises(HeldError, match="bob@third, process 9"), lease(api):
        pass


def test_one_that_is_taken_over_is_lost_and_left_to_the_other(api: ApiStandIn) -> None:
    with lease(api) as mine:
        held(api)
        until(lambda: mine._taken_over)
        with pytest.raises(LostError) as caught:
            mine.require()
    assert "Lease kube-system/clusterset-dns-coredns was taken over by ann@elsewhere, process 7 while this run was at work" in str(caught.value)
    assert api.objects[PATH]["spec"]["holderIdentity"] == "ann@elsewhere, process 7"


def test_one_that_was_deleted_is_lost(api: ApiStandIn) -> None:
    with lease(api) as mine:
        api.remove(PATH)
        until(lambda: mine._taken_over)
        with pytest.raises(LostError, match="was taken over by somebody while this run was at work"):
            mine.require()


def test_a_write_of_others_that_leaves_the_holder_is_no_loss(api: ApiStandIn) -> None:
    with lease(api) as mine:
        found = api.objects[PATH]
        api.put(PATH, {**found, "metadata": {**found["metadata"], "labels": {**found["metadata"]["labels"], "x": "y"}}})
        version = api.objects[PATH]["metadata"]["resourceVersion"]
        until(lambda: int(api.objects[PATH]["metadata"]["resourceVersion"]) > int(version))
        mine.require()


def test_an_api_server_that_does_not_answer_for_a_while_is_no_loss(api: ApiStandIn) -> None:
    with lease(api) as mine:
        down = [8]

        def fault(method: str, path: str, query: dict[str, str]) -> t.Any:
            if down[0] and method in ("PATCH", "GET"):
                down[0] -= 1
                return status(500, "InternalError", "etcdserver: leader changed")
            return None

        api.faults.append(fault)
        until(lambda: not down[0])
        first = api.objects[PATH]["spec"]["renewTime"]
        until(lambda: api.objects[PATH]["spec"]["renewTime"] > first)
        mine.require()
    assert PATH not in api.objects


@pytest.mark.parametrize("found", [False, True], ids=["created", "taken over"])
def test_a_lost_answer_is_looked_at(api: ApiStandIn, found: bool) -> None:
    if found:
        held(api, mark=dead_mark())
    lost = ["PATCH" if found else "POST"]

    def fault(method: str, path: str, query: dict[str, str]) -> t.Any:
        if lost and method == lost[0]:
            lost.clear()
            api.answer(method, path, query, mine._body(api.objects[PATH]["metadata"]["resourceVersion"] if found else ""))
            return 0, b"", {}
        return None

    api.faults.append(fault)
    mine = lease(api)
    with mine:
        mine.require()
        assert api.objects[PATH]["metadata"]["annotations"] == {MARK: process_mark()}
    assert PATH not in api.objects


def test_a_refusal_is_said_as_the_api_server_says_it(api: ApiStandIn) -> None:
    api.faults.append(lambda method, *unused: status(403, "Forbidden", "leases is forbidden") if method == "POST" else None)
    with pytest.raises(ApiError, match="leases is forbidden"), lease(api):
        pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_work_it_is_gone(api: ApiStandIn, error: type[BaseException]) -> None:
    with pytest.raises(error), lease(api):
        raise error
    assert PATH not in api.objects


def test_a_kill_leaves_it_and_nobody_renews_it(api: ApiStandIn) -> None:
    class Killed(BaseException):
        pass

    with pytest.raises(Killed), lease(api):
        raise Killed
    assert PATH in api.objects
    renewed = api.objects[PATH]["spec"]["renewTime"]
    time.sleep(0.15)
    assert api.objects[PATH]["spec"]["renewTime"] == renewed


def test_an_end_that_the_api_server_does_not_take_is_no_error(api: ApiStandIn) -> None:
    with lease(api):
        api.faults.append(lambda method, *unused: status(403, "Forbidden", "no") if method == "DELETE" else None)
    assert PATH in api.objects


def test_a_process_is_known_by_its_machine_namespace_and_start() -> None:
    own = process_mark()
    boot, space, number, start = own.split("/")
    assert number == str(os.getpid())
    assert not is_dead(own)
    assert is_dead(f"{boot}/{space}/{number}/{int(start) + 1}")
    assert is_dead(dead_mark())
    # what ran elsewhere, or in another namespace of PIDs, cannot be seen from here
    assert not is_dead(f"other/{space}/{number}/1")
    assert not is_dead(f"{boot}/pid:[1]/{number}/1")
    assert not is_dead("")


def test_a_process_that_nobody_has_waited_for_is_dead() -> None:
    zombie = subprocess.Popen([sys.executable, "-c", ""])
    try:
        with open(f"/proc/{zombie.pid}/stat", encoding="utf-8") as file:
            start = file.read().rpartition(")")[2].split()[19]
        boot, space, _number, _start = process_mark().split("/")
        until(lambda: is_dead(f"{boot}/{space}/{zombie.pid}/{start}"))
    finally:
        zombie.wait()
