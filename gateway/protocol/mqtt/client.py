"""ClientMachine: one MQTT connection, without I/O.

Place in the walk: the face hands in bytes and a clock tick now and then; the machine cuts them into packets, has the
client authenticated before any session is touched, opens its session with the broker, and answers when receipts are
settled. It asks its host to write, to close, and to hold back reading; it never waits.

States: waiting for CONNECT -> authenticating -> connected (it has a session) -> closed.
"""

from __future__ import annotations

from functools import partial

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason, RefuseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.protocol.mqtt.answers import take_answer
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.greeting import agree, connack_properties
from gateway.protocol.mqtt.intake import Intake
from gateway.protocol.mqtt.output import Output
from gateway.protocol.mqtt.packets import (
    V5,
    Auth,
    Connack,
    Connect,
    Disconnect,
    MqttError,
    Packet,
    PacketType,
    Pingreq,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Subscribe,
    Unsubscribe,
)
from gateway.protocol.mqtt.ports import ClientPorts, Denial, Grant, Sender
from gateway.protocol.mqtt.session import Session
from gateway.protocol.mqtt.subscribing import subscribe, unsubscribe
from gateway.protocol.session_ports import SessionHost

__all__ = ["ClientMachine"]

_CODES = {
    CloseReason.IDLE_TIMEOUT: ReasonCode.KEEP_ALIVE_TIMEOUT,
    CloseReason.SHUTDOWN: ReasonCode.SERVER_SHUTTING_DOWN,
    CloseReason.TAKEOVER: ReasonCode.SESSION_TAKEN_OVER,
}
_ANSWERED = frozenset((Publish, Subscribe, Unsubscribe, Pubrec, Pubrel))
"""Packets that may wait for a receipt."""
_SHOWN_CHARACTERS = 128


