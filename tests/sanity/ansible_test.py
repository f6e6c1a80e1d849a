# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What ansible-test needs around it to run without containers, from a checkout that lies anywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from pathlib import Path

# The lab is an Ansible project of its own, whose modules are no collection's; the corpus is data whose every byte is meant.
NOT_THE_COLLECTION = ("lab/", "benchmarks/", "examples/", "tests/corpus/")
DEPENDENCIES = ("kubernetes/core", "community/docker")

BOOTSTRAP = '''\
"""Stands in for pip's own get-pip.py, which could not be downloaded: the pip that comes with Python will do."""

import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip"], stdout=subprocess.DEVNULL)
'''


def work_copy(checkout: Path, root: Path, collections: Path) -> Path:
    """Copy the checkout's files (tracked, and new ones that git does not ignore) to ``ROOT/ansible_collections/clusterset/dns``.

    ansible-test wants that path, and the collections that it depends on beside it: those are links to the ones in ``collections``.
    """
    tree = root / "ansible_collections" / "clusterset" / "dns"
    shutil.rmtree(root, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=checkout, capture_output=True, check=True
    )
    for name in listed.stdout.decode().split("\0"):
        if name and not name.startswith(NOT_THE_COLLECTION) and (checkout / name).exists():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, tree / name)
    for name in DEPENDENCIES:
        link = root / "ansible_collections" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(collections / "ansible_collections" / name)
    return tree


def prepare_home(home: Path, ansible_test: Path) -> Path:
    """Give ansible-test a home of its own, where it keeps its virtual environments and pip's bootstrap script.

    The user's settings and cache of pip are linked into it, since ansible-test passes on no environment variable that would name them.
    """
    for name in (".config/pip", ".pip", ".cache/pip"):
        source, link = Path.home() / name, home / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if source.exists() and not link.exists():
            link.symlink_to(source)
    source = (ansible_test / "_internal" / "python_requirements.py").read_text()
    version = re.search(r"default_packages = dict\(\s*pip='([\d.]+)'", source)
    if not version:
        return home
    script = home / ".ansible" / "test" / "cache" / f"get_pip_{version[1].replace('.', '_')}.py"
    if not script.exists():
        script.parent.mkdir(parents=True, exist_ok=True)
        try:
            url = f"https://ci-files.testing.ansible.com/ansible-test/get-pip-{version[1]}.py"
            with urllib.request.urlopen(url, timeout=20) as answer:
                script.write_bytes(answer.read())
        except OSError:
            script.write_text(BOOTSTRAP)
    return home
