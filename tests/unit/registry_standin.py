# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Stands in for a registry of images: ``with RegistryStandIn() as registry``, at ``registry.host``."""

from __future__ import annotations

import http.server
import json
import threading
import typing as t

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"


class RegistryStandIn:
    """``token`` is what has to be fetched first, '' for nothing; ``closed``: nobody is let in. ``asked`` are the paths that were asked for."""

    def __init__(self) -> None:
        self.documents: dict[str, tuple[str, t.Any]] = {}
        self.asked: list[str] = []
        self.token = ""
        self.closed = False

    def __enter__(self) -> RegistryStandIn:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *unused: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def put(self, name: str, tag: str, *platforms: str) -> None:
        """An index of an image for several platforms."""
        manifests = [{"digest": f"sha256:{number:064}", "platform": _platform(one)} for number, one in enumerate(platforms)]
        self.documents[f"/v2/{name}/manifests/{tag}"] = (_INDEX, {"schemaVersion": 2, "manifests": manifests})

    def put_single(self, name: str, tag: str, platform: str, *, with_config: bool = True) -> None:
        """An image for one platform, without an index."""
        config = f"sha256:{tag:0>64}"
        self.documents[f"/v2/{name}/manifests/{tag}"] = (_MANIFEST, {"schemaVersion": 2, "config": {"digest": config}, "layers": []})
        if with_config:
            self.documents[f"/v2/{name}/blobs/{config}"] = (_CONFIG, _platform(platform))


def _platform(words: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), words.split("/"), strict=False))


def _handler(registry: RegistryStandIn) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            registry.asked.append(self.path)
            if self.path.startswith("/token?"):
                return self._answer(200, "application/json", {"token": registry.token})
            if registry.closed:
                return self._answer(401, "application/json", {}, ("WWW-Authenticate", 'Basic realm="private"'))
            if registry.token and self.headers.get("Authorization") != f"Bearer {registry.token}":
                name = self.path.removeprefix("/v2/").partition("/manifests")[0]
                challenge = f'Bearer realm="http://{registry.host}/token",service="registry",scope="repository:{name}:pull"'
                return self._answer(401, "application/json", {}, ("WWW-Authenticate", challenge))
            kind, body = registry.documents.get(self.path, ("", None))
            if body is None:
                return self._answer(404, "application/json", {"errors": [{"code": "MANIFEST_UNKNOWN"}]})
            if kind not in self.headers.get("Accept", "") and "/manifests/" in self.path:
                return self._answer(404, "application/json", {"errors": [{"code": "MANIFEST_UNKNOWN"}]})
            return self._answer(200, kind, body)

        def _answer(self, code: int, kind: str, body: t.Any, *headers: tuple[str, str]) -> None:
            data = json.dumps(body).encode()
            self.send_response(code)
            for name, value in (("Content-Type", kind), ("Content-Length", str(len(data))), *headers):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *unused: object) -> None:
            pass

    return Handler
