"""What network servers send becomes device, product, port and bytes; what is broken is named by its place."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoders.envelopes import KINDS, EnvelopeUp, open_as, open_envelope
from decoders.errors import DecodeCode, DecodeError
from tests.decoders.envelopes.documents import (
    CHIRPSTACK_TOPIC,
    DEV_EUI,
    TTS_TOPIC,
    chirpstack,
    milesight,
    tts,
    tts_join,
)

SENT: dict[str, tuple[str, dict[str, Any]]] = {
    "chirpstack_v4": (f"{CHIRPSTACK_TOPIC}up", chirpstack(profile="Milesight EM300-TH")),
    "tts_v3": (f"{TTS_TOPIC}up", tts(brand="milesight-iot", model="em300-th")),
    "milesight": ("plant/uplinks", milesight(name="EM300-TH")),
}


def set_at(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with another value at a path such as `uplink_message.f_port`; `...` takes the field away."""
    changed = copy.deepcopy(document)
    *way, last = path.split(".")
    part = changed
    for step in way:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return changed


def opened(topic: str, document: object) -> EnvelopeUp:
    up = open_envelope(topic, document)
    assert up is not None
    return up


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_uplink_says(kind: str) -> None:
    topic, document = SENT[kind]
    up = opened(topic, document)
    gateways = {
        "chirpstack_v4": ("24e124fffef54092", 2),
        "tts_v3": ("roof-north", 2),
        "milesight": ("24e124fffef54092", 1),
    }
    traces = {"chirpstack_v4": document.get("deduplicationId"), "tts_v3": "as:up:01JQ8ZK1V3M4N5P6Q7R8S9T0A1"}
    gateway, heard_by = gateways[kind]
    assert up == EnvelopeUp(
        kind=kind,
        device_id=DEV_EUI,
        product="milesight_em300_th",
        port=85,
        payload=b"\x01\x75\x5c",
        received="2026-03-01T08:15:27.079Z",
        tags={
            "rssi": -51,
            "snr": 13.8,
            "gateway": gateway,
            "gateways": heard_by,
            "frequency_hz": 868100000,
            "spreading_factor": 7,
        },
        trace_id=traces.get(kind) or "",
        counter=128,
        is_data=True,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("topic", ["", "plant/hooks", "application/x/device/y", "v3/app/devices/dev"])
def test_they_are_known_without_their_topic(kind: str, topic: str) -> None:
    _, document = SENT[kind]
    assert opened(topic, document) == opened(*SENT[kind]) == open_as(kind, document)


@pytest.mark.parametrize(
    ("topic", "document"),
    [
        ("devices/x/telemetry", {"metrics": {"temperature": 1}}),
        ("devices/x/telemetry", {"devEUI": DEV_EUI, "data": "AA=="}),
        ("devices/x/telemetry", {"deviceInfo": {"model": "x"}, "end_device_ids": "x"}),
        ("devices/x/telemetry", [1]),
        ("", None),
        (f"{TTS_TOPIC}down/push", {"downlinks": [{"f_port": 1}]}),
        (f"{TTS_TOPIC}down/replace", {"downlinks": []}),
        (f"{CHIRPSTACK_TOPIC.replace('event', 'command')}down", {"devEui": DEV_EUI, "data": "AA=="}),
    ],
)
def test_what_is_no_envelope(topic: str, document: object) -> None:
    assert open_envelope(topic, document) is None


@pytest.mark.parametrize(
    ("topic", "document"),
    [
        (f"{TTS_TOPIC}join", tts_join()),
        (f"{TTS_TOPIC}down/ack", {**set_at(tts(), "uplink_message", ...), "downlink_ack": {"f_port": 1}}),
        (f"{TTS_TOPIC}up/normalized", {**set_at(tts(), "uplink_message", ...), "uplink_normalized": {"f_port": 1}}),
        (f"{CHIRPSTACK_TOPIC}join", {"deviceInfo": chirpstack()["deviceInfo"], "devAddr": "00189440"}),
        (f"{CHIRPSTACK_TOPIC}status", {"deviceInfo": chirpstack()["deviceInfo"], "margin": 10, "batteryLevel": 98.5}),
        (f"{CHIRPSTACK_TOPIC}ack", {"deviceInfo": chirpstack()["deviceInfo"], "acknowledged": True, "fCntDown": 3}),
        (f"{CHIRPSTACK_TOPIC}up", chirpstack(payload=b"")),
        (f"{CHIRPSTACK_TOPIC}up", chirpstack(port=0)),
        (f"{CHIRPSTACK_TOPIC}up", chirpstack(data=None, fPort=None)),
        (f"{TTS_TOPIC}up", tts(payload=b"", port=0)),
        ("uplinks", milesight(payload=b"")),
    ],
)
def test_what_holds_no_reading(topic: str, document: dict[str, Any]) -> None:
    up = opened(topic, document)
    assert (up.device_id, up.is_data) == (DEV_EUI, False)


def test_a_device_without_a_dev_eui_keeps_its_id_of_the_things_stack() -> None:
    assert opened(f"{TTS_TOPIC}up", set_at(tts(), "end_device_ids.dev_eui", ...)).device_id == "door-7"


def test_the_first_uplink_after_a_join_counts_zero_which_the_things_stack_leaves_out() -> None:
    assert opened("", set_at(tts(), "uplink_message.f_cnt", ...)).counter == 0


def test_ids_of_connections_are_no_trace() -> None:
    assert opened("", {**tts(), "correlation_ids": ["gs:conn:01", 7]}).trace_id == ""
    assert opened("", {**tts(), "correlation_ids": ["gs:uplink:02", "ns:uplink:01"]}).trace_id == "ns:uplink:01"
    assert opened("", {**tts(), "correlation_ids": "as:up:01"}).trace_id == ""


@pytest.mark.parametrize(
    ("document", "product"),
    [
        (chirpstack(profile="Milesight EM300-TH"), "milesight_em300_th"),
        (chirpstack(profile=" dragino / LHT65 (v2) "), "dragino_lht65_v2"),
        (chirpstack(), ""),
        (set_at(chirpstack(profile="house"), "deviceInfo.tags", {"product": "elsys"}), "elsys"),
        (tts(brand="decentlab", model="5tm"), "decentlab_5tm"),
        (tts(), ""),
        (milesight(name="Milesight EM300-TH"), "milesight_em300_th"),
        (milesight(name="VS350"), "milesight_vs350"),
        (milesight(), ""),
        (set_at(milesight(name="elsys"), "devEUI", "A81758FFFE03CFAB"), "elsys"),
    ],
)
def test_which_product_is_named(document: dict[str, Any], product: str) -> None:
    assert opened("", document).product == product


def test_the_strongest_gateway_is_the_best_and_what_is_no_number_costs_no_reading() -> None:
    heard: list[Any] = [
        {"gatewayId": "a", "rssi": "loud", "snr": True},
        {"gatewayId": "b", "rssi": -70, "snr": 2},
        {"gatewayId": "c", "rssi": -70, "snr": 3.5},
        {"gatewayId": "d", "rssi": float("nan"), "snr": 1 << 60},
        "e",
    ]
    tags = opened("", chirpstack(rxInfo=heard, txInfo={"frequency": None, "modulation": {"fsk": {}}})).tags
    assert tags == {"rssi": -70, "snr": 3.5, "gateway": "c", "gateways": 4}
    assert opened("", chirpstack(rxInfo=[], txInfo=None)).tags == {}


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("2026-03-01T09:15:27+01:00", "2026-03-01T08:15:27.000Z"),
        ("0001-01-01T00:00:00Z", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_times(said: str | None, read: str) -> None:
    assert opened("", chirpstack(time=said)).received == read


def test_base64_may_come_without_padding() -> None:
    assert opened("", chirpstack(data="AXU")).payload == b"\x01\x75"


@pytest.mark.parametrize(
    ("kind", "path", "value", "code", "words"),
    [
        ("chirpstack_v4", "deviceInfo", ..., "bad_document", "what ChirpStack v4 says of the device is missing"),
        ("chirpstack_v4", "deviceInfo", "x", "bad_document", "an object is expected, not 'x'"),
        ("chirpstack_v4", "deviceInfo.devEui", ..., "bad_document", "the device's DevEUI is missing"),
        ("chirpstack_v4", "deviceInfo.devEui", "24e1", "bad_value", "DevEUI of 16 hexadecimal digits .* not '24e1'"),
        ("chirpstack_v4", "deviceInfo.devEui", 7, "bad_document", "a text is expected, not 7"),
        ("chirpstack_v4", "deviceInfo.deviceProfileName", "x" * 257, "bad_document", "257 characters, at most 256"),
        ("chirpstack_v4", "deviceInfo.tags", [], "bad_document", "an object is expected, not a list"),
        ("chirpstack_v4", "time", "yesterday", "bad_value", "2026-03-01T12:00:00Z is expected, not 'yesterday'"),
        ("chirpstack_v4", "time", 1772352927, "bad_document", "a text is expected, not 1772352927"),
        ("chirpstack_v4", "fPort", 256, "bad_document", "a whole number from 0 to 255 is expected, not 256"),
        ("chirpstack_v4", "fPort", True, "bad_document", "not true"),
        ("chirpstack_v4", "fPort", 1.5, "bad_document", "not 1.5"),
        ("chirpstack_v4", "fPort", 1 << 80, "bad_document", "not a number beyond 64 bits"),
        ("chirpstack_v4", "fCnt", -1, "bad_document", "from 0 to 4294967295 is expected, not -1"),
        ("chirpstack_v4", "data", "?!", "bad_value", "base64 text is expected, not '\\?!'"),
        ("chirpstack_v4", "data", {}, "bad_document", "base64 text is expected, not an object"),
        ("chirpstack_v4", "data", "A" * 2_000, "frame_too_long", "at most 1024 bytes"),
        ("chirpstack_v4", "rxInfo", {}, "bad_document", "a list is expected, not an object"),
        ("tts_v3", "end_device_ids", ..., "bad_document", "what The Things Stack says of the device is missing"),
        ("tts_v3", "uplink_message", ..., "bad_document", "the message .* is missing"),
        ("tts_v3", "uplink_message", [], "bad_document", "an object is expected, not a list"),
        ("tts_v3", "uplink_message.f_port", "1", "bad_document", "not '1'"),
        ("tts_v3", "uplink_message.frm_payload", "A", "bad_value", "base64"),
        ("tts_v3", "end_device_ids.dev_eui", "x" * 99, "bad_value", "not 'x{40}'\\.\\.\\.$"),
        ("milesight", "devEUI", ..., "bad_document", "the device's DevEUI is missing"),
        ("milesight", "fPort", "85", "bad_document", "a whole number"),
        ("milesight", "data", "01755", "bad_value", "base64"),
    ],
)
def test_what_is_broken_is_named(kind: str, path: str, value: object, code: str, words: str) -> None:
    document = set_at(SENT[kind][1], path, value)
    with pytest.raises(DecodeError, match=words) as caught:
        open_as(kind, document)
    assert (caught.value.code.value, caught.value.field) == (code, path)
    assert caught.value.detail.startswith(f"{path}: ")


@pytest.mark.parametrize("document", [None, [], "x", 7])
@pytest.mark.parametrize("kind", KINDS)
def test_a_document_that_is_no_object(kind: str, document: object) -> None:
    with pytest.raises(DecodeError, match="an object is expected") as caught:
        open_as(kind, document)
    assert caught.value.code is DecodeCode.BAD_DOCUMENT


@pytest.mark.parametrize(
    ("topic", "document", "field"),
    [
        (f"{CHIRPSTACK_TOPIC}up".replace(DEV_EUI, "24e124136b502218"), chirpstack(), "deviceInfo.devEui"),
        (f"{TTS_TOPIC}up".replace("door-7", "door-8"), tts(), "end_device_ids.device_id"),
        (f"{TTS_TOPIC}up", set_at(tts(), "end_device_ids.device_id", ...), "end_device_ids.device_id"),
    ],
)
def test_topic_and_document_are_about_one_device(topic: str, document: dict[str, Any], field: str) -> None:
    with pytest.raises(DecodeError, match="the topic is of device") as caught:
        open_envelope(topic, document)
    assert caught.value.field == field


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.data(), st.sampled_from(KINDS), st.integers(1, 4))
def test_a_mutated_document_is_opened_or_refused(data: st.DataObject, kind: str, changes: int) -> None:
    topic, document = SENT[kind]
    changed = copy.deepcopy(document)
    for _ in range(changes):
        part: Any = changed
        while True:
            keys = list(part) if isinstance(part, dict) else list(range(len(part)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(part[key], dict | list) and part[key] and data.draw(st.booleans()):
                part = part[key]
                continue
            if data.draw(st.booleans()):
                part[key] = data.draw(JUNK)
            else:
                del part[key]
            break
    for name in (topic, ""):
        up = error = None
        try:
            up = open_envelope(name, changed)
        except DecodeError as refused:
            error = refused
        if error is not None:
            assert error.field in error.detail
            assert len(error.detail) < 300
        if up is not None:
            assert up.device_id
            assert not up.is_data or (up.payload and up.port)
