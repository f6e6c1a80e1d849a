# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from lab_fleet import CHECKOUT, LAB, NODE_FOLDER, Fleet, Member


@pytest.fixture(scope="session")
def fleet() -> Fleet:
    if not (LAB / "inventory.yml").exists():
        raise pytest.UsageError(f"{LAB / 'inventory.yml'} does not exist: `make lab` first.")
    return Fleet()


@pytest.fixture(scope="session")
def prober(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The prober's binary."""
    binary = tmp_path_factory.mktemp("prober") / "prober"
    build = ["go", "build", "-trimpath", "-o", str(binary), "."]
    subprocess.run(build, cwd=CHECKOUT / "tests" / "prober", env={**os.environ, "CGO_ENABLED": "0"}, check=True)
    return binary


@pytest.fixture(scope="session")
def member2(fleet: Fleet, prober: Path) -> Member:
    """The member that these tests change, with the prober in its node."""
    member = fleet.member(fleet.names[-1])
    node = f"{member.name}-control-plane"
    subprocess.run(["docker", "exec", node, "mkdir", "-p", NODE_FOLDER], check=True)
    subprocess.run(["docker", "cp", str(prober), f"{node}:{NODE_FOLDER}/prober"], check=True, capture_output=True)
    return member


@pytest.fixture(scope="session")
def site(fleet: Fleet) -> None:
    """The fleet as site.yml leaves it, with the demo's workload."""
    fleet.play("lab/demo.yml")
    fleet.play("playbooks/site.yml")
