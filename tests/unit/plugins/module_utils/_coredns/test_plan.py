# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Which steps a member needs, by what it is and what is asked for."""

from __future__ import annotations

import copy
import hashlib
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import member, rights, rollout, zone_server
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, NodeLocal, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.plan import Plan, plan
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import PLATFORMS
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_corefile import EditCorefile, edited
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_objects import Grant, Remove, ServeZone
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_platform import Delegate
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_pods import Prove, RunImage
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.steps import World
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import Workload, workload
from ansible_collections.clusterset.dns.plugins.module_utils._corefile import place
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.model import parse, reload_hash
from ansible_collections.clusterset.dns.plugins.module_utils._corefile.served import multicluster_zones
from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership
from ansible_collections.clusterset.dns.tests.unit.api_standin import merged
from ansible_collections.clusterset.dns.tests.unit.member_standin import KUBEADM_COREFILE, NODELOCAL_COREFILE, deployment

STOCK = "registry.k8s.io/coredns/coredns:v1.12.1"
NEW = "registry.k8s.io/coredns/coredns:v1.14.6"
OURS = "registry.example.com/coredns:v1.15.0"
PLUGIN = "registry.example.com/coredns-plugin:v1.12.1"
CRD = {"present": True, "established": True, "served": ["v1alpha1"]}
WITHOUT_RELOAD = KUBEADM_COREFILE.replace("    reload\n", "")
ANSWER = ["Prove the change beside CoreDNS", "Serve the zone", "Ask every pod"]
GRANT = "Let CoreDNS read ServiceImports"


def runs(name: str = "coredns", image: str = NEW, kind: str = "Deployment", *, old: int = 0, spec: t.Any = None, **options: t.Any) -> Workload:
    item = deployment(name, image, **options)
    item["metadata"] |= {"namespace": "kube-system", "name": name, "uid": f"uid-{name}", "generation": 1, "annotations": {}}
    item["spec"] |= spec or {}
    count = item["spec"]["replicas"]
    item["status"] = {"observedGeneration": 1, "replicas": count, "updatedReplicas": count - old, "availableReplicas": count}
    return workload(item, kind)


def config_map(text: str | None = KUBEADM_COREFILE, name: str = "coredns", **fields: t.Any) -> dict[str, t.Any]:
    data = {} if text is None else {"Corefile": text}
    return {"metadata": {"namespace": "kube-system", "name": name, "resourceVersion": "1"}, "data": data, **fields}


def facts(image: str = NEW, text: str | None = KUBEADM_COREFILE, platform: str = "kubeadm", **changes: t.Any) -> Facts:
    base = Facts(
        name="member2",
        kubernetes=(1, 34),
        platform_name=platform,
        platform_reason="it was given",
        platform=PLATFORMS[platform],
        coredns=runs(image=image),
        config_map=config_map(text),
        text=text,
        crd=CRD,
        nodes={"node1": "amd64", "node2": "amd64"},
    )
    return base._replace(**changes)


def names(found: Plan) -> list[str]:
    assert found.problems == ()
    return [step.name for step in found.steps]


def step_of(found: Plan, kind: type[t.Any]) -> t.Any:
    (one,) = [step for step in found.steps if isinstance(step, kind)]
    return one


def after(found: Facts, want: Want) -> Facts:
    """What a member is once its plan has been carried out."""
    todo = plan(found, want)
    assert todo.problems == ()
    labels = ownership.labels(want.fleet)
    for step in todo.steps:
        if isinstance(step, Grant):
            made = [{**one, "metadata": {**one["metadata"], "labels": labels}} for one in step.objects]
            found = found._replace(rights=(made[0], tuple(made[1:])))
        elif isinstance(step, ServeZone):
            made = [{**one, "metadata": {**one["metadata"], "labels": {**one["metadata"]["labels"], **labels}}} for one in step.objects]
            server = {one["kind"]: copy.deepcopy(one) for one in made}
            server["Deployment"]["metadata"]["generation"] = 1
            server["Deployment"]["status"] = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
            server["Service"]["spec"]["clusterIP"] = "192.0.2.53"
            found = found._replace(zone_server=server)
        elif isinstance(step, RunImage):
            patch = {"metadata": {"annotations": step.target.annotations}}
            found = _with(found, step.workload.uid, lambda item, step=step, patch=patch: _running(merged(item, patch), step.target.image))
        elif isinstance(step, EditCorefile) and step.config_map[1] == "coredns":
            found = _written(found, step)
    return found


def _with(found: Facts, uid: str, change: t.Callable[[t.Any], t.Any]) -> Facts:
    def changed(one: Workload) -> Workload:
        return workload(change(copy.deepcopy(dict(one.item))), one.kind) if one.uid == uid else one

    assert found.coredns
    return found._replace(coredns=changed(found.coredns), twins=tuple(map(changed, found.twins)))


