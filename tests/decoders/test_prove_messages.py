"""Messages are proven one by one: what is wrong with one of them costs the others nothing."""

from __future__ import annotations

from typing import Any

import pytest

from decoders.compile import compile_spec
from decoders.framing.framer import cut
from decoders.fused import select
from decoders.fused.refusal import Refused, Unsupported
from decoders.product import CompiledProduct
from decoders.prove import NO_FRAME, NONE_READ, Proof, prove
from decoders.proven import ProductProven, apply_proof, codec_report, message_report, prove_product
from decoders.spec.codec_text import generated_text
from decoders.spec.model import SpecFile
from decoders.spec.show import layout_rows
from decoders.spec.source import load, validate
from decoders.types import SessionContext
from tests.decoders.sensor import STATUS, loaded
from tests.decoders.specs import golden

DEEP = "{name: x, type: u8}"
for _level in range(20):
    DEEP = f"{{group: g{_level}, fields: [{DEEP}]}}"
SPEC = f"""
product: sample
frame: {{header: [{{name: type, type: TYPE}}]}}
messages:
  one: {{when: {{type: 1}}, fields: [{{name: a, type: u8}}]}}
  deep: {{when: {{type: 2}}, fields: [{DEEP}]}}
  two: {{when: {{type: [3, 0x77]}}, fields: [{{name: b, type: u16}}]}}
  sent: {{downlink: true, when: {{type: 4}}, fields: [{DEEP}]}}
"""
FRAMES = ["0105", "0205", "030506"]


def made(text: str = SPEC, type_: str = "u8") -> CompiledProduct:
    document = load(text.replace("TYPE", type_), "spec.yaml")
    return compile_spec(validate(SpecFile, document), document)


def proof_of(compiled: CompiledProduct, frames: list[str] | None = None) -> Proof:
    (proof,) = prove(compiled, [golden(text) for text in (FRAMES if frames is None else frames)]).kinds
    return proof


def test_a_message_that_cannot_be_generated_is_read_by_construct() -> None:
    compiled = made()
    fused = compiled.kinds[0].fused
    assert fused is not None
    assert fused.messages == ("one", "deep", "two")
    assert list(fused.others) == ["deep"]
    with pytest.raises(Refused):
        fused.decode(b"\2\5", SessionContext(), 0)
    proof = proof_of(compiled)
    assert (proof.disagreement, proof.differing, proof.proven) == ("", {}, {"one", "two"})
    assert "nest deeper" in proof.others["deep"]
    assert compiled.kinds[0].use_fused
    assert compiled.decode(cut(compiled.framing, b"\1\5"), SessionContext()).values == {"type": 1, "a": 5}
    assert "`deep` is read by construct: " in generated_text(compiled)
    assert any("read by construct" in row.note for row in layout_rows(compiled) if row.message == "deep")


def test_a_kind_without_any_such_message_has_no_fused_codec() -> None:
    compiled = made(f"product: sample\nmessages: {{deep: {{fields: [{DEEP}]}}}}")
    assert compiled.kinds[0].fused is None
    assert "nest deeper" in compiled.kinds[0].why_not_fused


def test_behind_a_when_that_cannot_be_generated_construct_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = select._Places.source

    def source(places: Any, name: str) -> str:
        if name == "sign":
            raise Unsupported("what cannot be generated")
        return sound(places, name)

    monkeypatch.setattr(select._Places, "source", source)
    compiled = made(
        """
product: sample
frame: {header: [{name: type, type: u8}, {name: sign, type: i8}]}
messages:
  one: {when: {type: 1}, fields: [{name: a, type: u8}]}
  first: {when: {sign: -1}, fields: [{name: b, type: u8}]}
  other: {fields: [{name: c, type: u8}]}
"""
    )
    fused = compiled.kinds[0].fused
    assert fused is not None
    assert fused.others == dict.fromkeys(["first", "other"], "what cannot be generated")
    proof = proof_of(compiled, ["01ff05", "02ff05", "020106"])
    assert not proof.disagreement
    assert proof.proven == {"one"}


