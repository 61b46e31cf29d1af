"""Decoder: a stream of bytes becomes control packets (OASIS MQTT 3.1.1 and 5.0, section 2).

Place in the walk: the first thing that the client machine does with what was read.
"""

from __future__ import annotations

from collections.abc import Callable

from gateway.protocol.mqtt.decode import protocol_error, read_body, read_connect, read_protocol
from gateway.protocol.mqtt.encode import encode, encode_acks, encode_publish
from gateway.protocol.mqtt.packets import (
    V5,
    V311,
    MqttError,
    Packet,
    PacketType,
    Properties,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    ReasonCode,
)
from gateway.protocol.mqtt.properties import read_properties
from gateway.protocol.mqtt.topics import TopicCache
from gateway.protocol.mqtt.wire import Reader, malformed

__all__ = ["Decoder", "MqttError", "encode", "encode_acks", "encode_publish"]

_SERVERS = frozenset(
    (PacketType.CONNACK, PacketType.SUBACK, PacketType.UNSUBACK, PacketType.PINGRESP),
)
_CLIENTS = frozenset((PacketType.CONNECT, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE, PacketType.PINGREQ))
_FLAGS_2 = frozenset((PacketType.PUBREL, PacketType.SUBSCRIBE, PacketType.UNSUBSCRIBE))

_PUBLISH_FLAGS = tuple((flags >> 1 & 3, bool(flags & 1), bool(flags & 8)) for flags in range(16))
"""Of the first byte of a PUBLISH: QoS, retain, dup (section 3.3.1)."""

_PLAIN_ACKS: dict[int, Callable[[int], Packet]] = {0x40: Puback, 0x50: Pubrec, 0x62: Pubrel, 0x70: Pubcomp}
"""By first byte, where nothing but the packet identifier follows: as almost always."""

_TOPIC_ALIAS = 35


