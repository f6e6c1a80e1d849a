# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright (c) 2026, clusterset.dns contributors
"""A DNS server on loopback, TCP only, that answers from a table and misbehaves on request."""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
import time
import typing as t

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
from ansible_collections.clusterset.dns.plugins.module_utils._kube.client import Forward


class Reply(t.NamedTuple):
    """What the server says: records as in a zone file, ``soa`` the owner of the SOA record in the authority section."""

    records: tuple[str, ...] = ()
    rcode: str = "NOERROR"
    soa: str = ""
    aa: bool = True
    ttl: int = 5
    silent: bool = False
    garbage: bool = False


class LoopbackDns:
    """Serves ``replies`` by (name, type), NXDOMAIN for the rest; closes each connection after ``per_connection``."""

    def __init__(self, replies: dict[tuple[str, str], Reply], per_connection: int = 1000) -> None:
        self.replies = replies
        self.per_connection = per_connection
        self.connections = 0
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                outer.connections += 1
                for _count in range(outer.per_connection):
                    if not outer.serve_one(self.request):
                        return

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def connect(self) -> Forward:
        return Forward(socket.create_connection(self._server.server_address), lambda: "")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def serve_one(self, connection: socket.socket) -> bool:
        size = connection.recv(2, socket.MSG_WAITALL)
        if len(size) < 2:
            return False
        query = dns.message.from_wire(connection.recv(struct.unpack("!H", size)[0], socket.MSG_WAITALL))
        question = query.question[0]
        key = (question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype))
        self.asked.append(key)
        reply = self.replies.get(key, Reply(rcode="NXDOMAIN", soa="clusterset.local."))
        if reply.silent:
            time.sleep(0.5)
            return False
        wire = b"not a DNS message" if reply.garbage else self._wire(query, reply)
        connection.sendall(struct.pack("!H", len(wire)) + wire)
        return True

    @staticmethod
    def _wire(query: dns.message.Message, reply: Reply) -> bytes:
        answer = dns.message.make_response(query)
        answer.set_rcode(dns.rcode.from_text(reply.rcode))
        if reply.aa:
            answer.flags |= dns.flags.AA
        name, kind = query.question[0].name, dns.rdatatype.to_text(query.question[0].rdtype)
        if reply.records:
            answer.answer.append(dns.rrset.from_text(name, reply.ttl, "IN", kind, *reply.records))
        if reply.soa:
            data = f"ns.{reply.soa} root.{reply.soa} 1 7200 1800 86400 5".replace("..", ".")
            answer.authority.append(dns.rrset.from_text(reply.soa, reply.ttl, "IN", "SOA", data))
        return answer.to_wire()
