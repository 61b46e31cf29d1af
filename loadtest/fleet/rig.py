"""What is put under load: gateways as processes of their own, haproxy before several, the fake Kinesis behind them.

Place in the walk: the runner starts a rig, gives its addresses to the fleet, and asks it for CPU time and memory.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from gateway.access.api_keys import hash_api_key, make_api_key
from loadtest.faults.processes import GatewayProcess, KinesisProcess, RunFailed
from loadtest.fleet.ground import Address
from loadtest.fleet.haproxy import Haproxy, Upstream
from loadtest.fleet.model import Scenario

__all__ = ["Rig"]

_CLIENT = "load"
_FACES = ("tcp", "mqtt", "rest")
_SPARE_CONNECTIONS = 64
_METRICS_S = 30.0


@dataclass(slots=True)
class _Gateway:
    """One of the gateways over its restarts. cpu_before: of its processes that have ended."""

    name: str
    folder: Path
    process: GatewayProcess | None = None
    ports: dict[str, int] = field(default_factory=dict)
    cpu_before: float = 0.0


class Rig:
    """`async with Rig(scenario, folder, products) as rig`. key: API key of the REST clients. front: addresses by face.
    processes: all that were ever started.

    products: that speak on the TCP port.
    """

    def __init__(self, scenario: Scenario, folder: Path, products: Sequence[str]) -> None:
        self.key = make_api_key(_CLIENT)
        self.front: dict[str, Address] = {}
        self.kinesis: KinesisProcess | None = None
        self.problems: list[str] = []
        self._scenario = scenario
        self._folder = folder
        self._products = products
        self._gateways = [
            _Gateway(f"gw-{number}", folder / f"gw-{number}") for number in range(1, scenario.gateway.count + 1)
        ]
        self.processes: list[GatewayProcess] = []
        self._haproxy: Haproxy | None = None
        self._resources = contextlib.AsyncExitStack()

    @property
    def record_folders(self) -> list[Path]:
        """Of the file sinks."""
        return [gateway.folder / "data" / "records" for gateway in self._gateways]

    async def __aenter__(self) -> Self:
        try:
            if self._scenario.gateway.sink == "kinesis":
                kinesis = KinesisProcess(shards=self._scenario.gateway.shards, seed=self._scenario.seed)
                self.kinesis = await self._resources.enter_async_context(kinesis)
            for gateway in self._gateways:
                await self._start(gateway)
            await self._open_front()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        for process in self.processes:
            await process.kill()  # one that has ended is only waited for
        await self._resources.aclose()

    # The gateways.

    async def _start(self, gateway: _Gateway) -> None:
        gateway.folder.mkdir(exist_ok=True)
        process = GatewayProcess(self._settings(gateway), cwd=gateway.folder)
        gateway.process = process
        self.processes.append(process)
        await process.spawn()
        await process.started()
        for line in process.events("listening"):
            gateway.ports[line["face"]] = line["port"]

    async def _open_front(self) -> None:
        if len(self._gateways) == 1:
            ports = self._gateways[0].ports
            self.front = {face: ("127.0.0.1", ports[face]) for face in _FACES if face in ports}
            return
        upstreams = [
            Upstream(gateway.name, {face: gateway.ports[face] for face in _FACES}, gateway.ports["observe"])
            for gateway in self._gateways
        ]
        connections = 2 * self._scenario.fleet.connections + _SPARE_CONNECTIONS
        self._haproxy = await self._resources.enter_async_context(Haproxy(self._folder, upstreams, connections))
        self.front = self._haproxy.addresses

    async def restart_all(self) -> None:
        """One after the other, each on the ports that it had. RunFailed: one does not end, or does not come back."""
        for gateway in self._gateways:
            await self._end(gateway)
            await self._start(gateway)
            if self._haproxy is not None:
                await self._haproxy.until_up(gateway.name)

    async def end(self) -> None:
        """SIGTERM to all; returns when they have delivered and ended."""
        await asyncio.gather(*(self._end(gateway) for gateway in self._gateways))

    async def _end(self, gateway: _Gateway) -> None:
        process = gateway.process
        assert process is not None
        gateway.cpu_before += process.cpu_s()
        gateway.process = None
        code = await process.terminate()
        if code:
            self.problems.append(f"{gateway.name} ended with exit code {code}: {process.stderr.strip()[-300:]}")

    def check_alive(self) -> None:
        """RunFailed: a gateway has ended by itself."""
        for gateway in self._gateways:
            process = gateway.process
            if process is not None and not process.is_running:
                raise RunFailed(f"{gateway.name} has ended: {process.stderr.strip()[-500:]}")

    def _settings(self, gateway: _Gateway) -> list[str]:
        fleet = self._scenario.fleet
        ports = {face: gateway.ports.get(face, 0) for face in (*_FACES, "observe")}
        proxied = "true" if len(self._gateways) > 1 else "false"

        def listener(face: str, devices: int, *more: str) -> str:
            parts = [f"name: {face}", "host: 127.0.0.1", f"port: {ports[face]}"]
            parts.append(f"max_connections: {devices + _SPARE_CONNECTIONS}")
            return f"{face}.listeners=[{{{', '.join((*parts, *more))}}}]"

        return [
            f"gateway.id={gateway.name}",
            f"gateway.data_dir={gateway.folder / 'data'}",
            listener("tcp", fleet.trackers, f"products: [{', '.join(self._products)}]", f"proxy_protocol: {proxied}"),
            listener("mqtt", fleet.mqtt.devices, f"proxy_protocol: {proxied}"),
            listener("rest", fleet.rest.devices),
            f"auth.clients=[{{id: {_CLIENT}, api_key_sha256: '{hash_api_key(self.key).hex()}', scopes: [ingest]}}]",
            f"observe.port={ports['observe']}",
            "admin.port=0",
            f"sinks={self._sinks()}",
            *self._scenario.gateway.settings,
        ]

    def _sinks(self) -> str:
        if self.kinesis is None:
            return "{main: {type: file}}"
        return self.kinesis.sinks(self._scenario.gateway.packing)

    # What they say.

    async def metrics(self) -> dict[str, float]:
        """Of all gateways that are there, summed over their labels; {} when none is."""
        found: dict[str, float] = {}
        for gateway in self._gateways:
            if gateway.process is None or not gateway.process.events("started"):
                continue
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(_METRICS_S):
                    for name, value in (await gateway.process.samples()).items():
                        found[name] = found.get(name, 0.0) + value
        return found

    async def delivered(self, guard_s: float) -> bool:
        """Waits until the sinks have everything. False: they have not in that time."""
        try:
            async with asyncio.timeout(guard_s):
                while (await self.metrics()).get("iotlink_sink_backlog_records"):  # noqa: ASYNC110 - asked over HTTP
                    await asyncio.sleep(0.1)
        except TimeoutError:
            return False
        return True

    def cpu_s(self) -> float:
        """User and system time of all gateways so far. What one used between SIGTERM and its end is not known."""
        total = 0.0
        for gateway in self._gateways:
            total += gateway.cpu_before
            if gateway.process is not None:
                with contextlib.suppress(OSError):
                    total += gateway.process.cpu_s()
        return total

    def rss_kib(self) -> int:
        """Resident memory of all gateways now."""
        return sum(gateway.process.look_at_memory() for gateway in self._gateways if gateway.process is not None)

    async def set_sink(self, *, away: bool) -> None:
        assert self.kinesis is not None
        await self.kinesis.set(listening=not away)
