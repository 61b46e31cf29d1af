"""Calls about the catalog: which products there are, what they say, and what would become of a frame.

Place in the walk: none; nothing is kept. A product that is not there and one that the caller may not have are one
answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from decoders.catalog import Catalog, LoadedProduct, UnknownProduct
from decoders.spec.show import layout_rows
from decoders.types import SessionContext
from gateway.access.scopes import RestGrant
from gateway.observe.problems import Problem, ProblemCode
from gateway.pipeline.preview import Preview

__all__ = ["CatalogCalls", "check_variant"]

_MAX_PREVIEWS = 64


class CatalogCalls:
    """catalog: asked for each call."""

    def __init__(self, catalog: Callable[[], Catalog]) -> None:
        self._catalog = catalog
        self._previews: OrderedDict[tuple[str, str, str], Preview] = OrderedDict()  # by digest, product and variant

    def find(self, grant: RestGrant, product: str, *, status: int = 404) -> LoadedProduct:
        """Raises Problem with this status."""
        products = self._catalog().products
        loaded = products.get(product)
        if loaded is None or not grant.scope.has_product(product):
            known = {name: one for name, one in products.items() if grant.scope.has_product(name)}
            detail = str(UnknownProduct.among(product[:64], known))
            raise Problem(status, ProblemCode.UNKNOWN_PRODUCT, detail)
        return loaded

    def listed(self, grant: RestGrant) -> dict[str, Any]:
        products = self._catalog().products
        return {"specs": [_summary(one) for name, one in products.items() if grant.scope.has_product(name)]}

    def shown(self, grant: RestGrant, product: str) -> dict[str, Any]:
        loaded = self.find(grant, product)
        spec = loaded.product.spec
        layout = [row.to_plain() for row in layout_rows(loaded.product)]
        return {**_summary(loaded), "source": spec.source, "messages": list(_messages(loaded)), "layout": layout}

    def decoded(
        self, loaded: LoadedProduct, variant: str, frame: bytes, context: SessionContext, now_ms: int
    ) -> dict[str, Any]:
        """What would become of a frame. Raises Problem(422) for a variant that the product does not have."""
        check_variant(loaded, variant)
        key = (loaded.digest, loaded.product.id, variant)
        preview = self._previews.get(key)
        if preview is None:
            preview = self._previews[key] = Preview(loaded.forms()[variant])
            if len(self._previews) > _MAX_PREVIEWS:
                self._previews.popitem(last=False)
        return preview.read(frame, context, now_ms)


def check_variant(loaded: LoadedProduct, variant: str) -> None:
    known = [name for name in loaded.forms() if name]
    if variant and variant not in known:
        detail = f"`{loaded.product.id}` has no variant `{variant[:64]}`; there are {', '.join(known) or 'none'}"
        raise Problem(422, ProblemCode.BAD_PARAMETER, detail)


def _summary(loaded: LoadedProduct) -> dict[str, Any]:
    product, spec = loaded.product, loaded.product.spec
    return {
        "product": product.id,
        "title": spec.title,
        "vendor": spec.vendor,
        "version": product.version,
        "transports": list(spec.transports),
        "variants": list(spec.variants),
        "json": product.json is not None,
        "csv": product.csv is not None,
    }


def _messages(loaded: LoadedProduct) -> Iterator[dict[str, Any]]:
    for name, plan in loaded.product.messages.items():
        yield {
            "name": name,
            "title": loaded.product.spec.messages[name].title if name in loaded.product.spec.messages else "",
            "record": plan.record,
            "measurement": plan.measurement,
            "data_type": plan.data_type,
            "units": dict(plan.units),
        }
