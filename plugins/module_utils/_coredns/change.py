# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A change of a member's CoreDNS as one transaction: the steps of a plan in order, or what was there before.

Whatever fails, what this run did is undone in reverse order, each step on its own: one that cannot be undone does not stop the next. What is said
at the end is the first cause, and what is back and what is not.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import pods, trial
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.sharing import lease_name
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import Step, StepError, World
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import HeldError, Lease, LostError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["ChangeError", "lease_of", "run", "stopped_by_signals"]

# For how long pods are asked after a way back, in seconds: one may just have been started.
_ASK_AGAIN = 30.0


class ChangeError(Exception):
    """A change that was not made, as sentences.

    ``step`` is the name of the step that failed, ``not_back`` says what is not as it was before, a sentence each: nothing where all is.
    """

    def __init__(self, message: str, step: str, not_back: t.Sequence[str]) -> None:
        super().__init__(message)
        self.step = step
        self.not_back = list(not_back)


class Stopped(KeyboardInterrupt):
    """The process was told to end: what it did is undone first."""


@contextlib.contextmanager
def stopped_by_signals() -> t.Iterator[None]:
    """Within it a SIGTERM or SIGHUP ends the block by an exception, as Ctrl-C does, so that the way back is gone before the process ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        raise Stopped(f"it was stopped by {signal.Signals(number).name}")

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def lease_of(world: World) -> Lease:
    """What keeps a second run from changing the same CoreDNS at the same time."""
    want = world.want
    return Lease(world.cluster, want.namespace, lease_name(want.deployment), want.fleet)


def run(steps: t.Sequence[Step], world: World, lease: Lease) -> None:
    """Do the steps in order. :raises ChangeError: one failed, and what was done is undone as far as could be."""
    begun: list[Step] = []
    try:
        for step in steps:
            lease.require()
            # a step that fails half way is undone as well
            begun.append(step)
            step.do(world)
        lease.require()
    except LostError as error:
        raise _lost(error, begun) from error
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        try:
            lease.require()
        except LostError as lost:
            # what failed may be the other run's doing, and what is there now is
            raise _lost(lost, begun) from error
        not_back = _undo(begun, world)
        raise ChangeError(_message(error, begun, world, not_back), begun[-1].name if begun else "", not_back) from error


def _lost(error: LostError, begun: t.Sequence[Step]) -> ChangeError:
    names = ", ".join(step.name for step in begun) or "nothing"
    return ChangeError(f"{error} It has done this and undone none of it: {names}.", begun[-1].name if begun else "", [str(error)])


def _undo(begun: t.Sequence[Step], world: World) -> list[str]:
    """Undo steps in reverse order. :returns: what is not back, a sentence each.

    Each is undone on its own, but what others rest on stays while those are not back: an older image does not start with a Corefile
    that it does not know, and no Corefile serves the zone without the rights.
    """
    not_back: list[str] = []
    stuck = ""
    with _no_more_signals():
        for step in reversed(begun):
            if stuck and step.bears:
                not_back.append(f"{step.name} ({step.what}) was not undone, because {stuck} could not be.")
                continue
            try:
                said = step.undo(world)
            except Exception as error:
                said = [f"{step.name} could not be undone: {words_of(error)}"]
            not_back += said
            if said and step.rests:
                stuck = stuck or step.name
    return not_back


@contextlib.contextmanager
def _no_more_signals() -> t.Iterator[None]:
    """A way back that has begun is gone to its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def words_of(error: BaseException) -> str:
    """An error as a sentence."""
    if isinstance(error, (ApiError, StepError, Stopped)):
        words = str(error)
    elif isinstance(error, KeyboardInterrupt):
        words = "it was interrupted"
    else:
        words = f"{type(error).__name__}: {error}"
    return words if words.endswith((".", "!", "?")) else f"{words}."


def _message(error: BaseException, begun: t.Sequence[Step], world: World, not_back: t.Sequence[str]) -> str:
    cause = words_of(error).removeprefix(f"{world.cluster.name}: ")
    touched = any(step.touches_dns for step in begun)
    if not touched and not not_back:
        return f"{world.cluster.name}: nothing was changed, because {cause}"
    head = f"{world.cluster.name}: CoreDNS was not changed for good. {begun[-1].name}: {cause}"
    if not_back:
        return f"{head} Not everything is as it was before: {' '.join(not_back)} {_answering(world)}"
    return f"{head} Everything is as it was before. {_answering(world)}"


def _answering(world: World) -> str:
    """Whether every pod answers now, as a sentence."""
    name = f"kubernetes.default.svc.{world.want.cluster_domain}"
    try:
        asked, wrong = pods.ask_until_right(world.cluster, world.asked_pods, world.own_names, world.port, Waiter(_ASK_AGAIN, 1.0))
    except (ApiError, OSError) as error:
        return f"Whether its pods answer {name} could not be seen: {words_of(error)}"
    if wrong and asked:
        return f"Not every pod answers {name}: {wrong.rstrip('.')}."
    return f"Every pod answers {name}." if asked else f"There is no pod to ask for {name}."


def leave_nothing(world: World) -> None:
    """Remove what runs that were killed have left of proofs, and their Lease. What a run that is at work has is left to it."""
    lease = lease_of(world)
    if not world.facts.proofs_left and not lease.there:
        return
    try:
        with lease:
            clean(world)
    except HeldError:
        return
    except ApiError as error:
        world.notes.append(f"What a run that was killed has left could not be removed: {words_of(error)}")


def clean(world: World) -> None:
    """Remove what proofs have left, while the Lease is held."""
    if world.facts.coredns and world.facts.proofs_left:
        trial.clean(world.cluster, world.facts.coredns)
