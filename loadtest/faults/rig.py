"""One fault run: a stream, a fleet, one gateway after the other, and at the end the balance."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from loadtest.faults.balance import Balance, read_all
from loadtest.faults.fleet import Fleet
from loadtest.faults.processes import GatewayProcess, KinesisProcess, RunFailed, until

PACKINGS = ("plain", "aggregated", "ndjson")
GATEWAY_ID = "gw-fault"
_WATCH_S = 0.2


@dataclass(slots=True)
class Plan:
    """How a scenario is run. seconds: how long the fault lasts, or the load of a scenario without a length."""

    folder: Path
    packing: str = "plain"
    seconds: float = 5.0
    rounds: int = 200  # kills
    seed: int = 1
    devices: int = 50
    window: int = 8
    rate: float = 2000.0  # frames per second; 0: as fast as the answers come


@dataclass(slots=True)
class Result:
    scenario: str
    packing: str
    balance: Balance
    seconds: float
    rss_max_kib: int
    note: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return self.balance.holds and not self.problems


class Rig:
    """`async with Rig(plan) as rig`: the stream and the fleet are there; `start` starts a gateway.

    Scenarios do their worst, then `finish` makes all well again and takes the balance.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.random = random.Random(plan.seed)
        self.kinesis = KinesisProcess(seed=plan.seed)
        self.fleet = Fleet(devices=plan.devices, window=plan.window, rate=plan.rate)
        self.gateway: GatewayProcess | None = None
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.rss_max_kib = 0
        self.expected: list[tuple[str, int]] = []  # frames that a fault takes away on purpose
        self.spool_dir = plan.folder / "spool"
        self._gateways: list[GatewayProcess] = []
        self._resources = contextlib.AsyncExitStack()
        self._began = time.monotonic()

    async def __aenter__(self) -> Self:
        try:
            await self._resources.enter_async_context(self.kinesis)
            await self._resources.enter_async_context(self.fleet)
        except BaseException:
            await self._resources.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for gateway in self._gateways:
            if gateway.is_running:
                await gateway.kill()
        await self._resources.aclose()

    # The gateway.

    async def start(
        self, *settings: str, name: str = GATEWAY_ID, packing: str = "", handicap: Sequence[str] = ()
    ) -> GatewayProcess:
        """Starts a gateway and sends the fleet there. handicap: options of `loadtest.faults.handicap`.
        RunFailed: it ended instead."""
        gateway = await self.spawn(*settings, name=name, packing=packing, handicap=handicap)
        await gateway.started()
        self.fleet.connect_to(gateway.address)
        return gateway

    async def spawn(
        self, *settings: str, name: str = GATEWAY_ID, packing: str = "", handicap: Sequence[str] = ()
    ) -> GatewayProcess:
        """Starts a gateway and does not wait for it."""
        all_settings = [
            f"gateway.id={name}",
            f"gateway.data_dir={self.plan.folder / name}",
            f"spool.dir={self.spool_dir}",
            "tcp.listeners.0.port=0",
            "mqtt.listeners=[]",
            "rest.listeners=[]",
            "tcp.listeners.0.products=[concox_gt06]",
            "observe.port=0",
            "admin.port=0",
            f"sinks={self.kinesis.sinks(packing or self.plan.packing)}",
            *settings,
        ]
        launcher = ["gateway"] if not handicap else ["loadtest.faults.handicap", *handicap, "--"]
        self.gateway = gateway = GatewayProcess(all_settings, launcher=launcher, cwd=self.plan.folder)
        self._gateways.append(gateway)
        await gateway.spawn()
        return gateway

    async def kill(self) -> None:
        """kill -9 of the gateway, under whatever load there is."""
        assert self.gateway is not None
        self.fleet.connect_to(None)
        await self.gateway.kill()
        self._note_memory(self.gateway)

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        assert self.gateway is not None
        self.fleet.connect_to(None)
        code = await self.gateway.terminate()
        self._note_memory(self.gateway)
        return code

    def _note_memory(self, gateway: GatewayProcess) -> None:
        self.rss_max_kib = max(self.rss_max_kib, gateway.rss_max_kib)

    # The load.

    async def load(self, seconds: float) -> None:
        """New frames for so long."""
        self.fleet.send(True)
        ends = time.monotonic() + seconds
        while (left := ends - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _WATCH_S))
            self._look()

    async def load_frames(self, count: int) -> None:
        """New frames until so many more are acknowledged."""
        self.fleet.send(True)
        goal = self.fleet.acknowledged + count
        await until(lambda: self._look() and self.fleet.acknowledged >= goal, f"{count} frames more are acknowledged")

    async def load_until_full(self) -> None:
        """As fast as it goes, until no answer comes any more: the spool is full."""
        self.fleet.sending = True
        self.fleet.set_rate(0.0)
        assert self.gateway is not None
        await self.gateway.until_sample(lambda found: found["iotlink_connections_paused"] > 0, "reading is paused")
        self.fleet.set_rate(self.plan.rate)

    def _look(self) -> bool:
        """True while the gateway lives. RunFailed: it has ended by itself."""
        gateway = self.gateway
        if gateway is not None:
            if not gateway.is_running:
                raise RunFailed(f"the gateway ended: {gateway.stderr.strip()[-500:]}")
            gateway.look_at_memory()
        return True

    # The end.

    async def heal(self) -> None:
        """The sink is as it should be."""
        await self.kinesis.set(
            record_failure=0.0,
            http_500=0.0,
            lost_answer=0.0,
            delay_s=0.0,
            jitter_s=0.0,
            black_hole=False,
            shuffle=False,
            stream_missing=False,
            expired_credentials=False,
            limits=False,
            listening=True,
        )

    async def settle(self) -> None:
        """No new frames; returns when every frame has its answer."""
        self.fleet.send(False)
        await until(lambda: self.fleet.acknowledged >= self.fleet.sent, "every frame that was sent is acknowledged")

    async def delivered(self) -> None:
        """Returns when the gateway owes its sinks nothing."""
        assert self.gateway is not None
        await self.gateway.until_sample(lambda found: found["iotlink_sink_backlog_records"] == 0, "all is delivered")

    async def finish(self, name: str) -> Result:
        """Heals the sink, lets the last gateway deliver and end, and compares."""
        await self.heal()
        assert self.gateway is not None
        await self.settle()
        await self.delivered()
        code = await self.stop()
        if code:
            self.problems.append(f"exit code {code}: {self.gateway.stderr.strip()[-300:]}")
        self.problems += self.fleet.mistakes
        return await self.result(name)

    async def result(self, name: str) -> Result:
        """The balance as it is now."""
        balance = (await read_all(self.kinesis.stored())).close(self.fleet.devices, self.expected)
        for gateway in self._gateways:
            self._note_memory(gateway)
        seconds = time.monotonic() - self._began
        note = ", ".join(self.notes)
        return Result(name, self.plan.packing, balance, seconds, self.rss_max_kib, note, self.problems)

    def signal(self, number: signal.Signals) -> None:
        assert self.gateway is not None
        self.gateway.send_signal(number)
