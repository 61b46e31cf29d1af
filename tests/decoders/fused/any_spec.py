"""Specs made at random, of everything that the language has for bytes: for the test that both codecs read alike."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Row = dict[str, Any]
Rows = st.SearchStrategy[list[Row]]


def short(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same with a short name: Hypothesis warns of names as long as what is in these strategies."""
    return st.deferred(lambda: strategy)


def options(**choices: st.SearchStrategy[Any]) -> st.SearchStrategy[Row]:
    """Each key there or not. A name that is a word of Python ends with an underscore."""
    return short(st.fixed_dictionaries({}, optional={key.rstrip("_"): choice for key, choice in choices.items()}))


def merged(*parts: st.SearchStrategy[Row]) -> st.SearchStrategy[Row]:
    both = st.tuples(*parts).map(lambda dicts: {key: value for part in dicts for key, value in part.items()})
    return short(both)


def having(**keys: st.SearchStrategy[Any] | Any) -> st.SearchStrategy[Row]:
    """All of these keys."""
    given = {
        key.rstrip("_"): value if isinstance(value, st.SearchStrategy) else st.just(value)
        for key, value in keys.items()
    }
    return short(st.fixed_dictionaries(given))


def of(*choices: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(choices)


# Formulas. Every name in them is one of some row, or there is none.

NAMES = of("a", "b", "c", "d", "n", "p", "q", "r")
RAW_NAMES = of("a", "b", "c", "d", "n", "bit", "part", "t", "length", "port", "kept", "index")
VALUE_NAMES = of(
    *("a", "b", "c", "d", "n", "p", "q", "r", "bit", "part", "t", "l", "m", "g", "s", "u_1", "v_2", "a_1", "w_1"),
    *("a_status", "port", "length", "received", "device_id", "kept", "io"),
)
WINDOW = of(
    *("remaining", "next_u8", "next_u16", "u8(0)", "u8(-1)", "u16(1)", "u16le(-2)", "u24(2)", "u32le(0)"),
    *("starts('\\x01')", "has('\\x00')", "tokens('\\x02')"),
)
CONSTANTS = of("0", "1", "2", "3", "7", "255", "-1", "1.5", "'01'", "'x'", "''", "True")
FUNCTIONS = of(
    *("min({0}, {1})", "max({0}, {1}, {2})", "abs({0})", "clamp({0}, {1}, {2})", "round({0})", "round({0}, 1)"),
    *("floor({0})", "ceil({0})", "sign({0})", "sqrt({0})", "log({0})", "log10({0})", "log2({0})", "exp({0})"),
    *("pow({0}, {1})", "sin({0})", "cos({0})", "atan2({0}, {1})", "degrees({0})", "radians({0})", "hypot({0}, {1})"),
    *("poly({0}, {1}, {2}, 3)", "interpolate({0}, 0, {1}, 100, {2})", "ddmm({0})", "bit({0}, 1)", "bits({0}, 1, 3)"),
    *("signed({0}, 8)", "int({0})", "int({0}, 16)", "number({0})", "text({0})", "hex({0}, 2)", "pad({0}, 3)"),
    *("part({0}, 0, 2)", "split({0}, ',', 0)", "upper({0})", "lower({0})", "replace({0}, '0', 'oo')"),
    *("strip_right({0}, '0')", "strip({0})"),
    *("strip_left({0}, '0')", "luhn({0})", "unhex({0})", "join('-', {0}, {1})", "join({0}, {1}, {2})"),
    *("first({0}, {1}, {2})", "count({0})", "given({0})", "contains({0}, {1})", "sum({0}, {1})", "mean({0}, {1})"),
    *("item({0}, 0)", "item({0}, -1, 'a')", "values({0}, 'a')", "max({0}) > '9'", "count(values({0}, 'b'))"),
)
OPERATORS = of(
    *("+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "==", "!=", "<", "<=", ">", ">="),
    *("and", "or", "in", "not in"),
)


def formulas(names: st.SearchStrategy[str], *, leaves: int = 4) -> st.SearchStrategy[str]:
    leaf = st.one_of(names, names, names, CONSTANTS)
    whole = st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.tuples(inner, OPERATORS, inner).map(lambda parts: f"({' '.join(parts)})"),
            st.tuples(inner, of("< {} <=", "== {} !=", "if {} else"), inner, inner).map(
                lambda parts: f"({parts[0]} {parts[1].format(parts[2])} {parts[3]})"
            ),
            st.tuples(of("not", "-", "~"), inner).map(lambda parts: f"({parts[0]} {parts[1]})"),
            st.tuples(FUNCTIONS, inner, inner, inner).map(lambda parts: parts[0].format(*parts[1:])),
        ),
        max_leaves=leaves,
    )
    return short(whole)


