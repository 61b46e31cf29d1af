from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.wheel import Wheel

TICK_S = 0.01


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.floats(0, 5), max_size=50), st.lists(st.floats(0.001, 3), min_size=1, max_size=30))
def test_everybody_is_called_once_in_order_and_never_early(delays: list[float], steps: list[float]) -> None:
    clock, called = Clock(), list[tuple[float, float]]()
    wheel = Wheel(clock, TICK_S)

    def note(delay: float) -> None:
        called.append((delay, clock.now))

    for delay in delays:
        wheel.after(delay, lambda delay=delay: note(delay))  # type: ignore[misc]
    for step in [*steps, 6.0]:
        clock.now += step
        wheel.turn()
    assert sorted(delay for delay, _ in called) == sorted(delays)
    assert all(at >= 100.0 + delay - 1e-6 for delay, at in called)
    assert len(wheel) == 0
    moments = [at for _, at in called]
    assert moments == sorted(moments)


def test_who_is_added_by_a_callback_waits_for_a_later_turn() -> None:
    clock, calls = Clock(), list[str]()
    wheel = Wheel(clock, TICK_S)

    def again() -> None:
        calls.append("again")
        wheel.after(0.0, again)

    wheel.after(0.0, again)
    for _ in range(3):
        clock.now += 2 * TICK_S
        wheel.turn()
    assert calls == ["again"] * 3
    assert len(wheel) == 1


def test_a_long_stop_calls_all_that_was_due_in_order() -> None:
    clock, calls = Clock(), list[float]()
    wheel = Wheel(clock, TICK_S)
    for delay in (3.0, 1.0, 2.0):
        wheel.after(delay, lambda delay=delay: calls.append(delay))  # type: ignore[misc]
    clock.now += 1000.0
    wheel.turn()
    assert calls == [1.0, 2.0, 3.0]


def test_a_delay_counts_from_now_though_nobody_has_turned_it_for_long() -> None:
    clock, calls = Clock(), list[str]()
    wheel = Wheel(clock, TICK_S)
    clock.now += 60.0  # making ten thousand devices takes its time
    wheel.after(1.0, lambda: calls.append("due"))
    clock.now += 0.5
    wheel.turn()
    assert not calls
    clock.now += 0.6
    wheel.turn()
    assert calls == ["due"]
