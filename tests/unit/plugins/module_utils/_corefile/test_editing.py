# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What exactly is written for which settings, and which settings are refused."""

from __future__ import annotations

import time
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit, edit, how_served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.marks import marked_zones
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError

ZONE = "clusterset.local"
MAIN = """\
.:53 {
    errors
    kubernetes cluster.local in-addr.arpa {
       pods insecure
    }
    prometheus :9153
    forward . /etc/resolv.conf
}
"""


def added(text: str, **options: t.Any) -> str:
    """What is written in front of the file for a block of the zone's own."""
    result = edit(text, Edit(zone=ZONE, **options)).text
    assert result.endswith(text)
    return result.removesuffix(text)


def test_builtin() -> None:
    assert (
        added(MAIN)
        == """\
# clusterset.dns: begin clusterset.local
clusterset.local:53 {
    errors
    prometheus :9153
    header {
        response set ra
    }
    loadbalance
    kubernetes clusterset.local {
        multicluster clusterset.local
    }
}
# clusterset.dns: end clusterset.local
"""
    )


OVER = {"mode": "plugin", "placement": "inline", "fallthrough": True, "over_cluster_domain": True}


def test_the_plugin_over_the_cluster_domain() -> None:
    want = Edit(zone="cluster.local", **OVER)
    made = edit(MAIN, want)
    assert made.text == MAIN.replace(
        "    kubernetes",
        "    # clusterset.dns: begin cluster.local\n    multicluster cluster.local {\n        fallthrough\n    }\n"
        "    # clusterset.dns: end cluster.local\n    kubernetes",
    )
    assert edit(made.text, want).changed is False
    assert edit(made.text, Edit(zone="cluster.local", state="absent", over_cluster_domain=True)).text == MAIN


@pytest.mark.parametrize("wrong", [{"fallthrough": False}, {"mode": "builtin", "fallthrough": False}, {"placement": "separate", "fallthrough": False}])
def test_the_cluster_domain_keeps_its_other_names(wrong: dict[str, t.Any]) -> None:
    with pytest.raises(CorefileError, match="would have no other names"):
        edit(MAIN, Edit(zone="cluster.local", **{**OVER, **wrong}))


def test_all_options_of_a_block() -> None:
    assert (
        added(MAIN, ttl=1, cache=5, header=False, errors=False, prometheus="127.0.0.1:9253", port=5353)
        == """\
# clusterset.dns: begin clusterset.local
clusterset.local:5353 {
    prometheus 127.0.0.1:9253
    cache 5
    loadbalance
    kubernetes clusterset.local {
        multicluster clusterset.local
        ttl 1
    }
}
# clusterset.dns: end clusterset.local
"""
    )


def test_plugin() -> None:
    assert (
        added(MAIN, mode="plugin", prometheus="off")
        == """\
# clusterset.dns: begin clusterset.local
clusterset.local:53 {
    errors
    header {
        response set ra
    }
    loadbalance
    multicluster clusterset.local
}
# clusterset.dns: end clusterset.local
"""
    )


def test_forward() -> None:
    """Without header: the servers that answer set RA, and an old platform's CoreDNS may not know the syntax."""
    assert (
        added(MAIN, mode="forward", forward_to=("10.96.9.9", "[fd00::9]:1053"), cache=5)
        == """\
# clusterset.dns: begin clusterset.local
clusterset.local:53 {
    errors
    prometheus :9153
    cache 5
    forward . 10.96.9.9 [fd00::9]:1053
}
# clusterset.dns: end clusterset.local
"""
    )


def test_builtin_inline() -> None:
    assert (
        edit(MAIN, Edit(zone=ZONE, placement="inline", header=True)).text
        == """\
.:53 {
    errors
    # clusterset.dns: begin clusterset.local
    header {
        response set ra
    }
    # clusterset.dns: end clusterset.local
    kubernetes cluster.local clusterset.local in-addr.arpa {
       # clusterset.dns: begin clusterset.local
       multicluster clusterset.local
       # clusterset.dns: end clusterset.local
       pods insecure
    }
    prometheus :9153
    forward . /etc/resolv.conf
}
"""
    )


def test_builtin_inline_without_a_block_to_put_it_in() -> None:
    text = ". {\r\n\tkubernetes in-addr.arpa cluster.local # all\r\n}"
    assert edit(text, Edit(zone=ZONE, placement="inline")).text == (
        ". {\r\n"
        "\tkubernetes in-addr.arpa cluster.local clusterset.local {\r\n"
        "\t    # clusterset.dns: begin clusterset.local with braces\r\n"
        "\t    multicluster clusterset.local\r\n"
        "\t    # clusterset.dns: end clusterset.local\r\n"
        "\t} # all\r\n"
        "}"
    )


