"""Pacing: how fast, and when again, each shard of a stream is written to.

A shard takes 1000 records and 1 MiB a second; 90 % of that is used, as others may write too. All of this is advice
from our side: the stream's answer decides, and makes the shard back off. The map of shards comes from ListShards and
may be stale at any time; without it the whole stream is one group, without limits of ours.
"""

from __future__ import annotations

import asyncio
import bisect
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from gateway.domain.errors import SinkError

RECORDS_PER_S = 900.0
BYTES_PER_S = 0.9 * 1024 * 1024
_REFRESH_S = 600.0
_REFRESH_WHEN_STALE_S = 30.0  # ListShards itself is limited, and shared by all tasks
_MAX_KEYS = 65_536  # whose group is remembered

_log = structlog.get_logger("gateway.delivery.pacing")


@dataclass(slots=True)
class ShardRange:
    """An open shard and the last hash key that belongs to it."""

    shard_id: str
    last_hash: int


class Group:
    """Keys that share a limit (a shard). Times are of the event loop's clock.

    Tokens: a second's worth at once, then so many each second; a parcel may go as long as any are left, and may leave
    debts, so that it needs not be built to know whether it may go.
    """

    __slots__ = ("byte_rate", "bytes", "failures", "not_before", "record_rate", "records", "since")

    def __init__(self, record_rate: float = math.inf, byte_rate: float = math.inf) -> None:
        self.record_rate = self.records = record_rate
        self.byte_rate = self.bytes = byte_rate
        self.since = 0.0
        self.not_before = 0.0
        self.failures = 0  # in a row

    def refill(self, now: float) -> None:
        elapsed = now - self.since
        self.since = now
        if self.records < self.record_rate:
            self.records = min(self.record_rate, self.records + elapsed * self.record_rate)
        if self.bytes < self.byte_rate:
            self.bytes = min(self.byte_rate, self.bytes + elapsed * self.byte_rate)

    def is_open(self, now: float) -> bool:
        """True: one more parcel may go. As of the last `refill`."""
        return self.records >= 1 and self.bytes >= 1 and now >= self.not_before

    def charge(self, size: int) -> None:
        self.records -= 1
        self.bytes -= size

    def opens_at(self) -> float:
        """When `is_open` will be true, if nothing else goes."""
        at = self.not_before
        if self.records < 1:
            at = max(at, self.since + (1 - self.records) / self.record_rate)
        if self.bytes < 1:
            at = max(at, self.since + (1 - self.bytes) / self.byte_rate)
        return at


class Pacing:
    """The groups of one sink's keys. Without arguments: one group, without limits.

    hash_of: the hash key of a parcel's key. list_shards: the open shards; SinkError if they are not known now.
    """

    def __init__(
        self,
        hash_of: Callable[[str], int] | None = None,
        list_shards: Callable[[], Awaitable[Sequence[ShardRange]]] | None = None,
    ) -> None:
        self.generation = 0  # of the map; what was sorted into groups of another must be sorted again
        self._hash_of = hash_of
        self._list_shards = list_shards
        self._whole = Group()
        self._groups: dict[str, Group] = {}  # by shard
        self._last_hashes: list[int] = []
        self._by_range: list[Group] = []
        self._by_key: dict[str, Group] = {}
        self._stale = asyncio.Event()
        self._warned = False

    def group(self, key: str) -> Group:
        found = self._by_key.get(key)
        if found is not None:
            return found
        if self._hash_of is None or not self._by_range:
            return self._whole
        index = bisect.bisect_left(self._last_hashes, self._hash_of(key))
        found = self._by_range[min(index, len(self._by_range) - 1)]
        if len(self._by_key) >= _MAX_KEYS:
            self._by_key.clear()
        self._by_key[key] = found
        return found

    def refill(self, now: float) -> None:
        for group in self._by_range:
            group.refill(now)

    def stale(self) -> None:
        """Something speaks for another map (throttling, an unknown shard): look soon."""
        self._stale.set()

    def stored_in(self, shard_ids: Iterable[str]) -> None:
        """Shards in which the stream has just stored something."""
        if self._by_range and not self._groups.keys() >= set(shard_ids):
            self._stale.set()

    async def run(self) -> None:
        """Keeps the map until cancelled: now, each ten minutes, soon after `stale` or a failure; at most each 30 s."""
        if self._list_shards is None:
            return
        while True:
            self._stale.clear()
            try:
                self.learn(await self._list_shards())
                self._warned = False
            except SinkError as error:
                self._stale.set()
                if not self._warned:
                    self._warned = True
                    _log.warning("shard_map_unknown", error_code=error.code, detail=str(error))
            await asyncio.sleep(_REFRESH_WHEN_STALE_S)
            try:
                async with asyncio.timeout(_REFRESH_S - _REFRESH_WHEN_STALE_S):
                    await self._stale.wait()
            except TimeoutError:
                continue

    def learn(self, shards: Sequence[ShardRange]) -> None:
        """Takes a map; a shard that was known goes on as it is. Empty: one group."""
        shards = sorted(shards, key=lambda shard: shard.last_hash)
        known = self._groups
        groups = {shard.shard_id: known.get(shard.shard_id) or Group(RECORDS_PER_S, BYTES_PER_S) for shard in shards}
        last_hashes = [shard.last_hash for shard in shards]
        if groups.keys() == known.keys() and last_hashes == self._last_hashes:
            return
        self._groups = groups
        self._last_hashes = last_hashes
        self._by_range = list(groups.values())
        self._by_key.clear()
        self.generation += 1
        _log.info("shard_map", shards=len(shards), generation=self.generation)
