"""A spec author's mistakes: each is named by file, line and column, with what was expected and what to write."""

from __future__ import annotations

import pytest

from decoders.compile import compile_spec
from decoders.errors import SpecError
from decoders.product import CompiledProduct
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate

GOOD = """\
product: probe
frame:
  header:
    - {name: start, type: u8, const: 0xA5}
    - {name: length, type: u8, counts: kind..check}
    - {name: kind, type: u8}
  trailer:
    - {name: check, crc: xor8, over: length..body}
enums:
  mode: {0: off, 1: on}
blocks:
  basics:
    - {name: level, type: u8}
messages:
  status:
    when: {kind: 2}
    fields:
      - {use: basics}
      - {name: mode, type: u8, enum: mode}
      - {name: size, type: u8}
      - {list: items, count: size, fields: [{name: a, type: u8}]}
    replies: [ack]
  ack: {downlink: true, when: {kind: 6}}
"""


def compiled(text: str) -> CompiledProduct:
    document = load(text, "probe/spec.yaml")
    return compile_spec(validate(SpecFile, document), document)


def problems(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        compiled(text)
    return [str(problem) for problem in caught.value.problems]


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_the_good_one_compiles() -> None:
    product = compiled(GOOD)

    assert [kind.name for kind in product.framing.kinds] == ["frame"]
    assert set(product.messages) == {"status", "ack"}
    assert all(kind.why_not_fused == "" for kind in product.kinds)


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("{name: size, type: u8}", "{name: size, type: u9}", ":20:", ["unknown type `u9`", "did you mean"]),
        ("{name: size, type: u8}", "{name: size, type: text}", ":20:", ["`text` has no size", "`bytes: n`"]),
        ("{name: size, type: u8}", "{name: size, type: u8, bytes: 2}", ":20:", ["has its own size"]),
        ("enum: mode}", "enum: modes}", ":19:", ["no enum `modes`", "did you mean `mode`?"]),
        ("{use: basics}", "{use: basic}", ":18:", ["no block `basic`", "did you mean `basics`?"]),
        ("count: size", "count: sizes", ":", ["there is no field `sizes`", "did you mean `size`?"]),
        ("count: size", "count: size.real", ":21:", ["Attribute is not allowed"]),
        ("count: size", 'count: "open(1)"', ":21:", ["unknown function `open`"]),
        ("count: size", 'count: "size +"', ":21:", ["is no formula"]),
        ("crc: xor8", "crc: xor9", ":8:", ["unknown check value `xor9`", "did you mean `xor8`?"]),
        ("over: length..body", "over: size..body", ":8:", ["names no span", "length"]),
        ("counts: kind..check", "counts: kind..chekc", ":5:", ["names no span", "check"]),
        ("when: {kind: 2}", "when: {kinds: 2}", ":16:", ["no frame kind has a field `kinds`", "did you mean `kind`?"]),
        ("when: {kind: 2}", "when: {kind: 2, first: 01}", ":16:", ["is no hex text", "quotes"]),
        ("replies: [ack]", "replies: [akc]", ":22:", ["no downlink message `akc`", "did you mean `ack`?"]),
        ("replies: [ack]", "replies: [{message: ack, with: {kinds: 1}}]", ":22:", ["has no field `kinds`"]),
        ("replies: [ack]", "replies: [{text: 'x{nobody}'}]", ":22:", ["no value `nobody`"]),
        ("replies: [ack]", "records: things", ":22:", ["`things` is no list of this message", "items"]),
        ("0xA5}", "0x1A5}", ":4:", ["does not fit into `u8`"]),
        ("{name: level, type: u8}", "{use: basics}", ":13:", ["contains itself"]),
        ("{name: level, type: u8}", "{name: level, type: u8, scale: abc}", ":13:", ["is no number"]),
        ("{name: level, type: u8}", "{name: level, type: u8, scale: 0}", ":13:", ["scale 0 makes"]),
        ("{name: level, type: u8}", "{name: level, type: u8, bits: {a: 8}}", ":13:", ["not within `u8`"]),
        ("{name: level, type: u8}", "{name: level, type: u8, bits: {a: 3-x}}", ":13:", ["is no bit range"]),
        ("{name: level, type: u8}", "{name: level, type: u8, zone: Mars}", ":13:", ["is no zone"]),
        ("{name: level, type: u8}", "{name: 9level, type: u8}", ":13:", ["a name of a letter", "'9level'"]),
        ("{name: level, type: u8}", "{nam: level, type: u8}", ":13:", ["nam", "name"]),
        ("product: probe", "product: probe\nzone: Berlin", ":2:", ["is no zone"]),
        ("product: probe", "product: probe\nendain: big", ":2:", ["endain", "endian"]),
        ("product: probe", "product: probe\nframes: {}\nframe: 1", ":", ["frame"]),
    ],
)
def test_mistakes_are_named_with_their_place(old: str, new: str, place: str, words: list[str]) -> None:
    found = problems(changed(old, new))

    fitting = [text for text in found if all(word in text for word in words)]
    assert fitting, found
    assert fitting[0].startswith("probe/spec.yaml")
    assert place in fitting[0]


def test_all_mistakes_are_told_at_once() -> None:
    text = changed("enum: mode}", "enum: modes}").replace("{use: basics}", "{use: basic}").replace("xor8", "xor9")

    assert len(problems(text)) == 3


def test_blocks_that_unfold_without_end_are_refused() -> None:
    blocks = "\n".join(f"  b{n}: [{', '.join('{use: b%d}' % (n + 1) for _ in range(10))}]" for n in range(6))  # noqa: UP031
    last = "  b6: [{name: a, type: u8}]\nmessages: {m: {fields: [{use: b0}]}}\n"
    text = f"product: bomb\nblocks:\n{blocks}\n{last}"

    assert any("unfolds into more than" in problem for problem in problems(text))
