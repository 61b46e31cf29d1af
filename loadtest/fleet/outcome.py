"""What a run came to: figures, the balance, and whether its aims were met; as text, and as plain data.

Place in the walk: made by the runner, shown by the report and the command line.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from loadtest.faults.balance import Balance
from loadtest.fleet.crowd import FACES
from loadtest.fleet.histogram import Histogram
from loadtest.fleet.model import Scenario
from loadtest.fleet.samples import Sample

__all__ = ["Aim", "Happened", "Outcome", "Resources", "machine"]


@dataclass(slots=True)
class Resources:
    """What processes used. frames: acknowledged between the two looks at the CPU time. growth_mib: of the gateways'
    memory in the second half of the outage, or of the load where there is none."""

    gateway_cpu_s: float = 0.0
    fleet_cpu_s: float = 0.0
    frames: int = 0
    rss_empty_mib: float = 0.0  # before anybody had connected
    rss_most_mib: float = 0.0
    rss_end_mib: float = 0.0
    idle_kib: float | None = None
    growth_mib: float | None = None

    @property
    def cpu_s_per_100k(self) -> float | None:
        return self.gateway_cpu_s / self.frames * 100_000 if self.frames and self.gateway_cpu_s else None

    @property
    def fleet_cpu_s_per_100k(self) -> float | None:
        return self.fleet_cpu_s / self.frames * 100_000 if self.frames else None


@dataclass(slots=True)
class Happened:
    """An event of the scenario. until_s: when it was over; None: at once, or never."""

    at_s: float
    what: str
    until_s: float | None = None


@dataclass(slots=True)
class Aim:
    """What a figure shall be at most, and is."""

    what: str
    wanted: float
    found: float | None

    @property
    def met(self) -> bool:
        return self.found is not None and self.found <= self.wanted


@dataclass(slots=True)
class Outcome:
    """checked: the sink was read, so that the balance says more than what was answered. offered: frames a second that
    were due, over the measured load."""

    scenario: Scenario
    started_at: str
    machine: dict[str, str]
    balance: Balance
    checked: bool
    seconds: float
    offered: float
    answers: dict[str, Histogram]
    logins: Histogram
    until_sink: Histogram
    late: Histogram
    counts: dict[str, dict[str, int]]
    errors: dict[str, int]
    resources: Resources
    samples: list[Sample]
    happened: list[Happened]
    other_records: int = 0
    back_s: float | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def all_answers(self) -> Histogram:
        """Of all devices that take part in the rate."""
        merged = Histogram()
        for name, histogram in self.answers.items():
            if name in FACES:
                merged.merge(histogram)
        return merged

    @property
    def holds(self) -> bool:
        """Nothing that was acknowledged is lost, out of order or misnamed, and the run went as it should."""
        return self.balance.holds and not self.problems

    @property
    def aims(self) -> list[Aim]:
        return list(self._aims())

    def _aims(self) -> Iterator[Aim]:
        aims = self.scenario.aims
        answers, sink, used = self.all_answers, self.until_sink, self.resources
        for what, wanted, found in (
            ("answer p99, ms", aims.answer_p99_ms, answers.percentile(99) if answers.count else None),
            ("in the sink p99, ms", aims.sink_p99_ms, sink.percentile(99) if sink.count else None),
            ("gateway CPU s per 100,000 frames", aims.cpu_s_per_100k, used.cpu_s_per_100k),
            ("memory of an idle session, KiB", aims.idle_kib, used.idle_kib),
            ("growth of memory, MiB", aims.growth_mib, used.growth_mib),
            ("all devices back after, s", aims.back_s, self.back_s),
        ):
            if wanted is not None:
                yield Aim(what, wanted, None if found is None else round(found, 3))

    def figures(self) -> list[tuple[str, str]]:
        """The figures that a reader wants first, as text."""
        balance, used = self.balance, self.resources
        deaf = self.counts.get("deaf", {}).get("sent", 0)
        rows = [
            ("frames due", f"{balance.sent}" + (f", {deaf} of them of deaf devices" if deaf else "")),
            ("acknowledged", f"{balance.acknowledged}"),
            ("offered", f"{self.offered:.0f}/s over {self.seconds:.0f} s"),
        ]
        if self.checked:
            rows += [
                ("in the sink", f"{balance.arrived}"),
                ("lost", f"{balance.lost}"),
                ("out of order", f"{balance.disordered}"),
                ("repeated", f"{balance.repeated} (same gateway_id, epoch, seq)"),
                ("resent", f"{balance.resent} (by devices that missed an answer)"),
            ]
        else:
            rows.append(("in the sink", "not looked at"))
        for name, histogram in self.answers.items():
            if histogram.count:
                rows.append((f"answer {name}", _shown(histogram)))
        for name, histogram in (
            ("in the sink after", self.until_sink),
            ("let in after", self.logins),
            ("generator late by", self.late),
        ):
            if histogram.count:
                rows.append((name, _shown(histogram)))
        if self.back_s is not None:
            rows.append(("all devices back after", f"{self.back_s:.1f} s"))
        rows += self._usage(used)
        return rows

    @staticmethod
    def _usage(used: Resources) -> Iterator[tuple[str, str]]:
        if used.cpu_s_per_100k is not None:
            yield "gateway CPU", f"{used.cpu_s_per_100k:.2f} s per 100,000 frames ({used.gateway_cpu_s:.1f} s)"
        if used.fleet_cpu_s_per_100k is not None:
            yield "generator CPU", f"{used.fleet_cpu_s_per_100k:.2f} s per 100,000 frames ({used.fleet_cpu_s:.1f} s)"
        if used.rss_most_mib:
            yield (
                "gateway memory",
                f"{used.rss_empty_mib:.0f} MiB empty, {used.rss_most_mib:.0f} at most, "
                f"{used.rss_end_mib:.0f} at the end",
            )
        if used.growth_mib is not None:
            yield "growth of memory", f"{used.growth_mib:+.1f} MiB in the second half"
        if used.idle_kib is not None:
            yield "memory of an idle session", f"{used.idle_kib:.1f} KiB"

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "scenario": self.scenario.model_dump(mode="json"),
            "started_at": self.started_at,
            "machine": self.machine,
            "holds": self.holds,
            "problems": self.problems,
            "checked": self.checked,
            "balance": asdict(self.balance),
            "other_records": self.other_records,
            "seconds": round(self.seconds, 3),
            "offered_per_s": round(self.offered, 1),
            "answer_ms": {name: one.figures() for name, one in self.answers.items() if one.count},
            "sink_ms": self.until_sink.figures(),
            "login_ms": self.logins.figures(),
            "late_ms": self.late.figures(),
            "back_s": self.back_s,
            "resources": {
                **asdict(self.resources),
                "cpu_s_per_100k": self.resources.cpu_s_per_100k,
                "fleet_cpu_s_per_100k": self.resources.fleet_cpu_s_per_100k,
            },
            "aims": [{**asdict(aim), "met": aim.met} for aim in self.aims],
            "counts": self.counts,
            "errors": self.errors,
            "happened": [asdict(one) for one in self.happened],
            "samples": [asdict(one) for one in self.samples],
        }


def machine() -> dict[str, str]:
    """What a figure depends on, beside the code."""
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        pass  # not a Linux
    return {
        "cores": f"{os.cpu_count()} {model}".strip(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def _shown(histogram: Histogram) -> str:
    figures = histogram.figures()
    return ", ".join(f"{name} {figures[name]:.2f}" for name in ("p50", "p99", "p99.9", "max")) + " ms"
