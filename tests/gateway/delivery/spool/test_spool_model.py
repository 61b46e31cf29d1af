"""Random actions on a real spool, against a small model of what must be in it."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.delivery.spool.segments import SegmentFile
from tests.gateway.delivery.spool.conftest import Rig, record

MAX_BYTES = 60_000
SEGMENT_BYTES = 4_000
Batches = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 900)), min_size=1, max_size=4)  # records, size


class SpoolMachine(RuleBasedStateMachine):
    """model: body by sequence of everything acknowledged that is not known to be lost; delivered: by the cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        self.loop = asyncio.new_event_loop()
        self.random = random.Random(0)
        self.model: dict[int, bytes] = {}
        self.delivered: set[int] = set()
        self.states: list[bytes] = []
        self.made = 0
        self.opened = 0
        self.rig: Rig

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def open(self, directory: Path) -> None:
        async def opening() -> Rig:
            rig = Rig(directory, MAX_BYTES, SEGMENT_BYTES)
            await rig.open()
            rig.spool.cursor("main")
            return rig

        self.rig = self.run(opening())
        self.directory = directory

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        self.random.seed(seed)
        self.open(self.root / "gw-0")

    def teardown(self) -> None:
        if hasattr(self, "rig"):
            self.run(self.rig.close())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()
        shutil.rmtree(self.root)

    # Actions.

    def offer(self, batches: list[tuple[int, int]]) -> dict[bytes, set[bytes]]:
        """Puts; returns the bodies of each that was taken, by its state."""
        taken = {}
        for count, size in batches:
            bodies = [record(self.made + i, size) for i in range(count)]
            state = b"state-%d" % self.made
            self.made += max(count, 1)
            if self.rig.offer(bodies, state) is None:
                taken[state] = {item.body for item in bodies}
        return taken

    @rule(batches=Batches)
    def put(self, batches: list[tuple[int, int]]) -> None:
        self.offer(batches)
        self.run(self.rig.owner.wait(self.rig.made))
        self.note_committed()

    def note_committed(self) -> None:
        owner = self.rig.owner
        assert not owner.refused
        for put in owner.committed_puts:
            for i, item in enumerate(put.records):
                assert put.sequence + i not in self.model or self.model[put.sequence + i] == item.body
                assert put.sequence + i not in self.delivered or put.sequence + i in self.model
                self.model[put.sequence + i] = item.body
            self.states += [state.payload for state in put.states if state.payload not in self.states]

    @precondition(lambda self: self.model)
    @rule(share=st.floats(0, 1))
    def deliver(self, share: float) -> None:
        waiting = [sequence for sequence in self.model if sequence not in self.delivered]
        some = self.random.sample(waiting, int(len(waiting) * share))
        cursor = self.rig.spool.cursor("main")
        cursor.delivered(some)
        self.delivered |= set(some)
        self.rig.spool.release(cursor.low)

    @rule()
    def compact(self) -> None:
        cursor = self.rig.spool.cursor("main")
        self.run(self.rig.spool.compact(lambda sequence, targets: not cursor.has(sequence)))

    @rule()
    def restart(self) -> None:
        self.run(self.rig.close())
        self.open(self.directory)

    @rule(batches=Batches, at=st.floats(0, 1))
    def crash_in_a_commit(self, batches: list[tuple[int, int]], at: float) -> None:
        """Everything that was acknowledged is on the disk, and any part of what comes behind it."""
        before = self.files()
        offered = self.offer(batches)
        self.run(self.rig.owner.wait(self.rig.made))
        self.save_cursor()
        crashed = self.copy()
        tail = [(path, before.get(path.name, 0)) for path in sorted((crashed / "segments").iterdir())]
        tail = [(path, durable) for path, durable in tail if path.stat().st_size > durable]
        left = int(sum(path.stat().st_size - durable for path, durable in tail) * at)
        for path, durable in tail:
            size = min(path.stat().st_size, durable + left)
            left -= size - durable
            with path.open("rb+") as file:
                file.truncate(size)
        self.change_to(crashed, offered)

    @precondition(lambda self: self.model)
    @rule(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip_a_bit(self, at: float, bit: int) -> None:
        self.save_cursor()
        crashed = self.copy()
        paths = sorted((crashed / "segments").iterdir())
        offset = int(sum(path.stat().st_size for path in paths) * at)
        for path in paths:
            if offset < path.stat().st_size:
                break
            offset -= path.stat().st_size
        with SegmentFile(path, path.stat().st_size) as file:
            hit = [h for start, end, h in file.blocks(0) if start <= offset < end and h is not None]
        data = bytearray(path.read_bytes())
        data[offset] ^= 1 << bit
        path.write_bytes(data)
        for header in hit:
            for sequence in range(header.base, header.end):
                self.model.pop(sequence, None)
        self.change_to(crashed, {}, states_may_be_lost=True)

    # Their parts.

    def files(self) -> dict[str, int]:
        self.run(self.rig.spool._file_thread.call(lambda: None))  # behind the deletions under way
        return {path.name: path.stat().st_size for path in (self.directory / "segments").iterdir()}

    def save_cursor(self) -> None:
        self.run(self.rig.spool.save_cursors())
        self.files()

    def copy(self) -> Path:
        self.opened += 1
        copy = self.root / f"gw-{self.opened}"
        shutil.copytree(self.directory, copy)
        return copy

    def change_to(self, directory: Path, maybe: dict[bytes, set[bytes]], *, states_may_be_lost: bool = False) -> None:
        """Goes on with a copy as a crash left it; puts with states in `maybe` may be there or not."""
        self.run(self.rig.close())
        shutil.rmtree(self.directory)
        self.open(directory)
        found = {stored.sequence: stored.record.body for stored in self.run(self.rig.read_all())}
        new = [sequence for sequence in found if sequence not in self.model and sequence not in self.delivered]
        assert not new or maybe, "nothing comes from nowhere"
        assert not new or min(new) > max(self.model, default=0)
        self.model |= {sequence: found[sequence] for sequence in new}
        kept = self.rig.keeper.payloads
        assert states_may_be_lost or set(self.states) <= set(kept)
        assert set(kept) - set(self.states) <= set(maybe)
        for state in set(kept) & set(maybe):  # a state that is there has its records with it
            assert maybe[state] <= set(found.values())
        self.states = list(kept)

    @invariant()
    def everything_owed_is_there_in_order(self) -> None:
        if not hasattr(self, "rig"):
            return
        cursor = self.rig.spool.cursor("main")
        stored = self.run(self.rig.read_all(cursor.low, cursor))
        sequences = [item.sequence for item in stored]
        assert sequences == sorted(set(sequences))
        found = {item.sequence: item.record.body for item in stored}
        for sequence, body in self.model.items():
            assert sequence in self.delivered or found.get(sequence) == body, sequence
            assert cursor.has(sequence) == (sequence in self.delivered)
        assert self.rig.spool.next_sequence > max(self.model, default=0)
        assert self.rig.spool.disk_bytes <= MAX_BYTES + SEGMENT_BYTES
        if self.delivered >= set(self.model):
            assert cursor.low == self.rig.spool.next_sequence


SpoolMachine.TestCase.settings = settings(
    max_examples=40, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSpoolAgainstAModel = SpoolMachine.TestCase