def _running(item: dict[str, t.Any], image: str) -> dict[str, t.Any]:
    item["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return item


def _written(found: Facts, step: EditCorefile) -> Facts:
    made = edited(found.config_map, "Corefile", step.want, imports=found.imports, env=found.env)
    if made.change.changed:
        write = place.write_of(found.config_map, "coredns", "Corefile", made.text, first=made.change.first, last=made.change.last)
        assert write.body
        found = found._replace(config_map=merged(dict(found.config_map or {}), write.body), text=made.text)
    if step.restart:
        mark = None if step.want.state == "absent" else hashlib.sha256(made.text.encode()).hexdigest()
        patch = {"spec": {"template": {"metadata": {"annotations": {rollout.COREFILE: mark}}}}}
        for one in step.readers:
            found = _with(found, one.uid, lambda item, patch=patch: merged(item, patch))
    return found


# --- kubeadm and whoever else has a Corefile of their own -------------------------------------------------------------------------------


def test_a_coredns_that_is_new_enough_keeps_its_image() -> None:
    found = plan(facts(), Want())
    assert names(found) == [GRANT, *ANSWER]
    assert (found.mode, found.image, found.reason) == ("builtin", "", "it runs CoreDNS 1.14.6, which serves ServiceImports by itself")
    assert "multicluster clusterset.local" in (found.corefile or "")
    prove = step_of(found, Prove)
    assert [image for _one, image in prove.images] == [NEW]
    assert prove.edit.proves


def test_an_image_is_proven_with_the_corefile_and_runs_before_it() -> None:
    found = plan(facts(STOCK), Want(image=OURS))
    assert names(found) == [GRANT, ANSWER[0], "Run the image that serves the zone", *ANSWER[1:]]
    assert [image for _one, image in step_of(found, Prove).images] == [OURS]
    assert step_of(found, RunImage).target.annotations == {member.ORIGINAL_IMAGE: STOCK, rollout.OUR_IMAGE: OURS}


@pytest.mark.parametrize(
    ("image", "want"),
    [
        (NEW, Want()),
        (STOCK, Want(image=OURS)),
        (STOCK, Want(mode="plugin", image=PLUGIN)),
        (STOCK, Want(mode="forward", image=OURS)),
        (NEW, Want(placement="inline", header=False)),
    ],
    ids=["builtin", "image", "plugin", "forward", "inline"],
)
@pytest.mark.parametrize("text", [KUBEADM_COREFILE, WITHOUT_RELOAD], ids=["reload", "no reload"])
def test_what_a_plan_has_made_is_settled(image: str, want: Want, text: str) -> None:
    done = after(facts(image, text), want)
    assert plan(done, want).settled
    # and absent takes all of it back, after which it is settled as well
    out = want._replace(state="absent")
    assert not plan(done, out).settled
    back = after(done, out)
    assert back.text == text
    assert [one.image for one in back.workloads] == [image]


def test_a_pod_that_runs_another_corefile_is_not_settled() -> None:
    done = after(facts(), Want())
    wanted = reload_hash(parse(done.text or ""))
    ran = [{"pod": "a", "hash": wanted, "failed": 0, "gone": False}, {"pod": "b", "hash": "older", "failed": 0, "gone": False}]
    assert names(plan(done._replace(running=tuple(ran)), Want())) == ["Serve the zone", "Ask every pod"]
    assert plan(done._replace(running=tuple(ran[:1])), Want()).settled
    gone = {**ran[1], "gone": True}
    assert plan(done._replace(running=(ran[0], gone)), Want()).settled


def test_without_reload_pods_that_did_not_start_since_are_behind() -> None:
    """A run that was killed between the write and the exchange of pods."""
    done = after(facts(text=WITHOUT_RELOAD), Want())
    killed = _with(done, "uid-coredns", lambda item: merged(item, {"spec": {"template": {"metadata": {"annotations": None}}}}))
    assert names(plan(killed, Want())) == ["Serve the zone", "Ask every pod"]


@pytest.mark.parametrize(
    "changes",
    [{"unfinished": frozenset({"uid-coredns"})}, {"coredns": runs(old=1)}],
    ids=["a run that was killed", "not rolled out"],
)
def test_a_rollout_that_is_not_over_is_ended(changes: dict[str, t.Any]) -> None:
    found = plan(after(facts(), Want())._replace(**changes), Want())
    assert names(found) == ["End what a run that was killed has begun", "Ask every pod"]


def test_an_autoscaler_at_work_is_nothing_to_end() -> None:
    """One more is asked for, and is not available yet: by ``kubectl rollout status`` that is not rolled out."""
    scaled = runs()
    scaled.item["spec"]["replicas"] += 1
    scaled.item["metadata"]["generation"] = 2
    scaled.item["status"] |= {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3}
    assert plan(after(facts(), Want())._replace(coredns=scaled), Want()).settled


@pytest.mark.parametrize(
    ("first", "then", "images"),
    [
        (Want(mode="plugin", image=PLUGIN), Want(mode="builtin", image=OURS), [OURS]),
        (Want(mode="builtin", image=OURS), Want(mode="plugin", image=PLUGIN), [PLUGIN]),
    ],
    ids=["plugin to builtin", "builtin to plugin"],
)
def test_another_way_with_another_image_takes_the_zone_out_first(first: Want, then: Want, images: list[str]) -> None:
    done = after(facts(STOCK), first)
    found = plan(done, then)
    withdraw = "Take the zone out until the image is there that serves it"
    assert names(found) == [ANSWER[0], withdraw, "Run the image that serves the zone", *ANSWER[1:]]
    assert [image for _one, image in step_of(found, Prove).images] == images
    out, write = [step for step in found.steps if isinstance(step, EditCorefile)]
    assert (out.want.state, out.before) == ("absent", done.text)
    assert write.before == KUBEADM_COREFILE
    assert step_of(found, Prove).edit is write


@pytest.mark.parametrize(
    ("text", "options"),
    [(WITHOUT_RELOAD, {}), (KUBEADM_COREFILE, {"sub_path": "Corefile"})],
    ids=["no reload", "subPath"],
)
def test_pods_that_read_it_at_their_start_alone_are_started_anew(text: str, options: dict[str, t.Any]) -> None:
    found = plan(facts(text=text, coredns=runs(**options)), Want())
    assert names(found) == [GRANT, *ANSWER]
    assert step_of(found, EditCorefile).restart
    assert not step_of(plan(facts(), Want()), EditCorefile).restart


def test_forward_runs_a_coredns_of_our_own_and_keeps_the_image() -> None:
    found = plan(facts(STOCK), Want(mode="forward", image=OURS))
    assert names(found) == ["Run a CoreDNS of our own for the zone", *ANSWER]
    assert [image for _one, image in step_of(found, Prove).images] == [STOCK]
    assert step_of(found, EditCorefile).want.forward_to == ("192.0.2.53",)
    again = plan(after(facts(STOCK), Want(mode="forward", image=OURS)), Want(mode="forward", image=OURS, forward_replicas=3))
    assert names(again)[0] == "Run a CoreDNS of our own for the zone"


def test_our_own_coredns_goes_last_where_the_platforms_serves_the_zone_again() -> None:
    done = after(facts(STOCK), Want(mode="forward", image=OURS))
    found = plan(done, Want(mode="builtin", image=OURS))
    assert names(found)[0] == GRANT
    assert names(found)[-1] == "Take our own CoreDNS away"


# --- platforms --------------------------------------------------------------------------------------------------------------------------

RKE2_TEXT = KUBEADM_COREFILE


@pytest.mark.parametrize(
    ("platform", "changes", "step", "title"),
    [
        ("k3s", {}, EditCorefile, "Give the platform's CoreDNS a server block more"),
        ("aks", {}, EditCorefile, "Give the platform's CoreDNS a server block more"),
        ("gke", {"coredns": None, "config_map": None, "text": None}, Delegate, "Have the platform forward the zone"),
        (
            "openshift",
            {"coredns": None, "config_map": None, "text": None, "delegated": {"metadata": {"name": "default", "resourceVersion": "1"}, "spec": {}}},
            Delegate,
            "Have the platform forward the zone",
        ),
        ("rke2", {"coredns": None, "config_map": None, "text": None, "served": RKE2_TEXT}, Delegate, "Have the platform forward the zone"),
    ],
)
def test_platforms_that_write_the_corefile_are_told(platform: str, changes: dict[str, t.Any], step: type[t.Any], title: str) -> None:
    found = plan(facts(STOCK, platform=platform)._replace(**changes), Want(image=OURS))
    assert names(found) == ["Run a CoreDNS of our own for the zone", title, "Ask every pod"]
    assert found.mode == "forward"
    assert isinstance(found.steps[1], step)
    assert found.corefile is None


def openshift(*servers: dict[str, t.Any]) -> Facts:
    dns = {"metadata": {"name": "default", "resourceVersion": "1"}, "spec": {"servers": list(servers)}}
    return facts(platform="openshift", coredns=None, config_map=None, text=None, delegated=dns)


def test_a_zone_that_is_forwarded_by_hand_already_is_a_problem() -> None:
    server = {"name": "by-hand", "zones": ["clusterset.local"], "forwardPlugin": {"upstreams": ["10.1.1.1"]}}
    assert plan(openshift(server), Want(image=OURS)).problems == (
        "member2: DNS.operator.openshift.io default: server by-hand sends clusterset.local to 10.1.1.1 already. Remove that by hand, or leave the"
        " zone to it.",
    )


def test_coredns_custom_is_a_block_of_its_own() -> None:
    found = plan(facts(STOCK, platform="k3s"), Want(image=OURS))
    edit = step_of(found, EditCorefile)
    assert (edit.config_map, edit.before, edit.readers) == (("kube-system", "coredns-custom", "clusterset.server"), None, ())


def test_the_eks_addon_is_given_what_it_is_to_hold_and_its_coredns_is_left_alone() -> None:
    found = plan(facts("602401143452.example.com/eks/coredns:v1.12.2-eksbuild.1", platform="eks"), Want(eks_addon=True))
    assert names(found) == [GRANT]
    assert found.addon == found.corefile
    assert "multicluster clusterset.local" in (found.addon or "")
    served = facts("eks/coredns:v1.12.2-eksbuild.1", text=found.addon, platform="eks")
    assert plan(served, Want(eks_addon=True)).addon is None


def test_what_the_eks_addon_still_asks_for_is_not_taken_from_under_it() -> None:
    """The add-on's Corefile is written by whoever has it; until then CoreDNS goes on as it is."""
    given = plan(facts(platform="eks"), Want(eks_addon=True)).addon
    serving = after(facts(platform="eks"), Want(eks_addon=True))._replace(text=given, config_map=config_map(given))
    out = plan(serving, Want(state="absent", eks_addon=True))
    assert (names(out), out.addon) == ([], KUBEADM_COREFILE)
    gone = plan(serving._replace(text=KUBEADM_COREFILE, config_map=config_map()), Want(state="absent", eks_addon=True))
    assert (names(gone), gone.addon) == (["Take the rights back"], None)


def test_our_own_coredns_stays_while_the_eks_addon_forwards_to_it() -> None:
    forward = Want(eks_addon=True, mode="forward", image=OURS)
    with_server = after(facts(STOCK, platform="eks"), forward)
    given = plan(with_server, forward).addon
    forwarding = with_server._replace(text=given, config_map=config_map(given))
    assert plan(forwarding, forward).settled
    upgraded = forwarding._replace(coredns=runs(image=NEW))
    found = plan(upgraded, Want(eks_addon=True, mode="builtin"))
    assert names(found) == [GRANT]
    applied = upgraded._replace(text=found.addon, config_map=config_map(found.addon))
    assert names(plan(applied, Want(eks_addon=True, mode="builtin")))[-1] == "Take our own CoreDNS away"


def nodelocal(name: str = "node-local-dns", text: str = NODELOCAL_COREFILE, upstream: str = "10.96.0.11", **fields: t.Any) -> NodeLocal:
    one = runs(name, "registry.k8s.io/dns/k8s-dns-node-cache:1.26.4", "DaemonSet", configmap=name, spec={})
    return NodeLocal(one, config_map(text, name), text, upstream, **fields)


@pytest.mark.parametrize("name", ["node-local-dns", "nodelocaldns", "a-cache"])
def test_nodelocal_dnscache_by_any_name_forwards_the_zone(name: str) -> None:
    found = plan(facts(nodelocal=(nodelocal(name),)), Want())
    title = "Have NodeLocal DNSCache send the zone to the cluster's DNS"
    assert names(found) == [GRANT, *ANSWER, title]
    edit = step_of_cache(found)
    assert edit is found.steps[-1]
    assert edit.config_map == ("kube-system", name, "Corefile")
    assert edit.want.forward_to == ("10.96.0.11",)


def test_nodelocal_dnscache_is_settled_once_each_pod_runs_it() -> None:
    done = after(facts(), Want())
    edit = step_of_cache(plan(done._replace(nodelocal=(nodelocal(),)), Want()))
    text = edited(config_map(NODELOCAL_COREFILE, "node-local-dns"), "Corefile", edit.want).text
    substituted = text.replace("__PILLAR__CLUSTER__DNS__", "10.96.0.11").replace("__PILLAR__UPSTREAM__SERVERS__", "/etc/resolv.conf")
    ran = {"pod": "n1", "hash": reload_hash(parse(substituted)), "failed": 0, "gone": False}
    assert plan(done._replace(nodelocal=(nodelocal(text=text, running=(ran,)),)), Want()).settled
    behind = plan(done._replace(nodelocal=(nodelocal(text=text, running=({**ran, "hash": "older"},)),)), Want())
    assert names(behind) == [edit.name]
    unknown = plan(done._replace(nodelocal=(nodelocal(text=text, running=({**ran, "hash": ""},)),)), Want())
    assert names(unknown) == [edit.name]
    gone = plan(done._replace(nodelocal=(nodelocal(text=text, running=({**ran, "hash": "", "gone": True},)),)), Want())
    assert gone.settled


def test_gkes_nodelocal_dnscache_reads_the_platforms_own_object() -> None:
    bare = facts(platform="gke", coredns=None, config_map=None, text=None, nodelocal=(nodelocal(),))
    assert names(plan(bare, Want(image=OURS))) == ["Run a CoreDNS of our own for the zone", "Have the platform forward the zone", "Ask every pod"]


# --- what else reads the Corefile -------------------------------------------------------------------------------------------------------


def test_a_second_deployment_with_the_same_corefile_gets_the_image_too() -> None:
    found = plan(facts(STOCK, twins=(runs("coredns-b", STOCK),)), Want(image=OURS))
    images = [(step.workload.name, step.target.image) for step in found.steps if isinstance(step, RunImage)]
    assert images == [("coredns", OURS), ("coredns-b", OURS)]
    assert [(one.name, image) for one, image in step_of(found, Prove).images] == images
    assert [one.name for one in step_of(found, EditCorefile).readers] == ["coredns", "coredns-b"]


def test_a_second_deployment_that_knows_the_option_keeps_its_image() -> None:
    found = plan(facts(STOCK, twins=(runs("coredns-b", NEW),)), Want(image=OURS))
    assert step_of(found, RunImage).workload.name == "coredns"


def test_a_second_deployments_unfinished_rollout_is_ended_too() -> None:
    done = after(facts(twins=(runs("coredns-b"),)), Want())
    found = plan(done._replace(unfinished=frozenset({"uid-coredns-b"})), Want())
    assert names(found) == ["End what a run that was killed has begun", "Ask every pod"]
    assert step_of(found, RunImage).workload.name == "coredns-b"


@pytest.mark.parametrize(
    ("twin", "want", "advice"),
    [
        (runs("dns", STOCK, "DaemonSet"), Want(image=OURS), "Give it CoreDNS 1.12.2 or newer, or a ConfigMap of its own."),
        (runs("dns", STOCK), Want(), "Set image, give it CoreDNS 1.12.2 or newer, or a ConfigMap of its own."),
    ],
    ids=["a DaemonSet", "a Deployment, and no image"],
)
def test_what_reads_the_same_corefile_and_would_not_understand_it_is_refused(twin: Workload, want: Want, advice: str) -> None:
    found = plan(facts(NEW, twins=(twin,)), want)
    assert found.steps == ()
    assert found.problems == (
        f"member2: {twin.label} reads the same Corefile and runs CoreDNS 1.12.1, which does not know the option multicluster. {advice}",
    )
    assert plan(facts(NEW, twins=(twin,)), Want(mode="forward")).problems == ()


# --- rights -----------------------------------------------------------------------------------------------------------------------------

OLD_BINDING = {
    "metadata": {"name": rights.ROLE, "labels": {ownership.MANAGED_BY: ownership.OURS}},
    "roleRef": {"kind": "ClusterRole", "name": rights.ROLE},
    "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
}


def marked(item: dict[str, t.Any], fleet: str = "default") -> dict[str, t.Any]:
    return {**item, "metadata": {**item["metadata"], "labels": ownership.labels(fleet)}}


def subject(name: str) -> dict[str, str]:
    return {"kind": "ServiceAccount", "name": name, "namespace": "kube-system"}


def test_each_service_account_has_a_binding_of_its_own() -> None:
    found = plan(facts(twins=(runs("coredns-b", account="second"),)), Want())
    grant = step_of(found, Grant)
    assert [one["metadata"]["name"] for one in grant.objects] == [
        "clusterset-dns-coredns",
        "clusterset-dns-coredns:kube-system:coredns",
        "clusterset-dns-coredns:kube-system:second",
    ]
    assert [one["subjects"] for one in grant.objects[1:]] == [[subject("coredns")], [subject("second")]]


def test_the_binding_of_another_coredns_is_left_as_it_is() -> None:
    other = marked(rights.binding("dns", "other"))
    found = plan(facts(rights=(marked(rights.role()), (other,))), Want())
    assert other["metadata"]["name"] not in [one["metadata"]["name"] for one in step_of(found, Grant).objects]


@pytest.mark.parametrize(
    ("subjects", "twins", "goes"),
    [
        ([subject("coredns")], (), True),
        ([subject("coredns")], (runs("a-second", account="a-second"),), True),
        ([subject("coredns"), subject("a-second")], (runs("a-second", account="a-second"),), True),
        ([subject("coredns"), subject("other")], (), False),
    ],
    ids=["ours", "ours of several", "all ours", "shared"],
)
@pytest.mark.parametrize("state", ["present", "absent"])
def test_the_binding_of_the_version_before_goes_where_nobody_else_has_it(state: str, subjects: t.Any, twins: t.Any, goes: bool) -> None:
    done = after(facts(twins=twins), Want())
    done = done._replace(rights=(done.rights[0], (*done.rights[1], {**OLD_BINDING, "subjects": subjects})))
    found = plan(done, Want(state=state))
    removed = [(one["kind"], one["metadata"]["name"]) for step in found.steps if isinstance(step, Remove) for one in step.objects]
    assert (("ClusterRoleBinding", rights.ROLE) in removed) is goes
    assert (("ClusterRole", rights.ROLE) in removed) is (goes and state == "absent")
    if state == "present":
        assert [step.name for step in found.steps] == (["Take a former binding away"] if goes else [])


def exchanging() -> set[tuple[str, ...]]:
    return {("patch", "apps/deployments"), ("list", "apps/replicasets"), ("list", "services"), ("patch", "pods"), ("delete", "pods"), *asking()}


def asking() -> set[tuple[str, ...]]:
    return {("list", "pods"), ("get", "pods/log"), ("get", "pods/portforward")}


def asked(found: Plan) -> set[tuple[str, ...]]:
    rows = found.rights
    assert len({tuple(sorted(one.items())) for one in rows}) == len(rows)
    return {
        (one["verb"], "/".join(filter(None, [one.get("group", "").removesuffix(".k8s.io"), one["resource"], one.get("subresource")]))) for one in rows
    }


def test_rights_are_those_that_the_steps_use() -> None:
    grant = {(verb, f"rbac.authorization/{plural}") for verb in ("create", "patch", "delete") for plural in ("clusterroles", "clusterrolebindings")}
    prove = {(verb, plural) for verb in ("create", "delete", "get", "list") for plural in ("configmaps", "pods")}
    edit = {("get", "configmaps"), ("patch", "configmaps"), *exchanging()}
    assert asked(plan(facts(), Want())) == grant | prove | edit
    done = after(facts(), Want())
    assert asked(plan(done._replace(running=({"pod": "b", "hash": "x", "failed": 0, "gone": False},)), Want())) == edit
    assert asked(plan(done._replace(unfinished=frozenset({"uid-coredns"})), Want())) == exchanging()
    assert asked(plan(done, Want())) == set()
    assert asked(plan(done, Want(state="absent"))) == edit | grant


def test_a_platforms_object_needs_no_rights_in_the_deployment() -> None:
    found = plan(openshift(), Want(image=OURS))
    dnses = {one["verb"] for one in found.rights if one["resource"] == "dnses"}
    assert dnses == {"get", "patch"}
    bare = facts(platform="gke", coredns=None, config_map=None, text=None)
    assert {one["verb"] for one in step_of(plan(bare, Want(image=OURS)), Delegate).rights} == {"get", "create", "delete"}
    assert {one["namespace"] for one in found.rights if one["resource"] == "deployments"} == {"kube-system"}
    assert {one["namespace"] for one in found.rights if one["resource"] == "pods"} == {"kube-system", "openshift-dns"}


@pytest.mark.parametrize("changes", [{"kubernetes": (1, 20)}, {"coredns": runs(image="coredns:v1.8.0")}], ids=["Kubernetes", "CoreDNS"])
def test_what_is_too_old_has_a_way_back(changes: dict[str, t.Any]) -> None:
    """It was newer, or an earlier version of this collection took it."""
    served = after(facts(), Want())._replace(**changes)
    assert plan(served, Want()).problems
    assert "Take the zone out of the Corefile" in names(plan(served, Want(state="absent")))


def test_a_block_for_the_platforms_coredns_needs_no_rights_in_pods_but_to_ask_them() -> None:
    done = after(facts(STOCK, platform="k3s"), Want(image=OURS))
    maps = {(verb, "configmaps") for verb in ("get", "patch", "create", "delete")}
    assert asked(plan(done, Want(image=OURS))) == maps | asking()


# --- what stands in the way -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "options", "sentences"),
    [
        ({"kubernetes": (1, 20)}, {}, ["member2 runs Kubernetes 1.20; 1.21 or newer is needed. Upgrade it, or leave it out."]),
        (
            {"coredns": None, "elsewhere": ("kube-system/rke2-coredns",)},
            {},
            ["member2 has no CoreDNS Deployment kube-system/coredns. Found instead: kube-system/rke2-coredns. Set namespace and deployment."],
        ),
        (
            {"coredns": None},
            {},
            ["member2 has no CoreDNS Deployment kube-system/coredns. Nothing there looks like CoreDNS either. Set namespace and deployment."],
        ),
        ({"coredns": runs(image="coredns:v1.8.0")}, {}, ["member2 runs CoreDNS 1.8.0; 1.9.3 or newer is needed. Upgrade it."]),
        (
            {"coredns": runs(arguments=("-conf", "/elsewhere/Corefile")), "config_map": None, "text": None},
            {},
            ["member2: CoreDNS in Deployment kube-system/coredns reads its Corefile from no ConfigMap. Mount one where -conf points."],
        ),
        (
            {"text": None, "config_map": config_map(None)},
            {},
            [
                "member2: ConfigMap kube-system/coredns, key Corefile does not exist. Say where the Corefile is by namespace and deployment, or make it."
            ],
        ),
        (
            {"coredns": runs(spec={"paused": True})},
            {},
            ["member2: Deployment kube-system/coredns is paused, so no change would reach its pods. Resume it."],
        ),
        (
            {"config_map": config_map(immutable=True)},
            {},
            [
                "member2: ConfigMap kube-system/coredns, key Corefile: the ConfigMap is immutable. Delete it and create it again without `immutable:"
                " true`, or have CoreDNS use another one."
            ],
        ),
        (
            {"crd": {"present": False, "established": False, "served": []}},
            {},
            [
                "member2 has no ServiceImport CustomResourceDefinition that is Established, without which CoreDNS does not get ready. Place it there"
                " first (module mcs_crds), and see that Karmada shows the cluster as Ready."
            ],
        ),
        (
            {"crd": {"present": True, "established": True, "served": ["v1beta1"]}},
            {},
            ["member2: the ServiceImport CustomResourceDefinition does not serve v1alpha1, which CoreDNS reads."],
        ),
        (
            {"nodelocal_missing": "kube-system/cache"},
            {"nodelocal": "kube-system/cache"},
            ["member2: no NodeLocal DNSCache has its Corefile in ConfigMap kube-system/cache. Set nodelocal to its ConfigMap, or to auto."],
        ),
        (
            {"nodelocal": (nodelocal(upstream=""),)},
            {},
            [
                "member2: ConfigMap kube-system/node-local-dns does not tell where NodeLocal DNSCache sends cluster.local, and there is no Service"
                " kube-dns-upstream beside it. Set nodelocal to another ConfigMap, or to '' for none."
            ],
        ),
        (
            {},
            {"image": STOCK},
            ["member2 would run CoreDNS 1.12.1, which cannot serve ServiceImports; 1.12.2 or newer can. Set image to one that is."],
        ),
        (
            {"nodes": {"a": "amd64", "b": "arm64"}},
            {"image": OURS, "image_platforms": ("linux/amd64",)},
            [f"member2: the image {OURS} is not there for arm64, which some of its nodes are. Set image to one that covers them."],
        ),
        ({}, {"zone": "cluster.local"}, ["is the cluster domain"]),
        (
            {"kubernetes": (1, 20), "coredns": runs(spec={"paused": True})},
            {},
            ["member2 runs Kubernetes 1.20;", "member2: Deployment kube-system/coredns is paused"],
        ),
    ],
)
def test_what_stands_in_the_way_is_said(changes: dict[str, t.Any], options: dict[str, t.Any], sentences: list[str]) -> None:
    found = plan(facts()._replace(**changes), Want(**options))
    assert found.steps == ()
    assert not found.settled
    assert len(found.problems) == len(sentences)
    for problem, sentence in zip(found.problems, sentences, strict=True):
        assert sentence in problem


