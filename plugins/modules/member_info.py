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
    CustomResourceDefinitions, the CoreDNS Deployment with its image, service account and ConfigMap, what platform it is, whether
    there is a NodeLocal DNSCache, and whether the credentials may do what a play is about to do.
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
  platform:
    description:
      - What made the cluster, which decides where its DNS may be changed. V(auto) finds out from the API server's version and groups,
        from a node, and from what kubeadm leaves behind.
      - V(any) is a CoreDNS in a Deployment that nobody else changes.
    type: str
    choices: [auto, kubeadm, k3s, rke2, eks, aks, gke, openshift, any]
    default: auto
  cluster_domain:
    description: The DNS domain of the cluster itself.
    type: str
    default: cluster.local
  nodelocal:
    description: The ConfigMap of NodeLocal DNSCache, as C(NAMESPACE/NAME). Empty does not look for one.
    type: str
    default: ""
  zone_server:
    description: The Deployment of a CoreDNS that serves the zone by itself, as C(NAMESPACE/NAME). Empty does not look for one.
    type: str
    default: ""
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
          C(sub_path), C(replicas), C(paused), C(selector), C(rolled_out), C(original_image), C(annotated) and C(unfinished) (whether a run that was
          killed left an exchange of pods half done);
          V(null) where the Deployment does not exist.
      type: dict
    platform:
      description:
        - The C(name) of the platform, the C(reason) why it is taken for that, the C(place) where the zone goes (V(corefile),
          V(custom), V(helm), V(stub_domains), V(operator)), and C(namespace), C(selector) and C(port) of the pods that clients ask.
      type: dict
    nodelocal:
      description:
        - C(namespace) and C(name) of NodeLocal DNSCache's ConfigMap, and C(upstream), the address that it asks for the cluster's own
          names. V(null) where there is none.
      type: dict
    zone_server:
      description: C(image) and C(corefile) of O(zone_server); V(null) where there is none.
      type: dict
    problems:
      description: Why this member cannot take part, a sentence each.
      type: list
      elements: str
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import platform as _platform
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import rollout as _rollout
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import zone_server as _zone_server
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    "name": {"required": True},
    "coredns_namespace": {"default": "kube-system"},
    "coredns_deployment": {"default": "coredns"},
    "platform": {"choices": ["auto", "kubeadm", "k3s", "rke2", "eks", "aks", "gke", "openshift", "any"], "default": "auto"},
    "cluster_domain": {"default": "cluster.local"},
    "nodelocal": {"default": ""},
    "zone_server": {"default": ""},
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


def readable(cluster: Cluster, path: str) -> dict[str, t.Any] | None:
    """An object that helps to tell the platform, or None where there is none or it may not be read."""
    try:
        return cluster.get(path)
    except ApiError as error:
        if error.status in (403, 404):
            return None
        raise


def platform_of(cluster: Cluster, asked: str) -> dict[str, t.Any]:
    """The platform, with what follows from it."""
    name, reason = asked, "coredns_multicluster_platform says so"
    if asked == "auto":
        name, reason = _platform.detect(
            version=(cluster.get("/version") or {}).get("gitVersion", ""),
            groups=[group["name"] for group in (cluster.get("/apis") or {}).get("groups", [])],
            nodes=(readable(cluster, "/api/v1/nodes?limit=1") or {}).get("items", []),
            kubeadm=readable(cluster, "/api/v1/namespaces/kube-system/configmaps/kubeadm-config") is not None,
        )
    return {"name": name, "reason": reason, **_platform.PLATFORMS[name]._asdict()}


def nodelocal_of(cluster: Cluster, label: str, cluster_domain: str) -> dict[str, str] | None:
    """NodeLocal DNSCache's ConfigMap and the address that it asks."""
    namespace, _slash, name = label.rpartition("/")
    found = cluster.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}", missing_ok=True) if name else None
    if found is None:
        return None
    services = {
        one: (_zone_server.addresses(cluster.get(f"/api/v1/namespaces/{namespace}/services/{one}", missing_ok=True)) or [""])[0]
        for one in ("kube-dns-upstream", "kube-dns")
    }
    corefile = (found.get("data") or {}).get("Corefile", "")
    return {"namespace": namespace, "name": name, "upstream": _platform.nodelocal_upstream(corefile, cluster_domain, services)}


def zone_server_of(cluster: Cluster, label: str) -> dict[str, str] | None:
    """What a CoreDNS of our own runs."""
    namespace, _slash, name = label.rpartition("/")
    deployment = cluster.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}", missing_ok=True) if name else None
    if deployment is None:
        return None
    return _zone_server.present(deployment, cluster.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}", missing_ok=True))


def look(cluster: Cluster, params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """Read the member. :raises ApiError: it does not answer, or may not be read."""
    namespace, deployment = params["coredns_namespace"], params["coredns_deployment"]
    kubernetes = cluster.version()
    missing = cluster.can_i(params["rights"])
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    found = cluster.get(f"{path}/{deployment}", missing_ok=True)
    elsewhere: list[str] = []
    if found is None:
        candidates = cluster.list("/apis/apps/v1/deployments", label_selector="k8s-app=kube-dns")
        elsewhere = [f"{one['metadata']['namespace']}/{one['metadata']['name']}" for one in candidates]
    coredns = _member.coredns(found) if found else None
    if found and coredns:
        drained = cluster.list(f"/api/v1/namespaces/{namespace}/pods", label_selector=f"{_rollout.DRAINED}={deployment}")
        coredns["unfinished"] = _rollout.unfinished(found, drained)
    platform = platform_of(cluster, params["platform"])
    if platform["place"] == "corefile" and coredns:
        platform |= {"namespace": namespace, "selector": coredns["selector"]}
    nodelocal = nodelocal_of(cluster, params["nodelocal"], params["cluster_domain"])
    problems = _member.problems(
        cluster.name, kubernetes, missing, coredns, elsewhere, f"{namespace}/{deployment}", changed=platform["place"] == "corefile"
    )
    if nodelocal and not nodelocal["upstream"]:
        problems.append(
            f"{cluster.name}: ConfigMap {params['nodelocal']} does not tell where NodeLocal DNSCache sends {params['cluster_domain']}, and"
            " there is no Service kube-dns-upstream beside it. Set coredns_multicluster_nodelocal to its ConfigMap, or to '' for none."
        )
    return {
        "name": cluster.name,
        "kubernetes": _member.text(kubernetes),
        "crds": {
            plural: _member.crd_state(cluster.get(f"{CRDS}/{plural}.multicluster.x-k8s.io", missing_ok=True))
            for plural in ("serviceexports", "serviceimports")
        },
        "coredns": coredns,
        "platform": platform,
        "nodelocal": nodelocal,
        "zone_server": zone_server_of(cluster, params["zone_server"]),
        "problems": problems,
    }


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    params = module.params
    cluster = Cluster.from_module(module, params["name"])
    try:
        member = look(cluster, params)
    except ApiError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, member=member)


if __name__ == "__main__":
    main()
