"""The highest steady rate: rung after rung of a scenario, each a run at a higher rate, until one does not hold.

Place in the walk: above the runner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from decoders.catalog import Catalog
from loadtest.fleet.model import Scenario
from loadtest.fleet.outcome import Outcome
from loadtest.fleet.runner import run
from loadtest.fleet.scenario import Changes, change

__all__ = ["Rung", "climb", "table"]

_COLUMNS = ("rate", "answer p50 ms", "p99 ms", "sink p99 ms", "generator late p99 ms", "CPU s per 100,000", "lost", "")
_SAME_TWICE = 2


@dataclass(slots=True)
class Rung:
    """One run of the ladder. limit_ms: of the answers' p99."""

    rate: float
    limit_ms: float
    outcome: Outcome

    @property
    def held(self) -> bool:
        """Everything was answered in time, and is in the sink."""
        return self.why == ""

    @property
    def why(self) -> str:
        """What did not hold; "" when all did."""
        outcome = self.outcome
        if not outcome.holds:
            return "; ".join(outcome.problems) or "the balance does not hold"
        if outcome.all_answers.percentile(99) > self.limit_ms:
            late = outcome.late.percentile(99)
            return "the generator is too slow for this" if late > self.limit_ms / 2 else "answers take too long"
        return ""

    def row(self) -> str:
        outcome = self.outcome
        answers, cpu = outcome.all_answers, outcome.resources.cpu_s_per_100k
        cells = (
            f"{self.rate:.0f}",
            f"{answers.percentile(50):.1f}",
            f"{answers.percentile(99):.1f}",
            f"{outcome.until_sink.percentile(99):.1f}",
            f"{outcome.late.percentile(99):.1f}",
            "-" if cpu is None else f"{cpu:.2f}",
            f"{outcome.balance.lost}",
            self.why or "held",
        )
        return "| " + " | ".join(cells) + " |"


def table(rungs: Sequence[Rung]) -> str:
    """Head and rows."""
    head = "| " + " | ".join(_COLUMNS) + " |\n|" + "---|" * len(_COLUMNS)
    return "\n".join([head, *(rung.row() for rung in rungs)])


async def climb(
    scenario: Scenario,
    catalog: Catalog,
    folder: Path,
    start: float,
    step: float,
    limit_ms: float,
    rungs: int,
    tell: Callable[[Rung], None],
) -> list[Rung]:
    """Tries rates from `start` on. A rung that does not hold is tried once more, since a machine has its moments; after
    the second failure the ladder ends. Raises what `run` raises."""
    climbed: list[Rung] = []
    failures = 0
    rate = start
    while len(climbed) < rungs and failures < _SAME_TWICE:
        place = folder / f"rung-{len(climbed)}"
        place.mkdir()
        outcome = await run(change(scenario, Changes(rate=rate)), catalog, place)
        rung = Rung(rate, limit_ms, outcome)
        climbed.append(rung)
        tell(rung)
        if rung.held:
            failures = 0
            rate += step
        else:
            failures += 1
    return climbed
