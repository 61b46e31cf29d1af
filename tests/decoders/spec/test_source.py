"""YAML by 1.2 core rules, with places, caps and problems that say what to change."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from decoders.errors import SpecError, SpecProblem
from decoders.spec.source import MAX_BYTES, MAX_DEPTH, Hexadecimal, load, scalar

CORE_SCHEMA: list[tuple[str, Any]] = [
    ("on", "on"),
    ("off", "off"),
    ("yes", "yes"),
    ("No", "No"),
    ("y", "y"),
    ("true", True),
    ("FALSE", False),
    ("tRue", "tRue"),
    ("~", None),
    ("null", None),
    ("", None),
    ("nULL", "nULL"),
    ("0", 0),
    ("-0", 0),
    ("+12", 12),
    ("010", 10),
    ("0x10", 16),
    ("0xfF", 255),
    ("0X10", "0X10"),
    ("-0x10", "-0x10"),
    ("0o17", 15),
    ("0o18", "0o18"),
    ("0b11", "0b11"),
    ("1_000", "1_000"),
    ("12:30", "12:30"),
    ("190:20:30", "190:20:30"),
    ("2026-03-01", "2026-03-01"),
    ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
    ("1e3", 1000.0),
    ("1.5", 1.5),
    (".5", 0.5),
    ("5.", 5.0),
    ("-1E-2", -0.01),
    ("1.2.3", "1.2.3"),
    ("2..9", "2..9"),
    ("e3", "e3"),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("inf", "inf"),
    ("nan", "nan"),
    ("=", "="),
    ("°C", "°C"),
]


@pytest.mark.parametrize(("text", "value"), CORE_SCHEMA)
def test_core_schema(text: str, value: Any) -> None:
    data = load(f"key: {text}\n", "t.yaml").data
    assert data == {"key": value}
    assert type(data["key"]) is (Hexadecimal if text.startswith("0x") else type(value))


def test_not_a_number() -> None:
    assert math.isnan(load("[.nan]", "t.yaml").data[0])


def test_quoted_scalars_are_text() -> None:
    assert load("a: '1'\nb: \"true\"\nc: ''\nd: |-\n  2\n", "t.yaml").data == {"a": "1", "b": "true", "c": "", "d": "2"}


@given(st.integers(min_value=-(10**40), max_value=10**40), st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_round_trip(whole: int, real: float) -> None:
    assert scalar(str(whole)) == whole
    assert scalar(repr(real)) == real
    assert scalar(f"0x{abs(whole):x}") == abs(whole)
    assert scalar(f"0o{abs(whole):o}") == abs(whole)


def model_of_scalar(text: str) -> Any:
    """The core schema once more, by other means than the reader's."""
    if text in ("", "~") or text in ("null", "Null", "NULL"):
        return None
    if text.lower() in ("true", "false") and text in (text.lower(), text.upper(), text.capitalize()):
        return text.lower() == "true"
    digits = text[1:] if text[:1] in ("+", "-") else text
    if digits and set(digits) <= set("0123456789"):
        return int(text)
    if text[:2] in ("0x", "0o"):
        try:
            return int(text[2:], 16 if text[1] == "x" else 8) if text[2:].isalnum() else text
        except ValueError:
            return text
    if digits in (".inf", ".Inf", ".INF"):
        return -math.inf if text[0] == "-" else math.inf
    if text in (".nan", ".NaN", ".NAN"):
        return math.nan
    if set(digits) <= set("0123456789.eE+-") and any(sign in "0123456789" for sign in digits):
        try:
            return float(text)
        except ValueError:
            return text
    return text


@given(st.text(alphabet="0123456789+-.eExo_:~nulTRUEtrfasify", max_size=7))
def test_scalars_against_the_model(text: str) -> None:
    assert repr(scalar(text)) == repr(model_of_scalar(text))


# Beyond the basic plane JSON escapes in pairs of surrogates, which YAML does not know.
PLANE = st.text(alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
KEY = st.text(  # YAML wants the colon within 1,024 bytes of a key's start
    alphabet=st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=80
)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), PLANE),
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEY, inner, max_size=4)),
        max_leaves=12,
    )
)
def test_documents_round_trip_as_json(data: Any) -> None:
    text = json.dumps(data)
    assert load(text, "t.json").data == data


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    problems: list[SpecProblem] = []
    try:
        load(text, "t.yaml")
    except SpecError as error:
        problems = error.problems
    assert all(problem.line >= 1 and problem.column >= 1 for problem in problems)


