# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Asks the DNS servers of a cluster, pod by pod, over TCP through the API server."""

from __future__ import annotations

import itertools
import time
import traceback
import typing as t
from concurrent.futures import ThreadPoolExecutor

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Question
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule
    from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster, Forward

try:
    import dns.exception
    import dns.flags
    import dns.message
    import dns.query
    import dns.rcode
    import dns.rdatatype

    DNSPYTHON_IMPORT_ERROR: str | None = None
except ImportError:
    DNSPYTHON_IMPORT_ERROR = traceback.format_exc()

Answer = dict[str, t.Any]
Then = t.Callable[[t.Sequence[Answer]], t.Sequence[Question]]

# Which pods to ask, and how: documented in doc_fragments/dns_pods.py.
PODS_ARG_SPEC: dict[str, t.Any] = {
    "cluster": {},
    "namespace": {"default": "kube-system"},
    "label_selector": {"default": "k8s-app=kube-dns"},
    "pods": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int", "default": 53},
    "timeout": {"type": "float", "default": 5},
    "wait_sleep": {"type": "float", "default": 1},
}

# Pods asked at the same time.
_PARALLEL = 16
# A server that gave no answer this often in a row is not asked any more: each time may cost a whole timeout.
_FAILURES = 2


def require_library(module: AnsibleModule) -> None:
    """Fail the module with a sentence when dnspython is not installed."""
    if DNSPYTHON_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("dnspython"), exception=DNSPYTHON_IMPORT_ERROR)


def find_pods(cluster: Cluster, namespace: str, label_selector: str, names: t.Sequence[str] = ()) -> list[dict[str, t.Any]]:
    """The pods to ask: those of ``names``, or all of ``label_selector`` that are neither finished nor being deleted.

    :returns: per pod ``{pod, node, service_account, owner, ports, error}``; ``owner`` is its controller's uid, ``ports`` has those of its
        containers by name, and ``error`` says why it cannot be asked, else empty.
    :raises ApiError: pods cannot be listed, or none is found.
    """
    listed = cluster.list(f"/api/v1/namespaces/{namespace}/pods", label_selector="" if names else label_selector)
    by_name = {one["metadata"]["name"]: one for one in listed}
    if names:
        return [_described(name, by_name.get(name), namespace) for name in dict.fromkeys(names)]
    pods = [
        _described(name, one, namespace)
        for name, one in sorted(by_name.items())
        if one["status"].get("phase") not in ("Succeeded", "Failed") and not one["metadata"].get("deletionTimestamp")
    ]
    if not pods:
        raise ApiError(
            cluster.name,
            f"{cluster.name}: no running pod in namespace {namespace} has the labels {label_selector}. Set namespace"
            " and label_selector to those of the cluster's DNS server.",
            reason="NotFound",
        )
    return pods


def _described(name: str, pod: dict[str, t.Any] | None, namespace: str) -> dict[str, t.Any]:
    if pod is None:
        nothing = {"node": "", "service_account": "", "owner": "", "ports": {}}
        return {"pod": name, **nothing, "error": f"There is no pod {namespace}/{name}."}
    phase = pod["status"].get("phase", "Unknown")
    return {
        "pod": name,
        "node": pod["spec"].get("nodeName", ""),
        "service_account": pod["spec"].get("serviceAccountName", "default"),
        "owner": next((one["uid"] for one in pod["metadata"].get("ownerReferences") or [] if one.get("controller")), ""),
        "ports": {
            port["name"]: port["containerPort"]
            for container in pod["spec"].get("containers") or []
            for port in container.get("ports") or []
            if port.get("name")
        },
        "error": "" if phase == "Running" else f"Pod {namespace}/{name} cannot be asked: it is {phase}, not Running.",
    }


def ask_pods(
    cluster: Cluster,
    namespace: str,
    pods: t.Iterable[t.Mapping[str, t.Any]],
    questions: t.Sequence[Question],
    *,
    port: int = 53,
    timeout: float = 5.0,
    then: Then = lambda _answers: (),
) -> list[Answer]:
    """Every pod's answer to every question; pods in parallel, each with one connection for all questions.

    :arg pods: as :func:`find_pods` returns them.
    :arg then: what a pod is asked as well, by what it answered.
    :returns: per pod and question ``{pod, node}`` and the keys of :func:`ask`, in the order of pods and questions.
    """

    def of_pod(pod: t.Mapping[str, t.Any]) -> list[Answer]:
        if pod["error"]:
            answers = [_failed(question, pod["error"]) for question in questions]
        else:
            answers = ask(lambda: cluster.port_forward(namespace, pod["pod"], port), questions, timeout, then)
        return [{"pod": pod["pod"], "node": pod["node"], **answer} for answer in answers]

    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        return [answer for answers in pool.map(of_pod, pods) for answer in answers]


