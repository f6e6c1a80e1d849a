# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""API stand-ins for many clusters in one process: ``standin.py OBJECTS DELAY``.

It prints its URL; ``URL/karmada`` is the control plane, ``URL/c000`` … are members with OBJECTS imports each, which have the addresses that
they should. All members have the same objects, made after ones that were recorded from Karmada's members, and every answer comes DELAY
seconds after its request. A line on standard input is answered with the number of requests since the last one, by cluster and verb.
"""

from __future__ import annotations

import collections
import copy
import json
import sys
import typing as t
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "unit"))
import conftest  # noqa: F401
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn

RECORDED = json.loads((CHECKOUT / "benchmarks" / "recorded.json").read_text())
# The member that was recorded, as Karmada's annotation on what it delivers calls it.
SPACE = b"karmada-es-member2"
MCS = "/apis/multicluster.x-k8s.io/v1alpha1"
RULES = "/apis/config.karmada.io/v1alpha1"


class Clusters(ApiStandIn):
    """Lists are kept as the bytes that are sent: what is measured shares the machine with this process."""

    def __init__(self, objects: int, delay: float) -> None:
        super().__init__()
        self.delay = delay
        self._answers: dict[str, bytes] = {}
        imports, services, exports = [], [], []
        for number in range(objects):
            name, ip = f"s{number:05}", f"10.96.{number // 250}.{number % 250 + 1}"
            imports.append(_like(RECORDED["serviceimport"], name, ips=[ip]))
            services.append(_like(RECORDED["service"], f"derived-{name}", clusterIP=ip, clusterIPs=[ip]))
            exports.append({"metadata": {"namespace": "default", "name": name}})
            self.put(f"{MCS}/namespaces/default/serviceimports/{name}", imports[-1])
        self._list(f"{MCS}/serviceimports", imports)
        self._list(f"{MCS}/serviceexports", exports)
        self._list("/api/v1/services", services)
        crd = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceimports.multicluster.x-k8s.io"
        self.put(crd, RECORDED["crd"])
        for rule in RECORDED["rules"]:
            self.put(f"{RULES}/resourceinterpretercustomizations/{rule['metadata']['name']}", rule)
        # Discovery, for clients that cannot do without.
        mcs = {"name": "serviceimports", "singularName": "serviceimport", "kind": "ServiceImport", "namespaced": True}
        rules = {"name": "resourceinterpretercustomizations", "kind": "ResourceInterpreterCustomization", "namespaced": False}
        groups = []
        for root, resource in ((MCS, mcs), (RULES, rules)):
            group_version = root.removeprefix("/apis/")
            resource = {"singularName": "", "verbs": ["get", "list", "patch", "create", "delete", "update"], **resource}
            self._answers[root] = _bytes({"kind": "APIResourceList", "groupVersion": group_version, "resources": [resource]})
            version = {"groupVersion": group_version, "version": group_version.partition("/")[2]}
            groups.append({"name": group_version.partition("/")[0], "versions": [version], "preferredVersion": version})
        self._answers["/apis"] = _bytes({"kind": "APIGroupList", "groups": groups})
        self._answers["/api"] = _bytes({"kind": "APIVersions", "versions": ["v1"]})
        self._answers["/api/v1"] = _bytes({"kind": "APIResourceList", "groupVersion": "v1", "resources": []})
        self._answers["/version"] = _bytes({"major": "1", "minor": "34", "gitVersion": "v1.34.4"})

    def answer(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        _empty, cluster, path = path.split("/", 2)
        path = f"/{path}"
        if method == "GET" and path in self._answers:
            return 200, self._answers[path].replace(SPACE, f"karmada-es-{cluster}".encode())
        return super().answer(method, path, query, body)

    def counted(self) -> dict[str, dict[str, int]]:
        log, self.log = self.log, []
        counts: dict[str, dict[str, int]] = collections.defaultdict(lambda: collections.defaultdict(int))
        for method, path, _query in log:
            counts[path.split("/", 2)[1]][method] += 1
        return counts

    def _list(self, path: str, items: list[dict[str, t.Any]]) -> None:
        self._answers[path] = _bytes({"kind": "List", "metadata": {"resourceVersion": "1"}, "items": items})


def _like(recorded: dict[str, t.Any], name: str, **spec: t.Any) -> dict[str, t.Any]:
    item = copy.deepcopy(recorded)
    item["metadata"] |= {"name": name, "namespace": "default"}
    item["spec"] |= spec
    return item


def _bytes(answer: t.Any) -> bytes:
    return json.dumps(answer).encode()


def main() -> None:
    objects, delay = sys.argv[1:]
    with Clusters(int(objects), float(delay)) as api:
        print(api.url, flush=True)
        for _line in sys.stdin:
            print(json.dumps(api.counted()), flush=True)


if __name__ == "__main__":
    main()
