# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""A transaction: its steps in order, or what was there before, and what is said of it."""

from __future__ import annotations

import os
import signal
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import change
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.change import ChangeError, run, stopped_by_signals
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import PLATFORMS
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import Step, StepError, World
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import LostError

ASKED = "Every pod answers kubernetes.default.svc.cluster.local."


class OneCluster:
    name = "member2"


class Lease:
    """Held for ``looks`` looks at it."""

    def __init__(self, looks: int = 100) -> None:
        self.looks = looks

    def require(self) -> None:
        self.looks -= 1
        if self.looks < 0:
            raise LostError("member2: Lease x was taken over by bob while this run was at work (Conflict).")


class FakeStep(Step):
    """Notes what is done with it."""

    def __init__(
        self, name: str, log: list[str], *, touches: bool = True, fails: BaseException | None = None, undo: t.Any = (), bears: bool = False
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.bears = self.rests = bears  # type: ignore[misc]
        self.touches_dns = touches  # type: ignore[misc]
        self._log, self._fails, self._undo = log, fails, undo

    def do(self, world: World) -> None:
        self._log.append(f"do {self.name}")
        if isinstance(self._fails, signal.Signals):
            os.kill(os.getpid(), self._fails)
        elif self._fails:
            raise self._fails

    def undo(self, world: World) -> list[str]:
        self._log.append(f"undo {self.name}")
        if isinstance(self._undo, BaseException):
            raise self._undo
        if isinstance(self._undo, signal.Signals):
            os.kill(os.getpid(), self._undo)
            self._log.append("went on")
            return []
        return list(self._undo)


@pytest.fixture
def world() -> World:
    facts = Facts("member2", (1, 34), "kubeadm", "", PLATFORMS["kubeadm"])
    return World(t.cast("t.Any", OneCluster()), Want(), facts)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[t.Any]:
    """What asking the pods says at the end: how many were asked, and what was wrong; or an error."""
    said: list[t.Any] = []
    said.append((4, ""))

    def ask(*unused: t.Any) -> tuple[int, str]:
        seen: t.Any = said[0]
        if isinstance(seen, Exception):
            raise seen
        return seen  # type: ignore[no-any-return]

    monkeypatch.setattr(change.pods, "ask_until_right", ask)
    return said


def failed(steps: list[FakeStep], world: World, lease: Lease | None = None) -> ChangeError:
    with pytest.raises(ChangeError) as caught:
        run(steps, world, t.cast("t.Any", lease or Lease()))
    return caught.value


def test_steps_are_done_in_order(world: World) -> None:
    log: list[str] = []
    run([FakeStep(name, log) for name in "abc"], world, t.cast("t.Any", Lease()))
    assert log == ["do a", "do b", "do c"]


def test_what_was_done_is_undone_in_reverse_with_the_step_that_failed(world: World, asked: list[t.Any]) -> None:
    log: list[str] = []
    steps = [FakeStep("a", log), FakeStep("b", log), FakeStep("c", log, fails=StepError("pod x says no")), FakeStep("d", log)]
    error = failed(steps, world)
    assert log == ["do a", "do b", "do c", "undo c", "undo b", "undo a"]
    assert str(error) == f"member2: CoreDNS was not changed for good. c: pod x says no. Everything is as it was before. {ASKED}"
    assert (error.step, error.not_back) == ("c", [])


def test_nothing_was_changed_as_long_as_no_client_could_see_it(world: World) -> None:
    log: list[str] = []
    steps = [FakeStep("Let it read", log, touches=False), FakeStep("Prove", log, touches=False, fails=StepError("the image lacks the plugin x."))]
    assert str(failed(steps, world)) == "member2: nothing was changed, because the image lacks the plugin x."
    assert log[-2:] == ["undo Prove", "undo Let it read"]


def test_an_undo_that_fails_stops_no_other_and_the_first_cause_comes_first(world: World, asked: list[t.Any]) -> None:
    log: list[str] = []
    steps = [
        FakeStep("a", log, undo=["ConfigMap x of member2 was changed by someone else since, so it is left as it is."]),
        FakeStep("b", log, undo=ApiError("member2", "member2: no answer")),
        FakeStep("c", log),
        FakeStep("d", log, fails=ApiError("member2", "member2: PATCH /x: forbidden (HTTP 403 Forbidden).")),
    ]
    error = failed(steps, world)
    assert log[-4:] == ["undo d", "undo c", "undo b", "undo a"]
    assert str(error) == (
        "member2: CoreDNS was not changed for good. d: PATCH /x: forbidden (HTTP 403 Forbidden). Not everything is as it was before: b could not be"
        " undone: member2: no answer. ConfigMap x of member2 was changed by someone else since, so it is left as it is. " + ASKED
    )
    assert len(error.not_back) == 2


def test_what_others_rest_on_stays_while_those_are_not_back(world: World, asked: list[t.Any]) -> None:
    log: list[str] = []
    theirs = "ConfigMap x of member2 was changed by someone else since, so it is left as it is."
    steps = [
        FakeStep("image", log, bears=True),
        FakeStep("notes", log),
        FakeStep("Corefile", log, undo=[theirs], bears=True),
        FakeStep("d", log, fails=StepError("no.")),
    ]
    error = failed(steps, world)
    assert log[-3:] == ["undo d", "undo Corefile", "undo notes"]
    assert error.not_back[0] == theirs
    assert error.not_back[1].endswith("was not undone, because Corefile could not be.")


def test_what_is_not_back_is_said_even_where_no_client_sees_it(world: World, asked: list[t.Any]) -> None:
    steps = [FakeStep("a", [], touches=False, fails=StepError("no."), undo=StepError("still no"))]
    assert "a: no. Not everything is as it was before: a could not be undone: still no." in str(failed(steps, world))


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ((4, ""), ASKED),
        ((4, "pod x does not answer"), "Not every pod answers kubernetes.default.svc.cluster.local: pod x does not answer."),
        ((0, "there is no pod to ask"), "There is no pod to ask for kubernetes.default.svc.cluster.local."),
        (ApiError("member2", "member2: no answer"), "Whether its pods answer kubernetes.default.svc.cluster.local could not be seen: member2: no answer."),
    ],
)
def test_whether_pods_answer_is_said_at_the_end(world: World, asked: list[t.Any], seen: t.Any, words: str) -> None:
    asked[0] = seen
    assert str(failed([FakeStep("a", [], fails=StepError("no."))], world)).endswith(f"Everything is as it was before. {words}")


