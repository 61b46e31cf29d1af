"""DLMS/COSEM data: A-XDR (IEC 62056-6-2), alone or in a data-notification, and which OBIS code each value belongs to.

The tree of arrays and structures is read first. Then values find their OBIS codes: the octet-string of six bytes right
before them, or the list of capture objects in front of a push. A value without one is known by its place, `#3` or
`#2.0` within an inner list. Scaler and unit count where they are sent.
"""

from __future__ import annotations

import datetime
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

from decoders.errors import DecodeCode
from decoders.metering.dlms_tables import BASE_UNITS, UNITS, fixed_names, obis_name, obis_unit, quantity_names
from decoders.metering.records import Record, RecordWord, fail, local_moment
from decoders.times import iso_from_unix

__all__ = ["EXAMPLES", "known_word", "nearest_words", "parse"]

EXAMPLES = 'such as "1.8.0", "1.0.1.8.0.255", "#3", or a name such as `energy_import`'
MAX_DEPTH = 16
_ARRAY, _STRUCTURE, _OCTETS, _INT8, _ENUM = 1, 2, 9, 15, 22
_DATA_NOTIFICATION, _EVENT, _GET_ANSWER = 0x0F, 0xC2, 0xC4
_CIPHERED = frozenset({*range(0xC8, 0xD8), 0xDB, 0xDC, 0xDD, 0xDF})
_LLC = frozenset({b"\xe6\xe7\x00", b"\xe6\xe6\x00"})
_FIXED = {
    3: ("B", 1), 5: (">i", 4), 6: (">I", 4), 15: ("b", 1), 16: (">h", 2), 17: ("B", 1), 18: (">H", 2), 20: (">q", 8),
    21: (">Q", 8), 22: ("B", 1), 23: (">f", 4), 24: (">d", 8), 28: ("b", 1), 29: (">h", 2), 30: (">i", 4), 31: ("B", 1),
    32: (">H", 2), 33: (">I", 4),
}  # fmt: skip
"""Tag -> struct code, bytes."""
_TIMES = {25: 12, 26: 5, 27: 4}
_TEXTS = {9: "", 10: "latin-1", 12: "utf-8", 13: "bcd"}
_NO_ZONE = -0x8000


@dataclass(slots=True)
class _Leaf:
    """A value that is no list. raw: number, text (octets as bytes), bool or None."""

    tag: int
    raw: Any
    start: int
    stop: int


@dataclass(slots=True)
class _List:
    items: list[_Node]


_Node: TypeAlias = _Leaf | _List


def parse(data: bytes, start: int, end: int, most: int, found: list[Record]) -> int:
    """The values of one APDU or of bare data in `data[start:end]`.

    Appends to `found`; returns where the data ended. Raises DecodeError truncated, bad_value (also for an encrypted
    APDU), too_many_items or too_deep.
    """
    reader = _Reader(data, end, most)
    place = start
    if data[place : place + 3] in _LLC:
        place += 3
    place = _apdu(reader, place, found)
    tree, place = reader.node(place, 0)
    _Walk(found, most).top(tree)
    return place


def _apdu(reader: _Reader, place: int, found: list[Record]) -> int:
    """Reads what stands before the data, if anything does."""
    kind = reader.byte(place)
    if kind in _CIPHERED:
        fail(DecodeCode.BAD_VALUE, f"encrypted (APDU 0x{kind:02X})", place)
    if kind == _DATA_NOTIFICATION and reader.end - place > 5:
        return _date_time(reader, place + 5, found)
    if kind == _GET_ANSWER:
        if reader.byte(place + 1) != 1 or reader.byte(place + 3) != 0:
            fail(DecodeCode.BAD_VALUE, "only an answer in one block that holds data can be read", place + 1)
        return place + 4
    if kind == _EVENT:
        place = _date_time(reader, place + 2, found) if reader.byte(place + 1) else place + 2
        return place + 9  # class, OBIS code, attribute
    return place


def _date_time(reader: _Reader, place: int, found: list[Record]) -> int:
    """The time of a data-notification: nothing, or twelve bytes behind their number. Some meters send the tag of an
    octet-string before that."""
    if reader.byte(place) == _OCTETS:
        place += 1
    size, place = reader.byte(place), place + 1
    if size not in (0, 12):
        fail(DecodeCode.BAD_VALUE, f"a time of {size} bytes", place - 1)
    if size:
        raw = reader.take(place, size)
        found.append(Record(("date_time",), "date_time", _moment(raw), raw.hex(), 0, place, place + size))
    return place + size


