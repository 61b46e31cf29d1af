"""The course of a run: gateways up, devices in, load and events, everything settled and delivered, the sink compared.

Place in the walk: called by the command line with a scenario; returns its outcome.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from decoders.catalog import Catalog
from loadtest.faults.processes import STREAM, RunFailed, until
from loadtest.fleet.arrivals import Arrivals, Stretch
from loadtest.fleet.balance import SinkBalance
from loadtest.fleet.crowd import FACES, Crowd, quiet_collector
from loadtest.fleet.ground import Address, Ground
from loadtest.fleet.limits import NotAllowed, check_remote, raise_open_files
from loadtest.fleet.model import Event, Load, Reconnect, Restart, Scenario, SinkAway
from loadtest.fleet.outcome import Happened, Outcome, Resources, machine
from loadtest.fleet.rig import Rig
from loadtest.fleet.samples import Sample, Sampler
from loadtest.fleet.sinks import FileWatch, read_stream

__all__ = ["Others", "run"]

_BACK_GUARD_S = 120.0
_POLL_S = 0.02
_QUIET_LOOKS = 20  # of somebody else's files, without a new line


@dataclass(slots=True, frozen=True)
class Others:
    """Gateways that somebody else has started. addresses: by face; records: folders of their file sinks, as far as they
    can be read here."""

    addresses: dict[str, Address]
    key: str = ""
    records: Sequence[Path] = ()
    allow_remote: bool = False


@dataclass
class _Run:
    """One run, from the first connection to the last answer."""

    scenario: Scenario
    ground: Ground
    balance: SinkBalance
    crowd: Crowd
    rig: Rig | None
    sampler: Sampler
    resources: Resources = field(default_factory=Resources)
    happened: list[Happened] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    back_s: float | None = None
    began: float = 0.0

    async def play(self) -> None:
        """RunFailed: it cannot go on."""
        scenario, crowd, used = self.scenario, self.crowd, self.resources
        used.rss_empty_mib = self._rss_mib()
        await crowd.connect_idle()
        if scenario.fleet.idle and self.rig is not None:
            used.idle_kib = (self._rss_mib() - used.rss_empty_mib) * 1024 / scenario.fleet.idle
        await crowd.connect_all()
        quiet_collector()
        self.began = self.ground.now() + scenario.warm_up_s
        self.sampler.began = self.began
        crowd.measure_from(self.began)
        async with asyncio.TaskGroup() as group:
            sampling = group.create_task(self.sampler.run(scenario.scenario), name="samples")
            measuring = group.create_task(self._measure(), name="measure")
            for event in scenario.events:
                group.create_task(self._event(event), name=event.do)
            await crowd.play(Arrivals(_stretches(scenario), scenario.spacing, scenario.seed))
            frames, gateway, fleet = await measuring
            if not await crowd.settle(scenario.settle_s):
                self.problems.append(f"not all frames were answered {scenario.settle_s:g} s after the last was due")
            if self.rig is not None and not await self.rig.delivered(scenario.settle_s):
                self.problems.append(f"the sinks did not have everything {scenario.settle_s:g} s after the last answer")
            used.gateway_cpu_s = self._cpu_s() - gateway
            used.fleet_cpu_s = time.process_time() - fleet
            used.frames = self._acknowledged() - frames
            self.sampler.take()
            used.rss_end_mib = self._rss_mib()
            sampling.cancel()
        self.sampler.end_line()
        used.rss_most_mib = max((sample.rss_mib for sample in self.sampler.samples), default=0.0)
        if not any(isinstance(event, Restart) for event in scenario.events):  # else other processes are compared
            used.growth_mib = _growth(self.sampler.samples, self._watched_window())

    async def _measure(self) -> tuple[int, float, float]:
        """Acknowledged frames and CPU times (gateways, this process) once it is warm."""
        await self._until(0.0)
        return self._acknowledged(), self._cpu_s(), time.process_time()

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, self.began + at_s - self.ground.now()))

    async def _event(self, event: Event) -> None:
        await self._until(event.at_s)
        began = self._at_s()
        match event:
            case Reconnect():
                before = self.crowd.open()
                count = self.crowd.cut(event.share, event.within_s)
                noted = Happened(began, f"{count} connections cut, back within {event.within_s:g} s")
                self.happened.append(noted)
                await self._all_back(before)
                noted.until_s = self._at_s()
                self.back_s = max(self.back_s or 0.0, noted.until_s - began)
            case SinkAway():
                assert self.rig is not None
                noted = Happened(began, "sink away")
                self.happened.append(noted)
                await self.rig.set_sink(away=True)
                await self._until(event.at_s + event.for_s)
                await self.rig.set_sink(away=False)
                noted.until_s = self._at_s()
            case Restart():
                noted = Happened(began, "rolling restart")
                self.happened.append(noted)
                if self.rig is not None:
                    await self.rig.restart_all()
                noted.until_s = self._at_s()

    async def _all_back(self, count: int) -> None:
        try:
            await until(lambda: self.crowd.open() >= count, "all are back", _BACK_GUARD_S)
        except RunFailed:
            self.problems.append(f"{count - self.crowd.open()} of {count} devices did not come back")

    def _watched_window(self) -> tuple[float, float]:
        """In which memory shall be flat: the outage, or the load."""
        for event in self.scenario.events:
            if isinstance(event, SinkAway):
                return event.at_s, event.at_s + event.for_s
        return 0.0, self.scenario.seconds

    def _at_s(self) -> float:
        return round(self.ground.now() - self.began, 2)

    def _acknowledged(self) -> int:
        return sum(self.crowd.tallies[face].acknowledged for face in FACES)

    def _cpu_s(self) -> float:
        return self.rig.cpu_s() if self.rig is not None else 0.0

    def _rss_mib(self) -> float:
        return self.rig.rss_kib() / 1024 if self.rig is not None else 0.0


async def run(scenario: Scenario, catalog: Catalog, folder: Path, others: Others | None = None) -> Outcome:
    """Plays a scenario; its gateways keep their data in `folder`. others: gateways that run already.

    Raises NotAllowed, NothingToSay, UnknownProduct, and RunFailed when the run could not go on.
    """
    if others is not None:
        check_remote([host for host, _ in others.addresses.values()], allowed=others.allow_remote)
        _check_others(scenario, others)
    raise_open_files(scenario, own_gateways=others is None)
    started_at, before = datetime.now(UTC).isoformat(timespec="seconds"), machine()
    ground, balance = Ground(scenario.seed), SinkBalance()
    async with _gateways(scenario, folder, others) as rig:
        ground.addresses = rig.front if rig is not None else dict(others.addresses if others else {})
        key = rig.key if rig is not None else (others.key if others else "")
        crowd = Crowd(scenario.fleet, catalog, ground, balance, key)
        sampler = Sampler(crowd, balance, rig, ground.now)
        running = _Run(scenario, ground, balance, crowd, rig, sampler)
        folders = rig.record_folders if rig is not None else list(others.records if others else ())
        watch = FileWatch(folders, balance, ground.now)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(crowd.run(), name="crowd")]
                if folders and (rig is None or rig.kinesis is None):
                    tasks.append(group.create_task(watch.run(), name="files of the sink"))
                await running.play()
                await crowd.leave()
                for task in tasks:
                    task.cancel()
        except* RunFailed as errors:
            raise _first(errors) from None
        checked = await _compare(rig, watch, balance, ground, folders)
        if rig is not None:
            running.problems += rig.problems
    return _outcome(running, started_at, before, checked)


def _check_others(scenario: Scenario, others: Others) -> None:
    """NotAllowed: the scenario needs gateways of its own, or a face that nobody has named."""
    for event in scenario.events:
        if isinstance(event, SinkAway | Restart):
            raise NotAllowed(f"`{event.do}` is done only to gateways that the run has started itself")
    fleet = scenario.fleet
    for face, devices in zip(FACES, (fleet.trackers, fleet.mqtt.devices, fleet.rest.devices), strict=True):
        if devices and face not in others.addresses:
            raise NotAllowed(f"{devices} devices speak {face.upper()}, and nobody says where (--{face} host:port)")


@asynccontextmanager
async def _gateways(scenario: Scenario, folder: Path, others: Others | None) -> AsyncIterator[Rig | None]:
    if others is not None:
        yield None
        return
    async with Rig(scenario, folder, scenario.fleet.tcp.products) as rig:
        yield rig


async def _compare(
    rig: Rig | None, watch: FileWatch, balance: SinkBalance, ground: Ground, folders: Sequence[Path]
) -> bool:
    """Reads what the sinks have in the end. False: there is nothing to read."""
    if rig is not None:
        await rig.end()
        if rig.kinesis is not None:
            await read_stream(rig.kinesis.endpoint_url, STREAM, balance, ground.now)
            return True
    elif not folders:
        return False
    quiet = 0
    while quiet < (_QUIET_LOOKS if rig is None else 1):
        quiet = 0 if watch.look() else quiet + 1
        await asyncio.sleep(_POLL_S)
    return True


def _outcome(running: _Run, started_at: str, before: dict[str, str], checked: bool) -> Outcome:
    crowd, scenario = running.crowd, running.scenario
    tallies = crowd.tallies
    logins, errors = tallies["tcp"].logins, dict[str, int]()
    for name in ("mqtt", "idle"):
        logins.merge(tallies[name].logins)
    for tally in tallies.values():
        errors |= tally.errors
    wrong = sum(tallies[face].wrong for face in (*FACES, "idle", "dribbling"))
    if wrong:
        running.problems.append(f"{wrong} answers were not those of the spec")
    expected = sum(stretch.count for stretch in _stretches(scenario, warm_up=False))
    return Outcome(
        scenario=scenario,
        started_at=started_at,
        machine=before,
        balance=running.balance.close(crowd.numbers),
        checked=checked,
        seconds=scenario.seconds,
        offered=expected / scenario.seconds,
        answers={name: tallies[name].answers for name in (*FACES, "dribbling")},
        logins=logins,
        until_sink=running.balance.until_sink,
        late=crowd.late,
        counts={name: _counts(crowd, name) for name in tallies if tallies[name].connected or tallies[name].refused},
        errors=errors,
        resources=running.resources,
        samples=running.sampler.samples,
        happened=running.happened,
        other_records=running.balance.other,
        back_s=running.back_s,
        problems=running.problems,
    )


def _counts(crowd: Crowd, name: str) -> dict[str, int]:
    tally = crowd.tallies[name]
    shown = ("sent", "acknowledged", "connected", "refused", "lost_connections", "wrong", "put_off")
    more = ("heartbeats", "heartbeats_answered")
    return {key: getattr(tally, key) for key in (*shown, *more)}


def _stretches(scenario: Scenario, *, warm_up: bool = True) -> list[Stretch]:
    parts: list[Load] = list(scenario.load)
    made = [Stretch(part.seconds, part.rate, part.rate if part.to is None else part.to) for part in parts]
    if warm_up and scenario.warm_up_s:
        made.insert(0, Stretch(scenario.warm_up_s, parts[0].rate, parts[0].rate))
    return made


def _growth(samples: Sequence[Sample], window: tuple[float, float]) -> float | None:
    """From the middle fifth of a time to its last fifth, in MiB; None where there are too few samples."""
    begins, ends = window
    fifth = (ends - begins) / 5
    middle = [one.rss_mib for one in samples if begins + 2 * fifth <= one.at_s < begins + 3 * fifth]
    last = [one.rss_mib for one in samples if ends - fifth <= one.at_s < ends]
    if not middle or not last or not any(middle):
        return None
    return sum(last) / len(last) - sum(middle) / len(middle)


def _first(errors: BaseExceptionGroup[RunFailed]) -> BaseException:
    found: BaseException = errors
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found
