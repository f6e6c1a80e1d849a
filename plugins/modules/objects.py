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
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - Writes are sent as server-side dry runs, so admission and validation take part.
  diff_mode:
    support: full
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
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
  prune:
    description:
      - Delete the objects that carry these labels and are not among O(definitions), of these kinds.
      - Each entry has C(api_version), C(kind) and C(label_selector).
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
        description: Which of them may be deleted.
        type: str
        required: true
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
      description: What was done, or would be in check mode.
      type: str
      sample: created
    note:
      description: What could not be proven in check mode, otherwise empty.
      type: str
      sample: ""
"""

import typing as t

from ansible.module_utils.common.yaml import yaml_dump
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module
from ansible_collections.clusterset.dns.plugins.module_utils._kube.objects import (
    Kind,
    describe,
    find_kind,
    invalid,
    root_of,
    satisfied,
    shown,
)

ARGUMENT_SPEC = {
    "definitions": {"type": "list", "elements": "dict", "required": True},
    "state": {"choices": ["present", "absent"], "default": "present"},
    "prune": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "api_version": {"required": True},
            "kind": {"required": True},
            "label_selector": {"required": True},
        },
    },
}


class Writer:
    """Brings one cluster's objects to what is wanted, and remembers what it did."""

    def __init__(self, cluster: Cluster, check_mode: bool) -> None:
        self.cluster = cluster
        self.check_mode = check_mode
        self.rows: list[dict[str, str]] = []
        self.diff: list[dict[str, str]] = []
        self._resources: dict[str, list[dict[str, t.Any]]] = {}

    @property
    def changed(self) -> bool:
        return any(row["action"] != "unchanged" for row in self.rows)

    def kind(self, api_version: str, kind: str) -> Kind | None:
        """How to address a kind, or None where this API server does not serve it."""
        if api_version not in self._resources:
            answer = self.cluster.get(root_of(api_version), missing_ok=True)
            self._resources[api_version] = answer["resources"] if answer else []
        return find_kind(api_version, kind, self._resources[api_version])

    def present(self, wanted: dict[str, t.Any]) -> None:
        kind = self.kind(wanted["apiVersion"], wanted["kind"])
        if kind is None:
            if self.check_mode:
                self._note(wanted, "created", None, f"{wanted['apiVersion']} has no kind {wanted['kind']} here yet")
                return
            raise ApiError(
                self.cluster.name,
                f"{self.cluster.name}: the API server does not serve {wanted['kind']} in {wanted['apiVersion']}, so"
                f" {describe(wanted)} cannot be created. Install its CustomResourceDefinition first.",
            )
        metadata = wanted["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        found = self.cluster.get(path, missing_ok=True)
        if found is None:
            self._create(kind, wanted)
        elif satisfied(wanted, found):
            self._note(wanted, "unchanged", found)
        else:
            self.cluster.patch(path, wanted, dry_run=self.check_mode)
            self._note(wanted, "patched", found)

    def _create(self, kind: Kind, wanted: dict[str, t.Any]) -> None:
        note = ""
        namespace = wanted["metadata"].get("namespace")
        try:
            self.cluster.create(kind.path(namespace), wanted, dry_run=self.check_mode)
        except ApiError as error:
            # A dry run cannot create the namespace that an earlier definition, or an earlier play, would have made.
            if not (self.check_mode and error.status == 404):
                raise
            note = f"namespace {namespace} does not exist yet"
        self._note(wanted, "created", None, note)

    def absent(self, item: dict[str, t.Any]) -> None:
        kind = self.kind(item["apiVersion"], item["kind"])
        metadata = item["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"]) if kind else ""
        found = self.cluster.get(path, missing_ok=True) if kind else None
        if found is None:
            self._note(item, "unchanged", None)
            return
        self.cluster.delete(path, dry_run=self.check_mode)
        self._note(item, "deleted", found)

    def prune(self, api_version: str, kind_name: str, label_selector: str, keep: set[str]) -> None:
        kind = self.kind(api_version, kind_name)
        for found in self.cluster.list(kind.path(None), label_selector=label_selector) if kind else []:
            found = {"apiVersion": api_version, "kind": kind_name, **found}
            if describe(found) not in keep:
                self.absent(found)

    def _note(self, wanted: dict[str, t.Any], action: str, found: dict[str, t.Any] | None, note: str = "") -> None:
        name = describe(wanted)
        self.rows.append({"object": name, "action": action, "note": note})
        if action == "unchanged":
            return
        before = "" if found is None else f"{name}\n" if action == "deleted" else yaml_dump(shown(wanted, found))
        self.diff.append(
            {
                "before_header": f"{self.cluster.name} {name}",
                "after_header": f"{self.cluster.name} {name} ({action})",
                "before": before,
                "after": "" if action == "deleted" else yaml_dump(wanted),
            }
        )


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    definitions = module.params["definitions"]
    for problem in filter(None, map(invalid, definitions)):
        module.fail_json(msg=problem)
    writer = Writer(Cluster.from_module(module), module.check_mode)
    try:
        if module.params["state"] == "present":
            for wanted in definitions:
                writer.present(wanted)
        else:
            for item in reversed(definitions):
                writer.absent(item)
        keep = {describe(item) for item in definitions} if module.params["state"] == "present" else set()
        for entry in module.params["prune"]:
            writer.prune(entry["api_version"], entry["kind"], entry["label_selector"], keep)
    except ApiError as error:
        module.fail_json(msg=str(error), objects=writer.rows)
    result: dict[str, t.Any] = {"changed": writer.changed, "objects": writer.rows}
    if module._diff:
        result["diff"] = writer.diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