class _Reader:
    """Reads A-XDR nodes. Every node takes at least a byte, so that the bytes bound the work."""

    def __init__(self, data: bytes, end: int, most: int) -> None:
        self.data = data
        self.end = end
        self.left = 4 * most + 16  # nodes: a record has at most value, OBIS code, scaler and unit, and lists

    def byte(self, place: int) -> int:
        if place >= self.end:
            fail(DecodeCode.TRUNCATED, "the data end here", place)
        return self.data[place]

    def take(self, place: int, size: int) -> bytes:
        if place + size > self.end:
            fail(DecodeCode.TRUNCATED, f"needs {size} bytes, {max(0, self.end - place)} left", place)
        return self.data[place : place + size]

    def length(self, place: int) -> tuple[int, int]:
        """A length or count, and what follows it."""
        first = self.byte(place)
        if first < 0x80:
            return first, place + 1
        size = first & 0x7F
        if not 1 <= size <= 4:
            fail(DecodeCode.BAD_VALUE, f"a length of {size} bytes", place)
        return int.from_bytes(self.take(place + 1, size), "big"), place + 1 + size

    def node(self, place: int, depth: int) -> tuple[_Node, int]:
        if depth > MAX_DEPTH:
            fail(DecodeCode.TOO_DEEP, f"lists nest deeper than {MAX_DEPTH}", place)
        self.left -= 1
        if self.left < 0:
            fail(DecodeCode.TOO_MANY_ITEMS, "more values than the list may have", place)
        tag, start = self.byte(place), place
        place += 1
        if tag in (_ARRAY, _STRUCTURE):
            count, place = self.length(place)
            if count > self.end - place:
                fail(DecodeCode.TRUNCATED, f"{count} items in {self.end - place} bytes", start)
            items = []
            for _ in range(count):
                item, place = self.node(place, depth + 1)
                items.append(item)
            return _List(items), place
        raw, first, place = self.scalar(tag, place)
        return _Leaf(tag, raw, first, place), place

    def scalar(self, tag: int, place: int) -> tuple[Any, int, int]:
        """Raw value, where its data start and end."""
        fixed = _FIXED.get(tag)
        if fixed is not None:
            code, size = fixed
            raw: Any = struct.unpack(code, self.take(place, size))[0]
            return (raw != 0 if tag == 3 else raw), place, place + size
        if tag in (0, 255):
            return None, place, place
        if tag in _TIMES:
            size = _TIMES[tag]
            return self.take(place, size), place, place + size
        if tag == 4:
            count, place = self.length(place)
            size = (count + 7) // 8
            bits = self.take(place, size)
            number = int.from_bytes(bits, "big") >> size * 8 - count
            return (number if count <= 64 else bits.hex()), place, place + size
        if tag not in _TEXTS:
            fail(DecodeCode.BAD_VALUE, f"0x{tag:02X} is no type of data", place - 1)
        size, place = self.length(place)
        return self.take(place, size), place, place + size


