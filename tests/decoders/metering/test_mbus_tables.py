"""The tables of EN 13757-3: names and units are ones of a kind."""

from __future__ import annotations

from fractions import Fraction

from decoders.metering.mbus_tables import COMBINABLE, ERRORS, FB, FC, FD, FD_FD, PRIMARY, quantities
from decoders.spec.model_words import NAME
from decoders.spec.vocabulary import VOCABULARY


def test_a_quantity_has_one_unit() -> None:
    units: dict[str, set[str]] = {}
    for table in (PRIMARY, FB, FD, FD_FD):
        for code, quantity in table.items():
            assert 0 <= code < 0x80
            units.setdefault(quantity.name, set()).add(quantity.unit)
    assert all(len(found) == 1 for found in units.values()), units


def test_names_are_names_of_values() -> None:
    assert all(NAME.fullmatch(name) for name in quantities())
    assert all(not word.suffix or NAME.fullmatch(f"a{word.suffix}") for word in (*COMBINABLE.values(), *FC.values()))


def test_standard_names_have_their_standard_units() -> None:
    for name, quantity in quantities().items():
        word = VOCABULARY.get(name)
        assert word is None or not word.units or quantity.unit in word.units, name


def test_some_scales() -> None:
    assert PRIMARY[0x03].factor == Fraction(1, 1000)
    assert PRIMARY[0x13].factor == Fraction(1, 1000)
    assert PRIMARY[0x0E].factor == Fraction(10**6, 3_600_000)
    assert FB[0x01].factor == 1000
    assert FD[0x49].factor == 1
    assert COMBINABLE[0x76].factor == 1


def test_errors_and_modifiers_are_apart() -> None:
    assert not set(ERRORS) & set(COMBINABLE)
