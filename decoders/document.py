"""JSON documents of a product: the same messages, values and contract as its binary frames.

Without a mapping a value is looked for by its name in `metrics`, `fields`, `data.metrics` and at the top; with
`json: {tempC: data.temperature}` at that path. Identity and times have the names that all JSON of the gateway uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from decoders.convert import negative
from decoders.document_kinds import WRONG, Kind, is_bad_time, take, time_text, word_of
from decoders.document_shapes import PROVEN, Shapes
from decoders.document_values import DocumentFields, extra_values
from decoders.errors import DecodeCode, DecodeError
from decoders.faults import FAULTS, Faults, is_empty, lifted
from decoders.json_text import read_json
from decoders.layout import STATUS, BytesWire, Value
from decoders.raw import read_bits
from decoders.times import Zone
from decoders.types import SessionContext, ViolationCode

__all__ = [
    "COMMON_NAMES",
    "COMMON_VALUES",
    "JsonCodec",
    "JsonMessage",
    "Path",
    "at",
    "common_values",
    "parse_path",
    "path_text",
    "time_text",
    "unreadable_times",
]

Path = tuple[str | int | None, ...]
"""Steps into a document: a key, a place in a list, or None: each item of a list."""

_DEVICE = ("device_id", "device_uuid")
COMMON_NAMES = frozenset({*_DEVICE, "hub_id", "childDeviceId", "device_timestamp", "hub_timestamp", "ts"})
"""Identity and times under the names that all documents of the gateway use."""
COMMON_VALUES = frozenset({"device_id", "hub_id", "childDeviceId", "device_timestamp", "hub_timestamp", "trace_id"})
"""What becomes of them, and of the sender's `trace_id`, among the values."""
_COMMON_KEYS = COMMON_NAMES | {"trace_id", "header"}
_MAX_STEPS = 16
_STEP = re.compile(r"(?:^|\.)([^.\[\]]+)|\[(-?[0-9]{1,4})?\]")


def parse_path(text: str) -> Path:
    """`data.temp`, `a[0].b`, `a[-1]`, `nodes[].x`; `.` is the document itself. Raises ValueError."""
    if text in (".", ""):
        return ()
    if text[0] in "$/":
        raise ValueError(f"`{text}`: a path begins with a key, not with `{text[0]}`")
    steps: list[str | int | None] = []
    end = 0
    for match in _STEP.finditer(text):
        if match.start() != end:
            break
        end = match.end()
        steps.append(match[1] if match[1] is not None else int(match[2]) if match[2] else None)
    if end != len(text) or len(steps) > _MAX_STEPS:
        raise ValueError(f"`{text}` is no path")
    return tuple(steps)


def at(document: Any, path: Path) -> Any:
    """What stands there, or None. Behind each item of a list: the list of what is there."""
    for index, step in enumerate(path):
        if step is None:
            if not isinstance(document, list):
                return None
            found: list[Any] = []
            for item in document:
                inner = at(item, path[index + 1 :])
                found += inner if isinstance(inner, list) else [] if inner is None else [inner]
            return found
        if isinstance(step, int):
            there = isinstance(document, list) and -len(document) <= step < len(document)
            document = document[step] if there else None
        else:
            document = document.get(step) if isinstance(document, dict) else None
    return document


Item = tuple[Any, tuple[Any, ...]]
"""An item of a list, and the items of the lists around it, the outermost first."""


def items_at(document: Any, path: Path, around: tuple[Any, ...] = (), *, inside: bool = False) -> list[Item] | None:
    """The items of the list that stands there, those of all where it stands in items; None where there is none.
    inside: what stands in an item and is no list is an item too."""
    for index, step in enumerate(path):
        if step is None:
            if not isinstance(document, list):
                return None
            rest, found = path[index + 1 :], list[Item]()
            for item in document:
                found += items_at(item, rest, (*around, item) if rest else around, inside=True) or ()
            return found
        document = at(document, (step,))
    if isinstance(document, list):
        return [(item, around) for item in document]
    return [(document, around)] if inside and document is not None else None


