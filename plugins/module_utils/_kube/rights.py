# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Rights on an API server, as a SelfSubjectAccessReview has them, in words. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

Object = t.Mapping[str, t.Any]


def describe_right(right: Object) -> str:
    """A right in words: ``patch deployments.apps in kube-system``."""
    resource = right["resource"] + (f"/{right['subresource']}" if right.get("subresource") else "")
    group = f".{right['group']}" if right.get("group") else ""
    where = f" in {right['namespace']}" if right.get("namespace") else ""
    return f"{right['verb']} {resource}{group}{where}"
