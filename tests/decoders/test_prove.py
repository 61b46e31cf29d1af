"""The proof finds codecs that differ in a value, in what they refuse, or in a reply: only sound ones are used."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from decoders.compile import compile_spec
from decoders.framing.framer import cut
from decoders.fused.refusal import Refused
from decoders.product import CompiledProduct
from decoders.prove import ProductProof, prove, trust
from decoders.replies import MessageReply
from decoders.spec.model import SpecFile
from decoders.spec.source import load, validate
from decoders.types import SessionContext
from tests.decoders.specs import golden

SPEC = """
product: sample
frames:
  short:
    header: [{name: start, const: "A5"}, {name: size, type: u8, counts: type..check}, {name: type, type: u8}]
    trailer: [{name: serial, type: u8}, {name: check, crc: crc16_x25, over: size..serial}]
  line: {begins: "24", until: "0A", header: [{name: dollar, const: "24"}]}
messages:
  one: {when: {type: 1}, fields: [{name: a, type: u8}, {name: b, type: u16, if: a > 3}], replies: [ack]}
  text: {frame: line, fields: [{name: words, type: text, bytes: rest}]}
  ack: {downlink: true, when: {type: 6}}
"""
Decode = Callable[[bytes, SessionContext, Any], tuple[str, dict[str, Any]]]


@pytest.fixture
def compiled() -> CompiledProduct:
    """One's own: the proof changes it."""
    document = load(SPEC, "spec.yaml")
    return compile_spec(validate(SpecFile, document), document)


def frames(compiled: CompiledProduct) -> list[str]:
    encoder = compiled.encoders[(0, "one")]
    given: list[dict[str, int]] = [{"a": 5, "b": 258, "serial": 9}, {"a": 3, "serial": 9}]
    return [encoder.encode(values, raw={"type": 1}).hex() for values in given] + ["2468690a"]


def proof_of(compiled: CompiledProduct, hex_frames: list[str] | None = None) -> ProductProof:
    return prove(compiled, [golden(text) for text in (frames(compiled) if hex_frames is None else hex_frames)])


def spoil(
    compiled: CompiledProduct, change: Callable[[Decode, bytes, SessionContext, Any], tuple[str, dict[str, Any]]]
) -> None:
    codec = compiled.kinds[0].fused
    assert codec is not None
    sound = codec.decode
    codec.decode = lambda data, context, zone_s: change(sound, data, context, zone_s)


def test_codecs_that_agree_are_used(compiled: CompiledProduct) -> None:
    assert [kind.use_fused for kind in compiled.kinds] == [False, False]
    proof = proof_of(compiled)
    assert proof.holds
    assert proof.product == "sample"
    assert [(kind.kind, kind.frames, kind.disagreement) for kind in proof.kinds] == [("short", 2, ""), ("line", 1, "")]
    assert proof.kinds[0].inputs > 150
    assert [kind.use_fused for kind in compiled.kinds] == [True, True]


def test_a_kind_without_a_golden_frame_stays_with_construct(compiled: CompiledProduct) -> None:
    proof = proof_of(compiled, ["2468690a"])
    assert not proof.holds
    assert proof.kinds[0].disagreement == "no golden frame of this kind"
    assert [kind.use_fused for kind in compiled.kinds] == [False, True]


def test_frames_that_cannot_be_cut_prove_nothing(compiled: CompiledProduct) -> None:
    assert proof_of(compiled, ["ff", frames(compiled)[0][:-2], "2468690a"]).kinds[0].frames == 0


def off_by_one(decode: Decode, data: bytes, context: SessionContext, zone_s: int) -> tuple[str, dict[str, Any]]:
    name, values = decode(data, context, zone_s)
    return name, {**values, "a": values["a"] + 1}


def other_type(decode: Decode, data: bytes, context: SessionContext, zone_s: int) -> tuple[str, dict[str, Any]]:
    name, values = decode(data, context, zone_s)
    return name, {**values, "a": bool(values["a"])}


