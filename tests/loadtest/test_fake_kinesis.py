"""The fake against the client that everybody uses, and against what AWS documents."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from loadtest.fake_kinesis import FakeKinesis

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # aiohttp, above 1 MiB


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def kinesis(clock: Clock) -> AsyncIterator[FakeKinesis]:
    async with FakeKinesis(seed=1, clock=clock) as fake:
        yield fake


def connect(url: str) -> Any:
    session = get_session()
    config = AioConfig(retries={"total_max_attempts": 1}, read_timeout=0.5, parameter_validation=False)
    return session.create_client(
        "kinesis",
        region_name="us-east-1",
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=config,
    )


@pytest.fixture
async def client(kinesis: FakeKinesis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Any]:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no_config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no_credentials"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    async with connect(kinesis.url) as made:
        yield made


def entries(*bodies: bytes, key: str = "k") -> list[dict[str, Any]]:
    return [{"Data": body, "PartitionKey": key} for body in bodies]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


async def read(client: Any, stream: str, shard_id: str, kind: str, **position: str) -> list[bytes]:
    answer = await client.get_shard_iterator(StreamName=stream, ShardId=shard_id, ShardIteratorType=kind, **position)
    page = await client.get_records(ShardIterator=answer["ShardIterator"])
    return [record["Data"] for record in page["Records"]]


async def test_streams_come_and_go(client: Any) -> None:
    await client.create_stream(StreamName="a", ShardCount=3)
    await client.create_stream(StreamName="b")
    with pytest.raises(ClientError) as caught:
        await client.create_stream(StreamName="a", ShardCount=1)
    assert code(caught) == "ResourceInUseException"
    assert (await client.list_streams())["StreamNames"] == ["a", "b"]
    summary = (await client.describe_stream_summary(StreamName="a"))["StreamDescriptionSummary"]
    assert summary["StreamStatus"] == "ACTIVE"
    assert summary["OpenShardCount"] == 3
    assert summary["MaxRecordSizeInKiB"] == 1024
    assert summary["RecordDistributionStrategy"] == "USER_PARTITION_KEY"
    await client.delete_stream(StreamName="a")
    with pytest.raises(ClientError) as caught:
        await client.describe_stream_summary(StreamName="a")
    assert code(caught) == "ResourceNotFoundException"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
async def test_shards_split_all_hash_keys(kinesis: FakeKinesis, client: Any, count: int) -> None:
    stream = kinesis.create_stream("s", count)
    shards = (await client.list_shards(StreamName="s"))["Shards"]
    ranges = [(int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"])) for s in shards]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == 2**128 - 1
    for (_, end), (start, _) in itertools.pairwise(ranges):
        assert start == end + 1
    for i in range(200):
        hash_key = int(hashlib.md5(f"key-{i}".encode()).hexdigest(), 16)
        shard = stream.shard_of(f"key-{i}")
        assert shard.first_hash <= hash_key <= shard.last_hash
    for start, end in ranges:
        assert stream.shard_of("k", str(start)) is stream.shard_of("k", str(end))


async def test_what_is_put_can_be_read(kinesis: FakeKinesis, client: Any) -> None:
    kinesis.create_stream("s", 2)
    answer = await client.put_records(StreamName="s", Records=entries(b"1", b"2", b"3"))
    assert answer["FailedRecordCount"] == 0
    numbers = [record["SequenceNumber"] for record in answer["Records"]]
    (shard_id,) = {record["ShardId"] for record in answer["Records"]}
    assert numbers == sorted(numbers)
    assert {len(number) for number in numbers} == {56}
    last = await client.put_record(StreamName="s", Data=b"4", PartitionKey="k")
    assert last["ShardId"] == shard_id
    assert await read(client, "s", shard_id, "TRIM_HORIZON") == [b"1", b"2", b"3", b"4"]
    at = {"StartingSequenceNumber": numbers[1]}
    assert await read(client, "s", shard_id, "AT_SEQUENCE_NUMBER", **at) == [b"2", b"3", b"4"]
    assert await read(client, "s", shard_id, "AFTER_SEQUENCE_NUMBER", **at) == [b"3", b"4"]
    assert await read(client, "s", shard_id, "LATEST") == []
    assert [record.data for record in kinesis.records("s")] == [b"1", b"2", b"3", b"4"]
    assert kinesis.summary()["streams"]["s"] == {"shards": 2, "records": 4, "bytes": 4, "partition_keys": 1}


async def test_reading_page_by_page(kinesis: FakeKinesis, client: Any, clock: Clock) -> None:
    kinesis.create_stream("s")
    await client.put_records(StreamName="s", Records=entries(*(b"%d" % i for i in range(10))))
    answer = await client.get_shard_iterator(
        StreamName="s", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    iterator, seen = answer["ShardIterator"], []
    for _ in range(4):
        page = await client.get_records(ShardIterator=iterator, Limit=3)
        seen.append(len(page["Records"]))
        iterator = page["NextShardIterator"]
    assert seen == [3, 3, 3, 1]
    clock.now += 301
    with pytest.raises(ClientError) as caught:
        await client.get_records(ShardIterator=iterator)
    assert code(caught) == "ExpiredIteratorException"
    with pytest.raises(ClientError) as caught:
        await client.get_records(ShardIterator="nonsense")
    assert code(caught) == "InvalidArgumentException"


async def test_limits_of_a_request(kinesis: FakeKinesis, client: Any) -> None:
    kinesis.create_stream("s", max_record_kib=10_240)
    kinesis.create_stream("small")
    mib = 1024 * 1024
    for stream, records, expected in (
        ("s", entries(*[b"x"] * 501), "ValidationException"),
        ("s", [], "ValidationException"),
        ("s", entries(bytes(6 * mib), bytes(5 * mib)), "InvalidArgumentException"),
        ("small", entries(bytes(mib)), "ValidationException"),  # with its key one byte too many
        ("small", entries(b"x", key=""), "ValidationException"),
        ("small", entries(b"x", key="k" * 257), "ValidationException"),
        ("none", entries(b"x"), "ResourceNotFoundException"),
    ):
        with pytest.raises(ClientError) as caught:
            await client.put_records(StreamName=stream, Records=records)
        assert code(caught) == expected
    assert kinesis.counts.stored == 0
    await client.put_records(StreamName="s", Records=entries(*[b"x"] * 500))
    await client.put_records(StreamName="small", Records=entries(bytes(mib - 1)))
    assert kinesis.counts.most_records == 500


async def test_limits_of_a_shard(kinesis: FakeKinesis, client: Any, clock: Clock) -> None:
    kinesis.create_stream("s")
    kinesis.limits = True
    stored = []
    for _ in range(3):
        answer = await client.put_records(StreamName="s", Records=entries(*[b"x"] * 500))
        stored.append(500 - answer["FailedRecordCount"])
    assert stored == [500, 500, 0]
    assert answer["Records"][0]["ErrorCode"] == "ProvisionedThroughputExceededException"
    clock.now += 0.5
    answer = await client.put_records(StreamName="s", Records=entries(*[b"x"] * 500))
    assert answer["FailedRecordCount"] == 0
    clock.now += 10
    answer = await client.put_records(StreamName="s", Records=entries(*[bytes(300_000)] * 5))
    assert answer["FailedRecordCount"] == 2
    kinesis.limits = False
    answer = await client.put_records(StreamName="s", Records=entries(*[b"x"] * 500))
    assert answer["FailedRecordCount"] == 0


async def test_faults(kinesis: FakeKinesis, client: Any) -> None:
    kinesis.create_stream("s")
    faults = kinesis.faults

    faults.record_failure = 0.5
    answer = await client.put_records(StreamName="s", Records=entries(*[b"x"] * 100))
    assert 0 < answer["FailedRecordCount"] < 100
    assert kinesis.counts.stored == 100 - answer["FailedRecordCount"]
    faults.record_failure = 0.0

    before = kinesis.counts.stored
    faults.http_500 = 1.0
    with pytest.raises(ClientError) as caught:
        await client.put_records(StreamName="s", Records=entries(b"x"))
    assert code(caught) == "InternalFailure"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    faults.http_500 = 0.0

    faults.expired_credentials = True
    with pytest.raises(ClientError) as caught:
        await client.put_records(StreamName="s", Records=entries(b"x"))
    assert code(caught) == "ExpiredTokenException"
    faults.expired_credentials = False

    faults.stream_missing = True
    with pytest.raises(ClientError) as caught:
        await client.describe_stream_summary(StreamName="s")
    assert code(caught) == "ResourceNotFoundException"
    faults.stream_missing = False

    faults.black_hole = True
    with pytest.raises(ReadTimeoutError):
        await client.put_records(StreamName="s", Records=entries(b"x"))
    faults.black_hole = False
    assert kinesis.counts.stored == before

    faults.lost_answer = 1.0
    with pytest.raises(ConnectionClosedError):
        await client.put_records(StreamName="s", Records=entries(b"x"))
    assert kinesis.counts.stored == before + 1
    faults.lost_answer = 0.0

    faults.shuffle = True
    await client.put_records(StreamName="s", Records=entries(*(b"n%d" % i for i in range(50))))
    shuffled = [record.data for record in kinesis.records("s")][-50:]
    assert shuffled != [b"n%d" % i for i in range(50)]
    assert sorted(shuffled) == sorted(b"n%d" % i for i in range(50))


async def test_the_same_seed_makes_the_same_faults() -> None:
    async def run() -> list[bytes]:
        async with FakeKinesis(seed=42) as kinesis:
            kinesis.create_stream("s")
            kinesis.faults.record_failure = 0.5
            async with connect(kinesis.url) as client:
                await client.put_records(StreamName="s", Records=entries(*(b"%d" % i for i in range(50))))
            return [record.data for record in kinesis.records("s")]

    first = await run()
    assert 0 < len(first) < 50
    assert first == await run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_as_a_command(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "loadtest.fake_kinesis",
            "--stream",
            "s",
            "--shards",
            "3",
            "--limits",
            "--print-summary",
        ),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        hello = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
        assert hello["streams"] == ["s"]
        async with connect(hello["endpoint_url"]) as client:
            await client.put_records(StreamName="s", Records=entries(b"x", b"y"))
        process.send_signal(number)
        summary = json.loads(await asyncio.wait_for(process.stdout.read(), 30))
        assert summary["streams"]["s"]["records"] == 2
        assert summary["streams"]["s"]["shards"] == 3
        assert await asyncio.wait_for(process.wait(), 30) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_split_closes_the_parent_and_its_children_take_the_records(kinesis: FakeKinesis, client: Any) -> None:
    stream = kinesis.create_stream("s", 1)
    (parent,) = stream.shards
    await client.put_records(StreamName="s", Records=entries(b"0", b"1"))
    middle = 1 << 127
    await client.split_shard(StreamName="s", ShardToSplit=parent.shard_id, NewStartingHashKey=str(middle))
    for hash_key, data in ((0, b"2"), (middle - 1, b"3"), (middle, b"4"), ((1 << 128) - 1, b"5")):
        await client.put_record(StreamName="s", PartitionKey="a", ExplicitHashKey=str(hash_key), Data=data)
    listed = (await client.list_shards(StreamName="s"))["Shards"]
    assert [shard.get("ParentShardId") for shard in listed] == [None, parent.shard_id, parent.shard_id]
    assert ["EndingSequenceNumber" in shard["SequenceNumberRange"] for shard in listed] == [True, False, False]
    latest = await client.list_shards(StreamName="s", ShardFilter={"Type": "AT_LATEST"})
    assert [shard["ShardId"] for shard in latest["Shards"]] == [shard["ShardId"] for shard in listed[1:]]
    summary = await client.describe_stream_summary(StreamName="s")
    assert summary["StreamDescriptionSummary"]["OpenShardCount"] == 2
    contents = [await read(client, "s", shard["ShardId"], "TRIM_HORIZON") for shard in listed]
    assert contents == [[b"0", b"1"], [b"2", b"3"], [b"4", b"5"]]
    assert [record.data for record in kinesis.records("s")] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert parent.last_sequence < stream.shards[1].records[0].sequence_number


async def test_a_closed_shard_comes_to_an_end(kinesis: FakeKinesis, client: Any) -> None:
    kinesis.create_stream("s", 2)
    left, right = kinesis.streams["s"].shards
    await client.put_record(StreamName="s", PartitionKey="a", ExplicitHashKey="0", Data=b"0")
    await client.merge_shards(StreamName="s", ShardToMerge=left.shard_id, AdjacentShardToMerge=right.shard_id)
    child = kinesis.streams["s"].open_shards[0]
    assert child.parents == [left.shard_id, right.shard_id]
    assert (child.first_hash, child.last_hash) == (0, (1 << 128) - 1)
    answer = await client.get_shard_iterator(StreamName="s", ShardId=left.shard_id, ShardIteratorType="TRIM_HORIZON")
    page = await client.get_records(ShardIterator=answer["ShardIterator"], Limit=1)
    assert [record["Data"] for record in page["Records"]] == [b"0"]
    assert "NextShardIterator" not in page or page["NextShardIterator"] is None
    assert [shard["ShardId"] for shard in page["ChildShards"]] == [child.shard_id]
    assert page["ChildShards"][0]["ParentShards"] == [left.shard_id, right.shard_id]


@pytest.mark.parametrize(
    ("shard", "at", "refusal"),
    [(0, "9", "ValidationException"), (1, "0", "ValidationException"), (9, "9", "ResourceNotFoundException")],
    ids=["closed", "nothing to split there", "absent"],
)
async def test_what_cannot_be_split_is_refused(
    kinesis: FakeKinesis, client: Any, shard: int, at: str, refusal: str
) -> None:
    shards = kinesis.create_stream("s", 3).shards
    kinesis.split("s", shards[0].shard_id)
    with pytest.raises(ClientError) as caught:
        await client.split_shard(StreamName="s", ShardToSplit=f"shardId-{shard:012d}", NewStartingHashKey=at)
    assert code(caught) == refusal


async def test_only_neighbours_are_merged(kinesis: FakeKinesis, client: Any) -> None:
    shards = kinesis.create_stream("s", 3).shards
    with pytest.raises(ClientError) as caught:
        await client.merge_shards(
            StreamName="s", ShardToMerge=shards[0].shard_id, AdjacentShardToMerge=shards[2].shard_id
        )
    assert code(caught) == "ValidationException"


async def test_aggregated_records_outside_their_shard_are_found(kinesis: FakeKinesis, client: Any) -> None:
    """As a consumer library checks it: the explicit hash key of every user record, else its partition key's MD5."""
    kinesis.create_stream("s", 2)

    def kpl(*records: tuple[str, int | None]) -> bytes:
        message = b"".join(b"\x0a%c%b" % (len(key), key.encode()) for key, _ in records)
        for _, hash_key in records:
            text = str(hash_key).encode()
            message += b"\x12%c%b" % (len(text), text)
        for index, (_, hash_key) in enumerate(records):
            body = b"\x08%c" % index + (b"" if hash_key is None else b"\x10%c" % index) + b"\x1a\x01x"
            message += b"\x1a%c%b" % (len(body), body)
        return b"\xf3\x89\x9a\xc2" + message + hashlib.md5(message).digest()

    low = next(f"k{n}" for n in range(99) if hashlib.md5(f"k{n}".encode()).digest()[0] < 128)
    high = next(f"k{n}" for n in range(99) if hashlib.md5(f"k{n}".encode()).digest()[0] >= 128)
    good = [kpl((low, None)), kpl((high, 0), (low, 5)), kpl((low, 7), (low, None)), b"{}"]
    bad = [kpl((high, None)), kpl((low, None), (high, None)), kpl((low, 0), (low, 1 << 127))]
    for data in good + bad:
        await client.put_record(StreamName="s", PartitionKey="a", ExplicitHashKey="0", Data=data)
    assert [record.data for record in kinesis.dropped_by_a_consumer("s")] == bad
