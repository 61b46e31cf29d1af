"""Tag lists of text: keyed fields. Both codecs, always."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.errors import DecodeCode, DecodeError, SpecError
from decoders.explain import explain
from decoders.product import CompiledProduct
from decoders.prove import prove
from decoders.types import SessionContext
from tests.decoders.specs import golden, product, read

TAGS = """TMP: {name: temperature, type: number}, 'A, B': {name: ab},
  1..3: {name: door, type: hexnumber, bits: {open: 0}}"""


def items(keys: str = "", tags: str = TAGS) -> CompiledProduct:
    return product(
        f'frame: {{format: text, start: "<", stop: ">", split: ";"}}\nitems: {{key: text{keys}, tags: {{{tags}}}}}\n'
    )


def values(body: str, keys: str = "", tags: str = TAGS) -> dict[str, Any]:
    return read(items(keys, tags), f"<{body}>".encode())


def code(body: str, keys: str = "", tags: str = TAGS) -> DecodeCode:
    with pytest.raises(DecodeError) as caught:
        values(body, keys, tags)
    return caught.value.code


def test_keys_and_values() -> None:
    assert values("TMP=21.5;A=x") == {"temperature": 21.5, "ab": "x"}
    assert values("B=y; TMP =-;TMP= 7", tags=TAGS.replace("number}", "number, absent: '-'}", 1)) == {
        "ab": "y",
        "temperature": 7,
    }
    assert values("2=1;;TMP=;X=1;Y") == {"open": True}
    assert values("") == {}
    assert code("TMP=x") is DecodeCode.BAD_VALUE


def test_unknown_keys() -> None:
    assert values("X=1;TMP=2") == {"temperature": 2}
    assert values("A=1;X=1;TMP=2", ", on_unknown: stop") == {"ab": "1"}
    assert code("A=1;X=1;TMP=2", ", on_unknown: refuse") is DecodeCode.UNKNOWN_TAG
    assert values("A=1;X=1;Y=;Z= q ", ", on_unknown: {into: other}") == {"ab": "1", "other": {"X": "1", "Z": "q"}}
    assert values("X=1", ", on_unknown: {into: other, type: number}") == {"other": {"X": 1}}
    assert code("X=y", ", on_unknown: {into: other, type: number}") is DecodeCode.BAD_VALUE
    assert values("A=1;X", ", raw: all") == {"ab": "1", "all": [{"id": "A", "value": "1"}, {"id": "X", "value": ""}]}


def test_many_tags_and_too_many_items() -> None:
    tags = ", ".join(f"K{number}: {{name: v{number}, type: number}}" for number in range(40))
    for number in range(40):
        assert values(f"K{number}={number}", tags=tags) == {f"v{number}": number}
    assert code("A=1;A=2;A=3", ", max: 2") is DecodeCode.TOO_MANY_ITEMS


def test_the_same_key_twice_and_the_key_itself() -> None:
    tags = "1..4: {name: 'chn_{key}', type: number}, T: {name: t, repeat: list, type: number}"
    assert values("T=1;T=2", tags=tags) == {"t": [1, 2]}
    shared = product(
        'frame: {format: text, start: "<", stop: ">", split: ";"}\ntags: {table: {A: {name: a}, B: {name: b}}}\n'
        "items: {key: text, tags: table}\n"
    )
    assert read(shared, b"<A=1;B=2>") == {"a": "1", "b": "2"}


TELEGRAM = r"""frame: {format: text, start: "/", stop: "!", split: "\r\n", max_bytes: 4096}
messages:
  telegram:
    fields:
      - {name: meter}
      - items:
          key: text
          assign: "("
          tags:
            0-0:1.0.0: {name: stamp, until: ")"}
            1-0:1.8.1: [{name: energy, type: number, until: "*"}, {name: unit, until: ")"}]
            0-1:24.2.1, 0-2:24.2.1: [{name: gas_time, until: ")("}, {name: gas, type: number, until: "*"}, {skip: rest}]
"""


def test_lines_of_a_meter() -> None:
    telegram = b"/ISk5 x\r\n\r\n0-0:1.0.0(170102192002W)\r\n1-0:1.8.1(000004.426*kWh)\r\n1-0:9.9(1)\r\n"
    telegram += b"0-2:24.2.1(161107190000W)(00000.107*m3)\r\n!"
    compiled = product(TELEGRAM)
    assert read(compiled, telegram) == {
        "meter": "ISk5 x",
        "stamp": "170102192002W",
        "energy": 4.426,
        "unit": "kWh",
        "gas_time": "161107190000W",
        "gas": 0.107,
    }
    fields = {field.path: field for field in explain(compiled, telegram, SessionContext())}
    energy = fields["#'1-0:1.8.1'.energy"]
    assert (bytes.fromhex(energy.hex), energy.raw, energy.value) == (b"000004.426", 4.426, 4.426)
    assert telegram[energy.offset :].startswith(b"000004.426")


def test_a_tag_list_as_one_of_the_values_around() -> None:
    compiled = product("""frame: {format: text, start: "<", stop: ">", split: ","}
