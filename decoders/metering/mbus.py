"""M-Bus records: DIF, DIFEs, VIF, VIFEs, data (EN 13757-3:2018, clause 6 and annex A).

A record's key is its whole head in hex, upper case: `0413`, `8C010613`. Its readable name is quantity, modifiers,
function, storage, tariff and subunit, as far as they are there: `volume`, `energy_tariff_2`, `power_max_storage_1`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache

from decoders.errors import DecodeCode, DecodeError
from decoders.metering.mbus_data import REAL, TIMES, number_of, variable_of
from decoders.metering.mbus_tables import (
    COMBINABLE,
    ERRORS,
    FB,
    FC,
    FD,
    FD_FD,
    FUNCTIONS,
    PRIMARY,
    Modifier,
    Quantity,
    quantities,
)
from decoders.metering.records import Record, RecordWord, fail

__all__ = ["EXAMPLES", "known_word", "nearest_words", "parse"]

_FILLER, _MORE_FOLLOWS, _VENDOR_DATA, _READ_OUT = 0x2F, 0x1F, 0x0F, 0x7F
_MAX_EXTENSIONS = 10
_SIZES = (0, 1, 2, 3, 4, 4, 6, 8, 0, 1, 2, 3, 4, -1, 6)  # by data field; -1: the data say their own size
_LAST_INTEGER, _VARIABLE = 7, 13
_VENDOR = 0x7F
_TEXT_VIF = 0x7C
EXAMPLES = 'such as "0413", or a name such as `volume` or `energy_storage_1`'


@dataclass(slots=True, frozen=True)
class _Head:
    """What the head of a record says. value = (raw * numerator + add) / denominator; none with an `error`."""

    key: str
    name: str
    unit: str
    kind: str
    coding: int
    numerator: int
    add: int
    denominator: int
    error: str


def parse(data: bytes, start: int, end: int, most: int, found: list[Record]) -> int:
    """Records of `data[start:end]`, up to its end or behind the DIF 0F or 1F, where the vendor's own data begin.

    Appends to `found`; returns where it stopped. Raises DecodeError truncated, bad_value or too_many_items.
    """
    place = start
    while place < end:
        dif = data[place]
        if dif in (_FILLER, _READ_OUT):
            place += 1
            continue
        if dif & 0x0F == 0x0F:
            if dif in (_VENDOR_DATA, _MORE_FOLLOWS):
                return place + 1
            fail(DecodeCode.BAD_VALUE, f"0x{dif:02X} is no DIF", place)
        if len(found) >= most:
            fail(DecodeCode.TOO_MANY_ITEMS, f"more than {most} records", place)
        body = _head_end(data, place, end)
        head = _head(data[place:body])
        stop = _data_end(data, body, end, head)
        found.append(_record(head, data[body:stop], body, stop))
        place = stop
    return place


def _head_end(data: bytes, start: int, end: int) -> int:
    """Where DIF, DIFEs, VIF (and its text) and VIFEs end."""
    place = _chain_end(data, start, end, "DIF")
    if place >= end:
        fail(DecodeCode.TRUNCATED, "the VIF is missing", place)
    if data[place] & 0x7F == _TEXT_VIF:
        return _text_vif_end(data, place, end)
    return _chain_end(data, place, end, "VIF")


def _chain_end(data: bytes, start: int, end: int, what: str) -> int:
    place = start
    while data[place] & 0x80:
        place += 1
        if place >= end:
            fail(DecodeCode.TRUNCATED, f"the {what}E is missing", place)
        if place - start > _MAX_EXTENSIONS:
            fail(DecodeCode.BAD_VALUE, f"more than {_MAX_EXTENSIONS} {what}Es", place)
    return place + 1


def _text_vif_end(data: bytes, start: int, end: int) -> int:
    """The text follows its VIF, or the last VIFE: meters do both. What looks like a text is one."""
    place = start + 1
    if place >= end:
        fail(DecodeCode.TRUNCATED, "the text of the VIF is missing", place)
    behind = _text_end(data, place, end)
    if data[start] & 0x80:
        if behind and behind < end:
            return _chain_end(data, behind, end, "VIF")
        place = _chain_end(data, start, end, "VIF")
        behind = _text_end(data, place, end) if place < end else 0
    if not behind:
        fail(DecodeCode.TRUNCATED, "the text of the VIF is cut off or no text", place)
    return behind


def _text_end(data: bytes, place: int, end: int) -> int:
    """The end of a text with its length before it; 0 when there is none."""
    stop = place + 1 + data[place]
    text = data[place + 1 : stop]
    return stop if stop <= end and text and all(0x20 <= byte != 0x7F for byte in text) else 0


@lru_cache(maxsize=4096)
def _head(head: bytes) -> _Head:
    """What the head of a record means. Only complete heads come here."""
    dif, place = head[0], 1
    storage, tariff, subunit = dif >> 6 & 1, 0, 0
    more, index = dif & 0x80, 0
    while more:
        dife = head[place]
        storage |= (dife & 0x0F) << 1 + 4 * index
        tariff |= (dife >> 4 & 3) << 2 * index
        subunit |= (dife >> 6 & 1) << index
        more, index, place = dife & 0x80, index + 1, place + 1
    quantity, modifiers = _value_information(head[place:])
    factor, offset, unit, kind = quantity.factor, quantity.offset, quantity.unit, quantity.kind
    suffixes = error = ""
    for modifier in modifiers:
        suffixes += modifier.suffix
        if not modifier.scaled:
            factor, offset = Fraction(1), Fraction(0)
        offset = offset * modifier.factor + modifier.steps * factor
        factor *= modifier.factor
        unit = (unit if modifier.unit is None else modifier.unit) + modifier.per
        kind = modifier.kind or kind
        error = error or modifier.error
    if kind == "bits" and factor != 1:
        kind = "number"
    name = quantity.name + suffixes + FUNCTIONS[dif >> 4 & 3]
    for word, number in (("storage", storage), ("tariff", tariff), ("subunit", subunit)):
        name += f"_{word}_{number}" if number else ""
    common = factor.denominator * offset.denominator
    numbers = int(factor * common), int(offset * common), common
    return _Head(head.hex().upper(), name, unit, kind, dif & 0x0F, *numbers, error)


def _value_information(vib: bytes) -> tuple[Quantity, list[Modifier]]:
    """Quantity and modifiers of VIF and VIFEs."""
    vif, place = vib[0], 1
    code, table, prefix = vif & 0x7F, PRIMARY, ""
    if code == _TEXT_VIF:
        return _text_quantity(vib)
    if code == _VENDOR:
        return Quantity(_named("manufacturer", vib[1:]), kind="bits"), []
    for extension, inner, word in ((0x7B, FB, "fb"), (0x7D, FD, "fd"), (0x7D, FD_FD, "fdfd")):
        if code == extension and vif & 0x80 and (word != "fdfd" or table is FD):
            table, prefix = inner, word
            vif, place = vib[place], place + 1
            code = vif & 0x7F
    quantity = table.get(code) or Quantity(f"vif_{prefix}{code:02x}", kind="bits")
    return _modified(quantity, vib[place:])


def _text_quantity(vib: bytes) -> tuple[Quantity, list[Modifier]]:
    """A VIF in plain text, the last letter first."""
    text_at = 1
    if vib[0] & 0x80 and _text_end(vib, 1, len(vib)) in (0, len(vib)):
        text_at = _chain_end(vib, 0, len(vib), "VIF")
    stop = text_at + 1 + vib[text_at]
    unit = vib[text_at + 1 : stop][::-1].decode("latin-1")
    slug = re.sub("[^a-z0-9]+", "_", unit.lower()).strip("_")[:24]
    quantity = Quantity("humidity", "%RH") if unit in ("%RH", "%rh") else Quantity(f"text_{slug or 'unit'}", unit)
    return _modified(quantity, vib[1:text_at] + vib[stop:])


def _modified(quantity: Quantity, vifes: bytes) -> tuple[Quantity, list[Modifier]]:
    modifiers: list[Modifier] = []
    place = 0
    while place < len(vifes):
        code = vifes[place] & 0x7F
        place += 1
        if code == _VENDOR:
            modifiers.append(Modifier(_named("_manufacturer", vifes[place:])))
            break
        if code == _TEXT_VIF and place < len(vifes):
            code = vifes[place] & 0x7F
            modifiers.append(FC.get(code) or Modifier(f"_vife_fc{code:02x}"))
            place += 1
        elif code in ERRORS:
            modifiers.append(Modifier(error=ERRORS[code]))
        else:
            modifiers.append(COMBINABLE.get(code) or Modifier(f"_vife_{code:02x}"))
    return quantity, modifiers


def _named(word: str, rest: bytes) -> str:
    return f"{word}_{rest.hex()}" if rest else word


def _data_end(data: bytes, start: int, end: int, head: _Head) -> int:
    size = _SIZES[head.coding]
    if size < 0:
        if start >= end:
            fail(DecodeCode.TRUNCATED, f"{head.key}: the length of the data is missing", start)
        size = 1 + _variable_size(data[start], start)
    if start + size > end:
        fail(DecodeCode.TRUNCATED, f"{head.key}: needs {size} bytes, {end - start} left", start)
    return start + size


def _variable_size(lvar: int, offset: int) -> int:
    """Bytes behind the first byte of data of variable length (table 5)."""
    if lvar <= 0xBF:
        return lvar
    if lvar <= 0xC9:
        return lvar - 0xC0
    if 0xD0 <= lvar <= 0xD9:
        return lvar - 0xD0
    if 0xE0 <= lvar <= 0xEF:
        return lvar - 0xE0
    if 0xF0 <= lvar <= 0xF4:
        return 4 * (lvar - 0xEC)
    if lvar not in (0xF5, 0xF6):
        fail(DecodeCode.BAD_VALUE, f"0x{lvar:02X} is no length of data", offset)
    return 48 if lvar == 0xF5 else 64


def _record(head: _Head, data: bytes, start: int, stop: int) -> Record:
    coding = head.coding
    size = len(data) if 0 < coding <= _LAST_INTEGER and coding != REAL else 0
    if coding == _VARIABLE:
        raw = variable_of(data)
    elif head.kind == "hex":
        raw = data.hex()
    elif head.kind == "time" and size:
        moment = TIMES[size](data) if size in TIMES else None
        return Record((head.key, head.name), head.name, moment, int.from_bytes(data, "little"), size, start, stop)
    else:
        raw = number_of(data, coding, head.kind)
    if head.error:
        raw = None
    value = raw
    if raw.__class__ in (int, float):
        value = raw * head.numerator + head.add
        if head.denominator != 1:
            value /= head.denominator
        if value - value != 0:
            value = None
    return Record((head.key, head.name), head.name, value, raw, size, start, stop)


# Words of a spec

_PLACE = r"(?:_max|_min|_error)?(?:_storage_\d+)?(?:_tariff_\d+)?(?:_subunit_\d+)?"


@cache
def _suffixes() -> dict[str, Modifier]:
    return {modifier.suffix: modifier for table in (FC, COMBINABLE) for modifier in table.values() if modifier.suffix}


@cache
def _behind() -> re.Pattern[str]:
    words = "|".join(sorted(_suffixes(), key=len, reverse=True))
    return re.compile(rf"((?:{words}|_manufacturer(?:_[0-9a-f]+)?|_vife_(?:fc)?[0-9a-f]{{2}})*){_PLACE}")


_OWN = re.compile(r"manufacturer|(?:manufacturer|vif|text)_\w+")  # what the standard does not name


def known_word(word: str) -> RecordWord | None:
    """What a key in hex or a readable name stands for; None for a word that is neither."""
    compact = word.replace(" ", "")
    if re.fullmatch(r"(?:[0-9A-Fa-f]{2}){2,}", compact):
        return _known_key(bytes.fromhex(compact))
    return _known_name(word)


def _known_key(key: bytes) -> RecordWord | None:
    try:
        if key[0] & 0x0F == 0x0F or _head_end(key, 0, len(key)) != len(key):
            return None
    except DecodeError:
        return None
    head = _head(key)
    return RecordWord(head.unit, head.kind == "time" and head.coding in (4, 6))


def _known_name(name: str) -> RecordWord | None:
    known = quantities()
    for end in range(len(name), 0, -1):
        quantity = known.get(name[:end])
        if quantity is None:
            continue
        found = _behind().fullmatch(name, end)
        if found is not None:
            return _word_of(quantity, found[1])
    return RecordWord() if _OWN.fullmatch(name) else None


def _word_of(quantity: Quantity, suffixes: str) -> RecordWord:
    unit, kind = quantity.unit, quantity.kind
    table = _suffixes()
    while suffixes:
        length = next((size for size in range(len(suffixes), 0, -1) if suffixes[:size] in table), len(suffixes))
        modifier = table.get(suffixes[:length], Modifier())
        unit = (unit if modifier.unit is None else modifier.unit) + modifier.per
        kind = modifier.kind or kind
        suffixes = suffixes[length:]
    return RecordWord(unit, kind == "time" and quantity.name != "date")


def nearest_words() -> list[str]:
    """Words to look for the nearest one among."""
    return [*quantities(), *(f"{name}_storage_1" for name in quantities())]
