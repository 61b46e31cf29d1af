from __future__ import annotations

import pytest

from decoders.spec.c_words import block, c_comment, c_hex, c_mask, c_member, c_number, c_span, c_symbol


def test_names() -> None:
    assert [c_symbol(text) for text in ("low battery", "9v", "°", "a-b.c")] == ["LOW_BATTERY", "V_9V", "OTHER", "A_B_C"]
    assert [c_member(name) for name in ("speed", "default", "9v", "chn_{k}")] == [
        "speed",
        "default_",
        "f_9v",
        "chn__k_",
    ]


def test_a_comment_cannot_end_itself() -> None:
    assert c_comment("a */ b\n/* c ??) \\") == "a * / b / * c ? ?) "


@pytest.mark.parametrize(
    ("value", "number", "hexadecimal"),
    [(0, "0u", "0x00u"), (-5, "(-5)", "(-5)"), (1 << 40, "1099511627776ull", "0x10000000000ull")],
)
def test_numbers(value: int, number: str, hexadecimal: str) -> None:
    assert (c_number(value), c_hex(value)) == (number, hexadecimal)


def test_masks_spans_and_blocks() -> None:
    assert (c_mask(0x1C), c_mask(1 << 63)) == ("0x1Cu", "0x8000000000000000ull")
    assert [c_span(key) for key in (5, "0x10..0x1F", "7", "_", True)] == [(5, 5), (16, 31), (7, 7), None, None]
    assert block("t", ["", "a"]) == "/* t */\na"
    assert block("t", [""]) == ""
