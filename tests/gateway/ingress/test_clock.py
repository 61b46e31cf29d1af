from __future__ import annotations

import uuid

from gateway.ingress.clock import Clock, IdSource


def test_ids_carry_the_time_and_are_unique_beyond_one_pool() -> None:
    source = IdSource()
    made = [source.make(1_772_366_400_123) for _ in range(2_000)]
    assert len(set(made)) == len(made)
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
        assert parsed.int >> 80 == 1_772_366_400_123


def test_random_bits_are_used_whole() -> None:
    source = IdSource()
    seen = 0
    for _ in range(500):
        seen |= uuid.UUID(source.make(0)).int
    assert seen == (1 << 76 | 0x7 << 76 | 0xFFF << 64 | 0x2 << 62 | (1 << 62) - 1) & ~(0x8 << 76) | 0x8 << 60


def test_the_steady_clock_never_goes_back() -> None:
    clock = Clock()
    readings = [clock.steady_ms() for _ in range(100)]
    assert readings == sorted(readings)
    assert clock.unix_ms() > 1_700_000_000_000
