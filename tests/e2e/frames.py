"""Frames as devices build them, made here without the product's own encoders and check values."""

from __future__ import annotations

from crccheck.crc import CrcArc, CrcModbus, CrcX25

# concox_gt06


def gt06(kind: int, body: bytes = b"", serial: int = 1) -> bytes:
    """78 78 | length | kind | body | serial | CRC | 0D 0A. An answer is such a frame without a body."""
    inner = bytes([len(body) + 5, kind]) + body + serial.to_bytes(2)
    check: int = CrcX25.calc(inner)
    return b"\x78\x78" + inner + check.to_bytes(2) + b"\x0d\x0a"


def gt06_login(imei: str, serial: int = 1, zone_s: int = 0) -> bytes:
    """zone_s: how far east of UTC the device's clock is; said only if it is not UTC."""
    zone = b""
    if zone_s:
        hours, minutes = divmod(abs(zone_s) // 60, 60)
        zone = bytes(2) + ((hours * 100 + minutes) << 4 | (8 if zone_s < 0 else 0)).to_bytes(2)
    return gt06(0x01, bytes.fromhex(imei.zfill(16)) + zone, serial)


def gt06_answer(frame: bytes) -> bytes:
    """The acknowledgement of a short frame: its kind and serial."""
    return gt06(frame[3], serial=int.from_bytes(frame[-6:-4]))


def gt06_heartbeat(serial: int, battery_percent: int = 80) -> bytes:
    return gt06(0x13, bytes([0, battery_percent, 4, 0, 1]), serial)


# teltonika_codec8


def teltonika_login(imei: str) -> bytes:
    return len(imei).to_bytes(2) + imei.encode()


def teltonika(codec: int, count: int, body: bytes) -> bytes:
    """Preamble, length, codec, count, body, count, CRC-16/ARC in four bytes."""
    inner = bytes([codec, count]) + body + bytes([count])
    check: int = CrcArc.calc(inner)
    return bytes(4) + len(inner).to_bytes(4) + inner + check.to_bytes(4)


def teltonika_position(unix_ms: int) -> bytes:
    """Codec 8 with one record, at sea off Ghana, and no further values."""
    place = bytes(4) + bytes(4) + bytes(2) + bytes(2) + b"\x07" + bytes(2)
    return teltonika(0x08, 1, unix_ms.to_bytes(8) + b"\x00" + place + bytes(6))


# jtt_808


def jtt808(kind: int, phone: bytes, body: bytes = b"", serial: int = 0) -> bytes:
    """7E | kind | properties | [version] | phone | serial | body | XOR | 7E, escaped.

    phone: 6 bytes, or 10 since 2019.
    """
    newer = len(phone) == 10
    properties = len(body) | (1 << 14 if newer else 0)
    inner = kind.to_bytes(2) + properties.to_bytes(2) + (b"\x01" if newer else b"") + phone + serial.to_bytes(2) + body
    check = 0
    for byte in inner:
        check ^= byte
    escaped = (inner + bytes([check])).replace(b"\x7d", b"\x7d\x01").replace(b"\x7e", b"\x7d\x02")
    return b"\x7e" + escaped + b"\x7e"


def jtt808_header(frame: bytes) -> tuple[int, bytes, int]:
    """Kind, phone and serial of a frame."""
    inner = frame[1:-1].replace(b"\x7d\x02", b"\x7e").replace(b"\x7d\x01", b"\x7d")
    newer = inner[2] & 0x40
    phone = inner[5:15] if newer else inner[4:10]
    after = 15 if newer else 10
    return int.from_bytes(inner[:2]), phone, int.from_bytes(inner[after : after + 2])


def jtt808_login(phone: bytes, serial: int = 1) -> bytes:
    """Authentication (0102) with the code that registration gave."""
    code = phone.hex().encode()
    body = bytes([len(code)]) + code + bytes(15) + bytes(20) if len(phone) == 10 else code
    return jtt808(0x0102, phone, body, serial)


def jtt808_answer(frame: bytes, result: int = 0) -> bytes:
    """What the platform answers: to a registration the device's id as its code, to others the general answer."""
    kind, phone, serial = jtt808_header(frame)
    if kind == 0x0100:
        digits = phone.hex().lstrip("0") if len(phone) == 10 else phone.hex()
        return jtt808(0x8100, phone, serial.to_bytes(2) + b"\x00" + digits.encode())
    return jtt808(0x8001, phone, serial.to_bytes(2) + kind.to_bytes(2) + bytes([result]))


# example_thermo


def thermo(kind: int, body: bytes = b"", serial: int = 1) -> bytes:
    """A5 | length | kind | body | serial | CRC-16/MODBUS, low byte first."""
    inner = bytes([len(body) + 5, kind]) + body + serial.to_bytes(2)
    check: int = CrcModbus.calc(inner)
    return b"\xa5" + inner + check.to_bytes(2, "little")


def thermo_login(hub: str, serial: int = 1) -> bytes:
    return thermo(0x01, bytes.fromhex(hub) + b"1.4.2", serial)


def thermo_status(rpm: int, serial: int = 1) -> bytes:
    """26.3 °C, 3.3 V, 0.5 mm/s and so many turns a minute."""
    return thermo(0x02, (263).to_bytes(2) + rpm.to_bytes(2) + (3300).to_bytes(2) + b"\x0a\x0e", serial)


def thermo_answer(serial: int = 1) -> bytes:
    return thermo(0x06, b"", serial)
