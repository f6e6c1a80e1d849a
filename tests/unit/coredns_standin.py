# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for one CoreDNS process: it reads a Corefile, reloads it, writes a log, counts, and answers DNS messages as that Corefile says.

Of the plugins it knows what decides an answer: ``kubernetes``, ``multicluster``, ``forward`` and ``header``; of ``reload``, ``ready`` and
``prometheus`` what can be seen from outside. What it is part of (Services, ServiceImports, rights, other pods) is its :class:`World`.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import image_version
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import plugins_used, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import (
    Block,
    Corefile,
    CorefileError,
    Directive,
    covers,
    parse,
    zones_of,
)

# plugin.cfg of CoreDNS 1.14
# fmt: off
PLUGINS = frozenset([
    "acl", "any", "auto", "autopath", "azure", "bind", "bufsize", "cache", "cancel", "chaos", "clouddns", "debug", "dns64", "dnssec",
    "dnstap", "erratic", "errors", "etcd", "file", "forward", "geoip", "grpc", "grpc_server", "header", "health", "hosts", "https",
    "https3", "k8s_external", "kubernetes", "loadbalance", "local", "log", "loop", "metadata", "minimal", "multisocket", "nomad", "nsid",
    "pprof", "prometheus", "quic", "ready", "reload", "rewrite", "root", "route53", "secondary", "sign", "template", "timeouts", "tls",
    "trace", "transfer", "tsig", "view", "whoami",
])
# k8s.io/dns, cmd/node-cache/main.go
NODE_CACHE_PLUGINS = frozenset([
    "bind", "bufsize", "cache", "debug", "dns64", "errors", "forward", "health", "hosts", "loadbalance", "log", "loop", "pprof",
    "prometheus", "ready", "reload", "rewrite", "template", "trace",
])
# fmt: on
# The order in which CoreDNS asks them, whatever a Corefile's.
_ORDER = ("kubernetes", "multicluster", "forward")
_KNOWS_THE_OPTION = (1, 12, 2)
_VERSION_RECORD = '"1.1.0"'


class World(t.Protocol):
    """What a CoreDNS sees of its cluster."""

    def service_records(self, namespace: str, name: str) -> tuple[list[str], list[dict[str, t.Any]]] | None:
        """Addresses and ports of a Service, None where there is none."""

    def import_records(self, namespace: str, name: str) -> tuple[list[str], list[dict[str, t.Any]]] | None:
        """Addresses and ports of a ServiceImport that has a name, None where there is none."""

    def namespaces_of(self, imports: bool) -> set[str]:
        """The namespaces that have Services, or ServiceImports."""

    def reads_imports(self, namespace: str, account: str) -> bool:
        """Whether a service account can list and watch ServiceImports."""

    def upstream(self, address: str, port: int, query: dns.message.Message) -> dns.message.Message | None:
        """What the server at an address answers, None where nobody is."""


@dataclasses.dataclass
class Abilities:
    """What an image can do: by its name, unless said otherwise here."""

    plugins: dict[str, t.Collection[str]] = dataclasses.field(default_factory=dict)
    option: dict[str, bool] = dataclasses.field(default_factory=dict)

    def plugins_of(self, image: str) -> t.Collection[str]:
        if image in self.plugins:
            return self.plugins[image]
        if "node-cache" in image:
            return NODE_CACHE_PLUGINS
        return PLUGINS | {"multicluster"} if "-plugin" in image else PLUGINS

    def knows_option(self, image: str) -> bool:
        """Whether its plugin kubernetes has the option multicluster."""
        if image in self.option:
            return self.option[image]
        version = image_version(image)
        return version is None or version >= _KNOWS_THE_OPTION

    def complaint(self, image: str, corefile: Corefile, path: str) -> str:
        """What CoreDNS says of a Corefile that it cannot run; '' for none."""
        known = self.plugins_of(image)
        for used in plugins_used(corefile):
            if missing := sorted(set(used["plugins"]) - set(known)):
                return f"{path}:{used['line']} - Error during parsing: Unknown directive '{missing[0]}'"
        for block in corefile.blocks:
            for stanza in block.named("kubernetes"):
                options = {option[0].text for option in stanza.options}
                if "multicluster" in options and not self.knows_option(image):
                    return f"plugin/kubernetes: {path}:{stanza.line} - Error during parsing: unknown property 'multicluster'"
        seen: set[tuple[str, str, str]] = set()
        for block in corefile.blocks:
            if block.named("bind") or block.named("view"):
                continue
            for key in block.keys:
                for zone in key.zones:
                    if (key.scheme, zone, key.port) in seen:
                        return f"cannot serve {key.scheme}://{zone}:{key.port} - it is already defined"
                    seen.add((key.scheme, zone, key.port))
        return ""


