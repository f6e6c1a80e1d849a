# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""Stands in for a Docker engine, its registries, the nodes of a kind cluster and the command `kind`."""

from __future__ import annotations

import hashlib
import json
import tarfile
import tempfile
import types
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._image import engine

Image = dict[str, t.Any]


def image(layer: str, architecture: str = "amd64", created: str = "2026-01-01", **settings: t.Any) -> Image:
    """An image as Docker describes it; when it was created is in its id, not in its content."""
    return {
        "Created": created,
        "Os": "linux",
        "Architecture": architecture,
        "Variant": "",
        "Config": {"User": "65532:65532", "Cmd": None, "Hostname": created, **settings},
        "RootFS": {"Type": "layers", "Layers": [f"sha256:{layer}"]},
    }


def oci(described: Image) -> Image:
    """Its configuration, as registries and containerd keep it."""
    return {
        "created": described["Created"],
        "os": described["Os"],
        "architecture": described["Architecture"],
        "config": {name: value for name, value in described["Config"].items() if value},
        "rootfs": {"type": "layers", "diff_ids": described["RootFS"]["Layers"]},
    }


def digest(value: object) -> str:
    return "sha256:" + hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class Node:
    """A container of kind's, whose containerd has images."""

    def __init__(self, name: str, *, role: str = "worker", status: str = "running") -> None:
        self.name, self.status, self.labels = name, status, {"io.x-k8s.kind.role": role}
        self.names: dict[str, str] = {}
        self.blobs: dict[str, t.Any] = {}
        self.incomplete: set[str] = set()
        self.broken = ""
        self.files: dict[str, bytes] = {}

    def keep(self, blob: t.Any) -> str:
        self.blobs[digest(blob)] = blob
        return digest(blob)

    def load(self, reference: str, described: Image) -> None:
        self.names[reference] = self.keep({"config": {"digest": self.keep(oci(described))}})
        self.incomplete.discard(reference)

    def load_index(self, reference: str, *described: Image) -> None:
        """As Docker's containerd image store saves it: attestations are among the manifests, and not every one is there."""
        manifests = [
            {
                "digest": self.keep({"config": {"digest": self.keep(oci(one))}}),
                "platform": {"os": "linux", "architecture": one["Architecture"]},
            }
            for one in described
        ]
        attestation = {"digest": "sha256:none", "platform": {"os": "unknown", "architecture": "unknown"}}
        self.names[reference] = self.keep({"manifests": [attestation, *manifests]})

    def exec_run(self, command: list[str], demux: bool = False) -> tuple[int, tuple[bytes | None, bytes | None]]:
        assert demux, "a warning of ctr's must not be among the answer"
        if self.broken:
            return 1, (None, self.broken.encode())
        if command[:2] == ["rm", "--force"]:
            del self.files[command[2]]
            return 0, (None, None)
        assert command[:2] == ["ctr", "--namespace=k8s.io"]
        match command[2:]:
            case ["images", "check", "--quiet", asked]:
                said = "".join(f"{name}\n" for name in self._matching(asked) if name not in self.incomplete)
            case ["images", "list", asked]:
                rows = "".join(f"{name} application/x {self.names[name]} 1 MiB linux/amd64 -\n" for name in self._matching(asked))
                said = f"REF TYPE DIGEST SIZE PLATFORMS LABELS\n{rows}"
            case ["images", "import", "--platform", platform, "--digests", "--snapshotter=overlayfs", path]:
                saved = json.loads(self.files[path])
                self.load_index(saved["name"], *(one for one in saved["images"] if platform == f"linux/{one['Architecture']}"))
                said = "unpacking"
            case ["content", "get", wanted]:
                said = json.dumps(self.blobs[wanted])
            case _:
                raise AssertionError(command)
        return 0, (said.encode() or None, b"a warning")

    def put_archive(self, folder: str, archive: t.BinaryIO) -> bool:
        with tarfile.open(fileobj=archive) as packed:
            for member in packed:
                self.files[f"{folder}{member.name}"] = t.cast("t.BinaryIO", packed.extractfile(member)).read()
        return True

    def _matching(self, asked: str) -> list[str]:
        return [name for name in self.names if asked == f"name=={name}"]


class Docker:
    """An engine. `registry` maps references to what was pushed, as lists of images where it is for several platforms."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = list(nodes)
        self.local: dict[str, Image] = {}
        self.registry: dict[str, list[Image]] = {}
        self.refusals: list[Exception] = []
        self.push_says: list[dict[str, t.Any]] = []
        self.works = True
        # what kind says instead of loading
        self.kind_says = ""
        self.ran: list[t.Any] = []
        self.images = self
        self.api = types.SimpleNamespace(push=self.push)
        self.containers = types.SimpleNamespace(list=lambda **_options: self.nodes)

    def get(self, reference: str) -> t.Any:
        if reference not in self.local:
            raise engine.NotFound(f"No such image: {reference}")
        described = self.local[reference]

        def tag(repository: str, name: str) -> None:
            self.local[f"{repository}:{name}"] = described

        def save(named: bool) -> t.Iterator[bytes]:
            assert named, "it would come without its name"
            saved = json.dumps({"name": reference, "images": [described]}).encode()
            return iter([saved[:10], saved[10:]])

        return types.SimpleNamespace(attrs=described, tag=tag, save=save)

    def get_registry_data(self, reference: str) -> t.Any:
        for refusal in self.refusals:
            raise refusal
        if reference not in self.registry:
            raise engine.NotFound("404")
        described = self.registry[reference]
        platforms = [{"os": one["Os"], "architecture": one["Architecture"]} for one in described]
        return types.SimpleNamespace(id=digest(described), attrs={"Platforms": platforms})

    def pull(self, pinned: str, platform: str) -> t.Any:
        self.ran.append(("pull", pinned))
        repository, _at, wanted = pinned.partition("@")
        (described,) = (one for name, one in self.registry.items() if name.startswith(f"{repository}:") and digest(one) == wanted)
        (self.local[pinned],) = (one for one in described if f"linux/{one['Architecture']}" == platform)
        return self.get(pinned)

    def remove(self, reference: str) -> None:
        self.ran.append(("remove", reference))
        del self.local[reference]

    def push(self, repository: str, tag: str, **_options: t.Any) -> t.Iterator[dict[str, t.Any]]:
        target = f"{repository}:{tag}"
        self.ran.append(("push", target))
        if self.works and not self.push_says:
            pushed = [self.local[target]]
            self.registry[target] = pushed
            self.local[f"{repository}@{digest(pushed)}"] = pushed[0]
        return iter(self.push_says)

    def kind(self, command: list[str]) -> tuple[int, str, str]:
        """`kind load docker-image IMAGE --name CLUSTER --nodes NODES`."""
        self.ran.append(command)
        if self.kind_says:
            return 1, "", self.kind_says
        if self.works:
            for node in self.nodes:
                if node.name in command[-1].split(","):
                    node.load(command[3], self.local[command[3]])
        return 0, "", ""

    def module(self, *, check_mode: bool = False, **params: t.Any) -> t.Any:
        """What the modules take of an AnsibleModule."""
        return types.SimpleNamespace(params=params, check_mode=check_mode, run_command=self.kind, tmpdir=tempfile.gettempdir())
