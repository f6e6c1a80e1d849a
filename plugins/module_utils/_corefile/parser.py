# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Reads a Corefile as CoreDNS does: server blocks, their keys and their plugins' stanzas.

:func:`parse` follows ``caddyfile/parse.go`` of github.com/coredns/caddy step by step, and the meaning of server block keys
follows ``core/dnsserver/register.go`` and ``plugin/normalize.go`` of CoreDNS. The tests compare the two.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
import ipaddress
import itertools
import posixpath
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.lexer import Comment, Token, lex

__all__ = [
    "DEFAULT_PORT",
    "Block",
    "Corefile",
    "CorefileError",
    "Directive",
    "Import",
    "Key",
    "breaks",
    "covers",
    "normal",
    "parse",
    "zones_of",
]

DEFAULT_PORT = "53"
# The port of a key that names none, by scheme: CoreDNS's plugin/pkg/transport.
_SCHEMES = {"tls": "853", "dns": DEFAULT_PORT, "quic": "853", "grpc": "443", "https3": "443", "https": "443", "unix": ""}
# CoreDNS's own limit (maxSnippetExpansions); older versions have none and never end.
_MOST_EXPANSIONS = 10_000
_MOST_TOKENS = 1_000_000
# CoreDNS has no limit for these: a variable whose value names the variable makes it hang.
_MOST_REFERENCES = 1000
# Of a variable, as Windows and as shells write it.
_BRACKETS = (("{%", "%}"), ("{$", "}"))
_LONGEST_WORD = 1_000_000


class CorefileError(ValueError):
    """Why a Corefile cannot be read or edited, as a sentence; ``line`` counts from 1, None where no line is to
    blame. ``needs`` is the argument of :func:`parse`, ``imports`` or ``env``, that has to be given to go on, if that is it.
    """

    def __init__(self, message: str, line: int | None = None, needs: str | None = None) -> None:
        super().__init__(f"line {line}: {message}" if line else message)
        self.message = message
        self.line = line
        self.needs = needs


@dataclasses.dataclass(slots=True, eq=False)
class Directive:
    """One plugin's stanza in a server block; ``tokens`` begins with the plugin's own name and includes nested
    braces.
    """

    name: str
    tokens: list[Token]

    @property
    def line(self) -> int:
        """Where to look in the Corefile itself: the stanza's line, or that of the import which brought it."""
        return self.tokens[0].imported or self.tokens[0].line

    @property
    def imported(self) -> bool:
        return any(token.imported for token in self.tokens)

    @property
    def args(self) -> list[Token]:
        """The arguments on the plugin's own line."""
        return _line_of(self.tokens)

    @property
    def options(self) -> list[list[Token]]:
        """The lines of the stanza's block, each with its first word, nested braces flattened."""
        lines: list[list[Token]] = []
        inner = self.tokens[1 + len(self.args) :]
        previous: Token | None = None
        for token in inner:
            if token.text not in ("{", "}"):
                if previous is None or previous.text in ("{", "}") or breaks(previous, token):
                    lines.append([])
                lines[-1].append(token)
            previous = token
        return lines

    @property
    def brace(self) -> Token | None:
        """The brace that opens the stanza's block, if it has one. CoreDNS wants it on the plugin's own line."""
        last, *rest = self.tokens[len(self.args) :]
        return rest[0] if rest and rest[0].text == "{" and not breaks(last, rest[0], exact=True) else None


@dataclasses.dataclass(slots=True)
class Key:
    """One key of a server block: where it listens and for which zones (several for a reverse network off an octet's
    border).

    ``zones`` are in lower case with a final dot. ``port`` is '53' where ``written_port`` is ''.
    ``unknown`` says that it depends on an environment variable that was not given.
    """

    token: Token
    scheme: str
    zones: list[str]
    port: str
    written_port: str
    unknown: bool = False


