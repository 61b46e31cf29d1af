"""Tag lists: key, perhaps a length, value, again and again. Both codecs, always."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.errors import DecodeCode, DecodeError, SpecError
from tests.decoders.specs import read, rows


def items(text: str, **more: str) -> Any:
    return rows(f"[{{items: {text}}}]", **more)


def refusal(spec: str, data: str) -> tuple[DecodeCode, str, int | None]:
    with pytest.raises(DecodeError) as caught:
        read(items(spec), data)
    return caught.value.code, caught.value.field, caught.value.offset


SIZED = "{key: u8, tags: {1: {name: a, type: u8}, 2: [{name: b, type: u16}, {name: c, type: i8}]}, on_unknown: UNKNOWN}"
LONG = "{key: u8, length: u8, tags: {1: {name: a, type: u16}, 2: {name: b, type: text}}, on_unknown: UNKNOWN}"


def test_tags_that_know_their_size() -> None:
    spec = SIZED.replace("UNKNOWN", "refuse")
    assert read(items(spec), "02000503") == {"b": 5, "c": 3}
    assert read(items(spec), "0107020005ff") == {"a": 7, "b": 5, "c": -1}
    assert read(items(spec), "01070108") == {"a": 8}
    assert refusal(spec, "0107020005") == (DecodeCode.TRUNCATED, "#2.c", 5)
    assert refusal(spec, "010709") == (DecodeCode.UNKNOWN_TAG, "#9", 3)


def test_without_a_length_an_unknown_tag_stops_or_is_refused() -> None:
    assert read(items(SIZED.replace("UNKNOWN", "stop")), "010709ffff") == {"a": 7}
    assert refusal(SIZED.replace("UNKNOWN", "skip"), "010709ffff")[0] is DecodeCode.UNKNOWN_TAG


def test_tags_with_a_length() -> None:
    spec = items(LONG.replace("UNKNOWN", "skip"))
    assert read(spec, "01020005" + "0203616263") == {"a": 5, "b": "abc"}
    assert read(spec, "0902ffff" + "01020005") == {"a": 5}
    assert read(spec, "0200") == {"b": ""}
    assert read(spec, "0103000599") == {"a": 5}  # later versions make values longer
    assert read(spec, "010105" + "02016b") == {"b": "k"}  # too short for its rows: as if unknown
    assert refusal(LONG.replace("UNKNOWN", "skip"), "010200050203") == (DecodeCode.TRUNCATED, "", 4)
    assert refusal(LONG.replace("UNKNOWN", "skip"), "0102000502") == (DecodeCode.TRUNCATED, "", 4)


def test_unknown_tags_with_a_length() -> None:
    assert read(items(LONG.replace("UNKNOWN", "stop")), "010200050901ff02016b") == {"a": 5}
    assert refusal(LONG.replace("UNKNOWN", "refuse"), "010200050901ff")[:2] == (DecodeCode.UNKNOWN_TAG, "#9")
    assert read(items(LONG.replace("UNKNOWN", "{into: other}")), "0902aabb0a00") == {"other": {"9": "aabb", "10": ""}}
    numbers = items(LONG.replace("UNKNOWN", "{into: other, type: uint}"))
    assert read(numbers, "0902aabb") == {"other": {"9": 0xAABB}}
    assert refusal(LONG.replace("UNKNOWN", "{into: other, type: uint}"), "0900")[0] is DecodeCode.BAD_VALUE
    assert refusal(LONG.replace("UNKNOWN", "{into: other, type: u32}"), "0902aabb")[0] is DecodeCode.TRUNCATED


def test_length_that_counts_the_key_and_length_before_the_key() -> None:
    with_key = items("{key: u8, length: u8, length_counts: key_and_value, tags: {1: {name: a, type: hex}}}")
    assert read(with_key, "0104aabb") == {"a": "aabb"}
    with pytest.raises(DecodeError) as caught:
        read(with_key, "0101")
    assert caught.value.code is DecodeCode.BAD_LENGTH
    first = items("{key: u16, length: u8, length_first: true, tags: {1: {name: a, type: hex}}}")
    assert read(first, "040001aabb") == {"a": "aabb"}


def test_counts_and_sizes_of_tag_lists() -> None:
    tags = "tags: {1: {name: a, type: u8}, 2: {name: b, type: u8}}"
    end = ", {name: end, type: u8}]"
    assert read(rows(f"[{{items: {{key: u8, count_type: u8, {tags}}}}}{end}"), "0201050206ff") == {
        "a": 5,
        "b": 6,
        "end": 255,
    }
    assert read(rows(f"[{{items: {{key: u8, count: 1, {tags}}}}}{end}"), "0105ff") == {"a": 5, "end": 255}
    assert read(rows(f"[{{items: {{key: u8, bytes: 4, {tags}}}}}{end}"), "01050206ff") == {"a": 5, "b": 6, "end": 255}
    assert refusal("{key: u8, count_type: u8, max: 2, tags: {}}", "03")[0] is DecodeCode.TOO_MANY_ITEMS
    assert refusal("{key: u8, length: 0, max: 2, tags: {}}", "010203")[0] is DecodeCode.TOO_MANY_ITEMS


def test_raw_keeps_every_item() -> None:
    spec = items("{key: u8, length: u8, raw: all, tags: {1: {name: a, type: u8}}}")
    assert read(spec, "010105" + "0900") == {"a": 5, "all": [{"id": 1, "value": "05"}, {"id": 9, "value": ""}]}
    filled = rows("[{name: n, type: u8}, {items: {key: u8, length: u8, raw: all, tags: {}}}]")
    assert read(filled, "07") == {"n": 7}


def test_a_tag_may_depend_on_one_that_came_before_it() -> None:
    compiled = items("{key: u8, tags: {1: {name: a, type: u8, if: b > 1}, 2: {name: b, type: u8}}}")
    assert read(compiled, "020201050203") == {"a": 5, "b": 3}
    assert read(compiled, "010202") == {"b": 2}
    assert read(compiled, "020101") == {"b": 1}


def test_many_tags() -> None:
    tags = ", ".join(f"{number}: {{name: v{number}, type: u8}}" for number in range(0, 200, 3))
    compiled = items(f"{{key: u8, length: u8, tags: {{{tags}}}, on_unknown: {{into: other}}}}")
    for number in range(200):
        expected = {f"v{number}": 5} if number % 3 == 0 else {"other": {str(number): "05"}}
        assert read(compiled, bytes([number, 1, 5])) == expected


GROUPS_BY_SIZE = """[
  {items: {key: u8, length: 1, count_type: u8, tags: ids, on_unknown: {into: io, type: uint}}},
  {items: {key: u8, length: 2, count_type: u8, tags: ids, on_unknown: {into: io, type: uint}}},
  {items: {key: u8, length: 4, count_type: u8, tags: ids, on_unknown: {into: io}}}]"""
IDS = """{ids: {1: {name: any, type: uint}, 2: {name: signed, type: int}, 3: {name: two, type: u16},
  4: {name: text, type: text}}}"""


def test_lists_of_several_sizes_share_a_table() -> None:
    compiled = rows(GROUPS_BY_SIZE, tags=IDS)
    assert read(compiled, "01010500" + "00") == {"any": 5}
    assert read(compiled, "0001010203" + "00") == {"any": 0x0203}
    assert read(compiled, "00000102fffffffe") == {"signed": -2}
    assert read(compiled, "0102fe" + "0000") == {"signed": -2}
    assert read(compiled, "00010300ff" + "00") == {"two": 255}
    assert read(compiled, "000104" + "6869" + "00") == {"text": "hi"}


def test_rows_of_another_size_do_not_read_part_of_an_item() -> None:
    compiled = rows(GROUPS_BY_SIZE, tags=IDS)
    assert read(compiled, "010307" + "0000") == {"io": {"3": 7}}
    assert read(compiled, "0000010300000007") == {"io": {"3": "00000007"}}


@pytest.mark.parametrize(
    ("spec", "more", "words"),
    [
        ("{key: u8, length: 1, tags: ids}", {}, "no table of tags `ids`"),
        ("{key: u8, length: 1, tags: id}", {"tags": "{ids: {}}"}, "did you mean `ids`?"),
        ("{key: u8, length: 1, tags: {1: {name: a, type: u16}}}", {}, "the rows take 2 bytes, the items have 1"),
        ("{key: u8, tags: {1: {name: a, type: uint}}}", {}, "`uint` has no size of its own"),
        ("{key: u8, tags: ids}", {"tags": "{ids: {1: {items: {key: u8, tags: ids}}}}"}, "contains itself"),
        ("{key: f32, tags: {}}", {}, "is no integer type"),
        ("{key: u8, length_first: true, tags: {}}", {}, "no length on the wire"),
        ("{key: u8, on_unknown: {into: io}}", {}, "the size of an unknown tag is not known"),
    ],
)
def test_mistakes(spec: str, more: dict[str, str], words: str) -> None:
    with pytest.raises(SpecError, match=words.replace("?", r"\?")):
        items(spec, **more)
