# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A zone in the objects of managed platforms: there and back byte for byte, adopted, refused."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
import yaml
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.delegation import (
    DelegationError,
    Outcome,
    Want,
    servers,
    stub_domains,
)
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.delegation_helm import helm_values, servers_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

ZONE = "clusterset.local"
THERE, ELSEWHERE, GONE = Want(ZONE, ("10.96.1.2",)), Want(ZONE, ("10.96.3.4",)), Want(ZONE, ())
Object = dict[str, t.Any]


def merged(old: t.Any, patch: t.Any) -> t.Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merged(new.get(key), value)
    return new


def applied(found: Object | None, outcome: Outcome) -> Object | None:
    """The object after the outcome was written, as the API server stores it."""
    if outcome.verb == "delete":
        return None
    if outcome.verb == "create":
        return merged({}, merged(outcome.body, {"metadata": {"resourceVersion": "1"}}))
    if outcome.verb == "patch":
        assert found is not None
        assert outcome.body is not None
        assert outcome.body["metadata"]["resourceVersion"] == found["metadata"]["resourceVersion"]
        new = merged(found, outcome.body)
        if not new["metadata"].get("annotations"):
            new["metadata"].pop("annotations", None)
        return t.cast("Object", new)
    return found


# --- GKE ------------------------------------------------------------------------------------------------------------------------------


def kube_dns(stubs: str | None) -> Object:
    data = {"upstreamNameservers": '["8.8.8.8"]', **({} if stubs is None else {"stubDomains": stubs})}
    return {"metadata": {"name": "kube-dns", "resourceVersion": "1"}, "data": data}


STUBS = [None, "", "{}", '{\n}\n', '{"acme.local": ["1.2.3.4"]}', '{\n  "acme.local" : [ "1.2.3.4" ],\n  "b.test": ["1.2.3.5"]\n}\n']


@pytest.mark.parametrize("stubs", STUBS)
def test_stub_domains_there_and_back(stubs: str | None) -> None:
    before = kube_dns(stubs)
    present = applied(before, stub_domains(before, THERE))
    assert present is not None
    assert json.loads(present["data"]["stubDomains"]) == {**json.loads(stubs or "{}"), ZONE: ["10.96.1.2"]}
    assert stub_domains(present, THERE).verb == ""
    moved = stub_domains(present, ELSEWHERE)
    assert moved.was == ("10.96.1.2",)
    for state in (present, applied(present, moved)):
        assert applied(state, stub_domains(state, GONE)) == before


def test_stub_domains_in_a_config_map_that_was_made_for_them() -> None:
    present = applied(None, stub_domains(None, THERE))
    assert present is not None
    assert stub_domains(present, THERE).verb == ""
    assert stub_domains(present, GONE).verb == "delete"


def test_stub_domains_of_others_that_came_since_are_kept() -> None:
    present = applied(kube_dns("{}"), stub_domains(kube_dns("{}"), THERE))
    assert present is not None
    present["data"]["stubDomains"] = json.dumps({**json.loads(present["data"]["stubDomains"]), "new.test": ["9.9.9.9"]})
    gone = stub_domains(present, GONE)
    assert "their changes are kept" in gone.notes[0]
    after = applied(present, gone)
    assert after is not None
    assert json.loads(after["data"]["stubDomains"]) == {"new.test": ["9.9.9.9"]}


def test_stub_domains_that_someone_pointed_elsewhere_since_are_kept() -> None:
    present = applied(kube_dns("{}"), stub_domains(kube_dns("{}"), THERE))
    assert present is not None
    present["data"]["stubDomains"] = json.dumps({ZONE: ["9.9.9.9"]})
    gone = stub_domains(present, GONE)
    assert "it is kept" in gone.notes[0]
    after = applied(present, gone)
    assert after is not None
    assert after["data"] == present["data"]
    assert stub_domains(after, GONE).verb == ""


def test_stub_domains_by_hand_are_adopted_or_refused() -> None:
    by_hand = kube_dns(json.dumps({ZONE: ["10.96.1.2:53"]}))
    adopted = stub_domains(by_hand, THERE)
    assert (adopted.verb, adopted.adopted) == ("", True)
    gone = stub_domains(by_hand, GONE)
    assert (gone.verb, len(gone.notes)) == ("", 1)
    with pytest.raises(DelegationError, match=r"sends clusterset\.local to 10\.96\.1\.2:53 already"):
        stub_domains(by_hand, ELSEWHERE)


@pytest.mark.parametrize("stubs", ["{", "[]", '{"a": "1.2.3.4"}'])
def test_stub_domains_that_are_none_are_refused(stubs: str) -> None:
    with pytest.raises(DelegationError, match="no JSON"):
        stub_domains(kube_dns(stubs), THERE)


