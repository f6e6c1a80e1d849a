#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: corefile
short_description: Let CoreDNS serve a multicluster zone, or no longer
version_added: 0.1.0
description:
  - Edits a Corefile, in a ConfigMap or in a file, so that CoreDNS answers for the zone of a cluster set (KEP-1645), or no longer does.
  - The Corefile is parsed as CoreDNS parses it. What this module did not put there stays byte for byte as it is, comments, tabs, line
    ends and a missing one at the end of the file included. O(state=absent) after O(state=present) gives back the original.
  - What it puts there stands between two comments, C(# clusterset.dns:) C(begin) and C(end) with the zone. These lines
    belong to the module. It rewrites them when the settings change, and what is added between them by hand is lost. Where the comments
    are lost, the lines are still known by what they say, see O(adopt).
  - What cannot be edited safely is refused with line and reason, and nothing is written.
  - CoreDNS takes a Corefile that it cannot load only when it is started the next time. This module proves that a Corefile is read as
    intended, not that a certain CoreDNS accepts it.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.corefile
  - kubernetes.core.k8s_auth_options
  - clusterset.dns.attributes
  - clusterset.dns.attributes.action_group
attributes:
  check_mode:
    support: full
    details:
      - The write to a ConfigMap is sent as a server-side dry run, so access rights and admission take part.
  diff_mode:
    support: full
options:
  zone:
    description:
      - The zone of the cluster set.
      - It must lie beside O(cluster_domain), neither above nor below it (but see O(over_cluster_domain)).
    type: str
    required: true
  state:
    description:
      - V(present) lets CoreDNS serve the zone. V(absent) takes away what this module put there.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(builtin) uses the option C(multicluster) of the plugin C(kubernetes), which CoreDNS has since 1.12.2.
      - V(plugin) uses the plugin C(multicluster) of an image that has it.
      - V(forward) sends questions for the zone to the DNS servers O(forward_to).
    type: str
    choices: [builtin, plugin, forward]
    default: builtin
  placement:
    description:
      - V(separate) gives the zone a server block of its own, at the beginning of the file, on the ports (and C(bind) addresses)
        on which CoreDNS serves O(cluster_domain). That domain's answers and readiness then do not depend on ServiceImports.
      - The zone's own block takes over from that of O(cluster_domain) the plugins C(acl), C(any), C(bind), C(bufsize), C(cancel),
        C(errors), C(log), C(metadata), C(minimal), C(multisocket), C(nsid) and C(tsig), unless they name other zones. From the plugin
        C(kubernetes) it takes C(endpoint), C(tls), C(kubeconfig), C(startup_timeout), C(apiserver_qps), C(apiserver_burst),
        C(apiserver_max_inflight), C(namespaces), C(noendpoints) and C(endpoint_pod_names); the plugin C(multicluster) has
        C(kubeconfig) and C(noendpoints) alone. With O(mode=forward), where O(cluster_domain) is forwarded too, as in NodeLocal DNSCache, it
        takes over how, such as C(force_tcp).
      - Where other plugins and options may make a difference, RV(notes) name them, and say what C(namespaces), C(labels) and the like
        mean for ServiceImports.
      - V(inline) puts the zone into the server block that serves O(cluster_domain). With O(mode=forward) that takes CoreDNS 1.10 or
        newer if the block has another C(forward).
    type: str
    choices: [separate, inline]
    default: separate
  header:
    description:
      - Set the flag RA in answers (C(header { response set ra }), since CoreDNS 1.9.4), without which many clients warn that recursion is
        not available.
      - The default is V(true) for O(placement=separate) unless O(mode=forward), where the servers that answer set it, and V(false) for
        O(placement=inline), where it would be set in the block's other answers as well.
    type: bool
  forward_to:
    description: With O(mode=forward), the IP addresses of the DNS servers for the zone, with C(:PORT) where that is not 53.
    type: list
    elements: str
    default: []
  port:
    description:
      - The port to serve the zone on.
      - The default is every port on which O(cluster_domain) is served, V(53) where it is not.
    type: int
  ttl:
    description:
      - The TTL of answers in seconds, for O(mode=builtin) with O(placement=separate). Without it CoreDNS takes 5.
    type: int
  cache:
    description:
      - Keep answers for up to this many seconds, for O(placement=separate). V(0) is no cache, so that a change is seen at once.
    type: int
    default: 0
  errors:
    description: Log errors, for O(placement=separate).
    type: bool
    default: true
  prometheus:
    description:
      - Count the zone's questions, for O(placement=separate). V(auto) does so at the same address as the block of O(cluster_domain),
        if that does. V(off) does not. Otherwise the address, such as V(:9153).
    type: str
    default: auto
  fallthrough:
    description: Hand names that do not exist to the next plugin, for O(mode=plugin) with O(placement=inline).
    type: bool
    default: false
  over_cluster_domain:
    description:
      - Allow O(zone) to be O(cluster_domain), which is refused otherwise. Needs O(mode=plugin), O(placement=inline) and
        O(fallthrough=true), and an image with the plugin C(multicluster) before C(kubernetes).
      - An experiment. The plugin then answers for each Service of which the cluster has a ServiceImport of the same name, in place of
        the Service's own records.
    type: bool
    default: false
  adopt:
    description:
      - What to do where the zone is already served by lines that were made by hand.
      - Lines of this module are known without their comments, which are lost where something parses the Corefile and writes it anew, if they
        are word for word what it writes. In the block of another zone, or with O(mode=forward), anybody would write the same; these are
        known only if the ConfigMap's annotation says that the zone was not served before.
      - With V(false), O(state=present) leaves them as they are if they are of the same O(mode), and refuses otherwise. O(state=absent)
        leaves them.
      - With V(true), O(state=present) replaces them by lines of its own. O(state=absent) removes them.
    type: bool
    default: false
  create:
    description:
      - Make the ConfigMap, the key or the file if it does not exist, for platforms where additional server blocks have a place of their
        own, such as C(clusterset.server) in ConfigMap C(coredns-custom). O(state=absent) removes a key and a ConfigMap that were made so.
    type: bool
    default: false
  fleet:
    description: The fleet of which a ConfigMap is that O(create) makes. O(state=absent) deletes one that was made for this fleet alone.
    type: str
    default: default
  proven:
    description:
      - The Corefile that this call is expected to make, as an earlier call in check mode returned it. If someone else has
        changed the Corefile since, so that another one would come out, the module fails and writes nothing.
      - With O(restore), the Corefile that has to be there now.
    type: str
  restore:
    description:
      - Write this text instead of editing, that is RV(before) of an earlier call, to undo what that call did.
      - The module fails and writes nothing where the Corefile is not O(proven) any more.
    type: str
notes:
  - A ConfigMap gets the annotation C(clusterset.dns/original) with the text before the first change and its hash, so that another machine
    can undo what this one did. With the last zone it goes, and that text comes back if nobody else has changed it since; otherwise
    O(state=absent) takes out no more than what this module put in. Where annotations have no room for the text (256 KiB), the
    hash alone is kept.
  - If someone else changes the ConfigMap between read and write, the API server refuses the write, and the module starts again, three
    times.
seealso:
  - module: clusterset.dns.corefile_info
  - name: CoreDNS, plugin kubernetes
    description: The option multicluster.
    link: https://coredns.io/plugins/kubernetes/
"""

EXAMPLES = r"""
- name: Serve clusterset.local in a server block of its own
  clusterset.dns.corefile:
    kubeconfig: ~/.kube/member1.yaml
    zone: clusterset.local

- name: Use an image with the plugin multicluster
  clusterset.dns.corefile:
    zone: clusterset.local
    mode: plugin

- name: Send the zone from NodeLocal DNSCache to the cluster's DNS
  clusterset.dns.corefile:
    name: node-local-dns
    zone: clusterset.local
    mode: forward
    forward_to: [10.96.0.10]

- name: Add a server block on k3s, which rewrites its own Corefile
  clusterset.dns.corefile:
    name: coredns-custom
    key: clusterset.server
    zone: clusterset.local
    create: true

- name: Change a Corefile on disk
  clusterset.dns.corefile:
    path: /etc/coredns/Corefile
    zone: clusterset.local
    ttl: 1

- name: Compute the Corefile without writing it
  clusterset.dns.corefile:
    zone: clusterset.local
  check_mode: true
  register: candidate

- name: Write that Corefile and no other
  clusterset.dns.corefile:
    zone: clusterset.local
    proven: "{{ candidate.corefile }}"

- name: Take the zone out again
  clusterset.dns.corefile:
    zone: clusterset.local
    state: absent
"""

RETURN = r"""
before:
  description: The Corefile as it was. V(none) where there was none.
  returned: success
  type: str
corefile:
  description: The Corefile as it is now, or would be in check mode. V(none) where there is none.
  returned: success
  type: str
  sample: ".:53 {\n    errors\n}\n"
served_before:
  description:
    - How the zone was served, V(builtin), V(plugin) or V(forward), empty for anything else. V(none) where it was not.
  returned: success
  type: str
  sample: builtin
served_after:
  description:
    - How the zone is served now, or would be in check mode, as in RV(served_before).
    - If it is not V(none) after O(state=absent), CoreDNS still serves the zone, and needs what it needs for that. RV(notes) say by which
      line.
  returned: success
  type: str
  sample: builtin
adopted:
  description: Whether the zone is served by lines that were not made by this module and were left as they are.
  returned: success
  type: bool
  sample: false
restored:
  description:
    - With O(state=absent), when the last zone went, whether the text is byte for byte what it was before the first change.
    - V(none) in all other cases, and where that was not recorded.
  returned: success
  type: bool
  sample: true
plugins:
  description: The names of all plugins that the Corefile uses, to be compared with what C(coredns -plugins) lists.
  returned: success
  type: list
  elements: str
  sample: [errors, header, kubernetes]
reload_sha512:
  description:
    - The hash that CoreDNS's plugin C(reload) logs for this Corefile and reports in C(coredns_reload_version_info) after it has reloaded.
    - V(none) where that depends on imported files or environment variables that are not known, see O(imports) and O(env).
  returned: success
  type: str
  sample: 0a1b2c…
notes:
  description: What is worth knowing about the result, in sentences.
  returned: success
  type: list
  elements: str
  sample: []
line:
  description: The line of the Corefile that is in the way, if there is one.
  returned: failure
  type: int
  sample: 12
needs:
  description: The option, O(imports) or O(env), that has to be set for the Corefile to be edited, if that is what is missing.
  returned: failure
  type: str
  sample: imports
"""

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.change import change
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import (
    CorefileError,
    parse,
    plugins_used,
    reload_hash,
)
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.place import (
    PLACE_ARG_SPEC,
    ConfigMap,
    File,
    PlaceError,
    place_of,
    seen_of,
)
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.module import Module

ARGUMENT_SPEC = {
    "zone": {"required": True},
    "state": {"choices": ["present", "absent"], "default": "present"},
    "mode": {"choices": ["builtin", "plugin", "forward"], "default": "builtin"},
    "placement": {"choices": ["separate", "inline"], "default": "separate"},
    "header": {"type": "bool"},
    "forward_to": {"type": "list", "elements": "str", "default": []},
    "port": {"type": "int"},
    "ttl": {"type": "int"},
    "cache": {"type": "int", "default": 0},
    "errors": {"type": "bool", "default": True},
    "prometheus": {"default": "auto"},
    "fallthrough": {"type": "bool", "default": False},
    "over_cluster_domain": {"type": "bool", "default": False},
    "adopt": {"type": "bool", "default": False},
    "create": {"type": "bool", "default": False},
    "fleet": {"default": "default"},
    "proven": {},
    "restore": {},
}
# What is no setting of the edit itself.
_NO_EDIT = ("create", "fleet", "proven", "restore")
# How often a Corefile that someone else changed meanwhile is read and edited anew.
_ATTEMPTS = 3


def run(module: Module, place: File | ConfigMap) -> dict[str, t.Any]:
    """Read, edit, write if that changes something, and say what came of it."""
    params = module.params
    fields = {
        "zone": params["zone"],
        "cluster_domain": params["cluster_domain"],
        "forward_to": tuple(params["forward_to"]),
    }
    fields.update({name: params[name] for name in ARGUMENT_SPEC if name not in (*_NO_EDIT, *fields)})
    want = Edit(**fields)
    seen: dict[str, t.Any] = seen_of(params)
    found = place.read()
    if found is None and want.state == "present" and not params["create"]:
        raise PlaceError(f"{place.label} does not exist. Say where the Corefile is, or set create to make it.")
    done = change(found, place.record(), want, label=place.label, proven=params["proven"], restore=params["restore"], **seen)
    after = parse(done.text, **seen)
    answer = {
        "changed": done.changed,
        "before": found,
        "served_before": done.served_before and done.served_before.mode,
        "served_after": done.served_after and done.served_after.mode,
        "corefile": None if found is None and not done.changed else done.text,
        "adopted": done.adopted,
        "restored": done.restored,
        "plugins": sorted({name for block in plugins_used(after) for name in block["plugins"]}),
        "reload_sha512": reload_hash(after),
        "notes": [*done.notes],
    }
    if done.changed:
        place.write(done.text, first=done.first, last=done.last, dry_run=module.check_mode)
    if module._diff:
        answer["diff"] = {
            "before_header": place.label,
            "after_header": place.label,
            "before": found or "",
            "after": done.text,
        }
    return answer


def main() -> None:
    module = Module(argument_spec={**AUTH_ARG_SPEC, **PLACE_ARG_SPEC, **ARGUMENT_SPEC}, supports_check_mode=True)
    place = place_of(module)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            module.exit_json(**run(module, place))
        except CorefileError as error:
            module.fail_json(msg=f"{place.label}: {error}", line=error.line, needs=error.needs)
        except PlaceError as error:
            module.fail_json(msg=str(error))
        except ApiError as error:
            if error.status != 409 or attempt == _ATTEMPTS:
                module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
