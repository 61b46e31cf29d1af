"""Mistakes that authors of specs make: each is named with its place, what was there, and what to do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from decoders.catalog import build_product
from decoders.errors import SpecError
from decoders.spec.lint import lint

FRAME = """\
product: p
frame:
  header: [{name: start, type: u8, const: 0xA5}, {name: length, type: u8, counts: type..check}, {name: type, type: u8}]
  trailer: [{name: serial, type: u8}, {name: check, crc: crc16_modbus, over: length..serial}]
messages:
  a:
    when: {type: 1}
    fields: [{name: x, type: u8}, {name: flags, type: u8, bits: {sos: 0}}]
    replies: [REPLY]
  ack: {downlink: true, when: {type: 6}, fields: [{name: y, type: u8, default: 0}]}
"""


def told(text: str) -> Iterator[str]:
    """All problems of a spec, those of lint where it can be compiled, without the name of the file."""
    try:
        loaded = build_product("p", text if "product:" in text else f"product: p\n{text}", "s", {})
    except SpecError as error:
        yield from (str(problem).removeprefix("s:") for problem in error.problems)
        return
    yield from (str(finding.problem).removeprefix("s:") for finding in lint(loaded))


KEYS_AND_TYPES = [
    ("fields: [{list: c, type: u8, note: eight, the lowest first}]", "(text with a comma in it stands in quotes)"),
    (
        "fields: [{name: a, type: u8, default: on, enum: {0: off}}]",
        "`on` is no value of `u8` (a number, or one of off)",
    ),
    ("fields: [{name: 'x_{k}', formula: 1}]", "(only values that are read from bytes, and groups, have names built"),
    ("fields: [{name: a, typ: u8}]", "2:20: fields[0].typ: unknown key `typ` (did you mean `type`?)"),
    (
        "fields: [{name: a, type: u8, factor: 0.1}]",
        "2:30: fields[0].factor: unknown key `factor` (did you mean `scale`?)",
    ),
    ("fields: [{name: a, type: u8}, {name: b, formula: a, untit: V}]", "2:53: fields[1].untit: unknown key"),
    ("fields: [{group: g, unit: V, fields: [{name: x, type: u8}]}]", "2:21: fields[0].unit: unknown key `unit`"),
    (
        "frame: {length: 3}\nfields: [{name: a, type: u8}]",
        "2:9: frame.length: unknown key `length` (did you mean `size`?)",
    ),
    ("fields: [{name: a, type: uint16_t}]", "2:26: fields[0].type: unknown type `uint16_t` (did you mean `u16`?)"),
    ("fields: [{name: a, type: u16_le}]", "(did you mean `u16le`?)"),
    ("fields: [{name: a, type: float}]", "(did you mean `f32`?)"),
    ("fields: [{name: a}]", "2:10: fields[0]: `a` has no type (such as `type: u8`, or `formula:`"),
    ("fields: [{name: a, type: text}]", "2:26: fields[0].type: `text` has no size of its own (`bytes: n`"),
    ("fields: [{name: a-b, type: u8}]", "2:17: fields[0].name: expected a name of a letter and then"),
    ("fields: [{name: a-b, type: u8}]", "got the text 'a-b' (such as `a_b`)"),
    ("fields: [{name: a, type: u16le, endian: big}]", "2:41: fields[0].endian: `u16le` says its order itself"),
    ("fields: [{name: a, type: u8, unit: %}]", "text that begins with % stands in quotes"),
    ("fields: [{name: a, type: u8, scale: 0}]", "2:37: fields[0].scale: scale 0 makes every value the same"),
    (
        "messages:\n  a:\n  fields:\n    - {name: a, type: u8}",
        "5:5: messages.fields: expected a mapping, got a list (`fields`",
    ),
    ("messages:\n  a:\n  fields:\n    - {name: a, type: u8}", "3:5: messages.a: expected a mapping, got nothing (what"),
    ("fields: [{group: g}]", "2:10: fields[0].fields: the key `fields` is required and missing"),
    (
        "fields: [{group: g, encoded: b64, fields: []}]",
        "expected `text`, `hex`, `base64`, `{add: 0x33}`, `{xor: 0x5A}` or `python:name`, got the text 'b64'",
    ),
    ("items: {key: u8, tags: {1: {name: a, type: text}}}", "2:44: items.tags.1.type: `text` has no size"),
    ("items: {key: u8, tags: {temp: {name: a, type: u8}}}", "items.tags.temp: `temp` is no key of a tag (a number"),
    ("extends: p\nfields: [{name: a, type: u8}]", "2:10: extends: there is no product `p` to extend (a spec cannot"),
    ("fields: [{name: a, type: u8}]\nvariants: {x: {mesages: {}}}", "3:16: variants.x.mesages: unknown key `mesages`"),
    (
        "fields: [{name: a, type: u8}]\nvariants: {x: {messages: {b: {fields: [{skip: 1}]}}}}",
        "3:15: variants.x: use `fields` or `items` at the top",
    ),
]
FORMULAS = [
    (
        "fields: [{name: b, type: u8, if: a == 1}, {name: a, type: u8}]",
        "2:34: fields[0].if: `a == 1`: `a` is read behind",
    ),
    (
        "fields: [{list: l, count: n, type: u8}, {name: n, type: u8}]",
        "2:27: fields[0].count: `n` is read behind this row",
    ),
    (
        "fields: [{name: n, type: bcd, bytes: 1}, {list: l, count: n, type: u8}]",
        "it is a text, and here stands a whole",
    ),
    ("fields: [{name: n, type: bcd, bytes: 1}, {list: l, count: n, type: u8}]", "(read it as `bcdnumber`)"),
    ("fields: [{name: n, type: u8}, {name: t, type: text, bytes: lenght - 4}]", "(did you mean `length`?)"),
    ("fields: [{skip: -2}]", "2:17: fields[0].skip: `-2`: a size is a whole number from 0 on"),
    (
        "fields: [{name: a, type: u8}, {name: d, formula: 2 * a}, {skip: 1, if: d == 2}]",
        "`d` is a value by formula, and",
    ),
    (
        "fields: [{name: a, type: u8}, {name: b, formula: remaining + a}]",
        "`remaining` is known only while bytes are read",
    ),
    ("fields: [{name: n, type: u8, enum: {1: on}}, {skip: 1, if: n == 'on'}]", "`n` is an integer here, never 'on'"),
    ("fields: [{name: n, type: u8, enum: {1: on}}, {skip: 1, if: n == 'on'}]", "(raw values stand here: 1 is `on`)"),
    (
        "fields: [{name: n, type: u8, enum: {1: on}}, {name: b, formula: n == 1}]",
        "`n` is a word here, never 1 (write 'on'",
    ),
    (
        "fields: [{list: l, type: u8}, {name: b, formula: x + 1}]",
        "2:50: fields[1].formula: `x + 1`: there is no field `x`",
    ),
    (
        "fields: [{list: l, fields: [{name: x, type: u8}]}, {name: b, formula: x + 1}]",
        "`x` stands in the items of `l` (such as sum(values(l, 'x'))",
    ),
    (
        "fields: [{name: a, type: u8}, {list: l, fields: [{name: x, formula: c}, {skip: 1}]}, {name: c, formula: a}]",
        "`c` is not there yet: it is computed or read later",
    ),
    (
        "fields: [{name: a, type: u8, formula: 'x > 1 ? 2 : 3'}]",
        "(`a if condition else b` stands for condition ? a : b)",
    ),
    (
        "fields: [{name: a, type: u8, formula: clamp(x)}]",
        "2:39: fields[0].formula: `clamp(x)`, column 1: `clamp` takes 3",
    ),
    (
        "fields: [{name: n, type: u8}, {switch: n, cases: {1-3: [{skip: 1}]}}]",
        "`n` is an integer, never '1-3' (a range is",
    ),
    ("fields: [{name: n, type: u8}, {name: b, type: u8, equals: m}]", "2:59: fields[1].equals: there is no field `m`"),
    (
        "fields: [{name: a, type: u8, enum: {off: 0}}]",
        "2:42: fields[0].enum.off: `u8` is never 'off' (raw value first: 0: off)",
    ),
    ("fields: [{name: a, type: u8, enum: {'0A': ten}}]", "`u8` is never '0A' (in hexadecimal: 0x0A)"),
    ("fields: [{name: a, type: u8, enum: {5..1: few}}]", "no value is in `5..1` (the lower one first: 1..5)"),
    ("fields: [{name: 'a_{n}', type: u8}, {name: n, type: u8}]", "2:17: fields[0].name: `n` is read behind this row"),
]
FRAMES = [
    (FRAME.replace("length..serial", "length..check"), "`length..check` holds the check value itself"),
    (
        "tags: {t: {1: {items: {key: u8, length: u8, tags: t}}}}\nitems: {key: u8, length: u8, tags: t}",
        "contains itself",
    ),
    (
        "frame: {format: text, until: \"\\n\"}\ntags: {t: {A: {items: {key: text, split: ';', tags: t}}}}\n"
        "items: {key: text, split: ',', tags: t}",
        "tags.t.A.items.tags: `tags t` contains itself: tags t -> tags t",
    ),
    (
        "tags: {t: {volume: {group: g, bytes: rest, fields: [{items: {format: mbus, tags: t}}]}}}\n"
        "items: {format: mbus, tags: t}",
        "`tags t` contains itself",
    ),
    (
        'frame: {until: "#"}\nfields: [{skip: rest}]',
        "2:16: frame.until: expected bytes in hex, got the text '#' (this text in hex",
    ),
    (
        'frame: {start: 7878, stop: "0D"}\nfields: [{skip: rest}]',
        "digits without quotes are a number, which may be another",
    ),
    (
        'frame: {until: "0D", size: 5}\nfields: [{skip: rest}]',
        "2:28: frame.size: `until` and `size` both say where the frame ends",
    ),
    (
        "frame: {size: 1, header: [{name: m, type: u16}]}\nfields: [{skip: rest}]",
        "2:15: frame.size: header and trailer alone",
    ),
    (
        'frame: {until: "0D", max_bytes: 10, min_bytes: 20}\nfields: [{skip: rest}]',
        "frame.max_bytes: frames have at least 20",
    ),
    (
        'frame: {format: text, until: "0D0A", split: ","}\nfields: [{name: a}]',
        r"frame.until: the characters `0D0A` themselves are",
    ),
    (
        'frame: {format: text, until: "\\n"}\nfields: [{name: a}, {name: b}]',
        "fields[1]: never read: `a` takes all bytes that are",
    ),
    (
        FRAME.replace("length..serial", "lenght..serial"),
        "4:78: frame.trailer[1].over: `lenght..serial` names no span of this",
    ),
    (FRAME.replace("length..serial", "serial..length"), "`serial..length` ends before it begins (`length..serial`)"),
    (
        FRAME.replace("type..check", "type..chek"),
        "3:83: frame.header[1].counts: `type..chek` names no span of this frame",
    ),
    (FRAME.replace("crc16_modbus", "crc16_modbuss"), "(did you mean `crc16_modbus`?)"),
    (
        FRAME.replace("when: {type: 1}", "when: {x: 1}"),
        "7:15: messages.a.when.x: no frame kind has a field `x` (a row of the body",
    ),
    (
        FRAME.replace("when: {type: 1}", "when: {type: login}"),
        "messages.a.when.type: `type` is an integer, never 'login'",
    ),
    (FRAME.replace("when: {type: 1}", "when: {type: 0x100}"), "`type` is never 256 (it is at most 0xFF)"),
    (
        FRAME.replace("REPLY", "akc"),
        "9:15: messages.a.replies[0].message: no downlink message `akc` (did you mean `ack`?)",
    ),
    (
        FRAME.replace("REPLY", "{message: ack, with: {z: 1}}"),
        "9:40: messages.a.replies[0].with.z: `ack` has no field `z`",
    ),
    (FRAME.replace("REPLY", "{message: ack, with: {y: serail}}"), "no value `serail` (did you mean `serial`?)"),
    (FRAME.replace("REPLY", "{message: ack, with: {y: length}}"), "`length` is hidden, and replies read what is shown"),
    (FRAME.replace("REPLY", '{text: "{now:%Q}"}'), "`%Q` is no part of a time (such as %Y"),
    (
        "fields: [{name: a, type: hex, bytes: 2, const: AABBCC}]",
        "2:48: fields[0].const: `AABBCC` has 3 bytes, the row 2",
    ),
    (
        "fields: [{name: l, type: u8, counts: rest}]",
        "2:38: fields[0].counts: the length of a frame stands in its header",
    ),
    ("fields: [{name: a, type: text, until: ','}]", "2:39: fields[0].until: `,` is no bytes in hex (this text in hex"),
    ("messages: {a: {json: {a: $.x}, fields: [{name: a, type: u8}]}}", "`$.x`: a path begins with a key, not with `$`"),
    (
        "messages: {a: {json: {value: {a: x}}, fields: [{name: a, type: u8}]}}",
        "unknown key `value` (did you mean `values`?)",
    ),
    ("fields: [{list: l, type: u8}, {name: a, type: u8}]", "fields[1]: never read: `l` takes all bytes that are left"),
    (
        "fields: [{name: a, type: u8}, {name: a, type: u8}]",
        "fields[1]: `a` has a row before, whose value this one replaces",
    ),
]


@pytest.mark.parametrize(("text", "said"), KEYS_AND_TYPES + FORMULAS + FRAMES)
def test_a_mistake_is_named_with_its_place(text: str, said: str) -> None:
    found = list(told(text.replace("REPLY", "ack")))
    assert any(said in problem for problem in found), "\n".join(found)


def test_one_mistake_is_one_problem() -> None:
    """What follows from a mistake is not told as well."""
    for text, _ in KEYS_AND_TYPES:
        if "variants" not in text and "messages:\n" not in text:
            assert len(list(told(text))) == 1, text


def test_what_is_right_is_silent() -> None:
    allowed = {"no_good_frame", "no_truncated_frame", "no_corrupt_frame", "no_origin", "no_identity"}
    loaded = build_product("p", FRAME.replace("REPLY", "{message: ack, with: {y: x + serial}}"), "s", {})
    assert {finding.problem.code for finding in lint(loaded)} <= allowed
