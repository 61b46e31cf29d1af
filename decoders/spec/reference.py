"""Tables of the language reference that are made from the code, so that they cannot say anything else.

They stand in `product_specs/README.md` between `<!-- generated: name -->` and `<!-- end -->`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from decoders.checksum import checksum
from decoders.checksum import names as checksum_names
from decoders.errors import DecodeCode
from decoders.formula import FUNCTIONS
from decoders.spec.lint import AMBIGUOUS, RULES
from decoders.spec.page import markdown_table
from decoders.spec.schema import spec_schema
from decoders.spec.units import UNITS
from decoders.spec.vocabulary import VOCABULARY
from decoders.spec.words import TYPES
from decoders.types import ViolationCode
from decoders.window_calls import BODY_CALLS, CALLS

__all__ = ["missing_tables", "reference_tables", "with_tables"]

_SECTION = re.compile(r"(<!-- generated: ([a-z_]+) -->\n).*?(\n<!-- end -->)", re.DOTALL)
_CHECKED = b"123456789"  # what the CRC catalogue computes its check values of

_FUNCTIONS: Mapping[str, tuple[str, str]] = {
    "min": ("min(a, b, ...)", "the smallest"),
    "max": ("max(a, b, ...)", "the largest"),
    "abs": ("abs(x)", "without its sign"),
    "clamp": ("clamp(x, low, high)", "`x`, but not below `low` nor above `high`"),
    "round": ("round(x, digits)", "rounded to so many decimals; without `digits` a whole number"),
    "floor": ("floor(x)", "the next whole number below"),
    "ceil": ("ceil(x)", "the next whole number above"),
    "sqrt": ("sqrt(x)", "square root"),
    "log": ("log(x, base)", "logarithm; without `base` the natural one"),
    "exp": ("exp(x)", "e to the power of `x`"),
    "pow": ("pow(x, y)", "`x` to the power of `y`"),
    "int": ("int(x, base)", "whole number of a number or text; `base` 16 for hex text"),
    "text": ("text(x)", "as text"),
    "part": ("part(t, start, stop)", "characters `start` to before `stop`, from 0"),
    "strip": ("strip(t, characters)", "without these characters, or blanks, at both ends"),
    "strip_right": ("strip_right(t, characters)", "without these characters, or blanks, at the right"),
    "strip_left": ("strip_left(t, characters)", "without these characters at the left; the last one stays"),
    "unix": ("unix(t)", "seconds since 1970 of a time, or of a text such as `2026-03-01T12:00:00Z`"),
    "luhn": ("luhn(t)", "the check digit of a number, such as an IMEI without its last digit"),
    "unhex": ("unhex(t)", "ASCII characters of hex text"),
    "join": ("join(separator, a, b, ...)", "texts that are there, joined; no value when none is"),
    "first": ("first(a, b, ...)", "the first that is there"),
    "count": ("count(x)", "number of items or characters; 0 when it is not there"),
    "sign": ("sign(x)", "-1, 0 or 1"),
    "log10": ("log10(x)", "logarithm to the base 10"),
    "log2": ("log2(x)", "logarithm to the base 2"),
    "sin": ("sin(x)", "sine of an angle in radians"),
    "cos": ("cos(x)", "cosine of an angle in radians"),
    "atan2": ("atan2(y, x)", "angle of the point (x, y) in radians"),
    "degrees": ("degrees(x)", "radians as degrees"),
    "radians": ("radians(x)", "degrees as radians"),
    "hypot": ("hypot(x, y, ...)", "length of the vector"),
    "poly": ("poly(x, a, b, c, ...)", "a + b x + c x² ..."),
    "interpolate": (
        "interpolate(x, x1, y1, x2, y2, ...)",
        "y at x on the lines through these points; at the ends the last y",
    ),
    "ddmm": ("ddmm(x, side)", "2232.9806 as 22.549677 degrees; `side` S or W makes it negative"),
    "bit": ("bit(x, n)", "true when bit n is 1; bit 0 is the lowest"),
    "bits": ("bits(x, low, high)", "the integer in these bits"),
    "signed": ("signed(x, width)", "the lowest `width` bits as two's complement"),
    "hex": ("hex(x, digits)", "hexadecimal digits, small letters, at least so many"),
    "pad": ("pad(x, width)", "with zeros in front"),
    "split": ("split(t, separator, n)", "the n-th part of a text, from 0"),
    "upper": ("upper(t)", "in capital letters"),
    "lower": ("lower(t)", "in small letters"),
    "replace": ("replace(t, old, new)", "with `new` in place of each `old`"),
    "contains": ("contains(x, y)", "true when the text or list `x` holds `y`"),
    "sum": ("sum(a, b, ...)", "of all numbers, and of those in lists; missing ones are left out"),
    "mean": ("mean(a, b, ...)", "of all numbers, and of those in lists; missing ones are left out"),
    "number": ("number(t)", "a text of decimal digits as a number"),
    "given": ("given(x)", "true when there is a value"),
    "item": ("item(list, n, 'field')", "the n-th item of a list, from 0, -1 the last; with `field` a value of it"),
    "values": ("values(list, 'field')", "the values of a field in all items that have one"),
}
"""Function -> how it is called and what it gives."""


_MODELS: Mapping[str, str] = {
    "SpecFile": "The top of a spec",
    "FrameSpec": "`frame`, and each of `frames`",
    "EscapeSpec": "`escape` of a frame",
    "CsvSpec": "`csv` of a frame",
    "MessageSpec": "A message",
    "JsonSpec": "`json` of a message, in its long form",
    "Reply": "A reply",
    "DedupSpec": "`dedup`",
    "ValueRow": "A value: `{name, type, ...}`",
    "FormulaRow": "A value by formula: `{name, formula}`",
    "BitField": "Bits: `bits: {name: {at: 2-4, ...}}`",
    "BitPart": "Bits in a list: `bits: [{name, width}, {skip: 3}]`",
    "CheckSpec": "A check value by its parameters: `crc: {bits: 16, poly: 0x1021, ...}`",
    "SkipRow": "Bytes that mean nothing: `{skip: 2}`",
    "LiteralRow": "Bytes that must stand there: `{literal: ...}`",
    "UseRow": "Rows of a block: `{use: name}`",
    "GroupRow": "A group: `{group: name, fields}`",
    "ListRow": "A list: `{list: name, fields}`",
    "SwitchRow": "A switch: `{switch: name, cases}`",
    "ItemsRow": "A tag list among rows: `{items: {...}}`",
    "ItemsSpec": "`items`: a tag list",
    "UnknownTag": "`on_unknown: {into: name}`",
}
"""Model -> what it is in a file, in the order of the reference."""


def _keys() -> str:
    schema = spec_schema()
    parts = []
    for name, title in _MODELS.items():
        model = schema if name == "SpecFile" else schema["$defs"][name]
        rows = [
            [f"`{key}`", said.get("description", "").partition("\n")[0], _default(said)]
            for key, said in model["properties"].items()
        ]
        parts.append(f"#### {title}\n\n{markdown_table(('key', 'meaning', 'default'), rows)}")
    return "\n\n".join(parts)


def _default(said: Mapping[str, object]) -> str:
    value = said.get("default")
    if value in (None, "", False) or isinstance(value, list | dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _types() -> str:
    return markdown_table(("type", "reads"), [[f"`{words}`", meaning] for words, meaning in TYPES.items()])


def _checks() -> str:
    rows = []
    for name in checksum_names():
        found = checksum(name)
        same = (
            f"the same as `{found.name}`" if found.name != name else f"0x{found.function(_CHECKED):0{found.bits // 4}X}"
        )
        rows.append([f"`{name}`", found.bits, same])
    return markdown_table(("check value", "bits", "of the text `123456789`"), rows)


def _functions() -> str:
    rows = []
    for name in FUNCTIONS:
        call, meaning = _FUNCTIONS.get(name, (f"{name}(...)", _first_line(FUNCTIONS[name])))
        rows.append([f"`{call}`", meaning])
    rows += [[f"`{name}('text')`", f"in `if`, `count`, `switch`: {meaning}"] for name, meaning in CALLS.items()]
    for name, (size, big) in BODY_CALLS.items():
        order = "" if size == 1 else ", big-endian" if big else ", little-endian"
        where = f"in `if`, `count`, `switch`: {size} byte{'s' if size > 1 else ''} of the body at place n{order}"
        rows.append([f"`{name}(n)`", f"{where}; a negative place counts from the end"])
    return markdown_table(("function", "gives"), rows)


def _first_line(function: Callable[..., object]) -> str:
    return (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")


def _errors() -> str:
    return markdown_table(("error", "when"), [[f"`{code.value}`", code.meaning] for code in DecodeCode])


def _violations() -> str:
    return markdown_table(("flag", "when"), [[f"`{code.value}`", code.meaning] for code in ViolationCode])


def _lint() -> str:
    rules = [(rule.code, rule.severity, rule.title, rule.fix) for rule in RULES] + [AMBIGUOUS]
    return markdown_table(
        ("code", "severity", "what should hold", "fix"), [[f"`{rule[0]}`", *rule[1:]] for rule in rules]
    )


def _metrics() -> str:
    rows = [[f"`{word.name}`", word.quantity, " ".join(word.units)] for word in VOCABULARY.values()]
    return markdown_table(("metric", "meaning", "unit"), rows)


def _units() -> str:
    return markdown_table(("of", "units"), [[quantity, " ".join(units)] for quantity, units in UNITS.items()])


_TABLES: Mapping[str, Callable[[], str]] = {
    "keys": _keys,
    "types": _types,
    "checks": _checks,
    "functions": _functions,
    "errors": _errors,
    "violations": _violations,
    "lint": _lint,
    "metrics": _metrics,
    "units": _units,
}


def reference_tables() -> dict[str, str]:
    """Name -> table, in Markdown."""
    return {name: table() for name, table in _TABLES.items()}


def with_tables(text: str) -> str:
    """The text with each generated section renewed; a section of a name that is not known stays as it is."""
    tables = reference_tables()
    return _SECTION.sub(
        lambda found: f"{found[1]}\n{tables.get(found[2], '')}\n{found[3]}" if found[2] in tables else found[0], text
    )


def missing_tables(text: str) -> list[str]:
    """Tables that the text has no section for."""
    there = {found[1] for found in re.finditer(r"<!-- generated: ([a-z_]+) -->", text)}
    return [name for name in _TABLES if name not in there]
