# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""HTTP tried from inside a cluster: the pod that runs curl, and its log. Only :func:`query` talks to a cluster."""

from __future__ import annotations

import datetime
import secrets
import time
import typing as t
from urllib.parse import urlsplit

from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

if t.TYPE_CHECKING:
    from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster

Object = t.Mapping[str, t.Any]

LABELS = {
    ownership.MANAGED_BY: ownership.OURS,
    ownership.PART_OF: ownership.OURS,
    "app.kubernetes.io/component": "http-query",
}
LABEL_SELECTOR = ",".join(f"{key}={value}" for key, value in LABELS.items())

# Seconds that starting the pod may take, pulling its image included.
START_TIMEOUT = 90
# Seconds between two looks at the pod.
_PAUSE = 0.25
# A pod that its own deadline ended this many seconds ago is nobody's any more.
_LEFTOVER_AGE = 60
# Nothing that is worth a look is longer, and the whole of it goes into the pod's log. curl older than 8.4 only obeys it
# where the server announces the length; --max-time ends the rest.
_LARGEST_BODY = 1024 * 1024
# curl's exit code for a body larger than that: the server did answer.
_TOO_LARGE = 63
# States of a waiting container that do not pass by themselves within the deadline.
_HOPELESS = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ErrImagePull",
    "ImageInspectError",
    "ImagePullBackOff",
    "InvalidImageName",
    "RunContainerError",
)


def invalid_url(url: str) -> str | None:
    """The sentence that says why ``url`` cannot be asked, or None where it can."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        return f"{url!r} is no URL: {error}."
    if parts.scheme not in ("http", "https") or not host:
        return f"{url!r} is no URL to ask: it has to begin with http:// or https:// and a host."
    if any(character.isspace() or not character.isprintable() for character in url):
        return f"{url!r} has white space or control characters in it: encode them."
    return None


def deadline(urls: int, timeout: float, wait_timeout: float) -> int:
    """Seconds after which the pod is ended whatever it does."""
    return START_TIMEOUT + int(urls * (2 * timeout + wait_timeout)) + 1


def query(
    cluster: Cluster,
    urls: t.Sequence[str],
    image: str,
    *,
    namespace: str = "default",
    timeout: float = 5,
    wait_timeout: float = 0,
    pull_policy: str = "IfNotPresent",
    body_bytes: int = 256,
    deadline: float | None = None,
) -> list[dict[str, t.Any]]:
    """Ask ``urls`` from a pod in the cluster, see :func:`results`. Raises ApiError where it cannot be made or does not start.

    :arg deadline: the moment (``time.monotonic()``) after which it is not waited for any more.
    """
    mark = secrets.token_hex(16)
    wanted = pod(urls, image, mark, timeout=timeout, wait_timeout=wait_timeout, pull_policy=pull_policy)
    seconds = wanted["spec"]["activeDeadlineSeconds"]
    if deadline is not None:
        seconds = min(seconds, deadline - time.monotonic())
        if seconds <= 0:
            raise ApiError(cluster.name, f"{cluster.name}: HTTP was not tried within the deadline. Set a longer one.", reason="Deadline")
    pods = f"/api/v1/namespaces/{namespace}/pods"
    made = cluster.create(pods, wanted)
    path = f"{pods}/{made['metadata']['name']}"
    try:
        for left in leftovers(cluster.list(pods, label_selector=LABEL_SELECTOR), made["metadata"]["creationTimestamp"]):
            cluster.delete(f"{pods}/{left['metadata']['name']}", found=left)
        found, done = Waiter(seconds, _PAUSE).until(lambda: cluster.get(path) or {"status": {}}, lambda one: bool(failure(one)) or finished(one))
        why = failure(found) if done else f"{pending(found)} after {seconds:.0f} s"
        log = "" if why else cluster.text(f"{path}/log")
    finally:
        cluster.delete(path, found=made)
    if why:
        where = f"pod {namespace}/{made['metadata']['name']} with image {image}"
        raise ApiError(cluster.name, f"{cluster.name}: HTTP could not be tried: {where}: {why.rstrip('.')}.")
    return results(urls, log, mark, body_bytes, "curl ended before it asked this URL.")


def pod(
    urls: t.Sequence[str], image: str, mark: str, *, timeout: float, wait_timeout: float, pull_policy: str
) -> dict[str, t.Any]:
    """The pod that asks ``urls`` with curl, one after another.

    It fits the Pod Security Standard *restricted*. curl is called without a shell, which small images do not have.

    :arg mark: a word that no answer contains; it sets the results apart in the log.
    """
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "clusterset-dns-http-", "labels": LABELS},
        "spec": {
            "activeDeadlineSeconds": deadline(len(urls), timeout, wait_timeout),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "curl",
                    "image": image,
                    "imagePullPolicy": pull_policy,
                    "command": ["curl", *_arguments(urls, mark, timeout, wait_timeout)],
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"memory": "64Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                        "readOnlyRootFilesystem": True,
                    },
                }
            ],
        },
    }


def _arguments(urls: t.Sequence[str], mark: str, timeout: float, wait_timeout: float) -> list[str]:
    """curl's arguments. Options hold until ``--next``, so each URL has its own."""
    result = f"\\n{mark} %{{http_code}} %{{time_total}} %{{exitcode}} %{{errormsg}}\\n"
    options = ["--silent", "--globoff", "--noproxy", "*", "--max-filesize", str(_LARGEST_BODY)]
    options += ["--max-time", f"{timeout:g}", "--write-out", result]
    if wait_timeout:
        options += ["--retry", "1000", "--retry-delay", "1", "--retry-all-errors"]
        options += ["--retry-max-time", f"{wait_timeout:g}"]
    arguments: list[str] = []
    for url in urls:
        arguments += [*(["--next"] if arguments else []), *options, "--url", url]
    return arguments


