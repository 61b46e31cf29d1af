from __future__ import annotations

import pytest

from decoders.framing.plan import Frame
from decoders.types import Identity, SessionContext
from gateway.access.admission import Provisioning
from gateway.domain.device import DeviceKey
from gateway.domain.errors import CloseReason, RefuseReason
from gateway.domain.receipt import Outcome
from gateway.protocol.device_session import MAX_GREETINGS, SessionState
from gateway.protocol.session_ports import SessionLimits
from tests.gateway.fakes import LineProduct
from tests.gateway.protocol.session_bench import Bench

# The plain walk


def test_a_device_logs_in_sends_and_is_answered() -> None:
    bench = Bench()
    session, host = bench.open()
    states = [session.state]
    bench.give(session, b"Ldev-1\n")
    states.append(session.state)
    assert states == [SessionState.WAITING, SessionState.ADMITTED]
    bench.give(session, b"D1\n")
    bench.give(session, b"H\n")
    assert host.writes == [b"ldev-1\n", b"d1\n", b"h\n"]
    (record,) = bench.outbox.records
    assert record.lane == "dev-1"
    assert (bench.traffic.frames, bench.traffic.frame_bytes, bench.traffic.received) == (3, 12, 3)
    assert bench.traffic.replies == 3
    assert bench.traffic.outcomes[Outcome.ACCEPTED] == 3
    bench.assert_balanced()


def test_an_uplink_carries_what_its_dead_letter_will_need() -> None:
    bench = Bench()
    session, _ = bench.open()
    bench.give(session, b"Ldev-1\nU7\n")
    (letter,) = bench.outbox.letters
    assert (letter.dead_letter_id, letter.raw, letter.received_ms) == ("u2", b"U7\n", bench.clock.now_ms)
    assert (letter.listener, letter.session_id, letter.peer, letter.device_id) == ("l", "s1", "p", "dev-1")
    assert letter.session == SessionContext("dev-1", received_ms=bench.clock.now_ms, values={"logged_in_with": "L"})


def test_frames_need_no_stream() -> None:
    bench = Bench()
    session, host = bench.open()
    kind = bench.products[0].framing.kinds[0]
    session.receive_frames([Frame(kind, b"Ldev-1\n"), Frame(kind, b"D1\n")], 5)
    assert host.written == b"ldev-1\nd1\n"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_how_the_bytes_are_split_does_not_matter(size: int) -> None:
    bench = Bench()
    session, host = bench.open()
    stream = b"Ldev-1\nD1\nH\nD22\n"
    for at in range(0, len(stream), size):
        bench.give(session, stream[at : at + size])
    assert host.written == b"ldev-1\nd1\nh\nd22\n"


# Answers


def test_no_answer_before_the_receipt_settles() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\n")
    assert host.writes == [b"ldev-1\n"]
    bench.outbox.settle_all()
    assert host.writes == [b"ldev-1\n", b"d1\n"]


def test_answers_leave_in_order_of_arrival_and_a_run_in_one_write() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nH\nD2\nD3\n")
    first, second, third = bench.outbox.waiting
    bench.outbox.settle(third, Outcome.ACCEPTED)
    bench.outbox.settle(second, Outcome.ACCEPTED)
    assert host.written == b"ldev-1\n"
    bench.outbox.settle(first, Outcome.ACCEPTED)
    assert host.writes == [b"ldev-1\n", b"d1\nh\nd2\nd3\n"]
    bench.assert_balanced()


def test_answers_to_one_read_leave_in_one_write() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nD2\n")
    assert host.writes == [b"ldev-1\nd1\nd2\n"]


def test_a_duplicate_and_a_dead_letter_are_answered() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nD2\n")
    bench.outbox.settle(bench.outbox.waiting[0], Outcome.DUPLICATE)
    bench.outbox.settle(bench.outbox.waiting[1], Outcome.DEAD_LETTERED, "contract")
    assert host.written == b"ldev-1\nd1\nd2\n"


@pytest.mark.parametrize("reason", [RefuseReason.TOO_LARGE, RefuseReason.RATE_LIMITED])
def test_a_refused_frame_gets_no_answer_and_others_do(reason: RefuseReason) -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nD2\n")
    bench.outbox.settle(bench.outbox.waiting[0], Outcome.REFUSED, reason.value)
    bench.outbox.settle(bench.outbox.waiting[1], Outcome.ACCEPTED)
    assert host.written == b"ldev-1\nd2\n"
    assert bench.traffic.refused[reason.value] == 1
    bench.assert_balanced()


