"""The loads: connections that publish telemetry and check every answer, in order.

Place in the walk: `run` plays one load against any broker, given by its address; `hold` connects and stays.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.protocol.mqtt.encode import encode, encode_acks
from gateway.protocol.mqtt.packets import (
    V311,
    Connack,
    Packet,
    PacketType,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
)
from loadtest.mqtt.link import Link, connect_packet
from loadtest.mqtt.telemetry import fresh, topic

__all__ = ["LOADS", "Crowd", "Load", "LoadFailed", "Played", "run"]

Address = tuple[str, int]

GUARD_S = 120.0
_CONNECTING = 128  # at a time: what a listener's queue takes in any case
_CLOSED = "the broker closed the connection"
_RING_SEGMENTS = 16
_RING_PACKETS = 64  # at least, so that payloads differ


class LoadFailed(Exception):
    """The broker closed, refused, or gave an answer that was not due."""


@dataclass(slots=True, frozen=True)
class Load:
    """How telemetry is published. segment: publishes in one write. window: publishes of a connection that may be
    unanswered. rate: publishes a second over all connections; 0: as the answers come. aim: CPU seconds per 100,000."""

    name: str
    says: str
    qos: int
    connections: int
    segment: int = 1
    window: int = 1
    rate: float = 0.0
    aim: float | None = None


LOADS = {
    load.name: load
    for load in (
        Load("qos0", "QoS 0, 20 in a segment", 0, 50, segment=20, aim=1.5),
        Load("qos1", "QoS 1, 20 in a segment", 1, 50, segment=20, window=20, aim=2.0),
        Load("qos1_single", "QoS 1, one in flight, 200 connections", 1, 200, aim=3.5),
        Load("qos1_paced", "QoS 1, paced 5,000/s, 200 connections", 1, 200, window=64, rate=5_000.0, aim=4.0),
        Load("qos2", "QoS 2, 20 in a segment", 2, 50, segment=20, window=20),
    )
}


@dataclass(slots=True)
class Played:
    """What a load came to. waited_ms: from the write of a publish to its last answer (QoS 1, 2), sorted."""

    messages: int
    seconds: float
    waited_ms: list[float] = field(default_factory=list)

    def percentile(self, part: int) -> float | None:
        """Of the times until the answer; None without answers."""
        waited = self.waited_ms
        return waited[min(len(waited) * part // 100, len(waited) - 1)] if waited else None


class Publisher:
    """One device with its connection. Its segments are made beforehand and sent again and again, with the same packet
    ids: an id is free long before its segment's turn comes again."""

    def __init__(self, load: Load, number: int, run: _Run) -> None:
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.link = Link(self, V311, connect_packet(V311, f"load-{number}"))
        self.left = 0  # to be sent
        self._load = load
        self._run = run
        segments = max(_RING_SEGMENTS, _RING_PACKETS // load.segment, 2 * load.window // load.segment)
        self._ring = _segments(load, topic(f"load-{number}"), segments)
        self._ids = segments * load.segment
        self._turn = 0
        self._sent_at: deque[float] = deque()  # of what is not answered
        self._answered = 0  # packet id of the last PUBACK or PUBCOMP
        self._received = 0  # of the last PUBREC
        self._releasing = 0  # ids whose PUBCOMP is awaited

    def start(self, count: int) -> None:
        """Sends so many; with a rate, `send_one` does."""
        self.left = count
        if not self._load.rate:
            self._fill()

    def send_one(self) -> bool:
        """Sends the next segment. False: the window is full or the output is."""
        load = self._load
        if self.link.full or len(self._sent_at) + load.segment > load.window:
            return False
        self._send()
        return True

    def _fill(self) -> None:
        load = self._load
        while self.left and not self.link.full:
            if load.qos and len(self._sent_at) + load.segment > load.window:
                return
            self._send()
            if not self.left and not load.qos:
                self.link.write(encode(Pingreq(), V311))  # answered when everything before it was taken

    def _send(self) -> None:
        load = self._load
        self.link.write(self._ring[self._turn])
        self._turn = (self._turn + 1) % len(self._ring)
        self.left -= load.segment
        if load.qos:
            self._sent_at.extend([time.perf_counter()] * load.segment)

    # Owner

    def accepted(self, connack: Connack) -> None:
        self.connected.set_result(None)

    def received(self, packets: Sequence[Packet]) -> None:
        release: list[int] = []
        for packet in packets:
            if isinstance(packet, Puback | Pubcomp):
                self._answered = self._answered % self._ids + 1
                due = self._releasing if isinstance(packet, Pubcomp) else self._load.qos == 1 and self._sent_at
                if not due or packet.packet_id != self._answered or packet.reason.failed:
                    self.failed(f"{packet} where {self._answered} was due")
                    return
                self._releasing -= isinstance(packet, Pubcomp)
                self._run.waited_ms.append((time.perf_counter() - self._sent_at.popleft()) * 1000)
                self._run.answer(1)
            elif isinstance(packet, Pubrec) and self._load.qos == 2:
                self._received = self._received % self._ids + 1
                if packet.packet_id != self._received or packet.reason.failed:
                    self.failed(f"{packet} where {self._received} was due")
                    return
                release.append(packet.packet_id)
                self._releasing += 1
            elif isinstance(packet, Pingresp) and not self._load.qos:
                self._run.answer(self._run.each)
            else:
                self.failed(f"{packet} was not asked for")
                return
        if release:
            self.link.write(encode_acks(PacketType.PUBREL, release))
        if not self._load.rate:
            self._fill()

    def writable(self) -> None:
        if not self._load.rate:
            self._fill()

    def lost(self) -> None:
        self.failed(_CLOSED)

    def failed(self, reason: str) -> None:
        self.link.abort()
        error = LoadFailed(reason)
        if not self.connected.done():
            self.connected.set_exception(error)
        elif not self._run.done.done():
            self._run.done.set_exception(error)


class _Run:
    """What the publishers of one run share. each: messages of one publisher."""

    def __init__(self, messages: int, each: int) -> None:
        self.each = each
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waited_ms: list[float] = []
        self._left = messages

    def answer(self, count: int) -> None:
        self._left -= count
        if self._left <= 0 and not self.done.done():
            self.done.set_result(None)


async def run(address: Address, load: Load, messages: int) -> Played:
    """Publishes about so many messages (the same number from each connection) and waits for all answers.
    LoadFailed: an answer was wrong or never came. OSError: nobody listens there."""
    segments = max(1, round(messages / load.connections / load.segment))
    each = segments * load.segment
    total = each * load.connections
    shared = _Run(total, each)
    publishers = [Publisher(load, number, shared) for number in range(load.connections)]
    try:
        async with asyncio.timeout(GUARD_S + (total / load.rate if load.rate else 0.0)):
            await _connect(address, publishers)
            began = time.perf_counter()
            for publisher in publishers:
                publisher.start(each)
            if load.rate:
                await _pace(publishers, load, total, shared)
            await shared.done
            return Played(total, time.perf_counter() - began, sorted(shared.waited_ms))
    except TimeoutError:
        raise LoadFailed(f"{load.name}: not all answers came in {GUARD_S:g} s") from None
    finally:
        for publisher in publishers:
            publisher.link.abort()


async def _pace(publishers: Sequence[Publisher], load: Load, total: int, shared: _Run) -> None:
    """One after the other, in step with the time; one that cannot send now is passed over and has its turn later."""
    began = time.perf_counter()
    sent = turn = 0
    while sent < total and not shared.done.done():
        due = min(total, int((time.perf_counter() - began) * load.rate) + 1)
        passed = 0
        while sent < due and passed < len(publishers):
            publisher = publishers[turn]
            turn = (turn + 1) % len(publishers)
            if publisher.left and publisher.send_one():
                sent += load.segment
                passed = 0
            else:
                passed += 1
        await asyncio.sleep(0.0002)


class Crowd:
    """Connections that say nothing. seconds: from the first connect to the last CONNACK."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._members: list[_Member] = []

    async def connect(self, address: Address, count: int) -> None:
        """LoadFailed: one was refused."""
        members = [_Member(f"idle-{number}") for number in range(count)]
        self._members += members
        began = time.perf_counter()
        try:
            async with asyncio.timeout(GUARD_S):
                await _connect(address, members)
        except TimeoutError:
            raise LoadFailed(f"not all of {count} clients were let in in {GUARD_S:g} s") from None
        self.seconds = time.perf_counter() - began

    @property
    def lost_reasons(self) -> list[str]:
        """Of those that were let in and are gone."""
        return [member.reason for member in self._members if member.reason]

    def leave(self) -> None:
        for member in self._members:
            member.link.abort()
        self._members.clear()


class _Member:
    """One of a crowd."""

    def __init__(self, client_id: str) -> None:
        self.connected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.link = Link(self, V311, connect_packet(V311, client_id))
        self.reason = ""

    def accepted(self, connack: Connack) -> None:
        self.connected.set_result(None)

    def received(self, packets: Sequence[Packet]) -> None:
        self.failed(f"{packets[0]} was not asked for")

    def writable(self) -> None:
        """It has nothing to write."""

    def lost(self) -> None:
        self.failed(_CLOSED)

    def failed(self, reason: str) -> None:
        self.link.abort()
        self.reason = reason
        if not self.connected.done():
            self.connected.set_exception(LoadFailed(reason))


async def _connect(address: Address, clients: Sequence[Publisher | _Member]) -> None:
    """Lets all of them in, some at a time."""
    turn = iter(clients)

    async def some() -> None:
        for client in turn:
            await client.link.open(address)
            await client.connected

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(_CONNECTING, len(clients))):
                group.create_task(some(), name="connecting")
    except* (LoadFailed, OSError) as errors:
        for client in clients:
            client.link.abort()
            if not client.connected.cancel() and not client.connected.cancelled():
                client.connected.exception()  # looked at: one of them is raised here
        raise errors.exceptions[0] from None


def _segments(load: Load, name: str, count: int) -> list[bytes]:
    payloads = fresh(count * load.segment)
    segments = []
    for first in range(0, len(payloads), load.segment):
        packets = [
            Publish(name, payload, load.qos, packet_id=first + place if load.qos else 0)
            for place, payload in enumerate(payloads[first : first + load.segment], 1)
        ]
        segments.append(b"".join(encode(packet, V311) for packet in packets))
    return segments
