# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""One write to one object that can be taken back, and that is certain: an answer that is lost is no answer, so the object is read again."""

from __future__ import annotations

import dataclasses
import http.client
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import satisfied, shown
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Change", "certain", "inverse_patch", "recreated"]

Object = t.Mapping[str, t.Any]

# For how long an object is read again after a write without an answer, in seconds: an API server that fails over is back by then.
_LOOK_AGAIN = 30.0
# How often a way back is tried on an object that others write at the same time (409).
_ATTEMPTS = 5
# Mappings with a key for each writer.
_SHARED = ("annotations", "data", "labels")
_OF_THE_SERVER = ("creationTimestamp", "deletionTimestamp", "generation", "managedFields", "ownerReferences", "resourceVersion", "selfLink", "uid")


def certain(send: t.Callable[[], t.Any], arrived: t.Callable[[], bool]) -> None:
    """Send a write; where its answer is lost, see whether it has arrived.

    :arg arrived: reads the object and says whether it is as it was to be.
    :raises ApiError: it was refused, it has not arrived, or that could not be seen (``maybe_applied`` is true then).
    """
    try:
        send()
    except ApiError as error:
        if not error.maybe_applied:
            raise
        waiter = Waiter(_LOOK_AGAIN, 1.0)
        while True:
            try:
                there = arrived()
            except ApiError as blind:
                # a server that fails over has no answer, or a 5xx
                if (blind.status is not None and blind.status < http.client.INTERNAL_SERVER_ERROR) or not waiter.pause():
                    raise error from blind
                continue
            if there:
                return
            error.maybe_applied = False
            raise


def inverse_patch(before: t.Any, patch: t.Any) -> t.Any:
    """The merge patch that takes ``patch`` back from an object that was ``before``. Of what many write (:data:`_SHARED`) no key of others goes."""
    if not isinstance(patch, dict):
        return before
    was = before if isinstance(before, dict) else {}
    back = {}
    for key, value in patch.items():
        if key == "resourceVersion":
            continue
        known = was.get(key)
        back[key] = inverse_patch({} if known is None else known, value) if known is not None or (key in _SHARED and value) else None
    return back


def _is_back(back: Object, now: Object) -> bool:
    """Whether an object has what an inverse patch gives it. An API server leaves out what is empty."""
    return satisfied(back, {"data": {}, **now, "metadata": {"annotations": {}, "labels": {}, **now["metadata"]}})


def recreated(found: Object) -> dict[str, t.Any]:
    """An object as it has to be created to be again what ``found`` was."""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _OF_THE_SERVER}
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": metadata}


@dataclasses.dataclass(frozen=True)
class Change:
    """A write. ``verb`` is ``create``, ``patch`` (``body`` is a merge patch), ``delete``, or '' for nothing to do.

    ``before`` is the object as it was when the write was decided, None where there was none. ``label`` is how messages call it.
    """

    label: str
    collection: str
    name: str
    verb: str
    body: dict[str, t.Any] | None
    before: dict[str, t.Any] | None

    @property
    def path(self) -> str:
        return f"{self.collection}/{self.name}"

    def apply(self, cluster: Cluster, *, dry_run: bool = False) -> None:
        """Send it. :raises ApiError: refused, changed by someone else meanwhile (409), or see :func:`certain`."""
        if self.verb == "create":
            certain(lambda: cluster.create(self.collection, self.body or {}, dry_run=dry_run), lambda: self._is_done(cluster))
        elif self.verb == "patch":
            certain(lambda: cluster.patch(self.path, self.body, dry_run=dry_run), lambda: self._is_done(cluster))
        elif self.verb == "delete":
            certain(
                lambda: cluster.delete(self.path, found=self.before, unchanged=True, dry_run=dry_run), lambda: self._is_done(cluster)
            )

    def undo(self, cluster: Cluster) -> str:
        """Take it back, whether it was made or not. :returns: why the object is not what it was, as a sentence; '' if it is.

        :raises ApiError: it could not be taken back.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            now = cluster.get(self.path, missing_ok=True)
            try:
                return self._undo(cluster, now)
            except ApiError as error:
                if error.status != http.client.CONFLICT or attempt == _ATTEMPTS:
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _undo(self, cluster: Cluster, now: dict[str, t.Any] | None) -> str:
        theirs = f"{self.label} of {cluster.name} was changed by someone else since, so it is left as it is."
        if not self.verb:
            return ""
        if self.verb == "create":
            if now is None:
                return ""
            if not self._says(now):
                return theirs
            certain(
                lambda: cluster.delete(self.path, found=now, unchanged=True), lambda: cluster.get(self.path, missing_ok=True) is None
            )
            return ""
        before = t.cast("dict[str, t.Any]", self.before)
        if self.verb == "delete":
            body = recreated(before)
            if now is not None and not now["metadata"].get("deletionTimestamp"):
                return "" if now["metadata"].get("uid") == before["metadata"].get("uid") or satisfied(body, now) else theirs
            certain(lambda: cluster.create(self.collection, body), lambda: cluster.get(self.path, missing_ok=True) is not None)
            return ""
        if now is None:
            return f"{self.label} of {cluster.name} is gone. Someone else has deleted it since."
        back = inverse_patch(before, self.body)
        if _is_back(back, now):
            return ""
        if not self._says(now):
            return theirs
        guarded = {**back, "metadata": {**(back.get("metadata") or {}), "resourceVersion": now["metadata"]["resourceVersion"]}}
        certain(lambda: cluster.patch(self.path, guarded), lambda: _is_back(back, t.cast("Object", cluster.get(self.path))))
        return ""

    def _is_done(self, cluster: Cluster) -> bool:
        now = cluster.get(self.path, missing_ok=True)
        if self.verb == "delete":
            return now is None or bool(now["metadata"].get("deletionTimestamp"))
        return now is not None and self._says(now)

    def _says(self, now: Object) -> bool:
        """Whether the object has what the write gave it."""
        body = dict(self.body or {})
        metadata = {key: value for key, value in (body.get("metadata") or {}).items() if key != "resourceVersion"}
        return satisfied({**body, "metadata": metadata}, now)

    def shown(self) -> tuple[t.Any, t.Any]:
        """What the object had and gets of what the write speaks of."""
        return (shown(self.body or {}, self.before) if self.before else None), self.body
