#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_routes
short_description: Route the pod networks of all clusters to one another
description:
  - In each node there is a route to the pod network of each other cluster, and pods reach what is outside the fleet under the node's address.
    Both are gone when a node was restarted.
options:
  clusters: {description: Names and pod networks., type: list, elements: dict, required: true}
  network: {description: Docker's network of the nodes., type: str, required: true}
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Route the pod networks
  node_routes: {network: clusterset-lab, clusters: [{name: host, pods: 10.10.0.0/16}, {name: member1, pods: 10.11.0.0/16}]}
"""

RETURN = r"""
added: {description: The routes that were missing., type: list, elements: str, returned: success}
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_node import Node, NodeError


def connect(node: Node, pods: str, routes: dict[str, str]) -> list[str]:
    """Add what is missing in one node; routes maps networks to the addresses that lead there."""
    there = {route["dst"]: route.get("gateway") for route in json.loads(node.execute("ip", "-json", "route", "show").stdout)}
    added = []
    for network, gateway in routes.items():
        if there.get(network) != gateway:
            node.execute("ip", "route", "replace", network, "via", gateway)
            added.append(f"{node.name}: {network} via {gateway}")
    # The fleet's pod and service networks are 10.10.0.0/16 and so on; pods meet each other there under their own addresses.
    rule = ["POSTROUTING", "--source", pods, "!", "--destination", "10.0.0.0/8", "--out-interface", "eth0", "--jump", "MASQUERADE"]
    if node.execute("iptables", "--table", "nat", "--check", *rule, check=False).returncode:
        node.execute("iptables", "--table", "nat", "--append", *rule)
        added.append(f"{node.name}: {pods} to the outside")
    return added


def main() -> None:
    module = AnsibleModule(
        argument_spec={"clusters": {"type": "list", "elements": "dict", "required": True}, "network": {"type": "str", "required": True}},
    )
    clusters = module.params["clusters"]
    added = []
    try:
        addresses = {cluster["name"]: Node(cluster["name"]).address(module.params["network"]) for cluster in clusters}
        for cluster in clusters:
            routes = {other["pods"]: addresses[other["name"]] for other in clusters if other is not cluster}
            added += connect(Node(cluster["name"]), cluster["pods"], routes)
    except NodeError as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(changed=bool(added), added=added)


if __name__ == "__main__":
    main()
