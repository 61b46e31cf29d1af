"""Stand-ins for the neighbours of sessions and faces: a product that speaks lines of text, and an outbox that settles
when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.errors import DecodeCode, DecodeError
from decoders.framing.plan import Frame, FrameKind, Framing, StopBytes
from decoders.plan import Decoded, MessagePlan, StructurePlan
from decoders.product import CompiledProduct
from decoders.types import Identity, RecordPart, SessionContext
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State


def message_plan(name: str, record: str = "telemetry", **more: Any) -> MessagePlan:
    return MessagePlan(name, record, **({"login": False} | more))


LOGIN = message_plan("login", "none", login=True)
DATA = message_plan("data")
CHILD_DATA = message_plan("child_data", whole=StructurePlan(identities=(("child", "id"),)))
HEARTBEAT = message_plan("heartbeat", "none")


class LineProduct(CompiledProduct):
    """A product of text lines. Its replies are the line's letter in lower case and what stood behind it.

    `L<id>` login, `G<id>` login of a hub, `D<n>` data, `H` heartbeat, `C<child>=<n>` data of a child, `I<id>=<n>` data
    that names its device, `P<n>` data with a reply of n bytes, `U` a message nobody knows, `X` a wrong check value,
    `E` an error of ours.
    """

    def __init__(self, product_id: str = "line", letters: bytes = b"LGDHCIPUXE", max_bytes: int = 64) -> None:
        self.id = product_id
        self.version = 3
        self.digest = product_id
        kind = FrameKind("line", 0, (frozenset(letters),), StopBytes((b"\n",)), 2, max_bytes)
        self.framing = Framing((kind,))
        self.decoded = 0

    def decode(self, frame: Frame, context: SessionContext) -> Decoded:
        self.decoded += 1
        line = frame.wire[:-1].decode("latin-1")
        letter, rest = line[0], line[1:]
        values: dict[str, Any] = {"letter": letter, "text": rest}
        match letter:
            case "X":
                raise DecodeError(DecodeCode.BAD_CHECK, "check value differs", values=values)
            case "U":
                raise DecodeError(DecodeCode.UNKNOWN_MESSAGE, "nobody knows", values=values)
            case "E":
                raise RuntimeError("an error of ours")
            case "L" | "G":
                return Decoded(LOGIN, values)
            case "H":
                return Decoded(HEARTBEAT, values)
            case "C" | "I":
                values["id"], _, values["text"] = rest.partition("=")
        values["zone_s"] = context.zone_s
        return Decoded(CHILD_DATA if letter == "C" else DATA, values)

    def sound(self, frame: Frame) -> bool:
        return frame.wire[:1] not in b"XU"

    def identity(self, decoded: Decoded) -> Identity | None:
        values = decoded.values
        match values["letter"]:
            case "L":
                return Identity(device_id=values["text"])
            case "G":
                return Identity(hub_id=values["text"])
            case "I":
                return Identity(device_id=values["id"])
            case "C":
                return Identity(child_id=values["id"])
        return None

    def answers(self, message: str) -> bool:
        return message == "heartbeat"

    def login(self, decoded: Decoded) -> Identity | None:
        return self.identity(decoded)

    def remember(self, decoded: Decoded, context: SessionContext) -> None:
        context.values["logged_in_with"] = decoded.values["letter"]

    def replies(
        self,
        message: str,
        values: Mapping[str, Any],
        context: SessionContext,
        now_ms: int,
        kind: int = -1,
        left_out: list[str] | None = None,
    ) -> list[bytes]:
        if values["letter"] == "P":
            return [b"p" * int(values["text"])]
        return [f"{values['letter'].lower()}{values['text']}\n".encode("latin-1")]

    def parts(self, decoded: Decoded) -> list[RecordPart]:
        values = decoded.values
        metrics: dict[str, Any] = {"n": values["text"]}
        if values["zone_s"] is not None:
            metrics["zone_s"] = values["zone_s"]
        return [RecordPart(metrics)]


@dataclass(slots=True)
class Kept:
    """What a receipt promises."""

    receipt: Receipt
    records: Sequence[Record]
    letter: DeadLetter | None = None
    states: Sequence[State] = ()


class FakeOutbox:
    """Implements OutboxPort. With `hold` set nothing settles before `settle_all` or a test's own `finish`."""

    def __init__(self, *, hold: bool = False) -> None:
        self.hold = hold
        self.room = True
        self.kept: list[Kept] = []
        self.waiting: list[Receipt] = []
        self.followed: list[tuple[Receipt, Receipt]] = []  # copies, each with its first; the test settles them
        self.again: list[str] = []  # sinks that records were put for again
        self.callbacks: list[Callable[[bool], None]] = []

    def has_room(self) -> bool:
        return self.room

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        self.kept.append(Kept(receipt, records, states=states))
        self._later(receipt, Outcome.ACCEPTED)

    def follow(self, receipt: Receipt, first: Receipt) -> None:
        self.followed.append((receipt, first))

    def put_again(self, receipt: Receipt, record: Record, sink: str) -> None:
        self.again.append(sink)
        self.put(receipt, [record])

    def put_dead_letter(self, receipt: Receipt, letter: DeadLetter, states: Sequence[State] = ()) -> None:
        self.kept.append(Kept(receipt, [], letter, states))
        receipt.reason = letter.reason
        self._later(receipt, Outcome.DEAD_LETTERED)

    def settle(self, receipt: Receipt, outcome: Outcome, reason: str = "") -> None:
        assert receipt.outcome is None, "settled twice"
        receipt.outcome = outcome
        receipt.reason = reason or receipt.reason
        if receipt.on_settled is not None:
            receipt.on_settled(receipt)

    def on_room(self, callback: Callable[[bool], None]) -> None:
        self.callbacks.append(callback)

    # For tests

    @property
    def records(self) -> list[Record]:
        return [record for kept in self.kept for record in kept.records]

    @property
    def letters(self) -> list[DeadLetter]:
        return [kept.letter for kept in self.kept if kept.letter is not None]

    def set_room(self, has_room: bool) -> None:
        self.room = has_room
        for callback in self.callbacks:
            callback(has_room)

    def settle_all(self) -> None:
        """Settles what waits, oldest first, also what settling brings in."""
        while self.waiting:
            receipt = self.waiting.pop(0)
            self.settle(receipt, Outcome.DEAD_LETTERED if receipt.reason else Outcome.ACCEPTED)

    def _later(self, receipt: Receipt, outcome: Outcome) -> None:
        if self.hold:
            self.waiting.append(receipt)
        else:
            self.settle(receipt, outcome)


class FakeTap:
    """Implements FrameTap."""

    def __init__(self, *, enabled: bool = False) -> None:
        self.enabled = enabled
        self.seen: list[tuple[str, bytes, str]] = []

    def frame(self, session_id: str, direction: str, data: bytes, note: str) -> None:
        self.seen.append((direction, data, note))


class FakeClock:
    """Both clocks, moved by the test."""

    def __init__(self, start_ms: int = 1_772_323_200_000) -> None:
        self.now_ms = start_ms

    def unix_ms(self) -> int:
        return self.now_ms

    def steady_ms(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)
