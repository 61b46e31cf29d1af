"""PRIOS telegrams of Diehl (IZAR radio modules): the content is mixed with a shift register, not encrypted with a key
that only the owner has. After the analysis that is public since 2018."""

from __future__ import annotations

from collections.abc import Mapping

from decoders.raw import manufacturer_bytes

_SEEDS = (0x39BC8A10 ^ 0xE66D83F8, 0x51728910 ^ 0xE66D83F8)  # of the two keys that all modules were made with
_MARK = 0x4B  # first byte of every content
_WORD = 0xFFFFFFFF


def prios_content(data: bytes, values: Mapping[str, int | str]) -> bytes:
    """Mixed bytes -> the content.

    values: what stands before them: `manufacturer` (three letters), and the raw integers `link_number` (little-endian),
    `version`, `type`, `ci` and `radio` (the four bytes behind CI, little-endian). Raises ValueError for bytes that are
    no content, KeyError when a value is not there.
    """
    head = manufacturer_bytes(str(values["manufacturer"])) + int(values["link_number"]).to_bytes(4, "little")
    head += bytes([int(values["version"]), int(values["type"]), int(values["ci"])])
    head += int(values["radio"]).to_bytes(4, "little")
    mixed = 0
    for place in (0, 4, 8):
        mixed ^= int.from_bytes(head[place : place + 4], "big")
    for seed in _SEEDS:
        content = _unmixed(data, mixed ^ seed)
        if content[:1] == bytes([_MARK]):
            return content
    raise ValueError("no content of a PRIOS telegram")


def _unmixed(data: bytes, register: int) -> bytes:
    content = bytearray()
    for byte in data:
        for _ in range(8):
            bit = (register >> 1 ^ register >> 2 ^ register >> 11 ^ register >> 31) & 1
            register = (register << 1 | bit) & _WORD
        content.append(byte ^ register & 0xFF)
    return bytes(content)
