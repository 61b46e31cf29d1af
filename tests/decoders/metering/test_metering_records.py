"""What rows read of a record."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.metering.records import Record, field_of, local_moment


def record(raw: Any, value: Any, size: int = 4) -> Record:
    return Record(("0413",), "volume", value, raw, size, 0, size)


@pytest.mark.parametrize(
    ("raw", "size", "absent", "there"),
    [
        (5, 4, (), True),
        (5, 4, (5,), False),
        (5, 4, ((4, 6),), False),
        (5, 4, ((6, 9),), True),
        (-1, 4, (0xFFFFFFFF,), False),
        (-1, 2, (0xFFFFFFFF,), True),
        (-1, 4, (-1,), False),
        ("n/a", 0, ("n/a",), False),
        ("n/a", 0, ((1, 2),), True),
        (1.5, 0, ((1, 2),), False),
    ],
)
def test_sentinels_are_raw(raw: Any, size: int, absent: tuple[Any, ...], there: bool) -> None:
    given = record(raw, "value", size)
    assert field_of(given, "value", absent) == ("value" if there else None)
    assert field_of(given, "raw", absent) == (raw if there else None)


def test_times_that_do_not_exist() -> None:
    assert local_moment(2023, 2, 30, 0, 0, 0, summer=False) is None
    assert local_moment(2023, 2, 28, 0, 0, 0, summer=True).fold == 0