@pytest.mark.parametrize("type_", ["u8", "u32"])
def test_a_message_that_is_read_differently_is_left_out(type_: str) -> None:
    compiled = made(type_=type_)
    frames = FRAMES if type_ == "u8" else ["000000" + text for text in FRAMES]
    fused = compiled.kinds[0].fused
    assert fused is not None
    table: Any = fused.namespace["MESSAGES"]
    wrong = {"type": 3, "b": 0}
    spoilt = fused.namespace["message_2"]

    def changed(*_arguments: object) -> tuple[str, dict[str, Any]]:
        return "two", wrong

    fused.namespace["message_2"] = changed
    if isinstance(table, dict):
        table.update({key: changed for key, function in table.items() if function is spoilt})
    else:  # the generated entry reads the global
        fused.namespace["MESSAGES"] = tuple(changed if function is spoilt else function for function in table)
    proof = proof_of(compiled, frames)
    assert not proof.disagreement
    assert list(proof.differing) == ["two"]
    assert "two" in proof.differing["two"]
    assert proof.proven == {"one"}
    assert compiled.kinds[0].use_fused
    decoded = compiled.decode(cut(compiled.framing, bytes.fromhex(frames[2])), SessionContext())
    assert decoded.values["b"] == 0x0506
    for text in frames:
        if text != frames[0]:
            with pytest.raises(Refused):
                fused.decode(bytes.fromhex(text), SessionContext(), 0)


def test_a_message_that_no_golden_frame_is_stays_with_construct() -> None:
    compiled = made()
    proof = proof_of(compiled, ["030506"])
    assert proof.proven == {"two"}
    assert proof.others["one"] == NO_FRAME
    assert not proof.differing


def test_golden_frames_that_cannot_be_read_are_not_said_to_be_missing() -> None:
    wrong = golden("030506", message="one")
    assert prove(made(), [wrong]).kinds[0].others["one"] == NONE_READ
    meant_to_fail = golden("01", message="one", error="truncated")
    frames = [golden("030506"), meant_to_fail]
    assert prove(made(), frames[:1]).kinds[0].others["one"] == NO_FRAME
    assert "one" not in prove(made(), frames).kinds[0].differing


def test_frames_of_other_variants_prove_messages_that_have_none() -> None:
    product = loaded()
    proven = prove_product(product)
    assert list(proven.forms[""].agreed) == ["frame"]
    assert proven.forms["coarse"].agreed == {"frame": {}}
    coarse = product.product.variants["coarse"]
    assert coarse.decode(cut(coarse.framing, STATUS), SessionContext()).message.name == "status"


def test_a_remembered_proof_leaves_out_the_same_messages() -> None:
    golden_text = f'source: made\ncases:\n  - {{name: status, hex: "{STATUS.hex()}", message: status}}\n'
    first, again = loaded(golden=golden_text), loaded(golden=golden_text)
    proven = prove_product(first)
    assert proven.forms[""].agreed == {"frame": {"login": NO_FRAME}}
    assert not list(proven.disagreements)
    remembered = ProductProven.from_plain(proven.to_plain())
    apply_proof(again, remembered)
    (line, _) = codec_report(again, remembered)
    assert (line.codec, line.fused, line.messages, line.others) == (
        "fused",
        1,
        ("login", "status"),
        {"login": NO_FRAME},
    )
    assert line.to_plain()["fused"] == 1
    assert message_report(codec_report(again, remembered)) == {"login": NO_FRAME, "status": ""}


def test_the_report_of_messages_takes_the_best_of_all_kinds() -> None:
    compiled = made()
    assert message_report([]) == {}
    proof_of(compiled)
    product = loaded()
    product.product.kinds = compiled.kinds
    product.product.variants.clear()
    report = message_report(codec_report(product, None))
    assert (report["one"], report["two"]) == ("", "")
    assert "nest deeper" in report["deep"]
    compiled.kinds[0].use_fused = False
    assert message_report(codec_report(product, None))["one"] == "not proven yet"
