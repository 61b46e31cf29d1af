"""Items of requests: what each call takes for one, and how it is said in the words of the topic reader.

Place in the walk: between JSON (or text, or bytes) and `items`. What is wrong with the form of an item is a
DecodeError, as of any document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import orjson

from decoders.catalog import Catalog
from decoders.envelopes import open_envelope
from decoders.errors import DecodeCode, DecodeError
from gateway.domain.topic_message import Item, TopicMessage
from gateway.ingress.rest.items import ItemSpeaker, Sending
from gateway.ingress.topic_documents import PLAIN_TYPES, bytes_of, text_of
from gateway.protocol.uplink_topics import TELEMETRY, TopicRoute

__all__ = ["Shape", "Shapes", "Taken"]

DEFAULT_PRODUCT = "generic_json"
"""Of Home Assistant's states, where neither request nor directory says another one."""

_MAX_TOPIC = 65_535
_MASTER = ("op", "table", "keys", "data")
_MASTER_OPS = ("upsert", "delete")
_NO_STATE = frozenset({"unknown", "unavailable", "none", ""})
_SWITCHES = {"on": True, "off": False}
_TAGS = ("friendly_name", "unit_of_measurement", "area", "area_id")
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{1,15})?(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)

Taken: TypeAlias = tuple[TopicMessage, TopicRoute | None, Item]
"""What the reader is asked: a message, the route that its call gives it (None: that of its topic), and the item."""


@dataclass(slots=True, eq=False)
class Shape:
    """How items of one call (with these parameters) are read.

    open: JSON -> what the reader is asked; None: it is accepted and leaves nothing. Raises DecodeError.
    frame: the same of bytes; None where the call takes none. route: of lines of CSV. is_bare: items of JSON are
    read under it as they stand.
    """

    open: Callable[[Sending, Any, bytes, int], Taken | None]
    frame: Callable[[Sending, bytes, int], Taken] | None = None
    route: TopicRoute | None = None
    is_bare: bool = False


