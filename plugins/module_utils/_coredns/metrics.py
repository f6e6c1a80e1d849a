# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""What CoreDNS's metrics and log say about its Corefile. Pure: no client, no clock, no file."""

from __future__ import annotations

import typing as t


def reload_state(text: str) -> dict[str, t.Any]:
    """The state of the ``reload`` plugin by CoreDNS's metrics (Prometheus's text format, HTTP headers before it do no harm).

    :returns: ``{hash, failed}``: the hash of the Corefile that runs ('' where the plugin is not in use, or has not looked yet)
        and how many reloads failed. Names: https://coredns.io/plugins/reload/#metrics
    """
    state: dict[str, t.Any] = {"hash": "", "failed": 0}
    for line in text.splitlines():
        name, _brace, rest = line.partition("{")
        if name == "coredns_reload_version_info" and rest.rstrip().endswith(" 1"):
            state["hash"] = rest.partition('value="')[2].partition('"')[0]
        elif line.startswith("coredns_reload_failed_total "):
            state["failed"] = int(float(line.split()[1]))
    return state


def asked(text: str) -> int | None:
    """How many questions CoreDNS has had over UDP since its start by its metrics; None where they do not say.

    Names: https://coredns.io/plugins/metrics/#description
    """
    lines = [line for line in text.splitlines() if line.startswith("coredns_dns_requests_total{") and 'proto="udp"' in line]
    return sum(int(float(line.rpartition("} ")[2])) for line in lines) if lines else None


def refused_in(log: str) -> int:
    """How many Corefiles were refused by CoreDNS's log."""
    return log.count("Corefile changed but reload failed")


def running_hash(log: str) -> str:
    """The hash of the Corefile that runs by CoreDNS's log, where each start and each reload that worked says it; '' if none does."""
    _before, found, after = log.rpartition("Running configuration SHA512 = ")
    return after.split(maxsplit=1)[0] if found else ""
