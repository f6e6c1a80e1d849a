# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Goes the whole way on fleets of several versions, and writes which ones, when and with what result to ``docs/support.md``.

For each set of versions in ``lab/versions`` (or those named): the lab is made of it, then ``site.yml``, ``site.yml`` again, ``verify.yml`` and
``teardown.yml``, after which each member's CoreDNS has to be what it was. A set that was not run keeps its row. The lab is left as the last set has it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).resolve().parents[1]
VERSIONS = CHECKOUT / "lab" / "versions"
LAB = CHECKOUT / ".lab"
SUPPORT = CHECKOUT / "docs" / "support.md"
LOGS = CHECKOUT / ".cache" / "matrix"
COLUMNS = ("set", "Kubernetes", "Karmada", "CoreDNS", "ansible-core", "site", "again", "verify", "teardown", "run on")
HEAD = """<!--
SPDX-License-Identifier: GPL-3.0-or-later
Copyright (c) 2026, clusterset.dns contributors
-->
# What was run on what

`make matrix` makes the lab of each set of versions in [lab/versions](../lab/versions), runs `site.yml`, `site.yml` again, `verify.yml` and `teardown.yml`
on it, and writes this page. *site* is which members were changed, *again* what the second run changed, *teardown* whether each member's CoreDNS was
given back as it was: the Corefile to the byte, and the image.

"""


class Failed(Exception):
    """A step of the way that did not end as it has to, as a sentence."""


def play(name: str, playbook: str, *arguments: str) -> str:
    """Run a playbook as a user would. :returns: what it printed, which is in ``.cache/matrix`` as well."""
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / f"{name}-{Path(playbook).stem}.log"
    command = ["ansible-playbook", "-i", str(LAB / "inventory.yml"), playbook, *arguments]
    began = time.monotonic()
    ran = subprocess.run(command, cwd=CHECKOUT, env={**os.environ, "ANSIBLE_NOCOLOR": "1"}, capture_output=True, text=True, check=False)
    with log.open("a") as file:
        file.write(ran.stdout + ran.stderr)
    print(f"  {playbook} {' '.join(arguments)}: exit code {ran.returncode}, {time.monotonic() - began:.0f} s", flush=True)
    if ran.returncode:
        raise Failed(f"{playbook} failed; see {log.relative_to(CHECKOUT)}.")
    return ran.stdout


def changed(printed: str) -> dict[str, int]:
    """How much each host says that it changed, from the recap; hosts that changed nothing are left out."""
    found = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+) ", printed[printed.rindex("PLAY RECAP") :], re.MULTILINE)
    return {host: int(count) for host, count in found if int(count)}


def coredns(name: str) -> tuple[str, str]:
    """A member's image of CoreDNS, and its Corefile."""

    def get(what: str, path: str) -> str:
        command = ["docker", "exec", f"{name}-control-plane", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf"]
        command += ["-n", "kube-system", "get", what, "coredns", "-o", f"jsonpath={path}"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    return get("deployment", "{.spec.template.spec.containers[0].image}"), get("configmap", "{.data.Corefile}")


def go_the_way(name: str, members: t.Sequence[str]) -> dict[str, str]:
    """The columns that a run gives. :raises Failed: something was not as it has to be."""
    play(name, "playbooks/teardown.yml")
    before = {member: coredns(member) for member in members}
    play(name, "lab/demo.yml")
    first = changed(play(name, "playbooks/site.yml"))
    second = changed(play(name, "playbooks/site.yml"))
    if second:
        raise Failed(f"The second run of site.yml changed {second}.")
    play(name, "playbooks/verify.yml", "-e", f"dns_verify_json={LOGS / name}.json")
    report = json.loads((LOGS / f"{name}.json").read_text())
    play(name, "playbooks/teardown.yml")
    for member in members:
        if coredns(member) != before[member]:
            raise Failed(f"{member} has another CoreDNS after teardown.yml than before site.yml.")
    versions = ", ".join(f"{member} {before[member][0].rpartition(':')[2].removeprefix('v')}" for member in members)
    taken = ", ".join(member for member in members if member in first)
    return {"CoreDNS": versions, "site": taken, "again": "changed=0", "verify": report["summary"], "teardown": "as it was"}


def rows() -> dict[str, dict[str, str]]:
    """The rows that the page has, by set."""
    if not SUPPORT.exists():
        return {}
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in SUPPORT.read_text().splitlines() if line.startswith("| ")]
    return {row[0]: dict(zip(COLUMNS, row, strict=True)) for row in cells[1:]}


def page(found: t.Mapping[str, t.Mapping[str, str]]) -> str:
    """The page as Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(row.get(column, "") for column in COLUMNS) + " |" for _name, row in sorted(found.items())]
    return HEAD + "\n".join(lines) + "\n"


def main() -> int:
    known = sorted(path.stem for path in VERSIONS.glob("*.yml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(known)}; all unless said")
    wanted = parser.parse_args().sets or known
    if unknown := set(wanted) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    core = subprocess.run(["ansible", "--version"], check=True, capture_output=True, text=True).stdout.split("]")[0].split()[-1]
    failed = 0
    for name in wanted:
        print(f"{name}:", flush=True)
        versions = yaml.safe_load((VERSIONS / f"{name}.yml").read_text())
        row = {"set": name, "Kubernetes": versions["lab_kubernetes_version"][1:], "Karmada": versions["lab_karmada_version"][1:]}
        row |= {"ansible-core": core, "run on": datetime.datetime.now(tz=datetime.UTC).date().isoformat()}
        try:
            if subprocess.run(["make", "lab", f"LAB=-e @lab/versions/{name}.yml"], cwd=CHECKOUT, check=False).returncode:
                raise Failed("The lab could not be made of it.")
            inventory = yaml.safe_load((LAB / "inventory.yml").read_text())
            row |= go_the_way(name, sorted(inventory["all"]["children"]["karmada_members"]["hosts"]))
        except Failed as error:
            failed += 1
            row["site"] = f"**failed**: {error}"
        print(f"  {row['site']}", flush=True)
        SUPPORT.write_text(page({**rows(), name: row}))
    print(f"{len(wanted) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
