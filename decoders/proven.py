"""What the proof of a product said, in a form that can be remembered: so that it is made once for one spec and code."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.product import CompiledProduct
from decoders.prove import prove, trust
from decoders.replies import MessageReply

__all__ = ["FormProof", "ProductProven", "apply_proof", "codec_report", "proof_key", "prove_product"]

NO_GOLDEN_FRAME = "no golden frame of this kind"


@dataclass(slots=True)
class FormProof:
    """One product or variant. agreed: frame kinds whose codecs agree. disagreements: kind -> the first difference.

    slow_replies: `message/index` of replies that construct builds. inputs: how many inputs were compared.
    """

    agreed: list[str] = field(default_factory=list)
    disagreements: dict[str, str] = field(default_factory=dict)
    slow_replies: list[str] = field(default_factory=list)
    inputs: int = 0


@dataclass(slots=True)
class ProductProven:
    """The proofs of a product ("") and its variants."""

    forms: dict[str, FormProof] = field(default_factory=dict)

    @property
    def disagreements(self) -> Iterator[tuple[str, str, str]]:
        """(variant, frame kind, first difference) of codecs that differ; kinds without golden frames are left out."""
        for variant, form in self.forms.items():
            for kind, text in form.disagreements.items():
                if text != NO_GOLDEN_FRAME:
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
                    [str(kind) for kind in form["agreed"]],
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
        report = prove(form, loaded.cases(name))
        proven.forms[name] = FormProof(
            agreed=[proof.kind for proof in report.kinds if not proof.disagreement],
            disagreements={proof.kind: proof.disagreement for proof in report.kinds if proof.disagreement},
            slow_replies=[key for key, reply in _replies(form) if reply.fused is None],
            inputs=sum(proof.inputs for proof in report.kinds),
        )
    return proven


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
    """Which codec decodes one kind of frame, and why not the fused one ("" when it does)."""

    variant: str
    kind: str
    codec: str
    why: str = ""


def codec_report(loaded: LoadedProduct, proven: ProductProven | None) -> list[KindReport]:
    """One line for every kind of frame of a product and its variants."""
    lines = []
    for name, form in loaded.forms().items():
        proof = proven.forms.get(name) if proven is not None else None
        for kind in form.kinds:
            if kind.json is not None:
                lines.append(KindReport(name, kind.kind.name, "json"))
            elif kind.use_fused:
                lines.append(KindReport(name, kind.kind.name, "fused"))
            else:
                disagreement = proof.disagreements.get(kind.kind.name, "") if proof is not None else "not proven yet"
                lines.append(KindReport(name, kind.kind.name, "construct", kind.why_not_fused or disagreement))
    return lines
