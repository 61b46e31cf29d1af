"""The writing end, in the commit thread: puts become blocks, blocks become one write and one fdatasync."""

from __future__ import annotations

import os
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from gateway.delivery.disk import NO_SPACE, AppendFile
from gateway.delivery.spool.blocks import BLOCK_BYTES, BlockDraft, Flag, blocks_of_states, segment_header
from gateway.delivery.spool.values import Batch


@dataclass(slots=True)
class Roll:
    """The commit begins a new segment: its file, its first sequence, all states there are."""

    path: Path
    first: int
    snapshot: list[tuple[int, bytes]]


@dataclass(slots=True)
class Commit:
    """How a commit ended. error None: it is durable, and `size` bytes of the segment are.

    With an error nothing of it counts. no_space: try again when there is room. clean: no trace of it is on the disk,
    so its sequences can be given again. usable: the segment before can be appended to. head: bytes of header and
    snapshot, if it began a segment.
    """

    size: int
    head: int = 0
    seconds: float = 0.0
    error: OSError | None = None
    no_space: bool = False
    clean: bool = True
    usable: bool = True


def build_blocks(batch: Batch, base: int) -> bytes:
    """Blocks of these puts, numbered from `base`. States stand in the block of their put's last record or behind it:
    a state never survives a crash that its records did not."""
    entries, targets = batch.entries, batch.targets
    draft = BlockDraft(base)
    if batch.size <= BLOCK_BYTES and entries and targets.count(targets[0]) == len(entries):  # nearly always
        draft.add_alike(entries, targets[0])
        for _, state in batch.states:
            draft.add_state(state)
        return draft.finish()
    blocks = []
    states = deque(batch.states)
    for number, (entry, names) in enumerate(zip(entries, targets, strict=True)):
        while states and states[0][0] <= number:
            draft.add_state(states.popleft()[1])
        if draft.is_full or not draft.add_record(entry, names):
            blocks.append(draft.finish())
            draft = BlockDraft(draft.base + draft.count)
            draft.add_record(entry, names)
    for _, state in states:
        draft.add_state(state)
    blocks.append(draft.finish())
    return b"".join(blocks) if len(blocks) != 1 else blocks[0]


class SegmentWriter:
    """Holds the segment that is appended to, if there is one."""

    def __init__(self) -> None:
        self._file: AppendFile | None = None

    def commit(self, batch: Batch, base: int, roll: Roll | None) -> Commit:
        """Makes `batch` durable. Never raises an OSError: it is in the answer."""
        data = build_blocks(batch, base)
        started = time.perf_counter()
        commit = self._append(data) if roll is None else self._begin(roll, data)
        commit.seconds = time.perf_counter() - started
        return commit

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _append(self, data: bytes) -> Commit:
        file = self._file
        assert file is not None, "the first commit begins a segment"
        try:
            file.write(data)
            file.commit()
        except OSError as error:
            usable = file.roll_back()
            if not usable:
                self.close()
            # A failed fdatasync may have left anything; a cut that worked, nothing.
            return Commit(file.size, error=error, no_space=error.errno in NO_SPACE, clean=usable, usable=usable)
        return Commit(file.size)

    def _begin(self, roll: Roll, data: bytes) -> Commit:
        head = segment_header(roll.first) + b"".join(blocks_of_states(roll.first, roll.snapshot, Flag.SNAPSHOT))
        file = None
        try:
            file = AppendFile(roll.path)
            file.write(head + data)
            file.commit()
        except OSError as error:
            if file is not None:
                file.close()  # nothing of it is durable: deletes it
            clean = not roll.path.exists()
            return Commit(0, error=error, no_space=error.errno in NO_SPACE, clean=clean, usable=self._file is not None)
        self.close()
        self._file = file
        return Commit(file.size, len(head))


def is_roomy(directory: Path, count: int) -> bool:
    """Whether a file of `count` bytes can be written there now. OSErrors other than those of space count as yes:
    the next commit will say more."""
    path = directory / "probe.new"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            rest = memoryview(bytes(count))
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fdatasync(fd)
        finally:
            os.close(fd)
            path.unlink(missing_ok=True)
    except OSError as error:
        return error.errno not in NO_SPACE
    return True


def cut_tail(path: Path, size: int, good: int) -> None:
    """Makes what a crash may have left in the page cache durable, and cuts what it broke off. OSError: the disk."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        if good < size:
            os.ftruncate(fd, good)
        os.fdatasync(fd)
    finally:
        os.close(fd)
