# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``PODS_ARG_SPEC`` in ``module_utils/_dns/query.py``."""

    DOCUMENTATION = r"""
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - dnspython >= 2.6
options:
  cluster:
    description: What messages call the cluster. Without it, O(context) or the file name of O(kubeconfig).
    type: str
  namespace:
    description: The namespace of the DNS server's pods.
    type: str
    default: kube-system
  label_selector:
    description:
      - Which pods to ask. Those that are finished or being deleted are left out.
      - Not used if O(pods) is set.
    type: str
    default: k8s-app=kube-dns
  pods:
    description: Names of the pods to ask, instead of those that O(label_selector) finds.
    type: list
    elements: str
    default: []
  port:
    description: The TCP port that the server listens on inside the pod. Some platforms use V(5353).
    type: int
    default: 53
  timeout:
    description:
      - Seconds to wait for one answer. A pod that does not answer twice in a row is not asked the remaining questions.
    type: float
    default: 5
  wait_sleep:
    description: Seconds between two rounds.
    type: float
    default: 1
notes:
  - Nothing is started in the cluster. The API server forwards a connection to the pod's port, over which the questions
    go as DNS over TCP, one connection per pod for all questions, pods in parallel. Neither nodes nor pods have to be
    reachable from where the module runs.
  - The credentials need the verb C(list) on C(pods) and the verbs C(get) and C(create) on C(pods/portforward) in
    O(namespace).
  - The server sees the questions come from the pod's own loopback address. One that does not listen there (plugin
    C(bind)) cannot be asked this way; one that looks at the client's address (plugins C(acl) and C(view)) may answer
    otherwise than it answers other pods.
"""
