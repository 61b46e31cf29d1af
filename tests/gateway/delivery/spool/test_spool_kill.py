"""kill -9 of a process that writes, delivers, rolls and rewrites: what it reported as durable is there."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gateway.delivery.spool.conftest import Rig

MAX_BYTES, SEGMENT_BYTES = 400_000, 20_000

WRITER = """
import asyncio, os, random, sys
from pathlib import Path
from tests.gateway.delivery.spool.conftest import Rig, record

class Teller:
    def __init__(self, rig):
        self.rig, self.owed, self.random = rig, {}, random.Random(int(sys.argv[2]))

    def committed(self, batch):
        self.owed |= {put.sequence: put.ticket for put in batch}
        for put in batch:
            self.rig.keeper.add(put.states[0].payload)
        for payload in self.rig.keeper.payloads[:-100]:
            self.rig.keeper.forget(payload)
        say("kept", [put.ticket for put in batch])

    def send(self):
        done = [sequence for sequence in self.owed if self.random.random() < 0.1]
        say("sent", [self.owed.pop(sequence) for sequence in done])
        cursor = self.rig.spool.cursor("main")
        cursor.delivered(done)
        self.rig.spool.release(cursor.low)

    def not_committed(self, batch, reason):
        pass

def say(word, numbers):
    if numbers:
        os.write(1, f"{word} {' '.join(map(str, numbers))}\\n".encode())

async def main():
    rig = Rig(Path(sys.argv[1]), MAX_BYTES, SEGMENT_BYTES)
    teller = rig.owner = Teller(rig)
    await rig.open()
    cursor = rig.spool.cursor("main")
    for item in await rig.read_all(cursor.low, cursor):
        if not cursor.has(item.sequence):
            teller.owed[item.sequence] = int(item.record.record_id.removeprefix("id-"))
    n = int(sys.argv[3])
    while True:
        for _ in range(teller.random.randrange(1, 12)):
            n += 1
            put = Put([record(n, teller.random.randrange(600))], [("main",)], [State(StateKind.DEDUP, b"%d" % n)], n)
            rig.spool.put(put)
        await asyncio.sleep(0)
        teller.send()
        if not rig.spool.has_room():
            await rig.spool.compact(lambda sequence, targets: not cursor.has(sequence))
            await asyncio.sleep(0.001)
        if n % 40 == 0:
            await rig.spool.save_cursors()

from gateway.delivery.spool.spool import Put
from gateway.domain.state import State, StateKind
asyncio.run(main())
"""


@pytest.mark.fault
def test_nothing_that_was_reported_is_lost(tmp_path: Path) -> None:
    chance = random.Random(4)
    owed: set[int] = set()
    highest = 0
    for round_number in range(6):
        script = WRITER.replace("MAX_BYTES", str(MAX_BYTES)).replace("SEGMENT_BYTES", str(SEGMENT_BYTES))
        command = [sys.executable, "-c", script, str(tmp_path / "gw"), str(round_number), str(highest + 1000)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as writer:
            assert writer.stdout is not None
            lines = []
            for _ in range(chance.randrange(20, 300)):
                lines.append(writer.stdout.readline())
                assert lines[-1], "the writer ended by itself"
            writer.kill()
            lines += writer.stdout.readlines()
        for line in lines:
            if not line.endswith(b"\n"):
                continue
            word, *numbers = line.split()
            if word == b"kept":
                owed |= set(map(int, numbers))
                highest = max(highest, *owed)
            elif word == b"sent":
                owed -= set(map(int, numbers))
        highest = max(highest, asyncio.run(check(tmp_path / "gw", owed, highest)))


async def check(directory: Path, owed: set[int], highest: int) -> int:
    """Returns the highest number that is there."""
    rig = Rig(directory, MAX_BYTES, SEGMENT_BYTES)
    await rig.open()
    cursor = rig.spool.cursor("main")
    stored = await rig.read_all(cursor.low, cursor)
    assert [item.sequence for item in stored] == sorted({item.sequence for item in stored})
    waiting = [item for item in stored if not cursor.has(item.sequence)]
    found = [int(item.record.record_id.removeprefix("id-")) for item in waiting]
    assert found == sorted(found), "in the order of acceptance"
    assert owed <= set(found)
    assert {n for n in owed if n > highest - 100} <= {int(payload) for payload in rig.keeper.payloads}
    assert rig.counters.bad_blocks == 0
    await rig.close()
    return max(found, default=0)
