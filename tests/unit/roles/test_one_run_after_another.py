# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Several playbooks in one run of ansible-playbook: each begins with nothing that an earlier one has found or done."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.tests.unit.api_standin import status
from ansible_collections.clusterset.dns.tests.unit.member_standin import CORE, MemberStandIn
from ansible_collections.clusterset.dns.tests.unit.registry_standin import RegistryStandIn
from ansible_collections.clusterset.dns.tests.unit.roles.test_site_image import Site

CONFIG_MAP = f"{CORE}/configmaps/coredns"


@pytest.fixture
def site(tmp_path: Path) -> t.Iterator[Site]:
    with RegistryStandIn() as registry, MemberStandIn() as member:
        yield Site(tmp_path, registry, member=member)


def run(site: Site, *books: tuple[str, str], **variables: t.Any) -> tuple[dict[str, bool], str, str]:
    """:arg books: pairs of a playbook and its zone. :returns: which members failed, what was printed, and the member's Corefile."""
    plays = []
    for number, (playbook, zone) in enumerate(books):
        plays.append(f"{number}.yml")
        play = {"import_playbook": f"clusterset.dns.{playbook}", "vars": {"clusterset_zone": zone}}
        (site.folder / plays[-1]).write_text(json.dumps([play]))
    failed, said = site.run(words=plays, tags="coredns_multicluster", coredns_multicluster_wait_timeout=20, **variables)
    site.members["member"].settle()
    return failed, said, site.members["member"].objects[CONFIG_MAP]["data"]["Corefile"]


def test_a_change_that_fails_after_one_that_was_made_fails_the_run(site: Site) -> None:
    site.members["member"].refused_at_start = "b.local"
    failed, said, corefile = run(site, ("site", "a.local"), ("site", "b.local"))
    assert failed == {"member": True}, said
    assert ("a.local" in corefile, "b.local" in corefile) == (True, False)


def test_there_and_back_and_there_with_another_zone(site: Site) -> None:
    failed, said, corefile = run(site, ("site", "a.local"), ("teardown", "a.local"), ("site", "b.local"))
    assert (failed, "b.local" in corefile, "a.local" in corefile) == ({"member": False}, True, False), said


def test_a_way_back_that_fails_after_a_change_fails_the_run(site: Site) -> None:
    member = site.members["member"]
    real = member.answer

    def answer(method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if method == "PATCH" and path == CONFIG_MAP and "a.local" not in body["data"]["Corefile"]:
            return status(403, "Forbidden", "nobody may take a.local out")[:2]
        return real(method, path, query, body)

    member.answer = answer  # type: ignore[method-assign]
    failed, said, corefile = run(site, ("site", "a.local"), ("teardown", "a.local"))
    assert (failed, "a.local" in corefile) == ({"member": True}, True), said
    assert "nobody may take a.local out" in said
