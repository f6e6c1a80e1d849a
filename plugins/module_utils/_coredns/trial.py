# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Starts a Corefile with an image in a pod of its own, beside CoreDNS's, and asks it, before either is live. What the pod is, is in ``proof.py``."""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics, pods, proof, rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Source, Workload
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse, plugins_used, port_of
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect, query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.rights import describe_right
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

__all__ = ["Candidate", "RefutedError", "clean", "prove", "require_rights"]

RIGHTS = [{"verb": verb, "group": "multicluster.x-k8s.io", "resource": "serviceimports"} for verb in ("list", "watch")]
# How long a right that was just granted may take to be seen: the API server's authorizer watches roles and bindings.
_RIGHTS_SECONDS = 10.0
# Why a node does not get an image.
_NOT_THERE = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_GET_IT = "A node does not get the image {image}. Set image, or image_prefix and image_version, to one that all nodes have or reach."


class RefutedError(Exception):
    """What was to be proven is not so, as a sentence."""


class Candidate(t.NamedTuple):
    """What is to be proven: a Corefile (``text``) with an image, for the pods of a workload, on nodes of an architecture ('' for any).

    ``imports`` and ``env`` are what is known of the Corefile's surroundings, see :func:`_corefile.parser.parse`.
    """

    workload: Workload
    text: str
    image: str
    architecture: str = ""
    imports: t.Mapping[str, str] | None = None
    env: t.Mapping[str, str] | None = None


def require_rights(cluster: Cluster, namespace: str, account: str) -> list[str]:
    """See that a service account may read ServiceImports. :returns: what could not be found out, a sentence each.

    :raises RefutedError: it may not.
    """
    denied, granted = Waiter(_RIGHTS_SECONDS).until(lambda: cluster.denied(namespace, account, RIGHTS), lambda found: not found)
    if denied is None:
        return ["The credentials may not create subjectaccessreviews, so CoreDNS's rights were proven by its answers alone."]
    if not granted:
        raise RefutedError(
            f"CoreDNS's service account {namespace}/{account} may not {' nor '.join(map(describe_right, denied))}, without which it would not"
            " answer. See who takes that right away."
        )
    return []


def clean(cluster: Cluster, one: Workload) -> None:
    """Remove the pods and ConfigMaps that proofs of this workload have left behind, whoever began them."""
    for path in (pods.path_of(one.namespace), f"/api/v1/namespaces/{one.namespace}/configmaps"):
        for found in cluster.list(path, label_selector=f"{proof.LABEL}={one.name}"):
            cluster.delete(f"{path}/{found['metadata']['name']}", found=found)


def prove(cluster: Cluster, candidate: Candidate, zone: str, cluster_domain: str, kubernetes_ips: t.Sequence[str], seconds: float) -> str:
    """Prove it. :returns: the hash by which the pod names the Corefile; '' without the plugin ``reload``.

    :raises RefutedError: it is not so.
    """
    trial = _Trial(cluster, candidate, seconds)
    missing, missing_in_zone = proof.missing_names(zone, cluster_domain)
    same = {missing: trial.live_rcode(missing), missing_in_zone: "NXDOMAIN"}
    wanted = proof.expectations(zone, cluster_domain, kubernetes_ips)
    with trial.pod() as name:
        trial.started(name)
        trial.answers(name, wanted, same)
        log = f"{pods.path_of(candidate.workload.namespace, name)}/log?container={candidate.workload.container}"
        return metrics.running_hash(cluster.text(log))


