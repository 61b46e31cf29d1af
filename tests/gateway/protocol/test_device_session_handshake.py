"""Devices that ask before they say who they are, and that say their zone with each message."""

from __future__ import annotations

import orjson

from gateway.domain.receipt import Outcome
from tests.decoders.specs import product
from tests.gateway.protocol.session_bench import Bench

METER = """
product: readout
frame: {format: text, until: "\\r\\n", split: ",", header: [{name: kind}]}
messages:
  hello: {when: {kind: "/?!"}, record: none, replies: [{text: "/ACM5\\r\\n"}]}
  ping:
    when: {kind: P}
    record: none
    contract: reject
    fields: [{name: n, type: number, range: [0, 9], required: true}]
    replies: [{text: "p{n}\\r\\n"}]
  data:
    when: {kind: D}
    fields:
      - {name: id, identity: device}
      - {name: tz, session: zone}
      - {name: time, clock: YYMMDDhhmm}
      - {name: v, type: number}
    replies: [{text: "ok\\r\\n"}]
"""


def test_the_handshake_of_a_meter() -> None:
    bench = Bench(products=[product(METER)])  # type: ignore[list-item]
    session, host = bench.open()
    bench.give(session, b"/?!\r\n")
    assert (host.writes, bench.outbox.kept) == ([b"/ACM5\r\n"], [])
    bench.give(session, b"P,99\r\n")  # which breaks the contract
    assert bench.metrics.traffic("l", "readout").refused["not_identified"] == 1
    bench.give(session, b"D,m1,+09:00,2603011200,5\r\n/?!\r\n")
    assert host.written == b"/ACM5\r\nok\r\n/ACM5\r\n"
    assert bench.metrics.traffic("l", "readout").outcomes[Outcome.ACCEPTED] == 3
    assert bench.metrics.in_flight() == 0


def test_each_message_is_read_with_the_zone_that_it_says() -> None:
    bench = Bench(products=[product(METER)])  # type: ignore[list-item]
    session, _ = bench.open()
    for zone in (b"+09:00", b"+09:00", b"UTC", b"nowhere", b"-0300"):
        bench.give(session, b"D,m1," + zone + b",2603011200,5\r\n")
    bodies = [orjson.loads(record.body) for record in bench.outbox.records]
    assert [body["device_timestamp"][11:16] for body in bodies] == ["03:00", "03:00", "12:00", "12:00", "15:00"]


def test_the_directory_knows_better_than_each_message() -> None:
    listed = "[{id: m1, product: readout, zone: '+01:00'}]"
    bench = Bench(products=[product(METER)], directory=listed)  # type: ignore[list-item]
    session, _ = bench.open()
    bench.give(session, b"D,m1,+09:00,2603011200,5\r\n" * 2)
    bodies = [orjson.loads(record.body) for record in bench.outbox.records]
    assert [body["device_timestamp"][11:16] for body in bodies] == ["11:00", "11:00"]