def test_plugin_inline_with_fallthrough() -> None:
    assert edit(MAIN, Edit(zone=ZONE, placement="inline", mode="plugin", fallthrough=True)).text == MAIN.replace(
        "    kubernetes",
        """\
    # clusterset.dns: begin clusterset.local
    multicluster clusterset.local {
        fallthrough
    }
    # clusterset.dns: end clusterset.local
    kubernetes""",
    )


def test_forward_inline() -> None:
    wanted = Edit(zone=ZONE, placement="inline", mode="forward", forward_to=("10.96.9.9",))
    assert "    forward clusterset.local 10.96.9.9\n" in edit(MAIN, wanted).text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (". {\n    kubernetes cluster.local\n}\n", "clusterset.local {"),
        (".:5353 {\n    kubernetes cluster.local\n}\n", "clusterset.local:5353 {"),
        (". .:1053 {\n    kubernetes cluster.local\n}\n", "clusterset.local clusterset.local:1053 {"),
        (".:53 {\n    forward . 192.0.2.1\n}\n.:1053 {\n    kubernetes cluster.local\n}\n", "clusterset.local:1053 {"),
        ("tls://.:853 {\n    kubernetes cluster.local\n}\n.:54 {\n    forward . 192.0.2.1\n}\n", "clusterset.local:54 {"),
        ("other.example:5353 {\n    whoami\n}\n", "clusterset.local:53 {"),
        ("", "clusterset.local:53 {"),
    ],
)
def test_the_zone_listens_where_the_cluster_domain_does(text: str, line: str) -> None:
    assert line in added(text).splitlines()


def test_bind_lines_are_repeated_as_they_are_written() -> None:
    text = '.:53 {\n    bind 192.0.2.1 "eth0"\n    bind {$ADDRESS}\n    kubernetes cluster.local\n}\n'
    assert '{\n    bind 192.0.2.1 "eth0"\n    bind {$ADDRESS}\n    errors\n' in added(text)


def test_metrics_with_options_are_not_copied() -> None:
    result = edit(MAIN.replace(":9153", ":9153 {\n        tls /web.yml\n    }"), Edit(zone=ZONE))
    assert result.text.count("prometheus") == 1
    assert "line 6 has options" in result.notes[0]


def test_an_import_inside_the_main_block_is_worth_a_note() -> None:
    (note,) = edit(MAIN.replace("errors", "import custom/*.override"), Edit(zone=ZONE)).notes
    assert "Line 2 imports custom/*.override" in note


def test_our_block_stays_where_it_was_put() -> None:
    block = added(MAIN)
    moved = MAIN + block + "other.example {\n    whoami\n}\n"
    assert edit(moved, Edit(zone=ZONE)).changed is False
    assert edit(moved, Edit(zone=ZONE, cache=1)).text == MAIN + added(MAIN, cache=1) + "other.example {\n    whoami\n}\n"


def test_two_zones_do_not_touch_one_another() -> None:
    one = edit(MAIN, Edit(zone="one.example")).text
    both = edit(one, Edit(zone="two.example", placement="inline")).text
    assert marked_zones(parse(both)) == ["one.example", "two.example"]
    assert edit(both, Edit(zone="two.example", state="absent")).text == one
    assert edit(both, Edit(zone="one.example", state="absent")).text == edit(MAIN, Edit(zone="two.example", placement="inline")).text


def test_a_second_zone_inline_would_switch_the_first_off() -> None:
    """CoreDNS takes the last line multicluster of a kubernetes stanza, and the first stanza multicluster of a block."""
    for mode in ("builtin", "plugin"):
        one = edit(MAIN, Edit(zone="one.example", placement="inline", mode=mode)).text
        with pytest.raises(CorefileError, match="use placement separate"):
            edit(one, Edit(zone="two.example", placement="inline", mode=mode))


def test_what_others_put_between_our_braces_stays() -> None:
    text = edit(". {\n    kubernetes cluster.local\n}\n", Edit(zone=ZONE, placement="inline")).text
    text = text.replace(
        "        # clusterset.dns: end clusterset.local\n", "        # clusterset.dns: end clusterset.local\n        ttl 9\n"
    )
    assert edit(text, Edit(zone=ZONE, state="absent")).text == ". {\n    kubernetes cluster.local {\n        ttl 9\n    }\n}\n"


def test_what_was_made_by_hand_is_taken_over_on_request() -> None:
    text = MAIN + "clusterset.local:53 { # by hand\n    multicluster\n}\n"
    kept = edit(text, Edit(zone=ZONE, mode="plugin"))
    assert (kept.text, kept.adopted) == (text, True)
    assert "header" in kept.notes[0]
    taken = edit(text, Edit(zone=ZONE, mode="builtin", adopt=True))
    assert (taken.text, taken.adopted) == (added(MAIN) + MAIN, False)
    assert edit(text, Edit(zone=ZONE, state="absent", adopt=True)).text == MAIN
    assert how_served(parse(text), ZONE) == {
        "mode": "plugin",
        "placement": "separate",
        "line": 10,
        "ours": False,
        "plugins": ["multicluster"],
    }


