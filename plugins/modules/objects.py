#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: objects
short_description: Make a set of Kubernetes objects what they should be, in one call
version_added: 0.1.0
description:
  - Creates what is missing, patches what differs, and writes nothing where nothing does. One process for all objects.
  - It is what the roles of this collection use for the objects they own. For anything else M(kubernetes.core.k8s) is the module to
    take. This one differs in what it does not need (API discovery) and in check mode, which tells the truth on a fleet where the
    namespace or the CustomResourceDefinition of an object does not exist yet.
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
      - Writes are sent as server-side dry runs, so admission and validation take part.
  diff_mode:
    support: full
options:
  definitions:
    description:
      - The objects, each with C(apiVersion), C(kind) and C(metadata.name). They are written in this order, and removed in reverse.
      - A field that is V(null) is removed from an object that has it.
    type: list
    elements: dict
    required: true
  state:
    description:
      - V(present) creates and patches, V(absent) deletes.
    type: str
    choices: [present, absent]
    default: present
  fleet:
    description:
      - The fleet for which the objects are made. It is a label of each of them (C(clusterset.dns/fleet)).
      - An object that is another fleet's, or somebody else's, is neither written nor deleted.
    type: str
    default: default
  adopt:
    description:
      - Take over an object of that name that is somebody else's, which is an error otherwise.
      - An annotation keeps what it was, and O(state=absent) gives it back instead of deleting it.
    type: bool
    default: false
  prune:
    description:
      - Delete the objects of O(fleet), of these kinds, that are not among O(definitions).
      - Each entry has C(api_version), C(kind) and optionally C(label_selector).
    type: list
    elements: dict
    default: []
    suboptions:
      api_version:
        description: Group and version of the kind.
        type: str
        required: true
      kind:
        description: The kind.
        type: str
        required: true
      label_selector:
        description: Labels that they have to have besides.
        type: str
        default: ""
"""

EXAMPLES = r"""
- name: Let CoreDNS read ServiceImports
  clusterset.dns.objects:
    kubeconfig: ~/.kube/member1.yaml
    definitions:
      - apiVersion: rbac.authorization.k8s.io/v1
        kind: ClusterRole
        metadata:
          name: clusterset-dns-coredns
        rules:
          - apiGroups: [multicluster.x-k8s.io]
            resources: [serviceimports]
            verbs: [list, watch]
"""

RETURN = r"""
objects:
  description: One entry for each object, in the order in which they were written.
  returned: success
  type: list
  elements: dict
  contains:
    object:
      description: Kind, namespace and name.
      type: str
      sample: ServiceExport default/serve
    action:
      description:
        - What was done, or would be in check mode, V(unchanged), V(created), V(patched), V(adopted), V(deleted), V(given back), or V(kept) for
          one that is not of this O(fleet).
      type: str
      sample: created
    note:
      description: What could not be proven in check mode, otherwise empty.
      type: str
      sample: ""
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.plugins.module_utils._kube.apply import Applier
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import describe, invalid

ARGUMENT_SPEC = {
    "definitions": {"type": "list", "elements": "dict", "required": True},
    "state": {"choices": ["present", "absent"], "default": "present"},
    "fleet": {"default": ownership.DEFAULT_FLEET},
    "adopt": {"type": "bool", "default": False},
    "prune": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "api_version": {"required": True},
            "kind": {"required": True},
            "label_selector": {"default": ""},
        },
    },
}


def prune(applier: Applier, api_version: str, kind_name: str, label_selector: str, keep: set[str]) -> None:
    """Remove our objects of a kind that are not to be kept."""
    kind = applier.kind(api_version, kind_name)
    selectors = ",".join(filter(None, [ownership.selector(), label_selector]))
    for found in applier.cluster.list(kind.path(None), label_selector=selectors) if kind else []:
        found = {"apiVersion": api_version, "kind": kind_name, **found}
        if describe(found) not in keep:
            applier.absent(found)


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    params = module.params
    for problem in filter(None, map(invalid, params["definitions"])):
        module.fail_json(msg=problem)
    applier = Applier(Cluster.from_module(module), fleet=params["fleet"], adopt=params["adopt"], dry_run=module.check_mode)
    present = params["state"] == "present"
    try:
        for item in params["definitions"] if present else reversed(params["definitions"]):
            (applier.present if present else applier.absent)(item)
        keep = {describe(item) for item in params["definitions"]} if present else set()
        for entry in params["prune"]:
            prune(applier, entry["api_version"], entry["kind"], entry["label_selector"], keep)
    except ApiError as error:
        module.fail_json(msg=str(error), objects=[row.result for row in applier.rows])
    result: dict[str, t.Any] = {"changed": applier.changed, "objects": [row.result for row in applier.rows]}
    if module._diff:
        result["diff"] = applier.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
