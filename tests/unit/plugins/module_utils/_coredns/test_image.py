# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Which image serves the zone, by what a member is and what is asked for."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns import image as image_module
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.image import UPSTREAM_PREFIX, UPSTREAM_VERSION, choose
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.plan import image_to_ask_for, plan
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.platform import PLATFORMS
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_objects import ServeZone
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.step_pods import RunImage
from ansible_collections.clusterset.dns.plugins.module_utils._image.registry import Answer

from .test_plan import config_map, facts, names, runs

OLD = f"{UPSTREAM_PREFIX}/coredns:v1.12.1"
SHIPPED = f"{UPSTREAM_PREFIX}/coredns:v1.13.1"
NEWER = f"{UPSTREAM_PREFIX}/coredns:v1.14.7"
UPSTREAM = f"{UPSTREAM_PREFIX}/coredns:{UPSTREAM_VERSION}"
DIGEST = "registry.example.com/coredns@sha256:" + "0" * 64
VENDOR = "registry.example.com/vendor/coredns:v1.14.2-build20260101"
BUILT = "localhost/coredns-multicluster/0b5f6f1c2d3e:v1.15.0"
GIVEN = "registry.example.com/dns/coredns:v1.14.6"
MIRROR = "mirror.example.com/k8s/coredns"
CANNOT = "it runs CoreDNS 1.12.1, which cannot serve ServiceImports"


def member(image: str = OLD, platform: str = "kubeadm", own: str = "") -> Facts:
    """A member, with a CoreDNS of our own where ``own`` is its image."""
    server: dict[str, t.Any] = {"Deployment": dict(runs("clusterset-dns", own).item)} if own else {}
    found = facts(image=image, platform=platform, zone_server=server)
    return found if image else found._replace(coredns=None)


# --- which, and why ---------------------------------------------------------------------------------------------------------------------

CHOICES: dict[str, tuple[Facts, dict[str, t.Any], tuple[str, str, str]]] = {
    "one that can is kept": (member(SHIPPED), {}, ("keep", "", "CoreDNS 1.13.1 serves ServiceImports by itself")),
    "a vendor's is kept": (member(VENDOR), {}, ("keep", "", "CoreDNS 1.14.2 serves ServiceImports by itself")),
    "one of an unknown version is kept and proven": (member(DIGEST), {}, ("keep", "", "so a pod has to prove it")),
    "our own build is kept": (member(BUILT), {}, ("keep", "", "CoreDNS 1.15.0 serves ServiceImports by itself")),
    "one that cannot gets upstream's": (member(OLD), {}, ("upstream", UPSTREAM, CANNOT)),
    "from a mirror": (member(OLD), {"image_prefix": f"{MIRROR}/", "image_version": "v1.14.7"}, ("upstream", f"{MIRROR}/coredns:v1.14.7", CANNOT)),
    "from Docker Hub": (member(OLD), {"image_prefix": "docker.io/coredns"}, ("upstream", f"docker.io/coredns/coredns:{UPSTREAM_VERSION[1:]}", CANNOT)),
    "a version asked for changes no other": (member(SHIPPED), {"image_version": "v1.14.7"}, ("keep", "", "CoreDNS 1.13.1")),
    "keep": (member(SHIPPED), {"image_source": "keep"}, ("keep", "", "it was asked for")),
    "upstream for another's": (member(VENDOR), {"image_source": "upstream"}, ("upstream", UPSTREAM, "it was asked for")),
    "upstream's other version stays": (member(SHIPPED), {"image_source": "upstream"}, ("upstream", SHIPPED, "no version is asked for")),
    "unless it cannot serve": (member(OLD), {"image_source": "upstream"}, ("upstream", UPSTREAM, "it was asked for")),
    "unless a version is asked for": (member(SHIPPED), {"image_source": "upstream", "image_version": "v1.14.7"}, ("upstream", NEWER, "it was asked for")),
    "build": (member(SHIPPED), {"image_source": "build", "image_built": BUILT}, ("build", BUILT, "it was asked for")),
    "mode plugin builds": (member(SHIPPED), {"mode": "plugin", "image_built": BUILT}, ("build", BUILT, "mode plugin needs an image that has")),
    "mode plugin keeps what it is told to": (member(OLD), {"mode": "plugin", "image_source": "keep"}, ("keep", "", "it was asked for")),
    "given": (member(SHIPPED), {"image": GIVEN}, ("given", GIVEN, "it was given")),
    "given for mode plugin": (member(SHIPPED), {"mode": "plugin", "image": GIVEN}, ("given", GIVEN, "it was given")),
    "forward takes the platform's": (member(SHIPPED, "k3s"), {}, ("keep", SHIPPED, "the platform runs it")),
    "forward keeps our own": (member(NEWER, "k3s", own=SHIPPED), {}, ("keep", SHIPPED, "our own CoreDNS runs it")),
    "forward keeps our own, told to": (member("", "gke", own=SHIPPED), {"image_source": "keep"}, ("keep", SHIPPED, "our own CoreDNS runs it")),
    "forward with nothing to go by": (member("", "gke"), {}, ("upstream", UPSTREAM, "it runs no CoreDNS, which is not known to serve")),
    "forward without a version": (member(DIGEST, "aks"), {}, ("upstream", UPSTREAM, "which is not known to serve ServiceImports")),
    "forward where it is asked for": (member(OLD), {"mode": "forward"}, ("upstream", UPSTREAM, CANNOT)),
    "forward of a platform that keeps its image": (member(OLD, "eks"), {}, ("upstream", UPSTREAM, CANNOT)),
    "forward, built": (member(OLD), {"mode": "forward", "image_source": "build", "image_built": BUILT}, ("build", BUILT, "it was asked for")),
}


