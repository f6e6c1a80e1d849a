# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What the lab says of a step that failed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parents[3] / "lab"
# As the module artifact: one item that works, one that leaves a log, one that names its log itself.
LOOP = {
    "name": "Compile things",
    "ansible.builtin.command": {"argv": ["sh", "-c", "{{ item.script }}"]},
    "loop": [
        {"name": "good", "script": "true"},
        {"name": "bad", "script": "echo said on stdout; echo said on stderr >&2; printf 'line 1\\nline 2\\n' > $LOGS/bad.log; exit 3"},
        {"name": "told", "script": "echo the output is in $LOGS/bad.log; exit 4"},
        {"name": "late", "script": "true"},
    ],
    "loop_control": {"label": "{{ item.name }} v1"},
    "changed_when": False,
}


@pytest.fixture
def play(tmp_path: Path) -> t.Callable[..., list[str]]:
    """Runs tasks with the lab's callback; what it printed."""
    (tmp_path / "log").mkdir()

    def run(*tasks: dict[str, t.Any]) -> list[str]:
        environment = {"LOGS": str(tmp_path / "log")}
        playbook = [{"hosts": "localhost", "gather_facts": False, "environment": environment, "tasks": list(tasks)}]
        (tmp_path / "play.yml").write_text(json.dumps(playbook))
        settings = {
            "ANSIBLE_CALLBACK_PLUGINS": str(LAB / "callback_plugins"),
            "ANSIBLE_STDOUT_CALLBACK": "lab_progress",
            "ANSIBLE_HOME": str(tmp_path / "ansible"),
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "CLUSTERSET_LAB_CACHE": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "play.yml", "-c", "local", "-i", "localhost,"],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | settings,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2, done.stdout + done.stderr
        return [line.strip() for line in done.stdout.replace(str(tmp_path), "CACHE").splitlines()]

    return run


def test_a_failed_item_is_named_with_its_words_and_the_end_of_its_log(play: t.Callable[..., list[str]]) -> None:
    printed = play(LOOP)
    bad, told, *summary = (number for number, line in enumerate(printed) if line.startswith("FAILED"))
    assert printed[bad] == "FAILED  bad v1"
    assert "non-zero return code" in printed[bad + 1]
    assert printed[bad + 2 : told] == ["said on stderr", "said on stdout", "The end of CACHE/log/bad.log:", "line 1", "line 2"]
    assert printed[told] == "FAILED  told v1"
    assert printed[told + 2 : summary[0]] == ["the output is in CACHE/log/bad.log"]
    assert [printed[number].partition(": ")[0] for number in summary] == ["FAILED  bad v1", "FAILED  told v1"]
    assert all("non-zero return code" in printed[number] for number in summary)
    assert "One or more items failed" not in " ".join(printed)


def test_a_failed_task_says_why_once(play: t.Callable[..., list[str]]) -> None:
    printed = play({"name": "Look", "ansible.builtin.fail": {"msg": "Docker\ndoes not answer"}})
    assert [line for line in printed if not line.endswith(("Look", "Failed."))] == ["FAILED  Docker", "does not answer"]


def test_what_is_secret_stays_so(play: t.Callable[..., list[str]]) -> None:
    printed = " ".join(play({**LOOP, "no_log": True}))
    assert "FAILED" in printed
    assert "no_log" in printed
    assert "said on" not in printed
    assert "exit 3" not in printed
