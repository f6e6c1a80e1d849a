# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import time

import pytest

pytest.importorskip("kubernetes")

from ansible_collections.clusterset.dns.plugins.module_utils._dns import http_query
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import ApiError

PODS = "/api/v1/namespaces/default/pods"


class FakeCluster:
    """A cluster in which the pod goes through ``statuses``; ``others`` were there before."""

    name = "member2"

    def __init__(self, *statuses, others=()):
        self.statuses, self.others = list(statuses), list(others)
        self.deleted = []
        self.mark = ""

    def create(self, path, body):
        assert path == PODS
        command = body["spec"]["containers"][0]["command"]
        self.mark = command[command.index("--write-out") + 1].split()[0].removeprefix("\\n")
        return {**body, "metadata": {**body["metadata"], "name": "new", "creationTimestamp": "2026-11-23T12:00:00Z"}}

    def list(self, path, label_selector=""):
        assert (path, "managed-by=clusterset.dns" in label_selector) == (PODS, True)
        return self.others

    def get(self, path):
        status = self.statuses.pop(0)
        if isinstance(status, Exception):
            raise status
        return {"status": status}

    def text(self, path):
        assert path == f"{PODS}/new/log"
        return f"hello\n{self.mark} 200 0.002 0 \n"

    def delete(self, path, *, found):
        assert found["metadata"]["name"] == path.rpartition("/")[2]
        self.deleted.append(path.removeprefix(f"{PODS}/"))


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(http_query, "_PAUSE", 0)


def test_asks_and_deletes_the_pod():
    cluster = FakeCluster({"phase": "Pending"}, {"phase": "Running"}, {"phase": "Succeeded"})
    (row,) = http_query.query(cluster, ["http://a/"], "curl")
    assert (row["status"], row["body"], row["error"]) == (200, "hello", "")
    assert cluster.deleted == ["new"]


def test_deletes_what_a_killed_run_left():
    old = {
        "metadata": {"name": "left", "creationTimestamp": "2026-11-23T11:00:00Z"},
        "spec": {"activeDeadlineSeconds": 100},
    }
    cluster = FakeCluster({"phase": "Succeeded"}, others=[old])
    http_query.query(cluster, ["http://a/"], "curl")
    assert cluster.deleted == ["left", "new"]


def test_a_pod_that_does_not_start_is_deleted_and_a_sentence():
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such host."}}
    cluster = FakeCluster({"phase": "Pending", "containerStatuses": [{"state": waiting}]})
    with pytest.raises(ApiError) as caught:
        http_query.query(cluster, ["http://a/"], "curl")
    assert str(caught.value) == (
        "member2: HTTP could not be tried: pod default/new with image curl: its container does not start:"
        " ImagePullBackOff: no such host."
    )
    assert cluster.deleted == ["new"]


def test_the_pod_is_deleted_when_the_api_server_goes_away():
    cluster = FakeCluster(ApiError("member2", "member2 does not answer."))
    with pytest.raises(ApiError):
        http_query.query(cluster, ["http://a/"], "curl")
    assert cluster.deleted == ["new"]


def test_a_pod_that_never_starts_is_given_up_by_the_deadline():
    class NeverStarts(FakeCluster):
        def get(self, path):
            return {"status": {"phase": "Pending"}}

    cluster = NeverStarts()
    with pytest.raises(ApiError, match="its phase is Pending after"):
        http_query.query(cluster, ["http://a/"], "curl", deadline=time.monotonic() + 0.05)
    assert cluster.deleted == ["new"]


def test_no_pod_is_made_when_the_time_is_over():
    cluster = FakeCluster()
    with pytest.raises(ApiError, match="HTTP was not tried within the deadline"):
        http_query.query(cluster, ["http://a/"], "curl", deadline=time.monotonic())
    assert cluster.deleted == []
