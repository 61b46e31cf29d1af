"""A small consumer of the gateway's stream: every record once, in the order of its device, as JSON lines.

    python -m loadtest.consume --stream telemetry [--region R] [--endpoint-url URL] [--follow]

An example to copy (with `kpl_reader.py`), for all three packings: what a Kinesis record holds is seen from its bytes.
How it keeps the order and drops repeats:

- Shards are read in order, each from its oldest record, a shard only after the shards that it came from.
- The gateway sends again what it does not know to be stored. (gateway_id, epoch, seq) names a record; the first copy
  counts, later ones are dropped. A consumer that must not forget on restart keeps its `Repeats` with its checkpoint.
- Order is per device. Records of one device from two gateways (it has moved) carry two gateway_ids.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError, ClientError

from loadtest.kpl_reader import NotAggregated, user_records

_POLL_S = 0.25  # a shard answers five reads a second
_RETRY_S = 1.0
_MAX_SEEN = 100_000  # records remembered per gateway
_MAX_GATEWAYS = 1000

Name = tuple[int, int]


@dataclass
class Repeats:
    """Which records were seen: of each gateway the last `max_seen`. Repeats follow closely, as the gateway sends a
    record of a device only when the one before it is stored."""

    max_seen: int = _MAX_SEEN
    max_gateways: int = _MAX_GATEWAYS
    dropped: int = 0
    _seen: dict[str, dict[Name, None]] = field(default_factory=dict)  # oldest first, gateways as well

    def is_first(self, record: dict[str, Any]) -> bool:
        """False: seen before. A record without a name is always new."""
        try:
            gateway, name = record["gateway_id"], (record["epoch"], record["seq"])
        except KeyError:
            return True
        seen = self._seen.pop(gateway, None) or {}
        self._seen[gateway] = seen
        if name in seen:
            self.dropped += 1
            return False
        seen[name] = None
        if len(seen) > self.max_seen:
            del seen[next(iter(seen))]
        if len(self._seen) > self.max_gateways:
            del self._seen[next(iter(self._seen))]
        return True


def bodies(data: bytes) -> Iterator[bytes]:
    """The gateway's records in one Kinesis record: aggregated, JSON lines, or one."""
    try:
        for user in user_records(data):
            yield user.data
    except NotAggregated:
        yield from data.split(b"\n")


class Consumer:
    """Reads one stream. follow: goes on for ever; else ends when it has read every shard to its end.

    client: an aiobotocore client of Kinesis. arrived_at: when the last record came into the stream, in Unix seconds.
    """

    def __init__(self, client: Any, stream: str, *, follow: bool = False, poll_s: float = _POLL_S) -> None:
        self.repeats = Repeats()
        self.arrived_at = 0.0
        self._client = client
        self._stream = stream
        self._follow = follow
        self._poll_s = poll_s
        self._positions: dict[str, str] = {}  # by shard: sequence number of the last record read
        self._ended: set[str] = set()  # shards that are closed and read to their end

    async def records(self) -> AsyncIterator[dict[str, Any]]:
        """Every record once, those of a device in order. Raises botocore's errors that trying again does not mend."""
        while True:
            shards = [shard for shard in await self._shards() if shard["ShardId"] not in self._ended]
            known = {shard["ShardId"] for shard in shards}
            moved = False
            for shard in shards:
                parents = {shard.get("ParentShardId"), shard.get("AdjacentParentShardId")}
                if parents & known - self._ended:
                    continue  # its parents come first
                async for data, arrived in self._read(shard["ShardId"]):
                    moved = True
                    self.arrived_at = arrived.timestamp()
                    for body in bodies(data):
                        record = orjson.loads(body)
                        if self.repeats.is_first(record):
                            yield record
                moved = moved or shard["ShardId"] in self._ended
            if moved:
                continue
            if not self._follow:
                return
            await asyncio.sleep(self._poll_s)

    async def _shards(self) -> list[dict[str, Any]]:
        shards: list[dict[str, Any]] = []
        asked: dict[str, Any] = {"StreamName": self._stream}
        while True:
            answer = await self._call("list_shards", **asked)
            shards += answer["Shards"]
            if not answer.get("NextToken"):
                return shards
            asked = {"NextToken": answer["NextToken"]}

    async def _read(self, shard_id: str) -> AsyncIterator[tuple[bytes, datetime]]:
        """What the shard holds behind the last position, up to its present end, with its time of arrival."""
        iterator = await self._iterator(shard_id)
        while True:
            try:
                page = await self._call("get_records", ShardIterator=iterator)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ExpiredIteratorException":  # after five minutes
                    raise
                iterator = await self._iterator(shard_id)
                continue
            for record in page["Records"]:
                self._positions[shard_id] = record["SequenceNumber"]
                yield record["Data"], record["ApproximateArrivalTimestamp"]
            iterator = page.get("NextShardIterator")
            if not iterator:  # closed by a split or a merge; its children go on
                self._ended.add(shard_id)
                return
            if not page["Records"] and not page.get("MillisBehindLatest"):
                return  # an empty page alone is not the end

    async def _iterator(self, shard_id: str) -> str:
        asked = {"StreamName": self._stream, "ShardId": shard_id, "ShardIteratorType": "TRIM_HORIZON"}
        position = self._positions.get(shard_id)
        if position is not None:
            asked |= {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": position}
        iterator: str = (await self._call("get_shard_iterator", **asked))["ShardIterator"]
        return iterator

    async def _call(self, operation: str, **arguments: Any) -> Any:
        """Waits while the shard gives no more (five reads and 2 MiB a second)."""
        while True:
            try:
                return await getattr(self._client, operation)(**arguments)
            except ClientError as error:
                code = error.response["Error"]["Code"]
                if code not in ("ProvisionedThroughputExceededException", "LimitExceededException"):
                    raise
                await asyncio.sleep(_RETRY_S)


async def _print(options: argparse.Namespace) -> None:
    config = AioConfig(retries={"mode": "standard", "total_max_attempts": 5})
    made = get_session().create_client(
        "kinesis", region_name=options.region, endpoint_url=options.endpoint_url, config=config
    )
    async with made as client:
        consumer = Consumer(client, options.stream, follow=options.follow)
        async for record in consumer.records():
            sys.stdout.buffer.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            if options.follow:
                sys.stdout.buffer.flush()
        sys.stdout.buffer.flush()
    print(f"repeats dropped: {consumer.repeats.dropped}", file=sys.stderr)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.consume",
        description="Prints the records of a stream as JSON lines, each once, those of a device in order.",
    )
    parser.add_argument("--stream", required=True)
    parser.add_argument("--region", help="default: as the environment says")
    parser.add_argument("--endpoint-url", help="of another Kinesis than Amazon's")
    parser.add_argument("--follow", action="store_true", help="go on until interrupted")
    try:
        asyncio.run(_print(parser.parse_args(arguments)))
    except (BotoCoreError, ClientError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, BrokenPipeError):
        return 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
