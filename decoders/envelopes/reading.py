"""Reading a network server's document: EnvelopeUp, and access to its parts that names the place of what is wrong.

Place in the walk: below the openers, one for each network server.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from decoders.errors import DecodeCode, DecodeError
from decoders.times import iso_from_unix_ms, unix_ms_from_iso

__all__ = [
    "MAX_GATEWAYS",
    "MAX_PAYLOAD_BYTES",
    "MAX_TEXT",
    "EnvelopeUp",
    "Part",
    "Reception",
    "Tag",
    "best_of",
    "device_eui",
    "product_name",
]

MAX_TEXT = 256
"""Characters of a name, an id or a time."""

MAX_PAYLOAD_BYTES = 1_024
"""LoRaWAN carries 250 bytes at most (regional parameters, N); servers may put fragments together."""

MAX_GATEWAYS = 256
"""Receptions of one uplink that are looked at, the first ones."""

MAX_PORT = 255
_MAX_COUNTER = 0xFFFF_FFFF
_EUI = re.compile(r"[0-9A-Fa-f]{16}", re.ASCII)
_NO_NAME = re.compile(r"[^a-z0-9]+", re.ASCII)

Tag: TypeAlias = str | int | float


@dataclass(slots=True)
class EnvelopeUp:
    """What a network server says about one message of a device.

    kind: chirpstack_v4 | tts_v3 | milesight. device_id: the DevEUI as 16 hexadecimal digits in lower case, as hex
    values of the shipped specs are and as two of the three servers write it; The Things Stack's own id of a device
    that has no DevEUI. product: name of profile or model in the form of a product id, or ""; nobody has checked that
    there is such a product. port: LoRaWAN fPort. payload: the decrypted bytes. received: when the network server had
    it, RFC 3339 UTC with milliseconds, or "". tags: of the radio: `rssi` (dBm), `snr` (dB) and `gateway` of the
    gateway that heard it best, `gateways` (how many heard it), `frequency_hz`, `spreading_factor`, each where it is
    said. trace_id: the same when the server sends this message again, or "". counter: LoRaWAN frame counter.
    is_data: False for what holds no reading: joins, acknowledgements, states, uplinks without a payload.
    """

    kind: str
    device_id: str
    product: str = ""
    port: int = 0
    payload: bytes = b""
    received: str = ""
    tags: dict[str, Tag] = field(default_factory=dict)
    trace_id: str = ""
    counter: int | None = None
    is_data: bool = False


class Part:
    """An object of the document. `path` is "" for the document itself. All `DecodeError`s name the field's path.

    Nothing, null and "" are the same to all methods: servers leave out or empty what they do not know.
    """

    __slots__ = ("path", "values")

    def __init__(self, values: object, path: str = "") -> None:
        """Raises DecodeError if `values` is no JSON object."""
        if not isinstance(values, dict):
            raise _bad(path, f"an object is expected, not {_shown(values)}")
        self.values: dict[str, Any] = values
        self.path = path

    def at(self, key: str) -> str:
        """Path of a field."""
        return f"{self.path}.{key}" if self.path else key

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def needs(self, key: str, what: str) -> DecodeError:
        """The error of a field that is not there."""
        return _bad(self.at(key), f"{what} is missing")

    def part(self, key: str) -> Part | None:
        value = self.values.get(key)
        return None if value is None else Part(value, self.at(key))

    def parts(self, key: str) -> Iterator[Part]:
        """The objects of a list, the first `MAX_GATEWAYS` of them; whatever else is in it is passed over."""
        value = self.values.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            raise _bad(self.at(key), f"a list is expected, not {_shown(value)}")
        for index, item in enumerate(value[:MAX_GATEWAYS]):
            if isinstance(item, dict):
                yield Part(item, f"{self.at(key)}[{index}]")

    def text(self, key: str) -> str:
        value = self.values.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise _bad(self.at(key), f"a text is expected, not {_shown(value)}")
        if len(value) > MAX_TEXT:
            raise _bad(self.at(key), f"{len(value)} characters, at most {MAX_TEXT} are taken")
        return value

    def port(self, key: str) -> int:
        """0 to 255 (LoRaWAN 1.0.4 section 4.3.2); 0 where it is not said."""
        return self._whole(key, MAX_PORT) or 0

    def counter(self, key: str) -> int | None:
        return self._whole(key, _MAX_COUNTER)

    def time(self, key: str) -> str:
        """RFC 3339 in any zone and precision -> UTC with milliseconds; "" also before 1970 (a clock never set)."""
        text = self.text(key)
        if not text:
            return ""
        try:
            return iso_from_unix_ms(unix_ms_from_iso(text)) or ""
        except (ValueError, OverflowError):
            raise _bad(
                self.at(key),
                f"a time such as 2026-03-01T12:00:00Z is expected, not {_shown(text)}",
                DecodeCode.BAD_VALUE,
            ) from None

    def payload(self, key: str) -> bytes:
        """Base64 (RFC 4648 section 4), with or without padding."""
        value = self.values.get(key)
        if value is None:
            return b""
        if not isinstance(value, str):
            raise _bad(self.at(key), f"base64 text is expected, not {_shown(value)}")
        if len(value) > MAX_PAYLOAD_BYTES * 4 // 3 + 4:
            detail = f"{len(value)} characters of base64, at most {MAX_PAYLOAD_BYTES} bytes are taken"
            raise _bad(self.at(key), detail, DecodeCode.FRAME_TOO_LONG)
        text = value.rstrip("=")
        try:
            return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
        except ValueError:
            raise _bad(self.at(key), f"base64 text is expected, not {_shown(value)}", DecodeCode.BAD_VALUE) from None

    def said(self, key: str, into: dict[str, Tag], name: str) -> None:
        """Takes a number (or digits) said along the way; one that is none is left out, it costs no reading."""
        number = self.number(key)
        if number is not None:
            into[name] = number

    def number(self, key: str) -> int | float | None:
        value = self.values.get(key)
        if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) <= 15:
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if abs(value) < 1 << 53 and math.isfinite(value) else None

    def name(self, key: str) -> str:
        """A text said along the way, or ""."""
        value = self.values.get(key)
        return value if isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable() else ""

    def _whole(self, key: str, most: int) -> int | None:
        value = self.values.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise _bad(self.at(key), f"a whole number from 0 to {most} is expected, not {_shown(value)}")
        return value


@dataclass(slots=True)
class Reception:
    """One gateway that heard the message. rssi in dBm, snr in dB, None where it is not said."""

    gateway: str
    rssi: int | float | None
    snr: int | float | None


def best_of(receptions: list[Reception], into: dict[str, Tag]) -> None:
    """Puts in the gateway that heard it best: the strongest signal, then the cleanest."""
    if not receptions:
        return
    lowest = -math.inf
    best = max(
        receptions,
        key=lambda one: (lowest if one.rssi is None else one.rssi, lowest if one.snr is None else one.snr),
    )
    if best.rssi is not None:
        into["rssi"] = best.rssi
    if best.snr is not None:
        into["snr"] = best.snr
    if best.gateway:
        into["gateway"] = best.gateway
    into["gateways"] = len(receptions)


def device_eui(part: Part, key: str) -> str:
    """The DevEUI in lower case, or "" where it is not said. Raises DecodeError for what is none."""
    text = part.text(key)
    if text and not _EUI.fullmatch(text):
        detail = f"a DevEUI of 16 hexadecimal digits is expected, not {_shown(text)}"
        raise _bad(part.at(key), detail, DecodeCode.BAD_VALUE)
    return text.lower()


def product_name(*names: str) -> str:
    """`Milesight`, `EM300-TH` -> `milesight_em300_th`: in lower case, with `_` for what is neither letter nor digit."""
    return _NO_NAME.sub("_", " ".join(names).lower()).strip("_")


def _bad(path: str, detail: str, code: DecodeCode = DecodeCode.BAD_DOCUMENT) -> DecodeError:
    return DecodeError(code, f"{path}: {detail}" if path else detail, field=path)


def _shown(value: object) -> str:
    """What was there, short enough for a log line."""
    if isinstance(value, str):
        text = ascii(value[:40])
        return text if len(value) <= 40 else f"{text}..."
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else f"{value:.17g}"[:40] if isinstance(value, float) else _number(value)


def _number(value: object) -> str:
    return str(value) if isinstance(value, int) and abs(value) < 1 << 64 else "a number beyond 64 bits"
