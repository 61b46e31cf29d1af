"""The file sink on real files: partitions, rotation, permissions, full and failing disks."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from gateway.delivery.lanes import Parcel
from gateway.delivery.sinks.file import FileSink
from gateway.domain.errors import OperatorError, SinkError
from gateway.domain.record import Record

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import RecordFactory, SendingFactory

HOUR_MS = 3_600_000
NOON_MS = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp() * 1000)


def parcel(*records: Record) -> list[Parcel]:
    return [Parcel("", [(record, None) for record in records], sum(len(record.body) for record in records))]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sink(tmp_path: Path, clock: Clock) -> AsyncIterator[FileSink]:
    sink = FileSink(
        "local", tmp_path / "records", rotate_bytes=1000, rotate_s=60, wall_clock=lambda: NOON_MS / 1000, clock=clock
    )
    await sink.start()
    yield sink
    await sink.close()


def files(tmp_path: Path) -> dict[str, list[str]]:
    """Relative path -> `lane#n` of each line."""
    found = {}
    root = tmp_path / "records"
    for path in sorted(root.rglob("*.ndjson")):
        lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        found[str(path.relative_to(root))] = [f"{line['device_id']}#{line['n']}" for line in lines]
    return found


async def test_partitions_by_the_hour_of_arrival(tmp_path: Path, sink: FileSink, make_record: RecordFactory) -> None:
    late, first, second = (make_record(received_ms=NOON_MS + offset) for offset in (-1, 0, 1))
    assert await sink.send(parcel(first, late, second)) is None
    assert files(tmp_path) == {
        "2026/03/01/11/records-20260301T120000Z-000002.ndjson": ["dev-1#1"],
        "2026/03/01/12/records-20260301T120000Z-000001.ndjson": ["dev-1#2", "dev-1#3"],
    }
    for path in (tmp_path / "records").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
        assert path.is_dir() or path.read_bytes().endswith(b"}\n")


async def test_rotates_by_size_and_by_age(
    tmp_path: Path, sink: FileSink, clock: Clock, make_record: RecordFactory
) -> None:
    for size in (400, 700, 10):  # the second request passes the limit, so the third gets a new file
        await sink.send(parcel(make_record(size=size, received_ms=NOON_MS)))
    clock.now = 59
    await sink.send(parcel(make_record(received_ms=NOON_MS)))
    clock.now = 60
    await sink.send(parcel(make_record(received_ms=NOON_MS)))
    assert list(files(tmp_path).values()) == [["dev-1#1", "dev-1#2"], ["dev-1#3", "dev-1#4"], ["dev-1#5"]]


async def test_records_of_many_hours_keep_few_files_open(
    tmp_path: Path, sink: FileSink, make_record: RecordFactory
) -> None:
    records = [make_record(received_ms=NOON_MS + hour * HOUR_MS) for hour in range(40)]
    await sink.send(parcel(*records))
    await sink.send(parcel(make_record(received_ms=NOON_MS + 50 * HOUR_MS)))
    assert len(files(tmp_path)) == 41
    assert len(sink._open) <= 4


async def test_every_answer_comes_after_a_sync(
    sink: FileSink, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync

    def counting(fd: int) -> None:
        real(fd)
        synced.append(os.fstat(fd).st_size)

    monkeypatch.setattr(os, "fdatasync", counting)
    size = 0
    for count in range(1, 6):
        records = [make_record(received_ms=NOON_MS) for _ in range(3)]
        size += sum(len(record.body) + 1 for record in records)
        await sink.send(parcel(*records))
        assert len(synced) == count
        assert synced[-1] == size


async def test_two_processes_in_one_directory_keep_apart(
    tmp_path: Path, sink: FileSink, make_record: RecordFactory
) -> None:
    other = FileSink("local", tmp_path / "records", wall_clock=lambda: NOON_MS / 1000)
    await other.start()
    for which in (sink, other, sink, other):
        await which.send(parcel(make_record(received_ms=NOON_MS)))
    await other.close()
    assert list(files(tmp_path).values()) == [["dev-1#1", "dev-1#3"], ["dev-1#2", "dev-1#4"]]


async def test_a_directory_that_cannot_be_used_refuses_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    sink = FileSink("local", tmp_path / "file" / "records")
    with pytest.raises(OperatorError, match=r"sink local: cannot write to .*file/records"):
        await sink.start()
    await sink.close()


@pytest.fixture
def file_size_limit() -> Iterator[Callable[[int], None]]:
    """Makes this process's writes beyond a file size fail, as on a full disk: short write, then an error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


