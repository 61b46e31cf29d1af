"""Random histories of a publisher and a subscriber that lose connections, against what each standard promises."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from gateway.protocol.mqtt.packets import Packet, Puback, Pubcomp, Publish, Pubrec, Pubrel
from tests.gateway.protocol.mqtt.broker_rig import Bench


class Publisher:
    """A client that keeps its side of QoS 1 and 2, over reconnects."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.sent = 0
        self.done: list[tuple[int, bytes]] = []
        self.open: dict[int, tuple[int, bytes, bool]] = {}  # by packet id: QoS, payload, released
        self.peer = bench.stay("pub")

    def publish(self, qos: int) -> None:
        free = next((n for n in range(1, 9) if n not in self.open), 0)
        if free:
            self.sent += 1
            self.open[free] = (qos, b"%d" % self.sent, False)
            self.peer.say(Publish("t", b"%d" % self.sent, qos, packet_id=free))

    def read(self) -> None:
        for packet in self.peer.read():
            assert isinstance(packet, Puback | Pubrec | Pubcomp)
            qos, payload, _ = self.open[packet.packet_id]
            if isinstance(packet, Pubrec):
                self.open[packet.packet_id] = (qos, payload, True)
                self.peer.say(Pubrel(packet.packet_id))
            else:
                self.done.append((qos, payload))
                del self.open[packet.packet_id]

    def reconnect(self) -> None:
        self.peer.drop()
        self.peer.read()  # what was under way is lost
        self.peer = self.bench.stay("pub")
        for packet_id, (qos, payload, released) in sorted(self.open.items(), key=lambda item: int(item[1][1])):
            self.peer.say(Pubrel(packet_id) if released else Publish("t", payload, qos, dup=True, packet_id=packet_id))


class Subscriber:
    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.got: list[tuple[int, bytes]] = []
        self.held: set[int] = set()  # QoS 2 ids
        self.peer = bench.stay("sub")
        self.peer.subscribe("t")

    def read(self, answer: bool) -> None:
        packets: list[Packet] = self.peer.read()
        for packet in packets:
            if isinstance(packet, Publish):
                if packet.qos == 1 or packet.packet_id not in self.held:
                    self.got.append((packet.qos, packet.payload))
                if packet.qos == 2:
                    self.held.add(packet.packet_id)
                if answer:
                    reply = Puback(packet.packet_id) if packet.qos == 1 else Pubrec(packet.packet_id)
                    self.peer.say(reply)
            elif isinstance(packet, Pubrel):
                self.held.discard(packet.packet_id)
                if answer:
                    self.peer.say(Pubcomp(packet.packet_id))

    def reconnect(self) -> None:
        self.peer.drop()
        self.peer.read()
        self.peer = self.bench.stay("sub")


def settle_some(bench: Bench, chance: random.Random, refuse: bool) -> None:
    waiting = len(bench.flow.waiting)
    if waiting:
        which = chance.sample(range(waiting), chance.randint(1, waiting))
        bench.settle(*which, refusal="sink_failed" if refuse else "")


@given(st.lists(st.integers(0, 11), max_size=80), st.randoms(use_true_random=False))
def test_every_history_ends_with_everything_once(steps: list[int], chance: random.Random) -> None:
    bench = Bench()
    sub = Subscriber(bench)
    pub = Publisher(bench)
    bench.flow.hold = bench.flow.hold_states = True
    for step in steps:
        match step:
            case 0 | 1 | 2:
                pub.publish(1 + step % 2)
            case 3:
                pub.publish(2)
            case 4 | 5:
                settle_some(bench, chance, False)
            case 6:
                settle_some(bench, chance, True)
            case 7 | 8:
                pub.read() if pub.peer.closed is None else pub.reconnect()
            case 9:
                pub.reconnect()
            case 10:
                sub.read(chance.random() < 0.7)
            case 11:
                sub.reconnect()
    finish(bench, pub, sub)
    published = {b"%d" % n for n in range(1, pub.sent + 1)}
    assert {payload for _, payload in pub.done} == published
    got_2 = [payload for qos, payload in sub.got if qos == 2]
    assert len(got_2) == len(set(got_2)), "QoS 2 came twice"
    assert {payload for _, payload in sub.got} == published
    assert bench.counts.queued_bytes == 0
    assert not bench.broker.sessions["pub"].received
    assert not bench.broker.sessions["pub"].waiting


def finish(bench: Bench, pub: Publisher, sub: Subscriber) -> None:
    """Everybody reads, answers and stays until nothing moves."""
    bench.flow.hold = bench.flow.hold_states = False
    pub.reconnect()
    sub.reconnect()
    for _ in range(200):
        bench.settle()
        pub.read() if pub.peer.closed is None else pub.reconnect()
        sub.read(True)
        if not (pub.open or bench.flow.waiting or sub.peer.unread):
            break
