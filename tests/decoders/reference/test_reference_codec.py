"""Each construct of the spec language: what it reads, and how it says what is wrong. Both codecs, always."""

from __future__ import annotations

import struct

import pytest

from decoders.errors import DecodeCode, DecodeError, EncodeError
from decoders.raw import FilledDigits
from decoders.types import SessionContext
from tests.decoders.specs import product, read, rows

NUMBERS: list[tuple[str, str, object]] = [
    ("{name: a, type: u8}", "ff", 255),
    ("{name: a, type: i8}", "ff", -1),
    ("{name: a, type: u16}", "0102", 0x0102),
    ("{name: a, type: u16le}", "0102", 0x0201),
    ("{name: a, type: u16, endian: little}", "0102", 0x0201),
    ("{name: a, type: i16}", "fffe", -2),
    ("{name: a, type: u24}", "010203", 0x010203),
    ("{name: a, type: u24le}", "010203", 0x030201),
    ("{name: a, type: i24}", "fffffe", -2),
    ("{name: a, type: i24le}", "feffff", -2),
    ("{name: a, type: sm24}", "800005", -5),
    ("{name: a, type: u32}", "01020304", 0x01020304),
    ("{name: a, type: i32le}", "feffffff", -2),
    ("{name: a, type: u40}", "0102030405", 0x0102030405),
    ("{name: a, type: i40le}", "feffffffff", -2),
    ("{name: a, type: u48le}", "010000000000", 1),
    ("{name: a, type: u56}", "01000000000002", 0x01000000000002),
    ("{name: a, type: u64}", "ffffffffffffffff", 2**64 - 1),
    ("{name: a, type: i64le}", "feffffffffffffff", -2),
    ("{name: a, type: sm8}", "83", -3),
    ("{name: a, type: sm16}", "0003", 3),
    ("{name: a, type: f32}", struct.pack(">f", 1.5).hex(), 1.5),
    ("{name: a, type: f64le}", struct.pack("<d", -0.1).hex(), -0.1),
    ("{name: a, type: uint, bytes: 3}", "010203", 0x010203),
    ("{name: a, type: int, bytes: rest}", "fffffffe", -2),
    ("{name: a, type: uintle, prefix: u8}", "020102", 0x0201),
    ("{name: a, type: i16, scale: 0.1}", "0107", 26.3),
    ("{name: a, type: u8, scale: 0.5, offset: -40}", "03", -38.5),
    ("{name: a, type: u8, offset: 5}", "03", 8),
    ("{name: a, type: u32, scale: 1/1800000}", "026c1e00", 0x026C1E00 / 1800000),
    ("{name: a, type: u8, scale: 1/3, decimals: 2}", "01", 0.33),
    ("{name: a, type: u8, formula: x * x}", "0c", 144),
    ("{name: a, type: u8, absent: [254, 255]}", "fd", 253),
]
TEXTS: list[tuple[str, str, object]] = [
    ("{name: a, type: hex, bytes: 3}", "0a0bff", "0a0bff"),
    ("{name: a, type: hex, prefix: u8}", "020b0c", "0b0c"),
    ("{name: a, type: bcd, bytes: 2}", "0123", "0123"),
    ("{name: a, type: bcd, bytes: 3, digits: 5}", "012345", "12345"),
    ("{name: a, type: bcd, bytes: 3}", "12345f", "12345"),
    ("{name: a, type: text, bytes: 6}", b"ab \0\0\0".hex(), "ab"),
    ("{name: a, type: text, bytes: 4, trim: false}", b"ab \0".hex(), "ab \0"),
    ("{name: a, type: text, prefix: u16le}", "0200" + b"hi".hex(), "hi"),
    ("{name: a, type: text, bytes: rest, encoding: utf-16be}", "Grüße".encode("utf-16be").hex(), "Grüße"),
    ("{name: a, type: text, bytes: rest, encoding: gbk}", "京A".encode("gbk").hex(), "京A"),
    ("{name: a, type: text, bytes: rest, encoding: utf-8}", "°C".encode().hex(), "°C"),
    ("{name: a, type: text, bytes: rest}", "41ff42", "A\ufffdB"),
    ("{name: a, type: mac}", "0102030a0bff", "01:02:03:0a:0b:ff"),
    ("{name: a, type: u8, enum: {0: off, 1: on, 2..9: fault}}", "05", "fault"),
    ("{name: a, type: u8, enum: {0: off, _: other}}", "07", "other"),
    ("{name: a, type: hex, bytes: 1, enum: {ab: found}}", "ab", "found"),
    ("{name: a, type: u8, flags: {0: low, 3: hot, 7: open}}", "89", ["low", "hot", "open"]),
    ("{name: a, type: u8, flags: {0: low}}", "00", []),
    ("{name: a, type: u8, enum: {1: true, 0: false}}", "01", True),
]


