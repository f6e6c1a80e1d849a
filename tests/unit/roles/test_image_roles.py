# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What the roles coredns_image and coredns_publish make of what Docker and the modules say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

from ansible_collections.clusterset.dns.plugins.module_utils._image import recipe as image

# Where the collection lies as Ansible finds it.
CHECKOUT = Path(image.__file__).parents[3]
ROOT = CHECKOUT.parents[2]
RECIPE = image.recipe_identifier({"version": "1.15.0", "arch": "amd64"})
LABELS = {
    "ours": {image.LABEL: RECIPE, "other": "x"},
    "old": {image.LABEL: "000000000000"},
    "foreign": {"other": "x"},
    "bare": None,
}


def templated(tmp_path: Path, role: str, wanted: dict[str, str], cases: dict[str, dict[str, t.Any]]) -> dict[str, t.Any]:
    """What a role's variables come to, for each case of what is known."""
    files = [str(CHECKOUT / "roles" / role / folder / "main.yml") for folder in ("defaults", "vars")]
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": files,
            "tasks": [
                {
                    "vars": known,
                    "ansible.builtin.copy": {"dest": str(tmp_path / name), "content": "{{ wanted | to_json }}", "mode": "0600"},
                }
            ],
        }
        for name, known in cases.items()
    ]
    for play in plays:
        play["tasks"][0]["vars"] = {**play["tasks"][0]["vars"], "wanted": wanted}
    (tmp_path / "play.yml").write_text(json.dumps(plays))
    known = [str(ROOT), os.environ.get("ANSIBLE_COLLECTIONS_PATH", "")]
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": ":".join(filter(None, known)),
        "ANSIBLE_HOME": str(tmp_path / "ansible"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
    }
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "play.yml", "-c", "local", "-i", "localhost,"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | settings,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((tmp_path / name).read_text()) for name in cases}


def test_an_image_is_taken_only_with_the_label_of_its_recipe(tmp_path: Path) -> None:
    cases = {name: {"images": [{"Config": {"Labels": labels}}]} for name, labels in LABELS.items()} | {"absent": {"images": []}}
    known = {name: {"__coredns_image_found": found, "coredns_image_arch": "amd64", "coredns_image_version": "1.15.0"} for name, found in cases.items()}
    wanted = {"built": "{{ __coredns_image_built }}", "name": "{{ coredns_image_ref }}"}
    found = templated(tmp_path, "coredns_image", wanted, known)
    assert {name: one["built"] for name, one in found.items()} == {
        "ours": True,
        "old": False,
        "foreign": False,
        "bare": False,
        "absent": False,
    }
    assert found["ours"]["name"] == f"localhost/coredns-multicluster/{RECIPE}:v1.15.0"


def test_what_members_have_to_name(tmp_path: Path) -> None:
    base = {"coredns_publish_image": "localhost/c/abc:v1.15.0", "coredns_publish_registry": "r.example.com/dns", "inventory_hostname": "m"}
    pushed = {"__coredns_publish_pushed": {"digest": "sha256:1", "platforms": ["linux/arm64"]}}
    skipped = {"__coredns_publish_pushed": {"skipped": True}, "__coredns_publish_loaded": {"skipped": True}}
    wanted = {"ref": "{{ coredns_publish_ref }}", "platforms": "{{ coredns_publish_platforms }}"}
    found = templated(
        tmp_path,
        "coredns_publish",
        wanted,
        {
            "none": {**base, **skipped},
            "tags": base,
            "kind": {**base, "coredns_publish_via": "kind", "__coredns_publish_loaded": {"platforms": ["linux/amd64"]}},
            "registry": {**base, **pushed, "coredns_publish_via": "registry"},
            "pinned": {**base, **pushed, "coredns_publish_via": "registry", "coredns_publish_pin_digest": True},
        },
    )
    assert found == {
        "none": {"ref": "localhost/c/abc:v1.15.0", "platforms": []},
        "tags": {"ref": "localhost/c/abc:v1.15.0", "platforms": []},
        "kind": {"ref": "localhost/c/abc:v1.15.0", "platforms": ["linux/amd64"]},
        "registry": {"ref": "r.example.com/dns/c/abc:v1.15.0", "platforms": ["linux/arm64"]},
        "pinned": {"ref": "r.example.com/dns/c/abc:v1.15.0@sha256:1", "platforms": ["linux/arm64"]},
    }
