"""The rule on several products: on one listener their frames must tell them apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, zip_longest

from decoders.catalog import LoadedProduct
from decoders.errors import SpecProblem
from decoders.framing.plan import FixedSize, FrameKind, StopBytes
from decoders.product import CompiledProduct, KindCodec
from decoders.spec.lint.subject import Finding

__all__ = ["AMBIGUOUS", "ambiguous"]

_TEXT = frozenset({*b"\t\r\n", *range(0x20, 0x100)})  # bytes that a text may hold
AMBIGUOUS = (
    *("ambiguous_candidates", "warning"),
    *("frames of two TCP products begin differently, or have a check value", "name the products of each listener"),
)
"""Code, severity, title and fix."""


def ambiguous(products: Sequence[LoadedProduct]) -> Iterator[Finding]:
    """Pairs of products that one TCP listener could not tell apart: a kind of frame begins alike, and neither has a
    check value."""
    spoken = [item for item in products if "tcp" in item.product.spec.transports]
    for one, other in combinations(spoken, 2):
        found = _alike(one.product, other.product)
        if found is not None:
            where = other.document.where(("product",))
            message = f"frames `{found[1]}` cannot be told from those of `{one.product.id}` (`{found[0]}`)"
            fix = "name the products of each listener, or give the frames a check value or `begins`"
            yield Finding(AMBIGUOUS[1], SpecProblem(*where, "product", message, fix, AMBIGUOUS[0]))


def _alike(one: CompiledProduct, other: CompiledProduct) -> tuple[str, str] | None:
    for first in one.kinds:
        for second in other.kinds:
            if not _checked(first) and not _checked(second) and _begin_alike(first.kind, second.kind):
                return first.kind.name, second.kind.name
    return None


def _checked(kind: KindCodec) -> bool:
    return bool(kind.layout.checks)


def _begin_alike(one: FrameKind, other: FrameKind) -> bool:
    if bool(one.begins) != bool(other.begins):
        return False  # one of them is told by its first bytes
    for first, second in zip_longest(one.begins, other.begins):
        mine, theirs = (_TEXT if part is None and it.text else part for part, it in ((first, one), (second, other)))
        if mine is not None and theirs is not None and mine.isdisjoint(theirs):
            return False
    if isinstance(one.size, StopBytes) and isinstance(other.size, StopBytes):
        return not set(one.size.stops).isdisjoint(other.size.stops)
    return not (isinstance(one.size, FixedSize) and isinstance(other.size, FixedSize)) or one.size == other.size
