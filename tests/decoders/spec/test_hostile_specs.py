"""Specs that were written to hang or exhaust the compiler: each is refused, or compiled within its caps.

What a spec unfolds into is counted, never timed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from decoders.catalog import LoadedProduct, build_product
from decoders.compile import MAX_ROWS
from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.fused.refusal import Refused
from decoders.layout import MAX_EMPTY_ITEMS
from decoders.spec.problems import MAX_PROBLEMS
from decoders.types import SessionContext

Row = dict[str, Any]


def build(**spec: Any) -> LoadedProduct:
    """JSON is YAML, too."""
    return build_product("x", "{product: x, " + json.dumps(spec)[1:], "x/spec.yaml", {})


def of_rows(*rows: Row, **spec: Any) -> dict[str, Any]:
    return {"messages": {"m": {"rest": "skip", "fields": list(rows)}}, **spec}


def nested(depth: int, inner: Row, around: Callable[[int, Row], Row]) -> Row:
    for level in range(depth):
        inner = around(level, inner)
    return inner


def chain(length: int, row: Callable[[str], Row]) -> dict[str, Any]:
    """Blocks of which each uses the next one."""
    blocks = {f"b{number}": [row(f"b{number + 1}")] for number in range(length)}
    last = {f"b{length}": [{"name": "last", "type": "u8"}]}
    return of_rows({"name": "a", "type": "u8"}, {"use": "b0"}, blocks=blocks | last)


BYTE: Row = {"name": "a", "type": "u8"}
WIDE: Row = {"name": "w", "type": "bits", "bytes": 64, "bits": {f"x{bit}": bit for bit in range(512)}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "groups through blocks": (chain(900, lambda name: {"group": None, "fields": [{"use": name}]}), "nest more than 40"),
    "lists through blocks": (chain(300, lambda name: {"list": "l", "fields": [{"use": name}]}), "nest more than 40"),
    "conditions through blocks": (chain(900, lambda name: {"use": name, "if": "a"}), "nest more than 40"),
    "switches through blocks": (
        chain(300, lambda name: {"switch": "a", "cases": {1: [{"use": name}]}, "default": []}),
        "nest more than 40",
    ),
    "blocks that double": (
        of_rows(
            {"use": "b0"},
            blocks={f"b{n}": [{"use": f"b{n + 1}"}] * 2 for n in range(30)} | {"b30": [BYTE]},
        ),
        "unfolds into more than 10000 rows",
    ),
    "tables that double": (
        of_rows(
            {"items": {"key": "u8", "length": "u8", "tags": "t0"}},
            tags={
                f"t{n}": {key: {"items": {"key": "u8", "length": "u8", "tags": f"t{n + 1}"}} for key in (1, 2)}
                for n in range(30)
            }
            | {"t30": {1: BYTE}},
        ),
        "unfolds into more than 10000 rows",
    ),
    "one block a thousand times": (
        of_rows(*[{"use": "b"}] * 1000, blocks={"b": [WIDE]}),
        "unfolds into more than 10000 rows",
    ),
    "a name for each of many keys": (
        of_rows(
            {
                "items": {
                    "key": "u32",
                    "length": "u8",
                    "tags": {f"{n * 256}..{n * 256 + 255}": {"name": "a_{key}", "type": "u8"} for n in range(400)},
                }
            }
        ),
        "unfolds into more than 10000 rows",
    ),
    "cases without rows": (
        of_rows(BYTE, {"switch": "a", "cases": {f"{n}..{n + 4294967295}": [] for n in range(11_000)}}),
        "unfolds into more than 10000 rows",
    ),
    "an enum of a huge range": (
        of_rows({**BYTE, "enum": {"0..4294967295": "x"}}),
        "holds more than 4096 values",
    ),
    "an enum of many ranges": (
        of_rows({**BYTE, "type": "u32", "enum": {f"{n * 4096}..{n * 4096 + 4095}": "x" for n in range(1000)}}),
        "unfold into more than 250000 values",
    ),
    "many enums of a range": (
        of_rows(*({"name": f"a{n}", "type": "u16", "enum": {"0..4095": "x"}} for n in range(100))),
        "unfold into more than 250000 values",
    ),
    "a large enum that many rows share": (
        of_rows(
            *({"name": f"a{n}", "type": "u16", "enum": "e"} for n in range(100)),
            enums={"e": {f"{n * 4096}..{n * 4096 + 4095}": "x" for n in range(2)}},
        ),
        "unfold into more than 250000 values",
    ),
    "flags that many rows share": (
        of_rows(
            *({"name": f"a{n}", "type": "bits", "bytes": 64, "flags": "f"} for n in range(600)),
            flags={"f": {bit: f"n{bit}" for bit in range(512)}},
        ),
        "unfold into more than 250000 values",
    ),
    "keys of text": (
        {
            "frame": {"format": "text", "until": "\n", "split": ";"},
            "messages": {"m": {"items": {"tags": {f"{n}0000..{n}4095": {"name": "a"} for n in range(1, 100)}}}},
        },
        "unfold into more than 250000 values",
    ),
    "many sentinels": (of_rows({**BYTE, "absent": list(range(5000))}), "5000 sentinels"),
    "many parts of a name": (
        of_rows(BYTE, {"name": "x" + "{a}" * 20, "type": "u8"}),
        "a name is built from at most 4 numbers",
    ),
    "many computed names": (
        of_rows(BYTE, *({"name": f"x{n}_{{a}}", "type": "u8"} for n in range(200))),
        "more than 100 names are built from numbers",
    ),
    "many check values": (
        of_rows(BYTE, *({"name": f"c{n}", "crc": "fletcher16", "over": "0..0"} for n in range(500))),
        "more than 16 check values",
    ),
    "many check values in a header": (
        {
            "frame": {"start": "A5", "header": [{"name": f"c{n}", "crc": "sum8", "over": "0..0"} for n in range(500)]},
            **of_rows(),
        },
        "more than 16 check values",
    ),
    "many messages": (
        {"messages": {f"m{n}": {"when": {"port": n}, "fields": [BYTE]} for n in range(2000)}},
        "expected at most 500 items",
    ),
    "many messages under a long header": (
        {
            "frame": {"start": "A5", "size": 1200, "header": [{"name": f"h{n}", "type": "u16"} for n in range(500)]},
            "messages": {f"m{n}": {"when": {"h0": n}, "rest": "skip"} for n in range(200)},
        },
        f"more than {MAX_ROWS} rows",
    ),
    "many kinds of frame": (
        {"frames": {f"f{n}": {"start": "A5", "until": f"{n:04X}"} for n in range(500)}, **of_rows()},
        "expected at most 32 items",
    ),
    "many variants": ({**of_rows(BYTE), "variants": {f"v{n}": {} for n in range(500)}}, "expected at most 100 items"),
    "variants of many rows": (
        {
            **of_rows(*({"name": f"a{n}", "type": "u8"} for n in range(2000))),
            "variants": {f"v{n}": {"title": "x"} for n in range(90)},
        },
        f"the variants have more than {MAX_ROWS} rows together",
    ),
    "many replies": (
        of_rows(BYTE) | {"messages": {"m": {"fields": [BYTE], "replies": [{"hex": "00"}] * 500}}},
        "expected at most 16 items",
    ),
    "a formula of many signs": (of_rows(BYTE, {"name": "f", "formula": "-" * 490 + "a"}), "at most 120 parts"),
    "a formula of many brackets": (
        of_rows(BYTE, {"name": "f", "formula": "(" * 240 + "a" + ")" * 240}),
        "is no formula",
    ),
    "a formula of one long name": (of_rows(BYTE, {"name": "f", "formula": "a" * 501}), "at most 500 characters"),
    "a function": (of_rows(BYTE, {"name": "f", "formula": "(lambda: a)()"}), "is not allowed in a formula"),
    "digits that are none": (of_rows({**BYTE, "type": "hex", "bytes": "²"}), "is no formula"),
    "more digits than a number has": (of_rows({**BYTE, "type": "hex", "bytes": "9" * 5000}), "at most 500 characters"),
    "a shift of many digits": (of_rows({**BYTE, "bits": {"x": "9" * 5000}}), "is no bit range"),
    "a pattern without end": (
        of_rows({"name": "t", "type": "text", "bytes": 9, "clock": "?" * 65}),
        "is no pattern of a time",
    ),
    "raw bytes of a clock that are too few": (of_rows({"name": "t", "type": "ymdhms", "bytes": 2}), "has its own size"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(what: str) -> None:
    spec, message = REFUSED[what]
    with pytest.raises(SpecError) as caught:
        build(**spec)
    problems = caught.value.problems
    assert any(message in problem.message for problem in problems), [str(problem)[:200] for problem in problems[:5]]
    assert len(problems) <= MAX_PROBLEMS
    assert all(problem.line for problem in problems)


MISTAKES: dict[str, list[Row]] = {
    "unknown keys": [{**BYTE, **{f"key{number}": 1 for number in range(40)}} for _ in range(200)],
    "wrong values": [{"name": "1a", "type": 5, "scale": [], "bits": 7, "enum": []} for _ in range(1000)],
    "unknown types": [{"name": f"a{number}", "type": f"u{number}x"} for number in range(1000)],
    "unknown names": [
        *({"name": f"a{number}", "type": "u8"} for number in range(500)),
        *({"name": f"f{number}", "formula": f"b{number} + c{number}"} for number in range(500)),
    ],
}


@pytest.mark.parametrize("rows", MISTAKES.values(), ids=MISTAKES)
def test_of_many_mistakes_the_first_are_told(rows: list[Row]) -> None:
    with pytest.raises(SpecError) as caught:
        build(**of_rows(*rows))
    assert len(caught.value.problems) == MAX_PROBLEMS


COMPILED: dict[str, dict[str, Any]] = {
    "many rows": of_rows(*({"name": f"a{n}", "type": "u8"} for n in range(4000))),
    "many conditions": of_rows(BYTE, *({"name": f"a{n}", "type": "u8", "if": "a"} for n in range(1000))),
    "many formulas": of_rows(
        *({"name": f"a{n}", "type": "u8"} for n in range(300)),
        *({"name": f"f{n}", "formula": "+".join(f"a{(n + k) % 300}" for k in range(30))} for n in range(300)),
    ),
    "a tag for all keys": of_rows({"items": {"key": "u32", "length": "u8", "tags": {"0..4294967295": BYTE}}}),
    "a case for all numbers": of_rows(
        {"name": "a", "type": "u32"}, {"switch": "a", "cases": {"0..4294967295": [BYTE]}, "default": []}
    ),
    "a count beyond all bytes": of_rows({"list": "l", "count": 10**60, "type": "u8"}),
    "numbers without end": of_rows({"list": "x", "count": 65536, "max": 65536, "numbered": True, "type": "u8"}),
    "numbers of numbers": of_rows(
        nested(12, BYTE, lambda level, row: {"list": f"l{level}", "numbered": True, "count": 64, "fields": [row]})
    ),
    "clocks of many patterns": of_rows(
        *({"name": f"a{n}", "type": "text", "bytes": 60, "clock": f"YYYY'{n}'MM"} for n in range(300))
    ),
    "named groups": of_rows(nested(25, BYTE, lambda level, row: {"group": f"g{level}", "fields": [row]})),
    "groups without names": of_rows(nested(25, BYTE, lambda _, row: {"group": None, "fields": [row]})),
    "a long chain of cases": of_rows(BYTE, {"switch": "a", "cases": {n: [] for n in range(9000)}, "default": []}),
    "loops in loops": of_rows(
        nested(15, BYTE, lambda level, row: {"list": f"l{level}", "count": 2, "fields": [row, {"skip": 1}]})
    ),
    "conditions in conditions": of_rows(
        BYTE, nested(25, BYTE, lambda _, row: {"group": None, "if": "a", "fields": [row, {"skip": "a"}]})
    ),
}
HOSTILE = [bytes(400), b"\xff" * 400, bytes(range(256)), b"\1" * 400, b""]


@pytest.mark.parametrize("what", COMPILED)
def test_it_is_compiled_within_its_caps(what: str) -> None:
    """Both codecs then read any bytes or refuse them."""
    product = build(**COMPILED[what]).product
    assert product.rows <= MAX_ROWS
    (kind,) = product.kinds
    assert kind.reference is not None
    for data in HOSTILE:
        try:
            truth = kind.reference.decode(data, SessionContext(), 0)
        except DecodeError:
            truth = None
        if kind.fused is None:
            assert "too many or nest too deep" in kind.why_not or "nest deeper" in kind.why_not
            continue
        try:
            assert kind.fused.decode(data, SessionContext(), 0) == truth
        except (Refused, DecodeError):
            assert truth is None or truth[0] in kind.fused.others


def test_lists_whose_items_take_no_bytes_are_bounded_all_together() -> None:
    row = nested(
        4,
        {"name": "a", "type": "u8", "if": "n == 7"},
        lambda level, inner: {"list": f"l{level}", "count": "n", "max": 65536, "fields": [inner]},
    )
    (kind,) = build(**of_rows({"name": "n", "type": "u16"}, row)).product.kinds
    assert kind.reference is not None
    assert kind.fused is not None
    for count in (2, 4):
        data = count.to_bytes(2, "big")
        assert kind.fused.decode(data, SessionContext(), 0) == kind.reference.decode(data, SessionContext(), 0)
    data = (1000).to_bytes(2, "big")
    with pytest.raises(DecodeError, match=str(MAX_EMPTY_ITEMS)) as caught:
        kind.reference.decode(data, SessionContext(), 0)
    assert caught.value.code == DecodeCode.TOO_MANY_ITEMS
    with pytest.raises(Refused):
        kind.fused.decode(data, SessionContext(), 0)


ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before} '] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ALIASES + "product: x\n", "aliases repeat more than 50000 values"),
        ("a: &a [*a ]\n", "stands inside the value that it repeats"),
        ("product: x\nfields: " + "[" * 200 + "]" * 200, "nested more than 64 levels deep"),
        ("product: x\nfields: " + "{a: " * 5000, "nested more than 64 levels deep"),
        ("product: x\nnote: '" + "x" * (1 << 20) + "'\n", "larger than 1048576 bytes"),
        ("product: x\nextends: x\n", "extend"),
    ],
)
def test_yaml_is_bounded_before_it_is_unfolded(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build_product("x", text, "x/spec.yaml", {})
