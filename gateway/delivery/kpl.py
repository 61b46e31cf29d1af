"""The aggregated record of the Kinesis Producer Library: many user records in one Kinesis record.

Magic number, protobuf message, MD5 of the message (awslabs/amazon-kinesis-producer, aggregation-format.md):

    AggregatedRecord  1: partition keys (strings)   2: explicit hash keys (strings)   3: records
    Record            1: index of its partition key   2: index of its explicit hash key   3: data

The hash key stands inside, too: a consumer library drops an aggregated record, silently and whole, of which any user
record's hash key (without one: the MD5 of its partition key) is outside the shard that it was read from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache

from gateway.delivery.stripes import partition_key
from gateway.domain.record import Record

MAGIC = b"\xf3\x89\x9a\xc2"
ROOM_BYTES = 4 + 16 + 2 + 39 + 16
"""What an aggregated record adds to one record and its partition key, at most: magic, MD5, hash key, tags, lengths."""

_PARTITION_KEY = b"\x0a"  # field 1, a string
_HASH_KEY = b"\x12"  # field 2, a string


def _varint(number: int) -> bytes:
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _record_of(length: int) -> bytes:
    """Field 3 of the message: a record of so many bytes."""
    return b"\x1a" + _varint(length)


def _with_key(index: int) -> bytes:
    """Field 1 of a record, its partition key; field 2, the first and only hash key; field 3, its data, follows."""
    return b"\x08" + _varint(index) + b"\x10\x00\x1a"


# These are a third of the work; nearly all records find theirs here.
_VARINTS = tuple(map(_varint, range(4096)))
_RECORD_OF = tuple(map(_record_of, range(4096)))
_WITH_KEY = tuple(map(_with_key, range(1024)))


def aggregate(records: Sequence[Record], hash_key: str) -> bytes:
    """The records as one, in order. `hash_key` (decimal) is the explicit hash key of them all."""
    keys: dict[str, int] = {}
    parts: list[bytes] = []
    for record in records:
        index = keys.setdefault(record.lane, len(keys))
        body = record.body
        length = len(body)
        try:
            head = _WITH_KEY[index] + _VARINTS[length]
            parts += (_RECORD_OF[length + len(head)], head, body)
        except IndexError:
            head = _with_key(index) + _varint(length)
            parts += (_record_of(length + len(head)), head, body)
    table = [_table_row(lane) for lane in keys]
    message = b"".join((*table, _HASH_KEY, _varint(len(hash_key)), hash_key.encode(), *parts))
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


@lru_cache(16_384)
def _table_row(lane: str) -> bytes:
    name = partition_key(lane).encode()
    return _PARTITION_KEY + _varint(len(name)) + name
