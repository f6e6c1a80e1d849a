# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a run of ``site.yml`` costs that has nothing to do: which tasks it has for each host, and how many processes. And that each host's own
variables count all the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
from pathlib import Path

import ansible_collections.clusterset.dns
import pytest
import yaml

CHECKOUT = Path(__file__).resolve().parents[2]
COLLECTIONS = Path(next(iter(ansible_collections.clusterset.dns.__path__))).parents[2]
MEMBERS = "{{ clusterset_members | default('karmada_members') }}"
KARMADA = "{{ clusterset_karmada | default('karmada') }}"
Task = dict[str, t.Any]


def load(path: str) -> t.Any:
    return yaml.safe_load((CHECKOUT / path).read_text())


def expanded(tasks: list[Task], folder: str, once: bool = False, never: bool = False) -> t.Iterator[Task]:
    """The tasks with those that they import, each with ``run_once`` and ``never`` as it inherits them."""
    for task in tasks:
        inherited = {"once": once or bool(task.get("run_once")), "never": never or "never" in task.get("tags", [])}
        if role := task.get("ansible.builtin.import_role"):
            where = f"roles/{role['name'].rpartition('.')[2]}/tasks"
            yield from expanded(load(f"{where}/{role.get('tasks_from', 'main')}.yml"), where, **inherited)
        elif file := task.get("ansible.builtin.import_tasks"):
            yield from expanded(load(f"{folder}/{file}"), folder, **inherited)
        else:
            yield {**task, **inherited}


def tasks_of(playbook: str, hosts: str) -> list[Task]:
    """The tasks of the plays that are for all these hosts in every run."""
    plays = [play for play in load(f"playbooks/{playbook}.yml") if play.get("hosts") == hosts]
    assert plays
    found = []
    for play in plays:
        roles = [{"ansible.builtin.import_role": {"name": one["role"]}} for one in play.get("roles", [])]
        found += expanded([*play.get("pre_tasks", []), *roles, *play.get("tasks", []), *play.get("post_tasks", [])], "playbooks")
    return [task for task in found if not task["never"]]


@pytest.mark.parametrize(
    ("playbook", "for_each"), [("site", ["Say what is asked of each member"]), ("verify", ["Collect | Say what each member wants"])]
)
def test_a_run_has_one_task_for_each_host(playbook: str, for_each: list[str]) -> None:
    """Each further one costs hundreds of hosts tens of seconds."""
    assert [task["name"] for task in tasks_of(playbook, MEMBERS) if not task["once"]] == for_each


def test_a_run_has_a_process_for_each_module_and_not_for_each_host() -> None:
    tasks = (*tasks_of("site", KARMADA), *tasks_of("site", MEMBERS))
    modules = [name for task in tasks for name in task if name.startswith("clusterset.dns.") and name != "clusterset.dns.print_lines"]
    # the looks before mcs_crds and service_exports are for who asks for no more than the look
    assert sorted(set(modules)) == sorted(
        f"clusterset.dns.{name}"
        for name in ("coredns_multicluster_info", "dns_verify_info", "mcs_crds", "objects", "service_exports", "serviceimport_ips")
    )
    assert len(modules) == 8


def run_play(folder: Path, inventory: t.Any, play: Task) -> list[t.Any]:
    """:returns: what its tasks ``said`` printed, in the order of tasks and hosts."""
    (folder / "inventory.json").write_text(json.dumps(inventory))
    (folder / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play}]))
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
    }
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(folder / "inventory.json"), str(folder / "play.yml")]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = [json.loads(json.loads(f'"{one}"')) for one in re.findall(r'"msg": "SAID (.*)"$', ran.stdout, re.M)]
    assert found, ran.stdout + ran.stderr
    return found


def said(*names: str) -> Task:
    return {"debug": {"msg": "SAID {{ [" + ", ".join(names) + "] | to_json }}"}}


def test_each_host_is_asked_by_its_own_variables(tmp_path: Path) -> None:
    """Host variables, those of groups, Jinja in them that differs by host, and what a play says above them."""
    hosts = {
        "a": {"region": "one", "coredns_multicluster_zone": "a.example"},
        "b": {"region": "two", "clusterset_member": "second", "dns_verify_port": 5353, "coredns_multicluster_mode": "builtin"},
    }
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "clusterset_zone": "{{ region }}.example",
        "coredns_multicluster_namespace": "dns-{{ inventory_hostname }}",
        "coredns_multicluster_mode": "plugin",
    }
    roles = [("coredns_multicluster", "survey"), ("dns_verify", "ask")]
    known = [{"import_role": {"name": f"clusterset.dns.{role}", "tasks_from": tasks}, "tags": ["never"]} for role, tasks in roles]
    (asked,) = [task for task in tasks_of("site", MEMBERS) if task["name"] == "Say what is asked of each member"]
    tasks = [*known, {"set_fact": asked["ansible.builtin.set_fact"]}, said("__coredns_multicluster_member", "__dns_verify_member")]
    play = {"vars": {"coredns_multicluster_image": "x/{{ region }}:v1.12.2"}, "tasks": tasks}
    found = run_play(tmp_path, {"all": {"vars": variables, "hosts": hosts}}, play)
    assert len(found) == 2
    coredns = {one["name"]: one for one, _verify in found}
    verify = {one["name"]: one for _coredns, one in found}
    shown = ("zone", "namespace", "mode", "image", "state", "forward_replicas", "header", "imports")
    assert [[coredns[name][key] for key in shown] for name in ("a", "second")] == [
        ["a.example", "dns-a", "plugin", "x/one:v1.12.2", "present", 2, True, None],
        ["two.example", "dns-b", "builtin", "x/two:v1.12.2", "present", 2, True, None],
    ]
    assert [[verify[name][key] for key in ("zone", "port", "services")] for name in ("a", "second")] == [
        ["one.example", 0, []],
        ["two.example", 5353, []],
    ]


def test_the_look_of_a_teardown_is_for_the_way_back(tmp_path: Path) -> None:
    hosts = {"down": {"clusterset_host": "http://127.0.0.1:1", "ansible_connection": "local", "ansible_python_interpreter": sys.executable}}
    role = {"name": "clusterset.dns.coredns_multicluster", "tasks_from": "teardown_preflight", "rolespec_validate": False}
    tasks = [{"import_role": role}, said("__coredns_multicluster_member.state", "groups.coredns_multicluster_unfit")]
    play = {"vars": {"coredns_multicluster_deadline": 3}, "tasks": tasks}
    assert run_play(tmp_path, {"all": {"hosts": hosts}}, play) == [["absent", ["down"]]]
