# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The action, run by ansible-playbook as a user would: what is on the terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_collections.clusterset.dns
import pytest

COLLECTIONS = Path(next(iter(ansible_collections.clusterset.dns.__path__))).parents[2]
LINES = ["NAME   ANSWER", "serve  10.22.4.17", "it says \"{{ 1 + 1 }}\"", "red \x1b[31m\u202e and\na line more"]


def run(folder: Path, task: dict[str, t.Any], *arguments: str, **environment: str) -> str:
    play = {"hosts": "all", "gather_facts": False, "tasks": [{"name": "Show", **task}]}
    (folder / "play.yml").write_text(json.dumps([play]))
    # as text that a cluster gave: read from a file, not written into the play
    (folder / "lines.json").write_text(json.dumps(LINES))
    known = {"ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1", **environment}
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "one,two,", "-c", "local", str(folder / "play.yml"), *arguments]
    return subprocess.run(command, env={**os.environ, **known}, capture_output=True, text=True, check=False).stdout


def task(folder: Path) -> dict[str, t.Any]:
    lines = f"{{{{ lookup('ansible.builtin.file', '{folder / 'lines.json'}') | from_json }}}}"
    return {"clusterset.dns.print_lines": {"lines": lines}, "run_once": True}


@pytest.mark.parametrize("arguments", [(), ("--check",)], ids=["run", "check"])
def test_lines_are_lines_once_for_all_hosts_and_a_terminal_obeys_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    said = run(tmp_path, task(tmp_path), *arguments)
    shown = "NAME   ANSWER\nserve  10.22.4.17\nit says \"{{ 1 + 1 }}\"\nred \\x1b[31m\\u202e and\\na line more\n"
    assert said.count(shown) == 1
    assert said.index("TASK [Show]") < said.index(shown) < said.index("ok: [one]")
    assert "\x1b" not in said


def test_output_for_programs_has_the_lines_in_the_result_alone(tmp_path: Path) -> None:
    said = run(tmp_path, task(tmp_path), ANSIBLE_STDOUT_CALLBACK="ansible.posix.json")
    result = json.loads(said)["plays"][0]["tasks"][0]["hosts"]["one"]
    assert result["lines"][:2] == LINES[:2]


def test_without_lines_it_says_what_is_missing(tmp_path: Path) -> None:
    assert "missing required arguments: lines" in run(tmp_path, {"clusterset.dns.print_lines": {}})
