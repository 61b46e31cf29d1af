from __future__ import annotations

import random

from gateway.delivery.backoff import Backoff


def test_doubles_up_to_the_cap() -> None:
    backoff = Backoff(0.1, 1.0, random_source=lambda: 1.0)
    assert [backoff.delay_s(attempt) for attempt in range(1, 7)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_full_jitter_covers_everything_below() -> None:
    backoff = Backoff(0.1, 1.0, random_source=random.Random(1).random)
    delays = [backoff.delay_s(10) for _ in range(1000)]
    assert min(delays) < 0.05
    assert max(delays) > 0.95
    assert max(delays) <= 1.0


def test_stays_finite_after_days_of_failures() -> None:
    assert Backoff(0.1, 30.0, random_source=lambda: 1.0).delay_s(1_000_000) == 30.0
