"""MQTT listeners on real sockets, with doubles of access, topic flow and outbox, and a clock that a test moves."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self, TypeVar

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Receipt
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage
from gateway.ingress.clock import IdSource
from gateway.ingress.mqtt import MqttOptions, MqttServer, MqttServices
from gateway.ingress.mqtt_flow import MqttMemory
from gateway.ingress.stream_listener import StreamListener
from gateway.observe.metrics import ListenerCounters, Metrics
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connack,
    Connect,
    Packet,
    Properties,
    Publish,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
    Will,
)
from gateway.protocol.mqtt.ports import BrokerLimits, ClientLimits, Denial, Grant
from gateway.protocol.mqtt.topics import matches
from tests.gateway.fakes import FakeClock, FakeOutbox, FakeTap
from tests.gateway.ingress.rig import GUARD_S, Peer, open_socket, until

P = TypeVar("P", bound=Packet)
VERSIONS = (V311, V5)


class Allowed:
    """A grant and a speaker: everything but `denied` filters."""

    def __init__(self, principal: Principal, denied: Sequence[str]) -> None:
        self.principal = principal
        self.tenant = ""
        self.device_id = principal.name
        self._denied = denied

    def may_publish(self, topic: str) -> bool:
        return not any(matches(rule, topic) for rule in self._denied)

    def may_subscribe(self, topic_filter: str) -> bool:
        return topic_filter not in self._denied

    def may_speak_for(self, device_id: str) -> bool:
        return True


class Door:
    """An access port: lets everybody in but those whose password is `wrong`. seen: principals, in order."""

    def __init__(self) -> None:
        self.denied: list[str] = []
        self.seen: list[Principal] = []
        self.hold = False
        self.waiting: list[Callable[[Grant | Denial], None]] = []

    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        self.seen.append(principal)
        if self.hold:
            self.waiting.append(answer)
        elif connect.password == b"wrong":
            answer(Denial(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "check the password"))
        else:
            answer(Allowed(principal, self.denied))


class Topics:
    """A topic flow that keeps what it is given, by way of the outbox."""

    def __init__(self, outbox: FakeOutbox) -> None:
        self.messages: list[TopicMessage] = []
        self._outbox = outbox

    def receive(self, message: TopicMessage, receipt: Receipt, states: Sequence[State] = ()) -> None:
        self.messages.append(message)
        self._outbox.put(receipt, (), states)


class MqttRig:
    """One server with one listener (tests add more before the start)."""

    def __init__(
        self,
        *,
        hold: bool = False,
        limits: ClientLimits | None = None,
        broker_limits: BrokerLimits | None = None,
        **options: Any,
    ) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.outbox = FakeOutbox(hold=hold)
        self.topics = Topics(self.outbox)
        self.tap = FakeTap()
        self.door = Door()
        self.memory = MqttMemory()
        services = MqttServices(
            topics=self.topics,
            outbox=self.outbox,
            memory=self.memory,
            tap=self.tap,
            metrics=self.metrics,
            clock=self.clock,
            ids=IdSource(),
        )
        self.server = MqttServer(services, broker_limits)
        made = replace(MqttOptions("m", "127.0.0.1", 0, limits=limits or ClientLimits()), **options)
        self.listener: StreamListener = self.server.add(made, self.door)
        self.peers: list[MqttPeer] = []
        self._tasks = 0

    async def __aenter__(self) -> Self:
        self._tasks = len(asyncio.all_tasks())
        await self.server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for peer in self.peers:
            peer.writer.transport.abort()
            with contextlib.suppress(OSError, ssl.SSLError):
                await peer.writer.wait_closed()
        await self.server.drain(0)
        for listener in self.server.listeners:
            assert listener.connections == 0
            counters = self.metrics.listener(listener.options.name)
            assert (counters.open, counters.paused) == (0, 0)
            assert counters.opened == sum(counters.closed.values())
        if error is None:
            self.outbox.settle_all()
            await until(lambda: len(asyncio.all_tasks()) <= self._tasks)
            for broker in self.server.brokers.values():
                assert broker.counts.connected == 0

    async def peer(
        self, *, to: StreamListener | None = None, tls: ssl.SSLContext | None = None, receive_bytes: int = 0
    ) -> MqttPeer:
        peer = MqttPeer(*await open_socket((to or self.listener).addresses[0], tls, receive_bytes))
        self.peers.append(peer)
        return peer

    async def join(
        self,
        client_id: str,
        version: int = V311,
        *,
        clean: bool = True,
        will: Will | None = None,
        properties: Properties | None = None,
        first: bytes = b"",
        **more: Any,
    ) -> MqttPeer:
        """A client that is let in. first: what stands before its CONNECT (a PROXY header)."""
        peer = await self.peer(**more)
        peer.send(first)
        connack = await peer.connect(client_id, version, clean=clean, will=will, properties=properties)
        assert connack.reason is ReasonCode.SUCCESS
        return peer

    def pass_time(self, seconds: float) -> None:
        """Lets the time pass as the sweep sees it: it looks once now, and once when the time is over."""
        self.server.sweep()
        self.clock.advance(seconds)
        self.server.sweep()

    async def closed(self, reason: CloseReason, count: int = 1) -> None:
        """Waits until so many connections have been closed for this reason."""
        await until(lambda: self.counters.closed[reason] >= count)
        assert self.counters.closed[reason] == count

    @property
    def counters(self) -> ListenerCounters:
        return self.metrics.listener("m")

    @property
    def broker(self) -> Broker:
        return self.server.brokers[""]

    @property
    def payloads(self) -> list[bytes]:
        return [message.payload for message in self.topics.messages]


class MqttPeer(Peer):
    """The client's end of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__(reader, writer)
        self.version = V311
        self.decoder = Decoder(1 << 28, from_client=False, version=V311)
        self.unread: list[Packet] = []

    async def connect(
        self,
        client_id: str,
        version: int = V311,
        *,
        clean: bool = True,
        will: Will | None = None,
        keep_alive_s: int = 60,
        password: bytes | None = None,
        properties: Properties | None = None,
    ) -> Connack:
        self.version = version
        self.decoder = Decoder(1 << 28, from_client=False, version=version)
        user = "user" if password is not None else None
        self.say(Connect(version, client_id, clean, keep_alive_s, will, user, password, properties))
        return await self.one(Connack)

    def say(self, *packets: Packet) -> None:
        self.send(b"".join(encode(packet, self.version) for packet in packets))

    async def packet(self) -> Packet:
        """The next packet. Raises EOFError at the end of the stream."""
        while not self.unread:
            self.unread += self.decoder.receive(await self.more())
            assert self.decoder.error is None, self.decoder.error
        return self.unread.pop(0)

    async def more(self) -> bytes:
        async with asyncio.timeout(GUARD_S):
            data = await self.reader.read(65_536)
        if not data:
            raise EOFError
        return data

    async def one(self, kind: type[P]) -> P:
        packet = await self.packet()
        assert isinstance(packet, kind), packet
        return packet

    async def subscribe(self, *filters: str, qos: int = 2) -> list[ReasonCode]:
        self.say(Subscribe(9, [Subscription(item, qos) for item in filters]))
        return (await self.one(Suback)).reasons

    async def publish(self, topic: str, payload: bytes, qos: int = 0, packet_id: int = 0, **more: Any) -> None:
        self.say(Publish(topic, payload, qos, packet_id=packet_id, **more))
