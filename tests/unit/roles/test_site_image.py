# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""site.yml, run by ansible-playbook as a user would, in check mode on two members: one whose CoreDNS can serve ServiceImports, and one whose cannot.

The collection community.docker is not there: only a member that is to run a built image asks for it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_collections.clusterset.dns
import ansible_collections.kubernetes.core
import pytest
from ansible_collections.clusterset.dns.tests.unit.member_standin import MemberStandIn
from ansible_collections.clusterset.dns.tests.unit.registry_standin import RegistryStandIn

CHECKOUT = Path(next(iter(ansible_collections.clusterset.dns.__path__))).resolve()
KUBERNETES = Path(next(iter(ansible_collections.kubernetes.core.__path__))).resolve()
OLD, NEW = "registry.k8s.io/coredns/coredns:v1.12.1", "registry.k8s.io/coredns/coredns:v1.13.1"
TAGS = "coredns_image,coredns_publish,coredns_multicluster"


class Site:
    """Two members, ``new`` and ``old``, and a registry with upstream's image."""

    def __init__(self, folder: Path, registry: RegistryStandIn, **members: MemberStandIn) -> None:
        self.folder, self.registry, self.members = folder, registry, members
        for name, source in {"clusterset/dns": CHECKOUT, "kubernetes/core": KUBERNETES}.items():
            link = folder / "collections" / "ansible_collections" / name
            link.parent.mkdir(parents=True)
            link.symlink_to(source)
        registry.put("k8s/coredns", "v1.14.6", "linux/amd64")

    def run(
        self, own: dict[str, dict[str, t.Any]] | None = None, words: t.Sequence[str] = ("clusterset.dns.site", "--check"), tags: str = TAGS, **everywhere: t.Any
    ) -> tuple[dict[str, bool], str]:
        """:arg own: variables of single members. :returns: for each member whether it failed, {} where the run broke off, and what was printed."""
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "clusterset_image_prefix": f"{self.registry.host}/k8s",
            **everywhere,
        }
        hosts = {name: {"clusterset_host": api.url} for name, api in self.members.items()}
        for name, more in (own or {}).items():
            hosts[name] |= more
        inventory = {"all": {"vars": variables, "hosts": {"karmada": {"clusterset_kubeconfig": "nowhere"}}, "children": {"karmada_members": {"hosts": hosts}}}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
            "ANSIBLE_LOCALHOST_WARNING": "false",
            "ANSIBLE_NOCOLOR": "1",
            "K8S_AUTH_API_KEY": "none",
        }
        limits = ["-i", "inventory.json", "--limit", "karmada_members", "--tags", tags]
        command = [sys.executable, "-m", "ansible", "playbook", *limits, *words]
        ran = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        recap = re.findall(r"^(\S+) +: ok=.*failed=(\d+)", ran.stdout, re.M)
        return {name: failed != "0" for name, failed in recap}, " ".join((ran.stdout + ran.stderr).replace("\\n", " ").split())


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    with RegistryStandIn() as registry, MemberStandIn(NEW) as new, MemberStandIn(OLD) as old:
        yield Site(tmp_path, registry, new=new, old=old)


def test_a_member_gets_an_image_only_where_its_own_cannot_serve(site: Site) -> None:
    failed, said = site.run()
    assert failed == {"new": False, "old": False}, said
    assert f"Image {NEW} (keep), because CoreDNS 1.13.1 serves ServiceImports by itself." in said
    assert "new: CoreDNS 1.13.1 serves the zone. CoreDNS 1.14.5 mends panics" in said
    upstream = f"{site.registry.host}/k8s/coredns:v1.14.6"
    assert f"Image {upstream} (upstream), because it runs CoreDNS 1.12.1, which cannot serve ServiceImports." in said
    assert "old: mode builtin, because the image to run is CoreDNS 1.14.6." in said
    assert "[Build it]" not in said


def test_without_a_registry_or_a_build_the_old_ones_are_refused_and_the_other_goes_on(site: Site) -> None:
    with MemberStandIn(OLD) as unbuilt:
        site.members["unbuilt"] = unbuilt
        own = {"old": {"clusterset_image_prefix": "127.0.0.1:9/k8s"}, "unbuilt": {"clusterset_image_source": "build"}}
        failed, said = site.run(own)
    assert failed == {"new": False, "old": True, "unbuilt": True}, said
    assert "127.0.0.1:9 cannot be reached to see whether it has 127.0.0.1:9/k8s/coredns:v1.14.6" in said
    assert "These are the variables clusterset_image, clusterset_image_source, clusterset_image_prefix and clusterset_image_version here." in said
    assert "unbuilt: image_source is build, and no image was built. Set image_built to the one to run. Set coredns_image_version, such as to 1.15.0" in said
    assert site.members["old"].written == unbuilt.written == []


def test_only_a_member_that_is_to_run_a_built_image_needs_what_builds_it(site: Site) -> None:
    failed, said = site.run({"old": {"clusterset_image_source": "build"}}, coredns_image_version="1.15.0")
    assert failed == {}, said
    assert "TASK [Build it]" in said
    assert "'community.docker.docker_image_info'. This often indicates a misspelling, missing collection" in said
    assert all(api.written == [] for api in site.members.values())
