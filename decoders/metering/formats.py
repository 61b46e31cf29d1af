"""The formats of self-describing records by name: what reads them, and which words a spec may call records by."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from decoders.metering import dlms, mbus
from decoders.metering.records import Parser, RecordWord

__all__ = ["FORMATS", "Format", "unit_by_name"]


@dataclass(slots=True, frozen=True)
class Format:
    """parse: the reader. known: what a word of a spec stands for, None for one that can name no record. spoken: the
    word as records have it. nearest: words to look for the nearest one among. examples: of words, for people."""

    parse: Parser
    known: Callable[[str], RecordWord | None]
    spoken: Callable[[str], str]
    nearest: Callable[[], list[str]]
    examples: str


_HEX_KEY = re.compile(r"(?:[0-9A-Fa-f]{2} ?)+")


def _mbus_word(word: str) -> str:
    return word.replace(" ", "").upper() if _HEX_KEY.fullmatch(word) else word


FORMATS: Mapping[str, Format] = {
    "mbus": Format(mbus.parse, mbus.known_word, _mbus_word, mbus.nearest_words, mbus.EXAMPLES),
    "dlms": Format(dlms.parse, dlms.known_word, dlms.spoken_word, dlms.nearest_words, dlms.EXAMPLES),
}


def unit_by_name(name: str, formats: Iterable[str]) -> str:
    """Unit of a record that stands under its readable name among the values, "" for none. `io.volume` is one within an
    object."""
    for given in formats:
        word = FORMATS[given].known(name.rpartition(".")[2])
        if word is not None:
            return word.unit
    return ""
