# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase

# Their output is for programs, which a line of text among it would break. They have the lines in the task's result.
_FOR_PROGRAMS = ("json", "jsonl")
# A terminal would obey some of them, and the lines may hold what clusters say.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class ActionModule(ActionBase):
    """Shows lines as they are, through Ansible's own Display, which brings them to the terminal, the log and AWX."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        _result, given = self.validate_argument_spec({"lines": {"type": "list", "elements": "str", "required": True}})
        result = super().run(tmp, task_vars)
        lines = [_CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(line)) for line in given["lines"]]
        if lines and constants.config.get_config_value("DEFAULT_STDOUT_CALLBACK").rpartition(".")[2] not in _FOR_PROGRAMS:
            self._display.display("\n".join(lines))
        return result | {"changed": False, "lines": lines}
