"""What peers do wrong, over real sockets."""

from __future__ import annotations

import asyncio
import resource
import socket

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from gateway.access.admission import Provisioning
from gateway.domain.errors import CloseReason
from gateway.ingress.stream_face import StreamFace
from gateway.protocol.session_ports import SessionLimits
from tests.gateway.fakes import LineProduct
from tests.gateway.ingress.rig import LIMITS, Rig, until


def close_lines(logs: list[EventDict]) -> list[EventDict]:
    return [entry for entry in logs if entry["event"] == "connection_closed"]


# Bytes


async def test_a_truncated_frame_is_no_frame_and_the_log_says_how_much_was_left() -> None:
    with capture_logs() as logs:
        async with Rig() as rig:
            peer = await rig.log_in("dev-1")
            peer.send(b"D12345")
            peer.writer.write_eof()
            assert await peer.read_to_end() == b""
            await rig.closed(CloseReason.PEER_CLOSED)
            assert rig.outbox.kept == []
    (line,) = close_lines(logs)
    assert (line["reason"], line["unfinished_bytes"], line["frames"], line["device_id"]) == (
        "peer_closed",
        6,
        1,
        "dev-1",
    )
    assert (line["bytes_in"], line["bytes_out"], line["product"]) == (13, 7, "line")


async def test_half_a_frame_and_then_silence_ends_at_the_idle_timeout() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"D1")
        await until(lambda: rig.session("dev-1").unfinished_bytes == 2)
        rig.pass_time(299)
        assert rig.listener.connections == 1
        rig.pass_time(1)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.IDLE_TIMEOUT)


async def test_half_a_login_and_then_silence_ends_at_the_login_deadline() -> None:
    async with Rig() as rig:
        peer = await rig.connect()
        peer.send(b"Ldev")
        await rig.accepted(1)
        rig.pass_time(30)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.LOGIN_TIMEOUT)


async def test_frames_that_trickle_in_keep_a_session_alive() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        for number in range(5):
            rig.pass_time(250)
            peer.send(b"D%d\n" % number)
            assert await peer.read_line() == b"d%d\n" % number
        assert rig.listener.connections == 1


async def test_garbage_before_and_between_frames_is_skipped() -> None:
    async with Rig() as rig:
        peer = await rig.connect()
        peer.send(b"\x00\xff.....Ldev-1\n......D1\n..")
        assert await peer.read_exactly(10) == b"ldev-1\nd1\n"
        assert rig.traffic.garbage_bytes == 15


async def test_too_much_garbage_ends_the_connection_with_a_reason() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"." * 101)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.GARBAGE)


async def test_an_overlong_frame_is_skipped_and_the_next_one_answered() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"D" + b"1" * 80 + b"\nD2\n")
        assert await peer.read_line() == b"d2\n"
        assert rig.traffic.decode_errors["frame_too_long"] == 1


async def test_a_wrong_check_value_gets_no_answer_and_is_kept_for_inspection() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"X1\nD2\n")
        assert await peer.read_line() == b"d2\n"
        assert [(letter.reason, letter.raw) for letter in rig.outbox.letters] == [("bad_check", b"X1\n")]


async def test_an_unknown_message_is_kept_and_answered() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"Uwhat\n")
        assert await peer.read_line() == b"uwhat\n"
        (letter,) = rig.outbox.letters
        assert (letter.reason, letter.peer, letter.listener) == ("unknown_message", peer.address, "l")


async def test_nothing_but_wrong_check_values_ends_the_connection() -> None:
    async with Rig() as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"X\n" * 3)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.TOO_MANY_BAD_FRAMES)


async def test_data_without_login_is_refused() -> None:
    async with Rig() as rig:
        peer = await rig.connect()
        peer.send(b"D1\nD2\nD3\n")
        assert await peer.read_to_end() == b""
        assert rig.traffic.refused["not_identified"] == 3
        assert rig.outbox.kept == []


async def test_bytes_of_no_known_protocol_end_the_connection() -> None:
    async with Rig(products=[LineProduct(), LineProduct("other", letters=b"Z")]) as rig:
        peer = await rig.connect()
        peer.send(b"." * 200)
        assert await peer.read_to_end() == b""
        await rig.closed(CloseReason.UNKNOWN_PROTOCOL)


