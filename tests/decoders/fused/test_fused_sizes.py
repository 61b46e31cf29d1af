"""Sizes and counts: nothing is checked that cannot be wrong, everything else is."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


@pytest.mark.parametrize(
    ("size", "body", "text"),
    [
        ("prefix: u8", "02 6869 ff", "hi"),
        ("prefix: u16le", "0100 68 ff", "h"),
        ("bytes: n - 1", "03 6869 ff", "hi"),
        ("bytes: n // 2", "05 6869 ff", "hi"),
        ("bytes: 2", "6869 ff", "hi"),
    ],
)
def test_texts_of_any_size(size: str, body: str, text: str) -> None:
    first = "{name: n, type: u8, hidden: true}, " if "n" in size.split()[1] else ""
    compiled = rows(f"[{first}{{name: a, type: text, {size}}}, {{name: b, type: u8}}]")
    data = bytes.fromhex(body)
    assert read(compiled, data) == {"a": text, "b": 255}
    with pytest.raises(DecodeError):
        read(compiled, data[:-1])
    with pytest.raises(DecodeError):
        read(compiled, data + b"\0")


def test_a_size_must_be_a_whole_number_that_is_not_negative() -> None:
    compiled = rows("[{name: n, type: u8}, {name: a, type: hex, bytes: n - 4}]")
    assert "< 0: raise Refused" in source(compiled)
    assert read(compiled, "05aa") == {"n": 5, "a": "aa"}
    with pytest.raises(DecodeError):
        read(compiled, "03aa")
    with pytest.raises(DecodeError):
        read(rows("[{name: n, type: u8}, {name: a, type: hex, bytes: n > 0}]"), "01aa")


def test_counts_are_checked_where_they_can_be_too_large() -> None:
    many = "[{name: n, type: u8}, {list: l, count: n, max: %d, fields: [{name: a, type: u8}]}]"
    assert "> 300: raise" not in source(rows(many % 300))
    assert "n_1 > 2: raise" in source(rows(many % 2))
    assert read(rows(many % 2), "020102") == {"n": 2, "l": [{"a": 1}, {"a": 2}]}
    with pytest.raises(DecodeError):
        read(rows(many % 2), "03010203")
