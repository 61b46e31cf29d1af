"""A time that formulas put together from fields, taken apart again: `clock: [year, month, day, hour, minute, second]`.

Below `decoders.reference.draft`, which knows what else is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from decoders.formula import Formula
from decoders.solve import Unknown, solve, solve_digits

__all__ = ["part_of_time"]


def part_of_time(
    parts: Sequence[Formula],
    name: str,
    moment: Sequence[int],
    known: Callable[[str], Any],
    unknown: Callable[[Formula], list[Unknown]],
) -> Any:
    """The value of a field with which these formulas give year, month, day, hour, minute, second and millisecond of a
    moment: of one part, or of several that are digits or bits of it; None where there is none. unknown: the fields that
    a formula reads and that may be chosen."""
    mine = [(part, _targets(place, moment, len(parts))) for place, part in enumerate(parts) if name in part.names]
    if len(mine) == 1:
        ((part, targets),) = mine
        tries = (solve(part, known, unknown(part), target) for target in targets)
        return next((found[name] for found in tries if found is not None), None)
    item = next((item for part, _ in mine for item in unknown(part) if item.name == name), None)
    for choice in (0, 1):  # the year in four digits, or two
        wanted = [(part, targets[choice] if part is parts[0] else targets[-1]) for part, targets in mine]
        value = None if item is None else solve_digits(wanted, known, item)
        if value is not None:
            return value
    return None


def _targets(place: int, moment: Sequence[int], parts: int) -> list[float]:
    """What the formula of a part may give: the year in four digits or two, seconds with a fraction where no part has
    the milliseconds."""
    if place == 0:
        return [moment[0], moment[0] % 100]
    if place == 5 and parts == 6 and moment[6]:
        return [moment[5] + moment[6] / 1000, moment[5]]
    return [moment[place]]
