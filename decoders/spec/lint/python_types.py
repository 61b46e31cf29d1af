"""The rule on registered Python types: each use is listed, since what it does stands outside of the spec."""

from __future__ import annotations

from collections.abc import Iterator

from decoders.custom import PREFIX
from decoders.errors import SpecProblem
from decoders.spec import model
from decoders.spec.lint.subject import Rule, Subject

__all__ = ["PYTHON_RULES"]

_FIX = "describe the bytes with rows where that is possible; keep it for what only code can read"


def _python_type(subject: Subject) -> Iterator[SpecProblem]:
    for placed in subject.rows:
        row = placed.row
        word, key = "", ""
        if isinstance(row, model.ValueRow):
            word, key = row.type, "type"
        elif isinstance(row, model.GroupRow):
            word, key = row.encoded or "", "encoded"
        if word.startswith(PREFIX):
            yield subject.problem("python_type", (*placed.path, key), f"`{word}` is code, not a spec", _FIX)


PYTHON_RULES = (Rule("python_type", "warning", "a spec needs no registered Python type", _FIX, _python_type),)
