from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.histogram import Histogram

PRECISION = 1 / 128
DURATIONS = st.lists(st.integers(0, 10_000_000_000), min_size=1, max_size=300)  # µs


def histogram(durations: list[int]) -> Histogram:
    made = Histogram()
    for us in durations:
        made.record(us / 1e6)
    return made


def exact(durations: list[int], percent: float) -> int:
    """Nearest rank."""
    return sorted(durations)[max(1, math.ceil(len(durations) * percent / 100)) - 1]


@given(DURATIONS, st.sampled_from([0.1, 1, 25, 50, 90, 99, 99.9, 100]))
def test_percentiles_are_the_exact_ones_or_a_little_more(durations: list[int], percent: float) -> None:
    found = histogram(durations).percentile(percent) * 1000
    wanted = exact(durations, percent)
    assert wanted <= round(found) <= wanted * (1 + PRECISION) + 1


@given(DURATIONS, DURATIONS)
def test_merged_ones_are_one_of_all(first: list[int], second: list[int]) -> None:
    merged, whole = histogram(first), histogram(first + second)
    merged.merge(histogram(second))
    assert merged.figures() == whole.figures()
    assert list(merged.curve()) == list(whole.curve())
    assert (merged.count, merged.total, merged.least, merged.greatest) == (
        len(first + second),
        sum(first + second),
        min(first + second),
        max(first + second),
    )


@given(DURATIONS)
def test_the_curve_rises_to_all(durations: list[int]) -> None:
    points = list(histogram(durations).curve())
    assert points == sorted(points)
    assert points[-1] == (100.0, max(durations) / 1000)


def test_an_empty_one_has_no_figures() -> None:
    empty = Histogram()
    assert empty.figures() == {}
    assert empty.percentile(99) == 0
    assert empty.mean_ms == 0
    empty.merge(Histogram())
    assert empty.count == 0


def test_what_is_below_zero_or_longer_than_all_buckets_still_counts() -> None:
    made = Histogram()
    made.record(-0.5)
    made.record(1e9)
    assert made.count == 2
    assert made.least == 0
    assert made.percentile(50) == 0
    assert made.percentile(100) == made.greatest / 1000
