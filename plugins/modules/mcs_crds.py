#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: mcs_crds
short_description: Bring the definitions of ServiceExport and ServiceImport to member clusters, by Karmada
version_added: 0.1.0
description:
  - Propagates the CustomResourceDefinitions of the MCS-API from Karmada's control plane to member clusters, and waits until each lists the kinds.
  - A run takes no cluster away. Those where an earlier run has placed the definitions keep them, until they leave by O(state=absent).
  - Karmada binds one policy to one object. Where policies of others, such as Karmada's documented C(serviceexport-policy) and
    C(serviceimport-policy), propagate the definitions already, they are left to them. A member that those leave out is named in RV(pending).
  - Karmada deletes a definition in a cluster that leaves, with all objects of it. O(state=absent) looks at each such cluster first, and a definition
    stays where something needs it.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.attributes
  - clusterset.dns.attributes.action_group
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    details:
      - Writes are sent as server-side dry runs, so admission and validation take part. Nothing is waited for.
  diff_mode:
    support: full
options:
  state:
    description:
      - V(present) places the definitions in O(clusters).
      - V(absent) takes them away from O(clusters), or from all clusters where O(policy) places them. A cluster keeps them, with the reason said, while
        a CoreDNS there serves a zone for multicluster or has its Corefile from no ConfigMap, while it has a ServiceExport or ServiceImport that is
        not of this O(fleet), where it had a definition before O(conflict_resolution=Overwrite) took it over, and where it could not be looked at.
    type: str
    choices: [present, absent]
    default: present
  clusters:
    description: The clusters, by Karmada's names. Required with O(state=present).
    type: list
    elements: str
    default: []
  definitions:
    description:
      - CustomResourceDefinitions of the MCS-API to put on the control plane first, unless newer ones are there. They stay there, whatever is taken away.
    type: list
    elements: dict
    default: []
  policy:
    description: Name of the ClusterPropagationPolicy.
    type: str
    default: clusterset-dns-crds
  fleet:
    description: The fleet for which the policy is made. It is a label of it (C(clusterset.dns/fleet)). A policy of another's is not written.
    type: str
    default: default
  conflict_resolution:
    description:
      - What Karmada does with a definition that a cluster has from elsewhere. V(Abort) leaves it alone, also when the cluster leaves.
      - V(Overwrite) takes it over. Each cluster is looked at before that, so that it keeps its definition when it leaves.
    type: str
    choices: [Abort, Overwrite]
    default: Abort
  members:
    description:
      - How clusters are reached that are to be looked at, each with C(name) and this module's authentication options. Those that are not named here are
        reached behind Karmada's aggregated API server, with the credentials for Karmada.
    type: list
    elements: dict
    default: []
  wait:
    description:
      - With O(state=present), wait until each of O(clusters) that is Ready lists the kinds. Karmada's scheduler places no object of a kind before that.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait, and how long clusters may be looked at, in seconds.
    type: int
    default: 180
seealso:
  - module: clusterset.dns.service_exports
"""

EXAMPLES = r"""
- name: Let both members hold ServiceImports
  clusterset.dns.mcs_crds:
    kubeconfig: ~/.kube/karmada.yaml
    clusters: [member1, member2]

- name: Let a cluster leave
  clusterset.dns.mcs_crds:
    kubeconfig: ~/.kube/karmada.yaml
    state: absent
    clusters: [member2]
"""

RETURN = r"""
clusters:
  description: One row for each cluster that was spoken of.
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The cluster's name.
      type: str
      sample: member1
    action:
      description:
        - V(placed), or V(unplaced) where it could not be looked at, or V(left), or V(kept) where the definitions stay although the cluster is not in
          O(clusters), or was to leave.
      type: str
      sample: placed
    reasons:
      description: Why it cannot hold ServiceImports yet, or why it keeps the definitions. A sentence each.
      type: list
      elements: str
    looked:
      description: With O(state=absent), whether it could be looked at.
      type: bool
pending:
  description: The clusters that cannot hold ServiceImports yet, or that keep the definitions, each with the reason in words.
  returned: success
  type: dict
  sample: {member2: "it is not Ready: cluster is not reachable"}
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.zones import serving
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.crds import run
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module
from ansible_collections.clusterset.dns.plugins.module_utils._kube.ownership import DEFAULT_FLEET

ARGUMENT_SPEC = {
    "state": {"choices": ["present", "absent"], "default": "present"},
    "clusters": {"type": "list", "elements": "str", "default": []},
    "definitions": {"type": "list", "elements": "dict", "default": []},
    "policy": {"default": "clusterset-dns-crds"},
    "fleet": {"default": DEFAULT_FLEET},
    "conflict_resolution": {"choices": ["Abort", "Overwrite"], "default": "Abort"},
    "members": {"type": "list", "elements": "dict", "default": []},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 180},
}


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    karmada = Cluster.from_module(module, "karmada", qps=1000)
    if not all(member.get("name") for member in module.params["members"]):
        module.fail_json(msg="Each of members needs a name, the one that Karmada uses.")
    try:
        outcome = run(karmada, module.params, serving, dry_run=module.check_mode)
    except ApiError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    result: dict[str, t.Any] = {"changed": outcome.changed, "clusters": outcome.clusters, "pending": outcome.pending}
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
