# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for a member cluster whose CoreDNS lives: controllers, pods that run Corefiles and answer DNS, and a fault at any write.

``with MemberStandIn() as api``: kubeadm's cluster. ``Cluster("m", api.auth)`` reaches it, port-forwards included, from this or any process.

* ``api.settle()`` lets controllers and pods do what is due; every request does that first. ``api.pass_time(600)`` turns the clock, and so does
  whoever sleeps by it: ``monkeypatch.setattr(waiting, "time", api.clock)``.
* ``api.fail_at(k, how)``: the k-th write from now on fails; ``api.written`` lists the writes. :data:`WAYS` are all ways to fail.
* ``api.difference()``: what is not as it was before the first write, or before ``fail_at``; '' where all is.

Controllers and pods work at once and in the order of Kubernetes' own; delays are attributes, 0 by default.
"""

from __future__ import annotations

import base64
import dataclasses
import difflib
import functools
import hashlib
import json
import math
import posixpath
import threading
import time
import types
import typing as t
import zlib

import dns.message
import yaml
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Cluster
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn, copied, merged, selected, status
from ansible_collections.clusterset.dns.tests.unit.coredns_standin import Abilities, CoreDns

if t.TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler

Object = dict[str, t.Any]

IMAGE = "registry.k8s.io/coredns/coredns:v1.14.6"
KUBEADM_COREFILE = """\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    reload
    loadbalance
}
"""
NODELOCAL_COREFILE = """\
cluster.local:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind 169.254.20.10
    forward . __PILLAR__CLUSTER__DNS__ {
            force_tcp
    }
    prometheus :9253
    health 169.254.20.10:8080
    }
.:53 {
    errors
    cache 30
    reload
    loop
    bind 169.254.20.10
    forward . __PILLAR__UPSTREAM__SERVERS__
    prometheus :9253
    }
"""
CORE = "/api/v1/namespaces/kube-system"
APPS = "/apis/apps/v1/namespaces/kube-system"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
MCS = "/apis/multicluster.x-k8s.io/v1alpha1"

# Ways in which a write fails. ``before`` and ``after``: without it having been stored, and with. ``killed``: the process that sent it is.
WAYS = (
    "refused",
    "missing",
    "conflict",
    "server-error",
    "timeout-before",
    "timeout-after",
    "lost-before",
    "lost-after",
    "killed-before",
    "killed-after",
)
_REFUSALS = {
    "refused": status(403, "Forbidden", 'is forbidden: User "tester" cannot do that')[:2],
    "missing": status(404, "NotFound", "the server could not find the requested resource")[:2],
    "conflict": status(409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again")[:2],
    "server-error": status(500, "InternalError", "Internal error occurred: etcdserver: leader changed")[:2],
}
_EXISTS = status(409, "AlreadyExists", "the object exists already")[:2]

_REVISION = "deployment.kubernetes.io/revision"
_HASH = "pod-template-hash"
_DAEMON_HASH = "controller-revision-hash"
_A_DAY = 86400.0
_ROUNDS = 200
# So often a question is passed on before it is taken for a loop.
_MOST_HOPS = 8
_SERVER_WRITTEN = ("creationTimestamp", "generation", "managedFields", "ownerReferences", "resourceVersion", "uid", "name", "namespace")
# What comes and goes by itself, or is told of by what owns it.
_NOT_COMPARED = ("endpointslices", "events", "nodes", "pods", "replicasets")
_BUILT_IN = {
    "/api/v1": {
        "configmaps": ("ConfigMap", True),
        "events": ("Event", True),
        "namespaces": ("Namespace", False),
        "nodes": ("Node", False),
        "pods": ("Pod", True),
        "secrets": ("Secret", True),
        "serviceaccounts": ("ServiceAccount", True),
        "services": ("Service", True),
    },
    "/apis/apps/v1": {
        "daemonsets": ("DaemonSet", True),
        "deployments": ("Deployment", True),
        "replicasets": ("ReplicaSet", True),
        "statefulsets": ("StatefulSet", True),
    },
    "/apis/apiextensions.k8s.io/v1": {"customresourcedefinitions": ("CustomResourceDefinition", False)},
    "/apis/coordination.k8s.io/v1": {"leases": ("Lease", True)},
    "/apis/discovery.k8s.io/v1": {"endpointslices": ("EndpointSlice", True)},
    "/apis/policy/v1": {"poddisruptionbudgets": ("PodDisruptionBudget", True)},
    RBAC: {
        "clusterrolebindings": ("ClusterRoleBinding", False),
        "clusterroles": ("ClusterRole", False),
        "rolebindings": ("RoleBinding", True),
        "roles": ("Role", True),
    },
}
_REVIEWS = "/apis/authorization.k8s.io/v1/"
# What a strategic merge patch tells items of a list apart by; all other lists are replaced.
_MERGE_KEYS = {
    "containers": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "initContainers": "name",
    "ownerReferences": "uid",
    "volumeMounts": "mountPath",
    "volumes": "name",
}


class Killed(BaseException):
    """The process that talks to the stand-in was killed: no code of its own runs any more, and nothing that it sends arrives."""


class Refusal(Exception):
    """What the API server says instead of doing it."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.answer = status(code, reason, message)[:2]


class Address(t.NamedTuple):
    """A path of the API, taken apart."""

    root: str
    namespace: str
    plural: str
    name: str
    sub: str


@dataclasses.dataclass
class Fault:
    """The ``k``-th write fails, and what is like it (method and path) up to ``times`` in all; with ``stays_down`` nothing after it is answered."""

    k: int
    how: str
    times: int = 1
    stays_down: bool = False
    hit: tuple[str, str] | None = None

    def hits(self, number: int, write: tuple[str, str]) -> bool:
        """Whether it is the turn of a write, which is the ``number``-th."""
        if number == self.k:
            self.hit = write
        if self.hit != write or self.times == 0:
            return False
        self.times -= 1
        return True


@dataclasses.dataclass
class Run:
    """What the kubelet knows of one pod."""

    dns: CoreDns | None = None
    started: float | None = None
    ready_since: float | None = None
    waiting: tuple[str, str] | None = None
    exit: tuple[int, str] | None = None
    frozen: frozenset[str] = frozenset()
    log: dict[str, list[str]] = dataclasses.field(default_factory=dict)


