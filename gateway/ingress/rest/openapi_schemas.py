"""What bodies and answers of the REST face look like: the components of the OpenAPI document.

Place in the walk: none; the contract in words and types. Bodies are read by the products' specs and answers are written
where they arise, so nothing here runs when data comes: tests hold both against these models.

A field that may be missing has None as its default here: it is then left out, and never `null`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, RootModel, WithJsonSchema
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from gateway.ingress.rest.answers import ItemStatus
from gateway.ingress.rest.uploads import MAX_ERRORS
from gateway.observe.problems import PROBLEM_TYPE

__all__ = ["component", "components"]

_REF = "#/components/schemas/{model}"
_HEX = r"^\s*([0-9A-Fa-f]{2}[ :-]?)*\s*$"
_BASE64 = r"^\s*([A-Za-z0-9+/_-]{4})*([A-Za-z0-9+/_-]{2,3}=*)?\s*$"
_ITEMS_READ_BY_SPEC = ConfigDict(extra="allow")

Text: TypeAlias = Annotated[Any, WithJsonSchema({"type": ["string", "null"]})]
Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Described(BaseModel):
    """All answers: nothing but what is written here."""

    model_config = ConfigDict(extra="forbid")


# Items


class TelemetryItem(BaseModel):
    """Measured values of one device at one time. Which names count, and what they mean, says the product's spec; names
    below are those that all products share. The values stand in `metrics`, `fields`, `data.metrics`, or beside them."""

    model_config = _ITEMS_READ_BY_SPEC

    device_id: str | None = Field(None, description="Id of the device; `device_uuid` is taken too.")
    productId: str | None = Field(None, description="Product of the device.")
    hub_id: str | None = Field(None, description="Hub that the device stands behind.")
    childDeviceId: str | None = Field(None, description="Id of the device, where it stands behind a hub.")
    device_timestamp: Any = Field(None, description="When it was measured: RFC 3339, Unix seconds or ms.")
    hub_timestamp: Any = Field(None, description="When the hub had it: RFC 3339, Unix seconds or ms.")
    ts: Any = Field(None, description="Another name of `device_timestamp`.")
    trace_id: Any = Field(None, description="Id of this item: it counts once, however often it is sent.")
    measurement: Any = Field(None, description="Name of what was measured, such as `climate`.")
    metrics: Any = Field(None, description="Values by name; objects in it are flattened with dots.")
    fields: Any = Field(None, description="Another name of `metrics`.")
    tags: Any = Field(None, description="Words by name that go with the values.")
    type: Any = Field(None, description="`telemetry` or `event`.")
    data: Any = Field(None, description="`{metrics}`, or `{bin, encoding, port}`: a frame as text.")
    nodes: Any = Field(None, description="Devices behind a hub: `{device_id, role, parent, metrics}`.")


class RecordItem(BaseModel):
    """One record. Of types without values (all but `telemetry` and `event`) everything but identity, times and tags
    becomes the `data` of the record. A `master` record needs `op` (`upsert`, `delete`), `table` and `keys`."""

    model_config = _ITEMS_READ_BY_SPEC

    device_id: str | None = Field(None, description="Id of the device; `device_uuid` is taken too.")
    productId: str | None = Field(None, description="Product of the device.")
    hub_id: str | None = Field(None, description="Hub that the device stands behind.")
    device_timestamp: Any = Field(None, description="When it happened: RFC 3339, Unix seconds or ms.")
    trace_id: Any = Field(None, description="Id of this item: it counts once, however often it is sent.")
    tags: Any = Field(None, description="Words by name that go with the record.")
    data: Any = Field(None, description="An object: what the record says.")
    op: Any = Field(None, description="Of `master`: `upsert` or `delete`.")
    table: Any = Field(None, description="Of `master`: name of the table.")
    keys: Any = Field(None, description="Of `master`: an object that names the row.")


class FrameItem(BaseModel):
    """One binary frame as text: either `hex` or `base64` says it."""

    model_config = ConfigDict(
        extra="allow", json_schema_extra={"oneOf": [{"required": [name]} for name in ("hex", "base64")]}
    )

    hex: Annotated[str, Field(pattern=_HEX)] | None = Field(None, description="The frame as hexadecimal digits.")
    base64: Annotated[str, Field(pattern=_BASE64)] | None = Field(None, description="The frame as base64.")
    device_id: Text = Field(None, description="Device, where the frame does not say it.")
    variant: Text = Field(None, description="Variant of the product.")
    port: Annotated[int, Field(ge=0, le=255)] | None = Field(None, description="LoRaWAN port.")
    trace_id: Text = Field(None, description="Id of this item: it counts once, however often it is sent.")


class NewState(BaseModel):
    """What an entity of Home Assistant is now."""

    model_config = _ITEMS_READ_BY_SPEC

    entity_id: str = Field(min_length=1, description="Such as `sensor.kitchen_temperature`.")
    state: Any = Field(description="Its value, as text.")
    attributes: Any = Field(None, description="Unit, device class and so on.")
    last_updated: Any = Field(None, description="When it was measured.")


class StateChange(BaseModel):
    """What has changed. Without a new state (the entity is gone) nothing is recorded."""

    model_config = _ITEMS_READ_BY_SPEC

    entity_id: Any = None
    new_state: NewState | None


class StateChanged(BaseModel):
    """An event of Home Assistant."""

    model_config = _ITEMS_READ_BY_SPEC

    event_type: Any = Field(None, description="`state_changed`.")
    data: StateChange


class Values(BaseModel):
    """Values by name, as automations send them."""

    model_config = _ITEMS_READ_BY_SPEC

    fields: dict[str, Any] = Field(description="Values by name.")
    ts: Any = Field(None, description="When it was measured.")
    tags: Any = Field(None, description="Words by name that go with the values; `device_id` in it names the device.")


class HomeAssistantItem(RootModel[StateChanged | NewState | Values]):
    """What Home Assistant knows of an entity: an event, a state, or values."""


class BrokerMessage(BaseModel):
    """A message of an outside broker."""

    model_config = _ITEMS_READ_BY_SPEC

    topic: Annotated[str, Field(min_length=1, max_length=65_535, pattern="^[^+#\\x00]+$")] = Field(
        description="Its topic there, without wildcards."
    )
    payload: Any = Field(description="JSON as it is, or text.")
    encoding: Any = Field(None, description="`hex` or `base64` where the payload is bytes as text.")
    content_type: Any = Field(None, description="Media type of the payload (MQTT 5).")
    properties: Any = Field(None, description="User properties of the message (MQTT 5): texts by name.")


class ChirpStackUplink(BaseModel):
    """Event `up` of ChirpStack v4, as its HTTP integration posts it."""

    model_config = _ITEMS_READ_BY_SPEC

    deviceInfo: dict[str, Any]


class ThingsStackUplink(BaseModel):
    """Uplink message of The Things Stack v3, as its webhooks post it."""

    model_config = _ITEMS_READ_BY_SPEC

    end_device_ids: dict[str, Any]


class MilesightUplink(BaseModel):
    """Uplink of a Milesight gateway, as it posts it."""

    model_config = _ITEMS_READ_BY_SPEC

    devEUI: str


class BridgeItem(RootModel[BrokerMessage | ChirpStackUplink | ThingsStackUplink | MilesightUplink]):
    """A message of an outside broker, or the webhook document of a LoRaWAN network server."""


# Answers


class ItemError(_Described):
    """Why an item is not accepted, or only as a dead letter."""

    code: str = Field(description="For programs.")
    message: str = Field(description="For people.")
    pointer: str | None = Field(None, description="Where in the item (RFC 6901).")
    retry: Literal[True] | None = Field(None, description="It may be taken when it comes again.")


class Item(_Described):
    """What became of one item. `pending` items are not settled at the deadline: the same request, sent again with its
    Idempotency-Key, adds nothing twice."""

    index: Count = Field(description="Place in the request, from 0.")
    status: ItemStatus
    record_id: str | None = Field(None, description="Of its first record, where it makes one.")
    error: ItemError | None = Field(None, description="Of all but accepted items and duplicates.")


class BatchAnswer(_Described):
    """Every item in the order of the request."""

    accepted: Count = Field(description="Items that are kept: also duplicates and dead letters.")
    rejected: Count = Field(description="Items that are not kept.")
    pending: Annotated[int, Field(ge=1)] | None = Field(None, description="Items that are not settled yet.")
    items: list[Item]


class LineError(ItemError):
    """Why a line of an upload is not accepted."""

    line: Annotated[int, Field(ge=1)] = Field(description="Of the body; of CSV that in which the record begins.")


class UploadAnswer(_Described):
    """Counts of a body that was read line by line."""

    lines: Count = Field(description="That were read, blank ones and a header too.")
    accepted: Count = Field(description="Lines that are kept.")
    rejected: Count = Field(description="Lines that are not kept.")
    pending: Annotated[int, Field(ge=1)] | None = Field(None, description="Lines that are not settled yet.")
    errors: list[LineError] = Field(max_length=MAX_ERRORS, description="The first ones.")
    errors_truncated: bool = Field(description="Whether there are more.")


class Limit(_Described):
    """The limit that was met."""

    name: str = Field(description="Of the setting or quota.")
    value: float | None = Field(None, description="What it is set to.")


class Fault(BaseModel):
    """What is wrong in a part of a request."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str | None = None
    pointer: str | None = Field(None, description="Where in the body (RFC 6901).")
    line: Annotated[int, Field(ge=1)] | None = Field(None, description="Of an upload.")


