"""`when` of a message -> the tests that choose it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from decoders.formula import Formula, FormulaError, compile_formula
from decoders.layout import Bit, Value, fixed_size, raw_names, walk
from decoders.reference.codec import MAX_FIRST, Selector
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder
from decoders.spec.formula_names import NEXT_NAMES
from decoders.spec.frames import FramePlan
from decoders.spec.model_words import NAME
from decoders.spec.notes import Path
from decoders.spec.raw_scopes import kind_of
from decoders.spec.words import whole_number_hint
from decoders.window_calls import without_calls

_HEX = re.compile(r"([0-9A-Fa-f]{2} ?)+")


def selector_of(
    name: str, spec: model.MessageSpec, path: Path, converts: ConvertBuilder, frames: Sequence[FramePlan]
) -> Selector:
    """`when` of a message that comes in these frames."""
    text = any(plan.text for plan in frames)
    tests: list[tuple[str, tuple[tuple[int | str, int | str], ...]]] = []
    formulas: dict[str, Formula] = {}
    for word, given in spec.when.items():
        place = (*path, "when", word)
        values = given if isinstance(given, list) else [given]
        if word == "first" and text:
            starts = [str(value).encode()[:MAX_FIRST].hex() for value in values]
            tests.append((word, tuple((start, start) for start in starts)))
        elif word == "first":
            if not all(isinstance(value, str) and _HEX.fullmatch(value) for value in values):
                converts.report(place, f"`{given}` is no hex text", 'bytes in hex within quotes, such as "01 0A"')
                continue
            values = [str(value).replace(" ", "") for value in values]
            tests.append((word, tuple((str(value).lower(), str(value).lower()) for value in values)))
        else:
            _check_integers(word, values, place, converts, frames)
            spans = [span for value in values for span in converts.spans(value, place, text=text)]
            tests.append((word, tuple(spans)))
            formula = None if NAME.fullmatch(word) and word not in NEXT_NAMES else _formula(word)
            if formula is not None:
                formulas[word] = formula
    return Selector(name, tuple(tests), formulas)


def _check_integers(
    word: str, values: Sequence[int | str], path: Path, converts: ConvertBuilder, frames: Sequence[FramePlan]
) -> None:
    """Texts and too large numbers are never the value of an integer of the header."""
    rows = (*(plan.header for plan in frames), *(plan.trailer for plan in frames))
    nodes = [part for nodes in rows for node in walk(nodes) if isinstance(node, Value) for part in node.parts]
    givers = [part for part in nodes if part.name == word]
    if word not in ("port", "length") and not (givers and all(kind_of(part) == "integer" for part in givers)):
        return
    sizes = [part.width if isinstance(part, Bit) else 8 * (fixed_size((part,)) or 8) for part in givers]
    for value in values:
        span = value if isinstance(value, int) or ".." in value else _number(value)
        if span is None:
            converts.report(path, f"`{word}` is an integer, never '{value}'", whole_number_hint(str(value)))
        elif isinstance(span, int) and sizes and span >= 1 << max(sizes):
            converts.report(path, f"`{word}` is never {value}", f"it is at most 0x{(1 << max(sizes)) - 1:X}")


def _number(text: str) -> int | None:
    try:
        return int(text, 0)
    except ValueError:
        return None


def selectable(name: str, plan: FramePlan) -> bool:
    """True for a key of `when` that frames of this kind can be asked for."""
    known = raw_names(plan.header) | raw_names(plan.trailer) | {"port", "length"}
    if name == "first" or name in known:
        return True
    formula = _formula(name)
    return formula is not None and set(without_calls(formula.names)) <= known | NEXT_NAMES


def _formula(text: str) -> Formula | None:
    """A key of `when` that is no name but a formula, such as `u8(0) & 15`."""
    try:
        return compile_formula(text)
    except FormulaError:
        return None