def wait(
    ask_all: t.Callable[[float], list[dict[str, t.Any]]],
    right: t.Callable[[dict[str, t.Any]], bool],
    timeout: float,
    pause: float,
) -> tuple[list[dict[str, t.Any]], float]:
    """Rounds until every row is right or ``timeout`` seconds are over.

    :arg ask_all: one round; gets the seconds since the first one began.
    :arg pause: seconds between two rounds.
    :returns: the last round's rows, and the seconds that all took.
    """
    start = time.monotonic()
    while True:
        rows = ask_all(time.monotonic() - start)
        elapsed = time.monotonic() - start
        if all(map(right, rows)) or elapsed + pause > timeout:
            return rows, elapsed
        time.sleep(pause)


class _Connection:
    """A connection to one server, opened when it is first needed, and again after the server closed it."""

    def __init__(self, connect: t.Callable[[], Forward], timeout: float) -> None:
        self._connect = connect
        self._timeout = timeout
        self._forward: Forward | None = None

    def exchange(self, query: dns.message.Message) -> dns.message.Message:
        used = self._forward is not None
        try:
            return self._send(query)
        except (EOFError, OSError):
            # Only on a connection that was good before: CoreDNS closes it when it was idle, or after max_tcp_queries.
            if not used:
                raise
            return self._send(query)

    def _send(self, query: dns.message.Message) -> dns.message.Message:
        if self._forward is None:
            self._forward = self._connect()
            self._forward.socket.setblocking(False)  # dnspython keeps the time itself
        try:
            return dns.query.tcp(query, "", timeout=self._timeout, sock=self._forward.socket)
        except BaseException as error:
            words = self._forward.error()
            self.close()
            if isinstance(error, (EOFError, OSError)) and words:
                raise EOFError(words) from error
            raise

    def close(self) -> None:
        if self._forward is not None:
            self._forward.socket.close()
            self._forward = None


def ask(
    connect: t.Callable[[], Forward], questions: t.Sequence[Question], timeout: float = 5.0, then: Then = lambda _answers: ()
) -> list[Answer]:
    """Ask one server all ``questions``, one after another, over as few connections as it allows.

    :arg connect: opens a connection; raises ApiError where it cannot.
    :arg timeout: seconds for one answer.
    :arg then: the questions that come after these, by their answers.
    :returns: per question ``{name, type, rcode, flags, answers, ttl, authority, time_ms, error}``. ``ttl`` is how many
        seconds the answer may be cached (None where no record says so); ``authority`` is the owner of the SOA record
        that a negative answer has; ``error`` is a sentence where there was no answer.
    """
    answers: list[Answer] = []
    connection = _Connection(connect, timeout)
    failures, error = 0, ""
    # not before the first ones are answered
    later = (question for more in map(then, (answers,)) for question in more)
    for question in itertools.chain(questions, later):
        if failures == _FAILURES:
            answers.append(_failed(question, error))
            continue
        try:
            message = connection.exchange(dns.message.make_query(question.name, question.type))
        except ApiError as refusal:
            error = str(refusal)
        except dns.exception.Timeout:
            error = f"No answer within {timeout:g} s."
        except (EOFError, OSError) as closed:
            error = f"The connection was closed without an answer: {str(closed).strip()}."
        except dns.exception.DNSException as garbled:
            error = f"What came back is not a DNS answer: {garbled}"
        else:
            failures = 0
            answers.append(_read(question, message))
            continue
        failures += 1
        answers.append(_failed(question, error))
    connection.close()
    return answers


def _read(question: Question, message: dns.message.Message) -> Answer:
    soa = next((one for one in message.authority if one.rdtype == dns.rdatatype.SOA), None)
    counted = [one.ttl for one in message.answer] or ([soa.ttl] if soa else [])
    return {
        **question._asdict(),
        "rcode": dns.rcode.to_text(message.rcode()),
        "flags": dns.flags.to_text(message.flags).lower().split(),
        "answers": [
            record.to_text() for records in message.answer if records.rdtype == dns.rdatatype.from_text(question.type) for record in records
        ],
        "ttl": min(counted) if counted else None,
        "authority": soa.name.to_text() if soa else "",
        "time_ms": round(message.time * 1000, 1),
        "error": "",
    }


def _failed(question: Question, error: str) -> Answer:
    return {
        **question._asdict(),
        "rcode": "",
        "flags": [],
        "answers": [],
        "ttl": None,
        "authority": "",
        "time_ms": None,
        "error": error,
    }
