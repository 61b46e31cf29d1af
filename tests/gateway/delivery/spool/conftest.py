"""A spool in its task, an owner that notes what it hears, and a keeper of states."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from pathlib import Path

import pytest

from gateway.delivery.spool.spool import Cursor, Put, Spool, Stored
from gateway.domain.errors import RefuseReason
from gateway.domain.record import Record
from gateway.domain.state import State, StateKind
from gateway.observe.metrics import SpoolCounters

GUARD_S = 30.0
MAIN = ("main",)


def record(n: int, size: int = 0, lane: str = "dev-1") -> Record:
    body = b'{"n":%d}' % n
    return Record(f"id-{n}", "telemetry", "thermo", lane, body.ljust(size), 1_772_323_200_000 + n)


class Keeper:
    """Remembers payloads; `add` is what an owner does when a commit is reported."""

    def __init__(self) -> None:
        self._payloads: dict[bytes, None] = {}

    @property
    def payloads(self) -> list[bytes]:
        return list(self._payloads)

    def add(self, payload: bytes) -> None:
        self._payloads[payload] = None

    def forget(self, payload: bytes) -> None:
        del self._payloads[payload]

    def snapshot(self) -> Iterable[bytes]:
        return self.payloads

    def restore(self, payload: bytes) -> None:
        self.add(payload)


class Owner:
    def __init__(self, keeper: Keeper) -> None:
        self.batches: list[list[Put]] = []
        self.refused: list[tuple[Put, RefuseReason]] = []
        self._keeper = keeper
        self._changed = asyncio.Event()

    @property
    def committed_puts(self) -> list[Put]:
        return [put for batch in self.batches for put in batch]

    def committed(self, batch: Sequence[Put]) -> None:
        self.batches.append(list(batch))
        for put in batch:
            for state in put.states:
                self._keeper.add(state.payload)
        self._changed.set()

    def not_committed(self, batch: Sequence[Put], reason: RefuseReason) -> None:
        self.refused += [(put, reason) for put in batch]
        self._changed.set()

    async def wait(self, count: int) -> None:
        """Until so many puts were reported in all."""
        async with asyncio.timeout(GUARD_S):
            while len(self.committed_puts) + len(self.refused) < count:
                self._changed.clear()
                await self._changed.wait()


class Rig:
    """An open spool with all that belongs to it."""

    def __init__(self, directory: Path, max_bytes: int, segment_bytes: int, *, adopted: bool = False) -> None:
        self.keeper = Keeper()
        self.owner = Owner(self.keeper)
        self.counters = SpoolCounters()
        self.spool = Spool(
            directory,
            self.counters,
            max_bytes=max_bytes,
            segment_bytes=segment_bytes,
            commit_interval_max_ms=0,
            keepers={StateKind.DEDUP: self.keeper},
            adopted=adopted,
        )
        self.task: asyncio.Task[None] | None = None
        self.made = 0  # puts that were taken

    async def open(self) -> None:
        await self.spool.start()
        self.task = asyncio.create_task(self.spool.run(self.owner), name="spool")

    def offer(self, records: Sequence[Record], *states: bytes, targets: tuple[str, ...] = MAIN) -> RefuseReason | None:
        """Puts without waiting."""
        marks = [State(StateKind.DEDUP, payload) for payload in states]
        refusal = self.spool.put(Put(records, [targets] * len(records), marks, None))
        self.made += refusal is None
        return refusal

    async def put(self, *records: Record, states: Sequence[bytes] = (), targets: tuple[str, ...] = MAIN) -> Put:
        """Puts and waits until it is durable."""
        assert self.offer(records, *states, targets=targets) is None
        await self.owner.wait(self.made)
        assert not self.owner.refused
        return self.owner.batches[-1][-1]

    async def wait_for_room(self) -> None:
        changed = asyncio.Event()
        self.spool.on_room(lambda is_open: changed.set() if is_open else None)
        async with asyncio.timeout(GUARD_S):
            await changed.wait()

    async def read_all(self, position: int = 0, cursor: Cursor | None = None) -> list[Stored]:
        reader = self.spool.reader(position, cursor)
        found: list[Stored] = []
        while some := await reader.read(1000):
            found += some
        return found

    async def bodies(self, position: int = 0) -> list[bytes]:
        return [stored.record.body for stored in await self.read_all(position)]

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait((self.task,))

    async def close(self) -> None:
        await self.stop()
        await self.spool.close()


Opener = Callable[..., contextlib.AbstractAsyncContextManager[Rig]]


@pytest.fixture
def spool(tmp_path: Path) -> Opener:
    """`async with spool(max_bytes=..., segment_bytes=...) as rig`: the same directory each time."""

    @contextlib.asynccontextmanager
    async def opened(
        directory: Path = tmp_path / "gw", *, max_bytes: int = 1 << 30, segment_bytes: int = 1 << 20
    ) -> AsyncIterator[Rig]:
        rig = Rig(directory, max_bytes, segment_bytes)
        await rig.open()
        try:
            yield rig
        finally:
            await rig.close()

    return opened
