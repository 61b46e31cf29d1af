"""Headers of tag lists, and rows of the same name in lists within the tags."""

from __future__ import annotations

from tests.decoders.specs import read, rows


def test_a_list_in_a_tag_may_use_the_name_of_the_header() -> None:
    compiled = rows(
        "[{items: {header: [{name: id, type: u8}, {name: n, type: u8}], key: id, length: n, tags: {"
        "1: {list: analog, fields: [{name: id, type: u8}, {name: value, type: u8}]},"
        "2: {group: g, fields: [{name: id, type: u8}]}, 3: {name: level, type: u8}}}}]"
    )
    assert read(compiled, "01 04 0A0B0C0D 03 01 07 02 01 05 03 01 08") == {
        "analog": [{"id": 10, "value": 11}, {"id": 12, "value": 13}], "level": 8, "g": {"id": 5},
    }  # fmt: skip