class Problem(_Described):
    """An error as RFC 9457 has it. Where items were looked at, with the members of their answer."""

    type: Annotated[str, Field(pattern=f"^{PROBLEM_TYPE}")] = Field(description="Names the kind for ever.")
    title: str
    status: Annotated[int, Field(ge=400, le=599)]
    code: str = Field(description="For programs.")
    detail: str = Field(description="For people.")
    request_id: str = Field(description="As in `X-Request-Id`; the gateway's log has it too.")
    limit: Limit | None = None
    errors: list[Fault] | None = Field(None, description="What is wrong in parts of the request.")
    accepted: Count | None = Field(None, description="As in the answer of a batch or upload.")
    rejected: Count | None = Field(None, description="As in the answer of a batch or upload.")
    pending: Annotated[int, Field(ge=1)] | None = Field(None, description="As in the answer of a batch or upload.")
    items: list[Item] | None = Field(None, description="As in the answer of a batch.")
    lines: Count | None = Field(None, description="As in the answer of an upload.")
    errors_truncated: bool | None = Field(None, description="As in the answer of an upload.")


# The catalog


class Summary(_Described):
    """A product, in short."""

    product: str = Field(description="Its id.")
    title: str
    vendor: str
    version: int = Field(description="Of its spec.")
    transports: list[str] = Field(description="`tcp`, `mqtt`, `rest`.")
    variants: list[str] = Field(description="Devices that differ in some fields.")
    json_: bool = Field(alias="json", description="Whether its values are read from JSON.")
    csv: bool = Field(description="Whether its spec has columns of its own.")


