#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns_build
short_description: Compile CoreDNS, with external plugins, into what an image is built from
version_added: 0.1.0
description:
  - Takes CoreDNS's source tree from its Go module or from a folder, puts the plugins into C(plugin.cfg) next to
    C(kubernetes), runs C(go generate) and C(go build), and leaves a folder with a C(Dockerfile) and C(root.tar) in O(cache).
  - The same options give the same bytes with the same toolchain, wherever the folders lie. What was built once is not
    built again.
  - The image gets the label C(clusterset.dns.recipe), with RV(recipe) as its value.
  - The binary has the file capability C(cap_net_bind_service), so that it can open port 53 as a user other than root in a
    pod that has C(NET_BIND_SERVICE) alone. It is kept by C(ADD) of an archive and lost by C(COPY).
  - A build that is killed leaves nothing that is taken for a result. Builds with the same O(cache) wait for each other.
author:
  - clusterset.dns contributors (@clusterset-dns)
extends_documentation_fragment:
  - clusterset.dns.attributes
requirements:
  - python >= 3.11
  - Go >= 1.21
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  version:
    description: CoreDNS's version, such as V(1.15.0).
    type: str
    required: true
  path:
    description:
      - A folder with CoreDNS's source tree. It has to be of O(version).
      - The Go module C(github.com/coredns/coredns) if empty.
    type: path
  plugins:
    description: External plugins, each a line in C(plugin.cfg).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The word that the Corefile uses.
        type: str
        required: true
      module:
        description: The plugin's Go module, such as V(github.com/coredns/multicluster).
        type: str
        required: true
      version:
        description: A tag, pseudo-version or commit of the module. Either this or O(plugins[].path).
        type: str
      path:
        description: A folder with the module's source tree.
        type: path
      position:
        description: Whether the plugin sees a query V(after) or V(before) C(kubernetes).
        type: str
        choices: [after, before]
        default: after
  arch:
    description: Go's name of the nodes' architecture; V(auto) is that of the machine that builds.
    type: str
    default: auto
  toolchain:
    description:
      - Go's C(GOTOOLCHAIN). With V(auto), Go fetches a newer toolchain where CoreDNS wants one. Name one, such as
        V(go1.26.8), for the same binary from every machine.
    type: str
    default: auto
  dockerfile:
    description: A Dockerfile to use instead of ours. It finds C(root.tar) and C(coredns) beside it.
    type: path
  go:
    description: The C(go) command.
    type: path
    default: go
  cache:
    description: The folder that keeps results.
    type: path
    default: ~/.cache/clusterset-dns
seealso:
  - plugin: clusterset.dns.coredns_recipe
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Compile CoreDNS with the external multicluster plugin
  clusterset.dns.coredns_build:
    version: 1.15.0
    plugins:
      - name: multicluster
        module: github.com/coredns/multicluster
        version: edbcb64f00e2
  register: built

- name: Build the image
  community.docker.docker_image:
    name: "localhost/coredns/{{ built.recipe }}:v1.15.0"
    source: build
    build:
      path: "{{ built.context }}"
      platform: "{{ built.platform }}"
"""

RETURN = r"""
recipe:
  description: 12 hex digits over everything that goes in, as the filter P(clusterset.dns.coredns_recipe#filter) gives.
  returned: success
  type: str
  sample: 0b5f6f1c2d3e
context:
  description: The folder to build the image from. In check mode it may not exist yet.
  returned: success
  type: str
  sample: /home/deploy/.cache/clusterset-dns/0b5f6f1c2d3e
platform:
  description: What to build the image for, as Docker does not know what the binary is for.
  returned: success
  type: str
  sample: linux/amd64
sha256:
  description: The binary's sha256; empty in check mode before the first build.
  returned: success
  type: str
seconds:
  description: How long the build took; 0 where there was none.
  returned: success
  type: int
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
import typing as t
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.clusterset.dns.plugins.module_utils._image import recipe as _coredns_image

ARGUMENT_SPEC = {
    "version": {"required": True},
    "path": {"type": "path"},
    "plugins": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"required": True},
            "module": {"required": True},
            "version": {},
            "path": {"type": "path"},
            "position": {"choices": ["after", "before"], "default": "after"},
        },
    },
    "arch": {"default": "auto"},
    "toolchain": {"default": "auto"},
    "dockerfile": {"type": "path"},
    "go": {"type": "path", "default": "go"},
    "cache": {"type": "path", "default": "~/.cache/clusterset-dns"},
}


class Go:
    """Runs `go` with an environment in which nothing of the user's decides what the binary is."""

    def __init__(self, module: AnsibleModule, go: str, wanted: _coredns_image.Recipe) -> None:
        found = shutil.which(go)
        if not found:
            raise _coredns_image.RecipeError(
                f"Go is not here (no {go!r} in PATH), and CoreDNS {wanted.version} has to be compiled: "
                "install Go 1.21 or newer, or set go to its path."
            )
        self._module, self._go, self._wanted = module, found, wanted

    def __call__(self, *arguments: str, cwd: Path, target: bool = False) -> str:
        """What the command printed. `target`: for the image's platform, not for this machine.

        :raises RecipeError: it failed; with the last lines that it wrote.
        """
        environment = _coredns_image.ENVIRONMENT | {"GOTOOLCHAIN": self._wanted.toolchain}
        if target:
            environment |= _coredns_image.TARGET | {"GOARCH": self._wanted.arch}
        code, out, err = self._module.run_command([self._go, *arguments], cwd=str(cwd), environ_update=environment)
        if code:
            said = "\n".join((err or out).strip().splitlines()[-12:])
            command = " ".join(["go", *arguments[:3]])
            raise _coredns_image.RecipeError(f"CoreDNS {self._wanted.version}: '{command}' failed: {said}")
        return out


