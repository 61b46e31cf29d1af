from __future__ import annotations

import asyncio

import pytest

from gateway.simulate.fleet import FleetPlan, run_fleet
from gateway.simulate.templates import Script, scripts_of
from tests.decoders.sensor import SPEC, loaded
from tests.gateway.simulate.answering import answering


@pytest.fixture(scope="module")
def scripts() -> list[Script]:
    return scripts_of(loaded())


async def test_a_closed_loop_sends_everything_and_gets_all_answers(scripts: list[Script]) -> None:
    async with answering(scripts[0].product) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=7, frames=20), scripts)
    assert report.ok
    assert (report.devices, report.connected, report.logged_in) == (7, 7, 7)
    assert report.sent == report.acknowledged == report.records == 140
    assert (report.missing, report.wrong, report.unanswered, report.lost_connections) == (0, 0, 0, 0)
    assert report.sent_by_product == {"sensor": 140}
    assert report.ack_ms_p50 is not None
    assert report.ack_ms_p99 is not None
    assert report.ack_ms_p50 <= report.ack_ms_p99
    plain = report.to_plain()
    assert plain["sent"] == 140
    assert "errors" not in plain
    assert sorted(map(len, gateway.frames)) == [21] * 7
    assert len({frames[0] for frames in gateway.frames}) == 7  # each under its own id


async def test_a_closed_loop_has_one_frame_under_way(scripts: list[Script]) -> None:
    held: list[bytes] = []

    def answer(frame: bytes, replies: list[bytes]) -> list[bytes]:
        held.append(frame)
        return replies if len(held) <= 3 else []

    async with answering(scripts[0].product, answer) as gateway:
        plan = FleetPlan("127.0.0.1", gateway.port, devices=1, frames=50, timeout_s=0.2)
        report = await run_fleet(plan, scripts)
    assert (report.sent, report.acknowledged, report.missing) == (3, 2, 1)
    assert [frame[-3] for frame in gateway.frames[0]] == [0, 1, 2, 3]  # serial numbers: the login's, and in order


async def test_a_paced_fleet_keeps_its_pace(scripts: list[Script]) -> None:
    async with answering(scripts[0].product) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=4, frames=10, rate=200), scripts)
    assert report.ok
    assert report.sent == report.acknowledged == 40
    assert report.sent <= 200 * report.elapsed_s + 2


async def test_a_duration_ends_a_fleet_without_a_number_of_frames(scripts: list[Script]) -> None:
    async with answering(scripts[0].product) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=2, frames=0, duration_s=0.2), scripts)
        paced = await run_fleet(
            FleetPlan("127.0.0.1", gateway.port, devices=2, frames=0, duration_s=0.2, rate=50), scripts
        )
    assert report.ok
    assert report.sent == report.acknowledged > 0
    assert paced.ok
    assert 0 < paced.sent <= 50 * paced.elapsed_s + 2


async def test_missing_answers_are_counted_and_waited_for_only_so_long(scripts: list[Script]) -> None:
    def only_logins(frame: bytes, replies: list[bytes]) -> list[bytes]:
        return replies if frame[2] == 1 else []

    async with answering(scripts[0].product, only_logins) as gateway:
        plan = FleetPlan("127.0.0.1", gateway.port, devices=3, frames=5, timeout_s=0.2)
        report = await run_fleet(plan, scripts)
    assert not report.ok
    assert (report.logged_in, report.sent, report.acknowledged, report.missing) == (3, 3, 0, 3)


async def test_a_login_without_an_answer(scripts: list[Script]) -> None:
    async with answering(scripts[0].product, lambda frame, replies: []) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=2, frames=5, timeout_s=0.2), scripts)
    assert not report.ok
    assert (report.logged_in, report.logins_missing, report.sent) == (0, 2, 0)


async def test_a_paced_device_holds_back_what_is_not_answered(scripts: list[Script]) -> None:
    def only_logins(frame: bytes, replies: list[bytes]) -> list[bytes]:
        return replies if frame[2] == 1 else []

    async with answering(scripts[0].product, only_logins) as gateway:
        plan = FleetPlan("127.0.0.1", gateway.port, devices=1, frames=0, rate=1000, duration_s=0.3, timeout_s=0.2)
        report = await run_fleet(plan, scripts)
    assert report.sent == report.missing == 32
    assert report.held_back > 0


async def test_wrong_and_surplus_answers_are_told_apart(scripts: list[Script]) -> None:
    def changed(frame: bytes, replies: list[bytes]) -> list[bytes]:
        return replies if frame[2] == 1 else [bytes(len(replies[0]))]

    async with answering(scripts[0].product, changed) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=1, frames=5), scripts)
    assert not report.ok
    assert (report.wrong, report.acknowledged, report.missing) == (5, 0, 0)
    assert any("the spec says a5" in error for error in report.errors)

    async with answering(scripts[0].product, lambda frame, replies: [*replies, b"more"]) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=1, frames=1), scripts)
    assert report.wrong >= 1
    assert "sensor: an answer that nobody asked for" in report.errors


async def test_a_connection_that_the_gateway_ends(scripts: list[Script]) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        report = await run_fleet(FleetPlan("127.0.0.1", port, devices=2, frames=5, timeout_s=1), scripts)
    assert not report.ok
    assert report.lost_connections == 2
    assert report.errors == {"sensor: the gateway closed the connection": 2}


async def test_nobody_listens(scripts: list[Script]) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    report = await run_fleet(FleetPlan("127.0.0.1", port, devices=2), scripts)
    assert (report.connected, report.sent) == (0, 0)
    assert report.errors == {f"127.0.0.1:{port}: Connection refused": 2}


async def test_frames_without_an_answer_are_followed_at_once() -> None:
    made = scripts_of(loaded(SPEC.replace("    replies: [ack]\n  ack:", "  ack:")))
    async with answering(made[0].product) as gateway:
        report = await run_fleet(FleetPlan("127.0.0.1", gateway.port, devices=2, frames=40), made)
    assert sorted(map(len, gateway.frames)) == [41, 41]
    assert report.ok
    assert (report.sent, report.unanswered, report.acknowledged) == (80, 80, 0)


async def test_without_scripts_there_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="golden frames"):
        await run_fleet(FleetPlan("127.0.0.1", 1), [])
