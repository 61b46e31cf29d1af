"""The image is built and run, without a container engine and on a stand-in for its base: `tests/deploy/image`."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import aiohttp
import orjson
import pytest

from gateway import __name__ as PACKAGE
from gateway.settings.model import DrainSettings
from tests.conftest import SHOWN
from tests.deploy.image import stand_in
from tests.deploy.image.container import DATA, Container, free_port, run
from tests.deploy.image.stand_in import Image
from tests.e2e import frames
from tests.e2e.rig import Client, read_json, until

IMEI = "359999000000001"
MAX_OWN_BYTES = 115_000_000
"""What the product and its dependencies may take, on top of the base."""

_ANY_PORT = {
    "IOTLINK_TCP__LISTENERS__0__PORT": "0",
    "IOTLINK_MQTT__LISTENERS__0__PORT": "0",
    "IOTLINK_REST__LISTENERS__0__PORT": "0",
    "IOTLINK_ADMIN__PORT": "0",
}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(stand_in.missing() != "", reason=stand_in.missing())
async def test_the_image_on_a_stand_in_base(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with stand_in.built(tmp_path / "build") as image:
        own = _bytes_of(image.root / "opt")
        base_s, image_s = image.seconds
        record_property(SHOWN, f"base {base_s:.0f} s, image {image_s:.0f} s, own files {own / 1e6:.0f} MB")
        assert own < MAX_OWN_BYTES
        for part in (_what_is_in_it, _commands, _as_it_is, _with_a_device, _with_kinesis, _sigterm_while_it_starts):
            data = tmp_path / part.__name__
            data.mkdir(mode=0o750)
            os.chown(data, 10001, 10001)
            await part(image, data)


Part = Callable[[Image, Path], Coroutine[None, None, None]]


def _bytes_of(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


async def _what_is_in_it(image: Image, data: Path) -> None:
    packages = image.root / "opt/iotlink/lib/python3.11/site-packages"
    assert (packages / PACKAGE / "app/__pycache__").is_dir()
    names = {path.name.partition("-")[0] for path in packages.iterdir()}
    assert not names & {"pip", "setuptools", "wheel", "pytest", "mypy", "tests"}
    assert sorted(path.name for path in (image.root / "opt/iotlink/bin").iterdir()) == [
        "iotlink",
        "python",
        "python3",
        "python3.11",
    ]
    files = [path for path in (image.root / "opt").rglob("*") if not path.is_symlink()]
    writable = [path for path in files if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID)]
    assert not writable
    assert {path.stat().st_uid for path in files} == {0}
    assert sorted(path.name for path in (image.root / "etc/iotlink").iterdir()) == ["devices.yaml", "gateway.yaml"]


async def _commands(image: Image, data: Path) -> None:
    code, output = await run(image, data, ["version"])
    assert code == 0
    assert any(line.startswith("uvloop ") for line in output)
    assert (await run(image, data, ["config", "check", "--config", "/etc/iotlink/gateway.yaml"])) == (0, ["ok"])
    code, output = await run(image, data, ["spec", "ls", "--output", "ndjson"])
    assert code == 0
    assert any('"concox_gt06"' in line for line in output)


@contextlib.asynccontextmanager
async def _serving(image: Image, data: Path, **more: dict[str, str] | dict[str, Path]) -> AsyncIterator[Container]:
    """The image's own command, on free ports."""
    environment = {**_ANY_PORT, "IOTLINK_OBSERVE__PORT": str(free_port()), **more.get("environment", {})}
    async with Container(
        image,
        data,
        image.config["Cmd"],
        environment={key: str(value) for key, value in environment.items()},
        mounts={key: Path(value) for key, value in more.get("mounts", {}).items()},
    ) as container:
        await container.started()
        yield container


async def _health(image: Image, data: Path, observe_port: int) -> int:
    kind, *command = image.config["Healthcheck"]["Test"]
    assert (kind, command[0]) == ("CMD", "iotlink")
    code, _ = await run(image, data, command[1:], {"IOTLINK_OBSERVE__PORT": str(observe_port)})
    return code


