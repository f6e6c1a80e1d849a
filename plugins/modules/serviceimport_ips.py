#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: serviceimport_ips
short_description: Give each member's ServiceImports the addresses that are right there
version_added: 0.1.0
description:
  - CoreDNS answers C(NAME.NAMESPACE.svc.clusterset.local) with C(spec.ips) of the member's ServiceImport. Karmada
    never fills it, and the right addresses differ from member to member. This module computes them for all imports of
    all members and writes those that differ.
  - All members are worked on at once. Each costs one list per kind that is needed, one patch per import that differs,
    and none where nothing does. A member that fails does not stop the others.
  - A patch is made only on the very state that was read. If the import changed meanwhile, it is read and decided again.
  - Headless imports get no addresses. CoreDNS answers with their endpoints, which it finds by labels that this module puts on the
    EndpointSlices that Karmada delivers.
  - Never set are addresses that are loopback, link-local, unspecified, multicast, a cloud's
    metadata address, or no address at all.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.serviceimports
  - clusterset.dns.attributes
  - clusterset.dns.attributes.action_group
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    details:
      - Each patch is sent as a server-side dry run, so that admission and validation take part. A member without the
        ServiceImport API is no failure in check mode.
  diff_mode:
    support: full
options:
  write_via:
    description:
      - How the addresses get there.
      - V(retain) patches the members. A ResourceInterpreterCustomization on the control plane has to tell Karmada to leave them, as the
        example below does and the tasks file C(retain) of the role P(clusterset.dns.serviceimport_ips#role). Where O(karmada) is set,
        nothing is written unless it is there.
      - V(override) writes an OverridePolicy for each service on the control plane, with a rule for each distinct set of addresses. Policies
        of others are left alone, those no longer needed are removed. That customization must not be there then, or addresses could not be
        cleared. Requires O(karmada).
    type: str
    choices: [retain, override]
    default: retain
  wait:
    description:
      - Wait for sources that are not there yet, such as the derived Service of an import that was just made. What can
        be written is written first.
      - Only ServiceImports that Karmada delivered are waited for. Nothing will come for others.
    type: bool
    default: false
  wait_timeout:
    description:
      - How long to wait in all, in seconds.
    type: float
    default: 60.0
  verify_after:
    description:
      - Seconds after which what was written is read again. Karmada undoes what it was not told to retain, within 20 ms
        where it has nothing else to do. That is an error here.
      - The first import of each member is written alone and looked at after half of that time, before the others are
        written. If it was undone it is tried twice more, as Karmada may not have heard of the rule yet. V(0) looks at nothing.
    type: float
    default: 0.5
seealso:
  - module: clusterset.dns.serviceimport_ips_info
"""

EXAMPLES = r"""
- name: Two members, each by its own kubeconfig
  clusterset.dns.serviceimport_ips:
    members:
      - name: member1
        kubeconfig: ~/.kube/member1.yaml
      - name: member2
        kubeconfig: ~/.kube/member2.yaml

- name: One member, one service that prefers its own endpoints
  clusterset.dns.serviceimport_ips:
    kubeconfig: ~/.kube/member1.yaml
    cluster: member1
    strategies:
      default/serve: local_first

- name: The members of this run, as their hosts' variables say, with the load balancers of the whole fleet
  clusterset.dns.serviceimport_ips:
    members: "{{ groups.karmada_members | map('extract', hostvars) | clusterset.dns.members }}"
    only: "{{ ansible_play_batch | map('extract', hostvars) | clusterset.dns.members | map(attribute='name') }}"
    strategy: load_balancer
    on_unreachable_member: warn
  run_once: true

- name: Let Karmada leave spec.ips as it is on the members
  kubernetes.core.k8s:
    kubeconfig: ~/.kube/karmada.yaml
    definition:
      apiVersion: config.karmada.io/v1alpha1
      kind: ResourceInterpreterCustomization
      metadata:
        name: serviceimport-ips
      spec:
        target:
          apiVersion: multicluster.x-k8s.io/v1alpha1
          kind: ServiceImport
        customizations:
          retention:
            luaScript: |
              function Retain(desiredObj, observedObj)
                if desiredObj.spec.ips == nil then
                  desiredObj.spec.ips = observedObj.spec.ips
                end
                return desiredObj
              end
"""

RETURN = r"""
imports:
  description: One row for each member and import, sorted by them.
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The member's name.
      type: str
      sample: member2
    namespace:
      description: The import's namespace.
      type: str
      sample: default
    name:
      description: The import's name.
      type: str
      sample: serve
    desired:
      description: The addresses that it is to have.
      type: list
      elements: str
      sample: [10.102.140.228]
    actual:
      description: The addresses that it had when it was read.
      type: list
      elements: str
      sample: []
    reason:
      description: Where the desired addresses come from, or why there are none.
      type: str
      sample: derived Service derived-serve
    changed:
      description: Whether it was written, or would be in check mode.
      type: bool
    pending:
      description: Whether the source of its addresses is not there and may still come.
      type: bool
    held:
      description: Whether its addresses are not what its strategy would give and are left nevertheless, for the reason that is given.
      type: bool
    error:
      description: Why it could not be written, otherwise empty.
      type: str
      sample: ""
slices:
  description: One row for each member and EndpointSlice that was imported for a headless ServiceImport, sorted by them.
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The member's name.
      type: str
      sample: member2
    namespace:
      description: The slice's namespace.
      type: str
      sample: default
    name:
      description: The slice's name.
      type: str
      sample: imported-member1-web-x7k2p
    service:
      description: The ServiceImport that it belongs to, the value of the label C(multicluster.kubernetes.io/service-name).
      type: str
      sample: web
    source_cluster:
      description: The cluster that it comes from, the value of the label C(multicluster.kubernetes.io/source-cluster). Empty if not known.
      type: str
      sample: member1
    desired:
      description: The two labels that it is to have. Empty if that cluster is not known.
      type: dict
      sample:
        multicluster.kubernetes.io/service-name: web
        multicluster.kubernetes.io/source-cluster: member1
    actual:
      description: Those of them that it had when it was read.
      type: dict
      sample: {}
    reason:
      description: How that cluster is known.
      type: str
      sample: by its name
    error:
      description: Why it could not be labelled, otherwise empty.
      type: str
      sample: ""
    changed:
      description: Whether it was written, or would be in check mode.
      type: bool
failed_members:
  description: The members that could not be read or written, or not all of whose imports could.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The member's name.
      type: str
    error:
      description: Why, as a sentence.
      type: str
members_without_api:
  description: The members that have no ServiceImport API yet. In check mode only, otherwise they are in RV(failed_members).
  returned: always
  type: list
  elements: str
summary:
  description: How many of what.
  returned: always
  type: dict
  contains:
    members:
      description: Members whose imports were looked at.
      type: int
    imports:
      description: ServiceImports on all of them.
      type: int
    changed:
      description: Imports that were written, or would be in check mode.
      type: int
    pending:
      description: Imports whose source is not there and may still come.
      type: int
    held:
      description: Imports whose addresses are not what their strategy would give and were left.
      type: int
    slices:
      description: EndpointSlices of headless imports on all members.
      type: int
    slices_changed:
      description: EndpointSlices that were labelled, or would be in check mode.
      type: int
    requests:
      description: Requests that were sent.
      type: int
    writes:
      description: Requests among them that write, dry runs included.
      type: int
"""

import time

from ansible_collections.clusterset.dns.plugins.module_utils._imports.arguments import (
    FLEET_ARG_SPEC,
    finish,
    fleet_from,
    settings_from,
)
from ansible_collections.clusterset.dns.plugins.module_utils._imports.control_plane import override, require_retain_rule
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    **FLEET_ARG_SPEC,
    "write_via": {"type": "str", "choices": ["retain", "override"], "default": "retain"},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "float", "default": 60.0},
    "verify_after": {"type": "float", "default": 0.5},
}


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    Cluster.require_library(module)
    params = module.params
    try:
        settings = settings_from(
            params,
            dry_run=module.check_mode,
            wait_timeout=params["wait_timeout"] if params["wait"] and not module.check_mode else 0,
            verify_after=params["verify_after"],
            deadline=time.monotonic() + params["deadline"],
        )
        fleet = fleet_from(module, settings)
        if fleet.karmada and params["write_via"] == "override":
            rows = override(fleet.karmada, fleet, wait_timeout=params["wait_timeout"])
        else:
            if fleet.karmada and not module.check_mode:
                require_retain_rule(fleet.karmada)
            rows = fleet.sync()
    except (ValueError, ApiError) as error:
        module.fail_json(msg=str(error))
    finish(module, fleet, rows)


if __name__ == "__main__":
    main()
