"""What a frame that was built is read as, beside the values that it was built from.

Between `decoders.encode`, which writes any message, and the reference codec, which reads it again: a value that has no
room on the wire, or comes out as another one, is found before the frame is sent. What only the resolution of a row
takes away (26.34 in steps of 0.1) is no difference.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from decoders.convert import Convert
from decoders.encode import Encoder
from decoders.errors import EncodeError
from decoders.faults import without_faults
from decoders.framing.escape import unescape
from decoders.golden import same
from decoders.inverse import to_raw
from decoders.layout import Bit, BytesWire, Derived, FloatWire, Group, Node, Repeat, Value
from decoders.naming import pattern_of
from decoders.raw import read_bits, write_bits, write_form
from decoders.reference.codec import ReferenceCodec, Selector
from decoders.reference.fields import own_rows
from decoders.reference.raw_tree import Trace
from decoders.times import Zone, unix_ms_from_iso
from decoders.types import SessionContext

__all__ = ["Lost", "arrival_of", "lost_values"]

_FLOAT_STEPS: Mapping[int, float] = {2: 1e-3, 4: 1e-6, 8: 1e-12}
"""Relative resolution of floats by their bytes."""
_LIST_MS = (86_400_000, 86_400_000, 86_400_000, 3_600_000, 60_000, 1000, 1)
"""Resolution of a time that is put together from so many parts, one more each."""


@dataclass(slots=True, frozen=True)
class Lost:
    """A value that came out differently; found: None where it is missing."""

    field: str
    wanted: Any
    found: Any

    def __str__(self) -> str:
        back = "nothing" if self.found is None else repr(self.found)
        return f"{self.field}: wanted {self.wanted!r}, read back {back}"


def arrival_of(encoder: Encoder, values: Mapping[str, Any]) -> int:
    """Unix ms at which a frame with these values may arrive: the first of their times, which may say no more than a
    time of day; 0 where they have none."""
    for node in own_rows(encoder.nodes):
        for part in node.parts if isinstance(node, Value) else (node,):
            convert = getattr(part, "convert", None)
            value = values.get(getattr(part, "name", ""))
            if isinstance(convert, Convert) and convert.clock and isinstance(value, str):
                try:
                    return unix_ms_from_iso(value)
                except ValueError:
                    continue
    return 0


def lost_values(
    encoder: Encoder, wire: bytes, values: Mapping[str, Any], context: SessionContext, zone_s: Zone
) -> list[Lost]:
    """Which of the values are not in the frame that was built from them, downlinks too. None stands for no value.
    Raises DecodeError for a frame that cannot be read."""
    name = encoder.message.message
    codec = ReferenceCodec(replace(encoder.frame, selectors=(Selector(name, ()),)))
    data = wire if encoder.escape is None else unescape(encoder.escape, wire)
    trace: list[Trace] = []
    _, found = codec.decode(data, context, zone_s, trace)
    return list(_Comparison(trace, zone_s).lost(encoder.nodes, values, without_faults(found), ""))


@dataclass(slots=True)
class _Comparison:
    trace: list[Trace]
    zone_s: Zone

    def lost(
        self, nodes: Sequence[Node], values: Mapping[str, Any], found: Mapping[str, Any], path: str
    ) -> Iterator[Lost]:
        rows = list(own_rows(nodes))
        for name, value in values.items():
            if value is None:
                continue
            mine = list(_rows_of(name, rows))
            if any(isinstance(row, Value) and (row.counts is not None or row.check is not None) for row in mine):
                continue  # filled in, whatever was given
            here = f"{path}.{name}" if path else name
            inner = _inner_rows(name, rows)
            back = found.get(name)
            if inner and isinstance(value, Mapping) and isinstance(back, Mapping):
                yield from self.lost(inner, value, back, here)
            elif inner and _are_objects(value) and _are_objects(back) and len(value) == len(back):
                for index, (one, other) in enumerate(zip(value, back, strict=True)):
                    yield from self.lost(inner, one, other, f"{here}[{index}]")
            elif back is None:
                pairs = [(row, other) for row in mine for other in self._hidden(row)]
                unseen = mine and all(isinstance(row, Derived) and row.hidden for row in mine)
                if not unseen and not any(self._alike(row, value, other) for row, other in pairs):
                    yield Lost(here, value, pairs[0][1] if pairs else None)
            elif not same(value, back) and not any(self._alike(row, value, back) for row in mine):
                yield Lost(here, value, back)

    def _hidden(self, row: Value | Bit | Derived | Repeat) -> list[Any]:
        """What a row was read as that does not show its value."""
        if isinstance(row, Repeat | Derived) or not row.hidden:
            return []
        convert = row.convert.function()
        found = []
        for item in self.trace:
            if not isinstance(item.node, Value):
                continue
            raw = item.raw if item.node is row else None
            if isinstance(row, Bit) and any(bit is row for bit in item.node.bits):
                raw = read_bits(item.raw, row)
            if raw is not None:
                found.append(convert(raw, self.zone_s))
        return [value for value in found if value is not None]

    def _alike(self, row: Value | Bit | Derived | Repeat, value: Any, found: Any) -> bool:
        """Equal as far as the row can tell."""
        if isinstance(row, Repeat):
            inner = next((node for node in row.nodes if isinstance(node, Value) and node.name == row.name), None)
            both = isinstance(value, list) and isinstance(found, list) and len(value) == len(found)
            if inner is None or not both:
                return False
            return all(same(*pair) or self._alike(inner, *pair) for pair in zip(value, found, strict=True))
        if row.convert.clock:
            return self._same_time(row, value, found)
        if isinstance(row, Derived):
            step = 0.0 if row.convert.decimals is None else 0.5 * 10**-row.convert.decimals
            return _are_numbers(value, found) and bool(abs(value - found) <= step * (1 + 1e-9))
        if isinstance(row, Value) and isinstance(row.wire, FloatWire) and _are_numbers(value, found):
            size = max(abs(value), abs(found))
            return bool(abs(value - found) <= size * _FLOAT_STEPS[row.wire.size])
        place = row.place
        if place is not None and place.repeat == "list" and isinstance(value, list) and isinstance(found, list):
            pairs = zip(value, found, strict=False)
            return len(value) == len(found) and all(same(*pair) or self._alike(row, *pair) for pair in pairs)
        try:
            return bool(self._written(row, value) == self._written(row, found))
        except (EncodeError, TypeError, ValueError):
            return False

    def _written(self, row: Value | Bit, value: Any) -> Any:
        """How the value stands on the wire."""
        if isinstance(row, Value) and row.negate is not None and isinstance(value, int | float):
            return value < 0, to_raw(row.name, row.convert, abs(value), self.zone_s)
        raw = to_raw(row.name, row.convert, value, self.zone_s)
        if isinstance(row, Bit):
            whole = int(raw)
            return whole if whole == read_bits(write_bits(whole, row), row) or row.bcd else (whole, "too large")
        if isinstance(row.wire, BytesWire):
            return write_form(raw, row.wire, row.wire.size if isinstance(row.wire.size, int) else None, row.name)
        return raw

    def _same_time(self, row: Value | Bit | Derived, value: Any, found: Any) -> bool:
        try:
            wanted, back = (unix_ms_from_iso(each) if isinstance(each, str) else int(each) for each in (value, found))
            if row.convert.clock.startswith("list") and isinstance(row, Derived):
                return abs(wanted - back) < _LIST_MS[_parts(row) - 1]
            return bool(
                to_raw(row.name, row.convert, value, self.zone_s) == to_raw(row.name, row.convert, found, self.zone_s)
            )
        except (EncodeError, TypeError, ValueError):
            return False


def _parts(row: Derived) -> int:
    """Parts of a time: year, month ..."""
    tree = ast.parse(row.formula.text, mode="eval").body
    return min(len(tree.elts), len(_LIST_MS)) if isinstance(tree, ast.List) else len(_LIST_MS)


def _are_numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _are_objects(value: Any) -> TypeGuard[list[Mapping[str, Any]]]:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _rows_of(name: str, rows: Sequence[Node]) -> Iterator[Value | Bit | Derived | Repeat]:
    """The rows that give a value of this name."""
    for row in rows:
        if isinstance(row, Derived):
            if row.name == name:
                yield row
        elif isinstance(row, Repeat):
            if row.plain and (row.name == name or (row.numbered and re.fullmatch(rf"{row.name}_\d+", name))):
                yield next((node for node in row.nodes if isinstance(node, Value)), row) if row.numbered else row
            elif row.numbered:
                base, _, number = name.rpartition("_")
                if number.isdigit():
                    yield from _rows_of(base, list(own_rows(row.nodes)))
        elif isinstance(row, Value):
            yield from (part for part in row.parts if _is_called(part, name))


def _is_called(part: Value | Bit, name: str) -> bool:
    if part.place is not None and part.place.naming is not None:
        return pattern_of(part.place.naming.text).fullmatch(name) is not None
    if part.place is not None and part.place.repeat == "number":
        return re.fullmatch(rf"{re.escape(part.name)}_\d+", name) is not None
    return part.name == name


def _inner_rows(name: str, rows: Sequence[Node]) -> tuple[Node, ...]:
    """The rows of the structures of this name."""
    found: list[Node] = []
    for row in rows:
        match row:
            case Group(name=word) if word and (word == name or _is_named(row, name)):
                found += row.nodes
            case Repeat(numbered=False, plain=False) if name == (row.into or row.name):
                found += row.nodes
    return tuple(found)


def _is_named(row: Group, name: str) -> bool:
    naming = row.place.naming if row.place is not None else None
    return naming is not None and pattern_of(naming.text).fullmatch(name) is not None
