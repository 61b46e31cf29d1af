"""Names that are built from raw integers: `chn_{k}`, `temperature_{channel - 2}`.

Below the layout: a spec's name is parsed once, what of it is known then (`key` of a tag) is put in, and the rest is
worked out by both codecs while they read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from decoders.formula import Formula, FormulaError, compile_formula

_PART = re.compile(r"\{([^{}]*)\}")
_WORD = re.compile(r"[A-Za-z0-9]{1,32}")
_KEY = re.compile(r"[A-Za-z0-9_]{1,32}")
_MAKES_TEXT = re.compile(r"""['"]|[A-Za-z0-9_]\s*\(""")  # a text or a function
_LARGEST = 1 << 64
MAX_PARTS = 4
"""Formulas in a name."""


@dataclass(slots=True, frozen=True)
class Naming:
    """A name of fixed texts and of formulas over raw values."""

    text: str
    parts: tuple[str | Formula, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Raw values that it reads."""
        return tuple(name for part in self.parts if isinstance(part, Formula) for name in part.names)

    def render(self, evaluate: Callable[[Formula], Any]) -> str | None:
        """The name, or None where some part of it is no number."""
        words: list[str] = []
        for part in self.parts:
            word = part if isinstance(part, str) else name_part(evaluate(part))
            if word is None:
                return None
            words.append(word)
        return "".join(words)


def name_part(value: Any) -> str | None:
    """What a raw value becomes in a name: a whole number from 0 on, or a short text of letters and digits; None for
    everything else."""
    if isinstance(value, int):
        return str(int(value)) if 0 <= value < _LARGEST else None
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


def parse_name(text: str) -> Naming | None:
    """None for a plain name. Raises FormulaError."""
    if "{" not in text:
        return None
    pieces = _PART.split(text)
    if len(pieces) > 2 * MAX_PARTS + 1:
        raise FormulaError(f"`{text}`: a name is built from at most {MAX_PARTS} numbers")
    parts = [compile_formula(piece) if index % 2 else piece for index, piece in enumerate(pieces)]
    return Naming(text, tuple(part for part in parts if part != ""))


def resolved(text: str, constants: Mapping[str, int | str]) -> str:
    """The name with those parts put in that read nothing but `constants`. A part that cannot be a part of a name is
    left as it is."""

    def word(found: re.Match[str]) -> str:
        try:
            formula = compile_formula(found[1])
        except FormulaError:
            return found[0]
        if not formula.names or not constants.keys() >= set(formula.names):
            return found[0]
        value = formula.evaluate(constants.get)
        return value if isinstance(value, str) and _KEY.fullmatch(value) else name_part(value) or found[0]

    return _PART.sub(word, text) if "{" in text else text


def reads(text: str, name: str) -> bool:
    """Whether a computed name may read this raw value."""
    return any(re.search(rf"\b{name}\b", part) for part in _PART.findall(text))


def pattern_of(text: str, others: Iterable[str] = (), *, digits: bool = False) -> re.Pattern[str]:
    """What all names that a computed name may become look like. others: plain names, which it never becomes. digits: it
    is built from integers only."""
    first, *pieces = _PART.split(text)
    word = "[0-9]" if digits else "[A-Za-z0-9]"
    pattern = re.escape(first)
    literals = [re.escape(piece) for piece in pieces[1::2]]
    for literal in literals[:-1]:  # the first place where the literal stands is as good as any other: no way back
        pattern += f"(?>{word}+?{literal})"
    found = re.compile(pattern + "".join(f"{word}+{literal}" for literal in literals[-1:]))
    never = [re.escape(name) for name in others if "{" not in name and found.fullmatch(name)]
    return re.compile(rf"(?!(?:{'|'.join(never)})\Z){found.pattern}") if never else found


def makes_digits(text: str, whole: Callable[[str], bool]) -> bool:
    """True for a computed name whose parts can be nothing but digits. whole: whether a raw value is an integer."""
    try:
        naming = parse_name(text)
    except FormulaError:
        return False
    formulas = [part for part in naming.parts if isinstance(part, Formula)] if naming is not None else []
    return all(not _MAKES_TEXT.search(part.text) and all(map(whole, part.names)) for part in formulas)
