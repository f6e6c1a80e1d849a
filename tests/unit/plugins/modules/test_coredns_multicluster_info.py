# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Module coredns_multicluster_info: what is wrong with a member is that member's row, and the others go on."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.modules import coredns_multicluster_info
from ansible_collections.clusterset.dns.tests.unit.karmada_standin import Run, runner
from ansible_collections.clusterset.dns.tests.unit.member_standin import KUBEADM_COREFILE, MemberStandIn
from ansible_collections.clusterset.dns.tests.unit.registry_standin import RegistryStandIn

OLD = "registry.k8s.io/coredns/coredns:v1.12.1"


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


def row(run: Run, api: MemberStandIn, **asked: t.Any) -> dict[str, t.Any]:
    (found,) = run(coredns_multicluster_info.main, members=[{"name": "old", **api.auth, **asked}])["members"]
    assert api.written == []
    return t.cast("dict[str, t.Any]", found)


def test_an_environment_variable_may_be_a_number(run: Run) -> None:
    with MemberStandIn(corefile=KUBEADM_COREFILE.replace("cache 30", "cache {$SECONDS_KEPT}")) as api:
        assert row(run, api, env={"SECONDS_KEPT": 30})["error"] == ""


def test_upstreams_image_is_asked_for_at_its_registry(run: Run) -> None:
    with RegistryStandIn() as registry, MemberStandIn(OLD, architectures=("amd64", "arm64")) as api:
        prefix = f"{registry.host}/k8s"
        registry.put("k8s/coredns", "v1.14.6", "linux/amd64", "linux/arm64/v8")
        registry.put("k8s/coredns", "v1.14.7", "linux/amd64", "linux/s390x")
        found = row(run, api, image_prefix=prefix)
        narrow = row(run, api, image_prefix=prefix, image_version="v1.14.7")
        missing = row(run, api, image_prefix=prefix, image_version="v1.99.0")
        asked = len(registry.asked)
        kept = row(run, api, image_source="keep")
        given = row(run, api, image=f"{prefix}/coredns:v1.14.7")
    assert (found["error"], found["image"]["desired"], found["image"]["source"]) == ("", f"{prefix}/coredns:v1.14.6", "upstream")
    assert found["image"]["reason"] == "it runs CoreDNS 1.12.1, which cannot serve ServiceImports"
    assert f"the image {prefix}/coredns:v1.14.7 is not there for arm64, which some of its nodes are" in narrow["error"]
    assert f"{registry.host} has no image {prefix}/coredns:v1.99.0. Set image_version to a tag that it has" in missing["error"]
    assert "image_source is keep, so it gets no other image" in kept["error"]
    assert (given["error"], given["image"]["source"]) == ("", "given")
    assert (asked, len(registry.asked)) == (3, 3), "nothing is asked for where nothing is to be fetched"


def test_without_a_registry_an_old_member_is_refused_and_nothing_is_written(run: Run) -> None:
    with MemberStandIn(OLD) as api:
        refused = row(run, api, image_prefix="127.0.0.1:9/k8s")
        asked_for = row(run, api, image_prefix="127.0.0.1:9/k8s", image_source="upstream")
    assert "127.0.0.1:9 cannot be reached to see whether it has 127.0.0.1:9/k8s/coredns:v1.14.6 (" in refused["error"]
    assert "or image_source=build." in refused["error"]
    assert refused["needs"] == "image_source"
    assert (asked_for["error"], asked_for["settled"]) == ("", False)
    assert "so the pods have to show it." in asked_for["notes"][0]
