"""Streamed uploads: CPU per 100,000 lines of cutting and reading JSON, and memory during a large one.

    python tests/benchmarks/bench_rest_bodies.py [--lines 300000] [--megabytes 64] [--form ndjson|csv] [--gzip]

First a whole upload over loopback into an outbox that settles in the next turn of the event loop; the body is made by
another process as it is sent. CPU is that of the server's process; memory is its resident size at a tenth of the way,
at the end, and its highest. Then the parts alone, out of memory: cutting lines, cutting CSV, reading JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import http.client
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson
import structlog
import uvloop
from aiohttp import web

from decoders.json_text import read_json
from gateway.domain.receipt import Outcome
from gateway.ingress.rest.answers import ItemError
from gateway.ingress.rest.body import Body, BodyLimits
from gateway.ingress.rest.csv_records import CsvCutter
from gateway.ingress.rest.exchange import EXCHANGE, exchanges
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.lines import Cutter, Line, LineCutter
from gateway.ingress.rest.receipts import ItemReceipt
from gateway.ingress.rest.uploads import Upload, UploadLimits
from gateway.observe.problems import Problem

LINE_BYTES = 1024 * 1024
PIECE_LINES = 500


def ndjson(n: int) -> bytes:
    metrics = {"tempC": 20 + n % 90 / 10, "rpm": 1000 + n % 700, "state": "running"}
    return orjson.dumps({"device_id": f"dev-{n % 5000:05}", "ts": 1_772_323_200_000 + n, "metrics": metrics}) + b"\n"


def csv(n: int) -> bytes:
    return b"dev-%05d,%d,%.1f,%d,running\r\n" % (n % 5000, 1_772_323_200_000 + n, 20 + n % 90 / 10, 1000 + n % 700)


MAKERS = {"ndjson": ndjson, "csv": csv}


class NextTurn:
    """Implements what uploads use of OutboxPort: settles in the next turn."""

    def has_room(self) -> bool:
        return True

    def on_room(self, callback: Callable[[bool], None]) -> None:
        pass

    def put(self, receipt: ItemReceipt) -> None:
        asyncio.get_running_loop().call_soon(self._settle, receipt)

    def _settle(self, receipt: ItemReceipt) -> None:
        receipt.outcome = Outcome.ACCEPTED
        assert receipt.on_settled is not None
        receipt.on_settled(receipt)


def cutter_of(form: str) -> Cutter:
    return LineCutter(LINE_BYTES) if form == "ndjson" else CsvCutter(LINE_BYTES)


def alone(lines: int) -> None:
    for form, make in MAKERS.items():
        data = b"".join(map(make, range(lines)))
        pieces = [data[at : at + 65_536] for at in range(0, len(data), 65_536)]
        cutter = cutter_of(form)
        began = time.process_time()
        found = [line for piece in pieces for line in cutter.feed(piece)]
        told(f"{form}: cutting lines of {len(data) // lines} bytes", time.process_time() - began, lines)
        assert len(found) == lines
        if form == "ndjson":
            began = time.process_time()
            for line in found:
                read_json(line.data)
            told("ndjson: reading JSON", time.process_time() - began, lines)


def told(what: str, seconds: float, lines: int) -> None:
    print(f"{what}: {seconds / lines * 100_000:.3f} CPU s per 100,000 lines")


async def upload(form: str, megabytes: int, packed: bool) -> None:
    outbox = NextTurn()
    intake = Intake(outbox)  # type: ignore[arg-type]
    sizes: list[int] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        exchange = request[EXCHANGE]
        exchange.take_time()

        def take(line: Line, make: Callable[[], ItemReceipt]) -> ItemError | None:
            if form == "ndjson":
                read_json(line.data)
            if line.number % 100_000 == 0:
                sizes.append(resident_mb())
            outbox.put(make())
            return None

        body = Body(request, BodyLimits(1 << 40, "rest.max_upload_bytes"))
        try:
            answer = await Upload(cutter_of(form), take, intake, UploadLimits()).run(body.pieces())
        except Problem as problem:
            return problem.response(exchange.request_id)
        return answer.response(exchange.request_id)

    app = web.Application(middlewares=[exchanges(30, lambda **_: None)])
    app.router.add_post("/", handler)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    began = time.process_time()
    command = [
        sys.executable,
        __file__,
        "--form",
        form,
        "--megabytes",
        str(megabytes),
        "--send",
        str(runner.addresses[0][1]),
    ]
    client = await asyncio.create_subprocess_exec(*command, *["--gzip"] * packed, stdout=subprocess.PIPE)
    answered, _ = await client.communicate()
    seconds = time.process_time() - began
    await runner.cleanup()
    document = orjson.loads(answered)
    print(f"{form}{' gzip' * packed}, {megabytes} MiB over HTTP: {document}")
    told(f"{form}{' gzip' * packed}: whole upload", seconds, document["lines"])
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"resident MiB: {sizes[len(sizes) // 10]} at a tenth, {sizes[-1]} at the end, {highest} at most")


def resident_mb() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024 // 1024


def send(port: int, form: str, megabytes: int, packed: bool) -> None:
    """The client: a body that nobody ever holds."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    headers = {"Content-Encoding": "gzip"} if packed else {}
    connection.request("POST", "/", body(form, megabytes, packed), headers, encode_chunked=True)
    sys.stdout.buffer.write(connection.getresponse().read())


def body(form: str, megabytes: int, packed: bool) -> Iterator[bytes]:
    make = MAKERS[form]
    n = size = 0
    while size < megabytes * 1024 * 1024:
        piece = b"".join([make(n + i) for i in range(PIECE_LINES)])
        n += PIECE_LINES
        size += len(piece)
        yield gzip.compress(piece, 1) if packed else piece


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=300_000)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--form", choices=MAKERS, default="ndjson")
    parser.add_argument("--gzip", action="store_true")
    parser.add_argument("--send", type=int, help="the client's part: port to send to")
    options = parser.parse_args()
    if options.send:
        send(options.send, options.form, options.megabytes, options.gzip)
        return
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    uvloop.run(upload(options.form, options.megabytes, options.gzip))
    alone(options.lines)


if __name__ == "__main__":
    main()
