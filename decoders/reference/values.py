"""One raw value by construct: integers, floats, and bytes of any size read by their form."""

from __future__ import annotations

import io
from typing import Any

import construct as c

from decoders.custom import UNSEEN_BY_PYTHON, value_by
from decoders.errors import DecodeCode, EncodeError
from decoders.formula import Formula
from decoders.layout import (
    Branch,
    BytesWire,
    CharRun,
    FloatWire,
    FormulaWire,
    Group,
    IntWire,
    Nodes,
    Prefix,
    PythonWire,
    RecordWire,
    Rest,
    Size,
    Skip,
    Until,
    Value,
    Wire,
)
from decoders.metering.records import field_of
from decoders.raw import as_size, find_mark, magnitude, read_form, write_form
from decoders.reference.raw_tree import Scope, Window, evaluate, failure, whole
from decoders.text_forms import run_end


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
            return getattr(c, f"Float{8 * size}{'b' if big else 'l'}")
        case BytesWire():
            return FormBytes(wire)
        case RecordWire():
            return RecordField(wire)
        case PythonWire():
            return PythonBytes(wire)
        case FormulaWire():
            return RawFormula(wire)
    raise AssertionError(wire)


class RawFormula(c.Construct):  # type: ignore[misc]
    """A formula over raw integers, worked out where it stands."""

    def __init__(self, wire: FormulaWire) -> None:
        super().__init__()
        self.wire = wire

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        return evaluate(self.wire.formula, context["scope"], stream)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        return obj


class PythonBytes(c.Construct):  # type: ignore[misc]
    """Bytes that a registered function reads."""

    def __init__(self, wire: PythonWire) -> None:
        super().__init__()
        self.wire = wire

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        data = take(self.wire.size, stream, context["scope"], path)
        return value_by(self.wire.name, data, python_inputs(context["scope"]))

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        raise EncodeError(path, f"python:{self.wire.name} is only read")


def python_inputs(scope: Scope) -> dict[str, Any]:
    """What a registered function may look at: raw values of the rows before it, those of inner structures first."""
    found: dict[str, Any] = {}
    place: Scope | None = scope
    while place is not None:
        found = {**place.raw, **found}
        place = place.outer
    return {name: value for name, value in found.items() if name not in UNSEEN_BY_PYTHON}


class RecordField(c.Construct):  # type: ignore[misc]
    """What a row reads of the self-describing record around it."""

    def __init__(self, wire: RecordWire) -> None:
        super().__init__()
        self.wire = wire

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        stream.value = 0, stream.size
        return field_of(context["record"], self.wire.part, self.wire.absent)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        raise EncodeError(path, "records of meters are only read")


class FormBytes(c.Construct):  # type: ignore[misc]
    """Bytes of a size by number, formula, prefix or all that is left, read by their form."""

    def __init__(self, wire: BytesWire) -> None:
        super().__init__()
        self.wire = wire

    def _parse(self, stream: Window, context: Any, path: str) -> Any:
        return read_form(take(self.wire.size, stream, context["scope"], path), self.wire)

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        size = self.wire.size
        if isinstance(size, Until):
            write_value(stream, write_form(obj, self.wire, None, path), size)
            return obj
        if isinstance(size, Prefix):
            data = write_form(obj, self.wire, None, path)
            length = len(data) + (size.wire.size if size.itself else 0)
            primitive(size.wire)._build(length, stream, context, path)
        elif isinstance(size, Formula):
            data = write_form(obj, self.wire, None, path)
            settled = context["scope"].settle(size, len(data))
            said = None if settled else as_size(size.evaluate_raw(context["scope"].find))
            if isinstance(said, int):
                data = write_form(obj, self.wire, said, path)
        else:
            data = write_form(obj, self.wire, size if isinstance(size, int) else None, path)
        stream.write(data)
        return obj


def size_of(size: Size, stream: Window, scope: Scope, path: str) -> int:
    """How many bytes a size means here. Raises StreamError for a prefix that is cut off."""
    match size:
        case int():
            return size
        case Rest() | Until() | CharRun():
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


def _shown_mark(mark: bytes) -> str:
    """The bytes of a mark for people: as text where they are signs, else in hex."""
    text = mark.decode("ascii", "replace")
    return f"`{text}`" if text.isprintable() and text.isascii() else f"the mark {mark.hex(' ').upper()}"


def take(size: Size, stream: Window, scope: Scope, path: str) -> bytes:
    """Reads as many bytes as the size means here. Raises StreamError where they are not there."""
    if isinstance(size, Until):
        start = stream.tell()
        end = find_mark(stream.data, size.mark, start, stream.size, size.unit)
        if end < 0:
            if size.needed or not stream.has_value(size.mark):
                stream.seek(min(start, stream.size))
                words = "nothing is left" if start >= stream.size else f"{_shown_mark(size.mark)} does not follow"
                raise failure(DecodeCode.TRUNCATED, words, stream, path)
            end = stream.size
        stream.seek(end + len(size.mark))
    elif isinstance(size, CharRun):
        start = stream.tell()
        end = run_end(size.chars)(stream.data, start, stream.size)
        stream.seek(end)
    else:
        length = size_of(size, stream, scope, path)
        if isinstance(size, Rest):
            stream.seek(stream.size - length)
        data = c.stream_read(stream, length, path)
        end = stream.tell()
        stream.value = end - length, end
        return bytes(data)
    stream.value = start, end
    return stream.data[start:end]


def sub_window(size: Size, stream: Window, scope: Scope, path: str) -> Window:
    data = take(size, stream, scope, path)
    return Window(data, stream.base + (stream.value or (0, 0))[0])


def write_value(stream: Any, data: bytes, size: Until) -> None:
    """Writes a value that ends with a mark. A mark that only parts values is left out behind the last one: it is
    written together with what follows."""
    stream.write(data)
    if size.needed:
        stream.write(size.mark)
    else:
        stream.part(size.mark)


def hold_places(nodes: Nodes, stream: Output) -> None:
    """Optional values of a text that have no value: where others follow them, they are empty."""
    for node in nodes:
        match node:
            case Value(wire=BytesWire(size=Until(mark=mark, needed=False))):
                stream.hold(mark)
            case Group(size=Until(mark=mark, needed=False)):
                stream.hold(mark)
            case Value(wire=BytesWire(form="hex"), const=str(literal)):
                stream.hold(bytes.fromhex(literal))
            case Branch(cases=((_, (Skip(size=Until(mark=mark, needed=False)),)),)):  # nothing between two marks
                stream.hold(mark)


class Output(io.BytesIO):
    """What is built. `part` says what stands before the next thing, if one comes; `hold` adds to it."""

    def __init__(self) -> None:
        super().__init__()
        self._mark = b""

    def write(self, data: Any) -> int:
        mark, self._mark = self._mark, b""
        return super().write(mark + data)

    def part(self, mark: bytes) -> None:
        if self._mark:
            super().write(self._mark)
        self._mark = mark

    def append(self, other: Output) -> None:
        """What was built apart, with the mark that stands before the next thing."""
        if other.tell() or other._mark:
            self.write(other.getvalue())
            self._mark = other._mark

    def hold(self, mark: bytes) -> None:
        self._mark += mark


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
