# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A zone: the one place where a domain name that a user gives is read, brought to one form and judged."""

from __future__ import annotations

import dataclasses

from ansible_collections.clusterset.dns.plugins.module_utils._corefile.parser import CorefileError, covers, normal

__all__ = ["Zone", "problems"]


@dataclasses.dataclass(frozen=True, order=True)
class Zone:
    """A domain name in lower case without its final dot. Made by :meth:`parse` alone."""

    name: str

    @classmethod
    def parse(cls, text: str, option: str = "zone") -> Zone:
        """The zone that a user wrote; whatever could end a word, a line or a block of a Corefile is refused with the rest.

        :raises CorefileError: it is none. ``option`` is where it was given.
        """
        name = text.strip(" ").removesuffix(".").lower()
        labels = name.split(".")
        for label in labels:
            fine = label.isascii() and label.replace("-", "").isalnum() and not label.startswith("-") and not label.endswith("-")
            if not fine or len(label) > 63:
                raise CorefileError(f"{option} is {text!r}, which is not a domain name (letters, digits and hyphens, 63 a label).")
        if len(name) > 253:
            raise CorefileError(f"{option} is {text!r}, which is longer than 253 characters.")
        if all(label.isdigit() for label in labels):
            raise CorefileError(f"{option} is {text!r}, which is an address and not a domain name.")
        return cls(name)

    def __str__(self) -> str:
        return self.name

    @property
    def reverse(self) -> bool:
        """Whether names in it stand for addresses."""
        return any(covers(zone, normal(self.name)) for zone in ("in-addr.arpa.", "ip6.arpa."))

    def clashes(self, cluster_domain: Zone | str) -> str | None:
        """Why this zone cannot stand beside a cluster domain, as a sentence; None where it can.

        :raises CorefileError: the cluster domain is no domain name.
        """
        other = cluster_domain if isinstance(cluster_domain, Zone) else Zone.parse(cluster_domain, "cluster_domain")
        if self == other:
            return f"the zone {self} is the cluster domain itself; a multicluster zone needs a name of its own, such as clusterset.local."
        if covers(self.name, other.name) or covers(other.name, self.name):
            return (
                f"the zone {self} and the cluster domain {other} lie within one another; take a zone beside it, such as clusterset.local."
            )
        return None


def problems(zone: str, cluster_domain: str, option: str = "zone") -> list[str]:
    """Why a zone that a user wrote cannot be, a sentence each; none where it can."""
    try:
        clash = Zone.parse(zone, option).clashes(cluster_domain)
    except CorefileError as error:
        return [str(error)]
    return [f"{option}: {clash}"] if clash else []