class _Walk:
    """Finds the values of a tree and what they are called."""

    def __init__(self, found: list[Record], most: int) -> None:
        self.found = found
        self.most = most

    def top(self, tree: _Node) -> None:
        self.items(tree.items if isinstance(tree, _List) else [tree], ())

    def items(self, items: Sequence[_Node], place: tuple[int, ...]) -> None:
        captured = _captured(items)
        if captured is not None:
            self.push(captured, items, place)
            return
        index = 0
        while index < len(items):
            item = items[index]
            obis = _obis(items, index)
            if obis is not None:
                index = self.named(obis, items, index + 1, place)
            elif isinstance(item, _List):
                self.items(item.items, (*place, index))
                index += 1
            else:
                self.add(None, item, None, (*place, index))
                index += 1

    def named(self, obis: bytes, items: Sequence[_Node], index: int, place: tuple[int, ...]) -> int:
        """The value at `index` with its OBIS code, and scaler and unit where they follow; gives what comes next."""
        value = items[index]
        scale = _scaler_unit(items[index + 1]) if index + 1 < len(items) else None
        if isinstance(value, _Leaf):
            self.add(obis, value, scale, (*place, index))
        else:
            self.items(value.items, (*place, index))
        return index + 1 + (scale is not None)

    def push(self, captured: Sequence[tuple[bytes, int]], items: Sequence[_Node], place: tuple[int, ...]) -> None:
        """Values in the order of the capture objects that stand before them. Attribute 3 is scaler and unit."""
        skipped = len(items) - len(captured)
        scales = {
            obis: scale
            for (obis, attribute), item in zip(captured, items[skipped:], strict=True)
            if attribute == 3 and (scale := _scaler_unit(item)) is not None
        }
        for index, ((obis, attribute), item) in enumerate(zip(captured, items[skipped:], strict=True), skipped):
            if index == 0 or (attribute == 3 and obis in scales):
                continue
            if isinstance(item, _Leaf):
                self.add(obis, item, scales.get(obis), (*place, index))
            else:
                self.items(item.items, (*place, index))

    def add(self, obis: bytes | None, leaf: _Leaf, scale: tuple[int, int] | None, place: tuple[int, ...]) -> None:
        if len(self.found) >= self.most:
            fail(DecodeCode.TOO_MANY_ITEMS, f"more than {self.most} values", leaf.start)
        value, raw = _value(leaf)
        keys, name = ["#" + ".".join(map(str, place))], f"value_{'_'.join(map(str, place))}"
        if obis is not None:
            keys, name = [".".join(map(str, obis)), ".".join(map(str, obis[2:5]))], obis_name(obis)
        unit = ""
        if scale is not None and raw.__class__ in (int, float):
            value, unit = _scaled(raw, *scale)
        expected = obis_unit(name)
        if expected and unit != expected and value.__class__ in (int, float):
            name += "_raw"  # the meter does not say what it counts
        size = leaf.stop - leaf.start if raw.__class__ is int else 0
        self.found.append(Record((*keys, name), name, value, raw, size, leaf.start, leaf.stop))


def _obis(items: Sequence[_Node], index: int) -> bytes | None:
    """The OBIS code at `index`, where a value follows it."""
    item = items[index]
    if not isinstance(item, _Leaf) or item.tag != _OCTETS or len(item.raw) != 6 or index + 1 >= len(items):
        return None
    return bytes(item.raw) if item.raw[0] <= 15 or item.raw[0] in (94, 128, 129) else None


def _scaler_unit(item: _Node) -> tuple[int, int] | None:
    """Scaler and unit code of a structure of an int8 and an enum."""
    if not isinstance(item, _List) or len(item.items) != 2:
        return None
    scaler, unit = item.items
    if isinstance(scaler, _Leaf) and isinstance(unit, _Leaf) and (scaler.tag, unit.tag) == (_INT8, _ENUM):
        return scaler.raw, unit.raw
    return None


def _captured(items: Sequence[_Node]) -> list[tuple[bytes, int]] | None:
    """OBIS code and attribute of each value, where the first item is the list of capture objects: structures of class,
    OBIS code, attribute and index. The list stands among the values or before them."""
    if len(items) < 2 or not isinstance(items[0], _List) or len(items[0].items) not in (len(items), len(items) - 1):
        return None
    found = []
    for item in items[0].items:
        parts = item.items if isinstance(item, _List) else []
        if len(parts) not in (4, 5) or not all(isinstance(part, _Leaf) for part in parts[:4]):
            return None
        _class, obis, attribute, _index = parts[:4]
        assert isinstance(obis, _Leaf)
        assert isinstance(attribute, _Leaf)
        if obis.tag != _OCTETS or len(obis.raw) != 6 or attribute.raw.__class__ is not int:
            return None
        found.append((bytes(obis.raw), attribute.raw))
    return found


def _scaled(raw: float, scaler: int, code: int) -> tuple[Any, str]:
    """Value in the base unit, and that unit."""
    unit, factor = UNITS.get(code, ""), Fraction(1)
    unit, factor = BASE_UNITS.get(unit, (unit, factor))
    factor *= Fraction(10) ** scaler
    value: Any = raw * factor.numerator if raw.__class__ is int or factor.numerator == 1 else raw * float(factor)
    if factor.denominator != 1 and (raw.__class__ is int or factor.numerator == 1):
        value = value / factor.denominator
    return (value if value - value == 0 else None), unit


