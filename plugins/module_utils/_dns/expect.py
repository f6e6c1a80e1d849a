# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What DNS has to answer in a member, whether it does, and why not. Pure: no client, no clock, no file.

An *answer* is a dictionary ``{pod, node, name, type, rcode, flags, answers, ttl, authority, time_ms, error}`` as
``_dns_query`` returns it; ``rcode`` is empty where there was none and ``error`` says why.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns.endpoints import Endpoint, headless_records

Object = t.Mapping[str, t.Any]
Answer = t.Mapping[str, t.Any]
Key = tuple[str, str]  # (namespace, name)
# The addresses that an import is to have, and where they come from.
Desired = tuple[tuple[str, ...], str]

# What a name may be made of: RFC 1123 plus the underscore of service labels (RFC 2782).
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_NAME = 253


class Question(t.NamedTuple):
    """A name, taken as fully qualified, and the record type asked for (``A``, ``SRV`` …)."""

    name: str
    type: str


class Expectation(t.NamedTuple):
    """A question and what the right answer to it is.

    ``answers`` are the record data that have to come back, in any order, or None where any will do. ``service`` is
    ``NS/NAME``, empty for the questions about the server itself. ``fault`` says what is wrong with the ServiceImport,
    so that no answer can be right; empty where nothing is. ``drift`` says how the import differs from what it should be,
    ``source`` who says what the right answer is where that is not the import, and ``others`` has answers that are as right.
    """

    service: str
    question: Question
    answers: tuple[str, ...] | None
    fault: str = ""
    drift: str = ""
    source: str = ""
    others: tuple[tuple[str, ...], ...] = ()


class Facts(t.NamedTuple):
    """What is known beside the answers when a cause is looked for.

    ``zone`` is the clusterset zone; ``crd`` whether the cluster has the ServiceImport CRD; ``denied`` the verbs that
    CoreDNS's service account may not use on ServiceImports, None where that was not found out; ``waited`` for how many
    seconds wrong answers were asked again, and ``ttl`` for how many the longest-lived of them could be cached.
    """

    zone: str
    crd: bool = True
    denied: tuple[str, ...] | None = None
    waited: float = 0.0
    ttl: int = 0


def invalid_name(name: str) -> str | None:
    """The sentence that says why ``name`` cannot be asked for, or None where it can. A dot at its end is allowed."""
    bare = name.removesuffix(".")
    if not bare:
        return "A name to ask for is empty: set a fully qualified one, such as kubernetes.default.svc.cluster.local."
    if len(bare) > _LONGEST_NAME:
        return f"The name {bare[:60]}… has {len(bare)} characters; DNS allows {_LONGEST_NAME}."
    for label in bare.split("."):
        if not _LABEL.fullmatch(label):
            return (
                f"{name!r} is no DNS name: its part {label!r} has to have 1 to 63 letters, digits, hyphens and"
                " underscores, with no hyphen at either end."
            )
    return None


def services_of(cluster: str, services: t.Iterable[Object]) -> list[Object]:
    """Those of ``services`` (as module ``service_exports`` takes them) that ``cluster`` imports: all without ``to_clusters``."""
    return [one for one in services if cluster in (one.get("to_clusters") or [cluster])]


