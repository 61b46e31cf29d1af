"""Dead letters as operators meet them: a spec that was wrong is mended, and `iotlink dlq replay` makes the records."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import aiohttp
import orjson
import pytest

from gateway.specs import packaged_specs
from loadtest.fake_kinesis import FakeKinesis
from tests.e2e.process import Command, Serve
from tests.e2e.rig import (
    Json,
    RunningGateway,
    aws_credentials,
    config,
    kinesis_sink,
    listener,
    read_json,
    until,
    write_config,
)

pytestmark = pytest.mark.e2e

LOGIN = bytes.fromhex("a51001004512345678312e342e320007ec5e")
STATUS = bytes.fromhex("a50d02010704b00ce40a0e000716a7")
BAD_CHECK = bytes.fromhex("a51001004552345678312e342e320007ec5e")


def put_spec(folder: Path, *, mended: bool) -> Path:
    """A folder of specs with the specimen: at first it does not know the status message (it thinks it is type 34)."""
    product = folder / "specs" / "example_thermo"
    product.mkdir(parents=True, exist_ok=True)
    text = (packaged_specs() / "example_thermo" / "spec.yaml").read_text("utf-8")
    assert text.count("when: {type: 0x02}") == 1
    assert text.count("\nversion: 1\n") == 1
    text = text.replace("\nversion: 1\n", f"\nversion: {12 if mended else 11}\n")
    if not mended:
        text = text.replace("when: {type: 0x02}", "when: {type: 0x22}")
    (product / "spec.yaml").write_text(text, "utf-8")
    return folder / "specs"


def settings(folder: Path, **sections: object) -> Path:
    made = config(folder, listener("meters", ["example_thermo"]), **sections)
    made["gateway"] |= {"specs_dirs": [str(folder / "specs")], "codec": "construct"}  # no proofs of changed specs
    return write_config(folder, made)


def letters(folder: Path) -> list[Json]:
    found = []
    for path in sorted((folder / "data" / "dead_letters").glob("*-*.ndjson")):
        found += [orjson.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
    return found


def records(folder: Path) -> list[Json]:
    return read_json(folder / "data" / "records")


async def dlq(folder: Path, *arguments: str | Path) -> tuple[int, list[Json], str]:
    """Exit code, lines of JSON and stderr."""
    command = Command(folder, ["dlq", *arguments])
    code = await command.run()
    return code, [orjson.loads(line) for line in command.stdout], command.stderr


async def send(gateway: Serve, count: int, *more: bytes) -> None:
    client = await gateway.connect("meters")
    client.send(LOGIN + STATUS * count + b"".join(more))
    client.end()
    await client.read_to_end()


async def test_a_mended_spec_makes_the_records(tmp_path: Path) -> None:
    put_spec(tmp_path, mended=False)
    path = settings(tmp_path)
    async with Serve(tmp_path, "--config", path) as gateway:
        await send(gateway, 3, BAD_CHECK)
        stored = letters(tmp_path)
        assert [letter["reason"] for letter in stored] == ["unknown_message"] * 3 + ["bad_check"]
        assert {letter["spec_version"] for letter in stored} == {11}
        wrong = [letter for letter in stored if letter["reason"] == "unknown_message"]
        code, lines, errors = await dlq(tmp_path, "ls", "--url", gateway.admin_url, "--reason", "unknown_message")
        assert (code, errors) == (0, "")
        assert [line["id"] for line in lines] == [letter["dead_letter_id"] for letter in wrong]
        code, lines, _ = await dlq(tmp_path, "replay", "--all", "--url", gateway.admin_url)  # nothing is mended yet
        assert (code, lines[-1]["failed"], lines[-1]["replayed"]) == (1, 4, 0)
        assert records(tmp_path) == []
        gateway.send_signal(signal.SIGKILL)
        await gateway.ended()

    # Of the stopped gateway: what would happen with the mended spec?
    put_spec(tmp_path, mended=True)
    code, lines, errors = await dlq(tmp_path, "replay", "--dry-run", "--config", path)
    assert (code, lines[-1]["replayed"], lines[-1]["failed"]) == (1, 3, 1), errors
    code, _, errors = await dlq(tmp_path, "replay", "--all", "--config", path)
    assert code == 1
    assert "a replay needs a running gateway" in errors

    async with Serve(tmp_path, "--config", path) as gateway:
        replay = ("replay", "--reason", "unknown_message", "--url", gateway.admin_url)
        code, lines, errors = await dlq(tmp_path, *replay)
        assert (code, lines[-1]["replayed"], lines[-1]["records"]) == (0, 3, 3), errors
        await until(lambda: len(records(tmp_path)) == 3, "the sink has the records")
        made = records(tmp_path)
        assert [record["record_id"] for record in made] == [f"{letter['dead_letter_id']}-0" for letter in wrong]
        assert [record["ingest_timestamp"] for record in made] == [letter["received_at"] for letter in wrong]
        assert {(record["replayed"], record["spec_version"], record["metrics"]["tempC"]) for record in made} == {
            (True, 12, 26.3)
        }
        code, lines, _ = await dlq(tmp_path, *replay)
        assert (code, lines[-1]["matched"]) == (0, 0)
        await send(gateway, 1)  # live traffic is not marked
        await until(lambda: len(records(tmp_path)) == 4, "the sink has it")
        made = records(tmp_path)
        assert ["replayed" in record for record in made] == [True, True, True, False]
        code, lines, _ = await dlq(tmp_path, "ls", "--url", gateway.admin_url)
        assert [(line["reason"], line["attempts"]) for line in lines] == [("bad_check", 1)]
        code, shown, _ = await dlq(tmp_path, "show", str(lines[0]["id"]), "--url", gateway.admin_url)
        assert shown[0]["raw_hex"] == BAD_CHECK.hex()
        assert shown[0]["gateway_id"] == "gw-test"
        code, lines, _ = await dlq(tmp_path, "purge", "--all", "--url", gateway.admin_url)
        assert (code, lines[0]["purged"]) == (0, 1)
        samples = await gateway.samples()
        assert samples.total("iotlink_dead_letters_replayed_total", outcome="replayed") == 3
        assert samples.total("iotlink_dead_letters_purged_total") == 1
        assert samples.total("iotlink_dead_letters_stored_bytes") == 0
        assert [line["action"] for line in gateway.events("audit")] == ["dead_letters.replay"] * 2 + [
            "dead_letters.purge"
        ]
        assert await gateway.terminate() == 0
    assert letters(tmp_path) == []


@pytest.mark.fault
async def test_a_replay_that_is_killed_goes_on(tmp_path: Path) -> None:
    """Killed in the middle, several times: no letter is lost, and what comes twice has the same id."""
    count = 1500
    put_spec(tmp_path, mended=False)
    path = settings(tmp_path)
    async with Serve(tmp_path, "--config", path) as gateway:
        await send(gateway, count)
        assert await gateway.terminate() == 0
    wanted = Counter(f"{letter['dead_letter_id']}-0" for letter in letters(tmp_path))
    assert wanted.total() == len(wanted) == count

    put_spec(tmp_path, mended=True)
    for kill_at in (1, count // 3, count // 2):
        async with Serve(tmp_path, "--config", path) as gateway:
            command = await Command(tmp_path, ["dlq", "replay", "--all", "--url", gateway.admin_url]).start()
            async with asyncio.timeout(30):
                while len(records(tmp_path)) < kill_at:  # noqa: ASYNC110 - another process sets no event
                    await asyncio.sleep(0.001)
            gateway.send_signal(signal.SIGKILL)
            await gateway.ended()
            await command.ended()
    async with Serve(tmp_path, "--config", path) as gateway:
        code, lines, errors = await dlq(tmp_path, "replay", "--all", "--url", gateway.admin_url)
        assert code == 0, errors
        code, lines, _ = await dlq(tmp_path, "replay", "--all", "--url", gateway.admin_url)
        assert lines[-1]["matched"] == 0
        assert await gateway.terminate() == 0
    made = Counter(record["record_id"] for record in records(tmp_path))
    assert made.keys() == wanted.keys()
    assert letters(tmp_path) == []


async def test_a_command_without_url_finds_the_gateway_of_its_config(tmp_path: Path) -> None:
    put_spec(tmp_path, mended=True)
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        put_spec(folder, mended=True)
    async with Serve(first, "--config", settings(first)) as gateway:
        await send(gateway, 0, BAD_CHECK)
        port = int(gateway.admin_url.rpartition(":")[2])
        own = settings(first, admin={"port": port})
        code, lines, errors = await dlq(first, "ls", "--config", own)
        assert (code, len(lines)) == (0, 1), errors
        # Another gateway's letters are never touched, even where its admin API answers on our port.
        code, lines, errors = await dlq(second, "purge", "--all", "--config", settings(second, admin={"port": port}))
        assert (code, lines[0]["purged"]) == (0, 0), errors
        assert len(letters(first)) == 1
        code, lines, errors = await dlq(first, "purge", "--all", "--config", own)
        assert (code, lines[0]["purged"]) == (0, 1), errors


@pytest.mark.parametrize("ack_on", ["spool", "sink"])
async def test_a_record_that_a_sink_buried_goes_to_that_sink_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ack_on: str
) -> None:
    """As it was, and to no other sink; what is buried again stays one letter."""
    for name, value in aws_credentials().items():
        monkeypatch.setenv(name, value)
    async with FakeKinesis() as kinesis:
        kinesis.create_stream("telemetry")
        sinks = kinesis_sink(kinesis.url) | {"local": {"type": "file", "dir": str(tmp_path / "data" / "records")}}
        routes = [{"to": ["main", "local"]}]
        made = config(tmp_path, listener("meters", ["example_thermo"]), sinks=sinks, routes=routes, ack_on=ack_on)
        async with RunningGateway(tmp_path, made) as rig, aiohttp.ClientSession() as session:
            kinesis.faults.poison = b'"tempC":26.3'
            client = await rig.connect("meters")
            client.send(LOGIN + STATUS)
            await until(lambda: len(letters(tmp_path)) == 1, "the record is buried")
            await until(lambda: len(records(tmp_path)) == 1, "the other sink has it")
            (letter,) = letters(tmp_path)
            assert (letter["sink"], letter["stage"], letter["record"]) == ("main", "sink", records(tmp_path)[0])

            assert rig.gateway.admin is not None
            url = f"http://127.0.0.1:{rig.gateway.admin.port}/v1/dead-letters"

            async def replay() -> Json:
                async with session.post(f"{url}:replay", json={"reason": "buried"}) as answer:
                    assert answer.status == 200
                    report: Json = await answer.json()
                    return report

            report = await replay()  # the sink has not changed its mind
            assert (report["matched"], report["replayed"]) == (1, 1 if ack_on == "spool" else 0)
            await until(lambda: [line["attempts"] for line in letters(tmp_path)] == [1], "it is buried again")
            kinesis.faults.poison = b""
            assert (await replay())["replayed"] == 1
            await until(lambda: len(kinesis.records("telemetry")) == 1, "the sink has it")
            assert kinesis.records("telemetry")[0].data == bytes.fromhex(letter["raw_hex"])
            assert (await replay())["matched"] == 0
        assert len(records(tmp_path)) == 1
        assert len(kinesis.records("telemetry")) == 1
