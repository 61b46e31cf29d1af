"""MqttServer: the listeners of MQTT clients, and the brokers behind them.

Place in the walk: the beginning. Each connection gets a ClientMachine, over TCP or in a WebSocket; what carries it is
`stream_face`. Listeners of one tenant share a broker: its clients see each other and nobody else.

Shutdown: every connection ends as soon as what it sent is answered; 5.0 clients are told 0x8B. That is an end without
a DISCONNECT of the client, so its will is published (5.0 section 3.1.2.5). Wills whose delay is not over are published
then as well: a server may keep them for its next start instead, but ours are not kept on the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import structlog

from gateway.domain.device import Principal
from gateway.domain.ports import FrameTap, OutboxPort, TopicFlowPort
from gateway.domain.receipt import Receipt
from gateway.ingress.clock import IdSource
from gateway.ingress.mqtt_flow import MqttFlow, MqttMemory
from gateway.ingress.mqtt_websocket import WebSocketDoor
from gateway.ingress.stream_face import OpenSession, SteadyClock, StreamOptions
from gateway.ingress.stream_listener import StreamListener, StreamServer
from gateway.observe.metrics import Metrics
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.client import ClientMachine
from gateway.protocol.mqtt.packets import Connect, Properties, ReasonCode
from gateway.protocol.mqtt.ports import (
    AccessPort,
    Answer,
    BrokerLimits,
    BrokerPorts,
    ClientLimits,
    ClientPorts,
    Denial,
    DownlinkOutcome,
    Grant,
    MqttCounts,
    explain,
)
from gateway.protocol.mqtt.topics import TopicCache
from gateway.protocol.session_ports import SessionHost
from gateway.settings.rules import is_loopback

__all__ = ["MqttOptions", "MqttServer", "MqttServices", "Transport"]

_log = structlog.get_logger(__name__)

MAX_REFUSALS = 64
"""Connections of a listener beyond its limits that are told so at a time; others are cut."""

REFUSAL_TIMEOUT_MS = 2_000
"""How long these have for their CONNECT, before which there is no CONNACK."""


class Transport(StrEnum):
    """What carries MQTT on a listener."""

    TCP = "tcp"
    WEBSOCKET = "websocket"


@dataclass(slots=True, frozen=True)
class MqttOptions(StreamOptions):
    """One MQTT listener. path: where WebSocket clients find it; allowed_origins: whose pages may come there. explain:
    what 5.0 clients are told of publishes, as in `ClientPorts`."""

    limits: ClientLimits = field(default_factory=ClientLimits)
    transport: Transport = Transport.TCP
    path: str = "/mqtt"
    allowed_origins: Sequence[str] = ()
    explain: Callable[[Receipt], Answer] = explain


@dataclass(slots=True)
class MqttServices:
    """What the listeners need of the rest of the gateway. memory: also given to the spool."""

    topics: TopicFlowPort
    outbox: OutboxPort
    memory: MqttMemory
    tap: FrameTap
    metrics: Metrics
    clock: SteadyClock
    ids: IdSource
    spread_s: float = 0.0


class MqttServer(StreamServer):
    """All MQTT listeners. Made and filled (`add`) on the event loop, before the spool is opened. Life: start,
    stop_accepting, drain. limits: of each broker. brokers: by tenant."""

    def __init__(self, services: MqttServices, limits: BrokerLimits | None = None) -> None:
        super().__init__(services.outbox, services.spread_s)
        self.brokers: dict[str, Broker] = {}
        self._services = services
        self._limits = limits or BrokerLimits()
        self._soon = asyncio.get_running_loop().call_soon
        self._doors: list[WebSocketDoor] = []
        self._largest = 0  # packet that may come in on any listener, and go out on every other

    @property
    def counts(self) -> Sequence[MqttCounts]:
        """Of all brokers."""
        return [broker.counts for broker in self.brokers.values()]

    def add(self, options: MqttOptions, access: AccessPort) -> StreamListener:
        """Adds a listener before the start. access: its grants are `Speaker`s."""
        services = self._services
        ports = ClientPorts(
            listener=options.name,
            access=access,
            make_client_id=lambda: services.ids.make(services.clock.unix_ms()),
            tap=services.tap,
            topics=TopicCache(),
            limits=options.limits,
            explain=options.explain,
        )
        # One session after another may be refused; none of them gets to the access port.
        limits = replace(options.limits, connect_timeout_ms=REFUSAL_TIMEOUT_MS)
        refusing = replace(ports, access=_Busy(), limits=limits)
        open_session = self._opener(options, ports)
        refuse_session = self._opener(options, refusing)
        listener = StreamListener(
            "mqtt",
            options,
            open_session,
            opening_timeout_ms=options.limits.connect_timeout_ms,
            make_id=services.ids.make,
            clock=services.clock,
            counters=services.metrics.listener(options.name),
            gate=self.gate,
            refuse_session=refuse_session,
            max_refusals=MAX_REFUSALS,
        )
        self.listeners.append(listener)
        self._largest = max(self._largest, options.limits.max_packet_bytes)
        for any_listener in self.listeners:
            any_listener.add_unread(self._largest)
        return listener

    def broker(self, tenant: str) -> Broker:
        """The broker of a tenant's listeners."""
        found = self.brokers.get(tenant)
        if found is not None:
            return found
        services = self._services
        ports = BrokerPorts(
            flow=MqttFlow(services.topics, services.outbox, tenant),
            gate=self.gate,
            steady_ms=services.clock.steady_ms,
            unix_ms=services.clock.unix_ms,
            soon=self._soon,
            fail=_fail,
            limits=self._limits,
        )
        made = self.brokers[tenant] = Broker(ports)
        services.memory.add(tenant, made)
        return made

    def _opener(self, options: MqttOptions, ports: ClientPorts) -> OpenSession:
        broker = self.broker(options.tenant)

        def open_client(
            host: SessionHost, *, session_id: str, peer: str, principal: Principal, opened_ms: int
        ) -> ClientMachine:
            return ClientMachine(
                broker, ports, host, session_id=session_id, peer=peer, principal=principal, opened_ms=opened_ms
            )

        if options.transport is Transport.TCP:
            return open_client
        door = WebSocketDoor(
            open_client,
            path=options.path,
            max_packet_bytes=options.limits.max_packet_bytes,
            timeout_ms=ports.limits.connect_timeout_ms,
            unix_ms=self._services.clock.unix_ms,
            allowed_origins=options.allowed_origins,
            on_loopback=is_loopback(options.host),
        )
        self._doors.append(door)
        return door.open

    def sweep(self) -> None:
        """Looks at all deadlines now."""
        super().sweep()
        now_ms = self._services.clock.steady_ms()
        for broker in self.brokers.values():
            try:
                broker.on_clock(now_ms)
            except Exception as error:  # one tenant's fault is not the others'
                _fail(error)

    async def drain(self, deadline_s: float) -> int:
        """As `StreamServer.drain`; then publishes the wills that wait. The outbox is drained afterwards."""
        cut = await super().drain(deadline_s)
        for broker in self.brokers.values():
            broker.publish_wills()
        for door in self._doors:
            await door.shut()
        return cut

    async def publish(
        self,
        client_id: str,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        timeout_s: float,
        tenant: str = "",
        properties: Properties | None = None,
    ) -> tuple[DownlinkOutcome, ReasonCode]:
        """A downlink to one client, whatever it subscribes to; see `Broker.publish`. Returns how it ended, and the
        reason that the client gave (or why it is GONE)."""
        broker = self.brokers.get(tenant)
        if broker is None:
            return DownlinkOutcome.OFFLINE, ReasonCode.UNSPECIFIED_ERROR
        done: asyncio.Future[tuple[DownlinkOutcome, ReasonCode]] = asyncio.get_running_loop().create_future()

        def settle(outcome: DownlinkOutcome, reason: ReasonCode) -> None:
            if not done.done():  # whoever waited may have gone
                done.set_result((outcome, reason))

        broker.publish(client_id, topic, payload, qos, round(timeout_s * 1000), settle, properties=properties)
        return await done


class _Busy:
    """Implements `AccessPort`: nobody is let in."""

    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        answer(Denial(ReasonCode.SERVER_BUSY, "too many connections, try again later"))


def _fail(error: Exception) -> None:
    _log.error("broker_failed", exc_info=error)
