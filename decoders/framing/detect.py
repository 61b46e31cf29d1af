"""Which of several products speaks on a new connection: told by framing and the first sound frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from decoders.framing.framer import Framer
from decoders.framing.plan import Frame, Framing

MAX_GARBAGE = 1024


@dataclass(slots=True)
class Detection:
    """name: the candidate that it is. framer: its framer, holding what follows; the session goes on with it.
    frames: the first sound frame and those that the same bytes completed after it."""

    name: str
    framer: Framer
    frames: list[Frame]


@dataclass(slots=True)
class _Candidate:
    name: str
    framer: Framer
    unsound: int  # bytes of frames that were cut but are not sound

    @property
    def skipped(self) -> int:
        """Bytes that are no sound frame of this candidate."""
        return self.framer.garbage + self.unsound


class Detector:
    """Feeds every candidate until one of them cuts a frame that is `sound(name, frame)`.

    Among the candidates whose sound frame came with the same `receive`, the one that skipped least wins (what looks
    like a frame may stand inside another protocol's), then the earlier in the list. A frame that is not sound (wrong
    check value) does not exclude its candidate, but counts as skipped: a candidate that has skipped more than
    `max_garbage` bytes drops out. Each candidate holds at most its own `max_bytes`.

    failed: no candidate is left. garbage: bytes skipped by the candidate that skipped least.
    """

    __slots__ = ("_live", "_max_garbage", "_sound", "failed", "garbage")

    def __init__(
        self,
        candidates: Sequence[tuple[str, Framing]],
        sound: Callable[[str, Frame], bool],
        *,
        max_garbage: int = MAX_GARBAGE,
    ) -> None:
        self._live = [_Candidate(name, Framer(framing), 0) for name, framing in candidates]
        self._sound = sound
        self._max_garbage = max_garbage
        self.failed = not self._live
        self.garbage = 0

    @property
    def buffered(self) -> int:
        """Bytes held now by the candidate that holds most."""
        return max((candidate.framer.buffered for candidate in self._live), default=0)

    def receive(self, data: bytes | bytearray | memoryview) -> Detection | None:
        """The winner with its first frames, once; None while nobody has won. Nothing is to be received after that."""
        found: Detection | None = None
        least = 0
        for candidate in self._live:
            frames = candidate.framer.receive(data)
            for index, frame in enumerate(frames):
                if self._sound(candidate.name, frame):
                    if found is None or candidate.skipped < least:
                        found = Detection(candidate.name, candidate.framer, frames[index:])
                        least = candidate.skipped
                    break
                candidate.unsound += len(frame.wire)
            if found is not None and not least:
                break
        if found is not None:
            self.garbage = least
            return found
        if self._live:
            skipped = [candidate.skipped for candidate in self._live]
            self.garbage = min(skipped)
            pairs = zip(self._live, skipped, strict=True)
            self._live = [candidate for candidate, count in pairs if count <= self._max_garbage]
            self.failed = not self._live
        return None
