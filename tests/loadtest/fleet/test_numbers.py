from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.times import iso_from_unix_ms
from loadtest.fleet.numbers import Numbers, ms_of, number_of


def test_a_device_writes_what_its_window_allows_and_hears_answers_in_order() -> None:
    numbers = Numbers("d")
    for moment in (1.0, 2.0, 3.0):
        numbers.add(moment)
    assert [numbers.take(2), numbers.take(2), numbers.take(2)] == [1, 2, 0]
    assert numbers.answered() == 1.0
    assert [numbers.take(2), numbers.take(2)] == [3, 0]
    assert (numbers.sent, numbers.written, numbers.acknowledged, numbers.sent_again) == (3, 3, 1, 0)


def test_what_was_not_answered_is_sent_again() -> None:
    numbers = Numbers("d")
    for moment in (1.0, 2.0, 3.0):
        numbers.add(moment)
    numbers.take(2)
    numbers.take(2)
    numbers.answered()
    numbers.start_again()
    assert [numbers.take(8), numbers.take(8), numbers.take(8)] == [2, 3, 0]
    assert numbers.sent_again == 1
    assert [numbers.answered(), numbers.answered()] == [2.0, 3.0]


@given(st.integers(0, 1_000_000))
def test_a_record_names_its_frame(number: int) -> None:
    assert number_of(str(iso_from_unix_ms(ms_of(number)))) == number


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError):
        number_of("yesterday")
