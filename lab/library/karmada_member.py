#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: karmada_member
short_description: Have a cluster joined to Karmada in push mode
description:
  - Joins the cluster unless it has joined; one that was made anew since, so that Karmada knows another cluster under its name, is unjoined first.
    With O(ready) it waits until Karmada says that the member is Ready.
options:
  name: {description: Name of the member., type: str, required: true}
  state: {description: Whether it is to be a member., type: str, choices: [present, absent], default: present}
  network: {description: Docker's network of the nodes., type: str, required: true}
  karmadactl: {description: Path of karmadactl., type: path, required: true}
  host: {description: Name of the cluster on which Karmada runs., type: str, default: host}
  ready: {description: Seconds to wait until the member is Ready; 0 does not wait., type: int, default: 0}
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Join
  karmada_member: {name: member1, karmadactl: /usr/local/bin/karmadactl, network: clusterset-lab}
"""

RETURN = r"""
actions: {description: What was done., type: list, elements: str, returned: success}
"""

import json
import os
import tempfile
import time

import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_node import ADMIN, KARMADA, Node, NodeError, run


class Member:
    """A member as Karmada sees it and as it is."""

    def __init__(self, params: dict) -> None:
        self.params = params
        self.name = params["name"]
        self.node = Node(self.name)
        self.host = Node(params["host"])
        self.endpoint = f"https://{self.node.address(params['network'])}:6443"

    def registered(self) -> dict | None:
        """Karmada's Cluster object."""
        found = self.host.kubectl("get", "clusters.cluster.karmada.io", self.name, "-o", "json", "--ignore-not-found", kubeconfig=KARMADA)
        return json.loads(found.stdout) if found.stdout.strip() else None

    def karmadactl(self, *argv: str) -> None:
        """Run karmadactl against Karmada."""
        with tempfile.NamedTemporaryFile(suffix=".yaml") as control_plane:
            control_plane.write(self.host.execute("cat", KARMADA).stdout)
            control_plane.flush()
            run(self.params["karmadactl"], *argv, "--kubeconfig", control_plane.name, timeout=180)

    def ensure(self) -> list[str]:
        """Have it joined."""
        actions = []
        cluster = self.registered()
        # Karmada knows a cluster by the UID of its kube-system.
        uid = self.node.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}").stdout.decode()
        if cluster and (
            cluster["spec"].get("id") != uid
            or cluster["spec"].get("apiEndpoint") != self.endpoint
            or "deletionTimestamp" in cluster["metadata"]
        ):
            self.remove()
            actions.append("unjoined, for Karmada knew another cluster under its name")
            cluster = None
        if cluster is None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "kubeconfig")
                content = yaml.safe_load(self.node.execute("cat", ADMIN).stdout)
                content["clusters"][0]["cluster"]["server"] = self.endpoint
                with open(path, "w", encoding="utf-8") as file:
                    yaml.safe_dump(content, file)
                self.karmadactl("join", self.name, "--cluster-kubeconfig", path)
            actions.append("joined")
        return actions

    def remove(self) -> None:
        """Unjoin it, whether it still answers or not."""
        self.karmadactl("unjoin", self.name, "--force", "--wait", "15s")

    def wait(self, seconds: int) -> None:
        """Wait until Karmada calls it Ready."""
        end = time.monotonic() + seconds
        while True:
            conditions = (self.registered() or {}).get("status", {}).get("conditions", [])
            ready = next((condition for condition in conditions if condition["type"] == "Ready"), {})
            if ready.get("status") == "True":
                return
            if time.monotonic() > end:
                raise NodeError(
                    f"Karmada does not call the member Ready after {seconds} s ({ready.get('message') or 'it says nothing'}). "
                    f"Its API server is at {self.endpoint}; 'make lab-down lab' makes everything anew."
                )
            time.sleep(2)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "network": {"type": "str", "required": True},
            "karmadactl": {"type": "path", "required": True},
            "host": {"type": "str", "default": "host"},
            "ready": {"type": "int", "default": 0},
        },
    )
    member = Member(module.params)
    actions = []
    try:
        if module.params["state"] == "absent":
            if member.registered():
                member.remove()
                actions.append("unjoined")
        else:
            actions = member.ensure()
            if module.params["ready"]:
                member.wait(module.params["ready"])
    except NodeError as exc:
        module.fail_json(msg=f"Member {member.name}: {exc}")
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