def layout_formulas(*more: str) -> st.SearchStrategy[str]:
    """Mostly short ones, so that rows are often there."""
    plain = of("a > 3", "b", "not a", "n % 2", "remaining > 2", "a and b", "bit", "c == d", "b - a", "n % 4", "a / b")
    names = st.one_of(RAW_NAMES, RAW_NAMES, WINDOW, of(*more)) if more else st.one_of(RAW_NAMES, RAW_NAMES, WINDOW)
    return st.one_of(plain, plain, formulas(names, leaves=3))


TESTS = layout_formulas()
VALUE_FORMULAS = st.one_of(
    of("a + b", "a / b", "first(c, a, 3)", "a * 2", "not d", 'join("-", a, b)', "bit + 1", "c", "a == b", "a != 3"),
    formulas(VALUE_NAMES),
)
OF_X = st.one_of(of("1 / x", "x > 3", "x * 2 + 1", "x"), formulas(of("x", "x", "x"), leaves=3))

# What becomes of a raw value

SCALES = of(0.1, "1/3", 2, -1, 10, "1e-7", 1e10)
LINEAR = options(scale=SCALES, offset=of(-40, 0.5, 3), raw_offset=of(-40, 1, 0.5))
NUMBER_SENTINELS = of(
    *(0, 3, [1, 255], [0, "2..5"], "0..3", {1: "cut_off"}, {0: "zero", "2..9": "few", 255: "none"}, [-1, 0x80], 1.5),
    *(["3..3", 5], {"0..9": "digits"}),
)
TEXT_SENTINELS = of("", "01", ["00", "N/A"], {"": "empty"}, {"01": "one"}, 1)
NUMBER_ENUMS = of({0: "zero", "1..5": "few"}, {1: "one", "_": "other"}, {2: None, 3: 4}, {"0..2": 1.5, "_": None})
TEXT_ENUMS = of({"01": "one"}, {"00": None, "_": "other"}, {1: "one", 2: 2})
FLAGS = of({0: "x", 1: "y"}, {0: "x", 7: "z", 3: "x"}, {"!0": "low", 2: "high"}, {1: "y", 9: "far"})
CLOCKS = of("unix", "unix_ms", "unix_min", "since2000", "gps", "minutes since 2000-01-01", "days since 1999-12-31")
PATTERNS = of("DDMMYYhhmmss", "hhmmss", "YYMMDD", "mmss", "YYYYMMDDhhmm", "DDhhmm")
TEXT_PATTERNS = of("YY-MM-DD", "DDMM hh:mm", "hh:mm:ss", "DDMMYYhhmmss", "hhmmss.SSS", "YYMMDDhhmmZ")
ZONES = of("+08:00", "UTC", "Europe/Amsterdam")
CONVERSION: st.SearchStrategy[Row] = st.one_of(
    st.just({}),
    merged(LINEAR, options(absent=NUMBER_SENTINELS, decimals=of(0, 1))),
    merged(LINEAR, options(absent=NUMBER_SENTINELS, enum=NUMBER_ENUMS)),
    merged(options(formula=OF_X, absent=NUMBER_SENTINELS, decimals=of(0, 2), enum=NUMBER_ENUMS), LINEAR),
    merged(options(absent=NUMBER_SENTINELS), having(flags=FLAGS)),
    merged(options(absent=NUMBER_SENTINELS, zone=ZONES), LINEAR, having(clock=st.one_of(CLOCKS, PATTERNS))),
)
TEXT_CONVERSION: st.SearchStrategy[Row] = st.one_of(
    st.just({}),
    options(absent=TEXT_SENTINELS, enum=TEXT_ENUMS),
    merged(having(formula=OF_X), options(absent=TEXT_SENTINELS, enum=TEXT_ENUMS, decimals=of(1))),
    merged(having(clock=st.one_of(TEXT_PATTERNS, CLOCKS)), options(zone=ZONES, absent=TEXT_SENTINELS)),
)
WHEN_THERE = st.one_of(
    st.just({}),
    st.just({}),
    having(if_=TESTS),
    merged(having(if_=TESTS), having(else_=of(0, 7, 1.5, "none", True))),
    having(optional=True),
    merged(having(optional=True), having(else_=of(3, "late"))),
)

