# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._karmada import clusters as _karmada


class FilterModule:
    """Filters on what Karmada has."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"crds_not_older": _karmada.not_older, "left_slices": _karmada.left_slices, "unplaced": _karmada.unplaced}