@pytest.mark.parametrize(("row", "data", "value"), NUMBERS + TEXTS)
def test_value(row: str, data: str, value: object) -> None:
    found = read(rows(f"[{row}]"), data)
    assert found == {"a": value}
    assert type(found["a"]) is type(value) or isinstance(found["a"], FilledDigits)


@pytest.mark.parametrize(
    ("row", "data"),
    [
        ("{name: a, type: u8, absent: [254, 255]}", "fe"),
        ("{name: a, type: u16, absent: 0xFFFF, scale: 0.1}", "ffff"),
        ("{name: a, type: hex, bytes: 2, absent: '0000'}", "0000"),
        ("{name: a, type: f32}", "7fc00000"),
        ("{name: a, type: f64}", "7ff0000000000000"),
        ("{name: a, type: u8, formula: 1 / x}", "00"),
        ("{name: a, type: u8, hidden: true}", "01"),
        ("{name: a, type: u8, const: 1}", "01"),
        ("{name: a, type: ymdhms}", "190231000000"),
        ("{name: a, type: bcd_ymdhms}", "250a01000000"),
    ],
)
def test_no_value(row: str, data: str) -> None:
    assert read(rows(f"[{row}]"), data) == {}


@pytest.mark.parametrize(
    ("row", "data", "time"),
    [
        ("{name: t, type: unix32}", "684ee180", "2025-06-15T15:06:40.000Z"),
        ("{name: t, type: unix64le}", "80e14e6800000000", "2025-06-15T15:06:40.000Z"),
        ("{name: t, type: unixms64}", "0000016b40d8ea30", "2019-06-10T10:04:46.000Z"),
        ("{name: t, type: unixms64}", "0000017fcedf4996", "2022-03-28T04:53:34.230Z"),
        ("{name: t, type: since2000_32}", "00000001", "2000-01-01T00:00:01.000Z"),
        ("{name: t, type: ymdhms}", "19060f0f0628", "2025-06-15T15:06:40.000Z"),
        ("{name: t, type: bcd_ymdhms}", "250615150640", "2025-06-15T15:06:40.000Z"),
        ("{name: t, type: ymdhms, zone: '+08:00'}", "190101070000", "2024-12-31T23:00:00.000Z"),
    ],
)
def test_clock(row: str, data: str, time: str) -> None:
    assert read(rows(f"[{row}]"), data) == {"t": time}


def test_local_clocks_take_the_zone_of_the_session_then_of_the_spec() -> None:
    compiled = rows("[{name: t, type: ymdhms}]", zone="'+08:00'")
    assert read(compiled, "19060f0f0628")["t"] == "2025-06-15T07:06:40.000Z"
    west = SessionContext(zone_s=-3600)
    assert read(compiled, "19060f0f0628", west)["t"] == "2025-06-15T16:06:40.000Z"
    fixed = rows("[{name: t, type: ymdhms, zone: '-05:30'}]", zone="'+08:00'")
    assert read(fixed, "19060f0f0628", west)["t"] == "2025-06-15T20:36:40.000Z"


def test_bits() -> None:
    compiled = rows(
        "[{name: a, type: u16, bits: {open: 0, mains: {at: 1, invert: true}, mode: {at: 2-4, enum: {3: fan}},"
        " offset: {at: 5-8, signed: true}, level: {at: 9-15, scale: 0.5, absent: 127}}}]"
    )
    assert read(compiled, "0000") == {"open": False, "mains": True, "mode": 0, "offset": 0, "level": 0.0}
    assert read(compiled, f"{1 | 2 | 3 << 2 | 15 << 5 | 5 << 9:04x}") == {
        "open": True,
        "mains": False,
        "mode": "fan",
        "offset": -1,
        "level": 2.5,
    }
    assert "level" not in read(compiled, "fe00")


