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

from decoders.formula_functions import FUNCTIONS, MAX_BITS, NAMESPACE, TOLERANT
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
_PLAIN_OPERATORS = (ast.Add, ast.Sub, ast.BitAnd, ast.BitOr, ast.BitXor)
_PLAIN_WITH_CONSTANT = (ast.FloorDiv, ast.Mod, ast.Mult, ast.Div, ast.RShift)


class FormulaError(ValueError):
    """The text is no formula. The message says what was found and what is allowed."""


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
                if isinstance(value, int) and value.bit_length() > MAX_BITS:
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
        if (name in CALLS or name in BODY_CALLS) and name not in self.extra_functions:
            self.plain = False
            self.names.setdefault(self._call_name(node, name, arguments))
            return "{" + self._call_name(node, name, arguments) + "}"
        if name not in FUNCTIONS and name not in self.extra_functions:
            allowed = ", ".join(sorted({*FUNCTIONS, *self.extra_functions, *CALLS}))
            near = difflib.get_close_matches(name, [*FUNCTIONS, *self.extra_functions], 1, 0.7)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise self.fail(node, f"unknown function `{name}`; {hint}there are {allowed}")
        self.plain = False
        if any(isinstance(argument, ast.Starred) for argument in arguments):
            raise self.fail(node, "`*` is not allowed here")
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
            raise self.fail(node, f"`{name}` takes a place in the body, such as {name}(6) or {name}(-1)")
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


def list_formula(parts: Sequence[Formula]) -> Formula:
    """One formula that gives the list of what each part gives, None for a part that cannot be computed."""
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    places = [[names.index(name) for name in part.names] for part in parts]
    calls = [part.function for part in parts]

    def compute(*values: Any) -> list[Any]:
        return [call(*[values[at] for at in place]) for call, place in zip(calls, places, strict=True)]

    text = f"[{', '.join(part.text for part in parts)}]"
    source = "(" + "".join(f"{part.source}, " for part in parts) + ")"
    return Formula(text, names, source, plain=False, tolerant=False, function=compute)
