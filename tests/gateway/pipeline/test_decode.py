from __future__ import annotations

from decoders.errors import DecodeCode, DecodeError
from decoders.plan import Decoded
from gateway.domain.dead_letter import DeadLetter
from gateway.domain.device import Device, DeviceKey
from gateway.domain.receipt import Receipt
from gateway.domain.uplink import Uplink
from gateway.pipeline.decode import check_decoded, dead_letter
from tests.gateway.fakes import DATA, LineProduct


def make_uplink(decoded: Decoded | None = None, error: DecodeError | None = None) -> Uplink:
    device = Device(DeviceKey("acme", "d"))
    return Uplink("uid", b"raw", 5, LineProduct(), device, Receipt(), "lsn", "ses", "1.2.3.4:5", decoded, error)


def test_a_letter_holds_what_the_decoder_said_and_what_a_replay_needs() -> None:
    error = DecodeError(DecodeCode.TRUNCATED, "need 4 bytes, have 2", offset=7, field="speed", message="location")
    assert check_decoded(make_uplink(error=error)) == DeadLetter(
        dead_letter_id="uid",
        reason="truncated",
        stage="decode",
        detail="need 4 bytes, have 2",
        raw=b"raw",
        received_ms=5,
        product="line",
        spec_version=3,
        device_id="d",
        tenant="acme",
        listener="lsn",
        session_id="ses",
        peer="1.2.3.4:5",
        message="location",
        field="speed",
        offset=7,
    )


def test_what_was_understood_passes() -> None:
    assert check_decoded(make_uplink(Decoded(DATA, {}))) is None


def test_a_letter_of_a_later_stage_names_the_message() -> None:
    assert dead_letter(make_uplink(Decoded(DATA, {})), "contract", "validate", "why").message == "data"