@dataclasses.dataclass(slots=True, eq=False)
class Block:
    """A server block. ``opening`` and ``closing`` are its braces, None for the one form that has none."""

    keys: list[Key]
    directives: list[Directive] = dataclasses.field(default_factory=list)
    opening: Token | None = None
    closing: Token | None = None

    @property
    def line(self) -> int:
        return self.keys[0].token.imported or self.keys[0].token.line

    def named(self, name: str) -> list[Directive]:
        """The stanzas of one plugin."""
        return [directive for directive in self.directives if directive.name == name]

    def zones_on(self, port: str) -> list[str]:
        """The zones this block serves over plain DNS on a port."""
        return [zone for key in self.keys if key.scheme == "dns" and key.port == port for zone in key.zones]


class Import(t.NamedTuple):
    """An ``import`` of files that were not given. ``level`` is ``server`` (between blocks) or ``block`` (inside
    one).
    """

    pattern: str
    line: int
    level: str
    block: int


@dataclasses.dataclass(slots=True, eq=False)
class Corefile:
    """A parsed Corefile. ``unseen`` are imports of files that were not given, ``env`` the variables that were left as
    they are. ``by_port`` are the blocks that serve plain DNS on a port, each with its zones there.
    """

    text: str
    blocks: list[Block]
    snippets: dict[str, list[Token]]
    comments: list[Comment]
    unseen: list[Import]
    env: set[str]
    serial: list[dict[str, t.Any]]
    by_port: dict[str, list[tuple[Block, list[str]]]]

    def route(self, name: str, port: str) -> list[Block]:
        """The blocks that CoreDNS may hand a name to on a port: those with the longest matching zone.

        More than one only where views or ``bind`` tell them apart.
        """
        best = 0
        found: list[Block] = []
        for block, zones in self.by_port.get(port, []):
            length = max((len(zone) for zone in zones if covers(zone, name)), default=0)
            if length > best:
                best, found = length, [block]
            elif length and length == best:
                found.append(block)
        return found


def normal(name: str) -> str:
    """A zone as CoreDNS compares it: lower case, with a final dot."""
    return (name if name.endswith(".") else name + ".").lower()


def covers(zone: str, name: str) -> bool:
    """Whether ``name`` is ``zone`` or below it (both normal)."""
    return zone == "." or name == zone or name.endswith("." + zone)


def parse(
    text: str, *, imports: t.Mapping[str, str] | None = None, env: t.Mapping[str, str] | None = None, path: str = "/etc/coredns/Corefile"
) -> Corefile:
    """Read a Corefile. What is returned is kept for the next one of that text, as a fleet's are much the same: it is not to be changed.

    :arg imports: the files that CoreDNS finds beside it, path to text (relative paths are taken from ``path``'s
        directory). With None imports of files are left out and listed in ``unseen``; with a mapping, what is not in it
        does not exist.
    :arg env: CoreDNS's environment. With None ``{$X}`` and ``{%X%}`` are left as they are; with a mapping, what is not
        in it is ''.
    :raises CorefileError: CoreDNS would not read it, or it has a quote that is never closed.
    """
    return _parsed(text, None if imports is None else tuple(imports.items()), None if env is None else tuple(env.items()), path)


@functools.lru_cache(maxsize=64)
def _parsed(
    text: str, imported: tuple[tuple[str, str], ...] | None, environment: tuple[tuple[str, str], ...] | None, path: str
) -> Corefile:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CorefileError("the text holds a character that is not valid Unicode.", text.count("\n", 0, error.start) + 1) from None
    lexed = lex(text)
    if lexed.unterminated:
        raise CorefileError("a quote is opened and never closed.", lexed.unterminated)
    imports, env = None if imported is None else dict(imported), None if environment is None else dict(environment)
    parser = _Parser(lexed.tokens, imports, env, path)
    parser.parse_all()
    by_port: dict[str, list[tuple[Block, list[str]]]] = {}
    for block in parser.blocks:
        for port in dict.fromkeys(key.port for key in block.keys if key.scheme == "dns"):
            by_port.setdefault(port, []).append((block, block.zones_on(port)))
    return Corefile(text, parser.blocks, parser.snippets, lexed.comments, parser.unseen, parser.env_left, parser.serial, by_port)


