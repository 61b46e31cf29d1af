"""Times in every place of a spec: types, `clock:` of fields, bits and formulas, zones, the session. Both codecs."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.compile import compile_spec
from decoders.errors import SpecError
from decoders.framing.framer import cut
from decoders.golden import GoldenCase
from decoders.prove import prove
from decoders.replies import MessageReply
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.types import SessionContext, Violation, ViolationCode
from tests.decoders.specs import product, read, rows

NOON = "2026-03-01T12:00:00.000Z"
NOON_S = 1_772_366_400
ARRIVAL = SessionContext(received_ms=NOON_S * 1000, device_id="77")
PACKED = (26 << 26 | 3 << 22 | 1 << 17 | 12 << 12 | 0 << 6 | 0).to_bytes(4, "big").hex()

FORMS: dict[str, tuple[str, str]] = {
    "type": ("[{name: time, type: unix40}]", f"{NOON_S:010x}"),
    "little-endian": ("[{name: time, type: unixms48le}]", (NOON_S * 1000).to_bytes(6, "little").hex()),
    "bytes": ("[{name: time, type: dmyhms}]", "01031a0c0000"),
    "bcd": ("[{name: time, type: bcd_yymdhms}]", "20260301120000"),
    "minutes": ("[{name: time, type: u24, clock: minutes since 2026-01-01}]", f"{59 * 1440 + 720:06x}"),
    "scaled": ("[{name: time, type: u32, scale: 2, raw_offset: 5, clock: unix}]", f"{NOON_S // 2 - 5:08x}"),
    "by formula": ("[{name: time, type: u32, formula: x * 60, clock: unix}]", f"{NOON_S // 60:08x}"),
    "text": ("[{name: time, type: text, bytes: 12, clock: DDMMYYhhmmss}]", b"010326120000".hex()),
    "counted text": ("[{name: time, type: text, bytes: rest, clock: unix}]", str(NOON_S).encode().hex()),
    "number": ("[{name: time, type: u64, clock: DDMMYYhhmmss}]", f"{10326120000:016x}"),
    "digits": ("[{name: time, type: bcd, bytes: 6, clock: YYMMDDhhmmss}]", "260301120000"),
    "hex": ("[{name: time, type: hex, bytes: 7, clock: YYYYMMDDhhmmss}]", "20260301120000"),
    "bits": ("[{name: w, type: u40, bits: {time: {at: 4-39, clock: unix}}}]", f"{NOON_S:09x}0"),
    "packed": (
        "[{name: w, type: u32, bits: [{name: y, width: 6, hidden: true}, {name: mo, width: 4, hidden: true}, "
        "{name: d, width: 5, hidden: true}, {name: h, width: 5, hidden: true}, {name: mi, width: 6, hidden: true}, "
        "{name: s, width: 6, hidden: true}]}, {name: time, clock: [y, mo, d, h, mi, s]}]",
        PACKED,
    ),
    "apart": (
        "[{name: date, type: text, bytes: 6, hidden: true}, {name: hms, type: text, bytes: 6, hidden: true}, "
        "{name: time, formula: date + hms, clock: DDMMYYhhmmss}]",
        b"010326120000".hex(),
    ),
    "time of day": ("[{name: time, type: bcd_hms}]", "120000"),
    "age": (
        "[{name: age, type: u16, hidden: true}, {name: time, formula: received + 60 - age, clock: unix}]",
        "003c",
    ),
    "in a group": ("[{group: null, fields: [{name: time, type: dmyhm}]}]", "01031a0c00"),
    "season": (
        "[{name: time, type: text, bytes: 13, clock: 'YYMMDDhhmmss{S:+02:00,W:+01:00}'}]",
        b"260301130000W".hex(),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_time_of_the_record(form: str) -> None:
    text, wire = FORMS[form]
    compiled = rows(text)
    assert read(compiled, wire, ARRIVAL) == {"time": NOON}
    decoded = compiled.decode(cut(compiled.framing, bytes.fromhex(wire)), ARRIVAL)
    [part] = compiled.parts(decoded)
    assert (part.device_time, part.metrics, part.flags) == (NOON, {}, None)


@pytest.mark.parametrize("form", [form for form in FORMS if form not in ("packed", "apart", "age", "counted text")])
def test_times_are_written_again(form: str) -> None:
    text, wire = FORMS[form]
    zone = 3600 if form == "season" else 0
    assert rows(text).encoders[(0, "sample")].encode({"time": NOON}, zone).hex() == wire


@pytest.mark.parametrize("form", FORMS)
def test_the_codecs_are_proven(form: str) -> None:
    text, wire = FORMS[form]
    document = load(f"product: sample\nmessages: {{sample: {{fields: {text}}}}}", "spec.yaml")
    compiled = compile_spec(validate(SpecFile, document), document)
    proof = prove(compiled, [GoldenCase(name="case", hex=wire, received_at=NOON)])
    assert proof.holds, proof.kinds[0]


@pytest.mark.parametrize(
    ("zones", "time"),
    [
        ({}, "2026-07-01T12:00:00.000Z"),
        ({"zone": '"+08:00"'}, "2026-07-01T04:00:00.000Z"),
        ({"zone": "Europe/Amsterdam"}, "2026-07-01T10:00:00.000Z"),
    ],
)
def test_zones(zones: dict[str, str], time: str) -> None:
    text = "[{name: a, type: ymdhms}, {name: b, type: text, bytes: 10, clock: YYMMDDhhmm}, {name: c, type: unix32}]"
    wire = bytes([26, 7, 1, 12, 0, 0]) + b"2607011200" + NOON_S.to_bytes(4, "big")
    assert read(rows(text, **zones), wire) == {"a": time, "b": time, "c": NOON}
    login = SessionContext(zone_s=-3600)
    assert read(rows(text, **zones), wire, login) == {
        "a": "2026-07-01T13:00:00.000Z",
        "b": "2026-07-01T13:00:00.000Z",
        "c": NOON,
    }


def test_the_zone_of_a_row() -> None:
    text = '[{name: a, type: ymdhms, zone: Europe/Paris}, {name: b, type: unix32, zone: "+01:00"}]'
    wire = bytes([26, 7, 1, 12, 0, 0]) + NOON_S.to_bytes(4, "big")
    found = {"a": "2026-07-01T10:00:00.000Z", "b": "2026-03-01T11:00:00.000Z"}
    assert read(rows(text), wire, SessionContext(zone_s=7200)) == found
    assert rows(text).encoders[(0, "sample")].encode(found) == wire


@pytest.mark.parametrize("zone", [28_800, "+08:00", "x", None])
def test_a_zone_from_the_login(zone: Any) -> None:
    compiled = product("messages: {login: {fields: [{name: zone, type: text, bytes: rest, session: zone}]}}")
    decoded = compiled.decode(cut(compiled.framing, b"x"), SessionContext())
    decoded.values["zone"] = zone
    context = SessionContext(zone_s=60)
    compiled.remember(decoded, context)
    assert context.zone_s == (60 if zone in ("x", None) else 28_800)


def test_dates_that_do_not_exist_are_flagged() -> None:
    compiled = rows("[{name: y, type: u8}, {name: m, type: u8}, {name: time, clock: [y, m, 31]}]")
    for wire, flags in (
        ("1a03", None),
        ("1a02", [Violation("time", ViolationCode.BAD_TIME)]),
    ):
        assert ("time" in read(compiled, wire)) is (flags is None)
        assert compiled.decode(cut(compiled.framing, bytes.fromhex(wire)), SessionContext()).violations == flags
    absent = rows("[{name: time, type: unix32, absent: 0}]")
    assert absent.decode(cut(absent.framing, bytes(4)), SessionContext()).violations is None


def test_values_of_the_session_are_read_by_name() -> None:
    compiled = product(
        """