@dataclass(slots=True, frozen=True)
class JsonMessage:
    """How one message reads as JSON. when: what its documents have at these paths; () when they name it.

    records: its list whose items become records, "" for none; records_at: where this list stands, None: by name.
    outer: values of an item that stand in an item of a list around it: how many lists in, and the path there. keeps:
    also values that the spec does not name.
    """

    name: str
    fields: DocumentFields
    when: tuple[tuple[Path, Any], ...] = ()
    values: Mapping[str, Path] = field(default_factory=dict)
    records: str = ""
    records_at: Path | None = None
    items: Mapping[str, Path] = field(default_factory=dict)
    outer: Mapping[str, tuple[int, Path]] = field(default_factory=dict)
    keeps: bool = False

    def fits(self, document: Any) -> bool:
        return all(_equal(at(document, path), value) for path, value in self.when)


class JsonCodec:
    """Decodes the JSON form of a product's messages."""

    format = "json"

    def __init__(self, messages: Sequence[JsonMessage]) -> None:
        self.messages = {message.name: message for message in messages}
        for message in messages:
            message.fields.settle()
        self._told = [message for message in messages if message.when]
        self._named = [message for message in messages if not message.when]
        # Where some value is read from `message`, that key is no name.
        paths = [path for message in messages for path in message.values.values()]
        self._naming = not any(path[:1] == ("message",) for path in paths)
        paths += [path for message in messages for path, _ in message.when]
        paths += [message.records_at for message in messages if message.records_at is not None]
        self._lists = any(not path or not isinstance(path[0], str) for path in paths)
        # Messages whose documents say nothing unusual, by the name that these give; None where one gives none.
        self._shapes: dict[str | None, tuple[str, Shapes]] = {}
        for message in messages if self._naming and not self._told else ():
            if not (message.values or message.records) and Shapes.fit(message.fields):
                shapes = message.name, Shapes(message.fields, _COMMON_KEYS, _usual_common, keeps=message.keeps)
                self._shapes[message.name] = shapes
                if len(messages) == 1:
                    self._shapes[None] = shapes

    def decode(self, data: bytes, context: SessionContext, zone: Zone) -> tuple[str, dict[str, Any]]:
        """One JSON document -> message name and values. Raises DecodeError."""
        return self.read(read_json(data), context, zone)

    def read(self, document: Any, context: SessionContext, zone: Zone) -> tuple[str, dict[str, Any]]:
        """As `decode`, of what the document says."""
        if document.__class__ is dict and (quick := self.read_plain(document, PROVEN, zone)) is not None:
            return quick
        if not isinstance(document, dict) and not (self._lists and isinstance(document, list)):
            raise DecodeError(DecodeCode.BAD_DOCUMENT, "expected one JSON object")
        message = self._choose(document)
        values = _read(message.fields, document, message, document, zone, _session_values(context))
        if isinstance(document, dict):
            if message.keeps:
                values = {**extra_values(document, message.fields), **values}
            _add_common(values, document, zone)
        return message.name, lifted(values)

    def read_plain(self, document: dict[str, Any], colons: int, zone: Zone) -> tuple[str, dict[str, Any]] | None:
        """As `read`, of a document as they mostly are; None for any other one. colons: as
        `decoders.json_text.read_plain` has it, or PROVEN."""
        name = document.get("message")
        shapes = self._shapes.get(name) if name is None or name.__class__ is str else None
        if shapes is None:
            return None
        values = shapes[1].read(document, zone, colons)
        return None if values is None else (shapes[0], values)

    def read_row(self, row: dict[str, Any], context: SessionContext, zone: Zone) -> dict[str, Any]:
        """The values of one row, an object without nesting, of the only message."""
        (message,) = self._named
        values = _read(message.fields, row, message, row, zone, _session_values(context))
        _add_common(values, row, zone)
        return lifted(values)

    def _choose(self, document: Any) -> JsonMessage:
        for message in self._told:
            if message.fits(document):
                return message
        name = document.get("message") if isinstance(document, dict) and self._naming else None
        if name is None and len(self._named) == 1:
            return self._named[0]
        if isinstance(name, str) and name in self.messages and not self.messages[name].when:
            return self.messages[name]
        if self._named:
            words = ", ".join(message.name for message in self._named)
            detail = f"`message` is {_shown(name)}; it must be one of: {words}"
            raise DecodeError(DecodeCode.UNKNOWN_MESSAGE, detail, field="message")
        tests = {path: at(document, path) for message in self._told for path, _ in message.when}
        seen = ", ".join(f"{path_text(path)} is {_shown(value)}" for path, value in tests.items())
        raise DecodeError(DecodeCode.UNKNOWN_MESSAGE, f"no message of the spec where {seen}")