def test_an_immutable_config_map_is_refused() -> None:
    with pytest.raises(DelegationError, match="immutable"):
        stub_domains({**kube_dns("{}"), "immutable": True}, THERE)


# --- OpenShift ------------------------------------------------------------------------------------------------------------------------

FOREIGN = {"name": "acme", "zones": ["acme.test"], "forwardPlugin": {"upstreams": ["1.2.3.4"], "policy": "Random"}}


def dns(entries: list[Object] | None, **spec: t.Any) -> Object:
    return {"metadata": {"name": "default", "resourceVersion": "1"}, "spec": {**spec, **({} if entries is None else {"servers": entries})}}


@pytest.mark.parametrize("entries", [None, [], [FOREIGN]])
def test_servers_there_and_back(entries: list[Object] | None) -> None:
    before = dns(entries, logLevel="Normal")
    present = applied(before, servers(before, THERE))
    assert present is not None
    ours = {"name": "clusterset-dns", "zones": [ZONE], "forwardPlugin": {"upstreams": ["10.96.1.2"]}}
    assert present["spec"]["servers"] == [*(entries or []), ours]
    # what the CustomResourceDefinition adds is no difference
    present["spec"]["servers"][-1]["forwardPlugin"]["policy"] = "Random"
    assert servers(present, THERE).verb == ""
    moved = servers(present, ELSEWHERE)
    assert moved.was == ("10.96.1.2",)
    for state in (present, applied(present, moved)):
        assert applied(state, servers(state, GONE)) == before


def test_servers_by_hand_are_adopted_or_refused() -> None:
    by_hand = dns([{"name": "mcs", "zones": ["Clusterset.Local."], "forwardPlugin": {"upstreams": ["10.96.1.2:53"]}}])
    assert (servers(by_hand, THERE).verb, servers(by_hand, THERE).adopted) == ("", True)
    gone = servers(by_hand, GONE)
    assert (gone.verb, len(gone.notes)) == ("", 1)
    with pytest.raises(DelegationError, match="server mcs sends clusterset"):
        servers(by_hand, ELSEWHERE)


@pytest.mark.parametrize("zones", [["other.test"], [ZONE, "other.test"]])
def test_our_server_of_another_zone_is_not_touched(zones: list[str]) -> None:
    other = dns([{"name": "clusterset-dns", "zones": zones, "forwardPlugin": {"upstreams": ["10.96.1.2"]}}])
    assert servers(other, GONE).verb == ""
    with pytest.raises(DelegationError, match=r"server clusterset-dns sends .* already"):
        servers(other, ELSEWHERE)


def test_no_openshift_is_said() -> None:
    with pytest.raises(DelegationError, match="Set platform if it is not"):
        servers(None, THERE)


# --- RKE2 -----------------------------------------------------------------------------------------------------------------------------

LIVE = """\
.:53 {
    errors
    health  {
        lameduck 5s
    }
    ready
    kubernetes   cluster.local  cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus   0.0.0.0:9153
    forward   . /etc/resolv.conf
    cache   30
    loop
    reload
    loadbalance
}
"""
OWN_SERVERS = """\
# sized by hand
resources:
  limits: {cpu: 200m}   # measured
servers:
- zones:
  - zone: .
  port: 53
  plugins:
  - name: errors
  - name: forward
    parameters: . /etc/resolv.conf
nodeSelector: {kubernetes.io/os: linux}"""


def config(values: str | None) -> Object:
    return {
        "metadata": {"name": "rke2-coredns", "resourceVersion": "1"},
        "spec": {"failurePolicy": "reinstall", **({} if values is None else {"valuesContent": values})},
    }


VALUES = [None, "# nothing\n", "---\nautoscaler:\n  enabled: false\n", "  a: 1\r\n  b: 2\r\n", OWN_SERVERS, OWN_SERVERS.replace("\n", "\r\n")]


@pytest.mark.parametrize("values", VALUES)
def test_helm_values_there_and_back(values: str | None) -> None:
    before = config(values)
    outcome = helm_values(before, THERE, LIVE)
    present = applied(before, outcome)
    assert present is not None
    said = yaml.safe_load(present["spec"]["valuesContent"])
    was = yaml.safe_load(values or "") or {}
    assert {**said, "servers": None} == {**was, "servers": None}
    ours, *others = said["servers"]
    assert ours["zones"] == [{"zone": ZONE}]
    assert ours["plugins"][-1] == {"name": "forward", "parameters": ". 10.96.1.2"}
    assert others == was.get("servers", servers_of(LIVE, ZONE))
    assert bool(outcome.notes) == ("servers" not in was)
    assert helm_values(present, THERE, LIVE).verb == ""
    moved = helm_values(present, ELSEWHERE, LIVE)
    assert moved.was == ("10.96.1.2",)
    for state in (present, applied(present, moved)):
        assert applied(state, helm_values(state, GONE, LIVE)) == before


