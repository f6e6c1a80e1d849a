# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._kube import objects as _objects


@pytest.mark.parametrize(
    ("wanted", "found", "answer"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, True),
        ({"a": {"b": 1}}, {"a": None}, False),
        ({"a": [{"port": 80}]}, {"a": [{"port": 80, "protocol": "TCP"}]}, True),
        ({"a": [1, 2]}, {"a": [2, 1]}, False),
        ({"a": [1]}, {"a": [1, 2]}, False),
        ({"a": None}, {}, True),
        ({"a": None}, {"a": 1}, False),
        ({"a": False}, {}, False),
    ],
)
def test_an_object_is_as_wanted_when_it_says_everything_that_is_wanted(wanted, found, answer):
    assert _objects.satisfied(wanted, found) is answer


def test_a_diff_shows_what_is_spoken_of_and_no_more():
    wanted = {"spec": {"ports": [{"port": 80}]}, "kind": "X"}
    found = {"spec": {"ports": [{"port": 81, "protocol": "TCP"}], "type": "A"}, "kind": "X", "status": {}}
    assert _objects.shown(wanted, found) == {"spec": {"ports": [{"port": 81}]}, "kind": "X"}


def test_paths():
    kind = _objects.find_kind(
        "apps/v1",
        "Deployment",
        [
            {"kind": "Deployment", "name": "deployments/status", "namespaced": True},
            {"kind": "Deployment", "name": "deployments", "namespaced": True},
        ],
    )
    assert kind.path("default", "a") == "/apis/apps/v1/namespaces/default/deployments/a"
    assert kind.path(None) == "/apis/apps/v1/deployments"
    assert _objects.root_of("v1") == "/api/v1"
    assert _objects.find_kind("v1", "Nothing", []) is None


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ("text", "has to be a dictionary"),
        ({"kind": "A", "metadata": {"name": "a"}}, "no apiVersion"),
        ({"apiVersion": "v1", "metadata": {"name": "a"}}, "no kind"),
        ({"apiVersion": "v1", "kind": "A", "metadata": {}}, "no metadata.name"),
    ],
)
def test_what_is_no_object_is_refused(item, words):
    assert words in _objects.invalid(item)
