# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The inventory plugin on the lab, and playbooks with each of its three ways to the members."""

from __future__ import annotations

import json
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
import yaml
from lab_fleet import ENVIRONMENT, LAB, Fleet

pytestmark = pytest.mark.long

KUBECONFIGS = LAB / "kubeconfig"
WAYS = ("proxy", "contexts", "files")


def one_kubeconfig(names: list[str]) -> dict[str, t.Any]:
    """All members' kubeconfigs in one, with a context of each member's name."""
    merged: dict[str, t.Any] = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}
    for name in names:
        given = yaml.safe_load((KUBECONFIGS / f"{name}.yaml").read_text())
        merged["clusters"].append({"name": name, "cluster": given["clusters"][0]["cluster"]})
        merged["users"].append({"name": name, "user": given["users"][0]["user"]})
        merged["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    return merged


@pytest.fixture(scope="module", params=WAYS)
def inventory(request: pytest.FixtureRequest, fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``.karmada.yml`` for one way, with the lab's variables beside it as a user would have them."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "members.yaml").write_text(yaml.safe_dump(one_kubeconfig(fleet.names)))
    options: dict[str, t.Any] = {"plugin": "clusterset.dns.karmada", "kubeconfig": str(KUBECONFIGS / "karmada.yaml"), "access": request.param}
    options["compose"] = {"coredns_publish_kind_cluster": "inventory_hostname"}
    if request.param != "proxy":
        options["members_kubeconfig"] = str(folder / "members.yaml" if request.param == "contexts" else KUBECONFIGS / "{name}.yaml")
    variables = {key: value for key, value in fleet.inventory["all"]["vars"].items() if "ansible_" not in key and "kubeconfig" not in key}
    (folder / "group_vars").mkdir()
    (folder / "group_vars" / "all.yml").write_text(yaml.safe_dump(variables))
    file = folder / "fleet.karmada.yml"
    file.write_text(yaml.safe_dump(options))
    return file


def test_the_graph_of_the_fleet(fleet: Fleet, inventory: Path) -> None:
    shown = subprocess.run(
        ["ansible-inventory", "-i", str(inventory), "--graph"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    for group in ("karmada_members", "karmada_ready", "sync_mode_push"):
        members = re.search(rf"@{group}:\n((?:  \|  \|--.*\n)+)", shown)
        assert members, shown
        assert re.findall(r"--(\S+)", members[1]) == fleet.names
    assert "--karmada\n" in shown
    listed = subprocess.run(
        ["ansible-inventory", "-i", str(inventory), "--list"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    ).stdout
    variables = json.loads(listed, object_hook=lambda one: one.get("__ansible_unsafe", one))["_meta"]["hostvars"][fleet.names[0]]
    assert variables["karmada_kubernetes_version"].startswith("v1.")
    for name in ("karmada", *fleet.names):
        for secret in yaml.safe_load((KUBECONFIGS / f"{name}.yaml").read_text())["users"][0]["user"].values():
            assert secret not in listed


def test_playbooks_work_this_way(fleet: Fleet, inventory: Path, site: None) -> None:
    """On the converged fleet nothing changes; every CoreDNS pod is asked, through the API server's port-forward."""
    for arguments in (("playbooks/sync.yml",), ("playbooks/site.yml", "--check", "--tags", "coredns_multicluster"), ("playbooks/verify.yml",)):
        said = fleet.play(*arguments, inventory=inventory)
        assert all(f" {word}=0 " in line for word in ("failed", "unreachable", "changed") for line in recap(said)), said[-3000:]
    assert "all right" in said


def recap(said: str) -> list[str]:
    return [line for line in said[said.rindex("PLAY RECAP") :].splitlines() if " : ok=" in line]


@pytest.mark.parametrize("inventory", ["proxy"], indirect=True)
def test_every_role_works_through_karmadas_proxy(fleet: Fleet, inventory: Path, site: None) -> None:
    """There, nothing to do, back and there again, image, rollout and all."""
    said = fleet.play("playbooks/site.yml", inventory=inventory)
    assert all(" changed=0 " in line for line in recap(said)), said[-3000:]
    predicted = fleet.play("playbooks/teardown.yml", "--check", inventory=inventory)
    assert all(" changed=0 " not in line for line in recap(predicted)), predicted[-3000:]
    fleet.play("playbooks/teardown.yml", inventory=inventory)
    again = fleet.play("playbooks/teardown.yml", inventory=inventory)
    assert all(" changed=0 " in line for line in recap(again)), again[-3000:]
    said = fleet.play("playbooks/site.yml", inventory=inventory)
    assert "all right" in said
