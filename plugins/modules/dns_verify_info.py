#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_verify_info
short_description: Compare what every CoreDNS pod of a fleet answers with what it should answer
version_added: 0.1.0
description:
  - Finds the DNS servers of each member, works out what the names of its ServiceImports have to resolve to, asks every
    server pod, and says for each answer whether it is right and, where it is not, why.
  - The right addresses are those that M(clusterset.dns.serviceimport_ips) would set now, from the member's derived
    Services, Services and EndpointSlices. Where a ServiceImport says something else, its answers are V(stale) even if
    DNS says the same as the import.
  - Asked for each service are C(A) and C(AAAA) as far as there should be addresses of that family, and C(SRV) for each
    named port. For a headless one these are compared with the ready endpoints in its EndpointSlices, and so is
    C(HOST.CLUSTER.NAME.NAMESPACE.svc.ZONE) for endpoints that have a host name. Each pod is asked for the cluster's own
    name C(kubernetes.default), and for the C(dns-version) record that shows whether the zone is served at all.
  - The servers are the pods behind the Services on port 53 that a cluster's pods use, whatever their labels, and each
    NodeLocal DNSCache, whatever its name. One that cannot be asked is a row that says so.
  - All members are done in one process. A wrong answer does not fail the module, nor does a member that cannot be
    looked at; RV(ok) and RV(failed_members) tell.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.attributes
  - clusterset.dns.attributes.info_module
  - clusterset.dns.attributes.action_group
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - dnspython >= 2.6
attributes:
  check_mode:
    details:
      - In check mode nothing is waited for, HTTP is not tried, a member of which no pod serves the zone yet is one row with the
        verdict V(skipped), and RV(failed_members) has only members that could not be looked at.
      - Outside check mode the only thing that is made is the pod of O(http_image), which is gone when the module ends.
options:
  members:
    description:
      - The member clusters. Each entry takes all authentication options of this module besides the keys below, so that
        each member is reached in its own way. What an entry does not set is B(not) taken from the module's own
        authentication options.
      - C(name) (string, required), the member's name in Karmada.
      - C(ips) (dictionary of C(NAMESPACE/NAME) to a list of addresses), the addresses for strategy V(static). A service
        that is named here is V(static) on this member whatever else is set.
      - O(services), O(zone), O(cluster_domain), O(namespace), O(label_selector), O(pods), O(port), O(strategy),
        O(strategies), O(http_image), O(http_namespace) and O(http_path), for this member instead of the module's own.
      - Without O(members), the module's own authentication options name one member, called O(cluster).
    type: list
    elements: dict
  given_up:
    description:
      - Names of members that are not looked at, because an earlier step failed there. Each is a failed row.
    type: list
    elements: str
    default: []
  cluster:
    description:
      - What the one member is called that the module's own authentication options reach. Without it, O(context) or the
        file name of O(kubeconfig). Not used with O(members).
    type: str
  services:
    description:
      - The services to verify, each with C(namespace) and C(name). One that has C(to_clusters) is verified only in the
        members that it names. Other keys are not looked at, so that what
        M(clusterset.dns.service_exports) takes can be given as it is.
      - An empty list means every ServiceImport that has addresses or endpoints, or should have.
    type: list
    elements: dict
    default: []
  zone:
    description: The clusterset's DNS zone.
    type: str
    default: clusterset.local
  cluster_domain:
    description: The cluster's own DNS domain.
    type: str
    default: cluster.local
  strategy:
    description:
      - Where a member's addresses come from, as in M(clusterset.dns.serviceimport_ips).
      - With V(load_balancer), an import whose member has no load balancer of that name is right as it is.
    type: str
    choices: [derived, native, local_first, endpoints, load_balancer, static]
    default: derived
  strategies:
    description: Strategies for single services, C(NAMESPACE/NAME) to a strategy.
    type: dict
    default: {}
  source_gone:
    description: What is right for addresses whose source is no more, that they are gone (V(clear)) or stay (V(keep)).
    type: str
    choices: [clear, keep]
    default: clear
  force:
    description: Whether addresses that another field manager set are wrong where they differ.
    type: bool
    default: false
  namespace:
    description:
      - The namespace of the DNS server's pods. Unless set, they are found out; with O(label_selector) or O(pods) it is
        V(kube-system).
    type: str
    default: ""
  label_selector:
    description: Which pods to ask, instead of those that are found out.
    type: str
    default: ""
  pods:
    description: Names of the pods to ask, instead of those that are found out.
    type: list
    elements: str
    default: []
  port:
    description:
      - The TCP port that the server listens on inside its pods. With V(0) it is the one that the Service sends to, or
        V(53) with O(label_selector) or O(pods).
    type: int
    default: 0
  timeout:
    description:
      - Seconds to wait for one answer. A pod that does not answer twice in a row is not asked the remaining questions.
    type: float
    default: 5
  wait_timeout:
    description:
      - For how many seconds, from the beginning, members are asked again while an answer is wrong. Answers may be cached
        for as long as they live, and CoreDNS reloads its Corefile up to 45 seconds after a change.
    type: float
    default: 0
  wait_sleep:
    description: Seconds between two rounds.
    type: float
    default: 1
  http_image:
    description:
      - An image with C(curl) 7.75 or newer, for trying the services' ports that speak HTTP from inside each member, as
        M(clusterset.dns.http_query_info) does. Empty means that HTTP is not tried.
    type: str
    default: ""
  http_namespace:
    description: The namespace of the pod that tries it.
    type: str
    default: default
  http_path:
    description: The path to ask for.
    type: str
    default: /
  http_timeout:
    description: Seconds that one URL may take.
    type: float
    default: 5
  http_wait_timeout:
    description: For how many seconds a URL that does not answer is tried again.
    type: float
    default: 0
  parallel:
    description: How many members are worked on at once.
    type: int
    default: 16
  deadline:
    description: Seconds that all of it may take. Members that are not done by then are failed rows.
    type: float
    default: 300