def test_a_helm_chart_config_that_was_made_for_it_goes_with_it() -> None:
    present = applied(None, helm_values(None, THERE, LIVE))
    assert present is not None
    assert helm_values(present, THERE, LIVE).verb == ""
    assert helm_values(present, GONE, LIVE).verb == "delete"


def test_helm_values_of_others_that_came_since_are_kept() -> None:
    present = applied(config(OWN_SERVERS), helm_values(config(OWN_SERVERS), THERE, LIVE))
    assert present is not None
    present["spec"]["valuesContent"] += "\nreplicaCount: 3\n"
    after = applied(present, helm_values(present, GONE, LIVE))
    assert after is not None
    assert after["spec"]["valuesContent"] == OWN_SERVERS + "\nreplicaCount: 3\n"


def test_the_clusters_own_server_block_reads_as_before() -> None:
    (server,) = servers_of(LIVE, ZONE)
    assert server["zones"] == [{"zone": "."}]
    assert server["port"] == 53
    assert {"name": "health", "configBlock": "lameduck 5s"} in server["plugins"]
    assert [plugin["name"] for plugin in server["plugins"]][-3:] == ["loop", "reload", "loadbalance"]
    ours = f"{ZONE}:53 {{\n    errors\n    forward . 10.96.1.2\n}}\n"
    assert servers_of(ours + LIVE, ZONE) == [server]


def by_hand(parameters: str) -> Object:
    entry = f"- zones: [{{zone: {ZONE}}}]\n  port: 53\n  plugins:\n  - {{name: forward, parameters: {parameters}}}\n"
    return config(OWN_SERVERS.replace("servers:\n", f"servers:\n{entry}"))


def test_helm_values_by_hand_are_adopted_or_refused() -> None:
    adopted = helm_values(by_hand(". 10.96.1.2"), THERE, LIVE)
    assert (adopted.verb, adopted.adopted) == ("", True)
    gone = helm_values(by_hand(". 10.96.1.2"), GONE, LIVE)
    assert (gone.verb, len(gone.notes)) == ("", 1)
    with pytest.raises(DelegationError, match=r"has clusterset\.local already"):
        helm_values(by_hand(". 9.9.9.9"), THERE, LIVE)


@pytest.mark.parametrize(
    ("values", "corefile", "words"),
    [
        ("a: [", LIVE, "no YAML"),
        ("- a\n", LIVE, "no mapping"),
        ("{a: 1}\n", LIVE, "flow style"),
        ("servers: []\n", LIVE, "a line for each entry"),
        ("servers: [{port: 53}]\n", LIVE, "a line for each entry"),
        ("servers:\n", LIVE, "no value"),
        ("servers: x\n", LIVE, "no list"),
        ("x: &x\n- port: 53\nservers: *x\n", LIVE, "cannot be edited without changing"),
        ("a: 1\n", None, "was not found"),
        ("a: 1\n", LIVE + "tls://example.org:853 {\n    errors\n}\n", "cannot be written as one of the chart's"),
        ("a: 1\n", ".:53 {", "cannot be read"),
        (f"# clusterset.dns: begin {ZONE}\n", LIVE, "no end"),
        (f"# clusterset.dns: end {ZONE}\n", LIVE, "line 1 of valuesContent"),
    ],
)
def test_helm_values_that_cannot_be_edited_are_refused(values: str, corefile: str | None, words: str) -> None:
    with pytest.raises(DelegationError, match=words):
        helm_values(config(values), THERE, corefile)


# --- whose it is ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [ownership.labels("east"), {ownership.MANAGED_BY: ownership.OURS, ownership.PART_OF: ownership.OURS}])
@pytest.mark.parametrize("tell", [stub_domains, lambda found, want: helm_values(found, want, LIVE)], ids=["GKE", "RKE2"])
def test_an_object_that_was_made_for_the_fleet_goes_with_it(tell: t.Callable[[Object | None, Want], Outcome], labels: dict[str, str]) -> None:
    """So does one of the version before fleets. What another fleet made stays."""
    made = applied(None, tell(None, THERE._replace(fleet="east")))
    assert made is not None
    assert made["metadata"]["labels"] == ownership.labels("east")
    there = {**made, "metadata": {**made["metadata"], "labels": labels}}
    assert tell(there, GONE._replace(fleet="east")).verb == "delete"
    other = {**made, "metadata": {**made["metadata"], "labels": ownership.labels("west")}}
    assert tell(other, GONE._replace(fleet="east")).verb == "patch"
