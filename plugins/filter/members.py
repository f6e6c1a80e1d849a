# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError

# host variable → key of an entry of the option "members"
_VARIABLES = {
    "clusterset_kubeconfig": "kubeconfig",
    "clusterset_context": "context",
    "clusterset_host": "host",
    "clusterset_strategy": "strategy",
    "clusterset_strategies": "strategies",
    "clusterset_ips": "ips",
}


def members(hosts: t.Iterable[t.Mapping[str, t.Any]], options: str = "") -> list[dict[str, t.Any]]:
    """What the option ``members`` of the modules for a fleet takes, from the variables of the members' hosts.

    :arg options: the variable in which each host has more of its entry; a host without it is left out.
    """
    result = []
    for variables in hosts:
        host = variables.get("inventory_hostname")
        if not host:
            raise AnsibleFilterError("clusterset.dns.members takes the variables of hosts: map('extract', hostvars).")
        if options and variables.get(options) is None:
            continue
        if not any(variables.get(f"clusterset_{way}") for way in ("kubeconfig", "context", "host")):
            raise AnsibleFilterError(f"Host {host} does not say how its cluster is reached. Set clusterset_kubeconfig.")
        entry = {"name": variables.get("clusterset_member") or host}
        entry |= {key: variables[name] for name, key in _VARIABLES.items() if variables.get(name)}
        entry |= variables[options] if options else {}
        result.append(entry)
    return result


class FilterModule:
    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"members": members}