@pytest.mark.parametrize("reason", [RefuseReason.OUTBOX_FULL, RefuseReason.SINK_FAILED])
def test_a_frame_that_could_not_be_kept_ends_the_connection_before_later_answers(reason: RefuseReason) -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nD2\nD3\n")
    first, second, third = bench.outbox.waiting
    bench.outbox.settle(second, Outcome.REFUSED, reason.value)
    bench.outbox.settle(third, Outcome.ACCEPTED)
    assert host.closed is None
    bench.outbox.settle(first, Outcome.ACCEPTED)
    assert host.written == b"ldev-1\nd1\n"
    assert host.closed is not None
    bench.assert_balanced()


def test_sums_balance_when_receipts_settle_after_the_connection_is_gone() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\nD2\nD3\n")
    session.lost()
    assert bench.metrics.in_flight() == 3
    bench.outbox.settle_all()
    assert host.written == b"ldev-1\n"
    assert bench.traffic.outcomes[Outcome.ACCEPTED] == 4
    bench.assert_balanced()


def test_an_error_of_ours_while_answering_ends_this_session_only() -> None:
    class Failing(LineProduct):
        def replies(self, *args: object) -> list[bytes]:
            raise RuntimeError("no reply")

    bench = Bench(hold=True, products=[Failing()])
    session, host = bench.open()
    kind = bench.products[0].framing.kinds[0]
    session.receive_frames([Frame(kind, b"Idev-1=1\n")], 5)
    bench.outbox.settle_all()  # does not raise
    assert [str(error) for error in host.errors] == ["no reply"]
    assert host.closed is CloseReason.INTERNAL_ERROR
    bench.assert_balanced()


# Bad input


def test_a_wrong_check_value_gets_no_answer_and_a_dead_letter() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nX1\nD2\n")
    assert host.written == b"ldev-1\nd2\n"
    assert [letter.reason for letter in bench.outbox.letters] == ["bad_check"]
    assert bench.traffic.decode_errors["bad_check"] == 1
    bench.assert_balanced()


def test_a_message_that_nobody_knows_is_kept_and_answered() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nUx\n")
    assert host.written == b"ldev-1\n"
    bench.outbox.settle_all()
    assert host.written == b"ldev-1\nux\n"
    bench.assert_balanced()


def test_wrong_check_values_in_a_row_end_the_connection() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nX\nX\nD1\nX\nX\nUx\nX\nX\n")
    assert host.closed is None
    bench.give(session, b"X\n")
    assert host.closed is CloseReason.TOO_MANY_BAD_FRAMES
    assert session.state is SessionState.CLOSED
    bench.give(session, b"D2\n")
    assert bench.outbox.records[-1].body.count(b'"n":"1"') == 1
    bench.assert_balanced()


def test_data_before_login_is_refused_and_not_kept() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"D1\nUx\n")
    assert (bench.outbox.kept, host.writes, host.closed) == ([], [], None)
    assert bench.traffic.refused["not_identified"] == 2
    bench.give(session, b"X\n")
    assert host.closed is CloseReason.TOO_MANY_BAD_FRAMES
    assert bench.traffic.outcomes[Outcome.REFUSED] == 3
    bench.assert_balanced()


def test_a_greeting_is_answered_before_anybody_has_a_name() -> None:
    bench = Bench(tap=True)
    session, host = bench.open()
    bench.give(session, b"H1\nH2\n")
    assert host.writes == [b"h1\nh2\n"]
    assert (session.state, bench.outbox.kept) == (SessionState.WAITING, [])
    assert bench.traffic.outcomes[Outcome.ACCEPTED] == 2
    bench.give(session, b"Ldev-1\nH3\n")
    assert host.writes[1:] == [b"ldev-1\nh3\n"]
    assert ("in", b"H1\n", "heartbeat") in bench.tap.seen
    bench.assert_balanced()


def test_greetings_are_neither_bad_frames_nor_a_login() -> None:
    bench = Bench(limits=SessionLimits(max_bad_frames=3, login_timeout_ms=1000))
    session, host = bench.open()
    bench.give(session, b"H\n" * 5 + b"D1\nH\nD2\nH\n")
    assert (host.closed, bench.traffic.refused["not_identified"]) == (None, 2)
    session.on_clock(bench.clock.now_ms + 999)
    assert host.closed is None
    bench.give(session, b"H\n")
    session.on_clock(bench.clock.now_ms + 1000)
    assert host.closed is CloseReason.LOGIN_TIMEOUT
    bench.assert_balanced()


