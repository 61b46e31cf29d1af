from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from decoders.times import iso_from_unix_ms
from gateway.protocol.mqtt.codec import Decoder
from gateway.protocol.mqtt.encode import encode, encode_acks
from gateway.protocol.mqtt.packets import V311, Connack, Connect, Packet, PacketType, Pingreq, Pingresp, Publish
from loadtest.fleet.mqtt_device import MqttDevice
from loadtest.fleet.numbers import Numbers, number_of
from loadtest.fleet.speech import Document
from loadtest.fleet.tally import Tally
from tests.loadtest.fleet.playground import ground, serving, until

DOCUMENT = Document("example_thermo", {"tempC": 21.5})


class Broker:
    """Lets everybody in and answers every publish, unless it is told to be silent or wrong."""

    def __init__(self) -> None:
        self.published: list[Publish] = []
        self.pings = 0
        self.silent = False
        self.shift = 0  # of packet ids in its answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = Decoder(1 << 20, from_client=True)
        while data := await reader.read(65536):
            packets: Sequence[Packet] = decoder.receive(data)
            for packet in packets:
                if isinstance(packet, Connect):
                    writer.write(encode(Connack(), V311))
                elif isinstance(packet, Pingreq):
                    self.pings += 1
                    writer.write(encode(Pingresp(), V311))
                elif isinstance(packet, Publish):
                    self.published.append(packet)
                    if not self.silent:
                        writer.write(encode_acks(PacketType.PUBACK, [packet.packet_id + self.shift]))


def numbers_of(broker: Broker) -> list[int]:
    times = [orjson.loads(publish.payload)["device_timestamp"] for publish in broker.published]
    return [number_of(str(iso_from_unix_ms(moment))) for moment in times]


async def test_publishes_are_numbered_and_acknowledged() -> None:
    broker = Broker()
    async with serving(broker.serve) as port, ground(mqtt=port) as made:
        tally, numbers = Tally("mqtt", measured_from=0.0), Numbers("load-1")
        device = MqttDevice(made, tally, DOCUMENT, numbers, window=2, keep_alive_s=1)
        device.connect()
        await until(lambda: device.is_open)
        for _ in range(5):
            device.send(made.now())
        await until(lambda: tally.acknowledged == 5)
        await until(lambda: broker.pings > 0)
        device.leave()
    assert numbers_of(broker) == [1, 2, 3, 4, 5]
    assert [publish.packet_id for publish in broker.published] == [1, 2, 3, 4, 5]
    assert {publish.topic for publish in broker.published} == {"devices/load-1/telemetry"}
    assert orjson.loads(broker.published[0].payload)["metrics"] == {"tempC": 21.5}
    assert tally.answers.count == 5


async def test_what_was_not_acknowledged_is_published_again() -> None:
    broker = Broker()
    broker.silent = True
    async with serving(broker.serve) as port, ground(mqtt=port) as made:
        tally, numbers = Tally("mqtt"), Numbers("load-1")
        device = MqttDevice(made, tally, DOCUMENT, numbers, window=2)
        device.connect()
        await until(lambda: device.is_open)
        device.send(made.now())
        await until(lambda: len(broker.published) == 1)
        broker.silent = False
        device.cut(0.0)
        await until(lambda: tally.acknowledged == 1)
        device.leave()
    assert numbers_of(broker) == [1, 1]
    assert numbers.sent_again == 1


async def test_an_answer_to_another_publish_is_wrong() -> None:
    broker = Broker()
    broker.shift = 1
    async with serving(broker.serve) as port, ground(mqtt=port) as made:
        tally = Tally("mqtt")
        device = MqttDevice(made, tally, DOCUMENT, Numbers("load-1"), window=2)
        device.connect()
        await until(lambda: device.is_open)
        device.send(made.now())
        await until(lambda: tally.wrong == 1)
        device.leave()


async def test_who_finds_nobody_tries_again() -> None:
    async with ground(mqtt=1) as made:
        tally = Tally("mqtt")
        MqttDevice(made, tally, DOCUMENT, Numbers("load-1"), window=1).connect()
        await until(lambda: tally.refused >= 2)
