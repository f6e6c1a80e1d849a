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

Object = t.Mapping[str, t.Any]
Answer = t.Mapping[str, t.Any]

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
    so that no answer can be right; empty where nothing is.
    """

    service: str
    question: Question
    answers: tuple[str, ...] | None
    fault: str = ""


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
    """Those of ``services`` (as in ``clusterset_services``) that ``cluster`` imports: all without ``to_clusters``."""
    return [one for one in services if cluster in (one.get("to_clusters") or [cluster])]


def expectations(
    imports: t.Iterable[Object],
    services: t.Sequence[Object],
    zone: str,
    cluster_domain: str,
    kubernetes_ips: t.Sequence[str] = (),
) -> list[Expectation]:
    """What every CoreDNS pod of a member has to answer.

    :arg imports: the member's ServiceImports.
    :arg services: ``{namespace, name}`` of those to verify; none means every import that has ips.
    :arg kubernetes_ips: ClusterIPs of the Service default/kubernetes; with none any address is right.
    :returns: first the questions of :func:`health`, then those of each service in order.
    """
    by_name = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in imports}
    if services:
        chosen = [(one["namespace"], one["name"]) for one in services]
    else:
        chosen = sorted(key for key, one in by_name.items() if one["spec"].get("ips"))
    wanted = health(zone, cluster_domain, kubernetes_ips)
    for namespace, name in dict.fromkeys(chosen):
        wanted.extend(_of_import(namespace, name, by_name.get((namespace, name)), zone))
    return wanted


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


def _of_import(namespace: str, name: str, found: Object | None, zone: str) -> list[Expectation]:
    service, dns_name = f"{namespace}/{name}", f"{name}.{namespace}.svc.{zone}"
    spec = found["spec"] if found else {}
    ports, by_type = spec.get("ports") or [], _by_type(spec.get("ips") or [])
    fault = ""
    if found is None:
        fault = f"there is no ServiceImport {service} in this cluster"
    elif not ports:
        fault = f"ServiceImport {service} has no ports"
    elif spec.get("type") == "Headless":
        # Its addresses are in EndpointSlices, not in the import.
        return [Expectation(service, Question(dns_name, "A"), None)]
    elif not by_type:
        fault = f"ServiceImport {service} has no ips"
    if fault:
        return [Expectation(service, Question(dns_name, "A"), (), fault)]
    wanted = [Expectation(service, Question(dns_name, kind), ips) for kind, ips in by_type.items()]
    for port in ports:
        if port.get("name"):
            question = Question(f"_{port['name']}._{port.get('protocol', 'TCP').lower()}.{dns_name}", "SRV")
            wanted.append(Expectation(service, question, (f"{port['port']} {dns_name}.",)))
    return wanted


def _by_type(ips: t.Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Addresses by the record type that holds them, each type only if it has any."""
    addresses = [ipaddress.ip_address(ip) for ip in ips]
    sorted_out = {
        "A": tuple(str(one) for one in addresses if one.version == 4),
        "AAAA": tuple(str(one) for one in addresses if one.version == 6),
    }
    return {kind: found for kind, found in sorted_out.items() if found}


def http_urls(imports: t.Iterable[Object], services: t.Sequence[Object], zone: str, path: str = "/") -> list[dict[str, str]]:
    """``{service, url}`` for each TCP port of the chosen imports that speaks HTTP.

    That is one whose appProtocol or, without that, whose name is ``http``. Imports without ips have no URL.
    """
    chosen = {(one["namespace"], one["name"]) for one in services}
    urls = []
    for one in imports:
        namespace, name = one["metadata"]["namespace"], one["metadata"]["name"]
        if (chosen and (namespace, name) not in chosen) or not one["spec"].get("ips"):
            continue
        for port in one["spec"].get("ports") or []:
            speaks = port.get("appProtocol") or port.get("name")
            if speaks == "http" and port.get("protocol", "TCP") == "TCP":
                number = "" if port["port"] == 80 else f":{port['port']}"
                url = f"http://{name}.{namespace}.svc.{zone}{number}/{path.removeprefix('/')}"
                urls.append({"service": f"{namespace}/{name}", "url": url})
    return urls


def comparable(kind: str, answers: t.Iterable[str]) -> tuple[str, ...]:
    """Record data in the form in which expectations have them: an SRV record without its priority and weight."""
    if kind == "SRV":
        answers = (" ".join(one.split()[2:]) for one in answers)
    return tuple(sorted(set(answers)))


def agrees(expected: Expectation, answer: Answer) -> bool:
    """Whether ``answer`` is the right one."""
    if expected.fault or answer["rcode"] != "NOERROR":
        return False
    found = comparable(expected.question.type, answer["answers"])
    return bool(found) if expected.answers is None else found == tuple(sorted(set(expected.answers)))


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
    if not expected.service:
        return got.lower(), f"{got}: {zone} is served, but not from ServiceImports: no multicluster in its block."
    says = expected.fault or f"ServiceImport {expected.service} says {', '.join(expected.answers or ['otherwise'])}"
    return "stale", f"Stale: {_given(answer)}, but {says.rstrip('.')}. {_since(answer, got, facts)}"


def _own_name(expected: Expectation, answer: Answer, got: str) -> tuple[str, str]:
    name = expected.question.name
    if answer["answers"]:
        return "stale", f"{_given(answer)} for {name}, but the Service has {', '.join(expected.answers or ())}."
    domain = name.partition(".svc.")[2]
    return got.lower(), f"{got} for {name}: this pod does not answer the cluster's own names. Is {domain} its domain?"


def _not_served(zone: str, answer: Answer, got: str) -> tuple[str, str]:
    todo = (
        f"this pod does not serve {zone}. Run the role coredns_multicluster; where that was done, the pod has not"
        " reloaded its Corefile yet, or it is a cache such as NodeLocal DNSCache that needs the zone as well."
    )
    if got == "REFUSED":
        return "refused", f"REFUSED: {todo}"
    return "upstream", f"{got} from an upstream server (its authority: {answer['authority'] or 'none'}): {todo}"


def _unsynced(facts: Facts) -> str:
    if not facts.crd:
        return "there is no CRD serviceimports.multicluster.x-k8s.io. Run the role mcs_crds."
    if facts.denied:
        return f"RBAC does not let its service account {' and '.join(facts.denied)} them. Run coredns_multicluster."
    if facts.denied is None:
        return "RBAC has to let its service account list and watch them. Run the role coredns_multicluster."
    return "CRD and RBAC are as they should be, so it may still be starting; its log says more."


def _remedy(fault: str) -> str:
    if fault.startswith("there is no"):
        return "Was the service exported to this cluster (role service_exports)?"
    if "ports" in fault:
        return "Give the ServiceImport its ports: without them the name does not exist."
    return "Run the role serviceimport_ips: Karmada does not fill them in."


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
