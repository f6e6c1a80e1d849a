# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Editing a Corefile of 10,000 lines, beside corefile-migration (what kubeadm upgrades Corefiles with), which parses it and writes it anew.

Ours reads, edits, reads again and proves that nothing else changed; the peer parses and prints, and loses comments on the way. Both are
timed inside their process, in turn, best of several rounds, in seconds of processor time: what is compared is the work, not the start
of an interpreter or what else the machine does.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROUNDS = 5
LINES = 10_000


def corefile(lines: int) -> str:
    """kubeadm's Corefile with as many stub domains as it takes."""
    main = (
        ".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    ready\n    kubernetes cluster.local in-addr.arpa ip6.arpa {\n"
        "       pods insecure\n       fallthrough in-addr.arpa ip6.arpa\n       ttl 30\n    }\n    prometheus :9153\n"
        "    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n    cache 30\n    loop\n    reload\n    loadbalance\n}\n"
    )
    stub = (
        "zone-{}.example:53 {{\n    errors # why\n    cache 30 {{\n        success 9984 30\n    }}\n"
        "    forward . 192.0.2.53 {{\n        max_concurrent 1000\n    }}\n}}\n"
    )
    missing = lines - main.count("\n")
    return main + "".join(map(stub.format, range(-(-missing // stub.count("\n")))))


def peer_program(folder: Path) -> Path:
    """The peer's measuring program, built with Go."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        raise SystemExit("Go was not found: install it (https://go.dev/dl) to measure beside corefile-migration.")
    program = folder / "peer"
    subprocess.run([go, "build", "-mod=readonly", "-o", program, "."], cwd=HERE / "corefile_peer", check=True)
    return program


def subject_seconds(text: str) -> float:
    """One edit, in seconds of processor time."""
    from ansible_collections.clusterset.dns.plugins.module_utils._corefile import parser
    from ansible_collections.clusterset.dns.plugins.module_utils._corefile.editing import Edit, edit

    # or the round before would have done the work
    parser._parsed.cache_clear()
    started = time.process_time()
    result = edit(text, Edit(zone="clusterset.local"))
    seconds = time.process_time() - started
    if not result.changed or not result.text.endswith(text):
        raise SystemExit("the edit did not do what is measured")
    return seconds


def measure(lines: int = LINES) -> dict[str, t.Any]:
    text = corefile(lines)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "Corefile"
        file.write_text(text)
        program = peer_program(folder)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(subject_seconds(text))
            theirs.append(float(subprocess.run([program, file], check=True, capture_output=True, text=True).stdout))
    return {
        "bench": "corefile",
        "lines": text.count("\n"),
        "subject": {"what": "parse, edit, parse again and prove", "seconds": round(min(ours), 4)},
        "peer": {"what": "corefile-migration 1.0.36: parse and print", "seconds": round(min(theirs), 4)},
        "ratio": round(min(ours) / min(theirs), 2),
    }


if __name__ == "__main__":
    # run as a script, this folder stands first in the path; the collection is found as the unit tests find it
    sys.path.insert(0, str(HERE.parent / "tests" / "unit"))
    import conftest  # noqa: F401

    print(json.dumps(measure()))