frame: {header: [{name: type, type: u8}]}
messages:
  login:
    when: {type: 1}
    fields: [{name: factor, type: u8, session: keep}, {name: id, type: hex, bytes: 2, identity: device}]
  data:
    when: {type: 2}
    fields:
      - {name: n, type: u8}
      - {name: extra, type: u8, if: factor > 5}
      - {name: scaled, formula: n * factor}
      - {name: who, formula: device_id}
      - {name: at, formula: received}
      - {list: l, fields: [{name: x, type: u8}, {name: y, formula: x * factor}]}
"""
    )
    context = SessionContext(received_ms=1500)
    login = compiled.decode(cut(compiled.framing, b"\1\7\xab\xcd"), context)
    compiled.remember(login, context)
    assert read(compiled, "0203090405", context) == {
        "type": 2,
        "n": 3,
        "extra": 9,
        "scaled": 21,
        "who": "abcd",
        "at": 1.5,
        "l": [{"x": 4, "y": 28}, {"x": 5, "y": 35}],
    }
    assert read(compiled, "0203", SessionContext()) == {"type": 2, "n": 3, "l": []}


@pytest.mark.parametrize(
    ("zone", "session_zone_s", "local"),
    [('"+08:00"', None, "200000"), ("Europe/Paris", None, "130000"), ("UTC", -3600, "110000"), ("UTC", None, "120000")],
)
def test_replies_say_the_local_time(zone: str, session_zone_s: int | None, local: str) -> None:
    compiled = product(
        f"""
