"""Several lines of CSV in one payload: a message whose records are its lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from decoders.csv_lines import HEADER, CsvCodec
from decoders.errors import DecodeCode, DecodeError
from decoders.faults import flagged
from decoders.plan import Decoded, MessagePlan, StructurePlan
from decoders.times import Zone
from decoders.types import SessionContext, Violation

__all__ = ["LINES", "MAX_LINES", "plan_of_lines", "read_lines"]

LINES = "lines"
"""Name of the list of what the lines hold."""
MAX_LINES = 1000


def plan_of_lines(plan: MessagePlan) -> MessagePlan:
    """The plan of a payload of lines that each are this message."""
    names = tuple(name for _, name in plan.whole.identities)
    return replace(
        plan,
        records=LINES,
        whole=StructurePlan(drop=names, identities=plan.whole.identities),
        item=plan.whole,
        session=(),
        dedup=None,
    )


def read_lines(
    codec: CsvCodec,
    plans: Mapping[str, tuple[MessagePlan, MessagePlan]],
    header: MessagePlan,
    lines: list[bytes],
    context: SessionContext,
    zone: Zone,
) -> Decoded:
    """plans: message -> its plan, and that of several lines. header: the plan of a line without values. What all lines
    say of who they are about is the payload's too. Raises DecodeError, which names the line."""
    if len(lines) > MAX_LINES:
        raise DecodeError(DecodeCode.TOO_MANY_ITEMS, f"{len(lines)} lines, at most {MAX_LINES} allowed")
    found: list[dict[str, Any]] = []
    violations: list[Violation] = []
    name = HEADER
    for number, line in enumerate(lines, 1):
        try:
            said, values = codec.decode(line, context, zone)
        except DecodeError as error:
            raise DecodeError(error.code, f"line {number}: {error.detail}", field=error.field) from None
        if said == HEADER:
            continue
        name, check = said, plans[said][0].check
        mine = flagged(values, None if check is None else check(values)) or ()
        violations += [Violation(f"{LINES}[{len(found)}].{item.field}", item.code) for item in mine]
        found.append(values)
    if not found:
        return Decoded(header, {})
    plan = plans[name][1]
    shared = {word: found[0][word] for _, word in plan.whole.identities if word in found[0]}
    shared = {word: value for word, value in shared.items() if all(values.get(word) == value for values in found)}
    return Decoded(plan, {**shared, LINES: found}, violations or None)