def test_bits_of_little_endian_integers_count_from_the_lowest() -> None:
    compiled = rows("[{name: a, type: u16le, hidden: false, bits: {low: 0-7, high: 8-15, top: 15}}]")
    assert read(compiled, "0180") == {"a": 0x8001, "low": 1, "high": 128, "top": True}


def test_negate_reads_values_of_the_whole_structure() -> None:
    compiled = rows(
        "[{name: lat, type: u16, scale: 0.1, negate: not north}, {name: f, type: u8, bits: {north: {at: 0, "
        "hidden: true}}}]"
    )
    assert read(compiled, "000a00") == {"lat": -1.0}
    assert read(compiled, "000a01") == {"lat": 1.0}


LISTS = [
    ("{list: l, count: 2, fields: [{name: a, type: u8}]}", "0102", [1, 2]),
    ("{list: l, count: 1, fields: [{name: a, type: u8}]}", "07", [7]),
    ("{list: l, count_type: u8, fields: [{name: a, type: u8}]}", "03010203", [1, 2, 3]),
    ("{list: l, count_type: u16le, fields: [{name: a, type: u8}]}", "0100aa", [170]),
    ("{list: l, count_type: u8, fields: [{name: a, type: u8}]}", "00", []),
    ("{list: l, fields: [{name: a, type: u16}]}", "00010002", [1, 2]),
    ("{list: l, bytes: 4, fields: [{name: a, type: u16}]}", "00010002", [1, 2]),
    ("{list: l, item_prefix: u8, fields: [{name: a, type: uint, bytes: rest}]}", "0105020102", [5, 258]),
    ("{list: l, keep: a > 1, fields: [{name: a, type: u8}]}", "010200ff", [2, 255]),
]


@pytest.mark.parametrize(("row", "data", "items"), LISTS)
def test_list(row: str, data: str, items: list[int]) -> None:
    assert read(rows(f"[{row}]"), data) == {"l": [{"a": item} for item in items]}


def test_list_up_to_the_last_bytes_and_counts_by_formula() -> None:
    tail = rows("[{list: l, until_left: 2, fields: [{name: a, type: u8}]}, {name: end, type: u16}]")
    assert read(tail, "01020304") == {"l": [{"a": 1}, {"a": 2}], "end": 0x0304}
    counted = rows(
        "[{name: n, type: u8, hidden: true}, {name: factor, type: u8}, {list: l, count: n // 2, fields: [{name: a, "
        "type: u8}, {name: b, formula: a * factor}]}]"
    )
    assert read(counted, "0503aabb") == {"factor": 3, "l": [{"a": 170, "b": 510}, {"a": 187, "b": 561}]}


def test_lists_in_lists() -> None:
    compiled = rows("[{list: o, count_type: u8, fields: [{list: i, count_type: u8, fields: [{name: a, type: u8}]}]}]")
    assert read(compiled, "020105020607") == {"o": [{"i": [{"a": 5}]}, {"i": [{"a": 6}, {"a": 7}]}]}
    with pytest.raises(DecodeError) as caught:
        read(compiled, "02010502")
    assert caught.value.field == "o[1].i[0].a"


def test_the_rest_may_be_nothing() -> None:
    compiled = rows(
        "[{name: n, type: u8}, {name: a, type: hex, bytes: rest}, {list: l, fields: [{name: b, type: u8}]}]"
    )
    assert read(compiled, "05") == {"n": 5, "a": "", "l": []}


