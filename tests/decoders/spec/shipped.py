"""The shipped products, compiled once for all tests that look at each of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from decoders.catalog import LoadedProduct
from gateway.specs import load_catalog


@functools.cache
def shipped() -> Mapping[str, LoadedProduct]:
    return load_catalog().products
