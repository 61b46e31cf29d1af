"""BrokerLink: one connection to an existing MQTT broker, with amqtt's client protocol (MQTT 3.1.1).

Place in the walk: below the intake, above the network. amqtt's own client acknowledges before anybody has the message,
waits without limit, reads without limit, goes on after packets that it could not read, and reconnects without its
subscriptions. So only its protocol handler is used, at these seams (a test holds each of them):

- `fire_event(PACKET_RECEIVED)` comes for each packet, in order, before the handler makes a task of it: the intake gets
  messages there. The handler's own answers (`handle_publish`, `handle_pubrel`) do nothing here.
- The reader it is given (`PacketReader`) hands out whole packets of a bounded size, waits at a packet's beginning while
  the gate is closed, and finds out where a packet was not read to its end.
- The writer it is given is never waited for at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from amqtt.events import MQTTEvents
from amqtt.mqtt.packet import CONNACK, PINGRESP, PUBLISH, PUBREL
from amqtt.mqtt.pingreq import PingReqPacket
from amqtt.mqtt.protocol.client_handler import ClientProtocolHandler
from amqtt.mqtt.publish import PublishPacket
from amqtt.session import Session

from gateway.domain.errors import ConfigError, SourceProblem
from gateway.ingress.broker_stream import READ_BYTES, Gate, PacketReader, PacketWriter, SourceDown, Taker, no_mqtt, told

__all__ = ["BrokerAddress", "BrokerLink", "client_context"]

_log = structlog.get_logger(__name__)

_MAX_UNSENT_BYTES = 1 << 20
_FILTERS_AT_ONCE = 8
"""In one SUBSCRIBE: AWS IoT Core takes no more."""

_REFUSED = 0x80

_CONNACK = {
    1: (SourceProblem.CONNECT_REFUSED, "the broker does not speak MQTT 3.1.1"),
    2: (SourceProblem.CONNECT_REFUSED, "the broker does not take this client id: set `client_id`"),
    3: (SourceProblem.CONNECT_REFUSED, "the broker says that it is unavailable"),
    4: (SourceProblem.BAD_CREDENTIALS, "the broker does not take this user name and password"),
    5: (SourceProblem.NOT_AUTHORIZED, "the broker does not let this client in: check user name, password, certificate"),
}

_CLOSED = "the broker closed the connection"

_silent = logging.getLogger("gateway.ingress.broker_link.amqtt")
_silent.disabled = True  # the handler reports to nobody; what ends a connection is said once, with its code


@dataclass(slots=True, frozen=True)
class BrokerAddress:
    """Where and as whom. tls: None is plain TCP. clean_session: False lets the broker keep what comes meanwhile.
    keep_alive_s: after 1.5 times of it without a packet the broker closes. timeout_s: of each step of connecting and
    of each answer."""

    host: str
    port: int
    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    clean_session: bool = False
    keep_alive_s: int = 60
    timeout_s: float = 10.0
    max_packet_bytes: int = 1 << 20


def client_context(
    ca_file: Path | None = None,
    cert_file: Path | None = None,
    key_file: Path | None = None,
    alpn: Sequence[str] = (),
) -> ssl.SSLContext:
    """TLS of a client. ca_file: who signed the broker's certificate; None: the system's list. cert_file and key_file:
    the client's certificate. alpn: for brokers behind a port that others share (AWS IoT Core on 443:
    `x-amzn-mqtt-ca`). Raises ConfigError naming the file that cannot be used; its setting is that of the source's
    own."""
    if (cert_file is None) != (key_file is None):
        raise ConfigError("tls.cert_file and tls.key_file go together", setting="tls")
    for key, file in (("ca_file", ca_file), ("cert_file", cert_file), ("key_file", key_file)):
        if file is not None:
            try:
                file.open("rb").close()
            except OSError as error:
                text = f"tls.{key} {file}: cannot be read: {error.strerror}"
                raise ConfigError(text, setting=f"tls.{key}") from None
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except ssl.SSLError as error:
        text = f"tls.ca_file {ca_file} holds no PEM certificate ({error})"
        raise ConfigError(text, setting="tls.ca_file") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert_file is not None and key_file is not None:
        try:
            context.load_cert_chain(cert_file, key_file, password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            raise ConfigError(
                f"tls.cert_file {cert_file} and tls.key_file {key_file} cannot be used: both must be PEM and belong "
                f"together, the key without a password ({error})",
                setting="tls.cert_file",
            ) from None
    if alpn:
        try:
            context.set_alpn_protocols(list(alpn))
        except UnicodeError:
            raise ConfigError("tls.alpn: names of ASCII characters were expected", setting="tls.alpn") from None
    return context


class BrokerLink:
    """One connection, from its CONNECT to its end. `open` makes it; it is used once."""

    def __init__(self, address: BrokerAddress, reader: PacketReader, writer: PacketWriter, handler: _Handler) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._gate = reader.gate
        self._down: SourceDown | None = None

    @classmethod
    async def open(cls, address: BrokerAddress, taker: Taker, gate: Gate) -> BrokerLink:
        """Connects and waits for CONNACK. Raises SourceDown."""
        stream, writer = await _connect(address)
        reader = PacketReader(stream, gate, address.max_packet_bytes, taker)
        handler = _Handler(reader, taker)
        link = cls(address, reader, PacketWriter(writer), handler)
        try:
            await link._greet()
        except BaseException:
            await link.close()
            raise
        return link

    @property
    def session_present(self) -> bool:
        """Whether the broker knew this client id and has kept what came for it."""
        return self._handler.session_present

    @property
    def peer(self) -> str:
        host, port = self._writer.get_peer_info() or (self._address.host, self._address.port)
        return f"{host}:{port}"

    async def start(self) -> None:
        """Begins to read what comes after CONNACK."""
        self._reader.gated = True
        await self._handler.start()

    async def subscribe(self, filters: Sequence[str], qos: int) -> int:
        """Returns the lowest QoS that was granted. Raises SourceDown, also if a single filter was refused."""
        granted = qos
        for at in range(0, len(filters), _FILTERS_AT_ONCE):
            asked = filters[at : at + _FILTERS_AT_ONCE]
            request = self._handler.mqtt_subscribe([(one, qos) for one in asked], at // _FILTERS_AT_ONCE + 1)
            codes = await self.answered(request, "SUBSCRIBE")
            refused = [one for one, code in zip(asked, codes, strict=False) if code >= _REFUSED]
            if refused or len(codes) != len(asked):
                names = ", ".join(refused or asked)
                raise SourceDown(SourceProblem.SUBSCRIPTION_REFUSED, f"the broker refused the subscription to {names}")
            granted = min(granted, *codes)
        return granted

    async def ping(self) -> None:
        """One PINGREQ and its answer; without waiting for it while the gate is closed. Raises SourceDown."""
        answer = self._handler.pong
        answer.clear()
        await self._send(PingReqPacket())
        if self._gate.open:
            await self.answered(answer.wait(), "PINGREQ")

    async def publish(self, topic: str, payload: bytes) -> None:
        """With QoS 0. Raises SourceDown."""
        await self._send(PublishPacket.build(topic, payload, None, False, 0, False))

    def send(self, data: bytes) -> None:
        """Whole packets, after those that were sent before. Never raises; what cannot be sent ends the connection."""
        if self._writer.unsent > _MAX_UNSENT_BYTES:
            self.fail(SourceProblem.NO_ANSWER, "the broker does not read what it is sent")
        else:
            self._writer.write(data)

    def fail(self, problem: SourceProblem, detail: str) -> None:
        """Ends the connection at once, without a DISCONNECT."""
        if self._down is None:
            self._down = self._reader.error = SourceDown(problem, detail)
        self._writer.abort()
        self._handler.ended.set()

    async def lost(self) -> SourceDown:
        """Returns why, once the connection has ended."""
        await self._handler.ended.wait()
        if self._down is not None:
            return self._down
        error = self._reader.error or self._handler.error
        if error is not None:
            return told(error)
        return SourceDown(SourceProblem.CONNECTION_LOST, _CLOSED) if self._reader.at_end else no_mqtt()

    async def answered(self, answer: Any, to: str) -> Any:
        """Waits for an answer of the broker, for as long as packets are read. Raises SourceDown."""
        waiting = asyncio.ensure_future(answer)
        ended = asyncio.ensure_future(self._handler.ended.wait())
        limit_s = self._address.timeout_s
        try:
            while True:
                await asyncio.wait((waiting, ended), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    return waiting.result()
                if ended.done():
                    raise await self.lost()
                if self._gate.open_for_s() >= limit_s:
                    raise SourceDown(SourceProblem.NO_ANSWER, f"no answer to {to} in {limit_s:g} s")
        except OSError as error:
            raise told(error) from None
        finally:
            waiting.cancel()
            ended.cancel()
            await asyncio.gather(waiting, ended, return_exceptions=True)

    async def close(self, *, politely: bool = False) -> None:
        """Ends it, with a DISCONNECT after what was sent before if `politely`. Returns when nothing of it is left."""
        if politely and not self._handler.ended.is_set():
            with contextlib.suppress(TimeoutError, SourceDown, OSError):
                async with asyncio.timeout(self._address.timeout_s):
                    await self._handler.mqtt_disconnect()
                    await self._writer.finish()
        if self._down is None and not self._handler.ended.is_set():
            self._down = SourceDown(SourceProblem.CONNECTION_LOST, "the gateway closed the connection")
        self._writer.abort()
        if self._handler.started:
            await self._handler.stop()
        await self._writer.gone()

    async def _greet(self) -> None:
        address = self._address
        session = Session()
        session.client_id = address.client_id
        session.clean_session = address.clean_session
        session.keep_alive = address.keep_alive_s
        session.username = address.username or None
        session.password = address.password or None
        handler = self._handler
        handler.attach(session, self._reader, self._writer)
        handler.logger = _silent
        try:
            async with asyncio.timeout(address.timeout_s):
                code = await handler.mqtt_connect()
        except TimeoutError:
            raise SourceDown(SourceProblem.NO_ANSWER, f"no answer to CONNECT in {address.timeout_s:g} s") from None
        except Exception as error:
            cause = self._reader.error or error
            raise told(cause) if isinstance(cause, ssl.SSLError | SourceDown) else _no_connack() from None
        if not handler.greeted:
            raise _no_connack()
        if code:
            raise SourceDown(*_CONNACK.get(code, (SourceProblem.CONNECT_REFUSED, f"return code {code}")))
        # The handler's reading would give up after the keep-alive, in the middle of a packet; the source pings.
        session.keep_alive = 0
        handler.keepalive_timeout = None

    async def _send(self, packet: Any) -> None:
        try:
            async with asyncio.timeout(self._address.timeout_s):
                await packet.to_stream(self._writer)
        except TimeoutError:
            raise SourceDown(SourceProblem.NO_ANSWER, "the broker does not read what it is sent") from None
        except OSError as error:
            raise told(error) from None


class _Handler(ClientProtocolHandler):  # type: ignore[misc]  # amqtt ships no types
    """amqtt's protocol without its answers. greeted: CONNACK was read. ended: nothing more will be read."""

    def __init__(self, reader: PacketReader, taker: Taker) -> None:
        super().__init__(_Events(self._received))
        self.ended = asyncio.Event()
        self.pong = asyncio.Event()
        self.greeted = False
        self.session_present = False
        self.started = False
        self.error: Exception | None = None  # of ours
        self._packets = reader
        self._taker = taker

    async def start(self) -> None:
        self.started = True
        await super().start()

    async def handle_publish(self, publish_packet: Any) -> None:
        """It was taken in by `_received`."""

    async def handle_pubrel(self, pubrel: Any) -> None:
        """It was answered by `_received`."""

    async def handle_pingresp(self, pingresp: Any) -> None:
        """It was noted by `_received`."""

    async def handle_connection_closed(self) -> None:
        self.ended.set()

    def _received(self, packet: Any) -> None:
        self._packets.understood(packet)
        try:
            self._take(packet)
        except Exception as error:  # the handler would end without a word
            _log.exception("source_failed")
            self.error = SourceDown(SourceProblem.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            raise

    def _take(self, packet: Any) -> None:
        kind = packet.fixed_header.packet_type
        if kind == PUBLISH:
            flags = packet.fixed_header.flags
            header = packet.variable_header
            self._taker.publish(
                header.topic_name,
                packet.payload.data,
                flags >> 1 & 3,
                header.packet_id or 0,
                dup=bool(flags & 8),
                retain=bool(flags & 1),
            )
        elif kind == PUBREL:
            self._taker.release(packet.variable_header.packet_id)
        elif kind == PINGRESP:
            self.pong.set()
        elif kind == CONNACK:
            self.greeted = True
            self.session_present = bool(packet.session_parent)


class _Events:
    """Stands in the place of amqtt's plugin manager, which is told of every packet."""

    __slots__ = ("_received",)

    def __init__(self, received: Callable[[Any], None]) -> None:
        self._received = received

    async def fire_event(self, event_name: object, *, wait: bool = False, **values: Any) -> None:
        if event_name is MQTTEvents.PACKET_RECEIVED:
            self._received(values["packet"])


def _no_connack() -> SourceDown:
    return SourceDown(SourceProblem.CONNECTION_LOST, "the broker closed the connection instead of answering CONNECT")


async def _connect(address: BrokerAddress) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = f"{address.host}:{address.port}"
    try:
        async with asyncio.timeout(address.timeout_s):
            return await asyncio.open_connection(address.host, address.port, ssl=address.tls, limit=READ_BYTES)
    except TimeoutError:
        raise SourceDown(SourceProblem.UNREACHABLE, f"no connection to {where} in {address.timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise told(error) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise SourceDown(SourceProblem.UNREACHABLE, f"cannot connect to {where}: {reason}") from None
