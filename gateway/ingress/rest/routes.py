"""The calls of the REST face, as data: what the server routes, and what the OpenAPI document says.

Place in the walk: none; whoever adds a call adds it here, and a handler for it in `handlers` or `catalog_calls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from gateway.access.scopes import Call
from gateway.ingress.rest.media import Form

__all__ = [
    "HEADERS",
    "RECORD_TYPES",
    "ROUTES",
    "Answered",
    "Operation",
    "Parameter",
    "Place",
    "Route",
]

RECORD_TYPES = ("alert", "control", "event", "file", "firmware", "log", "master", "presence", "telemetry")


class Operation(StrEnum):
    """`operationId`; each has one handler."""

    SEND_TELEMETRY = "sendTelemetry"
    SEND_RECORDS = "sendRecords"
    SEND_FRAMES = "sendFrames"
    SEND_HOME_ASSISTANT = "sendHomeAssistant"
    SEND_MQTT_MESSAGES = "sendMqttMessages"
    LIST_SPECS = "listSpecs"
    GET_SPEC = "getSpec"
    DECODE_FRAME = "decodeFrame"
    GET_OPENAPI = "getOpenapi"
    GET_DOCS = "getDocs"


class Place(StrEnum):
    PATH = "path"
    QUERY = "query"
    HEADER = "header"


class Answered(StrEnum):
    """What a call answers, beside problem documents.

    batch: 200 or 207, `BatchAnswer`'s document; of a streamed upload that of `UploadTally`. The others: 200 and an
    object of that name.
    """

    BATCH = "batch"
    SPEC_LIST = "spec_list"
    SPEC = "spec"
    DECODED = "decoded"
    OPENAPI = "openapi"
    PAGE = "page"


@dataclass(slots=True, frozen=True)
class Parameter:
    """name, place: as OpenAPI has them; a parameter of a path is always needed, others never. schema: JSON Schema."""

    name: str
    place: Place
    text: str
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})


@dataclass(slots=True, frozen=True)
class Route:
    """One call. template: as OpenAPI and aiohttp both write it; also: further ones that answer the same.

    right: what the caller must have; None: anybody may call. item: name of the component that one item of the body is,
    "" for calls without a body. forms: of the body, the first one where no Content-Type says. streams: NDJSON and CSV
    beyond `rest.stream_from_bytes` are taken line by line (`max_upload_bytes` instead of `max_body_bytes`).
    """

    operation: Operation
    method: str
    template: str
    summary: str
    text: str
    answered: Answered
    right: Call | None = None
    also: tuple[str, ...] = ()
    item: str = ""
    forms: tuple[Form, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    streams: bool = False


_NAME = {"type": "string", "maxLength": 256, "pattern": "^[^\\x00-\\x1f\\x7f-\\x9f]*$"}
_PRODUCT = Parameter(
    "product",
    Place.QUERY,
    "Product of items that name none, and whose device the directory does not know.",
    _NAME,
)
_DEVICE = Parameter("device_id", Place.QUERY, "Device of items that name none.", _NAME)
_WAIT = Parameter(
    "wait",
    Place.QUERY,
    "When the answer comes: `spooled` once everything is safe on the gateway's disk, `published` once the sinks have "
    "it. Without: as the gateway is configured (`ack_on`).",
    {"type": "string", "enum": ["spooled", "published"]},
)
_RETURN = Parameter(
    "return",
    Place.QUERY,
    "`errors` leaves the items that were accepted out of the answer.",
    {"type": "string", "enum": ["all", "errors"], "default": "all"},
)
_DELIMITER = Parameter(
    "delimiter",
    Place.QUERY,
    "Of CSV: `,`, `;`, `|` or `tab`. Without: the one that stands most often in the first line.",
    {"type": "string", "enum": [",", ";", "|", "tab"]},
)
_VARIANT = Parameter("variant", Place.QUERY, "Variant of the product, for frames that do not say it.", _NAME)
_PORT = Parameter(
    "port",
    Place.QUERY,
    "LoRaWAN port of frames, or what the spec takes as such.",
    {"type": "integer", "minimum": 0, "maximum": 255},
)
_SENDING = (_WAIT, _RETURN)

HEADERS = (
    Parameter(
        "Idempotency-Key",
        Place.HEADER,
        "Makes it safe to send the request again: nothing is recorded twice. For bodies that are not streamed.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    ),
    Parameter(
        "X-Request-Id",
        Place.HEADER,
        "Id of the request in answer and log: 1-64 letters, digits and `.` `_` `-`. Where it is none or another thing, "
        "the gateway makes one.",
    ),
)
"""Headers of every call that sends items; the second of every call at all."""

_BATCH_FORMS = (Form.JSON, Form.NDJSON)
_LINE_FORMS = (*_BATCH_FORMS, Form.CSV)
_ONE_FRAME_FORMS = (Form.OCTETS, Form.HEX, Form.BASE64, Form.TEXT, Form.JSON)
_FRAME_FORMS = (*_ONE_FRAME_FORMS, Form.NDJSON)

ROUTES: tuple[Route, ...] = (
    Route(
        Operation.SEND_TELEMETRY,
        "POST",
        "/v1/telemetry",
        "Send measured values",
        "One JSON object, an array of them, NDJSON (one object a line), or CSV with a header row. Each item becomes "
        "records by the spec of its product.",
        Answered.BATCH,
        Call.INGEST,
        item="TelemetryItem",
        forms=_LINE_FORMS,
        parameters=(_PRODUCT, _DEVICE, _DELIMITER, *_SENDING),
        streams=True,
    ),
    Route(
        Operation.SEND_RECORDS,
        "POST",
        "/v1/records/{type}",
        "Send records of one type",
        "Alerts, events, logs and other records; all but `telemetry` and `event` need no spec.",
        Answered.BATCH,
        Call.INGEST,
        item="RecordItem",
        forms=_BATCH_FORMS,
        parameters=(
            Parameter("type", Place.PATH, "Type of the records.", {"type": "string", "enum": list(RECORD_TYPES)}),
            _PRODUCT,
            _DEVICE,
            *_SENDING,
        ),
        streams=True,
    ),
    Route(
        Operation.SEND_FRAMES,
        "POST",
        "/v1/frames/{product}",
        "Send binary frames",
        "One frame as bytes, hexadecimal or base64 text, or JSON and NDJSON items that hold frames as text.",
        Answered.BATCH,
        Call.INGEST,
        item="FrameItem",
        forms=_FRAME_FORMS,
        parameters=(
            Parameter("product", Place.PATH, "Product whose frames these are.", _NAME),
            _DEVICE,
            _VARIANT,
            _PORT,
            *_SENDING,
        ),
        streams=True,
    ),
    Route(
        Operation.SEND_HOME_ASSISTANT,
        "POST",
        "/v1/ingest/ha/{client_id}",
        "Webhook for Home Assistant",
        "A `state_changed` event, a state object, `{ts, fields, tags}`, or an array of these. States without a value "
        "(`unknown`, `unavailable`) are accepted and make no record.",
        Answered.BATCH,
        Call.INGEST,
        also=("/ingest/ha/{client_id}",),
        item="HomeAssistantItem",
        forms=_BATCH_FORMS,
        parameters=(
            Parameter("client_id", Place.PATH, "Id of the client that calls.", _NAME),
            _PRODUCT,
            *_SENDING,
        ),
    ),
    Route(
        Operation.SEND_MQTT_MESSAGES,
        "POST",
        "/v1/ingest/mqtt-bridge",
        "Messages of an outside MQTT broker",
        "`{topic, payload}` items, read as if they had been published here; or the webhook documents of ChirpStack, "
        "The Things Stack and Milesight gateways.",
        Answered.BATCH,
        Call.INGEST,
        also=("/ingest/mqtt-bridge",),
        item="BridgeItem",
        forms=_BATCH_FORMS,
        parameters=(_PRODUCT, *_SENDING),
        streams=True,
    ),
    Route(
        Operation.LIST_SPECS,
        "GET",
        "/v1/specs",
        "List the products",
        "The products that the caller may have.",
        Answered.SPEC_LIST,
        Call.READ,
    ),
    Route(
        Operation.GET_SPEC,
        "GET",
        "/v1/specs/{product}",
        "Show a product",
        "Its messages with their values, units and limits.",
        Answered.SPEC,
        Call.READ,
        parameters=(Parameter("product", Place.PATH, "Id of the product.", _NAME),),
    ),
    Route(
        Operation.DECODE_FRAME,
        "POST",
        "/v1/specs/{product}:decode",
        "Try a frame",
        "What would become of one frame: values, records and replies. Nothing is kept.",
        Answered.DECODED,
        Call.READ,
        item="FrameItem",
        forms=_ONE_FRAME_FORMS,
        parameters=(Parameter("product", Place.PATH, "Id of the product.", _NAME), _DEVICE, _VARIANT, _PORT),
    ),
    Route(
        Operation.GET_OPENAPI,
        "GET",
        "/openapi.json",
        "This document",
        "OpenAPI 3.1.",
        Answered.OPENAPI,
    ),
    Route(
        Operation.GET_DOCS,
        "GET",
        "/docs",
        "The same for people",
        "A page without anything from elsewhere.",
        Answered.PAGE,
    ),
)
