"""Formulas as inline code.

A formula's function takes any values and gives None for what cannot be computed. Where the kinds of its inputs are
known, most formulas cannot fail; they stand in the code as an expression. What can fail stands in a `try`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from decoders.formula import Formula, constant_of, needs_value
from decoders.formula_functions import GIVE_TEXT
from decoders.fused.scope import Known, Structure
from decoders.fused.writer import Writer
from decoders.window_calls import (
    BODY_CALLS,
    CALLS,
    body_call_name,
    body_called,
    body_source,
    call_name,
    call_source,
    called,
)

FAILED = (ArithmeticError, AttributeError, TypeError, ValueError, IndexError, RecursionError)
"""What a formula's function takes for "cannot be computed"."""

_WHOLE = frozenset({"int", "bool"})
_NUMBERS = frozenset({"int", "bool", "float"})
_TEXTS = frozenset({"text", "hex"})
_EMPTY = frozenset({"text", "hex", "list", "none"})  # kinds that are false only when `join` has nothing to join
_FLAT: Mapping[type[ast.operator], str] = {ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^"}
_SUM: Mapping[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-"}
_INTEGERS_JOINED: Mapping[type[ast.operator], str] = {**_FLAT, **_SUM}
_BY_CONSTANT: Mapping[type[ast.operator], str] = {ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Mult: "*"}
_ORDER: Mapping[type[ast.cmpop], str] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_LARGE = 1 << 64  # constants stay below it, and
_MAX_DEPTH = 12  # operations nest up to this, so that no integer grows beyond what a float holds


class _Opaque(Exception):
    """The formula has something that only its function computes."""


class _Inline:
    """Translates a formula, knowing its operands. strict: as of `Formula.function`, else as of `raw_function`. `fails`:
    some part of it may raise one of FAILED."""

    def __init__(self, operands: Mapping[str, Known], *, strict: bool) -> None:
        self.operands = operands
        self.strict = strict
        self.fails = False

    def whole(self, node: ast.expr) -> Known:
        """A formula, or one of the tests that make it up with `and`: there a missing value may be said without
        failing, since nothing more is worked out behind it."""
        match node:
            case ast.BoolOp(op=ast.And(), values=values):
                parts = [self.whole(value) for value in values]
                return _either(f"({' and '.join(part.source for part in parts)})", parts)
            case ast.Compare(left=left, ops=[ast.Eq() | ast.NotEq() as operator], comparators=[right]):
                sides = [self.visit(left, 1), self.visit(right, 1)]
                needed = [sides[index] for index in self._missing(node, sides)]
                if len(needed) == 1 and needed[0].source.isidentifier():
                    test = f"{sides[0].source} {_ORDER[type(operator)]} {sides[1].source}"
                    return Known(f"({test} if {needed[0].source} is not None else None)", False, "bool", 1)
        return self.visit(node)

    def _missing(self, node: ast.Compare, sides: list[Known]) -> list[int]:
        """Sides of a comparison, counted from 0, that must be there and may not."""
        wanted = needs_value(node.left, node.ops, node.comparators) if self.strict else ()
        return [index for index in sorted(wanted) if not sides[index].sure]

    def visit(self, node: ast.expr, depth: int = 0) -> Known:
        if depth > _MAX_DEPTH:
            raise _Opaque
        match node:
            case ast.Constant(value=value):
                return _constant(value)
            case ast.Name(id=name) | ast.Attribute(attr=name):
                return self.operands[name]
            case ast.BinOp():
                return self._binary(node, depth + 1)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Known(f"(not {self.visit(operand, depth + 1).source})", kind="bool", most=1)
            case ast.BoolOp(op=operator, values=values):
                parts = [self.visit(value, depth + 1) for value in values]
                word = " and " if isinstance(operator, ast.And) else " or "
                return _either(f"({word.join(part.source for part in parts)})", parts)
            case ast.Compare():
                return self._comparison(node, depth + 1)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                parts = [self.visit(body, depth + 1), self.visit(orelse, depth + 1)]
                source = f"({parts[0].source} if {self.visit(test, depth + 1).source} else {parts[1].source})"
                return _either(source, parts)
            case ast.Call(func=ast.Name(id=name), args=[argument]) if name in CALLS:
                return self.operands[call_name(name, str(constant_of(argument)))]
            case ast.Call(func=ast.Name(id=name), args=[argument]) if name in BODY_CALLS:
                return self.operands[body_call_name(name, int(constant_of(argument) or 0))]
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._call(name, [self.visit(argument, depth + 1) for argument in arguments])
        raise _Opaque

    def _binary(self, node: ast.BinOp, depth: int) -> Known:
        left, right, kind = self.visit(node.left, depth), self.visit(node.right, depth), type(node.op)
        if kind is ast.Add and left.sure and right.sure and {left.kind, right.kind} <= _TEXTS:
            return Known(f"({left.source} + {right.source})", kind="text")
        if not (left.sure and right.sure and {left.kind, right.kind} <= _NUMBERS):
            raise _Opaque
        whole = {left.kind, right.kind} <= _WHOLE
        if kind in _FLAT and whole:
            both = "bool" if left.kind == right.kind == "bool" else "int"
            most = _most_of_bits(kind, left.most, right.most)
            return Known(f"({left.source} {_FLAT[kind]} {right.source})", kind=both, most=most)
        if kind in _SUM:
            most = (
                left.most + right.most if kind is ast.Add and left.most is not None and right.most is not None else None
            )
            source = f"({left.source} {_SUM[kind]} {right.source})"
            return Known(source, True, "int" if whole else "float", most, whole)
        by = node.right.value if isinstance(node.right, ast.Constant) else None
        if not whole or not isinstance(by, int) or not 0 < by < _LARGE:
            raise _Opaque
        if kind is ast.RShift:
            return Known(f"({left.source} >> {by})", kind="int", most=left.most)
        if kind not in _BY_CONSTANT:
            raise _Opaque
        source = f"({left.source} {_BY_CONSTANT[kind]} {by})"
        if kind is ast.Div:
            return Known(source, kind="float")
        if kind is ast.Mult:
            return Known(source, kind="int", most=None if left.most is None else left.most * by)
        return Known(source, kind="int", most=by - 1 if kind is ast.Mod else left.most)

    def _comparison(self, node: ast.Compare, depth: int) -> Known:
        letters = self._has_letters(node)
        if letters is not None:
            return letters
        parts = [self.visit(part, depth) for part in (node.left, *node.comparators)]
        words = [_ORDER.get(type(operator)) for operator in node.ops]
        if None in words:
            raise _Opaque
        if not all(part.sure and part.kind in _NUMBERS for part in parts):
            self.fails = self.fails or any(word not in ("==", "!=") for word in words)
        sources = [part.source for part in parts]
        for index in self._missing(node, parts):
            self.fails = True
            sources[index] = f"_there({sources[index]})"
        text = sources[0] + "".join(f" {word} {source}" for word, source in zip(words, sources[1:], strict=True))
        return Known(f"({text})", kind="bool", most=1)

    def _has_letters(self, node: ast.Compare) -> Known | None:
        """`max(x) > '9'` of hexadecimal digits asks for the letters among them."""
        match node:
            case ast.Compare(
                left=ast.Call(func=ast.Name(id="max"), args=[ast.Name(id=name)]),
                ops=[ast.Gt()],
                comparators=[ast.Constant(value="9")],
            ) if self.operands[name].kind == "hex" and self.operands[name].sure:
                self.fails = True  # no digits have no greatest one
                text = self.operands[name].source
                return Known(f"(not {text}.isdigit() if {text} else fn_max({text}))", kind="bool", most=1)
        return None

    def _call(self, name: str, arguments: list[Known]) -> Known:
        sources = ", ".join(argument.source for argument in arguments)
        source = f"fn_{name}({sources})"
        if name == "join" and arguments and arguments[0].sure and arguments[0].kind in _TEXTS and not self.fails:
            mark, *parts = arguments  # a list may have too many words, or the mark be too long
            self.fails = mark.source[0] not in "'\"" or any(part.kind in ("list", "any") for part in parts)
            return _joined(source, arguments)
        if name == "first" and arguments and not self.fails:
            return _first_of(arguments)
        if (
            name in ("min", "max")
            and len(arguments) == 2
            and all(part.sure and part.kind == "int" for part in arguments)
        ):
            return _extreme(name, *arguments)
        if name == "count":
            return Known(source, kind="int")
        self.fails = True
        return Known(source, True, "text") if name in GIVE_TEXT else Known(source, False, finite=False)


def _joined(call: str, arguments: list[Known]) -> Known:
    """`join`, called only when there may be something to join."""
    parts = [part for part in arguments[1:] if part.kind != "none"]
    if any(part.sure and part.kind not in _EMPTY for part in parts):
        return Known(call, False, "text")
    tests = [part.source if part.kind in _EMPTY else f"{part.source} is not None" for part in parts]
    if all(part.kind in _TEXTS for part in parts):
        call = f"{arguments[0].source}.join(filter(None, ({''.join(f'{part.source}, ' for part in parts)})))"
    return Known(f"({call} if {' or '.join(tests)} else None)" if tests else "None", False, "text")


def _first_of(arguments: list[Known]) -> Known:
    chosen = arguments[-1].source
    for part in reversed(arguments[:-1]):
        chosen = part.source if part.sure else f"({part.source} if {part.source} is not None else {chosen})"
    known = _either(chosen, arguments)
    known.sure = any(part.sure for part in arguments)
    return known


def _extreme(name: str, one: Known, other: Known) -> Known:
    """The lesser or greater of two integers."""
    sign = "<" if name == "min" else ">"
    source = f"({other.source} if {other.source} {sign} {one.source} else {one.source})"
    mosts = [part.most for part in (one, other) if part.most is not None]
    if name == "min":
        most = min(mosts) if len(mosts) == 2 else None
    else:
        most = max(mosts) if len(mosts) == 2 else _LARGE if mosts else None
    return Known(source, kind="int", most=most)


def _constant(value: object) -> Known:
    if value is None:
        return Known("None", False, "none")
    if isinstance(value, bool):
        return Known(repr(value), kind="bool", most=int(value))
    if isinstance(value, int):
        if abs(value) >= _LARGE:
            raise _Opaque
        return Known(repr(value), kind="int", most=value if value >= 0 else None)
    return Known(repr(value), kind="float" if isinstance(value, float) else "text")


def _either(source: str, parts: list[Known]) -> Known:
    """What is known of an expression that gives one of its parts."""
    kinds = {part.kind for part in parts} - {"none"}
    kind = kinds.pop() if len(kinds) == 1 else "text" if kinds <= _TEXTS else "any"
    mosts = [part.most for part in parts]
    most = None if None in mosts else max(value or 0 for value in mosts)
    return Known(source, all(part.sure for part in parts), kind, most, all(part.finite for part in parts))


def _most_of_bits(kind: type[ast.operator], left: int | None, right: int | None) -> int | None:
    if kind is ast.BitAnd:
        return min((value for value in (left, right) if value is not None), default=None)
    if left is None or right is None:
        return None
    return (1 << max(left.bit_length(), right.bit_length())) - 1


def inlined(writer: Writer, formula: Formula, operands: Mapping[str, Known], *, raw: bool = False) -> Known:
    """The formula as an expression, with what it needs written before. raw: it is over raw values."""
    visitor = _Inline(operands, strict=not raw)
    try:
        known = visitor.whole(ast.parse(formula.text, mode="eval").body)
    except _Opaque:
        arguments = ", ".join(operands[name].source for name in formula.names)
        return Known(f"{writer.out.bind(formula.raw_function if raw else formula.function)}({arguments})", False)
    if not visitor.fails and known.finite:
        return known
    out, variable = writer.out, writer.out.fresh("t")
    if visitor.fails:
        out.emit(f"try: {variable} = {known.source}")
        out.emit(f"except FAILED: {variable} = None")
    else:
        out.emit(f"{variable} = {known.source}")
    if not known.finite:
        out.emit(f"if {variable}.__class__ is float and {variable} - {variable} != 0: {variable} = None")
    return Known(variable, False, known.kind)


def over_raw(writer: Writer, formula: Formula, scope: Structure) -> Known:
    """A formula over raw values, as an expression."""
    operands: dict[str, Known] = {}
    for name in formula.names:
        position, end = writer.position, writer.place.end
        if name == "remaining":
            operands[name] = Known(writer.left, kind="int", most=1 << 32)
        elif name == "next_u8":
            source = f"b[{position}]" if writer.place.checked else f"(b[{position}] if {position} < {end} else None)"
            operands[name] = Known(source, bool(writer.place.checked), "int", 255)
        elif name == "next_u16":
            second = writer.at(1)
            source = f"(b[{position}] << 8 | b[{second}] if {second} < {end} else None)"
            operands[name] = Known(source, False, "int", 0xFFFF)
        elif body_called(name) is not None:
            operands[name] = _of_body(writer, name)
        elif called(name) is not None:
            kind = "int" if name.startswith("_tokens") else "bool"
            most = 1 << 32 if kind == "int" else 1
            operands[name] = Known(call_source(name, "b", position, end), kind=kind, most=most)
        elif name == "length" and scope.find_raw(name) is None:  # else a row is called so
            operands[name] = Known("body_length", kind="int", most=1 << 32)
        elif name == "port" and scope.find_raw(name) is None:  # else a row is called so
            operands[name] = Known("s.port", kind="int")
        else:
            operands[name] = scope.find_raw(name) or Known("None", False, "none")
    return inlined(writer, formula, operands, raw=True)


def _of_body(writer: Writer, name: str) -> Known:
    """An integer at a place of the body."""
    found = body_called(name)
    if not writer.body or found is None:  # the header is read before there is a body
        return Known("None", False, "none")
    source, sure = body_source(name, writer.frame, writer.body, "body_length", writer.body_size)
    return Known(source, sure, "int", (1 << 8 * found[0]) - 1)


def over_values(writer: Writer, formula: Formula, scope: Structure, given: Mapping[str, Known] | None = None) -> Known:
    """A formula over values, as an expression. given: some of the values it reads."""
    operands = {name: scope.find_value(name) or Known("None", False, "none") for name in formula.names}
    operands |= {name: known for name, known in (given or {}).items() if name in operands}
    return inlined(writer, formula, operands)


def over_integers(formula: Formula, sources: Mapping[str, str]) -> str:
    """The formula as an expression where it does no more than put integers together: on anything else than these it
    gives what the formula's function gives, or raises TypeError. "" for all other formulas."""

    def text(node: ast.expr) -> str:
        match node:
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                return repr(value)
            case ast.Name(id=name):
                return sources[name]
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _INTEGERS_JOINED:
                return f"({text(left)} {_INTEGERS_JOINED[type(operator)]} {text(right)})"
        raise _Opaque

    try:
        return text(ast.parse(formula.text, mode="eval").body)
    except _Opaque:
        return ""


def bytes_left(formula: Formula) -> int:
    """Bytes that are certainly left where the formula over raw values is true."""
    return _least_left(ast.parse(formula.text, mode="eval").body)


def _least_left(node: ast.expr) -> int:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            return max(_least_left(value) for value in values)
        case ast.Compare(left=ast.Name(id="remaining"), ops=[operator], comparators=[ast.Constant(value=int(least))]):
            if isinstance(operator, ast.GtE | ast.Eq):
                return least
            return least + 1 if isinstance(operator, ast.Gt) else 0
    return 0
