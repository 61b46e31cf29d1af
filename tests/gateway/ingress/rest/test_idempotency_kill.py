"""kill -9 of a process that takes one batch under a key, and the client that sends it again."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from gateway.delivery.spool.spool import Put, Spool
from gateway.domain.errors import RefuseReason
from gateway.domain.receipt import Outcome
from gateway.domain.record import Record
from gateway.domain.state import StateKind
from gateway.ingress.rest.idempotency import Claim, IdempotencyKeys, IdempotencyLimits
from gateway.ingress.rest.receipts import ItemReceipt, Receipts
from gateway.observe.metrics import SpoolCounters

ITEMS = 3_000
NOW_MS = 1_772_323_200_000
GUARD_S = 60.0

WRITER = "import runpy, sys; runpy.run_path(sys.argv[1])['write'](*sys.argv[2:])"


class Owner:
    """Settles receipts as the outbox does."""

    def committed(self, batch: list[Put]) -> None:
        self._settle(batch, Outcome.ACCEPTED)

    def not_committed(self, batch: list[Put], reason: RefuseReason) -> None:
        self._settle(batch, Outcome.REFUSED)

    def _settle(self, batch: list[Put], outcome: Outcome) -> None:
        for put in batch:
            put.ticket.outcome = outcome
            put.ticket.on_settled(put.ticket)


def open_spool(directory: Path, keys: IdempotencyKeys) -> Spool:
    return Spool(
        directory,
        SpoolCounters(),
        max_bytes=100_000_000,
        segment_bytes=20_000,
        commit_interval_max_ms=0,
        keepers={StateKind.IDEMPOTENCY: keys},
    )


def write(directory: str, base: str) -> None:
    """Takes the batch, telling each item that is accepted, and `done`."""
    asyncio.run(_write(Path(directory), base))


async def _write(directory: Path, base: str) -> None:
    keys = IdempotencyKeys(IdempotencyLimits())
    spool = open_spool(directory, keys)
    await spool.start()
    task = asyncio.create_task(spool.run(Owner()))  # type: ignore[arg-type]
    claim = keys.begin("erp", "key", b"d" * 16, base, NOW_MS)
    assert isinstance(claim, Claim)
    receipts = Receipts(lambda receipt: _settled(claim, receipt))
    with claim:
        for index in range(ITEMS):
            if claim.is_kept(index):
                _say(f"accepted {index}")
                continue
            record_id = f"{claim.uplink_id(index)}-0"
            made = Record(record_id, "telemetry", "thermo", "dev-1", b'{"n":%d}' % index, NOW_MS)
            put = Put([made], [("main",)], [claim.state(index)], receipts.make(index))
            assert spool.put(put) is None
            if index % 7 == 0:
                await asyncio.sleep(0)
        assert await receipts.settle(GUARD_S)
    _say("done")
    await asyncio.wait_for(task, GUARD_S)


def _settled(claim: Claim, receipt: ItemReceipt) -> None:
    claim.settled(receipt)
    assert receipt.outcome is Outcome.ACCEPTED
    _say(f"accepted {receipt.index}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


@pytest.mark.fault
def test_a_batch_that_is_sent_again_after_kills_is_there_once(tmp_path: Path) -> None:
    chance = random.Random(11)
    accepted: set[int] = set()
    kills = 0
    done = False
    for attempt in range(100):
        base = f"019ca6b1-dc00-7000-8000-{attempt:04x}00000000"
        command = [sys.executable, "-c", WRITER, __file__, str(tmp_path), base]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
            assert process.stdout is not None
            left = len(accepted) + chance.randrange(1, ITEMS // 4)
            for line in process.stdout:
                word, _, number = line.strip().partition(" ")
                done = word == "done"
                if word == "accepted":
                    accepted.add(int(number))
                    left -= 1
                if done or not left:
                    break
            process.kill()
            kills += not done
        if done:
            break
    assert done
    assert kills >= 3
    ids = asyncio.run(_read(tmp_path))
    assert len(ids) == ITEMS
    assert set(Counter(ids).values()) == {1}
    assert accepted == set(range(ITEMS))
    assert {one[:28] for one in ids} == {"019ca6b1-dc00-7000-8000-0000"}  # those of the first time


async def _read(directory: Path) -> list[str]:
    spool = open_spool(directory, IdempotencyKeys(IdempotencyLimits()))
    await spool.start()
    reader = spool.reader(spool.first_sequence)
    ids: list[str] = []
    while stored := await reader.read(1_000_000):
        ids += [item.record.record_id for item in stored]
    await spool.close()
    return ids