class _Trial:
    def __init__(self, cluster: Cluster, candidate: Candidate, seconds: float) -> None:
        self.cluster = cluster
        self.candidate = candidate
        self.workload = candidate.workload
        self.corefile = parse(candidate.text, imports=candidate.imports, env=candidate.env)
        self.seconds = seconds
        self.waiter = Waiter(seconds)
        self._pods = pods.path_of(self.workload.namespace)
        self._config_maps = f"/api/v1/namespaces/{self.workload.namespace}/configmaps"

    @contextlib.contextmanager
    def pod(self) -> t.Iterator[str]:
        """The pod's name, for as long as it is there."""
        # a workload whose Corefile is in no ConfigMap is refused before
        source = t.cast(Source, self.workload.source)
        live = self.cluster.get(f"{self._config_maps}/{source.configmap}") or {}
        config_map = self.cluster.create(self._config_maps, proof.config_map(live, source.key, self.candidate.text, self.workload.name))
        name = config_map["metadata"]["name"]
        made = {self._config_maps: config_map}
        try:
            body = proof.pod(
                self.workload.item,
                self.workload.runs,
                self.candidate.image,
                source.configmap,
                config_map,
                int(self.seconds) + 60,
                self.candidate.architecture,
            )
            made[self._pods] = self.cluster.create(self._pods, body)
            yield name
        finally:
            for path in (self._pods, self._config_maps):
                # the first cause is what counts; what is left has a label by which it is found
                with contextlib.suppress(ApiError):
                    self.cluster.delete(f"{path}/{name}", found=made.get(path))

    def started(self, name: str) -> None:
        """Wait until CoreDNS runs in the pod, with a look at its plugins on the way."""
        while True:
            pod = self._read(name)
            if pod["status"].get("phase") == "Running":
                break
            if not self.waiter.pause():
                raise RefutedError(f"{rollout.unscheduled(pod) or f'pod {name} did not start'} within {self.seconds:g} s.")
        known = proof.plugins_in(self.cluster.text(f"{self._pods}/{name}/log?container={proof.LISTER}"))
        used = {plugin: block["line"] for block in plugins_used(self.corefile) for plugin in block["plugins"]}
        if unknown := sorted(set(used) - known):
            raise RefutedError(
                f"the image {self.candidate.image} does not have the plugin{'s' * (len(unknown) > 1)} {', '.join(unknown)}, which the Corefile"
                f" uses in its server block of line {used[unknown[0]]}. Take an image that has them."
            )

    def answers(self, name: str, wanted: list[expect.Expectation], same: dict[expect.Question, str]) -> None:
        """Ask until all is right. ``same`` are the response codes that questions have to get."""
        questions = [one.question for one in wanted] + list(same)
        while True:
            self._read(name)
            said: list[dict[str, t.Any]] = []
            for question in questions:
                port = port_of(self.corefile, question.name, self.workload.dns_port)
                pod = {"pod": name, "node": "", "error": ""}
                said += query.ask_pods(self.cluster, self.workload.namespace, [pod], [question], port=port, timeout=3)
            wrong = [(one.question, answer) for one, answer in zip(wanted, said, strict=False) if not expect.agrees(one, answer)]
            rest = zip(same.items(), said[len(wanted) :], strict=True)
            wrong += [(question, answer) for (question, rcode), answer in rest if answer["rcode"] != rcode]
            if not wrong:
                return
            if not self.waiter.pause():
                question, answer = wrong[0]
                right = f", where {same[question]} is right" if question in same else ""
                words = answer["error"] or f"it says {answer['rcode']} {', '.join(answer['answers'])}".rstrip()
                raise RefutedError(
                    f"a pod with the new Corefile and image {self.candidate.image} does not answer {question.name} {question.type} as it"
                    f" should: {words.rstrip('.')}{right}. {self._last_words(name)}".rstrip()
                )

    def live_rcode(self, question: expect.Question) -> str:
        """What CoreDNS's own pods answer; NXDOMAIN where none is there to ask."""
        live = [{"pod": pod["metadata"]["name"], "node": "", "error": ""} for pod in rollout.serving(pods.of(self.cluster, self.workload))[:1]]
        port = port_of(self.corefile, question.name, self.workload.dns_port)
        answers = query.ask_pods(self.cluster, self.workload.namespace, live, [question], port=port)
        return answers[0]["rcode"] or "NXDOMAIN" if answers else "NXDOMAIN"

    def _read(self, name: str) -> dict[str, t.Any]:
        """The pod. :raises RefutedError: it will not run."""
        pod = self.cluster.get(f"{self._pods}/{name}", missing_ok=True)
        if pod is None:
            raise RefutedError(f"pod {name} is gone, which someone else has deleted. Run this again.")
        if words := rollout.trouble(pod):
            advice = _GET_IT.format(image=self.candidate.image) if any(reason in words for reason in _NOT_THERE) else ""
            raise RefutedError(" ".join(filter(None, (f"{words}.", advice, self._last_words(name)))))
        return pod

    def _last_words(self, name: str) -> str:
        return pods.last_words(self.cluster, self.workload.namespace, name, self.workload.container, proof.LISTER)
