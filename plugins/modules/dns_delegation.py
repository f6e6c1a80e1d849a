#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dns_delegation
short_description: Let a managed platform's DNS forward a zone
version_added: 0.1.0
description:
  - Edits the object from which a platform's operator makes the configuration of its DNS, so that a zone is forwarded to other DNS servers,
    or no longer is. What the operator makes of it survives the operator, which a change of its Corefile would not.
  - What this module did not put there stays as it is. O(state=absent) after O(state=present) gives back the original, byte for byte.
  - An entry that was made by hand and forwards the zone to the same servers is adopted, which means that it is left as it is. One that
    forwards it elsewhere is refused.
  - Where a platform takes Corefiles (k3s, AKS, EKS, kubeadm), M(clusterset.dns.corefile) with O(clusterset.dns.corefile#module:mode=forward)
    is the module to take.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
  - PyYAML, for O(place=helm)
attributes:
  check_mode:
    support: full
    description: Can run in check mode and return changed status prediction without modifying the target.
    details:
      - The write is sent as a server-side dry run.
  diff_mode:
    support: full
    description: Will return details on what has changed (or possibly needs changing in check_mode), when in diff mode.
  idempotent:
    support: full
    description: When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
options:
  place:
    description:
      - V(stub_domains) is C(stubDomains) of ConfigMap C(kube-system/kube-dns), for GKE.
      - V(operator) is C(spec.servers) of C(dns.operator.openshift.io/default), for OpenShift.
      - V(helm) is C(servers) in the C(valuesContent) of HelmChartConfig C(kube-system/rke2-coredns), for RKE2. Where there are none, those
        that CoreDNS runs now (ConfigMap C(kube-system/rke2-coredns-rke2-coredns)) go in as well, as Helm takes the list as a whole.
    type: str
    choices: [stub_domains, operator, helm]
    required: true
  zone:
    description: The zone to forward.
    type: str
    required: true
  addresses:
    description: The IP addresses of the DNS servers for the zone; needed with O(state=present).
    type: list
    elements: str
    default: []
  state:
    description: V(present) forwards the zone. V(absent) takes away what this module put there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Let OpenShift's DNS forward the zone
  clusterset.dns.dns_delegation:
    kubeconfig: ~/.kube/member1.yaml
    place: operator
    zone: clusterset.local
    addresses: [172.30.77.3]

- name: Take it out again
  clusterset.dns.dns_delegation:
    kubeconfig: ~/.kube/member1.yaml
    place: operator
    zone: clusterset.local
    state: absent
"""

RETURN = r"""
was:
  description: Where to this module's entry forwarded the zone before; empty where there was none.
  returned: success
  type: list
  elements: str
  sample: [172.30.77.3]
adopted:
  description: Whether the zone is forwarded by an entry that was made by hand and left as it is.
  returned: success
  type: bool
notes:
  description: What is worth knowing about the result, in sentences.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import missing_required_lib
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import delegation as _delegation
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import delegation_helm as _delegation_helm
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.settings import address, domain
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    "place": {"choices": ["stub_domains", "operator", "helm"], "required": True},
    "zone": {"required": True},
    "addresses": {"type": "list", "elements": "str", "default": []},
    "state": {"choices": ["present", "absent"], "default": "present"},
}
# Collection and name, and what people call it.
_OBJECTS = {
    "stub_domains": ("/api/v1/namespaces/kube-system/configmaps", "kube-dns", "ConfigMap kube-system/kube-dns"),
    "operator": ("/apis/operator.openshift.io/v1/dnses", "default", "DNS.operator.openshift.io default"),
    "helm": (
        "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs",
        "rke2-coredns",
        "HelmChartConfig kube-system/rke2-coredns",
    ),
}
_COREFILE = "/api/v1/namespaces/kube-system/configmaps/rke2-coredns-rke2-coredns"
_ATTEMPTS = 3


def outcome(cluster: Cluster, place: str, found: dict[str, t.Any] | None, want: _delegation.Want) -> _delegation.Outcome:
    """What is to be done. :raises _delegation.DelegationError: nothing can be."""
    if place == "stub_domains":
        return _delegation.stub_domains(found, want)
    if place == "operator":
        return _delegation.servers(found, want)
    config_map = cluster.get(_COREFILE, missing_ok=True) or {}
    return _delegation_helm.helm_values(found, want, (config_map.get("data") or {}).get("Corefile"))


def run(cluster: Cluster, place: str, want: _delegation.Want, *, dry_run: bool, diff: bool) -> dict[str, t.Any]:
    """Read, decide, write. :raises ApiError: also with status 409, if someone else changed the object meanwhile."""
    collection, name, label = _OBJECTS[place]
    path = f"{collection}/{name}"
    done = outcome(cluster, place, cluster.get(path, missing_ok=True), want)
    if done.verb == "create":
        cluster.create(collection, done.body or {}, dry_run=dry_run)
    elif done.verb == "patch":
        cluster.patch(path, done.body, dry_run=dry_run)
    elif done.verb == "delete":
        cluster.delete(path, dry_run=dry_run)
    result: dict[str, t.Any] = {
        "changed": bool(done.verb),
        "was": list(done.was),
        "adopted": done.adopted,
        "notes": list(done.notes),
    }
    if diff:
        header = f"{label} of {cluster.name}"
        result["diff"] = {"before_header": header, "after_header": header, "before": done.before, "after": done.after}
    return result


def main() -> None:
    module = Module(
        argument_spec={**AUTH_ARG_SPEC, **ARGUMENT_SPEC},
        supports_check_mode=True,
        required_if=[("state", "present", ["addresses"])],
    )
    params = module.params
    if params["place"] == "helm" and _delegation_helm.YAML_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("PyYAML"), exception=_delegation_helm.YAML_IMPORT_ERROR)
    present = params["state"] == "present"
    try:
        zone = domain(params["zone"], "zone")
        addresses = tuple(map(address, params["addresses"])) if present else ()
    except CorefileError as error:
        module.fail_json(msg=str(error).replace("forward_to has", "addresses has"))
    if present and not addresses:
        module.fail_json(msg="addresses is empty: set it to the addresses of the DNS servers for the zone.")
    cluster = Cluster.from_module(module)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            want = _delegation.Want(zone, addresses)
            result = run(cluster, params["place"], want, dry_run=module.check_mode, diff=module._diff)
            module.exit_json(**result)
        except _delegation.DelegationError as error:
            module.fail_json(msg=f"{_OBJECTS[params['place']][2]} of {cluster.name}: {error}")
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS:
                module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
