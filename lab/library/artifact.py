#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: artifact
short_description: Build something once and keep it under the hash of what went into it
description:
  - Writes O(files) into an empty folder, runs O(commands) there and keeps the folder O(result) in the cache, under a name that contains the
    SHA-256 hash of the name, files, commands, environment and O(inputs). If that is in the cache already, nothing runs.
  - The result appears in the cache by a rename, so what is in the cache is always whole, whatever was killed before.
options:
  name:
    description: What is built; the start of the folder's name in the cache.
    type: str
    required: true
  cache:
    description: Folder of the cache.
    type: path
    required: true
  files:
    description: What the build starts from, a list of C({dest, content}) or C({dest, src, mode}); C(src) may be a folder.
    type: list
    elements: dict
    default: []
  inputs:
    description: Anything else on which the result depends, such as the version of the compiler.
    type: dict
    default: {}
  commands:
    description: Commands as lists of arguments, run one after the other in the build folder.
    type: list
    elements: list
    default: []
  images:
    description:
      - Container images that are saved as C(images.tar) in O(result), a list of C({name, pull}) to take from a registry, or
        C({name, dockerfile, files}) to build, C(files) mapping names in the build's context to paths.
      - They are removed from Docker again, as the archive is what is kept.
    type: list
    elements: dict
    default: []
  environment:
    description: Added to the environment of the commands.
    type: dict
    default: {}
  result:
    description: Folder inside the build folder that is kept; it exists before the first command.
    type: str
    default: out
  replace:
    description: Words of commands that are other ones on this machine, such as a mirror for the archive that it mirrors; the hash is over those in O(commands).
    type: dict
    default: {}
  transient:
    description: Names of further folders, such as a cache of downloads, that commands may write to and that never change the result.
    type: list
    elements: path
    default: []
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Compile the demo's server
  artifact:
    name: serve
    cache: ~/.cache/clusterset-lab
    files:
      - {dest: main.go, src: go/serve/main.go}
    commands:
      - [go, build, -o, out/serve, main.go]
    inputs:
      go: go1.26 linux/amd64
"""

RETURN = r"""
path:
  description: Folder of the result.
  type: str
  returned: success
seconds:
  description: How long the build took, 0 if it was in the cache.
  type: float
  returned: success
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time

from ansible.module_utils.basic import AnsibleModule

# A build must not outlive the play that waits for it, or the next run would compete with it for the machine;
# nor must mounts that it made, or the next run could not remove its folder.
CONTAINED = ["unshare", "--mount", "setpriv", "--pdeathsig", "KILL"]


def fingerprint(params: dict) -> str:
    """Hash of all that decides the result; the place of the cache does not."""
    recipe = {key: params[key] for key in ("name", "inputs", "environment", "result")}
    files, recipe["commands"] = expanded(params)
    text = json.dumps(recipe, sort_keys=True).replace(params["cache"], "CACHE")
    digest = hashlib.sha256(text.encode())
    for entry in files:
        digest.update(f"\0{entry['dest']}\0{entry.get('mode', '')}\0".encode())
        if "content" in entry:
            digest.update(entry["content"].encode())
        elif entry["src"].startswith(params["cache"]):
            # Its name contains a hash already, and it may be a gigabyte.
            digest.update(entry["src"].removeprefix(params["cache"]).encode())
        else:
            for path in tree(entry["src"]):
                digest.update(os.path.relpath(path, entry["src"]).encode())
                with open(path, "rb") as file:
                    digest.update(file.read())
    return digest.hexdigest()


def expanded(params: dict) -> tuple[list[dict], list[list[str]]]:
    """The files and commands of a build, with those that its images stand for."""
    files, commands, names = list(params["files"]), list(params["commands"]), []
    for number, image in enumerate(params["images"]):
        names.append(image["name"])
        if "pull" in image:
            commands += [["docker", "pull", "--quiet", image["pull"]], ["docker", "tag", image["pull"], image["name"]]]
            continue
        files.append({"dest": f"image{number}/Dockerfile", "content": image["dockerfile"]})
        files += [{"dest": f"image{number}/{dest}", "src": src} for dest, src in image["files"].items()]
        commands.append(["docker", "build", "--tag", image["name"], f"image{number}"])
    if names:
        archive = os.path.join(params["result"], "images.tar")
        commands += [["docker", "save", "--output", archive, *names], ["docker", "image", "rm", "--force", *names]]
    return files, commands


