"""Stripes: fixed slices of the 2^128 hash keys, each wide enough for many devices and never cut by a reshard.

The records of a stripe travel together, under the hash key in the stripe's middle. A shard holds whole stripes or lies
inside one; either way a stripe has one shard at any time, whatever its devices are called.
"""

from __future__ import annotations

import hashlib

STRIPES = 64
_MAX_STRIPES = 1024
_MAX_KEY_CHARS = 256


class Stripes:
    """count: a power of two, 1 to 1024; feeds at most so many shards evenly. ValueError otherwise."""

    __slots__ = ("hash_keys", "shift")

    def __init__(self, count: int = STRIPES) -> None:
        if not 1 <= count <= _MAX_STRIPES or count & (count - 1):
            raise ValueError(f"stripes: a power of two from 1 to {_MAX_STRIPES}, not {count}")
        bits = count.bit_length() - 1
        self.shift = 16 - bits
        width = 1 << (128 - bits)
        self.hash_keys = [str(index * width + width // 2) for index in range(count)]
        """By index: the stripe's explicit hash key, a decimal number as Kinesis takes it. It is its name, too."""

    def of(self, lane: str) -> int:
        """Index of a lane's stripe: the top bits of the hash key that Kinesis would give to its partition key."""
        digest = hashlib.md5(partition_key(lane).encode(), usedforsecurity=False).digest()
        return int.from_bytes(digest[:2]) >> self.shift


def partition_key(lane: str) -> str:
    """The lane's name; the SHA-256 (hex) of a name that is no partition key (1-256 characters)."""
    # Characters beyond the BMP may count twice, so a name that is not ASCII is measured by its bytes.
    length = len(lane) if lane.isascii() else len(lane.encode())
    return lane if 0 < length <= _MAX_KEY_CHARS else hashlib.sha256(lane.encode()).hexdigest()


def hash_key_of(lane: str) -> int:
    """Where Kinesis puts a record with this lane's partition key: the key's MD5 as a number."""
    return int.from_bytes(hashlib.md5(partition_key(lane).encode(), usedforsecurity=False).digest())
