"""A fleet that counts: each device numbers its frames, waits for the answers, and sends again what was not answered.

The devices speak gt06. A location frame carries its number twice: low bits in the serial, which the answer repeats, and
all of it in the device's time (`START_MS` and a second per frame), which the record repeats.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import cast

from decoders.checksum import checksum
from decoders.times import six_from_ms

START_MS = 1_700_000_000_000
"""Device time of frame 0 (2023)."""

_FIRST_IMEI = 860_000_000_000_000
_BODY = bytes.fromhex("d0024bb93007d3fb783dd4c501940500f2006c8504a6")
_ANSWER_BYTES = 10
_RECONNECT_S = 0.05
_TICK_S = 0.01

_crc = checksum("crc16_x25").function


def _short_frame(kind: int, body: bytes, serial: int) -> bytes:
    inner = bytes([len(body) + 5, kind]) + body + serial.to_bytes(2)
    return b"\x78\x78" + inner + _crc(inner).to_bytes(2) + b"\x0d\x0a"


def frame(number: int) -> bytes:
    """The location frame with this number."""
    return _short_frame(0x12, six_from_ms(START_MS + number * 1000, 0) + _BODY, number & 0xFFFF)


def number_of(device_timestamp: str) -> int:
    """The number of the frame that a record was made of."""
    moment = datetime.fromisoformat(device_timestamp.replace("Z", "+00:00"))
    return (round(moment.astimezone(UTC).timestamp() * 1000) - START_MS) // 1000


class Device(asyncio.Protocol):
    """One device over all its connections. Frames are numbered from 1; answers come in the order of the frames, so
    that `acknowledged` is also the number of the last answered one."""

    def __init__(self, fleet: Fleet, index: int) -> None:
        self.device_id = str(_FIRST_IMEI + index)
        self.sent = 0  # numbers used so far
        self.acknowledged = 0
        self.allowed = 0  # numbers that may be used, when the fleet keeps a rate
        self.sent_again = 0
        self._fleet = fleet
        self._next = 1  # to be sent on this connection
        self._logged_in = False
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._lost = asyncio.Event()

    async def run(self) -> None:
        """Connects again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            address = await self._fleet.address()
            self._lost.clear()
            try:
                await loop.create_connection(lambda: self, *address)
            except OSError:
                await asyncio.sleep(_RECONNECT_S)
                continue
            await self._lost.wait()
            await asyncio.sleep(_RECONNECT_S)

    def hang_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Its connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass
        self._logged_in = False
        self._buffer = b""
        self._next = self.acknowledged + 1
        self._transport.write(_short_frame(0x01, bytes.fromhex(self.device_id.zfill(16)), 1))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data
        answers, rest = divmod(len(data), _ANSWER_BYTES)
        self._buffer = data[len(data) - rest :]
        for i in range(answers):
            self._answered(data[i * _ANSWER_BYTES : (i + 1) * _ANSWER_BYTES])
        self.fill()

    def _answered(self, answer: bytes) -> None:
        if not self._logged_in:
            self._logged_in = True
            return
        number = self.acknowledged + 1
        if answer[3] != 0x12 or int.from_bytes(answer[4:6]) != number & 0xFFFF:
            self._fleet.mistakes.append(f"{self.device_id}: {answer.hex()} where the answer to frame {number} was due")
            self.hang_up()
            return
        self.acknowledged = number

    def fill(self) -> None:
        """Sends what the window and the rate allow: first what was sent before and not answered."""
        fleet = self._fleet
        if self._transport is None or not self._logged_in:
            return
        last = self.acknowledged + fleet.window
        if fleet.rate:
            last = min(last, max(self.allowed, self.sent))
        if not fleet.sending:
            last = min(last, self.sent)
        frames = []
        while self._next <= last:
            frames.append(frame(self._next))
            if self._next <= self.sent:
                self.sent_again += 1
            else:
                self.sent = self._next
            self._next += 1
        if frames:
            self._transport.write(b"".join(frames))


class Fleet:
    """`async with Fleet(devices=50) as fleet`: it connects as soon as `connect_to` has been called.

    window: frames of a device that may wait for their answers. rate: frames per second of all devices together;
    0: as fast as answers come.
    """

    def __init__(self, *, devices: int = 50, window: int = 8, rate: float = 0.0) -> None:
        self.window = window
        self.rate = rate
        self.sending = False
        self.mistakes: list[str] = []  # answers that were not the ones that were due
        self.devices = [Device(self, index) for index in range(devices)]
        self._address: tuple[str, int] | None = None
        self._has_address = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Fleet:
        self._tasks = [asyncio.create_task(device.run(), name=device.device_id) for device in self.devices]
        self._tasks.append(asyncio.create_task(self._keep_rate(), name="rate"))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for device in self.devices:
            device.hang_up()

    @property
    def sent(self) -> int:
        """Frames with a number of their own; those that were sent again count once."""
        return sum(device.sent for device in self.devices)

    @property
    def acknowledged(self) -> int:
        return sum(device.acknowledged for device in self.devices)

    @property
    def sent_again(self) -> int:
        return sum(device.sent_again for device in self.devices)

    async def address(self) -> tuple[str, int]:
        """Where the gateway listens; waits while there is none."""
        while self._address is None:
            await self._has_address.wait()
        return self._address

    def connect_to(self, address: tuple[str, int] | None) -> None:
        """None: there is no gateway now."""
        self._address = address
        if address is None:
            self._has_address.clear()
        else:
            self._has_address.set()

    def send(self, sending: bool) -> None:
        """Whether new frames are made; what was sent before is sent again in any case until it is answered."""
        self.sending = sending
        for device in self.devices:
            device.fill()

    def set_rate(self, rate: float) -> None:
        """From now on."""
        self.rate = rate
        for device in self.devices:
            device.fill()

    async def _keep_rate(self) -> None:
        debt = 0.0
        turn = 0
        before = time.monotonic()
        while True:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            if self.rate and self.sending:
                debt += self.rate * (now - before)
                count = int(debt)
                debt -= count
                for _ in range(count):
                    device = self.devices[turn]
                    turn = (turn + 1) % len(self.devices)
                    device.allowed = min(max(device.allowed, device.sent) + 1, device.sent + self.window)
                    device.fill()
            before = now
