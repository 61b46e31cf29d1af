"""The data types of the wire, read and written (section 1.5): integers, variable byte integers, strings, binary data.

Place in the walk: beneath the codec. Whatever is longer than its packet is malformed.
"""

from __future__ import annotations

from gateway.protocol.mqtt.packets import MqttError, ReasonCode

__all__ = ["MAX_VARIABLE", "Reader", "binary", "malformed", "text", "variable"]

MAX_VARIABLE = 268_435_455
"""Section 1.5.5: the largest variable byte integer."""


def malformed(detail: str) -> MqttError:
    return MqttError(ReasonCode.MALFORMED_PACKET, detail)


def _too_long() -> MqttError:
    return malformed("a field is longer than its packet")


class Reader:
    """Reads a packet's body, or a part of it. at: the next byte; end: behind the last one."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    @property
    def more(self) -> bool:
        return self.at < self.end

    def integer(self, size: int) -> int:
        """Big-endian, of that many bytes."""
        return int.from_bytes(self._take(size), "big")

    def byte(self) -> int:
        at = self.at
        if at == self.end:
            raise _too_long()
        self.at = at + 1
        return self.data[at]

    def variable(self) -> int:
        """Section 1.5.5; must be written as short as it can be (MQTT-1.5.5-1)."""
        value = self.byte()
        if value < 0x80:
            return value
        value &= 0x7F
        for shift in (7, 14, 21):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                if not byte:
                    raise malformed("a variable byte integer is longer than it needs to be")
                return value
        raise malformed("a variable byte integer has more than four bytes")

    def binary(self) -> bytes:
        """Section 1.5.6."""
        return self._take(self.integer(2))

    def text(self, what: str) -> str:
        """Section 1.5.4. what: what it is called, for the error."""
        try:
            read = self.binary().decode()
        except UnicodeDecodeError:
            raise malformed(f"{what} is not UTF-8") from None
        if "\0" in read:
            raise malformed(f"{what} holds U+0000")
        return read

    def rest(self) -> bytes:
        return self._take(self.end - self.at)

    def finish(self) -> None:
        """Says that nothing more belongs here."""
        if self.at != self.end:
            raise malformed("the packet is longer than what it says")

    def _take(self, size: int) -> bytes:
        start = self.at
        self.at = start + size
        if self.at > self.end:
            raise _too_long()
        return self.data[start : self.at]


def variable(value: int) -> bytes:
    """Section 1.5.5. Raises ValueError beyond MAX_VARIABLE."""
    if value < 0x80:
        return bytes((value,))
    if value > MAX_VARIABLE:
        raise ValueError(f"{value} is no variable byte integer")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def binary(value: bytes) -> bytes:
    """Section 1.5.6. Raises OverflowError beyond 65,535 bytes."""
    return len(value).to_bytes(2, "big") + value


def text(value: str) -> bytes:
    """Section 1.5.4. Raises OverflowError beyond 65,535 bytes."""
    return binary(value.encode())
