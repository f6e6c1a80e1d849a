#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_verify_info
short_description: Compare what every CoreDNS pod answers with what the cluster's ServiceImports say
version_added: 0.1.0
description:
  - Reads a cluster's ServiceImports, works out what the names of the services have to resolve to, asks every DNS server
    pod, and says for each answer whether it is right and, where it is not, why.
  - Asked for each service are C(A) and C(AAAA) as far as the import has addresses of that family, and C(SRV) for each
    named port; for each pod the cluster's own name C(kubernetes.default) and the C(dns-version) record that shows
    whether the zone is served at all.
  - A wrong answer does not fail the module; RV(ok) tells.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.dns_pods
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    details:
      - This module does not modify state.
  idempotent:
    support: full
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  services:
    description:
      - The services to verify, each with C(namespace) and C(name). One that has C(to_clusters) is verified only if they
        name O(cluster). Other keys are not looked at, so that C(clusterset_services) can be given as it is.
      - An empty list means every ServiceImport that has ips.
    type: list
    elements: dict
    default: []
  zone:
    description: The clusterset's DNS zone.
    type: str
    default: clusterset.local
  cluster_domain:
    description: The cluster's own DNS domain.
    type: str
    default: cluster.local
  wait_timeout:
    description:
      - For how many seconds to ask again while an answer is wrong. Answers may be cached for as long as they live, and
        CoreDNS reloads its Corefile up to 45 seconds after a change.
    type: int
    default: 0
  http_path:
    description: The path of RV(urls).
    type: str
    default: /
  only_health:
    description: Ask only for the cluster's own name and whether the zone is served, and for no service.
    type: bool
    default: false
notes:
  - The credentials need the verb C(list) on C(serviceimports). Where they may C(get) the Service C(default/kubernetes)
    and C(create) C(subjectaccessreviews), the comparison and the causes are more exact.
seealso:
  - module: clusterset.dns.dns_query_info
  - module: clusterset.dns.http_query_info
"""

EXAMPLES = r"""
- name: Verify all services that member2 imports
  clusterset.dns.dns_verify_info:
    kubeconfig: ~/.kube/member2.yaml
    cluster: member2
  register: verified

- name: Stop where an answer is wrong
  ansible.builtin.assert:
    that: verified.ok
    fail_msg: "{{ verified.results | map(attribute='cause') | select | unique | join(' ') }}"

- name: Give a service that was just exported a minute
  clusterset.dns.dns_verify_info:
    kubeconfig: ~/.kube/member2.yaml
    cluster: member2
    services:
      - {namespace: default, name: serve}
    wait_timeout: 60
"""

RETURN = r"""
ok:
  description: Whether every pod gave the right answer to every question.
  returned: success
  type: bool
served:
  description: Whether at least one pod serves the zone.
  returned: success
  type: bool
results:
  description:
    - One row per pod and question, with the keys of the rows of M(clusterset.dns.dns_query_info) and those listed here.
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: What the cluster is called.
      type: str
      sample: member2
    service:
      description: The service, as C(NAMESPACE/NAME); empty for questions about the server itself.
      type: str
      sample: default/serve
    expected:
      description: What has to come back, for C(SRV) the port and the target; V(null) where any answer is right.
      type: list
      elements: str
      sample: [10.22.4.17]
    ok:
      description: Whether the answer is right.
      type: bool
    verdict:
      description:
        - V(ok), or the cause in a word.
        - V(nxdomain), no import or no ports. V(nodata), no ips. V(servfail), CRD or RBAC. V(refused), the zone is not
          served. V(upstream), another server answered. V(stale), the import says something else. V(error), no answer.
      type: str
      sample: ok
    cause:
      description: The cause in a sentence, with where to look; empty where the answer is right.
      type: str
urls:
  description: The C(service) and C(url) of each port that speaks HTTP, by its appProtocol or its name.
  returned: success
  type: list
  elements: dict
  sample: [{service: default/serve, url: "http://serve.default.svc.clusterset.local/"}]
duration:
  description: Seconds until all answers were right, or until the time was up.
  returned: success
  type: float
  sample: 0.2
