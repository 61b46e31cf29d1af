"""`spec lint`: what a spec may say and probably should not. Each rule has a code, a severity and a fix of one line.

An `error` is a contradiction: the spec cannot mean that. A `warning` is a gap or a habit that costs others time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.errors import DecodeCode, SpecProblem
from decoders.golden import GoldenCase
from decoders.layout import FloatWire, IntWire
from decoders.reference.codec import Selector
from decoders.spec import model
from decoders.spec.model_rows import absent_values, bit_fields
from decoders.spec.row_walk import PlacedRow, all_rows
from decoders.spec.vocabulary import meant, word_of
from decoders.spec.words import CLOCK_BYTES, wire_of

__all__ = ["RULES", "Finding", "Rule", "lint"]

_MAX_CHANGED = 4  # bytes in which a corrupt golden frame differs from the good one of its message


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing to look at. problem: its place, what is so, and (as `hint`) the fix."""

    severity: str
    problem: SpecProblem

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        found = self.problem
        return {
            "code": found.code,
            "severity": self.severity,
            "file": found.source,
            "line": found.line,
            "column": found.column,
            "path": found.path,
            "message": found.message,
            "fix": found.hint,
        }


@dataclass(slots=True)
class Subject:
    """What the rules look at: one product with its texts."""

    loaded: LoadedProduct
    rows: list[PlacedRow]

    @property
    def spec(self) -> model.SpecFile:
        return self.loaded.product.spec

    def problem(
        self, code: str, path: Sequence[str | int], message: str, fix: str, *, key: bool = False
    ) -> SpecProblem:
        document = self.loaded.document
        return SpecProblem(*document.where(path, key=key), document.path_text(path), message, fix, code)


Check = Callable[[Subject], Iterator[SpecProblem]]


@dataclass(slots=True, frozen=True)
class Rule:
    """code: of all problems that `check` yields. severity: `error` or `warning`."""

    code: str
    severity: str
    title: str
    check: Check


def lint(loaded: LoadedProduct) -> list[Finding]:
    """All findings in the order of the files."""
    subject = Subject(loaded, list(all_rows(loaded.product.spec)))
    found = [Finding(rule.severity, problem) for rule in RULES for problem in rule.check(subject)]
    return sorted(found, key=lambda item: (item.problem.source, item.problem.line, item.problem.column))


# Golden frames


def _golden_frames(subject: Subject) -> Iterator[tuple[str, list[GoldenCase], list[GoldenCase], list[GoldenCase]]]:
    """Uplink messages with their good, truncated and corrupt cases."""
    cases = [case for file in subject.loaded.golden.values() for case in file.cases]
    good: dict[str, list[GoldenCase]] = {}
    for case in cases:
        if not case.error and case.message is not None:
            good.setdefault(case.message, []).append(case)
    bad = [case for case in cases if case.error]
    for name, message in subject.spec.messages.items():
        if message.downlink:
            continue
        mine = good.get(name, [])
        broken = [case for case in bad if case.message == name or any(_made_from(case, other) for other in mine)]
        truncated = [case for case in broken if _is_truncated(case, mine)]
        yield name, mine, truncated, [case for case in broken if case not in truncated]


def _is_truncated(bad: GoldenCase, good: list[GoldenCase]) -> bool:
    return bad.error == DecodeCode.TRUNCATED or any(
        len(bad.wire) < len(case.wire) and case.wire.startswith(bad.wire) for case in good
    )


def _made_from(bad: GoldenCase, good: GoldenCase) -> bool:
    """Whether a broken frame is a beginning of the good one, or the good one with a few bytes changed."""
    one, other = bad.wire, good.wire
    if len(one) < len(other):
        return other.startswith(one)
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= _MAX_CHANGED


def _no_good(subject: Subject) -> Iterator[SpecProblem]:
    for name, good, _, _ in _golden_frames(subject):
        if not good:
            fix = f"add a case with `message: {name}` to golden/*.yaml"
            yield subject.problem(
                "no_good_frame", ("messages", name), f"`{name}` has no good golden frame", fix, key=True
            )


