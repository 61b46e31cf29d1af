"""The main job in one command: `python -m loadtest.demo`.

Starts a gateway (a process of its own, as `iotlink serve` runs it), lets a simulated fleet of the shipped products send
frames over TCP, adds some frames that no spec understands, and shows that the sums balance: every frame that was sent
is acknowledged and recorded, or dead-lettered, or refused. With `--sink kinesis` the records go into the fake Kinesis.
Exit code 1 when a sum does not balance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from decoders.checksum import checksum
from gateway.simulate.fleet import FleetPlan, FleetReport, run_fleet
from gateway.simulate.templates import Script, scripts_of
from gateway.specs import ProofMemory, cache_dir, load_catalog, prove_once
from loadtest.fake_kinesis import FakeKinesis

STREAM = "telemetry"
_START_S = 60.0
_END_S = 40.0


@dataclass(slots=True)
class Gateway:
    """A running gateway process and where it listens."""

    process: asyncio.subprocess.Process
    port: int
    observe_port: int


@asynccontextmanager
async def gateway(folder: Path, overrides: list[str]) -> AsyncIterator[Gateway]:
    """`iotlink serve` on free ports with its data in `folder`; ended by SIGTERM, which settles everything."""
    settings = [
        f"gateway.data_dir={folder / 'data'}",
        "tcp.listeners.0.port=0",
        "mqtt.listeners=[]",
        "rest.listeners=[]",
        "observe.port=0",
        "admin.port=0",
        *overrides,
    ]
    arguments = [part for setting in settings for part in ("--set", setting)]
    environ = {"AWS_ACCESS_KEY_ID": "demo", "AWS_SECRET_ACCESS_KEY": "demo", "AWS_REGION": "us-east-1", **os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "serve", *arguments, stdout=asyncio.subprocess.PIPE, env=environ
    )
    try:
        async with asyncio.timeout(_START_S):
            ports = await _listening(process)
        reading = asyncio.create_task(_drop(process), name="log")
        yield Gateway(process, ports["tcp"], ports["observe"])
    finally:
        if process.returncode is None:
            process.terminate()
    async with asyncio.timeout(_END_S):
        await process.wait()
        await reading
    if process.returncode:
        raise SystemExit(f"the gateway ended with exit code {process.returncode}")


async def _listening(process: asyncio.subprocess.Process) -> dict[str, int]:
    """Ports from the log, once the gateway says that it has started."""
    assert process.stdout is not None
    ports: dict[str, int] = {}
    async for line in process.stdout:
        entry = json.loads(line)
        if entry["event"] == "listening":
            ports[entry["face"]] = entry["port"]
        elif entry["event"] == "started":
            return ports
    raise SystemExit("the gateway did not start")


async def _drop(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    async for _line in process.stdout:
        pass


def broken_frames() -> Iterator[bytes]:
    """gt06 frames that are well framed but of a type that the spec does not know."""
    for serial in range(10):
        body = bytes([0x08, 0xEE, 0, 0, 0]) + serial.to_bytes(2, "big")
        yield b"\x78\x78" + body + checksum("crc16_x25").function(body).to_bytes(2, "big") + b"\x0d\x0a"


async def send_broken(port: int, login: bytes) -> int:
    """Logs in as one more device and sends what nobody understands. Returns how many frames."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(login)
    await reader.readexactly(10)
    frames = list(broken_frames())
    writer.write(b"".join(frames))
    writer.write_eof()
    await reader.read()  # the gateway closes once everything is settled
    writer.close()
    return len(frames)


def uplinks(observe_port: int) -> dict[str, int]:
    """Sums of the gateway's own counters: received, in flight, and settled by outcome."""
    with urllib.request.urlopen(f"http://127.0.0.1:{observe_port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    sums: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "iotlink_uplinks_received_total":
                key = "received"
            elif sample.name == "iotlink_uplinks_settled_total":
                key = sample.labels["outcome"]
            elif sample.name == "iotlink_uplinks_in_flight":
                key = "in flight"
            else:
                continue
            sums[key] = sums.get(key, 0) + int(sample.value)
    return sums


def lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob("*.ndjson"))


