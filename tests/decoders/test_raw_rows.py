"""Values that read no bytes: formulas over raw integers, worked out where they stand."""

from __future__ import annotations

import pytest

from decoders.encode import Encoder
from decoders.errors import SpecError
from tests.decoders.specs import read, rows


def test_key_and_header_of_a_tag_become_values() -> None:
    compiled = rows(
        "[{items: {header: [{name: channel, type: u8}, {name: kind, type: u8}], key: kind, tags: {"
        "0x67: [{name: temperature, type: i16, scale: 0.1}, {name: last_channel, raw: channel}],"
        "0x88..0x89: [{name: gps, type: u8},"
        " {name: gps_kind, raw: key - 0x88, enum: {0: one, 1: two}, repeat: list}]}}}]"
    )
    assert read(compiled, "03 67 0110 05 88 07 05 89 08") == {
        "temperature": 27.2,
        "last_channel": 3,
        "gps": 8,
        "gps_kind": ["one", "two"],
    }


def test_all_that_follows_a_raw_value_follows_it_too() -> None:
    compiled = rows(
        "[{name: n, type: u8}, {name: mode, raw: u8(-1) >> 4, scale: 0.5, unit: V, absent: 15},"
        " {name: time, raw: n * 60, clock: unix},"
        " {list: l, count: n, fields: [{name: a, raw: index * 10 + n}, {skip: 1}]},"
        " {name: late, type: u8, if: mode > 3}]"
    )
    assert read(compiled, "02 0506 40") == {
        "n": 2,
        "mode": 2.0,
        "time": "1970-01-01T00:02:00.000Z",
        "l": [{"a": 2}, {"a": 12}],
        "late": 0x40,
    }
    assert compiled.messages["sample"].units == {"mode": "V"}
    assert "mode" not in read(compiled, "02 0506 f0")


def test_nothing_is_built_of_them() -> None:
    compiled = rows("[{name: a, type: u8}, {name: b, raw: a + 1}]")
    encoder: Encoder = compiled.encoders[0, "sample"]
    assert encoder.encode({"a": 1, "b": 2}) == b"\x01"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{name: a, raw: b + 1}]", "there is no field `b`"),
        ("[{name: a, raw: 1 +}]", "is no formula"),
        ("[{name: a, raw: 1, type: u8}]", "reads no bytes"),
    ],
)
def test_mistakes(text: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        rows(text)
