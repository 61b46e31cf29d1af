"""Rules on golden frames: each uplink message has a good one, a truncated one and a corrupt one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from decoders.errors import DecodeCode, SpecProblem
from decoders.golden import GoldenCase
from decoders.layout import (
    Branch,
    Condition,
    Derived,
    Given,
    Group,
    OptionalMark,
    Repeat,
    Skip,
    Tags,
    Value,
    least_size,
    walk,
)
from decoders.spec.lint.reach import taker_of
from decoders.spec.lint.subject import Rule, Subject

__all__ = ["GOLDEN_RULES"]

_MAX_CHANGED = 4  # bytes in which a corrupt golden frame differs from the good one of its message


def _golden_frames(subject: Subject) -> Iterator[tuple[str, list[GoldenCase], list[GoldenCase], list[GoldenCase]]]:
    """Uplink messages with their good, truncated and corrupt cases; of a variant those that only it has."""
    cases = [case for file in subject.loaded.golden.values() for case in file.cases]
    base = subject.loaded.product.spec.messages
    if subject.variant:
        cases = [case for case in cases if case.variant == subject.variant]
    good: dict[str, list[GoldenCase]] = {}
    for case in cases:
        if not case.error and case.message is not None:
            good.setdefault(case.message, []).append(case)
    bad = [case for case in cases if case.error]
    for name, message in subject.spec.messages.items():
        if message.downlink or (subject.variant and name in base):
            continue
        mine = good.get(name, [])
        broken = [case for case in bad if case.message == name or any(_made_from(case, other) for other in mine)]
        truncated = [case for case in broken if _is_truncated(case, mine)]
        yield name, mine, truncated, [case for case in broken if case not in truncated or _is_changed(case, mine)]


def _is_truncated(bad: GoldenCase, good: list[GoldenCase]) -> bool:
    return bad.error == DecodeCode.TRUNCATED or any(
        len(bad.wire) < len(case.wire) and case.wire.startswith(bad.wire) for case in good
    )


def _is_changed(bad: GoldenCase, good: list[GoldenCase]) -> bool:
    """Whether a frame that is read as cut off is a good one with another length in it: where there is no check value, a
    changed byte may say so."""
    return any(bad.wire != case.wire and len(bad.wire) == len(case.wire) and _made_from(bad, case) for case in good)


def _made_from(bad: GoldenCase, good: GoldenCase) -> bool:
    """Whether a broken frame is a beginning of the good one, or the good one with a few bytes changed."""
    one, other = bad.wire, good.wire
    if len(one) < len(other):
        return other.startswith(one)
    return len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= _MAX_CHANGED


def _unbuilt(subject: Subject) -> Iterator[str]:
    """Downlinks that no golden file builds, and that no message is answered with: answers stand in its cases."""
    spec = subject.spec
    if subject.variant:
        return
    replies = [reply for message in spec.messages.values() for reply in message.replies] + list(spec.unknown_message)
    known = {reply.message for reply in replies}
    known |= {build.message for file in subject.loaded.golden.values() for build in file.builds}
    yield from (name for name, message in spec.messages.items() if message.downlink and name not in known)


def _no_good(subject: Subject) -> Iterator[SpecProblem]:
    for name in _unbuilt(subject):
        fix = f"add `{{name: ..., message: {name}, values: {{...}}, hex: ...}}` to `builds` of golden/*.yaml"
        place = subject.spec.place_of(name)
        yield subject.problem("no_good_frame", place, f"no golden frame of the downlink `{name}`", fix, key=True)
    for name, good, _, _ in _golden_frames(subject):
        if not good:
            fix = f"add a case with `message: {name}` to golden/*.yaml"
            yield subject.problem(
                "no_good_frame", subject.spec.place_of(name), f"`{name}` has no good golden frame", fix, key=True
            )


def _no_truncated(subject: Subject) -> Iterator[SpecProblem]:
    for name, _, truncated, _ in _golden_frames(subject):
        if not truncated and _can_be_cut(subject, name):
            fix = f"add the first bytes of a good frame with `message: {name}, error: truncated`"
            yield subject.problem(
                "no_truncated_frame",
                subject.spec.place_of(name),
                f"`{name}` has no truncated golden frame",
                fix,
                key=True,
            )


def _no_corrupt(subject: Subject) -> Iterator[SpecProblem]:
    for name, _, _, corrupt in _golden_frames(subject):
        if not corrupt and _can_be_wrong(subject, name):
            fix = (
                f"add a good frame with a changed byte, `message: {name}` and the error it gives; where no changed "
                "byte is wrong, one with a byte too many and `error: trailing_bytes`"
            )
            yield subject.problem(
                "no_corrupt_frame", subject.spec.place_of(name), f"`{name}` has no corrupt golden frame", fix, key=True
            )


def _can_be_cut(subject: Subject, name: str) -> bool:
    """False for a message that needs no more than one byte: a golden case has at least one."""
    message = subject.layouts().get(name)
    if message is None or subject.spec.messages[name].json_ or subject.spec.messages[name].csv:
        return True
    plain = all(isinstance(node, Value | Derived | Given | Skip) for node in walk(message.body))
    return not plain or least_size((*message.header, *message.body)) + message.trailer_size > 1


def _can_be_wrong(subject: Subject, name: str) -> bool:
    """False for a message that takes any bytes: no constant, no check value, nothing refused behind it."""
    message, spec = subject.layouts().get(name), subject.spec.messages[name]
    if message is None or spec.json_ or spec.csv or not spec.when.keys() <= {"port", "length"}:
        return True
    if not message.skip_rest and taker_of(message.body) is None:
        return True  # a byte too many
    return any(_refuses(node) for node in walk((*message.header, *message.body, *message.trailer)))


def _refuses(node: Any) -> bool:
    """Whether a node takes some bytes only."""
    match node:
        case Value():
            marks: tuple[Any, ...] = (node.const, node.check, node.counts, node.equals or None)
            form = getattr(node.wire, "form", "")
            limited = form not in ("", "hex", "text", "raw", "mac", "uint", "int", "uintle", "intle")
            marks += tuple(mark for bit in node.bits for mark in (bit.counts, bit.const))
            return any(mark is not None for mark in marks) or limited
        case Branch():
            return node.default is None
        case Tags():
            return node.unknown == "refuse"
        case Group():
            return not node.byte_for_byte or (node.size is not None and not node.skip_rest)
    return not isinstance(node, Condition | Derived | Given | OptionalMark | Repeat | Skip)


GOLDEN_RULES = (
    Rule(
        *("no_good_frame", "warning", "every message has a good golden frame"),
        *("add a case with its `message`; for a downlink that is no reply to `builds`", _no_good),
    ),
    Rule(
        *("no_truncated_frame", "warning", "every message has a truncated golden frame"),
        *("add the first bytes of a good frame with `error: truncated`", _no_truncated),
    ),
    Rule(
        *("no_corrupt_frame", "warning", "every message has a corrupt golden frame"),
        *(
            "add a good frame with a changed byte and the error it gives, or with a byte too many (`trailing_bytes`)",
            _no_corrupt,
        ),
    ),
)
