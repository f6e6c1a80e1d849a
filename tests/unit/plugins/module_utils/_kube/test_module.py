# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""No module shows or logs a secret that Ansible does not know as such, also where it is refused before its first line."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

MODULES = Path(__file__).resolve().parents[5] / "plugins" / "modules"
# An action plugin has its documentation alone there.
RUN = sorted(file for file in MODULES.glob("*.py") if not (MODULES.parent / "action" / file.name).exists())
ROOT = next(one for one in map(Path, sys.path) if (one / "ansible_collections" / "clusterset" / "dns").is_dir())
KUBECONFIG = {"users": [{"name": "user-of-member1", "user": {"token": "s3cret-token", "exec": {"args": ["--client-secret=s3cret-argument"]}}}]}


def run(name: str, **params: t.Any) -> str:
    """What a module prints, run as a process of its own, as Ansible does it."""
    start = (
        "import sys; from ansible.module_utils import basic; basic._ANSIBLE_PROFILE = 'legacy'; basic._ANSIBLE_ARGS = sys.argv.pop().encode();"
        f" from ansible_collections.clusterset.dns.plugins.modules import {name}; {name}.main()"
    )
    arguments = json.dumps({"ANSIBLE_MODULE_ARGS": {"_ansible_inject_invocation": True, **params}})
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, "-c", start, arguments], env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "params", "says"),
    [
        ("serviceimport_ips", {"strategy": "wrong", "kubeconfig": KUBECONFIG}, "value of strategy must be one of"),
        ("serviceimport_ips", {"strategy": "wrong", "members": [{"name": "a", "kubeconfig": KUBECONFIG}]}, "value of strategy must be one of"),
        ("serviceimport_ips", {"members": {"a": {"kubeconfig": KUBECONFIG}}}, "cannot be converted to a list"),
        ("corefile_info", {"kubeconfig": KUBECONFIG, "nonsense": 1}, "Unsupported parameters"),
    ],
    ids=["wrong choice", "wrong choice beside members", "wrong type", "unknown option"],
)
def test_input_that_is_refused_shows_no_token(module: str, params: dict[str, t.Any], says: str) -> None:
    said = run(module, **params)
    assert '"failed": true' in said
    assert says in said
    assert "module_args" in said
    assert "s3cret" not in said


def test_what_is_logged_has_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": {"kubeconfig": KUBECONFIG}})))
    monkeypatch.setattr(Module, "log", lambda _module, message, **more: logged.append(f"{message} {more}"))
    Module(argument_spec={"kubeconfig": {"type": "raw"}})
    assert "kubeconfig" in logged[0]
    assert "s3cret" not in logged[0]


@pytest.mark.parametrize("file", RUN, ids=lambda file: file.stem)
def test_a_module_that_takes_credentials_is_such_a_module(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a module's options are called: those that reach an API server are all in AUTH_ARG_SPEC."""
    made: list[type] = []

    def made_so(module: basic.AnsibleModule, argument_spec: dict[str, t.Any], *unused: t.Any, **more: t.Any) -> None:
        made.append(type(module))
        assert "kubeconfig" not in argument_spec or isinstance(module, Module)
        raise SystemExit

    monkeypatch.setattr(basic.AnsibleModule, "__init__", made_so)
    with pytest.raises(SystemExit):
        importlib.import_module(f"ansible_collections.clusterset.dns.plugins.modules.{file.stem}").main()
    assert len(made) == 1
