"""`size:` of a frame as a formula over its first bytes -> the function that the framer asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.errors import DecodeError
from decoders.formula import Formula, FormulaError, compile_formula
from decoders.layout import Bit, BytesWire, Counts, IntWire, Node, Nodes, Span, Value, fixed_size
from decoders.raw import read_bits

Place = Callable[["SizeReader"], int]
"""Reads a header value out of the buffer."""
_MAX_OFFSET = 1 << 20
_MAX_COUNT = 9
_TRIED = 300
DIGITS = {"number": 10, "whole": 10, "hexnumber": 16}
"""Forms of numbers written as text -> base."""


class _Short(ValueError):
    """The buffer does not reach so far yet."""


@dataclass(slots=True)
class SizeReader:
    """Functions that a size formula may call, over the buffer that the framer has so far. Offsets count from the
    frame's start, in bytes. short: something was read that is not there yet."""

    buffer: bytes | bytearray = b""
    short: bool = False
    functions: dict[str, Callable[..., int]] = field(init=False)

    def __post_init__(self) -> None:
        self.functions = {"digits": self.digits, "hexdigits": self.hexdigits}
        for size in (1, 2, 3, 4):
            for order, suffix in (("big", ""), ("big", "be"), ("little", "le")):
                self.functions[f"u{8 * size}{suffix}"] = self._integer(size, order)

    def part(self, offset: int, count: int) -> bytes | bytearray:
        if not isinstance(offset, int) or not 0 <= offset <= _MAX_OFFSET:
            raise ValueError("offsets count from the frame's start")
        if len(self.buffer) < offset + count:
            self.short = True
            raise _Short
        return self.buffer[offset : offset + count]

    def _integer(self, size: int, order: Any) -> Callable[[int], int]:
        return lambda offset: int.from_bytes(self.part(offset, size), order)

    def digits(self, offset: int, count: int) -> int:
        """The number in `count` ASCII decimal digits."""
        return self._number(offset, count, 10)

    def hexdigits(self, offset: int, count: int) -> int:
        return self._number(offset, count, 16)

    def _number(self, offset: int, count: int, base: int) -> int:
        if not isinstance(count, int) or not 1 <= count <= _MAX_COUNT:
            raise ValueError(f"1 to {_MAX_COUNT} digits")
        text = bytes(self.part(offset, count))
        if not text.isalnum():  # int() would also take signs, blanks and underscores
            raise ValueError("no digits")
        return int(text, base)

    def rule(self, formula: Formula, places: Sequence[Place]) -> Callable[[bytes | bytearray], int | None]:
        """`buffer -> size of the frame`: None while bytes are missing, -1 where there is no size."""

        def size(buffer: bytes | bytearray) -> int | None:
            self.buffer, self.short = buffer, False
            try:
                result = formula.function(*[place(self) for place in places])
            except (ValueError, DecodeError):
                result = None
            finally:
                self.buffer = b""
            if result is None:
                return None if self.short else -1
            return int(result) if isinstance(result, int | float) else -1

        return size


def size_formula(text: str, header: Sequence[Node]) -> Callable[[bytes | bytearray], int | None]:
    """The size function of a formula over header values and `u8(n)` and the like. Raises FormulaError."""
    reader = SizeReader()
    formula = compile_formula(text, reader.functions)
    places = _places(header)
    for name in formula.names:
        if name not in places:
            raise FormulaError(f"`{name}` has no fixed place in the header; use `u8(n)`, n bytes from its start")
    return reader.rule(formula, [places[name] for name in formula.names])


def counted_by(text: str, header: Nodes) -> Nodes:
    """The header with the field that a formula such as `n + 4` is all about as one that counts the frame's bytes, so
    that a frame that is built has its own n. Unchanged for all other formulas."""
    try:
        formula = compile_formula(text)
    except FormulaError:
        return header
    if len(formula.names) != 1:
        return header
    (name,) = formula.names
    found: list[Node] = []
    for node in header:
        if isinstance(node, Value) and isinstance(node.wire, IntWire) and node.const is None and node.counts is None:
            most = (1 << 8 * node.wire.size) - 1
            if node.name == name and not node.bits and node.wire.sign == "unsigned":
                node = replace(node, counts=_line(formula, most))
            bits = [
                replace(bit, counts=_line(formula, (1 << bit.width) - 1))
                if bit.name == name and bit.counts is None and bit.const is None and not (bit.bcd or bit.parts)
                else bit
                for bit in node.bits
            ]
            node = replace(node, bits=tuple(bits))
        found.append(node)
    return tuple(found)


def _line(formula: Formula, most: int) -> Counts | None:
    """The formula as a number of bytes for each one and some more; None where it is nothing so simple."""
    add, first = formula.function(0), formula.function(1)
    if not isinstance(add, int) or not isinstance(first, int) or first <= add:
        return None
    unit = first - add
    tried = (*range(2, min(most, _TRIED) + 1), most)
    return Counts(Span(0, 0), add, unit) if all(formula.function(n) == n * unit + add for n in tried) else None


def _places(header: Sequence[Node]) -> dict[str, Place]:
    """Header values at fixed places, with the named bits of integers."""
    found: dict[str, Place] = {}
    offset = 0
    for node in header:
        size = fixed_size((node,))
        if size is None:
            break
        if isinstance(node, Value):
            _add(found, node, offset, size)
        offset += size
    return found


def _add(found: dict[str, Place], node: Value, offset: int, size: int) -> None:
    wire = node.wire
    if isinstance(wire, BytesWire) and wire.form in DIGITS:
        base = DIGITS[wire.form]
        found[node.name] = lambda reader: reader._number(offset, size, base)
    elif isinstance(wire, IntWire):
        order: Any = "big" if wire.big else "little"
        found[node.name] = lambda reader: int.from_bytes(reader.part(offset, size), order)
        for bit in node.bits:
            found[bit.name] = _bit(bit, offset, size, order)


def _bit(bit: Bit, offset: int, size: int, order: Any) -> Place:
    return lambda reader: read_bits(int.from_bytes(reader.part(offset, size), order), bit) or 0
