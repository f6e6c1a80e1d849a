# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The options that the ``serviceimport_ips`` modules share, what they mean, and how they end."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._imports.addresses import (
    STRATEGIES,
    Key,
    normal,
    parse_key,
    refusal,
)
from ansible_collections.clusterset.dns.plugins.module_utils._imports.fleet import Fleet, Member, NoImports, Row, Settings
from ansible_collections.clusterset.dns.plugins.module_utils._imports.headless import SliceRow, labels_of
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC, Cluster

if t.TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

FLEET_ARG_SPEC: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict"},
    "only": {"type": "list", "elements": "str"},
    "cluster": {"type": "str"},
    "services": {"type": "list", "elements": "str", "default": ["all"]},
    "label_selector": {"type": "str", "default": ""},
    "strategy": {"type": "str", "choices": list(STRATEGIES), "default": "derived"},
    "strategies": {"type": "dict", "default": {}},
    "source_gone": {"type": "str", "choices": ["clear", "keep"], "default": "clear"},
    "force": {"type": "bool", "default": False},
    "headless": {"type": "bool", "default": True},
    "karmada": {"type": "dict", "default": {}},
    "on_unreachable_member": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
    "rows": {"type": "str", "choices": ["all", "changed"], "default": "all"},
    "parallel": {"type": "int", "default": 16},
    "qps": {"type": "float", "default": 1000.0},
    "in_flight": {"type": "int", "default": 8},
    "timeout": {"type": "float", "default": 10.0},
    "deadline": {"type": "float", "default": 300.0},
}
_MEMBER_KEYS = {"name", "strategy", "strategies", "ips", *AUTH_ARG_SPEC}


def members_from(params: t.Mapping[str, t.Any]) -> list[Member]:
    """The members that a module's parameters name. ValueError with a sentence where they cannot be meant so."""
    if params["members"] is None:
        if not params["cluster"]:
            raise ValueError("No member is named. Set members, or cluster to the name of the one that the credentials reach.")
        return [Member(params["cluster"], {key: params.get(key) for key in AUTH_ARG_SPEC})]
    members = [_member(entry) for entry in params["members"]]
    names = [member.name for member in members]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"members has {twice[0]} twice. Give each member once.")
    return members


def fleet_from(module: AnsibleModule, settings: Settings) -> Fleet:
    """The fleet that a module's parameters name. ValueError or ApiError with a sentence."""
    fleet = Fleet(members_from(module.params), settings, module.params["only"])
    unknown = sorted(set(module.params["only"] or ()) - set(fleet.members))
    if unknown:
        raise ValueError(f"only has {unknown[0]}, which is none of members. Add it there, or take it out of only.")
    access = _karmada(module.params)
    if access:
        fleet.karmada = Cluster("karmada", access, timeout=settings.timeout, deadline=settings.deadline)
    return fleet


