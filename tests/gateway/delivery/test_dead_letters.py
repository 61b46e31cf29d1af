"""The dead-letter store on real files: what a line holds, the cap with both policies, age, rates, failing disks."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from structlog.testing import capture_logs

from decoders.types import SessionContext
from gateway.delivery.dead_letter_lines import LetterFilter, letter_of
from gateway.delivery.dead_letter_pages import IN_USE_LOCK, Cursor, DirectoryLock, letter_paths
from gateway.delivery.dead_letters import DeadLetterStore, RateLimit, WhenFull
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import OperatorError, RefuseReason
from gateway.domain.receipt import Receipt
from gateway.observe.metrics import DeadLetterCounters

MakeLetter = Callable[..., DeadLetter]
Done = tuple[Receipt, str, RefuseReason | None]
DAY_S = 86_400.0


class Owner:
    def __init__(self) -> None:
        self.done: list[Done] = []
        self._changed = asyncio.Event()

    def letter_done(self, receipt: Receipt, reason: str, refusal: RefuseReason | None) -> None:
        self.done.append((receipt, reason, refusal))
        self._changed.set()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(30):
            while len(self.done) < count:
                self._changed.clear()
                await self._changed.wait()


class Running:
    """A store whose `run` is in a task."""

    def __init__(self, store: DeadLetterStore, counters: DeadLetterCounters, directory: Path) -> None:
        self.store = store
        self.counters = counters
        self.directory = directory
        self.owner = Owner()

    async def keep(self, *letters: DeadLetter) -> list[RefuseReason | None]:
        """Puts them one after the other, each when the one before is done; returns what became of each."""
        outcomes: list[RefuseReason | None] = []
        for letter in letters:
            count = len(self.owner.done)
            refusal = self.store.put(letter, Receipt())
            if refusal is None:
                await self.owner.wait(count + 1)
                refusal = self.owner.done[-1][2]
            outcomes.append(refusal)
        return outcomes

    def ids(self) -> list[str]:
        lines = [line for path in self.files() for line in path.read_bytes().splitlines()]
        return [orjson.loads(line)["dead_letter_id"] for line in lines]

    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files())

    def files(self) -> list[Path]:
        return letter_paths(self.directory)


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[tuple[DeadLetterStore, asyncio.Task[None]]] = []

    async def make(**settings: object) -> Running:
        counters = DeadLetterCounters()
        directory = tmp_path / "dead_letters"
        store = DeadLetterStore(directory, counters, **{"max_bytes": 100_000, **settings})  # type: ignore[arg-type]
        await store.start()
        running = Running(store, counters, directory)
        started.append((store, asyncio.create_task(store.run(running.owner), name="dead-letters")))
        return running

    yield make
    for store, task in started:
        task.cancel()
        await asyncio.wait([task])
        await store.close()


async def test_a_letter_holds_all_that_is_known(start: Start, make_letter: MakeLetter) -> None:
    running = await start()
    running.store.gateway_id = "gw-1"
    letter = make_letter(size=3)
    letter.session = SessionContext(zone_s=28800, values={"firmware": "1.2"}, columns=("time", "n"))
    assert await running.keep(letter) == [None]
    (path,) = running.files()
    line = orjson.loads(path.read_bytes())
    assert line.pop("stored_at").endswith("Z")
    assert line == {
        "dead_letter_id": "letter-1",
        "reason": "truncated",
        "stage": "decode",
        "detail": "needs 4 more bytes",
        "attempts": 0,
        "raw_hex": "000000",
        "received_at": "2026-03-01T00:00:00.123Z",
        "product": "concox_gt06",
        "variant": "",
        "spec_version": 2,
        "device_id": "868120303333333",
        "hub_id": "",
        "tenant": "",
        "gateway_id": "gw-1",
        "listener": "trackers",
        "session_id": "s-1",
        "peer": "192.0.2.7:1234",
        "port": 0,
        "session": {"zone_s": 28800, "values": {"firmware": "1.2"}, "columns": ["time", "n"]},
        "message": "location",
        "field": "latitude",
        "offset": 11,
    }
    assert path.read_bytes().endswith(b"}\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(running.directory.stat().st_mode) == 0o700
    assert running.counters.written["truncated"] == 1
    assert running.counters.stored_bytes == path.stat().st_size
    assert running.counters.capacity_bytes == 100_000


async def test_letters_are_synced_before_they_are_done(
    start: Start, make_letter: MakeLetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start()
    synced: list[int] = []
    real = os.fdatasync

    def sync(fd: int) -> None:
        assert len(running.owner.done) == 0
        real(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", sync)
    await running.keep(make_letter())
    assert synced == [running.size()]


async def test_letters_that_wait_together_are_written_together(
    start: Start, make_letter: MakeLetter, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await start()
    writes: list[bytes] = []
    real = os.write

    def write(fd: int, data: bytes) -> int:
        writes.append(data)
        return real(fd, data)

    monkeypatch.setattr(os, "write", write)
    for i in range(20):
        assert running.store.put(make_letter(f"letter-{i}"), Receipt()) is None
    assert running.store.pending == 20
    await running.owner.wait(20)
    assert len(writes) == 1
    assert running.ids() == [f"letter-{i}" for i in range(20)]
    assert running.store.pending == 0


async def test_at_the_cap_the_oldest_letters_go(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=20_000)
    letters = [make_letter(f"letter-{i:03d}", size=500) for i in range(50)]
    assert await running.keep(*letters) == [None] * 50
    ids = running.ids()
    assert ids == [letter.dead_letter_id for letter in letters[-len(ids) :]]
    assert 10 <= len(ids) < 20
    assert running.counters.dropped == 50 - len(ids)
    assert running.counters.stored_bytes == running.size() <= 20_000


async def test_at_the_cap_the_new_letter_is_refused(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=20_000, when_full=WhenFull.REFUSE)
    outcomes = await running.keep(*(make_letter(f"letter-{i:03d}", size=500) for i in range(50)))
    kept = outcomes.count(None)
    assert outcomes == [None] * kept + [RefuseReason.OUTBOX_FULL] * (50 - kept)
    assert running.ids() == [f"letter-{i:03d}" for i in range(kept)]
    assert running.counters.dropped == 0
    assert 10 <= kept < 20
    assert running.size() <= 20_000


async def test_the_cap_counts_letters_of_earlier_processes(start: Start, make_letter: MakeLetter) -> None:
    first = await start(max_bytes=20_000)
    await first.keep(*(make_letter(f"first-{i:02d}", size=500) for i in range(12)))
    second = await start(max_bytes=20_000)
    assert second.counters.stored_bytes == first.counters.stored_bytes
    await second.keep(*(make_letter(f"second-{i:02d}", size=500) for i in range(12)))
    assert second.size() <= 20_000
    assert second.ids()[-12:] == [f"second-{i:02d}" for i in range(12)]
    assert second.counters.dropped == 24 - len(second.ids())


async def test_a_letter_larger_than_the_cap_is_refused(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=2_000)
    assert await running.keep(make_letter(size=2_000)) == [RefuseReason.TOO_LARGE]


async def test_waiting_letters_are_bounded(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=1 << 30)
    outcomes = [running.store.put(make_letter(size=500_000), Receipt()) for _ in range(20)]
    assert outcomes == [None] * 8 + [RefuseReason.OUTBOX_FULL] * 12
    await running.owner.wait(8)


async def test_old_letters_expire(start: Start, make_letter: MakeLetter) -> None:
    first = await start()
    await first.keep(make_letter("old"))
    (path,) = first.files()
    made_at = path.stat().st_mtime
    second = await start(max_age_days=30, wall_clock=lambda: made_at + 29 * DAY_S)
    assert second.ids() == ["old"]
    third = await start(max_age_days=30, wall_clock=lambda: made_at + 31 * DAY_S)
    assert third.ids() == []
    assert third.counters.stored_bytes == 0
    assert third.counters.dropped == 0


async def test_letters_that_somebody_deleted_do_no_harm(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=20_000)
    await running.keep(*(make_letter(f"a-{i:02d}", size=500) for i in range(12)))
    for path in running.files():
        path.unlink()
    assert await running.keep(*(make_letter(f"b-{i:02d}", size=500) for i in range(30))) == [None] * 30


async def test_what_anybody_can_cause_is_rate_limited(start: Start, make_letter: MakeLetter) -> None:
    now = 0.0
    running = await start(rate_limit=RateLimit(per_s=2, burst=5, clock=lambda: now))
    outcomes = await running.keep(*(make_letter(reason="bad_check") for _ in range(8)))
    assert outcomes == [None] * 5 + [RefuseReason.RATE_LIMITED] * 3
    assert await running.keep(make_letter(reason="truncated")) == [None]
    other = make_letter(reason="not_a_frame")
    other.listener = "meters"
    assert await running.keep(other) == [None]
    now = 1.0
    outcomes = await running.keep(*(make_letter(reason="frame_too_long") for _ in range(4)))
    assert outcomes == [None] * 2 + [RefuseReason.RATE_LIMITED] * 2


@pytest.mark.parametrize(
    ("number", "refusal"), [(errno.ENOSPC, RefuseReason.OUTBOX_FULL), (errno.EIO, RefuseReason.SINK_FAILED)]
)
@pytest.mark.parametrize("call", ["write", "fdatasync"])
async def test_a_failing_disk_refuses_and_is_survived(
    start: Start,
    make_letter: MakeLetter,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    refusal: RefuseReason,
    call: str,
) -> None:
    running = await start()
    await running.keep(make_letter("first"))

    def fail(fd: int, data: bytes = b"") -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        assert await running.keep(make_letter("lost")) == [refusal]
    assert await running.keep(make_letter("second")) == [None]
    assert running.ids() == ["first", "second"]
    assert running.counters.written["truncated"] == 2
    assert running.counters.stored_bytes == running.size()
    assert len(running.files()) == (1 if call == "write" else 2)


async def test_a_directory_that_cannot_be_used_refuses_the_start(tmp_path: Path, start: Start) -> None:
    (tmp_path / "dead_letters").write_text("a file")
    with pytest.raises(OperatorError, match=r"dead_letters\.dir: cannot use"):
        await start()


# Strangers, the alarm, and jumping clocks


async def test_what_anybody_can_cause_has_a_small_share_and_gives_way(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=40_000, rate_limit=RateLimit(per_s=1e6, burst=1e6))
    assert await running.keep(make_letter("real", size=500)) == [None]
    await running.keep(*(make_letter(f"junk-{i:03d}", reason="bad_check", size=100) for i in range(200)))
    junk = sum(path.stat().st_size for path in letter_paths(running.directory, ("unsound",)))
    assert 0 < junk <= 4_000
    assert "real" in running.ids()
    letters = [make_letter(f"real-{i:03d}", size=500) for i in range(40)]
    assert await running.keep(*letters) == [None] * 40
    assert not letter_paths(running.directory, ("unsound",))
    assert running.counters.stored_bytes == running.size() <= 40_000


async def test_junk_never_makes_letters_be_refused(start: Start, make_letter: MakeLetter) -> None:
    running = await start(max_bytes=20_000, when_full=WhenFull.REFUSE, rate_limit=RateLimit(per_s=1e6, burst=1e6))
    await running.keep(*(make_letter(f"junk-{i}", reason="not_a_frame", size=100) for i in range(20)))
    outcomes = await running.keep(*(make_letter(f"real-{i:03d}", size=500) for i in range(30)))
    kept = outcomes.count(None)
    assert outcomes == [None] * kept + [RefuseReason.OUTBOX_FULL] * (30 - kept)
    real = sum(path.stat().st_size for path in letter_paths(running.directory, ("letters",)))
    assert real > 18_000  # also the share of the junk
    assert running.counters.refused["outbox_full"] == 30 - kept


async def test_says_once_that_it_is_nearly_full_and_once_that_it_is_not(start: Start, make_letter: MakeLetter) -> None:
    with capture_logs() as logs:
        running = await start(max_bytes=20_000, when_full=WhenFull.REFUSE)
        await running.keep(*(make_letter(f"letter-{i:03d}", size=500) for i in range(30)))
        assert running.counters.nearly_full is True
        assert await running.store.purge(LetterFilter(product="concox_gt06"))
        assert running.counters.nearly_full is False
    said = [entry["event"] for entry in logs if entry["event"].startswith("dead_letters_")]
    assert said == ["dead_letters_nearly_full", "dead_letters_have_room"]
    assert running.counters.stored_bytes == running.size() == 0
    assert running.counters.purged > 10
    assert await running.keep(make_letter()) == [None]


async def test_a_clock_that_jumps_ahead_deletes_nothing(start: Start, make_letter: MakeLetter) -> None:
    now = [time.time()]
    running = await start(wall_clock=lambda: now[0])
    await running.keep(make_letter("before"))
    now[0] += 400 * DAY_S
    await running.keep(make_letter("after"))
    assert running.ids() == ["before", "after"]


async def test_a_clock_that_was_set_back_keeps_the_order_of_age(start: Start, make_letter: MakeLetter) -> None:
    first = await start()
    await first.keep(make_letter("first"))
    second = await start(wall_clock=lambda: time.time() - 400 * DAY_S)
    await second.keep(make_letter("second"))
    assert second.ids() == ["first", "second"]


async def test_a_session_may_know_what_json_cannot_say(start: Start, make_letter: MakeLetter) -> None:
    running = await start()
    letter = make_letter()
    letter.session.values = {"huge": 1 << 70, "odd": "\ud800", "none": float("nan")}
    letter.detail = "\udfff"
    assert await running.keep(letter) == [None]
    page = await running.store.page(LetterFilter(), Cursor(), 10)
    assert letter_of(page.letters[0].line).session.values["huge"] == 1 << 70


async def test_a_command_that_works_on_the_files_keeps_a_gateway_from_starting(start: Start, tmp_path: Path) -> None:
    directory = tmp_path / "dead_letters"
    directory.mkdir()
    with DirectoryLock(directory, IN_USE_LOCK) as lock:
        assert lock.take()
        with pytest.raises(OperatorError, match="another command works on these files"):
            await start()
    await start()
    with DirectoryLock(directory, IN_USE_LOCK) as lock:
        assert not lock.take()