def copy_tree(source: str, target: Path) -> None:
    """A writable copy without `.git`: the module cache is read-only, and a tree of the user's is not ours to change."""
    if not Path(source).is_dir():
        raise _coredns_image.RecipeError(f"{source} is no folder: set 'path' to a source tree on the controller.")
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    for folder, _folders, files in os.walk(target):
        for path in (folder, *(os.path.join(folder, name) for name in files)):
            if not os.path.islink(path):
                os.chmod(path, os.stat(path).st_mode | stat.S_IWUSR)


def core(go: Go, wanted: _coredns_image.Recipe, work: Path) -> Path:
    """CoreDNS's source tree, of the version that was asked for, as a copy in `work`."""
    tree = work / "coredns"
    source = wanted.path
    if not source:
        release = f"{_coredns_image.MODULE}@v{wanted.version}"
        # Twice, because with -json the reason of a failure is inside the JSON.
        go("mod", "download", release, cwd=work)
        source = json.loads(go("mod", "download", "-json", release, cwd=work))["Dir"]
    copy_tree(source, tree)
    file = tree / "coremain" / "version.go"
    version = _coredns_image.core_version(file.read_text()) if file.is_file() else ""
    if version != wanted.version:
        raise _coredns_image.RecipeError(
            f"{source} is CoreDNS {version}, not {wanted.version}: set version to {version}."
            if version
            else f"{source} is not CoreDNS's source tree (no coremain/version.go): set path to one."
        )
    return tree


def add_plugins(go: Go, plugins: t.Sequence[_coredns_image.Plugin], tree: Path) -> None:
    """Put the plugins into plugin.cfg and go.mod, and generate the code that imports them."""
    config = tree / "plugin.cfg"
    config.write_text(_coredns_image.insert_plugins(config.read_text(), plugins))
    for plugin in plugins:
        if plugin.version:
            go("get", f"{plugin.module}@{plugin.version}", cwd=tree)
            continue
        # Inside the tree, because the binary tells where a replaced module came from: the same words on every machine.
        inside = f"./_external/{plugin.name}"
        copy_tree(plugin.path, tree / inside)
        declares = tree / inside / "go.mod"
        named = _coredns_image.module_of(declares.read_text()) if declares.is_file() else ""
        if named != plugin.module:
            raise _coredns_image.RecipeError(
                f"{plugin.path} declares the Go module {named or '(none: it has no go.mod)'}, not {plugin.module}: "
                f"set 'module' or 'path' of the plugin {plugin.name!r} in plugins."
            )
        go("mod", "edit", f"-require={plugin.module}@v0.0.0", f"-replace={plugin.module}={inside}", cwd=tree)
    go("generate", "coredns.go", cwd=tree)


def compile_core(go: Go, wanted: _coredns_image.Recipe, recipe: str, work: Path) -> Path:
    """The folder to build the image from, made in `work`."""
    tree = core(go, wanted, work)
    add_plugins(go, wanted.plugins, tree)
    context = work / "context"
    context.mkdir()
    binary = context / "coredns"
    go(
        "build",
        f"-tags={_coredns_image.TAGS}",
        f"-ldflags={_coredns_image.LDFLAGS}{recipe}",
        "-o",
        str(binary),
        ".",
        cwd=tree,
        target=True,
    )
    content = binary.read_bytes()
    with (context / "root.tar").open("wb") as archive:
        _coredns_image.write_layer(content, archive)
    (context / "sha256").write_text(hashlib.sha256(content).hexdigest() + "\n")
    dockerfile = Path(wanted.dockerfile).read_text() if wanted.dockerfile else _coredns_image.DOCKERFILE
    (context / "Dockerfile").write_text(_coredns_image.labelled(dockerfile, recipe))
    if not wanted.dockerfile:
        # Our Dockerfile needs the archive alone: half the bytes to send to Docker.
        binary.unlink()
    return context


@contextlib.contextmanager
def locked(cache: Path) -> t.Iterator[None]:
    """One build at a time in this cache; the kernel lets go of the lock when the process ends, however it ends."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(module: AnsibleModule) -> dict[str, t.Any]:
    wanted = _coredns_image.recipe(module.params)
    recipe = _coredns_image.recipe_identifier(module.params)
    cache = Path(module.params["cache"])
    context = cache / recipe
    platform = f"{_coredns_image.TARGET['GOOS']}/{wanted.arch}"
    result: dict[str, t.Any] = {
        "changed": False,
        "recipe": recipe,
        "context": str(context),
        "platform": platform,
        "sha256": "",
        "seconds": 0,
    }
    if not context.is_dir():
        go = Go(module, module.params["go"], wanted)
        result["changed"] = True
        if module.check_mode:
            return result
        with locked(cache):
            result["changed"] = not context.is_dir()
            if result["changed"]:
                start = time.monotonic()
                for left in cache.glob("build-*"):
                    shutil.rmtree(left, ignore_errors=True)
                with tempfile.TemporaryDirectory(prefix="build-", dir=cache) as work:
                    compile_core(go, wanted, recipe, Path(work)).rename(context)
                result["seconds"] = round(time.monotonic() - start)
    return result | {"sha256": (context / "sha256").read_text().strip()}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    try:
        result = build(module)
    except _coredns_image.RecipeError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"CoreDNS was not built ({error}): set cache to a folder that can be written to.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
