from __future__ import annotations

from gateway.access.limits import ConnectionLimits


def test_the_listener_is_full_at_its_limit() -> None:
    limits = ConnectionLimits(2, 0)
    assert [limits.enter(), limits.enter(), limits.enter()] == [True, True, False]
    limits.leave()
    assert limits.open == 1
    assert limits.enter()


def test_an_address_has_its_share_and_others_theirs() -> None:
    limits = ConnectionLimits(0, 2)
    assert [limits.enter_address("a") for _ in range(3)] == [True, True, False]
    assert limits.enter_address("b")
    limits.leave_address("a")
    assert limits.count("a") == 1
    assert limits.enter_address("a")


def test_a_limit_of_zero_is_off() -> None:
    limits = ConnectionLimits(0, 0)
    assert all(limits.enter() and limits.enter_address("a") for _ in range(1000))


def test_addresses_that_left_are_forgotten() -> None:
    limits = ConnectionLimits(0, 1)
    for number in range(100):
        assert limits.enter_address(str(number))
        limits.leave_address(str(number))
        assert limits.count(str(number)) == 0
