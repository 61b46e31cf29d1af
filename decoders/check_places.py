"""Check values in a frame: where they stand, how they are written, whether they are right.

Below the codecs: the reference codec and the encoder use places, the generated codec puts the same functions into its
code. All offsets are those of the frame without byte stuffing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from decoders.checksum import Checksum, checksum
from decoders.layout import BytesWire, IntWire, MessageLayout, Node, Nodes, Span, Value, fixed_size, least_size


def running_difference(node: Value, raw: int | str, covered: bytes) -> str:
    """What is wrong with a check value that stands behind the bytes it covers, in words; "" when it is right. raw: the
    integer or the digits that the frame has."""
    assert node.check is not None
    algorithm = checksum(node.check.algorithm)
    value, size = algorithm.function(covered), node.wire.size
    if isinstance(node.wire, IntWire) and isinstance(raw, int):
        value &= (1 << 8 * node.wire.size) - 1
        return "" if raw == value else f"{algorithm.name} is 0x{value:x}, the frame says 0x{raw:x}"
    expected = written_check(value, node.check.written, size if isinstance(size, int) else 0)
    return "" if str(raw).upper() == expected.upper() else f"{algorithm.name} is {expected}, the frame says {raw}"


def written_check(value: int, written: str, digits: int) -> str:
    """A check value as text of so many digits, hexadecimal in upper case; of a longer one the last digits."""
    text = f"{value:0{digits}d}" if written == "decimal" else f"{value:0{digits}X}"
    return text[-digits:]


@dataclass(slots=True, frozen=True)
class CheckPlace:
    """Where a check value stands: `offset` bytes from the frame's start, or (`from_end`) before its end.

    written: `hex`, `HEX` or `decimal` for digits, else an integer. flag: a wrong one does not refuse the frame.
    """

    name: str
    algorithm: Checksum
    wire: IntWire | BytesWire
    span: Span
    offset: int
    from_end: bool
    written: str = ""
    flag: bool = False

    @property
    def size(self) -> int:
        return self.wire.size if isinstance(self.wire.size, int) else 0

    def at(self, data: bytes | bytearray) -> int:
        return len(data) - self.offset if self.from_end else self.offset

    def difference(self, data: bytes | bytearray) -> str:
        """What is wrong, in words; "" when the check value is right or not there."""
        place = self.at(data)
        stored = bytes(data[place : place + self.size]) if place >= 0 else b""
        if len(stored) < self.size:
            return ""
        expected = self._bytes(self.algorithm.function(bytes(data[self.span.of(len(data))])))
        if self.written:
            if stored.upper() == expected.upper():
                return ""
            return f"{self.algorithm.name} is {expected.decode()}, the frame says {stored.decode('ascii', 'replace')}"
        if stored == expected:
            return ""
        big = isinstance(self.wire, IntWire) and self.wire.big
        right, wrong = (part.hex() if big else part[::-1].hex() for part in (expected, stored))
        return f"{self.algorithm.name} is 0x{right}, the frame says 0x{wrong}"

    def store(self, data: bytearray) -> None:
        """Writes the right value. Raises OverflowError for a frame that has no room for it."""
        place = self.at(data)
        if not 0 <= place <= len(data) - self.size:
            raise OverflowError("the frame is too short for its check value")
        value = self.algorithm.function(bytes(data[self.span.of(len(data))]))
        data[place : place + self.size] = self._bytes(value)

    def _bytes(self, value: int) -> bytes:
        if isinstance(self.wire, IntWire):
            value &= (1 << 8 * self.wire.size) - 1
            return value.to_bytes(self.wire.size, "big" if self.wire.big else "little")
        text = written_check(value, self.written, self.size)
        return (text.lower() if self.written == "hex" else text).encode()


def frame_checks(header: Nodes, trailer: Nodes, trailer_size: int) -> list[CheckPlace]:
    """The check values of header and trailer."""
    places = []
    offset = 0
    for node in header:
        if isinstance(node, Value) and node.check is not None and not node.check.running:
            places.append(_place(node, offset, from_end=False))
        offset += least_size((node,))
    left = trailer_size
    for node in trailer:
        if isinstance(node, Value) and node.check is not None:
            places.append(_place(node, left, from_end=True))
        left -= least_size((node,))
    return places


def checks_within(message: MessageLayout) -> list[CheckPlace]:
    """The check values among the rows of a message, where their place is fixed from one of the frame's ends."""
    places = []
    for index, node in enumerate(message.body):
        if isinstance(node, Value) and node.check is not None:
            found = place_in(message.header, message.body, index, message.trailer_size, skip_rest=message.skip_rest)
            if found is not None:
                places.append(_place(node, found[0], from_end=found[1]))
    return places


def place_in(
    header: Nodes, body: Sequence[Node], index: int, trailer_size: int, *, skip_rest: bool = False
) -> tuple[int, bool] | None:
    """Offset of a node of the body from the frame's start, or (True) of its start before the frame's end. skip_rest:
    the body may go on behind its nodes."""
    before = fixed_size((*header, *body[:index]))
    if before is not None:
        return before, False
    behind = None if skip_rest else fixed_size(body[index:])
    return None if behind is None else (behind + trailer_size, True)


def _place(node: Value, offset: int, *, from_end: bool) -> CheckPlace:
    check = node.check
    assert check is not None
    assert isinstance(node.wire, IntWire | BytesWire)
    algorithm = checksum(check.algorithm)
    return CheckPlace(node.name, algorithm, node.wire, check.span, offset, from_end, check.written, check.flag)


def fill_in(places: Sequence[CheckPlace], data: bytearray) -> None:
    """Writes all check values. One may cover another, in any order: the last round has all of them right."""
    for _ in places:
        for place in places:
            place.store(data)
