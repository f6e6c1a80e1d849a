#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns_multicluster
short_description: Let a member cluster's CoreDNS answer the clusterset zone
version_added: 0.1.0
description:
  - Changes a cluster's CoreDNS as one transaction. Either every pod answers the zone at the end, or everything is as it was before.
  - It reads the cluster, decides what is to be done, and does it in an order in which every pod can be started again at any moment.
  - The rights come first. Then a pod beside CoreDNS's own proves the Corefile with the image. Then new pods come beside the old ones, and the
    Corefile after them. No query is lost by the exchange of pods, as old ones go on answering until nobody asks them.
  - Where a step fails, what this run did is undone in reverse order. The error has the first cause, and says what is not as it was before.
  - A Lease in the cluster keeps a second run out. A run after one that was killed goes on, or goes back.
  - CoreDNS's pods are told by their controllers, not by their labels. A second Deployment that reads the same Corefile is changed with the first.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.coredns_multicluster
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.attributes
  - clusterset.dns.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - Each write is sent as a server-side dry run. Nothing is proven in a pod.
  diff_mode:
    support: full
options:
  name:
    description: What messages call the cluster.
    type: str
seealso:
  - module: clusterset.dns.coredns_multicluster_info
  - module: clusterset.dns.corefile
"""

EXAMPLES = r"""
- name: Serve clusterset.local with the CoreDNS that the cluster runs
  clusterset.dns.coredns_multicluster:
    kubeconfig: ~/.kube/member1.yaml

- name: Serve it with upstream's image from a mirror, where the cluster's CoreDNS is too old
  clusterset.dns.coredns_multicluster:
    kubeconfig: ~/.kube/member1.yaml
    image_prefix: mirror.example.com/coredns

- name: Serve it with an image of one's own
  clusterset.dns.coredns_multicluster:
    kubeconfig: ~/.kube/member1.yaml
    image: registry.example.com/dns/coredns:v1.14.6

- name: Give everything back
  clusterset.dns.coredns_multicluster:
    kubeconfig: ~/.kube/member1.yaml
    state: absent
"""

RETURN = r"""
mode:
  description: How the zone is served.
  returned: success
  type: str
  sample: builtin
reason:
  description: Why it is served so.
  returned: success
  type: str
  sample: it runs CoreDNS 1.14.6, which serves ServiceImports by itself
platform:
  description: The C(name) of the platform, and the C(reason) why it is taken for that.
  returned: success
  type: dict
  sample: {name: kubeadm, reason: there is a ConfigMap kube-system/kubeadm-config}
steps:
  description: What was done, or would be in check mode, in this order.
  returned: success
  type: list
  elements: str
  sample: [Let CoreDNS read ServiceImports, Prove the change beside CoreDNS, Serve the zone, Ask every pod]
image:
  description: The image of CoreDNS, and why it is that.
  returned: success
  type: dict
  contains:
    actual:
      description: The image that CoreDNS ran before.
      type: str
    desired:
      description: The one that is to serve the zone.
      type: str
    source:
      description: Where that comes from, V(given), V(keep), V(upstream) or V(build).
      type: str
    reason:
      description: Why.
      type: str
nodelocal:
  description: The ConfigMaps of the NodeLocal DNSCaches that were found.
  returned: success
  type: list
  elements: str
  sample: [kube-system/node-local-dns]
notes:
  description: What is worth knowing, in sentences.
  returned: success
  type: list
  elements: str
addon:
  description: What to give to the EKS add-on as the key C(corefile) of its configuration. V(none) where there is nothing to give.
  returned: success
  type: str
problems:
  description: Why nothing was done, a sentence each.
  returned: failure, before anything was written
  type: list
  elements: str
needs:
  description: The option that would help, empty for none.
  returned: failure, before anything was written
  type: str
  sample: image
step:
  description: The step that failed.
  returned: failure of a step
  type: str
  sample: Serve the zone
not_back:
  description: What is not as it was before, a sentence each.
  returned: failure of a step
  type: list
  elements: str
duration:
  description: How long it took, in seconds.
  returned: always
  type: float
"""

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.arguments import CHANGE_ARG_SPEC
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.transaction import main_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module


def main() -> None:
    main_of(Module(argument_spec={**AUTH_ARG_SPEC, **CHANGE_ARG_SPEC, "name": {}}, supports_check_mode=True))


if __name__ == "__main__":
    main()