async def test_a_full_disk_leaves_no_torn_line_and_is_survived(
    tmp_path: Path,
    sink: FileSink,
    make_record: RecordFactory,
    file_size_limit: Callable[[int], None],
) -> None:
    await sink.send(parcel(make_record(size=100, received_ms=NOON_MS)))
    file_size_limit(150)
    second = make_record(size=100, received_ms=NOON_MS)
    for _ in range(3):
        with pytest.raises(SinkError) as caught:
            await sink.send(parcel(second))
        assert (caught.value.code, caught.value.retriable) == ("disk_full", True)
        assert list(files(tmp_path).values()) == [["dev-1#1"]]
    file_size_limit(resource.RLIM_INFINITY)
    await sink.send(parcel(second))
    assert list(files(tmp_path).values()) == [["dev-1#1", "dev-1#2"]]


async def test_a_request_that_fails_leaves_nothing_in_any_of_its_files(
    tmp_path: Path, sink: FileSink, make_record: RecordFactory, file_size_limit: Callable[[int], None]
) -> None:
    await sink.send(parcel(make_record(size=30, received_ms=NOON_MS)))
    file_size_limit(150)
    with pytest.raises(SinkError):
        await sink.send(parcel(make_record(received_ms=NOON_MS - 1), make_record(size=200, received_ms=NOON_MS)))
    file_size_limit(resource.RLIM_INFINITY)
    assert [lines for lines in files(tmp_path).values() if lines] == [["dev-1#1"]]


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
async def test_a_failed_sync_seals_the_file(
    tmp_path: Path, sink: FileSink, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    await sink.send(parcel(make_record(received_ms=NOON_MS)))
    second = make_record(received_ms=NOON_MS)

    def fail(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        for _ in range(3):
            with pytest.raises(SinkError):
                await sink.send(parcel(second))
    assert list(files(tmp_path).values()) == [["dev-1#1"]]
    await sink.send(parcel(second))
    assert list(files(tmp_path).values()) == [["dev-1#1"], ["dev-1#2"]]


async def test_nothing_is_lost_or_reordered_by_a_sender_on_a_failing_disk(
    tmp_path: Path, sending: SendingFactory, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every third sync fails and every fifth write is short and then fails: retried, in order, without repeats."""
    sink = FileSink("local", tmp_path / "records")
    real_sync, real_write = os.fdatasync, os.write
    calls = {"sync": 0, "write": 0}

    def sync(fd: int) -> None:
        calls["sync"] += 1
        if calls["sync"] % 3 == 0:
            raise OSError(errno.EIO, "Input/output error")
        real_sync(fd)

    def write(fd: int, data: bytes) -> int:
        calls["write"] += 1
        if calls["write"] % 5 == 0:
            real_write(fd, data[:7])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(fd, data)

    expected: list[str] = []
    async with sending(sink) as s:
        monkeypatch.setattr(os, "fdatasync", sync)
        monkeypatch.setattr(os, "write", write)
        for _ in range(30):
            for lane in ("a", "b", "c"):
                record = make_record(lane, received_ms=NOON_MS)
                expected.append(record.record_id)
                s.put(record)
            await s.wait()
        assert s.counters.failed["disk"] > 3
        assert s.counters.failed["disk_full"] > 3
        monkeypatch.undo()
    assert [line for lines in files(tmp_path).values() for line in lines] == expected


KILLED = """
import asyncio, sys
from pathlib import Path
from gateway.delivery.lanes import Parcel
from gateway.delivery.sinks.file import FileSink
from gateway.domain.record import Record

async def main():
    sink = FileSink("local", Path(sys.argv[1]), rotate_bytes=20_000)
    await sink.start()
    for n in range(1_000_000):
        record = Record("r", "telemetry", "p", "d", b'{"device_id":"d","n":%d}' % n, 0)
        await sink.send([Parcel("", [(record, None)], len(record.body))])
        print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.fault
async def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", KILLED, str(tmp_path / "records")),
        cwd=Path(__file__).parents[4],
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(60):
        answered = 0
        while answered < 1500:
            answered = int(await process.stdout.readline())
        process.kill()
        rest = (await process.stdout.read()).split()
        await process.wait()
    answered = int(rest[-1]) if rest else answered
    found = files(tmp_path)
    assert len(found) > 1
    lines = [line for name in sorted(found) for line in found[name]]
    assert lines[: answered + 1] == [f"d#{n}" for n in range(answered + 1)]
    assert len(lines) <= answered + 2
