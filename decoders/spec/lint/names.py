"""Rules on names and units: thirty specs must not name one thing five ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from decoders.errors import SpecProblem
from decoders.layout import FloatWire, IntWire
from decoders.spec import model
from decoders.spec.lint.subject import Rule, Subject
from decoders.spec.model_rows import bit_fields
from decoders.spec.units import known_unit, meant_unit
from decoders.spec.vocabulary import Word, meant, word_of
from decoders.spec.words import wire_of

__all__ = ["NAME_RULES"]


@dataclass(slots=True, frozen=True)
class _Metric:
    name: str
    path: tuple[str | int, ...]
    unit: str
    numeric: bool
    note: str


def _metrics(subject: Subject) -> Iterator[_Metric]:
    """Values that become metrics: rows and bits outside of header and trailer, or with `metric: true`."""
    for placed in subject.rows:
        row = placed.row
        if not isinstance(row, model.ValueRow | model.FormulaRow):
            continue
        silent = bool(row.hidden or row.identity or row.timestamp or row.session or row.metric is False)
        if isinstance(row, model.ValueRow):
            for name, bit in bit_fields(row, 0).items():
                shown = row.metric if bit.metric is None else bit.metric
                if shown is not False and not bit.hidden and (not placed.frame or shown):
                    numeric = bit.enum is None and bit.flags is None and isinstance(bit.at, str)
                    yield _Metric(name, (*placed.path, "bits", name), bit.unit, numeric, bit.note)
            silent = silent or bool(row.counts or row.const is not None or row.crc or row.bits)
        if not silent and (not placed.frame or row.metric):
            yield _Metric(row.name, (*placed.path, "name"), row.unit, _is_numeric(row), row.note)


def _is_numeric(row: model.ValueRow | model.FormulaRow) -> bool:
    if isinstance(row, model.FormulaRow):
        return False  # it may as well be a comparison
    if row.enum is not None or row.flags is not None:
        return False
    found = wire_of(row.type, 1, True)
    return found is not None and isinstance(found[0], IntWire | FloatWire) and not found[1]


def _near_miss(subject: Subject) -> Iterator[SpecProblem]:
    for metric in _metrics(subject):
        word = meant(metric.name)
        if word:
            message = f"`{metric.name}` is nearly the standard name `{word}`"
            fix = f"call it `{word}`, or something that cannot be mistaken for it"
            yield subject.problem("near_miss", metric.path, message, fix)


def _quantity(name: str) -> Word | None:
    """The standard word that a name is or ends with: `cabin_temperature` is a temperature."""
    parts = name.split("_")
    found = (word_of("_".join(parts[index:])) for index in range(len(parts)))
    return next((word for word in found if word is not None), None)


def _no_unit(subject: Subject) -> Iterator[SpecProblem]:
    for metric in _metrics(subject):
        word = word_of(metric.name)
        if word is None and not metric.note:  # an own name may say in its note why it has no unit
            word = _quantity(metric.name)
        if word is not None and word.units and metric.numeric and not metric.unit:
            message = f"`{metric.name}` is a number without a unit"
            yield subject.problem("no_unit", metric.path, message, f'add `unit: "{word.units[0]}"`')


def _other_unit(subject: Subject) -> Iterator[SpecProblem]:
    for metric in _metrics(subject):
        word = word_of(metric.name)
        if word is not None and word.units and metric.unit and metric.unit not in word.units:
            message = f"`{metric.name}` is in {metric.unit}, everywhere else in {' or '.join(word.units)}"
            yield subject.problem("other_unit", metric.path, message, f"scale it to {word.units[0]}")


def _unknown_unit(subject: Subject) -> Iterator[SpecProblem]:
    for metric in _metrics(subject):
        word = word_of(metric.name)
        if not metric.unit or known_unit(metric.unit) or (word is not None and word.units):
            continue
        close = meant_unit(metric.unit)
        fix = f'did you mean "{close}"?' if close else "write it as others do: SI signs, `/` for per"
        path = (*metric.path[:-1], "unit") if metric.path[-1] == "name" else (*metric.path, "unit")
        yield subject.problem("unknown_unit", path, f"`{metric.unit}` is no unit that is known here", fix)


def _case_only(subject: Subject) -> Iterator[SpecProblem]:
    first: dict[str, str] = {}
    for metric in _metrics(subject):
        other = first.setdefault(metric.name.lower(), metric.name)
        if other != metric.name:
            message = f"`{metric.name}` and `{other}` differ only in case"
            yield subject.problem("case_only", metric.path, message, f"call both `{other}`")


NAME_RULES = (
    Rule(
        *("near_miss", "warning", "a metric is not nearly called like a standard one"),
        *("take the standard name, or one that cannot be mistaken for it", _near_miss),
    ),
    Rule(
        *("no_unit", "warning", "a metric that is, or ends with, a standard one with a unit says it"),
        "add `unit:`",
        _no_unit,
    ),
    Rule(
        *("other_unit", "warning", "a standard metric has its usual unit"),
        *("scale it to the usual unit", _other_unit),
    ),
    Rule(
        *("unknown_unit", "warning", "a unit is one that others know"),
        *("write it as in the table of units: `°C`, `km/h`, `m³/h`", _unknown_unit),
    ),
    Rule(*("case_only", "warning", "no two names differ only in case"), "call both the same", _case_only),
)
