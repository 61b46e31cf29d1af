"""Names of rows that are words of formulas: `from`, `class`, `in`, `None`. No formula can read such a row."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping

from decoders.spec import model
from decoders.spec.notes import Path
from decoders.spec.row_walk import all_rows

__all__ = ["rows_called_so", "unreadable"]

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_WORD = re.compile(r"[A-Za-z_]\w*")
_CONSTANTS = frozenset({"None", "True", "False"})
"""Words that are read as something else, and so are no error by themselves."""


def rows_called_so(spec: model.SpecFile) -> dict[str, Path]:
    """Rows and bits whose names are words of formulas, and where they are named."""
    found: dict[str, Path] = {}
    for place in all_rows(spec):
        for key in ("name", "list_", "group"):
            name = getattr(place.row, key, None)
            if isinstance(name, str) and keyword.iskeyword(name):
                found.setdefault(name, (*place.path, key.rstrip("_")))
        bits = getattr(place.row, "bits", None)
        if isinstance(bits, Mapping):
            for name in filter(keyword.iskeyword, bits):
                found.setdefault(name, (*place.path, "bits", name))
    return found


def unreadable(text: str, called: Mapping[str, Path], *, sound: bool) -> Iterator[tuple[str, Path]]:
    """Rows that a formula seems to read although their names are its words. sound: it was understood all the same."""
    words = set(_WORD.findall(_QUOTED.sub("", text)))
    for name, path in called.items():
        if name in words and (not sound or name in _CONSTANTS):
            yield name, path
