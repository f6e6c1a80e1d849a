# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Which addresses belong into a ServiceImport's ``spec.ips``, and why. Pure: no client, no clock, no file.

The addresses differ from member to member (a derived Service has another ClusterIP in each), so everything here is
about one member; :class:`Facts` holds what was read there. CoreDNS answers a ClusterSetIP name with ``spec.ips`` as
they stand.
"""

from __future__ import annotations

import ipaddress
import typing as t

__all__ = [
    "DERIVED_PREFIX",
    "STRATEGIES",
    "Decision",
    "Facts",
    "Import",
    "Key",
    "Service",
    "balancer_ips",
    "decide",
    "import_of",
    "max_ips_of",
    "normal",
    "parse_key",
    "refusal",
    "service_of",
    "settle",
    "slice_of",
]

STRATEGIES = ("derived", "native", "local_first", "endpoints", "load_balancer", "static")
# Karmada names the Service that it makes from a ServiceImport so (pkg/util/names, DerivedServiceName).
DERIVED_PREFIX = "derived-"

# Addresses where clouds serve credentials to whoever asks. The first is link-local and refused as such; the others
# look like any unicast address: AWS over IPv6, Alibaba, Azure, Oracle.
_METADATA = frozenset(
    ipaddress.ip_address(address) for address in ("169.254.169.254", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST = ipaddress.ip_address("255.255.255.255")

Key = tuple[str, str]  # (namespace, name)


class Import(t.NamedTuple):
    """What matters of a ServiceImport (``multicluster.x-k8s.io/v1alpha1``)."""

    key: Key
    type: str
    ips: tuple[str, ...]
    has_ports: bool
    families: tuple[str, ...]  # spec.ipFamilies, which only mcs-api's CRD from 0.4 on has
    owners: tuple[str, ...]  # field managers of spec.ips
    resource_version: str
    space: str = ""  # the namespace on the control plane that Karmada delivered it from, '' where somebody else made it


class Service(t.NamedTuple):
    """What matters of a Service."""

    type: str
    cluster_ips: tuple[str, ...]  # in the order of spec.ipFamilies, as the API server guarantees
    ingress: tuple[tuple[str, str], ...]  # status.loadBalancer: (ip, hostname)
    space: str = ""  # as that of an Import


class Facts(t.NamedTuple):
    """What one member looks like. ``ready`` holds the ready addresses of each Service by its name."""

    services: t.Mapping[Key, Service] = {}
    ready: t.Mapping[Key, t.Sequence[str]] = {}
    # ServiceImport → [(member, addresses)] of LoadBalancer Services of that name in the whole fleet, in the order
    # of the members' names
    balancers: t.Mapping[Key, t.Sequence[tuple[str, tuple[str, ...]]]] = {}
    # The members of the fleet that could not be asked for their load balancers.
    unread: t.Sequence[str] = ()
    static: t.Mapping[Key, tuple[str, ...]] = {}
    max_ips: int = 1
    # The services that the control plane has a ServiceExport of, None where it was not asked.
    exported: t.Collection[Key] | None = None


class Decision(t.NamedTuple):
    """``ips`` that the import shall have, or None where nothing gives any, and the ``reason`` in words.

    ``pending``: what would give addresses does not exist (yet), so that waiting may help. ``leave``: the import's own
    addresses are not to be touched, whatever they are. ``held``: where its addresses stay, that is not what was asked for, so that it
    has to be said.
    """

    ips: tuple[str, ...] | None
    reason: str
    pending: bool = False
    leave: bool = False
    held: bool = False


class Settled(t.NamedTuple):
    """The addresses that an import is to have in the end, the reason, and whether that is not what its strategy would have given."""

    ips: tuple[str, ...]
    reason: str
    held: bool = False


def parse_key(text: str) -> Key:
    """``NAMESPACE/NAME`` as a pair; ValueError with a sentence otherwise."""
    namespace, slash, name = text.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise ValueError(f"{text!r} does not name a service: write NAMESPACE/NAME, such as default/serve.")
    return namespace, name


def normal(address: str) -> str:
    """The one spelling of an address: IPv6 compressed and in lower case, an IPv4 address in IPv6 form
    (``::ffff:10.0.0.1``) as IPv4.

    :raises ValueError: not an address (a host name, leading zeros, a zone index), with a sentence.
    """
    try:
        if "%" in address:
            raise ValueError
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"{address!r} is not an IP address (CoreDNS would follow it as a host name)") from None
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)


def refusal(address: str) -> str:
    """Why an address must never stand in a ServiceImport, or '' where it may. Takes any spelling."""
    try:
        parsed = ipaddress.ip_address(normal(address))
    except ValueError as error:
        return str(error)
    if parsed in _METADATA:
        return f"{parsed} is a cloud's metadata address"
    for kind, refused in (
        ("unspecified", parsed.is_unspecified),
        ("loopback", parsed.is_loopback),
        ("link-local", parsed.is_link_local),
        ("multicast", parsed.is_multicast),
    ):
        if refused:
            return f"{parsed} is {kind}"
    if parsed == _BROADCAST or (parsed.version == 4 and parsed in _THIS_NETWORK):
        return f"{parsed} is no address of a host"
    return ""


def import_of(document: t.Mapping[str, t.Any]) -> Import:
    """A ServiceImport as the API gives it, reduced to what matters here (a fleet's imports are held in memory at
    once).
    """
    metadata, spec = document["metadata"], document.get("spec") or {}
    owners = tuple(
        entry.get("manager") or ""
        for entry in metadata.get("managedFields") or ()
        if "f:ips" in ((entry.get("fieldsV1") or {}).get("f:spec") or {})
    )
    return Import(
        key=(metadata["namespace"], metadata["name"]),
        type=spec.get("type") or "",
        ips=tuple(spec.get("ips") or ()),
        has_ports=bool(spec.get("ports")),
        families=tuple(spec.get("ipFamilies") or ()),
        owners=owners,
        resource_version=metadata.get("resourceVersion") or "",
        space=_space(metadata),
    )


def _space(metadata: t.Mapping[str, t.Any]) -> str:
    """Whence Karmada delivered an object. It puts both on all that it delivers, and asks for the label itself before it deletes."""
    managed = (metadata.get("labels") or {}).get("karmada.io/managed") == "true"
    return ((metadata.get("annotations") or {}).get("work.karmada.io/namespace") or "") if managed else ""


def service_of(document: t.Mapping[str, t.Any]) -> tuple[Key, Service]:
    """A Service as the API gives it, by its key."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    single = spec.get("clusterIP")
    ingress = ((document.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return (metadata["namespace"], metadata["name"]), Service(
        type=spec.get("type") or "ClusterIP",
        cluster_ips=tuple(spec.get("clusterIPs") or ([single] if single else ())),
        ingress=tuple((entry.get("ip") or "", entry.get("hostname") or "") for entry in ingress),
        space=_space(metadata),
    )


def slice_of(document: t.Mapping[str, t.Any]) -> tuple[Key, tuple[str, ...]]:
    """The ready addresses of an EndpointSlice, by the Service that it belongs to (name '' where to none)."""
    metadata = document["metadata"]
    service = (metadata.get("labels") or {}).get("kubernetes.io/service-name") or ""
    addresses = tuple(
        address
        for endpoint in document.get("endpoints") or ()
        # An absent condition means ready (EndpointConditions in k8s.io/api/discovery/v1).
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    )
    return (metadata["namespace"], service), () if document.get("addressType") == "FQDN" else addresses


def max_ips_of(crd: t.Mapping[str, t.Any] | None) -> int:
    """How many addresses the ServiceImport CRD lets stand: 1 in Karmada's own, 2 in mcs-api's from 0.4 on.

    One where the CRD may not be read, or does not say: one address is what every revision takes.
    """
    for version in ((crd or {}).get("spec") or {}).get("versions") or ():
        if version.get("name") == "v1alpha1":
            node = (version.get("schema") or {}).get("openAPIV3Schema") or {}
            for step in ("spec", "ips"):
                node = (node.get("properties") or {}).get(step) or {}
            return int(node.get("maxItems") or 1)
    return 1


def balancer_ips(service: Service) -> tuple[str, ...]:
    """The addresses of a Service of type LoadBalancer that may stand in an import."""
    if service.type != "LoadBalancer":
        return ()
    return tuple(normal(ip) for ip, _hostname in service.ingress if ip and not refusal(ip))


def decide(wanted: Import, strategy: str, facts: Facts) -> Decision:
    """Which addresses an import shall have on the member that ``facts`` describe."""
    if wanted.type == "Headless":
        return Decision(None, "Headless: DNS answers with the endpoints, not with spec.ips", leave=True)
    decision = _STRATEGIES[strategy](wanted, facts)
    if decision.pending and not wanted.space:
        reason = f"{decision.reason}, and Karmada makes none for a ServiceImport that it did not deliver"
        decision = decision._replace(reason=reason, pending=False, held=True)
    if decision.ips is not None:
        decision = _fit(decision, wanted, facts.max_ips)
    if not wanted.has_ports:
        decision = decision._replace(reason=decision.reason + "; it has no ports, so that DNS gives NXDOMAIN")
    return decision


def settle(wanted: Import, decision: Decision, *, source_gone: str, manager: str, force: bool) -> Settled:
    """What the import is to have in the end, given what it has now.

    ``source_gone`` (``clear`` or ``keep``) says what becomes of addresses whose source is no more. Addresses that a
    field manager other than ``manager`` set are left, unless ``force``; Karmada does not count, because what it holds
    on a member it got from elsewhere. The addresses returned are ``wanted.ips`` itself where nothing is to change: a
    different order or spelling is no difference.
    """
    if decision.leave:
        return Settled(wanted.ips, decision.reason, decision.held)
    ips, reason = decision.ips, decision.reason
    if ips is None:
        if not wanted.ips:
            return Settled(wanted.ips, reason, decision.held)
        if source_gone == "keep":
            return Settled(wanted.ips, f"{reason}; kept", decision.held)
        ips = ()
    if _same(wanted.ips, ips):
        return Settled(wanted.ips, reason)
    others = [owner for owner in wanted.owners if owner != manager and not owner.startswith("karmada")]
    if wanted.ips and others and manager not in wanted.owners and not force:
        text = ", ".join(ips) or "none"
        return Settled(wanted.ips, f"{reason}; left as field manager {others[0]} set it, instead of {text} (force takes it over)", held=True)
    return Settled(ips, reason if ips else f"{reason}; cleared")


def _same(have: t.Sequence[str], want: t.Sequence[str]) -> bool:
    try:
        return {normal(address) for address in have} == {normal(address) for address in want}
    except ValueError:
        return False  # what is there is no address, so that it differs from any


def _fit(decision: Decision, wanted: Import, max_ips: int) -> Decision:
    """Normal form: no address that is refused, none twice, the families in the import's order, as many as the CRD
    takes.
    """
    good: list[str] = []
    refused: list[str] = []
    for address in decision.ips or ():
        why = refusal(address)
        if why:
            refused.append(why)
        elif normal(address) not in good:
            good.append(normal(address))
    if wanted.families:
        rank = {family: index for index, family in enumerate(wanted.families)}
        good.sort(key=lambda address: rank.get("IPv6" if ":" in address else "IPv4", len(rank)))
    reason = decision.reason
    if refused:
        reason += "; refused: " + ", ".join(refused)
    if not good:
        return Decision(None, reason)
    if len(good) > max_ips:
        reason += f"; {max_ips} of {len(good)} addresses, as many as the ServiceImport CRD takes"
    return Decision(tuple(good[:max_ips]), reason)


def _cluster_ip(key: Key, what: str, facts: Facts) -> Decision:
    service = facts.services.get(key)
    if service is None:
        return Decision(None, f"there is no {what} {key[1]}", pending=True)
    if service.type == "ExternalName":
        return Decision(None, f"{what} {key[1]} is an ExternalName: it has no address")
    if not service.cluster_ips:
        return Decision(None, f"{what} {key[1]} has no ClusterIP yet", pending=True)
    if service.cluster_ips == ("None",):
        return Decision(None, f"{what} {key[1]} is headless: it has no ClusterIP")
    return Decision(service.cluster_ips, f"{what} {key[1]}")


def _derived(wanted: Import, facts: Facts) -> Decision:
    namespace, name = wanted.key
    if wanted.space and facts.exported is not None and wanted.key not in facts.exported:
        # Karmada derives a Service nevertheless, whose address nobody answers at.
        return Decision(None, f"the control plane has no ServiceExport {namespace}/{name}: no cluster exports it", held=True)
    return _stranger(wanted, facts) or _cluster_ip((namespace, DERIVED_PREFIX + name), "derived Service", facts)


def _stranger(wanted: Import, facts: Facts) -> Decision | None:
    """No address where the Service of a derived Service's name is not the one that Karmada delivered with the import."""
    name = DERIVED_PREFIX + wanted.key[1]
    service = facts.services.get((wanted.key[0], name))
    if service is None or not wanted.space or service.space == wanted.space:
        return None
    reason = f"Karmada did not deliver Service {name}, so that it is not trusted: delete or rename it, and Karmada makes its own"
    return Decision(None, reason, held=True)


def _native(wanted: Import, facts: Facts) -> Decision:
    return _cluster_ip(wanted.key, "Service", facts)


def _local_first(wanted: Import, facts: Facts) -> Decision:
    local = _cluster_ip(wanted.key, "local Service", facts)
    ready = len(facts.ready.get(wanted.key, ()))
    if local.ips and ready:
        return local._replace(reason=f"{local.reason}, {ready} ready")
    why = f"{local.reason} has no ready endpoint" if local.ips else local.reason
    derived = _derived(wanted, facts)
    return derived._replace(reason=f"{derived.reason}; {why}")


def _endpoints(wanted: Import, facts: Facts) -> Decision:
    namespace, name = wanted.key
    stranger = _stranger(wanted, facts)
    derived = () if stranger else facts.ready.get((namespace, DERIVED_PREFIX + name), ())
    ready: list[str] = []
    for address in [*derived, *facts.ready.get(wanted.key, ())]:
        if not refusal(address) and normal(address) not in ready:
            ready.append(normal(address))
    if not ready and stranger:
        return stranger
    if not ready:
        return Decision(None, f"there is no ready endpoint of {DERIVED_PREFIX}{name} or {name}", pending=True)
    # Those that stand there already come first: a new pod is no reason to change an answer that is still right.
    have = {normal(address) for address in wanted.ips if not refusal(address)}
    ready.sort(key=lambda address: (address not in have, ":" in address, int(ipaddress.ip_address(address))))
    return Decision(tuple(ready), f"{len(ready)} ready endpoint{'s'[: len(ready) != 1]}")


def _load_balancer(wanted: Import, facts: Facts) -> Decision:
    own = facts.services.get(wanted.key)
    if own and balancer_ips(own):
        return Decision(balancer_ips(own), f"load balancer of Service {wanted.key[1]}")
    known = facts.balancers.get(wanted.key, ())
    if facts.unread and not (known and _within(wanted.ips, known)):
        unread = ", ".join(facts.unread[:3]) + (f" and {len(facts.unread) - 3} more" if len(facts.unread) > 3 else "")
        return Decision(None, f"the load balancer of Service {wanted.key[1]} may be on {unread}, which could not be read", leave=True, held=True)
    for member, addresses in known:
        return Decision(addresses, f"load balancer of Service {wanted.key[1]} on {member}")
    hostnames = [hostname for _ip, hostname in own.ingress if hostname] if own and own.type == "LoadBalancer" else []
    if hostnames:
        return Decision(None, f"the load balancer of Service {wanted.key[1]} has only a host name, {hostnames[0]}")
    return Decision(None, f"no load balancer of Service {wanted.key[1]} on any member has an address", pending=True)


def _within(ips: t.Iterable[str], known: t.Iterable[tuple[str, tuple[str, ...]]]) -> bool:
    return {normal(ip) for ip in ips if not refusal(ip)} <= {address for _member, addresses in known for address in addresses}


def _static(wanted: Import, facts: Facts) -> Decision:
    addresses = facts.static.get(wanted.key)
    if addresses is None:
        return Decision(None, "strategy static, but no ips are given for it here", leave=True)
    return Decision(addresses, "given by hand")


_STRATEGIES: dict[str, t.Callable[[Import, Facts], Decision]] = {
    "derived": _derived,
    "native": _native,
    "local_first": _local_first,
    "endpoints": _endpoints,
    "load_balancer": _load_balancer,
    "static": _static,
}
