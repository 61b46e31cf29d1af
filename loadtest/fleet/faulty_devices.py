"""Devices that nobody wants: slow, deaf, and broken ones that send garbage, half frames and wrong check values.

Place in the walk: beside the others on the same TCP port; none of them may harm another device.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import cast

from loadtest.fleet.ground import Address, Ground
from loadtest.fleet.numbers import Numbers
from loadtest.fleet.speech import Speaker
from loadtest.fleet.tally import Tally
from loadtest.fleet.tcp_device import TcpDevice
from loadtest.mqtt.link import reset

__all__ = ["BrokenDevice", "DeafDevice", "DribblingDevice"]

_DRIBBLES_PER_PAUSE = 10
_DEAF_BURST = 5
_SMALL_BUFFER = 4096
_GARBAGE_BYTES = 600


class DribblingDevice:
    """Sends byte by byte, a frame after the other; every frame gets its answer all the same. pause_s: of ten bytes."""

    def __init__(
        self,
        ground: Ground,
        tally: Tally,
        speaker: Speaker,
        numbers: Numbers,
        *,
        pause_s: float,
        source: Address | None = None,
    ) -> None:
        self.numbers = numbers
        self.sending = False
        self._ground = ground
        self._pause_s = pause_s / _DRIBBLES_PER_PAUSE
        self._left: deque[tuple[asyncio.Transport, int]] = deque()
        self._device = TcpDevice(ground, tally, speaker, numbers, source=source, write=self._take)

    def connect(self) -> None:
        self._device.connect()

    def leave(self) -> None:
        self._device.leave()

    def start(self) -> None:
        """Frames from now on, until `sending` is taken back."""
        self.sending = True
        self._next()

    def _next(self) -> None:
        if self.sending and self.numbers.sent == self.numbers.acknowledged:
            self._device.send(self._ground.now())
        if self.sending:
            self._ground.wheel.after(self._pause_s, self._next)

    def _take(self, transport: asyncio.Transport, data: bytes) -> None:
        idle = not self._left
        self._left.extend((transport, byte) for byte in data)
        if idle:
            self._drop_one()

    def _drop_one(self) -> None:
        if not self._left:
            return
        transport, byte = self._left.popleft()
        if transport is self._device.transport:
            transport.write(bytes([byte]))
        if self._left:
            self._ground.wheel.after(self._pause_s, self._drop_one)


class DeafDevice(asyncio.Protocol):
    """Logs in, never reads again, and goes on sending; comes back when it is closed. Nothing that it sends is counted
    as acknowledged."""

    def __init__(
        self,
        ground: Ground,
        tally: Tally,
        speaker: Speaker,
        numbers: Numbers,
        *,
        pause_s: float,
        source: Address | None = None,
    ) -> None:
        self.numbers = numbers
        self._ground = ground
        self._tally = tally
        self._speaker = speaker
        self._pause_s = pause_s
        self._source = source
        self._transport: asyncio.Transport | None = None
        self._full = False
        self._due = 0.0

    def connect(self) -> None:
        self._due = self._ground.now()
        if not self._ground.ended:
            self._ground.spawn(self._connect(), "connecting")

    def leave(self) -> None:
        if self._transport is not None:
            reset(self._transport)

    async def _connect(self) -> None:
        try:
            await _open(self, self._ground.addresses["tcp"], self._source)
        except OSError as error:
            self._tally.refused += 1
            self._tally.note(f"tcp: no connection: {error.strerror or error}")
            self._ground.wheel.after(self._ground.backoff_s(), self.connect)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._full = False
        made.pause_reading()
        self._tally.let_in(self._due, self._ground.now())
        if self._speaker.login is not None:
            made.write(self._speaker.login.wire)
        self._ground.wheel.after(self._pause_s, lambda: self._burst(made))

    def _burst(self, transport: asyncio.Transport) -> None:
        if transport is not self._transport or self._ground.ended:
            return
        for _ in range(0 if self._full else _DEAF_BURST):
            self.numbers.add(self._ground.now())
            self._tally.sent += 1
            transport.write(self._speaker.frame(self.numbers.sent).wire)
        self._ground.wheel.after(self._pause_s, lambda: self._burst(transport))

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._tally.open -= 1
        if not self._ground.ended:
            self._tally.lost_connections += 1
            self._ground.wheel.after(self._ground.backoff_s(), self.connect)


class BrokenDevice(asyncio.Protocol):
    """Logs in, does one mischief after the other, and comes back whenever it is closed. mischiefs: done so far."""

    def __init__(
        self, ground: Ground, tally: Tally, speaker: Speaker, *, pause_s: float, source: Address | None = None
    ) -> None:
        self.mischiefs = 0
        self._ground = ground
        self._tally = tally
        self._speaker = speaker
        self._pause_s = pause_s
        self._source = source
        self._transport: asyncio.Transport | None = None
        self._due = 0.0

    def connect(self) -> None:
        self._due = self._ground.now()
        if not self._ground.ended:
            self._ground.spawn(self._connect(), "connecting")

    def leave(self) -> None:
        if self._transport is not None:
            reset(self._transport)

    async def _connect(self) -> None:
        try:
            await _open(self, self._ground.addresses["tcp"], self._source)
        except OSError as error:
            self._tally.refused += 1
            self._tally.note(f"tcp: no connection: {error.strerror or error}")
            self._ground.wheel.after(self._ground.backoff_s(), self.connect)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = made = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._tally.let_in(self._due, self._ground.now())
        if self._speaker.login is not None and self.mischiefs % 2:  # every other time it does not even say who it is
            made.write(self._speaker.login.wire)
        self._ground.wheel.after(self._pause_s, lambda: self._misbehave(made))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._tally.open -= 1
        if not self._ground.ended:
            self._tally.lost_connections += 1
            self._ground.wheel.after(self._pause_s, self.connect)

    def _misbehave(self, transport: asyncio.Transport) -> None:
        if transport is not self._transport or self._ground.ended:
            return
        self.mischiefs += 1
        self._tally.sent += 1
        frame = self._speaker.frame(1).wire
        chance = self._ground.random
        match self.mischiefs % 4:
            case 0:
                transport.write(chance.randbytes(_GARBAGE_BYTES))
            case 1:  # the bytes before its end are the check value's neighbourhood in every framing
                place = chance.randrange(len(frame) // 2, len(frame))
                transport.write(frame[:place] + bytes([frame[place] ^ 0x55]) + frame[place + 1 :])
            case 2:
                transport.write(frame[: len(frame) // 2])
                transport.close()
            case _:
                transport.write(frame[: len(frame) // 2])
                reset(transport)
        self._ground.wheel.after(self._pause_s, lambda: self._misbehave(transport))


async def _open(device: asyncio.Protocol, address: Address, source: Address | None) -> None:
    """Connects with a small receive buffer, so that who does not read is soon full."""
    made = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL_BUFFER)
        made.setblocking(False)
        if source is not None:
            made.bind(source)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(made, address)
        await loop.create_connection(lambda: device, sock=made)
    except BaseException:
        made.close()
        raise
