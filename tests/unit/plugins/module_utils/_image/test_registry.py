# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""What a registry says of an image, over HTTP."""

from __future__ import annotations

import ast
import socket
import sys
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.clusterset.dns.plugins.module_utils._image import registry
from ansible_collections.clusterset.dns.tests.unit.registry_standin import RegistryStandIn

NAME = "coredns/coredns"


@pytest.fixture
def standin() -> t.Iterator[RegistryStandIn]:
    with RegistryStandIn() as one:
        yield one


def test_an_index_names_its_platforms_and_attestations_are_none(standin: RegistryStandIn) -> None:
    standin.put(NAME, "v1.14.6", "linux/amd64", "linux/arm64/v8", "unknown/unknown")
    answer = registry.ask(f"{standin.host}/{NAME}:v1.14.6")
    assert answer == registry.Answer("there", ("linux/amd64", "linux/arm64/v8"))


def test_an_image_for_one_platform_says_it_in_its_configuration(standin: RegistryStandIn) -> None:
    standin.put_single(NAME, "v1", "linux/arm64")
    assert registry.ask(f"{standin.host}/{NAME}:v1") == registry.Answer("there", ("linux/arm64",))
    standin.documents = {path: body for path, body in standin.documents.items() if "/blobs/" not in path}
    standin.put_single(NAME, "v2", "linux/arm64", with_config=False)
    assert registry.ask(f"{standin.host}/{NAME}:v2") == registry.Answer("there")


def test_a_tag_that_is_not_there_is_missing(standin: RegistryStandIn) -> None:
    assert registry.ask(f"{standin.host}/{NAME}:v9") == registry.Answer("missing")


def test_a_token_that_anybody_gets_is_fetched(standin: RegistryStandIn) -> None:
    standin.token = "for-anybody"
    standin.put(NAME, "v1", "linux/amd64")
    assert registry.ask(f"{standin.host}/{NAME}:v1").platforms == ("linux/amd64",)
    assert f"/token?service=registry&scope=repository%3A{NAME.replace('/', '%2F')}%3Apull" in standin.asked


def test_one_that_lets_nobody_in_is_refused(standin: RegistryStandIn) -> None:
    standin.closed = True
    assert registry.ask(f"{standin.host}/{NAME}:v1") == registry.Answer("refused", words="401 Unauthorized")


def test_one_that_does_not_answer_is_unreached_with_the_reason() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    answer = registry.ask(f"{host}/{NAME}:v1")
    assert (answer.state, answer.platforms) == ("unreached", ())
    assert "refused" in answer.words


def test_each_is_asked_for_once(standin: RegistryStandIn) -> None:
    standin.put(NAME, "once", "linux/amd64")
    for _member in range(3):
        registry.ask(f"{standin.host}/{NAME}:once")
    assert len(standin.asked) == 1


def test_one_that_hangs_holds_up_nobody_who_asks_for_another(standin: RegistryStandIn) -> None:
    standin.put(NAME, "quick", "linux/amd64")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = f"127.0.0.1:{silent.getsockname()[1]}/{NAME}:v1"
        waits = threading.Thread(target=lambda: registry.ask(hanging, timeout=20), daemon=True)
        waits.start()
        connection, _address = silent.accept()
        with connection:
            assert registry.ask(f"{standin.host}/{NAME}:quick").state == "there"
            assert waits.is_alive()


def test_no_container_engine_is_needed_for_it() -> None:
    """Nor for the modules that change CoreDNS, which import this alone of the package."""
    sources = [Path(t.cast("str", sys.modules[name].__file__)) for name in (registry.__name__, registry.normalized.__module__)]
    imported = {
        name
        for source in sources
        for node in ast.walk(ast.parse(source.read_text()))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names] if isinstance(node, ast.Import) else [])
    }
    assert not {name for name in imported if name.split(".")[0] == "docker" or name.endswith(("_image.engine", "_image.recipe"))}
