# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The modules' own AnsibleModule."""

from __future__ import annotations

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusterset.dns.plugins.module_utils._kube.access import secrets_of


class Module(AnsibleModule):
    """An AnsibleModule that shows no secret of its parameters, also of those that Ansible does not know as such.

    A kubeconfig may be a dictionary, and be in a list. Ansible shows and logs the parameters, and shows them as well when it
    refuses one of them, which is before a module could say what is secret.
    """

    @property
    def no_log_values(self) -> set[str]:
        self._no_log_values |= secrets_of(getattr(self, "params", None) or {})
        return self._no_log_values

    @no_log_values.setter
    def no_log_values(self, values: set[str]) -> None:
        self._no_log_values = values
