#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns_multicluster_info
short_description: See what is to be done in the CoreDNS of a whole fleet
version_added: 0.1.0
description:
  - Looks at all member clusters at once, in one process, and says of each whether its CoreDNS is as it shall be.
  - A cluster that does not answer, or cannot take part, has the reason in its row. It does not stop the others.
  - Nothing is written.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.attributes
  - clusterset.dns.attributes.info_module
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
options:
  members:
    description:
      - The clusters. Each has a C(name), how it is reached (the authentication options of M(kubernetes.core.k8s), such as C(kubeconfig)
        and C(context)), and any option of M(clusterset.dns.coredns_multicluster).
    type: list
    elements: dict
    required: true
  deadline:
    description: How long the look at all clusters may take, in seconds. A cluster that has not answered by then has that as its error.
    type: int
    default: 120
  timeout:
    description: How long one answer may take, in seconds.
    type: int
    default: 10
  parallel:
    description: How many clusters are looked at at once.
    type: int
    default: 16
seealso:
  - module: clusterset.dns.coredns_multicluster
"""

EXAMPLES = r"""
- name: See which clusters have yet to be changed
  clusterset.dns.coredns_multicluster_info:
    members:
      - {name: paris, kubeconfig: ~/.kube/paris.yaml}
      - {name: tokyo, kubeconfig: ~/.kube/tokyo.yaml, platform: k3s}
  register: look

- name: Name them
  ansible.builtin.debug:
    msg: "{{ look.members | rejectattr('settled') | map(attribute='name') }}"
"""

RETURN = r"""
members:
  description: One row for each of O(members), in their order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: The cluster.
      type: str
      sample: paris
    settled:
      description: Whether nothing is to be done. False where that could not be seen.
      type: bool
    error:
      description: Why the cluster could not be looked at, or cannot take part. Empty where it can.
      type: str
    needs:
      description: The option of M(clusterset.dns.coredns_multicluster) that would help, empty for none.
      type: str
    steps:
      description: What is to be done, in this order.
      type: list
      elements: str
    mode:
      description: How the zone is or will be served.
      type: str
    reason:
      description: Why it is served so.
      type: str
    platform:
      description: The platform's C(name), and the C(reason) why it is taken for that.
      type: dict
    image:
      description: The image of CoreDNS, and why it is that.
      type: dict
      contains:
        actual:
          description: The image that CoreDNS runs.
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
    notes:
      description: What is worth knowing, in sentences.
      type: list
      elements: str
settled:
  description: The names of the clusters in which nothing is to be done.
  returned: always
  type: list
  elements: str
requests:
  description: How many requests were sent to all API servers.
  returned: always
  type: int
duration:
  description: How long it took, in seconds.
  returned: always
  type: float
"""

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.survey import SURVEY_ARG_SPEC, main_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module


def main() -> None:
    main_of(Module(argument_spec=SURVEY_ARG_SPEC, supports_check_mode=True))


if __name__ == "__main__":
    main()
