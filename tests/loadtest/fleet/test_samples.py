from __future__ import annotations

import io
from typing import cast

import pytest

from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.crowd import FACES, Crowd
from loadtest.fleet.samples import Sampler
from loadtest.fleet.tally import Tally


class _Crowd:
    """As much of a crowd as a sampler looks at."""

    def __init__(self) -> None:
        self.tallies = {face: Tally(face) for face in FACES}

    def open(self) -> int:
        return 3


class _Gateways:
    def __init__(self) -> None:
        self.used_s = 10.0

    def cpu_s(self) -> float:
        return self.used_s

    def rss_kib(self) -> int:
        return 2048

    async def metrics(self) -> dict[str, float]:
        return {"iotlink_sink_backlog_records": 5}

    def check_alive(self) -> None:
        """They are."""


def sampler(out: io.StringIO, clock: list[float]) -> tuple[Sampler, _Crowd, _Gateways]:
    crowd, gateways = _Crowd(), _Gateways()
    made = Sampler(cast(Crowd, crowd), SinkBalance(), gateways, lambda: clock[0], out, began=100.0)
    return made, crowd, gateways


def test_a_sample_is_what_came_since_the_last_one() -> None:
    clock = [100.0]
    made, crowd, gateways = sampler(io.StringIO(), clock)
    made.take()
    crowd.tallies["tcp"].sent += 20
    crowd.tallies["mqtt"].sent += 10
    crowd.tallies["tcp"].answered(100.0, 100.5)
    gateways.used_s += 1.0
    clock[0] = 102.0
    sample = made.take()
    assert (sample.at_s, sample.sent, sample.answered, sample.waiting) == (2.0, 15, 0.5, 29)
    assert (sample.open, sample.rss_mib, sample.cpu) == (3, 2.0, 0.5)
    assert sample.answer_ms is not None
    assert sample.answer_ms[2] == 500
    assert sample.sink_ms is None
    clock[0] = 103.0
    assert made.take().answer_ms is None


async def test_it_tells_how_it_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = [100.0], io.StringIO()
    made, crowd, _ = sampler(out, clock)
    turns = 0

    async def sleep(seconds: float) -> None:
        nonlocal turns
        turns += 1
        clock[0] += seconds
        crowd.tallies["rest"].sent += 7
        if turns > 25:
            raise InterruptedError

    monkeypatch.setattr("asyncio.sleep", sleep)
    with pytest.raises(InterruptedError):
        await made.run("mine")
    assert len(made.samples) == 25
    assert made.samples[0].backlog == 5
    lines = out.getvalue().splitlines()  # no terminal: now and then a line
    assert len(lines) == 2
    assert lines[0].startswith("mine     10 s  sent      7/s")
    made.end_line()
    assert len(out.getvalue().splitlines()) == 2
