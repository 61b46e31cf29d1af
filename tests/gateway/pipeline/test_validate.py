from __future__ import annotations

import pytest

from decoders.plan import Decoded
from decoders.types import Violation, ViolationCode
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Uplink
from gateway.pipeline.validate import validate
from tests.gateway.fakes import LineProduct, message_plan

CONTRACT = ["required", "out_of_range", "not_in_enum", "wrong_type"]


def make_uplink(policy: str, *codes: str) -> Uplink:
    violations = [Violation(f"f{index}", ViolationCode(code)) for index, code in enumerate(codes)] or None
    decoded = Decoded(message_plan("status", policy=policy), {}, violations)
    device = Device(DeviceKey("", "d"))
    return Uplink("uid", b"raw", 5, LineProduct(), device, Receipt(), "l", "s", decoded=decoded)


@pytest.mark.parametrize("code", CONTRACT)
def test_reject_turns_a_breach_into_a_dead_letter(code: str) -> None:
    letter = validate(make_uplink("reject", "bad_time", code))
    assert letter is not None
    assert (letter.reason, letter.stage, letter.field, letter.message) == ("contract", "validate", "f1", "status")
    assert letter.detail == f"f1: {code}"


def test_a_letter_names_every_breach() -> None:
    letter = validate(make_uplink("reject", "required", "out_of_range"))
    assert letter is not None
    assert letter.detail == "f0: required, f1: out_of_range"


@pytest.mark.parametrize("code", CONTRACT)
def test_flag_lets_a_breach_pass(code: str) -> None:
    assert validate(make_uplink("flag", code)) is None


@pytest.mark.parametrize("code", sorted(set(ViolationCode) - set(CONTRACT)))
def test_what_is_no_breach_passes(code: str) -> None:
    assert validate(make_uplink("reject", code)) is None


def test_a_clean_message_passes() -> None:
    assert validate(make_uplink("reject")) is None
