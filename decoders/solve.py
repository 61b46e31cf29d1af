"""Formulas the other way round: which inputs make a formula give what is wanted?

Messages are built from values, while conditions, counts, sizes and computed values of a layout are formulas. Most of
them are linear in one input, or test a few bits. What is found is always tried out on the formula itself, so that a
wrong guess is no answer.
"""

from __future__ import annotations

import ast
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from decoders.formula import Formula
from decoders.formula_parts import inner_parts, pieces

__all__ = ["Unknown", "constants", "same_value", "solve", "solve_digits"]

_FEW = 12  # inputs are tried in all combinations up to so many candidates each
_MOST_TRIES = 4096
_MOST_RAW = 0xFFFF  # where nothing else is known, integers up to this are tried


@dataclass(slots=True, frozen=True)
class Unknown:
    """An input that may be chosen. now: what it is so far. most: the greatest integer that it can be, if it is one;
    only: the values that it can have, where these are few. width: characters of a text, where that is fixed."""

    name: str
    now: Any = 0
    most: int | None = None
    only: tuple[Any, ...] = ()
    width: int | None = None
    fits: Callable[[Any], bool] = field(default=lambda _value: True)


def solve(
    formula: Formula,
    known: Callable[[str], Any],
    unknown: Sequence[Unknown],
    wanted: Any,
    off: float = 0,
    *,
    raw: bool = False,
) -> dict[str, Any] | None:
    """Inputs with which the formula gives `wanted`: a value (a number may be `off` by so much), or True or False for
    anything that counts as such. None when none are found. raw: the formula is over raw values."""
    names = [item.name for item in unknown]

    def compute(inputs: Mapping[str, Any]) -> Any:
        evaluate = formula.evaluate_raw if raw else formula.evaluate
        return evaluate(lambda name: inputs[name] if name in inputs else known(name))

    def good(inputs: Mapping[str, Any]) -> bool:
        found = compute(inputs)
        return bool(found) is wanted if isinstance(wanted, bool) else same_value(found, wanted, off)

    now = {item.name: item.now for item in unknown}
    if not unknown or good(now):
        return now if good(now) else None
    for inputs in _tries(formula, known, compute, unknown, wanted):
        whole = {**now, **inputs}
        fitting = all(_may_be(item, whole[item.name]) for item in unknown if item.name in inputs)
        if fitting and whole.keys() == set(names) and good(whole):
            return whole
    return None


