"""A whole gateway for tests: its real settings, products, sockets and sinks, in the event loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
import yaml
from prometheus_client.core import Metric

from decoders.catalog import Catalog
from decoders.product import CompiledProduct
from gateway.app import Gateway, load_directory
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome
from gateway.ingress.clock import Clock
from gateway.settings.load import load_settings
from gateway.specs import ProofMemory, cache_dir, load_catalog, prove_once

GUARD_S = 40.0
"""How long a test waits for what must happen: only a failing test waits so long."""

LISTENER = "trackers"
PRODUCTS = ("concox_gt06", "teltonika_codec8", "jtt_808", "example_thermo")
GATEWAY_ID = "gw-test"

Json = dict[str, Any]


@functools.cache
def catalog() -> Catalog:
    """The shipped products, with their codecs proven as `serve` does it."""
    found = load_catalog()
    prove_once(found, ProofMemory(cache_dir(os.environ)))
    return found


def product(name: str) -> CompiledProduct:
    return catalog().find(name).product


def listener(name: str = LISTENER, products: Sequence[str] = PRODUCTS, **options: Any) -> Json:
    """One item of `tcp.listeners` on any free port."""
    return {"name": name, "port": 0, "products": list(products), "max_connections": 200, **options}


def config(folder: Path, *listeners: Json, **sections: Any) -> Json:
    """A configuration whose files are all in `folder`; sections: whole ones that are added or replaced."""
    return {
        "gateway": {"id": GATEWAY_ID, "data_dir": str(folder / "data")},
        "tcp": {"listeners": list(listeners) or [listener()]},
        "observe": {"port": 0},
        "admin": {"port": 0},
        **sections,
    }


def kinesis_sink(endpoint_url: str, stream: str = "telemetry", **options: Any) -> Json:
    """The section `sinks` with one stream."""
    return {
        "main": {"type": "kinesis", "stream": stream, "region": "us-east-1", "endpoint_url": endpoint_url, **options}
    }


def write_config(folder: Path, settings: Json) -> Path:
    path = folder / "gateway.yaml"
    path.write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")
    return path


async def until(condition: Callable[[], bool], what: str = "") -> None:
    """Gives the event loop turns until the condition holds."""
    try:
        async with asyncio.timeout(GUARD_S):
            while not condition():  # noqa: ASYNC110 - counters and other processes set no event
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"in {GUARD_S:g} s it did not come to this: {what or condition}") from None


class MovableClock(Clock):
    """The real clocks; the steady one can be set ahead, to meet a deadline without waiting for it."""

    __slots__ = ("ahead_ms",)

    def __init__(self) -> None:
        self.ahead_ms = 0

    def steady_ms(self) -> int:
        return super().steady_ms() + self.ahead_ms


# What it counts and keeps


class Samples:
    """Samples of one scrape. `total` adds up those that have the given labels."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._samples = [sample for family in families for sample in family.samples]

    def total(self, name: str, **labels: str) -> int:
        found = [s.value for s in self._samples if s.name == name and labels.items() <= s.labels.items()]
        assert found, f"no sample {name} {labels}"
        return int(sum(found))


@dataclass(slots=True)
class Sums:
    """What became of all uplinks."""

    received: int
    accepted: int
    duplicate: int
    dead_lettered: int
    refused: int
    in_flight: int

    @classmethod
    def of(cls, samples: Samples) -> Sums:
        accepted, duplicate, dead_lettered, refused = (
            samples.total("iotlink_uplinks_settled_total", outcome=outcome.value) for outcome in Outcome
        )
        received = samples.total("iotlink_uplinks_received_total")
        in_flight = samples.total("iotlink_uplinks_in_flight")
        return cls(received, accepted, duplicate, dead_lettered, refused, in_flight)

    def balance(self) -> bool:
        return self.received == self.accepted + self.duplicate + self.dead_lettered + self.refused + self.in_flight


def whole_lines(folder: Path) -> list[bytes]:
    """The lines of all NDJSON files under the folder, oldest file first; a last line without its end is left out."""
    return [line for path in sorted(folder.rglob("*.ndjson")) for line in path.read_bytes().split(b"\n")[:-1]]


def read_json(folder: Path) -> list[Json]:
    return [orjson.loads(line) for line in whole_lines(folder)]


# The gateway


