from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.errors import CloseReason
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State
from gateway.protocol.session_ports import SessionLimits
from tests.gateway.protocol.session_bench import Bench

# Limits and holding back


def test_frames_in_flight_are_limited_and_reading_is_held_back() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\n" + b"".join(b"D%d\n" % n for n in range(20)))
    assert (session.in_flight, len(bench.outbox.kept), host.held) == (4, 4, True)
    bench.outbox.settle(bench.outbox.waiting.pop(0), Outcome.ACCEPTED)
    assert (session.in_flight, len(bench.outbox.kept), host.held) == (4, 5, True)
    bench.outbox.settle_all()
    assert host.written == b"ldev-1\n" + b"".join(b"d%d\n" % n for n in range(20))
    assert host.holds == [True, False]
    bench.assert_balanced()


def test_reading_goes_on_below_half_of_the_limit() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nD2\nD3\n")
    bench.give(session, b"D4\n")
    assert not host.held
    bench.give(session, b"D5\n")
    assert host.held
    for still_held in (True, True, False):  # 5 frames in all; half of the limit is 2
        bench.outbox.settle(bench.outbox.waiting.pop(0), Outcome.ACCEPTED)
        assert host.held is still_held


def test_bytes_in_flight_are_limited() -> None:
    bench = Bench(hold=True, limits=SessionLimits(bytes_in_flight=10))
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1234567\nD1234567\nD3\n")
    assert (session.in_flight, host.held) == (2, True)
    bench.outbox.settle_all()
    assert (session.in_flight, host.held) == (0, False)
    assert len(bench.outbox.kept) == 3


def test_nothing_is_put_while_the_outbox_has_no_room() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\n")
    bench.gate.open = False
    bench.give(session, b"D1\nD2\n")
    assert (bench.outbox.kept, host.held) == ([], True)
    bench.gate.open = True
    session.resume()
    assert (len(bench.outbox.kept), host.held) == (2, False)
    assert host.written == b"ldev-1\nd1\nd2\n"


def test_the_outbox_may_fill_between_two_frames_of_one_read() -> None:
    bench = Bench()
    session, _ = bench.open()
    put = bench.outbox.put

    def put_and_close_gate(receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
        bench.gate.open = False
        put(receipt, records, states)

    bench.outbox.put = put_and_close_gate  # type: ignore[method-assign]
    bench.give(session, b"Ldev-1\nD1\nD2\n")
    assert len(bench.outbox.kept) == 1


# Time


def test_a_session_that_never_logs_in_is_closed() -> None:
    bench = Bench(limits=SessionLimits(login_timeout_ms=30_000))
    session, host = bench.open()
    for _ in range(29):
        bench.clock.advance(1)
        session.on_clock(bench.clock.now_ms)
    assert host.closed is None
    bench.clock.advance(1)
    session.on_clock(bench.clock.now_ms)
    assert host.closed is CloseReason.LOGIN_TIMEOUT


def test_bytes_do_not_extend_the_login_deadline_but_the_idle_one() -> None:
    bench = Bench(limits=SessionLimits(login_timeout_ms=30_000, idle_timeout_ms=60_000))
    session, host = bench.open()
    for byte in b"Ldev-1\n":
        bench.clock.advance(4)
        bench.give(session, bytes([byte]))
        session.on_clock(bench.clock.now_ms)
    assert host.closed is None
    for byte in b"D12345678":
        bench.clock.advance(59)
        bench.give(session, bytes([byte]))
        session.on_clock(bench.clock.now_ms)
    assert host.closed is None
    bench.clock.advance(60)
    session.on_clock(bench.clock.now_ms)
    assert host.closed is CloseReason.IDLE_TIMEOUT
    assert session.unfinished_bytes == 9


def test_a_drip_of_bytes_without_login_is_closed() -> None:
    bench = Bench(limits=SessionLimits(login_timeout_ms=30_000))
    session, host = bench.open()
    for byte in b"Lxxxxxxx":
        bench.clock.advance(4)
        bench.give(session, bytes([byte]))
        session.on_clock(bench.clock.now_ms)
    assert host.closed is CloseReason.LOGIN_TIMEOUT


def test_a_device_that_waits_for_us_is_not_idle() -> None:
    bench = Bench(hold=True, limits=SessionLimits(idle_timeout_ms=60_000))
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\n")
    for _ in range(5):
        bench.clock.advance(59)
        session.on_clock(bench.clock.now_ms)
    bench.outbox.settle_all()
    bench.gate.open = False
    for _ in range(5):
        bench.clock.advance(59)
        session.on_clock(bench.clock.now_ms)
    assert host.closed is None
    bench.gate.open = True
    bench.clock.advance(60)
    session.on_clock(bench.clock.now_ms)
    assert host.closed is CloseReason.IDLE_TIMEOUT


def test_a_timeout_of_zero_is_off() -> None:
    bench = Bench(limits=SessionLimits(login_timeout_ms=0, idle_timeout_ms=0))
    session, host = bench.open()
    bench.clock.advance(1e6)
    session.on_clock(bench.clock.now_ms)
    bench.give(session, b"Ldev-1\n")
    session.on_clock(bench.clock.now_ms)
    bench.clock.advance(1e6)
    session.on_clock(bench.clock.now_ms)
    assert host.closed is None


# The end


def test_finish_answers_what_was_read_and_takes_no_more() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\n" + b"".join(b"D%d\n" % n for n in range(6)))
    session.finish(CloseReason.SHUTDOWN)
    bench.give(session, b"D9\n")
    assert host.closed is None
    bench.outbox.settle_all()
    assert host.closed is CloseReason.SHUTDOWN
    assert host.written.endswith(b"d4\nd5\n")
    assert len(bench.registry) == 0
    bench.assert_balanced()


def test_finish_closes_at_once_when_nothing_is_in_flight() -> None:
    bench = Bench()
    session, host = bench.open()
    session.finish(CloseReason.PEER_CLOSED)
    assert host.closed is CloseReason.PEER_CLOSED
