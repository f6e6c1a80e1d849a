# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""The fleet as a picture: clusters and services as boxes, who exports and who imports as lines between them. Pure."""

from __future__ import annotations

import typing as t

from ansible_collections.clusterset.dns.plugins.module_utils._dns.markup import Markup, element

__all__ = ["Box", "picture"]

# Of more boxes than these in a column those that are right are one box.
_MOST = 16
_HEIGHT, _BETWEEN, _TILE = 42, 12, 12
# From the worst.
_STATES = ("bad", "unknown", "ok", "plain")
_MARKS = {"bad": "✕ ", "unknown": "? ", "ok": "✓ ", "plain": ""}
_SUMS = {"bad": "not right", "unknown": "not asked", "ok": "right", "plain": ""}


class Box(t.NamedTuple):
    """A cluster or a service. ``state`` is bad, unknown, ok, or plain where nothing was verified of it; ``words`` say more."""

    key: str
    label: str
    state: str
    words: str


class _Shape(t.NamedTuple):
    """How wide things are: one for a screen, one for a telephone."""

    name: str
    width: int
    box: int
    letters: int


_WIDE, _NARROW = _Shape("wide", 960, 230, 27), _Shape("narrow", 344, 98, 12)

Lines = t.Mapping[tuple[str, str], str]


def picture(sources: t.Sequence[Box], services: t.Sequence[Box], clusters: t.Sequence[Box], exports: Lines, imports: Lines) -> Markup:
    """The picture in two shapes, of which style sheets choose one.

    :arg sources: the clusters that export, as far as that is known; :arg clusters: those that import.
    :arg exports: (source, service) to the line's state; :arg imports: (service, cluster) to the line's state.
    """
    columns = [
        ("Exported by", *_folded(sources, "cluster")),
        ("Service", *_folded(services, "service")),
        ("Asked in", *_folded(clusters, "cluster")),
    ]
    lines = [exports, imports]
    if not sources:
        columns, lines = columns[1:], lines[1:]
    if not services:
        columns, lines = columns[-1:], []
    tiles = clusters if len(clusters) > _MOST else []
    return Markup("".join(_drawn(shape, columns, lines, tiles) for shape in (_WIDE, _NARROW)))


_Column = tuple[str, list[Box], dict[str, int]]


def _folded(boxes: t.Sequence[Box], noun: str) -> tuple[list[Box], dict[str, int]]:
    """The boxes to draw, and which of them each key is in."""
    ordered = sorted(boxes, key=lambda one: _STATES.index(one.state))
    if len(ordered) <= _MOST:
        return ordered, {one.key: place for place, one in enumerate(ordered)}
    drawn = [one for one in ordered if one.state == "bad"][: _MOST - len(_STATES)]
    places = {one.key: place for place, one in enumerate(drawn)}
    for state in _STATES:
        rest = [one for one in ordered if one.state == state and one.key not in places]
        if rest:
            places |= {one.key: len(drawn) for one in rest}
            more = "more " if state == "bad" and drawn else ""
            drawn.append(rest[0] if len(rest) == 1 else Box("", f"{len(rest)} {more}{noun}s", state, _SUMS[state]))
    return drawn, places


def _drawn(shape: _Shape, columns: list[_Column], lines: list[Lines], tiles: t.Sequence[Box]) -> Markup:
    top, step = 26, _HEIGHT + _BETWEEN
    tall = max(len(boxes) for _title, boxes, _places in columns) * step
    gap = (shape.width - shape.box * len(columns)) // max(1, len(columns) - 1)
    lefts = [number * (shape.box + gap) for number in range(len(columns))]
    starts = [top + (tall - len(boxes) * step) // 2 for _title, boxes, _places in columns]
    drawn: list[Markup] = []
    for number, between in enumerate(lines):
        drawn += _connections(columns[number], columns[number + 1], between, lefts[number] + shape.box, lefts[number + 1], starts[number : number + 2])
    for (title, boxes, _places), left, start in zip(columns, lefts, starts, strict=True):
        drawn.append(element("text", title, x=left, y=14, class_="head"))
        drawn += [_box(one, left, start + place * step, shape) for place, one in enumerate(boxes)]
    bottom = top + tall
    if tiles:
        drawn.append(element("text", f"All {len(tiles)} clusters by name, a square each", x=0, y=bottom + 20, class_="head"))
        drawn += _tiles(tiles, shape.width // (_TILE + 4), bottom + 32)
        bottom += 32 + -(-len(tiles) // (shape.width // (_TILE + 4))) * (_TILE + 4)
    label = "The fleet: which cluster imports which service, and where it is not right"
    return element("svg", drawn, class_=shape.name, viewBox=f"-1 0 {shape.width + 2} {bottom}", role="img", aria_label=label)


def _connections(left: _Column, right: _Column, between: Lines, from_x: int, to_x: int, starts: list[int]) -> list[Markup]:
    """A line for all that goes from one box to another, in the worst state of them. Those that are not right come last, on top."""
    together: dict[tuple[int, int], list[str]] = {}
    for (one, other), state in between.items():
        if one in left[2] and other in right[2]:
            together.setdefault((left[2][one], right[2][other]), []).append(state)
    step, bend = _HEIGHT + _BETWEEN, (to_x - from_x) // 2
    found = []
    for (one, other), states in together.items():
        state = min(states, key=_STATES.index)
        y, end = starts[0] + one * step + _HEIGHT // 2, starts[1] + other * step + _HEIGHT // 2
        curve = f"M{from_x},{y}C{from_x + bend},{y} {to_x - bend},{end} {to_x - 5},{end}"
        hint = element("title", f"{left[1][one].label} → {right[1][other].label}: {len(states)}{' ' + _SUMS[state] if _SUMS[state] else ''}")
        tip = element("path", d=f"M{to_x - 7},{end - 4}l7,4l-7,4z", class_=f"tip {state}")
        found.append((state, Markup(element("path", hint, d=curve, class_=f"line {state}") + tip)))
    return [line for _state, line in sorted(found, key=lambda one: -_STATES.index(one[0]))]


def _box(box: Box, x: int, y: int, shape: _Shape) -> Markup:
    return element(
        "g",
        element("title", f"{box.label}: {box.words}"),
        element("rect", x=x, y=y, width=shape.box, height=_HEIGHT, rx=6),
        element("text", _cut(box.label, shape.letters), x=x + 8, y=y + 17),
        element("text", _cut(_MARKS[box.state] + box.words, shape.letters + 3), x=x + 8, y=y + 33, class_="words"),
        class_=f"box {box.state}",
    )


def _tiles(boxes: t.Sequence[Box], across: int, top: int) -> list[Markup]:
    return [
        element(
            "rect",
            element("title", f"{box.label}: {box.words}"),
            x=number % across * (_TILE + 4),
            y=top + number // across * (_TILE + 4),
            width=_TILE,
            height=_TILE,
            class_=f"tile {box.state}",
        )
        for number, box in enumerate(sorted(boxes, key=lambda one: one.label))
    ]


def _cut(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"
