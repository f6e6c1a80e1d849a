# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a Corefile means: keys, zones, routing, environment, imports, and the data that is made of it."""

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import (
    describe,
    metrics_port,
    parse,
    plugins_used,
    reload_hash,
    zones_served,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, covers, normal

KUBEADM = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    kubernetes cluster.local in-addr.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
    }
    cache 30 # seconds
}
Corp.Example.org {
    forward . 192.0.2.53
}
"""


# What CoreDNS 1.15.0 answers: parse.Transport, then plugin.SplitHostPort and Name.Normalize for each zone.
@pytest.mark.parametrize(
    ("key", "scheme", "port", "zones"),
    [
        (".", "dns", "53", ["."]),
        (".:53", "dns", "53", ["."]),
        ("Cluster.Local.:5353", "dns", "5353", ["cluster.local."]),
        ("dns://a:1053", "dns", "1053", ["a."]),
        ("tls://example.org", "tls", "853", ["example.org."]),
        ("tls://example.org:8853", "tls", "8853", ["example.org."]),
        ("quic://a", "quic", "853", ["a."]),
        ("https://.:444", "https", "444", ["."]),
        ("https3://a", "https3", "443", ["a."]),
        ("grpc://a", "grpc", "443", ["a."]),
        ("a:b", "dns", "53", ["a:b."]),
        ("a:+53", "dns", "53", ["a."]),
        ("a:053", "dns", "53", ["a."]),
        ("10.0.0.0/8", "dns", "53", ["10.in-addr.arpa."]),
        ("10.96.0.0/12:5353", "dns", "5353", [f"{net}.10.in-addr.arpa." for net in range(96, 112)]),
        ("10.0.0.7/12", "dns", "53", [f"{net}.10.in-addr.arpa." for net in range(16)]),
        ("10.1.2.0/24", "dns", "53", ["2.1.10.in-addr.arpa."]),
        ("10.1.2.3/32", "dns", "53", ["3.2.1.10.in-addr.arpa."]),
        ("0.0.0.0/0", "dns", "53", ["in-addr.arpa."]),
        ("2001:db8::/32:53", "dns", "53", ["8.b.d.0.1.0.0.2.ip6.arpa."]),
        ("fd00::/33", "dns", "53", [f"{nibble}.0.0.0.0.0.0.d.f.ip6.arpa." for nibble in range(8)]),
        ("10.0.0.0", "dns", "53", ["10.0.0.0."]),
        ("10.0.0.0/33", "dns", "53", ["10.0.0.0/33."]),
        ("10.0.0.0/255.0.0.0", "dns", "53", ["10.0.0.0/255.0.0.0."]),
        ("*.a", "dns", "53", ["*.a."]),
        ("::/0", "dns", "53", []),
        ("foo:", "dns", "53", []),
        (":1053", "dns", "1053", []),
        ("a..b", "dns", "53", []),
        (".a", "dns", "53", []),
        ("a" * 64, "dns", "53", []),
    ],
)
def test_a_key_means_what_it_means_to_coredns(key: str, scheme: str, port: str, zones: list[str]) -> None:
    (block,) = parse(f"{key} {{\n    whoami\n}}\n").blocks
    (parsed,) = block.keys
    assert (parsed.scheme, parsed.port, sorted(parsed.zones)) == (scheme, port, sorted(zones))


@pytest.mark.parametrize(
    ("zone", "name", "is_in"),
    [
        (".", "a.", True),
        ("a.", "a.", True),
        ("a.", "b.a.", True),
        ("b.a.", "a.", False),
        ("a.", "ba.", False),
    ],
)
def test_covers(zone: str, name: str, is_in: bool) -> None:
    assert covers(zone, name) is is_in


def test_normal() -> None:
    assert [normal(name) for name in ("A.b", "a.B.", ".")] == ["a.b.", "a.b.", "."]


def test_a_name_goes_to_the_longest_zone_on_the_port() -> None:
    corefile = parse(".:53 {\n whoami\n}\nlocal:53 {\n whoami\n}\ncluster.local:5353 {\n whoami\n}\ntls://cluster.local:53 {\n whoami\n}\n")
    route = {port: [block.line for block in corefile.route("cluster.local.", port)] for port in ("53", "5353", "54")}
    assert route == {"53": [4], "5353": [7], "54": []}


def test_as_data() -> None:
    corefile = parse(KUBEADM)
    assert describe(corefile) == [
        {
            "line": 1,
            "zones": [".:53"],
            "plugins": [
                {"name": "errors", "line": 2, "args": [], "options": []},
                {"name": "health", "line": 3, "args": [], "options": [["lameduck", "5s"]]},
                {
                    "name": "kubernetes",
                    "line": 6,
                    "args": ["cluster.local", "in-addr.arpa"],
                    "options": [["pods", "insecure"], ["fallthrough", "in-addr.arpa", "ip6.arpa"]],
                },
                {"name": "cache", "line": 10, "args": ["30"], "options": []},
            ],
        },
        {
            "line": 12,
            "zones": ["Corp.Example.org"],
            "plugins": [{"name": "forward", "line": 13, "args": [".", "192.0.2.53"], "options": []}],
        },
    ]
    assert zones_served(corefile) == [
        {"zone": ".", "scheme": "dns", "port": 53, "line": 1},
        {"zone": "corp.example.org", "scheme": "dns", "port": 53, "line": 12},
    ]
    assert [block["plugins"] for block in plugins_used(corefile)] == [["cache", "errors", "health", "kubernetes"], ["forward"]]


def test_the_hash_that_coredns_logged() -> None:
    """CoreDNS 1.15.0 started with this file: "plugin/reload: Running configuration SHA512 = …". So does 1.12.1."""
    assert reload_hash(parse(LOGGED)) == LOGGED_HASH


LOGGED = '. {\n    reload # every 30 s\n    whoami\n    template ANY ANY {\n        answer "<a&b>"\n    }\n}\n'
LOGGED_HASH = (
    "e80f3b1c35268e7e57360c40c5aed0afba1378d38667c71b38cc632b3fce60731df9ce00030f267b2ee99129c898bb5908d02233b66d47c72253406b3fe8d119"
)


@pytest.mark.parametrize("text", [". {\n    import extra\n}\n", ". {\n    forward . {$UP}\n}\n", "{$ZONE} {\n    whoami\n}\n"])
def test_no_hash_where_something_is_not_known(text: str) -> None:
    assert reload_hash(parse(text)) is None
    assert reload_hash(parse(text, imports={"extra": "errors\n"}, env={"UP": "192.0.2.1", "ZONE": "a"})) is not None


def test_an_import_is_found_where_coredns_looks() -> None:
    """Relative to the Corefile, to the importing file, absolute, and by a wildcard that does not cross folders."""
    imports = {"sub/a.conf": "import b.conf\n", "sub/b.conf": "errors\n", "/etc/other/c.conf": "log\n", "sub/deep/d.conf": "ready\n"}
    corefile = parse(". {\n    import sub/a*.conf\n    import /etc/other/c.conf\n}\n", imports=imports)
    assert [directive.name for directive in corefile.blocks[0].directives] == ["errors", "log"]
    assert [directive.line for directive in corefile.blocks[0].directives] == [2, 3]
    assert corefile.unseen == []


def test_what_could_not_be_followed_is_listed() -> None:
    corefile = parse(". {\n    import custom/*.override\n}\nimport custom/*.server\n")
    assert [(unseen.pattern, unseen.line, unseen.level) for unseen in corefile.unseen] == [
        ("custom/*.override", 2, "block"),
        ("custom/*.server", 4, "server"),
    ]


def test_environment() -> None:
    (block,) = parse("{$A}:{%P%} {\n    kubernetes {$A} x{$NONE}y\n}\n", env={"A": "Cluster.local", "P": "5353"}).blocks
    assert (block.keys[0].zones, block.keys[0].port) == (["cluster.local."], "5353")
    assert [token.text for token in block.directives[0].args] == ["Cluster.local", "xy"]


@pytest.mark.parametrize("value", ["{$A}", "x{$A}", "{$A}{$A}"])
def test_an_environment_that_names_itself_does_not_hang(value: str) -> None:
    with pytest.raises(CorefileError, match="environment variable names itself"):
        parse("{$A} {\n    whoami\n}\n", env={"A": value})


def test_text_that_is_no_text() -> None:
    with pytest.raises(CorefileError, match=r"line 2: .*not valid Unicode"):
        parse(". {\n \udc80\n}\n")


def test_an_error_in_an_imported_file_says_so() -> None:
    with pytest.raises(CorefileError, match=r"line 2: a closing brace has no opening one \(in /etc/coredns/extra, line 1\)"):
        parse(". {\n    import extra\n}\n", imports={"extra": "errors }\n"})


def test_an_empty_snippet_is_a_snippet() -> None:
    """It is not looked for as a file, so there is nothing that could not be followed."""
    corefile = parse("(none) {\n}\n. {\n    import none\n    errors\n}\n", imports={})
    assert [directive.name for directive in corefile.blocks[0].directives] == ["errors"]


@pytest.mark.parametrize(
    ("directive", "port"), [("prometheus", 9153), ("prometheus :9253", 9253), ("prometheus [::1]:80", 80), ("errors", None), ("prometheus x", None)]
)
def test_the_port_of_the_metrics(directive: str, port: int | None) -> None:
    assert metrics_port(parse(f".:53 {{\n    {directive}\n}}\n")) == port
