"""`spec test`: every golden frame of a product on both codecs, then the proof that they agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.golden import run_case
from decoders.golden_builds import run_build
from decoders.proven import KindReport, ProductProven, codec_report, message_report, prove_product

__all__ = ["Failure", "Trial", "try_product"]


@dataclass(slots=True, frozen=True)
class Failure:
    """A golden case that came out differently. codec: `construct` or `fused`; `building` for a message that was built.
    place: `file:line`."""

    case: str
    codec: str
    place: str
    differences: tuple[str, ...]


@dataclass(slots=True)
class Trial:
    """How a product did. cases: golden cases with those of its variants; passed: right on every codec."""

    product: str
    version: int
    cases: int = 0
    passed: int = 0
    failures: list[Failure] = field(default_factory=list)
    proven: ProductProven = field(default_factory=ProductProven)
    kinds: list[KindReport] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """All cases passed and no codec differs from the reference."""
        return not self.failures and not any(self.proven.disagreements)

    def to_plain(self) -> dict[str, Any]:
        """As JSON. messages, fused: how many messages come in frames of bytes, and how many of them run fused."""
        messages = message_report(self.kinds)
        return {
            "product": self.product,
            "version": self.version,
            "ok": self.ok,
            "cases": self.cases,
            "passed": self.passed,
            "inputs": sum(form.inputs for form in self.proven.forms.values()),
            "messages": len(messages),
            "fused": sum(not why for why in messages.values()),
            "not_fused": {name: why for name, why in messages.items() if why},
            "kinds": [line.to_plain() for line in self.kinds],
            "failures": [
                {
                    "case": failure.case,
                    "codec": failure.codec,
                    "place": failure.place,
                    "differences": list(failure.differences),
                }
                for failure in self.failures
            ],
        }


def try_product(loaded: LoadedProduct) -> Trial:
    """Runs everything. Leaves the product with its fused codecs in use where they agree."""
    trial = Trial(loaded.product.id, loaded.product.version)
    forms = list(loaded.forms().values())
    failed: set[tuple[str, int]] = set()
    for form in forms:
        for kind in form.kinds:
            kind.use_fused = False
    _run(loaded, trial, "construct", failed)
    trial.proven = prove_product(loaded)
    if any(kind.use_fused for form in forms for kind in form.kinds):
        _run(loaded, trial, "fused", failed)
    trial.kinds = codec_report(loaded, trial.proven)
    _build(loaded, trial, failed)
    trial.cases = sum(len(file.cases) + len(file.builds) for file in loaded.golden.values())
    trial.passed = trial.cases - len(failed)
    return trial


def _build(loaded: LoadedProduct, trial: Trial, failed: set[tuple[str, int]]) -> None:
    """The other way round: messages from values."""
    for name, file in loaded.golden.items():
        for index, build in enumerate(file.builds):
            differences = run_build(loaded.product, build)
            if differences:
                failed.add((name, len(file.cases) + index))
                line, _ = loaded.golden_documents[name].place(("builds", index))
                texts = tuple(str(difference) for difference in differences)
                trial.failures.append(Failure(build.name, "building", f"{name}:{line}", texts))


def _run(loaded: LoadedProduct, trial: Trial, codec: str, failed: set[tuple[str, int]]) -> None:
    for name, file in loaded.golden.items():
        for index, case in enumerate(file.cases):
            result = run_case(loaded.product, file, case, case.context().received_ms)
            if result.passed:
                continue
            failed.add((name, index))
            line, _ = loaded.golden_documents[name].place(("cases", index))
            differences = tuple(str(difference) for difference in result.differences)
            trial.failures.append(Failure(case.name, codec, f"{name}:{line}", differences))
