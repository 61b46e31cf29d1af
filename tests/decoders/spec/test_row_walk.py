from __future__ import annotations

from decoders.spec.model import SpecFile
from decoders.spec.row_walk import all_rows
from decoders.spec.source import load, validate

TEXT = """\
product: walk
frame: {header: [{name: type, type: u8}], trailer: [{name: sum, crc: xor8}]}
blocks: {shared: [{name: in_block, type: u8}]}
tags: {table: {1: {name: in_table, type: u8}}}
messages:
  one:
    fields:
      - {use: shared}
      - {group: g, fields: [{name: in_group, type: u8}]}
      - {list: l, count: "1", fields: [{name: in_list, type: u8}]}
      - switch: type
        cases: {1: [{name: in_case, type: u8}]}
        default: [{name: in_default, type: u8}]
      - items: {key: u8, length: u8, tags: {7: {name: in_tag, type: u8}}}
  two: {when: {type: 2}, items: {key: u8, tags: {9: [{name: in_items, type: u8}]}}}
  three: {when: {type: 3}, items: {key: u8, tags: table}}
"""


def test_every_row_comes_once_with_a_path_that_leads_to_it() -> None:
    document = load(TEXT, "walk.yaml")
    spec = validate(SpecFile, document)
    named = {placed.row.name: placed for placed in all_rows(spec) if hasattr(placed.row, "name")}
    assert list(named) == [
        *("type", "sum", "in_block", "in_table", "in_group", "in_list", "in_case", "in_default", "in_tag", "in_items"),
    ]
    assert [name for name, placed in named.items() if placed.frame] == ["type", "sum"]
    lines = TEXT.splitlines()
    for name, placed in named.items():
        line, _ = document.place(placed.path)
        assert f"name: {name}," in lines[line - 1], name
    assert sum(1 for _ in all_rows(spec)) == len(named) + 5
