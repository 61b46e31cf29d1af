from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.delivery.spool.positions import Positions

additions = st.lists(
    st.one_of(st.lists(st.integers(0, 80), max_size=8), st.tuples(st.integers(0, 80), st.integers(0, 20))), max_size=20
)


@given(st.integers(0, 40), additions)
def test_positions_are_a_set_of_numbers(low: int, steps: list[list[int] | tuple[int, int]]) -> None:
    positions, model = Positions(low), set(range(low))
    for step in steps:
        if isinstance(step, tuple):
            start, length = step
            positions.add_range(start, start + length)
            model |= set(range(start, start + length))
        else:
            positions.add(step)
            model |= set(step)
        assert [n for n in range(120) if positions.has(n)] == sorted(model)
        assert positions.low == next(n for n in range(200) if n not in model)
        assert positions.top == max(model, default=-1) + 1
        edges = [positions.low, *(edge for pair in positions.ranges for edge in pair)]
        assert edges == sorted(set(edges)), "disjoint, rising, not touching"
        assert positions.range_count == len(positions.ranges)
        assert Positions(positions.low, positions.ranges).ranges == positions.ranges


def test_disjoint_ranges_are_counted() -> None:
    positions = Positions(0)
    positions.add(range(1, 2001, 2))
    assert positions.range_count == 1000
    positions.add(range(0, 2000, 2))
    assert (positions.low, positions.range_count) == (2000, 0)
