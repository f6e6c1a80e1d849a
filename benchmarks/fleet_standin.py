# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""A stand-in for a whole fleet in one light process: ``fleet_standin.py MEMBERS DELAY``.

It prints its URL; ``URL/karmada`` is the control plane, ``URL/m000`` … are the members, which look alike: behind all of them is one member of
the unit tests, whose CoreDNS runs its Corefile and answers DNS and metrics by port-forward. What it answered once is answered again from
memory, until something is written, so that what is measured shares the machine with little else. Every answer, each on a port-forward
as well, comes DELAY seconds after its request. ``URL/-/counted`` tells how many requests there were since the last time, by cluster.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import copy
import hashlib
import http
import json
import sys
import typing as t
from pathlib import Path
from urllib.parse import parse_qs

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "tests" / "unit"))
import conftest  # noqa: F401
from ansible_collections.clusterset.dns.tests.unit.karmada_standin import CLUSTERS, CRDS, KINDS, POLICIES, WORK, Karmada
from ansible_collections.clusterset.dns.tests.unit.member_standin import MCS, MemberStandIn, Refusal

Object = dict[str, t.Any]

RECORDED = json.loads((CHECKOUT / "benchmarks" / "recorded.json").read_text())
# The member that was recorded, as Karmada's annotation on what it delivers calls it.
SPACE = b"karmada-es-member2"
RULES = "/apis/config.karmada.io/v1alpha1"
NAMESPACE, SERVICE = "default", "serve"


class ControlPlane(Karmada):
    """Karmada with its scheduler: what a policy names is bound to it and placed."""

    def __init__(self, members: t.Sequence[str]) -> None:
        super().__init__(members)
        self.controller = self._place
        self.collections |= {
            f"{POLICIES}/clusterpropagationpolicies",
            f"{POLICIES}/overridepolicies",
            f"{RULES}/resourceinterpretercustomizations",
        }
        for kind in KINDS:
            self.put(f"{CRDS}/{kind.lower()}s.multicluster.x-k8s.io", {"spec": {"names": {"kind": kind}}})

    def answer(self, method: str, path: str, query: dict[str, str], body: t.Any) -> tuple[int, t.Any]:
        if (method, path) == ("GET", RULES):
            rule = {"name": "resourceinterpretercustomizations", "kind": "ResourceInterpreterCustomization", "namespaced": False}
            return 200, {"resources": [rule]}
        return super().answer(method, path, query, body)

    def _place(self, path: str) -> None:
        found = self.objects.get(path)
        if found is None or "propagationpolicies/" not in path:
            return
        namespace, policy = found["metadata"].get("namespace", ""), found["metadata"]["name"]
        group = "propagationpolicy" if namespace else "clusterpropagationpolicy"
        marks = {f"{group}.karmada.io/name": policy, **({f"{group}.karmada.io/namespace": namespace} if namespace else {})}
        placement = found["spec"]["placement"]
        clusters = [{"name": name} for name in placement["clusterAffinity"]["clusterNames"]]
        placed = {"conditions": [{"type": "Scheduled", "status": "True"}], "schedulerObservedGeneration": 1}
        place = f"{WORK}/namespaces/{namespace}/resourcebindings" if namespace else f"{WORK}/clusterresourcebindings"
        for selector in found["spec"]["resourceSelectors"]:
            resource = {"kind": selector["kind"], "name": selector["name"], **({"namespace": namespace} if namespace else {})}
            spec = {"resource": resource, "placement": placement, "clusters": clusters}
            binding = {"metadata": {"generation": 1, "annotations": marks}, "spec": spec, "status": placed}
            self.put(f"{place}/{selector['name']}-{selector['kind'].lower()}", binding)


def member() -> MemberStandIn:
    """A member with one import and its derived Service, as Karmada delivers them."""
    api = MemberStandIn()
    for path, recorded, name in (
        (f"{MCS}/namespaces/{NAMESPACE}/serviceimports", "serviceimport", SERVICE),
        (f"/api/v1/namespaces/{NAMESPACE}/services", "service", f"derived-{SERVICE}"),
    ):
        item = copy.deepcopy(RECORDED[recorded])
        item["metadata"] |= {"name": name, "namespace": NAMESPACE}
        api.put(f"{path}/{name}", item)
    return api