fields: [{name: a}, {items: {key: text, split: "|", tags: {T: {name: t, type: number}}}}, {name: b}]""")
    assert read(compiled, b"<x,T=1|U=2,y>") == {"a": "x", "t": 1, "b": "y"}
    assert read(compiled, b"<x,,y>") == {"a": "x", "b": "y"}


@given(st.text("AT=;,1-", max_size=20))
@settings(max_examples=200, deadline=None)
def test_the_codecs_agree_on_any_text(body: str) -> None:
    tags = "T: {name: t, type: number}, A: [{name: a, until: ','}, {name: b, if: has('1')}, {name: c, formula: b}]"
    with contextlib.suppress(DecodeError):
        values(body, ", on_unknown: {into: other}, raw: all", tags)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("items: {key: text, tags: {A: {name: a, type: u8}}}", "keys that are text stand in text frames"),
        ("frame: {format: text}\nitems: {key: text, tags: {}}", "what stands between the items"),
        ("frame: {format: text, split: ';'}\nitems: {key: u8, tags: {}}", "`u8` reads bytes"),
        ("frame: {format: text, split: ';'}\nitems: {key: text, length: u8, tags: {}}", "for binary tag lists"),
        ("frame: {format: text, split: ';'}\nitems: {tags: {A: {name: a}, 'B, A': {name: b}}}", "key A is also in"),
        ("frame: {format: text, split: ';'}\nitems: {tags: none}", "no table of tags `none`"),
        ("frame: {format: text, split: ';'}\nitems: {tags: {1..99999: {name: a}}}", "more than 4096 texts"),
        ("frame: {format: text, split: ';'}\nitems: {tags: {P1..X4: {name: a}}}", "begin in two ways"),
    ],
)
def test_mistakes_are_named(spec: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        product(spec)
    assert words in str(caught.value)


def test_a_line_without_a_key() -> None:
    compiled = product(
        'frame: {format: text, start: "/", until: "!", split: "\\n"}\n'
        "items: {key: text, assign: '(', tags: {'': {name: gas, type: number, until: ')'}, A: {name: a, until: ')'}}}"
    )
    assert read(compiled, b"/A(x)\n(00001.001)\n!") == {"a": "x", "gas": 1.001}


@pytest.mark.parametrize(
    ("test", "body", "expected"),
    [
        ("not starts('CP=')", "A=1;B=2;CP=xx;B=3", {"a": "1", "b": "2", "tail": "CP=xx;B=3"}),
        ("not starts('CP=')", "A=1;B=2", {"a": "1", "b": "2"}),
        ("not starts('CP=')", "CP=1", {"tail": "CP=1"}),
        ("key != 'B'", "A=1;;B=2;A=3", {"a": "1", "b": "2", "tail": "A=3"}),
        ("key != 'B'", "B=2;A=3", {"b": "2", "tail": "A=3"}),
    ],
)
def test_items_go_on_while(test: str, body: str, expected: dict[str, Any]) -> None:
    rows = f"""fields:
  - {{items: {{key: text, while: "{test}", tags: {{A: {{name: a}}, B: {{name: b}}}}}}}}
  - {{name: tail, bytes: rest}}"""
    compiled = product('frame: {format: text, start: "#", stop: "\\r\\n", split: ";"}\n' + rows)
    assert read(compiled, f"#{body}\r\n".encode()) == expected
    assert prove(compiled, [golden(f"#{body}\r\n".encode().hex())]).holds


@pytest.mark.parametrize("key", ["until_left: 2", "count_type: u8"])
def test_ends_that_text_does_not_have(key: str) -> None:
    with pytest.raises(SpecError, match="is for binary tag lists"):
        items(f", {key}")


def test_the_key_of_an_item_within_an_item() -> None:
    """What formulas call `key` is the key of the innermost item, and of the outer one again behind it."""
    inner = "{items: {key: text, split: ',', assign: '-', tags: {X: [{name: x}, {name: inner, formula: key}]}}}"
    assert values("A=X-5;B=7", tags=f"A: [{inner}, {{name: outer, formula: key}}], B: {{name: b}}") == {
        "x": "5",
        "inner": "X",
        "outer": "A",
        "b": "7",
    }
