"""Roles, formats, products and identities: each rule by which a message under a topic becomes uplinks."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from decoders.catalog import Catalog, build_product
from gateway.access.admission import Provisioning
from gateway.domain.device import Device, DeviceKey
from gateway.domain.topic_message import TopicMessage
from gateway.protocol.uplink_topics import Template
from tests.gateway.ingress.topic_rig import NOW, NOW_MS, STATUS_HEX, THERMO, Someone, TopicRig

ALONE = "iotlink/prd/nohub/d1/periodic/pub/telemetry/json"
UP = "devices/d1/telemetry"


@pytest.fixture
def rig() -> TopicRig:
    return TopicRig()


def flags(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(flag["field"], flag["code"]) for flag in record.get("flags", ())]


def test_json_of_a_device_without_a_hub(rig: TopicRig) -> None:
    record = rig.record(ALONE, THERMO)
    assert (record["type"], record["device_id"], record["productId"]) == ("telemetry", "d1", "example_thermo")
    assert record["metrics"] == {"tempC": 21.5, "rpm": 1200}
    assert (record["data_type"], record["device_timestamp"], record["ingest_timestamp"]) == ("periodic", NOW, NOW)
    assert not {"hub_id", "childDeviceId", "flags", "tags"} & record.keys()


@pytest.mark.parametrize(("hub", "expected"), [("h1", ("h1", "d1")), ("d1", ("d1", None)), ("nohub", (None, None))])
def test_the_hub_of_the_topic(rig: TopicRig, hub: str, expected: tuple[str | None, str | None]) -> None:
    record = rig.record(f"iotlink/prd/{hub}/d1/event/pub/telemetry/json", THERMO)
    assert (record.get("hub_id"), record.get("childDeviceId")) == expected
    assert record["data_type"] == "event"


def test_no_hub_of_the_topic_wins_over_the_directory() -> None:
    rig = TopicRig(devices=[Device(DeviceKey("", "d1"), hub_id="h9", product="example_thermo")])
    assert "hub_id" not in rig.record(ALONE, {"metrics": {"tempC": 1}})
    assert rig.record(UP, {"metrics": {"tempC": 1}})["hub_id"] == "h9"


def test_what_comes_beside_the_values(rig: TopicRig) -> None:
    record = rig.record(UP, {**THERMO, "measurement": "m", "tags": {"room": "k", "n": 1}, "trace_id": "t1"})
    assert (record["measurement"], record["tags"], record["trace_id"]) == ("m", {"room": "k", "n": 1}, "t1")
    assert rig.send(UP, {**THERMO, "trace_id": "t1"}).outcome == "duplicate"
    assert rig.record(UP, {**THERMO, "type": "event"})["type"] == "event"


@pytest.mark.parametrize("tags", [5, {"a": [1]}, {"a": "x" * 300}, {"k" * 65: 1}, {str(i): i for i in range(40)}])
def test_tags_that_are_none_are_flagged(rig: TopicRig, tags: Any) -> None:
    record = rig.record(UP, {**THERMO, "tags": tags})
    assert flags(record) == [("tags", "wrong_type")]
    assert len(record.get("tags", {})) <= 32


def test_bytes_as_they_are_and_as_text(rig: TopicRig) -> None:
    topic, raw = "iotlink/prd/nohub/d1/tcp/pub/telemetry/bin", bytes.fromhex(STATUS_HEX)
    assert rig.record(topic, raw, product="example_thermo")["metrics"]["tempC"] == 26.3
    assert rig.record(UP, raw, product="example_thermo")["metrics"]["tempC"] == 26.3
    hexed, encoded = STATUS_HEX.encode(), base64.b64encode(raw)
    assert rig.record(topic, hexed, product="example_thermo", encoding="hex")["metrics"]["tempC"] == 26.3
    assert rig.record(topic, encoded, product="example_thermo", encoding="base64")["metrics"]["tempC"] == 26.3
    for data in (hexed, encoded):
        record = rig.record(topic, data, product="example_thermo", content_type="text/plain; charset=utf-8")
        assert record["metrics"]["tempC"] == 26.3
    assert rig.reason(topic, b"zz", product="example_thermo", encoding="hex")[0] == "bad_document"
    assert rig.reason(topic, b"zz", product="example_thermo", encoding="rot")[1].endswith("hex or base64 was expected")
    assert rig.reason(topic, raw[:-1], product="example_thermo")[0] == "truncated"


def test_bytes_in_json(rig: TopicRig) -> None:
    frame = "0175640367040104686D"
    document = {"productId": "milesight_em300_th", "ts": NOW_MS, "tags": {"a": "b"}, "trace_id": "t"}
    document["data"] = {"bin": frame, "port": 85}
    record = rig.record(UP, document)
    assert record["metrics"] == {"battery_level": 100, "temperature": 26.0, "humidity": 54.5}
    assert (record["device_timestamp"], record["tags"], record["trace_id"]) == (NOW, {"a": "b"}, "t")
    encoded = {"bin": base64.b64encode(bytes.fromhex(frame)).decode(), "encoding": "base64"}
    assert rig.record(UP, {**document, "data": encoded, "trace_id": "u"})["metrics"]["humidity"] == 54.5
    assert rig.send(UP, document).outcome == "duplicate"
    for data in ({"bin": 5}, {"bin": "xyz!"}, {"bin": "00", "encoding": "x"}, {"bin": "00", "port": "a"}):
        assert rig.reason(UP, {**document, "data": data, "trace_id": "v"})[0] == "bad_document"


def test_csv(rig: TopicRig) -> None:
    rig.catalog = catalog_with_lines()
    topic = "iotlink/prd/nohub/d1/periodic/pub/telemetry/csv"
    assert rig.send(topic, b"t,h\n1,2\n3,4\n", product="lines").outcome == "accepted"
    assert [record["metrics"] for record in rig.records] == [{"t": 1, "h": 2}, {"t": 3, "h": 4}]
    assert rig.send(UP, b"t,h\n", product="lines", content_type="text/csv").outcome == "accepted"
    assert TopicRig().reason(topic, b"1,2", product="example_thermo")[0] == "unknown_message"


def test_the_content_type_decides_where_the_topic_does_not(rig: TopicRig) -> None:
    assert rig.record(UP, THERMO, content_type="application/json; charset=utf-8")["metrics"]["rpm"] == 1200
    assert rig.reason(UP, b"{", content_type="application/json")[0] == "bad_document"
    assert rig.reason(UP, b"x", content_type="application/senml+json")[0] == "bad_document"


# Roles without a spec


def test_an_alert_needs_no_spec(rig: TopicRig) -> None:
    topic = "iotlink/prd/h1/d1/event/pub/alert_report/json"
    payload = {"level": "high", "data": {"a": {"b": None, "c": 1 << 60}}, "ts": NOW_MS, "productId": "nobody"}
    record = rig.record(topic, payload)
    assert (record["type"], record["device_id"], record["hub_id"]) == ("alert", "d1", "h1")
    assert record["data"] == {"level": "high", "a": {"c": str(1 << 60)}}
    assert "productId" not in record
    assert record["device_timestamp"] == NOW
    assert rig.record(topic, {"productId": "example_thermo", "x": 1})["productId"] == "example_thermo"
    assert rig.reason(topic, [1])[0] == "bad_document"
    assert rig.reason(topic, {"x": "y" * 140_000})[0] == "frame_too_long"


@pytest.mark.parametrize(
    ("topic", "record"),
    [
        ("iotlink/prd/nohub/d1/event/pub/control_result/json", "control"),
        ("devices/d1/response", "control"),
        ("devices/d1/log", "log"),
    ],
)
def test_answers_and_logs(rig: TopicRig, topic: str, record: str) -> None:
    made = rig.record(topic, {"command_id": "c", "ok": True, "device_id": "d1"})
    assert (made["type"], made["data"]) == (record, {"command_id": "c", "ok": True})


def test_a_log_may_be_a_line(rig: TopicRig) -> None:
    assert rig.record("devices/d1/log", b"boot \xff ok\n")["data"] == {"text": "boot \ufffd ok\n"}


def test_a_type_in_the_payload(rig: TopicRig) -> None:
    record = rig.record(UP, {"type": "alert", "data": {"code": 5}, "measurement": "m"})
    assert (record["type"], record["data"], record["measurement"]) == ("alert", {"code": 5}, "m")


@pytest.mark.parametrize(
    ("payload", "status", "online"),
    [
        (b"online", "online", True),
        (b'"Offline"', "offline", False),
        ({"status": "connected", "rssi": -7}, "online", True),
        ({"online": False}, "offline", False),
        ({"state": "rebooting"}, "rebooting", None),
        (b"1", "online", True),
    ],
)
def test_status(rig: TopicRig, payload: Any, status: str, online: bool | None) -> None:
    record = rig.record("devices/d1/status", payload)
    assert (record["type"], record["data"]["status"], record["data"]["reason"]) == ("presence", status, "status")
    seen = rig.presence.find(DeviceKey("", "d1"))
    assert (None if seen is None else seen.online) is online
    if isinstance(payload, dict) and "rssi" in payload:
        assert record["data"]["rssi"] == -7


def test_a_last_will(rig: TopicRig) -> None:
    rig.send("devices/d1/status", b"online")
    record = rig.record("device/lwt/d1", {"device_uuid": "d1", "status": "offline"})
    assert record["data"] == {"status": "offline", "reason": "last_will"}
    assert (rig.presence.online_count, rig.presence.offline_count) == (0, 1)
    assert rig.record("device/lwt/d2", b"")["data"]["status"] == "offline"
    assert flags(rig.record("device/lwt/d1", {"device_uuid": "x"})) == [("device_id", "identity_differs")]


# Which product


def test_the_product_rule() -> None:
    known = Device(DeviceKey("", "d1"), product="example_thermo")
    own = Template("plant/{device_id}/up", product="milesight_em300_th", format="bin")
    rig = TopicRig(devices=[known], templates=[own, Template("p/{product}/{device_id}")])
    values = {"metrics": {"tempC": 1}}
    assert rig.record(UP, values)["productId"] == "example_thermo"
    frame = bytes.fromhex("0175640367040104686D")
    assert rig.record("plant/d2/up", frame)["productId"] == "milesight_em300_th"
    assert rig.record("plant/d1/up", bytes.fromhex(STATUS_HEX))["productId"] == "example_thermo"
    assert rig.record("p/example_thermo/d3", values)["productId"] == "example_thermo"
    receipt = rig.send(UP, {"productId": "milesight_em300_th", **values})
    assert (receipt.outcome, receipt.reason) == ("refused", "wrong_product")
    reason, detail = rig.reason("devices/d4/telemetry", {"productId": "exampel_thermo"})
    assert (reason, "did you mean `example_thermo`?" in detail) == ("unknown_product", True)
    reason, detail = rig.reason("devices/d4/telemetry", values)
    assert (reason, "`productId`" in detail) == ("unknown_product", True)
    assert rig.reason(UP, {"productId": 5})[0] == "bad_document"


def test_user_properties(rig: TopicRig) -> None:
    frame = bytes.fromhex("0175640367040104686D")
    record = rig.record(UP, frame, productId="milesight_em300_th", port="85", trace_id="t9")
    assert record["trace_id"] == "t9"
    assert rig.send(UP, frame, productId="milesight_em300_th", trace_id="t9").outcome == "duplicate"
    assert rig.reason(UP, frame, port="x")[0] == "bad_value"
    many = {f"p{i}": "x" * 300 for i in range(200)}
    assert rig.record(UP, frame, productId="milesight_em300_th", **many)["metrics"]["humidity"] == 54.5


def test_a_new_catalog_is_asked() -> None:
    rig = TopicRig()
    assert rig.reason(UP, {"productId": "lines", "t": 1})[0] == "unknown_product"
    rig.catalog = catalog_with_lines()
    assert rig.send(UP, b"t,h\n1,2", product="lines", content_type="text/csv").outcome == "accepted"


# Whom it is about


def test_the_topic_wins_and_the_difference_is_flagged(rig: TopicRig) -> None:
    record = rig.record(UP, {**THERMO, "device_id": "other"})
    assert (record["device_id"], flags(record)) == ("d1", [("device_id", "identity_differs")])
    topic = "iotlink/prd/h1/d1/periodic/pub/telemetry/json"
    record = rig.record(topic, {**THERMO, "hub_id": "h2", "childDeviceId": "c2"})
    assert (record["hub_id"], record["childDeviceId"]) == ("h1", "d1")
    assert flags(record) == [("hub_id", "identity_differs"), ("childDeviceId", "identity_differs")]
    assert flags(rig.record(topic, {**THERMO, "hub_id": "h1", "device_id": "d1", "childDeviceId": "d1"})) == []


def test_a_hub_may_speak_of_its_child(rig: TopicRig) -> None:
    record = rig.record("iotlink/prd/h1/h1/periodic/pub/telemetry/json", {**THERMO, "childDeviceId": "c1"})
    assert (record["device_id"], record["hub_id"], record["childDeviceId"]) == ("c1", "h1", "c1")
    record = rig.record(ALONE, {**THERMO, "childDeviceId": "c1"})
    assert (record["device_id"], flags(record)) == ("d1", [("childDeviceId", "identity_differs")])


def test_without_a_device_in_the_topic_the_payload_or_the_sender_says_it() -> None:
    rig = TopicRig(templates=[Template("up", product="example_thermo")])
    assert rig.record("up", {**THERMO, "device_id": "d7"})["device_id"] == "d7"
    record = rig.record("up", {**THERMO, "device_uuid": "h7", "childDeviceId": "c7"})
    assert (record["device_id"], record["hub_id"]) == ("c7", "h7")
    assert rig.record("up", THERMO, speaker=Someone("d8"))["device_id"] == "d8"
    assert rig.record("up", THERMO, speaker=Someone("d9"))["device_id"] == "d9"
    assert rig.record("up", bytes.fromhex(STATUS_HEX), speaker=Someone("d8"))["device_id"] == "d8"
    assert rig.reason("up", THERMO)[0] == "not_identified"
    assert rig.reason("up", {**THERMO, "device_id": "x" * 300})[0] == "not_identified"


def test_a_proven_device_speaks_for_itself_and_its_children() -> None:
    rig = TopicRig(templates=[Template("up", product="example_thermo")])
    hub = Someone("h1", ["c1"])
    assert rig.record("devices/c1/telemetry", THERMO, speaker=hub)["device_id"] == "c1"
    assert rig.record("up", {**THERMO, "device_id": "c2"})["device_id"] == "c2"
    for topic, payload in (
        ("devices/c2/telemetry", THERMO),
        ("devices/c2/log", b"x"),
        ("up", {**THERMO, "device_id": "c2"}),
        ("devices/h1/telemetry", {**THERMO, "childDeviceId": "c2"}),
        ("devices/h1/telemetry", {"nodes": [{"device_id": "c9", "parent": "h2"}]}),
    ):
        receipt = rig.send(topic, payload, speaker=hub)
        assert (receipt.outcome, receipt.reason) == ("refused", "not_authorized"), topic
    assert rig.directory.learned == 0


@pytest.mark.parametrize(
    ("provisioning", "reason"),
    [(Provisioning.KNOWN, "unknown_device"), (Provisioning.CLOSED, "provisioning_closed")],
)
def test_who_is_not_admitted_leaves_nothing(provisioning: Provisioning, reason: str) -> None:
    rig = TopicRig(provisioning=provisioning, devices=[Device(DeviceKey("", "d2"), product="example_thermo")])
    for topic, payload in ((ALONE, THERMO), (ALONE, b"{"), (UP, {"tempC": 1}), ("devices/d1/log", b"x")):
        receipt = rig.send(topic, payload)
        assert (receipt.outcome, receipt.reason) == ("refused", reason)
    assert rig.outbox.kept == []
    assert rig.record("devices/d2/telemetry", {"tempC": 1})["device_id"] == "d2"


def test_the_environment_of_the_topic(rig: TopicRig) -> None:
    topic = ALONE.replace("prd", "stg")
    record = rig.record(topic, THERMO)
    assert (record["env"], flags(record)) == ("prd", [("env", "env_differs")])
    receipt = TopicRig(refuse_env=True).send(topic, THERMO)
    assert (receipt.outcome, receipt.reason) == ("refused", "not_authorized")


def test_a_wrong_topic_of_a_known_tree_is_kept_and_explained(rig: TopicRig) -> None:
    reason, detail = rig.reason("iotlink/prd/nohub/d1/periodic/pub/telemetri/json", THERMO)
    assert (reason, "telemetri" in detail) == ("bad_topic", True)


def test_what_is_not_the_bytes_of_a_frame_is_named(rig: TopicRig) -> None:
    topic = "iotlink/prd/nohub/d1/periodic/pub/telemetry/bin"
    assert "the payload is hex text" in rig.reason(topic, STATUS_HEX.encode(), product="example_thermo")[1]
    assert "is JSON text" in rig.reason(topic, b'{"metrics": {}}', product="decentlab_5tm")[1]
    assert "payload" not in rig.reason(topic, bytes.fromhex(STATUS_HEX)[:-1], product="example_thermo")[1]


# Topology


def test_a_topology_updates_the_directory_and_nodes_make_records(rig: TopicRig) -> None:
    topic = "iotlink/prd/h1/h1/event/pub/provisioning_complete/json"
    nodes = [{"device_id": "r1", "role": "router", "parent": "h1"}, {"device_id": "c1", "role": "leaf", "parent": "r1"}]
    record = rig.record(topic, {"productId": "example_thermo", "nodes": [*nodes]})
    assert (record["type"], record["device_id"]) == ("master", "h1")
    assert record["data"] == {"op": "upsert", "table": "devices", "keys": {"device_id": "h1"}, "data": {"nodes": nodes}}
    assert [rig.directory.find(DeviceKey("", name)).hub_id for name in ("r1", "c1")] == ["h1", "h1"]  # type: ignore[union-attr]

    topic = "iotlink/prd/h1/h1/periodic/pub/telemetry/json"
    values = {"metrics": {"tempC": 5}}
    node = {"device_id": "c1", "productId": "example_thermo", "tags": {"n": "1"}, **values}
    assert rig.send(topic, {**THERMO, "nodes": [node, {"device_id": "c2"}]}).outcome == "accepted"
    first, second = rig.records[-2:]
    assert (first["device_id"], first["metrics"]["rpm"]) == ("h1", 1200)
    assert (second["device_id"], second["hub_id"], second["metrics"]) == ("c1", "h1", {"tempC": 5})
    assert (second["device_timestamp"], second["tags"]) == (NOW, {"n": "1"})
    assert rig.record(topic, {"nodes": [{"device_id": "c1", **values}]})["productId"] == "example_thermo"


def test_a_node_that_cannot_be_read_is_its_own_dead_letter(rig: TopicRig) -> None:
    topic = "iotlink/prd/h1/h1/periodic/pub/telemetry/json"
    receipt = rig.send(topic, {**THERMO, "nodes": [{"device_id": "c1", "metrics": {"t": 1}}]})
    assert (receipt.outcome, receipt.reason) == ("dead_lettered", "unknown_product")
    assert [record["device_id"] for record in rig.records] == ["h1"]
    (letter,) = rig.outbox.letters
    assert (letter.device_id, letter.part) == ("c1", 1)


def test_who_may_add_to_the_directory() -> None:
    nodes = {"nodes": [{"device_id": "c1"}]}
    topic = "iotlink/prd/h1/h1/event/pub/provisioning_complete/json"
    hub = Device(DeviceKey("", "h1"), hub_id="h1")
    for provisioning, learned in ((Provisioning.CLOSED, 0), (Provisioning.KNOWN, 1), (Provisioning.ALLOW_NEW, 1)):
        rig = TopicRig(provisioning=provisioning, devices=[hub])
        assert rig.send(topic, nodes, speaker=Someone("h1")).outcome == "accepted"
        assert rig.directory.learned == learned
    rig = TopicRig(devices=[hub, Device(DeviceKey("", "c1"), hub_id="h9")])
    assert rig.send(topic, nodes).outcome == "accepted"
    assert (rig.directory.learned, rig.directory.find(DeviceKey("", "c1")).hub_id) == (0, "h9")  # type: ignore[union-attr]


def test_a_learned_device_is_seen_by_what_was_remembered(rig: TopicRig) -> None:
    assert "hub_id" not in rig.record("devices/c1/telemetry", THERMO)
    rig.send("devices/h1/telemetry", {"nodes": [{"device_id": "c1"}]})
    assert rig.record("devices/c1/telemetry", THERMO)["hub_id"] == "h1"


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        (5, "bad_document"),
        ([5], "bad_document"),
        ([{}], "bad_document"),
        ([{"device_id": "a", "parent": 5}], "bad_document"),
        ([{"device_id": str(i)} for i in range(300)], "too_many_items"),
        ([{"device_id": "a", "parent": "b"}, {"device_id": "b", "parent": "a"}], "too_deep"),
    ],
)
def test_a_topology_that_is_none(rig: TopicRig, nodes: Any, reason: str) -> None:
    assert rig.reason(UP, {"nodes": nodes})[0] == reason


# Signatures


class Signed:
    """Wants a property `sig`."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check(self, message: TopicMessage, device_id: str) -> str | None:
        self.asked.append(device_id)
        return None if ("sig", "ok") in message.properties else "bad_signature"


