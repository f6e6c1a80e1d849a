# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""Which image serves the zone in a member, and why: the one that runs there wherever that can. Pure: no client, no clock, no file."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.facts import Facts, Want
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.member import BUILTIN_COREDNS, container, image_version, text

__all__ = ["UPSTREAM_PREFIX", "UPSTREAM_VERSION", "Choice", "choose", "published_problem"]

# Where kubeadm takes CoreDNS from, for all architectures that Kubernetes knows, and what it takes with Kubernetes 1.37.
UPSTREAM_PREFIX = "registry.k8s.io/coredns"
UPSTREAM_VERSION = "v1.14.6"
# CoreDNS's notes/coredns-1.14.5.md: plugins kubernetes, rewrite and transfer.
_MENDED: tuple[int, ...] = (1, 14, 5)
_CAN = f"{text(BUILTIN_COREDNS)} or newer can"
_REFERENCE = re.compile(r"[a-z0-9][a-z0-9.-]*(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Choice(t.NamedTuple):
    """Which image serves the zone. ``source`` is where it comes from: ``given``, ``keep``, ``upstream`` or ``build``; ``image`` is '' for the one that
    the platform's CoreDNS runs. ``now`` is what the CoreDNS in question runs, '' for none. ``problem`` says why there is none, and ``needs`` is the
    option that would help.
    """

    source: str
    image: str
    reason: str
    now: str = ""
    note: str = ""
    problem: str = ""
    needs: str = ""

    @property
    def fetched(self) -> str:
        """Upstream's image, where it is another one than runs: its registry can be asked for it."""
        return self.image if self.source == "upstream" and self.image != self.now and not self.problem else ""


def choose(facts: Facts, want: Want) -> Choice:
    """The image for a member by what is asked for (``image``, ``image_source``), where the zone is to be served."""
    name, platform = facts.name, facts.platform
    running = facts.coredns.image if facts.coredns else ""
    forward = want.mode == "forward" or (want.mode == "auto" and (platform.place != "corefile" or not (platform.image or _may_serve(running))))
    own = container(facts.zone_server["Deployment"])["image"] if forward and facts.zone_server else ""
    now = own if forward else running
    source = "build" if want.mode == "plugin" and want.image_source == "auto" else want.image_source
    if want.image:
        problem = f"{name}: image and image_source={want.image_source} contradict each other. Leave image empty, or set image_source to auto."
        return Choice("given", want.image, "it was given", now, problem=problem if want.image_source != "auto" else "", needs="image_source")
    if source == "build":
        return _built(name, want, now)
    if source == "upstream":
        return _upstream(name, want, now, "it was asked for")
    # our own CoreDNS takes the image that the platform's runs, which has to be known to serve: nothing but the tag tells
    kept = now if _may_serve(now) else running if forward and _serves(running) else ""
    if want.mode == "plugin" or (kept and not forward):
        reason = "it was asked for" if source == "keep" or want.mode == "plugin" else _why_kept(running)
        return Choice("keep", "", reason, now, note=_note(name, running) if want.mode != "plugin" else "")
    if kept:
        return Choice("keep", kept, f"{'our own CoreDNS' if own else 'the platform'} runs it, and it serves ServiceImports", now, note=_note(name, kept))
    version = image_version(running)
    runs = f"runs CoreDNS {text(version)}, which cannot" if version else f"runs {running or 'no CoreDNS'}, which is not known to"
    if source == "keep":
        problem = (
            f"{name} {runs} serve ServiceImports; {_CAN}. image_source is keep, so it gets no other image. Set image_source to auto, upstream or build,"
            " or set image."
        )
        return Choice("keep", "", "it was asked for", now, problem=problem, needs="image_source")
    return _upstream(name, want, now, f"it {runs} serve ServiceImports")


def _built(name: str, want: Want, now: str) -> Choice:
    asked = want.image_source == "build"
    reason = "it was asked for" if asked else "mode plugin needs an image that has the external plugin"
    problem = "" if want.image_built else f"{name}: {'image_source is build' if asked else reason}, and no image was built. Set image_built to the one to run."
    return Choice("build", want.image_built, reason, now, problem=problem, needs="image_built")


def _upstream(name: str, want: Want, now: str, reason: str) -> Choice:
    """Upstream's image; with no version asked for any that serves, so that no newer version of this collection exchanges it."""
    prefix, found = (want.image_prefix or UPSTREAM_PREFIX).rstrip("/"), want.image_version
    repository = f"{prefix}/coredns"
    if want.mode == "plugin":
        problem = f"{name}: upstream's image does not have the external plugin, which mode plugin needs. Set image_source to build or keep, or set image."
        return Choice("upstream", "", reason, now, problem=problem, needs="image_source")
    if not found and now.rpartition(":")[0] == repository and _serves(now):
        return Choice("upstream", now, "it is upstream's, and no version is asked for", now, note=_note(name, now))
    # upstream's tags on Docker Hub have no v
    image = f"{repository}:{found or UPSTREAM_VERSION.removeprefix('v' if prefix.startswith('docker.io/') else '')}"
    version = image_version(image)
    problem = ""
    if not _REFERENCE.fullmatch(image):
        problem = f"{name}: {image} is no name of an image. Set image_prefix to such as {UPSTREAM_PREFIX}, and image_version to such as {UPSTREAM_VERSION}."
    elif version and version < BUILTIN_COREDNS:
        problem = f"{name}: image_version {found} is CoreDNS {text(version)}, which cannot serve ServiceImports; {_CAN}. Set image_version to one that can."
    return Choice("upstream", image, reason, now, note=_note(name, image), problem=problem, needs="image_version")


def published_problem(facts: Facts, want: Want, choice: Choice) -> tuple[str, str]:
    """What a registry's answer means for the image that was chosen. :returns: a problem and a note, '' each where there is none."""
    answer, name, image = facts.published, facts.name, choice.fetched
    if not image or answer is None:
        return "", ""
    host = image.partition("/")[0]
    if answer.state == "missing":
        example = f"{UPSTREAM_VERSION}, or {UPSTREAM_VERSION[1:]} on Docker Hub"
        return f"{name}: {host} has no image {image}. Set image_version to a tag that it has, such as {example}, or image_prefix to another place.", ""
    if answer.state == "unreached" and want.image_source == "auto":
        return (
            f"{name}: a CoreDNS that can serve ServiceImports is needed, because {choice.reason}, and {host} cannot be reached to see whether it has"
            f" {image} ({answer.words}). Set image to one that the nodes have or reach, image_prefix to a registry that is reached,"
            " image_source=upstream where the nodes reach that registry, or image_source=build."
        ), ""
    if answer.state != "there":
        return "", f"{name}: {host} did not say whether it has {image} ({answer.words}), so the pods have to show it."
    return "", ""


def _may_serve(image: str) -> bool:
    """Whether an image serves ServiceImports, as far as its tag tells: one without a version has to be proven in a pod."""
    version = image_version(image)
    return bool(image) and (version is None or version >= BUILTIN_COREDNS)


def _serves(image: str) -> bool:
    return _may_serve(image) and image_version(image) is not None


def _why_kept(image: str) -> str:
    version = image_version(image)
    return f"CoreDNS {text(version)} serves ServiceImports by itself" if version else "its name does not say its version, so a pod has to prove it"


def _note(name: str, image: str) -> str:
    version = image_version(image)
    if version is None or not BUILTIN_COREDNS <= version < _MENDED:
        return ""
    return (
        f"{name}: CoreDNS {text(version)} serves the zone. CoreDNS {text(_MENDED)} mends panics at zone transfers and at rewritten EDNS0 options. Upgrade to"
        " it when you can."
    )
