"""What a letter becomes with today's specs and directory."""

from __future__ import annotations

import orjson
import pytest
from structlog.testing import capture_logs

from decoders.catalog import Catalog
from decoders.types import SessionContext
from gateway.access.admission import Admission, Provisioning
from gateway.admin.rereading import Reread, Rereader
from gateway.devices.directory import FileDirectory
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Uplink
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from tests.gateway.admin.conftest import GOOD, LOGIN, TRUNCATED, buried, letter


def rereader(catalog: Catalog, *devices: Device, provisioning: Provisioning = Provisioning.ALLOW_NEW) -> Rereader:
    directory = FileDirectory(devices)
    chain = Chain(Shaper(Numbering("gw", 7), "prd", directory))
    return Rereader(lambda: catalog, directory, Admission(directory, provisioning), chain)


def read(reader: Rereader, made: DeadLetter) -> Reread:
    return reader.read(made, Receipt())


def test_a_frame_becomes_its_record(catalog: Catalog) -> None:
    made = read(rereader(catalog), letter("u1"))
    assert made.failure is None
    (record,) = made.records
    body = orjson.loads(record.body)
    assert record.record_id == body["record_id"] == "u1-0"
    assert body["ingest_timestamp"] == "2026-03-01T00:00:00.123Z"
    assert body["replayed"] is True
    assert (body["device_id"], body["metrics"]["tempC"], body["spec_version"]) == ("004512345678", 26.3, 1)
    assert (body["gateway_id"], body["epoch"], body["seq"]) == ("gw", 7, 1)
    assert record.received_ms == letter("u1").received_ms


def test_the_hub_and_the_tenant_stay(catalog: Catalog) -> None:
    made = read(rereader(catalog), letter("u1", hub_id="004512345678", tenant="acme"))
    assert made.records[0].lane == "acme/004512345678"
    assert orjson.loads(made.records[0].body)["hub_id"] == "004512345678"


def test_todays_directory_gives_its_tags(catalog: Catalog) -> None:
    known = Device(DeviceKey("", "004512345678"), tags={"room": "kitchen"})
    body = orjson.loads(read(rereader(catalog, known), letter("u1", hub_id="h")).records[0].body)
    assert (body["tags"], body["hub_id"]) == ({"room": "kitchen"}, "h")


def test_a_login_leaves_nothing(catalog: Catalog) -> None:
    made = read(rereader(catalog), letter("u1", LOGIN))
    assert (made.failure, list(made.records)) == (None, [])


def test_another_devices_login_asks_for_access(catalog: Catalog) -> None:
    assert read(rereader(catalog), letter("u1", LOGIN, device="other")).failure is None
    made = read(rereader(catalog, provisioning=Provisioning.KNOWN), letter("u1", LOGIN, device="other"))
    assert made.failure is not None
    assert (made.failure.reason, made.failure.stage, made.failure.attempts) == ("unknown_device", "access", 1)


def test_what_still_fails_says_why_now(catalog: Catalog) -> None:
    made = read(rereader(catalog), letter("u1", TRUNCATED, attempts=2))
    assert not made.records
    assert made.failure is not None
    assert (made.failure.reason, made.failure.stage, made.failure.attempts) == ("truncated", "decode", 3)
    assert made.failure.spec_version == 1
    assert made.failure.dead_letter_id == "u1"


def test_a_product_that_is_gone(catalog: Catalog) -> None:
    made = read(rereader(catalog), letter("u1", product="gone"))
    assert made.failure is not None
    assert (made.failure.reason, made.failure.attempts) == ("unknown_product", 1)
    assert "`gone`" in made.failure.detail


@pytest.mark.parametrize("lane", ["acme/d", ""])
def test_a_buried_record_is_put_as_it_was(catalog: Catalog, lane: str) -> None:
    old = buried("r-0")
    old.lane, old.tenant, old.device_id = lane, "acme", "d"
    made = read(rereader(catalog), old)
    (record,) = made.records
    assert (record.record_id, record.lane, record.type, record.body) == ("r-0", "acme/d", "telemetry", old.raw)
    assert made.sink == "main"


def test_the_session_is_given_back(catalog: Catalog) -> None:
    """What the session knew goes in, also what the directory knows better today."""
    seen: list[SessionContext] = []

    class Watching(Chain):
        def run(self, uplink: Uplink) -> list[object]:  # type: ignore[override]
            assert uplink.context is not None
            assert uplink.replayed
            seen.append(uplink.context)
            return []

    known = Device(DeviceKey("", "d2"), zone_s=3600, variant="b")
    directory = FileDirectory([known])
    chain = Watching(Shaper(Numbering("gw", 1), "prd", directory))
    reader = Rereader(lambda: catalog, directory, Admission(directory, Provisioning.ALLOW_NEW), chain)
    said = SessionContext("d1", "a", 10, 28_800, 0, {"firmware": "1"}, ("t",))
    for device in ("d1", "d2"):
        read(reader, letter("u1", GOOD, device=device, session=said))
    first, second = seen
    assert (first.variant, first.port, first.zone_s, first.columns) == ("a", 10, 28_800, ("t",))
    assert first.values == {"firmware": "1"}
    assert first.values is not said.values
    assert (second.variant, second.zone_s) == ("b", 3600)


def test_an_error_of_ours_keeps_the_letter(catalog: Catalog) -> None:
    class Broken(Chain):
        def run(self, uplink: Uplink) -> list[object]:  # type: ignore[override]
            raise RuntimeError("a bug")

    directory = FileDirectory()
    chain = Broken(Shaper(Numbering("gw", 1), "prd", directory))
    reader = Rereader(lambda: catalog, directory, Admission(directory, Provisioning.ALLOW_NEW), chain)
    with capture_logs() as logs:
        made = read(reader, letter("u1"))
    assert made.failure is not None
    assert (made.failure.reason, made.failure.attempts) == ("wrong_answer", 1)
    assert [entry["event"] for entry in logs] == ["replay_failed"]