# Where a value goes: under its own name, or one of many

PLACES = st.one_of(
    having(name=NAMES),
    having(name=NAMES),
    having(name=NAMES, hidden=st.booleans()),
    having(name="s", repeat="list"),
    having(name="u", repeat="number"),
    having(name=of("v_{a}", "v_{n + 1}", "w_{n % 3}_x", "w_{t}", "v_{kept}", "w_{a > b}")),
)
IN_TAGS = of("k_{key}", "k_{key % 3}", "k_{key}_{n}")
IN_LISTS = of("i_{index}", "i_{index + n}")

INTEGERS = of("u8", "u8", "u8", "i8", "u16", "u16le", "i24", "u24le", "sm8", "sm24le", "u32", "i40", "u64", "i64le")
NUMBERS = st.one_of(
    having(type=INTEGERS),
    having(type=INTEGERS),
    having(type=of("f16", "f32", "f64le", "u32cdab", "i32badc", "f32cdab", "u64badc", "unix32", "unixms48", "gps24")),
    having(type=of("uint", "int", "uintle"), bytes=of(1, 3, "rest", "n % 4", "remaining // 2")),
    having(type=of("bcdnumber", "bcdnumberle"), bytes=of(1, 2, "n % 3")),
    having(type=of("uint", "bcdnumber", "int"), prefix=of("u8", "u16le")),
)
TEXTS = merged(
    having(type=of("hex", "text", "hex", "text", "hex", "bcd", "number", "hexnumber", "ddmm")),
    st.one_of(
        having(bytes=of(1, 2, 3, "rest", "n % 3", "remaining // 2")),
        having(prefix=of("u8", "u16le")),
        having(until=of("00", "0102", "03")),
    ),
    options(
        encoding=of("utf-8", "latin-1", "utf-16le", "gbk"),
        trim=st.one_of(st.booleans(), of("\1\2", "0")),
        digits=of(1, 3),
    ),
)
BITS = {
    8: of(
        {"bit": 0},
        {"bit": {"at": 7, "invert": True}, "part": "1-3"},
        {"part": {"at": "1-3", "signed": True}, "d": {"at": 0, "hidden": True}},
        {"part": {"at": [0, "6-7"]}, "bit": {"at": "2-5", "bcd": True, "absent": 3}},
        {"part": {"at": "0-7", "flags": {0: "x", "!1": "y"}}, "bit": {"at": 3, "enum": {0: "no", 1: "yes"}}},
        {"part": {"at": "4-7", "signed": "magnitude", "scale": 0.5}, "bit": {"at": "0-3", "absent": {15: "full"}}},
        {"k_{n}": "0-3", "bit": {"at": "4-7", "formula": "x / 2", "decimals": 0}},
        {"part": {"at": "0-7", "clock": "unix", "absent": 0}},
        [{"name": "bit", "width": 1}, {"skip": 3}, {"name": "part", "width": 4, "scale": 10}],
        [{"name": "part", "width": 5, "signed": True, "offset": 1}, {"name": "bit", "width": 3, "enum": {0: "zero"}}],
    ),
    40: of(
        {"bit": 39, "part": {"at": "4-35", "clock": "unix"}},
        {"part": {"at": "4-39", "bcd": True, "scale": 1e-7}, "bit": 3},
        {"part": {"at": ["0-7", "32-39"], "signed": True}, "bit": {"at": "8-31", "flags": {2: "x", 20: "y"}}},
        [{"name": "part", "width": 11, "scale": 32}, {"skip": 13}, {"name": "bit", "width": 16, "absent": 0}],
    ),
}
BIT_ROWS = merged(
    st.one_of(
        merged(having(type=of("u8", "sm8", "i8"), bits=BITS[8])),
        merged(having(type=of("u40", "u40le"), bits=BITS[40])),
        merged(having(type=of("bits", "bitsle"), bytes=of(5), bits=BITS[40])),
        merged(having(type="bits", bytes=of(12), bits=of({"part": "90-95", "bit": {"at": "8-87", "scale": 2}}))),
        merged(having(type="uint", bytes="rest", bits=of({"bit": 2, "part": "3-6"}))),
    ),
    options(bit_order=of("msb", "lsb")),
)
CLOCK_ROWS = merged(
    having(
        type=of(*("ymdhms", "bcd_ymdhms", "dmyhms", "hmsdmy", "ymd", "hms", "bcd_hms", "yymdhms", "bcd_yymd", "mdhm"))
    ),
    options(zone=ZONES, absent=of(0, "0102"), endian=of("little")),
)
BYTES: st.SearchStrategy[Row] = st.one_of(
    merged(NUMBERS, CONVERSION, options(negate=VALUE_FORMULAS)),
    merged(NUMBERS, CONVERSION),
    merged(NUMBERS, CONVERSION),
    merged(having(type=of("u8", "u16le", "sm8", "f32", "hex"), const=of(0, 1, 2)), having(if_=of("b", "n == 2"))),
    merged(TEXTS, TEXT_CONVERSION),
    merged(having(type=of("mac", "mbus_manufacturer")), TEXT_CONVERSION),
    merged(BIT_ROWS, st.one_of(st.just({}), CONVERSION)),
    CLOCK_ROWS,
    merged(having(raw=layout_formulas()), CONVERSION),
)


