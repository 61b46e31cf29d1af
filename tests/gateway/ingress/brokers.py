"""Existing brokers for the tests of sources: Debian's mosquitto as a process, amqtt's broker, a scripted one; and a
client that publishes to them."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import shutil
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage
from gateway.protocol.mqtt.codec import Decoder, encode
from gateway.protocol.mqtt.packets import (
    V311,
    Connack,
    Connect,
    Packet,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
)
from tests.gateway.fakes import FakeOutbox

GUARD_S = 20
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until(condition: Callable[[], bool]) -> None:
    """Waits for something that other tasks bring about."""
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110 - what it waits for lies within the product
            await asyncio.sleep(0.005)


class FakeTopicFlow:
    """Implements TopicFlowPort. With `hold` set a receipt is settled when the test says so."""

    def __init__(self, *, hold: bool = False) -> None:
        self.outbox = FakeOutbox()
        self.hold = hold
        self.messages: list[TopicMessage] = []
        self.waiting: list[Receipt] = []
        self.refuse: str = ""  # reason for all that comes

    def receive(self, message: TopicMessage, receipt: Receipt, states: Sequence[State] = ()) -> None:
        self.messages.append(message)
        if self.refuse:
            self.outbox.settle(receipt, Outcome.REFUSED, self.refuse)
        elif self.hold:
            self.waiting.append(receipt)
        else:
            self.outbox.settle(receipt, Outcome.ACCEPTED)

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.messages]

    def settle(self, count: int = 1, outcome: Outcome = Outcome.ACCEPTED, reason: str = "") -> None:
        for receipt in self.waiting[:count]:
            self.outbox.settle(receipt, outcome, reason)
        del self.waiting[:count]

    def settle_all(self) -> None:
        self.hold = False
        self.settle(len(self.waiting))


class Mosquitto:
    """Debian's mosquitto with a database, so that its sessions survive a restart."""

    def __init__(self, folder: Path, *lines: str) -> None:
        if MOSQUITTO is None:
            pytest.skip("mosquitto is not installed (Debian: apt-get install mosquitto)")
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        text = [
            f"listener {self.port} 127.0.0.1",
            f"user {getpass.getuser()}",  # who started it as root does not want another user's files
            "persistence true",
            f"persistence_location {folder}/",
            *(lines or ["allow_anonymous true"]),
        ]
        self.config.write_text("\n".join(text) + "\n")
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        assert MOSQUITTO is not None
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO, "-c", str(self.config), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        await listening(self.port)

    async def stop(self, number: int = signal.SIGTERM) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
            await self._process.wait()
            self._process = None

    async def __aenter__(self) -> Mosquitto:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def listening(port: int) -> None:
    async with asyncio.timeout(GUARD_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            return


class Wire:
    """One end of a connection, in whole packets. from_client: what is read comes from a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        self.reader = reader
        self.writer = writer
        version = 0 if from_client else V311
        self._decoder = Decoder(1 << 24, from_client=from_client, version=version)
        self._packets: list[Packet] = []

    async def receive(self) -> Packet:
        """The next packet. Raises EOFError at the end of the stream."""
        async with asyncio.timeout(GUARD_S):
            while not self._packets:
                data = await self.reader.read(65_536)
                if not data:
                    raise EOFError
                self._packets += self._decoder.receive(data)
                assert self._decoder.error is None, self._decoder.error
        return self._packets.pop(0)

    def send(self, *packets: Packet) -> None:
        self.writer.write(b"".join(encode(packet, V311) for packet in packets))

    async def close(self) -> None:
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Publisher(Wire):
    """A client that publishes and waits until the broker has it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer, from_client=False)
        self._packet_id = 0

    @classmethod
    @asynccontextmanager
    async def at(
        cls, port: int, *, username: str | None = None, password: bytes | None = None, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[Publisher]:
        host = "localhost" if tls is not None else "127.0.0.1"
        client = cls(*await asyncio.open_connection(host, port, ssl=tls))
        try:
            connect = Connect(V311, "publisher", True, 60, user_name=username, password=password)
            client.send(connect)
            answer = await client.receive()
            assert isinstance(answer, Connack)
            assert not answer.reason
            yield client
        finally:
            await client.close()

    async def publish(self, topic: str, *payloads: bytes, qos: int = 1, retain: bool = False) -> None:
        for payload in payloads:
            self._packet_id += bool(qos)
            packet_id = self._packet_id if qos else 0
            self.send(Publish(topic, payload, qos, retain, False, packet_id))
            if qos == 1:
                assert isinstance(await self.receive(), Puback)
            elif qos == 2:
                assert isinstance(await self.receive(), Pubrec)
                self.send(Pubrel(packet_id))
                assert isinstance(await self.receive(), Pubcomp)
        await self.writer.drain()


@asynccontextmanager
async def scripted(script: Callable[[Wire], Awaitable[Any]], port: int = 0) -> AsyncIterator[int]:
    """A broker that does with each connection what a test says; gives its port. What a script raises, the test gets."""
    tasks: set[asyncio.Task[Any]] = set()
    wires: list[Wire] = []

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, from_client=True)
        wires.append(wire)
        tasks.add(asyncio.get_running_loop().create_task(run(wire)))

    async def run(wire: Wire) -> None:
        with contextlib.suppress(EOFError, ConnectionError):
            await script(wire)

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            if not task.done():
                task.cancel()
        for wire in wires:
            await wire.close()
        await server.wait_closed()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result
