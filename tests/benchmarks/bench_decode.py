"""CPU time of decoding one frame, construct against fused, per product.

    python tests/benchmarks/bench_decode.py [product ...]

Both codecs decode the same golden frames in turn within one process, so that the ratio does not depend on the machine.
Prints a table in Markdown: messages that run fused; microseconds of CPU per frame (median over the good golden frames
of these messages, variants included); the ratio of each frame's pair, median and least, of the codec alone, and its
median through `product.decode`, whose wrapper and contract check both codecs share.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from decoders.catalog import LoadedProduct
from decoders.errors import DecodeError
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.golden import GoldenCase
from decoders.product import CompiledProduct
from decoders.proven import prove_product
from gateway.specs import load_catalog

REPEATS = 5


def cpu_us(call: Callable[[], object], rounds: int) -> float:
    """Least CPU time of one call, in microseconds, over some repeats."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.process_time_ns()
        for _ in range(rounds):
            call()
        best = min(best, (time.process_time_ns() - start) / rounds / 1000)
    return best


@dataclass(slots=True)
class Figures:
    """CPU us of every good golden frame, construct and fused: the codec alone, and `product.decode`."""

    codec: list[tuple[float, float]] = field(default_factory=list)
    whole: list[tuple[float, float]] = field(default_factory=list)

    def ratios(self) -> list[float]:
        return [slow / fast for slow, fast in self.codec]


def measure(product: CompiledProduct, cases: Sequence[GoldenCase], figures: Figures) -> None:
    for case in cases:
        context = case.context()
        context.variant = ""
        try:
            frame = cut(product.framing, case.wire)
            decoded = product.decode(frame, context)
        except DecodeError:
            continue
        kind = product.kinds[frame.kind.index]
        if kind.fused is None or kind.reference is None or not kind.use_fused:
            continue
        if decoded.message.name in kind.fused.others:
            continue
        data = frame.wire if kind.kind.escape is None else unescape(kind.kind.escape, frame.wire)
        arguments = (data, context, product.zone_s if context.zone_s is None else context.zone_s)
        fast = cpu_us(functools.partial(kind.fused.decode, *arguments), 600)
        slow = cpu_us(functools.partial(kind.reference.decode, *arguments), 40)
        figures.codec.append((slow, fast))
        fast = cpu_us(functools.partial(product.decode, frame, context), 600)
        kind.use_fused = False
        slow = cpu_us(functools.partial(product.decode, frame, context), 40)
        kind.use_fused = True
        figures.whole.append((slow, fast))


def fused_messages(loaded: LoadedProduct) -> str:
    """`n of m`: messages of devices that the fused codec reads, in the product and its variants."""
    all_of_them: set[tuple[str, str]] = set()
    fused: set[tuple[str, str]] = set()
    for variant, product in loaded.forms().items():
        for kind in product.kinds:
            names = {selector.message for selector in kind.layout.selectors}
            if kind.document is not None:
                continue
            all_of_them |= {(variant, name) for name in names}
            if kind.fused is not None and kind.use_fused:
                fused |= {(variant, name) for name in names if name not in kind.fused.others}
    return f"{len(fused)} of {len(all_of_them)}"


def row(loaded: LoadedProduct, figures: Figures) -> str:
    if not figures.codec:
        return f"| {loaded.product.id} | {fused_messages(loaded)} | 0 | | | | | |"
    ratios = figures.ratios()
    slow, fast = (statistics.median(pair[side] for pair in figures.codec) for side in (0, 1))
    whole = statistics.median(slow / fast for slow, fast in figures.whole)
    return (
        f"| {loaded.product.id} | {fused_messages(loaded)} | {len(ratios)} | {slow:.0f} | {fast:.1f} "
        f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} | {whole:.1f} |"
    )


def main(names: list[str]) -> None:
    catalog = load_catalog(only=names or None)
    print("| product | messages fused | frames | construct µs | fused µs | ratio | least | product.decode |")
    print("|---|---|---|---|---|---|---|---|")
    medians = []
    for loaded in catalog.products.values():
        prove_product(loaded)
        figures = Figures()
        for variant, product in loaded.forms().items():
            measure(product, loaded.cases(variant), figures)
        print(row(loaded, figures), flush=True)
        if figures.codec:
            medians.append(statistics.median(figures.ratios()))
    print(f"\nmedian of the products {statistics.median(medians):.1f}, least {min(medians):.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
