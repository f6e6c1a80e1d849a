#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: serviceimport_ips_info
short_description: Tell which addresses each member's ServiceImports have, and which they should have
version_added: 0.1.0
description:
  - Reads and computes what M(clusterset.dns.serviceimport_ips) would, and writes nothing, not even as a dry run.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.serviceimports
  - clusterset.dns.attributes
  - clusterset.dns.attributes.info_module
  - clusterset.dns.attributes.action_group
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
seealso:
  - module: clusterset.dns.serviceimport_ips
"""

EXAMPLES = r"""
- name: Find the imports whose addresses are not what they should be
  clusterset.dns.serviceimport_ips_info:
    kubeconfig: ~/.kube/member1.yaml
    cluster: member1
  register: __addresses

- name: Show them
  ansible.builtin.debug:
    msg: "{{ __addresses.imports | rejectattr('in_sync') }}"
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
      description: The addresses that it has.
      type: list
      elements: str
      sample: []
    reason:
      description: Where the desired addresses come from, or why there are none.
      type: str
      sample: derived Service derived-serve
    in_sync:
      description: Whether nothing is to change.
      type: bool
    pending:
      description: Whether the source of its addresses is not there and may still come.
      type: bool
    held:
      description: Whether its addresses are not what its strategy would give and are left nevertheless, for the reason that is given.
      type: bool
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
      description: Those of them that it has.
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
    in_sync:
      description: Whether nothing is to change.
      type: bool
failed_members:
  description: The members that could not be read.
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
"""

import time

from ansible_collections.clusterset.dns.plugins.module_utils._imports.arguments import (
    FLEET_ARG_SPEC,
    finish_info,
    fleet_from,
    settings_from,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **FLEET_ARG_SPEC}, supports_check_mode=True)
    Cluster.require_library(module)
    try:
        settings = settings_from(module.params, deadline=time.monotonic() + module.params["deadline"])
        fleet = fleet_from(module, settings)
    except (ValueError, ApiError) as error:
        module.fail_json(msg=str(error))
    states = fleet.read()
    fleet.judge_slices(states)
    finish_info(module, fleet, fleet.judge(states))


if __name__ == "__main__":
    main()
