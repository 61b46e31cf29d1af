"""All devices of a scenario: made, connected, told what is due, cut off and sent home.

Place in the walk: between the runner, which knows the scenario's course, and the devices. One loop turns the wheel and
hands out the moments that are due; devices are called back by their connections.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Protocol

from decoders.catalog import Catalog
from loadtest.faults.processes import GUARD_S, RunFailed, until
from loadtest.fleet.arrivals import Arrivals
from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.faulty_devices import BrokenDevice, DeafDevice, DribblingDevice
from loadtest.fleet.ground import Address, Ground, sources
from loadtest.fleet.histogram import Histogram
from loadtest.fleet.model import Fleet
from loadtest.fleet.mqtt_device import MqttDevice
from loadtest.fleet.numbers import Numbers
from loadtest.fleet.rest_device import RestDevice
from loadtest.fleet.speech import Speaker, document_of, voices_of
from loadtest.fleet.tally import Tally
from loadtest.fleet.tcp_device import TcpDevice

__all__ = ["FACES", "Crowd"]

FACES = ("tcp", "mqtt", "rest")
_TURN_S = 0.001
_IDLE_TURN_S = 0.005
_POLL_S = 0.05


class _Sending(Protocol):
    """A device that takes part in the rate."""

    is_open: bool

    def connect(self) -> None: ...

    def send(self, moment: float) -> None: ...

    def cut(self, back_after_s: float) -> None: ...

    def leave(self) -> None: ...


class _Guest(Protocol):
    """Any device."""

    def connect(self) -> None: ...

    def leave(self) -> None: ...


class Crowd:
    """tallies: by face, and of `idle`, `dribbling`, `deaf`, `broken`. late: how much later than due this process handed
    a frame to its device: what it adds to every duration itself."""

    def __init__(self, fleet: Fleet, catalog: Catalog, ground: Ground, balance: SinkBalance, key: str = "") -> None:
        self.tallies = {name: Tally(name) for name in (*FACES, "idle", "dribbling", "deaf", "broken")}
        self.late = Histogram()
        self.numbers: list[Numbers] = []
        self.measured_from = math.inf
        self._fleet = fleet
        self._ground = ground
        self._balance = balance
        self._arrivals: Arrivals | None = None
        self._began = 0.0
        loopback = ground.addresses.get("tcp", ("127.0.0.1", 0))[0].startswith("127.")
        self._sources = iter(sources(fleet.trackers, loopback=loopback))
        self._speakers = self._make_speakers(catalog, fleet.trackers)
        self._tcp = [self._tcp_device() for _ in range(fleet.tcp.devices)]
        self._mqtt = self._mqtt_devices(catalog)
        self._rest = self._rest_devices(catalog, key)
        self._idle = [self._idle_device() for _ in range(fleet.idle)]
        self._dribbling, self._deaf, self._broken = self._faulty_devices()
        self._turn = self._order()

    # Making them.

    def _make_speakers(self, catalog: Catalog, count: int) -> Iterator[Speaker]:
        """One for each tracker; what each product says is found out only where there are any."""
        if not count:
            return iter(())
        voices = voices_of(catalog, self._fleet.tcp.products, self._fleet.tcp.messages)
        return (Speaker(voices[index % len(voices)], index + 1) for index in range(count))

    def _new_numbers(self, device_id: str) -> Numbers:
        numbers = Numbers(device_id)
        self._balance.expect(numbers)
        self.numbers.append(numbers)
        return numbers

    def _tcp_device(self) -> TcpDevice:
        speaker, settings = next(self._speakers), self._fleet.tcp
        return TcpDevice(
            self._ground,
            self.tallies["tcp"],
            speaker,
            self._new_numbers(speaker.device_id),
            window=settings.window,
            heartbeat_s=settings.heartbeat_s,
            source=next(self._sources),
        )

    def _idle_device(self) -> TcpDevice:
        return TcpDevice(
            self._ground,
            self.tallies["idle"],
            next(self._speakers),
            None,
            heartbeat_s=self._fleet.tcp.heartbeat_s,
            source=next(self._sources),
        )

    def _mqtt_devices(self, catalog: Catalog) -> list[MqttDevice]:
        settings = self._fleet.mqtt
        if not settings.devices:
            return []
        document = document_of(catalog, settings.product)
        return [
            MqttDevice(
                self._ground,
                self.tallies["mqtt"],
                document,
                self._new_numbers(f"load-mqtt-{number}"),
                window=settings.window,
                keep_alive_s=settings.keep_alive_s,
            )
            for number in range(settings.devices)
        ]

    def _rest_devices(self, catalog: Catalog, key: str) -> list[RestDevice]:
        settings = self._fleet.rest
        found = []
        for number in range(settings.devices):
            name = f"load-rest-{number}"
            document = document_of(catalog, settings.product, name)
            found.append(
                RestDevice(
                    self._ground,
                    self.tallies["rest"],
                    document,
                    self._new_numbers(name),
                    batch=settings.batch,
                    key=key,
                )
            )
        return found

    def _faulty_devices(self) -> tuple[list[DribblingDevice], list[DeafDevice], list[BrokenDevice]]:
        faulty, ground = self._fleet.faulty, self._ground

        def source() -> Address | None:
            return next(self._sources)

        dribbling = []
        for _ in range(faulty.dribbling):
            speaker = next(self._speakers)
            numbers = self._new_numbers(speaker.device_id)
            tally = self.tallies["dribbling"]
            dribbling.append(DribblingDevice(ground, tally, speaker, numbers, pause_s=faulty.pause_s, source=source()))
        deaf = []
        for _ in range(faulty.deaf):
            speaker = next(self._speakers)
            numbers = self._new_numbers(speaker.device_id)
            deaf.append(
                DeafDevice(ground, self.tallies["deaf"], speaker, numbers, pause_s=faulty.pause_s, source=source())
            )
        broken = [
            BrokenDevice(ground, self.tallies["broken"], next(self._speakers), pause_s=faulty.pause_s, source=source())
            for _ in range(faulty.broken)
        ]
        return dribbling, deaf, broken

    # Letting them in.

    async def connect_idle(self) -> None:
        """Returns when all idle devices are let in. RunFailed: they are not."""
        await self._connect(self._idle, ["idle"])

    async def connect_all(self) -> None:
        """The same for those that send, and for the faulty ones, who are not waited for."""
        self._schedule([*self._dribbling, *self._deaf, *self._broken])
        await self._connect([*self._tcp, *self._mqtt, *self._rest], FACES)
        for device in self._dribbling:
            device.start()

    async def _connect(self, devices: Sequence[_Guest], faces: Sequence[str]) -> None:
        seconds = self._schedule(devices)
        try:
            await until(lambda: self.open(faces) >= len(devices), "all are let in", seconds + GUARD_S)
        except RunFailed:
            errors = [error for face in faces for error in self.tallies[face].errors]
            raise RunFailed(
                f"{self.open(faces)} of {len(devices)} devices were let in: {'; '.join(errors[:3]) or 'no answer'}"
            ) from None

    def _schedule(self, devices: Sequence[_Guest]) -> float:
        for index, device in enumerate(devices):
            self._ground.wheel.after(index / self._fleet.connect_per_s, device.connect)
        return len(devices) / self._fleet.connect_per_s

    def open(self, faces: Sequence[str] = (*FACES, "idle")) -> int:
        """Sessions that are there now."""
        return sum(self.tallies[face].open for face in faces)

    # Their day.

    async def run(self) -> None:
        """Until cancelled: turns the wheel, and hands out what is due."""
        ground = self._ground
        while True:
            ground.wheel.turn()
            arrivals = self._arrivals
            if arrivals is not None:
                for moment in arrivals.due(ground.now() - self._began):
                    due = self._began + moment
                    next(self._turn).send(due)
                    if due >= self.measured_from:
                        self.late.record(ground.now() - due)
            await asyncio.sleep(_TURN_S if arrivals is not None else _IDLE_TURN_S)

    async def play(self, arrivals: Arrivals) -> None:
        """Sends what these arrivals say, from now on; returns when the last one was handed out."""
        self._began = self._ground.now()
        self._arrivals = arrivals
        while arrivals.next < math.inf:  # noqa: ASYNC110 - handed out by `run`
            await asyncio.sleep(_POLL_S)
        left = self._began + arrivals.seconds - self._ground.now()
        await asyncio.sleep(max(0.0, left))
        self._arrivals = None

    def measure_from(self, moment: float) -> None:
        """Durations of what is due from this moment on count, and no others."""
        self.measured_from = self._balance.measured_from = moment
        for tally in self.tallies.values():
            tally.measured_from = moment

    def cut(self, share: float, within_s: float) -> int:
        """Cuts so many of the connections that stay, all at once; they come back evenly in so many seconds. Returns how
        many that were."""
        staying: list[_Sending] = [*self._tcp, *self._mqtt, *self._idle]
        standing = [device for device in staying if device.is_open]
        chosen = self._ground.random.sample(standing, round(len(standing) * share))
        for index, device in enumerate(chosen):
            device.cut(within_s * index / len(chosen))
        return len(chosen)

    async def settle(self, guard_s: float) -> bool:
        """No new frames; waits until all that were sent are answered. False: they are not in that time."""
        for device in self._dribbling:
            device.sending = False
        answered = [self.tallies[face] for face in (*FACES, "dribbling")]
        try:
            await until(lambda: all(one.acknowledged >= one.sent for one in answered), "all is answered", guard_s)
        except RunFailed:
            return False
        return True

    async def leave(self) -> None:
        """Everybody goes."""
        await self._ground.end()
        sending: list[_Guest] = [*self._tcp, *self._mqtt, *self._rest, *self._idle]
        faulty: list[_Guest] = [*self._dribbling, *self._deaf, *self._broken]
        for device in (*sending, *faulty):
            device.leave()

    def _order(self) -> Iterator[_Sending]:
        """Devices in turn, the faces mixed evenly by their shares."""
        fleet = self._fleet
        parts: list[tuple[float, Iterator[_Sending]]] = [
            (face.share, itertools.cycle(devices))
            for face, devices in ((fleet.tcp, self._tcp), (fleet.mqtt, self._mqtt), (fleet.rest, self._rest))
            if face.share and devices
        ]
        total = sum(share for share, _ in parts)
        credit = [0.0] * len(parts)
        while parts:
            for index, (share, _) in enumerate(parts):
                credit[index] += share
            chosen = max(range(len(parts)), key=credit.__getitem__)
            credit[chosen] -= total
            yield next(parts[chosen][1])


def quiet_collector() -> None:
    """What was made until now stays: the garbage collector need not look at it again in the middle of a run."""
    gc.collect()
    gc.freeze()