GROUPS = [
    ("{group: g, fields: [{name: a, type: u8}]}", "01", {"g": {"a": 1}}),
    ("{group: null, fields: [{name: a, type: u8}]}", "01", {"a": 1}),
    ("{group: g, bytes: 2, fields: [{name: a, type: hex, bytes: rest}]}", "0102", {"g": {"a": "0102"}}),
    ("{group: g, prefix: u8, fields: [{name: a, type: hex, bytes: rest}]}", "020102", {"g": {"a": "0102"}}),
    (
        "{group: null, prefix: u8, prefix_counts_itself: true, fields: [{name: a, type: hex, bytes: rest}]}",
        "0301ff",
        {"a": "01ff"},
    ),
    ("{group: null, prefix: u8, rest: skip, fields: [{name: a, type: u8}]}", "03010203", {"a": 1}),
]


@pytest.mark.parametrize(("row", "data", "values"), GROUPS)
def test_group(row: str, data: str, values: dict[str, object]) -> None:
    assert read(rows(f"[{row}, {{name: z, type: u8}}]"), data + "63") == {**values, "z": 99}


def test_switch() -> None:
    compiled = rows(
        "[{name: k, type: u8}, {switch: k, cases: {1: [{name: a, type: u8}], 2..4: [{name: a, type: u16}], '7, 9': "
        "[{name: b, type: i8}]}, default: [{name: c, type: hex, bytes: rest}]}]"
    )
    assert read(compiled, "01ff") == {"k": 1, "a": 255}
    assert read(compiled, "040102") == {"k": 4, "a": 258}
    assert read(compiled, "09ff") == {"k": 9, "b": -1}
    assert read(compiled, "080102") == {"k": 8, "c": "0102"}
    with pytest.raises(DecodeError) as caught:
        read(compiled, "010102")
    assert caught.value.code is DecodeCode.TRAILING_BYTES


def test_switch_on_text_and_on_the_length_of_the_body() -> None:
    letters = rows("[{name: k, type: text, bytes: 1}, {switch: k, cases: {A: [{name: a, type: u8}], B: []}}]")
    assert read(letters, "4105") == {"k": "A", "a": 5}
    assert read(letters, "42") == {"k": "B"}
    sizes = rows("[{switch: length, cases: {1: [{name: a, type: u8}], 2: [{name: b, type: u16}]}}]")
    assert read(sizes, "05") == {"a": 5}
    assert read(sizes, "0005") == {"b": 5}


def test_conditions() -> None:
    compiled = rows(
        "[{name: f, type: u8, bits: {has: {at: 0, hidden: true}}}, {name: a, type: u8, if: has}, {name: b, "
        "type: u8, if: "
        "remaining >= 1}, {name: c, formula: a + 1, if: has}]"
    )
    assert read(compiled, "00") == {}
    assert read(compiled, "0005") == {"b": 5}
    assert read(compiled, "0105") == {"a": 5, "c": 6}
    assert read(compiled, "010506") == {"a": 5, "b": 6, "c": 6}


@pytest.mark.parametrize(
    ("row", "data", "values"),
    [
        ("{list: l, count: 1, fields: [{name: a, type: u8}], if: n}", "05", {"l": [{"a": 5}]}),
        ("{list: l, count: 2, fields: [{name: a, type: u8}], if: n}", "0506", {"l": [{"a": 5}, {"a": 6}]}),
        ("{group: g, fields: [{name: a, type: u8}], if: n}", "05", {"g": {"a": 5}}),
        ("{group: null, prefix: u8, fields: [{name: a, type: u8}], if: n}", "0105", {"a": 5}),
        ("{items: {key: u8, tags: {1: {name: a, type: u8}}}, if: n}", "0105", {"a": 5}),
        ("{switch: n, cases: {1: [{name: a, type: u8}]}, default: [], if: n}", "05", {"a": 5}),
        ("{skip: 1, if: n}", "05", {}),
    ],
)
def test_structures_under_a_condition(row: str, data: str, values: dict[str, object]) -> None:
    compiled = rows(f"[{{name: n, type: u8, hidden: true}}, {row}]")
    assert read(compiled, "01" + data) == values
    assert read(compiled, "00") == {}


def test_hidden_parts_of_a_value_that_is_not_there() -> None:
    compiled = rows(
        "[{name: n, type: u8}, {name: f, type: u8, if: n, bits: {w: {at: 0, hidden: true}}}, "
        "{name: c, formula: 'first(w, 5)'}]"
    )
    assert read(compiled, "00") == {"n": 0, "c": 5}
    assert read(compiled, "0101") == {"n": 1, "c": True}


