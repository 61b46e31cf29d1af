from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.explain import explain
from decoders.types import SessionContext
from tests.decoders.sensor import STATUS, compiled
from tests.decoders.spec.shipped import shipped

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


Shown = list[tuple[str, int | None, str, Any]]


def shown_of(text: str, data: str, session: SessionContext | None = None) -> Shown:
    product = compiled(text)
    found = explain(product, bytes.fromhex(data), session or SessionContext())
    return [(item.path, item.offset, item.hex, item.error or item.value) for item in found]


def of_rows(rows: str, data: str) -> Shown:
    return shown_of(f"product: p\nmessages: {{m: {{fields: [{rows}]}}}}", data)


def test_tags_and_lists_are_found_by_their_paths() -> None:
    fields = explain(compiled(TAGS), bytes.fromhex("01012902020a0b"), SessionContext())
    assert [(f.path, f.offset, f.hex, f.raw, f.value) for f in fields] == [
        ("#1", 0, "0101", 1, None),
        ("#1.battery", 2, "29", 41, 4.1),
        ("#2", 3, "0202", 2, None),
        ("#2.history[0].speed", 5, "0a", 10, 10),
        ("#2.history[1].speed", 6, "0b", 11, 11),
    ]
    assert fields[1].to_plain() == {
        "path": "#1.battery", "offset": 2, "size": 1, "hex": "29", "raw": 41, "value": 4.1,
    }  # fmt: skip


def test_bytes_that_are_no_value_are_shown_too() -> None:
    assert shown_of(TAGS, "010129090105") == [
        ("#1", 0, "0101", None), ("#1.battery", 2, "29", 4.1), ("#9", 3, "0901", None), ("-", 5, "05", None),
    ]  # fmt: skip
    assert of_rows("{skip: 2}, {name: a, type: u8}, {skip: 1}", "00000700") == [
        ("-", 0, "0000", None), ("a", 2, "07", 7), ("-", 3, "00", None),
    ]  # fmt: skip


def test_two_rows_of_one_name_have_each_its_value() -> None:
    found = of_rows(
        "{name: a, type: u8, scale: 0.1}, {name: a, type: u8}, {name: b, type: i8, negate: a > 1}", "010203"
    )
    assert [value for *_, value in found] == [0.1, 2, -3]


def test_what_stands_before_a_fault_is_shown_and_then_the_fault() -> None:
    assert shown_of(TAGS, "0101290205") == [
        ("#1", 0, "0101", None),
        ("#1.battery", 2, "29", 4.1),
        ("", 3, "0205", "truncated: item cut off, 2 bytes left"),
    ]


