# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What holds in all of ``plugins/module_utils``: which package may import which (docs/architecture.md, *The parts*), and how is deleted."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).resolve().parents[2] / "plugins" / "module_utils"
PREFIX = "ansible_collections.clusterset.dns.plugins.module_utils"
MAY_IMPORT = {
    "_kube": set(),
    "_dns": {"_kube"},
    "_corefile": {"_kube"},
    "_coredns": {"_kube", "_dns", "_corefile", "_image"},
    "_karmada": {"_kube"},
    "_imports": {"_kube", "_karmada"},
    "_image": set(),
}
FILES = sorted(MODULE_UTILS.rglob("*.py"))


def packages_imported(source: str) -> set[str]:
    """The packages of ``module_utils`` that a file imports anything of, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == PREFIX else [node.module or ""]
        found |= {name.removeprefix(f"{PREFIX}.").split(".")[0] for name in names if name.startswith(f"{PREFIX}.")}
    return found


def test_what_is_imported_is_seen_in_every_form() -> None:
    source = f"from {PREFIX}._kube.client import Cluster\nfrom {PREFIX} import _dns\nimport {PREFIX}._image.recipe\nimport json\n"
    assert packages_imported(source) == {"_kube", "_dns", "_image"}


def test_every_file_is_in_a_package_that_is_known() -> None:
    assert {file.relative_to(MODULE_UTILS).parts[0] for file in FILES} == set(MAY_IMPORT)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MODULE_UTILS)))
def test_a_package_imports_what_it_may(file: Path) -> None:
    package = file.relative_to(MODULE_UTILS).parts[0]
    assert packages_imported(file.read_text()) - {package} <= MAY_IMPORT[package]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MODULE_UTILS)))
def test_who_deletes_says_which_object_he_has_seen(file: Path) -> None:
    """By its name alone an object would be deleted that somebody made anew in between."""
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    deletes = [call for call in calls if call.func.attr == "delete"]  # type: ignore[attr-defined]
    assert [call.lineno for call in deletes if "found" not in {keyword.arg for keyword in call.keywords}] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MODULE_UTILS)))
def test_labels_of_ours_are_written_in_one_place(file: Path) -> None:
    strings = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    own = strings & {"app.kubernetes.io/managed-by", "app.kubernetes.io/part-of", "clusterset.dns/fleet"}
    assert not own or file == MODULE_UTILS / "_kube" / "ownership.py"
