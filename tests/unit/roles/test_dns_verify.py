# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""The role, run by ansible-playbook as a user would, against API stand-ins that forward no ports: which hosts are in the report, and which fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import typing as t
import xml.etree.ElementTree as ET
from pathlib import Path

import ansible_collections.clusterset.dns
import pytest
from ansible_collections.clusterset.dns.tests.unit.api_standin import ApiStandIn

COLLECTIONS = Path(next(iter(ansible_collections.clusterset.dns.__path__))).parents[2]
UNREACHABLE = "does not answer"
NODELOCAL = "cluster.local clusterset.local {\n    bind 169.254.20.10\n    forward . 10.96.0.10\n}\n"


@pytest.fixture
def api() -> t.Iterator[ApiStandIn]:
    """A member of which no DNS server can be asked: nothing of it is wrong."""
    with ApiStandIn() as standin:
        standin.collections |= {"/apis/apps/v1/daemonsets", "/api/v1/namespaces/kube-system/pods"}
        standin.put("/api/v1/namespaces/default/services/kubernetes", {"spec": {"clusterIP": "10.96.0.1"}})
        runs = {
            "name": "node-cache",
            "image": "k8s-dns-node-cache",
            "args": ["-conf", "/etc/coredns/Corefile"],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
        }
        volumes = [{"name": "config", "configMap": {"name": "cache"}}]
        template = {"spec": {"hostNetwork": True, "containers": [runs], "volumes": volumes}}
        item = {"spec": {"selector": {"matchLabels": {"app": "cache"}}, "template": template}}
        standin.put("/apis/apps/v1/namespaces/kube-system/daemonsets/cache", item)
        standin.put("/api/v1/namespaces/kube-system/configmaps/cache", {"data": {"Corefile": NODELOCAL}})
        yield standin


