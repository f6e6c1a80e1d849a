# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Module coredns_multicluster_info: what is wrong with a member is that member's row, and the others go on."""

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.modules import coredns_multicluster_info
from ansible_collections.clusterset.dns.tests.unit.karmada_standin import Run, runner
from ansible_collections.clusterset.dns.tests.unit.member_standin import MemberStandIn


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


def test_options_that_are_wrong_fail_their_member_alone(run: Run) -> None:
    with MemberStandIn() as api:
        members = [{"name": "bad", "mode": "magic", **api.auth}, {"name": "good", **api.auth}]
        said = run(coredns_multicluster_info.main, members=members)
    bad, good = said["members"]
    assert (said["failed"], bad["settled"]) == (False, False)
    assert bad["error"] == "bad: value of mode must be one of: auto, builtin, plugin, forward, got: magic"
    assert (good["error"], good["mode"]) == ("", "builtin")


def test_members_without_a_name_or_twice_are_refused(run: Run) -> None:
    assert "members[0]: missing required arguments: name" in run(coredns_multicluster_info.main, members=[{}])["msg"]
    twice = [{"name": "m", "host": "http://127.0.0.1:9"}] * 2
    assert run(coredns_multicluster_info.main, members=twice)["msg"] == "members[1]: m is there twice. Keep one."