def test_check_mode_accepts_that_the_definition_is_not_there_yet() -> None:
    bare = facts(crd={"present": False, "established": False, "served": []})
    assert names(plan(bare, Want(), check_mode=True)) == [GRANT, *ANSWER]


@pytest.mark.parametrize(
    ("nodes", "spec", "covered", "right", "proven"),
    [
        ({"a": "amd64", "b": "arm64"}, {}, ("linux/amd64", "linux/arm64"), True, ("amd64", "arm64")),
        ({"a": "amd64", "b": "arm64"}, {"kubernetes.io/arch": "amd64"}, ("linux/amd64",), True, ("",)),
        ({"a": "amd64", "b": "arm64"}, {}, (), True, ("amd64", "arm64")),
        ({"a": "arm64"}, {}, ("amd64",), False, ()),
        ({}, {}, ("linux/amd64",), True, ("",)),
    ],
    ids=["covered", "pods land on one", "not known", "not covered", "no nodes to be seen"],
)
def test_an_image_is_proven_on_each_architecture_that_pods_may_land_on(
    nodes: dict[str, str], spec: dict[str, str], covered: tuple[str, ...], right: bool, proven: tuple[str, ...]
) -> None:
    one = runs(image=STOCK)
    item = merged(dict(one.item), {"spec": {"template": {"spec": {"nodeSelector": spec}}}})
    found = plan(facts(coredns=workload(item, "Deployment"), nodes=nodes), Want(image=OURS, image_platforms=covered))
    assert bool(found.steps) is right
    if right:
        assert step_of(found, Prove).architectures == proven