def _read(
    fields: DocumentFields,
    source: Any,
    message: JsonMessage,
    root: Any,
    zone: Zone,
    *around: Mapping[str, Any],
    paths: Mapping[str, Path] | None = None,
    given: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """The values of one structure. source: the object that holds them by name. root: what paths begin at. given: what
    stands elsewhere."""
    values: dict[str, Any] = {}
    paths = message.values if paths is None else paths

    named = _by_name(source)
    elsewhere = bool(given or paths)

    def find(name: str) -> Any:
        if name in given:
            return given[name]
        return at(root, paths[name]) if name in paths else named.get(name)

    for name, kind in fields.kinds.items():
        raw = find(name) if elsewhere else named.get(name)
        if raw is None:
            continue
        if raw.__class__ in fields.direct.get(name, ()):
            values[name] = raw
            continue
        value = take(kind, raw, zone)
        if value is WRONG:
            _fault(values, name)
        elif value.__class__ is list and kind.items:
            values[name] = _items_of(values, name, value)
        elif value is not None:
            values[name] = value
        elif (word := word_of(kind, raw)) is not None:
            values[name + STATUS] = word
        elif name not in fields.hidden and is_bad_time(kind, raw):
            _fault(values, name, ViolationCode.BAD_TIME)
    for row in fields.packed:
        _unpack(row, find(row.name), values, zone)
    for name, inner in fields.groups.items():
        raw = find(name)
        inside = {path_name: path for path_name, path in paths.items() if path_name not in fields.kinds}
        group = _read(inner, raw, message, root, zone, values, *around, paths=inside)
        if group or isinstance(raw, dict):
            values[name] = group
    for name, inner in fields.lists.items():
        here = name == message.records and message.records_at is not None and source is root
        raw = at(root, message.records_at or ()) if here else find(name)
        items = items_at(raw, ()) if not here else items_at(root, message.records_at or ())
        if items is None:
            if raw is not None:
                _fault(values, name)
            continue
        if len(items) > inner.max_items:
            detail = f"{len(items)} items, at most {inner.max_items} allowed"
            raise DecodeError(DecodeCode.TOO_MANY_ITEMS, detail, field=name)
        values[name] = _items(inner, items, message, zone, (values, *around), mapped=name == message.records)
    for name, formula in fields.negated:
        if name in values and formula.evaluate(_lookup((values, *around))):
            values[name] = negative(values[name])
    _compute(fields, values, zone, around)
    if fields.hidden.isdisjoint(values):
        return values
    return {name: value for name, value in values.items() if name not in fields.hidden}


def _items(
    fields: DocumentFields,
    items: list[Item],
    message: JsonMessage,
    zone: Zone,
    around: tuple[Mapping[str, Any], ...],
    *,
    mapped: bool,
) -> list[dict[str, Any]]:
    """mapped: the message says where the values of an item stand."""
    paths: Mapping[str, Path] = message.items if mapped else {}
    outer = message.outer.items() if mapped else ()
    found = []
    for item, parents in items:
        given = {name: at(parents[level], path) for name, (level, path) in outer if level < len(parents)}
        values = _read(fields, item, message, item, zone, *around, paths=paths, given=given)
        if fields.keep is not None and not fields.keep.evaluate(_lookup((values, *around))):
            continue
        common = isinstance(item, dict) and (paths or given)
        if common:
            _add_common(values, item, zone)
        found.append(values)
    return found


def _compute(fields: DocumentFields, values: dict[str, Any], zone: Zone, around: tuple[Mapping[str, Any], ...]) -> None:
    """Formulas of values that the document does not say itself."""
    for node in fields.derived:
        lookup = _lookup((values, *around))
        if values.get(node.name) is not None or (node.test is not None and not node.test.evaluate(lookup)):
            continue
        result = node.formula.evaluate(lookup)
        value = None if result is None else node.convert.function()(result, zone)
        if value is not None:
            values[node.name] = value
        elif id(node) in fields.faults and (code := fields.faults[id(node)](result)) is not None:
            _fault(values, node.name, code)


def _fault(values: dict[str, Any], name: str, code: ViolationCode = ViolationCode.WRONG_TYPE) -> None:
    values.setdefault(FAULTS, Faults())[name] = code


def _items_of(values: dict[str, Any], name: str, items: list[Any]) -> list[Any]:
    """A list of plain values, without those of another type."""
    for index, item in enumerate(items):
        if item is WRONG:
            items[index] = None
            _fault(values, f"{name}[{index}]")
    return items


def _unpack(row: Value, raw: Any, values: dict[str, Any], zone: Zone) -> None:
    """The bits of an integer that the document holds, but for those that it names itself."""
    found = take(Kind("number", form=_form(row)), raw, zone)
    if found.__class__ is not int or found < 0:
        if found is not None:
            _fault(values, row.name)
        return
    for bit in row.bits:
        if bit.name in values:
            continue
        try:
            value = bit.convert.function()(read_bits(found, bit), zone)
        except DecodeError:
            value = None
        if value is not None:
            values[bit.name] = value


def _form(row: Value) -> str:
    return "hexnumber" if isinstance(row.wire, BytesWire) and row.wire.form == "hexnumber" else ""


def _lookup(around: Sequence[Mapping[str, Any]]) -> Any:
    def lookup(name: str) -> Any:
        return next((values[name] for values in around if values.get(name) is not None), None)

    return lookup


def _session_values(context: SessionContext) -> dict[str, Any]:
    """Names that formulas may read besides the message's own."""
    received = context.received_ms / 1000 if context.received_ms else None
    return {**context.values, "device_id": context.device_id or None, "received": received}


def _by_name(source: Any) -> Mapping[str, Any]:
    """What stands in an object under names: in `metrics`, else in `fields`, else in `data.metrics`, else at its top."""
    if not isinstance(source, dict):
        return {}
    data, fields, metrics = source.get("data"), source.get("fields"), source.get("metrics")
    inner = data.get("metrics") if isinstance(data, dict) else None
    found = source
    for place in (inner, fields, metrics):
        if isinstance(place, dict):
            found = {**found, **place}
    return found


def _equal(found: Any, wanted: Any) -> bool:
    """True and 1 differ; 1 and 1.0 do not, nor do 5 and the text `5`."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    return bool(found == wanted) or (isinstance(found, str) and isinstance(wanted, int) and found == str(wanted))


def path_text(path: Path) -> str:
    """The path as it is written."""
    text = "".join("[]" if step is None else f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "."


def _shown(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def common_values(document: Mapping[str, Any], zone: Zone = 0) -> dict[str, Any]:
    """Identity and times under the names that all documents of the gateway use."""
    values: dict[str, Any] = {}
    if _COMMON_KEYS.isdisjoint(document):
        return values
    said = document.get
    device = next((name for key in _DEVICE if isinstance(name := said(key), str)), None)
    child, hub, trace = said("childDeviceId"), said("hub_id"), said("trace_id")
    if device is not None:
        values["device_id"] = device
    if isinstance(hub, str) and hub:
        values["hub_id"] = hub
    if isinstance(child, str) and child:
        values["childDeviceId"] = child
    if isinstance(trace, str) and trace:
        values["trace_id"] = trace
    for name, moment in _moments(document):
        if (text := time_text(moment, zone)) is not None:
            values[name] = text
    return values


def unreadable_times(document: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Times that a document says, and that are not among the values made of it: nobody can read them."""
    return [name for name, moment in _moments(document) if name not in values and not is_empty(moment)]


def _moments(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The times of a document, as it has them."""
    header = document.get("header")
    moment = document.get("device_timestamp")
    if moment is None and isinstance(header, dict):
        moment = header.get("timestamp")
    if moment is None:
        moment = document.get("ts")
    if moment is not None:
        yield "device_timestamp", moment
    moment = document.get("hub_timestamp")
    if moment is not None:
        yield "hub_timestamp", moment


def _usual_common(document: Mapping[str, Any], zone: Zone) -> dict[str, Any] | None:
    """`common_values`; None where a time cannot be read, which has to be noted."""
    values = common_values(document, zone)
    return None if unreadable_times(document, values) else values


def _add_common(values: dict[str, Any], document: Mapping[str, Any], zone: Zone) -> None:
    values |= common_values(document, zone)
    for name in unreadable_times(document, values):
        _fault(values, name, ViolationCode.BAD_TIME)
