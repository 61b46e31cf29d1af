"""What the proof of a product said, in a form that can be remembered: so that it is made once for one spec and code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.product import CompiledProduct, KindCodec
from decoders.prove import NO_FRAME, UNTRIED, ProductProof, prove, trust
from decoders.replies import MessageReply

__all__ = ["FormProof", "ProductProven", "apply_proof", "codec_report", "message_report", "proof_key", "prove_product"]


@dataclass(slots=True)
class FormProof:
    """One product or variant.

    agreed: frame kinds whose fused codec is used, each with the messages that construct reads all the same, and why.
    disagreements: kind, or `kind/message` -> the first difference; a kind without golden frames is among them.
    slow_replies: `message/index` of replies that construct builds. inputs: how many inputs were compared.
    """

    agreed: dict[str, dict[str, str]] = field(default_factory=dict)
    disagreements: dict[str, str] = field(default_factory=dict)
    slow_replies: list[str] = field(default_factory=list)
    inputs: int = 0


@dataclass(slots=True)
class ProductProven:
    """The proofs of a product ("") and its variants."""

    forms: dict[str, FormProof] = field(default_factory=dict)

    @property
    def disagreements(self) -> Iterator[tuple[str, str, str]]:
        """(variant, frame kind or `kind/message`, first difference) of codecs that differ; kinds and messages without
        golden frames are left out."""
        for variant, form in self.forms.items():
            for kind, text in form.disagreements.items():
                if text not in UNTRIED:
                    yield variant, kind, text

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return {
            name: {
                "agreed": form.agreed,
                "disagreements": form.disagreements,
                "slow_replies": form.slow_replies,
                "inputs": form.inputs,
            }
            for name, form in self.forms.items()
        }

    @classmethod
    def from_plain(cls, plain: Any) -> ProductProven:
        """Raises ValueError for anything that `to_plain` did not write."""
        if not isinstance(plain, Mapping):
            raise ValueError("not a proof")
        try:
            forms = {
                str(name): FormProof(
                    {
                        str(kind): {str(message): str(why) for message, why in others.items()}
                        for kind, others in form["agreed"].items()
                    },
                    {str(kind): str(text) for kind, text in form["disagreements"].items()},
                    [str(reply) for reply in form["slow_replies"]],
                    int(form["inputs"]),
                )
                for name, form in plain.items()
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a proof: {error!r}") from None
        return cls(forms)


def proof_key(digest: str, code_digest: str) -> str:
    """Name of a proof: it holds for these texts (`LoadedProduct.digest`) and this code of the decoders only."""
    return hashlib.sha256(f"{digest} {code_digest}".encode()).hexdigest()


def prove_product(loaded: LoadedProduct) -> ProductProven:
    """Compares the codecs of a product and of its variants, and uses the fused ones where they agree."""
    proven = ProductProven()
    for name, form in loaded.forms().items():
        others = [case for other in loaded.forms() if other != name for case in loaded.cases(other)]
        report = prove(form, loaded.cases(name), others)
        proven.forms[name] = FormProof(
            agreed={proof.kind: proof.others for proof in report.kinds if not proof.disagreement},
            disagreements=_disagreements(report),
            slow_replies=[key for key, reply in _replies(form) if reply.fused is None],
            inputs=sum(proof.inputs for proof in report.kinds),
        )
    return proven


def _disagreements(report: ProductProof) -> dict[str, str]:
    found: dict[str, str] = {}
    for proof in report.kinds:
        if proof.disagreement:
            found[proof.kind] = proof.disagreement
        for message, text in proof.differing.items():
            if text != proof.disagreement:
                found[f"{proof.kind}/{message}"] = text
    return found


def apply_proof(loaded: LoadedProduct, proven: ProductProven) -> None:
    """Uses the fused codecs that a remembered proof allows."""
    for name, form in loaded.forms().items():
        known = proven.forms.get(name, FormProof())
        trust(form, known.agreed)
        for key, reply in _replies(form):
            if key in known.slow_replies:
                reply.fused = None


def _replies(product: CompiledProduct) -> Iterator[tuple[str, MessageReply]]:
    for message, plans in product.reply_plans.items():
        for index, plan in enumerate(plans):
            if isinstance(plan.render, MessageReply):
                yield f"{message}/{index}", plan.render


@dataclass(slots=True, frozen=True)
class KindReport:
    """Which codec decodes one kind of frame, and why not the fused one ("" when it does).

    messages: what a frame of this kind can be. fused: how many of them the fused codec reads. others: why construct
    reads the other ones of a fused kind.
    """

    variant: str
    kind: str
    codec: str
    why: str = ""
    messages: tuple[str, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def fused(self) -> int:
        return len(self.messages) - len(self.others) if self.codec == "fused" else 0

    def to_plain(self) -> dict[str, Any]:
        """As JSON, without what is empty."""
        plain: dict[str, Any] = {"kind": self.kind, "codec": self.codec}
        if self.variant:
            plain["variant"] = self.variant
        if self.codec in ("fused", "construct"):
            plain |= {"messages": len(self.messages), "fused": self.fused}
        if self.why:
            plain["why"] = self.why
        if self.others:
            plain["others"] = dict(self.others)
        return plain


def codec_report(loaded: LoadedProduct, proven: ProductProven | None) -> list[KindReport]:
    """One line for every kind of frame of a product and its variants."""
    lines = []
    for name, form in loaded.forms().items():
        proof = proven.forms.get(name) if proven is not None else None
        for kind in form.kinds:
            lines.append(_kind_report(name, kind, proof))
    return lines


def _kind_report(variant: str, kind: KindCodec, proof: FormProof | None) -> KindReport:
    name = kind.kind.name
    if kind.document is not None:
        return KindReport(variant, name, kind.document.format)
    messages = tuple(dict.fromkeys(selector.message for selector in kind.layout.selectors))
    if kind.use_fused and kind.fused is not None:
        return KindReport(variant, name, "fused", "", messages, dict(kind.fused.others))
    disagreement = proof.disagreements.get(name, "") if proof is not None else "not proven yet"
    return KindReport(variant, name, "construct", kind.why_not_fused or disagreement, messages)


def message_report(lines: Iterable[KindReport]) -> dict[str, str]:
    """Every message that comes in frames of bytes -> "" when the fused codec reads it (in one kind of frame of one
    variant at least), else why construct does."""
    found: dict[str, str] = {}
    for line in lines:
        for message in line.messages:
            why = line.others.get(message, "") if line.codec == "fused" else line.why or "asked for construct"
            if not why or found.get(message, NO_FRAME) in UNTRIED:
                found[message] = why
    return found
