"""Rules on the values of one row: ranges, enums and sentinels that contradict its type or each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from decoders.errors import SpecProblem
from decoders.layout import IntWire
from decoders.spec import model
from decoders.spec.lint.subject import Rule, Subject
from decoders.spec.model_conversion import absent_values
from decoders.spec.words import CLOCK_BYTES, wire_of

__all__ = ["RANGE_RULES"]

_REVERSED = ("the range ends before it begins, so no value fits", "write the smaller value first")
Fault = tuple[tuple[str, ...], str, str]
"""Path below the row, what is wrong, what to do."""


def _contradictions(subject: Subject) -> Iterator[SpecProblem]:
    for placed in subject.rows:
        row = placed.row
        if isinstance(row, model.ValueRow):
            for path, message, fix in _row_contradictions(subject.spec, row):
                yield subject.problem("contradiction", (*placed.path, *path), message, fix)
        elif isinstance(row, model.FormulaRow) and row.range is not None and row.range[0] > row.range[1]:
            yield subject.problem("contradiction", (*placed.path, "range"), *_REVERSED)


def _row_contradictions(spec: model.SpecFile, row: model.ValueRow) -> Iterator[Fault]:
    size = int(row.bytes) if row.bytes is not None and row.bytes.isdigit() else None
    found = wire_of(row.type, size, True)
    wire, clock = found if found is not None else (None, "")
    limits = _limits(wire) if isinstance(wire, IntWire) else None
    enum = spec.enums.get(row.enum) if isinstance(row.enum, str) else row.enum
    absent = absent_values(row.absent)
    keys = {key for key in enum or {} if isinstance(key, int)}
    if limits is not None:
        low, high = limits
        most = (1 << wire.size * 8) - 1 if isinstance(wire, IntWire) else high
        for name, values in (("absent", absent), ("enum", sorted(keys))):
            for value in values:  # those of signed numbers may be spelled as the unsigned number
                if isinstance(value, int) and not low <= value <= most:
                    yield (name,), f"{value} cannot come out of `{row.type}` ({low} to {high})", "remove or correct it"
    for value in absent:
        if value in keys:
            yield ("absent",), f"{value} is absent and also a name of `enum`", "keep one of the two"
    if row.range is not None:
        yield from _range_contradictions(row, row.range, enum, limits, clock=bool(clock or row.clock))


def _range_contradictions(
    row: model.ValueRow,
    span: tuple[float, float],
    enum: Mapping[Any, Any] | None,
    limits: tuple[int, int] | None,
    *,
    clock: bool,
) -> Iterator[Fault]:
    if span[0] > span[1]:
        yield (("range",), *_REVERSED)
    elif enum is not None and any(isinstance(word, str) for word in enum.values()):
        yield ("range",), "a range on names: every value breaks the contract", "remove `range` or `enum`"
    elif enum is not None:
        for key, number in enum.items():
            if isinstance(number, int | float) and not isinstance(number, bool) and not span[0] <= number <= span[1]:
                message = f"`enum` gives {number} for {key}, which is not in the range"
                yield ("range",), message, "widen the range or correct the enum"
    elif row.flags is not None or clock or row.type in CLOCK_BYTES or row.type in ("hex", "mac"):
        yield ("range",), f"a range on `{row.type}`, which gives no number: every value breaks it", "remove `range`"
    elif row.type == "text" and row.formula is None:
        yield ("range",), "a range on `text`, which gives no number: every value breaks it", "remove `range`"
    elif limits is not None and row.formula is None and row.negate is None:
        scale, offset = _fraction(row.scale), _fraction(row.offset)
        before = _fraction(row.raw_offset)
        ends = sorted((limit + before) * scale + offset for limit in limits)
        if ends[1] < span[0] or ends[0] > span[1]:
            message = f"values go from {float(ends[0]):g} to {float(ends[1]):g}: none is in the range"
            yield ("range",), message, "correct `scale`, `offset` or `range`"


def _fraction(given: float | str) -> Fraction:
    return Fraction(str(given).replace(" ", ""))


def _limits(wire: IntWire) -> tuple[int, int]:
    bits = wire.size * 8
    if wire.sign == "unsigned":
        return 0, (1 << bits) - 1
    half = 1 << (bits - 1)
    return (-half if wire.sign == "twos" else 1 - half), half - 1


def _enums(subject: Subject) -> Iterator[tuple[tuple[str | int, ...], Mapping[Any, Any]]]:
    """Every enum where it is written: shared ones, and those of rows and bits."""
    for name, shared in subject.spec.enums.items():
        yield ("enums", name), shared
    for placed in subject.rows:
        given = getattr(placed.row, "enum", None)
        if isinstance(given, Mapping):
            yield (*placed.path, "enum"), given
        bits = getattr(placed.row, "bits", None)
        if isinstance(bits, Mapping):
            for name, bit in bits.items():
                inner = getattr(bit, "enum", None)
                if isinstance(inner, Mapping):
                    yield (*placed.path, "bits", name, "enum"), inner


def _overlapping_enum(subject: Subject) -> Iterator[SpecProblem]:
    for path, enum in _enums(subject):
        seen: list[tuple[int, int, Any, Any]] = []
        for key, word in enum.items():
            span = _span(key)
            if span is None:
                continue
            for low, high, other, other_word in seen:
                if span[0] <= high and low <= span[1] and word != other_word:
                    message = f"`{key}` and `{other}` name the same raw value; the later one counts"
                    yield subject.problem("overlapping_enum", (*path, key), message, "make the keys differ", key=True)
                    break
            seen.append((*span, key, word))


def _span(key: int | str) -> tuple[int, int] | None:
    """The numbers that a key stands for; None for texts."""
    if isinstance(key, int):
        return key, key
    low, dots, high = key.partition("..")
    try:
        return int(low, 0), int(high if dots else low, 0)
    except ValueError:
        return None


def _enum_case(subject: Subject) -> Iterator[SpecProblem]:
    for path, enum in _enums(subject):
        first: dict[str, str] = {}
        for key, word in enum.items():
            if not isinstance(word, str):
                continue
            other = first.setdefault(word.lower().replace(" ", "_").replace("-", "_"), word)
            if other != word:
                message = f"`{word}` and `{other}` are nearly the same name"
                yield subject.problem("near_names", (*path, key), message, f"call both `{other}`")


def _required_if(subject: Subject) -> Iterator[SpecProblem]:
    for placed in subject.rows:
        row = placed.row
        if not isinstance(row, model.ValueOptions) or not row.required:
            continue
        if row.if_ is not None or getattr(row, "optional", False):
            message = (
                f"`{getattr(row, 'name', '')}` is required, and not always there: each frame without it is flagged"
            )
            fix = "remove `required`, or the condition"
            yield subject.problem("required_if", (*placed.path, "required"), message, fix)


RANGE_RULES = (
    Rule(
        *("contradiction", "error", "ranges, enums and sentinels can be met"),
        *("correct the range, the sentinel or the enum", _contradictions),
    ),
    Rule(
        *("overlapping_enum", "warning", "a raw value has one name"),
        *("make the keys of the enum differ", _overlapping_enum),
    ),
    Rule(
        *("near_names", "warning", "no two names of an enum differ only in case or blanks"),
        *("call both the same", _enum_case),
    ),
    Rule(
        *("required_if", "warning", "a required value is always there"),
        *("remove `required`, or the condition", _required_if),
    ),
)
