"""Kinds of frames that begin alike and end with different marks: the mark that comes first says which kind it is.

A telegram that ends with `!` and a line end, or with `!`, a check value and a line end, cannot be told by its first
bytes. So such kinds are measured together. The outcome does not depend on how the stream was split: a mark that was
found stays the first one, whatever comes behind it.
"""

from __future__ import annotations

from collections.abc import Sequence

from decoders.framing.measure import CANNOT, NOT_THIS, Buffer, Measure, Seen


def race(measures: Sequence[Measure], own: int) -> Measure:
    """The measure of one of several kinds with end marks: a whole frame only where none of the others ends earlier;
    "ask again" only while none has ended. Of two that end at the same place the first kind wins."""
    mine = measures[own]
    others = [(other, index < own) for index, other in enumerate(measures) if index != own]

    def measure(buffer: Buffer, start: int, end: int, seen: Seen) -> int:
        size = mine(buffer, start, end, seen)
        if size <= CANNOT or size == NOT_THIS:
            return size
        for other, goes_first in others:
            theirs = other(buffer, start, end, seen)
            if theirs > 0 and (size < 0 or theirs < size or (theirs == size and goes_first)):
                return NOT_THIS  # that kind takes the frame
            if size < 0 and CANNOT < theirs < 0:
                size = max(size, theirs)
        return size

    return measure
