# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""examples/infra-repo, as far as it can be tried without a fleet; tests/fleet/test_installed.py runs its playbooks."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
REPO = CHECKOUT / "examples" / "infra-repo"
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir())


@pytest.fixture(scope="module")
def survey() -> t.Any:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("survey", REPO / "awx" / "survey.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def argument_specs() -> dict[str, t.Any]:
    """What ansible-doc says of all roles, as far as the script reads it."""
    specs = {role: yaml.safe_load((CHECKOUT / "roles" / role / "meta" / "argument_specs.yml").read_text())["argument_specs"] for role in ROLES}
    return {role: {"entry_points": {"main": spec["main"]}} for role, spec in specs.items()}


def test_the_survey_is_what_the_script_makes_of_the_roles(survey: t.Any) -> None:
    kept = json.loads((REPO / "awx" / "survey.json").read_text())
    names = [question["variable"] for question in kept["spec"]]
    assert survey.survey(names, survey.options_of(argument_specs())) == kept


def test_a_survey_has_what_awx_asks_of_one(survey: t.Any) -> None:
    """As awx/main/models/mixins.py and awx/api/views check it."""
    options = survey.options_of(argument_specs())
    askable = [name for name, option in options.items() if option.get("type", "str") in survey.TYPES]
    made = survey.survey(askable, options)
    assert set(made) == {"name", "description", "spec"}
    assert len({question["variable"] for question in made["spec"]}) == len(askable) > 50
    for question in made["spec"]:
        assert question["type"] in ("text", "textarea", "integer", "float", "multiplechoice")
        assert isinstance(question["required"], bool)
        assert question["type"] != "multiplechoice" or question["default"] in ("", *question["choices"])
        assert "V(" not in question["question_description"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nothing", "No role of clusterset.dns has an option nothing."),
        ("dns_verify_services", "dns_verify_services is a list, which AWX cannot ask for. Set it in the inventory."),
    ],
)
def test_what_awx_cannot_ask_for_is_refused(survey: t.Any, name: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        survey.survey([name], survey.options_of(argument_specs()))


def test_each_team_has_a_file_of_services(tmp_path: Path) -> None:
    """Files of one variable each come together, in whatever order they are read."""
    group_vars = tmp_path / "group_vars" / "all"
    group_vars.mkdir(parents=True)
    for path in (REPO / "inventory" / "group_vars" / "all").iterdir():
        (group_vars / path.name).write_text(path.read_text())
    (group_vars / "services-pay.yml").write_text("services_pay: [{namespace: pay, name: card, ports: [{port: 1}], from_clusters: [member2]}]\n")
    (tmp_path / "hosts.ini").write_text("localhost ansible_connection=local\n")
    (tmp_path / "play.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n"
        "    - ansible.builtin.debug: {msg: \"{{ clusterset_services | map(attribute='name') | sort | join(' ') }}.\"}\n"
    )
    command = [sys.executable, "-m", "ansible", "playbook", "-i", "hosts.ini", "play.yml"]
    ran = subprocess.run(command, cwd=tmp_path, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, check=False)
    assert '"card serve."' in ran.stdout, ran.stdout + ran.stderr