def _no_truncated(subject: Subject) -> Iterator[SpecProblem]:
    for name, _, truncated, _ in _golden_frames(subject):
        if not truncated:
            fix = f"add the first bytes of a good frame with `message: {name}, error: truncated`"
            yield subject.problem(
                "no_truncated_frame", ("messages", name), f"`{name}` has no truncated golden frame", fix, key=True
            )


def _no_corrupt(subject: Subject) -> Iterator[SpecProblem]:
    for name, _, _, corrupt in _golden_frames(subject):
        if not corrupt:
            fix = f"add a good frame with a changed byte, `message: {name}` and the error it gives"
            yield subject.problem(
                "no_corrupt_frame", ("messages", name), f"`{name}` has no corrupt golden frame", fix, key=True
            )


# Names and units


@dataclass(slots=True, frozen=True)
class _Metric:
    name: str
    path: tuple[str | int, ...]
    unit: str
    numeric: bool


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
                    yield _Metric(name, (*placed.path, "bits", name), bit.unit, numeric)
            silent = silent or bool(row.counts or row.const is not None or row.crc or row.bits)
        if not silent and (not placed.frame or row.metric):
            yield _Metric(row.name, (*placed.path, "name"), row.unit, _is_numeric(row))


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


def _no_unit(subject: Subject) -> Iterator[SpecProblem]:
    for metric in _metrics(subject):
        word = word_of(metric.name)
        if word is not None and word.units and metric.numeric and not metric.unit:
            message = f"`{metric.name}` is a number without a unit"
            yield subject.problem("no_unit", metric.path, message, f'add `unit: "{word.units[0]}"`')


def _other_unit(subject: Subject) -> Iterator[SpecProblem]:
    for metric in _metrics(subject):
        word = word_of(metric.name)
        if word is not None and word.units and metric.unit and metric.unit not in word.units:
            message = f"`{metric.name}` is in {metric.unit}, everywhere else in {' or '.join(word.units)}"
            yield subject.problem("other_unit", metric.path, message, f"scale it to {word.units[0]}")


def _case_only(subject: Subject) -> Iterator[SpecProblem]:
    first: dict[str, str] = {}
    for metric in _metrics(subject):
        other = first.setdefault(metric.name.lower(), metric.name)
        if other != metric.name:
            message = f"`{metric.name}` and `{other}` differ only in case"
            yield subject.problem("case_only", metric.path, message, f"call both `{other}`")


# Contradictions


def _overlap(subject: Subject) -> Iterator[SpecProblem]:
    seen: set[tuple[str, str]] = set()
    for kind in subject.loaded.product.kinds:
        selectors = kind.layout.selectors
        for index, later in enumerate(selectors):
            for earlier in selectors[:index]:
                pair = (earlier.message, later.message)
                if pair in seen or not _overlapping(earlier, later):
                    continue
                seen.add(pair)
                message = f"some frames are both `{earlier.message}` and `{later.message}`; the first one takes them"
                fix = "make the values differ, or put the message with more conditions first"
                yield subject.problem("overlapping_when", ("messages", later.message, "when"), message, fix, key=True)


def _overlapping(earlier: Selector, later: Selector) -> bool:
    """True when one frame can fit both, and the earlier one asks for nothing that the later one does not ask for: a
    message with a condition of its own (a flag, a version) stands first on purpose."""
    one, other = dict(earlier.tests), dict(later.tests)
    if not one.keys() <= other.keys():
        return False
    return all(any(_meet(name, a, b) for a in spans for b in other[name]) for name, spans in one.items())


def _meet(name: str, one: tuple[Any, Any], other: tuple[Any, Any]) -> bool:
    if name == "first":
        return str(one[0]).startswith(str(other[0])) or str(other[0]).startswith(str(one[0]))
    if all(isinstance(value, int) for value in (*one, *other)):
        return bool(one[0] <= other[1] and other[0] <= one[1])
    return bool(one[0] == other[0])


def _contradictions(subject: Subject) -> Iterator[SpecProblem]:
    for placed in subject.rows:
        row = placed.row
        if isinstance(row, model.ValueRow):
            for path, message, fix in _row_contradictions(subject.spec, row):
                yield subject.problem("contradiction", (*placed.path, *path), message, fix)
        elif isinstance(row, model.FormulaRow) and row.range is not None and row.range[0] > row.range[1]:
            yield subject.problem("contradiction", (*placed.path, "range"), *_REVERSED)


