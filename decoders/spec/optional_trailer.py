"""Trailer rows that only some frames have -> two kinds of frame, one with them and one without.

A trailer is found from the frame's end, so whether its rows are there must be known before anything is read: by a
field of the header (`if`), or by the bytes in front of the stop mark (`optional` behind a literal).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from decoders.formula import Formula
from decoders.framing.plan import FrameKind, StopBytes
from decoders.layout import IntWire, Nodes, Skip, Value, fixed_size
from decoders.raw import magnitude, read_bits
from decoders.spec import model
from decoders.spec.frame_marks import MAX_BEGINS, tail_pattern
from decoders.spec.notes import Path

if TYPE_CHECKING:
    from decoders.spec.rows import RowBuilder

_NOTHING = model.SkipRow(skip="0")
_MAX_WIDTH = 2  # bytes of the header field that is asked


@dataclass(slots=True, frozen=True)
class Choice:
    """One of the two: `frame` has the rows (there) or not. test: the `if` of the rows, "" for `optional` ones."""

    frame: model.FrameSpec
    there: bool
    test: str
    path: Path


def choices(frame: model.FrameSpec, path: Path, rows: RowBuilder) -> list[Choice | None]:
    """The kinds that a frame stands for; [None] for one whose trailer is always the same."""
    some = [(index, row) for index, row in enumerate(frame.trailer) if _may_be_missing(row)]
    if not some:
        return [None]
    tests = {getattr(row, "if_", None) or "" for _, row in some}
    here = (*path, "trailer", some[0][0])
    if len(tests) > 1:
        rows.report(here, "all rows of a trailer that may be missing have one condition", "the same `if` on each")
    test = min(tests)
    fixed = {"if_": None, "optional": False}
    full = [
        row.model_copy(update={key: value for key, value in fixed.items() if hasattr(row, key)})
        if _may_be_missing(row)
        else row
        for row in frame.trailer
    ]
    bare = [_NOTHING if _may_be_missing(row) else row for row in frame.trailer]
    return [
        Choice(frame.model_copy(update={"trailer": full}), True, test, here),
        Choice(frame.model_copy(update={"trailer": bare}), False, test, here),
    ]


def _may_be_missing(row: Any) -> bool:
    return bool(getattr(row, "optional", False) or getattr(row, "if_", None))


def without_nothing(trailer: Nodes) -> Nodes:
    """The nodes without those that stand for rows which are not there."""
    return tuple(node for node in trailer if not (isinstance(node, Skip) and node.size == 0))


def told_apart(rows: RowBuilder, choice: Choice, kind: FrameKind, header: Nodes, trailer: Nodes) -> FrameKind:
    """The kind, as far as bytes tell it from the other one."""
    if choice.test:
        return _by_header(rows, choice, kind, header)
    if not isinstance(kind.size, StopBytes):
        if choice.there and "tcp" in rows.spec.transports:
            what = "nothing tells whether these bytes are there"
            rows.report(choice.path, what, "`if:` with a flag of the header, or a `literal` before them and a `stop`")
        return kind
    tail = tail_pattern(trailer)
    if choice.there and not tail:
        what = "nothing tells whether these bytes are there"
        rows.report(choice.path, what, 'an optional `literal` before them, such as `{literal: "*", optional: true}`')
    return replace(kind, size=replace(kind.size, tail=tail))


def _by_header(rows: RowBuilder, choice: Choice, kind: FrameKind, header: Nodes) -> FrameKind:
    here = (*choice.path, "if")
    formula = rows.converts.formula(choice.test, here)
    if formula is None:
        return kind
    hint = "an integer of one or two bytes at a fixed place of the header, of which one byte decides"
    if kind.escape is not None or kind.text:
        rows.report(here, "rows of such a trailer cannot have `if`", "only frames of bytes without byte stuffing")
        return kind
    found = _field(formula, header)
    if found is None:
        rows.report(here, f"`{choice.test}` reads more than the header tells in front", hint)
        return kind
    node, offset = found
    assert isinstance(node.wire, IntWire)
    place = _deciding(formula, node, wanted=choice.there)
    if place is None and node.wire.size > 1:
        kinds = "two kinds under `frames`, first the one without these rows, told by `begins`"
        marks = " ".join(["??"] * offset + ["00"] * node.wire.size)
        hint = f'{kinds}, such as `begins: "{marks}"` where `{node.name}` is 0'
        rows.report(here, f"`{choice.test}` cannot be told from one byte of `{node.name}`", hint)
        return kind
    if place is None or offset + place[0] >= MAX_BEGINS:
        rows.report(here, f"`{choice.test}` cannot be told from one byte", hint)
        return kind
    at, allowed = offset + place[0], place[1]
    begins = [*kind.begins, *[None] * (at + 1 - len(kind.begins))]
    before = begins[at]
    begins[at] = allowed if before is None else before & allowed
    return replace(kind, begins=tuple(begins))


def _field(formula: Formula, header: Nodes) -> tuple[Value, int] | None:
    """The only integer of the header that the formula reads, and where it stands."""
    offset = 0
    for node in header:
        size = fixed_size((node,))
        if size is None:
            return None
        if isinstance(node, Value) and {part.name for part in node.parts} >= set(formula.names) and formula.names:
            return (node, offset) if isinstance(node.wire, IntWire) and size <= _MAX_WIDTH else None
        offset += size
    return None


def _deciding(formula: Formula, node: Value, *, wanted: bool) -> tuple[int, frozenset[int]] | None:
    """Which byte of the integer decides, and the values of this byte for which the formula is as wanted."""
    assert isinstance(node.wire, IntWire)
    size = node.wire.size
    results = {number.to_bytes(size, "big"): _holds(formula, node, number) for number in range(1 << 8 * size)}
    for place in range(size):
        sides: list[frozenset[int]] = [
            frozenset(data[place] for data, there in results.items() if there is side) for side in (False, True)
        ]
        if not sides[0] & sides[1]:
            return place, sides[wanted]
    return None


def _holds(formula: Formula, node: Value, number: int) -> bool:
    assert isinstance(node.wire, IntWire)
    size, sign = node.wire.size, node.wire.sign
    raw = int.from_bytes(number.to_bytes(size, "big"), "big" if node.wire.big else "little", signed=sign == "twos")
    raw = magnitude(raw, size) if sign == "magnitude" else raw
    found: dict[str, Any] = {node.name: raw} | {bit.name: read_bits(raw, bit) for bit in node.bits}
    return bool(formula.evaluate_raw(found.get))


__all__: Sequence[str] = ("Choice", "choices", "told_apart", "without_nothing")
