from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from gateway.delivery.pacing import BYTES_PER_S
from loadtest.sizing import FLEETS, MIN_TASKS, Load, Prices, main, size, table

DOC = (Path(__file__).resolve().parents[2] / "docs/sizing.md").read_text("utf-8")
COMMANDS = re.findall(r"^python -m loadtest\.sizing(.*)$", DOC, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 1


@pytest.mark.parametrize("arguments", COMMANDS)
def test_tables_of_the_guide(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(arguments)) == 0
    assert capsys.readouterr().out in DOC


@pytest.mark.parametrize("devices", FLEETS)
def test_plain_is_a_kinesis_record_each(devices: int) -> None:
    found = size(devices, Load(every_s=60, record_bytes=687, peak=1))
    assert found.plain.million_puts == pytest.approx(devices / 60 * 730 * 3600 / 1e6)
    assert found.plain.gb_in == pytest.approx(devices / 60 * 730 * 3600 * 1024 / 1024**3)
    assert found.plain.shards == max(1, -(-devices // (60 * 900)))


def test_few_records_find_nobody_to_travel_with() -> None:
    found = size(100, Load())
    assert found.aggregated.million_puts == pytest.approx(found.plain.million_puts, rel=0.01)


def test_a_busy_task_fills_its_stripes() -> None:
    """10,000 records a second of one task: 20 requests a second, each with a record of all 64 stripes."""
    found = size(20_000, Load(every_s=1, peak=1, frames_per_task=10_000, requests_per_s=20))
    assert found.tasks == 2
    assert found.aggregated.million_puts * 1e6 / (730 * 3600) == pytest.approx(2 * 20 * 64, rel=0.01)
    assert found.aggregated.shards == pytest.approx(20_000 * 725 / BYTES_PER_S, abs=1)


def test_full_parcels_are_cut() -> None:
    """A request a second of 64 stripes: 20,000 records would be 214 KB in each."""
    found = size(20_000, Load(every_s=1, peak=1, frames_per_task=10_000, requests_per_s=1))
    assert found.aggregated.million_puts < found.plain.million_puts / 30
    assert found.aggregated.million_puts * 25_600 * 1e6 > 20_000 * 687 * 730 * 3600


@pytest.mark.parametrize(
    ("devices", "load", "tasks"),
    [
        (10, Load(), MIN_TASKS),
        (100_000, Load(), 5),  # by sessions
        (100_000, Load(every_s=5), 8),  # by frames: 40,000 a second at the peak
    ],
)
def test_tasks(devices: int, load: Load, tasks: int) -> None:
    assert size(devices, load).tasks == tasks


def test_spool_holds_an_outage() -> None:
    found = size(100_000, Load(every_s=10, record_bytes=500, peak=1, sessions_per_task=50_000))
    assert found.spool_bytes_per_s == 5_000_000
    assert found.spool_gib(2) == pytest.approx(18e9 / 1024**3)


def test_a_bill_needs_its_prices() -> None:
    found = size(60_000, Load(peak=1))
    assert found.plain.provisioned(Prices(shard_hour=2.0)) is None
    assert found.plain.provisioned(Prices(shard_hour=2.0, million_puts=1.0)) == pytest.approx(2 * 730 * 2 + 2628)
    assert found.plain.on_demand(Prices(stream_hour=1.0, gb_in=2.0)) == pytest.approx(730 + 2 * 2506.25, abs=0.1)
    heads = table([found], Prices(stream_hour=1.0, gb_in=2.0), 1)[0]
    assert "on demand" in heads
    assert "provisioned" not in heads


@pytest.mark.parametrize("wrong", [["--devices", "0"], ["--every", "nan"], ["--peak", "-1"], ["--shard-hour", "inf"]])
def test_impossible_figures(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(wrong)
    assert ended.value.code == 2
    assert "invalid" in capsys.readouterr().err
