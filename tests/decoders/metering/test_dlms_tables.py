"""Units and names of DLMS: names of values, one unit for a quantity."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.metering.dlms_tables import BASE_UNITS, UNITS, fixed_names, obis_name, obis_unit, quantity_names
from decoders.spec.model_words import NAME


@pytest.mark.parametrize(
    ("code", "name", "unit"),
    [
        ("1.0.1.8.0.255", "energy_import", "kWh"),
        ("1.1.2.8.2.255", "energy_export_tariff_2", "kWh"),
        ("1.0.3.8.0.255", "reactive_energy_import", "kvarh"),
        ("1.0.9.7.0.255", "apparent_power_import", "VA"),
        ("1.0.16.7.0.255", "power", "W"),
        ("1.0.1.6.0.255", "power_import_max", "W"),
        ("1.0.21.7.0.255", "power_import_phase_1", "W"),
        ("1.0.42.7.0.255", "power_export_phase_2", "W"),
        ("1.0.61.8.0.255", "energy_import_phase_3", "kWh"),
        ("1.0.31.7.0.255", "current_phase_1", "A"),
        ("1.0.72.7.0.255", "voltage_phase_3", "V"),
        ("1.0.14.7.0.255", "frequency", "Hz"),
        ("1.0.13.7.0.255", "power_factor", ""),
        ("1.0.1.8.0.3", "energy_import_billing_3", "kWh"),
        ("0.0.1.0.0.255", "date_time", None),
        ("0.0.96.1.0.255", "serial_number", None),
        ("1.1.0.2.129.255", "list_version", None),
        ("7.0.3.1.0.255", "obis_7_0_3_1_0", None),
        ("1.0.99.1.0.255", "obis_1_0_99_1_0", None),
    ],
)
def test_codes_have_names_and_names_units(code: str, name: str, unit: str | None) -> None:
    assert obis_name(bytes(map(int, code.split(".")))) == name
    assert obis_unit(name) == unit


@given(st.binary(min_size=6, max_size=6))
def test_every_code_has_a_name(code: bytes) -> None:
    assert NAME.fullmatch(obis_name(code))


def test_units_have_one_base() -> None:
    bases = {base for base, _ in BASE_UNITS.values()}
    assert set(BASE_UNITS) <= set(UNITS.values())
    assert not bases & set(BASE_UNITS)
    assert all(NAME.fullmatch(name) for name in (*quantity_names(), *fixed_names()))
