# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Credential plugins of kubeconfigs (``users[].user.exec``): run once for all clusters that share one, never waited for without end.

The ``kubernetes`` library runs them as well, but waits for ever, and hides why one failed.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import datetime
import json
import math
import os
import signal
import subprocess
import threading
import time
import typing as t
from concurrent.futures import Future

from ansible_collections.clusterset.dns.plugins.module_utils._kube.worker import worker

Object = t.Mapping[str, t.Any]

# How many run at once: each is a process that works, so more than the processors can take only makes all of them late.
_GATE = threading.BoundedSemaphore(max(4, 2 * (os.cpu_count() or 1)))
# After how many seconds one is taken to hang, and the next is started beside it.
_PATIENCE = 5.0
# How long before its end a credential is renewed, in seconds.
_AHEAD = 10.0

_lock = threading.Lock()
_results: dict[str, Future[Object]] = {}
_running: set[subprocess.Popen[str]] = set()


class PluginError(Exception):
    """Why a credential plugin gave no credentials, as the end of a sentence. ``late``: the deadline passed meanwhile."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


class Limit(t.NamedTuple):
    """How long is waited: ``seconds`` for one run, and until ``deadline`` (``time.monotonic()``) at the longest."""

    seconds: float
    deadline: float | None = None

    def turn(self) -> float:
        """Seconds to wait for a run to begin, or for one that somebody else began."""
        return 2 * self.seconds if self.deadline is None else max(0.0, self.deadline - time.monotonic())

    def late(self) -> PluginError:
        passed = self.deadline is not None and self.deadline <= time.monotonic()
        when = "the deadline" if passed else f"{self.seconds:g} seconds"
        return PluginError(f"was not done within {when}. See that it runs by itself, without a question or a browser", late=passed)


class Plugin:
    """One credential plugin, as a kubeconfig's user names it.

    :arg cluster: the kubeconfig's cluster; :arg folder: where the kubeconfig lies, from which a relative command is run.
    """

    def __init__(self, spec: Object, cluster: Object, folder: str) -> None:
        self.command = str(spec["command"])
        self._arguments = [self.command, *map(str, spec.get("args") or ())]
        self._version = spec["apiVersion"]
        self._folder = folder or None
        info: dict[str, t.Any] = {"interactive": False}
        if spec.get("provideClusterInfo"):
            info["cluster"] = _described(cluster)
        self._environment = {str(one["name"]): str(one["value"]) for one in spec.get("env") or ()}
        self._environment["KUBERNETES_EXEC_INFO"] = json.dumps({"apiVersion": self._version, "kind": "ExecCredential", "spec": info})
        self._key = json.dumps([self._arguments, self._environment, folder], sort_keys=True)

    def user(self, limit: Limit) -> dict[str, str]:
        """The plugin's credentials, as a kubeconfig's user has them. PluginError where there are none."""
        status = self._status(limit)
        user = {"token": status["token"]} if status.get("token") else {}
        if status.get("clientCertificateData") and status.get("clientKeyData"):
            for key, field in (("client-certificate-data", "clientCertificateData"), ("client-key-data", "clientKeyData")):
                user[key] = base64.b64encode(status[field].encode()).decode()
        if not user:
            raise PluginError("gave neither a token nor a certificate with its key")
        return user

    def _status(self, limit: Limit) -> Object:
        """The status of the ExecCredential; that of an earlier run as long as it is valid."""
        with _lock:
            result = _results.get(self._key)
            mine = result is None or (result.done() and not _valid(result))
            if mine or result is None:
                result = _results[self._key] = Future()
        if mine:
            try:
                result.set_result(self._run(limit))
            except PluginError as error:
                result.set_exception(error)
            except BaseException as error:
                result.set_exception(error)
                raise
        with worker.away() if not result.done() else contextlib.nullcontext():
            try:
                return result.result(limit.turn())
            except TimeoutError:
                raise limit.late() from None

    def _run(self, limit: Limit) -> Object:
        with worker.away():
            if not _GATE.acquire(timeout=limit.turn()):
                raise limit.late()
            gate = contextlib.ExitStack()
            gate.callback(_GATE.release)
            with gate:
                code, out, err = self._communicate(limit, gate)
        if code:
            raise PluginError(f"ended with {code}{': ' + err.strip()[-300:] if err.strip() else ''}")
        try:
            answer = json.loads(out)
            if answer["apiVersion"] != self._version:
                raise PluginError(f"speaks {answer['apiVersion']}, and the kubeconfig says {self._version}")
            _ends(answer["status"])
            return dict(answer["status"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PluginError("did not print an ExecCredential") from error

    def _communicate(self, limit: Limit, gate: contextlib.ExitStack) -> tuple[int, str, str]:
        try:
            # In a session of its own, so that what it has started is stopped with it. A module's run_command waits without end.
            process = subprocess.Popen(  # pylint: disable=ansible-bad-function
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._folder,
                env={**os.environ, **self._environment},
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise PluginError(f"cannot be run: {error.strerror}") from error
        _running.add(process)
        seconds = min(limit.seconds, limit.turn())
        try:
            try:
                out, err = process.communicate(timeout=min(_PATIENCE, seconds))
            except subprocess.TimeoutExpired:
                gate.close()
                out, err = process.communicate(timeout=max(0.0, seconds - _PATIENCE))
        except subprocess.TimeoutExpired:
            raise limit.late() from None
        finally:
            _stop(process)
            _running.discard(process)
        return process.returncode, out, err


def _valid(result: Future[Object]) -> bool:
    """Whether what a run gave can still be used."""
    return not result.exception() and _ends(result.result()) > time.time() + _AHEAD


def _ends(status: Object) -> float:
    """When a credential ends to be valid, in seconds since 1970. ValueError where that cannot be read."""
    until = status.get("expirationTimestamp")
    return datetime.datetime.fromisoformat(until).timestamp() if until else math.inf


def _described(cluster: Object) -> dict[str, t.Any]:
    """A kubeconfig's cluster as ``spec.cluster`` of an ExecCredential has it."""
    extensions = {one["name"]: one["extension"] for one in cluster.get("extensions") or ()}
    known = {key: value for key, value in cluster.items() if key != "extensions"}
    config = extensions.get("client.authentication.k8s.io/exec")
    return {**known, "config": config} if config is not None else known


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream:
            stream.close()


@atexit.register
def _stop_all() -> None:
    """A module may end at its deadline before the thread that waits for a plugin does."""
    for process in tuple(_running):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