def test_nobody_may_ask_for_ever() -> None:
    bench = Bench(limits=SessionLimits(max_bad_frames=3))
    session, host = bench.open()
    bench.give(session, b"H\n" * (MAX_GREETINGS + 2))
    assert host.written == b"h\n" * MAX_GREETINGS
    assert host.closed is None
    bench.give(session, b"H\n")
    assert host.closed is CloseReason.TOO_MANY_BAD_FRAMES
    bench.assert_balanced()


def test_a_greeting_is_answered_in_its_turn() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"H1\nLdev-1\nD1\nH2\n")
    assert host.written == b"h1\nldev-1\n"
    bench.outbox.settle_all()
    assert host.written == b"h1\nldev-1\nd1\nh2\n"


def test_garbage_before_and_between_frames_is_skipped_and_counted() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"..Ldev-1\n....D1\n.")
    assert host.written == b"ldev-1\nd1\n"
    assert bench.traffic.garbage_bytes == 7
    assert host.closed is None


def test_more_garbage_than_allowed_ends_the_connection_after_the_frames_before_it() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\n" + b"." * 21)
    assert host.written == b"ldev-1\nd1\n"
    assert host.closed is CloseReason.GARBAGE
    assert bench.traffic.garbage_bytes == 21


def test_an_overlong_frame_is_counted_and_the_next_one_read() -> None:
    bench = Bench(limits=SessionLimits(max_garbage_bytes=1000, max_bad_frames=3))
    session, host = bench.open()
    bench.give(session, b"Ldev-1\n")
    bench.give(session, b"D" + b"1" * 80 + b"\n")
    assert host.closed is None
    assert bench.traffic.decode_errors["frame_too_long"] >= 1
    bench.give(session, b"D2\n")
    assert host.written == b"ldev-1\nd2\n"


def test_overlong_frames_in_a_row_end_the_connection() -> None:
    bench = Bench(limits=SessionLimits(max_garbage_bytes=1000, max_bad_frames=3))
    session, host = bench.open()
    bench.give(session, b"Ldev-1\n")
    for _ in range(3):
        bench.give(session, b"D" + b"1" * 80 + b"\n")
    assert host.closed is CloseReason.FRAME_TOO_LONG


def test_an_error_of_ours_while_reading_ends_this_session_only() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nE\nD1\n")
    assert [str(error) for error in host.errors] == ["an error of ours"]
    assert host.closed is CloseReason.INTERNAL_ERROR
    assert bench.registry.find(DeviceKey("", "dev-1")) is None


# Who it is


def test_a_second_connection_of_the_same_device_takes_over() -> None:
    bench = Bench(hold=True)
    older, older_host = bench.open()
    newer, newer_host = bench.open()
    bench.give(older, b"Ldev-1\nD1\n")
    bench.give(newer, b"Ldev-1\nD2\n")
    assert older_host.closed is CloseReason.TAKEOVER
    assert bench.registry.find(DeviceKey("", "dev-1")) is newer
    bench.outbox.settle_all()
    assert (older_host.written, newer_host.written) == (b"ldev-1\n", b"ldev-1\nd2\n")
    assert (len(bench.registry), bench.registry.takeovers) == (1, 1)
    bench.assert_balanced()


def test_a_second_login_of_the_same_device_changes_nothing() -> None:
    bench = Bench()
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nLdev-1\nD1\n")
    assert (host.closed, len(bench.registry), bench.registry.takeovers) == (None, 1, 0)
    assert host.written == b"ldev-1\nldev-1\nd1\n"


def test_another_device_on_the_same_connection_is_a_new_login() -> None:
    bench = Bench(hold=True)
    session, host = bench.open()
    bench.give(session, b"Ia=1\nIa=2\nIb=3\n")
    assert [record.lane for record in bench.outbox.records] == ["a", "a", "b"]
    assert bench.registry.find(DeviceKey("", "a")) is None
    assert bench.registry.find(DeviceKey("", "b")) is session
    bench.outbox.settle_all()
    assert host.written == b"i1\ni2\ni3\n"


