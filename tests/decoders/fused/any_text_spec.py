"""Specs of text frames made at random: values between marks, values within values, keyed values, hex text."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.decoders.fused.any_spec import (
    DERIVED,
    LINEAR,
    NUMBER_SENTINELS,
    OF_X,
    TEXT_CONVERSION,
    VALUE_FORMULAS,
    ZONES,
    Row,
    Rows,
    having,
    layout_formulas,
    merged,
    of,
    options,
)

NAMES = of("a", "b", "c", "d", "n", "p", "q", "r")
TESTS = st.one_of(
    of("starts('a')", "has(',')", "tokens(',') > 2", "tokens(';')", "remaining > 3", "n == 1", "t == 'a'", "has('b')"),
    layout_formulas("starts('1')", "tokens(',')"),
)
SIZES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    st.just({}),
    having(until=of(";", ",", "ab", "|")),
    having(bytes=of(1, 2, 3, "rest", "n", "remaining // 2")),
    having(chars=of("0-9", "0-9.", "a-c", "-+0-9")),
)
NUMBER_TYPES = of("number", "number", "hexnumber", "ddmm")
BITS = of({"bit": 0, "part": "1-2"}, {"bit": {"at": 3, "invert": True}}, {"part": {"at": "0-3", "absent": {1: "cut"}}})
VALUE = merged(
    having(name=NAMES),
    SIZES,
    st.one_of(
        merged(TEXT_CONVERSION),
        merged(having(type=NUMBER_TYPES), LINEAR, options(absent=st.one_of(NUMBER_SENTINELS, of("-", ["", "a"])))),
        merged(having(type=NUMBER_TYPES), options(formula=OF_X, decimals=of(1), enum=of({1: "one", "_": "other"}))),
        having(type=of("number", "hexnumber"), bits=BITS),
        having(type=of("number", "hexnumber"), flags=of({0: "x", 3: "y"}, {"!1": "low"})),
        merged(having(type="number", clock=of("unix", "hhmmss", "DDMMYY")), options(zone=ZONES)),
        merged(having(type=NUMBER_TYPES, negate=VALUE_FORMULAS)),
    ),
    options(trim=st.one_of(st.booleans(), of("0", "ab"))),
    st.one_of(st.just({}), st.just({}), having(if_=TESTS), having(optional=True), having(optional=True, else_=of(3))),
)
PLACED = st.one_of(
    having(name="s", repeat="list"),
    having(name="u", repeat="number", type="number", optional=True),
    having(name=of("v_{n}", "v_{t}", "v_{a}")),
)
SCRATCH: Rows = st.tuples(
    merged(
        having(name=of("a", "b", "n"), type=of("number", "number", "text")),
        options(hidden=st.booleans(), absent=of("1", ["", "a"], 2), optional=of(True)),
    ),
    merged(
        having(name=of("p", "q", "a"), formula=st.one_of(of("a * 2", "b + n", "first(n, a)", "key"), VALUE_FORMULAS)),
        options(hidden=st.just(True), if_=of("given(a)")),
    ),
).map(list)
"""A value and a row that is computed of it, which others of the same names may stand beside."""
TAG: Rows = st.lists(st.one_of(VALUE, VALUE, DERIVED), max_size=2)
MARKS = st.one_of(
    having(literal=of("a", "1", ","), optional=True),
    having(literal=of("a", "ab"), if_=of("starts('a')", "starts('ab')")),
    having(until=of(",", ";")),
    having(skip=of(1, 2)),
    having(skip=of(2), until=of(",")),
    having(chars=of(" ", "a-c")),
    DERIVED,
)
BINARY: list[list[Row]] = [
    [{"name": "a", "type": "u8"}],
    [{"name": "b", "type": "u16le"}, {"name": "c", "type": "hex", "bytes": "rest"}],
    [{"list": "bytes", "type": "u8"}],
]


def structures(rows: Rows) -> st.SearchStrategy[Row]:
    parts = st.one_of(
        merged(
            having(group=of("g", None, "g_{n}"), fields=rows),
            of({}, {"split": ":"}, {"until": ";"}, {"bytes": 4}, {"split": ":", "until": ";"}, {"split": ","}),
            options(rest=of("skip")),
        ),
        merged(
            having(group=of("h", None), fields=st.sampled_from(BINARY), encoded=of("hex", "base64")),
            options(rest=of("skip", "skip"), until=of(";")),
        ),
        merged(
            having(list="l", fields=rows, max=of(5)),
            of({}, {"item_until": ";"}, {"item_until": "|", "split": ":"}, {"split": ":"}, {"bytes": 6}),
            of({}, {"count": 2}, {"count": "n"}, {"until_left": 2}, {"while": "starts('1')"}, {"while": "has(',')"}),
            options(keep=VALUE_FORMULAS),
        ),
        merged(
            having(list="m", type=of("number", "text", "hexnumber"), max=of(5)),
            of({}, {"item_until": "|"}, {"count": 2}, {"count": "n"}, {"while": "tokens(',') > 1"}),
            options(numbered=of(True)),
        ),
        having(
            items=merged(
                having(
                    key="text",
                    tags=st.dictionaries(of("a", "b", "A, B", "1..3", "01..02"), st.one_of(TAG, SCRATCH)),
                    on_unknown=st.one_of(
                        of("skip", "skip", "stop", "refuse", {"into": "io"}, {"into": "io", "type": "number"}),
                        rows,
                        rows.map(lambda given: {"into": "io", "fields": given}),
                    ),
                ),
                options(assign=of(":", "="), split=of(";", "|", ","), raw=of("all"), max=of(3), count=of(2)),
            )
        ),
    )
    tests: st.SearchStrategy[Row] = st.one_of(st.just({}), having(if_=TESTS))
    switch = having(
        switch=of("n", "t", "tokens(',')", "starts('a')", "a"),
        cases=st.fixed_dictionaries({0: rows, "1..2": rows, "a": rows}),
        default=of("refuse", [], [{"name": "a"}]),
    )
    return st.one_of(merged(parts, st.one_of(tests, having(optional=True))), merged(switch, tests))


ROWS: Rows = st.recursive(
    st.lists(st.one_of(VALUE, VALUE, VALUE, PLACED, MARKS), min_size=1, max_size=4),
    lambda rows: st.lists(st.one_of(VALUE, VALUE, MARKS, structures(rows)), min_size=1, max_size=4),
    max_leaves=5,
)
_THERE = {"if": "remaining > 200"}
FRONT: list[Row] = [
    {"name": "t", "bytes": 1},
    {"name": "n", "type": "number", "bytes": 1},
    {"name": "a", "type": "number", "absent": ["-", "a"]},
    *({"name": name, **_THERE} for name in "bcdpqrx"),
    {"name": "x", "type": "hexnumber", "bits": {"bit": 7, "part": "0-3"}, **_THERE},
    {"name": "s", "repeat": "list", **_THERE},
    {"name": "u", "type": "number", "repeat": "number", **_THERE},
    {"name": "v_{n}", **_THERE},
    {"name": "w_{n}", **_THERE},
    {"list": "l", "fields": [{"name": "a"}], "count": 1, **_THERE},
    {"list": "m", "type": "number", "count": 1, **_THERE},
    {"group": "g", "fields": [{"name": "y"}], **_THERE},
    {"name": "a", "type": "number", "absent": {1: "cut"}, **_THERE},
    {"items": {"key": "text", "split": ";", "on_unknown": {"into": "io"}}, **_THERE},
]
"""Every name that formulas read has a row."""
SKIP = len(FRONT)


def _spec(parts: dict[str, Any]) -> dict[str, Any]:
    frame = {"format": "text", "start": "#", "split": ",", **parts["ends"]}
    frame["header"] = [{"name": "maker", "bytes": 1}, *parts["header"]]
    login = {"when": {"maker": "L"}, "fields": [{"name": "kept", "type": "number", "session": "keep"}]}
    rows = {"rest": parts["rest"], "fields": [*FRONT, *parts["rows"]]}
    return {"frame": frame, "messages": {"login": login, "m": rows}}


SPECS = st.fixed_dictionaries(
    {
        "rows": ROWS,
        "rest": of("skip", "skip", "refuse"),
        "header": of([], [{"name": "device"}], [{"name": "kind", "type": "number"}, {"literal": "a"}]),
        "ends": of(
            {"until": "$"},
            {"stop": "$"},
            {"until": "$"},
            {"stop": "$"},
            {"until": "$", "trailer": [{"literal": "*"}, {"name": "check", "crc": "nmea", "on_wrong": "flag"}]},
            {"until": "$", "trailer": [{"name": "end", "bytes": 2}]},
        ),
    }
).map(_spec)
TOKENS = of(
    *("1", "2", "11", "12.5", "0", "3", "10", "0a", "", "a", "ab", "aab", "-", "-1", "2232.98", "1A", "1;2;3", "1:2"),
    *(
        "a=1;b=2",
        "1:2|3:4",
        "1|2|a",
        "A=1|B=",
        "0102",
        "AQI=",
        "010203;",
        "121530",
        "1 ",
        " 2",
        "01:2;02:3",
        "1.",
        "a1",
    ),
)
CHARACTERS = st.text(alphabet="0123aab,,,;:|=AB-. ", max_size=12)
INPUTS = st.lists(
    st.lists(st.one_of(TOKENS, TOKENS, TOKENS, CHARACTERS), max_size=9).map(
        lambda tokens: f"#M{','.join(['11', *tokens])}$".encode()
    ),
    min_size=3,
    max_size=9,
)