@pytest.mark.parametrize(
    ("text", "needs", "words"),
    [
        (f"import custom/*.server\n{KUBEADM_COREFILE}", "imports", "line 1: import custom/*.server may bring a server block for clusterset.local"),
        (KUBEADM_COREFILE + "{$ZONE}:53 {\n    errors\n}\n", "env", "line 23: the zone {$ZONE}:53 of this server block comes from CoreDNS's environment"),
        (
            KUBEADM_COREFILE + "clusterset.local:53 {\n    forward . 10.1.1.1\n}\n",
            "",
            "line 24: clusterset.local is already served in mode forward by lines that were made by hand. Set mode to forward to keep them, or adopt to",
        ),
        ("a {\n", "", "line 1: "),
    ],
    ids=["imports", "env", "by hand", "broken"],
)
def test_a_corefile_that_cannot_be_edited_is_a_problem(text: str, needs: str, words: str) -> None:
    found = plan(facts(text=text), Want())
    assert found.steps == ()
    (problem,) = found.problems
    assert problem.startswith(f"member2: ConfigMap kube-system/coredns, key Corefile: {words}")
    assert found.needs == needs


# --- the way back -----------------------------------------------------------------------------------------------------------------------

OUT = Want(state="absent")


def test_absent_goes_backwards() -> None:
    done = after(facts(STOCK, nodelocal=(nodelocal(),)), Want(image=OURS))
    cache = step_of_cache(plan(facts(nodelocal=(nodelocal(),)), Want()))
    text = edited(config_map(NODELOCAL_COREFILE, "node-local-dns"), "Corefile", cache.want).text
    assert names(plan(done._replace(nodelocal=(nodelocal(text=text),)), OUT)) == [
        "Take the zone out of NodeLocal DNSCache",
        "Take the zone out of the Corefile",
        "Put back the image that was there",
        "Ask every pod",
        "Take the rights back",
    ]
    assert step_of(plan(done, OUT), RunImage).target.image == STOCK


