# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Where the lab takes Debian from, and that what it makes of it is the same from everywhere."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import yaml

LAB = Path(__file__).resolve().parents[3] / "lab"
ARCHIVE = "http://deb.debian.org/debian"
MIRROR = "https://mirror.example.com/debian"


def load(path: str) -> types.ModuleType:
    """A file of the lab's, which is no package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, LAB / path)
    module = importlib.util.module_from_spec(spec)
    # A NamedTuple looks for its module there.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


lab_apt = load("module_utils/lab_apt.py")

DEB822 = """\
# The machine's own
Types: deb deb-src
# http://snapshot.example.com/
URIs: https://mirror.example.com/debian/
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

types: deb
uris: https://security.example.com/debian-security
suites: bookworm-security
components: main
"""
ONE_LINE = """\
# deb http://commented.example.com/debian bookworm main
deb-src http://sources.example.com/debian bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://other.example.com/debian bookworm main # a comment
deb cdrom:[Debian]/ bookworm main
deb http://third.example.com/flat/ ./
"""


@pytest.mark.parametrize(
    ("files", "mirror"),
    [
        ({}, ""),
        ({"sources.list.d/debian.sources": DEB822}, MIRROR),
        ({"sources.list": ONE_LINE}, "http://other.example.com/debian"),
        # Others' suites bear the names of Debian's releases, and their files come first.
        ({"sources.list": "deb https://vpn.example.com/debian bookworm main\n", "sources.list.d/debian.sources": DEB822}, MIRROR),
        ({"sources.list": "deb https://download.example.com/linux/debian bookworm stable\n"}, ""),
        # A mirror has all releases.
        ({"sources.list.d/debian.sources": DEB822.replace("bookworm", "trixie")}, MIRROR),
        (
            {
                "sources.list": "deb http://archive.example.com/ubuntu noble main\ndeb http://archive.example.com/ubuntu noble-updates main\n"
            },
            "",
        ),
        ({"sources.list.d/debian.sources": "Enabled: no\n" + DEB822.split("\n", 1)[1]}, ""),
        ({"sources.list.d/debian.sources.bak": DEB822}, ""),
    ],
)
def test_the_machines_own_mirror(tmp_path: Path, files: dict[str, str], mirror: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert lab_apt.debian_mirror(lab_apt.sources(str(tmp_path)), "bookworm") == mirror


def test_the_release_itself_comes_before_others() -> None:
    found = lab_apt.one_line("deb http://a.example.com/debian trixie main\ndeb http://b.example.com/debian bookworm main\n")
    assert lab_apt.debian_mirror(found, "bookworm") == "http://b.example.com/debian"


def build(cache: Path, mirror: str) -> dict[str, str]:
    """What the module artifact says, with a command that writes down the mirror that it is given."""
    arguments = {
        "name": "root",
        "cache": str(cache),
        "commands": [["sh", "-c", 'echo "$1" > out/mirror', "sh", ARCHIVE]],
        "replace": {ARCHIVE: mirror},
    }
    ran = subprocess.run(
        [sys.executable, str(LAB / "library" / "artifact.py")],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        # It is of the machine's whether it may have a mount namespace of its own.
        env=os.environ | {"PATH": f"{cache}:{os.environ['PATH']}"},
    )
    return json.loads(ran.stdout)


def test_a_mirrors_name_is_no_part_of_what_is_built(tmp_path: Path) -> None:
    contained = tmp_path / "unshare"
    contained.write_text('#!/bin/sh\nshift 4\nexec "$@"\n')
    contained.chmod(0o755)
    first = build(tmp_path, MIRROR)
    assert first["changed"] is True, first
    assert Path(first["path"], "mirror").read_text() == f"{MIRROR}\n"
    other = build(tmp_path, "http://elsewhere.example.com/debian")
    assert (other["changed"], other["path"]) == (False, first["path"])


def test_the_lab_names_no_mirror_but_debians_own() -> None:
    named = set()
    for path in LAB.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            named |= set(re.findall(r"https?://[\w.-]*(?:debian|mirror|snapshot)[\w./-]*", path.read_text()))
    assert named == {ARCHIVE}
    assert not yaml.safe_load((LAB / "group_vars" / "all.yml").read_text())["lab_debian_mirror"]


def test_the_lab_names_no_path_of_a_machine() -> None:
    for path in LAB.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert not re.search(r"(?<![\w.}-])/(root|home|work|Users)/", path.read_text()), path
