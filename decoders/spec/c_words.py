"""C words for `spec header`: names, numbers, masks and comments that every C99 compiler takes."""

from __future__ import annotations

import re
from typing import Any

from decoders.spec.node_words import spelled

__all__ = ["block", "c_comment", "c_hex", "c_mask", "c_member", "c_number", "c_span", "c_symbol"]

_WORDS_OF_C = """
auto break case char const continue default do double else enum extern float for goto if inline int long register
restrict return short signed sizeof static struct switch typedef union unsigned void volatile while _Bool
"""
_KEYWORDS = frozenset(_WORDS_OF_C.split())


def c_member(wanted: str) -> str:
    """A name that C allows for a member."""
    plain = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "_"
    if plain[0].isdigit():
        return f"f_{plain}"
    return f"{plain}_" if plain in _KEYWORDS else plain


def block(title: str, lines: list[str]) -> str:
    kept = [line for line in lines if line]
    return "\n".join([f"/* {c_comment(title)} */", *kept]) if kept else ""


def c_symbol(text: str) -> str:
    """Upper case letters, digits and underscores, beginning with a letter."""
    plain = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    return plain if plain and not plain[0].isdigit() else f"V_{plain}" if plain else "OTHER"


def c_comment(text: str) -> str:
    """Text that cannot end the comment, on one line; trigraphs and backslashes mean nothing either."""
    plain = " ".join(text.split()).replace("*/", "* /").replace("/*", "/ *").replace("??", "? ?")
    return plain.rstrip("\\")


def c_span(value: Any) -> tuple[int, int] | None:
    """The numbers that a key stands for; None for a text, or a range with too many names."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value, value
    low, dots, high = str(value).partition("..")
    try:
        return int(low, 0), int(high if dots else low, 0)
    except ValueError:
        return None


def c_number(value: int) -> str:
    if value < 0:
        return f"({value})" if value >= -(1 << 31) + 1 else f"({value}ll)"
    return f"{value}u" if value < 1 << 32 else f"{value}ull"


def c_hex(value: int) -> str:
    if value < 0:
        return c_number(value)
    return f"{spelled(value)}u" if value < 1 << 32 else f"{spelled(value)}ull"


def c_mask(value: int) -> str:
    return f"0x{value:X}u" if value < 1 << 32 else f"0x{value & (1 << 64) - 1:X}ull"
