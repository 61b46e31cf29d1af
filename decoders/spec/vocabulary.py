"""The metric vocabulary: standard names, so that thirty specs do not name one thing five ways. Own names are allowed.

A name may carry a number (`temperature_2`) and then means the same quantity.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["ALIASES", "VOCABULARY", "Word", "meant", "word_of"]

_NUMBER = re.compile(r"_?\d+$")
_CLOSE = 0.85


@dataclass(slots=True, frozen=True)
class Word:
    """One standard name. units: those that are usual, the first one preferred; () for what has none."""

    name: str
    quantity: str
    units: tuple[str, ...] = ()


def _words(*rows: tuple[str, str, str]) -> dict[str, Word]:
    return {name: Word(name, quantity, tuple(units.split())) for name, quantity, units in rows}


VOCABULARY: Mapping[str, Word] = _words(
    # position
    ("latitude", "degrees north, negative in the south", "°"),
    ("longitude", "degrees east, negative in the west", "°"),
    ("altitude", "height above sea level", "m"),
    ("speed", "speed over ground", "km/h"),
    ("course", "direction of movement, clockwise from north", "°"),
    ("satellites", "satellites used or seen", ""),
    ("hdop", "horizontal dilution of precision", ""),
    ("pdop", "position dilution of precision", ""),
    ("accuracy", "radius in which the position lies", "m"),
    ("valid", "whether the position is a fix", ""),
    ("odometer", "distance driven in total", "m km"),
    ("trip_odometer", "distance of this trip", "m km"),
    ("distance", "distance to an object or since the last report", "m mm cm km"),
    # power and radio
    ("battery_voltage", "voltage of the device's own battery", "V"),
    ("battery_level", "charge of the device's own battery", "%"),
    ("battery_current", "current of the device's own battery", "A"),
    ("external_voltage", "voltage of the supply", "V"),
    ("charging", "whether the battery is being charged", ""),
    ("rssi", "received signal strength", "dBm"),
    ("snr", "signal to noise ratio", "dB"),
    ("gsm_signal", "signal strength in the network's own steps", ""),
    # environment
    ("temperature", "temperature of air or of the object", "°C"),
    ("humidity", "relative humidity", "%RH"),
    ("pressure", "air or process pressure", "hPa kPa bar Pa"),
    ("co2", "carbon dioxide in the air", "ppm"),
    ("tvoc", "volatile organic compounds in the air", "ppb µg/m³ ug/m3"),
    ("pm2_5", "particles up to 2.5 µm", "µg/m³ ug/m3"),
    ("pm10", "particles up to 10 µm", "µg/m³ ug/m3"),
    ("illuminance", "light", "lx"),
    ("noise", "sound level", "dB dBA"),
    ("soil_moisture", "water in the soil", "%"),
    ("rainfall", "rain", "mm"),
    ("wind_speed", "speed of the wind", "m/s km/h"),
    ("wind_direction", "where the wind comes from", "°"),
    # energy and flow
    ("voltage", "voltage", "V mV"),
    ("current", "current", "A mA"),
    ("power", "active power", "W kW"),
    ("energy", "active energy in total", "kWh Wh"),
    ("frequency", "mains frequency", "Hz"),
    ("power_factor", "active by apparent power", ""),
    ("volume", "volume in total", "m³ m3 l L"),
    ("flow", "volume in time", "m³/h m3/h l/h l/min L/min"),
    ("resistance", "electric resistance", "Ω ohm kΩ"),
    # vehicle and machine
    ("ignition", "whether the ignition is on", ""),
    ("movement", "whether it moves", ""),
    ("engine_rpm", "speed of the engine", "rpm"),
    ("rpm", "rotations of a fan or motor", "rpm"),
    ("engine_load", "load of the engine", "%"),
    ("engine_hours", "running time of the engine", "h s"),
    ("coolant_temperature", "temperature of the coolant", "°C"),
    ("throttle", "position of the throttle", "%"),
    ("fuel_level", "fuel in the tank", "% l L"),
    ("fuel_used", "fuel used in total", "l L"),
    ("vibration", "strength of vibration", "mm/s g m/s²"),
    ("acceleration_x", "acceleration along x", "g m/s²"),
    ("acceleration_y", "acceleration along y", "g m/s²"),
    ("acceleration_z", "acceleration along z", "g m/s²"),
    # states and names
    ("alarm", "what the device warns of", ""),
    ("event", "what made the device send", ""),
    ("door_open", "whether the door is open", ""),
    ("occupancy", "whether somebody is there", ""),
    ("motion", "whether something moves in front of it", ""),
    ("tamper", "whether somebody opened or removed it", ""),
    ("button", "which button was pressed", ""),
    ("counter", "pulses or pieces in total", ""),
    ("uptime", "time since the last start", "s"),
    ("firmware", "version of the firmware", ""),
    ("iccid", "number of the SIM card", ""),
    ("imsi", "subscriber in the mobile network", ""),
    ("imei", "number of the mobile device", ""),
    ("driver_id", "who drives", ""),
    ("ibutton", "key of the driver", ""),
    ("vin", "number of the vehicle", ""),
)

ALIASES: Mapping[str, str] = {
    "lat": "latitude",
    "lon": "longitude",
    "lng": "longitude",
    "long": "longitude",
    "alt": "altitude",
    "elevation": "altitude",
    "heading": "course",
    "bearing": "course",
    "direction": "course",
    "velocity": "speed",
    "sats": "satellites",
    "sat": "satellites",
    "satellite_count": "satellites",
    "mileage": "odometer",
    "vbat": "battery_voltage",
    "batt_v": "battery_voltage",
    "bat_v": "battery_voltage",
    "battery_mv": "battery_voltage",
    "soc": "battery_level",
    "battery_percent": "battery_level",
    "battery_percentage": "battery_level",
    "temp": "temperature",
    "air_temperature": "temperature",
    "hum": "humidity",
    "rh": "humidity",
    "relative_humidity": "humidity",
    "light": "illuminance",
    "lux": "illuminance",
    "signal_strength": "rssi",
    "acc_on": "ignition",
    "acc_x": "acceleration_x",
    "acc_y": "acceleration_y",
    "acc_z": "acceleration_z",
}
"""Other words for the same thing."""

_BY_PLAIN = {name.replace("_", ""): name for name in VOCABULARY}


def word_of(name: str) -> Word | None:
    """The standard word that a metric's name is, with or without a number behind it."""
    return VOCABULARY.get(name) or VOCABULARY.get(_NUMBER.sub("", name))


def meant(name: str) -> str:
    """The standard name that an own name nearly is, or ""."""
    if word_of(name) is not None:
        return ""
    plain = name.lower()
    number = _NUMBER.search(plain)
    tail = f"_{number[0].lstrip('_')}" if number else ""
    plain = _NUMBER.sub("", plain)
    found = ALIASES.get(plain)
    parts = plain.split("_")
    own = len(parts) > 1 and any(part in VOCABULARY for part in parts)  # `cabin_temperature` is no slip
    if found is None and not own:
        close = difflib.get_close_matches(plain.replace("_", ""), _BY_PLAIN, 1, _CLOSE)
        found = _BY_PLAIN[close[0]] if close else None
    return f"{found}{tail}" if found is not None else ""
