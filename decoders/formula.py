"""Formulas: the small expression language of specs (conditions, counts, derived values).

A formula is Python's expression syntax cut down to an allow-list of `ast` nodes and functions. It is compiled once.
It knows only the names given to it; there are no attributes (the prefix `metrics.` is a way to write a name), no
subscripts, no calls but the functions below. A formula that cannot be computed (division by zero, overflow, a
missing input) gives None, never an exception. Its cost is capped by its size and by guards on powers and shifts.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

MAX_TEXT = 500
MAX_NODES = 120
_MAX_BITS = 256  # of any integer that a power or a shift may make
_MAX_DIGITS = 20

_BINARY: Mapping[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Pow: "**",
}
_GUARDED: Mapping[type[ast.operator], str] = {
    ast.Pow: "_power",
    ast.LShift: "_shift",
    ast.Mult: "_times",
    ast.Mod: "_modulo",
}
_UNARY: Mapping[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Not: "not ", ast.Invert: "~"}
_COMPARE: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}
_PLAIN_OPERATORS = (ast.Add, ast.Sub, ast.BitAnd, ast.BitOr, ast.BitXor)
_PLAIN_WITH_CONSTANT = (ast.FloorDiv, ast.Mod, ast.Mult, ast.Div, ast.RShift)


class FormulaError(ValueError):
    """The text is no formula. The message says what was found and what is allowed."""


def _power(base: float, exponent: float) -> float:
    if isinstance(base, str) or isinstance(exponent, str):
        raise TypeError("text has no power")
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * abs(exponent) > _MAX_BITS:
        raise OverflowError("power too large")
    result: Any = base**exponent
    if isinstance(result, complex):
        raise ValueError("power of a negative number")
    return float(result) if isinstance(result, float) else int(result)


def _shift(value: int, by: int) -> int:
    if not 0 <= by <= _MAX_BITS or value.bit_length() + by > _MAX_BITS:
        raise OverflowError("shift too large")
    return value << by


def _times(left: float, right: float) -> float:
    if isinstance(left, str | list | tuple) or isinstance(right, str | list | tuple):
        raise TypeError("only numbers can be multiplied")
    return left * right


def _modulo(left: float, right: float) -> float:
    if isinstance(left, str):
        raise TypeError("text has no remainder")
    return left % right


def _join(separator: str, *values: Any) -> str | None:
    """Texts that have a value, joined; lists are joined too; None when nothing is left."""
    words: list[str] = []
    for value in values:
        if value is None:
            continue
        if isinstance(value, list | tuple):
            words.extend(map(str, value))
        elif value != "":
            words.append(str(value))
    return separator.join(words) if words else None


def _first(*values: Any) -> Any:
    """The first of the values that is there."""
    return next((value for value in values if value is not None), None)


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple | str | dict) else 0


def _round(value: float, digits: int = 0) -> float:
    if abs(digits) > _MAX_DIGITS:
        raise OverflowError("too many digits")
    return round(value, digits) if digits else round(value)


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _strip_left(text: str, characters: str) -> str:
    return text.lstrip(characters) or text[-1:]


def _to_int(value: Any, base: int = 10) -> int:
    if isinstance(value, str):
        if len(value) > 40:
            raise ValueError("too many digits")
        return int(value, base)
    return int(value)


def _to_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _part(text: str, start: int, stop: int) -> str:
    return text[start:stop]


def _unhex(text: str) -> str:
    """Hex text of ASCII characters -> these characters."""
    return bytes.fromhex(text).decode("ascii", "replace")


def _luhn(digits: str) -> str:
    """The check digit of ISO/IEC 7812-1 annex B for a text of digits."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        doubled = int(digit) * (2 if index % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "clamp": _clamp,
    "round": _round,
    "floor": math.floor,
    "ceil": math.ceil,
    "sqrt": math.sqrt,
    "log": math.log,
    "exp": math.exp,
    "pow": _power,
    "int": _to_int,
    "text": _to_text,
    "part": _part,
    "strip_left": _strip_left,
    "luhn": _luhn,
    "unhex": _unhex,
    "join": _join,
    "first": _first,
    "count": _count,
}
"""Functions that every formula may call."""

TOLERANT = frozenset({"join", "first", "count"})
"""Functions that accept missing inputs: a formula that starts with one of them is never "failed"."""

NAMESPACE: Mapping[str, Any] = {
    "_power": _power,
    "_shift": _shift,
    "_times": _times,
    "_modulo": _modulo,
    **{f"fn_{name}": function for name, function in FUNCTIONS.items()},
}
"""What a formula's source may refer to besides its own names."""


@dataclass(slots=True, frozen=True)
class Formula:
    """A compiled formula.

    names: the names it reads, in order of first use; `function` takes their values in this order and gives the
    result or None. source: its expression with every name `n` as `{n}` for `str.format`, to be put into generated code;
    plain: True when the expression cannot fail on integers and booleans, so that it may stand there unguarded.
    """

    text: str
    names: tuple[str, ...]
    source: str
    plain: bool
    tolerant: bool
    function: Callable[..., Any]

    def inline(self, sources: Mapping[str, str]) -> str:
        """The expression with `sources[name]` in place of each name."""
        return self.source.format_map(sources)

    def evaluate(self, lookup: Callable[[str], Any]) -> Any:
        return self.function(*[lookup(name) for name in self.names])


