"""What the value information of an M-Bus record means: EN 13757-3:2018, tables 10 to 18.

Every quantity has one name and one base unit, whatever power of ten or unit the meter counts in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

__all__ = [
    "COMBINABLE",
    "ERRORS",
    "FB",
    "FC",
    "FD",
    "FD_FD",
    "FUNCTIONS",
    "PRIMARY",
    "Modifier",
    "Quantity",
    "quantities",
]


@dataclass(slots=True, frozen=True)
class Quantity:
    """value = raw * factor + offset, in `unit`.

    kind: `number`, `bits` (an unsigned number without a scale: flags, counters, identifications) or `time` (a date, a
    date with time, or a time of day, by the size of the data).
    """

    name: str
    unit: str = ""
    factor: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    kind: str = "number"


@dataclass(slots=True, frozen=True)
class Modifier:
    """What a combinable VIFE does: words behind the quantity's name, a factor, an addition in steps of the VIF.

    kind, unit: what the value becomes ("" and None: stays). per: behind the unit. scaled: False where the scale of the
    quantity no longer counts. error: why there is no value.
    """

    suffix: str = ""
    factor: Fraction = Fraction(1)
    steps: Fraction = Fraction(0)
    kind: str = ""
    unit: str | None = None
    per: str = ""
    scaled: bool = True
    error: str = ""


FUNCTIONS = ("", "_max", "_min", "_error")
"""Bits 5 and 4 of the DIF: instantaneous, maximum, minimum, value during an error state."""

ERRORS: Mapping[int, str] = {
    0x01: "too_many_difes",
    0x02: "storage_number_not_implemented",
    0x03: "unit_number_not_implemented",
    0x04: "tariff_number_not_implemented",
    0x05: "function_not_implemented",
    0x06: "data_class_not_implemented",
    0x07: "data_size_not_implemented",
    0x0B: "too_many_vifes",
    0x0C: "illegal_vif_group",
    0x0D: "illegal_vif_exponent",
    0x0E: "vif_dif_mismatch",
    0x0F: "unimplemented_action",
    0x15: "no_data_available",
    0x16: "data_overflow",
    0x17: "data_underflow",
    0x18: "data_error",
    0x1C: "premature_end_of_record",
}
"""Table 18: a record with one of these VIFEs has no value."""

_JOULE = Fraction(1, 3_600_000)  # kWh
_CALORIE = Fraction(41868, 10_000) * _JOULE
_JOULE_PER_HOUR = Fraction(1, 3600)  # W
_CUBIC_FOOT = Fraction(28_316_846_592, 10**12)  # m³
_GALLON = Fraction(3_785_411_784, 10**12)  # m³, of the United States
_FAHRENHEIT = Fraction(5, 9)
_MONTH, _YEAR = 2_629_746, 31_556_952  # s, of the mean Gregorian year
_SPANS = (1, 60, 3600, 86_400)
_PER_SPAN = (
    ("second", "s"),
    ("minute", "min"),
    ("hour", "h"),
    ("day", "d"),
    ("week", "week"),
    ("month", "month"),
    ("year", "a"),
    ("revolution", "revolution"),
)
_PER_UNIT = (
    ("litre", "l"),
    ("cubic_metre", "m³"),
    ("kg", "kg"),
    ("kelvin", "K"),
    ("kwh", "kWh"),
    ("gj", "GJ"),
    ("kw", "kW"),
    ("kelvin_litre", "(K*l)"),
    ("volt", "V"),
    ("ampere", "A"),
)

_Table = dict[int, Quantity]


def _ten(exponent: int) -> Fraction:
    return Fraction(10) ** exponent


def _powers(first: int, count: int, name: str, unit: str, exponent: int, factor: Fraction = Fraction(1)) -> _Table:
    """`count` codes from `first` on, each ten times the one before; the first one counts in 10^exponent * factor."""
    return {first + step: Quantity(name, unit, _ten(exponent + step) * factor) for step in range(count)}


def _fahrenheit(first: int, name: str) -> _Table:
    offset = -32 * _FAHRENHEIT
    return {first + step: Quantity(name, "°C", _ten(step - 3) * _FAHRENHEIT, offset) for step in range(4)}


def _spans(first: int, name: str, spans: tuple[int, ...] = _SPANS) -> _Table:
    return {first + step: Quantity(name, "s", Fraction(span)) for step, span in enumerate(spans)}


def _bits(*rows: tuple[int, str]) -> _Table:
    return {code: Quantity(name, kind="bits") for code, name in rows}


def _times(*rows: tuple[int, str]) -> _Table:
    return {code: Quantity(name, kind="time") for code, name in rows}


PRIMARY: Mapping[int, Quantity] = {
    **_powers(0x00, 8, "energy", "kWh", -6),
    **_powers(0x08, 8, "energy", "kWh", 0, _JOULE),
    **_powers(0x10, 8, "volume", "m³", -6),
    **_powers(0x18, 8, "mass", "kg", -3),
    **_spans(0x20, "on_time"),
    **_spans(0x24, "operating_time"),
    **_powers(0x28, 8, "power", "W", -3),
    **_powers(0x30, 8, "power", "W", 0, _JOULE_PER_HOUR),
    **_powers(0x38, 8, "flow", "m³/h", -6),
    **_powers(0x40, 8, "flow", "m³/h", -7, Fraction(60)),
    **_powers(0x48, 8, "flow", "m³/h", -9, Fraction(3600)),
    **_powers(0x50, 8, "mass_flow", "kg/h", -3),
    **_powers(0x58, 4, "flow_temperature", "°C", -3),
    **_powers(0x5C, 4, "return_temperature", "°C", -3),
    **_powers(0x60, 4, "temperature_difference", "K", -3),
    **_powers(0x64, 4, "external_temperature", "°C", -3),
    **_powers(0x68, 4, "pressure", "bar", -3),
    **_times((0x6C, "date"), (0x6D, "date_time")),
    0x6E: Quantity("heat_cost"),
    **_spans(0x70, "averaging_duration"),
    **_spans(0x74, "actuality_duration"),
    **_bits((0x78, "fabrication_number"), (0x79, "identification"), (0x7A, "bus_address"), (0x7E, "any")),
}
"""Table 10, by the seven lower bits of the VIF."""

FB: Mapping[int, Quantity] = {
    **_powers(0x00, 2, "energy", "kWh", 2),
    **_powers(0x02, 2, "reactive_energy", "kvarh", 0),
    **_powers(0x04, 2, "apparent_energy", "kVAh", 0),
    **_powers(0x08, 2, "energy", "kWh", 8, _JOULE),
    **_powers(0x0C, 4, "energy", "kWh", 5, _CALORIE),
    **_powers(0x10, 2, "volume", "m³", 2),
    **_powers(0x14, 4, "reactive_power", "var", 0),
    **_powers(0x18, 2, "mass", "kg", 5),
    **_powers(0x1A, 2, "humidity", "%RH", -1),
    0x20: Quantity("volume", "m³", _CUBIC_FOOT),
    0x21: Quantity("volume", "m³", _CUBIC_FOOT / 10),
    **_powers(0x22, 2, "volume", "m³", -1, _GALLON),
    0x24: Quantity("flow", "m³/h", _GALLON * 60 / 1000),
    0x25: Quantity("flow", "m³/h", _GALLON * 60),
    0x26: Quantity("flow", "m³/h", _GALLON),
    **_powers(0x28, 2, "power", "W", 5),
    0x2A: Quantity("phase_angle_voltage", "°", Fraction(1, 10)),
    0x2B: Quantity("phase_angle", "°", Fraction(1, 10)),
    **_powers(0x2C, 4, "frequency", "Hz", -3),
    **_powers(0x30, 2, "power", "W", 8, _JOULE_PER_HOUR),
    **_powers(0x34, 4, "apparent_power", "VA", 0),
    **_fahrenheit(0x58, "flow_temperature"),
    **_fahrenheit(0x5C, "return_temperature"),
    **_powers(0x60, 4, "temperature_difference", "K", -3, _FAHRENHEIT),
    **_fahrenheit(0x64, "external_temperature"),
    0x68: Quantity("rating_factor", factor=Fraction(1, 4096)),
    0x69: Quantity("thermal_output_rating", factor=Fraction(1, 4096)),
    0x6A: Quantity("thermal_coupling_rating", factor=Fraction(1, 4096)),
    0x6B: Quantity("thermal_coupling_room", factor=Fraction(1, 4096)),
    0x6C: Quantity("thermal_coupling_heater", factor=Fraction(1, 4096)),
    0x6D: Quantity("low_temperature_rating", factor=Fraction(1, 4096)),
    0x6E: Quantity("display_scaling", factor=Fraction(1, 4096)),
    **_fahrenheit(0x70, "temperature_limit"),
    **_powers(0x74, 4, "temperature_limit", "°C", -3),
    **_powers(0x78, 8, "cumulated_max_power", "W", -3),
}
"""Table 14, behind the VIF FB: alternate units."""

FD: Mapping[int, Quantity] = {
    **_powers(0x00, 4, "credit", "", -3),
    **_powers(0x04, 4, "debit", "", -3),
    **_bits(
        (0x08, "access_number"),
        (0x09, "medium"),
        (0x0A, "manufacturer"),
        (0x0B, "parameter_set"),
        (0x0C, "model_version"),
        (0x0D, "hardware_version"),
        (0x0E, "firmware_version"),
        (0x0F, "software_version"),
        (0x10, "customer_location"),
        (0x11, "customer"),
        (0x12, "access_code_user"),
        (0x13, "access_code_operator"),
        (0x14, "access_code_system_operator"),
        (0x15, "access_code_developer"),
        (0x16, "password"),
        (0x17, "error_flags"),
        (0x18, "error_mask"),
        (0x19, "security_key"),
        (0x1A, "digital_output"),
        (0x1B, "digital_input"),
        (0x1C, "baud_rate"),
        (0x1D, "response_delay"),
        (0x1E, "retry"),
        (0x1F, "remote_control"),
        (0x20, "first_storage"),
        (0x21, "last_storage"),
        (0x22, "storage_block_size"),
        (0x23, "tariff_descriptor"),
        (0x2A, "operator_data"),
        (0x2B, "time_point_second"),
        (0x3A, "dimensionless"),
        (0x3B, "data_container"),
        (0x60, "reset_counter"),
        (0x61, "cumulation_counter"),
        (0x62, "control_signal"),
        (0x63, "day_of_week"),
        (0x64, "week_number"),
        (0x66, "parameter_activation"),
        (0x67, "supplier_information"),
        (0x72, "daylight_saving"),
        (0x73, "listening_window"),
        (0x75, "meter_stops"),
        (0x76, "manufacturer_container"),
    ),
    **_spans(0x24, "storage_interval", (*_SPANS, _MONTH, _YEAR)),
    **_spans(0x2C, "duration_since_readout"),
    **_times((0x30, "tariff_start"), (0x65, "day_change_time"), (0x70, "battery_change")),
    **_spans(0x31, "tariff_duration", (60, 3600, 86_400)),
    **_spans(0x34, "tariff_period", (*_SPANS, _MONTH, _YEAR)),
    **_spans(0x3C, "transmission_period"),
    **_powers(0x40, 16, "voltage", "V", -9),
    **_powers(0x50, 16, "current", "A", -12),
    **_spans(0x68, "duration_since_cumulation", (3600, 86_400, _MONTH, _YEAR)),
    **_spans(0x6C, "battery_operating_time", (3600, 86_400, _MONTH, _YEAR)),
    0x71: Quantity("rssi", "dBm"),
    0x74: Quantity("battery_remaining", "s", Fraction(86_400)),
}
"""Table 12, behind the VIF FD: everything that is no measured quantity, and electricity."""

FD_FD: Mapping[int, Quantity] = {
    **_bits((0x00, "selected_application")),
    **_spans(0x02, "battery_remaining", (_MONTH, _YEAR)),
}
"""Table 13, behind FD FD."""


def _combinable() -> Iterator[tuple[int, Modifier]]:
    yield 0x00, Modifier()
    yield 0x12, Modifier("_average")
    yield 0x13, Modifier("_inverse_profile", kind="hex")
    yield 0x14, Modifier("_deviation", scaled=False, unit="")
    yield 0x1D, Modifier()  # the content is as the standard says
    yield 0x1E, Modifier("_register_profile", kind="hex")
    yield 0x1F, Modifier("_profile", kind="hex")
    for step, (word, unit) in enumerate(_PER_SPAN):
        yield 0x20 + step, Modifier(f"_per_{word}", per=f"/{unit}")
    for channel in range(2):
        yield 0x28 + channel, Modifier(f"_per_input_pulse_{channel}")
        yield 0x2A + channel, Modifier(f"_per_output_pulse_{channel}")
    for step, (word, unit) in enumerate(_PER_UNIT):
        yield 0x2C + step, Modifier(f"_per_{word}", per=f"/{unit}")
    for step, (word, unit) in enumerate((("second", "s"), ("second_per_volt", "s/V"), ("second_per_ampere", "s/A"))):
        yield 0x36 + step, Modifier(f"_times_{word}", per=f"*{unit}")
    yield 0x39, Modifier("_start", kind="time", unit="")
    yield 0x3A, Modifier("_uncorrected")
    yield 0x3B, Modifier("_forward")
    yield 0x3C, Modifier("_backward")
    yield 0x3D, Modifier("_non_metric", unit="")
    yield 0x3E, Modifier("_base")
    yield 0x3F, Modifier("_obis", kind="hex")
    for upper, word in enumerate(("lower", "upper")):
        yield 0x40 + 8 * upper, Modifier(f"_{word}_limit")
        yield 0x41 + 8 * upper, Modifier(f"_{word}_limit_exceeds", kind="bits", unit="", scaled=False)
        yield 0x68 + 4 * upper, Modifier(f"_during_{word}_limit_exceed")
        for last, which in enumerate(("first", "last")):
            place = f"_{word}_limit_{which}"
            for end, edge in enumerate(("begin", "end")):
                yield 0x42 + 8 * upper + 4 * last + end, Modifier(f"{place}_{edge}", kind="time", unit="")
            for step, span in enumerate(_SPANS):
                code = 0x50 + 8 * upper + 4 * last + step
                yield code, Modifier(f"{place}_duration", Fraction(span), unit="s", scaled=False)
    for last, which in enumerate(("first", "last")):
        for step, span in enumerate(_SPANS):
            yield 0x60 + 4 * last + step, Modifier(f"_{which}_duration", Fraction(span), unit="s", scaled=False)
        for end, edge in enumerate(("begin", "end")):
            yield 0x6A + 4 * last + end, Modifier(f"_{which}_{edge}", kind="time", unit="")
    yield 0x69, Modifier("_leakage")
    yield 0x6D, Modifier("_overflow")
    for step in range(8):
        yield 0x70 + step, Modifier(factor=_ten(step - 6))
    for step in range(4):
        yield 0x78 + step, Modifier(steps=_ten(step - 3))
    yield 0x7D, Modifier(factor=Fraction(1000))
    yield 0x7E, Modifier("_future")


COMBINABLE: Mapping[int, Modifier] = dict(_combinable())
"""Table 15: VIFEs that may follow any VIF, but for 7C (more behind it, `FC`) and 7F (what follows is the vendor's)."""

FC: Mapping[int, Modifier] = {
    **{0x01 + step: Modifier(f"_phase_{step + 1}") for step in range(3)},
    0x04: Modifier("_neutral"),
    0x05: Modifier("_phase_1_2"),
    0x06: Modifier("_phase_2_3"),
    0x07: Modifier("_phase_3_1"),
    **{0x08 + step: Modifier(f"_quadrant_{step + 1}") for step in range(4)},
    0x0C: Modifier("_delta"),
    0x0D: Modifier("_alternative"),
    0x10: Modifier("_absolute"),
    0x11: Modifier("_unsigned", kind="bits"),
    0x12: Modifier("_flags", kind="bits"),
    0x13: Modifier("_to_meter"),
    0x14: Modifier("_from_meter"),
}
"""Table 16, behind the VIFE FC."""


def quantities() -> Mapping[str, Quantity]:
    """Every quantity by its name; of those with several scales the last one."""
    tables = (PRIMARY, FB, FD, FD_FD)
    return {quantity.name: quantity for table in tables for quantity in table.values()}