def solve_digits(
    wanted: Sequence[tuple[Formula, float]], known: Callable[[str], Any], item: Unknown
) -> int | str | None:
    """One input of which several formulas read different digits or bits, such as `date // 100 % 100`; None when there
    is none, or it cannot be found."""

    def compute(formula: Formula, value: Any) -> Any:
        return formula.evaluate(lambda name: value if name == item.name else known(name))

    zeros = "0" * item.width if item.width and isinstance(item.now, str) else ""
    ones = [zeros[:at] + "1" + zeros[at + 1 :] for at in range(len(zeros))]
    tries: list[Any] = [*ones] if zeros else sorted({*(1 << k for k in range(64)), *(10**k for k in range(19))})
    number, digits = 0, list(zeros)
    for formula, target in wanted:
        start = compute(formula, zeros or 0)
        results = [(each, compute(formula, each)) for each in tries]
        if not isinstance(start, int | float) or not all(isinstance(found, int | float) for _, found in results):
            return None
        steps = [(each, found - start) for each, found in results if found > start]
        left = target - start
        if not steps:
            return None
        if not zeros:
            number += round(left / steps[0][1]) * steps[0][0]
            continue
        for each, weight in sorted(steps, key=lambda step: -step[1]):
            digit = min(9, int((left + 1e-9) // weight))
            digits[ones.index(each)] = str(digit)
            left -= digit * weight
    value = "".join(digits) if zeros else number
    off = all(abs(compute(formula, value) - target) < 2 for formula, target in wanted)  # seconds may come in steps
    return value if off and _may_be(item, value) else None


def _may_be(item: Unknown, value: Any) -> bool:
    if item.most is not None and isinstance(value, int | float) and not 0 <= value <= item.most:
        return False
    return item.fits(value)


def same_value(found: Any, wanted: Any, off: float = 0) -> bool:
    """Equal, numbers within what scaling loses, or within `off`."""
    if isinstance(found, int | float) and isinstance(wanted, int | float):
        if isinstance(found, bool) is not isinstance(wanted, bool):
            return False
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=max(off, 1e-9))
    return bool(found == wanted)


@lru_cache(maxsize=1024)
def constants(text: str) -> tuple[Any, ...]:
    """Numbers and texts that stand in a formula."""
    found = (node.value for node in ast.walk(ast.parse(text, mode="eval")) if isinstance(node, ast.Constant))
    return tuple(dict.fromkeys(value for value in found if isinstance(value, int | float | str)))


def _tries(
    formula: Formula,
    known: Callable[[str], Any],
    compute: Callable[[Mapping[str, Any]], Any],
    unknown: Sequence[Unknown],
    wanted: Any,
) -> Iterator[dict[str, Any]]:
    """Inputs that may do, the likeliest first."""
    lists = {item.name: _once(_candidates(formula, item)) for item in unknown}
    now = {item.name: item.now for item in unknown}
    if isinstance(wanted, str):
        for part, target in inner_parts(formula.text, wanted):
            yield from pieces(part.text, str(target), {item.name: item.width for item in unknown})
    if "unix(" in formula.text and not isinstance(wanted, str):
        names = {item.name for item in unknown}
        for part, target in inner_parts(formula.text, wanted):
            if part.text in names and isinstance(target, str):  # a time
                yield {part.text: target}
    for item in unknown:
        if isinstance(wanted, str) is isinstance(item.now, str) and not isinstance(wanted, bool):
            yield {item.name: wanted}
        for value in lists[item.name]:
            yield {item.name: value}
    if isinstance(wanted, int | float | str) and not isinstance(wanted, bool):
        few = [item for item in unknown if item.only]
        many = [item for item in unknown if not item.only]
        for chosen in itertools.islice(itertools.product(*(item.only for item in few)), _MOST_TRIES):
            fixed = {**now, **{item.name: value for item, value in zip(few, chosen, strict=True)}}
            for part, target in inner_parts(formula.text, wanted):
                if not isinstance(target, int | float):
                    continue

                def inner(inputs: Mapping[str, Any], part: Formula = part) -> Any:
                    return part.evaluate(lambda name: inputs[name] if name in inputs else known(name))

                for item in many:
                    yield {**fixed, item.name: str(target) if isinstance(item.now, str) else target}
                    yield from ({**fixed, item.name: root} for root in _roots(inner, fixed, item, target))
                yield {**fixed, **_digits(inner, fixed, many, target)}
    shortened = [[(item.name, value) for value in lists[item.name][:_FEW]] for item in unknown]
    for combination in itertools.islice(itertools.product(*shortened), _MOST_TRIES):
        yield dict(combination)
    for item in unknown:
        if item.most is not None:
            yield from ({item.name: value} for value in range(min(item.most, _MOST_RAW) + 1))


def _once(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order; lists, which cannot be looked up, as often as they come."""
    found: dict[Any, Any] = {}
    for value in values:
        found.setdefault(id(value) if isinstance(value, list | dict) else (value.__class__, value), value)
    return list(found.values())


def _candidates(formula: Formula, item: Unknown) -> Iterable[Any]:
    """Values that the formula itself hints at."""
    if item.only:
        yield from item.only
        return
    numbers = [value for value in constants(formula.text) if not isinstance(value, str)]
    yield from (value for value in constants(formula.text) if isinstance(value, str))
    if isinstance(item.now, int):
        masks = [abs(number) for number in numbers if isinstance(number, int)]
        for mask in [*masks, *(1 << place for place in masks if place < 64)]:
            yield from (item.now | mask, item.now & ~mask)
    for number in numbers:
        yield from (number, number + 1, number - 1)
    yield from (1, 0)


def _roots(
    compute: Callable[[Mapping[str, Any]], Any], fixed: Mapping[str, Any], item: Unknown, wanted: float
) -> Iterator[Any]:
    """Where a line through two points of the formula has the wanted height."""
    for low, high in ((0, 1), (0, 256), (1, 1 << 16)):
        first, second = compute({**fixed, item.name: low}), compute({**fixed, item.name: high})
        if not isinstance(first, int | float) or not isinstance(second, int | float) or first == second:
            continue
        root = low + (wanted - first) * (high - low) / (second - first)
        nearest = round(root)
        yield nearest
        yield root
        yield from (nearest + 1, nearest - 1)


def _digits(
    compute: Callable[[Mapping[str, Any]], Any], fixed: Mapping[str, Any], unknown: Sequence[Unknown], wanted: float
) -> dict[str, Any]:
    """Integers that stand side by side in the result, such as `high << 8 | low`: the heaviest first."""
    zero = {**fixed, **{item.name: 0 for item in unknown}}
    start = compute(zero)
    weights = []
    for item in unknown:
        one = compute({**zero, item.name: 1})
        if isinstance(start, int | float) and isinstance(one, int | float) and one != start:
            weights.append((one - start, item))
    left = wanted - start if weights else 0
    weights.sort(key=lambda pair: abs(pair[0]), reverse=True)
    for place, (weight, item) in enumerate(weights, 1):
        share = round(left / weight) if place == len(weights) else math.floor(left / weight + 1e-9)
        zero[item.name] = max(0, share if item.most is None else min(share, item.most))
        left -= zero[item.name] * weight
    return {item.name: zero[item.name] for item in unknown}