def _status(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return {key: value.split() for key, _, value in (line.partition(":") for line in lines)}


def _mounts(pid: int, *places: str) -> dict[str, str]:
    """`ro` or `rw` of each."""
    lines = [line.split() for line in Path(f"/proc/{pid}/mountinfo").read_text("utf-8").splitlines()]
    return {line[4]: line[5].partition(",")[0] for line in lines if line[4] in places}


def _owners(folder: Path) -> set[int]:
    return {path.stat().st_uid for path in folder.rglob("*")}


async def _get(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        return answer.status


async def _as_it_is(image: Image, data: Path) -> None:
    """Nobody may send yet; everything can be looked at; what it is not needed for, it may not do."""
    async with _serving(image, data) as container:
        assert not container.events("codecs_proven")  # they were at build time
        words = _status(container.pid)
        assert words["Uid"] == words["Gid"] == ["10001"] * 4
        assert words["NSpid"][-1] == "1"
        assert words["CapEff"] == words["CapBnd"] == ["0" * 16]
        assert words["NoNewPrivs"] == ["1"]
        assert _mounts(container.pid, "/", DATA) == {"/": "ro", DATA: "rw"}
        observe, rest = (f"http://127.0.0.1:{container.port(face)}" for face in ("observe", "rest"))
        assert [await _get(f"{observe}{path}") for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
        async with aiohttp.ClientSession() as session:
            item = {"productId": "generic_json", "device_id": "x", "metrics": {"a": 1}}
            async with session.post(f"{rest}/v1/telemetry", json=item) as answer:
                assert answer.status == 401
        stranger = await Client.open(("127.0.0.1", container.port("tcp")))
        stranger.send(frames.gt06_login(IMEI))
        assert await stranger.read_to_end() == b""
        await stranger.abort()
        assert await _health(image, data, container.port("observe")) == 0
        assert await container.terminate() == 0
    assert await _health(image, data, container.port("observe")) == 1
    code, output = await run(image, data, ["healthcheck", "--set", "observe.port=none"])
    assert code == 2, output


async def _with_a_device(image: Image, data: Path) -> None:
    """A listed tracker and a program with a key: both are answered, their records are on the volume."""
    devices = data.with_suffix(".yaml")
    devices.write_text(f'- {{id: "{IMEI}", product: concox_gt06}}\n- {{id: meter-1, product: generic_json}}\n', "utf-8")
    config = ["--config", "/etc/iotlink/gateway.yaml"]
    code, output = await run(image, data, ["keys", "create", "erp", "--scope", "ingest", "--output", "json", *config])
    assert code == 0, output
    key = next(word for line in output for word in line.replace('"', " ").split() if word.startswith("iotlink_erp_"))
    async with _serving(image, data, mounts={"/etc/iotlink/devices.yaml": devices}) as container:
        tracker = await Client.open(("127.0.0.1", container.port("tcp")))
        await tracker.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
        await tracker.ask(frames.gt06_heartbeat(2, 77), frames.gt06(0x13, serial=2))
        item = {"productId": "generic_json", "device_id": "meter-1", "metrics": {"tempC": 21.5}}
        url = f"http://127.0.0.1:{container.port('rest')}/v1/telemetry"
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session,
            session.post(url, json=item) as answer,
        ):
            assert answer.status == 200, await answer.text()
        assert await container.terminate() == 0
        assert container.events("stopped")[0]["seconds"] < DrainSettings().limit_s
        assert await tracker.read_to_end() == b""
        await tracker.abort()
    records = {record["device_id"]: record["metrics"] for record in read_json(data / "records")}
    assert records[IMEI]["battery_level"] == 77
    assert records["meter-1"] == {"tempC": 21.5}
    assert _owners(data) == {10001}


async def _with_kinesis(image: Image, data: Path) -> None:
    """What the image leaves out of the AWS libraries is not missed. The fake comes from the image too."""
    fake = ["python", "-m", "loadtest.fake_kinesis"]
    async with Container(image, data, ["--stream", "telemetry", "--print-summary"], entrypoint=fake) as kinesis:
        await until(lambda: bool(kinesis.output), "the fake listens")
        url = orjson.loads(kinesis.output[0])["endpoint_url"]
        sink = {"type": "kinesis", "stream": "telemetry", "region": "us-east-1", "endpoint_url": url}
        environment = {
            "IOTLINK_SINKS__MAIN": orjson.dumps(sink).decode(),
            "IOTLINK_PROVISIONING": "allow_new",
            "AWS_ACCESS_KEY_ID": "example",
            "AWS_SECRET_ACCESS_KEY": "example",
        }
        async with _serving(image, data, environment=environment) as container:
            tracker = await Client.open(("127.0.0.1", container.port("tcp")))
            await tracker.ask(frames.gt06_login(IMEI), frames.gt06(0x01))
            await tracker.ask(frames.gt06_heartbeat(2, 77), frames.gt06(0x13, serial=2))
            assert await container.terminate() == 0
            await tracker.abort()
        assert await kinesis.terminate() == 0
        assert orjson.loads(kinesis.output[-1])["streams"]["telemetry"]["records"] == 1


async def _sigterm_while_it_starts(image: Image, data: Path) -> None:
    """The first process of a container gets no signal that it has no handler for."""
    pipe = data.with_suffix(".pipe")
    os.mkfifo(pipe, 0o644)
    mounts = {"/etc/iotlink/gateway.yaml": pipe}
    async with Container(image, data, image.config["Cmd"], mounts=mounts) as container:
        writing: list[int] = []

        def read() -> bool:
            with contextlib.suppress(OSError):  # nobody reads yet
                writing.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
            return bool(writing)

        await until(read, "`serve` reads its configuration")
        try:
            assert await container.terminate() == 0, container.output
        finally:
            os.close(writing[0])
