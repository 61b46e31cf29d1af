"""`spec new`: the files of a product that works, to be changed line by line into the real one."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["KINDS", "bad_name", "scaffold"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")

_HEAD = """\
# {title}. Change this file row by row into what the protocol document says, and after each change run
#   iotlink spec test {product} --specs DIR      golden frames, the first difference field by field
#   iotlink spec lint {product} --specs DIR      what is missing, with a fix for each
#   iotlink decode {product} HEX --explain --specs DIR
product: {product}
title: {title}
vendor: Name of the vendor
source: Name and revision of the protocol document
version: 1 # raise it with every change that readers of the records see
"""

_TCP = """\
endian: big # a type may say otherwise: u16le

# Every frame:  A5 | length | type | body | serial | check
frame:
  header:
    - {{name: start, type: u8, const: 0xA5}} # constants in front tell where a frame begins
    - {{name: length, type: u8, counts: type..check}} # in bytes, from the first to the last of these
    - {{name: type, type: u8}}
  trailer:
    - {{name: serial, type: u16}}
    - {{name: check, crc: crc16_modbus, over: length..serial, endian: little}}
  max_bytes: 64

enums:
  mode: {{0: off, 1: heating, 2: cooling, _: null}} # `_` is every other value; null is no value

messages:
  login: # says which device holds the connection; later frames need not
    when: {{type: 0x01}}
    record: none
    fields:
      - {{name: device, type: bcd, bytes: 6, identity: device}}
    replies: [ack]

  status:
    title: What the device measures
    when: {{type: 0x02}}
    fields:
      - {{name: time, type: unix32}} # a clock called `time` is the record's time
      - {{name: temperature, type: i16, scale: 0.1, unit: "°C", range: [-40, 125], required: true}}
      - {{name: humidity, type: u8, unit: "%RH", range: [0, 100], absent: 0xFF}}
      - {{name: flags, type: u8, bits: {{door_open: 0, mode: {{at: 1-2, enum: mode}}}}}}
    replies: [ack]

  ack: {{downlink: true, when: {{type: 0x06}}}} # serial of the request, length and check value come by themselves
"""
_TCP_GOLDEN = """\
# Frames as they stand on the wire, and what must come out. Each message has a good, a truncated and a corrupt one.
source: made with the spec; replace them by frames of a real device
cases:
  - name: login
    hex: "{login}"
    message: login
    values: {{device: "004512345678", serial: 1}}
    records: []
    replies: ["{login_ack}"]
  - {{name: "login, truncated", hex: "{login_cut}", message: login, error: truncated}}
  - {{name: "login, corrupt", hex: "{login_bad}", message: login, error: bad_check}}
  - name: status
    hex: "{status}"
    message: status
    values: {{time: "2026-03-01T12:00:00.000Z", temperature: 26.3, humidity: 45, door_open: true, mode: cooling}}
    flags: {{}}
    replies: ["{status_ack}"]
  - name: status without humidity
    hex: "{dry}"
    message: status
    values: {{temperature: -12.5, mode: off}}
    absent: [humidity]
  - {{name: "status, truncated", hex: "{status_cut}", message: status, error: truncated}}
  - {{name: "status, corrupt", hex: "{status_bad}", message: status, error: bad_check}}
"""
_TCP_FRAMES = {
    "login": "a50b010045123456780001fa51",
    "login_ack": "a5050600012129",
    "login_cut": "a50b01004512",
    "login_bad": "a50b010045123456790001fa51",
    "status": "a50d0269a42a4001072d0500027421",
    "status_ack": "a5050600026128",
    "dry": "a50d0269a42a40ff83ff0000037958",
    "status_cut": "a50d0269a42a400107",
    "status_bad": "a50d0269a42a4001062d0500027421",
}

_PAYLOAD = """\
endian: big # a type may say otherwise: u16le

# The whole payload is one message (LoRaWAN, MQTT, REST: what arrives together). Its rows, in the order of the bytes:
fields:
  - {{name: layout, type: u8, const: 1}} # the only value that is known; another is refused
  - {{name: battery_voltage, type: u16, scale: 0.001, unit: V, range: [2.0, 4.2]}}
  - {{name: temperature, type: i16, scale: 0.01, unit: "°C", range: [-40, 85], absent: 0x7FFF}}
  - {{name: humidity, type: u8, scale: 0.5, unit: "%RH", range: [0, 100]}}
  - name: status
    type: u8
    bits: {{door_open: 0, tamper: 1, event: {{at: 2-3, enum: {{0: timer, 1: motion, _: null}}}}}}
