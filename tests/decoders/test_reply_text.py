"""Values in texts that are sent: numbers by a format, times by a pattern, and what is neither is a mistake at load."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import EncodeError, SpecError
from decoders.reply_text import number_fault, text_reply, time_fault
from decoders.types import SessionContext
from tests.decoders.specs import product

SPEC = """
messages:
  m:
    fields:
      - {name: n, type: u16}
      - {name: t, type: i16, scale: 0.01, unit: "°C"}
      - {name: s, type: u8, enum: {0: off, 1: on}}
      - {name: id, type: bcd, bytes: 3}
      - {name: at, type: unix32}
    replies: [{text: "TEXT"}]
"""
FRAME = bytes.fromhex("00ff f5d7 01 004512 69a42a40")


def reply(text: str) -> bytes:
    compiled = product(SPEC.replace("TEXT", text))
    values = compiled.read(FRAME, SessionContext()).values
    [found] = compiled.replies("m", values, SessionContext(device_id="7"), 1_750_000_000_123)
    return found


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("{n} {n:d} {n:04d} {n:04X} {n:02x} {n:+d} {n:#x}", "255 255 0255 00FF ff +255 0xff"),
        ("{n:>5}|{n:<5}|{n:*^7}|{n:b}", "  255|255  |**255**|11111111"),
        ("{t} {t:.1f} {t:07.2f} {t:+.0f} {t:d}", "-26.01 -26.0 -026.01 -26 -26"),
        ("{id} {id:08} {id:>8}| {id:X} {id:08d} {id:*<8}", "004512 00004512   004512| 11A0 00004512 004512**"),
        ("{s} {s:>4} {s:<4}|", "on   on on  |"),
        ("{at:%H%M} {now:%y%m%d} {device_id:04}", "1200 250615 0007"),
    ],
)
def test_numbers_and_times_are_written_as_the_text_says(text: str, sent: str) -> None:
    assert reply(text) == sent.encode()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{n:%H}", "`%H` is a pattern of a time"),
        ("{n:5d5}", "`5d5` is no format (such as `d`"),
        ("{n:,}", "`,` is no format"),
        ("{n:1000d}", "is no format"),
        ("{t:.1}", "has digits behind a point (`.1f`)"),
        ("{at:04d}", "`04d` is no pattern of a time (such as %Y"),
        ("{now:HHmmss}", "`HHmmss` is no pattern of a time"),
        ("{now:%Q}", "`%Q` is no part of a time"),
        ("{s:02d}", "`s` is a word, no number"),
        ("{device_id:%d}", "is a pattern of a time"),
    ],
)
def test_what_cannot_be_written_is_a_mistake_with_its_place(text: str, wrong: str) -> None:
    with pytest.raises(SpecError) as caught:
        product(SPEC.replace("TEXT", text))
    assert wrong in str(caught.value)
    assert "messages.m.replies[0].text" in str(caught.value)


@pytest.mark.parametrize("value", ["x", [1], None, float("nan"), float("inf")])
def test_what_is_no_number_is_not_sent(value: Any) -> None:
    with pytest.raises(EncodeError):
        text_reply("{n:04d}")({"n": value})


def test_faults_say_what_to_write() -> None:
    assert number_fault("04d") is None
    assert number_fault("%H") == (
        "`%H` is a pattern of a time",
        "a row with `clock`, or `now`; numbers are written `04d`, `.1f`",
    )
    assert time_fault("%d.%m.") is None


def test_a_header_value_in_replies_to_unknown_messages() -> None:
    head = "frame: {header: [{name: type, type: u8}]}\nmessages: {a: {when: {type: 1}}}\n"
    found = product(head + "unknown_message: [{text: '?{type:02X}'}]")
    assert found.replies("", {"type": 10}, SessionContext(), 0) == [b"?0A"]
    with pytest.raises(SpecError, match="pattern of a time"):
        product(head + "unknown_message: [{text: '{type:%H}'}]")
