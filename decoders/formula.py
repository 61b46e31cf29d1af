"""Formulas: the small expression language of specs (conditions, counts, derived values).

A formula is Python's expression syntax cut down to an allow-list of `ast` nodes and functions. It is compiled once.
It knows only the names given to it; there are no attributes (the prefix `metrics.` is a way to write a name), no
subscripts, no calls but the functions below. A formula that cannot be computed (division by zero, overflow, a
missing input) gives None, never an exception. Its cost is capped by its size and by guards on powers and shifts.
"""

from __future__ import annotations

import ast
import difflib
import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.formula_functions import FUNCTIONS, MAX_BITS, NAMESPACE, TOLERANT, argument_counts
from decoders.window_calls import BODY_CALLS, CALLS, body_call_name, call_name

__all__ = ["FUNCTIONS", "NAMESPACE", "TOLERANT", "Formula", "FormulaError", "compile_formula", "list_formula"]

_QUOTED = re.compile("'[^']*'|\"[^\"]*\"")
MAX_TEXT = 500
MAX_NODES = 120

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
_MAY_BE_MISSING = (ast.Name, ast.Attribute, ast.Call, ast.IfExp, ast.BoolOp)


class FormulaError(ValueError):
    """The text is no formula. The message says what was found and what is allowed."""


@dataclass(slots=True, frozen=True)
class Formula:
    """A compiled formula.

    names: the names it reads, in order of first use. The two functions take their values in this order, None for one
    that is missing, and give the result or None. function: over values, where nothing that is computed from a missing
    value has one; raw_function: over raw values, where a comparison with a missing one by `==`, `!=` or `in` is done
    all the same, so that it is false that something equals what is not there. tolerant: it begins with a function that
    accepts missing values. parts: of a list, the formulas of its items.
    """

    text: str
    names: tuple[str, ...]
    tolerant: bool
    function: Callable[..., Any]
    raw_function: Callable[..., Any]
    parts: tuple[Formula, ...] = ()

    def evaluate(self, lookup: Callable[[str], Any]) -> Any:
        """The result over values."""
        return self.function(*[lookup(name) for name in self.names])

    def evaluate_raw(self, lookup: Callable[[str], Any]) -> Any:
        """The result over raw values."""
        return self.raw_function(*[lookup(name) for name in self.names])


def constant_of(node: ast.expr) -> int | str | None:
    """A text or whole number that stands in a formula; None for anything else."""
    match node:
        case ast.Constant(value=bool()):
            return None
        case ast.Constant(value=int() | str() as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(value))):
            return -value
    return None