def _fitting(row: Row) -> Row:
    """The row without what the compiler would refuse."""
    many = "repeat" in row or "{" in row["name"]
    wrong = {"negate": many, "else": row.get("hidden", "bits" in row or "const" in row), "hidden": "else" in row}
    if "repeat" in row and isinstance(row.get("absent"), dict):
        row = row | {"absent": next(iter(row["absent"]))}
    return {key: value for key, value in row.items() if not wrong.get(key)}


VALUE = merged(BYTES, PLACES, WHEN_THERE).map(_fitting)
TAG_VALUE = merged(BYTES, st.one_of(PLACES, having(name=IN_TAGS)), WHEN_THERE).map(_fitting)
ITEM_VALUE = merged(BYTES, st.one_of(PLACES, having(name=IN_LISTS)), WHEN_THERE).map(_fitting)
DERIVED = merged(
    having(name=NAMES),
    st.one_of(
        having(formula=VALUE_FORMULAS),
        having(formula=VALUE_FORMULAS),
        having(formula=of("a * 60", "join('', a, b)", "received - a"), clock=st.one_of(of("unix"), TEXT_PATTERNS)),
        having(
            clock=of(["a", "b", "c"], ["2000 + a", "b", "c", "d", "n", "a / 2"], ["a", "b", "c", "d", "n", "p", "q"])
        ),
    ),
    options(
        decimals=of(1),
        hidden=st.just(True),
        scale=SCALES,
        absent=of(0, [3, "5..9"], ["x"]),
        enum=NUMBER_ENUMS,
        if_=VALUE_FORMULAS,
    ),
)
FEW_SENTINELS = of(0, 1, [2, 3], "0..2", {1: "cut"}, {0: "zero", "2..9": "few"})
ONE_NAME = of("a", "b", "c", "n")
SCRATCH: Rows = st.tuples(
    merged(
        having(name=ONE_NAME, type=of("u8", "u8", "i8")),
        options(hidden=st.booleans(), absent=FEW_SENTINELS, scale=SCALES, if_=of("remaining > 1", "bit")),
    ),
    merged(
        having(name=of("p", "q", "r", "a"), formula=st.one_of(of("a * 2", "b + n", "first(c, n, a)"), VALUE_FORMULAS)),
        options(hidden=st.just(True), absent=of(0, 4), if_=of("a > 1", "given(b)")),
    ),
    st.lists(merged(having(name=ONE_NAME, type="u8", optional=True), options(absent=FEW_SENTINELS)), max_size=1),
).map(lambda parts: [parts[0], *parts[2], parts[1]] if len(str(parts)) % 2 else [parts[0], parts[1], *parts[2]])
"""A value and a row that is computed of it, which others of the same names may stand beside."""
PLAIN = st.one_of(
    DERIVED,
    having(group=None, fields=SCRATCH),
    DERIVED,
    DERIVED,
    having(skip=of(1, 2, "n % 3")),
    having(until=of("00", "0102")),
    having(literal=of("01", "0002"), optional=of(True)),
    having(literal=of("01", "0002"), if_=of("b", "n == 2")),
    having(use=of("shared", "other")),
)
TYPES = of("u8", "i16", "u16le", "f32", "unix32")

