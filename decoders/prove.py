"""Proof that the generated codec of a product agrees with construct.

Both decode every golden frame, every proper prefix of it, one byte more, and some hundred changed bodies whose
lengths and check values are mended again, so that the change reaches the fields. They must give the same values, or
both refuse. (What is wrong with a refused frame is always said by the reference codec.) Replies are compared too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from decoders.encode import seal
from decoders.errors import DecodeError, EncodeError
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.fused.refusal import Refused
from decoders.golden import GoldenCase, same
from decoders.product import CompiledProduct, KindCodec
from decoders.replies import MessageReply
from decoders.types import SessionContext

CHANGES_PER_FRAME = 40
MAX_CHANGES = 600


@dataclass(slots=True)
class Proof:
    """What was tried for one kind of frame. `disagreement` "" means: the fused codec may be used."""

    kind: str
    frames: int = 0
    inputs: int = 0
    disagreement: str = ""


@dataclass(slots=True)
class ProductProof:
    product: str
    kinds: list[Proof] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not any(proof.disagreement for proof in self.kinds)


def prove(product: CompiledProduct, cases: Iterable[GoldenCase]) -> ProductProof:
    """Compares the codecs and sets `use_fused` on every kind where they agree on at least one golden frame."""
    report = ProductProof(product.id)
    by_kind: dict[int, list[tuple[bytes, SessionContext]]] = {}
    for case in cases:
        try:
            frame = cut(product.framing, case.wire)
            data = frame.wire if frame.kind.escape is None else unescape(frame.kind.escape, frame.wire)
        except DecodeError:
            continue
        by_kind.setdefault(frame.kind.index, []).append((data, case.context()))
    for kind in product.kinds:
        if kind.fused is None or kind.reference is None:
            continue
        proof = Proof(kind.kind.name)
        report.kinds.append(proof)
        frames = by_kind.get(kind.kind.index, [])
        _prove_kind(product, kind, frames, proof)
        if not frames:
            proof.disagreement = "no golden frame of this kind"
        kind.use_fused = not proof.disagreement
    _drop_unproven_replies(product)
    return report


def _drop_unproven_replies(product: CompiledProduct) -> None:
    """Replies that no golden frame asked for stay with construct."""
    for plans in product.reply_plans.values():
        for plan in plans:
            if isinstance(plan.render, MessageReply) and not plan.render.compared:
                plan.render.fused = None


def trust(product: CompiledProduct, agreed: Iterable[str]) -> None:
    """Uses the fused codec of the kinds whose proof is remembered."""
    names = set(agreed)
    for kind in product.kinds:
        kind.use_fused = kind.fused is not None and kind.kind.name in names


def _prove_kind(
    product: CompiledProduct, kind: KindCodec, frames: list[tuple[bytes, SessionContext]], proof: Proof
) -> None:
    changes = 0
    for index, (data, context) in enumerate(frames):
        proof.frames += 1
        inputs = [data, *(data[:size] for size in range(len(data))), data + b"\0"]
        inputs += [bytes(changed) for changed in _resealed(kind, inputs[1:])]
        if changes < MAX_CHANGES:
            made = list(_changed(kind, data, index))
            changes += len(made)
            inputs += made
        for candidate in inputs:
            proof.inputs += 1
            proof.disagreement = _compare(product, kind, candidate, context)
            if proof.disagreement:
                return


def _compare(product: CompiledProduct, kind: KindCodec, data: bytes, context: SessionContext) -> str:
    assert kind.fused is not None
    assert kind.reference is not None
    zone_s = product.zone_s if context.zone_s is None else context.zone_s
    truth: tuple[str, dict[str, Any]] | None
    try:
        truth = kind.reference.decode(data, context, zone_s)
        why = ""
    except DecodeError as error:
        truth, why = None, str(error)
    try:
        fused: tuple[str, dict[str, Any]] | None = kind.fused.decode(data, context, zone_s)
    except (Refused, DecodeError):
        fused = None
    except Exception as error:  # a bug of the generator: the kind stays with construct
        return f"{data.hex()}: fused raised {error!r}"
    if truth is None or fused is None:
        if truth is not None:
            return f"{data.hex()}: construct reads {truth[0]}, fused refuses"
        return f"{data.hex()}: construct says {why}, fused reads {fused[0]}" if fused is not None else ""
    if truth[0] != fused[0] or not _equal(truth[1], fused[1]):
        return f"{data.hex()}: construct {truth}, fused {fused}"
    return _compare_replies(product, truth[0], truth[1])


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and same(one, other, 0.0)


def _compare_replies(product: CompiledProduct, message: str, values: dict[str, Any]) -> str:
    """A reply that the generated encoder and construct build differently goes back to construct."""
    known = {**values, "now": 1_750_000_000_000, "device_id": "123456789012", "received": 1_750_000_000_000}
    for plan in product.reply_plans.get(message, ()):
        render = plan.render
        if not isinstance(render, MessageReply) or render.fused is None:
            continue
        try:
            truth: bytes | None = render.reference(known)
        except (EncodeError, KeyError):
            truth = None
        if truth is None:
            continue
        render.compared = True
        if render(known) != truth:
            render.fused = None
    return ""


def _resealed(kind: KindCodec, inputs: Iterable[bytes]) -> Iterator[bytearray]:
    """The same bytes with lengths and check values mended, where the frame is long enough to have them."""
    for data in inputs:
        if len(data) < kind.layout.least:
            continue
        mended = bytearray(data)
        try:
            seal(kind.layout, mended)
        except (EncodeError, OverflowError):
            continue
        yield mended


def _changed(kind: KindCodec, data: bytes, seed: int) -> Iterator[bytes]:
    """Changed frames from a small fixed generator: single bytes, bit flips, extremes, cut and doubled pieces."""
    state = (seed * 2654435761 + 97) & 0xFFFFFFFF
    for step in range(CHANGES_PER_FRAME):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        at = (state >> 8) % len(data)
        changed = bytearray(data)
        match step % 5:
            case 0:
                changed[at] = state >> 24
            case 1:
                changed[at] ^= 1 << (state >> 28 & 7)
            case 2:
                changed[at] = 0xFF if state >> 31 else 0
            case 3:
                del changed[at : at + 1 + (state >> 24 & 3)]
            case _:
                changed[at:at] = data[at : at + 1 + (state >> 24 & 7)]
        yield bytes(changed)
        yield from (bytes(mended) for mended in _resealed(kind, [bytes(changed)]))
