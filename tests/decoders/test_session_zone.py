"""`session: zone`: the message that says the zone is read with it, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.framing.framer import cut
from decoders.plan import Decoded, MessagePlan
from decoders.product import CompiledProduct
from decoders.session_zone import seconds_of, zone_told
from decoders.types import SessionContext
from tests.decoders.specs import product, rows

ROWS = "[{name: quarters, type: i8, scale: 900, session: zone}, {name: time, type: ymdhms}, {name: v, type: u8}]"
NOON, NIGHT = "2026-03-01T12:00:00.000Z", "2026-03-01T03:00:00.000Z"


@pytest.fixture(params=[False, True], ids=["construct", "fused"])
def compiled(request: pytest.FixtureRequest) -> CompiledProduct:
    made = product(f"messages: {{data: {{fields: {ROWS}}}}}")
    for kind in made.kinds:
        kind.use_fused = request.param
    return made


def decode(compiled: CompiledProduct, quarters: int, context: SessionContext) -> Decoded:
    wire = bytes([quarters & 255, 26, 3, 1, 12, 0, 0, 5])
    decoded = compiled.decode(cut(compiled.framing, wire), context)
    compiled.remember(decoded, context)
    return decoded


def test_the_message_that_says_it_is_read_with_it(compiled: CompiledProduct) -> None:
    context = SessionContext()
    assert decode(compiled, 36, context).values["time"] == NIGHT
    assert context.zone_s == 32_400
    assert decode(compiled, 36, context).values["time"] == NIGHT
    assert decode(compiled, 0, context).values["time"] == NOON
    assert context.zone_s == 0


def test_the_directory_knows_better(compiled: CompiledProduct) -> None:
    context = SessionContext(zone_s=0, zone_fixed=True)
    assert decode(compiled, 36, context).values["time"] == NOON
    assert context.zone_s == 0


def test_what_is_no_zone_is_flagged_and_changes_nothing(compiled: CompiledProduct) -> None:
    context = SessionContext(zone_s=32_400)
    found = decode(compiled, 100, context)
    assert found.values["time"] == NIGHT
    assert [(item.field, item.code.value) for item in found.violations or ()] == [("quarters", "bad_zone")]
    assert context.zone_s == 32_400


def test_documents_say_it_too() -> None:
    made = product(
        "messages: {data: {json: true, fields: [{name: zone, type: text, session: zone}, {name: time, type: text, "
        "clock: 'YYYY-MM-DD hh:mm:ss'}]}}"
    )
    body = b'{"zone": "%s", "time": "2026-03-01 12:00:00"}'
    assert made.decode_json(body % b"+09:00", SessionContext()).values["time"] == NIGHT
    found = made.decode_json(body % b"somewhere", SessionContext())
    assert (found.values["time"], found.violations and found.violations[0].code) == (NOON, "bad_zone")


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (32_400, 32_400),
        (-12_600.0, -12_600),
        ("+09:00", 32_400),
        (" -0330 ", -12_600),
        ("UTC", 0),
        ("Z", 0),
        ("32400", None),
        ("+9", None),
        ("xx", None),
        ("", None),
        (90_000, None),
        (float("nan"), None),
        (float("inf"), None),
        ([1], None),
    ],
)
def test_forms_of_a_zone(said: Any, seconds: int | None) -> None:
    assert seconds_of(said) == seconds


def test_who_says_it() -> None:
    message = MessagePlan("a", "none", False, session=(("keep", "k"), ("zone", "z"), ("zone", "y")))
    assert zone_told(message, {"k": 1}) is None
    assert zone_told(message, {"z": 3600}) == ("z", 3600)
    assert zone_told(message, {"z": 3600, "y": "x"}) == ("y", None)


def test_what_the_gateway_reads_may_be_hidden() -> None:
    made = rows(
        "[{name: id, type: u8, identity: device, hidden: true}, {name: z, type: i8, scale: 900, session: zone, hidden: "
        "true}, {name: k, type: u8, session: keep, hidden: true}, {name: at, type: ymdhms, timestamp: device, hidden: "
        "true}, {name: v, type: u8}]"
    )
    context = SessionContext()
    decoded = made.decode(cut(made.framing, bytes([7, 36, 5, 26, 3, 1, 12, 0, 0, 9])), context)
    made.remember(decoded, context)
    assert (context.device_id, context.zone_s, context.values) == ("7", 32_400, {"k": 5})
    (part,) = made.parts(decoded)
    assert (part.device_time, part.metrics) == (NIGHT, {"v": 9})
