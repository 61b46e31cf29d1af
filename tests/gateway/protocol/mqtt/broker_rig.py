"""A broker with everything it needs, a flow whose receipts a test settles, and clients that speak packets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.state import State
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.client import ClientMachine
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Connack,
    Connect,
    Packet,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
    Will,
)
from gateway.protocol.mqtt.ports import (
    BrokerLimits,
    BrokerPorts,
    ClientLimits,
    ClientPorts,
    Denial,
    DownlinkOutcome,
    Grant,
    Sender,
)
from gateway.protocol.mqtt.recovery import BrokerMemory
from gateway.protocol.mqtt.topics import TopicCache, matches
from gateway.protocol.session_ports import RoomGate
from tests.gateway.fakes import FakeTap

P = TypeVar("P", bound=Packet)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 5_000

    def steady_ms(self) -> int:
        return self.now_ms

    def unix_ms(self) -> int:
        return 1_700_000_000_000 + self.now_ms


class Rules:
    """A grant: `denied` topics and filters."""

    def __init__(self, *denied: str) -> None:
        self.denied = denied

    def may_publish(self, topic: str) -> bool:
        return not any(matches(rule, topic) for rule in self.denied)

    def may_subscribe(self, topic_filter: str) -> bool:
        return topic_filter not in self.denied


class Access:
    """Lets everybody in but those whose password is `wrong`; with `hold` set, when the test says so."""

    def __init__(self) -> None:
        self.hold = False
        self.grant = Rules()
        self.asked: list[tuple[str, Callable[[Grant | Denial], None]]] = []

    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        self.asked.append((client_id, answer))
        if self.hold:
            return
        if connect.password == b"wrong":
            answer(Denial(ReasonCode.BAD_USER_NAME_OR_PASSWORD, "check the password"))
        else:
            answer(self.grant)


class Flow:
    """Keeps publishes and states. With `hold` set nothing settles before the test says so; with `refusal` set nothing
    is kept. `log` holds the states that became durable, in order."""

    def __init__(self) -> None:
        self.hold = False
        self.hold_states = False
        self.refusal = ""
        self.dead_letter = ""
        self.taken: list[Publish] = []
        self.senders: list[Sender] = []
        self.waiting: list[tuple[Receipt, Sequence[State]]] = []
        self.log: list[State] = []

    @property
    def topics(self) -> list[str]:
        return [publish.topic for publish in self.taken]

    @property
    def payloads(self) -> list[bytes]:
        return [publish.payload for publish in self.taken]

    def receive(
        self, publish: Publish, sender: Sender, receipt: Receipt, received_ms: int, states: Sequence[State]
    ) -> None:
        assert received_ms > 1_700_000_000_000
        self.taken.append(publish)
        self.senders.append(sender)
        self._later(receipt, states, self.hold)

    def refuse(self, receipt: Receipt, reason: str) -> None:
        self._settle(receipt, Outcome.REFUSED, reason)

    def keep(self, receipt: Receipt, states: Sequence[State]) -> None:
        self._later(receipt, states, self.hold_states)

    def _later(self, receipt: Receipt, states: Sequence[State], hold: bool) -> None:
        if hold:
            self.waiting.append((receipt, states))
        else:
            self._end(receipt, states)

    def _end(self, receipt: Receipt, states: Sequence[State]) -> None:
        if self.refusal:
            self._settle(receipt, Outcome.REFUSED, self.refusal)
            return
        self.log += states
        if self.dead_letter:
            self._settle(receipt, Outcome.DEAD_LETTERED, self.dead_letter)
        else:
            self._settle(receipt, Outcome.ACCEPTED, "")

    def _settle(self, receipt: Receipt, outcome: Outcome, reason: str) -> None:
        assert receipt.outcome is None, "settled twice"
        receipt.outcome = outcome
        receipt.reason = reason
        if receipt.on_settled is not None:
            receipt.on_settled(receipt)

    def settle(self, *which: int, refusal: str = "") -> None:
        """Settles those that wait, by their place, in this order; without any: all."""
        chosen = [self.waiting[index] for index in which] if which else list(self.waiting)
        self.waiting = [item for item in self.waiting if item not in chosen]
        before, self.refusal = self.refusal, refusal or self.refusal
        for receipt, states in chosen:
            self._end(receipt, states)
        self.refusal = before


class Peer:
    """A client: host of its machine, and the far end that reads what is written."""

    def __init__(self, bench: Bench, version: int) -> None:
        self.bench = bench
        self.version = version
        self.writes: list[bytes] = []
        self.unread: list[Packet] = []
        self.held = False
        self.cut = False  # the next write ends the connection
        self.closed: CloseReason | None = None
        self.errors: list[Exception] = []
        self.decoder: Decoder | None = None
        bench.opened += 1
        self.machine = ClientMachine(
            bench.broker,
            bench.client_ports,
            self,
            session_id=f"s{bench.opened}",
            peer="192.0.2.1:5",
            principal=Principal(),
            opened_ms=bench.clock.now_ms,
        )

    # SessionHost

    def write(self, data: bytes) -> None:
        assert self.closed is None, "written after the close"
        if self.cut:
            self.machine.close(CloseReason.SLOW_READER)
            return
        self.writes.append(data)
        if self.decoder is None:  # in what the server took the CONNECT for, should it be a broken one
            self.decoder = Decoder(1 << 20, from_client=False, version=self.machine.version)
        self.unread += self.decoder.receive(data)
        assert self.decoder.error is None, self.decoder.error

    def hold(self, held: bool) -> None:
        assert held is not self.held
        self.held = held

    def close(self, reason: CloseReason) -> None:
        assert self.closed is None, "closed twice"
        self.closed = reason

    def fail(self, error: Exception) -> None:
        self.errors.append(error)

    # The far end

    def say(self, *packets: Packet) -> None:
        self.raw(b"".join(encode(packet, self.version) for packet in packets))

    def raw(self, data: bytes) -> None:
        self.machine.receive_bytes(data, self.bench.clock.unix_ms())
        self.bench.run()
        assert not self.errors, self.errors

    def read(self) -> list[Packet]:
        """What was written since the last time."""
        unread, self.unread = self.unread, []
        return unread

    def one(self, kind: type[P]) -> P:
        """The only packet that was written since the last time."""
        (packet,) = self.read()
        assert isinstance(packet, kind), packet
        return packet

    def drop(self) -> None:
        """The connection breaks."""
        self.machine.lost()
        self.bench.run()
        if self.closed is None:
            self.closed = CloseReason.CONNECTION_LOST

    def subscribe(self, *wanted: Subscription | str, identifier: int = 0) -> list[ReasonCode]:
        filters = [item if isinstance(item, Subscription) else Subscription(item, 2) for item in wanted]
        properties = Properties(subscription_identifiers=(identifier,)) if identifier else None
        self.say(Subscribe(9, filters, properties))
        suback = self.unread.pop(0)
        assert isinstance(suback, Suback)
        return suback.reasons


class Bench:
    def __init__(self, *, limits: ClientLimits | None = None, broker: BrokerLimits | None = None) -> None:
        self.clock = Clock()
        self.flow = Flow()
        self.access = Access()
        self.gate = RoomGate()
        self.calls: list[Callable[[], None]] = []
        self.errors: list[Exception] = []
        self.opened = 0
        self.made = 0
        self.tap = FakeTap(enabled=False)
        self.client_limits = limits or ClientLimits()
        self.broker_limits = broker or BrokerLimits()
        self.start()

    def start(self) -> None:
        """A new process: nothing but the flow's log is left of an older one."""
        self.calls.clear()
        self.broker_ports = BrokerPorts(
            self.flow,
            self.gate,
            self.clock.steady_ms,
            self.clock.unix_ms,
            self.calls.append,
            self.errors.append,
            self.broker_limits,
        )
        self.broker = Broker(self.broker_ports)
        self.memory = BrokerMemory(self.broker)
        self.counts = self.broker.counts
        self.client_ports = ClientPorts(
            "mqtt", self.access, self._make_client_id, self.tap, TopicCache(), self.client_limits
        )

    def restart(self) -> None:
        self.start()
        for state in self.flow.log:
            self.memory.restore(state.payload)

    def _make_client_id(self) -> str:
        self.made += 1
        return f"auto-{self.made}"

    def run(self) -> None:
        """Runs what was asked to run soon, as the loop does."""
        while self.calls:
            calls, self.calls[:] = list(self.calls), []
            for call in calls:
                call()
        assert not self.errors, self.errors

    def settle(self, *which: int, refusal: str = "") -> None:
        self.flow.settle(*which, refusal=refusal)
        self.run()

    def advance(self, seconds: float) -> None:
        self.clock.now_ms += int(seconds * 1000)
        self.broker.on_clock(self.clock.now_ms)
        self.run()

    def peer(self, version: int = V5) -> Peer:
        return Peer(self, version)

    def connect(
        self,
        client_id: str = "c",
        version: int = V5,
        *,
        clean: bool = True,
        expiry_s: int | None = None,
        will: Will | None = None,
        keep_alive_s: int = 0,
        **properties: int,
    ) -> Peer:
        """A client that is let in; its CONNACK is the next to read."""
        peer = self.peer(version)
        said = None
        if version == V5 and (properties or expiry_s is not None):
            said = Properties(session_expiry_interval=expiry_s, **properties)  # type: ignore[arg-type]
        peer.say(Connect(version, client_id, clean, keep_alive_s, will, properties=said))
        return peer

    def join(self, client_id: str = "c", version: int = V5, *, clean: bool = True, **more: int) -> Peer:
        """A connected client whose CONNACK was read."""
        peer = self.connect(client_id, version, clean=clean, **more)  # type: ignore[arg-type]
        connack = peer.unread.pop(0)
        assert isinstance(connack, Connack)
        assert connack.reason is ReasonCode.SUCCESS
        return peer

    def stay(self, client_id: str = "c", version: int = V5, *, clean: bool = False, **more: int) -> Peer:
        """`join` with a session that outlives the connection."""
        return self.join(client_id, version, clean=clean, expiry_s=3600, **more)

    def downlink(
        self, client_id: str, qos: int = 1, topic: str = "down", timeout_s: int = 5
    ) -> list[tuple[DownlinkOutcome, ReasonCode]]:
        """Sends a downlink; the list gets its end."""
        ends: list[tuple[DownlinkOutcome, ReasonCode]] = []
        self.broker.publish(client_id, topic, b"x", qos, timeout_s * 1000, lambda *end: ends.append(end))
        self.run()
        return ends


def given(peer: Peer) -> list[tuple[str, bytes, int]]:
    """Deliveries that a peer got: topic, payload, QoS."""
    found = []
    for packet in peer.read():
        assert isinstance(packet, Publish), packet
        found.append((packet.topic, packet.payload, packet.qos))
    return found


def send(peer: Peer, topic: str = "t", payload: bytes = b"x", qos: int = 0, **more: object) -> None:
    """Publishes and reads what the server answers."""
    peer.say(Publish(topic, payload, qos, packet_id=9 if qos else 0, **more))  # type: ignore[arg-type]
    if qos == 2:
        peer.say(Pubrel(9))
    peer.unread = [packet for packet in peer.unread if not isinstance(packet, Puback | Pubrec | Pubcomp)]


VERSIONS = (V311, V5)
