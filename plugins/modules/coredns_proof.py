#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns_proof
short_description: Prove that a Corefile and an image work before CoreDNS gets them
version_added: 0.1.0
description:
  - Starts one pod beside CoreDNS's own, made of the same Deployment's template and under the same service account, with the image
    and the Corefile that CoreDNS is to run. No Service selects it, so no client ever asks it.
  - Before that it sees that the service account may list and watch ServiceImports (SubjectAccessReview).
  - The pod lists the image's plugins (C(coredns -plugins)), of which every one in the Corefile has to be one. Then it starts with the
    Corefile and is asked for C(kubernetes.default) in the cluster domain, for C(dns-version) in the zone, and for a name that does not
    exist in each. For the one in the cluster domain it has to say what CoreDNS's own pods say, for the one in the zone C(NXDOMAIN).
  - The pod and the copy of the ConfigMap that it mounts are deleted in any case. Should the module be killed, the cluster ends
    the pod by itself, and the next run removes what is left.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - dnspython
attributes:
  check_mode:
    support: partial
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - In check mode nothing is started and nothing is proven.
  diff_mode:
    support: N/A
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    details:
      - This module leaves nothing behind.
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  namespace:
    description: The namespace of CoreDNS.
    type: str
    default: kube-system
  deployment:
    description: The Deployment that runs CoreDNS.
    type: str
    default: coredns
  corefile:
    description: The Corefile to prove.
    type: str
    required: true
  image:
    description: The image to prove. Empty takes the one that the Deployment runs.
    type: str
    default: ""
  zone:
    description: The zone of the clusterset.
    type: str
    default: clusterset.local
  cluster_domain:
    description: The DNS domain of the cluster itself.
    type: str
    default: cluster.local
  reads_service_imports:
    description: Whether CoreDNS itself reads ServiceImports, which it does not where it forwards the zone.
    type: bool
    default: true
  timeout:
    description: How long the image may take to be pulled and the pod to answer, in seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Compute the Corefile
  clusterset.dns.corefile:
    zone: clusterset.local
  check_mode: true
  register: candidate

- name: Prove it
  clusterset.dns.coredns_proof:
    corefile: "{{ candidate.corefile }}"
    image: registry.example.com/coredns:1.15.0
"""

RETURN = r"""
answers:
  description: What the pod answered to each question, as M(clusterset.dns.dns_query_info) returns it.
  returned: success, outside check mode
  type: list
  elements: dict
reload_sha512:
  description: The hash by which the pod names the Corefile that it runs, files that it imports included; empty without the plugin C(reload).
  returned: success, outside check mode
  type: str
notes:
  description: What could not be proven, in sentences.
  returned: success
  type: list
  elements: str
duration:
  description: How long it took, in seconds.
  returned: success
  type: float
