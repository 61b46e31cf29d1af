from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeError
from gateway.access.scopes import RestGrant, Scope
from gateway.domain.device import Principal
from gateway.ingress.rest.bodies import Shape, Shapes
from gateway.ingress.rest.items import Sending
from gateway.specs import load_catalog

NOW_MS = 1_772_323_200_000
CATALOG = load_catalog(only=["example_thermo", "generic_json"])
GRANT = RestGrant(Principal("anonymous"), "anonymous:127.0.0.1", Scope())
SENDING = Sending(GRANT, GRANT, "rest", "127.0.0.1:5", "r-1")


def shapes() -> Shapes:
    return Shapes(lambda: CATALOG)


def opened(shape: Shape, document: Any) -> Any:
    """What the reader is told."""
    taken = shape.open(SENDING, document, b"raw", NOW_MS)
    assert taken is not None
    return taken[2].document


def test_routes_are_one_object_for_all_that_say_the_same() -> None:
    made = shapes()
    assert made.telemetry("generic_json").route is made.telemetry("generic_json").route
    assert made.telemetry("generic_json").route is not made.telemetry("").route


@pytest.mark.parametrize("item", [5, "a", [], None, True])
def test_an_item_is_an_object(item: Any) -> None:
    made = shapes()
    for shape in (
        *(made.telemetry(""), made.records("alert", ""), made.frames("example_thermo", "", 0)),
        *(made.home_assistant("ha", ""), made.bridge("")),
    ):
        with pytest.raises(DecodeError, match="object was expected"):
            shape.open(SENDING, item, b"", NOW_MS)


def test_frames_name_product_port_and_variant() -> None:
    shape = shapes().frames("example_thermo", "v1", 7)
    assert shape.frame is not None
    message, route, item = shape.frame(SENDING, b"\x01", NOW_MS)
    assert message.properties == (("product", "example_thermo"), ("port", "7"), ("variant", "v1"))
    assert (message.payload, item.document) == (b"\x01", None)
    assert route is not None
    assert route.product == "example_thermo"
    said = {"hex": "0a:0b", "port": 9, "device_id": "d"}
    message, _, _ = shape.open(SENDING, said, b"", NOW_MS) or pytest.fail("nothing was taken")
    assert message.payload == b"\x0a\x0b"
    assert ("port", "9") in message.properties
    assert message.speaker.device_id == "d"
    assert message.speaker.may_speak_for("d")


@pytest.mark.parametrize(
    ("item", "field"),
    [
        ({}, "hex"),
        ({"hex": "00", "base64": "AA=="}, "hex"),
        ({"hex": "0"}, "hex"),
        ({"base64": 5}, "base64"),
        ({"data": "00", "encoding": "octal"}, "data"),
        ({"data": "00", "encoding": 5}, "encoding"),
        ({"hex": "00", "port": True}, "port"),
        ({"hex": "00", "port": 256}, "port"),
        ({"hex": "00", "device_id": 5}, "device_id"),
    ],
)
def test_broken_frames(item: Any, field: str) -> None:
    with pytest.raises(DecodeError) as caught:
        shapes().frames("example_thermo", "", 0).open(SENDING, item, b"", NOW_MS)
    assert caught.value.field == field


def test_states_of_home_assistant() -> None:
    shape = shapes().home_assistant("ha", "")
    state = {"entity_id": "sensor.a", "state": "1e3", "attributes": {"device_class": "power"}, "last_changed": "t"}
    said = opened(shape, state)
    assert (said["fields"], said["measurement"], said["ts"]) == ({"power": 1000.0}, "power", "t")
    assert said["tags"] == {"entity_id": "sensor.a", "domain": "sensor"}
    assert opened(shape, {"entity_id": "x.a", "state": "open", "attributes": []})["fields"] == {"state": "open"}
    assert opened(shape, {"entity_id": "x.a", "state": 5})["fields"] == {"state": 5}
    assert opened(shape, {"entity_id": "x.a", "state": "off", "device_id": "d"})["device_id"] == "d"
    assert opened(shape, {"fields": {}, "tags": {"entity_id": "x.b"}})["device_id"] == "x.b"
    assert opened(shape, {"fields": {}, "tags": 5})["device_id"] == "ha"
    assert opened(shape, {"fields": {}, "device_uuid": "d"}) == {"fields": {}, "device_uuid": "d"}
    for silent in ("unknown", "Unavailable", "", None):
        assert shape.open(SENDING, {"entity_id": "x.a", "state": silent}, b"", NOW_MS) is None
    for bad in ({"entity_id": "x.a"}, {"entity_id": 5, "state": "1"}, {"new_state": 5}, {"data": {"new_state": 5}}):
        with pytest.raises(DecodeError):
            shape.open(SENDING, bad, b"", NOW_MS)


def test_bridged_messages() -> None:
    shape = shapes().bridge("")
    said = {"topic": "a/b", "payload": {"n": 1}, "content_type": "application/json", "properties": {"port": "5"}}
    message, route, _ = shape.open(SENDING, said, b"", NOW_MS) or pytest.fail("nothing was taken")
    assert (message.topic, message.payload, route) == ("a/b", b'{"n":1}', None)
    assert (message.content_type, message.properties) == ("application/json", (("port", "5"),))
    for bad in (
        {"topic": "a/#", "payload": 1},
        {"topic": "", "payload": 1},
        {"topic": "a"},
        {"topic": 5, "payload": 1},
        {"topic": "a", "payload": "zz", "encoding": "hex"},
        {"topic": "a", "payload": "", "properties": {"x": 5}},
        {"topic": "a", "payload": "", "properties": []} | {"properties": [1]},
        {"payload": 1},
    ):
        with pytest.raises(DecodeError):
            shape.open(SENDING, bad, b"", NOW_MS)
