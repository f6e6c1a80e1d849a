# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Runs what a change must pass, or the steps and groups named on the command line, and counts.

Every step runs even if an earlier one failed, but for those that need the fleet when there is none. What a step says goes to
``.cache/test/STEP.log`` and, when it fails, to the terminal.
A step counts what its tool counts (tests, sanity tests, Molecule's actions), else it is one. The last line is ``N passed, N failed``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sanity.ansible_test import prepare_home, work_copy

CHECKOUT = Path(__file__).resolve().parents[1]
LOGS = CHECKOUT / ".cache" / "test"
# Outlives the checkout: environments are told apart by what is in them, and are made anew when that changes.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clusterset-dns"
HEARTBEAT = 60.0


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Core:
    """An ansible-core with a Python: ``python`` is that interpreter's version, ``lock`` what is installed; without both it is ``.venv``."""

    name: str
    python: str = ""
    lock: str = ""

    @property
    def folder(self) -> Path:
        return CACHE / self.name if self.lock else CHECKOUT / ".venv"

    @property
    def collections(self) -> Path:
        """The folder that holds ``ansible_collections`` with what the collection depends on.

        ansible-core 2.16 is older than any package ``ansible`` with these collections: it takes those of the next newer environment.
        """
        source = CORE_2_19.folder if self is CORE_2_16 else self.folder
        return next(source.glob("lib/python3.*/site-packages"))

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "ANSIBLE_NOCOLOR": "1"}


NEWEST = Core("newest")
CORE_2_19 = Core("core-2.19", "3.11", "lock-py311.txt")
CORE_2_16 = Core("core-2.16", "3.11", "lock-core-2.16.txt")


class StepFailed(Exception):
    """A step that could not be run to its end, with the sentence that says why."""


class Log:
    """Where a step's commands write; ``run`` adds a command with its output, ``text`` is all of it so far."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self.path = path

    def run(self, *command: str | Path, cwd: Path = CHECKOUT, env: dict[str, str] | None = None) -> int:
        self.write(f"$ {' '.join(map(str, command))}\n")
        with self.path.open("a") as file:
            return subprocess.run(
                [str(word) for word in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=False
            ).returncode

    def check(self, *command: str | Path, cwd: Path = CHECKOUT, env: dict[str, str] | None = None) -> None:
        if code := self.run(*command, cwd=cwd, env=env):
            raise StepFailed(f"{Path(command[0]).name} ended with exit code {code}")

    def output(self, *command: str | Path, cwd: Path, env: dict[str, str]) -> str:
        """What a command prints; only its errors are logged."""
        self.write(f"$ {' '.join(map(str, command))}\n")
        with self.path.open("a") as file:
            words = [str(word) for word in command]
            return subprocess.run(words, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=file, text=True, check=True).stdout

    def write(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    @property
    def text(self) -> str:
        """All of it, without colours."""
        return re.sub(r"\x1b\[[0-9;]*m", "", self.path.read_text(errors="replace"))


def gate(*command: str, folder: str = ".", env: t.Mapping[str, str] | None = None) -> t.Callable[[Log], Count]:
    """A step that is one command, passed when its exit code is 0."""

    def run(log: Log) -> Count:
        log.check(*command, cwd=CHECKOUT / folder, env={**NEWEST.environment(), **(env or {})})
        return Count(passed=1)

    return run


def ready(core: Core, log: Log) -> None:
    """Make sure that the environment is there."""
    if core.lock:
        log.check("requirements/venv.sh", core.folder, core.python, f"requirements/{core.lock}")
    if core is CORE_2_16:
        ready(CORE_2_19, log)


def junit(*files: Path) -> Count:
    """Sum JUnit files."""
    count = Count()
    for file in files:
        for case in ET.parse(file).iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                count.failed += 1
            elif case.find("skipped") is not None:
                count.skipped += 1
                reason = t.cast(ET.Element, case.find("skipped")).get("message") or case.get("name") or ""
                count.note = reason if not count.note or reason == count.note else "several reasons, see the log"
            else:
                count.passed += 1
    return count


def pytest(folder: str, core: Core = NEWEST, *arguments: str, env: t.Mapping[str, str] | None = None) -> t.Callable[[Log], Count]:
    """A step that runs the tests of a folder on an ansible-core; ``arguments`` are pytest's, ``env`` is added to its environment."""

    def run(log: Log) -> Count:
        ready(core, log)
        report = LOGS / f"{log.path.stem}.xml"
        report.unlink(missing_ok=True)
        environment = {**core.environment(), **(env or {})}
        if core is CORE_2_16:
            environment["PYTHONPATH"] = str(dependencies(core))
        code = log.run(core.folder / "bin" / "python", "-m", "pytest", folder, *arguments, f"--junit-xml={report}", env=environment)
        if not report.exists():
            raise StepFailed(f"pytest ended with exit code {code} and no report")
        count = junit(report)
        if code and not count.failed:
            raise StepFailed(f"pytest ended with exit code {code}")
        if not count.passed + count.failed:
            raise StepFailed(f"no test was run in {folder}")
        return count

    return run