def _karmada(params: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """How the control plane is reached, or {} where that is not said."""
    given = params["karmada"]
    unknown = sorted(set(given) - {"name", *AUTH_ARG_SPEC})
    if unknown:
        raise ValueError(f"karmada has the key {unknown[0]}, which is none of {', '.join(sorted(AUTH_ARG_SPEC))}.")
    if params.get("write_via") == "override" and not given:
        raise ValueError("write_via=override writes on Karmada's control plane. Set karmada to how it is reached.")
    return given


def settings_from(params: t.Mapping[str, t.Any], **rest: t.Any) -> Settings:
    """The run's settings. ``rest`` is what only one of the modules has. ValueError with a sentence."""
    for option in ("parallel", "qps", "in_flight", "timeout", "deadline"):
        if params[option] <= 0:
            raise ValueError(f"{option} is {params[option]}. Set it to a number above 0.")
    return Settings(
        services=_services(params["services"]),
        label_selector=params["label_selector"],
        strategy=params["strategy"],
        strategies=_strategies(params["strategies"], "strategies"),
        source_gone=params["source_gone"],
        force=params["force"],
        headless=params["headless"],
        parallel=params["parallel"],
        qps=params["qps"],
        in_flight=params["in_flight"],
        timeout=params["timeout"],
        **rest,
    )


def unknown_services(settings: Settings, found: t.Collection[Key], members: int, failed: int) -> str:
    """The sentence for services that are named and on no member, or '' where there are none, or a member could not be
    asked.
    """
    missing = sorted((settings.services or frozenset()) - set(found))
    if not missing or failed:
        return ""
    names = ", ".join("/".join(key) for key in missing)
    return (
        f"No ServiceImport {names} on {'the member' if members == 1 else f'any of the {members} members'}: it was never exported or"
        " imported. Export and import it on Karmada's control plane, or take it out of services."
    )


def remarks(rows: t.Sequence[Row]) -> list[str]:
    """The sentences about imports that did not get what they should, and are no failure."""
    sentences = []
    for what, found in (
        ("the source of its addresses is not there", [row for row in rows if row.pending and not row.error]),
        ("its addresses are left as they are", [row for row in rows if row.held and not row.error]),
        ("it is left without an address", [row for row in rows if row.changed and not row.desired and not row.pending]),
    ):
        if found:
            more = f" So it is for {len(found) - 1} more." if len(found) > 1 else ""
            sentences.append(f"{found[0].cluster}: ServiceImport {'/'.join(found[0].key)}: {what}: {found[0].reason}.{more}")
    return sentences


def row_lines(rows: t.Iterable[Row]) -> str:
    """The difference in names and addresses, a line per import that changes."""
    return "".join(
        f"{row.cluster} {'/'.join(row.key)}: {_shown(row.actual)} → {_shown(row.desired)}  {row.reason}\n" for row in rows if row.changed
    )


def slice_lines(rows: t.Iterable[SliceRow]) -> str:
    """The difference in the labels, a line per EndpointSlice that changes."""
    return "".join(
        f"{row.cluster} EndpointSlice {'/'.join(row.key)}: {_shown(list(filter(None, row.actual)))} →"
        f" {_shown((row.service, row.source_cluster))}  {row.reason}\n"
        for row in rows
        if row.changed
    )


def _shown(ips: t.Sequence[str]) -> str:
    return f"[{', '.join(ips)}]"


def _member(entry: t.Mapping[str, t.Any]) -> Member:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("An entry of members has no name. Set it to the member's name in Karmada.")
    unknown = sorted(set(entry) - _MEMBER_KEYS)
    if unknown:
        raise ValueError(f"members: {name} has the key {unknown[0]}, which is none of {', '.join(sorted(_MEMBER_KEYS))}.")
    where = f"members: {name}: "
    if entry.get("strategy") not in (None, *STRATEGIES):
        raise ValueError(f"{where}strategy {entry['strategy']!r} is none of {', '.join(STRATEGIES)}.")
    return Member(
        name,
        {key: value for key, value in entry.items() if key in AUTH_ARG_SPEC},
        strategy=entry.get("strategy"),
        strategies=_strategies(entry.get("strategies") or {}, where + "strategies"),
        ips={
            parse_key(service): _addresses(addresses, f"{where}ips of {service}") for service, addresses in (entry.get("ips") or {}).items()
        },
    )


def _addresses(addresses: t.Any, where: str) -> tuple[str, ...]:
    given = [addresses] if isinstance(addresses, str) else addresses
    for address in given:
        why = refusal(str(address))
        if why:
            raise ValueError(f"{where}: {why}. Give an address that clients can reach.")
    return tuple(dict.fromkeys(normal(str(address)) for address in given))


def _services(names: t.Sequence[str]) -> frozenset[Key] | None:
    return None if list(names) == ["all"] else frozenset(parse_key(name) for name in names)


def _strategies(given: t.Mapping[str, t.Any], where: str) -> dict[Key, str]:
    for service, strategy in given.items():
        if strategy not in STRATEGIES:
            raise ValueError(f"{where}: {strategy!r} for {service} is none of {', '.join(STRATEGIES)}.")
    return {parse_key(service): strategy for service, strategy in given.items()}


def finish(module: AnsibleModule, fleet: Fleet, rows: list[Row]) -> t.NoReturn:
    """End ``serviceimport_ips`` with what became of the fleet."""
    slices = sorted(fleet.slice_rows)
    clusters = [*fleet.clusters.values(), *filter(None, [fleet.karmada])]
    result = {
        "changed": any(row.changed for row in [*rows, *slices]),
        "imports": [_row(row, changed=row.changed, error=row.error) for row in _chosen(module, rows)],
        "slices": [_slice(row, changed=row.changed) for row in _chosen_slices(module, slices)],
        "summary": {
            "members": len(fleet.targets),
            "imports": len(rows),
            "changed": sum(row.changed for row in rows),
            "pending": sum(row.pending for row in rows),
            "held": sum(row.held for row in rows),
            "slices": len(slices),
            "slices_changed": sum(row.changed for row in slices),
            "requests": sum(cluster.requests for cluster in clusters),
            "writes": sum(cluster.writes for cluster in clusters),
        },
    }
    for sentence in [*remarks(sorted(rows)), *filter(None, (cluster.unproven for cluster in clusters))]:
        module.warn(sentence)
    if module._diff:
        result["diff"] = {"prepared": row_lines(sorted(rows)) + slice_lines(slices)}
    _end(module, fleet, rows, result)


def finish_info(module: AnsibleModule, fleet: Fleet, rows: list[Row]) -> t.NoReturn:
    """End ``serviceimport_ips_info`` with what there is and what there should be."""
    imports = [_row(row, in_sync=not row.changed) for row in _chosen(module, rows)]
    slices = [_slice(row, in_sync=not row.changed and not row.error) for row in _chosen_slices(module, sorted(fleet.slice_rows))]
    _end(module, fleet, rows, {"changed": False, "imports": imports, "slices": slices})


def _end(module: AnsibleModule, fleet: Fleet, rows: list[Row], result: dict[str, t.Any]) -> t.NoReturn:
    failed = {name: error for name, error in fleet.failed.items() if name in fleet.targets}
    for name in sorted(set(fleet.failed) - set(failed)):
        module.warn(f"{fleet.failed[name]} Addresses of its load balancers are left where they are.")
    without_api = sorted(name for name, error in failed.items() if module.check_mode and isinstance(error, NoImports))
    for name in without_api:
        module.warn(f"{failed.pop(name)} What would change there cannot be told before.")
    sentences = {name: str(error) for name, error in failed.items()}
    for row in rows:
        if row.error and row.cluster not in sentences:
            sentences[row.cluster] = f"{row.cluster}: {'/'.join(row.key)}: {row.error}"
    for row in fleet.slice_rows:
        if row.error and row.cluster not in sentences:
            sentences[row.cluster] = f"{row.cluster}: {row.error}"
    result["failed_members"] = [{"name": name, "error": sentences[name]} for name in sorted(sentences)]
    result["members_without_api"] = without_api
    unknown = unknown_services(fleet.settings, {row.key for row in rows}, len(fleet.targets), len(fleet.failed))
    if unknown and not module.check_mode:
        module.fail_json(msg=unknown, **result)
    if sentences and module.params["on_unreachable_member"] == "fail":
        module.fail_json(msg=" ".join(sentences[name] for name in sorted(sentences)), **result)
    for sentence in sentences.values():
        module.warn(sentence)
    module.exit_json(**result)


def _chosen(module: AnsibleModule, rows: list[Row]) -> list[Row]:
    return [row for row in sorted(rows) if module.params["rows"] == "all" or row.changed or row.pending or row.held or row.error]


def _chosen_slices(module: AnsibleModule, rows: list[SliceRow]) -> list[SliceRow]:
    return [row for row in rows if module.params["rows"] == "all" or row.changed or row.error]


def _slice(row: SliceRow, **rest: bool) -> dict[str, t.Any]:
    return {
        "cluster": row.cluster,
        "namespace": row.key[0],
        "name": row.key[1],
        "service": row.service,
        "source_cluster": row.source_cluster,
        "desired": labels_of(row.service, row.source_cluster) if row.source_cluster else {},
        "actual": labels_of(*row.actual),
        "reason": row.reason,
        "error": row.error,
        **rest,
    }


def _row(row: Row, **rest: t.Any) -> dict[str, t.Any]:
    return {
        "cluster": row.cluster,
        "namespace": row.key[0],
        "name": row.key[1],
        "desired": list(row.desired),
        "actual": list(row.actual),
        "reason": row.reason,
        "pending": row.pending,
        "held": row.held,
        **rest,
    }