class Decoder:
    """Cuts one direction of a connection into packets.

    max_packet_bytes: of a whole packet, header included; a longer declared length is an error before anything of it
    is kept. max_connect_bytes: the same for CONNECT, since it comes from somebody unknown. topics: shared by the
    connections of a listener. from_client: False reads what a server sends, in `version`.

    version: 0 until the protocol level of a CONNECT was read, then V311 or V5; it is set also where that CONNECT is
    refused (`error`), and then says in which version a CONNACK is to be written; still 0: close without one.
    error: set once the peer broke the standard or a limit; nothing is read after that. The packets before the bad one
    are returned first, however the bytes were cut into reads.
    A first packet that is no CONNECT, and a second CONNECT, are errors here (MQTT-3.1.0-1, MQTT-3.1.0-2).
    """

    __slots__ = (
        "_from_client",
        "_kept",
        "_known",
        "_limit",
        "_max_packet_bytes",
        "_needed",
        "_topics",
        "error",
        "version",
    )

    def __init__(
        self,
        max_packet_bytes: int,
        *,
        max_connect_bytes: int = 65_536,
        topics: TopicCache | None = None,
        from_client: bool = True,
        version: int = 0,
    ) -> None:
        self.version = version
        self.error: MqttError | None = None
        self._max_packet_bytes = max_packet_bytes
        self._limit = max_packet_bytes if version else min(max_packet_bytes, max_connect_bytes)
        self._topics = topics if topics is not None else TopicCache(64)
        self._known = self._topics.known
        self._from_client = from_client
        self._kept = bytearray()
        self._needed = 0  # of `_kept`, to get further

    @property
    def buffered(self) -> int:
        """Bytes of an unfinished packet."""
        return len(self._kept)

    def receive(self, data: bytes | bytearray | memoryview) -> list[Packet]:
        """The packets that are whole now. Never raises: see `error`."""
        if self.error is not None:
            return []
        if self._kept:
            self._kept += data
            if len(self._kept) < self._needed:
                return []
            data = bytes(self._kept)
            self._kept.clear()
        elif type(data) is not bytes:
            data = bytes(data)
        packets: list[Packet] = []
        try:
            rest = self._read(data, packets)
        except MqttError as error:
            self.error = error
            return packets
        if rest < len(data):
            self._kept += data[rest:]
        return packets

    def _read(self, data: bytes, packets: list[Packet]) -> int:
        """Appends the packets; returns where the unfinished one begins, and sets what it needs."""
        at, size = 0, len(data)
        known = self._known
        while size - at > 1:
            first, length, start = data[at], data[at + 1], at + 2
            if length > 0x7F:
                more = data[start] if start < size else 0
                if 0 < more < 0x80:
                    length += (more << 7) - 0x80
                    start += 1
                else:
                    self._check_start(first, 0)
                    start, length = self._length(data, at + 1, size)
                    if not start:
                        break
            stop = start + length
            if stop > size or stop - at > self._limit:
                self._check_start(first, stop - at)
                self._needed = stop - at
                return at
            if first & 0xF0 != 0x30 or not self.version:
                ack = _PLAIN_ACKS.get(first) if length == 2 and self.version else None
                if ack is not None and (packet_id := data[start] << 8 | data[start + 1]):
                    packets.append(ack(packet_id))
                else:
                    packets.append(self._other(data, at, start, stop))
                at = stop
                continue

            # PUBLISH (section 3.3), here and not in a function of its own: it is nearly all that there is to read
            qos, retain, dup = _PUBLISH_FLAGS[first & 0x0F]
            if qos == 3 or (dup and not qos):
                raise _bad_flags(qos)
            if length < 3:
                raise malformed("a PUBLISH without a topic")
            name_at = start + 2
            name_end = at = name_at + (data[start] << 8 | data[start + 1])
            packet_id = 0
            if qos:
                at += 2
            if at > stop:
                raise malformed("a field is longer than its packet")
            topic = known.get(data[name_at:name_end])
            if topic is None:
                topic = self._topic(data[name_at:name_end])
            if qos:
                packet_id = data[name_end] << 8 | data[name_end + 1]
                if not packet_id:
                    raise protocol_error("packet identifier 0")  # MQTT-2.2.1-3; 3.1.1: MQTT-2.3.1-1
            properties = None
            if self.version == V5:
                if at < stop and not data[at]:
                    at += 1
                else:
                    properties, at = self._properties(data, at, stop)
                if not topic and (properties is None or properties.topic_alias is None):
                    raise protocol_error("a PUBLISH with neither topic nor topic alias")
            packets.append(Publish(topic, data[at:stop], qos, retain, dup, packet_id, properties))
            at = stop
        else:
            if size - at == 1:
                self._check_start(data[at], 2)
        self._needed = size - at + 1
        return at

    def _length(self, data: bytes, at: int, size: int) -> tuple[int, int]:
        """Section 2.1.4: where the body starts, and its length; (0, 0) if that cannot be said yet."""
        length = 0
        for place in range(4):
            if at + place == size:
                return 0, 0
            byte = data[at + place]
            length |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                if not byte and self.version == V5:
                    raise _length_too_long()
                return at + place + 1, length
        raise malformed("the remaining length has more than four bytes")

    def _check_start(self, first: int, size: int) -> PacketType:
        """What can be said of a packet before it is there; also of its size."""
        try:
            kind = PacketType(first >> 4)
        except ValueError:
            raise malformed("packet type 0") from None
        if kind is PacketType.AUTH and self.version == V311:
            raise malformed("3.1.1 has no packet type 15")
        if kind is PacketType.PUBLISH:
            qos, _, dup = _PUBLISH_FLAGS[first & 0x0F]
            if qos == 3 or (dup and not qos):
                raise _bad_flags(qos)
        elif first & 0x0F != (2 if kind in _FLAGS_2 else 0):
            raise malformed(f"wrong flags of {kind.name}")  # MQTT-2.1.3-1; 3.1.1: MQTT-2.2.2-2
        if kind in (_SERVERS if self._from_client else _CLIENTS):
            raise protocol_error(f"a {kind.name} from this side")
        if self._from_client and (kind is PacketType.CONNECT) != (not self.version):
            raise protocol_error("a second CONNECT" if self.version else f"a {kind.name} before CONNECT")
        if size > self._limit:
            raise MqttError(ReasonCode.PACKET_TOO_LARGE, f"{size} bytes, at most {self._limit} are taken")
        return kind

    def _other(self, data: bytes, at: int, start: int, stop: int) -> Packet:
        kind = self._check_start(data[at], 0)
        reader = Reader(data, start, stop)
        if kind is not PacketType.CONNECT:
            return read_body(kind, reader, self.version, self._from_client)
        self.version, spoken = read_protocol(reader)
        if not spoken:
            raise MqttError(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, "MQTT 3.1.1 and 5.0 are spoken here")
        if self.version == V5 and start - at > 2 and not data[start - 1]:  # its length was read before its version
            raise _length_too_long()
        connect = read_connect(reader, self.version)
        self._limit = self._max_packet_bytes
        return connect

    def _topic(self, name: bytes) -> str:
        if not name and self.version == V5:
            return ""  # a topic alias may stand for it
        return self._topics.read(name)

    def _properties(self, data: bytes, at: int, stop: int) -> tuple[Properties | None, int]:
        if stop - at > 3 and data[at] == 3 and data[at + 1] == _TOPIC_ALIAS:
            # An alias alone is what clients use that want to be fast
            alias = data[at + 2] << 8 | data[at + 3]
            if alias:
                return Properties(topic_alias=alias), at + 4
        reader = Reader(data, at, stop)
        return read_properties(reader, PacketType.PUBLISH, from_client=self._from_client), reader.at


def _length_too_long() -> MqttError:
    return malformed("the remaining length is longer than it needs to be")  # MQTT-1.5.5-1


def _bad_flags(qos: int) -> MqttError:
    return malformed("QoS 3" if qos == 3 else "DUP with QoS 0")  # MQTT-3.3.1-4, MQTT-3.3.1-2