def dependencies(core: Core) -> Path:
    """A folder that holds nothing but ``ansible_collections``: with a whole site-packages in the path its ansible-core would win."""
    folder = core.folder / "dependencies"
    folder.mkdir(exist_ok=True)
    link = folder / "ansible_collections"
    if not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(core.collections / "ansible_collections")
    return folder


# ansible-test's virtual environments, which two runs share, are made without a lock.
SANITY = threading.Lock()


def sanity(core: Core) -> t.Callable[[Log], Count]:
    """A step that runs ansible-test's sanity tests on an ansible-core, without containers."""

    def run(log: Log) -> Count:
        with SANITY:
            return run_alone(log)

    def run_alone(log: Log) -> Count:
        ready(core, log)
        if ignored := [file.name for file in (CHECKOUT / "tests" / "sanity").glob("ignore*")]:
            raise StepFailed(f"no sanity test may be ignored: {', '.join(ignored)}")
        environment = core.environment()
        environment["PATH"] = f"{core.folder / 'bin'}:{interpreters()}:{os.environ['PATH']}"
        environment["HOME"] = str(prepare_home(CACHE / "ansible-test", core.collections / "ansible_test"))
        # Outside the checkout, whose git would say that all files under .cache are ignored.
        with tempfile.TemporaryDirectory(prefix="clusterset-dns-sanity-") as root:
            tree = work_copy(CHECKOUT, Path(root), core.collections)
            command = ("ansible-test", "sanity", "--python", "default", "--requirements", "--junit")
            code = log.run(*command, cwd=tree, env=environment)
            count = junit(*(tree / "tests" / "output" / "junit").glob("*.xml"))
        if code and not count.failed:
            raise StepFailed(f"ansible-test ended with exit code {code}")
        if not count.passed + count.failed:
            raise StepFailed("ansible-test ran nothing")
        return count

    return run


def interpreters() -> str:
    """The folders of all real interpreters: a version manager's shim for a version that is not set would be taken and fail."""
    command = [str(CHECKOUT / "requirements" / "find-python.sh")]
    found = [
        subprocess.run([*command, version], capture_output=True, text=True, check=False).stdout.strip()
        for version in ("3.11", "3.12", "3.13", "3.14")
    ]
    return ":".join(str(Path(path).parent) for path in found if path)


def package(core: Core) -> t.Callable[[Log], Count]:
    """A step that builds the collection, installs it, and has that ansible-core load each plugin's documentation and each playbook."""

    def run(log: Log) -> Count:
        ready(core, log)
        scratch = CHECKOUT / ".cache" / "package" / core.name
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        environment = core.environment()
        (scratch / "ansible.cfg").touch()
        environment["ANSIBLE_CONFIG"] = str(scratch / "ansible.cfg")
        environment["ANSIBLE_COLLECTIONS_PATH"] = f"{scratch / 'installed'}:{dependencies(core)}"
        log.check("ansible-galaxy", "collection", "build", "--output-path", scratch, env=environment)
        (tarball,) = scratch.glob("*.tar.gz")
        log.check(
            *("ansible-galaxy", "collection", "install", tarball, "--no-deps", "--offline", "-p", scratch / "installed"),
            cwd=scratch,
            env=environment,
        )
        root = scratch / "installed" / "ansible_collections" / "clusterset" / "dns"
        unwanted = {"examples", "lab", "tests", "benchmarks", ".venv", ".lab", ".cache", ".git", "Makefile"} & set(os.listdir(root))
        if unwanted:
            raise StepFailed(f"the tarball holds what galaxy.yml's build_ignore should keep out: {', '.join(sorted(unwanted))}")
        count = Count()
        for kind in ("module", "filter", "inventory", "lookup", "test"):
            folder = root / "plugins" / (f"{kind}s" if kind == "module" else kind)
            if names := sorted({f"clusterset.dns.{name}" for name in documented(folder, kind)}):
                # Its exit code is 0 for a plugin that it does not find: what counts is what it shows.
                shown = json.loads(log.output("ansible-doc", "--json", "--type", kind, *names, cwd=scratch, env=environment))
                missing = [name for name in names if not shown.get(name, {}).get("doc")]
                log.write(f"without documentation: {missing}\n")
                count.passed, count.failed = count.passed + len(names) - len(missing), count.failed + len(missing)
        for playbook in sorted((root / "playbooks").glob("*.yml")):
            command = ("ansible-playbook", "--syntax-check", "-i", "karmada,", f"clusterset.dns.{playbook.stem}")
            code = log.run(*command, cwd=scratch, env=environment)
            count.passed, count.failed = count.passed + (not code), count.failed + bool(code)
        return count

    return run


