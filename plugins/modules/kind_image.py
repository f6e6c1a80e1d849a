#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kind_image
short_description: Have an image of Docker's on every node of a kind cluster
version_added: 0.1.0
description:
  - Asks containerd on each node whether it has the image, complete and unpacked, and runs C(kind load docker-image) for
    those that do not.
  - An engine with the containerd image store has of an image for several platforms no more than what was pulled, which C(kind load) does not
    take. Such an image is brought to the nodes for their own platform alone.
  - An image is known by its contents (layers, platform, user, command, environment, labels). Another one under the same name
    is replaced; pods that run it go on doing so until they are restarted.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.attributes
requirements:
  - python >= 3.11
  - docker >= 5.0 (Python library)
  - kind
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  name:
    description: The image, with its tag.
    type: str
    required: true
  cluster:
    description: The cluster's name, as C(kind get clusters) lists it.
    type: str
    required: true
  kind:
    description: The C(kind) command.
    type: path
    default: kind
"""

EXAMPLES = r"""
- name: Bring the image to the cluster
  clusterset.dns.kind_image:
    name: localhost/coredns-multicluster/0b5f6f1c2d3e:v1.15.0
    cluster: member1
"""

RETURN = r"""
nodes:
  description: The cluster's nodes.
  returned: success
  type: list
  elements: str
  sample: [member1-control-plane, member1-worker]
loaded:
  description: Those that did not have the image, or had another one under its name.
  returned: success
  type: list
  elements: str
  sample: [member1-worker]
platforms:
  description: What the image is for; empty in check mode where Docker does not have it yet.
  returned: success
  type: list
  elements: str
  sample: [linux/amd64]
"""

import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusterset.dns.plugins.module_utils._image import engine as _docker

ARGUMENT_SPEC = {"name": {"required": True}, "cluster": {"required": True}, "kind": {"type": "path", "default": "kind"}}


def load(module: AnsibleModule, kind: str, image: str, cluster: str, nodes: list[str]) -> None:
    """Run `kind load docker-image` for these nodes."""
    to = ["--name", cluster, "--nodes", ",".join(nodes)]
    code, out, err = module.run_command([kind, "load", "docker-image", image, *to])
    if code:
        raise _docker.KindError(f"kind did not load {image} into the cluster {cluster!r}: {(err or out).strip()}")


def ensure(module: AnsibleModule) -> dict[str, t.Any]:
    image, cluster = module.params["name"], module.params["cluster"]
    client = _docker.connect(module)
    nodes = _docker.kind_nodes(client, cluster)
    # In check mode what would be built before may not be there yet.
    wanted = _docker.local(client, image) if module.check_mode else _docker.required(client, image)
    before = {node.name: _docker.on_node(node, image, wanted) for node in nodes}
    lacking = [name for name, there in before.items() if there != "present"]
    if lacking:
        kind = shutil.which(module.params["kind"])
        if not kind:
            raise _docker.ImageError(
                f"kind is not here (no {module.params['kind']!r} in PATH), and nodes of {cluster!r} lack {image}: "
                "install kind, or set kind to its path."
            )
        if not module.check_mode:
            try:
                load(module, kind, image, cluster, lacking)
            except _docker.KindError as error:
                if not _docker.is_partial(error):
                    raise
                _docker.load_platform(client, image, wanted.platform, [node for node in nodes if node.name in lacking], module.tmpdir)
            still = [node.name for node in nodes if _docker.on_node(node, image, wanted) != "present"]
            if still:
                raise _docker.ImageError(f"kind loaded {image}, but containerd does not have it on {', '.join(still)}.")
    return {
        "changed": bool(lacking),
        "nodes": list(before),
        "loaded": lacking,
        "platforms": [wanted.platform] if wanted else [],
        "diff": {"before": before, "after": dict.fromkeys(before, "present")},
    }


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = ensure(module)
    except (_docker.ImageError, _docker.DockerException) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
