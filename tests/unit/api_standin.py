# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a Kubernetes API server, on loopback: collections of plain objects, and faults on demand.

It is no API server: it validates and defaults nothing. What it does as the real one: resource versions and their guard (409), pages with
continue tokens, merge patches, field managers of ``spec.ips``, dry runs, deletion, and Status objects for errors.
"""

from __future__ import annotations

import json
import re
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

# method, path, query → (status, body, headers) that is answered instead, or None
Fault = t.Callable[[str, str, dict[str, str]], "tuple[int, t.Any, dict[str, str]] | None"]


class ApiStandIn:
    """``with ApiStandIn() as api``: ``api.put(path, object)`` places an object, ``api.auth`` reaches the server."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, t.Any]] = {}
        self.collections: set[str] = set()
        self.log: list[tuple[str, str, dict[str, str]]] = []
        self.faults: list[Fault] = []
        self.delay = 0.0
        # Called after every write that was stored, outside the lock: what a controller would do.
        self.controller: t.Callable[[str], None] | None = None
        self._version = 0
        self._lock = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> ApiStandIn:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def auth(self) -> dict[str, t.Any]:
        return {"host": self.url, "api_key": "none"}

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Method and path of what was asked to be written, dry runs left out."""
        return [(method, path) for method, path, query in self.log if method != "GET" and "dryRun" not in query]

    def put(self, path: str, item: dict[str, t.Any]) -> None:
        """Place an object as if a controller had written it."""
        with self._lock:
            self._version += 1
            parts = path.split("/")
            uid = self.objects.get(path, {}).get("metadata", {}).get("uid") or f"uid-{self._version}"
            metadata = {"name": parts[-1], "uid": uid, **item.get("metadata", {}), "resourceVersion": str(self._version)}
            if "namespaces" in parts[:-2]:
                metadata["namespace"] = parts[parts.index("namespaces") + 1]
            self.objects[path] = {**item, "metadata": metadata}
            self.collections |= {_collection(path), _over_all_namespaces(path)}

    def remove(self, path: str) -> None:
        with self._lock:
            del self.objects[path]

    def answer(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        with self._lock:
            if method == "GET" and path in self.collections:
                return self._page(path, query)
            if method == "POST":
                path = f"{path}/{body['metadata']['name']}"
                if path in self.objects:
                    return _status(409, "AlreadyExists", f"{path} already exists")
            elif path not in self.objects:
                return _status(404, "NotFound", "the server could not find the requested resource")
            old = self.objects.get(path, {})
            if method == "GET":
                return 200, old
            if method == "DELETE":
                wanted = (body or {}).get("preconditions") or {}
                if any(old["metadata"][key] != value for key, value in wanted.items()):
                    return _status(409, "Conflict", "Precondition failed: the UID or the resourceVersion is not that of the object")
                if "dryRun" not in query:
                    del self.objects[path]
                return 200, {"kind": "Status", "status": "Success"}
            guard = (body.get("metadata") or {}).get("resourceVersion")
            if guard and guard != old["metadata"]["resourceVersion"]:
                return _status(409, "Conflict", "the object has been modified")
            new = self.patched(old, body) if method == "PATCH" else body
            if (new.get("spec") or {}).get("ips") != (old.get("spec") or {}).get("ips"):
                owner = {"manager": query.get("fieldManager", ""), "fieldsV1": {"f:spec": {"f:ips": {}}}}
                new["metadata"]["managedFields"] = [owner]
            if "dryRun" not in query:
                self.put(path, new)
                new = self.objects[path]
        if self.controller and "dryRun" not in query:
            self.controller(path)
        return 200, new

    def patched(self, old: dict[str, t.Any], body: dict[str, t.Any]) -> dict[str, t.Any]:
        """What a PATCH makes of an object."""
        return merged(old, body)

    def _page(self, path: str, query: dict[str, str]) -> tuple[int, t.Any]:
        items = [self.objects[one] for one in sorted(self.objects) if path in (_collection(one), _over_all_namespaces(one))]
        items = [one for one in items if selected(one["metadata"].get("labels") or {}, query.get("labelSelector", ""))]
        for term in filter(None, query.get("fieldSelector", "").split(",")):
            field, _equals, value = term.partition("=")
            items = [one for one in items if _field(one, field) == value]
        start, limit = int(query.get("continue", 0)), int(query.get("limit", 0)) or len(items)
        metadata: dict[str, t.Any] = {"resourceVersion": str(self._version)}
        if start + limit < len(items):
            metadata["continue"] = str(start + limit)
        return 200, {"kind": "List", "metadata": metadata, "items": items[start : start + limit]}

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        standin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _serve(self) -> None:
                parts = urlsplit(self.path)
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                size = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(size)) if size else {}
                if self.command == "DELETE" and body:
                    # as an API server, which does not look at the query then
                    query = {"dryRun": "All"} if body.get("dryRun") == ["All"] else {}
                standin.log.append((self.command, parts.path, query))
                time.sleep(standin.delay)
                for fault in standin.faults:
                    faulty = fault(self.command, parts.path, query)
                    if faulty:
                        self._send(*faulty)
                        return
                self._send(*standin.answer(self.command, parts.path, query, body))

            def _send(self, status: int, answer: t.Any, headers: dict[str, str] | None = None) -> None:
                if status == 0:  # hang up without an answer
                    self.close_connection = True
                    return
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

            def log_message(self, *unused: object) -> None:
                pass

        return Handler


def status(code: int, reason: str, message: str) -> tuple[int, dict[str, t.Any], dict[str, str]]:
    """A fault's answer: the Status object that the API server sends."""
    return (*_status(code, reason, message), {})


