# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""An API stand-in that looks like Karmada's control plane, with members behind its proxy, and a way to run a module's main()."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.text.converters import to_bytes
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, status

MCS = "/apis/multicluster.x-k8s.io/v1alpha1"
POLICIES = "/apis/policy.karmada.io/v1alpha1"
WORK = "/apis/work.karmada.io/v1alpha2"
CLUSTERS = "/apis/cluster.karmada.io/v1alpha1/clusters"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
KINDS = ("ServiceExport", "ServiceImport")
_SERVED = {
    MCS: [("serviceexports", "ServiceExport", True), ("serviceimports", "ServiceImport", True)],
    POLICIES: [("propagationpolicies", "PropagationPolicy", True), ("clusterpropagationpolicies", "ClusterPropagationPolicy", False)],
}  # fmt: skip


class Karmada(ApiStandIn):
    """``denied`` are rights that are refused, as ``verb resource``; ``asked`` those that were asked for."""

    def __init__(self, members: t.Sequence[str] = ("member1", "member2")) -> None:
        super().__init__()
        self.denied: set[str] = set()
        self.asked: list[str] = []
        self.down: set[str] = set()
        for name in members:
            self.join(name)

    def join(self, name: str, *, ready: bool = True, serves: bool = True) -> None:
        enablement = {"groupVersion": "multicluster.x-k8s.io/v1alpha1", "resources": [{"kind": kind} for kind in KINDS]}
        condition = {"type": "Ready", "status": str(ready), "message": "it is fine" if ready else "cluster is not reachable"}
        found = {"spec": {"syncMode": "Push"}, "status": {"conditions": [condition], "apiEnablements": [enablement] if serves else []}}
        self.put(f"{CLUSTERS}/{name}", found)

    def answer(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            attributes = body["spec"]["resourceAttributes"]
            right = f"{attributes['verb']} {attributes['resource']}" + (
                f"/{attributes['subresource']}" if "subresource" in attributes else ""
            )
            self.asked.append(right)
            return 201, {"status": {"allowed": right not in self.denied}}
        if method == "GET" and path in _SERVED:
            return 200, {"resources": [{"name": plural, "kind": kind, "namespaced": spaced} for plural, kind, spaced in _SERVED[path]]}
        if "/proxy/" in path:
            name, _proxy, inner = path.removeprefix(f"{CLUSTERS}/").partition("/proxy")
            if name in self.down:
                return status(503, "ServiceUnavailable", f"cluster {name} is not reachable")[:2]
            if inner == "/apis/multicluster.x-k8s.io" and f"{CLUSTERS}/{name}/proxy{MCS}/serviceimports" in self.collections:
                return 200, {"preferredVersion": {"groupVersion": "multicluster.x-k8s.io/v1alpha1"}}
            if method == "GET" and inner.split("/")[-1] in ("deployments", "daemonsets", "statefulsets"):
                return self._page(path, query)
        return super().answer(method, path, query, body)

    def member(self, name: str, path: str, item: dict[str, t.Any]) -> None:
        """Place an object in a member."""
        self.put(f"{CLUSTERS}/{name}/proxy{path}", item)


class Exit(Exception):
    pass


Run = t.Callable[..., dict[str, t.Any]]


def runner(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a module's main() and gives what it returns, with ``failed`` and its warnings in ``said``."""

    def end(module: basic.AnsibleModule, failed: bool, **result: t.Any) -> t.NoReturn:
        raise Exit({"failed": failed, "said": list(warnings), **result})

    warnings: list[str] = []
    monkeypatch.setattr(basic.AnsibleModule, "exit_json", lambda module, **result: end(module, False, **result))
    monkeypatch.setattr(basic.AnsibleModule, "fail_json", lambda module, **result: end(module, True, **result))
    monkeypatch.setattr(basic.AnsibleModule, "warn", lambda module, warning, **unused: warnings.append(warning))
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)

    def call(main: t.Callable[[], None], *, check: bool = False, diff: bool = False, **params: t.Any) -> dict[str, t.Any]:
        warnings.clear()
        params |= {"_ansible_check_mode": check, "_ansible_diff": diff}
        monkeypatch.setattr(basic, "_ANSIBLE_ARGS", to_bytes(json.dumps({"ANSIBLE_MODULE_ARGS": params})))
        with pytest.raises(Exit) as exit:
            main()
        return exit.value.args[0]

    return call
