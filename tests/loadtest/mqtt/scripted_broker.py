"""A broker that answers as the standards say, packet by packet, unless a test takes the answer over."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast

from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    Connack,
    Connect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
)

Answers = Callable[["Seat", Packet], bool]


class Seat(asyncio.Protocol):
    """One connection."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.client_id = ""
        self.closed = asyncio.Event()
        self.transport: asyncio.Transport
        self._broker = broker
        self._decoder = Decoder(1 << 20)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._broker.seats.append(self)

    def data_received(self, data: bytes) -> None:
        for packet in self._decoder.receive(data):
            if isinstance(packet, Connect):
                self.client_id = packet.client_id
            self._broker.packets.append((self.client_id, packet))
            if not self._broker.take_over(self, packet):
                self.answer(packet)
        assert self._decoder.error is None, self._decoder.error

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set()

    def say(self, packet: Packet) -> None:
        self.transport.write(encode(packet, self._decoder.version))

    def answer(self, packet: Packet) -> None:
        if isinstance(packet, Connect):
            self.say(Connack(packet.client_id in self._broker.known))
            if not packet.clean_start:
                self._broker.known.add(packet.client_id)
        elif isinstance(packet, Publish) and packet.qos:
            self.say(Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id))
        elif isinstance(packet, Pubrel):
            self.say(Pubcomp(packet.packet_id))
        elif isinstance(packet, Subscribe):
            self.say(Suback(packet.packet_id, [ReasonCode.GRANTED_QOS_1] * len(packet.subscriptions)))
        elif isinstance(packet, Pingreq):
            self.say(Pingresp())


class ScriptedBroker:
    """`async with ScriptedBroker() as broker`. packets: all that came, by client id. take_over: True: it has answered
    itself, or nobody shall. known: client ids with a session."""

    def __init__(self) -> None:
        self.address = ("", 0)
        self.packets: list[tuple[str, Packet]] = []
        self.seats: list[Seat] = []
        self.known: set[str] = set()
        self.take_over: Answers = lambda seat, packet: False
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: Seat(self), "127.0.0.1", 0, backlog=1024)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for seat in self.seats:
            seat.transport.abort()
            await seat.closed.wait()
        await self._server.wait_closed()

    def publishes(self, client_id: str) -> list[Publish]:
        return [packet for name, packet in self.packets if name == client_id and isinstance(packet, Publish)]
