# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses a module without the roles is told of the module's own options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[5] / "plugins"
FILES = [
    *sorted((PLUGINS / "module_utils" / "_imports").glob("*.py")),
    *sorted((PLUGINS / "modules").glob("serviceimport_ips*.py")),
    PLUGINS / "doc_fragments" / "serviceimports.py",
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_sentence_names_a_variable_of_a_role_or_asks_for_a_role_to_be_run(file: Path) -> None:
    text = file.read_text().replace("serviceimport_ips_info", "")
    assert re.findall(r"clusterset_\w+|serviceimport_ips_\w+|[Rr]un (?:the|this) .*|this role.*|\(role .*", text) == []