def test_the_later_of_two_values_of_one_name_counts() -> None:
    compiled = rows("[{name: a, type: u8}, {name: a, type: u16, if: remaining >= 2}]")
    assert read(compiled, "01") == {"a": 1}
    assert read(compiled, "010203") == {"a": 0x0203}


def test_formula_rows() -> None:
    compiled = rows(
        "[{name: a, type: u8, scale: 0.5}, {name: b, type: u8}, {name: c, formula: a + b, decimals: 1}, "
        "{name: d, formula: a / b}, {name: e, formula: 'join(\",\", a, b)'}, {name: f, formula: c * 2, hidden: "
        "true}, {name: g, formula: f + 1}]"
    )
    assert read(compiled, "0304") == {"a": 1.5, "b": 4, "c": 5.5, "d": 0.375, "e": "1.5,4", "g": 12.0}
    assert read(compiled, "0300") == {"a": 1.5, "b": 0, "c": 1.5, "e": "1.5,0", "g": 4.0}


def test_blocks_and_skips() -> None:
    compiled = rows(
        "[{use: pair}, {skip: 2}, {use: pair, if: remaining >= 2}, {skip: rest}]",
        blocks="{pair: [{name: a, type: u8}, {name: b, type: u8}]}",
    )
    assert read(compiled, "0102ffff") == {"a": 1, "b": 2}
    assert read(compiled, "0102ffff0304ff") == {"a": 3, "b": 4}


REFUSED = [
    ("[{name: a, type: u16}]", "01", DecodeCode.TRUNCATED, "a", 0),
    ("[{name: a, type: u8}, {name: b, type: u16}]", "0102", DecodeCode.TRUNCATED, "b", 1),
    ("[{name: a, type: u8}]", "0102", DecodeCode.TRAILING_BYTES, "", 1),
    ("[{name: a, type: u8}, {name: b, type: u8, const: 5}]", "0106", DecodeCode.BAD_CONST, "b", 1),
    ("[{name: a, type: hex, bytes: 2, const: 0D0A}]", "0d0b", DecodeCode.BAD_CONST, "a", 0),
    ("[{name: a, type: u8}, {name: b, type: bcd, bytes: 1}]", "01a1", DecodeCode.BAD_VALUE, "b", 1),
    ("[{name: a, type: uint, bytes: rest}]", "010203040506070809", DecodeCode.BAD_VALUE, "a", 0),
    ("[{name: a, type: int, prefix: u8}]", "00", DecodeCode.BAD_VALUE, "a", 0),
    ("[{name: a, type: hex, prefix: u8}]", "0301", DecodeCode.TRUNCATED, "a", 0),
    ("[{name: n, type: i8}, {name: a, type: hex, bytes: n}]", "ff01", DecodeCode.BAD_LENGTH, "a", 1),
    ("[{name: n, type: u8}, {name: a, type: hex, bytes: n / 2}]", "0301", DecodeCode.BAD_LENGTH, "a", 1),
    ("[{name: n, type: u8}, {skip: n}]", "0201", DecodeCode.TRUNCATED, "", 1),
    ("[{list: l, count: 2, fields: [{name: a, type: u16}]}]", "000102", DecodeCode.TRUNCATED, "l[1].a", 2),
    ("[{list: l, fields: [{name: a, type: u16}]}]", "000102", DecodeCode.TRUNCATED, "l[1].a", 2),
    ("[{list: l, bytes: 3, fields: [{name: a, type: u16}]}]", "000102", DecodeCode.TRUNCATED, "l[1].a", 2),
    ("[{list: l, count_type: u8, max: 2, fields: [{name: a, type: u8}]}]", "03", DecodeCode.TOO_MANY_ITEMS, "l", 1),
    ("[{list: l, max: 2, fields: [{name: a, type: u8}]}]", "010203", DecodeCode.TOO_MANY_ITEMS, "l", 2),
    ("[{list: l, item_prefix: u8, fields: [{name: a, type: u8}]}]", "020102", DecodeCode.TRAILING_BYTES, "l[0]", 2),
    ("[{group: g, bytes: 2, fields: [{name: a, type: u8}]}]", "0102", DecodeCode.TRAILING_BYTES, "g", 1),
    ("[{group: g, bytes: 1, fields: [{name: a, type: u16}]}]", "0102", DecodeCode.TRUNCATED, "g.a", 0),
    (
        "[{group: null, prefix: u16, prefix_counts_itself: true, fields: []}]",
        "0001",
        DecodeCode.BAD_LENGTH,
        "",
        2,
    ),
    ("[{name: k, type: u8}, {switch: k, cases: {1: []}}]", "02", DecodeCode.NO_BRANCH, "", 1),
]


