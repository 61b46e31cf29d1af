"""kill -9 in the middle of QoS 1 and QoS 2 bursts: `python -m loadtest.mqtt.kill`.

One gateway after the other on the same data, killed at random moments, its start included; clients with persistent
sessions (half 3.1.1, half 5.0) resume. At the end every message that was acknowledged must be a record in the files, in
order of first appearances per client, and a QoS 2 message must be just one. A record may stand there twice under one
name (gateway_id, epoch, seq): the sink is at least once, and the name tells. Beside telemetry, notes are published that
subscribers who are away must get when they come back, in order and those of QoS 2 once, and retained messages, of which
the last must be there.
Exit code 1 when something of this does not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import uvloop

from gateway.protocol.mqtt.packets import V5, V311, Publish
from loadtest.faults.balance import Balance, Reader
from loadtest.faults.processes import GatewayProcess, RunFailed, until
from loadtest.mqtt.resuming import Crew, Listener, Sender
from loadtest.mqtt.servers import gateway_settings, mqtt_address
from loadtest.mqtt.telemetry import numbered, topic

__all__ = ["Plan", "Result", "Row", "head", "kill"]


@dataclass(slots=True)
class Plan:
    """devices: of each QoS. longest_s: that a gateway lives after its start. notes: per publisher; they wait in queues
    that are in every snapshot. launcher: module that is run instead of `gateway`."""

    folder: Path
    rounds: int = 50
    seed: int = 1
    devices: int = 6
    longest_s: float = 1.0
    notes: int = 2_000
    launcher: str = "gateway"


@dataclass(slots=True)
class Row:
    """What became of the telemetry of one QoS. sent_again: how often a message, or its release, was sent again by its
    client. resumed: how often a session was there after a restart."""

    qos: int
    balance: Balance
    sent_again: int
    resumed: int

    @property
    def holds(self) -> bool:
        return self.balance.holds and not (self.qos == 2 and self.balance.resent)


@dataclass(slots=True)
class Result:
    rows: list[Row]
    seconds: float
    note: str
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.problems and all(row.holds for row in self.rows)


class _Rig:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.crew = Crew(plan.seed)
        self.gateway: GatewayProcess | None = None
        self.devices = {qos: [_device(self.crew, qos, n) for n in range(plan.devices)] for qos in (1, 2)}
        self.writers = [
            Sender(self.crew, f"writer-{qos}", version, qos, functools.partial(_note, qos), burst=4, limit=plan.notes)
            for qos, version in ((1, V311), (2, V5))
        ]
        self.keepers = [
            Sender(self.crew, f"keeper-{qos}", version, qos, functools.partial(_latest, qos), burst=4, pause_s=0.2)
            for qos, version in ((1, V5), (2, V311))
        ]
        self.listeners = [
            Listener(self.crew, f"away-qos{qos}-{version}", "notes/+", version=version, qos=qos)
            for qos in (1, 2)
            for version in (V311, V5)
        ]

    @property
    def senders(self) -> Iterator[Sender]:
        for devices in self.devices.values():
            yield from devices
        yield from self.writers
        yield from self.keepers

    async def start(self) -> None:
        """RunFailed: it ended instead."""
        gateway = await self.spawn()
        await gateway.started()
        self.crew.connect_to(mqtt_address(gateway))

    async def spawn(self) -> GatewayProcess:
        # Small segments, so that snapshots are read back as well as what came after them.
        settings = gateway_settings(
            self.plan.folder,
            "gateway.id=gw-fault",
            "spool.max_bytes=256MiB",
            "spool.segment_bytes=4MiB",
            f"mqtt.sessions.queue_messages={4 * self.plan.notes}",
            "mqtt.sessions.queue_bytes=16MiB",
        )
        self.gateway = GatewayProcess(settings, launcher=[self.plan.launcher], cwd=self.plan.folder)
        await self.gateway.spawn()
        return self.gateway

    async def kill(self) -> None:
        assert self.gateway is not None
        ended = not self.gateway.is_running
        self.crew.connect_to(None)
        await self.gateway.kill()
        if ended:
            raise RunFailed(f"the gateway ended by itself: {self.gateway.stderr.strip()[-500:]}")

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """RunFailed: it does not come to it, or a client got an answer that no server may give."""
        await until(lambda: condition() or bool(self.crew.mistakes), what)
        if self.crew.mistakes:
            raise RunFailed(self.crew.mistakes[0])


def _device(crew: Crew, qos: int, number: int) -> Sender:
    name = f"qos{qos}-{number}"
    return Sender(crew, name, (V311, V5)[number % 2], qos, functools.partial(_telemetry, topic(name)))


def _telemetry(name: str, number: int) -> Publish:
    return Publish(name, numbered(number))


def _note(qos: int, number: int) -> Publish:
    return Publish(f"notes/{qos}", b"%d" % number)


def _latest(qos: int, number: int) -> Publish:
    return Publish(f"latest/{qos}", b"%d" % number, retain=True)


async def kill(plan: Plan) -> Result:
    """One run. RunFailed and what clients found wrong become problems of the result."""
    rig = _Rig(plan)
    began = time.monotonic()
    problems: list[str] = []
    early = 0
    async with rig.crew:
        try:
            early = await _kills(rig)
            await _settle(rig)
            problems += await _look_at_what_waited(rig)
            await _end(rig)
        except (RunFailed, OSError) as error:
            problems.append(f"{type(error).__name__}: {error}")
        finally:
            if rig.gateway is not None:
                await rig.gateway.kill()
    problems += [mistake for mistake in rig.crew.mistakes if not any(mistake in problem for problem in problems)]
    note = f"{plan.rounds} kills, {early} of them before it listened"
    return Result(_rows(rig), time.monotonic() - began, note, problems)


async def _kills(rig: _Rig) -> int:
    """Returns how many of the kills came before the gateway listened."""
    await rig.start()
    for listener in rig.listeners:
        rig.crew.add(listener)
    await rig.until(lambda: all(one.subscribed.is_set() for one in rig.listeners), "the subscriptions are granted")
    for listener in rig.listeners:
        listener.leave()
    for sender in rig.senders:
        rig.crew.add(sender)
    rig.crew.send(True)
    chance = rig.crew.random
    early = 0
    for _ in range(rig.plan.rounds):
        await asyncio.sleep(chance.uniform(0.02, rig.plan.longest_s))
        await rig.kill()
        if chance.random() < 0.1:
            await rig.spawn()
            await asyncio.sleep(chance.uniform(0.1, 1.5))
            await rig.kill()
            early += 1
        await rig.start()
    return early


async def _settle(rig: _Rig) -> None:
    """Every message that was sent is acknowledged; one more kill, so that nothing of that is only in memory."""
    rig.crew.send(False)
    await rig.until(lambda: all(sender.settled for sender in rig.senders), "every message is acknowledged")
    await rig.kill()
    await rig.start()


async def _look_at_what_waited(rig: _Rig) -> list[str]:
    """Lets those come back who were away, kills once more while they read, and looks at what they got."""
    for listener in rig.listeners:
        listener.come_back()
    await rig.until(lambda: all(len(one.notes) >= 20 for one in rig.listeners), "those who were away get messages")
    await rig.kill()
    await rig.start()
    fresh = Listener(rig.crew, "fresh", "latest/+", clean=True)
    rig.crew.add(fresh)
    last = _note_topic("last")
    async with Crew() as late:  # of its own, since the others shall send no more
        late.add(Sender(late, "writer-last", V5, 1, lambda number: Publish(last, b"%d" % number), limit=1))
        late.send(True)
        late.connect_to(rig.crew.address)
        await rig.until(lambda: all((last, b"1") in one.notes for one in rig.listeners), "the last note comes")
    await rig.until(lambda: len(fresh.notes) >= len(rig.keepers), "the retained messages come")
    problems = []
    for listener in rig.listeners:
        for writer, qos in zip(rig.writers, (1, 2), strict=True):
            problems += _note_problems(listener, writer, _note_topic(str(qos)), once=listener.qos == qos == 2)
    retained = {name: int(payload) for name, payload in fresh.notes}
    for keeper, qos in zip(rig.keepers, (1, 2), strict=True):
        if retained.get(f"latest/{qos}") != keeper.sent:
            problems.append(
                f"latest/{qos}: {retained.get(f'latest/{qos}')} is retained, {keeper.sent} was the last one"
            )
    return problems


def _note_topic(name: str) -> str:
    return f"notes/{name}"


def _note_problems(listener: Listener, writer: Sender, name: str, *, once: bool) -> list[str]:
    numbers = [int(payload) for topic_name, payload in listener.notes if topic_name == name]
    first = list(dict.fromkeys(numbers))
    missing = sorted(set(range(1, writer.acknowledged + 1)) - set(first))
    problems = []
    if missing:
        problems.append(f"{listener.device_id}: {len(missing)} of {writer.acknowledged} {name} missing: {missing[:5]}")
    if once and len(numbers) > len(first):
        problems.append(f"{listener.device_id}: {len(numbers) - len(first)} {name} came again")
    if first != sorted(first):
        problems.append(f"{listener.device_id}: {name} out of order")
    return problems


async def _end(rig: _Rig) -> None:
    """The sink gets everything; SIGTERM."""
    gateway = rig.gateway
    assert gateway is not None
    await gateway.until_sample(lambda found: found["iotlink_sink_backlog_records"] == 0, "all is delivered")
    rig.crew.connect_to(None)
    rig.crew.leave()
    code = await gateway.terminate()
    if code:
        raise RunFailed(f"exit code {code}: {gateway.stderr.strip()[-300:]}")


def _rows(rig: _Rig) -> list[Row]:
    readers = {qos: Reader() for qos in rig.devices}
    kinds = {device.device_id: qos for qos, devices in rig.devices.items() for device in devices}
    for path in sorted((rig.plan.folder / "data" / "records").rglob("*.ndjson")):
        for line in path.read_bytes().split(b"\n")[:-1]:  # a kill may tear the last one
            record = orjson.loads(line)
            readers[kinds[record["device_id"]]].take(record)
    return [
        Row(
            qos,
            readers[qos].close(devices),
            sum(device.sent_again for device in devices),
            sum(device.resumed for device in devices),
        )
        for qos, devices in rig.devices.items()
    ]


_COLUMNS = ("QoS", "sent", "acknowledged", "arrived", "lost", "out of order", "repeated", "resent", "sent again")


def head() -> str:
    return "| " + " | ".join(_COLUMNS) + " | resumed |\n|" + "---|" * (len(_COLUMNS) + 1)


def line(row: Row) -> str:
    one = row.balance
    cells: Sequence[object] = (
        *(row.qos, one.sent, one.acknowledged, one.arrived, one.lost, one.disordered, one.repeated, one.resent),
        *(row.sent_again, row.resumed),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m loadtest.mqtt.kill", description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=50, help="kills (default %(default)s)")
    parser.add_argument("--devices", type=int, default=6, help="clients of each QoS (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="iotlink-mqtt-kill-") as folder:
        plan = Plan(Path(folder), rounds=options.rounds, seed=options.seed, devices=options.devices)
        result = uvloop.run(kill(plan))
    print(head())
    for row in result.rows:
        print(line(row))
    print(f"\n{result.note}, {result.seconds:.0f} s")
    for problem in (*result.problems, *(example for row in result.rows for example in row.balance.examples)):
        print(f"    {problem}", file=sys.stderr)
    return 0 if result.holds else 1


if __name__ == "__main__":
    raise SystemExit(main())
