# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The one place that talks to a Kubernetes API server.

Everything above it works on plain dicts. The ``kubernetes`` library understands kubeconfigs and proxies; requests go through
its connection pool with paths of our own, so that no API discovery is needed.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import ssl
import threading
import time
import typing as t
from urllib.parse import quote, urlencode

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.clusterset.dns.plugins.module_utils._kube.access import (
    AUTH_ARG_SPEC,
    KUBERNETES_IMPORT_ERROR,
    AccessError,
    configuration_of,
    options_of,
    pool_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube.forward import ForwardError, forward
from ansible_collections.clusterset.dns.plugins.module_utils._kube.plugin import Limit
from ansible_collections.clusterset.dns.plugins.module_utils._kube.worker import worker

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

if KUBERNETES_IMPORT_ERROR is None:
    import urllib3

__all__ = ["AUTH_ARG_SPEC", "FIELD_MANAGER", "KUBERNETES_IMPORT_ERROR", "ApiError", "Cluster", "Forward"]

FIELD_MANAGER = "clusterset.dns"

_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}
# How often a request is sent at the most, if it is answered with a 429 or a 5xx that asks for it, or is not answered.
_ATTEMPTS = 4
# A credential plugin may take as long as this many answers: it asks an identity provider, and is started for that.
_PLUGIN_ANSWERS = 3
# A connection that has been idle for longer, in seconds, is not trusted with a write: who cut it meanwhile may not have said so.
_IDLE = 20.0
# What a subresource such as Karmada's proxy says to every request with dryRun (apiserver/pkg/endpoints/handlers/rest.go, ConnectResource).
_NO_DRY_RUN = "dryRun is not supported"
# The longest that one Retry-After is obeyed, in seconds: a server that asks for more is reported instead of waited for.
_LONGEST_PAUSE = 15.0


class ApiError(Exception):
    """A request that failed, as a sentence.

    ``status`` is the HTTP status, or None when there was no answer at all; ``reason`` is the server's word (``NotFound``,
    ``Forbidden``, ``Conflict`` …) or ``Unreachable`` / ``Config`` / ``Deadline``. ``maybe_applied`` is True for a write that was
    sent and not answered: only a look at the object tells whether it was done.
    """

    def __init__(
        self,
        cluster: str,
        message: str,
        *,
        status: int | None = None,
        reason: str = "",
        verb: str = "",
        path: str = "",
        maybe_applied: bool = False,
    ) -> None:
        super().__init__(message)
        self.cluster = cluster
        self.status = status
        self.reason = reason
        self.verb = verb
        self.path = path
        self.maybe_applied = maybe_applied


class Forward(t.NamedTuple):
    """A port-forward: ``socket`` is connected to the pod's port; ``error()`` says why it closed early ('' if it did not)."""

    socket: socket.socket
    error: t.Callable[[], str]


