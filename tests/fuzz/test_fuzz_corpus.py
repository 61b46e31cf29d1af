"""The fuzzer's kept corpus, replayed: inputs that once reached new code, and whatever was once found."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from decoders.catalog import Catalog
from decoders.proven import prove_product
from gateway.specs import load_catalog
from tests.fuzz.attempt import Attempt, forms_of, try_attempt

CORPUS = Path(__file__).parent / "corpus"


@cache
def catalog() -> Catalog:
    found = load_catalog()
    for loaded in found.products.values():
        prove_product(loaded)
    return found


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.hex")), ids=lambda path: path.stem)
def test_nothing_but_decoder_errors_and_both_codecs_agree(path: Path) -> None:
    product = forms_of(catalog())[path.stem]
    for line in path.read_text("ascii").split():
        try_attempt(product, Attempt.of(bytes.fromhex(line), len(product.kinds)))


def test_every_product_has_a_corpus() -> None:
    kept = {path.stem.partition("@")[0] for path in CORPUS.glob("*.hex")}
    assert kept == set(catalog().products)
