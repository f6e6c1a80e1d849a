# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors

from __future__ import annotations

import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._dns import http_query as _http

MARK = "0123456789abcdef"
LIMITS = {"timeout": 2, "wait_timeout": 0, "pull_policy": "IfNotPresent"}


@pytest.mark.parametrize(
    "url", ["http://serve.default.svc.clusterset.local/", "https://a:8443/x?y=%20", "http://[fd00::1]:80/"]
)
def test_valid_urls(url):
    assert _http.invalid_url(url) is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "begin with http://"),
        ("--output=/etc/passwd", "begin with http://"),
        ("file:///etc/passwd", "begin with http://"),
        ("http://", "begin with http://"),
        ("http://a:port/", "is no URL"),
        ("http://a/b c", "white space"),
        ("http://a/\n-x", "white space"),
    ],
)
def test_invalid_urls(url, says):
    assert says in (_http.invalid_url(url) or "")


def test_the_pod_is_restricted_and_ends_by_itself():
    spec = _http.pod(["http://a/", "http://b/"], "image", MARK, **LIMITS)["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["automountServiceAccountToken"] is False
    assert spec["restartPolicy"] == "Never"
    assert _http.START_TIMEOUT < spec["activeDeadlineSeconds"] < _http.START_TIMEOUT + 10


def asked(urls, **limits):
    """What curl itself, with the pod's very arguments, writes to the log."""
    command = _http.pod(urls, "image", MARK, **{**LIMITS, **limits})["spec"]["containers"][0]["command"]
    log = subprocess.run(command, capture_output=True, check=False, timeout=60).stdout.decode()
    return _http.results(urls, log, MARK, 10, "not asked")


@pytest.fixture
def server():
    class Handler(BaseHTTPRequestHandler):
        hits = 0

        def do_GET(self):
            Handler.hits += 1
            if self.path == "/flaky":
                status, body = (503, b"wait") if Handler.hits < 3 else (200, b"ready")
            else:
                status, body = {
                    "/": (200, b"serve on member1"),
                    "/empty": (204, b""),
                    "/huge": (200, b"x" * 2_000_000),
                    "/lines": (500, b"a\n\nb\n"),
                }.get(self.path, (404, b"no\n"))
            self.send_response(status)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *unused):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_each_url_has_its_own_result(server):
    rows = asked([server + path for path in ("/", "/gone", "/empty", "/lines")])
    assert [(row["status"], row["body"], row["error"]) for row in rows] == [
        (200, "serve on m", ""),
        (404, "no\n", ""),
        (204, "", ""),
        (500, "a\n\nb\n", ""),
    ]
    assert all(0 < row["time_ms"] < 2000 for row in rows)


@needs_curl
def test_what_does_not_answer_is_an_error_between_others(server):
    rows = asked([server + "/", "http://127.0.0.1:1/", server + "/gone"])
    assert [row["status"] for row in rows] == [200, None, 404]
    assert "curl exit code 7" in rows[1]["error"]


@needs_curl
def test_a_huge_body_is_an_answer(server):
    (row,) = asked([server + "/huge"])
    assert (row["status"], row["error"]) == (200, "")


@needs_curl
def test_waits_for_a_server_that_is_not_ready(server):
    (row,) = asked([server + "/flaky"], wait_timeout=5)
    assert row["status"] == 200


def test_urls_that_were_not_asked():
    rows = _http.results(["http://a/", "http://b/"], f"body\n{MARK} 200 0.001 0 \n", MARK, 100, "not asked")
    assert [(row["status"], row["error"]) for row in rows] == [(200, ""), (None, "not asked")]


def test_a_body_cut_within_a_character():
    (row,) = _http.results(["http://a/"], f"aé\n{MARK} 200 0.001 0 \n", MARK, 2, "not asked")
    assert row["body"] == "a"


def found(phase="Pending", state=None, **status):
    containers = [{"state": state}] if state else []
    return {"status": {"phase": phase, "containerStatuses": containers, **status}}


@pytest.mark.parametrize(
    ("pod", "says"),
    [
        (found("Pending", {"waiting": {"reason": "ContainerCreating"}}), None),
        (found("Running", {"running": {}}), None),
        (found("Failed", {"terminated": {"reason": "Error", "exitCode": 6}}), None),
        (
            found("Pending", {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}),
            "ErrImagePull: no such host",
        ),
        (
            found("Failed", {"terminated": {"reason": "StartError", "message": "no curl"}}),
            "is it in the image? no curl",
        ),
        (found("Failed", reason="DeadlineExceeded", message="too long"), "it was ended: DeadlineExceeded: too long"),
    ],
)
def test_failure(pod, says):
    assert _http.failure(pod) is None if says is None else says in _http.failure(pod)


def test_pending():
    unscheduled = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    assert _http.pending(found(conditions=unscheduled)) == "it is not scheduled: 0/1 nodes are available"
    assert _http.pending(found("Pending", {"waiting": {"reason": "ContainerCreating"}})) == (
        "its container waits: ContainerCreating"
    )
    assert _http.pending(found()) == "its phase is Pending"


def test_leftovers_are_past_their_deadline_for_a_minute():
    def old(name, stamp):
        return {"metadata": {"name": name, "creationTimestamp": stamp}, "spec": {"activeDeadlineSeconds": 100}}

    pods = [old("old", "2026-11-23T10:00:00Z"), old("other-run", "2026-11-23T10:00:30Z")]
    assert [one["metadata"]["name"] for one in _http.leftovers(pods, "2026-11-23T10:02:41Z")] == ["old"]
