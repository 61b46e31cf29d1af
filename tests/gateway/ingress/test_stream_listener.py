from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from gateway.domain.errors import CloseReason, OperatorError
from gateway.domain.receipt import Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.ingress.tcp import ListenerOptions
from gateway.protocol.session_ports import SessionLimits
from tests.gateway.ingress.rig import GUARD_S, Rig, until


async def test_the_chosen_port_is_in_the_log() -> None:
    with capture_logs() as logs:
        async with Rig() as rig:
            host, port = rig.listener.addresses[0]
            assert port > 0
            assert {
                "event": "listening",
                "log_level": "info",
                "face": "tcp",
                "listener": "l",
                "host": host,
                "port": port,
            } in logs


async def test_a_port_in_use_is_the_operators_and_nothing_stays_open() -> None:
    async with Rig() as rig:
        host, port = rig.listener.addresses[0]
        other = Rig()
        other.server.add(ListenerOptions("taken", host, port), list)
        with pytest.raises(OperatorError, match=f"tcp listener taken: cannot listen on {host}:{port}: .*in use"):
            await other.server.start()
        assert other.listener.addresses == []


async def test_a_full_outbox_stops_the_reading_and_room_starts_it_again() -> None:
    async with Rig() as rig:
        peers = [await rig.log_in(f"dev-{n}") for n in range(3)]
        rig.outbox.set_room(False)
        assert rig.counters.paused == 3
        late = await rig.connect()
        for peer in [*peers, late]:
            peer.send(b"Ilate=1\n" if peer is late else b"D1\n")
        await until(lambda: rig.counters.paused == 4)
        assert rig.outbox.kept == []
        rig.outbox.set_room(True)
        for peer in peers:
            assert await peer.read_line() == b"d1\n"
        assert await late.read_line() == b"i1\n"
        assert rig.counters.paused == 0


async def test_an_outbox_that_fills_while_sessions_resume_holds_the_rest() -> None:
    async with Rig(hold=True, limits=SessionLimits(frames_in_flight=1)) as rig:
        peers = [await rig.log_in(f"dev-{n}") for n in range(3)]
        for peer in peers:
            peer.send(b"D1\nD2\nD3\n")
        await until(lambda: len(rig.outbox.kept) == 3 and rig.counters.paused == 3)
        rig.outbox.set_room(False)
        rig.outbox.settle_all()
        rig.outbox.hold = False
        assert len(rig.outbox.kept) == 3
        put = rig.outbox.put

        def put_and_fill(receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
            rig.outbox.set_room(False)
            put(receipt, records, states)

        rig.outbox.put = put_and_fill  # type: ignore[method-assign]
        for turn in range(6):
            assert (len(rig.outbox.kept), rig.counters.paused) == (3 + turn, 3)
            rig.outbox.set_room(True)
        for peer in peers:
            assert await peer.read_exactly(9) == b"d1\nd2\nd3\n"
        assert [record.lane for record in rig.outbox.records[3:]] == ["dev-0", "dev-1", "dev-2"] * 2


async def test_drain_answers_what_is_in_flight_and_then_closes() -> None:
    async with Rig(hold=True) as rig:
        busy, quiet = await rig.log_in("busy"), await rig.log_in("quiet")
        busy.send(b"D1\nD2\n")
        await until(lambda: len(rig.outbox.kept) == 2)
        address = rig.listener.addresses[0]
        draining = asyncio.ensure_future(rig.server.drain(GUARD_S))
        assert await quiet.read_to_end() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*address)
        assert not draining.done()
        rig.outbox.settle_all()
        assert await busy.read_to_end() == b"d1\nd2\n"
        assert await draining == 0
        assert rig.counters.closed[CloseReason.SHUTDOWN] == 2


async def test_drain_cuts_at_the_deadline_what_is_not_answered() -> None:
    async with Rig(hold=True) as rig:
        peer, silent = await rig.log_in("dev-1"), await rig.connect()
        await rig.accepted(2)
        peer.send(b"D1\n")
        await until(lambda: len(rig.outbox.kept) == 1)
        with capture_logs() as logs:
            assert await rig.server.drain(0.01) == 1
        assert {"event": "connections_cut", "log_level": "warning", "count": 1} in logs
        assert await peer.read_to_end() == b""
        assert await silent.read_to_end() == b""


async def test_drain_of_many_goes_in_slices() -> None:
    async with Rig() as rig:
        peers = [await rig.connect() for _ in range(250)]
        await rig.accepted(250)
        assert await rig.server.drain(GUARD_S) == 0
        assert [await peer.read_to_end() for peer in peers] == [b""] * 250


async def test_drain_is_spread_and_who_has_not_had_its_turn_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.stream_listener.SLICE", 2)
    async with Rig(spread_s=7200.0) as rig:
        peers = [await rig.log_in(f"dev-{number}") for number in range(5)]
        draining = asyncio.ensure_future(rig.server.drain(7200.0))
        assert [await peer.read_to_end() for peer in peers[:2]] == [b"", b""]
        for peer in peers[2:]:
            peer.send(b"D1\n")
            assert await peer.read_exactly(3) == b"d1\n"
        assert rig.listener.connections == 3
        draining.cancel()
        await asyncio.wait([draining])


async def test_the_last_slice_ends_at_the_end_of_the_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.stream_listener.SLICE", 2)
    async with Rig(spread_s=0.02) as rig:
        peers = [await rig.log_in(f"dev-{number}") for number in range(5)]
        assert await rig.server.drain(GUARD_S) == 0
        assert [await peer.read_to_end() for peer in peers] == [b""] * 5


async def test_the_sweep_runs_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.ingress.stream_listener.SWEEP_S", 0.01)
    async with Rig() as rig:
        peer = await rig.connect()
        await rig.accepted(1)
        rig.clock.advance(30)
        assert await peer.read_to_end() == b""
        assert rig.counters.closed[CloseReason.LOGIN_TIMEOUT] == 1
