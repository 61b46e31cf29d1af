"""Golden frames: real frames with values from somebody else, kept beside the spec that must read them.

A golden file is `{source, answers, cases, builds}`. A case holds a frame and what must come out of it, in our names
(`values`) or in its source's own (`upstream`); each of `builds` holds values and the frame that they make. `answers`
says which of our values answers which upstream name: `speed: {from: speed_kmh}`, with `formula:` over `x` where the
source counts otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator, model_validator

from decoders.errors import DecodeError
from decoders.formula import compile_formula
from decoders.plan import Decoded
from decoders.product import CompiledProduct
from decoders.spec.model import HexBytes, Model
from decoders.spec.model_words import HexPayload
from decoders.spec.source import Document, validate
from decoders.times import iso_from_unix, iso_from_unix_ms, unix_ms_from_iso, zone_of
from decoders.types import RecordPart, SessionContext

TOLERANCE = 1e-6
NOW_MS = unix_ms_from_iso("2026-01-01T00:00:00Z")
"""The moment at which replies of a case without `received_at` are made."""
ANSWER_FUNCTIONS: Mapping[str, Callable[..., Any]] = {"iso": iso_from_unix, "iso_ms": iso_from_unix_ms}
"""Functions of answer formulas beside the usual ones: Unix seconds or milliseconds -> our text."""


class Answer(Model):
    """Which upstream value one of ours answers."""

    from_: str = Field(alias="from", description="Upstream name; dots reach into objects.")
    formula: str | None = Field(None, description="Upstream value `x` -> ours.")
    tolerance: float = Field(TOLERANCE, description="Relative.")

    @field_validator("formula")
    @classmethod
    def _sound(cls, value: str | None) -> str | None:
        if value is not None:
            compile_formula(value, ANSWER_FUNCTIONS)
        return value


def _answer(value: Any) -> Any:
    return {"from": value} if isinstance(value, str) else value


Answers = dict[str, Annotated[Answer, BeforeValidator(_answer)]]


def _reply(value: Any) -> Any:
    if isinstance(value, dict) and value.keys() == {"text"} and isinstance(value["text"], str):
        return value["text"].encode().hex()
    return value


ReplyBytes = Annotated[HexBytes, BeforeValidator(_reply)]


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            unix_ms_from_iso(value)
        except (ValueError, OverflowError):
            raise ValueError("a time is such as 2026-03-01T12:00:00Z") from None
    return value


Moment = Annotated[str, BeforeValidator(_moment)]


class GoldenCase(Model):
    """One frame and what must come out of it."""

    name: str
    source: str = ""
    hex: HexPayload | None = None
    text: str | None = None
    port: int = 0
    variant: str = ""
    session: dict[str, Any] = Field(default_factory=dict)
    received_at: Moment | None = None
    message: str | None = None
    values: dict[str, Any] = Field(default_factory=dict)
    upstream: dict[str, Any] = Field(default_factory=dict)
    answers: Answers = Field(default_factory=dict, description="For this case, over those of the file.")
    absent: list[str] = Field(default_factory=list)
    records: list[dict[str, Any]] | None = Field(
        None, description="Metrics, and time or identity, that each record has at least."
    )
    flags: dict[str, str] | None = Field(None, description="Value -> what is wrong with it; {}: nothing may be.")
    replies: list[ReplyBytes] | None = Field(None, description="In hex, or `{text: ...}`.")
    error: str | None = Field(None, description="Code of the error that must come.")
    note: str = ""

    @model_validator(mode="after")
    def _one_frame(self) -> GoldenCase:
        if (self.hex is None) == (self.text is None):
            raise ValueError("a case has exactly one of `hex` and `text`")
        return self

    @property
    def wire(self) -> bytes:
        return bytes.fromhex(self.hex) if self.hex is not None else (self.text or "").encode()

    def context(self) -> SessionContext:
        """`session` with what it has beside `device_id`, `zone_s` and `columns` (of CSV) as values of the login."""
        session = dict(self.session)
        columns = session.pop("columns", ())
        return SessionContext(
            device_id=str(session.pop("device_id", "")),
            variant=self.variant,
            port=self.port,
            zone_s=session.pop("zone_s", None),
            received_ms=unix_ms_from_iso(self.received_at) if self.received_at else 0,
            values=session,
            columns=tuple(columns.split(",") if isinstance(columns, str) else map(str, columns)),
        )


class GoldenBuild(Model):
    """Values of a message, above all of a downlink, and the frame that is built from them."""

    name: str
    source: str = ""
    message: str
    values: dict[str, Any] = Field(default_factory=dict)
    hex: HexPayload | None = None
    text: str | None = None
    frame: str = Field("", description="Kind of frame, where the message comes in several.")
    variant: str = ""
    zone: str = Field("", description="Of the device's clock; default: the spec's.")
    received_at: Moment | None = Field(None, description="When it is built, for times that count from the arrival.")
    note: str = ""

    @model_validator(mode="after")
    def _one_frame(self) -> GoldenBuild:
        if (self.hex is None) == (self.text is None):
            raise ValueError("what is built is exactly one of `hex` and `text`")
        return self

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value:
            zone_of(value)
        return value

    @property
    def wire(self) -> bytes:
        return bytes.fromhex(self.hex) if self.hex is not None else (self.text or "").encode()


class GoldenFile(Model):
    """Cases that share a source and a way of naming."""

    source: str = Field(description="Where frames and values come from.")
    license: str = ""
    note: str = ""
    answers: Answers = Field(default_factory=dict)
    ignore: dict[str, str] = Field(default_factory=dict, description="Upstream name -> why no value answers it.")
    cases: list[GoldenCase] = Field(default_factory=list)
    builds: list[GoldenBuild] = Field(default_factory=list)

    @model_validator(mode="after")
    def _says_something(self) -> GoldenFile:
        if "cases" not in self.model_fields_set and not self.builds:
            raise ValueError("a golden file has `cases`, or `builds` of downlinks")
        return self


def parse_golden(document: Document) -> GoldenFile:
    """Raises SpecError with file:line:column."""
    return validate(GoldenFile, document)


@dataclass(slots=True)
class Difference:
    """One thing that came out differently. `field` is a path of ours, or what was compared."""

    field: str
    expected: Any
    found: Any

    def __str__(self) -> str:
        return f"{self.field}: expected {self.expected!r}, found {self.found!r}"


@dataclass(slots=True)
class CaseResult:
    case: GoldenCase
    differences: list[Difference] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.differences


def run_case(product: CompiledProduct, file: GoldenFile, case: GoldenCase, now_ms: int = 0) -> CaseResult:
    """Decodes one case and compares everything it asks for. now_ms: of replies; 0: the arrival, else NOW_MS."""
    result = CaseResult(case)
    if case.variant and product.variants:
        product = product.variants.get(case.variant, product)
    context = case.context()
    now_ms = now_ms or context.received_ms or NOW_MS
    try:
        decoded = product.read(case.wire, context, text=case.text is not None)
    except DecodeError as error:
        if error.code.value != case.error:
            expected = f"error {case.error}" if case.error else "a decoded frame"
            place = f" at {error.field} (offset {error.offset})" if error.field else ""
            result.differences.append(Difference("frame", expected, f"{error}{place}"))
        elif case.replies is not None:
            _same_replies(result, case.replies, product, (error.message, error.values, context, now_ms, error.kind))
        return result
    if case.error:
        result.differences.append(Difference("frame", f"error {case.error}", f"message {decoded.message.name}"))
        return result
    if case.message is not None and decoded.message.name != case.message:
        result.differences.append(Difference("message", case.message, decoded.message.name))
    _compare(result, "", case.values, decoded.values, TOLERANCE)
    answers = {**file.answers, **case.answers}
    _compare_upstream(result, "", case.upstream, _in_upstream(decoded), answers, file.ignore)
    result.differences += [
        Difference(name, "no value", mine) for name in case.absent if (mine := _reach(decoded.values, name)) is not None
    ]
    if case.flags is not None:
        flags = {violation.field: violation.code.value for violation in decoded.violations or ()}
        if flags != case.flags:
            result.differences.append(Difference("flags", case.flags, flags))
    product.remember(decoded, context)
    if case.records is not None:
        parts = product.parts(decoded) if decoded.message.record != "none" else []
        if len(parts) != len(case.records):
            result.differences.append(Difference("records", len(case.records), len(parts)))
        for index, (metrics, part) in enumerate(zip(case.records, parts, strict=False)):
            _compare(result, f"records[{index}].", metrics, _of_record(decoded, index, part), TOLERANCE)
    if case.replies is not None:
        asked = decoded.message.name, decoded.values, context, now_ms, decoded.kind
        _same_replies(result, case.replies, product, asked)
    return result


def _of_record(decoded: Decoded, index: int, part: RecordPart) -> dict[str, Any]:
    """Metrics of a record, with its times and identities under the names that they have in the message."""
    plan = decoded.message
    items = decoded.values.get(plan.records) if plan.records else None
    item = items[index] if isinstance(items, list) and index < len(items) else {}
    found: dict[str, Any] = {}
    for structure, values in ((plan.whole, decoded.values), (plan.item, item)):
        names = [structure.device_time, structure.hub_time, *(name for _, name in structure.identities)]
        found |= {name: values[name] for name in names if name in values}
    return found | part.metrics


def _in_upstream(decoded: Decoded) -> dict[str, Any]:
    """The values as others give them: those of the only record beside those of its frame."""
    items = decoded.values.get(decoded.message.records) if decoded.message.records else None
    if isinstance(items, list) and len(items) == 1 and isinstance(items[0], Mapping):
        return {**items[0], **decoded.values}
    return decoded.values


def _same_replies(
    result: CaseResult,
    expected: list[str],
    product: CompiledProduct,
    asked: tuple[str, Mapping[str, Any], SessionContext, int, int],
) -> None:
    """asked: what the replies are made for, as for `CompiledProduct.replies`."""
    left_out: list[str] = []
    found = [reply.hex() for reply in product.replies(*asked, left_out)]
    if found != expected:
        result.differences.append(Difference("replies", expected, [*found, *left_out]))


def _compare(result: CaseResult, prefix: str, expected: Mapping[str, Any], found: Any, tolerance: float) -> None:
    """Names may reach into objects with dots."""
    for name, value in expected.items():
        mine = _reach(found, name)
        if value is mine is None:
            continue
        if mine is None or not same(value, mine, tolerance):
            result.differences.append(Difference(prefix + name, value, mine))


def _compare_upstream(
    result: CaseResult,
    prefix: str,
    upstream: Mapping[str, Any],
    values: Any,
    answers: Mapping[str, Answer],
    ignore: Mapping[str, str],
) -> None:
    """Every upstream value must be answered by one of ours, or be ignored with a reason."""
    by_upstream: dict[str, list[tuple[str, Answer]]] = {}
    for ours, answer in answers.items():
        by_upstream.setdefault(answer.from_, []).append((ours, answer))
    for path, value in _flat(upstream):
        plain = path.rsplit("]", 1)[-1].lstrip(".")
        if path in ignore or plain in ignore:
            continue
        candidates = by_upstream.get(path, [])
        if not candidates or _reach(values, path) is not None:  # the same name is an answer too
            candidates = [*candidates, (path, Answer.model_validate({"from": path}))]
        found: list[Difference] = []
        for ours, answer in candidates:
            found = _answer_differences(prefix, ours, answer, value, values, answers, ignore)
            if not found:
                break
        result.differences += found


def _answer_differences(
    prefix: str,
    ours: str,
    answer: Answer,
    value: Any,
    values: Any,
    answers: Mapping[str, Answer],
    ignore: Mapping[str, str],
) -> list[Difference]:
    mine = _reach(values, ours)
    if isinstance(value, list) and value and isinstance(value[0], Mapping) and answer.formula is None:
        if not isinstance(mine, list) or len(mine) != len(value):
            return [Difference(prefix + ours, f"{len(value)} items", mine)]
        inner = CaseResult(GoldenCase.model_construct(name=""))
        for index, (item, own) in enumerate(zip(value, mine, strict=True)):
            _compare_upstream(inner, f"{prefix}{ours}[{index}].", item, own, answers, ignore)
        return inner.differences
    if answer.formula is not None:
        value = compile_formula(answer.formula, ANSWER_FUNCTIONS).evaluate(lambda _name: value)
    if value in (None, [], {}) and mine is None:
        return []
    if isinstance(mine, bool) and isinstance(value, int) and value in (0, 1):
        value = bool(value)  # elsewhere bits are often numbers
    return [] if same(value, mine, answer.tolerance) else [Difference(prefix + ours, value, mine)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _reach(values: Any, path: str) -> Any:
    if isinstance(values, Mapping) and path in values:
        return values[path]
    for step in path.split("."):
        if not isinstance(values, Mapping):
            return None
        values = values.get(step)
    return values


def same(expected: Any, found: Any, tolerance: float = TOLERANCE) -> bool:
    """Equal: whole numbers exactly, others within a relative tolerance, objects by the names that are expected."""
    if isinstance(expected, bool) or isinstance(found, bool):
        return bool(expected is found)
    if isinstance(expected, int) and isinstance(found, int) and tolerance <= TOLERANCE:
        return expected == found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return math.isclose(expected, found, rel_tol=tolerance, abs_tol=1e-9)
    if isinstance(expected, Mapping):
        return isinstance(found, Mapping) and all(
            name in found and same(value, found[name], tolerance) for name, value in expected.items()
        )
    if isinstance(expected, list):
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(same(one, other, tolerance) for one, other in zip(expected, found, strict=True))
        )
    return bool(expected == found)
