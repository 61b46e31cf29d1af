"""Why rows that were read have no value: `bad_time` and `formula_failed`.

Both codecs note it while they read, in each structure beside its values (under FAULTS); `lifted` brings it to the top
with the whole path of each value, and `flagged` makes violations of it. A sentinel, an empty text and a formula that
begins with a function such as `first` have no value on purpose and are not noted. Nor is what another row of that name
gives a value for.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from decoders.convert import Convert
from decoders.formula import Formula
from decoders.layout import Bit, BytesWire, Derived, FormulaWire, PythonWire, RecordWire, Value, Wire
from decoders.text_forms import READERS
from decoders.types import Violation, ViolationCode

__all__ = [
    "FAULTS",
    "Fault",
    "Faults",
    "add_values",
    "fault_of_result",
    "fault_of_value",
    "flagged",
    "is_empty",
    "lifted",
    "noting",
    "without_faults",
]

FAULTS = "\0faults"
"""Key of a structure's faults among its values; no value is called so."""
Fault: TypeAlias = Callable[[Any], ViolationCode | None]
"""Raw value, or a formula's result, that has become no value -> why; None where that is meant so."""


class Faults(dict[str, ViolationCode]):
    """Value -> why it is not there. A class of its own, so that no device can send one."""

    __slots__ = ()


def is_empty(raw: Any) -> bool:
    """True for a text without anything in it."""
    return isinstance(raw, str) and not raw.strip(" \0\t\r\n")


def _is_sentinel(convert: Convert) -> Callable[[Any], bool]:
    if not convert.absent:
        return lambda raw: False
    kept = Convert(absent=convert.absent, loose=True).function()
    return lambda raw: kept(raw, 0) is None


def fault_of_value(part: Value | Bit, wire: Wire | None = None) -> Fault | None:
    """What is wrong with a raw value that gives no value; None for rows of which that is never said. wire: of a row."""
    if part.hidden or part.convert.words or not (part.convert.clock or part.convert.formula):
        return None
    if part.convert.formula is not None:
        return _fault_of_formula(part.convert, part.convert.formula, wire)
    if part.convert.clock == "meter":  # which most records are not
        return lambda raw: ViolationCode.BAD_TIME if raw.__class__ is datetime.datetime else None
    sentinel = _is_sentinel(part.convert)
    missing: ViolationCode | None = ViolationCode.BAD_TIME
    if isinstance(wire, FormulaWire):
        missing = ViolationCode.FORMULA_FAILED
    elif isinstance(wire, PythonWire | RecordWire) or (
        isinstance(wire, BytesWire) and (wire.blank or wire.form in READERS)
    ):
        missing = None

    def fault(raw: Any) -> ViolationCode | None:
        if raw is None:
            return missing
        return None if is_empty(raw) or sentinel(raw) else ViolationCode.BAD_TIME

    return fault


def _fault_of_formula(convert: Convert, formula: Formula, wire: Wire | None) -> Fault:
    """The same of a row with a formula of its own; with a clock behind it, the time may be wrong."""
    sentinel = _is_sentinel(convert)
    behind: dict[str, Any] = {"clock": "", "decimals": None, "enum": None, "other": None, "has_other": False}
    result = replace(convert, **behind).function()
    of_raw = isinstance(wire, FormulaWire) and bool(convert.clock)

    def fault(raw: Any) -> ViolationCode | None:
        if raw is None:
            return ViolationCode.FORMULA_FAILED if of_raw else None
        if is_empty(raw) or sentinel(raw) or (raw.__class__ is float and raw - raw != 0):
            return None
        found = result(raw, 0)
        if found is None:
            return None if formula.tolerant else ViolationCode.FORMULA_FAILED
        return ViolationCode.BAD_TIME if convert.clock and not is_empty(found) else None

    return fault


def fault_of_result(node: Derived) -> Fault | None:
    """The same for the result of a formula row."""
    convert = node.convert
    if node.hidden:
        return None
    unnamed = convert.enum is not None and (
        None in convert.enum.values() or (convert.has_other and convert.other is None)
    )
    tolerant = node.formula.tolerant or bool(convert.absent) or unnamed
    sentinel = _is_sentinel(convert)

    def fault(result: Any) -> ViolationCode | None:
        if result is None:
            return None if tolerant else ViolationCode.FORMULA_FAILED
        if sentinel(result):
            return None
        if not convert.clock:
            return None if unnamed else ViolationCode.FORMULA_FAILED
        if convert.clock.startswith("list") and result.__class__ is list and None in result:
            return ViolationCode.FORMULA_FAILED
        return None if is_empty(result) else ViolationCode.BAD_TIME

    return fault


def noting(fault: Fault) -> Callable[[Faults | None, Any, str | None], Faults | None]:
    """`(faults, raw, name) -> faults` with what is wrong with the raw value; name None: the value has none."""

    def note(faults: Faults | None, raw: Any, name: str | None) -> Faults | None:
        code = fault(raw)
        if code is None or name is None:
            return faults
        if faults is None:
            faults = Faults()
        faults[name] = code
        return faults

    return note


def add_values(target: dict[str, Any], more: dict[str, Any]) -> None:
    """Adds values of a structure to those of another one, with what is noted of both."""
    before = target.get(FAULTS)
    target |= more
    if before is not None and FAULTS in more:
        target[FAULTS] = Faults({**before, **more[FAULTS]})


def lifted(values: dict[str, Any]) -> dict[str, Any]:
    """The values, with the faults of all structures at the top: `positions[0].time`."""
    found = Faults()
    _lift(values, "", found)
    if found:
        values[FAULTS] = found
    return values


def _lift(values: dict[str, Any], prefix: str, found: Faults) -> None:
    mine = values.get(FAULTS)
    if mine.__class__ is Faults:
        del values[FAULTS]
        for name, code in mine.items():
            value = values.get(name)
            if value is None or value.__class__ is list:  # the list of those that are there
                found[prefix + name] = code
    for name, value in values.items():
        if value.__class__ is dict:
            _lift(value, f"{prefix}{name}.", found)
        elif value.__class__ is list:
            for number, item in enumerate(value):
                if item.__class__ is dict:
                    _lift(item, f"{prefix}{name}[{number}].", found)


def without_faults(values: dict[str, Any]) -> dict[str, Any]:
    """The values alone."""
    lifted(values).pop(FAULTS, None)
    return values


def flagged(values: dict[str, Any], violations: list[Violation] | None) -> list[Violation] | None:
    """Takes the lifted faults out of the values: the violations with them; of a value with both, the violation, unless
    it is required and was of a wrong type."""
    faults = values.pop(FAULTS, None)
    if not faults:
        return violations
    if ViolationCode.WRONG_TYPE in faults.values():
        wrong = {name for name, code in faults.items() if code is ViolationCode.WRONG_TYPE}
        violations = [violation for violation in violations or () if violation.field not in wrong]
    told = {violation.field for violation in violations or ()}
    more = [Violation(name, code) for name, code in sorted(faults.items()) if name not in told]
    return [*(violations or ()), *more]
