from __future__ import annotations

import orjson
import pytest

from loadtest.rest.telemetry import CSV, NDJSON, PRODUCT, Table, array, item, pieces


def test_items_are_numbered_by_their_time() -> None:
    first, second = (orjson.loads(item(number)) for number in (0, 1))
    assert second["device_timestamp"] - first["device_timestamp"] == 1
    assert first["productId"] == PRODUCT
    assert -40 <= first["metrics"]["tempC"] <= 125
    assert 100 <= len(item(12_345)) <= 140
    assert [one["device_timestamp"] for one in orjson.loads(array(5, 3))] == [
        orjson.loads(item(number))["device_timestamp"] for number in (5, 6, 7)
    ]


@pytest.mark.parametrize("table", [NDJSON, CSV], ids=lambda table: table.name)
def test_pieces_say_what_is_in_them(table: Table) -> None:
    found = list(pieces(table, 100_000, 300))
    body = b"".join(piece for piece, _, _ in found)
    lines = body.splitlines()[1 if table.head else 0 :]
    assert len(body) >= 100_000
    assert sum(good for _, good, _ in found) + sum(bad for _, _, bad in found) == len(lines)
    assert sum(bad for _, _, bad in found) == len(lines) // 300 == sum(b"broken" in line for line in lines)
    assert not any(bad for _, _, bad in pieces(table, 1_000, 0))