def step_of_cache(found: Plan) -> EditCorefile:
    (one,) = [step for step in found.steps if isinstance(step, EditCorefile) and step.substitutes]
    return one


def test_absent_where_nothing_is_is_settled() -> None:
    assert plan(facts(), OUT).settled


def test_whoever_forwards_stops_before_whoever_serves() -> None:
    done = after(facts(STOCK), Want(mode="forward", image=OURS))
    assert names(plan(done, OUT)) == ["Take the zone out of the Corefile", "Ask every pod", "Take our own CoreDNS away"]


def test_image_and_rights_stay_while_another_zone_is_served() -> None:
    first = Want(image=OURS)
    both = after(after(facts(STOCK), first), first._replace(zone="other.example"))
    assert {one.zone for one in multicluster_zones(parse(both.text or ""))} == {"clusterset.local", "other.example"}
    found = plan(both, OUT)
    assert names(found) == ["Take the zone out of the Corefile", "Ask every pod"]
    assert found.notes == (
        "member2: CoreDNS still serves other.example from ServiceImports, so its image and its rights stay. Take that out first: with zone set to it,"
        " or by hand where it was not put there by this collection.",
    )
    rest = plan(after(both, OUT), OUT._replace(zone="other.example"))
    assert names(rest)[-2:] == ["Ask every pod", "Take the rights back"]


