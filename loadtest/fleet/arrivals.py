"""When frames are due: moments that follow from the scenario alone, whatever the gateway does (an open loop).

Place in the walk: the fleet asks which moments have come; every duration is counted from them, so that what a slow
gateway holds up is counted as waiting (no coordinated omission).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Arrivals", "Stretch"]


@dataclass(slots=True, frozen=True)
class Stretch:
    """So many seconds in which the rate (a second) goes from one to another on a straight line."""

    seconds: float
    rate: float
    to: float

    @property
    def count(self) -> float:
        return self.seconds * (self.rate + self.to) / 2


class Arrivals:
    """Moments in seconds from the start. even: one after the other as the rate says; random: as of many devices that
    know nothing of each other (Poisson)."""

    def __init__(
        self, stretches: Sequence[Stretch], spacing: Literal["even", "random"] = "even", seed: int = 1
    ) -> None:
        self._stretches = list(stretches)
        self._random = random.Random(seed) if spacing == "random" else None
        self._place = 0  # the stretch that the next moment is in
        self._began = 0.0
        self._before = 0.0  # expected moments of the stretches before
        self._target = 0.0 if self._random is None else self._random.expovariate(1.0)
        self._next = self._find()

    @property
    def seconds(self) -> float:
        return sum(stretch.seconds for stretch in self._stretches)

    @property
    def next(self) -> float:
        """The moment that is due next; infinite when there is none."""
        return self._next

    def due(self, now: float) -> list[float]:
        """All moments until now that were not given yet, rising."""
        moments = []
        while self._next <= now:
            moments.append(self._next)
            self._target += 1.0 if self._random is None else self._random.expovariate(1.0)
            self._next = self._find()
        return moments

    def _find(self) -> float:
        """The moment at which the expected count reaches the target."""
        while self._place < len(self._stretches):
            stretch = self._stretches[self._place]
            count = self._target - self._before
            if count < stretch.count:
                slope = (stretch.to - stretch.rate) / stretch.seconds
                # of rate*t + slope*t²/2 = count the root that also holds for slope 0
                root = math.sqrt(max(0.0, stretch.rate * stretch.rate + 2 * slope * count))
                divisor = stretch.rate + root
                return self._began + (2 * count / divisor if divisor else 0.0)
            self._place += 1
            self._began += stretch.seconds
            self._before += stretch.count
        return math.inf
