# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""CoreDNS's own parser as a witness: a small Go program (tests/oracle) is built and asked how it reads each file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import edit
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import lex
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.tests.unit.plugins.module_utils._corefile.corefile_corpus import (
    CASES,
    ODD_TEXTS,
    VARIANTS,
    Case,
    variant,
)
from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.once

SOURCE = Path(__file__).resolve().parents[4] / "oracle"
# What the parser trips over, or would if it were written carelessly.
PIECES = [
    "{",
    "}",
    "(",
    ")",
    ",",
    ":",
    "#",
    '"',
    "\\",
    '\\"',
    '""',
    '"a"',
    "a",
    "é",
    "<&>",
    "import",
    "import\ts",
    "import\tsub/f",
    "(s)",
    "(s){",
    "s",
    "sub/f",
    "sub/*",
    "g?",
    "*x*",
    "kubernetes",
    ".:53",
    "{$X}",
    "{%X%}",
    "{$",
    "%}",
    "{$X}:53",
    "clusterset.local",
    "tls://.:853",
    "10.0.0.0/9",
]
BLANKS = [
    "",
    " ",
    "\n",
    "\n",
    "\r\n",
    "\t",
    "\r",
    "\u00a0",
    "\u2003",
    "\u2028",
    "\x0b",
    "\x1c",
    "\ufeff",
    " {\n",
    "\n}\n",
    "# c\n",
    "\x00",
    "\x08",
]
SOUP = st.lists(st.tuples(st.sampled_from(PIECES), st.sampled_from(BLANKS)), max_size=20).map(
    lambda pairs: "".join(word + blank for word, blank in pairs)
)
FILES = st.dictionaries(st.sampled_from(["sub/f", "sub/g", "gx"]), SOUP, max_size=3)
ENV = st.fixed_dictionaries({"X": st.sampled_from(["v", "", "a b", "{", "}", "x,", "s", "gx"])})


