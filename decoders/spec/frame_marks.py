"""Marks and constants at the ends of a frame -> patterns of bytes that the framer looks for."""

from __future__ import annotations

from collections.abc import Sequence

from decoders.convert import PLAIN
from decoders.layout import BytesWire, IntWire, Nodes, Value, fixed_size

__all__ = ["MAX_BEGINS", "byte_pattern", "const_bytes", "hex_pattern", "mark_row", "tail_pattern"]

MAX_BEGINS = 16
"""Bytes that a pattern of first bytes has at most."""


def tail_pattern(trailer: Nodes) -> tuple[frozenset[int] | None, ...]:
    """The last bytes of a frame, where constants stand before the stop mark; () where the mark alone says it."""
    pattern: list[frozenset[int] | None] = []
    for node in trailer:
        constant = const_bytes(node) if isinstance(node, Value) else None
        pattern += [frozenset({byte}) for byte in constant or ()] or [None] * (fixed_size((node,)) or 0)
    while pattern and pattern[0] is None:
        pattern.pop(0)
    stop = const_bytes(trailer[-1]) if trailer and isinstance(trailer[-1], Value) else None
    return tuple(pattern) if len(pattern) > len(stop or b"") else ()


def hex_pattern(pattern: Sequence[frozenset[int] | None]) -> list[frozenset[int] | None]:
    """The same bytes as two hex digits each, in lower or upper case."""
    found: list[frozenset[int] | None] = []
    for allowed in pattern:
        for place in (0, 1):
            digits = "".join(f"{value:02x}"[place] for value in allowed or ())
            found.append(frozenset((digits + digits.upper()).encode()) or None)
    return found


def mark_row(name: str, hex_text: str) -> Value:
    """A mark of the frame as the row that reads it."""
    return Value(name, BytesWire(len(hex_text) // 2, "hex"), PLAIN, hidden=True, const=hex_text)


def const_bytes(node: Value) -> bytes | None:
    """The bytes of a constant on the wire; None for a row that may have any."""
    if node.const is None:
        return None
    if isinstance(node.const, str):
        as_text = isinstance(node.wire, BytesWire) and node.wire.form == "text"
        return node.const.encode() if as_text else bytes.fromhex(node.const)
    if isinstance(node.wire, IntWire):
        return node.const.to_bytes(node.wire.size, "big" if node.wire.big else "little")
    return None


def byte_pattern(text: str) -> tuple[frozenset[int] | None, ...]:
    """`78 78 00-14 17|69 ??` -> the values that each of the first bytes may have. Raises ValueError."""
    pattern: list[frozenset[int] | None] = []
    for word in text.split():
        if word == "??":
            pattern.append(None)
            continue
        values: set[int] = set()
        for part in word.split("|"):
            low, dash, high = part.partition("-")
            if not 1 <= len(low) <= 2 or (dash and not 1 <= len(high) <= 2):
                raise ValueError(f"`{word}` is no byte pattern")
            try:
                values.update(range(int(low, 16), int(high if dash else low, 16) + 1))
            except ValueError:
                raise ValueError(f"`{word}` is no byte pattern") from None
        if not values:
            raise ValueError(f"`{word}` fits no byte")
        pattern.append(frozenset(values))
    if not pattern or len(pattern) > MAX_BEGINS:
        raise ValueError(f"a pattern has 1 to {MAX_BEGINS} bytes")
    return tuple(pattern)
