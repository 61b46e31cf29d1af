"""Plots as inline SVG: lines over time with axes, grid and legend; no script, nothing from outside.

Place in the walk: below the report, which says what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

__all__ = ["Line", "Mark", "plot", "ticks"]

_WIDTH, _HEIGHT = 860, 250
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 34, 30
_COLORS = ("#1f6feb", "#d1570a", "#2c974b", "#8250df", "#bf3989", "#6e7781")
_MAX_POINTS = 1200
_LEGEND_STEP = 150
_LEAST_LOG = 0.001


@dataclass(slots=True, frozen=True)
class Line:
    """points: x and y; a y of None is a gap."""

    name: str
    points: Sequence[tuple[float, float | None]]


@dataclass(slots=True, frozen=True)
class Mark:
    """A span of x that is shaded: something happened then. until: None for a moment."""

    at: float
    until: float | None
    name: str


def plot(title: str, unit: str, lines: Sequence[Line], *, log: bool = False, marks: Sequence[Mark] = ()) -> str:
    """An `<svg>` element. log: the y axis is logarithmic, for durations."""
    lines = [Line(line.name, _thinned(line.points)) for line in lines if line.points]
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points if y is not None and math.isfinite(y)]
    if not xs or not ys:
        return f"<p>{escape(title)}: no data.</p>"
    left, right = min(xs), max(xs)
    right = right if right > left else left + 1
    scale = _log_scale(ys) if log else _linear_scale(ys)
    low, high, steps = scale

    def place_x(x: float) -> float:
        return _LEFT + (min(max(x, left), right) - left) / (right - left) * (_WIDTH - _LEFT - _RIGHT)

    def place_y(y: float) -> float:
        if log:
            part = (math.log10(max(y, low)) - math.log10(low)) / (math.log10(high) - math.log10(low))
        else:
            part = (y - low) / (high - low)
        return _HEIGHT - _BOTTOM - min(max(part, 0.0), 1.0) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label={quoteattr(title)} '
        'xmlns="http://www.w3.org/2000/svg">',
        f'<text class="title" x="{_LEFT}" y="14">{escape(title)} ({escape(unit)})</text>',
    ]
    for mark in marks:
        begin, end = place_x(mark.at), place_x(mark.until if mark.until is not None else mark.at)
        parts.append(
            f'<rect class="mark" x="{begin:.1f}" y="{_TOP}" width="{max(1.5, end - begin):.1f}" '
            f'height="{_HEIGHT - _TOP - _BOTTOM}"><title>{escape(mark.name)}</title></rect>'
        )
    for step in steps:
        y = place_y(step)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{step:g}</text>')
    for step in ticks(left, right, 8):
        parts.append(
            f'<text class="tick" x="{place_x(step):.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{step:g} s</text>'
        )
    for index, line in enumerate(lines):
        color = _COLORS[index % len(_COLORS)]
        for run in _runs(line.points):
            path = " ".join(f"{place_x(x):.1f},{place_y(y):.1f}" for x, y in run)
            parts.append(f'<polyline fill="none" stroke="{color}" stroke-width="1.4" points="{path}"/>')
        x = _LEFT + index * _LEGEND_STEP
        parts.append(f'<rect x="{x}" y="20" width="12" height="4" fill="{color}"/>')
        parts.append(f'<text class="tick" x="{x + 16}" y="26">{escape(line.name)}</text>')
    parts.append("</svg>")
    return "\n".join(parts)


def ticks(low: float, high: float, count: int) -> list[float]:
    """About so many round numbers between two."""
    raw = (high - low) / max(1, count)
    if raw <= 0:
        return [low]
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step)
    return [round(index * step, 10) for index in range(first, math.floor(high / step) + 1)]


def _linear_scale(ys: Sequence[float]) -> tuple[float, float, list[float]]:
    high = max(ys) or 1.0
    steps = ticks(0.0, high * 1.05, 5)
    return 0.0, max(high * 1.05, steps[-1]), steps


def _log_scale(ys: Sequence[float]) -> tuple[float, float, list[float]]:
    low = 10 ** math.floor(math.log10(max(_LEAST_LOG, min(ys))))
    high = 10 ** math.ceil(math.log10(max(_LEAST_LOG, max(ys))))
    high = max(high, low * 10)
    return low, high, [10**power for power in range(round(math.log10(low)), round(math.log10(high)) + 1)]


def _runs(points: Sequence[tuple[float, float | None]]) -> list[list[tuple[float, float]]]:
    """Without the gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None or not math.isfinite(y):
            runs.append([])
        else:
            runs[-1].append((x, y))
    return [run for run in runs if run]


def _thinned(points: Sequence[tuple[float, float | None]]) -> list[tuple[float, float | None]]:
    """Of many points the greatest of each stretch, so that no peak is lost."""
    if len(points) <= _MAX_POINTS:
        return list(points)
    size = -(-len(points) // _MAX_POINTS)
    thinned = []
    for first in range(0, len(points), size):
        part = points[first : first + size]
        thinned.append(max(part, key=lambda point: -math.inf if point[1] is None else point[1]))
    return thinned
