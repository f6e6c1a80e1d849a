# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The Corefiles of tests/corpus/corefiles and what is expected of them."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import yaml
from ansible_collections.clusterset.dns.plugins.module_utils._corefile_settings import Edit

FOLDER = Path(__file__).resolve().parents[3] / "corpus" / "corefiles"
ZONE = "clusterset.local"


@dataclasses.dataclass(frozen=True)
class Case:
    """``base`` is what removing the zone has to give; ``separate`` and ``inline`` are ``edited``, ``adopted`` or why it is refused."""

    name: str
    about: str
    text: str
    base: str
    separate: str
    inline: str
    options: dict[str, t.Any]
    seen: dict[str, t.Any]

    def edit(self, **options: t.Any) -> Edit:
        merged = {"zone": ZONE, **self.options, **options}
        return Edit(**{**merged, "forward_to": tuple(merged.get("forward_to", ()))})


def _read(name: str) -> str:
    return (FOLDER / f"{name}.Corefile").read_bytes().decode()


def _case(entry: dict[str, t.Any]) -> Case:
    return Case(
        entry["name"],
        entry["about"],
        _read(entry["name"]),
        _read(entry.get("base", entry["name"])),
        entry["separate"],
        entry["inline"],
        entry.get("options", {}),
        {key: entry[key] for key in ("imports", "env") if key in entry},
    )


CASES = [_case(entry) for entry in yaml.safe_load((FOLDER / "index.yml").read_text())]


def variant(text: str, how: str) -> str:
    """The same file with other line ends, with a byte order mark, or without its last line break."""
    if how == "crlf":
        return text.replace("\r\n", "\n").replace("\n", "\r\n")
    if how == "bom":
        return "\ufeff" + text
    if how == "no final newline":
        return text.rstrip("\n")
    return text


VARIANTS = ["as it is", "crlf", "bom", "no final newline"]
