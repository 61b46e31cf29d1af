"""The REST API under back-pressure, at deadlines, over kills and at the end of the gateway."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.delivery.sinks.file import FileSink
from tests.e2e.process import Serve
from tests.e2e.rest_client import NDJSON, Answered, Caller, caller_of, item, rest_config
from tests.e2e.rig import GUARD_S, RunningGateway, read_json, until, write_config

pytestmark = pytest.mark.e2e


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """The file sink stores nothing before this is set."""
    may_store = asyncio.Event()
    send = FileSink.send

    async def hold(self: FileSink, parcels: Any) -> Any:
        await may_store.wait()
        return await send(self, parcels)

    monkeypatch.setattr(FileSink, "send", hold)
    return may_store


async def test_same_key_same_answer(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, rest_config(tmp_path)) as rig, caller_of(rig) as caller:
        items = [item(n=1), 5, item(n=2)]
        first = await caller.post("/v1/telemetry", items, Idempotency_Key="k1")
        again = await caller.post("/v1/telemetry", items, Idempotency_Key='"k1"')
        assert (again.status, again.json) == (first.status, first.json)
        assert "Idempotency-Replayed" not in first.headers
        assert again.headers["Idempotency-Replayed"] == "true"
        other = await caller.post("/v1/telemetry", [item(n=3)], Idempotency_Key="k1")
        assert (other.status, other.json["code"]) == (422, "idempotency_key_reused")
        lines = b"\n".join(map(orjson.dumps, (item(n=4), item(n=5))))
        for _ in range(2):
            assert (await caller.post("/v1/telemetry", lines, NDJSON, Idempotency_Key="k2")).json["accepted"] == 2
        bad = await caller.post("/v1/telemetry", items, Idempotency_Key="k" * 256)
        assert (bad.status, bad.json["code"]) == (400, "bad_idempotency_key")
        await rig.delivered()
        assert [record["metrics"]["n"] for record in rig.records()] == [1, 2, 4, 5]


async def test_items_with_a_trace_id_count_once(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, rest_config(tmp_path)) as rig, caller_of(rig) as caller:
        traced = {**item(n=1), "trace_id": "t-1"}
        assert (await caller.post("/v1/telemetry", [traced, traced])).statuses == ["accepted", "duplicate"]
        assert (await caller.post("/v1/telemetry", traced)).statuses == ["duplicate"]
        await rig.delivered()
        assert len(rig.records()) == 1


async def test_published_waits_for_the_sink_and_open_items_are_pending(tmp_path: Path, sink: asyncio.Event) -> None:
    settings = rest_config(tmp_path, listener={"request_timeout_s": 1})
    async with RunningGateway(tmp_path, settings) as rig, caller_of(rig) as caller:
        assert (await caller.post("/v1/telemetry?wait=spooled", item())).status == 200
        waiting = asyncio.create_task(caller.post("/v1/telemetry?wait=published", item(), Idempotency_Key="k"))
        await until(lambda: rig.sums().received == 2, "it is under way")
        busy = await caller.post("/v1/telemetry?wait=published", item(), Idempotency_Key="k")
        assert (busy.status, busy.json["code"]) == (409, "idempotency_key_in_progress")
        assert busy.headers["Retry-After"] == "1"
        late = await waiting
        assert (late.status, late.json["code"], late.statuses) == (503, "not_settled", ["pending"])
        assert "Retry-After" in late.headers
        mixed = await caller.post("/v1/telemetry?wait=published", [item(), 5])
        assert (mixed.status, mixed.statuses) == (503, ["pending", "rejected"])
        sink.set()
        await until(lambda: rig.sums().in_flight == 0, "all is settled")
        assert (await caller.post("/v1/telemetry?wait=published", item(), Idempotency_Key="k")).status == 200
        await rig.delivered()
        assert len(rig.records()) == 3


async def test_published_is_settled_by_the_sink(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, rest_config(tmp_path)) as rig, caller_of(rig) as caller:
        for _ in range(3):
            assert (await caller.post("/v1/telemetry?wait=published", [item()] * 5)).status == 200
        assert len(rig.records()) == 15


async def test_a_full_spool_is_503(tmp_path: Path, sink: asyncio.Event) -> None:
    settings = rest_config(
        tmp_path,
        spool={"max_bytes": "16MiB", "segment_bytes": "1MiB"},
        rest={"listeners": [{"name": "rest", "port": 0, "max_connections": 10}], "stream_from_bytes": 1000},
    )
    async with RunningGateway(tmp_path, settings) as rig, caller_of(rig) as caller:
        batch = [item(text="x" * 100_000)] * 20
        answers: list[Answered] = []
        while not answers or answers[-1].status != 503:
            answers.append(await caller.post("/v1/telemetry", batch))
            assert len(answers) < 100
        assert answers[0].status == 200
        full = await caller.post("/v1/telemetry", item())
        assert (full.status, full.json["code"], full.json["limit"]) == (503, "no_room", {"name": "spool.max_bytes"})
        assert int(full.headers["Retry-After"]) > 0
        assert (await caller.get("/v1/specs")).status == 200
        accepted = sum(answer.json["accepted"] for answer in answers if "accepted" in answer.json)
        sums = rig.sums()
        assert sums.accepted == accepted
        assert sums.balance()
        sink.set()


async def test_what_is_under_way_is_answered_at_the_end(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, rest_config(tmp_path)) as rig, caller_of(rig) as caller:
        idle = await caller.post("/v1/telemetry", item(n=0))  # its connection stays open
        assert idle.status == 200
        begun, go_on = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"["
            begun.set()
            await go_on.wait()
            yield orjson.dumps(item(n=1)) + b"]"

        batch = asyncio.create_task(caller.post("/v1/telemetry", slow()))
        await begun.wait()
        await until(lambda: rig.total("iotlink_http_requests_in_flight") == 1, "it is under way")
        upload_begun = asyncio.Event()

        async def lines() -> AsyncIterator[bytes]:
            yield orjson.dumps(item(n=2)) + b"\n"
            upload_begun.set()
            await asyncio.Event().wait()

        upload = asyncio.create_task(caller.post("/v1/telemetry", lines(), NDJSON))
        await upload_begun.wait()
        await until(lambda: rig.sums().accepted == 2, "the upload's first line is kept")
        stopping = asyncio.create_task(rig.stop())
        ended = await upload
        assert (ended.status, ended.json["code"], ended.json["accepted"]) == (503, "draining", 1)
        go_on.set()
        answer = await batch
        assert (answer.status, answer.statuses) == (200, ["accepted"])
        assert await stopping == 0
        assert sorted(record["metrics"]["n"] for record in rig.records()) == [0, 1, 2]


async def test_no_more_connections_than_allowed(tmp_path: Path) -> None:
    settings = rest_config(tmp_path, listener={"max_connections": 1})
    async with RunningGateway(tmp_path, settings) as rig, caller_of(rig) as caller:
        assert (await caller.post("/v1/telemetry", item())).status == 200
        host, port = rig.rest_url().removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(GUARD_S):
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        assert rig.total("iotlink_connections_closed_total", listener="rest", reason="connection_limit") == 1


async def test_slow_bodies_and_silent_connections_end(tmp_path: Path) -> None:
    settings = rest_config(tmp_path, listener={"read_timeout_s": 0.2, "idle_timeout_s": 0.2})
    async with RunningGateway(tmp_path, settings) as rig:
        host, port = rig.rest_url().removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n[")
        async with asyncio.timeout(GUARD_S):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"slow_body" in answer
        writer.close()
        silent, other = await asyncio.open_connection(host, int(port))
        other.write(b"GET /v1/specs HTTP/1.1\r\nHost: local")
        async with asyncio.timeout(GUARD_S):
            assert await silent.read() == b""
        other.close()


@pytest.mark.fault
async def test_kill_between_acceptance_and_answer(tmp_path: Path) -> None:
    """Every item that was answered as accepted is recorded, and sending all again under the same keys adds nothing."""
    settings = rest_config(tmp_path)
    settings["gateway"]["codec"] = "construct"  # nothing to prove: it starts at once
    path = write_config(tmp_path, settings)
    batches = [[item(f"truck-{n % 3}", n=100 * n + index) for index in range(100)] for n in range(40)]

    async def send(caller: Caller, number: int) -> dict[str, Any]:
        answer = await caller.post("/v1/telemetry", batches[number], Idempotency_Key=f"batch-{number}")
        assert answer.status == 200, answer.body
        document: dict[str, Any] = answer.json
        return document

    told: dict[int, list[str]] = {}
    async with Serve(tmp_path, "--config", path) as first, Caller(url_of(first)) as caller:
        tasks = [asyncio.create_task(send(caller, number)) for number in range(len(batches))]
        await asyncio.wait(tasks[:15], return_when=asyncio.FIRST_COMPLETED)
        await first.kill()
        for number, answer in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
            if isinstance(answer, dict):
                told[number] = [one["record_id"] for one in answer["items"]]
    assert told
    async with Serve(tmp_path, "--config", path) as second:
        async with Caller(url_of(second)) as caller:
            for number in range(len(batches)):
                answer = await send(caller, number)
                ids = [one["record_id"] for one in answer["items"]]
                assert told.setdefault(number, ids) == ids
        await second.until_sample(lambda samples: samples.total("iotlink_sink_backlog_records") == 0)
    found = {record["record_id"]: record["metrics"]["n"] for record in read_json(tmp_path / "data" / "records")}
    assert found == {
        record_id: 100 * number + index for number, ids in told.items() for index, record_id in enumerate(ids)
    }


def url_of(gateway: Serve) -> str:
    host, port = gateway.address("rest")
    return f"http://{host}:{port}"