"""

import http.client
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns import expect as _dns
from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC: dict[str, t.Any] = {
    "services": {"type": "list", "elements": "dict", "default": []},
    "zone": {"default": "clusterset.local"},
    "cluster_domain": {"default": "cluster.local"},
    "wait_timeout": {"type": "int", "default": 0},
    "http_path": {"default": "/"},
    "only_health": {"type": "bool", "default": False},
}
SERVICE_IMPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceimports"
Rows = list[dict[str, t.Any]]


class Verification:
    """One cluster's answers beside its ServiceImports, looked at once per :meth:`round`."""

    def __init__(self, cluster: Cluster, params: t.Mapping[str, t.Any]) -> None:
        self._cluster = cluster
        self._params = params
        self._zone: str = params["zone"]
        self._services = _dns.services_of(cluster.name, params["services"])
        # With services given of which none is for this cluster, none is verified; without any, all are.
        self._only_health = params["only_health"] or (bool(params["services"]) and not self._services)
        self._kubernetes_ips = self._read_kubernetes_ips()
        self._ttl = 0
        self.served = False
        self.urls: list[dict[str, str]] = []

    def round(self, waited: float) -> Rows:
        """Read, ask and compare. ``waited`` is for how many seconds that has been going on. Raises ApiError."""
        imports = self._read_imports()
        if self._only_health:
            wanted = _dns.health(self._zone, self._params["cluster_domain"], self._kubernetes_ips)
        else:
            wanted = _dns.expectations(
                imports or [], self._services, self._zone, self._params["cluster_domain"], self._kubernetes_ips
            )
            self.urls = _dns.http_urls(imports or [], self._services, self._zone, self._params["http_path"])
        pods = _dns_query.find_pods(
            self._cluster, self._params["namespace"], self._params["label_selector"], self._params["pods"]
        )
        answers = self._ask(pods, [one.question for one in wanted if not one.service])
        # An upstream server that does not know the zone may take a second for each name, so pods that do not serve it
        # are not asked about services.
        serving = [pod for pod in pods if _dns.serves(self._zone, [one for one in answers if one["pod"] == pod["pod"]])]
        self.served = bool(serving)
        answers += self._ask(serving, [one.question for one in wanted if one.service])
        failed = any(one["rcode"] == "SERVFAIL" for one in answers)
        facts = _dns.Facts(
            zone=self._zone,
            crd=imports is not None,
            denied=self._denied(serving) if failed and serving else None,
            waited=waited,
            ttl=self._ttl,
        )
        rows = _dns.verify(wanted, answers, facts)
        self._ttl = max([self._ttl, *(row["ttl"] or 0 for row in rows if not row["ok"])])
        return [{"cluster": self._cluster.name, **row} for row in rows]

    def _ask(self, pods: Rows, questions: list[_dns.Question]) -> Rows:
        if not questions:
            return []
        return _dns_query.ask_pods(
            self._cluster,
            self._params["namespace"],
            pods,
            questions,
            port=self._params["port"],
            timeout=self._params["timeout"],
        )

    def _read_imports(self) -> Rows | None:
        """All ServiceImports, or None where the cluster does not have the CRD."""
        try:
            return self._cluster.list(SERVICE_IMPORTS)
        except ApiError as error:
            if error.status == http.client.NOT_FOUND:
                return None
            raise

    def _read_kubernetes_ips(self) -> list[str]:
        """The ClusterIPs that ``kubernetes.default`` has; none where the credentials may not read them."""
        try:
            service = self._cluster.get("/api/v1/namespaces/default/services/kubernetes")
        except ApiError as error:
            if error.status == http.client.FORBIDDEN:
                return []
            raise
        spec = service["spec"] if service else {}
        return spec.get("clusterIPs") or [spec["clusterIP"]]

    def _denied(self, pods: Rows) -> tuple[str, ...] | None:
        """The verbs that the pods' service account may not use on ServiceImports; None where that cannot be asked."""
        rights = [
            {"verb": verb, "group": "multicluster.x-k8s.io", "resource": "serviceimports"} for verb in ("list", "watch")
        ]
        denied = self._cluster.denied(self._params["namespace"], pods[0]["service_account"], rights)
        return None if denied is None else tuple(right["verb"] for right in denied)


def problem(params: t.Mapping[str, t.Any]) -> str | None:
    """The sentence that says why the options cannot be used, or None where they can."""
    for service in params["services"]:
        if not service.get("namespace") or not service.get("name"):
            return f"Each of services needs a namespace and a name; {service!r} has not both."
    if params["zone"].strip(".") == params["cluster_domain"].strip("."):
        return f"zone and cluster_domain are both {params['zone']}; set zone to the clusterset's own."
    names = [f"{one['name']}.{one['namespace']}.svc.{params['zone']}" for one in params["services"]]
    names += [f"dns-version.{params['zone']}", f"kubernetes.default.svc.{params['cluster_domain']}"]
    return next(filter(None, map(_dns.invalid_name, names)), None)


def main() -> None:
    module = Module({**AUTH_ARG_SPEC, **_dns_query.PODS_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    _dns_query.require_library(module)
    params = {**module.params, **{key: module.params[key].strip(".") for key in ("zone", "cluster_domain")}}
    wrong = problem(params)
    if wrong:
        module.fail_json(msg=wrong)
    try:
        verification = Verification(Cluster.from_module(module, params["cluster"]), params)
        rows, seconds = _dns_query.wait(
            verification.round, lambda row: row["ok"], params["wait_timeout"], params["wait_sleep"]
        )
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        ok=all(row["ok"] for row in rows),
        served=verification.served,
        results=rows,
        urls=verification.urls,
        duration=round(seconds, 2),
    )


if __name__ == "__main__":
    main()
