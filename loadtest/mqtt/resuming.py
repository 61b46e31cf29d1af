"""Clients that survive their server: persistent sessions, resumed as the standards say (3.1.1 and 5.0 section 4.4).

Place in the walk: `Sender` publishes numbered messages in bursts and sends again, with DUP and the same packet id, what
was not answered when the connection went; `Listener` holds a subscription and may be away. A `Crew` tells all of them
where the server is now.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.protocol.mqtt.encode import encode, encode_acks
from gateway.protocol.mqtt.packets import (
    V311,
    Connack,
    Packet,
    PacketType,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
    Suback,
    Subscribe,
    Subscription,
)
from loadtest.mqtt.link import Link, connect_packet

__all__ = ["Crew", "Listener", "Sender"]

Address = tuple[str, int]

_EXPIRY_S = 86_400
_RETRY_S = 0.05
_ANSWERS = {1: PacketType.PUBACK, 2: PacketType.PUBREC}


class Crew:
    """What all clients share. address: of the server now, or None. mistakes: answers that no server may give."""

    def __init__(self, seed: int = 1) -> None:
        self.address: Address | None = None
        self.random = random.Random(seed)
        self.mistakes: list[str] = []
        self.sending = False
        self._has_address = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._clients: list[Sender | Listener] = []

    async def __aenter__(self) -> Crew:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.leave()

    def leave(self) -> None:
        """All hang up."""
        for client in self._clients:
            client.leave()

    def add(self, client: Sender | Listener) -> None:
        """It connects, again and again, from now on."""
        self._clients.append(client)
        self._tasks.append(asyncio.create_task(self._keep(client), name=client.device_id))

    def connect_to(self, address: Address | None) -> None:
        """None: there is no server now."""
        self.address = address
        if address is None:
            self._has_address.clear()
        else:
            self._has_address.set()

    def send(self, sending: bool) -> None:
        """Whether new bursts begin; what was sent is sent again in any case until it is answered."""
        self.sending = sending
        for client in self._clients:
            if isinstance(client, Sender):
                client.go_on()

    async def _keep(self, client: Sender | Listener) -> None:
        while True:
            while self.address is None:
                await self._has_address.wait()
            await client.wanted.wait()
            client.gone.clear()
            try:
                await client.connect().open(self.address)
            except OSError:
                await asyncio.sleep(_RETRY_S)
                continue
            await client.gone.wait()
            await asyncio.sleep(_RETRY_S)


@dataclass(slots=True)
class _Flight:
    """A publish that is not done with. received: its PUBREC has come."""

    number: int
    packet_id: int
    received: bool = False


class Sender:
    """Publishes `message(number)` from 1 on, in bursts, each after the last one's answers.

    acknowledged: PUBACK or PUBCOMP has come for all numbers up to this one; answers that come in another order are
    mistakes. ids: packet ids are used in turn up to this one, so that a low one finds ids that are released too late.
    limit: the highest number; 0: none.
    """

    def __init__(
        self,
        crew: Crew,
        device_id: str,
        version: int,
        qos: int,
        message: Callable[[int], Publish],
        *,
        burst: int = 24,
        ids: int = 32,
        pause_s: float = 0.03,
        limit: int = 0,
    ) -> None:
        self.device_id = device_id
        self.sent = 0
        self.acknowledged = 0
        self.sent_again = 0
        self.resumed = 0
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.gone = asyncio.Event()
        self._crew = crew
        self._version = version
        self._qos = qos
        self._message = message
        self._burst = burst
        self._ids = ids
        self._pause_s = pause_s
        self._limit = limit
        self._last_id = 0
        self._flights: list[_Flight] = []  # in the order in which they were sent
        self._link: Link | None = None
        self._open = False
        self._paused: asyncio.TimerHandle | None = None

    @property
    def settled(self) -> bool:
        return not self._flights

    def connect(self) -> Link:
        hello = connect_packet(self._version, self.device_id, clean=False, expiry_s=_EXPIRY_S)
        self._link = Link(self, self._version, hello)
        return self._link

    def leave(self) -> None:
        self._close()
        if self._link is not None:
            self._link.abort()
        self.gone.set()

    def go_on(self) -> None:
        """Begins a burst if one may begin."""
        self._paused = None
        crew = self._crew
        if not self._open or self._flights or not crew.sending or (self._limit and self.sent >= self._limit):
            return
        count = crew.random.randint(1, self._burst)
        if self._limit:
            count = min(count, self._limit - self.sent)
        for _ in range(count):
            self.sent += 1
            self._last_id = self._last_id % self._ids + 1
            self._flights.append(_Flight(self.sent, self._last_id))
        self._write(b"".join(self._publish(flight, dup=False) for flight in self._flights))

    def _publish(self, flight: _Flight, *, dup: bool) -> bytes:
        publish = self._message(flight.number)
        publish.qos, publish.packet_id, publish.dup = self._qos, flight.packet_id, dup
        return encode(publish, self._version)

    # Owner

    def accepted(self, connack: Connack) -> None:
        """Sends again what was not answered (MQTT-4.4.0-1), in the order of the first time (MQTT-4.6.0-1)."""
        self._open = True
        flights = self._flights
        if connack.session_present:
            self.resumed += 1
        elif self.acknowledged or any(flight.received for flight in flights):
            self.failed("the session was forgotten")
            return
        if not flights:
            self.go_on()
            return
        self.sent_again += len(flights)
        parts = [
            encode_acks(PacketType.PUBREL, [flight.packet_id])
            if flight.received
            else self._publish(flight, dup=connack.session_present)
            for flight in flights
        ]
        self._write(b"".join(parts))

    def received(self, packets: Sequence[Packet]) -> None:
        release: list[int] = []
        for packet in packets:
            if not self._answer(packet, release):
                return
        if release:
            self._write(encode_acks(PacketType.PUBREL, release))
        if not self._flights and self._paused is None:
            pause_s = self._crew.random.uniform(0, self._pause_s)
            self._paused = asyncio.get_running_loop().call_later(pause_s, self.go_on)

    def _answer(self, packet: Packet, release: list[int]) -> bool:
        flights = self._flights
        if isinstance(packet, Pubrec) and self._qos == 2:
            due = next((flight for flight in flights if not flight.received), None)
            if due is not None and packet.packet_id == due.packet_id and not packet.reason.failed:
                due.received = True
                release.append(due.packet_id)
                return True
        elif isinstance(packet, Puback | Pubcomp) and flights:
            due = flights[0]
            wanted = self._qos == 1 if isinstance(packet, Puback) else due.received
            # A release that is sent again may be that of an id which the server is done with.
            done = not packet.reason.failed or packet.reason is ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
            if packet.packet_id == due.packet_id and wanted and done:
                del flights[0]
                self.acknowledged = due.number
                return True
        self.failed(f"{packet} while {flights[:1]} was due")
        return False

    def writable(self) -> None:
        """A burst is small."""

    def lost(self) -> None:
        self._close()
        self.gone.set()

    def failed(self, reason: str) -> None:
        self._crew.mistakes.append(f"{self.device_id}: {reason}")
        self.leave()

    def _close(self) -> None:
        self._open = False
        if self._paused is not None:
            self._paused.cancel()
            self._paused = None

    def _write(self, data: bytes) -> None:
        if self._link is not None:
            self._link.write(data)


class Listener:
    """Holds one subscription and notes what comes, in order; answers every message at once.

    subscribed: set once the subscription is granted. notes: topic and payload of each message, repeats included; of
    QoS 2 only those that the standard's receiver takes for new (5.0 section 4.3.3).
    """

    def __init__(
        self, crew: Crew, device_id: str, topic_filter: str, *, version: int = V311, qos: int = 1, clean: bool = False
    ) -> None:
        self.device_id = device_id
        self.subscribed = asyncio.Event()
        self.wanted = asyncio.Event()
        self.wanted.set()
        self.gone = asyncio.Event()
        self.notes: list[tuple[str, bytes]] = []
        self._crew = crew
        self._filter = topic_filter
        self._version = version
        self.qos = qos
        self._clean = clean
        self._unreleased: set[int] = set()
        self._link: Link | None = None

    def connect(self) -> Link:
        expiry_s = 0 if self._clean else _EXPIRY_S
        hello = connect_packet(self._version, self.device_id, clean=self._clean, expiry_s=expiry_s)
        self._link = Link(self, self._version, hello)
        return self._link

    def leave(self) -> None:
        """Is away until `come_back`."""
        self.wanted.clear()
        if self._link is not None:
            self._link.abort()
        self.gone.set()

    def come_back(self) -> None:
        self.wanted.set()

    # Owner

    def accepted(self, connack: Connack) -> None:
        if connack.session_present:
            return
        if self.subscribed.is_set() and not self._clean:
            self.failed("the subscription was forgotten")
            return
        self._unreleased.clear()
        assert self._link is not None
        self._link.write(encode(Subscribe(1, [Subscription(self._filter, self.qos)]), self._version))

    def received(self, packets: Sequence[Packet]) -> None:
        answers: list[bytes] = []
        for packet in packets:
            if isinstance(packet, Publish):
                if packet.qos < 2 or packet.packet_id not in self._unreleased:
                    self.notes.append((packet.topic, packet.payload))
                if packet.qos == 2:
                    self._unreleased.add(packet.packet_id)
                if packet.qos:
                    answers.append(encode_acks(_ANSWERS[packet.qos], [packet.packet_id]))
            elif isinstance(packet, Pubrel):
                self._unreleased.discard(packet.packet_id)
                answers.append(encode_acks(PacketType.PUBCOMP, [packet.packet_id]))
            elif isinstance(packet, Suback) and not packet.reasons[0].failed:
                self.subscribed.set()
            else:
                self.failed(f"{packet} was not asked for")
                return
        if answers and self._link is not None:
            self._link.write(b"".join(answers))

    def writable(self) -> None:
        """Its answers are small."""

    def lost(self) -> None:
        self.gone.set()

    def failed(self, reason: str) -> None:
        self._crew.mistakes.append(f"{self.device_id}: {reason}")
        self.leave()