@pytest.mark.parametrize("fails", [None, ApiError("member2", "member2: conflict", status=409)], ids=["seen between steps", "seen by what failed"])
def test_a_lease_that_is_lost_undoes_nothing_and_says_so(world: World, fails: BaseException | None) -> None:
    """What is there now is the other run's."""
    log: list[str] = []
    steps = [FakeStep("a", log), FakeStep("b", log, fails=fails), FakeStep("c", log)]
    error = failed(steps, world, Lease(looks=2))
    assert log == ["do a", "do b"]
    assert str(error) == (
        "member2: Lease x was taken over by bob while this run was at work (Conflict). It has done this and undone none of it: a, b."
    )
    assert error.step == "b"
    assert error.not_back == ["member2: Lease x was taken over by bob while this run was at work (Conflict)."]


def test_a_lease_that_is_lost_at_the_start_has_done_nothing(world: World) -> None:
    error = failed([FakeStep("a", [])], world, Lease(looks=0))
    assert str(error).endswith("undone none of it: nothing.")
    assert error.step == ""


def test_one_that_is_lost_at_the_end_is_said_too(world: World) -> None:
    log: list[str] = []
    assert str(failed([FakeStep("a", log)], world, Lease(looks=1))).endswith("undone none of it: a.")
    assert log == ["do a"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_is_undone_first(world: World, asked: list[t.Any], number: signal.Signals) -> None:
    log: list[str] = []
    steps = [FakeStep("a", log), FakeStep("b", log, fails=t.cast("t.Any", number)), FakeStep("c", log)]
    before = signal.getsignal(number)
    with stopped_by_signals():
        error = failed(steps, world)
    assert signal.getsignal(number) == before
    assert log == ["do a", "do b", "undo b", "undo a"]
    assert f"b: it was stopped by {number.name}. Everything is as it was before." in str(error)


def test_control_c_is_undone_too(world: World, asked: list[t.Any]) -> None:
    log: list[str] = []
    assert "a: it was interrupted. Everything" in str(failed([FakeStep("a", log, fails=KeyboardInterrupt())], world))
    assert log == ["do a", "undo a"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_way_back_that_has_begun_is_gone_to_its_end(world: World, asked: list[t.Any], number: signal.Signals) -> None:
    log: list[str] = []
    steps = [FakeStep("a", log), FakeStep("b", log, undo=number), FakeStep("c", log, fails=StepError("no."))]
    with stopped_by_signals():
        handler = signal.getsignal(number)
        failed(steps, world)
        assert signal.getsignal(number) == handler
    assert log[-4:] == ["undo c", "undo b", "went on", "undo a"]


def test_a_signal_before_the_first_step_changes_nothing(world: World) -> None:
    class Signalled(Lease):
        def require(self) -> None:
            if self.looks:
                self.looks = 0
                os.kill(os.getpid(), signal.SIGTERM)

    with stopped_by_signals():
        error = failed([FakeStep("a", [])], world, Signalled())
    assert (str(error), error.step) == ("member2: nothing was changed, because it was stopped by SIGTERM.", "")


def test_a_kill_undoes_nothing(world: World) -> None:
    class Killed(BaseException):
        pass

    log: list[str] = []
    with pytest.raises(Killed):
        run([FakeStep("a", log, fails=Killed())], world, t.cast("t.Any", Lease()))
    assert log == ["do a"]


def test_an_error_of_ours_names_its_kind(world: World, asked: list[t.Any]) -> None:
    assert "a: KeyError: 'x'. Everything" in str(failed([FakeStep("a", [], fails=KeyError("x"))], world))