def test_how_a_zone_is_served() -> None:
    assert how_served(parse(MAIN), ZONE) is None
    assert how_served(parse(MAIN), "cluster.example", cluster_domain="x.example") is None
    served = how_served(parse(edit(MAIN, Edit(zone=ZONE, placement="inline")).text), ZONE)
    assert served == {
        "mode": "builtin",
        "placement": "inline",
        "line": 3,
        "ours": True,
        "plugins": ["errors", "forward", "kubernetes", "prometheus"],
    }
    stub = how_served(parse(MAIN + "ClusterSet.local {\n    file /zone\n}\n"), ZONE)
    assert stub == {"mode": "", "placement": "separate", "line": 9, "ours": False, "plugins": ["file"]}


INJECTIONS = [
    "a.example {\n    whoami\n}\nb",
    "a.example b",
    "a.example\n",
    "a.example\t",
    'a".example',
    "a{.example",
    "}",
    "#a",
    "a.example,",
    "{$X}",
]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        *[
            ({"zone": zone}, "not a domain name")
            for zone in [*INJECTIONS, "", ".", "*.example", "a..b", "-a.example", "a_b.example", "ä.example", "a" * 64]
        ],
        *[({"cluster_domain": zone}, "not a domain name") for zone in INJECTIONS],
        *[({"prometheus": address}, "prometheus is") for address in [*INJECTIONS, "9153", ":x", "localhost"]],
        *[
            ({"mode": "forward", "forward_to": (address,)}, "must be an IP address")
            for address in [*INJECTIONS, "dns.example", "1.2.3", "/etc/resolv.conf", "10.0.0.1:99999", "10.0.0.1:x"]
        ],
        *[
            ({"mode": "forward", "forward_to": (address,)}, "ask itself or nobody")
            for address in ["0.0.0.0", "::", "127.0.0.1", "127.0.0.1:53", "::1", "224.0.0.1"]
        ],
        ({"zone": "x" * 60 + ("." + "y" * 60) * 4}, "longer than 253"),
        ({"zone": "10.0.0.1"}, "is an address"),
        ({"zone": "cluster.local"}, "the cluster domain itself"),
        ({"zone": "Cluster.Local."}, "the cluster domain itself"),
        ({"zone": "local"}, "within one another"),
        ({"zone": "set.cluster.local"}, "within one another"),
        ({"zone": "10.in-addr.arpa"}, "reverse zone"),
        ({"mode": "forward"}, "needs forward_to"),
        ({"mode": "forward", "forward_to": ("192.0.2.1",) * 16}, "15 at the most"),
        ({"forward_to": ("192.0.2.1",)}, "belongs to mode forward"),
        ({"ttl": 5, "mode": "plugin"}, "ttl is an option"),
        ({"ttl": 5, "placement": "inline"}, "ttl is an option"),
        ({"ttl": 3601}, "0 to 3600"),
        ({"ttl": -1}, "0 to 3600"),
        ({"cache": 5, "placement": "inline"}, "cache belongs"),
        ({"cache": -1}, "number of seconds"),
        ({"fallthrough": True}, "fallthrough is for"),
        ({"fallthrough": True, "placement": "inline"}, "fallthrough is for"),
        ({"port": 0}, "1 to 65535"),
        ({"port": 65536}, "1 to 65535"),
    ],
)
def test_settings_that_make_no_sense(options: dict[str, t.Any], reason: str) -> None:
    with pytest.raises(CorefileError, match=reason) as refused:
        edit(MAIN, Edit(**{"zone": ZONE, **options}))
    assert refused.value.line is None


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.1:5353", "2001:db8::1", "[2001:db8::1]:5353", "127.0.0.1:1053"])
def test_addresses_to_forward_to(address: str) -> None:
    assert f"    forward . {address}\n" in added(MAIN, mode="forward", forward_to=(address,))


def test_the_zone_is_written_in_lower_case_without_a_final_dot() -> None:
    assert added(MAIN, header=False).replace(ZONE, "Z") == edit(MAIN, Edit(zone="ClusterSet.LOCAL.", header=False)).text.removesuffix(
        MAIN
    ).replace(ZONE, "Z")


def test_ten_thousand_lines_take_less_than_half_a_second() -> None:
    """The best of three, because the machine that runs this has other things to do; the benchmark has the figure itself."""
    stub = (
        "    errors # why\n    cache 30 {\n        success 9984 30\n    }\n    forward . 192.0.2.53 {\n        max_concurrent 1000\n    }\n"
    )
    text = MAIN + "".join(f"zone-{number}.example:53 {{\n{stub}}}\n" for number in range(1111))
    assert text.count("\n") > 10_000

    def seconds() -> float:
        started = time.process_time()
        assert edit(text, Edit(zone=ZONE)).changed
        return time.process_time() - started

    assert min(seconds() for _round in range(3)) < 0.5