def _value(leaf: _Leaf) -> tuple[Any, Any]:
    """Value without scale, and raw value."""
    raw, tag = leaf.raw, leaf.tag
    if tag in (23, 24):
        return (raw, raw) if raw - raw == 0 else (None, None)
    if tag == 25 or (tag == _OCTETS and len(raw) == 12 and _is_moment(raw)):
        return _moment(raw), raw.hex()
    if tag in (26, 27):
        return (_date(raw) if tag == 26 else _time(raw)), raw.hex()
    if tag not in _TEXTS:
        return raw, raw
    if tag == 13:
        digits = raw.hex()
    elif _TEXTS[tag]:
        digits = raw.decode(_TEXTS[tag], "replace").strip("\0 ")
    else:
        printable = raw and all(0x20 <= byte < 0x7F for byte in raw)
        digits = raw.decode("ascii") if printable else raw.hex()
    return digits, digits


# Times (Blue Book 4.1.6.1)


def _is_moment(raw: bytes) -> bool:
    """True when twelve bytes can be nothing but date and time."""
    year = raw[0] << 8 | raw[1]
    deviation = int.from_bytes(raw[9:11], "big", signed=True)
    return (
        (1990 <= year <= 2200 or year == 0xFFFF)
        and (1 <= raw[2] <= 12 or raw[2] >= 0xFD)
        and (1 <= raw[3] <= 31 or raw[3] >= 0xFD)
        and (raw[4] <= 7 or raw[4] == 0xFF)
        and (raw[5] <= 23 or raw[5] == 0xFF)
        and (raw[6] <= 59 or raw[6] == 0xFF)
        and (raw[7] <= 59 or raw[7] == 0xFF)
        and (-840 <= deviation <= 840 or deviation == _NO_ZONE)
    )


def _moment(raw: bytes) -> Any:
    """Date and time with its deviation as RFC 3339 UTC; without one a local time. None for parts that are not given."""
    year, deviation = raw[0] << 8 | raw[1], int.from_bytes(raw[9:11], "big", signed=True)
    second = 0 if raw[7] == 0xFF else raw[7]
    local = local_moment(year, raw[2], raw[3], raw[5], raw[6], second, summer=raw[11] != 0xFF and bool(raw[11] & 0x80))
    if local is None or deviation == _NO_ZONE:
        return local
    seconds = int((local.replace(fold=0) - datetime.datetime(1970, 1, 1)).total_seconds())
    return iso_from_unix(seconds + deviation * 60)


def _date(raw: bytes) -> str | None:
    try:
        return datetime.date(raw[0] << 8 | raw[1], raw[2], raw[3]).isoformat()
    except ValueError:
        return None


def _time(raw: bytes) -> str | None:
    hour, minute, second = raw[0], raw[1], 0 if raw[2] == 0xFF else raw[2]
    return f"{hour:02d}:{minute:02d}:{second:02d}" if hour < 24 and minute < 60 and second < 60 else None


# Words of a spec

_CODE = re.compile(r"(?:\d{1,3}\.){2}\d{1,3}|(?:\d{1,3}\.){5}\d{1,3}")
_LONG_CODE = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:[*.&](\d{1,3}))?")
_PLACE = re.compile(r"#\d+(?:\.\d+)*")
_OWN = re.compile(r"obis(?:_\d{1,3}){5}(?:_billing_\d+)?|value(?:_\d+)+")


def spoken_word(word: str) -> str:
    """The word as records have it: `1-0:1.8.0*255` is `1.0.1.8.0.255`."""
    found = _LONG_CODE.fullmatch(word)
    return ".".join(group or "255" for group in found.groups()) if found is not None else word


def known_word(word: str) -> RecordWord | None:
    """What an OBIS code, a place or a readable name stands for; None for a word that is none of them. Only a readable
    name has a unit: what an OBIS code counts in is known when the meter says so."""
    if _CODE.fullmatch(word):
        numbers = [int(number) for number in word.split(".")]
        if max(numbers) > 255:
            return None
        name = obis_name(bytes(numbers if len(numbers) == 6 else [0, 0, *numbers, 255]))
        return RecordWord(clock=name == "date_time")
    if _PLACE.fullmatch(word) or _OWN.fullmatch(word) or word in fixed_names():
        return RecordWord(clock=word == "date_time")
    if obis_unit(word.removesuffix("_raw")) is None:
        return None
    return RecordWord(obis_unit(word) or "")


def nearest_words() -> list[str]:
    """Words to look for the nearest one among."""
    return list(quantity_names())
