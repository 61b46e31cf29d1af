"""`when` of a message -> the tests that choose it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from decoders.formula import Formula, FormulaError, compile_formula
from decoders.layout import Bit, Value, fixed_size, raw_names, walk
from decoders.reference.codec import MAX_FIRST, Selector
from decoders.solve import Unknown, solve
from decoders.spec import model
from decoders.spec.conversions import ConvertBuilder
from decoders.spec.formula_names import NEXT_NAMES
from decoders.spec.frames import FramePlan
from decoders.spec.model_words import NAME
from decoders.spec.notes import Path
from decoders.spec.raw_scopes import kind_of
from decoders.spec.words import whole_number_hint
from decoders.window_calls import body_called, without_calls

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


def known_bytes(selector: Selector) -> dict[int, int]:
    """Bytes of the body that make it this message, by place; negative ones count from the end: those of `first`, of
    `u8(n)` and of other tests that bytes which are not read yet can be chosen for."""
    found: dict[int, int] = {}
    settled: list[tuple[Formula, int | str]] = []
    for name, spans in selector.tests:
        wanted = spans[0][0] if spans else None
        if name == "first" and wanted is not None:
            found |= dict(enumerate(bytes.fromhex(str(wanted))))
        elif name in selector.formulas and wanted is not None:
            settled.append((selector.formulas[name], wanted))
            found |= _bytes_for(settled, found)
    return found


def _bytes_for(wanted: Sequence[tuple[Formula, int | str]], known: Mapping[int, int]) -> dict[int, int]:
    """Bytes with which the last of these formulas over bytes of the body gives what is wanted, and those before it that
    read the same bytes do as well; none where it reads anything else."""
    *before, (formula, target) = wanted
    places = {name: _places_of(name) for name in formula.names}
    if not all(places.values()):
        return {}
    unknown = []
    for name, each in places.items():
        now = int.from_bytes(bytes(known.get(at, 0) for at in each), "big")
        alike = [(other, value) for other, value in before if other.names == (name,)]

        def fits(number: Any, alike: Sequence[tuple[Formula, int | str]] = alike) -> bool:
            return all(other.raw_function(number) == value for other, value in alike)

        unknown.append(Unknown(name, now, (1 << 8 * len(each)) - 1, fits=fits))
    chosen = solve(formula, lambda _name: None, unknown, bool(target) if _is_test(formula) else target, raw=True)
    found: dict[int, int] = {}
    for name, number in (chosen or {}).items():
        found |= zip(places[name], int(number).to_bytes(len(places[name]), "big"), strict=True)
    return found


def _places_of(name: str) -> list[int]:
    """Where the bytes of an integer of the body stand, the highest one first; [] for other names."""
    called = body_called(name)
    if called is None:
        return [0] if name == "next_u8" else [0, 1] if name == "next_u16" else []
    size, big, place = called
    return [place + at for at in (range(size) if big else reversed(range(size)))]


def _is_test(formula: Formula) -> bool:
    return isinstance(formula.raw_function(*[0 for _ in formula.names]), bool)


def _formula(text: str) -> Formula | None:
    """A key of `when` that is no name but a formula, such as `u8(0) & 15`."""
    try:
        return compile_formula(text)
    except FormulaError:
        return None
