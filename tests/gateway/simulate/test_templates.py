from __future__ import annotations

import pytest

from decoders.framing.framer import cut
from decoders.plan import Decoded
from decoders.types import SessionContext
from gateway.simulate.templates import Script, device_number, scripts_of
from gateway.specs import load_catalog
from tests.decoders.sensor import ACK, NOON_MS, SPEC, frame, loaded

NOW_MS = NOON_MS + 86_400_000

HEADER = """\
product: named
frame:
  start: "7E"
  stop: "7E"
  escape: {mark: 0x7D, table: {1: 0x7D, 2: 0x7E}}
  header:
    - {name: type, type: u8}
    - {name: phone, type: hex, bytes: 3}
    - {name: sequence, type: u8}
    - {name: id, formula: "strip_left(phone, '0')", identity: device}
  trailer: [{name: sum, crc: xor8}]
messages:
  data: {when: {type: 1}, fields: [{name: time, type: bcd_ymdhms}, {name: level, type: u8}]}
  heartbeat: {when: {type: 2}, record: none}
"""


def sensor_script() -> Script:
    (script,) = scripts_of(loaded())
    return script


def read(script: Script, wire: bytes, context: SessionContext | None = None) -> Decoded:
    return script.product.decode(cut(script.product.framing, wire), context or SessionContext())


def test_good_golden_frames_become_a_script() -> None:
    script = sensor_script()
    assert script.login is not None
    assert script.login.message == "login"
    assert [template.name for template in script.data] == ["status"]  # neither the broken nor the variant's
    assert script.data[0].records == 1


def test_each_device_has_its_own_id_serial_number_and_time() -> None:
    script = sensor_script()
    assert script.login is not None
    context = SessionContext()
    login = script.login.render(42, 0, NOW_MS, context)
    assert read(script, login.wire).values == {"type": 1, "device": "800042", "serial": 0}
    assert context.device_id == "800042"
    assert login.records == 0
    assert login.replies == [frame("ack", serial=0)]

    data = script.data[0].render(42, 7, NOW_MS, context)
    assert read(script, data.wire).values == {
        "type": 2, "serial": 7, "temperature": 26.3, "time": "2026-03-02T12:00:00.000Z", "door_open": True, "mode": 2,
    }  # fmt: skip
    assert data.replies == [frame("ack", serial=7)]
    assert data.exact
    assert data.reply_bytes == len(ACK)
    assert data.records == 1


def test_a_serial_number_starts_again_where_its_field_ends() -> None:
    script = sensor_script()
    assert read(script, script.data[0].wire(1, 256 + 3, NOW_MS)).values["serial"] == 3


def test_ids_in_the_header_of_every_frame_need_no_login() -> None:
    # The id is made by a formula, the frame is stuffed, and the check value is behind what changes.
    golden = """\
source: s
cases:
  - {name: data, hex: "7e01012345072603011200004b1c7e", message: data, values: {id: "12345", level: 75}}
  - {name: heartbeat, hex: "7e0201234507627e", message: heartbeat}
"""
    made = loaded(HEADER, golden)
    (script,) = scripts_of(made)
    assert script.login is None
    (data,) = script.data
    for number in range(300):
        values = read(script, data.wire(number, number, NOW_MS)).values
        assert values["id"] == f"8{number:05}"
        assert values["sequence"] == number % 256
        assert values["time"] == "2026-03-02T12:00:00.000Z"


def test_a_heartbeat_is_one_that_is_answered() -> None:
    golden = """\
source: s
cases:
  - {name: data, hex: "7e01012345072603011200004b1c7e", message: data, values: {id: "12345", level: 75}}
  - {name: heartbeat, hex: "7e0201234507627e", message: heartbeat}
"""
    (silent,) = scripts_of(loaded(HEADER, golden))
    assert silent.heartbeat is None
    answered = HEADER.replace("record: none}", "record: none, replies: [{text: ok}]}")
    (script,) = scripts_of(loaded(answered, golden))
    assert script.heartbeat is not None
    assert script.heartbeat.message == "heartbeat"
    assert script.heartbeat.render(3, 1, NOW_MS, SessionContext()).replies == [b"ok"]


def test_the_zone_of_the_session_counts_for_the_devices_clock() -> None:
    golden = 'source: s\ncases: [{name: d, hex: "7e01012345072603011200004b1c7e", message: data}]\n'
    (script,) = scripts_of(loaded(HEADER, golden))
    context = SessionContext(zone_s=8 * 3600)
    wire = script.data[0].render(1, 1, NOW_MS, context).wire
    assert read(script, wire, context).values["time"] == "2026-03-02T12:00:00.000Z"
    assert read(script, wire).values["time"] == "2026-03-02T20:00:00.000Z"


def test_answers_that_hold_the_time_are_known_by_their_size_only() -> None:
    spec = SPEC.replace("    replies: [ack]\n  ack:", '    replies: [{text: "{now:%H%M%S}"}]\n  ack:')
    (script,) = scripts_of(loaded(spec))
    sent = script.data[0].render(1, 1, NOW_MS, SessionContext())
    assert not sent.exact
    assert sent.reply_bytes == 6


def test_a_product_without_golden_frames_or_with_broken_ones_says_nothing() -> None:
    assert scripts_of(loaded(golden="source: s\ncases: []\n")) == []
    only_bad = 'source: s\ncases: [{name: x, hex: "a5", error: truncated}]\n'
    assert scripts_of(loaded(golden=only_bad)) == []


def test_a_frame_that_breaks_a_contract_that_rejects_is_not_sent() -> None:
    spec = SPEC.replace("range: [-40, 125]", "range: [-40, 20]")
    assert len(scripts_of(loaded(spec))) == 1
    assert scripts_of(loaded(spec + "contract: reject\n")) == []


@pytest.mark.parametrize(
    ("role", "number", "digits", "text"),
    [("device", 7, 12, "800000000007"), ("child", 7, 8, "60000007"), ("hub", 12345, 4, "8345"), ("device", 5, 1, "8")],
)
def test_device_numbers(role: str, number: int, digits: int, text: str) -> None:
    assert device_number(role, number, digits) == text


PLAYABLE = {
    *("coban_gps103", "concox_gt06", "example_thermo", "gt02", "jtt_808", "khd", "sinotrack_h02"),
    *("teltonika_codec8", "tk103"),
}
"""Products over TCP whose frames carry an id of digits in a place of its own; meters with theirs in a tag, and frames
without any, cannot become a fleet."""


def test_every_tracker_can_be_played() -> None:
    played = set()
    for loaded_product in load_catalog().products.values():
        if "tcp" not in loaded_product.product.spec.transports:
            continue
        for script in scripts_of(loaded_product):
            played.add(loaded_product.product.id)
            context = SessionContext()
            if script.login is not None:
                script.login.render(5, 0, NOW_MS, context)
            names = set()
            for index, template in enumerate(script.data):
                sent = template.render(5, index, NOW_MS, context)
                identity = script.product.identity(read(script, sent.wire, context))
                names.add((identity.hub_id or identity.device_id) if identity is not None else "")
            assert len(names - {""}) + (script.login is not None) == 1, script.data[0].name
    assert played == PLAYABLE
