from __future__ import annotations

from decoders.spec.show import construct_text, generated_text, layout_rows
from tests.decoders.sensor import SPEC, compiled

STRUCTURES = """\
product: structures
messages:
  m:
    fields:
      - {name: count, type: u8}
      - {list: items, count: count, fields: [{name: speed, type: u8}, {name: rest, type: u16le}]}
      - {name: after, type: u8}
      - switch: count
        cases: {1: [{name: a, type: u8}], "2..3": [{name: b, type: u16}]}
        default: []
      - {name: maybe, type: u8, if: count > 1}
      - items: {key: u8, length: u8, tags: {0x10: {name: tagged, type: u8}}}
      - {name: total, formula: count * 2}
"""


def test_the_table_is_the_protocol_document() -> None:
    rows = [row.to_plain() for row in layout_rows(compiled())]
    frame = [row for row in rows if row.get("frame")]
    assert [(row.get("offset", ""), row.get("size", ""), row["name"]) for row in frame] == [
        ("0", "1", "start"),
        ("1", "1", "length"),
        ("2", "1", "type"),
        ("3", "", "(message)"),
        ("", "1", "serial"),
        ("", "2", "check"),
    ]
    status = [row for row in rows if row.get("message") == "status"]
    assert status[0]["name"] == "[status]"
    assert status[0]["note"] == "type 0x02"
    assert status[1] == {
        "message": "status", "offset": "0", "size": "2", "type": "i16", "name": "temperature",
        "scale": "* 0.1", "unit": "°C", "note": "-40 to 125",
    }  # fmt: skip
    assert [(row.get("offset"), row["size"], row["name"]) for row in status[2:]] == [
        ("2", "4", "time"),
        ("6", "1", "flags"),
        (None, "bit 0", "  door_open"),
        (None, "bit 1-2", "  mode"),
    ]


def test_offsets_start_again_within_and_end_behind_what_changes_its_size() -> None:
    rows = [(row.offset, row.type, row.name) for row in layout_rows(compiled(STRUCTURES))[1:]]
    assert rows == [
        ("0", "u8", "count"),
        ("1", "list", "items[]"),
        ("0", "u8", "  speed"),
        ("1", "u16le", "  rest"),
        ("", "u8", "after"),
        ("", "switch", "(count)"),
        ("", "case", "  = 0x01"),
        ("0", "u8", "    a"),
        ("", "case", "  = 2..3"),
        ("0", "u16", "    b"),
        ("", "case", "  otherwise"),
        ("", "u8", "maybe"),
        ("", "items", "tags"),
        ("", "tag", "  16 (0x10)"),
        ("0", "u8", "    tagged"),
        ("", "formula", "total"),
    ]


def test_a_condition_and_what_is_read_behind_it() -> None:
    text = "product: c\nmessages: {m: {fields: [{name: a, type: u8}, {name: b, type: u8, if: a}, {name: c, type: u8}]}}"
    rows = layout_rows(compiled(text))[1:]
    assert [(row.offset, row.name, row.note) for row in rows] == [("0", "a", ""), ("1", "b", "if a"), ("", "c", "")]


def test_the_constructs_are_shown_as_they_are_nested() -> None:
    lines = construct_text(compiled(STRUCTURES)).splitlines()
    assert "  m (at least 2 bytes)" in lines  # the two that are always there
    assert "    items: Array(count)" in lines
    assert "      rest: BytesInteger(2, swapped)" in lines
    assert "    Switch(count)" in lines
    assert "    If(count > 1)" in lines
    assert "    TagList(key=BytesInteger(1), unknown=skip)" in lines
    sensor = construct_text(compiled())
    assert "start: Const(0xA5, BytesInteger(1))" in sensor
    assert "check crc16_modbus, frame[1:-2]" in sensor


def test_the_generated_source_is_that_of_the_fused_codec() -> None:
    product = compiled()
    fused = product.kinds[0].fused
    assert fused is not None
    assert fused.source in generated_text(product)
    product.kinds[0].fused, product.kinds[0].why_not_fused = None, "too strange"
    assert "none: too strange" in generated_text(product)


def test_a_json_frame_has_no_layout() -> None:
    text = SPEC.replace(
        "frame:\n  header:",
        'frames:\n  json: {begins: "7B", until: "\\n", format: json}\n  binary:\n   header:',
    ).replace("  trailer:", "   trailer:")
    text = (
        text[: text.index("variants:")]
        .replace("    - {", "     - {")
        .replace("when: {type: 2}", "when: {type: 2}\n    json: true")
    )
    product = compiled(text)
    assert "none: JSON" in construct_text(product)
    assert [row.note for row in layout_rows(product)[:2]] == ["JSON", "0a"]
