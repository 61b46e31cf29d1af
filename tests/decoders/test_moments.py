"""When formula rows are worked out, what they read of their item, and which of several rows of one name counts."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError, SpecError
from decoders.layout import Derived, Tags, walk
from decoders.moments import all_moments, moments
from tests.decoders.specs import product, read, rows


def sensors(*tags: str, before: str = "", behind: str = "") -> str:
    listed = ", ".join(f"{number}: [{tag}]" for number, tag in enumerate(tags, 1))
    return f"[{before}{{items: {{key: u8, length: u8, tags: {{{listed}}}}}}}{behind}]"


TEXT = 'frame: {format: text, start: "<", stop: ">", split: ";"}\n'
RAW = "{name: raw, type: u8, hidden: true, absent: 255}"
TWO = (f"{RAW}, {{name: t, formula: raw / 10}}", f"{RAW}, {{name: h, formula: raw * 2}}")


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("010119 020107", {"t": 2.5, "h": 14}),
        ("020107 010119", {"t": 2.5, "h": 14}),
        ("010119 0201FF", {"t": 2.5}),
        ("0101FF 020107", {"h": 14}),
        ("010119 0101FF", {"t": 2.5}),
        ("010119 010132", {"t": 5.0}),
    ],
)
def test_tags_with_hidden_values_of_one_name_do_not_spoil_each_other(body: str, values: dict[str, float]) -> None:
    assert read(rows(sensors(*TWO)), body) == values


def test_the_same_holds_for_cases_and_branches_within_tags() -> None:
    inner = "{switch: key, cases: {1: [%s], 2: [%s]}}" % TWO  # noqa: UP031 - braces of YAML
    compiled = rows(f"[{{items: {{key: u8, length: u8, tags: {{1..2: [{inner}]}}}}}}]")
    assert read(compiled, "010119 020107") == {"t": 2.5, "h": 14}
    branches = ", ".join(f"{{group: null, if: raw_key == {key}, fields: [{TWO[key - 1]}]}}" for key in (1, 2))
    compiled = rows(
        f"[{{items: {{key: raw_key, header: [{{name: raw_key, type: u8}}, {{skip: 1}}], "
        f"tags: {{1..2: [{branches}]}}}}}}]"
    )
    assert read(compiled, "010019 020007") == {"t": 2.5, "h": 14}


def test_cases_that_follow_each_other_compute_of_their_own_values() -> None:
    case = "{name: kind, type: u8, hidden: true}, {switch: kind, cases: {1: [%s], 2: [%s]}}" % TWO  # noqa: UP031
    compiled = rows(f"[{case}, {case}]")
    assert read(compiled, "0119 0207") == {"t": 2.5, "h": 14}


def test_text_tags_and_meter_records_compute_of_their_own_values() -> None:
    compiled = product(
        TEXT + "items: {key: text, tags: {T: [{name: raw, type: number, hidden: true}, {name: t, formula: raw / 10}], "
        "H: [{name: raw, type: number, hidden: true}, {name: h, formula: raw * 2}]}}"
    )
    assert read(compiled, b"<T=25;H=7>") == {"t": 2.5, "h": 14}
    assert read(compiled, b"<T=25;H=>") == {"t": 2.5}
    compiled = rows(
        "[{items: {format: mbus, tags: {'0413': [{name: raw, hidden: true}, {name: p, formula: raw * 2}], "
        "'0223': [{name: raw, hidden: true}, {name: q, formula: raw + 1}]}}}]"
    )
    assert read(compiled, "0413 0A000000 0223 0300").keys() == {"p", "q"}
    assert read(compiled, "0413 0A000000 0223 0300")["p"] != read(compiled, "0223 0300 0413 14000000")["p"]


def test_a_formula_of_a_tag_sees_what_was_read_before_it() -> None:
    """A divisor may stand before the list, in a tag before, or behind: then it is worked out at the end."""
    tags = ("{name: divisor, type: u8}", *(tag.replace("/ 10", "/ divisor").replace("* 2", "/ divisor") for tag in TWO))
    compiled = rows(sensors(*tags))
    assert read(compiled, "01010A 020119 030105") == {"divisor": 10, "t": 2.5, "h": 0.5}
    assert read(compiled, "020119 01010A 030105") == {"divisor": 10, "t": 2.5, "h": 0.5}
    assert read(compiled, "020119 030105 01010A") == {"divisor": 10, "t": 2.5, "h": 0.5}
    assert read(compiled, "020119 0301FF 01010A") == {"divisor": 10, "t": 2.5}
    assert read(compiled, "020119 030105") == {}
    ahead = rows(sensors(*tags[1:], before="{name: divisor, type: u8}, "))
    assert read(ahead, "0A 010119 020105") == {"divisor": 10, "t": 2.5, "h": 0.5}
    behind = rows(
        sensors(*tags[1:], behind=", {name: divisor, type: u8}").replace("length: u8,", "length: u8, count: 2,")
    )
    assert read(behind, "010119 020105 0A") == {"divisor": 10, "t": 2.5, "h": 0.5}


def test_what_needs_the_whole_structure_is_worked_out_when_it_is_read() -> None:
    compiled = rows(
        "[{name: sum, formula: a + b}, {name: a, type: u8}, {name: n, formula: count(l)}, "
        "{list: l, type: u8, count: 2}, {name: all, formula: sum(l)}, {name: b, type: u8}, {list: l, type: u8}]"
    )
    assert read(compiled, "01 0203 04 05") == {"a": 1, "b": 4, "sum": 5, "n": 3, "all": 10, "l": [2, 3, 5]}
    beside = rows(
        "[{list: l, count: 2, fields: [{name: a, type: u8}]}, {name: n, formula: \"sum(values(l, 'b'))\"}, "
        "{list: m, into: l, fields: [{name: b, type: u8}]}]"
    )
    assert read(beside, "0102 0304")["n"] == 7
    signed = rows("[{name: a, type: u8, negate: s}, {name: b, formula: a * 2}, {name: s, type: u8, hidden: true}]")
    assert read(signed, "0501") == {"a": -5, "b": -10}


def test_a_formula_that_stands_between_rows_of_one_name_reads_the_first() -> None:
    compiled = rows("[{name: a, type: u8}, {name: b, formula: a + 1}, {name: a, type: u8}, {name: c, formula: a + 1}]")
    assert read(compiled, "0105") == {"a": 5, "b": 2, "c": 6}


@pytest.mark.parametrize(
    ("fields", "body", "values"),
    [
        ("{name: a, type: u8}, {name: a, type: u8, absent: 255}", "05FF", {"a": 5}),
        ("{name: a, type: u8}, {name: a, type: u8, absent: 255}", "0506", {"a": 6}),
        ("{name: a, type: u8}, {name: a, type: u8, optional: true}", "05", {"a": 5}),
        ("{name: a, type: u8, absent: 255}, {name: a, type: u8, absent: 255}", "FF05", {"a": 5}),
        ("{name: a, type: text, bytes: 1}, {name: a, type: text, bytes: 1, absent: ''}", "4120", {"a": "A"}),
        ("{name: a, type: u8, negate: 1 == 1}, {name: a, type: u8, absent: 255}", "05FF", {"a": -5}),
        ("{name: a, type: u8}, {name: a, type: u8, absent: 255, negate: 1 == 1}", "05FF", {"a": 5}),
        ("{name: k, type: u8}, {name: 'v_{k}', type: u8}, {name: 'v_{k}', type: u8, absent: 255}", "0105FF",
         {"k": 1, "v_1": 5}),
        ("{name: a, type: u8}, {type: u8, bits: {a: {at: 0-7, absent: 255}}, name: x}", "05FF", {"a": 5}),
        ("{name: a, type: u8}, {name: b, type: u8, absent: 255}, {name: a, formula: b}", "05FF", {"a": 5}),
        ("{name: a, type: u8}, {name: b, type: u8}, {name: a, formula: b, absent: 255}", "05FF", {"a": 5, "b": 255}),
        ("{name: a, type: u8}, {name: a, formula: a * 2, absent: 10}", "05", {}),
        ("{name: a, type: u8, absent: {9: cut}}, {name: a, type: u8, absent: {9: cut}}", "0905", {"a": 5}),
        ("{name: a, type: u8, absent: {9: cut}}, {name: a, type: u8, absent: {9: cut}}", "0509",
         {"a": 5, "a_status": "cut"}),
    ],
)  # fmt: skip
def test_of_rows_with_one_name_the_last_one_that_has_a_value_counts(
    fields: str, body: str, values: dict[str, object]
) -> None:
    assert read(rows(f"[{fields}]"), body) == values


def test_the_same_holds_for_tags_and_branches() -> None:
    many = ", ".join(f"{number}: {{name: v{number}, type: u8, absent: 255}}" for number in range(8))
    compiled = rows(f"[{{items: {{key: u8, length: u8, tags: {{{many}}}}}}}]")
    assert read(compiled, "000105 0001FF 010106") == {"v0": 5, "v1": 6}
    compiled = rows(
        "[{name: k, type: u8}, {name: a, type: u8}, {name: a, type: u8, absent: 255, if: k}, "
        "{switch: k, cases: {1: [{name: a, type: u8, absent: 255}], 0: []}}]"
    )
    assert read(compiled, "0105FFFF") == {"k": 1, "a": 5}
    assert read(compiled, "010506FF") == {"k": 1, "a": 6}
    assert read(compiled, "0005") == {"k": 0, "a": 5}


def test_items_and_groups_read_formula_rows_that_stand_before_them() -> None:
    compiled = rows(
        "[{name: scale, type: u8, hidden: true}, {name: factor, formula: 10 ** scale}, "
        "{list: l, count: 2, fields: [{name: raw, type: u8, hidden: true}, {name: v, formula: raw * factor}]}, "
        "{group: g, fields: [{name: w, type: u8}, {name: x, formula: w / factor}]}]"
    )
    assert read(compiled, "01 0203 05") == {"factor": 10, "l": [{"v": 20}, {"v": 30}], "g": {"w": 5, "x": 0.5}}


@pytest.mark.parametrize("formula", ["key", "key * 2 + raw", "first(key, 0)"])
def test_the_key_of_the_item_is_a_value_too(formula: str) -> None:
    compiled = rows(
        "[{items: {key: u8, length: u8, tags: {3..7: [{name: raw, type: u8}, "
        f"{{name: k, formula: {formula!r}}}]}}}}}}]"
    )
    expected = {"key": 5, "key * 2 + raw": 19, "first(key, 0)": 5}[formula]
    assert read(compiled, "040108 050109") == {"raw": 9, "k": expected}


def test_the_key_is_there_within_lists_of_a_tag_and_in_texts() -> None:
    compiled = rows(
        "[{items: {key: u8, length: u8, tags: "
        "{3..7: {list: l, fields: [{name: v, type: u8}, {name: k, formula: key}]}}}}]"
    )
    assert read(compiled, "04020809 050101") == {"l": [{"v": 8, "k": 4}, {"v": 9, "k": 4}, {"v": 1, "k": 5}]}
    compiled = product(TEXT + "items: {key: text, tags: {'A, B': [{name: v}, {name: k, formula: key}]}}")
    assert read(compiled, b"<A=1;B=2>") == {"v": "2", "k": "B"}


@pytest.mark.parametrize("frame", ["41", "4100", "410042", "41004200", "", "00", "0000", "41004142", "0041"])
@pytest.mark.parametrize(
    "more", ["", "count: 1, ", "count: 2, ", "bytes: 1, ", "until_left: 1, ", "while: next_u8 > 1, "]
)
@pytest.mark.parametrize(
    "items", ["fields: [{name: a, type: u8}]", "fields: [{name: a, type: hex, bytes: rest}]", "type: text"]
)
def test_every_item_of_a_binary_list_has_its_mark(frame: str, more: str, items: str) -> None:
    compiled = rows(
        f'[{{list: l, item_until: "00", {more}{items}}}, {{name: z, type: u8, optional: true}}, {{skip: rest}}]'
    )
    try:
        found = read(compiled, frame)["l"]
    except DecodeError:
        return
    marks = sum(frame[at : at + 2] == "00" for at in range(0, len(frame), 2))
    assert len(found) <= marks + (items == "type: text")


def test_moments_are_told_by_the_layout() -> None:
    compiled = rows(
        sensors("{name: d, type: u8}", f"{RAW}, {{name: t, formula: raw / d}}", "{name: x, formula: t + raw}")
    )
    nodes = compiled.kinds[0].layout.messages["sample"].body
    (tags,) = (node for node in nodes if isinstance(node, Tags))
    found = {node.name: moments(nodes).rows[id(node)] for node in walk(nodes) if isinstance(node, Derived)}
    second = id(tags.tags[1][1])
    assert found["t"].tests == ("d",)
    assert found["t"].own == {"raw": second}
    assert found["x"].late  # `t` may be worked out late
    assert all_moments(nodes).own == {second: frozenset({"raw"})}


def test_a_name_of_no_tag_is_a_mistake_that_is_explained() -> None:
    with pytest.raises(SpecError, match="`key` is known only within a tag"):
        product("fields: [{name: a, formula: key}, {items: {key: u8, length: u8, tags: {1: {name: b, type: u8}}}}]")


def test_items_cannot_read_a_formula_row_that_is_worked_out_at_the_end() -> None:
    with pytest.raises(SpecError, match="`f` is worked out when all is read") as caught:
        rows(
            "[{name: f, formula: a * 2}, "
            "{list: l, count: 1, fields: [{name: v, type: u8}, {name: w, formula: v * f}]}, {name: a, type: u8}]"
        )
    assert "put `f` behind all that it reads" in str(caught.value)


def test_formula_rows_of_header_and_trailer_are_worked_out_in_their_order() -> None:
    compiled = product(
        "frame: {header: [{name: n, type: u8}, {name: m, formula: length + t}], size: '4', "
        "trailer: [{name: t, type: u8}, {name: y, formula: t + v}]}\n"
        "fields: [{name: v, type: u8}, {name: w, formula: t + v}, {name: v, type: u8, absent: 255}]"
    )
    assert read(compiled, "01 02 FF 07") == {"n": 1, "m": 9, "v": 2, "w": 9, "t": 7, "y": 9}
