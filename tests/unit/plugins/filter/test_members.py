# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.clusterset.dns.plugins.filter.members import members


def test_hosts_become_members_in_their_order() -> None:
    hosts = [
        {"inventory_hostname": "b", "clusterset_kubeconfig": "/b", "clusterset_strategy": "native", "other": 1},
        {"inventory_hostname": "a", "clusterset_member": "member-a", "clusterset_context": "a", "clusterset_host": "https://k/proxy"},
    ]
    assert members(hosts) == [
        {"name": "b", "kubeconfig": "/b", "strategy": "native"},
        {"name": "member-a", "context": "a", "host": "https://k/proxy"},
    ]


def test_a_host_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(AnsibleFilterError, match=r"Host a does not say how its cluster is reached\. Set clusterset_kubeconfig"):
        members([{"inventory_hostname": "a"}])


def test_what_are_no_hosts_is_told() -> None:
    with pytest.raises(AnsibleFilterError, match="takes the variables of hosts"):
        members([{"name": "a"}])


def test_options_of_a_variable_and_hosts_without_it() -> None:
    host = {"clusterset_host": "https://a", "wanted": {"name": "other", "zone": "z"}}
    hosts = [{"inventory_hostname": "a", **host}, {"inventory_hostname": "b", "clusterset_host": "https://b"}]
    assert members(hosts, options="wanted") == [{"name": "other", "host": "https://a", "zone": "z"}]
    # one that has not said what it wants need not say how it is reached
    assert members([{"inventory_hostname": "c"}], options="wanted") == []
