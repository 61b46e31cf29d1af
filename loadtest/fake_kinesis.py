"""A fake of Amazon Kinesis Data Streams over HTTP, with the shard limits and the faults that emulators lack.

In a test: `async with FakeKinesis(seed=1) as kinesis:` then `kinesis.url`, `kinesis.create_stream(...)`,
`kinesis.faults.lost_answer = 0.05`, `kinesis.records(...)`. By itself: `python -m loadtest.fake_kinesis --help`.

It speaks JSON 1.1 (`x-amz-target: Kinesis_20131202.<Operation>`); signatures are not checked. Sequence numbers have
56 digits and rise within a stream. Streams are ACTIVE at once, and splits and merges happen at once, too.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson
from aiohttp import web

from loadtest.kinesis_control import Control
from loadtest.kinesis_faults import Counts, Faults
from loadtest.kinesis_shards import FIRST_SEQUENCE, MIB, Shard, StoredRecord, Stream, hash_key_of
from loadtest.kpl_reader import NotAggregated, user_records

_ACCOUNT = "000000000000"
_MAX_REQUEST_RECORDS = 500
_MAX_REQUEST_BYTES = 10 * MIB
_ITERATOR_LIFE_S = 300.0

Answer = dict[str, Any]


class _Refusal(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class FakeKinesis:
    """The server; an async context manager. `limits` switches the shard limits, at any time."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        limits: bool = False,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.port = port  # 0: any free one; the chosen one once it has started
        self.limits = limits
        self.faults = Faults()
        self.counts = Counts()
        self.streams: dict[str, Stream] = {}
        self.deleted: list[Stream] = []  # with what was in them
        self._listening = True
        self._site: web.TCPSite | None = None
        self._random = random.Random(seed)
        self._clock = clock
        self._sequence = FIRST_SEQUENCE
        self._answered = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._operations: dict[str, Callable[[Answer], Answer]] = {
            "CreateStream": self._create_stream,
            "DeleteStream": self._delete_stream,
            "ListStreams": self._list_streams,
            "ListShards": self._list_shards,
            "DescribeStreamSummary": self._describe_stream_summary,
            "PutRecords": self._put_records,
            "PutRecord": self._put_record,
            "GetShardIterator": self._get_shard_iterator,
            "GetRecords": self._get_records,
            "SplitShard": self._split_shard,
            "MergeShards": self._merge_shards,
        }

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> FakeKinesis:
        app = web.Application(client_max_size=32 * MIB)
        app.router.add_post("/", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, self.host, self.port)
        await self._site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def set_listening(self, listening: bool) -> None:
        """False: connections are refused, and those that there are end with their next request. True: as before."""
        if listening == self._listening:
            return
        assert self._runner is not None
        assert self._site is not None
        self._listening = listening
        if listening:
            self._site = web.TCPSite(self._runner, self.host, self.port)
            await self._site.start()
        else:
            await self._site.stop()

    # For tests and the demo.

    def create_stream(self, name: str, shards: int = 1, *, max_record_kib: int = 1024) -> Stream:
        arn = f"arn:aws:kinesis:us-east-1:{_ACCOUNT}:stream/{name}"
        self.streams[name] = stream = Stream(name, arn, shards, self._clock, max_record_kib=max_record_kib)
        return stream

    def split(self, stream: str, shard_id: str) -> None:
        """Splits a shard in its middle. ValueError: it is no open shard."""
        self._split_shard({"StreamName": stream, "ShardToSplit": shard_id})

    def merge(self, stream: str, shard_id: str, other_id: str) -> None:
        """ValueError: these are no open neighbours."""
        self._merge_shards({"StreamName": stream, "ShardToMerge": shard_id, "AdjacentShardToMerge": other_id})

    def dropped_by_a_consumer(self, stream: str) -> list[StoredRecord]:
        """Aggregated records that Amazon's consumer library would drop, silently and whole: those with a user record
        whose hash key (explicit, else MD5 of its partition key) is outside the shard in which they are stored."""
        dropped = []
        for shard in self.streams[stream].shards:
            for record in shard.records:
                try:
                    inside = user_records(record.data)
                except NotAggregated:
                    continue
                if not all(shard.holds(hash_key_of(user.partition_key, user.explicit_hash_key)) for user in inside):
                    dropped.append(record)
        return dropped

    def records(self, stream: str) -> list[StoredRecord]:
        """All records of a stream, shard by shard (parents before children), each in order of arrival."""
        return [record for shard in self.streams[stream].shards for record in shard.records]

    async def wait_answered(self, count: int) -> None:
        """Returns when `counts.answered` has reached this."""
        while self.counts.answered < count:
            self._answered.clear()
            await self._answered.wait()

    def summary(self) -> Answer:
        streams = {}
        for stream in self.streams.values():
            records = self.records(stream.name)
            streams[stream.name] = {
                "shards": len(stream.open_shards),
                "records": len(records),
                "bytes": sum(len(record.data) for record in records),
                "partition_keys": len({record.partition_key for record in records}),
            }
        counts = self.counts
        return {
            "streams": streams,
            "requests": counts.requests,
            "offered": counts.offered,
            "stored": counts.stored,
            "throttled": counts.throttled,
        }

    # HTTP.

    async def _handle(self, request: web.Request) -> web.Response:
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        body = await request.read()
        faults = self.faults
        if faults.black_hole:
            await asyncio.Event().wait()  # until the peer or the server ends the connection
        writes = operation in ("PutRecords", "PutRecord")
        if not self._listening and request.transport is not None:
            request.transport.abort()
            return web.Response(status=503)
        try:
            if writes and self._happens(faults.http_500):
                raise _Refusal("InternalFailure", "injected", 500)
            answer = self._answer(operation, body)
            status = 200
        except _Refusal as refusal:
            answer = {"__type": refusal.code, "message": str(refusal)}
            status = refusal.status
        if faults.delay_s or faults.jitter_s:
            await asyncio.sleep(faults.delay_s + faults.jitter_s * self._random.random())
        self.counts.answered += 1
        self._answered.set()
        if writes and status == 200 and self._happens(faults.lost_answer) and request.transport is not None:
            request.transport.abort()
        return web.Response(status=status, body=orjson.dumps(answer), content_type="application/x-amz-json-1.1")

    def _answer(self, operation: str, body: bytes) -> Answer:
        if self.faults.expired_credentials:
            raise _Refusal("ExpiredTokenException", "The security token included in the request is expired")
        method = self._operations.get(operation)
        if method is None:
            raise _Refusal("UnknownOperationException", f"no such operation: {operation}")
        self.counts.by_operation[operation] = self.counts.by_operation.get(operation, 0) + 1
        try:
            arguments = orjson.loads(body or b"{}")
        except orjson.JSONDecodeError as error:
            raise _Refusal("SerializationException", str(error)) from error
        try:
            return method(arguments)
        except (KeyError, TypeError, ValueError) as error:
            raise _Refusal("ValidationException", f"missing or impossible argument: {error}") from error

    def _happens(self, probability: float) -> bool:
        return probability > 0 and self._random.random() < probability

    # Operations: arguments in, answer out.

    def _find(self, arguments: Answer) -> Stream:
        name = arguments.get("StreamName") or arguments["StreamARN"].rpartition("/")[2]
        stream = self.streams.get(name)
        if stream is None or self.faults.stream_missing:
            raise _Refusal("ResourceNotFoundException", f"Stream {name} under account {_ACCOUNT} not found.")
        return stream

    def _create_stream(self, arguments: Answer) -> Answer:
        name = arguments["StreamName"]
        if name in self.streams:
            raise _Refusal("ResourceInUseException", f"Stream {name} under account {_ACCOUNT} already exists.")
        stream = self.create_stream(
            name, int(arguments.get("ShardCount", 4)), max_record_kib=int(arguments.get("MaxRecordSizeInKiB", 1024))
        )
        stream.distribution = arguments.get("RecordDistributionStrategy", stream.distribution)
        return {}

    def _delete_stream(self, arguments: Answer) -> Answer:
        self.deleted.append(self.streams.pop(self._find(arguments).name))
        return {}

    def _list_streams(self, arguments: Answer) -> Answer:
        return {"StreamNames": sorted(self.streams), "HasMoreStreams": False}

    def _list_shards(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        latest = arguments.get("ShardFilter", {}).get("Type") == "AT_LATEST"
        return {"Shards": [_shard_answer(shard) for shard in (stream.open_shards if latest else stream.shards)]}

    def _split_shard(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        at = arguments.get("NewStartingHashKey")
        stream.split(
            self._shard(stream, arguments["ShardToSplit"]), self._next_sequence(), None if at is None else int(at)
        )
        return {}

    def _merge_shards(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        shard = self._shard(stream, arguments["ShardToMerge"])
        stream.merge(shard, self._shard(stream, arguments["AdjacentShardToMerge"]), self._next_sequence())
        return {}

    def _describe_stream_summary(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        return {
            "StreamDescriptionSummary": {
                "StreamName": stream.name,
                "StreamARN": stream.arn,
                "StreamStatus": "ACTIVE",
                "StreamModeDetails": {"StreamMode": "PROVISIONED"},
                "RetentionPeriodHours": 24,
                "StreamCreationTimestamp": stream.created_at,
                "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
                "EncryptionType": "NONE",
                "OpenShardCount": len(stream.open_shards),
                "ConsumerCount": 0,
                "MaxRecordSizeInKiB": stream.max_record_kib,
                "RecordDistributionStrategy": stream.distribution,
            }
        }

    def _put_records(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        offered: Sequence[Answer] = arguments["Records"]
        if not 1 <= len(offered) <= _MAX_REQUEST_RECORDS:
            raise _Refusal("ValidationException", f"records: 1 to 500 members, not {len(offered)}")
        entries = [self._entry(stream, entry) for entry in offered]
        if sum(len(data) + len(key.encode()) for data, key, _ in entries) > _MAX_REQUEST_BYTES:
            raise _Refusal("InvalidArgumentException", "Records size exceeds 10 MB limit")
        self._count(entries)
        outcomes: list[Answer] = [{}] * len(entries)
        order = list(range(len(entries)))
        if self.faults.shuffle:
            self._random.shuffle(order)
        for index in order:
            outcomes[index] = self._store(stream, *entries[index])
        failed = sum("ErrorCode" in outcome for outcome in outcomes)
        return {"FailedRecordCount": failed, "Records": outcomes, "EncryptionType": "NONE"}

    def _put_record(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        entry = self._entry(stream, arguments)
        self._count([entry])
        outcome = self._store(stream, *entry)
        if "ErrorCode" in outcome:
            raise _Refusal(outcome["ErrorCode"], outcome["ErrorMessage"])
        return outcome

    def _entry(self, stream: Stream, entry: Answer) -> tuple[bytes, str, str | None]:
        data = base64.b64decode(entry["Data"], validate=True)
        key: str = entry["PartitionKey"]
        if not 1 <= len(key) <= 256:
            raise _Refusal("ValidationException", f"partitionKey: 1 to 256 characters, not {len(key)}")
        if len(data) + len(key.encode()) > stream.max_record_kib * 1024:
            raise _Refusal("ValidationException", f"data: at most {stream.max_record_kib} KiB, with its key")
        if self.faults.poison and self.faults.poison in data:
            raise _Refusal("ValidationException", "injected: a record of this request is not valid")
        return data, key, entry.get("ExplicitHashKey")

    def _count(self, entries: Sequence[tuple[bytes, str, str | None]]) -> None:
        self.counts.requests += 1
        self.counts.offered += len(entries)
        self.counts.most_records = max(self.counts.most_records, len(entries))
        self.counts.repeated_keys += len(entries) - len({key for _, key, _ in entries})

    def _store(self, stream: Stream, data: bytes, key: str, explicit_hash_key: str | None) -> Answer:
        if self._happens(self.faults.record_failure):
            return {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal service failure (injected)."}
        if self.faults.poison_entry and self.faults.poison_entry in data:
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": "injected: this record is not valid"}
        shard = stream.shard_of(key, explicit_hash_key)
        if self.limits and not shard.has_capacity(len(data) + len(key.encode())):
            self.counts.throttled += 1
            return {
                "ErrorCode": "ProvisionedThroughputExceededException",
                "ErrorMessage": f"Rate exceeded for shard {shard.shard_id} in stream {stream.name}.",
            }
        stored = shard.put(self._next_sequence(), key, data)
        self.counts.stored += 1
        return {"SequenceNumber": stored.sequence_number, "ShardId": shard.shard_id}

    def _get_shard_iterator(self, arguments: Answer) -> Answer:
        stream = self._find(arguments)
        shard = self._shard(stream, arguments["ShardId"])
        kind = arguments["ShardIteratorType"]
        if kind == "TRIM_HORIZON":
            position = 0
        elif kind == "LATEST":
            position = len(shard.records)
        elif kind == "AT_SEQUENCE_NUMBER":
            position = shard.position_at(arguments["StartingSequenceNumber"])
        elif kind == "AFTER_SEQUENCE_NUMBER":
            position = shard.position_at(arguments["StartingSequenceNumber"], after=True)
        else:
            raise _Refusal("InvalidArgumentException", f"ShardIteratorType {kind} is not known to this fake")
        return {"ShardIterator": self._iterator(stream, shard, position)}

    def _iterator(self, stream: Stream, shard: Shard, position: int) -> str:
        token = [stream.name, shard.shard_id, position, self._clock()]
        return base64.b64encode(orjson.dumps(token)).decode()

    def _get_records(self, arguments: Answer) -> Answer:
        try:
            name, shard_id, position, made_at = orjson.loads(base64.b64decode(arguments["ShardIterator"]))
        except ValueError as error:
            raise _Refusal("InvalidArgumentException", "Invalid ShardIterator.") from error
        if self._clock() - made_at > _ITERATOR_LIFE_S:
            raise _Refusal("ExpiredIteratorException", "Iterator expired: it was made more than 5 minutes ago.")
        stream = self._find({"StreamName": name})
        shard = self._shard(stream, shard_id)
        page = shard.page(position, int(arguments.get("Limit", 10_000)))
        position += len(page)
        behind = time.time() - shard.records[position].arrived_at if position < len(shard.records) else 0.0
        ended = shard.closed and position == len(shard.records)
        answer: Answer = {
            "Records": [
                {
                    "SequenceNumber": record.sequence_number,
                    "PartitionKey": record.partition_key,
                    "Data": base64.b64encode(record.data).decode(),
                    "ApproximateArrivalTimestamp": record.arrived_at,
                }
                for record in page
            ],
            "NextShardIterator": None if ended else self._iterator(stream, shard, position),
            "MillisBehindLatest": int(behind * 1000),
        }
        if ended:
            answer["ChildShards"] = [
                {
                    "ShardId": child.shard_id,
                    "ParentShards": child.parents,
                    "HashKeyRange": _shard_answer(child)["HashKeyRange"],
                }
                for child in stream.children_of(shard)
            ]
        return answer

    def _shard(self, stream: Stream, shard_id: str) -> Shard:
        shard = stream.shard_named(shard_id)
        if shard is None:
            raise _Refusal("ResourceNotFoundException", f"Shard {shard_id} not found.")
        return shard

    def _next_sequence(self) -> int:
        self._sequence += 1 + self._random.randrange(1 << 20)
        return self._sequence


def _shard_answer(shard: Shard) -> Answer:
    sequences = {"StartingSequenceNumber": shard.first_sequence}
    if shard.closed:
        sequences["EndingSequenceNumber"] = shard.last_sequence
    answer: Answer = {
        "ShardId": shard.shard_id,
        "HashKeyRange": {"StartingHashKey": str(shard.first_hash), "EndingHashKey": str(shard.last_hash)},
        "SequenceNumberRange": sequences,
    }
    answer.update(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))
    return answer


async def _serve(options: argparse.Namespace) -> None:
    fake = FakeKinesis(host=options.host, port=options.port, limits=options.limits, seed=options.seed)
    fake.faults = Faults(
        record_failure=options.fail_rate,
        http_500=options.error_rate,
        lost_answer=options.lost_rate,
        delay_s=options.delay_ms / 1000,
        jitter_s=options.jitter_ms / 1000,
    )
    for name in options.stream:
        fake.create_stream(name, options.shards)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as servers:
        await servers.enter_async_context(fake)
        address = {"endpoint_url": fake.url, "streams": sorted(fake.streams)}
        if options.control:
            address["control_url"] = (await servers.enter_async_context(Control(fake))).url
        print(json.dumps(address), flush=True)
        await stop.wait()
    if options.print_summary:
        print(json.dumps(fake.summary()), flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.fake_kinesis",
        description="A fake of Amazon Kinesis. Prints its address as one JSON line; ends on SIGINT or SIGTERM.",
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--stream", action="append", default=[], help="make this stream; may be given again")
    parser.add_argument("--shards", type=int, default=4, help="of each stream")
    parser.add_argument("--limits", action="store_true", help="1000 records/s and 1 MiB/s per shard")
    parser.add_argument("--fail-rate", type=float, default=0.0, help="probability that a record fails")
    parser.add_argument("--error-rate", type=float, default=0.0, help="probability that a write is answered 500")
    parser.add_argument("--lost-rate", type=float, default=0.0, help="probability that a write's answer is lost")
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--jitter-ms", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--control", action="store_true", help="a second port, by which faults are switched")
    parser.add_argument("--print-summary", action="store_true", help="print what was stored, at the end")
    asyncio.run(_serve(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