@pytest.mark.parametrize(("spec", "data", "code", "field", "offset"), REFUSED)
def test_refused(spec: str, data: str, code: DecodeCode, field: str, offset: int) -> None:
    with pytest.raises(DecodeError) as caught:
        read(rows(spec), data)
    error = caught.value
    assert (error.code, error.field, error.offset) == (code, field, offset)
    assert error.message == "sample"


def test_values_that_were_read_before_the_fault_come_with_the_error() -> None:
    with pytest.raises(DecodeError) as caught:
        read(rows("[{name: a, type: u8, scale: 0.5}, {name: b, type: u8}, {name: c, type: u32}]"), "010203")
    assert caught.value.values == {"a": 0.5, "b": 2}


def test_trailing_bytes_may_be_skipped() -> None:
    compiled = product("messages: {m: {rest: skip, fields: [{name: a, type: u8}]}}")
    assert read(compiled, "01ffff") == {"a": 1}


def test_build_refuses_what_does_not_fit() -> None:
    compiled = rows("[{name: a, type: u8}, {name: b, type: text, bytes: 2}]")
    encoder = compiled.encoders[(0, "sample")]
    assert encoder.encode({"a": 255, "b": "x"}) == b"\xffx\0"
    for values, field in (({"a": 256, "b": ""}, "a"), ({"a": 1, "b": "abc"}, "b"), ({"b": "x"}, "a")):
        with pytest.raises(EncodeError) as caught:
            encoder.encode(values)
        assert caught.value.field == field


def test_negate_belongs_to_the_row_that_gave_the_value() -> None:
    compiled = rows(
        "[{name: k, type: u8}, {name: south, type: u8}, {switch: k, cases: {1: [{name: lat, type: u8, negate: south}], "
        "2: [{name: lat, type: u16, negate: south}], 3: [{name: lat, type: u8}]}}]"
    )
    assert read(compiled, "010105")["lat"] == -5
    assert read(compiled, "02010005")["lat"] == -5
    assert read(compiled, "010005")["lat"] == 5
    assert read(compiled, "030105")["lat"] == 5


@pytest.mark.parametrize(
    ("spec", "data", "values"),
    [
        ("[{name: a, type: u8}, {name: a, type: u8, hidden: true}]", "0102", {"a": 2}),
        ("[{name: a, type: u8, hidden: true}, {name: a, type: u8, if: remaining}]", "01", {"a": 1}),
        ("[{name: a, type: u8, hidden: true}, {name: a, type: u8, if: remaining}]", "0102", {"a": 2}),
        ("[{name: a, type: u8, hidden: true, negate: b}, {name: b, type: u8}]", "0101", {"b": 1}),
        (
            "[{name: a, type: u8, bits: {x: 0}}, {name: b, type: u8, bits: {x: {at: 0, hidden: true}}}]",
            "0100",
            {"x": False},
        ),
    ],
)
def test_a_name_is_hidden_only_if_all_its_rows_are(spec: str, data: str, values: dict[str, object]) -> None:
    assert read(rows(spec), data) == values


def test_a_formula_comes_after_what_stands_before_it_and_before_what_stands_behind() -> None:
    behind = "{name: b, type: u8, negate: 1 == 1}"
    assert read(rows(f"[{behind}, {{name: d, formula: b + 1}}]"), "05") == {"b": -5, "d": -4}
    assert read(rows(f"[{{name: d, formula: b + 1}}, {behind}]"), "05") == {"b": -5, "d": 6}
