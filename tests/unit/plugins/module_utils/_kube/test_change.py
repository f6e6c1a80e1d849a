# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Writes whose answer is lost, and writes that are taken back."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import waiting
from ansible_collections.clusterset.dns.plugins.module_utils._kube.change import Change, certain, inverse_patch, recreated
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.tests.unit.api_standin import merged
from ansible_collections.clusterset.dns.tests.unit.member_standin import CORE, WAYS, MemberStandIn

MAPS = f"{CORE}/configmaps"
PATH = f"{MAPS}/box"
LABEL = "ConfigMap kube-system/box"
NEW = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "box"}, "data": {"a": "1"}}
PATCH = {"metadata": {"annotations": {"mark": "x"}}, "data": {"a": "2", "b": None}}


@pytest.fixture(scope="module")
def standin() -> t.Iterator[MemberStandIn]:
    with MemberStandIn(replicas=0) as found:
        yield found


@pytest.fixture
def api(standin: MemberStandIn, monkeypatch: pytest.MonkeyPatch) -> MemberStandIn:
    monkeypatch.setattr(waiting, "time", standin.clock)
    standin.objects.pop(PATH, None)
    standin.calm()
    return standin


@pytest.fixture
def cluster(api: MemberStandIn) -> Cluster:
    return Cluster("member2", api.auth, timeout=0.6)


def change_of(api: MemberStandIn, verb: str) -> Change:
    """A write to an object that is as it has to be for that verb."""
    if verb == "create":
        return Change(LABEL, MAPS, "box", "create", copy.deepcopy(NEW), None)
    api.put(PATH, {"data": {"a": "1", "b": "1"}})
    before = copy.deepcopy(api.objects[PATH])
    if verb == "delete":
        return Change(LABEL, MAPS, "box", "delete", None, before)
    version = before["metadata"]["resourceVersion"]
    body = {**PATCH, "metadata": {**PATCH["metadata"], "resourceVersion": version}}
    return Change(LABEL, MAPS, "box", verb, body if verb == "patch" else None, before)


def content(api: MemberStandIn) -> t.Any:
    """What people write of the object; None where there is none."""
    found = api.objects.get(PATH)
    return found and (found.get("data"), found["metadata"].get("annotations"), found["metadata"].get("labels"))


DONE = {"create": ({"a": "1"}, None, None), "patch": ({"a": "2"}, {"mark": "x"}, None), "delete": None}


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
@pytest.mark.parametrize("how", [way for way in WAYS if not way.startswith("killed")])
def test_a_write_has_arrived_or_fails_and_is_taken_back_either_way(api: MemberStandIn, cluster: Cluster, verb: str, how: str) -> None:
    change = change_of(api, verb)
    before = content(api)
    api.fail_at(1, how)
    if how.endswith("-after") or (verb == "delete" and how == "missing"):
        change.apply(cluster)
        assert how == "missing" or content(api) == DONE[verb]
    else:
        with pytest.raises(ApiError) as caught:
            change.apply(cluster)
        assert not caught.value.maybe_applied
        assert content(api) == before
    api.calm()
    assert change.undo(cluster) == ""
    assert content(api) == before
    assert change.undo(cluster) == ""


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
@pytest.mark.parametrize("how", ["timeout-before", "timeout-after", "lost-before", "lost-after"])
def test_a_way_back_whose_answer_is_lost_is_looked_at(api: MemberStandIn, cluster: Cluster, verb: str, how: str) -> None:
    change = change_of(api, verb)
    before = content(api)
    change.apply(cluster)
    api.fail_at(1, how)
    if how.endswith("after"):
        assert change.undo(cluster) == ""
        assert content(api) == before
    else:
        with pytest.raises(ApiError, match="does not answer"):
            change.undo(cluster)
        assert content(api) == DONE[verb]


def test_what_cannot_be_seen_either_may_have_been_applied(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "create")
    api.fail_at(1, "lost-after", stays_down=True)
    with pytest.raises(ApiError, match=f"the API server at {api.url} does not answer") as caught:
        change.apply(cluster)
    assert caught.value.maybe_applied
    assert (caught.value.verb, caught.value.path) == ("POST", MAPS)


def test_a_look_that_is_refused_ends_the_waiting(api: MemberStandIn, cluster: Cluster) -> None:
    def send() -> None:
        raise ApiError("member2", "lost", maybe_applied=True)

    def arrived() -> bool:
        return cluster.get(f"{CORE}/nothing/there") is not None

    began = api.now
    with pytest.raises(ApiError, match="lost") as caught:
        certain(send, arrived)
    assert caught.value.maybe_applied
    assert isinstance(caught.value.__cause__, ApiError)
    assert caught.value.__cause__.status == 404
    assert api.now - began < 5


@pytest.mark.parametrize("verb", ["create", "patch"])
def test_what_someone_else_has_changed_since_is_left_as_it_is(api: MemberStandIn, cluster: Cluster, verb: str) -> None:
    change = change_of(api, verb)
    change.apply(cluster)
    cluster.patch(PATH, {"data": {"a": "theirs"}})
    assert change.undo(cluster) == "ConfigMap kube-system/box of member2 was changed by someone else since, so it is left as it is."
    assert content(api)[0]["a"] == "theirs"


