# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The options of ``dns_verify_info``, and what they mean for each member."""

from __future__ import annotations

import time
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns.expect import invalid_name
from ansible_collections.clusterset.dns.plugins.module_utils._dns.query import PODS_ARG_SPEC
from ansible_collections.clusterset.dns.plugins.module_utils._dns.verification import Settings, Want
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import AUTH_ARG_SPEC

__all__ = ["STRATEGIES", "VERIFY_ARG_SPEC", "settings_from", "wants_from"]

# Those of ``serviceimport_ips``; a test sees to it that they are the same.
STRATEGIES = ("derived", "native", "local_first", "endpoints", "load_balancer", "static")
# What a member may want otherwise than the others, by the module's own option; "ips" is a member's alone.
_OF_MEMBER: dict[str, dict[str, t.Any]] = {
    "services": {"type": "list", "elements": "dict", "default": []},
    "zone": {"default": "clusterset.local"},
    "cluster_domain": {"default": "cluster.local"},
    "namespace": {"default": ""},
    "label_selector": {"default": ""},
    "pods": PODS_ARG_SPEC["pods"],
    "port": {"type": "int", "default": 0},
    "strategy": {"choices": list(STRATEGIES), "default": "derived"},
    "strategies": {"type": "dict", "default": {}},
    "http_image": {"default": ""},
    "http_namespace": {"default": "default"},
    "http_path": {"default": "/"},
}
_MEMBER_KEYS = {"name", "ips", *_OF_MEMBER, *AUTH_ARG_SPEC}

VERIFY_ARG_SPEC: dict[str, t.Any] = {
    "members": {"type": "list", "elements": "dict"},
    "given_up": {"type": "list", "elements": "str", "default": []},
    **_OF_MEMBER,
    "cluster": {},
    "source_gone": {"choices": ["clear", "keep"], "default": "clear"},
    "force": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 5},
    "wait_timeout": {"type": "float", "default": 0},
    "wait_sleep": {"type": "float", "default": 1},
    "http_timeout": {"type": "float", "default": 5},
    "http_wait_timeout": {"type": "float", "default": 0},
    "parallel": {"type": "int", "default": 16},
    "deadline": {"type": "float", "default": 300},
}


def settings_from(params: t.Mapping[str, t.Any], *, check: bool) -> Settings:
    """The run's settings. ValueError with a sentence."""
    for option in ("timeout", "http_timeout", "parallel", "deadline"):
        if params[option] <= 0:
            raise ValueError(f"{option} is {params[option]:g}. Set it to a number above 0.")
    return Settings(
        deadline=time.monotonic() + params["deadline"],
        check=check,
        **{key: params[key] for key in ("parallel", "timeout", "wait_timeout", "wait_sleep", "http_timeout", "http_wait_timeout")},
    )


def wants_from(params: t.Mapping[str, t.Any], own_name: str) -> list[Want]:
    """The members that a module's parameters name. ValueError with a sentence where they cannot be meant so.

    :arg own_name: what the one member is called that the module's own authentication options reach, where ``members`` is not given.
    """
    entries = params["members"]
    if entries is None:
        entries = [{"name": own_name, **{key: params[key] for key in AUTH_ARG_SPEC if params.get(key) is not None}}]
    elif not entries and not params["given_up"]:
        raise ValueError("members is empty, so that nothing would be verified. Name at least one.")
    wants = [_want(entry, params) for entry in entries]
    names = [want.name for want in wants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"members has {twice[0]} twice. Give each member once, by the name that Karmada has for it.")
    return wants


def _want(entry: t.Mapping[str, t.Any], params: t.Mapping[str, t.Any]) -> Want:
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ValueError("An entry of members has no name. Set it to the member's name in Karmada.")
    unknown = sorted(set(entry) - _MEMBER_KEYS)
    if unknown:
        raise ValueError(f"members: {name} has the key {unknown[0]}, which is none of {', '.join(sorted(_MEMBER_KEYS))}.")
    own = {key: entry[key] for key in _OF_MEMBER if entry.get(key) is not None}
    options = {**{key: params[key] for key in _OF_MEMBER}, **own, "source_gone": params["source_gone"], "force": params["force"]}
    # services of the fleet and of a member each have their strategy, the latter first
    options["strategies"] = {_key(service): strategy for service, strategy in {**params["strategies"], **options["strategies"]}.items()}
    options["ips"] = {_key(service): (ips,) if isinstance(ips, str) else tuple(ips) for service, ips in (entry.get("ips") or {}).items()}
    options |= {key: options[key].strip(".") for key in ("zone", "cluster_domain")}
    wrong = _problem(options)
    if wrong:
        raise ValueError(f"members: {name}: {wrong}" if params["members"] is not None else wrong)
    options["port"] = int(options["port"])
    return Want(name, {key: value for key, value in entry.items() if key in AUTH_ARG_SPEC}, options)


def _problem(options: t.Mapping[str, t.Any]) -> str | None:
    """The sentence that says why a member's options cannot be used, or None where they can."""
    if not str(options["port"]).isdigit() or int(options["port"]) > 65535:
        return f"port is {options['port']!r}. Set it to a number up to 65535, or leave it out."
    for strategy in [options["strategy"], *options["strategies"].values()]:
        if strategy not in STRATEGIES:
            return f"strategy {strategy!r} is none of {', '.join(STRATEGIES)}."
    for service in options["services"]:
        if not isinstance(service, dict) or not service.get("namespace") or not service.get("name"):
            return f"Each of services needs a namespace and a name; {service!r} has not both."
    if options["zone"] == options["cluster_domain"]:
        return f"zone and cluster_domain are both {options['zone']}; set zone to the clusterset's own."
    names = [f"{one['name']}.{one['namespace']}.svc.{options['zone']}" for one in options["services"]]
    names += [f"dns-version.{options['zone']}", f"kubernetes.default.svc.{options['cluster_domain']}"]
    return next(filter(None, map(invalid_name, names)), None)


def _key(service: str) -> tuple[str, str]:
    namespace, slash, name = service.partition("/")
    if not slash or not namespace or not name or "/" in name:
        raise ValueError(f"{service!r} does not name a service: write NAMESPACE/NAME, such as default/serve.")
    return namespace, name
