#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_images
short_description: Have the images of an archive in a node
description:
  - Imports archives of images into a node's containerd. kind does the same, but cannot tell that an image is there already on nodes without
    crictl. What was imported is noted in the node.
options:
  cluster: {description: Name of the cluster., type: str, required: true}
  archives: {description: Paths of archives in the cache; the name of their folder names their contents., type: list, elements: path, required: true}
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Have Karmada's images
  node_images: {cluster: host, archives: [~/.cache/clusterset-lab/karmada-1a2b3c/images.tar]}
"""

RETURN = r"""
imported: {description: The archives that were imported., type: list, elements: str, returned: success}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_node import Node, NodeError, run


def main() -> None:
    module = AnsibleModule(
        argument_spec={"cluster": {"type": "str", "required": True}, "archives": {"type": "list", "elements": "path", "required": True}},
    )
    node = Node(module.params["cluster"])
    imported = []
    try:
        for archive in module.params["archives"]:
            content = os.path.basename(os.path.dirname(archive))
            note = f"images-{content.rsplit('-', 1)[0]}"
            if node.note(note) == content:
                continue
            run("docker", "cp", archive, f"{node.container}:/var/tmp/images.tar", timeout=300)
            node.execute(
                "ctr",
                "--namespace",
                "k8s.io",
                "images",
                "import",
                "--digests",
                "--snapshotter",
                "overlayfs",
                "/var/tmp/images.tar",
                timeout=300,
            )
            node.execute("rm", "/var/tmp/images.tar")
            node.write_note(note, content)
            imported.append(content)
    except NodeError as exc:
        module.fail_json(msg=f"Cluster {node.name}: {exc}")
    module.exit_json(changed=bool(imported), imported=imported)


if __name__ == "__main__":
    main()