def tree(path: str) -> list[str]:
    """The files under a path, or the path itself if it is a file."""
    if os.path.isfile(path):
        return [path]
    return sorted(os.path.join(folder, name) for folder, _subfolders, names in os.walk(path) for name in names)


def place(entry: dict, folder: str) -> None:
    """Put one of the files that the build starts from into the build folder."""
    dest = os.path.join(folder, entry["dest"])
    os.makedirs(os.path.dirname(dest), exist_ok=True)
    if "content" in entry:
        with open(dest, "w", encoding="utf-8") as file:
            file.write(entry["content"])
    elif os.path.isdir(entry["src"]):
        # Go's module cache is read-only; copies of it must not be.
        shutil.copytree(entry["src"], dest, symlinks=True, dirs_exist_ok=True)
        for path in [dest] + [os.path.join(top, name) for top, folders, _names in os.walk(dest) for name in folders]:
            os.chmod(path, 0o755)
    else:
        shutil.copyfile(entry["src"], dest)
        shutil.copymode(entry["src"], dest)
    if "mode" in entry:
        os.chmod(dest, int(entry["mode"], 8))


def build(module: AnsibleModule, path: str, log_path: str) -> None:
    """Run the commands in a folder of their own and rename the result to its place in the cache."""
    params = module.params
    files, commands = expanded(params)
    work = tempfile.mkdtemp(prefix=f".{params['name']}-", dir=params["cache"])
    try:
        for entry in files:
            place(entry, work)
        result = os.path.join(work, params["result"])
        os.makedirs(result, exist_ok=True)
        environment = {**os.environ, **{key: str(value) for key, value in params["environment"].items()}}
        with open(log_path, "wb", buffering=0) as log:
            for command in commands:
                argv = [params["replace"].get(str(word), str(word)) for word in command]
                log.write(f"$ {' '.join(argv)}\n".encode())
                code = subprocess.call(
                    CONTAINED + argv, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
                )
                if code:
                    with open(log_path, encoding="utf-8", errors="replace") as written:
                        last = written.read().splitlines()[-15:]
                    module.fail_json(
                        msg=f"Building {params['name']} failed: '{' '.join(argv)}' ended with code {code}. "
                        f"The whole output is in {log_path}, its end:\n" + "\n".join(last)
                    )
        os.rename(result, path)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "cache": {"type": "path", "required": True},
            "files": {"type": "list", "elements": "dict", "default": []},
            "inputs": {"type": "dict", "default": {}},
            "commands": {"type": "list", "elements": "list", "default": []},
            "images": {"type": "list", "elements": "dict", "default": []},
            "environment": {"type": "dict", "default": {}},
            "result": {"type": "str", "default": "out"},
            "replace": {"type": "dict", "default": {}},
            "transient": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    params = module.params
    path = os.path.join(params["cache"], f"{params['name']}-{fingerprint(params)[:12]}")
    log_folder = os.path.join(params["cache"], "log")
    if os.path.isdir(path):
        # Its age tells what has not been used for long.
        os.utime(path)
        module.exit_json(changed=False, path=path, seconds=0)
    if module.check_mode:
        module.exit_json(changed=True, path=path, seconds=0)
    os.makedirs(log_folder, exist_ok=True)
    for folder in params["transient"]:
        os.makedirs(folder, exist_ok=True)
    begun = time.monotonic()
    build(module, path, os.path.join(log_folder, f"{params['name']}.log"))
    module.exit_json(changed=True, path=path, seconds=round(time.monotonic() - begun, 1))


if __name__ == "__main__":
    main()
