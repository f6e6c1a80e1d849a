# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Runs all benches, or those named on the command line: one JSON object a line, subject and peers measured in turn in the same call.

``ratio`` is the subject's seconds by the peer's. What is not measured in full says so under ``scaled``.
"""

from __future__ import annotations

import json
import os
import sys
import typing as t
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
# The collection is found as the unit tests find it.
sys.path.insert(0, str(CHECKOUT / "tests" / "unit"))
import conftest  # noqa: F401

os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
os.environ["ANSIBLE_CONFIG"] = str(CHECKOUT / "ansible.cfg")

import corefile
import fleet
import lost_queries
import serviceimports

BENCHES: dict[str, t.Callable[[], t.Iterable[dict[str, t.Any]]]] = {
    "corefile": lambda: [corefile.measure()],
    **serviceimports.BENCHES,
    **lost_queries.BENCHES,
    **fleet.BENCHES,
}


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(BENCHES))
    if unknown:
        print(f"No bench is called {', '.join(unknown)}. There are {', '.join(BENCHES)}.", file=sys.stderr)
        return 2
    failed = []
    for name in names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            for line in BENCHES[name]():
                print(json.dumps({"bench": name, **line}), flush=True)
        except (Exception, SystemExit) as error:
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            failed.append(name)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
