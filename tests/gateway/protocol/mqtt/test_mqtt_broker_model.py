"""Random conversations of two clients and a broker that is killed now and then, against a small model: who gets what.

The model knows sessions that outlive their connections, subscriptions with their options, retained messages, and for
each client what it has not had yet. What is compared is the order within each topic. Clients answer what they read, or
stop half-way through QoS 2, so that packet identifiers stay open over reconnects and kills.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscription,
    Unsuback,
    Unsubscribe,
)
from gateway.protocol.mqtt.topics import matches
from tests.gateway.protocol.mqtt.broker_rig import Bench, Peer, send
from tests.gateway.protocol.mqtt.test_mqtt_recovery import restart

TOPICS = ("a/b", "a", "$x")
FILTERS = ("a/#", "a/+", "#", "+", "a", "$x")
NAMES = st.sampled_from(["new", "old"])


@dataclass(slots=True, frozen=True)
class Expected:
    """One message that a client has to get."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(slots=True)
class Client:
    """A client that keeps its side, and what the model says about it."""

    name: str
    version: int
    peer: Peer | None = None
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    expected: list[Expected] = field(default_factory=list)
    held: set[int] = field(default_factory=set)  # QoS 2 ids that it has answered with PUBREC
    releases: list[int] = field(default_factory=list)  # PUBRELs of this connection that it has not answered

    def connect(self, bench: Bench) -> None:
        self.peer = bench.stay(self.name, self.version)

    def gone(self) -> None:
        """QoS 0 goes with the connection."""
        self.peer = None
        self.releases.clear()
        self.expected = [message for message in self.expected if message.qos]

    def read(self, *, complete: bool) -> list[Expected]:
        """New messages. complete: QoS 2 is answered to its end."""
        peer = self.peer
        assert peer is not None
        new: list[Expected] = []
        if complete:
            for packet_id in self.releases:
                peer.say(Pubcomp(packet_id))
            self.releases.clear()
        while packets := peer.read():
            for packet in packets:
                if isinstance(packet, Pubrel):
                    self.held.discard(packet.packet_id)
                    if complete:
                        peer.say(Pubcomp(packet.packet_id))
                    else:
                        self.releases.append(packet.packet_id)
                    continue
                assert isinstance(packet, Publish), packet
                if packet.qos < 2 or packet.packet_id not in self.held:
                    new.append(Expected(packet.topic, packet.payload, packet.qos, packet.retain))
                if packet.qos == 2:
                    self.held.add(packet.packet_id)
                    peer.say(Pubrec(packet.packet_id))
                elif packet.qos == 1:
                    peer.say(Puback(packet.packet_id))
        return new


class BrokerModel(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.bench = Bench()
        self.clients = {"new": Client("new", V5), "old": Client("old", V311)}
        self.retained: dict[str, tuple[bytes, int, str]] = {}
        self.count = 0
        for client in self.clients.values():  # as real ones: connected, with something to get
            client.connect(self.bench)
            self.subscribe(client.name, "a/#", 2, (False, False, 0))

    def give(self, client: Client, topic: str, payload: bytes, qos: int, retain: bool, publisher: str) -> None:
        held = [
            wanted
            for topic_filter, wanted in client.subscriptions.items()
            if matches(topic_filter, topic) and not (wanted.no_local and publisher == client.name)
        ]
        if held:
            qos = min(qos, max(wanted.qos for wanted in held))
            retain = retain and any(wanted.retain_as_published for wanted in held)
            if qos or client.peer is not None:
                client.expected.append(Expected(topic, payload, qos, retain))

    @rule(
        name=NAMES,
        topic_filter=st.sampled_from(FILTERS),
        qos=st.integers(0, 2),
        options=st.tuples(st.booleans(), st.booleans(), st.integers(0, 2)),
    )
    def subscribe(self, name: str, topic_filter: str, qos: int, options: tuple[bool, bool, int]) -> None:
        client = self.clients[name]
        if client.peer is None:
            return
        self.check(client, complete=True)
        wanted = Subscription(topic_filter, qos, *(options if client.version == V5 else ()))
        known = topic_filter in client.subscriptions
        client.subscriptions[topic_filter] = wanted
        assert client.peer.subscribe(wanted) == [qos]
        if wanted.retain_handling == 0 or (wanted.retain_handling == 1 and not known):
            for topic, (payload, kept_qos, publisher) in self.retained.items():
                if matches(topic_filter, topic) and not (wanted.no_local and publisher == name):
                    client.expected.append(Expected(topic, payload, min(kept_qos, qos), True))

    @rule(name=NAMES, topic_filter=st.sampled_from(FILTERS))
    def unsubscribe(self, name: str, topic_filter: str) -> None:
        client = self.clients[name]
        if client.peer is None:
            return
        self.check(client, complete=True)
        client.subscriptions.pop(topic_filter, None)
        client.peer.say(Unsubscribe(1, [topic_filter]))
        client.peer.one(Unsuback)

    @rule(
        name=NAMES,
        topic=st.sampled_from(TOPICS),
        qos=st.sampled_from([2, 1, 0]),
        retain=st.booleans(),
        empty=st.integers(0, 4).map(lambda n: n == 0),
        times=st.sampled_from([1, 1, 1, 15]),  # more than a window
    )
    def publish(self, name: str, topic: str, qos: int, retain: bool, empty: bool, times: int) -> None:
        publisher = self.clients[name]
        if publisher.peer is None:
            return
        for _ in range(times):
            self.count += 1
            payload = b"" if empty else b"%d" % self.count
            send(publisher.peer, topic, payload, qos, retain=retain)
            for client in self.clients.values():
                self.give(client, topic, payload, qos, retain, name)
            if retain and payload:
                self.retained[topic] = (payload, qos, name)
            elif retain:
                self.retained.pop(topic, None)

    @rule(name=NAMES, complete=st.booleans())
    def read(self, name: str, complete: bool) -> None:
        client = self.clients[name]
        if client.peer is not None:
            self.check(client, complete=complete)

    def check(self, client: Client, *, complete: bool) -> None:
        got = client.read(complete=complete)
        for topic in TOPICS:
            came = [message for message in got if message.topic == topic]
            due = [message for message in client.expected if message.topic == topic]
            assert came == due[: len(came)], (client.name, topic)
            assert len(came) == len(due) or not complete, (client.name, topic, due[len(came) :])
        for message in got:
            client.expected.remove(message)
        if complete:
            assert not client.expected
            assert not client.held

    @rule(name=NAMES)
    def go_away(self, name: str) -> None:
        client = self.clients[name]
        if client.peer is not None:
            client.peer.drop()
            client.gone()

    @rule(name=NAMES)
    def come_back(self, name: str) -> None:
        """Also where it never went: a takeover."""
        client = self.clients[name]
        if client.peer is not None:
            client.gone()
        client.connect(self.bench)

    @precondition(lambda self: self.count)
    @rule(how=st.sampled_from(["log", "snapshot", "both"]), back=st.sets(NAMES))
    def kill(self, how: str, back: set[str]) -> None:
        for client in self.clients.values():
            client.gone()
        restart(self.bench, how)
        for name in sorted(back):
            self.clients[name].connect(self.bench)

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        for client in self.clients.values():
            if client.peer is None:
                client.connect(self.bench)
        for client in self.clients.values():
            self.check(client, complete=True)
        assert self.bench.counts.queued_bytes == 0
        assert self.bench.counts.retained == len(self.retained)


BrokerModel.TestCase.settings = settings(max_examples=150, stateful_step_count=50)
TestBrokerModel = BrokerModel.TestCase
