# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The collection as a user installs it: built, installed in a copy of examples/infra-repo, its playbooks called there by their full names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from lab_fleet import CHECKOUT, ENVIRONMENT, LAB, Fleet

VERSION = yaml.safe_load((CHECKOUT / "galaxy.yml").read_text())["version"]


@pytest.fixture(scope="module")
def infra(fleet: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/infra-repo as it is but for the kubeconfig's path, with the collection and the lab's settings, on a fleet that is converged."""
    fleet.play("lab/demo.yml")
    fleet.play("playbooks/site.yml")
    folder = tmp_path_factory.mktemp("infra") / "repo"
    shutil.copytree(CHECKOUT / "examples" / "infra-repo", folder)
    for words in (
        ["build", "--output-path", folder],
        # What it depends on comes with the package `ansible`.
        ["install", "--no-deps", "--offline", "-p", folder / "collections", folder / f"clusterset-dns-{VERSION}.tar.gz"],
    ):
        command = ["ansible-galaxy", "collection", *map(str, words)]
        environment = {**ENVIRONMENT, "ANSIBLE_CONFIG": str(folder / "ansible.cfg")}
        subprocess.run(command, cwd=CHECKOUT, env=environment, check=True, capture_output=True)
    fleet_file = folder / "inventory" / "fleet.karmada.yml"
    fleet_file.write_text(fleet_file.read_text().replace("~/.kube/karmada.yaml", str(LAB / "kubeconfig" / "karmada.yaml")))
    known = fleet.inventory["all"]["vars"]
    settings = {key: known[key] for key in known if key.startswith(("clusterset_image_", "coredns_image_", "coredns_publish_", "dns_verify_"))}
    settings["coredns_publish_kind_cluster"] = "{{ inventory_hostname }}"
    (folder / "inventory" / "group_vars" / "all" / "lab.yml").write_text(yaml.safe_dump(settings))
    return folder


@pytest.mark.parametrize(
    ("playbook", "arguments", "hosts"),
    [
        ("clusterset.dns.site", [], None),
        ("clusterset.dns.site", ["--limit", "member2"], ["member2"]),
        ("clusterset.dns.site", ["--tags", "coredns_multicluster_preflight,dns_verify"], None),
        ("clusterset.dns.site", ["--tags", "build,publish,configure,verify"], None),
        ("clusterset.dns.sync", [], None),
        ("clusterset.dns.verify", ["-e", "dns_verify_json={repo}/report.json", "-e", "dns_verify_junit={repo}/report.xml"], None),
        ("checks/answers.yml", [], ["localhost"]),
        ("clusterset.dns.teardown", ["--check"], None),
    ],
)
def test_playbook_of_the_installed_collection(fleet: Fleet, infra: Path, playbook: str, arguments: list[str], hosts: list[str] | None) -> None:
    """The fleet is converged: nothing is changed, and only the hosts that were asked for take part."""
    command = ["ansible-playbook", playbook, *(one.replace("{repo}", str(infra)) for one in arguments)]
    environment = {**ENVIRONMENT, "ANSIBLE_CONFIG": str(infra / "ansible.cfg")}
    ran = subprocess.run(command, cwd=infra, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-6000:] + ran.stderr[-2000:]
    assert str(CHECKOUT) not in ran.stdout.replace(str(LAB), "")
    recap = [line.split() for line in ran.stdout[ran.stdout.rindex("PLAY RECAP") :].splitlines() if " : " in line]
    verb = "changed=0" if "--check" not in arguments else "failed=0"
    assert all(verb in line for line in recap), recap
    taking_part = {line[0] for line in recap}
    assert taking_part == set(hosts or (fleet.names if playbook.endswith("verify") else ["karmada", *fleet.names]))
