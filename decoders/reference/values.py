"""One raw value by construct: integers, floats, and bytes of any size read by their form."""

from __future__ import annotations

from typing import Any

import construct as c

from decoders.errors import DecodeCode
from decoders.formula import Formula
from decoders.layout import BytesWire, FloatWire, IntWire, Prefix, Rest, Size, Wire
from decoders.raw import magnitude, read_form, write_form
from decoders.reference.raw_tree import Scope, Window, evaluate, failure, whole


def primitive(wire: Wire) -> Any:
    """The construct that reads and builds one raw value."""
    match wire:
        case IntWire(size=size, sign=sign, big=big):
            plain = c.BytesInteger(size, signed=sign == "twos", swapped=not big)
            if sign != "magnitude":
                return plain
            half = 1 << (8 * size - 1)
            return c.ExprAdapter(
                plain,
                lambda raw, _context: magnitude(raw, size),
                lambda value, _context: half - value if value < 0 else value,
            )
        case FloatWire(size=size, big=big):
            return {(4, True): c.Float32b, (4, False): c.Float32l, (8, True): c.Float64b, (8, False): c.Float64l}[
                (size, big)
            ]
        case BytesWire():
            return FormBytes(wire)
    raise AssertionError(wire)


class FormBytes(c.Construct):  # type: ignore[misc]
    """Bytes of a size by number, formula, prefix or all that is left, read by their form."""

    def __init__(self, wire: BytesWire) -> None:
        super().__init__()
        self.wire = wire

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        size = size_of(self.wire.size, stream, context["scope"], path)
        return read_form(c.stream_read(stream, size, path), self.wire)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        size = self.wire.size
        if isinstance(size, Prefix):
            data = write_form(obj, self.wire, None, path)
            length = len(data) + (size.wire.size if size.itself else 0)
            primitive(size.wire)._build(length, stream, context, path)
        elif isinstance(size, Formula):
            data = write_form(obj, self.wire, int(evaluate(size, context["scope"], None) or 0), path)
        else:
            data = write_form(obj, self.wire, size if isinstance(size, int) else None, path)
        stream.write(data)
        return obj


def size_of(size: Size, stream: Window, scope: Scope, path: str) -> int:
    """How many bytes a size means here. Raises StreamError for a prefix that is cut off."""
    match size:
        case int():
            return size
        case Rest():
            return stream.remaining
        case Prefix(wire=wire, itself=itself):
            length = int(primitive(wire)._parsereport(stream, {"scope": scope}, path))
            if itself:
                length -= wire.size
                if length < 0:
                    raise failure(DecodeCode.BAD_LENGTH, "the length is shorter than itself", stream, path)
            return length
        case Formula():
            return whole(evaluate(size, scope, stream), size, stream, path)


def sub_window(size: Size, stream: Window, scope: Scope, path: str) -> Window:
    length = size_of(size, stream, scope, path)
    base = stream.place
    return Window(c.stream_read(stream, length, path), base)


def item_count(
    formula: Formula | None, wire: IntWire | None, most: int, stream: Window, context: Any, path: str
) -> int | None:
    """Number of items of a list, or None when they go to the end. Raises DecodeError for more than `most`."""
    if wire is not None:
        count = int(primitive(wire)._parsereport(stream, context, path))
    elif formula is not None:
        count = whole(evaluate(formula, context["scope"], stream), formula, stream, path)
    else:
        return None
    if count > most:
        raise failure(DecodeCode.TOO_MANY_ITEMS, f"{count} items, at most {most}", stream, path)
    return count
