"""Scale, enum, flags, bits and formulas of a row -> Convert, with every mistake named by its place in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from decoders.clock_patterns import PatternError
from decoders.clocks import COUNTERS, spoken_clock
from decoders.convert import Convert, Linear, exact, linear
from decoders.formula import Formula, FormulaError, compile_formula
from decoders.layout import BytesWire, FloatWire, IntWire, Wire
from decoders.raw import BCD_NUMBERS, INTEGER_FORMS, MIXED, MIXED_INTEGERS, is_number
from decoders.spec import model
from decoders.spec.clock_parts import carrying
from decoders.spec.formula_faults import FormulaPlaces, operator_hint
from decoders.spec.formula_words import rows_called_so, unreadable
from decoders.spec.model_conversion import Absent, BitOrder, FlagMap
from decoders.spec.notes import Path, Report
from decoders.spec.problems import nearest
from decoders.spec.sentinels import Bits, Kind, as_signed, sentinels, sign_of
from decoders.spec.text_spans import MAX_TEXTS, texts_of
from decoders.spec.words import is_whole, whole_number_hint
from decoders.text_forms import READERS, WHOLE_FORMS
from decoders.times import Zone, zone_of

_MAYBE = BCD_NUMBERS | MIXED | READERS.keys()  # forms of bytes that may have no value
_SCALING = frozenset({"scale", "offset", "raw_offset"})
_MAX_ENUM = 4096
_MAX_BITS = 512
_MAX_ENTRIES = 250_000
_ALONE = "without `enum`, `formula`, `scale`, `offset`, `raw_offset` or a clock"


class ConvertBuilder:
    """Builds the conversions of one spec."""

    def __init__(self, spec: model.SpecFile, report: Report) -> None:
        self.spec = spec
        self.report = report
        self.places = FormulaPlaces()
        self.called = rows_called_so(spec)
        self.entries = 0

    def room_for(self, entries: int, path: Path) -> bool:
        """Counts what enums, lists of flags and tables of keys unfold into; False, with a problem, where it is too much
        for one spec."""
        before, self.entries = self.entries, self.entries + entries
        if before <= _MAX_ENTRIES < self.entries:  # said once
            hint = "use smaller ranges, or fewer rows with large enums"
            self.report(path, f"enums, flags and keys unfold into more than {_MAX_ENTRIES} values", hint)
        return self.entries <= _MAX_ENTRIES

    def of_row(self, row: model.ValueRow, path: Path, clock: str, wire: Wire) -> Convert:
        formula, step = self.formula(row.formula, (*path, "formula"), only={"x"}), self._linear(row, path)
        text = not is_number(wire) and formula is None
        enum, other, has_other = self._enum(
            row.enum, (*path, "enum"), text=text, any_type=formula is not None, digits=_hex_digits(wire) if text else 0
        )
        if enum is not None and text and isinstance(wire, BytesWire) and wire.form == "bcd":
            enum = {**{_all_digits(key, row.digits or wire): word for key, word in enum.items()}, **enum}
        if step is None and formula is None:
            enum = signed_keys(enum, wire)
        if row.enum is not None and not text and formula is None:
            self._numbers_only(row.enum, row.type, (*path, "enum"))
        absent, _ = sentinels(row.absent, wire, self.report, (*path, "absent"))
        zone = self.zone(row.zone, (*path, "zone"))
        integer = isinstance(wire, IntWire) and step is None and formula is None
        number = is_number(wire) and not (isinstance(wire, BytesWire) and wire.form in READERS)
        clock = self._row_clock(row, path, clock, zone, number=number, integer=integer)
        if step is not None and not is_number(wire):
            hint = f"remove it, or change `{row.type}`"
            self.report((*path, "scale"), "only numbers have `scale` and `offset`", hint)
        whole = isinstance(wire, IntWire) or (
            isinstance(wire, BytesWire) and wire.form in INTEGER_FORMS | WHOLE_FORMS | MIXED_INTEGERS
        )
        if row.flags is not None and not whole:
            self.report((*path, "flags"), f"only integers have flags, not `{row.type}`", "such as u16")
        if row.flags is not None and (clock or enum is not None or formula is not None or step is not None):
            self.report((*path, "flags"), "`flags` stands alone", _ALONE)
        return Convert(
            absent=absent,
            clock=clock,
            zone_s=zone,
            **self._flags(row.flags, (*path, "flags"), *_flag_bits(wire, row.bit_order or self.bit_order)),
            linear=step,
            formula=formula,
            decimals=row.decimals,
            enum=enum,
            other=other,
            has_other=has_other,
            finite=isinstance(wire, FloatWire),
            missing=isinstance(wire, BytesWire) and (wire.blank or wire.form in _MAYBE),
        )

    @property
    def bit_order(self) -> BitOrder | None:
        """What the spec says itself; None when it says nothing."""
        return self.spec.bit_order if "bit_order" in self.spec.model_fields_set else None

    def of_result(self, row: model.ValueOptions, path: Path) -> Convert:
        """What becomes of a formula's result, which may be of any type."""
        enum, other, has_other = self._enum(row.enum, (*path, "enum"), any_type=True)
        absent, words = sentinels(row.absent, None, self.report, (*path, "absent"))
        if words:
            self.report((*path, "absent"), "a formula's result has no words", "a list of values, or an enum")
        zone = self.zone(row.zone, (*path, "zone"))
        clock = ""
        if row.clock is not None:
            if isinstance(row.clock, str):
                clock = self.clock(row.clock, (*path, "clock"), number=False, zone=zone)
            else:
                clock = f"list {carrying(row.clock)}".strip()
        given = Convert(
            absent=absent,
            clock=clock,
            zone_s=zone,
            linear=self._linear(row, path),
            decimals=row.decimals,
            enum=enum,
            other=other,
            has_other=has_other,
            **self._flags(row.flags, (*path, "flags"), None, None),
        )
        if given.flags is not None and (enum is not None or given.linear is not None):
            self.report((*path, "flags"), "`flags` stands alone", "without `enum`, `scale`, `offset` and `raw_offset`")
        return given if given.plain else replace(given, loose=True)

    def words_for(self, given: Absent | None, wire: Wire) -> tuple[str, ...]:
        """Sentinels of a number written as text that are no numbers themselves."""
        absent, _ = sentinels(given, wire, lambda *_: None, ())
        return tuple(value for value in absent if isinstance(value, str))

    def status(self, given: Absent | None, kind: Kind, path: Path, convert: Convert) -> Convert | None:
        """The words of the raw values that `absent` names with one."""
        _, words = sentinels(given, kind, self.report, (*path, "absent"))
        return Convert(words=words, missing=convert.missing, loose=convert.loose or kind is None) if words else None

    def _flags(
        self, flags: FlagMap | str | None, path: Path, width: int | None, order: BitOrder | None
    ) -> dict[str, Any]:
        """Options of `Convert`. width: bits of the integer, where it is known."""
        if flags is None:
            return {}
        given = flags
        if isinstance(flags, str):
            given = self.spec.flags.get(flags, {})
            if flags not in self.spec.flags:
                self.unknown(flags, self.spec.flags, path, "list of flags")
        assert isinstance(given, dict)
        if not self.room_for(len(given), path):
            return {}
        names: dict[int, str] = {}
        inverted = 0
        for key, name in given.items():
            text = str(key).strip()
            low = text.startswith("!")
            text = text.removeprefix("!").strip()
            if not is_whole(text) or int(text) >= _MAX_BITS:
                self.report((*path, key), f"`{key}` is no bit number", 'such as 3, or "!3" for a bit that is 0')
                continue
            bit = int(text)
            if width is not None and bit >= width:
                if not isinstance(flags, str):
                    self.report((*path, key), f"there is no bit {bit}", f"the integer has bits 0 to {width - 1}")
                continue
            if order == "msb":
                if width is None:
                    self.report(path, "bits are counted from the highest, but the size is not known", "add `bytes: n`")
                    return {}
                bit = width - 1 - bit
            if bit in names:
                self.report((*path, key), f"bit {text} is named twice", "keep one of the two")
            names[bit] = name
            inverted |= low << bit
        return {"flags": names, "inverted": inverted, "downwards": order == "msb"}

    def zone(self, text: str | None, path: Path) -> Zone | None:
        """A zone; None when there is none, or when it is wrong."""
        if text is None:
            return None
        try:
            return zone_of(text)
        except ValueError as error:
            self.report(path, f"`{text}` is no zone", str(error))
            return None

    def clock(self, text: str, path: Path, *, number: bool, zone: Zone | None = None, integer: bool = False) -> str:
        """The word of a row's `clock:` for `Convert`; "" when it is wrong. number: the value is one, not a text.
        integer: it is an integer as it is read."""
        try:
            return spoken_clock(text, number=number, integer=integer and zone is None)
        except PatternError as error:
            self.report(path, str(error), error.hint)
            return ""

    def _row_clock(
        self, row: model.ValueRow, path: Path, clock: str, zone: Zone | None, *, number: bool, integer: bool
    ) -> str:
        """The clock of a row by its type (`clock`) or its `clock:`; "" for none."""
        if row.clock is None:
            return self.clock(clock, path, number=True, zone=zone, integer=integer) if clock in COUNTERS else clock
        if clock:
            self.report((*path, "clock"), f"`{row.type}` is a clock by itself", "remove `clock`, or use a plain type")
            return clock
        return self.clock(row.clock, (*path, "clock"), number=number, zone=zone, integer=integer)

    def _linear(self, row: model.Conversion, path: Path) -> Linear | None:
        key = "scale"
        if row.model_fields_set.isdisjoint(_SCALING):
            return None
        try:
            for key in ("raw_offset", "offset", "scale"):
                exact(getattr(row, key))
            return linear(row.scale, row.offset, row.raw_offset)
        except (ValueError, ZeroDivisionError):
            given = getattr(row, key)
            what = f"{key} `{given}` is no number" if given else "scale 0 makes every value the same"
            self.report((*path, key), what, "such as 0.1 or 1/256")
            return None

    def _enum(
        self,
        enum: Mapping[Any, Any] | str | None,
        path: Path,
        *,
        text: bool = False,
        any_type: bool = False,
        digits: int = 0,
    ) -> tuple[dict[Any, Any] | None, Any, bool]:
        """text: the raw value is a text, so that digits in the spec are one too. any_type: it may be either. digits: it
        is a text of so many hexadecimal digits."""
        if enum is None:
            return None, None, False
        if isinstance(enum, str):
            shared = self.spec.enums.get(enum)
            if shared is None:
                self.unknown(enum, self.spec.enums, path, "enum")
                return None, None, False
            enum = shared
        words: dict[Any, Any] = {}
        other, has_other = None, False
        for key, name in enum.items():
            if key == "_":
                other, has_other = name, True
                continue
            if text and isinstance(key, str) and ".." in key:
                words.update(dict.fromkeys(self._texts(key, path, digits), name))
                continue
            low, high = self.span(key, path)
            width = high - low if isinstance(low, int) and isinstance(high, int) else 0
            if width < _MAX_ENUM and not self.room_for(1 + max(width, 0), path):
                break
            if digits and low == high:
                words.setdefault(
                    f"{low:0{digits}x}" if isinstance(low, int) else str(key).replace(" ", "").lower(), name
                )
            if any_type and low == high:
                words.setdefault(str(key), name)
            if text and low == high:
                words[str(key)] = name
            elif isinstance(low, int) and isinstance(high, int) and high - low < _MAX_ENUM:
                words.update(dict.fromkeys(range(low, high + 1), name))
                if any_type:
                    words.update(dict.fromkeys(map(str, range(low, high + 1)), name))
            elif low == high:
                words[low] = name
            else:
                self.report(path, f"the range {key} holds more than {_MAX_ENUM} values", "use a formula")
        return words, other, has_other

    def _texts(self, key: str, path: Path, digits: int = 0) -> list[str]:
        """The texts of a range. digits: they are so many hexadecimal ones."""
        low, _, high = key.partition("..")
        try:
            if digits and low.strip().lower().startswith("0x"):
                numbers = range(int(low, 0), int(high, 0) + 1)
                found = [f"{number:0{digits}x}" for number in numbers[: MAX_TEXTS + 1]]
            else:
                found = texts_of(key.replace(" ", ""))
        except ValueError as error:
            self.report(path, f"`{key}` is {error}", "such as `3..9`, `01..16` or `A..F`; or list them one by one")
            return []
        return found if self.room_for(len(found), path) else []

    def _numbers_only(self, enum: Mapping[Any, Any] | str, what: str, path: Path) -> None:
        """Texts as keys of a number's enum never come. A shared enum may have some for other rows."""
        shared = isinstance(enum, str)
        keys = self.spec.enums.get(enum, {}) if isinstance(enum, str) else enum
        place: Path = ("enums", enum) if isinstance(enum, str) else path
        words = [key for key in keys if isinstance(key, str) and key != "_" and ".." not in key and not _is_number(key)]
        if shared and len(words) < len([key for key in keys if key != "_"]):
            return
        for word in words:
            hint = whole_number_hint(word)
            if isinstance(keys[word], int) and not isinstance(keys[word], bool):
                hint = f"raw value first: {keys[word]}: {word}"
            self.report((*place, word), f"`{what}` is never '{word}'", hint)

    def spans(self, key: int | str, path: Path, *, text: bool = False) -> list[tuple[int | str, int | str]]:
        """The values that a key stands for. Digits in quotes are the number and the text; in text frames others too."""
        if text and isinstance(key, str) and ".." in key:
            return self._text_spans(key, path)
        span = self.span(key, path)
        if text and isinstance(key, int):
            return [span, (str(key), str(key))]
        return [span] if key in span or not isinstance(key, str) or ".." in key else [span, (key, key)]

    def _text_spans(self, key: str, path: Path) -> list[tuple[int | str, int | str]]:
        """The same of a range where values are texts, or numbers written as text."""
        low, _, high = (part.strip() for part in key.partition(".."))
        if not _is_number(low.lstrip("0") or "0") or not _is_number(high.lstrip("0") or "0"):
            return [(word, word) for word in self._texts(key, path)]
        if low.isdigit() and high.isdigit() and int(low) <= int(high):
            wide = int(high) - int(low) >= MAX_TEXTS  # then it is one of numbers
            return [(int(low), int(high)), *((word, word) for word in (() if wide else self._texts(key, path)))]
        return [self.span(key, path)]

    def span(self, key: int | str, path: Path) -> tuple[int | str, int | str]:
        """`5`, `0x05`, `2..9` or a text -> lowest and highest value."""
        if isinstance(key, int):
            return key, key
        low, dots, high = key.partition("..")
        try:
            span = int(low, 0), int(high if dots else low, 0)
        except ValueError:
            if dots:
                self.report(path, f"`{key}` is no range", "such as 2..9")
            return key, key
        if span[0] > span[1]:
            self.report(path, f"no value is in `{key}`", f"the lower one first: {high}..{low}")
        return span

    def bit_span(self, at: int | str, path: Path) -> tuple[int, int]:
        if isinstance(at, int):
            return at, at
        low, dash, high = at.replace("..", "-").partition("-")
        if not dash:
            high = low
        if not is_whole(low.strip()) or not is_whole(high.strip()):
            self.report(path, f"`{at}` is no bit range", "such as 3 or 2-4")
            return 0, 0
        return min(int(low), int(high)), max(int(low), int(high))

    def of_bits(self, part: model.BitField, path: Path, width: int, order: BitOrder | None = None) -> Convert:
        enum, other, has_other = self._enum(part.enum, (*path, "enum"))
        if part.enum is not None:
            self._numbers_only(part.enum, str(path[-1]), (*path, "enum"))
        absent, _ = sentinels(part.absent, bits_kind(part, width), self.report, (*path, "absent"))
        step = self._linear(part, path)
        formula = self.formula(part.formula, (*path, "formula"), only={"x"})
        flags = self._flags(part.flags, (*path, "flags"), width, order)
        if step is None and formula is None:
            enum = signed_keys(enum, bits_kind(part, width))
        changed = bool(enum is not None or flags or step is not None or formula is not None or part.clock)
        zone = self.zone(part.zone, (*path, "zone"))
        clock = ""
        if part.clock is not None:
            clock = self.clock(part.clock, (*path, "clock"), number=True, zone=zone)
        plain = width == 1 and not changed and part.counts is None
        if part.invert and not plain:
            self.report((*path, "invert"), "`invert` makes true or false of one bit", "for one bit, without `enum`")
        if part.signed and part.bcd:
            self.report((*path, "signed"), "BCD digits have no sign", "remove one of the two")
        if flags and (enum is not None or formula is not None or step is not None or part.clock):
            self.report((*path, "flags"), "`flags` stands alone", _ALONE)
        return Convert(
            absent=absent,
            clock=clock,
            zone_s=zone,
            **flags,
            boolean=plain,
            invert=plain and part.invert,
            linear=step,
            formula=formula,
            decimals=part.decimals,
            enum=enum,
            other=other,
            has_other=has_other,
            signed_width=width if part.signed and not part.bcd else 0,
            magnitude=part.signed == "magnitude",
            missing=part.bcd,
        )

    def formula(self, text: str | None, path: Path, only: set[str] | None = None) -> Formula | None:
        """Compiles a formula; which names it may read is checked when the whole message is known."""
        if text is None:
            return None
        try:
            formula = compile_formula(text)
        except FormulaError as error:
            if not self._reads_words(text, sound=False):
                self.report(path, str(error), operator_hint(text))
            return None
        self._reads_words(text, sound=True)
        if only is not None and not only.issuperset(formula.names):
            wrong = next(name for name in formula.names if name not in only)
            self.report(path, f"`{wrong}` cannot be used here", "a field's own formula reads `x`; use a formula row")
            return None
        return self.places.keep(formula, path)

    def _reads_words(self, text: str, *, sound: bool) -> bool:
        """Whether the formula reads rows whose names are words of formulas, which is reported at the rows."""
        found = list(unreadable(text, self.called, sound=sound)) if self.called else []
        for name, place in found:
            hint = f"choose another name, such as `{name.lower()}_`"
            self.report(place, f"`{name}` is a word of formulas, and `{text}` reads it as such", hint)
        return bool(found)

    def unknown(self, word: str, words: Mapping[str, Any], path: Path, what: str) -> None:
        close = nearest(word, words)
        known = f"there are {', '.join(words)}" if words else "the spec has none"
        self.report(path, f"no {what} `{word}`", f"did you mean `{close}`?" if close else known)


