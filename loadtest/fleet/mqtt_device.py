"""A simulated MQTT client: publishes numbered JSON telemetry with QoS 1 and waits for each PUBACK.

Place in the walk: beside `tcp_device`, with the same things to do for the fleet.
"""

from __future__ import annotations

from collections.abc import Sequence

from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import V311, Connack, Packet, Pingreq, Pingresp, Puback, Publish
from loadtest.fleet.ground import Address, Ground
from loadtest.fleet.numbers import Numbers
from loadtest.fleet.speech import Document
from loadtest.fleet.tally import Tally
from loadtest.mqtt.link import Link, connect_packet
from loadtest.mqtt.telemetry import topic

__all__ = ["MqttDevice"]

_IDS = 65_535
_PING = encode(Pingreq(), V311)
_PING_EARLY = 0.5  # of the keep-alive


class MqttDevice:
    """One device over all its connections (clean sessions); an Owner of its link."""

    def __init__(
        self,
        ground: Ground,
        tally: Tally,
        document: Document,
        numbers: Numbers,
        *,
        window: int,
        keep_alive_s: int = 0,
        source: Address | None = None,
    ) -> None:
        self.is_open = False
        self.numbers = numbers
        self._ground = ground
        self._tally = tally
        self._document = document
        self._window = window
        self._keep_alive_s = keep_alive_s
        self._source = source
        self._hello = connect_packet(V311, numbers.device_id, keep_alive_s=keep_alive_s)
        whole = encode(Publish(topic(numbers.device_id), bytes(document.size), 1, packet_id=1), V311)
        self._head = whole[: -document.size - 2]  # packet id and payload follow
        self._due = 0.0
        self._link: Link | None = None

    # What the fleet does with it.

    def connect(self) -> None:
        """A connection is due now."""
        self._due = self._ground.now()
        self._try()

    def send(self, moment: float) -> None:
        """One more publish was due at this moment."""
        self.numbers.add(moment)
        self._tally.sent += 1
        self._fill()

    def cut(self, back_after_s: float) -> None:
        """Vanishes, and comes back so much later."""
        self.leave()
        self._ground.wheel.after(back_after_s, self.connect)

    def leave(self) -> None:
        """Is gone for good."""
        link = self._link
        self._forget()
        if link is not None:
            link.abort()

    def _try(self) -> None:
        if not self._ground.ended and self._link is None:
            self._link = Link(self, V311, self._hello)
            self._ground.spawn(self._connect(self._link), "connecting")

    async def _connect(self, link: Link) -> None:
        try:
            await link.open(self._ground.addresses["mqtt"], self._source)
        except OSError as error:
            self._tally.refused += 1
            self._tally.note(f"mqtt: no connection: {error.strerror or error}")
            self._forget()
            self._ground.wheel.after(self._ground.backoff_s(), self._try)

    def _forget(self) -> None:
        if self.is_open:
            self.is_open = False
            self._tally.open -= 1
        self._link = None

    # Owner

    def accepted(self, connack: Connack) -> None:
        self.is_open = True
        self.numbers.start_again()
        self._tally.let_in(self._due, self._ground.now())
        if self._keep_alive_s:
            link = self._link
            self._ground.wheel.after(self._keep_alive_s * _PING_EARLY, lambda: self._ping(link))
        self._fill()

    def received(self, packets: Sequence[Packet]) -> None:
        numbers = self.numbers
        for packet in packets:
            if isinstance(packet, Puback):
                if packet.packet_id != numbers.acknowledged % _IDS + 1 or packet.reason.failed:
                    self._wrong(f"mqtt: {packet} where the answer to {numbers.acknowledged % _IDS + 1} was due")
                    return
                self._tally.answered(numbers.answered(), self._ground.now())
            elif isinstance(packet, Pingresp):
                self._tally.heartbeats_answered += 1
            else:
                self._wrong(f"mqtt: {packet} was not asked for")
                return
        self._fill()

    def writable(self) -> None:
        self._fill()

    def lost(self) -> None:
        self._forget()
        if not self._ground.ended:
            self._tally.lost_connections += 1
            self._due = self._ground.now()
            self._ground.wheel.after(self._ground.backoff_s(), self._try)

    def failed(self, reason: str) -> None:
        self._tally.wrong += 1
        self._tally.note(f"mqtt: {reason}")
        self._forget()
        self._ground.wheel.after(self._ground.backoff_s(), self._try)

    # What it says.

    def _fill(self) -> None:
        link = self._link
        if not self.is_open or link is None:
            return
        while not link.full and (number := self.numbers.take(self._window)):
            packet_id = (number - 1) % _IDS + 1
            link.write(b"%b%b%b" % (self._head, packet_id.to_bytes(2), self._document.at(number)))

    def _ping(self, link: Link | None) -> None:
        if link is None or link is not self._link:
            return
        link.write(_PING)
        self._tally.heartbeats += 1
        self._ground.wheel.after(self._keep_alive_s * _PING_EARLY, lambda: self._ping(link))

    def _wrong(self, what: str) -> None:
        self._tally.wrong += 1
        self._tally.note(what)
        self.cut(self._ground.backoff_s())