class _Parser:
    """``caddyfile/parse.go``, with its cursor arithmetic, so that odd files are read the same way."""

    def __init__(self, tokens: list[Token], imports: t.Mapping[str, str] | None, env: t.Mapping[str, str] | None, path: str) -> None:
        self.tokens = tokens
        self.cursor = -1
        self.end_seen = False
        self.blocks: list[Block] = []
        self.serial: list[dict[str, t.Any]] = []
        self.snippets: dict[str, list[Token]] = {}
        self.unseen: list[Import] = []
        self.env_left: set[str] = set()
        self._env = env
        self._path = path
        self._files = None
        if imports is not None:
            self._files = {posixpath.join(posixpath.dirname(path), name): body for name, body in imports.items()}
        self._expansions = 0
        self._keys: list[Key] = []

    def parse_all(self) -> None:
        while self._next():
            self._keys = []
            self._addresses()
            if self.end_seen:
                if self._keys:
                    self._add(Block(self._keys))
                return
            name = self._snippet_name()
            if name is not None:
                self._snippet(name)
                continue
            block = Block(self._keys)
            opened = self._value() == "{"
            if opened:
                block.opening = self.tokens[self.cursor]
            else:
                self.cursor -= 1
            self._directives(block)
            if opened:
                if self._value() != "}":
                    raise self._error("the server block that is opened here is never closed", block.opening)
                block.closing = self.tokens[self.cursor]
            if self._keys:
                self._add(block)

    def _add(self, block: Block) -> None:
        self.blocks.append(block)
        by_name: dict[str, list[Token]] = {}
        for directive in block.directives:
            by_name.setdefault(directive.name, []).extend(directive.tokens)
        self.serial.append({"Keys": [key.token.text for key in block.keys], "Tokens": by_name})

    def _addresses(self) -> None:
        expecting = False
        while True:
            word = self._expand(self._value())
            if word == "import" and self._is_new_line():
                self._import("server")
                continue
            if word == "{":
                if expecting:
                    raise self._error("another zone is expected after the comma, but a brace follows")
                break
            if word:
                expecting = word.endswith(",")
                if expecting:
                    word = word[:-1]
                self._keys.append(_key(dataclasses.replace(self.tokens[self.cursor], text=word), self._env is None))
            following = self._next()
            if expecting and not following:
                raise self._error("the file ends after a comma between zones")
            if not following:
                self.end_seen = True
                break
            if not expecting and self._is_new_line():
                break

    def _snippet_name(self) -> str | None:
        if len(self._keys) != 1:
            return None
        word = self._keys[0].token.text
        return word[1:].removesuffix(")") if word.startswith("(") and word.endswith(")") else None

    def _snippet(self, name: str) -> None:
        if name in self.snippets:
            raise self._error(f"snippet ({name}) is declared a second time", self._keys[0].token)
        if self._value() != "{":
            raise self._error(f"snippet ({name}) has no braces", self._keys[0].token)
        opening = self.tokens[self.cursor]
        depth = 1
        body: list[Token] = []
        while self._next():
            word = self._value()
            if word == "}":
                depth -= 1
                if depth == 0:
                    break
            if word == "{":
                depth += 1
            body.append(self.tokens[self.cursor])
        if depth:
            raise self._error(f"snippet ({name}) is never closed", opening)
        for index in range(len(body) - 1):
            if body[index].text == "import" and self._expand(body[index + 1].text) == name:
                before = body[index - 1]
                if index == 0 or before.file != body[index].file or before.line != body[index].line:
                    raise self._error(f"snippet ({name}) imports itself", body[index])
        self.snippets[name] = body

    def _directives(self, block: Block) -> None:
        while self._next():
            word = self._value()
            if word == "}":
                break
            if word == "import":
                self._import("block")
                self.cursor -= 1
                continue
            self._directive(block)

    def _directive(self, block: Block) -> None:
        first = self.tokens[self.cursor]
        directive = Directive(self._expand(first.text), [first])
        depth = 0
        while self._next():
            word = self._value()
            if word == "{":
                depth += 1
            elif depth == 0 and self._is_new_line():
                self.cursor -= 1
                break
            elif word == "}" and depth:
                depth -= 1
            elif word == "}":
                raise self._error("a closing brace has no opening one")
            elif word == "import" and self._is_new_line():
                self._import("block")
                self.cursor -= 1
                continue
            token = self.tokens[self.cursor]
            if "{" in token.text:
                token = self.tokens[self.cursor] = dataclasses.replace(token, text=self._expand(token.text))
            directive.tokens.append(token)
        if depth:
            raise self._error(f"the block of {directive.name} that begins here is never closed", first)
        block.directives.append(directive)

    def _import(self, level: str) -> None:
        """Put what is imported in place of the two tokens at the cursor, and the cursor on its first token."""
        statement = self.tokens[self.cursor]
        if not self._next_arg():
            raise self._error("import names no file or snippet")
        raw = self._value()
        pattern = self._expand(raw)
        if not pattern:
            raise self._error("import names an empty file name")
        source = self.tokens[self.cursor]
        if self._next_arg():
            raise self._error("import takes one file or snippet")
        line = statement.imported or statement.line
        if pattern in self.snippets:
            found = self.snippets[pattern]
        elif self._files is None or (self._env is None and _references(raw)):
            self.unseen.append(Import(pattern, line, level, len(self.blocks)))
            found = []
        else:
            found = self._read(pattern, source)
        self._expansions += 1
        if self._expansions > _MOST_EXPANSIONS or len(self.tokens) + len(found) > _MOST_TOKENS:
            raise self._error(f"imports are expanded more than {_MOST_EXPANSIONS} times", statement)
        self.tokens[self.cursor - 1 : self.cursor + 1] = [dataclasses.replace(token, imported=line) for token in found]
        self.cursor -= 1

    def _read(self, pattern: str, source: Token) -> list[Token]:
        if self._files is None:
            raise AssertionError("imports are read only where there are files to read")
        glob = posixpath.join(posixpath.dirname(source.file or self._path), pattern)
        if glob.count("*") > 1 or glob.count("?") > 1 or ("[" in glob and "]" in glob):
            raise self._error(f"import takes one wildcard, {pattern} has more")
        if "[" in glob or "\\" in glob:
            raise self._error(f"the wildcards of import {pattern} are not understood")
        wild = any(sign in glob for sign in "*?")
        names = [name for name in sorted(self._files) if _matches(name, glob)]
        if not names and not wild and "]" not in glob:
            raise self._error(f"the file to import does not exist: {pattern}")
        found: list[Token] = []
        for name in names:
            lexed = lex(self._files[name], name)
            if lexed.unterminated:
                raise CorefileError(f"a quote is opened on line {lexed.unterminated} of {name} and never closed.")
            found += lexed.tokens
        return found

    def _expand(self, word: str) -> str:
        """The word with environment variables replaced (``replaceEnvVars``)."""
        if "{" not in word:
            return word
        if self._env is None:
            self.env_left |= _references(word)
            return word
        replaced = 0
        for opening, closing in _BRACKETS:
            at = word.find(opening)
            while at != -1:
                end = word.find(closing, at)
                if end == -1 or end <= at + len(opening):
                    break
                reference = word[at : end + len(closing)]
                word = word.replace(reference, self._env.get(reference[len(opening) : -len(closing)], ""))
                replaced += 1
                if replaced > _MOST_REFERENCES or len(word) > _LONGEST_WORD:
                    raise self._error("an environment variable names itself")
                at = word.find(opening)
        return word

    def _next(self) -> bool:
        if self.cursor < len(self.tokens) - 1:
            self.cursor += 1
            return True
        return False

    def _next_arg(self) -> bool:
        if self.cursor + 1 < len(self.tokens) and not breaks(self.tokens[self.cursor], self.tokens[self.cursor + 1], exact=True):
            self.cursor += 1
            return True
        return False

    def _value(self) -> str:
        return self.tokens[self.cursor].text if 0 <= self.cursor < len(self.tokens) else ""

    def _is_new_line(self) -> bool:
        if self.cursor < 1:
            return True
        if self.cursor > len(self.tokens) - 1:
            return False
        return breaks(self.tokens[self.cursor - 1], self.tokens[self.cursor])

    def _error(self, message: str, token: Token | None = None) -> CorefileError:
        token = token or (self.tokens[min(self.cursor, len(self.tokens) - 1)] if self.tokens else None)
        where = f" (in {token.file}, line {token.line})" if token and token.file else ""
        return CorefileError(f"{message}{where}.", (token.imported or token.line) if token else None)


