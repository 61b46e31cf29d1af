from __future__ import annotations

import pytest

from decoders.spec.diff import Effect, diff
from tests.decoders.sensor import SPEC, compiled, loaded
from tests.decoders.spec.shipped import shipped


def changes(before: str, after: str) -> list[tuple[str, str, str]]:
    found = diff(compiled(before), compiled(after))
    return [(change.effect.value, change.place, change.text) for change in found.changes]


def of_rows(before: str, after: str, more: str = "") -> list[tuple[str, str]]:
    """(effect, text) for a message with these rows."""
    text = f"product: p\n{more}messages: {{m: {{fields: [{{name: z, type: u8}}, ROWS]}}}}\n"
    found = changes(text.replace("ROWS", before), text.replace("ROWS", after))
    assert all(place.startswith("m.") for _, place, _ in found)
    return [(effect, change) for effect, _, change in found]


A = "{name: a, type: u8}"
NONE = "source: s\ncases: []\n"


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (A, A, []),
        (A, f"{A}, {{name: b, type: u8}}", [("new", "added")]),
        (f"{A}, {{name: b, type: u16}}", A, [("breaking", "removed")]),
        (f"{A}, {{name: b, type: u8, metric: false}}", A, [("compatible", "removed")]),
        (A, "{name: b, type: u8}", [("breaking", "renamed to `b`")]),
        (A, "{name: a, type: u16}", [("compatible", "type: u8 -> u16")]),
        (A, "{name: a, type: u8, unit: V}", [("compatible", "unit: none -> `V`")]),
        ("{name: a, type: u8, unit: V}", "{name: a, type: u8, unit: mV}", [("breaking", "unit: `V` -> `mV`")]),
        (A, "{name: a, type: u8, scale: 0.1}", [("breaking", "scale: none -> `* 0.1`")]),
        (A, "{name: a, type: u8, formula: x + 1}",
         [("breaking", "was a number, is a value"), ("breaking", "scale: none -> `x + 1`")]),
        (A, "{name: a, type: unix32}", [("breaking", "was a number, is a time"), ("compatible", "type: u8 -> unix32")]),
        (A, "{name: a, type: u8, metric: false}", [("breaking", "is no metric any more")]),
        ("{name: a, type: u8, metric: false}", A, [("new", "is now a metric")]),
        (A, "{name: a, type: u8, if: remaining}", [("breaking", "is not always there any more")]),
        ("{name: a, type: u8, required: true}", A, [("breaking", "is not required any more")]),
        (A, "{name: a, type: u8, required: true}", [("compatible", "is now required")]),
        (A, "{name: a, type: u8, range: [0, 9]}", [("compatible", "range: none -> 0 to 9")]),
        ("{name: a, type: u8, range: [0, 9]}", "{name: a, type: u8, range: [0, 10]}",
         [("new", "range: 0 to 9 -> 0 to 10")]),
        ("{name: a, type: u8, enum: {0: x, 1: y}}", "{name: a, type: u8, enum: {0: x}}",
         [("breaking", "enum loses `y`")]),
        ("{name: a, type: u8, enum: {0: x}}", "{name: a, type: u8, enum: {0: x, 1: y}}", [("new", "enum gains `y`")]),
        ("{name: a, type: u8, enum: {0: x, 1: y}}", "{name: a, type: u8, enum: {0: y, 1: x}}",
         [("breaking", "enum says otherwise for `0: x -> y`, `1: y -> x`")]),
        ("{name: a, type: u8, enum: {0: x}}", "{name: a, type: u8, enum: {1: x}}",
         [("compatible", "enum has other raw values")]),
        (A, "{name: a, type: u8, absent: 255}", [("compatible", "absent: none -> `0xFF`")]),
        ("{name: a, type: bcd, bytes: 2}", "{name: a, type: bcd, bytes: 2, identity: device}",
         [("breaking", "is no metric any more"), ("breaking", "identity: none -> `device`")]),
        ("{name: f, type: u8, bits: {a: 0}}", "{name: f, type: u8, bits: {a: 0-1}}",
         [("breaking", "was a truth, is a number"), ("compatible", "type: 1 bits -> 2 bits")]),
    ],
)  # fmt: skip
def test_values(before: str, after: str, found: list[tuple[str, str]]) -> None:
    assert of_rows(before, after) == found