async def test_one_bad_peer_does_not_harm_another() -> None:
    with capture_logs() as logs:
        async with Rig() as rig:
            good, bad = await rig.log_in("good"), await rig.log_in("bad")
            bad.send(b"E\n")
            assert await bad.read_to_end() == b""
            await rig.closed(CloseReason.INTERNAL_ERROR)
            good.send(b"D1\n")
            assert await good.read_line() == b"d1\n"
    assert [entry["log_level"] for entry in logs if entry["event"] == "session_failed"] == ["error"]


# Identity


async def test_a_second_device_with_the_same_identity_takes_over() -> None:
    async with Rig() as rig:
        older = await rig.log_in("dev-1")
        newer = await rig.log_in("dev-1")
        assert await older.read_to_end() == b""
        await rig.closed(CloseReason.TAKEOVER)
        newer.send(b"D1\n")
        assert await newer.read_line() == b"d1\n"


async def test_a_refused_device_is_closed_and_the_log_says_why() -> None:
    with capture_logs() as logs:
        async with Rig(provisioning=Provisioning.KNOWN) as rig:
            peer = await rig.connect()
            peer.send(b"Ldev-1\n")
            assert await peer.read_to_end() == b""
            await rig.closed(CloseReason.REFUSED)
    (line,) = close_lines(logs)
    assert (line["reason"], line["refusal"], line["log_level"]) == ("refused", "unknown_device", "info")


# Crowds


async def test_a_thousand_connections_that_never_log_in_are_all_closed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * 1000 + 200  # both ends are in this process
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"the system allows {hard} open files, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    with capture_logs() as logs:
        async with Rig() as rig:
            peers = [await rig.connect() for _ in range(1000)]
            await rig.accepted(1000)
            device = await rig.log_in("dev-1")
            rig.clock.advance(29)
            rig.server.sweep()
            assert rig.listener.connections == 1001
            rig.clock.advance(1)
            rig.server.sweep()
            await rig.closed(CloseReason.LOGIN_TIMEOUT, 1000)
            assert [await peer.read_to_end() for peer in peers] == [b""] * 1000
            device.send(b"D1\n")
            assert await device.read_line() == b"d1\n"
    assert len(close_lines(logs)) == 20 + 1  # the others are counted, not logged


async def test_the_listener_takes_as_many_connections_as_it_may() -> None:
    async with Rig(max_connections=2) as rig:
        first, second = await rig.log_in("a"), await rig.log_in("b")
        third = await rig.connect()
        assert await third.read_to_end() == b""
        await rig.closed(CloseReason.CONNECTION_LIMIT)
        first.writer.close()
        await rig.closed(CloseReason.PEER_CLOSED)
        await rig.log_in("c")
        second.send(b"D1\n")
        assert await second.read_line() == b"d1\n"


async def test_one_address_gets_its_share() -> None:
    async with Rig(max_per_ip=2) as rig:
        first, _ = await rig.log_in("a"), await rig.log_in("b")
        third = await rig.connect()
        assert await third.read_to_end() == b""
        await rig.closed(CloseReason.PER_IP_LIMIT)
        first.writer.close()
        await rig.closed(CloseReason.PEER_CLOSED)
        await rig.log_in("c")


async def test_a_bare_connect_is_no_news() -> None:
    with capture_logs() as logs:
        async with Rig() as rig:
            peer = await rig.connect()
            peer.writer.close()
            await rig.closed(CloseReason.PEER_CLOSED)
    assert [entry["log_level"] for entry in logs if entry["event"] != "listening"] == ["debug"]


# Peers that do not read


