# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: karmada
short_description: The member clusters of a Karmada fleet as hosts
version_added: 0.1.0
description:
  - Asks Karmada's control plane for its Clusters and makes each a host of the group C(karmada_members), and the control plane itself the
    host C(karmada) (O(control_plane)). Roles and playbooks of this collection run on these.
  - Reads a file whose name ends in C(.karmada.yml) or C(.karmada.yaml).
  - What Karmada knows of a cluster becomes the variables C(karmada_labels), C(karmada_provider), C(karmada_region), C(karmada_zones),
    C(karmada_sync_mode), C(karmada_ready), C(karmada_kubernetes_version) and C(karmada_id), and the groups C(karmada_ready) or
    C(karmada_not_ready), C(provider_X), C(region_X), C(zone_X), C(sync_mode_X) and C(label_KEY_VALUE).
  - How a host is reached is in C(clusterset_kubeconfig), C(clusterset_context) and C(clusterset_host). No secret is in the inventory.
  - Nothing in it belongs to the machine that reads it. Paths are as they are written here, and C(ansible_python_interpreter) is the
    Python of the playbook that uses the inventory, so the two may run in different containers, as they do in AWX.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - kubernetes.core.k8s_auth_options
  - constructed
  - inventory_cache
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0
options:
  plugin:
    description: Always V(clusterset.dns.karmada).
    required: true
    choices: [clusterset.dns.karmada]
  access:
    description:
      - How the members are reached.
      - V(proxy) goes through Karmada's cluster proxy, with the credentials for the control plane, so that one kubeconfig reaches the
        fleet. It takes the right to C(clusters/proxy). See the notes for what does not work through it.
      - V(contexts) takes a context of O(members_kubeconfig) for each, V(files) a kubeconfig of its own.
    type: str
    choices: [proxy, contexts, files]
    default: proxy
  control_plane:
    description:
      - The name of the control plane's host. Set it where a member is called C(karmada), or where an inventory has more than one fleet.
      - The playbooks of this collection then want it as C(clusterset_karmada).
    type: str
    default: karmada
  members_kubeconfig:
    description:
      - For V(contexts), the kubeconfig that has them all. For V(files), the path of each, C({name}) standing for the member's name.
    type: str
  members_context:
    description: The context's name for V(contexts), and for V(files) if set, C({name}) standing for the member's name.
    type: str
    default: "{name}"
  ready_only:
    description: Leave out members that are not Ready.
    type: bool
    default: false
"""

EXAMPLES = r"""
# fleet.karmada.yml, one kubeconfig for all
plugin: clusterset.dns.karmada
kubeconfig: ~/.kube/karmada.yaml

# fleet.karmada.yml, a kubeconfig for each member, groups of one's own
---
plugin: clusterset.dns.karmada
kubeconfig: ~/.kube/karmada.yaml
access: files
members_kubeconfig: ~/.kube/{name}.yaml
groups:
  old: karmada_kubernetes_version is version('v1.30', '<')
keyed_groups:
  - key: karmada_labels.stage
    prefix: stage
