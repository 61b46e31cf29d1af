"""A letter's line: there and back, lines of earlier versions, lines that are none, filters."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.types import SessionContext
from gateway.delivery.dead_letter_lines import (
    LetterFilter,
    encode_letter,
    failed_again,
    key_of,
    letter_of,
    parse_line,
    rfc3339_ms,
)
from gateway.domain.dead_letter import DeadLetter

MakeLetter = Callable[..., DeadLetter]

OLD = (
    b'{"dead_letter_id":"u1","reason":"truncated","stage":"decode","detail":"d","raw_hex":"0aff","received_at":'
    b'"2026-03-01T00:00:00.123Z","product":"p","spec_version":2,"device_id":"d1","tenant":"","listener":"l",'
    b'"session_id":"s","peer":"192.0.2.7:1","message":"","field":"","offset":null}\n'
)


def back(line: bytes) -> DeadLetter:
    parsed = parse_line(line)
    assert parsed is not None
    return letter_of(parsed)


def test_there_and_back(make_letter: MakeLetter) -> None:
    letter = make_letter(size=5)
    letter.session = SessionContext(
        letter.device_id, "v2", 10, -19_800, letter.received_ms, {"a": [1, None, {"b": "x"}]}, ("t", "n")
    )
    letter.hub_id, letter.tenant, letter.attempts = "hub", "acme", 3
    letter.gateway_id, letter.stored_ms = "gw", letter.received_ms + 7
    assert back(encode_letter(letter)) == letter


def test_a_buried_record_is_there_to_read_and_exact(make_letter: MakeLetter) -> None:
    letter = make_letter("r-0")
    letter.raw = b'{"a":1.50,"big":123456789012345678901234567890}'
    letter.sink, letter.lane, letter.record_type, letter.stage = "main", "acme/d", "telemetry", "sink"
    line = encode_letter(letter)
    assert b'"record":{"a":1.50,' in line
    letter.session = SessionContext(letter.device_id, received_ms=letter.received_ms)
    assert back(line) == letter
    assert letter.key == "r-0@main" == key_of(orjson.loads(line))


@pytest.mark.parametrize("raw", [b"\xff\x00", b"", b'{"a":\n1}', b"{"])
def test_what_a_sink_buried_need_be_no_json(make_letter: MakeLetter, raw: bytes) -> None:
    letter = make_letter()
    letter.sink, letter.raw = "main", raw
    line = encode_letter(letter)
    assert line.count(b"\n") == 1
    assert back(line).raw == raw


@given(
    st.text(max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    ),
)
def test_whatever_a_session_knew(text: str, value: object) -> None:
    session = SessionContext(text, values={text: value})
    letter = DeadLetter("u", text, "decode", text, b"\x00", 0, text, 1, text, text, text, text, text, session=session)
    line = encode_letter(letter)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    parsed = parse_line(line)
    assert parsed is not None
    assert letter_of(parsed).detail == text


def test_a_line_of_an_earlier_version(make_letter: MakeLetter) -> None:
    letter = back(OLD)
    assert (letter.raw, letter.received_ms, letter.attempts) == (b"\x0a\xff", 1_772_323_200_123, 0)
    assert letter.session == SessionContext("d1", received_ms=1_772_323_200_123)
    assert (letter.sink, letter.key, letter.stored_ms) == ("", "u1", 0)


@pytest.mark.parametrize("line", [b"", b"\n", b"{", OLD[:-30], b"5\n", b"[]\n", b"{}\n", b'{"dead_letter_id":5}\n'])
def test_what_is_no_letter(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("raw_hex", "xy"),
        ("raw_hex", None),
        ("received_at", "yesterday"),
        ("received_at", None),
        ("session", 5),
        ("session", {"values": 5}),
        ("spec_version", "x"),
        ("offset", []),
    ],
)
def test_a_line_that_holds_what_it_cannot_hold(name: str, value: object) -> None:
    with pytest.raises(ValueError):
        letter_of({**orjson.loads(OLD), name: value})


def test_what_a_failed_replay_changes(make_letter: MakeLetter) -> None:
    letter = make_letter()
    letter.attempts = 2
    changed = failed_again(letter)
    assert changed["attempts"] == 2
    assert set(changed) == {
        *("attempts", "reason", "stage", "detail", "spec_version", "message", "field", "offset"),
    }


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (LetterFilter(), True),
        (LetterFilter(product="p"), True),
        (LetterFilter(product="q"), False),
        (LetterFilter(reason="truncated", stage="decode", device="d1"), True),
        (LetterFilter(reason="truncated", device="d2"), False),
        (LetterFilter(device="acme/d1"), True),
        (LetterFilter(device="other/d1"), False),
        (LetterFilter(since=rfc3339_ms(1_772_323_200_123)), True),
        (LetterFilter(since=rfc3339_ms(1_772_323_200_124)), False),
        (LetterFilter(until=rfc3339_ms(1_772_323_200_123)), False),
        (LetterFilter(until=rfc3339_ms(1_772_323_200_124)), True),
        (LetterFilter(keys=frozenset({"u1", "x"})), True),
        (LetterFilter(keys=frozenset({"u1@main"})), False),
    ],
)
def test_filters(wanted: LetterFilter, matches: bool) -> None:
    assert wanted.matches({**orjson.loads(OLD), "tenant": "acme"}) is matches
    assert wanted.means_all is (wanted == LetterFilter())
