#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: member_info
short_description: Read what a member cluster is, and say what does not fit
version_added: 0.1.0
description:
  - Reads, in a handful of requests, Kubernetes' version, the state of the ServiceExport and ServiceImport
    CustomResourceDefinitions, the CoreDNS Deployment with its image, service account and ConfigMap, and whether the credentials
    may do what a play is about to do.
  - It never fails because of what it finds. RV(member.problems) has a sentence for each thing that does not fit.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
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
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  name:
    description: What messages call the cluster.
    type: str
    required: true
  coredns_namespace:
    description: The namespace of CoreDNS.
    type: str
    default: kube-system
  coredns_deployment:
    description: The Deployment that runs CoreDNS.
    type: str
    default: coredns
  rights:
    description: What the credentials have to be allowed to do, as in a SelfSubjectAccessReview.
    type: list
    elements: dict
    default: []
    suboptions:
      verb:
        description: The verb.
        type: str
        required: true
      resource:
        description: The plural name of the resource.
        type: str
        required: true
      group:
        description: The API group; empty for the core group.
        type: str
        default: ""
      subresource:
        description: A subresource such as V(portforward).
        type: str
        default: ""
      namespace:
        description: The namespace; empty for all of them.
        type: str
        default: ""
"""

EXAMPLES = r"""
- name: Look at the member
  clusterset.dns.member_info:
    kubeconfig: ~/.kube/member1.yaml
    name: member1
    rights:
      - {verb: patch, resource: deployments, group: apps, namespace: kube-system}
  register: look

- name: Stop where something does not fit
  ansible.builtin.assert:
    that: look.member.problems | length == 0
    fail_msg: "{{ look.member.problems | join(' ') }}"
"""

RETURN = r"""
member:
  description: What was found.
  returned: success
  type: dict
  contains:
    name:
      description: The name that was given.
      type: str
      sample: member1
    kubernetes:
      description: Kubernetes' version.
      type: str
      sample: "1.34"
    crds:
      description:
        - For C(serviceexports) and C(serviceimports) whether the CustomResourceDefinition is C(present) and C(established), and
          the versions that are C(served).
      type: dict
    coredns:
      description:
        - C(namespace), C(deployment), C(container), C(image), C(version), C(service_account), C(configmap), C(key),
          C(replicas), C(paused), C(selector), C(rolled_out), C(original_image) and C(annotated);
          V(null) where the Deployment does not exist.
      type: dict
    problems:
      description: Why this member cannot take part, a sentence each.
      type: list
      elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusterset.dns.plugins.module_utils import _member
from ansible_collections.clusterset.dns.plugins.module_utils._api import AUTH_ARG_SPEC, ApiError, Cluster

ARGUMENT_SPEC = {
    "name": {"required": True},
    "coredns_namespace": {"default": "kube-system"},
    "coredns_deployment": {"default": "coredns"},
    "rights": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "verb": {"required": True},
            "resource": {"required": True},
            "group": {"default": ""},
            "subresource": {"default": ""},
            "namespace": {"default": ""},
        },
    },
}
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def look(cluster: Cluster, namespace: str, deployment: str, rights: list[dict[str, str]]) -> dict[str, t.Any]:
    """Read the member. :raises ApiError: it does not answer, or may not be read."""
    kubernetes = cluster.version()
    missing = cluster.can_i(rights)
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    found = cluster.get(f"{path}/{deployment}", missing_ok=True)
    elsewhere: list[str] = []
    if found is None:
        candidates = cluster.list("/apis/apps/v1/deployments", label_selector="k8s-app=kube-dns")
        elsewhere = [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in candidates]
    coredns = _member.coredns(found) if found else None
    return {
        "name": cluster.name,
        "kubernetes": _member.text(kubernetes),
        "crds": {
            plural: _member.crd_state(cluster.get(f"{CRDS}/{plural}.multicluster.x-k8s.io", missing_ok=True))
            for plural in ("serviceexports", "serviceimports")
        },
        "coredns": coredns,
        "problems": _member.problems(
            cluster.name, kubernetes, missing, coredns, elsewhere, f"{namespace}/{deployment}"
        ),
    }


def main() -> None:
    module = AnsibleModule(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    params = module.params
    cluster = Cluster.from_module(module, params["name"])
    try:
        member = look(cluster, params["coredns_namespace"], params["coredns_deployment"], params["rights"])
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, member=member)


if __name__ == "__main__":
    main()
