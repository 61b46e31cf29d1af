"""Token buckets, days, tables with an end, and what the headers say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.quotas import LimitName, LimitState, QuotaLimits, QuotaOptions, Quotas

NOON = 86_400 * 20_000 + 43_200


class Time:
    def __init__(self) -> None:
        self.passed = 0.0

    def clock(self) -> float:
        return 1_000.0 + self.passed

    def unix_s(self) -> float:
        return NOON + self.passed


@pytest.fixture
def time() -> Time:
    return Time()


def quotas(time: Time, limits: QuotaLimits | None = None, **options: float) -> Quotas:
    chosen = QuotaOptions(limits or QuotaLimits(), **options)  # type: ignore[arg-type]
    return Quotas(chosen, time.clock, time.unix_s)


def test_without_limits_nothing_is_counted_or_said(time: Time) -> None:
    free = quotas(time)
    for _ in range(1_000):
        answer = free.take_request("a", None, sends=True)
        assert answer.allowed
    assert answer.headers() == {}
    assert free.take_records("a", None, 10**9).allowed
    assert free.take_address("192.0.2.1").headers() == {}
    assert not any(free.refused.values())


def test_requests_of_a_second(time: Time) -> None:
    some = quotas(time, QuotaLimits(requests_per_s=2, burst_s=2))
    answers = [some.take_request("a", None, sends=False) for _ in range(5)]
    assert [answer.allowed for answer in answers] == [True] * 4 + [False]
    assert answers[0].state == LimitState(LimitName.REQUESTS_PER_SECOND, 4, 3, 1)
    assert answers[0].headers() == {"RateLimit-Limit": "4", "RateLimit-Remaining": "3", "RateLimit-Reset": "1"}
    assert answers[4].state == LimitState(LimitName.REQUESTS_PER_SECOND, 4, 0, 2, wait_s=1)
    assert answers[4].headers()["Retry-After"] == "1"
    assert some.refused[LimitName.REQUESTS_PER_SECOND] == 1
    assert some.take_request("b", None, sends=False).allowed
    time.passed = 0.5
    assert some.take_request("a", None, sends=False).allowed
    assert not some.take_request("a", None, sends=False).allowed


def test_a_batch_larger_than_the_burst_is_let_in_and_then_owed(time: Time) -> None:
    some = quotas(time, QuotaLimits(records_per_s=10, burst_s=1))
    first = some.take_records("a", None, 100)
    assert first.allowed
    assert first.state == LimitState(LimitName.RECORDS_PER_SECOND, 10, 0, 10)
    refused = some.take_records("a", None, 1)
    assert refused.headers() == {
        "RateLimit-Limit": "10",
        "RateLimit-Remaining": "0",
        "RateLimit-Reset": "10",
        "Retry-After": "10",  # 9.1 s: until one is there
    }
    early = some.take_request("a", None, sends=True)
    assert not early.allowed  # before its body is read
    assert early.state is not None
    assert early.state.name is LimitName.RECORDS_PER_SECOND
    assert some.take_request("a", None, sends=False).allowed
    time.passed = 9.1
    assert some.take_request("a", None, sends=True).allowed
    assert some.take_records("a", None, 1).allowed


def test_a_day_ends_at_midnight_utc(time: Time) -> None:
    some = quotas(time, QuotaLimits(requests_per_day=2, records_per_day=100))
    assert some.take_request("a", None, sends=True).allowed
    assert some.take_records("a", None, 60).allowed
    beyond = some.take_records("a", None, 41)
    assert beyond.state == LimitState(LimitName.RECORDS_PER_DAY, 100, 40, 43_200, 43_200)
    assert some.take_records("a", None, 40).state == LimitState(LimitName.RECORDS_PER_DAY, 100, 0, 43_200)
    full = some.take_request("a", None, sends=True)
    assert full.state is not None
    assert full.state.name is LimitName.RECORDS_PER_DAY
    assert some.take_request("a", None, sends=False).allowed
    assert some.take_request("a", None, sends=False).headers()["Retry-After"] == "43200"
    time.passed = 43_199.9
    assert some.take_request("a", None, sends=False).headers()["Retry-After"] == "1"
    time.passed = 43_200
    assert some.take_request("a", None, sends=True).allowed
    assert some.take_records("a", None, 100).allowed


def test_a_refused_request_is_not_counted(time: Time) -> None:
    some = quotas(time, QuotaLimits(requests_per_s=1, requests_per_day=10, burst_s=1))
    assert some.take_request("a", None, sends=False).allowed
    for _ in range(50):
        assert not some.take_request("a", None, sends=False).allowed
    time.passed = 1
    answer = some.take_request("a", None, sends=False)
    assert answer.allowed
    time.passed = 2
    state = some.take_request("a", None, sends=False).state
    assert state == LimitState(LimitName.REQUESTS_PER_SECOND, 1, 0, 1)  # nearer to its end than 7 of 10


def test_the_longest_wait_is_told(time: Time) -> None:
    some = quotas(time, QuotaLimits(requests_per_s=1, requests_per_day=1, burst_s=1))
    some.take_request("a", None, sends=False)
    state = some.take_request("a", None, sends=False).state
    assert state is not None
    assert (state.name, state.wait_s) == (LimitName.REQUESTS_PER_DAY, 43_200)


def test_limits_of_their_own(time: Time) -> None:
    some = quotas(time, QuotaLimits(requests_per_s=1, burst_s=1))
    own = QuotaLimits(requests_per_s=100, burst_s=1)
    assert all(some.take_request("a", own, sends=False).allowed for _ in range(100))
    assert not some.take_request("a", own, sends=False).allowed
    smaller = replace(own, requests_per_s=1)  # a reload
    time.passed = 1
    assert some.take_request("a", smaller, sends=False).allowed
    assert not some.take_request("a", smaller, sends=False).allowed


def test_addresses(time: Time) -> None:
    some = quotas(time, address_requests_per_s=1, address_burst_s=3)
    assert [some.take_address("192.0.2.1").allowed for _ in range(4)] == [True, True, True, False]
    assert some.take_address("192.0.2.2").allowed
    state = some.take_address("192.0.2.1").state
    assert state is not None
    assert (state.name, state.wait_s) == (LimitName.ADDRESS_REQUESTS_PER_SECOND, 1)


def test_tables_have_an_end_and_forget_who_was_there_longest_ago(time: Time) -> None:
    limits = QuotaLimits(requests_per_day=1)
    some = quotas(time, limits, max_callers=2, max_addresses=2, address_requests_per_s=1, address_burst_s=1)
    for name in ("a", "b", "a"):
        some.take_request(name, None, sends=False)
    assert some.take_request("c", None, sends=False).allowed  # b goes
    assert not some.take_request("a", None, sends=False).allowed
    assert some.take_request("b", None, sends=False).allowed
    assert [some.take_address(name).allowed for name in ("1", "2", "3", "1")] == [True] * 4


def test_a_clock_that_stands_or_a_rate_that_is_huge(time: Time) -> None:
    some = quotas(time, QuotaLimits(requests_per_s=1e12, burst_s=1e-12))
    assert some.take_request("a", None, sends=False).allowed
    refused = some.take_request("a", None, sends=False)
    assert refused.headers()["Retry-After"] == "1"


@given(
    st.floats(min_value=0.1, max_value=50),
    st.floats(min_value=0.1, max_value=20),
    st.lists(st.tuples(st.floats(min_value=0, max_value=5), st.integers(min_value=1, max_value=40)), max_size=60),
)
def test_the_rate_holds_over_time(rate: float, burst_s: float, batches: list[tuple[float, int]]) -> None:
    time = Time()
    some = quotas(time, QuotaLimits(records_per_s=rate, burst_s=burst_s))
    size = max(1.0, -(-rate * burst_s // 1))
    taken = 0
    largest = 0
    for pause, count in batches:
        time.passed += pause
        answer = some.take_records("a", None, count)
        assert answer.state is not None
        assert 0 <= answer.state.remaining <= answer.state.limit
        if answer.allowed:
            taken += count
            largest = max(largest, count)
        else:
            assert answer.state.wait_s >= 1
            time.passed += answer.state.wait_s
            assert some.take_records("a", None, 1).allowed
            taken += 1
    assert taken <= size + rate * time.passed + largest + 1e-6
