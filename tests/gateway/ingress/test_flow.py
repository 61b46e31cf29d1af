from __future__ import annotations

from collections.abc import Sequence

import pytest
from structlog.testing import capture_logs

from decoders.errors import DecodeCode, DecodeError
from decoders.plan import Decoded, DedupPlan, MessagePlan
from decoders.types import RecordPart
from gateway.devices.directory import FileDirectory
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Outcome, Receipt
from gateway.domain.record import Record
from gateway.domain.state import State, StateKind
from gateway.domain.uplink import Uplink
from gateway.ingress.flow import Flow
from gateway.pipeline.chain import Chain
from gateway.pipeline.dedup import Dedup
from gateway.pipeline.shape import Numbering, Shaper
from tests.gateway.fakes import DATA, HEARTBEAT, FakeOutbox, LineProduct, message_plan


class Failing(LineProduct):
    def parts(self, decoded: Decoded) -> list[RecordPart]:
        raise RuntimeError("a bug")


def make_uplink(plan: MessagePlan = DATA, *, product: LineProduct | None = None) -> Uplink:
    values = {"letter": "D", "text": "1", "zone_s": None}
    device = Device(DeviceKey("", "d"))
    return Uplink(
        "uid", b"raw", 5, product or LineProduct(), device, Receipt(), "l", "s", decoded=Decoded(plan, values)
    )


def make_flow() -> tuple[Flow, FakeOutbox]:
    outbox = FakeOutbox()
    return Flow(Chain(Shaper(Numbering("gw", 1), "dev", FileDirectory())), outbox), outbox


def test_records_are_put() -> None:
    flow, outbox = make_flow()
    uplink = make_uplink()
    flow.receive(uplink)
    assert [record.record_id for record in outbox.records] == ["uid-0"]
    assert uplink.receipt.outcome is Outcome.ACCEPTED


def test_what_leaves_nothing_to_keep_settles_at_once() -> None:
    flow, outbox = make_flow()
    uplink = make_uplink(HEARTBEAT)
    flow.receive(uplink)
    assert outbox.kept == []
    assert uplink.receipt.outcome is Outcome.ACCEPTED


def test_a_dead_letter_is_put() -> None:
    flow, outbox = make_flow()
    uplink = make_uplink()
    uplink.decoded, uplink.error = None, DecodeError(DecodeCode.BAD_CHECK, "differs")
    flow.receive(uplink)
    assert [letter.reason for letter in outbox.letters] == ["bad_check"]
    assert uplink.receipt.outcome is Outcome.DEAD_LETTERED


def test_an_error_of_ours_in_the_pipeline_costs_one_dead_letter() -> None:
    flow, outbox = make_flow()
    uplink = make_uplink(product=Failing())
    with capture_logs() as logs:
        flow.receive(uplink)
    (letter,) = outbox.letters
    assert (letter.reason, letter.stage, letter.raw) == ("wrong_answer", "shape", b"raw")
    assert "a bug" in letter.detail
    assert [entry["event"] for entry in logs] == ["pipeline_failed", "dead_letter"]
    assert logs[0]["uplink_id"] == logs[1]["dead_letter_id"] == "uid"


@pytest.mark.parametrize("settled", [False, True])
def test_an_error_of_the_outbox_refuses_what_it_has_not_settled(settled: bool) -> None:
    class Broken(FakeOutbox):
        def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
            if settled:
                self.settle(receipt, Outcome.ACCEPTED)
            raise RuntimeError("a bug")

    flow = Flow(Chain(Shaper(Numbering("gw", 1), "dev", FileDirectory())), Broken())
    uplink = make_uplink()
    with capture_logs() as logs:
        flow.receive(uplink)
    assert [entry["event"] for entry in logs] == ["outbox_failed"]
    assert (uplink.receipt.outcome, uplink.receipt.reason) == (
        (Outcome.ACCEPTED, "") if settled else (Outcome.REFUSED, "sink_failed")
    )


def test_refuse_settles_with_the_reason() -> None:
    flow, _ = make_flow()
    receipt = Receipt()
    flow.refuse(receipt, "not_identified")
    assert (receipt.outcome, receipt.reason, receipt.kept) == (Outcome.REFUSED, "not_identified", False)


NUMBERED = message_plan("numbered", dedup=DedupPlan(("text",), (("text",),)))


def test_a_copy_is_no_record_and_settles_with_the_first_or_at_once() -> None:
    outbox = FakeOutbox(hold=True)
    flow = Flow(Chain(Shaper(Numbering("gw", 1), "dev", FileDirectory()), dedup=Dedup()), outbox)
    first, second, third = (make_uplink(NUMBERED) for _ in range(3))
    flow.receive(first)
    flow.receive(second)
    assert [kept.states for kept in outbox.kept] == [first.states]
    assert [state.kind for state in first.states] == [StateKind.DEDUP]
    assert outbox.followed == [(second.receipt, first.receipt)]
    outbox.settle_all()
    assert (first.receipt.outcome, second.receipt.outcome) == (Outcome.ACCEPTED, None)
    flow.receive(third)
    assert third.receipt.outcome is Outcome.DUPLICATE
    assert len(outbox.records) == 1


def test_a_put_that_fails_gives_the_key_free_at_once() -> None:
    class Broken(FakeOutbox):
        def put(self, receipt: Receipt, records: Sequence[Record], states: Sequence[State] = ()) -> None:
            raise RuntimeError("a bug")

    dedup = Dedup()
    flow = Flow(Chain(Shaper(Numbering("gw", 1), "dev", FileDirectory()), dedup=dedup), Broken())
    for _ in range(2):
        uplink = make_uplink(NUMBERED)
        with capture_logs():
            flow.receive(uplink)
        assert uplink.receipt.outcome is Outcome.REFUSED
    assert dedup.keys == 0


def test_what_fails_behind_the_lookup_gives_the_key_free() -> None:
    outbox = FakeOutbox()
    dedup = Dedup()
    flow = Flow(Chain(Shaper(Numbering("gw", 1), "dev", FileDirectory()), dedup=dedup), outbox)
    for _ in range(2):
        with capture_logs():
            flow.receive(make_uplink(NUMBERED, product=Failing()))
    assert (len(outbox.letters), dedup.keys) == (2, 0)
