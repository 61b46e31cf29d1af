from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from loadtest.fake_kinesis import FakeKinesis
from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.ground import Ground
from loadtest.fleet.numbers import Numbers
from loadtest.fleet.sinks import FileWatch, read_stream
from tests.loadtest.fleet.playground import until
from tests.loadtest.fleet.test_sink_balance import record


def balance(sent: int) -> tuple[SinkBalance, Numbers]:
    made, numbers = SinkBalance(), Numbers("d")
    made.measured_from = 0.0
    for _ in range(sent):
        numbers.add(Ground.now())
    made.expect(numbers)
    return made, numbers


def line(number: int) -> bytes:
    return orjson.dumps(record(number, number)) + b"\n"


async def test_files_are_followed_line_by_line_while_they_grow(tmp_path: Path) -> None:
    found, _ = balance(4)
    watch = FileWatch([tmp_path / "none yet"], found, Ground.now)
    assert watch.look() == 0
    following = asyncio.create_task(watch.run())
    folder = tmp_path / "none yet" / "2026"
    folder.mkdir(parents=True)
    with (folder / "a.ndjson").open("wb") as file:
        file.write(line(1) + line(2)[:20])
        file.flush()
        await until(lambda: watch.lines == 1)
        file.write(line(2)[20:] + line(3))
        file.flush()
        await until(lambda: watch.lines == 3)
    following.cancel()
    (folder / "b.ndjson").write_bytes(line(4))
    watch.read_to_end()
    assert found.balance.arrived == 4
    assert found.until_sink.count == 4


async def test_a_stream_is_read_with_its_times_of_arrival() -> None:
    found, numbers = balance(2)

    def put(*bodies: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"Data": orjson.dumps(body), "PartitionKey": "d"} for body in bodies]

    from aiobotocore.session import get_session

    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry", shards=1)
        made = get_session().create_client(
            "kinesis", "us-east-1", endpoint_url=kinesis.url, aws_access_key_id="a", aws_secret_access_key="b"
        )
        async with made as client:
            entries = put(record(1, 1), record(2, 2), record(1, 1))
            await client.put_records(StreamName="telemetry", Records=entries)
        assert await read_stream(kinesis.url, "telemetry", found, Ground.now) == 2
    assert found.balance.arrived == 2
    assert found.balance.repeated == 1
    longest_s = found.until_sink.greatest / 1e6
    assert 0 <= longest_s <= Ground.now() - numbers.due[0]