class ClientMachine:
    """One connection. opened_ms: of the clock behind `on_clock`. principal: proven before CONNECT.

    version: 0 until its CONNECT is read. session: once it is connected. active: set by every packet, cleared by
    `on_clock`. packets: how many came in. code, detail: why it ended, as the peer was told, or would have been.
    """

    __slots__ = (
        "_allowed",
        "_backlog",
        "_broker",
        "_busy",
        "_clean",
        "_client_id",
        "_closed",
        "_connect",
        "_decoder",
        "_finish",
        "_gate",
        "_held",
        "_intake",
        "_next",
        "_ports",
        "_received_ms",
        "_since_ms",
        "active",
        "code",
        "detail",
        "grant",
        "host",
        "output",
        "packets",
        "peer",
        "principal",
        "session",
        "session_id",
    )

    def __init__(
        self,
        broker: Broker,
        ports: ClientPorts,
        host: SessionHost,
        *,
        session_id: str,
        peer: str,
        principal: Principal,
        opened_ms: int,
    ) -> None:
        self.session_id = session_id
        self.peer = peer
        self.principal = principal
        self.host = host
        self.session: Session | None = None
        self.grant: Grant
        self.active = False
        self.packets = 0
        self.code: ReasonCode | None = None
        self.detail = ""
        self._broker = broker
        self._ports = ports
        self._gate = broker.ports.gate
        self._since_ms = opened_ms
        self._decoder = Decoder(ports.limits.max_packet_bytes, topics=ports.topics)
        self._connect: Connect | None = None
        self._client_id = ""
        self._closed = False
        self._clean = False  # it said goodbye, so its will is void
        self._finish: CloseReason | None = None

        self._backlog: list[Packet] = []  # packets that were read and not taken in, from `_next` on
        self._next = 0
        self._received_ms = 0
        self._busy = False
        self._held = False
        self._allowed = ""  # the topic that it published to last
        self._intake = Intake(ports.limits)
        broker_ports = broker.ports
        self.output = Output(
            host.write, broker.writes, broker_ports.steady_ms, ports.limits.max_joined_bytes, ports.tap, session_id
        )

    @property
    def version(self) -> int:
        return self._decoder.version

    @property
    def client_id(self) -> str:
        """Empty before CONNECT."""
        return self._client_id

    def facts(self) -> dict[str, object]:
        """What the log line at the end of its connection tells of it."""
        facts: dict[str, object] = {"version": self.version, "packets": self.packets}
        if self._client_id:
            facts["client_id"] = self._client_id[:_SHOWN_CHARACTERS]
        if self.code is not None:
            facts["code"] = self.code.name.lower()
        if self.detail:
            facts["detail"] = self.detail
        return facts

    # Bytes in

    def receive_bytes(self, data: bytes, now_ms: int) -> None:
        """Takes what was read. now_ms: Unix ms of arrival."""
        if self._closed or self._finish is not None:
            return
        packets = self._decoder.receive(data)
        if packets:
            self.active = True
            self.packets += len(packets)
            self._received_ms = now_ms
            self._backlog += packets
        if self._ports.tap.enabled:
            names = " ".join(packet.packet_type.name for packet in packets)
            shown = b"" if self.session is None else data  # CONNECT holds a password
            self._ports.tap.frame(self.session_id, "in", shown, names)
        if packets or self._decoder.error is not None:
            self._go_on()
            self.output.write_out()

    def _go_on(self) -> None:
        """Takes packets in and answers what is settled until neither moves, then tells the host what that changed."""
        if self._closed or self._busy:
            return
        self._busy = self.output.joining = True
        session = self.session
        if session is not None:
            session.busy = True
        backlog = self._backlog
        try:
            while True:
                self._take_in(backlog)
                session = self.session
                if session is None or self._closed or not session.settled:
                    break
                session.answer_settled()
            if not self._closed and not backlog and self._decoder.error is not None:
                self._break(self._decoder.error)
        except MqttError as error:
            self._break(error)
        except Exception as error:  # this may run within the outbox, for which it would be a stranger's fault
            self.host.fail(error)
            self.close(CloseReason.INTERNAL_ERROR)
        finally:
            self._busy = self.output.joining = False
            if session is not None:
                session.busy = False
                if session.outbound.done or (self._closed and session.settled):
                    self._broker.due(session)
        if not self._closed:
            if backlog or self._held:
                self._hold_or_not()
            if self._finish is not None and not backlog and (session is None or not session.waiting):
                self.close(self._finish)

    def _take_in(self, backlog: list[Packet]) -> None:
        """Takes in what may be taken in now, in order."""
        limits = self._ports.limits
        max_in_flight, max_bytes = limits.publishes_in_flight, limits.bytes_in_flight
        count = len(backlog)
        while self._next < count and not self._closed:
            packet = backlog[self._next]
            kind = type(packet)
            session = self.session
            if session is None:
                if kind is not Connect:
                    return  # what follows CONNECT waits for the access port
            elif kind in _ANSWERED and (
                len(session.waiting) >= max_in_flight
                or session.waiting_bytes >= max_bytes
                or (kind is Publish and not self._gate.open)
            ):
                return
            self._next += 1
            if isinstance(packet, Publish):
                self._publish(packet)
            else:
                self._receive(packet)
        backlog.clear()
        self._next = 0

    def _hold_or_not(self) -> None:
        """Holds reading while packets wait; lets it go on below half of the limits, so that it does not flutter."""
        limits = self._ports.limits
        held = bool(self._backlog)
        session = self.session
        if self._held and not held and session is not None:
            count, size = len(session.waiting), session.waiting_bytes
            held = count * 2 > limits.publishes_in_flight or size * 2 > limits.bytes_in_flight
        if held is not self._held:
            self._held = held
            self.host.hold(held)

    def _receive(self, packet: Packet) -> None:
        if isinstance(packet, Puback | Pubrec | Pubcomp):
            assert self.session is not None
            take_answer(self.session, self, self.output, packet, self._not_kept, self._broker.ports.steady_ms)
        elif isinstance(packet, Pubrel):
            self._release(packet.packet_id)
        elif isinstance(packet, Pingreq):
            self.output.put(b"\xd0\0")
        elif isinstance(packet, Subscribe):
            assert self.session is not None
            subscribe(self._broker, self.session, self, self.grant, packet, self._answer)
        elif isinstance(packet, Unsubscribe):
            assert self.session is not None
            unsubscribe(self._broker, self.session, self, packet, self._answer)
        elif isinstance(packet, Disconnect):
            self._disconnect(packet)
        elif isinstance(packet, Connect):
            self._authenticate(packet)
        elif isinstance(packet, Auth):  # section 4.12.1: only after a CONNECT with a method, which none may have
            raise MqttError(ReasonCode.PROTOCOL_ERROR, "AUTH without an authentication method")
        else:
            raise MqttError(ReasonCode.PROTOCOL_ERROR, f"{packet.packet_type.name} from a client")

    # CONNECT

    def _authenticate(self, connect: Connect) -> None:
        said = connect.properties
        if said is not None and said.authentication_method is not None:
            self._deny(Denial(ReasonCode.BAD_AUTHENTICATION_METHOD, "enhanced authentication is not offered"))
            return
        if not connect.client_id and not connect.clean_start and connect.version != V5:  # 3.1.1: MQTT-3.1.3-8
            self._deny(Denial(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "a session to keep needs a client id"))
            return
        self._connect = connect
        client_id = connect.client_id or self._ports.make_client_id()
        while not connect.client_id and client_id in self._broker.sessions:  # MQTT-3.2.2-16
            client_id = self._ports.make_client_id()
        self._client_id = client_id
        self._ports.access.authenticate(connect, client_id, self.peer, self.principal, self._decided)

    def _decided(self, verdict: Grant | Denial) -> None:
        """The answer of the access port, maybe later, maybe too late."""
        connect = self._connect
        if self._closed or self.session is not None or connect is None:
            return
        try:
            self._let_in(connect, verdict)
        except Exception as error:
            self.host.fail(error)
            self.close(CloseReason.INTERNAL_ERROR)
        if not self._busy:  # it came later
            self._go_on()
            self.output.write_out()

    def _let_in(self, connect: Connect, verdict: Grant | Denial) -> None:
        if not isinstance(verdict, Denial) and connect.will is not None and not verdict.may_publish(connect.will.topic):
            verdict = Denial(ReasonCode.NOT_AUTHORIZED, "this client may not publish to the topic of its will")
        if isinstance(verdict, Denial):
            self._deny(verdict)
        else:
            self._open(connect, verdict)

    def _open(self, connect: Connect, grant: Grant) -> None:
        ports = self._ports
        self.grant = grant
        terms = agree(connect, ports.limits)
        sender = Sender(self._client_id, grant, self.peer, ports.listener, self.session_id, connect.version)
        opened = self._broker.open(self, self.output, connect, self._client_id, sender)
        if isinstance(opened, Denial):
            self._deny(opened)
            return
        session, present = opened
        if present:
            self._broker.narrow(session, grant)
        self.session = session
        self._connect = None  # it holds the password
        self._intake.version = connect.version
        self.output.agree(connect.version, terms)
        properties = connack_properties(connect, self._client_id, terms, ports.limits, session.expiry_s)
        if self.output.put_packet(Connack(present, ReasonCode.SUCCESS, properties)):
            self._broker.resume(session)
        else:
            self._leave(CloseReason.PROTOCOL_ERROR, None, "the client's maximum packet size leaves no room for CONNACK")

    def _deny(self, denial: Denial) -> None:
        """A CONNACK with the reason, then the end (MQTT-3.2.2-7; 3.1.1: MQTT-3.2.2-5)."""
        self._broker.counts.denied += 1
        properties = Properties(reason_string=denial.detail) if denial.detail and self.version == V5 else None
        self._leave(CloseReason.REFUSED, Connack(False, denial.reason, properties), denial.detail)

    # PUBLISH in

    def _publish(self, publish: Publish) -> None:
        session = self.session
        assert session is not None
        if publish.properties is not None:
            self._intake.resolve(publish, publish.properties)
        topic = publish.topic
        if publish.qos:
            self._intake.count(publish)
            known = session.received
            full = publish.qos == 2 and len(known) >= self._ports.limits.max_unreleased
            if full and publish.packet_id not in known:
                raise MqttError(ReasonCode.QUOTA_EXCEEDED, "too many QoS 2 publishes are not released")
        size = len(publish.payload) + len(topic)
        if topic != self._allowed:
            if not topic:
                raise MqttError(ReasonCode.PROTOCOL_ERROR, "a PUBLISH without topic and alias")
            if not self.grant.may_publish(topic):
                session.refuse(publish, self, size, RefuseReason.NOT_AUTHORIZED.value)
                return
            self._allowed = topic
        session.take(publish, self, self._received_ms, size)

    def ack(self, publish: Publish, receipt: Receipt) -> None:
        """Implements `Connection`."""
        if publish.qos == 1:
            kind = PacketType.PUBACK
            self._intake.answered()
        else:
            kind = PacketType.PUBREC
        outcome = receipt.outcome
        if outcome is not Outcome.ACCEPTED and outcome is not Outcome.DUPLICATE and not self._explain(publish, receipt):
            return
        self.output.put_ack(kind, publish.packet_id)

    def _explain(self, publish: Publish, receipt: Receipt) -> bool:
        """True: a plain acknowledgement is due, none was sent."""
        kept = receipt.kept
        if self.version != V5:  # which has no negative acknowledgement (3.1.1: MQTT-3.3.5-2)
            if not kept:
                self.end(CloseReason.NOT_KEPT, ReasonCode.UNSPECIFIED_ERROR, receipt.reason)
            return kept
        answer = self._ports.explain(receipt)
        if kept and (not answer.reason.failed or publish.qos == 2):
            # A failure would end QoS 2 with the id released, which is kept together with the letter as taken.
            return True
        if not kept and (answer.closes or not answer.reason.failed):
            self.end(CloseReason.NOT_KEPT, answer.reason, answer.detail)
            return False
        properties = Properties(reason_string=answer.detail) if answer.detail and self.output.terms.explains else None
        if publish.qos == 1:
            self.output.put_packet(Puback(publish.packet_id, answer.reason, properties))
        else:
            self._intake.released(publish.packet_id)
            self.output.put_packet(Pubrec(publish.packet_id, answer.reason, properties))
        return False

    def _release(self, packet_id: int) -> None:
        """PUBREL (section 4.3.3)."""
        session = self.session
        assert session is not None
        released = session.release(packet_id, self, partial(self._released, packet_id))
        if released:
            self._released(packet_id, True)
        elif released is not None:
            self.output.put_packet(Pubcomp(packet_id, ReasonCode.PACKET_IDENTIFIER_NOT_FOUND))

    def _released(self, packet_id: int, kept: bool) -> None:
        if kept:
            self._intake.released(packet_id)
            self.output.put_ack(PacketType.PUBCOMP, packet_id)
        else:
            self._not_kept()

    def _not_kept(self) -> None:
        self.end(CloseReason.NOT_KEPT, ReasonCode.UNSPECIFIED_ERROR, "not stored, send again")

    def _answer(self, packet: Packet | None) -> None:
        if packet is None:
            self._not_kept()
        elif not self.output.put_packet(packet):  # a client that is never answered would wait for ever
            detail = f"{packet.packet_type.name} is longer than this client takes"
            self.end(CloseReason.PROTOCOL_ERROR, ReasonCode.PACKET_TOO_LARGE, detail)

    # From the face

    def set_blocked(self, blocked: bool) -> None:
        """True: the peer does not read what is written; False: it does again."""
        self.output.blocked = blocked
        if not blocked and self.session is not None:
            self.session.outbound.drain(self._broker.ports.steady_ms())

    def on_clock(self, now_ms: int) -> None:
        """Closes a connection that has no session in time, or whose client is silent for one and a half times its keep
        alive (MQTT-3.1.2-22; 3.1.1: MQTT-3.1.2-24). now_ms: of a steady clock. A client that we do not read from is
        not silent."""
        active = self.active
        self.active = False
        if self.session is None:
            timeout_ms = self._ports.limits.connect_timeout_ms
            if timeout_ms and now_ms - self._since_ms >= timeout_ms:
                self.close(CloseReason.LOGIN_TIMEOUT)
        elif active or self._held or not self._gate.open:
            self._since_ms = now_ms
        elif self.output.terms.keep_alive_s and now_ms - self._since_ms >= self.output.terms.keep_alive_s * 1500:
            self.close(CloseReason.IDLE_TIMEOUT)

    def resume(self) -> None:
        """Something has settled, or the gate has opened: goes on."""
        self._go_on()
        self.output.ask_turn()

    def finish(self, reason: CloseReason) -> None:
        """Takes no more bytes; closes as soon as everything that was read is answered."""
        if not self._closed and self._finish is None:
            self._finish = reason
            self._go_on()
            if not self._closed:
                self.output.write_out()

    def close(self, reason: CloseReason) -> None:
        """Ends session and connection. Publishes in flight still settle and are handed on."""
        self.end(reason, _CODES.get(reason, ReasonCode.UNSPECIFIED_ERROR), "")

    def lost(self) -> None:
        """The connection is gone."""
        if not self._closed:
            self._closed = True
            self._part()

    # The end

    def end(self, reason: CloseReason, code: ReasonCode, detail: str) -> None:
        """Implements `Connection`."""
        farewell: Packet | None = None
        # Before CONNACK a server sends no DISCONNECT (MQTT-3.14.0-1), and who does not listen is told nothing.
        if self.session is not None and reason not in (CloseReason.SLOW_READER, CloseReason.PEER_CLOSED):
            farewell = Disconnect(code, Properties(reason_string=detail) if detail else None)
        self._leave(reason, farewell, detail)

    def _break(self, error: MqttError) -> None:
        """The peer broke the standard or a limit (section 4.13)."""
        if self.session is not None:
            self.end(CloseReason.PROTOCOL_ERROR, error.reason, error.detail)
            return
        properties = Properties(reason_string=error.detail) if self.version == V5 else None
        connack = Connack(False, error.reason, properties) if self.version and self._connect is None else None
        self._leave(CloseReason.PROTOCOL_ERROR, connack, error.detail)

    def _disconnect(self, packet: Disconnect) -> None:
        """Section 3.14.4."""
        session = self.session
        assert session is not None
        said = packet.properties
        if said is not None and said.session_expiry_interval is not None:
            may_last = session.persistent or not self._broker.limits.max_expiry_s  # where none lasts, it does no harm
            if said.session_expiry_interval and not may_last:
                raise MqttError(ReasonCode.PROTOCOL_ERROR, "a DISCONNECT cannot make a session outlive its connection")
            self._broker.set_expiry(session, said.session_expiry_interval)
        self._clean = packet.reason is ReasonCode.NORMAL_DISCONNECTION
        self._leave(CloseReason.PEER_CLOSED, None, "")

    def _leave(self, reason: CloseReason, farewell: Packet | None, detail: str) -> None:
        if self._closed:
            return
        self._closed = True
        self.detail = detail
        if isinstance(farewell, Connack | Disconnect):
            self.code = farewell.reason
        if farewell is not None:
            data = encode(farewell, self.version, self.output.terms.max_packet_bytes)
            if data:
                self.output.put(data)
        self.output.write_out()
        self._part()
        self.host.close(reason)

    def _part(self) -> None:
        self._backlog.clear()
        self.output.end()
        self._connect = None
        if self.session is not None:
            self._broker.lost(self.session, self, clean=self._clean)
