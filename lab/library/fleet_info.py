#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_info
short_description: Tell in a few seconds whether the whole fleet is up and is the one that was asked for
options:
  clusters: {description: "Names and pod networks of the clusters, the host first.", type: list, elements: dict, required: true}
  network: {description: Docker's network of the nodes., type: str, required: true}
  settings: {description: The settings that the fleet must have been made from., type: dict, required: true}
  sources: {description: "Files and folders of which the same holds.", type: list, elements: path, required: true}
  fingerprint: {description: "Hash of settings and sources as they were when the work began, where they may have changed since.", type: str}
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Look at the fleet
  fleet_info: {network: clusterset-lab, settings: {kubernetes: v1.34.4}, sources: [roles], clusters: [{name: host, pods: 10.10.0.0/16}]}
"""

RETURN = r"""
problems: {description: "What is not as it should be, a sentence each; empty if the fleet is up.", type: list, elements: str, returned: success}
kubeconfigs: {description: "Kubeconfig of each cluster and of karmada, as far as they answer.", type: dict, returned: success}
fingerprint: {description: Hash of the settings and sources., type: str, returned: success}
images: {description: "Where the images came from, published or modules.", type: str, returned: success}
"""

import glob
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_node import ADMIN, KARMADA, Node, NodeError


def fingerprint_of(settings: dict, sources: list[str]) -> str:
    """Hash of what the fleet is made from."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for source in sources:
        for path in sorted(path for path in glob.glob(os.path.join(source, "**"), recursive=True) if os.path.isfile(path)):
            if not path.endswith(".pyc"):
                with open(path, "rb") as file:
                    digest.update(os.path.relpath(path, source).encode() + file.read())
    return digest.hexdigest()


def kubeconfig(node: Node, path: str, server: str | None = None) -> dict:
    """A kubeconfig that lies in a node, with the server's address as seen from this machine."""
    content = yaml.safe_load(node.execute("cat", path).stdout)
    if server:
        content["clusters"][0]["cluster"]["server"] = server
    return content


def look(cluster: dict, clusters: list[dict], network: str) -> dict:
    """One cluster: its kubeconfig, its address and what is wrong."""
    node = Node(cluster["name"])
    inspected = node.inspect()
    if inspected is None or not inspected["State"]["Running"]:
        return {"problem": f"Cluster {node.name} does not run."}
    try:
        trouble = node.trouble()
        if trouble:
            return {"problem": f"Cluster {node.name}: {trouble}."}
        address = node.address(network, inspected)
        routes = {route["dst"]: route.get("gateway", "") for route in json.loads(node.execute("ip", "-json", "route", "show").stdout)}
        missing = [other["pods"] for other in clusters if other is not cluster and other["pods"] not in routes]
        problem = f"Cluster {node.name} has no route to {', '.join(missing)}." if missing else ""
        if node.note("address") != address:
            problem = f"Cluster {node.name} was not completed, or came back with another address."
        return {
            "problem": problem,
            "address": address,
            "routes": routes,
            "kubeconfig": kubeconfig(node, ADMIN, f"https://{address}:6443"),
        }
    except NodeError as exc:
        return {"problem": f"Cluster {node.name}: {exc}"}


def look_at_karmada(host: Node, members: list[str]) -> tuple[dict, list[str]]:
    """Karmada's kubeconfig and what is wrong with it."""
    if host.execute("test", "-e", KARMADA, check=False).returncode:
        return {}, ["Karmada is not installed."]
    found = host.kubectl("get", "clusters.cluster.karmada.io", "-o", "json", kubeconfig=KARMADA, check=False, timeout=20)
    if found.returncode:
        return {}, ["Karmada's API server does not answer."]
    joined = {item["metadata"]["name"]: item for item in json.loads(found.stdout)["items"]}
    problems = [f"Cluster {name} has joined Karmada but is not one of the lab's." for name in sorted(joined.keys() - set(members))]
    for name in members:
        conditions = joined.get(name, {}).get("status", {}).get("conditions", [])
        if not any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions):
            problems.append(f"Member {name} is not Ready in Karmada.")
    return kubeconfig(host, KARMADA), problems


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "clusters": {"type": "list", "elements": "dict", "required": True},
            "network": {"type": "str", "required": True},
            "settings": {"type": "dict", "required": True},
            "sources": {"type": "list", "elements": "path", "required": True},
            "fingerprint": {"type": "str"},
        },
        supports_check_mode=True,
    )
    clusters = module.params["clusters"]
    fingerprint = module.params["fingerprint"] or fingerprint_of(module.params["settings"], module.params["sources"])
    names = [cluster["name"] for cluster in clusters]
    if not shutil.which("docker"):
        module.exit_json(changed=False, problems=["Docker is not installed."], kubeconfigs={}, images="", fingerprint=fingerprint)
    with ThreadPoolExecutor(max_workers=6) as pool:
        seen = dict(zip(names, pool.map(lambda cluster: look(cluster, clusters, module.params["network"]), clusters), strict=True))
    problems = [entry["problem"] for entry in seen.values() if entry["problem"]]
    for name, entry in seen.items():
        for other in clusters:
            address = seen[other["name"]].get("address")
            if other["name"] != name and address and "routes" in entry and entry["routes"].get(other["pods"], address) != address:
                problems.append(f"Cluster {name} has a route to {other['pods']} that leads elsewhere.")
    kubeconfigs = {name: entry["kubeconfig"] for name, entry in seen.items() if "kubeconfig" in entry}
    images = ""
    host = Node(names[0])
    if not seen[names[0]]["problem"]:
        try:
            kubeconfigs["karmada"], unready = look_at_karmada(host, names[1:])
            problems += unready
            images = host.note("images")
            if host.note("fingerprint") != fingerprint:
                problems.append("The fleet was not completed, or was made from other settings.")
        except NodeError as exc:
            problems.append(str(exc))
    module.exit_json(changed=False, problems=problems, kubeconfigs=kubeconfigs, images=images, fingerprint=fingerprint)


if __name__ == "__main__":
    main()
