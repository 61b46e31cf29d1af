"""The main job: real trackers connect over TCP, their frames become standard records, in files or in Kinesis."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from loadtest.fake_kinesis import FakeKinesis
from tests.e2e import fleet, frames
from tests.e2e.rig import (
    GATEWAY_ID,
    GUARD_S,
    PRODUCTS,
    Json,
    RunningGateway,
    aws_credentials,
    catalog,
    config,
    kinesis_sink,
    listener,
    until,
)

pytestmark = pytest.mark.e2e

STREAM = "telemetry"
NEIGHBOURS = ("neighbour 0", "neighbour 1")  # one in each half of the hash keys


def two_listeners() -> list[Json]:
    """All products as candidates on both, tried in opposite order."""
    return [listener("first", PRODUCTS), listener("second", PRODUCTS[::-1])]


async def play_all(rig: RunningGateway, scripts: list[fleet.Script], step: fleet.Step) -> None:
    """Every other device sends at once, the others step by step; all at the same time."""
    async with asyncio.TaskGroup() as tasks:
        for index, script in enumerate(scripts):
            port = ("first", "second")[index // 2 % 2]
            if index % 2:
                tasks.create_task(fleet.play_at_once(rig, script, index, port), name=f"play {script.name}")
            else:
                tasks.create_task(fleet.play_in_steps(rig, script, step, port), name=f"play {script.name}")


def silence(*_: Any) -> None:
    """For scripts whose steps need no look."""


def assert_all_accepted(rig: RunningGateway, scripts: list[fleet.Script]) -> None:
    sums = rig.sums()
    assert sums.balance()
    assert sums.received == sums.accepted == fleet.sum_of_frames(scripts)
    assert rig.total("iotlink_sink_backlog_records") == rig.total("iotlink_sink_window_bytes") == 0
    assert rig.total("iotlink_records_published_total") == fleet.sum_of_records(scripts)
    assert rig.letters() == []


def assert_records(records: list[Json], scripts: list[fleet.Script]) -> None:
    """Just the records of the scripts, once each, those of a device in the order in which it sent them.

    records: in the order in which they were numbered.
    """
    assert [record["seq"] for record in records] == list(range(1, fleet.sum_of_records(scripts) + 1))
    assert len({record["record_id"] for record in records}) == len(records)
    assert {(record["gateway_id"], record["env"]) for record in records} == {(GATEWAY_ID, "prd")}
    assert len({record["epoch"] for record in records}) == 1
    by_sender: dict[str, list[Json]] = defaultdict(list)
    for record in records:
        by_sender[str(record.get("hub_id", record["device_id"]))].append(fleet.what_it_says(record))
    expected = {script.name: script.records for script in scripts if script.records}
    assert by_sender.keys() == expected.keys()
    for name, said in expected.items():
        assert by_sender[name] == said, name


def assert_lanes_in_order(records: Iterable[Json]) -> None:
    """Those of a device rise in `seq`; records: in the order of the sink."""
    last: dict[str, int] = {}
    for record in records:
        lane, seq = record["device_id"], record["seq"]
        assert seq > last.get(lane, 0), f"{lane}: {seq} stands behind {last[lane]}"
        last[lane] = seq


@pytest.mark.parametrize("ack_on", ["spool", "sink"])
async def test_all_products_into_files(tmp_path: Path, ack_on: str) -> None:
    scripts = fleet.scripts()
    assert all(sum(script.product == name for script in scripts) >= 3 for name in PRODUCTS)
    async with RunningGateway(tmp_path, config(tmp_path, *two_listeners(), ack_on=ack_on)) as rig:

        def on_disk(script: fleet.Script, count: int) -> None:
            """What was answered has been written."""
            stored = sum(record.get("hub_id", record["device_id"]) == script.name for record in rig.records())
            assert stored >= count, f"{script.name}: {count} records answered, {stored} in the files"

        await play_all(rig, scripts, on_disk if ack_on == "sink" else silence)
        await rig.settled(fleet.sum_of_frames(scripts))
        await rig.delivered()
        assert_all_accepted(rig, scripts)
        assert await rig.stop() == 0
        by_product = {name: rig.total("iotlink_frames_received_total", product=name) for name in PRODUCTS}
        assert by_product == {
            name: sum(script.frames for script in scripts if script.product == name) for name in PRODUCTS
        }
        assert rig.total("iotlink_garbage_bytes_total") == 0

    stored = rig.records()
    assert_lanes_in_order(stored)
    assert_records(sorted(stored, key=lambda record: int(record["seq"])), scripts)
    root = tmp_path / "data" / "records"
    for file in root.rglob("*.ndjson"):
        assert re.fullmatch(
            r"20\d\d/[01]\d/[0-3]\d/[0-2]\d/records-\d{8}T\d{6}Z-\d{6}\.ndjson", str(file.relative_to(root))
        )
        assert file.stat().st_mode & 0o777 == 0o600
        assert file.read_bytes().endswith(b"}\n")


async def test_the_answer_tells_the_time_to_who_asks(tmp_path: Path) -> None:
    """The one answer that no golden frame can know."""
    (case,) = [
        case for case in catalog().find("concox_gt06").cases() if (case.message, case.error) == ("time_request", None)
    ]
    async with RunningGateway(tmp_path) as rig:
        client = await rig.connect()
        await client.ask(frames.gt06_login("359999000000001"), frames.gt06(0x01))
        before = datetime.now(UTC).replace(microsecond=0)
        client.send(case.wire)
        answer = await client.read(16)
        told = datetime.strptime("%02d" * 6 % tuple(answer[4:10]) + "+0000", "%y%m%d%H%M%S%z")
        assert before <= told <= datetime.now(UTC)
        assert answer == frames.gt06(0x8A, answer[4:10], serial=int.from_bytes(case.wire[4:6]))


async def occupy(kinesis: FakeKinesis, enough: Callable[[], bool]) -> None:
    """Other producers take what the shards give, until it is enough."""
    entries = [{"Data": "bm9pc2U=", "PartitionKey": NEIGHBOURS[index % 2]} for index in range(500)]
    body = orjson.dumps({"StreamName": STREAM, "Records": entries})
    headers = {"x-amz-target": "Kinesis_20131202.PutRecords"}
    async with aiohttp.ClientSession(headers=headers) as session, asyncio.timeout(GUARD_S):
        while not enough():
            with contextlib.suppress(aiohttp.ClientError):  # the fault was meant for somebody else
                async with session.post(kinesis.url, data=body) as answer:
                    await answer.read()


def stored_records(kinesis: FakeKinesis) -> list[Json]:
    """Ours, in the order in which each shard took them."""
    return [orjson.loads(item.data) for item in kinesis.records(STREAM) if item.partition_key not in NEIGHBOURS]


@pytest.mark.parametrize("ack_on", ["spool", "sink"])
async def test_all_products_into_kinesis_under_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ack_on: str
) -> None:
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)
    scripts = fleet.scripts(4)
    failed = "iotlink_records_failed_total"
    async with FakeKinesis(seed=7, limits=True) as kinesis:
        kinesis.create_stream(STREAM, shards=2)
        sinks = kinesis_sink(kinesis.url, STREAM, linger_ms=5.0)
        settings = config(tmp_path, *two_listeners(), sinks=sinks, ack_on=ack_on)
        async with RunningGateway(tmp_path, settings) as rig:

            def in_the_stream(script: fleet.Script, count: int) -> None:
                """What was answered is stored."""
                marks = {f'"{key}":"{script.name}"'.encode() for key in ("device_id", "hub_id")}
                stored = {item.data for item in kinesis.records(STREAM) if any(mark in item.data for mark in marks)}
                assert len(stored) >= count, f"{script.name}: {count} records answered, {len(stored)} stored"

            async def break_things() -> None:
                kinesis.faults.lost_answer = 1.0
                await until(lambda: kinesis.counts.requests >= 2, "two requests whose answers are lost")
                kinesis.faults.lost_answer = 0.0
                kinesis.faults.http_500 = 1.0
                await until(lambda: rig.total(failed, error_code="internal") >= 1, "a 500")
                kinesis.faults.http_500 = kinesis.faults.lost_answer = 0.03
                kinesis.faults.record_failure = 0.1
                kinesis.faults.delay_s, kinesis.faults.jitter_s = 0.001, 0.01
                await occupy(kinesis, lambda: rig.total(failed, error_code="throttled") >= 10)

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(break_things(), name="faults")
                await play_all(rig, scripts, in_the_stream if ack_on == "sink" else silence)
            await rig.settled(fleet.sum_of_frames(scripts))
            await rig.delivered()
            assert_all_accepted(rig, scripts)
            assert await rig.stop() == 0
            for code in ("throttled", "internal", "connection"):
                assert rig.total(failed, error_code=code) > 0, code
            assert rig.total("iotlink_records_buried_total") == 0
            assert rig.total("iotlink_sink_healthy") == 1

        stored = stored_records(kinesis)
        keys = {item.partition_key for item in kinesis.records(STREAM)}
        assert keys - {*NEIGHBOURS} == {record["device_id"] for record in stored}

    first: dict[int, Json] = {}
    repeats = 0
    for record in stored:
        if record["seq"] in first:
            repeats += 1
            assert record == first[record["seq"]], "a repeat says something else"
        else:
            first[record["seq"]] = record
    assert repeats > 0, "answers were lost, and nothing was sent again"
    assert repeats == len(stored) - fleet.sum_of_records(scripts)
    assert_lanes_in_order(first.values())
    assert_records([first[seq] for seq in sorted(first)], scripts)


async def test_with_ack_on_sink_nothing_is_answered_that_the_sink_does_not_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sink that never answers: no device is told "yes", and the end refuses what is left, within its deadline."""
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)
    script = next(script for script in fleet.scripts(1) if script.product == "concox_gt06")
    silent = [exchange for exchange in script.exchanges if exchange.records]
    async with FakeKinesis() as kinesis:
        kinesis.create_stream(STREAM)
        settings = config(tmp_path, sinks=kinesis_sink(kinesis.url), ack_on="sink", drain={"limit_s": 2, "spread_s": 0})
        async with RunningGateway(tmp_path, settings) as rig:
            kinesis.faults.black_hole = True
            client = await rig.connect()
            await client.ask(script.login.frame, script.login.answer)
            client.send(b"".join(exchange.frame for exchange in silent))
            await until(lambda: rig.sums().in_flight == len(silent), "all frames in flight")
            assert await rig.stop() == len(silent)
            assert await client.read_to_end() == b""
            assert rig.total("iotlink_uplinks_refused_total", reason="sink_failed") == len(silent)
            sums = rig.sums()
            assert (sums.accepted, sums.refused) == (1, len(silent))
        assert stored_records(kinesis) == []


async def test_a_fleet_again_after_a_restart(tmp_path: Path) -> None:
    """The same gateway starts again: numbers go on in a later epoch, and earlier files are left alone."""
    scripts = [script for script in fleet.scripts(1) if script.product == "example_thermo"]  # it knows no copies
    for _ in range(2):
        async with RunningGateway(tmp_path, config(tmp_path, *two_listeners())) as rig:
            await play_all(rig, scripts, silence)
            await rig.settled(fleet.sum_of_frames(scripts))
    count = fleet.sum_of_records(scripts)
    records = rig.records()
    assert len(records) == 2 * count
    epochs = sorted({record["epoch"] for record in records})
    assert len(epochs) == 2
    assert [record["epoch"] for record in records] == [epochs[0]] * count + [epochs[1]] * count
    for epoch in epochs:
        assert_records([record for record in records if record["epoch"] == epoch], scripts)
