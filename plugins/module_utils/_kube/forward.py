# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A port-forward by WebSocket, as ``kubectl port-forward`` makes it.

What of the library opens the WebSocket passes no header on but the token, so that the API server would not know whom to impersonate.
"""

from __future__ import annotations

import ssl
import typing as t

if t.TYPE_CHECKING:
    from kubernetes.client import Configuration
    from kubernetes.stream.ws_client import PortForward

__all__ = ["ForwardError", "forward"]


class ForwardError(Exception):
    """Why there is no port-forward, in the words of who refused it."""


def forward(configuration: Configuration, url: str, port: int, headers: t.Iterable[tuple[str, str]], timeout: float) -> PortForward:
    """Connect to a port of a pod. :arg url: the pod's ``portforward``. :raises ForwardError: that is refused."""
    # imported here: it costs a tenth of a second that only DNS questions are worth
    import websocket
    from kubernetes.stream import ws_client

    url = ws_client.get_websocket_url(url, [("ports", str(port))])
    given = [*headers, ("Sec-WebSocket-Protocol", "v4.channel.k8s.io")]
    options: dict[str, t.Any] = {"header": [f"{name}: {value}" for name, value in given], "timeout": timeout}
    if configuration.proxy or configuration.proxy_headers:
        options = ws_client.websocket_proxycare(options, configuration, url, dict(given))
    connection = websocket.WebSocket(sslopt=_tls(configuration), skip_utf8_validation=False)
    try:
        connection.connect(url, **options)
    except (OSError, ValueError, websocket.WebSocketException) as error:
        raise ForwardError(str(error)) from error
    return ws_client.PortForward(connection, [port])


def _tls(configuration: Configuration) -> dict[str, t.Any]:
    options: dict[str, t.Any] = {"cert_reqs": ssl.CERT_NONE}
    if configuration.verify_ssl:
        options = {"cert_reqs": ssl.CERT_REQUIRED}
        if configuration.ssl_ca_cert:
            options["ca_certs"] = configuration.ssl_ca_cert
        if configuration.assert_hostname is not None:
            options["check_hostname"] = configuration.assert_hostname
    named = {"certfile": configuration.cert_file, "keyfile": configuration.key_file, "server_hostname": getattr(configuration, "tls_server_name", None)}
    return {**options, **{option: value for option, value in named.items() if value}}
