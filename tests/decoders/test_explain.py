from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from decoders.explain import explain
from decoders.types import SessionContext
from tests.decoders.sensor import STATUS, compiled

TAGS = """\
product: tags
messages:
  up:
    items:
      key: u8
      length: u8
      tags:
        1: {name: battery, type: u8, scale: 0.1}
        2: {list: history, fields: [{name: speed, type: u8}]}
"""


def test_every_field_has_its_place_bytes_and_value() -> None:
    fields = [(f.offset, f.size, f.hex, f.path, f.value) for f in explain(compiled(), STATUS, SessionContext())]
    assert fields[:4] == [
        (0, 1, "a5", "start", None),
        (1, 1, "0b", "length", None),
        (2, 1, "02", "type", 2),
        (3, 2, "0107", "temperature", 26.3),
    ]
    assert fields[4][3:] == ("time", "2026-03-01T12:00:00.000Z")
    assert fields[5][3:] == ("flags", {"door_open": True, "mode": 2})
    assert fields[6][2:] == ("01", "serial", 1)
    assert fields[7][3:] == ("check", None)
    assert sum(size for _, size, *_ in fields) == len(STATUS)


def test_tags_and_lists_are_found_by_their_paths() -> None:
    fields = explain(compiled(TAGS), bytes.fromhex("01012902020a0b"), SessionContext())
    assert [(f.path, f.offset, f.value) for f in fields] == [
        ("#1.battery", 2, 4.1),
        ("#2.history[0].speed", 5, 10),
        ("#2.history[1].speed", 6, 11),
    ]
    assert fields[0].to_plain() == {
        "path": "#1.battery", "offset": 2, "size": 1, "hex": "29", "raw": 41, "value": 4.1,
    }  # fmt: skip


def test_what_stands_before_a_fault_is_shown() -> None:
    fields = explain(compiled(TAGS), bytes.fromhex("0101290205"), SessionContext())
    assert [(f.path, f.value) for f in fields] == [("#1.battery", 4.1)]


def test_what_is_no_frame_explains_nothing() -> None:
    assert explain(compiled(), b"", SessionContext()) == []
    assert explain(compiled(), STATUS[:5], SessionContext()) == []


@given(st.binary(max_size=40))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    explain(compiled(TAGS), data, SessionContext())
    explain(compiled(), data, SessionContext())