def breaks(one: Token, two: Token, exact: bool = False) -> bool:
    """Whether ``two`` stands on a later line than ``one`` ends on (``exact``: on any other line)."""
    end = one.line + one.text.count("\n")
    return one.file != two.file or (end != two.line if exact else end < two.line)


def _line_of(tokens: list[Token]) -> list[Token]:
    """Dispenser.RemainingArgs: what follows the first token on its line, up to a brace."""
    found: list[Token] = []
    for one, two in itertools.pairwise(tokens):
        if two.text == "{" or breaks(one, two, exact=True):
            break
        found.append(two)
    return found


def _references(word: str) -> set[str]:
    """The names of the environment variables in a word."""
    names = set()
    for opening, closing in _BRACKETS:
        at = word.find(opening)
        while at != -1 and (end := word.find(closing, at)) > at + len(opening):
            names.add(word[at + len(opening) : end])
            at = word.find(opening, end)
    return names


def _matches(name: str, glob: str) -> bool:
    parts, patterns = name.split("/"), glob.split("/")
    return len(parts) == len(patterns) and all(map(fnmatch.fnmatchcase, parts, patterns))


def _key(token: Token, env_unknown: bool) -> Key:
    """What a server block's key means. A key that CoreDNS refuses gets no zones; :func:`parse` is about syntax only."""
    word = token.text
    scheme = next((name for name in _SCHEMES if word.startswith(name + "://")), "")
    rest = word[len(scheme) + 3 :] if scheme else word
    scheme = scheme or "dns"
    host, written = _split_port(rest)
    unknown = env_unknown and bool(_references(word))
    zones = [] if unknown or rest.endswith(":") else zones_of(host)
    return Key(token, scheme, zones, written or _SCHEMES[scheme], written, unknown)