def scripts() -> list[Script]:
    catalog = load_catalog()
    prove_once(catalog, ProofMemory(cache_dir(os.environ)))
    spoken = (loaded for loaded in catalog.products.values() if "tcp" in loaded.product.spec.transports)
    return [script for loaded in spoken for script in scripts_of(loaded)]


def show(report: FleetReport, broken: int, sums: dict[str, int], records: int, letters: int, where: str) -> bool:
    """Prints the summary; True when every sum balances."""
    sent = report.sent + report.logged_in + broken + 1
    settled = sum(sums[name] for name in ("accepted", "duplicate", "dead_lettered", "refused"))
    print(f"devices         {report.connected:8}   {', '.join(sorted(report.sent_by_product))}")
    print(f"frames sent     {sent:8}   {report.logged_in + 1} logins, {report.sent} data, {broken} broken on purpose")
    print(f"acknowledged    {report.acknowledged:8}   p50 {report.ack_ms_p50} ms, p99 {report.ack_ms_p99} ms")
    print(f"without answer  {report.unanswered:8}   by their spec")
    print(f"recorded        {records:8}   {where}")
    print(f"dead-lettered   {letters:8}   raw bytes and reason kept")
    print(f"gateway         received {sums['received']} = " + " + ".join(f"{sums[name]} {name}" for name in _OUTCOMES))
    checks = {
        "every frame sent was received": sums["received"] == sent,
        "received = accepted + duplicate + dead-lettered + refused + in flight": sums["received"]
        == settled + sums["in flight"],
        "every answer came": report.ok,
        "every record is in the sink": records == report.records,
        "every broken frame is a dead letter": letters == broken == sums["dead_lettered"],
    }
    for text, holds in checks.items():
        print(f"  {'ok ' if holds else 'NOT'} {text}")
    for error, count in report.errors.items():
        print(f"  {error} ({count} times)")
    return all(checks.values())


_OUTCOMES = ("accepted", "duplicate", "dead_lettered", "refused", "in flight")


async def play(folder: Path, devices: int, frames: int, sink: str) -> bool:
    """One demo with its data in `folder`. True when the sums balance."""
    made = await asyncio.to_thread(scripts)
    login = next(script.login for script in made if script.product.id == "concox_gt06" and script.login is not None)
    plan = FleetPlan("127.0.0.1", 0, devices=devices, frames=frames)
    async with FakeKinesis() as kinesis:
        overrides = []
        if sink == "kinesis":
            kinesis.create_stream(STREAM, shards=4)
            overrides = ["sinks={main: {type: kinesis, stream: %s, endpoint_url: '%s'}}" % (STREAM, kinesis.url)]  # noqa: UP031
        async with gateway(folder, overrides) as running:
            plan = FleetPlan("127.0.0.1", running.port, devices=devices, frames=frames)
            report = await run_fleet(plan, made)
            broken = await send_broken(running.port, login.wire(devices + 1, 0, 0))
            sums = await asyncio.to_thread(uplinks, running.observe_port)
        if sink == "kinesis":
            records = len(kinesis.records(STREAM))
            where = f"in the fake Kinesis stream `{STREAM}` at {kinesis.url}"
        else:
            records = lines(folder / "data" / "records")
            where = str(folder / "data" / "records")
        letters = lines(folder / "data" / "dead_letters")
        return show(report, broken, sums, records, letters, where)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--frames", type=int, default=100, help="frames of each device")
    parser.add_argument("--sink", choices=("file", "kinesis"), default="file")
    parser.add_argument("--keep", type=Path, help="folder for the data; default: a temporary one")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
        balanced = asyncio.run(play(options.keep, options.devices, options.frames, options.sink))
    else:
        with tempfile.TemporaryDirectory(prefix="iotlink-demo-") as folder:
            balanced = asyncio.run(play(Path(folder), options.devices, options.frames, options.sink))
    print("the sums balance" if balanced else "THE SUMS DO NOT BALANCE")
    sys.exit(0 if balanced else 1)


if __name__ == "__main__":
    main()
