"""A fleet of simulated devices over TCP: each logs in, sends its frames and waits for what its spec promises.

A closed loop (`rate` 0) sends the next frame of a device when the one before is answered. A paced fleet sends `rate`
frames a second over all devices, one frame at a time, whatever is still under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from decoders.types import SessionContext
from gateway.simulate.templates import Script, SentFrame

__all__ = ["Fleet", "FleetPlan", "FleetReport", "run_fleet"]

MAX_UNANSWERED = 32
"""Frames that a paced device may have under way; beyond them it holds its frames back."""
_READY_FRAMES = 20_000
"""Frames made before the start, over all devices. A device that needs more of them renews those of its share."""
_CONNECTING = 100
_MAX_LATENCIES = 1_000_000


@dataclass(slots=True, frozen=True)
class FleetPlan:
    """frames: per device, without the login; 0: until `duration_s`. rate: frames a second of all devices; 0: closed
    loop. duration_s: 0: until all frames are sent. timeout_s: for connecting, and for the last answers."""

    host: str
    port: int
    devices: int = 10
    frames: int = 100
    rate: float = 0.0
    duration_s: float = 0.0
    timeout_s: float = 10.0
    first_number: int = 1


@dataclass(slots=True)
class FleetReport:
    """What happened. Logins are counted apart from frames: those that were answered, and those that were not.

    acknowledged: frames whose answers came. unanswered: frames that have no answer by their spec. missing: frames whose
    answer never came. wrong: answers other than the spec's. held_back: frames that a paced device did not send in time
    because too many were under way. records: how many the gateway makes of the frames sent.
    """

    devices: int = 0
    connected: int = 0
    logged_in: int = 0
    logins_missing: int = 0
    sent: int = 0
    acknowledged: int = 0
    unanswered: int = 0
    missing: int = 0
    wrong: int = 0
    held_back: int = 0
    lost_connections: int = 0
    records: int = 0
    elapsed_s: float = 0.0
    frames_per_s: float = 0.0
    ack_ms_p50: float | None = None
    ack_ms_p99: float | None = None
    sent_by_product: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Everybody got in, and every frame that has an answer got it."""
        return self.connected == self.devices and not (
            self.missing or self.logins_missing or self.wrong or self.lost_connections
        )

    def to_plain(self) -> dict[str, Any]:
        """As JSON, with what there is."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in plain.items() if value is not None and value != {}}


class _Device(asyncio.Protocol):
    """One device: answers are told apart by their sizes, since they come in the order of the frames."""

    def __init__(self, fleet: Fleet, number: int, script: Script) -> None:
        self.fleet = fleet
        self.product_id = script.product.id
        self.transport: asyncio.Transport | None = None
        self.waiting: deque[tuple[SentFrame, float, bool]] = deque()
        self.received = bytearray()
        self.left = fleet.plan.frames or -1
        self.login, self.frames = fleet.make_frames(number, script)
        self.done = asyncio.get_running_loop().create_future()
        self.answered = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass

    def start(self) -> None:
        if self.login is not None:
            self.send(self.login, login=True)
        if not self.waiting and not self.fleet.paced:
            self.send_next()

    def send(self, frame: SentFrame, *, login: bool = False) -> None:
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        report = self.fleet.report
        if login:
            report.logged_in += 1
        else:
            report.sent += 1
            report.records += frame.records
            report.sent_by_product[self.product_id] = report.sent_by_product.get(self.product_id, 0) + 1
        if frame.replies:
            self.answered.clear()
            self.waiting.append((frame, time.perf_counter(), login))
        elif not login:
            report.unanswered += 1
        transport.write(frame.wire)

    def send_next(self) -> bool:
        """Sends the next data frame; False when there is none left. Frames without an answer are followed at once in a
        closed loop."""
        while self.left and not self.fleet.over:
            self.left -= 1
            frame = next(self.frames)
            self.send(frame)
            if frame.replies or self.fleet.paced:
                return True
            if self.left % 16 == 0:  # let others have their turn
                asyncio.get_running_loop().call_soon(self.send_next)
                return True
        self.finish()
        return False

    def data_received(self, data: bytes) -> None:
        self.received += data
        report = self.fleet.report
        progress = False
        while self.waiting:
            frame, sent_at, login = self.waiting[0]
            size = frame.reply_bytes
            if len(self.received) < size:
                break
            answer = bytes(self.received[:size])
            del self.received[:size]
            self.waiting.popleft()
            progress = True
            if frame.exact and answer != b"".join(frame.replies):
                report.wrong += 1
                self.fleet.note(f"{self.product_id}: answer {answer.hex()}, the spec says {frame.replies[0].hex()}")
            elif not login:
                report.acknowledged += 1
                self.fleet.took(time.perf_counter() - sent_at)
        if not self.waiting and self.received:
            report.wrong += 1
            self.fleet.note(f"{self.product_id}: an answer that nobody asked for")
            self.received.clear()
        if not self.waiting:
            self.answered.set()
            if progress and not self.fleet.paced:
                self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.fleet.closing:
            self.fleet.report.lost_connections += 1
            self.fleet.note(f"{self.product_id}: the gateway closed the connection")
        self.answered.set()
        self.finish()

    def finish(self) -> None:
        if not self.done.done():
            self.done.set_result(None)


class Fleet:
    """Devices that share a report. `over` stops them from sending."""

    def __init__(self, plan: FleetPlan, scripts: Sequence[Script]) -> None:
        if not scripts:
            raise ValueError("no product has golden frames that a device could send")
        self.plan = plan
        self.scripts = scripts
        self.paced = plan.rate > 0
        self.report = FleetReport(devices=plan.devices)
        self.over = False
        self.closing = False
        self._latencies: list[float] = []

    def make_frames(self, number: int, script: Script) -> tuple[SentFrame | None, Iterator[SentFrame]]:
        """The login and the data frames of one device. When those that are ready do not suffice, they get new serial
        numbers and times: a frame that came before might pass for one that was sent again."""
        context = SessionContext()
        now_ms = time.time_ns() // 1_000_000
        login = script.login.render(number, 0, now_ms, context) if script.login is not None else None
        share = max(4, _READY_FRAMES // self.plan.devices)
        ready = []
        for index in range(min(self.plan.frames or share, share)):
            template = script.data[(number + index) % len(script.data)]
            ready.append(template.render(number, index + 1, now_ms + index, context))
        return login, self._go_on(number, script, ready, context, now_ms)

    def _go_on(
        self, number: int, script: Script, ready: list[SentFrame], context: SessionContext, now_ms: int
    ) -> Iterator[SentFrame]:
        for index in itertools.count():
            place = index % len(ready)
            if index >= len(ready):
                template = script.data[(number + place) % len(script.data)]
                ready[place] = template.renew(ready[place], number, index + 1, now_ms + index, context)
            yield ready[place]

    def took(self, seconds: float) -> None:
        if len(self._latencies) < _MAX_LATENCIES:
            self._latencies.append(seconds)

    def note(self, error: str) -> None:
        """Counts an error by its text; only so many different ones."""
        errors = self.report.errors
        if error in errors or len(errors) < 10:
            errors[error] = errors.get(error, 0) + 1

    async def run(self) -> FleetReport:
        """Plays the whole plan. Never raises for what the gateway does; the report says it."""
        gate = asyncio.Semaphore(_CONNECTING)
        numbers = range(self.plan.first_number, self.plan.first_number + self.plan.devices)
        started = [
            self._connect(number, self.scripts[index % len(self.scripts)], gate) for index, number in enumerate(numbers)
        ]
        devices = [device for device in await asyncio.gather(*started) if device is not None]
        self.report.connected = len(devices)
        begun = time.perf_counter()
        if devices:
            await self._play(devices)
        self.report.elapsed_s = round(time.perf_counter() - begun, 3)
        self._sum_up(devices)
        self.closing = True
        for device in devices:
            if device.transport is not None:
                device.transport.close()
        return self.report

    async def _connect(self, number: int, script: Script, gate: asyncio.Semaphore) -> _Device | None:
        device = _Device(self, number, script)
        async with gate:
            try:
                async with asyncio.timeout(self.plan.timeout_s):
                    loop = asyncio.get_running_loop()
                    await loop.create_connection(lambda: device, self.plan.host, self.plan.port)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error) or "no connection in time"
                self.note(f"{self.plan.host}:{self.plan.port}: {reason}")
                return None
        return device

    async def _play(self, devices: Sequence[_Device]) -> None:
        for device in devices:
            device.start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.plan.duration_s or None):
                if self.paced:
                    await _all_answered(devices, self.plan.timeout_s)  # the logins
                    await self._pace(devices)
                else:
                    await self._loop_to_end(devices)
        self.over = True
        await _all_answered(devices, self.plan.timeout_s)

    async def _loop_to_end(self, devices: Sequence[_Device]) -> None:
        """Until all devices have sent everything, or nothing moves any more."""
        open_devices = {device.done for device in devices}
        before = -1
        while open_devices:
            moved = self.report.sent + self.report.acknowledged
            if moved == before:
                break
            before = moved
            _, open_devices = await asyncio.wait(open_devices, timeout=self.plan.timeout_s)

    async def _pace(self, devices: Sequence[_Device]) -> None:
        loop = asyncio.get_running_loop()
        turn = deque(devices)
        begun, sent = loop.time(), 0
        while turn:
            due = int((loop.time() - begun) * self.plan.rate) + 1
            while sent < due and turn:
                device = turn.popleft()
                sent += 1
                if len(device.waiting) >= MAX_UNANSWERED:
                    self.report.held_back += 1
                elif device.done.done() or not device.send_next():
                    continue
                turn.append(device)
            await asyncio.sleep(max(0.0, begun + sent / self.plan.rate - loop.time()))

    def _sum_up(self, devices: Sequence[_Device]) -> None:
        report = self.report
        late = [login for device in devices for _frame, _at, login in device.waiting]
        report.logins_missing = sum(late)
        report.missing = len(late) - report.logins_missing
        report.logged_in -= report.logins_missing
        if report.elapsed_s:
            report.frames_per_s = round(report.sent / report.elapsed_s, 1)
        if self._latencies:
            ordered = sorted(self._latencies)
            report.ack_ms_p50 = round(ordered[len(ordered) // 2] * 1000, 3)
            report.ack_ms_p99 = round(ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)] * 1000, 3)


async def _all_answered(devices: Sequence[_Device], timeout_s: float) -> None:
    """Waits until no device waits for an answer, or for so long."""
    waiting = [device.answered.wait() for device in devices if device.waiting]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await asyncio.gather(*waiting)


async def run_fleet(plan: FleetPlan, scripts: Sequence[Script]) -> FleetReport:
    """Plays a plan with these scripts in turn. Raises ValueError when there is nothing to say."""
    return await Fleet(plan, scripts).run()
