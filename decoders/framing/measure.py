"""The question that every size rule answers: does a whole frame start here? Asked by the framer, once a position."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray

Seen: TypeAlias = dict[int, int]
"""What searches of this buffer have learnt: slot of a stop -> position before which it does not begin."""

Measure: TypeAlias = Callable[[Buffer, int, int, Seen], int]
"""measure(buffer, start, end, seen), with `end` = len(buffer) > `start`:

n > 0            a whole frame of n bytes starts at `start`
CANNOT < n < 0   it may become one: ask again when -n bytes are there, counted from `start`
else             no frame of this kind starts there, and why: one of the constants below

An answer other than "ask again" never changes when more bytes arrive: that is what makes the frames independent of
how the stream was split. No answer is an exception.
"""

NOT_THIS = 0  # the first bytes are not those of the kind, or the product says "no frame"
CANNOT = -(1 << 60)
TOO_LONG = CANNOT - 1  # declared, or reached without a stop: more than max_bytes
TOO_SHORT = CANNOT - 2  # ends before min_bytes
BAD_LENGTH = CANNOT - 3  # declares less than the frame must have, or what is no number
NO_STOP = CANNOT - 4  # the stop bytes are not where the length says
RESTARTS = CANNOT - 5  # a start mark that cannot be content stands inside: the frame before it was cut off
UNSOUND = CANNOT - 6  # a kind without marks: the check value does not fit, so that nothing begins there
