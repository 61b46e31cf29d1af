from __future__ import annotations

from decoders.errors import DecodeCode, DecodeError
from decoders.plan import Decoded, DedupPlan, MessagePlan
from decoders.types import Violation, ViolationCode
from gateway.devices.directory import FileDirectory
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Uplink
from gateway.pipeline.chain import Chain, Duplicate
from gateway.pipeline.dedup import Dedup
from gateway.pipeline.shape import Numbering, Shaper
from tests.gateway.fakes import DATA, HEARTBEAT, LineProduct

VALUES = {"letter": "D", "text": "1", "zone_s": None}


def make_uplink(decoded: Decoded | None = None, error: DecodeError | None = None) -> Uplink:
    device = Device(DeviceKey("acme", "d"))
    return Uplink("uid", b"raw", 5, LineProduct(), device, Receipt(), "lsn", "ses", "1.2.3.4:5", decoded, error)


def make_chain() -> tuple[Chain, Numbering]:
    numbering = Numbering("gw", 1)
    return Chain(Shaper(numbering, "prd", FileDirectory())), numbering


def run(plan: MessagePlan) -> object:
    return make_chain()[0].run(make_uplink(Decoded(plan, VALUES)))


def test_a_message_becomes_records() -> None:
    made = run(DATA)
    assert isinstance(made, list)
    assert len(made) == 1


def test_a_heartbeat_leaves_nothing_to_keep() -> None:
    assert run(HEARTBEAT) == []


def test_what_was_not_understood_becomes_a_dead_letter_and_takes_no_number() -> None:
    chain, numbering = make_chain()
    letter = chain.run(make_uplink(error=DecodeError(DecodeCode.TRUNCATED, "need 4 bytes, have 2")))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.stage, numbering.seq) == ("truncated", "decode", 0)


def test_a_broken_contract_ends_the_walk_before_a_record_is_made() -> None:
    chain, numbering = make_chain()
    plan = type(DATA)(name="data", record="telemetry", login=False, policy="reject")
    letter = chain.run(make_uplink(Decoded(plan, VALUES, [Violation("n", ViolationCode.REQUIRED)])))
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, numbering.seq) == ("contract", 0)


def test_a_copy_takes_no_number_and_what_broke_the_contract_leaves_no_key() -> None:
    numbering, dedup = Numbering("gw", 1), Dedup()
    chain = Chain(Shaper(numbering, "prd", FileDirectory()), dedup=dedup)
    plan = type(DATA)(
        name="data", record="telemetry", login=False, policy="reject", dedup=DedupPlan(("text",), (("text",),))
    )
    letter = chain.run(make_uplink(Decoded(plan, VALUES, [Violation("n", ViolationCode.REQUIRED)])))
    assert isinstance(letter, DeadLetter)
    first = make_uplink(Decoded(plan, VALUES))
    assert isinstance(chain.run(first), list)
    assert chain.run(make_uplink(Decoded(plan, VALUES))) == Duplicate(first.receipt)
    assert numbering.seq == 1
