"""A run second by second: what was sent and answered, how long it took, what the gateways used.

Place in the walk: taken by the runner while a run goes on, read by progress and report.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TextIO

from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.crowd import FACES, Crowd
from loadtest.fleet.histogram import Histogram

__all__ = ["Sample", "Sampler"]

SECOND_S = 1.0
_METRICS_EVERY = 5
_LINE_EVERY = 10  # where the output is no terminal


@dataclass(slots=True)
class Sample:
    """One second. at_s: since the load began, its warming up not included. answer_ms, sink_ms: p50, p99, greatest of
    what came in this second, or None. backlog: records that the sinks owe, as of the last look."""

    at_s: float
    sent: float  # a second
    answered: float
    in_sink: float
    open: int
    waiting: int  # due and not answered
    answer_ms: tuple[float, float, float] | None
    sink_ms: tuple[float, float, float] | None
    cpu: float  # cores that the gateways use
    rss_mib: float
    backlog: int


class Watched(Protocol):
    """The gateways, as far as they can be looked at from outside."""

    def cpu_s(self) -> float: ...

    def rss_kib(self) -> int: ...

    async def metrics(self) -> dict[str, float]: ...

    def check_alive(self) -> None: ...


@dataclass
class Sampler:
    """crowd, balance: what is sampled. watched: the gateways; None: they belong to somebody else."""

    crowd: Crowd
    balance: SinkBalance
    watched: Watched | None
    now: Callable[[], float]
    out: TextIO = sys.stderr
    began: float = 0.0  # of the load, without its warming up
    samples: list[Sample] = field(default_factory=list)
    _sent: int = 0
    _answered: int = 0
    _in_sink: int = 0
    _cpu_s: float = 0.0
    _at: float = 0.0
    _backlog: int = 0

    async def run(self, title: str) -> None:
        """Until cancelled. RunFailed: a gateway has ended."""
        self._at = self.now()
        self._cpu_s = self.watched.cpu_s() if self.watched is not None else 0.0
        while True:
            await asyncio.sleep(SECOND_S)
            if self.watched is not None:
                self.watched.check_alive()
                if len(self.samples) % _METRICS_EVERY == 0:
                    self._backlog = round((await self.watched.metrics()).get("iotlink_sink_backlog_records", 0))
            self.take()
            self._tell(title)

    def take(self) -> Sample:
        """One sample, of the time since the last one."""
        now = self.now()
        passed = max(1e-9, now - self._at)
        tallies = [self.crowd.tallies[face] for face in FACES]
        sent, answered = sum(one.sent for one in tallies), sum(one.acknowledged for one in tallies)
        in_sink = self.balance.balance.arrived
        answers = Histogram()
        for tally in tallies:
            answers.merge(tally.take_second())
        cpu_s = self.watched.cpu_s() if self.watched is not None else 0.0
        sample = Sample(
            at_s=round(now - self.began, 2),
            sent=(sent - self._sent) / passed,
            answered=(answered - self._answered) / passed,
            in_sink=(in_sink - self._in_sink) / passed,
            open=self.crowd.open(),
            waiting=sent - answered,
            answer_ms=_three(answers),
            sink_ms=_three(self.balance.take_second()),
            cpu=max(0.0, cpu_s - self._cpu_s) / passed,
            rss_mib=self.watched.rss_kib() / 1024 if self.watched is not None else 0.0,
            backlog=self._backlog,
        )
        self._at, self._sent, self._answered, self._in_sink, self._cpu_s = now, sent, answered, in_sink, cpu_s
        self.samples.append(sample)
        return sample

    def _tell(self, title: str) -> None:
        """One line that is written over on a terminal, now and then a line elsewhere."""
        terminal = self.out.isatty()
        if not terminal and len(self.samples) % _LINE_EVERY:
            return
        sample = self.samples[-1]
        p99 = f"{sample.answer_ms[1]:.1f}" if sample.answer_ms else "-"
        line = (
            f"{title} {sample.at_s:6.0f} s  sent {sample.sent:6.0f}/s  answered {sample.answered:6.0f}/s  "
            f"in sink {sample.in_sink:6.0f}/s  p99 {p99} ms  open {sample.open}  waiting {sample.waiting}  "
            f"cpu {sample.cpu:.2f}  rss {sample.rss_mib:.0f} MiB"
        )
        self.out.write(f"\r\x1b[2K{line}" if terminal else f"{line}\n")
        self.out.flush()

    def end_line(self) -> None:
        if self.samples and self.out.isatty():
            self.out.write("\n")


def _three(histogram: Histogram) -> tuple[float, float, float] | None:
    if not histogram.count:
        return None
    return histogram.percentile(50), histogram.percentile(99), histogram.greatest / 1000