# Structures


def groups(rows: Rows) -> st.SearchStrategy[Row]:
    return merged(
        having(fields=rows),
        st.one_of(having(group=of(None, "g")), having(group=of("gr"), repeat=of("list")), having(group="g_{n}")),
        of(
            *({}, {"bytes": 3}, {"prefix": "u8"}, {"prefix": "u8", "prefix_counts_itself": True}, {"until": "00"}),
            *({"bytes": "n % 5"}, {"bytes": "rest"}),
        ),
        options(rest=of("skip", "skip", "refuse"), encoded=of("hex", "base64", {"add": 0x33}, {"xor": 0x5A})),
    )


def lists(rows: Rows) -> st.SearchStrategy[Row]:
    ends = of(
        *({}, {}, {"count": 1}, {"count": "n % 3"}, {"count_type": "u8"}, {"bytes": 4}, {"until_left": 1}),
        *({"bytes": "n % 7"}, {"count": "a / b"}, {"until_left": "n % 3"}, {"count": "u8(0) % 4"}),
    )
    more = merged(ends, options(while_=of("next_u8 != 0", "bit", "a < 3", "remaining > 3", "index < 2", "u8(0)")))
    return st.one_of(
        merged(
            having(list=of("l", "l", "l", "a", "g"), fields=rows, max=of(20)),
            more,
            options(keep=VALUE_FORMULAS),
            of({}, {}, {"item_prefix": "u8"}, {"item_until": "00"}),
        ),
        merged(having(list="l", fields=rows, max=of(3)), ends),
        merged(
            having(list=of("m", "m", "b", "s"), type=TYPES, max=of(20)),
            more,
            CONVERSION,
            options(keep=of("m > 3", "b", "m")),
        ),
        merged(having(list="m", type=of("text", "hex", "uint", "number"), max=of(5), item_prefix=of("u8")), ends),
        merged(having(list="l", into="l", fields=rows, max=of(20)), ends),
        merged(having(list="o", into="l", type=TYPES, max=of(20)), ends, CONVERSION),
        merged(having(list="x", numbered=True, fields=rows, max=of(5)), more, options(keep=of("a > 3", "b"))),
        merged(having(list="x", numbered=True, type=TYPES, max=of(5)), more, CONVERSION),
    )