"""

import contextlib
import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import metrics as _metrics
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import proof as _proof
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rollout as _rollout
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import model as _corefile
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect as _dns
from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module
from ansible_collections.clusterset.dns.plugins.module_utils._kube.rights import describe_right

ARGUMENT_SPEC = {
    "namespace": {"default": "kube-system"},
    "deployment": {"default": "coredns"},
    "corefile": {"required": True},
    "image": {"default": ""},
    "zone": {"default": "clusterset.local"},
    "cluster_domain": {"default": "cluster.local"},
    "reads_service_imports": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 120},
}
RIGHTS = [{"verb": verb, "group": "multicluster.x-k8s.io", "resource": "serviceimports"} for verb in ("list", "watch")]
# How long a right that was just granted may take to be seen: the API server's authorizer watches roles and bindings.
_RIGHTS_SECONDS = 10.0
_PAUSE = 0.5


class Refuted(Exception):
    """What was to be proven is not so, as a sentence."""


class Proof:
    """One Corefile with one image on one cluster."""

    def __init__(self, cluster: Cluster, params: dict[str, t.Any], deployment: dict[str, t.Any], corefile: t.Any) -> None:
        self.cluster = cluster
        self.params = params
        self.deployment = deployment
        self.corefile = corefile
        self.found = _member.coredns(deployment)
        self.container = _member.container(deployment)
        self.image = params["image"] or self.found["image"]
        self.until = time.monotonic() + params["timeout"]
        self._pods = f"/api/v1/namespaces/{params['namespace']}/pods"
        self._config_maps = f"/api/v1/namespaces/{params['namespace']}/configmaps"

    def rights(self) -> list[str]:
        """See that the service account may read ServiceImports. :returns: what could not be found out."""
        account = self.found["service_account"]
        until = time.monotonic() + _RIGHTS_SECONDS
        while True:
            denied = self.cluster.denied(self.params["namespace"], account, RIGHTS)
            if denied is None:
                return ["The credentials may not create subjectaccessreviews, so CoreDNS's rights were proven by its answers alone."]
            if not denied:
                return []
            if time.monotonic() > until:
                raise Refuted(
                    f"CoreDNS's service account {self.params['namespace']}/{account} may not"
                    f" {' nor '.join(map(describe_right, denied))}, without which it would not answer. Give it that"
                    " right (role coredns_multicluster, tag rbac), or see who takes it away."
                )
            time.sleep(_PAUSE)

    def clean(self) -> None:
        """Remove what a run that was killed left behind."""
        for path in (self._pods, self._config_maps):
            for one in self.cluster.list(path, label_selector=f"{_proof.LABEL}={self.params['deployment']}"):
                self.cluster.delete(f"{path}/{one['metadata']['name']}")

    @contextlib.contextmanager
    def pod(self) -> t.Iterator[str]:
        """The pod's name, for as long as it is there."""
        live = self.cluster.get(f"{self._config_maps}/{self.found['configmap']}")
        wanted = _proof.config_map(live or {}, self.found["key"], self.params["corefile"], self.params["deployment"])
        candidate = self.cluster.create(self._config_maps, wanted)
        name = candidate["metadata"]["name"]
        try:
            seconds = self.params["timeout"] + 60
            body = _proof.pod(self.deployment, self.container, self.image, self.found["configmap"], candidate, seconds)
            self.cluster.create(self._pods, body)
            yield name
        finally:
            for path in (self._pods, self._config_maps):
                self.cluster.delete(f"{path}/{name}")

    def started(self, name: str) -> None:
        """Wait until CoreDNS runs in the pod, with a look at its plugins on the way."""
        while True:
            pod = self.cluster.get(f"{self._pods}/{name}") or {}
            self._see_trouble(pod)
            if pod["status"].get("phase") == "Running":
                break
            if time.monotonic() > self.until:
                raise Refuted(f"{_rollout.unscheduled(pod) or f'pod {name} did not start'} within {self.params['timeout']} s.")
            time.sleep(_PAUSE)
        known = _proof.plugins_in(self.cluster.text(f"{self._pods}/{name}/log?container={_proof.LISTER}"))
        used = {plugin: block["line"] for block in _corefile.plugins_used(self.corefile) for plugin in block["plugins"]}
        if unknown := sorted(set(used) - known):
            raise Refuted(
                f"the image {self.image} does not have the plugin{'s' * (len(unknown) > 1)} {', '.join(unknown)}, which the Corefile"
                f" uses in its server block of line {used[unknown[0]]}. Take an image that has them."
            )

    def answers(self, name: str, wanted: list[_dns.Expectation], same: dict[_dns.Question, str]) -> list[dict[str, t.Any]]:
        """Ask until all is right. ``same`` are the response codes that questions have to get."""
        questions = [one.question for one in wanted] + list(same)
        while True:
            pod = self.cluster.get(f"{self._pods}/{name}") or {}
            self._see_trouble(pod)
            answers: list[dict[str, t.Any]] = []
            for question in questions:
                answers += _dns_query.ask_pods(
                    self.cluster,
                    self.params["namespace"],
                    [{"pod": name, "node": "", "error": ""}],
                    [question],
                    port=_corefile.port_of(self.corefile, question.name),
                    timeout=3,
                )
            wrong = [
                (one.question, answer)
                for one, answer in zip(wanted, answers, strict=False)
                if not _dns.agrees(one, answer)
            ] + [
                (question, answer)
                for (question, rcode), answer in zip(same.items(), answers[len(wanted) :], strict=True)
                if answer["rcode"] != rcode
            ]
            if not wrong:
                return answers
            if time.monotonic() > self.until:
                question, answer = wrong[0]
                right = f", where {same[question]} is right" if question in same else ""
                said = answer["error"] or f"it says {answer['rcode']} {', '.join(answer['answers'])}".rstrip()
                raise Refuted(
                    f"a pod with the new Corefile and image {self.image} does not answer {question.name} {question.type} as it"
                    f" should: {said.rstrip('.')}{right}. {self._log(name)}".rstrip()
                )
            time.sleep(_PAUSE)

    def hash(self, name: str) -> str:
        """What the ``reload`` plugin calls the Corefile that the pod runs; '' without that plugin."""
        return _metrics.running_hash(self.cluster.text(f"{self._pods}/{name}/log?container={self.container['name']}"))

    def _see_trouble(self, pod: dict[str, t.Any]) -> None:
        words = _rollout.trouble(pod)
        if words:
            raise Refuted(f"{words}. {self._log(pod['metadata']['name'])}".rstrip())

    def _log(self, name: str) -> str:
        """The end of what the pod's containers said, as a sentence; empty where they said nothing."""
        for container in (self.container["name"], _proof.LISTER):
            with contextlib.suppress(ApiError):
                lines = self.cluster.text(f"{self._pods}/{name}/log?container={container}&tailLines=20").split("\n")
                telling = [line for line in lines if line.strip()]
                telling = [line for line in telling if "ERROR" in line or "rror" in line or "WARN" in line] or telling
                if telling:
                    return f"It says: {telling[-1].strip()}"
        return ""

    def live_rcode(self, question: _dns.Question) -> str:
        """What CoreDNS's own pods answer; NXDOMAIN where none is there to ask."""
        try:
            pods = _dns_query.find_pods(self.cluster, self.params["namespace"], self.found["selector"])
        except ApiError as error:
            if error.reason != "NotFound":
                raise
            pods = []
        usable = [pod for pod in pods if not pod["error"]][:1]
        answers = _dns_query.ask_pods(
            self.cluster, self.params["namespace"], usable, [question], port=_corefile.port_of(self.corefile, question.name)
        )
        return answers[0]["rcode"] or "NXDOMAIN" if answers else "NXDOMAIN"


