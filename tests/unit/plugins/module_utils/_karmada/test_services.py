# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.filter.services import FilterModule
from ansible_collections.clusterset.dns.plugins.module_utils._karmada import services as _services

MEMBERS = ["member1", "member2"]


def service(**changes):
    return {"namespace": "default", "name": "serve", "ports": [{"port": 80}], "from_clusters": ["member1"], **changes}


def test_a_service_becomes_export_import_and_two_policies():
    made = _services.objects([service(ports=[{"port": 80, "name": "http"}])], MEMBERS)

    assert [item["kind"] for item in made] == ["PropagationPolicy", "PropagationPolicy", "ServiceExport", "ServiceImport"]
    export, imported = (item["spec"]["placement"]["clusterAffinity"]["clusterNames"] for item in made[:2])
    assert (export, imported) == (["member1"], MEMBERS)
    assert made[3]["spec"] == {"type": "ClusterSetIP", "ports": [{"port": 80, "protocol": "TCP", "name": "http"}]}
    assert "ips" not in made[3]["spec"]


def test_a_namespace_comes_first_where_it_is_asked_for():
    assert _services.objects([service(create_namespace=True)], MEMBERS)[0] == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "default"},
    }


def test_a_namespace_of_two_services_is_made_once():
    made = _services.objects([service(create_namespace=True), service(name="b", create_namespace=True)], MEMBERS)
    assert [item["kind"] for item in made].count("Namespace") == 1


def test_an_import_without_clusters_never_leaves_one():
    placed = {_services.Key("ServiceImport", "default", "serve"): ["member3", "member2"]}

    def names(**changes):
        made = {item["metadata"]["name"]: item for item in _services.objects([service(**changes)], MEMBERS, placed)}
        return _services.cluster_names(made["serve-serviceimport"])

    assert names() == ["member3", "member2", "member1"]
    # what the user says himself may shrink
    assert names(to_clusters=["member2"]) == ["member2"]
    assert names(to_clusters=["member1", "member2"]) == ["member2", "member1"]


def test_what_is_there_keeps_its_order():
    assert _services.clusters_of(["a", "b"], ["b", "a"], grows=False) == ["b", "a"]
    assert _services.clusters_of(["a", "b", "a"], [], grows=False) == ["a", "b"]


def test_what_an_earlier_version_made_is_known_by_its_shape():
    for item in _services.objects([service()], MEMBERS):
        assert _services.would_make(item) == item
    policy = _services.objects([service()], MEMBERS)[0]
    assert _services.selected(policy) == ("ServiceExport", "default", "serve")
    assert _services.would_make({**policy, "metadata": {"namespace": "default", "name": "mine"}}) is None
    spread = {**policy, "spec": {**policy["spec"], "placement": {"clusterAffinity": {"labelSelector": {}}}}}
    assert _services.would_make(spread) is None
    theirs = {"apiVersion": _services.MCS, "kind": "ServiceImport", "metadata": policy["metadata"], "spec": {"type": "Headless", "sessionAffinity": "None"}}
    assert _services.would_make(theirs) is None


def test_long_names_give_policies_that_differ_and_fit_a_label():
    names = {
        item["metadata"]["name"]
        for end in "ab"
        for item in _services.objects([service(name="s" * 54 + end)], MEMBERS)
        if item["kind"] == "PropagationPolicy"
    }
    assert len(names) == 4
    assert max(map(len, names)) <= 63


