"""Routes: which sinks a record is owed to.

Place in the walk: asked by the outbox for each record, before it is spooled; the answer is written with the record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.domain.record import Record

_MAX_KNOWN = 16_384  # answers kept; types are few, products some hundreds


@dataclass(slots=True, frozen=True)
class Route:
    """Records of these types and of these products go to the sinks `to`. An empty set means any."""

    to: tuple[str, ...]
    types: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()

    def takes(self, record_type: str, product: str) -> bool:
        return (not self.types or record_type in self.types) and (not self.products or product in self.products)


class Routes:
    """The first route that takes a record decides; the last one takes all.

    archive: types that go to one sink only, whatever the routes say (raw frames).
    """

    __slots__ = ("_archive", "_known", "_routes")

    def __init__(self, routes: Sequence[Route], archive: Iterable[Route] = ()) -> None:
        if not routes or routes[-1].types or routes[-1].products:
            raise ValueError("the last route must take every record")
        self._routes = tuple(routes)
        self._archive = tuple(archive)
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def sinks(self, record: Record) -> tuple[str, ...]:
        """Names of the sinks, each once, in the order of the route."""
        key = (record.type, record.product)
        found = self._known.get(key)
        if found is None:
            found = next(route.to for route in (*self._archive, *self._routes) if route.takes(*key))
            if len(self._known) < _MAX_KNOWN:
                self._known[key] = found
        return found