class Shapes:
    """Makes shapes. Routes are kept, since the reader remembers what it found by them."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog
        self._routes: dict[tuple[str, str, str], TopicRoute] = {}
        self._telemetry: dict[str, Shape] = {}

    def _route(self, call: str, product: str, envelope: str = "") -> TopicRoute:
        """product: one of the catalog, or ""."""
        key = (call, product, envelope)
        route = self._routes.get(key)
        if route is None:
            form = "bin" if call == "frames" else "json"
            route = TopicRoute("", call, role=TELEMETRY, format=form, product=product, envelope=envelope)
            self._routes[key] = route
        return route

    def telemetry(self, product: str) -> Shape:
        """product: one of the catalog, or ""."""
        known = self._telemetry.get(product)
        if known is not None:
            return known
        route = self._route("telemetry", product)

        def opened(sending: Sending, document: Any, raw: bytes, now_ms: int) -> Taken:
            return sending.message(raw, now_ms), route, Item(_object(document))

        shape = self._telemetry[product] = Shape(opened, route=route, is_bare=True)
        return shape

    def records(self, record: str, product: str) -> Shape:
        """record: their type."""
        route = self._route("records", product)

        def opened(sending: Sending, document: Any, raw: bytes, now_ms: int) -> Taken:
            said = _record(record, _object(document))
            message = sending.message(raw, now_ms)
            if record == "master" and not (said.get("device_id") or message.speaker.device_id):
                # Of no device: the records of a table keep their order among themselves. Where only known devices are
                # taken, the directory admits a table under this name.
                said["device_id"] = f"table:{said['data']['table']}"
            return message, route, Item(said)

        return Shape(opened)

    def frames(self, product: str, variant: str, port: int) -> Shape:
        """Times beside a frame (`received_at`) are ignored: when it was measured stands in it, when it came is now."""
        route = self._route("frames", product)

        def frame(sending: Sending, data: bytes, now_ms: int) -> Taken:
            return _frame(sending, data, now_ms, {"port": port, "variant": variant})

        def opened(sending: Sending, document: Any, raw: bytes, now_ms: int) -> Taken:
            said = _object(document)
            device_id = text_of(said, "device_id")
            own = sending
            if device_id and device_id != sending.speaker.device_id:
                if sending.grant.device_id and not sending.grant.may_speak_for(device_id):
                    detail = "device_id: another device than the sender's"
                    raise DecodeError(DecodeCode.BAD_VALUE, detail, field="device_id")
                own = replace(sending, speaker=ItemSpeaker.of(sending.grant, device_id))
            chosen = said.get("port", port)
            if isinstance(chosen, float) and chosen.is_integer():
                chosen = int(chosen)  # JSON has one kind of numbers
            if chosen.__class__ is not int or not 0 <= chosen <= 255:
                raise DecodeError(DecodeCode.BAD_DOCUMENT, "`port`: a number 0-255 was expected", field="port")
            values = {"port": chosen, "variant": text_of(said, "variant") or variant}
            values["trace_id"] = text_of(said, "trace_id")
            return _frame(own, _frame_bytes(said), now_ms, values)

        def _frame(own: Sending, data: bytes, now_ms: int, values: Mapping[str, Any]) -> Taken:
            message = own.message(data, now_ms)
            named = [("product", product), *((name, str(value)) for name, value in values.items() if value)]
            message.properties = tuple(named)
            return message, route, Item()

        return Shape(opened, frame)

    def home_assistant(self, client_id: str, product: str) -> Shape:
        default = DEFAULT_PRODUCT if DEFAULT_PRODUCT in self._catalog().products else ""
        route = self._route("home_assistant", product or default)

        def opened(sending: Sending, document: Any, raw: bytes, now_ms: int) -> Taken | None:
            said = _state(_object(document), client_id)
            return None if said is None else (sending.message(raw, now_ms), route, Item(said))

        return Shape(opened)

    def bridge(self, product: str) -> Shape:
        def opened(sending: Sending, document: Any, raw: bytes, now_ms: int) -> Taken:
            said = _object(document)
            if "topic" in said:
                return _published(sending, said, now_ms)
            up = open_envelope("", said)
            if up is None:
                detail = "`topic` and `payload` were expected, or the document of a LoRaWAN network server"
                raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, field="topic")
            return sending.message(raw, now_ms), self._route("bridge", product, up.kind), Item()

        return Shape(opened)


def _object(document: Any) -> dict[str, Any]:
    if document.__class__ is not dict:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "a JSON object was expected")
    found: dict[str, Any] = document
    return found


def _record(record: str, document: dict[str, Any]) -> dict[str, Any]:
    """A record of this type as the reader has it: `{"type": ..., "data": {...}}` for those without a spec."""
    named = document.get("type", record)
    if named != record:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"`type`: the path says {record}, the item does not", field="type")
    if record not in PLAIN_TYPES:
        return {**document, "type": record}
    if record == "master":
        return _master(document)
    inner = document.get("data")
    if "data" in document and not isinstance(inner, dict):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "`data`: a JSON object was expected", field="data")
    return {**document, "type": record, "data": inner or {}}


def _master(document: dict[str, Any]) -> dict[str, Any]:
    op, keys, data = document.get("op"), document.get("keys"), document.get("data", {})
    if op not in _MASTER_OPS:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "`op`: upsert or delete was expected", field="op")
    if not text_of(document, "table") or len(document["table"]) > 128:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "`table`: the name of a table was expected", field="table")
    for name, value in (("keys", keys), ("data", data)):
        if not isinstance(value, dict):
            raise DecodeError(DecodeCode.BAD_DOCUMENT, f"`{name}`: a JSON object was expected", field=name)
    rest = {name: value for name, value in document.items() if name not in _MASTER}
    row = {"op": op, "table": document["table"], "keys": keys, "data": data}
    return {**rest, "type": "master", "data": row}


def _frame_bytes(document: Mapping[str, Any]) -> bytes:
    """`hex`, `base64`, or `data` with perhaps `encoding`."""
    given = [name for name in ("hex", "base64", "data") if name in document]
    if len(given) != 1:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "one of `hex`, `base64` and `data` was expected", field="hex")
    name = given[0]
    encoding = text_of(document, "encoding") if name == "data" else name
    if not isinstance(document[name], str):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, f"`{name}`: a text was expected", field=name)
    return bytes_of(document[name], encoding, name)


def _published(sending: Sending, document: Mapping[str, Any], now_ms: int) -> Taken:
    """`{topic, payload}`; payload: JSON, or text, which `encoding` (`hex`, `base64`) makes bytes."""
    topic = text_of(document, "topic")
    if not 1 <= len(topic) <= _MAX_TOPIC or any(mark in topic for mark in "+#\0"):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "`topic`: a topic without wildcards was expected", field="topic")
    if "payload" not in document:
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "`payload` is missing", field="payload")
    payload, encoding = document["payload"], text_of(document, "encoding")
    if not isinstance(payload, str):
        data = orjson.dumps(payload)
    elif encoding:
        data = bytes_of(payload, encoding, "payload")
    else:
        data = payload.encode()
    message = sending.message(data, now_ms, topic)
    message.content_type = text_of(document, "content_type")
    properties = document.get("properties") or {}
    if not isinstance(properties, dict) or not all(isinstance(value, str) for value in properties.values()):
        raise DecodeError(DecodeCode.BAD_DOCUMENT, "`properties`: an object of texts was expected", field="properties")
    message.properties = tuple(properties.items())
    return message, None, Item()


def _state(document: dict[str, Any], client_id: str) -> dict[str, Any] | None:
    """What Home Assistant says as the reader has it: a `state_changed` event, a state, or `{ts, fields, tags}`.

    None: a state without a value, or one that was removed. A state's device is its entity; its value stands under its
    device class, or `state`.
    """
    if any(name in document for name in ("fields", "metrics")):
        tags = document.get("tags")
        named = tags if isinstance(tags, dict) else {}
        device = next((named[name] for name in ("device_id", "entity_id") if isinstance(named.get(name), str)), "")
        is_named = any(document.get(name) not in (None, "") for name in ("device_id", "device_uuid"))
        return document if is_named else {**document, "device_id": device or client_id}
    event = document
    data = document.get("data")
    if isinstance(data, dict) and "new_state" in data:
        event = {**data, "time_fired": document.get("time_fired")}
    if "new_state" in event:
        state = event["new_state"]
        if state is None:
            return None
        state = {"entity_id": event.get("entity_id"), **_object(state)}
    else:
        state = event
    entity, value = text_of(state, "entity_id"), state.get("state")
    if not entity or "state" not in state:
        detail = "a state (`entity_id`, `state`), a `state_changed` event, or `{ts, fields, tags}` was expected"
        raise DecodeError(DecodeCode.BAD_DOCUMENT, detail, field="entity_id")
    given = state.get("attributes")
    attributes: dict[str, Any] = given if isinstance(given, dict) else {}
    if value is None or (isinstance(value, str) and value.lower() in _NO_STATE):
        return None
    kind = attributes.get("device_class")
    name = kind if isinstance(kind, str) and kind else "state"
    said: dict[str, Any] = {
        "device_id": text_of(state, "device_id") or entity,
        "fields": {name: _value(value)},
        "tags": {"entity_id": entity, "domain": entity.partition(".")[0]}
        | {tag: attributes[tag] for tag in _TAGS if isinstance(attributes.get(tag), str)},
    }
    if name != "state":
        said["measurement"] = name
    at = state.get("last_updated") or state.get("last_changed") or event.get("time_fired")
    return said if at is None else {**said, "ts": at}


def _value(value: Any) -> Any:
    """Home Assistant writes every state as text."""
    if not isinstance(value, str):
        return value
    if value in _SWITCHES:
        return _SWITCHES[value]
    if _NUMBER.fullmatch(value):
        number = float(value)
        return int(number) if "." not in value and "e" not in value.lower() else number
    return value
