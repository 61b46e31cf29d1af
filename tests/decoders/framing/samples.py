"""Framings of the kinds that products have, with frames of each and bytes that start none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest

from decoders.framing.framer import Framer
from decoders.framing.plan import (
    ComputedSize,
    Escape,
    FixedSize,
    Frame,
    FrameKind,
    Framing,
    LengthField,
    SizeRule,
    StopBytes,
)


def begins(*values: int | Iterable[int] | None) -> tuple[frozenset[int] | None, ...]:
    return tuple(None if value is None else frozenset({value} if isinstance(value, int) else value) for value in values)


def framing(*kinds: tuple[str, tuple[frozenset[int] | None, ...], SizeRule, int, int]) -> Framing:
    return Framing(tuple(FrameKind(kind[0], index, *kind[1:]) for index, kind in enumerate(kinds)))


def wifi_size(buffer: bytes | bytearray) -> int | None:
    """A tracker's Wi-Fi message: its third byte counts access points, not bytes."""
    return 12 + buffer[2] * 7 if len(buffer) > 2 else None


def modbus_size(buffer: bytes | bytearray) -> int | None:
    """A Modbus RTU response: by function; 3 and 4 say how many data bytes follow."""
    if len(buffer) < 2:
        return None
    if buffer[1] in (3, 4):
        return 5 + buffer[2] if len(buffer) > 2 else None
    return {6: 8, 16: 8, 0x83: 5}.get(buffer[1], -1)


GT06 = framing(
    ("wifi", begins(0x78, 0x78, range(0x15), (0x17, 0x69)), ComputedSize(wifi_size, b"\r\n"), 12, 152),
    ("short", begins(0x78, 0x78), LengthField(2, 1, add=5, stop=b"\r\n"), 10, 260),
    ("long", begins(0x79, 0x79), LengthField(2, 2, add=6, stop=b"\r\n"), 11, 2048),
)
JT808 = Framing(
    (FrameKind("message", 0, begins(0x7E), StopBytes((b"\x7e",)), 15, 200, Escape(0x7D, {1: 0x7D, 2: 0x7E}, 1, 1)),)
)
TELTONIKA = framing(
    ("login", begins(0, range(0x0F, 0x12)), LengthField(0, 2, add=2), 17, 19),
    ("data", begins(0, 0, 0, 0), LengthField(4, 4, add=12), 13, 1300),
)
MODBUS = framing(("response", begins(None, (3, 4, 6, 16, 0x83)), ComputedSize(modbus_size), 5, 256))
H02 = framing(
    ("text", begins(*b"*HQ,"), StopBytes((b"#",)), 10, 300),
    ("binary", begins(0x24), FixedSize(32), 32, 32),
)
GPS103 = framing(
    ("login", begins(*b"##"), StopBytes((b";",)), 10, 200),
    ("position", begins(*b"imei:"), StopBytes((b";",)), 10, 200),
    ("heartbeat", begins(range(0x30, 0x3A)), StopBytes((b";",)), 16, 16),
)
LINES = framing(("line", begins(range(0x20, 0x7F)), StopBytes((b"\r\n", b"\n")), 2, 80))
CRLF = framing(("line", begins(0x24), StopBytes((b"\r\n",)), 3, 80))
FIXED = framing(("fixed", begins(0xA5), FixedSize(6, b"\x5a"), 6, 6))
DIGITS = framing(("sized", begins(0x24), LengthField(1, 4, add=5, base=10), 5, 100))


@dataclass(frozen=True)
class Sample:
    framing: Framing
    frames: tuple[tuple[str, bytes], ...]
    garbage: bytes  # values that start nothing


SAMPLES = {
    "gt06": Sample(
        GT06,
        (
            ("short", bytes.fromhex("7878 0d01 0123456789012345 0001 8cdd 0d0a")),
            ("short", bytes.fromhex("7878 05 13 0002 8cdd 0d0a")),
            ("long", bytes.fromhex("7979 0008 94 040506 0003 1234 0d0a")),
            ("long", b"\x79\x79\x07\xd0" + bytes(2000) + b"\r\n"),
            ("wifi", b"\x78\x78\x02\x69" + bytes(20) + b"\r\n"),
        ),
        b"\r\n\0\x01",
    ),
    "jt808": Sample(
        JT808,
        (
            ("message", b"\x7e" + bytes(range(1, 20)) + b"\x7e"),
            ("message", b"\x7e\x02\x00\x7d\x02\x7d\x01" + bytes(10) + b"\x7e"),
        ),
        b"\r\n\0\x7d",
    ),
    "teltonika": Sample(
        TELTONIKA,
        (
            ("login", b"\x00\x0f356307042441013"),
            ("data", bytes(4) + (20).to_bytes(4, "big") + bytes(range(20)) + b"\0\0\xab\xcd"),
            ("data", bytes(4) + (1200).to_bytes(4, "big") + bytes(1204)),
        ),
        b"\r\n\xff",
    ),
    "modbus": Sample(
        MODBUS,
        (
            ("response", bytes.fromhex("11 03 04 0001 0002 abcd")),
            ("response", bytes.fromhex("11 83 02 abcd")),
            ("response", bytes.fromhex("11 06 0001 0002 abcd")),
        ),
        b"\r\n\0\xff",
    ),
    "h02": Sample(
        H02,
        (
            ("text", b"*HQ,4209917484,V1,054204,A,3724.8319,N,00555.1124,W,000.00,000,280715,FFFFFBFF#"),
            ("text", b"*HQ,1234#####"[:10]),
            ("binary", b"$" + bytes(range(31))),
        ),
        b"\r\n\0;",
    ),
    "gps103": Sample(
        GPS103,
        (
            ("login", b"##,imei:359587010124900,A;"),
            ("position", b"imei:359587010124900,tracker,0809231929,13554900601,F,112909.397,A,2234.4669,N,1,E,0,;"),
            ("heartbeat", b"359587010124900;"),
        ),
        b"\r\n\0;",
    ),
    "lines": Sample(LINES, (("line", b"hello, world\r\n"), ("line", b"x\n"), ("line", b"x" * 79 + b"\n")), b"\r\n\0"),
    "crlf": Sample(CRLF, (("line", b"$GPRMC,1\r\n"), ("line", b"$\r,\n\r\r\n")), b"\r\n\0"),
    "fixed": Sample(FIXED, (("fixed", b"\xa5\1\2\3\4\x5a"), ("fixed", b"\xa5\xa5\xa5\x5a\x5a\x5a")), b"\r\n\0\x5a"),
    "digits": Sample(DIGITS, (("sized", b"$0003abc"), ("sized", b"$0000")), b"\r\n\0009"),
}
CASES = [pytest.param(s, n, w, id=f"{name}-{i}") for name, s in SAMPLES.items() for i, (n, w) in enumerate(s.frames)]
each_sample = pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
each_frame = pytest.mark.parametrize(("sample", "name", "wire"), CASES)


def named(frames: Iterable[Frame]) -> list[tuple[str, bytes]]:
    return [(frame.kind.name, frame.wire) for frame in frames]


def feed(framer: Framer, chunks: Iterable[bytes]) -> list[tuple[str, bytes]]:
    return [frame for chunk in chunks for frame in named(framer.receive(chunk))]


def octets(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]
