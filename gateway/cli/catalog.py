"""What commands that need products have in common: the `--specs` option, loading, and the remembered proofs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from decoders.catalog import Catalog, LoadedProduct, UnknownProduct
from decoders.errors import SpecProblem
from gateway.cli.output import print_error
from gateway.specs import ProofMemory, Replaced, cache_dir, load_catalog, product_ids

SpecsOption = Annotated[
    list[Path] | None,
    typer.Option("--specs", metavar="DIR", help="A folder with your own specs; they add to the shipped ones. Repeat."),
]


def memory() -> ProofMemory:
    """Where this user's proofs are kept."""
    return ProofMemory(cache_dir(os.environ))


def open_catalog(specs: Sequence[Path] | None, products: Sequence[str] | None = None) -> Catalog:
    """The catalog with the products that were asked for; all when none were named.

    Raises SpecError, and UnknownProduct for the first name that no spec has.
    """
    folders = specs or []
    if not products:
        return load_catalog(folders, notice=_say)
    catalog = load_catalog(folders, only=products, notice=_say, warn=_warn)
    if any(name not in catalog.products for name in products):
        missing = next(name for name in products if name not in catalog.products)
        raise UnknownProduct.among(missing, product_ids(folders))
    return Catalog.of([catalog.find(name) for name in dict.fromkeys(products)])


def open_product(specs: Sequence[Path] | None, product: str) -> LoadedProduct:
    """One product. Raises SpecError and UnknownProduct."""
    return open_catalog(specs, [product]).find(product)


def _warn(problem: SpecProblem) -> None:
    print_error(f"warning: {problem}")


def _say(replaced: Replaced) -> None:
    print_error(f"{replaced.source} replaces {replaced.product} of {replaced.replaced}")
