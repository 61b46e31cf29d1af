from __future__ import annotations

import pytest

from gateway.access.attempts import AttemptLimits, Attempts, address_of


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


LIMITS = AttemptLimits(per_address=3, address_refill_s=10, per_user=2, user_refill_s=100, max_keys=4)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def attempts(clock: Clock) -> Attempts:
    return Attempts(LIMITS, clock)


def test_an_address_is_not_looked_at_after_its_failures_until_time_has_passed(attempts: Attempts, clock: Clock) -> None:
    for number in range(3):
        assert attempts.allowed("a", f"user-{number}")
        attempts.failed("a", f"user-{number}")
    assert not attempts.allowed("a", "user-9")
    assert not attempts.allowed("a", "")
    assert attempts.allowed("b", "user-9")
    clock.now += 9.9
    assert not attempts.allowed("a", "user-9")
    clock.now += 0.1
    assert attempts.allowed("a", "user-9")
    attempts.failed("a", "user-9")
    assert not attempts.allowed("a", "user-9")
    clock.now += 1_000
    for _ in range(3):  # no more than the burst has gathered
        attempts.failed("a", "")
    assert not attempts.allowed("a", "")


def test_a_user_name_is_not_looked_at_from_anywhere_after_its_failures(attempts: Attempts, clock: Clock) -> None:
    attempts.failed("a", "dev")
    attempts.failed("b", "dev")
    assert not attempts.allowed("c", "dev")
    assert attempts.allowed("c", "other")
    clock.now += 100
    assert attempts.allowed("c", "dev")


def test_neighbours_and_strangers_do_not_lock_out_who_has_logged_in_there(attempts: Attempts) -> None:
    attempts.succeeded("nat", "dev")
    for _ in range(5):
        attempts.failed("nat", "broken")
        attempts.failed("far", "dev")
    assert not attempts.allowed("nat", "new")
    assert not attempts.allowed("far", "dev")
    assert not attempts.allowed("other", "dev")
    assert attempts.allowed("nat", "dev")


def test_who_has_logged_in_may_not_guess_for_ever_either(attempts: Attempts, clock: Clock) -> None:
    attempts.succeeded("nat", "dev")
    attempts.failed("nat", "dev")
    assert attempts.allowed("nat", "dev")
    attempts.failed("nat", "dev")
    assert not attempts.allowed("nat", "dev")
    assert attempts.allowed("nat", "neighbour")  # whose budget it did not touch
    clock.now += 100
    assert attempts.allowed("nat", "dev")


def test_tables_are_bounded_and_forget_the_oldest_first(attempts: Attempts) -> None:
    for number in range(100):
        for _ in range(3):
            attempts.failed(f"address-{number}", f"user-{number}")
    assert attempts.allowed("address-95", "")
    assert not attempts.allowed("address-96", "")
    assert not attempts.allowed("new", "user-99")


def test_a_long_user_name_counts_by_its_beginning(attempts: Attempts) -> None:
    for _ in range(2):
        attempts.failed("a", "x" * 60_000)
    assert not attempts.allowed("b", "x" * 50_000)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.7:51000", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]:51000", "2001:0db8:0001:0002::/64"),
        ("[2001:db8:1:2::9]:1", "2001:0db8:0001:0002::/64"),
        ("[::ffff:192.0.2.7]:51000", "192.0.2.7"),
        ("[fe80::1%eth0]:1", "fe80:0000:0000:0000::/64"),
        (":0", ":0"),
        ("", ""),
        ("pipe", "pipe"),
    ],
)
def test_attempts_are_counted_to_the_address_or_network(peer: str, address: str) -> None:
    assert address_of(peer) == address
