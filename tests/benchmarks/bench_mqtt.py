"""CPU time of one MQTT publish in the gateway, layer by layer, without sockets and disk.

    python tests/benchmarks/bench_mqtt.py [--messages 20000] [--segment 20]

JSON telemetry of 100 bytes goes as bytes into the client machine, in reads of so many publishes, from some devices in
turn; answers come out as bytes. What is behind a layer settles at once, and each layer's cost is what its coming adds.
Spool and sink are not in it: see `bench_spool.py` and, for the whole process, `python -m loadtest.mqtt`.
Prints microseconds of CPU per message, the least of some repeats.
"""

from __future__ import annotations

import argparse
import functools
import gc
import time
from collections.abc import Callable, Iterator, Sequence

from gateway.access.admission import Admission, Provisioning
from gateway.access.topic_rules import MqttGrant, OpenTopics
from gateway.cli.serve import GC_THRESHOLD
from gateway.devices.directory import FileDirectory
from gateway.devices.presence import Presence
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Principal
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.domain.topic_message import TopicMessage
from gateway.ingress.clock import Clock, IdSource
from gateway.ingress.flow import Flow
from gateway.ingress.mqtt_flow import MqttFlow
from gateway.ingress.topic_flow import TopicFlow
from gateway.ingress.topic_reader import TopicReader
from gateway.observe.logs import LineLimit
from gateway.observe.metrics import Metrics
from gateway.observe.tap import Tap
from gateway.pipeline.chain import Chain
from gateway.pipeline.dedup import Dedup
from gateway.pipeline.shape import Numbering, Shaper
from gateway.protocol.mqtt.broker import Broker
from gateway.protocol.mqtt.client import ClientMachine
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode, encode_acks
from gateway.protocol.mqtt.packets import V311, Connect, PacketType, Publish
from gateway.protocol.mqtt.ports import BrokerPorts, ClientPorts, Denial, Grant, PublishFlow, Sender
from gateway.protocol.mqtt.topics import TopicCache
from gateway.protocol.session_ports import RoomGate
from gateway.protocol.uplink_topics import Templates
from gateway.specs import load_catalog
from loadtest.mqtt.telemetry import PRODUCT, fresh, topic

REPEATS = 7
DEVICES = 50
LAYERS = ("codec", "client machine, session, broker", "topic reader", "topic flow, pipeline")


class Settling:
    """Implements `PublishFlow`, `TopicFlowPort`'s end and `OutboxPort`: everything is kept at once."""

    def __init__(self) -> None:
        self.records = 0

    def has_room(self) -> bool:
        return True

    def on_room(self, callback: Callable[[bool], None]) -> None:
        """There is always room."""

    def settle(self, receipt: Receipt, outcome: Outcome, reason: str = "") -> None:
        receipt.outcome = outcome
        receipt.reason = reason
        if receipt.on_settled is not None:
            receipt.on_settled(receipt)

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        self.records += len(records)
        self.settle(receipt, Outcome.ACCEPTED)

    def put_again(self, receipt: Receipt, record: Record, sink: str) -> None:
        self.put(receipt, [record])

    def follow(self, receipt: Receipt, first: Receipt) -> None:
        self.settle(receipt, Outcome.DUPLICATE)

    def put_dead_letter(self, receipt: Receipt, letter: DeadLetter, states: Sequence[State] = ()) -> None:
        raise SystemExit(f"not understood: {letter.reason}: {letter.detail}")

    def receive(
        self, publish: Publish, sender: Sender, receipt: Receipt, received_ms: int, states: Sequence[State]
    ) -> None:
        self.settle(receipt, Outcome.ACCEPTED)

    def refuse(self, receipt: Receipt, reason: str) -> None:
        raise SystemExit(f"refused: {reason}")

    def keep(self, receipt: Receipt, states: Sequence[State]) -> None:
        self.settle(receipt, Outcome.ACCEPTED)


class Open:
    """An access port that lets everybody in."""

    def authenticate(
        self,
        connect: Connect,
        client_id: str,
        peer: str,
        principal: Principal,
        answer: Callable[[Grant | Denial], None],
    ) -> None:
        answer(grant(client_id))


class Host:
    """Counts what is written."""

    def __init__(self) -> None:
        self.written = 0

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def hold(self, held: bool) -> None:
        raise SystemExit("reading was held back")

    def close(self, reason: CloseReason) -> None:
        raise SystemExit(f"closed: {reason}")

    def fail(self, error: Exception) -> None:
        raise error


