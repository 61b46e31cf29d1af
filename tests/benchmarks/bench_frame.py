"""Where the microseconds of one frame go, stage by stage, without sockets, disk, threads and waiting.

    python tests/benchmarks/bench_frame.py [--frames 50000]

GT06 location frames of one session, 50 answered at a time, as after a commit under load. Each stage is run alone with
what the stage before it makes; CPU time, the least of five rounds. What a frame costs beyond their sum when it comes
paced (`bench_tcp.py`) is system calls, waking up, threads, requests to the stream, and caches that have grown cold.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable, Sequence

from decoders.proven import prove_product
from gateway.access.admission import Admission, Provisioning
from gateway.delivery.lanes import Parcel
from gateway.delivery.sinks.packings import Aggregated
from gateway.delivery.spool.blocks import encode_record
from gateway.delivery.spool.values import Batch
from gateway.delivery.spool.writer import build_blocks
from gateway.devices.directory import FileDirectory
from gateway.devices.sessions import SessionRegistry
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.domain.uplink import Uplink
from gateway.ingress.clock import Clock, IdSource
from gateway.ingress.flow import Flow
from gateway.observe.metrics import Metrics
from gateway.observe.tap import Tap
from gateway.pipeline.chain import Chain
from gateway.pipeline.shape import Numbering, Shaper
from gateway.protocol.device_session import DeviceSession
from gateway.protocol.session_ports import RoomGate, SessionLimits, SessionPorts
from gateway.specs import load_catalog
from tests.benchmarks.bench_tcp import location_frames, login_frame

ROUNDS = 5
TOGETHER = 50
"""Frames of a commit, and records of a Kinesis record."""


class Host:
    """Implements SessionHost, and sends nothing."""

    def write(self, data: bytes) -> None:
        pass

    def hold(self, held: bool) -> None:
        pass

    def close(self, reason: CloseReason) -> None:
        raise AssertionError(reason)

    def fail(self, error: Exception) -> None:
        raise error


class Kept:
    """Implements OutboxPort: has the last uplinks until they are settled."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []

    def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        self.receipts.append(receipt)

    def put_dead_letter(self, receipt: Receipt, letter: DeadLetter, states: Sequence[State] = ()) -> None:
        raise AssertionError(letter.detail)

    def put_again(self, receipt: Receipt, record: Record, sink: str) -> None:
        raise AssertionError("nothing is replayed")

    def follow(self, receipt: Receipt, first: Receipt) -> None:
        raise AssertionError("no frame is sent twice")

    def settle(self, receipt: Receipt, outcome: Outcome, reason: str = "") -> None:
        receipt.outcome, receipt.reason = outcome, reason
        if receipt.on_settled is not None:
            receipt.on_settled(receipt)

    def settle_all(self) -> None:
        receipts, self.receipts = self.receipts, []
        for receipt in receipts:
            self.settle(receipt, Outcome.ACCEPTED)

    def has_room(self) -> bool:
        return True

    def on_room(self, callback: Callable[[bool], None]) -> None:
        pass


