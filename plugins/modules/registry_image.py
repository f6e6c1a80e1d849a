#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: registry_image
short_description: Have an image of Docker's in a registry, and tell its digest
version_added: 0.1.0
description:
  - Asks the registry, through the Docker engine and the user's credentials, for the manifest of O(name), and pushes
    O(source) only where there is none. M(community.docker.docker_image_push) pushes without asking, and has no check mode.
  - An image is known by its contents (layers, platform, user, command, environment, labels), not by its name. One that Docker has
    neither pushed nor pulled is pulled by its digest to be compared, in check mode as well; it stays only if it is the same.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.attributes
requirements:
  - python >= 3.11
  - docker >= 5.0 (Python library)
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  name:
    description: The image in the registry, with the registry's host and a tag.
    type: str
    required: true
  source:
    description: The image in Docker; O(name) if not given.
    type: str
  force:
    description:
      - Whether to push over another image that the registry has under O(name). Without it that is an error, because nodes that
        have pulled it keep it, and do not look again.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Push the image once
  clusterset.dns.registry_image:
    name: registry.example.com/dns/coredns-multicluster/0b5f6f1c2d3e:v1.15.0
    source: localhost/coredns-multicluster/0b5f6f1c2d3e:v1.15.0
  register: pushed

- name: Tell what to run
  ansible.builtin.debug:
    var: pushed.digest
"""

RETURN = r"""
digest:
  description: What the registry has under O(name); empty in check mode where O(source) would be pushed.
  returned: success
  type: str
  sample: sha256:2c2c3eabc2b519599c237a78f64df0e3102a7c13645e654f4a4c207082ef89e6
platforms:
  description: What the image in the registry is for; empty where the registry does not say, or has none yet.
  returned: success
  type: list
  elements: str
  sample: [linux/amd64, linux/arm64]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusterset.dns.plugins.module_utils._image import engine as _docker

ARGUMENT_SPEC = {"name": {"required": True}, "source": {}, "force": {"type": "bool", "default": False}}


def ensure(module: AnsibleModule) -> dict[str, t.Any]:
    name, source = module.params["name"], module.params["source"] or module.params["name"]
    client = _docker.connect(module)
    # In check mode what would be built before may not be there yet.
    image = _docker.local(client, source) if module.check_mode else _docker.required(client, source)
    before = after = _docker.published(client, name)
    differs = before and image and not _docker.is_published(client, name, before, image)
    if differs and not module.params["force"]:
        raise _docker.ImageError(
            f"The registry has another image under {name} ({before.digest}) than Docker has under {source}: "
            "set force to push over it, pull it if that is the right one, or give this one another name."
        )
    changed = bool(not before or differs)
    if changed and not module.check_mode:
        _docker.push(client, source, name)
        after = _docker.published(client, name)
        if not after or not _docker.is_published(client, name, after, image):
            raise _docker.ImageError(f"{name} was pushed, but its registry does not have it.")
    elif differs:
        after = None
    return {
        "changed": changed,
        "digest": after.digest if after else "",
        "platforms": after.platforms if after else [],
        "diff": {"before": {name: before.digest if before else "absent"}, "after": {name: after.digest if after else source}},
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
