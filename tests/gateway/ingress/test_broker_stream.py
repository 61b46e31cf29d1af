"""Whole packets for amqtt's handler, of a bounded size, and nothing after one that it could not read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from amqtt.errors import AMQTTError, MQTTError, NoDataError
from amqtt.mqtt import packet_class
from amqtt.mqtt.packet import MQTTFixedHeader

from gateway.domain.errors import SourceProblem
from gateway.ingress.broker_stream import Gate, PacketReader, SourceDown, told
from gateway.protocol.mqtt.encode import encode
from gateway.protocol.mqtt.packets import V311, Publish


class Heard:
    """Implements Taker, for what is too large."""

    def __init__(self) -> None:
        self.too_large_ones: list[tuple[str, int, int, int]] = []

    def publish(self, topic: str, payload: bytes, qos: int, packet_id: int, *, dup: bool, retain: bool) -> None:
        raise AssertionError("a reader hands on nothing")

    def too_large(self, topic: str, qos: int, packet_id: int, size: int) -> None:
        self.too_large_ones.append((topic, qos, packet_id, size))

    def release(self, packet_id: int) -> None:
        raise AssertionError("a reader hands on nothing")


class Source:
    """A reader over a stream that the test feeds."""

    def __init__(self, max_bytes: int = 1_000) -> None:
        self.stream = asyncio.StreamReader()
        self.gate = Gate(lambda: 0.0)
        self.heard = Heard()
        self.reader = PacketReader(self.stream, self.gate, max_bytes, self.heard)
        self.reader.gated = True

    async def packet(self) -> Any:
        """As amqtt's handler reads."""
        header = await MQTTFixedHeader.from_stream(self.reader)
        if header is None:
            return None
        packet = await packet_class(header).from_stream(self.reader, fixed_header=header)
        self.reader.understood(packet)
        return packet


def published(payload: bytes, topic: str = "a/b", qos: int = 1, packet_id: int = 7) -> bytes:
    return encode(Publish(topic, payload, qos, packet_id=packet_id if qos else 0), V311)


async def test_packets_come_whole_however_the_stream_was_cut() -> None:
    source = Source()
    data = published(b"x" * 300) + published(b"") + published(b"y", qos=0)
    reading = asyncio.gather(*(asyncio.ensure_future(one) for one in [sequence(source, 3)]))
    for byte in data:
        source.stream.feed_data(bytes((byte,)))
        await asyncio.sleep(0)
    assert [packet.data for packet in (await reading)[0]] == [b"x" * 300, b"", b"y"]


async def sequence(source: Source, count: int) -> list[Any]:
    return [await source.packet() for _ in range(count)]


async def test_the_gate_stands_before_each_packet() -> None:
    source = Source()
    source.stream.feed_data(published(b"1") + published(b"2"))
    assert (await source.packet()).data == b"1"
    source.gate.set(False)
    waiting = asyncio.ensure_future(source.packet())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    source.gate.set(True)
    assert (await waiting).data == b"2"


async def test_the_end_of_the_stream() -> None:
    source = Source()
    source.stream.feed_data(published(b"1")[:-1])
    source.stream.feed_eof()
    assert await source.packet() is None
    assert source.reader.at_end


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_publish_that_is_too_large_is_passed_over(qos: int) -> None:
    source = Source(max_bytes=1_000)
    big = published(b"z" * 200_000, "big/topic", qos)
    source.stream.feed_data(big + published(b"next"))
    assert (await source.packet()).data == b"next"
    assert source.heard.too_large_ones == [("big/topic", qos, 7 if qos else 0, len(big))]


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x90\xff\xff\xff\x7f",  # a SUBACK of 256 MB
        published(b"\x30\x05\x00\x01ahi", "a/+"),  # a name with a wildcard, after which amqtt reads on in the payload
        b"\x32\x04\x00\x09ab",  # a field that is longer than its packet
        b"\x40\x04\x00\x01\x00\x00",  # more bytes than an acknowledgement has
    ],
)
async def test_after_a_packet_that_cannot_be_read_nothing_is(data: bytes) -> None:
    source = Source()
    source.stream.feed_data(data + published(b"next"))
    found: list[Any] = []
    error: Exception | None = None
    while error is None:
        try:
            found.append(await source.packet())
        except SourceDown as down:
            error = down
        except (AMQTTError, MQTTError, NoDataError):  # amqtt's handler goes on
            continue
    assert found == []
    assert isinstance(error, SourceDown)
    assert error.problem is SourceProblem.PROTOCOL_ERROR
    with pytest.raises(SourceDown):
        await source.packet()


async def test_how_long_the_gate_has_been_open() -> None:
    now = 5.0
    gate = Gate(lambda: now)
    now = 7.0
    assert gate.open_for_s() == 2
    gate.set(False)
    assert (gate.open, gate.open_for_s()) == (False, 0)
    now = 8.0
    gate.set(True)
    gate.set(True)
    now = 9.5
    assert gate.open_for_s() == 1.5


def test_errors_of_the_connection_in_words() -> None:
    assert told(ConnectionResetError(104, "Connection reset by peer")).detail == "Connection reset by peer"
    assert told(ConnectionResetError()).detail == "ConnectionResetError"
    assert told(ValueError("x")).problem is SourceProblem.PROTOCOL_ERROR
