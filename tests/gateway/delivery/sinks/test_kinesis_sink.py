"""The Kinesis sink against the fake over loopback: start-up check, outcome per entry, classes of errors."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from botocore import exceptions as boto

from gateway.delivery.lanes import Parcel
from gateway.delivery.sinks import EntryFailure
from gateway.delivery.sinks.kinesis import KinesisSink, classify
from gateway.delivery.sinks.packings import Aggregated, Ndjson, Packing, Plain
from gateway.delivery.stripes import Stripes
from gateway.domain.errors import OperatorError, SinkError
from gateway.domain.record import Record
from loadtest.fake_kinesis import FakeKinesis
from loadtest.kpl_reader import user_records

if TYPE_CHECKING:
    from tests.gateway.delivery.conftest import RecordFactory

pytestmark = [
    pytest.mark.usefixtures("aws_environment"),
    pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning"),  # aiohttp, above 1 MiB
]


@pytest.fixture
async def kinesis() -> AsyncIterator[FakeKinesis]:
    async with FakeKinesis(seed=1) as fake:
        fake.create_stream("telemetry", 4)
        yield fake


def parcels(*records: Record) -> list[Parcel]:
    """As the queue of plain records makes them."""
    return [Parcel(record.lane, [(record, None)], len(record.body)) for record in records]


def make_sink(kinesis: FakeKinesis, **settings: Any) -> KinesisSink:
    return KinesisSink("main", "telemetry", region="us-east-1", endpoint_url=kinesis.url, **settings)


@pytest.fixture
async def sink(kinesis: FakeKinesis) -> AsyncIterator[KinesisSink]:
    sink = make_sink(kinesis)
    await sink.start()
    yield sink
    await sink.close()


async def test_stores_body_and_lane(kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory) -> None:
    records = [make_record(f"dev-{i}") for i in range(500)]
    assert await sink.send(parcels(*records)) is None
    stored = {record.partition_key: record.data for record in kinesis.records("telemetry")}
    assert stored == {record.lane: record.body for record in records}


async def test_the_outcome_is_read_per_entry(
    kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory
) -> None:
    kinesis.faults.record_failure = 0.5
    records = [make_record(f"dev-{i}") for i in range(100)]
    results = await sink.send(parcels(*records))
    assert results is not None
    stored = {record.partition_key for record in kinesis.records("telemetry")}
    assert 0 < len(stored) < 100
    assert {record.lane for record, result in zip(records, results, strict=True) if result is None} == stored
    failure = next(result for result in results if result is not None)
    assert (failure.code, failure.retriable) == ("internal", True)


async def test_entries_beyond_the_limits_of_a_shard_are_throttled(
    kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory
) -> None:
    kinesis.limits = True
    results = await sink.send(parcels(*[make_record(f"dev-{i}", size=50_000) for i in range(90)]))
    assert results is not None
    assert {result.code for result in results if isinstance(result, EntryFailure)} == {"throttled"}
    assert kinesis.counts.throttled == sum(result is not None for result in results)


async def test_an_entry_that_is_not_valid_is_beyond_retrying(
    kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory
) -> None:
    kinesis.faults.poison_entry = b'"dev-1"'
    results = await sink.send(parcels(make_record("dev-1"), make_record("dev-2")))
    assert results is not None
    assert isinstance(results[0], EntryFailure)
    assert (results[0].code, results[0].retriable, results[1]) == ("validation", False, None)


@pytest.mark.parametrize(
    ("faults", "code", "retriable"),
    [
        ({"http_500": 1.0}, "internal", True),
        ({"lost_answer": 1.0}, "connection", True),
        ({"black_hole": True}, "timeout", True),
        ({"expired_credentials": True}, "credentials", True),
        ({"stream_missing": True}, "not_found", True),
        ({"poison": b"dev-1"}, "validation", False),
    ],
)
async def test_whole_requests_fail_with_a_known_code(
    kinesis: FakeKinesis, make_record: RecordFactory, faults: dict[str, object], code: str, retriable: bool
) -> None:
    sink = make_sink(kinesis, read_timeout_s=0.2)
    await sink.start()
    for name, value in faults.items():
        setattr(kinesis.faults, name, value)
    before = kinesis.counts.stored
    with pytest.raises(SinkError) as caught:
        await sink.send(parcels(make_record("dev-1")))
    assert (caught.value.code, caught.value.retriable) == (code, retriable)
    assert kinesis.counts.stored - before == (1 if code == "connection" else 0)  # a lost answer is not sent again here
    for name in faults:
        setattr(kinesis.faults, name, type(faults[name])())
    assert await sink.send(parcels(make_record("dev-2"))) is None
    await sink.close()


async def test_a_server_that_is_gone(kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory) -> None:
    await kinesis.__aexit__()
    with pytest.raises(SinkError) as caught:
        await sink.send(parcels(make_record()))
    assert (caught.value.code, caught.value.retriable) == ("connection", True)
    async with kinesis:  # on the same port
        assert await sink.send(parcels(make_record())) is None


async def test_a_stream_that_ignores_partition_keys_is_refused(kinesis: FakeKinesis) -> None:
    kinesis.streams["telemetry"].distribution = "AUTO"
    sink = make_sink(kinesis)
    with pytest.raises(OperatorError, match="sink main: stream 'telemetry' has RecordDistributionStrategy AUTO"):
        await sink.start()
    await sink.close()


async def test_the_size_limit_is_the_stream_s(kinesis: FakeKinesis, make_record: RecordFactory) -> None:
    kinesis.create_stream("telemetry", 1, max_record_kib=10_240)
    sink = make_sink(kinesis)
    assert sink.max_record_bytes == 1024 * 1024 - 1024
    await sink.start()
    assert sink.max_record_bytes == 10 * 1024 * 1024 - 1024
    lane = "é" * 128  # the longest key in bytes
    largest = Record("r", "telemetry", "p", lane, bytes(sink.max_record_bytes), 0)
    assert await sink.send(parcels(largest)) is None
    await sink.close()


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"stream_missing": True}, "not_found"),
        ({"expired_credentials": True}, "credentials"),
        ({"black_hole": True}, "timeout"),
    ],
)
async def test_what_is_missing_at_start_may_come_later(
    kinesis: FakeKinesis, make_record: RecordFactory, faults: dict[str, bool], code: str
) -> None:
    for name, value in faults.items():
        setattr(kinesis.faults, name, value)
    sink = make_sink(kinesis, read_timeout_s=0.2)
    with pytest.raises(SinkError) as caught:
        await sink.start()
    assert (caught.value.code, caught.value.retriable) == (code, True)
    with pytest.raises(SinkError):
        await sink.send(parcels(make_record()))
    assert "PutRecords" not in kinesis.counts.by_operation  # nothing goes to a stream that was not checked
    for name in faults:
        setattr(kinesis.faults, name, False)
    assert await sink.send(parcels(make_record())) is None
    await sink.close()


async def test_a_stream_made_again_is_checked_again(
    kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory
) -> None:
    del kinesis.streams["telemetry"]
    with pytest.raises(SinkError, match="not found"):
        await sink.send(parcels(make_record()))
    kinesis.create_stream("telemetry").distribution = "AUTO"
    with pytest.raises(OperatorError, match="AUTO"):
        await sink.send(parcels(make_record()))


async def test_without_credentials(
    kinesis: FakeKinesis, make_record: RecordFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    sink = make_sink(kinesis)
    with pytest.raises(SinkError) as caught:
        await sink.start()
    assert (caught.value.code, caught.value.retriable) == ("credentials", True)
    await sink.close()


@pytest.mark.parametrize("packing", [Aggregated(4), Ndjson(4)])
async def test_a_stripe_s_records_are_one_kinesis_record(
    kinesis: FakeKinesis, make_record: RecordFactory, packing: Packing
) -> None:
    sink = make_sink(kinesis, packing=packing)
    await sink.start()
    queue = sink.new_queue()
    records = [make_record(f"dev-{n % 40}") for n in range(200)]
    queue.put([(record, None) for record in records], 0)
    some = queue.take(500, sink.max_batch_bytes, sink.pacing, 0.0)
    assert len(some) == 4
    assert await sink.send(some) is None
    stored = kinesis.records("telemetry")
    assert [record.shard_id for record in stored] == [shard.shard_id for shard in kinesis.streams["telemetry"].shards]
    found: list[bytes] = []
    for record in stored:
        assert record.partition_key == "a"
        if isinstance(packing, Aggregated):
            inside = user_records(record.data)
            assert {user.explicit_hash_key for user in inside} <= set(Stripes(4).hash_keys)
            assert [user.partition_key for user in inside] == [json.loads(user.data)["device_id"] for user in inside]
            found += [user.data for user in inside]
        else:
            found += record.data.split(b"\n")
    assert sorted(found) == sorted(record.body for record in records)
    assert not kinesis.dropped_by_a_consumer("telemetry")
    await sink.close()


@pytest.mark.parametrize("packing", [Plain(), Aggregated(), Ndjson()])
async def test_the_largest_record_fits_whatever_its_lane(
    kinesis: FakeKinesis, make_record: RecordFactory, packing: Packing
) -> None:
    sink = make_sink(kinesis, packing=packing)
    await sink.start()
    queue = sink.new_queue()
    for lane in ("é" * 128, "x" * 256, "y" * 500):
        queue.put([(Record("r", "telemetry", "p", lane, bytes(sink.max_record_bytes), 0), None)], 0)
    while some := queue.take(500, sink.max_batch_bytes, sink.pacing, 0.0):
        assert await sink.send(some) is None
        queue.done(some)
    assert kinesis.counts.stored == 3
    await sink.close()


async def test_names_that_json_must_escape(kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory) -> None:
    records = [make_record(lane) for lane in ('a"b', "back\\slash", "emoji 😀", "line\nbreak")]
    assert await sink.send(parcels(*records)) is None
    assert {record.partition_key for record in kinesis.records("telemetry")} == {record.lane for record in records}


async def test_requests_in_flight_together_keep_their_bodies(
    kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory
) -> None:
    kinesis.faults.jitter_s = 0.01
    records = [make_record(f"dev-{n}") for n in range(40)]
    await asyncio.gather(*(sink.send(parcels(*records[n : n + 10])) for n in range(0, 40, 10)))
    assert sorted(r.data for r in kinesis.records("telemetry")) == sorted(record.body for record in records)


@pytest.mark.parametrize(
    "body", [b"", b"no JSON", b"[]", b"{}", b'{"Records":null}', b'{"Records":[]}', b'{"Records":[{},{}]}']
)
async def test_an_answer_that_cannot_be_is_a_failure_and_no_success(
    sink: KinesisSink, make_record: RecordFactory, body: bytes
) -> None:
    def replace(response_dict: dict[str, Any], **_: object) -> None:
        response_dict["body"] = body

    sink._client.meta.events.register_first("before-parse.kinesis.PutRecords", replace)
    with pytest.raises(SinkError) as caught:
        await sink.send(parcels(make_record("dev-1")))
    assert caught.value.retriable


async def test_the_map_of_shards_has_the_open_ones(kinesis: FakeKinesis, sink: KinesisSink) -> None:
    shards = kinesis.streams["telemetry"].shards
    kinesis.split("telemetry", shards[0].shard_id)
    kinesis.merge("telemetry", shards[2].shard_id, shards[3].shard_id)
    found = await sink._list_shards()
    assert [shard.shard_id[-1] for shard in found] == ["4", "5", "1", "6"]
    assert found[-1].last_hash == (1 << 128) - 1
    kinesis.faults.stream_missing = True
    with pytest.raises(SinkError, match="not found"):
        await sink._list_shards()


async def test_a_stripe_and_a_lane_know_their_shard(kinesis: FakeKinesis) -> None:
    stream = kinesis.streams["telemetry"]
    for packing, key in ((Plain(), "dev-1"), (Aggregated(), Stripes().hash_keys[40])):
        sink = make_sink(kinesis, packing=packing)
        await sink.start()
        sink.pacing.learn(await sink._list_shards())
        shard = stream.shard_of(key, key if isinstance(packing, Aggregated) else None)
        assert sink.pacing.group(key) is sink.pacing._groups[shard.shard_id]
        await sink.close()


async def test_an_unknown_shard_makes_the_map_stale(
    kinesis: FakeKinesis, sink: KinesisSink, make_record: RecordFactory
) -> None:
    sink.pacing.learn(await sink._list_shards())
    await sink.send(parcels(make_record("dev-1")))
    assert not sink.pacing._stale.is_set()
    for shard in list(kinesis.streams["telemetry"].shards):
        kinesis.split("telemetry", shard.shard_id)
    await sink.send(parcels(make_record("dev-1")))
    assert sink.pacing._stale.is_set()


@pytest.mark.parametrize(("region", "endpoint_url"), [(None, None), ("us-east-1", "no url")])
async def test_settings_that_can_never_work(
    region: str | None, endpoint_url: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(OperatorError, match="sink main: "):
        await KinesisSink("main", "telemetry", region=region, endpoint_url=endpoint_url).start()


def client_error(name: str, status: int) -> boto.ClientError:
    return boto.ClientError({"Error": {"Code": name}, "ResponseMetadata": {"HTTPStatusCode": status}}, "PutRecords")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (client_error("ProvisionedThroughputExceededException", 400), "throttled"),
        (client_error("KMSThrottlingException", 400), "throttled"),
        (client_error("KMSDisabledException", 400), "kms"),
        (client_error("AccessDeniedException", 400), "access_denied"),
        (client_error("UnheardOf", 403), "access_denied"),
        (client_error("UnheardOf", 429), "throttled"),
        (client_error("UnheardOf", 503), "internal"),
        (client_error("UnheardOf", 400), "other"),
        (client_error("413", 413), "validation"),
        (client_error("SerializationException", 400), "validation"),
        (boto.NoCredentialsError(), "credentials"),
        (boto.CredentialRetrievalError(provider="ecs", error_msg="refused"), "credentials"),
        (boto.ConnectTimeoutError(endpoint_url="http://127.0.0.1"), "timeout"),
        (boto.SSLError(endpoint_url="https://127.0.0.1", error="bad certificate"), "connection"),
        (boto.ParamValidationError(report="bad"), "validation"),
        (boto.UnknownServiceError(service_name="x", known_service_names="y"), "other"),
        (TimeoutError(), "timeout"),
        (aiohttp.ClientPayloadError("cut"), "connection"),
        (ConnectionResetError("reset"), "connection"),
    ],
)
def test_only_validation_is_beyond_retrying(error: Exception, code: str) -> None:
    failure = classify(error)
    assert failure.code == code
    assert failure.retriable is (code != "validation")
    assert str(failure)
