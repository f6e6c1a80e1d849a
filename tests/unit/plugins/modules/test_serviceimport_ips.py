# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module against API stand-ins: what is asked and written, check mode, and members that fail in every way that can be staged."""

from __future__ import annotations

import itertools
import json
import threading
import time
import typing as t

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.clusterset.dns.plugins.module_utils._imports.arguments import members_from
from ansible_collections.clusterset.dns.plugins.module_utils._imports.fleet import Fleet
from ansible_collections.clusterset.dns.plugins.modules import serviceimport_ips, serviceimport_ips_info
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

API = "/apis/multicluster.x-k8s.io/v1alpha1"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceimports.multicluster.x-k8s.io"
RULES = "/apis/config.karmada.io/v1alpha1/resourceinterpretercustomizations"
POLICIES = "/apis/policy.karmada.io/v1alpha1"


class Exit(Exception):
    pass


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., dict[str, t.Any]]:
    """Runs a module's main() and gives what it returns, ``failed`` and ``warnings`` included."""

    def end(module: basic.AnsibleModule, failed: bool, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": failed, "said": warnings, **result})

    warnings: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda module, **result: end(module, False, **result))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda module, **result: end(module, True, **result))
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda module, warning, **unused: warnings.append(warning))
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    def call(main: t.Callable[[], None] = serviceimport_ips.main, **params: t.Any) -> dict[str, t.Any]:
        warnings.clear()
        if main is serviceimport_ips.main:
            params = {"verify_after": 0.05, **params}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": params})))
        with pytest.raises(Exit) as exit:
            main()
        return exit.value.args[0]

    return call


@pytest.fixture
def apis() -> t.Iterator[t.Callable[[], ApiStandIn]]:
    """Makes API stand-ins and stops them afterwards."""
    made: list[ApiStandIn] = []

    def make() -> ApiStandIn:
        made.append(ApiStandIn())
        return made[-1].__enter__()

    yield make
    for api in made:
        api.__exit__()


def of_karmada(cluster: str) -> dict[str, t.Any]:
    """What Karmada writes on all that it delivers to a member."""
    return {"labels": {"karmada.io/managed": "true"}, "annotations": {"work.karmada.io/namespace": f"karmada-es-{cluster}"}}


def fill(
    api: ApiStandIn, names: t.Iterable[str] = ("serve",), ips: t.Sequence[str] = (), max_ips: int = 1, delivered_to: str = ""
) -> ApiStandIn:
    """Give a member imports with a derived Service each: 10.2.0.1, 10.2.0.2 … in the order of ``names``.

    :arg delivered_to: Karmada's name of the member, where Karmada is to have delivered them.
    """
    metadata = of_karmada(delivered_to) if delivered_to else {}
    schema = {"openAPIV3Schema": {"properties": {"spec": {"properties": {"ips": {"maxItems": max_ips}}}}}}
    api.put(CRD, {"spec": {"versions": [{"name": "v1alpha1", "served": True, "schema": schema}]}})
    for number, name in enumerate(names, 1):
        spec: dict[str, t.Any] = {"type": "ClusterSetIP", "ports": [{"port": 80}]}
        api.put(path(name), {"metadata": metadata, "spec": {**spec, "ips": list(ips)} if ips else spec})
        address = f"10.2.{number // 250}.{number % 250}"
        api.put(f"/api/v1/namespaces/default/services/derived-{name}", {"metadata": metadata, "spec": {"clusterIPs": [address]}})
    return api


def exporting(karmada: ApiStandIn, *names: str) -> ApiStandIn:
    """A control plane with the rule that retains addresses, and with these exports."""
    target = {"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceImport"}
    karmada.put(f"{RULES}/x", {"spec": {"target": target, "customizations": {"retention": {"luaScript": "…"}}}})
    karmada.collections.add(f"{API}/serviceexports")
    for name in names:
        karmada.put(f"{API}/namespaces/default/serviceexports/{name}", {})
    return karmada


def path(name: str) -> str:
    return f"{API}/namespaces/default/serviceimports/{name}"


def ips(api: ApiStandIn, name: str = "serve") -> list[str]:
    return api.objects[path(name)]["spec"].get("ips", [])


def member(api: ApiStandIn, name: str = "member1", **rest: t.Any) -> dict[str, t.Any]:
    return {"name": name, **api.auth, **rest}


def test_writes_what_differs_and_nothing_the_second_time(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), [f"s{number}" for number in range(30)])
    first = run(members=[member(api)], _ansible_diff=True)
    assert first["changed"]
    assert first["summary"]["changed"] == len(api.writes) == 30
    assert ips(api, "s0") == ["10.2.0.1"]
    assert "member1 default/s0: [] → [10.2.0.1]  derived Service derived-s0\n" in first["diff"]["prepared"]
    api.log.clear()
    second = run(members=[member(api)])
    assert not second["changed"]
    assert api.writes == []
    assert len(api.log) == 3  # imports, CRD, services
    assert len(second["imports"]) == 30


