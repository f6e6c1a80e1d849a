# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Writing objects on an API stand-in: what is ours, what is somebody else's, and what is put back."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Applier
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn

PATH = "/api/v1/namespaces/shop/configmaps/one"
NAMED = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "one"}}
WANTED = {**NAMED, "data": {"a": "1"}}


@pytest.fixture
def api() -> t.Iterator[ApiStandIn]:
    with ApiStandIn() as api:
        yield api


def applier(api: ApiStandIn, **options: t.Any) -> Applier:
    return Applier(Cluster("karmada", api.auth), **options)


def there(api: ApiStandIn, labels: dict[str, str] | None = None, data: dict[str, str] | None = None) -> dict[str, t.Any]:
    api.put(PATH, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": labels or {}}, "data": data or {"a": "1"}})
    return api.objects[PATH]


def test_there_twice_and_away(api: ApiStandIn) -> None:
    assert applier(api, fleet="blue").present(WANTED).action == "created"
    assert api.objects[PATH]["metadata"]["labels"] == ownership.labels("blue")
    writes = len(api.writes)
    second = applier(api, fleet="blue")
    assert (second.present(WANTED).action, second.changed, len(api.writes)) == ("unchanged", False, writes)
    assert applier(api, fleet="blue").absent(NAMED).action == "deleted"
    assert PATH not in api.objects


def test_what_the_caller_has_seen_is_not_read_again(api: ApiStandIn) -> None:
    found = there(api, ownership.labels())
    applier(api).present(WANTED, found=found)
    assert api.log == []


@pytest.mark.parametrize(
    ("labels", "whose"),
    [
        ({"app.kubernetes.io/managed-by": "Helm"}, "it belongs to Helm"),
        (ownership.labels("red"), "it belongs to fleet red of clusterset.dns"),
        (None, "it belongs to somebody else"),
    ],
)
def test_somebody_elses_is_refused_with_its_owner(api: ApiStandIn, labels: dict[str, str] | None, whose: str) -> None:
    there(api, labels)
    with pytest.raises(ApiError, match=r"ConfigMap shop/one exists and is not ours: .* Set adopt to take it over") as error:
        applier(api).present(WANTED)
    assert whose in str(error.value)
    row = applier(api).absent(NAMED)
    assert (row.action, row.changed, api.writes) == ("kept", False, [])
    assert whose.removeprefix("it ") in row.note


def test_what_is_adopted_is_given_back(api: ApiStandIn) -> None:
    before = there(api, {"app.kubernetes.io/managed-by": "Helm"}, {"a": "0", "b": "2"})
    assert applier(api, adopt=True).present(WANTED).action == "adopted"
    assert api.objects[PATH]["data"] == {"a": "1", "b": "2"}
    assert applier(api).present(WANTED).action == "unchanged"
    assert applier(api).absent(NAMED).action == "given back"
    after = api.objects[PATH]
    assert (after["data"], after["metadata"]["labels"], after["metadata"]["annotations"]) == (before["data"], before["metadata"]["labels"], {})


@pytest.mark.parametrize("ours", [False, True])
def test_what_somebody_takes_over_after_the_look_is_refused_and_kept(api: ApiStandIn, ours: bool) -> None:
    found = there(api, ownership.labels(), {"a": "0"})
    theirs = there(api, {"app.kubernetes.io/managed-by": "Helm"}, {"a": "theirs"})
    with pytest.raises(ApiError, match=r"ConfigMap shop/one exists and is not ours: it belongs to Helm"):
        applier(api).present(WANTED, found=found, ours=ours)
    annotations = ownership.adoption({**NAMED, "data": {"a": "0"}})
    adopted = {**found, "metadata": {**found["metadata"], "annotations": annotations}}
    for seen in (found, adopted):
        assert applier(api).absent(NAMED, found=seen, ours=ours).note == "ConfigMap shop/one belongs to Helm, so it stays."
    assert api.objects[PATH] == theirs


def test_what_somebody_else_writes_after_the_look_is_written_all_the_same(api: ApiStandIn) -> None:
    found = there(api, ownership.labels(), {"a": "0"})
    api.put(PATH, {**found, "data": {"a": "0", "b": "theirs"}})
    assert applier(api).present(WANTED, found=found).action == "patched"
    assert api.objects[PATH]["data"] == {"a": "1", "b": "theirs"}
    assert applier(api).absent(NAMED, found=found).action == "deleted"


def test_what_is_written_all_the_time_is_an_error_in_the_end(api: ApiStandIn) -> None:
    found = there(api, ownership.labels(), {"a": "0"})
    real = api.answer

    def answer(method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if method == "PATCH":
            api.put(PATH, found)
        return real(method, path, query, body)

    api.answer = answer  # type: ignore[method-assign]
    with pytest.raises(ApiError, match="HTTP 409"):
        applier(api).present(WANTED)
    assert [method for method, _path, _query in api.log] == ["GET", "PATCH"] * 5


def test_one_of_an_earlier_version_is_ours_where_it_says_the_same(api: ApiStandIn) -> None:
    there(api, {ownership.MANAGED_BY: ownership.OURS})
    assert applier(api).present(WANTED).action == "patched"
    assert ownership.fleet_of(api.objects[PATH]) == "default"


def test_one_of_an_earlier_version_that_differs_is_adopted_for_good(api: ApiStandIn) -> None:
    there(api, {ownership.MANAGED_BY: ownership.OURS}, {"a": "other"})
    with pytest.raises(ApiError, match=r"an earlier version of clusterset\.dns, but differs"):
        applier(api).present(WANTED)
    assert applier(api).absent(NAMED).action == "kept"
    assert applier(api, adopt=True).present(WANTED).action == "adopted"
    assert applier(api).absent(NAMED).action == "deleted"


def test_a_dry_run_writes_nothing(api: ApiStandIn) -> None:
    there(api, ownership.labels(), {"a": "0"})
    dry = applier(api, dry_run=True)
    assert (dry.present(WANTED).action, dry.changed, api.writes) == ("patched", True, [])
    assert dry.diff[0]["before"] != dry.diff[0]["after"]
    dry.put_back(dry.rows[0])
    assert api.writes == []


def test_a_kind_that_is_not_served(api: ApiStandIn) -> None:
    item = {"apiVersion": "x.io/v1", "kind": "X", "metadata": {"name": "x"}}
    assert applier(api, dry_run=True).present(item).note == "x.io/v1 has no kind X here yet"
    with pytest.raises(ApiError, match=r"does not serve X in x\.io/v1, so X x cannot be created"):
        applier(api).present(item)
    assert applier(api).absent(item).action == "unchanged"


def test_a_change_is_put_back(api: ApiStandIn) -> None:
    before = there(api, ownership.labels(), {"a": "0"})
    one = applier(api)
    one.put_back(one.present(WANTED))
    assert api.objects[PATH]["data"] == before["data"]
    two = applier(api)
    two.put_back(two.absent(NAMED))
    assert api.objects[PATH]["data"] == before["data"]
    api.remove(PATH)
    three = applier(api)
    three.put_back(three.present(WANTED))
    assert PATH not in api.objects


def test_what_somebody_changed_since_is_not_put_back(api: ApiStandIn) -> None:
    there(api, ownership.labels(), {"a": "0"})
    one = applier(api)
    row = one.present(WANTED)
    there(api, ownership.labels(), {"a": "theirs"})
    one.put_back(row)
    assert api.objects[PATH]["data"] == {"a": "theirs"}
    gone = one.absent(NAMED)
    there(api, None, {"a": "anew"})
    one.put_back(gone)
    assert api.objects[PATH]["data"] == {"a": "anew"}
