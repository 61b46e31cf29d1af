"""What the fake Kinesis keeps: streams, their shards with hash-key ranges and limits, and the records in them."""

from __future__ import annotations

import bisect
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SEQUENCE = 495 * 10**53
MIB = 1024 * 1024
_HASH_KEYS = 1 << 128
_MAX_PAGE_BYTES = 10 * MIB


@dataclass(slots=True)
class StoredRecord:
    sequence_number: str
    partition_key: str
    data: bytes
    shard_id: str
    arrived_at: float  # Unix s


class _Bucket:
    """Tokens of one shard limit: a second's worth at once, then `per_s` each second."""

    def __init__(self, per_s: float, clock: Callable[[], float]) -> None:
        self.per_s = per_s
        self.clock = clock
        self.tokens = per_s
        self.since = clock()

    def has(self, amount: float) -> bool:
        now = self.clock()
        self.tokens = min(self.per_s, self.tokens + (now - self.since) * self.per_s)
        self.since = now
        return self.tokens >= amount


class Shard:
    """`count` shards split the 2^128 hash keys evenly; sequence numbers have 56 digits."""

    def __init__(self, index: int, count: int, clock: Callable[[], float]) -> None:
        self.shard_id = f"shardId-{index:012d}"
        self.first_hash = index * _HASH_KEYS // count
        self.last_hash = (index + 1) * _HASH_KEYS // count - 1
        self.first_sequence = f"{FIRST_SEQUENCE + index:056d}"
        self.records: list[StoredRecord] = []
        self._record_bucket = _Bucket(1000, clock)
        self._byte_bucket = _Bucket(MIB, clock)

    def put(self, sequence: int, partition_key: str, data: bytes) -> StoredRecord:
        record = StoredRecord(f"{sequence:056d}", partition_key, data, self.shard_id, time.time())
        self.records.append(record)
        return record

    def position_at(self, sequence_number: str, *, after: bool = False) -> int:
        """Index of the first record with this sequence number or a later one (`after`: only later ones)."""
        find = bisect.bisect_right if after else bisect.bisect_left
        return find(self.records, sequence_number, key=lambda record: record.sequence_number)

    def page(self, position: int, limit: int) -> list[StoredRecord]:
        """Records from `position` on: at most `limit` and 10 MiB."""
        page: list[StoredRecord] = []
        size = 0
        for record in self.records[position : position + limit]:
            if page and size + len(record.data) > _MAX_PAGE_BYTES:
                break
            page.append(record)
            size += len(record.data)
        return page

    def has_capacity(self, size: int) -> bool:
        """Takes it from the limits. False: this record is beyond 1000 records/s or 1 MiB/s."""
        if not (self._record_bucket.has(1) and self._byte_bucket.has(size)):
            return False
        self._record_bucket.tokens -= 1
        self._byte_bucket.tokens -= size
        return True


@dataclass(slots=True)
class Stream:
    name: str
    arn: str
    shards: list[Shard]
    created_at: float
    max_record_kib: int = 1024
    distribution: str = "USER_PARTITION_KEY"  # AUTO: as AWS reports it for streams that ignore the partition key

    def shard_of(self, partition_key: str, explicit_hash_key: str | None = None) -> Shard:
        """ValueError: the explicit hash key is no number below 2^128."""
        if explicit_hash_key:
            hash_key = int(explicit_hash_key)
            if not 0 <= hash_key < _HASH_KEYS:
                raise ValueError("explicitHashKey is out of range")
        else:
            hash_key = int.from_bytes(hashlib.md5(partition_key.encode()).digest())
        return self.shards[bisect.bisect_left(self.shards, hash_key, key=lambda shard: shard.last_hash)]

    def shard_named(self, shard_id: str) -> Shard | None:
        return next((shard for shard in self.shards if shard.shard_id == shard_id), None)
