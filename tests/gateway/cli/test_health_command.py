"""`iotlink healthcheck` against real listeners: `gateway/cli/health.py`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.health import healthcheck, livez_problem
from gateway.lifecycle import Lifecycle
from gateway.observe.health import HealthBoard
from gateway.observe.http import ObserveServer
from gateway.observe.metrics import Metrics

app = typer.Typer()
app.command()(healthcheck)


@contextlib.asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """A server that reads one request and gives this answer; nothing when it is empty."""
    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if not answer:
            await reader.read()  # until the client gives up
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(10):
            await served.wait()
    finally:
        server.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
async def test_alive(host: str) -> None:
    clock = lambda: 0.0  # noqa: E731
    server = ObserveServer(
        Metrics(), Lifecycle(clock), HealthBoard(lambda: 0), host=host, port=0, version="", clock=clock
    )
    await server.start()
    arguments = ["--set", f"observe.port={server.port}", "--set", f"observe.host={host}"]
    result = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    assert (result.exit_code, result.stdout) == (0, "alive\n")
    await server.stop()


def test_nobody_there() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        result = CliRunner().invoke(app, ["--set", f"observe.port={port}"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"http://127.0.0.1:{port}/livez: ")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n", "answered 503"),
        (b"SSH-2.0-x\r\n", "SSH-2.0-x"),
        (b"HTTP/1.1 200 ok\r\nContent-Length: 0\r\n\r\n", ""),
    ],
)
async def test_answers(answer: bytes, problem: str) -> None:
    async with answering(answer) as port:
        found = await asyncio.to_thread(livez_problem, "127.0.0.1", port)
    assert problem in found
    assert bool(found) is bool(problem)


async def test_silence_is_not_life() -> None:
    async with answering(b"") as port:
        assert "timed out" in await asyncio.to_thread(livez_problem, "127.0.0.1", port, 0.05)


def test_a_bad_configuration_is_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["--set", "observe.port=x"])
    assert result.exit_code == 2