def tag_lists(rows: Rows) -> st.SearchStrategy[Row]:
    keys = of(0, 1, 2, 3, 4, "5..9", "1, 7", "0..3", 300)
    of_key = having(name=NAMES, formula=of("key", "key * 2 + a", "first(b, key)"))
    some = st.lists(st.one_of(TAG_VALUE, TAG_VALUE, DERIVED, of_key), max_size=2)
    tags = st.dictionaries(keys, st.one_of(some, SCRATCH), max_size=4)
    deep = st.dictionaries(keys, rows, max_size=2)
    front = st.one_of(
        having(key="u8"),
        having(key="u8", length="u8"),
        having(key="u8", length=of(1, 2)),
        having(key=of("u16", "u16le"), length=of("u8")),
        having(key="u8", length="u8", length_first=True),
        having(key="u8", length="u8", length_counts="key_and_value"),
        having(key="u8", escape=of({4: "u8"}, {0: "u8", 1: "u16le"}), length=of("u8", 1)),
        having(
            key="tag",
            length=of("size", "size + 1", 1),
            header=[{"name": "h", "type": "u8", "bits": {"size": "0-1", "tag": "2-7"}}],
        ),
        having(key="tag", header=[{"name": "channel", "type": "u8"}, {"name": "tag", "type": "u8"}]),
        having(key="u8", length="u8", header=of([{"name": "a", "type": "u8"}], [{"skip": 1}])),
    )
    ends = of(
        *({}, {}, {"count": 2}, {"count_type": "u8"}, {"bytes": 5}, {"until_left": 2}, {"count": "n % 4"}),
        *({"while": "next_u8 != 0"}, {"while": "remaining > n"}, {"bytes": "n % 9"}),
    )
    return having(
        items=merged(
            front,
            st.one_of(having(tags=tags), having(tags=tags), having(tags=deep), having(tags="table")),
            st.one_of(
                having(on_unknown=of("skip", "skip", "stop", "refuse", {"into": "io", "type": "u8"}, {"into": "io"})),
                having(on_unknown=rows),
                having(on_unknown=rows.map(lambda given: {"into": "io", "fields": given})),
            ),
            ends,
            options(raw=of("all"), max=of(3, 20)),
        )
    )


def records() -> st.SearchStrategy[Row]:
    tags: dict[str, Row] = {
        "0413": {"name": "p"},
        "0223": {"name": "q", "scale": 2, "absent": 5},
        "volume": {"name": "r"},
        "energy": {"name": "a", "absent": {1: "cut"}},
        "04FD17": {"name": "b", "flags": {0: "x", 2: "y"}},
        "01FD17": {"name": "b", "bits": {"bit": 0, "part": "1-3"}},
        "046D": {"name": "t"},
    }
    some = st.lists(of(*tags), max_size=4, unique=True).map(lambda keys: {key: tags[key] for key in keys})
    unknown = options(on_unknown=of("skip", "stop", {"into": "io"}), raw=of("all"), max=of(3))
    return having(items=merged(having(format="mbus"), options(tags=some), unknown))


def switches(rows: Rows) -> st.SearchStrategy[Row]:
    return having(
        switch=st.one_of(of("n % 4", "a", "not b", "a / b", "next_u8", "t", "u8(1) & 3"), TESTS),
        cases=st.fixed_dictionaries({0: rows, "1..2": rows, "3, 7..9": rows, "01": rows}),
        default=of("refuse", [], [{"name": "a", "type": "u8"}]),
    )


def structures(rows: Rows) -> st.SearchStrategy[Row]:
    tests: st.SearchStrategy[Row] = st.one_of(st.just({}), having(if_=TESTS))
    parts = st.one_of(groups(rows), lists(rows), lists(rows), tag_lists(rows), tag_lists(rows), records())
    return st.one_of(merged(parts, st.one_of(tests, having(optional=True))), merged(switches(rows), tests))


ROWS: Rows = st.recursive(
    st.lists(st.one_of(VALUE, VALUE, VALUE, ITEM_VALUE, PLAIN), min_size=1, max_size=4),
    lambda rows: st.lists(st.one_of(VALUE, VALUE, PLAIN, structures(rows)), min_size=1, max_size=4),
    max_leaves=4,
)
OF_ITEMS: st.SearchStrategy[Row] = st.one_of(
    having(group=None, fields=SCRATCH),
    merged(having(name=NAMES), having(type=of("u8", "i8")), options(absent=of(0, 2, [1, 3]), hidden=st.booleans())),
    merged(having(name=NAMES, type="u8", negate=of("b > 1", "p")), options(absent=of(1))),
    merged(having(name=NAMES, formula=st.one_of(of("key", "key + a"), VALUE_FORMULAS)), options(if_=VALUE_FORMULAS)),
    having(list="l", count=of(1, "n % 3"), fields=SCRATCH),
    having(group=of("g"), fields=SCRATCH),
    having(switch=of("a", "n"), cases=st.fixed_dictionaries({0: SCRATCH, "1..3": SCRATCH}), default=SCRATCH),
    having(group=None, fields=SCRATCH, if_=of("a", "n > 1", "remaining > 2")),
)