@dataclasses.dataclass
class CoreDns:
    """One process. ``files`` are those that it has seen, by path; ``conf`` is the path of its Corefile."""

    world: World
    abilities: Abilities
    image: str
    files: dict[str, str]
    conf: str
    env: dict[str, str]
    dns_port: int
    namespace: str
    account: str
    # Text of a Corefile that it takes at its start and not by a reload.
    refuses: t.Callable[[], str] = lambda: ""
    failed: int = 0
    tcp: int = 0
    udp: int = 1000
    hung: bool = False
    log: list[str] = dataclasses.field(default_factory=list)
    _tried: str = ""
    _refused: dict[str, str] | None = None
    _changed: tuple[dict[str, str], float] | None = None

    @property
    def text(self) -> str:
        """The Corefile that it runs."""
        return self.corefile.text

    @property
    def sha512(self) -> str:
        return reload_hash(self.corefile) or ""

    def start(self) -> str:
        """Read the Corefile and run. :returns: what it dies of, '' where it runs."""
        try:
            self.corefile = self._read(self.files)
            words = self.abilities.complaint(self.image, self.corefile, self.conf)
        except CorefileError as error:
            words = f"{self.conf}: {error}"
        if words:
            self.log = [words]
            return words
        self.log = [f"{key.token.text}" for block in self.corefile.blocks for key in block.keys]
        if self._uses("reload"):
            self.log.append(f"[INFO] plugin/reload: Running configuration SHA512 = {self.sha512}")
        version = image_version(self.image)
        self.log += [f"CoreDNS-{'.'.join(map(str, version)) if version else 'unknown'}", "linux/amd64, go1.25.0, "]
        return ""

    def look(self, files: dict[str, str], now: float, seconds: float) -> None:
        """What the plugin reload does once it sees other files, ``seconds`` after it could."""
        if self.hung or not self._uses("reload") or files in (self.files, self._refused):
            self._changed = None
            return
        if self._changed is None or self._changed[0] != files:
            self._changed = (files, now)
        if now - self._changed[1] < seconds:
            return
        self._changed = None
        try:
            corefile = self._read(files)
        except CorefileError as error:
            # the plugin parses before it restarts anything, and only warns
            self.log.append(f"[WARNING] plugin/reload: Corefile parse failed: {error}")
            self._refused = files
            return
        if reload_hash(corefile) == self.sha512:
            self.files = files
            return
        self._tried = reload_hash(corefile) or ""
        self.log.append("[INFO] Reloading")
        marker = self.refuses()
        words = self.abilities.complaint(self.image, corefile, self.conf)
        if marker and marker in corefile.text:
            words = words or f"{self.conf}:1 - Error during parsing: {marker}"
        if words:
            self.failed += 1
            self._refused = files
            self.log += [f"[ERROR] Restart failed: {words}", f"[ERROR] plugin/reload: Corefile changed but reload failed: {words}"]
            return
        self.files, self.corefile, self._refused = files, corefile, None
        self.log += [f"[INFO] plugin/reload: Running configuration SHA512 = {self.sha512}", "[INFO] Reloading complete"]

    @property
    def ready(self) -> bool:
        """What the plugin ready says: it looks at the plugins of those server blocks in which it stands."""
        return all(
            self._synced(stanza)
            for block in self.corefile.blocks
            if block.named("ready")
            for stanza in [*block.named("kubernetes"), *block.named("multicluster")]
        )

    @property
    def metrics_ports(self) -> set[int]:
        words = [
            stanza.args[0].text if stanza.args else "localhost:9153"
            for block in self.corefile.blocks
            for stanza in block.named("prometheus")
        ]
        return {int(word.rpartition(":")[2]) for word in words}

    def metrics(self) -> str:
        lines = [
            f'coredns_dns_requests_total{{family="1",proto="{proto}",server="dns://:{self.dns_port}",type="A",view="",zone="."}} {count}'
            for proto, count in (("tcp", self.tcp), ("udp", self.udp))
            if count
        ]
        if self._uses("reload"):
            lines.append(f"coredns_reload_failed_total {self.failed}")
        if self._tried:
            # It names what was tried last, good or bad, and nothing before the first reload.
            lines.append(f'coredns_reload_version_info{{hash="sha512",value="{self._tried}"}} 1')
        return "\n".join(sorted(lines)) + "\n"

    def listens(self, port: int) -> bool:
        return any(self._port(key) == port for block in self.corefile.blocks for key in block.keys if key.scheme == "dns")

    def respond(self, query: dns.message.Message, port: int) -> dns.message.Message:
        """The answer of the server block that a port and a name belong to."""
        name = query.question[0].name.to_text().lower()
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        response = dns.message.make_response(query)
        block = self._route(name, port)
        if block is None:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        self._ask(block, name, kind, query, response)
        if any([token.text for token in option] == ["response", "set", "ra"] for one in block.named("header") for option in one.options):
            response.flags |= dns.flags.RA
        return response

    # --- inside -----------------------------------------------------------------------------------------------------------------------

    def _read(self, files: dict[str, str]) -> Corefile:
        return parse(files[self.conf], imports=files, env=self.env, path=self.conf)

    def _uses(self, plugin: str) -> bool:
        return any(block.named(plugin) for block in self.corefile.blocks)

    def _port(self, key: t.Any) -> int:
        return int(key.written_port or self.dns_port)

    def _route(self, name: str, port: int) -> Block | None:
        best, found = 0, None
        for block in self.corefile.blocks:
            for key in block.keys:
                for zone in key.zones if key.scheme == "dns" and self._port(key) == port else []:
                    if covers(zone, name) and len(zone) > best:
                        best, found = len(zone), block
        return found

    def _ask(self, block: Block, name: str, kind: str, query: dns.message.Message, response: dns.message.Message) -> None:
        stanzas = sorted((one for one in block.directives if one.name in _ORDER), key=lambda one: _ORDER.index(one.name))
        for stanza in stanzas:
            if stanza.name == "forward":
                if not any(covers(zone, name) for zone in zones_of(stanza.args[0].text)):
                    continue
                self._forward([token.text for token in stanza.args[1:]], query, response)
                return
            zone = max((zone for zone in _zones(stanza, block) if covers(zone, name)), key=len, default="")
            if not zone:
                continue
            imports = stanza.name == "multicluster" or zone in _multicluster_zones(stanza)
            found = self._records(name.removesuffix(zone).rstrip(".").split("."), zone, kind, imports)
            if found is None and _falls_through(stanza, name):
                continue
            if found is None and not self._synced(stanza):
                response.set_rcode(dns.rcode.SERVFAIL)
                return
            response.flags |= dns.flags.AA
            ttl = next((int(option[1].text) for option in stanza.options if option[0].text == "ttl"), 5)
            if found:
                response.answer.append(dns.rrset.from_text_list(name, ttl, "IN", kind, found))
                return
            if found is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
            soa = f"ns.dns.{zone} hostmaster.{zone} 1 7200 1800 86400 {ttl}"
            response.authority.append(dns.rrset.from_text(zone, ttl, "IN", "SOA", soa))
            return
        response.set_rcode(dns.rcode.SERVFAIL)

    def _forward(self, upstreams: list[str], query: dns.message.Message, response: dns.message.Message) -> None:
        if any(upstream.startswith("/") for upstream in upstreams):
            # The world outside, which knows no name that the cluster does not.
            response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(dns.rrset.from_text(".", 900, "IN", "SOA", "a.root-servers.net. nstld.verisign-grs.com. 1 2 3 4 5"))
            return
        for upstream in upstreams:
            address, _colon, port = upstream.rpartition(":") if upstream.count(":") == 1 else (upstream, "", "53")
            given = self.world.upstream(address, int(port), query)
            if given is not None:
                response.set_rcode(given.rcode())
                response.flags |= given.flags & dns.flags.AA
                response.answer, response.authority = given.answer, given.authority
                return
        response.set_rcode(dns.rcode.SERVFAIL)

    def _records(self, labels: list[str], zone: str, kind: str, imports: bool) -> list[str] | None:
        """Record data of a name below a zone: none for a name that has others; None for a name that does not exist."""
        if labels in ([""], ["svc"]):
            return []
        if labels == ["dns-version"]:
            return [_VERSION_RECORD] if kind == "TXT" else []
        if labels[-1] != "svc":
            return None
        if len(labels) == 2:
            return [] if labels[0] in self.world.namespaces_of(imports) else None
        *before, name, namespace, _svc = labels
        found = (self.world.import_records if imports else self.world.service_records)(namespace, name)
        if found is None or len(before) not in (0, 2):
            return None
        addresses, ports = found
        if not before:
            wanted = {"A": 4, "AAAA": 6}.get(kind)
            return [one for one in addresses if ipaddress.ip_address(one).version == wanted]
        fitting = [one for one in ports if [f"_{one.get('name')}", f"_{one.get('protocol', 'TCP').lower()}"] == before]
        if not fitting:
            return None
        return [f"0 100 {one['port']} {name}.{namespace}.svc.{zone}" for one in fitting] if kind == "SRV" else []

    def _synced(self, stanza: Directive) -> bool:
        """Whether a plugin has read what it answers from."""
        if stanza.name == "kubernetes" and not _multicluster_zones(stanza):
            return True
        return self.world.reads_imports(self.namespace, self.account)


def _zones(stanza: Directive, block: Block) -> list[str]:
    if stanza.args:
        return [zone for token in stanza.args for zone in zones_of(token.text)]
    return [zone for key in block.keys for zone in key.zones]


def _multicluster_zones(stanza: Directive) -> list[str]:
    served = [
        [zone for token in option[1:] for zone in zones_of(token.text)] for option in stanza.options if option[0].text == "multicluster"
    ]
    return served[-1] if served else []


def _falls_through(stanza: Directive, name: str) -> bool:
    for option in stanza.options:
        if option[0].text == "fallthrough":
            zones = [zone for token in option[1:] for zone in zones_of(token.text)]
            return not zones or any(covers(zone, name) for zone in zones)
    return False
