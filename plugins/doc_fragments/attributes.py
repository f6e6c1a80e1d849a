# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """What the attributes of modules mean. What a module says of its own (``support`` where it is not here, ``details``) goes before."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that nobody else has changed the target in between.
    support: full
  platform:
    description: The systems that the module runs on.
    platforms: posix
    support: full
"""

    # for modules that only read
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module does not modify state.
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
"""

    # for modules that take all authentication options of kubernetes.core
    ACTION_GROUP = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/clusterset.dns.clusterset) in C(module_defaults) to set the authentication options once. What is set for
        C(group/kubernetes.core.k8s) holds as well.
    support: full
    membership:
      - clusterset.dns.clusterset
"""

    # for modules that are action plugins
    ACTION = r"""
options: {}
attributes:
  action:
    description: Has an action plugin, so that it runs where ansible-playbook does.
    support: full
"""
