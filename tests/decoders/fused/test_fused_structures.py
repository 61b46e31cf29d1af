"""Conditions, branches and groups."""

from __future__ import annotations

import pytest

from decoders.errors import DecodeError
from tests.decoders.fused.bodies import source
from tests.decoders.specs import read, rows


def test_a_condition_on_what_is_left_is_the_length_check() -> None:
    compiled = rows(
        "[{name: a, type: u8}, {name: b, type: u16, if: remaining >= 2}, {name: c, type: u8, if: remaining}]"
    )
    assert source(compiled).count("> e: raise") == 2  # of `a` and `c`
    assert read(compiled, "01") == {"a": 1}
    assert read(compiled, "010002") == {"a": 1, "b": 2}
    assert read(compiled, "0102") == {"a": 1, "c": 2}


def test_branches_by_number_and_range() -> None:
    compiled = rows(
        "[{name: k, type: u8}, {switch: k, cases: {1: [{name: a, type: u8}], 2..3: [{name: b, type: u16}]}, "
        "default: refuse}]"
    )
    assert read(compiled, "0109") == {"k": 1, "a": 9}
    assert read(compiled, "03000a") == {"k": 3, "b": 10}
    with pytest.raises(DecodeError):
        read(compiled, "04000a")


def test_what_is_no_whole_number_is_in_no_range() -> None:
    compiled = rows("[{name: k, type: u8}, {switch: k / 2, cases: {1..3: [{name: a, type: u8}]}, default: []}]")
    assert "__class__ in INTEGERS" in source(compiled)
    assert read(compiled, "05") == {"k": 5}


def test_values_of_a_group_in_a_branch_are_sure_within_the_group() -> None:
    compiled = rows("[{name: k, type: u8}, {group: g, if: k, fields: [{name: a, type: u8}, {name: b, type: u8}]}]")
    assert "{'a': a_3, 'b': b_4}" in source(compiled)
    assert read(compiled, "010203") == {"k": 1, "g": {"a": 2, "b": 3}}
    assert read(compiled, "00") == {"k": 0}


def test_a_group_must_be_read_to_its_end() -> None:
    exact, loose = (
        rows(f"[{{group: g, prefix: u8{rest}, fields: [{{name: a, type: u8}}]}}, {{name: z, type: u8}}]")
        for rest in ("", ", rest: skip")
    )
    assert read(exact, "010209") == read(loose, "010209") == {"g": {"a": 2}, "z": 9}
    assert read(loose, "0302ffff09") == {"g": {"a": 2}, "z": 9}
    with pytest.raises(DecodeError):
        read(exact, "0302ffff09")
    with pytest.raises(DecodeError):
        read(loose, "0009")