class _Translator:
    """Turns an allowed `ast` into source, remembering the names."""

    def __init__(self, text: str, extra_functions: Collection[str], *, bare: bool = False) -> None:
        """bare: for integers only, without the guards that texts and lists need."""
        self.text = text
        self.names: dict[str, None] = {}
        self.plain = True
        self.extra_functions = extra_functions
        self.bare = bare

    def fail(self, node: ast.AST, problem: str) -> FormulaError:
        column = getattr(node, "col_offset", 0) + 1
        return FormulaError(f"`{self.text}`, column {column}: {problem}")

    def translate(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                if isinstance(value, float) and not math.isfinite(value):
                    raise self.fail(node, "numbers must be finite")
                if isinstance(value, int) and value.bit_length() > _MAX_BITS:
                    raise self.fail(node, "number too large")
                if not isinstance(value, bool | int):
                    self.plain = False
                return repr(value).replace("{", "{{").replace("}", "}}")
            case ast.Name(id=name):
                return self._name(name)
            case ast.Attribute(value=ast.Name(id="metrics"), attr=name):
                return self._name(name)
            case ast.BinOp(left=left, op=operator, right=right):
                return self._binary(node, left, operator, right)
            case ast.UnaryOp(op=operator, operand=operand):
                return f"({_UNARY[type(operator)]}{self.translate(operand)})"
            case ast.BoolOp(op=operator, values=values):
                word = " and " if isinstance(operator, ast.And) else " or "
                return "(" + word.join(self.translate(value) for value in values) + ")"
            case ast.Compare(left=left, ops=operators, comparators=comparators):
                return self._comparison(node, left, operators, comparators)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return f"({self.translate(body)} if {self.translate(test)} else {self.translate(orelse)})"
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                return self._call(node, name, arguments)
            case ast.Tuple() | ast.List():
                self.plain = False
                return self._tuple(node)
        raise self.fail(node, f"{type(node).__name__} is not allowed in a formula")

    def _tuple(self, node: ast.Tuple | ast.List) -> str:
        return "(" + "".join(f"{self.translate(item)}, " for item in node.elts) + ")"

    def _name(self, name: str) -> str:
        if name.startswith("_"):
            raise FormulaError(f"`{self.text}`: a name must not start with an underscore: `{name}`")
        self.names.setdefault(name)
        return "{" + name + "}"

    def _binary(self, node: ast.expr, left: ast.expr, operator: ast.operator, right: ast.expr) -> str:
        word = _BINARY.get(type(operator))
        if word is None:
            raise self.fail(node, f"operator {type(operator).__name__} is not allowed")
        constant_operand = isinstance(right, ast.Constant) and isinstance(right.value, int) and right.value > 0
        if not isinstance(operator, _PLAIN_OPERATORS) and not (
            constant_operand and isinstance(operator, _PLAIN_WITH_CONSTANT)
        ):
            self.plain = False
        first, second = self.translate(left), self.translate(right)
        guard = _GUARDED.get(type(operator))
        if guard is not None and not (self.bare and constant_operand and isinstance(operator, ast.Mult | ast.Mod)):
            return f"{guard}({first}, {second})"
        return f"({first} {word} {second})"

    def _comparison(
        self, node: ast.expr, left: ast.expr, operators: list[ast.cmpop], comparators: list[ast.expr]
    ) -> str:
        parts = [self.translate(left)]
        for operator, comparator in zip(operators, comparators, strict=True):
            word = _COMPARE.get(type(operator))
            if word is None:
                raise self.fail(node, f"comparison {type(operator).__name__} is not allowed")
            if isinstance(operator, ast.In | ast.NotIn):
                if isinstance(comparator, ast.Tuple | ast.List):
                    parts += [word, self._tuple(comparator)]
                    continue
                self.plain = False
            parts += [word, self.translate(comparator)]
        return "(" + " ".join(parts) + ")"

    def _call(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> str:
        if name not in FUNCTIONS and name not in self.extra_functions:
            allowed = ", ".join(sorted({*FUNCTIONS, *self.extra_functions}))
            raise self.fail(node, f"unknown function `{name}`; there are {allowed}")
        self.plain = False
        if any(isinstance(argument, ast.Starred) for argument in arguments):
            raise self.fail(node, "`*` is not allowed here")
        return f"fn_{name}({', '.join(self.translate(argument) for argument in arguments)})"


def compile_formula(
    text: str | int | float | bool, extra_functions: Mapping[str, Callable[..., Any]] | None = None
) -> Formula:
    """Compiles a formula. Raises FormulaError with the column and what is allowed."""
    text = str(text).strip()
    if len(text) > MAX_TEXT:
        raise FormulaError(f"a formula has at most {MAX_TEXT} characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise FormulaError(f"`{text}` is no formula: {getattr(error, 'msg', error)}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise FormulaError(f"`{text[:40]}…`: a formula has at most {MAX_NODES} parts")
    extra = extra_functions or {}
    translator = _Translator(text, extra)
    source = translator.translate(tree)
    names = tuple(translator.names)
    tolerant = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in TOLERANT
    function = _build(source, names, extra)
    if translator.plain:
        source = _Translator(text, extra, bare=True).translate(tree)
    return Formula(text, names, source, translator.plain, tolerant, function)


def _build(source: str, names: tuple[str, ...], extra: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
    arguments = ", ".join(f"n{index}" for index in range(len(names)))
    expression = source.format_map({name: f"n{index}" for index, name in enumerate(names)})
    namespace: dict[str, Any] = {
        "__builtins__": {},
        **NAMESPACE,
        **{f"fn_{name}": call for name, call in extra.items()},
    }
    code = compile(f"lambda {arguments}: {expression}", "<formula>", "eval")
    raw: Callable[..., Any] = eval(code, namespace)  # noqa: S307 - built from an allow-list above

    def compute(*values: Any) -> Any:
        try:
            result = raw(*values)
        except (ArithmeticError, AttributeError, TypeError, ValueError, IndexError, RecursionError):
            return None
        if isinstance(result, float) and not math.isfinite(result):
            return None
        return list(result) if isinstance(result, tuple) else result

    return compute
