"""What the generator knows of names and structures."""

from __future__ import annotations

from decoders.fused.scope import Known, Structure, given_names, is_late, names_of
from tests.decoders.specs import rows


def body(text: str):  # type: ignore[no-untyped-def]
    return rows(text).kinds[0].layout.messages["sample"].body


def test_names_are_sorted_by_who_reads_them() -> None:
    nodes = body(
        "[{name: n, type: u8}, {name: west, type: u8, hidden: true}, "
        "{list: l, count: n, fields: [{name: a, type: u8, negate: west}]}, "
        "{name: sum, formula: n + 1, if: flag}, {name: flag, type: u8, if: n}]"
    )
    names = names_of(nodes)
    assert names.raw == {"n"}
    assert names.values == {"west", "n", "flag"}
    assert names.late == {"a", "sum"}
    assert "west" not in names.shown
    assert {"n", "a", "sum", "flag"} <= names.shown
    assert names.wanted("west")
    assert not names.wanted("nothing")


def test_rows_of_a_name_that_one_of_them_negates_are_numbered() -> None:
    nodes = body("[{name: a, type: u8}, {name: a, type: u8, negate: a}, {name: b, type: u8}]")
    assert list(names_of(nodes).contested.values()) == [1, 2]
    assert [is_late(node) for node in nodes] == [False, True, False]


def test_what_a_branch_may_give() -> None:
    nodes = body(
        "[{group: g, fields: [{name: inside, type: u8}]}, {switch: 1, cases: {1: [{name: a, type: u8}]}, "
        "default: [{name: b, type: u8, bits: {c: 0}}]}, {items: {key: u8, length: u8, tags: {1: {name: d, type: u8}}}}]"
    )
    assert list(given_names(nodes)) == ["g", "a", "b", "c", "d"]


def test_the_innermost_value_that_is_there_counts() -> None:
    outer = Structure(values={"a": Known("v_1", kind="int"), "b": Known("v_2", sure=False)}, raw={"r": Known("r_1")})
    inner = Structure(outer, values={"a": Known("v_3", sure=False, kind="int"), "c": Known("v_4")})
    both = inner.find_value("a")
    assert both == Known("(v_1 if v_3 is None else v_3)", True, "int")
    assert inner.find_value("b") is outer.values["b"]
    assert inner.find_value("c") is inner.values["c"]
    assert inner.find_value("x") is None
    assert inner.find_raw("r") is outer.raw["r"]
