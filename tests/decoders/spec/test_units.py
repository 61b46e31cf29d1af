from __future__ import annotations

import pytest

from decoders.spec.units import UNITS, known_unit, meant_unit
from decoders.spec.vocabulary import VOCABULARY


def test_every_unit_of_a_standard_metric_is_known() -> None:
    assert all(known_unit(unit) for word in VOCABULARY.values() for unit in word.units)
    assert all(units for units in UNITS.values())


@pytest.mark.parametrize(
    ("given", "meant"),
    [("c", "°C"), ("Celsius", "°C"), ("KMH", "km/h"), ("m^3", "m³"), ("volts", "V"), ("dbm", "dBm"), ("xyzzy", "")],
)
def test_what_was_meant(given: str, meant: str) -> None:
    assert not known_unit(given)
    assert meant_unit(given) == meant