class RunningGateway:
    """`async with RunningGateway(folder, config) as rig`: it listens inside, and has ended with its sums in balance
    outside, unless the test failed."""

    def __init__(self, folder: Path, settings: Json | None = None) -> None:
        self.folder = folder
        loaded = load_settings(write_config(folder, settings or config(folder)), [], {}).settings
        own = loaded.gateway.specs_dirs
        self.gateway = Gateway(loaded, load_catalog(own) if own else catalog(), load_directory(loaded))
        self.clock = MovableClock()
        self.gateway.clock = self.clock
        self.clients: list[Client] = []
        self.stranded: int | None = None
        self._ready = asyncio.Event()
        self._task: asyncio.Task[int] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.gateway.run(self._ready.set), name="gateway")
        ready = asyncio.create_task(self._ready.wait(), name="ready")
        async with asyncio.timeout(GUARD_S):
            await asyncio.wait((self._task, ready), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            await self._task  # raises why it could not start
            raise AssertionError("the gateway ended at once")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self.clients:
            await client.abort()
        await self.stop()
        if error is None:
            sums = self.sums()
            assert sums.balance(), sums
            assert sums.in_flight == 0
            assert self.samples().total("iotlink_connections") == 0
            assert self.samples().total("iotlink_connections_paused") == 0
            opened = self.samples().total("iotlink_connections_opened_total")
            assert opened == self.samples().total("iotlink_connections_closed_total")

    async def stop(self) -> int:
        """Ends it as SIGTERM would. Returns how many uplinks had to be refused for that."""
        if self.stranded is None:
            assert self._task is not None
            self.gateway.stop()
            async with asyncio.timeout(GUARD_S):
                self.stranded = await self._task
        return self.stranded

    def address(self, name: str = LISTENER) -> tuple[str, int]:
        assert self.gateway.tcp is not None
        return next(item.addresses[0] for item in self.gateway.tcp.listeners if item.options.name == name)

    def mqtt_address(self, name: str = "mqtt") -> tuple[str, int]:
        assert self.gateway.mqtt is not None
        listeners = self.gateway.mqtt.server.listeners
        return next(item.addresses[0] for item in listeners if item.options.name == name)

    def rest_url(self, name: str = "rest") -> str:
        """Where a REST listener is."""
        assert self.gateway.rest is not None
        listener = next(one for one in self.gateway.rest.server.listeners if one.options.name == name)
        host, port = listener.addresses[0]
        return f"{'https' if listener.options.tls is not None else 'http'}://{host}:{port}"

    async def connect(self, name: str = LISTENER, *, at: tuple[str, int] | None = None, **options: Any) -> Client:
        """A device's connection, to what stands in front of the gateway `at` an address; options: of `Client.open`."""
        client = await Client.open(at or self.address(name), **options)
        self.clients.append(client)
        return client

    def pass_time(self, seconds: float) -> None:
        """Lets the time pass as the sweep of deadlines sees it: it looks now, and once when the time is over."""
        assert self.gateway.tcp is not None
        self.gateway.tcp.sweep()
        self.clock.ahead_ms += round(seconds * 1000)
        self.gateway.tcp.sweep()

    # What it counts and keeps

    def samples(self) -> Samples:
        return Samples(self.gateway.metrics.collect())

    def sums(self) -> Sums:
        return Sums.of(self.samples())

    def total(self, name: str, **labels: str) -> int:
        return self.samples().total(name, **labels)

    def closed(self, reason: CloseReason, name: str = LISTENER) -> int:
        """How many connections were ended for this reason."""
        return self.gateway.metrics.listener(name).closed[reason]

    def connections(self, name: str = LISTENER) -> int:
        return self.gateway.metrics.listener(name).open

    async def settled(self, count: int) -> None:
        """Waits until so many uplinks have come to an end."""

        def done() -> bool:
            sums = self.sums()
            return sums.received - sums.in_flight >= count

        await until(done, f"{count} settled")
        assert self.sums().received == count

    async def delivered(self) -> None:
        """Waits until the sinks have everything that was acknowledged."""
        await until(lambda: self.total("iotlink_sink_backlog_records") == 0, "no backlog")

    def records(self) -> list[Json]:
        """The records of the file sink, in the order in which they were stored."""
        return read_json(self.folder / "data" / "records")

    def letters(self) -> list[Json]:
        return read_json(self.folder / "data" / "dead_letters")


# The other end


@dataclass(eq=False)
class Client:
    """A device's end of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    address: str = field(init=False)
    """As the gateway names its peer."""

    def __post_init__(self) -> None:
        host, port = self.writer.get_extra_info("sockname")[:2]
        self.address = f"{host}:{port}"

    @classmethod
    async def open(
        cls,
        address: tuple[str, int],
        *,
        tls: ssl.SSLContext | None = None,
        source: str = "127.0.0.1",
        buffer_bytes: int = 0,
    ) -> Client:
        """source: the address that it comes from. buffer_bytes: size of the socket's buffers, if it matters."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        if buffer_bytes:
            for which in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, which, buffer_bytes)
        sock.bind((source, 0))
        try:
            async with asyncio.timeout(GUARD_S):
                await asyncio.get_running_loop().sock_connect(sock, address)
                name = "gateway.test" if tls is not None else None
                limit = buffer_bytes or 65_536
                return cls(*await asyncio.open_connection(sock=sock, ssl=tls, server_hostname=name, limit=limit))
        except BaseException:
            sock.close()
            raise

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def end(self) -> None:
        """Sends no more; still reads."""
        self.writer.write_eof()

    async def read(self, count: int) -> bytes:
        """So many bytes; what there was if the connection ended before."""
        async with asyncio.timeout(GUARD_S):
            try:
                return await self.reader.readexactly(count)
            except asyncio.IncompleteReadError as error:
                return error.partial

    async def read_to_end(self) -> bytes:
        """Everything up to the close; a reset counts as a close."""
        data = bytearray()
        async with asyncio.timeout(GUARD_S):
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while more := await self.reader.read(65_536):
                    data += more
        return bytes(data)

    async def ask(self, frame: bytes, answer: bytes) -> None:
        """Sends a frame and takes its answer, which must be just that."""
        self.send(frame)
        assert (await self.read(len(answer))).hex() == answer.hex()

    async def abort(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without what would configure a gateway or a cloud."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("IOTLINK_", "AWS_"))}
    return {**kept, **more}


def aws_credentials() -> Mapping[str, str]:
    """What the AWS client wants to find; nobody checks it."""
    return {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
