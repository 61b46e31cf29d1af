from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from decoders.types import SessionContext
from gateway.pipeline.preview import Preview
from loadtest.fleet.ground import Ground
from loadtest.fleet.numbers import Numbers, number_of
from loadtest.fleet.speech import Speaker
from loadtest.fleet.tally import Tally
from loadtest.fleet.tcp_device import TcpDevice
from tests.decoders.sensor import loaded
from tests.gateway.simulate.answering import Answer, Answering, answering
from tests.loadtest.fleet.playground import ground, sensor_voice, until


@dataclass
class Scene:
    gateway: Answering
    ground: Ground
    tally: Tally
    device: TcpDevice
    numbers: Numbers


@asynccontextmanager
async def scene(answer: Answer | None = None, **options: float) -> AsyncIterator[Scene]:
    product = loaded().product
    async with answering(product, answer) as gateway, ground(tcp=gateway.port) as made:
        speaker, tally = Speaker(sensor_voice(), 7), Tally("tcp", measured_from=0.0)
        numbers = Numbers(speaker.device_id)
        device = TcpDevice(made, tally, speaker, numbers, window=2, heartbeat_s=options.get("heartbeat_s", 0.0))
        yield Scene(gateway, made, tally, device, numbers)
        device.leave()


def number_in(frame: bytes) -> int:
    records = Preview(loaded().product).read(frame, SessionContext(device_id="d"), 0)["records"]
    return number_of(records[0]["device_timestamp"])


async def test_frames_are_numbered_answered_and_timed_from_when_they_were_due() -> None:
    async with scene() as here:
        here.device.connect()
        await until(lambda: here.device.is_open)
        due = here.ground.now() - 1.5  # so long it has waited in the device already
        for _ in range(5):
            here.device.send(due)
        await until(lambda: here.tally.acknowledged == 5)
        frames = here.gateway.frames[0][1:]  # after the login
        assert [number_in(frame) for frame in frames] == [1, 2, 3, 4, 5]
        assert here.tally.answers.count == 5
        assert here.tally.answers.least >= 1_500_000
        assert here.numbers.sent_again == 0
    assert here.tally.open == 0


async def test_after_a_cut_it_comes_back_and_sends_again_what_was_not_answered() -> None:
    silent = True

    def answer(frame: bytes, replies: list[bytes]) -> list[bytes]:
        return [] if silent and frame[2] != 1 else replies

    async with scene(answer) as here:
        here.device.connect()
        await until(lambda: here.device.is_open)
        for _ in range(3):
            here.device.send(here.ground.now())
        await until(lambda: len(here.gateway.frames[0]) == 3)  # the login, and as many as the window allows
        silent = False
        here.device.cut(0.0)
        assert here.tally.open == 0
        await until(lambda: here.tally.acknowledged == 3)
        assert here.numbers.sent_again == 2
        assert here.tally.connected == 2
        assert here.tally.lost_connections == 0  # it went itself


async def test_a_wrong_answer_is_counted_and_ends_the_connection() -> None:
    wrong = True

    def answer(frame: bytes, replies: list[bytes]) -> list[bytes]:
        return [bytes(len(reply)) for reply in replies] if wrong and frame[2] != 1 else replies

    async with scene(answer) as here:
        here.device.connect()
        await until(lambda: here.device.is_open)
        here.device.send(here.ground.now())
        await until(lambda: here.tally.wrong == 1)
        wrong = False
        await until(lambda: here.tally.acknowledged == 1)
        assert "the spec says" in next(iter(here.tally.errors))


async def test_an_answer_that_nobody_asked_for_is_wrong() -> None:
    async with scene(lambda frame, replies: replies * 2) as here:
        here.device.connect()
        await until(lambda: here.tally.wrong > 0)
        assert "nobody asked for" in next(iter(here.tally.errors))


async def test_who_finds_nobody_tries_again() -> None:
    async with ground(tcp=1) as made:  # nobody listens on port 1
        speaker, tally = Speaker(sensor_voice(), 1), Tally("tcp")
        TcpDevice(made, tally, speaker, None).connect()
        await until(lambda: tally.refused >= 2)
    assert tally.connected == 0