zone: {zone}
frame: {{header: [{{name: type, type: u8}}]}}
messages:
  ask: {{when: {{type: 1}}, fields: [], replies: [{{message: clock, with: {{time: now, text: now, at: now}}}}]}}
  clock:
    downlink: true
    when: {{type: 2}}
    fields:
      - {{name: time, type: bcd_hms}}
      - {{name: text, type: text, bytes: 6, clock: hhmmss}}
      - {{name: at, type: unix32}}
"""
    )
    context = SessionContext(zone_s=session_zone_s)
    wire = bytes.fromhex(f"02{local}{local.encode().hex()}{NOON_S:08x}")
    assert compiled.replies("ask", {"type": 1}, context, NOON_S * 1000) == [wire]
    render = compiled.reply_plans["ask"][0].render
    assert isinstance(render, MessageReply)
    render.fused = None
    assert compiled.replies("ask", {"type": 1}, context, NOON_S * 1000) == [wire]


def test_replies_read_what_the_login_kept() -> None:
    compiled = product(
        """
frame: {header: [{name: type, type: u8}]}
messages:
  login: {when: {type: 1}, fields: [{name: key, type: u8, session: keep}]}
  ask: {when: {type: 3}, fields: [], replies: [{message: answer, with: {n: key + 1}}, {text: "k{key}"}]}
  answer: {downlink: true, when: {type: 2}, fields: [{name: n, type: u8}]}
"""
    )
    context = SessionContext(values={"key": 5})
    assert compiled.replies("ask", {"type": 3}, context, 0) == [b"\2\6", b"k5"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{name: a, type: unix32, clock: unix}", "is a clock by itself"),
        ("{name: a, type: u32, clock: unx}", "did you mean `unix`"),
        ("{name: a, type: u32, clock: YYYY-MM-DD}", "read it as `type: text`"),
        ("{name: a, type: text, bytes: 6, clock: DDMMYYHHMM}", "MM is the month"),
        ("{name: a, type: ymdhms, zone: Europe/Amstrdam}", "did you mean `Europe/Amsterdam`"),
        ("{name: a, type: ymdhms, zone: nowhere}", "or a name such as `Europe/Paris`"),
        ("{name: a, clock: [1, 2]}", "3 to 7 parts, not 2"),
        ("{name: a, clock: [1, 2, b]}", "there is no field `b`"),
        ("{name: a, clock: [1, 2, b(]}", "is no formula"),
        ("{name: a, type: dmyhsm2}", "did you mean"),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        rows(f"[{text}]")