def _split_port(word: str) -> tuple[str, str]:
    host, colon, port = word.rpartition(":")
    digits = port[1:] if port[:1] in ("+", "-") else port
    return (host, str(int(port))) if colon and digits.isascii() and digits.isdigit() else (word, "")


def zones_of(host: str) -> list[str]:
    """The zones that a name or network in a Corefile stands for; none for what CoreDNS refuses as a name.

    A network such as ``10.1.0.0/17`` becomes the reverse zones at the next border of an octet (nibble for IPv6).
    """
    address, slash, length = host.partition("/")
    if slash and length.isascii() and length.isdigit():
        try:
            network = ipaddress.ip_network(f"{address}/{length}", strict=False)
        except ValueError:
            pass
        else:
            if host.startswith(":") or (host.startswith("0") and ":" in host):
                return []
            step = 8 if network.version == 4 else 4
            border = -(-network.prefixlen // step) * step
            return [_reverse(part, border // step) for part in network.subnets(new_prefix=border)]
    labels = host.removesuffix(".").split(".")
    if host != "." and (len(host) > 255 or any(not 0 < len(label.encode()) <= 63 for label in labels)):
        return []
    return [normal(host)]


def _reverse(network: ipaddress.IPv4Network | ipaddress.IPv6Network, labels: int) -> str:
    names = network.network_address.reverse_pointer.split(".")
    return ".".join(names[len(names) - 2 - labels :]) + "."
