"""The first bytes of a frame: where one may start, and whether a kind's first bytes stand at a position."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from decoders.framing.measure import NOT_THIS, Buffer, Measure, Seen


def starts(begins: Sequence[frozenset[int] | None]) -> frozenset[int]:
    """The values that the first byte of a frame may have."""
    first = begins[0] if begins else None
    return frozenset(range(256)) if first is None else first


def constant(begins: Sequence[frozenset[int] | None]) -> bytes | None:
    """The first bytes as text where each may have one value only."""
    values = [next(iter(allowed)) for allowed in begins if allowed is not None and len(allowed) == 1]
    return bytes(values) if len(values) == len(begins) else None


def after_begins(begins: Sequence[frozenset[int] | None], size: Measure) -> Measure:
    """`size` asked only where the first bytes fit. The first byte itself has been looked at by the caller."""
    if len(begins) <= 1:
        return size
    head = constant(begins)
    return _after_sets(begins, size) if head is None else _after_constant(head, size)


def _after_constant(head: bytes, size: Measure) -> Measure:
    width = len(head)

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        if buffer.startswith(head, start):
            return size(buffer, start, end, seen)
        have = end - start
        return -(have + 1) if have < width and head.startswith(buffer[start:end]) else NOT_THIS

    return measure


def _after_sets(begins: Sequence[frozenset[int] | None], size: Measure) -> Measure:
    width = len(begins)
    checks = tuple((index, allowed) for index, allowed in enumerate(begins) if index and allowed is not None)

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        have = end - start
        for index, allowed in checks:
            if index >= have:
                return -(have + 1)
            if buffer[start + index] not in allowed:
                return NOT_THIS
        return size(buffer, start, end, seen) if have >= width else -(have + 1)

    return measure


def searcher(kinds_begins: Iterable[Sequence[frozenset[int] | None]]) -> Callable[[Buffer, int], int]:
    """find(buffer, start): the first position from `start` on where a kind's first bytes stand, in full or as far as
    the buffer goes; len(buffer) if there is none. One pass, whatever the kinds."""
    patterns = list(dict.fromkeys(_pattern(begins) for begins in kinds_begins))
    search = re.compile(b"|".join(patterns) if patterns else rb"(?!)", re.DOTALL).search

    def find(buffer: Buffer, start: int) -> int:
        found = search(buffer, start)
        return len(buffer) if found is None else found.start()

    return find


def sequence(values: Sequence[frozenset[int] | None]) -> bytes:
    """A regular expression (DOTALL) of bytes in order."""
    return b"".join(map(_one, values))


def _pattern(begins: Sequence[frozenset[int] | None]) -> bytes:
    """`a(?:b(?:c|\\Z)|\\Z)`: the bytes in order, or as many of them as the buffer has."""
    pattern = b""
    for allowed in reversed(begins):
        pattern = _one(allowed) + (b"(?:" + pattern + rb"|\Z)" if pattern else b"")
    return pattern


def _one(allowed: frozenset[int] | None) -> bytes:
    if allowed is None:
        return b"."
    codes = [b"\\x%02x" % value for value in sorted(allowed)]
    # A byte alone, not a class of one: the search then skips to the next such byte at the speed of C.
    return codes[0] if len(codes) == 1 else b"[" + b"".join(codes) + b"]" if codes else rb"(?!)"
