"""Proof that the generated codec of a product agrees with construct.

Both decode every golden frame, every proper prefix of it, one byte more, and some hundred changed bodies whose
lengths and check values are mended again, so that the change reaches the fields. They must give the same values, or
both refuse. (What is wrong with a refused frame is always said by the reference codec.) Replies are compared too.

What is proven is proven message by message: one that the codecs read differently, or that no golden frame (or change
of one) is, is left to the reference codec, and the others of its kind of frame are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from decoders.encode import seal
from decoders.errors import DecodeError, EncodeError
from decoders.faults import FAULTS
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.fused.refusal import Refused
from decoders.golden import GoldenCase, same
from decoders.product import CompiledProduct, KindCodec
from decoders.replies import MessageReply
from decoders.types import SessionContext

CHANGES_PER_FRAME = 40
MAX_CHANGES = 600
MIN_CHANGES = 100
"""Changed frames of one kind of frame; and of each message, however many there are of the others."""
ARRIVAL_MS = 1_750_000_000_000
"""When every second input arrived, where the golden frame does not say it: clocks may ask."""
NO_FRAME = "no golden frame of this message"
NO_FRAME_OF_KIND = "no golden frame of this kind"
NONE_READ = "its golden frames cannot be read (see the cases that fail)"
UNTRIED = frozenset({NO_FRAME, NO_FRAME_OF_KIND, NONE_READ})
"""Why a message or kind was not tried, beside differences between the codecs."""


@dataclass(slots=True)
class Proof:
    """What was tried for one kind of frame. `disagreement` "" means: the fused codec may be used.

    proven: messages that both codecs read alike. others: message -> why the reference codec reads it;
    differing: those of them that the codecs read differently.
    """

    kind: str
    frames: int = 0
    inputs: int = 0
    disagreement: str = ""
    proven: set[str] = field(default_factory=set)
    others: dict[str, str] = field(default_factory=dict)
    differing: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ProductProof:
    product: str
    kinds: list[Proof] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not any(proof.disagreement or proof.differing for proof in self.kinds)


def prove(product: CompiledProduct, cases: Iterable[GoldenCase], more: Iterable[GoldenCase] = ()) -> ProductProof:
    """Compares the codecs and sets `use_fused` on every kind where they agree on at least one message.

    more: frames of the product's other variants, for messages that none of `cases` is.
    """
    report = ProductProof(product.id)
    cases = list(cases)
    meant = {case.message for case in cases if case.error is None}
    by_kind, more_by_kind = _frames(product, cases), _frames(product, more)
    for kind in product.kinds:
        if kind.fused is None or kind.reference is None:
            continue
        proof = Proof(kind.kind.name)
        report.kinds.append(proof)
        frames = by_kind.get(kind.kind.index, [])
        _prove_kind(product, kind, frames, proof)
        for data, context in more_by_kind.get(kind.kind.index, ()):
            name = _name_of(product, kind, data, context)
            if name and name not in proof.proven and name not in kind.fused.others and not proof.disagreement:
                _prove_kind(product, kind, [(data, context)], proof)
        unseen = [name for name in kind.fused.messages if name not in proof.proven]
        kind.fused.leave_out({name: NONE_READ if name in meant else NO_FRAME for name in unseen})
        proof.others = dict(kind.fused.others)
        if not proof.frames:
            proof.disagreement = NO_FRAME_OF_KIND if meant.isdisjoint(kind.fused.messages) else NONE_READ
        elif not proof.disagreement and not proof.proven:
            proof.disagreement = next(iter((proof.differing or proof.others).values()))
        kind.use_fused = not proof.disagreement
    _drop_unproven_replies(product)
    return report


def _frames(product: CompiledProduct, cases: Iterable[GoldenCase]) -> dict[int, list[tuple[bytes, SessionContext]]]:
    """Frames without byte stuffing, by the index of their kind."""
    by_kind: dict[int, list[tuple[bytes, SessionContext]]] = {}
    for case in cases:
        try:
            frame = cut(product.framing, case.wire)
            data = frame.wire if frame.kind.escape is None else unescape(frame.kind.escape, frame.wire)
        except DecodeError:
            continue
        by_kind.setdefault(frame.kind.index, []).append((data, case.context()))
    return by_kind


def _name_of(product: CompiledProduct, kind: KindCodec, data: bytes, context: SessionContext) -> str:
    """The message that the reference codec reads; "" for a frame that it refuses."""
    assert kind.reference is not None
    try:
        return kind.reference.decode(data, context, product.zone_s if context.zone_s is None else context.zone_s)[0]
    except DecodeError:
        return ""


def _drop_unproven_replies(product: CompiledProduct) -> None:
    """Replies that no golden frame asked for stay with construct."""
    for plans in product.reply_plans.values():
        for plan in plans:
            if isinstance(plan.render, MessageReply) and not plan.render.compared:
                plan.render.fused = None


def trust(product: CompiledProduct, agreed: Mapping[str, Mapping[str, str]]) -> None:
    """Uses the fused codec of the kinds whose proof is remembered. agreed: kind -> messages that the reference codec
    reads all the same, and why."""
    for kind in product.kinds:
        others = agreed.get(kind.kind.name)
        if others is None:
            kind.use_fused = False
        else:
            kind.trust(others)


def _prove_kind(
    product: CompiledProduct, kind: KindCodec, frames: list[tuple[bytes, SessionContext]], proof: Proof
) -> None:
    changes = 0
    by_message: dict[str, int] = {}
    for index, (data, context) in enumerate(frames):
        proof.frames += 1
        name = _name_of(product, kind, data, context)
        inputs = [data, *(data[:size] for size in range(len(data))), data + b"\0"]
        inputs += [bytes(changed) for changed in _resealed(kind, inputs[1:], name)]
        if changes < MAX_CHANGES or by_message.get(name, 0) < MIN_CHANGES:
            made = list(_changed(kind, data, index, name))
            changes += len(made)
            by_message[name] = by_message.get(name, 0) + len(made)
            inputs += made
        dated = context if context.received_ms else replace(context, received_ms=ARRIVAL_MS)
        for number, candidate in enumerate(inputs):
            proof.inputs += 1
            while found := _compare(product, kind, candidate, dated if number % 2 else context, proof):
                message, difference = found
                if not _blame(kind, message, difference, proof):
                    proof.disagreement = difference
                    return


def _blame(kind: KindCodec, message: str, difference: str, proof: Proof) -> bool:
    """Leaves the message to the reference codec; False when that cannot mend the difference."""
    assert kind.fused is not None
    if message not in kind.fused.messages or message in kind.fused.others:
        return False
    proof.proven.discard(message)
    proof.differing[message] = difference
    kind.fused.leave_out({message: difference})
    return True


def _compare(
    product: CompiledProduct, kind: KindCodec, data: bytes, context: SessionContext, proof: Proof
) -> tuple[str, str] | None:
    """The message that is read differently, and how; None when all is well."""
    assert kind.fused is not None
    assert kind.reference is not None
    zone_s = product.zone_s if context.zone_s is None else context.zone_s
    truth: tuple[str, dict[str, Any]] | None
    try:
        truth = kind.reference.decode(data, context, zone_s)
        why, name = "", truth[0]
        _compare_replies(product, name, truth[1])
    except DecodeError as error:
        truth, why, name = None, str(error), error.message
    try:
        fused: tuple[str, dict[str, Any]] | None = kind.fused.decode(data, context, zone_s)
    except (Refused, DecodeError):
        fused = None
    except Exception as error:  # a bug of the generator: the message stays with construct
        return name, f"{data.hex()}: fused raised {error!r}"
    if fused is None:
        if truth is None or name in kind.fused.others or FAULTS in truth[1]:  # which it may leave to construct
            return None
        return name, f"{data.hex()}: construct reads {name}, fused refuses"
    if truth is None:
        return fused[0], f"{data.hex()}: construct says {why}, fused reads {fused[0]}"
    if name != fused[0] or not _equal(truth[1], fused[1]):
        return fused[0], f"{data.hex()}: construct {truth}, fused {fused}"
    proof.proven.add(name)
    return None


def _equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and same(one, other, 0.0)


def _compare_replies(product: CompiledProduct, message: str, values: dict[str, Any]) -> None:
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


def _resealed(kind: KindCodec, inputs: Iterable[bytes], message: str) -> Iterator[bytearray]:
    """The same bytes with lengths and check values mended, those of the message's own rows too, where the frame is
    long enough to have them."""
    for data in inputs:
        if len(data) < kind.layout.least:
            continue
        mended = bytearray(data)
        try:
            seal(kind.layout, mended, message=message)
        except (EncodeError, OverflowError):
            continue
        yield mended


def _changed(kind: KindCodec, data: bytes, seed: int, message: str) -> Iterator[bytes]:
    """Changed frames from a small fixed generator: single bytes, bit flips, extremes, cut and doubled pieces. Nothing
    changes in an empty one."""
    if not data:
        return
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
        yield from (bytes(mended) for mended in _resealed(kind, [bytes(changed)], message))
