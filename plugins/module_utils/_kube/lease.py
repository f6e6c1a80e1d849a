# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A Lease in a cluster, so that two runs do not change the same thing at once: who holds it, since when, and that he is alive.

As in client-go's leader election a holder is alive while he renews, which is *watched*: no clock of another machine is believed. A holder that was
killed is known at once where it was a process of this machine, else once he has not renewed for the lease's duration.
"""

from __future__ import annotations

import datetime
import getpass
import http.client
import os
import socket
import threading
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["RIGHTS", "HeldError", "Lease", "LostError", "is_held"]

# Seconds without a renewal after which a holder is taken for dead, and how often he renews.
_DURATION = 15
_RENEW = 4.0
# For how long its removal is tried, in seconds.
_RELEASE = 5.0
# The process that holds it, in a form by which this machine can tell whether it still runs.
_PROCESS = "clusterset.dns/process"
_GROUP = "coordination.k8s.io"
RIGHTS = tuple({"verb": verb, "group": _GROUP, "resource": "leases"} for verb in ("get", "create", "patch", "delete"))


class HeldError(Exception):
    """Another run holds the lease, as a sentence."""


class LostError(Exception):
    """The lease was taken over by another run, as a sentence."""


def process_mark() -> str:
    """The boot, the PID namespace, the PID and the start of this process; '' where the system does not tell (other than Linux)."""
    return _mark_of("self")


def _mark_of(pid: str) -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read()
    except OSError:
        return ""
    # the name, in parentheses, may hold anything; the state is the third field, the start time the twenty-second
    number, rest = fields.split(maxsplit=1)[0], fields.rpartition(")")[2].split()
    if rest[0] == "Z":
        return ""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
    return f"{boot}/{space}/{number}/{rest[19]}"


def is_dead(mark: str) -> bool:
    """Whether the process of a mark was one of this machine and runs no more. False where that cannot be told."""
    parts = mark.split("/")
    own = process_mark().split("/")
    if len(parts) != 4 or len(own) != 4 or parts[:2] != own[:2]:
        return False
    return _mark_of(parts[2]) != mark


def is_held(cluster: Cluster, namespace: str, name: str) -> bool:
    """Whether a run that is not known to be dead holds a lease."""
    found = cluster.get(f"/apis/{_GROUP}/v1/namespaces/{namespace}/leases/{name}", missing_ok=True)
    if found is None or not (found["spec"] or {}).get("holderIdentity"):
        return False
    return not is_dead((found["metadata"].get("annotations") or {}).get(_PROCESS, ""))


class Lease:
    """``with Lease(...) as lease``: held from here on, renewed beside what goes on, and gone at the end.

    :raises HeldError: another run holds it.
    """

    def __init__(self, cluster: Cluster, namespace: str, name: str, fleet: str) -> None:
        self._cluster = cluster
        self._collection = f"/apis/{_GROUP}/v1/namespaces/{namespace}/leases"
        self._path = f"{self._collection}/{name}"
        self._label = f"Lease {namespace}/{name}"
        self._name = name
        self._fleet = fleet
        self._holder = f"{_user()}@{socket.gethostname()}, process {os.getpid()}"
        self._version = ""
        self._taken_over = ""
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Lease:
        found = self._cluster.get(self._path, missing_ok=True)
        if found is not None and (found["spec"] or {}).get("holderIdentity"):
            self._wait_for_death(found)
            found = self._cluster.get(self._path, missing_ok=True)
        try:
            if found is None:
                kept = self._cluster.create(self._collection, self._body())
            else:
                kept = self._cluster.patch(self._path, self._body(found["metadata"]["resourceVersion"]))
        except ApiError as error:
            if error.status == http.client.CONFLICT:
                raise HeldError(self._held(self._cluster.get(self._path, missing_ok=True))) from error
            kept = self._cluster.get(self._path, missing_ok=True) if error.maybe_applied else None
            if kept is None or not self._is_mine(kept):
                raise
        self._version = kept["metadata"]["resourceVersion"]
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join(self._cluster.timeout)
        if kind is not None and not issubclass(kind, (Exception, KeyboardInterrupt, SystemExit)):
            return
        waiter = Waiter(_RELEASE, 1.0)
        while True:
            try:
                found = self._cluster.get(self._path, missing_ok=True)
                if found and self._is_mine(found):
                    self._cluster.delete(self._path, found=found, unchanged=True)
                return
            except ApiError:
                # it ends by itself: nobody renews it any more
                if not waiter.pause():
                    return

    @property
    def there(self) -> bool:
        """Whether it is there: a run holds it, or was killed while it did. False where it may not be seen."""
        try:
            return self._cluster.get(self._path, missing_ok=True) is not None
        except ApiError:
            return False

    def require(self) -> None:
        """See that it is still held. :raises LostError: it is not."""
        if self._taken_over:
            raise LostError(self._taken_over)

    def _wait_for_death(self, found: dict[str, t.Any]) -> None:
        """Return once the holder is known to be dead. :raises HeldError: he renews."""
        if is_dead((found["metadata"].get("annotations") or {}).get(_PROCESS, "")):
            return

        def look() -> dict[str, t.Any] | None:
            return self._cluster.get(self._path, missing_ok=True)

        now, moved = Waiter(_DURATION, 1.0).until(
            look, lambda seen: seen is None or not seen["spec"].get("holderIdentity") or seen["spec"].get("renewTime") != found["spec"].get("renewTime")
        )
        if moved and now is not None and now["spec"].get("holderIdentity"):
            raise HeldError(self._held(now))

    def _held(self, found: dict[str, t.Any] | None) -> str:
        spec = (found or {}).get("spec") or {}
        return (
            f"{self._cluster.name}: another run is changing CoreDNS ({spec.get('holderIdentity') or 'unknown'}, since"
            f" {spec.get('acquireTime') or 'just now'}; {self._label}). Nothing was changed by this one. Run it again when that one is done."
        )

    def _is_mine(self, found: dict[str, t.Any]) -> bool:
        annotations = found["metadata"].get("annotations") or {}
        return bool(found["spec"].get("holderIdentity") == self._holder and annotations.get(_PROCESS, "") == process_mark())

    def _body(self, version: str = "") -> dict[str, t.Any]:
        now = _now()
        metadata: dict[str, t.Any] = {"name": self._name, "labels": ownership.labels(self._fleet), "annotations": {_PROCESS: process_mark()}}
        if version:
            metadata["resourceVersion"] = version
        spec = {"holderIdentity": self._holder, "leaseDurationSeconds": _DURATION, "acquireTime": now, "renewTime": now}
        return {"apiVersion": f"{_GROUP}/v1", "kind": "Lease", "metadata": metadata, "spec": spec}

    def _renew(self) -> None:
        while not self._over.wait(_RENEW):
            body = {"metadata": {"resourceVersion": self._version}, "spec": {"renewTime": _now()}}
            try:
                self._version = self._cluster.patch(self._path, body)["metadata"]["resourceVersion"]
            except ApiError as error:
                # no answer, or a server that is starting: tried again
                if error.status not in (http.client.CONFLICT, http.client.NOT_FOUND):
                    continue
                self._see(error)
                if self._taken_over:
                    return

    def _see(self, error: ApiError) -> None:
        try:
            found = self._cluster.get(self._path, missing_ok=True)
        except ApiError:
            return
        if found is not None and self._is_mine(found):
            self._version = found["metadata"]["resourceVersion"]
            return
        who = ((found or {}).get("spec") or {}).get("holderIdentity") or "somebody"
        self._taken_over = f"{self._cluster.name}: {self._label} was taken over by {who} while this run was at work ({error.reason})."


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())
