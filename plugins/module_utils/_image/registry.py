# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Asks a registry, as anybody may and without a container engine, whether it has an image and for which platforms."""

from __future__ import annotations

import http.client
import json
import re
import threading
import typing as t
import urllib.error
import urllib.parse

from ansible.module_utils import urls
from ansible_collections.clusterset.dns.plugins.module_utils._image.content import normalized, platform, platforms, split

__all__ = ["Answer", "ask"]

_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
# Docker Hub is called by another name than it has.
_HOSTS = {"docker.io": "registry-1.docker.io"}
# Without TLS, as container engines reach them.
_PLAIN = ("localhost", "127.0.0.1", "[::1]")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')
_UNREACHED = (OSError, http.client.HTTPException, urls.ConnectionError, ValueError)


class Answer(t.NamedTuple):
    """What a registry says of an image. ``state`` is ``there``, with its ``platforms`` as far as it says, ``missing``, or ``refused`` or ``unreached``,
    with the reason in ``words``.
    """

    state: str
    platforms: tuple[str, ...] = ()
    words: str = ""


_asked: dict[str, Answer] = {}
_asking: dict[str, threading.Lock] = {}


def ask(reference: str, *, timeout: float = 10.0) -> Answer:
    """Whether the registry has an image. Each is asked for once in a process, however many members are to run it."""
    # one that hangs holds up nobody who asks for another
    with _asking.setdefault(reference, threading.Lock()):
        if reference not in _asked:
            _asked[reference] = _ask(reference, timeout)
        return _asked[reference]


def _ask(reference: str, timeout: float) -> Answer:
    repository, tag = split(normalized(reference))
    host, _slash, path = repository.partition("/")
    scheme = "http" if host.rpartition(":")[0] in _PLAIN or host in _PLAIN else "https"
    root = f"{scheme}://{_HOSTS.get(host, host)}/v2/{path}"
    registry = _Registry(timeout)
    try:
        manifest = registry.get(f"{root}/manifests/{tag}")
    except urllib.error.HTTPError as error:
        if error.code == http.client.NOT_FOUND:
            return Answer("missing")
        return Answer("refused", words=f"{error.code} {error.reason}")
    except _UNREACHED as error:
        reason = getattr(error, "reason", None) or error
        return Answer("unreached", words=" ".join(str(reason).split()))
    if "manifests" in manifest:
        return Answer("there", tuple(platforms(one.get("platform") or {} for one in manifest["manifests"])))
    try:
        config = registry.get(f"{root}/blobs/{manifest['config']['digest']}")
    except (*_UNREACHED, KeyError, TypeError):
        # that it is there is known all the same
        return Answer("there")
    return Answer("there", (platform(config),))


class _Registry:
    """One registry, with the token that it gives to anybody."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.headers = {"Accept": ", ".join(_TYPES)}

    def get(self, url: str) -> dict[str, t.Any]:
        """What is there. :raises OSError: it is not, or nobody answers."""
        try:
            return self._json(url, self.headers)
        except urllib.error.HTTPError as error:
            challenge = error.headers.get("WWW-Authenticate") or ""
            if error.code != http.client.UNAUTHORIZED or "Authorization" in self.headers or not challenge.lower().startswith("bearer "):
                raise
        given = dict(_CHALLENGE.findall(challenge))
        words = urllib.parse.urlencode({key: given[key] for key in ("service", "scope") if key in given})
        token = self._json(f"{given.get('realm', '')}?{words}", {})
        self.headers["Authorization"] = f"Bearer {token.get('token') or token.get('access_token')}"
        return self._json(url, self.headers)

    def _json(self, url: str, headers: t.Mapping[str, str]) -> dict[str, t.Any]:
        with urls.open_url(url, headers=dict(headers), timeout=self.timeout, use_netrc=False) as response:
            return t.cast("dict[str, t.Any]", json.loads(response.read()))
