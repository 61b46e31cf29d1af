"""Byte stuffing: content that must not hold the frame's marks. After the framer, before the layout; and back."""

from __future__ import annotations

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.framing.plan import Escape

_SINGLE = tuple(bytes((value,)) for value in range(256))


def unescape(escape: Escape, wire: bytes) -> bytes:
    """The frame with each pair replaced by the byte it stands for; `wire` itself if it has none.

    Raises DecodeError BAD_ESCAPE, with the mark's offset in `wire`, where the byte after a mark is missing or not in
    the table.
    """
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


def stuff(escape: Escape, data: bytes) -> bytes:
    """The inverse: every byte that the table stands for, marks included, becomes its pair.

    Raises EncodeError if the content holds the mark and the table has no pair for it.
    """
    prefix = min(escape.raw_prefix, len(data))
    end = max(len(data) - escape.raw_suffix, prefix)
    content = data[prefix:end]
    for value in (escape.mark, *escape.table.values()):
        if value in content:
            break
    else:
        return data
    pairs: dict[int, bytes] = {}
    for follow, value in escape.table.items():
        pairs.setdefault(value, bytes((escape.mark, follow)))
    if escape.mark not in pairs and escape.mark in content:
        raise EncodeError("", f"byte {escape.mark:02x} cannot be sent: the escape table has no pair for it")
    stuffed = b"".join([pairs.get(byte) or _SINGLE[byte] for byte in content])
    return data[:prefix] + stuffed + data[end:]


def _bad_escape(wire: bytes, at: int, end: int) -> DecodeError:
    after = f"followed by {wire[at + 1]:02x}" if at + 1 < end else "at the end of the content"
    return DecodeError(DecodeCode.BAD_ESCAPE, f"escape byte {wire[at]:02x} {after}", offset=at)