class MemberStandIn(ApiStandIn):
    """A member cluster. See the module's text for how to use it, and the attributes for what can be had to go wrong."""

    def __init__(
        self,
        image: str = IMAGE,
        *,
        corefile: str = KUBEADM_COREFILE,
        replicas: int = 2,
        architectures: t.Sequence[str] = ("amd64", "amd64"),
        version: str = "v1.34.4",
    ) -> None:
        super().__init__()
        self.version = version
        # --- images
        self.abilities = Abilities()
        # image → (reason for waiting, such as ImagePullBackOff)
        self.bad_images: dict[str, str] = {}
        # image → the architectures that it has; all where it is not named
        self.image_architectures: dict[str, set[str]] = {}
        # image, or (image, node) → its digest; made of the image's name where it is not named
        self.digests: dict[t.Any, str] = {}
        # images whose pods start and never get ready
        self.never_ready: set[str] = set()
        # --- pods
        self.start_seconds = 0.0
        # the words of the scheduler for every pod that comes from now on; '' for none
        self.unschedulable = ""
        # --- Corefiles. Seconds until a pod reloads; reloads that hang are set by hang(); words of a Corefile that no reload takes, or no start
        self.reload_seconds = 0.0
        self.refused_at_reload = ""
        self.refused_at_start = ""
        # (pod, name) → '' for silence, a response code such as SERVFAIL, or None for the right answer
        self.dns_fault: t.Callable[[Object, str], str | None] = lambda pod, name: None
        # --- rights that the caller does not have: each fits a request that has all of its keys (verb, group, resource, subresource, namespace, name)
        self.forbidden: list[dict[str, str]] = []
        # Run with every round of the controllers: what a platform's operator makes of its objects.
        self.operators: list[t.Callable[[], None]] = []
        # --- what was sent
        self.written: list[tuple[str, str]] = []
        # Seconds that a client waits for the answer of a request that is to time out, and for any other while such a fault is set.
        self.timeout_seconds, self.other_timeout = 0.4, 3.0

        self._fault: Fault | None = None
        self._sent = 0
        self._dead = False
        self._down = False
        self._original: dict[str, t.Any] | None = None
        self._runs: dict[str, Run] = {}
        self._uids = 0
        self._skipped = 0.0
        self._hops = 0
        self._over = threading.Event()
        self._of_thread = threading.local()
        self._settling = False
        self._server.RequestHandlerClass = _with_tunnels(self, self._server.RequestHandlerClass)
        self._fill(image, corefile, replicas, architectures)

    def __enter__(self) -> MemberStandIn:
        super().__enter__()
        _watch(self)
        return self

    def __exit__(self, *unused: object) -> None:
        _unwatch(self)
        self._over.set()
        super().__exit__(*unused)

    # --- what a cluster is made of ----------------------------------------------------------------------------------------------------

    def _fill(self, image: str, corefile: str, replicas: int, architectures: t.Sequence[str]) -> None:
        for name in ("default", "kube-system", "kube-public"):
            self.put(f"/api/v1/namespaces/{name}", {"status": {"phase": "Active"}})
        for number, architecture in enumerate(architectures, start=1):
            self.add_node(f"node{number}", architecture)
        self.put("/api/v1/namespaces/default/services/kubernetes", service("10.96.0.1", {"https": 443}))
        self.put(f"{CORE}/services/kube-dns", service("10.96.0.10", {"dns": 53, "dns-tcp": 53}, {"k8s-app": "kube-dns"}))
        self.put(f"{CORE}/configmaps/kubeadm-config", {"data": {"ClusterConfiguration": "kind: ClusterConfiguration\n"}})
        self.put(f"{CORE}/serviceaccounts/coredns", {})
        resources = {"": ["endpoints", "services", "pods", "namespaces"], "discovery.k8s.io": ["endpointslices"]}
        self._grant("system:coredns", resources, ("kube-system", "coredns"))
        for kind in ("ServiceImport", "ServiceExport"):
            self.add_crd("multicluster.x-k8s.io", kind, "v1alpha1")
        self.put(f"{CORE}/configmaps/coredns", {"data": {"Corefile": corefile}})
        self.put(f"{APPS}/deployments/coredns", deployment("coredns", image, replicas=replicas))
        self._age(set())

    def add_node(self, name: str, architecture: str = "amd64", **labels: str) -> None:
        labels = {"kubernetes.io/arch": architecture, "kubernetes.io/os": "linux", "kubernetes.io/hostname": name, **labels}
        info = {"architecture": architecture, "operatingSystem": "linux", "kubeletVersion": self.version}
        conditions = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        self.put(
            f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}, "spec": {}, "status": {"nodeInfo": info, "conditions": conditions}}
        )

    def node_down(self, name: str, down: bool = True) -> None:
        """A node whose kubelet does not answer: its pods are not ready, and nobody reaches them through the API server."""
        node = copied(self.objects[f"/api/v1/nodes/{name}"])
        node["status"]["conditions"] = [
            {"type": "Ready", "status": "Unknown" if down else "True", "reason": "NodeStatusUnknown" if down else ""}
        ]
        self.put(f"/api/v1/nodes/{name}", node)
        self.settle()

    def add_crd(self, group: str, kind: str, version: str, *, namespaced: bool = True, plural: str = "") -> None:
        plural = plural or f"{kind.lower()}s"
        names = {"kind": kind, "plural": plural}
        scope = "Namespaced" if namespaced else "Cluster"
        spec = {"group": group, "names": names, "scope": scope, "versions": [{"name": version, "served": True, "storage": True}]}
        established = {"conditions": [{"type": "Established", "status": "True"}]}
        self.put(f"{CRDS}/{plural}.{group}", {"spec": spec, "status": established})

    def add_import(self, name: str, ips: t.Sequence[str], *, namespace: str = "default", port: int = 80) -> None:
        spec = {"type": "ClusterSetIP", "ips": list(ips), "ports": [{"name": "http", "port": port, "protocol": "TCP"}]}
        self.put(f"{MCS}/namespaces/{namespace}/serviceimports/{name}", {"spec": spec})

    def add_deployment(self, name: str, image: str = IMAGE, **options: t.Any) -> None:
        """A Deployment that runs CoreDNS; ``options`` as :func:`deployment` has them. It has been there for long."""
        self._add(f"{APPS}/deployments/{name}", deployment(name, image, **options))

    def add_daemonset(self, name: str, image: str = IMAGE, **options: t.Any) -> None:
        """A DaemonSet that runs CoreDNS, as :meth:`add_deployment`."""
        item = deployment(name, image, **options)
        item["spec"] = {
            "selector": item["spec"]["selector"],
            "template": item["spec"]["template"],
            "updateStrategy": {"type": "RollingUpdate"},
        }
        self._add(f"{APPS}/daemonsets/{name}", item)

    def add_nodelocal(self, name: str = "node-local-dns", *, corefile: str = NODELOCAL_COREFILE, kubespray: bool = False) -> None:
        """NodeLocal DNSCache, as Kubernetes' own manifest has it, or with its Corefile mounted as Kubespray's has it."""
        image, account = "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4", "node-local-dns"
        self.put(f"{CORE}/configmaps/{name}", {"data": {"Corefile": corefile}})
        self.put(f"{CORE}/services/kube-dns-upstream", service("10.96.0.11", {"dns": 53, "dns-tcp": 53}, {"k8s-app": "kube-dns"}))
        conf = "/etc/coredns/Corefile" if kubespray else "/etc/Corefile"
        arguments = ["-localip", "169.254.20.10", "-conf", conf, "-upstreamsvc", "kube-dns-upstream"]
        item = deployment(
            name, image, labels={"k8s-app": name}, arguments=arguments, container="node-cache", account=account, configmap=name
        )
        spec = item["spec"]["template"]["spec"]
        spec["hostNetwork"] = True
        if not kubespray:
            spec["volumes"][0]["configMap"]["items"] = [{"key": "Corefile", "path": "Corefile.base"}]
        self.put(f"{CORE}/serviceaccounts/{account}", {})
        item["spec"] = {
            "selector": item["spec"]["selector"],
            "template": item["spec"]["template"],
            "updateStrategy": {"type": "RollingUpdate"},
        }
        self._add(f"{APPS}/daemonsets/{name}", item)

    def _add(self, path: str, item: Object) -> None:
        before = set(self._runs)
        self.put(path, item)
        self._age(before)

    def _age(self, before: set[str]) -> None:
        """Have pods that came since ``before`` been there for long."""
        self.settle()
        for uid in set(self._runs) - before:
            run = self._runs[uid]
            if run.ready_since is not None:
                run.started = run.ready_since = self.now - _A_DAY
        self.settle()

    def _grant(self, name: str, resources: dict[str, list[str]], account: tuple[str, str]) -> None:
        rules = [{"apiGroups": [group], "resources": names, "verbs": ["list", "watch"]} for group, names in resources.items()]
        self.put(f"{RBAC}/clusterroles/{name}", {"rules": rules})
        subject = {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
        self.put(f"{RBAC}/clusterrolebindings/{name}", {"roleRef": reference, "subjects": [subject]})

    # --- platforms --------------------------------------------------------------------------------------------------------------------

    def k3s(self) -> None:
        """k3s: CoreDNS imports from ConfigMap ``coredns-custom``."""
        self.version = "v1.34.1+k3s1"
        self._importing("/etc/coredns/custom")

    def aks(self) -> None:
        """AKS: the same, by a relative path and told by a label of its nodes."""
        node = copied(self.objects["/api/v1/nodes/node1"])
        node["metadata"]["labels"]["kubernetes.azure.com/cluster"] = "mc_group"
        self.put("/api/v1/nodes/node1", node)
        self._importing("custom")

    def eks(self) -> None:
        """EKS, with CoreDNS's add-on."""
        self.version = "v1.34.1-eks-113cf36"
        del self.objects[f"{CORE}/configmaps/kubeadm-config"]

    def gke(self) -> None:
        """GKE: kube-dns instead of CoreDNS, which reads ``stubDomains`` of its ConfigMap."""
        self.version = "v1.34.1-gke.1234000"
        self._without_coredns()
        item = deployment(
            "kube-dns", "gke.gcr.io/k8s-dns-kube-dns:1.23.0", container="kubedns", configmap="kube-dns-rendered", arguments=()
        )
        runs = item["spec"]["template"]["spec"]["containers"][0]
        runs["workingDir"] = runs["volumeMounts"][0]["mountPath"]
        self._operator(f"{CORE}/configmaps/kube-dns-rendered", _stub_domains(self))
        self._add(f"{APPS}/deployments/kube-dns", item)

    def rke2(self) -> None:
        """RKE2: a Helm chart makes the Corefile of HelmChartConfig ``rke2-coredns``."""
        name = "rke2-coredns-rke2-coredns"
        self.version = "v1.34.1+rke2r1"
        self._without_coredns()
        self.add_crd("helm.cattle.io", "HelmChartConfig", "v1")
        self._operator(f"{CORE}/configmaps/{name}", _chart(self))
        self.add_deployment(name, configmap=name)

    def openshift(self) -> None:
        """OpenShift: an operator makes the Corefile of DNS ``default``, of namespace openshift-dns."""
        self._without_coredns()
        self.add_crd("operator.openshift.io", "DNS", "v1", namespaced=False, plural="dnses")
        self.put("/api/v1/namespaces/openshift-dns", {"status": {"phase": "Active"}})
        self.put("/apis/operator.openshift.io/v1/dnses/default", {"spec": {}})
        labels = {"dns.operator.openshift.io/daemonset-dns": "default"}
        item = deployment("dns-default", IMAGE, labels=labels, container="dns", account="dns", configmap="dns-default")
        template = item["spec"]["template"]
        template["spec"]["containers"].append({"name": "kube-rbac-proxy", "image": "registry.example.com/kube-rbac-proxy:v4.20"})
        item["spec"] = {"selector": item["spec"]["selector"], "template": template, "updateStrategy": {"type": "RollingUpdate"}}
        self.put("/api/v1/namespaces/openshift-dns/services/dns-default", service("172.30.0.10", {"dns": 53}, labels, target=5353))
        self._grant("openshift-dns", {"": ["services"]}, ("openshift-dns", "dns"))
        self._operator("/api/v1/namespaces/openshift-dns/configmaps/dns-default", _openshift(self))
        self._add("/apis/apps/v1/namespaces/openshift-dns/daemonsets/dns-default", item)

    def _importing(self, folder: str) -> None:
        corefile = (
            KUBEADM_COREFILE.replace("    loadbalance\n", f"    loadbalance\n    import {folder}/*.override\n")
            + f"import {folder}/*.server\n"
        )
        self.put(f"{CORE}/configmaps/coredns", {"data": {"Corefile": corefile}})
        del self.objects[f"{CORE}/configmaps/kubeadm-config"]
        item = copied(self.objects[f"{APPS}/deployments/coredns"])
        spec = item["spec"]["template"]["spec"]
        spec["volumes"].append({"name": "custom", "configMap": {"name": "coredns-custom", "optional": True}})
        spec["containers"][0]["volumeMounts"].append({"name": "custom", "mountPath": "/etc/coredns/custom", "readOnly": True})
        self._add(f"{APPS}/deployments/coredns", item)

    def _without_coredns(self) -> None:
        for path in (f"{APPS}/deployments/coredns", f"{CORE}/configmaps/coredns", f"{CORE}/configmaps/kubeadm-config"):
            del self.objects[path]
        self.settle()

    def _operator(self, path: str, text: t.Callable[[], str]) -> None:
        """Keep a ConfigMap's Corefile at what ``text`` says."""

        def work() -> None:
            data = {"Corefile": text()}
            if self.objects.get(path, {}).get("data") != data:
                self.put(path, {**self.objects.get(path, {}), "data": data})

        self.operators.append(work)
        self.settle()

    # --- faults -----------------------------------------------------------------------------------------------------------------------

    def arm(self) -> None:
        """Count writes from now on, and compare with what is there now. Whoever was killed lives again, and the API server answers."""
        with self._lock:
            self.settle()
            self.written, self._sent, self._fault = [], 0, None
            self._dead = self._down = False
            self._original = self.state()

    def fail_at(self, k: int, how: str, *, times: int = 1, stays_down: bool = False) -> None:
        """Have the k-th write from now on (from 1) fail in one of :data:`WAYS`.

        :arg times: how often a write of that method and path fails from then on, should the client send it again.
        :arg stays_down: from then on nothing is answered any more.
        """
        assert how in WAYS, how
        self.arm()
        self._fault = Fault(k, how, times, stays_down)

    def calm(self) -> None:
        """No fault any more, and whoever was killed may start again; what was counted, and what there was at first, stay."""
        self._fault = None
        self._dead = self._down = False

    def request(self, real: t.Callable[..., t.Any], cluster: Cluster, verb: str, path: str, options: dict[str, t.Any]) -> t.Any:
        """A request of a client in this process: where it is killed, and where its time-out is cut short."""
        fault, due = self._fault, False
        if self._dead:
            raise Killed
        dry_run = (options.get("query") or {}).get("dryRun") or (verb == "DELETE" and (options.get("body") or {}).get("dryRun"))
        if not dry_run and _is_write(verb, path):
            with self._lock:
                self._sent += 1
                due = fault is not None and self._sent == fault.k
        if due and fault and fault.how == "killed-before":
            self._dead = True
            raise Killed
        own = cluster.__dict__.setdefault("_own_timeout", cluster.timeout)
        if self._down:
            cluster.timeout = min(own, self.timeout_seconds)
        elif fault and fault.how.startswith("timeout"):
            cluster.timeout = min(own, self.timeout_seconds if due else self.other_timeout)
        try:
            return real(cluster, verb, path, **options)
        finally:
            cluster.timeout = own
            if due and fault and fault.how == "killed-after":
                self._dead = True
                raise Killed

    @property
    def dead(self) -> bool:
        """Whether the process that sent requests has been killed."""
        return self._dead

    def answer(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        """A request; a status of 0 hangs up."""
        if self._down:
            return 0, None
        if "dryRun" in query or not _is_write(method, path):
            return self._served(method, path, query, body)
        with self._lock:
            if self._original is None:
                self._original = self.state()
            self.written.append((method, path))
            fault = self._fault
            hit = fault is not None and fault.hits(len(self.written), (method, path))
        if fault is None or not hit:
            return self._served(method, path, query, body)
        kind, _dash, when = fault.how.partition("-")
        self._down = fault.stays_down
        if kind == "killed":
            return self._served(method, path, query, body)
        if fault.how in _REFUSALS:
            return _EXISTS if (method, fault.how) == ("POST", "conflict") else _REFUSALS[fault.how]
        if when == "after":
            self._served(method, path, query, body)
        if kind == "timeout":
            self._over.wait(10 * self.timeout_seconds)
        return 0, None

    # --- what came of it --------------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, t.Any]:
        """What has to come back: by kind and name what people write of each object, and which image and Corefile each pod of a workload runs."""
        with self._lock:
            self.settle()
            found: dict[str, t.Any] = {}
            for path, item in self.objects.items():
                at = address(path)
                bare = at.plural == "pods" and not _controller(item)
                if at.plural in _NOT_COMPARED and not bare:
                    continue
                metadata = {key: value for key, value in item["metadata"].items() if key not in _SERVER_WRITTEN}
                annotations = {key: value for key, value in (metadata.get("annotations") or {}).items() if key != _REVISION}
                labels = metadata.get("labels") or {}
                said = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata", "status")}
                found[_called(item, at)] = {**said, "labels": labels, "annotations": annotations}
            for path, item in self._all("deployments", "daemonsets"):
                run = [self._runs[pod["metadata"]["uid"]].dns for _path, pod in self.pods_of(path)]
                rows = [
                    f"{one.image} with Corefile {hashlib.sha256(one.text.encode()).hexdigest()[:12]}" if one else "not running"
                    for one in run
                ]
                found[f"pods of {_called(item, address(path))}"] = sorted(rows)
            return found

    def original(self) -> dict[str, t.Any]:
        """:meth:`state` as it was before the first write, or at the last :meth:`arm` or :meth:`fail_at`."""
        return self._original if self._original is not None else self.state()

    def difference(self, before: dict[str, t.Any] | None = None, after: dict[str, t.Any] | None = None) -> str:
        """What is not as it was, as a diff; '' where all is. By default from :meth:`original` to now."""
        before, after = before or self.original(), after or self.state()
        lines: list[str] = []
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                then, now = (
                    [] if one is None else yaml.safe_dump(_readable(one)).splitlines() for one in (before.get(name), after.get(name))
                )
                lines += [f"{name}{': new' * (name not in before)}{': gone' * (name not in after)}"]
                lines += list(difflib.unified_diff(then, now, n=1, lineterm=""))[2:]
        return "\n".join(lines)

    def pods_of(self, path: str) -> list[tuple[str, Object]]:
        """The pods of a Deployment or DaemonSet, by owner."""
        uid = self.objects[path]["metadata"]["uid"]
        owners = {uid, *(one["metadata"]["uid"] for _path, one in self._all("replicasets") if _controller(one) == uid)}
        return [(where, pod) for where, pod in self._all("pods") if _controller(pod) in owners]

    def running(self, name: str = "coredns", namespace: str = "kube-system") -> list[CoreDns]:
        """The processes of a Deployment's or DaemonSet's pods."""
        self.settle()
        found = []
        for kind in ("deployments", "daemonsets"):
            path = f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name}"
            found += [self._runs[pod["metadata"]["uid"]].dns for _path, pod in self.pods_of(path)] if path in self.objects else []
        return [one for one in found if one]

    def hang(self, hung: bool = True) -> None:
        """Have no pod that is there now reload any more."""
        for run in self._runs.values():
            if run.dns:
                run.dns.hung = hung

    def restart(self, pod: str, namespace: str = "kube-system") -> None:
        """Start a pod's containers again, which reads its Corefile anew."""
        uid = self.objects[f"/api/v1/namespaces/{namespace}/pods/{pod}"]["metadata"]["uid"]
        self._runs[uid] = Run()
        self.settle()

    # --- the clock and the controllers ------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return time.monotonic() + self._skipped

    @property
    def clock(self) -> types.SimpleNamespace:
        """What a module can have in place of ``time``, so that who sleeps loses none and it is later in the cluster all the same."""

        def sleep(seconds: float) -> None:
            self.pass_time(seconds)
            # others may be at work beside
            time.sleep(min(seconds, 0.002))

        return types.SimpleNamespace(monotonic=lambda: self.now, sleep=sleep)

    def pass_time(self, seconds: float) -> None:
        """Have it be later, and controllers and pods do what is due by then."""
        self._skipped += seconds
        self.settle()

    def settle(self) -> None:
        """Let all controllers and pods work until nothing is left to do."""
        with self._lock:
            if self._settling:
                return
            self._settling = True
            try:
                for _round in range(_ROUNDS):
                    before = self._version
                    self._collect_garbage()
                    for work in self.operators:
                        work()
                    for path, _item in self._all("customresourcedefinitions"):
                        self._establish(path)
                    for path, _item in self._all("deployments"):
                        self._deploy(path)
                    for path, _item in self._all("replicasets"):
                        self._replicate(path)
                    for path, _item in self._all("daemonsets"):
                        self._run_daemons(path)
                    for path, pod in self._all("pods"):
                        self._run_pod(path, pod)
                    if self._version == before:
                        return
                raise AssertionError("the controllers do not come to rest")
            finally:
                self._settling = False

    def put(self, path: str, item: Object) -> None:
        """Place an object as if a controller had written it. What the API server sets by itself is set."""
        with self._lock:
            old = self.objects.get(path)
            at = address(path)
            item = _defaulted(at.plural, copied(item))
            metadata = item.setdefault("metadata", {})
            if old is None:
                self._uids += 1
                metadata["uid"] = f"00000000-0000-4000-8000-{self._uids:012d}"
                metadata["creationTimestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self._skipped))
            else:
                metadata |= {key: old["metadata"][key] for key in ("uid", "creationTimestamp")}
            if "spec" in item and at.plural != "pods":
                generation = old["metadata"].get("generation", 1) if old else 0
                metadata["generation"] = generation + (old is None or old.get("spec") != item["spec"])
            kind = self._kinds(at.root).get(at.plural)
            if kind:
                item = {"apiVersion": at.root.removeprefix("/api/").removeprefix("/apis/"), "kind": kind[0], **item}
            if at.plural == "services" and item["spec"].get("clusterIP", "") == "" and item["spec"].get("type") != "ExternalName":
                # the same one for a Service that is made again, so that what depends on it can be compared
                item["spec"] |= {"clusterIP": (ip := f"10.96.1.{zlib.crc32(path.encode()) % 250 + 1}"), "clusterIPs": [ip]}
            super().put(path, item)

    def _all(self, *plurals: str) -> list[tuple[str, Object]]:
        return [(path, item) for path, item in list(self.objects.items()) if address(path).plural in plurals]

    def _set(self, path: str, item: Object) -> None:
        """Write what a controller came to, unless it is there."""
        if self.objects.get(path) != item:
            self.put(path, item)

    def _kinds(self, root: str) -> dict[str, tuple[str, bool]]:
        """What is served under a root: kind, and whether it has namespaces, by plural."""
        if root in _BUILT_IN:
            return _BUILT_IN[root]
        group, _slash, version = root.removeprefix("/apis/").partition("/")
        found = {}
        for _path, crd in self._all("customresourcedefinitions"):
            spec = crd["spec"]
            if spec["group"] == group and any(one["name"] == version and one.get("served") for one in spec["versions"]):
                found[spec["names"]["plural"]] = (spec["names"]["kind"], spec.get("scope") == "Namespaced")
        return found

    def _collect_garbage(self) -> None:
        uids = {item["metadata"]["uid"] for item in self.objects.values()}
        for path, item in list(self.objects.items()):
            at = address(path)
            owners = item["metadata"].get("ownerReferences") or []
            orphan = owners and not any(owner["uid"] in uids for owner in owners)
            nowhere = at.namespace and f"/api/v1/namespaces/{at.namespace}" not in self.objects
            if orphan or nowhere or at.plural not in self._kinds(at.root):
                self._version += 1
                del self.objects[path]
        self._runs = {uid: run for uid, run in self._runs.items() if uid in uids}

    def _establish(self, path: str) -> None:
        crd = copied(self.objects[path])
        if not crd.get("status", {}).get("conditions"):
            self._set(path, {**crd, "status": {"conditions": [{"type": "Established", "status": "True"}]}})

    # kubernetes/pkg/controller/deployment: sync.go, rolling.go, recreate.go
    def _deploy(self, path: str) -> None:
        item = self.objects[path]
        spec, uid = item["spec"], item["metadata"]["uid"]
        template = spec["template"]
        sets = [(where, one) for where, one in self._all("replicasets") if _controller(one) == uid]
        new = next(((where, one) for where, one in sets if _plain_template(one) == template), None)
        revisions = [int(one["metadata"]["annotations"][_REVISION]) for _where, one in sets]
        if not spec.get("paused"):
            if new is None:
                new = self._new_set(path, item, max(revisions, default=0) + 1)
            where, one = new
            revision = int(one["metadata"]["annotations"][_REVISION])
            others = [int(other["metadata"]["annotations"][_REVISION]) for there, other in sets if there != where]
            if revision <= max(others, default=0):
                revision = max(others) + 1
            annotations = {**one["metadata"]["annotations"], _REVISION: str(revision)}
            one = {**one, "metadata": {**one["metadata"], "annotations": annotations}}
            self._set(where, {**one, "spec": {**one["spec"], "minReadySeconds": spec.get("minReadySeconds", 0)}})
            self._scale(item, where, [there for there, _other in sets if there != where])
        item = copied(self.objects[path])
        owned = [one for _where, one in self._all("replicasets") if _controller(one) == uid]
        updated = self.objects[new[0]] if new else None
        if updated:
            annotations = {**(item["metadata"].get("annotations") or {}), _REVISION: updated["metadata"]["annotations"][_REVISION]}
            item = {**item, "metadata": {**item["metadata"], "annotations": annotations}}
        counts = {key: sum(one["status"].get(key, 0) for one in owned) for key in ("replicas", "readyReplicas", "availableReplicas")}
        counts["updatedReplicas"] = updated["status"].get("replicas", 0) if updated else 0
        counts["unavailableReplicas"] = max(0, spec["replicas"] - counts["availableReplicas"])
        least = spec["replicas"] - _rounded(spec, "maxUnavailable")
        conditions = [
            {"type": "Available", "status": str(counts["availableReplicas"] >= least)},
            {"type": "Progressing", "status": "True"},
        ]
        seen = {key: count for key, count in counts.items() if count}
        self._set(path, {**item, "status": {"observedGeneration": item["metadata"]["generation"], **seen, "conditions": conditions}})

    def _new_set(self, path: str, item: Object, revision: int) -> tuple[str, Object]:
        spec, metadata = item["spec"], item["metadata"]
        mark = hashlib.sha256(json.dumps(spec["template"], sort_keys=True).encode()).hexdigest()[:10]
        template = merged(spec["template"], {"metadata": {"labels": {_HASH: mark}}})
        where = f"{path.rpartition('/deployments/')[0]}/replicasets/{metadata['name']}-{mark}"
        one = {
            "metadata": {
                "labels": template["metadata"]["labels"],
                "annotations": {_REVISION: str(revision)},
                "ownerReferences": [_owner("Deployment", item)],
            },
            "spec": {"replicas": 0, "selector": merged(spec["selector"], {"matchLabels": {_HASH: mark}}), "template": template},
            "status": {"replicas": 0},
        }
        self._set(where, one)
        return where, self.objects[where]

    def _scale(self, item: Object, new: str, old: list[str]) -> None:
        spec = item["spec"]
        wanted, unavailable = spec["replicas"], _rounded(spec, "maxUnavailable")

        def replicas(path: str) -> int:
            return int(self.objects[path]["spec"]["replicas"])

        def available(path: str) -> int:
            return int(self.objects[path]["status"].get("availableReplicas", 0))

        def scale(path: str, count: int) -> None:
            if count != replicas(path):
                self._set(path, merged(self.objects[path], {"spec": {"replicas": count}}))

        if spec["strategy"]["type"] == "Recreate":
            for path in old:
                scale(path, 0)
            if not any(self.objects[path]["status"].get("replicas") for path in old):
                scale(new, wanted)
            return
        everything = [new, *old]
        if replicas(new) > wanted:
            scale(new, wanted)
        elif replicas(new) < wanted:
            room = wanted + _rounded(spec, "maxSurge") - sum(map(replicas, everything))
            scale(new, replicas(new) + max(0, min(room, wanted - replicas(new))))
        least = wanted - unavailable
        spare = sum(map(replicas, everything)) - least - (replicas(new) - available(new))
        oldest = sorted(old, key=lambda path: int(self.objects[path]["metadata"]["annotations"][_REVISION]))
        for path in oldest:
            # those that are of no use go first
            going = max(0, min(spare, replicas(path) - available(path)))
            scale(path, replicas(path) - going)
            spare -= going
        spare = sum(map(available, everything)) - least
        for path in oldest:
            going = max(0, min(spare, replicas(path)))
            scale(path, replicas(path) - going)
            spare -= going

    # kubernetes/pkg/controller/replicaset and controller_ref_manager.go
    def _replicate(self, path: str) -> None:
        item = self.objects[path]
        mine = self._adopted(path, item, "ReplicaSet")
        wanted = item["spec"]["replicas"]
        for _number in range(wanted - len(mine)):
            mine.append(self._new_pod(path, item, "ReplicaSet", item["metadata"]["name"]))
        # first those that do not serve, then the youngest
        mine.sort(key=lambda where: (self._ready_since(where) is None, self.objects[where]["metadata"]["uid"]))
        for where in mine[wanted:]:
            self._version += 1
            del self.objects[where]
        del mine[wanted:]
        least = item["spec"].get("minReadySeconds") or 0
        ready = [since for since in map(self._ready_since, mine) if since is not None]
        counts = {"readyReplicas": len(ready), "availableReplicas": sum(self.now - since >= least for since in ready)}
        seen = {"replicas": len(mine), **{key: count for key, count in counts.items() if count}}
        self._set(path, {**item, "status": {**seen, "observedGeneration": item["metadata"]["generation"]}})

    def _run_daemons(self, path: str) -> None:
        item = self.objects[path]
        template = item["spec"]["template"]
        mark = hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:10]
        mine = {self.objects[where]["spec"].get("nodeName", ""): where for where in self._adopted(path, item, "DaemonSet")}
        nodes = [node["metadata"]["name"] for _where, node in self._all("nodes") if self._fits(template["spec"], node)]
        for node in nodes:
            if node not in mine:
                mine[node] = self._new_pod(path, item, "DaemonSet", item["metadata"]["name"], {_DAEMON_HASH: mark}, node)
        current = {where: self.objects[where]["metadata"]["labels"].get(_DAEMON_HASH) == mark for where in mine.values()}
        ready = {where for where in current if self._ready_since(where) is not None}
        rolls = (item["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate"
        behind = sorted(where for where, right in current.items() if not right)
        gone = ""
        if rolls and behind and len(ready | set(behind[:1])) == len(current):
            gone = behind[0]
            self._version += 1
            del self.objects[gone]
        there = set(current) - {gone}
        counts = {
            "currentNumberScheduled": len(there),
            "desiredNumberScheduled": len(nodes),
            "numberMisscheduled": 0,
            "numberReady": len(ready & there),
        }
        more = {"updatedNumberScheduled": sum(current[where] for where in there), "numberAvailable": len(ready & there)}
        more["numberUnavailable"] = len(nodes) - len(ready & there)
        seen = {**counts, **{key: count for key, count in more.items() if count}, "observedGeneration": item["metadata"]["generation"]}
        self._set(path, {**item, "status": seen})

    def _adopted(self, path: str, item: Object, kind: str) -> list[str]:
        """The pods of a controller, once it has let go of those that do not fit its selector any more, and taken those that do."""
        mine = []
        uid, namespace = item["metadata"]["uid"], item["metadata"]["namespace"]
        for where, pod in self._all("pods"):
            if pod["metadata"]["namespace"] != namespace or pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
                continue
            fits, owner = _fits_selector(pod, item["spec"]["selector"]), _controller(pod)
            if owner == uid and not fits:
                kept = [one for one in pod["metadata"]["ownerReferences"] if one["uid"] != uid]
                metadata = {key: value for key, value in pod["metadata"].items() if key != "ownerReferences"}
                self._set(where, {**pod, "metadata": {**metadata, **({"ownerReferences": kept} if kept else {})}})
            elif fits and owner is None:
                references = [*(pod["metadata"].get("ownerReferences") or []), _owner(kind, item)]
                self._set(where, merged(pod, {"metadata": {"ownerReferences": references}}))
                mine.append(where)
            elif owner == uid:
                mine.append(where)
        return mine

    def _new_pod(self, path: str, item: Object, kind: str, prefix: str, labels: dict[str, str] | None = None, node: str = "") -> str:
        template = copied(item["spec"]["template"])
        metadata = template.get("metadata") or {}
        namespace = item["metadata"]["namespace"]
        where = f"/api/v1/namespaces/{namespace}/pods/{prefix}-{self._suffix()}"
        pod = {
            "metadata": {
                **metadata,
                "labels": {**(metadata.get("labels") or {}), **(labels or {})},
                "ownerReferences": [_owner(kind, item)],
            },
            "spec": {**template["spec"], **({"nodeName": node} if node else {})},
            "status": {"phase": "Pending"},
        }
        self.put(where, pod)
        return where

    def _suffix(self) -> str:
        return hashlib.sha256(str(self._version).encode()).hexdigest()[:5]

    # --- scheduler and kubelet --------------------------------------------------------------------------------------------------------

    def _ready_since(self, path: str) -> float | None:
        run = self._runs.get(self.objects[path]["metadata"]["uid"])
        return run.ready_since if run else None

    def _node_answers(self, name: str) -> bool:
        conditions = self.objects.get(f"/api/v1/nodes/{name}", {}).get("status", {}).get("conditions") or []
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _fits(self, spec: Object, node: Object) -> bool:
        labels, name = node["metadata"]["labels"], node["metadata"]["name"]
        if not (spec.get("nodeSelector") or {}).items() <= labels.items():
            return False
        affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
        terms = (affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {}).get("nodeSelectorTerms")
        for term in terms or []:
            by_label = all(_fits_expression(labels, one) for one in term.get("matchExpressions") or [])
            if by_label and all(_fits_expression({"metadata.name": name}, one) for one in term.get("matchFields") or []):
                return True
        return not terms

    def _schedule(self, pod: Object) -> str:
        """A node for a pod; '' where there is none."""
        if self.unschedulable:
            return ""
        pods = [other["spec"].get("nodeName") for _path, other in self._all("pods")]
        names = [
            node["metadata"]["name"]
            for _path, node in self._all("nodes")
            if self._node_answers(node["metadata"]["name"]) and self._fits(pod["spec"], node)
        ]
        return min(names, key=lambda name: (pods.count(name), name), default="")

    def _run_pod(self, path: str, pod: Object) -> None:
        run = self._runs.setdefault(pod["metadata"]["uid"], Run())
        if pod.get("status", {}).get("phase") in ("Failed", "Succeeded"):
            return
        node = pod["spec"].get("nodeName") or self._schedule(pod)
        if not node:
            message = self.unschedulable or "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
            self._set(path, {**pod, "status": {"phase": "Pending", "conditions": [condition]}})
            return
        pod = {**pod, "spec": {**pod["spec"], "nodeName": node}}
        if self._node_answers(node):
            if run.started is None and run.exit is None:
                self._start(run, pod, node)
            elif run.dns:
                files, _frozen, _missing = self._files(pod, _dns_container(pod))
                files |= {name: run.dns.files[name] for name in run.frozen}
                if run.dns.conf in files:
                    run.dns.look(files, self.now, self.reload_seconds)
            limit = pod["spec"].get("activeDeadlineSeconds")
            if limit and run.started is not None and self.now - run.started >= limit:
                run.dns, run.exit, run.ready_since = None, (137, "Pod was active on the node longer than the specified deadline"), None
        ready = self._node_answers(node) and self._is_ready(run, pod)
        run.ready_since = (run.ready_since if run.ready_since is not None else self.now) if ready else None
        self._set(path, {**pod, "status": self._status(run, pod, node)})

    def _is_ready(self, run: Run, pod: Object) -> bool:
        if run.started is None or run.exit or self.now - run.started < self.start_seconds:
            return False
        images = {container["image"] for container in pod["spec"]["containers"]}
        return not images & self.never_ready and (run.dns is None or run.dns.ready)

    def _start(self, run: Run, pod: Object, node: str) -> None:
        run.waiting = None
        first = pod["spec"].get("initContainers") or []
        for container in [*first, *pod["spec"]["containers"]]:
            image = container["image"]
            if image in self.bad_images:
                run.waiting = (self.bad_images[image], f'Back-off pulling image "{image}"')
                return
        container = _dns_container(pod)
        if container is None:
            run.started = self.now
            return
        image, architecture = container["image"], self.objects[f"/api/v1/nodes/{node}"]["status"]["nodeInfo"]["architecture"]
        if architecture not in self.image_architectures.get(image, {architecture}):
            run.log = {one["name"]: ["exec /coredns: exec format error"] for one in [*first, container]}
            self._crash(run, pod, container, 255, "exec format error")
            return
        for one in first:
            if "-plugins" in (one.get("args") or []):
                run.log[one["name"]] = sorted(self.abilities.plugins_of(one["image"]))
        files, frozen, missing = self._files(pod, container)
        if missing:
            run.waiting = ("ContainerCreating", f'MountVolume.SetUp failed: configmap "{missing}" not found')
            return
        conf = _flag(container, "conf") or "Corefile"
        server = CoreDns(
            world=self,
            abilities=self.abilities,
            image=image,
            files=files,
            conf=posixpath.join(container.get("workingDir") or "/", conf),
            env={one["name"]: one.get("value", "") for one in container.get("env") or []},
            dns_port=int(_flag(container, "dns.port") or 53),
            namespace=pod["metadata"]["namespace"],
            account=pod["spec"].get("serviceAccountName") or "default",
            refuses=lambda: self.refused_at_reload,
        )
        text = files.get(server.conf)
        words = f"open {server.conf}: no such file or directory" if text is None else server.start()
        if text is not None and self.refused_at_start and self.refused_at_start in text:
            words = f"{server.conf}:1 - Error during parsing: {self.refused_at_start}"
        if words:
            run.log[container["name"]] = [words]
            self._crash(run, pod, container, 1, words)
            return
        run.dns, run.started, run.frozen = server, self.now, frozen
        run.log[container["name"]] = server.log

    def _crash(self, run: Run, pod: Object, container: Object, code: int, words: str) -> None:
        if pod["spec"].get("restartPolicy", "Always") == "Never":
            run.exit = (code, words)
        else:
            run.waiting = (
                "CrashLoopBackOff",
                f"back-off 5m0s restarting failed container={container['name']} pod={pod['metadata']['name']}",
            )

    def _files(self, pod: Object, container: Object | None) -> tuple[dict[str, str], frozenset[str], str]:
        """What a container finds of ConfigMaps, by path; which of it stays as it is (subPath); the name of a ConfigMap that is not there."""
        files: dict[str, str] = {}
        frozen = set()
        volumes = {one["name"]: one for one in pod["spec"].get("volumes") or []}
        for mount in (container or {}).get("volumeMounts") or []:
            volume = volumes.get(mount["name"], {})
            sources = [volume["configMap"]] if "configMap" in volume else []
            sources += [one["configMap"] for one in (volume.get("projected") or {}).get("sources") or [] if "configMap" in one]
            for source in sources:
                found = self.objects.get(f"/api/v1/namespaces/{pod['metadata']['namespace']}/configmaps/{source['name']}")
                data = (found or {}).get("data") or {}
                names = {one["path"]: one["key"] for one in source.get("items") or []} or {key: key for key in data}
                if not source.get("optional") and (found is None or not set(names.values()) <= set(data)):
                    return {}, frozenset(), source["name"]
                for name, key in names.items():
                    if mount.get("subPath") in (None, name) and key in data:
                        path = mount["mountPath"] if mount.get("subPath") else posixpath.join(mount["mountPath"], name)
                        files[path] = data[key]
                        frozen |= {path} if mount.get("subPath") else set()
        base = files.get("/etc/coredns/Corefile.base")
        upstream = self.service_records(pod["metadata"]["namespace"], _flag(container or {}, "upstreamsvc") or "kube-dns")
        if "node-cache" in (container or {}).get("image", ""):
            # k8s.io/dns writes its own Corefile, with the placeholders replaced
            conf = _flag(container or {}, "conf") or "/etc/coredns/Corefile"
            text = base if base is not None else files.get(conf)
            if text is not None:
                text = text.replace("__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf")
                files[conf] = text.replace(
                    "__PILLAR__CLUSTER__DNS__", upstream[0][0] if upstream and upstream[0] else "__PILLAR__CLUSTER__DNS__"
                )
        return files, frozenset(frozen), ""

    def _status(self, run: Run, pod: Object, node: str) -> Object:
        running, ready = run.started is not None and run.exit is None, run.ready_since is not None
        phase = "Failed" if run.exit else "Running" if running or (run.waiting and run.waiting[0] == "CrashLoopBackOff") else "Pending"
        initialised = not (run.exit and "exec format" in run.exit[1])
        ends = {"exitCode": run.exit[0], "reason": "Error", "message": run.exit[1]} if run.exit else None
        state: Object = {"running": {}} if running else {"terminated": ends} if ends else {}
        last: Object = {}
        if run.waiting:
            state = {"waiting": {"reason": run.waiting[0], "message": run.waiting[1]}}
            if run.waiting[0] == "CrashLoopBackOff":
                last = {"terminated": {"exitCode": 1, "reason": "Error"}}

        def row(container: Object, state: Object, ready: bool) -> Object:
            image = container["image"]
            digest = self.digests.get((image, node)) or self.digests.get(image) or f"sha256:{hashlib.sha256(image.encode()).hexdigest()}"
            name = image.partition("@")[0]
            repository = name.rpartition(":")[0] if ":" in name.rpartition("/")[2] else name
            seen = {"name": container["name"], "image": image, "imageID": f"{repository}@{digest}" if running or ends else ""}
            return {**seen, "ready": ready, "restartCount": 4 if last else 0, "state": state, "lastState": last}

        first = pod["spec"].get("initContainers") or []
        done: Object = {"terminated": {"exitCode": 0, "reason": "Completed"}} if initialised and not run.waiting else state
        conditions = [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Initialized", "status": str(initialised)},
            {"type": "ContainersReady", "status": str(ready)},
            {"type": "Ready", "status": str(ready)},
        ]
        seen: Object = {
            "phase": phase,
            "conditions": conditions,
            "containerStatuses": [
                row(one, state if initialised else {"waiting": {"reason": "PodInitializing"}}, ready) for one in pod["spec"]["containers"]
            ],
            "podIP": f"10.244.0.{int(pod['metadata']['uid'][-4:]) % 250 + 1}",
        }
        if first:
            seen["initContainerStatuses"] = [row(one, done, initialised) for one in first]
        return seen

    # --- what CoreDNS sees of the cluster ---------------------------------------------------------------------------------------------

    def service_records(self, namespace: str, name: str) -> tuple[list[str], list[Object]] | None:
        found = self.objects.get(f"/api/v1/namespaces/{namespace}/services/{name}")
        if found is None:
            return None
        addresses = found["spec"].get("clusterIPs") or [found["spec"].get("clusterIP", "")]
        return [one for one in addresses if one and one != "None"], found["spec"].get("ports") or []

    def import_records(self, namespace: str, name: str) -> tuple[list[str], list[Object]] | None:
        found = self.objects.get(f"{MCS}/namespaces/{namespace}/serviceimports/{name}")
        ports = found["spec"].get("ports") if found else None
        return (list(found["spec"].get("ips") or []), ports) if found and ports else None

    def namespaces_of(self, imports: bool) -> set[str]:
        return {item["metadata"]["namespace"] for _path, item in self._all("serviceimports" if imports else "services")}

    def reads_imports(self, namespace: str, account: str) -> bool:
        crd = self.objects.get(f"{CRDS}/serviceimports.multicluster.x-k8s.io")
        conditions = (crd or {}).get("status", {}).get("conditions") or []
        established = any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
        if not established or "serviceimports" not in self._kinds(MCS):
            return False
        return all(self.may(namespace, account, verb, "multicluster.x-k8s.io", "serviceimports") for verb in ("list", "watch"))

    def may(self, namespace: str, account: str, verb: str, group: str, resource: str) -> bool:
        """Whether a service account has a right by a ClusterRole."""
        for _path, binding in self._all("clusterrolebindings"):
            subjects = [(one["kind"], one.get("namespace"), one["name"]) for one in binding.get("subjects") or []]
            role = self.objects.get(f"{RBAC}/clusterroles/{binding['roleRef']['name']}")
            if ("ServiceAccount", namespace, account) not in subjects or role is None:
                continue
            for rule in role.get("rules") or []:
                asked = ((group, "apiGroups"), (resource, "resources"), (verb, "verbs"))
                if all({one, "*"} & set(rule.get(key) or []) for one, key in asked):
                    return True
        return False

    def upstream(self, address: str, port: int, query: dns.message.Message) -> dns.message.Message | None:
        for _path, item in self._all("services"):
            spec = item["spec"]
            if address not in (spec.get("clusterIPs") or []) or not spec.get("selector"):
                continue
            entry = next((one for one in spec["ports"] if one["port"] == port), None)
            for where, pod in self._all("pods") if entry else []:
                run = self._runs[pod["metadata"]["uid"]]
                same = pod["metadata"]["namespace"] == item["metadata"]["namespace"]
                if (
                    same
                    and spec["selector"].items() <= pod["metadata"].get("labels", {}).items()
                    and run.dns
                    and self._ready_since(where) is not None
                ):
                    target = entry.get("targetPort", port)
                    if isinstance(target, str):
                        ports = [one for container in pod["spec"]["containers"] for one in container.get("ports") or []]
                        target = next(one["containerPort"] for one in ports if one.get("name") == target)
                    if not run.dns.listens(target) or self._hops > _MOST_HOPS:
                        return None
                    self._hops += 1
                    try:
                        return run.dns.respond(query, target)
                    finally:
                        self._hops -= 1
        return None

    # --- the API ----------------------------------------------------------------------------------------------------------------------

    def _served(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        try:
            with self._lock:
                self.settle()
                return self._answered(method, path, query, body)
        except Refusal as refusal:
            return refusal.answer

    def _answered(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if path == "/version":
            major, minor = self.version.removeprefix("v").split(".")[:2]
            return 200, {"major": major, "minor": minor, "gitVersion": self.version}
        if path == "/apis":
            groups = {root.split("/")[2] for root in _BUILT_IN if root.startswith("/apis/")}
            groups |= {crd["spec"]["group"] for _path, crd in self._all("customresourcedefinitions")}
            return 200, {"kind": "APIGroupList", "groups": [{"name": name} for name in sorted(groups)]}
        if path.startswith(_REVIEWS):
            return 201, {**body, "status": {"allowed": self._reviewed(body)}}
        at = address(path)
        kinds = self._kinds(at.root)
        if not at.plural and kinds:
            resources = [{"name": plural, "kind": kind, "namespaced": namespaced} for plural, (kind, namespaced) in kinds.items()]
            return 200, {"kind": "APIResourceList", "groupVersion": at.root.split("/", 2)[2], "resources": resources}
        if at.plural not in kinds:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        self._allowed(method, at)
        if at.sub not in ("", "log"):
            raise Refusal(404, "NotFound", f"this stand-in has no {at.plural}/{at.sub}")
        if at.sub == "log":
            return 200, self._log_of(path.removesuffix("/log"), query).encode()
        if not at.name and (not at.namespace or f"/api/v1/namespaces/{at.namespace}" in self.objects or method == "GET"):
            self.collections.add(path)
        if method in ("POST", "PUT"):
            body = self._accepted(method, path, at, body)
        self._of_thread.path = path
        code, answer = super().answer(method, path, query, body)
        if code == 404 and at.name:
            raise Refusal(404, "NotFound", f'{at.plural} "{at.name}" not found')
        if method != "GET":
            self.settle()
        if method == "POST" and code == 200:
            code = 201
        return code, answer

    def _page(self, path: str, query: dict[str, str]) -> tuple[int, t.Any]:
        code, page = super()._page(path, query)
        # an API server says of built-in kinds' items not what kind they are
        if address(path).root in _BUILT_IN:
            page["items"] = [{key: value for key, value in item.items() if key not in ("apiVersion", "kind")} for item in page["items"]]
        return code, page

    def patched(self, old: Object, body: t.Any) -> Object:
        how = getattr(self._of_thread, "content_type", "")
        path = self._of_thread.path
        if how == "application/strategic-merge-patch+json" and address(path).root in _BUILT_IN:
            new = _strategic(old, body)
        elif how in ("application/merge-patch+json", ""):
            new = merged(old, body)
        else:
            raise Refusal(
                415, "UnsupportedMediaType", f"the body of the request was in an unknown format - this stand-in does not take {how}"
            )
        _validated(path, old, new)
        return new

    def _accepted(self, method: str, path: str, at: Address, body: Object) -> Object:
        """What a POST or PUT is to store."""
        metadata = body.setdefault("metadata", {})
        if method == "POST":
            if metadata.get("resourceVersion"):
                raise Refusal(500, "InternalError", "resourceVersion should not be set on objects to be created")
            if at.namespace and f"/api/v1/namespaces/{at.namespace}" not in self.objects:
                raise Refusal(404, "NotFound", f'namespaces "{at.namespace}" not found')
            if not metadata.get("name"):
                if not metadata.get("generateName"):
                    raise Refusal(422, "Invalid", "metadata.name: Required value: name or generateName is required")
                metadata["name"] = metadata["generateName"] + self._suffix()
        elif at.plural == "leases" and not metadata.get("resourceVersion"):
            raise Refusal(422, "Invalid", "metadata.resourceVersion: Invalid value: 0: must be specified for an update")
        _validated(path if method == "PUT" else f"{path}/{metadata['name']}", self.objects.get(path, {}), body)
        return {key: value for key, value in body.items() if key != "status"} if method == "POST" else body

    def _allowed(self, method: str, at: Address) -> None:
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
        verb = verbs.get(method) or ("get" if at.name else "list")
        group = at.root.split("/")[2] if at.root.startswith("/apis/") else ""
        asked = {"verb": verb, "group": group, "resource": at.plural, "subresource": at.sub, "namespace": at.namespace, "name": at.name}
        if self._forbids(asked):
            resource = f"{at.plural}.{group}" if group else at.plural
            words = f'{resource} "{at.name}" is forbidden: User "tester" cannot {verb} resource "{at.plural}" in API group "{group}"'
            raise Refusal(403, "Forbidden", words)

    def _forbids(self, asked: dict[str, str]) -> bool:
        return any(all(asked.get(key, "") == value for key, value in right.items()) for right in self.forbidden)

    def _reviewed(self, body: Object) -> bool:
        asked = body["spec"]["resourceAttributes"]
        if body["kind"] == "SelfSubjectAccessReview":
            return not self._forbids({key: asked.get(key, "") for key in ("verb", "group", "resource", "subresource", "namespace", "name")})
        _system, _account, namespace, name = body["spec"]["user"].split(":")
        return self.may(namespace, name, asked["verb"], asked.get("group", ""), asked["resource"])

    def _log_of(self, path: str, query: dict[str, str]) -> str:
        pod = self.objects.get(path)
        if pod is None:
            raise Refusal(404, "NotFound", f'pods "{path.rpartition("/")[2]}" not found')
        name, containers = pod["metadata"]["name"], [one["name"] for one in pod["spec"]["containers"]]
        container = query.get("container") or (containers[0] if len(containers) == 1 else "")
        if not container:
            choice = f"choose one of: [{' '.join(containers)}]"
            raise Refusal(400, "BadRequest", f"a container name must be specified for pod {name}, {choice}")
        if container not in containers + [one["name"] for one in pod["spec"].get("initContainers") or []]:
            raise Refusal(400, "BadRequest", f"container {container} is not valid for pod {name}")
        self._reachable(pod)
        run = self._runs[pod["metadata"]["uid"]]
        crashed = bool(run.waiting and run.waiting[0] == "CrashLoopBackOff")
        if query.get("previous") == "true" and not crashed:
            raise Refusal(400, "BadRequest", f'previous terminated container "{container}" in pod "{name}" not found')
        if run.waiting and not crashed:
            raise Refusal(400, "BadRequest", f'container "{container}" in pod "{name}" is waiting to start: {run.waiting[1]}')
        lines = run.log.get(container, [])
        if "tailLines" in query:
            lines = lines[max(0, len(lines) - int(query["tailLines"])) :]
        text = "".join(f"{line}\n" for line in lines)
        return text[: int(query["limitBytes"])] if "limitBytes" in query else text

    def _reachable(self, pod: Object) -> None:
        """:raises Refusal: the pod's kubelet cannot be asked."""
        node = pod["spec"].get("nodeName")
        if not node:
            raise Refusal(400, "BadRequest", f"pod {pod['metadata']['name']} does not have a host assigned")
        if not self._node_answers(node):
            raise Refusal(500, "InternalError", "error dialing backend: dial tcp 172.18.0.3:10250: connect: no route to host")

    # --- port-forwards ----------------------------------------------------------------------------------------------------------------

    def forward(self, path: str) -> str:
        """The uid of the pod that a port-forward goes to. :raises Refusal: it cannot."""
        with self._lock:
            self.settle()
            pod = self.objects.get(path.removesuffix("/portforward"))
            if pod is None:
                raise Refusal(404, "NotFound", f'pods "{path.split("/")[-2]}" not found')
            self._allowed("GET", address(path))
            self._reachable(pod)
            if pod["status"].get("phase") != "Running":
                raise Refusal(
                    500, "InternalError", f"unable to do port forwarding: pod is not running. Current status={pod['status'].get('phase')}"
                )
            return str(pod["metadata"]["uid"])

    def listens(self, uid: str, port: int) -> bool:
        with self._lock:
            server = self._runs[uid].dns if uid in self._runs else None
            return server is not None and (server.listens(port) or port in server.metrics_ports)

    def exchange(self, uid: str, port: int, data: bytes) -> tuple[bytes, bytes, bool]:
        """What comes back from a pod's port for bytes that came in: the reply, the bytes that were not enough, and whether it closes."""
        with self._lock:
            self.settle()
            run = self._runs.get(uid)
            if run is None or run.dns is None:
                return b"", b"", True
            if port in run.dns.metrics_ports:
                if b"\r\n\r\n" not in data:
                    return b"", data, False
                return b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + run.dns.metrics().encode(), b"", True
            replies = b""
            while len(data) >= 2 and len(data) >= 2 + (size := int.from_bytes(data[:2], "big")):
                query, data = dns.message.from_wire(data[2 : 2 + size]), data[2 + size :]
                run.dns.tcp += 1
                reply = self._reply(uid, run.dns, query, port)
                replies += len(reply).to_bytes(2, "big") + reply if reply else b""
            return replies, data, False

    def _reply(self, uid: str, server: CoreDns, query: dns.message.Message, port: int) -> bytes:
        pod = next(item for _path, item in self._all("pods") if item["metadata"]["uid"] == uid)
        fault = self.dns_fault(pod, query.question[0].name.to_text().rstrip("."))
        if fault == "":
            return b""
        response = server.respond(query, port)
        if fault:
            response = dns.message.make_response(query)
            response.set_rcode(dns.rcode.from_text(fault))
        return response.to_wire()


# --- objects --------------------------------------------------------------------------------------------------------------------------


def deployment(
    name: str,
    image: str,
    *,
    replicas: int = 2,
    labels: dict[str, str] | None = None,
    configmap: str = "coredns",
    arguments: t.Sequence[str] = ("-conf", "/etc/coredns/Corefile"),
    container: str = "coredns",
    account: str = "coredns",
    sub_path: str = "",
    env: t.Sequence[Object] = (),
) -> Object:
    """A Deployment as kubeadm's of CoreDNS."""
    labels = labels or {"k8s-app": "kube-dns"}
    mount: Object = {"name": "config-volume", "mountPath": "/etc/coredns", "readOnly": True}
    if sub_path:
        mount |= {"mountPath": f"/etc/coredns/{sub_path}", "subPath": sub_path}
    runs = {
        "name": container,
        "image": image,
        "args": list(arguments),
        "env": list(env),
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}},
        "volumeMounts": [mount],
    }
    template = {
        "metadata": {"labels": dict(labels)},
        "spec": {
            "containers": [runs],
            "serviceAccountName": account,
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "volumes": [{"name": "config-volume", "configMap": {"name": configmap, "items": [{"key": "Corefile", "path": "Corefile"}]}}],
        },
    }
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 1}}
    spec = {"replicas": replicas, "selector": {"matchLabels": dict(labels)}, "strategy": strategy, "template": template}
    return {"metadata": {"labels": dict(labels)}, "spec": spec}


def service(ip: str, ports: dict[str, int], selector: dict[str, str] | None = None, *, target: int = 0) -> Object:
    """A Service with an address."""
    protocols = {name: "UDP" if name == "dns" else "TCP" for name in ports}
    listed = [{"name": name, "port": port, "protocol": protocols[name], "targetPort": target or port} for name, port in ports.items()]
    return {"spec": {"clusterIP": ip, "clusterIPs": [ip], "ports": listed, **({"selector": selector} if selector else {})}}


@functools.lru_cache(maxsize=4096)
def address(path: str) -> Address:
    """Take a path of the API apart."""
    parts = path.strip("/").split("/")
    size = 2 if parts[0] == "api" else 3
    root, rest = "/" + "/".join(parts[:size]), parts[size:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = [*rest, "", "", ""][:3]
    return Address(root, namespace, plural, name, sub)


def _called(item: Object, at: Address) -> str:
    name = item["metadata"]["name"]
    return f"{item.get('kind', at.plural)} {at.namespace + '/' if at.namespace else ''}{name}"


def _readable(value: t.Any) -> t.Any:
    """A text of several lines as a list of them, and JSON as what it says, so that a diff shows where they differ."""
    if isinstance(value, dict):
        return {key: _readable(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_readable(one) for one in value]
    if isinstance(value, str) and value.startswith("{"):
        try:
            return _readable(json.loads(value))
        except ValueError:
            return value
    return value.split("\n") if isinstance(value, str) and "\n" in value else value


def _is_write(method: str, path: str) -> bool:
    return method != "GET" and not path.startswith(_REVIEWS)


def _owner(kind: str, item: Object) -> Object:
    metadata = item["metadata"]
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _controller(item: Object) -> str | None:
    """The uid of what controls an object."""
    return next((one["uid"] for one in item["metadata"].get("ownerReferences") or [] if one.get("controller")), None)


def _plain_template(replica_set: Object) -> Object:
    """The template as its Deployment has it."""
    template = replica_set["spec"]["template"]
    labels = {key: value for key, value in template["metadata"]["labels"].items() if key != _HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def _fits_selector(pod: Object, selector: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    exact = (selector.get("matchLabels") or {}).items() <= labels.items()
    return exact and all(_fits_expression(labels, one) for one in selector.get("matchExpressions") or [])


def _fits_expression(labels: dict[str, str], one: Object) -> bool:
    values = ",".join(one.get("values") or [])
    key = one["key"]
    terms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}
    return selected(labels, terms[one["operator"]])


def _rounded(spec: Object, key: str) -> int:
    """maxSurge (rounded up) or maxUnavailable (rounded down) as a number; of both 0 the latter is 1."""
    rolling = spec["strategy"].get("rollingUpdate") or {}

    def number(key: str, round_it: t.Callable[[float], int]) -> int:
        value = rolling.get(key, "25%")
        return round_it(spec["replicas"] * int(value[:-1]) / 100) if isinstance(value, str) else int(value)

    surge, unavailable = number("maxSurge", math.ceil), number("maxUnavailable", math.floor)
    if key == "maxSurge":
        return surge
    return unavailable or (1 if surge == 0 else 0)


def _dns_container(pod: Object) -> Object | None:
    """The container that runs CoreDNS; None where none does."""
    named = [
        one for one in pod["spec"]["containers"] if one["name"] in ("coredns", "dns", "kubedns", "node-cache") or "coredns" in one["image"]
    ]
    return named[0] if named else next((one for one in pod["spec"]["containers"] if _flag(one, "conf")), None)


def _flag(container: Object, name: str) -> str:
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    for position, word in enumerate(words):
        if word.lstrip("-") == name and word.startswith("-"):
            return str(words[position + 1])
        if word.startswith("-") and word.lstrip("-").startswith(f"{name}="):
            return str(word.partition("=")[2])
    return ""


def _defaulted(plural: str, item: Object) -> Object:
    """What an API server sets where nothing is said, as far as something here depends on it."""
    spec = item.get("spec") or {}
    if plural == "deployments":
        spec.setdefault("replicas", 1)
        spec.setdefault("progressDeadlineSeconds", 600)
        strategy = spec.get("strategy") or {"type": "RollingUpdate"}
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            strategy["rollingUpdate"] = {"maxSurge": "25%", "maxUnavailable": "25%", **(strategy.get("rollingUpdate") or {})}
        spec["strategy"] = strategy
        # what its JSON leaves out where it is 0
        if not spec.get("minReadySeconds"):
            spec.pop("minReadySeconds", None)
        if not (spec["template"].setdefault("metadata", {}).get("annotations") or {}):
            spec["template"]["metadata"].pop("annotations", None)
    metadata = item.get("metadata") or {}
    for key in ("annotations", "labels"):
        if key in metadata and not metadata[key]:
            del metadata[key]
    if plural == "configmaps":
        for key in ("data", "binaryData"):
            if key in item and not item[key]:
                del item[key]
    return item


def _validated(path: str, old: Object, new: Object) -> None:
    """:raises Refusal: an API server would not store that."""
    plural, metadata = address(path).plural, new["metadata"]
    for key in ("labels", "annotations"):
        for name, value in (metadata.get(key) or {}).items():
            if not isinstance(value, str):
                raise Refusal(400, "BadRequest", f"json: cannot unmarshal {type(value).__name__} into {key} {name} of type string")
    if plural == "configmaps":
        if any(not isinstance(value, str) for value in (new.get("data") or {}).values()):
            raise Refusal(400, "BadRequest", "json: cannot unmarshal a value of data into a string")
        if old.get("immutable") and old.get("data") != new.get("data"):
            raise Refusal(422, "Invalid", "data: Forbidden: field is immutable when `immutable` is set")
    if plural not in ("deployments", "daemonsets"):
        return
    spec = new["spec"]
    if old and old["spec"]["selector"] != spec["selector"]:
        raise Refusal(422, "Invalid", "spec.selector: Invalid value: field is immutable")
    if not _fits_selector(spec["template"], spec["selector"]):
        raise Refusal(422, "Invalid", "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`")
    if (spec.get("minReadySeconds") or 0) >= (spec.get("progressDeadlineSeconds") or 600) and plural == "deployments":
        raise Refusal(422, "Invalid", "spec.progressDeadlineSeconds: Invalid value: must be greater than minReadySeconds")
    strategy = spec.get("strategy") or {}
    if strategy.get("type") == "Recreate" and strategy.get("rollingUpdate"):
        raise Refusal(422, "Invalid", "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'")


def _strategic(old: t.Any, patch: t.Any, field: str = "") -> t.Any:
    """A strategic merge patch."""
    if isinstance(patch, dict):
        if patch.get("$patch") == "replace":
            return {key: value for key, value in patch.items() if key != "$patch"}
        new = copied(old) if isinstance(old, dict) else {}
        if "$retainKeys" in patch:
            new = {key: value for key, value in new.items() if key in patch["$retainKeys"]}
        for key, value in patch.items():
            if key.startswith("$"):
                continue
            if value is None:
                new.pop(key, None)
            else:
                new[key] = _strategic(new.get(key), value, key)
        return new
    key = _MERGE_KEYS.get(field)
    if not isinstance(patch, list) or key is None:
        return copied(patch)
    items = [one for one in patch if one != {"$patch": "replace"}]
    new = [] if len(items) < len(patch) else copied(old or [])
    for one in items:
        at = next((number for number, other in enumerate(new) if other.get(key) == one[key]), None)
        if one.get("$patch") == "delete":
            new = [other for other in new if other.get(key) != one[key]]
        elif at is None:
            new.append(_strategic({}, one))
        else:
            new[at] = _strategic(new[at], one)
    return new


# --- what platforms make of their objects ---------------------------------------------------------------------------------------------


def _stub_domains(api: MemberStandIn) -> t.Callable[[], str]:
    def text() -> str:
        data = api.objects.get(f"{CORE}/configmaps/kube-dns", {}).get("data") or {}
        stubs = json.loads(data.get("stubDomains") or "{}")
        return KUBEADM_COREFILE + "".join(f"{zone}:53 {{\n    forward . {' '.join(to)}\n}}\n" for zone, to in stubs.items())

    return text


def _openshift(api: MemberStandIn) -> t.Callable[[], str]:
    def text() -> str:
        servers = api.objects["/apis/operator.openshift.io/v1/dnses/default"]["spec"].get("servers") or []
        blocks = [(" ".join(f"{zone}:5353" for zone in one["zones"]), " ".join(one["forwardPlugin"]["upstreams"])) for one in servers]
        main = KUBEADM_COREFILE.replace(".:53", ".:5353").replace(":9153", "127.0.0.1:9153")
        return "".join(f"{keys} {{\n    forward . {upstreams}\n    errors\n}}\n" for keys, upstreams in blocks) + main

    return text


def _chart(api: MemberStandIn) -> t.Callable[[], str]:
    def text() -> str:
        path = "/apis/helm.cattle.io/v1/namespaces/kube-system/helmchartconfigs/rke2-coredns"
        values = yaml.safe_load((api.objects.get(path, {}).get("spec") or {}).get("valuesContent") or "") or {}
        if "servers" not in values:
            return KUBEADM_COREFILE
        blocks = []
        for server in values["servers"]:
            lines = []
            for plugin in server["plugins"]:
                head = " ".join(filter(None, [plugin["name"], str(plugin.get("parameters") or "")]))
                lines.append(f"    {head} {{\n{plugin['configBlock']}\n    }}\n" if "configBlock" in plugin else f"    {head}\n")
            blocks.append(f"{' '.join(one['zone'] + ':' + str(server['port']) for one in server['zones'])} {{\n{''.join(lines)}}}\n")
        return "".join(blocks)

    return text


# --- clients in this process ----------------------------------------------------------------------------------------------------------

_LIVE: dict[str, MemberStandIn] = {}
_REAL: dict[str, t.Any] = {}


def _watch(api: MemberStandIn) -> None:
    """Have each client of this process ask the stand-in that it talks to whether it still lives."""
    if not _LIVE:
        _REAL.update(request=Cluster._request, port_forward=Cluster.port_forward)

        def request(cluster: Cluster, verb: str, path: str, **options: t.Any) -> t.Any:
            live = _LIVE.get(cluster.server)
            real = _REAL["request"]
            return live.request(real, cluster, verb, path, options) if live else real(cluster, verb, path, **options)

        def port_forward(cluster: Cluster, *arguments: t.Any, **options: t.Any) -> t.Any:
            live = _LIVE.get(cluster.server)
            if live and live.dead:
                raise Killed
            return _REAL["port_forward"](cluster, *arguments, **options)

        Cluster._request, Cluster.port_forward = request, port_forward  # type: ignore[method-assign]
    _LIVE[api.url] = api


def _unwatch(api: MemberStandIn) -> None:
    _LIVE.pop(api.url, None)
    if not _LIVE:
        Cluster._request, Cluster.port_forward = _REAL["request"], _REAL["port_forward"]  # type: ignore[method-assign]


# --- WebSockets -----------------------------------------------------------------------------------------------------------------------


def _with_tunnels(api: MemberStandIn, handler: t.Any) -> type[BaseHTTPRequestHandler]:
    """A request handler that also serves port-forwards (kubelet's v4.channel.k8s.io: channel 0 data, channel 1 errors)."""

    class Handler(handler):  # type: ignore[misc]
        def _serve(self) -> None:
            api._of_thread.content_type = self.headers.get("Content-Type", "")
            if self.headers.get("Upgrade", "").lower() != "websocket":
                super()._serve()
                return
            path, _question, query = self.path.partition("?")
            port = int(query.rpartition("ports=")[2])
            api.log.append(("GET", path, {"ports": str(port)}))
            self.close_connection = True
            if api._down:
                return
            for fault in api.faults:
                if faulty := fault("GET", path, {"ports": str(port)}):
                    self._send(*faulty)
                    return
            try:
                uid = api.forward(path)
            except Refusal as refusal:
                self._send(*refusal.answer)
                return
            self._shake_hands()
            try:
                self._tunnel(uid, port)
            except OSError:
                # whoever asked is gone
                return

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def _shake_hands(self) -> None:
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.send_header("Sec-WebSocket-Protocol", "v4.channel.k8s.io")
            self.end_headers()

        def _tunnel(self, uid: str, port: int) -> None:
            for channel in (0, 1):
                self._frame(2, bytes([channel]) + port.to_bytes(2, "little"))
            if not api.listens(uid, port):
                # with the first bytes, so that what they were sent on is not closed before it has them
                self._message()
                words = f"an error occurred forwarding {port} -> {port}: dial tcp4 127.0.0.1:{port}: connect: connection refused"
                self._frame(2, b"\x01" + words.encode())
                self._frame(8, b"")
                return
            data = b""
            while (message := self._message()) is not None:
                reply, data, closes = api.exchange(uid, port, data + message)
                if reply:
                    self._frame(2, b"\x00" + reply)
                if closes:
                    self._frame(8, b"")
                    return

        def _frame(self, opcode: int, data: bytes) -> None:
            size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
            self.wfile.write(bytes([0x80 | opcode]) + size + data)

        def _message(self) -> bytes | None:
            """What came on the data channel; None once the other side has closed."""
            while True:
                head = self.rfile.read(2)
                if len(head) < 2 or head[0] & 15 == 8:
                    return None
                size = head[1] & 127
                if size > 125:
                    size = int.from_bytes(self.rfile.read(2 if size == 126 else 8), "big")
                mask = self.rfile.read(4)
                data = bytes(byte ^ mask[number % 4] for number, byte in enumerate(self.rfile.read(size)))
                if head[0] & 15 == 9:
                    self._frame(10, data)
                elif head[0] & 15 in (0, 1, 2) and data[:1] == b"\x00":
                    return data[1:]

    return Handler