class _Body:
    """The bytes of a request, which know whether they were taken to be sent: before that, the server cannot have acted on them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.taken = False

    def __iter__(self) -> t.Iterator[bytes]:
        self.taken = True
        yield self._data


class _Throttle:
    """Lets at most ``qps`` requests a second start, and ``in_flight`` be under way."""

    def __init__(self, qps: float, in_flight: int) -> None:
        self._interval = 1.0 / qps if qps > 0 else 0.0
        self._slots = threading.BoundedSemaphore(in_flight)
        self._lock = threading.Lock()
        self._next = 0.0

    def __enter__(self) -> None:
        self._slots.acquire()
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._interval
        if start > now:
            time.sleep(start - now)

    def __exit__(self, *unused: object) -> None:
        self._slots.release()


class Cluster:
    """One API server, reached with kubernetes.core's authentication options. Usable after :meth:`close` as well.

    :arg name: what messages call it: the member cluster's name.
    :arg auth: values for the keys of ``AUTH_ARG_SPEC``; what is absent is taken from ``K8S_AUTH_…`` in the environment,
        and without a host or kubeconfig from the pod's service account or the default kubeconfig, as kubernetes.core does.
        A credential plugin is run at once.
    :arg qps: requests a second at the most; :arg in_flight: requests under way at once; :arg timeout: seconds for one answer.
    :arg deadline: the moment (``time.monotonic()``) after which no request is sent and none is waited for.
    :raises ApiError: the kubeconfig, its credential plugin or its proxy cannot be used. Nothing is sent before the first request.
    """

    def __init__(
        self,
        name: str,
        auth: t.Mapping[str, t.Any],
        *,
        qps: float = 50,
        in_flight: int = 8,
        timeout: float = 10,
        deadline: float | None = None,
    ) -> None:
        self.name = name
        self.timeout = timeout
        self.deadline = deadline
        self.requests = 0
        self.writes = 0
        # A sentence, once a dry run turned out to be impossible.
        self.unproven = ""
        self._warn: t.Callable[[str], None] | None = None
        self._auth = options_of(auth)
        self._throttle = _Throttle(qps, in_flight)
        self._used = 0.0
        try:
            self._configuration = configuration_of(self._auth, self._limit)
            self._pool = pool_of(self._configuration, in_flight)
        except AccessError as error:
            raise self._unusable(error) from error

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections that are kept for the next request."""
        self._pool.clear()

    @classmethod
    def from_module(cls, module: AnsibleModule, name: str | None = None, **limits: t.Any) -> Cluster:
        """The cluster that a module's own authentication options name. Fails the module where that is not usable.

        ``name`` is what messages call it; without it the context or the kubeconfig's file name.
        """
        cls.require_library(module)
        kubeconfig = module.params.get("kubeconfig") or os.environ.get("K8S_AUTH_KUBECONFIG")
        guess = module.params.get("context") or (os.path.basename(kubeconfig) if isinstance(kubeconfig, str) else None)
        try:
            cluster = cls(name or guess or module.params.get("host") or "the cluster", module.params, **limits)
        except ApiError as error:
            module.fail_json(msg=str(error))
            raise AssertionError("fail_json returned") from error
        cluster._warn = module.warn
        return cluster

    @staticmethod
    def require_library(module: AnsibleModule) -> None:
        """Fail the module with a sentence when the ``kubernetes`` library is not installed."""
        if KUBERNETES_IMPORT_ERROR:
            module.fail_json(msg=missing_required_lib("kubernetes"), exception=KUBERNETES_IMPORT_ERROR)

    @property
    def server(self) -> str:
        """The API server's URL."""
        return str(self._configuration.host)

    def get(self, path: str, *, missing_ok: bool = False) -> dict[str, t.Any] | None:
        """One object (or any JSON answer). With ``missing_ok``, None where there is none."""
        try:
            return self._request("GET", path)
        except ApiError as error:
            if missing_ok and error.status == http.client.NOT_FOUND:
                return None
            raise

    def text(self, path: str) -> str:
        """What the API server answers at ``path``, as it is (a pod's log, the metrics of a pod behind its proxy)."""
        return self._request("GET", path, raw=True)

    def list(
        self,
        path: str,
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 500,
        keep: t.Callable[[dict[str, t.Any]], t.Any] | None = None,
    ) -> list[t.Any]:
        """All items of a collection, page by page; with ``keep``, what it makes of each.

        A continue token lives as long as etcd keeps its revision (five minutes by default); when it has expired (410) the
        list is read once more from the start, without pages, so that what comes back is one consistent state.
        """
        query = {"limit": str(limit), "labelSelector": label_selector, "fieldSelector": field_selector}
        items: list[t.Any] = []
        while True:
            try:
                page = self._request("GET", path, query=query)
            except ApiError as error:
                if error.status != http.client.GONE or "continue" not in query:
                    raise
                items = []
                query = {"labelSelector": label_selector, "fieldSelector": field_selector}
                continue
            found = page.get("items") or []
            items.extend(map(keep, found) if keep else found)
            token = page.get("metadata", {}).get("continue")
            if not token:
                return items
            query["continue"] = token

    def create(self, path: str, body: t.Mapping[str, t.Any], *, dry_run: bool = False) -> dict[str, t.Any]:
        """POST an object to its collection's path."""
        return self._write("POST", path, body, dry_run)

    def replace(self, path: str, body: t.Mapping[str, t.Any], *, dry_run: bool = False) -> dict[str, t.Any]:
        """PUT an object; a ``metadata.resourceVersion`` in it makes the server refuse (409) if it changed meanwhile."""
        return self._write("PUT", path, body, dry_run)

    def patch(
        self,
        path: str,
        body: t.Any,
        *,
        kind: str = "merge",
        dry_run: bool = False,
        field_manager: str = FIELD_MANAGER,
        force: bool = False,
    ) -> dict[str, t.Any]:
        """PATCH an object. ``kind`` is ``merge``, ``json``, ``strategic`` or ``apply`` (server-side apply, ``force`` takes over fields)."""
        query = {"fieldManager": field_manager, "force": "true" if kind == "apply" and force else ""}
        return self._write("PATCH", path, body, dry_run, query=query, content_type=_PATCH_TYPES[kind])

    def _write(self, verb: str, path: str, body: t.Any, dry_run: bool, **options: t.Any) -> dict[str, t.Any]:
        """Send a write. Where a dry run cannot be, what was to be written is taken for the answer, and :attr:`unproven` says so."""
        query = {"fieldManager": FIELD_MANAGER, **options.pop("query", {}), "dryRun": "All" if dry_run else ""}
        if not (dry_run and self.unproven):
            try:
                return self._request(verb, path, query=query, body=body, stores=not dry_run, **options)
            except ApiError as error:
                if not dry_run or _NO_DRY_RUN not in str(error):
                    raise
            self.unproven = (
                f"{self.name}: Karmada's proxy passes no dry run on, so the API server was not asked whether it would accept what is predicted."
            )
            if self._warn:
                self._warn(self.unproven)
        return body if isinstance(body, dict) else {}

    def delete(
        self,
        path: str,
        *,
        found: t.Mapping[str, t.Any] | None = None,
        unchanged: bool = False,
        dry_run: bool = False,
        missing_ok: bool = True,
    ) -> dict[str, t.Any] | None:
        """DELETE an object; None where there was none and ``missing_ok``.

        :arg found: the object that is meant. One that was made anew under its name since then is not deleted (409).
        :arg unchanged: nor is one that was written since. Not for what its controller writes all the time.
        """
        metadata = (found or {}).get("metadata") or {}
        wanted = {key: metadata[key] for key in ("uid", *(["resourceVersion"] if unchanged else [])) if metadata.get(key)}
        # An API server does not look at the query of a DELETE that has a body (apiserver/pkg/endpoints/handlers/delete.go).
        options = {
            "propagationPolicy": "Background",
            **({"preconditions": wanted} if wanted else {}),
            **({"dryRun": ["All"]} if dry_run else {}),
        }
        try:
            return self._request("DELETE", path, body=options, stores=not dry_run)
        except ApiError as error:
            if missing_ok and error.status == http.client.NOT_FOUND:
                return None
            raise

    def version(self) -> tuple[int, int]:
        """Kubernetes' version, such as ``(1, 34)``. Managed platforms append signs to the minor number (``27+``)."""
        answer = self._request("GET", "/version")
        digits = "".join(character for character in str(answer["minor"]) if character.isdigit())
        return int(answer["major"]), int(digits)

    def can_i(self, rights: t.Iterable[t.Mapping[str, str]]) -> list[dict[str, str]]:
        """Those of ``rights`` that the caller does not have.

        A right is ``{verb, resource, group?, namespace?, name?, subresource?}``, as in a SelfSubjectAccessReview.
        """
        missing = []
        for right in rights:
            if not self._allowed("SelfSubjectAccessReview", {"resourceAttributes": dict(right)}):
                missing.append(dict(right))
        return missing

    def denied(self, namespace: str, service_account: str, rights: t.Iterable[t.Mapping[str, str]]) -> list[dict[str, str]] | None:
        """Those of ``rights`` (see :meth:`can_i`) that a service account does not have; None where the caller may not ask."""
        groups = ["system:authenticated", "system:serviceaccounts", f"system:serviceaccounts:{namespace}"]
        missing = []
        for right in rights:
            spec = {
                "user": f"system:serviceaccount:{namespace}:{service_account}",
                "groups": groups,
                "resourceAttributes": dict(right),
            }
            try:
                allowed = self._allowed("SubjectAccessReview", spec)
            except ApiError as error:
                if error.status == http.client.FORBIDDEN:
                    return None
                raise
            if not allowed:
                missing.append(dict(right))
        return missing

    def _allowed(self, kind: str, spec: t.Mapping[str, t.Any]) -> bool:
        root = "/apis/authorization.k8s.io/v1"
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
        answer = self._request("POST", f"{root}/{kind.lower()}s", body=review, stores=False)
        return bool(answer.get("status", {}).get("allowed"))

    def port_forward(self, namespace: str, pod: str, port: int) -> Forward:
        """Connect to a port of a pod through the API server (WebSocket, as ``kubectl port-forward`` does).

        The socket is one end of a local pair: what refuses at the pod is seen as an end of file, with the words in ``error()``.
        """
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}/portforward"
        with self._throttle:
            self.requests += 1
            try:
                made = forward(self._configuration, self.server + path, port, self._headers().iteritems(), self._seconds_left("GET", path))
            except ForwardError as error:
                advice = ". Reach the member by contexts or files instead of through Karmada's proxy" if self.server.endswith("/proxy") else ""
                raise ApiError(
                    self.name,
                    f"{self.name}: no port-forward to port {port} of pod {namespace}/{pod} through {self.server}: {error}{advice}",
                    reason="PortForward",
                    verb="GET",
                    path=path,
                ) from error
        end = made.socket(port)
        end.settimeout(self.timeout)
        return Forward(end, lambda: made.error(port) or "")

    def metrics(self, namespace: str, pod: str, port: int) -> str:
        """What a pod's metrics port says, HTTP headers before it; empty where it does not answer, as where it listens on another address than all."""
        try:
            with contextlib.closing(self.port_forward(namespace, pod, port).socket) as connection:
                connection.sendall(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode(errors="replace")
        except OSError:
            return ""

    def _headers(self) -> urllib3.HTTPHeaderDict:
        """Who asks."""
        # the library's hook renews a token that a credential plugin gave, so this is asked for every request
        try:
            headers = urllib3.HTTPHeaderDict({setting["key"]: setting["value"] for setting in self._configuration.auth_settings().values()})
        except AccessError as error:
            raise self._unusable(error) from error
        if self._auth.get("username") and self._auth.get("password"):
            headers.update(urllib3.make_headers(basic_auth=f"{self._auth['username']}:{self._auth['password']}"))
        if self._auth.get("impersonate_user"):
            headers["Impersonate-User"] = self._auth["impersonate_user"]
        for group in self._auth.get("impersonate_groups") or []:
            headers.add("Impersonate-Group", group)
        return headers

    def _unusable(self, error: AccessError) -> ApiError:
        return ApiError(self.name, f"{self.name}: {error}", reason="Deadline" if error.late else "Config")

    def _limit(self) -> Limit:
        return Limit(_PLUGIN_ANSWERS * self.timeout, self.deadline)

    def _request(
        self,
        verb: str,
        path: str,
        *,
        query: t.Mapping[str, str] | None = None,
        body: t.Any = None,
        content_type: str = "application/json",
        raw: bool = False,
        stores: bool | None = None,
    ) -> t.Any:
        """Send a request and give its answer. ``stores`` False: nothing comes of it in the cluster, so it may be sent twice."""
        stores = verb != "GET" if stores is None else stores
        pairs = {key: value for key, value in (query or {}).items() if value}
        url = self.server + path + ("?" + urlencode(pairs) if pairs else "")
        data = b"" if body is None else json.dumps(body).encode()
        worker.uses(self)
        began = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            headers = self._headers()
            headers["Accept"] = "*/*" if raw else "application/json"
            headers["User-Agent"] = FIELD_MANAGER
            if data:
                headers["Content-Type"] = content_type
                headers["Content-Length"] = str(len(data))
            sent = _Body(data)
            try:
                with self._throttle:
                    seconds = self._seconds_left(verb, path)
                    self.requests += 1
                    self.writes += verb != "GET"
                    if stores and time.monotonic() - self._used > _IDLE:
                        self.close()
                    self._used = time.monotonic()
                    answer = self._pool.request(
                        verb,
                        url,
                        body=sent if data else None,
                        headers=headers,
                        timeout=urllib3.Timeout(connect=min(5.0, seconds), read=seconds, total=seconds),
                        retries=False,
                    )
            except urllib3.exceptions.HTTPError as error:
                maybe_applied = stores and sent.taken
                pause = _pause_unanswered(error, attempt)
                # an API server that fails over is back soon; one that is down is not worth more than twice the time of an answer
                end = min(began + 2 * self.timeout, self.deadline or float("inf"))
                if not maybe_applied and pause is not None and attempt < _ATTEMPTS and time.monotonic() + pause < end:
                    time.sleep(pause)
                    continue
                advice = " Set ca_cert, host or kubeconfig so that they fit." if isinstance(error, urllib3.exceptions.SSLError) else ""
                raise ApiError(
                    self.name,
                    f"{self.name}: the API server at {self.server} does not answer ({_cause(error)}).{advice}",
                    reason="Unreachable",
                    verb=verb,
                    path=path,
                    maybe_applied=maybe_applied,
                ) from error
            pause = _pause(answer, attempt)
            if pause is None or attempt == _ATTEMPTS:
                break
            time.sleep(min(pause, self._seconds_left(verb, path)))
        if answer.status >= http.client.BAD_REQUEST:
            raise self._refusal(verb, path, answer)
        if raw:
            return answer.data.decode(errors="replace")
        try:
            return json.loads(answer.data)
        except ValueError as error:
            raise ApiError(
                self.name,
                f"{self.name}: {self.server} does not answer as an API server does (no JSON at {path})."
                " Check host, kubeconfig and proxy.",
                reason="Config",
                verb=verb,
                path=path,
            ) from error

    def _seconds_left(self, verb: str, path: str) -> float:
        """How long one answer may take; ApiError once the deadline has passed."""
        if self.deadline is None:
            return self.timeout
        left = self.deadline - time.monotonic()
        if left <= 0:
            message = f"{self.name}: not done within the deadline. Set a longer one."
            raise ApiError(self.name, message, reason="Deadline", verb=verb, path=path)
        return min(self.timeout, left)

    def _refusal(self, verb: str, path: str, answer: t.Any) -> ApiError:
        try:
            status = json.loads(answer.data)
            reason, message = status.get("reason") or "", status.get("message") or ""
        except (ValueError, AttributeError):
            reason, message = "", answer.data.decode(errors="replace").strip()[:300]
        reason = reason or http.client.responses.get(answer.status, str(answer.status))
        advice = ""
        if answer.status == http.client.UNAUTHORIZED:
            advice = " The credentials are not valid there: they may have expired, or be another cluster's. Renew them or set another kubeconfig."
        elif "system:anonymous" in message:
            advice = " No credentials were sent: see that the kubeconfig's user has some, and that its credential plugin runs."
        return ApiError(
            self.name,
            f"{self.name}: {verb} {path}: {message or reason} (HTTP {answer.status} {reason}).{advice}",
            status=answer.status,
            reason=reason,
            verb=verb,
            path=path,
        )


def _pause(answer: t.Any, attempt: int) -> float | None:
    """Seconds to wait before the request is sent again, or None where the answer is final."""
    asked = answer.headers.get("Retry-After")
    # 429 is the API server's priority-and-fairness; with 500, 503 and 504 it sends Retry-After where a retry is safe
    if answer.status != http.client.TOO_MANY_REQUESTS and not (answer.status >= 500 and asked):
        return None
    seconds = float(asked) if asked and asked.isdigit() else 0.5 * 2**attempt
    return seconds if seconds <= _LONGEST_PAUSE else None


def _pause_unanswered(error: Exception, attempt: int) -> float | None:
    """Seconds to wait before a request that got no answer is sent again, or None where that would come to the same."""
    cause = _innermost(error)
    wrong_tls = isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLEOFError)
    if wrong_tls or isinstance(cause, socket.gaierror) or isinstance(error, urllib3.exceptions.LocationValueError):
        return None
    # a connection that the server closed while it was idle breaks on the next use
    if attempt == 1 and isinstance(error, urllib3.exceptions.ProtocolError):
        return 0.0
    return 0.5 * 2 ** (attempt - 1)


def _innermost(error: BaseException) -> BaseException:
    """urllib3 wraps a refused connection in two others."""
    while not isinstance(error, OSError):
        inner = [one for one in (getattr(error, "reason", None), error.__cause__, *error.args) if isinstance(one, BaseException)]
        if not inner:
            break
        error = inner[0]
    return error


def _cause(error: BaseException) -> str:
    """The words of the innermost error."""
    error = _innermost(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rpartition(": ")[2] or type(error).__name__
