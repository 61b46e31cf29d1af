from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from decoders.errors import DecodeError
from decoders.json_text import read_json
from gateway.domain.errors import RefuseReason
from gateway.domain.receipt import Outcome
from gateway.ingress.rest.answers import ItemError
from gateway.ingress.rest.body import Body, BodyLimits
from gateway.ingress.rest.csv_records import CsvCutter
from gateway.ingress.rest.exchange import EXCHANGE
from gateway.ingress.rest.intake import Intake
from gateway.ingress.rest.lines import Cutter, Line, LineCutter
from gateway.ingress.rest.receipts import ItemReceipt, Window
from gateway.ingress.rest.uploads import MAX_ERRORS, Upload, UploadLimits, UploadTally
from gateway.observe.problems import Problem, ProblemCode
from tests.gateway.fakes import FakeOutbox
from tests.gateway.ingress.rest.rig import GUARD_S, serving

LIMITS = UploadLimits(window=Window(10, 1_000), room_s=GUARD_S, settle_s=GUARD_S)
MAX_LINE_BYTES = 100


class Bench:
    """An upload into a fake outbox; each line is JSON with `n`. Lines `null` mean nothing."""

    def __init__(
        self, outbox: FakeOutbox | None = None, limits: UploadLimits = LIMITS, cutter: Cutter | None = None
    ) -> None:
        self.outbox = outbox or FakeOutbox()
        self.intake = Intake(self.outbox)
        self.taken: list[int] = []
        self.upload = Upload(cutter or LineCutter(MAX_LINE_BYTES), self.take, self.intake, limits)

    def take(self, line: Line, make: Callable[[], ItemReceipt]) -> ItemError | None:
        if line.too_long:
            return ItemError("too_large", "the line is longer than is taken", status=413)
        try:
            document = read_json(line.data)
        except DecodeError as error:
            return ItemError(error.code.value, "no JSON", status=400)
        if document is None:
            return None
        self.taken.append(document["n"])
        match document.get("refuse"):
            case None:
                self.outbox.put(make(), [])
            case reason:
                self.outbox.settle(make(), Outcome.REFUSED, reason)
        return None

    async def run(self, pieces: Iterable[bytes]) -> tuple[int, Any]:
        async with asyncio.timeout(GUARD_S):
            answer = await self.upload.run(coming(pieces))
        return answer.status, orjson.loads(answer.body)

    async def broken(self, pieces: Iterable[bytes]) -> Problem:
        with pytest.raises(Problem) as caught:
            await self.run(pieces)
        return caught.value


async def coming(pieces: Iterable[bytes]) -> AsyncGenerator[bytes, None]:
    for piece in pieces:
        yield piece


def lines(numbers: Iterable[int], **more: str) -> bytes:
    return b"".join(orjson.dumps({"n": n, **more}) + b"\n" for n in numbers)


async def test_every_line_is_accounted_for() -> None:
    bench = Bench()
    data = lines(range(100)) + b"\r\nnull\n{\n" + lines(range(100, 103)) + b"x" * 200 + b'\n{"n":103}'
    status, document = await bench.run([data[at : at + 33] for at in range(0, len(data), 33)])
    assert bench.taken == list(range(104))
    assert status == 207
    assert document == {
        "lines": 108,
        "accepted": 104,
        "rejected": 2,
        "errors": [
            {"line": 103, "code": "bad_document", "message": "no JSON"},
            {"line": 107, "code": "too_large", "message": "the line is longer than is taken"},
        ],
        "errors_truncated": False,
    }


async def test_all_accepted_none_accepted_and_nothing_there() -> None:
    assert (await Bench().run([lines(range(3))]))[0] == 200
    assert await Bench().run([]) == (
        200,
        {"lines": 0, "accepted": 0, "rejected": 0, "errors": [], "errors_truncated": False},
    )
    status, document = await Bench().run([b"{\n}\n"])
    assert (status, document["code"], document["rejected"], len(document["errors"])) == (400, "nothing_accepted", 2, 2)
    status, document = await Bench().run([lines([1], refuse=RefuseReason.OUTBOX_FULL.value), b"{\n"])
    assert (status, document["errors"][0]["retry"]) == (503, True)


async def test_csv_records_have_the_number_of_their_first_line() -> None:
    seen: list[Line] = []

    def take(line: Line, make: Callable[[], ItemReceipt]) -> ItemError | None:
        seen.append(line)
        return ItemError("bad_value", "no") if line.number > 1 else None

    upload = Upload(CsvCutter(100), take, Intake(FakeOutbox()), LIMITS)
    answer = await upload.run(coming([b'a;b\n1;"x\n', b'y"\n2;z']))
    assert [line.number for line in seen] == [1, 2, 4]
    assert [error["line"] for error in orjson.loads(answer.body)["errors"]] == [2, 4]
    assert upload.lines == 4


def test_the_first_errors_by_line_are_told() -> None:
    tally = UploadTally()
    order = [(n * 7919) % 5_000 + 1 for n in range(5_000)]
    for line in order:
        tally.reject(line, ItemError("x", "y"))
    document = orjson.loads(tally.answer(5_000, 0).body)
    assert [error["line"] for error in document["errors"]] == list(range(1, MAX_ERRORS + 1))
    assert (document["rejected"], document["errors_truncated"]) == (5_000, True)