@pytest.mark.parametrize("what", CHOICES)
def test_the_image_and_why(what: str) -> None:
    found, asked, (source, image, words) = CHOICES[what]
    chosen = choose(found, Want(**asked))
    assert (chosen.source, chosen.image, chosen.problem) == (source, image, "")
    assert words in chosen.reason


@pytest.mark.parametrize("what", CHOICES)
def test_a_newer_version_of_this_collection_changes_no_image(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked, (_source, image, _words) = CHOICES[what]
    want = Want(**asked)
    if plan(found, want).mode == "forward":
        found = found._replace(zone_server={"Deployment": dict(runs("clusterset-dns", image).item)})
    elif image:
        found = found._replace(coredns=runs(image=image))
    monkeypatch.setattr(image_module, "UPSTREAM_VERSION", "v9.9.9")
    assert choose(found, want).image in ("", image)
    assert image_to_ask_for(found, want) == ""


REFUSALS: dict[str, tuple[Facts, dict[str, t.Any], str, str]] = {
    "too old to be kept": (
        member(OLD),
        {"image_source": "keep"},
        "member2 runs CoreDNS 1.12.1, which cannot serve ServiceImports; 1.12.2 or newer can. image_source is keep, so it gets no other image."
        " Set image_source to auto, upstream or build, or set image.",
        "image_source",
    ),
    "none to be kept": (member("", "gke"), {"image_source": "keep"}, "member2 runs no CoreDNS, which is not known to serve ServiceImports", "image_source"),
    "too old to be kept for our own": (member(OLD, "eks"), {"image_source": "keep"}, "image_source is keep, so it gets no other image", "image_source"),
    "nothing was built": (
        member(),
        {"image_source": "build"},
        "member2: image_source is build, and no image was built. Set image_built to the one to run.",
        "image_built",
    ),
    "nothing was built with the plugin": (
        member(),
        {"mode": "plugin"},
        "member2: mode plugin needs an image that has the external plugin, and no image was built. Set image_built to the one to run.",
        "image_built",
    ),
    "upstream has no plugin": (
        member(),
        {"mode": "plugin", "image_source": "upstream"},
        "member2: upstream's image does not have the external plugin, which mode plugin needs. Set image_source to build or keep, or set image.",
        "image_source",
    ),
    "image and source": (
        member(),
        {"image": GIVEN, "image_source": "keep"},
        "member2: image and image_source=keep contradict each other. Leave image empty, or set image_source to auto.",
        "image_source",
    ),
    "a version that is too old": (
        member(),
        {"image_version": "v1.12.1"},
        "member2: image_version v1.12.1 is CoreDNS 1.12.1, which cannot serve ServiceImports; 1.12.2 or newer can. Set image_version to one that can.",
        "image_version",
    ),
    "a prefix that is none": (
        member(),
        {"image_prefix": "https://mirror.example.com"},
        "member2: https://mirror.example.com/coredns:v1.14.6 is no name of an image. Set image_prefix to such as registry.k8s.io/coredns",
        "image_version",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_cannot_be_is_one_sentence_and_no_step(what: str) -> None:
    found, asked, words, needs = REFUSALS[what]
    todo = plan(found, Want(**asked))
    assert len(todo.problems) == 1
    assert words in todo.problems[0]
    assert (todo.needs, todo.steps, image_to_ask_for(found, Want(**asked))) == (needs, (), "")


@pytest.mark.parametrize("image", [OLD, SHIPPED, NEWER, DIGEST, UPSTREAM])
def test_a_version_before_panics_were_mended_is_noted(image: str) -> None:
    notes = " ".join(plan(member(image), Want()).notes)
    assert ("member2: CoreDNS 1.13.1 serves the zone. CoreDNS 1.14.5 mends panics" in notes) == (image == SHIPPED)
    assert ("mends panics" in notes) == (image == SHIPPED)


def test_a_way_back_chooses_no_image() -> None:
    assert image_to_ask_for(member(), Want(state="absent")) == ""
    assert plan(member(), Want(state="absent", image=GIVEN, image_source="keep")).problems == ()


# --- what follows -----------------------------------------------------------------------------------------------------------------------


def test_upstreams_image_is_run_where_the_old_one_cannot() -> None:
    todo = plan(member()._replace(published=Answer("there", ("linux/amd64",))), Want())
    (step,) = [one for one in todo.steps if isinstance(one, RunImage)]
    assert (step.target.image, todo.mode, todo.image) == (UPSTREAM, "builtin", UPSTREAM)
    assert (todo.source, todo.image_reason) == ("upstream", CANNOT)


def test_no_image_is_run_where_one_is_kept() -> None:
    todo = plan(member(SHIPPED), Want())
    assert "Run the image that serves the zone" not in names(todo)
    assert (todo.source, todo.image) == ("keep", "")


def test_a_platform_that_puts_its_image_back_keeps_it_even_where_another_is_asked_for() -> None:
    todo = plan(member(SHIPPED, "eks"), Want(image_source="build", image_built=BUILT))
    assert (todo.mode, todo.source, todo.image, todo.image_reason) == ("builtin", "keep", "", "EKS puts its own image back")


def test_our_own_coredns_gets_upstreams() -> None:
    todo = plan(member("", "gke")._replace(config_map=config_map()), Want())
    (step,) = [one for one in todo.steps if isinstance(one, ServeZone)]
    (deployment,) = [one for one in step.objects if one["kind"] == "Deployment"]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == UPSTREAM


# --- what its registry says -------------------------------------------------------------------------------------------------------------

UNREACHED = Answer("unreached", words="Name or service not known")
REFUSED = Answer("refused", words="403 Forbidden")
ANSWERS = {
    "no such tag": (
        Answer("missing"),
        {},
        "member2: registry.k8s.io has no image registry.k8s.io/coredns/coredns:v1.14.6. Set image_version to a tag that it has, such as v1.14.6, or 1.14.6"
        " on Docker Hub, or image_prefix to another place.",
    ),
    "out of reach": (
        UNREACHED,
        {},
        "member2: a CoreDNS that can serve ServiceImports is needed, because it runs CoreDNS 1.12.1, which cannot serve ServiceImports, and registry.k8s.io"
        " cannot be reached to see whether it has registry.k8s.io/coredns/coredns:v1.14.6 (Name or service not known). Set image to one that the nodes"
        " have or reach, image_prefix to a registry that is reached, image_source=upstream where the nodes reach that registry, or image_source=build.",
    ),
    "for other nodes": (
        Answer("there", ("linux/amd64", "linux/s390x")),
        {},
        "member2: the image registry.k8s.io/coredns/coredns:v1.14.6 is not there for arm64, which some of its nodes are. Set image to one that covers them.",
    ),
}


@pytest.mark.parametrize("what", ANSWERS)
def test_what_a_registry_does_not_have_is_refused(what: str) -> None:
    answer, asked, words = ANSWERS[what]
    found = member()._replace(published=answer, nodes={"node1": "amd64", "node2": "arm64"})
    assert image_to_ask_for(found, Want(**asked)) == UPSTREAM
    todo = plan(found, Want(**asked))
    assert (todo.problems, todo.steps) == ((words,), ())


@pytest.mark.parametrize(("answer", "asked"), [(UNREACHED, {"image_source": "upstream"}), (REFUSED, {}), (REFUSED, {"image_source": "upstream"})])
def test_what_a_registry_does_not_say_a_pod_has_to_show(answer: Answer, asked: dict[str, t.Any]) -> None:
    todo = plan(member()._replace(published=answer), Want(**asked))
    assert "Prove the change beside CoreDNS" in names(todo)
    assert f"registry.k8s.io did not say whether it has {UPSTREAM} ({answer.words}), so the pods have to show it." in " ".join(todo.notes)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_image_for_other_nodes_is_refused_on_every_platform(platform: str) -> None:
    found = member(OLD, platform)._replace(published=Answer("there", ("linux/arm64/v8",)), nodes={"node1": "amd64"})
    (problem,) = plan(found, Want()).problems
    assert f"the image {UPSTREAM} is not there for amd64" in problem
