"""The gateway as users run it: `python -m gateway serve` in a process of its own, known by its log, ports and files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import orjson
from prometheus_client.parser import text_string_to_metric_families

from gateway.specs import cache_dir
from tests.e2e.rig import GUARD_S, LISTENER, Client, Json, Samples, clean_environment, until

ROOT = Path(__file__).resolve().parents[2]


class Command:
    """One run of `iotlink` (as `python -m gateway`) in `folder`."""

    def __init__(self, folder: Path, arguments: Sequence[str | Path], **environment: str) -> None:
        self.folder = folder
        self._arguments = [str(argument) for argument in arguments]
        self._environment = clean_environment(
            PYTHONPATH=str(ROOT),
            PYTHONUNBUFFERED="1",
            IOTLINK_CACHE_DIR=str(cache_dir(os.environ)),
            **environment,
        )
        self.log: list[Json] = []
        self.stdout: list[str] = []
        self.stderr = ""
        self._reading: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "gateway", *self._arguments),
            cwd=self.folder,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipe,
            stderr=pipe,
        )
        self._reading = asyncio.create_task(self._read(), name="output of the gateway")
        return self

    async def ended(self) -> int:
        """Waits for the end and returns the exit code (minus the signal that ended it)."""
        assert self._process is not None
        assert self._reading is not None
        async with asyncio.timeout(GUARD_S):
            await self._reading
            return await self._process.wait()

    async def run(self) -> int:
        await self.start()
        return await self.ended()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def events(self, name: str) -> list[Json]:
        """Log lines of one kind."""
        return [line for line in self.log if line["event"] == name]

    async def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read(), name="errors of the gateway")
        async for line in process.stdout:
            text = line.decode().rstrip("\n")
            self.stdout.append(text)
            if text.startswith("{"):
                self.log.append(orjson.loads(text))
        self.stderr = (await errors).decode()

    async def kill(self) -> None:
        """For the end of a test: whatever state it is in."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self.ended()


class Serve(Command):
    """`async with Serve(folder, arguments) as gateway`: it listens inside; outside it has ended, killed if need be."""

    def __init__(self, folder: Path, *arguments: str | Path, **environment: str) -> None:
        super().__init__(folder, ["serve", *arguments], **environment)
        self.clients: list[Client] = []

    async def __aenter__(self) -> Self:
        await self.start()
        assert self._reading is not None
        reading = self._reading
        try:
            await until(lambda: bool(self.events("started")) or reading.done(), "the gateway has started")
            assert self.events("started"), self.stderr
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients:
            await client.abort()
        await self.kill()

    async def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.send_signal(signal.SIGTERM)
        return await self.ended()

    def address(self, name: str = LISTENER) -> tuple[str, int]:
        line = next(line for line in self.events("listening") if line.get("listener") == name)
        return line["host"], line["port"]

    @property
    def observe_port(self) -> int:
        port: int = next(line["port"] for line in self.events("listening") if line["face"] == "observe")
        return port

    @property
    def admin_url(self) -> str:
        line = next(line for line in self.events("listening") if line["face"] == "admin")
        return f"http://{line['host']}:{line['port']}"

    async def connect(self, name: str = LISTENER) -> Client:
        client = await Client.open(self.address(name))
        self.clients.append(client)
        return client

    async def get(self, path: str) -> tuple[int, str]:
        """Status and body of a page of the observe port."""
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S)) as session,
            session.get(f"http://127.0.0.1:{self.observe_port}{path}") as answer,
        ):
            return answer.status, await answer.text()

    async def samples(self) -> Samples:
        status, text = await self.get("/metrics")
        assert status == 200
        return Samples(text_string_to_metric_families(text))

    async def until_sample(self, condition: Callable[[Samples], bool]) -> None:
        """Scrapes until the samples say so."""
        async with asyncio.timeout(GUARD_S):
            while not condition(await self.samples()):  # noqa: ASYNC110 - another process sets no event
                await asyncio.sleep(0.01)
