"""REST in a whole gateway: what `/health` says of it, and what its start refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.access.api_keys import hash_api_key, make_api_key
from gateway.access.key_file import IssuedKey, KeyFile
from gateway.access.key_uses import KeyUses
from gateway.access.scopes import Scope
from gateway.app import Gateway, load_directory
from gateway.app import rest as app_rest
from gateway.domain.errors import ConfigError, OperatorError
from tests.e2e.rig import Json
from tests.gateway.app.parts_rig import line_of, loaded_from, thermo
from tests.gateway.ingress.tls_files import Files

GUARD_S = 30.0
POST = b"POST /v1/telemetry HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20\r\n\r\n["


def sections(listener: Json | None = None, **more: Any) -> Json:
    own = {"name": "push", "port": 0, "max_connections": 10, **(listener or {})}
    return {"tcp": {"listeners": []}, "mqtt": {"listeners": []}, "rest": {"listeners": [own]}, **more}


def built(folder: Path, given: Json) -> Gateway:
    settings = loaded_from(folder, given).settings
    return Gateway(settings, thermo(), load_directory(settings))


@contextlib.asynccontextmanager
async def running(folder: Path, given: Json) -> AsyncIterator[Gateway]:
    gateway = built(folder, given)
    ready = asyncio.Event()
    task = asyncio.create_task(gateway.run(on_ready=ready.set))
    starting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, starting), return_when=asyncio.FIRST_COMPLETED)
    assert ready.is_set()
    try:
        yield gateway
    finally:
        gateway.stop()
        assert await task == 0


async def health(gateway: Gateway) -> Json:
    """The component `rest`, as /health has it."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
        session.get(f"http://127.0.0.1:{gateway.observe.port}/health") as answer,
    ):
        found: Json = (await answer.json())["components"]["rest"]
        return found


async def until(gateway: Gateway, condition: Callable[[Json], bool]) -> Json:
    async with asyncio.timeout(GUARD_S):
        while not condition(found := await health(gateway)):
            pass
        return found


async def test_health_of_a_running_listener(tmp_path: Path) -> None:
    async with running(tmp_path, sections()) as gateway:
        assert gateway.rest is not None
        ((host, port),) = gateway.rest.server.listeners[0].addresses
        found = await health(gateway)
        assert found.pop("since")
        assert found == {
            "state": "ok",
            "last_error": None,
            "refusing": None,
            "keys": {"file": str(tmp_path / "data" / "keys.json"), "last_error": ""},
            "requests_in_flight": 0,
            "listeners": {"push": {"addresses": [f"{host}:{port}"], "connections": 0, "requests_in_flight": 0}},
        }
        _, idle = await asyncio.open_connection(host, port)
        _, busy = await asyncio.open_connection(host, port)
        busy.write(POST)
        found = await until(gateway, lambda found: found["requests_in_flight"] == 1)
        assert found["listeners"]["push"] == {
            "addresses": [f"{host}:{port}"],
            "connections": 2,
            "requests_in_flight": 1,
        }
        for writer in (idle, busy):
            writer.transport.abort()
        await until(gateway, lambda found: not found["listeners"]["push"]["connections"])


async def test_health_says_why_data_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path, sections()) as gateway:
        assert gateway.rest is not None
        assert gateway.watch.outbox is not None
        with monkeypatch.context() as patch:
            patch.setattr(type(gateway.watch.outbox), "has_room", lambda _: False)
            found = await health(gateway)
        assert (found["state"], found["refusing"]["code"]) == ("degraded", "no_room")
        assert "no room" in found["refusing"]["detail"]
        assert (await health(gateway))["state"] == "ok"
        gateway.rest.stop_accepting()
        found = await health(gateway)
        assert (found["state"], found["refusing"]["code"]) == ("degraded", "draining")
        assert found["listeners"]["push"]["addresses"] == []


