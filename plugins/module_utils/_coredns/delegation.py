# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""A zone forwarded by a platform's DNS, in the object of which the platform's operator makes a Corefile. Pure: no client, no clock, no file.

GKE reads ``stubDomains`` of ConfigMap ``kube-dns``, OpenShift ``spec.servers`` of its DNS ``default``. RKE2's HelmChartConfig is in
``_delegation_helm.py``.
"""

from __future__ import annotations

import json
import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._kube import ownership

__all__ = ["ANNOTATION", "DelegationError", "Outcome", "Want", "plain", "servers", "stub_domains", "target"]

Object = t.Mapping[str, t.Any]

# JSON: by zone what has to come back when it goes.
ANNOTATION = "clusterset.dns/delegation"
# Our entry among OpenShift's servers, which are told apart by their names.
_SERVER = "clusterset-dns"


class DelegationError(ValueError):
    """Why the object cannot be edited, as a sentence. Nothing is to be written."""


class Want(t.NamedTuple):
    """``addresses`` are those of the DNS servers for ``zone``; none if it shall not be forwarded any more. An object that is made is of ``fleet``."""

    zone: str
    addresses: tuple[str, ...]
    fleet: str = ownership.DEFAULT_FLEET


class Outcome(t.NamedTuple):
    """``body`` is the object to ``create``, the merge patch for ``patch``, or nothing (``delete``, and '' for no change at all).

    ``before`` and ``after`` are what matters of the object, for people; ``was`` are the addresses to which our entry forwarded, which is
    what a way back has to want. ``adopted``: an entry that was made by hand does it, and is left as it is.
    """

    verb: str = ""
    body: dict[str, t.Any] | None = None
    before: str = ""
    after: str = ""
    was: tuple[str, ...] = ()
    adopted: bool = False
    notes: tuple[str, ...] = ()


def plain(address: str) -> str:
    """An address of a DNS server without the port that is the default."""
    return address.removesuffix(":53") if address.count(":") == 1 or address.startswith("[") else address


def target(addresses: t.Iterable[str]) -> set[str]:
    """Where to a zone is forwarded, for comparison: the order does not matter."""
    return set(map(plain, addresses))


# --- GKE ------------------------------------------------------------------------------------------------------------------------------


def stub_domains(found: Object | None, want: Want) -> Outcome:
    """ConfigMap ``kube-dns``: ``data.stubDomains`` is JSON, zone to list of addresses.

    :arg found: the ConfigMap, or None.
    :raises DelegationError: it is not that, or the zone is forwarded elsewhere by hand.
    """
    text = ((found or {}).get("data") or {}).get("stubDomains")
    record = _record(found).get(want.zone)
    data = _stubs(text)
    named = next((key for key in data if key.rstrip(".").lower() == want.zone), None)
    present = tuple(data[named]) if named is not None else None
    was = tuple(record["addresses"]) if record else ()
    if want.addresses:
        if present is not None and target(present) == target(want.addresses):
            return Outcome(before=text or "", after=text or "", was=was, adopted=not record)
        if record and present is not None:
            base = _without_stub(text, str(named), record)
        elif present is not None:
            raise DelegationError(
                f"stubDomains sends {want.zone} to {', '.join(present)} already. Remove that by hand, or leave the zone to it."
            )
        else:
            base = text
        after: str | None = _with_stub(base, want.zone, want.addresses)
        record = {"original": base, "addresses": list(want.addresses)}
        return _write_stubs(found, want, text, after, record, was)
    if record is None:
        notes = (f"stubDomains still sends {want.zone} to {', '.join(present)}, which was not put there by this module.",) if present else ()
        return Outcome(before=text or "", after=text or "", notes=notes)
    if present is None:
        return _write_stubs(found, want, text, text, None, was)
    if target(present) != target(was):
        note = f"stubDomains sends {want.zone} to {', '.join(present)}, which someone else set since: it is kept."
        return _write_stubs(found, want, text, text, None, was)._replace(notes=(note,))
    after = _without_stub(text, str(named), record)
    outcome = _write_stubs(found, want, text, after, None, was)
    if after != record["original"]:
        outcome = outcome._replace(notes=("stubDomains was changed by others since the zone was added; their changes are kept.",))
    return outcome


def _stubs(text: str | None) -> dict[str, list[str]]:
    if not (text or "").strip():
        return {}
    try:
        data = json.loads(text or "")
    except ValueError as error:
        raise DelegationError(f"stubDomains is no JSON ({error}). Repair it by hand.") from None
    if not isinstance(data, dict) or not all(isinstance(value, list) for value in data.values()):
        raise DelegationError("stubDomains is no JSON object of lists. Repair it by hand.")
    return data


def _with_stub(text: str | None, zone: str, addresses: t.Sequence[str]) -> str:
    """The text with our entry before all others; nothing else of it is touched."""
    entry = json.dumps({zone: list(addresses)})[1:-1]
    if not (text or "").strip():
        return "{" + entry + "}"
    text = text or ""
    at = text.index("{") + 1
    rest = text[at:]
    gap = rest[: len(rest) - len(rest.lstrip())]
    return text[:at] + gap + entry + ("," if _stubs(text) else "") + rest


def _without_stub(text: str | None, named: str, record: Object) -> str | None:
    """The text as it was before our entry, byte for byte unless someone else changed it since."""
    original = t.cast("str | None", record["original"])
    if text == _with_stub(original, named, record["addresses"]):
        return original
    data = _stubs(text)
    del data[named]
    if data == _stubs(original):
        return original
    return json.dumps(data, indent=2 if "\n" in (text or "") else None)


def _write_stubs(
    found: Object | None, want: Want, before: str | None, after: str | None, record: Object | None, was: tuple[str, ...]
) -> Outcome:
    said = {"before": before or "", "after": after or "", "was": was}
    if found is None:
        metadata = {"name": "kube-dns", "labels": ownership.labels(want.fleet), "annotations": {ANNOTATION: _dump({want.zone: record})}}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"stubDomains": after}}
        return Outcome("create", body, **said)
    if found.get("immutable"):
        raise DelegationError("the ConfigMap is immutable. Delete it and create it again without `immutable: true`.")
    alone = set(found.get("data") or {}) == {"stubDomains"} and not found.get("binaryData")
    if after is None and ownership.made_for(want.fleet, found) and alone:
        return Outcome("delete", None, **said)
    body = {"metadata": _metadata(found, want.zone, record), "data": {"stubDomains": after}}
    return Outcome("patch", body, **said)


# --- OpenShift ------------------------------------------------------------------------------------------------------------------------


def servers(found: Object | None, want: Want) -> Outcome:
    """OpenShift's DNS ``default`` (operator.openshift.io/v1): ``spec.servers`` is a list of ``{name, zones, forwardPlugin: {upstreams}}``.

    :raises DelegationError: there is no such object, or the zone is forwarded elsewhere by hand.
    """
    if found is None:
        raise DelegationError("it does not exist. Is this OpenShift? Set platform if it is not.")
    listed = found["spec"].get("servers")
    entries: list[Object] = listed or []
    named = next((one for one in entries if one["name"] == _SERVER), None)
    ours = named if named and named.get("zones") == [want.zone] else None
    was = tuple(_upstreams(ours)) if ours else ()
    others = [one for one in entries if one is not ours]
    hand_made = next((one for one in others if any(zone.rstrip(".").lower() == want.zone for zone in one.get("zones") or [])), None)
    before = _shown(listed)
    if hand_made:
        upstreams = _upstreams(hand_made)
        if want.addresses and (ours or target(upstreams) != target(want.addresses)):
            raise DelegationError(
                f"server {hand_made['name']} sends {want.zone} to {', '.join(upstreams) or 'nobody'} already. Remove that by hand, or leave"
                " the zone to it."
            )
        if not ours:
            note = f"Server {hand_made['name']} still sends {want.zone} to {', '.join(upstreams)}, which was not put there by this module."
            return Outcome(before=before, after=before, adopted=bool(want.addresses), notes=() if want.addresses else (note,))
    if want.addresses and named and not ours:
        raise DelegationError(f"server {_SERVER} sends {', '.join(named.get('zones') or ['nothing'])} already. Take that out first.")
    if want.addresses:
        entry = {"name": _SERVER, "zones": [want.zone], "forwardPlugin": {"upstreams": list(want.addresses)}}
        if ours and target(was) == target(want.addresses):
            return Outcome(before=before, after=before, was=was)
        changed = [entry if one is ours else dict(one) for one in entries] if ours else [*map(dict, entries), entry]
        record = _record(found).get(want.zone) or {"absent": listed is None}
        return _write_servers(found, want, changed, record, was)
    if not ours:
        return Outcome(before=before, after=before)
    absent = (_record(found).get(want.zone) or {}).get("absent")
    return _write_servers(found, want, None if absent and not others else [dict(one) for one in others], None, was)


def _upstreams(entry: Object | None) -> list[str]:
    return list(((entry or {}).get("forwardPlugin") or {}).get("upstreams") or [])


def _shown(entries: t.Any) -> str:
    return "" if entries is None else json.dumps(entries, indent=2) + "\n"


def _write_servers(found: Object, want: Want, changed: list[t.Any] | None, record: Object | None, was: tuple[str, ...]) -> Outcome:
    body = {"metadata": _metadata(found, want.zone, record), "spec": {"servers": changed}}
    return Outcome("patch", body, before=_shown(found["spec"].get("servers")), after=_shown(changed), was=was)


# --- the record -----------------------------------------------------------------------------------------------------------------------


def _record(found: Object | None) -> dict[str, t.Any]:
    """What is to come back, by zone; empty where the annotation is not there or was spoilt."""
    annotations = ((found or {}).get("metadata") or {}).get("annotations") or {}
    try:
        record = json.loads(annotations.get(ANNOTATION, "{}"))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _dump(record: Object) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _metadata(found: Object, zone: str, record: Object | None) -> dict[str, t.Any]:
    """The part of a merge patch that writes the record, and has the API server refuse it if someone else was faster."""
    records = {**{key: value for key, value in _record(found).items() if key != zone}, **({zone: record} if record else {})}
    return {
        "resourceVersion": found["metadata"]["resourceVersion"],
        "annotations": {ANNOTATION: _dump(records) if records else None},
    }