def prove(cluster: Cluster, params: dict[str, t.Any], corefile: t.Any) -> dict[str, t.Any]:
    """Prove it. :raises Refuted: it is not so. :raises ApiError: the API server refused something."""
    started = time.monotonic()
    path = f"/apis/apps/v1/namespaces/{params['namespace']}/deployments/{params['deployment']}"
    deployment = cluster.get(path)
    proof = Proof(cluster, params, deployment or {}, corefile)
    notes = proof.rights() if params["reads_service_imports"] else []
    proof.clean()
    service = cluster.get("/api/v1/namespaces/default/services/kubernetes") or {"spec": {}}
    ips = service["spec"].get("clusterIPs") or []
    wanted = _proof.expectations(params["zone"], params["cluster_domain"], ips)
    missing, missing_in_zone = _proof.missing_names(params["zone"], params["cluster_domain"])
    same = {missing: proof.live_rcode(missing), missing_in_zone: "NXDOMAIN"}
    with proof.pod() as name:
        proof.started(name)
        answers = proof.answers(name, wanted, same)
        reload_sha512 = proof.hash(name)
    return {"answers": answers, "reload_sha512": reload_sha512, "notes": notes, "duration": round(time.monotonic() - started, 1)}


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    _dns_query.require_library(module)
    params = module.params
    try:
        corefile = _corefile.parse(params["corefile"])
    except _corefile.CorefileError as error:
        module.fail_json(msg=str(error), line=error.line)
    if module.check_mode:
        module.exit_json(changed=False, notes=["Nothing is proven in check mode."])
    cluster = Cluster.from_module(module)
    try:
        result = prove(cluster, params, corefile)
    except Refuted as refuted:
        words = str(refuted)
        module.fail_json(msg=f"{cluster.name}: nothing was changed, because {words}")
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