def one_less(decode: Decode, data: bytes, context: SessionContext, zone_s: int) -> tuple[str, dict[str, Any]]:
    name, values = decode(data, context, zone_s)
    return name, {key: value for key, value in values.items() if key != "b"}


def one_more(decode: Decode, data: bytes, context: SessionContext, zone_s: int) -> tuple[str, dict[str, Any]]:
    name, values = decode(data, context, zone_s)
    return name, {**values, "extra": None}


def other_message(decode: Decode, data: bytes, context: SessionContext, zone_s: int) -> tuple[str, dict[str, Any]]:
    return "text", decode(data, context, zone_s)[1]


def refuses_all(_decode: Decode, _data: bytes, _context: SessionContext, _zone_s: int) -> tuple[str, dict[str, Any]]:
    raise Refused


def reads_what_is_broken(
    decode: Decode, data: bytes, context: SessionContext, zone_s: int
) -> tuple[str, dict[str, Any]]:
    try:
        return decode(data, context, zone_s)
    except Refused:
        return "one", {}


def stumbles(_decode: Decode, _data: bytes, _context: SessionContext, _zone_s: int) -> tuple[str, dict[str, Any]]:
    raise KeyError("v_3")


def wrong_for_one_value(
    decode: Decode, data: bytes, context: SessionContext, zone_s: int
) -> tuple[str, dict[str, Any]]:
    """Right on both golden frames; wrong for a value that only changed frames have."""
    name, values = decode(data, context, zone_s)
    return name, {**values, "b": 0} if values.get("a") == 255 else values


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (off_by_one, "fused ('one', {'type': 1, 'a': 6"),
        (other_type, "'a': True"),
        (one_less, "fused"),
        (one_more, "'extra': None"),
        (other_message, "fused ('text'"),
        (refuses_all, "construct reads one, fused refuses"),
        (reads_what_is_broken, "construct says "),
        (stumbles, "fused raised KeyError('v_3')"),
        (wrong_for_one_value, "'a': 255"),
    ],
)
def test_a_wrong_codec_is_found_and_not_used(compiled: CompiledProduct, change: Any, words: str) -> None:
    texts = frames(compiled)
    spoil(compiled, change)
    proof = proof_of(compiled, texts)
    assert not proof.holds
    assert words in proof.kinds[0].disagreement
    assert bytes.fromhex(proof.kinds[0].disagreement.split(":")[0]) or change is reads_what_is_broken
    assert [kind.use_fused for kind in compiled.kinds] == [False, True]


def test_decoding_stays_right_even_when_a_trusted_codec_stumbles(compiled: CompiledProduct) -> None:
    wire = bytes.fromhex(frames(compiled)[0])
    spoil(compiled, stumbles)
    trust(compiled, {"short": {}})
    assert compiled.kinds[0].use_fused
    decoded = compiled.decode(cut(compiled.framing, wire), SessionContext())
    assert decoded.values["b"] == 258


def test_a_remembered_proof_names_its_kinds(compiled: CompiledProduct) -> None:
    trust(compiled, {"line": {}, "unknown": {}})
    assert [kind.use_fused for kind in compiled.kinds] == [False, True]
    trust(compiled, {})
    assert [kind.use_fused for kind in compiled.kinds] == [False, False]


def test_a_reply_that_differs_goes_back_to_construct(compiled: CompiledProduct) -> None:
    reply = compiled.reply_plans["one"][0].render
    assert isinstance(reply, MessageReply)
    assert reply.fused is not None
    reply.fused = lambda _values: b"\xa5 wrong"
    assert proof_of(compiled).holds
    assert reply.fused is None
    [sent] = compiled.replies("one", {"serial": 9}, SessionContext(), 0)
    assert sent.startswith(b"\xa5\x04\x06\x09")


def test_a_reply_that_agrees_stays(compiled: CompiledProduct) -> None:
    proof_of(compiled)
    reply = compiled.reply_plans["one"][0].render
    assert isinstance(reply, MessageReply)
    assert reply.fused is not None
