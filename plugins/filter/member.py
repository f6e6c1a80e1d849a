# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member as _member
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import platform as _platform
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import zone_server as _zone_server


class FilterModule:
    """Filters on what clusterset.dns.member_info returns."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "serving": _platform.serving,
            "zone_problems": _member.zone_problems,
            "zone_server_objects": _zone_server.objects,
        }
