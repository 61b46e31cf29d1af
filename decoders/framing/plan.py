"""What a product's framing says, ready for the framer. Built by the compiler from the spec's `frame:` / `frames:`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(slots=True, frozen=True)
class LengthField:
    """Total size of the frame = ((field >> shift) & mask) * unit + add. `mask` 0 means all bits.

    offset, size: bytes from the start of the frame. big: byte order. stop: bytes that must stand at the frame's end.
    base: 0 for a binary integer; 10 or 16 for `size` ASCII digits of that base.
    """

    offset: int
    size: int
    big: bool = True
    add: int = 0
    mask: int = 0
    shift: int = 0
    unit: int = 1
    base: int = 0
    stop: bytes = b""


@dataclass(slots=True, frozen=True)
class StopBytes:
    """The frame ends with (and includes) the first of `stops` at or after `min_bytes - len(stop)`.

    tail: where one stop is not enough, the values that each of the last bytes may have (None: any), the stop's among
    them: the frame ends where all of these stand, such as `!` and four digits before the end of the line.
    """

    stops: tuple[bytes, ...]
    tail: tuple[frozenset[int] | None, ...] = ()


@dataclass(slots=True, frozen=True)
class FixedSize:
    size: int
    stop: bytes = b""


@dataclass(slots=True, frozen=True)
class ComputedSize:
    """`size(buffer)` gives the frame's total size, or None while the bytes it needs are not there yet, or -1 for
    "no frame". `buffer` starts at the frame's first byte."""

    size: Callable[[bytes | bytearray], int | None]
    stop: bytes = b""


@dataclass(slots=True, frozen=True)
class WholeChunk:
    """A datagram (MQTT, REST, one LoRaWAN payload): what arrives together is one frame."""


SizeRule: TypeAlias = LengthField | StopBytes | FixedSize | ComputedSize | WholeChunk


@dataclass(slots=True, frozen=True)
class Escape:
    """Byte stuffing: `mark` and the byte after it stand for one byte, by `table`. `raw_prefix` and `raw_suffix`
    bytes at the frame's ends (start and stop marks) are not stuffed. stuffed: the bytes that are sent as pairs;
    without them all that `table` stands for."""

    mark: int
    table: Mapping[int, int]
    raw_prefix: int = 0
    raw_suffix: int = 0
    stuffed: frozenset[int] = frozenset()


@dataclass(slots=True, frozen=True)
class HexText:
    """Between `raw_prefix` and `raw_suffix` bytes (start and stop marks) the frame is hex text of its bytes."""

    raw_prefix: int = 0
    raw_suffix: int = 0


Transcoding: TypeAlias = Escape | HexText
"""How a frame on the wire differs from the bytes that its rows read."""


@dataclass(slots=True, frozen=True)
class FrameKind:
    """One way in which a frame of the product looks.

    begins: for each of the first bytes the set of values it may have (None: any); () fits everything.
    min_bytes, max_bytes: limits of the whole frame as on the wire, start and stop included.
    """

    name: str
    index: int
    begins: tuple[frozenset[int] | None, ...]
    size: SizeRule
    min_bytes: int
    max_bytes: int
    escape: Transcoding | None = None
    text: bool = False  # blanks and line ends behind a frame that comes alone mean nothing
    delimiter: bytes = b""  # stands between frames of a stream; one that comes alone may lack it
    shared: int = -1  # the byte that is the start and the stop mark: one of them may stand between two frames
    # Whether the check values are right: asked of a kind without marks, and of a frame that shares its start mark.
    sound: Callable[[bytes], bool] | None = None


@dataclass(slots=True)
class Frame:
    """One complete device message as it stood on the wire."""

    kind: FrameKind
    wire: bytes


@dataclass(slots=True, frozen=True)
class Framing:
    """All frame kinds of a product, tried in order; the first whose `begins` fits is the frame's kind."""

    kinds: tuple[FrameKind, ...]
