# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Module ``coredns_multicluster_info``: the look at a whole fleet in one process."""

from __future__ import annotations

import time
import typing as t

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.arguments import CHANGE_ARG_SPEC, result_of, want_of
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import StepError
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.transaction import assess
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._dns.query import require_library
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.parallel import each

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

__all__ = ["SURVEY_ARG_SPEC", "main_of"]

SURVEY_ARG_SPEC: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict", "required": True},
    "deadline": {"type": "int", "default": 120},
    "timeout": {"type": "int", "default": 10},
    "parallel": {"type": "int", "default": 16},
}
_NOTHING_SEEN = {"settled": False, "mode": "", "reason": "", "platform": {}, "steps": [], "needs": "", "notes": [], "image": {}, "nodelocal": [], "addon": None}


def main_of(module: AnsibleModule) -> t.NoReturn:
    """Run the module."""
    Cluster.require_library(module)
    require_library(module)
    params = module.params
    started = time.monotonic()
    deadline = started + params["deadline"]
    validator = ArgumentSpecValidator({**AUTH_ARG_SPEC, **CHANGE_ARG_SPEC, "name": {"required": True}})
    wants: dict[str, dict[str, t.Any]] = {}
    # Bad options are the matter of their member alone.
    refused: dict[str, str] = {}
    for position, member in enumerate(params["members"]):
        checked = validator.validate({key: value for key, value in member.items() if value is not None})
        if not member.get("name"):
            module.fail_json(msg=f"members[{position}]: {' '.join(checked.error_messages)}")
        name = str(member["name"])
        if name in wants:
            module.fail_json(msg=f"members[{position}]: {name} is there twice. Keep one.")
        wants[name] = checked.validated_parameters
        if checked.error_messages:
            refused[name] = f"{name}: {' '.join(checked.error_messages)}"
    clusters: dict[str, Cluster] = {}

    def job(name: str) -> t.Callable[[], dict[str, t.Any]]:
        def look() -> dict[str, t.Any]:
            if name in refused:
                raise ApiError(name, refused[name], reason="Config")
            cluster = clusters[name] = Cluster(name, wants[name], timeout=params["timeout"], deadline=deadline)
            try:
                facts, todo = assess(cluster, want_of(wants[name]), check_mode=module.check_mode)
            except (CorefileError, StepError) as error:
                raise ApiError(name, f"{name}: {error}", reason="Config") from error
            found = result_of(facts, todo)
            return {**found, "error": " ".join(found.pop("problems"))}

        return look

    found = each({name: job(name) for name in wants}, parallel=params["parallel"], deadline=deadline)
    rows = []
    for name in wants:
        one = found[name]
        rows.append({"name": name, **_NOTHING_SEEN, "error": str(one)} if isinstance(one, ApiError) else one)
    module.exit_json(
        changed=False,
        members=rows,
        settled=[row["name"] for row in rows if row["settled"]],
        requests=sum(cluster.requests for cluster in clusters.values()),
        duration=round(time.monotonic() - started, 2),
    )