notes:
  - The credentials need the verb C(list) on C(serviceimports), C(services), C(daemonsets), C(endpointslices) and C(pods),
    C(get) on the C(configmaps) of a NodeLocal DNSCache, and C(get) and C(create) on C(pods/portforward). Where they may
    C(get) the CRD of ServiceImports and C(create) C(subjectaccessreviews), the comparison and the causes are more exact.
  - The API server forwards a connection to the pod's port, over which the questions go as DNS over TCP, one connection per
    pod for all questions. The server sees them come from the pod's own loopback address. NodeLocal DNSCache does not
    listen there as a rule, so that it is judged by its Corefile.
  - Of a headless service with many endpoints the host names of the first ten are asked; RV(notes) says so.
seealso:
  - module: clusterset.dns.dns_query_info
  - module: clusterset.dns.http_query_info
  - module: clusterset.dns.serviceimport_ips
"""

EXAMPLES = r"""
- name: Verify all services that member2 imports
  clusterset.dns.dns_verify_info:
    kubeconfig: ~/.kube/member2.yaml
    cluster: member2
  register: verified

- name: Stop where an answer is wrong
  ansible.builtin.assert:
    that: verified.ok
    fail_msg: "{{ verified.failed_members | map(attribute='error') | join(' ') }}"

- name: Verify one service in two members, and give it a minute
  clusterset.dns.dns_verify_info:
    members:
      - {name: member1, kubeconfig: ~/.kube/member1.yaml}
      - {name: member2, kubeconfig: ~/.kube/member2.yaml, cluster_domain: two.example}
    services:
      - {namespace: default, name: serve}
    wait_timeout: 60
  register: verified

- name: Show the table
  clusterset.dns.print_lines:
    lines: "{{ verified.rows | clusterset.dns.dns_table }}"
"""

RETURN = r"""
ok:
  description: Whether everything that should be asked was asked, of every member, and answered right.
  returned: success
  type: bool
summary:
  description: The same in one line, with how many members, pods and questions there are.
  returned: success
  type: str
  sample: "8 answers of 2 CoreDNS pods in 1 cluster: all right."
