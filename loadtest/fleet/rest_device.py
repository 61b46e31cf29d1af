"""A simulated HTTP client: numbered JSON items over a connection that stays open, one request at a time.

Place in the walk: beside `tcp_device`, with the same things to do for the fleet. A `Retry-After` is heeded.
"""

from __future__ import annotations

import asyncio
from typing import cast

from loadtest.fleet.ground import Address, Ground
from loadtest.fleet.numbers import Numbers
from loadtest.fleet.speech import Document
from loadtest.fleet.tally import Tally
from loadtest.mqtt.link import reset

__all__ = ["RestDevice"]

_HEAD_END = b"\r\n\r\n"
_LATER = (429, 503)
_MAX_SHOWN = 200
_LONGEST_HEAD = 16_384


class RestDevice(asyncio.Protocol):
    """One client, whose items are of one device. key: its API key, or nothing."""

    def __init__(
        self,
        ground: Ground,
        tally: Tally,
        document: Document,
        numbers: Numbers,
        *,
        batch: int = 1,
        key: str = "",
        source: Address | None = None,
    ) -> None:
        self.is_open = False
        self.numbers = numbers
        self._ground = ground
        self._tally = tally
        self._document = document
        self._batch = batch
        self._source = source
        bearer = f"Authorization: Bearer {key}\r\n" if key else ""
        head = f"POST /v1/telemetry HTTP/1.1\r\nHost: gateway\r\n{bearer}Content-Type: application/json\r\n"
        self._head = head.encode()
        self._due = 0.0
        self._transport: asyncio.Transport | None = None
        self._under_way = 0  # items of the request
        self._received = b""
        self._held = False  # until the time that the gateway has named

    # What the fleet does with it.

    def connect(self) -> None:
        """A connection is due now."""
        self._due = self._ground.now()
        self._try()

    def send(self, moment: float) -> None:
        """One more item was due at this moment."""
        self.numbers.add(moment)
        self._tally.sent += 1
        self._fill()

    def cut(self, back_after_s: float) -> None:
        """Vanishes, and comes back so much later."""
        self.leave()
        self._ground.wheel.after(back_after_s, self.connect)

    def leave(self) -> None:
        """Is gone for good."""
        transport = self._transport
        self._forget()
        if transport is not None:
            reset(transport)

    # Its connection.

    def _try(self) -> None:
        if not self._ground.ended and self._transport is None:
            self._ground.spawn(self._connect(), "connecting")

    async def _connect(self) -> None:
        host, port = self._ground.addresses["rest"]
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, host, port, local_addr=self._source)
        except OSError as error:
            self._tally.refused += 1
            self._tally.note(f"rest: no connection: {error.strerror or error}")
            self._ground.wheel.after(self._ground.backoff_s(), self._try)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._received = b""
        self._under_way = 0
        self.numbers.start_again()
        self.is_open = True
        self._tally.let_in(self._due, self._ground.now())
        self._fill()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None:
            return  # it was cut from this side
        quiet = not self._under_way
        self._forget()
        if self._ground.ended:
            return
        if not quiet:
            self._tally.lost_connections += 1
        self._due = self._ground.now()
        self._ground.wheel.after(self._ground.backoff_s(), self._try)

    def _forget(self) -> None:
        if self.is_open:
            self.is_open = False
            self._tally.open -= 1
        self._transport = None

    # What it says and hears.

    def _fill(self) -> None:
        if not self.is_open or self._under_way or self._held:
            return
        items: list[bytes] = []
        while len(items) < self._batch and (number := self.numbers.take(self._batch)):
            items.append(self._document.at(number))
        if not items:
            return
        assert self._transport is not None
        body = items[0] if len(items) == 1 else b"[" + b",".join(items) + b"]"
        self._under_way = len(items)
        self._transport.write(b"%bContent-Length: %d\r\n\r\n%b" % (self._head, len(body), body))

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        self._received += data
        head, end, body = self._received.partition(_HEAD_END)
        if not end:
            if len(head) > _LONGEST_HEAD:
                self._wrong(f"rest: no answer of a gateway: {head[:_MAX_SHOWN]!r}")
            return
        fields = _fields(head)
        if len(body) < int(fields.get(b"content-length", b"0")):
            return
        self._received = b""
        self._answer(int(head[9:12]), body, fields)

    def _answer(self, status: int, body: bytes, fields: dict[bytes, bytes]) -> None:
        count, self._under_way = self._under_way, 0
        if status == 200 and b'"accepted":%d,"rejected":0' % count in body:
            now = self._ground.now()
            for _ in range(count):
                self._tally.answered(self.numbers.answered(), now)
        elif status in _LATER:
            self._tally.put_off += 1
            self.numbers.start_again()
            self._held = True
            self._ground.wheel.after(float(fields.get(b"retry-after", b"1")), self._go_on)
        else:
            self._wrong(f"rest: {status} {body[:_MAX_SHOWN].decode(errors='replace')}")
            return
        if fields.get(b"connection", b"").lower() == b"close":
            self.cut(self._ground.backoff_s())
            return
        self._fill()

    def _go_on(self) -> None:
        self._held = False
        self._fill()

    def _wrong(self, what: str) -> None:
        self._tally.wrong += 1
        self._tally.note(what)
        self.cut(self._ground.backoff_s())


def _fields(head: bytes) -> dict[bytes, bytes]:
    """Names in lower case."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}
