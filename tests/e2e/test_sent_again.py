"""A device that missed the answer sends its message again: it gets the same answer, and there is one record."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gateway.delivery.disk import AppendFile
from tests.e2e import frames
from tests.e2e.process import Serve
from tests.e2e.rig import Client, Json, RunningGateway, config, listener, read_json, until, write_config

pytestmark = pytest.mark.e2e

IMEI = "359999000000001"
SPEC = """
product: tracker_once
extends: concox_gt06
version: 1
dedup: {key: [serial, time, frame]}
"""
_PLACE = bytes.fromhex("c6024bb93007d3fb783d14c501940500f2006c85")


def position(serial: int, second: int = 0) -> bytes:
    return frames.gt06(0x12, bytes([26, 3, 1, 12, 0, second]) + _PLACE, serial)


def answer(serial: int) -> bytes:
    return frames.gt06(0x12, serial=serial)


def once(folder: Path) -> Json:
    """A gateway whose only product knows copies."""
    spec = folder / "specs" / "tracker_once" / "spec.yaml"
    spec.parent.mkdir(parents=True)
    spec.write_text(SPEC, "utf-8")
    settings = config(folder, listener(products=["tracker_once"]))
    settings["gateway"]["specs_dirs"] = [str(folder / "specs")]
    return settings


async def log_in(client: Client) -> None:
    await client.ask(frames.gt06_login(IMEI), frames.gt06(0x01))


async def test_a_copy_gets_the_same_answer_and_makes_no_record(tmp_path: Path) -> None:
    async with RunningGateway(tmp_path, once(tmp_path)) as rig:
        client = await rig.connect()
        await log_in(client)
        client.send(position(7) + position(7))  # the second one before the first is durable
        assert await client.read(2 * len(answer(7))) == answer(7) * 2
        client.send(position(8))
        await until(lambda: rig.total("iotlink_dedup_keys") == 2, "the second message is kept")
        await client.abort()  # the answer is lost

        client = await rig.connect()
        await log_in(client)
        await client.ask(position(8), answer(8))
        await client.ask(position(8, second=1), answer(8))  # the same serial number, but another message
        await client.ask(frames.gt06_heartbeat(9), frames.gt06(0x13, serial=9))
        await client.ask(frames.gt06_heartbeat(9), frames.gt06(0x13, serial=9))  # equal readings are real
        sums = rig.sums()
        assert (sums.received, sums.accepted, sums.duplicate) == (9, 7, 2)
        assert rig.total("iotlink_dedup_evicted_total") == 0
    messages = [record["message"] for record in rig.records()]
    assert messages == ["position_cell"] * 3 + ["heartbeat"] * 2


async def test_a_copy_of_what_could_not_be_kept_is_a_first_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with RunningGateway(tmp_path, once(tmp_path)) as rig:
        client = await rig.connect()
        await log_in(client)
        with monkeypatch.context() as patch:
            patch.setattr(AppendFile, "write", full_disk)
            client.send(position(7) + position(7))
            assert await client.read_to_end() == b""  # closed without an answer
        assert rig.sums().refused == 2
        assert rig.total("iotlink_dedup_keys") == 0
        await until(rig.gateway.watch.outbox.has_room, "room again")  # type: ignore[union-attr]
        client = await rig.connect()
        await log_in(client)
        await client.ask(position(7), answer(7))
        assert rig.sums().duplicate == 0
    assert len(rig.records()) == 1


def full_disk(*_: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
async def test_a_copy_is_known_after_a_restart(tmp_path: Path, end: signal.Signals) -> None:
    file = write_config(tmp_path, once(tmp_path))
    for run in range(3):  # in the third one the key comes from the snapshot of the second one's segment
        async with Serve(tmp_path, "--config", file) as gateway:
            client = await gateway.connect()
            await log_in(client)
            await client.ask(position(7), answer(7))
            await client.ask(position(10 + run), answer(10 + run))
            await gateway.until_sample(lambda samples, run=run: samples.total("iotlink_dedup_keys") == 2 + run)  # type: ignore[misc]
            assert (await gateway.samples()).total("iotlink_uplinks_settled_total", outcome="duplicate") == bool(run)
            gateway.send_signal(end)
            await gateway.ended()
            await client.abort()
    async with Serve(tmp_path, "--config", file) as gateway:
        await until(lambda: len(read_json(tmp_path / "data" / "records")) >= 4, "all delivered")
        assert (await gateway.samples()).total("iotlink_dedup_keys") == 4
        assert await gateway.terminate() == 0
    stored = {record["record_id"] for record in read_json(tmp_path / "data" / "records")}
    assert len(stored) == 4