"""
_PAYLOAD_GOLDEN = """\
# Payloads as they arrive, and what must come out. Each message has a good, a truncated and a corrupt one.
source: made with the spec; replace them by payloads of a real device
cases:
  - name: uplink
    hex: "010ce40a465b05"
    message: uplink
    values: {{battery_voltage: 3.3, temperature: 26.3, humidity: 45.5, door_open: true, tamper: false, event: motion}}
    flags: {{}}
  - name: frost, no probe
    hex: "010ce47fff5b00"
    message: uplink
    values: {{event: timer}}
    absent: [temperature]
  - {{name: truncated, hex: "010ce40a46", message: uplink, error: truncated}}
  - {{name: corrupt, hex: "020ce40a465b05", message: uplink, error: bad_const}}
"""

_TLV = """\
endian: little # a type may say otherwise: u16be

# The payload is a list of items: key, value, key, value ... One row for each tag of the document.
items:
  key: {{type}}
  on_unknown: refuse # or `stop`: ignore it and all behind it; with a `length` also `skip`
  tags:
    0x0175: {{name: battery_level, type: u8, unit: "%", range: [0, 100]}}
    0x0367: {{name: temperature, type: i16, scale: 0.1, unit: "°C", range: [-40, 85]}}
    0x0468: {{name: humidity, type: u8, scale: 0.5, unit: "%RH"}}
    0x0500: {{name: door_open, type: u8, enum: {{0: false, 1: true}}}}
    0x20CE: # a reading of the past: several rows under one key
      - list: history
        count: 1
        fields:
          - {{name: at, type: unix32}}
          - {{name: temperature, type: i16, scale: 0.1, unit: "°C"}}
""".replace("{{type}}", "u16be # of 1 or 2 bytes; `length: u8` below it when a length stands before each value")
_TLV_GOLDEN = """\
# Payloads as they arrive, and what must come out. Each message has a good, a truncated and a corrupt one.
source: made with the spec; replace them by payloads of a real device
cases:
  - name: battery, temperature and humidity
    hex: "0175640367070104685b"
    message: uplink
    values: {{battery_level: 100, temperature: 26.3, humidity: 45.5}}
    flags: {{}}
  - name: door and a reading of the past
    hex: "05000120ce402aa4690701"
    message: uplink
    values: {{door_open: true, history: [{{at: "2026-03-01T12:00:00.000Z", temperature: 26.3}}]}}
  - {{name: truncated, hex: "0175640367", message: uplink, error: truncated}}
  - {{name: corrupt, hex: "01756403ff0701", message: uplink, error: unknown_tag}}
"""

_TEXT = """\
# Every frame is a line of text:  $device,TYPE,value,value,...#
frame:
  format: text # rows read characters, and marks are text as well
  start: "$"
  stop: "#"
  split: "," # what stands between two values
  header:
    - {{name: device, identity: device}} # a row without a type is text up to the next mark
    - {{name: type}}
  max_bytes: 256

messages:
  position:
    when: {{type: POS}}
    fields:
      - {{name: time, clock: YYMMDDhhmmss}} # digits of a date; it is the record's time
      - {{name: valid, enum: {{A: true, V: false}}}}
      - {{name: latitude, type: ddmm, unit: "°", range: [-90, 90]}} # 4807.0380N
      - {{name: longitude, type: ddmm, unit: "°", range: [-180, 180]}}
      - {{name: speed, type: number, scale: 1.852, decimals: 2, unit: km/h}} # sent in knots
      - {{name: battery_level, type: number, unit: "%", optional: true}} # older devices do not send it
    replies: [{{text: "$OK,{{device}}#"}}]

  alarm:
    when: {{type: ALM}}
    record: alert
    fields:
      - {{name: alarm, enum: {{1: sos, 2: low_battery, _: other}}}}
    replies: [{{text: "$OK,{{device}}#"}}]
"""
_TEXT_GOLDEN = """\
# Frames as they stand on the wire, and what must come out. Each message has a good, a truncated and a corrupt one.
source: made with the spec; replace them by frames of a real device
cases:
  - name: position
    text: "$86012345,POS,260301120000,A,4807.0380N,01131.0000W,10.0,95#"
    message: position
    values:
      {{device: "86012345", time: "2026-03-01T12:00:00.000Z", valid: true, latitude: 48.1173, longitude: -11.516666667,
        speed: 18.52, battery_level: 95}}
    flags: {{}}
    replies: ["244f4b2c383630313233343523"] # $OK,86012345#
  - name: position of an older device
    text: "$86012345,POS,260301120000,V,4807.0380S,01131.0000E,0#"
    message: position
    values: {{valid: false, latitude: -48.1173, speed: 0}}
    absent: [battery_level]
  - {{name: "position, truncated", text: "$86012345,POS,260301120000,A,4807.0", message: position, error: truncated}}
  - {{name: "position, corrupt", text: "$86012345,POS,260301120000,A,48x7.0380N,01131.0000W,10.0#", message: position,
     error: bad_value}}
  - {{name: alarm, text: "$86012345,ALM,1#", message: alarm, values: {{alarm: sos}}}}
  - {{name: "alarm, truncated", text: "$86012345,ALM,", message: alarm, error: truncated}}
  - {{name: "alarm, corrupt", text: "$86012345,ALM,1,7#", message: alarm, error: trailing_bytes}}