def test_the_same_identity_in_every_frame_asks_for_admission_once() -> None:
    bench = Bench()
    asked = []
    admission = bench.ports.admission

    class Counting:
        def admit(self, identity: Identity, product: str, tenant: str, certified: str | None) -> object:
            asked.append(identity)
            return admission.admit(identity, product, tenant, certified)

    bench.ports.admission = Counting()  # type: ignore[assignment]
    session, _ = bench.open()
    bench.give(session, b"Ia=1\nIa=2\nIa=3\n")
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("provisioning", "directory", "reason"),
    [
        (Provisioning.KNOWN, "", RefuseReason.UNKNOWN_DEVICE),
        (Provisioning.CLOSED, "", RefuseReason.PROVISIONING_CLOSED),
        (Provisioning.ALLOW_NEW, "[{id: dev-1, product: other}]", RefuseReason.WRONG_PRODUCT),
    ],
)
def test_a_device_that_may_not_send_is_closed_without_an_answer(
    provisioning: Provisioning, directory: str, reason: RefuseReason
) -> None:
    bench = Bench(provisioning=provisioning, directory=directory)
    session, host = bench.open()
    bench.give(session, b"Ldev-1\nD1\n")
    assert (host.writes, host.closed, session.refusal) == ([], CloseReason.REFUSED, reason)
    assert (bench.traffic.received, bench.traffic.refused[reason.value]) == (1, 1)
    assert (bench.outbox.kept, len(bench.registry)) == ([], 0)
    bench.assert_balanced()


def test_a_refused_second_identity_releases_the_first() -> None:
    bench = Bench(provisioning=Provisioning.KNOWN, directory="[{id: a}]")
    session, host = bench.open()
    bench.give(session, b"Ia=1\nIb=2\nIa=3\n")
    assert (host.closed, len(bench.registry)) == (CloseReason.REFUSED, 0)
    assert [record.lane for record in bench.outbox.records] == ["a"]


def test_the_directorys_zone_counts_from_the_first_frame() -> None:
    bench = Bench(directory='[{id: a, zone: "+08:00"}, {id: b}]')
    session, _ = bench.open()
    bench.give(session, b"Ia=1\nIa=2\nIb=3\n")
    zones = [b'"zone_s":28800' in record.body for record in bench.outbox.records]
    assert zones == [True, True, False]


def test_a_hub_speaks_for_its_children() -> None:
    bench = Bench()
    session, _ = bench.open()
    bench.give(session, b"Ghub-1\nCkid=5\nD6\n")
    child, own = bench.outbox.records
    assert (child.lane, own.lane) == ("kid", "hub-1")
    assert b'"hub_id":"hub-1","childDeviceId":"kid"' in child.body
    assert b'"device_id":"hub-1","hub_id":"hub-1"' in own.body
    assert session.device is not None
    assert session.device.key.device_id == "hub-1"


# Several products on one port


def test_the_first_bytes_tell_which_product_speaks() -> None:
    bench = Bench(products=[LineProduct("upper"), LineProduct("digits", letters=b"LI")])
    session, host = bench.open()
    assert session.state is SessionState.DETECTING
    bench.give(session, b"D")
    bench.give(session, b"1\nLdev-1\n")
    assert (session.product_id, session.state) == ("upper", SessionState.ADMITTED)
    assert host.written == b"ldev-1\n"
    assert bench.metrics.traffic("l", "upper").received == 2


def test_bytes_that_fit_no_product_end_the_connection() -> None:
    bench = Bench(products=[LineProduct("one"), LineProduct("two")])
    session, host = bench.open()
    for _ in range(2000):
        if host.closed is not None:
            break
        bench.give(session, b"." * 64)
    assert host.closed is CloseReason.UNKNOWN_PROTOCOL
    assert bench.metrics.traffic("l", "unknown").garbage_bytes >= 64
    assert session.product_id == ""


def test_the_tap_sees_frames_decisions_and_replies() -> None:
    bench = Bench(tap=True)
    session, _ = bench.open()
    bench.give(session, b"D0\nLdev-1\n")
    bench.give(session, b"X1\n")
    bench.give(session, b"D1\n")
    assert bench.tap.seen == [
        ("in", b"D0\n", "refused: not_identified"),
        ("in", b"Ldev-1\n", "login"),
        ("out", b"ldev-1\n", ""),
        ("in", b"X1\n", "bad_check: check value differs"),
        ("in", b"D1\n", "data"),
        ("out", b"d1\n", ""),
    ]
