# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A zone forwarded by RKE2's CoreDNS, in the values of its chart. Pure: no client, no clock, no file.

``spec.valuesContent`` of HelmChartConfig ``rke2-coredns`` is YAML with the chart's ``servers``, a list that Helm takes as a whole: a list
with our zone alone would leave the cluster without its own. So where ``valuesContent`` has no ``servers``, the ones that
CoreDNS runs now go in with ours. Our lines stand between two comments; the rest of the text is not touched.
"""

from __future__ import annotations

import textwrap
import traceback
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.delegation import (
    DelegationError,
    Outcome,
    Want,
    plain,
    target,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import describe
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import Block, CorefileError, Directive, normal, parse
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

try:
    import yaml

    YAML_IMPORT_ERROR: str | None = None
except ImportError:
    YAML_IMPORT_ERROR = traceback.format_exc()

__all__ = ["YAML_IMPORT_ERROR", "helm_values", "servers_of"]

Object = t.Mapping[str, t.Any]
_MARK = "# clusterset.dns:"


def helm_values(found: Object | None, want: Want, corefile: str | None) -> Outcome:
    """HelmChartConfig ``rke2-coredns``.

    :arg found: it, or None.
    :arg corefile: what CoreDNS runs now, None where that is not known.
    :raises DelegationError: the values cannot be edited without touching what is others', or the zone is forwarded elsewhere by hand.
    """
    text = ((found or {}).get("spec") or {}).get("valuesContent")
    before = text or ""
    base, ours = _without(before, want.zone)
    was = tuple(_addresses(_servers(before), want.zone)) if ours else ()
    if not want.addresses:
        left = _addresses(_servers(base), want.zone)
        notes = (f"valuesContent still sends {want.zone} to {', '.join(left)}, which was not put there by this module.",) if left else ()
        if not ours:
            return Outcome(before=before, after=before, notes=notes)
        return _write(found, want, text, base, was)._replace(notes=notes)
    if ours and target(was) == target(want.addresses):
        return Outcome(before=before, after=before, was=was)
    present = _servers(base)
    by_hand = _addresses(present, want.zone)
    if by_hand and target(by_hand) == target(want.addresses):
        return Outcome(before=before, after=before, adopted=True)
    if by_hand is not None:
        raise DelegationError(
            f"servers in valuesContent has {want.zone} already ({', '.join(by_hand) or 'not forwarded'}). Remove that by hand, or leave the"
            " zone to it."
        )
    after = _with(base, want, present, corefile)
    outcome = _write(found, want, text, after, was)
    if present is None:
        note = (
            "valuesContent had no servers, and Helm takes that list as a whole: the server blocks that CoreDNS runs now were put beside that"
            " of the zone. While they are there, the chart's own ones do not count, nor what an upgrade makes of them."
        )
        outcome = outcome._replace(notes=(note,))
    return outcome


def _write(found: Object | None, want: Want, before: str | None, after: str, was: tuple[str, ...]) -> Outcome:
    said = {"before": before or "", "after": after, "was": was}
    if found is None:
        body = {
            "apiVersion": "helm.cattle.io/v1",
            "kind": "HelmChartConfig",
            "metadata": {"name": "rke2-coredns", "labels": ownership.labels(want.fleet)},
            "spec": {"valuesContent": after},
        }
        return Outcome("create", body, **said)
    metadata = found["metadata"]
    if not after and ownership.made_for(want.fleet, found):
        return Outcome("delete", None, **said)
    # A text that was not there and one that is empty are the same to Helm, not to who compares.
    value = after if after or before == "" else None
    return Outcome("patch", {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "spec": {"valuesContent": value}}, **said)


# --- the text -------------------------------------------------------------------------------------------------------------------------


def _without(text: str, zone: str) -> tuple[str, bool]:
    """The text without our lines, and whether there were any."""
    kept, inside, found = [], False, False
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        words = line.split()
        mark = words[2] if " ".join(words[:2]) == _MARK and words[3:] == [zone] else ""
        if mark and (mark == "begin") == inside:
            raise DelegationError(f"line {number} of valuesContent: the marks of {zone} ({_MARK} begin …, end …) are broken. Repair them.")
        if mark:
            inside, found = mark == "begin", True
        elif not inside:
            kept.append(line)
    if inside:
        raise DelegationError(f"valuesContent: the marks of {zone} ({_MARK} begin …) have no end. Repair them.")
    return "".join(kept), found


def _with(text: str, want: Want, present: list[t.Any] | None, corefile: str | None) -> str:
    """The text with our lines, checked to say what it said before and the zone besides."""
    entry = {
        "zones": [{"zone": want.zone}],
        "port": 53,
        "plugins": [{"name": "errors"}, {"name": "forward", "parameters": " ".join([".", *map(plain, want.addresses)])}],
    }
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if present is None:
        if corefile is None:
            raise DelegationError(
                "valuesContent has no servers, and CoreDNS's ConfigMap with those that it runs was not found. Write the servers that the"
                " cluster needs into valuesContent."
            )
        expected = [entry, *servers_of(corefile, want.zone)]
        dumped, indent, at = _dump({"servers": expected}), "", 0
        if root is not None:
            if root.flow_style:
                raise DelegationError("valuesContent is written in braces (YAML's flow style), to which no line can be added. Rewrite it.")
            at, indent = root.start_mark.line, " " * root.start_mark.column
    else:
        expected = [entry, *present]
        node = next(value for key, value in root.value if key.value == "servers")
        if node.flow_style or not node.value:
            raise DelegationError("servers in valuesContent is not written with a line for each entry. Rewrite it so, or remove it.")
        dumped, indent, at = _dump([entry]), " " * node.start_mark.column, node.start_mark.line
    lines = text.splitlines(keepends=True)
    eol = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
    marked = [f"{_MARK} begin {want.zone}", *dumped.splitlines(), f"{_MARK} end {want.zone}"]
    result = "".join([*lines[:at], *(f"{indent}{line}".rstrip() + eol for line in marked), *lines[at:]])
    try:
        same = _load(result) == {**(_load(text) or {}), "servers": expected}
    except DelegationError:
        same = False
    if not same:
        raise DelegationError("valuesContent cannot be edited without changing what else it says. Add the zone to servers by hand.")
    return result


def _load(text: str) -> t.Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1} of " if mark else ""
        raise DelegationError(f"{where}valuesContent is no YAML ({getattr(error, 'problem', None) or 'unreadable'}). Repair it.") from None


def _servers(text: str) -> list[t.Any] | None:
    """The ``servers`` of the values; None where they have none."""
    values = _load(text)
    if values is None:
        return None
    if not isinstance(values, dict):
        raise DelegationError("valuesContent is no mapping. Repair it.")
    servers = values.get("servers")
    if servers is None and "servers" in values:
        raise DelegationError("servers in valuesContent has no value. Give it one, or remove it.")
    if servers is not None and not (isinstance(servers, list) and all(isinstance(one, dict) for one in servers)):
        raise DelegationError("servers in valuesContent is no list of mappings. Repair it.")
    return servers


def _addresses(servers: list[t.Any] | None, zone: str) -> list[str] | None:
    """Where to ``servers`` forwards a zone: no addresses if otherwise than by one ``forward``; None where it does not have the zone."""
    for one in servers or []:
        if any(str(named.get("zone", ".")).rstrip(".").lower() == zone for named in one.get("zones") or []):
            forwards = [plugin for plugin in one.get("plugins") or [] if plugin.get("name") == "forward"]
            return str(forwards[0].get("parameters", "")).split()[1:] if len(forwards) == 1 else []
    return None


class _Dumper(yaml.SafeDumper if not YAML_IMPORT_ERROR else object):  # type: ignore[misc]
    """Texts of several lines as people write them, and lists indented."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> t.Any:
        return super().increase_indent(flow, False)


