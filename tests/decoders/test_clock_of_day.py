from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.clock_of_day import of_day
from decoders.golden import GoldenBuild
from decoders.golden_builds import run_build
from decoders.times import iso_from_unix_ms, unix_ms_from_iso
from decoders.types import SessionContext
from tests.decoders.specs import read, rows

DAY = "type: u24, scale: 1/128, clock:"


def arrived(text: str) -> SessionContext:
    return SessionContext(received_ms=unix_ms_from_iso(text))


@pytest.mark.parametrize(
    ("row", "data", "arrival", "time"),
    [
        (f"{DAY} seconds of day", "000080", "2026-03-01T00:00:03Z", "2026-03-01T00:00:01.000Z"),
        (f"{DAY} seconds of day", "A8BF80", "2026-03-01T00:00:03Z", "2026-02-28T23:59:59.000Z"),
        (f"{DAY} seconds of day", "A8C000", "2026-03-01T00:00:03Z", "2026-03-01T00:00:00.000Z"),
        (f"{DAY} seconds of day", "A8C001", "2026-03-01T00:00:03Z", None),
        ("type: u32, clock: ms of day", "000003E9", "2026-03-01T23:59:59Z", "2026-03-02T00:00:01.001Z"),
        (
            "type: u16, clock: minutes of day, zone: '+01:00'",
            "003D",
            "2026-03-01T00:05:00Z",
            "2026-03-01T00:01:00.000Z",
        ),
        ("type: text, bytes: 4, clock: seconds of day", "36312E35", "2026-03-01T00:05:00Z", "2026-03-01T00:01:01.500Z"),
        ("type: text, bytes: 2, clock: seconds of day", "3A31", "2026-03-01T00:05:00Z", None),
    ],
)
def test_the_date_comes_from_the_arrival(row: str, data: str, arrival: str, time: str | None) -> None:
    assert read(rows(f"[{{name: t, {row}}}]"), data, arrived(arrival)).get("t") == time


def test_without_an_arrival_there_is_no_time() -> None:
    assert read(rows("[{name: t, type: u32, clock: seconds of day}]"), "00000001") == {}


def test_it_is_built() -> None:
    compiled = rows("[{name: t, type: u24, scale: 1/128, clock: seconds of day}]")
    build = GoldenBuild(name="b", message="sample", values={"t": "2026-03-01T23:59:59.000Z"}, hex="A8BF80")
    assert run_build(compiled, build) == []


@given(st.integers(1_000_000_000_000, 3_000_000_000_000), st.sampled_from(["ms", "seconds", "minutes"]))
def test_what_is_written_is_read(unix_ms: int, unit: str) -> None:
    clock = of_day(f"{unit} of day")
    assert clock is not None
    assert clock.read(clock.write(unix_ms, 3600), 3600, unix_ms) == iso_from_unix_ms(unix_ms)
