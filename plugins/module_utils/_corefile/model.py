# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a Corefile says, as plain data, and the hash by which CoreDNS tells which one it runs."""

from __future__ import annotations

import hashlib
import json
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import Corefile, CorefileError, parse

__all__ = ["Corefile", "CorefileError", "describe", "metrics_port", "parse", "plugins_used", "port_of", "reload_hash", "zones_served"]


def plugins_used(corefile: Corefile) -> list[dict[str, t.Any]]:
    """For each server block its ``line``, ``zones`` (as written, with ports) and ``plugins`` (sorted names).

    To be checked against ``coredns -plugins``.
    """
    return [
        {
            "line": block.line,
            "zones": [key.token.text for key in block.keys],
            "plugins": sorted({directive.name for directive in block.directives}),
        }
        for block in corefile.blocks
    ]


def zones_served(corefile: Corefile) -> list[dict[str, t.Any]]:
    """Every zone with the listener that serves it: ``zone`` (no final dot but for the root), ``scheme``, ``port``,
    ``line``.
    """
    return [
        {"zone": zone.removesuffix(".") or ".", "scheme": key.scheme, "port": int(key.port or 0), "line": block.line}
        for block in corefile.blocks
        for key in block.keys
        for zone in key.zones
    ]


def port_of(corefile: Corefile, name: str, default: int = 53) -> int:
    """The port of the server block that a DNS question for ``name`` is answered by, the first of those that would do.

    :arg default: that of blocks that name none (CoreDNS's ``-dns.port``).
    """
    name = f".{name.rstrip('.').lower()}"
    fitting = [
        (len(bare), key.written_port)
        for block in corefile.blocks
        for key in block.keys
        for zone in key.zones
        if key.scheme == "dns" and ((bare := zone.removesuffix(".") or ".") == "." or name.endswith(f".{bare.lower()}"))
    ]
    return int(max(fitting, key=lambda pair: pair[0])[1] or default) if fitting else default


def metrics_port(corefile: Corefile) -> int | None:
    """The port of the first ``prometheus`` plugin that has one; None where the Corefile uses none."""
    for block in corefile.blocks:
        for directive in block.named("prometheus"):
            digits = directive.args[0].text.rpartition(":")[2] if directive.args else "9153"
            if digits.isascii() and digits.isdigit():
                return int(digits)
    return None


def describe(corefile: Corefile) -> list[dict[str, t.Any]]:
    """The server blocks as plain data.

    Each has ``line``, ``zones`` (as written, with ports), and each plugin's ``name``, ``line``, ``args`` and ``options``.
    """
    return [
        {
            "line": block.line,
            "zones": [key.token.text for key in block.keys],
            "plugins": [
                {
                    "name": directive.name,
                    "line": directive.line,
                    "args": [token.text for token in directive.args],
                    "options": [[token.text for token in line] for line in directive.options],
                }
                for directive in block.directives
            ],
        }
        for block in corefile.blocks
    ]


def reload_hash(corefile: Corefile) -> str | None:
    """The SHA-512 that CoreDNS's ``reload`` plugin logs at its start and reports as
    ``coredns_reload_version_info{hash="sha512"}``.

    It is not the file's: what is hashed is the parsed Corefile as JSON (plugin/reload/reload.go), that is the words with
    their line numbers, imports and variables put in. Hence None where a file to import or a variable is not known.
    CoreDNS sets the metric when it reloads (a reload that failed included), not when it starts.
    """
    if corefile.unseen or corefile.env:
        return None
    blocks = [
        {
            "Keys": block["Keys"],
            "Tokens": {
                name: [{"File": token.file, "Line": token.line, "Text": token.text} for token in block["Tokens"][name]]
                for name in sorted(block["Tokens"], key=str.encode)
            },
        }
        for block in corefile.serial
    ]
    # Go's encoding/json escapes what could end a <script>, and writes null for a slice that was never made.
    body = json.dumps(blocks or None, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        body = body.replace(char, f"\\u{ord(char):04x}")
    return hashlib.sha512(body.encode()).hexdigest()
