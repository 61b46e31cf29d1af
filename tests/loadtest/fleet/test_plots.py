from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from loadtest.fleet.plots import Line, Mark, plot, ticks

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(0, 1e7) | st.none()
WIDTH, HEIGHT = 860, 250


@given(st.lists(st.tuples(st.floats(-100, 1e5), NUMBERS), max_size=40), st.booleans())
def test_all_points_lie_inside(points: list[tuple[float, float | None]], log: bool) -> None:
    ordered = sorted(points, key=lambda point: point[0])
    marks = [Mark(-1e6, 1e6, "all <of> it"), Mark(3.0, None, "then")]
    text = plot("A & B", "ms", [Line("one", ordered), Line("none", [])], log=log, marks=marks)
    root = ElementTree.fromstring(text)
    for line in root.iter(f"{SVG}polyline"):
        for pair in line.attrib["points"].split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT


def test_a_gap_is_a_gap() -> None:
    root = ElementTree.fromstring(plot("t", "u", [Line("a", [(0, 1), (1, 2), (2, None), (3, 1)])]))
    assert [len(line.attrib["points"].split()) for line in root.iter(f"{SVG}polyline")] == [2, 1]


def test_of_very_many_points_the_peaks_stay() -> None:
    points: list[tuple[float, float | None]] = [(float(x), 1.0) for x in range(50_000)]
    points[31_234] = (31_234.0, 500.0)
    root = ElementTree.fromstring(plot("t", "u", [Line("a", points)]))
    heights = [float(pair.split(",")[1]) for pair in next(root.iter(f"{SVG}polyline")).attrib["points"].split()]
    assert len(heights) <= 1200
    assert len([height for height in heights if height < 100]) == 1


def test_ticks_are_round() -> None:
    assert ticks(0, 10, 5) == [0, 2, 4, 6, 8, 10]
    assert ticks(0, 0.42, 5) == [0, 0.1, 0.2, 0.3, 0.4]
    assert ticks(7, 7, 5) == [7]
