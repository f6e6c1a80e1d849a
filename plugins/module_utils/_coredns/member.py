# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a member cluster is, read off its objects, and what does not fit. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._coredns.workloads import container_of

Object = t.Mapping[str, t.Any]
Version = tuple[int, ...]

# The oldest that the collection supports: EndpointSlices are stable since Kubernetes 1.21, and CoreDNS 1.9.3 is what
# kubeadm shipped from then on that has what the zone's server block needs.
OLDEST_KUBERNETES: Version = (1, 21)
OLDEST_COREDNS: Version = (1, 9, 3)
# The kubernetes plugin's option `multicluster`: https://coredns.io/2025/06/05/coredns-1.12.2-release/
BUILTIN_COREDNS: Version = (1, 12, 2)
# Where the image that a Deployment ran before this collection came is kept.
ORIGINAL_IMAGE = "clusterset.dns/original-image"


def image_version(image: str) -> Version | None:
    """CoreDNS's version by its image's tag (``…/coredns:v1.12.1`` → ``(1, 12, 1)``); None where the tag is no version."""
    name = image.partition("@")[0]
    tag = name.rpartition(":")[2] if ":" in name.rpartition("/")[2] else ""
    parts = tag.removeprefix("v").partition("-")[0].split(".")
    return tuple(map(int, parts)) if len(parts) == 3 and all(part.isdigit() for part in parts) else None


def text(version: t.Sequence[int] | None) -> str:
    """A version as people write it."""
    return ".".join(map(str, version)) if version else "unknown"


def container(deployment: Object) -> dict[str, t.Any]:
    """The container that runs CoreDNS."""
    return container_of(deployment["spec"]["template"]["spec"]["containers"])


def coredns(deployment: Object) -> dict[str, t.Any]:
    """What a Deployment that runs CoreDNS is at: ``{image, version, replicas, paused, rolled_out}``."""
    runs = container(deployment)
    return {
        "image": runs["image"],
        "version": text(image_version(runs["image"])),
        "replicas": deployment["spec"].get("replicas", 1),
        "paused": bool(deployment["spec"].get("paused")),
        "rolled_out": _rolled_out(deployment),
    }


def _rolled_out(deployment: Object) -> bool:
    """Whether every replica runs the Deployment's newest template and is available, as ``kubectl rollout status`` decides it."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    return (
        status.get("observedGeneration") == deployment["metadata"].get("generation")
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def crd_state(crd: Object | None) -> dict[str, t.Any]:
    """Whether a CustomResourceDefinition is there and usable: ``{present, established, served, maximum_ips}``."""
    if crd is None:
        return {"present": False, "established": False, "served": []}
    conditions = crd.get("status", {}).get("conditions") or []
    return {
        "present": True,
        "established": any(one["type"] == "Established" and one["status"] == "True" for one in conditions),
        "served": [version["name"] for version in crd["spec"]["versions"] if version["served"]],
    }
