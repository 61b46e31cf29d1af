from __future__ import annotations

import pytest

from tests.decoders.spec.lint.findings import HEAD, codes, findings

FRAME = "frame: {header: [{name: type, type: u8}]}\n"


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("{type: 1}", "{type: 2}", ""),
        ("{type: 1}", "{type: 1}", "unreachable_message"),
        ("{type: 1..5}", "{type: 5..9}", "overlapping_when"),
        ("{type: 1..9}", "{type: [2, 3..4]}", "unreachable_message"),
        ("{type: [1, 2]}", "{type: [3, 4]}", ""),
        ("{type: 1}", "{type: 1, length: 3}", "unreachable_message"),  # the wider one first takes all
        ("{type: 1, length: 3}", "{type: 1}", ""),  # the narrower one first is the way to do it
        ("{length: 3}", "{type: 1}", ""),  # a guard of another kind stands first on purpose
        ("{first: '01'}", "{first: '0102'}", "unreachable_message"),
        ("{first: '0102'}", "{first: '01'}", "overlapping_when"),
        ("{first: '01'}", "{first: '02'}", ""),
        ("{type: 1}", "{}", ""),  # a message without `when` takes what is left
        ("{}", "{type: 1}", ""),  # and is tried last wherever it stands
    ],
)
def test_messages_that_claim_the_same_frames(one: str, other: str, found: str) -> None:
    spec = f"""{HEAD}{FRAME}messages:
  one: {{when: {one}, rest: skip}}
  other: {{when: {other}, rest: skip}}
"""
    assert codes(spec) == ([(found, 8)] if found else [])


def test_of_two_messages_without_when_only_the_first_can_come() -> None:
    (found,) = findings(f"{HEAD}{FRAME}messages:\n  one: {{rest: skip}}\n  other: {{rest: skip}}\n")
    assert (found.severity, found.problem.code, found.problem.line) == ("error", "unreachable_message", 8)
    assert found.problem.message == "no frame is `other`: `one` takes them all"


def test_over_tcp_some_message_names_the_device() -> None:
    spec = "product: sensor\ntitle: t\nsource: s\n" + FRAME + "messages: {m: {fields: [{name: a, type: u8}]}}\n"
    assert codes(spec) == [("no_identity", 1)]
    assert codes(spec.replace("type: u8}]}}", "type: u8, identity: device}]}}")) == []
    assert codes(spec + "transports: [mqtt]\n") == []  # a topic names it


REPLIES = f"""{HEAD}frame: {{header: [{{name: type, type: u8}}, {{name: serial, type: u8}}]}}
messages:
  m:
    when: {{type: 1}}
    fields: [{{name: a, type: u8}}, {{name: b, type: u8, hidden: true, note: x}}]
    replies: [REPLY]
  ack: {{downlink: true, when: {{type: 2}}, fields: [{{name: result, type: u8}}]}}
  plain: {{downlink: true, when: {{type: 3}}, fields: [{{name: zero, type: u8, default: 0}}]}}
unknown_message: [{{message: plain}}]
"""


@pytest.mark.parametrize(
    ("reply", "missing"),
    [
        ("plain", ""),
        ("ack", "result"),
        ("{message: ack, with: {result: 0}}", ""),
        ("{message: ack, with: {result: a}}", ""),
        ("{message: ack, with: {result: now}}", ""),
        ("{message: ack, with: {result: zero}}", "zero"),
        ('{text: "ok {a} {device_id}"}', ""),
        ('{hex: "01"}', ""),
    ],
)
def test_a_reply_has_what_it_needs(reply: str, missing: str) -> None:
    found = findings(REPLIES.replace("REPLY", reply))
    assert [item.problem.code for item in found] == (["reply_needs"] if missing else [])
    if missing:
        assert f"needs `{missing}`" in found[0].problem.message
        assert found[0].problem.path == "messages.m.replies[0]"
        assert found[0].problem.line == 10


def test_an_unknown_message_has_header_and_trailer_only() -> None:
    (found,) = findings(REPLIES.replace("REPLY", "plain").replace("[{message: plain}]", "[ack]"))
    assert "`an unknown message` does not have" in found.problem.message


@pytest.mark.parametrize(
    ("request_", "with_", "found"),
    [
        ("{group: b, fields: [{name: y, type: u8}]}", "{}", []),
        ("{name: v, type: u8}", "{}", ["reply_needs"]),
        ("{name: v, type: u8}", "{b: {y: v}}", []),
        ("{name: v, type: u8}", "{b.y: 5}", []),
        ("{group: b, fields: [{name: y, type: u8}]}", "{b.y: 5}", []),
    ],
)
def test_a_reply_needs_the_groups_that_it_is_built_from(request_: str, with_: str, found: list[str]) -> None:
    spec = f"""\
{HEAD}messages:
  m: {{when: {{port: 1}}, fields: [{request_}], replies: [{{message: ack, with: {with_}}}]}}
  ack: {{downlink: true, when: {{port: 2}}, fields: [{{group: b, fields: [{{name: y, type: u8}}]}}]}}
"""
    assert [code for code, _ in codes(spec) if code == "reply_needs"] == found


def test_a_size_that_follows_from_the_rows_needs_no_value() -> None:
    rows = "{name: rl, type: u16, hidden: true}, {list: data, bytes: rl, fields: [{name: s, type: u8, default: 0}]}"
    spec = REPLIES.replace("{name: result, type: u8}", rows)
    found = [each.problem.message for each in findings(spec.replace("REPLY", "ack"))]
    assert not any("`rl`" in message for message in found)
