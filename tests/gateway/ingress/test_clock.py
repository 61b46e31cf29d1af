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


def test_every_random_bit_is_used() -> None:
    source = IdSource()
    ones, zeros = 0, 0
    for _ in range(500):
        number = uuid.UUID(source.make(0)).int
        ones |= number
        zeros |= ~number
    random_bits = 0xFFF << 64 | (1 << 62) - 1
    assert ones & zeros & ((1 << 128) - 1) == random_bits


def test_the_time_of_an_id_is_its_own() -> None:
    source = IdSource()
    for unix_ms in (0, 1, 1, (1 << 48) - 1, 5):
        assert uuid.UUID(source.make(unix_ms)).int >> 80 == unix_ms


def test_the_steady_clock_never_goes_back() -> None:
    clock = Clock()
    readings = [clock.steady_ms() for _ in range(100)]
    assert readings == sorted(readings)
    assert clock.unix_ms() > 1_700_000_000_000
