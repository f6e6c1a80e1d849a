# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of the modules that read the ServiceImports of member clusters. Mirrors ``_imports/arguments.py``, ``FLEET_ARG_SPEC``."""

    DOCUMENTATION = r"""
options:
  members:
    description:
      - The member clusters. Each entry takes all authentication options of this module besides the keys below, so
        that each member is reached in its own way. What an entry does not set is B(not) taken from the module's own
        authentication options.
      - C(name) (string, required), the member's name in Karmada.
      - C(strategy) (string), the strategy for this member. It outranks O(strategy).
      - C(strategies) (dictionary of C(NAMESPACE/NAME) to a strategy), outranks O(strategies).
      - C(ips) (dictionary of C(NAMESPACE/NAME) to a list of addresses), the addresses for strategy V(static). A
        service that is named here is V(static) on this member whatever else is set.
      - Without O(members), the module's own authentication options name one member, called O(cluster).
    type: list
    elements: dict
  only:
    description:
      - The names of those of O(members) whose ServiceImports are looked at, all of them unless set. The others are the rest of the fleet.
        Their load balancers count for O(strategy=load_balancer), and their names tell whence an EndpointSlice comes. They are never
        written, and not asked for anything else.
    type: list
    elements: str
  cluster:
    description:
      - The name of the one member that the module's own authentication options reach. Not used with O(members).
    type: str
  services:
    description:
      - Which ServiceImports, each as C(NAMESPACE/NAME), or the single word V(all).
    type: list
    elements: str
    default: [all]
  label_selector:
    description:
      - Only ServiceImports with these labels, written as for C(kubectl -l).
    type: str
    default: ""
  strategy:
    description:
      - Where a member's addresses come from. The most precise setting wins. The order is C(ips) of a member,
        C(strategies) of a member, O(strategies), C(strategy) of a member, O(strategy).
      - V(derived) takes the ClusterIP of the Service C(derived-NAME) that Karmada makes on each member. A Service of that name that Karmada
        did not deliver gives no address to a ServiceImport that it did deliver.
      - V(native) takes the ClusterIP of the member's Service of the same name, which a MultiClusterService of Karmada
        gives.
      - V(local_first) takes the ClusterIP of the member's own Service of the same name while it has a ready endpoint,
        otherwise as V(derived). It is as fresh as the last run.
      - V(endpoints) takes ready pod addresses, as many as the CRD lets stand. For flat networks.
      - V(load_balancer) takes the addresses of the Service of that name of type LoadBalancer on the member, otherwise
        on the first of the members that has one. Where a member cannot be read, addresses that may be those of its load balancer stay.
      - V(static) takes what C(ips) of the member says.
    type: str
    choices: [derived, native, local_first, endpoints, load_balancer, static]
    default: derived
  strategies:
    description:
      - Strategies for single services, C(NAMESPACE/NAME) to a strategy.
    type: dict
    default: {}
  source_gone:
    description:
      - What becomes of addresses whose source (the derived Service, the load balancer) is no more, or whose service no cluster exports any
        more, which O(karmada) tells. V(clear) takes them away, so that DNS gives no address. V(keep) leaves them.
    type: str
    choices: [clear, keep]
    default: clear
  force:
    description:
      - Take over addresses that another field manager set, such as C(kubectl-patch).
    type: bool
    default: false
  headless:
    description:
      - Whether EndpointSlices that Karmada delivered for headless ServiceImports get the labels
        C(multicluster.kubernetes.io/service-name) and C(multicluster.kubernetes.io/source-cluster). Without them CoreDNS has no answer.
        With them C(NAME.NAMESPACE.svc.ZONE) gives every endpoint and C(HOST.CLUSTER.NAME.NAMESPACE.svc.ZONE) one.
      - The cluster is taken from the slice's name. Slices that come later, with new pods beyond the first hundred or from another
        cluster, are labelled by the next run.
    type: bool
    default: true
  karmada:
    description:
      - Access to Karmada's control plane, with the same keys as this module's authentication options. If set, imports that Karmada
        delivered get no address of a derived Service while there is no ServiceExport of that name, and O(headless) asks it whence a slice
        comes whose name fits several members.
    type: dict
    default: {}
  on_unreachable_member:
    description:
      - What happens when a member cannot be read or written. In both cases all others are done first, and
        RV(failed_members) names it.
    type: str
    choices: [fail, warn]
    default: fail
  rows:
    description:
      - V(all) returns a row for every member and import, V(changed) only those that changed, failed or wait for their
        source. For large fleets, where nobody reads the others.
    type: str
    choices: [all, changed]
    default: all
  parallel:
    description:
      - How many members are worked on at once.
    type: int
    default: 16
  qps:
    description:
      - Requests a second to one member at the most.
    type: float
    default: 1000.0
  in_flight:
    description:
      - Requests under way to one member at the most.
    type: int
    default: 8
  timeout:
    description:
      - Seconds that one answer may take.
    type: float
    default: 10.0
  deadline:
    description:
      - Seconds that all of it may take. Members that are not done by then are reported as failed.
    type: float
    default: 300.0
"""
