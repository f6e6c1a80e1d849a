# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What has to change so that a set of Kubernetes objects is as wanted. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

Object = t.Mapping[str, t.Any]


class Kind(t.NamedTuple):
    """How one kind is addressed: ``/api/v1`` or ``/apis/GROUP/VERSION``, its plural, and whether it lives in namespaces."""

    root: str
    plural: str
    namespaced: bool

    def path(self, namespace: str | None, name: str | None = None) -> str:
        """The path of the collection in ``namespace`` (all of them with None), or of one object."""
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        return f"{self.root}{scope}/{self.plural}" + (f"/{name}" if name else "")


def root_of(api_version: str) -> str:
    """The path under which a group and version are served: ``/api/v1`` for ``v1``, ``/apis/apps/v1`` for ``apps/v1``."""
    return f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"


def find_kind(api_version: str, kind: str, resources: t.Iterable[Object]) -> Kind | None:
    """The ``Kind`` of an APIResourceList's ``resources``; None where the group and version have no such kind."""
    for resource in resources:
        if resource["kind"] == kind and "/" not in resource["name"]:
            return Kind(root_of(api_version), resource["name"], resource["namespaced"])
    return None


def describe(item: Object) -> str:
    """How messages call an object: ``ServiceExport default/serve``, ``ClusterRole clusterset-dns-coredns``."""
    metadata = item["metadata"]
    namespace = metadata.get("namespace")
    return f"{item['kind']} {namespace + '/' if namespace else ''}{metadata['name']}"


def invalid(item: t.Any) -> str | None:
    """The sentence that says why ``item`` cannot be an object, or None where it can."""
    if not isinstance(item, dict):
        return f"Each of definitions has to be a dictionary, not {type(item).__name__}."
    for field in ("apiVersion", "kind"):
        if not isinstance(item.get(field), str) or not item[field]:
            return f"A definition has no {field}: {str(item)[:120]}. Set it."
    if not isinstance(item.get("metadata"), dict) or not item["metadata"].get("name"):
        return f"A definition of kind {item['kind']} has no metadata.name. Set it."
    return None


def satisfied(wanted: t.Any, found: t.Any) -> bool:
    """Whether ``found`` has everything that ``wanted`` says.

    Mappings may have more keys than wanted (defaults, status); a wanted None means that the key is absent, and so is a mapping
    of nothing else, which a server does not keep empty. Lists have the same length, each item satisfying its twin: a server
    adds defaults to items, never items.
    """
    if isinstance(wanted, dict) and wanted and found is None:
        return all(satisfied(value, None) for value in wanted.values())
    if isinstance(wanted, dict):
        # an API server leaves a mapping out that has nothing in it
        inside = {} if found is None and wanted else found
        return isinstance(inside, dict) and all(satisfied(value, inside.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(satisfied(one, other) for one, other in zip(wanted, found, strict=True))
        )
    return wanted == found


def shown(wanted: t.Any, found: t.Any) -> t.Any:
    """The part of ``found`` that ``wanted`` speaks of, in its shape: what a diff shows as *before*."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {key: shown(value, found[key]) for key, value in wanted.items() if key in found}
    if isinstance(wanted, list) and isinstance(found, list):
        return [shown(one, other) for one, other in zip(wanted, found, strict=False)] + found[len(wanted) :]
    return found
