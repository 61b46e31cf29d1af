"""Problems of formulas, each at the key of the row that holds the formula."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

from decoders.formula import Formula
from decoders.layout import Node
from decoders.spec.notes import Path, Report
from decoders.spec.origins import Origins
from decoders.spec.problems import nearest

__all__ = ["Faults", "FormulaPlaces", "compared", "operator_hint"]

_MOST_LISTED = 12
_OPERATORS = (
    (re.compile(r"&&"), "`and` stands for &&"),
    (re.compile(r"\|\|"), "`or` stands for ||"),
    (re.compile(r"\?.*:"), "`a if condition else b` stands for condition ? a : b"),
    (re.compile(r"!(?!=)"), "`not` stands for !"),
    (re.compile(r"(?<![=<>!])=(?!=)"), "`==` compares"),
    (re.compile(r"\[.*\]|[A-Za-z_]\w*\."), "names, numbers, and functions such as round(x, 1); nothing behind a dot"),
)


@dataclass(slots=True)
class FormulaPlaces:
    """Where formulas stand in the spec. Formulas are told apart by identity: one text may stand in several places."""

    known: dict[int, tuple[Formula, Path]] = field(default_factory=dict)

    def keep(self, formula: Formula, path: Path) -> Formula:
        self.known[id(formula)] = formula, path
        return formula

    def of(self, formula: Formula, default: Path) -> Path:
        """default: for a formula that no row says, such as the condition that `optional` stands for."""
        return self.known[id(formula)][1] if id(formula) in self.known else default


@dataclass(slots=True)
class Faults:
    """Reports what is wrong with the formulas of one message. path: of the message."""

    message: str
    path: Path
    report: Report
    places: FormulaPlaces
    origins: Origins

    def add(self, formula: Formula, what: str, hint: str) -> None:
        whole = what.startswith(f"`{formula.text}` ")  # names it already
        message = what if whole else f"`{formula.text}`: {what}"
        self.report(self.places.of(formula, self.path), message, hint)

    def at(self, node: Node, key: str, what: str, hint: str) -> None:
        """A problem of a key of the row that a node is from."""
        origin = self.origins.of(node)
        self.report(self.path if origin is None else (*origin.path, key), what, hint)

    def no_field(self, formula: Formula, name: str, fields: Collection[str], special: Collection[str]) -> None:
        """fields, special: what may be read here."""
        close = nearest(name, sorted({*fields, *special}))
        few = 0 < len(fields) <= _MOST_LISTED
        others = f"there are {', '.join(fields)}" if few else "use the name of a field of this message"
        hint = f"did you mean `{close}`?" if close else others
        self.add(formula, f"there is no field `{name}` in `{self.message}`", hint)


def operator_hint(text: str) -> str:
    """What to write for an operator of other languages that stands in a text which is no formula; "" for none."""
    return next((hint for pattern, hint in _OPERATORS if pattern.search(text)), "")


def compared(formula: Formula) -> Iterator[tuple[str, Any]]:
    """Names that the formula compares with constants, and these: `mode == 2`, `kind in ('A', 'B')`."""
    if "=" not in formula.text and " in " not in formula.text:
        return
    for node in ast.walk(ast.parse(formula.text, mode="eval")):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if not isinstance(operator, ast.Eq | ast.NotEq | ast.In | ast.NotIn):
                continue
            for name, other in ((left, right), (right, left)):
                words = other.elts if isinstance(other, ast.Tuple | ast.List) else [other]
                if isinstance(name, ast.Name):
                    yield from ((name.id, word.value) for word in words if isinstance(word, ast.Constant))
