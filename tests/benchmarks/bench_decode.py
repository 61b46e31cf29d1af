"""CPU time of decoding one frame, construct against fused, per product.

    python tests/benchmarks/bench_decode.py [product ...]

Both codecs decode the same golden frames in turn within one process, so that the ratio does not depend on the machine.
Prints a table in Markdown: microseconds of CPU per frame (median over the frames), and the ratio of each frame's pair;
once for the codec alone, once through `product.decode`, whose wrapper and contract check both codecs share.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from decoders.catalog import LoadedProduct
from decoders.errors import DecodeError
from decoders.framing.escape import unescape
from decoders.framing.framer import cut
from decoders.proven import prove_product
from gateway.specs import load_catalog

REPEATS = 7


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
    """CPU us of every good golden frame: the codec alone, and `product.decode` with wrapper and contract check."""

    codec: list[tuple[float, float]]  # construct, fused
    whole: list[tuple[float, float]]


def measure(loaded: LoadedProduct) -> Figures:
    product = loaded.product
    figures = Figures([], [])
    for case in loaded.cases():
        context = case.context()
        try:
            frame = cut(product.framing, case.wire)
            product.decode(frame, context)
        except DecodeError:
            continue
        kind = product.kinds[frame.kind.index]
        if kind.fused is None or kind.reference is None or not kind.use_fused:
            continue
        data = frame.wire if kind.kind.escape is None else unescape(kind.kind.escape, frame.wire)
        arguments = (data, context, product.zone_s if context.zone_s is None else context.zone_s)
        fast = cpu_us(functools.partial(kind.fused.decode, *arguments), 1000)
        slow = cpu_us(functools.partial(kind.reference.decode, *arguments), 60)
        figures.codec.append((slow, fast))
        fast = cpu_us(functools.partial(product.decode, frame, context), 1000)
        kind.use_fused = False
        slow = cpu_us(functools.partial(product.decode, frame, context), 60)
        kind.use_fused = True
        figures.whole.append((slow, fast))
    return figures


def row(name: str, what: str, pairs: list[tuple[float, float]]) -> str:
    ratios = [slow / fast for slow, fast in pairs]
    slow, fast = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    return (
        f"| {name} | {what} | {len(pairs)} | {slow:.1f} | {fast:.2f} "
        f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} | {max(ratios):.1f} |"
    )


def main(names: list[str]) -> None:
    catalog = load_catalog(only=names or None)
    print("| product | | frames | construct µs | fused µs | ratio: median | least | most |")
    print("|---|---|---|---|---|---|---|---|")
    for product_id, loaded in catalog.products.items():
        prove_product(loaded)
        figures = measure(loaded)
        print(row(product_id, "codec", figures.codec))
        print(row("", "product.decode", figures.whole), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
