# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._corefile import zone as _zone
from ansible_collections.clusterset.dns.plugins.module_utils._karmada.services import input_problems


def _problems(services: t.Any, *, zone: str, cluster_domain: str, members: t.Collection[str], prune: bool = False) -> list[str]:
    sentences = _zone.problems(zone, cluster_domain, "clusterset_zone")
    return sentences + input_problems(services, members=members, prune=prune, prefix="clusterset_")


class FilterModule:
    """Filters on ``clusterset_services``."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"input_problems": _problems}
