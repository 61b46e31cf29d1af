"""Ranges of texts: `3..5`, `01..16`, `A..F`, `P1..P4`."""

from __future__ import annotations

import re

__all__ = ["MAX_TEXTS", "texts_of"]

MAX_TEXTS = 4096
_ENDS = re.compile(r"(?P<front>.*?)(?P<low>[0-9]+)\.\.(?P<again>.*?)(?P<high>[0-9]+)", re.ASCII)
_LETTERS = re.compile(r"(?P<front>.*)(?P<low>[A-Za-z])\.\.(?P<again>.*)(?P<high>[A-Za-z])")
_SIGNED = re.compile(r"(?P<low>-[0-9]{1,9})\.\.(?P<high>-?[0-9]{1,9})", re.ASCII)
_DIGITS = 9


def texts_of(text: str) -> list[str]:
    """All texts of a range, which have one front and count up; with `01` as many digits as there. Raises ValueError
    with what it is instead."""
    signed = _SIGNED.fullmatch(text)
    if signed is not None:
        first, last = int(signed["low"]), int(signed["high"])
        if not 0 <= last - first < MAX_TEXTS:
            raise ValueError(f"a range without texts, or of more than {MAX_TEXTS}")
        return [str(number) for number in range(first, last + 1)]
    found = _ENDS.fullmatch(text)
    if found is not None and len(found["low"]) <= _DIGITS and len(found["high"]) <= _DIGITS:
        low, high = int(found["low"]), int(found["high"])
        width = len(found["low"]) if found["low"].startswith("0") else 1
        made = [str(number).rjust(width, "0") for number in range(low, min(high, low + MAX_TEXTS) + 1)]
    else:
        found = _LETTERS.fullmatch(text)
        if found is None or found["low"].isupper() is not found["high"].isupper():
            raise ValueError("no range of texts")
        low, high = ord(found["low"]), ord(found["high"])
        made = [chr(letter) for letter in range(low, high + 1)]
    if found["again"] not in ("", found["front"]):
        raise ValueError("no range: its ends begin in two ways")
    if low > high:
        raise ValueError("a range without texts: the lower one first")
    if len(made) > MAX_TEXTS:
        raise ValueError(f"a range of more than {MAX_TEXTS} texts")
    return [found["front"] + word for word in made]
