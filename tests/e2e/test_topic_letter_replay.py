"""Dead letters of messages under topics: the dry run of a stopped gateway and the replay of a running one agree."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import aiomqtt
import orjson
import pytest

from tests.e2e.process import Command, Serve
from tests.e2e.rig import GUARD_S, Json, config, read_json, until, write_config

pytestmark = pytest.mark.e2e

SPEC = """\
product: boiler
title: Boiler
version: 1
transports: [mqtt]
endian: big
messages:
  reading:
    fields: [{name: tempC, type: i16, scale: 0.1}]
"""
DEVICES = """\
- {id: b2, product: boiler, hmac_secret: a-secret-of-the-boiler}
"""


def settings(folder: Path) -> Path:
    (folder / "specs").mkdir(exist_ok=True)
    (folder / "devices.yaml").write_text(DEVICES, "utf-8")
    made = config(
        folder,
        tcp={"listeners": []},
        mqtt={
            "listeners": [{"name": "mqtt", "port": 0}],
            "topics": [{"template": "plant/{product}/{device_id}", "format": "bin"}],
            "signatures": {"required": True},
        },
    )
    made["gateway"] |= {
        "specs_dirs": [str(folder / "specs")],
        "codec": "construct",
        "devices_file": str(folder / "devices.yaml"),
    }
    return write_config(folder, made)


async def dlq(folder: Path, *arguments: str | Path) -> tuple[list[Json], Json]:
    """What it says of each letter, by id, and the sums."""
    command = Command(folder, ["dlq", "replay", *arguments])
    assert await command.run() == 1, command.stderr
    *rows, total = [orjson.loads(line) for line in command.stdout]
    return sorted(rows, key=lambda row: str(row["id"])), total


def outcomes(rows: list[Json]) -> list[tuple[str, str, int, str | None]]:
    return [(row["reason"], row["outcome"], row["records"], row.get("now")) for row in rows]


async def test_the_dry_run_of_files_says_what_the_replay_does(tmp_path: Path) -> None:
    path = settings(tmp_path)
    async with Serve(tmp_path, "--config", path) as gateway:
        host, port = gateway.address("mqtt")
        async with aiomqtt.Client(host, port, identifier="c", timeout=GUARD_S) as client:
            for topic, payload in (
                ("devices/b1/telemetry", b'{"productId": "boiler", "data": {"bin": "0107"}, "encoding": "hex"}'),
                ("plant/boiler/b1", b"\x01\x08"),
                ("plant/boiler/b1", b"\x01"),  # too short for what comes
                ("devices/b1/telemetry", b'{"productId": "kettle", "metrics": {"t": 1}}'),  # no spec comes
                ("devices/b2/telemetry", b'{"data": {"bin": "0109"}, "encoding": "hex"}'),  # not signed
            ):
                await client.publish(topic, payload, 1)
        assert await gateway.terminate() == 0
    letters = read_json(tmp_path / "data" / "dead_letters")
    assert Counter(letter["reason"] for letter in letters) == {"unknown_product": 4, "bad_signature": 1}

    (tmp_path / "specs" / "boiler").mkdir()
    (tmp_path / "specs" / "boiler" / "spec.yaml").write_text(SPEC, "utf-8")
    rows, total = await dlq(tmp_path, "--dry-run", "--config", path)
    assert (total["matched"], total["replayed"], total["records"]) == (5, 2, 2)
    assert total["still"] == {"truncated": 1, "unknown_product": 1, "bad_signature": 1}

    async with Serve(tmp_path, "--config", path) as gateway:
        done, sums = await dlq(tmp_path, "--all", "--url", gateway.admin_url)
        assert outcomes(done) == outcomes(rows)
        assert {name: value for name, value in sums.items() if name not in ("dry_run", "letters")} == {
            name: value for name, value in total.items() if name not in ("dry_run", "letters")
        }
        await until(lambda: len(read_json(tmp_path / "data" / "records")) == 2, "the sink has the records")
        assert await gateway.terminate() == 0
    made = read_json(tmp_path / "data" / "records")
    assert [(record["device_id"], record["metrics"]["tempC"]) for record in made] == [("b1", 26.3), ("b1", 26.4)]
    assert {record["replayed"] for record in made} == {True}


async def test_a_template_that_cannot_be_used_is_placed(tmp_path: Path) -> None:
    """The dry run needs the templates for letters under topics."""
    path = settings(tmp_path)
    async with Serve(tmp_path, "--config", path) as gateway:
        host, port = gateway.address("mqtt")
        async with aiomqtt.Client(host, port, identifier="c", timeout=GUARD_S) as client:
            await client.publish("plant/boiler/b1", b"\x01\x08", 1)
        assert await gateway.terminate() == 0
    path.write_text(path.read_text("utf-8").replace("{device_id}", "{devce_id}"), "utf-8")
    command = Command(tmp_path, ["dlq", "replay", "--dry-run", "--config", path])
    assert await command.run() == 2
    assert "gateway.yaml:" in command.stderr
    assert "mqtt.topics.0.template: " in command.stderr
    assert "{devce_id}" in command.stderr
