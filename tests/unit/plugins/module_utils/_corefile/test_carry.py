# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What the zone's own server block takes over from that of the cluster domain, and what is said of the rest."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit, edit
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.tests.unit.plugins.module_utils._corefile.corefile_corpus import CASES, ZONE

BY_NAME = {case.name: case for case in CASES}
FORWARD: dict[str, t.Any] = {"mode": "forward", "forward_to": ("10.96.77.7",)}


def block(name: str, **options: t.Any) -> tuple[list[str], tuple[str, ...]]:
    """The lines between the marks of a Corefile of the corpus, unindented, and the notes."""
    case = BY_NAME[name]
    result = edit(case.text, case.edit(header=False, **options), **case.seen)
    lines = result.text.removesuffix(case.text).splitlines()
    return [line.removeprefix("    ") for line in lines[2:-2]], result.notes


def stanza(kubernetes: str) -> str:
    return f". {{\n    kubernetes cluster.local {{\n        {kubernetes}\n    }}\n}}\n"


def test_how_the_api_server_is_reached() -> None:
    lines, notes = block("external-endpoint")
    assert lines[-7:] == [
        f"kubernetes {ZONE} {{",
        f"    multicluster {ZONE}",
        "    endpoint https://192.0.2.10:6443",
        '    tls /etc/coredns/client.crt /etc/coredns/client.key "/etc/coredns/ca.crt"',
        "    apiserver_qps 50",
        "    startup_timeout 20s",
        "}",
    ]
    assert notes == ()


@pytest.mark.parametrize(
    "option", ["kubeconfig /a.conf one", "apiserver_burst 9", "apiserver_max_inflight 9", "noendpoints", "endpoint_pod_names"]
)
def test_an_option_is_carried_over(option: str) -> None:
    result = edit(stanza(option), Edit(zone=ZONE, ttl=1))
    assert f"        multicluster {ZONE}\n        {option}\n        ttl 1\n" in result.text
    assert result.notes == ()


@pytest.mark.parametrize("option", ["pods verified", "ttl 30", "fallthrough in-addr.arpa"])
def test_an_option_that_says_nothing_of_the_zone_is_not(option: str) -> None:
    result = edit(stanza(option), Edit(zone=ZONE))
    assert (result.text.count(option), result.notes) == (1, ())


def test_the_plugin_multicluster_takes_what_it_knows() -> None:
    lines, notes = block("external-kubeconfig", mode="plugin")
    assert lines[-4:] == [f"multicluster {ZONE} {{", "    kubeconfig {$KUBECONFIG_DIR}/admin.conf member1", "    noendpoints", "}"]
    assert notes == ()
    inline = edit(stanza("kubeconfig /a.conf"), Edit(zone=ZONE, mode="plugin", placement="inline", fallthrough=True)).text
    assert f"    multicluster {ZONE} {{\n        kubeconfig /a.conf\n        fallthrough\n    }}\n" in inline
    (note,) = edit(stanza("startup_timeout 9s"), Edit(zone=ZONE, mode="plugin")).notes
    assert note == "These options of the kubernetes plugin are not carried over to clusterset.local: startup_timeout (line 3)."


@pytest.mark.parametrize("placement", ["separate", "inline"])
def test_the_plugin_multicluster_without_a_way_to_the_api_server(placement: str) -> None:
    with pytest.raises(CorefileError, match=r"line 3: .* by its option endpoint, which the plugin multicluster does not have"):
        edit(stanza("endpoint https://192.0.2.10"), Edit(zone=ZONE, mode="plugin", placement=placement))


