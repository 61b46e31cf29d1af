"""The balance of the sink, record by record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.times import iso_from_unix_ms
from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.numbers import Numbers, ms_of


def device(sent: int, acknowledged: int, device_id: str = "d") -> Numbers:
    numbers = Numbers(device_id)
    for _ in range(sent):
        numbers.add(1.0)
    numbers.acknowledged = acknowledged
    return numbers


def record(number: int, seq: int, device_id: str = "d", gateway: str = "g", epoch: int = 1) -> dict[str, Any]:
    time = iso_from_unix_ms(ms_of(number))
    return {"device_id": device_id, "device_timestamp": time, "gateway_id": gateway, "epoch": epoch, "seq": seq}


def balance_of(numbers: Numbers, *records: dict[str, Any]) -> SinkBalance:
    balance = SinkBalance()
    balance.expect(numbers)
    for one in records:
        balance.take(one, 2.0)
    balance.close([numbers])
    return balance


def test_all_is_well() -> None:
    found = balance_of(device(3, 3), record(1, 1), record(2, 2), record(3, 5)).balance
    assert found.holds
    assert (found.sent, found.acknowledged, found.arrived) == (3, 3, 3)


def test_what_was_acknowledged_and_is_not_there_is_lost() -> None:
    found = balance_of(device(3, 2), record(1, 1)).balance
    assert not found.holds
    assert found.lost == 1  # the third was never acknowledged
    assert found.examples == ["d: frame 2 of 2 is lost"]


def test_a_gap_is_lost_even_if_later_ones_came() -> None:
    found = balance_of(device(4, 4), record(1, 1), record(3, 2), record(4, 3)).balance
    assert (found.lost, found.arrived, found.disordered) == (1, 3, 0)


def test_a_copy_under_the_same_name_is_a_repeat() -> None:
    found = balance_of(device(2, 2), record(1, 1), record(2, 2), record(1, 1), record(2, 2)).balance
    assert found.holds
    assert (found.repeated, found.arrived) == (2, 2)


def test_a_frame_that_was_sent_again_has_a_name_of_its_own() -> None:
    found = balance_of(device(2, 2), record(1, 1), record(2, 2), record(2, 3)).balance
    assert found.holds
    assert found.resent == 1


def test_a_later_frame_first_is_out_of_order() -> None:
    found = balance_of(device(2, 2), record(2, 1), record(1, 2)).balance
    assert (found.disordered, found.lost) == (1, 0)


def test_a_name_that_falls_is_misnamed() -> None:
    found = balance_of(device(2, 2), record(1, 2), record(2, 1)).balance
    assert found.misnamed == 1
    assert not found.holds


def test_order_is_per_gateway() -> None:
    numbers = device(4, 4)
    first = [record(1, 1, gateway="a"), record(2, 2, gateway="a")]
    second = [record(2, 1, gateway="b"), record(3, 2, gateway="b"), record(4, 3, gateway="b")]
    assert balance_of(numbers, *first, *second).balance.holds
    assert balance_of(numbers, *second, *first).balance.holds


def test_other_records_are_counted_apart() -> None:
    heartbeat = {"device_id": "d", "gateway_id": "g", "epoch": 1, "seq": 1}
    found = balance_of(device(1, 1), heartbeat, record(1, 2), record(7, 3), record(1, 4, device_id="stranger"))
    assert found.balance.holds
    assert found.other == 3


def test_durations_count_from_the_moment_a_frame_was_due() -> None:
    balance, numbers = SinkBalance(), Numbers("d")
    balance.expect(numbers)
    numbers.add(1.0)
    numbers.add(5.0)
    balance.measured_from = 4.0
    balance.take(record(1, 1), 6.0)
    balance.take(record(2, 2), 6.0)
    assert balance.until_sink.figures()["max"] == 1000
    assert balance.take_second().count == 2
    assert balance.take_second().count == 0
    balance.count_repeats(3)
    assert balance.balance.repeated == 3


def test_two_devices_with_one_id_are_refused() -> None:
    balance = SinkBalance()
    balance.expect(Numbers("d"))
    with pytest.raises(ValueError, match="two simulated devices"):
        balance.expect(Numbers("d"))


@given(st.permutations(range(1, 8)), st.sets(st.integers(1, 7)))
def test_whatever_the_order_what_came_is_known(order: list[int], missing: set[int]) -> None:
    came = [number for number in order if number not in missing]
    found = balance_of(device(7, 7), *(record(number, seq) for seq, number in enumerate(came, 1))).balance
    assert (found.arrived, found.lost) == (len(came), len(missing))
    assert (found.disordered == 0) is (came == sorted(came))