def expectations(
    imports: t.Iterable[Object],
    services: t.Sequence[Object],
    zone: str,
    cluster_domain: str,
    kubernetes_ips: t.Sequence[str] = (),
    *,
    desired: t.Mapping[Key, Desired] | None = None,
    endpoints: t.Mapping[Key, t.Sequence[Endpoint]] | None = None,
    delivered: t.Collection[Key] = (),
) -> tuple[list[Expectation], list[str]]:
    """What every CoreDNS pod of a member has to answer.

    :arg imports: the member's ServiceImports.
    :arg services: ``{namespace, name}`` of those to verify; none means every import that has addresses, or should have.
    :arg kubernetes_ips: ClusterIPs of the Service default/kubernetes; with none any address is right.
    :arg desired: what each import's ips are to be. An import that is not in it is right as it is.
    :arg endpoints: the ready endpoints of headless imports, as ``endpoints_of`` gives them.
    :arg delivered: the imports of which endpoints came from another cluster.
    :returns: first the questions of :func:`health`, then those of each service in order; and what was left out, in sentences.
    """
    desired, endpoints = desired or {}, endpoints or {}
    by_name = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in imports}
    if services:
        chosen = [(one["namespace"], one["name"]) for one in services]
    else:
        chosen = sorted(key for key, one in by_name.items() if _in_use(key, one, desired, endpoints, delivered))
    wanted, notes = health(zone, cluster_domain, kubernetes_ips), []
    kinds = tuple(_by_type(kubernetes_ips)) or ("A",)
    for key in dict.fromkeys(chosen):
        service, dns_name = "/".join(key), f"{key[1]}.{key[0]}.svc.{zone}"
        wrong_name = invalid_name(dns_name)
        try:
            if wrong_name:
                raise ValueError(wrong_name)
            found, note = _of_import(service, dns_name, kinds, by_name.get(key), desired.get(key), endpoints.get(key))
            wanted += found
            notes += [note] if note else []
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            fault = f"ServiceImport {service} cannot be understood ({type(error).__name__}: {error})"
            wanted.append(Expectation(service, Question(dns_name, kinds[0]), (), fault))
    return wanted, notes


def _in_use(
    key: Key, found: Object, desired: t.Mapping[Key, Desired], endpoints: t.Mapping[Key, t.Any], delivered: t.Collection[Key]
) -> bool:
    """Whether an import has addresses or should have. A derived Service alone does not say so: Karmada makes it for what nobody exports, too."""
    spec = found.get("spec") or {}
    if spec.get("type") == "Headless":
        return key in endpoints or key in delivered
    return bool(spec.get("ips")) or (key in delivered and bool(desired.get(key, ((), ""))[0]))


def health(zone: str, cluster_domain: str, kubernetes_ips: t.Sequence[str] = ()) -> list[Expectation]:
    """The questions about the server itself: that the cluster's own names are answered, and that the zone is served.

    The TXT record is in Kubernetes' DNS specification (``dns-version``); the plugins kubernetes and multicluster
    answer it without looking at any object.
    """
    by_type = _by_type(kubernetes_ips) or {"A": ()}
    own = f"kubernetes.default.svc.{cluster_domain}"
    return [
        *(Expectation("", Question(own, kind), ips or None) for kind, ips in by_type.items()),
        Expectation("", Question(f"dns-version.{zone}", "TXT"), None),
    ]


