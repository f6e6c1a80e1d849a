#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: http_query_info
short_description: Try HTTP from inside a cluster
version_added: 0.1.0
description:
  - Starts one short-lived pod in the cluster that asks the given URLs with C(curl), reads what it got, and deletes it.
    So the cluster's own DNS and network are on the way, whatever can be reached from where the module runs.
  - The pod runs as a user other than root with a read-only file system and no privileges, as the Pod Security Standard
    C(restricted) wants, has no service account token, and ends by itself when its time is over. Pods that a killed run
    left behind are deleted.
  - A URL that does not answer is a row with an RV(results[].error), not a failure of the module.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.attributes
  - clusterset.dns.attributes.info_module
  - clusterset.dns.attributes.action_group
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: partial
    details:
      - In check mode no pod is started, nothing is asked, and RV(results) is empty.
  diff_mode:
    details:
      - What the module makes is gone when it ends.
options:
  urls:
    description: What to ask, in this order.
    type: list
    elements: str
    required: true
  image:
    description: The image of the pod. It needs C(curl) 7.75 or newer in its search path, nothing else.
    type: str
    required: true
  pull_policy:
    description: When the node pulls O(image).
    type: str
    choices: [Always, IfNotPresent, Never]
    default: IfNotPresent
  namespace:
    description: The namespace of the pod. It has to exist.
    type: str
    default: default
  cluster:
    description: What messages call the cluster. Without it, O(context) or the file name of O(kubeconfig).
    type: str
  timeout:
    description: Seconds that one URL may take.
    type: float
    default: 5
  wait_timeout:
    description: For how many seconds a URL is tried again while it does not answer or says that it is not ready.
    type: float
    default: 0
  body_bytes:
    description: How many bytes of each body to return.
    type: int
    default: 256
notes:
  - The credentials need the verbs C(create), C(get), C(list) and C(delete) on C(pods) and C(get) on C(pods/log) in
    O(namespace).
  - Bodies are text to the module. Certificates are verified with the authorities that are in O(image).
seealso:
  - module: clusterset.dns.dns_verify_info
"""

EXAMPLES = r"""
- name: Reach the service by its one name, from inside member2
  clusterset.dns.http_query_info:
    kubeconfig: ~/.kube/member2.yaml
    image: curlimages/curl:8.16.0
    urls:
      - http://serve.default.svc.clusterset.local/
  register: tried

- name: Show what answered
  ansible.builtin.debug:
    msg: "{{ tried.results | map(attribute='body') }}"
"""

RETURN = r"""
results:
  description: One row per URL; empty in check mode.
  returned: success
  type: list
  elements: dict
  contains:
    url:
      description: The URL.
      type: str
      sample: http://serve.default.svc.clusterset.local/
    status:
      description: The HTTP status; V(null) where there was no HTTP answer.
      type: int
      sample: 200
    body:
      description: The beginning of the body.
      type: str
      sample: serve-6f7c9d on member1
    time_ms:
      description: Milliseconds from the request until the body had come; V(null) where nothing was asked.
      type: float
      sample: 3.4
    error:
      description: Why there was no answer, empty where there was one.
      type: str
      sample: "Could not resolve host: serve.default.svc.clusterset.local (curl exit code 6)."
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns import http_query as _http
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC: dict[str, t.Any] = {
    "urls": {"type": "list", "elements": "str", "required": True},
    "image": {"required": True},
    "pull_policy": {"choices": ["Always", "IfNotPresent", "Never"], "default": "IfNotPresent"},
    "namespace": {"default": "default"},
    "cluster": {},
    "timeout": {"type": "float", "default": 5},
    "wait_timeout": {"type": "float", "default": 0},
    "body_bytes": {"type": "int", "default": 256},
}


def main() -> None:
    module = Module({**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    problem = next(filter(None, map(_http.invalid_url, module.params["urls"])), None)
    if problem:
        module.fail_json(msg=problem)
    if module.check_mode or not module.params["urls"]:
        why = (
            "Check mode: no pod was started, so HTTP was not tried." if module.check_mode else "There is no URL to try."
        )
        module.exit_json(changed=False, results=[], msg=why)
    try:
        options = {key: module.params[key] for key in ("namespace", "timeout", "wait_timeout", "pull_policy", "body_bytes")}
        cluster = Cluster.from_module(module, module.params["cluster"])
        rows = _http.query(cluster, module.params["urls"], module.params["image"], **options)
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, results=rows)


if __name__ == "__main__":
    main()
