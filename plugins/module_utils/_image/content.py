# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What is in an image, how it is called and which nodes it is for, as Docker, a registry and containerd describe it. Pure."""

from __future__ import annotations

import typing as t

# What of an image's configuration decides how a container of it runs, or whose it is.
_SETTINGS = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal")

Object = t.Mapping[str, t.Any]


class Content(t.NamedTuple):
    """What makes two images the same: an id would also say when and by whom each was built."""

    platform: str
    layers: tuple[str, ...]
    settings: dict[str, t.Any]


def content(description: Object) -> Content:
    """What is in an image.

    :arg description: `docker image inspect` of it, or its OCI configuration.
    """
    layers = description["RootFS"]["Layers"] if "RootFS" in description else description["rootfs"]["diff_ids"]
    config = description.get("Config") or description.get("config") or {}
    return Content(
        platform({name.lower(): value for name, value in description.items()}),
        tuple(layers or ()),
        {name: config[name] for name in _SETTINGS if config.get(name)},
    )


def platform(description: Object) -> str:
    """A platform in one word, such as `linux/arm64/v8`, of `{os, architecture, variant}`."""
    return "/".join(filter(None, (description.get(part) for part in ("os", "architecture", "variant"))))


def platforms(descriptions: t.Iterable[Object] | None) -> list[str]:
    """Those that an image is for, by what a registry says of it; attestations are for none."""
    return sorted({platform(one) for one in descriptions or () if one.get("os") not in (None, "", "unknown")})


def uncovered(platforms: t.Iterable[str], node_architectures: t.Iterable[str]) -> list[str]:
    """The architectures of nodes for which there is no such image; none where nothing is known of the image.

    :arg platforms: as `platforms` gives them.
    :arg node_architectures: as nodes have them in `status.nodeInfo.architecture`.
    """
    covered = {one.split("/")[1] for one in platforms if one.startswith("linux/")}
    return sorted(set(node_architectures) - covered) if covered else []


def choose(index: Object, wanted: str) -> str:
    """The digest of an image index's manifest for a platform; empty where it has none."""
    architecture = wanted.split("/")[:2]
    for manifest in index["manifests"]:
        if platform(manifest.get("platform") or {}).split("/")[:2] == architecture:
            return manifest["digest"]
    return ""


def split(reference: str) -> tuple[str, str]:
    """An image's repository and tag: `host:5000/a/b:v1` → `("host:5000/a/b", "v1")`; without a tag it is `latest`."""
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def normalized(reference: str) -> str:
    """The reference as containerd keeps it: with a registry's host, `library/` for Docker Hub's own, and a tag."""
    repository, tag = split(reference)
    host, slash, _rest = repository.partition("/")
    if not slash:
        repository = f"docker.io/library/{repository}"
    elif host != "localhost" and "." not in host and ":" not in host:
        repository = f"docker.io/{repository}"
    return f"{repository}:{tag}"
