"""CPU of the gateway process per 100,000 gt06 location frames over TCP, beside a bare echo in the same run.

    python tests/benchmarks/bench_tcp.py [--connections 200] [--frames 200000] [--rate 10000] [--to aggregated]

Servers and load generator are processes of their own. The gateway runs as `iotlink serve` does: uvloop, file sink,
acknowledgement after fdatasync; `--to aggregated` sends aggregated records to the fake Kinesis, one more process. The
echo server is uvloop with `transport.write(data)` in `data_received`: what any Python server pays for this traffic.
Closed loop: every connection sends its next frame when the reply is there. Paced: frames go out one by one at the rate,
spread over the connections, without waiting.
CPU is user + system time of the server process, from /proc, between the first and the last frame. Answers are timed
from the write to their arrival, on the machine that also makes the load.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import itertools
import json
import multiprocessing
import os
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import uvloop

LOGIN = "78780d01{imei:0>16}0001"
LOCATION = "78781f12{time}d0024bb93007d3fb783dd4c501940500f2006c8504a6"
STREAM = "telemetry"
SHARDS = 16  # the gateway sends a shard no more than it takes: fewer, and there would be a backlog
TICK = os.sysconf("SC_CLK_TCK")


def login_frame(number: int) -> bytes:
    from decoders.checksum import checksum

    body = bytes.fromhex(LOGIN.format(imei=f"{860000000000000 + number}")[4:])
    return b"\x78\x78" + body + checksum("crc16_x25").function(body).to_bytes(2, "big") + b"\x0d\x0a"


def location_frames(count: int) -> list[bytes]:
    """A golden frame (position with one cell) with today's time and serial numbers of its own, as a device in the field
    would send it: the same frame again would pass for a copy."""
    from decoders.checksum import checksum
    from decoders.times import six_from_ms

    crc = checksum("crc16_x25").function
    body = bytes.fromhex(LOCATION.format(time=six_from_ms(round(time.time() * 1000), 0).hex())[4:])[:-2]
    numbered = [body + serial.to_bytes(2, "big") for serial in range(count)]
    return [b"\x78\x78" + inner + crc(inner).to_bytes(2, "big") + b"\x0d\x0a" for inner in numbered]


class Echo(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data[:10])  # type: ignore[attr-defined]


def run_echo(pipe: Connection) -> None:
    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(pipe.recv)

    uvloop.run(serve())


def run_kinesis(pipe: Connection) -> None:
    """Tells its URL, waits for a word, tells how many records it has."""
    from loadtest.fake_kinesis import FakeKinesis
    from loadtest.kpl_reader import user_records

    async def serve() -> None:
        async with FakeKinesis() as kinesis:
            kinesis.create_stream(STREAM, SHARDS)
            pipe.send(kinesis.url)
            await asyncio.to_thread(pipe.recv)
            pipe.send(sum(len(user_records(stored.data)) for stored in kinesis.records(STREAM)))

    uvloop.run(serve())


def run_gateway(endpoint: str, pipe: Connection) -> None:
    from gateway.cli.serve import build, run
    from gateway.observe.logs import configure_logs
    from gateway.settings.load import load_settings

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        configure_logs("warning", "json", sys.stderr)
        overrides = [f"{port}.port=0" for port in ("tcp.listeners.0", "observe", "admin")]
        overrides += ["tcp.listeners.0.products=[concox_gt06]", "mqtt.listeners=[]", "rest.listeners=[]"]
        if endpoint:
            stream = f"type: kinesis, stream: {STREAM}, region: us-east-1, endpoint_url: '{endpoint}'"
            overrides += [f"sinks={{main: {{{stream}, packing: aggregated}}}}"]
            os.environ |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        gateway = build(load_settings(None, overrides, {}).settings)

        def ready() -> None:
            loop = asyncio.get_running_loop()
            assert gateway.tcp is not None
            pipe.send(gateway.tcp.listeners[0].addresses[0][1])
            loop.run_in_executor(None, lambda: (pipe.recv(), loop.call_soon_threadsafe(gateway.stop)))

        run(gateway, ready)
        lines = sum(path.read_bytes().count(b"\n") for path in Path("data/records").rglob("*.ndjson"))
        pipe.send(lines)  # 0 where the sink is no folder


class Device(asyncio.Protocol):
    """One connection of the load: counts replies; in the closed loop each one sends the next frame."""

    def __init__(
        self, on_reply: Callable[[], bool], login: bytes, frames: Iterator[bytes], waited: list[float]
    ) -> None:
        self.on_reply = on_reply
        self.waited = waited
        self.sent_at: deque[float] = deque()
        self.login = login
        self.frames = frames
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport.write(self.login)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            self.ready.set_result(None)
            return
        now = time.perf_counter()
        for _ in range(len(data) // 10):
            self.waited.append(now - self.sent_at.popleft())
            if self.on_reply():
                self.send()

    def send(self) -> None:
        self.sent_at.append(time.perf_counter())
        self.transport.write(next(self.frames))  # type: ignore[attr-defined]


def _same(device: Device) -> Device:
    return device


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


async def load(port: int, pid: int, connections: int, frames: int, rate: float) -> dict[str, float]:
    """rate 0: closed loop."""
    loop = asyncio.get_running_loop()
    state = {"sent": 0, "answered": 0}
    done = asyncio.Event()

    def on_reply() -> bool:
        state["answered"] += 1
        if state["answered"] >= frames:
            done.set()
        if rate or state["sent"] >= frames:
            return False
        state["sent"] += 1
        return True

    frames_in_turn = location_frames(1024)  # far more than the gateway remembers of a device
    devices = []
    waited: list[float] = []
    for number in range(connections):
        device = Device(on_reply, login_frame(number), itertools.cycle(frames_in_turn), waited)
        await loop.create_connection(functools.partial(_same, device), "127.0.0.1", port)
        devices.append(device)
    await asyncio.gather(*(device.ready for device in devices))
    cpu, start = cpu_s(pid), time.monotonic()
    if rate:
        while state["sent"] < frames:
            due = min(frames, int((time.monotonic() - start) * rate) + 1)
            while state["sent"] < due:
                devices[state["sent"] % connections].send()
                state["sent"] += 1
            await asyncio.sleep(0.0002)
    else:
        for device in devices:
            state["sent"] += 1
            device.send()
    await asyncio.wait_for(done.wait(), 600)
    seconds = time.monotonic() - start
    used = cpu_s(pid) - cpu
    for device in devices:
        device.transport.close()
    waited.sort()
    p50, p99 = (waited[len(waited) * part // 100] * 1000 for part in (50, 99))
    return {"cpu_s_per_100k": used / frames * 100_000, "frames_per_s": frames / seconds, "p50_ms": p50, "p99_ms": p99}


class Server:
    """A process; its function gets the other end of `pipe`."""

    def __init__(self, name: str, target: Callable[[Connection], None]) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=target, args=(theirs,), name=name)
        self.process.start()
        theirs.close()
        assert self.process.pid is not None
        self.pid = self.process.pid


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--frames", type=int, default=200_000)
    parser.add_argument("--rate", type=float, action="append", help="frames a second; may be given again")
    parser.add_argument("--load", choices=("both", "closed", "paced"), default="both")
    parser.add_argument("--to", choices=("file", "aggregated"), default="file", help="where records end")
    options = parser.parse_args()
    kinesis = Server("kinesis", run_kinesis) if options.to == "aggregated" else None
    endpoint = kinesis.pipe.recv() if kinesis is not None else ""
    servers = [Server("echo", run_echo), Server("gateway", functools.partial(run_gateway, endpoint))]
    ports = {server.name: server.pipe.recv() for server in servers}
    print("| server | load | CPU s per 100,000 | frames/s | answer p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|")
    paced = options.rate or [10_000.0]
    rates = {"both": [0.0, *paced], "closed": [0.0], "paced": paced}[options.load]
    expected = 0
    for rate in rates:
        frames = options.frames if not rate else min(options.frames, round(rate * 20))
        expected += frames
        for server in servers:
            result = uvloop.run(load(ports[server.name], server.pid, options.connections, frames, rate))
            label = f"paced {rate:.0f}/s" if rate else f"closed loop, {options.connections} connections"
            figures = (f"{result['cpu_s_per_100k']:.2f}", f"{result['frames_per_s']:.0f}")
            print(
                "|",
                " | ".join((server.name, label, *figures, f"{result['p50_ms']:.2f}", f"{result['p99_ms']:.2f}")),
                "|",
            )
    for server in servers:
        server.pipe.send("stop")
    records = servers[1].pipe.recv()
    for server in servers:
        server.process.join(30)
    if kinesis is not None:
        kinesis.pipe.send("stop")
        records = kinesis.pipe.recv()
        kinesis.process.join(30)
    print(json.dumps({"frames": expected, "records": records}), file=sys.stderr)
    if records != expected:
        raise SystemExit(f"{records} records for {expected} frames")


if __name__ == "__main__":
    main()