def test_one_change_among_many_is_one_patch(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), [f"s{number}" for number in range(50)])
    run(members=[member(api)])
    api.put("/api/v1/namespaces/default/services/derived-s7", {"spec": {"clusterIPs": ["10.9.9.9"]}})
    api.log.clear()
    result = run(members=[member(api)], rows="changed")
    assert api.writes == [("PATCH", path("s7"))]
    assert [(row["desired"], row["actual"]) for row in result["imports"]] == [(["10.9.9.9"], ["10.2.0.8"])]


def test_check_mode_tells_the_same_and_writes_nothing(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    versions = {one: item["metadata"]["resourceVersion"] for one, item in api.objects.items()}
    checked = run(members=[member(api)], _ansible_check_mode=True, _ansible_diff=True)
    assert versions == {one: item["metadata"]["resourceVersion"] for one, item in api.objects.items()}
    assert [query.get("dryRun") for method, _path, query in api.log if method == "PATCH"] == ["All"]
    done = run(members=[member(api)], _ansible_diff=True)
    assert (checked["imports"], checked["diff"]) == (done["imports"], done["diff"])


def test_without_members_the_module_s_own_options_are_the_member(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    assert run(cluster="one", **api.auth)["imports"][0]["cluster"] == "one"
    assert "Set members" in run(**api.auth)["msg"]


def test_a_member_that_is_down_is_named_and_the_others_are_done(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    down = {"name": "member2", "host": "http://127.0.0.1:9", "api_key": "x"}
    nowhere = {"name": "member3", "kubeconfig": "/nonexistent/kubeconfig"}
    result = run(members=[down, nowhere, member(api)])
    assert result["failed"]
    assert ips(api) == ["10.2.0.1"]
    assert [(one["name"]) for one in result["failed_members"]] == ["member2", "member3"]
    assert "does not answer (Connection refused)" in result["failed_members"][0]["error"]
    assert "/nonexistent/kubeconfig cannot be used" in result["failed_members"][1]["error"]
    warned = run(members=[down, member(api)], on_unreachable_member="warn")
    assert not warned["failed"]
    assert "member2" in warned["said"][0]


def test_a_slow_member_costs_its_time_out_and_no_more(run: t.Any, apis: t.Any) -> None:
    slow, quick = fill(apis()), fill(apis())
    slow.delay = 5.0
    result = run(members=[member(slow, "slow"), member(quick, "quick")], timeout=0.3, deadline=3)
    assert [one["name"] for one in result["failed_members"]] == ["slow"]
    assert ips(quick) == ["10.2.0.1"]


def test_the_deadline_ends_the_run(run: t.Any, apis: t.Any) -> None:
    slow = fill(apis())
    slow.delay = 0.4
    result = run(members=[member(slow)], deadline=0.6)
    assert result["failed"]
    assert "deadline" in result["msg"] or "does not answer" in result["msg"]
    assert slow.writes == []


def test_who_may_read_but_not_patch_is_told(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ["a", "b", "c"])
    api.faults.append(lambda method, *unused: status(403, "Forbidden", "may not patch") if method == "PATCH" else None)
    result = run(members=[member(api)])
    assert "may not patch (HTTP 403 Forbidden)" in result["msg"]
    assert len(api.writes) == 1  # the first refusal ends it
    assert not result["changed"]


@pytest.mark.parametrize("hours", [-24, 24])
def test_another_time_of_day_changes_nothing(run: t.Any, apis: t.Any, monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + hours * 3600)
    api = fill(apis(), ["a", "b"])
    assert run(members=[member(api)])["summary"]["changed"] == 2
    assert (ips(api, "a"), ips(api, "b")) == (["10.2.0.1"], ["10.2.0.2"])


def test_throttling_is_waited_for(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    answers = itertools.chain([(429, {}, {"Retry-After": "0"})] * 2, itertools.repeat(None))
    api.faults.append(lambda *unused: next(answers))
    assert not run(members=[member(api)])["failed"]
    assert ips(api) == ["10.2.0.1"]


def test_a_connection_that_breaks_is_made_anew(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    answers = itertools.chain([(0, None, {})] * 2, itertools.repeat(None))
    api.faults.append(lambda *unused: next(answers))
    assert not run(members=[member(api)])["failed"]


def test_a_continue_token_that_expires_restarts_the_list(run: t.Any, apis: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible_collections.clusterset.dns.plugins.module_utils._imports.fleet._PAGE", 10)
    api = fill(apis(), [f"s{number}" for number in range(25)])
    expired = iter([status(410, "Expired", "The provided continue parameter is too old")])
    api.faults.append(lambda _method, _path, query: next(expired, None) if "continue" in query else None)
    assert run(members=[member(api)])["summary"]["imports"] == 25


def test_an_import_that_changed_meanwhile_is_read_and_decided_again(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    once = iter([True])

    def meddle(method: str, *unused: t.Any) -> None:
        if method == "PATCH" and next(once, False):
            api.put(path("serve"), {**api.objects[path("serve")], "spec": {"type": "ClusterSetIP", "ports": [{"port": 81}]}})

    api.faults.append(meddle)
    assert not run(members=[member(api)])["failed"]
    assert ips(api) == ["10.2.0.1"]
    assert api.objects[path("serve")]["spec"]["ports"] == [{"port": 81}]


def test_an_import_that_changes_all_the_time_is_given_up_on(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    api.faults.append(lambda method, *unused: api.put(path("serve"), api.objects[path("serve")]) if method == "PATCH" else None)
    result = run(members=[member(api)])
    assert "changed by others 5 times" in result["msg"]


def test_an_import_that_vanishes_is_no_failure(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    api.faults.append(lambda method, *unused: api.objects.pop(path("serve"), None) and None if method == "PATCH" else None)
    result = run(members=[member(api)])
    assert not result["failed"]
    assert result["imports"][0]["reason"] == "the ServiceImport was deleted meanwhile"


def test_two_runs_at_once_do_no_harm(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), [f"s{number}" for number in range(40)])
    fleets = [Fleet([serviceimport_ips_member(api)], SETTINGS) for _number in range(2)]
    threads = [threading.Thread(target=fleet.sync) for fleet in fleets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [fleet.failed for fleet in fleets] == [{}, {}]
    assert all(ips(api, f"s{number}") for number in range(40))


def test_karmada_undoing_it_is_an_error_after_the_first_write(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), [f"s{number}" for number in range(10)])

    def undo(changed: str) -> None:
        del api.objects[changed]["spec"]["ips"]

    api.controller = undo
    result = run(members=[member(api)])
    assert result["failed"]
    assert "spec.ips of default/s0 did not stay: Karmada wrote it back" in result["msg"]
    assert {written for _method, written in api.writes} == {path("s0")}


def test_a_rule_that_karmada_hears_of_late_is_waited_for(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ["a", "b"])
    deaf = iter([True, True])

    def undo(changed: str) -> None:
        if next(deaf, False):
            del api.objects[changed]["spec"]["ips"]
            api.put(changed, api.objects[changed])

    api.controller = undo
    result = run(members=[member(api)])
    assert not result["failed"]
    assert (ips(api, "a"), ips(api, "b"), result["summary"]["changed"]) == (["10.2.0.1"], ["10.2.0.2"], 2)


def test_what_is_never_exported_gets_no_address_and_a_sentence(run: t.Any, apis: t.Any) -> None:
    api, karmada = fill(apis(), ["a", "b"], delivered_to="member1"), exporting(apis(), "b")
    result = run(members=[member(api)], karmada=karmada.auth, rows="changed")
    assert (ips(api, "a"), ips(api, "b")) == ([], ["10.2.0.2"])
    assert "the control plane has no ServiceExport default/a: no cluster exports it" in result["said"][0]
    assert [(row["name"], row["held"]) for row in result["imports"]] == [("a", True), ("b", False)]


def test_an_export_that_was_withdrawn_takes_the_address_along(run: t.Any, apis: t.Any) -> None:
    api, karmada = fill(apis(), ["a", "b"], delivered_to="member1"), exporting(apis(), "a", "b")
    given = {"members": [member(api)], "karmada": karmada.auth}
    assert run(**given)["summary"]["changed"] == 2
    karmada.remove(f"{API}/namespaces/default/serviceexports/a")
    kept = run(**given, source_gone="keep")
    assert (kept["changed"], ips(api, "a")) == (False, ["10.2.0.1"])
    assert "default/a: its addresses are left as they are: the control plane has no ServiceExport default/a" in kept["said"][0]
    info = run(serviceimport_ips_info.main, **given)
    assert [(row["name"], row["desired"], row["in_sync"]) for row in info["imports"]] == [("a", [], False), ("b", ["10.2.0.2"], True)]
    assert run(**given)["changed"]
    assert (ips(api, "a"), ips(api, "b")) == ([], ["10.2.0.2"])
    assert not run(**given)["changed"]


def test_an_address_that_is_taken_away_is_said(run: t.Any, apis: t.Any) -> None:
    api, karmada = fill(apis(), ips=["10.2.0.1"], delivered_to="member1"), exporting(apis())
    said = run(members=[member(api)], karmada=karmada.auth)["said"]
    assert said == [
        "member1: ServiceImport default/serve: it is left without an address: the control plane has no ServiceExport default/serve: no"
        " cluster exports it; cleared."
    ]


def test_a_derived_service_that_karmada_did_not_deliver_gives_no_address(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), delivered_to="member1")
    own = api.objects["/api/v1/namespaces/default/services/derived-serve"]
    api.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.6.6.6"]}})
    started = time.monotonic()
    result = run(members=[member(api)], wait=True, wait_timeout=30)
    assert time.monotonic() - started < 10
    assert (result["changed"], ips(api)) == (False, [])
    assert "Karmada did not deliver Service derived-serve, so that it is not trusted" in result["said"][0]
    api.put("/api/v1/namespaces/default/services/derived-serve", own)
    run(members=[member(api)])
    assert ips(api) == ["10.2.0.1"]


def test_an_import_that_karmada_did_not_deliver_is_said_and_not_waited_for(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ["ours"], delivered_to="member1")
    for name, spec in (("theirs", {"type": "ClusterSetIP", "ports": [{"port": 80}]}), ("hand", {"type": "Headless", "ports": [{"port": 80}]})):
        api.put(path(name), {"spec": spec})
    api.collections.add("/apis/discovery.k8s.io/v1/endpointslices")
    started = time.monotonic()
    result = run(members=[member(api)], wait=True, wait_timeout=30)
    assert time.monotonic() - started < 10
    assert (result["summary"]["pending"], result["summary"]["changed"], ips(api, "ours")) == (0, 1, ["10.2.0.1"])
    assert result["said"] == [
        "member1: ServiceImport default/theirs: its addresses are left as they are: there is no derived Service derived-theirs, and Karmada"
        " makes none for a ServiceImport that it did not deliver."
    ]
    assert api.writes == [("PATCH", path("ours"))]


def test_what_another_manager_set_is_left_and_said(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ips=["10.9.9.9"])
    api.objects[path("serve")]["metadata"]["managedFields"] = [{"manager": "kubectl-patch", "fieldsV1": {"f:spec": {"f:ips": {}}}}]
    result = run(members=[member(api)])
    assert "left as field manager kubectl-patch set it" in result["said"][0]
    assert (api.writes, result["summary"]["held"]) == ([], 1)
    assert run(members=[member(api)], force=True)["changed"]


def test_nothing_is_written_without_the_retain_rule_where_it_can_be_seen(run: t.Any, apis: t.Any) -> None:
    api, karmada = fill(apis()), apis()
    karmada.collections.add(RULES)
    assert "no ResourceInterpreterCustomization retains spec.ips" in run(members=[member(api)], karmada=karmada.auth)["msg"]
    assert api.log == []
    assert run(members=[member(api)], karmada=exporting(karmada).auth)["changed"]


def test_no_api_is_a_failure_but_in_check_mode(run: t.Any, apis: t.Any) -> None:
    stock, other = apis(), fill(apis())
    result = run(members=[member(stock, "stock"), member(other, "other")])
    assert "stock has no ServiceImport API" in result["msg"]
    assert ips(other) == ["10.2.0.1"]
    checked = run(members=[member(stock, "stock"), member(other, "other")], _ansible_check_mode=True)
    assert not checked["failed"]
    assert checked["members_without_api"] == ["stock"]


def test_a_crd_that_serves_v1beta1_only_is_told(run: t.Any, apis: t.Any) -> None:
    api = apis()
    api.put(CRD, {"spec": {"versions": [{"name": "v1beta1", "served": True}, {"name": "v1alpha1", "served": False}]}})
    assert "serves v1beta1 only" in run(members=[member(api)])["msg"]


def test_a_member_unregistered_behind_karmada_s_proxy_is_told(run: t.Any, apis: t.Any) -> None:
    api = apis()
    api.faults.append(lambda *unused: status(404, "NotFound", 'clusters.cluster.karmada.io "member1" not found'))
    assert "Karmada's proxy knows no such cluster" in run(members=[member(api)])["msg"]


def test_what_is_no_api_server_is_told(run: t.Any, apis: t.Any) -> None:
    api = apis()
    api.faults.append(lambda *unused: (200, b"<html>", {}))
    assert "does not answer as an API server does" in run(members=[member(api)])["msg"]


def test_two_addresses_only_where_the_crd_takes_two(run: t.Any, apis: t.Any) -> None:
    for max_ips, expected in ((1, ["10.2.0.1"]), (2, ["10.2.0.1", "fd00::1"])):
        api = fill(apis(), max_ips=max_ips)
        api.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.2.0.1", "fd00::1"]}})
        run(members=[member(api)])
        assert ips(api) == expected


def test_a_crd_that_may_not_be_read_means_one_address(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), max_ips=2)
    api.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.2.0.1", "fd00::1"]}})
    api.faults.append(lambda _method, path, _query: status(403, "Forbidden", "no") if path == CRD else None)
    run(members=[member(api)])
    assert ips(api) == ["10.2.0.1"]


def test_clearing_takes_the_field_away(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ips=["10.2.0.1"], delivered_to="member1")
    api.remove("/api/v1/namespaces/default/services/derived-serve")
    api.put("/api/v1/namespaces/default/services/other", {"spec": {}})
    assert run(members=[member(api)], source_gone="keep")["changed"] is False
    assert run(members=[member(api)])["imports"][0]["reason"] == "there is no derived Service derived-serve; cleared"
    assert "ips" not in api.objects[path("serve")]["spec"]


def test_what_can_be_written_is_not_kept_waiting(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ["a", "b"], delivered_to="member1")
    late = api.objects.pop("/api/v1/namespaces/default/services/derived-b")
    api.controller = lambda changed: api.put("/api/v1/namespaces/default/services/derived-b", late)
    result = run(members=[member(api)], wait=True, wait_timeout=10)
    assert [row["desired"] for row in result["imports"]] == [["10.2.0.1"], ["10.2.0.2"]]
    assert result["summary"]["changed"] == 2


def test_waiting_has_an_end_and_says_so(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ["a"], delivered_to="member1")
    api.remove("/api/v1/namespaces/default/services/derived-a")
    api.put("/api/v1/namespaces/default/services/other", {"spec": {}})
    result = run(members=[member(api)], wait=True, wait_timeout=1.2)
    assert (result["failed"], result["summary"]["pending"]) == (False, 1)
    assert "default/a: the source of its addresses is not there: there is no derived Service derived-a." in result["said"][0]
    assert result["imports"][0]["reason"] == "there is no derived Service derived-a"


def test_the_most_precise_strategy_wins(run: t.Any, apis: t.Any) -> None:
    api = fill(apis(), ["a", "b", "c", "d"])
    for name in "abcd":
        api.put(f"/api/v1/namespaces/default/services/{name}", {"spec": {"clusterIPs": ["10.7.0.1"]}})
    run(
        members=[member(api, strategy="native", ips={"default/a": ["192.0.2.1"]}, strategies={"default/b": "derived"})],
        strategies={"default/b": "native", "default/c": "derived"},
    )
    assert [ips(api, name) for name in "abcd"] == [["192.0.2.1"], ["10.2.0.2"], ["10.2.0.3"], ["10.7.0.1"]]


def test_a_load_balancer_of_another_member(run: t.Any, apis: t.Any) -> None:
    exporter, importer = apis(), fill(apis())
    fill(exporter, [])
    exporter.collections.add(f"{API}/serviceimports")
    balancer = {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}
    exporter.put("/api/v1/namespaces/default/services/serve", balancer)
    members = [member(exporter, "exporter"), member(importer, "importer")]
    assert run(members=members, strategy="load_balancer")["imports"][0]["reason"] == "load balancer of Service serve on exporter"
    assert ips(importer) == ["192.0.2.9"]
    members[0] = DOWN
    result = run(members=members, strategy="load_balancer")
    assert (result["changed"], ips(importer)) == (False, ["192.0.2.9"])
    assert result["imports"][0]["reason"] == "the load balancer of Service serve may be on exporter, which could not be read"


DOWN = {"name": "exporter", "host": "http://127.0.0.1:9", "api_key": "x"}
BALANCER = {"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}}


def test_a_run_that_is_limited_knows_the_whole_fleet_s_load_balancers(run: t.Any, apis: t.Any) -> None:
    exporter, one, two = apis(), fill(apis()), fill(apis())
    exporter.put("/api/v1/namespaces/default/services/serve", BALANCER)
    members = [member(exporter, "exporter"), member(one, "one"), member(two, "two")]
    given = {"members": members, "only": ["one"], "strategy": "load_balancer"}
    result = run(**given)
    assert (ips(one), ips(two), result["summary"]["members"]) == (["192.0.2.9"], [], 1)
    assert [row["cluster"] for row in result["imports"]] == ["one"]
    # of the others no more is asked than what they have to say, and nothing is written
    for other in (exporter, two):
        assert [(method, path) for method, path, _query in other.log] == [("GET", "/api/v1/services")]
    assert not run(**given)["changed"]
    # the exporter down: the run goes on, what it gave stays, and that is said
    result = run(**{**given, "members": [DOWN, *members[1:]]})
    assert (result["failed"], result["changed"], result["failed_members"], ips(one)) == (False, False, [], ["192.0.2.9"])
    assert "may be on exporter, which could not be read" in result["said"][0]
    assert "exporter: " in result["said"][1]
    assert "does not answer" in result["said"][1]
    # it answers again, without a load balancer
    exporter.put("/api/v1/namespaces/default/services/serve", {"spec": {"type": "ClusterIP"}})
    assert run(**given)["changed"]
    assert ips(one) == []


def test_who_is_not_written_is_not_asked_where_nobody_needs_it(run: t.Any, apis: t.Any) -> None:
    one, two = fill(apis()), fill(apis())
    members = [member(one, "one"), member(two, "two", strategy="load_balancer")]
    assert run(members=members, only=["one"])["changed"]
    assert run(serviceimport_ips_info.main, members=members, only=["one"])["imports"][0]["in_sync"]
    assert two.log == []


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"members": [{}]}, "has no name"),
        ({"members": [{"name": "a", "kubekonfig": "x"}]}, "kubekonfig"),
        ({"members": [{"name": "a"}, {"name": "a"}]}, "a twice"),
        ({"members": [{"name": "a", "strategy": "x"}]}, "strategy 'x' is none of"),
        ({"members": [{"name": "a", "ips": {"default/serve": ["127.0.0.1"]}}]}, "127.0.0.1 is loopback"),
        ({"members": [{"name": "a", "ips": {"serve": ["192.0.2.1"]}}]}, "write NAMESPACE/NAME"),
        ({"members": [{"name": "a"}], "services": ["serve"]}, "write NAMESPACE/NAME"),
        ({"members": [{"name": "a"}], "strategies": {"default/serve": "x"}}, "'x' for default/serve is none of"),
        ({"members": [{"name": "a"}], "qps": 0}, "qps is 0"),
        ({"members": [{"name": "a"}], "only": ["a", "b"]}, "only has b, which is none of members"),
        ({"members": [{"name": "a"}], "write_via": "override"}, "Set karmada"),
        ({"members": [{"name": "a"}], "karmada": {"kubekonfig": "x"}}, "karmada has the key kubekonfig"),
    ],
)
def test_bad_input_is_a_sentence(run: t.Any, params: dict[str, t.Any], words: str) -> None:
    result = run(**params)
    assert result["failed"]
    assert words in result["msg"]


def test_a_service_that_is_nowhere_is_told(run: t.Any, apis: t.Any) -> None:
    one, two = fill(apis(), ["a"]), fill(apis(), ["b"])
    members = [member(one, "one"), member(two, "two")]
    assert not run(members=members, services=["default/a", "default/b"])["failed"]
    assert "No ServiceImport default/c on any of the 2 members" in run(members=members, services=["default/a", "default/c"])["msg"]


def test_info_compares_and_never_writes(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    before = run(serviceimport_ips_info.main, members=[member(api)])
    assert before["imports"] == [
        {
            "cluster": "member1",
            "namespace": "default",
            "name": "serve",
            "desired": ["10.2.0.1"],
            "actual": [],
            "reason": "derived Service derived-serve",
            "in_sync": False,
            "pending": False,
            "held": False,
        }
    ]
    assert {method for method, *_rest in api.log} == {"GET"}
    run(members=[member(api)])
    assert run(serviceimport_ips_info.main, members=[member(api)])["imports"][0]["in_sync"]


@pytest.fixture
def karmada(apis: t.Any) -> ApiStandIn:
    """A control plane that knows member1 and member2 and carries OverridePolicies to none."""
    api = apis()
    for name in ("member1", "member2"):
        api.put(f"/apis/cluster.karmada.io/v1alpha1/clusters/{name}", {})
    api.collections |= {f"{POLICIES}/overridepolicies", f"{POLICIES}/namespaces/default/overridepolicies"}
    return api


def carry(karmada: ApiStandIn, members: dict[str, ApiStandIn]) -> t.Callable[[str], None]:
    """What Karmada does when a policy changes."""

    def controller(changed: str) -> None:
        for rule in karmada.objects.get(changed, {}).get("spec", {}).get("overrideRules", ()):
            for name in rule["targetCluster"]["clusterNames"]:
                old = members[name].objects[path("serve")]
                value = rule["overriders"]["plaintext"][0]["value"]
                members[name].put(path("serve"), {**old, "spec": {**old["spec"], "ips": value}})

    return controller


def test_override_writes_one_policy_with_a_rule_per_address(run: t.Any, apis: t.Any, karmada: ApiStandIn) -> None:
    one, two = fill(apis()), fill(apis())
    two.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.3.0.1"]}})
    members = [member(one, "member1"), member(two, "member2")]
    karmada.controller = carry(karmada, {"member1": one, "member2": two})
    via = {"write_via": "override", "karmada": karmada.auth, "wait_timeout": 2}
    checked = run(members=members, **via, _ansible_check_mode=True)
    assert checked["changed"]
    assert karmada.writes == []
    assert run(members=members, **via)["changed"]
    assert (ips(one), ips(two)) == (["10.2.0.1"], ["10.3.0.1"])
    assert (one.writes, two.writes) == ([], [])
    rules = karmada.objects[f"{POLICIES}/namespaces/default/overridepolicies/clusterset-ips-serve"]["spec"]["overrideRules"]
    assert [rule["targetCluster"]["clusterNames"] for rule in rules] == [["member1"], ["member2"]]
    karmada.log.clear()
    assert not run(members=members, **via)["changed"]
    # a run that is limited to one member leaves the other's rule, whether it knows of it or not
    one.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.2.0.9"]}})
    assert not run(members=members, only=["member2"], **via)["changed"]
    one.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.2.0.1"]}})
    two.put("/api/v1/namespaces/default/services/derived-serve", {"spec": {"clusterIPs": ["10.3.0.2"]}})
    assert run(members=members[1:], **via)["changed"]
    assert len(karmada.writes) == 1
    assert (ips(one), ips(two)) == (["10.2.0.1"], ["10.3.0.2"])
    # the last import gone, the policy goes as well
    for api in (one, two):
        api.remove(path("serve"))
    run(members=members, **via)
    assert f"{POLICIES}/namespaces/default/overridepolicies/clusterset-ips-serve" not in karmada.objects


def test_override_says_what_did_not_arrive_and_leaves_others_policies(run: t.Any, apis: t.Any, karmada: ApiStandIn) -> None:
    one = fill(apis())
    via = {"write_via": "override", "karmada": karmada.auth, "wait_timeout": 0.2}
    assert "has not brought it to the member within 0.2 s" in run(members=[member(one)], **via)["msg"]
    policy = f"{POLICIES}/namespaces/default/overridepolicies/clusterset-ips-serve"
    karmada.put(policy, {**karmada.objects[policy], "metadata": {"labels": {}}})
    theirs = karmada.objects[policy]
    assert "exists and is not ours" in run(members=[member(one)], **via)["msg"]
    assert karmada.objects[policy] == theirs


SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def deliver(api: ApiStandIn, name: str, *clusters: str, **annotations: str) -> None:
    """A headless import with a slice from each cluster, as Karmada delivers them."""
    api.put(path(name), {"metadata": api.objects.get(path(name), {}).get("metadata", {}), "spec": {"type": "Headless", "ports": [{"port": 80}]}})
    labels = {
        "kubernetes.io/service-name": f"derived-{name}",
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.karmada.io",
    }
    for cluster in clusters:
        api.put(f"{SLICES}/imported-{cluster}-{name}-x7k2p", {"metadata": {"labels": labels, "annotations": annotations}})


def slice_labels(api: ApiStandIn, name: str) -> list[str]:
    labels = api.objects[f"{SLICES}/{name}"]["metadata"]["labels"]
    return [labels.get(f"multicluster.kubernetes.io/{label}") for label in ("service-name", "source-cluster")]


def test_slices_of_headless_imports_are_labelled_once(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    deliver(api, "web", "member1", "member2")
    members = [member(api, "member1")]
    checked = run(members=members, _ansible_check_mode=True, _ansible_diff=True)
    assert api.writes == []
    assert slice_labels(api, "imported-member1-web-x7k2p") == [None, None]
    line = "member1 EndpointSlice default/imported-member2-web-x7k2p: [] → [web, member2]  by its name\n"
    assert line in checked["diff"]["prepared"]
    info = run(serviceimport_ips_info.main, members=members)
    assert [(row["source_cluster"], row["in_sync"]) for row in info["slices"]] == [("member1", False), ("member2", False)]
    labels = {"multicluster.kubernetes.io/service-name": "web", "multicluster.kubernetes.io/source-cluster": "member1"}
    assert (info["slices"][0]["desired"], info["slices"][0]["actual"]) == (labels, {})
    done = run(members=members)
    assert (done["summary"]["slices"], done["summary"]["slices_changed"]) == (2, 2)
    assert slice_labels(api, "imported-member2-web-x7k2p") == ["web", "member2"]
    assert "ips" not in api.objects[path("web")]["spec"]
    api.log.clear()
    assert not run(members=members)["changed"]
    assert [method for method, *_rest in api.log] == ["GET"] * 4  # imports, CRD, services, slices
    api.log.clear()
    run(members=members, headless=False)
    assert len(api.log) == 3


def test_a_slice_whose_name_fits_two_members_is_looked_up(run: t.Any, apis: t.Any) -> None:
    api, karmada = fill(apis(), []), apis()
    deliver(api, "web", "a-b")
    deliver(karmada, "web", "a-b", **{"work.karmada.io/namespace": "karmada-es-a"})
    exporting(karmada)
    api.put("/api/v1/namespaces/default/services/other", {"spec": {}})
    result = run(members=[member(api, "a"), member(api, "a-b")], karmada=karmada.auth)
    assert not result["failed"]
    assert slice_labels(api, "imported-a-b-web-x7k2p") == ["web", "a"]
    # a name that says nothing, and nobody to ask
    api.objects[f"{SLICES}/imported-a-b-mine"] = api.objects.pop(f"{SLICES}/imported-a-b-web-x7k2p")
    api.objects[f"{SLICES}/imported-a-b-mine"]["metadata"]["name"] = "imported-a-b-mine"
    result = run(members=[member(api, "a"), member(api, "a-b")])
    assert "EndpointSlice default/imported-a-b-mine does not say by its name" in result["msg"]


def test_a_headless_import_without_slices_is_waited_for(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    api.put(path("web"), {"metadata": of_karmada("member1"), "spec": {"type": "Headless", "ports": [{"port": 80}]}})
    api.collections.add("/apis/discovery.k8s.io/v1/endpointslices")
    result = run(members=[member(api)])
    assert [row["pending"] for row in result["imports"]] == [False, True]
    api.put(path("serve"), {**api.objects[path("serve")], "spec": {"type": "ClusterSetIP", "ports": [{"port": 81}]}})
    api.controller = lambda changed: deliver(api, "web", "member2") if changed == path("serve") else None
    result = run(members=[member(api)], wait=True, wait_timeout=10)
    assert result["summary"]["pending"] == 0
    assert slice_labels(api, "imported-member2-web-x7k2p") == ["web", "member2"]


def test_slices_of_a_service_that_no_cluster_exports_are_not_waited_for(run: t.Any, apis: t.Any) -> None:
    api, karmada = apis(), exporting(apis())
    fill(api, [])
    api.put(path("web"), {"metadata": of_karmada("member1"), "spec": {"type": "Headless", "ports": [{"port": 80}]}})
    api.collections |= {"/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/services"}
    row = run(members=[member(api)], karmada=karmada.auth)["imports"][0]
    assert (row["pending"], "none of which has been delivered" in row["reason"]) == (False, True)
    exporting(karmada, "web")
    assert run(members=[member(api)], karmada=karmada.auth)["imports"][0]["pending"]


def test_a_slice_that_vanishes_is_not_made_anew(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    deliver(api, "web", "member2")
    gone = f"{SLICES}/imported-member2-web-x7k2p"
    api.faults.append(lambda method, where, _query: api.objects.pop(gone, None) and None if method == "PATCH" and where == gone else None)
    result = run(members=[member(api)])
    assert (result["failed"], gone in api.objects) == (False, False)
    assert (result["slices"][0]["changed"], result["slices"][0]["reason"]) == (False, "the EndpointSlice was deleted meanwhile")


def test_who_may_not_patch_slices_is_told(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    deliver(api, "web", "member2")
    forbid = status(403, "Forbidden", "may not patch endpointslices")
    api.faults.append(lambda method, path, _query: forbid if method == "PATCH" and "endpointslices" in path else None)
    assert "may not patch endpointslices (HTTP 403" in run(members=[member(api)])["msg"]
    assert ips(api) == ["10.2.0.1"]


def test_credentials_that_reach_another_member_are_refused(run: t.Any, apis: t.Any) -> None:
    api = fill(apis())
    delivered = api.objects[path("serve")]
    api.put(path("serve"), {**delivered, "metadata": of_karmada("member2")})
    api.objects["/api/v1/namespaces/default/services/derived-serve"]["metadata"] |= of_karmada("member2")
    result = run(members=[member(api, "member1")])
    assert "member1: the credentials reach the member that Karmada calls member2" in result["msg"]
    assert api.writes == []
    assert run(members=[member(api, "member2")])["changed"]


SETTINGS = serviceimport_ips.settings_from(
    {
        "services": ["all"], "label_selector": "", "strategy": "derived", "strategies": {}, "source_gone": "clear", "force": False, "headless": True,
        "parallel": 4, "qps": 1000.0, "in_flight": 8, "timeout": 5.0, "deadline": 30.0,
    },
    verify_after=0.05,
)  # fmt: skip


def serviceimport_ips_member(api: ApiStandIn) -> t.Any:
    return members_from({"members": [member(api)]})[0]
