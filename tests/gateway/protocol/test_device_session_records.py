"""Frames whose only identity stands in the items of `records`: the first one logs the connection in."""

from __future__ import annotations

import orjson

from decoders.types import SessionContext
from gateway.pipeline.preview import Preview
from tests.decoders.specs import product
from tests.gateway.protocol.session_bench import Bench

SPEC = """\
product: packets
frame: {header: [{name: start, const: "A5"}, {name: size, type: u8, counts: rest}]}
messages:
  data:
    records: points
    fields:
      - list: points
        fields:
          - items:
              key: u8
              while: next_u8 > key
              tags: {3: {name: imei, type: bcd, bytes: 2, identity: device}, 4: {name: level, type: u8}}
    replies: [{hex: "01"}]
"""
FIRST = bytes.fromhex("A5 07 03 1234 04 05 04 06")
ANONYMOUS = bytes.fromhex("A5 02 04 09")
OTHER = bytes.fromhex("A5 05 03 5678 04 07")


def records(bench: Bench) -> list[tuple[str, str, object]]:
    bodies = [orjson.loads(record.body) for record in bench.outbox.records]
    return [(body["device_id"], body.get("hub_id", ""), body["metrics"]) for body in bodies]


def test_the_first_record_that_names_a_device_logs_the_connection_in() -> None:
    bench = Bench(products=[product(SPEC)])  # type: ignore[list-item]
    session, host = bench.open()
    bench.give(session, FIRST)
    assert session.device is not None
    assert session.device.key.device_id == "1234"
    assert host.writes == [b"\x01"]
    assert records(bench) == [("1234", "", {"level": 5}), ("1234", "", {"level": 6})]


def test_later_records_keep_their_own_identity_and_the_connection_its_device() -> None:
    bench = Bench(products=[product(SPEC)])  # type: ignore[list-item]
    session, host = bench.open()
    bench.give(session, FIRST + ANONYMOUS + OTHER + ANONYMOUS)
    assert session.device is not None
    assert session.device.key.device_id == "1234"
    assert [(device, metrics) for device, _, metrics in records(bench)][2:] == [
        ("1234", {"level": 9}), ("5678", {"level": 7}), ("1234", {"level": 9}),
    ]  # fmt: skip
    assert host.written == b"\x01" * 4


def test_records_without_any_identity_log_nobody_in() -> None:
    bench = Bench(products=[product(SPEC)])  # type: ignore[list-item]
    session, host = bench.open()
    bench.give(session, ANONYMOUS)
    assert session.device is None
    assert host.writes == []


def test_the_frame_itself_comes_first_and_a_child_logs_nobody_in() -> None:
    own = SPEC.replace("    fields:\n", "    fields:\n      - {name: hub, type: u8, identity: hub}\n", 1)
    bench = Bench(products=[product(own)])  # type: ignore[list-item]
    session, _ = bench.open()
    bench.give(session, bytes.fromhex("A5 06 07 03 1234 04 05"))
    assert session.device is not None
    assert session.device.key.device_id == "7"
    assert records(bench) == [("1234", "7", {"level": 5})]

    bench = Bench(products=[product(SPEC.replace("identity: device", "identity: child"))])  # type: ignore[list-item]
    session, _ = bench.open()
    bench.give(session, FIRST)
    assert session.device is None


def test_decode_shows_the_device_at_the_top_too() -> None:
    answer = Preview(product(SPEC)).read(FIRST, SessionContext(), 0)
    assert answer["device_id"] == "1234"
    assert [record["device_id"] for record in answer["records"]] == ["1234", "1234"]
    answer = Preview(product(SPEC)).read(OTHER, SessionContext(device_id="1"), 0)
    assert answer["device_id"] == "1"
    assert [record["device_id"] for record in answer["records"]] == ["5678"]