class _Translator:
    """Turns an allowed `ast` into source, remembering the names.

    strict: a comparison with what is missing fails. guards: how many of these there are in what was translated.
    """

    def __init__(self, text: str, extra_functions: Collection[str], *, strict: bool) -> None:
        self.text = text
        self.names: dict[str, None] = {}
        self.extra_functions = extra_functions
        self.strict = strict
        self.guards = 0

    def fail(self, node: ast.AST, problem: str) -> FormulaError:
        column = getattr(node, "col_offset", 0) + 1
        return FormulaError(f"`{self.text}`, column {column}: {problem}")

    def translate(self, node: ast.expr) -> str:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                if isinstance(value, float) and not math.isfinite(value):
                    raise self.fail(node, "numbers must be finite")
                if isinstance(value, int) and value.bit_length() > MAX_BITS:
                    raise self.fail(node, "number too large")
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
        first, second = self.translate(left), self.translate(right)
        guard = _GUARDED.get(type(operator))
        return f"({first} {word} {second})" if guard is None else f"{guard}({first}, {second})"

    def _comparison(
        self, node: ast.expr, left: ast.expr, operators: list[ast.cmpop], comparators: list[ast.expr]
    ) -> str:
        sides = [left, *comparators]
        needed = needs_value(left, operators, comparators) if self.strict else ()
        parts = []
        for index, side in enumerate(sides):
            operator = operators[index - 1] if index else None
            if operator is not None:
                word = _COMPARE.get(type(operator))
                if word is None:
                    raise self.fail(node, f"comparison {type(operator).__name__} is not allowed")
                parts.append(word)
            part = self.translate(side)
            if self.strict and isinstance(side, ast.Tuple | ast.List) and _may_lack(side):
                self.guards += 1
                part = f"_listed({part})"
            self.guards += index in needed
            parts.append(f"_there({part})" if index in needed else part)
        return "(" + " ".join(parts) + ")"

    def _call(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> str:
        if (name in CALLS or name in BODY_CALLS) and name not in self.extra_functions:
            self.names.setdefault(self._call_name(node, name, arguments))
            return "{" + self._call_name(node, name, arguments) + "}"
        if name not in FUNCTIONS and name not in self.extra_functions:
            allowed = sorted({*FUNCTIONS, *self.extra_functions, *CALLS, *BODY_CALLS})
            near = difflib.get_close_matches(name, allowed, 1, 0.7)
            hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(allowed)}"
            raise self.fail(node, f"unknown function `{name}`; {hint}")
        if any(isinstance(argument, ast.Starred) for argument in arguments):
            raise self.fail(node, "`*` is not allowed here")
        fewest, most = argument_counts(name) if name in FUNCTIONS else (0, None)
        if len(arguments) < fewest or (most is not None and len(arguments) > most):
            several = f"{fewest} or more" if most is None else f"{fewest} to {most}"
            wanted = f"{fewest}" if fewest == most else several
            raise self.fail(node, f"`{name}` takes {wanted} arguments, not {len(arguments)}")
        return f"fn_{name}({', '.join(self.translate(argument) for argument in arguments)})"

    def _call_name(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> str:
        """The name that stands for a call of `starts`, `has`, `tokens`, `u8` ..."""
        argument = constant_of(arguments[0]) if len(arguments) == 1 else None
        try:
            if isinstance(argument, int) and name in BODY_CALLS:
                return body_call_name(name, argument)
            if isinstance(argument, str) and name in CALLS:
                return call_name(name, argument)
        except ValueError as error:
            raise self.fail(node, str(error)) from None
        if name in BODY_CALLS:
            raise self.fail(node, f"`{name}` takes a fixed place in the body, no formula: {name}(6), {name}(-1)")
        raise self.fail(node, f"`{name}` takes one text, such as {name}(',')")


def _one_line(text: str) -> str:
    """The text with line ends within quotes as `\\n`, and others as blanks: YAML has turned both into line ends."""
    if "\n" not in text and "\r" not in text:
        return text
    quoted = _QUOTED.sub(lambda found: found[0].replace("\n", "\\n").replace("\r", "\\r"), text)
    return quoted.replace("\n", " ").replace("\r", " ")


def compile_formula(
    text: str | int | float | bool, extra_functions: Mapping[str, Callable[..., Any]] | None = None
) -> Formula:
    """Compiles a formula. Raises FormulaError with the column and what is allowed."""
    text = _one_line(str(text).strip())
    if len(text) > MAX_TEXT:
        raise FormulaError(f"a formula has at most {MAX_TEXT} characters")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise FormulaError(f"`{text}` is no formula: {getattr(error, 'msg', error)}") from None
    if sum(1 for _ in ast.walk(tree)) > MAX_NODES:
        raise FormulaError(f"`{text[:40]}…`: a formula has at most {MAX_NODES} parts")
    extra = extra_functions or {}
    strict, loose = _Translator(text, extra, strict=True), _Translator(text, extra, strict=False)
    source = strict.translate(tree)
    names = tuple(strict.names)
    tolerant = isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id in TOLERANT
    function = _build(source, names, extra)
    raw_function = _build(loose.translate(tree), names, extra) if strict.guards else function
    return Formula(text, names, tolerant, function, raw_function)


def needs_value(left: ast.expr, operators: Sequence[ast.cmpop], comparators: Sequence[ast.expr]) -> set[int]:
    """Sides of a comparison, counted from 0, whose value may be missing though it must be there: those of `==` and
    `!=`, unless the other one is `None` itself, and what `in` looks for. (Other comparisons fail by themselves.)"""
    sides = [left, *comparators]
    needed: set[int] = set()
    for index, (operator, first, second) in enumerate(zip(operators, sides, comparators, strict=False)):
        if isinstance(operator, ast.In | ast.NotIn):
            needed.add(index)
        elif isinstance(operator, ast.Eq | ast.NotEq) and not (_is_none(first) or _is_none(second)):
            needed |= {index, index + 1}
    return {index for index in needed if isinstance(sides[index], _MAY_BE_MISSING)}


def _may_lack(node: ast.Tuple | ast.List) -> bool:
    """True for a list in a formula some of whose values may be missing."""
    return any(isinstance(item, _MAY_BE_MISSING) for item in node.elts)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


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


def list_formula(parts: Sequence[Formula]) -> Formula:
    """One formula that gives the list of what each part gives, None for a part that cannot be computed."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    places = [[names.index(name) for name in part.names] for part in parts]
    calls = [part.function for part in parts]

    def compute(*values: Any) -> list[Any]:
        return [call(*[values[at] for at in place]) for call, place in zip(calls, places, strict=True)]

    text = f"[{', '.join(part.text for part in parts)}]"
    return Formula(text, names, False, compute, compute, tuple(parts))
