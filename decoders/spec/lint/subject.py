"""What lint rules look at, and what they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from decoders.catalog import LoadedProduct
from decoders.errors import SpecProblem
from decoders.layout import MessageLayout
from decoders.product import CompiledProduct
from decoders.spec import model
from decoders.spec.row_walk import PlacedRow, all_rows
from decoders.spec.source import Document
from decoders.spec.variants import variant_document

__all__ = ["Check", "Finding", "Rule", "Subject", "subjects"]


@dataclass(slots=True, frozen=True)
class Finding:
    """One thing to look at. problem: its place, what is so, and (as `hint`) the fix."""

    severity: str
    problem: SpecProblem

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        found = self.problem
        return {
            "code": found.code,
            "severity": self.severity,
            "file": found.source,
            "line": found.line,
            "column": found.column,
            "path": found.path,
            "message": found.message,
            "fix": found.hint,
        }


@dataclass(slots=True)
class Subject:
    """One form of a product: the product itself, or a variant of it, with its document and all its rows."""

    loaded: LoadedProduct
    product: CompiledProduct
    document: Document
    rows: list[PlacedRow]
    variant: str = ""

    @property
    def spec(self) -> model.SpecFile:
        return self.product.spec

    def layouts(self) -> Mapping[str, MessageLayout]:
        """Each message once, with the layout of the first kind of frame that it comes in."""
        found: dict[str, MessageLayout] = {}
        for (_kind, name), encoder in self.product.encoders.items():
            found.setdefault(name, encoder.frame.messages[name])
        return found

    def path(self, node: Any) -> tuple[str | int, ...] | None:
        """Place of a node's row in the document."""
        origin = self.product.origins.of(node)
        return None if origin is None else origin.path

    def problem(
        self, code: str, path: Sequence[str | int], message: str, fix: str, *, key: bool = False
    ) -> SpecProblem:
        where = self.document.where(path, key=key)
        return SpecProblem(*where, self.document.path_text(path), message, fix, code)


def subjects(loaded: LoadedProduct) -> Iterator[Subject]:
    """The product, then its variants."""
    for variant, product in loaded.forms().items():
        document = loaded.document
        if variant:
            document = variant_document(document, variant, loaded.product.spec.variants[variant])
        yield Subject(loaded, product, document, list(all_rows(product.spec)), variant)


Check = Callable[[Subject], Iterator[SpecProblem]]


@dataclass(slots=True, frozen=True)
class Rule:
    """code: of all problems that `check` yields. severity: `error` or `warning`. title: what holds when it is silent.
    fix: what to do, for the reference. whole: looks at the product once, not at each of its variants."""

    code: str
    severity: str
    title: str
    fix: str
    check: Check
    whole: bool = False