async def test_health_shows_a_key_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_rest, "_RELOAD_S", 0.001)
    keys = tmp_path / "data" / "keys.json"
    with capture_logs() as logs:
        async with running(tmp_path, sections()) as gateway:
            keys.write_text("{\n", "utf-8")
            found = await until(gateway, lambda found: found["state"] == "degraded")
            assert found["keys"]["last_error"].startswith(f"{keys}:")
            assert "not JSON" in found["keys"]["last_error"]
            assert found["refusing"] is None
            keys.unlink()
            keys.mkdir()
            found = await until(gateway, lambda found: "directory" in found["keys"]["last_error"])
            keys.rmdir()
            await until(gateway, lambda found: found["state"] == "ok")
    told = [line for line in logs if line["event"] == "key_file_unusable"]
    assert ["not JSON" in line["detail"] for line in told[:1]] == [True]
    assert len({line["detail"] for line in told}) == len(told)  # once each, however often it is looked at


async def test_the_last_uses_of_keys_are_written_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_rest, "_RELOAD_S", 3_600.0)
    (tmp_path / "data").mkdir()
    file, key = KeyFile(tmp_path / "data" / "keys.json"), make_api_key("erp")
    with file.edited() as keys:
        keys.append(IssuedKey("erp", hash_api_key(key), Scope(), 1.0, "test"))
    async with running(tmp_path, sections()) as gateway:
        assert gateway.rest is not None
        ((host, port),) = gateway.rest.server.listeners[0].addresses
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
            session.get(f"http://{host}:{port}/v1/specs", headers={"X-Api-Key": key}) as answer,
        ):
            assert (answer.status, (await answer.json())["code"]) == (403, "not_allowed")
    assert KeyUses(file.path, lambda: 0.0).read().keys() == {hash_api_key(key)}


async def test_without_listeners_there_is_nothing_to_say(tmp_path: Path) -> None:
    async with running(tmp_path, {**sections(), "rest": {"listeners": []}}) as gateway:
        with pytest.raises(KeyError):
            await health(gateway)


# What the start refuses: one line that names the setting and what to do


async def refusal(folder: Path, given: Json) -> OperatorError:
    with pytest.raises(OperatorError) as caught:
        await built(folder, given).run()
    assert "\n" not in str(caught.value)
    return caught.value


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = await refusal(tmp_path, sections({"port": port}))
        assert str(error).startswith(f"rest listener push: cannot listen on 127.0.0.1:{port}: Address already in use; ")
        assert "change `rest.listeners.0.port`" in str(error)


@pytest.mark.parametrize("text", ["{", '{"format": "iotlink.keys/1", "keys": 5}', None], ids=["text", "shape", "open"])
async def test_a_key_file_that_cannot_be_used(tmp_path: Path, text: str | None) -> None:
    keys = tmp_path / "keys.json"
    if text is None:
        keys.mkdir()
    else:
        keys.write_text(text, "utf-8")
    given = sections(auth={"key_file": str(keys)})
    error = await refusal(tmp_path, given)
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"auth.key_file: {keys}")
    assert "mend the file" in str(error)
    assert line_of(tmp_path, given, error) == f"key_file: {keys}"


async def test_a_key_set_that_cannot_be_read(tmp_path: Path) -> None:
    missing = tmp_path / "jwks.json"
    issuer = {"issuer": "https://issuer.test", "jwks_file": str(missing), "audience": "iot", "roles": {"a": ["ingest"]}}
    error = await refusal(tmp_path, sections(auth={"jwt": [issuer]}))
    assert str(error).startswith("auth.jwt.0.jwks_file: ")


async def test_files_of_tls(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    files, others = Files(one), Files(other)
    wrong = {"cert_file": str(files.cert), "key_file": str(others.key)}
    error = await refusal(tmp_path, sections({"tls": wrong}))
    assert isinstance(error, ConfigError)
    assert str(error).startswith("rest.listeners.0: tls.key_file ")
    assert "is not the key of" in str(error)
    assert error.setting == "rest.listeners.0.tls.key_file"
    gone = {"cert_file": str(tmp_path / "gone.pem"), "key_file": str(files.key)}
    error = await refusal(tmp_path, sections({"tls": gone}))
    assert str(error).startswith(
        f"rest.listeners.0: tls.cert_file {tmp_path / 'gone.pem'} cannot be read: No such file"
    )
