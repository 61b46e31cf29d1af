"""Specs made at random, read by both codecs: constructs must not only work alone but in any company."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from decoders.errors import DecodeError, SpecError
from decoders.fused import writer
from tests.decoders.specs import product, read

Row = dict[str, Any]
build = product.__wrapped__  # these specs are used once each
NAMES = st.sampled_from("abcdnpqr")  # formulas read the first five
INTEGERS = st.sampled_from(["u8", "u8", "i8", "u16", "u16le", "i24", "u24le", "sm8", "u32", "u64"])
TESTS = st.sampled_from(["a > 3", "b", "not a", "n % 2", "remaining > 2", "a and b", "bit", "c == d", "b - a"])
FORMULAS = st.sampled_from(["a + b", "a / b", "first(c, a, 3)", "a * 2", "not d", 'join("-", a, b)', "bit + 1", "c"])


def options(**choices: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    """Each key there or not."""
    return st.fixed_dictionaries({}, optional=choices)


def merged(*parts: st.SearchStrategy[Row]) -> st.SearchStrategy[Row]:
    return st.tuples(*parts).map(lambda dicts: {key: value for part in dicts for key, value in part.items()})


NUMBER = merged(
    st.fixed_dictionaries({"name": NAMES, "type": INTEGERS}),
    st.one_of(
        st.just({}),
        options(scale=st.sampled_from([0.1, "1/3"]), absent=st.sampled_from([0, [1, 255]]), negate=FORMULAS),
        options(formula=st.sampled_from(["1 / x", "x > 3"]), decimals=st.just(1)),
        options(enum=st.sampled_from([{0: "zero", "1..5": "few"}, {1: "one", "_": "other"}]), const=st.just(1)),
        st.fixed_dictionaries(
            {
                "bits": st.sampled_from(
                    [{"bit": 0}, {"bit": {"at": "1-3", "signed": True}, "d": {"at": 0, "hidden": True}}]
                )
            }
        ),
    ),
    options(hidden=st.booleans(), **{"if": TESTS}),
)
TEXT = merged(
    st.fixed_dictionaries({"name": NAMES, "type": st.sampled_from(["hex", "text", "bcd", "uint", "int"])}),
    st.one_of(
        st.fixed_dictionaries({"bytes": st.sampled_from([1, 2, "rest", "n % 3", "remaining // 2"])}),
        st.fixed_dictionaries({"prefix": st.sampled_from(["u8", "u16le"])}),
    ),
)
CLOCK = st.fixed_dictionaries(
    {"name": NAMES, "type": st.sampled_from(["ymdhms", "bcd_ymdhms", "unix32", "mac", "f32"])}
)
DERIVED = merged(
    st.fixed_dictionaries({"name": NAMES, "formula": FORMULAS}), options(decimals=st.just(1), hidden=st.just(True))
)
VALUE = st.one_of(NUMBER, NUMBER, NUMBER, TEXT, CLOCK, DERIVED)


def structures(rows: st.SearchStrategy[list[Row]]) -> st.SearchStrategy[Row]:
    length: st.SearchStrategy[Row] = st.one_of(
        st.just({}), st.fixed_dictionaries({"length": st.sampled_from(["u8", 1, 2])})
    )
    tags = merged(
        st.fixed_dictionaries(
            {
                "key": st.just("u8"),
                "tags": st.dictionaries(st.integers(0, 4), st.lists(VALUE, max_size=2), max_size=4),
                "on_unknown": st.sampled_from(["skip", "stop", {"into": "io", "type": "u8"}]),
            }
        ),
        length,
        st.sampled_from([{}, {"count": 2}, {"count_type": "u8"}, {"bytes": 5}]),
    )
    return merged(
        st.one_of(
            merged(
                st.fixed_dictionaries({"group": st.sampled_from([None, "g"]), "fields": rows}),
                st.sampled_from([{}, {"bytes": 3}, {"prefix": "u8", "rest": "skip"}, {"prefix": "u8"}]),
            ),
            merged(
                st.fixed_dictionaries({"list": st.sampled_from("lm"), "fields": rows, "max": st.just(20)}),
                st.sampled_from(
                    [{}, {"count": 1}, {"count": "n % 3"}, {"count_type": "u8"}, {"bytes": 4}, {"until_left": 1}]
                ),
                options(item_prefix=st.just("u8"), keep=st.sampled_from(["a > 3", "b", "c == d"])),
            ),
            st.fixed_dictionaries(
                {
                    "switch": st.sampled_from(["n % 4", "a", "not b", "a / b"]),
                    "cases": st.fixed_dictionaries({0: rows, "1..2": rows}),
                    "default": st.sampled_from(["refuse", []]),
                }
            ),
            st.fixed_dictionaries({"items": tags}),
        ),
        options(**{"if": TESTS}),
    )


ROWS = st.recursive(
    st.lists(VALUE, min_size=1, max_size=4),
    lambda rows: st.lists(st.one_of(VALUE, structures(rows)), min_size=1, max_size=4),
    max_leaves=4,
)
SMALL = st.one_of(st.integers(0, 5), st.integers(0, 255))


@pytest.mark.parametrize("few", [0, 4])
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    rows=ROWS,
    rest=st.sampled_from(["skip", "skip", "refuse"]),
    inputs=st.lists(st.lists(SMALL, min_size=1, max_size=20).map(bytes), min_size=5, max_size=25),
)
def test_any_spec_is_read_alike_by_both_codecs(few: int, rows: list[Row], rest: str, inputs: list[bytes]) -> None:
    """few: optional values up to this many are kept in variables; more are put into their dict at once."""
    # Names without a row are refused by the compiler, so every name has one.
    first: list[Row] = [{"name": name, "type": "u8", "if": "remaining > 12"} for name in "abcdn"]
    first[0] = {"name": "a", "type": "u8", "bits": {"bit": 7}, "hidden": False}
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(writer, "_FEW", few)
            compiled = build(f"messages: {{m: {{rest: {rest}, fields: {json.dumps(first + rows)}}}}}")
    except SpecError as error:
        assert all(problem.line for problem in error.problems)  # noqa: PT017 - a mistake is named with its place
        return
    for data in inputs:
        try:
            read(compiled, data)
        except DecodeError:
            continue
