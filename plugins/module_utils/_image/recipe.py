# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What goes into an image of CoreDNS, and what that makes of plugin.cfg, of `go build` and of the image's files.

Pure but for `tree_digest`, which reads the source tree that it is told to.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import re
import struct
import tarfile
import typing as t
from pathlib import Path

MODULE = "github.com/coredns/coredns"
# The kubernetes plugin's option `multicluster` came with this version; older ones need the external plugin.
BUILTIN_MULTICLUSTER = (1, 12, 2)
TAGS = "grpcnotrace"
LDFLAGS = f"-s -w -X {MODULE}/coremain.GitCommit="
# Each is given a value, because an empty variable lets `go env -w` and the user's GOFLAGS decide what the binary is.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod -trimpath -buildvcs=false", "GOWORK": "off"}
TARGET = {"GOOS": "linux", "GOAMD64": "v1", "GOARM64": "v8.0"}
# ADD, not COPY: an unpacked archive brings file capabilities along with every builder, and times that do not change.
DOCKERFILE = """\
FROM scratch
ADD root.tar /
USER 65532:65532
WORKDIR /
EXPOSE 53 53/udp
ENTRYPOINT ["/coredns"]
"""
# What an image says it was built from, so that one of another origin under its name is not taken for it.
LABEL = "clusterset.dns.recipe"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}

_VERSION = re.compile(r"\d+\.\d+\.\d+")
_PINNED = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+incompatible)?|[0-9a-f]{12,40}")
_PLUGIN = re.compile(r"[a-z][a-z0-9_]*")
_MODULE_PATH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*")
_TOOLCHAIN = re.compile(r"auto|local|go\d+\.\d+(\.\d+)?")
# struct vfs_cap_data, revision 2 with the effective bit, cap_net_bind_service (10) permitted: what
# `setcap cap_net_bind_service=+ep` writes (linux/capability.h).
_NET_BIND_SERVICE = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0).decode("ascii")


class RecipeError(Exception):
    """Something that no image can be built from, as a sentence."""


class Plugin(t.NamedTuple):
    """A line of plugin.cfg: from a Go module at `version`, or from the source tree at `path`."""

    name: str
    module: str
    version: str
    path: str
    position: str


class Recipe(t.NamedTuple):
    """What is decided before a build: CoreDNS at `version`, from its Go module or from the tree at `path`."""

    version: str
    path: str
    plugins: tuple[Plugin, ...]
    arch: str
    toolchain: str
    dockerfile: str


def recipe(inputs: t.Mapping[str, t.Any]) -> Recipe:
    """The recipe that the inputs ask for.

    :arg inputs: `{version, path, plugins, arch, toolchain, dockerfile}`; all but `version` may be absent or empty.
        `plugins` is a list of `{name, module, version | path, position}`, `arch` Go's name or `auto` for this machine's.
    :raises RecipeError: what cannot be built, with the input to set.
    """
    version = str(inputs.get("version") or "")
    if not _VERSION.fullmatch(version):
        raise RecipeError(f"{version!r} is no version of CoreDNS: set version to such as 1.15.0.")
    plugins = tuple(_plugin(number, item) for number, item in enumerate(inputs.get("plugins") or (), start=1))
    names = [plugin.name for plugin in plugins]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"plugins names {name!r} twice: leave one of them.")
    if tuple(map(int, version.split("."))) < BUILTIN_MULTICLUSTER and "multicluster" not in names:
        raise RecipeError(
            f"CoreDNS {version} has no multicluster support of its own: set version to 1.12.2 or newer, "
            "or name the plugin 'multicluster' (github.com/coredns/multicluster) in plugins."
        )
    toolchain = str(inputs.get("toolchain") or "auto")
    if not _TOOLCHAIN.fullmatch(toolchain):
        raise RecipeError(f"{toolchain!r} is no toolchain of Go's: set toolchain to auto, local or such as go1.26.8.")
    arch = str(inputs.get("arch") or "auto")
    if arch == "auto":
        arch = ARCHITECTURES.get(platform.machine(), platform.machine())
    return Recipe(version, _folder(inputs.get("path")), plugins, arch, toolchain, _folder(inputs.get("dockerfile")))


def _plugin(number: int, item: t.Mapping[str, t.Any]) -> Plugin:
    where = f"plugins, item {number}"
    name, module = str(item.get("name") or ""), str(item.get("module") or "")
    version, path = str(item.get("version") or ""), _folder(item.get("path"))
    position = str(item.get("position") or "after")
    if not _PLUGIN.fullmatch(name):
        raise RecipeError(f"{where}: {name!r} is no name for a plugin: set 'name' to the word that the Corefile uses.")
    if not _MODULE_PATH.fullmatch(module):
        raise RecipeError(f"{where} ({name}): {module!r} is no Go module: set 'module' to such as github.com/coredns/multicluster.")
    if bool(version) == bool(path):
        raise RecipeError(f"{where} ({name}): set either 'version' (pinned) or 'path' (a local source tree).")
    if version and not _PINNED.fullmatch(version):
        raise RecipeError(
            f"{where} ({name}): the version {version!r} is not pinned: set 'version' to a tag such as v1.2.3, "
            "a pseudo-version, or a commit of at least 12 hex digits."
        )
    if position not in ("after", "before"):
        raise RecipeError(f"{where} ({name}): {position!r} is no position: set 'position' to after or before (kubernetes).")
    return Plugin(name, module, version, path, position)


