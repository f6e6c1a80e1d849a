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
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - This module does not modify state. In check mode it does not wait.
  diff_mode:
    support: N/A
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
    details:
      - This module does not modify state.
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
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
  collected:
    description: Read as well which EndpointSlices Karmada collected for the ServiceExports of this collection.
    type: bool
    default: false
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
collected:
  description: The EndpointSlices that Karmada collected from members for the ServiceExports that this collection made.
  returned: when O(collected=true)
  type: list
  elements: dict
  contains:
    work:
      description: Name of the Work that holds it.
      type: str
    cluster:
      description: The cluster that it was collected from.
      type: str
      sample: member1
    namespace:
      description: Namespace of the exported Service.
      type: str
      sample: default
    name:
      description: Name of the exported Service.
      type: str
      sample: serve
crds:
  description: The labels of the control plane's own ServiceExport and ServiceImport CustomResourceDefinitions, by name.
  returned: success
  type: dict
  sample: {serviceimports.multicluster.x-k8s.io: {}}
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

import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _karmada
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import LABELS
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

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
    "collected": {"type": "bool", "default": False},
    "wait": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
    "wait_sleep": {"type": "int", "default": 2},
}
CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
EXPORTS = "/apis/multicluster.x-k8s.io/v1alpha1/serviceexports"
WORKS = "/apis/work.karmada.io/v1alpha1/works"


def look(karmada: Cluster, params: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Karmada's clusters. :raises ApiError: it does not answer, or is no Karmada."""
    try:
        items = karmada.list(CLUSTERS)
    except ApiError as error:
        if error.status != 404:
            raise
        message = (
            f"{karmada.name}: the API server at {karmada.server} is not Karmada's: it has no cluster.karmada.io."
            " Set clusterset_kubeconfig of the control plane's host to Karmada's kubeconfig."
        )
        raise ApiError(karmada.name, message, status=404, reason="NotKarmada") from error
    found = [_karmada.cluster(item, params["group_version"], params["kinds"]) for item in items]
    return sorted(found, key=lambda one: one["name"])


def crd_labels(karmada: Cluster) -> dict[str, dict[str, str]]:
    """The labels of the MCS-API's CustomResourceDefinitions that the control plane has, by name."""
    names = [f"{plural}.multicluster.x-k8s.io" for plural in ("serviceexports", "serviceimports")]
    found = {name: karmada.get(f"{CRDS}/{name}", missing_ok=True) for name in names}
    return {name: crd["metadata"].get("labels") or {} for name, crd in found.items() if crd}


def collected(karmada: Cluster, crds: t.Collection[str]) -> list[dict[str, str]]:
    """What Karmada collected for our exports, of which there are none without their definition."""
    if "serviceexports.multicluster.x-k8s.io" not in crds:
        return []
    exports = karmada.list(EXPORTS, label_selector=",".join(f"{key}={value}" for key, value in LABELS.items()))
    return _karmada.collected(karmada.list(WORKS, label_selector=_karmada.COLLECTED) if exports else [], exports)


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    params = module.params
    karmada = Cluster.from_module(module, "karmada")
    started = time.monotonic()
    try:
        missing = karmada.can_i(params["rights"])
        crds = crd_labels(karmada)
        while True:
            clusters = look(karmada, params)
            pending = _karmada.waiting_for(clusters, params["members"])
            hopeful = any(one["ready"] and one["name"] in pending for one in clusters)
            elapsed = time.monotonic() - started
            if module.check_mode or not params["wait"] or not hopeful or elapsed >= params["wait_timeout"]:
                break
            time.sleep(params["wait_sleep"])
        # last: who asks for it may not be allowed to, and what is asked may be no Karmada, which is said in better words than those of a refusal
        more = {"collected": [] if missing else collected(karmada, crds)} if params["collected"] else {}
    except ApiError as error:
        module.fail_json(msg=str(error))
    names = {one["name"] for one in clusters}
    module.exit_json(
        changed=False,
        clusters=clusters,
        crds=crds,
        pending=pending,
        problems=_karmada.problems(karmada.name, missing, params["members"], names),
        duration=round(elapsed, 1),
        **more,
    )


if __name__ == "__main__":
    main()