FAULTS: list[tuple[str, str, tuple[str, int | None, str, str], tuple[str | int, ...]]] = [
    (
        "{name: a, type: u8}, {name: b, type: u32}", "0701",
        ("b", 1, "01", "truncated: needs 4 bytes, 1 left"), ("fields", 1),
    ),
    (
        "{list: l, count: 2, fields: [{name: a, type: u16}]}", "000102",
        ("l[1].a", 2, "02", "truncated: needs 2 bytes, 1 left"), ("fields", 0, "fields", 0),
    ),
    (
        "{group: g, bytes: 3, fields: [{name: a, type: u8}]}", "010203",
        ("g", 1, "0203", "trailing_bytes: 2 bytes left in the group"), ("fields", 0),
    ),
    (
        "{name: v, type: u8, const: 2}", "03",
        ("v", 0, "03", "bad_const: expected 0x2, found 0x3"), ("fields", 0),
    ),
    (
        "{name: k, type: u8}, {switch: k, cases: {1: [{name: a, type: u8}]}}", "05",
        ("", 1, "", "no_branch: no case for 0x5 of `k`"), ("fields", 1),
    ),
    (
        "{name: d, type: bcd, bytes: 2}", "12ab",
        ("d", 0, "12ab", "bad_value"), ("fields", 0),
    ),
    (
        "{items: {key: u8, length: u8, on_unknown: refuse, tags: {1: {name: a, type: u8}}}}", "0900",
        ("#9", 2, "", "unknown_tag: tag 9 (0x09) is not in the spec"), ("fields", 0),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("rows", "data", "fault", "row"), FAULTS)
def test_a_fault_names_its_place_row_and_what_is_there(
    rows: str, data: str, fault: tuple[str, int | None, str, str], row: tuple[str | int, ...]
) -> None:
    product = compiled(f"product: p\nmessages: {{m: {{fields: [{rows}]}}}}")
    found = explain(product, bytes.fromhex(data), SessionContext())[-1]
    assert (found.path, found.offset, found.hex) == fault[:3]
    assert found.error.startswith(fault[3])
    assert found.row == ("messages", "m", *row)


def test_of_a_frame_that_is_cut_off_all_that_is_there_is_read() -> None:
    found = explain(compiled(), STATUS[:6], SessionContext())
    assert [(item.path, item.hex) for item in found] == [
        ("start", "a5"), ("length", "0b"), ("type", "02"), ("temperature", "0107"), ("-", "69"), ("", ""),
    ]  # fmt: skip
    assert found[-1].error == "truncated: need at least 13 bytes, have 6"
    found = explain(compiled(), STATUS[:12], SessionContext())
    assert [(item.path, item.hex) for item in found[-3:]] == [("flags", "05"), ("-", STATUS[10:12].hex()), ("", "")]


def test_of_a_frame_with_a_wrong_check_value_everything_is_read() -> None:
    found = explain(compiled(), STATUS[:-1] + bytes([STATUS[-1] ^ 1]), SessionContext())
    assert [item.path for item in found] == [
        "start", "length", "type", "temperature", "time", "flags", "serial", "check", "check",
    ]  # fmt: skip
    assert found[3].value == 26.3
    assert found[-1].offset == len(STATUS) - 2
    assert found[-1].error.startswith("bad_check: crc16_modbus is 0x")


def test_what_is_no_frame_has_only_a_fault() -> None:
    assert [item.error for item in explain(compiled(), b"", SessionContext())] == [
        "truncated: need at least 6 bytes, have 0"
    ]
    (fault,) = explain(compiled(), b"zz", SessionContext())
    assert (fault.offset, fault.hex, fault.error) == (0, "7a7a", "not_a_frame: no frame starts with 7a 7a")


def test_a_document_has_paths_and_values() -> None:
    text = """\
product: p
frame: {begins: "7B", until: "\\n", format: json}
messages: {m: {json: true, fields: [{name: a, type: u8}, {name: b, type: text, bytes: 2}]}}
"""
    found = explain(compiled(text), b'{"a": 5, "b": "x"}\n', SessionContext())
    assert [(item.path, item.offset, item.value) for item in found] == [("a", None, 5), ("b", None, "x")]
    (fault,) = explain(compiled(text), b'{"a": 5\n', SessionContext())
    assert fault.error.startswith("bad_document")


TEXT = """\
product: p
frame: {format: text, start: "<", stop: ">", split: ","}
messages:
  m:
    fields:
      - {name: a, type: number}
      - {group: g, encoded: hex, until: ",", fields: [{name: x, type: u8}, {name: y, type: u16}]}
      - {items: {key: text, split: ";", tags: {T: {name: t, type: number}}}}
"""


def test_text_and_bytes_that_are_written_as_text() -> None:
    def of(frame: bytes) -> Shown:
        return shown_of(TEXT, frame.hex())[1:]

    assert of(b"<12.5,0A0102,T=5;U=7>") == [
        ("a", 1, "31322e35", 12.5), ("-", 5, "2c", None), ("g", 6, b"0A0102".hex(), None), ("g.x", None, "0a", 10),
        ("g.y", None, "0102", 258), ("-", 12, b",T=".hex(), None), ("#'T'.t", 15, "35", 5),
        ("-", 16, b";U=7".hex(), None), ("stop", 20, "3e", None),
    ]  # fmt: skip
    assert of(b"<x,0A0102,T=5>")[-1] == ("a", 1, b"x,0A0102,T=5>".hex(), "bad_value: `x` is no number")
    assert of(b"<1,0A,T=5>")[-1][0] == "g.y"
    assert of(b"<1")[-1] == ("", 2, "", "truncated: need at least 3 bytes, have 2")


def test_escaped_frames_are_shown_without_their_pairs() -> None:
    frame = 'frame: {start: "7E", stop: "7E", escape: {mark: 0x7D, table: {1: 0x7D, 2: 0x7E}}}'
    text = f"product: p\n{frame}\nmessages: {{m: {{fields: [{{name: a, type: u8}}, {{name: b, type: u8}}]}}}}"
    assert shown_of(text, "7e7d027d017e")[1:3] == [("a", 1, "7e", 126), ("b", 2, "7d", 125)]
    assert shown_of(text, "7e7d057d017e")[-1] == (
        "", 1, "7d057d017e", "bad_escape: escape byte 7d followed by 05",
    )  # fmt: skip


def test_numbered_names_lists_and_words_of_sentinels() -> None:
    rows = (
        '{name: k, type: u8}, {name: "chn_{k}", type: u8, scale: 0.1}, {list: c, type: u8, count: 2, numbered: true}, '
        "{name: s, type: u8, absent: {255: broken}}"
    )
    assert [(path, value) for path, _, _, value in of_rows(rows, "030a0102ff")] == [
        ("k", 3), ("chn_{k}", 1.0), ("c[0].c", 1), ("c[1].c", 2), ("s", {"s_status": "broken"}),
    ]  # fmt: skip


def test_every_golden_frame_is_explained_to_its_last_byte() -> None:
    for loaded in shipped().values():
        for case in (case for file in loaded.golden.values() for case in file.cases):
            form = loaded.product.variants.get(case.variant, loaded.product)
            found = explain(form, case.wire, case.context())
            if case.wire == b"{}":  # a document without anything in it
                assert found == []
                continue
            assert found, case.name
            assert bool(found[-1].error) == bool(case.error), (loaded.product.id, case.name)


@given(st.binary(max_size=40))
def test_no_bytes_make_it_raise(data: bytes) -> None:
    explain(compiled(TAGS), data, SessionContext())
    explain(compiled(), data, SessionContext())


def test_keys_of_two_bytes_are_written_as_documents_write_them() -> None:
    shown = shown_of("product: p\nitems: {key: u16, length: u8, tags: {0x0367: {name: a, type: u8}}}", "03670105")
    assert [path for path, *_ in shown] == ["#0x0367", "#0x0367.a"]