def _string(dumper: t.Any, text: str) -> t.Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


if not YAML_IMPORT_ERROR:
    _Dumper.add_representer(str, _string)


def _dump(value: t.Any) -> str:
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=10_000))


# --- CoreDNS's own servers ------------------------------------------------------------------------------------------------------------


def servers_of(corefile: str, zone: str) -> list[dict[str, t.Any]]:
    """The server blocks of a Corefile as the chart's ``servers``, that of ``zone`` left out.

    :raises DelegationError: they cannot be said so. What is returned makes a Corefile that reads the same.
    """
    try:
        parsed = parse(corefile)
        blocks = [block for block in parsed.blocks if [z for key in block.keys for z in key.zones] != [normal(zone)]]
        found = [_server(corefile, block) for block in blocks]
        again = describe(parse("".join(map(_rendered, found))))
    except CorefileError as error:
        raise DelegationError(f"the Corefile that CoreDNS runs cannot be read: {error}") from None
    if _said(again) != _said([one for one, block in zip(describe(parsed), parsed.blocks, strict=True) if block in blocks]):
        raise DelegationError("the Corefile that CoreDNS runs cannot be written as the chart's servers. Put them into valuesContent by hand.")
    return found


def _server(text: str, block: Block) -> dict[str, t.Any]:
    ports = {key.port for key in block.keys}
    if len(ports) > 1 or any(key.scheme != "dns" or len(key.zones) != 1 for key in block.keys):
        raise DelegationError(
            f"the server block in line {block.line} of the Corefile that CoreDNS runs cannot be written as one of the chart's servers."
            " Put them into valuesContent by hand."
        )
    return {
        "zones": [{"zone": key.zones[0].removesuffix(".") or "."} for key in block.keys],
        "port": int(ports.pop()),
        "plugins": [_plugin(text, directive) for directive in block.directives],
    }


def _plugin(text: str, directive: Directive) -> dict[str, t.Any]:
    plugin: dict[str, t.Any] = {"name": directive.name}
    if directive.args:
        plugin["parameters"] = " ".join(text[token.start : token.end] for token in directive.args)
    if directive.brace:
        inside = text[directive.brace.end : directive.tokens[-1].start]
        plugin["configBlock"] = textwrap.dedent(inside.replace("\t", "    ").strip("\n").rstrip())
    return plugin


def _rendered(server: Object) -> str:
    """The server block that the chart makes of an entry (charts/coredns/templates/configmap.yaml)."""
    lines = []
    for plugin in server["plugins"]:
        head = " ".join(filter(None, [plugin["name"], plugin.get("parameters")]))
        lines.append(f"    {head} {{\n{plugin['configBlock']}\n    }}\n" if "configBlock" in plugin else f"    {head}\n")
    zones = " ".join(f"{one['zone']}:{server['port']}" for one in server["zones"])
    return f"{zones} {{\n{''.join(lines)}}}\n"


def _said(blocks: list[dict[str, t.Any]]) -> list[t.Any]:
    return [
        [
            sorted(zone if ":" in zone else f"{zone}:53" for zone in block["zones"]),
            [[plugin["name"], plugin["args"], plugin["options"]] for plugin in block["plugins"]],
        ]
        for block in blocks
    ]
