"""JSON texts: both parsers under one rule, with the standard library's as the oracle."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError
from decoders.json_text import read_json


def code(text: str | bytes) -> DecodeCode:
    with pytest.raises(DecodeError) as caught:
        read_json(text.encode() if isinstance(text, str) else text)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"a": }',
        '{"a": 1} x',
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1, "a": 2}',
        '{"b": {"a": 1, "a": 1}}',
        '[{"a\\":": 1}, {"a" : 1, "a"\n: 2}]',
        b'{"a": "\xff"}',
    ],
)
def test_what_is_no_document(text: str | bytes) -> None:
    assert code(text) is DecodeCode.BAD_DOCUMENT


def test_documents_are_utf_8() -> None:
    assert read_json('{"a": "°C"}'.encode()) == {"a": "°C"}
    assert read_json(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}
    with pytest.raises(DecodeError, match="not JSON: byte 8 is not UTF-8"):
        read_json(b'{"a": "\xed\xa0\x80"}')
    assert code('{"a": 1}'.encode("utf-16")) is DecodeCode.BAD_DOCUMENT


@given(st.text(st.characters(), max_size=4) | st.text("\ud800\udc00a", max_size=4), st.booleans())
def test_halves_of_pairs_are_no_text(text: str, is_key: bool) -> None:
    document = {text: 1} if is_key else [text]
    data = json.dumps(document).encode()
    try:
        found = json.loads(data)
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        with pytest.raises(DecodeError, match=r"\\ud[8-9a-f]\w\w is half of a surrogate pair, and no text"):
            read_json(data)
    else:
        assert read_json(data) == found


def test_nesting_is_bounded() -> None:
    assert read_json(b'{"a":' + b"[" * 31 + b"]" * 31 + b"}")
    assert code('{"a":' + "[" * 32 + "]" * 32 + "}") is DecodeCode.TOO_DEEP
    assert code('{"a":' + "[" * 100_000) is DecodeCode.TOO_DEEP
    assert read_json(b"[" + b",".join([b'{"a":[]}'] * 100) + b"]")


def test_numbers_of_any_length_do_no_harm() -> None:
    assert read_json(b"[18446744073709551615, -9223372036854775808]") == [18446744073709551615, -9223372036854775808]
    for number in ("18446744073709551616", "-9223372036854775809", "9" * 5_000, "1e309", "-1e999"):
        with pytest.raises(DecodeError, match=number[:20]) as caught:
            read_json(f'{{"a": {number}}}'.encode())
        assert (caught.value.code, len(caught.value.detail) < 100) == (DecodeCode.BAD_DOCUMENT, True)
    assert read_json(b"[0.1234567890123456789012, -0.5]") == [0.1234567890123456789012, -0.5]


def test_what_is_no_json_is_named_by_its_place() -> None:
    for text, detail in (
        ('{"a": 1,\n "b": 2,}', "Expecting property name enclosed in double quotes: line 2, column 9"),
        ("{'a': 1}", "Expecting property name enclosed in double quotes: line 1, column 2"),
        (" \n", "there is nothing"),
    ):
        with pytest.raises(DecodeError) as caught:
            read_json(text.encode())
        assert caught.value.detail == f"not JSON: {detail}"


def strict(text: str) -> Any:
    """The oracle. Raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) != len(pairs):
            raise ValueError("twice")
        return dict(pairs)

    def refuse(word: str) -> Any:
        raise ValueError(word)

    def number(word: str) -> float:
        return refuse(word) if abs(float(word)) == float("inf") else float(word)

    def integer(word: str) -> int:
        return int(word) if -(2**63) <= int(word) < 2**64 else refuse(word)

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse, parse_float=number, parse_int=integer)


@given(st.text(alphabet='{}[]":,0a.-e9\\ ', max_size=40))
@example('{"a\\":": 1, "a\\":": 1}')
@example('{"":0,"":0}')
@example("-0")
def test_any_text_is_read_as_the_standard_library_reads_it(text: str) -> None:
    try:
        expected = strict(text)
    except ValueError:
        assert code(text) is DecodeCode.BAD_DOCUMENT
    else:
        assert repr(read_json(text.encode())) == repr(expected)


KEYS = st.sampled_from(["a", "b", '":', "", 'x":y'])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.booleans())
def test_any_document_is_read(document: Any, spaced: bool) -> None:
    text = json.dumps(document, ensure_ascii=spaced, separators=(" ,", " : ") if spaced else (",", ":"))
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return
    if "Infinity" not in text:
        assert repr(read_json(data)) == repr(document)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        read_json(data)
