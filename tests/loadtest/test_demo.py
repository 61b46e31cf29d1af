"""The README's first command: the demo's sums balance, with either sink."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.simulate.fleet import FleetReport
from loadtest.demo import play, show


@pytest.mark.parametrize("sink", ["file", "kinesis"])
async def test_the_sums_balance(tmp_path: Path, capsys: pytest.CaptureFixture[str], sink: str) -> None:
    assert await play(tmp_path, devices=8, frames=12, sink=sink)

    text = capsys.readouterr().out
    for word in ("frames sent", "acknowledged", "recorded", "dead-lettered"):
        assert word in text
    assert "NOT" not in text


def test_a_lost_record_does_not_balance(capsys: pytest.CaptureFixture[str]) -> None:
    report = FleetReport(devices=1, connected=1, sent=10, acknowledged=10, records=10)
    sums = {"received": 13, "accepted": 11, "duplicate": 0, "dead_lettered": 2, "refused": 0, "in flight": 0}

    assert show(report, 2, sums, 10, 2, "here")
    assert not show(report, 2, sums, 9, 2, "here")
    assert not show(report, 2, {**sums, "received": 14}, 10, 2, "here")
    assert "NOT every record is in the sink" in capsys.readouterr().out