def test_what_limits_the_names_of_the_cluster_domain() -> None:
    lines, notes = block("kubernetes-limits")
    assert lines[-5:] == [f"kubernetes {ZONE} {{", f"    multicluster {ZONE}", "    namespaces shop pay", "    endpoint_pod_names", "}"]
    assert notes == (
        "The option namespaces of line 3 is carried over to clusterset.local: with it, ServiceImports of other namespaces than shop, pay have no"
        " names.",
        "The option labels of line 4 is not carried over to clusterset.local: with it, a headless ServiceImport has no addresses unless its"
        " EndpointSlices have these labels.",
        "The option ignore of line 5 is not carried over to clusterset.local: with it, a ServiceImport with IP addresses has no name unless it"
        " has EndpointSlices of its own.",
    )
    inline = edit(stanza("namespace_labels a=b"), Edit(zone=ZONE, placement="inline")).notes
    assert inline == (
        "The option namespace_labels of line 3 counts for clusterset.local as well: with it, a ServiceImport has no name unless it has these"
        " labels itself.",
    )
    (plugin,) = edit(stanza("namespaces a"), Edit(zone=ZONE, mode="plugin", placement="inline")).notes
    assert plugin.startswith("The option namespaces of line 3 does not count for clusterset.local:")


def test_an_option_that_nobody_knows() -> None:
    (note,) = edit(stanza("novelty 1"), Edit(zone=ZONE)).notes
    assert note == "These options of the kubernetes plugin are not carried over to clusterset.local: novelty (line 3)."


@pytest.mark.parametrize("mode", ["builtin", "plugin", "forward"])
def test_who_may_ask_and_what_is_logged(mode: str) -> None:
    lines, notes = block("acl-log", **(FORWARD if mode == "forward" else {"mode": mode}))
    assert lines[:12] == [
        "errors {",
        '    consolidate 5m ".* i/o timeout$" warning',
        "}",
        "acl {",
        "    allow net 10.0.0.0/8",
        "    block",
        "}",
        'log . "{remote} {name}" {',
        "    class denial error",
        "}",
        "bufsize 1232",
        "multisocket 2",
    ]
    assert notes == (
        "These plugins of the server block of cluster.local do not count for clusterset.local: log (line 12), dns64 (line 15).",
    )


def test_errors_are_not_logged_where_they_are_not_wanted() -> None:
    assert "consolidate" not in " ".join(block("acl-log", errors=False)[0])


def test_a_stanza_of_a_snippet_and_one_for_another_zone() -> None:
    lines, notes = block("acl-one-line")
    assert lines[:2] == ["errors", "acl { block type * net * }"]
    assert notes == ("These plugins of the server block of cluster.local do not count for clusterset.local: acl (line 7).",)


def test_a_stanza_of_an_imported_file() -> None:
    lines, _notes = block("import-acl-known")
    assert lines[1:5] == ["acl {", "    block net 192.0.2.0/24", "}", 'log . "{name} \\"{type}\\""']
    text = ". {\n    import x\n    kubernetes cluster.local\n}\n"
    with pytest.raises(CorefileError, match=r"line 2: the word 'a b\\\\' comes from /etc/coredns/x, from which it cannot be copied"):
        edit(text, Edit(zone=ZONE), imports={"x": "acl {$X} .\n"}, env={"X": "a b\\"})


def test_how_nodelocal_dnscache_forwards() -> None:
    lines, notes = block("nodelocal-options")
    assert lines == [
        "bind 169.254.20.10",
        "errors",
        "prometheus :9253",
        "forward . 10.96.77.7 {",
        "    force_tcp",
        "    max_concurrent 1000",
        "}",
    ]
    assert notes == ("These options of the forward plugin are not carried over to clusterset.local: tls_servername (line 9).",)


def test_a_dns_that_answers_the_cluster_domain_itself_forwards_in_its_own_way() -> None:
    text = stanza("ttl 9").replace("kubernetes", "forward . 192.0.2.1 {\n        force_tcp\n    }\n    kubernetes")
    assert edit(text, Edit(zone=ZONE, **FORWARD)).text.startswith(
        f"# clusterset.dns: begin {ZONE}\n{ZONE} {{\n    errors\n    forward . 10.96.77.7\n}}\n"
    )


def test_several_blocks_that_differ() -> None:
    text = ".:53 {\n    acl {\n        block\n    }\n    kubernetes cluster.local\n}\n.:1053 {\n    kubernetes cluster.local\n}\n"
    result = edit(text, Edit(zone=ZONE))
    assert result.text.count("acl {") == 2
    assert "they differ" in result.notes[0]
    assert "(line 1)" in result.notes[0]
    assert edit(text, Edit(zone=ZONE, port=53)).notes == ()
