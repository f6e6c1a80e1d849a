#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Prints an AWX survey over options of this collection's roles, made from the roles' own argument specs.

    awx/survey.py coredns_multicluster_mode dns_verify_http_image > awx/survey.json
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import typing as t

COLLECTION = "clusterset.dns"
# AWX has no type for lists and dictionaries: such options belong into the inventory.
TYPES = {"str": "text", "path": "text", "int": "integer", "float": "float", "bool": "multiplechoice"}


def options_of(roles: t.Mapping[str, t.Any]) -> dict[str, dict[str, t.Any]]:
    """All options of the entry points ``main``, by name, from what ``ansible-doc --type role --json`` prints."""
    found: dict[str, dict[str, t.Any]] = {}
    for role in roles.values():
        found |= (role.get("entry_points") or {}).get("main", {}).get("options") or {}
    return found


def question(name: str, option: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """One question. :raises ValueError: AWX cannot ask for such an option."""
    kind = option.get("type", "str")
    if kind not in TYPES:
        raise ValueError(f"{name} is a {kind}, which AWX cannot ask for. Set it in the inventory.")
    description = option.get("description") or ""
    text = description if isinstance(description, str) else " ".join(description)
    choices = [str(one) for one in option.get("choices") or (["false", "true"] if kind == "bool" else [])]
    default = option.get("default", "")
    if "{{" in str(default):
        # the inventory's
        default = ""
    return {
        "question_name": name,
        # without Ansible's markup, such as V(auto)
        "question_description": re.sub(r"\b[A-Z]+\((?:ignore:)?([^)]*)\)", r"\1", text),
        "variable": name,
        "type": "multiplechoice" if choices else TYPES[kind],
        "required": bool(option.get("required", False)),
        "default": str(default).lower() if kind == "bool" else default,
        "choices": choices,
        "min": None,
        "max": None,
    }


def survey(names: t.Sequence[str], options: t.Mapping[str, t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """The survey over these options, in this order. :raises ValueError: there is no such option, or AWX cannot ask for it."""
    if unknown := [name for name in names if name not in options]:
        raise ValueError(f"No role of {COLLECTION} has an option {', '.join(unknown)}.")
    return {"name": "", "description": "", "spec": [question(name, options[name]) for name in names]}


def documentation(*arguments: str) -> dict[str, t.Any]:
    shown = subprocess.run(["ansible-doc", "--type", "role", "--json", *arguments], check=True, capture_output=True, text=True).stdout
    return t.cast("dict[str, t.Any]", json.loads(shown))


def main() -> None:
    try:
        made = survey(sys.argv[1:], options_of(documentation(*documentation("--list", COLLECTION))))
    except ValueError as error:
        sys.exit(str(error))
    print(json.dumps(made, indent=2))


if __name__ == "__main__":
    main()
