"""What the fake Kinesis keeps: streams, their shards with hash-key ranges and limits, and the records in them."""

from __future__ import annotations

import bisect
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

FIRST_SEQUENCE = 495 * 10**53
MIB = 1024 * 1024
HASH_KEYS = 1 << 128
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
    """A range of hash keys, both ends included. Closed by a split or a merge; then it only gives its records."""

    def __init__(self, index: int, first_hash: int, last_hash: int, clock: Callable[[], float]) -> None:
        self.shard_id = f"shardId-{index:012d}"
        self.first_hash = first_hash
        self.last_hash = last_hash
        self.first_sequence = f"{FIRST_SEQUENCE + index:056d}"
        self.last_sequence = ""  # of a closed one
        self.parents: list[str] = []
        self.records: list[StoredRecord] = []
        self._record_bucket = _Bucket(1000, clock)
        self._byte_bucket = _Bucket(MIB, clock)

    @property
    def closed(self) -> bool:
        return bool(self.last_sequence)

    def holds(self, hash_key: int) -> bool:
        return self.first_hash <= hash_key <= self.last_hash

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


class Stream:
    """At first, `count` shards split the 2^128 hash keys evenly. `shards`: all, parents before their children."""

    def __init__(
        self, name: str, arn: str, count: int, clock: Callable[[], float], *, max_record_kib: int = 1024
    ) -> None:
        self.name = name
        self.arn = arn
        self.max_record_kib = max_record_kib
        self.created_at = time.time()
        self.distribution = "USER_PARTITION_KEY"  # AUTO: as AWS reports it for streams that ignore the partition key
        self._clock = clock
        ends = [index * HASH_KEYS // count for index in range(count + 1)]
        self.shards = [Shard(index, ends[index], ends[index + 1] - 1, clock) for index in range(count)]
        self.open_shards = list(self.shards)  # by hash keys

    def shard_of(self, partition_key: str, explicit_hash_key: str | None = None) -> Shard:
        """ValueError: the explicit hash key is no number below 2^128."""
        hash_key = hash_key_of(partition_key, explicit_hash_key)
        return self.open_shards[bisect.bisect_left(self.open_shards, hash_key, key=lambda shard: shard.last_hash)]

    def shard_named(self, shard_id: str) -> Shard | None:
        return next((shard for shard in self.shards if shard.shard_id == shard_id), None)

    def children_of(self, shard: Shard) -> list[Shard]:
        return [child for child in self.shards if shard.shard_id in child.parents]

    def split(self, shard: Shard, sequence: int, at: int | None = None) -> list[Shard]:
        """Closes an open shard; two take its place, the second from hash key `at` (default: the middle) on.
        ValueError: closed already, or nothing to split there."""
        middle = (shard.first_hash + shard.last_hash + 1) // 2 if at is None else at
        if shard.closed or not shard.first_hash < middle <= shard.last_hash:
            raise ValueError(f"{shard.shard_id} cannot be split at {middle}")
        return self._replace([shard], [(shard.first_hash, middle - 1), (middle, shard.last_hash)], sequence)

    def merge(self, shard: Shard, other: Shard, sequence: int) -> Shard:
        """Closes two open neighbours; one takes their place. ValueError: closed already, or no neighbours."""
        first, second = sorted((shard, other), key=lambda one: one.first_hash)
        if first.closed or second.closed or first.last_hash + 1 != second.first_hash:
            raise ValueError(f"{shard.shard_id} and {other.shard_id} are not open neighbours")
        return self._replace([first, second], [(first.first_hash, second.last_hash)], sequence)[0]

    def _replace(self, parents: list[Shard], ranges: list[tuple[int, int]], sequence: int) -> list[Shard]:
        children = [Shard(len(self.shards) + i, *ends, self._clock) for i, ends in enumerate(ranges)]
        for child in children:
            child.first_sequence = f"{sequence:056d}"
            child.parents = [parent.shard_id for parent in parents]
        for parent in parents:
            parent.last_sequence = f"{sequence:056d}"
            self.open_shards.remove(parent)
        self.shards += children
        self.open_shards = sorted([*self.open_shards, *children], key=lambda shard: shard.last_hash)
        return children


def hash_key_of(partition_key: str, explicit_hash_key: str | None = None) -> int:
    """ValueError: the explicit hash key is no number below 2^128."""
    if not explicit_hash_key:
        return int.from_bytes(hashlib.md5(partition_key.encode()).digest())
    hash_key = int(explicit_hash_key)
    if not 0 <= hash_key < HASH_KEYS:
        raise ValueError("explicitHashKey is out of range")
    return hash_key
