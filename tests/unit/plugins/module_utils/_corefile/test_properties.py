# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Corefiles that do not come from a list: put together at random, edited in all ways, undone."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit, edit, how_served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import lex
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.once

ZONE = "clusterset.local"
EOLS = st.sampled_from(["\n", "\n", "\r\n"])
COMMENTS = st.sampled_from(
    ["", "", "", " # note", "  # { multicluster clusterset.local }", "\t#", " ", " # clusterset.dns: is not installed"]
)
INDENTS = st.sampled_from(["", " ", "    ", "\t", "\t  "])
STANZAS = st.sampled_from(
    [
        ["errors"],
        ["ready"],
        ["health {", "lameduck 5s", "}"],
        ["cache 30 {", "disable success cluster.local", "", "}"],
        ["forward . /etc/resolv.conf"],
        ["forward . 192.0.2.53 {", "# none", "max_concurrent 1000", "}"],
        ["prometheus :9153"],
        ["loop"],
        ["reload"],
        ["template ANY ANY example.org {", 'match "^(?:[^.]+\\.)+\\"x\\"$"', "rcode NXDOMAIN", "}"],
        ["hosts {", "192.0.2.1 a.example", "fallthrough", "}"],
        ["log . {", "class error", "}"],
        ["log"],
        ["acl {", "allow net 10.0.0.0/8", 'block type "A" AAAA', "}"],
        ["acl other.example {", "block", "}"],
        ["errors {", "stacktrace", "}"],
        [""],
    ]
)
ARGUMENTS = st.sampled_from(
    ["cluster.local", "cluster.local in-addr.arpa ip6.arpa", '"cluster.local"  10.96.0.0/12', "in-addr.arpa Cluster.Local."]
)
REACH = ["kubeconfig /a.conf", 'kubeconfig "/a b.conf" one', "noendpoints", "startup_timeout 9s", "namespaces a b"]
OPTIONS = st.lists(st.sampled_from(["pods insecure", "fallthrough in-addr.arpa", "ttl 30", "", "# none", "labels a in (b, c)", *REACH]), max_size=4)
KUBERNETES = st.one_of(
    ARGUMENTS.map(lambda arguments: [f"kubernetes {arguments}"]),
    st.tuples(ARGUMENTS, OPTIONS).map(lambda both: [f"kubernetes {both[0]} {{", *both[1], "}"]),
)
KEYS = st.sampled_from([".:53", ".", ".:5353", "cluster.local:53", ". .:1053", "cluster.local,\nin-addr.arpa", "dns://.:53"])
OTHER_KEYS = st.sampled_from(["corp.example.org:53", "A.example B.example.", "10.0.0.0/9", "tls://.:853", "clusterset.local:54"])
EDITS = st.builds(
    Edit,
    zone=st.sampled_from([ZONE, "ClusterSet.Local.", "fleet.example"]),
    mode=st.sampled_from(["builtin", "plugin"]),
    placement=st.sampled_from(["separate", "inline"]),
    header=st.sampled_from([None, True, False]),
    errors=st.booleans(),
    prometheus=st.sampled_from(["auto", "off", ":9253"]),
)


@st.composite
def corefiles(draw: st.DrawFn) -> str:
    """A Corefile with one block for the cluster domain, in any of the forms that CoreDNS reads."""
    eol = draw(EOLS)
    lines: list[str] = list(draw(st.sampled_from([[], ["# by hand", ""], ["(common) {", "errors", "}"]])))
    blocks = [(draw(OTHER_KEYS), draw(st.lists(STANZAS, max_size=2))) for _number in range(draw(st.integers(0, 2)))]
    stanzas = draw(st.lists(STANZAS, max_size=5))
    stanzas.insert(draw(st.integers(0, len(stanzas))), draw(KUBERNETES))
    blocks.insert(draw(st.integers(0, len(blocks))), (draw(KEYS), stanzas))
    bare = len(blocks) == 1 and not lines and draw(st.booleans())
    for keys, stanzas in blocks:
        indent = draw(INDENTS)
        lines.append(keys if bare else f"{keys} {{{draw(COMMENTS)}")
        for stanza in stanzas:
            for index, line in enumerate(stanza):
                inner = indent * 2 if 0 < index < len(stanza) - 1 else indent
                lines.append(f"{inner}{line}{draw(COMMENTS)}")
        if not bare:
            lines.append("}" + draw(COMMENTS))
    mark = draw(st.sampled_from(["", "", "\ufeff"]))
    return mark + eol.join(line.replace("\n", eol) for line in lines) + draw(st.sampled_from(["", eol, eol * 3]))


