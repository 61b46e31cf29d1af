"""Formats by name: words as records have them, units by readable names."""

from __future__ import annotations

import pytest

from decoders.metering.formats import FORMATS, unit_by_name


def test_words_are_spelled_as_records_have_them() -> None:
    assert FORMATS["mbus"].spoken("8c 01 06") == "8C0106"
    assert FORMATS["mbus"].spoken("volume") == "volume"
    assert FORMATS["dlms"].spoken("1-0:1.8.0") == "1.0.1.8.0.255"


@pytest.mark.parametrize(
    ("name", "formats", "unit"),
    [
        ("volume_storage_2", ("mbus",), "m³"),
        ("io.volume_storage_2", ("mbus",), "m³"),
        ("volume_storage_2", ("dlms",), ""),
        ("energy_import", ("dlms",), "kWh"),
        ("energy_import_raw", ("dlms",), ""),
        ("frequency", ("dlms", "mbus"), "Hz"),
        ("volume", (), ""),
        ("own_name", ("mbus", "dlms"), ""),
    ],
)
def test_units_by_readable_name(name: str, formats: tuple[str, ...], unit: str) -> None:
    assert unit_by_name(name, formats) == unit


def test_examples_and_nearest_words_are_words() -> None:
    for given in FORMATS.values():
        assert given.examples
        assert all(given.known(word) is not None for word in given.nearest())
