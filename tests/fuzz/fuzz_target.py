"""The fuzzer's own process: `python -m tests.fuzz.fuzz_target CORPUS FIGURES PRODUCTS INPUTS [flags of libFuzzer]`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["decoders"]):
    from decoders.catalog import Catalog
    from decoders.errors import DecodeError
    from decoders.framing.framer import cut
    from decoders.product import CompiledProduct
    from decoders.proven import prove_product
    from gateway.specs import load_catalog
    from tests.fuzz.attempt import MODES, Attempt, forms_of, try_attempt
    from tests.fuzz.fuzz_decode import read_corpus

_SHORT = 64


class Target:
    """Takes inputs of the fuzzer, keeps count."""

    def __init__(self, products: dict[str, CompiledProduct], wanted: set[str], figures: Path) -> None:
        self.products = list(products.values())
        self.wanted = wanted
        self.figures = figures
        self.inputs = self.read = 0
        self.worst = 0.0
        self.worst_input = b""
        self.started = self.noted = time.monotonic()

    def __call__(self, raw: bytes) -> None:
        if len(raw) < 3:
            return
        product = self.products[raw[0] % len(self.products)]
        if self.wanted and product.id not in self.wanted:
            return
        attempt = Attempt.of(raw[1:], len(product.kinds))
        before = time.process_time_ns()
        self.read += try_attempt(product, attempt)
        spent = (time.process_time_ns() - before) / 1000 / max(len(raw), _SHORT)
        self.inputs += 1
        if spent > self.worst and self._again(product, attempt, len(raw)) > self.worst:
            self.worst, self.worst_input = spent, raw
        if time.monotonic() - self.noted > 5:
            self.note()

    def _again(self, product: CompiledProduct, attempt: Attempt, size: int) -> float:
        """The least of some repeats: the machine may have been busy the first time."""
        least = float("inf")
        for _ in range(3):
            before = time.process_time_ns()
            try_attempt(product, attempt)
            least = min(least, (time.process_time_ns() - before) / 1000 / max(size, _SHORT))
        return least

    def note(self) -> None:
        self.noted = time.monotonic()
        product = self.products[self.worst_input[0] % len(self.products)].id if self.worst_input else "-"
        self.figures.write_text(
            f"{self.inputs} inputs in {self.noted - self.started:.0f} s, {self.read} frames read, "
            f"nothing but decoder errors; slowest {self.worst:.1f} us per byte, both codecs "
            f"({product}, {len(self.worst_input)} bytes: {self.worst_input[:24].hex()})\n"
        )


def seeds(catalog: Catalog, corpus: Path, inputs: Path) -> None:
    """Golden frames and the kept corpus as files for the fuzzer."""
    number = 0

    def write(index: int, raw: bytes) -> None:
        nonlocal number
        number += 1
        (inputs / f"seed{number}").write_bytes(bytes([index]) + raw)

    kept = read_corpus(corpus)
    for index, (name, product) in enumerate(forms_of(catalog).items()):
        for raw in kept.get(name, ()):
            write(index, raw)
        base, _, variant = name.partition("@")
        for case in catalog.products[base].cases(variant):
            port = case.port % 256
            write(index, bytes([MODES.index("stream"), port]) + case.wire)
            try:
                frame = cut(product.framing, case.wire)
            except DecodeError:
                continue
            for mode in ("frame", "sealed"):
                write(index, bytes([MODES.index(mode) + len(MODES) * frame.kind.index, port]) + case.wire)


def main() -> None:
    corpus, figures, wanted, inputs = sys.argv[1:5]
    catalog = load_catalog()
    for loaded in catalog.products.values():
        prove_product(loaded)
    seeds(catalog, Path(corpus), Path(inputs))
    target = Target(forms_of(catalog), {word for word in wanted.split(",") if word}, Path(figures))
    atheris.Setup([sys.argv[0], inputs, *sys.argv[5:]], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
