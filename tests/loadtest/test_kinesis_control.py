"""The control port of the fake, and the fake as a process with one."""

from __future__ import annotations

import base64

import aiohttp
import pytest

from loadtest.fake_kinesis import FakeKinesis
from loadtest.faults.processes import STREAM, KinesisProcess, RunFailed
from loadtest.kinesis_control import Control


async def test_faults_are_switched_and_what_is_stored_can_be_read() -> None:
    async with KinesisProcess(shards=2, seed=1) as kinesis:
        data = base64.b64encode(b"one").decode()
        put = {"Data": data, "PartitionKey": "a"}
        await kinesis.call("PutRecord", **put)
        await kinesis.call("DeleteStream")
        with pytest.raises(RunFailed, match="ResourceNotFound"):
            await kinesis.call("PutRecord", **put)
        await kinesis.call("CreateStream", ShardCount=1)
        await kinesis.call("PutRecord", **put)
        found = [record async for record in kinesis.stored()]
        assert [(key, stored) for _, key, stored in found] == [("a", data)] * 2  # the deleted stream's comes first
        assert len(await kinesis.open_shards()) == 1

        await kinesis.set(expired_credentials=True)
        with pytest.raises(RunFailed, match="ExpiredToken"):
            await kinesis.call("PutRecord", **put)
        await kinesis.set(expired_credentials=False, listening=False)
        with pytest.raises(aiohttp.ClientError):
            await kinesis.call("PutRecord", **put)
        await kinesis.set(listening=True)
        await kinesis.call("PutRecord", **put)
        assert (await kinesis.summary())["streams"][STREAM]["records"] == 2


async def test_an_unknown_fault_is_refused() -> None:
    async with (
        FakeKinesis() as fake,
        Control(fake) as control,
        aiohttp.ClientSession() as session,
    ):
        async with session.post(f"{control.url}/faults", json={"limits": True, "delay_s": 0.5}) as answer:
            assert answer.status == 200
        assert fake.limits
        assert fake.faults.delay_s == 0.5
        async with session.post(f"{control.url}/faults", json={"earthquake": 1}) as answer:
            assert answer.status == 400
            assert "earthquake" in await answer.text()
