#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_query_info
short_description: Ask every CoreDNS pod of a cluster, one by one
version_added: 0.1.0
description:
  - Sends DNS questions to each DNS server pod of a cluster and returns what each of them answers.
  - A pod that does not answer is a row with an RV(answers[].error), not a failure of the module.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.dns_pods
  - clusterset.dns.attributes
  - clusterset.dns.attributes.info_module
  - clusterset.dns.attributes.action_group
options:
  questions:
    description: What to ask, in this order.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: A fully qualified name, with or without the final dot. Search domains are not appended.
        type: str
        required: true
      type:
        description: The record type.
        type: str
        choices: [A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT]
        default: A
  wait_timeout:
    description:
      - For how many seconds to ask again while a pod gives no answer, or SERVFAIL, as one does that is just being
        started.
    type: int
    default: 0
seealso:
  - module: clusterset.dns.dns_verify_info
"""

EXAMPLES = r"""
- name: Ask every CoreDNS pod of member2 for the service's address and port
  clusterset.dns.dns_query_info:
    kubeconfig: ~/.kube/member2.yaml
    questions:
      - name: serve.default.svc.clusterset.local
      - name: _http._tcp.serve.default.svc.clusterset.local
        type: SRV
  register: asked

- name: Show those that did not answer
  ansible.builtin.debug:
    msg: "{{ asked.answers | rejectattr('rcode', 'eq', 'NOERROR') }}"

- name: Ask OpenShift's DNS
  clusterset.dns.dns_query_info:
    namespace: openshift-dns
    label_selector: dns.operator.openshift.io/daemonset-dns=default
    port: 5353
    questions:
      - name: kubernetes.default.svc.cluster.local
"""

RETURN = r"""
answers:
  description: One row per pod and question.
  returned: success
  type: list
  elements: dict
  contains:
    pod:
      description: The pod that was asked.
      type: str
      sample: coredns-7d764666f9-2xkzq
    node:
      description: The node that it runs on.
      type: str
      sample: member2-control-plane
    name:
      description: The name asked for.
      type: str
      sample: serve.default.svc.clusterset.local
    type:
      description: The record type asked for.
      type: str
      sample: A
    rcode:
      description: The response code; empty where there was no answer.
      type: str
      sample: NOERROR
    flags:
      description: The answer's flags.
      type: list
      elements: str
      sample: [qr, aa, rd, ra]
    answers:
      description: The data of the records of the asked type, as in a zone file.
      type: list
      elements: str
      sample: [10.22.4.17]
    ttl:
      description: For how many seconds the answer may be cached; V(null) where no record says so.
      type: int
      sample: 5
    authority:
      description:
        - The owner of the SOA record of a negative answer, which is the zone that denied the name; empty without one.
      type: str
      sample: clusterset.local.
    time_ms:
      description: Milliseconds from question to answer, through the API server; V(null) where there was no answer.
      type: float
      sample: 1.6
    error:
      description: Why there was no answer; empty where there was one.
      type: str
      sample: No answer within 5 s.
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns import query as _dns_query
from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import Question, invalid_name
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC: dict[str, t.Any] = {
    "questions": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"required": True},
            "type": {"choices": ["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"], "default": "A"},
        },
    },
    "wait_timeout": {"type": "int", "default": 0},
}


def query(cluster: Cluster, params: t.Mapping[str, t.Any]) -> list[dict[str, t.Any]]:
    """The rows of ``answers``, of the last round. Raises ApiError where pods cannot be listed, or there are none."""
    questions = [Question(one["name"], one["type"]) for one in params["questions"]]

    def ask_all(_elapsed: float) -> list[dict[str, t.Any]]:
        # found anew each time, as a pod that does not answer may be gone by then
        pods = _dns_query.find_pods(cluster, params["namespace"], params["label_selector"], params["pods"])
        return _dns_query.ask_pods(
            cluster, params["namespace"], pods, questions, port=params["port"], timeout=params["timeout"]
        )

    def started(answer: dict[str, t.Any]) -> bool:
        return not answer["error"] and answer["rcode"] != "SERVFAIL"

    return _dns_query.wait(ask_all, started, params["wait_timeout"], params["wait_sleep"])[0]


def main() -> None:
    module = Module({**AUTH_ARG_SPEC, **_dns_query.PODS_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    _dns_query.require_library(module)
    for question in module.params["questions"]:
        problem = invalid_name(question["name"])
        if problem:
            module.fail_json(msg=problem)
    try:
        answers = query(Cluster.from_module(module, module.params["cluster"]), module.params)
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, answers=answers)


if __name__ == "__main__":
    main()
