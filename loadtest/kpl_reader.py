"""Reads the aggregated records of the Kinesis Producer Library; for consumers and for the fake. No dependencies.

Format: magic number, protobuf message, MD5 of the message (awslabs/amazon-kinesis-producer, aggregation-format.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

_MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types


class NotAggregated(ValueError):
    """These bytes are no aggregated record: a consumer takes them as they are."""


@dataclass(slots=True)
class UserRecord:
    partition_key: str
    explicit_hash_key: str | None  # a decimal number
    data: bytes


def user_records(data: bytes) -> list[UserRecord]:
    """The records inside, in order. Raises NotAggregated."""
    message = data[len(_MAGIC) : -_DIGEST_BYTES]
    if not data.startswith(_MAGIC) or hashlib.md5(message).digest() != data[-_DIGEST_BYTES:]:
        raise NotAggregated
    partition_keys: list[str] = []
    hash_keys: list[str] = []
    records: list[bytes] = []
    for field, value in _fields(message):
        if isinstance(value, bytes):
            if field == 1:
                partition_keys.append(value.decode())
            elif field == 2:
                hash_keys.append(value.decode())
            elif field == 3:
                records.append(value)
    found = []
    for record in records:
        indexes: dict[int, int] = {}
        body = b""
        for field, value in _fields(record):
            if isinstance(value, int):
                indexes[field] = value
            elif field == 3:
                body = value
        hash_key = hash_keys[indexes[2]] if 2 in indexes else None
        found.append(UserRecord(partition_keys[indexes[1]], hash_key, body))
    return found


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field; fields of kinds that the format does not use are left out."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        kind = tag & 7
        if kind == _VARINT:
            number, position = _varint(message, position)
            yield tag >> 3, number
        elif kind == _BYTES:
            length, position = _varint(message, position)
            yield tag >> 3, message[position : position + length]
            position += length
        elif kind in (_FIXED64, _FIXED32):
            position += 8 if kind == _FIXED64 else 4
        else:
            raise NotAggregated


def _varint(message: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
