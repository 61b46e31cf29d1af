"""Units and well-known names of DLMS/COSEM: unit codes (Blue Book 4.3.2) and OBIS codes (IEC 62056-6-1).

A quantity has one base unit, whatever unit the meter counts in: energy comes in kWh though meters count Wh.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

__all__ = ["BASE_UNITS", "UNITS", "obis_name", "obis_unit"]

UNITS: Mapping[int, str] = {
    1: "a", 2: "month", 3: "week", 4: "d", 5: "h", 6: "min", 7: "s", 8: "°", 9: "°C", 10: "currency", 11: "m",
    12: "m/s", 13: "m³", 14: "m³", 15: "m³/h", 16: "m³/h", 17: "m³/d", 18: "m³/d", 19: "l", 20: "kg", 21: "N", 22: "Nm",
    23: "Pa", 24: "bar", 25: "J", 26: "J/h", 27: "W", 28: "VA", 29: "var", 30: "Wh", 31: "VAh", 32: "varh", 33: "A",
    34: "C", 35: "V", 36: "V/m", 37: "F", 38: "Ω", 39: "Ωm²/m", 40: "Wb", 41: "T", 42: "A/m", 43: "H", 44: "Hz",
    45: "1/Wh", 46: "1/varh", 47: "1/VAh", 48: "V²h", 49: "A²h", 50: "kg/s", 51: "S", 52: "K", 53: "1/V²h", 54: "1/A²h",
    55: "1/m³", 56: "%", 57: "Ah", 60: "Wh/m³", 61: "J/m³", 62: "mol%", 63: "g/m³", 64: "Pa s", 65: "J/kg", 66: "g/cm²",
    67: "atm", 70: "dBm", 71: "dBµV", 72: "dB",
}  # fmt: skip
"""Unit code -> unit. 255 is "no unit"."""

BASE_UNITS: Mapping[str, tuple[str, Fraction]] = {
    "Wh": ("kWh", Fraction(1, 1000)),
    "varh": ("kvarh", Fraction(1, 1000)),
    "VAh": ("kVAh", Fraction(1, 1000)),
    "l": ("m³", Fraction(1, 1000)),
    "J": ("kWh", Fraction(1, 3_600_000)),
    "J/h": ("W", Fraction(1, 3600)),
    "Pa": ("bar", Fraction(1, 100_000)),
    "min": ("s", Fraction(60)),
    "h": ("s", Fraction(3600)),
    "d": ("s", Fraction(86_400)),
}
"""Units that become others, and what their values are multiplied by."""

# Electricity: group C, without the phase
_FLOWS: Mapping[int, str] = {
    1: "power_import",
    2: "power_export",
    3: "reactive_power_import",
    4: "reactive_power_export",
    5: "reactive_power_quadrant_1",
    6: "reactive_power_quadrant_2",
    7: "reactive_power_quadrant_3",
    8: "reactive_power_quadrant_4",
    9: "apparent_power_import",
    10: "apparent_power_export",
    15: "power_absolute",
    16: "power",
}
_STATES: Mapping[int, str] = {11: "current", 12: "voltage", 13: "power_factor", 14: "frequency"}
_SUMS = frozenset({8, 9, 18, 19, 29, 30, 58, 59})  # group D: time integrals, so that a power is an energy
_GROUP_D: Mapping[int, str] = {
    3: "_min",
    4: "_average",
    5: "_last_average",
    6: "_max",
    7: "",
    8: "",
    9: "_period",
    29: "_interval",
}
_UNIT_OF: Mapping[str, str] = {
    "power": "W",
    "reactive_power": "var",
    "apparent_power": "VA",
    "energy": "kWh",
    "reactive_energy": "kvarh",
    "apparent_energy": "kVAh",
    "current": "A",
    "voltage": "V",
    "frequency": "Hz",
    "power_factor": "",
}
_FIXED: Mapping[tuple[int, ...], str] = {
    (0, 1, 0, 0): "date_time",
    (0, 42, 0, 0): "logical_device_name",
    (0, 96, 1, 0): "serial_number",
    (0, 96, 1, 1): "serial_number_1",
    (0, 96, 1, 7): "meter_type",
    (0, 96, 14, 0): "tariff",
    (0, 97, 97, 0): "error_flags",
    (1, 0, 0, 5): "serial_number",
    (1, 0, 2, 129): "list_version",
    (1, 96, 1, 1): "meter_type",
}
"""Groups A, C, D, E -> name."""


def _electric(c: int, d: int) -> str:
    """Name of a quantity of electricity, "" for others."""
    phase = (c - 1) // 20 if 21 <= c <= 80 else 0
    c -= 20 * phase
    suffix = _GROUP_D.get(d)
    if suffix is None:
        return ""
    name = _FLOWS.get(c, "")
    if name and d in _SUMS:
        name = name.replace("power", "energy")
    elif not name and d not in _SUMS:
        name = _STATES.get(c, "")
    return f"{name}{f'_phase_{phase}' if phase else ''}{suffix}" if name else ""


def obis_name(obis: bytes) -> str:
    """A readable name: `energy_import`, `voltage_phase_1`, `energy_import_tariff_2`, else `obis_1_0_96_1_1`.

    Group B (the channel) does not count; group F (the billing period) is in the name unless it is 255.
    """
    a, b, c, d, e, f = obis
    name = _FIXED.get((a, c, d, e), "")
    if not name and a == 1:
        name = _electric(c, d)
        if name and e:
            name += f"_tariff_{e}"
    if not name:
        name = f"obis_{a}_{b}_{c}_{d}_{e}"
    return name if f == 255 else f"{name}_billing_{f}"


_TAIL = re.compile(
    r"(?:_import|_export|_absolute|_quadrant_\d)?(?:_phase_\d)?(?:_min|_average|_last_average|_max|_period|_interval)?"
    r"(?:_tariff_\d+)?(?:_billing_\d+)?"
)


def obis_unit(name: str) -> str | None:
    """Base unit of a readable name of a quantity; None for a name that is no quantity."""
    for quantity in sorted(_UNIT_OF, key=len, reverse=True):
        if name.startswith(quantity) and _TAIL.fullmatch(name, len(quantity)):
            return _UNIT_OF[quantity]
    return None


def fixed_names() -> frozenset[str]:
    """Names of what is no quantity."""
    return frozenset(_FIXED.values())


def quantity_names() -> tuple[str, ...]:
    """Names to look for the nearest one among."""
    flows = (name.replace("power", word) for name in _FLOWS.values() for word in ("power", "energy"))
    states = tuple(_STATES.values())
    return (*flows, *states, *(f"{name}_phase_1" for name in states), *sorted(fixed_names()))
