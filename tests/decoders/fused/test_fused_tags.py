"""Tagged items in all their forms, and the order of formulas in them."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from tests.decoders.fused.bodies import source
from tests.decoders.specs import product, read, rows

TAGS = "tags: {1: {name: a, type: u8}, 2: {name: b, type: u16}, 7: []}"


@pytest.mark.parametrize(
    ("keys", "body", "values"),
    [
        ("length: u8", "010105 02020006 0700", {"a": 5, "b": 6}),
        ("length: u16le", "01010005", {"a": 5}),
        ("length: u8, length_counts: key_and_value", "010305 02040006", {"a": 5, "b": 6}),
        ("length: u8, length_first: true", "020105 03020006", {"a": 5, "b": 6}),
        ("length: u8, bytes: 3", "010105", {"a": 5}),
        ("raw: all, length: u8", "0101050900", {"a": 5, "all": [{"id": 1, "value": "05"}, {"id": 9, "value": ""}]}),
        ("length: u8, on_unknown: {into: io, type: uint}", "090105", {"io": {"9": 5}}),
        ("length: u8, on_unknown: stop, count: 3", "010105 090101", {"a": 5}),
    ],
)
def test_forms(keys: str, body: str, values: dict[str, object]) -> None:
    if keys.endswith("count: 3"):  # what follows an unknown tag is not looked at
        assert read(rows(f"[{{items: {{key: u8, {keys}, {TAGS}}}}}]"), bytes.fromhex(body)) == values
        return
    compiled = rows(f"[{{items: {{key: u8, {keys}, {TAGS}}}}}]")
    data = bytes.fromhex(body)
    assert read(compiled, data) == values
    with pytest.raises(DecodeError):
        read(compiled, data[:-1])


@pytest.mark.parametrize("count", ["", "count: 2, ", "count_type: u8, "])
@pytest.mark.parametrize("unknown", ["skip", "stop", "refuse", "{into: io, type: uint}"])
def test_items_of_one_size(count: str, unknown: str) -> None:
    compiled = rows(
        f"[{{items: {{key: u8, length: 2, {count}tags: {{1: {{name: a, type: uint}}, "
        f"2: [{{name: b, type: u8}}, {{skip: 1}}]}}, on_unknown: {unknown}}}}}]"
    )
    first = "02" if "type" in count else ""
    assert read(compiled, first + "010005" + "020600") == {"a": 5, "b": 6}
    with pytest.raises(DecodeError):
        read(compiled, first + "010005" + "0206")
    if unknown == "refuse":
        with pytest.raises(DecodeError):
            read(compiled, first + "090005" + "010006")
    else:
        more = {"skip": {"a": 6}, "stop": {}}.get(unknown, {"a": 6, "io": {"9": 5}})
        whole = first + "090005" + ("" if unknown == "stop" and count else "010006")
        assert read(compiled, whole) == more


def test_too_many_items_are_refused() -> None:
    compiled = rows(f"[{{items: {{key: u8, length: u8, max: 2, {TAGS}}}}}]")
    assert read(compiled, "07000700") == {}
    with pytest.raises(DecodeError):
        read(compiled, "070007000700")


def test_many_tags_are_found_by_halves() -> None:
    tags = ", ".join(f"{number * 3}: {{name: v{number}, type: u8}}" for number in range(20))
    compiled = rows(f"[{{items: {{key: u8, length: u8, tags: {{{tags}}}}}}}]")
    for number in range(20):
        assert read(compiled, bytes([number * 3, 1, number])) == {f"v{number}": number}
        assert read(compiled, bytes([number * 3 + 1, 1, number])) == {}
        assert read(compiled, bytes([number * 3, 0])) == {}
    longest = max(len(line) - len(line.lstrip()) for line in source(compiled).splitlines())
    assert longest < 4 * 10


def test_formulas_of_tags_are_worked_out_in_the_order_of_the_rows() -> None:
    compiled = rows(
        "[{name: x, type: u8}, {items: {key: u8, length: u8, tags: "
        "{5: [{name: p, formula: q + 1}], 1: [{name: q, formula: x * 2}], 2: {name: q, type: u8}}}}]"
    )
    assert read(compiled, "03 0500 0100") == {"x": 3, "q": 6, "p": 7}
    assert read(compiled, "03 0500") == {"x": 3}  # a formula belongs to its tag


def test_a_header_may_reach_into_the_trailer_but_not_its_value() -> None:
    compiled = product(
        f"frame: {{header: [{{name: k, type: u8}}], trailer: [{{name: end, type: u16}}]}}\n"
        f"messages: {{m: {{fields: [{{items: {{key: u8, length: u8, {TAGS}}}}}]}}}}"
    )
    assert read(compiled, "090101050007") == {"k": 9, "a": 5, "end": 7}
    with pytest.raises(DecodeError):
        read(compiled, "09010000")  # the length would be the trailer's first byte