def test_good_services_have_no_problems():
    good = [service(), service(name="b", type="Headless", to_clusters=["member2"]), service(name="s" * 55, namespace="kube")]
    assert _services.problems(good, MEMBERS) == []
    dns = [{"port": 53, "name": "udp", "protocol": "UDP"}, {"port": 53, "name": "tcp"}]
    assert _services.problems([service(ports=dns)], MEMBERS) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ports": []}, "no ports"),
        ({"ports": [{"port": "80"}]}, "number as port"),
        ({"ports": [{"port": True}]}, "number as port"),
        ({"ports": [{"port": 0}]}, "between 1 and 65535"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "each needs a name"),
        ({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}, "each needs a name"),
        ({"ports": [{"port": 1, "protocol": "tcp"}]}, "TCP, UDP, SCTP"),
        ({"ports": [{"port": 1, "name": "Http"}]}, "not a DNS label"),
        ({"ports": [{"port": 1, "targetPort": 2}]}, "targetPort is not known"),
        ({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b", "protocol": "TCP"}]}, "port 1/TCP is there twice"),
        ({"name": "s" * 64}, "55 characters at most"),
        ({"name": "s" * 56}, "the name has 56 characters; 55 is the most, as Karmada makes a Service derived-NAME"),
        ({"name": "s" * 63}, "the name has 63 characters"),
        ({"namespace": "karmada-es-member1"}, "Karmada propagates nothing in namespaces karmada-* and kube-*"),
        ({"namespace": "karmada-system"}, "the namespace is karmada-system"),
        ({"namespace": "kube-system"}, "the namespace is kube-system"),
        ({"name": "Serve"}, "not a DNS label"),
        ({"name": "1serve"}, "a letter first"),
        ({"name": "serve\n"}, "not a DNS label"),
        ({"namespace": None}, "namespace is not a DNS label"),
        ({"from_clusters": []}, "no cluster would export"),
        ({"from_clusters": ["member9"]}, "names member9, which Karmada does not have. It has member1, member2."),
        ({"to_clusters": ["member9"]}, "to_clusters names member9"),
        ({"to_clusters": "member1"}, "has to be a list"),
        ({"type": "clusterIP"}, "ClusterSetIP, Headless"),
        ({"clusters": []}, "clusters is not known"),
    ],
)
def test_what_is_wrong_is_said(changes, words):
    sentences = _services.problems([service(**changes)], MEMBERS)
    assert len(sentences) == 1
    assert words in sentences[0]
    assert sentences[0].startswith("services[0]")


def test_the_same_service_twice_is_refused():
    assert _services.problems([service(), service()], MEMBERS) == [
        "services[1] (default/serve): the service is there twice. Keep one."
    ]


def test_a_service_that_is_no_dictionary_is_refused():
    assert "has to be a dictionary, not str" in _services.problems(["default/serve"], MEMBERS)[0]


def said(services, members=tuple(MEMBERS), zone="clusterset.local.", **options):
    """What the filter says, which names the playbooks' variables."""
    return FilterModule().filters()["input_problems"](services, members=members, zone=zone, cluster_domain="cluster.local", **options)


@pytest.mark.parametrize(
    ("zone", "words"),
    [
        ("cluster.local", "clusterset_zone: the zone cluster.local is the cluster domain itself"),
        ("Cluster.Local.", "clusterset_zone: the zone cluster.local is the cluster domain itself"),
        ("a.cluster.local", "lie within one another"),
        ("clusterset.local {", "clusterset_zone is 'clusterset.local {', which is not a domain name"),
        ("clusterset\nlocal", "which is not a domain name"),
        ("10.0.0.1", "which is an address and not a domain name"),
        ("", "which is not a domain name"),
    ],
)
def test_a_zone_that_cannot_be_is_refused(zone, words):
    (sentence,) = said([service()], zone=zone)
    assert words in sentence


def test_good_input_has_no_problems():
    assert said([]) == []
    assert said([service()], prune=True) == []


def test_bad_input_is_told_by_the_variable():
    assert said("serve") == ["clusterset_services has to be a list, not str."]
    assert said([{}])[0].startswith("clusterset_services[0] (None/None): the name is not a DNS label")


def test_no_list_is_pruned_to_nothing():
    assert said([], prune=True) == [
        "clusterset_services is empty, so that pruning would withdraw every service of the fleet. Name the services to keep, or withdraw all by"
        " state absent (teardown)."
    ]


def test_two_members_of_one_name_are_refused():
    assert said([], members=["a", "b", "a"]) == ["Two members are called a. Give each cluster a name of its own, the one that Karmada uses."]
