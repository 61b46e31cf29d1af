"""Examples of every call, as the OpenAPI document and the page for people show them.

Place in the walk: none. A test sends each of them to a running gateway: what is written here works.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from gateway.ingress.rest.media import Form
from gateway.ingress.rest.routes import Operation

__all__ = ["BATCH_ANSWERS", "CALLS", "PROBLEMS", "UPLOAD_ANSWERS", "BodyExample", "CallExamples"]

Json = dict[str, Any]


@dataclass(slots=True, frozen=True)
class BodyExample:
    """name: unique within its call. value: a JSON value, or text as it is sent."""

    name: str
    summary: str
    form: Form
    value: Any


@dataclass(slots=True, frozen=True)
class CallExamples:
    """parameters: that go with each body, by name. answer: what comes back, or something like it."""

    bodies: tuple[BodyExample, ...] = ()
    parameters: dict[str, str | int] = field(default_factory=dict)
    answer: Any = None


_TRUCK = {
    "device_id": "truck-17",
    "productId": "generic_json",
    "device_timestamp": "2026-03-01T08:00:00Z",
    "metrics": {"tempC": 4.5, "door_open": False},
}
_TRUCK_LATER = {
    "device_id": "truck-17",
    "productId": "generic_json",
    "ts": 1772352060,
    "metrics": {"tempC": 4.7, "door_open": True},
    "tags": {"route": "north"},
    "trace_id": "truck-17-000481",
}
_ALERT = {
    "device_id": "truck-17",
    "device_timestamp": "2026-03-01T08:01:00Z",
    "data": {"code": "door_open", "severity": "warning", "text": "The door is open while driving."},
}
_OTHER_ALERT = {**_ALERT, "device_id": "truck-18"}
_STATUS_HEX = "a50d02010704b00ce40a0e000716a7"
_STATUS_BASE64 = "pQ0CAQcEsAzkCg4ABxan"
_HOME = {
    "event_type": "state_changed",
    "data": {
        "entity_id": "sensor.kitchen_temperature",
        "old_state": None,
        "new_state": {
            "entity_id": "sensor.kitchen_temperature",
            "state": "21.4",
            "attributes": {"unit_of_measurement": "°C", "device_class": "temperature"},
            "last_updated": "2026-03-01T08:00:00+00:00",
        },
    },
}
_MESSAGE = {
    "topic": "devices/truck-17/telemetry",
    "payload": {"productId": "generic_json", "metrics": {"tempC": 4.5}},
}


def _lines(*items: Json) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


CALLS: dict[Operation, CallExamples] = {
    Operation.SEND_TELEMETRY: CallExamples(
        (
            BodyExample("one", "One item", Form.JSON, _TRUCK),
            BodyExample("batch", "A batch", Form.JSON, [_TRUCK, _TRUCK_LATER]),
            BodyExample("lines", "One item on a line", Form.NDJSON, _lines(_TRUCK, _TRUCK_LATER)),
            BodyExample(
                "table",
                "Columns as the product names its values",
                Form.CSV,
                "device_id,device_timestamp,tempC\ntruck-17,2026-03-01T08:00:00Z,4.5\ntruck-18,2026-03-01T08:00:00Z,3.9\n",
            ),
        ),
        {"product": "generic_json"},
    ),
    Operation.SEND_RECORDS: CallExamples(
        (
            BodyExample("one", "One alert", Form.JSON, _ALERT),
            BodyExample(
                "lines", "One alert on a line", Form.NDJSON, _lines(_ALERT, {**_ALERT, "device_id": "truck-18"})
            ),
        ),
        {"type": "alert"},
    ),
    Operation.SEND_FRAMES: CallExamples(
        (
            BodyExample("hex", "Hexadecimal digits", Form.HEX, _STATUS_HEX),
            BodyExample("base64", "Base64", Form.BASE64, _STATUS_BASE64),
            BodyExample("text", "Either of them", Form.TEXT, _STATUS_HEX),
            BodyExample("item", "As JSON", Form.JSON, {"hex": _STATUS_HEX, "device_id": "004512345678"}),
            BodyExample(
                "lines",
                "One frame on a line",
                Form.NDJSON,
                _lines({"hex": _STATUS_HEX}, {"base64": _STATUS_BASE64, "device_id": "004512345679"}),
            ),
        ),
        {"product": "example_thermo", "device_id": "004512345678"},
    ),
    Operation.SEND_HOME_ASSISTANT: CallExamples(
        (
            BodyExample("event", "An event as Home Assistant has it", Form.JSON, _HOME),
            BodyExample(
                "values",
                "Values by name",
                Form.JSON,
                {"ts": 1772352000, "fields": {"tempC": 21.4}, "tags": {"device_id": "kitchen", "room": "kitchen"}},
            ),
        ),
        {"client_id": "ha-home", "product": "generic_json"},
    ),
    Operation.SEND_MQTT_MESSAGES: CallExamples(
        (
            BodyExample("message", "A message", Form.JSON, _MESSAGE),
            BodyExample("lines", "One message on a line", Form.NDJSON, _lines(_MESSAGE, _MESSAGE)),
        ),
    ),
    Operation.GET_SPEC: CallExamples((), {"product": "example_thermo"}),
    Operation.DECODE_FRAME: CallExamples(
        (
            BodyExample("hex", "Hexadecimal digits", Form.HEX, _STATUS_HEX),
            BodyExample("item", "As JSON", Form.JSON, {"hex": _STATUS_HEX}),
        ),
        {"product": "example_thermo"},
        {
            "ok": True,
            "product": "example_thermo",
            "message": "status",
            "device_id": None,
            "values": {"type": 2, "tempC": 26.3, "rpm": 1200, "voltage": 3.3, "vibration": 0.5, "serial": 7},
            "records": [{"type": "telemetry", "productId": "example_thermo", "metrics": {"tempC": 26.3, "rpm": 1200}}],
            "replies": ["a505060007a12b"],
            "violations": [],
        },
    ),
}
"""Calls that are not here need neither parameters nor a body."""

_KEPT = {"index": 0, "status": "accepted", "record_id": "019cbe3d-2f00-7a61-9c1e-3b5d7f9a1c2e"}
_WRONG = {
    "index": 1,
    "status": "rejected",
    "error": {"code": "not_identified", "message": "no device is named, or its id is too long or not printable"},
}
BATCH_ANSWERS: dict[int, Json] = {
    200: {"accepted": 1, "rejected": 0, "items": [_KEPT]},
    207: {"accepted": 1, "rejected": 1, "items": [_KEPT, _WRONG]},
}
UPLOAD_ANSWERS: dict[int, Json] = {
    200: {"lines": 1_000_000, "accepted": 1_000_000, "rejected": 0, "errors": [], "errors_truncated": False},
    207: {
        "lines": 1_000_000,
        "accepted": 999_999,
        "rejected": 1,
        "errors": [{"line": 7, "code": "bad_document", "message": "no JSON"}],
        "errors_truncated": False,
    },
}


def _problem(status: int, code: str, detail: str, **more: Any) -> Json:
    document = {"type": f"urn:iotlink:problem:{code}", "title": code.replace("_", " ").capitalize(), "status": status}
    return document | {"code": code, "detail": detail} | more | {"request_id": "9f86d081884c7d65"}


PROBLEMS: dict[int, Json] = {
    400: _problem(400, "broken_text", "the body is not hexadecimal text: two digits for each byte are expected"),
    401: _problem(401, "invalid_key", "the API key is not valid here: mistyped, or of another gateway"),
    403: _problem(403, "not_allowed", "this caller may not do that"),
    404: _problem(404, "not_found", "there is no product of this name"),
    408: _problem(408, "slow_body", "the body came too slowly", limit={"name": "read_timeout_s", "value": 20}),
    409: _problem(
        409,
        "idempotency_key_in_progress",
        "the request with this Idempotency-Key is under way: ask again when it has ended",
    ),
    413: _problem(
        413,
        "too_large",
        "the body has more than 8388608 bytes",
        limit={"name": "rest.max_body_bytes", "value": 8388608},
    ),
    415: _problem(
        415, "unsupported_media_type", "Content-Type `text/html` is not taken here: one of application/json is expected"
    ),
    421: _problem(
        421,
        "wrong_host",
        "without credentials the Host header must name this machine: localhost or a loopback address",
    ),
    422: _problem(
        422,
        "nothing_accepted",
        "nothing was accepted; the first reason is not_identified: no device is named, or its id is too long or not "
        "printable",
        accepted=0,
        rejected=1,
        items=[{**_WRONG, "index": 0}],
    ),
    429: _problem(
        429,
        "limit_reached",
        "more than records_per_second allows; it goes on in 2 s",
        limit={"name": "records_per_second", "value": 500},
    ),
    500: _problem(500, "internal_error", "an error of ours; the log says more under this request_id"),
    503: _problem(
        503,
        "no_room",
        "the gateway has no room for more until what it holds is delivered",
        limit={"name": "spool.max_bytes"},
    ),
}