class Fleet:
    def __init__(self, members: int, delay: float) -> None:
        names = [f"m{number:03}" for number in range(members)]
        self.karmada, self.member, self.delay = ControlPlane(names), member(), delay
        self.counts: collections.Counter[str] = collections.Counter()
        # (cluster's stand-in, path with its query) → status and body
        self._answers: dict[tuple[bool, str], tuple[int, bytes]] = {}
        self._replies: dict[tuple[str, int, bytes], bytes] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: requests one after the other, or a port-forward at their end."""
        try:
            while line := await reader.readline():
                method, target, _version = line.decode().split()
                headers = {}
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    key, _colon, value = header.decode().partition(":")
                    headers[key.lower()] = value.strip()
                body = await reader.readexactly(int(headers.get("content-length") or 0))
                if target == "/-/counted":
                    counts, self.counts = self.counts, collections.Counter()
                    _send(writer, 200, json.dumps(counts).encode())
                    continue
                _empty, cluster, path = target.split("/", 2)
                self.counts[cluster] += 1
                await asyncio.sleep(self.delay)
                if headers.get("upgrade", "").lower() == "websocket":
                    await self._tunnel(reader, writer, f"/{path}", headers["sec-websocket-key"])
                    return
                _send(writer, *self._answer(cluster, method, f"/{path}", body))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # whoever asked is gone
        finally:
            writer.close()

    def _answer(self, cluster: str, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        if cluster == "karmada" and "/proxy/" in target:
            cluster, _proxy, target = target.removeprefix(f"{CLUSTERS}/").partition("/proxy")
        of_karmada = cluster == "karmada"
        key = of_karmada, target
        if method != "GET" or key not in self._answers:
            path, _question, query = target.partition("?")
            options = {name: values[0] for name, values in parse_qs(query).items()}
            asked = self.karmada if of_karmada else self.member
            status, answer = asked.answer(method, path, options, json.loads(body) if body else {})
            data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            if method != "GET":
                if not path.startswith("/apis/authorization.k8s.io/"):
                    self._answers.clear()
                    self._replies.clear()
                return status, data
            self._answers[key] = status, data
        status, data = self._answers[key]
        return status, data.replace(SPACE, f"karmada-es-{cluster}".encode())

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, key: str) -> None:
        path, _question, query = target.partition("?")
        port = int(query.rpartition("ports=")[2])
        try:
            uid = self.member.forward(path)
        except Refusal as refusal:
            _send(writer, refusal.answer[0], json.dumps(refusal.answer[1]).encode())
            return
        accept = base64.b64encode(hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()).decode()
        words = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}")
        writer.write("\r\n".join((*words, "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", "")).encode())
        for channel in (0, 1):
            _frame(writer, 2, bytes([channel]) + port.to_bytes(2, "little"))
        data, closes = b"", False
        while not closes and (message := await _message(reader, writer)) is not None:
            reply, data, closes = self._exchange(uid, port, data + message)
            if reply:
                await asyncio.sleep(self.delay)
                _frame(writer, 2, b"\x00" + reply)
        _frame(writer, 8, b"")

    def _exchange(self, uid: str, port: int, data: bytes) -> tuple[bytes, bytes, bool]:
        """As the member's; what is known of a DNS question (two bytes of length, two of its number) is answered with its own number."""
        if data.startswith(b"GET ") or len(data) < 2:
            return self.member.exchange(uid, port, data)
        replies = b""
        while len(data) >= 2 and len(data) >= 2 + (size := int.from_bytes(data[:2], "big")):
            number, question, data = data[2:4], data[4 : 2 + size], data[2 + size :]
            if (uid, port, question) not in self._replies:
                reply, _rest, _closes = self.member.exchange(uid, port, size.to_bytes(2, "big") + number + question)
                self._replies[uid, port, question] = reply
            reply = self._replies[uid, port, question]
            replies += reply[:2] + number + reply[4:]
        return replies, data, False


def _send(writer: asyncio.StreamWriter, status: int, data: bytes) -> None:
    head = f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)


def _frame(writer: asyncio.StreamWriter, opcode: int, data: bytes) -> None:
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    writer.write(bytes([0x80 | opcode]) + size + data)


async def _message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes | None:
    """What came on the data channel; None once the other side has closed."""
    while True:
        head = await reader.readexactly(2)
        size = head[1] & 127
        if size > 125:
            size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
        mask = await reader.readexactly(4)
        data = bytes(byte ^ mask[number % 4] for number, byte in enumerate(await reader.readexactly(size)))
        if head[0] & 15 == 8:
            return None
        if head[0] & 15 == 9:
            _frame(writer, 10, data)
        elif data[:1] == b"\x00":
            return data[1:]


async def main() -> None:
    members, delay = sys.argv[1:]
    fleet = Fleet(int(members), float(delay))
    server = await asyncio.start_server(fleet.serve, "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    # until whoever started it is gone
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