def documented(folder: Path, kind: str) -> list[str]:
    """Names of the plugins of a folder: a filter's is its own YAML file's, since one Python file holds several."""
    return [file.stem for file in folder.glob("*.yml" if kind in ("filter", "test") else "*.py")]


def molecule(log: Log) -> Count:
    """A step that runs Molecule's scenario on the fleet; each of its actions is one."""
    environment = NEWEST.environment()
    # It remembers that a scenario was prepared, be it by a run that was cut off, and would not prepare it again.
    log.check("molecule", "reset", cwd=CHECKOUT / "extensions", env=environment)
    code = log.run("molecule", "test", "--destroy", "never", cwd=CHECKOUT / "extensions", env=environment)
    # its own list at the end; where the terminal has no other arrow it is one of ASCII
    actions = re.findall(r"^\w+ [➜>] [\w ]+: Executed: (\w+)", log.text, re.MULTILINE)
    count = Count(passed=actions.count("Successful"), failed=sum(word in ("Failed", "Missing") for word in actions))
    if code and not count.failed:
        raise StepFailed(f"molecule ended with exit code {code}")
    if not count.passed + count.failed:
        raise StepFailed("molecule ran nothing")
    return count


def shellcheck(log: Log) -> Count:
    """A step over the shell scripts; ansible-test's test of that name, which needs the program, is satisfied by it, too."""
    if not shutil.which("shellcheck"):
        if os.geteuid() or not shutil.which("apt-get"):
            raise StepFailed("shellcheck is not installed: install it (Debian and Ubuntu: apt-get install shellcheck).")
        log.check("apt-get", "update", "-qq")
        log.check("apt-get", "install", "-y", "-qq", "shellcheck", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    files = subprocess.run(["git", "ls-files", "*.sh", ".ci/run"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    log.check("shellcheck", *files.split())
    return Count(passed=1)


# What each older ansible-core runs of the unit tests. Packages use nothing of it but AnsibleModule: one of the two with Python 3.11 tries them.
OLDER = {CORE_2_19: ("-m", "not once", "--ignore", "tests/unit/plugins/module_utils"), CORE_2_16: ("-m", "not once")}

STEPS: dict[str, dict[str, t.Callable[[Log], Count]]] = {
    "lint": {
        "ruff": gate("ruff", "check"),
        "yamllint": gate("yamllint", "--strict", "."),
        "ansible-lint": gate("ansible-lint", "--nocolor"),
        "ansible-lint-lab": gate("ansible-lint", "--nocolor", folder="lab", env={"ANSIBLE_CONFIG": "ansible.cfg"}),
        "shellcheck": shellcheck,
        "reuse": gate("reuse", "lint"),
        "antsibull-changelog": gate("antsibull-changelog", "lint"),
        "antsibull-docs": gate(
            *("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--check-extra-docs-refs", "--skip-rstcheck"),
            *("--validate-collection-refs", "dependent", "."),
            # It asks git for the files of each collection, and would find none of those in .venv, which this checkout ignores.
            env={"GIT_CEILING_DIRECTORIES": str(CHECKOUT)},
        ),
    },
    "package": {f"package-{core.name}": package(core) for core in (NEWEST, CORE_2_19, CORE_2_16)},
    "sanity": {f"sanity-{core.name}": sanity(core) for core in (NEWEST, CORE_2_19)},
    "unit": {f"unit-{core.name}": pytest("tests/unit", core, *OLDER.get(core, ())) for core in (NEWEST, CORE_2_19, CORE_2_16)},
    "integration": {"integration": pytest("tests/integration")},
    "lab": {"lab": gate("make", "lab")},
    "molecule": {"molecule": molecule},
    "fleet": {"fleet": pytest("tests/fleet", NEWEST, "-m", "not long")},
    "faults-ci": {"faults-ci": pytest("tests/fleet", NEWEST, "-m", "long and ci")},
    "faults": {
        # each write of each kind of member in each way, of which the unit tests try some in turn
        "faults-steps": pytest("tests/unit/plugins/modules/test_coredns_multicluster.py", NEWEST, env={"CLUSTERSET_EVERY_FAULT": "1"}),
        "faults-coredns": pytest("tests/fleet", NEWEST, "-m", "long", "-k", "test_coredns_"),
        "faults-others": pytest("tests/fleet", NEWEST, "-m", "long", "-k", "not test_coredns_"),
    },
}


# Steps that run on the fleet.
NEED_LAB = {"molecule", "fleet", "faults-ci", *STEPS["faults"]} - {"faults-steps"}
# One of the two lines begins with these: the lab waits for containers more than it computes, and takes longest where nothing is cached; Molecule's
# scenario, which follows it, does not count what clients lose while others take the cores.
BESIDE = ("lab", "molecule")
# Groups that take longer than one waits for with every change.
LONG = {"faults", "faults-ci"}


def execute(name: str, step: t.Callable[[Log], Count]) -> Count:
    """Run one step, with a sign of life each minute, and print its line."""
    log = Log(LOGS / f"{name}.log")
    started = time.monotonic()
    over = threading.Event()

    def heartbeat() -> None:
        while not over.wait(HEARTBEAT):
            last = log.text.rstrip("* │\n").rpartition("\n")[2].strip("│ ")
            print(f"  {name} … {time.monotonic() - started:.0f} s: {last[:120]}", flush=True)

    threading.Thread(target=heartbeat, daemon=True).start()
    reason = ""
    try:
        count = step(log)
    except (StepFailed, OSError, subprocess.CalledProcessError) as error:
        count, reason = Count(failed=1), str(error)
    finally:
        over.set()
    if count.failed:
        print(log.text[-20_000:], flush=True)
    words = [f"{count.passed} passed"] + [f"{number} {word}" for word in ("failed", "skipped") if (number := getattr(count, word))]
    line = f"{name:22} {', '.join(words):32} {time.monotonic() - started:6.1f} s  {reason or count.note}"
    print(line.rstrip(), flush=True)
    return count


class Queue:
    """Steps, each of which is run once by one of those who call :meth:`run`. Those that need a fleet have failed where there is none."""

    def __init__(self, steps: t.Mapping[str, t.Callable[[Log], Count]]) -> None:
        self.left = dict(steps)
        self.counts: list[Count] = []
        self.fleet = True
        self._lock = threading.Lock()

    def run(self, names: t.Iterable[str]) -> None:
        """Run what nobody else has taken of these, in this order."""
        for name in names:
            with self._lock:
                step = self.left.pop(name, None)
            if step is None:
                continue
            count = execute(name, step) if self.fleet or name not in NEED_LAB else Count(failed=1)
            self.counts.append(count)
            if name == "lab" and count.failed:
                print("Without a fleet there is nothing to try the rest on.", flush=True)
                self.fleet = False


def main() -> int:
    groups = ", ".join(STEPS)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"a group ({groups}), a step of one, usual (all but {', '.join(LONG)}), or all")
    wanted = parser.parse_args().steps
    every = {name: step for steps in STEPS.values() for name, step in steps.items()}
    if unknown := set(wanted) - set(STEPS) - set(every) - {"usual", "all"}:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; groups are {groups}, steps are {', '.join(every)}")
    if not wanted or "usual" in wanted:
        wanted += sorted(set(STEPS) - LONG)
    groups_wanted = set(STEPS) if "all" in wanted else set(wanted)
    chosen = {name: step for group, steps in STEPS.items() for name, step in steps.items() if {group, name} & groups_wanted}
    if NEED_LAB & set(chosen):
        chosen = {"lab": STEPS["lab"]["lab"], **chosen}
    started = time.monotonic()
    # what counts on the fleet what clients lose has the cores for itself
    alone = Queue({name: chosen.pop(name) for name in list(chosen) if name in NEED_LAB - set(BESIDE)})
    shared = Queue(chosen)
    rest = [name for name in chosen if name not in BESIDE]
    with ThreadPoolExecutor(2) as lines:
        for one in [lines.submit(shared.run, [*BESIDE, *rest]), lines.submit(shared.run, rest)]:
            one.result()
    alone.fleet = shared.fleet
    alone.run([*alone.left])
    counts = shared.counts + alone.counts
    passed, failed, skipped = (sum(getattr(count, word) for count in counts) for word in ("passed", "failed", "skipped"))
    print(f"{time.monotonic() - started:.0f} s" + (f", {skipped} skipped" if skipped else ""))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