class Play:
    """An inventory of hosts with a server each ('' for one that does not answer), and a play that ends with the role."""

    def __init__(self, folder: Path, **servers: str) -> None:
        self.folder = folder
        variables = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "dns_verify_wait_timeout": 0,
            "dns_verify_json": str(folder / "report.json"),
            "dns_verify_junit": str(folder / "report.xml"),
        }
        hosts = {name: {"clusterset_kubeconfig": str(self._kubeconfig(name, server or "http://127.0.0.1:1"))} for name, server in servers.items()}
        (folder / "inventory.json").write_text(json.dumps({"all": {"vars": variables, "children": {"members": {"hosts": hosts}}}}))
        self.play: dict[str, t.Any] = {"hosts": "members", "gather_facts": False, "roles": ["clusterset.dns.dns_verify"]}

    def _kubeconfig(self, name: str, server: str) -> Path:
        file = self.folder / f"{name}.kubeconfig.json"
        contexts = [{"name": "x", "context": {"cluster": "x", "user": "x"}}]
        users, clusters = [{"name": "x", "user": {"token": "none"}}], [{"name": "x", "cluster": {"server": server}}]
        file.write_text(json.dumps({"current-context": "x", "contexts": contexts, "clusters": clusters, "users": users}))
        return file

    def run(self, *arguments: str) -> tuple[dict[str, bool], str]:
        """:returns: for each host of the recap whether it failed, and what was printed."""
        (self.folder / "play.yml").write_text(json.dumps([self.play]))
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_LOCALHOST_WARNING": "0"}
        command = [sys.executable, "-m", "ansible", "playbook", "-i", str(self.folder / "inventory.json"), str(self.folder / "play.yml"), *arguments]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        recap = re.findall(r"^(\S+) +: ok=.*failed=(\d+)", ran.stdout, re.M)
        assert recap, ran.stdout + ran.stderr
        return {name: failed != "0" for name, failed in recap}, ran.stdout

    @property
    def report(self) -> dict[str, t.Any]:
        return json.loads((self.folder / "report.json").read_text())

    @property
    def verdicts(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in self.report["rows"]:
            found.setdefault(row["cluster"], []).append(row["verdict"])
        return found


def test_a_member_that_cannot_be_looked_at_is_a_failed_row_and_a_failed_host(tmp_path: Path, api: ApiStandIn) -> None:
    play = Play(tmp_path, good=api.url, down="")
    api.remove("/apis/apps/v1/namespaces/kube-system/daemonsets/cache")
    play.play["vars"] = {"dns_verify_label_selector": "{{ '' if inventory_hostname == 'down' else 'app=none' }}"}
    failed, said = play.run()
    assert failed == {"good": True, "down": True}
    assert play.verdicts == {"good": ["error"], "down": ["error"]}
    errors = {one["name"]: one["error"] for one in play.report["failed_members"]}
    assert UNREACHABLE in errors["down"]
    assert "no running pod in namespace kube-system has the labels app=none" in errors["good"]
    # With hundreds of members the time that Ansible takes for a task and host counts.
    tasks = re.split(r"^TASK \[clusterset.dns.dns_verify : ", said, flags=re.M)[1:]
    of_each_host = [task.split("]")[0] for task in tasks if len(re.findall(r"^(?:ok|changed|fatal|skipping): \[", task, re.M)) > 1]
    assert of_each_host[1:] == ["Collect | Say what each member wants", "Refuse | Stop where a member is not right"]
    assert of_each_host[0].startswith("Validating arguments")
    assert (play.report["ok"], play.report["summary"]) == (False, "0 answers of 0 CoreDNS pods in 0 of 2 clusters: 2 not right, in good, down.")
    assert ET.parse(tmp_path / "report.xml").getroot().get("failures") == "2"


def test_what_cannot_be_asked_and_is_not_known_to_be_wrong_fails_no_host(tmp_path: Path, api: ApiStandIn) -> None:
    play = Play(tmp_path, good=api.url)
    labels = {"kubernetes.io/cluster-service": "true"}
    api.put("/api/v1/namespaces/kube-system/services/none", {"metadata": {"labels": labels}, "spec": {"selector": {"a": "b"}, "ports": [{"port": 53}]}})
    failed, said = play.run()
    assert (failed, play.verdicts) == ({"good": True}, {"good": ["error", "unasked"]})
    assert "By its Corefile it passes clusterset.local on" in " ".join(said.split())
    (row,) = [row for row in play.report["rows"] if row["verdict"] == "unasked"]
    assert row["ok"] is None
    assert row["cause"] not in play.report["failed_members"][0]["error"]


def test_a_host_that_failed_before_is_a_failed_row(tmp_path: Path) -> None:
    play = Play(tmp_path, early="", down="")
    play.play["pre_tasks"] = [{"ansible.builtin.fail": {"msg": "lost"}, "when": "inventory_hostname == 'early'"}]
    failed, _said = play.run()
    assert failed == {"early": True, "down": True}
    assert [(row["cluster"], "an earlier step failed" in row["cause"]) for row in play.report["rows"]] == [("down", False), ("early", True)]


def test_the_report_is_of_the_limit_and_of_all_batches(tmp_path: Path) -> None:
    play = Play(tmp_path, one="", two="", three="")
    play.run("--limit", "one,two")
    assert play.verdicts == {"one": ["error"], "two": ["error"]}
    play.play |= {"serial": 2, "max_fail_percentage": 100, "ignore_errors": True}
    play.run()
    assert sorted(play.verdicts) == ["one", "three", "two"]
    assert len(play.report["rows"]) == 3


def test_check_mode_fails_hosts_that_cannot_be_looked_at_and_no_other(tmp_path: Path, api: ApiStandIn) -> None:
    play = Play(tmp_path, good=api.url, down="")
    failed, said = play.run("--check")
    assert failed == {"good": False, "down": True}
    assert "No pod serves the zone yet" in said


def test_the_table_is_shown_once_as_a_table(tmp_path: Path) -> None:
    play = Play(tmp_path, one="", two="")
    for arguments in ((), ("--check",)):
        _failed, said = play.run(*arguments)
        lines = said.splitlines()
        assert lines.count("  NAME  TYPE  ANSWER  EXPECTED  VERDICT") == 1
        assert "one" in lines
        assert "two" in lines
        assert "0 answers of 0 CoreDNS pods in 0 of 2 clusters: 2 not right, in one, two." in lines


def test_the_page_is_written_beside_the_other_reports(tmp_path: Path) -> None:
    play = Play(tmp_path, down="")
    page = tmp_path / "report.html"
    play.play["vars"] = {"dns_verify_html": str(page), "dns_verify_zone": "clusters.example"}
    failed, said = play.run()
    text = page.read_text()
    assert failed == {"down": True}
    assert text.startswith("<!DOCTYPE html>")
    assert re.search(r"<dt>Zone</dt><dd>clusters\.example</dd>.*<dt>Made</dt><dd>\d{4}-\d\d-\d\d \d\d:\d\d UTC</dd>", text)
    assert "1 cluster could not be looked at" in text
    assert "changed=0" in said


def test_what_is_relied_on_fails_the_play_after_the_reports_are_written(tmp_path: Path) -> None:
    pytest.importorskip("jmespath")
    play = Play(tmp_path, down="", other="")
    wrong = ["length(answers[?verdict!='ok']) == `0`", "length("]
    play.play["vars"] = {"dns_verify_assert": ["length(failed_members) == `2`", *wrong]}
    failed, said = play.run()
    assert (failed["down"], len(play.report["rows"])) == (True, 2)
    assert "dns_verify_assert: length(answers[?verdict!='ok']) == `0` gave false, not true. 'length(' is no JMESPath:" in said
    assert "Refuse" not in said
    assert "failed_members" not in said.split("dns_verify_assert:")[1]


def test_what_is_relied_on_is_not_tried_in_check_mode(tmp_path: Path, api: ApiStandIn) -> None:
    play = Play(tmp_path, good=api.url)
    play.play["vars"] = {"dns_verify_assert": ["`false`"]}
    assert play.run("--check")[0] == {"good": False}
