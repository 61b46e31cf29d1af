"""A simulated tracker: one TCP connection with a login, numbered frames, heartbeats, and answers that it compares.

Place in the walk: the fleet tells it which frames are due; it writes what its window allows and tallies the answers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from gateway.simulate.templates import SentFrame
from loadtest.fleet.ground import Address, Ground
from loadtest.fleet.numbers import Numbers
from loadtest.fleet.speech import Speaker
from loadtest.fleet.tally import Tally
from loadtest.mqtt.link import reset

__all__ = ["TcpDevice"]

_LOGIN, _FRAME, _HEARTBEAT = range(3)


class TcpDevice(asyncio.Protocol):
    """One device over all its connections. What was not answered when one ended is sent again on the next.

    numbers: None for a device that only logs in and stays. write: how bytes leave; None: at once.
    """

    def __init__(
        self,
        ground: Ground,
        tally: Tally,
        speaker: Speaker,
        numbers: Numbers | None,
        *,
        window: int = 1,
        heartbeat_s: float = 0.0,
        source: Address | None = None,
        write: Callable[[asyncio.Transport, bytes], None] | None = None,
    ) -> None:
        self.is_open = False
        self.numbers = numbers
        self.transport: asyncio.Transport | None = None
        self._ground = ground
        self._tally = tally
        self._speaker = speaker
        self._window = window
        self._heartbeat_s = heartbeat_s if speaker.has_heartbeat else 0.0
        self._source = source
        self._write = write
        self._due = 0.0  # when this connection was
        self._connections = 0
        self._waiting: deque[tuple[int, bytes | None, int]] = deque()  # size, bytes if known, kind of the next answers
        self._rest = b""

    # What the fleet does with it.

    def connect(self) -> None:
        """A connection is due now."""
        self._due = self._ground.now()
        self._try()

    def send(self, moment: float) -> None:
        """One more frame was due at this moment."""
        assert self.numbers is not None
        self.numbers.add(moment)
        self._tally.sent += 1
        self._fill()

    def cut(self, back_after_s: float) -> None:
        """Vanishes, and comes back so much later."""
        self._close()
        self._ground.wheel.after(back_after_s, self.connect)

    def leave(self) -> None:
        """Is gone for good."""
        self._close()

    # Its connection.

    def _try(self) -> None:
        if not self._ground.ended and self.transport is None:
            self._ground.spawn(self._connect(), "connecting")

    async def _connect(self) -> None:
        host, port = self._ground.addresses["tcp"]
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, host, port, local_addr=self._source)
        except OSError as error:
            self._tally.refused += 1
            self._tally.note(f"tcp: no connection: {error.strerror or error}")
            self._ground.wheel.after(self._ground.backoff_s(), self._try)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._connections += 1
        self._waiting.clear()
        self._rest = b""
        if self.numbers is not None:
            self.numbers.start_again()
        login = self._speaker.login
        if login is not None:
            self._put(login, _LOGIN)
        if not self._waiting:
            self._let_in()

    def connection_lost(self, error: Exception | None) -> None:
        if self.transport is None:
            return  # it was cut from this side
        self._forget()
        if not self._ground.ended:
            self._tally.lost_connections += 1
            self._due = self._ground.now()
            self._ground.wheel.after(self._ground.backoff_s(), self._try)

    def _close(self) -> None:
        transport = self.transport
        self._forget()
        if transport is not None:
            reset(transport)

    def _forget(self) -> None:
        if self.is_open:
            self.is_open = False
            self._tally.open -= 1
        self.transport = None

    def _let_in(self) -> None:
        self.is_open = True
        self._tally.let_in(self._due, self._ground.now())
        if self._heartbeat_s:
            connection = self._connections
            wait_s = self._heartbeat_s * self._ground.random.uniform(0.5, 1.0)
            self._ground.wheel.after(wait_s, lambda: self._beat(connection))
        self._fill()

    # What it says and hears.

    def _fill(self) -> None:
        numbers = self.numbers
        if not self.is_open or numbers is None:
            return
        while number := numbers.take(self._window):
            self._put(self._speaker.frame(number), _FRAME)

    def _beat(self, connection: int) -> None:
        if connection != self._connections or not self.is_open:
            return
        self._put(self._speaker.heartbeat(), _HEARTBEAT)
        self._tally.heartbeats += 1
        self._ground.wheel.after(self._heartbeat_s, lambda: self._beat(connection))

    def _put(self, frame: SentFrame, kind: int) -> None:
        assert self.transport is not None
        if frame.replies:
            self._waiting.append((frame.reply_bytes, b"".join(frame.replies) if frame.exact else None, kind))
        if self._write is None:
            self.transport.write(frame.wire)
        else:
            self._write(self.transport, frame.wire)

    def data_received(self, data: bytes) -> None:
        if self.transport is None:
            return
        if self._rest:
            data = self._rest + data
        waiting, at, size = self._waiting, 0, len(data)
        while waiting and size - at >= waiting[0][0]:
            length, expected, kind = waiting.popleft()
            if expected is not None and data[at : at + length] != expected:
                self._wrong(f"answer {data[at : at + length].hex()}, the spec says {expected.hex()}")
                return
            at += length
            self._heard(kind)
        self._rest = data[at:]
        if self._rest and not waiting:
            self._wrong(f"an answer that nobody asked for: {self._rest[:32].hex()}")
            return
        self._fill()

    def _heard(self, kind: int) -> None:
        if kind == _FRAME:
            assert self.numbers is not None
            self._tally.answered(self.numbers.answered(), self._ground.now())
        elif kind == _LOGIN:
            self._let_in()
        else:
            self._tally.heartbeats_answered += 1

    def _wrong(self, what: str) -> None:
        self._tally.wrong += 1
        self._tally.note(f"{self._speaker.voice.product_id}: {what}")
        self.cut(self._ground.backoff_s())
