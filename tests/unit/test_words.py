# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a module without the roles is told of the module's own options, and of modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
PLUGINS = CHECKOUT / "plugins"
FILES = sorted(file for folder in ("module_utils", "modules", "doc_fragments") for file in (PLUGINS / folder).rglob("*.py"))
ROLES = sorted(path.name for path in (CHECKOUT / "roles").iterdir() if path.is_dir())
VARIABLES = sorted({name for role in ROLES for name in yaml.safe_load((CHECKOUT / "roles" / role / "defaults" / "main.yml").read_text()) or {}})
OF_ROLES = re.compile(rf"\b(?:clusterset_\w+|{'|'.join(VARIABLES)}|(?:[Tt]he|[Tt]his|a) role\b(?! P\().*|role (?:{'|'.join(ROLES)})\b.*)")


def test_words_of_roles_are_known() -> None:
    for words in ("Set clusterset_zone.", "Set coredns_multicluster_image.", "Run the role anew.", "See role mcs_crds."):
        assert OF_ROLES.search(words)
    assert not OF_ROLES.search("Set image; see coredns_multicluster_info and serviceimport_ips. ClusterRole x")


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PLUGINS)))
def test_no_sentence_names_a_variable_of_a_role_or_asks_for_a_role_to_be_run(file: Path) -> None:
    assert OF_ROLES.findall(file.read_text()) == []
