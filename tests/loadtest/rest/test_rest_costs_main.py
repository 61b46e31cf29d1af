"""The tables of `python -m loadtest.rest`, of a real gateway and a small load."""

from __future__ import annotations

import sys

import pytest

from loadtest.faults.processes import RunFailed
from loadtest.rest.__main__ import check_lines, main
from loadtest.rest.loads import Uploaded


@pytest.mark.e2e
def test_both_tables(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--records", "200", "--rounds", "1", "--upload-mb", "0.3", "--broken-every", "900")
    monkeypatch.setattr(sys, "argv", ["loadtest.rest", *options])
    assert main() == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    names = [row.split(" | ")[0].removeprefix("| ") for row in rows]
    floor = "- the same to bare aiohttp"
    assert names.count(floor) == 3
    assert [name for name in names if name not in ("load", "upload", floor)] == [
        "one record a request, 50 connections",
        "100 records a request (JSON array), 8 connections",
        "100 records a request (NDJSON), 8 connections",
        "NDJSON",
        "CSV",
    ]


def done(accepted: int, rejected: int, errors: int, truncated: bool, broken: int = 2) -> Uploaded:
    answer = {"accepted": accepted, "rejected": rejected, "errors": [{}] * errors, "errors_truncated": truncated}
    return Uploaded(10 + broken, broken, 1, 1.0, 207, answer, (1, 1, 1))


def test_every_line_must_be_accounted_for() -> None:
    check_lines(done(10, 2, 2, False))
    check_lines(done(10, 2_000, 1_000, True, 2_000))
    for wrong in (done(9, 2, 2, False), done(10, 3, 3, False)):
        with pytest.raises(RunFailed, match="were answered as"):
            check_lines(wrong)
    for wrong in (done(10, 2, 1, False), done(10, 2, 2, True)):
        with pytest.raises(RunFailed, match="broken lines"):
            check_lines(wrong)
