# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns import assertions as _dns_assertions
from ansible_collections.clusterset.dns.plugins.module_utils._dns import page as _dns_page
from ansible_collections.clusterset.dns.plugins.module_utils._dns import report as _dns_report


class FilterModule:
    """Filters on what a fleet's DNS servers answered."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "dns_table": _dns_report.table,
            "dns_summary": _dns_report.summary,
            "dns_junit": _dns_report.junit,
            "dns_page": _dns_page.page,
            "dns_refuted": _dns_assertions.refuted,
        }
