"""Lines of CSV on a connection: the first one may name the columns, which hold until the connection ends."""

from __future__ import annotations

import orjson

from tests.decoders.specs import product
from tests.gateway.protocol.session_bench import Bench

SPEC = """
product: logger
frames:
  objects: {until: "\\n", format: json}
  lines: {until: "\\n", format: csv}
messages:
  reading:
    json: true
    csv: true
    fields:
      - {name: id, type: text, identity: device}
      - {name: temperature, unit: "°C"}
"""


def records(bench: Bench) -> list[tuple[str, object]]:
    bodies = [orjson.loads(record.body) for record in bench.outbox.records]
    return [(body["device_id"], body["metrics"]) for body in bodies]


def test_columns_hold_for_the_connection_and_all_who_speak_on_it() -> None:
    bench = Bench(products=[product(SPEC)], tap=True)  # type: ignore[list-item]
    session, host = bench.open()
    bench.give(session, b'id,temperature\na1,20\n{"id": "a2", "temperature": 21}\n')
    bench.give(session, b"a1,22.5\nid,temperature\na3,23\n")
    assert records(bench) == [
        ("a1", {"temperature": 20}),
        ("a2", {"temperature": 21}),
        ("a1", {"temperature": 22.5}),
        ("a3", {"temperature": 23}),
    ]
    assert host.closed is None
    assert not bench.outbox.letters
    assert bench.metrics.in_flight() == 0


def test_another_connection_says_its_own_columns() -> None:
    bench = Bench(products=[product(SPEC)])  # type: ignore[list-item]
    first, _ = bench.open()
    bench.give(first, b"id,temperature\na1,20\n")
    second, _ = bench.open()
    bench.give(second, b"temperature,id\n21,a2\n")
    assert records(bench) == [("a1", {"temperature": 20}), ("a2", {"temperature": 21})]


def test_a_line_before_any_columns_is_no_message() -> None:
    bench = Bench(products=[product(SPEC)])  # type: ignore[list-item]
    session, _ = bench.open()
    bench.give(session, b"a1,20\n")
    assert records(bench) == []
