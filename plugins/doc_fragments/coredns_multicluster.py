# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This doc fragment is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
from __future__ import annotations


class ModuleDocFragment:
    """The options of ``plugins/module_utils/_coredns/arguments.py``."""

    DOCUMENTATION = r"""
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - dnspython
  - websocket-client
options:
  state:
    description:
      - V(present) lets CoreDNS answer O(zone).
      - V(absent) gives back what was there. The Corefile is the same to the byte unless somebody else has changed it since.
    type: str
    choices: [present, absent]
    default: present
  zone:
    description: The zone of the clusterset.
    type: str
    default: clusterset.local
  cluster_domain:
    description: The DNS domain of the cluster itself.
    type: str
    default: cluster.local
  mode:
    description:
      - V(builtin) uses the option C(multicluster) of CoreDNS's plugin C(kubernetes) (CoreDNS 1.12.2 or newer).
      - V(plugin) uses the external plugin C(multicluster), which the image has to contain.
      - V(forward) runs a CoreDNS of our own for the zone, to which the platform's DNS forwards it.
      - V(auto) is V(builtin) where the platform leaves the Corefile to others and the CoreDNS version allows it. It is V(forward) otherwise.
    type: str
    choices: [auto, builtin, plugin, forward]
    default: auto
  platform:
    description:
      - What made the cluster. It decides where the cluster's DNS may be changed. V(auto) finds out.
      - V(any) is a CoreDNS in a Deployment that nobody else changes.
    type: str
    choices: [auto, kubeadm, k3s, rke2, eks, aks, gke, openshift, any]
    default: auto
  placement:
    description: V(separate) gives the zone a server block of its own. V(inline) adds it to the block of the cluster domain.
    type: str
    choices: [separate, inline]
    default: separate
  header:
    description: Set the flag RA in the zone's answers, without which clients print a warning.
    type: bool
    default: true
  image:
    description:
      - The image that serves the zone. The platform's CoreDNS runs it, or our own with O(mode=forward).
      - Empty leaves the choice to O(image_source).
    type: str
    default: ""
  image_platforms:
    description:
      - The platforms that O(image) or O(image_built) covers, such as C(linux/arm64). A node of another architecture is refused.
      - Empty if that is not known. Upstream's registry is asked for those of its image. A pod on a node of each architecture proves the image in any case.
    type: list
    elements: str
    default: []
  image_source:
    description:
      - Where the image comes from, with O(image) empty.
      - V(auto) keeps the image that the cluster runs where that is CoreDNS 1.12.2 or newer, and takes upstream's otherwise. With O(mode=plugin) it is
        V(build).
      - V(keep) changes no image. A cluster that cannot serve the zone with the one that it runs is refused.
      - V(upstream) takes upstream's image in place of any other.
      - V(build) takes O(image_built), which earlier tasks have built and brought to the nodes.
    type: str
    choices: [auto, keep, upstream, build]
    default: auto
  image_prefix:
    description:
      - Where upstream's image C(coredns) is, such as a mirror of yours. Empty is V(registry.k8s.io/coredns).
      - The registry is asked whether it has the image, and for which architectures. With O(image_source=auto) a registry that cannot be reached
        is an error. With V(upstream) a pod shows whether the nodes reach it.
    type: str
    default: ""
  image_version:
    description:
      - The tag of upstream's image, as its registry has it, such as V(v1.14.6), or V(1.14.6) on Docker Hub.
      - Empty is a version that this collection was made for. A cluster that runs another one of upstream's which can serve the zone keeps it then.
    type: str
    default: ""
  image_built:
    description: The image that was built, for O(image_source=build).
    type: str
    default: ""
  adopt:
    description: Take over lines of the Corefile that serve the zone already, and objects of our names that are somebody else's.
    type: bool
    default: false
  namespace:
    description: The namespace of CoreDNS.
    type: str
    default: kube-system
  deployment:
    description: The Deployment that runs CoreDNS.
    type: str
    default: coredns
  forward_namespace:
    description: The namespace of our own CoreDNS. It has to exist.
    type: str
    default: kube-system
  forward_name:
    description: The name of all objects of our own CoreDNS.
    type: str
    default: clusterset-dns
  forward_replicas:
    description: How many pods our own CoreDNS has.
    type: int
    default: 2
  nodelocal:
    description:
      - Where NodeLocal DNSCache has its Corefile, as C(NAMESPACE/NAME) of a ConfigMap.
      - V(auto) finds it by what it does, whatever its name is. Empty leaves it alone.
    type: str
    default: auto
  eks_addon:
    description: On EKS, return the Corefile for the add-on instead of writing the ConfigMap.
    type: bool
    default: false
  imports:
    description:
      - The files that the Corefile imports, path to text. An empty dictionary says that there are none.
      - Files from mounted ConfigMaps are found without it.
    type: dict
  env:
    description:
      - The environment variables that the Corefile uses.
      - Values in the Deployment itself are found without it.
    type: dict
  fleet:
    description: The fleet for which objects are made. Objects of another fleet are left alone.
    type: str
    default: default
  wait_timeout:
    description: How long new pods, a reload or an answer may take, in seconds.
    type: int
    default: 180
  settle_seconds:
    description: How long new pods are in service before the first old one goes, in seconds.
    type: int
    default: 3
  drain_seconds:
    description: How long an old pod that is out of service goes on answering at least, in seconds.
    type: int
    default: 10
  drain_timeout:
    description: How long an old pod that is out of service goes on answering at most, in seconds, while it is still asked over UDP.
    type: int
    default: 120
"""
