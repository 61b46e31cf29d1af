"""`frame:` and `frames:` -> how the stream is cut, where lengths and check values stand."""

from __future__ import annotations

import pytest

from decoders.compile import compile_spec
from decoders.errors import SpecError
from decoders.framing.plan import ComputedSize, FixedSize, FrameKind, LengthField, StopBytes, WholeChunk
from decoders.product import CompiledProduct
from decoders.spec.frame_marks import byte_pattern
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate

MESSAGES = "messages: {any: {fields: [{name: body, type: hex, bytes: rest}]}}\n"


def product_of(frame: str) -> CompiledProduct:
    document = load(f"product: probe\n{frame}{MESSAGES}", "probe.yaml")
    return compile_spec(validate(SpecFile, document), document)


def kind_of(frame: str) -> FrameKind:
    return product_of(frame).framing.kinds[0]


def test_without_a_frame_the_payload_is_the_message() -> None:
    assert isinstance(kind_of("").size, WholeChunk)


def test_length_field_counts_what_the_span_says() -> None:
    kind = kind_of(
        "frame:\n"
        "  start: '7878'\n"
        "  header: [{name: length, type: u8, counts: kind..check}, {name: kind, type: u8}]\n"
        "  trailer: [{name: serial, type: u16}, {name: check, crc: crc16_x25, over: length..serial}]\n"
        "  stop: '0D0A'\n"
    )

    assert kind.size == LengthField(2, 1, True, add=5, stop=b"\r\n")
    assert kind.begins == (frozenset({0x78}), frozenset({0x78}))
    assert kind.min_bytes == 10


@pytest.mark.parametrize(
    ("counts", "add"),
    [("counts: rest", 4), ("counts: rest, adjust: 2", 6), ("counts: body", 6), ("counts: mark..body", 2)],
)
def test_what_a_length_may_count(counts: str, add: int) -> None:
    kind = kind_of(
        "frame:\n"
        f"  header: [{{name: mark, type: u16}}, {{name: length, type: u16le, {counts}}}]\n"
        "  trailer: [{name: check, crc: crc16_arc}]\n"
    )

    assert kind.size == LengthField(2, 2, False, add=add)


def test_a_length_in_some_bits() -> None:
    kind = kind_of("frame: {header: [{name: p, type: u16, bits: {size: {at: 2-11, counts: body}, more: 15}}]}\n")

    assert kind.size == LengthField(0, 2, True, add=2, mask=0x3FF, shift=2)


def test_stuffed_frames_end_at_the_stop_mark() -> None:
    kind = kind_of("frame: {start: '7E', stop: '7E', escape: {mark: 0x7D, table: {1: 0x7D, 2: 0x7E}}}\n")

    assert kind.size == StopBytes((b"\x7e",))
    assert kind.escape is not None
    assert (kind.escape.raw_prefix, kind.escape.raw_suffix) == (1, 1)


def test_lines_sizes_and_formulas() -> None:
    assert kind_of("frame: {until: '0D0A'}\n").size == StopBytes((b"\r\n",))
    assert kind_of("frame: {size: 24}\n").size == FixedSize(24)
    computed = kind_of("frame: {size: 4 + n * u8(3), header: [{name: k, type: u8}, {name: n, type: u8}]}\n").size
    assert isinstance(computed, ComputedSize)
    assert computed.size(b"\1\2") is None
    assert computed.size(b"\1\2\0\7") == 18


def test_several_kinds_keep_their_order() -> None:
    product = product_of("frames: {a: {begins: '00 0F-14'}, b: {start: '00000000'}}\n")

    assert [kind.name for kind in product.framing.kinds] == ["a", "b"]


def test_byte_patterns() -> None:
    assert byte_pattern("78 00-02 17|69 ??") == (
        frozenset({0x78}),
        frozenset({0, 1, 2}),
        frozenset({0x17, 0x69}),
        None,
    )


@pytest.mark.parametrize("text", ["", "787", "xx", "05-01", "00 " * 17])
def test_wrong_byte_patterns(text: str) -> None:
    with pytest.raises(ValueError, match=r"pattern|fits no byte"):
        byte_pattern(text)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ("frame: {size: 4 + nobody}\n", "has no fixed place in the header"),
        ("frame: {size: '4 +'}\n", "is no formula"),
        ("frame: {begins: 'zz'}\n", "no byte pattern"),
        ("frame: {escape: {mark: 1, table: {1: 1}}}\n", "needs a mark at the end"),
        ("frame: {trailer: [{name: t, type: text, bytes: rest}]}\n", "fixed size"),
        ("frame: {header: [{name: check, crc: xor8}]}\n", "say what the check value covers"),
        ("frame: {}\nframes: {a: {}}\n", "not both"),
    ],
)
def test_mistakes(frame: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        product_of(frame)
