"""How long to wait before trying again."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Exponential with full jitter: attempt n waits between 0 and `base_s * 2**(n-1)`, at most `cap_s`, seconds.

    Full jitter spreads the retries of many gateways; the random source returns values in [0, 1).
    """

    def __init__(self, base_s: float, cap_s: float, random_source: Callable[[], float] = random.random) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._random = random_source

    def delay_s(self, attempt: int) -> float:
        """Seconds to wait after failure number `attempt` in a row (1, 2, ...)."""
        doublings = min(attempt - 1, 32)  # beyond that the cap rules, and floats stay finite
        return min(self._cap_s, self._base_s * float(1 << doublings)) * self._random()
