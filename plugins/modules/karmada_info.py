#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: karmada_info
short_description: Read which member clusters Karmada has, and what they serve
version_added: 0.1.0
description:
  - Reads Karmada's Clusters, whether each is Ready, and whether its API enablements list the kinds of a group, which Karmada's
    scheduler insists on before it places an object of such a kind.
  - It can wait for the latter. A cluster that is not Ready is not waited for, and never fails this module.
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
    details:
      - This module does not modify state. In check mode it does not wait.
options:
  members:
    description: The clusters that matter to the caller. One that Karmada does not have is a problem.
    type: list
    elements: str
    default: []
  group_version:
    description: Group and version of the kinds that are looked for.
    type: str
    default: multicluster.x-k8s.io/v1alpha1
  kinds:
    description: The kinds that are looked for.
    type: list
    elements: str
    default: [ServiceExport, ServiceImport]
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
      namespace:
        description: The namespace; empty for all of them.
        type: str
        default: ""
  wait:
    description: Wait until each Ready cluster of O(members) lists the kinds.
    type: bool
    default: false
  wait_timeout:
    description: How long to wait, in seconds.
    type: int
    default: 120
  wait_sleep:
    description: How long to wait between two looks, in seconds.
    type: int
    default: 2
"""

EXAMPLES = r"""
- name: Wait until both members can hold ServiceImports
  clusterset.dns.karmada_info:
    kubeconfig: ~/.kube/karmada.yaml
    members: [member1, member2]
    wait: true
"""

RETURN = r"""
clusters:
  description: Karmada's clusters, by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the cluster.
      type: str
      sample: member1
    ready:
      description: Whether Karmada's Ready condition is True.
      type: bool
    why:
      description: The message of the Ready condition.
      type: str
    kubernetes:
      description: Kubernetes' version.
      type: str
      sample: v1.34.4
    sync_mode:
      description: V(Push) or V(Pull).
      type: str
    serves:
      description: Whether the cluster lists all O(kinds).
      type: bool
pending:
  description: The clusters of O(members) that do not list the kinds, each with the reason in words.
  returned: success
  type: dict
  sample: {member2: "it is not Ready: cluster is not reachable"}
problems:
  description: Why a run cannot begin, a sentence each.
  returned: success
  type: list
  elements: str
duration:
  description: How long was waited, in seconds.
  returned: success
  type: float
"""


from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _karmada
from ansible_collections.clusterset.dns.plugins.module_utils._karmada import control_plane
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

ARGUMENT_SPEC = {
    "members": {"type": "list", "elements": "str", "default": []},
    "group_version": {"default": "multicluster.x-k8s.io/v1alpha1"},
    "kinds": {"type": "list", "elements": "str", "default": ["ServiceExport", "ServiceImport"]},
    "rights": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "verb": {"required": True},
            "resource": {"required": True},
            "group": {"default": ""},
            "namespace": {"default": ""},
        },
    },
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_sleep": {"type": "int", "default": 2},
}


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    params = module.params
    karmada = Cluster.from_module(module, "karmada")
    waiter = Waiter(params["wait_timeout"] if params["wait"] and not module.check_mode else 0, sleep=params["wait_sleep"])
    try:
        missing = karmada.can_i(params["rights"])
        clusters, _served = waiter.until(
            lambda: control_plane.clusters(karmada, params["group_version"], params["kinds"]),
            lambda found: not any(one["ready"] and one["name"] in _karmada.waiting_for(found, params["members"]) for one in found),
        )
    except ApiError as error:
        module.fail_json(msg=str(error))
    names = {one["name"] for one in clusters}
    module.exit_json(
        changed=False,
        clusters=clusters,
        pending=_karmada.waiting_for(clusters, params["members"]),
        problems=_karmada.problems(karmada.name, missing, params["members"], names),
        duration=round(waiter.elapsed, 1),
    )


if __name__ == "__main__":
    main()