def _status(code: int, reason: str, message: str) -> tuple[int, dict[str, t.Any]]:
    return code, {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}


def _collection(path: str) -> str:
    return path.rpartition("/")[0]


def _over_all_namespaces(path: str) -> str:
    parts = _collection(path).split("/")
    if len(parts) > 3 and parts[-3] == "namespaces":
        del parts[-3:-1]
    return "/".join(parts)


def merged(old: dict[str, t.Any], patch: dict[str, t.Any]) -> dict[str, t.Any]:
    """RFC 7396."""
    new = {key: copied(value) for key, value in old.items() if key not in patch}
    for key, value in patch.items():
        if isinstance(value, dict):
            new[key] = merged(old.get(key) or {}, value)
        elif value is not None:
            new[key] = copied(value)
    return new


def copied(value: t.Any) -> t.Any:
    """A deep copy of what JSON can say, many times quicker than ``copy.deepcopy``."""
    if isinstance(value, dict):
        return {key: copied(one) for key, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


def selected(labels: dict[str, str], selector: str) -> bool:
    """Whether labels fit a selector as in a query: ``a=b``, ``a!=b``, ``a in (b,c)``, ``a notin (b,c)``, ``a``, ``!a``, comma between."""
    for term in filter(None, re.split(r",(?![^(]*\))", selector)):
        several = re.fullmatch(r"\s*(\S+)\s+(in|notin)\s+\((.*)\)\s*", term)
        key, operator, value = re.fullmatch(r"\s*(!?[^\s=!]+)\s*(==|=|!=)?\s*(\S*)\s*", term).groups() if not several else several.groups()
        values = [one.strip() for one in value.split(",")]
        if operator is None:
            fits = (key.lstrip("!") in labels) != key.startswith("!")
        elif operator in ("!=", "notin"):
            fits = labels.get(key) not in values
        else:
            fits = key in labels and labels[key] in values
        if not fits:
            return False
    return True


def _field(item: dict[str, t.Any], field: str) -> t.Any:
    for part in field.split("."):
        item = (item or {}).get(part, "")
    return item