async def test_a_peer_that_never_reads_its_replies_is_not_read_and_then_cut() -> None:
    async with Rig(write_timeout_s=30, max_write_buffer_bytes=1 << 30) as rig:
        peer = await rig.connect(receive_bytes=4096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.send(b"Ldev-1\n" + b"P1000000\n" * 20)
        await until(lambda: rig.counters.paused == 1)
        rig.pass_time(29)
        assert rig.listener.connections == 1
        rig.pass_time(1)
        await rig.closed(CloseReason.SLOW_READER)


async def test_replies_that_pile_up_beyond_the_cap_cut_the_peer_at_once() -> None:
    async with Rig(max_write_buffer_bytes=1 << 20) as rig:
        peer = await rig.connect(receive_bytes=4096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.send(b"Ldev-1\n" + b"P8000000\n" * 2)
        await rig.closed(CloseReason.SLOW_READER)


async def test_a_peer_that_reads_again_goes_on() -> None:
    async with Rig(write_timeout_s=30, max_write_buffer_bytes=1 << 30) as rig:
        peer = await rig.connect(receive_bytes=4096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.send(b"Ldev-1\n" + b"P8000000\n")
        await until(lambda: rig.counters.paused == 1)
        rig.pass_time(29)
        peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await peer.read_exactly(8_000_007)) == 8_000_007
        await until(lambda: rig.counters.paused == 0)
        rig.pass_time(29)
        peer.send(b"D1\n")
        assert await peer.read_line() == b"d1\n"


async def test_a_closed_connection_whose_last_reply_is_not_read_is_cut_in_the_end() -> None:
    async with Rig(write_timeout_s=30, max_write_buffer_bytes=1 << 30) as rig:
        peer = await rig.connect(receive_bytes=4096)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        peer.send(b"Ldev-1\n" + b"P8000000\n")
        await until(lambda: rig.counters.paused == 1)
        await rig.log_in("dev-1")  # takes over
        assert (rig.listener.connections, rig.counters.paused) == (2, 0)
        rig.pass_time(30)
        await rig.closed(CloseReason.TAKEOVER)


async def test_frames_in_flight_hold_back_the_reading() -> None:
    async with Rig(hold=True, limits=SessionLimits(frames_in_flight=4)) as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"".join(b"D%d\n" % number for number in range(500)))
        await until(lambda: rig.counters.paused == 1)
        assert len(rig.outbox.kept) == 4
        settled = 0
        while settled < 500:
            await until(lambda: bool(rig.outbox.waiting))
            settled += len(rig.outbox.waiting)
            rig.outbox.settle_all()
            settled = len(rig.outbox.kept) - len(rig.outbox.waiting)
        expected = b"".join(b"d%d\n" % number for number in range(500))
        assert await peer.read_exactly(len(expected)) == expected
        await until(lambda: rig.counters.paused == 0)


# The end of a connection


async def test_what_was_sent_before_the_end_is_answered() -> None:
    async with Rig(hold=True) as rig:
        peer = await rig.connect()
        peer.send(b"Ldev-1\nD1\nD2\n")
        peer.writer.write_eof()
        await until(lambda: len(rig.outbox.kept) == 2)
        rig.outbox.settle_all()
        assert await peer.read_to_end() == b"ldev-1\nd1\nd2\n"
        await rig.closed(CloseReason.PEER_CLOSED)


async def test_receipts_that_settle_after_a_reset_are_counted() -> None:
    async with Rig(hold=True) as rig:
        peer = await rig.log_in("dev-1")
        peer.send(b"D1\n")
        await until(lambda: len(rig.outbox.kept) == 1)
        peer.reset()
        await rig.closed(CloseReason.CONNECTION_LOST)
        assert rig.metrics.in_flight() == 1
        rig.outbox.settle_all()
        assert rig.metrics.in_flight() == 0


async def test_the_socket_keeps_itself_alive() -> None:
    async with Rig() as rig:
        await rig.log_in("dev-1")
        host = rig.session("dev-1").host
        assert isinstance(host, StreamFace)
        sock = host.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 120
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 30
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_many_devices_at_once_get_their_own_answers_in_order() -> None:
    async def play(rig: Rig, number: int) -> None:
        peer = await rig.log_in(f"dev-{number}")
        for turn in range(20):
            peer.send(b"D%d\nH\n" % (number * 1000 + turn))
            assert await peer.read_exactly(len(b"d%d\nh\n" % (number * 1000 + turn)))
        peer.writer.close()

    async with Rig(limits=LIMITS) as rig:
        async with asyncio.TaskGroup() as tasks:
            for number in range(50):
                tasks.create_task(play(rig, number), name=f"device {number}")
        assert len(rig.outbox.records) == 1000
        for number in range(50):
            own = [record.body for record in rig.outbox.records if record.lane == f"dev-{number}"]
            assert [f'"n":"{number * 1000 + turn}"'.encode() in body for turn, body in enumerate(own)] == [True] * 20
