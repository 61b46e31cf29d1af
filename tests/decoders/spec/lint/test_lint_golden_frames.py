from __future__ import annotations

import pytest

from decoders.spec.lint import lint
from tests.decoders.sensor import GOLDEN, SPEC, loaded


def test_a_good_spec_has_only_gaps_in_its_golden_frames() -> None:
    found = lint(loaded())
    assert [(item.severity, item.problem.code, item.problem.path) for item in found] == [
        ("warning", "no_truncated_frame", "messages.login"),
        ("warning", "no_corrupt_frame", "messages.login"),
    ]
    first = found[0].to_plain()
    assert first["file"] == "sensor/spec.yaml"
    assert first["line"] == SPEC[: SPEC.index("  login:")].count("\n") + 1
    assert first["fix"] == "add the first bytes of a good frame with `message: login, error: truncated`"


def test_a_broken_frame_counts_for_the_message_that_it_was_made_from_or_that_it_names() -> None:
    named = GOLDEN + '  - {name: short, hex: "a5", message: login, error: truncated}\n'
    found = {(item.problem.code, item.problem.path) for item in lint(loaded(golden=named))}
    assert found == {("no_corrupt_frame", "messages.login")}
    nothing = {(item.problem.code, item.problem.path) for item in lint(loaded(golden="source: s\ncases: []\n"))}
    assert nothing == {
        (code, f"messages.{message}")
        for code in ("no_good_frame", "no_truncated_frame", "no_corrupt_frame")
        for message in ("login", "status")  # not the downlink
    }


def gaps(spec: str) -> list[str]:
    """Codes on golden frames for a payload with one good case."""
    golden = 'source: s\ncases: [{name: one, hex: "01020304", message: uplink}]\n'
    found = lint(loaded(f"product: sensor\ntitle: t\nsource: s\n{spec}", golden))
    return [item.problem.code for item in found if item.problem.code.endswith("_frame")]


@pytest.mark.parametrize(
    ("spec", "missing"),
    [
        ("fields: [{name: a, type: u32}]", ["no_truncated_frame", "no_corrupt_frame"]),
        ("fields: [{list: l, fields: [{name: a, type: u32}]}]", ["no_truncated_frame"]),
        ("fields: [{name: a, type: u8}, {name: b, type: hex, bytes: rest}]", []),
        ("fields: [{name: a, type: u16}, {name: b, type: hex, bytes: rest}]", ["no_truncated_frame"]),
        ("fields: [{name: a, type: bcd, bytes: rest}]", ["no_corrupt_frame"]),
        (
            "items: {key: u8, length: u8, on_unknown: refuse, tags: {1: {skip: rest}}}",
            ["no_truncated_frame", "no_corrupt_frame"],
        ),
        (
            "fields: [{name: a, type: u16}, {switch: a, cases: {1: [{skip: rest}]}}]",
            ["no_truncated_frame", "no_corrupt_frame"],
        ),
    ],
)
def test_nobody_asks_for_a_frame_that_cannot_be(spec: str, missing: list[str]) -> None:
    assert gaps(spec) == missing


def test_messages_of_a_variant_are_asked_for_too() -> None:
    variants = "variants: {v: {messages: {extra: {when: {port: 2}, fields: [{name: b, type: u16}]}}}}\n"
    spec = f"product: sensor\ntitle: t\nsource: s\nmessages: {{m: {{fields: [{{name: a, type: u16}}]}}}}\n{variants}"
    found = lint(loaded(spec, "source: s\ncases: []\n"))
    assert {item.problem.path for item in found} == {"messages.m", "variants.v.messages.extra"}


def test_a_downlink_that_is_no_reply_is_built_by_some_golden_file() -> None:
    more = "  set: {downlink: true, when: {type: 7}, fields: [{name: a, type: u8}]}\n"
    spec = SPEC.replace("variants:", f"{more}variants:")
    found = [item for item in lint(loaded(spec)) if item.problem.code == "no_good_frame"]
    assert [item.problem.message for item in found] == ["no golden frame of the downlink `set`"]
    built = GOLDEN + "builds: [{name: set, message: set, values: {a: 1, serial: 2}, hex: a505}]\n"
    assert not [item for item in lint(loaded(spec, built)) if item.problem.code == "no_good_frame"]


def test_a_changed_length_that_cuts_the_frame_off_counts_as_corrupt() -> None:
    spec = "product: sensor\ntitle: t\nsource: s\nfields: [{name: n, type: u8}, {name: a, type: hex, bytes: n}]"
    cut = '{name: cut, hex: "0201", message: uplink, error: truncated}'
    changed = '{name: changed, hex: "030102", message: uplink, error: truncated}'
    for cases, missing in ((cut, ["no_corrupt_frame"]), (f"{cut}, {changed}", [])):
        golden = f'source: s\ncases: [{{name: one, hex: "020102", message: uplink}}, {cases}]\n'
        found = [item.problem.code for item in lint(loaded(spec, golden))]
        assert [code for code in found if code.endswith("_frame")] == missing
