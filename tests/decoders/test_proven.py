from __future__ import annotations

import pytest

from decoders.proven import ProductProven, apply_proof, codec_report, proof_key, prove_product
from decoders.replies import MessageReply
from tests.decoders.sensor import GOLDEN, loaded


def test_a_proof_lets_the_fused_codecs_be_used() -> None:
    made = loaded()
    assert not any(kind.use_fused for form in made.forms().values() for kind in form.kinds)
    proven = prove_product(made)
    assert not list(proven.disagreements)
    assert all(kind.use_fused for form in made.forms().values() for kind in form.kinds)
    assert proven.forms[""].inputs > 300
    assert [(line.variant, line.codec) for line in codec_report(made, proven)] == [("", "fused"), ("coarse", "fused")]


def test_a_remembered_proof_does_the_same_without_comparing() -> None:
    remembered = ProductProven.from_plain(prove_product(loaded()).to_plain())
    made = loaded()
    apply_proof(made, remembered)
    assert all(kind.use_fused for form in made.forms().values() for kind in form.kinds)


def test_a_codec_that_differs_is_not_used() -> None:
    made = loaded()
    (kind,) = made.product.kinds
    assert kind.fused is not None
    sound = kind.fused.decode
    kind.fused.decode = lambda data, context, zone_s: ("status", {**sound(data, context, zone_s)[1], "mode": 0})
    proven = prove_product(made)
    ((variant, name, text),) = proven.disagreements
    assert (variant, name) == ("", "frame")
    assert "construct" in text
    assert not kind.use_fused
    (line, _) = codec_report(made, proven)
    assert (line.codec, line.why) == ("construct", text)

    again = loaded()
    apply_proof(again, ProductProven.from_plain(proven.to_plain()))
    assert not again.product.kinds[0].use_fused
    assert again.product.variants["coarse"].kinds[0].use_fused


def test_a_reply_that_construct_must_build_stays_so() -> None:
    made = loaded()
    plan = made.product.reply_plans["status"][0]
    assert isinstance(plan.render, MessageReply)
    assert plan.render.fused is not None
    plan.render.fused = lambda values: b"\0"
    proven = prove_product(made)
    assert plan.render.fused is None
    assert proven.forms[""].slow_replies == ["status/0"]

    again = loaded()
    apply_proof(again, ProductProven.from_plain(proven.to_plain()))
    render = again.product.reply_plans["status"][0].render
    assert isinstance(render, MessageReply)
    assert render.fused is None
    other = again.product.reply_plans["login"][0].render
    assert isinstance(other, MessageReply)
    assert other.fused is not None


def test_without_golden_frames_nothing_is_proven_and_nothing_disagrees() -> None:
    made = loaded(golden="source: none\ncases: []\n")
    proven = prove_product(made)
    assert not list(proven.disagreements)
    assert codec_report(made, proven)[0].why == "no golden frame of this kind"
    assert codec_report(made, None)[0].why == "not proven yet"


@pytest.mark.parametrize("plain", [None, [], {"": 1}, {"": {"agreed": []}}, {"": {"agreed": 1}}, "x"])
def test_what_is_no_proof_is_refused(plain: object) -> None:
    with pytest.raises(ValueError, match="not a proof"):
        ProductProven.from_plain(plain)


def test_the_key_holds_for_texts_and_code() -> None:
    assert len({proof_key("a", "b"), proof_key("a", "c"), proof_key("b", "b"), proof_key("b", "a")}) == 4
    assert loaded().digest != loaded(golden=GOLDEN + "\n").digest