def test_image_and_rights_stay_while_the_zone_is_served_by_lines_of_others() -> None:
    block = "clusterset.local:53 {\n    errors\n    log\n    kubernetes clusterset.local {\n        multicluster clusterset.local\n    }\n}\n"
    theirs = KUBEADM_COREFILE + block
    done = after(facts(), Want())
    kept = done._replace(text=theirs, config_map=config_map(theirs), coredns=runs(image=OURS))
    found = plan(kept, OUT)
    assert names(found) == []
    assert any("CoreDNS still serves clusterset.local from ServiceImports, so its image and its rights stay." in note for note in found.notes)


def test_lines_of_ours_without_their_marks_go_all_the_same() -> None:
    done = after(facts(), Want())
    bare = "".join(line for line in (done.text or "").splitlines(keepends=True) if not line.lstrip().startswith("#"))
    assert bare != done.text
    found = plan(done._replace(text=bare, config_map=config_map(bare)), OUT)
    assert names(found) == ["Take the zone out of the Corefile", "Ask every pod", "Take the rights back"]


def test_a_record_that_is_left_over_goes() -> None:
    done = after(facts(), Want())
    swept = merged(dict(done.config_map or {}), {"data": {"Corefile": KUBEADM_COREFILE}})
    found = plan(done._replace(text=KUBEADM_COREFILE, config_map=swept), OUT)
    assert names(found) == ["Take the zone out of the Corefile", "Ask every pod", "Take the rights back"]


