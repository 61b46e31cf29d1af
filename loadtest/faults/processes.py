"""The processes of a fault run: the gateway as users start it, and the fake Kinesis with its control port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
STREAM = "telemetry"
GUARD_S = 120.0
"""How long anything here is waited for; only a run that failed waits so long."""

_KEPT_LINES = 5000
_POLL_S = 0.01

Json = dict[str, Any]


class RunFailed(Exception):
    """A run could not go on: a process ended, or what must happen did not."""


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what configures a gateway or a cloud, with credentials nobody checks."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IOTLINK_", "AWS_"))}
    cache = os.environ.get("IOTLINK_CACHE_DIR")
    return {
        **kept,
        **({"IOTLINK_CACHE_DIR": cache} if cache else {}),
        "PYTHONPATH": str(ROOT),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_REGION": "us-east-1",
        **more,
    }


async def until(condition: Callable[[], bool], what: str, guard_s: float = GUARD_S) -> None:
    """Gives the event loop turns until the condition holds. RunFailed: it does not come to it."""
    try:
        async with asyncio.timeout(guard_s):
            while not condition():  # noqa: ASYNC110 - other processes set no event
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise RunFailed(f"in {guard_s:g} s it did not come to this: {what}") from None


class GatewayProcess:
    """`python -m gateway serve` with these settings (`--set`), known by its log, ports and memory.

    launcher: module that is run instead of `gateway`, with its own arguments (`loadtest.faults.handicap`).
    """

    def __init__(
        self, settings: Sequence[str], *, launcher: Sequence[str] = ("gateway",), cwd: Path | None = None
    ) -> None:
        self.log: deque[Json] = deque(maxlen=_KEPT_LINES)  # since `started`
        self.stderr = ""
        self.rss_max_kib = 0
        self.started_s = 0.0  # from the command to `started`
        self._arguments = [part for setting in settings for part in ("--set", setting)]
        self._launcher = list(launcher)
        self._cwd = cwd
        self._start_lines: list[Json] = []  # until `started`
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Started inside; ended by SIGTERM behind, or killed if something failed. RunFailed: it did not start, or ended
        with an error."""
        await self.spawn()
        try:
            await self.started()
            yield
            code = await self.terminate()
        except BaseException:
            await self.kill()
            raise
        if code:
            raise RunFailed(f"the gateway ended with exit code {code}: {self.stderr.strip()[-500:]}")

    async def spawn(self) -> None:
        """Starts it and does not wait for it."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *self._launcher, "serve", *self._arguments),
            cwd=self._cwd,
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self._reading = asyncio.create_task(self._read(), name="log of the gateway")

    async def started(self) -> None:
        """RunFailed: it ended instead."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        await until(lambda: bool(self.events("started")) or not self.is_running, "the gateway has started")
        if not self.events("started"):
            raise RunFailed(f"the gateway did not start: {self.stderr.strip()[-500:]}")
        self.started_s = loop.time() - began

    @property
    def is_running(self) -> bool:
        return self._reading is not None and not self._reading.done()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def events(self, name: str) -> list[Json]:
        """Log lines of one kind: of its start, and of the last that it wrote."""
        return [line for line in (*self._start_lines, *self.log) if line.get("event") == name]

    @property
    def address(self) -> tuple[str, int]:
        line = next(line for line in self.events("listening") if line["face"] == "tcp")
        return line["host"], line["port"]

    # Its end.

    async def kill(self) -> None:
        """kill -9, wherever it is."""
        self.look_at_memory()
        self.send_signal(signal.SIGKILL)
        await self.ended()

    async def terminate(self) -> int:
        """SIGTERM; returns the exit code."""
        self.look_at_memory()
        self.send_signal(signal.SIGTERM)
        return await self.ended()

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Waits for its end; the exit code (minus the signal that ended it)."""
        assert self._process is not None
        assert self._reading is not None
        try:
            async with asyncio.timeout(GUARD_S):
                await self._reading
                return await self._process.wait()
        finally:
            if self._session is not None:
                await self._session.close()
                self._session = None

    # What it says.

    def look_at_memory(self) -> int:
        """Its resident memory now, in KiB; remembers the most it ever had."""
        now = 0
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.rss_max_kib = max(self.rss_max_kib, int(line.split()[1]))
                elif line.startswith("VmRSS:"):
                    now = int(line.split()[1])
        return now

    def cpu_s(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    async def samples(self) -> dict[str, float]:
        """Its metrics by name, summed over their labels."""
        port = next(line["port"] for line in self.events("listening") if line["face"] == "observe")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S))
        async with self._session.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
        found: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found[sample.name] = found.get(sample.name, 0.0) + sample.value
        return found

    async def until_sample(self, condition: Callable[[dict[str, float]], bool], what: str) -> None:
        """Scrapes until the samples say so. RunFailed: they never do, or the gateway ended."""
        try:
            async with asyncio.timeout(GUARD_S):
                while not condition(await self.samples()):
                    self.look_at_memory()
                    await asyncio.sleep(_POLL_S * 5)
        except TimeoutError:
            raise RunFailed(f"in {GUARD_S:g} s the gateway did not come to this: {what}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise RunFailed(f"the gateway ended: {error}; {self.stderr.strip()[-500:]}") from error

    async def _read(self) -> None:
        process = self._process
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read(), name="errors of the gateway")
        async for line in process.stdout:
            if line.startswith(b"{"):
                with contextlib.suppress(orjson.JSONDecodeError):  # a line that a kill tore
                    entry = orjson.loads(line)
                    starting = not self._start_lines or self._start_lines[-1].get("event") != "started"
                    (self._start_lines if starting else self.log).append(entry)
        self.stderr = (await errors).decode(errors="replace")


class KinesisProcess:
    """`python -m loadtest.fake_kinesis` with one stream; `async with`."""

    def __init__(self, *, shards: int = 4, seed: int = 0) -> None:
        self.endpoint_url = ""
        self._shards = shards
        self._seed = seed
        self._control_url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> KinesisProcess:
        options = ["--stream", STREAM, "--shards", str(self._shards), "--seed", str(self._seed), "--control"]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.fake_kinesis", *options),
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(GUARD_S):
            line = orjson.loads(await self._process.stdout.readline())
        self.endpoint_url, self._control_url = line["endpoint_url"], line["control_url"]
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(GUARD_S))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        if self._session is not None:
            await self._session.close()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def sinks(self, packing: str) -> str:
        """The setting `sinks` of a gateway whose only sink this stream is."""
        where = f"stream: {STREAM}, region: us-east-1, endpoint_url: '{self.endpoint_url}'"
        return f"{{main: {{type: kinesis, {where}, packing: {packing}}}}}"

    async def set(self, **faults: float | bool) -> None:
        """Switches faults: the attributes of `Faults`, `limits`, `listening`."""
        assert self._session is not None
        async with self._session.post(f"{self._control_url}/faults", json=faults) as answer:
            answer.raise_for_status()

    async def call(self, operation: str, **arguments: object) -> Json:
        """One call of the Kinesis API."""
        assert self._session is not None
        headers = {"x-amz-target": f"Kinesis_20131202.{operation}"}
        body = orjson.dumps({"StreamName": STREAM, **arguments})
        async with self._session.post(self.endpoint_url, data=body, headers=headers) as answer:
            found = orjson.loads(await answer.read())
            if answer.status != 200:
                raise RunFailed(f"{operation}: {found}")
            return dict(found)

    async def open_shards(self) -> list[Json]:
        """In the order of their hash keys."""
        answer = await self.call("ListShards", ShardFilter={"Type": "AT_LATEST"})
        return sorted(answer["Shards"], key=lambda shard: int(shard["HashKeyRange"]["StartingHashKey"]))

    async def summary(self) -> Json:
        assert self._session is not None
        async with self._session.get(f"{self._control_url}/summary") as answer:
            return dict(await answer.json())

    async def stored(self) -> AsyncIterator[tuple[str, str, str]]:
        """Shard, partition key and data (base64) of each Kinesis record, in the order in which they are read."""
        assert self._session is not None
        async with self._session.get(f"{self._control_url}/stored") as answer:
            rest = b""
            async for chunk in answer.content.iter_any():
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    shard, key, data = orjson.loads(line)
                    yield shard, key, data
