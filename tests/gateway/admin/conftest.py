"""A store of letters on real files, a replayer with today's spec of the specimen, and an outbox that a test rules."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

from decoders.catalog import Catalog
from decoders.types import SessionContext
from gateway.access.admission import Admission, Provisioning
from gateway.admin.replay import Replayer
from gateway.admin.rereading import Rereader
from gateway.delivery.dead_letter_lines import LetterFilter
from gateway.delivery.dead_letter_pages import Cursor, Found
from gateway.delivery.dead_letters import DeadLetterStore
from gateway.devices.directory import FileDirectory
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import RefuseReason
from gateway.domain.receipt import Receipt
from gateway.observe.metrics import DeadLetterCounters
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from gateway.specs import load_catalog
from tests.gateway.fakes import FakeOutbox

GOOD = "a50d02010704b00ce40a0e000716a7"  # status: tempC 26.3
LOGIN = "a51001004512345678312e342e320007ec5e"
TRUNCATED = "a50901004512340007581a"
RECEIVED_MS = 1_772_323_200_123

Json = dict[str, Any]


class Owner:
    """Stands where the outbox stands for the store."""

    def letter_done(self, receipt: Receipt, reason: str, refusal: RefuseReason | None) -> None:
        assert refusal is None
        if receipt.on_settled is not None:
            receipt.on_settled(receipt)


def letter(key: str, raw: str = GOOD, *, device: str = "004512345678", **more: Any) -> DeadLetter:
    made = DeadLetter(
        dead_letter_id=key,
        reason="unknown_message",
        stage="decode",
        detail="no such message",
        raw=bytes.fromhex(raw),
        received_ms=RECEIVED_MS,
        product="example_thermo",
        spec_version=0,
        device_id=device,
        tenant="",
        listener="meters",
        session_id="s",
        peer="192.0.2.1:5",
        session=SessionContext(device),
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def buried(record_id: str, sink: str = "main") -> DeadLetter:
    body = b'{"record_id": "%b", "n": 1.50}' % record_id.encode()
    more = {"sink": sink, "lane": "acme/d", "record_type": "telemetry", "stage": "sink", "reason": "buried"}
    return letter(record_id, body.hex(), **more)


@dataclass
class Bench:
    store: DeadLetterStore
    outbox: FakeOutbox
    replayer: Replayer
    counters: DeadLetterCounters
    numbering: Numbering
    owner: Owner

    async def keep(self, *letters: DeadLetter) -> None:
        for item in letters:
            done = asyncio.Event()
            assert self.store.put(item, Receipt(lambda _, done=done: done.set())) is None  # type: ignore[misc]
            async with asyncio.timeout(30):
                await done.wait()

    async def left(self, wanted: LetterFilter | None = None) -> list[Found]:
        return (await self.store.page(wanted or LetterFilter(), Cursor(), 10_000)).letters

    async def keys(self) -> list[str]:
        return [found.key for found in await self.left()]

    def records(self) -> list[Json]:
        return [orjson.loads(record.body) for record in self.outbox.records]


MakeBench = Callable[..., contextlib.AbstractAsyncContextManager[Bench]]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(only=["example_thermo"], check_golden=False)


@pytest.fixture
def bench(tmp_path: Path, catalog: Catalog) -> MakeBench:
    """`async with bench() as b`. outbox, catalog, provisioning, directory and the replayer's limits may be given."""

    @contextlib.asynccontextmanager
    async def make(
        outbox: FakeOutbox | None = None,
        *,
        known: Catalog = catalog,
        directory: FileDirectory | None = None,
        provisioning: Provisioning = Provisioning.ALLOW_NEW,
        max_bytes: int = 10_000_000,
        **limits: Any,
    ) -> AsyncIterator[Bench]:
        counters = DeadLetterCounters()
        store = DeadLetterStore(tmp_path / "dead_letters", counters, max_bytes=max_bytes)
        await store.start()
        owner = Owner()
        writing = asyncio.create_task(store.run(owner), name="dead-letters")
        outbox = outbox or FakeOutbox()
        devices = directory or FileDirectory()
        numbering = Numbering("gw", 1)
        admission = Admission(devices, provisioning)
        live, trial = (
            Rereader(lambda: known, devices, admission, Chain(Shaper(numbers, "prd", devices)))
            for numbers in (numbering, Numbering("", 0))
        )
        replayer = Replayer(store, live, trial, outbox, counters, ["main"], **limits)
        replayer.start()
        try:
            yield Bench(store, outbox, replayer, counters, numbering, owner)
        finally:
            await replayer.stop(0.05)
            writing.cancel()
            await asyncio.wait([writing])
            await store.close()

    return make