"""

_JSON = """\
# Every frame is one JSON object on a line; over MQTT and REST it is the whole payload.
transports: [tcp, mqtt, rest]
frame: {{format: json, begins: "7B", until: "\\n", max_bytes: 4096}}

messages:
  climate:
    json: # which objects it is, and where its values stand: `a.b`, `list[0].x`
      when: {{type: climate}}
      values: {{device: id, time: at, temperature: data.t, humidity: data.h, battery_voltage: "bat[0].v"}}
    fields:
      - {{name: device, identity: device}}
      - {{name: time, type: unix32}}
      - {{name: temperature, unit: "°C", range: [-40, 85], required: true}}
      - {{name: humidity, unit: "%RH", range: [0, 100]}}
      - {{name: battery_voltage, unit: V}}
  alarm:
    record: alert
    json: {{when: {{type: alarm}}, values: {{device: id, alarm: code}}}}
    fields:
      - {{name: device, identity: device}}
      - {{name: alarm}}
"""
_JSON_GOLDEN = """\
# Objects as they arrive, and what must come out. Each message has a good, a truncated and a corrupt one.
source: made with the spec; replace them by frames of a real device
cases:
  - name: climate
    text: |
      {{"type": "climate", "id": "d-7", "at": 1772366400, "data": {{"t": 21.5, "h": 45}}, "bat": [{{"v": 3.3}}]}}
    message: climate
    values: {{device: d-7, time: "2026-03-01T12:00:00.000Z", temperature: 21.5, humidity: 45, battery_voltage: 3.3}}
    flags: {{}}
  - {{name: "climate, truncated", text: '{{"type": "climate", "id"', message: climate, error: bad_document}}
  - name: climate, corrupt
    text: |
      {{"type": "climate", "id": "d-7", "at": 1772366400, "data": {{"t": NaN}}}}
    message: climate
    error: bad_document
  - name: alarm
    text: |
      {{"type": "alarm", "id": "d-7", "code": "smoke"}}
    message: alarm
    values: {{device: d-7, alarm: smoke}}
  - {{name: "alarm, truncated", text: '{{"type": "alarm", "id', message: alarm, error: bad_document}}
  - name: alarm, corrupt
    text: |
      {{"type": "alarm", "id": "d-7", "code": "smoke", "code": "fire"}}
    message: alarm
    error: bad_document
"""

_SPECS: Mapping[str, tuple[str, str]] = {
    "tcp": (_TCP, _TCP_GOLDEN),
    "payload": (_PAYLOAD, _PAYLOAD_GOLDEN),
    "text": (_TEXT, _TEXT_GOLDEN),
    "tlv": (_TLV, _TLV_GOLDEN),
    "json": (_JSON, _JSON_GOLDEN),
}
KINDS: Mapping[str, str] = {
    "tcp": "binary frames with length and check value, a login and an answer",
    "payload": "a fixed layout, such as a LoRaWAN payload",
    "text": "lines of text, values parted by commas",
    "tlv": "a list of tags, each with its value",
    "json": "JSON objects with paths to the values",
}
"""Kind of scaffold -> what it is for."""


def bad_name(name: str) -> str:
    """Why this cannot be the id of a product; "" when it can."""
    if _NAME.fullmatch(name):
        return ""
    return f"`{name}` is no id of a product: letters, digits, `_`, `.` and `-`, 64 at most, the first a letter or digit"


def scaffold(product: str, kind: str) -> dict[str, str]:
    """File name -> text. The spec is valid, its golden frames pass, and lint has nothing to say. Raises KeyError."""
    spec, golden = _SPECS[kind]
    title = re.sub(r"[_.-]+", " ", product).strip().capitalize()
    return {
        "spec.yaml": (_HEAD + spec).format(product=product, title=title),
        "golden/frames.yaml": golden.format(**_TCP_FRAMES),
    }