def _of_import(
    service: str,
    dns_name: str,
    kinds: tuple[str, ...],
    found: Object | None,
    desired: Desired | None,
    endpoints: t.Sequence[Endpoint] | None,
) -> tuple[list[Expectation], str]:
    """The questions about one service, and what was left out. ``kinds`` are the record types of the cluster's own addresses."""
    spec = (found or {}).get("spec") or {}
    if found is None:
        return _faulty(service, dns_name, kinds, f"there is no ServiceImport {service} in this cluster"), ""
    if spec.get("type") == "Headless":
        return _of_headless(service, dns_name, kinds, endpoints)
    ports, has = spec.get("ports") or [], tuple(spec.get("ips") or ())
    if not ports:
        return _faulty(service, dns_name, kinds, f"ServiceImport {service} has no ports"), ""
    should, reason = desired if desired else (has, "")
    if not has:
        why = f", and should have {', '.join(should)} ({reason})" if should else f": {reason}" if reason else ""
        return _faulty(service, dns_name, tuple(_by_type(should)) or kinds, f"ServiceImport {service} has no ips{why}"), ""
    strange = [ip for ip in has if _address(ip) is None]
    drift = ""
    if {str(_address(ip) or ip) for ip in has} != {str(_address(ip) or ip) for ip in should}:
        drift = f"ServiceImport {service} says {', '.join(has)}, but it should say {', '.join(should) or 'nothing'} ({reason})"
    elif strange:
        return _faulty(service, dns_name, kinds, f"ServiceImport {service} has {strange[0]!r} in its ips, which is no IP address"), ""
    by_type = _by_type(should)
    asked = dict.fromkeys([*by_type, *_by_type(ip for ip in has if ip not in strange)]) or dict.fromkeys(kinds)
    wanted = [Expectation(service, Question(dns_name, kind), by_type.get(kind, ()), drift=drift) for kind in asked]
    for port in ports if should else []:
        if port.get("name"):
            question = Question(f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{dns_name}", "SRV")
            wanted.append(Expectation(service, question, (f"{port['port']} {dns_name}.",)))
    return wanted, ""


def _of_headless(
    service: str, dns_name: str, kinds: tuple[str, ...], endpoints: t.Sequence[Endpoint] | None
) -> tuple[list[Expectation], str]:
    """What EndpointSlices say, as a headless import has no addresses of its own."""
    if endpoints is None:
        fault = f"ServiceImport {service} is headless, and no EndpointSlice is labelled as its own"
        return _faulty(service, dns_name, kinds, fault), ""
    source = f"EndpointSlices of {service} say"
    records, note = headless_records(dns_name, endpoints, kinds)
    return [Expectation(service, Question(name, kind), right, source=source, others=others) for name, kind, right, others in records], (
        f"{service}: {note}" if note else ""
    )


def _faulty(service: str, dns_name: str, kinds: t.Sequence[str], fault: str) -> list[Expectation]:
    return [Expectation(service, Question(dns_name, kind), (), fault) for kind in kinds]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _by_type(ips: t.Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Addresses by the record type that holds them, each type only if it has any."""
    addresses = [one for one in map(_address, ips) if one]
    sorted_out = {
        "A": tuple(str(one) for one in addresses if one.version == 4),
        "AAAA": tuple(str(one) for one in addresses if one.version == 6),
    }
    return {kind: found for kind, found in sorted_out.items() if found}


def http_urls(imports: t.Iterable[Object], services: t.Sequence[Object], zone: str, path: str = "/") -> list[dict[str, str]]:
    """``{service, url}`` for each TCP port of the chosen imports that speaks HTTP.

    That is one whose appProtocol or, without that, whose name is ``http``. Imports without ips, and headless ones, have no URL.
    """
    chosen = {(one["namespace"], one["name"]) for one in services}
    urls = []
    for one in imports:
        key = (one["metadata"]["namespace"], one["metadata"]["name"])
        try:
            urls += [{"service": "/".join(key), "url": url} for url in _urls_of(one, zone, path) if not chosen or key in chosen]
        except (AttributeError, KeyError, TypeError):
            continue  # what is wrong with it is in its row, see expectations
    return urls


def _urls_of(found: Object, zone: str, path: str) -> list[str]:
    spec, urls = found.get("spec") or {}, []
    for port in (spec.get("ports") or []) if spec.get("ips") else []:
        speaks = port.get("appProtocol") or port.get("name")
        if speaks == "http" and port.get("protocol", "TCP") == "TCP":
            number = "" if port["port"] == 80 else f":{port['port']}"
            host = f"{found['metadata']['name']}.{found['metadata']['namespace']}.svc.{zone}"
            urls.append(f"http://{host}{number}/{path.removeprefix('/')}")
    return urls


def comparable(kind: str, answers: t.Iterable[str]) -> tuple[str, ...]:
    """Record data in the form in which expectations have them: an SRV record without its priority and weight."""
    if kind == "SRV":
        answers = (" ".join(one.split()[2:]) for one in answers)
    return tuple(sorted(set(answers)))


def agrees(expected: Expectation, answer: Answer) -> bool:
    """Whether ``answer`` is the right one."""
    if expected.fault or expected.drift or answer["rcode"] not in ("NOERROR", "NXDOMAIN"):
        return False
    found = comparable(expected.question.type, answer["answers"])
    if expected.answers is None or answer["rcode"] == "NXDOMAIN":
        return bool(found) if expected.answers is None else not expected.answers
    return found in [tuple(sorted(set(right))) for right in (expected.answers, *expected.others)]


def serves(zone: str, answers: t.Iterable[Answer]) -> bool | None:
    """Whether the server that gave ``answers`` serves ``zone`` itself; None where no answer tells.

    The ``aa`` flag does not tell: CoreDNS's cache sets it on forwarded answers too (plugin/cache/item.go, still in
    1.12.1). The owner of the SOA record in a negative answer does, and so does the record of the DNS version.
    """
    asked = [one for one in answers if one["rcode"] and _within(one["name"], zone)]
    if not asked:
        return None
    version = f"dns-version.{zone}"
    return any(_from(zone, one) or (one["name"].rstrip(".") == version and bool(one["answers"])) for one in asked)


def verify(wanted: t.Iterable[Expectation], answers: t.Iterable[Answer], facts: Facts) -> list[dict[str, t.Any]]:
    """Each pod's answers beside what was expected.

    :arg wanted: first :func:`health`, whose last question tells whether the pod serves the zone.
    :arg answers: of all pods. A pod that does not serve the zone need not be asked more than :func:`health`: a question
        without an answer has the verdict and cause of the one that tells.
    :returns: the answers' own keys plus ``service``, ``expected`` (a list, or None where any answer is right), ``ok``,
        ``verdict`` (a word, see :func:`diagnose`) and ``cause``, a sentence, empty where it is ok.
    """
    by_pod: dict[str, dict[Question, Answer]] = {}
    for answer in answers:
        by_pod.setdefault(answer["pod"], {})[Question(answer["name"], answer["type"])] = answer
    wanted = list(wanted)
    rows = []
    for pod, given in by_pod.items():
        served = serves(facts.zone, given.values())
        node = next(iter(given.values()))["node"]
        verdict, cause = "", ""
        for expected in wanted:
            answer = given.get(expected.question)
            ok = answer is not None and agrees(expected, answer)
            if ok:
                verdict, cause = "ok", ""
            elif answer:
                verdict, cause = diagnose(expected, answer, served, facts)
            elif served and expected.fault:
                # not a name that can be asked for
                verdict, cause = "error", f"{expected.fault}."
            rows.append(
                {
                    **(answer or _unasked(pod, node, expected.question)),
                    "service": expected.service,
                    "expected": None if expected.answers is None else list(expected.answers),
                    "ok": ok,
                    "verdict": verdict,
                    "cause": cause,
                }
            )
    return rows


def _unasked(pod: str, node: str, question: Question) -> dict[str, t.Any]:
    nothing = {"rcode": "", "flags": [], "answers": [], "ttl": None, "authority": "", "time_ms": None, "error": ""}
    return {"pod": pod, "node": node, **question._asdict(), **nothing}


_AROUND = "a forward goes around it, as in NodeLocal DNSCache. Each DNS server that pods ask needs the zone."
_SILENT = " If it answers other names, it forwards {zone} to a server that is silent instead of serving it."
_UNSEEN = (
    "CoreDNS does not see changes of ServiceImports any more (its log says why; the CRD has to serve v1alpha1), or it"
    " has not reloaded its Corefile."
)
_HIDDEN = "The options namespaces, labels and ignore empty_service of its server block can hide a service."


def diagnose(expected: Expectation, answer: Answer, served: bool | None, facts: Facts) -> tuple[str, str]:
    """What is wrong with an answer that is not the right one.

    :arg served: what :func:`serves` says of the pod.
    :returns: a sentence that says what is wrong and where to look, and before it a word: ``error`` (no answer at all),
        ``refused`` (zone not served), ``upstream`` (someone else answered), ``servfail`` (CRD or RBAC), ``nxdomain``
        (no import or no ports), ``nodata`` (no ips), ``stale`` (the import says something else). For the cluster's own
        names the words are those of the response code.
    """
    zone, rcode = facts.zone, answer["rcode"]
    got = "NODATA" if rcode == "NOERROR" and not answer["answers"] else rcode
    if answer["error"]:
        hint = "" if served or not _within(expected.question.name, zone) else _SILENT.format(zone=zone)
        return "error", answer["error"] + hint
    if not _within(expected.question.name, zone):
        return _own_name(expected, answer, got)
    if not served:
        return _not_served(zone, answer, got)
    if rcode == "SERVFAIL":
        return "servfail", f"SERVFAIL: CoreDNS serves {zone} but has not read the ServiceImports: {_unsynced(facts)}"
    if rcode == "REFUSED":
        return "refused", f"REFUSED: {zone} is served but not to this client. Look for acl or view in its server block."
    if got == "NOERROR" and "aa" not in answer["flags"]:
        return "upstream", f"{_given(answer)}, which did not come from {zone}'s server block: {_AROUND}"
    if expected.fault and got in ("NXDOMAIN", "NODATA"):
        return got.lower(), f"{got}: {expected.fault}. {_remedy(expected.fault)}"
    if expected.drift:
        return "stale", f"Stale: {_given(answer)}; {expected.drift}. Run module serviceimport_ips."
    if not expected.service:
        return got.lower(), f"{got}: {zone} is served, but not from ServiceImports: no multicluster in its block."
    source = expected.source or f"ServiceImport {expected.service} says"
    says = expected.fault or f"{source} {', '.join(expected.answers or ['otherwise'])}"
    return "stale", f"Stale: {_given(answer)}, but {says.rstrip('.')}. {_since(answer, got, facts)}"


def _own_name(expected: Expectation, answer: Answer, got: str) -> tuple[str, str]:
    name = expected.question.name
    if answer["answers"]:
        return "stale", f"{_given(answer)} for {name}, but the Service has {', '.join(expected.answers or ())}."
    domain = name.partition(".svc.")[2]
    return got.lower(), f"{got} for {name}: this pod does not answer the cluster's own names. Is {domain} its domain?"


def _not_served(zone: str, answer: Answer, got: str) -> tuple[str, str]:
    todo = (
        f"this pod does not serve {zone}. Run module coredns_multicluster; where that was done, the pod has not"
        " reloaded its Corefile yet, or it is a cache such as NodeLocal DNSCache that needs the zone as well."
    )
    if got == "REFUSED":
        return "refused", f"REFUSED: {todo}"
    return "upstream", f"{got} from an upstream server (its authority: {answer['authority'] or 'none'}): {todo}"


def _unsynced(facts: Facts) -> str:
    if not facts.crd:
        return "there is no CRD serviceimports.multicluster.x-k8s.io. Run module mcs_crds."
    if facts.denied:
        return f"RBAC does not let its service account {' and '.join(facts.denied)} them. Run module coredns_multicluster."
    if facts.denied is None:
        return "RBAC has to let its service account list and watch them. Run module coredns_multicluster."
    return "CRD and RBAC are as they should be, so it may still be starting; its log says more."


def _remedy(fault: str) -> str:
    if fault.startswith("there is no"):
        return "Was the service exported to this cluster (module service_exports)?"
    if fault.endswith("has no ports"):
        return "Give the ServiceImport its ports: without them the name does not exist."
    if "headless" in fault:
        return "Run module serviceimport_ips: Karmada delivers EndpointSlices without the labels by which CoreDNS finds them."
    if "is no IP address" in fault or "cannot be understood" in fault:
        return "Correct it: CoreDNS answers with what is in there."
    return "Run module serviceimport_ips: Karmada does not fill them in."


def _since(answer: Answer, got: str, facts: Facts) -> str:
    """Whether a cache explains a stale answer, which it does not for longer than the answer lives."""
    ttl = max(facts.ttl, answer["ttl"] or 0)
    if facts.waited <= ttl:
        return f"It may be cached for {ttl} s: ask again after that."
    hidden = f" {_HIDDEN}" if got == "NXDOMAIN" else ""
    return f"It was so for {facts.waited:.0f} s, longer than it may be cached: {_UNSEEN}{hidden}"


def _given(answer: Answer) -> str:
    if answer["answers"]:
        return f"answered {', '.join(answer['answers'])}"
    return "NODATA" if answer["rcode"] == "NOERROR" else answer["rcode"]


def _from(zone: str, answer: Answer) -> bool:
    return answer["authority"].rstrip(".").lower() == zone.lower()


def _within(name: str, zone: str) -> bool:
    return f".{name.rstrip('.').lower()}".endswith(f".{zone.lower()}")