_REVERSED = ("the range ends before it begins, so no value fits", "write the smaller value first")


def _row_contradictions(spec: model.SpecFile, row: model.ValueRow) -> Iterator[tuple[tuple[str, ...], str, str]]:
    size = int(row.bytes) if row.bytes is not None and row.bytes.isdigit() else None
    found = wire_of(row.type, size, True)
    wire, clock = found if found is not None else (None, "")
    limits = _limits(wire) if isinstance(wire, IntWire) else None
    enum = spec.enums.get(row.enum) if isinstance(row.enum, str) else row.enum
    absent = absent_values(row.absent)
    keys = {key for key in enum or {} if isinstance(key, int)}
    if limits is not None:
        low, high = limits
        for name, values in (("absent", absent), ("enum", sorted(keys))):
            for value in values:
                if isinstance(value, int) and not low <= value <= high:
                    yield (name,), f"{value} cannot come out of `{row.type}` ({low} to {high})", "remove or correct it"
    for value in absent:
        if value in keys:
            yield ("absent",), f"{value} is absent and also a name of `enum`", "keep one of the two"
    if row.range is None:
        return
    if row.range[0] > row.range[1]:
        yield (("range",), *_REVERSED)
    elif enum is not None and any(isinstance(word, str) for word in enum.values()):
        yield ("range",), "a range on names: every value breaks the contract", "remove `range` or `enum`"
    elif row.flags is not None or clock or row.type in CLOCK_BYTES or row.type in ("hex", "text", "mac"):
        yield ("range",), f"a range on `{row.type}`, which gives no number: every value breaks it", "remove `range`"
    elif limits is not None and row.formula is None and row.negate is None:
        scale, offset = Fraction(str(row.scale).replace(" ", "")), Fraction(str(row.offset).replace(" ", ""))
        ends = sorted(limit * scale + offset for limit in limits)
        if ends[1] < row.range[0] or ends[0] > row.range[1]:
            message = f"values go from {float(ends[0]):g} to {float(ends[1]):g}: none is in the range"
            yield ("range",), message, "correct `scale`, `offset` or `range`"


def _limits(wire: IntWire) -> tuple[int, int]:
    bits = wire.size * 8
    if wire.sign == "unsigned":
        return 0, (1 << bits) - 1
    half = 1 << (bits - 1)
    return (-half if wire.sign == "twos" else 1 - half), half - 1


# The spec as a whole


def _no_origin(subject: Subject) -> Iterator[SpecProblem]:
    for key, fix in (("title", "say what the product is"), ("source", "name the vendor's document and its version")):
        if not getattr(subject.spec, key):
            yield subject.problem("no_origin", ("product",), f"the spec has no `{key}`", fix)


def _folder(subject: Subject) -> Iterator[SpecProblem]:
    product_id, folder = subject.spec.product, subject.loaded.folder
    if folder != product_id:
        message = f"the product `{product_id}` stands in the folder `{folder}`"
        yield subject.problem("folder_name", ("product",), message, f"call the folder `{product_id}`")


RULES: tuple[Rule, ...] = (
    Rule("no_good_frame", "warning", "every message has a good golden frame", _no_good),
    Rule("no_truncated_frame", "warning", "every message has a truncated golden frame", _no_truncated),
    Rule("no_corrupt_frame", "warning", "every message has a corrupt golden frame", _no_corrupt),
    Rule("near_miss", "warning", "a metric is not nearly called like a standard one", _near_miss),
    Rule("no_unit", "warning", "a standard metric that has a unit says it", _no_unit),
    Rule("other_unit", "warning", "a standard metric has its usual unit", _other_unit),
    Rule("case_only", "warning", "no two names differ only in case", _case_only),
    Rule("overlapping_when", "warning", "a frame is one message, not two", _overlap),
    Rule("contradiction", "error", "ranges, enums and sentinels can be met", _contradictions),
    Rule("no_origin", "warning", "a spec says what it is and where it is from", _no_origin),
    Rule("folder_name", "warning", "a folder is called like its product", _folder),
)
"""All rules, in the order in which they are documented."""
