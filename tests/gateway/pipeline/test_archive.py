"""The raw archive: a frame as it came, under the record id of its records."""

from __future__ import annotations

import orjson
import pytest

from decoders.catalog import Catalog
from decoders.errors import DecodeCode, DecodeError
from decoders.framing.framer import Framer
from decoders.types import SessionContext
from gateway.devices.directory import FileDirectory
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Uplink
from gateway.pipeline.archive import Archive
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from gateway.specs import load_catalog


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def uplink_of(catalog: Catalog, product: str, wire: bytes, **device: str) -> Uplink:
    spec = catalog.find(product).product
    (frame,) = Framer(spec.framing).receive(wire)
    decoded = spec.decode(frame, SessionContext(device_id="356307042441013", received_ms=1_772_323_200_123))
    return Uplink(
        "0195-uplink",
        wire,
        1_772_323_200_123,
        spec,
        Device(DeviceKey("", "356307042441013"), **device),  # type: ignore[arg-type]
        Receipt(),
        "trackers",
        "s-1",
        "192.0.2.7:1234",
        decoded,
    )


def chain_of(numbering: Numbering, *, archive: bool) -> Chain:
    return Chain(Shaper(numbering, "stg", FileDirectory()), Archive(numbering, "stg") if archive else None)


@pytest.mark.parametrize("archive", [False, True])
def test_every_understood_frame_is_kept_behind_its_records(catalog: Catalog, archive: bool) -> None:
    golden = next(case for case in catalog.find("concox_gt06").cases("") if case.values and not case.error)
    uplink = uplink_of(catalog, "concox_gt06", golden.wire, hub_id="hub-1")
    numbering = Numbering("gw-1", 1_772_000_000_000, 40)
    kept = chain_of(numbering, archive=archive).run(uplink)
    assert isinstance(kept, list)
    raw = [record for record in kept if record.type == "raw"]
    assert len(raw) == archive
    if not raw:
        return
    body = orjson.loads(raw[0].body)
    assert raw[0] is kept[-1]
    assert (raw[0].record_id, raw[0].lane, raw[0].product) == ("0195-uplink-0", "356307042441013", "concox_gt06")
    assert body == {
        "schema": "iotlink.raw/1",
        "record_id": "0195-uplink-0",
        "type": "raw",
        "device_id": "356307042441013",
        "hub_id": "hub-1",
        "productId": "concox_gt06",
        "ingest_timestamp": "2026-03-01T00:00:00.123Z",
        "message": uplink.decoded.message.name if uplink.decoded else "",
        "spec_version": uplink.product.version,
        "env": "stg",
        "raw_hex": golden.wire.hex(),
        "records": len(kept) - 1,
        "listener": "trackers",
        "session_id": "s-1",
        "peer": "192.0.2.7:1234",
        "gateway_id": "gw-1",
        "epoch": 1_772_000_000_000,
        "seq": numbering.seq,
    }
    others = [orjson.loads(record.body)["seq"] for record in kept[:-1]]
    assert sorted([*others, body["seq"]]) == list(range(41, 41 + len(kept)))


def test_a_dead_letter_keeps_its_own_bytes(catalog: Catalog) -> None:
    golden = next(case for case in catalog.find("concox_gt06").cases("") if case.values and not case.error)
    uplink = uplink_of(catalog, "concox_gt06", golden.wire)
    uplink.decoded, uplink.error = None, DecodeError(DecodeCode.TRUNCATED, "cut")
    assert isinstance(chain_of(Numbering("gw-1", 1), archive=True).run(uplink), DeadLetter)
