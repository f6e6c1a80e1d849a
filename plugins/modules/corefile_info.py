#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: corefile_info
short_description: Say what a Corefile serves, as CoreDNS reads it
version_added: 0.1.0
description:
  - Parses a Corefile, in a ConfigMap or in a file, and returns its server blocks, zones, ports and plugins, and how a
    multicluster zone is served.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.corefile
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.attributes
  - clusterset.dns.attributes.info_module
  - clusterset.dns.attributes.action_group
options:
  zone:
    description: A zone of a cluster set, to be told in RV(served) how it is served.
    type: str
seealso:
  - module: clusterset.dns.corefile
"""

EXAMPLES = r"""
- name: See what CoreDNS serves
  clusterset.dns.corefile_info:
    kubeconfig: ~/.kube/member1.yaml
    zone: clusterset.local
  register: dns

- name: Stop where the zone is not served
  ansible.builtin.assert:
    that: dns.served is not none
"""

RETURN = r"""
corefile:
  description: The Corefile. V(none) where there is none.
  returned: success
  type: str
  sample: ".:53 {\n    errors\n}\n"
blocks:
  description: The server blocks, in the order of the file.
  returned: success
  type: list
  elements: dict
  contains:
    line:
      description: Where the block begins, counted from 1.
      type: int
      sample: 1
    zones:
      description: Its zones and ports as they are written.
      type: list
      elements: str
      sample: [".:53"]
    plugins:
      description: Its plugins, in the order of the file, with imported snippets put in.
      type: list
      elements: dict
      contains:
        name:
          description: The plugin.
          type: str
          sample: kubernetes
        line:
          description: Where it stands, or is imported.
          type: int
          sample: 7
        args:
          description: What follows it on its line.
          type: list
          elements: str
          sample: [cluster.local, in-addr.arpa, ip6.arpa]
        options:
          description: The lines of its block, as lists of words.
          type: list
          elements: list
          sample: [[pods, insecure], [ttl, "30"]]
zones:
  description: What each server block answers for, reverse networks as the zones that they stand for.
  returned: success
  type: list
  elements: dict
  contains:
    zone:
      description: The zone in lower case, without a final dot except for the root.
      type: str
      sample: .
    scheme:
      description: V(dns), V(tls), V(https) and so on.
      type: str
      sample: dns
    port:
      description: The port.
      type: int
      sample: 53
    line:
      description: Where the server block begins.
      type: int
      sample: 1
plugins:
  description: The names of all plugins that the Corefile uses, to be compared with what C(coredns -plugins) lists.
  returned: success
  type: list
  elements: str
  sample: [errors, kubernetes]
imports:
  description: The imports of files that could not be followed, see O(imports).
  returned: success
  type: list
  elements: dict
  contains:
    pattern:
      description: The file or pattern.
      type: str
      sample: /etc/coredns/custom/*.server
    line:
      description: Where the import stands.
      type: int
      sample: 22
    level:
      description: V(server) between server blocks, V(block) inside one.
      type: str
      sample: server
served:
  description: How O(zone) is served on the ports of O(cluster_domain). V(none) where it is not, or no O(zone) was given.
  returned: success
  type: dict
  contains:
    mode:
      description: V(builtin), V(plugin) or V(forward) as in M(clusterset.dns.corefile), empty for anything else.
      type: str
      sample: builtin
    placement:
      description: V(separate) or V(inline).
      type: str
      sample: separate
    line:
      description: Where.
      type: int
      sample: 9
    ours:
      description:
        - Whether these lines belong to M(clusterset.dns.corefile). They do where its comments are around them, or where those are lost and
          the lines are what it writes.
      type: bool
      sample: true
    plugins:
      description: The plugins of the server block that answers.
      type: list
      elements: str
      sample: [errors, header, kubernetes]
multicluster:
  description:
    - Every zone that the Corefile serves for multicluster, on whatever port. That is with the plugins C(kubernetes) (option C(multicluster))
      and C(multicluster), and where M(clusterset.dns.corefile) has it forwarded.
    - What RV(imports) bring is not in it.
  returned: success
  type: list
  elements: dict
  contains:
    zone:
      description: The zone in lower case, without a final dot.
      type: str
      sample: clusterset.local
    mode:
      description: V(builtin), V(plugin) or V(forward) as in M(clusterset.dns.corefile).
      type: str
      sample: builtin
    placement:
      description: V(separate) or V(inline).
      type: str
      sample: separate
    line:
      description: Where.
      type: int
      sample: 9
    ours:
      description: Whether these lines belong to M(clusterset.dns.corefile), as in RV(served).
      type: bool
      sample: true
reload_sha512:
  description:
    - The hash that CoreDNS's plugin C(reload) logs for this Corefile and reports in C(coredns_reload_version_info) after it has reloaded.
    - V(none) where that depends on imported files or environment variables that are not known, see O(imports) and O(env).
  returned: success
  type: str
  sample: 0a1b2c…
"""

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import how_served
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import (
    CorefileError,
    describe,
    parse,
    plugins_used,
    reload_hash,
    zones_served,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import PLACE_ARG_SPEC, PlaceError, place_of, seen_of
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **PLACE_ARG_SPEC, "zone": {}}, supports_check_mode=True)
    params = module.params
    place = place_of(module)
    try:
        text = place.read()
        original = place.record().get("text")
        corefile = parse(text or "", **seen_of(params))
        served = how_served(corefile, params["zone"], cluster_domain=params["cluster_domain"], original=original) if params["zone"] else None
    except CorefileError as error:
        module.fail_json(msg=f"{place.label}: {error}", line=error.line)
    except (PlaceError, ApiError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        corefile=text,
        blocks=describe(corefile),
        zones=zones_served(corefile),
        plugins=sorted({name for block in plugins_used(corefile) for name in block["plugins"]}),
        imports=[{"pattern": unseen.pattern, "line": unseen.line, "level": unseen.level} for unseen in corefile.unseen],
        served=served,
        multicluster=[one._asdict() for one in multicluster_zones(corefile, original)],
        reload_sha512=reload_hash(corefile),
    )


if __name__ == "__main__":
    main()
