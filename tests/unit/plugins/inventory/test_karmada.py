# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin against a stand-in of Karmada's API: hosts, groups, access, cache and what it says when it cannot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.inventory.karmada import CLUSTERS, InventoryModule, access_of, variables_of
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn

# The directory that holds ansible_collections/, as the path leads there: a link may stand for the checkout.
ROOT = next(one for one in map(Path, sys.path) if (one / "ansible_collections" / "clusterset" / "dns").is_dir())
MEMBER = {
    "metadata": {"name": "eu-1", "labels": {"stage": "prod"}},
    "spec": {"provider": "metal", "region": "eu", "zones": ["a", "b"], "syncMode": "Push", "id": "uid"},
    "status": {"kubernetesVersion": "v1.34.4", "conditions": [{"type": "Ready", "status": "True"}]},
}
BARE = {"metadata": {"name": "us-1"}, "spec": {"syncMode": "Pull"}}


class Refused(Exception):
    """What ansible-inventory said."""


@pytest.fixture
def parse(tmp_path: Path) -> t.Iterator[t.Callable[..., dict[str, t.Any]]]:
    """What ansible-inventory lists for a file with these options, where Karmada has the two members above, or what another command says."""
    api = ApiStandIn().__enter__()
    api.put(f"{CLUSTERS}/eu-1", MEMBER)
    api.put(f"{CLUSTERS}/us-1", BARE)

    def call(*command: str, **options: t.Any) -> t.Any:
        file = tmp_path / "fleet.karmada.yml"
        given = {"plugin": "clusterset.dns.karmada", "host": api.url, "api_key": "s3cret", **options}
        file.write_text("".join(f"{key}: {value}\n" for key, value in given.items()))
        known = [str(ROOT), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")]
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": ":".join(filter(None, known))}
        done = subprocess.run(
            [sys.executable, "-m", "ansible", *(command or ("inventory", "--list")), "-i", str(file)],
            capture_output=True,
            text=True,
            env=environment,
            cwd=tmp_path,
            timeout=60,
            check=False,
        )
        if done.returncode or not (command or "karmada_members" in done.stdout):
            raise Refused(" ".join((done.stdout + done.stderr).split()))
        if command:
            return done.stdout
        return json.loads(done.stdout, object_hook=lambda one: one.get("__ansible_unsafe", one))

    call.api = api  # type: ignore[attr-defined]
    yield call
    api.__exit__()


def test_members_are_hosts_with_groups_and_access(parse: t.Any) -> None:
    data = parse(keyed_groups="[{key: karmada_labels.stage, prefix: mine}]")
    assert data["karmada_members"]["hosts"] == ["eu-1", "us-1"]
    for group in ("karmada_ready", "provider_metal", "region_eu", "zone_a", "zone_b", "sync_mode_push", "label_stage_prod", "mine_prod"):
        assert data[group]["hosts"] == ["eu-1"], group
    assert data["karmada_not_ready"]["hosts"] == data["sync_mode_pull"]["hosts"] == ["us-1"]
    variables = data["_meta"]["hostvars"]["eu-1"]
    assert variables["ansible_connection"] == "local"
    assert variables["clusterset_host"].endswith("/apis/cluster.karmada.io/v1alpha1/clusters/eu-1/proxy")
    assert "s3cret" not in json.dumps(data)
    assert data["_meta"]["hostvars"]["karmada"]["ansible_connection"] == "local"


def test_nothing_of_the_machine_that_reads_it_is_in_the_inventory(parse: t.Any, tmp_path: Path) -> None:
    """Inventory and job may run in different containers."""
    for path in ("~/karmada.yaml", "karmada.yaml"):
        options = {"server": "https://k", "kubeconfig": path, "context": None}
        assert access_of("eu-1", "proxy", options)["clusterset_kubeconfig"] == path
    data = parse(kubeconfig="~/karmada.yaml", access="files", members_kubeconfig="~/{name}.yaml")
    assert data["_meta"]["hostvars"]["karmada"]["clusterset_kubeconfig"] == "~/karmada.yaml"
    assert data["_meta"]["hostvars"]["us-1"]["clusterset_kubeconfig"] == "~/us-1.yaml"
    assert data["_meta"]["hostvars"]["us-1"]["ansible_python_interpreter"] == "{{ ansible_playbook_python }}"
    for own in (sys.executable, sys.prefix, str(tmp_path)):
        assert own not in json.dumps(data)


def test_tasks_run_with_the_python_of_the_playbook(parse: t.Any) -> None:
    said = parse("adhoc", "eu-1", "-m", "ansible.builtin.setup", "-a", "gather_subset=!all,!min,python")
    assert f'"executable": "{sys.executable}"' in said


def test_what_karmada_says_is_no_template(parse: t.Any) -> None:
    parse.api.put(f"{CLUSTERS}/eu-1", {**MEMBER, "spec": {"provider": "{{ 40 + 2 }}"}})
    assert '"msg": "{{ 40 + 2 }}"' in parse("adhoc", "eu-1", "-m", "ansible.builtin.debug", "-a", "msg={{ karmada_provider }}")


def test_a_member_called_as_the_control_plane_s_host_is_refused(parse: t.Any) -> None:
    parse.api.put(f"{CLUSTERS}/karmada", BARE | {"metadata": {"name": "karmada"}})
    with pytest.raises(Refused, match=r"A member of the fleet is called karmada, as the control plane's host is\. Set control_plane to another"):
        parse()
    data = parse(control_plane="control-plane")
    assert "clusterset_host" not in data["_meta"]["hostvars"]["control-plane"]
    assert data["_meta"]["hostvars"]["karmada"]["clusterset_host"].endswith("/clusters/karmada/proxy")
    assert data["karmada_members"]["hosts"] == ["eu-1", "karmada", "us-1"]


def test_only_ready_members_if_wanted(parse: t.Any) -> None:
    assert sorted(parse(ready_only="true")["_meta"]["hostvars"]) == ["eu-1", "karmada"]


def test_files_of_their_own(parse: t.Any) -> None:
    variables = parse(access="files", members_kubeconfig="/kube/{name}.yaml")["_meta"]["hostvars"]["us-1"]
    assert variables["clusterset_kubeconfig"] == "/kube/us-1.yaml"
    assert "clusterset_context" not in variables


def test_access_needs_to_be_said(parse: t.Any) -> None:
    with pytest.raises(Refused, match=r"access is files\. Set members_kubeconfig"):
        parse(access="files")


def test_a_control_plane_that_is_down_is_told(parse: t.Any) -> None:
    with pytest.raises(Refused, match="does not answer"):
        parse(host="http://127.0.0.1:9")


def test_contexts_of_one_file() -> None:
    options = {"members_kubeconfig": "/kube/fleet.yaml", "members_context": "admin@{name}"}
    assert access_of("eu-1", "contexts", options) == {
        "clusterset_kubeconfig": "/kube/fleet.yaml",
        "clusterset_context": "admin@eu-1",
    }


def test_what_is_not_known_is_left_out() -> None:
    assert variables_of(BARE) == {"karmada_ready": False, "karmada_sync_mode": "pull"}
    assert variables_of({**BARE, "spec": {"zone": "z"}})["karmada_zones"] == ["z"]


@pytest.mark.parametrize(("name", "mine"), [("x.karmada.yml", True), ("x.karmada.yaml", True), ("karmada.yml", False), ("x.yml", False)])
def test_which_files_it_reads(tmp_path: Path, name: str, mine: bool) -> None:
    file = tmp_path / name
    file.write_text("plugin: clusterset.dns.karmada\n")
    assert InventoryModule().verify_file(str(file)) is mine
