"""The balance must see what went wrong: each fault that it is there for, made by hand."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest

from gateway.delivery.kpl import aggregate
from gateway.domain.record import Record
from loadtest.faults.balance import Balance, Reader, read_all
from loadtest.faults.fleet import START_MS, Device, Fleet

Json = dict[str, Any]


def record(seq: int, number: int, *, epoch: int = 1, device: int = 0, gateway: str = "gw") -> Json:
    second = (START_MS // 1000 + number) % 60
    minute = 13 + (START_MS // 1000 % 60 + number) // 60
    return {
        "gateway_id": gateway,
        "epoch": epoch,
        "seq": seq,
        "device_id": f"86000000000000{device}",
        "device_timestamp": f"2023-11-14T22:{minute}:{second:02}.000Z",
    }


def device(acknowledged: int, sent: int | None = None) -> Device:
    one = Device(Fleet(devices=0), 0)
    one.acknowledged, one.sent = acknowledged, sent or acknowledged
    return one


def balance_of(records: Sequence[Json], acknowledged: int = 3, **options: Any) -> Balance:
    reader = Reader()
    for one in records:
        reader.take(one)
    return reader.close([device(acknowledged)], **options)


def test_all_is_well() -> None:
    balance = balance_of([record(n, n) for n in (1, 2, 3)])
    assert balance.holds
    assert (balance.sent, balance.acknowledged, balance.arrived) == (3, 3, 3)


@pytest.mark.parametrize(
    ("records", "counts"),
    [
        ([record(1, 1), record(3, 3)], {"lost": 1}),
        ([record(1, 1), record(2, 2), record(2, 2), record(3, 3)], {"repeated": 1}),
        ([record(1, 1), record(2, 2), record(3, 2), record(4, 3)], {"resent": 1}),
        ([record(1, 1), record(2, 3), record(3, 2)], {"disordered": 1}),
        ([record(1, 1), record(3, 2), record(2, 3)], {"misnamed": 1}),
        ([record(1, 1), record(2, 2), record(2, 3), record(3, 3)], {"repeated": 1, "misnamed": 1}),
        ([record(5, 1), record(6, 2), record(1, 3, epoch=2)], {}),
        ([record(1, 3, gateway="b"), record(1, 1), record(2, 2)], {}),  # order is promised per gateway
    ],
)
def test_what_is_wrong_is_counted(records: list[Json], counts: dict[str, int]) -> None:
    balance = balance_of(records)
    names = ("lost", "repeated", "resent", "disordered", "misnamed")
    assert {name: getattr(balance, name) for name in names} == dict.fromkeys(names, 0) | counts
    assert balance.holds is not bool(counts.keys() & {"lost", "disordered", "misnamed"})
    assert bool(balance.examples) is not balance.holds


def test_what_a_flipped_bit_took_is_counted_apart() -> None:
    taken = [("860000000000000", 2)]
    balance = balance_of([record(1, 1), record(3, 3)], expected=taken)
    assert (balance.lost, balance.expected) == (0, 1)


def test_frames_without_an_answer_may_be_missing() -> None:
    balance = Reader().close([device(0, sent=5)])
    assert balance.holds
    assert (balance.sent, balance.acknowledged) == (5, 0)


def test_balances_add_up() -> None:
    total = balance_of([record(1, 1)], 2)
    total.add(balance_of([record(1, 1), record(2, 3), record(3, 2)]))
    assert (total.acknowledged, total.lost, total.disordered) == (5, 1, 1)
    assert len(total.examples) == 2


async def test_every_packing_is_read() -> None:
    lines = [orjson.dumps(record(n, n)) for n in range(1, 6)]
    inside = [Record(str(n), "telemetry", "p", "860000000000000", line, 0) for n, line in enumerate(lines)]
    packed = [lines[0], aggregate(inside[1:3], "0"), b"\n".join(lines[3:])]

    async def stored() -> AsyncIterator[tuple[str, str, str]]:
        for data in packed:
            yield "shardId-000000000000", "a", base64.b64encode(data).decode()

    balance = (await read_all(stored())).close([device(5)])
    assert balance.holds
    assert balance.arrived == 5
