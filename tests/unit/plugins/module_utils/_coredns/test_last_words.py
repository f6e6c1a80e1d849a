# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What of a pod's log is told when it does not do."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._coredns.pods import last_words

GREETING = "maxprocs: Leaving GOMAXPROCS=2: CPU quota undefined\n"
STARTED = f"{GREETING}clusterset.local.:53\n.:53\n[INFO] plugin/reload: Running configuration SHA512 = 8f1b\nCoreDNS-1.14.6\nlinux/amd64, go1.26.8, 145abe\n"
# CoreDNS writes the cause before its greeting where a plugin cannot be set up.
CERTIFICATE = "plugin/tls: could not load TLS cert: open /none.pem: no such file or directory"


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (f"{CERTIFICATE}\n{GREETING}", f"It says: {CERTIFICATE}"),
        (f"{STARTED}[ERROR] plugin/errors: 2 a. A: i/o timeout\n", "It says: [ERROR] plugin/errors: 2 a. A: i/o timeout"),
        ("[WARNING] one\nanother\n", "It says: [WARNING] one"),
        (STARTED, ""),
        ("", ""),
    ],
)
def test_the_cause_and_not_the_greeting(log: str, words: str) -> None:
    cluster = t.cast("t.Any", types.SimpleNamespace(text=lambda path: log if "previous=false" in path else ""))
    assert last_words(cluster, "kube-system", "pod", "coredns") == words
