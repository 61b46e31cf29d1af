"""Every call of the REST API on a whole gateway: media types, encodings, broken bodies, answers, records."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from backports import zstd

from tests.e2e.rest_client import CSV, NDJSON, Caller, caller_of, item, rest_config
from tests.e2e.rig import RunningGateway

pytestmark = pytest.mark.e2e

FRAME = "a50d02010704b00ce40a0e000716a7"  # example_thermo, status
DEVICE = "004512345678"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    async with RunningGateway(tmp_path, rest_config(tmp_path)) as running:
        yield running


@pytest.fixture
async def caller(rig: RunningGateway) -> AsyncIterator[Caller]:
    async with caller_of(rig) as made:
        yield made


async def stored(rig: RunningGateway, count: int) -> list[Any]:
    await rig.delivered()
    records = rig.records()
    assert len(records) == count
    assert not rig.letters()
    return records


async def test_an_object_and_a_batch(rig: RunningGateway, caller: Caller) -> None:
    one = await caller.post("/v1/telemetry", item(n=1))
    assert (one.status, one.statuses) == (200, ["accepted"])
    many = await caller.post("/v1/telemetry", [item(n=2), {"n": 3}, item("truck-2", n=4), 5])
    assert (many.status, many.statuses) == (207, ["accepted", "rejected", "accepted", "rejected"])
    assert many.json["accepted"] == many.json["rejected"] == 2
    assert many.codes == ["not_identified", "bad_document"]
    records = await stored(rig, 3)
    ids = [one.json["items"][0]["record_id"], *(many.json["items"][index]["record_id"] for index in (0, 2))]
    assert [record["record_id"] for record in records] == ids
    assert [record["metrics"]["n"] for record in records] == [1, 2, 4]


async def test_only_errors_and_nothing_accepted(caller: Caller) -> None:
    some = await caller.post("/v1/telemetry?return=errors", [item(), 5])
    assert [one["index"] for one in some.json["items"]] == [1]
    none = await caller.post("/v1/telemetry", [5, {}])
    assert (none.status, none.json["code"], none.json["rejected"]) == (422, "nothing_accepted", 2)
    assert none.headers["Content-Type"] == "application/problem+json"
    empty = await caller.post("/v1/telemetry", [])
    assert (empty.status, empty.json) == (200, {"accepted": 0, "rejected": 0, "items": []})


async def test_product_and_device_of_the_url(rig: RunningGateway, caller: Caller) -> None:
    answer = await caller.post("/v1/telemetry?product=generic_json&device_id=van-9", {"metrics": {"n": 1}})
    assert answer.status == 200
    other = await caller.post("/v1/telemetry?product=generic_json", {"device_id": "van-8", "fields": {"n": 1}})
    assert other.status == 200
    assert [one["device_id"] for one in await stored(rig, 2)] == ["van-9", "van-8"]
    unknown = await caller.post("/v1/telemetry?product=nope", item())
    assert (unknown.status, unknown.json["code"]) == (422, "unknown_product")
    silent = await caller.post("/v1/telemetry", {"device_id": "van-8", "metrics": {"n": 1}})
    assert (silent.status, silent.codes) == (422, ["unknown_product"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "empty_body"),
        (b'{"a":', 400, "not_json"),
        (b"[" * 100_000 + b"]" * 100_000, 400, "not_json"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400, "not_json"),
        (b'{"device_id":"a","device_id":"b"}', 400, "not_json"),
        (b'{"device_id":"a","metrics":{"n":NaN}}', 400, "not_json"),
        (b'{"device_id":"a","metrics":{"n":Infinity}}', 400, "not_json"),
        (b'{"device_id":"\xff"}', 400, "not_json"),
        (b'"text"', 400, "nothing_accepted"),
        (b"5", 400, "nothing_accepted"),
    ],
)
async def test_broken_json(rig: RunningGateway, caller: Caller, body: bytes, status: int, code: str) -> None:
    answer = await caller.post("/v1/telemetry?product=generic_json", body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert (await caller.post("/v1/telemetry", item())).status == 200
    await stored(rig, 1)


async def test_integers(rig: RunningGateway, caller: Caller) -> None:
    """As JSON readers lose digits beyond 53 bits, these are texts of a record; beyond 64 bits none is taken."""
    body = b'{"device_id":"a","productId":"generic_json","metrics":{"m":9007199254740993}}'
    answers = [await caller.post("/v1/telemetry", data) for data in (body, b"[" + body + b"]")]
    assert [answer.status for answer in answers] == [200, 200]
    for number in (b"1" + b"0" * 400, b"18446744073709551616", b"1e999"):
        answer = await caller.post("/v1/telemetry", body.replace(b"9007199254740993", number))
        assert (answer.status, answer.json["code"]) == (400, "not_json")
    assert [record["metrics"] for record in await stored(rig, 2)] == [{"m": "9007199254740993"}] * 2


@pytest.mark.parametrize("packed", ["gzip", "zstd"])
async def test_packed_bodies(rig: RunningGateway, caller: Caller, packed: str) -> None:
    pack = gzip.compress if packed == "gzip" else zstd.compress
    answer = await caller.post("/v1/telemetry", pack(orjson.dumps([item()] * 3)), content_encoding=packed)
    assert (answer.status, answer.json["accepted"]) == (200, 3)
    broken = await caller.post("/v1/telemetry", pack(b"[]")[:-4], content_encoding=packed)
    assert (broken.status, broken.json["code"]) == (400, "broken_encoding")
    bomb = await caller.post("/v1/telemetry", pack(b" " * (200 << 20)), content_encoding=packed)
    assert (bomb.status, bomb.json["code"]) == (413, "too_large")
    assert bomb.json["limit"]["name"] in ("rest.max_body_bytes", "max_expansion_ratio")
    await stored(rig, 3)


async def test_what_is_not_taken(caller: Caller) -> None:
    for content_type, encoding, code in (
        ("text/html", "identity", "unsupported_media_type"),
        ("application/octet-stream", "identity", "unsupported_media_type"),
        ("application/json", "br", "unsupported_encoding"),
        ("text/csv; charset=utf-16", "identity", "unsupported_charset"),
    ):
        answer = await caller.post("/v1/telemetry", b"{}", content_type, content_encoding=encoding)
        assert (answer.status, answer.json["code"]) == (415, code)
    assert (await caller.get("/v1/telemetry")).status == 405
    assert (await caller.get("/v1/nothing")).json["code"] == "not_found"
    for path in ("/v1/telemetry?wait=ever", "/v1/telemetry?return=some", "/v1/telemetry?delimiter=x"):
        answer = await caller.post(path, [])
        assert (answer.status, answer.json["code"]) == (400, "bad_parameter")


async def test_limits_are_named(tmp_path: Path) -> None:
    rest = {"max_item_bytes": 100, "max_body_bytes": 1000, "max_items": 5, "stream_from_bytes": 1000}
    async with RunningGateway(tmp_path, rest_config(tmp_path, rest=rest)) as rig, caller_of(rig) as caller:
        large = item(text="x" * 200)
        one = await caller.post("/v1/telemetry", large)
        assert (one.status, one.json["limit"]) == (413, {"name": "rest.max_item_bytes", "value": 100})
        batch = await caller.post("/v1/telemetry", [item(), large])
        assert (batch.status, batch.codes) == (207, ["too_large"])
        body = await caller.post("/v1/telemetry", [item()] * 20)
        assert (body.status, body.json["limit"]["name"]) == (413, "rest.max_body_bytes")
        many = await caller.post("/v1/telemetry", b"[1,1,1,1,1,1]")
        assert (many.status, many.json["limit"]) == (413, {"name": "rest.max_items", "value": 5})
        frame = await caller.post("/v1/frames/example_thermo", b"x" * 101, "application/octet-stream")
        assert (frame.status, frame.json["limit"]["name"]) == (413, "rest.max_item_bytes")
        line = await caller.post("/v1/telemetry", orjson.dumps(item()) + b"\n" + b"x" * 150, NDJSON)
        assert (line.status, line.codes) == (207, ["too_large"])


# Lines


async def test_ndjson_as_batch_and_as_upload(rig: RunningGateway, caller: Caller) -> None:
    lines = b"\n".join([orjson.dumps(item(n=1)), b"", b"{", orjson.dumps(item(n=2))])
    batch = await caller.post("/v1/telemetry", lines, NDJSON)
    assert (batch.status, batch.statuses) == (207, ["accepted", "rejected", "accepted"])

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(lines), 7):
            yield lines[at : at + 7]

    upload = await caller.post("/v1/telemetry", pieces(), NDJSON)
    assert (upload.status, upload.json["lines"], upload.json["accepted"]) == (207, 4, 2)
    assert [(error["line"], error["code"]) for error in upload.json["errors"]] == [(3, "bad_document")]
    assert [record["metrics"]["n"] for record in await stored(rig, 4)] == [1, 2, 1, 2]


CSV_SPEC = """
product: csv_station
title: Stations that write CSV
version: 1
messages:
  reading:
    csv: true
    fields:
      - {name: temperature, type: f64, unit: "°C", range: [-40, 60]}
      - {name: note, type: text, bytes: rest}
