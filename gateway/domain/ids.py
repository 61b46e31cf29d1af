"""Ids made from a clock and random bits that the caller brings."""

from __future__ import annotations


def uuid7(unix_ms: int, random_bits: int) -> str:
    """UUID version 7 (RFC 9562 section 5.7) from 48 bits of time and 74 random bits, in text form."""
    high = (unix_ms & 0xFFFFFFFFFFFF) << 16 | 0x7000 | (random_bits >> 62) & 0x0FFF
    low = 0x8000000000000000 | random_bits & 0x3FFFFFFFFFFFFFFF
    text = f"{high:016x}{low:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