class Caught:
    """Implements UplinkFlow: keeps the last uplink."""

    def __init__(self) -> None:
        self.uplinks: list[Uplink] = []

    def receive(self, uplink: Uplink) -> None:
        self.uplinks.append(uplink)

    def refuse(self, receipt: Receipt, reason: str) -> None:
        raise AssertionError(reason)

    def accept(self, receipt: Receipt) -> None:
        receipt.outcome = Outcome.ACCEPTED


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=50_000)
    frames_wanted = parser.parse_args().frames // TOGETHER * TOGETHER

    loaded = load_catalog(only=["concox_gt06"]).find("concox_gt06")
    prove_product(loaded)
    product = loaded.product
    clock, metrics, outbox, caught = Clock(), Metrics(), Kept(), Caught()
    directory = FileDirectory.from_text("", "devices.yaml")
    chain = Chain(Shaper(Numbering("gateway-1", 1), "prd", directory))

    def session(flow: Flow | Caught, number: int) -> DeviceSession:
        ports = SessionPorts(
            listener="tcp",
            tenant="",
            limits=SessionLimits(),
            admission=Admission(directory, Provisioning.ALLOW_NEW),
            place=SessionRegistry(),
            flow=flow,
            make_id=IdSource().make,
            unix_ms=clock.unix_ms,
            tap=Tap(),
            gate=RoomGate(),
            traffic=lambda product_id: metrics.traffic("tcp", product_id),
        )
        made = DeviceSession([product], ports, Host(), session_id="s", peer="192.0.2.1:1", opened_ms=0)
        made.receive_bytes(login_frame(number), clock.unix_ms())
        return made

    whole, half = session(Flow(chain, outbox), 1), session(caught, 2)
    outbox.settle_all()
    caught.uplinks.pop().receipt.outcome = Outcome.ACCEPTED
    half.receive_bytes(location_frames(1)[0], clock.unix_ms())
    uplink = caught.uplinks.pop()
    assert uplink.decoded is not None
    decoded = uplink.decoded
    half.lost()

    sent = location_frames(1024)
    now_ms = clock.unix_ms()
    context = uplink.context
    assert context is not None
    framer = half._framer
    assert framer is not None
    frames = [framer.receive(data)[0] for data in sent]
    made = chain.run(uplink)
    assert isinstance(made, list)
    (record,) = made
    targets = ("main",)
    packing, key = Aggregated(), Aggregated().new_queue().key_of(record.lane)
    parcel = Parcel(key, [(record, 1)] * TOGETHER, len(record.body) * TOGETHER)

    def all_of_it() -> None:
        for start in range(0, frames_wanted, TOGETHER):
            arrived_ms = clock.unix_ms()
            for number in range(start, start + TOGETHER):
                whole.receive_bytes(sent[number % 1024], arrived_ms)
            outbox.settle_all()

    def cut() -> None:
        for number in range(frames_wanted):
            framer.receive(sent[number % 1024])

    def decode() -> None:
        for number in range(frames_wanted):
            product.decode(frames[number % 1024], context)

    def pipeline() -> None:
        for _ in range(frames_wanted):
            chain.run(uplink)

    def reply() -> None:
        for _ in range(frames_wanted):
            product.replies(decoded.message.name, decoded.values, context, now_ms, decoded.kind)

    def spool() -> None:
        for _ in range(frames_wanted // TOGETHER):
            entries = [encode_record(record) for _ in range(TOGETHER)]
            build_blocks(Batch([], entries, [targets] * TOGETHER, [], sum(map(len, entries))), 1)

    def pack() -> None:
        for _ in range(frames_wanted // TOGETHER):
            packing.entry(parcel)

    gc.freeze()
    gc.set_threshold(50_000)
    found = {}
    for call in (cut, decode, pipeline, reply, all_of_it, spool, pack):
        least = float("inf")
        for _ in range(ROUNDS):
            began = time.process_time_ns()
            call()
            least = min(least, (time.process_time_ns() - began) / frames_wanted / 1000)
        found[call.__name__] = least
    parts = ("cut", "decode", "pipeline", "reply")
    rows = {name: found[name] for name in parts}
    rows["session: identity, uplink, id, order of answers"] = found["all_of_it"] - sum(rows.values())
    rows["spool: entries and blocks with their check values"] = found["spool"]
    rows[f"packing for Kinesis, aggregated, {TOGETHER} together"] = found["pack"]
    print(f"GT06 location frame of {len(sent[0])} bytes, record of {len(record.body)} bytes\n")
    print("| stage | us a frame |\n|---|---|")
    for name, value in rows.items():
        print(f"| {name} | {value:.2f} |")
    print(f"| together | {sum(rows.values()):.2f} |")


if __name__ == "__main__":
    main()
