# Copyright (c) 2026, clusterset.dns contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""From which cluster an imported EndpointSlice comes, and which labels it gets."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._imports.headless import (
    Slice,
    collected_from,
    imported_slice,
    patch_of,
    slice_row,
    source_cluster,
)

NONE = ("", "")


def a_slice(name: str, service: str = "web", labels: tuple[str, str] = NONE) -> Slice:
    return Slice(("default", name), service, labels)


@pytest.mark.parametrize(
    ("name", "service", "clusters", "expected"),
    [
        ("imported-member1-web-x7k2p", "web", ["member1", "member2"], ("member1", True)),
        # a cluster that is not among the members of this run
        ("imported-member9-web-x7k2p", "web", ["member1"], ("member9", True)),
        # a slice whose name Kubernetes did not generate
        ("imported-member1-mine", "web", ["member1", "member2"], ("member1", True)),
        ("imported-a-b-web-x7k2p", "web", ["a", "a-b"], ("a-b", False)),
        ("imported-a-b-web-x7k2p", "web", ["a-b", "a"], ("a-b", False)),
        ("imported-a-web-x7k2p", "web", ["a", "a-b"], ("a", True)),
        ("imported-a-b-mine", "web", ["a", "a-b"], ("", False)),
        # only a of the two is known, and the name speaks for the other
        ("imported-a-b-web-x7k2p", "web", ["a"], ("", False)),
        ("imported-member9-mine", "web", ["member1"], ("", False)),
        # the API server has cut generateName, the dash with it
        ("imported-a-" + "w" * 58 + "x7k2p", "w" * 63, ["a"], ("a", True)),
    ],
)
def test_the_cluster_by_the_name(name: str, service: str, clusters: list[str], expected: tuple[str, bool]) -> None:
    assert source_cluster(a_slice(name, service), clusters) == expected


def document(**metadata: t.Any) -> dict[str, t.Any]:
    return {"metadata": {"namespace": "default", "name": "imported-member1-web-x7k2p", **metadata}, "endpoints": []}


def test_only_what_karmada_imported_belongs_to_an_import() -> None:
    labels = {"kubernetes.io/service-name": "derived-web"}
    assert imported_slice(document(labels=labels)) == Slice(("default", "imported-member1-web-x7k2p"), "web", NONE)
    assert imported_slice(document(labels=labels, name="web-x7k2p")).service == ""
    assert imported_slice(document(labels={"kubernetes.io/service-name": "web"})).service == ""
    assert imported_slice(document()).service == ""


def test_the_cluster_by_the_annotation_on_the_control_plane() -> None:
    key = ("default", "imported-member1-web-x7k2p")
    assert collected_from(document(annotations={"work.karmada.io/namespace": "karmada-es-a-b"})) == (key, "a-b")
    assert collected_from(document()) == (key, "")


def test_labels_that_are_right_change_nothing() -> None:
    row = slice_row("m", a_slice("imported-member1-web-x7k2p"), ["member1"], None)
    assert (row.source_cluster, row.changed) == ("member1", True)
    assert patch_of(row)["metadata"]["labels"] == {
        "multicluster.kubernetes.io/service-name": "web",
        "multicluster.kubernetes.io/source-cluster": "member1",
    }
    assert not slice_row("m", a_slice("imported-member1-web-x7k2p", labels=("web", "member1")), ["member1"], None).changed
    assert slice_row("m", a_slice("imported-member1-web-x7k2p", labels=("web", "member2")), ["member1"], None).changed


def test_the_control_plane_is_asked_only_where_the_name_leaves_a_doubt() -> None:
    def never() -> t.NoReturn:
        pytest.fail("asked")

    assert slice_row("m", a_slice("imported-a-web-x7k2p"), ["a", "b"], never).source_cluster == "a"
    doubtful = a_slice("imported-a-b-web-x7k2p")
    assert slice_row("m", doubtful, ["a", "a-b"], lambda: {doubtful.key: "a"}).source_cluster == "a"
    assert slice_row("m", doubtful, ["a", "a-b"], None).source_cluster == "a-b"
    gone = slice_row("m", doubtful, ["a", "a-b"], dict)
    assert (gone.changed, gone.error) == (False, "")
    lost = slice_row("m", a_slice("imported-a-b-mine"), ["a", "a-b"], None)
    assert not lost.changed
    assert "Set karmada" in lost.error
