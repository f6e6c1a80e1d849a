#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The documentation alone: what it does is in the action plugin of this name, which runs where ansible-playbook does.

from __future__ import annotations

DOCUMENTATION = r"""
module: print_lines
short_description: Show lines of text as they are
version_added: 0.1.0
description:
  - Shows each line as a line, without quotes and commas, so that a table looks like one with Ansible's default callback.
  - With the callbacks C(json) and C(jsonl), whose output is for programs, the lines are in the task's result only.
  - Control characters are shown as V(\\x1b) and the like, so that a terminal does not obey them.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.attributes
  - clusterset.dns.attributes.action
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details:
      - This module does not modify state.
options:
  lines:
    description: The lines.
    type: list
    elements: str
    required: true
seealso:
  - plugin: clusterset.dns.dns_table
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what every DNS server pod answers
  clusterset.dns.print_lines:
    lines: "{{ verified.rows | clusterset.dns.dns_table }}"
  run_once: true
"""

RETURN = r"""
lines:
  description: The lines as they were shown.
  returned: success
  type: list
  elements: str
  sample: ["8 answers of 2 CoreDNS pods in 1 cluster: all right."]
"""