def results(urls: t.Sequence[str], log: str, mark: str, body_bytes: int, unasked: str) -> list[dict[str, t.Any]]:
    """What the pod's log says of each URL.

    :arg unasked: why there may be no result for the last ones, a sentence.
    :returns: per URL ``{url, status, body, time_ms, error}``; ``status`` is None where there was no HTTP answer, and
        ``body`` its first ``body_bytes`` bytes.
    """
    rows = []
    rest = log
    for url in urls:
        body, found, rest = rest.partition(f"\n{mark} ")
        if not found:
            rows.append({"url": url, "status": None, "body": "", "time_ms": None, "error": unasked})
            continue
        line, _newline, rest = rest.partition("\n")
        status, seconds, code, message = line.split(" ", 3)
        answered = int(code) in (0, _TOO_LARGE)
        rows.append(
            {
                "url": url,
                "status": int(status) or None,
                "body": body.encode()[:body_bytes].decode(errors="ignore"),
                "time_ms": round(float(seconds) * 1000, 1),
                "error": "" if answered else f"{message.strip().rstrip('.') or 'curl failed'} (curl exit code {code}).",
            }
        )
    return rows


def finished(found: Object) -> bool:
    """Whether the pod is done, well or not."""
    return found["status"].get("phase") in ("Succeeded", "Failed")


def failure(found: Object) -> str | None:
    """Why the pod cannot ask, as the end of a sentence; None where it may still, or has.

    A curl that was refused by every URL has failed too, but that is no failure of the pod.
    """
    status = found["status"]
    for container in status.get("containerStatuses") or []:
        state = container.get("state") or {}
        waiting, terminated = state.get("waiting") or {}, state.get("terminated") or {}
        if waiting.get("reason") in _HOPELESS:
            return f"its container does not start: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        if terminated.get("reason") in ("StartError", "ContainerCannotRun"):
            return f"curl does not start, is it in the image? {terminated.get('message', '')}".rstrip()
    if status.get("phase") == "Failed" and status.get("reason"):
        return f"it was ended: {status['reason']}: {status.get('message', '')}".rstrip(": ")
    return None


def pending(found: Object) -> str:
    """What a pod that does not start in time is waiting for, as the end of a sentence."""
    for condition in found["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] != "True":
            return f"it is not scheduled: {condition.get('message') or condition.get('reason', '')}"
    for container in found["status"].get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"its container waits: {waiting.get('reason', '')} {waiting.get('message', '')}".rstrip()
    return f"its phase is {found['status'].get('phase', 'unknown')}"


def leftovers(pods: t.Iterable[Object], now: str) -> list[Object]:
    """Pods that a killed run left behind: past their deadline for a minute.

    :arg now: the API server's time, as in ``creationTimestamp``; that of another machine might differ.
    """
    moment = _time(now)
    return [
        one
        for one in pods
        if (moment - _time(one["metadata"]["creationTimestamp"])).total_seconds()
        > one["spec"].get("activeDeadlineSeconds", 0) + _LEFTOVER_AGE
    ]


def _time(stamp: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(stamp)
