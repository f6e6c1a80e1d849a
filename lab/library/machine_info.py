#!/usr/bin/python
# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: machine_info
short_description: What this machine offers to a fleet
options:
  cache: {description: Folder of the cache., type: path, required: true}
  suite: {description: Debian's release that is to be installed into folders., type: str, default: stable}
author: clusterset.dns contributors
"""

EXAMPLES = r"""
- name: Look at the machine
  machine_info: {cache: ~/.cache/clusterset-lab}
"""

RETURN = r"""
root: {description: Whether this is root., type: bool, returned: success}
memory_gib: {description: Memory that is available., type: float, returned: success}
disk_gib: {description: Free space of the fuller one of the cache's and Docker's file systems., type: float, returned: success}
withheld: {description: Whether CAP_SYS_RESOURCE is withheld., type: bool, returned: success}
systemd: {description: Whether systemd runs here., type: bool, returned: success}
engine: {description: "Whether Docker answers, and its default runtime.", type: dict, returned: success}
clusters: {description: Names of the kind clusters whose nodes run., type: list, elements: str, returned: success}
inotify: {description: How many inotify instances a user may have., type: int, returned: success}
missing: {description: Debian packages to be installed., type: list, elements: str, returned: success}
stale: {description: Pid files of a Docker engine that is gone., type: list, elements: str, returned: success}
debian_mirror: {description: "Where this machine's apt takes Debian from; empty if it does not.", type: str, returned: success}
programs: {description: "Paths of programs that were found.", type: dict, returned: success}
"""

import os
import shutil
import subprocess

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.lab_apt import debian_mirror, sources

CAP_SYS_RESOURCE = 24
# Program to the Debian package that has it.
PACKAGES = {
    "debootstrap": "debootstrap",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
    "dockerd": "docker.io",
    "flock": "util-linux",
}
PID_FILES = {"/var/run/docker.pid": "dockerd", "/var/run/docker/containerd/containerd.pid": "containerd"}
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"


def field(path: str, name: str) -> str:
    """The value of a "Name: value" line of a file in /proc."""
    with open(path, encoding="ascii") as file:
        return next(line.split()[1] for line in file if line.startswith(f"{name}:"))


def free(path: str) -> float:
    """GiB that are free where a path is, or will be."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free / 2**30


def stale(path: str, program: str) -> bool:
    """Whether a pid file is left from a program that was killed; its number may be another process's today, or that of a zombie."""
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
    except (OSError, ValueError):
        return os.path.exists(path)
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return program.encode() not in file.read()
    except OSError:
        return True


def docker(*argv: str) -> tuple[int, str]:
    """Ask Docker."""
    try:
        done = subprocess.run(["docker", *argv], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 1, ""
    return done.returncode, done.stdout.strip()


def main() -> None:
    module = AnsibleModule(
        argument_spec={"cache": {"type": "path", "required": True}, "suite": {"type": "str", "default": "stable"}},
        supports_check_mode=True,
    )
    code, runtime = docker("info", "--format", "{{.DefaultRuntime}}")
    answers = code == 0 and bool(runtime)
    _code, running = docker("ps", "--format", '{{.Label "io.x-k8s.kind.cluster"}}') if answers else (1, "")
    programs = {name: shutil.which(name, path=PATH) or "" for name in [*PACKAGES, "go", "docker", "apt-get"]}
    # Any Docker will do: Debian's engine is only installed where none answers.
    missing = sorted({package for name, package in PACKAGES.items() if not programs[name] and not (name == "dockerd" and answers)})
    with open("/proc/sys/fs/inotify/max_user_instances", encoding="ascii") as file:
        inotify = int(file.read())
    module.exit_json(
        changed=False,
        inotify=inotify,
        root=os.geteuid() == 0,
        memory_gib=round(int(field("/proc/meminfo", "MemAvailable")) / 2**20, 1),
        disk_gib=round(min(free(module.params["cache"]), free("/var/lib/docker")), 1),
        withheld=not int(field("/proc/self/status", "CapBnd"), 16) >> CAP_SYS_RESOURCE & 1,
        systemd=os.path.isdir("/run/systemd/system"),
        engine={"answers": answers, "runtime": runtime},
        clusters=sorted(set(running.split())),
        missing=missing,
        stale=[path for path, program in PID_FILES.items() if stale(path, program)],
        debian_mirror=debian_mirror(sources(), module.params["suite"]),
        programs=programs,
    )


if __name__ == "__main__":
    main()
