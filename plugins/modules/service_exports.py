#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_exports
short_description: Export services from member clusters and import them in others, by Karmada
version_added: 0.1.0
description:
  - For each service a ServiceExport, a ServiceImport, and a PropagationPolicy for each of the two, on Karmada's control plane. It then waits until
    Karmada's scheduler has placed them.
  - Everything is looked at before anything is written. Bad input, missing rights and objects that are somebody else's are an error, a sentence each.
  - A run takes no cluster away. An import without C(to_clusters) stays in the clusters where an earlier run has placed it, until they leave by
    O(state=absent) with O(clusters).
  - When a cluster exports no longer, Karmada is told to leave the EndpointSlices there that it had collected. It would take those of a Service that
    it had delivered itself for its own, and delete them.
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
      - V(present) exports and imports O(services).
      - V(absent) withdraws everything that was made for O(fleet), or with O(clusters) only what is placed in those clusters. O(services) is not looked at.
    type: str
    choices: [present, absent]
    default: present
  services:
    description: The services.
    type: list
    elements: dict
    default: []
    suboptions:
      namespace:
        description: Namespace of the service, not one of C(kube-*) or C(karmada-*), in which Karmada propagates nothing.
        type: str
        required: true
      name:
        description: Name of the service, a DNS label of at most 55 characters, as Karmada makes a Service C(derived-NAME) of it.
        type: str
        required: true
      ports:
        description: The ports that the import has. CoreDNS has no answer for an import without ports.
        type: list
        elements: dict
        required: true
        suboptions:
          port:
            description: The number.
            type: int
            required: true
          name:
            description: A DNS label. Each port has to have one where there are several.
            type: str
          protocol:
            description: The protocol.
            type: str
            choices: [TCP, UDP, SCTP]
            default: TCP
          appProtocol:
            description: The application protocol.
            type: str
      from_clusters:
        description: The clusters that export it, by Karmada's names.
        type: list
        elements: str
        required: true
      to_clusters:
        description: The clusters that import it. All of O(members) unless said.
        type: list
        elements: str
      type:
        description: The type of the import.
        type: str
        choices: [ClusterSetIP, Headless]
        default: ClusterSetIP
      create_namespace:
        description:
          - Create the namespace on the control plane, from where Karmada delivers it to every member. One that is there is left as it is.
          - One that was created goes with its last service, if nothing else is in it on the control plane and in any member.
        type: bool
        default: false
  members:
    description: The clusters that import a service without C(to_clusters), by Karmada's names.
    type: list
    elements: str
    default: []
  clusters:
    description:
      - With O(state=absent), the clusters that leave. They are taken out of the placements of O(fleet), and what is placed nowhere any more is withdrawn.
      - Without them everything of O(fleet) is withdrawn.
    type: list
    elements: str
    default: []
  fleet:
    description:
      - The fleet for which the objects are made. It is a label of each of them (C(clusterset.dns/fleet)), so that several fleets may use one Karmada.
      - An object that is another fleet's, or somebody else's, is neither written nor withdrawn.
    type: str
    default: default
  adopt:
    description:
      - Take over objects of these names that are somebody else's, which is an error otherwise.
      - An annotation keeps what an object was. It is given back when it is withdrawn, not deleted.
    type: bool
    default: false
  prune:
    description:
      - Withdraw the services of O(fleet) that are not in O(services). An empty list is refused.
      - Without it they stay exported, and a warning names them.
    type: bool
    default: false
  wait:
    description:
      - Wait until Karmada's scheduler has placed everything. What it has not placed in time is an error, with its own words.
      - Clusters that are not Ready, or do not list the kinds, are not waited for. A warning names them.
    type: bool
    default: true
  wait_timeout:
    description: How long to wait, in seconds.
    type: int
    default: 60
seealso:
  - module: clusterset.dns.mcs_crds
"""

EXAMPLES = r"""
- name: Export a service from one cluster and import it in all
  clusterset.dns.service_exports:
    kubeconfig: ~/.kube/karmada.yaml
    members: [member1, member2]
    services:
      - namespace: default
        name: serve
        ports: [{port: 80, name: http}]
        from_clusters: [member1]

- name: Let a cluster leave
  clusterset.dns.service_exports:
    kubeconfig: ~/.kube/karmada.yaml
    state: absent
    clusters: [member2]
"""

RETURN = r"""
exports:
  description: One row for each service that is in O(services), was withdrawn, or is exported by an earlier run.
  returned: success, and when Karmada has not placed everything
  type: list
  elements: dict
  contains:
    namespace:
      description: The service's namespace.
      type: str
      sample: default
    name:
      description: The service's name.
      type: str
      sample: serve
    action:
      description:
        - What was done, or would be in check mode, V(unchanged), V(created), V(patched), V(adopted), V(deleted), V(given back), or V(kept) for
          what is not of this O(fleet).
      type: str
      sample: created
    placed:
      description: Whether Karmada has placed it; null where nobody looked.
      type: bool
    reason:
      description: Why it is not placed, was kept or is left; otherwise empty.
      type: str
      sample: ""
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._karmada.exports import run
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module
from ansible_collections.clusterset.dns.plugins.module_utils._kube.ownership import DEFAULT_FLEET

PORT = {
    "port": {"type": "int", "required": True},
    "name": {},
    "protocol": {"choices": ["TCP", "UDP", "SCTP"], "default": "TCP"},
    "appProtocol": {},
}
SERVICE = {
    "namespace": {"required": True},
    "name": {"required": True},
    "ports": {"type": "list", "elements": "dict", "required": True, "options": PORT},
    "from_clusters": {"type": "list", "elements": "str", "required": True},
    "to_clusters": {"type": "list", "elements": "str"},
    "type": {"choices": ["ClusterSetIP", "Headless"], "default": "ClusterSetIP"},
    "create_namespace": {"type": "bool", "default": False},
}
ARGUMENT_SPEC = {
    "state": {"choices": ["present", "absent"], "default": "present"},
    "services": {"type": "list", "elements": "dict", "default": [], "options": SERVICE},
    "members": {"type": "list", "elements": "str", "default": []},
    "clusters": {"type": "list", "elements": "str", "default": []},
    "fleet": {"default": DEFAULT_FLEET},
    "adopt": {"type": "bool", "default": False},
    "prune": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 60},
}


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    karmada = Cluster.from_module(module, "karmada", qps=1000)
    try:
        outcome = run(karmada, module.params, dry_run=module.check_mode)
    except ApiError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.warnings:
        module.warn(warning)
    result: dict[str, t.Any] = {"changed": outcome.changed, "exports": outcome.rows}
    if outcome.error:
        module.fail_json(msg=outcome.error, **result)
    if module._diff:
        result["diff"] = outcome.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