def test_what_someone_else_has_made_anew_since_is_left_as_it_is(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "delete")
    change.apply(cluster)
    cluster.create(MAPS, {**NEW, "data": {"a": "theirs"}})
    assert change.undo(cluster) == "ConfigMap kube-system/box of member2 was changed by someone else since, so it is left as it is."
    assert content(api)[0] == {"a": "theirs"}


def test_what_someone_else_has_deleted_since_is_said(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "patch")
    change.apply(cluster)
    api.remove(PATH)
    assert change.undo(cluster) == "ConfigMap kube-system/box of member2 is gone. Someone else has deleted it since."


@pytest.mark.parametrize("applied", [True, False], ids=["written", "not written"])
def test_keys_and_annotations_of_others_stay_on_the_way_back(api: MemberStandIn, cluster: Cluster, applied: bool) -> None:
    api.put(PATH, {})
    before = copy.deepcopy(api.objects[PATH])
    change = Change(LABEL, MAPS, "box", "patch", {"metadata": {"annotations": {"mark": "x"}}, "data": {"a": "2"}}, before)
    if applied:
        change.apply(cluster)
    cluster.patch(PATH, {"metadata": {"annotations": {"theirs": "1"}, "labels": {"theirs": "2"}}, "data": {"c": "3"}})
    assert change.undo(cluster) == ""
    assert content(api) == ({"c": "3"}, {"theirs": "1"}, {"theirs": "2"})


def test_a_way_back_is_tried_again_where_others_write_too(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "patch")
    change.apply(cluster)
    api.fail_at(1, "conflict", times=4)
    assert change.undo(cluster) == ""
    assert content(api) == ({"a": "1", "b": "1"}, None, None)


def test_a_way_back_that_is_in_conflict_each_time_fails(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "patch")
    change.apply(cluster)
    api.fail_at(1, "conflict", times=5)
    with pytest.raises(ApiError, match="HTTP 409 Conflict"):
        change.undo(cluster)


def test_nothing_to_do_writes_nothing(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "")
    api.arm()
    change.apply(cluster)
    assert change.undo(cluster) == ""
    assert api.written == []


def test_a_dry_run_changes_nothing(api: MemberStandIn, cluster: Cluster) -> None:
    for verb in ("create", "patch", "delete"):
        change = change_of(api, verb)
        before = content(api)
        change.apply(cluster, dry_run=True)
        assert content(api) == before
        api.objects.pop(PATH, None)


def test_an_old_version_is_refused(api: MemberStandIn, cluster: Cluster) -> None:
    change = change_of(api, "patch")
    cluster.patch(PATH, {"data": {"z": "theirs"}})
    with pytest.raises(ApiError) as caught:
        change.apply(cluster)
    assert caught.value.status == 409
    assert change.undo(cluster) == ""
    assert content(api)[0] == {"a": "1", "b": "1", "z": "theirs"}


@pytest.mark.parametrize(
    ("before", "patch", "back"),
    [
        ({"spec": {"a": 1, "b": 2}}, {"spec": {"a": 3}}, {"spec": {"a": 1}}),
        ({"spec": {"b": 2}}, {"spec": {"a": 3}}, {"spec": {"a": None}}),
        ({}, {"spec": {"servers": [1]}}, {"spec": None}),
        ({"spec": {"servers": [1, 2]}}, {"spec": {"servers": None}}, {"spec": {"servers": [1, 2]}}),
        ({"metadata": {}}, {"metadata": {"resourceVersion": "7", "annotations": {"m": "x"}}}, {"metadata": {"annotations": {"m": None}}}),
        ({"metadata": {"labels": {"m": "y"}}}, {"metadata": {"labels": {"m": "x", "n": "z"}}}, {"metadata": {"labels": {"m": "y", "n": None}}}),
        ({}, {"data": {"k": "v"}}, {"data": {"k": None}}),
        ({"data": {"k": "v"}}, {"data": None}, {"data": {"k": "v"}}),
    ],
)
def test_an_inverse_patch_speaks_of_what_the_patch_speaks_of(before: dict[str, t.Any], patch: dict[str, t.Any], back: dict[str, t.Any]) -> None:
    assert inverse_patch(before, patch) == back
    assert stored(merged(merged(before, patch), back)) == stored(before)


def stored(item: t.Any) -> t.Any:
    """As an API server keeps it: nothing that is empty."""
    if not isinstance(item, dict):
        return item
    kept = {key: stored(value) for key, value in item.items() if key != "resourceVersion"}
    return {key: value for key, value in kept.items() if value != {}}


def test_what_is_created_again_leaves_what_the_server_writes_to_the_server() -> None:
    metadata = {"name": "box", "namespace": "n", "uid": "u", "resourceVersion": "5", "labels": {"a": "b"}, "creationTimestamp": "now"}
    found = {"metadata": metadata, "data": {"a": "1"}, "status": {"x": 1}}
    assert recreated(found) == {"metadata": {"name": "box", "namespace": "n", "labels": {"a": "b"}}, "data": {"a": "1"}}


def test_a_diff_shows_what_the_write_speaks_of(api: MemberStandIn) -> None:
    before, after = change_of(api, "patch").shown()
    assert before["data"] == {"a": "1", "b": "1"}
    assert after["data"] == {"a": "2", "b": None}
    assert change_of(api, "create").shown() == (None, NEW)
