"""A product's framing, compiled once and shared by all its connections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from decoders.framing.begins import after_begins, searcher, starts
from decoders.framing.computed_size import measure_computed_size
from decoders.framing.fixed_size import measure_fixed_size
from decoders.framing.length_field import measure_length_field
from decoders.framing.measure import Buffer, Measure
from decoders.framing.plan import (
    ComputedSize,
    FixedSize,
    FrameKind,
    Framing,
    LengthField,
    StopBytes,
    WholeChunk,
)
from decoders.framing.race import race
from decoders.framing.sound import not_between, only_sound
from decoders.framing.stop_bytes import measure_stop_bytes
from decoders.framing.whole_chunk import measure_whole_chunk, never_waits

MAX_CACHED = 256  # a bound for gateways that reload their specs for years; more products than this only compile anew

Candidates: TypeAlias = tuple[tuple[Measure, FrameKind], ...]


@dataclass(slots=True, frozen=True, eq=False)
class Matcher:
    """by_first: for each value of a first byte the kinds that may start so, in order.
    alone: the same for a frame that came alone, whose check value is no part of the question what it is.
    find: the next position where one may start, len(buffer) if none."""

    by_first: tuple[Candidates, ...]
    alone: tuple[Candidates, ...]
    find: Callable[[Buffer, int], int]


_cached: dict[int, tuple[Framing, Matcher]] = {}


def matcher_of(framing: Framing) -> Matcher:
    """The framing's matcher; the same object for the same framing."""
    # By identity: a framing holds mappings and functions and has no hash. The entry keeps it alive, so that no other
    # framing can get its id.
    entry = _cached.get(id(framing))
    if entry is None:
        entry = framing, _compile(framing)
        if len(_cached) >= MAX_CACHED:
            del _cached[next(iter(_cached))]
        _cached[id(framing)] = entry
    return entry[1]


def _compile(framing: Framing) -> Matcher:
    measured: list[tuple[Measure, FrameKind]] = []
    slot = 0
    for kind in framing.kinds:
        measured.append((_measure(kind, slot), kind))
        if isinstance(kind.size, StopBytes):
            slot += len(kind.size.stops)
    first_bytes = [starts(kind.begins) for kind in framing.kinds]
    alone, by_first = (
        tuple(
            _together(tuple(entry for entry, values in zip(entries, first_bytes, strict=True) if byte in values))
            for byte in range(256)
        )
        for entries in (measured, [(only_sound(measure, kind), kind) for measure, kind in measured])
    )
    # A chunk starts where it starts: nothing inside one is searched for its first bytes.
    searched = [kind.begins for kind in framing.kinds if not isinstance(kind.size, WholeChunk)]
    return Matcher(by_first, alone, searcher(searched))


def _together(candidates: Candidates) -> Candidates:
    """Where several of them end with a mark, each of these looks at the others."""
    ending = [measure for measure, kind in candidates if isinstance(kind.size, StopBytes)]
    if len(ending) < 2:
        return candidates
    return tuple(
        (race(ending, ending.index(measure)), kind) if isinstance(kind.size, StopBytes) else (measure, kind)
        for measure, kind in candidates
    )


def _measure(kind: FrameKind, slot: int) -> Measure:
    rule = kind.size
    match rule:
        case LengthField():
            size = measure_length_field(kind, rule)
        case StopBytes():
            size = measure_stop_bytes(kind, rule, slot)
        case FixedSize():
            size = measure_fixed_size(kind, rule)
        case ComputedSize():
            size = measure_computed_size(kind, rule)
        case WholeChunk():
            return never_waits(after_begins(kind.begins, measure_whole_chunk(kind)))
        case _:
            assert_never(rule)
    return not_between(after_begins(kind.begins, size), kind)