def test_rights_that_another_coredns_has_too_stay() -> None:
    done = after(facts(), Want())
    other = marked(rights.binding("dns", "other"))
    found = plan(done._replace(rights=(done.rights[0], (*done.rights[1], other))), OUT)
    removed = [one["metadata"]["name"] for one in step_of(found, Remove).objects]
    assert removed == ["clusterset-dns-coredns:kube-system:coredns"]


def test_rights_of_a_service_account_that_another_coredns_serves_with_stay() -> None:
    done = after(facts(), Want())
    found = plan(done._replace(relying="Deployment kube-system/second"), OUT)
    assert names(found) == ["Take the zone out of the Corefile", "Ask every pod"]


def test_rights_of_another_fleet_are_none_of_ours() -> None:
    theirs = (marked(rights.role(), "blue"), (marked(rights.binding("kube-system", "coredns"), "blue"),))
    assert plan(facts(rights=theirs), OUT).settled


@pytest.mark.parametrize("platform", ["k3s", "aks"])
def test_absent_takes_the_additional_block_before_our_own_coredns(platform: str) -> None:
    done = after(facts(STOCK, platform=platform), Want(image=OURS))
    edit = step_of(plan(facts(STOCK, platform=platform), Want(image=OURS)), EditCorefile)
    made = edited(None, "clusterset.server", edit.want)
    custom = {"metadata": {"name": "coredns-custom", "resourceVersion": "1"}, "data": {"clusterset.server": made.text}}
    found = plan(done._replace(delegated=custom), OUT)
    assert names(found) == ["Take the additional server block away", "Ask every pod", "Take our own CoreDNS away"]


