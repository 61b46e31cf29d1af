"""The parts that a formula is made of, with what each must give so that the whole gives what is wanted.

Used where formulas are turned round (`decoders.solve`), which tries out whatever is found here: a part that is given
with a wrong target costs time and nothing else.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from typing import Any

from decoders.formula import Formula, FormulaError, compile_formula
from decoders.times import iso_from_unix_ms

__all__ = ["inner_parts", "pieces"]

_MOST_PARTS = 24
_MOST_S = 1e12
_HEX = re.compile("[0-9A-Fa-f]{1,32}")
_SAME = frozenset(
    {"round", "floor", "ceil", "abs", "int", "number", "upper", "lower", "first", "strip", "strip_left", "strip_right"}
)
"""Functions that change little of their first argument."""


def inner_parts(text: str, wanted: Any) -> Iterator[tuple[Formula, Any]]:
    """The whole formula, then its inner parts, each with what it must give."""
    for node, target in itertools.islice(_peeled(ast.parse(text, mode="eval").body, wanted), _MOST_PARTS):
        try:
            yield compile_formula(ast.unparse(node)), target
        except FormulaError:
            continue


def _peeled(node: ast.expr, wanted: Any) -> Iterator[tuple[ast.expr, Any]]:
    yield node, wanted
    match node:
        case ast.Call(func=ast.Name(id="ddmm"), args=[value, *_]) if isinstance(wanted, int | float):
            degrees = int(abs(wanted) + 1e-9)
            yield from _peeled(value, round(degrees * 100 + (abs(wanted) - degrees) * 60, 9))
        case ast.Call(func=ast.Name(id="unhex"), args=[value]) if isinstance(wanted, str):
            yield from _peeled(value, wanted.encode("latin-1", "replace").hex())
        case ast.Call(func=ast.Name(id="unix"), args=[value]) if isinstance(wanted, int | float):
            moment = iso_from_unix_ms(round(wanted * 1000)) if abs(wanted) < _MOST_S else None
            if moment is not None:
                yield from _peeled(value, moment)
        case ast.Call(func=ast.Name(id="hex"), args=[value, *_]) if isinstance(wanted, str):
            if _HEX.fullmatch(wanted):
                yield from _peeled(value, int(wanted, 16))
        case ast.Call(func=ast.Name(id="text"), args=[value]) if isinstance(wanted, str) and wanted.isdigit():
            yield from _peeled(value, int(wanted))
        case ast.Call(func=ast.Name(id=name), args=[value, *_]) if name in _SAME:
            yield from _peeled(value, wanted)
        case ast.IfExp(body=body, orelse=orelse):
            yield from _peeled(body, wanted)
            yield from _peeled(orelse, wanted)
        case ast.UnaryOp(op=ast.USub(), operand=value) if isinstance(wanted, int | float):
            yield from _peeled(value, -wanted)
        case ast.BinOp(left=left, op=operator, right=right) if isinstance(wanted, int | float):
            yield from _of_operation(left, operator, right, wanted)


def _of_operation(
    left: ast.expr, operator: ast.operator, right: ast.expr, wanted: float
) -> Iterator[tuple[ast.expr, Any]]:
    match operator, right:
        case ast.Add(), ast.Constant(value=int() | float() as number):
            yield from _peeled(left, wanted - number)
        case ast.Sub(), ast.Constant(value=int() | float() as number):
            yield from _peeled(left, wanted + number)
        case ast.Div(), ast.Constant(value=int() | float() as number):
            yield from _peeled(left, wanted * number)
        case ast.Mult(), ast.Constant(value=int() | float() as number) if number:
            yield from _peeled(left, wanted / number)
        case ast.RShift(), ast.Constant(value=int() as number) if isinstance(wanted, int) and 0 <= number < 64:
            yield from _peeled(left, wanted << number)
        case ast.LShift(), ast.Constant(value=int() as number) if isinstance(wanted, int) and 0 <= number < 64:
            yield from _peeled(left, wanted >> number)
        case ast.BitAnd(), ast.Constant():
            yield from _peeled(left, wanted)
        case ast.Mult(), _:  # by a sign
            for factor in (left, right):
                yield from _peeled(factor, wanted)
                yield from _peeled(factor, -wanted)


def pieces(text: str, wanted: str, unknown: Mapping[str, int | None]) -> Iterator[dict[str, Any]]:
    """The values that `join` put together with its first argument between them, or of which `text` made a text.

    unknown: inputs -> how many characters they have, None where that is not fixed.
    """
    match ast.parse(text, mode="eval").body:
        case ast.Call(func=ast.Name(id="join"), args=[ast.Constant(value=str(mark)), *arguments]):
            names = [argument.id for argument in arguments if isinstance(argument, ast.Name)]
            words = wanted.split(mark) if mark else _cut(wanted, [unknown.get(name) for name in names])
        case ast.Call(func=ast.Name(id="text"), args=[ast.Name(id=name)]):
            names, words = [name], [wanted]
        case ast.Name(id=name):
            names, words = [name], [wanted]
        case _:
            return
    names = [name for name in names if name in unknown]
    for chosen in itertools.combinations(names, min(len(words), len(names))):
        others = dict.fromkeys(names)
        plain = dict(zip(chosen, words, strict=False))
        yield {**others, **{name: int(word) if word.isdigit() else word for name, word in plain.items()}}
        yield {**others, **plain}


def _cut(text: str, widths: list[int | None]) -> list[str]:
    """A text without marks in pieces of these widths; in equal ones where they are not known."""
    known = [width for width in widths if width is not None]
    if len(known) < len(widths) or sum(known) != len(text):
        known = [len(text) // max(1, len(widths))] * len(widths)
    words, start = [], 0
    for width in known:
        words.append(text[start : start + width])
        start += width
    return words
