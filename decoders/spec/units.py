"""Units as specs write them: SI signs and what devices of this kind count in."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from decoders.spec.vocabulary import VOCABULARY

__all__ = ["UNITS", "known_unit", "meant_unit"]

_WORDS: Mapping[str, str] = {
    "length": "m mm cm km µm nm in ft mi",
    "area": "m² cm² km²",
    "volume": "m³ dm³ cm³ l ml L mL gal",
    "mass": "g kg mg t lb oz kg/m³",
    "time": "s ms µs min h d a",
    "angle": "° rad mrad %",
    "speed": "m/s km/h mm/s cm/s mph kn rpm 1/min °/s",
    "acceleration": "m/s² g mg",
    "force and pressure": "N kN Nm Pa hPa kPa MPa mbar bar dbar psi mmHg inHg mH2O kgf/cm²",
    "temperature": "°C K °F °C/h",
    "electricity": "V mV kV A mA µA Ω kΩ MΩ F µF C Ah mAh S mS/cm µS/cm dS/m",
    "magnetism": "T mT µT G mG",
    "power and energy": "W kW MW mW VA kVA var kvar J kJ MJ GJ Wh kWh MWh varh kvarh VAh kVAh cal kcal",
    "frequency": "Hz kHz MHz GHz 1/s pulses/s",
    "radio": "dB dBm dBi asu",
    "flow": "m³/h m³/s l/h l/min l/s L/min L/h ml/min kg/h g/s",
    "consumption": "l/100km l/h km/l kWh/m³ imp/kWh",
    "light and radiation": "lx lm cd W/m² µW/cm² µmol/m²/s UVI CPM µSv/h mSv Bq Bq/m³ pCi/L",
    "air and water": "% %RH ppm ppb µg/m³ mg/m³ mg/kg g/m³ mg/l µg/l g/l pH NTU FNU mg/L m³/m³ mm/h %vol %LEL",
    "sound": "dBA dBC dB(A)",
    "data": "bit byte B kB MB GB bit/s kbit/s Mbit/s",
    "counts": "steps people vehicles pulses counts bpm Ω/Ω V/V W/W",
}
UNITS: Mapping[str, tuple[str, ...]] = {
    **{quantity: tuple(words.split()) for quantity, words in _WORDS.items()},
    "standard metrics": tuple(dict.fromkeys(unit for word in VOCABULARY.values() for unit in word.units)),
}
"""Quantity -> units that raise no question."""

_CLOSE = 0.75  # units are short: half alike is another unit
_KNOWN = frozenset(unit for units in UNITS.values() for unit in units)
_MEANT: Mapping[str, str] = {
    "c": "°C",
    "degc": "°C",
    "deg c": "°C",
    "celsius": "°C",
    "℃": "°C",
    "f": "°F",
    "fahrenheit": "°F",
    "deg": "°",
    "degree": "°",
    "degrees": "°",
    "kmh": "km/h",
    "kph": "km/h",
    "km/hr": "km/h",
    "knots": "kn",
    "knot": "kn",
    "percent": "%",
    "rh": "%RH",
    "rh%": "%RH",
    "volt": "V",
    "volts": "V",
    "amp": "A",
    "ampere": "A",
    "watt": "W",
    "ohm": "Ω",
    "ohms": "Ω",
    "lux": "lx",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "minute": "min",
    "minutes": "min",
    "hour": "h",
    "hours": "h",
    "hr": "h",
    "day": "d",
    "days": "d",
    "meter": "m",
    "metre": "m",
    "meters": "m",
    "m3": "m³",
    "m3/h": "m³/h",
    "m2": "m²",
    "ug/m3": "µg/m³",
    "μg/m³": "µg/m³",
    "litre": "l",
    "liter": "l",
    "litres": "l",
    "liters": "l",
    "g-force": "g",
    "millibar": "mbar",
    "hertz": "Hz",
    "uv": "UVI",
}
_BY_LOWER = {unit.lower(): unit for unit in sorted(_KNOWN)}


def known_unit(unit: str) -> bool:
    return unit in _KNOWN


def meant_unit(unit: str) -> str:
    """The known unit that this text nearly is, or ""."""
    plain = unit.strip().lower().replace("^", "")
    found = _MEANT.get(plain) or _BY_LOWER.get(plain) or _BY_LOWER.get(plain.replace("u", "µ", 1))
    if found is None:
        close = difflib.get_close_matches(plain, _BY_LOWER, 1, _CLOSE)
        found = _BY_LOWER[close[0]] if close else ""
    return found