@settings(max_examples=300, deadline=None)
@given(text=corefiles(), first=EDITS, second=EDITS)
def test_there_and_back(text: str, first: Edit, second: Edit) -> None:
    """Whatever is asked, in whatever order: idempotent, independent of what was asked before, and undone byte for byte."""
    here = text
    zones = []
    for want in (first, second):
        try:
            result = edit(here, want)
        except CorefileError as error:
            note(str(error))
            assert want.placement == "inline" or "cluster.local" not in text  # a block of its own can always be added
            continue
        assert result.changed is (result.text != here)
        assert not result.adopted
        again = edit(result.text, want)
        assert again == result._replace(changed=False)
        served = how_served(parse(result.text), want.zone)
        assert served is not None
        assert (served["mode"], served["placement"], served["ours"]) == (want.mode, want.placement, True)
        if first.zone.rstrip(".").lower() == second.zone.rstrip(".").lower():
            assert result.text == edit(text, want).text
        zones.append(want.zone)
        here = result.text
    for zone in zones:
        here = edit(here, Edit(zone=zone, state="absent")).text
    assert here == text


SOUP = st.lists(
    st.sampled_from(
        [
            "{",
            "}",
            " ",
            "\n",
            "\r\n",
            '"',
            "#",
            "# clusterset.dns: begin clusterset.local\n",
            "# clusterset.dns: end clusterset.local\n",
            ".:53",
            "kubernetes cluster.local",
            "multicluster clusterset.local",
            "clusterset.local",
            "import x",
            "(x)",
            "{$Y}",
            ",",
            "\\",
            "with braces",
            "\ufeff",
        ]
    ),
    max_size=25,
).map("".join)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(text=SOUP, want=EDITS)
def test_rubbish_is_refused_or_comes_back(text: str, want: Edit) -> None:
    """No text makes the editor fail otherwise than with its own error, or lose a byte."""
    try:
        present = edit(text, want)
    except CorefileError:
        assume(False)
    assume(present.changed)
    plain = edit(text, Edit(zone=want.zone, state="absent")).text
    assert edit(present.text, Edit(zone=want.zone, state="absent")).text == plain
    assert edit(present.text, want).changed is False


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from(list('{}"\\# \n\r\tab,.\u00a0\u2028\ufeff')), max_size=40))
def test_every_token_stands_where_it_says(text: str) -> None:
    """Between the tokens and comments is nothing but white space, so that what is cut and inserted there cuts no word."""
    lexed = lex(text)
    spans = sorted([(token.start, token.end) for token in lexed.tokens] + [(comment.start, comment.end) for comment in lexed.comments])
    for (_start, end), (start, _end) in itertools.pairwise(spans):
        assert end <= start
    for token in lexed.tokens:
        source = text[token.start : token.end]
        if not source.startswith('"'):
            assert source.replace("\r", "") == token.text
        assert token.line == text.count("\n", 0, token.start) + 1


@pytest.mark.parametrize("text", ["", "\n", "\ufeff", "# only a comment", ".", ".\n", "\r\n"])
def test_the_smallest_files(text: str) -> None:
    present = edit(text, Edit(zone=ZONE))
    assert present.changed
    assert edit(present.text, Edit(zone=ZONE, state="absent")).text == text
