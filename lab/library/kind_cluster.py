#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kind_cluster
short_description: A kind cluster of one node that is there, is the one that was asked for, and works
description:
  - Creates the cluster if there is none. One that is stopped is started with the address that it had; one that does not become usable within
    O(timeout), was only half created, or has another O(config) or O(image) is made anew.
options:
  name: {description: Name of the cluster., type: str, required: true}
  state: {description: Whether the cluster is to be there., type: str, choices: [present, absent], default: present}
  kind: {description: Path of kind., type: path}
  image: {description: Node image., type: str}
  archive: {description: The node image as an archive; its path names its contents., type: path}
  config: {description: kind's configuration., type: dict}
  files: {description: Texts of files that are written into the new node., type: dict, default: {}}
  network: {description: Docker's network of the nodes., type: str}
  timeout: {description: Seconds that a started node has to become usable., type: int, default: 150}
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Have the cluster
  kind_cluster: {name: member1, kind: /usr/local/bin/kind, image: "kindest/node:v1.34.4", network: clusterset-lab, config: {}}
"""

RETURN = r"""
actions: {description: What was done and why., type: list, elements: str, returned: success}
address: {description: The node's IPv4 address., type: str, returned: when present}
created: {description: Whether the cluster is a new one., type: bool, returned: when present}
"""

import hashlib
import json
import os
import tarfile
import tempfile

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_node import ADMIN, Node, NodeError, run


def load_image(image: str, archive: str | None) -> str:
    """Put the node image into Docker, from its archive, unless it is there; what was done."""
    if not archive:
        return ""
    with tarfile.open(archive) as tar:
        config = json.load(tar.extractfile("manifest.json"))[0]["Config"]
    wanted = os.path.basename(config).removesuffix(".json")
    there = run("docker", "image", "inspect", "--format", "{{.Id}}", image, check=False)
    if there.stdout.decode().strip().removeprefix("sha256:") == wanted:
        return ""
    run("docker", "load", "--quiet", "--input", archive, timeout=600)
    return f"loaded {image}"


def vacate(network: str, address: str) -> None:
    """Stop the node that came back with another's address; it is started with its own in its turn.

    A daemon that was killed starts the nodes by itself when it is back, in any order, and hands out addresses anew.
    """
    found = json.loads(run("docker", "network", "inspect", network).stdout)[0]["Containers"]
    for container, one in found.items():
        if one["IPv4Address"].partition("/")[0] == address:
            run("docker", "stop", "--time", "2", container)


def start(node: Node, network: str, address: str) -> None:
    """Start a stopped node with the address that certificates and Karmada know it by."""
    if address:
        vacate(network, address)
        run("docker", "network", "disconnect", "--force", network, node.container, check=False)
        run("docker", "network", "connect", "--ip", address, network, node.container)
    run("docker", "start", node.container)


def revive(node: Node, network: str, spec: str, timeout: int) -> tuple[list[str], str]:
    """Make the existing container usable: what was done, and why it must be made anew if it must."""
    inspected = node.inspect()
    if inspected is None:
        return [], "there is none"
    noted = node.stopped_note("spec")
    if noted != spec:
        return [], "it was made from other settings" if noted else "it was only half created"
    actions = []
    address = node.stopped_note("address")
    running = inspected["State"]["Running"] and not inspected["State"]["Paused"]
    if running and node.address(network, inspected) != address:
        actions.append("stopped, for it came back with another address")
        run("docker", "stop", "--time", "2", node.container)
        running = False
    if not running:
        try:
            start(node, network, address)
        except NodeError as exc:
            return actions, f"it does not start ({exc})"
        actions.append("started")
    # One that ran before has had its time.
    trouble = node.wait(timeout if actions else 30)
    return actions, trouble


def create(node: Node, params: dict, spec: str) -> None:
    """Create the cluster and note in it what it is."""
    with tempfile.TemporaryDirectory() as folder:
        config = os.path.join(folder, "kind.json")
        with open(config, "w", encoding="utf-8") as file:
            json.dump(params["config"], file)
        run(
            params["kind"],
            "create",
            "cluster",
            "--name",
            node.name,
            "--image",
            params["image"],
            "--config",
            config,
            "--kubeconfig",
            os.path.join(folder, "kubeconfig"),
            timeout=420,
        )
    # Pods that start before kube-proxy has its rules lose their first connection to the API server, and half a minute with it.
    node.execute(
        "kubectl",
        "--kubeconfig",
        ADMIN,
        "--namespace",
        "kube-system",
        "rollout",
        "status",
        "daemonset/kube-proxy",
        "--timeout=90s",
        timeout=120,
    )
    for path, text in params["files"].items():
        node.execute("tee", path, stdin=text.encode())
    trouble = node.wait(120)
    if trouble:
        raise NodeError(f"Cluster {node.name} was created, but {trouble}; 'docker exec {node.container} journalctl' tells more.")
    node.write_note("address", node.address(params["network"]))
    node.write_note("spec", spec)


def present(params: dict) -> dict:
    """Have the cluster, by the least that does."""
    node = Node(params["name"])
    wanted = json.dumps(
        [params["config"], params["files"], params["image"], os.path.basename(os.path.dirname(params["archive"] or ""))], sort_keys=True
    )
    spec = hashlib.sha256(wanted.encode()).hexdigest()
    actions, reason = revive(node, params["network"], spec, params["timeout"])
    if reason:
        if node.remove():
            actions.append(f"removed, for {reason}")
        loaded = load_image(params["image"], params["archive"])
        actions += [loaded] if loaded else []
        create(node, params, spec)
        actions.append("created")
    return {"changed": bool(actions), "actions": actions, "created": bool(reason), "address": node.address(params["network"])}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "kind": {"type": "path"},
            "image": {"type": "str"},
            "archive": {"type": "path"},
            "config": {"type": "dict"},
            "files": {"type": "dict", "default": {}},
            "network": {"type": "str"},
            "timeout": {"type": "int", "default": 150},
        },
        required_if=[("state", "present", ("kind", "image", "config", "network"))],
    )
    try:
        if module.params["state"] == "absent":
            removed = Node(module.params["name"]).remove()
            module.exit_json(changed=removed, actions=["removed"] if removed else [])
        module.exit_json(**present(module.params))
    except NodeError as exc:
        module.fail_json(msg=f"Cluster {module.params['name']}: {exc}")


if __name__ == "__main__":
    main()
