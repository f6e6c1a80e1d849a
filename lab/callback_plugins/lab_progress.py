# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: lab_progress
type: stdout
short_description: One line per task that did something, with the elapsed time, and a sign of life while a long one runs
description:
  - Prints a task when it starts, with the time since the playbook began. A thread writes what the task is doing every 15 seconds, with the
    last line of the newest log in the lab's cache, so that a compile of many minutes shows where it is.
  - Prints of what failed the message, the output and the end of that log, at once, and at the end which items of a loop it was.
extends_documentation_fragment:
  - default_callback
"""

import glob
import os
import threading
import time

from ansible.plugins.callback.default import CallbackModule as DefaultCallback

HEARTBEAT = 15.0


def clock(seconds: float) -> str:
    """Minutes and seconds, such as 3:07."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


def last_lines(path: str, count: int) -> list[str]:
    """The last lines of a log that is being written; empty ones do not count."""
    with open(path, "rb") as log:
        log.seek(max(0, os.path.getsize(path) - 2000 * count))
        lines = log.read().decode(errors="replace").replace("\r", "\n").split("\n")
    return [line.rstrip() for line in lines if line.strip()][-count:]


class CallbackModule(DefaultCallback):
    """The default callback without its banners, plus the heartbeat."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "lab_progress"

    def __init__(self) -> None:
        super().__init__()
        self._begun = time.monotonic()
        self._task_name = ""
        self._task_begun = self._begun
        self._task_wall = time.time()
        self._spoken = self._begun
        self._announced = True
        self._failed_items: list[str] = []
        self._ended = threading.Event()
        cache = os.environ.get("CLUSTERSET_LAB_CACHE") or os.path.expanduser("~/.cache/clusterset-lab")
        self._logs = os.path.join(cache, "log", "*.log")

    def _say(self, text: str) -> None:
        # Past Python's buffers: this runs in a thread while the main one forks workers, which would inherit their locks.
        os.write(1, text.encode() + b"\n")
        self._spoken = time.monotonic()

    def _log(self) -> str:
        """The newest log that was written since the task began; empty if there is none."""
        logs = [path for path in glob.glob(self._logs) if os.path.getmtime(path) >= self._task_wall]
        return max(logs, key=os.path.getmtime, default="")

    def _label(self, data) -> str:
        """The name of a loop's item."""
        label = self._get_item_label(data)
        return str(label.get("name", "") if isinstance(label, dict) else label)

    def _explanation(self, data) -> list[str]:
        """What a result says of its failure, with the end of the build's log unless it names that itself."""
        parts = [str(data[key]).strip() for key in ("censored", "msg", "stderr", "stdout") if data.get(key)]
        log = self._log()
        if log and not any(log in part for part in parts):
            parts.append("\n".join([f"The end of {log}:", *last_lines(log, 15)]))
        return [line for part in parts for line in part.splitlines()][-40:]

    def _beat(self) -> None:
        while not self._ended.wait(1):
            now = time.monotonic()
            if not self._announced and now - self._task_begun >= 1:
                self._announce()
            if self._task_name and now - self._spoken >= HEARTBEAT:
                log, detail = self._log(), ""
                if log:
                    detail = f": {os.path.basename(log).removesuffix('.log')}: {''.join(last_lines(log, 1)).strip()}"[:150]
                self._say(f"{clock(now - self._begun):>6}    ... {clock(now - self._task_begun)}{detail}")

    def v2_playbook_on_start(self, playbook) -> None:
        threading.Thread(target=self._beat, daemon=True).start()

    def v2_playbook_on_play_start(self, play) -> None:
        self._play = play

    def v2_playbook_on_include(self, included_file) -> None:
        """Files that are included are of no interest here."""

    def v2_playbook_on_task_start(self, task, is_conditional) -> None:
        # Not task.get_name(): a role's name in front would say the same twice.
        self._task_name = task.name or task.action
        self._task_begun = time.monotonic()
        self._task_wall = time.time()
        self._announced = False
        self._failed_items = []
        if not is_conditional and not task.when:
            self._announce()

    def v2_playbook_on_cleanup_task_start(self, task) -> None:
        self.v2_playbook_on_task_start(task, False)

    def v2_playbook_on_handler_task_start(self, task) -> None:
        self.v2_playbook_on_task_start(task, False)

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._say(f"{clock(time.monotonic() - self._begun):>6}  {self._task_name}")

    def v2_runner_on_start(self, host, task) -> None:
        """A task with a condition is announced when it changed something or takes longer than a second: it may be skipped."""

    def _finished(self, result) -> None:
        took = time.monotonic() - self._task_begun
        # Ansible ≥ 2.19 has result.result; older ones only the private name.
        data = getattr(result, "result", None) or result._result
        if data.get("changed"):
            self._announce()
            if took >= 5:
                self._say(f"{clock(time.monotonic() - self._begun):>6}    done in {clock(took)}")

    def v2_runner_on_ok(self, result) -> None:
        data = getattr(result, "result", None) or result._result
        self._finished(result)
        task = getattr(result, "task", None) or result._task
        if task.action in ("ansible.builtin.debug", "debug") and isinstance(data.get("msg"), (str, list)):
            lines = data["msg"] if isinstance(data["msg"], list) else data["msg"].splitlines()
            for line in lines:
                self._say(f"        {line}")

    def v2_runner_on_skipped(self, result) -> None:
        """Nothing was to be done."""

    def v2_runner_item_on_ok(self, result) -> None:
        data = getattr(result, "result", None) or result._result
        if data.get("changed"):
            self._announce()
            if data.get("_ansible_no_log"):
                return
            actions = "".join(f", {action}" for action in data.get("actions") or [])
            self._say(f"{clock(time.monotonic() - self._begun):>6}    {self._label(data)}{actions}")

    def v2_runner_item_on_skipped(self, result) -> None:
        """Nothing was to be done."""

    def v2_runner_retry(self, result) -> None:
        """The heartbeat tells that the task still waits."""

    def v2_runner_on_failed(self, result, ignore_errors=False) -> None:
        data = getattr(result, "result", None) or result._result
        if ignore_errors:
            return
        self._announce()
        if not self._failed_items:
            self._say("FAILED  " + "\n        ".join(self._explanation(data)))
        # Their own words may be far above, if others took their time after them.
        for item in self._failed_items:
            self._say(f"FAILED  {item}")

    def v2_runner_item_on_failed(self, result) -> None:
        data = getattr(result, "result", None) or result._result
        self._announce()
        label, explanation = self._label(data), self._explanation(data)
        self._failed_items.append(": ".join([label, *explanation[:1]]))
        self._say("\n        ".join([f"FAILED  {label}", *explanation]))

    def v2_playbook_on_stats(self, stats) -> None:
        self._ended.set()
        failed = any(stats.summarize(host)["failures"] or stats.summarize(host)["unreachable"] for host in stats.processed)
        self._say(f"{clock(time.monotonic() - self._begun):>6}  {'Failed.' if failed else 'Done.'}")
