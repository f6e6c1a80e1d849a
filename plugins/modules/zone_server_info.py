#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: zone_server_info
short_description: Wait until a CoreDNS that serves the clusterset zone answers, pod by pod
version_added: 0.1.0
description:
  - Waits until the Deployment that P(clusterset.dns.zone_server_objects#filter) describes has rolled out, asks each of its pods for
    C(dns-version) in the zone, and returns the addresses to which the cluster's own DNS has to forward the zone.
  - Fails with the pods' own words where they do not get ready.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - dnspython >= 2.6
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - This module does not modify state. In check mode it does not wait, as nothing was written that could get ready.
  diff_mode:
    support: N/A
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    details:
      - This module does not modify state.
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  namespace:
    description: The namespace of the Deployment.
    type: str
    default: kube-system
  name:
    description: The name of the Deployment and of its Service.
    type: str
    default: clusterset-dns
  zone:
    description: The zone.
    type: str
    default: clusterset.local
  timeout:
    description: How long it may take, in seconds.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: Wait until every pod answers
  clusterset.dns.zone_server_info:
    kubeconfig: ~/.kube/member1.yaml
  register: server

- name: Forward the zone to it
  clusterset.dns.corefile:
    zone: clusterset.local
    mode: forward
    forward_to: "{{ server.addresses }}"
"""

RETURN = r"""
addresses:
  description: The ClusterIPs of the Service; empty in check mode where it does not exist yet.
  returned: success
  type: list
  elements: str
  sample: [10.96.77.3]
answers:
  description: What each pod answered, as M(clusterset.dns.dns_query_info) returns it.
  returned: success
  type: list
  elements: dict
"""

import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rollout as _rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import zone_server as _zone_server
from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect as _dns
from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    "namespace": {"default": "kube-system"},
    "name": {"default": "clusterset-dns"},
    "zone": {"default": "clusterset.local"},
    "timeout": {"type": "int", "default": 180},
}
_PAUSE = 0.5


class NotServing(Exception):
    """Why the zone is not served, as a sentence without its end."""


class ZoneServer:
    """The Deployment with its pods and its Service."""

    def __init__(self, cluster: Cluster, params: t.Mapping[str, t.Any]) -> None:
        self.cluster = cluster
        self.namespace, self.name = params["namespace"], params["name"]
        self.question = _dns.Question(f"dns-version.{params['zone'].strip('.')}", "TXT")
        self._pods = f"/api/v1/namespaces/{self.namespace}/pods"

    def addresses(self) -> list[str]:
        return _zone_server.addresses(
            self.cluster.get(f"/api/v1/namespaces/{self.namespace}/services/{self.name}", missing_ok=True)
        )

    def round(self) -> tuple[str, list[dict[str, t.Any]]]:
        """Look once. :returns: what is still missing, as a sentence without its end, and the answers.

        :raises NotServing: it will not get better by waiting.
        """
        apps = f"/apis/apps/v1/namespaces/{self.namespace}"
        deployment = self.cluster.get(f"{apps}/deployments/{self.name}") or {}
        selector = _member.coredns(deployment)["selector"]
        mark = _rollout.newest(deployment, self.cluster.list(f"{apps}/replicasets", label_selector=selector))
        pods = [
            pod
            for pod in self.cluster.list(self._pods, label_selector=selector)
            if mark and pod["metadata"]["labels"].get(_rollout.HASH) == mark and not pod["metadata"].get("deletionTimestamp")
        ]
        for pod in pods:
            if words := _rollout.trouble(pod):
                raise NotServing(f"{words}. {self._log(pod['metadata']['name'])}".rstrip(". "))
        if not _member.coredns(deployment)["rolled_out"]:
            return next(filter(None, map(_rollout.unscheduled, pods)), "its pods did not get ready"), []
        asked = [{"pod": pod["metadata"]["name"], "node": "", "error": ""} for pod in pods]
        answers = _dns_query.ask_pods(
            self.cluster, self.namespace, asked, [self.question], port=_zone_server.PORT, timeout=3
        )
        for one in answers:
            if not _dns.agrees(_dns.Expectation("", self.question, None), one):
                said = one["error"] or one["rcode"]
                return f"pod {one['pod']} does not answer {self.question.name} TXT: {said}".rstrip(". "), answers
        return "", answers

    def _log(self, pod: str) -> str:
        for previous in ("true", "false"):
            try:
                lines = self.cluster.text(f"{self._pods}/{pod}/log?tailLines=5&previous={previous}").strip().splitlines()
            except ApiError:
                continue
            if lines:
                return f"It says: {lines[-1].strip()}"
        return ""


def wait(server: ZoneServer, seconds: float) -> list[dict[str, t.Any]]:
    """Rounds until every pod answers. :raises NotServing: they do not, or not in time."""
    until = time.monotonic() + seconds
    while True:
        missing, answers = server.round()
        if not missing:
            return answers
        if time.monotonic() > until:
            raise NotServing(f"{missing} within {seconds:g} s")
        time.sleep(_PAUSE)


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    _dns_query.require_library(module)
    cluster = Cluster.from_module(module)
    server = ZoneServer(cluster, module.params)
    try:
        answers = [] if module.check_mode else wait(server, module.params["timeout"])
        addresses = server.addresses()
    except NotServing as error:
        module.fail_json(msg=f"{cluster.name}: Deployment {server.namespace}/{server.name}: {error}.")
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, addresses=addresses, answers=answers)


if __name__ == "__main__":
    main()
