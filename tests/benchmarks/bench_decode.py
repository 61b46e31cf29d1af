"""CPU time of decoding one frame, construct against fused, per product.

    python tests/benchmarks/bench_decode.py [product ...]

Both codecs decode the same golden frames in turn within one process, so that the ratio does not depend on the machine.
Prints a table in Markdown: microseconds of CPU per frame (median over the frames), and the ratio of each frame's pair.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

from decoders.catalog import LoadedProduct
from decoders.errors import DecodeError
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


def measure(loaded: LoadedProduct) -> tuple[list[float], list[float]]:
    """CPU us of every good golden frame on construct and on fused."""
    product = loaded.product
    slow, fast = [], []
    for case in loaded.cases():
        context = case.context()
        try:
            frame = cut(product.framing, case.wire)
            product.decode(frame, context)
        except DecodeError:
            continue
        kind = product.kinds[frame.kind.index]
        if kind.fused is None or not kind.use_fused:
            continue
        fast.append(cpu_us(lambda frame=frame, context=context: product.decode(frame, context), 1000))  # type: ignore[misc]
        kind.use_fused = False
        slow.append(cpu_us(lambda frame=frame, context=context: product.decode(frame, context), 60))  # type: ignore[misc]
        kind.use_fused = True
    return slow, fast


def main(names: list[str]) -> None:
    catalog = load_catalog(only=names or None)
    print("| product | frames | construct µs | fused µs | ratio: median | least | most |")
    print("|---|---|---|---|---|---|---|")
    for product_id, loaded in catalog.products.items():
        prove_product(loaded)
        slow, fast = measure(loaded)
        ratios = [one / other for one, other in zip(slow, fast, strict=True)]
        print(
            f"| {product_id} | {len(fast)} | {statistics.median(slow):.1f} | {statistics.median(fast):.2f} "
            f"| {statistics.median(ratios):.1f} | {min(ratios):.1f} | {max(ratios):.1f} |"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
