"""Content that is written otherwise between the frame's marks: byte stuffing, hex text. After the framer, before the
layout; and back."""

from __future__ import annotations

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.framing.plan import HexText, Transcoding

_HEX = frozenset(b"0123456789abcdefABCDEF \t\r\n\v\f")
_SINGLE = tuple(bytes((value,)) for value in range(256))


def unescape(escape: Transcoding, wire: bytes) -> bytes:
    """The frame with each pair replaced by the byte it stands for; `wire` itself if it has none. Of hex text the bytes,
    between the marks as they are.

    Raises DecodeError BAD_ESCAPE, with the mark's offset in `wire`, where the byte after a mark is missing or not in
    the table; BAD_VALUE for what is no hex text.
    """
    if isinstance(escape, HexText):
        return _from_hex(escape, wire)
    mark, table = escape.mark, escape.table
    end = len(wire) - escape.raw_suffix
    at = wire.find(mark, escape.raw_prefix, end)
    if at < 0:
        return wire
    # Pair by pair from the left. Replacing first all of one pair, then all of the next, is wrong for some tables:
    # 7D 01 02 is 7D and 02, but 7D 01 replaced first leaves 7D 02, another pair.
    content = bytearray(wire[:at])
    while True:
        value = table.get(wire[at + 1]) if at + 1 < end else None
        if value is None:
            raise _bad_escape(wire, at, end)
        content.append(value)
        following = at + 2
        at = wire.find(mark, following, end)
        if at < 0:
            break
        content += wire[following:at]
    content += wire[following:]
    return bytes(content)


def _from_hex(escape: HexText, wire: bytes) -> bytes:
    end = max(len(wire) - escape.raw_suffix, escape.raw_prefix)
    try:
        content = bytes.fromhex(wire[escape.raw_prefix : end].decode("ascii"))
    except ValueError as error:
        at = next((place for place in range(escape.raw_prefix, end) if wire[place] not in _HEX), None)
        raise DecodeError(DecodeCode.BAD_VALUE, f"the frame is no hex text: {error}", offset=at) from None
    return wire[: escape.raw_prefix] + content + wire[end:]


def stuff(escape: Transcoding, data: bytes) -> bytes:
    """The inverse: every byte that the table stands for, marks included, becomes its pair. Hex text has upper case.

    Raises EncodeError if the content holds the mark and the table has no pair for it.
    """
    if isinstance(escape, HexText):
        end = max(len(data) - escape.raw_suffix, escape.raw_prefix)
        return data[: escape.raw_prefix] + data[escape.raw_prefix : end].hex().upper().encode() + data[end:]
    prefix = min(escape.raw_prefix, len(data))
    end = max(len(data) - escape.raw_suffix, prefix)
    content = data[prefix:end]
    for value in escape.stuffed or (escape.mark, *escape.table.values()):
        if value in content:
            break
    else:
        return data
    pairs: dict[int, bytes] = {}
    for follow, value in escape.table.items():
        if not escape.stuffed or value in escape.stuffed:
            pairs.setdefault(value, bytes((escape.mark, follow)))
    if escape.mark not in pairs and escape.mark in content:
        raise EncodeError("", f"byte {escape.mark:02x} cannot be sent: the escape table has no pair for it")
    stuffed = b"".join([pairs.get(byte) or _SINGLE[byte] for byte in content])
    return data[:prefix] + stuffed + data[end:]


def _bad_escape(wire: bytes, at: int, end: int) -> DecodeError:
    after = f"followed by {wire[at + 1]:02x}" if at + 1 < end else "at the end of the content"
    return DecodeError(DecodeCode.BAD_ESCAPE, f"escape byte {wire[at]:02x} {after}", offset=at)
