"""Aggregated records, read back by the library that Amazon publishes for this, and by our own reader."""

from __future__ import annotations

import base64
import hashlib
import importlib
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.kpl import MAGIC, ROOM_BYTES, aggregate
from gateway.delivery.stripes import Stripes, partition_key
from gateway.domain.record import Record
from loadtest.kpl_reader import NotAggregated, UserRecord, user_records


@pytest.fixture(scope="module")
def deaggregate() -> Any:
    """(Data) -> (partition key, explicit hash key, data) of each record, by aws-kinesis-agg."""
    path = list(sys.path)
    module = importlib.import_module("aws_kinesis_agg.deaggregator")
    sys.path[:] = path  # it adds its own folder

    def read(data: bytes) -> list[tuple[str, str, bytes]]:
        kinesis = {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": "a",
            "sequenceNumber": "1",
            "approximateArrivalTimestamp": 0,
            "data": base64.b64encode(data).decode(),
        }
        names = (
            "eventID",
            "eventVersion",
            "eventSource",
            "eventName",
            "invokeIdentityArn",
            "awsRegion",
            "eventSourceARN",
        )
        found = module.deaggregate_records([{"kinesis": kinesis, **dict.fromkeys(names, "x")}])
        return [
            (
                one["kinesis"]["partitionKey"],
                one["kinesis"]["explicitHashKey"],
                base64.b64decode(one["kinesis"]["data"]),
            )
            for one in found
        ]

    return read


def record(lane: str, body: bytes) -> Record:
    return Record("id", "telemetry", "p", lane, body, 0)


records = st.lists(
    st.builds(record, st.sampled_from(["dev-1", "dev-2", "é" * 128, "x" * 300]) | st.text(min_size=1), st.binary()),
    min_size=1,
    max_size=30,
)


@given(some=records, stripe=st.integers(0, 63))
def test_amazon_s_library_reads_the_same_records(deaggregate: Any, some: list[Record], stripe: int) -> None:
    hash_key = Stripes().hash_keys[stripe]
    data = aggregate(some, hash_key)
    expected = [(partition_key(one.lane), hash_key, one.body) for one in some]
    assert deaggregate(data) == expected
    assert user_records(data) == [UserRecord(*one) for one in expected]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 4080, 4095, 4096, 16_383, 16_384, 1_000_000])
def test_lengths_at_the_edges_of_their_encoding(deaggregate: Any, length: int) -> None:
    some = [record(f"dev-{n}", bytes(length)) for n in range(3)]
    data = aggregate(some, "1")
    assert deaggregate(data) == [(one.lane, "1", one.body) for one in some]


def test_more_devices_than_one_byte_can_count(deaggregate: Any) -> None:
    some = [record(f"dev-{n}", b"{}") for n in range(5000)]
    assert [key for key, _, _ in deaggregate(aggregate(some, "1"))] == [one.lane for one in some]


def test_what_it_adds_to_a_lone_record() -> None:
    body, lane = bytes(1_000_000), "é" * 128
    hash_key = Stripes().hash_keys[-1]
    assert len(aggregate([record(lane, body)], hash_key)) <= len(body) + len(lane.encode()) + ROOM_BYTES


def test_the_bytes_are_those_of_the_format() -> None:
    message = bytes.fromhex("0a0164 120137 1a08 0800 1000 1a027b7d".replace(" ", ""))
    assert aggregate([record("d", b"{}")], "7") == MAGIC + message + hashlib.md5(message).digest()


@pytest.mark.parametrize("damage", ["magic", "digest", "message", "short"])
def test_what_is_no_aggregated_record_is_said_to_be_none(damage: str) -> None:
    data = bytearray(aggregate([record("d", b"{}")], "7"))
    if damage == "short":
        data = data[:10]
    else:
        data[{"magic": 0, "digest": -1, "message": 6}[damage]] ^= 1
    with pytest.raises(NotAggregated):
        user_records(bytes(data))