def test_absent_takes_the_platforms_object_back_before_our_own_coredns() -> None:
    done = after(openshift(), Want(image=OURS))
    assert plan(done._replace(delegated=openshift().delegated), OUT).steps[0].name == "Take our own CoreDNS away"
    outcome = step_of(plan(openshift(), Want(image=OURS)), Delegate).outcome(World(t.cast("t.Any", None), Want(), done), done.delegated)
    told = merged(dict(done.delegated or {}), outcome.body)
    assert names(plan(done._replace(delegated=told), OUT)) == [
        "Have the platform forward the zone no longer",
        "Ask every pod",
        "Take our own CoreDNS away",
    ]


def test_absent_of_a_member_whose_coredns_is_ours_alone_needs_no_image() -> None:
    server = zone_server.objects(OURS, zone="clusterset.local", namespace="kube-system", name="clusterset-dns")
    removed = step_of(plan(facts(zone_server={one["kind"]: one for one in server}), OUT), Remove)
    assert [one["kind"] for one in removed.objects] == [one["kind"] for one in server]
    assert all(set(one) == {"apiVersion", "kind", "metadata"} for one in removed.objects)


def test_pods_that_are_not_asked_are_said() -> None:
    gap = "member2: n9 is not Ready, so that pods there are neither waited for nor asked."
    assert gap in plan(facts(nodes_down=frozenset({"n9"})), Want()).notes
    assert gap not in plan(facts(), Want()).notes