class SpecList(_Described):
    """The products of this gateway that the caller may have."""

    specs: list[Summary]


class Message(_Described):
    """What a product says in one kind of frame or document."""

    name: str
    title: str
    record: str = Field(description="Type of the records that it makes, or `none`.")
    measurement: str
    data_type: str
    units: dict[str, str] = Field(description="By name of the value.")


class LayoutRow(_Described):
    """A field of a product's frames, as `iotlink spec show` has it."""

    name: str
    frame: str | None = None
    message: str | None = None
    offset: str | None = Field(None, description="In bytes, where it is fixed.")
    size: str | None = Field(None, description="In bytes, where it is fixed.")
    type: str | None = None
    scale: str | None = None
    unit: str | None = None
    note: str | None = None


class Spec(Summary):
    """A product."""

    source: str = Field(description="The document that the spec was made from.")
    messages: list[Message]
    layout: list[LayoutRow]


class DecodeFault(_Described):
    """Why a frame cannot be read."""

    code: str = Field(description="Such as `truncated`.")
    offset: int | None = Field(description="Byte of the frame where reading failed.")
    field: str = Field(description="Field of the layout, or empty.")
    detail: str


class Violation(_Described):
    """A value that breaks the product's contract."""

    field: str
    code: str = Field(description="Such as `out_of_range`.")


class Decoded(_Described):
    """What would become of a frame: everything but `ok`, `error` and `values` where it can be read, else these."""

    ok: bool = Field(description="Whether it can be read.")
    product: str | None = None
    message: str | None = Field(None, description="Which message of the product it is.")
    device_id: Annotated[Any, WithJsonSchema({"type": ["string", "null"]})] = Field(None, description="Whom it names.")
    values: dict[str, Any] = Field(description="By name; of a broken frame those before the fault.")
    records: list[dict[str, Any]] | None = Field(None, description="What is recorded, without ids.")
    replies: list[Annotated[str, Field(pattern="^([0-9a-f]{2})*$")]] | None = Field(
        None, description="Frames that the device would be answered, as hexadecimal digits."
    )
    violations: list[Violation] | None = None
    error: DecodeFault | None = None


# As JSON Schema


class _Generated(GenerateJsonSchema):
    """Fields that may be missing are never `null`; no titles of fields, which only repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        inner = schema["schema"]
        return self.generate_inner(inner["schema"] if inner["type"] == "nullable" else inner)


_MODELS = (
    TelemetryItem,
    RecordItem,
    FrameItem,
    HomeAssistantItem,
    BridgeItem,
    BatchAnswer,
    UploadAnswer,
    Problem,
    Decoded,
    SpecList,
    Spec,
)


def components() -> dict[str, Any]:
    """All components, and what they are made of, by name."""
    _, schemas = models_json_schema(
        [(model, "validation") for model in _MODELS], ref_template=_REF, schema_generator=_Generated
    )
    found: dict[str, Any] = schemas["$defs"]
    for schema in found.values():
        schema.pop("title", None)
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
    return found


def component(name: str) -> dict[str, str]:
    """A reference to one."""
    return {"$ref": _REF.format(model=name)}