"""

import typing as t

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import (
    AUTH_ARG_SPEC,
    KUBERNETES_IMPORT_ERROR,
    ApiError,
    Cluster,
)

try:
    from ansible.template import trust_as_template

    def no_template(value: t.Any) -> t.Any:
        return value

except ImportError:  # before ansible-core 2.19 whatever a plugin sets is a template, unless it is said to be none
    from ansible.utils.unsafe_proxy import wrap_var as no_template

    def trust_as_template(value: str) -> str:
        return value


CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
# Clusters are reached through their APIs from where the playbook runs, with the libraries that are there.
RUNS = {"ansible_connection": "local", "ansible_python_interpreter": trust_as_template("{{ ansible_playbook_python }}")}


def variables_of(cluster: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """What Karmada knows of one of its Clusters, as host variables. What it does not know is left out."""
    metadata, spec, status = cluster["metadata"], cluster.get("spec") or {}, cluster.get("status") or {}
    zones = spec.get("zones") or ([spec["zone"]] if spec.get("zone") else [])
    ready = any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())
    known = {
        "karmada_labels": metadata.get("labels"),
        "karmada_provider": spec.get("provider"),
        "karmada_region": spec.get("region"),
        "karmada_zones": zones,
        "karmada_sync_mode": (spec.get("syncMode") or "").lower(),
        "karmada_kubernetes_version": status.get("kubernetesVersion"),
        "karmada_id": spec.get("id"),
    }
    return {"karmada_ready": ready, **{key: value for key, value in known.items() if value}}


def groups_of(variables: t.Mapping[str, t.Any]) -> list[str]:
    """The groups of a member, from its variables. Names are not yet made such as Ansible takes."""
    groups = ["karmada_members", "karmada_ready" if variables["karmada_ready"] else "karmada_not_ready"]
    for prefix in ("provider", "region", "sync_mode"):
        if f"karmada_{prefix}" in variables:
            groups.append(f"{prefix}_{variables[f'karmada_{prefix}']}")
    groups += [f"zone_{zone}" for zone in variables.get("karmada_zones", ())]
    return groups + [f"label_{key}_{value}" for key, value in variables.get("karmada_labels", {}).items()]


def access_of(name: str, how: str, options: t.Mapping[str, t.Any]) -> dict[str, str]:
    """The variables with which a member is reached; what of ``options`` is not needed is not looked at."""
    if how == "proxy":
        access = {"clusterset_host": f"{options['server']}{CLUSTERS}/{name}/proxy"}
        given = {"clusterset_kubeconfig": options.get("kubeconfig"), "clusterset_context": options.get("context")}
        return access | {key: value for key, value in given.items() if value}
    access = {"clusterset_kubeconfig": options["members_kubeconfig"].replace("{name}", name)}
    if how == "contexts" or options["members_context"] != "{name}":
        access["clusterset_context"] = options["members_context"].replace("{name}", name)
    return access


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    NAME = "clusterset.dns.karmada"

    def verify_file(self, path: str) -> bool:
        return super().verify_file(path) and path.endswith((".karmada.yml", ".karmada.yaml"))

    def parse(self, inventory: t.Any, loader: t.Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        how = self.get_option("access")
        if how != "proxy" and not self.get_option("members_kubeconfig"):
            raise AnsibleParserError(f"{path}: access is {how}. Set members_kubeconfig to where the members' kubeconfigs are.")
        key = self.get_cache_key(path)
        fleet = self._cache.get(key) if cache and self.get_option("cache") else None
        if fleet is None:
            fleet = self._ask()
            if self.get_option("cache"):
                self._cache[key] = fleet
        self._populate(fleet, how)

    def _ask(self) -> dict[str, t.Any]:
        if KUBERNETES_IMPORT_ERROR:
            raise AnsibleParserError("The inventory plugin clusterset.dns.karmada needs the Python library kubernetes.")
        auth = {option: self.get_option(option) for option in AUTH_ARG_SPEC if self.has_option(option)}
        try:
            with Cluster("karmada", auth) as karmada:
                clusters = karmada.list(CLUSTERS)
        except ApiError as error:
            raise AnsibleParserError(f"{error} It is asked for the members of the fleet.") from error
        return {
            "server": karmada.server,
            "members": {cluster["metadata"]["name"]: variables_of(cluster) for cluster in clusters},
        }

    def _populate(self, fleet: t.Mapping[str, t.Any], how: str) -> None:
        control_plane = self.get_option("control_plane")
        if control_plane in fleet["members"]:
            raise AnsibleParserError(
                f"A member of the fleet is called {control_plane}, as the control plane's host is. Set control_plane to another name for"
                " that host, and clusterset_karmada to the same one for the playbooks."
            )
        options = {
            "server": fleet["server"],
            **{option: self.get_option(option) for option in ("kubeconfig", "context", "members_kubeconfig", "members_context")},
        }
        own = {"clusterset_kubeconfig": options["kubeconfig"], "clusterset_context": options["context"]}
        self._add(control_plane, {key: value for key, value in own.items() if value})
        self.inventory.add_group("karmada_members")
        strict = self.get_option("strict")
        for name, variables in sorted(fleet["members"].items()):
            if self.get_option("ready_only") and not variables["karmada_ready"]:
                continue
            # who may write a Cluster's free text must not run anything here by it
            variables = no_template(variables) | access_of(name, how, options)
            self._add(name, variables)
            for group in groups_of(variables):
                self.inventory.add_host(name, group=self.inventory.add_group(self._sanitize_group_name(group)))
            self._set_composite_vars(self.get_option("compose"), variables, name, strict)
            self._add_host_to_composed_groups(self.get_option("groups"), variables, name, strict)
            self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, name, strict)

    def _add(self, name: str, variables: t.Mapping[str, t.Any]) -> None:
        self.inventory.add_host(name)
        for key, value in {**RUNS, **variables}.items():
            self.inventory.set_variable(name, key, value)