counts:
  description: How many C(members), C(pods) and C(questions) were C(expected) to be asked, and how many were C(asked) and answered.
  returned: success
  type: dict
  sample: {members: {expected: 2, asked: 2}, pods: {expected: 4, asked: 4}, questions: {expected: 16, asked: 16}}
rows:
  description:
    - One row per member, pod and question, with the keys of the rows of M(clusterset.dns.dns_query_info) and those listed
      here. What is known of a member or a server as a whole is a row with an empty C(name).
  returned: success
  type: list
  elements: dict
  contains:
    cluster:
      description: The member's name.
      type: str
      sample: member2
    service:
      description: The service, as C(NAMESPACE/NAME); empty for questions about the server itself.
      type: str
      sample: default/serve
    expected:
      description: What has to come back, for C(SRV) the port and the target; V(null) where any answer is right.
      type: list
      elements: str
      sample: [10.22.4.17]
    ok:
      description: Whether the answer is right; V(null) where it could not be asked, and nothing says that it is wrong.
      type: bool
    verdict:
      description:
        - V(ok), or the cause in a word.
        - V(nxdomain), no import or no ports. V(nodata), no ips. V(servfail), CRD or RBAC. V(refused), the zone is not
          served. V(upstream), another server answered. V(stale), the answer or the import is not what it should be.
          V(error), no answer. V(http), the name is right, but HTTP does not get through. V(unasked), a server that cannot be
          asked. V(skipped), not verified in check mode.
      type: str
      sample: ok
    cause:
      description: The cause in a sentence, with where to look; empty where the answer is right.
      type: str
    http_status:
      description: Of the service's URLs the first status that is not right, else the first; V(null) where none was tried.
      type: int
      sample: 200
    http:
      description: What M(clusterset.dns.http_query_info) returns for the service's URLs.
      type: list
      elements: dict
failed_members:
  description: The members that could not be looked at, or of which an answer is wrong.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The member's name.
      type: str
    error:
      description: The causes, in sentences.
      type: str
notes:
  description: What was left out, in sentences.
  returned: success
  type: list
  elements: str
  sample: []
duration:
  description: Seconds that it took.
  returned: success
  type: float
  sample: 0.8
"""

import os
import time
from functools import partial

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.servers import servers
from ansible_collections.clusterset.dns.plugins.module_utils._dns import report
from ansible_collections.clusterset.dns.plugins.module_utils._dns.arguments import VERIFY_ARG_SPEC, settings_from, wants_from
from ansible_collections.clusterset.dns.plugins.module_utils._dns.look import look
from ansible_collections.clusterset.dns.plugins.module_utils._dns.query import require_library
from ansible_collections.clusterset.dns.plugins.module_utils._dns.verification import Fleet
from ansible_collections.clusterset.dns.plugins.module_utils._imports.desired import Comparison
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

# here the packages meet that may not know one another
LOOK = partial(look, servers=servers, known=Comparison)


def main() -> None:
    module = Module({**AUTH_ARG_SPEC, **VERIFY_ARG_SPEC}, supports_check_mode=True)
    Cluster.require_library(module)
    require_library(module)
    kubeconfig = module.params["kubeconfig"] or os.environ.get("K8S_AUTH_KUBECONFIG")
    guess = module.params["context"] or (os.path.basename(kubeconfig) if isinstance(kubeconfig, str) else None)
    start = time.monotonic()
    try:
        settings = settings_from(module.params, check=module.check_mode)
        wants = wants_from(module.params, module.params["cluster"] or guess or module.params["host"] or "the cluster")
    except ValueError as error:
        module.fail_json(msg=str(error))
    fleet = Fleet(wants, settings, LOOK, module.params["given_up"])
    rows = fleet.verify()
    module.exit_json(
        changed=False,
        ok=all(row["ok"] for row in rows),
        summary=report.summary(rows),
        counts=report.counts(rows),
        rows=rows,
        failed_members=fleet.failures(rows),
        notes=fleet.notes,
        duration=round(time.monotonic() - start, 2),
    )


if __name__ == "__main__":
    main()