"""


async def test_csv_by_the_spec_and_without(tmp_path: Path) -> None:
    folder = tmp_path / "specs" / "csv_station"
    folder.mkdir(parents=True)
    (folder / "spec.yaml").write_text(CSV_SPEC, "utf-8")
    settings = rest_config(tmp_path)
    settings["gateway"]["specs_dirs"] = [str(tmp_path / "specs")]
    async with RunningGateway(tmp_path, settings) as rig, caller_of(rig) as caller:
        text = 'device_id;ts;temperature;note\ns1;2026-03-01T00:00:00Z;21,5;"서울; 강"\ns2;;20;\ns3;;x\n'
        for data in (text.encode(), text.encode("cp949"), b"\xef\xbb\xbf" + text.encode()):
            answer = await caller.post("/v1/telemetry?product=csv_station", data, CSV)
            assert (answer.status, answer.statuses) == (207, ["accepted", "accepted", "rejected"])
            packed = await caller.post(
                "/v1/telemetry?product=csv_station", gzip.compress(data), CSV, content_encoding="gzip"
            )
            assert (packed.status, packed.json["accepted"], packed.json["rejected"]) == (207, 2, 1)
            assert packed.json["errors"][0]["line"] == 4
        records = await stored(rig, 12)
        assert {record["metrics"]["temperature"] for record in records} == {21.5, 20.0}
        assert {record["metrics"].get("note") for record in records} == {"서울; 강", None}
        plain = await caller.post("/v1/telemetry?product=generic_json&delimiter=tab", b"device_id\tn\na\t07\nb\t7", CSV)
        assert plain.statuses == ["accepted", "accepted"]
        records = (await stored(rig, 14))[-2:]
        assert [record["metrics"]["n"] for record in records] == ["07", 7]
        for path, data, content_type in (
            ("/v1/telemetry?product=csv_station", b"a,b\n1,2\n", CSV),
            ("/v1/telemetry?product=generic_json", b"a,a\n1,2\n", CSV),
            ("/v1/telemetry?product=generic_json", b"a\n1\n", "text/csv; header=absent"),
        ):
            bad = await caller.post(path, data, content_type)
            assert (bad.status, bad.json["code"]) == (422, "bad_header")


# The other calls


async def test_records_of_every_type(rig: RunningGateway, caller: Caller) -> None:
    for record in ("alert", "control", "file", "firmware", "log", "presence"):
        answer = await caller.post(f"/v1/records/{record}", {"device_id": "a", "data": {"code": 7}})
        assert answer.status == 200, answer.body
    for record in ("telemetry", "event"):
        assert (await caller.post(f"/v1/records/{record}", item())).status == 200
    row = {"op": "upsert", "table": "sites", "keys": {"id": 5}, "data": {"name": "north"}}
    assert (await caller.post("/v1/records/master", [row, {**row, "device_id": "a"}])).status == 200
    records = await stored(rig, 10)
    assert [one["type"] for one in records] == [
        *("alert", "control", "file", "firmware", "log", "presence", "telemetry", "event", "master", "master")
    ]
    assert records[0]["data"] == {"code": 7}
    assert (records[8]["device_id"], records[8]["data"]) == ("table:sites", row)
    wrong: list[Any] = [{"op": "merge"}, {"table": ""}, {"keys": 5}, {"data": []}]
    for bad in wrong:
        answer = await caller.post("/v1/records/master", {**row, **bad})
        assert (answer.status, answer.codes) == (400, ["bad_document"])
    assert (await caller.post("/v1/records/alert", {"device_id": "a", "type": "log"})).codes == ["bad_document"]
    assert (await caller.post("/v1/records/alert", {"device_id": "a", "data": 5})).codes == ["bad_document"]
    assert (await caller.post("/v1/records/nothing", {})).status == 404


async def test_frames_in_every_form(rig: RunningGateway, caller: Caller) -> None:
    data = bytes.fromhex(FRAME)
    path = f"/v1/frames/example_thermo?device_id={DEVICE}"
    bodies: list[tuple[Any, str]] = [
        (data, "application/octet-stream"),
        (FRAME.encode(), "text/x-hex"),
        (base64.b64encode(data), "text/x-base64"),
        (FRAME.encode(), "text/plain"),
        ({"hex": FRAME}, "application/json"),
        ([{"base64": base64.b64encode(data).decode(), "device_id": "004512345679"}], "application/json"),
        (json.dumps({"data": FRAME, "encoding": "hex", "port": 3}).encode(), NDJSON),
    ]
    for body, content_type in bodies:
        answer = await caller.post(path, body, content_type)
        assert (answer.status, answer.statuses) == (200, ["accepted"]), answer.body
    records = await stored(rig, len(bodies))
    assert {record["metrics"]["tempC"] for record in records} == {26.3}
    assert [record["device_id"] for record in records].count(DEVICE) == len(bodies) - 1
    for body, code in (
        ({"hex": "zz"}, "bad_document"),
        ({}, "bad_document"),
        ({"hex": 5}, "bad_document"),
        ({"hex": FRAME, "port": 300}, "bad_document"),
        ({"hex": FRAME[:-2] + "00"}, "bad_check"),
    ):
        answer = await caller.post(path, body)
        assert answer.codes == [code]
    assert (await caller.post("/v1/frames/example_thermo", data, "application/octet-stream")).codes == [
        "not_identified"
    ]
    unknown = await caller.post("/v1/frames/nope", data, "application/octet-stream")
    assert (unknown.status, unknown.json["code"]) == (404, "unknown_product")
    assert (await caller.post(f"{path}&variant=x", data, "application/octet-stream")).status == 422
    assert (await caller.post(f"{path}&port=256", data, "application/octet-stream")).status == 400
    assert (await caller.post(path, b"zz", "text/x-hex")).json["code"] == "broken_text"


async def test_home_assistant(rig: RunningGateway, caller: Caller) -> None:
    state = {
        "entity_id": "sensor.kitchen",
        "state": "21.5",
        "attributes": {"device_class": "temperature", "unit_of_measurement": "°C"},
        "last_updated": "2026-03-01T08:00:00+00:00",
    }
    event = {"event_type": "state_changed", "data": {"entity_id": "sensor.kitchen", "new_state": state}}
    bodies: list[Any] = [
        state,
        event,
        {"entity_id": "switch.pump", "state": "on"},
        {"ts": 1772352000, "fields": {"tempC": 3}, "tags": {"device_id": "fridge"}},
        {"ts": 1772352000, "fields": {"tempC": 3}},
    ]
    for path in ("/v1/ingest/ha/home", "/ingest/ha/home"):
        assert (await caller.post(path, bodies)).statuses == ["accepted"] * 5
    silent: list[Any] = [{**state, "state": "unavailable"}, {"data": {"entity_id": "sensor.x", "new_state": None}}]
    answer = await caller.post("/v1/ingest/ha/home", silent)
    assert answer.json["items"] == [{"index": 0, "status": "accepted"}, {"index": 1, "status": "accepted"}]
    records = (await stored(rig, 10))[:5]
    assert [one["device_id"] for one in records] == [
        "sensor.kitchen",
        "sensor.kitchen",
        "switch.pump",
        "fridge",
        "home",
    ]
    assert records[0]["metrics"] == {"temperature": 21.5}
    assert records[0]["device_timestamp"] == "2026-03-01T08:00:00.000Z"
    assert records[0]["tags"]["unit_of_measurement"] == "°C"
    assert records[2]["metrics"] == {"state": True}
    assert (await caller.post("/v1/ingest/ha/home", {"state": "5"})).codes == ["bad_document"]


async def test_mqtt_bridge(rig: RunningGateway, caller: Caller) -> None:
    payload = {"productId": "generic_json", "metrics": {"n": 1}}
    messages = [
        {"topic": "devices/van-1/telemetry", "payload": payload},
        {"topic": "devices/van-2/telemetry", "payload": json.dumps(payload)},
        {"topic": "devices/van-3/telemetry", "payload": orjson.dumps(payload).hex(), "encoding": "hex"},
        {"topic": "devices/van-4/status", "payload": "online"},
        {"topic": "elsewhere", "payload": {}},
        {"topic": "a/+", "payload": {}},
        {"topic": "devices/van-1/telemetry"},
        {"other": 1},
    ]
    for path in ("/v1/ingest/mqtt-bridge", "/ingest/mqtt-bridge"):
        answer = await caller.post(path, messages)
        assert answer.statuses == ["accepted"] * 4 + ["rejected"] * 4, answer.body
        assert answer.codes == ["no_template", "bad_document", "bad_document", "bad_document"]
    assert [one["device_id"] for one in (await stored(rig, 8))[:4]] == ["van-1", "van-2", "van-3", "van-4"]
    assert rig.gateway.presence.online_count == 1
    join = {"deviceInfo": {"devEui": "0102030405060708", "deviceProfileName": "x"}, "fPort": 1, "data": "AQ=="}
    assert (await caller.post("/v1/ingest/mqtt-bridge?product=example_thermo", join)).codes != ["no_template"]


async def test_the_catalog(caller: Caller) -> None:
    listed = (await caller.get("/v1/specs")).json["specs"]
    assert "example_thermo" in [one["product"] for one in listed]
    shown = (await caller.get("/v1/specs/example_thermo")).json
    assert "status" in [message["name"] for message in shown["messages"]]
    missing = await caller.get("/v1/specs/example_termo")
    assert (missing.status, missing.json["code"]) == (404, "unknown_product")
    for body, content_type in (
        (bytes.fromhex(FRAME), "application/octet-stream"),
        (FRAME.encode(), "text/x-hex"),
        ({"hex": FRAME, "device_id": DEVICE}, "application/json"),
    ):
        decoded = (await caller.post("/v1/specs/example_thermo:decode", body, content_type)).json
        assert (decoded["ok"], decoded["message"], decoded["values"]["tempC"]) == (True, "status", 26.3)
    broken = (await caller.post("/v1/specs/example_thermo:decode", b"a5", "text/x-hex")).json
    assert broken["ok"] is False
    assert (await caller.post("/v1/specs/example_thermo:decode", b"{")).status == 400
    assert (await caller.post("/v1/specs/example_thermo:decode?variant=x", b"a5", "text/x-hex")).status == 422


async def test_document_page_and_headers(caller: Caller) -> None:
    document = await caller.get("/openapi.json", X_Request_Id="mine-1")
    assert (document.json["openapi"], document.headers["X-Request-Id"]) == ("3.1.0", "mine-1")
    page = await caller.get("/docs")
    assert page.headers["Content-Type"].startswith("text/html")
    for answer in (document, page):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Server"] == "iotlink"


async def test_metrics_name_the_template(rig: RunningGateway, caller: Caller) -> None:
    await caller.post("/v1/frames/nope", b"x", "application/octet-stream")
    await caller.post("/v1/telemetry", [item(), 5])
    assert rig.total("iotlink_http_requests_total", route="/v1/frames/{product}", code="404") == 1
    assert rig.total("iotlink_http_requests_total", route="/v1/telemetry", method="POST", code="207") == 1
    assert rig.total("iotlink_http_requests_total", route="/v1/specs", code="200") == 0
    assert rig.total("iotlink_uplinks_refused_total", reason="rejected") == 1
    assert rig.total("iotlink_http_requests_in_flight") == 0