class Bench:
    """Some connected clients on one broker, whose publishes go to `flow`."""

    def __init__(self, flow: PublishFlow) -> None:
        clock, ids = Clock(), IdSource()
        self._calls: list[Callable[[], None]] = []
        ports = BrokerPorts(flow, RoomGate(), clock.steady_ms, clock.unix_ms, self._calls.append, _raise)
        shared = ClientPorts("mqtt", Open(), lambda: ids.make(clock.unix_ms()), Tap(), TopicCache())
        broker = Broker(ports)
        self.hosts = [Host() for _ in range(DEVICES)]
        self.machines = [
            ClientMachine(
                broker,
                shared,
                host,
                session_id=ids.make(clock.unix_ms()),
                peer="192.0.2.1:5",
                principal=Principal(),
                opened_ms=clock.steady_ms(),
            )
            for host in self.hosts
        ]
        for number, machine in enumerate(self.machines):
            machine.receive_bytes(encode(Connect(V311, name(number)), V311), clock.unix_ms())
        self._turn()
        self._unix_ms = clock.unix_ms

    def play(self, reads: Sequence[tuple[bytes, bytes]]) -> None:
        """Each item: a read of publishes and one of releases, for the devices in turn."""
        machines = self.machines
        for number, (publishes, releases) in enumerate(reads):
            machine = machines[number % DEVICES]
            machine.receive_bytes(publishes, self._unix_ms())
            if releases:
                machine.receive_bytes(releases, self._unix_ms())
            if self._calls:
                self._turn()

    def _turn(self) -> None:
        while self._calls:
            calls, self._calls[:] = list(self._calls), []
            for call in calls:
                call()


def _raise(error: Exception) -> None:
    raise error


def name(number: int) -> str:
    return f"bench-{number}"


def grant(client_id: str) -> MqttGrant:
    return MqttGrant(OpenTopics(), Principal(), "", client_id, "", LineLimit())


def reads(qos: int, messages: int, segment: int) -> list[tuple[bytes, bytes]]:
    """What clients send: publishes, and with QoS 2 their releases, which come with the answers."""
    payloads = fresh(messages)
    found = []
    for read in range(messages // segment):
        ids = range(1, segment + 1) if qos else [0] * segment
        packets = [
            Publish(topic(name(read % DEVICES)), payload, qos, packet_id=packet_id)
            for packet_id, payload in zip(ids, payloads[read * segment :], strict=False)
        ]
        releases = encode_acks(PacketType.PUBREL, list(ids)) if qos == 2 else b""
        found.append((b"".join(encode(packet, V311) for packet in packets), releases))
    return found


def telemetry(messages: int) -> list[TopicMessage]:
    grants = [grant(name(number)) for number in range(DEVICES)]
    return [
        TopicMessage(topic(name(index % DEVICES)), payload, 1_772_366_400_123, grants[index % DEVICES], "mqtt")
        for index, payload in enumerate(fresh(messages))
    ]


def least_us(call: Callable[[], None], count: int) -> float:
    """CPU of one message in microseconds."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time_ns()
        call()
        best = min(best, time.process_time_ns() - start)
    return best / count / 1000


def decode_all(found: Sequence[tuple[bytes, bytes]]) -> None:
    decoder = Decoder(262_144, topics=TopicCache(), version=V311)
    for publishes, releases in found:
        decoder.receive(publishes)
        if releases:
            decoder.receive(releases)
    assert decoder.error is None, decoder.error


def read_all(reader: TopicReader, messages: Sequence[TopicMessage]) -> None:
    for message in messages:
        reader.read(message)


def sums(qos: int, count: int, segment: int) -> Iterator[float]:
    """CPU of a message up to and with each of the layers."""
    found = reads(qos, count, segment)
    yield least_us(functools.partial(decode_all, found), count)
    bare = Bench(Settling())
    machines = least_us(functools.partial(bare.play, found), count)
    yield machines

    catalog = load_catalog(only=[PRODUCT], check_golden=False)
    directory, ids, outbox = FileDirectory(), IdSource(), Settling()
    admission = Admission(directory, Provisioning.ALLOW_NEW)
    reader = TopicReader(Templates(), lambda: catalog, directory, admission, ids.make)
    yield machines + least_us(functools.partial(read_all, reader, telemetry(count)), count)

    chain = Chain(Shaper(Numbering("gateway-1", 1_767_225_600_000), "prd", directory), None, Dedup())
    topics = TopicFlow(reader, Flow(chain, outbox), outbox, Presence(), directory, Metrics(), Tap())
    whole = Bench(MqttFlow(topics, outbox, ""))
    yield least_us(functools.partial(whole.play, found), count)
    if outbox.records != REPEATS * count:
        raise SystemExit(f"{outbox.records} records of {REPEATS * count} messages")
    if qos and any(host.written != other.written for host, other in zip(whole.hosts, bare.hosts, strict=True)):
        raise SystemExit("not every publish was answered")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=20_000, help="of one repeat (default %(default)s)")
    parser.add_argument("--segment", type=int, default=20, help="publishes in one read (default %(default)s)")
    options = parser.parse_args()
    count = options.messages // (options.segment * DEVICES) * options.segment * DEVICES
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    columns = [list(sums(qos, count, options.segment)) for qos in (0, 1, 2)]
    print("| layer | QoS 0 | QoS 1 | QoS 2 |")
    print("|---|---|---|---|")
    for index, layer in enumerate(LAYERS):
        cells = [column[index] - (column[index - 1] if index else 0.0) for column in columns]
        print(f"| {layer} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |")
    print("| all | " + " | ".join(f"{column[-1]:.2f}" for column in columns) + " |")


if __name__ == "__main__":
    main()