def scratch_tags(deep: bool = True) -> st.SearchStrategy[Row]:
    """A tag list whose tags compute something of hidden values with equal names."""
    rows = st.lists(st.one_of(OF_ITEMS, OF_ITEMS, scratch_tags(False)) if deep else OF_ITEMS, min_size=1, max_size=3)
    tags = st.fixed_dictionaries({}, optional={key: st.one_of(SCRATCH, rows) for key in (0, 1, 2, 3, "4..5")})
    ends = of({}, {"length": "u8"}, {"length": "u8", "on_unknown": "skip"}, {"count": 4}, {"count": 3, "length": 2})
    return having(items=merged(having(key="u8", tags=tags, on_unknown="stop"), ends))


TAGGED: Rows = st.tuples(st.lists(OF_ITEMS, max_size=2), scratch_tags(), st.lists(OF_ITEMS, max_size=2)).map(
    lambda parts: [*parts[0], parts[1], *parts[2]]
)
BLOCK: Rows = st.lists(st.one_of(VALUE, DERIVED), max_size=3)
EVERY_NAME: list[Row] = [
    {"name": "a", "type": "u8", "bits": {"bit": 7, "part": "0-3"}, "hidden": False},
    *({"name": name, "type": "u8", "if": "remaining > 12"} for name in "bcdnpqr"),
    {"name": "t", "type": "text", "bytes": 2, "if": "remaining > 12"},
]
"""Names without a row are refused by the compiler, so every name has one."""
_THERE = {"if": "remaining > 200"}
NEVER: list[Row] = [
    {"name": "s", "type": "u8", "repeat": "list", **_THERE},
    {"name": "u", "type": "u8", "repeat": "number", **_THERE},
    {"name": "v_{a}", "type": "u8", **_THERE},
    {"name": "w_{a}", "type": "u8", **_THERE},
    {"list": "l", "fields": [{"name": "a", "type": "u8"}], "count": 1, **_THERE},
    {"list": "m", "type": "u8", "count": 1, **_THERE},
    {"list": "x", "fields": [{"name": "a", "type": "u8"}], "numbered": True, "count": 2, **_THERE},
    {"group": "g", "fields": [{"name": "y", "type": "u8"}], **_THERE},
    {"name": "a", "type": "u8", "absent": {1: "cut"}, **_THERE},
    {"items": {"key": "u8", "length": "u8", "on_unknown": {"into": "io", "type": "u8"}}, **_THERE},
]


def _spec(parts: dict[str, Any]) -> dict[str, Any]:
    """A spec of one message that every frame is."""
    rows = [*EVERY_NAME, *NEVER, *parts.pop("rows")]
    message = {"rest": parts.pop("rest"), "fields": rows}
    login = {"when": {"port": 77}, "fields": [{"name": "kept", "type": "u8", "session": "keep"}]}
    shared = {"shared": parts.pop("shared"), "other": parts.pop("other")}
    return {"blocks": shared, "messages": {"login": login, "m": message}, **parts}


SPECS = st.fixed_dictionaries(
    {
        "rows": st.one_of(ROWS, ROWS, TAGGED),
        "rest": of("skip", "skip", "skip", "refuse"),
        "shared": BLOCK,
        "other": BLOCK,
        "tags": st.fixed_dictionaries({"table": st.dictionaries(st.integers(0, 9), VALUE, max_size=4)}),
    },
    optional={"endian": of("little"), "bit_order": of("msb", "lsb"), "zone": of("+02:00", "Europe/Amsterdam")},
).map(_spec)
SMALL = st.one_of(st.integers(0, 5), st.integers(0, 5), st.integers(0, 255), of(0x30, 0x31, 0x2C, 0x39))
INPUTS = st.lists(st.lists(SMALL, min_size=1, max_size=40).map(bytes), min_size=3, max_size=9)
