# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What must agree between files of the collection."""

from __future__ import annotations

import importlib
import types
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.utils.plugin_docs import add_fragments

CHECKOUT = Path(__file__).resolve().parents[2]
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
MODULES = sorted(path.stem for path in (CHECKOUT / "plugins" / "modules").glob("*.py"))
# What is an action plugin alone, with its documentation where modules have theirs.
ACTIONS = {path.stem for path in (CHECKOUT / "plugins" / "action").glob("*.py")}
PYTHON = sorted(path.relative_to(CHECKOUT).with_suffix("") for path in (CHECKOUT / "plugins").rglob("*.py"))
AUTH_FRAGMENT = "kubernetes.core.k8s_auth_options"


def load(path: str) -> t.Any:
    return yaml.safe_load((CHECKOUT / path).read_text())


def documentation(module: str) -> dict[str, t.Any]:
    return yaml.safe_load(importlib.import_module(f"ansible_collections.clusterset.dns.plugins.modules.{module}").DOCUMENTATION)


class Fragments:
    """Ansible's loader of doc fragments, without what other collections hold."""

    @staticmethod
    def get(name: str) -> t.Any:
        collection, _dot, fragment = name.rpartition(".")
        if collection == "clusterset.dns":
            found = importlib.import_module(f"ansible_collections.clusterset.dns.plugins.doc_fragments.{fragment}").ModuleDocFragment
            found.ansible_name = name
            return found
        return types.SimpleNamespace(ansible_name=name, DOCUMENTATION="options: {}") if name == AUTH_FRAGMENT else None


def rendered(module: str) -> dict[str, t.Any]:
    """The documentation as ansible-doc shows it, with what its fragments hold."""
    found = documentation(module)
    add_fragments(found, str(CHECKOUT / "plugins" / "modules" / f"{module}.py"), fragment_loader=Fragments, is_module=True)
    return found


@pytest.mark.parametrize("path", PYTHON, ids=str)
def test_every_plugin_can_be_imported(path: Path) -> None:
    importlib.import_module(f"ansible_collections.clusterset.dns.{'.'.join(path.parts)}")


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_the_documented_options(role: str) -> None:
    """An option without a default is one that must be given: it says so, and defaults hold nothing else."""
    options = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = load(f"roles/{role}/defaults/main.yml") or {}
    assert sorted(defaults) == sorted(name for name, option in options.items() if not option.get("required"))


@pytest.mark.parametrize("role", ROLES)
def test_variables_of_a_role_bear_its_name(role: str) -> None:
    variables = CHECKOUT / "roles" / role / "vars" / "main.yml"
    names = [*(load(f"roles/{role}/defaults/main.yml") or {}), *(yaml.safe_load(variables.read_text()) if variables.exists() else {})]
    assert [name for name in names if not name.startswith((f"{role}_", f"__{role}_"))] == []


@pytest.mark.parametrize("role", ROLES)
def test_other_ways_into_a_role_take_its_options(role: str) -> None:
    """Each entry point is a file of tasks, and its options are among the role's."""
    specs = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]
    for entry, spec in specs.items():
        assert (CHECKOUT / "roles" / role / "tasks" / f"{entry}.yml").exists()
        assert set(spec.get("options", {})) <= set(specs["main"]["options"])


def test_the_action_group_holds_the_modules_that_take_all_of_its_options() -> None:
    """module_defaults hands every member all authentication options: one that refuses them fails for each user of the group."""
    members = [name for name in load("meta/runtime.yml")["action_groups"]["clusterset"] if isinstance(name, str)]
    takes_them = [name for name in MODULES if AUTH_FRAGMENT in documentation(name).get("extends_documentation_fragment", [])]
    assert sorted(members) == takes_them


@pytest.mark.parametrize("module", MODULES)
def test_modules_say_how_they_behave(module: str) -> None:
    attributes = rendered(module)["attributes"]
    grouped = module in load("meta/runtime.yml")["action_groups"]["clusterset"]
    more = ["action_group"] * grouped + ["action"] * (module in ACTIONS)
    assert set(attributes) == {"check_mode", "diff_mode", "idempotent", "platform", *more}
    for name, attribute in attributes.items():
        assert attribute["support"] in ("full", "none", "N/A") or attribute.get("details"), f"{name} says nothing of what is missing"


@pytest.mark.parametrize("module", MODULES)
def test_what_an_attribute_means_is_written_once(module: str) -> None:
    """A module says what it supports; the words are those of the doc fragment."""
    own = documentation(module).get("attributes", {})
    assert {name: set(attribute) - {"support", "details"} for name, attribute in own.items()} == {name: set() for name in own}


@pytest.mark.parametrize("playbook", ["site", "teardown"])
def test_the_brake_between_batches_runs_with_any_tag(playbook: str) -> None:
    (batches,) = [play for play in load(f"playbooks/{playbook}.yml") if "serial" in play]
    brake = batches["tasks"][0]
    assert (brake["ansible.builtin.meta"], brake["tags"]) == ("end_host", ["always"])
