"""Which parts of `clock: [year, month, day, hour, minute, second]` may be beyond their range and are then carried.

A device that says a date which does not exist is wrong; a date that a spec adds something to is not. So a part carries
where it is a name plus or minus something: `second + index * interval`, `day - n`. Parts that are put together
(`tens * 10 + ones`, `word >> 5 & 15`) do not, months and years never do (`month + 1` counts from 0), and neither does a
day plus or minus a number.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

__all__ = ["carrying"]

_PLACES = {2: "d", 3: "h", 4: "m", 5: "s"}


def carrying(parts: Sequence[str]) -> str:
    """The letters of the parts that carry: of `dhms`. parts: formulas of year, month, day ..."""
    return "".join(
        letter for place, letter in _PLACES.items() if place < len(parts) and _is_shifted(parts[place], letter)
    )


def _is_shifted(text: str, letter: str) -> bool:
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False  # said where it is compiled
    by: list[ast.expr] = []
    while isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.Add | ast.Sub):
        by.append(tree.right)
        tree = tree.left
    if not by or not isinstance(tree, ast.Name | ast.Attribute):
        return False
    return letter != "d" or not all(isinstance(part, ast.Constant) for part in by)
