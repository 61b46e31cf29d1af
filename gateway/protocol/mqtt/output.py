"""Output: what goes to one client, joined: one write a turn, however many packets.

Place in the walk: the client machine and the session's deliveries put packets in; the host writes. It joins the
acknowledgements of one commit, keeps to what the client takes (its Maximum Packet Size, its Receive Maximum as
`window`, its Topic Alias Maximum), and is where a peer that does not read is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gateway.domain.ports import FrameTap
from gateway.protocol.mqtt.encode import encode, encode_acks
from gateway.protocol.mqtt.greeting import Terms
from gateway.protocol.mqtt.message import Delivery
from gateway.protocol.mqtt.packets import Packet, PacketType, Properties, Publish

__all__ = ["Output"]


class Output:
    """Implements `Carrier` and `Writer`.

    version: 0 until CONNECT. terms: of the connection; those of nobody before. blocked: the peer does not read.
    joining: its machine is at work and writes at the end. ended: nothing is written any more.
    """

    __slots__ = (
        "_ack_kind",
        "_acks",
        "_aliases",
        "_list",
        "_listed",
        "_max_joined_bytes",
        "_out",
        "_out_bytes",
        "_session_id",
        "_steady_ms",
        "_tap",
        "_write",
        "blocked",
        "ended",
        "joining",
        "terms",
        "version",
        "window",
    )

    def __init__(
        self,
        write: Callable[[bytes], None],
        list_writer: Callable[[Output], None],
        steady_ms: Callable[[], int],
        max_joined_bytes: int,
        tap: FrameTap,
        session_id: str,
    ) -> None:
        self.version = 0
        self.terms = Terms(0, 0)
        self.window = 0
        self.blocked = False
        self.joining = False
        self.ended = False
        self._write = write
        self._list = list_writer
        self._steady_ms = steady_ms
        self._max_joined_bytes = max_joined_bytes
        self._tap = tap
        self._session_id = session_id
        self._listed = False
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._acks: list[int] = []
        self._ack_kind = PacketType.PUBACK
        self._aliases: dict[str, int] | None = None

    def agree(self, version: int, terms: Terms) -> None:
        """The connection is open."""
        self.version = version
        self.terms = terms
        self.window = terms.window

    # In

    def put(self, data: bytes) -> None:
        """data: whole packets."""
        if self.ended:
            return
        if self._acks:
            self._join_acks()
        self._out.append(data)
        self._out_bytes += len(data)
        if self._out_bytes > self._max_joined_bytes:
            self.write_out()
        elif not self._listed and not self.joining:
            self._ask()

    def put_packet(self, packet: Packet) -> bool:
        """False: the version does not know it, or the client does not take it so long."""
        data = encode(packet, self.version, self.terms.max_packet_bytes)
        if data:
            self.put(data)
        return bool(data)

    def put_ack(self, kind: PacketType, packet_id: int) -> None:
        """A plain acknowledgement; runs of one kind are encoded together."""
        if self.ended:
            return
        if kind is not self._ack_kind:
            if self._acks:
                self._join_acks()
            self._ack_kind = kind
        self._acks.append(packet_id)
        if not self._listed and not self.joining:
            self._ask()

    def send(self, delivery: Delivery) -> bool:
        """Implements `Carrier`."""
        version = self.version
        message = delivery.message
        terms = self.terms
        if delivery.plain and not terms.topic_aliases:
            data = message.encoded(version, delivery.retain)
            if data is None:
                data = encode(delivery.publish(version, 0), version)
                message.remember(version, delivery.retain, data)
            if len(data) > terms.max_packet_bytes:
                return False
        else:
            publish = delivery.publish(version, self._steady_ms())
            alias = self._put_alias(publish) if terms.topic_aliases else 0
            data = encode(publish, version, terms.max_packet_bytes)
            if not data and alias:  # which takes 3 bytes itself
                alias = 0
                data = encode(delivery.publish(version, self._steady_ms()), version, terms.max_packet_bytes)
            if not data:
                return False
            if alias and self._aliases is not None:
                self._aliases[message.topic] = alias
        self.put(data)
        return True

    def send_release(self, packet_id: int) -> None:
        """Implements `Carrier`."""
        self.put_ack(PacketType.PUBREL, packet_id)

    def _put_alias(self, publish: Publish) -> int:
        """The first topics that are sent get an alias each (5.0 section 3.3.2.3.4). 0: none."""
        known = self._aliases
        if known is None:
            known = self._aliases = {}
        alias = known.get(publish.topic, 0)
        if alias:
            publish.topic = ""
        elif len(known) < self.terms.topic_aliases:
            alias = len(known) + 1
        else:
            return 0
        publish.properties = replace(publish.properties or Properties(), topic_alias=alias)
        return alias

    # Out

    @property
    def pending(self) -> bool:
        return bool(self._out or self._acks)

    def ask_turn(self) -> None:
        """What is pending is written at the end of the broker's turn."""
        if self.pending and not self._listed:
            self._ask()

    def flush(self) -> None:
        """Implements `Writer`."""
        self._listed = False
        self.write_out()

    def write_out(self) -> None:
        """Writes what is pending, at once."""
        if self._acks:
            self._join_acks()
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._out_bytes = 0
        if self._tap.enabled:
            self._tap.frame(self._session_id, "out", data, "")
        self._write(data)

    def end(self) -> None:
        """Nothing is written any more, nor what is pending."""
        self.ended = True
        self._out.clear()
        self._acks.clear()

    def _join_acks(self) -> None:
        data = encode_acks(self._ack_kind, self._acks)
        self._acks.clear()
        self._out.append(data)
        self._out_bytes += len(data)

    def _ask(self) -> None:
        self._listed = True
        self._list(self)