def test_what_is_refused_by_contract_breaks() -> None:
    assert of_rows(A, "{name: a, type: u8, range: [0, 9]}", "contract: reject\n") == [
        ("breaking", "range: none -> 0 to 9")
    ]


def test_values_within_structures_have_paths() -> None:
    text = (
        "product: p\nmessages: {m: {fields: [{group: g, fields: [{list: l, fields: [{name: a, type: u8, unit: V}]}]}]}}"
    )
    assert changes(text, text.replace("unit: V", "unit: A")) == [("breaking", "m.g.l[].a", "unit: `V` -> `A`")]


def test_messages() -> None:
    assert changes(SPEC, SPEC) == []
    gone = SPEC.replace("  login:", "  logon:")
    assert changes(SPEC, gone) == [("compatible", "login", "message removed"), ("new", "logon", "message added")]
    assert changes(gone, gone.replace("  status:\n", "  state:\n").replace("{status: {f", "{state: {f")) == [
        ("breaking", "status", "message removed"), ("new", "state", "message added"),
    ]  # fmt: skip
    assert changes(SPEC, SPEC.replace("when: {type: 2}", "when: {type: 3}\n    record: event")) == [
        ("breaking", "status", "record: telemetry -> event"), ("compatible", "status", "when changed"),
    ]  # fmt: skip
    assert changes(SPEC, SPEC.replace("replies: [ack]", "replies: []")) == [
        ("compatible", "login", "replies changed"), ("compatible", "status", "replies changed"),
    ]  # fmt: skip


def test_the_product_and_its_variants() -> None:
    other = SPEC.replace("product: sensor", "product: sensor2\nversion: 2\nzone: +01:00\ncontract: reject")
    assert changes(SPEC, other)[:4] == [
        ("breaking", "", "product id: `sensor` -> `sensor2`"),
        ("compatible", "", "version: 1 -> 2"),
        ("breaking", "", "contract: flag -> reject"),
        ("breaking", "", "zone of local times: UTC -> +01:00"),
    ]
    assert diff(compiled(SPEC), compiled(other)).raised


def test_variants_are_compared_too() -> None:
    def changed(text: str) -> list[tuple[str, str, str]]:
        found = diff(loaded(golden=NONE).product, loaded(text, NONE).product)
        return [(change.effect.value, change.place, change.text) for change in found.changes]

    renamed = SPEC.replace("  coarse:", "  rough:")
    found = diff(loaded(golden=NONE).product, loaded(renamed, NONE).product).changes
    assert [(change.effect.value, change.text) for change in found] == [
        ("breaking", "variant `coarse` removed"), ("new", "variant `rough` added"),
    ]  # fmt: skip
    assert changed(SPEC.replace('type: i16, unit: "°C"}', "type: i16, unit: K}")) == [
        ("breaking", "coarse: status.temperature", "unit: `°C` -> `K`")
    ]
    assert changed(SPEC.replace("name: door_open", "name: door").replace("door_open: 0", "door: 0")) == [
        ("breaking", "status.door_open", "renamed to `door`")
    ]


def test_a_change_is_said_once_with_what_it_means() -> None:
    found = diff(compiled(SPEC), compiled(SPEC.replace('unit: "°C", range', "range")))
    assert found.breaking
    assert not found.raised
    assert found.changes[0].to_plain() == {
        "effect": "breaking", "place": "status.temperature", "change": "unit: `°C` -> none",
    }  # fmt: skip
    assert [effect.value for effect in Effect] == ["compatible", "new", "breaking"]


def test_no_product_differs_from_itself() -> None:
    for item in shipped().values():
        assert diff(item.product, item.product).changes == []
