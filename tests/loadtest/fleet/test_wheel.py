from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.wheel import Wheel

TICK_S = 0.01


@given(st.lists(st.floats(0, 5), max_size=50), st.lists(st.floats(0.001, 3), min_size=1, max_size=30))
def test_everybody_is_called_once_in_order_and_never_early(delays: list[float], steps: list[float]) -> None:
    wheel, called, now = Wheel(100.0, TICK_S), list[tuple[float, float]](), 100.0

    def note(delay: float) -> None:
        called.append((delay, now))

    for delay in delays:
        wheel.after(delay, lambda delay=delay: note(delay))  # type: ignore[misc]
    for step in [*steps, 6.0]:
        now += step
        wheel.turn(now)
    assert sorted(delay for delay, _ in called) == sorted(delays)
    assert all(at >= 100.0 + delay - 1e-6 for delay, at in called)
    assert len(wheel) == 0
    moments = [at for _, at in called]
    assert moments == sorted(moments)


def test_who_is_added_by_a_callback_waits_for_a_later_turn() -> None:
    wheel, calls = Wheel(0.0, TICK_S), list[str]()

    def again() -> None:
        calls.append("again")
        wheel.after(0.0, again)

    wheel.after(0.0, again)
    for turn in range(1, 4):
        wheel.turn(turn * TICK_S)
    assert calls == ["again"] * 3
    assert len(wheel) == 1


def test_a_long_stop_calls_all_that_was_due_in_order() -> None:
    wheel, calls = Wheel(0.0, TICK_S), list[float]()
    for delay in (3.0, 1.0, 2.0):
        wheel.after(delay, lambda delay=delay: calls.append(delay))  # type: ignore[misc]
    wheel.turn(1000.0)
    assert calls == [1.0, 2.0, 3.0]
