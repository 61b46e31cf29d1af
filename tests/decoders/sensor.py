"""A small product for tests that need a whole spec folder: login, status, acknowledgement, one variant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from decoders.catalog import LoadedProduct, build_product
from decoders.compile import compile_spec
from decoders.product import CompiledProduct
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate

SPEC = """\
product: sensor
title: Temperature sensor
source: Sensor protocol, revision 1
frame:
  header:
    - {name: start, type: u8, const: 0xA5}
    - {name: length, type: u8, counts: type..check}
    - {name: type, type: u8}
  trailer: [{name: serial, type: u8}, {name: check, crc: crc16_modbus, over: length..serial}]
messages:
  login:
    when: {type: 1}
    record: none
    fields: [{name: device, type: bcd, bytes: 3, identity: device}]
    replies: [ack]
  status:
    when: {type: 2}
    fields:
      - {name: temperature, type: i16, scale: 0.1, unit: "°C", range: [-40, 125]}
      - {name: time, type: unix32}
      - {name: flags, type: u8, bits: {door_open: 0, mode: {at: 1-2}}}
    replies: [ack]
  ack: {downlink: true, when: {type: 6}}
variants:
  coarse:
    title: Temperature sensor in whole degrees
    messages: {status: {fields: [{name: temperature, type: i16, unit: "°C"}, {name: time, type: unix32}, {skip: 1}]}}
"""
NOON_MS = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def compiled(text: str = SPEC) -> CompiledProduct:
    document = load(text, "spec.yaml")
    return compile_spec(validate(SpecFile, document), document)


_BUILDER = compiled()


def frame(message: str, **values: Any) -> bytes:
    """A frame of the sensor with sound length and check value."""
    kind = {"login": 1, "status": 2, "ack": 6}[message]
    values = {"serial": 1, "time": NOON_MS, "temperature": 26.3, "door_open": True, "mode": 2} | values
    return _BUILDER.encoders[0, message].encode(values, raw={"type": kind})


LOGIN = frame("login", device="123456")
STATUS = frame("status")
ACK = frame("ack")

GOLDEN = f"""\
source: made for this test
cases:
  - {{name: login, hex: "{LOGIN.hex()}", message: login, values: {{device: "123456"}}, replies: ["{ACK.hex()}"]}}
  - name: status
    hex: "{STATUS.hex()}"
    message: status
    values: {{temperature: 26.3, door_open: true, mode: 2, time: "2026-03-01T12:00:00.000Z"}}
    records: [{{temperature: 26.3}}]
    replies: ["{ACK.hex()}"]
  - {{name: coarse status, variant: coarse, hex: "{STATUS.hex()}", message: status, values: {{temperature: 263}}}}
  - {{name: half a status, hex: "{STATUS[:6].hex()}", error: truncated}}
  - {{name: changed status, hex: "{(STATUS[:-1] + bytes([STATUS[-1] ^ 1])).hex()}", error: bad_check}}
"""


def loaded(spec: str = SPEC, golden: str = GOLDEN, folder: str = "sensor", codec: str = "auto") -> LoadedProduct:
    return build_product(folder, spec, f"{folder}/spec.yaml", {f"{folder}/golden/made.yaml": golden}, codec)


def write_product(folder: Path, spec: str = SPEC, golden: str | None = GOLDEN, name: str = "sensor") -> Path:
    """A spec folder within `folder`; returns the spec file."""
    home = folder / name
    (home / "golden").mkdir(parents=True, exist_ok=True)
    (home / "spec.yaml").write_text(spec, encoding="utf-8")
    if golden is not None:
        (home / "golden" / "made.yaml").write_text(golden, encoding="utf-8")
    return home / "spec.yaml"
