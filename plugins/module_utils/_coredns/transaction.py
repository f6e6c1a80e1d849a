# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Module ``coredns_multicluster`` from its options to its result: look, plan, and in check mode the dry runs, otherwise the change."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns import change
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.arguments import result_of, want_of
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.delegation_helm import YAML_IMPORT_ERROR
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.look import kubernetes_ips, look
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.plan import Plan, image_to_ask_for, plan
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import StepError, World
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError
from ansible_collections.clusterset.dns.plugins.module_utils._dns.query import require_library
from ansible_collections.clusterset.dns.plugins.module_utils._image import registry
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError, Cluster
from ansible_collections.clusterset.dns.plugins.module_utils._kube.lease import RIGHTS, HeldError
from ansible_collections.clusterset.dns.plugins.module_utils._kube.rights import describe_right
from ansible_collections.clusterset.dns.plugins.module_utils._kube.waiting import Waiter

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

__all__ = ["assess", "main_of"]

Right = dict[str, str]

# From here on an API server asks for ``create`` as well where a pod is reached by WebSocket (AuthorizePodWebsocketUpgradeCreatePermission).
_CREATES_FORWARDS = (1, 35)


def assess(cluster: Cluster, want: Want, *, check_mode: bool = False, granted: t.Container[Right] = ()) -> tuple[Facts, Plan]:
    """What a member is, and what is to be done in it. What its credentials may not do is a problem.

    :arg granted: rights that are known already.
    :raises ApiError: it does not answer. :raises CorefileError: the zone is none.
    """
    facts = look(cluster, want)
    if image := image_to_ask_for(facts, want):
        facts = facts._replace(published=registry.ask(image))
    found = plan(facts, want, check_mode=check_mode)
    if facts.platform.place == "helm" and YAML_IMPORT_ERROR:
        return facts, found._replace(problems=(*found.problems, f"{cluster.name}: the Python package PyYAML is needed for RKE2. Install it."))
    if not found.steps:
        return facts, found
    facts = facts._replace(kubernetes_ips=kubernetes_ips(cluster))
    missing = [describe_right(right) for right in cluster.can_i(one for one in _needed(facts, found, want) if one not in granted)]
    if missing:
        sentence = f"{cluster.name}: the credentials in use may not {'; nor '.join(missing)}. Grant that or set another kubeconfig or context."
        found = found._replace(problems=(*found.problems, sentence))
    return facts, found


def _needed(facts: Facts, todo: Plan, want: Want) -> list[Right]:
    """The rights that carrying out a plan takes."""
    needed = [*todo.rights, *({**right, "namespace": want.namespace} for right in RIGHTS)]
    if facts.kubernetes >= _CREATES_FORWARDS:
        needed += [{**right, "verb": "create"} for right in todo.rights if right.get("subresource") == "portforward"]
    return needed


def main_of(module: AnsibleModule) -> t.NoReturn:
    """Run the module."""
    require_library(module)
    waiter = Waiter(0)
    cluster = Cluster.from_module(module, module.params["name"])
    want = want_of(module.params)
    try:
        with change.stopped_by_signals():
            result = _run(module, cluster, want)
    except (ApiError, CorefileError, HeldError, StepError) as error:
        words = str(error)
        module.fail_json(msg=words if words.startswith(f"{cluster.name}:") else f"{cluster.name}: {words}", duration=round(waiter.elapsed, 1))
    except change.ChangeError as error:
        module.fail_json(msg=str(error), step=error.step, not_back=error.not_back, duration=round(waiter.elapsed, 1))
    except KeyboardInterrupt:
        module.fail_json(msg=f"{cluster.name}: nothing was changed, because the run was stopped.", duration=round(waiter.elapsed, 1))
    module.exit_json(**result, duration=round(waiter.elapsed, 1))


def _refuse(module: AnsibleModule, facts: Facts, todo: Plan) -> None:
    """Fail the module where the member cannot take part."""
    if todo.problems:
        module.fail_json(msg=" ".join(todo.problems), **{key: value for key, value in result_of(facts, todo).items() if key != "name"})


def _run(module: AnsibleModule, cluster: Cluster, want: Want) -> dict[str, t.Any]:
    facts, todo = assess(cluster, want, check_mode=module.check_mode)
    _refuse(module, facts, todo)
    world = World(cluster, want, facts)
    if todo.steps and not module.check_mode:
        with change.lease_of(world) as lease:
            # what was seen before the lease was held may be another run's doing
            facts, todo = assess(cluster, want, granted=_needed(facts, todo, want))
            _refuse(module, facts, todo)
            world = World(cluster, want, facts)
            if module._diff:
                for step in todo.steps:
                    step.preview(world)
                world.notes = []
            change.run(todo.steps, world, lease)
            change.clean(world)
            if todo.addon is not None:
                # it names the Service that was made just now
                todo = todo._replace(addon=plan(look(cluster, want), want).addon)
    elif module.check_mode:
        for step in todo.steps:
            step.preview(world)
    if not module.check_mode and not todo.steps:
        change.leave_nothing(world)
    result = {key: value for key, value in result_of(facts, todo).items() if key not in ("name", "settled", "problems", "needs")}
    result |= {"changed": bool(todo.steps), "notes": [*dict.fromkeys([*todo.notes, *world.notes])]}
    if module._diff:
        result["diff"] = world.diff
    return result
