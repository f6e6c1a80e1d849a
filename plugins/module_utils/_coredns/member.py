# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What a member cluster is, read off its objects, and what does not fit. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube.rights import describe_right

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
    """The container that runs CoreDNS: the one of that name, else the first."""
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if one["name"] == "coredns"), containers[0])


def coredns(deployment: Object) -> dict[str, t.Any]:
    """What matters of the Deployment that runs CoreDNS.

    :returns: ``{namespace, deployment, container, image, version, service_account, configmap, key, sub_path, replicas, paused,
        selector, original_image, annotated, rolled_out}``; ``configmap`` is None where no ConfigMap is mounted (the
        Corefile comes from elsewhere). With ``sub_path`` a pod never sees that it has changed.
    """
    metadata, template = deployment["metadata"], deployment["spec"]["template"]["spec"]
    runs = container(deployment)
    volume, key, sub_path = _corefile_source(template, runs)
    annotations = metadata.get("annotations") or {}
    return {
        "namespace": metadata["namespace"],
        "deployment": metadata["name"],
        "container": runs["name"],
        "image": runs["image"],
        "version": text(image_version(runs["image"])),
        "service_account": template.get("serviceAccountName") or "default",
        "configmap": volume,
        "key": key,
        "sub_path": sub_path,
        "replicas": deployment["spec"].get("replicas", 1),
        # what teardown puts back; remembered in the cluster, so that another machine can undo what this one did
        "original_image": annotations.get(ORIGINAL_IMAGE, runs["image"]),
        "annotated": ORIGINAL_IMAGE in annotations,
        "rolled_out": _rolled_out(deployment),
        "paused": bool(deployment["spec"].get("paused")),
        "selector": ",".join(f"{k}={v}" for k, v in sorted(deployment["spec"]["selector"]["matchLabels"].items())),
    }


def _rolled_out(deployment: Object) -> bool:
    """Whether every replica runs the Deployment's newest template and is available, as ``kubectl rollout status`` decides it."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    return (
        status.get("observedGeneration") == deployment["metadata"].get("generation")
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


def _corefile_source(template: Object, runs: Object) -> tuple[str | None, str | None, bool]:
    """Name and key of the ConfigMap that is mounted where ``-conf`` points, and whether it is by a subPath."""
    arguments = [*runs.get("command", []), *runs.get("args", [])]
    path = next((arguments[i + 1] for i, word in enumerate(arguments[:-1]) if word.lstrip("-") == "conf"), "Corefile")
    folder, _slash, file = path.rpartition("/")
    for mount in runs.get("volumeMounts", []):
        volume = next((one for one in template.get("volumes", []) if one["name"] == mount["name"]), {})
        source = volume.get("configMap")
        if not source or mount["mountPath"].rstrip("/") not in (folder, path):
            continue
        items = {item["path"]: item["key"] for item in source.get("items") or []}
        file = mount.get("subPath") or file
        return source["name"], items.get(file, file), bool(mount.get("subPath"))
    return None, None, False


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


def problems(
    name: str,
    kubernetes: t.Sequence[int],
    missing_rights: t.Iterable[Object],
    found: Object | None,
    elsewhere: t.Sequence[str],
    expected: str,
    *,
    changed: bool = True,
) -> list[str]:
    """The sentences that say why this member cannot take part; empty where it can.

    :arg found: what :func:`coredns` returned, or None; ``elsewhere`` are Deployments that look like CoreDNS instead of the
        ``expected`` one (``NAMESPACE/NAME``).
    :arg changed: whether that Deployment is to be changed; on a platform that keeps it to itself it need not be there.
    """
    sentences = []
    if tuple(kubernetes) < OLDEST_KUBERNETES:
        sentences.append(
            f"{name} runs Kubernetes {text(kubernetes)}; {text(OLDEST_KUBERNETES)} or newer is needed. Upgrade it or take it"
            " out of the play."
        )
    rights = [describe_right(right) for right in missing_rights]
    if rights:
        sentences.append(
            f"{name}: the credentials in use may not {'; nor '.join(rights)}. Grant that or set another kubeconfig or context."
        )
    if not changed:
        return sentences
    if found is None:
        hint = (
            f" Found instead: {', '.join(elsewhere)}."
            if elsewhere
            else " Nothing there is labelled k8s-app=kube-dns either."
        )
        sentences.append(
            f"{name} has no CoreDNS Deployment {expected}.{hint} Set coredns_multicluster_namespace and"
            " coredns_multicluster_deployment."
        )
        return sentences
    version = image_version(found["image"])
    if version and version < OLDEST_COREDNS:
        sentences.append(f"{name} runs CoreDNS {text(version)}; {text(OLDEST_COREDNS)} or newer is needed. Upgrade it.")
    if found["configmap"] is None:
        sentences.append(
            f"{name}: CoreDNS in Deployment {expected} reads its Corefile from no ConfigMap. Mount one where -conf points."
        )
    if found["paused"]:
        sentences.append(f"{name}: Deployment {expected} is paused, so no change would reach its pods. Resume it.")
    return sentences


def zone_problems(member: Object, *, zone: str, cluster_domain: str, check_mode: bool = False) -> list[str]:
    """Why CoreDNS of ``member`` (as :func:`coredns` and its module give it) cannot serve ``zone``, a sentence each.

    :arg check_mode: the CustomResourceDefinitions may be missing, as the plays before this one have not made them.
    """
    name, sentences = member["name"], list(member["problems"])
    zone, cluster_domain = zone.rstrip(".").lower(), cluster_domain.rstrip(".").lower()
    if zone == cluster_domain:
        sentences.append(
            f"The zone {zone} is the cluster domain, which every Service of {name} has its name in."
            " Set clusterset_zone to another one, such as clusterset.local."
        )
    crd = member["crds"]["serviceimports"]
    if not check_mode and not crd["established"]:
        sentences.append(
            f"{name} has no ServiceImport CustomResourceDefinition that is Established, without which CoreDNS does not get"
            " ready. Run the role mcs_crds first (tag mcs_crds), and see that Karmada shows the member as Ready."
        )
    elif crd["established"] and "v1alpha1" not in crd["served"]:
        sentences.append(
            f"{name}: the ServiceImport CustomResourceDefinition does not serve v1alpha1, which CoreDNS reads."
        )
    return sentences
