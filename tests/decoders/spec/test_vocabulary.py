from __future__ import annotations

import pytest

from decoders.spec.vocabulary import ALIASES, VOCABULARY, meant, word_of


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("temprature", "temperature"),
        ("temp", "temperature"),
        ("temp2", "temperature_2"),
        ("Temperature", "temperature"),
        ("latitute", "latitude"),
        ("lng", "longitude"),
        ("batteryVoltage", "battery_voltage"),
        ("vbat", "battery_voltage"),
        ("humidty_3", "humidity_3"),
    ],
)
def test_a_near_miss_is_told_the_standard_name(name: str, word: str) -> None:
    assert meant(name) == word


@pytest.mark.parametrize(
    "name",
    ["temperature", "temperature_2", "cabin_temperature", "obd_speed", "tempC", "engine_rpm", "my_own_thing", "x"],
)
def test_standard_and_own_names_are_left_alone(name: str) -> None:
    assert meant(name) == ""


def test_a_number_behind_a_name_does_not_change_it() -> None:
    word = word_of("temperature_12")
    assert word is not None
    assert word.units == ("°C",)
    assert word_of("pm10") is VOCABULARY["pm10"]
    assert word_of("nothing_1") is None


def test_no_standard_name_is_a_near_miss_and_aliases_lead_to_standard_names() -> None:
    assert not [name for name in VOCABULARY if meant(name)]
    assert set(ALIASES.values()) <= VOCABULARY.keys()
    assert not ALIASES.keys() & VOCABULARY.keys()