def signed_keys(enum: dict[Any, Any] | None, kind: Kind) -> dict[Any, Any] | None:
    """Names of raw values, of signed integers also by the unsigned number of the same bytes: 0xFF is -1 of an i8."""
    sign = sign_of(kind)
    if enum is None or sign is None:
        return enum
    found: dict[Any, Any] = {}
    for key, word in enum.items():
        (low, _), *_ = as_signed(key, key, sign) if isinstance(key, int) else [(key, key)]
        if low == key or low not in enum:
            found[low] = word
    return found


def bits_kind(part: model.BitField, width: int) -> Bits:
    """The raw values of some bits."""
    if part.signed == "magnitude":
        return Bits(width, "magnitude")
    return Bits(width, "twos" if part.signed and not part.bcd else "unsigned")


def _is_number(text: str) -> bool:
    try:
        int(text, 0)
    except ValueError:
        return False
    return True


def _all_digits(key: Any, digits: int | BytesWire) -> Any:
    """A key of an enum with as many digits as a BCD text has."""
    width = digits if isinstance(digits, int) else 2 * digits.size if isinstance(digits.size, int) else 0
    return key.rjust(width, "0") if isinstance(key, str) and key.isdigit() else key


def _hex_digits(wire: Wire) -> int:
    if not isinstance(wire, BytesWire) or wire.form != "hex":
        return 0
    return 2 * wire.size if isinstance(wire.size, int) else 1


def _flag_bits(wire: Wire, order: BitOrder | None) -> tuple[int | None, BitOrder | None]:
    sized = isinstance(wire, IntWire) or (isinstance(wire, BytesWire) and wire.form in MIXED_INTEGERS)
    return (wire.size * 8 if sized and isinstance(wire.size, int) else None), order


def timestamp_of(given: str | None, name: str, convert: Convert) -> str:
    """A clock called `time` is the record's time without being told."""
    return given or ("device" if convert.clock and name == "time" else "")


def words_of(convert: Convert) -> frozenset[Any] | None:
    """The closed set of values of an enum, for the contract; None when any value may come."""
    if convert.enum is None or convert.has_other:
        return None
    return frozenset(convert.enum.values()) - {None}