def problem_of(text: str) -> SpecProblem:
    with pytest.raises(SpecError) as caught:
        load(text, "t.yaml")
    return caught.value.problems[0]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1", "the key `a` stands here twice (first in line 1)"),
        ("x:\n  0x10: 1\n  16: 2\n", "3:3", "the key `16` stands here twice (first in line 2)"),
        ("a: 1\n\tb: 2\n", "2:1", "not YAML"),
        ("a:\n\t- 1\n", "2:1", "not YAML"),
        ("a: [1, 2\nb: 3\n", "2:2", "not YAML"),
        ("a: 'x\n", "2:1", "not YAML"),
        ("a: b: c\n", "1:5", "not YAML"),
        ("a: !!python/object:os.system {}\n", "1:4", "the tag `tag:yaml.org,2002:python/object:os.system`"),
        ("a: !secret x\n", "1:4", "the tag `!secret`"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document"),
        ("a: *b\n", "1:4", "`*b` names no anchor"),
        ("a: &a [*a]\n", "1:8", "`*a` stands inside the value"),
        ("true: 1\n", "1:1", "a key must be text or a whole number"),
        ("{a: 1, [x]: 2}\n", "1:8", "a key must be text or a whole number"),
        ("1.5: 1\n", "1:1", "a key must be text or a whole number"),
        ("a: 1e999\n", "1:4", "a number beyond the range"),
        (f"a: {'9' * 200}\n", "1:4", "a whole number of more than 100 digits"),
        ("a: 'x\x07y'\n", "1:6", "the character U+0007"),
        ("a: 1\nb: \ud800\n", "2:4", "the character U+D800"),
        ("a: {<<: 1}\n", "1:9", "`<<` takes a mapping"),
    ],
)
def test_refused_with_a_place(text: str, place: str, message: str) -> None:
    problem = problem_of(text)
    assert f"{problem.line}:{problem.column}" == place
    assert problem.message.startswith(message)


def test_a_tab_gets_a_hint() -> None:
    assert problem_of("a:\n\tb: 2\n").hint == "a tab cannot indent YAML: use spaces"


def test_all_duplicates_are_reported() -> None:
    with pytest.raises(SpecError) as caught:
        load("a: 1\na: 2\nb: {c: 1, c: 2}\n", "t.yaml")
    assert [(problem.line, problem.column) for problem in caught.value.problems] == [(2, 1), (3, 11)]


def test_a_hundred_problems_are_enough() -> None:
    with pytest.raises(SpecError) as caught:
        load("a: 1\n" * 5000, "t.yaml")
    assert len(caught.value.problems) == 100


def test_text_and_number_are_different_keys() -> None:
    assert load("1: a\n'1': b\n2..9: c\n0x0175: d\n", "t.yaml").data == {1: "a", "1": "b", "2..9": "c", 373: "d"}


def test_depth_is_capped_at_any_height_of_input() -> None:
    assert load("[" * MAX_DEPTH + "]" * MAX_DEPTH, "t.yaml").data
    problem = problem_of("[" * 200_000)
    assert (problem.line, problem.column, problem.code) == (1, MAX_DEPTH + 1, "too_deep")


def test_depth_through_aliases_is_capped() -> None:
    lines = ["a0: &a0 [1]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)]
    problem = problem_of("\n".join(lines))
    assert (problem.line, problem.code) == (MAX_DEPTH, "too_deep")


def test_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    problem = problem_of("\n".join(lines))
    assert (problem.line, problem.code) == (5, "too_large")


def test_merge_bomb_is_refused() -> None:
    wide = ", ".join(f"k{n}: 1" for n in range(1000))
    text = f"base: &b {{{wide}}}\n" + "".join(f"m{n}: {{<<: *b}}\n" for n in range(100))
    assert problem_of(text).code == "too_large"


def test_size_is_capped() -> None:
    assert problem_of("#" + "é" * (MAX_BYTES // 2)).code == "too_large"
    assert load("#" * MAX_BYTES, "t.yaml").data is None


def test_aliases_are_copies_and_merge_keeps_own_keys() -> None:
    document = load("base: &b {x: 1, y: [2]}\none:\n  <<: *b\n  x: 9\ntwo: *b\nthree: {<<: [{z: 0}, *b]}\n", "t.yaml")
    assert document.data["one"] == {"x": 9, "y": [2]}
    assert document.data["three"] == {"z": 0, "x": 1, "y": [2]}
    document.data["two"]["y"].append(3)
    assert document.data["base"]["y"] == [2]
    assert document.data["one"]["y"] == [2]
    assert document.place(["two"]) == (5, 6)
    assert document.place(["two", "x"]) == (1, 14)
    assert document.place(["one", "y"], key=True) == (1, 17)


def test_places() -> None:
    text = "top: 1\nlist:\n  - {a: 1, b: }\n  - x\ntags:\n  0x0175: {name: n}\n"
    document = load(text, "t.yaml")
    assert document.place([]) == (1, 1)
    assert document.place(["top"]) == (1, 6)
    assert document.place(["top"], key=True) == (1, 1)
    assert document.place(["list", 0, "b"], key=True) == (3, 12)
    assert document.place(["list", 1]) == (4, 5)
    assert document.place(["list", 1], key=True) == (4, 5)
    assert document.place(["tags", 373, "name"]) == (6, 18)
    assert document.place(["list", 7, "x"]) == document.place(["list"])
    assert document.place(["nothing"]) == (1, 1)
    assert document.where(["top"]) == ("t.yaml", 1, 6)
    assert document.path_text(["tags", 373, "name"]) == "tags.0x0175.name"
    assert document.path_text(["list", 0, "b"]) == "list[0].b"


def test_byte_order_mark_and_empty_file() -> None:
    assert load("\ufeffa: 1", "t.yaml").data == {"a": 1}
    assert load("", "t.yaml").data is None
    assert load("# only words\n", "t.yaml").place(["a"]) == (1, 1)


def test_the_loader_is_not_pyyamls_own() -> None:
    """Guards the reason for this module: PyYAML reads these otherwise."""
    assert yaml.safe_load("010") == 8
    assert load("010", "t.yaml").data == 10
