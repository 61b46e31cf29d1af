from __future__ import annotations

import asyncio
from typing import Any

import orjson

from loadtest.fleet.numbers import Numbers, ms_of
from loadtest.fleet.rest_device import RestDevice
from loadtest.fleet.speech import Document
from loadtest.fleet.tally import Tally
from tests.loadtest.fleet.playground import ground, serving, until

DOCUMENT = Document("example_thermo", {"tempC": 21.5}, "load-1")


class Gateway:
    """Takes every request; `answers` are given first, then 200."""

    def __init__(self, *answers: bytes) -> None:
        self.requests: list[tuple[bytes, Any]] = []
        self.answers = list(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
            body = orjson.loads(await reader.readexactly(length))
            self.requests.append((head, body))
            count = len(body) if isinstance(body, list) else 1
            writer.write(self.answers.pop(0) if self.answers else answer(200, b'{"accepted":%d,"rejected":0}' % count))


def answer(status: int, body: bytes, *fields: str) -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    return f"HTTP/1.1 {status} X\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body


async def test_what_waits_goes_in_one_request() -> None:
    gateway = Gateway()
    async with serving(gateway.serve) as port, ground(rest=port) as made:
        tally, numbers = Tally("rest", measured_from=0.0), Numbers("load-1")
        device = RestDevice(made, tally, DOCUMENT, numbers, batch=3, key="k")
        for _ in range(5):
            device.send(made.now())
        device.connect()
        await until(lambda: tally.acknowledged == 5)
        device.send(made.now())
        await until(lambda: tally.acknowledged == 6)
        device.leave()
    bodies = [body for _, body in gateway.requests]
    assert [len(body) if isinstance(body, list) else 1 for body in bodies] == [3, 2, 1]
    assert bodies[2] == {
        "device_id": "load-1",
        "productId": "example_thermo",
        "device_timestamp": ms_of(6),
        "metrics": {"tempC": 21.5},
    }
    assert b"Authorization: Bearer k\r\n" in gateway.requests[0][0]
    assert tally.answers.count == 6


async def test_who_is_told_to_wait_waits_and_sends_the_same_again() -> None:
    gateway = Gateway(answer(503, b"{}", "Retry-After: 0"))
    async with serving(gateway.serve) as port, ground(rest=port) as made:
        tally, numbers = Tally("rest"), Numbers("load-1")
        device = RestDevice(made, tally, DOCUMENT, numbers)
        device.connect()
        device.send(made.now())
        await until(lambda: tally.acknowledged == 1)
        device.leave()
    assert tally.put_off == 1
    assert numbers.sent_again == 1
    assert tally.wrong == 0


async def test_a_refusal_is_wrong_and_a_close_is_followed_by_a_new_connection() -> None:
    last = answer(200, b'{"accepted":1,"rejected":0}', "Connection: close")
    gateway = Gateway(answer(400, b"bad"), last)
    async with serving(gateway.serve) as port, ground(rest=port) as made:
        tally = Tally("rest")
        device = RestDevice(made, tally, DOCUMENT, Numbers("load-1"))
        device.connect()
        device.send(made.now())
        await until(lambda: tally.acknowledged == 1)
        device.send(made.now())
        await until(lambda: tally.acknowledged == 2)
        device.leave()
    assert tally.wrong == 1
    assert tally.errors == {"rest: 400 bad": 1}
    assert tally.connected == 3


async def test_a_lost_answer_is_asked_for_again() -> None:
    closed = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal closed
        if not closed:
            await reader.readuntil(b"\r\n\r\n")
            closed = True
            return
        await Gateway().serve(reader, writer)

    async with serving(serve) as port, ground(rest=port) as made:
        tally, numbers = Tally("rest"), Numbers("load-1")
        device = RestDevice(made, tally, DOCUMENT, numbers)
        device.connect()
        device.send(made.now())
        await until(lambda: tally.acknowledged == 1)
        device.leave()
    assert tally.lost_connections == 1
    assert numbers.sent_again == 1


async def test_what_is_no_http_is_wrong() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"x" * 20_000)
        await reader.read()

    async with serving(serve) as port, ground(rest=port) as made:
        tally = Tally("rest")
        device = RestDevice(made, tally, DOCUMENT, Numbers("load-1"))
        device.connect()
        device.send(made.now())
        await until(lambda: tally.wrong == 1)
        device.leave()
