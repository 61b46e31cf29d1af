"""Messages of LoRaWAN network servers: device, product, port, time and tags come from the envelope."""

from __future__ import annotations

import json

import pytest

from decoders.catalog import Catalog
from gateway.domain.device import Device, DeviceKey
from gateway.protocol.uplink_topics import Template
from tests.decoders.envelopes.documents import chirpstack, milesight, tts
from tests.gateway.ingress.topic_rig import Someone, TopicRig

FRAME = bytes.fromhex("0175640367040104686D")
METRICS = {"battery_level": 100, "temperature": 26.0, "humidity": 54.5}


def chirpstack_topic(document: dict[str, object]) -> str:
    info = document["deviceInfo"]
    assert isinstance(info, dict)
    return f"application/{info['applicationId']}/device/{info['devEui']}/event/up"


def test_chirpstack() -> None:
    rig = TopicRig()
    document = chirpstack(FRAME, 85, "milesight_em300_th")
    record = rig.record(chirpstack_topic(document), document)
    assert (record["device_id"], record["productId"], record["metrics"]) == (
        document["deviceInfo"]["devEui"].lower(),
        "milesight_em300_th",
        METRICS,
    )
    assert record["tags"]["rssi"] < 0
    assert record["hub_timestamp"]
    assert rig.send(chirpstack_topic(document), document).outcome == "duplicate"


def test_the_directory_goes_before_the_profile() -> None:
    document = chirpstack(FRAME, 85, "some profile")
    topic, device_id = chirpstack_topic(document), document["deviceInfo"]["devEui"].lower()
    assert TopicRig().reason(topic, document)[0] == "unknown_product"
    rig = TopicRig(devices=[Device(DeviceKey("", device_id), product="milesight_em300_th")])
    assert rig.record(topic, document)["metrics"] == METRICS


def test_the_things_stack() -> None:
    document = tts(FRAME, 85)
    device_id = document["end_device_ids"]["dev_eui"].lower()
    rig = TopicRig(devices=[Device(DeviceKey("", device_id), product="milesight_em300_th")])
    topic = f"v3/app@tenant/devices/{document['end_device_ids']['device_id']}/up"
    record = rig.record(topic, document)
    assert (record["device_id"], record["metrics"]) == (device_id, METRICS)


def test_a_milesight_gateway_under_a_topic_of_ones_own() -> None:
    own = Template("gw/up", envelope="milesight", product="milesight_em300_th", format="json")
    rig = TopicRig(templates=[own])
    assert rig.record("gw/up", milesight(FRAME, 85))["metrics"] == METRICS


def test_a_device_may_not_wrap_what_is_about_others() -> None:
    document = chirpstack(FRAME, 85, "milesight_em300_th")
    receipt = TopicRig().send(chirpstack_topic(document), document, speaker=Someone("d1"))
    assert (receipt.outcome, receipt.reason) == ("refused", "not_authorized")


@pytest.mark.parametrize("payload", [b"{", b"[]", b'{"deviceInfo": 5}', json.dumps({"a": 1}).encode()])
def test_a_broken_envelope_is_a_dead_letter(payload: bytes) -> None:
    topic = "application/7/device/24e124000000000a/event/up"
    assert TopicRig().reason(topic, payload)[0] in ("bad_document", "bad_value")


def test_what_holds_no_reading_leaves_nothing() -> None:
    document = chirpstack(b"", 0)
    rig = TopicRig()
    assert rig.send(chirpstack_topic(document), document).outcome == "accepted"
    assert (rig.outbox.records, rig.outbox.letters, isinstance(rig.catalog, Catalog)) == ([], [], True)