def test_a_dead_letter_is_kept_and_told() -> None:
    tally = UploadTally()
    receipt = ItemReceipt(lambda _: None, 3, 0)
    receipt.outcome, receipt.reason = Outcome.DEAD_LETTERED, "bad_check"
    tally.settled(receipt)
    answer = tally.answer(3, 0)
    assert answer.status == 200
    errors = [{"line": 3, "code": "bad_check", "message": "kept as a dead letter"}]
    assert orjson.loads(answer.body)["errors"] == errors


async def test_reading_waits_while_too_much_is_unsettled() -> None:
    outbox = FakeOutbox(hold=True)
    bench = Bench(outbox)
    running = asyncio.create_task(bench.run([lines(range(n, n + 5)) for n in range(0, 1_000, 5)]))
    most = 0
    while not running.done():
        await asyncio.sleep(0)
        most = max(most, len(outbox.waiting))
        if len(outbox.waiting) >= 10 or len(bench.taken) == 1_000:
            outbox.settle_all()
    assert await running == (
        200,
        {"lines": 1_000, "accepted": 1_000, "rejected": 0, "errors": [], "errors_truncated": False},
    )
    assert most <= 15


async def test_reading_waits_while_there_is_no_room() -> None:
    bench = Bench()
    bench.outbox.set_room(False)
    running = asyncio.create_task(bench.run([lines(range(5))]))
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.taken == []
    bench.outbox.set_room(True)
    assert (await running)[0] == 200


@pytest.mark.parametrize("at", [0, 40])
async def test_without_room_for_long_it_says_how_far_it_came(at: int) -> None:
    bench = Bench(limits=UploadLimits(room_s=0, settle_s=GUARD_S))
    take = bench.upload._take

    def fill(line: Line, make: Callable[[], ItemReceipt]) -> ItemError | None:
        if line.number == at:
            bench.outbox.set_room(False)
        return take(line, make)

    bench.upload._take = fill
    if not at:
        bench.outbox.set_room(False)
    problem = await bench.broken([lines(range(1_000))])
    document = problem.document()
    assert (problem.status, problem.code) == (503, ProblemCode.NO_ROOM)
    assert (document["lines"], document["accepted"], document["rejected"]) == (len(bench.taken), len(bench.taken), 0)
    assert at <= len(bench.taken) < at + 32
    resumed = Bench()
    await resumed.run([lines(range(document["lines"], 1_000))])
    assert bench.taken + resumed.taken == list(range(1_000))


async def test_a_gateway_that_goes_down_answers_what_it_took() -> None:
    outbox = FakeOutbox(hold=True)
    bench = Bench(outbox)
    running = asyncio.create_task(bench.broken([lines(range(10)), lines(range(10, 20))]))
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(outbox.waiting) == 10
    bench.intake.drain()
    outbox.settle_all()
    problem = await running
    assert problem.code is ProblemCode.DRAINING
    assert (problem.document()["accepted"], problem.document()["lines"]) == (10, 10)


async def test_a_gateway_that_goes_down_does_not_wait_for_the_client() -> None:
    benches: list[Bench] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        benches.append(Bench())
        body = Body(request, BodyLimits(200_000, "rest.max_upload_bytes"))
        return (await benches[0].upload.run(body.pieces())).response("r")

    async with serving({"/up": handler}) as served:
        reader, writer = await served.connect()
        writer.write(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n" + lines(range(5)))
        async with asyncio.timeout(GUARD_S):
            while not (benches and benches[0].taken):  # noqa: ASYNC110 - nothing tells of it
                await asyncio.sleep(0.001)
            benches[0].intake.drain()
            answer = await reader.readuntil(b"}")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"code":"draining"' in answer
    assert b'"lines":5,"accepted":5' in answer


async def test_what_is_not_settled_in_time_is_pending() -> None:
    limits = UploadLimits(window=Window(10, 1_000), settle_s=0)
    bench = Bench(FakeOutbox(hold=True), limits)
    status, document = await bench.run([lines(range(3))])
    assert (status, document["pending"], document["code"]) == (503, 3, "not_settled")
    problem = await Bench(FakeOutbox(hold=True), limits).broken([lines(range(40))])
    assert problem.document()["lines"] == 32
    assert (problem.status, problem.code, problem.document()["pending"]) == (503, ProblemCode.NOT_SETTLED, 32)


async def test_a_body_that_breaks_off_is_told_with_its_counts() -> None:
    data = gzip.compress(lines(range(10_000)), mtime=0)

    async def handler(request: web.Request) -> web.StreamResponse:
        bench = Bench()
        exchange = request[EXCHANGE]
        exchange.take_time()
        body = Body(request, BodyLimits(200_000, "rest.max_upload_bytes"))
        answer = await bench.upload.run(body.pieces())
        exchange.hurry()
        return answer.response(exchange.request_id)

    async with serving({"/up": handler}) as served, aiohttp.ClientSession() as session:
        for body, status, code in (
            (data, 200, None),
            (data[:-4], 400, "broken_encoding"),
            (gzip.compress(lines(range(30_000))), 413, "too_large"),
        ):
            async with session.post(served.url + "/up", data=body, headers={"Content-Encoding": "gzip"}) as answered:
                document = await answered.json(content_type=None)
                assert (answered.status, document.get("code")) == (status, code)
                assert document["accepted"] == document["lines"] > 0
                assert document["errors"] == []
