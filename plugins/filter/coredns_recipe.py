# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError
from ansible_collections.clusterset.dns.plugins.module_utils._image import recipe as _coredns_image


def coredns_recipe(inputs: t.Mapping[str, t.Any]) -> str:
    """12 hex digits over what an image of CoreDNS is built from; see DOCUMENTATION beside this file."""
    if not isinstance(inputs, Mapping):
        raise AnsibleFilterError("clusterset.dns.coredns_recipe wants a dictionary with the key 'version'.")
    try:
        return _coredns_image.recipe_identifier(inputs)
    except _coredns_image.RecipeError as error:
        raise AnsibleFilterError(str(error)) from None


def coredns_recipe_problems(inputs: t.Mapping[str, t.Any]) -> list[str]:
    """Why nothing can be built from the inputs, a sentence each; see DOCUMENTATION beside this file."""
    try:
        coredns_recipe(inputs)
    except AnsibleFilterError as error:
        return [str(error)]
    return []


class FilterModule:
    """Filters on what an image is built from."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"coredns_recipe": coredns_recipe, "coredns_recipe_problems": coredns_recipe_problems}