def test_signatures_are_checked_before_anything_is_read() -> None:
    signed = Signed()
    rig = TopicRig(signatures=signed, templates=[Template("up", product="example_thermo")])
    assert rig.reason(UP, b"{")[0] == "bad_signature"
    assert rig.record(UP, THERMO, sig="ok")["device_id"] == "d1"
    assert rig.reason("up", {**THERMO, "device_id": "d7"})[0] == "bad_signature"
    assert rig.reason("up", {"type": "alert", "data": {}, "device_id": "d7"})[0] == "bad_signature"
    assert signed.asked == ["d1", "d1", "d7", "d7"]


def catalog_with_lines() -> Catalog:
    spec = """
product: lines
messages:
  line:
    csv: true
    fields: [{name: t, type: u8}, {name: h, type: u8}]
"""
    return Catalog.of([build_product("lines", spec, "lines.yaml", {})])


@pytest.mark.parametrize("name", ["device_id", "device_uuid", "hub_id", "childDeviceId"])
@pytest.mark.parametrize("value", [17, 0, False, ["d-1"], {"id": "d-1"}])
def test_an_id_that_is_no_text_is_named(name: str, value: object) -> None:
    rig, field = TopicRig(templates=[Template("in/+")]), f"`{name}`: a text was expected"
    told = {"device_id": "d-1", **THERMO, name: value}
    if name == "device_uuid":
        del told["device_id"]
    for said in (told, {**told, "type": "alert", "data": {"code": "x"}}):
        assert rig.reason("in/x", said) == ("bad_document", field)
        assert rig.outbox.letters[-1].field == name
    assert rig.record("in/x", {**told, name: "d-1"})["device_id"] == "d-1"


def test_an_id_that_is_no_text_says_nothing_where_the_topic_names_the_device() -> None:
    rig = TopicRig()
    assert rig.record("devices/d-1/telemetry", {**THERMO, "device_id": 17})["device_id"] == "d-1"
    assert rig.record("devices/d-1/telemetry", {**THERMO, "device_id": None})["device_id"] == "d-1"


def test_times_that_nobody_can_read_are_flagged_also_without_values() -> None:
    rig = TopicRig()
    alert = {"type": "alert", "data": {"code": "x"}, "ts": "yesterday", "hub_timestamp": "then"}
    frame = {"productId": "example_thermo", "data": {"bin": STATUS_HEX}, "device_timestamp": "soon"}
    for said, names in ((alert, ["device_timestamp", "hub_timestamp"]), (frame, ["device_timestamp"])):
        found = flags(rig.record(UP, said))
        assert [flag for flag in found if flag[0] in names] == [(name, "bad_time") for name in names]
    assert not flags(rig.record(UP, {**alert, "ts": NOW_MS, "hub_timestamp": ""}))
