# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this machine's apt takes Debian from. Pure but for `sources`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

RELEASES = {"oldstable", "stable", "testing", "unstable", "sid", "buster", "bullseye", "bookworm", "trixie", "forky", "duke"}
ONE_LINE = re.compile(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s*(.*)")


class Source(NamedTuple):
    """An archive and what is taken of it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def one_line(text: str) -> Iterator[Source]:
    """The archives of a file in the format of sources.list."""
    for line in text.splitlines():
        found = ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if found:
            yield Source(found[1], (found[2],), tuple(found[3].split()))


def deb822(text: str) -> Iterator[Source]:
    """The archives of a file in the format of *.sources."""
    lines = "\n".join(line.rstrip() for line in text.splitlines() if not line.startswith("#"))
    for paragraph in re.split(r"\n{2,}", lines):
        fields = {}
        for name, value in re.findall(r"^([^\s:]+):((?:.*(?:\n[ \t].*)*))", paragraph, re.MULTILINE):
            fields[name.lower()] = value.split()
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"])[0].lower() not in ("no", "false", "off", "0"):
            for uri in fields.get("uris", []):
                yield Source(uri, tuple(fields.get("suites", [])), tuple(fields.get("components", [])))


def debian_mirror(found: Iterable[Source], suite: str) -> str:
    """The archive to take Debian's `suite` from; empty where none is known.

    Others name their suites after Debian's releases as well: one that has a release's updates is Debian. A mirror of it has all releases.
    """
    archives: dict[str, set[str]] = {}
    for source in found:
        if source.uri.startswith(("http://", "https://")) and "main" in source.components:
            archives.setdefault(source.uri.rstrip("/"), set()).update(source.suites)
    debian = {uri: suites for uri, suites in archives.items() if suites & RELEASES}
    return max(debian, key=lambda uri: (any(f"{one}-updates" in debian[uri] for one in RELEASES), suite in debian[uri]), default="")


def sources(folder: str = "/etc/apt") -> list[Source]:
    """What apt is set to, in the order in which it reads its files."""
    found: list[Source] = []
    for path in [Path(folder, "sources.list"), *sorted(Path(folder, "sources.list.d").glob("*"))]:
        if path.suffix in (".list", ".sources") and path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found += deb822(text) if path.suffix == ".sources" else one_line(text)
    return found
