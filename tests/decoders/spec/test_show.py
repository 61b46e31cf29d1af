from __future__ import annotations

from decoders.spec.show import layout_rows
from tests.decoders.sensor import SPEC, compiled
from tests.decoders.spec.shipped import shipped

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
        ("-3", "1", "serial"),
        ("-2", "2", "check"),
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
        ("", "case", "  = 1 (0x1)"),
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
    assert [row.note for row in layout_rows(product)[:2]] == ["as json", "= 0a"]


def table(rows: str) -> list[tuple[str, str, str, str, str]]:
    found = layout_rows(compiled(f"product: p\nmessages: {{m: {{fields: [{rows}]}}}}"))[1:]
    return [(row.offset, row.size, row.type, row.name, row.note) for row in found]


def test_several_rows_with_one_condition_stand_below_it() -> None:
    found = table("{name: a, type: u8}, {group: null, if: a, fields: [{name: b, type: u8}, {name: c, type: u8}]}")
    assert found == [("0", "1", "u8", "a", ""), ("1", "1", "u8", "b", "if a"), ("2", "1", "u8", "c", "if a")]


def test_groups_lists_and_bits_within_each_other() -> None:
    found = table(
        "{group: g, bytes: 4, fields: [{name: a, type: u8}, {list: l, count: 3, fields: [{name: b, type: u8, bits: "
        "{c: 0, d: {at: 1-3, unit: V, scale: 0.1}}}]}]}, {list: p, type: u16, count: 2}, {name: e, type: u8}"
    )
    assert found == [
        ("0", "4", "group", "g", ""),
        ("0", "1", "u8", "  a", ""),
        ("1", "", "list", "  l[]", "3 times"),
        ("0", "1", "u8", "    b", ""),
        ("", "bit 0", "bits", "      c", ""),
        ("", "bit 1-3", "bits", "      d", ""),
        ("4", "", "list of u16", "p[]", "2 times"),
        ("", "1", "u8", "e", ""),
    ]


def test_text_tags_and_records_that_name_themselves() -> None:
    frame = 'frame: {format: text, start: "<", stop: ">", split: ","}\n'
    items = "{key: text, split: ';', on_unknown: {into: more}, tags: {T: {name: t, type: number}, 'U, V': {name: u}}}"
    rows = layout_rows(compiled(f"product: p\n{frame}messages: {{m: {{items: {items}}}}}"))
    assert [(row.size, row.type, row.name, row.note) for row in rows[4:]] == [
        ("up to ','", "items", "tags", "key text; unknown ones go into `more`; split ';'"),
        ("", "tag", "  T", ""),
        ("rest", "number", "    t", ""),
        ("", "tag", "  U or V", ""),
        ("rest", "text", "    u", ""),
    ]
    (row,) = layout_rows(compiled("product: p\nmessages: {m: {items: {format: mbus}}}"))[1:]
    assert (row.type, row.note) == ("items", "records of mbus; unknown ones have names of their own")


def test_a_case_in_quotes_is_said_once() -> None:
    found = table("{name: k, type: u8}, {switch: k, cases: {'1, 2': [{name: a, type: u8}]}}")
    assert [name for _, _, _, name, _ in found] == ["k", "(k)", "  = 1 (0x1) or 2 (0x2)", "    a"]


def test_a_trailer_counts_from_the_end() -> None:
    text = "product: p\nframe: {trailer: [{name: a, type: u16}, {name: b, type: u8}]}\nmessages: {m: {}}"
    assert [(row.offset, row.name) for row in layout_rows(compiled(text))[1:3]] == [("-3", "a"), ("-1", "b")]


def test_every_product_has_a_table() -> None:
    for loaded in shipped().values():
        for form in loaded.forms().values():
            rows = layout_rows(form)
            assert {row.message for row in rows} - {""} == set(form.spec.messages)