def _folder(path: object) -> str:
    absolute = os.path.expanduser(str(path)) if path else ""
    if absolute and not os.path.isabs(absolute):
        raise RecipeError(f"The path {str(path)!r} is not absolute: write the whole path, such as {{{{ playbook_dir }}}}/{path}.")
    return absolute


def identifier(wanted: Recipe, digests: t.Mapping[str, str]) -> str:
    """12 hex digits that differ wherever the image would: over the recipe, its paths' contents, and how it is built.

    :arg digests: for each path in the recipe what `tree_digest` says; where a tree lies does not matter.
    """
    content = wanted._asdict() | {
        "path": digests.get(wanted.path, ""),
        "plugins": [plugin._asdict() | {"path": digests.get(plugin.path, "")} for plugin in wanted.plugins],
        "dockerfile": digests.get(wanted.dockerfile, "") or DOCKERFILE,
        "build": [TAGS, LDFLAGS, sorted((ENVIRONMENT | TARGET).items()), _NET_BIND_SERVICE, LABEL],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def labelled(dockerfile: str, recipe: str) -> str:
    """A Dockerfile whose image says which recipe it is of."""
    return f"{dockerfile.rstrip()}\nLABEL {LABEL}={recipe}\n"


def paths(wanted: Recipe) -> list[str]:
    """The local files and trees that the recipe uses."""
    return [path for path in (wanted.path, wanted.dockerfile, *(plugin.path for plugin in wanted.plugins)) if path]


def tree_digest(path: str) -> str:
    """A sha256 over a file, or over the names, modes and contents of a source tree (without `.git`).

    :raises RecipeError: there is nothing to read.
    """
    root = Path(path)
    digest = hashlib.sha256()
    try:
        if not root.is_dir():
            return hashlib.sha256(root.read_bytes()).hexdigest()
        for folder, folders, files in os.walk(root):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in sorted(files):
                file = Path(folder, name)
                content = os.readlink(file).encode() if file.is_symlink() else file.read_bytes()
                entry = f"{file.relative_to(root)}\0{file.is_symlink()}\0{os.access(file, os.X_OK)}\0{len(content)}\0"
                digest.update(entry.encode("utf-8", "surrogateescape"))
                digest.update(content)
    except OSError as error:
        raise RecipeError(
            f"{error.filename or path} cannot be read ({error.strerror}): set path and dockerfile to what is on the controller."
        ) from error
    return digest.hexdigest()


def recipe_identifier(inputs: t.Mapping[str, t.Any]) -> str:
    """`identifier` of what the inputs ask for, with the paths read."""
    wanted = recipe(inputs)
    return identifier(wanted, {path: tree_digest(path) for path in paths(wanted)})


def insert_plugins(text: str, plugins: t.Sequence[Plugin]) -> str:
    """CoreDNS's plugin.cfg with a line for each plugin next to that of `kubernetes`, in the order given.

    The order of the lines is the order in which plugins see a query.
    :raises RecipeError: there is no line for kubernetes, or one for the plugin already.
    """
    lines = text.splitlines(keepends=True)
    numbers = {line.partition(":")[0].strip(): number for number, line in enumerate(lines) if ":" in line and not line.startswith("#")}
    for plugin in plugins:
        if plugin.name in numbers:
            raise RecipeError(
                f"plugin.cfg, line {numbers[plugin.name] + 1}: CoreDNS has a plugin {plugin.name!r} already: take it out of plugins."
            )
    if plugins and "kubernetes" not in numbers:
        raise RecipeError("plugin.cfg has no line for kubernetes, beside which the plugins go: set path to CoreDNS's tree.")

    def entries(position: str) -> list[str]:
        return [f"{plugin.name}:{plugin.module}\n" for plugin in plugins if plugin.position == position]

    if not plugins:
        return text
    beside = numbers["kubernetes"]
    kubernetes = lines[beside].rstrip("\r\n") + "\n"
    return "".join([*lines[:beside], *entries("before"), kubernetes, *entries("after"), *lines[beside + 1 :]])


def core_version(text: str) -> str:
    """CoreDNS's version by its coremain/version.go; empty where that does not say."""
    found = re.search(r'^\s*CoreVersion\s*=\s*"([^"]+)"', text, re.MULTILINE)
    return found[1] if found else ""


def module_of(text: str) -> str:
    """The Go module that a go.mod declares; empty where it declares none."""
    found = re.search(r'^module\s+"?([^"\s]+)"?', text, re.MULTILINE)
    return found[1] if found else ""


def write_layer(binary: bytes, target: t.BinaryIO) -> None:
    """The archive of the image's only file, the same bytes for the same binary.

    The binary has the file capability cap_net_bind_service, as upstream's: without it a user other than root cannot
    open port 53 in a pod, unless the container runtime lowers `net.ipv4.ip_unprivileged_port_start` (containerd 1.x
    does not by default).
    """
    entry = tarfile.TarInfo("coredns")
    entry.size, entry.mode, entry.mtime = len(binary), 0o755, 0
    entry.pax_headers = {"SCHILY.xattr.security.capability": _NET_BIND_SERVICE}
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(binary))