class Oracle:
    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, text: str, imports: t.Mapping[str, str] | None = None, env: t.Mapping[str, str] | None = None) -> dict[str, t.Any]:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"text": text, "files": imports or {}, "env": env or {}}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Oracle]:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.fail("Go was not found: install it (https://go.dev/dl) so that our Corefile parser can be compared with CoreDNS's.")
    program = tmp_path_factory.mktemp("oracle") / "oracle"
    built = subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=SOURCE,
        env=os.environ | {"GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )
    if built.returncode:
        pytest.fail(f"tests/oracle does not build: {built.stderr}")
    oracle = Oracle(program)
    yield oracle
    oracle.stop()


def agree(oracle: Oracle, text: str, imports: t.Mapping[str, str] | None = None, env: t.Mapping[str, str] | None = None) -> bool:
    """Tokens, blocks and hash must be the same, or both must refuse the file. Says whether it was accepted."""
    imports, env = imports or {}, env or {}
    theirs = oracle.ask(text, imports, env)
    lexed = lex(text)
    assert [(token.line, token.text) for token in lexed.tokens] == [(token["line"], token["text"]) for token in theirs["tokens"] or []]
    try:
        ours = parse(text, imports=imports, env=env)
    except CorefileError as error:
        # the two things that we refuse on purpose: an open quote, and a wildcard that Go's glob knows and we do not
        if not theirs["error"] and not any(word in error.message for word in ("quote", "wildcard")):
            raise
        return False
    assert theirs["error"] == ""
    assert [[key.token.text for key in block.keys] for block in ours.blocks] == [block["Keys"] for block in theirs["blocks"] or []]
    for block, their in zip(ours.blocks, theirs["blocks"] or [], strict=True):
        words: dict[str, list[tuple[int, str]]] = {}
        for directive in block.directives:
            words.setdefault(directive.name, []).extend((token.line, token.text) for token in directive.tokens)
        assert words == {name: [(token["Line"], token["Text"]) for token in tokens] for name, tokens in their["Tokens"].items()}
    assert reload_hash(ours) == theirs["hash"]
    return True


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_corpus_file_is_read_as_coredns_reads_it(oracle: Oracle, case: Case) -> None:
    for how in VARIANTS:
        agree(oracle, variant(_relative(case.text), how), case.seen.get("imports"), case.seen.get("env"))


@pytest.mark.parametrize("case", [case for case in CASES if case.separate == "edited"], ids=lambda case: case.name)
def test_coredns_sees_one_more_block(oracle: Oracle, case: Case) -> None:
    """All other blocks are there word for word as before (line numbers apart)."""
    before, after = _before_and_after(oracle, case, "separate")
    keys, _plugins = after.pop(-1 if case.name == "ours-moved" else 0)
    assert all(key.partition(":")[0] == "clusterset.local" for key in keys)
    assert after == before


@pytest.mark.parametrize("case", [case for case in CASES if case.inline == "edited"], ids=lambda case: case.name)
def test_coredns_sees_more_words_in_one_block(oracle: Oracle, case: Case) -> None:
    before, after = _before_and_after(oracle, case, "inline")
    assert [keys for keys, _plugins in after] == [keys for keys, _plugins in before]
    added: list[str] = []
    for (_keys, old), (_same, new) in zip(before, after, strict=True):
        for name in {*old, *new}:
            left = list(new.get(name, []))
            for word in old.get(name, []):
                left.remove(word)
            added += left
    assert sorted(set(added) - {"{", "}"}) == ["clusterset.local", "multicluster"]


@pytest.mark.parametrize(
    ("name", "plugins"),
    [
        ("acl-log", ["acl", "bufsize", "errors", "multisocket"]),
        ("kubeadm-log-class", ["errors", "log", "prometheus"]),
        ("import-acl-known", ["acl", "log"]),
        ("nodelocal", ["bind", "errors", "prometheus"]),
    ],
)
def test_coredns_reads_in_our_block_what_it_read_in_the_other(oracle: Oracle, name: str, plugins: list[str]) -> None:
    (case,) = [case for case in CASES if case.name == name]
    _before, after = _before_and_after(oracle, case, "separate")
    (_ours, ours), (_theirs, theirs) = after[:2]
    assert {plugin: ours[plugin] for plugin in plugins} == {plugin: theirs[plugin] for plugin in plugins}


def test_coredns_reads_how_to_reach_the_api_server(oracle: Oracle) -> None:
    (case,) = [case for case in CASES if case.name == "external-endpoint"]
    _before, after = _before_and_after(oracle, case, "separate")
    words = " ".join(after[0][1]["kubernetes"])
    assert "endpoint https://192.0.2.10:6443 tls client.crt client.key ca.crt" in words
    (case,) = [case for case in CASES if case.name == "nodelocal-options"]
    _before, after = _before_and_after(oracle, case, "separate")
    assert after[0][1]["forward"] == ["forward", ".", "10.96.77.7", "{", "force_tcp", "max_concurrent", "1000", "}"]


def _before_and_after(oracle: Oracle, case: Case, placement: str) -> list[list[tuple[list[str], dict[str, list[str]]]]]:
    imports, env = case.seen.get("imports"), case.seen.get("env")
    result = edit(case.text, case.edit(placement=placement), **case.seen).text
    assert agree(oracle, _relative(result), imports, env)
    return [_words(oracle.ask(_relative(text), imports, env)) for text in (case.base, result)]


def _relative(text: str) -> str:
    """The oracle has its imported files in a folder of its own, not where CoreDNS has them."""
    return text.replace("/etc/coredns/", "")


def _words(answer: dict[str, t.Any]) -> list[tuple[list[str], dict[str, list[str]]]]:
    return [
        (block["Keys"], {name: [token["Text"] for token in tokens] for name, tokens in block["Tokens"].items()})
        for block in answer["blocks"] or []
    ]


@settings(max_examples=300, deadline=None)
@given(text=SOUP, imports=FILES, env=ENV)
def test_any_text_is_read_as_coredns_reads_it(oracle: Oracle, text: str, imports: dict[str, str], env: dict[str, str]) -> None:
    agree(oracle, text, imports, env)


@pytest.mark.parametrize("text", ODD_TEXTS, ids=repr)
def test_an_odd_text_is_read_as_coredns_reads_it(oracle: Oracle, text: str) -> None:
    agree(oracle, text)


def test_the_oracle_refuses_and_accepts(oracle: Oracle) -> None:
    """The comparison itself is able to see both outcomes."""
    assert agree(oracle, ". {\n    errors\n}\n")
    assert not agree(oracle, ". {\n    errors }\n")
