"""Bytes in, whole frames out: the first step of everything that a device sends over a stream."""

from __future__ import annotations

from operator import itemgetter

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.length_field import declared_bytes
from decoders.framing.matcher import matcher_of
from decoders.framing.measure import BAD_LENGTH, CANNOT, NO_STOP, NOT_THIS, RESTARTS, TOO_LONG, TOO_SHORT, Buffer
from decoders.framing.plan import ComputedSize, FixedSize, Frame, FrameKind, Framing, LengthField, WholeChunk


class Framer:
    """Cuts the byte stream of one connection.

    At each position the kinds are tried in order; the first one whose first bytes fit decides by its size rule. If
    none can start there (or a declared or reached length is beyond `max_bytes`, or stop bytes are missing), one byte
    is skipped and the next possible start is looked for. The frames do not depend on how the stream was split.
    Where one byte is start and stop mark, the stop of a frame is also the start of the next unless another one follows,
    if the check value of what begins there is right.
    Never raises on any bytes; holds at most the largest `max_bytes` between calls; time is linear in the bytes given.

    garbage: bytes skipped so far. garbage_run: bytes skipped since the last frame.
    overlong: starts dropped because the length, declared or reached without a stop, was beyond `max_bytes`.
    """

    __slots__ = (
        *("_by_first", "_find", "_held", "_need", "_reused", "_seen", "_shared"),
        *("garbage", "garbage_run", "overlong"),
    )

    def __init__(self, framing: Framing) -> None:
        matcher = matcher_of(framing)
        self._by_first = matcher.by_first
        self._find = matcher.find
        self._held: bytearray | None = None  # starts with the first byte of what may become a frame
        self._need = 0  # no answer about what is held before it has so many bytes
        self._seen: dict[int, int] = {}
        self._shared = -1  # the mark that the last byte was, if it may also start the next frame
        self._reused = False  # the first byte that is held stood in a frame before
        self.garbage = 0
        self.garbage_run = 0
        self.overlong = 0

    @property
    def buffered(self) -> int:
        """Bytes held now."""
        return 0 if self._held is None else len(self._held)

    def receive(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """The frames that `data` completes, in order. A frame that is `data` as a whole is not copied."""
        held = self._held
        buffer: Buffer
        if self._shared >= 0 and data:
            if data[0] != self._shared:
                held = self._held = bytearray((self._shared,))
                self._need, self._reused = 0, True
            self._shared = -1
        if held is None:
            buffer = data if type(data) is bytes else bytes(data)
            end = len(buffer)
            if end:  # the common case: one whole frame, and nothing else
                for measure, kind in self._by_first[buffer[0]]:
                    size = measure(buffer, 0, end, self._seen)
                    if size == end:
                        self.garbage_run = 0
                        self._shared = kind.shared
                        if self._seen:
                            self._seen.clear()
                        return [Frame(kind, buffer)]
                    if size != NOT_THIS:
                        break
        else:
            held += data
            if len(held) < self._need:
                return []
            buffer = held
        frames: list[Frame] = []
        start, end, seen, by_first = 0, len(buffer), self._seen, self._by_first
        reused = 0 if self._reused else -1  # where the mark of the frame before is taken as a start
        while start < end:
            too_long = False
            for measure, kind in by_first[buffer[start]]:
                size = measure(buffer, start, end, seen)
                if size > 0:
                    wire = bytes(buffer[start : start + size])
                    if start == reused and kind.sound is not None and not kind.sound(wire):
                        continue
                    frames.append(Frame(kind, wire))
                    start += size
                    self.garbage_run = 0
                    if kind.shared >= 0:
                        if start == end:
                            self._shared = kind.shared
                        elif buffer[start] != kind.shared:
                            start -= 1
                            reused = start
                    break
                if CANNOT < size < 0:
                    self._reused = start == reused
                    self._hold(buffer, start, -size)
                    return frames
                if size == TOO_LONG:
                    too_long = True
            else:
                self.overlong += too_long
                following = self._find(buffer, start + 1)
                skipped = following - start - (start == reused)
                self.garbage += skipped
                self.garbage_run += skipped
                start = following
        self._held = None
        self._reused = False
        if seen:
            seen.clear()
        return frames

    def finish(self) -> bytes:
        """What is left when the stream has ended: the start of a frame whose rest never came, or nothing."""
        left = b"" if self._held is None else bytes(self._held)
        self._held = None
        self._shared, self._reused = -1, False
        self._seen.clear()
        return left

    def _hold(self, buffer: Buffer, start: int, need: int) -> None:
        if isinstance(buffer, bytes):
            self._held = bytearray(buffer[start:])
        else:
            del buffer[:start]
        self._need = need
        if start and self._seen:
            kept = {place: at - start for place, at in self._seen.items() if at > start}
            self._seen.clear()
            self._seen.update(kept)


_BLANKS = b"\0 \t\r\n"
_REASONS = {
    NOT_THIS: DecodeCode.NOT_A_FRAME,
    TOO_LONG: DecodeCode.FRAME_TOO_LONG,
    TOO_SHORT: DecodeCode.TRUNCATED,
    BAD_LENGTH: DecodeCode.BAD_LENGTH,
    NO_STOP: DecodeCode.BAD_CONST,
    RESTARTS: DecodeCode.BAD_ESCAPE,
}


def cut(framing: Framing, data: bytes | bytearray | memoryview) -> Frame:
    """The one frame that `data` is, as it stood on the wire; decided as a Framer decides. Blanks and line ends behind
    a text frame are left out; a delimiter (`until:` of text formats) that it lacks is added.

    Raises DecodeError: TRUNCATED (says how many bytes it needs and has), TRAILING_BYTES (offset of the first extra
    one), FRAME_TOO_LONG, BAD_LENGTH (declares less than the frame must have), BAD_CONST (offset where the stop bytes
    should be), NOT_A_FRAME. Where several kinds could start so, the reason is that of the first.
    """
    wire = bytes(data)
    if not wire:
        least, kind = min(((kind.min_bytes, kind) for kind in framing.kinds), key=itemgetter(0))
        if least == 0:  # a payload of a product without frames may be empty
            return Frame(kind, wire)
        raise _truncated(least, 0)
    refused: tuple[int, FrameKind] | None = None
    need, waiting = 0, ""
    for measure, kind in matcher_of(framing).alone[wire[0]]:
        if need and kind.name != waiting:
            break
        size = measure(wire, 0, len(wire), {})
        if size == len(wire):
            return Frame(kind, wire)
        if size > 0 and kind.text and not wire[size:].strip(_BLANKS):
            return Frame(kind, wire[:size])
        if size > 0 and not need:
            detail = f"the frame ends after {size} bytes, {len(wire) - size} more follow"
            raise DecodeError(DecodeCode.TRAILING_BYTES, detail, offset=size)
        if CANNOT < size < 0:
            ended = _with_delimiter(wire, kind.delimiter)
            if ended != wire and measure(ended, 0, len(ended), {}) == len(ended):
                return Frame(kind, ended)
            need, waiting = need or max(-size, kind.min_bytes), kind.name
            continue  # the same without its optional trailer may be whole
        if refused is None and size != NOT_THIS:
            refused = size, kind
    if need:
        raise _truncated(need, len(wire))
    if refused is None:
        raise DecodeError(DecodeCode.NOT_A_FRAME, f"no frame starts with {wire[:8].hex(' ')}", offset=0)
    raise _refusal(*refused, wire)


def _with_delimiter(wire: bytes, delimiter: bytes) -> bytes:
    """The frame with what it lacks of the delimiter behind it."""
    there = next((size for size in range(len(delimiter), 0, -1) if wire.endswith(delimiter[:size])), 0)
    return wire + delimiter[there:]


def _truncated(need: int, have: int) -> DecodeError:
    return DecodeError(DecodeCode.TRUNCATED, f"need at least {need} bytes, have {have}", offset=have)


def _refusal(reason: int, kind: FrameKind, wire: bytes) -> DecodeError:
    size, offset = _stated_size(kind, wire)
    code = _REASONS[reason]
    if reason == TOO_LONG:
        stated = f"{size} bytes" if size is not None else "no end"
        return DecodeError(code, f"{stated}, at most {kind.max_bytes} allowed", offset=offset)
    if reason == NO_STOP and size is not None:
        stop = getattr(kind.size, "stop", b"")
        at = size - len(stop)
        found = wire[at:size].hex(" ")
        return DecodeError(code, f"stop bytes {stop.hex(' ')} expected, found {found}", offset=at)
    if reason == RESTARTS:
        return DecodeError(code, "a start mark stands inside, which cannot be content")
    if reason == TOO_SHORT:
        if len(wire) < kind.min_bytes:
            return _truncated(kind.min_bytes, len(wire))
        return DecodeError(code, f"the stop comes before byte {kind.min_bytes}, where the shortest frame ends")
    stated = f"length is {size} bytes" if size is not None and size > CANNOT else "length is no number"
    return DecodeError(code, f"the {stated}, at least {kind.min_bytes} needed", offset=offset)


def _stated_size(kind: FrameKind, wire: bytes) -> tuple[int | None, int | None]:
    """The size that the kind's rule gives, if it gives one without a search, and where it stands."""
    rule = kind.size
    if isinstance(rule, LengthField):
        return declared_bytes(rule)(wire, rule.offset), rule.offset
    if isinstance(rule, ComputedSize):
        return rule.size(wire), None
    if isinstance(rule, FixedSize):
        return rule.size, None
    return (len(wire), None) if isinstance(rule, WholeChunk) else (None, None)
