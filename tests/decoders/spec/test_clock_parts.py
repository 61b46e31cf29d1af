"""Times that a spec adds something to: parts of a clock that carry, and `unix(t)`."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.clocks import clock_of, read_list
from decoders.spec.clock_parts import carrying
from tests.decoders.specs import read, rows
from tests.decoders.test_faults import flags


@pytest.mark.parametrize(
    ("parts", "letters"),
    [
        (["y", "mo", "d", "h", "mi", "s"], ""),
        (["y + 2000", "mo + 1", "d", "h", "mi", "s + 60"], "s"),
        (["y", "mo", "d - n", "h - 8", "mi + i * 15", "metrics.s - 1 + 2"], "dhms"),
        (["y", "mo", "d + 1", "tens * 10 + ones", "w >> 5 & 63", "(w & 31) * 2"], ""),
        (["y", "mo", "d + 1 - n", "h + 1"], "dh"),
        (["y", "mo", "d", "h +"], ""),
    ],
)
def test_which_parts_carry(parts: list[str], letters: str) -> None:
    assert carrying(parts) == letters


@given(
    st.datetimes(datetime.datetime(2001, 1, 1), datetime.datetime(2099, 1, 1)),
    st.integers(-400, 400),
    st.integers(-100_000, 100_000),
    st.integers(-(10**7), 10**7),
    st.integers(-(10**8), 10**8),
)
def test_carrying_is_adding(moment: datetime.datetime, days: int, hours: int, minutes: int, seconds: int) -> None:
    moment = moment.replace(microsecond=0)
    added = datetime.timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    raw = [
        moment.year % 100,
        moment.month,
        moment.day + days,
        moment.hour + hours,
        moment.minute + minutes,
        moment.second + seconds,
    ]
    assert read_list(raw, 0, "dhms") == (moment + added).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@pytest.mark.parametrize(
    "raw",
    [
        [26, 2, 30, 0, 0, 70],
        [26, 13, 1, 0, 0, 0],
        [26, 1, 1, 0, 0, 1e18],
        [26, 1, 1, 0, 0, None],
        [26, "x", 1, 0, 0, 0],
    ],
)
def test_what_no_carry_mends(raw: list[object]) -> None:
    assert read_list(raw, 0, "s") is None


def test_fractions_and_milliseconds_stay() -> None:
    assert read_list([26, 12, 31, 23, 59, 60.25], 0, "s") == "2027-01-01T00:00:00.250Z"
    assert read_list([26, 12, 31, 23, 59, 60, 1500], 0, "s") == "2027-01-01T00:00:01.500Z"
    assert clock_of("list s").write(0, 0) == clock_of("list").write(0, 0)


SIX = "{name: y, type: u8}, {name: mo, type: u8}, {name: d, type: u8}, {name: h, type: u8}, {name: mi, type: u8}, "


def test_in_a_spec() -> None:
    compiled = rows(f"[{SIX}{{name: s, type: u8}}, {{name: time, clock: [y, mo, d, h, mi, 's + 60'], zone: '+01:00'}}]")
    assert read(compiled, "1a0c1f173b32")["time"] == "2026-12-31T23:00:50.000Z"
    assert flags(compiled, "1a0c1f173b32") == {}
    assert flags(compiled, "1a0d1f173b32") == flags(compiled, "1a021e173b32") == {"time": "bad_time"}


def test_a_base_time_and_intervals() -> None:
    compiled = rows(
        "[{name: base, type: bcd_ymdhms, hidden: true, zone: '+02:00'}, {name: interval, type: u16, hidden: true}, "
        "{list: points, count: 3, fields: [{name: v, type: u8}, "
        "{name: time, formula: unix(base) + index * interval, clock: unix}]}]"
    )
    found = read(compiled, "261231235900" + "003c" + "010203")
    assert [item["time"] for item in found["points"]] == [
        "2026-12-31T21:59:00.000Z",
        "2026-12-31T22:00:00.000Z",
        "2026-12-31T22:01:00.000Z",
    ]
    assert flags(compiled, "261331235900" + "003c" + "010203") == {
        f"points[{number}].time": "formula_failed" for number in range(3)
    }


def test_seconds_of_a_time_and_nothing_else() -> None:
    compiled = rows(
        "[{name: t, type: unix32}, {name: ms, type: u64, clock: unix_ms}, {name: n, type: u8}, {name: a, formula: "
        "unix(t)}, {name: b, formula: unix(ms) - unix(t)}, {name: c, formula: unix(n)}, {name: d, formula: "
        "\"unix('2026-03-01')\"}, {name: e, formula: \"unix('now')\"}]"
    )
    found = read(compiled, "69a42a40" + f"{0x69A42A40 * 1000 + 1500:016x}" + "05")
    assert {name: found.get(name) for name in "abcde"} == {
        "a": 0x69A42A40,
        "b": 1.5,
        "c": None,
        "d": 1_772_323_200,
        "e": None,
    }


def test_messages_are_built_from_it() -> None:
    compiled = rows("[{name: base, type: unix32, hidden: true}, {name: time, formula: unix(base) + 60, clock: unix}]")
    wire = compiled.encoders[(0, "sample")].encode({"time": "2026-03-01T12:01:00.000Z"})
    assert wire.hex() == "69a42a40"


def test_the_records_time_by_any_kind_of_row() -> None:
    for row in ("{name: time, raw: base + 1, clock: unix}", "{name: time, formula: unix(base) + 1, clock: unix}"):
        base = "type: u32" if "raw" in row else "type: unix32"
        compiled = rows(f"[{{name: base, {base}, hidden: true}}, {row}, {{name: v, type: u8}}]")
        values = read(compiled, "69a42a4001")
        (part,) = compiled.messages["sample"].parts(values, None)
        assert (part.device_time, part.metrics) == ("2026-03-01T12:00:01.000Z", {"v": 1})
