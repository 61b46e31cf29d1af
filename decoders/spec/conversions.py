"""Scale, enum, flags, bits and formulas of a row -> Convert, with every mistake named by its place in the file."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from decoders.convert import Convert, linear
from decoders.formula import Formula, FormulaError, compile_formula
from decoders.layout import FloatWire, IntWire, Wire
from decoders.raw import is_number
from decoders.spec import model
from decoders.spec.model_rows import absent_values
from decoders.spec.notes import Path
from decoders.times import zone_seconds

_MAX_ENUM = 4096
Report = Callable[[Path, str, str], None]
"""Takes a problem: its place, what is wrong, what to do."""


class ConvertBuilder:
    """Builds the conversions of one spec."""

    def __init__(self, spec: model.SpecFile, report: Report) -> None:
        self.spec = spec
        self.report = report

    def of_row(self, row: model.ValueRow, path: Path, clock: str, wire: Wire) -> Convert:
        formula = self.formula(row.formula, (*path, "formula"), only={"x"})
        text = not is_number(wire) and formula is None
        enum, other, has_other = self._enum(row.enum, (*path, "enum"), text=text)
        absent = absent_values(row.absent)
        zone = self.zone(row.zone, (*path, "zone"))
        step = self._linear(row.scale, row.offset, path)
        if step is not None and (clock or row.flags or not is_number(wire)):
            self.report(
                (*path, "scale"), "only numbers have `scale` and `offset`", f"remove it, or change `{row.type}`"
            )
        if row.flags is not None and not isinstance(wire, IntWire):
            self.report((*path, "flags"), f"only integers have flags, not `{row.type}`", "such as u16")
        if row.flags is not None and (clock or enum is not None or formula is not None):
            self.report((*path, "flags"), "`flags` stands alone", "without `enum`, `formula` or a clock")
        return Convert(
            absent=absent,
            clock=clock,
            zone_s=zone,
            flags=self._flags(row.flags, (*path, "flags")),
            linear=step,
            formula=formula,
            decimals=row.decimals,
            enum=enum,
            other=other,
            has_other=has_other,
            finite=isinstance(wire, FloatWire),
        )

    def _flags(self, flags: Mapping[int, str] | str | None, path: Path) -> Mapping[int, str] | None:
        if not isinstance(flags, str):
            return flags
        shared = self.spec.flags.get(flags)
        if shared is None:
            self.unknown(flags, self.spec.flags, path, "list of flags")
        return shared

    def zone(self, text: str | None, path: Path) -> int | None:
        """A zone in seconds east of UTC; None when there is none, or when it is wrong."""
        if text is None:
            return None
        try:
            return zone_seconds(text)
        except ValueError as error:
            self.report(path, f"`{text}` is no zone", str(error))
            return None

    def _linear(self, scale: float | str, offset: float | str, path: Path) -> Any:
        try:
            return linear(scale, offset)
        except (ValueError, ZeroDivisionError):
            self.report((*path, "scale"), f"scale `{scale}` or offset `{offset}` is no number", "such as 0.1 or 1/256")
            return None

    def _enum(
        self, enum: Mapping[Any, Any] | str | None, path: Path, *, text: bool = False
    ) -> tuple[dict[Any, Any] | None, Any, bool]:
        """text: the raw value is a text, so that digits in the spec are one too."""
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
            low, high = self.span(key, path)
            if text and low == high:
                words[str(key)] = name
            elif isinstance(low, int) and isinstance(high, int) and high - low < _MAX_ENUM:
                words.update(dict.fromkeys(range(low, high + 1), name))
            elif low == high:
                words[low] = name
            else:
                self.report(path, f"the range {key} holds more than {_MAX_ENUM} values", "use a formula")
        return words, other, has_other

    def spans(self, key: int | str, path: Path) -> list[tuple[int | str, int | str]]:
        """The values that a key stands for. Digits in quotes are the number and the text."""
        span = self.span(key, path)
        return [span] if key in span or not isinstance(key, str) or ".." in key else [span, (key, key)]

    def span(self, key: int | str, path: Path) -> tuple[int | str, int | str]:
        """`5`, `0x05`, `2..9` or a text -> lowest and highest value."""
        if isinstance(key, int):
            return key, key
        low, dots, high = key.partition("..")
        try:
            return int(low, 0), int(high if dots else low, 0)
        except ValueError:
            if dots:
                self.report(path, f"`{key}` is no range", "such as 2..9")
            return key, key

    def bit_span(self, at: int | str, path: Path) -> tuple[int, int]:
        if isinstance(at, int):
            return at, at
        low, dash, high = at.replace("..", "-").partition("-")
        if not dash or not low.strip().isdigit() or not high.strip().isdigit() or int(low) > int(high):
            self.report(path, f"`{at}` is no bit range", "such as 3 or 2-4, the lowest bit first")
            return 0, 0
        return int(low), int(high)

    def of_bits(self, part: model.BitField, path: Path, width: int) -> Convert:
        enum, other, has_other = self._enum(part.enum, (*path, "enum"))
        absent = absent_values(part.absent)
        step = self._linear(part.scale, part.offset, path)
        formula = self.formula(part.formula, (*path, "formula"), only={"x"})
        flags = self._flags(part.flags, (*path, "flags"))
        changed = enum is not None or flags is not None or step is not None or formula is not None
        plain = width == 1 and not changed and part.counts is None
        return Convert(
            absent=absent,
            flags=flags,
            boolean=plain,
            invert=plain and part.invert,
            linear=step,
            formula=formula,
            enum=enum,
            other=other,
            has_other=has_other,
            signed_width=width if part.signed else 0,
        )

    def formula(self, text: str | None, path: Path, only: set[str] | None = None) -> Formula | None:
        """Compiles a formula; which names it may read is checked when the whole message is known."""
        if text is None:
            return None
        try:
            formula = compile_formula(text)
        except FormulaError as error:
            self.report(path, str(error), "")
            return None
        if only is not None and not only.issuperset(formula.names):
            wrong = next(name for name in formula.names if name not in only)
            self.report(path, f"`{wrong}` cannot be used here", "a field's own formula reads `x`; use a formula row")
            return None
        return formula

    def unknown(self, word: str, words: Mapping[str, Any], path: Path, what: str) -> None:
        near = difflib.get_close_matches(word, list(words), 1, 0.5)
        known = f"there are {', '.join(words)}" if words else "the spec has none"
        self.report(path, f"no {what} `{word}`", f"did you mean `{near[0]}`?" if near else known)


def words_of(convert: Convert) -> frozenset[Any] | None:
    """The closed set of values of an enum, for the contract; None when any value may come."""
    if convert.enum is None or convert.has_other:
        return None
    return frozenset(convert.enum.values()) - {None}
