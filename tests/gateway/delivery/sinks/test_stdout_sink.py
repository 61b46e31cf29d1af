"""Standard output as a sink, on real pipes: whole lines, slow readers, readers that go."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from gateway.delivery.sinks.stdout import StdoutSink
from gateway.domain.errors import SinkError

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import RecordFactory, SendingFactory


@pytest.fixture
def pipe() -> Iterator[list[int]]:
    """Reading and writing end; a test that closes one takes it out."""
    ends = list(os.pipe())
    yield ends
    for end in ends:
        os.close(end)


async def read_line_bytes(descriptor: int, count: int) -> bytes:
    """Reads until so many lines are there."""

    def read() -> bytes:
        data = b""
        while data.count(b"\n") < count:
            data += os.read(descriptor, 65_536)
        return data

    return await asyncio.to_thread(read)


async def test_a_line_per_record_in_order(pipe: list[int], sending: SendingFactory, make_record: RecordFactory) -> None:
    records = [make_record(f"dev-{n % 3}") for n in range(50)]
    async with sending(StdoutSink("out", pipe[1])) as s:
        s.put(*records)
        await s.wait()
    assert await read_line_bytes(pipe[0], 50) == b"".join(record.body + b"\n" for record in records)


@pytest.mark.parametrize("blocking", [True, False])
async def test_a_slow_reader_gets_everything(
    pipe: list[int], sending: SendingFactory, make_record: RecordFactory, blocking: bool
) -> None:
    """More than a pipe holds; also when somebody else has made it non-blocking."""
    os.set_blocking(pipe[1], blocking)
    records = [make_record(size=1000) for _ in range(300)]
    async with sending(StdoutSink("out", pipe[1])) as s:
        s.put(*records)
        assert await read_line_bytes(pipe[0], 300) == b"".join(record.body + b"\n" for record in records)
        await s.wait()


async def test_a_reader_that_is_gone_is_shown_and_nothing_is_dropped(
    pipe: list[int], sending: SendingFactory, make_record: RecordFactory
) -> None:
    os.close(pipe.pop(0))
    async with sending(StdoutSink("out", pipe[0])) as s:
        s.put(make_record(), make_record())
        await s.until(lambda: s.counters.failed["connection"] >= 3)
        assert not s.counters.healthy
        assert "standard output: nobody reads it any more" in s.counters.last_error
        assert not s.buried
        s.task.cancel()
        await asyncio.wait((s.task,))
        assert [record for record, _ in s.sender.take_all()] == s.accepted


async def test_a_torn_line_is_ended_before_it_is_repeated(
    pipe: list[int], sending: SendingFactory, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.write, 0

    def write(descriptor: int, data: bytes) -> int:
        nonlocal calls
        if descriptor != pipe[1]:
            return real(descriptor, data)
        calls += 1
        if calls == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:5] if calls == 1 else data)

    monkeypatch.setattr(os, "write", write)
    record = make_record()
    async with sending(StdoutSink("out", pipe[1])) as s:
        s.put(record)
        await s.wait()
        assert s.counters.failed["disk_full"] == 1
    assert await read_line_bytes(pipe[0], 2) == record.body[:5] + b"\n" + record.body + b"\n"


async def test_other_errors_have_a_code(
    pipe: list[int], make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.gateway.delivery.sinks.test_file_sink import parcel

    sink = StdoutSink("out", pipe[1])
    await sink.start()

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("gateway.delivery.sinks.stdout.os.write", fail)
        sent = asyncio.ensure_future(sink.send(parcel(make_record())))
        await asyncio.wait((sent,))
    with pytest.raises(SinkError, match="standard output: Input/output error") as caught:
        await sent
    assert (caught.value.code, caught.value.retriable) == ("disk", True)
    await sink.close()
