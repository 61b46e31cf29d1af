from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import pytest

from gateway.ingress.rest.intake import Intake
from gateway.observe.problems import Problem, ProblemCode
from tests.gateway.fakes import FakeOutbox

GUARD_S = 30.0


async def refusal(intake: Intake, timeout_s: float = 0) -> Problem:
    with pytest.raises(Problem) as caught:
        await intake.wait(timeout_s)
    return caught.value


async def test_there_is_room() -> None:
    intake = Intake(FakeOutbox())
    intake.check()
    await intake.wait(0)


async def test_there_is_none() -> None:
    outbox = FakeOutbox()
    intake = Intake(outbox)
    outbox.set_room(False)
    with pytest.raises(Problem) as caught:
        intake.check()
    problem = await refusal(intake)
    assert problem.document() == caught.value.document()
    assert (problem.status, problem.code, problem.retry_after_s) == (503, ProblemCode.NO_ROOM, 5)
    assert problem.document()["limit"] == {"name": "spool.max_bytes"}


async def test_all_who_wait_go_on_when_there_is_room() -> None:
    outbox = FakeOutbox()
    intake = Intake(outbox)
    outbox.set_room(False)
    waiting = [asyncio.create_task(intake.wait(GUARD_S)) for _ in range(3)]
    await asyncio.sleep(0)
    outbox.set_room(False)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    outbox.set_room(True)
    await asyncio.gather(*waiting)


async def test_whoever_finds_it_full_again_waits_on() -> None:
    outbox = FakeOutbox()
    intake = Intake(outbox)
    outbox.set_room(False)
    waiting = asyncio.create_task(intake.wait(GUARD_S))
    await asyncio.sleep(0)
    outbox.set_room(True)
    outbox.set_room(False)  # somebody was quicker
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.set_room(True)
    await waiting


async def silent() -> AsyncGenerator[bytes, None]:
    yield b"piece"
    await asyncio.Event().wait()


async def slow() -> AsyncGenerator[bytes, None]:
    raise TimeoutError
    yield b""


async def test_pieces_come_until_the_gateway_goes_down() -> None:
    intake = Intake(FakeOutbox())
    async with contextlib.aclosing(silent()) as pieces:
        assert await intake.next_piece(pieces) == b"piece"
        waiting = asyncio.ensure_future(intake.next_piece(pieces))
        await asyncio.sleep(0)
        intake.drain()
        with pytest.raises(Problem) as caught:
            await waiting
        assert caught.value.code is ProblemCode.DRAINING
        with pytest.raises(Problem):
            await intake.next_piece(pieces)
        assert await anext(pieces, None) is None


async def test_reading_tells_its_own_end_and_its_own_errors() -> None:
    intake = Intake(FakeOutbox())
    with pytest.raises(TimeoutError):
        await intake.next_piece(slow())
    async with contextlib.aclosing(silent()) as pieces:
        await pieces.aclose()
        assert await intake.next_piece(pieces) is None


async def test_a_gateway_that_goes_down_takes_nothing() -> None:
    outbox = FakeOutbox()
    intake = Intake(outbox)
    outbox.set_room(False)
    waiting = asyncio.create_task(refusal(intake, GUARD_S))
    await asyncio.sleep(0)
    intake.drain()
    problem = await waiting
    assert (problem.status, problem.code, problem.headers) == (503, ProblemCode.DRAINING, {"Connection": "close"})
    outbox.set_room(True)
    with pytest.raises(Problem):
        intake.check()
    assert (await refusal(intake)).code is ProblemCode.DRAINING
