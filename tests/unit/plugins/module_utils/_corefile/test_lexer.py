# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The lexer's oddities, one by one. (test_corefile_oracle.py asks CoreDNS's own lexer about these texts as well.)"""

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import lex
from ansible_collections.clusterset.dns.tests.unit.plugins.module_utils._corefile.corefile_corpus import ODD_TEXTS


@pytest.mark.parametrize(("text", "words"), ODD_TEXTS.items(), ids=map(repr, ODD_TEXTS))
def test_words_and_their_lines(text: str, words: list[tuple[int, str]]) -> None:
    assert [(token.line, token.text) for token in lex(text).tokens] == words


def test_where_words_and_comments_stand() -> None:
    text = '\ufeffa "b c" # d\r\n\tef\r\r\n# g'
    lexed = lex(text)
    assert [text[token.start : token.end] for token in lexed.tokens] == ["a", '"b c"', "ef"]
    assert [(comment.line, text[comment.start : comment.end]) for comment in lexed.comments] == [(1, "# d\r"), (3, "# g")]


@pytest.mark.parametrize(
    ("text", "line"), [('a\n"b', 2), ('"a\nb"\n "\n', 3), ('a "b\\"', 1), ('"', 1), ('a b"', 0), ('# "', 0), ('"a" "b"', 0), ('a#"', 0)]
)
def test_a_quote_that_is_never_closed(text: str, line: int) -> None:
    assert lex(text).unterminated == line
