from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.arrivals import Arrivals, Stretch

RATES = st.floats(0, 5_000) | st.just(0.0)
STRETCHES = st.lists(st.builds(Stretch, st.floats(0.01, 2), RATES, RATES), min_size=1, max_size=4)


def expected_until(stretches: list[Stretch], moment: float) -> float:
    """The integral of the rate."""
    total, began = 0.0, 0.0
    for stretch in stretches:
        inside = min(max(moment - began, 0.0), stretch.seconds)
        slope = (stretch.to - stretch.rate) / stretch.seconds
        total += stretch.rate * inside + slope * inside * inside / 2
        began += stretch.seconds
    return total


@given(STRETCHES)
def test_moments_follow_the_integral_of_the_rate(stretches: list[Stretch]) -> None:
    arrivals = Arrivals(stretches)
    moments = drained(arrivals)
    assert abs(len(moments) - expected_until(stretches, math.inf)) <= 1
    assert moments == sorted(moments)
    for index, moment in enumerate(moments):
        assert expected_until(stretches, moment) == pytest.approx(index, abs=1e-3)


def drained(arrivals: Arrivals) -> list[float]:
    moments = []
    while arrivals.next < math.inf:
        moments += arrivals.due(arrivals.next)
    return moments


@given(STRETCHES, st.lists(st.floats(0, 8), max_size=20))
def test_each_moment_is_given_once_whenever_one_asks(stretches: list[Stretch], asked: list[float]) -> None:
    given_out, arrivals = [], Arrivals(stretches)
    for now in sorted(asked):
        part = arrivals.due(now)
        assert all(moment <= now for moment in part)
        given_out += part
    given_out += drained(arrivals)
    assert given_out == drained(Arrivals(stretches))


def test_an_even_rate_is_even() -> None:
    assert Arrivals([Stretch(1, 4, 4)]).due(10) == [0, 0.25, 0.5, 0.75]


def test_time_without_frames_passes() -> None:
    arrivals = Arrivals([Stretch(5, 0, 0), Stretch(1, 2, 2)])
    assert arrivals.seconds == 6
    assert arrivals.due(5.4) == [5.0]
    assert arrivals.next == 5.5


def test_random_moments_are_as_many_on_average_and_the_same_for_a_seed() -> None:
    stretches = [Stretch(10, 1_000, 1_000)]
    moments = drained(Arrivals(stretches, "random", seed=3))
    assert moments == drained(Arrivals(stretches, "random", seed=3))
    assert moments != drained(Arrivals(stretches, "random", seed=4))
    assert len(moments) == pytest.approx(10_000, rel=0.05)
    gaps = [after - before for before, after in itertools.pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert spread == pytest.approx(mean, rel=0.1)  # of an exponential distribution both are the same
